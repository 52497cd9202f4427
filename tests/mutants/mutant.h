/* SPDX-License-Identifier: MIT */
/*
 * The sixteen mistakes of a build with -Dmutants=true, which is for tests only: meson puts this file before every file of the
 * tree. JOBQ_MUTANT=n in the environment makes mistake n, for n = 1 to 16; without it the build does what any build does.
 *
 * Elsewhere JOBQ_MUTANT(n) is the number 0 and JOBQ_MUTATED(text) the text, both by the compiler's command line, so nothing of
 * this is in a library that anybody installs. What each mistake is, and which test finds it: tests/mutants/run.py.
 */
#ifndef JOBQ_MUTANT_H
#define JOBQ_MUTANT_H

/* No header may come before those of the file itself, as that one says what it wants of them. */
extern char *getenv(const char *);
extern int atoi(const char *);

static inline int jobq_mutant(void)
{
    static int chosen = -1;
    int now = __atomic_load_n(&chosen, __ATOMIC_RELAXED);
    if (now < 0) {
        const char *text = getenv("JOBQ_MUTANT");
        now = text ? atoi(text) : 0;
        __atomic_store_n(&chosen, now, __ATOMIC_RELAXED);
    }
    return now;
}

#define JOBQ_MUTANT(n) (jobq_mutant() == (n))

/* The same for mistakes in SQL: words of a function, and what stands there instead. */
struct jobq_mutation {
    int number;
    const char *from, *to;
};

static inline const char *jobq_replace(const char *text, const struct jobq_mutation *m)
{
    const char *at = __builtin_strstr(text, m->from);
    char *out = at ? __builtin_malloc(__builtin_strlen(text) + __builtin_strlen(m->to) + 1) : (char *)0;
    if (!out)
        return text;
    __SIZE_TYPE__ before = (__SIZE_TYPE__)(at - text);
    __builtin_memcpy(out, text, before);
    __builtin_strcpy(out + before, m->to);
    __builtin_strcat(out + before, at + __builtin_strlen(m->from));
    return out; /* lasts as long as the process */
}

static inline const char *jobq_mutated(const char *text)
{
    static const struct jobq_mutation all[] = {
        { 3, "SET lease_until = x.until, clock = x.until", "SET lease_until = x.until" },
        { 9, "LIMIT p_limit FOR UPDATE SKIP LOCKED) AS h;", "LIMIT p_limit) AS h;" },
        { 9, "WHERE j.ctid = u.at AND NOT u.late",
          "WHERE j.id = (SELECT k.id FROM @.job AS k WHERE k.ctid = u.at) AND NOT u.late" },
        { 9, "j.n LIMIT 1 FOR UPDATE SKIP LOCKED;", "j.n LIMIT 1;" },
        { 9, "WHERE j.ctid = p_at[1]", "WHERE j.id = (SELECT k.id FROM @.job AS k WHERE k.ctid = p_at[1])" },
        { 10, "IS NULL\n        ON CONFLICT (scope) DO NOTHING;",
          "IS NULL AND NOT EXISTS (SELECT 1 FROM @.key AS y WHERE y.scope = p_scope) ON CONFLICT (scope) DO UPDATE SET job = excluded.job;" },
        { 10, "ON CONFLICT (scope) DO NOTHING RETURNING k.job",
          "ON CONFLICT (scope) DO UPDATE SET job = excluded.job RETURNING k.job" },
    };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        if (JOBQ_MUTANT(all[i].number))
            text = jobq_replace(text, &all[i]);
    return text;
}

#define JOBQ_MUTATED(text) jobq_mutated(text)

#endif
