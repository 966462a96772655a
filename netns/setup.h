/* SPDX-License-Identifier: MIT */
/* The inside of a network namespace as its kernel sees it: interface, addresses, routes; for a command the resolver. */
#ifndef NETNS_SETUP_H
#define NETNS_SETUP_H

#include <netinet/in.h>
#include <stdbool.h>

#include "base/err.h"

struct setup {
	char ifname[16];                /* of the TAP */
	unsigned mtu;
	bool configure;                 /* false: the MTU only */
	bool ipv4, ipv6;
	struct in_addr address, gateway, dns;
	unsigned prefix_len;
	struct in6_addr address6, gateway6, dns6;
	unsigned prefix_len6;
	const char *search;             /* words for resolv.conf */
};

/* What runs inside; all have CAP_NET_ADMIN there. */
bool setup_loopback(struct err *err);
bool setup_interface(const struct setup *s, struct err *err);
/* Needs a mount namespace of its own. */
bool setup_resolver(const struct setup *s, struct err *err);

#endif
