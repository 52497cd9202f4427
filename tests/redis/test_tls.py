#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rediss: the server must prove that it is the host of the address.  test_tls.py JOBQ

Only where the client library has TLS. Each case gives a private server on 127.0.0.1 another certificate.
"""
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'servers'))
import private  # noqa: E402  pylint: disable=wrong-import-position

_spec = importlib.util.spec_from_file_location('certificates', os.path.join(os.path.dirname(HERE), 'postgres', 'test_tls.py'))
certificates = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(certificates)

JOBQ = sys.argv[1]
USER, PASSWORD = 'anna', 'Kan4rivogel'


def stats(port, root):
    """What jobq makes of the server, which it must know by the authority in `root`."""
    env = {**os.environ, 'SSL_CERT_FILE': root, 'SSL_CERT_DIR': '/nonexistent'}
    uri = 'rediss://%s:%s@localhost:%d' % (USER, PASSWORD, port)
    done = subprocess.run([JOBQ, '--json', 'stats'], env={**env, 'JOBQ_STORE': uri}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def main():
    folder = tempfile.mkdtemp(prefix='jqt.')
    certificates.NAME = 'localhost'
    certificates.make_certificates(folder)
    root, nobody = os.path.join(folder, 'root.crt'), os.path.join(folder, 'self.crt')
    cases = (('good', root, True), ('good', nobody, False), ('self', root, False), ('other', root, False),
             ('over', root, False), (None, root, False))
    print('1..%d' % (2 * len(cases)))
    for number, (name, trusted, may) in enumerate(cases, 1):
        inner = tempfile.mkdtemp(dir=folder)
        port = private.free_port()
        settings = ['tls-port %d' % port, 'tls-auth-clients no'] + [
            'tls-%s-file %s.%s' % (kind, os.path.join(folder, name), end) for kind, end in (('cert', 'crt'), ('key', 'key'))
        ] if name else []
        server = private.Redis(inner, USER, PASSWORD, *settings)
        try:
            if may: # somebody has to have been there
                subprocess.run([JOBQ, '-s', server.uri(USER, PASSWORD, '127.0.0.1:%d' % server.port, '0'), 'enqueue', 'q', 'x'],
                               check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
            code, said = stats(port if name else server.port, trusted)
        finally:
            server.stop()
        good = code == 0 if may else code == 4 and 'TLS' in said
        print('%s %d - %s, %s' % ('ok' if good else 'not ok', 2 * number - 1, name or 'plain', 'believed' if may else 'refused'))
        print('%s %d - without the password' % ('not ok' if PASSWORD in said else 'ok', 2 * number))
        if not good:
            print('# %d %s' % (code, said.replace('\n', '\n# ')))
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    main()
