/* SPDX-License-Identifier: MIT */
#include "tests/fake/tcp_bench.h"

#include <assert.h>
#include <stdlib.h>

static int setup_with(void **state, unsigned accepts)
{
	struct tcp_bench *b = calloc(1, sizeof(*b));

	assert(b);
	fake_net_init(&b->net, accepts);
	guest_tcp_init(&b->t, &b->net.guest, NET_OUTSIDE, 40000, 80);
	*state = b;
	return 0;
}

int tcp_bench_setup(void **state)
{
	return setup_with(state, 0);
}

int tcp_bench_setup_tso(void **state)
{
	return setup_with(state, PORT_CSUM | PORT_TSO4);
}

int tcp_bench_teardown(void **state)
{
	struct tcp_bench *b = *state;

	guest_tcp_free(&b->t);
	return fake_net_teardown(state);        /* the bench begins with its network */
}

void tcp_bench_open(struct tcp_bench *b)
{
	bool open = guest_tcp_open(&b->t);

	assert(open);
	(void)open;
	b->fd = b->net.sockets.last_open;
	fake_net_run(&b->net, 0);
}

struct fake_socket *tcp_bench_host(struct tcp_bench *b)
{
	return &b->net.sockets.s[b->fd];
}
