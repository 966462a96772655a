/* SPDX-License-Identifier: MIT */
/*
 * A table of flows: a fixed number of equal objects, found by key in constant time, with lists in order of last use.
 * Each list has its own idle time, so expiry looks only at list tails; when the table is full the owner evicts the
 * flow that was idle longest.
 */
#ifndef UNET_FLOW_H
#define UNET_FLOW_H

#include "unet/addr.h"

struct flow_key {
	struct addr guest, far;         /* far is zero where the mapping does not depend on it */
	uint16_t guest_port, far_port;
	uint32_t zero;                  /* keys are compared as bytes */
};

enum { FLOW_LISTS = 5 };

/* First member of each flow object. */
struct flow {
	struct flow_key key;
	struct flow *next_in_bucket;
	struct flow *newer, *older;     /* in its list */
	uint64_t used_ns;
	uint8_t list;
	bool live;
};

struct flow_table {
	struct flow **buckets;
	uint32_t bucket_mask;
	uint8_t *objects;
	size_t object_size;
	uint32_t limit, count;
	uint32_t fresh;                 /* objects from here on were never used: their memory is not touched */
	struct flow *free;              /* used before; chained by next_in_bucket */
	struct {
		struct flow *newest, *oldest;
		uint64_t idle_ns;       /* 0: never expires */
		uint32_t count;
	} lists[FLOW_LISTS];
	uint64_t secret[2];
};

bool flow_table_init(struct flow_table *t, uint32_t limit, size_t object_size, const uint8_t secret[16]);
void flow_table_free(struct flow_table *t);

struct flow *flow_find(const struct flow_table *t, const struct flow_key *k);
/* A zeroed flow on list `list`; NULL if the table is full.  The key must not be in the table. */
struct flow *flow_add(struct flow_table *t, const struct flow_key *k, unsigned list, uint64_t now);
void flow_remove(struct flow_table *t, struct flow *f);
/* It was used now, and belongs on this list. */
void flow_touch(struct flow_table *t, struct flow *f, unsigned list, uint64_t now);
/* A flow whose idle time has passed, or NULL. */
struct flow *flow_expired(const struct flow_table *t, uint64_t now);
/* When the next one expires; UINT64_MAX: never. */
uint64_t flow_next_expiry(const struct flow_table *t);
/* Nobody was there to use them for so long: it does not count as idle, and the last quarter of its time each has anew. */
void flow_forgive(struct flow_table *t, uint64_t pause_ns, uint64_t now);
/* All flows, in no order: start with NULL.  The one handed out may be removed before the next call. */
struct flow *flow_next(const struct flow_table *t, const struct flow *f);

/* SipHash-2-4 of len bytes. */
uint64_t siphash(const uint64_t secret[2], const void *data, size_t len);

#endif
