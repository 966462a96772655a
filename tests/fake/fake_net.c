/* SPDX-License-Identifier: MIT */
#include "tests/fake/fake_net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

static void random_bytes(void *owner, void *buf, size_t len)
{
	struct fake_net *n = owner;

	for (size_t i = 0; i < len; i++) {
		n->random = n->random * 6364136223846793005u + 1442695040888963407u;
		((uint8_t *)buf)[i] = (uint8_t)(n->random >> 33);
	}
}

void fake_net_config(struct fake_net *n, struct unet_config *c)
{
	memset(n, 0, sizeof(*n));
	fake_clock_init(&n->clock);
	n->clock.now = S(1000);
	fake_sockets_init(&n->sockets);
	n->random = 1;
	unet_config_defaults(c);
	c->clock = n->clock.clock;
	c->sockets = &fake_sockets_ops;
	c->sockets_owner = &n->sockets;
	c->random = random_bytes;
	c->random_owner = n;
}

bool fake_net_start(struct fake_net *n, const struct unet_config *c, unsigned accepts)
{
	uint8_t buf[64];
	struct err err;

	n->u = unet_new(c, &err);
	if (!n->u) {
		fprintf(stderr, "%s\n", err.text);
		return false;
	}
	guest_init(&n->guest, NET_GUEST, accepts);
	port_join(unet_port(n->u), &n->guest.port);
	guest_send(&n->guest, buf, guest_arp(&n->guest, buf, 1, NET_GUEST, NET_HOST));
	guest_forget(&n->guest);
	return true;
}

void fake_net_init(struct fake_net *n, unsigned accepts)
{
	struct unet_config c;
	bool ok;

	fake_net_config(n, &c);
	ok = fake_net_start(n, &c, accepts);
	assert(ok);
	(void)ok;
}

void fake_net_free(struct fake_net *n)
{
	if (n->u) {
		guest_free(&n->guest);
		unet_free(n->u);
	}
	assert(n->sockets.open_count == 0);
	assert(clock_deadline(n->clock.clock) == CLOCK_NEVER);
	fake_sockets_free(&n->sockets);
	fake_clock_free(&n->clock);
}

void fake_net_run(struct fake_net *n, uint64_t ns)
{
	fake_sockets_poll(&n->sockets, 1000);
	while (ns) {
		uint64_t step = MIN(ns, MS(10));

		fake_clock_advance(&n->clock, step);
		fake_sockets_poll(&n->sockets, 1000);
		ns -= step;
	}
}

struct unet_counters fake_net_counters(struct fake_net *n)
{
	struct unet_counters c;

	unet_get_counters(n->u, &c);
	return c;
}
