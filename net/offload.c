/* SPDX-License-Identifier: MIT */
/*
 * Checksums (RFC 1071, RFC 1624) and segmentation: TCP over IPv4 and IPv6 (what TSO hardware does: RFC 9293 headers
 * copied, sequence number advanced, FIN and PSH on the last, CWR on the first, RFC 3168 section 6.1.2), UDP datagrams
 * cut into datagrams (USO), and UDP datagrams cut into IP fragments (UFO; RFC 791, RFC 8200 section 4.5).
 *
 * A frame's facts come from a guest or a network peer, and its bytes may change while they are read.  Headers are
 * copied once and every decision is made on the copy.
 */
#include "net/offload.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "net/eth.h"

static bool is_tcp(uint8_t gso)
{
	return gso == GSO_TCPV4 || gso == GSO_TCPV6;
}

bool offload_facts_ok(const struct frame *f)
{
	if (f->needs_csum && (f->csum_start < ETH_HLEN || f->csum_start + f->csum_offset + 2u > f->len))
		return false;
	switch (f->gso) {
	case GSO_NONE:
		return true;
	case GSO_TCPV4:
	case GSO_TCPV6:
		return f->needs_csum && f->gso_size && f->csum_offset == TCP_SUM && f->csum_start + TCP_HLEN <= (int)f->len;
	case GSO_UDP:
		return f->needs_csum && f->gso_size >= 8 && f->csum_offset == UDP_SUM;
	case GSO_UDP_L4:
		return f->needs_csum && f->gso_size && f->csum_offset == UDP_SUM;
	default:
		return false;
	}
}

bool offload_fits(const struct frame *f, unsigned accepts)
{
	unsigned need = f->needs_csum ? PORT_CSUM : 0;

	switch (f->gso) {
	case GSO_TCPV4:
		need |= PORT_TSO4;
		break;
	case GSO_TCPV6:
		need |= PORT_TSO6;
		break;
	case GSO_UDP:
		need |= PORT_UFO;
		break;
	case GSO_UDP_L4:
		need |= PORT_USO;
		break;
	}
	if (f->gso != GSO_NONE && f->gso_ecn)
		need |= PORT_ECN;
	return !(need & ~accepts);
}

/* Sum of bytes [from, from + len) of a frame, pieces of odd length included. */
static uint64_t sum_pieces(const struct iovec *iov, size_t count, size_t from, size_t len)
{
	uint64_t sum = 0;
	bool odd = false;

	for (size_t i = 0; i < count && len; i++) {
		size_t piece = iov[i].iov_len, n;
		uint64_t part;

		if (from >= piece) {
			from -= piece;
			continue;
		}
		n = MIN(piece - from, len);
		part = checksum_add(0, (const uint8_t *)iov[i].iov_base + from, n);
		/* a piece that begins at an odd place has its bytes in the other halves of the words (RFC 1071, 2 B) */
		sum += odd ? __builtin_bswap16(checksum_fold(part)) : part;
		odd ^= n & 1;
		len -= n;
		from = 0;
	}
	return sum;
}

static uint16_t finish(uint64_t sum, bool udp)
{
	uint16_t v = (uint16_t)~checksum_fold(sum);

	return v || !udp ? v : 0xffff;  /* RFC 768: zero means no checksum */
}

/* Appends slices of frame f's bytes [from, from + len); false if they need more pieces than there are left. */
static bool add_slices(struct offload *o, struct segment *out, uint32_t *count, size_t from, size_t len)
{
	const struct frame *f = o->frame;
	uint32_t i = 0;
	size_t start = 0;

	if (o->cursor_pos <= from) {
		i = o->cursor_at;
		start = o->cursor_pos - o->cursor_off;
	}
	for (; len; i++) {
		size_t piece, off, n;

		if (i >= f->iov_count)
			return false;
		piece = f->iov[i].iov_len;
		if (from >= start + piece) {
			start += piece;
			continue;
		}
		if (*count == FRAME_IOV_MAX)
			return false;
		off = from - start;
		n = MIN(piece - off, len);
		out->iov[(*count)++] = (struct iovec){ (uint8_t *)f->iov[i].iov_base + off, n };
		o->cursor_at = i;
		o->cursor_off = off;
		o->cursor_pos = from;
		from += n;
		len -= n;
		start += piece;
	}
	return true;
}

/* Finds IP header and transport header in the copy of the frame's first bytes, of which there are `len`. */
static bool parse_headers(struct offload *o, size_t len)
{
	const uint8_t *b = o->bytes;
	unsigned type, at = ETH_TYPE, tags = 0;
	uint8_t proto, want = is_tcp(o->frame->gso) ? IPPROTO_ID_TCP : IPPROTO_ID_UDP;

	type = be16(b + at);
	while ((type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ) && tags++ < 2) {
		at += ETH_VLAN_LEN;
		if (at + 2 > len)
			return false;
		type = be16(b + at);
	}
	o->l3 = at + 2;
	o->l4 = o->frame->csum_start;
	if (o->l4 + (size_t)UDP_HLEN > len)
		return false;
	if (type == ETHERTYPE_IP4) {
		unsigned ihl;

		if (o->l3 + IP4_HLEN > o->l4 || b[o->l3] >> 4 != 4 || o->frame->gso == GSO_TCPV6)
			return false;
		ihl = (b[o->l3] & 15) * 4;
		return o->l3 + ihl == o->l4 && b[o->l3 + IP4_PROTO] == want;
	}
	if (type != ETHERTYPE_IP6 || o->l3 + IP6_HLEN > o->l4 || b[o->l3] >> 4 != 6 || o->frame->gso == GSO_TCPV4)
		return false;
	o->ip6 = true;
	proto = b[o->l3 + IP6_NEXT];
	for (at = o->l3 + IP6_HLEN; at < o->l4; at += (b[at + 1] + 1) * 8) {
		if (proto != IPPROTO_ID_HOPOPTS && proto != IPPROTO_ID_ROUTING && proto != IPPROTO_ID_DSTOPTS)
			return false;
		/* a fragment header would have to go between these */
		if (o->frame->gso == GSO_UDP || at + 2 > len)
			return false;
		proto = b[at];
	}
	return at == o->l4 && proto == want;
}

static uint64_t pseudo_sum(const struct offload *o, const uint8_t *head, uint32_t len)
{
	const uint8_t *ip = head + o->l3;
	uint8_t proto = is_tcp(o->frame->gso) ? IPPROTO_ID_TCP : IPPROTO_ID_UDP;

	return o->ip6 ? checksum_pseudo(ip + IP6_SRC, ip + IP6_DST, 16, proto, len) :
			checksum_pseudo(ip + IP4_SRC, ip + IP4_DST, 4, proto, len);
}

static bool plan_segments(struct offload *o)
{
	const struct frame *f = o->frame;
	size_t len = frame_copy(f, 0, o->bytes, MIN(f->len, sizeof(o->bytes)));
	uint32_t payload;

	if (!parse_headers(o, len))
		return false;
	o->head = o->l4;
	o->step = f->gso_size;
	switch (f->gso) {
	case GSO_TCPV4:
	case GSO_TCPV6:
		if (o->l4 + (size_t)TCP_HLEN > len || (o->bytes[o->l4 + TCP_OFF] >> 4) * 4 < TCP_HLEN)
			return false;
		o->head = o->l4 + (o->bytes[o->l4 + TCP_OFF] >> 4) * 4;
		break;
	case GSO_UDP_L4:
		o->head = o->l4 + UDP_HLEN;
		break;
	case GSO_UDP:
		o->step &= ~7u;                 /* fragments but the last hold whole units of 8 bytes */
		if (f->len - o->l4 > UINT16_MAX)
			return false;
		put_be16(o->bytes + o->l4 + UDP_SUM, 0);
		o->ufo_sum = finish(pseudo_sum(o, o->bytes, f->len - o->l4) + checksum_add(0, o->bytes + o->l4, UDP_HLEN) +
				    sum_pieces(f->iov, f->iov_count, o->l4 + UDP_HLEN, f->len - o->l4 - UDP_HLEN), true);
		break;
	}
	if (o->head > len)
		return false;
	payload = f->len - o->head;
	/* what one frame can say of its length */
	if (o->step + o->head - o->l3 > UINT16_MAX)
		return false;
	o->segments = payload ? (payload + o->step - 1) / o->step : 1;
	return o->segments <= OFFLOAD_SEGMENTS_MAX;
}

bool offload_begin(struct offload *o, const struct frame *f, unsigned accepts)
{
	*o = (struct offload){ .frame = f, .segments = 1, .fill = !(accepts & PORT_CSUM) };
	return f->gso == GSO_NONE || plan_segments(o);
}

/* The frame as it is, but for two bytes of checksum that take the place of the partial one. */
static bool make_summed(struct offload *o, struct segment *out)
{
	const struct frame *f = o->frame;
	size_t field = f->csum_start + f->csum_offset;
	uint64_t sum = sum_pieces(f->iov, f->iov_count, f->csum_start, f->len - f->csum_start);

	put_be16(out->head, finish(sum, f->csum_offset == UDP_SUM));
	out->frame.csum_valid = true;
	if (!add_slices(o, out, &out->frame.iov_count, 0, field) || out->frame.iov_count == FRAME_IOV_MAX)
		return false;
	out->iov[out->frame.iov_count++] = (struct iovec){ out->head, 2 };
	return add_slices(o, out, &out->frame.iov_count, field + 2, f->len - field - 2);
}

static void mend_ip(const struct offload *o, uint8_t *head, uint32_t ip_len, uint32_t k, uint16_t frag)
{
	uint8_t *ip = head + o->l3;

	if (o->ip6) {
		put_be16(ip + IP6_LEN, (uint16_t)(ip_len - IP6_HLEN));
		return;
	}
	put_be16(ip + IP4_LEN, (uint16_t)ip_len);
	if (o->frame->gso == GSO_UDP)
		put_be16(ip + IP4_FRAG, frag);
	else
		put_be16(ip + IP4_ID, (uint16_t)(be16(ip + IP4_ID) + k));
	put_be16(ip + IP4_SUM, 0);
	put_be16(ip + IP4_SUM, checksum(ip, o->l4 - o->l3));
}

/* One IP fragment of the whole UDP datagram. */
static bool make_fragment(struct offload *o, uint32_t k, struct segment *out)
{
	const struct frame *f = o->frame;
	uint32_t from = k * o->step, len = MIN(o->step, f->len - o->head - from), head = o->head, more, skip = 0;

	more = k + 1 < o->segments;
	if (o->ip6) {
		uint8_t *h = out->head + head;

		*h = IPPROTO_ID_UDP;
		out->head[o->l3 + IP6_NEXT] = IPPROTO_ID_FRAGMENT;
		h[1] = 0;
		put_be16(h + 2, (uint16_t)(from | more));
		put_le32(h + 4, o->ufo_sum * 2654435761u ^ le32(o->bytes + o->l4));     /* the same for all, and seldom the last one's */
		head += 8;
	}
	mend_ip(o, out->head, head - o->l3 + len, k, (uint16_t)(from / 8 | (more ? IP4_MF : 0)));
	if (k == 0) {
		memcpy(out->head + head, o->bytes + o->l4, UDP_HLEN);
		put_be16(out->head + head + UDP_SUM, o->ufo_sum);
		head += UDP_HLEN;
		skip = UDP_HLEN;
	}
	out->iov[0] = (struct iovec){ out->head, head };
	out->frame.iov_count = 1;
	out->frame.len = head + len - skip;
	out->frame.csum_valid = false;
	return add_slices(o, out, &out->frame.iov_count, o->head + from + skip, len - skip);
}

bool offload_make(struct offload *o, uint32_t k, struct segment *out)
{
	const struct frame *f = o->frame;
	uint32_t from, len;
	uint8_t *l4;
	uint64_t sum;

	out->frame = (struct frame){ .iov = out->iov, .len = f->len, .csum_valid = f->csum_valid };
	if (f->gso == GSO_NONE)
		return make_summed(o, out);
	memcpy(out->head, o->bytes, o->head);
	if (f->gso == GSO_UDP)
		return make_fragment(o, k, out);

	from = k * o->step;
	len = MIN(o->step, f->len - o->head - from);
	mend_ip(o, out->head, o->head - o->l3 + len, k, 0);
	l4 = out->head + o->l4;
	if (is_tcp(f->gso)) {
		put_be32(l4 + TCP_SEQ, be32(l4 + TCP_SEQ) + from);
		if (k + 1 < o->segments)
			l4[TCP_FLAGS] &= (uint8_t)~(TCP_FLAG_FIN | TCP_FLAG_PSH);
		if (k)
			l4[TCP_FLAGS] &= (uint8_t)~TCP_FLAG_CWR;
	} else {
		put_be16(l4 + UDP_LEN, (uint16_t)(UDP_HLEN + len));
	}
	out->iov[0] = (struct iovec){ out->head, o->head };
	out->frame.iov_count = 1;
	out->frame.len = o->head + len;
	if (!add_slices(o, out, &out->frame.iov_count, o->head + from, len))
		return false;
	sum = pseudo_sum(o, out->head, o->head - o->l4 + len);
	put_be16(l4 + f->csum_offset, checksum_fold(sum));
	if (!o->fill) {
		out->frame.needs_csum = true;
		out->frame.csum_start = f->csum_start;
		out->frame.csum_offset = f->csum_offset;
		return true;
	}
	sum = checksum_add(0, l4, o->head - o->l4) + sum_pieces(out->iov + 1, out->frame.iov_count - 1, 0, len);
	put_be16(l4 + f->csum_offset, finish(sum, f->gso == GSO_UDP_L4));
	out->frame.csum_valid = true;
	return true;
}
