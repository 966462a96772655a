/* SPDX-License-Identifier: MIT */
/*
 * Reassembly of fragments (RFC 791 section 3.2, RFC 8200 section 4.5; RFC 815's idea of holes kept as a sorted list of
 * what is there).
 *
 * Bounded thrice: by datagrams, by fragments of one datagram, and by bytes held in all.  When a bound is met the oldest
 * datagram goes.  Fragments that overlap others with anything but an exact copy condemn their datagram, as RFC 5722
 * says for IPv6: nobody honest sends them.
 */
#include <stdlib.h>

#include "unet/stack.h"

enum {
	PARTS_MAX = 128,                /* of one datagram: 64 KB in pieces of 576 bytes */
	HELD_MAX = 1 << 20,             /* bytes in all */
	PART_COST = 64,                 /* what a fragment counts beside its bytes */
};
#define LIFETIME S(30)

struct part {
	uint16_t offset, len;
	uint8_t *data;
};

struct datagram {
	bool used, condemned;
	struct addr src, dst;
	uint8_t protocol;
	uint32_t id;
	uint64_t born_ns, order;
	uint32_t total;                 /* 0: the last fragment is not here yet */
	uint32_t have, cost;
	struct packet first;            /* header of the fragment at offset 0 */
	bool have_first;
	unsigned count;
	struct part parts[PARTS_MAX];   /* sorted, disjoint */
};

struct reassembly {
	struct unet *u;
	struct datagram *datagrams;
	uint32_t limit, used, held;
	uint64_t order;
	struct timer timer;
};

static void forget(struct reassembly *r, struct datagram *d)
{
	for (unsigned i = 0; i < d->count; i++)
		free(d->parts[i].data);
	r->held -= d->cost;
	r->used--;
	d->used = false;
	d->count = 0;
}

static struct datagram *oldest(struct reassembly *r)
{
	struct datagram *o = NULL;

	for (uint32_t i = 0; i < r->limit; i++)
		if (r->datagrams[i].used && (!o || r->datagrams[i].order < o->order))
			o = &r->datagrams[i];
	return o;
}

static void arm(struct reassembly *r)
{
	struct datagram *o = oldest(r);

	timer_set(&r->timer, o ? o->born_ns + LIFETIME : CLOCK_NEVER);
}

/* Time is up: RFC 792 wants to hear of it if the first fragment came. */
static void expired(void *owner)
{
	struct reassembly *r = owner;
	uint64_t now = unet_now(r->u);

	unet_enter(r->u);
	for (struct datagram *o = oldest(r); o && now - o->born_ns >= LIFETIME; o = oldest(r)) {
		if (o->have_first && o->count && !r->u->cfg.restricted) {
			uint8_t quote[IP4_HLEN_MAX + ICMP_QUOTE_MAX];
			uint32_t n = MIN(o->parts[0].len, ICMP_QUOTE_MAX - IP4_HLEN_MAX);

			memcpy(quote, o->first.ip, o->first.ip_len);
			memcpy(quote + o->first.ip_len, o->parts[0].data, n);
			icmp_error_bytes(r->u, ip_gateway(r->u, &o->src), &o->src, icmp_for(&o->src, ICMP_REASS_EXCEEDED), 0,
					 quote, o->first.ip_len + n);
		}
		forget(r, o);
		r->u->counters.fragments_timed_out++;
	}
	arm(r);
	unet_leave(r->u);
}

static struct datagram *find(struct reassembly *r, const struct packet *p, uint32_t id)
{
	struct datagram *spare = NULL;

	for (uint32_t i = 0; i < r->limit; i++) {
		struct datagram *d = &r->datagrams[i];

		if (!d->used)
			spare = d;
		else if (d->id == id && (d->protocol == p->protocol || !addr_is4(&p->src)) && addr_equal(&d->src, &p->src) &&
			 addr_equal(&d->dst, &p->dst))
			return d;
	}
	if (!spare) {
		spare = oldest(r);
		forget(r, spare);
		r->u->counters.limit_fragments++;
	}
	memset(spare, 0, offsetof(struct datagram, parts));
	spare->used = true;
	spare->src = p->src;
	spare->dst = p->dst;
	spare->protocol = p->protocol;
	spare->id = id;
	spare->born_ns = unet_now(r->u);
	spare->order = r->order++;
	r->used++;
	return spare;
}

/* Puts a fragment in its place; false condemns the datagram. */
static bool insert(struct reassembly *r, struct datagram *d, struct slice body, uint32_t offset)
{
	uint32_t end = offset + body.len;
	unsigned at = 0;
	uint8_t *data;

	while (at < d->count && d->parts[at].offset < offset)
		at++;
	if (at < d->count && d->parts[at].offset == offset && d->parts[at].len == body.len)
		return true;            /* a copy; the first one counts */
	if ((at > 0 && (uint32_t)d->parts[at - 1].offset + d->parts[at - 1].len > offset) ||
	    (at < d->count && d->parts[at].offset < end) || d->count == PARTS_MAX)
		return false;
	data = malloc(body.len);
	if (!data)
		return false;
	slice_copy(body, 0, data, body.len);
	memmove(&d->parts[at + 1], &d->parts[at], (d->count - at) * sizeof(d->parts[0]));
	d->parts[at] = (struct part){ (uint16_t)offset, (uint16_t)body.len, data };
	d->count++;
	d->have += body.len;
	d->cost += body.len + PART_COST;
	r->held += body.len + PART_COST;
	return true;
}

static void deliver(struct reassembly *r, struct datagram *d)
{
	struct packet p = d->first;
	uint8_t *buf = malloc(p.ip_len + d->total);
	struct iovec iov = { buf, p.ip_len + d->total };
	struct unet *u = r->u;

	if (buf) {
		memcpy(buf, p.ip, p.ip_len);
		for (unsigned i = 0; i < d->count; i++)
			memcpy(buf + p.ip_len + d->parts[i].offset, d->parts[i].data, d->parts[i].len);
	}
	forget(r, d);
	if (!buf)
		return;
	p.whole = slice_of(&iov);
	p.body = slice_from(p.whole, p.ip_len);
	p.copied = true;
	if (addr_is4(&p.src))
		ip_deliver(u, &p);
	else
		ip6_reassembled(u, &p);
	tcp_flush_pieces(u);            /* they point into buf */
	udp_flush(u);
	free(buf);
}

void reass_input(struct unet *u, const struct packet *p, uint32_t id, uint32_t offset, bool more)
{
	struct reassembly *r = u->reassembly;
	uint32_t end = offset + p->body.len;
	struct datagram *d;

	if (p->body.len == 0 || end + p->ip_len > 65535 || (more && p->body.len % 8)) {
		u->counters.dropped_malformed++;
		return;
	}
	d = find(r, p, id);
	if (!d->condemned && (more ? d->total && end > d->total : (d->total && d->total != end) ||
	     (d->count && (uint32_t)d->parts[d->count - 1].offset + d->parts[d->count - 1].len > end)))
		d->condemned = true;
	if (!d->condemned && !insert(r, d, p->body, offset))
		d->condemned = true;
	if (d->condemned) {             /* stays in the table, empty, so that its other fragments go nowhere */
		u->counters.dropped_malformed++;
		for (unsigned i = 0; i < d->count; i++)
			free(d->parts[i].data);
		d->count = 0;
		r->held -= d->cost;
		d->cost = 0;
		arm(r);
		return;
	}
	if (!more)
		d->total = end;
	if (offset == 0) {
		d->first = *p;
		d->have_first = true;
	}
	if (d->total && d->have == d->total && d->have_first)
		deliver(r, d);
	while (r->held > HELD_MAX) {
		forget(r, oldest(r));
		u->counters.limit_fragments++;
	}
	arm(r);
}

uint32_t reass_held(const struct reassembly *r)
{
	return r->held;
}

struct reassembly *reass_new(struct unet *u, uint32_t datagrams)
{
	struct reassembly *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->u = u;
	r->limit = datagrams;
	r->datagrams = calloc(datagrams, sizeof(*r->datagrams));
	if (!r->datagrams) {
		free(r);
		return NULL;
	}
	timer_init(&r->timer, u->cfg.clock, expired, r);
	return r;
}

void reass_free(struct reassembly *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < r->limit; i++)
		if (r->datagrams[i].used)
			forget(r, &r->datagrams[i]);
	timer_cancel(&r->timer);
	free(r->datagrams);
	free(r);
}
