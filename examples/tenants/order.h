/* SPDX-License-Identifier: MIT */
#ifndef TENANTS_ORDER_H
#define TENANTS_ORDER_H

/*
 * What a tenant asks for, checked and with its defaults, as a job: which queue, how often it is tried, how
 * long it may take, and the key by which the same content is one job. Pure.
 */

#include <jansson.h>
#include <jobq/jobq.h>

#define ORDER_WHY        300
#define TENANT_MAX_BYTES 64
#define ORDER_QUEUES     9

enum order_class { CLASS_HIGH, CLASS_MEDIUM, CLASS_LOW, CLASS_COUNT };

/* How many jobs of a class a process works on at once. */
extern const size_t order_threads[CLASS_COUNT];

struct trade {
    const char *queue, *kind;
    enum order_class class;
    int32_t weight; /* turns among the queues of its class */
    int32_t priority, max_attempts;
    int64_t base_ms, timeout_ms;
    int32_t key_hold;
    int64_t key_window_ms;
};

/* All nine, by class. */
extern const struct trade order_trades[ORDER_QUEUES];

const struct trade *order_trade(const char *queue);

struct order {
    const struct trade *trade;
    const char *kind;
    char tenant[TENANT_MAX_BYTES + 1];
    char *payload;   /* owned */
    uint8_t key[32]; /* of type, tenant, payload */
    int32_t priority;
    int64_t delay_ms;
};

/* Letters, digits, '_' and '-', at most 64: it is a folder's name too. */
int order_is_tenant(const char *text);

/* `data` is taken as the seed has it, with "priority" and "delay" besides. 0, or -1 and why. */
int order_read(struct order *out, const char *queue, const char *tenant, const json_t *data,
               char why[ORDER_WHY]);
void order_free(struct order *order);

/* Lent by the order and `backoff`. */
struct jobq_spec order_spec(const struct order *order, struct jobq_backoff *backoff);

#endif
