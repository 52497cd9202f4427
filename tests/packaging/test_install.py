#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Install into a folder of its own, as a distributor would, and use the copy as a stranger would.

test_install.py BUILD-DIR [--sqlite] [--postgres] [--redis] [--video] [--dashboard]

  - the installed files are the promised ones, with SONAME and version
  - examples/hello.c compiles and runs against the copy by pkg-config: C11 and C++17, shared and static
  - a project of its own builds hello.c with the library as its subproject
  - the installed command runs and says its version
  - the library builds with every part left out

BUILD-DIR is kept between runs, so that the second takes seconds.
"""
import os
import re
import shutil
import sys

from kit import CXX_WARNINGS, ROOT, Tap, WARNINGS, read, run

HELLO = os.path.join(ROOT, 'examples', 'hello.c')
# Where only building and linking are in question.
QUICK = ['-Dbuildtype=debug', '-Doptimization=0', '-Ddebug=false']
MESON = os.environ.get('MESON', 'meson')


def compiler(language):
    return (os.environ.get('CC') or 'cc' if language == 'c' else os.environ.get('CXX') or 'c++').split()


def configure(build, source, options):
    """Configures afresh or again; (status, output)."""
    again = os.path.exists(os.path.join(build, 'build.ninja'))
    command = [MESON, 'setup', *options, build, source]
    if again:
        status, text = run(command[:2] + ['--reconfigure'] + command[2:])
        if status == 0:
            return status, text
    shutil.rmtree(build, ignore_errors=True)
    return run(command)


def ninja(build):
    return run(['ninja', '-C', build])


class Copy:
    """An installed copy."""

    def __init__(self, folder, sqlite, postgres, redis, video, dashboard):
        self.build = os.path.join(folder, 'installed-build')
        self.prefix = os.path.join(folder, 'installed')
        self.sqlite, self.postgres, self.redis, self.video = sqlite, postgres, redis, video
        self.dashboard = dashboard
        self.modules = ['jobq'] + ['jobq-sqlite'] * sqlite + ['jobq-postgres'] * postgres + \
            ['jobq-redis'] * redis
        self.libdir = os.path.join(self.prefix, 'lib')
        self.env = {'PKG_CONFIG_PATH': os.path.join(self.libdir, 'pkgconfig'), 'LD_LIBRARY_PATH': self.libdir}

    def install(self, tap):
        options = ['--prefix=' + self.prefix, '--libdir=lib', '-Dtests=false', *QUICK,
                   '-Ddefault_library=both', '-Dconformance=enabled', '-Dsqlite=' + ('enabled' if self.sqlite else 'disabled'),
                   '-Dpostgres=' + ('enabled' if self.postgres else 'disabled'),
                   '-Dredis=' + ('enabled' if self.redis else 'disabled'),
                   '-Dvideo=' + ('enabled' if self.video else 'disabled'),
                   '-Ddashboard=' + ('enabled' if self.dashboard else 'disabled')]
        status, text = configure(self.build, ROOT, options)
        if not tap.ok(status == 0, 'a build without tests configures', text):
            return False
        status, text = ninja(self.build)
        if not tap.ok(status == 0, 'and builds', text[-4000:]):
            return False
        shutil.rmtree(self.prefix, ignore_errors=True)
        status, text = run([MESON, 'install', '-C', self.build, '--no-rebuild'])
        return tap.ok(status == 0, 'and installs', text)

    def files(self):
        found = set()
        for folder, _, names in os.walk(self.prefix):
            found |= {os.path.relpath(os.path.join(folder, name), self.prefix) for name in names}
        return found

    def pkg_config(self, *arguments):
        status, text = run(['pkg-config', *arguments], env=self.env)
        if status != 0:
            raise SystemExit('pkg-config %s: %s' % (' '.join(arguments), text))
        return text.split()


def version():
    return re.search(r"version: '([0-9.]+)'", read('meson.build')).group(1)


def soversion():
    return re.search(r"^soversion = '([0-9.]+)'", read('meson.build'), re.M).group(1)


def promised(copy):
    """What `meson install` gives, and for the library files their SONAME."""
    names = {'include/jobq/jobq.h', 'include/jobq/backend.h', 'include/jobq/memory.h', 'bin/jobq',
             'share/man/man1/jobq.1', 'share/man/man3/libjobq.3', 'include/jobq/conformance.h',
             'lib/libjobq-conformance.a', 'lib/pkgconfig/jobq-conformance.pc'}
    for module in copy.modules:
        names |= {'lib/pkgconfig/%s.pc' % module, 'lib/lib%s.a' % module, 'lib/lib%s.so' % module,
                  'lib/lib%s.so.%s' % (module, soversion()), 'lib/lib%s.so.%s' % (module, version())}
    names |= {'include/jobq/%s.h' % module[5:] for module in copy.modules[1:]}
    if copy.video:
        names.add('bin/jobq-video')
    if copy.dashboard:
        names |= {'bin/jobq-dashboard', 'share/man/man1/jobq-dashboard.1'}
    return names


def check_files(tap, copy):
    have, want = copy.files(), promised(copy)
    tap.none(sorted(want - have), 'everything promised is installed')
    # What may be there beyond that: more manual pages, the services, completions.
    more = [name for name in have - want
            if not re.match(r'(share/man/man[1-8]/(lib)?jobq|libexec/jobq-video/|share/(bash-completion|zsh|fish)/'
                            r'|share/doc/(lib)?jobq/)', name)]
    tap.none(sorted(more), 'and nothing else')
    if copy.video:
        services = [name for name in have if name.startswith('libexec/jobq-video/') and name.endswith('.py')]
        tap.ok(services, 'the services of jobq-video are under libexec', '\n'.join(sorted(have)))
    for name in sorted(want):
        if name.startswith('lib/') and name.endswith('.so'):
            text = run(['readelf', '--dynamic', '--wide', os.path.join(copy.prefix, name)])[1]
            soname = re.search(r'\(SONAME\).*\[(.+)\]', text)
            tap.ok(soname and soname.group(1) == '%s.%s' % (os.path.basename(name), soversion()),
                   '%s has its SONAME' % name, text)
    for module in copy.modules:
        tap.ok(copy.pkg_config('--modversion', module) == [version()], '%s.pc has the version' % module)
    visible = [line.split() for line in run(['nm', '-g', '--defined-only',
                                             os.path.join(copy.libdir, 'libjobq-conformance.a')])[1].splitlines()]
    tap.ok([words[-1] for words in visible if len(words) == 3] == ['jobq_conformance'],
           'the conformance library shows one name', visible)
    tap.ok('-lsqlite3' not in copy.pkg_config('--libs', 'jobq'), 'jobq.pc pulls in no database')
    links = [name for name in have if os.path.islink(os.path.join(copy.prefix, name))
             and os.path.isabs(os.readlink(os.path.join(copy.prefix, name)))]
    tap.none(links, 'no absolute links')


def hello(tap, copy, folder, language, static):
    """Compiles, links and runs hello.c; it works on a store file of its own in an empty folder."""
    name = 'hello.c as %s, %s' % ('C11' if language == 'c' else 'C++17', 'static' if static else 'shared')
    work = os.path.join(folder, 'hello-%s-%s' % (language, 'static' if static else 'shared'))
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    program = os.path.join(work, 'hello')
    command = compiler(language) + (['-std=c11'] if language == 'c' else ['-std=c++17', '-x', 'c++'])
    command += WARNINGS if language == 'c' else CXX_WARNINGS
    command += copy.pkg_config('--cflags', 'jobq-sqlite') + [HELLO, '-x', 'none', '-o', program]
    if static:
        command += ['-static'] + copy.pkg_config('--static', '--libs', 'jobq-sqlite')
    else:
        command += copy.pkg_config('--libs', 'jobq-sqlite')
    status, text = run(command, cwd=work)
    # A static sqlite3 may make the linker remark on dlopen; that is not about our code.
    if not tap.ok(status == 0, name + ': compiles', ' '.join(command) + '\n' + text):
        return
    run_hello(tap, name, program, work, copy.env)
    dynamic = run(['readelf', '--dynamic', '--wide', program])[1]
    tap.ok(('libjobq' in dynamic) != static, name + ': links what it should', dynamic)


def run_hello(tap, name, program, work, env):
    status, text = run([program], env=env, cwd=work)
    tap.ok(status == 0 and text.strip(), name + ': runs', 'status %d\n%s' % (status, text))
    again, text = run([program], env=env, cwd=work)
    tap.ok(again == 0, name + ': runs a second time on the same store', text)


CONSUMER = """project('consumer', 'c', default_options: ['c_std=c11', 'warning_level=3', 'werror=true'])
executable('hello', 'hello.c', dependencies: dependency('jobq-sqlite', fallback: 'jobq'))
"""


def subproject(tap, folder):
    """A project of its own that has the checkout as subprojects/jobq and no installed copy."""
    source, build = os.path.join(folder, 'consumer'), os.path.join(folder, 'consumer-build')
    shutil.rmtree(source, ignore_errors=True)
    os.makedirs(os.path.join(source, 'subprojects'))
    os.symlink(ROOT, os.path.join(source, 'subprojects', 'jobq'))
    shutil.copy(HELLO, source)
    with open(os.path.join(source, 'meson.build'), 'w', encoding='utf-8') as file:
        file.write(CONSUMER)
    options = [*QUICK, '-Djobq:tests=false', '-Djobq:examples=false', '-Djobq:postgres=disabled',
               '-Djobq:redis=disabled', '-Djobq:conformance=disabled', '-Djobq:werror=false', '--wrap-mode=nodownload']
    status, text = configure(build, source, options)
    if not tap.ok(status == 0, 'as a subproject: configures', text):
        return
    status, text = ninja(build)
    if not tap.ok(status == 0, 'as a subproject: builds', text[-4000:]):
        return
    work = os.path.join(folder, 'hello-subproject')
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    run_hello(tap, 'as a subproject', os.path.join(build, 'hello'), work, {})


def template(tap, copy, folder):
    """examples/backend-template: a project of its own that builds against the copy and passes the installed suite."""
    source = os.path.join(ROOT, 'examples', 'backend-template')
    build = os.path.join(folder, 'template-build')
    lines = sum(len(read(os.path.join('examples', 'backend-template', name)).splitlines())
                for name in os.listdir(source))
    tap.ok(lines <= 600, 'the template has at most 600 lines', str(lines))
    shutil.rmtree(build, ignore_errors=True)
    status, text = run([MESON, 'setup', '-Dwerror=true', build, source], env=copy.env)
    status, text = (status, text) if status else run(['ninja', '-C', build], env=copy.env)
    if not tap.ok(status == 0, 'the template builds against the copy', text[-4000:]):
        return
    # A failure at every call takes as long as all else together: a fifth of them each day, as of the other stores.
    full = bool(os.environ.get('JOBQ_TEST_FULL'))
    passes = [] if full else ['plain', 'lost', 'again']
    status, text = run([MESON, 'test', '-C', build, '--no-rebuild', '--num-processes', '2', *passes], env=copy.env)
    tap.ok(status == 0, 'and passes the installed conformance suite', text[-4000:])
    if not full:
        status, text = run([os.path.join(build, 'prove'), '--pass', 'fail', '--stride', '5'], env=copy.env)
        tap.ok(status == 0, 'its calls that fail among them', text[-4000:])
    at_once = os.path.join(folder, 'template-at-once')
    modules = run(['pkg-config', '--cflags', '--libs', 'jobq'], env=copy.env)[1].split()
    status, text = run([*compiler('c'), '-std=c11', *WARNINGS, '-D_GNU_SOURCE', '-I' + source, '-o', at_once,
                        os.path.join(ROOT, 'tests', 'packaging', 'at_once.c'), os.path.join(build, 'libplain.a'), *modules])
    status, text = (status, text) if status else run([at_once], env=copy.env)
    tap.ok(status == 0, 'and is used by several processes at once, one of which is killed', text[-4000:])


def command(tap, copy):
    status, text = run([os.path.join(copy.prefix, 'bin', 'jobq'), '--version'], env=copy.env)
    tap.ok(status == 0 and version() in text, 'the installed jobq says its version', text)
    status, text = run([os.path.join(copy.prefix, 'bin', 'jobq'), '--help'], env=copy.env)
    tap.ok(status == 0 and 'enqueue' in text, 'and its help', text)


def dashboard(tap, copy):
    """`jobq serve` finds the program that was installed beside it."""
    path = os.path.join(copy.prefix, 'bin') + ':' + os.environ['PATH']
    status, text = run([os.path.join(copy.prefix, 'bin', 'jobq'), '-s', 'sqlite:x.db', 'serve', '--version'],
                       env={**copy.env, 'PATH': path})
    tap.ok(status == 0 and 'jobq-dashboard ' + version() in text, 'the installed jobq serve runs jobq-dashboard', text)


def smallest(tap, folder):
    """The core alone, shared only: no store with a dependency, no examples, no tests."""
    build = os.path.join(folder, 'smallest-build')
    status, text = configure(build, ROOT, [*QUICK, '-Dsqlite=disabled', '-Dpostgres=disabled', '-Dredis=disabled',
                                           '-Dvideo=disabled', '-Dexamples=false', '-Dtests=false',
                                           '-Dconformance=disabled', '-Ddefault_library=shared'])
    status, text = (status, text) if status else ninja(build)
    if tap.ok(status == 0, 'every part can be left out', text[-4000:]):
        made = [name for _, _, names in os.walk(build) for name in names if re.search(r'\.so$|^jobq$', name)]
        tap.ok(made == ['libjobq.so'], 'then the library is all there is', ' '.join(made))


def without_sqlite(tap, folder):
    """The command without its SQLite store: it builds, and says what it lacks."""
    build = os.path.join(folder, 'without-build')
    status, text = configure(build, ROOT, [*QUICK, '-Dsqlite=disabled', '-Dredis=disabled', '-Dvideo=disabled',
                                           '-Dtests=false', '-Dconformance=disabled'])
    status, text = (status, text) if status else ninja(build)
    if tap.ok(status == 0, 'the examples build without the SQLite store', text[-4000:]):
        status, text = run([os.path.join(build, 'examples', 'jobq', 'jobq'), '-s', 'sqlite:x.db', 'stats'], cwd=build)
        tap.ok(status == 4 and 'sqlite' in text.lower(), 'and jobq says that it lacks it', 'status %d\n%s' % (status, text))


def main():
    folder = os.path.abspath(sys.argv[1])
    os.makedirs(folder, exist_ok=True)
    copy = Copy(folder, '--sqlite' in sys.argv, '--postgres' in sys.argv, '--redis' in sys.argv, '--video' in sys.argv,
                '--dashboard' in sys.argv)
    with Tap() as tap:
        if copy.install(tap):
            check_files(tap, copy)
            command(tap, copy)
            if copy.dashboard:
                dashboard(tap, copy)
            template(tap, copy, folder)
            if copy.sqlite:
                for language in ('c', 'c++'):
                    for static in (False, True):
                        hello(tap, copy, folder, language, static)
                subproject(tap, folder)
        smallest(tap, folder)
        without_sqlite(tap, folder)
        return tap.status()


if __name__ == '__main__':
    sys.exit(main())
