#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What somebody who means no good sends to the dashboard, and what comes of it."""
import base64
import json
import os
import socket
import subprocess
import sys

import kit
from kit import LIMIT_S, PREFIX, Case
from test_admin import paths

COOKIE = 'jobq_session='


class Browser:
    """A session as a browser has it."""

    def __init__(self, case, token='admin-token', cookie=None):
        self.case = case
        headers = {'Cookie': COOKIE + cookie} if cookie else {}
        answer = case.ask('POST', '/login', {'token': token}, None, headers)
        case.assertEqual(answer.status, 200, answer)
        self.csrf = answer.json['csrf']
        self.line = answer.headers['Set-Cookie']
        self.cookie = self.line.split(';')[0][len(COOKIE):]

    def headers(self, **more):
        return {'Cookie': COOKIE + self.cookie, 'X-CSRF-Token': self.csrf, **more}

    def ask(self, method, path, body=None, **more):
        return self.case.ask(method, path, body, None, self.headers(**more))


class Sessions(Case):
    def test_the_cookie_is_for_browsers_only_and_changes(self):
        self.serve()
        first = Browser(self)
        for part in ('HttpOnly', 'SameSite=Strict', 'Path=/', 'Max-Age=43200'):
            self.assertIn(part, first.line)
        self.assertNotIn('Secure', first.line)
        planted = 'ab' * 32
        second = Browser(self, cookie=planted)
        self.assertNotIn(second.cookie, (planted, first.cookie))
        self.assertEqual(self.ask('GET', 'jobs', None, None, {'Cookie': COOKIE + planted}).status, 401)
        third = Browser(self, cookie=second.cookie)
        self.assertEqual(second.ask('GET', 'jobs').status, 401) # it ended with the new one
        self.assertEqual(third.ask('GET', 'jobs').status, 200)
        self.assertEqual(third.ask('POST', '/logout', {}).status, 200)
        self.assertEqual(third.ask('GET', 'jobs').status, 401)
        self.assertEqual(first.ask('GET', 'jobs').status, 200)

    def test_a_secure_cookie_where_browsers_come_over_https(self):
        self.serve('--secure-cookie')
        self.assertIn('; Secure', Browser(self).line)

    def test_no_change_from_another_site(self):
        job = self.kill()
        self.serve()
        browser = Browser(self)
        host = '127.0.0.1:%d' % self.port
        routes, verbs = paths()
        bodies = [(path, {}) for method, path, _, _ in routes if method == 'POST'] + \
                 [(PREFIX + '/act', {'verb': verb, 'id': job, 'name': 'mail'}) for verb, _, _ in verbs] + [('/logout', {})]
        for path, body in bodies:
            for more in ({'X-CSRF-Token': ''}, {'X-CSRF-Token': '0' * 64}, {'Origin': 'https://example.org'}, {'Origin': 'null'},
                         {'Origin': 'http://%s.example.org' % host}, {'Sec-Fetch-Site': 'cross-site'}):
                answer = browser.ask('POST', path, body, **more)
                self.assertEqual(answer.status, 403, (path, more, answer))
        self.assertEqual(self.jobq('show', job)['state'], 'dead')
        for path in (PREFIX + '/act', PREFIX + '/retry-failed', PREFIX + '/clear'):
            self.assertEqual(browser.ask('GET', path).status, 405)
        answer = browser.ask('POST', 'act', {'verb': 'redrive', 'id': job}, Origin='http://' + host)
        self.assertEqual(answer.status, 200, answer)

    def test_who_guesses_tokens_has_to_wait(self):
        self.serve()
        statuses = [self.ask('POST', '/login', {'token': 'guess %d' % i}, None).status for i in range(12)]
        self.assertEqual(statuses[:5], [401] * 5)
        self.assertIn(429, statuses)
        answer = self.ask('POST', '/login', {'token': 'admin-token'}, None)
        self.assertEqual(answer.status, 429) # even with the right one
        self.assertGreater(int(answer.headers['Retry-After']), 0)
        self.assertEqual(self.ask('GET', 'jobs').status, 200) # programs go on

    def test_answers_say_what_browsers_may_do_with_them(self):
        self.serve()
        for path in ('/', '/dashboard.js', '/dashboard.css', PREFIX + '/stats', PREFIX + '/nothing', '/metrics'):
            headers = self.ask('GET', path).headers
            self.assertIn("frame-ancestors 'none'", headers['Content-Security-Policy'], path)
            self.assertIn("default-src 'none'", headers['Content-Security-Policy'], path)
            self.assertEqual(headers['X-Content-Type-Options'], 'nosniff')
            self.assertEqual(headers['X-Frame-Options'], 'DENY')
            self.assertEqual(headers['Referrer-Policy'], 'no-referrer')
            self.assertNotIn('Access-Control-Allow-Origin', headers)
        self.assertEqual(self.ask('GET', 'jobs').headers['Cache-Control'], 'no-store')
        self.assertEqual(self.ask('GET', 'jobs').headers['Content-Type'], 'application/json')


class Audit(Case):
    def test_every_change_leaves_one_line(self):
        job = self.kill()
        self.serve()
        for path in ('retry-failed', 'stop', 'start', 'clear'):
            before = len(self.entries())
            self.post(path)
            self.assertEqual(len(self.entries()), before + 1, path)
            self.assertEqual((self.entries()[-1]['verb'], self.entries()[-1]['status']), (path, 200))
        _, verbs = paths()
        for verb, _, _ in verbs:
            before = len(self.entries())
            self.ask('POST', 'act', {'verb': verb, 'id': job, 'name': 'mail'})
            self.assertEqual(len(self.entries()), before + 1, verb)
            self.assertEqual(self.entries()[-1]['verb'], verb)
        self.post('bulk', {'verb': 'cancel', 'queue': 'mail'})
        self.assertEqual(self.entries()[-1]['what'], {'verb': 'cancel', 'queue': 'mail', 'done': 0})
        self.ask('POST', 'clear', None, 'viewer-token')
        entry = self.entries()[-1]
        self.assertEqual((entry['verb'], entry['role'], entry['status'], entry['from']), ('clear', 'viewer', 403, '127.0.0.1'))

    def test_lines_cannot_be_forged(self):
        self.serve()
        forged = 'mail\n{"who":"boss","verb":"clear"}\r\x1b[2J\u2028\u202e'
        self.act('pause', 400, name=forged)
        self.ask('POST', 'act', {'verb': forged})
        with open(self.audit, 'rb') as log:
            text = log.read()
        self.assertEqual(len(text.splitlines()), 2)
        self.assertTrue(all(32 <= byte < 127 or byte == 10 for byte in text))
        self.assertEqual(self.entries()[0]['what']['name'], forged)

    def test_no_secret_is_in_it_or_anywhere_else(self):
        process = self.serve()
        browser = Browser(self)
        browser.ask('POST', 'act', {'verb': 'pause', 'name': 'mail'})
        self.ask('POST', '/login', {'token': 'a wrong secret'}, None)
        with open(self.audit, encoding='utf-8') as log:
            text = log.read() + self.log()
        with open('/proc/%d/cmdline' % process.pid, 'rb') as words:
            text += words.read().decode()
        for secret in ('admin-token', 'a wrong secret', browser.cookie, browser.csrf):
            self.assertNotIn(secret, text)
        self.assertEqual(os.stat(self.audit).st_mode & 0o777, 0o600)

    def test_it_is_only_appended_to(self):
        process = self.serve()
        self.post('stop')
        process.terminate()
        process.wait(LIMIT_S)
        self.serve()
        self.post('start')
        self.assertEqual([entry['verb'] for entry in self.entries()], ['stop', 'start'])
        self.assertEqual([entry['verb'] for entry in self.get('audit')['entries']], ['start', 'stop'])


class Requests(Case):
    def raw(self, text):
        with socket.create_connection(('127.0.0.1', self.port), LIMIT_S) as connection:
            connection.sendall(text)
            answer = b''
            while b'\r\n' not in answer:
                piece = connection.recv(4096)
                if not piece:
                    return 0
                answer += piece
        return int(answer.split()[1])

    def test_what_is_no_request_is_none(self):
        self.serve()
        head = b'POST %s/act HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin-token\r\n' % PREFIX.encode()
        kind = b'Content-Type: application/json\r\n'
        for lines in (kind + b'Content-Length: 70000\r\n\r\n' + b'x' * 70000, kind + b'Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}',
                      kind + b'Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n', kind + b'Content-Length: -1\r\n\r\n',
                      kind + b'Content-Length: 99999999999999999999\r\n\r\n', b'Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}',
                      b'Host: y\r\n' + kind + b'Content-Length: 2\r\n\r\n{}', kind + b'X: ' + b'y' * 40000 + b'\r\nContent-Length: 2\r\n\r\n{}',
                      kind + b'\r\n', b'\r\n', kind + b'Content-Length: 5\r\n\r\n[1,2]'):
            status = self.raw(head + lines)
            self.assertTrue(status == 0 or 400 <= status < 500, (status, lines[:80]))
        for body in (b'', b'{', b'{"verb":"pause","verb":"resume"}', b'[' * 5000, b'{"verb":1}', b'\xff\xfe', b'{"verb":"limit","name":"x","depth":1e400}'):
            status = self.raw(head + kind + b'Content-Length: %d\r\n\r\n' % len(body) + body)
            self.assertEqual(status, 400, body[:40])
        for path in ('job/%00', 'job/../stats', 'list?after=%27', 'list?state=%00', 'jobs?page=-1&limit=zz', 'list?q=' + 'x' * 5000, 'flow/' + '0' * 32):
            self.assertIn(self.ask('GET', path).status, (200, 400, 404), path)
        self.get('stats')

    def test_only_its_own_name_without_tokens(self):
        self.serve(tokens=False)
        self.assertEqual(self.ask('GET', 'stats', None, None, {'Host': 'rebound.example.org'}).status, 403)
        self.assertEqual(self.ask('GET', 'stats', None, None, {'Origin': 'https://example.org'}).status, 403)
        self.assertEqual(self.ask('GET', 'stats', None, None).status, 200)

    def test_streams_are_counted(self):
        self.serve()
        connections = []
        for _ in range(20):
            connection = socket.create_connection(('127.0.0.1', self.port), LIMIT_S)
            self.addCleanup(connection.close)
            connection.sendall(b'GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin-token\r\n\r\n')
            connections.append(connection)
        statuses = sorted(int(connection.recv(20).split()[1]) for connection in connections)
        self.assertEqual(statuses, [200] * 16 + [503] * 4)
        self.get('stats')


class Secrets(Case):
    def test_a_password_is_in_no_message(self):
        done = subprocess.Popen([kit.DASHBOARD, '-s', 'redis://user:hunter2@127.0.0.1:1/', '--listen', '127.0.0.1:0'],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        _, err = done.communicate(timeout=LIMIT_S)
        self.assertIn(done.returncode, (2, 4), err) # 2: built without Redis
        self.assertNotIn(b'hunter2', err)

    def test_bytes_that_are_no_text_are_shown_as_such(self):
        done = subprocess.run([kit.JOBQ, '-s', self.uri, '--json', 'enqueue', 'mail', '-'], input=b'\xff\0<b>', capture_output=True,
                              check=True, env=kit.quiet())
        self.serve()
        job = self.get('job/' + json.loads(done.stdout)['id'])
        self.assertIsNone(job['payload'])
        self.assertEqual(base64.b64decode(job['payload_base64']), b'\xff\0<b>')


if __name__ == '__main__':
    sys.exit(kit.main())
