#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The burst: 100 candidates hand in 3 or 4 videos each at the same moment, and one worker and the server are killed.

    python3 tests/burst/burst.py --build build [--store sqlite|redis|postgres] [--real FOLDER]

Steps take 10 to 30 s divided by --scale, and are simulated unless --real names a folder of videos. Redis and Postgres
are private and gone afterwards. Figures are printed, as JSON with --json; the status is 0 when everything that must
hold did hold. Goals of time are printed beside what was seen and decide nothing.
"""
import argparse
import asyncio
import glob
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "servers"), os.path.join(ROOT, "tests", "video"), HERE]
import client   # noqa: E402  pylint: disable=wrong-import-position
import history  # noqa: E402  pylint: disable=wrong-import-position
import private  # noqa: E402  pylint: disable=wrong-import-position

STEPS = ("quality", "sound", "speech", "face", "gesture", "emotion")
CHILD_STEPS = ("quality", "sound", "speech", "emotion")
SERVICE_STEPS = ("face", "gesture")
LIMITS = {"probe": 8, "quality": 6, "sound": 8, "speech": 12, "emotion": 7, "report": 3}
REAL_LIMITS = {"quality": 2, "sound": 2, "speech": 2} # they compute: more at once than there are cores is none the sooner
SERVICE_LIMIT = 16
START_GOAL_MS, COST_GOAL = 50, 1.5
RSS_FACTOR, RSS_MORE_KIB = 1.2, 8192
CONNECTIONS, CONNECTION_KIB = 200, 40 # so many are within the bound, each further one has so much of its own
PASSWORD = "burst"


class Program:
    def __init__(self, folder, name, arguments):
        self.log_name = os.path.join(folder, name + ".log")
        with open(self.log_name, "ab") as log:
            self.start = log.tell()
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    async def line(self, start, patience_s=180):
        """The rest of the first line that begins so."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end and self.process.poll() is None:
            for line in self.log().splitlines():
                if line.startswith(start):
                    return line[len(start):]
            await asyncio.sleep(0.02)
        raise RuntimeError(f"no line '{start}': {self.log()}")

    def log(self):
        with open(self.log_name, encoding="utf-8", errors="replace") as log:
            log.seek(self.start)
            return log.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


class Store:
    """Where the queue is."""

    def __init__(self, kind, folder):
        self.server, self.argument = None, None
        if kind == "sqlite":
            uri = "sqlite:" + os.path.join(folder, "queue.db")
        elif kind in ("redis", "postgres"):
            place = os.path.join(folder, kind)
            os.mkdir(place)
            os.chmod(folder, 0o711)
            if kind == "redis":
                self.server = private.Redis(place, "burst", PASSWORD)
            else:
                self.server = private.Postgres(place, "burst", PASSWORD, "log_statement = none", "log_connections = off",
                                               "log_min_messages = warning", "max_connections = 300", "fsync = on")
            uri = self.server.uri("burst", PASSWORD, f"127.0.0.1:{self.server.port}", self.server.base).rstrip("&?")
        else:
            uri = kind
        path = os.path.join(folder, "store")
        with open(path, "w", encoding="utf-8") as file:
            file.write(uri + "\n")
        self.argument = "@" + path

    def stop(self):
        if self.server:
            self.server.stop()


class Burst:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.store = Store(options.store, folder)
        self.media = os.path.join(folder, "media")
        os.mkdir(self.media)
        self.secret = os.path.join(folder, "secret")
        shutil.copyfile("/dev/null", self.secret)
        os.chmod(self.secret, 0o600)
        with open(self.secret, "w", encoding="ascii") as file:
            file.write("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")
        self.port, self.server, self.workers, self.service = private.free_port(), None, [], None
        self.first_rss, self.taken_at, self.refusals, self.jobs, self.done = 0, 0.0, {}, {}, set()
        self.polls, self.unknown, self.crowds, self.step = 0, [], [], None if options.real else self.step_program()
        self.limits = REAL_LIMITS if options.real else LIMITS
        self.began = self.ended = 0.0

    # --- programs

    def jobq(self, *arguments):
        done = subprocess.run([self.options.jobq, arguments[0], "-s", self.store.argument, "--json", *arguments[1:]],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            raise RuntimeError(done.stderr)
        return done.stdout

    def step_program(self):
        """Sleeps by the last digit of the job's id. A shell starts faster than anything else that is everywhere."""
        least, most = self.options.seconds
        path = os.path.join(self.folder, "step.sh")
        cases = "\n".join(f"{digit:x}) sleep {least + (most - least) * digit / 15:.3f} ;;" for digit in range(16))
        with open(path, "w", encoding="ascii") as file:
            file.write('#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\n'
                       'if [ "$1" != probe ]; then case ${JOBQ_ID#"${JOBQ_ID%?}"} in\n' + cases + "\nesac; fi\n"
                       'echo "{\\"step\\":\\"$1\\",\\"status\\":\\"ok\\",\\"simulated\\":true}"\n')
        os.chmod(path, 0o755)
        return path

    async def start_server(self):
        self.server = Program(self.folder, "serve", [
            self.options.video, "serve", "--store", self.store.argument, "--media", self.media, "--secret-file", self.secret,
            "--listen", f"127.0.0.1:{self.port}", "--events", "1000000", "--log"])
        await self.server.line("listening on ")

    async def start_service(self):
        if self.options.real:
            command = ["/usr/bin/python3", os.path.join(ROOT, "examples", "video", "services", "vision.py"), "--listen",
                       "127.0.0.1:0", "--secret-file", self.secret, "--media", self.media,
                       "--callback-allow", f"127.0.0.1:{self.port}"]
        else:
            command = [sys.executable, os.path.join(HERE, "service.py"), "--secret-file", self.secret, "--concurrency",
                       str(SERVICE_LIMIT), "--seconds", *map(str, self.options.seconds)]
        self.service = Program(self.folder, "service", command)
        return await self.service.line("listening on ")

    async def start_worker(self, number, service):
        arguments = ["nice", "-n", "10", self.options.video, "worker", "--store", self.store.argument, "--media", self.media, "--secret-file",
                     self.secret, "--services", service, "--callback-url", f"http://127.0.0.1:{self.port}",
                     "--lease", str(self.options.lease), "-j", "1" if self.options.real else "4"]
        if not self.options.real:
            arguments += ["--step-command", self.step, "-j", "probe=4,report=2"]
        worker = Program(self.folder, f"worker-{number}", arguments)
        await worker.line("working:")
        return worker

    def stop(self):
        for process in self.crowds:
            if process.returncode is None:
                process.kill()
        statuses = [program.stop() for program in (*self.workers, self.server, self.service) if program]
        self.store.stop()
        return statuses

    # --- videos

    def make_videos(self, count):
        if not self.options.real:
            for number in range(count):
                with open(os.path.join(self.media, f"{number}.mp4"), "wb") as file:
                    file.write(b"a simulated video %d" % number)
            return [f"{number}.mp4" for number in range(count)]
        clips = sorted(glob.glob(os.path.join(self.options.real, "*.mp4")))
        names = []
        for number in range(count):
            names.append(f"{number}.mp4")
            subprocess.run(["ffmpeg", "-v", "error", "-i", clips[number % len(clips)], "-t", str(self.options.clip_seconds), "-vf",
                            "scale=320:-2", "-c:v", "mpeg4", "-q:v", "4", "-c:a", "aac", os.path.join(self.media, names[-1])],
                           stdin=subprocess.DEVNULL, check=True)
        return names

    # --- clients

    async def crowd(self, word, videos, pollers=0):
        """Runs the crowd over (candidate, video) pairs; as lines come, what was taken and has ended is kept."""
        process = await asyncio.create_subprocess_exec(
            self.options.crowd, f"127.0.0.1:{self.port}", word, str(pollers), str(self.options.scale),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        self.crowds.append(process)
        process.stdin.write("".join(f"{candidate} {video}\n" for candidate, video in videos).encode())
        process.stdin.close()
        seconds, count = [], len(videos)
        async for line in process.stdout:
            what, *rest = line.decode().split()
            if what == "taken":
                self.jobs[rest[0]] = rest[1]
                seconds.append(int(rest[2]) / 1e6)
                if len(seconds) == count:
                    self.taken_at = time.monotonic()
            elif what == "ended":
                self.done.add(rest[0])
            elif what == "refused":
                self.refusals[rest[0]] = self.refusals.get(rest[0], 0) + 1
            elif what == "bad":
                self.unknown.append(rest)
            else:
                self.polls += int(rest[0])
        if await process.wait() != 0:
            raise RuntimeError(f"the crowd ended with {process.returncode}")
        return seconds

    # --- the middle

    async def kill_some(self, service, count):
        """A worker and the server, with work in hand, in the middle."""
        while len(self.done) < count // 4:
            await asyncio.sleep(0.02)
        self.workers[0].kill()
        self.server.kill()
        await asyncio.sleep(0.2)
        await self.start_server()
        await self.ask(next(iter(self.jobs)))
        self.workers[0] = await self.start_worker(0, service)

    async def ask(self, job):
        """The first answer of a server, after which its memory is looked at."""
        line = client.Line(self.port)
        await line.until_answered("GET", f"/analysis/result/{job}")
        self.first_rss = self.server.rss_kib()
        line.close()

    async def run(self):
        options = self.options
        shares = [3 + number % 2 for number in range(options.candidates)] if not options.videos else \
            [len(range(number, options.videos, options.candidates)) for number in range(options.candidates)]
        before = 0 if options.real else options.idle
        videos = self.make_videos(before + sum(shares))
        await self.start_server()
        service = await self.start_service()
        for part, limit in self.limits.items():
            self.jobq("limit", "video." + part, "--concurrency", str(limit))
        idle = await self.crowd("idle", [(0, video) for video in videos[:before]])
        self.workers = [await self.start_worker(number, service) for number in range(options.workers)]
        rest = iter(videos[before:])
        middle = asyncio.create_task(self.kill_some(service, sum(shares)))
        self.began = time.monotonic()
        burst = await asyncio.wait_for(self.crowd("burst", [(number, next(rest)) for number, share in enumerate(shares)
                                                            for _ in range(share)], options.pollers), options.patience)
        taken_s = self.taken_at - self.began
        await middle
        self.ended = time.monotonic()
        await self.rest_done(len(videos))
        return await self.figures(idle, burst, taken_s, len(videos))

    async def rest_done(self, count):
        """Of those that were handed in before the burst, too; nobody waits for them."""
        while len(self.list("video.report", "completed")) < count:
            if time.monotonic() > self.began + self.options.patience:
                raise RuntimeError("not all have ended")
            await asyncio.sleep(0.2)

    # --- figures

    async def figures(self, idle, burst, taken_s, count):
        rss = {"first_answer_kib": self.first_rss, "end_kib": self.server.rss_kib()}
        statuses = [worker.stop() for worker in self.workers]
        queues = history.read(json.loads(line) for line in self.jobq("events", "--limit", "1000000").splitlines())
        reports = [json.loads(job["result"]) for job in self.list("video.report")]
        alone = await self.crowd("alone", [(number, "0.mp4") for number in range(self.options.candidates)])
        cost = self.cost()
        statuses += [program.stop() for program in (self.server, self.service)]
        service = self.service.log().split("figures ", 1)
        parts = {}
        for name in ("probe", *STEPS, "report"):
            queue = queues["video." + name]
            parts[name] = {"at_once": queue.most, "limit": self.limits.get(name),
                           "wait_ms": client.quantiles(queue.waits), "run_ms": client.quantiles(queue.runs), **queue.ended}
        return {"machine": {"cores": os.cpu_count(), "load": os.getloadavg()[0]}, "store": self.options.store.split(":")[0], "submissions": count, "taken_in_s": round(taken_s, 2),
                "done_in_s": round(self.ended - self.began, 2), "refusals": self.refusals, "polls": self.polls,
                "answer_idle_ms": client.quantiles(idle), "answer_burst_ms": client.quantiles(burst), "answer_alone_ms": client.quantiles(alone),
                "parts": parts, "service": json.loads(service[1]) if len(service) > 1 else None, "server_rss": rss, "cost": cost,
                "reports": len(reports), "complete": sum(report["complete"] for report in reports),
                "bad_polls": self.unknown, "stopped_with": statuses}

    def cost(self):
        """What an answer costs beside what it is made of. Nobody works any more, so what is put stays."""
        done = subprocess.run([self.options.cost, f"127.0.0.1:{self.port}", self.store.argument, "0.mp4",
                               str(self.options.costs)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)

    def list(self, queue, *state):
        found, after, state = [], [], [word for name in state for word in ("--state", name)]
        while True:
            page = json.loads(self.jobq("list", "--queue", queue, "--limit", "200", *state, *after) or "[]")
            found += page
            if len(page) < 200:
                return found
            after = ["--after", page[-1]["id"]]


def rss_bound(options, rss):
    more = max(0, options.candidates + options.pollers - CONNECTIONS) * CONNECTION_KIB
    return RSS_FACTOR * rss["first_answer_kib"] + RSS_MORE_KIB + more


def judge(options, figures):
    """What does not hold."""
    wrong = []
    count = figures["submissions"]
    if figures["reports"] != count or figures["complete"] != count:
        wrong.append(f"{figures['reports']} reports, {figures['complete']} of them complete, of {count}")
    if figures["refusals"] or figures["bad_polls"]:
        wrong.append(f"refused: {figures['refusals']}, {figures['bad_polls']}")
    for name, part in figures["parts"].items():
        if part.get("completed", 0) != count or part.get("dead") or part.get("cancelled"):
            wrong.append(f"{name}: {part}")
        if part["limit"] and part["at_once"] > part["limit"]:
            wrong.append(f"{name}: {part['at_once']} at once, the limit is {part['limit']}")
    for step, most in ((figures["service"] or {}).get("most") or {}).items():
        if most > SERVICE_LIMIT:
            wrong.append(f"the service had {most} of {step} at once, its limit is {SERVICE_LIMIT}")
    rss = figures["server_rss"]
    if rss["end_kib"] > rss_bound(options, rss) and not options.sanitized:
        wrong.append(f"memory of the server: {rss}")
    if any(figures["stopped_with"]):
        wrong.append(f"programs ended with {figures['stopped_with']}")
    return wrong


def show(options, figures):
    print(f"{figures['machine']['cores']} cores, load {figures['machine']['load']:.1f}")
    print(f"{figures['store']}: {figures['submissions']} submissions taken in {figures['taken_in_s']} s, done in "
          f"{figures['done_in_s']} s; {figures['polls']} polls; refused {figures['refusals'] or 'none'}")
    idle, burst = figures["answer_idle_ms"], figures["answer_burst_ms"]
    print(f"answer of start  idle {idle}  burst {burst} ms" +
          (f"; p99 / idle p50 = {burst['p99'] / idle['p50']:.1f} (goal 10; and {START_GOAL_MS} ms)" if idle else ""))
    alone = figures["answer_alone_ms"]
    print(f"{options.candidates} at once and nobody working  {alone} ms" + (f"; p99 / idle p50 = {alone['p99'] / idle['p50']:.1f}" if idle else ""))
    print(f"{'part':8} {'at once':>7} {'limit':>5}  wait p50/p95/p99 ms         run p50/p95/p99 ms")
    for name, part in figures["parts"].items():
        waits, runs = (" / ".join(str(value) for value in (part[which] or {}).values()) for which in ("wait_ms", "run_ms"))
        print(f"{name:8} {part['at_once']:7} {part['limit'] or '-':>5}  {waits:27} {runs}")
    rss = figures["server_rss"]
    print(f"service: {figures['service']}")
    cost = figures["cost"]
    print(f"start {cost['start_us']} us = {cost['ratio']} x (bare answer {cost['bare_answer_us']} us + bare enqueue "
          f"{cost['bare_enqueue_us']} us) (goal {COST_GOAL})")
    print(f"memory of the server: {rss['first_answer_kib']} KiB at the first answer, {rss['end_kib']} KiB at the end "
          f"(bound {rss_bound(options, rss):.0f})")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--store", default="sqlite", help="sqlite, redis, postgres (private ones) or an address")
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--videos", type=int, default=0, help="in all; without it 3 or 4 for each")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--pollers", type=int, default=100)
    parser.add_argument("--scale", type=float, default=100)
    parser.add_argument("--idle", type=int, default=40, help="submissions one after the other, before the workers start")
    parser.add_argument("--costs", type=int, default=300, help="answers to measure the cost of")
    parser.add_argument("--lease", type=int, default=0, help="ms; without it 8,000, and 20,000 with --real: programs that compute "
                        "leave the heartbeats little room")
    parser.add_argument("--real", metavar="FOLDER", help="of videos: short clips of them, analysed in earnest")
    parser.add_argument("--clip-seconds", type=float, default=2)
    parser.add_argument("--patience", type=float, default=540, help="seconds")
    parser.add_argument("--sanitized", action="store_true", help="memory is not judged")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.lease = options.lease or (20000 if options.real else 8000)
    options.seconds = (10 / options.scale, 30 / options.scale)
    options.video = os.environ.get("JOBQ_VIDEO") or os.path.join(options.build, "examples", "video", "jobq-video")
    options.jobq = os.environ.get("JOBQ") or os.path.join(options.build, "examples", "jobq", "jobq")
    options.crowd = os.environ.get("JOBQ_CROWD") or os.path.join(options.build, "tests", "burst", "burst-crowd")
    options.cost = os.environ.get("JOBQ_COST") or os.path.join(options.build, "tests", "burst", "burst-cost")
    return options


def main():
    options = parse()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = tempfile.mkdtemp(prefix="jqb.", dir="/tmp")
    burst = Burst(options, folder)
    try:
        figures = asyncio.run(burst.run())
        wrong = judge(options, figures)
    except BaseException:
        for program in filter(None, (burst.server, burst.service, *burst.workers)):
            print(f"{os.path.basename(program.log_name)}, status {program.process.poll()}: {program.log()[-2000:]}", file=sys.stderr)
        raise
    finally:
        burst.stop()
        shutil.rmtree(folder, True)
    print(json.dumps({**figures, "wrong": wrong})) if options.json else show(options, figures)
    for text in wrong:
        print("WRONG: " + text, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
