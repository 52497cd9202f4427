/* SPDX-License-Identifier: MIT */
/*
 * differential [--seed N] [--count N] [--other STORE]: the memory store says what is right, another store must say the
 * same. Prints the seed; a sequence on which they differ is shrunk and printed. With JOBQ_TEST_FULL=1 it runs the whole
 * number, whatever --count says.
 */
#include "diff.h"

#include <stdlib.h>
#include <string.h>

#include "transitions.h"

#define LOOK_EVERY 6 /* steps between two looks at everything stored */
#define LOOK_RARELY 20 /* ... where a look could part what a store keeps together */

/* A sanitizer looks for other mistakes and takes several times as long; the plain build does the full number. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define COUNT 200
#else
#define COUNT 2000
#endif

static const char *other_store = "sqlite";

/* ---- coverage --------------------------------------------------------------------------------------------------- */

enum { MADE, ALREADY, OUTDATED, STALE, DUPLICATE, VERDICTS };
static const char *const verdict_names[] = { "ok", "already", "outdated", "stale", "duplicate" };
static long covered[JOBQ_TRANSITION_COUNT][VERDICTS];
static long put_verdicts[32];
static long limits_reached;
static uint32_t common; /* capabilities of both stores */

static int column_of(int verdict)
{
    switch (verdict) {
    case JOBQ_OK:
        return MADE;
    case JOBQ_ALREADY:
        return ALREADY;
    case JOBQ_OUTDATED:
        return OUTDATED;
    case JOBQ_STALE:
        return STALE;
    default:
        return DUPLICATE;
    }
}

static int find_transition(const char *event, int from, int to)
{
    for (size_t i = 0; i < JOBQ_TRANSITION_COUNT; i++)
        if (strcmp(jobq_transitions[i].event, event) == 0 && jobq_transitions[i].from == from &&
            jobq_transitions[i].to == to)
            return (int)i;
    return -1;
}

/* The table has a row for each state that an event may lead from or to; what was made tells which it was. */
static void count_change(const struct change_step *c, int verdict, const int before[JOBS], const int after[JOBS])
{
    const char *event = jobq_transitions[c->transition].event;
    int row = c->transition;
    if (verdict == JOBQ_OK) {
        row = find_transition(event, before[c->job], after[c->job] ? after[c->job] : JOBQ_ROW_GONE);
        if (row < 0)
            row = c->transition;
    }
    covered[row][column_of(verdict)]++;
}

/* What nobody asked for by a change: children let go, rows pruned. */
static void count_by_itself(const struct step *s, const struct outcome *o, const int before[JOBS],
                            const int after[JOBS])
{
    for (int job = 0; job < JOBS; job++) {
        bool touched = false;
        for (int i = 0; i < s->change_count; i++)
            touched |= s->changes[i].job == job && o->verdicts[i] == JOBQ_OK;
        if (touched || before[job] == after[job])
            continue;
        int row = -1;
        if (before[job] == JOBQ_ROW_BLOCKED && after[job] == JOBQ_ROW_WAITING)
            row = find_transition("parents_done", JOBQ_ROW_BLOCKED, JOBQ_ROW_WAITING);
        if (before[job] && !after[job])
            row = find_transition("trim", before[job], JOBQ_ROW_GONE);
        if (row >= 0)
            covered[row][MADE]++;
    }
}

static struct {
    long again, forged, limits, bytes;
} drawn;

static bool at_limit(int64_t value)
{
    return value == INT64_MAX || value == INT64_MIN || value == INT32_MAX || value == INT32_MIN;
}

static void count_drawn(const struct step *s)
{
    drawn.again += s->repeat;
    for (int i = 0; i < s->beat_count; i++)
        drawn.forged += s->beats[i].token == FORGED_TOKEN;
    for (int i = 0; i < s->change_count; i++) {
        const struct change_step *c = &s->changes[i];
        drawn.forged += c->token == FORGED_TOKEN;
        drawn.limits += at_limit(c->lease_ms) || at_limit(c->run_at.offset_ms) || at_limit(c->counters[4]);
    }
    for (int i = 0; i < s->put_count; i++) {
        const struct put_step *p = &s->puts[i];
        drawn.limits += at_limit(p->priority) || at_limit(p->rank_add_ms) || at_limit(p->timeout_ms) || at_limit(p->window_ms);
        drawn.bytes += p->queue && p->payload > 1;
    }
}

static void count_step(const struct step *s, const struct outcome *o, const int before[JOBS], const int after[JOBS])
{
    limits_reached += (long)o->reached;
    if (s->kind != STEP_EXCHANGE)
        return;
    count_drawn(s);
    for (int i = 0; i < s->change_count; i++)
        count_change(&s->changes[i], o->verdicts[i], before, after);
    for (int i = 0; i < s->put_count; i++) {
        int verdict = o->put_verdicts[i];
        put_verdicts[verdict >= 0 ? verdict : 10 - verdict]++;
        covered[s->puts[i].transition][verdict == JOBQ_OK ? MADE : verdict == JOBQ_ALREADY ? ALREADY : DUPLICATE]++;
    }
    covered[find_transition("claim", JOBQ_ROW_WAITING, JOBQ_ROW_RUNNING)][MADE] += (long)o->claimed;
    covered[find_transition("sweep", JOBQ_ROW_RUNNING, JOBQ_ROW_RUNNING)][MADE] += (long)o->swept;
    count_by_itself(s, o, before, after);
}

static void states_of(struct side *side, int states[JOBS], bool count)
{
    struct jobq_error err = { 0 };
    struct jobq_query query = { .size = sizeof query, .limit = 1000 };
    memset(states, 0, JOBS * sizeof *states);
    side_new_arena(side);
    if (side->backend->read(side->stores[0], &query, side->arena, &err) != JOBQ_OK)
        abort();
    for (size_t i = 0; i < query.row_count; i++)
        states[query.rows[i].id.bytes[15]] = query.rows[i].state;
    if (count)
        count_batches(&query);
}

/* ---- one sequence --------------------------------------------------------------------------------------------------- */

struct pair {
    struct side right, other;
};

static uint32_t common_capabilities(const struct pair *p)
{
    return p->right.backend->capabilities & p->other.backend->capabilities;
}

static int pair_open(struct pair *p, uint64_t seed)
{
    if (side_open(&p->right, "memory", seed) != 0 || side_open(&p->other, other_store, seed) != 0)
        return -1;
    uint32_t both = common_capabilities(p);
    p->right.schedules = p->other.schedules = both & JOBQ_CAP_SCHEDULES;
    p->right.groups = p->other.groups = both & JOBQ_CAP_GROUPS;
    p->right.events = p->other.events = both & JOBQ_CAP_EVENTS;
    p->right.figures = p->other.figures = both & JOBQ_CAP_FIGURES;
    return 0;
}

static void pair_close(struct pair *p)
{
    side_close(&p->right);
    side_close(&p->other);
}

static char *answer_of(struct side *side, const struct step *step, bool look, struct outcome *outcome)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    run_step(side, step, out, outcome);
    if (look)
        show_store(side, out);
    fclose(out);
    return text;
}

/* The lines in which two answers differ. */
static void show_difference(FILE *say, const char *name, char *right, char *other)
{
    char *next_right, *next_other;
    const char *a = strtok_r(right, "\n", &next_right), *b = strtok_r(other, "\n", &next_other);
    while (a || b) {
        if (!a || !b || strcmp(a, b) != 0)
            fprintf(say, "memory: %s\n%s: %s\n", a ? a : "", name, b ? b : "");
        a = a ? strtok_r(NULL, "\n", &next_right) : NULL;
        b = b ? strtok_r(NULL, "\n", &next_other) : NULL;
    }
}

/* Do a step on both; 0 if they agree. `say` prints where they do not. */
static int same_answer(struct pair *p, const struct step *step, bool look, struct outcome *outcome, FILE *say)
{
    struct outcome ignored;
    char *right = answer_of(&p->right, step, look, outcome);
    p->other.right_next = p->right.next;
    char *other = answer_of(&p->other, step, look, &ignored);
    int differ = strcmp(right, other) != 0;
    if (differ && say)
        show_difference(say, p->other.name, right, other);
    free(right);
    free(other);
    return differ;
}

/* Generate and run; the steps are kept. Returns 1 on the first difference, which goes to `say`. */
static int run_sequence(struct sequence *q, FILE *say)
{
    struct pair p;
    struct generator g = { .dice.state = q->seed * UINT64_C(0x9e3779b97f4a7c15) + 1 };
    int before[JOBS], after[JOBS], differ = 0;
    if (pair_open(&p, q->seed) != 0)
        abort();
    common = common_capabilities(&p);
    g.bursts = chance(&g, 50);
    g.jobs = g.bursts ? JOBS : FEW_JOBS;
    g.schedules = p.right.schedules;
    g.groups = p.right.groups;
    g.events = p.right.events;
    g.events_first = g.events && chance(&g, g.bursts ? 8 : 60);
    g.limits = g.groups && chance(&g, g.bursts ? 15 : 75);
    g.limits_first = between(&g, 0, 6);
    g.successors = common & JOBQ_CAP_SUCCESSOR;
    g.logs = common & JOBQ_CAP_LOG;
    int steps = 20 + (int)roll(&g.dice, STEPS_MAX - 20);
    memset(before, 0, sizeof before);
    for (q->count = 0; q->count < steps && !differ;) {
        struct step *step = &q->steps[q->count++];
        struct outcome outcome;
        generate_step(&g, &p.right, step);
        bool look = q->count % (g.bursts ? LOOK_RARELY : LOOK_EVERY) == 0 || q->count == steps;
        differ = same_answer(&p, step, look, &outcome, say);
        states_of(&p.right, after, g.bursts && q->count < steps);
        count_step(step, &outcome, before, after);
        memcpy(before, after, sizeof before);
    }
    pair_close(&p);
    return differ;
}

/* Run kept steps again on fresh stores, looking at everything after each. */
static int replay(const struct sequence *q, FILE *say)
{
    struct pair p;
    int differ = 0;
    if (pair_open(&p, q->seed) != 0)
        abort();
    for (int i = 0; i < q->count && !differ; i++) {
        struct outcome outcome;
        if (say)
            show_step(say, &q->steps[i]);
        differ = same_answer(&p, &q->steps[i], true, &outcome, say);
    }
    pair_close(&p);
    return differ;
}

/* ---- shrinking -------------------------------------------------------------------------------------------------------- */

static void remove_step(struct sequence *q, int at)
{
    memmove(&q->steps[at], &q->steps[at + 1], (size_t)(q->count - at - 1) * sizeof *q->steps);
    q->count--;
}

/* Take one thing out of a step; false when there is no such thing. Puts may name changes, so those stay longer. */
static bool remove_part(struct step *s, int part)
{
    if (part < s->put_count) {
        memmove(&s->puts[part], &s->puts[part + 1], (size_t)(s->put_count - part - 1) * sizeof *s->puts);
        s->put_count--;
        return true;
    }
    part -= s->put_count;
    if (part < s->change_count && s->put_count == 0) {
        memmove(&s->changes[part], &s->changes[part + 1],
                (size_t)(s->change_count - part - 1) * sizeof *s->changes);
        s->change_count--;
        return true;
    }
    part -= s->change_count;
    switch (part) {
    case 4:
        s->acks.count /= 2;
        return true;
    case 5:
        s->burst.count /= 2;
        return true;
    case 0:
        s->want.mode = 0;
        return true;
    case 1:
        s->trim_limit = 0;
        return true;
    case 2:
        s->beat_count = 0;
        return true;
    case 3:
        s->worker = 0;
        return true;
    default:
        return false;
    }
}

static bool try_without_steps(struct sequence *q)
{
    bool smaller = false;
    for (int i = q->count - 1; i >= 0; i--) {
        struct sequence less = *q;
        remove_step(&less, i);
        if (!replay(&less, NULL))
            continue;
        *q = less;
        smaller = true;
    }
    return smaller;
}

static void try_without_parts(struct sequence *q)
{
    for (int i = 0; i < q->count; i++)
        for (int part = 0; part < 2 * ITEMS + 6; part++) {
            struct sequence less = *q;
            if (q->steps[i].kind != STEP_EXCHANGE || !remove_part(&less.steps[i], part) || !replay(&less, NULL))
                continue;
            if (memcmp(&less, q, sizeof less) == 0)
                continue;
            *q = less;
            part--;
        }
}

static void print_lines(char *text)
{
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        printf("# %s\n", line);
    free(text);
}

/* `first`: as it was found. What comes but once in many runs is in no replay. */
static void report(struct sequence *q, char *first)
{
    print_lines(first);
    printf("# the stores differ in the sequence of seed %llu, %d steps; shrinking\n", (unsigned long long)q->seed,
           q->count);
    while (try_without_steps(q))
        ;
    try_without_parts(q);
    try_without_steps(q);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    replay(q, out);
    fclose(out);
    print_lines(text);
}

/* ---- the run ------------------------------------------------------------------------------------------------------------ */

static bool is_by(const struct jobq_transition *t, const char *by)
{
    return strcmp(t->by, by) == 0;
}

static bool is_possible(const struct jobq_transition *t, int verdict)
{
    bool callback = is_by(t, "callback"), changed = callback || is_by(t, "token") || is_by(t, "operator");
    switch (verdict) {
    case MADE:
        return true;
    case ALREADY:
        return callback || is_by(t, "put") || (is_by(t, "token") && strcmp(t->outcome, "-") != 0);
    case DUPLICATE:
        return is_by(t, "put") || strcmp(t->event, "redrive") == 0;
    default:
        return changed;
    }
}

/* How often must each cell have been met in a run of this size? 20 times in the whole one; chance is larger in a part, and
 * a run of a few hundred takes what comes. */
static long floor_of(const struct jobq_transition *t, int verdict, long count)
{
    return is_possible(t, verdict) && count >= 400 ? count / (count < 2000 ? 200 : 100) : 0;
}

/* What makes sequences hard. */
static int print_drawn(long count)
{
    printf("# drawn: requests again %ld, forged tokens %ld, numbers at their limits %ld, bytes of every kind %ld\n",
           drawn.again, drawn.forged, drawn.limits, drawn.bytes);
    bool thin = drawn.again < count || drawn.forged < count || drawn.limits < count || drawn.bytes < count;
    if (thin)
        printf("# too thin: what was drawn\n");
    return thin;
}

/* How often was a limit met, and a successor kept? */
static int print_limits(long count)
{
    long limited = put_verdicts[10 - JOBQ_LIMITED], kept = put_verdicts[JOBQ_SUCCESSOR];
    printf("# limits: read with no room left %ld, puts limited %ld; successors kept %ld\n", limits_reached, limited, kept);
    bool thin_limits = common & JOBQ_CAP_GROUPS && (limits_reached < count / 100 || limited < count / 40);
    bool thin_successors = common & JOBQ_CAP_SUCCESSOR && kept < count / 20;
    if (thin_limits || thin_successors)
        printf("# too thin: %s\n", thin_limits ? "limits" : "successors");
    return thin_limits + thin_successors;
}

static int print_coverage(long count)
{
    int thin = 0;
    printf("# %-16s %-22s %8s %8s %8s %8s %8s\n", "event", "from -> to", "ok", "already", "outdated", "stale", "other");
    for (size_t i = 0; i < JOBQ_TRANSITION_COUNT; i++) {
        const struct jobq_transition *t = &jobq_transitions[i];
        printf("# %-16s %d -> %-17d %8ld %8ld %8ld %8ld %8ld\n", t->event, t->from, t->to, covered[i][MADE],
               covered[i][ALREADY], covered[i][OUTDATED], covered[i][STALE], covered[i][DUPLICATE]);
        for (int v = 0; v < VERDICTS; v++)
            if (covered[i][v] < floor_of(t, v, count)) {
                printf("# too thin: %s %d -> %d, %s\n", t->event, t->from, t->to, verdict_names[v]);
                thin++;
            }
    }
    printf("# puts: ok %ld already %ld duplicate %ld replaced %ld extended %ld full %ld no_parent %ld skipped %ld\n",
           put_verdicts[JOBQ_OK], put_verdicts[JOBQ_ALREADY], put_verdicts[JOBQ_DUPLICATE], put_verdicts[JOBQ_REPLACED],
           put_verdicts[JOBQ_EXTENDED], put_verdicts[10 - JOBQ_FULL], put_verdicts[10 - JOBQ_NO_PARENT],
           put_verdicts[10 - JOBQ_SKIPPED]);
    return thin + print_drawn(count) + print_limits(count) + print_batches();
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    long count = COUNT;
    for (int i = 1; i < argc; i += 2) {
        const char *value = argv[i + 1];
        if (value && strcmp(argv[i], "--seed") == 0)
            seed = strtoull(value, NULL, 10);
        else if (value && strcmp(argv[i], "--count") == 0)
            count = strtol(value, NULL, 10);
        else if (value && strcmp(argv[i], "--other") == 0)
            other_store = value;
        else
            return fprintf(stderr, "usage: differential [--seed N] [--count N] [--other STORE]\n"), 2;
    }
    if (getenv("JOBQ_TEST_FULL"))
        count = COUNT;
    printf("1..2\n# seed %llu, %ld sequences, memory against %s\n", (unsigned long long)seed, count, other_store);
    static struct sequence sequence;
    long done = 0, differ = 0, steps = 0;
    char *first = NULL;
    size_t size;
    FILE *say = open_memstream(&first, &size);
    if (!say)
        abort();
    for (; done < count && !differ; done++) {
        sequence.seed = seed + (uint64_t)done;
        differ = run_sequence(&sequence, say);
        steps += sequence.count;
    }
    fclose(say);
    if (differ)
        report(&sequence, first);
    else
        free(first);
    printf("%sok 1 - %ld sequences, %ld steps: the same answers, rows and statistics\n", differ ? "not " : "", done,
           steps);
    side_done();
    int thin = print_coverage(done);
    printf("%sok 2 - every transition was met with every verdict that it can have\n", thin ? "not " : "");
    return differ || thin ? 1 : 0;
}
