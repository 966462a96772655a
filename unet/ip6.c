/* SPDX-License-Identifier: MIT */
/* IPv6 (RFC 8200): where addresses lead. */
#include "unet/stack.h"

bool ip6_in_net(const struct unet *u, const struct addr *a)
{
	uint8_t n = u->cfg.prefixlen, whole = n / 8;

	return !memcmp(a->b, u->cfg.prefix.s6_addr, whole) &&
	       (n % 8 == 0 || (a->b[whole] ^ u->cfg.prefix.s6_addr[whole]) >> (8 - n % 8) == 0);
}

enum place ip6_place(const struct unet *u, const struct addr *a)
{
	if (addr_equal(a, &u->host6) || addr_equal(a, &u->link_host6))
		return PLACE_HOST;
	if (addr_equal(a, &u->dns6) || addr_equal(a, &u->link_dns6))
		return PLACE_DNS;
	if (a->b[0] == 0xff)            /* what stays on the link is for us, and for other guests */
		return (a->b[1] & 15) == 2 ? PLACE_BROADCAST : PLACE_FORBIDDEN;
	if (ip6_in_net(u, a) || addr_is_link_local(a))
		return guestfwd_has(u, a) ? PLACE_GUESTFWD : PLACE_NOBODY;
	/* ::, ::1, IPv4-compatible and -mapped (RFC 4291 2.5): connect() to some of them would reach the host */
	if (le64(a->b) == 0 && (le32(a->b + 8) == 0 || le32(a->b + 8) == 0xffff0000))
		return PLACE_FORBIDDEN;
	return PLACE_OUTSIDE;
}

/* A guest speaks with an address of the prefix or the link that is not unet's; beyond the link only with the former. */
bool ip6_source_ok(const struct unet *u, const struct packet *p)
{
	return ip6_place(u, &p->src) == PLACE_NOBODY &&
	       (!addr_is_link_local(&p->src) || ip6_place(u, &p->dst) != PLACE_OUTSIDE);
}
