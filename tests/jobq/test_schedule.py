#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""jobq schedule: what people and scripts meet (lifecycle rule 13)."""
import datetime

import tool
from tool import NOT_FOUND, OK, REFUSED, STORE, USAGE, on_servers


class Schedule(tool.Case):
    def add(self, name='nightly', *words, **more):
        return self.json('schedule', 'add', name, '--queue', 'q', *(words or ('--cron', '0 3 * * *')), **more)

    def advance_to(self, instant):
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(milliseconds=getattr(self, 'moved', 0))
        ms = int((datetime.datetime.fromisoformat(instant.replace('Z', '+00:00')) - now).total_seconds() * 1000) + 1
        self.advance(ms)
        self.moved = getattr(self, 'moved', 0) + ms

    @on_servers
    def test_add(self):
        """add: new, the same again is ALREADY, a change raises the version; list shows it"""
        said = self.add('nightly', '--cron', '0 3 * * *', '--zone', 'Europe/Istanbul', '--payload', 'hello')
        self.assertEqual((said['status'], said['version'], said['paused']), ('OK', 1, False))
        self.assertTrue(said['next_at'].endswith('T00:00:00.000Z'))
        again = self.add('nightly', '--cron', '0 3 * * *', '--zone', 'Europe/Istanbul', '--payload', 'hello')
        self.assertEqual((again['status'], again['version']), ('ALREADY', 1))
        changed = self.add('nightly', '--cron', '0 4 * * *', '--zone', 'Europe/Istanbul', '--payload', 'hello')
        self.assertEqual((changed['status'], changed['version']), ('OK', 2))
        self.add('a', '--every', '90s')
        names = [s['name'] for s in self.json('schedule', 'list')]
        self.assertEqual(names, ['a', 'nightly'])
        self.assertEqual([s['name'] for s in self.json('cron', 'ls', '--after', 'a')], ['nightly'])
        self.assertEqual([s['name'] for s in self.json('schedule', 'list', '-n', '1')], ['a'])
        self.assertEqual(self.json('schedule', 'list')[0]['every_ms'], 90000)
        line = self.jobq('schedule', 'list').text.splitlines()[1].split('\t')
        self.assertEqual(line[:4] + line[5:], ['nightly', '0 4 * * *', 'Europe/Istanbul', 'q', 'active'])

    @on_servers
    def test_fires(self):
        """a claim fires what is due, once; run_at is the nominal time; the next is later (S12)"""
        due = self.add('s', '--cron', '0 * * * *', '--payload', 'tick')['next_at']
        self.assertEqual(self.json('claim', 'q'), [])
        self.advance_to(due)
        jobs = self.json('claim', 'q', '-n', '10')
        self.assertEqual([(j['payload'], j['run_at']) for j in jobs], [('tick', due)])
        self.assertEqual(self.json('claim', 'q'), [])
        self.assertGreater(self.json('schedule', 'list')[0]['next_at'], due)

    def test_work_fires(self):
        """work of another queue fires it, too"""
        due = self.add('s', '--cron', '0 * * * *')['next_at']
        self.advance_to(due)
        self.jobq('work', 'other', '--drain', '--', 'true')
        self.assertEqual([j['run_at'] for j in self.json('list', '--queue', 'q')], [due])

    def test_missed(self):
        """missed: one by default, skip, all"""
        for missed, count in (('one', 1), ('skip', 0), ('all', 4)):
            self.json('schedule', 'add', missed, '--queue', missed, '--cron', '0 * * * *', '--missed', missed)
        first = self.json('schedule', 'next', 'one', '-n', '1')[0]
        self.advance_to(first)
        self.advance(3 * 3600000 + 600000)
        self.jobq('sweep')
        self.assertEqual([len(self.json('list', '--queue', m)) for m in ('one', 'skip', 'all')], [1, 0, 4])

    def test_pause_and_resume(self):
        """pause, resume: what passes meanwhile is not fired; twice is ALREADY"""
        due = self.add('s', '--cron', '0 * * * *', '--missed', 'all')['next_at']
        self.assertEqual(self.json('schedule', 'pause', 's')['status'], 'OK')
        self.assertEqual(self.json('schedule', 'pause', 's')['status'], 'ALREADY')
        self.advance_to(due)
        self.jobq('sweep')
        said = self.json('schedule', 'resume', 's')
        self.assertEqual((said['status'], said['paused']), ('OK', False))
        self.jobq('sweep')
        self.assertEqual(self.json('list'), [])
        self.assertGreater(said['next_at'], due)

    def test_run_and_remove(self):
        """run: a job now, the times stay; remove: its jobs stay, again is 3"""
        due = self.add('s')['next_at']
        said = self.json('schedule', 'run', 's')
        self.assertEqual((said['new'], said['state']), (True, 'ready'))
        self.assertEqual(self.json('schedule', 'list')[0]['next_at'], due)
        self.assertEqual(self.json('schedule', 'remove', 's'), {'name': 's', 'status': 'OK'})
        self.assertEqual([j['id'] for j in self.json('list')], [said['id']])
        for verb in ('remove', 'pause', 'resume', 'run', 'next', 'edit'):
            self.jobq('schedule', verb, 's', code=NOT_FOUND)

    def test_edit(self):
        """edit: only what is named changes; an interval takes the place of an expression and back"""
        self.add('s', '--cron', '0 3 * * *', '--zone', 'Asia/Tokyo', '--payload', 'p', '--key', 'k', '--priority', '5')
        said = self.json('schedule', 'edit', 's', '--priority', '7')
        self.assertEqual((said['cron'], said['zone'], said['payload'], said['key'], said['priority'], said['version']),
                         ('0 3 * * *', 'Asia/Tokyo', 'p', 'k', 7, 2))
        said = self.json('schedule', 'edit', 's', '--every', '1h')
        self.assertEqual((said['cron'], said['zone'], said['every_ms'], said['payload']), (None, None, 3600000, 'p'))
        said = self.json('schedule', 'edit', 's', '--cron', '@daily', '--queue', 'r')
        self.assertEqual((said['cron'], said['queue'], 'every_ms' in said), ('@daily', 'r', False))

    def test_next(self):
        """next: of a stored one, and of an expression without any store; gaps and zones"""
        self.add('s', '--cron', '0 9 * * 1', '--zone', 'Europe/Berlin')
        self.assertEqual(self.json('schedule', 'next', 's', '-n', '2', '--after', '2026-03-23T12:00:00Z'),
                         ['2026-03-30T07:00:00.000Z', '2026-04-06T07:00:00.000Z'])
        self.assertEqual(len(self.json('schedule', 'next', 's')), 5)
        said = self.run_at(None, '--json', 'schedule', 'next', '--cron', '30 2 * * *', '--zone', 'Europe/Berlin',
                           '--after', '2026-03-28T12:00:00Z', '-n', '1')
        self.assertEqual((said.code, said.json), (OK, ['2026-03-29T01:00:00.000Z']))
        self.jobq('schedule', 'next', code=USAGE)
        self.jobq('schedule', 'next', 's', '--cron', '@daily', code=USAGE)

    def test_bad_input(self):
        """bad input: 2, the field by its name, no effect (rule 16)"""
        for field, words in (
            ('queue', ['add', 's', '--cron', '@daily']),
            ('cron', ['add', 's', '--queue', 'q']),
            ('cron', ['add', 's', '--queue', 'q', '--cron', '0 25 * * *']),
            ('cron', ['add', 's', '--queue', 'q', '--cron', '0 0 30 2 *']),
            ('cron', ['add', 's', '--queue', 'q', '--cron', '@every 5ms']),
            ('zone', ['add', 's', '--queue', 'q', '--cron', '@daily', '--zone', '../../etc/passwd']),
            ('zone', ['add', 's', '--queue', 'q', '--cron', '@daily', '--zone', 'Mars/Phobos']),
            ('every', ['add', 's', '--queue', 'q', '--every', '999']),
            ('every_ms', ['add', 's', '--queue', 'q', '--every', '1s', '--cron', '@daily']),
            ('missed', ['add', 's', '--queue', 'q', '--cron', '@daily', '--missed', 'some']),
            ('late', ['add', 's', '--queue', 'q', '--cron', '@daily', '--late', '0']),
            ('name', ['add', '', '--queue', 'q', '--cron', '@daily']),
            ('limit', ['next', 's', '-n', '1001']),
            ('queue', ['list', '--queue', 'q']),
            ('command', ['frobnicate']),
            ('command', []),
        ):
            said = self.json('schedule', *words, code=USAGE)
            self.assertEqual(said['field'], field, words)
        self.jobq('schedule', 'add', code=USAGE)
        self.jobq('schedule', 'pause', 'a', 'b', code=USAGE)
        self.add('only')
        self.assertEqual(len(self.json('schedule', 'list')), 1)

    def test_no_time_zones(self):
        """without the time zone database: 1, and what to install; UTC works"""
        said = self.json('schedule', 'add', 's', '--queue', 'q', '--cron', '@daily', '--zone', 'Europe/Berlin',
                         env={'TZDIR': self.folder}, code=REFUSED)
        self.assertEqual((said['status'], said['field']), ('UNSUPPORTED', 'zone'))
        self.assertIn('tzdata', said['text'])
        self.jobq('schedule', 'add', 's', '--queue', 'q', '--cron', '@daily', env={'TZDIR': self.folder})

    def test_missing_store(self):
        """verbs that only look or change make no store: 4"""
        for verb in (['list'], ['next', 's'], ['pause', 's'], ['remove', 's'], ['run', 's'], ['edit', 's']):
            self.jobq('schedule', *verb, code=STORE)


if __name__ == '__main__':
    tool.main()
