#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Do the tests find the sixteen mistakes? Each is made in turn, and the case that the table names must fail by it.

run.py --build DIR [--pg-bin DIR] [--only N]... [--seed N]

DIR is a build with -Dmutants=true. A case counts only if it passes in the same build without a mistake, and if it is the very
case of the table that fails: that a program crashes or another case fails is not enough. Prints a line for each mistake and
ends with `mutants=N/16`; 0 if all were found.
"""
import argparse
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CHAOS = os.path.join(ROOT, 'tests', 'chaos')
sys.path.insert(0, CHAOS)
import run as chaos  # noqa: E402  pylint: disable=wrong-import-position

Mutant = collections.namedtuple('Mutant', 'number mistake program case invariant')

# The programs are below; a case of a history is the invariant that the checker of histories tells.
TABLE = (
    Mutant(1, 'an outcome is accepted by the id of the job, whoever holds it', 'suite',
           'change: another token changes no byte', 'S2'),
    Mutant(2, 'who sweeps writes its judgement by id, not under its token', 'lease',
           'a_judgement_that_comes_late_changes_nothing', 'S6'),
    Mutant(3, 'the sweep goes by an old note of when the lease ends', 'suite-postgres',
           'beat: extends every row of the want', 'S4'),
    Mutant(4, 'the token is the name of the worker', 'suite', 'change: the next claim overtakes', 'S2'),
    Mutant(5, 'an attempt counts only when the handler says that it failed', 'suite',
           'claim: stamps attempt, lease, worker, start', 'S5'),
    Mutant(6, 'a lease that runs out never kills a job', 'lease', 'nobody_dies_for_a_neighbour', 'S5'),
    Mutant(7, 'an outcome said twice gives its place back twice', 'suite-again',
           'limits: every way out of running frees the slot', 'S9'),
    Mutant(8, 'nobody sweeps', 'suite', 'overdue: a lease past is found and leased anew', 'L2'),
    Mutant(9, 'rows are read first and claimed then, without a lock', 'history-claims', 'S4', 'S4'),
    Mutant(10, 'whether a key is free is asked before, and not in the step that takes it', 'history-keys', 'S7', 'S7'),
    Mutant(11, 'a transaction that writes begins as one that reads', 'process', 'drained_by_many_at_once', 'L1'),
    Mutant(12, 'a script that the server has forgotten is not sent again', 'flush', 'flush', 'L3'),
    Mutant(13, 'leases go by the clock on the wall', 'clock', 'steps_of_the_wall_clock_are_not_followed', 'S4'),
    Mutant(14, 'bytes end where the first zero is', 'suite', 'bytes: all 256 values come back exactly', 'S14'),
    Mutant(15, 'a request whose answer was lost is sent again as a new one', 'trouble',
           'every_answer_may_be_lost_and_repeated', 'S11'),
    Mutant(16, 'a commit does not wait for the disk', 'file', 'modes_of_durability', 'S1'),
)


class Bench:
    """Runs the programs of the table, the mistake chosen by the environment. Each gives the cases that failed."""

    def __init__(self, options):
        self.options = options
        base = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
        self.folder = tempfile.mkdtemp(prefix='jqm.', dir=base)
        os.chmod(self.folder, 0o711)
        self.serial = 0

    def program(self, name):
        return os.path.join(self.options.build, name)

    def call(self, number, words, seconds=280):
        env = {**os.environ, 'JOBQ_MUTANT': str(number), 'TMPDIR': self.folder}
        with subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors='replace', cwd=ROOT) as process:
            try:
                text, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.terminate()  # so that it can end what it started
                text, _ = process.communicate()
        return subprocess.CompletedProcess(words, process.returncode, text)

    def tap(self, number, *words):
        done = self.call(number, words)
        results = re.findall(r'^(not )?ok \d+ - (.*)', done.stdout, re.M)
        assert results or number, done.stdout
        return [case for bad, case in results if bad]

    # ---- the programs of the table ---------------------------------------------------------------------------------

    def suite(self, number, case):
        return self.tap(number, self.program('tests/conformance/conformance-sqlite'), '--pass', 'plain', '--only', case)

    def suite_again(self, number, case):
        return self.tap(number, self.program('tests/conformance/conformance-sqlite'), '--pass', 'again', '--only', case)

    def suite_postgres(self, number, case):
        return self.tap(number, 'sh', 'tests/postgres/with_server.sh', self.program('tests/conformance/conformance-postgres'),
                        '--pass', 'plain', '--only', case)

    def lease(self, number, _case):
        return self.tap(number, self.program('tests/worker/worker-lease'), '--store', 'sqlite')

    def trouble(self, number, _case):
        return self.tap(number, self.program('tests/worker/worker-trouble'), '--store', 'sqlite')

    def process(self, number, _case):
        return self.tap(number, self.program('tests/sqlite/sqlite-process'))

    def clock(self, number, _case):
        return self.tap(number, self.program('tests/sqlite/sqlite-clock'))

    def file(self, number, _case):
        return self.tap(number, self.program('tests/sqlite/sqlite-file'))

    def history(self, number, *words):
        self.serial += 1
        done = self.call(number, [sys.executable, os.path.join(CHAOS, 'run.py'), '--store', 'postgres', '--actor',
                                  self.program('tests/chaos/chaos-actor'), '--jobq', self.program('examples/jobq/jobq'),
                                  '--folder', os.path.join(self.folder, str(self.serial)), '--pg-bin', self.options.pg_bin,
                                  '--seed', str(self.options.seed), *words])
        assert done.returncode == 0 or re.search(r'^(S|L)\d+ ', done.stdout, re.M), done.stdout
        return sorted(set(re.findall(r'^([SL]\d+) ', done.stdout, re.M)))

    def history_claims(self, number, _case):
        """Six workers, and nobody disturbs them."""
        return self.history(number, '--jobs', '200')

    def history_keys(self, number, _case):
        """Producers who all want the same keys at the same time."""
        return self.history(number, '--jobs', '0', '--rivals', '4')

    def flush(self, number, _case):
        """What the server knows from others, until it forgets it."""
        self.serial += 1
        folder = os.path.join(self.folder, str(self.serial))
        os.mkdir(folder)
        redis = chaos.Redis(folder, argparse.Namespace(always=False))
        redis.boot()
        try:
            ask = (self.program('examples/jobq/jobq'), '-s', redis.direct, 'enqueue', 'q', '1')
            for others in (0, number):
                done = self.call(others, ask)
                assert done.returncode == 0, done.stdout
            redis.command('SCRIPT FLUSH')
            return ['flush'] if self.call(number, ask).returncode else []
        finally:
            redis.stop()

    def failed(self, number, mutant):
        return getattr(self, mutant.program.replace('-', '_'))(number, mutant.case)


def has_them(build):
    """What tests/packaging/test_api.py looks for in vain in any other build."""
    for library in ('lib/libjobq.so', 'backends/sqlite/libjobq-sqlite.so', 'backends/postgres/libjobq-postgres.so',
                    'backends/redis/libjobq-redis.so'):
        with open(os.path.join(build, library), 'rb') as file:
            if b'JOBQ_MUTANT' not in file.read():
                return False
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('--pg-bin', default='')
    parser.add_argument('--only', type=int, action='append')
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    if not has_them(options.build):
        print(f'{options.build} is not a build with -Dmutants=true')
        return 1
    bench = Bench(options)
    found, sound = 0, {}
    try:
        for mutant in TABLE:
            if options.only and mutant.number not in options.only:
                continue
            control = mutant.program, mutant.case if mutant.program.startswith('suite') else ''
            if control not in sound:
                sound[control] = bench.failed(0, mutant)
            failed = bench.failed(mutant.number, mutant)
            killed = any(mutant.case in case for case in failed) and not sound[control]
            found += killed
            print(f'M{mutant.number:<2} {"found" if killed else "MISSED"}  {mutant.invariant:3} {mutant.program}: {mutant.case}'
                  f'  ({mutant.mistake})', flush=True)
            if not killed:
                print(f'    failed: {failed}, without a mistake: {sound[control]}', flush=True)
    finally:
        shutil.rmtree(bench.folder, ignore_errors=True)
    print(f'mutants={found}/{len(TABLE)}')
    return 0 if found == len(TABLE) else 1


if __name__ == '__main__':
    sys.exit(main())
