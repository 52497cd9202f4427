/* SPDX-License-Identifier: MIT */
/*
 * The lease protocol, small enough to be looked at in every order of events: two workers that may crash, two jobs that
 * may share a key, a producer that repeats its request, a sweeper that may die between its two steps, and a network that
 * delays, repeats and loses. A message that was sent may arrive any number of times at any later moment, or never.
 *
 * Asserted: an outcome is accepted from the present holder only, and once (S2, S3); no job starts more often than its
 * limits allow (S5); what has ended stays ended (S6); one live job to a key, one job to an id (S7); the slots in use are
 * the rows that run (S9); a lease that was renewed is not taken. And there is no state in which nothing can happen any
 * more although a job has not ended.
 *
 * A step stands here only where it would change something, so that a state without a step is really stuck. Compiled
 * with -DM1 ... -DM10 one guard each is missing; what then goes wrong is in test_model.py.
 */
#define MAX_FAILURES 1
#define MAX_CRASHES 2
#define MAX_STARTS (MAX_FAILURES + MAX_CRASHES - 1)
#define LAST_FENCE 5 /* two starts, two sweeps, one sweep whose sweeper died */

#define ABSENT 0
#define WAITING 1
#define RUNNING 2
#define DONE 3
#define DEAD 4

typedef job {
    byte state, fence, token; /* token: what a message must bring */
    byte starts, failures, crashes, made, accepted;
    bool expired; /* the lease has run out */
};
/* Under way: by the token that a message brings; sent_in is the fence of the lease of the newest. */
typedef letters {
    bool ack[LAST_FENCE + 1], fail[LAST_FENCE + 1];
    byte sent_in[LAST_FENCE + 1];
};
/* Of what a worker holds, as it knows; 0: nothing. */
typedef worker {
    byte token[2], fence[2];
};

job jobs[2];
letters mail[2];
worker workers[2];
byte slots, running;
bool one_key; /* both jobs have the same */

/* The sweeper between its two steps: which job, and what it knew of it. */
bool sweeping;
byte swept, swept_token;
bool died;

#define HAS_ENDED(j) (jobs[j].state == DONE || jobs[j].state == DEAD)
#define IS_LIVE(j) (jobs[j].state == WAITING || jobs[j].state == RUNNING)
#ifdef M10 /* the key is not looked at */
#define KEY_TAKEN(j) false
#else
#define KEY_TAKEN(j) (one_key && IS_LIVE(1 - j))
#endif
#define MAY_START(j) (jobs[j].failures < MAX_FAILURES && jobs[j].crashes < MAX_CRASHES)

#ifdef M4 /* the token is the worker's name, the same in each of its leases */
#define NEW_TOKEN(w, j) (w + 1)
#else
#define NEW_TOKEN(w, j) jobs[j].fence
#endif
#ifdef M1 /* an outcome is accepted by the id alone */
#define HOLDS(j, t) (jobs[j].state == RUNNING)
#else
#define HOLDS(j, t) (jobs[j].state == RUNNING && jobs[j].token == t)
#endif
#ifdef M9 /* a repeated put is not looked for */
#define CAN_PUT(j) (!IS_LIVE(j) && !KEY_TAKEN(j) && jobs[j].made < 3)
#else
#define CAN_PUT(j) (jobs[j].state == ABSENT && !KEY_TAKEN(j))
#endif

/* ---- what the store does with what arrives: each is one step ------------------------------------------------------- */

inline leave_running(j, to)
{
    jobs[j].state = to;
    jobs[j].expired = false;
    running--;
    slots--
}

inline give_up_or_again(j)
{
    if
#ifdef M6 /* the limit is looked at by the claim only, and not here */
    :: true -> leave_running(j, WAITING)
#else
    :: MAY_START(j) -> leave_running(j, WAITING)
    :: !MAY_START(j) -> leave_running(j, DEAD)
#endif
    fi
}

#define PUT(j)                                     \
    :: atomic { CAN_PUT(j) ->                      \
           jobs[j].state = WAITING;                \
           jobs[j].made++;                         \
           assert(jobs[j].made == 1);              \
           assert(!(one_key && IS_LIVE(0) && IS_LIVE(1))) }

#define ACK(j, t)                                  \
    :: atomic { mail[j].ack[t] && HOLDS(j, t) ->   \
           assert(mail[j].sent_in[t] == jobs[j].fence); \
           jobs[j].accepted++;                     \
           assert(jobs[j].accepted == 1);          \
           leave_running(j, DONE) }

#define FAIL(j, t)                                 \
    :: atomic { mail[j].fail[t] && HOLDS(j, t) ->  \
           assert(mail[j].sent_in[t] == jobs[j].fence); \
           jobs[j].failures++;                     \
           give_up_or_again(j) }

#ifdef M7 /* a repeated ack gives its slot back once more */
#define AGAIN(j, t)                                \
    :: atomic { mail[j].ack[t] && jobs[j].state == DONE && slots > 0 -> slots--; assert(slots == running) }
#else
#define AGAIN(j, t)
#endif

#define ARRIVES(j, t) ACK(j, t) FAIL(j, t) AGAIN(j, t)

active proctype network()
{
end:
    do
    PUT(0)
    PUT(1)
    ARRIVES(0, 1) ARRIVES(0, 2) ARRIVES(0, 3) ARRIVES(0, 4) ARRIVES(0, 5)
    ARRIVES(1, 1) ARRIVES(1, 2) ARRIVES(1, 3) ARRIVES(1, 4) ARRIVES(1, 5)
    od
}

/* ---- time, workers, the sweeper ------------------------------------------------------------------------------------- */

active proctype lease_clock()
{
end:
    do
    :: atomic { jobs[0].state == RUNNING && !jobs[0].expired -> jobs[0].expired = true }
    :: atomic { jobs[1].state == RUNNING && !jobs[1].expired -> jobs[1].expired = true }
    od
}

/* Its answer may be lost: then the row runs and nobody knows. */
#define CLAIM(w, j)                                                    \
    :: atomic { jobs[j].state == WAITING && MAY_START(j) -> \
           jobs[j].state = RUNNING;                                    \
           jobs[j].fence++;                                            \
           jobs[j].token = NEW_TOKEN(w, j);                            \
           jobs[j].starts++;                                           \
           assert(jobs[j].starts <= MAX_STARTS);                       \
           assert(jobs[j].accepted == 0);                              \
           running++;                                                  \
           slots++;                                                    \
           assert(slots == running);                                   \
           if                                                          \
           :: workers[w].token[j] = jobs[j].token; workers[w].fence[j] = jobs[j].fence \
           :: skip                                                     \
           fi }

/* Its last word on the job; afterwards it knows nothing of it. */
#define SEND(w, j, kind)                                               \
    :: atomic { workers[w].token[j] ->                                 \
           mail[j].kind[workers[w].token[j]] = true;                   \
           mail[j].sent_in[workers[w].token[j]] = workers[w].fence[j]; \
           workers[w].token[j] = 0; workers[w].fence[j] = 0 }

/* Not delayed: a late heartbeat is one that finds the lease run out. */
#define BEAT(w, j)                                                     \
    :: atomic { workers[w].token[j] && HOLDS(j, workers[w].token[j]) && jobs[j].expired -> jobs[j].expired = false }

#define CRASH(w)                                                       \
    :: atomic { workers[w].token[0] || workers[w].token[1] ->          \
           workers[w].token[0] = 0; workers[w].fence[0] = 0;           \
           workers[w].token[1] = 0; workers[w].fence[1] = 0 }

#define WORK(w, j) CLAIM(w, j) SEND(w, j, ack) SEND(w, j, fail) BEAT(w, j)

active [2] proctype work()
{
    byte w = _pid - 2; /* the third and the fourth process */
end:
    do
    WORK(w, 0)
    WORK(w, 1)
    CRASH(w)
    od
}

/* What a sweeper writes when it judges a lost lease. */
inline judge(j)
{
    assert(!HAS_ENDED(j));
#ifdef M5 /* a start is counted by a failure only */
    skip;
#else
    jobs[j].crashes++;
#endif
    give_up_or_again(j)
}

#ifdef M8 /* nobody looks for lost leases */
#define SWEEP(j)
#else
#if defined(M2) || defined(M3)
/* Reads first and writes later what it has read. */
#define SWEEP(j)                                                       \
    :: atomic { !sweeping && jobs[j].state == RUNNING && jobs[j].expired -> \
           sweeping = true; swept = j; swept_token = jobs[j].token }
#else
/* Takes the lease first: from then on its token is the one that counts. */
#define SWEEP(j)                                                       \
    :: atomic { !sweeping && jobs[j].state == RUNNING && jobs[j].expired -> \
           sweeping = true; swept = j;                                 \
           jobs[j].fence++;                                            \
           jobs[j].token = jobs[j].fence;                              \
           jobs[j].expired = false;                                    \
           swept_token = jobs[j].token }
#endif
#endif

active proctype sweeper()
{
end:
    do
    SWEEP(0)
    SWEEP(1)
#ifdef M2 /* writes by the id alone */
    :: atomic { sweeping -> sweeping = false; judge(swept) }
#else
#ifdef M3 /* looks at the token, and not at the lease again */
    :: atomic { sweeping && jobs[swept].state == RUNNING && jobs[swept].token == swept_token ->
           assert(jobs[swept].expired);
           sweeping = false; judge(swept) }
    :: atomic { sweeping && !(jobs[swept].state == RUNNING && jobs[swept].token == swept_token) -> sweeping = false }
#else
    :: atomic { sweeping && jobs[swept].state == RUNNING && jobs[swept].token == swept_token ->
           sweeping = false; judge(swept) }
    :: atomic { sweeping && !(jobs[swept].state == RUNNING && jobs[swept].token == swept_token) -> sweeping = false }
    :: atomic { sweeping && !died -> died = true; sweeping = false } /* the lease passes again */
#endif
#endif
    od
}

/* When nothing can happen any more every job must have ended. */
init
{
    if
    :: one_key = true
    :: one_key = false
    fi;
    timeout;
    assert(HAS_ENDED(0) && HAS_ENDED(1))
}
