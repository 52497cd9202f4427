# SPDX-License-Identifier: MIT
"""Pictures of one file, decoded by ffmpeg in a process of its own.

ffmpeg is told to read this one file and nothing else: the name is given as an argument, as "file:NAME"; other
protocols, playlists and image patterns are refused. It runs under limits and dies with us.
"""
import ctypes
import json
import math
import os
import resource
import select
import shutil
import signal
import stat
import subprocess
import time

FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,flv,mpeg,mpegts,mpegvideo,ogg,wav,w64,mp3,flac,aac,"
           "aiff,au,caf,amr,ivf,yuv4mpegpipe,nut,mxf,dv")
READ_ONLY_THIS = ["-protocol_whitelist", "file", "-format_whitelist", FORMATS]
MEMORY_LIMIT_BYTES = 2 << 30
NICE = 10
PROBE_LIMIT_S = 30
ERROR_BYTES = 4096
PR_SET_PDEATHSIG = 1


class Outcome(Exception):
    """The end of a step that has no result: status is skipped, not_available or failed."""

    def __init__(self, status, reason, package=None):
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.package = package


def die_with_parent(parent):
    """Whoever started this process would not read its result any more."""
    call = getattr(ctypes.CDLL(None), "prctl", None)
    if call:
        call(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(127)


def limit_memory(limit_bytes):
    """To so much, or to the less that somebody else set."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = limit_bytes if hard == resource.RLIM_INFINITY else min(limit_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def step_back():
    """At least so nice; not added to what we are, for children have children."""
    os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))


def _limit_child(parent):
    def apply():
        die_with_parent(parent)
        limit_memory(MEMORY_LIMIT_BYTES)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        step_back()
    return apply


def _start(name, arguments):
    program = shutil.which(name)
    if not program:
        raise Outcome("skipped", f"the program {name} is not installed", "ffmpeg")
    return subprocess.Popen([name, *arguments], executable=program, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "LC_ALL": "C"},
                            preexec_fn=_limit_child(os.getpid()))


def clean(text):
    """What a program said, as one printable line."""
    lines = text.decode("ascii", "replace").strip().splitlines()
    return "".join(c if " " <= c <= "~" else "?" for c in lines[-1])[:300] if lines else ""


def check_file(path):
    """Our own look first: a device or a fifo must not even be opened."""
    try:
        facts = os.stat(path)
        readable = os.access(path, os.R_OK)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "bad name"
        raise Outcome("failed", f"the file cannot be read: {reason}") from None
    if not stat.S_ISREG(facts.st_mode):
        raise Outcome("failed", "not a regular file")
    if not readable:
        raise Outcome("failed", "the file cannot be read: Permission denied")
    if facts.st_size == 0:
        raise Outcome("failed", "the file is empty")


def _input_of(path):
    return "file:" + path


def _ask(path):
    process = _start("ffprobe", ["-v", "error", *READ_ONLY_THIS, "-print_format", "json", "-show_format",
                                 "-show_streams", "-i", _input_of(path)])
    try:
        answer, complaint = process.communicate(timeout=PROBE_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Outcome("failed", f"ffprobe passed the time limit of {PROBE_LIMIT_S} s") from None
    if process.returncode == 0:
        return json.loads(answer)
    if b"Format not on whitelist" in complaint:
        raise Outcome("failed", "not a media file: playlists, image sequences and texts are not read")
    if b"Invalid data found" in complaint:
        raise Outcome("failed", "not a media file, or damaged beyond reading")
    raise Outcome("failed", "ffprobe: " + clean(complaint))


def _ratio(text):
    above, _, below = (text or "").partition("/")
    try:
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        return 0.0


class Footage:
    """The first video stream of a file: its size as it is shown, its rate, its length."""

    def __init__(self, path):
        check_file(path)
        self.path = path
        facts = _ask(path)
        stream = next((s for s in facts.get("streams", []) if s.get("codec_type") == "video"
                       and not s.get("disposition", {}).get("attached_pic")), None)
        if stream is None:
            raise Outcome("not_available", "the file has no pictures")
        self.width, self.height = int(stream.get("width", 0)), int(stream.get("height", 0))
        if self.width < 1 or self.height < 1:
            raise Outcome("failed", "the pictures have no size")
        turn = next((s["rotation"] for s in stream.get("side_data_list", []) if "rotation" in s), 0)
        if int(turn) % 180 != 0:
            self.width, self.height = self.height, self.width
        self.rate = _ratio(stream.get("avg_frame_rate")) or 25.0
        self.duration_s = float(facts.get("format", {}).get("duration") or 0.0)

    def sampling(self, wanted_rate, most_samples):
        """Pictures a second: what is wanted, not more than there are, fewer when the film is long."""
        rate = min(wanted_rate, self.rate)
        if self.duration_s * rate > most_samples:
            rate = most_samples / self.duration_s
        return rate

    def scaled(self, most_width):
        """Size of the pictures when they are at most this wide."""
        if self.width <= most_width:
            return self.width, self.height
        return most_width, max(1, round(self.height * most_width / self.width))

    def grey(self, rate, size):
        """Yields (milliseconds, 2-D array) at a steady rate, in grey, scaled to size."""
        return self._decode(rate, size, "gray", (size[1], size[0]))

    def colour(self, rate, size):
        """The same in colour: 3-D arrays, blue, green, red."""
        return self._decode(rate, size, "bgr24", (size[1], size[0], 3))

    def _decode(self, rate, size, pixels, shape):
        import numpy
        width, height = size
        arguments = ["-v", "error", "-nostdin", "-filter_threads", "1", "-threads", "2", *READ_ONLY_THIS,
                     "-i", _input_of(self.path), "-map", "0:V:0", "-an", "-vf",
                     f"fps={rate:.6f},scale={width}:{height}:flags=area,format={pixels}",
                     "-f", "rawvideo", "pipe:1"]
        process = _start("ffmpeg", arguments)
        try:
            count = 0
            for picture in _pictures(process, math.prod(shape)):
                yield round(count * 1000 / rate), numpy.frombuffer(picture, numpy.uint8).reshape(shape)
                count += 1
            self._check_end(process, count)
        finally:
            process.kill()
            process.stdout.close()
            process.stderr.close()
            process.wait()

    def _check_end(self, process, count):
        if process.wait() != 0:
            reason = clean(process.complaint) or f"ended with {process.returncode}"
            raise Outcome("failed", "ffmpeg: " + reason)
        if count == 0:
            raise Outcome("failed", "no picture could be decoded")


def _pictures(process, size):
    """Whole pictures from standard output. Standard error is emptied as well: a full pipe would stop both."""
    waiting = {process.stdout: bytearray(), process.stderr: bytearray()}
    process.complaint = b""
    while waiting:
        for stream in select.select(list(waiting), [], [])[0]:
            piece = os.read(stream.fileno(), 1 << 18)
            if not piece:
                del waiting[stream]
            elif stream is process.stderr:
                process.complaint = (process.complaint + piece)[-ERROR_BYTES:]
            else:
                waiting[stream] += piece
        held = waiting.get(process.stdout)
        while held is not None and len(held) >= size:
            yield bytes(held[:size])
            del held[:size]


class Progress:
    """Lines "DONE TOTAL UNIT" on the descriptor named by JOBQ_PROGRESS_FD, at most ten a second."""

    INTERVAL_S = 0.1

    def __init__(self):
        self.last = 0.0
        try:
            self.fd = int(os.environ["JOBQ_PROGRESS_FD"])
            os.set_inheritable(self.fd, False)
        except (KeyError, ValueError, OSError, OverflowError):
            self.fd = None

    def tell(self, done, total, unit="frames", last=False):
        now = time.monotonic()
        if self.fd is None or (now - self.last < self.INTERVAL_S and not last):
            return
        self.last = now
        # A reader that does not keep up loses lines, never time.
        if select.select([], [self.fd], [], 0)[1]:
            try:
                os.write(self.fd, f"{done} {max(done, total)} {unit}\n".encode())
            except OSError:
                self.fd = None
