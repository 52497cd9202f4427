# SPDX-License-Identifier: MIT
"""HTTP for many at once: a connection that is kept, and made anew when the server was away."""
import asyncio
import json
import time


class Line:
    def __init__(self, port):
        self.troubles = []
        self.port, self.reader, self.writer, self.seconds = port, None, None, 0.0

    async def ask(self, method, path, body=None, headers=()):
        """One request; (status, headers, body as bytes). OSError or IncompleteReadError without an answer."""
        try:
            if not self.writer:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            content = b"" if body is None else json.dumps(body).encode()
            lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *headers]
            if body is not None:
                lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
            self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
            return await self.answer()
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            raise

    async def answer(self):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        status = int(head[0].split()[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, headers, body

    async def until_answered(self, method, path, body=None, headers=(), patience_s=300):
        """As ask, but again while there is no server; `seconds` is what the answered one took."""
        end = time.monotonic() + patience_s
        while True:
            began = time.monotonic()
            try:
                answer = await self.ask(method, path, body, headers)
                self.seconds = time.monotonic() - began
                return answer
            except (OSError, asyncio.IncompleteReadError) as error:
                self.troubles.append((type(error).__name__, round(time.monotonic() - began, 1)))
                if time.monotonic() > end:
                    raise RuntimeError(f"{method} {path}: no answer: {self.troubles[-20:]}") from error
                await asyncio.sleep(0.05)

    def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None


def quantiles(values):
    """p50, p95 and p99 in milliseconds, of values in seconds."""
    ordered = sorted(values)
    if not ordered:
        return None
    return {f"p{q}": round(1000 * ordered[min(len(ordered) - 1, len(ordered) * q // 100)], 1) for q in (50, 95, 99)}
