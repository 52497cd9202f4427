#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The dashboard's endpoints: what they answer, what they do, who may. On SQLite, or on the server that JOBQ_TEST_REDIS or
JOBQ_TEST_POSTGRES names."""
import http.client
import json
import os
import re
import subprocess
import sys

import kit
from kit import DASHBOARD, LIMIT_S, PREFIX, Case

OPEN, VIEWER, OPERATOR, ADMIN = 'open', 'viewer', 'operator', 'admin'
RANK = [OPEN, VIEWER, OPERATOR, ADMIN]


def paths():
    """(method, path, least role, whole) of every route, and (verb, least, whole), as the program says."""
    routes, verbs = [], []
    for line in subprocess.run([DASHBOARD, '--paths'], capture_output=True, text=True, check=True).stdout.splitlines():
        words = line.split()
        if words[0] == 'verb':
            verbs.append((words[1], words[2], 'whole' in words))
        else:
            routes.append((words[0], words[1], words[2], 'whole' in words))
    return routes, verbs


class Figures(Case):
    def test_stats_and_health_as_the_seeds_have_them(self):
        for _ in range(3):
            self.enqueue('mail', 'x')
        self.complete('other')
        self.kill('third')
        self.jobq('claim', 'mail')
        self.serve()
        stats = self.get('stats')
        self.assertEqual(sorted(stats), ['avgProcessingTime', 'completed', 'failed', 'lastProcessedAt', 'pending',
                                         'processing', 'stuck', 'total'])
        self.assertEqual([stats[n] for n in ('total', 'pending', 'processing', 'completed', 'failed', 'stuck')],
                         [5, 2, 1, 1, 1, 0])
        self.assertRegex(stats['lastProcessedAt'], r'^\d{4}-\d\d-\d\dT')
        self.advance(120000)
        self.assertEqual(self.get('stats')['stuck'], 1)
        health = self.get('health')
        self.assertEqual(health['status'], 'critical')
        self.assertEqual(health['stuckJobs'], 1)
        self.assertAlmostEqual(health['errorRate'], 0.2)
        self.assertTrue(health['issues'])
        self.assertEqual(len(health['issues']), len(health['recommendations']))

    def test_an_empty_store_is_healthy(self):
        self.serve()
        self.assertEqual(self.get('health'), {'status': 'healthy', 'issues': [], 'recommendations': [], 'stuckJobs': 0,
                                              'errorRate': 0.0, 'findings': []})
        self.assertEqual(self.get('stats')['total'], 0)
        self.assertIsNone(self.get('stats')['lastProcessedAt'])

    def test_steps_count_with_their_piece_of_work(self):
        self.enqueue('work', 'x')
        self.enqueue('step', 'x')
        self.kill('step-two')
        self.serve('--step-queue', 'step', '--step-queue', 'step-two')
        self.assertEqual(self.get('stats')['total'], 1)
        self.assertEqual(self.get('jobs')['total'], 1)
        self.assertEqual(len(self.get('jobs')['jobs']), 1)
        self.assertEqual(self.get('health')['errorRate'], 0.0)

    def test_the_overview_is_what_the_command_says(self):
        self.complete()
        self.kill(text='x 1')
        self.enqueue()
        self.serve()
        command, overview = self.jobq('stats'), self.get('overview')
        for name, value in command['total'].items():
            self.assertEqual(overview['total'][name], value, name)
        for queue, other in zip(command['queues'], overview['queues']):
            for name in ('queue', 'ready', 'dead', 'paused', 'oldest_ready_at', 'waited', 'ran', 'last_finished_at'):
                self.assertEqual(queue[name], other[name], name)

    def test_metrics_have_the_families_of_the_command(self):
        self.complete()
        self.enqueue('a"b\\c')
        self.serve()
        text = self.ask('GET', '/metrics').body.decode()
        done = subprocess.run([kit.JOBQ, '-s', self.uri, 'metrics'], capture_output=True, text=True, check=True,
                              env=kit.quiet())
        plain = lambda t: [re.sub(r'[\d.]+$', 'N', line) if 'oldest' in line else line for line in t.splitlines()]
        self.assertEqual(plain(text), plain(done.stdout))
        self.assertTrue(text.endswith('# EOF\n'))


class Jobs(Case):
    def test_jobs_as_the_seeds_have_them(self):
        job = self.kill('mail', 'Max retries 3/3', json.dumps({'table_name': 'listings', 'operation': 'UPDATE',
                                                               'record_id': 'r1'}))
        self.enqueue('mail', 'not JSON')
        self.serve()
        answer = self.get('jobs?status=failed')
        self.assertEqual({k: answer[k] for k in ('total', 'page', 'limit')}, {'total': 1, 'page': 1, 'limit': 20})
        row = answer['jobs'][0]
        self.assertEqual(row['id'], job)
        self.assertEqual([row[n] for n in ('table_name', 'operation', 'record_id', 'status', 'state', 'retry_count',
                                           'error_message')],
                         ['listings', 'UPDATE', 'r1', 'failed', 'dead', 1, 'Max retries 3/3'])
        self.assertTrue(row['created_at'] and row['processed_at'])
        row = self.get('jobs?status=pending')['jobs'][0]
        self.assertEqual([row[n] for n in ('table_name', 'operation', 'record_id', 'processed_at', 'error_message')],
                         [None] * 5)

    def test_every_state_has_its_word(self):
        self.enqueue('a', 'x', '--delay', 100000)
        self.enqueue('a', 'x', '--held')
        self.jobq('cancel', self.enqueue('a'))
        self.kill('b')
        self.complete('c')
        self.enqueue('d')
        self.jobq('claim', 'd')
        self.serve()
        words = {row['state']: row['status'] for row in self.get('jobs')['jobs']}
        self.assertEqual(words, {'scheduled': 'pending', 'blocked': 'pending', 'cancelled': 'failed', 'dead': 'failed',
                                 'completed': 'completed', 'running': 'processing'})
        for word, count in (('pending', 2), ('failed', 2), ('completed', 1), ('processing', 1), ('dead', 1)):
            answer = self.get('jobs?status=' + word)
            self.assertEqual((answer['total'], len(answer['jobs'])), (count, count), word)
        self.get('jobs?status=lost', status=400)

    def test_pages(self):
        for number in range(45):
            self.enqueue('mail', number)
        self.serve()
        seen = []
        for page, count in ((1, 20), (2, 20), (3, 5), (4, 0)):
            answer = self.get('jobs?page=%d' % page)
            self.assertEqual((answer['total'], answer['page'], len(answer['jobs'])), (45, page, count))
            seen += [row['id'] for row in answer['jobs']]
        self.assertEqual(len(set(seen)), 45)
        self.assertEqual(seen, sorted(seen))
        self.assertEqual(self.get('jobs?limit=1000')['limit'], 100)
        self.assertEqual(len(self.get('jobs?page=0&limit=7')['jobs']), 7)

    def test_columns_out_of_payloads(self):
        self.enqueue('mail', '{"a": {"b/c": [1, {"d": "here"}]}}')
        self.enqueue('mail', 'nothing')
        self.serve('--column', 'd=/a/b~1c/1/d', '--column', 'a=/a')
        rows = self.get('list')['jobs']
        self.assertEqual(rows[0]['columns'], {'d': 'here', 'a': {'b/c': [1, {'d': 'here'}]}})
        self.assertEqual(rows[1]['columns'], {'d': None, 'a': None})
        self.assertEqual(self.get('me')['columns'], ['d', 'a'])

    def test_a_job_is_what_the_command_shows(self):
        job = self.kill('mail', 'first line\nsecond', 'payload')
        self.serve()
        mine, other = self.get('job/' + job), self.jobq('show', job)
        for name, value in other.items():
            if name != 'fence':
                self.assertEqual(mine[name], value, name)
        self.assertEqual(mine['explain']['why'], 'dead')
        self.get('job/' + '0' * 32, status=404)
        self.get('job/nonsense', status=404)

    def test_a_list_is_searched_and_goes_on(self):
        for number in range(5):
            self.enqueue('mail', 'letter %d' % number)
        self.enqueue('other', 'letter 9')
        self.serve()
        self.assertEqual(len(self.get('list?q=letter')['jobs']), 6)
        self.assertEqual(len(self.get('list?q=letter+3')['jobs']), 1)
        self.assertEqual(len(self.get('list?queue=other')['jobs']), 1)
        first = self.get('list?limit=4')
        self.assertEqual(len(first['jobs']), 4)
        rest = self.get('list?limit=4&after=' + first['next'])
        self.assertEqual(len(rest['jobs']), 2)
        self.assertIsNone(rest['next'])


class Verbs(Case):
    def test_retry_failed(self):
        for _ in range(3):
            self.kill()
        self.jobq('cancel', self.enqueue())
        self.serve()
        answer = self.post('retry-failed', token='operator-token')
        self.assertEqual((answer['retried'], answer['success']), (3, True))
        self.assertTrue(answer['message'])
        self.assertEqual(self.get('stats')['pending'], 3)

    def test_clear_leaves_what_runs(self):
        self.kill('a')
        self.complete('b')
        self.enqueue('c', 'x', '--delay', 100000)
        self.enqueue('c', 'x', '--held')
        running = self.enqueue('d')
        self.jobq('claim', 'd')
        self.serve()
        answer = self.post('clear')
        self.assertEqual((answer['cleared'], answer['success']), (4, True))
        self.assertEqual([job['id'] for job in self.jobq('list')], [running])

    def test_stop_and_start(self):
        self.enqueue('a')
        self.enqueue('b')
        self.serve()
        self.assertTrue(self.post('stop', token='operator-token')['success'])
        self.assertEqual(self.jobq('claim', 'a'), [])
        self.assertEqual(self.jobq('claim', 'b'), [])
        self.assertTrue(self.post('start', token='operator-token')['success'])
        self.assertEqual(len(self.jobq('claim', 'a')), 1)

    def test_one_job(self):
        self.serve()
        dead, waiting, held = self.kill(), self.enqueue('w'), self.enqueue('h', 'x', '--held')
        self.act('redrive', id=dead)
        self.assertEqual(self.jobq('show', dead)['state'], 'ready')
        self.act('redrive', 409, id=dead)
        self.act('cancel', id=waiting)
        self.assertEqual(self.jobq('show', waiting)['state'], 'cancelled')
        self.act('unhold', id=held)
        self.assertEqual(self.jobq('show', held)['state'], 'ready')
        self.act('drop', id=waiting)
        self.act('drop', 404, id=waiting)
        self.act('explode', 400, id=held)
        self.post('act', [], 400)

    def test_queues_and_limits(self):
        self.enqueue('mail')
        self.serve()
        self.act('pause', name='mail')
        self.assertEqual(self.jobq('claim', 'mail'), [])
        self.act('resume', name='mail')
        self.act('limit', name='mail', concurrency=0)
        self.assertEqual(self.jobq('claim', 'mail'), [])
        self.assertEqual(self.get('limits')['limits'][0]['concurrency'], 0)
        self.act('limit', name='mail', concurrency=None)
        self.assertEqual(len(self.jobq('claim', 'mail')), 1)
        self.act('limit', of='group', name='acme', rate=5, rate_period_ms=1000)
        limit = [one for one in self.get('limits')['limits'] if one['of'] == 'group'][0]
        self.assertEqual((limit['name'], limit['rate'], limit['rate_period_ms']), ('acme', 5, 1000))
        self.act('limit', 400, name='mail', concurrency=-7)

    def test_schedules(self):
        self.jobq('schedule', 'add', 'night', '--queue', 'mail', '--cron', '30 2 * * *', '--zone', 'Europe/Berlin')
        self.serve()
        schedule = self.get('schedules')['schedules'][0]
        self.assertEqual((schedule['name'], schedule['zone'], len(schedule['next'])), ('night', 'Europe/Berlin', 5))
        self.assertEqual(schedule['next'], self.jobq('schedule', 'next', 'night', '-n', 5))
        self.assertIsNone(schedule['last'])
        self.act('schedule-run', name='night')
        self.assertEqual(len(self.jobq('claim', 'mail')), 1)
        self.act('schedule-pause', name='night')
        self.assertTrue(self.get('schedules')['schedules'][0]['paused'])
        self.act('schedule-resume', name='night')
        self.act('schedule-run', 404, name='day')

    def test_dead_letters_by_what_went_wrong(self):
        for number in range(7):
            self.kill('mail', 'no host %d' % number)
        for number in range(3):
            self.kill('mail', 'bad payload at byte %d\nmore' % number)
        self.serve()
        groups = self.get('dead')['groups']
        self.assertEqual([(g['error'], g['count']) for g in groups], [('no host #', 7), ('bad payload at byte #', 3)])
        by_command = self.jobq('dead', '--by-error')
        self.assertEqual([(g['error'], g['count']) for g in by_command], [(g['error'], g['count']) for g in groups])
        what = {'verb': 'redrive', 'error': 'no host #'}
        self.assertEqual(self.post('bulk', {**what, 'dry_run': True}), {'matched': 7, 'done': 0, 'dry_run': True})
        self.assertEqual(self.get('stats')['failed'], 10)
        self.assertEqual(self.post('bulk', what), {'matched': 7, 'done': 7, 'dry_run': False})
        self.assertEqual(self.get('stats')['failed'], 3)
        self.assertEqual(self.post('bulk', {'verb': 'drop', 'error': 'bad payload at byte #'})['done'], 3)

    def test_bulk_by_filter(self):
        for number in range(6):
            self.enqueue('mail', 'n%d' % number)
        self.enqueue('other')
        self.serve()
        self.assertEqual(self.post('bulk', {'verb': 'cancel', 'queue': 'mail', 'dry_run': True})['matched'], 6)
        self.assertEqual(self.post('bulk', {'verb': 'cancel', 'queue': 'mail', 'max': 2})['done'], 2)
        self.assertEqual(self.post('bulk', {'verb': 'cancel', 'queue': 'mail', 'q': 'n5'})['done'], 1)
        self.assertEqual(self.get('stats')['pending'], 4)
        self.assertEqual(self.post('bulk', {'verb': 'redrive', 'state': 'running'})['matched'], 0)
        self.post('bulk', {'verb': 'pause'}, 400)


class Events(Case):
    def stream(self, token='admin-token', last=None):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=LIMIT_S)
        self.addCleanup(connection.close)
        headers = {'Authorization': 'Bearer ' + token} if token else {}
        if last is not None:
            headers['Last-Event-ID'] = str(last)
        connection.request('GET', '/events', headers=headers)
        answer = connection.getresponse()
        self.addCleanup(answer.close)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers['Content-Type'], 'text/event-stream')
        return self.messages(answer)

    @staticmethod
    def messages(answer):
        message = {}
        while True:
            line = answer.readline().decode()
            if not line:
                return
            line = line.rstrip('\n')
            if line:
                name, value = line.split(': ', 1)
                message[name] = value
            elif message:
                yield message.get('event'), message.get('id'), json.loads(message.get('data', 'null'))
                message = {}

    def next_of(self, stream, kind):
        for event, number, data in stream:
            if event == kind:
                return number, data
        raise AssertionError('the stream ended')

    def test_figures_and_jobs_as_they_change(self):
        self.jobq('events', '--keep', 1000)
        self.serve('--interval', '100')
        stream = self.stream()
        self.next_of(stream, 'stats')
        job = self.enqueue('mail', 'x', '--group', 'g')
        number, data = self.next_of(stream, 'job')
        self.assertEqual((data['id'], data['state'], data['queue']), (job, 'ready', 'mail'))
        self.assertEqual(int(number), data['cursor'])
        while self.next_of(stream, 'stats')[1]['total']['ready'] != 1:
            pass

    def test_a_stream_goes_on_where_it_was_cut(self):
        self.jobq('events', '--keep', 1000)
        server = self.serve('--interval', '100')
        stream = self.stream()
        jobs = [self.enqueue()]
        last = self.next_of(stream, 'job')[0]
        server.kill()
        server.wait()
        jobs += [self.enqueue() for _ in range(4)]
        self.serve('--interval', '100')
        stream = self.stream(last=last)
        self.assertEqual([self.next_of(stream, 'job')[1]['id'] for _ in range(4)], jobs[1:])
        jobs.append(self.enqueue())
        self.assertEqual(self.next_of(stream, 'job')[1]['id'], jobs[-1])

    def test_who_is_told_what(self):
        self.jobq('events', '--keep', 1000)
        self.serve('--interval', '100')
        self.enqueue('mail', 'x', '--group', 'two')
        stream = self.stream('one-token')
        self.assertEqual(self.next_of(stream, 'tick')[1], {})
        self.assertEqual(next(stream)[0], 'tick')
        self.assertEqual(self.ask('GET', '/events', token=None).status, 401)

    def test_streams_end_with_the_server(self):
        process = self.serve('--interval', '100')
        stream = self.stream()
        self.next_of(stream, 'stats')
        process.terminate()
        self.assertEqual(process.wait(LIMIT_S), 0)
        for event, _, _ in stream:
            self.assertEqual(event, 'stats')


class Roles(Case):
    BODY = {'act': {'verb': 'redrive', 'id': '0' * 32}, 'bulk': {'verb': 'redrive', 'dry_run': True}}

    def status(self, method, path, token):
        body = self.BODY.get(path.rsplit('/', 1)[1], {}) if method == 'POST' else None
        if path.endswith('/'):
            path += '0' * 32
        if path == '/events':
            return self.status_of_stream(token)
        return self.ask(method, path, body, token).status

    def status_of_stream(self, token):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=LIMIT_S)
        connection.request('GET', '/events', headers={'Authorization': 'Bearer ' + token} if token else {})
        status = connection.getresponse().status
        connection.close()
        return status

    def test_every_route_for_everybody(self):
        self.enqueue('mail', 'x', '--group', 'one')
        self.serve()
        routes, _ = paths()
        self.assertGreater(len(routes), 15)
        self.assertEqual(self.ask('POST', 'clear', {}, None).headers['WWW-Authenticate'], 'Bearer')
        for method, path, least, whole in routes:
            if path == PREFIX + '/me':
                continue # tells nobody that he is nobody
            self.assertEqual(self.status(method, path, None), 401, path)
            self.assertEqual(self.status(method, path, 'wrong'), 401, path)
            for role in (VIEWER, OPERATOR, ADMIN):
                allowed = RANK.index(role) >= RANK.index(least)
                status = self.status(method, path, role + '-token')
                self.assertEqual(status != 403, allowed, (path, role, status))
            self.assertEqual(self.status(method, path, 'one-token') == 403, whole, (path, 'one'))

    def test_every_verb_for_everybody(self):
        self.serve()
        _, verbs = paths()
        self.assertGreater(len(verbs), 8)
        for verb, least, whole in verbs:
            for role in (VIEWER, OPERATOR, ADMIN):
                answer = self.ask('POST', 'act', {'verb': verb, 'name': 'nothing', 'id': '0' * 32}, role + '-token')
                self.assertEqual(answer.status != 403, RANK.index(role) >= RANK.index(least), (verb, role, answer))
            answer = self.ask('POST', 'act', {'verb': verb, 'name': 'nothing', 'id': '0' * 32}, 'one-token')
            self.assertEqual(answer.status == 403, whole, (verb, answer))

    def test_without_tokens_there_are_counts(self):
        self.enqueue('mail', 'secret')
        self.serve(tokens=False)
        routes, _ = paths()
        for method, path, least, _ in routes:
            self.assertEqual(self.status(method, path, None), 200 if least == OPEN else 403, path)
        for path in ('stats', 'health', 'overview', 'me', '/metrics'):
            self.assertNotIn(b'secret', self.ask('GET', path, token=None).body)
        self.assertEqual(self.get('overview', token=None)['workers'], [])
        self.post('/login', {'token': 'x'}, 403, token=None)
        status = subprocess.run([DASHBOARD, '-s', self.uri, '--listen', '0.0.0.0:0'], capture_output=True, check=False)
        self.assertEqual(status.returncode, 2, status.stderr)

    def test_tenants_see_their_own(self):
        mine, other = self.kill('a', 'e', 'x', '--group', 'one'), self.kill('b', 'e', 'x', '--group', 'two')
        self.serve()
        self.assertEqual(self.get('stats', token='one-token')['failed'], 1)
        self.assertEqual([row['id'] for row in self.get('jobs', token='one-token')['jobs']], [mine])
        self.assertEqual([row['id'] for row in self.get('list?group=two', token='one-token')['jobs']], [mine])
        foreign = self.ask('GET', 'job/' + other, token='one-token')
        missing = self.ask('GET', 'job/' + '0' * 32, token='one-token')
        self.assertEqual((foreign.status, foreign.body), (missing.status, missing.body))
        self.assertEqual(foreign.status, 404)
        for verb in ('redrive', 'cancel', 'drop'):
            self.act(verb, 404, 'one-token', id=other)
        self.assertEqual(self.get('dead', token='one-token')['groups'][0]['count'], 1)
        self.assertEqual(self.post('bulk', {'verb': 'drop', 'group': 'two', 'dry_run': True}, token='one-token')['matched'], 1)
        self.assertEqual(self.post('retry-failed', token='one-token')['retried'], 1)
        self.assertEqual(self.jobq('show', other)['state'], 'dead')
        self.assertEqual(self.post('clear', token='one-token')['cleared'], 1)
        self.assertEqual([job['id'] for job in self.jobq('list')], [other])

    def test_jobq_serve_becomes_the_dashboard(self):
        path = os.path.dirname(DASHBOARD) + ':' + os.environ['PATH']
        with subprocess.Popen([kit.JOBQ, '-s', self.uri, 'serve', '--listen', '127.0.0.1:0'], stdout=subprocess.PIPE,
                              env={**kit.quiet(), 'PATH': path}) as process:
            line = process.stdout.readline().decode()
            self.assertIn('listening on', line)
            self.port = int(line.rsplit(':', 1)[1])
            self.assertEqual(self.get('stats', token=None)['total'], 0)
            process.terminate()
            self.assertEqual(process.wait(LIMIT_S), 0)


if __name__ == '__main__':
    sys.exit(kit.main())
