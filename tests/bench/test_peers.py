#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What peers.py takes for a figure of a peer, and what it does not: pretended workers, no peer is needed."""
import sys
import tempfile
from types import SimpleNamespace

import peers

TELL = 'import os, sys, time\ndef tell(text): os.write(int(os.environ["JOBQ_PEER_LINES"]), text)\n'
STAYS = '\ntime.sleep(600)'
SILENCE_S = 0.5


def told(program, count, silence=60):
    """What all_of makes of a worker that is this program; the text of the failure, if it is one."""
    with tempfile.TemporaryDirectory() as folder:
        worker = peers.Process([sys.executable, '-c', TELL + program], folder)
        try:
            return peers.all_of([worker], count, silence)
        except peers.Failed as failure:
            return str(failure)
        finally:
            worker.end()


def each_job_counts_once():
    return told('tell(b"1 1.0\\n2 1.5\\n2 1.6\\n3 2.0\\n")' + STAYS, 3) == {1: 1.0, 2: 1.5, 3: 2.0}


def a_line_may_come_in_two_parts():
    return told('tell(b"1 1.0\\n2 1"); time.sleep(0.1); tell(b".5\\n")' + STAYS, 2) == {1: 1.0, 2: 1.5}


def a_job_that_never_runs_is_a_failure():
    return 'of 3 jobs ran' in told('tell(b"1 1.0\\n2 1.5\\n2 1.6\\n")' + STAYS, 3, SILENCE_S)


def a_worker_that_ends_early_is_a_failure():
    return told('tell(b"1 1.0\\n"); sys.exit("out of luck")', 2) == 'a worker ended by itself: out of luck'


def pretended(fails):
    """The table of a store with one peer, which fails or not; what was said, and whether the run counts as failed."""
    said, kind = [], peers.Kind('plainjob', ('sqlite normal',), peers.NODE, (1,), 100, 100)

    class Pretended(peers.Peer):
        def found(self):
            return True

        def measure(self, figure):
            if fails and figure == 'drain':
                raise peers.Failed('99 of 100 jobs ran')
            return 50.0

    store = SimpleNamespace(name='sqlite normal', mine=lambda _: {each.line: (100.0, 'jobs/s') for each in peers.CONTESTS})
    options = SimpleNamespace(quick=True, json=True, rounds=2, seconds=0, failed=False, peers='', folder='/nonexistent')
    was = peers.KINDS, peers.Peer, peers.tell, peers.say
    peers.KINDS, peers.Peer = [kind], Pretended
    peers.tell = lambda _store, row, label, taken, _json: said.append((label, taken.ratios, row.goal))
    peers.say = lambda _options, text: said.append(text)
    try:
        peers.run(store, options)
    finally:
        peers.KINDS, peers.Peer, peers.tell, peers.say = was
    return said, options.failed


def a_figure_is_a_ratio_a_round():
    said, failed = pretended(False)
    return not failed and len(said) == len(peers.CONTESTS) and said[0] == ('enqueue one at a time', [2.0, 2.0], 1)


def a_peer_that_fails_is_named_and_out():
    said, failed = pretended(True)
    return failed and said[-1] == 'plainjob FAILED: drain, one process: 99 of 100 jobs ran' and len(said) == 4


TESTS = [each_job_counts_once, a_line_may_come_in_two_parts, a_job_that_never_runs_is_a_failure,
         a_worker_that_ends_early_is_a_failure, a_figure_is_a_ratio_a_round, a_peer_that_fails_is_named_and_out]

results = [test() for test in TESTS]
for number, (test, good) in enumerate(zip(TESTS, results), 1):
    print(f'{"ok" if good else "not ok"} {number} - {test.__name__.replace("_", " ")}')
print(f'1..{len(TESTS)}')
sys.exit(0 if all(results) else 1)
