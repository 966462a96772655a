/* SPDX-License-Identifier: MIT */
#include "tests/fake/fake_guest.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/fake/fake_digest.h"

enum { ETH = 14, IP = 20, IP6 = 40, GATEWAY = 0x0a000202 };

static size_t receive(void *owner, const struct frame *frames, size_t n)
{
	struct guest *g = owner;
	size_t i;

	for (i = 0; i < n && g->room && g->count < GUEST_FRAMES; i++) {
		unsigned slot = (g->first + g->count++) % GUEST_FRAMES;
		struct guest_frame *f = &g->frames[slot];

		free(f->data);
		f->data = malloc(frames[i].len);
		assert(f->data);
		g->high = MAX(g->high, slot + 1);
		f->len = frames[i].len;
		f->facts = frames[i];
		frame_copy(&frames[i], 0, f->data, f->len);
		fake_digest('F', (uint64_t)f->facts.gso << 32 | f->facts.gso_size, f->data, f->len);
		if (g->room != SIZE_MAX)
			g->room--;
		g->total_frames++;
	}
	g->refused |= i < n && g->count == GUEST_FRAMES;
	return i;
}

/* The last ring freed, all zero: a fuzzer makes one for each input. */
static struct guest_frame *spare;

void guest_init(struct guest *g, uint32_t ip, unsigned accepts)
{
	static const struct port_ops ops = { .receive = receive };

	memset(g, 0, sizeof(*g));
	g->frames = spare ? spare : calloc(GUEST_FRAMES, sizeof(*g->frames));
	assert(g->frames);
	spare = NULL;
	g->ip = ip;
	g->room = SIZE_MAX;
	memcpy(g->mac, "\x52\x54\x00\x12\x34", 5);
	g->mac[5] = (uint8_t)ip;
	memcpy(g->ip6, "\xfe\xc0\0\0\0\0\0\0\x50\x54\0\xff\xfe\x12\x34", 15);
	g->ip6[15] = g->mac[5];
	memcpy(g->link6, g->ip6, 16);
	g->link6[1] = 0x80;
	port_init(&g->port, &ops, g, "guest");
	port_accepts(&g->port, accepts);
}

void guest_free(struct guest *g)
{
	port_part(&g->port);
	for (unsigned i = 0; i < g->high; i++)
		free(g->frames[i].data);
	memset(g->frames, 0, g->high * sizeof(*g->frames));
	free(spare);
	spare = g->frames;
}

void guest_send_facts(struct guest *g, const void *frame, size_t len, const struct frame *facts)
{
	/* in pieces, and in memory of exactly its size, so that ASan sees a read beyond it */
	uint8_t *copy = malloc(len ? len : 1);
	size_t cut = MIN(len, 31);
	struct iovec iov[2] = { { copy, cut }, { copy + cut, len - cut } };
	struct frame f = *facts;

	assert(copy);
	memcpy(copy, frame, len);
	f.iov = iov;
	f.iov_count = len > cut ? 2 : 1;
	f.len = (uint32_t)len;
	port_send(&g->port, &f, 1);
	memset(copy, 0xa5, len);        /* the memory is the guest's again */
	free(copy);
}

void guest_send(struct guest *g, const void *frame, size_t len)
{
	guest_send_facts(g, frame, len, &(struct frame){ .len = 0 });
}

static const struct guest_frame *pop(struct guest *g)
{
	const struct guest_frame *f;

	if (!g->count && g->refused) {
		g->refused = false;
		port_ready(&g->port);
	}
	f = &g->frames[g->first];
	if (!g->count)
		return NULL;
	g->first = (g->first + 1) % GUEST_FRAMES;
	g->count--;
	return f;
}

/* A neighbour advertisement: target is at our MAC. */
static size_t advertisement(struct guest *g, uint8_t *buf, const void *to, const void *target)
{
	uint8_t m[24];

	memcpy(m, target, 16);
	memcpy(m + 16, "\2\1", 2);
	memcpy(m + 18, g->mac, 6);
	guest_icmp6(g, buf, to, 136, 0, 0x60000000, m, 24);
	buf[ETH + 7] = 255;
	return ETH + IP6 + 32;
}

const struct guest_frame *guest_next(struct guest *g)
{
	const struct guest_frame *f;

	while ((f = pop(g))) {
		uint8_t buf[100];

		if (f->len >= 78 && be16(f->data + 12) == 0x86dd && f->data[20] == 58 && f->data[54] == 135 && !g->keep_arp) {
			if (!g->no_arp && (!memcmp(f->data + 62, g->ip6, 16) || !memcmp(f->data + 62, g->link6, 16)))
				guest_send(g, buf, advertisement(g, buf, f->data + 22, f->data + 62));
			continue;
		}
		if (f->len < 42 || be16(f->data + 12) != 0x0806 || g->keep_arp)
			return f;
		if (be16(f->data + 20) == 1 && be32(f->data + 38) == g->ip && !g->no_arp)
			guest_send(g, buf, guest_arp(g, buf, 2, g->ip, be32(f->data + 28)));
	}
	return NULL;
}

void guest_forget(struct guest *g)
{
	while (guest_next(g))
		;
}

uint8_t *guest_pattern(size_t len)
{
	uint8_t *p = malloc(len);

	for (size_t i = 0; p && i < len; i++)
		p[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
	return p;
}

/* --- builders --------------------------------------------------------------------------------------------------- */

static void ethernet(struct guest *g, uint8_t *buf, uint32_t dst, uint16_t type)
{
	static const uint8_t own[2] = { 0x52, 0x55 };

	if (dst == 0xffffffff) {
		memset(buf, 0xff, 6);
	} else {
		memcpy(buf, own, 2);
		put_be32(buf + 2, dst == 0x0a000203 ? dst : GATEWAY);
	}
	memcpy(buf + 6, g->mac, 6);
	put_be16(buf + 12, type);
}

size_t guest_arp(struct guest *g, uint8_t *buf, uint16_t op, uint32_t sender, uint32_t target)
{
	ethernet(g, buf, op == 1 ? 0xffffffff : GATEWAY, 0x0806);
	memcpy(buf + 14, "\0\1\x08\0\6\4", 6);
	put_be16(buf + 20, op);
	memcpy(buf + 22, g->mac, 6);
	put_be32(buf + 28, sender);
	memset(buf + 32, 0, 6);
	put_be32(buf + 38, target);
	return 42;
}

void guest_fix_ip(uint8_t *f)
{
	size_t h = (f[ETH] & 15) * 4u;

	put_be16(f + ETH + 10, 0);
	put_be16(f + ETH + 10, checksum(f + ETH, h));
}

void guest_fix_l4(uint8_t *f)
{
	uint8_t *ip = f + ETH;
	size_t h = (ip[0] & 15) * 4u, len = be16(ip + 2) - h;
	uint8_t *field = ip + h + (ip[9] == 6 ? 16 : 6);

	if (ip[0] >> 4 == 6) {
		len = be16(ip + 4);
		field = ip + IP6 + (ip[6] == 6 ? 16 : ip[6] == 58 ? 2 : 6);
		put_be16(field, 0);
		put_be16(field, (uint16_t)~checksum_fold(checksum_add(checksum_pseudo(ip + 8, ip + 24, 16, ip[6], (uint32_t)len),
								      ip + IP6, len)));
		return;
	}
	put_be16(field, 0);
	put_be16(field, (uint16_t)~checksum_fold(checksum_add(checksum_pseudo(ip + 12, ip + 16, 4, ip[9], (uint32_t)len), ip + h,
							    len)));
}

size_t guest_ip(struct guest *g, uint8_t *buf, uint32_t dst, uint8_t protocol, const void *payload, size_t len)
{
	uint8_t *ip = buf + ETH;

	ethernet(g, buf, dst, 0x0800);
	memset(ip, 0, IP);
	ip[0] = 0x45;
	put_be16(ip + 2, (uint16_t)(IP + len));
	put_be16(ip + 4, g->ip_id++);
	ip[8] = 64;
	ip[9] = protocol;
	put_be32(ip + 12, g->ip);
	put_be32(ip + 16, dst);
	if (len)
		memmove(ip + IP, payload, len);
	guest_fix_ip(buf);
	return ETH + IP + len;
}

size_t guest_udp(struct guest *g, uint8_t *buf, uint32_t dst, uint16_t sport, uint16_t dport, const void *data, size_t len)
{
	uint8_t *h = buf + ETH + IP;

	put_be16(h, sport);
	put_be16(h + 2, dport);
	put_be16(h + 4, (uint16_t)(8 + len));
	put_be16(h + 6, 0);
	if (len)
		memcpy(h + 8, data, len);
	len = guest_ip(g, buf, dst, 17, h, 8 + len);
	guest_fix_l4(buf);
	return len;
}

size_t guest_icmp(struct guest *g, uint8_t *buf, uint32_t dst, uint8_t type, uint8_t code, uint32_t rest, const void *data,
		  size_t len)
{
	uint8_t *h = buf + ETH + IP;

	h[0] = type;
	h[1] = code;
	put_be16(h + 2, 0);
	put_be32(h + 4, rest);
	if (len)
		memcpy(h + 8, data, len);
	put_be16(h + 2, checksum(h, 8 + len));
	return guest_ip(g, buf, dst, 1, h, 8 + len);
}

size_t guest_ip6(struct guest *g, uint8_t *buf, const void *dst, uint8_t next, const void *payload, size_t len)
{
	uint8_t *ip = buf + ETH;
	const uint8_t *to = dst;

	memset(ip, 0, IP6);
	ip[0] = 0x60;
	put_be16(ip + 4, (uint16_t)len);
	ip[6] = next;
	ip[7] = 64;
	memcpy(ip + 8, to[0] == 0xff || (to[0] == 0xfe && to[1] == 0x80) ? g->link6 : g->ip6, 16);
	memcpy(ip + 24, to, 16);
	if (len)
		memmove(ip + IP6, payload, len);
	memcpy(buf, "\x52\x56\0\0\0\2", 6);
	if (to[0] == 0xff) {
		buf[0] = buf[1] = 0x33;
		memcpy(buf + 2, ip + 36, 4);
	} else if (to[15] == 3) {
		buf[5] = 3;
	}
	memcpy(buf + 6, g->mac, 6);
	put_be16(buf + 12, 0x86dd);
	return ETH + IP6 + len;
}

size_t guest_udp6(struct guest *g, uint8_t *buf, const void *dst, uint16_t sport, uint16_t dport, const void *data, size_t len)
{
	uint8_t *h = buf + ETH + IP6;

	if (len)
		memmove(h + 8, data, len);
	put_be16(h, sport);
	put_be16(h + 2, dport);
	put_be16(h + 4, (uint16_t)(8 + len));
	len = guest_ip6(g, buf, dst, 17, h, 8 + len);
	guest_fix_l4(buf);
	return len;
}

size_t guest_icmp6(struct guest *g, uint8_t *buf, const void *dst, uint8_t type, uint8_t code, uint32_t rest, const void *data,
		   size_t len)
{
	uint8_t *h = buf + ETH + IP6;

	if (len)
		memmove(h + 8, data, len);
	h[0] = type;
	h[1] = code;
	put_be32(h + 4, rest);
	len = guest_ip6(g, buf, dst, 58, h, 8 + len);
	guest_fix_l4(buf);
	return len;
}

/* --- received --------------------------------------------------------------------------------------------------- */

static void options(struct guest_packet *p, const uint8_t *at, const uint8_t *end)
{
	p->scale = -1;
	while (at < end && *at) {
		if (*at == 1) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			return;
		if (at[0] == 2)
			p->mss = be16(at + 2);
		if (at[0] == 3)
			p->scale = at[2];
		at += at[1];
	}
}

static bool checksum_right(const struct guest_packet *p, size_t len)
{
	const struct frame *f = &p->frame->facts;
	uint64_t pseudo = p->v6 ? checksum_pseudo(p->src6, p->dst6, 16, p->protocol, (uint32_t)len) :
				  checksum_pseudo(p->ip + 12, p->ip + 16, 4, p->protocol, (uint32_t)len);
	const uint8_t *field = p->l4 + (p->protocol == 6 ? 16 : 6);

	if (p->protocol == 17 && !f->needs_csum && be16(field) == 0 && !p->v6)
		return true;
	if (f->needs_csum)
		return be16(field) == checksum_fold(pseudo) && f->csum_start == p->l4 - p->eth &&
		       f->csum_offset == (p->protocol == 6 ? 16 : 6);
	return checksum_fold(checksum_add(pseudo, p->l4, len)) == 0xffff;
}

bool guest_packet(struct guest *g, struct guest_packet *p)
{
	const struct guest_frame *f = guest_next(g);
	size_t h, len;

	memset(p, 0, sizeof(*p));
	if (!f)
		return false;
	p->frame = f;
	p->eth = f->data;
	p->type = be16(f->data + 12);
	p->scale = -1;
	p->ip = f->data + ETH;
	if (p->type == 0x86dd) {
		p->v6 = true;
		h = IP6;
		len = be16(p->ip + 4);
		p->protocol = p->ip[6];
		p->ttl = p->ip[7];
		p->src6 = p->ip + 8;
		p->dst6 = p->ip + 24;
	} else if (p->type == 0x0800) {
		h = (p->ip[0] & 15) * 4u;
		len = be16(p->ip + 2) - h;
		if (checksum(p->ip, h) != 0)
			g->bad_checksums++;
		p->protocol = p->ip[9];
		p->ttl = p->ip[8];
		p->src = be32(p->ip + 12);
		p->dst = be32(p->ip + 16);
		p->fragment = be16(p->ip + 6);
	} else {
		return true;
	}
	assert(f->len >= ETH + h + len);
	p->l4 = p->ip + h;
	p->data = p->l4;
	p->data_len = len;
	if (p->fragment & 0x3fff)
		return true;
	if (p->protocol == 17 && len >= 8) {
		p->sport = be16(p->l4);
		p->dport = be16(p->l4 + 2);
		p->data = p->l4 + 8;
		p->data_len = len - 8;
		g->bad_checksums += !checksum_right(p, len) || be16(p->l4 + 4) != len;
	} else if (p->protocol == (p->v6 ? 58 : 1) && len >= 8) {
		p->icmp_type = p->l4[0];
		p->icmp_code = p->l4[1];
		p->data = p->l4 + 8;
		p->data_len = len - 8;
		g->bad_checksums += checksum_fold(checksum_add(p->v6 ? checksum_pseudo(p->src6, p->dst6, 16, 58, (uint32_t)len) : 0,
							       p->l4, len)) != 0xffff;
	} else if (p->protocol == 6 && len >= 20) {
		size_t head = (p->l4[12] >> 4) * 4u;

		p->sport = be16(p->l4);
		p->dport = be16(p->l4 + 2);
		p->seq = be32(p->l4 + 4);
		p->ack = be32(p->l4 + 8);
		p->flags = p->l4[13];
		p->urgent = be16(p->l4 + 18);
		p->window = be16(p->l4 + 14);
		options(p, p->l4 + 20, p->l4 + head);
		p->data = p->l4 + head;
		p->data_len = len - head;
		g->bad_checksums += !checksum_right(p, len);
	}
	return true;
}

/* --- TCP -------------------------------------------------------------------------------------------------------- */

void guest_tcp_init(struct guest_tcp *t, struct guest *g, uint32_t far, uint16_t port, uint16_t far_port)
{
	memset(t, 0, sizeof(*t));
	t->g = g;
	t->far = far;
	t->port = port;
	t->far_port = far_port;
	t->snd_nxt = t->snd_una = 0xfffff000 + port;    /* wraps soon */
	t->window = 65535;
	t->scale = 7;
	t->far_scale = -1;
	t->mss = 1460;
}

void guest_tcp_init6(struct guest_tcp *t, struct guest *g, const void *far, uint16_t port, uint16_t far_port)
{
	guest_tcp_init(t, g, 0, port, far_port);
	t->v6 = true;
	memcpy(t->far6, far, 16);
	t->mss = 1440;
}

void guest_tcp_free(struct guest_tcp *t)
{
	free(t->got);
}

size_t guest_tcp_build(struct guest_tcp *t, uint8_t *buf, uint32_t seq, uint8_t flags, const void *opts, size_t opts_len,
		       const void *data, size_t len)
{
	uint8_t *h = buf + ETH + (t->v6 ? IP6 : IP);
	uint32_t window = t->window;
	size_t head = 20 + ((opts_len + 3) & ~(size_t)3);

	if (!(flags & TCP_SYN_) && t->scale >= 0 && t->far_scale >= 0)
		window >>= t->scale;
	memset(h, 0, head);
	put_be16(h, t->port);
	put_be16(h + 2, t->far_port);
	put_be32(h + 4, seq);
	put_be32(h + 8, flags & TCP_ACK_ ? t->rcv_nxt : 0);
	h[12] = (uint8_t)(head / 4 << 4);
	h[13] = flags;
	put_be16(h + 14, (uint16_t)MIN(window, 65535));
	put_be16(h + 18, flags & TCP_URG_ ? t->urgent : 0);
	if (opts_len)
		memcpy(h + 20, opts, opts_len);
	if (len)
		memcpy(h + head, data, len);
	len = t->v6 ? guest_ip6(t->g, buf, t->far6, 6, h, head + len) : guest_ip(t->g, buf, t->far, 6, h, head + len);
	guest_fix_l4(buf);
	return len;
}

void guest_tcp_send_at(struct guest_tcp *t, uint32_t seq, uint8_t flags, const void *data, size_t len)
{
	uint8_t *buf = malloc(len + 200), opts[8];
	size_t n = 0;

	assert(buf);
	if ((flags & TCP_SYN_) && t->mss) {
		opts[n++] = 2;
		opts[n++] = 4;
		put_be16(opts + n, t->mss);
		n += 2;
	}
	if ((flags & TCP_SYN_) && t->scale >= 0) {
		opts[n++] = 1;
		opts[n++] = 3;
		opts[n++] = 3;
		opts[n++] = (uint8_t)t->scale;
	}
	guest_send(t->g, buf, guest_tcp_build(t, buf, seq, flags, opts, n, data, len));
	free(buf);
}

void guest_tcp_send(struct guest_tcp *t, uint8_t flags, const void *data, size_t len)
{
	uint32_t seq = t->snd_nxt;

	t->snd_nxt += (uint32_t)len + ((flags & TCP_SYN_) != 0) + ((flags & TCP_FIN_) != 0);
	guest_tcp_send_at(t, seq, flags, data, len);
}

static void take(struct guest_tcp *t, const struct guest_packet *p)
{
	if (p->flags & TCP_RST_) {
		t->reset = true;
		return;
	}
	if (p->flags & TCP_SYN_) {
		t->syn_ack_seen = true;
		t->rcv_nxt = p->seq + 1;
		t->far_mss = p->mss;
		t->far_scale = p->scale;
		t->far_window = p->window;
		if (p->flags & TCP_ACK_)
			t->snd_una = p->ack;
		return;
	}
	t->segments++;
	if (p->flags & TCP_URG_) {
		t->urgent_seen++;
		t->urgent_at = t->got_len + (p->seq + p->urgent - 1 - t->rcv_nxt);
	}
	if (p->flags & TCP_ACK_) {
		if ((int32_t)(p->ack - t->snd_una) > 0)
			t->snd_una = p->ack;
		t->far_window = p->window << (t->scale >= 0 && t->far_scale > 0 ? t->far_scale : 0);
		t->acks += p->data_len == 0;
	}
	if (p->data_len) {
		uint32_t skip = t->rcv_nxt - p->seq, n;

		t->largest = MAX(t->largest, (uint32_t)p->data_len);
		if (skip <= p->data_len) {      /* in order, or partly old */
			n = (uint32_t)p->data_len - skip;
			if (t->got_len + n > t->got_room) {
				t->got_room = 2 * (t->got_len + n);
				t->got = realloc(t->got, t->got_room);
				assert(t->got);
			}
			memcpy(t->got + t->got_len, p->data + skip, n);
			t->got_len += n;
			t->rcv_nxt += n;
		}
	}
	if ((p->flags & TCP_FIN_) && p->seq + p->data_len == t->rcv_nxt) {
		t->fin_seen = true;
		t->rcv_nxt++;
	}
}

unsigned guest_tcp_run(struct guest_tcp *t)
{
	struct guest_packet p;
	unsigned n = 0;

	while (guest_packet(t->g, &p)) {
		uint32_t before = t->rcv_nxt;

		if (p.protocol != 6 || p.v6 != t->v6 || (t->v6 ? memcmp(p.src6, t->far6, 16) != 0 : p.src != t->far) ||
		    p.sport != t->far_port || p.dport != t->port)
			continue;
		n++;
		take(t, &p);
		if ((t->rcv_nxt != before || p.data_len) && !t->no_ack && !t->reset && !(p.flags & TCP_SYN_))
			guest_tcp_send(t, TCP_ACK_, NULL, 0);
	}
	return n;
}

bool guest_tcp_open(struct guest_tcp *t)
{
	guest_tcp_send(t, TCP_SYN_, NULL, 0);
	guest_tcp_run(t);
	if (!t->syn_ack_seen || t->reset)
		return false;
	guest_tcp_send(t, TCP_ACK_, NULL, 0);
	t->established = true;
	return true;
}

size_t guest_ndp(struct guest *g, uint8_t *buf, const uint8_t *src, const uint8_t *dst, uint8_t type, uint32_t flags,
		 const void *body, size_t len)
{
	guest_icmp6(g, buf, dst, type, 0, flags, body, len);
	if (src)
		memcpy(buf + 22, src, 16);
	buf[21] = 255;
	guest_fix_l4(buf);
	return 54 + 8 + len;
}

size_t guest_solicit(struct guest *g, uint8_t *buf, const uint8_t *target, bool anonymous)
{
	static const uint8_t none[16];
	uint8_t group[16] = { 0xff, 2, [11] = 1, 0xff, target[13], target[14], target[15] }, body[24];

	memcpy(body, target, 16);
	memcpy(body + 16, "\1\1", 2);
	memcpy(body + 18, g->mac, 6);
	return guest_ndp(g, buf, anonymous ? none : NULL, group, 135, 0, body, anonymous ? 16 : 24);
}

const uint8_t *guest_ndp_option(const struct guest_packet *p, size_t fixed, uint8_t type)
{
	for (const uint8_t *o = p->l4 + fixed; o < p->data + p->data_len && o[1]; o += o[1] * 8)
		if (o[0] == type)
			return o;
	return NULL;
}
