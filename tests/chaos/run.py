#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Shoots processes at work and asks the history checker what came of it. Called by run.sh, which knows the amounts.

run.py --actor FILE --jobq FILE --folder DIR --store sqlite|redis|postgres --jobs N --kills N [--server-kills N]
       [--pauses N] [--cuts N] [--always] [--seed N] [--pg-bin DIR] [--rivals N]

One store at a time: producers fill it, workers (some claim by hand, some are the library's worker) empty it. They are shot,
stopped for longer than a lease and started again; the server is shot and started again; lines are cut by a proxy. When the
amounts are reached and all is healed the rest is worked off, the store is written down, and check.py reads everything.
Prints the line of counts that check.py gives.
"""
import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CUTS = ('before', 'after', 'inside', 'dropped')
WORKERS = ('claim', 'claim', 'claim', 'claim', 'work', 'work')
PRODUCERS = 3
QUIET_S = 180  # for the rest to be worked off


def now_us():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def wait_until(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Sqlite:
    """A file; nothing stands in between and there is no server to shoot."""

    def __init__(self, folder, _options):
        self.uri = self.direct = 'sqlite:' + os.path.join(folder, 'store.db')

    def start(self):
        pass

    end = disturb = start


class Server:
    """A private server on a unix socket, with the proxy in front of it."""

    def __init__(self, folder):
        self.folder, self.proxy, self.process, self.cuts = folder, None, None, 0

    def start_proxy(self, listen, server):
        # pylint: disable=consider-using-with
        self.proxy = subprocess.Popen([sys.executable, os.path.join(HERE, 'proxy.py'), listen, server],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self.proxy.stdout.readline() == b'ready\n'
        os.set_blocking(self.proxy.stdout.fileno(), False)

    def cut(self, kind):
        self.proxy.stdin.write(kind.encode() + b'\n')

    def cuts_made(self):
        try:
            self.cuts += os.read(self.proxy.stdout.fileno(), 1 << 16).count(b'\n')
        except BlockingIOError:
            pass
        return self.cuts

    def end(self):
        if self.proxy:
            self.proxy.kill()
            self.proxy.wait()
        self.stop()


class Redis(Server):
    def __init__(self, folder, options):
        super().__init__(folder)
        self.always = options.always
        self.socket = os.path.join(folder, 'r')
        self.direct = 'redis+unix://' + self.socket
        self.uri = 'redis+unix://' + os.path.join(folder, 'p')

    def boot(self):
        program = shutil.which('valkey-server') or shutil.which('redis-server')
        with open(os.path.join(self.folder, 'redis.log.txt'), 'ab') as log:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(
                [program, '--port', '0', '--unixsocket', self.socket, '--dir', self.folder, '--save', '',
                 '--appendonly', 'yes', '--appendfsync', 'always' if self.always else 'everysec'], stdout=log, stderr=log)
        assert wait_until(self.answers), 'the server does not come up'

    def command(self, text):
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            line.connect(self.socket)
            line.sendall(text.encode() + b'\r\n')
            return line.recv(100)

    def answers(self):
        try:
            return self.command('PING').startswith(b'+PONG')
        except OSError:
            return False

    def start(self):
        self.boot()
        self.start_proxy(os.path.join(self.folder, 'p'), self.socket)

    def stop(self):
        self.process.kill()
        self.process.wait()

    def shoot(self):
        # While a sync of `everysec` is under way the server writes nothing, and a process that is shot takes along what it
        # answered meanwhile: doc/durability.md. The library cannot help that, so what was answered is written before.
        assert self.always or self.command('CONFIG SET appendfsync no').startswith(b'+OK')
        self.stop()
        self.boot()

    def disturb(self):
        self.command(random.choice(('SCRIPT FLUSH', 'FUNCTION FLUSH', 'CLIENT KILL TYPE normal')))


class Postgres(Server):
    def __init__(self, folder, options):
        super().__init__(folder)
        self.bin, self.data = options.pg_bin, os.path.join(folder, 'data')
        self.user = 'postgres' if os.getuid() == 0 else os.environ.get('USER', 'postgres')
        self.direct = f'postgres:///postgres?host={folder}&port=5432&user={self.user}'
        self.uri = f'postgres:///postgres?host={folder}&port=5433&user={self.user}'

    def run(self, *words):
        before = ['runuser', '-u', 'postgres', '--'] if os.getuid() == 0 else []
        with open(os.path.join(self.folder, 'pg_ctl.log.txt'), 'ab') as log:
            subprocess.run([*before, *words], check=True, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd='/', timeout=120)

    def start(self):
        os.chmod(self.folder, 0o777)
        self.run(os.path.join(self.bin, 'initdb'), '-D', self.data, '-U', self.user, '-A', 'trust', '--no-sync', '-E', 'UTF8',
                 '--locale=C')
        with open(os.path.join(self.data, 'postgresql.conf'), 'a', encoding='utf-8') as conf:
            # Without fsync: the machine does not go down, its processes do.
            conf.write(f"listen_addresses = ''\nunix_socket_directories = '{self.folder}'\nfsync = off\n"
                       'restart_after_crash = on\n')
        self.boot()
        self.start_proxy(os.path.join(self.folder, '.s.PGSQL.5433'), os.path.join(self.folder, '.s.PGSQL.5432'))

    def boot(self):
        self.run(os.path.join(self.bin, 'pg_ctl'), '-D', self.data, '-l', os.path.join(self.folder, 'pg.log.txt'), '-w', 'start')

    def stop(self):
        self.run(os.path.join(self.bin, 'pg_ctl'), '-D', self.data, '-m', 'immediate', '-w', 'stop')

    def shoot(self):
        self.stop()
        self.boot()

    def disturb(self):
        self.run('psql', '-h', self.folder, '-U', self.user, '-qc',
                 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND random() < 0.5',
                 'postgres')


STORES = {'sqlite': Sqlite, 'redis': Redis, 'postgres': Postgres}


class Chaos:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.folder = options.folder
        self.logs = os.path.join(self.folder, 'history')
        os.makedirs(self.logs)
        # pylint: disable=consider-using-with
        self.log = open(os.path.join(self.logs, 'driver.log'), 'w', encoding='utf-8', buffering=1)
        self.store = STORES[options.store](self.folder, options)
        self.serial = self.next_number = 0
        self.numbers = options.jobs + options.jobs // 8  # some find their key held
        self.workers, self.producers, self.paused = [], [], []
        self.did = {'kill': 0, 'pause': 0, 'server': 0, 'asked': 0}
        self.lease_ms = 0
        self.began = time.monotonic()

    def note(self, what, **more):
        self.did[what] = self.did.get(what, 0) + 1
        self.log.write(json.dumps({'t': now_us(), 'op': 'driver', 'what': what, **more}) + '\n')

    def say(self, *words):
        """On the log of the run: how long each part took."""
        print(f'{time.monotonic() - self.began:7.1f} s', *words, flush=True)

    # ---- processes ------------------------------------------------------------------------------------------------

    def launch(self, role, *words, direct=False):
        self.serial += 1
        name = f'{role}-{self.serial}'
        # pylint: disable=consider-using-with
        process = subprocess.Popen([self.options.actor, role, self.store.direct if direct else self.store.uri,
                                    os.path.join(self.logs, name + '.log'), name, *words], stdin=subprocess.DEVNULL)
        process.role = role
        return process

    def start_worker(self, role, direct=False):
        self.workers.append(self.launch(role, str(self.lease_ms), direct=direct))

    def start_producer(self, first=None, count=0):
        if first is None:
            first, count = self.next_number, max(1, self.numbers // (PRODUCERS * 8))
            self.next_number += count
        process = self.launch('produce', str(first), str(count))
        process.numbers = (first, first + count)
        self.producers.append(process)

    def go_on_for(self, process):
        """What a producer that was shot has not begun is put by another."""
        first, end = process.numbers
        begun = []
        if os.path.exists(process.args[3]):
            with open(process.args[3], encoding='utf-8') as log:
                begun = [line['n'] for line in map(json.loads, log) if line['op'] == 'enqueue' and line['ph'] == 'call']
        if begun:
            first = begun[-1] + 1
        if first < end:
            self.start_producer(first, end - first)

    def jobq(self, *words):
        for _ in range(10):
            done = subprocess.run([self.options.jobq, '-s', self.store.direct, *words], capture_output=True, text=True,
                                  check=False, timeout=120)
            if done.returncode == 0:
                return done.stdout
            time.sleep(0.2)
        raise AssertionError(f'jobq {" ".join(words)}: {done.stderr}')

    def measure(self):
        """A lease that this machine, as it is now, can renew many times over."""
        began = time.monotonic()
        for i in range(10):
            self.jobq('enqueue', 'measure', str(i), '--json')
        one_ms = (time.monotonic() - began) * 100
        self.jobq('purge', '--queue', 'measure', '--state', 'ready')
        self.lease_ms = int(min(max(one_ms * 15, 400), 4000))
        os.environ['CHAOS_IMPATIENT_MS'] = str(int(max(one_ms * 3, 150)))

    # ---- faults -----------------------------------------------------------------------------------------------------

    def kill(self):
        among = self.producers if self.producers and self.random.random() < 0.1 else self.workers
        free = [process for process in among if process not in [stopped for _, stopped in self.paused]]
        if not free:
            return
        process = self.random.choice(free)
        process.kill()
        process.wait()
        if among is self.workers:
            self.note('kill', pid=process.pid)
            self.start_worker(process.role)
        else:
            self.note('kill_producer', pid=process.pid)
            self.go_on_for(process)
        among.remove(process)

    def pause(self):
        stopped = [process for _, process in self.paused]
        free = [process for process in self.workers if process not in stopped]
        process = self.random.choice(free)
        process.send_signal(signal.SIGSTOP)
        self.paused.append((time.monotonic() + self.lease_ms * self.random.uniform(1.3, 2.5) / 1000, process))
        self.note('pause', pid=process.pid)

    def resume(self, everybody=False):
        for until, process in list(self.paused):
            if everybody or time.monotonic() > until:
                process.send_signal(signal.SIGCONT)
                self.paused.remove((until, process))

    def shoot_server(self):
        self.store.shoot()
        self.note('server')

    def cut(self):
        self.store.cut(CUTS[self.did['asked'] % len(CUTS)])
        self.did['asked'] += 1

    def cuts(self):
        return self.store.cuts_made() if self.options.cuts else 0

    def share_put(self):
        """How much of the jobs has been handed to producers, 0 to 1."""
        return min(1, self.next_number / self.numbers)

    def share_shot(self):
        return self.did['kill'] / self.options.kills if self.options.kills else 1

    def due(self):
        """What is still to be done, each as often as there is to do of it; faults and jobs go along side by side."""
        options, did, share = self.options, self.did, self.share_put()
        left = [self.kill] * (round(options.kills * share) - did['kill'])
        left += [self.pause] * (round(options.pauses * share) - did['pause'])
        left += [self.shoot_server] * (round(options.server_kills * share) - did['server'])
        missing = round(options.cuts * share) - self.cuts()
        if missing > 0 and did['asked'] - self.store.cuts < 4:  # one that was asked for and met nobody yet
            left += [self.cut] * missing
        return left

    def over(self):
        options, did = self.options, self.did
        return self.share_put() >= 1 and not self.producers and did['kill'] >= options.kills and \
            did['pause'] >= options.pauses and did['server'] >= options.server_kills and self.cuts() >= options.cuts

    # ---- the run ------------------------------------------------------------------------------------------------------

    def supervise(self):
        """Who ended by himself: producers that are done, workers that could not go on."""
        self.producers = [process for process in self.producers if process.poll() is None]
        while len(self.producers) < PRODUCERS and self.next_number < self.numbers and \
                self.share_put() <= self.share_shot() + 0.15:
            self.start_producer()
        for process in list(self.workers):
            if process.poll() is not None:
                raise AssertionError(f'{process.args[4]} ended with {process.returncode}')

    def storm(self):
        for role in WORKERS:
            self.start_worker(role)
        turn = 0
        while True:
            self.supervise()
            self.resume()
            if self.over():
                break
            left = self.due()
            if left:
                self.random.choice(left)()
            turn += 1
            if turn % 50 == 0 and self.options.server_kills:
                self.store.disturb()
                self.note('disturb')
            time.sleep(self.options.beat)

    def compete(self):
        """All of them want the same keys, one after the other."""
        rivals = [self.launch('rival', '300') for _ in range(self.options.rivals)]
        self.producers += rivals
        for process in rivals:
            assert process.wait(120) == 0, f'{process.args[4]} ended with {process.returncode}'
        self.producers = []

    def calm(self):
        """Everything is healed: the rest is worked off by new processes that nothing stands in the way of."""
        self.resume(everybody=True)
        for process in self.workers:
            process.send_signal(signal.SIGTERM)
        for process in self.workers:
            if not wait_until(lambda p=process: p.poll() is not None, 30):
                raise AssertionError(f'{process.args[4]} does not end when it is asked to')
        self.workers = []
        for role in WORKERS:
            self.start_worker(role, direct=True)
        wait_until(self.is_quiet, QUIET_S)
        for process in self.workers:
            process.send_signal(signal.SIGTERM)
            process.wait(30)

    def is_quiet(self):
        time.sleep(0.3)
        self.supervise()
        stats = json.loads(self.jobq('stats', '--json'))
        return not any(queue[state] for queue in stats['queues'] if queue['queue'] != 'ticks'
                       for state in ('blocked', 'scheduled', 'ready', 'running'))

    def write_down(self):
        jobs, after = [], []
        while True:
            page = json.loads(self.jobq('list', '--json', '--limit', '1000', *after))
            if not page:
                break
            jobs += page
            after = ['--after', page[-1]['id']]
        events = [json.loads(line) for line in self.jobq('events', '--json').splitlines()] if self.options.pruned else []
        for name, what in (('dump', json.dumps(jobs)), ('stats', self.jobq('stats', '--json')), ('events', json.dumps(events))):
            with open(os.path.join(self.logs, name + '.json'), 'w', encoding='utf-8') as out:
                out.write(what)

    def run(self):
        try:
            self.store.start()
            subprocess.run([self.options.actor, 'prepare', self.store.direct], check=True, timeout=60)
            if self.options.pruned:
                self.jobq('events', '--keep', '10000000')  # all there will be: they say what was pruned, and when
            self.measure()
            self.say('leases of', self.lease_ms, 'ms; storm')
            if self.options.rivals:
                self.compete()
            else:
                self.storm()
            self.say('calm')
            self.calm()
            if self.options.cuts:
                self.note('cut', count=self.cuts())
            self.say('dump')
            self.write_down()
        finally:
            for process in self.workers + self.producers:
                process.kill()
                process.wait()
            self.store.end()
            self.log.close()


def main():
    parser = argparse.ArgumentParser()
    for name in ('actor', 'jobq', 'folder', 'store'):
        parser.add_argument('--' + name, required=True)
    for name in ('jobs', 'kills', 'server-kills', 'pauses', 'cuts'):
        parser.add_argument('--' + name, type=int, default=0)
    parser.add_argument('--rivals', type=int, default=0, help='producers who race for keys, in place of the storm')
    parser.add_argument('--pruned', action='store_true', help='the retention is what it is without being told')
    parser.add_argument('--always', action='store_true')
    parser.add_argument('--seed', type=int, default=int(time.time()))
    parser.add_argument('--beat', type=float, default=0.02)
    parser.add_argument('--pg-bin', default='')
    parser.add_argument('--floor', action='append', default=[])
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    if options.pruned:
        os.environ['CHAOS_RETENTION'] = 'default'
    chaos = Chaos(options)
    chaos.run()
    checked = subprocess.run([sys.executable, os.path.join(HERE, 'check.py'), chaos.logs, *['--pruned'] * options.pruned,
                              *[word for floor in options.floor for word in ('--floor', floor)]], check=False)
    return checked.returncode


if __name__ == '__main__':
    sys.exit(main())
