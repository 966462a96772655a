/* SPDX-License-Identifier: MIT */
/*
 * Neighbour and router discovery (RFC 4861, 4862, 8106) from the gateway's side.
 *
 * unet is the only router: it advertises the prefix, the MTU, the DNS relay and the search list, at once when it is
 * asked and every few minutes besides.  It answers for its own addresses only, also to a guest that tests whether it may
 * have one of them.  What it learns of guests goes to neighbor.c.
 * With ipv6=off a solicitation is told that there is no router (lifetime 0, no prefix): that is the truth, and it spares
 * firmware (iPXE waits 16 seconds) and systems the wait.
 */
#include "dhcp/option.h"
#include "lwip/pbuf.h"
#include "unet/stack.h"

enum {
	ROUTER_SOLICITATION = 133, ROUTER_ADVERTISEMENT = 134, NEIGHBOR_SOLICITATION = 135, NEIGHBOR_ADVERTISEMENT = 136,
	REDIRECT = 137,
	MESSAGE_MAX = 1280,
	SOLICITATION_LEN = 8, NEIGHBOR_LEN = 24, ADVERTISEMENT_LEN = 16, ADVERTISEMENT_MAX = 1200,
	NEIGHBOR_TARGET = 8,
	ROUTER = 0x80, SOLICITED = 0x40, OVERRIDE = 0x20,       /* of a neighbour advertisement */
	MANAGED = 0x80, OTHER = 0x40,                           /* of a router advertisement */
	OPTION_SOURCE = 1, OPTION_TARGET = 2, OPTION_PREFIX = 3, OPTION_MTU = 5, OPTION_RDNSS = 25, OPTION_DNSSL = 31,
	ON_LINK = 0x80, AUTONOMOUS = 0x40,
	HOP_LIMIT_NDP = 255,            /* it came from this link (section 6.1.1) */
	HOP_LIMIT = 64, ROUTER_LIFETIME = 1800, VALID = 86400, PREFERRED = 14400, DNS_LIFETIME = ROUTER_LIFETIME,
	INTERVAL_MIN = 200, INTERVAL_MAX = 600, /* seconds */
};

static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
static const struct addr all_nodes = { .b = { 0xff, 2, [15] = 1 } }, unspecified;

/* --- router advertisements --------------------------------------------------------------------------------------- */

static uint8_t *put_link_address(const struct unet *u, uint8_t *o, uint8_t type, const struct addr *own)
{
	o[0] = type;
	o[1] = 1;
	unet_mac(u, own, o + 2);
	return o + 8;
}

/* RFC 8106 5.2: whole names, never compressed. */
static uint8_t *put_search(const struct unet *u, uint8_t *o, const uint8_t *end)
{
	size_t len, units;

	if (!u->cfg.dnssearch[0])
		return o;
	len = option_encode_names(u->cfg.dnssearch, o + 8, (size_t)(end - o) - 8);
	units = (len + 7) / 8 + 1;
	if (!len || o + units * 8 > end)
		return o;
	memset(o + 8 + len, 0, units * 8 - 8 - len);
	o[0] = OPTION_DNSSL;
	o[1] = (uint8_t)units;
	put_be16(o + 2, 0);
	put_be32(o + 4, DNS_LIFETIME);
	return o + units * 8;
}

static uint8_t *put_options(const struct unet *u, uint8_t *o, const uint8_t *end)
{
	o[0] = OPTION_MTU;
	o[1] = 1;
	put_be32(o + 4, u->cfg.mtu);
	o += 8;
	o[0] = OPTION_PREFIX;
	o[1] = 4;
	o[2] = u->cfg.prefixlen;
	o[3] = ON_LINK | AUTONOMOUS;
	put_be32(o + 4, VALID);
	put_be32(o + 8, PREFERRED);
	memcpy(o + 16, &u->cfg.prefix, 16);
	o += 32;
	if (u->cfg.restricted)
		return o;
	o[0] = OPTION_RDNSS;
	o[1] = 3;
	put_be32(o + 4, DNS_LIFETIME);
	memcpy(o + 8, u->dns6.b, 16);
	return put_search(u, o + 24, end);
}

static void advertise(struct unet *u, const struct addr *to, const uint8_t mac[6])
{
	struct pbuf *p = ip_alloc(ADVERTISEMENT_MAX);
	uint8_t *m, *o;

	if (!p)
		return;
	m = p->payload;
	memset(m, 0, ADVERTISEMENT_MAX);
	m[0] = ROUTER_ADVERTISEMENT;
	m[4] = HOP_LIMIT;
	o = put_link_address(u, m + ADVERTISEMENT_LEN, OPTION_SOURCE, &u->link_host6);
	if (u->cfg.ipv6) {
		/* a prefix of another length than 64 gives no one an address: then they must ask (RFC 4862 5.5.3 d) */
		m[5] = u->cfg.prefixlen == 64 ? OTHER : OTHER | MANAGED;
		put_be16(m + 6, ROUTER_LIFETIME);
		o = put_options(u, o, m + ADVERTISEMENT_MAX);
	}
	pbuf_realloc(p, (u16_t)(o - m));
	icmp_send(u, mac, &u->link_host6, to, HOP_LIMIT_NDP, p);
}

static void arm(struct unet *u)
{
	uint16_t r;

	unet_random(u, &r, sizeof(r));
	timer_set(&u->advertise_timer, unet_now(u) + S(INTERVAL_MIN + r % (INTERVAL_MAX - INTERVAL_MIN)));
}

static void advertise_again(void *owner)
{
	struct unet *u = owner;

	unet_enter(u);
	advertise(u, &all_nodes, all_nodes_mac);
	arm(u);
	unet_leave(u);
}

void ndp_init(struct unet *u)
{
	timer_init(&u->advertise_timer, u->cfg.clock, advertise_again, u);
	if (u->cfg.ipv6)
		arm(u);
}

void ndp_free(struct unet *u)
{
	timer_cancel(&u->advertise_timer);
}

/* --- neighbours --------------------------------------------------------------------------------------------------- */

static bool is_own(const struct unet *u, const struct addr *a)
{
	enum place place = ip_place(u, a);

	return place == PLACE_HOST || place == PLACE_DNS || place == PLACE_GUESTFWD;
}

void ndp_ask(struct unet *u, const struct addr *ip)
{
	struct addr group = { .b = { 0xff, 2, [11] = 1, 0xff, ip->b[13], ip->b[14], ip->b[15] } };
	uint8_t mac[6] = { 0x33, 0x33, 0xff, ip->b[13], ip->b[14], ip->b[15] };
	struct pbuf *p = ip_alloc(NEIGHBOR_LEN + 8);
	uint8_t *m;

	if (!p)
		return;
	m = p->payload;
	memset(m, 0, NEIGHBOR_LEN);
	m[0] = NEIGHBOR_SOLICITATION;
	memcpy(m + NEIGHBOR_TARGET, ip->b, 16);
	put_link_address(u, m + NEIGHBOR_LEN, OPTION_SOURCE, &u->link_host6);
	icmp_send(u, mac, &u->link_host6, &group, HOP_LIMIT_NDP, p);
}

static void answer(struct unet *u, const struct packet *q, const struct addr *target)
{
	bool anonymous = addr_equal(&q->src, &unspecified);     /* it tests whether the address is free: it is not */
	struct pbuf *p = ip_alloc(NEIGHBOR_LEN + 8);
	uint8_t *m;

	if (!p)
		return;
	m = p->payload;
	memset(m, 0, NEIGHBOR_LEN);
	m[0] = NEIGHBOR_ADVERTISEMENT;
	m[4] = (anonymous ? 0 : SOLICITED) | ROUTER | OVERRIDE;
	memcpy(m + NEIGHBOR_TARGET, target->b, 16);
	put_link_address(u, m + NEIGHBOR_LEN, OPTION_TARGET, target);
	icmp_send(u, anonymous ? all_nodes_mac : q->mac, target, anonymous ? &all_nodes : &q->src, HOP_LIMIT_NDP, p);
}

/*
 * Walks the options.  The link-layer address of the given kind, NULL if there is none; false if they are malformed
 * (then the message does not count, RFC 4861 4.6).
 */
static bool parse_options(const uint8_t *o, size_t len, uint8_t type, const uint8_t **mac)
{
	struct cursor c = cursor_of(o, len);

	*mac = NULL;
	while (cursor_left(&c)) {
		uint8_t kind = cursor_u8(&c), units = cursor_u8(&c);
		const uint8_t *v = units ? cursor_take(&c, units * 8u - 2) : NULL;

		if (!v)
			return false;
		if (kind == type && units == 1)
			*mac = v;
	}
	return true;
}

/* The sender is at this MAC, if it says so and its frame came from there. */
static void learn(struct unet *u, const struct packet *p, const struct addr *ip, const uint8_t *mac)
{
	if (mac && !memcmp(mac, p->mac, 6) && ip_place(u, ip) == PLACE_NOBODY)
		neighbor_learn(u, ip, mac);
}

static void solicited(struct unet *u, const struct packet *p, const uint8_t *m, const uint8_t *source)
{
	struct addr target = addr_from6(m + NEIGHBOR_TARGET);

	learn(u, p, &p->src, source);
	if (is_own(u, &target))
		answer(u, p, &target);
}

static void advertised(struct unet *u, const struct packet *p, const uint8_t *m, const uint8_t *mac)
{
	struct addr target = addr_from6(m + NEIGHBOR_TARGET);

	/* no one but us is the gateway, and who was never asked for is not kept */
	if (neighbor_known(u, &target))
		learn(u, p, &target, mac);
}

bool ndp_is(uint8_t type)
{
	return type >= ROUTER_SOLICITATION && type <= REDIRECT;
}

void ndp_input(struct unet *u, const struct packet *p)
{
	uint8_t m[MESSAGE_MAX];
	bool anonymous = addr_equal(&p->src, &unspecified);
	uint32_t len = slice_copy(p->body, 0, m, sizeof(m));
	size_t fixed = len && m[0] == ROUTER_SOLICITATION ? SOLICITATION_LEN : NEIGHBOR_LEN;
	const uint8_t *mac;

	if (p->ttl != HOP_LIMIT_NDP || len < p->body.len || len < fixed || m[1] != 0 ||
	    !(anonymous || ip_place(u, &p->src) == PLACE_NOBODY) || (!p->csum_ok && !ip_body_sum_ok(p, len)) ||
	    !parse_options(m + fixed, len - fixed, m[0] == NEIGHBOR_ADVERTISEMENT ? OPTION_TARGET : OPTION_SOURCE, &mac) ||
	    (anonymous && mac)) {
		u->counters.dropped_malformed++;
		return;
	}
	if (m[0] == ROUTER_SOLICITATION) {
		learn(u, p, &p->src, mac);
		if (anonymous)
			advertise(u, &all_nodes, all_nodes_mac);
		else
			advertise(u, &p->src, p->mac);
	} else if (m[0] == NEIGHBOR_SOLICITATION && u->cfg.ipv6) {
		solicited(u, p, m, mac);
	} else if (m[0] == NEIGHBOR_ADVERTISEMENT && u->cfg.ipv6) {
		advertised(u, p, m, mac);
	} else {                        /* another router, or redirects: not on this network */
		u->counters.dropped_protocol++;
	}
}
