/* SPDX-License-Identifier: MIT */
/*
 * IPv6 (RFC 8200) from the guest: checks of the header, the chain of extension headers, and where addresses lead.
 * What is behind the chain takes the same way as IPv4, through ip_deliver().
 */
#include "lwip/pbuf.h"
#include "unet/stack.h"

enum {
	HOP_BY_HOP = 0, ROUTING = 43, NO_NEXT_HEADER = 59, DESTINATION_OPTIONS = 60,
	OPTION_PAD1 = 0, OPTION_PADN = 1, OPTION_ROUTER_ALERT = 5,
	EXTENSION_MAX = 8 * 256,
	CHAIN_MAX = 16,                 /* headers; honest packets have one or two (RFC 8504 5.3 allows a limit) */
	SEGMENTS_LEFT = 3, ROUTING_TYPE = 2,
	/* parameter problems (RFC 4443 3.4) */
	PROBLEM = 0x400, PROBLEM_FIELD = 0, PROBLEM_NEXT_HEADER = 1, PROBLEM_OPTION = 2,
	PROBLEM_CHAIN = 3,              /* RFC 7112 */
};

/* --- addresses ---------------------------------------------------------------------------------------------------- */

bool ip6_in_net(const struct unet *u, const struct addr *a)
{
	return addr6_same_net(a->b, &u->cfg.prefix, u->cfg.prefixlen);
}

enum place ip6_place(const struct unet *u, const struct addr *a)
{
	if (addr_equal(a, &u->host6) || addr_equal(a, &u->link_host6))
		return PLACE_HOST;
	if (addr_equal(a, &u->dns6) || addr_equal(a, &u->link_dns6))
		return PLACE_DNS;
	if (a->b[0] == 0xff)            /* what stays on the link is for us, and for other guests */
		return (a->b[1] & 15) == 2 ? PLACE_BROADCAST : PLACE_FORBIDDEN;
	/* ::, ::1, IPv4-compatible and -mapped (RFC 4291 2.5): connect() to some of them would reach the host */
	if (le64(a->b) == 0 && (le32(a->b + 8) == 0 || le32(a->b + 8) == 0xffff0000))
		return PLACE_FORBIDDEN;
	if (ip6_in_net(u, a) || addr_is_link_local(a))
		return guestfwd_has(u, a) ? PLACE_GUESTFWD : PLACE_NOBODY;
	return PLACE_OUTSIDE;
}

/* A guest speaks with an address of the prefix or the link that is not unet's; beyond the link only with the former. */
bool ip6_source_ok(const struct unet *u, const struct packet *p)
{
	return ip6_place(u, &p->src) == PLACE_NOBODY &&
	       (!addr_is_link_local(&p->src) || ip6_place(u, &p->dst) != PLACE_OUTSIDE);
}

void ip6_init(struct unet *u)
{
	u->host6 = addr_from6(&u->cfg.host6);
	u->dns6 = addr_from6(&u->cfg.dns6);
	u->link_host6 = u->link_dns6 = (struct addr){ .b = { 0xfe, 0x80 } };
	memcpy(u->link_host6.b + 8, u->host6.b + 8, 8);
	memcpy(u->link_dns6.b + 8, u->dns6.b + 8, 8);
}

/* --- extension headers -------------------------------------------------------------------------------------------- */

static void problem(struct unet *u, const struct packet *p, unsigned code, uint32_t pointer)
{
	uint8_t quote[ICMP6_QUOTE_MAX];
	uint32_t n = slice_copy(p->whole, 0, quote, sizeof(quote));

	u->counters.dropped_malformed++;
	if (u->cfg.restricted || !ip6_source_ok(u, p) || (ip_is_multicast(&p->dst) && code != PROBLEM_OPTION))
		return;
	memcpy(quote, p->ip, MIN(n, (uint32_t)IPV6_HLEN));
	icmp_error_bytes(u, ip_gateway(u, &p->src), &p->src, PROBLEM | code, pointer, quote, n);
}

/* Options that nobody knows say themselves what is to be done (section 4.2).  False: the packet is dropped. */
static bool options_ok(struct unet *u, const struct packet *p, const uint8_t *h, uint32_t len, uint32_t at)
{
	struct cursor c = cursor_of(h + 2, len - 2);

	while (cursor_left(&c)) {
		uint32_t here = at + len - (uint32_t)cursor_left(&c);
		uint8_t type = cursor_u8(&c);

		if (type == OPTION_PAD1)
			continue;
		cursor_take(&c, cursor_u8(&c));
		if (c.bad) {
			u->counters.dropped_malformed++;
			return false;
		}
		if (type >> 6 == 0)
			continue;
		if (type >> 6 == 2 || (type >> 6 == 3 && !ip_is_multicast(&p->dst)))
			problem(u, p, PROBLEM_OPTION, here);
		else
			u->counters.dropped_malformed++;
		return false;
	}
	return true;
}

static bool is_extension(uint8_t next)
{
	return next == HOP_BY_HOP || next == ROUTING || next == DESTINATION_OPTIONS || next == IP6_FRAGMENT;
}

/* Whether a first fragment's body holds all headers, that of the transport with them (section 4.5). */
static bool chain_whole(struct slice body, uint8_t next)
{
	uint32_t at = 0;
	uint8_t h[2];

	for (unsigned i = 0; i < CHAIN_MAX && is_extension(next); i++) {
		if (slice_copy(body, at, h, 2) < 2)
			return false;
		next = h[0];
		at += 8u + 8u * h[1];
	}
	return body.len >= at + (next == PROTO_TCP ? TCP_HLEN_MIN : next == NO_NEXT_HEADER ? 0 : UDP_HLEN);
}

/* A fragment header at `at`: true if it is one of a whole packet (RFC 6946), which goes on. */
static bool fragment(struct unet *u, struct packet *p, const uint8_t *h, uint32_t at, bool again)
{
	uint16_t field = be16(h + 2);
	uint32_t offset = field & 0xfff8u;
	bool more = field & 1;

	if (!offset && !more)
		return true;
	p->body = slice_from(p->whole, at + IP6_FRAGMENT_LEN);
	if (again || p->gso != GSO_NONE || !ip6_source_ok(u, p) || ip6_place(u, &p->dst) == PLACE_FORBIDDEN) {
		u->counters.dropped_malformed++;
	} else if (more && p->body.len % 8) {
		problem(u, p, PROBLEM_FIELD, IP6_PAYLOAD_LENGTH);
	} else if (!offset && !chain_whole(p->body, h[0])) {
		problem(u, p, PROBLEM_CHAIN, 0);
	} else if (offset + p->body.len > 65535) {
		problem(u, p, PROBLEM_FIELD, at + 2);
	} else {
		p->csum_ok = false;
		p->ip_len = IPV6_HLEN;
		p->protocol = p->ip[IP6_NEXT_HEADER] = h[0];
		reass_input(u, p, be32(h + 4), offset, more);
	}
	return false;
}

static void upper_layer(struct unet *u, struct packet *p, bool whole)
{
	uint8_t type;

	if (p->protocol == PROTO_ICMPV6 && slice_copy(p->body, 0, &type, 1) && ndp_is(type)) {
		if (whole)
			ndp_input(u, p);
		else                    /* never in fragments (RFC 6980) */
			u->counters.dropped_malformed++;
	} else if (u->cfg.ipv6) {
		ip_deliver(u, p);
	} else {
		u->counters.dropped_protocol++;
	}
}

/* Walks the chain that begins behind the fixed header with one of type `next`. */
static void walk_chain(struct unet *u, struct packet *p, uint8_t next, bool again)
{
	uint32_t at = IPV6_HLEN;
	bool whole = !again;

	p->next_header_at = IP6_NEXT_HEADER;
	for (unsigned i = 0; i < CHAIN_MAX; i++) {
		uint8_t h[EXTENSION_MAX];
		uint32_t len;

		if (!is_extension(next)) {
			p->protocol = next;
			p->ip_len = (uint16_t)at;
			p->body = slice_from(p->whole, at);
			if (next != NO_NEXT_HEADER)
				upper_layer(u, p, whole);
			return;
		}
		if (next == HOP_BY_HOP && at != IPV6_HLEN) {
			problem(u, p, PROBLEM_NEXT_HEADER, p->next_header_at);
			return;
		}
		if (slice_copy(p->whole, at, h, 8) < 8)
			break;
		len = next == IP6_FRAGMENT ? IP6_FRAGMENT_LEN : 8u + 8u * h[1];
		if (slice_copy(p->whole, at + 8, h + 8, len - 8) < len - 8)
			break;
		if (next == IP6_FRAGMENT) {
			whole = false;
			if (!fragment(u, p, h, at, again))
				return;
		} else if (next == ROUTING && h[SEGMENTS_LEFT]) {       /* we are no way station (RFC 5095) */
			problem(u, p, PROBLEM_FIELD, at + ROUTING_TYPE);
			return;
		} else if (next != ROUTING && !options_ok(u, p, h, len, at)) {
			return;
		}
		p->next_header_at = (uint16_t)at;
		next = h[0];
		at += len;
	}
	u->counters.dropped_malformed++;
}

void ip6_reassembled(struct unet *u, struct packet *p)
{
	put_be16(p->ip + IP6_PAYLOAD_LENGTH, (uint16_t)p->body.len);
	walk_chain(u, p, p->protocol, true);
}

void ip6_frame(struct unet *u, const uint8_t eth[ETH_HLEN], struct slice s, const struct frame *f)
{
	struct packet p = { .csum_ok = f->csum_valid || f->needs_csum, .gso = f->gso, .gso_size = f->gso_size };
	uint32_t total;

	if (slice_copy(s, 0, p.ip, IPV6_HLEN) < IPV6_HLEN || p.ip[0] >> 4 != 6)
		goto malformed;
	total = IPV6_HLEN + be16(p.ip + IP6_PAYLOAD_LENGTH);
	if (f->gso == GSO_NONE) {
		if (total > s.len)      /* longer frames are padded ones */
			goto malformed;
		s.len = total;
	} else {                        /* what asks for segmentation may leave the length to it */
		if (s.len > 65535 || p.gso_size == 0)
			goto malformed;
		put_be16(p.ip + IP6_PAYLOAD_LENGTH, (uint16_t)(s.len - IPV6_HLEN));
	}
	p.src = addr_from6(p.ip + IP6_SOURCE);
	p.dst = addr_from6(p.ip + IP6_DESTINATION);
	/* IPv4-mapped addresses never stand in packets, and would be taken for IPv4's here */
	if (addr_is4(&p.src) || addr_is4(&p.dst) || ip_is_multicast(&p.src)) {
		u->counters.dropped_source++;
		return;
	}
	p.tos = (uint8_t)(p.ip[0] << 4 | p.ip[1] >> 4);
	p.ttl = p.ip[IP6_HOP_LIMIT];
	memcpy(p.mac, eth + 6, 6);
	p.whole = s;
	walk_chain(u, &p, p.ip[IP6_NEXT_HEADER], false);
	return;
malformed:
	u->counters.dropped_malformed++;
}
