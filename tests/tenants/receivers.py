#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who receives what jobq-tenants sends: a mail server that refuses, delays and drops on request, a receiver of webhooks, and
a test receiver in place of a model. In a test they are objects; as a program they are the demonstration's:

  receivers.py FOLDER        listens, writes the ports to FOLDER/ports, and what came to FOLDER/mails and FOLDER/hooks
"""
import asyncio
import collections
import hashlib
import hmac
import http.server
import json
import os
import signal
import sys
import threading
import time

from aiosmtpd.smtp import SMTP


class Mailbox:
    """Local parts with a meaning: refused (550), later (451), drop (the connection ends after the text, the first time)."""

    def __init__(self, keep=None):
        self.messages = [] # (sender, recipient, bytes), in order
        self.keep = keep
        self.held = False
        self.lock = threading.Lock()
        self.now, self.most = collections.Counter(), collections.Counter() # in hand, by domain
        self.dropped = set()
        self.refusals = collections.Counter()
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.released = asyncio.Event()
        self.server = self.loop.run_until_complete(self.loop.create_server(
            lambda: SMTP(self, hostname='mailbox', loop=self.loop, ident='mailbox'), '127.0.0.1', 0))
        self.port = self.server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.server.close()
        self.loop.close()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    @property
    def url(self):
        return 'smtp://127.0.0.1:%d/test' % self.port

    def hold(self):
        """From now on nobody gets an answer to a text, until release()."""
        self.held = True
        self.loop.call_soon_threadsafe(self.released.clear)

    def release(self):
        self.held = False
        self.loop.call_soon_threadsafe(self.released.set)

    def count(self, recipient):
        with self.lock:
            return sum(1 for message in self.messages if message[1] == recipient)

    async def handle_RCPT(self, server, session, envelope, address, options):
        del server, session, options
        name = address.split('@')[0]
        with self.lock:
            self.refusals[address] += name in ('refused', 'later')
        if name == 'refused':
            return '550 5.1.1 no such user'
        if name == 'later':
            return '451 4.3.0 come again'
        envelope.rcpt_tos.append(address)
        return '250 OK'

    async def handle_DATA(self, server, session, envelope):
        del session
        recipient = envelope.rcpt_tos[0]
        domain = recipient.split('@')[1]
        with self.lock:
            self.now[domain] += 1
            self.most[domain] = max(self.most[domain], self.now[domain])
        try:
            if recipient.startswith('drop@') and recipient not in self.dropped:
                self.dropped.add(recipient)
                server.transport.abort()
                return '421 gone'
            if self.held:
                await self.released.wait()
            with self.lock:
                self.messages.append((envelope.mail_from, recipient, envelope.content))
            if self.keep:
                self.keep(recipient)
            return '250 OK'
        finally:
            with self.lock:
                self.now[domain] -= 1


class Receiver:
    """An HTTP server on a free port: requests are kept, answers are asked of `answer(request)`: (status, headers, body)."""

    def __init__(self, answer=None):
        self.requests = [] # {"path", "headers", "body", "at"}
        self.answer = answer or (lambda request: (200, {}, b'{}'))
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                request = {'path': self.path, 'headers': dict(self.headers), 'body': body, 'at': time.monotonic()}
                receiver.requests.append(request)
                status, headers, answer = receiver.answer(request)
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header('Content-Length', str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    pass # nobody waits for it any more

            def log_message(self, format, *args): # pylint: disable=redefined-builtin
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return 'http://127.0.0.1:%d' % self.port

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def signature(secret, body):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def chat(request):
    """The answer of a model that there is not: it says how long the prompt was."""
    asked = json.loads(request['body'])
    words = len(asked['messages'][-1]['content'].split())
    return 200, {'Content-Type': 'application/json'}, json.dumps({
        'model': asked['model'], 'choices': [{'message': {'role': 'assistant', 'content': 'test receiver: %d words' % words}}],
        'usage': {'prompt_tokens': words, 'completion_tokens': 4}}).encode()


def main():
    folder = sys.argv[1]

    def note(name):
        file = open(os.path.join(folder, name), 'a', encoding='utf-8', buffering=1)
        return lambda text: file.write(text + '\n')

    mailbox = Mailbox(keep=note('mails'))
    hook_note = note('hooks')

    def take(request):
        good = hmac.compare_digest(signature('demo-secret', request['body']), request['headers']['X-Webhook-Signature'])
        hook_note('%s %s %s' % (request['headers']['X-Event-Type'], request['headers']['X-Attempt'],
                                'signed' if good else 'FORGED'))
        down = os.path.exists(os.path.join(folder, 'hooks-are-down'))
        return (503 if down else 200), {}, b'{}'

    hooks, model = Receiver(take), Receiver(chat)
    with open(os.path.join(folder, 'ports.part'), 'w', encoding='utf-8') as file:
        file.write('%d %d %d\n' % (mailbox.port, hooks.port, model.port))
    os.rename(os.path.join(folder, 'ports.part'), os.path.join(folder, 'ports'))
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == '__main__':
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
