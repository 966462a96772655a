/* SPDX-License-Identifier: MIT */
/*
 * Sequences of TCP's states: the input is a program (program.h) of guest segments and of what the simulated host's sockets
 * do.  Four connections, one of which may use IPv6; the fourth is opened by a client of a forward.
 *
 * The oracle is more than "no crash": the byte at each sequence number of a stream is a function of that number, so that
 * whatever order, overlap and repetition a program makes, what the host was sent, and what the guest was given in order,
 * must be right to the byte.  At the end an honest connection must be served at once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/fake_net.h"
#include "tests/fuzz/mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	CONNECTIONS = 4, FORWARDED = 3, FORWARD_PORT = 22,
	/* a connection's first argument is its number */
	OP_OPEN,        /* mss16 scale window16: SYN, and the ACK if it is answered */
	OP_SYN,         /* mss16 scale window16: only that */
	OP_DATA,        /* flags len16 window16: the next bytes, as a good guest sends them */
	OP_ACK,         /* window16: all that arrived in order */
	OP_SEGMENT,     /* flags seq16 ack16 len16 window16 urgent16 options...: around the window */
	OP_GSO,         /* flags len16 size16: as OP_DATA, long */
	OP_SEND,        /* len16: the host's peer says something */
	OP_URGENT,      /* len16: and its last byte is urgent */
	OP_CLOSE, OP_RESET,     /* the host's peer does */
	OP_SPACE,       /* len16: bytes that the host's socket takes; 0xffff: all */
	OP_DONE,        /* error: a connect of the host's ends */
	OP_ICMP,        /* type code mtu16: the guest complains of the last segment it got */
	/* these have none */
	OP_CONNECT,     /* how the next connects end */
	OP_TIME,        /* 10 ms times this */
	OP_ROOM,        /* frames that the guest's card takes */
	OP_OFFLOADS,
	OP_CLIENT,      /* of the forward */
	OP_LONG,        /* seconds16: a long silence */
	OPS,
	STREAM_MAX = 1 << 21,
	SEGMENTS_MAX = 400,             /* that one input may have the host's data cut into: a few thousand take a long time */
};

struct connection {
	struct guest_tcp t;
	bool exact;                     /* base and fd are known */
	bool liar;                      /* it acknowledged what it did not have */
	int fd;
	unsigned born;                  /* of fd */
	uint32_t base;                  /* of the guest's stream: sequence number of its first byte */
	size_t checked;                 /* of what the host was sent */
	uint16_t mss;                   /* the smallest that a SYN of it said */
	uint32_t pushed;                /* of what the host's peer sends */
	uint8_t last[48];               /* the last segment's headers, for OP_ICMP */
};

static const uint8_t outside6[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 1 };

static struct run {
	struct fake_net n;
	struct connection c[CONNECTIONS];
	int listener;
	uint16_t client_port;
	unsigned segments;
	uint8_t frame[70000];
} run;

enum { PERIOD = 1 << 17 };

/* The stream from this number on: it repeats itself only after more bytes than any window has. */
static const uint8_t *stream(uint32_t at)
{
	static uint8_t bytes[PERIOD + STREAM_MAX];

	if (!bytes[1])
		for (uint32_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)((i % PERIOD) * 7 ^ (i % PERIOD) >> 9);
	return bytes + at % PERIOD;
}

enum { HOST_STREAM = 0x5555 };  /* where the other direction's begins */

static void wrong(const char *what)
{
	fprintf(stderr, "fuzz_unet_tcp: %s\n", what);
	abort();
}

/* --- what unet sent ----------------------------------------------------------------------------------------------- */

static struct fake_socket *host_of(struct connection *c)
{
	struct fake_socket *s = c->fd >= 3 && c->fd < run.n.sockets.high ? &run.n.sockets.s[c->fd] : NULL;

	return s && s->open && s->born == c->born ? s : NULL;
}

static void check_host(struct connection *c)
{
	struct fake_socket *s = host_of(c);

	if (!s || !c->exact)
		return;
	if (s->sent_len > STREAM_MAX || (s->sent_len && memcmp(s->sent, stream(c->base + (uint32_t)c->checked), s->sent_len)))
		wrong("the host was sent what the guest never said");
	c->checked += s->sent_len;
	s->sent_len = 0;
}

/* A SYN-ACK: which of the host's sockets is it? */
static void settle(struct connection *c, const struct guest_packet *p)
{
	struct fake_sockets *f = &run.n.sockets;
	int found = -1;
	char to[40];

	snprintf(to, sizeof(to), c->t.v6 ? "[2001:db8::1]:%u" : "93.184.216.34:%u", c->t.far_port);
	for (int i = 3; i < f->high; i++)
		if (f->s[i].open && f->s[i].connected && !strcmp(fake_text(&f->s[i].peer), to) &&
		    (found < 0 || f->s[i].born > f->s[found].born))
			found = i;
	if (found < 0 || (found == c->fd && f->s[found].born == c->born))
		return;
	c->fd = found;
	c->born = f->s[found].born;
	c->base = p->ack;
	c->checked = 0;
	c->pushed = 0;
	c->exact = true;
	c->liar = false;
	c->t.got_len = 0;
	c->t.rcv_nxt = p->seq + 1;
	c->t.snd_una = c->t.snd_nxt = p->ack;
	c->t.far_scale = p->scale;
	c->t.reset = c->t.fin_seen = false;
}

static void take(struct connection *c, const struct guest_packet *p)
{
	struct guest_tcp *t = &c->t;

	memcpy(c->last, p->ip, p->v6 ? 48 : 28);
	if (p->flags & TCP_RST_)
		return;
	if (p->flags & TCP_SYN_) {
		if (p->flags & TCP_ACK_)
			settle(c, p);
		return;
	}
	if ((p->flags & TCP_ACK_) && (int32_t)(p->ack - t->snd_una) > 0 && (int32_t)(p->ack - t->snd_nxt) <= 0)
		t->snd_una = p->ack;
	if (c->exact) {
		uint32_t skip = t->rcv_nxt - p->seq;

		if (skip <= p->data_len) {
			if (!c->liar && memcmp(p->data + skip, stream(HOST_STREAM + (uint32_t)t->got_len), p->data_len - skip))
				wrong("the guest was given what the host never said");
			t->got_len += p->data_len - skip;
			t->rcv_nxt += (uint32_t)p->data_len - skip;
			if (t->got_len > c->pushed)
				wrong("more than the host said");
		}
	}
	if ((p->flags & TCP_FIN_) && p->seq + p->data_len == t->rcv_nxt && !t->fin_seen) {
		t->fin_seen = true;
		t->rcv_nxt++;
	}
}

static void look(void)
{
	struct guest_packet p;

	while (guest_packet(&run.n.guest, &p)) {
		if (p.protocol != 6)
			continue;
		if (p.dport == FORWARD_PORT) {
			struct connection *c = &run.c[FORWARDED];

			if (p.flags == TCP_SYN_) {
				c->t.far = p.src;
				c->t.far_port = p.sport;
				c->t.rcv_nxt = p.seq + 1;
				c->t.far_scale = p.scale;
			}
			if (p.sport == c->t.far_port)
				take(c, &p);
			continue;
		}
		for (unsigned i = 0; i < FORWARDED; i++)
			if (p.dport == run.c[i].t.port && p.sport == run.c[i].t.far_port && p.v6 == run.c[i].t.v6)
				take(&run.c[i], &p);
	}
	for (unsigned i = 0; i < FORWARDED; i++)
		check_host(&run.c[i]);
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

static void segment(struct connection *c, uint32_t seq, uint8_t flags, const void *options, size_t options_len, size_t len,
		    unsigned gso_size)
{
	/* a SYN counts: its data begins behind it */
	const uint8_t *data = stream(seq + ((flags & TCP_SYN_) != 0));
	size_t n = guest_tcp_build(&c->t, run.frame, seq, flags, options, options_len, data, len);

	if (gso_size)
		guest_send_facts(&run.n.guest, run.frame, n, &(struct frame){
			.needs_csum = true, .gso = c->t.v6 ? GSO_TCPV6 : GSO_TCPV4, .gso_size = (uint16_t)gso_size,
			.csum_start = c->t.v6 ? 54 : 34, .csum_offset = 16, .hdr_len = (uint16_t)(n - len) });
	else
		guest_send(&run.n.guest, run.frame, n);
}

static void syn(struct connection *c, struct cursor *in)
{
	struct guest_tcp *t = &c->t;
	uint8_t options[8] = { 2, 4, 0, 0, 1, 3, 3, 0 };
	uint16_t mss;
	uint8_t flags = TCP_SYN_ | (c == &run.c[FORWARDED] ? TCP_ACK_ : 0);

	mss = cursor_be16(in);
	c->mss = MIN(c->mss, mss);
	put_be16(options + 2, mss);
	options[7] = cursor_u8(in);
	t->scale = options[7] > 14 ? -1 : options[7];
	t->window = (uint32_t)cursor_be16(in) << (t->scale > 0 ? t->scale : 0);
	/* a new connection lies beyond the old one's numbers; settle() goes on from there if it is answered */
	segment(c, t->snd_nxt + (c == &run.c[FORWARDED] ? 0 : 0x10000), flags, options, t->scale < 0 ? 4 : 8, 0, 0);
	if (c == &run.c[FORWARDED])
		t->snd_nxt++;
}

static void peer_says(struct connection *c, size_t len, bool urgent)
{
	struct fake_socket *s = host_of(c);
	const uint8_t *data = stream(HOST_STREAM + c->pushed);

	if (!s || !len || s->input_len - s->input_at + len > 300000 || c->pushed + len > STREAM_MAX)
		return;
	run.segments += (unsigned)len / MAX(c->mss, 88u) + 1;
	if (run.segments > SEGMENTS_MAX)
		return;
	c->pushed += (uint32_t)len;
	if (urgent)
		fake_peer_sends_urgent(&run.n.sockets, c->fd, data, len);
	else
		fake_peer_sends(&run.n.sockets, c->fd, data, len);
}

static void connection_step(uint8_t op, struct connection *c, struct cursor *in)
{
	struct guest_tcp *t = &c->t;
	struct fake_socket *s = host_of(c);
	uint8_t flags, buf[150];
	uint32_t seq, save = t->rcv_nxt;
	uint16_t len, what;

	switch (op) {
	case OP_OPEN:
	case OP_SYN:
		syn(c, in);
		fake_sockets_poll(&run.n.sockets, 3);
		look();
		if (op == OP_OPEN)
			segment(c, t->snd_nxt, TCP_ACK_, NULL, 0, 0, 0);
		break;
	case OP_DATA:
	case OP_GSO:
		flags = TCP_ACK_ | (cursor_u8(in) & (TCP_PSH_ | TCP_FIN_));
		len = cursor_be16(in);
		if (op == OP_DATA)
			len %= 1461;
		what = cursor_be16(in);
		if (op == OP_DATA && what)
			t->window = (uint32_t)what << (t->scale > 0 ? t->scale : 0);
		len = MIN(len, 65000);
		segment(c, t->snd_nxt, flags, NULL, 0, len, op == OP_GSO ? MAX(what, 1) : 0);
		t->snd_nxt += len + (flags & TCP_FIN_);
		break;
	case OP_ACK:
		t->window = (uint32_t)cursor_be16(in) << (t->scale > 0 ? t->scale : 0);
		segment(c, t->snd_nxt, TCP_ACK_, NULL, 0, 0, 0);
		break;
	case OP_SEGMENT:
		flags = cursor_u8(in);
		seq = t->snd_nxt + (uint32_t)(int16_t)cursor_be16(in);
		what = cursor_be16(in);
		t->rcv_nxt += (uint32_t)(int16_t)what;
		if ((int16_t)what > 0)          /* who acknowledges the future gets what it deserves */
			c->liar = true;
		len = cursor_be16(in) % 1461;
		t->window = (uint32_t)cursor_be16(in) << (t->scale > 0 ? t->scale : 0);
		t->urgent = cursor_be16(in);
		what = (uint16_t)MIN(cursor_left(in), 40) & ~3u;
		segment(c, seq, flags, cursor_take(in, what), what, len, 0);
		t->rcv_nxt = save;
		break;
	case OP_SEND:
	case OP_URGENT:
		peer_says(c, cursor_be16(in), op == OP_URGENT);
		break;
	case OP_CLOSE:
		if (s)
			fake_peer_closes(&run.n.sockets, c->fd);
		break;
	case OP_RESET:
		if (s)
			fake_peer_resets(&run.n.sockets, c->fd);
		break;
	case OP_SPACE:
		len = cursor_be16(in);
		if (s)
			s->send_space = len == 0xffff ? SIZE_MAX : len;
		break;
	case OP_ICMP:
		flags = cursor_u8(in);
		what = cursor_u8(in);
		len = cursor_be16(in);
		guest_send(&run.n.guest, buf,
			   t->v6 ? guest_icmp6(&run.n.guest, buf, t->far6, flags, (uint8_t)what, len, c->last, 48) :
				   guest_icmp(&run.n.guest, buf, t->far, flags, (uint8_t)what, len, c->last, 28));
		break;
	}
}

/* A connect that is under way ends. */
static void connect_ends(uint8_t which, uint8_t error)
{
	static const int errors[] = { 0, 0, 0, 0, ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT, EACCES };
	struct fake_sockets *f = &run.n.sockets;

	for (int i = 3; i < f->high; i++)
		if (f->s[i].open && f->s[i].connecting && which-- % 4 == 0) {
			fake_connect_done(f, i, errors[error % ARRAY_SIZE(errors)]);
			return;
		}
}

static void step(uint8_t op, struct cursor *in)
{
	struct fake_net *n = &run.n;
	uint8_t arg = cursor_u8(in);
	uint32_t seconds;

	op = (uint8_t)(OP_OPEN + op % (OPS - OP_OPEN));
	switch (op) {
	case OP_DONE:
		connect_ends(arg, cursor_u8(in));
		break;
	case OP_CONNECT:
		n->sockets.connect_result = arg % 4 == 0 ? -EINPROGRESS : arg % 4 == 1 ? -ECONNREFUSED : 0;
		break;
	case OP_TIME:
		fake_net_run(n, MS(arg * 10u));
		break;
	case OP_LONG:                   /* hours, if nothing ticks */
		seconds = (uint32_t)arg << 8 | cursor_u8(in);
		if (clock_deadline(n->clock.clock) - n->clock.now < S(1))
			seconds %= 20;
		fake_clock_advance(&n->clock, S(seconds));
		break;
	case OP_ROOM:
		n->guest.room = arg & 0x80 ? SIZE_MAX : arg;
		port_ready(&n->guest.port);
		break;
	case OP_OFFLOADS:
		port_accepts(&n->guest.port, arg & 1 ? PORT_CSUM | PORT_TSO4 | PORT_TSO6 : arg & 2 ? PORT_CSUM : 0);
		break;
	case OP_CLIENT:
		if (n->sockets.s[run.listener].client_count < 8)
			fake_client_connects(&n->sockets, run.listener, "198.51.100.7", run.client_port++);
		break;
	default:
		connection_step(op, &run.c[arg % CONNECTIONS], in);
	}
	fake_sockets_poll(&n->sockets, 3);
	look();
}

static void honest_connection(void)
{
	struct fake_net *n = &run.n;
	struct guest_tcp t;

	n->guest.room = SIZE_MAX;
	port_ready(&n->guest.port);
	n->sockets.connect_result = 0;
	fake_net_run(n, MS(20));
	guest_forget(&n->guest);
	guest_tcp_init(&t, &n->guest, NET_OUTSIDE, 50000, 8080);
	if (!guest_tcp_open(&t))
		wrong("an honest connection is not served");
	guest_tcp_send(&t, TCP_ACK_, "hello", 5);
	if (n->sockets.s[n->sockets.last_open].sent_len != 5)
		wrong("an honest word does not reach the host");
	fake_peer_sends(&n->sockets, n->sockets.last_open, "hi", 2);
	for (int i = 0; i < 200 && t.got_len < 2; i++) {
		fake_net_run(n, MS(50));
		guest_tcp_run(&t);
	}
	if (t.got_len != 2)
		wrong("an answer does not reach an honest guest");
	guest_tcp_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unet_config c;
	struct cursor in = cursor_of(data, size), body;
	uint8_t config = cursor_u8(&in), op;
	struct err err;
	uint16_t bound;

	memset(&run, 0, offsetof(struct run, frame));
	fake_net_config(&run.n, &c);
	c.limits = (struct unet_limits){ 8, 4, 4, 4, 4, 8, 16, 2 };
	if (!fake_net_start(&run.n, &c, config & 1 ? PORT_CSUM | PORT_TSO4 | PORT_TSO6 : 0) ||
	    !unet_hostfwd_add(run.n.u, "tcp:127.0.0.1:2222-:22", &bound, &err))
		abort();
	run.listener = run.n.sockets.last_open;
	run.client_port = 5000;
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		run.c[i].fd = -1;
		run.c[i].mss = 0xffff;
		if (i < FORWARDED && (config >> 2 & 3) == i)
			guest_tcp_init6(&run.c[i].t, &run.n.guest, outside6, (uint16_t)(1000 + i), (uint16_t)(80 + i));
		else
			guest_tcp_init(&run.c[i].t, &run.n.guest, NET_OUTSIDE, (uint16_t)(1000 + i), (uint16_t)(80 + i));
		run.c[i].t.far_scale = -1;
		run.c[i].t.snd_nxt = config & 2 ? 0xfffe8000 : 100000;          /* numbers wrap */
	}
	run.c[FORWARDED].t.port = FORWARD_PORT;
	run.c[FORWARDED].t.far = NET_HOST;
	while (next_chunk(&in, &op, &body))
		step(op, &body);
	honest_connection();
	for (unsigned i = 0; i < CONNECTIONS; i++)
		guest_tcp_free(&run.c[i].t);
	fake_net_free(&run.n);
	return 0;
}

/* --- the mutator's ------------------------------------------------------------------------------------------------- */

static size_t fuzz_example(uint32_t random, uint8_t chunk[EXAMPLE_MAX])
{
	static const uint16_t lengths[] = { 0, 1, 100, 536, 1460, 4000, 20000, 64000, 0xffff };
	static const uint16_t windows[] = { 0, 1, 100, 1460, 4000, 30000, 65535, 65535 };
	static const uint16_t mss[] = { 0, 1, 88, 536, 1460, 1460, 9000, 65535 };
	static const uint8_t flags[] = { TCP_ACK_, TCP_ACK_ | TCP_PSH_, TCP_ACK_ | TCP_FIN_, TCP_RST_, TCP_RST_ | TCP_ACK_,
					 TCP_SYN_, TCP_SYN_ | TCP_ACK_, TCP_ACK_ | TCP_URG_, 0, 0x3f };
	static const uint8_t often[] = { OP_OPEN, OP_OPEN, OP_DATA, OP_DATA, OP_ACK, OP_ACK, OP_SEND, OP_SEND, OP_SEGMENT,
					 OP_SEGMENT, OP_TIME, OP_CLIENT, OP_GSO, OP_DONE };
	uint32_t r = random >> 8;
	uint8_t op = random & 1 ? often[(random >> 1) % sizeof(often)] : (uint8_t)(OP_OPEN + (random >> 1) % (OPS - OP_OPEN));
	uint8_t *p = chunk + CHUNK_HEAD;
	uint16_t len = lengths[r % ARRAY_SIZE(lengths)], window = windows[(r >> 4) % ARRAY_SIZE(windows)];

	chunk[0] = (uint8_t)(op - OP_OPEN);
	*p++ = (uint8_t)(r >> 8) & 3;
	switch (op) {
	case OP_OPEN:
	case OP_SYN:
		put_be16(p, mss[(r >> 12) % ARRAY_SIZE(mss)]);
		p[2] = (uint8_t)((r >> 16) % 17);
		put_be16(p + 3, window);
		p += 5;
		break;
	case OP_DATA:
	case OP_GSO:
		*p++ = (r >> 12) % 8 == 0 ? TCP_FIN_ : 0;
		put_be16(p, len);
		put_be16(p + 2, op == OP_GSO ? 1460 : window);
		p += 4;
		break;
	case OP_SEGMENT:
		*p++ = flags[(r >> 12) % sizeof(flags)];
		put_be16(p, (uint16_t)((r >> 16) % 3 ? 0 : (r >> 10) % 4000 - 2000));
		put_be16(p + 2, (uint16_t)((r >> 17) % 3 ? 0 : (r >> 9) % 4000 - 2000));
		put_be16(p + 4, len);
		put_be16(p + 6, window);
		put_be16(p + 8, (uint16_t)((r >> 5) % 1500));
		memcpy(p + 10, (const uint8_t[]){ 2, 4, 0, 88, 1, 3, 3, 7 }, 8);
		p += r & 1 ? 18 : 10;
		break;
	case OP_ICMP:
		p[0] = 3;
		p[1] = (r >> 12) & 1 ? 4 : 1;
		put_be16(p + 2, 600);
		p += 4;
		break;
	case OP_TIME:
	case OP_CONNECT:
	case OP_ROOM:
	case OP_OFFLOADS:
		p[-1] = (uint8_t)(r >> 8);
		break;
	case OP_ACK:
		put_be16(p, window);
		p += 2;
		break;
	default:
		put_be16(p, len);
		p += 2;
	}
	put_be16(chunk + 1, (uint16_t)(p - chunk - CHUNK_HEAD));
	return (size_t)(p - chunk);
}

/* Nothing to set right: the harness fills in numbers and checksums. */
static void fuzz_repair(uint8_t op, uint8_t *data, size_t len)
{
	(void)op;
	(void)data;
	(void)len;
}
