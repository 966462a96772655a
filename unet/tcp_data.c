/* SPDX-License-Identifier: MIT */
/*
 * The bytes of TCP flows.
 *
 * Guest to host: lwIP's recv callback gets pbufs that point into the frame itself.  They are only noted down as pieces;
 * before the frame's memory goes away one writev() per flow passes them on, and one ACK answers all.  What the host
 * does not take is copied into the flow's backlog ring, which holds a whole receive window, and is acknowledged as
 * window only when it leaves.
 *
 * Host to guest: readv() straight into the flow's ring, from where lwIP's segments point at the bytes (no copy) until
 * they are acknowledged.  tcp_push() hands lwIP just what fits the guest's window, in segments of many MSS if the
 * far end can cut them (TSO); so nothing big ever waits inside lwIP for a window that is too small for it.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "lwip/priv/tcp_priv.h"
#include "unet/tcp_flow.h"

enum {
	RINGS_KEPT = 16,                /* free rings that stay allocated */
	READ_ROOM = TCP_WND / 4,        /* a socket is read again when its ring has this much room */
	IOV_BATCH = 128,
	ONE_SEGMENT = 500,
	GSO_MIN = 500,                  /* an MSS below is not worth it (engine.c's output does not look) */
	SEGMENT_MAX = 65480,            /* of a virtual MSS: an IP packet of 65535 bytes must hold it */
};

#define STALLED S(10)

/* --- rings ------------------------------------------------------------------------------------------------------ */

static struct ring *ring_get(struct unet *u)
{
	struct ring *r;

	tcp_rings_unpark(u);
	r = u->free_rings;

	if (r) {
		u->free_rings = r->next;
		u->free_ring_count--;
	} else {
		if (u->rings >= u->ring_limit)
			return NULL;
		r = malloc(sizeof(*r));
		if (!r)
			return NULL;
		u->rings++;
	}
	r->start = r->len = 0;
	return r;
}

/* As ring_get; when none is left, a flow that has sat on one for long without a move must go. */
static struct ring *ring_claim(struct unet *u)
{
	struct ring *r = ring_get(u);
	uint64_t now = unet_now(u);

	for (struct flow *f = u->tcp.lists[LIST_OPEN].oldest; !r && f && now - f->used_ns >= STALLED; f = f->newer) {
		struct tcp_flow *t = (struct tcp_flow *)f;

		if (!t->tx && !t->backlog)
			continue;
		tcp_evict(t);
		r = ring_get(u);
		break;
	}
	return r;
}

static void make_free(struct unet *u, struct ring *r)
{
	struct tcp_flow *f = tcp_unchain(u, CHAIN_STARVED);

	r->next = u->free_rings;
	u->free_rings = r;
	u->free_ring_count++;
	if (f)
		tcp_chain(f, CHAIN_WORK);
}

void tcp_ring_put(struct unet *u, struct ring **at)
{
	struct ring *r = *at;

	if (!r)
		return;
	*at = NULL;
	if (!u->out_count) {
		make_free(u, r);
		return;
	}
	r->next = NULL;
	r->parked_until = u->out_done + u->out_count;
	if (u->parked_rings)
		u->last_parked->next = r;
	else
		u->parked_rings = r;
	u->last_parked = r;
}

/*
 * Frames in the queue may still point into a ring whose flow was reset, or whose guest acknowledged the future: nobody may
 * write there until they have left.
 */
void tcp_rings_unpark(struct unet *u)
{
	for (struct ring *r; (r = u->parked_rings) && r->parked_until <= u->out_done;) {
		u->parked_rings = r->next;
		make_free(u, r);
	}
}

void tcp_rings_trim(struct unet *u)
{
	while (u->free_ring_count > RINGS_KEPT) {
		struct ring *r = u->free_rings;

		u->free_rings = r->next;
		u->free_ring_count--;
		u->rings--;
		free(r);
	}
}

void tcp_rings_free(struct unet *u)
{
	assert(!u->out_count);
	tcp_rings_unpark(u);
	for (struct ring *r = u->free_rings, *next; r; r = next) {
		next = r->next;
		free(r);
	}
	u->free_rings = NULL;
}

/* The two runs of `len` bytes from `at` (counted from the oldest byte on). */
static int ring_runs(struct ring *r, uint32_t at, uint32_t len, struct iovec iov[2])
{
	uint32_t from = (r->start + at) % RING_SIZE, first = MIN(len, RING_SIZE - from);
	int n = 0;

	if (first)
		iov[n++] = (struct iovec){ r->data + from, first };
	if (len > first)
		iov[n++] = (struct iovec){ r->data, len - first };
	return n;
}

static void ring_append(struct ring *r, const uint8_t *data, uint32_t len)
{
	struct iovec iov[2];
	int n = ring_runs(r, r->len, len, iov);

	for (int i = 0; i < n; i++) {
		memcpy(iov[i].iov_base, data, iov[i].iov_len);
		data += iov[i].iov_len;
	}
	r->len += len;
}

void tcp_ring_consume(struct ring *r, uint32_t len)
{
	r->start = (r->start + len) % RING_SIZE;
	r->len -= len;
}

/* How much of what the host says may wait in a flow's ring. */
static uint32_t ring_share(const struct unet *u)
{
	return u->rings <= RINGS_FULL ? RING_SIZE : TCP_WND;
}

/* --- guest to host ------------------------------------------------------------------------------------------------ */

static void took(struct tcp_flow *f, uint32_t n)
{
	f->unannounced += n;
	while (n && f->pcb && f->state == OPEN) {
		uint16_t step = (uint16_t)MIN(n, 0xffff);

		tcp_recved(f->pcb, step);
		n -= step;
	}
}

/* Cuts a list of pieces down to its first `len` bytes; returns how many pieces that are. */
static int cut(struct iovec *iov, int n, size_t len)
{
	int i = 0;

	for (; i < n && len; i++) {
		iov[i].iov_len = MIN(iov[i].iov_len, len);
		len -= iov[i].iov_len;
	}
	return i;
}

/*
 * Sends up to the urgent byte, if one is among these, or, when it comes first, that.  *asked is what was tried; returns
 * bytes taken, or notes that the socket is dead.
 */
static uint32_t send_some(struct tcp_flow *f, struct iovec *iov, int n, uint32_t total, uint32_t *asked)
{
	uint32_t ahead = f->urgent ? f->urgent_at - f->passed : total;
	ssize_t r;

	*asked = MIN(ahead ? ahead : 1, total);
	if (f->fd < 0 || f->host_reset)
		return 0;
	/* Nagle's algorithm has no hold on what is said first, if that is one segment anywhere */
	if (!f->undelayed && (f->passed || total > ONE_SEGMENT)) {
		SOCK(f->u, set, f->fd, SOCK_NODELAY, 1);
		f->undelayed = true;
	}
	if (ahead)
		r = SOCK(f->u, send, f->fd, iov, cut(iov, n, *asked), NULL);
	else
		r = SOCK(f->u, send_urgent, f->fd, *(const uint8_t *)iov->iov_base);
	if (r >= 0) {
		if (!ahead && r)
			f->urgent = false;
		f->passed += (uint32_t)r;
		return (uint32_t)r;
	}
	if (r != -EAGAIN)
		f->host_reset = true;
	return 0;
}

void tcp_flush_backlog(struct tcp_flow *f)
{
	while (f->backlog) {
		struct iovec iov[2];
		int n = ring_runs(f->backlog, 0, f->backlog->len, iov);
		uint32_t asked, sent = send_some(f, iov, n, f->backlog->len, &asked);

		tcp_ring_consume(f->backlog, sent);
		took(f, sent);
		if (sent < asked)
			return;
		if (!f->backlog->len)
			tcp_ring_put(f->u, &f->backlog);
	}
}

void tcp_flush_flow(struct tcp_flow *f)
{
	struct unet *u = f->u;
	uint32_t i = f->first_piece;

	f->first_piece = f->last_piece = 0;
	while (i && !f->backlog && !f->host_reset) {
		struct iovec iov[IOV_BATCH];
		uint32_t total = 0, asked, sent, left;
		int n = 0;

		for (uint32_t k = i; k && n < IOV_BATCH; k = u->pieces[k - 1].next) {
			iov[n++] = (struct iovec){ (void *)u->pieces[k - 1].data, u->pieces[k - 1].len };
			total += u->pieces[k - 1].len;
		}
		left = sent = send_some(f, iov, n, total, &asked);
		took(f, sent);
		while (left) {
			struct rx_piece *piece = &u->pieces[i - 1];
			uint32_t here = MIN(left, piece->len);

			piece->data += here;
			piece->len -= here;
			left -= here;
			if (!piece->len)
				i = piece->next;
		}
		if (sent < asked)
			break;
	}
	for (; i && !f->host_reset; i = u->pieces[i - 1].next) {
		const struct rx_piece *piece = &u->pieces[i - 1];

		if (!f->backlog)
			f->backlog = ring_claim(u);
		if (!f->backlog || piece->len > RING_SIZE - f->backlog->len) {
			/* no memory is left for it, or the guest overran its window */
			f->host_reset = f->guest_reset = true;
			u->counters.limit_buffers++;
			break;
		}
		ring_append(f->backlog, piece->data, piece->len);
	}
}

void tcp_flush_pieces(struct unet *u)
{
	if (!u->piece_count)
		return;
	for (struct tcp_flow *f = u->chains[CHAIN_WORK].first; f; f = f->chain[CHAIN_WORK].next)
		if (f->first_piece)
			tcp_flush_flow(f);
	u->piece_count = 0;
}

/* --- host to guest ------------------------------------------------------------------------------------------------ */

void tcp_read_host(struct tcp_flow *f, bool urgent)
{
	struct unet *u = f->u;
	uint32_t share, room;
	struct iovec iov[2];
	ssize_t r;
	int n;

	if (!f->tx)
		f->tx = ring_claim(u);
	if (!f->tx) {
		tcp_chain(f, CHAIN_STARVED);
		return;
	}
	share = ring_share(u);
	room = f->tx->len < share ? share - f->tx->len : 0;
	if (!room)
		return;
	n = ring_runs(f->tx, f->tx->len, room, iov);
	/* the host stops reading before urgent data: here it begins, and it is one byte */
	if (urgent && f->state == OPEN && f->pcb && SOCK(u, at_mark, f->fd) == 1) {
		f->mark_seq = f->pcb->snd_lbb + f->tx->len - f->given + 1;
		tcp_set_mark(f, true);
		n = cut(iov, n, 1);
		room = 0;
	}
	r = SOCK(u, receive, f->fd, iov, n, NULL);
	f->more = r > 0 && (size_t)r == room;
	if (r > 0) {
		f->tx->len += (uint32_t)r;
		f->bytes_out += (uint64_t)r;
		f->stream = 0;
	} else if (r == 0) {
		f->host_eof = true;
	} else if (r != -EAGAIN) {
		f->host_reset = true;
	}
	if (f->tx->len == 0)
		tcp_ring_put(u, &f->tx);
}

/* Let segments be as long as the far end can cut; pcb->mss may only grow (engine.c, fault 3). */
static void raise_mss(struct tcp_flow *f)
{
	unsigned tso = addr_is4(&f->flow.key.guest) ? PORT_TSO4 : PORT_TSO6;

	if ((port_far_accepts(&f->u->port) & tso) && f->pcb->mss == f->guest_mss && f->guest_mss >= GSO_MIN)
		f->pcb->mss = (uint16_t)(MAX(SEGMENT_MAX / f->guest_mss, 1) * f->guest_mss);
}

static bool write_run(struct tcp_flow *f, uint32_t len, bool more)
{
	struct iovec iov[2];
	int n = ring_runs(f->tx, f->given, len, iov);

	for (int i = 0; i < n; i++) {
		if (tcp_write(f->pcb, iov[i].iov_base, (u16_t)iov[i].iov_len,
			      more || i + 1 < n ? TCP_WRITE_FLAG_MORE : 0) != ERR_OK)
			return false;
		f->given += (uint32_t)iov[i].iov_len;
	}
	return true;
}

/* Gives lwIP as much as the guest's window takes now; true if there is something for tcp_output(). */
bool tcp_push(struct tcp_flow *f)
{
	struct tcp_pcb *pcb = f->pcb;
	bool wrote = false;

	if (f->state != OPEN || !pcb)
		return false;
	raise_mss(f);
	while (f->tx && f->given < f->tx->len) {
		uint32_t waiting = f->tx->len - f->given, flight = pcb->snd_lbb - pcb->lastack;
		uint32_t window = MIN(pcb->snd_wnd, pcb->cwnd), room = window > flight ? window - flight : 0;
		uint32_t len = MIN(MIN(waiting, pcb->mss), MIN(pcb->snd_buf, SEGMENT_MAX));

		if (f->marked)          /* an urgent pointer is for one segment, not for a run of them */
			len = MIN(len, f->guest_mss);
		if (len > room) {
			if (room >= f->guest_mss)
				len = room - room % f->guest_mss;
			else if (flight == 0)
				len = MIN(len, f->guest_mss);   /* lwIP's persist timer looks after it */
			else
				break;
		}
		if (!len || !write_run(f, len, len < waiting))
			break;
		wrote = true;
	}
	return wrote;
}

/* After the guest's FIN, ours puts lwIP into LAST_ACK, where it waits for little: so all data must have arrived first. */
bool tcp_fin_due(const struct tcp_flow *f)
{
	return f->state == OPEN && f->pcb && f->host_eof && !f->fin_sent &&
	       (!f->tx || (f->given == f->tx->len && !f->guest_fin));
}

void tcp_push_fin(struct tcp_flow *f)
{
	f->pcb->tmr = tcp_ticks;        /* LAST_ACK's time starts now, not when the guest last spoke */
	f->fin_sent = tcp_shutdown(f->pcb, 0, 1) == ERR_OK;
}

bool tcp_wants_read(const struct tcp_flow *f)
{
	return !f->tx || f->tx->len + READ_ROOM <= ring_share(f->u);
}
