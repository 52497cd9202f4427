#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bad input: a definite error that names the field, the right exit code, and no effect (rule 16)."""
import tool
from tool import NO_ID, REFUSED, STORE, USAGE

HUGE = '9' * 30
NAMES = {
    'empty': '',
    '256 bytes': 'x' * 256,
    'a newline': 'a\nb',
    'a tab': 'a\tb',
    'DEL': 'a\x7f',
    'an escape': '\x1b[1m',
    'bytes that are not UTF-8': b'\xff\xfe',
    'half a character': b'a\xc3',
    'an overlong form': b'\xc0\xaf',
    'a surrogate': b'\xed\xa0\x80',
}


class Input(tool.Case):
    def setUp(self):
        super().setUp()
        self.held = self.enqueue('q', 'kept')
        _, self.token = self.claim('q', '--lease', '1h')
        self.before = self.json('list')

    def refused(self, field, *words, code=USAGE, **more):
        """The exit code, and the field in JSON and in the text for people."""
        answer = self.jobq('--json', *words, code=code, **more)
        self.assertEqual(answer.json['field'], field, words)
        if code == USAGE:
            self.assertEqual(answer.json['status'], 'INVALID')
        self.assertIn(field, answer.err)

    def unchanged(self):
        """What was refused had no effect."""
        self.assertEqual(self.json('list'), self.before)

    def test_names(self):
        """names of queue, kind, group and worker: 1 to 255 bytes of UTF-8 without control characters"""
        for name in NAMES.values():
            self.refused('queue', 'enqueue', name, 'x')
            self.refused('kind', 'enqueue', 'q', 'x', '--kind', name)
            self.refused('group', 'enqueue', 'q', 'x', '--group', name)
            self.refused('worker', 'claim', 'q', '--worker', name)
            self.refused('queues', 'claim', name)
            self.refused('queue', 'pause', name)
            self.refused('queue', 'list', '--queue', name)
        self.unchanged()
        self.jobq('enqueue', 'x' * 255, 'y', '--kind', 'ş' * 127, '--group', '\u2028')

    def test_payload(self):
        """payload: over 1 MiB is refused, 1 MiB is not, --payload-max moves the limit up to 64 MiB"""
        limit = 1 << 20
        self.refused('payload', 'enqueue', 'q', '-', stdin=b'x' * (limit + 1))
        self.refused('payload', 'enqueue', 'q', '@' + self.path('big', b'x' * (limit + 1)))
        self.unchanged()
        job = self.enqueue('big', '-', stdin=b'x' * limit)
        self.assertEqual(len(self.show(job)['payload']), limit)
        self.jobq('enqueue', 'big', '-', '--payload-max', 2 * limit, stdin=b'x' * (2 * limit))
        self.jobq('enqueue', 'big', '-', '--payload-max', (64 << 20) + 1, code=USAGE)
        self.jobq('enqueue', 'big', '--payload-max', 0, code=USAGE)

    def test_result_and_key(self):
        """result over 1 MiB, key over 1024 bytes or empty, progress over 4096: refused, the lease kept"""
        self.refused('result', 'ack', self.held, self.token, '-', stdin=b'x' * ((1 << 20) + 1))
        self.refused('key', 'enqueue', 'q', '--key', 'x' * 1025)
        self.refused('key', 'enqueue', 'q', '--key', '')
        self.refused('progress', 'progress', self.held, self.token, '-', stdin=b'x' * 4097)
        self.unchanged()
        self.jobq('enqueue', 'other', '--key', 'x' * 1024)
        self.jobq('progress', self.held, self.token, '-', stdin=b'x' * 4096)
        self.jobq('ack', self.held, self.token, '-', stdin=b'x' * (1 << 20))

    def test_error_text(self):
        """an error text over 8 KiB is cut, never refused (rule 15)"""
        self.jobq('fail', self.held, self.token, '-', stdin=b'a' * 8192 + b'b' * 100000)
        self.assertEqual(self.show(self.held)['errors'][0]['text'], 'a' * 8192)

    def test_durations(self):
        """times: negative, overflowing, huge and malformed ones are refused by the name of their option"""
        bad = [
            '-1',
            '-1s',
            '',
            ' 1',
            '1 s',
            '1x',
            '1.5',
            '0x10',
            'soon',
            HUGE,
            '9007199254740993',
            '9223372036854775807d',
            '106751991168d',
            '1e3',
        ]
        for text in bad:
            for option in ('delay', 'timeout', 'expires-in', 'window'):
                words = ['enqueue', 'q', 'x', '--' + option + '=' + text]
                self.refused(option, *words)
            self.refused('retry-in', 'fail', self.held, self.token, '--retry-in=' + text)
            self.refused('lease', 'claim', 'q', '--lease=' + text)
            self.refused('lease', 'extend', '--', self.held, self.token, text)
            self.refused('delay', 'snooze', '--', self.held, self.token, text)
            self.refused('deadline', 'park', '--', self.held, self.token, text)
            self.refused('older', 'list', '--older=' + text)
            self.refused('timeout', 'wait', self.held, '--timeout=' + text)
            self.refused('io-timeout', 'list', '--io-timeout=' + text)
        for option in ('timeout', 'expires-in'):
            self.refused(option, 'enqueue', 'q', '--' + option, '0')
        self.unchanged()

    def test_leases(self):
        """leases: 100 ms to 24 h"""
        for lease in ('0', '99', '86400001', '25h', '2d'):
            self.refused('lease', 'claim', 'q', '--lease', lease)
            self.refused('lease', 'extend', self.held, self.token, lease)
            self.refused('lease', 'work', 'q', '--lease', lease, '--drain', '--', 'true')
        self.unchanged()

    def test_huge_times_are_kept(self):
        """the largest times are taken and saturate"""
        job = self.enqueue('late', '--delay', '9007199254740992', '--timeout', '9007199254740992')
        self.assertEqual(self.show(job)['state'], 'scheduled')
        self.jobq('list')

    def test_numbers(self):
        """numbers: outside of their range or no number at all"""
        for text in ('-32769', '32768', HUGE, '-' + HUGE, '1.0', '', 'high', '0x1', ' 1'):
            self.refused('priority', 'enqueue', 'q', '--priority=' + text)
        for option in ('max-attempts', 'max-crashes', 'max-snoozes', 'max-releases'):
            for text in ('0', '-1', '65536', HUGE, 'x'):
                self.refused(option, 'enqueue', 'q', '--%s=%s' % (option, text))
        for text in ('0', '-1', '1001', HUGE, 'x'):
            self.refused('limit', 'claim', 'q', '-n', text)
        for text in ('-1', '101', 'x'):
            self.refused('jitter', 'enqueue', 'q', '--jitter=' + text)
        for text in ('0', '1025', 'x'):
            self.refused('jobs', 'work', 'q', '-j', text, '--drain', '--', 'true')
        self.unchanged()
        self.jobq('enqueue', 'other', '--priority', '-32768')
        self.jobq('enqueue', 'other', '--priority', '32767', '--max-attempts', '65535')

    def test_instants(self):
        """--run-at: what is no time"""
        for text in (
            'tomorrow',
            '2030-02-30T00:00:00Z',
            '2030-05-01',
            '2030-05-01T12:00:00',
            '-5',
            '0',
            HUGE,
            '',
            '1969-12-31T23:59:59Z',
            '2030-05-01T25:00:00Z',
        ):
            self.refused('run-at', 'enqueue', 'q', '--run-at=' + text)
        self.refused('run_at_ms', 'enqueue', 'q', '--run-at', '2030-05-01T12:00:00Z', '--delay', '1s')
        self.unchanged()

    def test_words(self):
        """words from a list"""
        for option in ('hold', 'key-scope', 'on-conflict'):
            self.refused(option, 'enqueue', 'q', '--key', 'k', '--' + option, 'never')
        self.refused('key', 'enqueue', 'q', '--hold', 'forever')
        self.refused('key', 'enqueue', 'q', '--on-conflict', 'reject')
        self.refused('window', 'enqueue', 'q', '--key', 'k', '--window', '1s')
        self.refused('key_window_ms', 'enqueue', 'q', '--key', 'k', '--hold', 'window')
        for state in ('', 'waiting', 'READY', 'ready,', 'ready,none', 'x' * 300):
            self.refused('state', 'list', '--state', state)
            self.refused('state', 'purge', '--state', state)
        self.refused('reason', 'list', '--reason', 'poison')
        for shape in (
            '',
            'fixed',
            'fixed:',
            'fixed:1:2',
            'linear:1:2:3',
            'exponential:1:0.5',
            'exponential:1:101',
            'exponential:1:x',
            'exponential:1:2:0',
            'exponential:1:2:3:4',
            'fixed:-1',
            'list',
            'list:1,-1',
            'list:' + ','.join('1' * 33),
            'cubic:1',
            'x' * 2000,
            'exponential:1:nan',
        ):
            self.refused('backoff', 'enqueue', 'q', '--backoff', shape)
        self.unchanged()

    def test_ids(self):
        """ids, tokens, parents"""
        for text in ('', '0', 'x' * 32, '0' * 31, '0' * 33, '0' * 1000):
            for command in ('show', 'wait', 'cancel', 'drop', 'redrive', 'unhold'):
                self.refused('id', command, text)
            self.refused('id', 'enqueue', 'q', '--id', text)
            self.refused('id', 'list', '--after', text)
            self.refused('token', 'ack', self.held, text)
            self.refused('after', 'enqueue', 'q', '--after', text)
            self.refused('callback', 'unpark', text)
        self.refused('after', 'enqueue', 'q', '--after', NO_ID + ':never')
        self.refused('parents', 'enqueue', 'q', '--after', self.held, '--after', self.held)
        self.refused('parents', 'enqueue', 'q', '--id', NO_ID, '--after', NO_ID, code=REFUSED)
        self.refused('trace', 'enqueue', 'q', '--trace', 'x' * 256)
        self.refused('trace', 'enqueue', 'q', '--trace', 'a\nb')
        self.unchanged()

    def test_arguments(self):
        """operands that are missing or too many, options that are not there"""
        for words in (
            ['enqueue'],
            ['enqueue', 'q', 'a', 'b'],
            ['claim'],
            ['ack', self.held],
            ['fail'],
            ['snooze', self.held, self.token],
            ['show'],
            ['show', self.held, 'x'],
            ['list', 'q'],
            ['purge', 'q'],
            ['stats', 'a', 'b'],
            ['queues', 'x'],
            ['doctor', 'x'],
            ['version', 'x'],
            ['pause'],
            ['work'],
            ['work', '--', 'true'],
        ):
            self.refused('arguments', *words)
        self.refused('command', 'work', 'q')
        self.refused('command', 'work', 'q', '--')
        self.refused('command', 'work', 'q', '--', '/nowhere/program')
        self.refused('command', 'work', 'q', '--', self.folder)
        self.refused('command', 'work', 'q', '--', self.path('plain', 'x'))
        self.refused('--never', 'list', '--never')
        self.refused('-z', 'list', '-z')
        self.refused('--queue', 'list', '--queue')
        self.refused('raw', 'show', self.held, '--raw', 'everything')
        self.refused('payload', 'enqueue', 'q', '-', '--key', '-')
        self.refused('payload', 'enqueue', 'q', '@/nowhere/file')
        self.refused('payload', 'enqueue', 'q', '@' + self.folder)
        self.unchanged()

    def test_uris(self):
        """unknown schemes and options of the store's URI"""
        for uri in ('', 'x', self.file, 'mysql://h/db', 'SQLITE:' + self.file, 'sqlite', ':', 'sqlite3:x'):
            self.assertEqual(self.run_at(None, '-s', uri, 'list').code, USAGE, uri)
        for option in (
            'colour=red',
            'namespace=',
            'namespace=a-b',
            'namespace=a%00b',
            'namespace=' + 'x' * 300,
            'synchronous=off',
            'synchronous',
            '=',
            'namespace=a;drop',
            'synchronous=full&synchronous=off',
        ):
            answer = self.run_at(self.uri + '?' + option, '--json', 'list')
            self.assertEqual(answer.code, USAGE, (option, answer))
            self.assertIn(answer.json['field'], ('uri', 'namespace', 'synchronous'))
        for scheme in ('redis://localhost', 'redis+unix:///x', 'postgres://localhost'):
            if scheme.split(':')[0].split('+')[0] not in self.json('version')['stores']:
                self.assertEqual(self.run_at(scheme, 'list').code, STORE)
        self.assertEqual(self.json('list'), self.before)


if __name__ == '__main__':
    tool.main()
