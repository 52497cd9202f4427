#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""More connections than the server can have."""
import os
import resource
import socket
import sys
import time

import kit


class Flood(kit.Case):
    """More connections than there are descriptors: no busy waiting, no end, and all is well when they are let go."""

    LOOK_S = 2.0
    BUSY_S = 0.3 # of processor time in LOOK_S; each of the four threads that take connections can use all of one

    def setUp(self):
        super().setUp()
        self.video()

    def serve_within(self, most):
        """A server that can have so many descriptors and may not ask for more."""
        self.server = self.start("serve", ["sh", "-c", f'ulimit -n {most}; exec "$@"', "sh", kit.VIDEO, "serve", "--store",
                                           self.store, "--media", self.media, "--listen", "127.0.0.1:0"])
        self.port = int(self.server.line("listening on http://127.0.0.1:"))

    def descriptors(self):
        return [int(name) for name in os.listdir(f"/proc/{self.server.pid}/fd")]

    def busy_s(self):
        """Processor time that it uses while it is watched."""
        def used():
            with open(f"/proc/{self.server.pid}/stat", encoding="ascii") as stat_file:
                words = stat_file.read().rsplit(")", 1)[1].split()
            return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        before = used()
        time.sleep(self.LOOK_S)
        return used() - before

    def hold(self, count):
        """Connections that begin a request and do not end it."""
        held = [socket.create_connection(("127.0.0.1", self.port), timeout=30, source_address=(f"127.0.0.{2 + number % 8}", 0))
                for number in range(count)]
        for connection in held:
            self.addCleanup(connection.close)
            connection.sendall(b"GET /analysis/result/x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        return held

    def works(self):
        job = self.submit()
        self.assertEqual(self.result(job)["status"], "processing")

    def test_more_connections_than_descriptors(self):
        most = 128
        self.serve_within(most)
        self.works()
        held = self.hold(2 * most)
        kit.until("as many as are taken", lambda: len(self.descriptors()) >= most // 2)
        self.assertLess(self.busy_s(), self.BUSY_S)
        self.assertLess(len(self.descriptors()), most - 16, "nothing is left for the store and the files")
        for connection in held:
            connection.close()
        self.works()

    def test_no_descriptor_for_any_connection(self):
        """What has used them all is something else: nobody's going lets the next one in."""
        self.serve()
        self.works()
        kit.until("the connections are closed", lambda: not self.connections())
        usual = resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE, (min(set(range(usual[0])) - set(self.descriptors())), usual[1]))
        self.hold(8)
        self.assertLess(self.busy_s(), self.BUSY_S)
        self.assertIsNone(self.server.process.poll())
        self.assertEqual(self.connections(), 0)
        resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE, usual)
        self.works()

    def connections(self):
        """Of the server, taken by it: those of its sockets that have another end, or had one and are not closed."""
        with open(f"/proc/{self.server.pid}/net/tcp", encoding="ascii") as table:
            rows = [line.split() for line in table.readlines()[1:]]
        there = {row[9] for row in rows if row[3] != "0A" and row[1].endswith(f":{self.port:04X}")}
        mine = set()
        for number in self.descriptors():
            try:
                mine.add(os.readlink(f"/proc/{self.server.pid}/fd/{number}")[len("socket:["):-1])
            except OSError:
                continue # closed meanwhile
        return len(there & mine)


if __name__ == "__main__":
    sys.exit(kit.main())
