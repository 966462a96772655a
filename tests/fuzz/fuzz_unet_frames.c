/* SPDX-License-Identifier: MIT */
/*
 * Frames, and a simulated host, against the whole stack.  The input is a program (program.h).  Raw frames go in as they
 * are, live ones with the acknowledgement that their connection is at, so that captures play on; built ones get right
 * checksums, so that what lies behind the checks is reached; time passes and the host's peers talk, close and reset in
 * between.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/fake/fake_net.h"
#include "tests/fuzz/mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OP_RAW, OP_IP, OP_UDP, OP_TCP, OP_TCP_GSO, OP_TIME, OP_PEER, OP_CONNECT, OP_OFFLOADS, OP_ARP, OP_CONNECTION, OP_ROOM,
       OP_UDP6, OP_ICMP6, OP_NDP, OP_CHAIN6, OP_CONNECTION6, OP_LIVE, OPS };

enum { NUMBERS = 64 };

struct run {
	struct fake_net n;
	struct guest_tcp t[4];
	struct cursor in;
	struct {
		uint16_t port, far_port;
		uint32_t next;          /* what the guest expects next */
	} numbers[NUMBERS];
	uint8_t frame[70000];
};

static const uint32_t places[] = { NET_HOST, NET_DNS, NET_OUTSIDE, 0x7f000001, 0x0a000220, 0xffffffff, 0xe0000001, 0 };

static const uint8_t places6[8][16] = {
	{ 0xfe, 0xc0, [15] = 2 }, { 0xfe, 0xc0, [15] = 3 }, { 0x20, 1, 0x0d, 0xb8, [15] = 1 }, { [15] = 1 },
	{ 0xfe, 0x80, [15] = 2 }, { 0xff, 2, [15] = 1 }, { 0xff, 2, [13] = 1, 0, 2 }, { 0xfe, 0xc0, [15] = 0x20 },
};

/* Up to n bytes of what is left. */
static const uint8_t *bytes(struct run *r, size_t *n)
{
	*n = MIN(*n, cursor_left(&r->in));
	return cursor_take(&r->in, *n);
}

static void tcp(struct run *r, bool gso)
{
	struct guest_tcp *t = &r->t[cursor_u8(&r->in) & 3];
	uint8_t flags = cursor_u8(&r->in), shape = cursor_u8(&r->in);
	int16_t seq = (int16_t)cursor_be16(&r->in), ack = (int16_t)cursor_be16(&r->in);
	size_t options_len = (shape & 7) * 4u, len = cursor_be16(&r->in), n;
	const uint8_t *options = bytes(r, &options_len);
	uint32_t save = t->rcv_nxt;
	static uint8_t payload[66000];

	len %= gso ? 65000 : 1461;
	t->window = (uint32_t)cursor_be16(&r->in);
	t->rcv_nxt += (uint32_t)(ack / 16);
	n = guest_tcp_build(t, r->frame, t->snd_una + (shape & 0x80 ? (uint32_t)seq : 0), flags, options, options_len & ~3u,
			    payload, len);
	t->rcv_nxt = save;
	if (gso)
		guest_send_facts(&r->n.guest, r->frame, n, &(struct frame){
			.needs_csum = true, .gso = t->v6 ? GSO_TCPV6 : GSO_TCPV4, .gso_size = (uint16_t)(shape & 0x40 ? seq : 1440),
			.csum_start = t->v6 ? 54 : 34, .csum_offset = 16, .hdr_len = (uint16_t)(n - len) });
	else
		guest_send(&r->n.guest, r->frame, n);
	guest_tcp_run(t);
}

static void peer(struct run *r)
{
	uint8_t which = cursor_u8(&r->in), what = cursor_u8(&r->in);
	struct fake_sockets *s = &r->n.sockets;
	static const uint8_t talk[40000];
	size_t len = cursor_be16(&r->in);
	int fd = s->high > 3 ? 3 + which % (s->high - 3) : 3;

	if (fd >= s->high || !s->s[fd].open)
		return;
	switch (what & 7) {
	case 0:
		fake_peer_closes(s, fd);
		break;
	case 1:
		fake_peer_resets(s, fd);
		break;
	case 2:
		s->s[fd].send_space = len;
		break;
	case 3:
		s->s[fd].send_space = SIZE_MAX;
		break;
	case 4:
		if (s->s[fd].connecting)
			fake_connect_done(s, fd, which & 1 ? 0 : ECONNREFUSED + (which >> 1) % 4);
		break;
	case 5:
		if (s->s[fd].type == SOCK_DGRAM) {
			const uint8_t *d = bytes(r, &len);

			if (d)
				fake_peer_datagram(s, fd, s->s[fd].family == AF_INET6 ? "2001:db8::1" : "93.184.216.34", 53, d, len);
		}
		break;
	default:
		if (s->s[fd].type == SOCK_STREAM && s->s[fd].input_len < 1000000)
			fake_peer_sends(s, fd, talk, len % sizeof(talk));
	}
	s->s[fd].sent_len = 0;
}

/*
 * A chain of extension headers from the input, the lengths and next headers mostly right, with a fragment's or an echo
 * request's header at the end.
 */
static void chain6(struct run *r)
{
	static const uint8_t kinds[] = { 0, 43, 44, 60, 17, 58, 6, 59 };
	uint8_t dst = cursor_u8(&r->in) & 7, count = cursor_u8(&r->in) & 7, body[1400], next = kinds[cursor_u8(&r->in) & 7], first = next;
	size_t at = 0, n;
	const uint8_t *p;

	for (unsigned i = 0; i < count; i++) {
		size_t len = 8u + (cursor_u8(&r->in) & 7u) * 8;
		uint8_t kind = kinds[cursor_u8(&r->in) & 7];

		memset(body + at, 0, len);
		n = len - 2;
		p = bytes(r, &n);
		if (p)
			memcpy(body + at + 2, p, n);
		body[at] = kind;
		body[at + 1] = next == 44 ? 0 : (uint8_t)(len / 8 - 1);
		if (next == 44) {               /* few identifications, offsets nearby: they shall meet */
			len = 8;
			body[at + 2] &= 1;
			memset(body + at + 4, 0, 3);
		}
		at += len;
		next = kind;
	}
	n = cursor_be16(&r->in) % 600;
	p = bytes(r, &n);
	if (p)
		memcpy(body + at, p, n);
	guest_send(&r->n.guest, r->frame, guest_ip6(&r->n.guest, r->frame, places6[dst], first, body, at + n));
}

static void ndp(struct run *r)
{
	uint8_t type = 133 + cursor_u8(&r->in) % 5, arg = cursor_u8(&r->in), m[300] = { 0 };
	size_t n = cursor_u8(&r->in);
	uint32_t rest = cursor_be32(&r->in);
	const uint8_t *p = bytes(r, &n);

	memcpy(m, places6[(arg >> 3) & 7], 16);
	if (p)
		memcpy(m + 16, p, n);
	n = guest_icmp6(&r->n.guest, r->frame, places6[arg & 7], type, 0, rest, m, type == 133 ? n : 16 + n);
	r->frame[21] = arg & 0x80 ? 64 : 255;
	if (arg & 0x40)
		memset(r->frame + 22, 0, 16);
	guest_fix_l4(r->frame);
	guest_send(&r->n.guest, r->frame, n);
}

/* Where a TCP segment of the guest's has its header; NULL if it is none. */
static uint8_t *tcp_of(uint8_t *frame, size_t len)
{
	size_t at = 14;

	if (len >= 14 + 20 && be16(frame + 12) == 0x0800 && frame[23] == 6)
		at += (frame[14] & 15) * 4u;
	else if (len >= 14 + 40 && be16(frame + 12) == 0x86dd && frame[20] == 6)
		at += 40;
	else
		return NULL;
	return at + 20 <= len ? frame + at : NULL;
}

/* Sets lengths and checksums right, as far as the frame has them. */
static void repair(uint8_t *frame, size_t len)
{
	uint8_t *ip = frame + 14;
	size_t h, have = len - 14;

	if (len < 14 + 20)
		return;
	if (be16(frame + 12) == 0x0800 && ip[0] >> 4 == 4) {
		h = (ip[0] & 15) * 4u;
		if (h < 20 || h > have)
			return;
		if (be16(ip + 2) > have || be16(ip + 2) < h)
			put_be16(ip + 2, (uint16_t)MIN(have, 65535));
		guest_fix_ip(frame);
		if (be16(ip + 6) & 0x3fff)
			return;
		have = be16(ip + 2) - h;
		if (ip[9] == 17 && have >= 8) {
			put_be16(ip + h + 4, (uint16_t)have);
			guest_fix_l4(frame);
		} else if (ip[9] == 6 && have >= 20) {
			guest_fix_l4(frame);
		} else if (ip[9] == 1 && have >= 8) {
			put_be16(ip + h + 2, 0);
			put_be16(ip + h + 2, (uint16_t)~checksum_fold(checksum_add(0, ip + h, have)));
		}
	} else if (be16(frame + 12) == 0x86dd && have >= 40 && ip[0] >> 4 == 6) {
		if (be16(ip + 4) > have - 40)
			put_be16(ip + 4, (uint16_t)MIN(have - 40, 65535));
		have = be16(ip + 4);
		if (ip[6] == 17 && have >= 8)
			put_be16(ip + 40 + 4, (uint16_t)have);
		if ((ip[6] == 6 && have >= 20) || ((ip[6] == 17 || ip[6] == 58) && have >= 8))
			guest_fix_l4(frame);
	}
}

static void live(struct run *r)
{
	size_t n = MIN(cursor_left(&r->in), sizeof(r->frame));
	uint8_t *tcp_header;

	memcpy(r->frame, cursor_take(&r->in, n), n);
	tcp_header = tcp_of(r->frame, n);
	for (unsigned i = 0; tcp_header && i < NUMBERS; i++)
		if (r->numbers[i].port == be16(tcp_header) && r->numbers[i].far_port == be16(tcp_header + 2) &&
		    (tcp_header[13] & TCP_ACK_)) {
			put_be32(tcp_header + 8, r->numbers[i].next);
			repair(r->frame, n);
		}
	guest_send(&r->n.guest, r->frame, n);
}

/* Takes what came, and notes what acknowledges it. */
static void look(struct run *r)
{
	struct guest_packet p;

	while (guest_packet(&r->n.guest, &p)) {
		unsigned slot = (p.dport * 7u + p.sport) % NUMBERS;

		if (p.protocol != 6)
			continue;
		r->numbers[slot].port = p.dport;
		r->numbers[slot].far_port = p.sport;
		r->numbers[slot].next = p.seq + (uint32_t)p.data_len + ((p.flags & TCP_SYN_) != 0) + ((p.flags & TCP_FIN_) != 0);
	}
}

static void step(struct run *r, uint8_t op)
{
	uint8_t arg;
	size_t n;
	const uint8_t *p;
	struct guest_tcp *t;

	switch (op % OPS) {
	case OP_RAW:
		n = cursor_left(&r->in);
		p = bytes(r, &n);
		if (p && n >= 14)
			guest_send(&r->n.guest, p, n);
		break;
	case OP_LIVE:
		if (cursor_left(&r->in) >= 14)
			live(r);
		break;
	case OP_IP:
		n = 20 + cursor_u8(&r->in);
		p = bytes(r, &n);
		if (!p || n < 20)
			break;
		guest_ip(&r->n.guest, r->frame, NET_HOST, 17, NULL, 0);
		memcpy(r->frame + 14, p, n);
		put_be32(r->frame + 26, NET_GUEST);
		guest_fix_ip(r->frame);
		guest_send(&r->n.guest, r->frame, 14 + n);
		break;
	case OP_UDP: {
		uint32_t dst = places[cursor_u8(&r->in) & 7];
		uint16_t sport = cursor_be16(&r->in), dport;

		arg = cursor_u8(&r->in);
		dport = arg & 1 ? 53 : arg & 2 ? 67 : cursor_be16(&r->in);
		n = cursor_be16(&r->in) % 1473;
		p = bytes(r, &n);
		if (p)
			guest_send(&r->n.guest, r->frame, guest_udp(&r->n.guest, r->frame, dst, sport, dport, p, n));
		break;
	}
	case OP_TCP:
		tcp(r, false);
		break;
	case OP_TCP_GSO:
		tcp(r, true);
		break;
	case OP_TIME:
		fake_net_run(&r->n, MS(cursor_u8(&r->in) * 10u));
		break;
	case OP_PEER:
		peer(r);
		fake_sockets_poll(&r->n.sockets, 20);
		break;
	case OP_CONNECT:
		arg = cursor_u8(&r->in);
		r->n.sockets.connect_result = arg & 1 ? -EINPROGRESS : arg & 2 ? -ECONNREFUSED : 0;
		break;
	case OP_OFFLOADS:
		port_accepts(&r->n.guest.port, cursor_u8(&r->in) & (PORT_CSUM | PORT_TSO4 | PORT_TSO6));
		break;
	case OP_ARP:
		arg = cursor_u8(&r->in);
		guest_send(&r->n.guest, r->frame, guest_arp(&r->n.guest, r->frame, arg, cursor_be32(&r->in),
							    cursor_be32(&r->in)));
		break;
	case OP_CONNECTION:
		arg = cursor_u8(&r->in);
		t = &r->t[arg & 3];
		guest_tcp_free(t);
		guest_tcp_init(t, &r->n.guest, places[(arg >> 2) & 3], (uint16_t)(1000 + (arg & 3)), arg & 0x80 ? 53 : 80);
		t->scale = arg & 0x10 ? -1 : cursor_u8(&r->in) & 15;
		t->no_ack = (arg & 0x20) != 0;
		guest_tcp_open(t);
		break;
	case OP_UDP6: {
		const uint8_t *dst = places6[cursor_u8(&r->in) & 7];
		uint16_t sport = cursor_be16(&r->in), dport;

		arg = cursor_u8(&r->in);
		dport = arg & 1 ? 53 : arg & 2 ? 547 : cursor_be16(&r->in);
		n = cursor_be16(&r->in) % 1453;
		p = bytes(r, &n);
		if (p)
			guest_send(&r->n.guest, r->frame, guest_udp6(&r->n.guest, r->frame, dst, sport, dport, p, n));
		break;
	}
	case OP_ICMP6: {
		uint8_t type = cursor_u8(&r->in), code = cursor_u8(&r->in);
		uint32_t rest = cursor_be32(&r->in);

		arg = cursor_u8(&r->in);
		n = cursor_be16(&r->in) % 1453;
		p = bytes(r, &n);
		if (p)
			guest_send(&r->n.guest, r->frame, guest_icmp6(&r->n.guest, r->frame, places6[arg & 7],
								      arg & 0x80 ? 128 : type, code, rest, p, n));
		break;
	}
	case OP_NDP:
		ndp(r);
		break;
	case OP_CHAIN6:
		chain6(r);
		break;
	case OP_CONNECTION6:
		arg = cursor_u8(&r->in);
		t = &r->t[arg & 3];
		guest_tcp_free(t);
		guest_tcp_init6(t, &r->n.guest, places6[(arg >> 2) & 3], (uint16_t)(1000 + (arg & 3)), arg & 0x80 ? 53 : 80);
		t->scale = arg & 0x10 ? -1 : cursor_u8(&r->in) & 15;
		t->no_ack = (arg & 0x20) != 0;
		guest_tcp_open(t);
		break;
	case OP_ROOM:
		arg = cursor_u8(&r->in);
		r->n.guest.room = arg & 0x80 ? SIZE_MAX : arg;
		port_ready(&r->n.guest.port);
		break;
	}
	fake_sockets_poll(&r->n.sockets, 3);
	look(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run run;
	struct run *r = &run;
	struct cursor in = cursor_of(data, size);
	uint8_t config = cursor_u8(&in), op;
	struct unet_config c;

	memset(r, 0, offsetof(struct run, frame));
	fake_net_config(&r->n, &c);
	c.limits = (struct unet_limits){ 16, 8, 16, 8, 8, 8, 16, 2 };
	c.restricted = (config & 0x40) != 0;
	if (!fake_net_start(&r->n, &c, config & 1 ? PORT_CSUM | PORT_TSO4 | PORT_TSO6 : 0))
		abort();
	fake_sockets_resolv(&r->n.sockets, "nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
	for (unsigned i = 0; i < 4; i++)
		guest_tcp_init(&r->t[i], &r->n.guest, NET_OUTSIDE, (uint16_t)(1000 + i), 80);
	while (next_chunk(&in, &op, &r->in))
		step(r, op);
	fake_net_run(&r->n, MS(200));
	guest_forget(&r->n.guest);
	for (unsigned i = 0; i < 4; i++)
		guest_tcp_free(&r->t[i]);
	fake_net_free(&r->n);
	return 0;
}

/* --- the mutator's ------------------------------------------------------------------------------------------------- */

static size_t example_tcp(struct guest *g, uint8_t *buf, uint32_t r)
{
	static const uint8_t flags[] = { TCP_SYN_, TCP_SYN_, TCP_ACK_, TCP_ACK_ | TCP_PSH_, TCP_ACK_ | TCP_FIN_, TCP_RST_ };
	static const uint8_t options[] = { 2, 4, 5, 0xb4, 1, 3, 3, 7 }, text[100] = "GET / HTTP/1.0\r\n\r\n";
	struct guest_tcp t;
	uint8_t f = flags[r % sizeof(flags)];

	guest_tcp_init(&t, g, r & 0x100 ? NET_HOST : NET_OUTSIDE, (uint16_t)(3000 + (r >> 10) % 3), 80);
	return guest_tcp_build(&t, buf, 1000 + (f != TCP_SYN_), f, f == TCP_SYN_ ? options : NULL, f == TCP_SYN_ ? 8 : 0, text,
			       f & TCP_PSH_ ? sizeof(text) : 0);
}

static size_t example_frame(struct guest *g, uint8_t *buf, uint32_t r)
{
	static const uint8_t dns[] = "\0\1\1\0\0\1\0\0\0\0\0\0\3www\4test\0\0\1\0\1";
	static const uint8_t rrq[] = "\0\1boot\0octet\0blksize\0001428";
	static const uint8_t solicit[] = { 1, 1, 2, 3, 0, 8, 0, 2, 0, 0, 0, 6, 0, 23, 0, 24 };
	uint8_t dhcp[300] = { 1, 1, 6, 0, 1, 2, 3, 4 };
	uint32_t dst = places[(r >> 8) % 3];
	size_t n;

	switch (r % 9) {
	case 0:
		return guest_arp(g, buf, 1 + (r >> 8) % 2, NET_GUEST, (r >> 9) & 1 ? NET_HOST : NET_GUEST);
	case 1:
		memcpy(dhcp + 28, g->mac, 6);
		memcpy(dhcp + 236, "\x63\x82\x53\x63\x35\x01\x01\x37\x04\x01\x03\x06\x0f\xff", 14);
		dhcp[242] = (uint8_t)(1 + (r >> 8) % 8);
		n = guest_udp(g, buf, 0xffffffff, 68, 67, dhcp, sizeof(dhcp));
		put_be32(buf + 26, 0);
		guest_fix_ip(buf);
		guest_fix_l4(buf);
		return n;
	case 2:
		return guest_udp(g, buf, NET_DNS, (uint16_t)(4000 + (r >> 8) % 4), 53, dns, sizeof(dns));
	case 3:
		return guest_udp(g, buf, dst, (uint16_t)(5000 + (r >> 10) % 4), 7, "hello", 5);
	case 4:
		n = guest_udp(g, buf, dst, 5000, 7, dhcp, sizeof(dhcp));        /* the first, or the last, of two fragments */
		put_be16(buf + 18, 77);
		put_be16(buf + 20, (r >> 10) & 1 ? 0x2000 : n / 8);
		guest_fix_ip(buf);
		return (r >> 10) & 1 ? 14 + 20 + (n - 34) / 8 * 8 : n;
	case 5:
		return guest_icmp(g, buf, dst, 8, 0, 0x10001, "ping", 4);
	case 6:
		return guest_udp(g, buf, NET_HOST, 2000, 69, rrq, sizeof(rrq));
	case 7:
		return guest_udp6(g, buf, places6[6], 546, 547, solicit, sizeof(solicit));
	default:
		return example_tcp(g, buf, r >> 4);
	}
}

static size_t fuzz_example(uint32_t random, uint8_t chunk[EXAMPLE_MAX])
{
	static struct guest g = { .ip = NET_GUEST, .mac = { 0x52, 0x54, 0, 0x12, 0x34, 15 }, .ip6 = { 0xfe, 0xc0, [15] = 15 } };
	uint32_t r = random >> 3;
	size_t n;

	if (random % 4) {
		chunk[0] = OP_LIVE;
		n = example_frame(&g, chunk + CHUNK_HEAD, r);
	} else {                        /* any other operation, with arguments by chance */
		chunk[0] = (uint8_t)(r % OPS);
		n = 4 + (r >> 6) % 12;
		for (size_t i = 0; i < n; i++)
			chunk[CHUNK_HEAD + i] = (uint8_t)((r ^ 0x9e3779b9) >> (i % 4 * 7));
	}
	put_be16(chunk + 1, (uint16_t)n);
	return CHUNK_HEAD + n;
}

static void fuzz_repair(uint8_t op, uint8_t *data, size_t len)
{
	if ((op % OPS == OP_LIVE || op % OPS == OP_RAW) && len >= 14)
		repair(data, len);
}
