# SPDX-License-Identifier: MIT
"""Nominal times against a slow oracle: minute by minute over the real transitions of many zones, with the time zones of
Python and a matching of its own. Rule 13 of the lifecycle; S12."""
import datetime
import random
import subprocess
import sys
import zoneinfo

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata",
         "America/Sao_Paulo", "Pacific/Apia", "Asia/Tehran", "Europe/Istanbul", "Antarctica/Troll", "Africa/Cairo",
         "America/St_Johns", "Asia/Gaza", "Pacific/Chatham", "Europe/Dublin", "America/Caracas", "Asia/Pyongyang",
         "America/Nuuk", "UTC"]
EXPRESSIONS = ["30 2 * * *", "0 3 * * *", "0 0 * * *", "*/15 * * * *", "0 * * * *", "45 */2 * * *", "*/20 2 * * *",
               "5,35 1-3 * * *", "59 23 * * *", "15 2,14 * * sun", "0 12 1 * *", "30 1 L * *", "1 2 15W * *",
               "10 0 * * fri#2", "10 3 * * 0L", "0 2 13 * 5", "0 0,1,2,3 */2 * mon"]
MINUTE, DAY = 60, 86400
EPOCH = datetime.datetime(1970, 1, 1)
UTC = datetime.timezone.utc


class Times:
    """The program under test."""

    def __init__(self, path):
        self.child = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, zone, gap, fold, start, end, expression):
        self.child.stdin.write(f"{zone} {gap} {fold} {start} {end} {expression}\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if line.startswith("!"):
            raise AssertionError(f"{zone} {expression}: {line}")
        return [int(word) for word in line.split()]


# ---- the zone ------------------------------------------------------------------------------------------------

def offset(zone, at):
    moment = datetime.datetime.fromtimestamp(at, UTC).astimezone(zone)
    return int(moment.utcoffset().total_seconds())


def transitions(zone, first_year, last_year):
    """Where the offset changes, found by looking at every day and halving."""
    found = []
    at = int((datetime.datetime(first_year, 1, 1) - EPOCH).total_seconds())
    end = int((datetime.datetime(last_year, 1, 1) - EPOCH).total_seconds())
    was = offset(zone, at)
    while at < end:
        now = offset(zone, at + DAY)
        if now != was:
            low, high = at, at + DAY
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(zone, middle) == was else (low, middle)
            found.append(high)
        was, at = now, at + DAY
    return found


# ---- the matching ---------------------------------------------------------------------------------------------

NAMES = {name: i for i, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}


def number(word):
    return NAMES[word] if word in NAMES else int(word)


def plain(field, low, high):
    allowed = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (number(w) for w in span.split("-"))
        else:
            first = number(span)
            last = high if step else first
        allowed |= set(range(first, last + 1, int(step or 1)))
    return allowed


def last_of(date):
    following = (date.replace(day=28) + datetime.timedelta(days=4)).replace(day=1)
    return (following - datetime.timedelta(days=1)).day


def day_of_month(field, date):
    if field == "L":
        return date.day == last_of(date)
    if field.endswith("W"):
        target = date.replace(day=int(field[:-1]))
        choices = [target + datetime.timedelta(days=d) for d in range(-2, 3)]
        choices = [c for c in choices if c.month == target.month and c.isoweekday() < 6]
        best = min(choices, key=lambda c: abs((c - target).days))
        return date.date() == best.date()
    return date.day in plain(field, 1, 31)


def day_of_week(field, date):
    weekday = date.isoweekday() % 7
    if "#" in field:
        name, nth = field.split("#")
        return weekday == number(name) and (date.day - 1) // 7 + 1 == int(nth)
    if field.endswith("L"):
        return weekday == number(field[:-1]) and date.day + 7 > last_of(date)
    return weekday in {n % 7 for n in plain(field, 0, 6)}


class Oracle:
    def __init__(self, expression):
        self.minute, self.hour, self.day, self.month, self.weekday = expression.split()
        self.minutes, self.hours = plain(self.minute, 0, 59), plain(self.hour, 0, 23)
        self.months = plain(self.month, 1, 12)
        self.through = self.minute.startswith("*") or self.hour.startswith("*")
        self.days = {}

    def day_fits(self, date):
        in_month, in_week = day_of_month(self.day, date), day_of_week(self.weekday, date)
        if self.day.startswith("*") or self.weekday.startswith("*"):
            return in_month and in_week
        return in_month or in_week

    def fits(self, local):
        """`local`: seconds that the clock on the wall shows."""
        minute, day = local // MINUTE % 60, local // DAY
        if minute not in self.minutes or local // 3600 % 24 not in self.hours:
            return False
        if day not in self.days:
            date = EPOCH + datetime.timedelta(days=day)
            self.days[day] = date.month in self.months and self.day_fits(date)
        return self.days[day]

    def times(self, shown, gap_runs, fold_both):
        """`shown`: [(instant, what the clock shows)] for every minute of a window."""
        wanted, seen = set(), set()
        before = shown[0][1] - MINUTE
        for at, local in shown:
            if gap_runs and any(self.fits(skipped) for skipped in range(before + MINUTE, local, MINUTE)):
                wanted.add(at)
            if self.fits(local) and (fold_both or local not in seen):
                wanted.add(at)
            seen.add(local)
            before = local
        return sorted(wanted)


# ---- the comparison --------------------------------------------------------------------------------------------

def window(zone, middle, hours):
    start = middle // MINUTE * MINUTE - hours * 3600
    return [(at, at + offset(zone, at)) for at in range(start, start + 2 * hours * 3600, MINUTE)]


def compare(times, name, shown, expression, gap, fold):
    oracle = Oracle(expression)
    gap_runs = not oracle.through if gap == "-" else gap == "1"
    fold_both = oracle.through if fold == "-" else fold == "1"
    # What was shown before the window cannot be known to the oracle: leave its beginning out.
    start, end = shown[len(shown) // 6][0], shown[-1][0]
    expected = [at for at in oracle.times(shown, gap_runs, fold_both) if start < at <= end]
    actual = times.ask(name, gap, fold, start, end, expression)
    if actual != expected:
        wrong = sorted(set(actual) ^ set(expected))
        raise AssertionError(f"{name}: {expression} (gap {gap}, fold {fold}): differs at "
                             + ", ".join(f"{at}{'' if at in expected else ' (not expected)'}" for at in wrong[:6]))
    return len(expected)


def check_zone(times, name, dice):
    zone = zoneinfo.ZoneInfo(name)
    changes = transitions(zone, 1971, 2100)
    # All of the present rules' kinds, a sample of the many alike.
    chosen = changes if len(changes) <= 60 else sorted(dice.sample(changes, 60))
    chosen += [dice.randrange(0, 4102444800) for _ in range(5)]
    compared = ran = 0
    for middle in chosen:
        hours = 36 if name == "Pacific/Apia" else 15
        shown = window(zone, middle, hours)
        for expression in dice.sample(EXPRESSIONS, 4):
            gap, fold = dice.choice(["--", "--", "00", "01", "10", "11"])
            ran += compare(times, name, shown, expression, gap, fold)
            compared += 1
    if name != "UTC" and not changes:
        raise AssertionError("no transition was found")
    if compared < 20 or ran < compared:
        raise AssertionError(f"only {ran} times in {compared} windows: this proves nothing")
    return f"{len(changes)} transitions, {compared} windows, {ran} times"


def check_month(times, name, dice):
    """A whole year, for the expressions that name days."""
    start = int((datetime.datetime(dice.randrange(1975, 2090), 1, 1) - EPOCH).total_seconds())
    zone = zoneinfo.ZoneInfo(name)
    shown = [(at, at + offset(zone, at)) for at in range(start, start + 370 * DAY, 15 * MINUTE)]
    total = 0
    for expression in ["0 12 L * *", "15 6 31W * *", "0 12 1W 2 *", "30 18 * * 5L", "45 9 * 2,11 sun#5", "0 12 13 * 5",
                       "0 12 */10 * 1-3", "15 5 29 2 *", "0 0 1 1 *"]:
        oracle = Oracle(expression)
        # "31W" is of months with 31 days only.
        expected = [at for at, local in shown if fits_or_short(oracle, local)]
        actual = times.ask(name, "0", "1", start - 1, shown[-1][0], expression)
        if actual != expected:
            raise AssertionError(f"{name}: {expression}: {actual[:9]} and not {expected[:9]}")
        total += len(expected)
    return f"{total} times"


def fits_or_short(oracle, local):
    try:
        return oracle.fits(local)
    except ValueError:
        return False


def main():
    dice = random.Random(20260322)
    times = Times(sys.argv[1])
    tests = [(f"transitions of {name}", check_zone, name) for name in ZONES]
    tests += [(f"a year in {name}", check_month, name) for name in ("UTC", "Asia/Kolkata", "Asia/Tokyo")]
    print(f"1..{len(tests)}")
    failed = 0
    for i, (title, check, name) in enumerate(tests, 1):
        try:
            print(f"ok {i} - {title} # {check(times, name, dice)}", flush=True)
        except AssertionError as error:
            failed += 1
            print(f"not ok {i} - {title}\n# {error}", flush=True)
    return 1 if failed else 0


sys.exit(main())
