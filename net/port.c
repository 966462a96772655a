/* SPDX-License-Identifier: MIT */
#include "net/port.h"

#include <assert.h>

#include "base/bytes.h"
#include "base/log.h"
#include "net/eth.h"
#include "net/offload.h"

/* Segments made at a time; each is a kilobyte and a half of the loop thread's stack. */
enum { SEGMENT_BATCH = 16 };

void port_init(struct port *p, const struct port_ops *ops, void *owner, const char *name)
{
	*p = (struct port){ .ops = ops, .owner = owner, .name = name };
}

static void enter(const struct port *p)
{
	if (p && p->guard)
		p->guard->enter(p->guard->owner);
}

static void leave(const struct port *p)
{
	if (p && p->guard)
		p->guard->leave(p->guard->owner);
}

/* From the inside of one end to the inside of the other, and back with the arguments swapped. */
static void cross(const struct port *from, const struct port *to)
{
	if (from->guard == to->guard)
		return;
	leave(from);
	enter(to);
}

static void call_changed(struct port *p)
{
	if (p->ops->changed)
		p->ops->changed(p->owner);
}

static void call_ready(struct port *p)
{
	if (!p->waiting)
		return;
	p->waiting = false;
	if (p->ops->ready)
		p->ops->ready(p->owner);
}

/* The link changed: frames that waited either arrive or vanish now. */
static void tell(struct port *p)
{
	if (!p)
		return;
	enter(p);
	call_changed(p);
	call_ready(p);
	leave(p);
}

void port_join(struct port *a, struct port *b)
{
	assert(a != b && !a->peer && !b->peer);
	a->peer = b;
	b->peer = a;
	tell(a);
	tell(b);
}

void port_part(struct port *p)
{
	struct port *peer = p->peer;

	if (!peer)
		return;
	assert(!p->sending && !peer->sending);
	p->peer = NULL;
	peer->peer = NULL;
	tell(p);
	tell(peer);
}

void port_set_link(struct port *p, bool up)
{
	if (p->link_down == !up)
		return;
	p->link_down = !up;
	tell(p);
	tell(p->peer);
}

bool port_up(const struct port *p)
{
	return p->peer && !p->link_down && !p->peer->link_down;
}

unsigned port_far_accepts(const struct port *p)
{
	return p->peer ? p->peer->accepts : 0;
}

void port_accepts(struct port *p, unsigned bits)
{
	struct port *peer = p->peer;

	if (p->accepts == bits)
		return;
	p->accepts = bits;
	if (!peer)
		return;
	cross(p, peer);
	call_changed(peer);
	cross(peer, p);
}

void port_ready(struct port *p)
{
	struct port *peer = p->peer;

	if (!peer || !peer->waiting)
		return;
	cross(p, peer);
	call_ready(peer);
	cross(peer, p);
}

void port_forget(struct port *p)
{
	p->shown = p->partial = 0;
	p->waiting = false;
}

static void show(struct port *p, const struct frame *frames, size_t n, bool from_owner)
{
	for (struct port_filter *f = p->filters, *next; f; f = next) {
		next = f->next;
		for (size_t i = 0; i < n; i++)
			f->frame(f->owner, &frames[i], from_owner);
	}
}

static bool well_formed(const struct frame *f)
{
	size_t sum = 0;

	if (f->len < ETH_HLEN || f->len > FRAME_MAX || f->iov_count > FRAME_IOV_SEND)
		return false;
	for (uint32_t i = 0; i < f->iov_count; i++)
		sum += f->iov[i].iov_len;
	return sum == f->len && offload_facts_ok(f);
}

static size_t hand_over(struct port *p, const struct frame *frames, size_t n)
{
	size_t took = p->peer->ops->receive(p->peer->owner, frames, n);

	assert(took <= n);
	p->stats.frames += took;
	for (size_t i = 0; i < took; i++)
		p->stats.bytes += frames[i].len;
	return took;
}

/* One frame that the far end cannot take as it is.  false: the far end is full, p->partial segments are there. */
static bool hand_over_cut(struct port *p, const struct frame *f)
{
	struct segment segments[SEGMENT_BATCH];
	struct frame frames[SEGMENT_BATCH];
	struct offload o;

	if (!offload_begin(&o, f, p->peer->accepts)) {
		log_net("port", "%s: a frame whose headers belie its offload facts is dropped", p->name);
		p->stats.dropped++;
		p->partial = 0;
		return true;
	}
	while (p->partial < o.segments) {
		uint32_t n = 0, want = MIN(o.segments - p->partial, SEGMENT_BATCH);
		size_t took;

		while (n < want && offload_make(&o, p->partial + n, &segments[n])) {
			frames[n] = segments[n].frame;
			n++;
		}
		took = n ? hand_over(p, frames, n) : 0;
		p->partial += took;
		if (took < n)
			return false;
		if (n < want) {
			p->stats.dropped++;
			break;
		}
	}
	p->partial = 0;
	p->stats.segmented++;
	return true;
}

static size_t deliver(struct port *p, const struct frame *frames, size_t n)
{
	size_t i = 0;

	if (frames[0].gso == GSO_NONE)
		p->partial = 0;
	while (i < n) {
		size_t run = 0, took;

		while (i + run < n && well_formed(&frames[i + run]) && offload_fits(&frames[i + run], p->peer->accepts))
			run++;
		/* what was begun in segments (and the far end has changed its mind since) is finished in segments */
		if (run && !p->partial) {
			took = hand_over(p, &frames[i], run);
			i += took;
			if (took < run)
				break;
			continue;
		}
		if (!well_formed(&frames[i])) {
			log_net("port", "%s: a malformed frame of %u bytes is dropped", p->name, frames[i].len);
			p->stats.dropped++;
			p->partial = 0;
		} else if (!hand_over_cut(p, &frames[i])) {
			break;
		}
		i++;
	}
	return i;
}

size_t port_send(struct port *p, const struct frame *frames, size_t n)
{
	struct port *peer = p->peer;
	size_t seen = MIN(p->shown, n), done;

	assert(!p->sending);
	if (!n)
		return 0;
	p->waiting = false;
	p->sending = true;
	show(p, frames + seen, n - seen, true);
	if (!port_up(p)) {
		p->stats.dropped += n;
		p->partial = 0;
		done = n;
	} else {
		cross(p, peer);
		show(peer, frames + seen, n - seen, false);
		done = deliver(p, frames, n);
		cross(peer, p);
	}
	p->shown = n - done;
	p->sending = false;
	if (done < n) {
		p->waiting = true;
		p->stats.waits++;
	}
	return done;
}

bool port_send_bytes(struct port *p, const void *data, size_t len)
{
	struct iovec iov = { (void *)data, len };
	struct frame f = { .iov = &iov, .iov_count = 1, .len = (uint32_t)MIN(len, UINT32_MAX) };

	return port_send(p, &f, 1) == 1;
}

void port_add_filter(struct port *p, struct port_filter *f)
{
	struct port_filter **at = &p->filters;

	while (*at)
		at = &(*at)->next;
	f->next = NULL;
	*at = f;
}

void port_remove_filter(struct port *p, struct port_filter *f)
{
	for (struct port_filter **at = &p->filters; *at; at = &(*at)->next) {
		if (*at == f) {
			*at = f->next;
			return;
		}
	}
}

size_t frame_copy(const struct frame *f, size_t offset, void *buf, size_t len)
{
	uint8_t *to = buf;
	size_t done = 0;

	for (uint32_t i = 0; i < f->iov_count && done < len; i++) {
		size_t piece = f->iov[i].iov_len, n;

		if (offset >= piece) {
			offset -= piece;
			continue;
		}
		n = MIN(piece - offset, len - done);
		memcpy(to + done, (const uint8_t *)f->iov[i].iov_base + offset, n);
		done += n;
		offset = 0;
	}
	return done;
}
