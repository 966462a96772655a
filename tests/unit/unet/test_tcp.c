/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/tcp_bench.h"

static void guest_close_then_host_close(void **state)
{
	struct tcp_bench *b = *state;

	tcp_bench_open(b);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, "bye", 3);
	assert_int_equal(tcp_bench_host(b)->sent_len, 3);
	assert_true(tcp_bench_host(b)->shut);
	fake_peer_sends(&b->net.sockets, b->fd, "rest", 4);     /* half open */
	fake_net_run(&b->net, MS(10));
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.got_len, 4);
	assert_false(b->t.fin_seen);
	fake_peer_closes(&b->net.sockets, b->fd);
	fake_net_run(&b->net, MS(10));
	guest_tcp_run(&b->t);
	assert_true(b->t.fin_seen);
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_int_equal(b->net.sockets.resets, 0);
	fake_net_run(&b->net, S(10));
	guest_tcp_run(&b->t);
	assert_false(b->t.reset);
}

static void host_close_then_guest_close(void **state)
{
	struct tcp_bench *b = *state;

	tcp_bench_open(b);
	fake_peer_sends(&b->net.sockets, b->fd, "rest", 4);
	fake_peer_closes(&b->net.sockets, b->fd);
	fake_net_run(&b->net, 0);
	guest_tcp_run(&b->t);
	assert_true(b->t.fin_seen);
	guest_tcp_send(&b->t, TCP_ACK_, "more", 4);
	assert_int_equal(tcp_bench_host(b)->sent_len, 4);
	fake_net_run(&b->net, S(100));          /* half closed for long */
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, "end", 3);
	assert_int_equal(b->net.sockets.s[b->fd].sent_len, 7);
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_int_equal(b->net.sockets.resets, 0);
}

static void both_close_at_once(void **state)
{
	struct tcp_bench *b = *state;

	tcp_bench_open(b);
	b->t.no_ack = true;
	fake_peer_closes(&b->net.sockets, b->fd);
	fake_net_run(&b->net, 0);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, NULL, 0);    /* crosses unet's FIN */
	guest_tcp_run(&b->t);
	guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);
	fake_net_run(&b->net, S(1));
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_int_equal(b->net.sockets.resets, 0);
}

static void data_before_the_hosts_close_survives_a_slow_guest(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t *data = guest_pattern(200000);

	b->t.window = 3000;
	tcp_bench_open(b);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, NULL, 0);    /* the guest only listens from now on */
	fake_peer_sends(&b->net.sockets, b->fd, data, 200000);
	fake_peer_closes(&b->net.sockets, b->fd);
	for (int i = 0; i < 200 && !b->t.fin_seen; i++) {
		fake_net_run(&b->net, S(3));
		guest_tcp_run(&b->t);
	}
	assert_int_equal(b->t.got_len, 200000);
	assert_memory_equal(b->t.got, data, 200000);
	assert_true(b->t.fin_seen);
	assert_false(b->t.reset);
	free(data);
}

/* The network goes away, as at the end of tenbox-net's command. */
static void what_was_said_to_the_end_is_not_reset_when_the_network_ends(void **state)
{
	struct tcp_bench *b = *state;
	struct guest_tcp open;

	tcp_bench_open(b);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_PSH_, "bye", 3);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, NULL, 0);
	fake_net_run(&b->net, 0);
	guest_tcp_init(&open, &b->net.guest, NET_OUTSIDE, 40001, 80);
	assert_true(guest_tcp_open(&open));
	fake_net_run(&b->net, 0);
	assert_true(tcp_bench_host(b)->shut);
	guest_tcp_free(&open);
	guest_free(&b->net.guest);
	unet_free(b->net.u);
	b->net.u = NULL;
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_int_equal(b->net.sockets.resets, 1);     /* of the one that was in the middle of it */
}

static void guest_reset_resets_the_host(void **state)
{
	struct tcp_bench *b = *state;

	tcp_bench_open(b);
	guest_tcp_send(&b->t, TCP_RST_, NULL, 0);
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_true(b->net.sockets.last_closed_reset);
}

static void host_reset_resets_the_guest(void **state)
{
	struct tcp_bench *b = *state;

	tcp_bench_open(b);
	fake_peer_resets(&b->net.sockets, b->fd);
	fake_net_run(&b->net, 0);
	guest_tcp_run(&b->t);
	assert_true(b->t.reset);
	assert_int_equal(b->net.sockets.open_count, 0);
}

static void a_reset_outside_of_the_window_is_ignored(void **state)
{
	struct tcp_bench *b = *state;

	tcp_bench_open(b);
	guest_tcp_send_at(&b->t, b->t.snd_nxt + 0x40000000, TCP_RST_, NULL, 0);
	assert_int_equal(b->net.sockets.open_count, 1);
	guest_tcp_send(&b->t, TCP_ACK_, "x", 1);
	assert_int_equal(tcp_bench_host(b)->sent_len, 1);
}

static void what_the_guest_said_before_closing_reaches_a_slow_host(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t *data = guest_pattern(20000);

	tcp_bench_open(b);
	tcp_bench_host(b)->send_space = 0;
	for (int i = 0; i < 20; i++)
		guest_tcp_send(&b->t, TCP_ACK_, data + i * 1000, 1000);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, NULL, 0);
	fake_peer_closes(&b->net.sockets, b->fd);
	fake_net_run(&b->net, S(30));
	guest_tcp_run(&b->t);
	fake_net_run(&b->net, S(30));           /* the guest's side is over by now */
	assert_int_equal(b->net.sockets.open_count, 1);
	assert_false(tcp_bench_host(b)->shut);
	tcp_bench_host(b)->send_space = SIZE_MAX;
	fake_net_run(&b->net, S(1));
	assert_int_equal(b->net.sockets.s[b->fd].sent_len, 20000);
	assert_memory_equal(b->net.sockets.s[b->fd].sent, data, 20000);
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_int_equal(b->net.sockets.resets, 0);
	free(data);
}

static void the_same_ports_serve_again_after_each_way_of_closing(void **state)
{
	struct tcp_bench *b = *state;

	for (int way = 0; way < 4; way++) {
		guest_tcp_free(&b->t);
		guest_tcp_init(&b->t, &b->net.guest, NET_OUTSIDE, 40000, 80);
		b->t.snd_nxt = (uint32_t)(1000000 * (way + 1));
		assert_true(guest_tcp_open(&b->t));
		b->fd = b->net.sockets.last_open;
		fake_net_run(&b->net, 0);
		switch (way) {
		case 0:                 /* the host first: TIME_WAIT is unet's */
			fake_peer_closes(&b->net.sockets, b->fd);
			fake_net_run(&b->net, 0);
			guest_tcp_run(&b->t);
			guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, NULL, 0);
			break;
		case 1:
			guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, NULL, 0);
			fake_peer_closes(&b->net.sockets, b->fd);
			fake_net_run(&b->net, 0);
			guest_tcp_run(&b->t);
			break;
		case 2:
			guest_tcp_send(&b->t, TCP_RST_, NULL, 0);
			break;
		case 3:
			fake_peer_resets(&b->net.sockets, b->fd);
			fake_net_run(&b->net, 0);
			break;
		}
		guest_forget(&b->net.guest);
		assert_int_equal(b->net.sockets.open_count, 0);
	}
}

/* --- long silence, full tables ------------------------------------------------------------------------------------ */

static void an_idle_connection_lives_as_long_as_the_guest_answers(void **state)
{
	struct tcp_bench *b = *state;
	unsigned probes = 0;

	tcp_bench_open(b);
	assert_true(tcp_bench_host(b)->keepalive);
	for (int i = 0; i < 4 * 60 * 9; i++) {          /* nine hours */
		fake_clock_advance(&b->net.clock, S(15));
		if (!guest_tcp_run(&b->t))
			continue;
		probes++;
		guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);
	}
	assert_int_equal(probes, 4);
	assert_false(b->t.reset);
	assert_int_equal(b->net.sockets.open_count, 1);
	guest_tcp_send(&b->t, TCP_ACK_, "still here", 10);
	assert_int_equal(tcp_bench_host(b)->sent_len, 10);
	fake_net_run(&b->net, MS(2));
	guest_tcp_run(&b->t);
	/* one that does not answer is forgotten, and the host told */
	probes = 0;
	for (int i = 0; i < 4 * 60 * 3; i++) {
		fake_clock_advance(&b->net.clock, S(15));
		probes += guest_tcp_run(&b->t);
	}
	assert_int_equal(probes, 9 + 1);        /* and a reset, should it come back */
	assert_true(b->t.reset);
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_true(b->net.sockets.last_closed_reset);
}

/* Its address by DHCP, as after a start, and then the first question by ARP. */
static void start_guest(struct tcp_bench *b)
{
	uint8_t buf[600], m[300] = { 1, 1, 6, 0, 1, 2, 3, 4 };

	memcpy(m + 28, b->net.guest.mac, 6);
	memcpy(m + 236, "\x63\x82\x53\x63\x35\1\3\x32\4\x0a\0\2\x0f\xff", 14);        /* REQUEST for 10.0.2.15 */
	b->net.guest.ip = 0;
	guest_send(&b->net.guest, buf, guest_udp(&b->net.guest, buf, 0xffffffff, 68, 67, m, sizeof(m)));
	b->net.guest.ip = NET_GUEST;
	assert_int_equal(guest_tcp_run(&b->t), 0);
	guest_send(&b->net.guest, buf, guest_arp(&b->net.guest, buf, 1, NET_GUEST, NET_HOST));
}

static void a_guest_that_was_started_anew_is_asked_about_its_connections(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t buf[100];

	tcp_bench_open(b);
	start_guest(b);
	assert_int_equal(guest_tcp_run(&b->t), 1);
	guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);       /* it goes on */
	assert_int_equal(b->net.sockets.open_count, 1);
	guest_send(&b->net.guest, buf, guest_arp(&b->net.guest, buf, 1, NET_GUEST, NET_HOST));
	assert_int_equal(guest_tcp_run(&b->t), 0);
	start_guest(b);
	assert_int_equal(guest_tcp_run(&b->t), 1);
	guest_tcp_send(&b->t, TCP_RST_, NULL, 0);       /* it knows of none */
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_true(b->net.sockets.last_closed_reset);
}

static void a_flood_of_syns_stays_within_its_limits(void **state)
{
	struct tcp_bench *b = *state;
	struct guest_tcp t;
	int most = 0;

	b->net.sockets.connect_result = -EINPROGRESS;
	guest_tcp_init(&t, &b->net.guest, NET_OUTSIDE, 1, 1);
	for (uint32_t i = 0; i < 100000; i++) {
		t.port = (uint16_t)(1 + i % 60000);
		t.far_port = (uint16_t)(1000 + i / 60000);
		guest_tcp_send(&t, TCP_SYN_, NULL, 0);
		most = MAX(most, b->net.sockets.open_count);
	}
	assert_int_equal(most, 512);
	b->net.sockets.connect_result = 0;
	tcp_bench_open(b);                     /* and service goes on */
	guest_tcp_send(&b->t, TCP_ACK_, "x", 1);
	assert_int_equal(tcp_bench_host(b)->sent_len, 1);
	fake_net_run(&b->net, S(200));
	assert_int_equal(b->net.sockets.open_count, 1);
	guest_tcp_free(&t);
}

static void a_full_table_evicts_the_connection_that_was_idle_longest(void **state)
{
	struct tcp_bench *b = *state;
	struct guest_tcp t;

	tcp_bench_open(b);
	guest_tcp_init(&t, &b->net.guest, NET_OUTSIDE, 1, 1);
	for (uint32_t i = 0; i < 5000; i++) {
		t.port = (uint16_t)(1 + i);
		t.syn_ack_seen = false;
		assert_true(guest_tcp_open(&t));
		if (i % 1000 == 0)
			fake_net_run(&b->net, MS(10));
		if (i < 4000)
			guest_tcp_send(&b->t, TCP_ACK_, "x", 1);        /* in use: it stays */
	}
	assert_int_equal(b->net.sockets.open_count, 4096);
	assert_true(fake_net_counters(&b->net).tcp_evicted >= 900);
	assert_true(tcp_bench_host(b)->open);
	assert_int_equal(tcp_bench_host(b)->sent_len, 4000);
	guest_tcp_free(&t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tcp_bench_setup, tcp_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_idle_connection_lives_as_long_as_the_guest_answers),
		TEST(a_guest_that_was_started_anew_is_asked_about_its_connections),
		TEST(guest_close_then_host_close),
		TEST(host_close_then_guest_close),
		TEST(both_close_at_once),
		TEST(data_before_the_hosts_close_survives_a_slow_guest),
		TEST(what_was_said_to_the_end_is_not_reset_when_the_network_ends),
		TEST(guest_reset_resets_the_host),
		TEST(host_reset_resets_the_guest),
		TEST(a_reset_outside_of_the_window_is_ignored),
		TEST(what_the_guest_said_before_closing_reaches_a_slow_host),
		TEST(the_same_ports_serve_again_after_each_way_of_closing),
		TEST(a_flood_of_syns_stays_within_its_limits),
		TEST(a_full_table_evicts_the_connection_that_was_idle_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
