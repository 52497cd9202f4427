#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reads what the processes of a chaos run wrote down, and what the store held at the end, and tells what cannot be.

check.py FOLDER [--pruned] [--floor NAME=N]...

FOLDER holds *.log (a line of JSON for each call, its answer, each handler's start and end; driver.log says who was shot
when), dump.json (the jobs at the end, as `jobq list --json` gives them) and stats.json (`jobq stats --json`). Times are
microseconds of one monotonic clock. Nothing here comes from the library, so that a mistake of the library is not made
twice. What is not certain (the answer was never heard, the process died) is taken as the library would like it best: each
violation that is told is one.

With --pruned the store kept only so many ended jobs, and events.json holds all its events (`jobq events --json`): a job that is
not there must have ended and then been removed by retention, once; the totals must say that all that ever were put ended, that
each is there or was pruned, and as many were pruned as there are events of it.

Prints a line for each violation, `S3 IDENTIFIER what`, then one line of JSON with the counts. Ends with 1 if there was a
violation or a count below its floor.
"""
import argparse
import base64
import collections
import datetime
import glob
import json
import os
import sys

ENDED = ('completed', 'dead', 'cancelled')
GIVES_BACK = ('ack', 'fail', 'release', 'snooze')
LIMITS = {'limited': (3, lambda job: ''), 'tenants': (2, lambda job: job['group'])}
TICKS = 'ticks'  # of a schedule; nobody works them, so that run_at stays the nominal time
TICK_MS = 1000
NEVER = float('inf')
OVERSLEPT = (192, 193)  # as actor.c has it of the numbers of jobs


def sum_of(data):
    """FNV-1a, as the actors write it."""
    value = 14695981039346656037
    for byte in data:
        value = ((value ^ byte) * 1099511628211) & 0xffffffffffffffff
    return f'{value:x}'


class History:
    """The logs, put in order: what was asked and answered, by job."""

    def __init__(self, folder, pruned=False):
        lines = []
        for path in sorted(glob.glob(os.path.join(folder, '*.log'))):
            with open(path, encoding='utf-8') as log:  # the last line is torn where its writer was shot in the middle of it
                lines += [json.loads(line) for line in log if line.endswith('\n')]
        lines.sort(key=lambda line: line['t'])
        with open(os.path.join(folder, 'dump.json'), encoding='utf-8') as dump:
            self.dump = {job['id']: job for job in json.load(dump)}
        with open(os.path.join(folder, 'stats.json'), encoding='utf-8') as stats:
            self.stats = json.load(stats)
        self.events = []
        if pruned:
            with open(os.path.join(folder, 'events.json'), encoding='utf-8') as events:
                self.events = json.load(events)
        self.stopped = collections.defaultdict(list)    # pid: when it was stopped for longer than a lease
        self.died = {}                                  # pid: when it was shot
        self.driver = collections.Counter()             # what the driver did
        self.jobs = {}                                  # id: the enqueue call as first asked
        self.puts = collections.defaultdict(list)       # id: [asked, answered, answer line] of each enqueue
        self.claims = collections.defaultdict(list)     # id: rows of claims
        self.starts = collections.defaultdict(list)     # id: [start, end or None] of handlers
        self.calls = collections.defaultdict(list)      # id: [asked line, answer line or None] of outcomes
        self.unknown = 0
        self.pending = {}
        self.claim_calls = {}
        for line in lines:
            getattr(self, '_' + line['op'], self._outcome)(line)

    def _driver(self, line):
        self.driver[line['what']] += line.get('count', 1)
        if line['what'] == 'pause':
            self.stopped[line['pid']].append(line['t'])
        if line['what'] == 'kill':
            self.died[line['pid']] = line['t']

    def _enqueue(self, line):
        if line['ph'] == 'call':
            self.jobs.setdefault(line['id'], line)
            self.puts[line['id']].append([line['t'], NEVER, None])
            return
        self.puts[line['id']][-1][1:] = [line['t'], line]
        self.unknown += line['status'] == 'UNKNOWN'

    def _claim(self, line):
        if line['ph'] == 'call':
            self.claim_calls[line['pid'], line['call']] = line['t']
        elif line['ph'] == 'row':
            line['asked'] = self.claim_calls[line['pid'], line['call']]
            self.claims[line['id']].append(line)
        else:
            self.unknown += line['status'] == 'UNKNOWN'

    def _handler(self, line):
        if line['ph'] == 'start':
            self.starts[line['id']].append([line, None])
            return
        for pair in self.starts[line['id']]:
            if pair[0]['token'] == line['token'] and pair[0]['pid'] == line['pid']:
                pair[1] = line

    def _outcome(self, line):
        where = (line['pid'], line['op'], line['id'], line['token'])
        if line['ph'] == 'call':
            pair = [line, None]
            self.calls[line['id']].append(pair)
            self.pending[where] = pair
        else:
            self.pending[where][1] = line
            self.unknown += line['status'] == 'UNKNOWN'

    def answered(self, job, ops, statuses):
        """Pairs of call and answer of this job, with one of these answers."""
        return [pair for pair in self.calls[job] if pair[0]['op'] in ops and pair[1] and pair[1]['status'] in statuses]

    def lease_end(self, row, before):
        """The earliest moment at which the lease of this row can have passed, with what was answered of extensions until then."""
        renewed = [call['t'] for call, answer in self.answered(row['id'], ('extend',), ('OK',))
                   if call['token'] == row['token'] and answer['t'] < before]
        return max([row['asked']] + renewed) + row['lease'] * 1000

    def last_moment(self, row):
        """Until when whoever took this row held it for certain: its first word about it, its death, the end of its lease, after
        which anybody's look gives its slot away, or the next claim."""
        ends = [self.died.get(row['pid'], NEVER)]
        if 'lease' in row:
            ends.append(self.lease_end(row, NEVER))
        ends += [pair[0]['t'] for pair in self.calls[row['id']]
                 if pair[0]['token'] == row['token'] and pair[0]['op'] in GIVES_BACK]
        ends += [other['asked'] for other in self.claims[row['id']] if other['fence'] > row['fence']]
        ends += [start['t'] for start, _ in self.starts[row['id']] if start['fence'] > row['fence']]
        return min(ends)

    def slow_expiries(self):
        """Leases that ran out and nobody made them: whoever claimed by hand lived, was not stopped and did not oversleep."""
        slow = 0
        for who, rows in self.claims.items():
            rows = sorted(rows, key=lambda row: row['fence'])
            for row, after in zip(rows, rows[1:]):
                spoken = any(call['token'] == row['token'] and call['op'] in GIVES_BACK and call['t'] < after['t']
                             for call, _ in self.calls[who])
                stopped = any(row['t'] <= t <= after['t'] for t in self.stopped[row['pid']])
                slow += not spoken and not stopped and self.died.get(row['pid'], NEVER) > after['t'] and \
                    row['n'] * 7919 % 200 not in OVERSLEPT
        return slow


class Judge:
    def __init__(self, history, pruned=False):
        self.h = history
        self.pruned = pruned
        self.violations = []
        self.queues = {job['queue'] for job in history.jobs.values()}
        self.removed = collections.Counter(event['id'] for event in history.events if is_removal(event))

    def tell(self, rule, who, what):
        self.violations.append((rule, who, what))

    # ---- what was put ------------------------------------------------------------------------------------------

    def puts(self):
        for who, answers in self.h.puts.items():
            statuses = [line['status'] if line else 'UNKNOWN' for _, _, line in answers]
            there = who in self.h.dump
            if any(status in ('OK', 'ALREADY') for status in statuses) and not there and not self.may_be_pruned(who):
                self.tell('S1', who, 'was put and is not there')
            if not any(status in ('OK', 'ALREADY', 'UNKNOWN') for status in statuses) and there:
                self.tell('S16', who, f'answered {statuses[-1]} and is there')
            if statuses[0] == 'ALREADY':
                self.tell('S11', who, 'ALREADY to the first request')
            for _, _, line in answers:
                if line and line['status'] == 'DUPLICATE':
                    self.duplicate(who, line)
        for who, job in self.h.dump.items():
            if who not in self.h.jobs and job['queue'] != TICKS:
                self.tell('S16', who, 'is there and nobody put it')

    def may_be_pruned(self, who):
        """Somebody worked at it, and did not say at last that it goes on; and the store says that it removed it."""
        return self.removed[who] > 0 and self.live_until(who) < NEVER

    def removals(self):
        """Retention removes what has ended, once, and it is not there then. Its events are counted, and have no gap."""
        state, by_queue = {}, collections.Counter()
        for event, before in zip(self.h.events, [None, *self.h.events]):
            if event['cursor'] != (before['cursor'] + 1 if before else 1):
                self.tell('S10', event['cursor'], 'the event before it is not there')
            if is_removal(event):
                by_queue[event['queue']] += 1
                if state.get(event['id']) not in ENDED:
                    self.tell('S6', event['id'], f'was pruned when it was {state.get(event["id"])}')
                if event['id'] in self.h.dump:
                    self.tell('S6', event['id'], 'was pruned and is there')
            state[event['id']] = event['state']
        for queue in self.h.stats['queues']:
            name, trimmed = queue['queue'], sum(queue[ended + '_trimmed'] for ended in ENDED)
            if trimmed != by_queue[name]:
                self.tell('S10', name, f'{trimmed} were pruned as the store counts, and there are events of {by_queue[name]}')
            present = sum(job['queue'] == name for job in self.h.dump.values())
            if name in self.queues and queue['enqueued_total'] != present + trimmed:
                self.tell('S10', name, f'{queue["enqueued_total"]} were put, {present} are there, {trimmed} were pruned')

    def totals(self):
        """Of each queue: what was put is what ended, and what was pruned was counted when it ended."""
        put = collections.Counter()
        sure = collections.Counter()
        for who, answers in self.h.puts.items():
            statuses = [line['status'] if line else 'UNKNOWN' for _, _, line in answers]
            queue = self.h.jobs[who]['queue']
            sure[queue] += any(status in ('OK', 'ALREADY') for status in statuses)
            put[queue] += any(status in ('OK', 'ALREADY', 'UNKNOWN') for status in statuses)
        for queue in self.h.stats['queues']:
            name, total = queue['queue'], queue['enqueued_total']
            ended = sum(queue[state + '_total'] for state in ENDED)
            if name in put and not sure[name] <= total <= put[name]:
                self.tell('S1', name, f'{total} were put as the store counts, {sure[name]} to {put[name]} by those who put them')
            if name in put and ended != total:
                self.tell('S10', name, f'{total} were put and {ended} ended')

    def duplicate(self, who, line):
        mine, holder = self.h.jobs[who], self.h.jobs.get(line['holder'])
        if not holder or (holder['queue'], holder['key']) != (mine['queue'], mine['key']):
            self.tell('S7', who, f'DUPLICATE of {line["holder"]}, which does not have this key')
        elif bool(line['same']) != (holder['sum'] == mine['sum']):
            self.tell('S8', who, 'is told the wrong thing about the payload of the holder')

    def keys(self):
        """Two jobs of one key: the second was put while the first was there, or there was a moment when both were."""
        by_key = collections.defaultdict(list)
        for who, job in self.h.jobs.items():
            done = [(asked, heard) for asked, heard, line in self.h.puts[who] if line and line['status'] == 'OK']
            if job['key'] and done:
                by_key[job['queue'], job['key']].append((done[0], self.live_until(who), who))
        for holders in by_key.values():
            holders.sort()
            for (put, until, first), (other, end, second) in zip(holders, holders[1:]):
                if (put[1] < other[0] and other[1] < until) or max(put[1], other[1]) < min(until, end):
                    self.tell('S7', second, f'was put while {first} held its key')

    def live_until(self, who):
        """The first moment at which the job may have ended."""
        job = self.h.dump.get(who, {})
        if job.get('state') == 'dead' and job.get('reason') != 'PERMANENT':
            return 0  # a sweeper's word, which nobody wrote down
        ends = [pair[0]['t'] for pair in self.h.calls[who] if pair[0]['op'] in ('ack', 'fail')]
        ends += [start['t'] for start, _ in self.h.starts[who] if self.by_worker(start)]
        return min(ends, default=NEVER)

    @staticmethod
    def by_worker(line):
        """The library's worker speaks for itself: its outcomes are not in the logs."""
        return line['p'].startswith('work')

    # ---- who held what --------------------------------------------------------------------------------------------

    def tokens(self):
        seen = {}
        for rows in self.h.claims.values():
            for row in rows:
                call = (row['pid'], row['call'])
                if seen.setdefault(row['token'], call) != call:
                    self.tell('S2', row['id'], f'the token {row["token"]} was given twice')

    def fencing(self, who):
        rows = self.h.claims[who]
        for call, _ in self.h.answered(who, GIVES_BACK + ('extend',), ('OK',)):
            later = [row for row in rows if row['fence'] > call['fence'] and row['t'] < call['t']]
            if later:
                self.tell('S2', who, f'{call["op"]} under fence {call["fence"]} accepted after {later[0]["fence"]} was out')

    def completions(self, who):
        accepted = self.h.answered(who, ('ack',), ('OK',))
        if len(accepted) > 1:
            self.tell('S3', who, f'{len(accepted)} accepted completions')
        job = self.h.dump.get(who)
        if accepted and job:
            expected = f'attempt {accepted[0][0]["attempt"]}'
            if job['state'] != 'completed':
                self.tell('S3', who, f'an ack was accepted and it is {job["state"]}')
            elif job['result'] != expected:
                self.tell('S3', who, f'its result is {job["result"]!r}, accepted was {expected!r}')
        for call, _ in accepted:
            late = [row for row in self.h.claims[who] if row['asked'] > call['t'] and row['fence'] > call['fence']
                    and row['asked'] > self.heard(who, call)]
            if late:
                self.tell('S6', who, 'claimed after it was completed')

    def heard(self, who, call):
        return next(answer['t'] for asked, answer in self.h.calls[who] if asked is call)

    def leases(self, who):
        """Nobody gets a row before the lease of the one before has passed or was given back."""
        rows = sorted(self.h.claims[who], key=lambda row: row['fence'])
        for row, after in zip(rows, rows[1:]):
            spoken = [call['t'] for call, _ in self.h.calls[who]
                      if call['token'] == row['token'] and call['op'] in GIVES_BACK and call['t'] < after['t']]
            if spoken:
                continue
            until = self.h.lease_end(row, after['asked'])
            if after['t'] < until:
                self.tell('S4', who, f'claimed again {(until - after["t"]) // 1000} ms before its lease was past')

    def attempts(self, who):
        job = self.h.dump.get(who)
        given = {}
        for row in self.h.claims[who] + [start for start, _ in self.h.starts[who]]:
            given[row['fence']] = row['attempt']
        order = [given[fence] for fence in sorted(given)]
        if any(b <= a for a, b in zip(order, order[1:])):
            self.tell('S5', who, f'attempts in the order of fences are {order}')
        if job and order and job['attempt'] < order[-1]:
            self.tell('S5', who, f'attempt {order[-1]} was given, the store says {job["attempt"]}')
        if job and job['failures'] > job['max_attempts']:
            self.tell('S5', who, f'{job["failures"]} failures of {job["max_attempts"]}')

    def bytes(self, who):
        put, job = self.h.jobs.get(who), self.h.dump.get(who)
        if not put:
            return
        for row in self.h.claims[who]:
            if row['sum'] != put['sum']:
                self.tell('S14', who, 'other bytes were claimed than were put')
            if (row['queue'], row['group']) != (put['queue'], put['group']):
                self.tell('S15', who, f'put into {put["queue"]}/{put["group"]}, claimed from {row["queue"]}/{row["group"]}')
        if job and sum_of(payload_of(job)) != put['sum']:
            self.tell('S14', who, 'other bytes are stored than were put')

    def repeats(self, who):
        first = {}
        for call, answer in self.h.calls[who]:
            before = first.setdefault((call['op'], call['token']), call) is not call
            if answer and answer['status'] == 'ALREADY' and not before:
                self.tell('S11', who, f'ALREADY to the first {call["op"]} under its token')

    # ---- at once ----------------------------------------------------------------------------------------------------

    def limits(self):
        """A row is held for certain from when its claim was heard to the first moment at which it may have been let go."""
        edges = collections.defaultdict(list)
        for rows in self.h.claims.values():
            for row in rows:
                self.hold(edges, row, row['t'], self.h.last_moment(row))
        for pairs in self.h.starts.values():
            for start, end in pairs:
                if self.by_worker(start) and start['id'] in self.h.jobs:
                    job = self.h.jobs[start['id']]
                    until = min(end['t'] if end else NEVER, self.h.last_moment(start))
                    self.hold(edges, job, start['t'], until)
        for (queue, group), list_of in edges.items():
            held = 0
            for _, step, who in sorted(list_of):
                held += step
                if held > LIMITS[queue][0]:
                    self.tell('S9', who, f'{held} of {queue}/{group} at once')

    @staticmethod
    def hold(edges, job, begin, end):
        if job['queue'] in LIMITS and end > begin:
            where = (job['queue'], LIMITS[job['queue']][1](job))
            edges[where] += [(begin, 1, job['id']), (end, -1, job['id'])]

    # ---- at the end --------------------------------------------------------------------------------------------------

    def rest(self):
        for who, job in self.h.dump.items():
            if job['state'] not in ENDED and job['queue'] != TICKS:
                self.tell('L2', who, f'is {job["state"]} at the end')
            if job['state'] in ENDED and not job['finished_at']:
                self.tell('S6', who, f'is {job["state"]} and never ended')
            if job['state'] == 'dead' and not (job['reason'] and job['errors']):
                self.tell('S13', who, f'is dead, reason {job["reason"]!r}, {len(job["errors"])} errors')
        for queue in self.h.stats['queues']:
            rows = collections.Counter(job['state'] for job in self.h.dump.values() if job['queue'] == queue['queue'])
            said = {state: queue[state] for state in ENDED + ('blocked', 'scheduled', 'ready', 'running')}
            if any(rows[state] != count for state, count in said.items()):
                self.tell('S10', queue['queue'], f'counted {said}, there are {dict(rows)}')

    def ticks(self):
        """Of an interval that fires every time it missed: none twice, none left out. A job of it runs at its nominal time, or
        earlier where the store's clock was behind that of schedules: those that lie in step tell which time each has."""
        times = sorted(milliseconds(job['run_at']) for job in self.h.dump.values() if job['queue'] == TICKS)
        if not times:
            return
        in_step = collections.Counter(time % TICK_MS for time in times).most_common(1)[0][0]
        first = next(time - k * TICK_MS for k, time in enumerate(times) if time % TICK_MS == in_step)
        for k, time in enumerate(times):
            nominal = first + k * TICK_MS
            if time > nominal or (time < nominal and time % TICK_MS == in_step):
                self.tell('S12', TICKS, f'number {k} should have the time {nominal}, and runs at {time}')
                return

    def all(self):
        self.puts()
        self.keys()
        self.tokens()
        for who in list(self.h.jobs):
            self.fencing(who)
            self.completions(who)
            self.leases(who)
            self.attempts(who)
            self.bytes(who)
            self.repeats(who)
        self.limits()
        self.rest()
        self.ticks()
        if self.pruned:
            self.totals()
            self.removals()
        return self.violations


def is_removal(event):
    return event['state'] == 'removed' and event['reason'] == 'RETENTION'


def milliseconds(text):
    return round(datetime.datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp() * 1000)


def payload_of(job):
    return base64.b64decode(job['payload_base64']) if job.get('payload_base64') else (job['payload'] or '').encode()


def counts_of(history, violations):
    of = collections.Counter(rule for rule, _, _ in violations)
    said = [answer['status'] for pairs in history.calls.values() for _, answer in pairs if answer]
    return {
        'kills': history.driver['kill'], 'server_kills': history.driver['server'], 'pauses': history.driver['pause'],
        'cuts': history.driver['cut'], 'jobs': sum(job['queue'] != TICKS for job in history.dump.values()),
        'lost': of['S1'], 'double_completed': of['S3'], 'stuck': of['L2'],
        'attempts_over_max': sum(rule == 'S5' and 'failures of' in what for rule, _, what in violations),
        'unique_violations': of['S7'], 'limit_violations': of['S9'], 'other_violations':
            len(violations) - of['S1'] - of['S3'] - of['L2'] - of['S7'] - of['S9'],
        'stale_acks_rejected': said.count('STALE'), 'already': said.count('ALREADY'), 'unknown_outcomes': history.unknown,
        'duplicates': sum(bool(line) and line['status'] == 'DUPLICATE' for puts in history.puts.values() for _, _, line in puts),
        'expiries': sum(job['crashes'] for job in history.dump.values()), 'slow_expiries': history.slow_expiries(),
        'pruned': sum(map(is_removal, history.events)),
        'dead': sum(job['state'] == 'dead' for job in history.dump.values()),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('folder')
    parser.add_argument('--pruned', action='store_true')
    parser.add_argument('--floor', action='append', default=[])
    options = parser.parse_args()
    history = History(options.folder, options.pruned)
    violations = Judge(history, options.pruned).all()
    counts = counts_of(history, violations)
    failed = bool(violations)
    for rule, who, what in violations[:100]:
        print(rule, who, what)
    if len(violations) > 100:
        print(f'... and {len(violations) - 100} more')
    for floor in options.floor:
        name, least = floor.split('=')
        if counts[name] < int(least):
            print(f'FLOOR {name} {counts[name]} of {least}')
            failed = True
    print(json.dumps(counts))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
