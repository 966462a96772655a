/* SPDX-License-Identifier: MIT */
/*
 * Router discovery (RFC 4861), as far as a network without IPv6 has something to say: a solicitation is answered by an
 * advertisement of router lifetime 0 and without a prefix.  That is the truth, and it spares firmware (iPXE waits 16
 * seconds for a router) and systems the wait.  Hosts take no address and no route from it.
 */
#include "base/checksum.h"
#include "unet/stack.h"

enum {
	IP6_HEADER = 40, IP6_PAYLOAD_LEN = 4,
	HOP_LIMIT_NDP = 255,            /* section 6.1.1: it came from this link */
	ROUTER_SOLICITATION = 133, ROUTER_ADVERTISEMENT = 134, SOLICITATION_LEN = 8, SOLICITATION_MAX = 512,
	ADVERTISEMENT_LEN = 24, OPTION_SOURCE_ADDRESS = 1, HOP_LIMIT_DEFAULT = 64,
};

static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 }, all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
static const uint8_t router[16] = { 0xfe, 0x80, [15] = 2 }, router_mac[6] = { 0x52, 0x56, 0, 0, 0, 2 };

static void advertise(struct unet *u, const uint8_t *to, const uint8_t mac[6])
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, IP6_HEADER + ADVERTISEMENT_LEN, PBUF_RAM);
	uint8_t *h, *m;

	if (!p)
		return;
	h = p->payload;
	m = h + IP6_HEADER;
	memset(h, 0, IP6_HEADER + ADVERTISEMENT_LEN);
	h[0] = 0x60;
	put_be16(h + IP6_PAYLOAD_LEN, ADVERTISEMENT_LEN);
	h[IP6_NEXT_HEADER] = PROTO_ICMPV6;
	h[IP6_HOP_LIMIT] = HOP_LIMIT_NDP;
	memcpy(h + IP6_SOURCE, router, 16);
	memcpy(h + IP6_DESTINATION, to, 16);
	m[0] = ROUTER_ADVERTISEMENT;
	m[4] = HOP_LIMIT_DEFAULT;       /* flags and lifetime stay 0 */
	m[16] = OPTION_SOURCE_ADDRESS;
	m[17] = 1;
	memcpy(m + 18, router_mac, 6);
	put_be16(m + 2, (uint16_t)~checksum_fold(checksum_add(checksum_pseudo(router, to, 16, PROTO_ICMPV6,
									      ADVERTISEMENT_LEN), m, ADVERTISEMENT_LEN)));
	netif_queue(u, mac, router_mac, ETH_IPV6, p, NULL, false);
}

void ndp_frame(struct unet *u, const uint8_t eth[ETH_HLEN], struct slice s)
{
	static const uint8_t unspecified[16];
	uint8_t h[IP6_HEADER], m[SOLICITATION_MAX];
	uint32_t len;

	if (slice_copy(s, 0, h, IP6_HEADER) < IP6_HEADER || h[0] >> 4 != 6) {
		u->counters.dropped_malformed++;
		return;
	}
	len = be16(h + IP6_PAYLOAD_LEN);
	if (h[IP6_NEXT_HEADER] != PROTO_ICMPV6 || h[IP6_HOP_LIMIT] != HOP_LIMIT_NDP || len < SOLICITATION_LEN ||
	    len > sizeof(m) || slice_copy(s, IP6_HEADER, m, len) < len || m[0] != ROUTER_SOLICITATION || m[1] != 0 ||
	    h[IP6_SOURCE] == 0xff ||
	    checksum_fold(checksum_add(checksum_pseudo(h + IP6_SOURCE, h + IP6_DESTINATION, 16, PROTO_ICMPV6, len), m,
				       len)) != 0xffff) {
		u->counters.dropped_other++;    /* there is no IPv6 here */
		return;
	}
	if (!memcmp(h + IP6_SOURCE, unspecified, 16))
		advertise(u, all_nodes, all_nodes_mac);
	else
		advertise(u, h + IP6_SOURCE, eth + 6);
}
