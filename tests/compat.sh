#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The stores on a newer system:  sh tests/compat.sh [--keep] [ARGUMENT-OF-MESON-TEST]...
#
#   --keep   leave the system's folder, so that the next run need not fetch it (about 250 MB)
#
# Makes a Debian 13 in a folder with mmdebstrap, builds this tree there and runs the conformance suite and the stores' own
# tests with what that system has: hiredis 1.2 with TLS, Valkey 8, libpq and Postgres 17, a newer SQLite and gcc. By hand, as
# root: it takes a while, and it fetches packages. Nothing outside the folder is changed; it is below build-all/ or
# $JOBQ_BUILD_ROOT.
#
# 0 all passed, 1 something failed, 2 usage, 3 something is missing.

# Functions are called by step.
# shellcheck disable=SC2317
set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"

RELEASE=trixie
PACKAGES=gcc,libc6-dev,meson,ninja-build,pkgconf,python3,check,binutils,openssl,libsqlite3-dev,libhiredis-dev,libssl-dev
PACKAGES=$PACKAGES,valkey-server,libpq-dev,postgresql,pgbouncer
KEEP_SYSTEM=
case ${1:-} in
-h | --help)
    sed -n '4,/^$/s/^#\( \|$\)//p' "$0"
    exit 0
    ;;
--keep)
    KEEP_SYSTEM=1
    shift
    ;;
esac
[ "$(id -u)" -eq 0 ] || die 3 'compat.sh: making a system in a folder takes root'

need cmd:mmdebstrap mmdebstrap
need cmd:unshare util-linux
need cmd:git git
install_missing

PLACE=${JOBQ_BUILD_ROOT:-$ROOT/build-all}/compat
SYSTEM=$PLACE/system
mkdir -p "$PLACE" || exit 1
# It is expanded when the script ends.
# shellcheck disable=SC2016
[ -n "$KEEP_SYSTEM" ] || at_exit 'rm -rf --one-file-system "$SYSTEM"'

make_system() {
    rm -rf --one-file-system "$SYSTEM"
    mmdebstrap --format=directory --variant=minbase --include="$PACKAGES" "$RELEASE" "$SYSTEM.part" &&
        mv "$SYSTEM.part" "$SYSTEM"
}

# What is in the working copy, without what was built there. What was built in the system stays, beside it.
copy_tree() {
    rm -rf "$SYSTEM/src"
    mkdir "$SYSTEM/src" &&
        (cd "$ROOT" && git ls-files -z --cached --others --exclude-standard |
            tar --null --ignore-failed-read -T - -cf -) | tar -xf - -C "$SYSTEM/src"
}

# within COMMAND...: as a process of the system, with mounts that go with it. Its root is one of them, as on a machine of its own:
# what makes mounts private begins there.
# The parameters are those of the shell inside.
# shellcheck disable=SC2016
within() {
    unshare --mount --pid --fork --kill-child /bin/sh -c 'mount --bind "$0" "$0" && exec chroot "$0" "$@"' "$SYSTEM" /bin/sh -c '
        mount -t proc proc /proc && mount -t tmpfs tmpfs /dev/shm && mount -t tmpfs -o mode=1777 tmpfs /tmp || exit 3
        export LC_ALL=C.UTF-8 HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        unset JOBQ_TEST_REDIS JOBQ_TEST_POSTGRES
        cd /src && exec "$@"' sh "$@"
}

# Names and versions as the package system there prints them.
# shellcheck disable=SC2016
say_versions() {
    within dpkg-query -W -f '  ${Package} ${Version}\n' gcc libsqlite3-0 libhiredis-dev valkey-server libpq5 'postgresql-1*' \
        pgbouncer 2>/dev/null | grep -v ' $'
}

if [ ! -d "$SYSTEM" ]; then
    step "$PLACE/system.log" "Debian 13 ($RELEASE) in a folder" make_system || exit 1
fi
step "$PLACE/copy.log" 'a copy of the tree there' copy_tree || exit 1
say_versions
step "$PLACE/configure.log" 'configure' within meson setup --reconfigure /build -Dwerror=true -Dbuildtype=debugoptimized \
    -Dsqlite=enabled -Dredis=enabled -Dredis_tls=enabled -Dpostgres=enabled -Dvideo=disabled || exit 1
step "$PLACE/build.log" 'build' within ninja -C /build || exit 1
[ $# -gt 0 ] || set -- --no-suite full --suite conformance --suite redis --suite postgres --suite sqlite
STEP_TAIL=0 step "$PLACE/test.log" 'conformance and the tests of the stores' \
    within meson test -C /build --no-rebuild "$@"
status=$?
grep -E '(FAIL|TIMEOUT|ERROR) ' "$PLACE/test.log" | sed 's/^/    /'
grep -E '^(Ok|Fail|Skipped|Timeout):' "$PLACE/test.log"
exit "$status"
