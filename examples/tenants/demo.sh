#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Mails, webhooks and reports for many tenants, shown:  sh examples/tenants/demo.sh [--store STORE] [--keep]
#
#   --store STORE  sqlite (default), redis, postgres, or a URI
#   --keep         leave the folder of this run, with the logs, for a look
#
# Four tenants with four plans, a worker, a mail server, a receiver of webhooks and one in place of a model. One of each of
# the nine kinds of work is done; a plan is used up; then 100 mails go out and the worker is ended by SIGKILL among them.
# At the end each mail has its one record.
#
# Everything runs on this machine and ends with this script. Packages that are missing are named with their size before
# they are installed. 0 all is as it should be, 1 it is not, 2 usage, 3 something is missing.

set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$ROOT/tests/lib.sh"

BUILD=${JOBQ_BUILD:-$ROOT/build-demo}
HERE=$ROOT/examples/tenants
STORE=sqlite
MAILS=100
while [ $# -gt 0 ]; do
    case $1 in
    --store)
        is_store "${2:-}" || die 2 'demo.sh: --store takes sqlite, redis, postgres or a URI'
        STORE=$2
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

# --- the program -----------------------------------------------------------------------------------------

# The tables are beside the queue where they can be.
tenants() {
    "$BUILD/examples/tenants/jobq-tenants" ${DATABASE:+--database "$DATABASE"} "$@"
}

# field NAME: of the JSON object on standard input.
field() {
    /usr/bin/python3 -c "import json, sys; print(json.load(sys.stdin).get('$1', ''))"
}

# put QUEUE JSON: prints the job's id.
put() {
    tenants put "$1" acme "$2" | field job_id
}

start_worker() {
    # The option is one word or none.
    # shellcheck disable=SC2086
    spawn "$PRIVATE/$1.log" "$BUILD/examples/tenants/jobq-tenants" ${DATABASE:+--database "$DATABASE"} $ONCE \
        --smtp "smtp://127.0.0.1:$SMTP_PORT" --from shop@example.com --templates "$HERE/templates" \
        --alert-to admin@example.com --allow-http --allow-net 127.0.0.1 --ai-url "http://127.0.0.1:$MODEL_PORT/v1" \
        --out "$PRIVATE/out" --media "$PRIVATE/media" --lease 3000 --poll 200 --listen 127.0.0.1:0 \
        --token-file "$PRIVATE/tokens" work
    wait_until 20 grep -q '^working' "$PRIVATE/$1.log" || die 1 "a worker did not start: $PRIVATE/$1.log"
    DOOR=$(sed -n 's/^listening on //p' "$PRIVATE/$1.log" | tail -n 1)
}

start_receivers() {
    spawn "$PRIVATE/receivers.log" /usr/bin/python3 "$ROOT/tests/tenants/receivers.py" "$PRIVATE/in"
    wait_until 20 test -s "$PRIVATE/in/ports" || die 1 "the receivers did not start: $PRIVATE/receivers.log"
    read -r SMTP_PORT HOOKS_PORT MODEL_PORT <"$PRIVATE/in/ports"
}

is_done() {
    [ "$("$JOBQ" show "$1" --json | field state)" = completed ]
}

# result ID: what a job that is done has brought.
result() {
    wait_until 60 is_done "$1" || die 1 "job $1 was not done: $("$JOBQ" show "$1")"
    "$JOBQ" show "$1" --json | field result
}

# --- what is shown -----------------------------------------------------------------------------------------

open_shop() {
    tenants setup &&
        tenants tenant acme enterprise Europe/Istanbul && tenants tenant small starter && tenants tenant poor free &&
        tenants tenant mid pro &&
        tenants hook h1 acme order.created "http://127.0.0.1:$HOOKS_PORT/orders" "$PRIVATE/secret" &&
        tenants hook n1 acme notification "http://127.0.0.1:$HOOKS_PORT/notes" "$PRIVATE/secret"
}

nine_kinds() {
    say ''
    say 'One of each of the nine kinds of work:'
    mail=$(put email '{"to": "ayse@acme.example", "subject": "Hoş geldiniz", "template": "welcome",
        "template_data": {"name": "Ayşe", "shop": "bisiklet"}}')
    tenants event acme order.created '{"order": 1, "cents": 120000}' >/dev/null
    tenants event acme notification '{"title": "Merhaba"}' >/dev/null
    picture=$(put image-processing '{"image": "in.png", "width": 100, "height": 100}')
    prompt=$(put ai '{"prompt": "Write a slogan for a bicycle shop"}')
    say "  email             $(result "$mail")"
    say "  image-processing  $(result "$picture" | sed "s|$PRIVATE/||")"
    say "  ai                $(result "$prompt")"
    wait_until 60 has_hooks || die 1 'the webhooks did not come'
    sed 's/^/  webhook           /' "$PRIVATE/in/hooks"
    for kind in 'report {"report_type": "customers"}' 'export {"table": "webhook_deliveries"}' \
        'analytics {"metric": "webhooks"}' 'cleanup {"older_ms": 86400000}'; do
        say "$(printf '  %-17s %s' "${kind%% *}" "$(result "$(put "${kind%% *}" "${kind#* }")" | sed "s|$PRIVATE/||")")"
    done
    say "  Monday's report   $(tenants schedule acme '{"id": "weekly", "report_type": "orders"}')"
}

has_hooks() {
    [ "$(wc -l <"$PRIVATE/in/hooks")" -ge 2 ]
}

use_up() {
    say ''
    say 'A tenant with the plan "free" puts 15 jobs; it may put 10 a minute:'
    taken=0 said=
    for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
        if tenants put analytics poor "{\"metric\": \"orders\", \"n\": $n}" >"$PRIVATE/answer" 2>&1; then
            taken=$((taken + 1))
        else
            said=$(sed -n 's/^jobq-tenants: //p' "$PRIVATE/answer")
        fi
    done
    say "  taken: $taken; then: $said"
    [ "$taken" -eq 10 ] || die 1 'the plan was not held'
}

# list FIRST LAST: addresses as JSON.
list() {
    /usr/bin/python3 -c "
import json
print(json.dumps({'to': ['u%d@acme.example' % i for i in range($1, $2)], 'subject': 'News', 'body': 'There are news.'}))"
}

arrived() {
    [ "$(grep -c '^u' "$PRIVATE/in/mails")" -ge "$1" ]
}

crash() {
    say ''
    list 0 "$MAILS" | tenants bulk acme - >"$PRIVATE/answer" || die 1 "$(cat "$PRIVATE/answer")"
    put email '{"to": "refused@acme.example", "subject": "s", "body": "b"}' >/dev/null
    say "$MAILS mails are put, 100 ms apart, and one to nobody: $(cat "$PRIVATE/answer")"
    list 0 "$MAILS" | tenants bulk acme - >"$PRIVATE/answer"
    say "  the same once more: $(cat "$PRIVATE/answer")"
    wait_until 60 arrived 20 || die 1 'the mails do not go out'
    stop_pid "$WORKER" KILL
    say "  the worker was ended by SIGKILL when $(grep -c '^u' "$PRIVATE/in/mails") had arrived; another begins"
    start_worker second
    wait_until 120 is_at_rest || die 1 'the mails were not worked off'
}

is_at_rest() {
    tenants stats | /usr/bin/python3 -c "
import json, sys
sys.exit(any(q['total'] for q in json.load(sys.stdin) if q['queue'] == 'email'))"
}

failed_for_good() {
    say ''
    say 'What failed for good, and who was told:'
    "$JOBQ" dead --by-error | sed 's/^/  /'
    wait_until 60 grep -q '^ALERT' "$PRIVATE/second.log" || grep -q '^ALERT' "$PRIVATE/first.log" || die 1 'nobody was told'
    cat "$PRIVATE/first.log" "$PRIVATE/second.log" | sed -n 's/^ALERT /  /p' | sort -u
}

figures() {
    say ''
    say "  GET $DOOR/admin/queues/stats"
    /usr/bin/python3 -c "
import json, sys, urllib.request
request = urllib.request.Request(sys.argv[1] + '/admin/queues/stats', headers={'Authorization': 'Bearer demo'})
for q in json.load(urllib.request.urlopen(request, timeout=10))['data']:
    print('  %-17s' % q['queue'], *('%s %d' % (n, q[n]) for n in ('waiting', 'active', 'completed', 'failed', 'delayed')))
" "$DOOR" || die 1 'the door does not answer'
}

judge() {
    file=$(result "$(put export '{"table": "sent_emails"}')" | field file)
    records=$(grep -c ',u[0-9]*@' "$file")
    people=$(sed -n 's/.*,\(u[0-9]*@[^,]*\),.*/\1/p' "$file" | sort -u | wc -l | tr -d ' ')
    came=$(grep -c '^u' "$PRIVATE/in/mails")
    say ''
    say "Mails put: $MAILS. Records: $records, of $people people. Arrived: $came, $((came - MAILS)) of them twice under one"
    say 'Message-ID: those that the server had taken when the worker was killed.'
    if [ "$records" -eq "$MAILS" ] && [ "$people" -eq "$MAILS" ] && [ "$came" -ge "$MAILS" ] &&
        [ "$came" -le $((MAILS + 10)) ] && ! grep -q FORGED "$PRIVATE/in/hooks"; then
        say 'Nothing was lost, and nobody has two records.'
        return 0
    fi
    die 1 'That is not as it should be.'
}

need_build
need_service
need_mailbox
need_store "$STORE"
need cmd:ffmpeg ffmpeg
install_missing
TARGETS='examples/jobq/jobq examples/tenants/jobq-tenants'
build_tree "$BUILD" -Dtests=false -Dbuildtype=debugoptimized || exit 1
JOBQ=$BUILD/examples/jobq/jobq

private_dir
use_store "$STORE" tenants
DATABASE='' ONCE=--send-once
case $JOBQ_STORE in
redis*)
    DATABASE=sqlite:$PRIVATE/tables.db ONCE=''
    say "On Redis a mail's record and the end of its job cannot be one transaction:"
    tenants --send-once work 2>&1 | sed 's/^/  /'
    ;;
esac
mkdir "$PRIVATE/in" "$PRIVATE/out" "$PRIVATE/media" "$PRIVATE/media/acme"
: >"$PRIVATE/in/mails"
: >"$PRIVATE/in/hooks"
printf 'demo-secret\n' >"$PRIVATE/secret"
printf 'admin * %s\n' "$(printf demo | sha256sum | cut -d ' ' -f 1)" >"$PRIVATE/tokens"
chmod 600 "$PRIVATE/tokens" "$PRIVATE/secret"
ffmpeg -nostdin -loglevel error -f lavfi -i testsrc=size=320x240 -frames:v 1 "$PRIVATE/media/acme/in.png" ||
    die 1 'ffmpeg made no picture'
start_receivers
step "$PRIVATE/setup.log" 'tables, plans, four tenants, two webhooks' open_shop || exit 1
start_worker first
WORKER=$SPAWNED
nine_kinds
use_up
crash
failed_for_good
figures
judge
