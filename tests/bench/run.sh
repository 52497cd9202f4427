#!/bin/sh
# SPDX-License-Identifier: MIT
# Measure libjobq against the limit programs, in turn, and print one table. Servers are private ones.
# usage: sh tests/bench/run.sh [--quick] [--json] [--peers | --only-peers] [--store memory|sqlite|redis|postgres]...
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

# npm_packages STORE: what npm brings of the peers on that store, in a folder of their own; nothing to do when it is there.
# plainjob stands on an addon in C++, which is compiled for the system's node: the project does not rely on prebuilt ones.
npm_packages() {
    _folder=$PEERS/$1
    mkdir -p "$_folder"
    cp "$ROOT/tests/bench/peers/"*.mjs "$_folder/"
    cmp -s "$ROOT/tests/bench/peers/$1.json" "$_folder/installed" && return 0
    cp "$ROOT/tests/bench/peers/$1.json" "$_folder/package.json"
    _node=$(node -p 'require("path").resolve(process.execPath, "../..")') || return 1
    step "$_folder/install.log" "npm packages of the peers on $1" env npm_config_nodedir="$_node" \
        npm_config_build_from_source=better-sqlite3 npm_config_python=/usr/bin/python3 \
        npm install --prefix "$_folder" --no-fund --no-audit --loglevel=error >&2 &&
        cp "$_folder/package.json" "$_folder/installed"
}

# brought PEERS COMMAND...: what COMMAND installs is for these only; run.py tells which of them cannot be run.
brought() {
    _peers=$1
    shift
    ("$@") >&2 || warn "$_peers: the packages could not be installed; the rest goes on"
}

packages_for_sqlite() {
    need cmd:npm npm
    need cmd:node nodejs
    need cmd:g++ g++
    need cmd:make make
    need "file:$(dirname "$(command -v node || echo /usr/bin/node)")/../include/node/node.h" libnode-dev
    install_missing
    npm_packages sqlite
}

packages_for_server() {
    need cmd:npm npm
    need cmd:node nodejs
    install_missing
    npm_packages "$1"
}

packages_of() {
    while [ $# -gt 0 ]; do
        need "$1" "$2"
        shift 2
    done
    install_missing
}

PEERS=${JOBQ_BUILD_ROOT:-$ROOT/build-all}/peers
peers=
for word in "$@"; do
    shift
    case $word in
    --peers | --only-peers)
        peers=yes
        set -- "$@" --peers "$PEERS"
        [ "$word" = --peers ] || set -- "$@" --only-peers
        ;;
    *) set -- "$@" "$word" ;;
    esac
done

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

if [ -n "$peers" ] && wants sqlite "$@"; then
    brought plainjob packages_for_sqlite
    brought persist-queue packages_of py:persistqueue python3-persist-queue
fi
if [ -n "$peers" ] && wants redis "$@"; then
    brought 'bee-queue, bullmq' packages_for_server redis
    brought celery packages_of py:celery python3-celery py:redis python3-redis
    brought rq packages_of py:rq python3-rq
    brought sidekiq packages_of cmd:sidekiq ruby-sidekiq
fi
if [ -n "$peers" ] && wants postgres "$@"; then
    brought 'graphile-worker, pg-boss' packages_for_server postgres
fi

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
