#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The commands of doc/operations.md do what the page says: test_operations.py JOBQ CLOCK

Each section is run against a store that has its trouble; afterwards the trouble must be gone."""
import json
import os
import re
import subprocess
import sys
import tempfile

from page import Tap, read

MAY_FIND = ('health', 'doctor') # 1 when they found something
CAPTION = re.compile(r'^##+ (.*)$', re.M)


def sections():
    """(title, [command, ...]) of every heading that has commands, in order."""
    parts = CAPTION.split(read('doc/operations.md'))
    for title, text in zip(parts[1::2], parts[2::2]):
        lines = [line for block in re.findall(r'^```sh\n(.*?)^```$', text, re.M | re.S)
                 for line in block.replace('\\\n', ' ').splitlines() if line.strip()]
        if lines:
            yield title, lines


class Place:
    """A store of its own for each section."""

    def __init__(self, jobq, clock, folder):
        self.jobq_name, self.clock, self.folder = jobq, clock, folder
        self.store = 'sqlite:' + os.path.join(folder, 'queue.db')
        self.env = dict(os.environ, PATH=os.path.dirname(jobq) + ':' + os.environ['PATH'], JOBQ_STORE=self.store, QUEUE='mail',
                        ID='')
        self.jobq('events', '--keep', '1000')
        self.jobq('enqueue', 'idle', 'x') # so that every queue of the page can be asked for
        self.jobq('work', 'idle', '--drain', '--', 'true')

    def jobq(self, *words):
        done = subprocess.run([self.jobq_name, *words, '--json'], env=self.env, cwd=self.folder, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)
        return json.loads(done.stdout) if done.stdout.strip().startswith(('{', '[')) and '\n{' not in done.stdout.strip() else done.stdout

    def put(self, queue='mail', *more):
        return self.jobq('enqueue', queue, 'x', *more)['id']

    def advance(self, ms):
        subprocess.run([self.clock, self.store, str(ms)], check=True, timeout=60)

    def run(self, line):
        return subprocess.run(['sh', '-c', line], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)

    def state(self, job):
        return self.jobq('show', job).get('state')


def die(place, count=1, queue='mail'):
    for _ in range(count):
        job = place.put(queue, '--max-attempts', '1')
        place.jobq('work', queue, '--drain', '--', 'sh', '-c', 'echo the server is away >&2; exit 1')
    return job


# --- the troubles: each returns the job they are about and what must be so afterwards

def stuck(place):
    job = place.put()
    place.jobq('claim', 'mail', '--lease', '1000')
    place.advance(60000)
    return job, lambda: place.state(job) == 'cancelled' and place.jobq('stats')['total']['stuck'] == 0


def errors(place):
    job = die(place, 3)
    return job, lambda: (place.jobq('dead') == [] and
                         sorted(row['state'] for row in place.jobq('list', '--queue', 'mail')) in (['ready'] * 2, ['ready', 'scheduled'],
                                                                                                   ['scheduled'] * 2))


def slow(place):
    place.jobq('limit', 'mail', '--concurrency', '1')
    jobs = [place.put() for _ in range(5)]
    place.jobq('pause', 'mail')
    return jobs[0], lambda: all(place.state(job) == 'completed' for job in jobs)


def memory(place):
    job = place.put()
    place.jobq('work', 'mail', '--drain', '--', 'echo', 'a result')
    return job, lambda: not place.jobq('show', job).get('result')


def callback(place):
    job = place.put('video.face', '--held')
    return job, lambda: place.state(job) == 'cancelled'


def undelivered(place):
    job = die(place, 1, 'video.webhook')
    return job, lambda: place.state(job) == 'ready'


def daily(place):
    return die(place), lambda: True


def weekly_and_monthly(place):
    job = die(place)
    return job, lambda: os.path.getsize(os.path.join(place.folder, 'copy.db')) > 0


def personal(place):
    job = place.put('video.report')
    place.jobq('work', 'video.report', '--drain', '--', 'cat')
    return job, lambda: not place.jobq('show', job).get('state')


TROUBLES = {'Troubles': daily, 'Stuck jobs': stuck, 'Many errors': errors, 'Slow, or growing': slow, 'Memory': memory,
            'A callback that never comes': callback, 'Results that cannot be posted': undelivered,
            'Daily, weekly, monthly': weekly_and_monthly, 'Personal data': personal}


def check(tap, title, lines, place):
    place.env['ID'], is_mended = TROUBLES[title](place)
    problems = []
    for line in lines:
        done = place.run(line)
        words = line.split()
        good = done.returncode == 0 or (done.returncode == 1 and words[1] in MAY_FIND)
        if not good:
            problems.append('%s: %d %s' % (line, done.returncode, done.stdout))
    tap.none(problems, '%s: %d commands run' % (title, len(lines)))
    tap.ok(is_mended(), title + ': what was wrong is mended', json.dumps(place.jobq('list'), indent=1))


def main():
    jobq, clock = sys.argv[1:3]
    with Tap() as tap:
        found = list(sections())
        tap.ok({title for title, _ in found} == set(TROUBLES), 'every section with commands has its trouble here',
               '\n'.join(title for title, _ in found))
        for title, lines in found:
            with tempfile.TemporaryDirectory(prefix='jqo.') as folder:
                if title in TROUBLES:
                    check(tap, title, lines, Place(jobq, clock, folder))
    return tap.status()


if __name__ == '__main__':
    sys.exit(main())
