/* SPDX-License-Identifier: MIT */
/* Flow tables, and the keyed hash (SipHash-2-4, Aumasson and Bernstein 2012): guests must not choose their buckets. */
#include "unet/flow.h"

#include <assert.h>
#include <stdlib.h>

static inline uint64_t rotl(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] = rotl(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] = rotl(v[2], 32);
}

uint64_t siphash(const uint64_t secret[2], const void *data, size_t len)
{
	uint64_t v[4] = { secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d,
			  secret[0] ^ 0x6c7967656e657261, secret[1] ^ 0x7465646279746573 };
	const uint8_t *p = data;
	uint64_t last = (uint64_t)len << 56;

	for (; len >= 8; p += 8, len -= 8) {
		v[3] ^= le64(p);
		sip_round(v);
		sip_round(v);
		v[0] ^= le64(p);
	}
	for (size_t i = 0; i < len; i++)
		last |= (uint64_t)p[i] << (8 * i);
	v[3] ^= last;
	sip_round(v);
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct flow *object(const struct flow_table *t, uint32_t i)
{
	return (struct flow *)(t->objects + i * t->object_size);
}

bool flow_table_init(struct flow_table *t, uint32_t limit, size_t object_size, const uint8_t secret[16])
{
	uint32_t buckets = 16;

	while (buckets < limit + limit / 2)
		buckets *= 2;
	memset(t, 0, sizeof(*t));
	t->object_size = (object_size + 15) & ~(size_t)15;
	t->objects = calloc(limit, t->object_size);
	t->buckets = calloc(buckets, sizeof(*t->buckets));
	if (!t->objects || !t->buckets) {
		flow_table_free(t);
		return false;
	}
	t->bucket_mask = buckets - 1;
	t->limit = limit;
	memcpy(t->secret, secret, 16);
	return true;
}

void flow_table_free(struct flow_table *t)
{
	free(t->objects);
	free(t->buckets);
	memset(t, 0, sizeof(*t));
}

static struct flow **bucket(const struct flow_table *t, const struct flow_key *k)
{
	return &t->buckets[siphash(t->secret, k, sizeof(*k)) & t->bucket_mask];
}

struct flow *flow_find(const struct flow_table *t, const struct flow_key *k)
{
	for (struct flow *f = *bucket(t, k); f; f = f->next_in_bucket)
		if (!memcmp(&f->key, k, sizeof(*k)))
			return f;
	return NULL;
}

static void link_newest(struct flow_table *t, struct flow *f, unsigned list, uint64_t now)
{
	f->list = (uint8_t)list;
	f->used_ns = now;
	f->newer = NULL;
	f->older = t->lists[list].newest;
	if (f->older)
		f->older->newer = f;
	else
		t->lists[list].oldest = f;
	t->lists[list].newest = f;
	t->lists[list].count++;
}

static void unlink_flow(struct flow_table *t, struct flow *f)
{
	if (f->newer)
		f->newer->older = f->older;
	else
		t->lists[f->list].newest = f->older;
	if (f->older)
		f->older->newer = f->newer;
	else
		t->lists[f->list].oldest = f->newer;
	t->lists[f->list].count--;
}

struct flow *flow_add(struct flow_table *t, const struct flow_key *k, unsigned list, uint64_t now)
{
	struct flow *f = t->free, **b = bucket(t, k);

	if (f)
		t->free = f->next_in_bucket;
	else if (t->fresh < t->limit)
		f = object(t, t->fresh++);
	else
		return NULL;
	memset(f, 0, t->object_size);
	f->key = *k;
	f->live = true;
	f->next_in_bucket = *b;
	*b = f;
	link_newest(t, f, list, now);
	t->count++;
	return f;
}

void flow_remove(struct flow_table *t, struct flow *f)
{
	struct flow **b = bucket(t, &f->key);

	assert(f->live);
	while (*b != f)
		b = &(*b)->next_in_bucket;
	*b = f->next_in_bucket;
	unlink_flow(t, f);
	f->live = false;
	f->next_in_bucket = t->free;
	t->free = f;
	t->count--;
}

void flow_touch(struct flow_table *t, struct flow *f, unsigned list, uint64_t now)
{
	if (f->list == list && !f->newer) {     /* already the newest */
		f->used_ns = now;
		return;
	}
	unlink_flow(t, f);
	link_newest(t, f, list, now);
}

struct flow *flow_expired(const struct flow_table *t, uint64_t now)
{
	for (unsigned i = 0; i < FLOW_LISTS; i++) {
		struct flow *f = t->lists[i].oldest;

		if (f && t->lists[i].idle_ns && now - f->used_ns >= t->lists[i].idle_ns)
			return f;
	}
	return NULL;
}

uint64_t flow_next_expiry(const struct flow_table *t)
{
	uint64_t first = UINT64_MAX;

	for (unsigned i = 0; i < FLOW_LISTS; i++)
		if (t->lists[i].oldest && t->lists[i].idle_ns)
			first = MIN(first, t->lists[i].oldest->used_ns + t->lists[i].idle_ns);
	return first;
}

void flow_forgive(struct flow_table *t, uint64_t pause_ns, uint64_t now)
{
	for (unsigned i = 0; i < FLOW_LISTS; i++) {
		uint64_t idle = t->lists[i].idle_ns, least = idle ? now - MIN(now, idle / 4 * 3) : 0;

		for (struct flow *f = t->lists[i].oldest; f; f = f->newer)
			f->used_ns = MIN(MAX(f->used_ns + pause_ns, least), now);
	}
}

struct flow *flow_next(const struct flow_table *t, const struct flow *f)
{
	uint32_t i = f ? (uint32_t)(((const uint8_t *)f - t->objects) / t->object_size) + 1 : 0;

	for (; i < t->fresh; i++)
		if (object(t, i)->live)
			return object(t, i);
	return NULL;
}
