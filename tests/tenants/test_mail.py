#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Mails: what arrives, what becomes of those that do not, and that there is one record of each whatever is killed."""
import base64
import email
import email.policy
import json
import os
import signal
import sys

import office
from office import Office

MOMENT_MS = 6000 # more than the lease of the tests


def parse(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


class Message(Office):
    def test_text_html_attachment(self):
        """what was put comes out of the parsed message again, escaped where it is HTML"""
        box = self.mailbox()
        picture = bytes(range(256))
        id_ = self.mail('acme', 'ayse@acme.example', subject='Hoş geldiniz — ' + 'çok uzun bir konu ' * 5, body=None,
                        template='welcome', template_data={'name': 'Ayşe <script>alert("1")</script>', 'shop': 'bisiklet&co'},
                        attachments=[{'filename': 'a "b".bin', 'content_type': 'application/octet-stream',
                                      'content_base64': base64.b64encode(picture).decode()},
                                     {'filename': 'not.txt', 'content_type': 'text/plain', 'content': 'satır\n.\nson'}])
        self.work('--smtp', box.url, '--from', 'shop@acme.example', '--templates', office.TEMPLATES)
        (sender, recipient, raw), = box.messages
        self.assertEqual((sender, recipient), ('shop@acme.example', 'ayse@acme.example'))
        message = parse(raw)
        self.assertEqual(message['Subject'], ('Hoş geldiniz — ' + 'çok uzun bir konu ' * 5))
        self.assertEqual((message['From'], message['To']), ('shop@acme.example', 'ayse@acme.example'))
        self.assertEqual(message['Message-ID'], '<%s@acme.example>' % id_)
        self.assertIsNotNone(message['Date'].datetime)
        text = message.get_body(('plain',)).get_content().replace('\r\n', '\n')
        self.assertEqual(text, 'Hello Ayşe <script>alert("1")</script>,\n\nyour shop bisiklet&co is open.')
        html = message.get_body(('html',)).get_content()
        self.assertIn('<b>Ayşe &lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;</b>', html)
        self.assertIn('https://example.com/bisiklet&amp;co', html)
        self.assertNotIn('<script>', html)
        first, second = message.iter_attachments()
        self.assertEqual((first.get_filename(), first.get_content()), ('a "b".bin', picture))
        self.assertEqual((second.get_filename(), second.get_content().replace('\r\n', '\n')), ('not.txt', 'satır\n.\nson'))
        self.assertTrue(all(line.isascii() and len(line) < 1000 for line in raw.splitlines()[:12]))
        self.assertEqual(self.result(id_), {'sent': True, 'message_id': id_ + '@acme.example'})
        self.assertEqual(self.sql('SELECT job_id, tenant_id, recipient FROM sent_emails'),
                         [[id_, 'acme', 'ayse@acme.example']])

    def test_what_is_no_mail(self):
        """is refused when it is put; no line of a header comes from a tenant"""
        for data in ({'to': 'a@b.example\r\nBcc: c@d.example', 'subject': 's', 'body': 'b'}, {'to': 'nobody', 'subject': 's',
                     'body': 'b'}, {'to': 'a@b.example', 'subject': 's\nX: y', 'body': 'b'}, {'to': 'a@b.example', 'subject': 's'},
                     {'to': 'a@b.example', 'subject': 's', 'body': 'b', 'attachments': [{'filename': 'x'}]}):
            done = self.call('put', 'email', 'acme', json.dumps(data), status=1)
            self.assertFalse(json.loads(done.stdout)['success'])
        self.call('put', 'email', '../etc', '{"to":"a@b.example","subject":"s","body":"b"}', status=1)
        self.assertEqual(self.jobs('email'), [])

    def test_template_without_data(self):
        """dies at once and says which name is missing; another template leads nowhere else"""
        box = self.mailbox()
        one = self.mail('acme', 'a@b.example', body=None, template='welcome', template_data={'name': 'x'})
        other = self.mail('acme', 'a@b.example', body=None, template='../meson', template_data={})
        self.work('--smtp', box.url, '--templates', office.TEMPLATES)
        self.assertEqual([self.show(id_)['reason'] for id_ in (one, other)], ['PERMANENT'] * 2)
        self.assertIn("'shop'", self.show(one)['errors'][0]['text'])
        self.assertEqual(box.messages, [])


class Failures(Office):
    def test_refused(self):
        """550 is for good: dead at once, and whoever runs it hears of it, by mail too"""
        box = self.mailbox()
        id_ = self.mail('acme', 'refused@acme.example')
        said = self.work('--smtp', box.url, '--alert-to', 'admin@example.com')
        job = self.show(id_)
        self.assertEqual((job['state'], job['reason'], job['attempt']), ('dead', 'PERMANENT', 1))
        self.assertIn('550', job['errors'][0]['text'])
        alert = json.loads([line for line in said.splitlines() if line.startswith('ALERT ')][0][6:])
        self.assertEqual((alert['type'], alert['queue'], alert['job_id'], alert['tenant_id']), ('job_failed', 'email', id_, 'acme'))
        (_, recipient, raw), = box.messages
        self.assertEqual(recipient, 'admin@example.com')
        self.assertEqual(json.loads(parse(raw).get_body(('plain',)).get_content())['job_id'], id_)

    def test_later(self):
        """451: three attempts, 2 s and 4 s apart, then dead; an operator brings it back"""
        box = self.mailbox()
        id_ = self.mail('acme', 'later@acme.example')
        waits = []
        for _ in range(3):
            self.work('--smtp', box.url)
            job = self.show(id_)
            waits.append(self.ms(job['run_at']) - self.ms(job['errors'][-1]['at']) if job['state'] == 'scheduled' else job['reason'])
            self.advance(MOMENT_MS)
        self.assertEqual(waits, [2000, 4000, 'ATTEMPTS'])
        self.assertEqual(box.refusals['later@acme.example'], 3)
        groups = self.jobq('dead', '--by-error')
        self.assertIn('RCPT failed', groups[0]['error'])
        self.jobq('redrive', id_)
        self.assertEqual(self.show(id_)['state'], 'ready')

    def test_dropped(self):
        """the server goes away in the middle: it is sent again"""
        box = self.mailbox()
        id_ = self.mail('acme', 'drop@acme.example')
        self.work('--smtp', box.url)
        self.assertEqual(self.show(id_)['state'], 'scheduled')
        self.advance(MOMENT_MS)
        self.work('--smtp', box.url)
        self.assertEqual([box.count('drop@acme.example'), self.show(id_)['state']], [1, 'completed'])

    def test_slow_server(self):
        """longer than --smtp-timeout is a failure like any other"""
        box = self.mailbox()
        box.hold()
        id_ = self.mail('acme', 'a@acme.example')
        self.work('--smtp', box.url, '--smtp-timeout', 300)
        job = self.show(id_)
        self.assertEqual(job['state'], 'scheduled')
        self.assertIn('timeout', job['errors'][0]['text'])
        box.release()

    def test_nobody_listens(self):
        """no server: nothing is lost"""
        id_ = self.mail('acme', 'a@acme.example')
        self.work('--smtp', 'smtp://127.0.0.1:1')
        self.assertEqual((self.show(id_)['state'], self.show(id_)['attempt']), ('scheduled', 1))


class Keys(Office):
    def test_same_content(self):
        """is one mail, also when the first is long gone; other content is another"""
        box = self.mailbox()
        first = self.put('email', 'acme', to='a@acme.example', subject='Welcome!', body='b')
        again = self.put('email', 'acme', body='b', subject='Welcome!', to='a@acme.example')
        other = self.put('email', 'other', to='a@acme.example', subject='Welcome!', body='b')
        self.assertEqual([first['new'], again['new'], other['new']], [True, False, True])
        self.assertEqual(first['job_id'], again['job_id'])
        self.work('--smtp', box.url)
        self.jobq('purge', '--state', 'completed', '--queue', 'email')
        self.assertFalse(self.put('email', 'acme', to='a@acme.example', subject='Welcome!', body='b')['new'])
        self.work('--smtp', box.url)
        self.assertEqual(len(box.messages), 2)

    def test_bulk(self):
        """one job each, 100 ms apart, priority as given; again is nothing new"""
        box = self.mailbox()
        self.tenants('tenant', 'acme', 'pro')
        data = json.dumps({'to': ['u%d@acme.example' % i for i in range(20)], 'subject': 's', 'body': 'b', 'priority': 7})
        self.assertEqual(self.tenants('bulk', 'acme', data), {'success': True, 'count': 20, 'new': 20, 'refused': 0})
        jobs = self.jobs('email')
        self.assertEqual([self.ms(job['run_at']) - self.ms(jobs[0]['run_at']) for job in jobs], [100 * i for i in range(20)])
        self.assertEqual({job['priority'] for job in jobs}, {7})
        self.assertEqual(self.tenants('bulk', 'acme', data)['new'], 0)
        self.advance(MOMENT_MS)
        self.work('--smtp', box.url)
        self.assertEqual(sorted(m[1] for m in box.messages), sorted('u%d@acme.example' % i for i in range(20)))

    def test_already_sent(self):
        """what has a record is not sent"""
        box = self.mailbox()
        id_ = self.mail('acme', 'a@acme.example')
        self.sql("INSERT INTO sent_emails VALUES ('%s', 'acme', 'a@acme.example', 'm', 1)" % id_)
        self.work('--smtp', box.url)
        self.assertEqual(self.result(id_), {'skipped': True, 'reason': 'already_sent'})
        self.assertEqual(box.messages, [])


STEPS = {'looked': 1, 'sent': 2, 'begun': 2, 'recorded': 2, 'acked': 2, 'committed': 1}


class Once(Office):
    def test_killed_between_steps(self):
        """one record and one end of the job, wherever it is killed; a repetition has the same Message-ID"""
        if office.STORE == 'redis':
            done = self.call('--send-once', 'work', status=2)
            self.assertIn('Redis cannot take part in a transaction', done.stderr)
            self.assertIn('sqlite:FILE or postgres:', done.stderr)
            return
        box = self.mailbox()
        for step, sent in STEPS.items():
            id_ = self.mail('acme', step + '@acme.example')
            self.work('--smtp', box.url, '--send-once', '--die-at', step, status=-signal.SIGKILL)
            told = self.sql("SELECT count(*) FROM sent_emails WHERE job_id = '%s'" % id_)
            self.assertEqual((told, self.show(id_)['state']),
                             ([['1']], 'completed') if step == 'committed' else ([['0']], 'running'), step)
            self.advance(MOMENT_MS)
            self.work('--smtp', box.url, '--send-once')
            self.assertEqual(self.sql("SELECT count(*) FROM sent_emails WHERE job_id = '%s'" % id_), [['1']], step)
            self.assertEqual(self.result(id_)['sent'], True)
            found = [parse(m[2])['Message-ID'] for m in box.messages if m[1].startswith(step)]
            self.assertEqual((len(found), len(set(found))), (sent, 1), step)
        self.assertEqual(self.sql('SELECT count(*) FROM sent_emails'), [[str(len(STEPS))]])

    def test_overtaken(self):
        """a worker whose job was given to another writes no record"""
        if office.STORE == 'redis':
            done = self.call('--database', 'sqlite:%s/x.db' % self.folder, '--send-once', 'work', status=2)
            self.assertIn('Redis', done.stderr)
            return
        box = self.mailbox()
        box.hold()
        id_ = self.mail('acme', 'a@acme.example')
        slow = self.worker('--smtp', box.url, '--send-once')
        office.until('it is at the server', lambda: box.now['acme.example'] == 1)
        os.kill(slow.process.pid, signal.SIGSTOP)
        self.advance(MOMENT_MS)
        box.release()
        self.work('--smtp', box.url, '--send-once')
        self.assertEqual(self.show(id_)['state'], 'completed')
        os.kill(slow.process.pid, signal.SIGCONT)
        self.assertEqual(slow.stop(), 0)
        self.assertEqual(self.sql('SELECT count(*) FROM sent_emails'), [['1']])
        self.assertEqual(self.show(id_)['attempt'], 2)


if __name__ == '__main__':
    sys.exit(office.main())
