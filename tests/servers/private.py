# SPDX-License-Identifier: MIT
"""Private servers that want a password, and servers that are none, for tests of what is said about them."""
import glob
import os
import pwd
import shutil
import socket
import subprocess
import threading
import time

PATIENCE_S = 60


def program(name, more=''):
    found = shutil.which(name)
    if not found:
        there = sorted(glob.glob(more + name))
        if not there:
            raise RuntimeError('%s is not installed' % name)
        found = there[-1]
    return found


def free_port():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


class Redis:
    """On 127.0.0.1 and a socket; the default user and `user` have the password."""

    name = 'redis'
    engine = 'redis|valkey'

    def __init__(self, folder, user, password, *settings):
        self.folder, self.port, self.password = folder, free_port(), password
        self.socket = os.path.join(folder, 's')
        server = shutil.which('redis-server') or program('valkey-server')
        conf = os.path.join(folder, 'conf') # and not on the command line: that is looked at
        with open(conf, 'w', encoding='ascii') as file:
            file.write('port %d\nbind 127.0.0.1\nunixsocket %s\ndir %s\nsave ""\nappendonly no\nrequirepass %s\n'
                       'user %s on >%s ~* &* +@all\nslowlog-log-slower-than 0\n%s\n'
                       % (self.port, self.socket, folder, password, user, password, '\n'.join(settings)))
        self.command = [server, conf]
        self.process = None
        self.start()

    def start(self):
        with open(os.path.join(self.folder, 'log'), 'ab') as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.ask('PING')
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError('no private Redis: ' + self.log())

    def stop(self):
        self.process.kill()
        self.process.wait()

    def ask(self, *words):
        """The raw answer, which is searched, not read."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE_S)
            line.connect(self.socket)
            for command in ('AUTH', self.password), words:
                line.sendall(b'*%d\r\n' % len(command) + b''.join(
                    b'$%d\r\n%s\r\n' % (len(w.encode()), w.encode()) for w in command))
            line.shutdown(socket.SHUT_WR)
            return b''.join(iter(lambda: line.recv(65536), b'')).decode('utf-8', 'replace')

    def log(self):
        with open(os.path.join(self.folder, 'log'), encoding='utf-8', errors='replace') as log:
            return log.read()

    def seen(self):
        """All that the server shows to those who look."""
        return self.log() + self.ask('CLIENT', 'LIST') + self.ask('SLOWLOG', 'GET', '1000')

    def make_newer(self, name_space):
        self.ask('HSET', '{%s}:meta' % name_space, 'version', '99')

    def uri(self, user, password, place, base):
        """place: host:port, or the folder of a socket."""
        if place.startswith('/'):
            return 'redis+unix://%s:%s@%s/s?db=%s&' % (user, password, place, base)
        return 'redis://%s:%s@%s/%s?' % (user, password, place, base)

    base = '0'
    wrong_base = '777'


class Postgres:
    """On 127.0.0.1 and a socket, with one user. It refuses root, and so runs as the user of its package there."""

    name = 'postgres'
    engine = 'postgres'
    base = 'postgres'
    wrong_base = 'nowhere'

    def __init__(self, folder, user, password, *settings):
        self.folder, self.port, self.password, self.user = folder, free_port(), password, user
        self.data = os.path.join(folder, 'data')
        secret = os.path.join(folder, 'secret')
        with open(secret, 'w', encoding='ascii') as file:
            file.write(password + '\n')
        if os.getuid() == 0:
            pwd.getpwnam('postgres')
            for path in folder, secret:
                shutil.chown(path, 'postgres')
        self.must(self.run('initdb', '-D', self.data, '-U', user, '-A', 'scram-sha-256', '--pwfile', secret, '--no-sync',
                           '--locale=C', '-E', 'UTF8'))
        with open(os.path.join(self.data, 'postgresql.conf'), 'a', encoding='ascii') as conf:
            conf.write("listen_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = '%s'\nfsync = off\n"
                       "log_statement = 'all'\nlog_connections = on\nlog_min_messages = 'debug1'\n%s\n"
                       % (self.port, folder, '\n'.join(settings)))
        self.start()

    def must(self, done):
        if done.returncode:
            raise RuntimeError('no private Postgres: ' + done.stdout)
        return done.stdout

    def run(self, name, *words):
        command = [program(name, '/usr/lib/postgresql/*/bin/'), *words]
        env = {**os.environ, 'PGPASSWORD': self.password}
        if os.getuid() == 0:
            command = ['runuser', '-u', 'postgres', '--', *command]
        return subprocess.run(command, cwd='/', env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)

    def control(self, *words):
        return self.run('pg_ctl', '-D', self.data, '-l', os.path.join(self.folder, 'log'), '-w', *words)

    def start(self):
        self.must(self.control('start'))

    def stop(self):
        self.control('stop', '-m', 'immediate')

    def ask(self, text):
        return self.must(self.run('psql', '-h', self.folder, '-p', str(self.port), '-U', self.user, '-d', 'postgres', '-Atc', text))

    def log(self):
        with open(os.path.join(self.folder, 'log'), encoding='utf-8', errors='replace') as log:
            return log.read()

    def seen(self):
        return self.log() + self.ask('SELECT * FROM pg_stat_activity')

    def make_newer(self, name_space):
        self.ask('UPDATE "%s".meta SET version = 99' % name_space)

    def uri(self, user, password, place, base):
        if place.startswith('/'):
            return 'postgres://%s:%s@/%s?host=%s&port=%d&' % (user, password, base, place, self.port)
        return 'postgres://%s:%s@%s/%s?' % (user, password, place, base)


class NoServer:
    """Takes connections on 127.0.0.1 and does what `serve(connection)` does with each. Ends with close()."""

    def __init__(self, serve):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.serve, self.ended, self.lines = serve, threading.Event(), []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        self.listener.settimeout(0.05)
        while not self.ended.is_set():
            try:
                line, _ = self.listener.accept()
            except socket.timeout:
                continue
            except OSError:
                return
            self.lines.append(line)
            threading.Thread(target=self.one, args=(line,), daemon=True).start()

    def one(self, line):
        try:
            self.serve(line)
        except OSError:
            pass
        line.close()

    def close(self):
        self.ended.set()
        self.thread.join()
        self.listener.close()
        for line in self.lines:
            line.close()


def hang_up(line):
    del line


def say_nothing(line):
    while line.recv(65536):
        pass


def say_nonsense(line):
    line.recv(65536)
    line.sendall(b'\0\xff HTTP/1.1 400 this is something else\r\n\r\n' * 20)


def repeat_everything(line):
    """One that is asked for an error and says what it was told: as an error of Redis, and of Postgres."""
    while True:
        heard = line.recv(65536)
        if not heard:
            return
        flat = heard.replace(b'\r', b' ').replace(b'\n', b' ').replace(b'\0', b' ')
        if heard[:1] == b'*':
            line.sendall(b'-ERR unknown command, with args beginning with: ' + flat + b'\r\n')
        elif heard[4:8] == b'\0\3\0\0': # the beginning of Postgres: ask for the password in plain
            line.sendall(b'R\0\0\0\x08\0\0\0\x03')
        elif heard[:1] == b'p':
            text = b'SFATAL\0VFATAL\0C28P01\0Mno: ' + flat + b'\0\0'
            line.sendall(b'E' + (len(text) + 4).to_bytes(4, 'big') + text)
            return
        else:
            line.sendall(b'N') # no encryption


def cutter(port, after):
    """A way to the server behind `port` that ends after so many bytes of its answers."""

    def serve(line):
        left = after
        with socket.create_connection(('127.0.0.1', port)) as server:
            def there():
                try:
                    for data in iter(lambda: line.recv(65536), b''):
                        server.sendall(data)
                    server.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
            threading.Thread(target=there, daemon=True).start()
            while left > 0:
                data = server.recv(left)
                if not data:
                    return
                line.sendall(data)
                left -= len(data)
            line.shutdown(socket.SHUT_RDWR)

    return serve
