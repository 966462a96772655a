/* SPDX-License-Identifier: MIT */
/*
 * Frames in and out of the port.
 *
 * Out: everything unet sends waits in a queue until the work at hand is done, and leaves in batches of up to BATCH.  A
 * full far end leaves the rest in the queue; TCP data is then refused (lwIP keeps it), sockets are not read, and only
 * short answers still find room.  port_ready() sets it all going again.
 */
#include "base/checksum.h"
#include "unet/stack.h"

enum { BATCH = 32 };

/* --- scatter lists ---------------------------------------------------------------------------------------------- */

struct slice slice_from(struct slice s, uint32_t offset)
{
	if (offset >= s.len)
		return (struct slice){ s.iov, 0, 0, 0 };
	s.len -= offset;
	s.skip += offset;
	while (s.count && s.skip >= s.iov->iov_len) {
		s.skip -= (uint32_t)s.iov->iov_len;
		s.iov++;
		s.count--;
	}
	return s;
}

/* Walks the pieces of a run: p and n are the bytes of one and their number. */
struct walk {
	struct slice s;
	const uint8_t *p;
	uint32_t n;
};

static bool walk(struct walk *w)
{
	while (w->s.len && w->s.count) {
		uint32_t here = (uint32_t)w->s.iov->iov_len - w->s.skip;

		w->p = (const uint8_t *)w->s.iov->iov_base + w->s.skip;
		w->n = MIN(here, w->s.len);
		w->s.len -= w->n;
		w->s.iov++;
		w->s.count--;
		w->s.skip = 0;
		if (w->n)
			return true;
	}
	return false;
}

uint32_t slice_copy(struct slice s, uint32_t offset, void *buf, uint32_t len)
{
	struct walk w = { .s = slice_cut(slice_from(s, offset), len) };
	uint32_t got = 0;

	while (walk(&w)) {
		memcpy((uint8_t *)buf + got, w.p, w.n);
		got += w.n;
	}
	return got;
}

int slice_iov(struct slice s, struct iovec *out, int max)
{
	struct walk w = { .s = s };
	int n = 0;

	while (walk(&w)) {
		if (n == max)
			return -1;
		out[n++] = (struct iovec){ (void *)w.p, w.n };
	}
	return n;
}

uint64_t slice_sum(struct slice s, uint64_t sum)
{
	struct walk w = { .s = s };
	bool odd = false;

	while (walk(&w)) {
		uint64_t part = checksum_add(0, w.p, w.n);

		if (odd)                /* this piece starts in the middle of a word: its sum is byte-swapped */
			part = __builtin_bswap16(checksum_fold(part));
		sum += part;
		odd ^= w.n & 1;
	}
	return sum;
}

/* --- out -------------------------------------------------------------------------------------------------------- */

static struct out_frame *nth(struct unet *u, uint32_t i)
{
	return &u->out[(u->out_first + i) % OUT_QUEUE];
}

struct pbuf *netif_own(struct pbuf *p)
{
	struct pbuf *q = pbuf_alloc(PBUF_RAW, p->tot_len, PBUF_RAM);

	if (q) {
		pbuf_copy(q, p);
		pbuf_free(p);
	}
	return q;
}

/* More pieces than OUT_IOV: make one of them. */
static struct pbuf *in_few_pieces(struct pbuf *p)
{
	return pbuf_clen(p) <= OUT_IOV ? p : netif_own(p);
}

bool netif_queue(struct unet *u, const uint8_t dst[6], const uint8_t src[6], uint16_t type, struct pbuf *p,
		 const struct facts *facts, bool may_wait)
{
	struct out_frame *f;
	struct pbuf *few;

	if (may_wait && !netif_room(u))
		return false;
	few = u->out_count < OUT_QUEUE && u->port.peer ? in_few_pieces(p) : NULL;
	if (!few) {
		u->counters.limit_frames += u->port.peer != NULL;
		pbuf_free(p);
		return true;
	}
	f = nth(u, u->out_count++);
	f->p = few;
	f->facts = facts ? *facts : (struct facts){ .needs_csum = false };
	memcpy(f->eth, dst, 6);
	memcpy(f->eth + 6, src, 6);
	put_be16(f->eth + 12, type);
	return true;
}

static void describe(struct frame *f, struct iovec *iov, struct out_frame *o)
{
	static const uint8_t zeros[FRAME_MIN];
	uint32_t n = 0;

	iov[n++] = (struct iovec){ o->eth, ETH_HLEN };
	for (struct pbuf *p = o->p; p; p = p->next)
		if (p->len)
			iov[n++] = (struct iovec){ p->payload, p->len };
	*f = (struct frame){ .iov = iov, .len = ETH_HLEN + o->p->tot_len, .needs_csum = o->facts.needs_csum,
			     .gso = o->facts.gso, .gso_size = o->facts.gso_size };
	if (f->needs_csum) {
		f->csum_start = (uint16_t)(o->facts.csum_start + ETH_HLEN);
		f->csum_offset = o->facts.csum_offset;
	}
	if (o->facts.hdr_len)
		f->hdr_len = (uint16_t)(o->facts.hdr_len + ETH_HLEN);
	if (f->len < FRAME_MIN) {
		iov[n++] = (struct iovec){ (void *)zeros, FRAME_MIN - f->len };
		f->len = FRAME_MIN;
	}
	f->iov_count = n;
}

void netif_flush(struct unet *u)
{
	struct frame frames[BATCH];
	struct iovec iov[BATCH][OUT_IOV + 2];

	if (u->flushing)
		return;
	u->flushing = true;
	while (u->out_count && !u->out_full) {
		size_t n = MIN(u->out_count, BATCH), sent;

		for (size_t i = 0; i < n; i++)
			describe(&frames[i], iov[i], nth(u, (uint32_t)i));
		sent = port_send(&u->port, frames, n);
		for (size_t i = 0; i < sent; i++) {
			u->counters.frames_out++;
			u->counters.bytes_out += frames[i].len;
			pbuf_free(nth(u, (uint32_t)i)->p);
		}
		u->out_first = (u->out_first + (uint32_t)sent) % OUT_QUEUE;
		u->out_count -= (uint32_t)sent;
		u->out_done += sent;
		u->out_full = sent < n;
	}
	u->flushing = false;
}

void netif_free_queue(struct unet *u)
{
	for (; u->out_count; u->out_count--) {
		pbuf_free(u->out[u->out_first].p);
		u->out_first = (u->out_first + 1) % OUT_QUEUE;
		u->out_done++;
	}
}

/* --- in --------------------------------------------------------------------------------------------------------- */

static void input(struct unet *u, const struct frame *f)
{
	struct slice s = { f->iov, f->iov_count, 0, f->len };
	uint8_t eth[ETH_HLEN];

	u->counters.frames_in++;
	u->counters.bytes_in += f->len;
	if (slice_copy(s, 0, eth, ETH_HLEN) < ETH_HLEN || (eth[6] & 1)) {
		u->counters.dropped_malformed++;
		return;
	}
	/* to a station: one of ours? (52:55 or 52:56 and an address of unet's) */
	if (!(eth[0] & 1) && be16(eth) != 0x5255 && be16(eth) != 0x5256) {
		u->counters.dropped_station++;
		return;
	}
	s = slice_from(s, ETH_HLEN);
	switch (be16(eth + 12)) {
	case ETH_ARP:
		if (u->cfg.ipv4)
			arp_input(u, eth, s);
		break;
	case ETH_IPV4:
		if (u->cfg.ipv4)
			ip_frame(u, eth, s, f);
		break;
	case ETH_IPV6:
		ip6_frame(u, eth, s, f);
		break;
	default:
		u->counters.dropped_protocol++;
	}
}

static size_t receive(void *owner, const struct frame *frames, size_t n)
{
	struct unet *u = owner;
	size_t i;

	if (u->depth) {                 /* the far end answers from inside our port_send */
		u->missed_input = true;
		return 0;
	}
	unet_enter(u);
	for (i = 0; i < n; i++)
		input(u, &frames[i]);
	unet_leave(u);
	return n;
}

static void ready(void *owner)
{
	struct unet *u = owner;

	u->out_full = false;
	if (u->depth)
		return;
	unet_enter(u);
	unet_leave(u);                  /* flushes the queue, and wakes who waits for room in it */
}

/* A new cable: nobody will call ready() for the old one. */
static void changed(void *owner)
{
	struct unet *u = owner;

	if (!u->port.waiting)
		ready(u);
}

void netif_init_port(struct unet *u)
{
	static const struct port_ops ops = { .receive = receive, .ready = ready, .changed = changed };

	port_init(&u->port, &ops, u, "unet");
	port_accepts(&u->port, PORT_CSUM | PORT_TSO4 | PORT_TSO6 | PORT_UFO | PORT_USO);
}
