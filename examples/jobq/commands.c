/* SPDX-License-Identifier: MIT */
/* The table of commands: what they are called, what help says, how they want their store. */
#include "cli.h"

const struct command commands[] = {
    {.name = "enqueue",
     .operands = "QUEUE [PAYLOAD|-|@FILE]",
     .summary = "put a job into a queue",
     .details = "  --kind KIND            what handler it is for (the queue's name)\n"
                "  --group GROUP          the tenant it belongs to\n"
                "  --id ID                its id, so that the call can be repeated without effect\n"
                "  --key BYTES            idempotency key, at most 1024 bytes\n"
                "  --key-scope SCOPE      queue (default), kind, group or kind,group\n"
                "  --hold RULE            how long the key is held: live (default), waiting, unresolved, "
                "window, forever\n"
                "  --window MS            how long with --hold window\n"
                "  --on-conflict WHAT     return (default), reject, replace, extend, successor\n"
                "  --delay MS             not before then\n"
                "  --run-at TIME          not before; milliseconds since 1970 or 2030-05-01T12:00:00Z\n"
                "  --priority N           smaller runs first, -32768 to 32767 (0)\n"
                "  --max-attempts N       failures until it is dead (3)\n"
                "  --max-crashes N        lost leases until it is dead (3)\n"
                "  --max-snoozes N, --max-releases N\n"
                "  --timeout MS           of one attempt\n"
                "  --expires-in MS        dead if it was not started by then\n"
                "  --backoff SHAPE        exponential:BASE[:FACTOR[:CAP]], fixed:MS, linear:BASE[:CAP], "
                "list:MS,MS...\n"
                "  --jitter PERCENT       0 to 100 (10)\n"
                "  --after ID[:RULE]      wait for another job; if that dies: fail (default), cancel, "
                "ignore; may repeat\n"
                "  --held                 blocked until jobq unhold\n"
                "  --trace TRACEPARENT    carried along\n"
                "  --payload-max BYTES    largest payload accepted here (1048576, at most 67108864)\n",
     .run = run_enqueue,
     .need = STORE_MAKE},
    {.name = "claim",
     .operands = "QUEUE...",
     .summary = "take ready jobs under a lease",
     .details =
         "  -n, --limit N          at most so many, 1 to 1000 (1)\n"
         "  --lease MS             100 to 86400000 (30000)\n"
         "  --kind KIND            only these; may repeat\n"
         "  --worker NAME          who claims, for people\n"
         "  --ack early            completed before it is handed over: lost if you die\n"
         "  --raw                  a line ID TOKEN ATTEMPT BYTES for each job, then its payload as it is\n",
     .run = run_claim,
     .need = STORE_MAKE},
    {.name = "ack",
     .operands = "ID TOKEN [RESULT|-|@FILE]",
     .summary = "complete a claimed job",
     .details = "  --result-max BYTES     largest result accepted here (1048576, at most 67108864)\n",
     .run = run_ack,
     .need = STORE_EXISTING},
    {.name = "fail",
     .operands = "ID TOKEN [ERROR|-|@FILE]",
     .summary = "fail a claimed job: it waits for its back-off, or is dead",
     .details = "  --permanent            dead at once\n"
                "  --retry-in MS          instead of the back-off\n",
     .run = run_fail,
     .need = STORE_EXISTING},
    {.name = "extend",
     .operands = "ID TOKEN [LEASE-MS]",
     .summary = "keep a claimed job for longer (30000)",
     .run = run_extend,
     .need = STORE_EXISTING},
    {.name = "release",
     .operands = "ID TOKEN",
     .summary = "give a claimed job back; it keeps its place",
     .run = run_release,
     .need = STORE_EXISTING},
    {.name = "snooze",
     .operands = "ID TOKEN DELAY-MS",
     .summary = "give a claimed job back for a while",
     .run = run_snooze,
     .need = STORE_EXISTING},
    {.name = "progress",
     .operands = "ID TOKEN BYTES|-|@FILE",
     .summary = "tell how far a claimed job is",
     .run = run_progress,
     .need = STORE_EXISTING},
    {.name = "callback",
     .operands = "ID TOKEN",
     .summary = "mint the single-use token that resumes a claimed job; park follows",
     .run = run_callback,
     .need = STORE_EXISTING},
    {.name = "park",
     .operands = "ID TOKEN DEADLINE-MS",
     .summary = "let a claimed job rest until its callback token comes back",
     .run = run_park,
     .need = STORE_EXISTING},
    {.name = "unpark",
     .operands = "CALLBACK [DATA|-|@FILE]",
     .summary = "bring a callback token back: the job goes on and finds DATA",
     .run = run_unpark,
     .need = STORE_EXISTING},
    {.name = "work",
     .operands = "QUEUE... [OPTIONS] -- COMMAND [ARGUMENTS]",
     .summary = "run a program for each job",
     .details =
         "The payload is its standard input, its standard output is the result. Exit 0 completes the job,\n"
         "anything else fails it with the end of its standard error. It finds JOBQ_ID, JOBQ_ATTEMPT,\n"
         "JOBQ_FENCE, JOBQ_QUEUE, JOBQ_KIND and TRACEPARENT in its environment.\n\n"
         "  -j, --jobs N           so many at once, 1 to 1024 (1)\n"
         "  --lease MS             100 to 86400000 (30000)\n"
         "  --kind KIND            only these; may repeat\n"
         "  --drain                end when nothing is ready, running or overdue\n"
         "  --ack early            complete before the program starts: lost if the worker dies\n"
         "  --grace MS             after SIGTERM or SIGINT programs may go on this long (10000)\n"
         "  --timeout MS           end a program that runs longer; the job fails\n"
         "  --worker NAME          name of this worker (host:pid)\n"
         "  --retry-percent N      of the attempts at most so many percent are retries, others wait; 1 to 100\n"
         "  --result-max BYTES     largest result (1048576, at most 67108864)\n",
     .run = run_work,
     .need = STORE_MAKE},
    {.name = "show",
     .operands = "ID",
     .summary = "one job with its errors",
     .details = "  --raw FIELD            only the bytes of payload, result, key, progress, data or error "
                "(the newest)\n",
     .run = run_show,
     .need = STORE_EXISTING},
    {.name = "log",
     .operands = "ID [TOKEN TEXT|-|@FILE]",
     .summary = "the lines that were noted on a job; with the token of its lease: note another one",
     .run = run_log,
     .need = STORE_EXISTING},
    {.name = "explain",
     .operands = "ID",
     .summary = "why a job is not running, and what would change it",
     .run = run_explain,
     .need = STORE_EXISTING},
    {.name = "list",
     .alias = "ls",
     .operands = "",
     .summary = "jobs by id, ascending",
     .details = "  --queue Q, --kind K, --group G, --filter NAME=VALUE\n"
                "  --state S              by commas: blocked, scheduled, ready, running, completed, dead, "
                "cancelled\n"
                "  --reason R             POISON, ATTEMPTS and so on\n"
                "  --older MS             created, or ended if it has, at least so long ago\n"
                "  --limit N              at most so many (100)\n"
                "  --after ID             greater ids only\n",
     .run = run_list,
     .need = STORE_EXISTING},
    {.name = "wait",
     .operands = "ID",
     .summary = "wait until a job has ended: 0 completed, 1 dead or cancelled, 5 time over",
     .details = "  --timeout MS           at most this long; 0 looks once\n",
     .run = run_wait,
     .need = STORE_EXISTING},
    {.name = "stats",
     .operands = "[QUEUE]",
     .summary = "the store, its queues and its workers in figures",
     .run = run_stats,
     .need = STORE_EXISTING},
    {.name = "health",
     .operands = "[QUEUE]",
     .summary = "what is out of the ordinary, and what to do about it; 1 when it is critical",
     .details = "  --errors-above PERCENT   of what is kept (5)\n"
                "  --pending-above N        jobs that wait (1000)\n"
                "  --stuck-above N          jobs whose lease has run out (10)\n"
                "  --critical-above N       of these, to be critical (5)\n"
                "  --average-above MS       how long an attempt takes (10000)\n"
                "  --running-above MS       how long one has been running (600000)\n",
     .run = run_health,
     .need = STORE_EXISTING},
    {.name = "events",
     .alias = "tail",
     .operands = "",
     .summary = "what happened, in order, one line each",
     .details = "  --keep N               from now on keep the newest N, 0 for none (0)\n"
                "  --after CURSOR         only those after it\n"
                "  -n, --limit N          at most so many\n"
                "  -f, --follow           go on until interrupted\n",
     .run = run_events,
     .need = STORE_EXISTING},
    {.name = "top",
     .operands = "",
     .summary = "queues, workers and running jobs, again and again",
     .details = "  --every MS             100 to 3600000 (1000)\n"
                "  -n, --limit N          look so many times; until interrupted otherwise\n",
     .run = run_top,
     .need = STORE_EXISTING},
    {.name = "metrics",
     .operands = "",
     .summary = "the statistics as OpenMetrics text; with --json as those of stats",
     .run = run_metrics,
     .need = STORE_EXISTING},
    {.name = "queues", .operands = "", .summary = "the queues", .run = run_queues, .need = STORE_EXISTING},
    {.name = "cancel",
     .operands = "ID | --all | FILTER",
     .summary = "stop a job, or all that a filter names; a running one is asked",
     .details = "  --hard                 void the lease of a running one at once\n"
                "  --all                  every job that has not ended\n"
                "  --queue Q, --kind K, --group G, --state S, --older MS, --filter NAME=VALUE\n"
                "  --max N                at most so many\n"
                "  --dry-run              count only\n",
     .run = run_cancel,
     .need = STORE_EXISTING},
    {.name = "redrive",
     .alias = "retry",
     .operands = "ID | --all | FILTER",
     .summary = "run a dead or cancelled job again, or the dead ones that a filter names",
     .details = "  --all                  every dead job\n"
                "  --queue Q, --kind K, --group G, --reason R, --older MS, --filter NAME=VALUE\n"
                "  --rate N/PERIOD        so many become ready in a period, such as 10/s; all now otherwise\n"
                "  --max N                at most so many\n"
                "  --dry-run              count only\n",
     .run = run_redrive,
     .need = STORE_EXISTING},
    {.name = "drop",
     .operands = "ID | --all | FILTER",
     .summary = "remove a job that is not running, or the dead ones that a filter names",
     .details = "  --all                  every dead job\n"
                "  --queue Q, --kind K, --group G, --reason R, --older MS, --filter NAME=VALUE\n"
                "  --state S              others than the dead ones; by commas\n"
                "  --max N                at most so many\n"
                "  --dry-run              count only\n",
     .run = run_drop,
     .need = STORE_EXISTING},
    {.name = "unhold",
     .operands = "ID",
     .summary = "let a job go that was enqueued with --held",
     .run = run_unhold,
     .need = STORE_EXISTING},
    {.name = "purge",
     .operands = "--state S",
     .summary = "remove every job in these states, or the results of completed ones",
     .details = "  --state S              required; by commas\n"
                "  --queue Q, --kind K, --group G, --reason R, --filter NAME=VALUE\n"
                "  --older MS             created, or ended if it has, at least so long ago\n"
                "  --results              only the results of completed jobs; the jobs stay\n"
                "  --max N                at most so many\n"
                "  --dry-run              count only\n",
     .run = run_purge,
     .need = STORE_EXISTING},
    {.name = "pause",
     .operands = "QUEUE",
     .summary = "stop claims from a queue",
     .run = run_pause,
     .need = STORE_MAKE},
    {.name = "resume",
     .operands = "QUEUE",
     .summary = "allow claims again",
     .run = run_resume,
     .need = STORE_MAKE},
    {.name = "retention",
     .operands = "QUEUE",
     .summary = "show or set how many ended jobs of a queue stay, and how long",
     .details = "  --completed N, --dead N, --cancelled N\n"
                "                         the newest so many; or all, none, default\n"
                "  --completed-for MS, --dead-for MS, --cancelled-for MS\n"
                "                         none that ended longer ago; or all, default\n"
                "  --results-for MS       completed ones that ended longer ago stay without a result\n",
     .run = run_retention,
     .need = STORE_OWN},
    {.name = "stop",
     .operands = "WORKER",
     .summary = "ask a worker, by the name in stats, to end as after SIGTERM",
     .run = run_stop,
     .need = STORE_EXISTING},
    {.name = "drain",
     .operands = "QUEUE",
     .summary = "let a queue run empty while it takes no new jobs",
     .details = "  --timeout MS           wait at most this long; 0 looks once\n"
                "  --keep-closed          afterwards take none either, until jobq limit QUEUE --depth unset\n",
     .run = run_drain,
     .need = STORE_EXISTING},
    {.name = "limit",
     .operands = "[QUEUE | --group GROUP | --every-group | --plan PLAN]",
     .summary = "show or set how much may wait, run, start or be put",
     .details = "  --group GROUP          of this tenant, in all queues\n"
                "  --every-group          of each tenant that has no value of its own\n"
                "  --plan PLAN            of this plan; with --group: the plan that the tenant has\n"
                "  --no-plan              with --group: it has none\n"
                "  --depth N              queue: jobs that wait or are blocked; more are refused\n"
                "  --concurrency N        jobs that run at a time\n"
                "  --group-concurrency N  queue: jobs of one tenant that run in it at a time\n"
                "  --rate N/PERIOD        starts in a period, such as 100/s or 10/5m\n"
                "  --quota N/PERIOD       tenant, plan: accepted enqueues in a period\n"
                "Each may also be none (no limit, whatever the plan says) or unset (no value of its own).\n"
                "Without a target: everything that has a value.\n",
     .run = run_limit,
     .need = STORE_OWN},
    {.name = "dead",
     .alias = "dlq",
     .operands = "",
     .summary = "the dead letters",
     .details = "  --queue Q, --kind K, --group G, --reason R, --older MS, --filter NAME=VALUE\n"
                "  --limit N              at most so many (100)\n"
                "  --by-error             grouped by what went wrong, figures left out\n",
     .run = run_dead,
     .need = STORE_EXISTING},
    {.name = "sweep",
     .operands = "",
     .summary = "judge lost leases, timeouts and deadlines now",
     .details = "  -n, --limit N          at most so many, 1 to 1000 (1000)\n",
     .run = run_sweep,
     .need = STORE_EXISTING},
    {.name = "export",
     .operands = "",
     .summary = "write everything that is stored to standard output, for import into any store",
     .run = run_export,
     .need = STORE_EXISTING},
    {.name = "import",
     .operands = "[FILE|-]",
     .summary = "take an export over; what is there already is left as it is, so it may be repeated",
     .run = run_import,
     .need = STORE_MAKE},
    {.name = "schedule",
     .alias = "cron",
     .operands = "add|edit|list|next|pause|resume|run|remove [NAME]",
     .summary = "jobs that are put by the calendar",
     .details =
         "  add NAME, edit NAME    edit changes only what is named\n"
         "    --queue Q            where the jobs go\n"
         "    --cron EXPR          minute hour day month weekday, second in front of them, or @daily and the like\n"
         "    --zone ZONE          such as Europe/Istanbul (UTC)\n"
         "    --every MS           instead of --cron: an interval, from 1000 on\n"
         "    --anchor TIME        from when the interval is counted (from now)\n"
         "    --payload P, --kind K, --group G, --priority N, --max-attempts N, --timeout MS, --expires-in MS,\n"
         "    --backoff SHAPE, --jitter PERCENT   of the jobs, as for enqueue\n"
         "    --key BYTES          no new job while one with this key has not ended\n"
         "    --missed WHAT        times that nobody was there for: one (default), skip, all (100 at most)\n"
         "    --late MS            after how long a time counts as missed (60000)\n"
         "    --gap WHAT           a time that the clock jumps over: run (behind it), skip\n"
         "    --fold WHAT          a time that the clock shows twice: first, both\n"
         "  list                   --after NAME, -n N\n"
         "  next NAME              the next times; or of --cron, --zone, --every without a store\n"
         "    -n, --limit N        so many, 1 to 1000 (5)\n"
         "    --after TIME         later than this\n"
         "  pause, resume NAME     times that pass meanwhile are not missed\n"
         "  run NAME               put its job now\n"
         "  remove NAME            its jobs stay\n",
     .run = run_schedule,
     .need = STORE_OWN},
    {.name = "doctor",
     .operands = "",
     .summary = "what is wrong here and the command that mends it",
     .details = "  --log-max BYTES        largest write-ahead log that is no finding (67108864)\n",
     .run = run_doctor,
     .need = STORE_OWN},
    {.name = "outbox",
     .operands = "TABLE",
     .summary = "put a job for each change of a table's rows, in the transaction that changes them",
     .details = "Makes triggers named TABLE_queue_sync in the database of the store, SQLite or Postgres. May be repeated,\n"
                "and is to be on SQLite when the table has got other columns.\n\n"
                "  --queue QUEUE          where the jobs go (outbox)\n"
                "  --column NAME          what tells the rows apart (the only column of the primary key)\n"
                "  --dry-run              only print the SQL\n",
     .run = run_outbox,
     .need = STORE_MAKE},
    {.name = "migrate",
     .operands = "",
     .summary = "bring the store to the schema of this version, or make it",
     .details = "  --dry-run              only say what it has and what it would get\n",
     .run = run_migrate,
     .need = STORE_MAKE},
    {.name = "bench",
     .operands = "",
     .summary = "what this store does on this machine, in the queue jobq-bench",
     .details = "The queue jobq-bench is emptied before and after.\n\n"
                "  --for MS               how long each figure is measured (1000)\n"
                "  -n, --batch N          jobs put by one call, 2 to 1000 (100)\n"
                "  -j, --jobs N           threads of the worker, 1 to 1024 (1)\n",
     .run = run_bench,
     .need = STORE_MAKE},
    {.name = "serve",
     .operands = "[ARGUMENTS]",
     .summary = "the dashboard of the store: runs jobq-dashboard, which is installed separately",
     .details = "Arguments are the dashboard's; it finds the store in JOBQ_STORE.\n",
     .run = run_serve,
     .need = STORE_OWN},
    {.name = "version",
     .operands = "",
     .summary = "which jobq this is",
     .run = run_version,
     .need = STORE_NONE},
    {.name = "help",
     .operands = "[COMMAND]",
     .summary = "what a command takes",
     .run = run_help,
     .need = STORE_NONE},
    {.name = NULL},
};
