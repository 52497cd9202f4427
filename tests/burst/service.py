#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A service of the burst: takes orders of its steps, waits as long as a simulated analysis takes, and calls back.

It has a limit of its own for each step, beyond which it answers 429. On SIGTERM it prints, as JSON, how many orders of
each step it took and how many it had at once.
"""
import argparse
import asyncio
import json
import os
import signal
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "video", "services"))
import webhook  # noqa: E402  pylint: disable=wrong-import-position

TRIES, PAUSE_S = 60, 0.25


class Service:
    def __init__(self, options):
        self.options, self.keys = options, webhook.read_keys(options.secret_file)
        self.now, self.most, self.taken, self.refused, self.tasks = {}, {}, {}, {}, set()

    def take(self, step, headers, body):
        """The status for an order."""
        webhook.verify(self.keys, headers, body, time.time())
        if self.now.get(step, 0) >= self.options.concurrency:
            self.refused[step] = self.refused.get(step, 0) + 1
            return 429
        self.now[step] = self.now.get(step, 0) + 1
        self.most[step] = max(self.most.get(step, 0), self.now[step])
        self.taken[step] = self.taken.get(step, 0) + 1
        task = asyncio.get_running_loop().create_task(self.analyse(step, json.loads(body)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return 202

    async def analyse(self, step, order):
        least, most = self.options.seconds
        await asyncio.sleep(least + (most - least) * int(order["jobId"][-1], 16) / 15)
        self.now[step] -= 1
        body = json.dumps({"jobId": order["jobId"], "callback": order["callback"],
                           "result": {"step": step, "status": "ok", "simulated": True}}).encode()
        for _ in range(TRIES):
            try:
                if await self.post(order["callbackUrl"], "res_" + order["callback"][:32], body) < 500:
                    return
            except (OSError, ValueError, IndexError, asyncio.IncompleteReadError):
                pass
            await asyncio.sleep(PAUSE_S)

    async def post(self, url, message_id, body):
        parts = urllib.parse.urlsplit(url)
        headers = {"Host": parts.netloc, "Content-Type": "application/json", "Content-Length": str(len(body)),
                   "Connection": "close", **webhook.sign(self.keys[0], message_id, time.time(), body)}
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write((f"POST {parts.path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) +
                          "\r\n").encode() + body)
            return int((await reader.readuntil(b"\r\n")).split()[1])
        finally:
            writer.close()

    async def connection(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                try:
                    status = self.take(head[0].split()[1].lstrip("/"), headers, body)
                except webhook.BadMessage:
                    status = 401
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\nRetry-After: 1\r\n\r\n{{}}".encode())
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--secret-file", required=True)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--seconds", type=float, nargs=2, default=(0.1, 0.3))
    service, stop = Service(parser.parse_args()), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(service.connection, "127.0.0.1", 0, backlog=1024)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    server.close()
    print("figures " + json.dumps({"most": service.most, "taken": service.taken, "refused": service.refused}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
