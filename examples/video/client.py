#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A client of jobq-video in another language, of the standard library alone.

    client.py [--server URL] [--token-file FILE] [--key KEY] [--callback-url URL] VIDEO...

Hands videos in and prints each result, one JSON object a line. As a module: Client, and verify for who is told.
"""
import argparse
import base64
import hashlib
import hmac
import json
import sys
import time
import urllib.error
import urllib.request

WAIT_S = 30
TRIES = 20


class Refused(Exception):
    """The server's word: status, and what it says."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body.get('field', '')} {body.get('error', '')}")
        self.status, self.body = status, body


class Client:
    def __init__(self, server="http://127.0.0.1:8080", token=None):
        self.server, self.token = server.rstrip("/"), token

    def _once(self, path, body, headers):
        request = urllib.request.Request(self.server + path, None if body is None else json.dumps(body).encode(), headers)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", "Bearer " + self.token)
        with urllib.request.urlopen(request, timeout=2 * WAIT_S) as answer:
            return answer.headers, json.load(answer)

    def _ask(self, path, body=None, headers=None):
        """Again after 429 and 503, when the server says, and while it is away; (headers, JSON), JSON None for 304."""
        for number in range(TRIES):
            try:
                return self._once(path, body, headers or {})
            except urllib.error.HTTPError as error:
                if error.code == 304:
                    return error.headers, None
                wait = error.headers.get("Retry-After")
                if error.code not in (429, 503) or number == TRIES - 1:
                    raise Refused(error.code, json.load(error)) from None
                time.sleep(int(wait or 1))
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if number == TRIES - 1:
                    raise
                time.sleep(0.5)
        raise AssertionError("not reached")

    def start(self, video, key, **more):
        """Hands a video in; the same key again is the same submission. Returns the jobId."""
        return self._ask("/analysis/start", {"videoPath": video, **more}, {"Idempotency-Key": key})[1]["jobId"]

    def watch(self, job):
        """Each answer that differs from the one before, until it is over."""
        tag = None
        while True:
            headers, result = self._ask(f"/analysis/result/{job}?wait={WAIT_S}", headers={"If-None-Match": tag} if tag else {})
            tag = headers["ETag"]
            if result is not None:
                yield result
                if result["status"] != "processing":
                    return

    def result(self, job):
        """Waits for the end."""
        *_, last = self.watch(job)
        return last


def verify(secrets, headers, body, now=None, tolerance_s=300):
    """Is this a message of ours? `secrets` are whsec_... texts, `body` its bytes. Returns its content, or raises
    ValueError. Whoever keeps webhook-id knows a message that comes again."""
    message, at, given = (headers.get("webhook-" + name) or "" for name in ("id", "timestamp", "signature"))
    if not at.isdigit() or abs(int(at) - (time.time() if now is None else now)) > tolerance_s:
        raise ValueError("not of now")
    for secret in secrets:
        key = base64.b64decode(secret.strip()[len("whsec_"):])
        right = "v1," + base64.b64encode(hmac.new(key, f"{message}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
        if any(hmac.compare_digest(right.encode(), one.encode()) for one in given.split(" ")):
            return json.loads(body)
    raise ValueError("no signature fits")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="http://127.0.0.1:8080", metavar="URL")
    parser.add_argument("--token-file", metavar="FILE")
    parser.add_argument("--key", default="client.py", help="handed in again under the same key a video is not analysed anew")
    parser.add_argument("--callback-url", metavar="URL", help="told of each end too")
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="below the server's media folder")
    options = parser.parse_args()
    token = None
    if options.token_file:
        with open(options.token_file, encoding="utf-8") as file:
            token = file.read().strip()
    client = Client(options.server, token)
    more = {"callbackUrl": options.callback_url} if options.callback_url else {}
    try:
        jobs = [client.start(video, f"{options.key}/{video}", **more) for video in options.videos]
        results = [client.result(job) for job in jobs]
    except (Refused, OSError) as error:
        print(f"client.py: {error}", file=sys.stderr)
        return 1
    for result in results:
        print(json.dumps(result))
    return 0 if all(result["status"] == "completed" for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
