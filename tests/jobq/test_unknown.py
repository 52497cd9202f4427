# SPDX-License-Identifier: MIT
"""Exit code 6: the connection breaks when the store has done it and has not said so. Servers only; see test_servers.py."""
import os
import re
import selectors
import socket
import threading

import tool
from tool import OK, UNKNOWN, on_servers

MARK = b'cut-behind-this'


class Line:
    """A socket in front of the server's. What comes behind the mark reaches the server, and its answer nobody."""

    def __init__(self, path, server):
        self.server = server
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.cuts = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.relay, args=(client,), daemon=True).start()

    def relay(self, client):
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.server)
        both = selectors.DefaultSelector()
        both.register(client, selectors.EVENT_READ, server)
        both.register(server, selectors.EVENT_READ, client)
        marked, seen = False, b''
        while True:
            for key, _ in both.select():
                data = key.fileobj.recv(65536)
                if key.fileobj is client:
                    seen = (seen + data)[-200000:]
                    marked = marked or MARK in seen
                elif marked and data:
                    self.cuts += 1
                    data = b''
                if not data:
                    client.close()
                    server.close()
                    return
                key.data.sendall(data)

    def close(self):
        self.listener.close()


class Unknown(tool.Case):
    def behind_a_line(self):
        """The same namespace behind a Line."""
        if self.store == 'redis':
            path = re.match(r'redis\+unix://([^?]*)', self.uri).group(1)
            return Line(self.path('s'), path), self.uri.replace(path, self.path('s'))
        folder = re.search(r'[?&]host=([^&]*)', self.uri).group(1)
        name = '.s.PGSQL.5432'
        line = Line(self.path(name), os.path.join(folder, name))
        return line, self.uri.replace('host=' + folder, 'host=' + self.folder)

    @on_servers
    def test_enqueue(self):
        """enqueue: exit 6 with the id; repeated with it it is done once"""
        self.jobq('migrate')
        line, uri = self.behind_a_line()
        answer = self.run_at(uri, '--json', 'enqueue', 'q', MARK, '--io-timeout', '3s')
        self.assertEqual((answer.code, line.cuts > 0), (UNKNOWN, True), answer)  # tried again and again, for so long
        self.assertEqual((answer.json['status'], answer.json['new']), ('UNKNOWN', False))
        job = answer.json['id']
        self.assertIn('--id ' + job, answer.err)
        again = self.json('enqueue', 'q', MARK, '--id', job)
        self.assertEqual((again['id'], again['status']), (job, 'ALREADY'))
        self.assertEqual(self.counts(), {'ready': 1})
        answer = self.run_at(uri, 'enqueue', 'q', MARK, '--io-timeout', '3s')
        self.assertEqual((answer.code, answer.text.split('\t')[1]), (UNKNOWN, 'unknown'), answer)
        line.close()

    @on_servers
    def test_ack(self):
        """ack: exit 6; the same call again says that it was done"""
        self.enqueue()
        job, token = self.claim()
        line, uri = self.behind_a_line()
        answer = self.run_at(uri, '--json', 'ack', job, token, MARK, '--io-timeout', '3s')
        self.assertEqual((answer.code, line.cuts > 0), (UNKNOWN, True), answer)  # tried again and again, for so long
        self.assertEqual((answer.json['status'], answer.json['id']), ('UNKNOWN', job))
        again = self.jobq('--json', 'ack', job, token, MARK, code=OK)
        self.assertEqual(again.json['status'], 'ALREADY')
        line.close()
