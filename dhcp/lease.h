/* SPDX-License-Identifier: MIT */
/* Which client has which address: a fixed table, one entry per address of the pool.  DHCP and DHCPv6 have one each. */
#ifndef DHCP_LEASE_H
#define DHCP_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dhcp/dhcp.h"

enum { CLIENT_ID_MAX = 64 };

/*
 * The client identifier (option 61), or hardware type and address without one (RFC 2131 section 2); by DHCPv6 the
 * association and the client's DUID.
 */
struct client {
	uint8_t id[CLIENT_ID_MAX];
	uint8_t len;                    /* of what was sent; what exceeds CLIENT_ID_MAX is folded in */
};

enum lease_state { LEASE_FREE, LEASE_OFFERED, LEASE_BOUND, LEASE_DECLINED };

struct lease {
	uint8_t state;
	struct client client;           /* kept after expiry: the same client gets the same address again */
	uint64_t until_ns, used_ns;
};

struct lease_table {
	uint32_t first;                 /* host order; of IPv6 the last 32 bits */
	unsigned count;
	bool reserved[DHCP_LEASES_MAX]; /* not given out */
	struct lease leases[DHCP_LEASES_MAX];
};

/* Addresses from `first` to the last of the net, less the network's own. */
void lease_init(struct lease_table *t, const struct dhcp_config *c);
/* `count` addresses from `first`, or as many of them as there is room for. */
void lease_init_range(struct lease_table *t, uint32_t first, uint32_t count);
/* This one is not given out. */
void lease_reserve(struct lease_table *t, uint32_t address);
/* The client that these bytes tell from others. */
void client_set(struct client *c, const uint8_t *id, size_t len);
/* How many are offered, bound or declined now. */
unsigned lease_count(const struct lease_table *t, uint64_t now);
/* The entry that this client has or had; NULL if none. */
struct lease *lease_of(struct lease_table *t, const struct client *c);
/* The entry of an address; NULL if it is not in the pool. */
struct lease *lease_at(struct lease_table *t, uint32_t address);
/* Whether the client may have it now. */
bool lease_available(const struct lease *l, const struct client *c, uint64_t now);
/*
 * The best address for a new client: never used, else expired longest ago.  If all are taken (a flood: the pool is larger
 * than any such network), one that was only offered, else the one whose client was silent longest.  NULL: the pool is
 * empty.
 */
struct lease *lease_pick(struct lease_table *t, const struct client *c, uint64_t now);
/* Gives it to the client; whatever else the client had becomes free. */
void lease_set(struct lease_table *t, struct lease *l, const struct client *c, enum lease_state state, uint64_t now,
	       uint64_t until);
uint32_t lease_address(const struct lease_table *t, const struct lease *l);     /* host order */

#endif
