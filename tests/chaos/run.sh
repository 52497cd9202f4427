#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Processes and servers that are shot, stopped and cut off while they work:
#
#   sh tests/chaos/run.sh [--quick | --soak HOURS] [--store S] [--seed N] [--keep] [--storms | --trials]
#
#   (no flag)     2,000 workers shot, 70 servers, 60 pauses longer than a lease, 400 lines cut, 60,000 jobs
#   --quick       a fifth of it
#   --soak HOURS  the storms again and again, each time with another seed; 0.5 is half an hour
#   --store S     sqlite, redis or postgres only
#   --seed N      of what happens to whom; which instruction a shot meets is chance
#   --keep        the logs stay, also of a run that found nothing
#   --storms      without the mistakes that the tests must find and without the points that are tried one by one
#   --trials      these alone, without storms
#
# First every point of every operation is tried (a fifth of them with --quick), and whether the tests find the sixteen mistakes
# of tests/mutants, in whatever amount; then come the storms. Each round ends with what the history checker counted; the last
# line sums it up. 0 if nothing was violated and each count reached its floor, 1 otherwise: the logs then stay where the last
# lines say. What each count means: doc/chaos.md.

set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"
cd "$ROOT" || exit 1

SCALE=1 SOAK='' ONLY='' KEEP='' STORMS='' TRIALS='' SEED=$(date +%s)
while [ $# -gt 0 ]; do
    case $1 in
    --quick) SCALE=5 ;;
    --soak | --store | --seed)
        [ $# -gt 1 ] || die 2 "run.sh: $1 wants a value"
        case $1 in
        --soak) SOAK=$2 ;;
        --store) ONLY=$2 ;;
        --seed) SEED=$2 ;;
        esac
        shift
        ;;
    --keep) KEEP=1 ;;
    --storms) STORMS=1 ;;
    --trials) TRIALS=1 ;;
    -h | --help)
        sed -n '4,/^$/s/^#\( \|$\)//p' "$0"
        exit 0
        ;;
    *) die 2 "run.sh: unknown argument '$1' (see --help)" ;;
    esac
    shift
done
case $SOAK in
*[!0-9.]*) die 2 "run.sh: --soak takes a number of hours, not '$SOAK'" ;;
esac

need_build
need 'pc:check >= 0.10' check
need_redis
need_postgres
install_missing
BUILD=${JOBQ_BUILD_ROOT:-$ROOT/build-all}/chaos
TARGETS='tests/chaos/chaos-actor tests/chaos/chaos-points examples/jobq/jobq' build_tree "$BUILD" --buildtype=debugoptimized -Dvideo=disabled || exit 1

# Short, as sockets live below it; in memory, as no machine goes down here.
base=/tmp
[ -w /dev/shm ] && base=/dev/shm
FOLDER=$(mktemp -d "$base/jqc.XXXXXX") || exit 1
chmod 711 "$FOLDER"
leave_folder() {
    [ -n "$KEEP" ] || rm -rf "$FOLDER"
}
at_exit leave_folder
COUNTS=$FOLDER/counts
: >"$COUNTS"
FAILED=
SERIAL=0

# round NAME STORE JOBS KILLS SERVER-KILLS PAUSES CUTS UNKNOWN [ARGUMENT...]: UNKNOWN is a floor; the others follow from the kills.
round() {
    _name=$1 _store=$2
    [ -z "$ONLY" ] || [ "$ONLY" = "$_store" ] || return 0
    SERIAL=$((SERIAL + 1))
    _jobs=$(($3 / SCALE)) _kills=$(($4 / SCALE)) _servers=$(($5 / SCALE)) _pauses=$(($6 / SCALE)) _cuts=$(($7 / SCALE))
    _unknown=$(($8 / SCALE))
    shift 8
    _log=$FOLDER/$SERIAL.txt
    step "$_log" "$_name: $_kills workers, $_servers servers, $_pauses pauses, $_cuts cuts, seed $((SEED + SERIAL))" \
        /usr/bin/python3 tests/chaos/run.py --actor "$BUILD/tests/chaos/chaos-actor" --jobq "$BUILD/examples/jobq/jobq" \
        --folder "$FOLDER/$SERIAL" --store "$_store" --jobs "$_jobs" --kills "$_kills" --server-kills "$_servers" \
        --pauses "$_pauses" --cuts "$_cuts" --seed $((SEED + SERIAL)) --pg-bin "$(_pg_bin)" \
        --floor "kills=$_kills" --floor "server_kills=$_servers" --floor "pauses=$_pauses" --floor "cuts=$_cuts" \
        --floor "jobs=$_jobs" --floor "expiries=$((_kills / 2))" --floor "stale_acks_rejected=$((_kills / 25))" \
        --floor "duplicates=10" \
        --floor "unknown_outcomes=$_unknown" "$@" || FAILED=1 KEEP=1
    grep '^{' "$_log" | tail -n 1 | tee -a "$COUNTS"
    [ -n "$KEEP" ] || rm -rf "${FOLDER:?}/$SERIAL"
}

all_rounds() {
    round 'SQLite' sqlite 20000 1000 0 20 0 0
    round 'Redis, everysec' redis 10000 250 20 10 100 10
    round 'Redis, always' redis 10000 250 20 10 100 10 --always
    round 'Postgres' postgres 20000 500 30 20 200 10
}

# Whatever ended long ago goes: each of the ended is counted, and so is each that was put. These are not part of the sum.
pruned() {
    _scale=$SCALE _counts=$COUNTS
    SCALE=1 COUNTS=$FOLDER/pruned
    round 'SQLite, pruned' sqlite 0 20 0 0 0 0 --pruned --jobs 3000 --floor jobs=0 --floor pruned=100
    [ "$_scale" -eq 1 ] || { SCALE=$_scale COUNTS=$_counts; return; }
    round 'Redis, pruned' redis 0 20 2 0 0 0 --pruned --jobs 3000 --floor jobs=0 --floor pruned=100
    round 'Postgres, pruned' postgres 0 20 2 0 0 0 --pruned --jobs 3000 --floor jobs=0 --floor pruned=100
    SCALE=$_scale COUNTS=$_counts
}

# points NAME STORE WITH [ARGUMENT...]: each point at which a process can stop within an operation.
points() {
    [ -z "$ONLY" ] || [ "$ONLY" = "$2" ] || return 0
    _name=$1 _log=$FOLDER/points-$2.txt _with=$3
    shift 3
    step "$_log" "$_name: at each point of each operation, seed $SEED" \
        sh "$_with" "$BUILD/tests/chaos/chaos-points" "$@" --every "$SCALE" --seed "$SEED" || FAILED=1 KEEP=1
    grep -q '^not ok' "$_log" && FAILED=1 KEEP=1
    grep '^# points=' "$_log"
}

all_points() {
    points 'SQLite' sqlite tests/chaos/points.sh
    points 'Redis' redis tests/jobq/with_redis.sh --server redis
    points 'Postgres' postgres tests/postgres/with_server.sh --server postgres
}

mutants() {
    _tree=${JOBQ_BUILD_ROOT:-$ROOT/build-all}/mutants
    _tests=tests/conformance/conformance
    TARGETS="tests/chaos/chaos-actor examples/jobq/jobq $_tests-sqlite $_tests-postgres tests/worker/worker-lease
        tests/worker/worker-trouble tests/sqlite/sqlite-process tests/sqlite/sqlite-clock tests/sqlite/sqlite-file" \
        build_tree "$_tree" --buildtype=debugoptimized -Dmutants=true -Dvideo=disabled || exit 1
    step "$FOLDER/mutants.txt" 'mistakes that the tests must find' \
        /usr/bin/python3 tests/mutants/run.py --build "$_tree" --pg-bin "$(_pg_bin)" --seed "$SEED" || FAILED=1 KEEP=1
    MUTANTS=$(tail -n 1 "$FOLDER/mutants.txt")
}
MUTANTS=

if [ -z "$SOAK$STORMS" ]; then
    [ -n "$ONLY" ] || mutants
    all_points
    pruned
fi
if [ -n "$SOAK" ]; then
    until_s=$(awk -v now="$(now_s)" -v hours="$SOAK" 'BEGIN { printf "%d", now + hours * 3600 }')
    while [ "$(now_s)" -lt "$until_s" ] && [ -z "$FAILED" ]; do
        all_rounds
    done
elif [ -z "$TRIALS" ]; then
    all_rounds
fi

/usr/bin/python3 - "$COUNTS" "$MUTANTS" <<'PYTHON'
import collections
import json
import sys
total = collections.Counter()
for line in open(sys.argv[1], encoding='utf-8'):
    total.update(json.loads(line))
names = ('kills', 'server_kills', 'pauses', 'cuts', 'jobs', 'lost', 'double_completed', 'stuck', 'attempts_over_max',
         'unique_violations', 'limit_violations', 'other_violations', 'expiries', 'slow_expiries', 'stale_acks_rejected',
         'unknown_outcomes')
print(*(f'{name}={total[name]}' for name in names), sys.argv[2])
PYTHON
if [ -n "$FAILED" ]; then
    warn "Something was violated, or a floor not reached; logs: $FOLDER"
    exit 1
fi
