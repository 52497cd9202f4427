#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Stands between clients and a server on unix sockets and breaks lines when it is told to.

proxy.py LISTEN SERVER

On standard input a line each: `before` (the next request is not passed on), `after` (it is, and both sides are closed at
once), `inside` (half of the next answer comes through), `dropped` (the next answer is read and thrown away: what was asked
for has happened). Each is answered by the same word when it has happened to somebody. Ends with its standard input.
"""
import asyncio
import os
import sys

WAITING = []


def take():
    """The fault that is due."""
    return WAITING.pop(0) if WAITING else None


def happened(kind):
    print(kind, flush=True)


class Line:
    """One client and its connection to the server."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.broken = False
        self.answer_fault = None

    def cut(self, kind):
        """Now. What was passed on to the server stays passed on."""
        self.broken = True
        self.client[1].transport.abort()
        self.server[1].close()
        happened(kind)

    async def requests(self):
        while not self.broken:
            data = await self.client[0].read(1 << 16)
            if not data:
                break
            kind = take()
            if kind in ('inside', 'dropped'):
                self.answer_fault = kind
            if kind != 'before':
                self.server[1].write(data)
                await self.server[1].drain()
            if kind in ('before', 'after'):
                self.cut(kind)
        self.server[1].close()

    async def answers(self):
        while not self.broken:
            data = await self.server[0].read(1 << 16)
            if not data:
                break
            kind, self.answer_fault = self.answer_fault, None
            if kind == 'dropped':
                data = b''
            if kind == 'inside':
                data = data[:len(data) // 2]
            self.client[1].write(data)
            await self.client[1].drain()
            if kind:
                self.cut(kind)
        self.client[1].close()


def abort(end):
    """Also one whose last bytes went out after it was closed: asyncio of Python 3.11 fails there, with nothing left to do."""
    try:
        end.transport.abort()
    except AttributeError:
        pass


async def run(way):
    """Who shoots a process or a server breaks its lines, too."""
    try:
        await way
    except ConnectionError:
        pass


async def serve(reader, writer, server):
    try:
        other = await asyncio.open_unix_connection(server)
    except OSError:
        writer.transport.abort()
        return
    line = Line((reader, writer), other)
    await asyncio.gather(run(line.requests()), run(line.answers()))
    if line.answer_fault:  # no answer came that it could have met: it is for somebody else
        WAITING.insert(0, line.answer_fault)
    for end in (writer, other[1]):
        abort(end)


async def main():
    listen, server = sys.argv[1:3]
    loop = asyncio.get_running_loop()
    words = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    lines = set()  # the loop itself keeps no hold on them

    def begin(reader, writer):
        line = asyncio.ensure_future(serve(reader, writer, server))
        lines.add(line)
        line.add_done_callback(lines.discard)

    await asyncio.start_unix_server(begin, listen)
    os.chmod(listen, 0o777)
    happened('ready')
    while True:
        word = await words.readline()
        if not word:
            os._exit(0)  # whatever is under way
        WAITING.append(word.decode().strip())


if __name__ == '__main__':
    asyncio.run(main())
