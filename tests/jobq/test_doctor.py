#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""doctor: each finding is planted and has its line and the command that mends it; a healthy store has none.

What a test cannot make real is planted in test_pure.c: a file on a network file system, and a schema that is
older than the first one.
"""
import os
import shlex

import tool
from tool import OK, REFUSED, STORE, of_a_file, on_servers, quoted


class Doctor(tool.Case):
    def setUp(self):
        super().setUp()
        # A folder of time zones as a machine has them.
        os.makedirs(self.path('zones/Europe'))
        self.path('zones/Europe/London', 'TZif2')
        self.env = {'TZDIR': self.path('zones')}

    def findings(self, *words, env=None, uri=None):
        """[(finding, fact, command)]; the two ways to print them agree, and the exit code fits."""
        env = {**self.env, **(env or {})}
        answer = self.run_at(uri or self.uri, '--json', 'doctor', *words, env=env)
        found = [(f['finding'], f['fact'], f['command']) for f in answer.json]
        self.assertEqual(answer.code, REFUSED if found else OK, answer)
        lines = self.run_at(uri or self.uri, 'doctor', *words, env=env)
        printed = [tuple(line.split('\t')) for line in lines.text.splitlines()]
        self.assertEqual(lines.code, answer.code)
        if self.store != 'sqlite':  # others use the server, too
            found, printed = self.of_this_test(found), self.of_this_test(printed)
        self.assertEqual(printed, found)
        return found

    def of_this_test(self, found):
        return [f for f in found if f[0] != 'other-namespace' or ' in %s_' % self.space in f[1]]

    def one(self, name, *words, **more):
        """The one finding of this name: its fact and command."""
        found = [f for f in self.findings(*words, **more) if f[0] == name]
        self.assertEqual(len(found), 1, (name, found))
        return found[0][1:]

    def command(self, rest):
        return 'jobq -s %s %s' % (quoted(self.uri), rest)

    def mend(self, command):
        """Does what the finding says."""
        words = shlex.split(command)
        self.assertEqual(words[0], 'jobq')
        answer = self.run_at(None, *words[1:])
        self.assertEqual(answer.code, OK, answer)

    @on_servers
    def test_healthy(self):
        """a healthy store that is worked has no finding: nothing on stdout, [] in JSON, exit 0"""
        done = self.enqueue()
        worker = self.start('work', 'q', '--', 'cat')
        self.jobq('wait', done)
        self.enqueue('q', '--delay', '1h')
        self.assertEqual(self.findings(), [])
        answer = self.run_at(self.uri, 'doctor', env=self.env)
        self.assertEqual(self.of_this_test([line.split('\t') for line in answer.text.splitlines()]), [])
        for word in (r'store +(%s) \d' % tool.ENGINES[self.store], 'namespace ' + self.space, 'schema'):
            self.assertRegex(answer.err, word)
        worker.terminate()
        self.assertEqual(self.ended(worker), OK)
        self.assertEqual(self.findings(), [])

    def test_writes_nothing(self):
        """doctor only reads: no file is made, no lease is judged"""
        self.assertEqual(self.run_at(self.uri, 'doctor', env=self.env).code, STORE)
        self.assertFalse(os.path.exists(self.file))
        job = self.enqueue()
        self.claim('q', '--lease', '1s')
        self.advance(2000)
        before = self.show(job)
        self.findings()
        self.assertEqual(self.show(job), before)

    @on_servers
    def test_paused(self):
        """a paused queue with waiting jobs; resume mends it"""
        self.enqueue()
        self.jobq('pause', 'q')
        self.jobq('pause', 'empty')
        fact, command = self.one('paused')
        self.assertEqual(fact, 'queue q is paused and 1 job waits in it')
        self.assertEqual(command, self.command('resume q'))
        self.mend(command)
        self.assertNotIn('paused', [f[0] for f in self.findings()])

    def test_environment_names_the_store(self):
        """with the store from the environment the command needs no -s"""
        self.enqueue()
        self.jobq('pause', 'q')
        answer = self.run_at(None, '--json', 'doctor', env={**self.env, 'JOBQ_STORE': self.uri})
        self.assertEqual([f['command'] for f in answer.json if f['finding'] == 'paused'], ['jobq resume q'])

    def test_quoted(self):
        """names that a shell would take apart are quoted in the command"""
        self.enqueue("it's a queue")
        self.jobq('pause', "it's a queue")
        self.assertEqual(self.one('paused')[1], self.command("resume 'it'\\''s a queue'"))

    @on_servers
    def test_nobody_works(self):
        """a kind that waits and nobody works; a worker of that kind mends it"""
        for _ in range(2):
            self.enqueue('q', '--kind', 'thumbnail')
        fact, command = self.one('nobody-works')
        self.assertEqual(fact, '2 jobs of kind thumbnail are ready in queue q and no worker takes that kind')
        self.assertEqual(command, self.command('work q --kind thumbnail -- COMMAND'))
        other = self.start('work', 'q', '--kind', 'mail', '--', 'true')
        self.until_worker()
        self.one('nobody-works')
        other.terminate()
        self.ended(other)
        self.jobq('pause', 'q')
        right = self.start('work', 'q', '--kind', 'thumbnail', '--', 'true')
        self.until_worker()
        self.assertNotIn('nobody-works', [f[0] for f in self.findings()])
        right.terminate()
        self.ended(right)

    @on_servers
    def test_lease_past(self):
        """a job whose lease has passed; sweep mends it"""
        job = self.enqueue()
        self.claim('q', '--lease', '1s')
        self.assertEqual(self.findings(), [])
        self.advance(1001)
        fact, command = self.one('lease-past')
        self.assertEqual(
            fact, '1 job of queue q has a lease that has passed, such as %s: the worker died or hangs' % job
        )
        self.assertEqual(command, self.command('sweep'))
        self.mend(command)
        self.assertNotIn('lease-past', [f[0] for f in self.findings()])

    @on_servers
    def test_other_namespace(self):
        """somebody works, but in another namespace of the same store"""
        self.enqueue()
        there = self.space + '_api'
        worker = self.start('work', 'q', '--', 'true', uri=self.beside(there))
        self.until_worker(self.beside(there))
        fact, command = self.one('other-namespace')
        self.assertEqual(
            fact, 'nobody works in the namespace %s, but 1 worker does in %s of the same store' % (self.space, there)
        )
        words = shlex.split(command)
        self.assertEqual((words[0], words[1].split('=')[0]), ('export', 'JOBQ_STORE'))
        mended = words[1].split('=', 1)[1]
        self.assertIn('namespace=' + there, mended)
        found = self.run_at(mended, '--json', 'stats').json
        self.assertEqual([w['alive'] for w in found['workers']], [True])
        here = self.start('work', 'elsewhere', '--', 'true')
        self.until_worker()
        self.assertNotIn('other-namespace', [f[0] for f in self.findings()])
        for each in (worker, here):
            each.terminate()
            self.assertEqual(self.ended(each), OK)

    @of_a_file
    def test_namespace_that_is_not_there(self):
        """the same when nothing was ever put into the namespace that is asked for"""
        worker = self.start('work', 'q', '--', 'true')
        self.until_worker()
        answer = self.run_at(self.beside('wrong'), '--json', 'doctor', env=self.env)
        self.assertEqual(answer.code, STORE)
        self.assertEqual([f['finding'] for f in answer.json], ['other-namespace'], answer)
        self.assertEqual(answer.json[0]['command'], "export JOBQ_STORE='%s?namespace=jobq'" % self.uri)
        worker.terminate()
        self.ended(worker)

    @of_a_file
    def test_deleted_file(self):
        """a worker that still has the deleted file open works on another store; ending it mends it"""
        self.enqueue()
        worker = self.start('work', 'q', '--', 'true')
        self.until(lambda: self.counts() == {'completed': 1}, 'done')
        for name in os.listdir(self.folder):
            if name.startswith('store.db'):
                os.unlink(self.path(name))
        answer = self.run_at(self.uri, '--json', 'doctor', env=self.env)
        self.assertEqual((answer.code, [f['finding'] for f in answer.json]), (STORE, ['deleted-file']))
        self.enqueue('q', '--delay', '1h')
        fact, command = self.one('deleted-file')
        self.assertEqual(
            fact,
            'process %d (jobq) has a deleted file of %s open: it works on another store than this one; '
            'end it and start it again' % (worker.pid, os.path.realpath(self.file)),
        )
        self.assertEqual(command, 'kill -TERM %d' % worker.pid)
        worker.terminate()
        self.ended(worker)
        self.assertEqual(self.findings(), [])

    @on_servers
    def test_newer_schema(self):
        """a store that a newer version has written"""
        self.enqueue('q', '--delay', '1h')
        known = self.set_schema(9999)
        fact, command = self.one('newer-schema')
        self.assertIn('the store has schema 9999', fact)
        self.assertIn('knows %d at most' % known, fact)
        self.assertEqual(command, 'jobq version')
        self.set_schema(known)
        self.assertEqual(self.findings(), [])

    @on_servers
    def test_no_time_zones(self):
        """a machine without time zone data"""
        self.enqueue('q', '--delay', '1h')
        fact, command = self.one('no-time-zones', env={'TZDIR': self.path('nothing')})
        self.assertIn(self.path('nothing'), fact)
        self.assertEqual(command, 'apt-get install tzdata')

    @of_a_file
    def test_large_log(self):
        """a write-ahead log over the limit; stopping who holds it, then the command, mends it"""
        worker = self.start('work', 'none', '--', 'true')
        self.until_worker()
        for _ in range(5):
            self.enqueue('q', '-', '--delay', '1h', stdin=b'x' * 100000)
        size = os.path.getsize(self.file + '-wal')
        self.assertGreater(size, 0)
        self.assertEqual(self.findings(), [])
        fact, command = self.one('large-log', '--log-max', str(size - 1))
        self.assertIn('the write-ahead log has %d bytes, more than %d' % (size, size - 1), fact)
        self.assertEqual(command, self.command('sweep'))
        worker.terminate()
        self.assertEqual(self.ended(worker), OK)
        self.mend(command)
        self.assertEqual(self.findings('--log-max', '0'), [])

    def test_several(self):
        """several findings at once, one line each"""
        self.enqueue()
        self.claim('q', '--lease', '1s')
        self.advance(1001)
        self.enqueue('r')
        self.jobq('pause', 'r')
        found = self.findings(env={'TZDIR': '/nowhere'})
        self.assertEqual([f[0] for f in found], ['lease-past', 'paused', 'nobody-works', 'no-time-zones'])


if __name__ == '__main__':
    tool.main()
