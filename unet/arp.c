/* SPDX-License-Identifier: MIT */
/*
 * ARP (RFC 826): unet answers for its own addresses only, with 52:55 and the four bytes of the address, as QEMU's user
 * network does.  It learns from requests, replies and gratuitous ARP (and from leases, in svc.c).
 */
#include "lwip/pbuf.h"
#include "unet/stack.h"

enum { ARP_LEN = 28, ARP_ETHERNET = 1, ARP_REQUEST = 1, ARP_REPLY = 2 };

static const uint8_t broadcast_mac[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

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

void arp_ask(struct unet *u, const struct addr *ip)
{
	static const uint8_t nobody[6];

	send_arp(u, broadcast_mac, ARP_REQUEST, &u->host, ip, nobody);
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
		neighbor_learn(u, &sender, b + 8);
	if (addr_equal(&sender, &u->returned)) {        /* it has its address now */
		u->returned = (struct addr){ { 0 } };
		tcp_ask(u, &sender);
	}
	if (op == ARP_REQUEST && ip_in_net(u, &target) &&
	    (addr_equal(&target, &u->host) || addr_equal(&target, &u->dns_addr) || guestfwd_has(u, &target)))
		send_arp(u, eth + 6, ARP_REPLY, &target, &sender, b + 8);
}
