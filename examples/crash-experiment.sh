#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The crash experiment:  sh examples/crash-experiment.sh [sqlite|redis|postgres|URI]
#
# Twelve jobs, three at once. When nine are done and three are in hand the worker is ended by SIGKILL, and then
# started again. Once each job is acknowledged before the work on it begins: whatever was in hand is lost,
# although every row says completed. Once it is acknowledged after the work, which is what libjobq does unless
# it is told otherwise: the three are run a second time and nothing is lost, without anybody lifting a hand.
#
# What the work itself did is counted by the work (a ledger, one line for each job that was worked off); what
# the queue says is read back with `jobq list --json`. Needs about ten seconds.
#
# $JOBQ names a jobq to use; otherwise the tree is built below build/ if that was not done.
# Ends with 0 when every figure is as it should be, 1 when one is not, 2 usage, 4 when the store is not there.

set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"

JOBS=12
DONE_FIRST=9
IN_HAND=3
LEASE=2s

case ${1:-sqlite} in
-h | --help)
    sed -n '4,/^$/s/^#\( \|$\)//p' "$0"
    exit 0
    ;;
esac
STORE=${1:-sqlite}
is_store "$STORE" || die 2 "crash-experiment.sh: '$STORE' is no store (see --help)"

if [ -z "${JOBQ:-}" ]; then
    need_build
    need_store "$STORE"
    install_missing
    build_tree "${JOBQ_BUILD:-$ROOT/build}" || exit 1
    JOBQ=${JOBQ_BUILD:-$ROOT/build}/examples/jobq/jobq
fi
have cmd:python3 || die 3 'python3 is needed to read JSON'
use_store "$STORE" crash

# --- the work --------------------------------------------------------------------------------------------
#
# One job: before $GO is there the last three never come to their end.

cat >"$PRIVATE/work.sh" <<'END_OF_WORK'
#!/bin/sh
number=$(cat)
if [ "$number" -gt "$DONE_FIRST" ] && [ ! -e "$FOLDER/go" ]; then
    : >"$FOLDER/hand/$number"
    exec sleep 600
fi
echo "$number" >>"$FOLDER/ledger"
END_OF_WORK
chmod 755 "$PRIVATE/work.sh"
export DONE_FIRST FOLDER

# lines_of FILE: how many different lines it has.
lines_of() {
    sort -u "$1" | wc -l | tr -d ' '
}

in_hand() {
    find "$FOLDER/hand" -type f | wc -l | tr -d ' '
}

# rows EXPRESSION: how many jobs of the queue it is true of; j is one, as `jobq list --json` has it.
rows() {
    "$JOBQ" list --queue "$QUEUE" --limit 1000 --json |
        python3 -c "import json, sys; print(sum(1 for j in json.load(sys.stdin) if $1))"
}

# The moment to strike: nine in the ledger, three begun, and the queue knows as much of it as it ever will.
is_the_moment() {
    [ "$(lines_of "$FOLDER/ledger")" -eq "$DONE_FIRST" ] && [ "$(in_hand)" -eq "$IN_HAND" ] &&
        [ "$(rows "j['state'] == 'completed'")" -eq "$RECORDED_FIRST" ]
}

# --- one run ---------------------------------------------------------------------------------------------

wrong=0

# expect WHAT FIGURE EXPECTED
expect() {
    if [ "$2" != "$3" ]; then
        warn "  $1: is $2 and should be $3"
        wrong=1
    fi
}

# run_once NAME RECORDED [OPTION...]: RECORDED rows are completed when the worker dies. Sets the figures.
run_once() {
    QUEUE=crash-$1-$$
    FOLDER=$PRIVATE/$1
    RECORDED_FIRST=$2
    shift 2
    mkdir -p "$FOLDER/hand"
    : >"$FOLDER/ledger"
    number=0
    while [ "$number" -lt "$JOBS" ]; do
        number=$((number + 1))
        "$JOBQ" enqueue "$QUEUE" "$number" >>"$FOLDER/log" || die 4 'a job could not be enqueued'
    done

    spawn "$FOLDER/log" "$JOBQ" work "$QUEUE" -j "$IN_HAND" --lease "$LEASE" "$@" -- "$PRIVATE/work.sh"
    worker=$SPAWNED
    wait_until 30 is_the_moment || {
        tail -n 20 "$FOLDER/log" >&2
        die 1 "it did not come to $DONE_FIRST done and $IN_HAND in hand"
    }
    stop_pid "$worker" KILL
    crash_done=$(lines_of "$FOLDER/ledger")
    crash_hand=$(in_hand)
    crash_completed=$(rows "j['state'] == 'completed'")
    crash_running=$(rows "j['state'] == 'running'")

    : >"$FOLDER/go"
    spawn "$FOLDER/log" "$JOBQ" work "$QUEUE" -j "$IN_HAND" --lease "$LEASE" "$@" --drain -- "$PRIVATE/work.sh"
    wait_until 60 _gone "$SPAWNED" || die 1 'the second worker did not come to an end'
    end_done=$(lines_of "$FOLDER/ledger")
    end_times=$(wc -l <"$FOLDER/ledger" | tr -d ' ')
    end_completed=$(rows "j['state'] == 'completed'")
    end_second=$(rows "j['attempt'] == 2 and j['crashes'] == 1")
    end_early=$(rows "j['reason'] == 'EARLY_ACK'")
    lost=$((JOBS - end_done))
}

row() {
    printf '  %-30s %5s %8s %10s %8s   %5s %10s %10s %5s\n' "$@"
}

say "$JOBS jobs on $("$JOBQ" version)"
say "the worker is ended by SIGKILL when $DONE_FIRST are done and $IN_HAND are in hand, then started again"
say ''
row '' 'after' 'the' 'crash' '' 'after' 'the' 'restart' ''
row 'acknowledged' 'done' 'in hand' 'completed' 'running' 'done' 'completed' 'attempt 2' 'lost'

run_once early "$JOBS" --ack early
row 'before the work (--ack early)' "$crash_done" "$crash_hand" "$crash_completed" "$crash_running" \
    "$end_done" "$end_completed" "$end_second" "$lost"
expect 'early: rows completed at the crash' "$crash_completed" "$JOBS"
expect 'early: rows running at the crash' "$crash_running" 0
expect 'early: done after the restart' "$end_done" "$DONE_FIRST"
expect 'early: rows that say EARLY_ACK' "$end_early" "$JOBS"
expect 'early: run a second time' "$end_second" 0
early_lost=$lost

run_once late "$DONE_FIRST"
row 'after the work (the default)' "$crash_done" "$crash_hand" "$crash_completed" "$crash_running" \
    "$end_done" "$end_completed" "$end_second" "$lost"
expect 'ours: rows completed at the crash' "$crash_completed" "$DONE_FIRST"
expect 'ours: rows running at the crash' "$crash_running" "$IN_HAND"
expect 'ours: done after the restart' "$end_done" "$JOBS"
expect 'ours: worked off' "$end_times" "$JOBS"
expect 'ours: rows completed after the restart' "$end_completed" "$JOBS"
expect 'ours: run a second time' "$end_second" "$IN_HAND"

say ''
[ "$wrong" -eq 0 ] || die 1 'Not every figure is as it should be.'
say "Acknowledged early $early_lost of $JOBS jobs were lost, though every row says completed; with ours none was."
