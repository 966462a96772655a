/* SPDX-License-Identifier: MIT */
/* Ethernet, IP and transport header layouts as offsets (IEEE 802.3, RFC 791, 8200, 9293, 768). */
#ifndef NET_ETH_H
#define NET_ETH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	ETH_DST = 0, ETH_SRC = 6, ETH_TYPE = 12, ETH_HLEN = 14, ETH_ALEN = 6,
	ETH_VLAN_LEN = 4,               /* a tag: TPID, TCI */
	ETHERTYPE_IP4 = 0x0800, ETHERTYPE_ARP = 0x0806, ETHERTYPE_RARP = 0x8035, ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_IP6 = 0x86dd, ETHERTYPE_QINQ = 0x88a8,

	IP4_VIHL = 0, IP4_TOS = 1, IP4_LEN = 2, IP4_ID = 4, IP4_FRAG = 6, IP4_TTL = 8, IP4_PROTO = 9, IP4_SUM = 10,
	IP4_SRC = 12, IP4_DST = 16, IP4_HLEN = 20,
	IP4_MF = 0x2000, IP4_OFFSET = 0x1fff,

	IP6_LEN = 4, IP6_NEXT = 6, IP6_HOPS = 7, IP6_SRC = 8, IP6_DST = 24, IP6_HLEN = 40,

	IPPROTO_ID_ICMP = 1, IPPROTO_ID_TCP = 6, IPPROTO_ID_UDP = 17, IPPROTO_ID_ICMP6 = 58,
	IPPROTO_ID_HOPOPTS = 0, IPPROTO_ID_ROUTING = 43, IPPROTO_ID_FRAGMENT = 44, IPPROTO_ID_DSTOPTS = 60,

	TCP_SEQ = 4, TCP_OFF = 12, TCP_FLAGS = 13, TCP_SUM = 16, TCP_HLEN = 20,
	TCP_FLAG_FIN = 0x01, TCP_FLAG_PSH = 0x08, TCP_FLAG_CWR = 0x80,
	UDP_LEN = 4, UDP_SUM = 6, UDP_HLEN = 8,
};

static inline bool eth_is_multicast(const uint8_t *mac) { return mac[0] & 1; }
static inline bool eth_is_broadcast(const uint8_t *mac) { return !memcmp(mac, "\xff\xff\xff\xff\xff\xff", ETH_ALEN); }

#endif
