#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plans: how many jobs of a tenant run at a time, how many it may put in a minute, and that nobody waits for a noisy one.
JOBQ_TEST_FULL has the promised 90,000 jobs."""
import concurrent.futures
import json
import os
import subprocess
import sys

import office
from office import Office, until

FULL = bool(os.environ.get('JOBQ_TEST_FULL'))
PLANS = {'free': (2, 10), 'starter': (5, 50), 'pro': (10, 200), 'enterprise': (20, 1000)}
LATER_MS = 3600000
MINUTE_MS = 66000 # a place of a quota comes free up to a tenth of the period late


class Quota(Office):
    def bulk(self, tenant, first, count, **more):
        """Puts mails; returns how many were taken and the rest of the answer."""
        data = {'to': ['u%d@%s.example' % (first + i, tenant) for i in range(count)], 'subject': 's', 'body': 'b', **more}
        done = subprocess.run(self.arguments('bulk', tenant, json.dumps(data)), check=False, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=office.kit.LIMIT_S)
        return json.loads(done.stdout)

    def test_exact_under_load(self):
        """four processes at once, each with more than the whole: exactly the plan's number is taken"""
        for plan, (_, quota) in PLANS.items():
            self.tenants('tenant', plan, plan)
            each = quota // 2 + 1
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                answers = list(pool.map(lambda n, p=plan, e=each: self.bulk(p, n * 10000, e, delay=LATER_MS), range(4)))
            self.assertEqual(sum(answer['count'] for answer in answers), quota, (plan, answers))
            self.assertGreaterEqual(len([1 for answer in answers if not answer['success']]), 2, answers)
            refused = [answer for answer in answers if not answer['success']][-1]
            self.assertEqual(refused['error'], 'Rate limit exceeded: %d jobs/minute' % quota)
            self.assertTrue(0 < refused['retry_ms'] <= MINUTE_MS, refused)

    def test_come_back(self):
        """not before the time that was named, and then again"""
        for i in range(10):
            self.put('analytics', 'nobody', metric='orders', n=i)
        done = self.call('put', 'analytics', 'nobody', '{"metric":"orders","n":10}', status=1)
        self.assertIn('Rate limit exceeded: 10 jobs/minute', done.stderr)
        wait = json.loads(done.stdout)['retry_ms']
        self.assertTrue(0 < wait <= MINUTE_MS)
        self.advance(wait)
        self.assertTrue(self.put('analytics', 'nobody', metric='orders', n=10)['new'])

    def test_unknown_plan(self):
        """counts as free, and so does a tenant that nobody knows"""
        self.tenants('tenant', 'acme', 'platinum')
        for tenant in ('acme', 'nobody'):
            answers = [self.bulk(tenant, 0, 25, delay=LATER_MS)]
            self.assertEqual((answers[0]['count'], answers[0]['error']), (10, 'Rate limit exceeded: 10 jobs/minute'))

    def test_another_plan(self):
        """holds at once"""
        self.assertEqual(self.bulk('acme', 0, 60, delay=LATER_MS)['count'], 10)
        self.tenants('tenant', 'acme', 'starter')
        self.assertEqual(self.bulk('acme', 100, 60, delay=LATER_MS)['count'], 40)


class Concurrency(Office):
    def test_exact_under_load(self):
        """four processes with room for 40 mails: each tenant has as many in hand as its plan allows, and never one more"""
        box = self.mailbox()
        box.hold()
        for plan in PLANS:
            self.tenants('tenant', plan, plan)
            count = 10 if plan == 'free' else 40
            self.tenants('bulk', plan, json.dumps(
                {'to': ['u%d@%s' % (i, plan) for i in range(count)], 'subject': 's', 'body': 'b'}))
        self.advance(10000)
        for _ in range(4):
            self.worker('--smtp', box.url)
        expected = {plan: concurrency for plan, (concurrency, _) in PLANS.items()}
        until('each has its number in hand', lambda: dict(box.now) == expected)
        running = self.jobs('email', 'running')
        self.assertEqual({plan: len([1 for job in running if job['group'] == plan]) for plan in PLANS}, expected)
        box.release()
        until('all are sent', lambda: len(box.messages) == 130)
        self.assertEqual(dict(box.most), expected)

    def test_classes(self):
        """one process works at 10 jobs of the high class, 5 of the medium, 2 of the low one"""
        self.jobq('limit', '--group', 'acme', '--concurrency', 'none', '--rate', 'none')
        box = self.mailbox()
        box.hold()
        model = self.receiver(lambda request: (until('the end', lambda: not box.held), 200, {}, b'{}')[1:])
        self.tenants('tenant', 'acme', 'enterprise')
        for i in range(15):
            self.mail('acme', 'u%d@acme' % i)
            self.put('ai', 'acme', prompt='p%d' % i)
        self.worker('--smtp', box.url, '--ai-url', model.url)
        until('the classes are full', lambda: box.now['acme'] == 10 and len(model.requests) == 2)
        self.assertEqual([len(self.jobs(queue, 'running')) for queue in ('email', 'ai')], [10, 2])
        box.release()
        until('the mails are sent', lambda: len(box.messages) == 15)
        self.assertEqual(dict(box.most), {'acme': 10})


class Noise(Office):
    def test_noisy_tenant(self):
        """others do not wait behind its jobs: theirs are among the first rounds of one job for each tenant"""
        count = 90000 if FULL else 1500
        box = self.mailbox()
        self.tenants('tenant', 'noisy', 'enterprise')
        self.jobq('limit', '--group', 'noisy', '--quota', 'none')
        for first in range(0, count, 1500):
            self.tenants('bulk', 'noisy', json.dumps({'to': ['u%d@noisy' % (first + i) for i in range(1500)], 'subject': 's',
                                                      'body': 'b'}))
        self.advance(10000000)
        others = ['quiet%d' % i for i in range(8)]
        for name in others:
            self.mail(name, 'only@' + name)
        program = self.worker('--smtp', box.url)
        until('the others have theirs', lambda: all(box.count('only@' + name) for name in others))
        program.kill()
        order = [message[1].split('@')[1] for message in box.messages]
        # A round has 9 tenants; 10 threads begin with the first claim, and may end in another order.
        self.assertLessEqual(max(order.index(name) for name in others), 3 * 9 + 10, order[:60])
        self.assertGreater(count - order.count('noisy'), count // 2)


if __name__ == '__main__':
    sys.exit(office.main())
