/* SPDX-License-Identifier: MIT */
/*
 * Who on the link has which address, for both families: arp.c and ndp.c ask and learn, this file keeps.
 *
 * The table is a flow table: found by hash, the least recently used goes when it is full.  Packets for an address whose
 * MAC is not known wait, a own of them, for at most ASK_MAX requests.
 */
#include "lwip/pbuf.h"
#include "unet/stack.h"

enum { LIST_KNOWN = 0, LIST_ASKING = 1, ASK_MAX = 3, HELD_MAX = 4 };
#define ASK_EVERY S(1)

struct neighbor {
	struct flow flow;               /* key.guest: the address */
	uint8_t mac[6];
	bool known;
	uint8_t asked;                  /* requests without an answer */
	struct out_frame held[HELD_MAX];
	uint8_t held_count;
};

void unet_mac(const struct unet *u, const struct addr *ip, uint8_t mac[6])
{
	(void)u;
	mac[0] = 0x52;
	mac[1] = addr_is4(ip) ? 0x55 : 0x56;
	memcpy(mac + 2, ip->b + 12, 4);
}

void unet_source_mac(const struct unet *u, const struct addr *src, uint8_t mac[6])
{
	bool own = addr_is4(src) ? addr_equal(src, &u->dns_addr) && ip_in_net(u, src) :
				   addr_equal(src, &u->dns6) || addr_equal(src, &u->link_dns6);

	unet_mac(u, own || guestfwd_has(u, src) ? src : ip_gateway(u, src), mac);
}

static struct neighbor *find(struct unet *u, const struct addr *ip)
{
	struct flow_key key = { .guest = *ip };

	if (!u->last_neighbor || !addr_equal(&u->last_neighbor->flow.key.guest, ip))
		u->last_neighbor = (struct neighbor *)flow_find(&u->neighbors, &key);
	return u->last_neighbor;
}

static void forget(struct unet *u, struct neighbor *n)
{
	for (unsigned i = 0; i < n->held_count; i++)
		pbuf_free(n->held[i].p);
	u->counters.dropped_neighbor += n->held_count;
	if (u->last_neighbor == n)
		u->last_neighbor = NULL;
	flow_remove(&u->neighbors, &n->flow);
}

static struct neighbor *add(struct unet *u, const struct addr *ip, unsigned list)
{
	struct flow_key key = { .guest = *ip };

	if (u->neighbors.count == u->neighbors.limit) {
		struct flow *oldest = u->neighbors.lists[LIST_ASKING].oldest;

		forget(u, (struct neighbor *)(oldest ? oldest : u->neighbors.lists[LIST_KNOWN].oldest));
	}
	return (struct neighbor *)flow_add(&u->neighbors, &key, list, unet_now(u));
}

bool neighbor_known(struct unet *u, const struct addr *ip)
{
	return find(u, ip) != NULL;
}

void neighbor_learn(struct unet *u, const struct addr *ip, const uint8_t mac[6])
{
	struct neighbor *n = find(u, ip);
	uint16_t type = addr_is4(ip) ? ETH_IPV4 : ETH_IPV6;

	if ((mac[0] & 1) || !le32(mac + 2))
		return;
	if (!n)
		n = add(u, ip, LIST_KNOWN);
	memcpy(n->mac, mac, 6);
	n->known = true;
	n->asked = 0;
	flow_touch(&u->neighbors, &n->flow, LIST_KNOWN, unet_now(u));
	for (unsigned i = 0; i < n->held_count; i++) {
		struct out_frame *f = &n->held[i];

		netif_queue(u, mac, f->eth + 6, type, f->p, &f->facts, false);
	}
	n->held_count = 0;
}

static void ask(struct unet *u, struct neighbor *n)
{
	n->asked++;
	flow_touch(&u->neighbors, &n->flow, LIST_ASKING, unet_now(u));
	if (addr_is4(&n->flow.key.guest))
		arp_ask(u, &n->flow.key.guest);
	else
		ndp_ask(u, &n->flow.key.guest);
	unet_arm_expiry(u);
}

void neighbor_expire(struct unet *u, uint64_t now)
{
	struct neighbor *n;

	while ((n = (struct neighbor *)flow_expired(&u->neighbors, now))) {
		if (n->asked >= ASK_MAX || !n->held_count)
			forget(u, n);
		else
			ask(u, n);
	}
}

bool neighbor_output(struct unet *u, const struct addr *dst, const struct addr *src, struct pbuf *p,
		     const struct facts *facts, bool may_wait)
{
	struct neighbor *n = find(u, dst);
	struct pbuf *own;
	uint8_t mac[6];

	unet_source_mac(u, src, mac);
	if (n && n->known) {
		flow_touch(&u->neighbors, &n->flow, LIST_KNOWN, unet_now(u));
		return netif_queue(u, n->mac, mac, addr_is4(dst) ? ETH_IPV4 : ETH_IPV6, p, facts, may_wait);
	}
	if (!n) {
		n = add(u, dst, LIST_ASKING);
		ask(u, n);
	}
	if (n->held_count == HELD_MAX) {
		u->counters.dropped_neighbor++;
		pbuf_free(p);
		return true;
	}
	own = netif_own(p);             /* it may point into a ring of TCP's, which goes on */
	if (!own) {
		u->counters.dropped_neighbor++;
		pbuf_free(p);
		return true;
	}
	n->held[n->held_count] = (struct out_frame){ .p = own };
	if (facts)
		n->held[n->held_count].facts = *facts;
	memcpy(n->held[n->held_count].eth + 6, mac, 6);
	n->held_count++;
	return true;
}

bool neighbor_init(struct unet *u)
{
	if (!flow_table_init(&u->neighbors, u->cfg.limits.neighbors, sizeof(struct neighbor), (const uint8_t *)u->secret))
		return false;
	u->neighbors.lists[LIST_ASKING].idle_ns = ASK_EVERY;
	return true;
}

void neighbor_free(struct unet *u)
{
	struct flow *f = NULL;

	while (u->neighbors.objects && (f = flow_next(&u->neighbors, f)))
		forget(u, (struct neighbor *)f);
	flow_table_free(&u->neighbors);
}
