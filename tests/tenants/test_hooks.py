#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Webhooks and notifications: what the tenant's server gets, what the log says, and when they are tried again."""
import json
import sys
import threading

import office
from office import Office
from receivers import signature

OPEN = ('--allow-http', '--allow-net', '127.0.0.1')


class Hooks(Office):
    def deliveries(self, *columns):
        return self.sql('SELECT %s FROM webhook_deliveries ORDER BY attempt, webhook_id' % ', '.join(columns))

    def test_signed(self):
        """body, signature, event and attempt arrive; the log has one line"""
        receiver = self.receiver()
        self.hook('h1', 'acme', 'order.created', receiver.url + '/in')
        self.assertEqual(self.event('acme', 'order.created', {'order': 7, 'who': 'Ayşe'}, 'e1')['webhooks'], 1)
        job, = self.jobs('webhook')
        self.assertNotIn(office.SECRET, json.dumps(job))
        self.work(*OPEN)
        request, = receiver.requests
        self.assertEqual(request['path'], '/in')
        self.assertEqual(json.loads(request['body']), {'order': 7, 'who': 'Ayşe'})
        headers = request['headers']
        self.assertEqual(headers['X-Webhook-Signature'], signature(office.SECRET, request['body']))
        self.assertNotEqual(headers['X-Webhook-Signature'], signature('another', request['body']))
        self.assertEqual((headers['X-Event-Type'], headers['X-Attempt'], headers['X-Webhook-Delivery'], headers['Content-Type']),
                         ('order.created', '1', job['id'], 'application/json'))
        self.assertEqual(self.deliveries('job_id', 'webhook_id', 'tenant_id', 'attempt', 'status', 'http_status', 'error'),
                         [[job['id'], 'h1', 'acme', '1', 'success', '200', '']])
        self.assertEqual(self.result(job['id'])['status'], 200)

    def test_fan_out(self):
        """to the active webhooks of this tenant for this event, and once for each event"""
        receiver = self.receiver()
        for id_, tenant, event in (('a', 'acme', 'paid'), ('b', 'acme', 'paid'), ('c', 'acme', 'paid'), ('d', 'acme', 'sent'),
                                   ('e', 'other', 'paid')):
            self.hook(id_, tenant, event, '%s/%s' % (receiver.url, id_))
        self.tenants('hook', 'b', 'off')
        self.assertEqual(self.event('acme', 'paid', {}, 'e1'), {'success': True, 'webhooks': 2, 'new': 2, 'event_id': 'e1'})
        self.assertEqual(self.event('acme', 'paid', {}, 'e1')['new'], 0)
        self.work(*OPEN)
        self.assertEqual(sorted(r['path'] for r in receiver.requests), ['/a', '/c'])
        self.assertEqual(self.event('acme', 'paid', {}, 'e1')['new'], 0)
        self.assertEqual(self.event('acme', 'paid', {})['new'], 2)
        self.assertEqual(self.event('nobody', 'paid', {})['webhooks'], 0)
        self.call('event', 'acme', 'paid', '7', status=2)

    def test_five_attempts(self):
        """5, 10, 20 and 40 s apart, then dead; an alert; grouped, brought back and delivered"""
        answers = [500]
        receiver = self.receiver(lambda request: (answers[0], {}, b'no'))
        self.hook('h1', 'acme', 'paid', receiver.url)
        self.event('acme', 'paid', {'n': 1})
        id_ = self.jobs('webhook')[0]['id']
        waits = []
        for attempt in range(1, 6):
            said = self.work(*OPEN)
            job = self.show(id_)
            self.assertEqual(job['attempt'], attempt)
            waits.append(self.ms(job['run_at']) - self.ms(job['errors'][-1]['at']) if job['state'] == 'scheduled' else job['state'])
            self.advance(41000)
        self.assertEqual(waits, [5000, 10000, 20000, 40000, 'dead'])
        self.assertEqual(job['errors'][-1]['text'], 'Webhook failed after 5 attempts: HTTP 500')
        self.assertEqual([r['headers']['X-Attempt'] for r in receiver.requests], ['1', '2', '3', '4', '5'])
        self.assertEqual(self.deliveries('attempt', 'status', 'http_status', 'error'),
                         [[str(n), 'failed', '500', 'HTTP 500'] for n in range(1, 6)])
        alert = json.loads([line for line in said.splitlines() if line.startswith('ALERT ')][0][6:])
        self.assertEqual((alert['queue'], alert['job_id'], alert['tenant_id'], alert['reason']), ('webhook', id_, 'acme', 'ATTEMPTS'))
        group, = self.jobq('dead', '--by-error')
        self.assertEqual((group['count'], group['reason'], group['newest']), (1, 'ATTEMPTS', id_))
        answers[0] = 204
        self.jobq('redrive', '--all', '--queue', 'webhook')
        self.work(*OPEN)
        self.assertEqual(self.result(id_)['status'], 204)
        self.assertEqual(receiver.requests[-1]['headers']['X-Webhook-Delivery'], id_)

    def test_slow_receiver(self):
        """is given up after --webhook-timeout; one that says when to come back is believed"""
        let_go = threading.Event()
        self.addCleanup(let_go.set)

        def answer(request):
            if request['path'] == '/slow':
                let_go.wait(office.kit.LIMIT_S)
            return 429, {'Retry-After': '77'}, b''
        receiver = self.receiver(answer)
        self.hook('slow', 'acme', 'one', receiver.url + '/slow')
        self.hook('busy', 'acme', 'two', receiver.url + '/busy')
        self.event('acme', 'one', {})
        self.event('acme', 'two', {})
        self.work(*OPEN, '--webhook-timeout', 300)
        slow, busy = sorted(self.jobs('webhook'), key=lambda job: json.loads(job['payload'])['event'])
        self.assertIn('timed out', self.show(slow['id'])['errors'][0]['text'])
        self.assertEqual(self.ms(busy['run_at']) - self.ms(self.show(busy['id'])['errors'][0]['at']), 77000)
        self.assertEqual(sorted(row[1:] for row in self.deliveries('attempt', 'webhook_id', 'http_status')),
                         [['busy', '429'], ['slow', '']])

    def test_closed_addresses(self):
        """nothing is posted into our own network unless it was opened; what is gone is not asked again"""
        receiver = self.receiver(lambda request: (410, {}, b''))
        self.hook('h1', 'acme', 'paid', receiver.url)
        self.event('acme', 'paid', {})
        self.work()
        self.work('--allow-http')
        self.assertEqual(receiver.requests, [])
        self.event('acme', 'paid', {})
        self.work(*OPEN)
        self.assertEqual(len(receiver.requests), 1)
        self.assertEqual([(job['state'], job['reason']) for job in self.jobs('webhook')], [('dead', 'PERMANENT')] * 2)
        self.event('acme', 'paid', {})
        self.tenants('hook', 'h1', 'off')
        self.work(*OPEN)
        self.assertEqual(len(receiver.requests), 1)

    def test_notification(self):
        """a signed request of its own queue"""
        receiver = self.receiver()
        self.hook('n', 'acme', 'notification', receiver.url)
        self.event('acme', 'notification', {'user_id': 7, 'title': 'Merhaba'})
        self.work(*OPEN)
        request, = receiver.requests
        self.assertEqual(request['headers']['X-Webhook-Signature'], signature(office.SECRET, request['body']))
        self.assertEqual(json.loads(request['body'])['title'], 'Merhaba')
        self.assertEqual([job['kind'] for job in self.jobs('notification', 'completed')], ['send-notification'])

    def test_limiter(self):
        """no second holds more than 100 starts"""
        receiver = self.receiver()
        self.tenants('tenant', 'acme', 'enterprise')
        for i in range(250):
            self.sql_many.append("('w%03d', 'acme', 'paid', '%s', 's', 1)" % (i, receiver.url))
        self.sql('INSERT INTO webhooks VALUES ' + ', '.join(self.sql_many))
        self.assertEqual(self.event('acme', 'paid', {})['webhooks'], 250)
        self.work(*OPEN)
        starts = sorted(self.ms(job['started_at']) for job in self.jobs('webhook', 'completed'))
        self.assertEqual(len(starts), 250)
        self.assertEqual([at for i, at in enumerate(starts[100:]) if at - starts[i] < 1000], [])

    def setUp(self):
        super().setUp()
        self.sql_many = []


if __name__ == '__main__':
    sys.exit(office.main())
