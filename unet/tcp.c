/* SPDX-License-Identifier: MIT */
/*
 * TCP flows: one host socket and one lwIP connection each.  tcp_open.c begins them, tcp_input.c takes the guest's
 * segments, tcp_data.c moves the bytes.
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

#include "lwip/priv/tcp_priv.h"
#include "unet/tcp_flow.h"

enum {
	STREAM_MIN = 1 << 16,           /* bytes in one direction that make a stream, and how soon one must follow another */
	ACK_BYTES = 16384,              /* that wait at most */
	ANSWERS = 16,                   /* that come soon, until an ACK waits for the next one again */
	PROBES_MAX = 9,                 /* keep-alive: the intervals and the number are RFC 9293's and everybody's */
};

#define STREAM_GAP MS(20)
#define ACK_DELAY US(500)
#define ANSWER_DELAY MS(2)
#define KEEP_IDLE S(7200)
#define KEEP_INTERVAL S(75)

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
	if (p || !f->fin_sent) {                /* one ACK for the whole batch, from work_on() */
		tcp_clear_flags(pcb, TF_ACK_NOW | TF_ACK_DELAY);
		f->ack_wanted = true;
	}
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

void tcp_hook(struct tcp_flow *f, struct tcp_pcb *pcb)
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
	tcp_hook(u->opening, pcb);
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

/* --- life of a flow ---------------------------------------------------------------------------------------------- */

void tcp_watch(struct tcp_flow *f, unsigned events)
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

void tcp_close_socket(struct tcp_flow *f, bool reset)
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

void tcp_drop(struct tcp_flow *f)
{
	struct unet *u = f->u;

	tcp_close_socket(f, f->guest_reset);
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
	tcp_drop(f);
}

bool tcp_over(const struct tcp_flow *f)
{
	return f->state == LINGERING || (f->pcb && f->pcb->state == TIME_WAIT);
}

void tcp_reuse(struct tcp_flow *f)
{
	f->guest_reset = false;
	tcp_drop(f);
}

/* --- work --------------------------------------------------------------------------------------------------------- */

static bool may_read(const struct tcp_flow *f)
{
	return !f->host_eof && !f->chain[CHAIN_STARVED].on && !f->chain[CHAIN_BLOCKED].on && tcp_wants_read(f);
}

static void update_watch(struct tcp_flow *f)
{
	unsigned events = 0;

	if (f->state != OPEN)
		return;
	if (may_read(f))
		events |= LOOP_READ | LOOP_PRI;
	if (f->backlog)
		events |= LOOP_WRITE;
	tcp_watch(f, events);
}

static void linger(struct tcp_flow *f)
{
	tcp_close_socket(f, false);
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
	unchain(f, CHAIN_ANSWERS);
	if (!f->u->chains[CHAIN_ACKS].first && !f->u->chains[CHAIN_ANSWERS].first)
		timer_cancel(&f->u->ack_timer);
}

/*
 * An ACK costs the guest an interrupt.  In a dialogue it waits for the host's answer, for as long as libslirp's would; a
 * flow whose host does not answer that soon gets its ACKs at once until it does again, for the guest may wait for them
 * (Nagle's algorithm, one segment at a time).  A guest that streams in small writes gets one for four segments' worth, or
 * after half a millisecond: one that comes at once keeps Nagle's algorithm from filling its segments.
 */
static bool ack_can_wait(struct tcp_flow *f, uint64_t now)
{
	struct unet *u = f->u;
	uint64_t due = now + ACK_DELAY;
	uint32_t most = MIN(4u * f->guest_mss, ACK_BYTES);
	unsigned chain = CHAIN_ACKS;

	if (now - f->heard_ns > STREAM_GAP)
		f->stream = f->unacked;
	f->heard_ns = now;
	if (f->stream < STREAM_MIN) {
		due = now + ANSWER_DELAY;
		most = f->acks_at_once ? 0 : f->guest_mss;
		chain = CHAIN_ANSWERS;
	}
	if (f->unacked >= most || f->backlog)
		return false;
	if (f->chain[CHAIN_ACKS].on || f->chain[CHAIN_ANSWERS].on)
		return true;
	f->ack_due = due;
	tcp_chain(f, chain);
	if (!timer_armed(&u->ack_timer) || u->ack_timer.deadline > due)
		timer_set(&u->ack_timer, due);
	return true;
}

static void acks_due(void *owner)
{
	struct unet *u = owner;
	uint64_t now = unet_now(u), next = CLOCK_NEVER;

	unet_enter(u);
	for (unsigned chain = CHAIN_ACKS; chain <= CHAIN_ANSWERS; chain++) {
		struct tcp_flow *f;

		while ((f = u->chains[chain].first) && f->ack_due <= now) {
			unchain(f, chain);
			if (chain == CHAIN_ANSWERS)
				f->acks_at_once = ANSWERS;
			f->kick = true;
			tcp_chain(f, CHAIN_WORK);
		}
		if (f)
			next = MIN(next, f->ack_due);
	}
	if (next != CLOCK_NEVER)
		timer_set(&u->ack_timer, next);
	unet_leave(u);
}

static void work_on(struct tcp_flow *f)
{
	struct unet *u = f->u;
	uint64_t now = unet_now(u);
	bool output, fin;

	if (f->first_piece)
		tcp_flush_flow(f);
	if (f->host_reset || (!f->pcb && f->state != CONNECTING && (f->guest_reset || !f->backlog))) {
		tcp_drop(f);
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
	/* a socket that keeps us busy is read without being waited for; only the mark of urgent data must be looked for then */
	if (f->more && may_read(f))
		tcp_read_host(f, true);
	output = tcp_push(f);
	fin = tcp_fin_due(f);
	output |= fin;
	if (output && f->acks_at_once && now - f->heard_ns < ANSWER_DELAY)
		f->acks_at_once--;
	output |= f->kick;
	if ((f->ack_wanted && (output || !ack_can_wait(f, now))) || f->unannounced >= TCP_WND_MAX(f->pcb) / 4) {
		announce(f);
		output = true;
	}
	f->kick = false;
	if (fin)
		tcp_push_fin(f);
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
			tcp_refused(f, -error);
		else if (events & (LOOP_WRITE | LOOP_HUP))
			tcp_connected(f);
	} else {
		if (events & LOOP_HUP) {
			f->hung_up = true;
			/* who reads hears of an error from that */
			if (!(events & LOOP_READ) || f->host_eof)
				f->host_reset = SOCK(u, error, f->fd) != 0;
		}
		if ((events & LOOP_WRITE) && !f->host_reset)
			tcp_flush_backlog(f);
		if ((events & (LOOP_READ | LOOP_PRI)) && !f->host_reset && !f->host_eof)
			tcp_read_host(f, events & LOOP_PRI);
		tcp_chain(f, CHAIN_WORK);
	}
	unet_leave(u);
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

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
			tcp_refused(f, ETIMEDOUT);
			continue;
		}
		if (keep_alive(f))
			continue;
		f->guest_reset = f->state == OPEN;
		tcp_drop(f);
	}
}

/* Somebody has taken this address anew.  If he was started anew he knows none of its connections, and answers with resets. */
void tcp_ask(struct unet *u, const struct addr *guest)
{
	for (struct flow *i = flow_next(&u->tcp, NULL); i; i = flow_next(&u->tcp, i)) {
		struct tcp_flow *f = (struct tcp_flow *)i;

		if (f->state == OPEN && f->pcb && addr_equal(&i->key.guest, guest))
			tcp_keepalive(f->pcb);
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
		tcp_drop((struct tcp_flow *)f);
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
