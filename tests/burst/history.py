# SPDX-License-Identifier: MIT
"""What a stream of events says: how many jobs of a queue ran at once, how long they waited and ran."""
import datetime

ENDED = ("completed", "dead", "cancelled")


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Queue:
    def __init__(self):
        self.running, self.most, self.waits, self.runs, self.ended = set(), 0, [], [], {}
        self.ready_at, self.started_at = {}, {}

    def take(self, job, state, at):
        if state == "running":
            self.running.add(job)
            self.most = max(self.most, len(self.running))
            if job in self.ready_at:
                self.waits.append(at - self.ready_at.pop(job))
            self.started_at.setdefault(job, at)
            return
        self.running.discard(job)
        if state == "ready":
            self.ready_at[job] = at
        elif state in ENDED:
            self.ended[state] = self.ended.get(state, 0) + 1
            if job in self.started_at:
                self.runs.append(at - self.started_at.pop(job))


def read(events):
    """Events in order of their cursors, which must have no gap; the queues by name."""
    queues, cursor = {}, None
    for event in events:
        if cursor is not None and event["cursor"] != cursor + 1:
            raise ValueError(f"between the events {cursor} and {event['cursor']} some are missing")
        cursor = event["cursor"]
        queues.setdefault(event["queue"], Queue()).take(event["id"], event["state"], seconds(event["at"]))
    return queues
