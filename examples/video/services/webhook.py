# SPDX-License-Identifier: MIT
"""Standard Webhooks: HMAC-SHA256 over "id.timestamp.body" in three headers. No clock, no network."""
import base64
import binascii
import hashlib
import hmac
import os
import re

TOLERANCE_S = 300
KEY_SIZES = range(24, 65)
ID = re.compile(r"[!-\-/-~]{1,256}")    # printable, without '.', which separates what is signed
TIMESTAMP = re.compile(r"[0-9]{1,15}")


class BadMessage(Exception):
    pass


def parse_key(text):
    """The bytes of a "whsec_" secret; ValueError when it is none."""
    text = text.strip()
    if not text.startswith("whsec_"):
        raise ValueError("a secret begins with whsec_")
    try:
        key = base64.b64decode(text[6:], validate=True)
    except binascii.Error:
        raise ValueError("a secret is base64 after whsec_") from None
    if len(key) not in KEY_SIZES:
        raise ValueError("a secret has 24 to 64 bytes")
    return key


def read_keys(path):
    """All secrets of a file, one a line. Nobody else may read it."""
    with open(path, encoding="ascii") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise ValueError("the secret file can be read by others; chmod 600 it")
        keys = [parse_key(line) for line in file if line.strip()]
    if not keys:
        raise ValueError("the secret file is empty")
    return keys


def _sign(key, message_id, timestamp, body):
    mac = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(mac).decode()


def sign(key, message_id, now_s, body):
    """The three headers of a message."""
    if not ID.fullmatch(message_id):
        raise ValueError("webhook-id: printable, no '.', at most 256 bytes")
    timestamp = str(int(now_s))
    return {"webhook-id": message_id, "webhook-timestamp": timestamp,
            "webhook-signature": _sign(key, message_id, timestamp, body)}


def verify(keys, headers, body, now_s, tolerance_s=TOLERANCE_S):
    """Raises BadMessage unless one of the keys signed this message at about this time."""
    message_id, timestamp, signatures = (headers.get("webhook-" + name, "") for name in
                                         ("id", "timestamp", "signature"))
    if not (message_id and timestamp and signatures):
        raise BadMessage("webhook-id, webhook-timestamp and webhook-signature are needed")
    if not ID.fullmatch(message_id) or not TIMESTAMP.fullmatch(timestamp):
        raise BadMessage("webhook-id or webhook-timestamp is malformed")
    if abs(int(timestamp) - now_s) > tolerance_s:
        raise BadMessage("webhook-timestamp is too far from now")
    given = [s.encode("utf-8", "replace") for s in signatures.split(" ")[:16]]
    right = [_sign(key, message_id, timestamp, body).encode() for key in keys]
    # Every pair is compared, so that the time does not tell which one came close.
    if not any([hmac.compare_digest(mine, theirs) for mine in right for theirs in given]):
        raise BadMessage("no signature fits")
