/* SPDX-License-Identifier: MIT */
/* What counts for a rate: read when a rate is asked about, written once, at the end of the exchange. */
#include "store.h"

#define GAUGE_NUMBERS 13
#define GAUGE_BYTES (8 * GAUGE_NUMBERS)
#define TENTHS 11

static void write_number(uint8_t *at, int64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)((uint64_t)value >> 8 * (7 - i));
}

static int64_t read_number(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | at[i];
    return (int64_t)value;
}

static void unpack(const uint8_t *at, struct jobq_gauge *out)
{
    out->tenth_ms = read_number(at);
    out->newest = read_number(at + 8);
    for (int i = 0; i < TENTHS; i++)
        out->counts[i] = read_number(at + 16 + 8 * i);
}

static void pack(const struct jobq_gauge *gauge, uint8_t *at)
{
    write_number(at, gauge->tenth_ms);
    write_number(at + 8, gauge->newest);
    for (int i = 0; i < TENTHS; i++)
        write_number(at + 16 + 8 * i, gauge->counts[i]);
}

int sq_meter_read(struct jobq_store *s, enum gauge of, struct jobq_bytes name, struct meter *m)
{
    if (m->read)
        return 0;
    *m = (struct meter){ .read = true };
    sqlite3_stmt *row = sq_start(s, SQL_GAUGE_GET, VALUES(number(of), bytes(name)));
    int found = sq_step(s, row);
    if (found <= 0)
        return found;
    struct jobq_bytes stored = sq_column_bytes(row, 0);
    bool sound = stored.size == GAUGE_BYTES;
    if (sound)
        unpack(stored.data, &m->gauge);
    sqlite3_reset(row);
    return sound && m->gauge.tenth_ms > 0 ? 0 : sq_fault_text(s, SQLITE_CORRUPT, "the count of a rate cannot be read");
}

/* Those that count nothing any more go in passing, so that they do not pile up. */
int sq_meter_write(struct turn *t, enum gauge of, struct jobq_bytes name, struct meter *m)
{
    uint8_t packed[GAUGE_BYTES];
    if (!m->counted)
        return 0;
    m->counted = false;
    pack(&m->gauge, packed);
    int64_t last = jobq_add_ms(m->gauge.newest, TENTHS), tenth_ms = m->gauge.tenth_ms;
    int64_t fades = last > INT64_MAX / tenth_ms ? INT64_MAX : last * tenth_ms;
    if (sq_run(t->s, SQL_GAUGE_SET, VALUES(number(of), bytes(name), number(fades), blob(packed, sizeof packed))) != 0)
        return -1;
    return sq_run(t->s, SQL_GAUGE_FADE, VALUES(number(t->now)));
}

void sq_meter_count(struct meter *m, int64_t period_ms, int64_t now, int64_t count)
{
    jobq_gauge_add(&m->gauge, period_ms, now, count);
    m->counted = true;
}
