/* SPDX-License-Identifier: MIT */
/* A unet with a guest of frames on one side and the host's own sockets, clock and loop on the other. */
#ifndef TESTS_REAL_NET_H
#define TESTS_REAL_NET_H

#include "base/clock.h"
#include "base/loop.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_net.h"

struct real_net {
	struct clock *clock;
	struct loop *loop;
	struct unet *u;
	struct guest g;
};

/* For cmocka: *state is one, with a guest that is known (ARP) and whose card cuts long segments itself (_tso), or not. */
int real_net_setup(void **state);
int real_net_setup_tso(void **state);
int real_net_teardown(void **state);
/* Waits for the host, at most this long, and does what is due. */
void real_net_run(struct real_net *n, int ms);

#endif
