/* SPDX-License-Identifier: MIT */
#include "unet/mapping.h"

#include <stdio.h>

bool mappings_init(struct unet *u, struct flow_table *t, uint32_t limit)
{
	return flow_table_init(t, limit, sizeof(struct mapping), (const uint8_t *)u->secret);
}

struct mapping *mapping_new(struct unet *u, struct flow_table *t, const struct flow_key *key, unsigned list, int fd,
			    void (*readable)(void *owner, unsigned events))
{
	struct mapping *m = (struct mapping *)flow_add(t, key, list, unet_now(u));

	m->u = u;
	m->table = t;
	m->fd = fd;
	m->opened_ns = unet_now(u);
	SOCK(u, set, fd, SOCK_ERROR_QUEUE, 1);
	if (SOCK(u, watch, fd, &m->watch, LOOP_READ, readable, m) < 0) {
		mapping_close(m);
		return NULL;
	}
	unet_arm_expiry(u);
	return m;
}

static void unpause(struct mapping *m)
{
	if (!m->paused_link)
		return;
	*m->paused_link = m->next_paused;
	if (m->next_paused)
		m->next_paused->paused_link = m->paused_link;
	m->paused_link = NULL;
}

void mapping_close(struct mapping *m)
{
	struct unet *u = m->u;

	udp_flush(u);                   /* some of it may be for this socket */
	unpause(m);
	SOCK(u, unwatch, &m->watch);
	SOCK(u, close, m->fd);
	flow_remove(m->table, &m->flow);
}

void mapping_pass_ttl(struct mapping *m, uint8_t guest_ttl)
{
	uint8_t ttl = guest_ttl - 1;

	if (m->ttl == ttl || !ttl)
		return;
	udp_flush(m->u);                /* the last one's datagrams */
	if (SOCK(m->u, set, m->fd, SOCK_TTL, ttl) == 0)
		m->ttl = ttl;
}

void mapping_pause(struct mapping *m)
{
	struct unet *u = m->u;

	if (m->paused_link)
		return;
	SOCK(u, rewatch, &m->watch, 0);
	m->next_paused = u->paused;
	m->paused_link = &u->paused;
	if (u->paused)
		u->paused->paused_link = &m->next_paused;
	u->paused = m;
}

void mappings_resume(struct unet *u)
{
	for (struct mapping *m; (m = u->paused);) {
		unpause(m);
		SOCK(u, rewatch, &m->watch, LOOP_READ);
	}
}

void mappings_expire(struct flow_table *t, uint64_t now)
{
	struct flow *f;

	while ((f = flow_expired(t, now)))
		mapping_close((struct mapping *)f);
}

void mappings_free(struct flow_table *t)
{
	struct flow *f = NULL;

	while (t->objects && (f = flow_next(t, f)))
		mapping_close((struct mapping *)f);
	flow_table_free(t);
}

void mappings_print(struct unet *u, const struct flow_table *t, const char *protocol, bool ports,
		    void (*out)(void *to, const char *line), void *to)
{
	for (struct flow *f = flow_next(t, NULL); f; f = flow_next(t, f)) {
		struct mapping *m = (struct mapping *)f;
		uint64_t left = t->lists[f->list].idle_ns - (unet_now(u) - f->used_ns);
		char label[24];

		snprintf(label, sizeof(label), "  %s[%u sec]", protocol, (unsigned)(left / S(1)));
		print_row(u, &(struct print_row){
			.label = label, .fd = m->fd, .src = f->key.guest, .src_port = ports ? f->key.guest_port : -1,
			.dst = m->last_to, .dst_port = ports ? m->last_port : -1, .flow = true, .opened_ns = m->opened_ns,
			.to_host = m->to_host, .to_guest = m->to_guest }, out, to);
	}
}
