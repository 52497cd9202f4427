#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Tables and their search index, shown:  sh examples/search-sync/demo.sh [--index URL] [--keep]
#
#   --index URL  an Elasticsearch or OpenSearch of your own instead of the small index; nothing of it is killed, and
#                the indexes listings, profiles, categories and ai_suggestions are made in it
#   --keep       leave the folder of this run, with the logs, for a look
#
# A private Postgres with four tables that an outbox follows, an index, two consumers. 900 changes are measured; then
# a consumer is ended by SIGKILL with changes in hand and the index is killed, while the tables are changed on. At the
# end the index is compared with the tables, and what was measured stands beside what it should be.
#
# Everything runs on this machine and ends with this script. Packages that are missing are named with their size before
# they are installed. 0 index and tables are equal, 1 they are not, 2 usage, 3 something is missing.

set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"

BUILD=${JOBQ_BUILD:-$ROOT/build-demo}
HERE=$ROOT/examples/search-sync
LEASE_MS=5000
OWN_INDEX=
while [ $# -gt 0 ]; do
    case $1 in
    --index)
        [ -n "${2:-}" ] || die 2 'demo.sh: --index takes a URL'
        OWN_INDEX=$2
        shift
        ;;
    --keep) KEEP=1 ;;
    -h | --help)
        sed -n '4,/^$/s/^#\( \|$\)//p' "$0"
        exit 0
        ;;
    *) die 2 "demo.sh: unknown argument '$1' (see --help)" ;;
    esac
    shift
done

# --- the tables and the queue ----------------------------------------------------------------------------

# sql TEXT: one transaction, unless it has its own.
sql() {
    psql -qtAX -v ON_ERROR_STOP=1 "$ADDRESS" -c 'SET client_min_messages = error' -c "$1"
}

make_tables() {
    "$JOBQ" migrate && psql -qtAX -v ON_ERROR_STOP=1 -v VERBOSITY=terse "$ADDRESS" -f "$HERE/schema.sql"
}

# stats NAME: a figure of the queue, 0 before there is one.
stats() {
    "$JOBQ" stats elasticsearch --json | python3 -c "
import json, sys
print(sum(q['$1'] for q in json.load(sys.stdin)['queues'] if q['queue'] == 'elasticsearch'))"
}

is_at_rest() {
    [ "$(($(stats ready) + $(stats scheduled) + $(stats running)))" -eq 0 ]
}

# --- the index ----------------------------------------------------------------------------------------------

start_index() {
    spawn "$PRIVATE/index.log" "$BUILD/examples/search-sync/jobq-search-index" "$PRIVATE/index.db" \
        --listen "127.0.0.1:${INDEX_PORT:-0}"
    INDEX_PID=$SPAWNED
    wait_until 20 index_answers || die 1 "the index did not start: $PRIVATE/index.log"
}

index_answers() {
    INDEX_URL=$(sed -n 's/^listening on //p' "$PRIVATE/index.log" | tail -n 1)
    INDEX_PORT=${INDEX_URL##*:}
    [ -n "$INDEX_URL" ] && fetch "$INDEX_URL/"
}

# fetch URL: prints the body.
fetch() {
    python3 -c "
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())" "$1" 2>/dev/null
}

# The words of the index: a line for each document, ID TITLE.
indexed() {
    fetch "$INDEX_URL/listings/_search?size=10000" | python3 -c "
import json, sys
for hit in json.load(sys.stdin)['hits']['hits']:
    print(hit['_id'], hit['_source']['title'])" | LC_ALL=C sort
}

should_be_indexed() {
    sql "SELECT id || ' ' || title FROM listings WHERE status = 'active'" | LC_ALL=C sort
}

# search WORDS: how many listings have them.
search() {
    fetch "$INDEX_URL/listings/_search?size=0&q=$(printf %s "$1" | sed 's/ /%20/g')" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["hits"]["total"]["value"])'
}

# --- consumers -----------------------------------------------------------------------------------------------

start_consumer() {
    spawn "$PRIVATE/$1.log" "$BUILD/examples/search-sync/jobq-search-sync" --index "$INDEX_URL" --lease "$LEASE_MS" \
        --listen 127.0.0.1:0 --pause 200
    wait_until 20 grep -q '^working queue' "$PRIVATE/$1.log" || die 1 "a consumer did not start: $PRIVATE/$1.log"
    DOOR=$(sed -n 's/^listening on //p' "$PRIVATE/$1.log" | tail -n 1)
}

# --- what is shown -------------------------------------------------------------------------------------------

measure() {
    say ''
    say 'First 900 changes: 500 drafts, of which 300 are approved, and 100 sold again.'
    sql "INSERT INTO listings (title, price) SELECT 'bisiklet ' || i, i FROM generate_series(1, 500) AS i"
    sql "UPDATE listings SET status = 'active' WHERE price <= 300"
    sql "UPDATE listings SET status = 'inactive' WHERE price <= 100"
    sql "BEGIN; INSERT INTO listings (title, status) VALUES ('asla', 'active'); ROLLBACK"
    depth=$(($(stats ready) + $(stats running)))
    wait_until 300 is_at_rest || die 1 'the changes were not worked off'
    rate=$(sql "SELECT round(count(*) / greatest(extract(epoch FROM max(processed_at) - min(started_at)), 0.001), 0)
                FROM jobq.outbox_jobs('elasticsearch') WHERE status = 'completed'")
    say "  done: $rate a second; the index finds $(search bisiklet) of them (200 are active), of the rolled back one $(search asla)"
}

is_in_hand() {
    [ "$("$JOBQ" list --queue elasticsearch --state running --json | grep -c "\"worker\": \"[^\"]*:$1\"")" -gt 0 ]
}

go_wrong() {
    say ''
    say 'Then things go wrong while the tables change on.'
    if [ -z "$OWN_INDEX" ]; then
        stop_pid "$INDEX_PID" KILL
        say '  the index was ended by SIGKILL'
    fi
    sql "INSERT INTO listings (title, price, status) SELECT 'araba ' || i, i, 'active' FROM generate_series(1, 100) AS i"
    sql "INSERT INTO listings (title, price, status) VALUES ('bozuk', 'NaN', 'active')"
    sql "INSERT INTO profiles (name, about) VALUES ('Ayşe', 'bisiklet tamircisi')"
    if [ -z "$OWN_INDEX" ]; then
        wait_until 60 is_in_hand "$FIRST" || die 1 'the first consumer took nothing'
    fi
    stop_pid "$FIRST" KILL
    say "  a consumer was ended by SIGKILL, with $(stats running) changes in hand of both"
    sql "UPDATE listings SET title = title || ' temiz' WHERE title LIKE 'araba%' AND price <= 50"
    sql "DELETE FROM listings WHERE title LIKE 'araba%' AND price > 90"
    worst=$(($(stats ready) + $(stats running)))
    [ "$worst" -le "$depth" ] || depth=$worst
    if [ -z "$OWN_INDEX" ]; then
        start_index
        say '  the index is there again'
    fi
    start_consumer third
    wait_until 300 is_at_rest || die 1 'the changes were not worked off'
}

poison() {
    say ''
    say 'One row has a price that the index does not take. It is among the dead letters, alone:'
    "$JOBQ" dead --by-error | sed 's/^/  /'
    dead=$(stats dead_total)
    sql "UPDATE listings SET price = 1 WHERE price = 'NaN'"
    wait_until 60 is_at_rest || die 1 'the mended row was not worked off'
    say "  mended in the table; the index finds it: $(search bozuk)"
}

# line NAME MEASURED TARGET TRUE?
line() {
    if [ "$(sql "SELECT $4")" = t ]; then
        verdict=ok
    else
        verdict=missed
    fi
    printf '  %-28s %14s    %-10s %s\n' "$1" "$2" "$3" "$verdict"
}

figures() {
    done_total=$(stats completed_total)
    average=$(sql 'SELECT round(avg_processing_time, 1) FROM get_elasticsearch_queue_stats()')
    errors=$(sql "SELECT round(100.0 * $dead / ($done_total + $dead), 3)")
    stuck=$(sql "SELECT round(100.0 * $(stats stuck) / ($done_total + $dead), 3)")
    say ''
    say 'What was measured, and what it should be:'
    line 'changes a second' "$rate" '> 100' "$rate > 100"
    line 'errors' "$errors %" '< 1 %' "$errors < 1"
    line 'average time of a change' "$average ms" '< 2000 ms' "$average < 2000"
    line 'deepest the queue was seen' "$depth" '< 1000' "$depth < 1000"
    line 'stuck in the end' "$stuck %" '< 0.1 %' "$stuck < 0.1"
    say ''
    say "  GET $DOOR/api/v1/health/detailed"
    fetch "$DOOR/api/v1/health/detailed" | cut -c 1-300 | sed 's/^/  /'
}

judge() {
    indexed >"$PRIVATE/indexed"
    should_be_indexed >"$PRIVATE/tables"
    say ''
    if cmp -s "$PRIVATE/indexed" "$PRIVATE/tables" && [ -s "$PRIVATE/tables" ]; then
        say "Index and tables are equal: $(wc -l <"$PRIVATE/tables" | tr -d ' ') listings. Nothing was lost."
        return 0
    fi
    diff "$PRIVATE/tables" "$PRIVATE/indexed" | head -n 20
    die 1 'Index and tables differ.'
}

need_build
need_service
need_postgres
need cmd:psql postgresql-client
install_missing
TARGETS='examples/jobq/jobq examples/search-sync/jobq-search-sync examples/search-sync/jobq-search-index'
build_tree "$BUILD" -Dtests=false -Dbuildtype=debugoptimized || exit 1
JOBQ=$BUILD/examples/jobq/jobq

private_dir
unset JOBQ_TEST_POSTGRES
start_postgres
JOBQ_STORE=$JOBQ_TEST_POSTGRES
export JOBQ_STORE
ADDRESS=$(printf '%s\n' "$JOBQ_STORE" | sed 's/^postgres:/postgresql:/')
step "$PRIVATE/tables.log" 'four tables, followed by an outbox' make_tables || exit 1
if [ -n "$OWN_INDEX" ]; then
    INDEX_URL=$OWN_INDEX
else
    start_index
fi
start_consumer first
FIRST=$SPAWNED
start_consumer second
measure
go_wrong
poison
figures
judge
