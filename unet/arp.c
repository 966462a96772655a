/* SPDX-License-Identifier: MIT */
/*
 * ARP (RFC 826) and the guests' MAC addresses.
 *
 * unet answers for its own addresses only, with 52:55 and the four bytes of the address, as QEMU's user network does.
 * It learns from requests, replies and gratuitous ARP, and from leases; the table keeps the most recently used.
 * Packets for an address whose MAC is not known wait, a few of them, for at most ASK_MAX requests.
 */
#include "unet/stack.h"

enum {
	ARP_LEN = 28, ARP_ETHERNET = 1, ARP_REQUEST = 1, ARP_REPLY = 2,
	ASK_MAX = 3,
};
#define ASK_EVERY S(1)

static const uint8_t broadcast_mac[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

void unet_mac(const struct unet *u, const struct addr *ip, uint8_t mac[6])
{
	(void)u;
	mac[0] = 0x52;
	mac[1] = 0x55;
	memcpy(mac + 2, ip->b + 12, 4);
}

/* The MAC that packets from src carry: that of the address itself if it is unet's, else the gateway's. */
static void source_mac(const struct unet *u, const struct addr *src, uint8_t mac[6])
{
	bool own = (addr_equal(src, &u->dns_addr) && ip_in_net(u, src)) || guestfwd_has(u, src);

	unet_mac(u, own ? src : &u->host, mac);
}

static struct neighbor *find(struct unet *u, const struct addr *ip)
{
	for (unsigned i = 0; i < NEIGHBORS; i++)
		if (u->neighbors[i].used && addr_equal(&u->neighbors[i].ip, ip))
			return &u->neighbors[i];
	return NULL;
}

static void drop_held(struct unet *u, struct neighbor *n)
{
	for (unsigned i = 0; i < n->held_count; i++)
		pbuf_free(n->held[i].p);
	u->counters.dropped_other += n->held_count;
	n->held_count = 0;
}

/* A free entry, or the one not used for longest. */
static struct neighbor *take(struct unet *u, const struct addr *ip)
{
	struct neighbor *n = &u->neighbors[0];

	for (unsigned i = 0; i < NEIGHBORS && n->used; i++)
		if (!u->neighbors[i].used || u->neighbors[i].used_ns < n->used_ns)
			n = &u->neighbors[i];
	if (n->used)
		drop_held(u, n);
	memset(n, 0, sizeof(*n));
	n->used = true;
	n->ip = *ip;
	return n;
}

void arp_learn(struct unet *u, const struct addr *ip, const uint8_t mac[6])
{
	struct neighbor *n = find(u, ip);

	if ((mac[0] & 1) || !le32(mac + 2))
		return;
	if (!n)
		n = take(u, ip);
	memcpy(n->mac, mac, 6);
	n->known = true;
	n->asked = 0;
	n->used_ns = unet_now(u);
	for (unsigned i = 0; i < n->held_count; i++) {
		struct out_frame *f = &n->held[i];

		netif_queue(u, mac, f->eth + 6, ETH_IPV4, f->p, &f->facts, false);
	}
	n->held_count = 0;
}

static void send_arp(struct unet *u, const uint8_t to[6], uint16_t op, const struct addr *sender,
		     const struct addr *target, const uint8_t target_mac[6])
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, ARP_LEN, PBUF_RAM);
	uint8_t mac[6], *b;

	if (!p)
		return;
	b = p->payload;
	unet_mac(u, sender, mac);
	put_be16(b, ARP_ETHERNET);
	put_be16(b + 2, ETH_IPV4);
	b[4] = 6;
	b[5] = 4;
	put_be16(b + 6, op);
	memcpy(b + 8, mac, 6);
	memcpy(b + 14, sender->b + 12, 4);
	memcpy(b + 18, target_mac, 6);
	memcpy(b + 24, target->b + 12, 4);
	netif_queue(u, to, mac, ETH_ARP, p, NULL, false);
}

static void ask(struct unet *u, struct neighbor *n)
{
	static const uint8_t nobody[6];

	n->asked++;
	n->asked_ns = unet_now(u);
	send_arp(u, broadcast_mac, ARP_REQUEST, &u->host, &n->ip, nobody);
	if (!timer_armed(&u->arp_timer))
		timer_set(&u->arp_timer, n->asked_ns + ASK_EVERY);
}

/* Ask again, or give up, wherever an answer is overdue. */
static void overdue(void *owner)
{
	struct unet *u = owner;
	uint64_t now = unet_now(u), next = CLOCK_NEVER;

	unet_enter(u);
	for (unsigned i = 0; i < NEIGHBORS; i++) {
		struct neighbor *n = &u->neighbors[i];

		if (!n->used || n->known)
			continue;
		if (now - n->asked_ns >= ASK_EVERY) {
			if (n->asked >= ASK_MAX || !n->held_count) {
				drop_held(u, n);
				n->used = false;
				continue;
			}
			ask(u, n);
		}
		next = MIN(next, n->asked_ns + ASK_EVERY);
	}
	timer_set(&u->arp_timer, next);
	unet_leave(u);
}

bool arp_output(struct unet *u, const struct addr *dst, const struct addr *src, struct pbuf *p,
		const struct facts *facts, bool may_wait)
{
	struct neighbor *n = find(u, dst);
	uint8_t mac[6];

	source_mac(u, src, mac);
	if (n && n->known) {
		n->used_ns = unet_now(u);
		return netif_queue(u, n->mac, mac, ETH_IPV4, p, facts, may_wait);
	}
	if (!n) {
		n = take(u, dst);
		n->used_ns = unet_now(u);
		ask(u, n);
	}
	if (n->held_count == NEIGHBOR_HELD) {
		u->counters.dropped_other++;
		pbuf_free(p);
		return true;
	}
	n->held[n->held_count] = (struct out_frame){ .p = p };
	if (facts)
		n->held[n->held_count].facts = *facts;
	memcpy(n->held[n->held_count].eth + 6, mac, 6);
	n->held_count++;
	return true;
}

void arp_input(struct unet *u, const uint8_t eth[ETH_HLEN], struct slice body)
{
	uint8_t b[ARP_LEN];
	struct addr sender, target;
	uint16_t op;

	if (slice_copy(body, 0, b, ARP_LEN) < ARP_LEN || be16(b) != ARP_ETHERNET || be16(b + 2) != ETH_IPV4 ||
	    b[4] != 6 || b[5] != 4 || memcmp(b + 8, eth + 6, 6)) {
		u->counters.dropped_malformed++;
		return;
	}
	op = be16(b + 6);
	sender = addr_from4(b + 14);
	target = addr_from4(b + 24);
	/* nobody else is the gateway, and a probe (RFC 5227: sender 0.0.0.0) teaches nothing */
	if (ip_in_net(u, &sender) && ip_place(u, &sender) == PLACE_NOBODY)
		arp_learn(u, &sender, b + 8);
	if (op == ARP_REQUEST && ip_in_net(u, &target) &&
	    (addr_equal(&target, &u->host) || addr_equal(&target, &u->dns_addr) || guestfwd_has(u, &target)))
		send_arp(u, eth + 6, ARP_REPLY, &target, &sender, b + 8);
}

void arp_init(struct unet *u)
{
	timer_init(&u->arp_timer, u->cfg.clock, overdue, u);
}

void arp_free(struct unet *u)
{
	for (unsigned i = 0; i < NEIGHBORS; i++)
		drop_held(u, &u->neighbors[i]);
	timer_cancel(&u->arp_timer);
}
