/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/tcp_bench.h"

static void syn_waits_for_the_hosts_connect(void **state)
{
	struct tcp_bench *b = *state;

	b->net.sockets.connect_result = -EINPROGRESS;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	fake_net_run(&b->net, S(1));
	assert_int_equal(guest_tcp_run(&b->t), 0);
	b->fd = b->net.sockets.last_open;
	assert_string_equal(fake_text(&tcp_bench_host(b)->peer), "93.184.216.34:80");
	/* retransmitted SYNs start no second connect */
	guest_tcp_send_at(&b->t, b->t.snd_nxt - 1, TCP_SYN_, NULL, 0);
	fake_net_run(&b->net, S(1));
	assert_int_equal(b->net.sockets.opened, 1);
	assert_int_equal(guest_tcp_run(&b->t), 0);
	fake_connect_done(&b->net.sockets, b->fd, 0);
	fake_net_run(&b->net, 0);
	assert_int_equal(guest_tcp_run(&b->t), 1);
	assert_true(b->t.syn_ack_seen);
	assert_int_equal(b->t.snd_una, b->t.snd_nxt);
	assert_int_equal(b->t.far_mss, 1460);
	assert_true(b->t.far_scale >= 0);
}

static void refused_connect_resets_the_guest(void **state)
{
	struct tcp_bench *b = *state;
	struct guest_packet p;

	b->net.sockets.connect_result = -ECONNREFUSED;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	assert_true(guest_packet(&b->net.guest, &p));
	assert_int_equal(p.flags, TCP_RST_ | TCP_ACK_);
	assert_int_equal(p.seq, 0);
	assert_int_equal(p.ack, b->t.snd_nxt);
	assert_int_equal(p.src, NET_OUTSIDE);
	assert_int_equal(b->net.sockets.open_count, 0);
}

static void unreachable_host_gives_an_icmp_error_that_quotes_the_syn(void **state)
{
	static const struct { int error; int code; } cases[] = {
		{ EHOSTUNREACH, 1 }, { ENETUNREACH, 0 }, { EACCES, 13 }, { ETIMEDOUT, 1 }, { EPERM, 13 },
	};
	struct tcp_bench *b = *state;
	struct guest_packet p;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		b->net.sockets.connect_result = -EINPROGRESS;
		guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
		fake_connect_done(&b->net.sockets, b->net.sockets.last_open, cases[i].error);
		fake_net_run(&b->net, 0);
		assert_true(guest_packet(&b->net.guest, &p));
		assert_int_equal(p.protocol, 1);
		assert_int_equal(p.src, NET_HOST);
		assert_int_equal(p.icmp_type, 3);
		assert_int_equal(p.icmp_code, cases[i].code);
		assert_int_equal(be32(p.data + 12), NET_GUEST);
		assert_int_equal(be32(p.data + 16), NET_OUTSIDE);
		assert_int_equal(be16(p.data + 20), 40000);
		assert_int_equal(be16(p.data + 22), 80);
		assert_int_equal(be32(p.data + 24), b->t.snd_nxt - 1);
		assert_false(guest_packet(&b->net.guest, &p));
		assert_int_equal(b->net.sockets.open_count, 0);
	}
}

static void a_traced_connect_carries_the_ttl_and_names_the_router_that_dropped_it(void **state)
{
	struct tcp_bench *b = *state;
	struct sock_error e = { .error = EHOSTUNREACH, .icmp = 4, .type = 11, .code = 0 };
	struct guest_packet p;
	uint8_t buf[100];
	size_t n = guest_tcp_build(&b->t, buf, 1000, TCP_SYN_, NULL, 0, NULL, 0);

	b->net.sockets.connect_result = -EINPROGRESS;
	buf[22] = 5;
	guest_fix_ip(buf);
	guest_send(&b->net.guest, buf, n);
	b->fd = b->net.sockets.last_open;
	assert_int_equal(tcp_bench_host(b)->ttl, 4);
	fake_address(&e.to, "93.184.216.34", 80);
	fake_address(&e.offender, "203.0.113.1", 0);
	fake_peer_icmp(&b->net.sockets, b->fd, &e);
	fake_connect_done(&b->net.sockets, b->fd, EHOSTUNREACH);
	fake_net_run(&b->net, 0);
	assert_true(guest_packet(&b->net.guest, &p));
	assert_int_equal(p.src, 0xcb007101);
	assert_int_equal(p.icmp_type, 11);
	assert_int_equal(be16(p.data + 20), 40000);
	/* one that gets through has the usual TTL from then on, and an ordinary one from the start */
	guest_send(&b->net.guest, buf, n);
	b->fd = b->net.sockets.last_open;
	assert_int_equal(tcp_bench_host(b)->ttl, 4);
	fake_connect_done(&b->net.sockets, b->fd, 0);
	fake_net_run(&b->net, 0);
	assert_int_equal(tcp_bench_host(b)->ttl, -1);
	b->t.port++;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	assert_int_equal(b->net.sockets.s[b->net.sockets.last_open].ttl, 0);
}

static void guest_reset_cancels_the_connect(void **state)
{
	struct tcp_bench *b = *state;

	b->net.sockets.connect_result = -EINPROGRESS;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	assert_int_equal(b->net.sockets.open_count, 1);
	guest_tcp_send(&b->t, TCP_RST_, NULL, 0);
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_int_equal(guest_tcp_run(&b->t), 0);
}

static void new_sequence_number_replaces_the_waiting_syn(void **state)
{
	struct tcp_bench *b = *state;

	b->net.sockets.connect_result = -EINPROGRESS;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	b->t.snd_nxt = 5000;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	assert_int_equal(b->net.sockets.opened, 1);
	fake_connect_done(&b->net.sockets, b->net.sockets.last_open, 0);
	fake_net_run(&b->net, 0);
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.snd_una, 5001);
}

static void gateway_is_the_hosts_loopback(void **state)
{
	struct tcp_bench *b = *state;

	b->t.far = NET_HOST;
	tcp_bench_open(b);
	assert_string_equal(fake_text(&tcp_bench_host(b)->peer), "127.0.0.1:80");
	assert_false(tcp_bench_host(b)->keepalive);     /* it can't vanish without a word */
}

static void handshake_left_undone_closes_the_host_side(void **state)
{
	struct tcp_bench *b = *state;

	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	assert_int_equal(b->net.sockets.open_count, 1);
	fake_net_run(&b->net, S(40));
	assert_int_equal(b->net.sockets.open_count, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tcp_bench_setup, tcp_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(syn_waits_for_the_hosts_connect),
		TEST(refused_connect_resets_the_guest),
		TEST(unreachable_host_gives_an_icmp_error_that_quotes_the_syn),
		TEST(a_traced_connect_carries_the_ttl_and_names_the_router_that_dropped_it),
		TEST(guest_reset_cancels_the_connect),
		TEST(new_sequence_number_replaces_the_waiting_syn),
		TEST(gateway_is_the_hosts_loopback),
		TEST(handshake_left_undone_closes_the_host_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
