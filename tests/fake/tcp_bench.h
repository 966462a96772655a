/* SPDX-License-Identifier: MIT */
/* One TCP connection from the guest to 93.184.216.34:80, with both its ends in the test's hand. */
#ifndef TESTS_TCP_BENCH_H
#define TESTS_TCP_BENCH_H

#include "tests/fake/fake_net.h"

struct tcp_bench {
	struct fake_net net;
	struct guest_tcp t;
	int fd;                         /* the host's end */
};

/* For cmocka: *state is a bench; the guest's card cuts long segments itself (_tso), or not. */
int tcp_bench_setup(void **state);
int tcp_bench_setup_tso(void **state);
int tcp_bench_teardown(void **state);
/* Opens the connection. */
void tcp_bench_open(struct tcp_bench *b);
struct fake_socket *tcp_bench_host(struct tcp_bench *b);

#endif
