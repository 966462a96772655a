/* SPDX-License-Identifier: MIT */
#include "tests/fake/fake_net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

const uint8_t net6_host[16] = { 0xfe, 0xc0, [15] = 2 }, net6_dns[16] = { 0xfe, 0xc0, [15] = 3 };
const uint8_t net6_link_host[16] = { 0xfe, 0x80, [15] = 2 }, net6_link_dns[16] = { 0xfe, 0x80, [15] = 3 };
const uint8_t net6_outside[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 0x22 };
const uint8_t net6_all_nodes[16] = { 0xff, 2, [15] = 1 }, net6_all_routers[16] = { 0xff, 2, [15] = 2 };

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

struct fake_net *fake_net_new(struct unet_config *c)
{
	struct fake_net *n = malloc(sizeof(*n));

	assert(n);
	fake_net_config(n, c);
	return n;
}

int fake_net_setup(void **state)
{
	struct unet_config c;
	struct fake_net *n = *state = fake_net_new(&c);

	return fake_net_start(n, &c, 0) ? 0 : -1;
}

int fake_net_teardown(void **state)
{
	struct fake_net *n = *state;
	unsigned bad = n->guest.bad_checksums;

	fake_net_free(n);
	free(n);
	if (bad)
		fprintf(stderr, "%u wrong checksums\n", bad);
	return bad ? -1 : 0;
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
