/* SPDX-License-Identifier: MIT */
/*
 * A mapping: an endpoint of the guest's (a UDP port, an echo identifier) that owns a datagram socket of the host's.
 * What udp.c and icmp.c share.
 */
#ifndef UNET_MAPPING_H
#define UNET_MAPPING_H

#include "unet/stack.h"

struct mapping {
	struct flow flow;
	struct unet *u;
	struct flow_table *table;
	int fd;
	uint8_t ttl;                    /* of what is sent; 0: the host's default */
	struct loop_fd watch;
	struct mapping *next_paused, **paused_link;     /* NULL: not paused */
	struct addr last_to;            /* for info usernet */
	uint16_t last_port;
	uint64_t opened_ns, to_host, to_guest;  /* and bytes */
};

bool mappings_init(struct unet *u, struct flow_table *t, uint32_t limit);
/* Takes fd, and calls `readable` with the mapping.  NULL, fd closed, if it can't be watched.  The table has room. */
struct mapping *mapping_new(struct unet *u, struct flow_table *t, const struct flow_key *key, unsigned list, int fd,
			    void (*readable)(void *owner, unsigned events));
void mapping_close(struct mapping *m);
/* What is sent next has passed us: its TTL is the guest's less one. */
void mapping_pass_ttl(struct mapping *m, uint8_t guest_ttl);
/* The port is full: what comes stays in the socket until mappings_resume(). */
void mapping_pause(struct mapping *m);

#endif
