/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/fake_net.h"

static void say(struct fake_net *n, uint32_t dst, uint16_t sport, uint16_t dport, const char *text)
{
	uint8_t buf[200];

	guest_send(&n->guest, buf, guest_udp(&n->guest, buf, dst, sport, dport, text, strlen(text)));
}

static void one_socket_serves_all_destinations_of_a_port(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	int fd;

	say(n, NET_OUTSIDE, 5000, 7, "one");
	fd = n->sockets.last_open;
	assert_string_equal(fake_text(&fake_last_sent(&n->sockets, fd)->addr), "93.184.216.34:7");
	assert_memory_equal(fake_last_sent(&n->sockets, fd)->data, "one", 3);
	say(n, NET_HOST, 5000, 8, "two");
	assert_string_equal(fake_text(&fake_last_sent(&n->sockets, fd)->addr), "127.0.0.1:8");
	assert_int_equal(n->sockets.opened, 1);
	/* each answer shows its own sender, whatever was sent last */
	fake_peer_datagram(&n->sockets, fd, "93.184.216.34", 7, "re one", 6);
	fake_peer_datagram(&n->sockets, fd, "127.0.0.1", 8, "re two", 6);
	fake_peer_datagram(&n->sockets, fd, "198.51.100.9", 99, "stranger", 8);
	fake_net_run(n, 0);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.src, NET_OUTSIDE);
	assert_int_equal(p.sport, 7);
	assert_int_equal(p.dport, 5000);
	assert_memory_equal(p.data, "re one", 6);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.src, NET_HOST);
	assert_int_equal(p.sport, 8);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.src, 0xc6336409);
	assert_int_equal(p.data_len, 8);
}

static void idle_mappings_end_when_the_text_says(void **state)
{
	struct fake_net *n = *state;

	say(n, NET_OUTSIDE, 5000, 7, "unanswered");
	fake_net_run(n, S(29));
	assert_int_equal(n->sockets.open_count, 1);
	fake_net_run(n, S(2));
	assert_int_equal(n->sockets.open_count, 0);
	say(n, NET_OUTSIDE, 5000, 53, "dns");
	fake_net_run(n, S(11));
	assert_int_equal(n->sockets.open_count, 0);
	say(n, NET_OUTSIDE, 5000, 7, "answered");
	fake_peer_datagram(&n->sockets, n->sockets.last_open, "93.184.216.34", 7, "x", 1);
	fake_net_run(n, S(299));
	assert_int_equal(n->sockets.open_count, 1);
	say(n, NET_OUTSIDE, 5000, 7, "again");
	fake_net_run(n, S(299));
	assert_int_equal(n->sockets.open_count, 1);
	fake_net_run(n, S(2));
	assert_int_equal(n->sockets.open_count, 0);
}

static void a_flood_of_ports_is_bounded_and_service_goes_on(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;

	for (uint32_t i = 0; i < 100000; i++)
		say(n, NET_OUTSIDE, (uint16_t)(1 + i % 65535), 7, "x");
	assert_int_equal(n->sockets.open_count, 2048);
	n->sockets.open_limit = 2048;           /* and so when descriptors run out */
	say(n, NET_OUTSIDE, 65534, 7, "last");
	fake_peer_datagram(&n->sockets, n->sockets.last_open, "93.184.216.34", 7, "y", 1);
	fake_net_run(n, 0);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.dport, 65534);
	fake_net_run(n, S(400));
	assert_int_equal(n->sockets.open_count, 0);
}

static void ttl_is_carried_less_one(void **state)
{
	struct fake_net *n = *state;
	uint8_t buf[100];
	size_t len = guest_udp(&n->guest, buf, NET_OUTSIDE, 5000, 33434, "x", 1);

	buf[22] = 5;
	guest_fix_ip(buf);
	guest_send(&n->guest, buf, len);
	assert_int_equal(n->sockets.s[n->sockets.last_open].ttl, 4);
}

static void ttl_one_dies_at_the_gateway(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[100];
	size_t len = guest_udp(&n->guest, buf, NET_OUTSIDE, 5000, 33434, "probe", 5);

	buf[22] = 1;
	guest_fix_ip(buf);
	guest_send(&n->guest, buf, len);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type, 11);
	assert_int_equal(p.icmp_code, 0);
	assert_int_equal(p.src, NET_HOST);
	assert_memory_equal(p.data, buf + 14, 33);
	assert_int_equal(n->sockets.opened, 0);
}

static void icmp_errors_name_the_real_offender_and_quote_the_datagram(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	struct sock_error e = { .error = EHOSTUNREACH, .icmp = 4, .type = 11, .code = 0, .len = 5 };
	int fd;

	say(n, NET_OUTSIDE, 5000, 33434, "probe");
	fd = n->sockets.last_open;
	fake_address(&e.to, "93.184.216.34", 33434);
	fake_address(&e.offender, "203.0.113.1", 0);
	memcpy(e.data, "probe", 5);
	fake_peer_icmp(&n->sockets, fd, &e);
	fake_net_run(n, 0);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.src, 0xcb007101);
	assert_int_equal(p.icmp_type, 11);
	assert_int_equal(be32(p.data + 12), NET_GUEST);
	assert_int_equal(be32(p.data + 16), NET_OUTSIDE);
	assert_int_equal(be16(p.data + 20), 5000);
	assert_int_equal(be16(p.data + 22), 33434);
	assert_memory_equal(p.data + 28, "probe", 5);
	/* a closed port of the host's loopback looks like one of the gateway's */
	e.type = 3;
	e.code = 3;
	fake_address(&e.to, "127.0.0.1", 9);
	fake_address(&e.offender, "127.0.0.1", 0);
	fake_peer_icmp(&n->sockets, fd, &e);
	fake_net_run(n, 0);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.src, NET_HOST);
	assert_int_equal(p.icmp_code, 3);
	assert_int_equal(be32(p.data + 16), NET_HOST);
}

static void send_failures_become_icmp(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;

	say(n, NET_OUTSIDE, 5000, 7, "x");
	n->sockets.s[n->sockets.last_open].send_error = EMSGSIZE;
	say(n, NET_OUTSIDE, 5000, 7, "y");
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type, 3);
	assert_int_equal(p.icmp_code, 4);
}

static void a_long_answer_comes_in_fragments(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t data[8000], got[8100];
	size_t have = 0;
	int last = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	say(n, NET_OUTSIDE, 5000, 7, "x");
	fake_peer_datagram(&n->sockets, n->sockets.last_open, "93.184.216.34", 7, data, sizeof(data));
	fake_net_run(n, 0);
	while (guest_packet(&n->guest, &p)) {
		assert_true(p.frame->len <= 1514);
		assert_int_equal((p.fragment & 0x1fff) * 8, have);
		assert_false(last);
		memcpy(got + have, p.data, p.data_len);
		have += p.data_len;
		last = !(p.fragment & 0x2000);
	}
	assert_true(last);
	assert_int_equal(have, 8008);
	assert_memory_equal(got + 8, data, 8000);
	assert_int_equal(be16(got + 4), 8008);
}

static void fragments_from_the_guest_are_put_together(void **state)
{
	struct fake_net *n = *state;
	uint8_t whole[4200], buf[1600], data[4000];
	size_t len, at;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 3);
	len = guest_udp(&n->guest, whole, NET_OUTSIDE, 5000, 7, data, 4000) - 34;
	for (int order = 0; order < 2; order++) {
		for (int i = 0; i < 3; i++) {
			int k = order ? 2 - i : i;
			size_t part;

			at = (size_t)k * 1480;
			part = MIN(1480, len - at);
			memcpy(buf, whole, 34);
			memcpy(buf + 34, whole + 34 + at, part);
			put_be16(buf + 16, (uint16_t)(20 + part));
			put_be16(buf + 18, (uint16_t)(77 + order));
			put_be16(buf + 20, (uint16_t)(at / 8 | (k < 2 ? 0x2000 : 0)));
			guest_fix_ip(buf);
			guest_send(&n->guest, buf, 34 + part);
		}
		assert_int_equal(n->sockets.s[n->sockets.last_open].out_count, order + 1);
		assert_int_equal(fake_last_sent(&n->sockets, n->sockets.last_open)->len, 4000);
		assert_memory_equal(fake_last_sent(&n->sockets, n->sockets.last_open)->data, data, 4000);
	}
}

static void a_run_of_equal_datagrams_is_cut_up(void **state)
{
	struct fake_net *n = *state;
	uint8_t buf[6000], data[4500];
	size_t len;

	memset(data, 'x', sizeof(data));
	len = guest_udp(&n->guest, buf, NET_OUTSIDE, 5000, 7, data, sizeof(data));
	guest_send_facts(&n->guest, buf, len, &(struct frame){ .needs_csum = true, .gso = GSO_UDP_L4, .gso_size = 1400,
							       .csum_start = 34, .csum_offset = 6, .hdr_len = 42 });
	assert_int_equal(n->sockets.s[n->sockets.last_open].out_count, 4);
	assert_int_equal(fake_last_sent(&n->sockets, n->sockets.last_open)->len, 300);
}

static size_t build(struct fake_net *n, uint8_t *buf, uint32_t dst, uint16_t sport, uint16_t dport, const char *text)
{
	return guest_udp(&n->guest, buf, dst, sport, dport, text, strlen(text));
}

static void a_batch_of_datagrams_is_one_call_per_socket(void **state)
{
	struct fake_net *n = *state;
	static const char *const texts[] = { "aaaa", "aaaa", "aaaa", "aa", "bbbb", "aaaa", "", "other" };
	uint8_t bufs[16][100];
	struct frame frames[16];
	struct iovec iov[16];
	int fds[2];

	say(n, NET_OUTSIDE, 5000, 7, "x");
	fds[0] = n->sockets.last_open;
	say(n, NET_OUTSIDE, 5001, 7, "x");
	fds[1] = n->sockets.last_open;
	for (unsigned i = 0; i < 16; i++) {
		uint32_t dst = i / 2 == 5 ? NET_HOST : NET_OUTSIDE;

		iov[i] = (struct iovec){ bufs[i], build(n, bufs[i], dst, (uint16_t)(5000 + i % 2), 7, texts[i / 2]) };
		frames[i] = (struct frame){ .iov = &iov[i], .iov_count = 1, .len = (uint32_t)iov[i].iov_len };
	}
	assert_int_equal(port_send(&n->guest.port, frames, 16), 16);
	for (unsigned k = 0; k < 2; k++) {
		const struct fake_socket *s = &n->sockets.s[fds[k]];

		assert_int_equal(s->many_calls, 2);
		assert_int_equal(s->out_count, 9);
		/* equal ones to one place travel together, the last of them may be shorter */
		assert_int_equal(s->merged, 1);
		for (unsigned i = 0; i < 8; i++) {
			assert_int_equal(s->out[i + 1].len, strlen(texts[i]));
			assert_memory_equal(s->out[i + 1].data, texts[i], strlen(texts[i]));
			assert_string_equal(fake_text(&s->out[i + 1].addr), i == 5 ? "127.0.0.1:7" : "93.184.216.34:7");
		}
	}
}

static void an_error_in_a_batch_is_about_its_own_datagram(void **state)
{
	struct fake_net *n = *state;
	uint8_t bufs[3][100];
	struct frame frames[3];
	struct iovec iov[3];
	struct guest_packet p;
	int fd;

	say(n, NET_OUTSIDE, 5000, 7, "x");
	fd = n->sockets.last_open;
	for (unsigned i = 0; i < 3; i++) {
		iov[i] = (struct iovec){ bufs[i], build(n, bufs[i], NET_OUTSIDE, 5000, (uint16_t)(8 + i), "y") };
		frames[i] = (struct frame){ .iov = &iov[i], .iov_count = 1, .len = (uint32_t)iov[i].iov_len };
	}
	n->sockets.s[fd].send_error = EMSGSIZE;
	port_send(&n->guest.port, frames, 3);
	assert_int_equal(n->sockets.s[fd].out_count, 3);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_code, 4);
	assert_int_equal(be16(p.data + 22), 8);
	assert_false(guest_packet(&n->guest, &p));
	/* what an earlier datagram met is not about this one */
	n->sockets.s[fd].send_error = ECONNREFUSED;
	say(n, NET_OUTSIDE, 5000, 7, "x");
	assert_int_equal(n->sockets.s[fd].out_count, 4);
	assert_false(guest_packet(&n->guest, &p));
}

static void ttls_within_a_batch_are_each_datagrams_own(void **state)
{
	struct fake_net *n = *state;
	uint8_t bufs[3][100];
	struct frame frames[3];
	struct iovec iov[3];

	say(n, NET_OUTSIDE, 5000, 7, "x");
	for (unsigned i = 0; i < 3; i++) {
		iov[i] = (struct iovec){ bufs[i], build(n, bufs[i], NET_OUTSIDE, 5000, (uint16_t)(33434 + i), "probe") };
		bufs[i][22] = (uint8_t)(2 + i);
		guest_fix_ip(bufs[i]);
		frames[i] = (struct frame){ .iov = &iov[i], .iov_count = 1, .len = (uint32_t)iov[i].iov_len };
	}
	port_send(&n->guest.port, frames, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(n->sockets.s[n->sockets.last_open].out[1 + i].ttl, 1 + i);
}

static void what_the_host_merged_arrives_as_single_datagrams(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t data[5000];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 11);
	say(n, NET_OUTSIDE, 5000, 7, "x");
	for (unsigned segment = 1400; segment <= 2000; segment += 600) {        /* fits the MTU, does not */
		size_t have = 0, datagrams = 0;

		fake_peer_segments(&n->sockets, n->sockets.last_open, "93.184.216.34", 7, data, sizeof(data), (uint16_t)segment);
		fake_net_run(n, 0);
		while (guest_packet(&n->guest, &p)) {
			size_t header = p.fragment & 0x1fff ? 0 : 8;

			assert_true(p.frame->len <= 1514);
			datagrams += header != 0;
			if (header)
				assert_int_equal(be16(p.l4 + 4), 8 + MIN(segment, sizeof(data) - have));
			assert_memory_equal(data + have, p.l4 + header, p.data_len - (header && p.data != p.l4 + 8 ? 8 : 0));
			have += p.data_len - (header && p.data != p.l4 + 8 ? 8 : 0);
		}
		assert_int_equal(have, sizeof(data));
		assert_int_equal(datagrams, segment == 1400 ? 4 : 3);
	}
	assert_int_equal(n->guest.bad_checksums, 0);
}

static void broadcast_and_multicast_stay_inside(void **state)
{
	struct fake_net *n = *state;

	say(n, 0xffffffff, 5000, 7, "x");
	say(n, 0x0a0002ff, 5000, 7, "x");
	say(n, 0xe00000fb, 5353, 5353, "x");
	assert_int_equal(n->sockets.opened, 0);
	assert_int_equal(fake_net_counters(n).dropped_destination, 3);
}

static void a_full_card_leaves_datagrams_in_the_socket(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	unsigned got = 0;

	say(n, NET_OUTSIDE, 5000, 7, "x");
	n->guest.room = 0;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 60; i++)
			fake_peer_datagram(&n->sockets, n->sockets.last_open, "93.184.216.34", 7, "data", 4);
		fake_net_run(n, 0);
	}
	assert_true(n->sockets.s[n->sockets.last_open].in_count > 0);
	n->guest.room = SIZE_MAX;
	port_ready(&n->guest.port);
	fake_net_run(n, 0);
	while (guest_packet(&n->guest, &p))
		got++;
	assert_int_equal(got, 32 + 64);         /* one burst for the queue, and what the socket holds */
	assert_int_equal(n->sockets.s[n->sockets.last_open].in_count, 0);
	fake_peer_datagram(&n->sockets, n->sockets.last_open, "93.184.216.34", 7, "data", 4);
	fake_net_run(n, 0);
	assert_true(guest_packet(&n->guest, &p));
}

static void malformed_datagrams_are_dropped(void **state)
{
	struct fake_net *n = *state;
	uint8_t buf[100];
	size_t len;

	for (int way = 0; way < 5; way++) {
		len = guest_udp(&n->guest, buf, NET_OUTSIDE, way == 0 ? 0 : 5000, way == 1 ? 0 : 7, "x", 1);
		if (way == 2)
			put_be16(buf + 38, 7);
		if (way == 3)
			put_be16(buf + 38, 10);
		if (way == 4)
			buf[40] ^= 1;
		guest_send(&n->guest, buf, len);
	}
	assert_int_equal(fake_net_counters(n).dropped_malformed, 5);
	len = guest_udp(&n->guest, buf, NET_OUTSIDE, 5000, 7, "x", 1);
	put_be16(buf + 40, 0);          /* no checksum is allowed */
	guest_send(&n->guest, buf, len);
	assert_int_equal(n->sockets.opened, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_net_setup, fake_net_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_socket_serves_all_destinations_of_a_port),
		TEST(idle_mappings_end_when_the_text_says),
		TEST(a_flood_of_ports_is_bounded_and_service_goes_on),
		TEST(ttl_is_carried_less_one),
		TEST(ttl_one_dies_at_the_gateway),
		TEST(icmp_errors_name_the_real_offender_and_quote_the_datagram),
		TEST(send_failures_become_icmp),
		TEST(a_long_answer_comes_in_fragments),
		TEST(fragments_from_the_guest_are_put_together),
		TEST(a_run_of_equal_datagrams_is_cut_up),
		TEST(a_batch_of_datagrams_is_one_call_per_socket),
		TEST(an_error_in_a_batch_is_about_its_own_datagram),
		TEST(ttls_within_a_batch_are_each_datagrams_own),
		TEST(what_the_host_merged_arrives_as_single_datagrams),
		TEST(broadcast_and_multicast_stay_inside),
		TEST(a_full_card_leaves_datagrams_in_the_socket),
		TEST(malformed_datagrams_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
