/* SPDX-License-Identifier: MIT */
/*
 * A DHCPv6 server (RFC 8415, 3646, 5970) for one small network: message bytes in, reply bytes out.  It tells what router
 * advertisements don't (the search list to old clients, what to boot) and gives out addresses to who asks for them.
 * It knows nothing of sockets or frames; time is handed in with each message.
 */
#ifndef DHCP_DHCP6_H
#define DHCP_DHCP6_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DHCP6_SERVER_PORT = 547, DHCP6_CLIENT_PORT = 546, DHCP6_REPLY_MAX = 1232 /* fits the smallest MTU */ };

struct dhcp6_config {
	uint8_t mac[6];                 /* makes the server's DUID */
	struct in6_addr prefix, server, dns;    /* addresses are given out from PREFIX::15 on */
	uint8_t prefixlen;
	bool isolated;                  /* give no DNS server (restrict=on) */
	/* texts that live as long as the server; NULL: none */
	const char *boot_url;
	const char *const *search;      /* NULL-terminated */
};

struct dhcp6_reply {
	uint8_t data[DHCP6_REPLY_MAX];
	size_t len;
};

struct dhcp6;

struct dhcp6 *dhcp6_new(const struct dhcp6_config *config);     /* copied, but for the texts */
void dhcp6_free(struct dhcp6 *d);
/* This address is not to be given out. */
void dhcp6_reserve(struct dhcp6 *d, const struct in6_addr *a);
/*
 * Handles the payload of one datagram to port 547, which came to the server's own address or to a group.  Returns
 * whether there is a reply.
 */
bool dhcp6_input(struct dhcp6 *d, uint64_t now_ns, const void *message, size_t len, bool unicast, struct dhcp6_reply *reply);
/* Addresses that are offered, leased or declined now. */
unsigned dhcp6_leases(const struct dhcp6 *d, uint64_t now_ns);

#endif
