/* SPDX-License-Identifier: MIT */
#include "tests/fake/real_net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static int setup_with(void **state, unsigned accepts)
{
	struct real_net *n = calloc(1, sizeof(*n));
	struct unet_config c;
	struct err err;
	uint8_t buf[64];

	assert(n);
	n->clock = clock_new(&(struct clock_config){ .now = clock_monotonic });
	n->loop = loop_new();
	unet_config_defaults(&c);
	c.clock = n->clock;
	c.loop = n->loop;
	n->u = unet_new(&c, &err);
	if (!n->u) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	guest_init(&n->g, NET_GUEST, accepts);
	port_join(unet_port(n->u), &n->g.port);
	guest_send(&n->g, buf, guest_arp(&n->g, buf, 1, NET_GUEST, NET_HOST));
	guest_forget(&n->g);
	*state = n;
	return 0;
}

int real_net_setup(void **state)
{
	return setup_with(state, 0);
}

int real_net_setup_tso(void **state)
{
	return setup_with(state, PORT_CSUM | PORT_TSO4);
}

int real_net_teardown(void **state)
{
	struct real_net *n = *state;
	unsigned bad = n->g.bad_checksums;

	guest_free(&n->g);
	unet_free(n->u);
	loop_free(n->loop);
	clock_free(n->clock);
	free(n);
	if (bad)
		fprintf(stderr, "%u wrong checksums\n", bad);
	return bad ? -1 : 0;
}

void real_net_run(struct real_net *n, int ms)
{
	loop_poll(n->loop, MS((uint64_t)ms));
	clock_run(n->clock);
}
