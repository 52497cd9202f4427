#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The demonstration:  sh examples/demo.sh [sqlite|redis|postgres|URI] [--stage 1] [--video FILE]... [--keep]
#
#   sqlite ...    where the jobs are kept: sqlite unless it is told otherwise. redis and postgres start a private
#                 server, which ends with the demonstration; in the store of a URI it uses namespaces of its own
#   --stage 1     only the first stage, which needs a C compiler and SQLite and nothing else
#   --video FILE  your own videos instead of the clips; may be given several times
#   --keep        leave the folder of this run, with the stores and the logs, for a look
#
# Stage one is the queue alone: 1,000 jobs, a worker that is ended by SIGKILL in the middle, none lost. Stage two
# is the video orchestrator: real footage goes through probe, quality, sound, speech, face, gesture, emotion and
# report, each a queue of its own, with a worker killed on the way.
#
# Everything runs on this machine and ends with this script. Packages that are missing are named with their size
# before they are installed; when nothing is missing nothing is installed and no rights are needed. Asks nothing.
# 0 it all came out as it should, 1 it did not, 2 usage, 3 something is missing and cannot be installed from here.

set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"

JOBS=${JOBQ_DEMO_JOBS:-1000}
PARTS=8                 # jobs of one video
CLIPS=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/jobq/clips
BUILD=${JOBQ_BUILD:-$ROOT/build-demo}
SERVICES=$ROOT/examples/video/services

STORE=sqlite
stage=2
videos=0
while [ $# -gt 0 ]; do
    case $1 in
    --stage)
        case ${2:-} in
        1 | 2) stage=$2 ;;
        *) die 2 'demo.sh: --stage takes 1 or 2' ;;
        esac
        shift
        ;;
    --video)
        [ -n "${2:-}" ] || die 2 'demo.sh: --video takes a file'
        [ -f "$2" ] || die 2 "demo.sh: --video $2: there is no such file"
        [ -s "$2" ] || die 2 "demo.sh: --video $2: the file is empty"
        private_dir
        mkdir -p "$PRIVATE/media"
        name=$PRIVATE/media/$(basename -- "$2" | sed 's/^\.*//')
        [ ! -e "$name" ] || die 2 "demo.sh: --video $2: two files have this name"
        # A link costs nothing where it is possible; one that is followed, for nothing else is read.
        ln -L "$2" "$name" 2>/dev/null || cp "$2" "$name" || die 1 "demo.sh: $2 cannot be copied"
        videos=$((videos + 1))
        shift
        ;;
    --keep) KEEP=1 ;;
    -h | --help)
        sed -n '4,/^$/s/^#\( \|$\)//p' "$0"
        exit 0
        ;;
    *)
        is_store "$1" || die 2 "demo.sh: unknown argument '$1' (see --help)"
        STORE=$1
        ;;
    esac
    shift
done

began=$(now_s)
private_dir

# --- reading the queue -----------------------------------------------------------------------------------

# rows EXPRESSION FORMAT [list's options]: prints FORMAT, filled from j, for each job j the expression is true of.
rows() {
    _expression=$1 _format=$2
    shift 2
    "$JOBQ" list --limit 1000 --json "$@" | python3 -c "
import json, sys
for j in json.load(sys.stdin):
    if $_expression:
        print('$_format'.format(**j))"
}

count() {
    wc -l | tr -d ' '
}

# --- stage one: the queue alone ----------------------------------------------------------------------------

# How many different numbers the workers wrote down; each job writes its own when its work is done.
written() {
    sort -un "$PRIVATE/ledger" | count
}

is_under_way() {
    [ "$(written)" -ge $((JOBS * 3 / 10)) ]
}

# shellcheck disable=SC2016
work_numbers() {
    spawn "$PRIVATE/numbers.log" "$JOBQ" work numbers -j 4 --lease 2000 "$@" -- \
        sh -c 'read -r number; [ "$number" ] || exit 1; sleep 0.01; echo "$number" >>"$0"' "$PRIVATE/ledger"
}

put_numbers() {
    number=0
    while [ "$number" -lt "$JOBS" ]; do
        number=$((number + 1))
        "$JOBQ" enqueue numbers "$number" || return 1
    done
}

# kill_in_the_middle: sets $killed and $held (the jobs that the dead worker had in hand).
kill_in_the_middle() {
    work_numbers
    killed=$SPAWNED
    wait_until 120 is_under_way || die 1 "the worker did not come far enough: $PRIVATE/numbers.log"
    stop_pid "$killed" KILL
    held=$(rows True '{id}' --queue numbers --state running)
}

stage_one() {
    use_store "$STORE" numbers
    : >"$PRIVATE/ledger"
    say ''
    say "Stage one: the queue alone. $JOBS jobs, four at a time, and a worker that dies."
    step "$PRIVATE/put.log" "$JOBS jobs put, one at a time" put_numbers || die 1 'jobs could not be put'
    kill_in_the_middle
    # It may have died between two jobs: then once more, with what is left.
    [ -n "$held" ] || kill_in_the_middle
    say "  worker $killed ended by SIGKILL when $(written) were done; in its hands it had:"
    rows True '    {id}  number {payload:>4}  attempt {attempt}  {state}' \
        --queue numbers --state running
    work_numbers --drain
    say "  worker $SPAWNED started in its place"
    wait_until 180 _gone "$SPAWNED" || die 1 "the second worker did not come to its end: $PRIVATE/numbers.log"
    judge_one
}

judge_one() {
    completed=$(rows "j['state'] == 'completed'" x --queue numbers | count)
    second=$(rows "j['attempt'] == 2 and j['crashes'] == 1" x --queue numbers | count)
    say '  the same jobs now:'
    for id in $held; do
        rows "j['id'] == '$id'" '    {id}  number {payload:>4}  attempt {attempt}  {state}' \
            --queue numbers
    done
    say "  $completed of $JOBS completed, $second of them at the second attempt; the ledger has $(written) numbers"
    if [ "$completed" -ne "$JOBS" ] || [ "$(written)" -ne "$JOBS" ] || [ -z "$held" ]; then
        die 1 'That is not as it should be.'
    fi
    say "  Nothing was lost."
}

# --- stage two: the orchestrator ----------------------------------------------------------------------------

# listening LOG: the address that a server printed when it was ready.
listening() {
    sed -n 's/^listening on //p' "$1" 2>/dev/null | head -n 1 | grep .
}

start_orchestrator() {
    umask_before=$(umask)
    umask 077
    printf 'whsec_%s\n' "$(head -c 32 /dev/urandom | base64)" >"$PRIVATE/secret"
    umask "$umask_before"
    spawn "$PRIVATE/serve.log" "$VIDEO" serve --store "$JOBQ_STORE" --media "$MEDIA" --listen 127.0.0.1:0 \
        --secret-file "$PRIVATE/secret"
    serve_pid=$SPAWNED
    spawn "$PRIVATE/vision.log" /usr/bin/python3 "$SERVICES/vision.py" --listen 127.0.0.1:0 \
        --secret-file "$PRIVATE/secret" --media "$MEDIA"
    vision_pid=$SPAWNED
    wait_until 30 listening "$PRIVATE/serve.log" || die 1 "jobq-video serve did not start: $(cat "$PRIVATE/serve.log")"
    wait_until 30 listening "$PRIVATE/vision.log" || die 1 "the service did not start: $(cat "$PRIVATE/vision.log")"
    SERVER=$(listening "$PRIVATE/serve.log")
    VISION=$(listening "$PRIVATE/vision.log")
    say "  orchestrator $SERVER (process $serve_pid), face and gesture service $VISION (process $vision_pid)"
}

start_worker() {
    spawn "$PRIVATE/worker.log" "$VIDEO" worker --store "$JOBQ_STORE" --media "$MEDIA" --services "$VISION" \
        --callback-url "$SERVER" --secret-file "$PRIVATE/secret" --lease 2000 --grace 0
    worker_pid=$SPAWNED
}

# The jobs that this worker holds and that take long enough to be caught: a step in a child process.
holds() {
    rows "j['worker'].endswith(':$worker_pid')" '{id} {queue}' --state running |
        grep -E ' video\.(speech|quality)$' | head -n 1 | grep . >"$PRIVATE/holds"
}

# shellcheck disable=SC2086
watch_videos() {
    spawn /dev/stdout "$VIDEO" watch --server "$SERVER" $ids
    watch_pid=$SPAWNED
}

stage_two() {
    use_store "$STORE" video
    say ''
    say 'Stage two: video. Real footage through eight queues, and a worker that dies.'
    start_orchestrator
    start_worker
    say "  worker process $worker_pid"
    "$VIDEO" submit --server "$SERVER" "$@" >"$PRIVATE/submitted" || die 1 'a video was not taken'
    sed 's/^/  submitted  /' "$PRIVATE/submitted"
    ids=$(cut -d ' ' -f 1 "$PRIVATE/submitted")
    submitted=$#
    say ''
    watch_videos
    wait_until 120 holds || die 1 "no worker came to hold a step: $PRIVATE/worker.log"
    stop_pid "$worker_pid" KILL
    stop_pid "$watch_pid"
    read -r held_id held_queue <"$PRIVATE/holds"
    say ''
    say "  worker $worker_pid ended by SIGKILL while it held $held_id ($held_queue)"
    show_job "$held_id"
    start_worker
    say "  worker $worker_pid started in its place"
    say ''
    watch_videos
    wait "$watch_pid" || die 1 'not every submission completed'
    judge_two
}

show_job() {
    rows "j['id'] == '$1'" \
        '    {id}  {queue}  {state}  attempt {attempt}  crashes {crashes}  by {worker}'
}

judge_two() {
    completed=$(rows "j['state'] == 'completed'" x | count)
    others=$(rows "j['state'] != 'completed'" x | count)
    second=$(rows "j['id'] == '$held_id' and j['state'] == 'completed' and j['attempt'] >= 2" x | count)
    say ''
    say 'The job that the dead worker held:'
    show_job "$held_id"
    say "$submitted videos, $completed of $((submitted * PARTS)) jobs completed, $others in any other state."
    if [ "$completed" -ne $((submitted * PARTS)) ] || [ "$others" -ne 0 ] || [ "$second" -ne 1 ]; then
        die 1 'That is not as it should be.'
    fi
    say 'Nothing was lost.'
}

# It was left out when its library was not there yet.
build_store() {
    case $STORE in
    redis | postgres)
        "$JOBQ" version --json | grep -q "\"$STORE\"" || rebuild_tree "$BUILD" "-D$STORE=enabled" || exit 1
        ;;
    esac
}

# --- run ----------------------------------------------------------------------------------------------------

need_build
need_store "$STORE"
install_missing
build_tree "$BUILD" -Dtests=false -Dbuildtype=debugoptimized || exit 1
JOBQ=$BUILD/examples/jobq/jobq
build_store
VIDEO=$BUILD/examples/video/jobq-video
stage_one
if [ "$stage" -eq 1 ]; then
    say ''
    say "$(minutes $(($(now_s) - began))) minutes. Stage two, real video:  sh examples/demo.sh"
    exit 0
fi

need_service
need_media
install_missing
if [ ! -x "$VIDEO" ]; then
    rebuild_tree "$BUILD" -Dvideo=enabled || exit 1
fi
MEDIA=$PRIVATE/media
if [ "$videos" -eq 0 ]; then
    MEDIA=$CLIPS
    if [ ! -s "$CLIPS/SOURCES.txt" ]; then
        know_packages pocketsphinx-testdata python3-skimage opencv-doc
    fi
    sh "$ROOT/examples/video/clips.sh" "$CLIPS" || exit $?
    say ''
    say "The clips, from files of Debian packages ($CLIPS/SOURCES.txt):"
    sed '1,2d; s/^\(.\)/  \1/' "$CLIPS/SOURCES.txt"
    set -- "$CLIPS"/*.mp4
else
    set -- "$MEDIA"/*
fi
stage_two "$@"
say ''
say "$(minutes $(($(now_s) - began))) minutes. Your own:  sh examples/demo.sh --video FILE"
