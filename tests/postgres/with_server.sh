#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A program with a private Postgres:  sh tests/postgres/with_server.sh [--pooled] PROGRAM [ARGUMENT...]
#
# The address is in JOBQ_TEST_POSTGRES; where it is set before, that server is used and none is started. With --pooled a
# PgBouncer in transaction mode stands in between, and its address is in JOBQ_TEST_POSTGRES_VIA. Ends as the program does;
# a server that cannot be started is a failure.

set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"

pooled=
if [ "$1" = --pooled ]; then
    pooled=1
    shift
fi

# It refuses root, as Postgres does, and has its home among the administrator's programs.
start_pooler() {
    _pooler=$(PATH=$PATH:/usr/sbin:/sbin command -v pgbouncer) || die 1 'pgbouncer is not installed (package pgbouncer)'
    private_dir
    _folder=$PRIVATE/pool
    mkdir -m 755 "$_folder" || die 1 "cannot make $_folder"
    _host=$(printf '%s\n' "$JOBQ_TEST_POSTGRES" | sed 's/.*[?&]host=\([^&]*\).*/\1/')
    _user=$(printf '%s\n' "$JOBQ_TEST_POSTGRES" | sed 's/.*[?&]user=\([^&]*\).*/\1/')
    cat >"$_folder/ini" <<EOF_INI
[databases]
* = host=$_host
[pgbouncer]
listen_addr =
unix_socket_dir = $_folder
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 100
server_idle_timeout = 5
logfile = $_folder/log
EOF_INI
    sed -i "s/^\\* = host=.*/& user=$_user/" "$_folder/ini"
    if [ "$(id -u)" -eq 0 ]; then
        chown -R postgres "$_folder"
        spawn "$_folder/out" runuser -u postgres -- "$_pooler" "$_folder/ini"
    else
        spawn "$_folder/out" "$_pooler" "$_folder/ini"
    fi
    wait_until 10 test -S "$_folder/.s.PGSQL.6432" || _server_failed PgBouncer "$_folder/out"
    JOBQ_TEST_POSTGRES_VIA="postgres:///postgres?host=$_folder&port=6432&user=$_user"
    export JOBQ_TEST_POSTGRES_VIA
}

# Its words are the program's alone: the test's output is read by another program.
start_postgres max_connections=100 1>&2
if [ -n "$pooled" ]; then
    start_pooler 1>&2
fi
# In the background, so that a signal to this script is heard while the program runs.
"$@" &
program=$!
_spawned="$program $_spawned"
wait "$program"
status=$?
exit "$status"
