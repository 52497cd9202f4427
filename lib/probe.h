/* SPDX-License-Identifier: MIT */
/* Static probes for tracers (bpftrace, perf, systemtap): provider "jobq", one probe for each enum jobq_hook_what, named
 * like it in small letters. Each has: id (16 bytes), reason, attempt, fence, queue and its size. Where <sys/sdt.h> was
 * there at build time a probe is one instruction that does nothing; where it was not there is none. */
#ifndef JOBQ_PROBE_H
#define JOBQ_PROBE_H

#ifndef JOBQ_PROBES /* the build says */
#define JOBQ_PROBES 0
#endif
#if JOBQ_PROBES
#include <sys/sdt.h>
#define PROBE(name, h) \
    DTRACE_PROBE6(jobq, name, (h)->id.bytes, (h)->reason, (h)->attempt, (h)->fence, (h)->queue.data, (h)->queue.size)
#else
#define PROBE(name, h) ((void)(h))
#endif

#endif
