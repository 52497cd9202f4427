# SPDX-License-Identifier: MIT
"""Stands in for the vision service: takes orders, and calls back when the test says so."""
import http.client
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import kit


class Service:
    """`answer(order)` gives (status, headers) for an order; `at_once` calls back before the order is answered."""

    def __init__(self, answer=None, at_once=False, result=None):
        self.answer, self.at_once, self.result = answer or (lambda order: (202, {})), at_once, result
        self.orders, self.bad = [], []
        self.lock = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format, *args):  # pylint: disable=redefined-builtin
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                order = service.take(self.path.lstrip("/"), self.headers, body)
                status, headers = service.answer(order)
                if service.at_once and status == 202:
                    service.call_back(order)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def take(self, step, headers, body):
        good = kit.sign(kit.KEY, headers["webhook-id"], headers["webhook-timestamp"], body) == \
            headers["webhook-signature"]
        order = json.loads(body)
        order["step"] = step
        with self.lock:
            self.orders.append(order)
            if not good:
                self.bad.append(order)
        return order

    def of(self, step):
        with self.lock:
            return [order for order in self.orders if order["step"] == step]

    def message(self, order, **content):
        if not content:
            content = {"result": self.result or {"step": order["step"], "status": "ok", "seen": order["videoPath"]}}
        return json.dumps({"jobId": order["jobId"], "callback": order["callback"], **content}).encode()

    def call_back(self, order, body=None, **signing):
        """Posts to the order's callback URL; returns (status, JSON)."""
        body = self.message(order) if body is None else body
        parts = urllib.parse.urlsplit(order["callbackUrl"])
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        try:
            connection.request("POST", parts.path, body, kit.signed_headers(body, **signing))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
