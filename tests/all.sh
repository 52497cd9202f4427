#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every test, from nothing:  sh tests/all.sh [--full] [--only PART]... [--list] [--keep]
#
#   --full       the tests that have larger amounts use them (JOBQ_TEST_FULL=1), those run that are left out otherwise, and
#                the plain part runs all of them
#   --only PART  plain, clang, asan or tsan; may be given several times
#   --list       build and run nothing: print which part would run which tests, and whether one is in none of them
#   --keep       leave the private servers' folder for a look
#
# Installs what is missing (says what and how large before; nothing at all when nothing is missing), builds
# below build-all/ or $JOBQ_BUILD_ROOT, and runs in two lanes side by side:
#
#   plain   gcc, warnings as errors; what asan does not run, and what says something else in a plain build. Every test when
#           asan is not among the parts
#   clang   the same warnings under the other compiler
#   asan    address and undefined-behaviour sanitizer; what runs our own C
#   tsan    thread sanitizer; the suite of what starts threads
#
# A test that ran in neither plain nor asan is a failure. Ends with one line "N passed, N failed, N skipped" over all
# parts, and with 0 only if none failed.
# 0 all passed, 1 something failed, 2 usage, 3 something is missing and cannot be installed from here.

set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"
cd "$ROOT" || exit 1

PARTS='' LIST=''
while [ $# -gt 0 ]; do
    case $1 in
    --full) export JOBQ_TEST_FULL=1 ;;
    --list) LIST=1 ;;
    --keep) KEEP=1 ;;
    --only)
        case ${2:-} in
        plain | clang | asan | tsan) PARTS="$PARTS $2" ;;
        *) die 2 'all.sh: --only takes plain, clang, asan or tsan' ;;
        esac
        shift
        ;;
    -h | --help)
        sed -n '4,/^$/s/^#\( \|$\)//p' "$0"
        exit 0
        ;;
    *) die 2 "all.sh: unknown argument '$1' (see --help)" ;;
    esac
    shift
done
PARTS=${PARTS:-plain clang asan tsan}
BUILD=${JOBQ_BUILD_ROOT:-$ROOT/build-all}
JOBS=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
began=$(now_s)

# Our own tree is free of warnings; for others they stay warnings. Not under a sanitizer: what it adds to the code
# makes gcc warn of things that nobody wrote. What a debugger wants is not made where nobody looks at it.
STRICT='-Dwerror=true -Doptimization=2 -Ddebug=false'
SANITIZED='-Dwerror=false -Dbuildtype=debug -Doptimization=g -Dc_args=-g1 -Db_lundef=false'

# Where a test runs is said by its suites. Those of these a sanitized build does not run: they drive installed programs, other
# compilers or media tools, read documents, or say the same to a store that others say faster (slow).
UNSANITIZED='plain slow browser packaging media demo docs bench'

# Of all others the plain build runs on an ordinary day only what says something else there: bounds of memory and of what a
# process may use, numbers that a sanitizer would take too long for.
IN_BOTH=both

wanted() {
    case " $PARTS " in
    *" $1 "*) return 0 ;;
    *) return 1 ;;
    esac
}

# each SWITCH WORD...: the switch before each word.
each() {
    _switch=$1
    shift
    for _word in "$@"; do
        printf ' %s %s' "$_switch" "$_word"
    done
}

# selection PART: the switches of meson that choose what it runs.
selection() {
    _everyday=
    if [ -z "${JOBQ_TEST_FULL:-}" ]; then
        _everyday='--no-suite full'
    fi
    # The suites are words on purpose.
    # shellcheck disable=SC2086
    case $1 in
    plain)
        if [ -n "$_everyday" ] && wanted asan; then
            _everyday="$_everyday$(each --suite $UNSANITIZED $IN_BOTH)"
        fi
        echo "$_everyday"
        ;;
    asan) echo "$_everyday$(each --no-suite $UNSANITIZED)" ;;
    # The programs add no threads of their own to what the worker's suite has. The servers' stores are not among them.
    tsan) echo "$_everyday$(each --no-suite $UNSANITIZED)$(each --suite threads)" ;;
    esac
}

# --- what is needed ----------------------------------------------------------------------------------------

need_all() {
    need_build
    need_tests
    need cmd:shellcheck shellcheck
    need cmd:groff groff-base
    if wanted clang; then
        need cmd:clang clang
    fi
    if [ -f examples/video/meson.build ]; then
        need_service
        need_media
        need_mailbox
        need_browser
    fi
    if [ -f backends/redis/meson.build ]; then
        need_redis
    fi
    if [ -f backends/postgres/meson.build ]; then
        need_postgres
        need_pooler
        need cmd:openssl openssl
    fi
}

# They take no arguments of this script.
# shellcheck disable=SC2119
start_servers() {
    if [ -f backends/redis/meson.build ]; then
        start_redis
    fi
    if [ -f backends/postgres/meson.build ]; then
        start_postgres
    fi
}

# --- the parts ---------------------------------------------------------------------------------------------

# configure DIRECTORY OPTION...: anew when it is not there or does not take the options any more.
configure() {
    _dir=$1
    shift
    if [ -f "$_dir/build.ninja" ]; then
        meson setup --reconfigure "$@" "$_dir" "$ROOT" && return 0
        rm -rf "$_dir"
    fi
    meson setup "$@" "$_dir" "$ROOT"
}

# configure_part NAME OPTION...: below $BUILD/NAME. What failed is kept for the tally.
configure_part() {
    _part=$1
    shift
    step "$BUILD/$_part.configure.log" "$_part: configure" configure "$BUILD/$_part" "$@" && return 0
    : >"$BUILD/$_part.broken"
    return 1
}

# build_part NAME OPTION...: configures and builds all of it.
build_part() {
    configure_part "$@" || return 1
    step "$BUILD/$1.build.log" "$1: build" ninja -j "$JOBS" -C "$BUILD/$1" && return 0
    : >"$BUILD/$1.broken"
    return 1
}

# test_part NAME PROCESSES ARGUMENT...: runs its selection, and builds what they need where that is not done. A program started
# in the background of a shell finds SIGINT ignored; the tests are to find what a person's programs find. What failed is
# told at the end.
test_part() {
    _part=$1 _processes=$2
    shift 2
    # The switches are words on purpose.
    # shellcheck disable=SC2046
    STEP_TAIL=0 step "$BUILD/$_part.test.log" "$_part: test" \
        env --default-signal=INT,QUIT meson test -C "$BUILD/$_part" \
        --num-processes "$_processes" $(selection "$_part") "$@"
}

# with_options FUNCTION PART: calls it with the part, its options and its compiler.
# The switches are words on purpose.
# shellcheck disable=SC2086
with_options() {
    case $2 in
    plain) CC=gcc "$@" $STRICT -Ddefault_library=both ;;
    clang) CC=clang "$@" $STRICT -Doptimization=0 ;; # it is only read; its warnings do not depend on it
    asan) CC=gcc "$@" $SANITIZED -Db_sanitize=address,undefined ;;
    tsan) CC=gcc "$@" $SANITIZED -Dexamples=false -Dpostgres=disabled -Dredis=disabled -Db_sanitize=thread ;;
    esac
}

lane_plain() {
    if wanted plain && with_options build_part plain; then
        test_part plain $((JOBS + 2)) # many of them wait, and there are twice as many as sanitized ones
    fi
}

lane_sanitized() {
    if wanted asan && with_options build_part asan; then
        ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:strict_string_checks=1:detect_stack_use_after_return=1 \
            UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
            test_part asan "$JOBS" --timeout-multiplier 5
    fi
    if wanted clang; then
        with_options build_part clang
    fi
    if wanted tsan && with_options configure_part tsan; then
        TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 \
            test_part tsan "$JOBS" --timeout-multiplier 10
    fi
}

# What each part would run, in $BUILD/PART.list.
list_parts() {
    for _part in $PARTS; do
        case $_part in clang) continue ;; esac
        with_options configure_part "$_part" || return 1
        # The switches are words on purpose.
        # shellcheck disable=SC2046
        meson test -C "$BUILD/$_part" --no-rebuild --list $(selection "$_part") >"$BUILD/$_part.list" || return 1
    done
}

# --- run ---------------------------------------------------------------------------------------------------

need_all
install_missing
mkdir -p "$BUILD" || exit 1
rm -f "$BUILD"/*.broken "$BUILD"/*/meson-logs/testlog.json
say "libjobq: ${PARTS# }, in $BUILD"
if [ -n "$LIST" ]; then
    # shellcheck disable=SC2086
    list_parts && python3 "$ROOT/tests/tally.py" --list "$BUILD" $PARTS
    exit
fi
if [ -f examples/video/meson.build ]; then
    browser_tools "$BUILD/browser" || die 3 'npm could not fetch playwright-core (and node 22), which drives the browser'
fi
files_in_memory
start_servers

spawn_lane lane_plain
first=$SPAWNED
spawn_lane lane_sanitized
second=$SPAWNED
wait "$first"
wait "$second"

say "  all parts together: $(minutes $(($(now_s) - began))) minutes"
# shellcheck disable=SC2086
python3 "$ROOT/tests/tally.py" "$BUILD" $PARTS
