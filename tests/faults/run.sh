#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Faults that are counted one by one, in the promised amounts:  sh tests/faults/run.sh [--quick] [--seed N] [WHAT]...
#
#   WHAT     points      a process stops at the n-th call, statement, packet, file operation of each operation  1,500 at least
#            alloc       the n-th allocation of each public call fails                                           5,000
#            io          the n-th file operation of SQLite fails                                                 3,000
#            power       what the disk may hold after a power failure                                            2,000
#            simulation  seeds of the simulated world                                                           20,000
#            limits      files, descriptors, memory, a disk that is full, and other odd hosts
#            default: all, one after the other
#   --quick  what an ordinary day tries, about a fifth; the amounts are not judged
#   --seed N of what --quick leaves out
#
# Builds below build-all/faults or $JOBQ_BUILD_ROOT. Prints one line for each with what was counted; 0 if nothing was wrong and each
# amount was reached, 1 otherwise, 2 usage, 3 something is missing and cannot be installed from here.

# Functions are called by name.
# shellcheck disable=SC2317
set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"
cd "$ROOT" || exit 1

WHAT='' QUICK='' SEED=''
export JOBQ_TEST_FULL=1
while [ $# -gt 0 ]; do
    case $1 in
    points | alloc | io | power | simulation | limits) WHAT="$WHAT $1" ;;
    --quick)
        QUICK=1
        unset JOBQ_TEST_FULL
        ;;
    --seed)
        SEED="--seed ${2:-}"
        shift
        ;;
    -h | --help)
        sed -n '4,/^$/s/^#\( \|$\)//p' "$0"
        exit 0
        ;;
    *) die 2 "run.sh: unknown argument '$1' (see --help)" ;;
    esac
    shift
done
WHAT=${WHAT:-points alloc io power simulation limits}

need_build
need 'pc:check >= 0.10' check
need_redis
need_postgres
install_missing
BUILD=${JOBQ_BUILD_ROOT:-$ROOT/build-all}/faults
failed=0

# one NAME COMMAND...: a program that speaks TAP; its output is added to that of this kind.
one() {
    _name=$1
    shift
    # The seed is a word or two.
    # shellcheck disable=SC2086
    step "$BUILD/one.txt" "$_name" "$@" $SEED || failed=1
    cat "$BUILD/one.txt" >>"$BUILD/kind.txt"
}

# told LEAST PATTERN: sums up what the programs of a kind counted; PATTERN has one group, a number.
told() {
    _sum=$(sed -n "s/$2/\\1/p" "$BUILD/kind.txt" | awk '{ sum += $1 } END { print sum + 0 }')
    _wrong=$(grep -c '^not ok' "$BUILD/kind.txt")
    say "$kind=$_sum failed=$_wrong${QUICK:+ (quick)}"
    [ "$_wrong" -eq 0 ] || failed=1
    [ -n "$QUICK" ] || [ "$_sum" -ge "$1" ] || {
        warn "$kind: at least $1 were promised"
        failed=1
    }
}

build() {
    TARGETS=$* build_tree "$BUILD" --buildtype=debugoptimized -Dexamples=false || exit 1
}

points() {
    build tests/chaos/chaos-points
    _every=
    [ -n "$QUICK" ] || _every='--every 1'
    for _store in sqlite redis postgres; do
        case $_store in
        sqlite) _with=tests/chaos/points.sh _server= ;;
        redis) _with=tests/jobq/with_redis.sh _server='--server redis' ;;
        postgres) _with=tests/postgres/with_server.sh _server='--server postgres' ;;
        esac
        # shellcheck disable=SC2086
        one "points of $_store" sh "$_with" "$BUILD/tests/chaos/chaos-points" $_server $_every
    done
    told 1500 '^# points=\([0-9]*\) .*'
}

alloc() {
    _program=$BUILD/tests/faults/faults-alloc
    build tests/faults/faults-alloc
    one 'allocations, memory' "$_program" --store memory --stride 1
    one 'allocations, sqlite' "$_program" --store sqlite --stride 120
    one 'allocations, redis' sh tests/jobq/with_redis.sh "$_program" --store redis --stride 60
    one 'allocations, postgres' sh tests/postgres/with_server.sh "$_program" --store postgres --stride 240
    told 5000 '^# .*allocations failed \([0-9]*\):.*'
}

io() {
    build tests/faults/faults-io
    for _mode in full normal; do
        one "file operations, $_mode" "$BUILD/tests/faults/faults-io" --mode "$_mode" --stride 10
    done
    told 3000 '^# file operations failed \([0-9]*\):.*'
}

power() {
    build tests/faults/faults-power
    one 'power, full' "$BUILD/tests/faults/faults-power" --mode full --images 250
    one 'power, normal' "$BUILD/tests/faults/faults-power" --mode normal --images 150
    told 2000 '^# .* \([0-9]*\) images; .*'
}

simulation() {
    build tests/sim/simulation
    one 'simulation' "$BUILD/tests/sim/simulation"
    told 20000 '^ok 1 - \([0-9]*\) seeds.*'
}

limits() {
    build tests/faults/faults-host tests/faults/faults-hours
    SEED='' one 'hosts and their limits' "$BUILD/tests/faults/faults-host"
    SEED='' one 'clocks hours off, sqlite' "$BUILD/tests/faults/faults-hours" --store sqlite
    SEED='' one 'clocks hours off, redis' sh tests/jobq/with_redis.sh "$BUILD/tests/faults/faults-hours" --store redis
    SEED='' one 'clocks hours off, postgres' sh tests/postgres/with_server.sh "$BUILD/tests/faults/faults-hours" --store postgres
    told 31 '^1\.\.\([0-9]*\)$'
}

mkdir -p "$BUILD"
for kind in $WHAT; do
    : >"$BUILD/kind.txt"
    "$kind"
done
exit "$failed"
