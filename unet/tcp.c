/* SPDX-License-Identifier: MIT */
/*
 * TCP flows: one host socket and one lwIP connection each.  tcp_data.c moves the bytes.
 *
 *   CONNECTING   the guest's SYN is kept, the host's connect() is under way; lwIP knows nothing yet.  The outcome
 *                decides whether the guest gets SYN-ACK, RST or an ICMP error.
 *   OPENING      the SYN (or, for a forward, ours) is with lwIP; the handshake with the guest runs.
 *   OPEN         data both ways; each side may have closed its half.
 *   LINGERING    both halves are closed and the socket is gone; lwIP finishes LAST_ACK or TIME_WAIT.
 *
 * Callbacks of lwIP change flags and queue the flow for tcp_work(), which runs outside of lwIP and alone writes, shuts
 * down, aborts and forgets (engine.c, fault 5).
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checksum.h"
#include "lwip/priv/tcp_priv.h"
#include "unet/tcp_flow.h"

enum {
	MSS_MIN = 88, MSS_DEFAULT = 536,
	FLAG_FIN = 1, FLAG_SYN = 2, FLAG_RST = 4, FLAG_ACK = 16, FLAG_URG = 32,
	URGENT_POINTER = 18,
	STREAM_MIN = 1 << 16,           /* bytes in one direction that make a stream, and how soon one must follow another */
	ACK_BYTES = 16384,              /* that wait at most */
	TRACE_TTL = 32,
	PROBES_MAX = 9,                 /* keep-alive: the intervals and the number are RFC 9293's and everybody's */
	OPT_END = 0, OPT_NOP = 1, OPT_MSS = 2, OPT_WS = 3,
	WS_MAX = 14,
};

#define STREAM_GAP MS(20)
#define ACK_DELAY US(500)
#define KEEP_IDLE S(7200)
#define KEEP_INTERVAL S(75)

static void drop(struct tcp_flow *f);
static void host_ready(void *owner, unsigned events);

/* --- lists ------------------------------------------------------------------------------------------------------ */

void tcp_chain(struct tcp_flow *f, unsigned which)
{
	struct tcp_chain *c = &f->u->chains[which];

	if (f->chain[which].on)
		return;
	f->chain[which].on = true;
	f->chain[which].next = NULL;
	f->chain[which].prev = c->last;
	if (c->last)
		c->last->chain[which].next = f;
	else
		c->first = f;
	c->last = f;
}

static void unchain(struct tcp_flow *f, unsigned which)
{
	struct tcp_chain *c = &f->u->chains[which];
	struct tcp_flow *next = f->chain[which].next, *prev = f->chain[which].prev;

	if (!f->chain[which].on)
		return;
	if (next)
		next->chain[which].prev = prev;
	else
		c->last = prev;
	if (prev)
		prev->chain[which].next = next;
	else
		c->first = next;
	f->chain[which].on = false;
}

struct tcp_flow *tcp_unchain(struct unet *u, unsigned which)
{
	struct tcp_flow *f = u->chains[which].first;

	if (f)
		unchain(f, which);
	return f;
}

void tcp_mark_blocked(struct unet *u, const struct flow_key *k)
{
	struct tcp_flow *f = (struct tcp_flow *)flow_find(&u->tcp, k);

	if (f)
		tcp_chain(f, CHAIN_BLOCKED);
}

void tcp_unblock(struct unet *u)
{
	for (struct tcp_flow *f; (f = tcp_unchain(u, CHAIN_BLOCKED));) {
		f->kick = true;
		tcp_chain(f, CHAIN_WORK);
	}
}

void tcp_set_mark(struct tcp_flow *f, bool on)
{
	f->u->marks += (uint32_t)on - (uint32_t)f->marked;
	f->marked = on;
}

/* --- callbacks of lwIP: only notes ------------------------------------------------------------------------------- */

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct tcp_flow *f = arg;
	struct unet *u = f->u;

	(void)err;
	tcp_chain(f, CHAIN_WORK);
	if (!p) {
		f->guest_fin = true;
		return ERR_OK;
	}
	for (struct pbuf *q = p; q; q = q->next) {
		if (!q->len)
			continue;
		assert(u->piece_count < PIECES);
		u->pieces[u->piece_count] = (struct rx_piece){ q->payload, q->len, 0 };
		u->piece_count++;
		if (f->last_piece)
			u->pieces[f->last_piece - 1].next = u->piece_count;
		else
			f->first_piece = u->piece_count;
		f->last_piece = u->piece_count;
	}
	f->bytes_in += p->tot_len;
	f->unacked += p->tot_len;
	f->stream += p->tot_len;
	pbuf_free(p);
	tcp_clear_flags(pcb, TF_ACK_NOW | TF_ACK_DELAY);        /* one ACK for the whole batch, from work_on() */
	f->ack_wanted = true;
	return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct tcp_flow *f = arg;
	uint32_t n = MIN(len, f->given);        /* a FIN counts, too */

	tcp_chain(f, CHAIN_WORK);
	if (!n)
		return ERR_OK;
	tcp_ring_consume(f->tx, n);
	f->given -= n;
	if (f->tx->len == 0)
		tcp_ring_put(f->u, &f->tx);
	if (f->marked && (int32_t)(pcb->lastack - f->mark_seq) >= 0)
		tcp_set_mark(f, false);
	return ERR_OK;
}

static void on_error(void *arg, err_t err)
{
	struct tcp_flow *f = arg;

	f->pcb = NULL;
	/* a guest that said all and never acknowledges our FIN is through, too */
	f->guest_reset = err != ERR_CLSD && !(err == ERR_ABRT && f->guest_fin && f->fin_sent);
	tcp_chain(f, CHAIN_WORK);
}

static void on_destroy(u8_t id, void *data)
{
	struct tcp_flow *f = data;

	(void)id;
	if (!f)
		return;
	f->pcb = NULL;
	engine_timed(&f->timed, NULL);
	tcp_chain(f, CHAIN_WORK);
}

static void hook(struct tcp_flow *f, struct tcp_pcb *pcb)
{
	static const struct tcp_ext_arg_callbacks calls = { .destroy = on_destroy };

	f->pcb = pcb;
	tcp_ext_arg_set_callbacks(pcb, engine_ext_id(), &calls);
	tcp_ext_arg_set(pcb, engine_ext_id(), f);
	tcp_arg(pcb, f);
	tcp_recv(pcb, on_recv);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	tcp_nagle_disable(pcb);                 /* the sender on the host has done that */
	pcb->snd_wnd_max = MAX(pcb->snd_wnd_max, 0x40000);      /* fault 3 */
}

static void unhook(struct tcp_flow *f)
{
	tcp_ext_arg_set(f->pcb, engine_ext_id(), NULL);
	tcp_arg(f->pcb, NULL);
	tcp_recv(f->pcb, NULL);
	tcp_sent(f->pcb, NULL);
	tcp_err(f->pcb, NULL);
}

int tcp_passive_open(struct unet *u, struct tcp_pcb *pcb)
{
	if (!u->opening)
		return -1;
	hook(u->opening, pcb);
	u->opening->guest_mss = pcb->mss;
	return 0;
}

void tcp_established(void *flow)
{
	struct tcp_flow *f = flow;

	f->state = OPEN;
	f->first_seq = f->pcb->rcv_nxt;
	f->u->counters.tcp_opened++;
	tcp_chain(f, CHAIN_WORK);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct tcp_flow *f = arg;

	(void)err;
	f->guest_mss = pcb->mss;
	pcb->snd_wnd_max = MAX(pcb->snd_wnd_max, 0x40000);
	tcp_established(f);
	return ERR_OK;
}

/* --- life of a flow ---------------------------------------------------------------------------------------------- */

static void set_watch(struct tcp_flow *f, unsigned events)
{
	struct unet *u = f->u;

	if (f->fd < 0)
		return;
	if (!events && f->hung_up) {    /* nothing more to hear, and the hang-up would be reported for ever */
		if (f->watched)
			SOCK(u, unwatch, &f->watch);
		f->watched = false;
	} else if (f->watched) {
		SOCK(u, rewatch, &f->watch, events);
	} else {
		f->watched = SOCK(u, watch, f->fd, &f->watch, events, host_ready, f) >= 0;
		if (!f->watched)
			f->host_reset = true;
	}
}

static void close_socket(struct tcp_flow *f, bool reset)
{
	struct unet *u = f->u;

	if (f->fd < 0)
		return;
	if (f->watched)
		SOCK(u, unwatch, &f->watch);
	f->watched = false;
	if (reset)
		SOCK(u, set, f->fd, SOCK_RESET_ON_CLOSE, 1);
	SOCK(u, close, f->fd);
	f->fd = -1;
}

/* Forget it at once: the guest gets RST if lwIP still knows it, the host if `guest_reset`. */
static void drop(struct tcp_flow *f)
{
	struct unet *u = f->u;

	close_socket(f, f->guest_reset);
	for (unsigned i = 0; i < CHAINS; i++)
		unchain(f, i);
	engine_timed(&f->timed, NULL);
	tcp_set_mark(f, false);
	tcp_ring_put(u, &f->tx);        /* before the reset is queued: it does not point there */
	tcp_ring_put(u, &f->backlog);
	if (f->pcb) {
		struct tcp_pcb *pcb = f->pcb;

		unhook(f);
		f->pcb = NULL;
		tcp_abort(pcb);         /* silent in TIME_WAIT */
	}
	flow_remove(&u->tcp, &f->flow);
}

void tcp_evict(struct tcp_flow *f)
{
	if (f->state != LINGERING)
		f->u->counters.tcp_evicted++;
	f->guest_reset = true;
	drop(f);
}

/* Room for one more flow: what is over goes first, then who has waited longest, then who was idle longest. */
static void make_room(struct unet *u, bool connecting)
{
	struct flow_table *t = &u->tcp;
	static const uint8_t order[] = { LIST_LINGERING, LIST_CONNECTING, LIST_RESOLVING, LIST_PROBED, LIST_OPEN };

	if (connecting && t->lists[LIST_CONNECTING].count >= u->cfg.limits.tcp_pending)
		tcp_evict((struct tcp_flow *)t->lists[LIST_CONNECTING].oldest);
	for (unsigned i = 0; i < ARRAY_SIZE(order) && t->count == t->limit; i++)
		if (t->lists[order[i]].oldest)
			tcp_evict((struct tcp_flow *)t->lists[order[i]].oldest);
}

/* Both sides have said all: only lwIP is still about it. */
static bool over(const struct tcp_flow *f)
{
	return f->state == LINGERING || (f->pcb && f->pcb->state == TIME_WAIT);
}

/* The tuple is used anew (RFC 9293 3.10.7.4 lets TIME_WAIT end so). */
static void reuse(struct tcp_flow *f)
{
	f->guest_reset = false;
	drop(f);
}

/* --- opening towards the host ------------------------------------------------------------------------------------ */

static void saved_packet(const struct tcp_flow *f, struct packet *p)
{
	*p = (struct packet){ .src = f->flow.key.guest, .dst = f->flow.key.far, .protocol = PROTO_TCP,
			      .ip_len = (uint16_t)ip_hlen(&f->flow.key.guest) };
	memcpy(p->ip, f->ip, p->ip_len);
}

/* The SYN to lwIP: with `listen` it opens the flow, else it is refused with RST. */
static void inject_syn(struct tcp_flow *f, bool listen)
{
	struct packet p;
	struct slice nothing = { NULL, 0, 0, 0 };

	saved_packet(f, &p);
	f->u->opening = listen ? f : NULL;
	engine_input(f->u, &p, f->syn, (f->syn[12] >> 4) * 4u, nothing, NULL, listen);
	f->u->opening = NULL;
	engine_timed(&f->timed, f->pcb);
}

static uint8_t ttl_of(const struct tcp_flow *f)
{
	return f->ip[addr_is4(&f->flow.key.guest) ? 8 : IP6_HOP_LIMIT];
}

/* A SYN with a TTL so low that it wants to know who drops it: traceroute's. */
static bool traced(const struct tcp_flow *f)
{
	return ttl_of(f) <= TRACE_TTL;
}

static void connected(struct tcp_flow *f)
{
	struct unet *u = f->u;

	SOCK(u, set, f->fd, SOCK_NODELAY, 1);
	SOCK(u, set, f->fd, SOCK_KEEPALIVE, 1);
	SOCK(u, set, f->fd, SOCK_OOB_INLINE, 1);
	SOCK(u, set, f->fd, SOCK_ERROR_QUEUE, 0);       /* or a passing failure of the network would end it */
	if (traced(f))
		SOCK(u, set, f->fd, SOCK_TTL, -1);
	f->state = OPENING;
	if (f->watched)
		SOCK(u, unwatch, &f->watch);
	f->watched = false;
	flow_touch(&u->tcp, &f->flow, LIST_OPEN, unet_now(u));
	inject_syn(f, true);
	if (!f->pcb) {
		f->guest_reset = true;
		drop(f);
	}
}

static void start_connect(struct tcp_flow *f);

/* connect() said no: so do we, in the way that fits. */
static void refused(struct tcp_flow *f, int error)
{
	struct unet *u = f->u;
	const struct addr *guest = &f->flow.key.guest;
	unsigned what = error == ECONNREFUSED ? 0 : icmp_for(guest, icmp_of_errno(error));
	struct addr from = *ip_gateway(u, guest);
	struct sockaddr_storage next;
	struct sock_error e;
	uint16_t ignored;

	/* who said no, and how, if it was by ICMP */
	if (f->fd >= 0 && what && SOCK(u, errors, f->fd, &e) == 0 && e.icmp && addr_from_sock(&e.offender, &from, &ignored)) {
		what = icmp_of_queue(&e, guest);
		from = fwd_shown_source(u, &from, guest);
	}
	close_socket(f, false);
	if (ip_place(u, &f->flow.key.far) == PLACE_DNS && dns_resolver(u, f->resolver + 1u, &next)) {
		f->resolver++;
		flow_touch(&u->tcp, &f->flow, LIST_RESOLVING, unet_now(u));
		unet_arm_expiry(u);
		start_connect(f);
		return;
	}
	u->counters.tcp_refused++;
	if (what) {
		uint8_t quote[IPV6_HLEN + TCP_HLEN_MIN];
		uint32_t ip_len = ip_hlen(guest);

		memcpy(quote, f->ip, ip_len);
		memcpy(quote + ip_len, f->syn, TCP_HLEN_MIN);
		icmp_error_bytes(u, &from, guest, what, 0, quote, ip_len + TCP_HLEN_MIN);
	} else {
		inject_syn(f, false);
	}
	drop(f);
}

/* Where a destination of the guest's is on the host; false: nowhere. */
static bool host_address(struct unet *u, const struct tcp_flow *f, struct sockaddr_storage *to)
{
	struct addr far = f->flow.key.far;

	switch (ip_place(u, &far)) {
	case PLACE_HOST:
		far = ip_loopback(&far);
		break;
	case PLACE_DNS:
		return f->flow.key.far_port == 53 && dns_resolver(u, f->resolver, to);
	case PLACE_OUTSIDE:
		break;
	default:
		return false;
	}
	addr_to_sock(&far, f->flow.key.far_port, to);
	return true;
}

/* Begins to connect; f->fd is the socket, if there is one.  0, -EINPROGRESS, or why not. */
static int reach(struct tcp_flow *f)
{
	struct unet *u = f->u;
	const struct addr *far = &f->flow.key.far;
	struct sockaddr_storage to;
	int r;

	if (ip_place(u, far) == PLACE_GUESTFWD)
		return guestfwd_connect(u, far, f->flow.key.far_port, &f->fd);
	r = outside_check(u, far, f->flow.key.far_port);
	if (r || !host_address(u, f, &to))
		return r ? -r : -ECONNREFUSED;
	r = outside_open(u, &to, SOCK_STREAM, 0);
	if (r < 0)
		return r;
	f->fd = r;
	SOCK(u, set, f->fd, SOCK_ERROR_QUEUE, 1);
	if (traced(f) && ttl_of(f) > 1)
		SOCK(u, set, f->fd, SOCK_TTL, ttl_of(f) - 1);
	return SOCK(u, connect, f->fd, &to);
}

static void start_connect(struct tcp_flow *f)
{
	struct unet *u = f->u;
	int r = reach(f);

	if (r == 0)
		connected(f);
	else if (r == -EINPROGRESS)
		set_watch(f, LOOP_WRITE);
	else if (r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM) {
		u->counters.limit_descriptors++;
		drop(f);                /* the guest will try again */
	} else
		refused(f, -r);
}

static void open_from_guest(struct unet *u, const struct packet *p, const struct flow_key *key, const uint8_t *syn)
{
	struct tcp_flow *f;

	make_room(u, true);
	f = (struct tcp_flow *)flow_add(&u->tcp, key, ip_place(u, &key->far) == PLACE_DNS ? LIST_RESOLVING : LIST_CONNECTING,
					unet_now(u));
	f->u = u;
	f->fd = -1;
	f->opened_ns = unet_now(u);
	ip_header(u, f->ip, &p->src, &p->dst, PROTO_TCP, p->ttl, SYN_LEN);
	memcpy(f->syn, syn, SYN_LEN);
	unet_arm_expiry(u);
	start_connect(f);
}

/* --- opening towards the guest ------------------------------------------------------------------------------------ */

void tcp_from_host(struct unet *u, int fd, const struct addr *src, uint16_t src_port, const struct addr *guest,
		   uint16_t guest_port)
{
	struct flow_key key = { .guest = *guest, .far = *src, .guest_port = guest_port, .far_port = src_port };
	struct tcp_flow *f;
	struct tcp_pcb *pcb;

	for (int i = 0; i < 32 && (f = (struct tcp_flow *)flow_find(&u->tcp, &key)); i++) {
		if (over(f)) {
			reuse(f);
			break;
		}
		unet_random(u, &key.far_port, 2);       /* one client port, two forwards to one place */
		key.far_port |= 0x8000;
	}
	make_room(u, false);
	pcb = flow_find(&u->tcp, &key) ? NULL : tcp_new_ip_type(addr_is4(guest) ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6);
	if (!pcb) {
		SOCK(u, set, fd, SOCK_RESET_ON_CLOSE, 1);
		SOCK(u, close, fd);
		return;
	}
	f = (struct tcp_flow *)flow_add(&u->tcp, &key, LIST_OPEN, unet_now(u));
	f->u = u;
	f->fd = fd;
	f->state = OPENING;
	f->forwarded = true;
	f->opened_ns = unet_now(u);
	SOCK(u, set, fd, SOCK_NODELAY, 1);
	SOCK(u, set, fd, SOCK_KEEPALIVE, 1);
	SOCK(u, set, fd, SOCK_OOB_INLINE, 1);
	hook(f, pcb);
	if (!engine_connect(u, &key.far, key.far_port, pcb, guest, guest_port, on_connected)) {
		f->guest_reset = true;
		drop(f);
		return;
	}
	engine_timed(&f->timed, f->pcb);
	unet_arm_expiry(u);
}

/* --- work --------------------------------------------------------------------------------------------------------- */

static void update_watch(struct tcp_flow *f)
{
	unsigned events = 0;

	if (f->state != OPEN)
		return;
	if (!f->host_eof && !f->chain[CHAIN_STARVED].on && !f->chain[CHAIN_BLOCKED].on && tcp_wants_read(f))
		events |= LOOP_READ | LOOP_PRI;
	if (f->backlog)
		events |= LOOP_WRITE;
	set_watch(f, events);
}

static void linger(struct tcp_flow *f)
{
	close_socket(f, false);
	tcp_recv(f->pcb, NULL);
	tcp_sent(f->pcb, NULL);
	tcp_err(f->pcb, NULL);
	f->state = LINGERING;
	flow_touch(&f->u->tcp, &f->flow, LIST_LINGERING, unet_now(f->u));
	unet_arm_expiry(f->u);
}

/* An ACK is due.  lwIP would keep the window's edge until it can move by pcb->mss, which is a virtual one. */
static void announce(struct tcp_flow *f)
{
	struct tcp_pcb *pcb = f->pcb;
	uint32_t edge = pcb->rcv_nxt + pcb->rcv_wnd;

	if (TCP_SEQ_GEQ(edge, pcb->rcv_ann_right_edge + f->guest_mss))
		pcb->rcv_ann_wnd = pcb->rcv_wnd;
	tcp_set_flags(pcb, TF_ACK_NOW);
	f->ack_wanted = false;
	f->unannounced = f->unacked = 0;
	unchain(f, CHAIN_ACKS);
}

/*
 * A guest that streams in small writes gets an ACK for four segments' worth at a time, or after half a millisecond: each
 * costs it an interrupt, and one that comes at once keeps Nagle's algorithm from filling its segments.  In a dialogue
 * nothing waits.
 */
static bool ack_can_wait(struct tcp_flow *f, uint64_t now)
{
	struct unet *u = f->u;

	if (now - f->heard_ns > STREAM_GAP)
		f->stream = f->unacked;
	f->heard_ns = now;
	if (f->stream < STREAM_MIN || f->unacked >= MIN(4u * f->guest_mss, ACK_BYTES) || f->guest_fin || f->backlog)
		return false;
	tcp_chain(f, CHAIN_ACKS);
	if (!timer_armed(&u->ack_timer))
		timer_set(&u->ack_timer, now + ACK_DELAY);
	return true;
}

static void acks_due(void *owner)
{
	struct unet *u = owner;

	unet_enter(u);
	for (struct tcp_flow *f; (f = tcp_unchain(u, CHAIN_ACKS));) {
		f->kick = true;
		tcp_chain(f, CHAIN_WORK);
	}
	unet_leave(u);
}

static void work_on(struct tcp_flow *f)
{
	struct unet *u = f->u;
	uint64_t now = unet_now(u);
	bool output;

	if (f->first_piece)
		tcp_flush_flow(f);
	if (f->host_reset || (!f->pcb && f->state != CONNECTING && (f->guest_reset || !f->backlog))) {
		drop(f);
		return;
	}
	if (f->state != OPEN)
		return;
	if (!f->pcb) {                  /* the guest is through, but not all that it said is with the host yet */
		update_watch(f);
		return;
	}
	if (!f->opened) {
		f->opened = true;
		f->pcb->cwnd = f->pcb->ssthresh = TCP_SND_BUF;  /* the virtual wire loses nothing */
	}
	flow_touch(&u->tcp, &f->flow, LIST_OPEN, now);
	if (f->guest_fin && !f->shut && !f->backlog) {
		SOCK(u, shutdown, f->fd);
		f->shut = true;
	}
	output = tcp_push(f) || f->kick;
	if ((f->ack_wanted && (output || !ack_can_wait(f, now))) || f->unannounced >= TCP_WND_MAX(f->pcb) / 4) {
		announce(f);
		output = true;
	}
	f->kick = false;
	if (output)
		tcp_output(f->pcb);
	engine_timed(&f->timed, f->pcb);
	if (f->guest_fin && f->shut && f->host_eof && f->fin_sent && !f->tx)
		linger(f);
	else
		update_watch(f);
}

void tcp_work(struct unet *u)
{
	tcp_rings_unpark(u);
	for (struct tcp_flow *f; (f = tcp_unchain(u, CHAIN_WORK));)
		work_on(f);
	u->piece_count = 0;
	tcp_rings_trim(u);
}

static void host_ready(void *owner, unsigned events)
{
	struct tcp_flow *f = owner;
	struct unet *u = f->u;
	int error;

	unet_enter(u);
	if (f->state == CONNECTING) {
		error = SOCK(u, error, f->fd);
		if (error)
			refused(f, -error);
		else if (events & (LOOP_WRITE | LOOP_HUP))
			connected(f);
	} else {
		if (events & LOOP_HUP) {
			f->hung_up = true;
			error = SOCK(u, error, f->fd);
			if (error)
				f->host_reset = true;
		}
		if ((events & LOOP_WRITE) && !f->host_reset)
			tcp_flush_backlog(f);
		if ((events & (LOOP_READ | LOOP_PRI)) && !f->host_reset && !f->host_eof)
			tcp_read_host(f, events & LOOP_PRI);
		tcp_chain(f, CHAIN_WORK);
	}
	unet_leave(u);
}

/* --- from the guest ----------------------------------------------------------------------------------------------- */

/* The options that lwIP sees (engine.c, faults 1 and 3).  Returns the header's length. */
static unsigned rewrite_options(uint8_t *h, const uint8_t *options, unsigned len, bool syn)
{
	struct cursor c = cursor_of(options, len);
	unsigned mss = 0, n = TCP_HLEN_MIN;
	int scale = -1;

	while (syn && cursor_left(&c)) {
		uint8_t kind = cursor_u8(&c), size;
		const uint8_t *v;

		if (kind == OPT_END)
			break;
		if (kind == OPT_NOP)
			continue;
		size = cursor_u8(&c);
		v = size >= 2 ? cursor_take(&c, size - 2u) : NULL;
		if (!v)
			break;
		if (kind == OPT_MSS && size == 4)
			mss = be16(v);
		else if (kind == OPT_WS && size == 3)
			scale = MIN(v[0], WS_MAX);
	}
	if (syn) {
		h[n++] = OPT_MSS;
		h[n++] = 4;
		put_be16(h + n, (uint16_t)(mss ? MAX(mss, MSS_MIN) : MSS_DEFAULT));
		n += 2;
		h[n++] = OPT_NOP;
		h[n++] = scale < 0 ? OPT_NOP : OPT_WS;
		h[n++] = scale < 0 ? OPT_NOP : 3;
		h[n++] = scale < 0 ? OPT_NOP : (uint8_t)scale;
	}
	h[12] = (uint8_t)(n / 4 << 4);
	return n;
}

/* The urgent pointer counts from the segment to the byte behind the urgent one (RFC 6093, as all hosts have it). */
static void note_urgent(struct tcp_flow *f, const uint8_t *h)
{
	uint32_t at = be32(h + 4) + be16(h + URGENT_POINTER) - 1 - f->first_seq;

	if (at - f->passed > 2 * TCP_WND || (f->urgent && (int32_t)(at - f->urgent_at) <= 0))
		return;                 /* the host has it already, or it is out of reach */
	f->urgent = true;
	f->urgent_at = at;
}

/* A SYN: true if it has been dealt with. */
static bool syn_input(struct unet *u, const struct packet *p, const struct flow_key *key, struct tcp_flow *f,
		      const uint8_t *h)
{
	if (f && f->state == CONNECTING) {
		if (be32(f->syn + 4) != be32(h + 4))
			memcpy(f->syn, h, SYN_LEN);     /* the guest started over */
		return true;
	}
	if (f && over(f)) {
		reuse(f);
		f = NULL;
	}
	if (f || (u->cfg.restricted && !guestfwd_leads(u, &key->far, key->far_port)))
		return false;
	open_from_guest(u, p, key, h);
	return true;
}

void tcp_guest_input(struct unet *u, struct packet *p)
{
	struct flow_key key = { .guest = p->src, .far = p->dst };
	uint8_t h[TCP_HLEN_MAX], options[TCP_HLEN_MAX - TCP_HLEN_MIN];
	unsigned header, n;
	struct tcp_flow *f;
	struct slice payload;

	if (slice_copy(p->body, 0, h, TCP_HLEN_MIN) < TCP_HLEN_MIN)
		goto malformed;
	header = (h[12] >> 4) * 4u;
	if (header < TCP_HLEN_MIN || header > p->body.len || be16(h) == 0 || be16(h + 2) == 0 ||
	    (p->gso != GSO_NONE && p->gso != (addr_is4(&p->src) ? GSO_TCPV4 : GSO_TCPV6)))
		goto malformed;
	slice_copy(p->body, TCP_HLEN_MIN, options, header - TCP_HLEN_MIN);
	if (!p->csum_ok && !ip_body_sum_ok(p, p->body.len))
		goto malformed;
	n = rewrite_options(h, options, header - TCP_HLEN_MIN, h[13] & FLAG_SYN);
	key.guest_port = be16(h);
	key.far_port = be16(h + 2);
	f = (struct tcp_flow *)flow_find(&u->tcp, &key);
	if ((h[13] & (FLAG_SYN | FLAG_ACK | FLAG_RST | FLAG_FIN)) == FLAG_SYN && syn_input(u, p, &key, f, h))
		return;
	f = (struct tcp_flow *)flow_find(&u->tcp, &key);
	if (f && f->state == CONNECTING) {
		if (h[13] & FLAG_RST) {         /* changed its mind */
			f->guest_reset = true;
			drop(f);
		}
		return;
	}
	/* lwIP would take the SYN for a byte of the stream (found by fuzz_unet_tcp) */
	if (f && f->pcb && f->pcb->state == SYN_RCVD && (h[13] & (FLAG_SYN | FLAG_ACK)) == (FLAG_SYN | FLAG_ACK))
		goto malformed;
	payload = slice_from(p->body, header);
	if (h[13] & FLAG_SYN)
		payload.len = 0;        /* data with a SYN (RFC 7413) comes again */
	if (u->piece_count > PIECES - FRAME_IOV_MAX)
		tcp_flush_pieces(u);
	if (f && f->state == OPEN) {
		if ((h[13] & FLAG_URG) && be16(h + URGENT_POINTER))
			note_urgent(f, h);
		if (f->probes) {        /* it lives */
			f->probes = 0;
			flow_touch(&u->tcp, &f->flow, LIST_OPEN, unet_now(u));
		}
	}
	engine_input(u, p, h, n, payload, f ? f->pcb : NULL, false);
	if (f)
		engine_timed(&f->timed, f->pcb);
	return;
malformed:
	u->counters.dropped_malformed++;
}

void tcp_guest_complains(struct unet *u, const struct flow_key *k, unsigned what, uint32_t seq, uint32_t mtu)
{
	struct tcp_flow *f = (struct tcp_flow *)flow_find(&u->tcp, k);
	uint32_t headers = ip_hlen(&k->guest) + TCP_HLEN_MIN, mss = MAX(mtu, headers + MSS_DEFAULT) - headers;

	if (!f || !f->pcb || seq - f->pcb->lastack >= f->pcb->snd_nxt - f->pcb->lastack)
		return;                 /* about nothing that is in flight (RFC 5927 4.1) */
	if (what == ICMP_UNREACH_FRAG || what == ICMP6_TOO_BIG) {
		/* a narrower link behind the guest: what lwIP has made already is cut up on its way out */
		if (mtu && f->state == OPEN && mss < f->guest_mss)
			f->guest_mss = (uint16_t)mss;
	} else if (f->forwarded && f->state == OPENING) {
		f->guest_reset = true;  /* nobody is there (RFC 9293 3.9.2.2) */
		drop(f);
	}
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

uint16_t tcp_segment_size(struct unet *u, const struct flow_key *k)
{
	struct tcp_flow *f = (struct tcp_flow *)flow_find(&u->tcp, k);

	return f ? f->guest_mss : MSS_DEFAULT;
}

void tcp_show_mark(struct unet *u, const struct flow_key *k, uint8_t *tcp)
{
	struct tcp_flow *f = (struct tcp_flow *)flow_find(&u->tcp, k);
	uint32_t ahead = f && f->marked ? f->mark_seq - be32(tcp + 4) : 0;
	bool show = ahead && ahead <= 0xffff;

	tcp[13] = (uint8_t)((tcp[13] & ~FLAG_URG) | (show ? FLAG_URG : 0));
	put_be16(tcp + URGENT_POINTER, show ? (uint16_t)ahead : 0);
}

/* Idle for long: ask the guest whether it is still there.  True if it is still worth asking. */
static bool keep_alive(struct tcp_flow *f)
{
	if (f->state != OPEN || !f->pcb || f->probes == PROBES_MAX)
		return false;
	f->probes++;
	flow_touch(&f->u->tcp, &f->flow, LIST_PROBED, unet_now(f->u));
	tcp_keepalive(f->pcb);
	return true;
}

void tcp_expire(struct unet *u, uint64_t now)
{
	struct tcp_flow *f;

	while ((f = (struct tcp_flow *)flow_expired(&u->tcp, now))) {
		if (f->state == CONNECTING && f->flow.list == LIST_RESOLVING) {
			refused(f, ETIMEDOUT);
			continue;
		}
		if (keep_alive(f))
			continue;
		f->guest_reset = f->state == OPEN;
		drop(f);
	}
}

bool tcp_flows_init(struct unet *u)
{
	if (!flow_table_init(&u->tcp, u->cfg.limits.tcp_flows, sizeof(struct tcp_flow), (const uint8_t *)u->secret))
		return false;
	u->pieces = calloc(PIECES, sizeof(*u->pieces));
	u->ring_limit = RINGS_MAX;
	timer_init(&u->ack_timer, u->cfg.clock, acks_due, u);
	u->tcp.lists[LIST_CONNECTING].idle_ns = S(130);
	u->tcp.lists[LIST_RESOLVING].idle_ns = S(3);
	u->tcp.lists[LIST_LINGERING].idle_ns = S(60);
	u->tcp.lists[LIST_OPEN].idle_ns = KEEP_IDLE;
	u->tcp.lists[LIST_PROBED].idle_ns = KEEP_INTERVAL;
	return u->pieces != NULL;
}

bool tcp_busy(struct unet *u)
{
	for (struct flow *f = flow_next(&u->tcp, NULL); f; f = flow_next(&u->tcp, f))
		if (((struct tcp_flow *)f)->backlog)
			return true;
	return false;
}

void tcp_flows_free(struct unet *u)
{
	struct flow *f = NULL;

	while (u->tcp.objects && (f = flow_next(&u->tcp, f))) {
		/* who has said all, and passed it on, is not cut off: the host's kernel still delivers it */
		((struct tcp_flow *)f)->guest_reset = !((struct tcp_flow *)f)->shut;
		drop((struct tcp_flow *)f);
	}
	flow_table_free(&u->tcp);
	if (u->ack_timer.clock)
		timer_cancel(&u->ack_timer);
	free(u->pieces);
	netif_free_queue(u);
	tcp_rings_free(u);
}

static const char *state_name(const struct tcp_flow *f)
{
	static const char *const names[] = { "CLOSED", "LISTEN", "SYN_SENT", "SYN_RCVD", "ESTABLISHED", "FIN_WAIT_1",
					     "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT" };

	return f->pcb ? names[f->pcb->state] : f->state == CONNECTING ? "SYN_SENT" : "CLOSED";
}

void tcp_print(struct unet *u, void (*out)(void *to, const char *line), void *to)
{
	for (struct flow *f = flow_next(&u->tcp, NULL); f; f = flow_next(&u->tcp, f)) {
		struct tcp_flow *t = (struct tcp_flow *)f;
		char label[32];

		snprintf(label, sizeof(label), "  TCP[%s]", state_name(t));
		print_row(u, &(struct print_row){
			.label = label, .fd = t->fd, .src = t->forwarded ? f->key.far : f->key.guest,
			.src_port = t->forwarded ? f->key.far_port : f->key.guest_port,
			.dst = t->forwarded ? f->key.guest : f->key.far,
			.dst_port = t->forwarded ? f->key.guest_port : f->key.far_port,
			.recvq = t->backlog ? t->backlog->len : 0, .sendq = t->tx ? t->tx->len : 0, .flow = true,
			.opened_ns = t->opened_ns, .to_host = t->bytes_in, .to_guest = t->bytes_out,
			.rtt_us = t->fd < 0 ? 0 : SOCK(u, round_trip, t->fd) }, out, to);
	}
}
