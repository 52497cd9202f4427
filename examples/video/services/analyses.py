# SPDX-License-Identifier: MIT
"""The analyses of the service: a bounded number at a time, each in a process of its own, then posted back."""
import hashlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import webhook

DELIVERY_TRIES = 6
DELIVERY_TIMEOUT_S = 10
LONGEST_WAIT_S = 30
PROGRESS_EVERY_S = 1.0


def log(text):
    print(text, file=sys.stderr, flush=True)


class Job:
    """What was asked for, checked."""

    def __init__(self, step, job_id, callback, path, url, metadata, wants_progress):
        self.step, self.job_id, self.callback, self.path = step, job_id, callback, path
        self.url, self.metadata, self.wants_progress = url, metadata, wants_progress

    def key(self):
        """Names the callback without telling the token."""
        return hashlib.sha256(f"{self.step} {self.callback}".encode()).hexdigest()[:32]

    def message(self, **content):
        body = {"jobId": self.job_id, "callback": self.callback, "metadata": self.metadata, **content}
        return json.dumps(body, separators=(",", ":")).encode()


class Poster:
    """Posts signed messages; the place was checked when the job came in, and redirects are not followed."""

    def __init__(self, key, stopping):
        self.key, self.stopping = key, stopping

    def once(self, url, message_id, body):
        """Returns (status, seconds to wait or None); OSError or HTTPException when there is no answer."""
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=DELIVERY_TIMEOUT_S)
        headers = webhook.sign(self.key, message_id, time.time(), body)
        headers["content-type"] = "application/json"
        try:
            connection.request("POST", parts.path + ("?" + parts.query if parts.query else ""), body, headers)
            answer = connection.getresponse()
            answer.read(65536)
            wait = answer.getheader("retry-after", "")
            return answer.status, int(wait) if wait.isdigit() else None
        finally:
            connection.close()

    def deliver(self, job, body):
        """Until it is taken, refused for good, or tried often enough. A result that cannot be delivered is
        dropped: the deadline of whoever waits for it brings the job back."""
        for attempt in range(DELIVERY_TRIES):
            wait = 0.5 * 2 ** attempt
            try:
                status, asked = self.once(job.url, "res_" + job.key(), body)
                if 200 <= status < 300:
                    return f"delivered at try {attempt + 1}"
                if 300 <= status < 500 and status not in (408, 425, 429):
                    return f"refused with status {status}"
                wait = min(asked or wait, LONGEST_WAIT_S)
                trouble = f"status {status}"
            except (OSError, http.client.HTTPException) as error:
                trouble = str(error) or type(error).__name__
            if attempt + 1 < DELIVERY_TRIES and self.stopping.wait(wait):
                return "not delivered: stopping"
        return f"not delivered: {trouble}"


class Analyses:
    def __init__(self, program, keys, concurrency, backlog, time_limit_s):
        self.program, self.time_limit_s = program, time_limit_s
        self.room = concurrency + backlog
        self.concurrency = concurrency
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.poster = Poster(keys[0], self.stopping)
        self.accepted = {}      # key of a job -> it, from acceptance until its result is delivered
        self.processes = set()
        # The threads live as long as the service: a child is killed when the thread that started it ends.
        self.pool = ThreadPoolExecutor(concurrency, thread_name_prefix="analysis")

    def accept(self, job):
        """Returns "accepted", "repeated" when the very same is under way, or "full"."""
        with self.lock:
            if job.key() in self.accepted:
                return "repeated"
            if len(self.accepted) >= self.room or self.stopping.is_set():
                return "full"
            self.accepted[job.key()] = job
            self.pool.submit(self._work, job)
        return "accepted"

    def counts(self):
        with self.lock:
            accepted = len(self.accepted)
        return {"running": min(accepted, self.concurrency), "waiting": max(0, accepted - self.concurrency),
                "room": self.room}

    def stop(self):
        """Ends what runs without a result; nothing is delivered any more."""
        self.stopping.set()
        with self.lock:
            for process in self.processes:
                kill_group(process)
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _work(self, job):
        try:
            began = time.monotonic()
            result = self._analyse(job)
            if self.stopping.is_set():
                return
            fate = self.poster.deliver(job, job.message(result=result))
            log(f"{job.step} {job.job_id}: {result['status']} after {time.monotonic() - began:.1f} s, {fate}")
        except Exception as error:  # the pool would swallow it
            log(f"{job.step} {job.job_id}: {type(error).__name__}: {error}")
        finally:
            with self.lock:
                self.accepted.pop(job.key(), None)

    def _analyse(self, job):
        process, progress = self._start(job)
        if process is None:
            return {"step": job.step, "status": "failed", "reason": "stopping"}
        reader = threading.Thread(target=self._pass_progress, args=(job, progress), daemon=True)
        reader.start()
        try:
            return self._await(job, process)
        finally:
            with self.lock:
                self.processes.discard(process)
            kill_group(process)
            reader.join()   # so that no progress comes after the result

    def _start(self, job):
        """Returns the process and the file its progress comes in, or (None, None) when we are stopping."""
        read_end, write_end = os.pipe()
        progress = os.fdopen(read_end, encoding="ascii", errors="replace")
        try:
            with self.lock:
                if not self.stopping.is_set():
                    process = self._spawn(job, write_end)
                    self.processes.add(process)
                    return process, progress
            progress.close()
            return None, None
        except OSError:
            progress.close()
            raise
        finally:
            os.close(write_end)

    def _spawn(self, job, progress_fd):
        return subprocess.Popen(
            [sys.executable, self.program, "--once", job.step, job.path], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, pass_fds=[progress_fd],
            env={**os.environ, "JOBQ_PROGRESS_FD": str(progress_fd), "JOBQ_DIE_WITH": str(os.getpid())})

    def _await(self, job, process):
        failed = {"step": job.step, "status": "failed"}
        try:
            answer, complaint = process.communicate(timeout=self.time_limit_s)
        except subprocess.TimeoutExpired:
            kill_group(process)
            process.communicate()
            return {**failed, "reason": f"the time limit of {self.time_limit_s} s has passed"}
        try:
            report = json.loads(answer)
            if report["step"] == job.step and isinstance(report["status"], str):
                return report
        except (ValueError, KeyError, TypeError):
            pass
        last = complaint.decode("ascii", "replace").strip().rpartition("\n")[2][:200]
        return {**failed, "reason": f"the analysis ended with {process.returncode} and no result: {last}"}

    def _pass_progress(self, job, lines):
        """Passes progress on, once a second at most, if it was asked for. One that gets lost is not missed."""
        last, number = 0.0, 0
        with lines:
            for line in lines:
                if not job.wants_progress or time.monotonic() - last < PROGRESS_EVERY_S:
                    continue
                last, number = time.monotonic(), number + 1
                try:
                    done, total, unit = line.split()
                    body = job.message(progress={"done": float(done), "total": float(total), "unit": unit})
                    self.poster.once(job.url, f"prg_{job.key()}_{number}", body)
                except (ValueError, OSError, http.client.HTTPException):
                    pass


def kill_group(process):
    """The analysis and its ffmpeg; only while the leader is not reaped, and the number still theirs."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
