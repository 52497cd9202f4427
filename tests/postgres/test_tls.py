#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A server on another host is verified (security: TLS not verified).  test_tls.py JOBQ

A private server on 127.0.0.1 with certificates made here; hostaddr= in the address maps the name of another host to it.
Each case gives the server another certificate and says what `jobq` must make of it.
"""
import glob
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time

NAME = 'db.example.test'
JOBQ = sys.argv[1]
COUNT = 0


def say(good, text, more=''):
    global COUNT
    COUNT += 1
    print('%s %d - %s' % ('ok' if good else 'not ok', COUNT, text))
    if not good:
        for line in more.splitlines():
            print('# ' + line)


def program(name):
    found = shutil.which(name)
    return found or sorted(glob.glob('/usr/lib/postgresql/*/bin/' + name))[-1]


def as_server(*command):
    """Postgres refuses root."""
    if os.getuid() == 0:
        command = ('runuser', '-u', 'postgres', '--', *command)
    return subprocess.run(command, cwd='/', stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def openssl(*arguments):
    subprocess.run(['openssl', *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Server:
    def __init__(self, folder):
        self.folder, self.data = folder, os.path.join(folder, 'data')
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            self.port = free.getsockname()[1]
        user = 'postgres' if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        self.user = user
        if os.getuid() == 0:
            shutil.chown(folder, 'postgres')
        made = as_server(program('initdb'), '-D', self.data, '-U', user, '-A', 'trust', '--no-sync', '--locale=C')
        if made.returncode:
            sys.exit('Bail out! ' + made.stdout)
        with open(os.path.join(self.data, 'postgresql.conf'), 'a', encoding='ascii') as conf:
            conf.write("listen_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = '%s'\nfsync = off\n"
                       "include_if_exists = 'tls.conf'\n" % (self.port, folder))

    def control(self, *arguments):
        return as_server(program('pg_ctl'), '-D', self.data, '-l', os.path.join(self.folder, 'log'), '-w', *arguments)

    def present(self, certificate):
        """From now on with this certificate; None: without TLS."""
        with open(os.path.join(self.data, 'tls.conf'), 'w', encoding='ascii') as conf:
            conf.write('ssl = %s\n' % ('on' if certificate else 'off'))
        for kind in ('crt', 'key') if certificate else ():
            target = os.path.join(self.data, 'server.' + kind)
            shutil.copy(certificate + '.' + kind, target)
            os.chmod(target, 0o600)
            if os.getuid() == 0:
                shutil.chown(target, 'postgres', 'postgres')
        started = self.control('restart' if os.path.exists(os.path.join(self.data, 'postmaster.pid')) else 'start')
        if started.returncode:
            sys.exit('Bail out! ' + started.stdout)

    def stop(self):
        self.control('stop', '-m', 'immediate')


def make_certificates(folder):
    """One authority; from it a good one, one for another name and one that is over; and one that signed itself."""
    at = lambda name: os.path.join(folder, name)
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', at('root.key'), '-out', at('root.crt'), '-days', '30',
            '-subj', '/CN=root of a test')
    for name, subject, first, last in (('good', NAME, 0, 30), ('other', 'elsewhere.test', 0, 30), ('over', NAME, -30, -10)):
        with open(at('extensions'), 'w', encoding='ascii') as extensions:
            extensions.write('subjectAltName = DNS:%s\n' % subject)
        openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', at(name + '.key'), '-out', at('request'), '-subj',
                '/CN=' + subject)
        day = lambda d: time.strftime('%Y%m%d%H%M%SZ', time.gmtime(time.time() + d * 86400 - 3600))
        os.makedirs(at('ca'), exist_ok=True)
        for file in ('index.txt', 'index.txt.attr'):
            open(os.path.join(at('ca'), file), 'w', encoding='ascii').close()
        with open(at('ca.conf'), 'w', encoding='ascii') as conf:
            conf.write('[ca]\ndefault_ca = d\n[d]\nnew_certs_dir = %s\ndatabase = %s/index.txt\nrand_serial = yes\n'
                       'default_md = sha256\npolicy = p\n[p]\ncommonName = supplied\n' % (at('ca'), at('ca')))
        openssl('ca', '-batch', '-config', at('ca.conf'), '-cert', at('root.crt'), '-keyfile', at('root.key'), '-in',
                at('request'), '-out', at(name + '.crt'), '-startdate', day(first), '-enddate', day(last), '-notext',
                '-extfile', at('extensions'))
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', at('self.key'), '-out', at('self.crt'), '-days', '30',
            '-subj', '/CN=' + NAME, '-addext', 'subjectAltName = DNS:' + NAME)


def jobq(server, host, more):
    uri = 'postgres://%s/postgres?hostaddr=127.0.0.1&port=%d&user=%s%s' % (host, server.port, server.user, more)
    env = {key: value for key, value in os.environ.items() if not key.startswith('PG')}
    env['HOME'] = server.folder # no root.crt of a person who runs this
    done = subprocess.run([JOBQ, '-s', uri, '--json', 'stats'], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def main():
    folder = tempfile.mkdtemp(prefix='jqt.')
    os.chmod(folder, 0o755)
    make_certificates(folder)
    inner = os.path.join(folder, 's')
    os.mkdir(inner)
    server = Server(inner)
    root = '&sslrootcert=' + os.path.join(folder, 'root.crt')
    cases = (
        # what the server has, what is added to the address, whether jobq may talk to it, a word of the refusal
        (None, root, False, 'SSL'),
        (None, '', False, ''),
        (None, '&sslmode=disable', True, ''),
        ('self', root, False, 'certificate verify failed'),
        ('self', '&sslmode=require', True, ''),
        ('other', root, False, 'elsewhere.test'),
        ('over', root, False, 'certificate verify failed'),
        ('good', root, True, ''),
        ('good', '', False, 'root.crt'),
    )
    try:
        server.present(None)
        local = 'postgres:///postgres?host=%s&port=%d&user=%s' % (server.folder, server.port, server.user)
        subprocess.run([JOBQ, '-s', local, 'enqueue', 'q', 'x'], check=True, stdout=subprocess.DEVNULL)
        now = None
        for certificate, more, good, word in cases:
            if certificate != now:
                server.present(certificate and os.path.join(folder, certificate))
                now = certificate
            status, text = jobq(server, NAME, more)
            what = 'a server with %s certificate, %s: %s' % (certificate or 'no', more.split('=')[0][1:] or 'nothing added',
                                                             'taken' if good else 'refused')
            say((status == 0) if good else (status == 4 and word in text), what, 'status %d\n%s' % (status, text))
        status, text = jobq(server, 'localhost', '')
        say(status == 0, 'loopback needs no certificate that is known', text)
    finally:
        server.stop()
        shutil.rmtree(folder)
    print('1..%d' % COUNT)


if __name__ == '__main__':
    main()
