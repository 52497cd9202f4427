# SPDX-License-Identifier: MIT
"""The HTTP side: POST /face, POST /gesture, GET /health."""
import json
import os
import re
import shutil
import signal
import stat
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import webhook
from analyses import Analyses, Job, log

MOST_BODY_BYTES = 64 << 10
MOST_METADATA_BYTES = 16 << 10
REQUEST_TIMEOUT_S = 10
RETRY_AFTER_S = 2
JOB_ID = re.compile(r"[A-Za-z0-9_:-]{1,128}")
CALLBACK = re.compile(r"[0-9a-f]{16,128}")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class BadRequest(Exception):
    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def _member(request, name, pattern, what):
    value = request.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadRequest(400, f"{name}: {what}")
    return value


class Rules:
    """What may be asked for."""

    def __init__(self, media, steps, allowed):
        self.media = os.path.realpath(media)
        if not os.path.isdir(self.media):
            raise ValueError(f"--media {media} is not a folder")
        self.steps, self.allowed = steps, allowed

    def path(self, name):
        """The real file below the media folder; a link that leads out of it does not count as below."""
        if not isinstance(name, str) or not name or "\0" in name:
            raise BadRequest(400, "videoPath: a file name is needed")
        path = os.path.realpath(os.path.join(self.media, name))
        if not path.startswith(self.media.rstrip("/") + "/"):
            raise BadRequest(400, "videoPath: outside the media folder")
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise BadRequest(400, "videoPath: not a regular file")
        except (OSError, ValueError):
            raise BadRequest(400, "videoPath: no such file") from None
        return path

    def url(self, text):
        wrong = BadRequest(400, "callbackUrl: not allowed; http to a host of --callback-allow")
        if not isinstance(text, str) or len(text) > 2048 or not re.fullmatch(r"[!-~]+", text):
            raise wrong
        try:
            parts = urllib.parse.urlsplit(text)
            host, port = parts.hostname, parts.port or 80
        except ValueError:
            raise wrong from None
        if parts.scheme != "http" or not host or "@" in parts.netloc:
            raise wrong
        if self.allowed and f"{host}:{port}" not in self.allowed or not self.allowed and host not in LOOPBACK:
            raise wrong
        return text

    def job(self, step, request):
        if not isinstance(request, dict):
            raise BadRequest(400, "the body is not a JSON object")
        metadata = request.get("metadata")
        if len(json.dumps(metadata)) > MOST_METADATA_BYTES:
            raise BadRequest(413, f"metadata: more than {MOST_METADATA_BYTES} bytes")
        return Job(step, _member(request, "jobId", JOB_ID, "1 to 128 letters, digits, '_', ':' or '-'"),
                   _member(request, "callback", CALLBACK, "16 to 128 hexadecimal digits"),
                   self.path(request.get("videoPath")), self.url(request.get("callbackUrl")), metadata,
                   request.get("progress") is True)


class Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_TIMEOUT_S
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "jobq-vision", ""

    def log_message(self, format, *args):   # pylint: disable=redefined-builtin
        pass

    def _answer(self, status, content, **headers):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status, reason):
        # What is left of the body is not read, so the connection cannot go on.
        self.close_connection = True
        self._answer(status, {"error": reason}, connection="close")

    def do_GET(self):
        if self.path != "/health":
            self._refuse(404, "there is GET /health")
            return
        service = self.server.service
        self._answer(200, {"status": "ok", "steps": list(service.rules.steps), **service.analyses.counts(),
                           "missing": service.missing()})

    def _body(self):
        length = self.headers.get("content-length", "")
        if not re.fullmatch(r"[0-9]{1,9}", length):
            raise BadRequest(411, "content-length is needed")
        if int(length) > MOST_BODY_BYTES:
            raise BadRequest(413, f"more than {MOST_BODY_BYTES} bytes")
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise BadRequest(400, "the body ended early")
        return body

    def _read_job(self):
        service = self.server.service
        step = self.path.lstrip("/")
        if self.path != "/" + step or step not in service.rules.steps:
            raise BadRequest(404, "there is " + ", ".join("POST /" + s for s in service.rules.steps))
        body = self._body()
        try:
            webhook.verify(service.keys, self.headers, body, time.time())
        except webhook.BadMessage as error:
            raise BadRequest(401, str(error)) from None
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            raise BadRequest(400, "the body is not JSON") from None
        return service.rules.job(step, request)

    def do_POST(self):
        try:
            job = self._read_job()
        except BadRequest as error:
            self._refuse(error.status, str(error))
            return
        verdict = self.server.service.analyses.accept(job)
        if verdict == "full":
            self._answer(429, {"error": "no room; try again later"}, retry_after=RETRY_AFTER_S)
        else:
            self._answer(202, {"jobId": job.job_id, "status": "accepted", "repeated": verdict == "repeated"})


class Service:
    def __init__(self, options, program):
        self.keys = webhook.read_keys(options.secret_file)
        self.rules = Rules(options.media, options.steps, options.callback_allow)
        self.analyses = Analyses(program, self.keys, options.concurrency, options.backlog, options.time_limit)

    def missing(self):
        """Packages without which every analysis here ends as skipped."""
        from faces import FACE_CASCADE, FOLDERS
        import importlib.util
        found = {"ffmpeg": shutil.which("ffmpeg") and shutil.which("ffprobe"),
                 "python3-opencv": importlib.util.find_spec("cv2"),
                 "opencv-data": any(os.path.exists(os.path.join(f, FACE_CASCADE)) for f in FOLDERS)}
        return [package for package, there in found.items() if not there]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, service):
        self.service = service
        super().__init__(address, Handler)


def _listen_address(text):
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("--listen ADDRESS:PORT")
    return host.strip("[]"), int(port)


def serve(options, program):
    """Until SIGTERM or SIGINT; returns the exit status."""
    try:
        service = Service(options, program)
        server = Server(_listen_address(options.listen), service)
    except (OSError, ValueError) as error:
        log(f"vision.py: {error}")
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
    thread.start()
    host, port = server.server_address[:2]
    print(f"listening on http://{host}:{port}", flush=True)
    stop.wait()
    server.shutdown()
    service.analyses.stop()
    server.server_close()
    return 0
