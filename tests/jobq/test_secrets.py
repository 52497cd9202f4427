#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The password of a server's store is never said, whatever goes wrong (rule 16): a canary is searched for in all that the
command prints, in the list of processes, and in what the server logs and shows. What goes wrong has a definite end.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'servers'))
import private  # noqa: E402  pylint: disable=wrong-import-position
import tool  # noqa: E402  pylint: disable=wrong-import-position
from tool import OK, REFUSED, STORE, UNKNOWN, USAGE  # noqa: E402  pylint: disable=wrong-import-position

CANARY = 'Kan4%d' % os.getpid()  # of this run: others look through the list of processes at the same time
PASSWORD, ENCODED = CANARY + '/?@', CANARY + '%2F%3F%40'
USER = 'anna'
COMMANDS = (['enqueue', 'q', 'x'], ['list'], ['claim', 'q'], ['stats'], ['doctor'], ['health'], ['metrics'], ['queues'],
            ['wait', tool.NO_ID], ['work', 'q', '--drain', '--', 'true'], ['export'], ['purge', '--state', 'dead'])
SHORT = (['enqueue', 'q', 'x'], ['stats'], ['doctor'])
ENOUGH_S = 20 * float(os.environ.get('JOBQ_TEST_PATIENCE', '1'))


class Secrets:
    """The tests, for a server of the class `kind`."""

    kind = None
    machine = None

    @classmethod
    def setUpClass(cls):
        cls.place = tempfile.mkdtemp(prefix='jqs.')
        os.chmod(cls.place, 0o755)
        inner = os.path.join(cls.place, 's')
        os.mkdir(inner)
        cls.machine = cls.kind(inner, USER, PASSWORD)

    @classmethod
    def tearDownClass(cls):
        cls.machine.stop()
        shutil.rmtree(cls.place, ignore_errors=True)

    # --- addresses ---

    def at(self, place=None, user=USER, password=ENCODED, base=None, name_space='jobq', more=''):
        place = place or '127.0.0.1:%d' % self.machine.port
        return self.machine.uri(user, password, place, base or self.machine.base) + 'namespace=' + name_space + more

    def no_canary(self, text, what):
        self.assertNotIn(CANARY, text, what)

    def ask(self, uri, words, how, *more):
        """The command with the address given on the command line, in a file or in the environment."""
        if how == 'argument':
            answer = self.run_at(uri, *more, *words)
        elif how == 'file':
            answer = self.run_at('@' + self.path('uri', uri + '\n', 0o600), *more, *words)
        else:
            answer = self.run_at(None, *more, *words, env={'JOBQ_STORE': uri})
        self.no_canary(answer.out.decode('utf-8', 'replace') + answer.err, (how, words))
        return answer

    def fails(self, uri, says, codes=(STORE,), commands=COMMANDS, more=('--io-timeout', '2s')):
        """Every command, however it learns the address, says where and why, and nothing else."""
        for index, words in enumerate(commands):
            for how in ('argument', 'file', 'environment') if index == 0 else ('environment',):
                for form in ('--json',), ():
                    answer = self.ask(uri, words, how, *more, *form)
                    self.assertIn(answer.code, codes, (words, answer))
                    self.assertRegex(answer.out.decode('utf-8', 'replace') + answer.err, says, (words, answer))

    # --- connections that cannot be ---

    def test_unreachable(self):
        """nobody there: host and reason"""
        self.fails(self.at('127.0.0.1:1'), r'127\.0\.0\.1(?s:.)*[Cc]onnection refused')

    def test_no_socket(self):
        """no socket there"""
        self.fails(self.at('/nonexistent/place'), r'/nonexistent/place(?s:.)*No such file', commands=SHORT)

    def test_unknown_host(self):
        """a host that has no address"""
        self.fails(self.at('nobody.invalid:7'), 'nobody.invalid', commands=SHORT, more=('--io-timeout', '5s'))

    def test_wrong_password(self):
        """a wrong password, which holds the canary too"""
        self.fails(self.at(password='no' + CANARY), r'127\.0\.0\.1(?s:.)*([Pp]assword|WRONGPASS)')

    def test_wrong_user(self):
        """a user that is not there"""
        self.fails(self.at(user='carl'), '([Pp]assword|WRONGPASS)', commands=SHORT)

    def test_wrong_database(self):
        """a database that is not there"""
        self.fails(self.at(base=self.machine.wrong_base), r'127\.0\.0\.1(?s:.)*(does not exist|out of range)')

    def test_newer_namespace(self):
        """a namespace of a newer version; doctor looks at it nevertheless"""
        self.assertEqual(self.run_at(self.at(name_space='newer'), 'enqueue', 'q', 'x').code, OK)
        self.machine.make_newer('newer')
        self.fails(self.at(name_space='newer'), '(?i)version', commands=[w for w in COMMANDS if w[0] != 'doctor'])
        answer = self.ask(self.at(name_space='newer'), ['doctor'], 'environment')
        self.assertEqual(answer.code, REFUSED, answer)
        self.assertIn('newer-schema', answer.text)

    def test_no_address(self):
        """what is no address is refused without being repeated"""
        for uri in (self.at(more='&nonsense=' + CANARY), self.at(name_space='a-b'), self.at('127.0.0.1:7x'),
                    self.at(password=CANARY + '%zz'), self.at('[::1:7')):
            for words in SHORT:
                self.assertIn(self.ask(uri, words, 'environment').code, (USAGE, STORE), uri)
        for uri in 'nonsense://u:%s@h' % CANARY, '%s:' % self.machine.name + CANARY:
            for words in SHORT:
                self.assertIn(self.ask(uri, words, 'environment').code, (USAGE, STORE), uri)

    def test_misplaced_password(self):
        """a password that stands where none belongs, or is not written as it has to be"""
        scheme, base = self.machine.name, self.machine.base
        places = (CANARY, CANARY + ':x', 'u:%s@127.0.0.1' % CANARY, '//u:%s@127.0.0.1:1' % CANARY,
                  '%s://u:a@%s@127.0.0.1:1/%s' % (scheme, CANARY, base), '%s://u:1/%s@127.0.0.1:1' % (scheme, CANARY),
                  '%s://u:a?%s@127.0.0.1:1' % (scheme, CANARY), '%s://127.0.0.1:1/%s?password=a&%s=1' % (scheme, base, CANARY),
                  '%s://127.0.0.1:1/%s?password=%s/@:b' % (scheme, base, CANARY))
        for uri in places:
            for words, how in (['doctor'], 'argument'), (['stats'], 'file'), (['enqueue', 'q', 'x'], 'environment'):
                self.assertIn(self.ask(uri, words, how, '--io-timeout', '2s').code, (USAGE, STORE), uri)

    # --- servers that are none, or break off ---

    def strange(self, serve, codes, **more):
        other = private.NoServer(serve)
        self.addCleanup(other.close)
        began = time.monotonic()
        for words in SHORT:
            answer = self.ask(self.at('127.0.0.1:%d' % other.port, **more), words, 'environment', '--io-timeout', '300ms')
            self.assertIn(answer.code, codes, (words, answer))
            self.assertRegex(answer.err, r'127\.0\.0\.1', (words, answer))
        self.assertLess(time.monotonic() - began, ENOUGH_S)

    def test_hangs_up(self):
        """a server that hangs up"""
        self.strange(private.hang_up, (STORE,))

    def test_says_nothing(self):
        """a server that says nothing is waited for no longer than was said"""
        self.strange(private.say_nothing, (STORE,))

    def test_nonsense(self):
        """a server that speaks something else"""
        self.strange(private.say_nonsense, (STORE,))

    def test_repeats(self):
        """a server that repeats the password in its error"""
        self.strange(private.repeat_everything, (STORE,))
        self.strange(private.repeat_everything, (STORE,), more='&sslmode=disable' if self.machine.name == 'postgres' else '')

    def test_breaks_off(self):
        """a server that dies in the middle of an answer: a definite end each time, and afterwards all is in order"""
        uri, codes = self.at(name_space='cut'), set()
        self.assertEqual(self.run_at(uri, 'enqueue', 'q', 'first').code, OK)
        after = 0
        for after in list(range(0, 80, 5)) + list(range(80, 4000, 211)):
            other = private.NoServer(private.cutter(self.machine.port, after))
            cut = self.at('127.0.0.1:%d' % other.port, name_space='cut')
            answer = self.ask(cut, ['enqueue', 'q', 'x', '--id', '%032x' % (1000 + after)], 'environment', '--io-timeout', '5s')
            other.close()
            codes.add(answer.code)
            self.assertIn(answer.code, (OK, STORE, UNKNOWN), answer)
            there = self.run_at(uri, '--json', 'show', '%032x' % (1000 + after)).code == OK
            if answer.code != UNKNOWN: # the command tells the truth
                self.assertEqual(there, answer.code == OK, answer)
            if answer.code == OK:
                break
        self.assertEqual(codes & {OK, STORE}, {OK, STORE}, codes)

    # --- connections that are ---

    def test_stats(self):
        """what stats, doctor and all others say of a store that works"""
        for words in COMMANDS:
            answer = self.ask(self.at(name_space='well'), words, 'environment')
            self.assertIn(answer.code, (OK, REFUSED, 3), (words, answer))
        answer = self.ask(self.at(name_space='well'), ['stats'], 'argument', '--json')
        self.assertRegex(answer.json['store']['engine'], self.machine.engine)
        self.assertIn('127.0.0.1', answer.json['store']['address'])
        if self.machine.name == 'redis': # and by its other ways to be told
            other = 'redis+unix://%s?user=%s&password=%s&namespace=well' % (self.machine.socket, USER, ENCODED)
            self.assertEqual(self.ask(other, ['stats'], 'argument').code, OK)

    def test_processes(self):
        """the list of processes while a worker runs; then its server dies, and it says so without the password"""
        uri = self.at(name_space='work')
        worker = self.start('work', 'q', '--lease', '3s', '--', 'true', uri=uri)
        said = []
        reader = threading.Thread(target=lambda: said.extend(iter(worker.stderr.readline, b'')))
        reader.start()
        self.until_worker(uri)
        self.assertTrue(os.path.exists('/proc/%d' % worker.pid))
        for name in os.listdir('/proc'):
            if name.isdigit():
                try:
                    with open('/proc/%s/cmdline' % name, 'rb') as file:
                        shown = file.read().decode('utf-8', 'replace')
                except OSError:
                    continue
                self.no_canary(shown, 'a process')
        self.no_canary(self.machine.seen(), 'the server')
        self.machine.stop()
        self.assertEqual(self.ask(uri, ['stats'], 'environment').code, STORE)
        self.until(lambda: b'the store fails' in b''.join(said), 'the worker says it')
        self.machine.start()
        self.until(lambda: self.run_at(uri, 'enqueue', 'q', 'x').code == OK, 'the store again')
        self.until(lambda: self.done(uri), 'the worker works again')
        worker.terminate()
        self.assertEqual(worker.wait(tool.DEADLINE_S), OK, said)
        reader.join()
        self.no_canary((b''.join(said) + worker.stdout.read()).decode('utf-8', 'replace'), 'the worker')

    def test_video(self):
        """the video service: no password in what it says, nor in the list of processes"""
        video = os.environ['JOBQ_VIDEO']
        for uri, works in (self.at('127.0.0.1:1'), False), (self.at(password='no' + CANARY), False), (self.at(), True):
            process = subprocess.Popen([video, 'serve', '--store', uri, '--media', self.folder, '--listen', '127.0.0.1:0'],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.started.append(process)
            said = process.stdout.readline() # the address where it listens, or what is wrong
            if works:
                with open('/proc/%d/cmdline' % process.pid, 'rb') as file:
                    shown = file.read().decode()
                self.assertIn('--store', shown)
                self.no_canary(shown, 'the process')
                process.terminate()
            said += process.communicate(timeout=tool.DEADLINE_S)[0] or b''
            self.assertTrue(said)
            self.no_canary(said.decode('utf-8', 'replace'), 'the service')
            self.assertEqual(process.returncode == OK, works, said)

    def done(self, uri):
        answer = self.run_at(uri, '--json', 'stats')
        return answer.code == OK and any(q['completed'] for q in answer.json['queues'])


def tests_of(kind):
    return type(kind.__name__ + 'Secrets', (Secrets, tool.Case), {'kind': kind})


if 'JOBQ_VIDEO' not in os.environ: # a build without the service
    del Secrets.test_video
if 'redis' in os.environ['JOBQ_STORES'].split():
    RedisSecrets = tests_of(private.Redis)
if 'postgres' in os.environ['JOBQ_STORES'].split():
    PostgresSecrets = tests_of(private.Postgres)

if __name__ == '__main__':
    tool.main()
