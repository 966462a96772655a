/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/tcp_bench.h"

static void port_zero_and_bad_checksums_are_dropped(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t buf[200];
	size_t n;

	b->t.far_port = 0;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	b->t.far_port = 80;
	b->t.port = 0;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	b->t.port = 1;
	n = guest_tcp_build(&b->t, buf, 1, TCP_SYN_, NULL, 0, NULL, 0);
	buf[50] ^= 1;
	guest_send(&b->net.guest, buf, n);
	assert_int_equal(b->net.sockets.opened, 0);
	assert_int_equal(fake_net_counters(&b->net).dropped_malformed, 3);
}

static void a_segment_of_no_connection_is_reset(void **state)
{
	struct tcp_bench *b = *state;
	struct guest_packet p;

	b->t.rcv_nxt = 77;
	guest_tcp_send(&b->t, TCP_ACK_, "x", 1);
	assert_true(guest_packet(&b->net.guest, &p));
	assert_int_equal(p.flags & TCP_RST_, TCP_RST_);
	assert_int_equal(p.seq, 77);
	guest_tcp_send(&b->t, TCP_RST_, NULL, 0);
	assert_false(guest_packet(&b->net.guest, &p));
}

static void a_syn_in_the_last_step_of_the_handshake_is_no_byte_of_the_stream(void **state)
{
	struct tcp_bench *b = *state;

	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	guest_tcp_run(&b->t);
	b->fd = b->net.sockets.last_open;
	guest_tcp_send_at(&b->t, b->t.snd_nxt, TCP_SYN_ | TCP_ACK_, "hello", 5);
	guest_tcp_send(&b->t, TCP_ACK_, "hello", 5);
	assert_int_equal(tcp_bench_host(b)->sent_len, 5);
	assert_memory_equal(tcp_bench_host(b)->sent, "hello", 5);
}

static void urgent_pointers_that_lie_are_ignored(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t data[100] = { 1 };

	tcp_bench_open(b);
	b->t.urgent = 0xffff;
	for (int i = 0; i < 20; i++)
		guest_tcp_send_at(&b->t, b->t.snd_nxt + (uint32_t)i * 0x10000000u, TCP_ACK_ | TCP_URG_, NULL, 0);
	b->t.urgent = 1;
	guest_tcp_send_at(&b->t, b->t.snd_nxt - 5000, TCP_ACK_ | TCP_URG_, data, 100);
	guest_tcp_send(&b->t, TCP_ACK_, data, 100);
	assert_int_equal(tcp_bench_host(b)->sent_len, 100);
	assert_int_equal(tcp_bench_host(b)->urgent_sent, 0);
}

static size_t complaint(struct tcp_bench *b, uint8_t *buf, uint8_t code, uint16_t mtu, const uint8_t *about)
{
	return guest_icmp(&b->net.guest, buf, NET_OUTSIDE, 3, code, mtu, about, 28);
}

static void a_guest_that_finds_a_segment_too_big_gets_smaller_ones(void **state)
{
	struct tcp_bench *b = *state;
	struct guest_packet p;
	uint8_t *data = guest_pattern(50000), buf[100], lie[28];
	size_t n;

	b->t.window = 1 << 20;
	tcp_bench_open(b);
	fake_peer_sends(&b->net.sockets, b->fd, data, 20000);
	fake_net_run(&b->net, 0);
	assert_true(guest_packet(&b->net.guest, &p));
	/* about a segment that is not in flight: ignored */
	memcpy(lie, p.ip, 28);
	put_be32(lie + 24, p.seq + 1000000);
	n = complaint(b, buf, 4, 700, lie);
	guest_send(&b->net.guest, buf, n);
	n = complaint(b, buf, 4, 1000, p.ip);
	guest_send(&b->net.guest, buf, n);
	guest_forget(&b->net.guest);            /* they were lost on the narrow link */
	fake_peer_sends(&b->net.sockets, b->fd, data + 20000, 30000);
	b->t.largest = 0;
	for (int i = 0; i < 100 && b->t.got_len < 50000; i++) {
		fake_net_run(&b->net, MS(100));
		guest_tcp_run(&b->t);
	}
	assert_int_equal(b->t.got_len, 50000);
	assert_memory_equal(b->t.got, data, 50000);
	if (b->net.guest.port.accepts) {
		fake_peer_sends(&b->net.sockets, b->fd, data, 3000);
		fake_net_run(&b->net, 0);
		assert_true(guest_packet(&b->net.guest, &p));
		assert_int_equal(p.frame->facts.gso_size, 960);
	} else {
		assert_int_equal(b->t.largest, 960);
	}
	free(data);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tcp_bench_setup, tcp_bench_teardown)
#define TEST_TSO(f) cmocka_unit_test_setup_teardown(f, tcp_bench_setup_tso, tcp_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_TSO(a_guest_that_finds_a_segment_too_big_gets_smaller_ones),
		TEST(a_guest_that_finds_a_segment_too_big_gets_smaller_ones),
		TEST(a_syn_in_the_last_step_of_the_handshake_is_no_byte_of_the_stream),
		TEST(urgent_pointers_that_lie_are_ignored),
		TEST(port_zero_and_bad_checksums_are_dropped),
		TEST(a_segment_of_no_connection_is_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
