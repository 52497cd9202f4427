#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Store files that cannot be used: a definite error, exit 4, no crash, the file as it was (rule 16)."""
import ctypes
import hashlib
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import unittest

import tool
from tool import OK, STORE


def may_mount():
    try:
        command = ['unshare', '-m', 'mount', '-t', 'tmpfs', '-o', 'size=64k', 'none', '/mnt']
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False


def bound_by_modes():
    """Root may write anything; without these two capabilities it may do what the modes of a file allow."""
    PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
    libc = ctypes.CDLL(None)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            raise OSError('cannot give up the right to pass over file modes')


def digest(path):
    with open(path, 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()


class BadStore(tool.Case):
    def unusable(self, *statuses, codes=(STORE,), uri=None):
        """Neither writing nor reading works, and both say why."""
        for words in (['enqueue', 'q', 'x'], ['list'], ['claim', 'q'], ['stats']):
            answer = self.run_at(uri or self.uri, '--json', *words)
            self.assertIn(answer.code, codes, (words, answer))
            self.assertIn(answer.json['status'], statuses, words)
            self.assertTrue(answer.json['text'])

    def test_directory(self):
        """a directory"""
        os.mkdir(self.file)
        self.unusable('UNREACHABLE', 'FOREIGN')
        self.assertEqual(os.listdir(self.file), [])

    def test_no_folder(self):
        """a folder that is not there"""
        self.unusable('UNREACHABLE', uri='sqlite:' + self.folder + '/none/store.db')
        self.assertEqual(os.listdir(self.folder), [])

    def test_text_file(self):
        """a file that is something else is left as it was"""
        self.path('store.db', 'this is no database\n' * 100)
        before = digest(self.file)
        self.unusable('FOREIGN', 'CORRUPT')
        self.assertEqual(digest(self.file), before)

    def test_foreign_tables(self):
        """tables with our names and another shape are not touched"""
        self.enqueue()
        base = self.path('other.db')
        with sqlite3.connect(self.file) as ours:
            names = [
                row[0]
                for row in ours.execute(
                    "select name from sqlite_master where type = 'table' and name like 'jobq%'"
                )
            ]
        self.assertTrue(names)
        with sqlite3.connect(base) as foreign:
            for name in names:
                foreign.execute('create table "%s" (surprise text)' % name)
            foreign.execute('create table precious (x)')
        foreign.close()
        before = digest(base)
        self.unusable('FOREIGN', uri='sqlite:' + base)
        self.assertEqual(digest(base), before)

    def test_foreign_file_is_shared(self):
        """tables of somebody else beside ours are no problem"""
        with sqlite3.connect(self.file) as foreign:
            foreign.execute('create table precious (x)')
            foreign.execute('insert into precious values (1)')
        foreign.close()
        os.chmod(self.file, 0o600)
        self.enqueue()
        with sqlite3.connect(self.file) as foreign:
            self.assertEqual(foreign.execute('select * from precious').fetchall(), [(1,)])

    def test_planted_trigger(self):
        """a trigger or a view on our tables is refused"""
        self.enqueue()
        before = self.json('list')
        with sqlite3.connect(self.file) as db:
            table = [
                row[0]
                for row in db.execute(
                    "select name from sqlite_master where type = 'table' and sql like '%payload%'"
                )
            ][0]
            db.execute(
                'create trigger evil after insert on "%s" begin delete from "%s"; end' % (table, table)
            )
        db.close()
        self.unusable('FOREIGN')
        with sqlite3.connect(self.file) as db:
            db.execute('drop trigger evil')
        db.close()
        self.assertEqual(self.json('list'), before)

    def test_newer(self):
        """a store of a newer version is refused without a write"""
        self.enqueue()
        self.set_schema(9999)
        before = digest(self.file)
        self.unusable('NEWER')
        self.assertEqual(digest(self.file), before)

    def test_corrupt(self):
        """a damaged file: whatever is overwritten, every command ends with a definite answer"""
        for number in range(30):
            self.enqueue('q', 'x' * 500)
        with open(self.file, 'rb') as file:
            whole = file.read()
        size = len(whole)
        refused = 0
        for at in [100, 2000] + list(range(4096, size, size // 12)):
            with open(self.file, 'wb') as file:
                file.write(whole[:at] + b'\xa5' * min(3000, size - at) + whole[at + 3000 :])
            for suffix in ('-wal', '-shm'):
                if os.path.exists(self.file + suffix):
                    os.unlink(self.file + suffix)
            for words in (['list'], ['enqueue', 'q', 'x'], ['claim', 'q'], ['stats'], ['doctor']):
                answer = self.run_at(self.uri, *words)
                self.assertIn(answer.code, (OK, 1, STORE), (at, words, answer))
                refused += answer.code == STORE
        self.assertGreater(refused, 5)

    def test_truncated(self):
        """a file that was cut off"""
        for _ in range(30):
            self.enqueue('q', 'x' * 500)
        size = os.path.getsize(self.file)
        os.truncate(self.file, size // 2)
        codes = [
            self.run_at(self.uri, *words).code for words in (['list'], ['enqueue', 'q', 'x'], ['claim', 'q'])
        ]
        self.assertLessEqual(set(codes), {OK, STORE})
        self.assertIn(STORE, codes)

    def test_symbolic_link(self):
        """a new store is not made through a symbolic link"""
        target = self.path('target.db')
        os.symlink(target, self.file)
        answer = self.run_at(self.uri, 'enqueue', 'q', 'x')
        self.assertEqual(answer.code, STORE, answer)
        self.assertFalse(os.path.exists(target))

    def test_mode(self):
        """file, log and shared memory are for their owner only"""
        worker = self.start('work', 'q', '--', 'cat')
        self.until_worker()
        for name in os.listdir(self.folder):
            self.assertEqual(stat.S_IMODE(os.stat(self.path(name)).st_mode), 0o600, name)
        worker.terminate()
        self.assertEqual(self.ended(worker), OK)

    def test_read_only(self):
        """a file that may not be written: reading or a definite error, and no write"""
        self.enqueue()
        before = digest(self.file)
        os.chmod(self.file, 0o400)
        os.chmod(self.folder, 0o500)
        self.addCleanup(os.chmod, self.folder, 0o700)
        user = {'preexec_fn': bound_by_modes} if os.getuid() == 0 else {}
        answer = self.run_at(self.uri, '--json', 'enqueue', 'q', 'x', **user)
        self.assertEqual(answer.code, STORE, answer)
        self.assertIn(answer.json['status'], ('UNREACHABLE', 'FAILED'))
        self.assertIn(self.run_at(self.uri, 'list', **user).code, (OK, STORE))
        self.assertEqual(digest(self.file), before)

    def test_full_disk(self):
        """no room: exit 4 for the job that did not fit, none half stored, and the next one works again"""
        self.enqueue('q', 'before')
        room = os.path.getsize(self.file) + (256 << 10)

        def limit():
            # Stands for a full disk: writes beyond it fail.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

        stored, refused = 1, 0
        for _ in range(30):
            answer = self.run_at(
                self.uri, '--json', 'enqueue', 'q', '-', stdin=b'x' * 100000, preexec_fn=limit
            )
            if answer.code == OK:
                stored += 1
            else:
                self.assertEqual(answer.code, STORE, answer)
                self.assertEqual(answer.json['status'], 'FAILED')
                refused += 1
        self.assertGreater(refused, 0)
        self.assertGreater(stored, 1)
        self.assertEqual(len(self.json('list')), stored)
        self.jobq('enqueue', 'q', '-', stdin=b'x' * 100000)
        self.assertEqual(len(self.json('list')), stored + 1)
        with sqlite3.connect(self.file) as db:
            self.assertEqual(db.execute('pragma integrity_check').fetchall(), [('ok',)])

    @unittest.skipUnless(may_mount(), 'a file system of 3 MB needs the right to mount one')
    def test_full_file_system(self):
        """no room on the file system itself: exit 4, nothing half stored, and with room again it works"""
        script = self.script(
            'fill',
            """
            mount -t tmpfs -o size=3m,mode=700 none "$1" || exit 99
            export JOBQ_STORE=sqlite:$1/store.db
            head -c 1000000 /dev/zero >"$1/ballast"
            head -c 100000 /dev/zero | tr '\\0' x >"$1/payload"
            n=0
            while [ $n -lt 40 ]; do
                n=$((n+1))
                "$JOBQ" enqueue q @"$1/payload" 2>/dev/null >&2; echo $?
            done
            "$JOBQ" list --limit 100 | wc -l
            rm "$1/ballast"
            "$JOBQ" enqueue q @"$1/payload" >&2; echo $?
            "$JOBQ" list --limit 100 | wc -l
            """,
        )
        os.mkdir(self.path('mounted'))
        done = subprocess.run(
            ['unshare', '-m', script, self.path('mounted')],
            stdout=subprocess.PIPE,
            env=tool.quiet(),
            timeout=tool.DEADLINE_S * 3,
            check=True,
        )
        numbers = [int(word) for word in done.stdout.split()]
        codes, listed, again, at_last = numbers[:40], numbers[40], numbers[41], numbers[42]
        self.assertLessEqual(set(codes), {OK, STORE})
        self.assertGreater(codes.count(OK), 0)
        self.assertGreater(codes.count(STORE), 5)
        self.assertEqual((listed, again, at_last), (codes.count(OK), OK, listed + 1))

    def test_killed_while_it_writes(self):
        """enqueues cut off by SIGKILL: each is stored whole or not at all"""
        command = [tool.JOBQ, '-s', self.uri, 'enqueue', 'q', '-']
        said = 0
        self.enqueue('q', 'first')
        for number in range(40):
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            try:
                process.stdin.write(b'x' * 50000)
                process.stdin.close()
            except BrokenPipeError:
                pass
            if number % 2:
                process.kill()
            said += bool(process.stdout.read())
            process.stdout.close()
            process.wait()
        jobs = self.json('list')
        self.assertGreaterEqual(len(jobs), said + 1)
        self.assertTrue(all(len(j['payload']) == 50000 for j in jobs[1:]))


if __name__ == '__main__':
    tool.main()
