#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The other kinds of work, the door, and how the program is started."""
import csv
import hashlib
import json
import os
import subprocess
import sys

import office
from office import Office, kit
from receivers import chat

WEEK_MS = 7 * 86400000


class Tables(Office):
    ORDERS = [(1, 'acme', 'Ayşe, Kadıköy', 'bike "red"', 120050, 1000), (2, 'acme', '=HYPERLINK("x")', 'bell', 900, 2000),
              (3, 'other', 'Mehmet', 'bike', 99900, 1500), (4, 'acme', 'Ayşe, Kadıköy', 'two\nlines', 5000, 9000)]

    def setUp(self):
        super().setUp()
        self.out = os.path.join(self.folder, 'out')
        os.mkdir(self.out)

    def orders(self, *rows):
        self.sql('INSERT INTO orders VALUES ' + ', '.join(
            "(%d, '%s', '%s', '%s', %d, %d)" % row for row in rows or self.ORDERS))

    def read(self, id_):
        result = self.result(id_)
        with open(result['file'], encoding='utf-8', newline='') as file:
            text = file.read()
        self.assertTrue(text.endswith('\r\n'))
        self.assertEqual(os.listdir(os.path.dirname(result['file'])), [os.path.basename(result['file'])])
        rows = list(csv.reader(text.splitlines(keepends=True)))
        self.assertEqual(result['rows'], len(rows) - 1)
        return rows

    def test_report(self):
        """the tenant's rows of the time that was asked for, as CSV"""
        self.orders()
        id_ = self.put('report', 'acme', report_type='orders', params={'from_ms': 0, 'to_ms': 9000}, requested_by=7)['job_id']
        job = self.show(id_)
        self.assertEqual((job['priority'], json.loads(job['payload'])['format']), (5, 'csv'))
        self.work('--out', self.out)
        self.assertEqual(self.read(id_), [['id', 'customer', 'item', 'cents', 'at_ms'],
                                          ['1', 'Ayşe, Kadıköy', 'bike "red"', '120050', '1000'],
                                          ['2', '\'=HYPERLINK("x")', 'bell', '900', '2000']])

    def test_sums(self):
        """of each customer, the largest first"""
        self.orders()
        id_ = self.put('report', 'acme', report_type='customers')['job_id']
        self.work('--out', self.out)
        self.assertEqual(self.read(id_)[1], ['Ayşe, Kadıköy', '2', '125050'])

    def test_what_is_no_report(self):
        """another format is refused, an unknown report dies at once; a folder that is not there is tried again"""
        self.call('put', 'report', 'acme', '{"report_type":"orders","format":"pdf"}', status=1)
        bad = self.put('report', 'acme', report_type='secrets')['job_id']
        good = self.put('report', 'acme', report_type='orders')['job_id']
        self.work('--out', self.folder + '/nowhere')
        self.assertEqual([self.show(id_)['state'] for id_ in (bad, good)], ['dead', 'scheduled'])

    def test_monday(self):
        """0 9 * * 1 in the tenant's zone: the job comes at 9 there, and its report is of the week before"""
        self.tenants('tenant', 'acme', 'pro', 'Europe/Istanbul')
        told = self.tenants('schedule', 'acme', '{"id":"weekly","report_type":"orders"}')
        self.assertEqual(told['schedule'], 'report:acme:weekly')
        again = self.tenants('schedule', 'nobody', '{"id":"weekly","report_type":"orders"}')
        self.assertEqual((again['zone'], again['next'][11:]), ('UTC', '09:00:00.000Z'))
        self.assertEqual((told['zone'], told['next'][11:]), ('Europe/Istanbul', '06:00:00.000Z'))
        due = self.ms(told['next'])
        self.orders((1, 'acme', 'a', 'in', 1, due - WEEK_MS), (2, 'acme', 'a', 'before', 1, due - WEEK_MS - 1),
                    (3, 'acme', 'a', 'after', 1, due))
        self.advance(WEEK_MS)
        self.work('--out', self.out)
        jobs = [job for job in self.jobs('report', 'completed') if job['group'] == 'acme']
        self.assertEqual([(job['kind'], self.ms(job['run_at']) % WEEK_MS) for job in jobs],
                         [('scheduled-report', due % WEEK_MS)])
        if self.ms(jobs[0]['run_at']) == due:
            self.assertEqual([row[2] for row in self.read(jobs[0]['id'])[1:]], ['in'])

    def test_export(self):
        """a whole table of the tenant; others are not given out"""
        self.orders()
        id_ = self.put('export', 'acme', table='orders')['job_id']
        bad = self.put('export', 'acme', table='webhooks')['job_id']
        self.work('--out', self.out)
        self.assertEqual([row[0] for row in self.read(id_)], ['id', '1', '2', '4'])
        self.assertEqual(self.show(bad)['reason'], 'PERMANENT')

    def test_analytics(self):
        """counts by SQL, as the result of the job"""
        self.orders()
        id_ = self.put('analytics', 'acme', metric='orders')['job_id']
        bad = self.put('analytics', 'acme', metric='nothing')['job_id']
        self.work()
        self.assertEqual(self.result(id_), {'metric': 'orders', 'orders': 3, 'cents': 125950, 'customers': 2})
        self.assertEqual(self.show(bad)['reason'], 'PERMANENT')

    def test_cleanup(self):
        """what ended long ago goes, of this tenant alone; dead jobs stay"""
        for tenant in ('acme', 'other'):
            self.put('analytics', tenant, metric='orders')
            self.put('analytics', tenant, metric='nothing')
        self.sql("INSERT INTO webhook_deliveries VALUES ('j', 'w', 'acme', 1, 'success', 200, 1, NULL, 5), "
                 "('j', 'w', 'other', 1, 'success', 200, 1, NULL, 5), ('j', 'w', 'acme', 2, 'success', 200, 1, NULL, %d)"
                 % 9999999999999)
        self.work()
        self.advance(60000)
        id_ = self.put('cleanup', 'acme', older_ms=30000)['job_id']
        self.work()
        self.assertEqual(self.result(id_), {'jobs': 1, 'webhook_deliveries': 1})
        self.assertEqual(sorted((job['group'], job['state']) for job in self.jobs('analytics')),
                         [('acme', 'dead'), ('other', 'completed'), ('other', 'dead')])
        self.assertEqual(self.sql('SELECT count(*) FROM webhook_deliveries'), [['2']])


class Pictures(Office):
    def test_resize(self):
        """a real picture fits into the frame and keeps its shape"""
        os.makedirs(os.path.join(self.folder, 'acme'))
        subprocess.run(['ffmpeg', '-nostdin', '-loglevel', 'error', '-f', 'lavfi', '-i', 'testsrc=size=320x240', '-frames:v', '1',
                        os.path.join(self.folder, 'acme', 'in.png')], check=True, timeout=kit.LIMIT_S)
        self.file('acme/none.png', 'this is no picture')
        self.file('acme/list.png', "ffconcat version 1.0\nfile 'in.png'\n")
        good = self.put('image-processing', 'acme', image='in.png', width=100, height=100)['job_id']
        bad = self.put('image-processing', 'acme', image='none.png', width=100, height=100)['job_id']
        other = self.put('image-processing', 'acme', image='list.png', width=100, height=100)['job_id']
        outside = self.put('image-processing', 'acme', image='../secret', width=100, height=100)['job_id']
        self.work('--media', self.folder)
        probe = subprocess.run(['ffprobe', '-v', 'error', '-show_entries', 'stream=width,height,codec_name', '-of', 'csv=p=0',
                                self.result(good)['file']], check=True, stdout=subprocess.PIPE, text=True, timeout=kit.LIMIT_S)
        self.assertEqual(probe.stdout.strip(), 'png,100,75')
        self.assertEqual([(self.show(id_)['state'], self.show(id_)['reason']) for id_ in (bad, other, outside)],
                         [('dead', 'PERMANENT')] * 3)
        self.assertIn('image:', self.show(outside)['errors'][0]['text'])


class Prompts(Office):
    def test_prompt(self):
        """what is asked, and what is kept of the answer; the receiver stands for a model"""
        model = self.receiver(chat)
        id_ = self.put('ai', 'acme', prompt='kaç kelime var burada', user_id=7)['job_id']
        self.work('--ai-url', model.url + '/v1', '--ai-key-file', self.file('key', 'k-1\n'))
        request, = model.requests
        self.assertEqual((request['path'], request['headers']['Authorization']), ('/v1/chat/completions', 'Bearer k-1'))
        self.assertEqual(json.loads(request['body']), {
            'model': 'gpt-4', 'max_tokens': 1000, 'temperature': 0.7, 'user': 7,
            'messages': [{'role': 'user', 'content': 'kaç kelime var burada'}]})
        self.assertEqual(self.result(id_), {'text': 'test receiver: 4 words', 'model': 'gpt-4',
                                            'usage': {'prompt_tokens': 4, 'completion_tokens': 4}})

    def test_busy_and_refused(self):
        """429 is tried again when it says so, 400 never, an answer that is none again"""
        answers = {'busy': (429, {'Retry-After': '33'}, b''), 'bad': (400, {}, b'too long'), 'odd': (200, {}, b'{"choices":[]}')}
        model = self.receiver(lambda request: answers[json.loads(request['body'])['messages'][0]['content']])
        ids = {prompt: self.put('ai', 'acme', prompt=prompt)['job_id'] for prompt in answers}
        self.work('--ai-url', model.url)
        jobs = {prompt: self.show(id_) for prompt, id_ in ids.items()}
        self.assertEqual({prompt: job['state'] for prompt, job in jobs.items()},
                         {'busy': 'scheduled', 'bad': 'dead', 'odd': 'scheduled'})
        self.assertEqual(self.ms(jobs['busy']['run_at']) - self.ms(jobs['busy']['errors'][0]['at']), 33000)
        self.assertIn('too long', jobs['bad']['errors'][0]['text'])

    def test_end_of_the_worker(self):
        """does not wait for a model; the job goes back without having lost an attempt"""
        model = self.receiver(lambda request: (office.until('the end', lambda: gone), 200, {}, b'')[1:])
        gone = []
        id_ = self.put('ai', 'acme', prompt='p')['job_id']
        program = self.worker('--ai-url', model.url)
        office.until('it asks', lambda: model.requests)
        self.assertEqual(program.stop(), 0)
        gone.append(1)
        job = self.show(id_)
        self.assertEqual((job['state'], job['failures']), ('ready', 0))


class Door(Office):
    ROLES = (('root', 'admin', '*'), ('boss', 'admin', 'acme'), ('hand', 'operator', 'acme'), ('eye', 'viewer', 'acme'))

    def open_door(self):
        lines = ['%s %s %s' % (role, tenant, hashlib.sha256(token.encode()).hexdigest()) for token, role, tenant in self.ROLES]
        program = self.worker('--listen', '127.0.0.1:0', '--token-file', self.file('tokens', '\n'.join(lines)))
        return int(program.line('listening on http://127.0.0.1:'))

    @staticmethod
    def ask(port, method, path, token=None, body=None):
        return kit.ask(port, method, path, body, {'Authorization': 'Bearer ' + token} if token else {})

    def test_queue_stats(self):
        """the nine queues in the seed's form, for administrators of all tenants alone"""
        self.tenants('tenant', 'acme', 'pro')
        for queue, delay in (('analytics', 0), ('analytics', 3600000)):
            self.put(queue, 'acme', metric='orders', delay=delay, n=delay)
        self.put('analytics', 'acme', metric='nothing')
        self.work()
        port = self.open_door()
        statuses = {token: self.ask(port, 'GET', '/admin/queues/stats', token).status for token in (None, 'x', *dict.fromkeys(
            role[0] for role in self.ROLES))}
        self.assertEqual(statuses, {None: 401, 'x': 401, 'root': 200, 'boss': 403, 'hand': 403, 'eye': 403})
        answer = self.ask(port, 'GET', '/admin/queues/stats', 'root').json
        self.assertEqual((answer['success'], [q['queue'] for q in answer['data']]), (True, [
            'email', 'notification', 'webhook', 'report', 'export', 'image-processing', 'ai', 'analytics', 'cleanup']))
        self.assertEqual(answer['data'][7], {'queue': 'analytics', 'waiting': 0, 'active': 0, 'completed': 1, 'failed': 1,
                                             'delayed': 1, 'total': 1})

    def test_closed_without_tokens(self):
        """nobody is let in; another address than this machine's is not listened on"""
        program = self.worker('--listen', '127.0.0.1:0')
        port = int(program.line('listening on http://127.0.0.1:'))
        self.assertEqual(self.ask(port, 'GET', '/admin/queues/stats').status, 403)
        self.assertEqual(self.ask(port, 'POST', '/jobs/analytics', None, {'metric': 'orders'}).status, 403)
        self.call('--listen', '0.0.0.0:0', 'work', status=2)

    def test_put(self):
        """a tenant's token puts jobs of that tenant; over the plan it is 429 with when to come back"""
        port = self.open_door()
        body = {'metric': 'orders', 'tenant_id': 'other'}
        answer = self.ask(port, 'POST', '/jobs/analytics', 'hand', body)
        self.assertEqual((answer.status, answer.json['new']), (202, True))
        self.assertEqual(self.show(answer.json['job_id'])['group'], 'acme')
        other = self.ask(port, 'POST', '/jobs/analytics', 'root', body)
        self.assertEqual(self.show(other.json['job_id'])['group'], 'other')
        self.assertEqual(self.ask(port, 'POST', '/jobs/analytics', 'eye', body).status, 403)
        self.assertEqual(self.ask(port, 'POST', '/jobs/nothing', 'hand', body).status, 400)
        mails = self.ask(port, 'POST', '/jobs/bulk', 'hand',
                         {'to': ['u%d@acme.example' % i for i in range(12)], 'subject': 's', 'body': 'b', 'delay': 3600000})
        self.assertEqual((mails.status, mails.json['count'], mails.json['refused']), (429, 9, 3))
        self.assertEqual(mails.json['error'], 'Rate limit exceeded: 10 jobs/minute')
        self.assertTrue(0 < mails.json['retry_ms'] <= 66000)

    def test_administration(self):
        """is the part that all programs of this kind share"""
        self.put('analytics', 'acme', metric='nothing')
        self.work()
        port = self.open_door()
        self.assertEqual(self.ask(port, 'GET', '/api/v1/queue/stats', 'root').json['failed'], 1)
        self.assertEqual(self.ask(port, 'GET', '/api/v1/queue/jobs?status=failed', 'eye').json['total'], 1)
        self.assertEqual(self.ask(port, 'POST', '/api/v1/queue/retry-failed', 'root', {}).json['retried'], 1)


class Start(Office):
    def test_redis_of_the_environment(self):
        """REDIS_HOST, REDIS_PORT and REDIS_PASSWORD name the store when nothing else does"""
        env = {'REDIS_HOST': '127.0.0.1', 'REDIS_PORT': '1', 'REDIS_PASSWORD': 'p@ss:/w%rd', 'JOBQ_STORE': ''}
        clean = {k: v for k, v in {**os.environ, **env}.items() if k != 'JOBQ_STORE'}
        done = subprocess.run([os.environ['TENANTS'], 'stats'], check=False, env=clean, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=kit.LIMIT_S)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn('127.0.0.1:1', done.stderr)
        self.assertNotIn('p@ss', done.stderr)
        done = subprocess.run([os.environ['TENANTS'], 'stats'], check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=kit.LIMIT_S, env={k: v for k, v in clean.items() if k != 'REDIS_HOST'})
        self.assertEqual((done.returncode, 'REDIS_HOST' in done.stderr), (2, True))

    def test_usage(self):
        """what is no command line ends with 2"""
        for words in (['nothing'], ['put', 'email'], ['tenant', 'a b', 'pro'], ['put', 'email', 'acme', '{'],
                      ['--lease', '1', 'work'], ['--allow-net', 'x', 'work']):
            self.call(*words, status=2)
        self.call('hook', 'unknown', 'off', status=3)
        self.assertEqual(self.call('--help').returncode, 0)


if __name__ == '__main__':
    sys.exit(office.main())
