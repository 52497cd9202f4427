#!/bin/sh
# SPDX-License-Identifier: MIT
# Measure libjobq against the limit programs, in turn, and print one table. Servers are private ones.
# usage: sh tests/bench/run.sh [--quick] [--json] [--store memory|sqlite|redis|postgres]...
#        sh tests/bench/run.sh --plots [--seconds S] [--store ...]...      draws doc/performance/*.svg
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
. "$ROOT/tests/lib.sh"

# wants STORE ARGUMENT...: whether the arguments choose the store; without any --store all are.
wants() {
    _wanted=$1
    shift
    case " $* " in
    *" --store"[\ =]"$_wanted "*) return 0 ;;
    *" --store"*) return 1 ;;
    esac
}

need_build
need cmd:python3 python3
need cmd:valgrind valgrind
need 'pc:check >= 0.10' check
need_redis
need_postgres
install_missing
BUILD=${JOBQ_BUILD_ROOT:-$ROOT/build-all}/bench
TARGETS='tests/bench/jobq-bench tests/bench/churn tests/bench/limit-sqlite tests/bench/limit-redis tests/bench/limit-postgres'
build_tree "$BUILD" --buildtype=release -Dexamples=false -Dsqlite=enabled -Dredis=enabled -Dpostgres=enabled >&2

# Never those of the machine: everything on them is thrown away.
unset JOBQ_TEST_REDIS JOBQ_TEST_POSTGRES
if wants redis "$@"; then
    start_redis --appendonly yes --appendfsync everysec
fi
if wants postgres "$@"; then
    start_postgres fsync=on synchronous_commit=on shared_buffers=1GB
fi
if [ "${1:-}" = --plots ]; then
    shift
    /usr/bin/python3 "$ROOT/tests/bench/plot.py" --build "$BUILD" --out "$ROOT/doc/performance" "$@"
else
    /usr/bin/python3 "$ROOT/tests/bench/run.py" --build "$BUILD" "$@"
fi
