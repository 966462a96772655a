/* SPDX-License-Identifier: MIT */
/* TCP segments from the guest: checked, stripped of what lwIP must not see (engine.c, faults 1 and 3), and passed on. */
#include "base/checksum.h"
#include "lwip/priv/tcp_priv.h"
#include "unet/tcp_flow.h"

enum {
	MSS_MIN = 88, MSS_DEFAULT = 536,
	FLAG_FIN = 1, FLAG_SYN = 2, FLAG_RST = 4, FLAG_ACK = 16, FLAG_URG = 32,
	URGENT_POINTER = 18,
	OPT_END = 0, OPT_NOP = 1, OPT_MSS = 2, OPT_WS = 3,
	WS_MAX = 14,
};

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
	if (f && tcp_over(f)) {
		tcp_reuse(f);
		f = NULL;
	}
	if (f || (u->cfg.restricted && !guestfwd_leads(u, &key->far, key->far_port)))
		return false;
	tcp_open_from_guest(u, p, key, h);
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
	if ((h[13] & (FLAG_SYN | FLAG_ACK | FLAG_RST | FLAG_FIN)) == FLAG_SYN) {
		if (syn_input(u, p, &key, f, h))
			return;
		f = (struct tcp_flow *)flow_find(&u->tcp, &key);        /* what was over is gone */
	}
	if (f && f->state == CONNECTING) {
		if (h[13] & FLAG_RST) {         /* changed its mind */
			f->guest_reset = true;
			tcp_drop(f);
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
		tcp_drop(f);
	}
}

/* --- what engine.c asks about a segment of lwIP's on its way out --------------------------------------------------- */

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
