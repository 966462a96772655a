/* SPDX-License-Identifier: MIT */
/*
 * IP between the port and the transports: what comes in by IPv4 (RFC 791; ip6.c has IPv6), the firewall's view of
 * destinations, and headers and fragments of what goes out by either.
 */
#include <arpa/inet.h>

#include "base/checksum.h"
#include "lwip/pbuf.h"
#include "unet/stack.h"

bool ip_in_net(const struct unet *u, const struct addr *a)
{
	return addr_is4(a) ? (addr_v4(a) & u->cfg.mask.s_addr) == u->cfg.net.s_addr : ip6_in_net(u, a);
}

const struct addr *ip_gateway(const struct unet *u, const struct addr *guest)
{
	return addr_is4(guest) ? &u->host : addr_is_link_local(guest) ? &u->link_host6 : &u->host6;
}

bool ip_is_loopback(const struct addr *a)
{
	struct addr six = ip_loopback(a);

	return addr_is4(a) ? a->b[12] == 127 : addr_equal(a, &six);
}

struct addr ip_loopback(const struct addr *a)
{
	return addr_is4(a) ? addr_from4((const uint8_t[]){ 127, 0, 0, 1 }) : (struct addr){ .b = { [15] = 1 } };
}

bool ip_body_sum_ok(const struct packet *p, uint32_t len)
{
	return checksum_fold(slice_sum(slice_cut(p->body, len), ip_pseudo(&p->src, &p->dst, p->protocol, len))) == 0xffff;
}

enum place ip_place(const struct unet *u, const struct addr *a)
{
	uint8_t first = a->b[12];

	if (!addr_is4(a))
		return ip6_place(u, a);
	if (addr_equal(a, &u->host))
		return PLACE_HOST;
	if (addr_equal(a, &u->dns_addr))
		return PLACE_DNS;
	if (addr_v4(a) == 0xffffffff || (ip_in_net(u, a) && (addr_v4(a) | u->cfg.mask.s_addr) == 0xffffffff))
		return PLACE_BROADCAST;
	if (ip_in_net(u, a))
		return guestfwd_has(u, a) ? PLACE_GUESTFWD : PLACE_NOBODY;
	/* "this" network, loopback, multicast, reserved (RFC 6890): connect() to the first two would reach the host */
	if (first == 0 || first == 127 || first >= 224)
		return PLACE_FORBIDDEN;
	return PLACE_OUTSIDE;
}

/* --- in --------------------------------------------------------------------------------------------------------- */

/* A guest speaks with an address of its net that is not unet's; only DHCP starts without one. */
static bool source_ok(const struct unet *u, const struct packet *p)
{
	uint8_t ports[4];

	if (!addr_is4(&p->src))
		return ip6_source_ok(u, p);
	if (ip_in_net(u, &p->src) && ip_place(u, &p->src) == PLACE_NOBODY &&
	    (addr_v4(&p->src) & ~u->cfg.mask.s_addr) != 0)
		return true;
	return addr_v4(&p->src) == 0 && p->protocol == PROTO_UDP && slice_copy(p->body, 0, ports, 4) == 4 &&
	       be16(ports + 2) == DHCP_SERVER_PORT;
}

void ip_deliver(struct unet *u, struct packet *p)
{
	enum place place = ip_place(u, &p->dst);
	bool for_group = p->protocol == PROTO_UDP || (p->protocol == PROTO_ICMPV6 && !addr_is4(&p->dst));

	if (!source_ok(u, p)) {
		u->counters.dropped_source++;
		return;
	}
	if (place == PLACE_FORBIDDEN || (place == PLACE_BROADCAST && !for_group)) {
		char text[INET6_ADDRSTRLEN];

		u->counters.dropped_destination++;
		if (place == PLACE_FORBIDDEN && !ip_is_multicast(&p->dst) && !u->cfg.restricted)
			icmp_error(u, p, ICMP_UNREACH_NET);
		inet_ntop(addr_is4(&p->dst) ? AF_INET : AF_INET6, addr_wire(&p->dst), text, sizeof(text));
		log_net("unet", "packet to %s refused", text);
		return;
	}
	if (place == PLACE_NOBODY) {
		u->counters.dropped_destination++;
		if (!u->cfg.restricted)
			icmp_error(u, p, ICMP_UNREACH_HOST);
		return;
	}
	/* we are a router on the way outside */
	if (place == PLACE_OUTSIDE && p->ttl <= 1 && !u->cfg.restricted) {
		icmp_error(u, p, ICMP_TTL_EXCEEDED);
		return;
	}
	switch (p->protocol) {
	case PROTO_TCP:
		tcp_guest_input(u, p);
		break;
	case PROTO_UDP:
		udp_guest_input(u, p);
		break;
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		if ((p->protocol == PROTO_ICMP) == addr_is4(&p->src)) {
			icmp_guest_input(u, p);
			break;
		}
		/* fall through */
	default:
		u->counters.dropped_protocol++;
		if (!u->cfg.restricted)
			icmp_error(u, p, ICMP_UNREACH_PROTOCOL);
	}
}

void ip_frame(struct unet *u, const uint8_t eth[ETH_HLEN], struct slice s, const struct frame *f)
{
	struct packet p = { .csum_ok = f->csum_valid || f->needs_csum, .gso = f->gso, .gso_size = f->gso_size };
	uint16_t total, fragment;

	if (slice_copy(s, 0, p.ip, IP4_HLEN) < IP4_HLEN || p.ip[0] >> 4 != 4)
		goto malformed;
	p.ip_len = (p.ip[0] & 15) * 4;
	if (p.ip_len < IP4_HLEN || s.len < p.ip_len)
		goto malformed;
	slice_copy(s, IP4_HLEN, p.ip + IP4_HLEN, p.ip_len - IP4_HLEN);
	total = be16(p.ip + 2);
	if (f->gso == GSO_NONE) {
		/* longer frames are padded ones */
		if (total < p.ip_len || total > s.len || checksum(p.ip, p.ip_len) != 0)
			goto malformed;
		s.len = total;
	} else {
		/* what asks for segmentation may leave length and checksum to it */
		if (s.len > 65535 || p.gso_size == 0)
			goto malformed;
		put_be16(p.ip + 2, (uint16_t)s.len);
	}
	p.src = addr_from4(p.ip + 12);
	p.dst = addr_from4(p.ip + 16);
	p.tos = p.ip[1];
	p.ttl = p.ip[8];
	p.protocol = p.ip[9];
	memcpy(p.mac, eth + 6, 6);
	p.whole = s;
	p.body = slice_from(s, p.ip_len);
	fragment = be16(p.ip + 6);
	if (fragment & (IP4_MF | IP4_OFFSET)) {
		if (f->gso != GSO_NONE)
			goto malformed;
		p.csum_ok = false;
		if (!source_ok(u, &p) || ip_place(u, &p.dst) == PLACE_FORBIDDEN) {
			u->counters.dropped_source++;
			return;
		}
		reass_input(u, &p, be16(p.ip + 4), (fragment & IP4_OFFSET) * 8u, fragment & IP4_MF);
		return;
	}
	ip_deliver(u, &p);
	return;
malformed:
	u->counters.dropped_malformed++;
}

/* --- out -------------------------------------------------------------------------------------------------------- */

struct pbuf *ip_alloc(uint32_t len)
{
	return len <= 65535 - IP4_HLEN ? pbuf_alloc(PBUF_IP, (u16_t)len, PBUF_RAM) : NULL;
}

static void ip4_header_id(uint8_t *h, const struct addr *src, const struct addr *dst, uint8_t protocol, uint8_t ttl,
			  uint16_t payload_len, uint16_t id, uint16_t fragment)
{
	h[0] = 0x45;
	h[1] = 0;
	put_be16(h + 2, (uint16_t)(payload_len + IP4_HLEN));
	put_be16(h + 4, id);
	put_be16(h + 6, fragment);
	h[8] = ttl;
	h[9] = protocol;
	put_be16(h + 10, 0);
	memcpy(h + 12, src->b + 12, 4);
	memcpy(h + 16, dst->b + 12, 4);
	put_be16(h + 10, checksum(h, IP4_HLEN));
}

uint32_t ip_header(struct unet *u, uint8_t *h, const struct addr *src, const struct addr *dst, uint8_t protocol,
		   uint8_t ttl, uint16_t payload_len)
{
	if (addr_is4(dst)) {
		ip4_header_id(h, src, dst, protocol, ttl, payload_len, u->ip_id++, protocol == PROTO_TCP ? IP4_DF : 0);
		return IP4_HLEN;
	}
	memset(h, 0, IPV6_HLEN);
	h[0] = 0x60;
	put_be16(h + IP6_PAYLOAD_LENGTH, payload_len);
	h[IP6_NEXT_HEADER] = protocol;
	h[IP6_HOP_LIMIT] = ttl;
	memcpy(h + IP6_SOURCE, src->b, 16);
	memcpy(h + IP6_DESTINATION, dst->b, 16);
	return IPV6_HLEN;
}

/* Adds the checksum that facts leaves to the far end: fragments can't be finished there. */
static void finish_checksum(struct pbuf *p, const struct facts *f, uint32_t ip_len)
{
	uint8_t *start = (uint8_t *)p->payload + f->csum_start - ip_len;
	uint16_t sum = checksum(start, p->len - (f->csum_start - ip_len));

	put_be16(start + f->csum_offset, sum ? sum : 0xffff);
}

static void send_whole(struct unet *u, const uint8_t *mac, const struct addr *src, const struct addr *dst,
		       struct pbuf *p, const struct facts *facts)
{
	uint8_t own[6];

	if (!mac) {
		neighbor_output(u, dst, src, p, facts, false);
		return;
	}
	unet_source_mac(u, src, own);
	netif_queue(u, mac, own, addr_is4(dst) ? ETH_IPV4 : ETH_IPV6, p, facts, false);
}

/* The n bytes from `at` of a packet of len, with a fragment's header or headers in front. */
static struct pbuf *fragment_of(struct unet *u, const uint8_t *data, uint32_t at, uint32_t n, bool more, uint32_t id,
				const struct addr *src, const struct addr *dst, uint8_t protocol, uint8_t ttl)
{
	bool four = addr_is4(dst);
	struct pbuf *q = ip_alloc(n + (four ? 0 : IP6_FRAGMENT_LEN));
	uint8_t *h;

	if (!q)
		return NULL;
	h = q->payload;
	memcpy(h + (four ? 0 : IP6_FRAGMENT_LEN), data + at, n);
	pbuf_add_header(q, ip_hlen(dst));
	if (four) {
		ip4_header_id(q->payload, src, dst, protocol, ttl, (uint16_t)n, (uint16_t)id,
			      (uint16_t)(at / 8 | (more ? IP4_MF : 0)));
		return q;
	}
	ip_header(u, q->payload, src, dst, IP6_FRAGMENT, ttl, (uint16_t)(n + IP6_FRAGMENT_LEN));
	h[0] = protocol;
	h[1] = 0;
	put_be16(h + 2, (uint16_t)(at | more));
	put_be32(h + 4, id);
	return q;
}

void ip_send_to(struct unet *u, const uint8_t *mac, const struct addr *src, const struct addr *dst, uint8_t protocol,
		uint8_t ttl, struct pbuf *p, const struct facts *facts)
{
	uint32_t len = p->tot_len, ip_len = ip_hlen(dst), room = u->cfg.mtu - ip_len, id;

	if (len + ip_len <= u->cfg.mtu || (facts && facts->gso)) {
		pbuf_add_header(p, ip_len);
		ip_header(u, p->payload, src, dst, protocol, ttl, (uint16_t)len);
		send_whole(u, mac, src, dst, p, facts);
		return;
	}
	if (facts && facts->needs_csum)
		finish_checksum(p, facts, ip_len);
	id = u->ip_id++;
	room = (room - (addr_is4(dst) ? 0 : IP6_FRAGMENT_LEN)) & ~7u;
	for (uint32_t at = 0; at < len; at += room) {
		uint32_t n = MIN(room, len - at);
		struct pbuf *q = fragment_of(u, p->payload, at, n, at + n < len, id, src, dst, protocol, ttl);

		if (!q)
			break;
		send_whole(u, mac, src, dst, q, NULL);
	}
	pbuf_free(p);
}

void ip_send(struct unet *u, const struct addr *src, const struct addr *dst, uint8_t protocol, uint8_t ttl,
	     struct pbuf *p, const struct facts *facts)
{
	ip_send_to(u, NULL, src, dst, protocol, ttl, p, facts);
}
