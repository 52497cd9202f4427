#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""export and import: a namespace from store to store, whole, as often as one likes."""
import json
import os
import subprocess

import tool
from tool import ALL_BYTES, OK, REFUSED, STORE, USAGE


# Those that can be copied; they declare JOBQ_CAP_COPY.
STORES = ('sqlite', 'redis', 'postgres')


def stores_built_in():
    names = json.loads(subprocess.run([tool.JOBQ, 'version', '--json'], stdout=subprocess.PIPE, check=True).stdout)['stores']
    return [name for name in STORES if name in names]


class Copy(tool.Case):
    def address(self, name, number):
        """An empty store of this kind."""
        if name == 'sqlite':
            return 'sqlite:' + os.path.join(self.folder, 'other-%d.db' % number)
        uri = os.environ['JOBQ_TEST_' + name.upper()]  # the surroundings have started a server
        space = 'copy_%d_%d' % (os.getpid(), number)
        return uri + ('&' if '?' in uri else '?') + 'namespace=' + space

    def export(self, uri=None):
        answer = self.run_at(uri or self.uri, 'export')
        self.assertEqual(answer.code, OK, answer)
        return answer.out

    def take(self, uri, text, code=OK):
        answer = self.run_at(uri, '--json', 'import', stdin=text)
        self.assertEqual(answer.code, code, answer)
        return answer

    def populate(self):
        """Some of everything that a store can hold."""
        keyed = ('--key', 'k', '--hold', 'unresolved')
        dead = self.enqueue('q', 'dies', *keyed, '--max-attempts', 1)
        job, token = self.claim('q')
        self.jobq('fail', job, token, 'it \\ "broke"\n')
        self.enqueue('q', '-', '--key', 'w', '--hold', 'window', '--window', 3600000, '--group', 'tenant', stdin=ALL_BYTES)
        job, token = self.claim('q')
        self.jobq('ack', job, token, '-', stdin=ALL_BYTES)
        self.jobq('drop', job)  # its key outlives it
        parent = self.enqueue('q', 'parent', '--priority', 5, '--backoff', 'list:1,2,3')
        self.enqueue('r', 'child', '--after', parent, '--after', dead + ':ignore')
        self.enqueue('r', 'later', '--delay', 100000, '--timeout', 5000, '--expires-in', 900000)
        self.enqueue('r', 'held', '--held', '--trace', '00-' + 32 * 'a' + '-' + 16 * 'b' + '-01')
        self.jobq('cancel', self.enqueue('r', 'x'))
        self.enqueue('parks', 'park')
        job, token = self.claim('parks')
        self.callback = self.json('callback', job, token)['callback']
        self.jobq('park', job, token, 60000)
        self.parked = job
        self.enqueue('runs', 'run')
        self.running, self.token = self.claim('runs')
        self.jobq('progress', self.running, self.token, 'half')
        self.jobq('pause', 'closed')
        self.jobq('limit', 'q', '--depth', 500, '--concurrency', 9, '--group-concurrency', 4, '--rate', '1000/s')
        self.jobq('limit', '--plan', 'gold', '--concurrency', 7, '--quota', '900/1h')
        self.jobq('limit', '--group', 'tenant', '--plan', 'gold', '--rate', '10/5m')
        self.jobq('schedule', 'add', 'leap', '--queue', 's', '--cron', '0 0 29 2 *', '--zone', 'Europe/Istanbul', '--payload',
                  'x', '--key', 'k', '--missed', 'all')
        self.jobq('schedule', 'add', 'often', '--queue', 's', '--every', 86400000, '--anchor', '2020-01-01T00:00:00Z')
        self.jobq('schedule', 'pause', 'often')

    def test_there_and_back(self):
        """a copy of a copy has the same bytes, whatever store lies between"""
        self.populate()
        first = self.export()
        lines = [json.loads(line) for line in first.decode().splitlines()]
        self.assertEqual(lines[0], {'jobq_export': 1})
        self.assertEqual(lines[-1], {'jobq_end': len(lines) - 2})
        self.assertEqual(sorted({line.get('item') for line in lines[1:-1]}), ['job', 'key', 'schedule', 'settings'])
        for number, name in enumerate(stores_built_in()):
            there, back = self.address(name, 2 * number), self.address('sqlite', 2 * number + 1)
            counts = self.take(there, first).json
            self.assertEqual((counts['jobs'], counts['schedules'], counts['already']), (8, 2, 0))
            self.assertEqual(self.export(there), first, name)
            self.take(back, self.export(there))
            self.assertEqual(self.export(back), first, name)

    def test_the_copy_lives(self):
        """in the copy everything goes on: the lease, the callback, the key, the child, the pause"""
        self.populate()
        self.file = os.path.join(self.folder, 'copy.db')
        source, self.uri = self.uri, 'sqlite:' + self.file
        self.take(self.uri, self.export(source))
        self.jobq('ack', self.running, self.token, 'done')
        self.jobq('unpark', self.callback, 'answer')
        self.assertEqual(self.claim('parks')[0], self.parked)
        self.assertFalse(self.json('enqueue', 'q', 'dies', '--key', 'k')['new'])
        self.assertFalse(self.json('enqueue', 'q', 'other', '--key', 'w')['new'])
        job, token = self.claim('q')
        self.jobq('ack', job, token)
        self.assertEqual(self.counts('r')['blocked'], 1)  # the one that is held; the child is ready
        self.assertEqual([q['paused'] for q in self.json('stats')['queues'] if q['queue'] == 'closed'], [True])
        self.assertEqual(self.run_at(source, 'show', self.running, '--raw', 'result').out, b'')  # the source is as it was

    def test_a_running_job_runs_again(self):
        """a job that ran while it was copied runs again when its lease is past"""
        self.populate()
        source, self.file = self.export(), os.path.join(self.folder, 'copy.db')
        self.uri = 'sqlite:' + self.file
        self.take(self.uri, source)
        self.assertEqual(self.show(self.running)['state'], 'running')
        self.advance(31000)
        job, _ = self.claim('runs')
        self.assertEqual((job, self.show(job)['attempt'], self.show(job)['crashes']), (self.running, 2, 1))

    def test_cut_and_repeated(self):
        """an import that was cut anywhere is repeated and comes to the same end"""
        self.populate()
        for _ in range(5):  # more than one exchange: what came before the cut is there
            self.enqueue('large', '-', stdin=os.urandom(1000000))
        whole = self.export()
        ends = [i + 1 for i, byte in enumerate(whole) if byte == 10]
        uri = self.address('sqlite', 1)
        for cut in ends[:-1:4] + [ends[2] + 7, len(whole) - 1]:
            answer = self.take(uri, whole[:cut], code=USAGE)
            self.assertIn('line ', answer.err)
        counts = self.take(uri, whole).json
        self.assertGreater(counts['already'], 0)
        self.assertEqual(self.export(uri), whole)
        again = self.take(uri, whole).json
        self.assertEqual(again['already'], sum(again[k] for k in ('jobs', 'keys', 'settings', 'schedules')))
        self.assertEqual(self.export(uri), whole)

    def test_many(self):
        """more than fits into one page or one exchange"""
        for _ in range(5):
            self.enqueue('large', '-', stdin=os.urandom(1000000))
        for i in range(20):
            self.enqueue('many', i)
        whole = self.export()
        uri = self.address('sqlite', 1)
        self.assertEqual(self.take(uri, whole).json['jobs'], 25)
        self.assertEqual(self.export(uri), whole)

    def test_what_is_there_stays(self):
        """an id that is there is left as it is"""
        job = self.enqueue('q', 'old')
        whole = self.export()
        self.jobq('cancel', job)
        self.assertEqual(self.take(self.uri, whole).json['already'], 2)
        self.assertEqual(self.show(job)['state'], 'cancelled')

    def test_bad_input(self):
        """what is no export is refused with its line, and nothing of it is taken"""
        good = b'{"jobq_export":1}\n'
        for text in (b'', b'nonsense\n', b'{"jobq_export":99}\n', good, good + b'{"item":"job","queue":"","kind":"k"}\n',
                     good + b'{"item":"job","state":9,"queue":"q","kind":"k"}\n', good + b'\xff\xfe\n',
                     good + b'{"item":"key","hold":77}\n'):
            answer = self.take(self.uri, text, code=USAGE)
            self.assertRegex(answer.err, r'^jobq import: (\w+: )?line \d+: ')
            self.assertEqual(answer.json['status'], 'INVALID')
        self.assertEqual(self.json('list'), [])

    def test_export_warns(self):
        """export says so when jobs are running; what it writes is the same"""
        self.populate()
        answer = self.run_at(self.uri, 'export')
        self.assertIn('1 jobs are running', answer.err)

    def test_files(self):
        """import reads a file; a missing one is exit 2, a missing store of export 4, a full disk 1"""
        self.populate()
        path = self.path('dump', self.export())
        uri = self.address('sqlite', 1)
        self.assertEqual(self.run_at(uri, 'import', path).code, OK)
        self.assertEqual(self.run_at(uri, 'import', path + 'x').code, USAGE)
        self.assertEqual(self.run_at(self.address('sqlite', 2), 'export').code, STORE)
        with open('/dev/full', 'wb') as full:
            done = subprocess.run([tool.JOBQ, '-s', self.uri, 'export'], stdout=full, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, REFUSED)


tool.main()
