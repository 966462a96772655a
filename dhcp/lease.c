/* SPDX-License-Identifier: MIT */
#include "dhcp/lease.h"

#include <string.h>

#include "base/bytes.h"

void client_set(struct client *c, const uint8_t *id, size_t len)
{
	memset(c, 0, sizeof(*c));
	c->len = (uint8_t)MIN(len, 255);
	memcpy(c->id, id, MIN(len, CLIENT_ID_MAX));
	for (size_t i = CLIENT_ID_MAX; i < len; i++)
		c->id[i % CLIENT_ID_MAX] = (uint8_t)(c->id[i % CLIENT_ID_MAX] * 31 + id[i]);
}

void lease_init_range(struct lease_table *t, uint32_t first, uint32_t count)
{
	memset(t, 0, sizeof(*t));
	t->first = first;
	t->count = MIN(count, (uint32_t)DHCP_LEASES_MAX);
}

void lease_reserve(struct lease_table *t, uint32_t address)
{
	if (address - t->first < t->count)
		t->reserved[address - t->first] = true;
}

unsigned lease_count(const struct lease_table *t, uint64_t now)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->count; i++)
		n += t->leases[i].state != LEASE_FREE && now < t->leases[i].until_ns;
	return n;
}

void lease_init(struct lease_table *t, const struct dhcp_config *c)
{
	uint32_t first = ntohl(c->first.s_addr), last = ntohl(c->net.s_addr | ~c->mask.s_addr);

	/* the last one is the broadcast's */
	lease_init_range(t, first, first < last ? last - first : 0);
	lease_reserve(t, ntohl(c->server.s_addr));
	lease_reserve(t, ntohl(c->dns.s_addr));
	for (unsigned i = 0; i < c->reserved_count; i++)
		lease_reserve(t, ntohl(c->reserved[i].s_addr));
}

uint32_t lease_address(const struct lease_table *t, const struct lease *l)
{
	return t->first + (uint32_t)(l - t->leases);
}

static bool usable(const struct lease_table *t, const struct lease *l)
{
	return !t->reserved[l - t->leases];
}

static bool same(const struct client *a, const struct client *b)
{
	return a->len == b->len && !memcmp(a->id, b->id, MIN(a->len, CLIENT_ID_MAX));
}

struct lease *lease_of(struct lease_table *t, const struct client *c)
{
	for (unsigned i = 0; i < t->count; i++)
		if (t->leases[i].client.len && same(&t->leases[i].client, c))
			return &t->leases[i];
	return NULL;
}

struct lease *lease_at(struct lease_table *t, uint32_t address)
{
	struct lease *l;

	if (address < t->first || address - t->first >= t->count)
		return NULL;
	l = &t->leases[address - t->first];
	return usable(t, l) ? l : NULL;
}

bool lease_available(const struct lease *l, const struct client *c, uint64_t now)
{
	if (l->state == LEASE_FREE || now >= l->until_ns)
		return true;
	return l->state != LEASE_DECLINED && same(&l->client, c);
}

/* Whether a is the better one to take from its client. */
static bool sooner_given_up(const struct lease *a, const struct lease *b)
{
	if ((a->state == LEASE_OFFERED) != (b->state == LEASE_OFFERED))
		return a->state == LEASE_OFFERED;
	return a->used_ns < b->used_ns;
}

struct lease *lease_pick(struct lease_table *t, const struct client *c, uint64_t now)
{
	struct lease *best = NULL, *taken = NULL;

	for (unsigned i = 0; i < t->count; i++) {
		struct lease *l = &t->leases[i];

		if (!usable(t, l))
			continue;
		if (!lease_available(l, c, now)) {
			if (!taken || sooner_given_up(l, taken))
				taken = l;
			continue;
		}
		if (!l->client.len)
			return l;
		if (!best || l->until_ns < best->until_ns)
			best = l;
	}
	return best ? best : taken;
}

void lease_set(struct lease_table *t, struct lease *l, const struct client *c, enum lease_state state, uint64_t now,
	       uint64_t until)
{
	for (unsigned i = 0; i < t->count; i++) {
		struct lease *other = &t->leases[i];

		if (other != l && other->client.len && same(&other->client, c))
			memset(other, 0, sizeof(*other));
	}
	l->client = *c;
	l->state = (uint8_t)state;
	l->used_ns = now;
	l->until_ns = until;
}
