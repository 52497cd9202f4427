# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What the scripts of this tree share: say what happens, install what is missing, start private servers,
# stop on the way out exactly what was started. POSIX sh; sourced, never run:
#
#     ROOT=$(cd "$(dirname "$0")/.." && pwd)      # the top of the checkout
#     . "$ROOT/tests/lib.sh"
#
# After that the script has a trap on EXIT, INT, TERM and HUP. It registers its own clean-up with at_exit and
# sets no trap of its own. Nothing here reads stdin, and no process is ever stopped by its name.
#
#   talking      say, warn, die, step, minutes
#   leaving      at_exit, spawn, stop_pid, alive, wait_until
#   installing   need, need_build, need_tests, need_service, need_media, need_browser, need_redis, need_postgres,
#                need_pooler, install_missing, browser_tools, know_packages
#   building     build_tree, rebuild_tree
#   servers      files_in_memory, private_dir, start_redis, start_postgres
#   stores       is_store, need_store, use_store

: "${ROOT:?set ROOT to the top of the checkout before sourcing tests/lib.sh}"

# --- talking ---------------------------------------------------------------------------------------------

say() {
    printf '%s\n' "$*"
}

warn() {
    printf '%s\n' "$*" >&2
}

# die STATUS TEXT: the text goes to stderr, the script ends with STATUS.
die() {
    _status=$1
    shift
    warn "$*"
    exit "$_status"
}

now_s() {
    date +%s
}

# minutes SECONDS: 7 -> 0:07, 127 -> 2:07
minutes() {
    printf '%d:%02d' $(($1 / 60)) $(($1 % 60))
}

# step LOG NAME COMMAND...: runs COMMAND with its output in LOG, then prints one line with NAME, what came of
# it and the minutes it took. On failure the end of the log is shown. Returns what the command returned. A
# signal that ends the script ends the command first.
step() {
    _log=$1 _name=$2
    shift 2
    _began=$(now_s)
    "$@" >"$_log" 2>&1 </dev/null &
    _step_pid=$!
    _rc=0
    wait "$_step_pid" || _rc=$?
    _step_pid=
    _took=$(minutes $(($(now_s) - _began)))
    if [ "$_rc" -eq 0 ]; then
        printf '  ok      %-44s %6s\n' "$_name" "$_took"
    else
        # In one write, so that two lanes do not mix their lines.
        _end=$(tail -n "${STEP_TAIL:-40}" "$_log" | sed 's/^/    | /')
        printf '  FAILED  %-44s %6s   (status %d, %s)\n%s' "$_name" "$_took" "$_rc" "$_log" "${_end:+$_end
}"
    fi
    return "$_rc"
}

# --- leaving ---------------------------------------------------------------------------------------------

_at_exit=
_spawned=
_step_pid=

# at_exit COMMAND: a line of shell to run when the script ends for whatever reason; the last one given runs
# first.
at_exit() {
    _at_exit="$1
$_at_exit"
}

_leave() {
    _leave_status=$?
    trap '' INT TERM HUP
    trap - EXIT
    set +e
    if [ -n "$_step_pid" ]; then
        stop_pid "$_step_pid"
    fi
    for _pid in $_spawned; do
        stop_pid "$_pid" TERM 30
    done
    eval "$_at_exit"
    exit "$_leave_status"
}

trap _leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# alive PID: whether this process still runs; one that only waits to be reaped does not.
alive() {
    kill -0 "$1" 2>/dev/null || return 1
    if [ -r "/proc/$1/stat" ]; then
        case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) in
        Z* | X* | '') return 1 ;;
        esac
    fi
    return 0
}

# wait_until SECONDS COMMAND...: runs COMMAND again and again until it succeeds; 1 when the time is over.
wait_until() {
    _turns=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        _turns=$((_turns - 1))
        [ "$_turns" -gt 0 ] || return 1
        sleep 0.05
    done
}

_gone() {
    ! alive "$1"
}

# spawn LOG COMMAND...: starts COMMAND in the background with its output in LOG; its id is then in
# $SPAWNED, and it is stopped when the script ends, if stop_pid was not called before.
spawn() {
    _log=$1
    shift
    "$@" >>"$_log" 2>&1 </dev/null &
    SPAWNED=$!
    _spawned="$SPAWNED $_spawned"
}

# spawn_lane FUNCTION [ARGUMENT...]: runs a function of the script beside it, with the same care for what it
# starts: when the script ends, the lane ends its own things first. Its id is in $SPAWNED.
spawn_lane() {
    # What a lane starts is its own: these lists are meant to part ways.
    # shellcheck disable=SC2030,SC2031
    (
        _at_exit='' _spawned='' _step_pid=''
        trap _leave EXIT
        trap 'exit 143' TERM
        "$@"
    ) </dev/null &
    SPAWNED=$!
    # shellcheck disable=SC2031
    _spawned="$SPAWNED $_spawned"
}

# stop_pid PID [SIGNAL [SECONDS]]: asks with SIGNAL (TERM), waits up to SECONDS (10), then KILL. The process
# must be one that this script started. Succeeds also when it is gone already.
stop_pid() {
    _kept=
    for _each in $_spawned; do
        [ "$_each" = "$1" ] || _kept="$_kept $_each"
    done
    _spawned=$_kept
    if alive "$1"; then
        kill -s "${2:-TERM}" "$1" 2>/dev/null || :
        if ! wait_until "${3:-10}" _gone "$1"; then
            kill -s KILL "$1" 2>/dev/null || :
            wait_until 5 _gone "$1" || :
        fi
    fi
    wait "$1" 2>/dev/null || :
}

# --- installing ------------------------------------------------------------------------------------------
#
# A need is a capability and the Debian package that brings it. What is asked is always whether the thing
# works here, never which distribution this is. Kinds of capability:
#
#   cmd:NAME       a command on the PATH
#   pc:MODULES     pkg-config knows them, with versions as it takes them: 'pc:sqlite3 >= 3.37'
#   file:PATTERN   a file that matches the pattern is there
#   header:NAME    the C compiler finds this header
#   py:MODULE      /usr/bin/python3 can import it

_missing=
_missing_what=

have() {
    case $1 in
    cmd:*)
        command -v "${1#cmd:}" >/dev/null 2>&1
        ;;
    pc:*)
        pkg-config --exists "${1#pc:}" >/dev/null 2>&1
        ;;
    file:*)
        _have_file "${1#file:}"
        ;;
    header:*)
        printf '#include <%s>\n' "${1#header:}" | ${CC:-cc} -E -x c - >/dev/null 2>&1
        ;;
    py:*)
        /usr/bin/python3 -c "import ${1#py:}" >/dev/null 2>&1 </dev/null
        ;;
    *)
        die 2 "have: unknown kind of capability: $1"
        ;;
    esac
}

_have_file() {
    # The pattern is meant to be expanded here.
    # shellcheck disable=SC2086
    set -- $1
    [ -e "$1" ]
}

# need CAPABILITY PACKAGE: remembers PACKAGE for install_missing when the capability is not there.
need() {
    if have "$1"; then
        return 0
    fi
    _missing_what="$_missing_what$1	$2
"
    case " $_missing " in
    *" $2 "*) ;;
    *) _missing="${_missing:+$_missing }$2" ;;
    esac
}

# The library, the command and the SQLite store.
need_build() {
    need cmd:cc gcc
    need header:stdlib.h libc6-dev
    need cmd:meson meson
    need cmd:ninja ninja-build
    need cmd:pkg-config pkgconf
    need 'pc:sqlite3 >= 3.37' libsqlite3-dev
}

# What the tests need beyond that: the C++ compiler proves the headers.
need_tests() {
    need cmd:c++ g++
    need cmd:git git
    need cmd:readelf binutils
    need cmd:spin spin
    need 'pc:check >= 0.10' check
}

# What jobq-video is built from.
need_service() {
    need pc:libmicrohttpd libmicrohttpd-dev
    need pc:libcurl libcurl4-openssl-dev
    need 'pc:jansson >= 2.7' libjansson-dev
    need pc:libcrypto libssl-dev
}

# What jobq-video looks at pictures and listens to speech with. The decoder is linked where its library is there
# when it is built, otherwise run as a program; one of the two is enough.
need_media() {
    need cmd:ffmpeg ffmpeg
    have cmd:pocketsphinx_continuous || need pc:pocketsphinx libpocketsphinx-dev
    need 'file:/usr/share/pocketsphinx/model/en-us/en-us' pocketsphinx-en-us
    need py:cv2 python3-opencv
    need 'file:/usr/share/opencv*/haarcascades' opencv-data
}

# What receives mail in the tests and the demonstration of jobq-tenants.
need_mailbox() {
    need py:aiosmtpd python3-aiosmtpd
}

# What the dashboard's page is looked at with; the driver of the browser comes from npm, see browser_tools.
need_browser() {
    need cmd:chromium chromium
    need cmd:npm npm
    need cmd:curl curl
}

# browser_tools FOLDER: puts the driver there, and a node when the system's is older than 22; does nothing when they are
# there. Exports JOBQ_PLAYWRIGHT.
browser_tools() {
    JOBQ_PLAYWRIGHT=$1
    export JOBQ_PLAYWRIGHT
    _wanted=playwright-core@1.65.1
    case $(node --version 2>/dev/null) in
    v2[2-9].* | v[3-9]?.*) ;;
    *) _wanted="$_wanted node@22" ;;
    esac
    if [ "$(cat "$1/wanted" 2>/dev/null)" = "$_wanted" ]; then
        return 0
    fi
    mkdir -p "$1" || return 1
    # The names are words.
    # shellcheck disable=SC2086
    npm install --prefix "$1" --no-save --no-fund --no-audit --loglevel=error $_wanted </dev/null >&2 &&
        echo "$_wanted" >"$1/wanted"
}

need_redis() {
    need pc:hiredis libhiredis-dev
    if ! have cmd:valkey-server; then
        need cmd:redis-server redis-server
    fi
}

need_postgres() {
    need 'pc:libpq >= 14' libpq-dev
    if ! _pg_bin >/dev/null; then
        need 'file:/usr/lib/postgresql/*/bin/initdb' postgresql
    fi
}

# What the tests of the Postgres store need beyond the server. Debian puts it where only root's PATH leads.
need_pooler() {
    have cmd:pgbouncer || need file:/usr/sbin/pgbouncer pgbouncer
}

# The same packages elsewhere, for people without apt: dnf, apk, pacman.
_names_elsewhere() {
    cat <<'TABLE'
gcc                  gcc                    gcc                 gcc
libc6-dev            glibc-devel            musl-dev            glibc
meson                meson                  meson               meson
ninja-build          ninja-build            samurai             ninja
pkgconf              pkgconf-pkg-config     pkgconf             pkgconf
libsqlite3-dev       sqlite-devel           sqlite-dev          sqlite
g++                  gcc-c++                g++                 gcc
git                  git                    git                 git
binutils             binutils               binutils            binutils
check                check-devel            check-dev           check
libmicrohttpd-dev    libmicrohttpd-devel    libmicrohttpd-dev   libmicrohttpd
libcurl4-openssl-dev libcurl-devel          curl-dev            curl
libjansson-dev       jansson-devel          jansson-dev         jansson
ffmpeg               ffmpeg-free            ffmpeg              ffmpeg
libssl-dev           openssl-devel          openssl-dev         openssl
libpocketsphinx-dev  pocketsphinx-devel     pocketsphinx-dev    pocketsphinx
pocketsphinx-en-us   pocketsphinx-models    pocketsphinx        pocketsphinx
python3-opencv       python3-opencv         py3-opencv          python-opencv
opencv-data          opencv-data            opencv              opencv
libhiredis-dev       hiredis-devel          hiredis-dev         hiredis
redis-server         valkey                 valkey              valkey
libpq-dev            libpq-devel            libpq-dev           postgresql-libs
postgresql           postgresql-server      postgresql          postgresql
pgbouncer            pgbouncer              pgbouncer           pgbouncer
TABLE
}

# _named_in COLUMN: the missing packages under the name of that column; unknown ones keep Debian's.
_named_in() {
    for _package in $_missing; do
        _names_elsewhere | awk -v p="$_package" -v c="$1" '
            $1 == p { name = $c }
            END { printf "%s ", (name == "" ? p : name) }'
    done
}

_without_apt() {
    warn 'Missing here:'
    printf '%s' "$_missing_what" | sed 's/^/  /' >&2
    warn 'There is no apt-get on this machine. Please install (names as far as they are known):'
    warn "  dnf install $(_named_in 2)"
    warn "  apk add $(_named_in 3)"
    warn "  pacman -S $(_named_in 4)"
    exit 3
}

# as_root_prefix: how a command becomes root here: nothing, 'sudo -n' or 'sudo'; 1 when there is no way.
_as_root_prefix() {
    if [ "$(id -u)" -eq 0 ]; then
        return 0
    elif ! command -v sudo >/dev/null 2>&1; then
        return 1
    elif sudo -n true 2>/dev/null; then
        echo 'sudo -n'
    elif [ -r /dev/tty ] && (: </dev/tty) 2>/dev/null; then
        echo sudo
    else
        return 1
    fi
}

# Runs as root, apt-get's arguments as its own. While packages are unpacked a policy file keeps servers that
# come with them from being started: the tests run their own. It is only put where there is none (one left
# behind by a run that was killed is ours to take over), and goes away again also on a signal. Units of
# servers that were not there before are not started at the next boot either.
# shellcheck disable=SC2016
_apt_script='
policy=/usr/sbin/policy-rc.d
mark="# put here by libjobq, process"
owner=$(sed -n "s/^$mark //p" "$policy" 2>/dev/null)
if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
    rm -f "$policy"
fi
remove() {
    if [ "$(sed -n "s/^$mark //p" "$policy" 2>/dev/null)" = "$$" ]; then
        rm -f "$policy"
    fi
}
trap remove EXIT
trap "exit 130" INT
trap "exit 143" TERM
trap "exit 129" HUP
if [ ! -e "$policy" ] && [ ! -L "$policy" ]; then
    (umask 022; set -C; printf "#!/bin/sh\n%s %s\nexit 101\n" "$mark" "$$" >"$policy") && chmod 755 "$policy"
fi
there=" "
for unit in redis-server postgresql valkey-server pgbouncer; do
    [ -e "/lib/systemd/system/$unit.service" ] && there="$there$unit "
done
export DEBIAN_FRONTEND=noninteractive
apt-get -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
status=$?
if [ -d /run/systemd/system ]; then
    for unit in redis-server postgresql valkey-server pgbouncer; do
        case $there in
        *" $unit "*) ;;
        *) [ ! -e "/lib/systemd/system/$unit.service" ] || systemctl -q disable "$unit.service" || true ;;
        esac
    done
fi
exit $status
'

_apt() {
    # The prefix is one or two words.
    # shellcheck disable=SC2086
    $_root_prefix sh -c "$_apt_script" apt-get "$@" </dev/null
}

# Prints what apt would do, without doing anything; fails when it does not know a package.
_apt_plan() {
    # shellcheck disable=SC2086
    LC_ALL=C apt-get --print-uris --no-install-recommends -y install $_missing 2>&1
}

_say_plan() {
    say "Missing here: $_missing"
    printf '%s\n' "$1" | awk '
        /newly installed/           { sub(/,? [0-9]+ to remove.*/, ""); print "  " $0 }
        /^Need to get|^After this/  { print "  " $0 }'
}

# install_missing: one step for everything that was needed and is not there. Does nothing, asks for nothing
# and needs no rights when nothing is missing. Ends the script with status 3, and with the line a person
# would have to type, when it cannot help.
install_missing() {
    if [ -z "$_missing" ]; then
        return 0
    fi
    command -v apt-get >/dev/null 2>&1 || _without_apt
    _line="apt-get install --no-install-recommends $_missing"
    if ! _root_prefix=$(_as_root_prefix); then
        _say_plan "$(_apt_plan)"
        die 3 "This needs root and there is no sudo that works here. Please run as root:  $_line"
    fi
    if ! _plan=$(_apt_plan); then
        say 'apt does not know all that is missing here; fetching its package lists (about 16 MB) ...'
        _apt -qq update || die 3 "apt-get update failed. Needed:  $_line"
        _plan=$(_apt_plan) || die 3 "$_plan
apt does not have all of them. Needed:  $_line"
    fi
    _say_plan "$_plan"
    _began=$(now_s)
    # Lists that are old name files that are gone: then, and only then, fetch them and try again.
    # shellcheck disable=SC2086
    if ! _apt -qq install $_missing >"${_apt_log:=$(mktemp)}" 2>&1; then
        say '  that did not work; with fresh package lists once more ...'
        _apt -qq update >>"$_apt_log" 2>&1
        # shellcheck disable=SC2086
        if ! _apt -qq install $_missing >>"$_apt_log" 2>&1; then
            tail -n 20 "$_apt_log" >&2
            die 3 "The installation failed ($_apt_log). Needed:  $_line"
        fi
    fi
    rm -f "$_apt_log"
    say "  installed in $(minutes $(($(now_s) - _began)))"
    _check_again
}

# know_packages PACKAGE...: makes apt know them, for scripts that take a file out of a package without
# installing it. Fetches the package lists only when apt has never heard of one of them; does nothing without apt.
know_packages() {
    command -v apt-cache >/dev/null 2>&1 || return 0
    for _package in "$@"; do
        if [ -z "$(apt-cache show "$_package" 2>/dev/null)" ]; then
            _root_prefix=$(_as_root_prefix) || die 3 'apt has no package lists. Please run as root:  apt-get update'
            say 'fetching the package lists (about 16 MB) ...'
            _apt -qq update || die 3 'apt-get update failed'
            return 0
        fi
    done
}

_check_again() {
    _still=
    while IFS='	' read -r _capability _package; do
        [ -z "$_capability" ] || have "$_capability" || _still="$_still  $_capability ($_package)
"
    done <<EOF_MISSING
$_missing_what
EOF_MISSING
    _missing='' _missing_what=''
    [ -z "$_still" ] || die 3 "Installed, and still not there:
$_still"
}

# --- building --------------------------------------------------------------------------------------------

# build_tree DIRECTORY [OPTION...]: builds the tree in DIRECTORY, configured with OPTION... when that was not
# done yet. Says nothing when there is nothing to do; otherwise one line for each step, and the end of the log
# when one fails. Returns 1 then. Of several scripts at once the others wait. With $TARGETS only those are built.
build_tree() {
    _tree=$1
    shift
    mkdir -p "$_tree" || return 1
    _alone_in "$_tree" _build "$@"
}

# rebuild_tree DIRECTORY OPTION...: the same for a tree that is there, with these options changed.
rebuild_tree() {
    _tree=$1
    shift
    _alone_in "$_tree" _build_changed "$@"
}

# The targets are words on purpose.
# shellcheck disable=SC2086
_build() {
    if [ ! -f "$_tree/build.ninja" ]; then
        step "$_tree/configure.log" configure meson setup "$@" "$_tree" "$ROOT" || return 1
    elif ninja -C "$_tree" -n ${TARGETS:-} 2>/dev/null | grep -q 'no work to do'; then
        return 0
    fi
    step "$_tree/build.log" build ninja -C "$_tree" ${TARGETS:-}
}

_build_changed() {
    step "$_tree/configure.log" "configure with $*" meson setup --reconfigure "$@" "$_tree" "$ROOT" &&
        step "$_tree/build.log" build ninja -C "$_tree"
}

# _alone_in DIRECTORY COMMAND...: runs COMMAND while no other script does so in DIRECTORY. The lock is the kernel's: it
# goes with the process, however that ends.
_alone_in() {
    exec 9>"$1/in-use" || return 1
    if command -v flock >/dev/null 2>&1 && ! flock -n 9; then
        say "  another run builds in $1; waiting for it ..."
        flock 9
    fi
    shift
    _alone_rc=0
    "$@" || _alone_rc=$?
    exec 9>&-
    return "$_alone_rc"
}

# --- servers ---------------------------------------------------------------------------------------------
#
# Private ones: on a unix socket in a folder of their own, on no port, without any file of the machine's own
# servers. JOBQ_TEST_REDIS and JOBQ_TEST_POSTGRES hold the addresses afterwards; where they are set before,
# those are used and nothing is started.

_private_dir=

# files_in_memory: temporary files and the servers' folders are made in memory where there is room for them. What the tests
# ask is what is kept, not how safely; on a disk the machine would spend more time on the files than on the tests.
files_in_memory() {
    _free=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
    if [ -w /dev/shm ] && [ "${_free:-0}" -ge 2097152 ]; then
        TMPDIR=/dev/shm
        export TMPDIR
    fi
}

# private_dir: makes a folder of this run, once, and leaves its name in $PRIVATE. It is short, because a
# socket's path may have about 100 bytes. It goes away at the end unless KEEP is set.
private_dir() {
    if [ -n "$_private_dir" ]; then
        return 0
    fi
    # Postgres runs as another user and has to get through: not below a folder of one user's own.
    case ${TMPDIR:-} in
    /dev/shm) _base=/dev/shm ;;
    *) _base=/tmp ;;
    esac
    _private_dir=$(mktemp -d "$_base/jq.XXXXXX") || die 1 "cannot make a folder under $_base"
    chmod 711 "$_private_dir"
    PRIVATE=$_private_dir
    at_exit '_remove_private_dir'
}

_remove_private_dir() {
    if [ -n "${KEEP:-}" ]; then
        say "kept: $_private_dir"
    else
        rm -rf "$_private_dir"
    fi
}

# start_redis [ARGUMENT...]: a private Redis or Valkey; arguments are added to its command line. Sets
# JOBQ_TEST_REDIS, REDIS_SOCKET and REDIS_PID.
# shellcheck disable=SC2120
start_redis() {
    if [ -n "${JOBQ_TEST_REDIS:-}" ]; then
        return 0
    fi
    private_dir
    _server=$(command -v valkey-server || command -v redis-server) || die 3 'no redis-server, no valkey-server'
    mkdir -m 700 "$PRIVATE/redis"
    REDIS_SOCKET=$PRIVATE/redis/s
    spawn "$PRIVATE/redis/log" "$_server" --port 0 --unixsocket "$REDIS_SOCKET" --unixsocketperm 700 \
        --dir "$PRIVATE/redis" --save '' --appendonly no --daemonize no "$@"
    REDIS_PID=$SPAWNED
    wait_until 20 _redis_ready || _server_failed Redis "$PRIVATE/redis/log"
    JOBQ_TEST_REDIS=redis+unix://$REDIS_SOCKET
    export JOBQ_TEST_REDIS REDIS_SOCKET
}

# Its own client comes with it; without one a socket that exists and a process that lives must do.
_redis_ready() {
    alive "$REDIS_PID" && [ -S "$REDIS_SOCKET" ] || return 1
    _cli=$(command -v valkey-cli || command -v redis-cli) || return 0
    [ "$("$_cli" -s "$REDIS_SOCKET" ping 2>/dev/null)" = PONG ]
}

_server_failed() {
    tail -n 20 "$2" >&2
    die 1 "$1 did not start"
}

# The folder of initdb and postgres, the newest there is; Debian does not put it on the PATH.
_pg_bin() {
    if command -v initdb >/dev/null 2>&1 && command -v pg_ctl >/dev/null 2>&1; then
        dirname "$(command -v initdb)"
        return 0
    fi
    _initdb=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
    [ -x "$_initdb" ] && dirname "$_initdb"
}

# Postgres refuses root; its package brings a user of its own.
_as_pg_user() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && exec runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

# start_postgres [SETTING=VALUE...]: a private Postgres. Sets JOBQ_TEST_POSTGRES, PGSOCKETS (the folder of
# the socket) and POSTGRES_PID.
# shellcheck disable=SC2120
start_postgres() {
    if [ -n "${JOBQ_TEST_POSTGRES:-}" ]; then
        return 0
    fi
    private_dir
    _bin=$(_pg_bin) || die 3 'no initdb'
    PGSOCKETS=$PRIVATE/pg
    mkdir -m 700 "$PGSOCKETS"
    _user=$(id -un)
    if [ "$(id -u)" -eq 0 ]; then
        _user=postgres
        chown postgres "$PGSOCKETS" || die 3 'no user named postgres to run the server as'
    fi
    _as_pg_user "$_bin/initdb" -D "$PGSOCKETS/data" -U "$_user" -A trust --no-sync --locale=C -E UTF8 \
        >"$PRIVATE/pg.log" 2>&1 || _server_failed initdb "$PRIVATE/pg.log"
    {
        echo "listen_addresses = ''"
        echo "unix_socket_directories = '$PGSOCKETS'"
        echo 'fsync = off'
        for _setting in "$@"; do
            echo "${_setting%%=*} = '${_setting#*=}'"
        done
    } >>"$PGSOCKETS/data/postgresql.conf"
    at_exit '_stop_postgres'
    _as_pg_user "$_bin/pg_ctl" -D "$PGSOCKETS/data" -l "$PGSOCKETS/log" -w -t 30 start \
        >>"$PRIVATE/pg.log" 2>&1 || _server_failed Postgres "$PGSOCKETS/log"
    POSTGRES_PID=$(sed -n 1p "$PGSOCKETS/data/postmaster.pid")
    JOBQ_TEST_POSTGRES="postgres:///postgres?host=$PGSOCKETS&user=$_user"
    export JOBQ_TEST_POSTGRES PGSOCKETS
}

# Also right when the script is ended while the server is still starting: its id is in its folder by then.
_stop_postgres() {
    _pg_pid=${POSTGRES_PID:-$(sed -n 1p "$PGSOCKETS/data/postmaster.pid" 2>/dev/null)}
    if [ -n "$_pg_pid" ]; then
        stop_pid "$_pg_pid" INT
    fi
}

# --- stores ----------------------------------------------------------------------------------------------
#
# A script that works on any store takes one word for it: sqlite, redis, postgres, or a URI.

is_store() {
    case $1 in
    sqlite | redis | postgres | *:*) return 0 ;;
    *) return 1 ;;
    esac
}

# need_store STORE: what it takes beyond need_build.
need_store() {
    case $1 in
    redis) need_redis ;;
    postgres) need_postgres ;;
    esac
}

# _in_namespace URI NAME: the URI with that namespace, unless it names one.
_in_namespace() {
    case $1 in
    *[?\&]namespace=*) printf '%s\n' "$1" ;;
    *[?]*) printf '%s\n' "$1&namespace=$2" ;;
    *) printf '%s\n' "$1?namespace=$2" ;;
    esac
}

# use_store STORE NAME: leaves the URI of an empty one in $JOBQ_STORE: a file below $PRIVATE, a namespace of a
# private server (or of that in JOBQ_TEST_REDIS, JOBQ_TEST_POSTGRES), a namespace of what the URI names. $JOBQ
# must be able to talk to it.
# shellcheck disable=SC2119
use_store() {
    private_dir
    case $1 in
    sqlite | redis | postgres)
        "$JOBQ" version --json | grep -q "\"$1\"" || die 4 "the $1 store is not built into $JOBQ"
        ;;
    esac
    case $1 in
    sqlite) JOBQ_STORE=sqlite:$PRIVATE/$2.db ;;
    redis)
        start_redis
        JOBQ_STORE=$(_in_namespace "$JOBQ_TEST_REDIS" "${2}_$$")
        ;;
    postgres)
        start_postgres
        JOBQ_STORE=$(_in_namespace "$JOBQ_TEST_POSTGRES" "${2}_$$")
        ;;
    *) JOBQ_STORE=$(_in_namespace "$1" "${2}_$$") ;;
    esac
    export JOBQ_STORE
}
