/* SPDX-License-Identifier: MIT */
/* A unet with a guest on one side, a simulated host on the other, and a clock moved by hand. */
#ifndef TESTS_FAKE_NET_H
#define TESTS_FAKE_NET_H

#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_sockets.h"
#include "unet/unet.h"

enum { NET_HOST = 0x0a000202, NET_DNS = 0x0a000203, NET_GUEST = 0x0a00020f, NET_OUTSIDE = 0x5db8d822 /* 93.184.216.34 */ };

extern const uint8_t net6_host[16], net6_dns[16], net6_link_host[16], net6_link_dns[16], net6_outside[16];
extern const uint8_t net6_all_nodes[16], net6_all_routers[16];

struct fake_net {
	struct fake_clock clock;
	struct fake_sockets sockets;
	struct guest guest;
	struct unet *u;
	uint64_t random;
};

/* The configuration that fake_net_start uses: change it in between. */
void fake_net_config(struct fake_net *n, struct unet_config *c);
/* Starts with a guest that is known (ARP); accepts: the guest's PORT_ bits. */
bool fake_net_start(struct fake_net *n, const struct unet_config *c, unsigned accepts);
/* Both of the above, with defaults. */
void fake_net_init(struct fake_net *n, unsigned accepts);
void fake_net_free(struct fake_net *n);
/* One that fake_net_teardown frees, for fake_net_start(). */
struct fake_net *fake_net_new(struct unet_config *c);
/* For cmocka: *state is one with defaults.  Whatever the test did, all checksums must have been right. */
int fake_net_setup(void **state);
int fake_net_teardown(void **state);
/* Runs sockets and time: ns of it, in steps of at most 10 ms. */
void fake_net_run(struct fake_net *n, uint64_t ns);
struct unet_counters fake_net_counters(struct fake_net *n);

#endif
