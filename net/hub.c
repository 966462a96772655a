/* SPDX-License-Identifier: MIT */
/*
 * With two things plugged in, a hub is a piece of cable: who is full makes the other one wait.  With more, one that takes
 * nothing must not stop the others: it has a queue, and what does not fit that is dropped and counted, as on a real hub.
 * A port accepts the offloads that all others' far ends accept.
 */
#include "net/hub.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { QUEUE = 128 /* frames */, BATCH = 16 };

struct queued {
	struct frame frame;
	struct iovec iov;               /* its bytes, allocated */
};

struct hub_end {
	struct hub *hub;
	struct port port;
	struct queued queue[QUEUE];
	unsigned first, count;
};

struct hub {
	int id;
	unsigned ends;
	struct hub_end *end[HUB_PORTS_MAX];
};

static unsigned plugged(const struct hub *h)
{
	unsigned n = 0;

	for (unsigned i = 0; i < h->ends; i++)
		n += h->end[i]->port.peer != NULL;
	return n;
}

static void enqueue(struct hub_end *e, const struct frame *f)
{
	struct queued *q = &e->queue[(e->first + e->count) % QUEUE];
	uint8_t *copy;

	if (e->count == QUEUE) {
		e->port.stats.dropped++;
		return;
	}
	copy = malloc(f->len);
	assert(copy);
	q->iov = (struct iovec){ copy, frame_copy(f, 0, copy, f->len) };
	q->frame = *f;
	q->frame.iov = &q->iov;
	q->frame.iov_count = 1;
	e->count++;
}

static void drop_queue(struct hub_end *e)
{
	for (; e->count; e->count--, e->first = (e->first + 1) % QUEUE)
		free(e->queue[e->first].iov.iov_base);
}

static void send_queue(struct hub_end *e)
{
	while (e->count) {
		struct frame batch[BATCH];
		unsigned n = MIN(e->count, BATCH);
		size_t sent;

		for (unsigned i = 0; i < n; i++)
			batch[i] = e->queue[(e->first + i) % QUEUE].frame;
		sent = port_send(&e->port, batch, n);
		for (size_t i = 0; i < sent; i++, e->count--, e->first = (e->first + 1) % QUEUE)
			free(e->queue[e->first].iov.iov_base);
		if (sent < n)
			return;
	}
}

static size_t receive(void *owner, const struct frame *frames, size_t n)
{
	struct hub_end *from = owner;
	struct hub *h = from->hub;
	bool cable = plugged(h) == 2;

	for (unsigned i = 0; i < h->ends; i++) {
		struct hub_end *e = h->end[i];
		size_t sent = 0;

		if (e == from)
			continue;
		/* an end that is in the middle of a send is the one that asks: two hubs in a circle */
		if (!e->port.sending && !e->count)
			sent = port_send(&e->port, frames, n);
		if (cable && e->port.peer && !e->count && !e->port.sending)
			return sent;
		for (; sent < n; sent++)
			enqueue(e, &frames[sent]);
	}
	return n;
}

static void ready(void *owner)
{
	struct hub_end *e = owner;
	struct hub *h = e->hub;

	send_queue(e);
	for (unsigned i = 0; i < h->ends && !e->port.waiting; i++)
		if (h->end[i] != e)
			port_ready(&h->end[i]->port);
}

static void update_accepts(struct hub *h)
{
	for (unsigned i = 0; i < h->ends; i++) {
		unsigned bits = PORT_CSUM | PORT_TSO4 | PORT_TSO6 | PORT_UFO | PORT_USO | PORT_ECN;

		for (unsigned k = 0; k < h->ends; k++)
			if (k != i && h->end[k]->port.peer)
				bits &= port_far_accepts(&h->end[k]->port);
		port_accepts(&h->end[i]->port, bits);
	}
}

static void changed(void *owner)
{
	struct hub_end *e = owner;

	if (!e->port.peer)
		drop_queue(e);
	update_accepts(e->hub);
}

struct hub *hub_new(int id)
{
	struct hub *h = calloc(1, sizeof(*h));

	assert(h);
	h->id = id;
	return h;
}

void hub_free(struct hub *h)
{
	if (!h)
		return;
	while (h->ends)
		hub_remove(h, &h->end[h->ends - 1]->port);
	free(h);
}

int hub_id(const struct hub *h)
{
	return h->id;
}

struct port *hub_add(struct hub *h, const char *name)
{
	static const struct port_ops ops = { .receive = receive, .ready = ready, .changed = changed };
	struct hub_end *e;

	if (h->ends == HUB_PORTS_MAX)
		return NULL;
	e = calloc(1, sizeof(*e));
	assert(e);
	e->hub = h;
	port_init(&e->port, &ops, e, name);
	h->end[h->ends++] = e;
	update_accepts(h);
	return &e->port;
}

void hub_remove(struct hub *h, struct port *p)
{
	for (unsigned i = 0; i < h->ends; i++) {
		struct hub_end *e = h->end[i];

		if (&e->port != p)
			continue;
		port_part(p);
		drop_queue(e);
		memmove(&h->end[i], &h->end[i + 1], (h->ends - i - 1) * sizeof(h->end[0]));
		h->ends--;
		free(e);
		/* who waited for it alone need not any more */
		update_accepts(h);
		for (unsigned k = 0; k < h->ends; k++)
			port_ready(&h->end[k]->port);
		return;
	}
}

unsigned hub_ports(const struct hub *h)
{
	return h->ends;
}

struct port *hub_port(struct hub *h, unsigned i)
{
	return i < h->ends ? &h->end[i]->port : NULL;
}
