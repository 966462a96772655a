/* SPDX-License-Identifier: MIT */
/* TCP, UDP and names over IPv6, where they differ from IPv4. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/fake/fake_net.h"

enum { ETH = 14, IP6 = 40, HEADERS = ETH + IP6 };

static void the_gateway_is_the_hosts_loopback(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t buf[200];
	int fd;

	guest_tcp_init6(&t, &n->guest, net6_host, 1000, 8000);
	assert_true(guest_tcp_open(&t));
	assert_int_equal(t.far_mss, 1440);
	fd = fake_find(&n->sockets, "[::1]:8000");
	assert_true(fd > 0);
	guest_tcp_send(&t, TCP_ACK_ | TCP_PSH_, "request", 7);
	assert_memory_equal(n->sockets.s[fd].sent, "request", 7);
	fake_peer_sends(&n->sockets, fd, "response", 8);
	fake_peer_closes(&n->sockets, fd);
	fake_net_run(n, MS(10));
	guest_tcp_run(&t);
	assert_int_equal(t.got_len, 8);
	assert_memory_equal(t.got, "response", 8);
	assert_true(t.fin_seen);
	guest_tcp_send(&t, TCP_FIN_ | TCP_ACK_, NULL, 0);
	fake_net_run(n, MS(10));
	assert_int_equal(n->sockets.open_count, 0);
	guest_tcp_free(&t);
	guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, net6_host, 1000, 5000, "hello", 5));
	fd = n->sockets.last_open;
	assert_string_equal(fake_text(&fake_last_sent(&n->sockets, fd)->addr), "[::1]:5000");
	fake_peer_datagram(&n->sockets, fd, "::1", 5000, "hi", 2);
	fake_sockets_poll(&n->sockets, 10);
	guest_forget(&n->guest);
	fake_peer_datagram(&n->sockets, fd, "::1", 5000, "hi", 2);
	fake_sockets_poll(&n->sockets, 10);
	assert_true(guest_packet(&n->guest, &p));
	assert_memory_equal(p.src6, net6_host, 16);
	assert_int_equal(p.sport, 5000);
	assert_memory_equal(p.data, "hi", 2);
}

static void without_host_loopback_the_gateway_refuses(void **state)
{
	struct unet_config c;
	struct fake_net *n = *state = fake_net_new(&c);
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t buf[200];

	c.host_loopback = false;
	assert_true(fake_net_start(n, &c, 0));
	guest_tcp_init6(&t, &n->guest, net6_host, 1000, 8000);
	assert_false(guest_tcp_open(&t));
	assert_true(t.reset);
	guest_tcp_free(&t);
	guest_tcp_init6(&t, &n->guest, net6_link_host, 1000, 8000);
	memcpy(n->guest.ip6, n->guest.link6, 16);
	assert_false(guest_tcp_open(&t));
	guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, net6_host, 1000, 5000, "hello", 5));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x104);
	assert_int_equal(n->sockets.opened, 0);
	guest_tcp_free(&t);
}

static void a_syn_waits_and_failures_are_told_as_they_are(void **state)
{
	static const struct { int error; unsigned answer; } cases[] = {
		{ ECONNREFUSED, 0 }, { ENETUNREACH, 0x100 }, { EHOSTUNREACH, 0x103 }, { EACCES, 0x101 },
	};
	struct fake_net *n = *state;
	struct guest_packet p;
	struct guest_tcp t;

	n->sockets.connect_result = -EINPROGRESS;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		guest_tcp_init6(&t, &n->guest, net6_outside, (uint16_t)(1000 + i), 443);
		guest_tcp_send(&t, TCP_SYN_, NULL, 0);
		assert_false(guest_packet(&n->guest, &p));
		fake_connect_done(&n->sockets, n->sockets.last_open, cases[i].error);
		fake_sockets_poll(&n->sockets, 10);
		assert_true(guest_packet(&n->guest, &p));
		if (cases[i].answer) {
			assert_int_equal(p.icmp_type << 8 | p.icmp_code, cases[i].answer);
			assert_memory_equal(p.data + 24, net6_outside, 16);
			assert_int_equal(be32(p.data + 44), t.snd_nxt - 1);
		} else {
			assert_int_equal(p.protocol, 6);
			assert_int_equal(p.flags, TCP_RST_ | TCP_ACK_);
		}
		assert_int_equal(n->sockets.open_count, 0);
		guest_tcp_free(&t);
	}
	n->sockets.connect_result = -ENETUNREACH;                       /* no route: no waiting */
	guest_tcp_init6(&t, &n->guest, net6_outside, 2000, 443);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x100);
	guest_tcp_free(&t);
}

static void bulk_goes_both_ways(struct fake_net *n, bool tso)
{
	enum { LEN = 1 << 20 };
	static uint8_t data[LEN];
	struct guest_tcp t;
	size_t at = 0;
	int fd;

	for (unsigned i = 0; i < LEN; i++)
		data[i] = (uint8_t)(i ^ i >> 8);
	guest_tcp_init6(&t, &n->guest, net6_outside, 1000, 80);
	assert_true(guest_tcp_open(&t));
	fd = n->sockets.last_open;
	fake_peer_sends(&n->sockets, fd, data, LEN);
	for (int i = 0; i < 2000 && t.got_len < LEN; i++) {
		fake_net_run(n, MS(1));
		guest_tcp_run(&t);
	}
	assert_int_equal(t.got_len, LEN);
	assert_memory_equal(t.got, data, LEN);
	assert_true(tso ? t.largest > 10000 && t.largest % 1440 == 0 : t.largest == 1440);
	while (at < LEN) {
		size_t len = MIN(1440, LEN - at);

		guest_tcp_send(&t, TCP_ACK_, data + at, len);
		at += len;
		if (at % 14400 == 0)
			guest_tcp_run(&t);
	}
	fake_net_run(n, MS(10));
	assert_int_equal(n->sockets.s[fd].sent_len, LEN);
	assert_memory_equal(n->sockets.s[fd].sent, data, LEN);
	guest_tcp_free(&t);
}

static void a_megabyte_goes_both_ways(void **state)
{
	struct fake_net *n = *state;

	bulk_goes_both_ways(n, false);
}

static void a_card_with_tso_gets_long_segments(void **state)
{
	struct unet_config c;
	struct fake_net *n = *state = fake_net_new(&c);

	assert_true(fake_net_start(n, &c, PORT_CSUM | PORT_TSO6));
	bulk_goes_both_ways(n, true);
}

static void a_gso_frame_is_taken_whole(void **state)
{
	struct fake_net *n = *state;
	static uint8_t frame[40000], data[30000];
	struct guest_tcp t;
	size_t len;

	guest_tcp_init6(&t, &n->guest, net6_outside, 1000, 80);
	assert_true(guest_tcp_open(&t));
	len = guest_tcp_build(&t, frame, t.snd_nxt, TCP_ACK_, NULL, 0, data, sizeof(data));
	guest_send_facts(&n->guest, frame, len, &(struct frame){ .needs_csum = true, .gso = GSO_TCPV6, .gso_size = 1440, .csum_start = 54,
								 .csum_offset = 16, .hdr_len = 74 });
	assert_int_equal(n->sockets.s[n->sockets.last_open].sent_len, sizeof(data));
	/* GSO of the other family is none */
	guest_send_facts(&n->guest, frame, len, &(struct frame){ .needs_csum = true, .gso = GSO_TCPV4, .gso_size = 1440, .csum_start = 54,
								 .csum_offset = 16, .hdr_len = 74 });
	assert_int_equal(n->sockets.s[n->sockets.last_open].sent_len, sizeof(data));
	guest_tcp_free(&t);
}

static void the_families_do_not_meet(void **state)
{
	struct fake_net *n = *state;
	struct guest_tcp four, six;
	int a, b;

	guest_tcp_init(&four, &n->guest, NET_HOST, 1000, 80);
	guest_tcp_init6(&six, &n->guest, net6_host, 1000, 80);
	assert_true(guest_tcp_open(&four));
	a = n->sockets.last_open;
	assert_true(guest_tcp_open(&six));
	b = n->sockets.last_open;
	assert_string_equal(fake_text(&n->sockets.s[a].peer), "127.0.0.1:80");
	assert_string_equal(fake_text(&n->sockets.s[b].peer), "[::1]:80");
	guest_tcp_send(&six, TCP_RST_, NULL, 0);
	assert_int_equal(n->sockets.open_count, 1);
	guest_tcp_send(&four, TCP_ACK_, "still here", 10);
	assert_int_equal(n->sockets.s[a].sent_len, 10);
	guest_tcp_free(&four);
	guest_tcp_free(&six);
}

static void udp_errors_name_the_real_offender(void **state)
{
	struct fake_net *n = *state;
	struct sock_error e = { .error = EMSGSIZE, .icmp = 6, .type = 2, .code = 0, .info = 1300, .len = 4, .data = "data" };
	struct guest_packet p;
	uint8_t buf[200];
	int fd;

	guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, net6_outside, 1000, 5000, "data", 4));
	fd = n->sockets.last_open;
	fake_address(&e.to, "2001:db8::22", 5000);
	fake_address(&e.offender, "2001:db8:7::1", 0);
	fake_peer_icmp(&n->sockets, fd, &e);
	e.type = 1;
	e.code = 4;
	e.error = ECONNREFUSED;
	fake_peer_icmp(&n->sockets, fd, &e);
	e.icmp = 0;                                             /* the host itself */
	e.error = EHOSTUNREACH;
	fake_peer_icmp(&n->sockets, fd, &e);
	fake_sockets_poll(&n->sockets, 10);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x200);
	assert_int_equal(be32(p.l4 + 4), 1300);
	assert_memory_equal(p.src6, "\x20\1\x0d\xb8\0\7\0\0\0\0\0\0\0\0\0\1", 16);
	assert_int_equal(be16(p.data + 40), 1000);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x104);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x103);
	assert_memory_equal(p.src6, net6_host, 16);
}

static void udp_without_a_checksum_is_dropped(void **state)
{
	struct fake_net *n = *state;
	uint8_t buf[200];
	size_t len = guest_udp6(&n->guest, buf, net6_outside, 1000, 5000, "data", 4);

	put_be16(buf + HEADERS + 6, 0);
	guest_send(&n->guest, buf, len);
	assert_int_equal(n->sockets.open_count, 0);
}

static void names_are_resolved_by_both_transports(void **state)
{
	static const uint8_t query[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\4test\0\0\x1c\0\1";
	struct fake_net *n = *state;
	const struct fake_datagram *d;
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t buf[200], reply[40];
	int fd;

	fake_sockets_resolv(&n->sockets, "nameserver 2001:db8::53\n");
	guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, net6_dns, 1000, 53, query, sizeof(query) - 1));
	fd = n->sockets.last_open;
	d = fake_last_sent(&n->sockets, fd);
	assert_string_equal(fake_text(&d->addr), "[2001:db8::53]:53");
	memcpy(reply, d->data, d->len);
	reply[2] |= 0x80;
	fake_peer_datagram(&n->sockets, fd, "2001:db8::53", 53, reply, d->len);
	fake_sockets_poll(&n->sockets, 10);
	assert_true(guest_packet(&n->guest, &p));
	assert_memory_equal(p.src6, net6_dns, 16);
	assert_int_equal(p.sport, 53);
	assert_int_equal(be16(p.data), 0x1234);
	guest_tcp_init6(&t, &n->guest, net6_dns, 1000, 53);
	assert_true(guest_tcp_open(&t));
	assert_true(fake_find(&n->sockets, "[2001:db8::53]:53") > 0);
	guest_tcp_free(&t);
	guest_tcp_init6(&t, &n->guest, net6_dns, 1000, 54);
	assert_false(guest_tcp_open(&t));
	assert_true(t.reset);
	guest_tcp_free(&t);
}

static void a_guest_without_ipv4_is_served(void **state)
{
	struct unet_config c;
	struct fake_net *n = *state = fake_net_new(&c);
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t buf[100];

	c.ipv4 = false;
	assert_true(fake_net_start(n, &c, 0));
	guest_tcp_init6(&t, &n->guest, net6_host, 1000, 80);
	assert_true(guest_tcp_open(&t));
	guest_tcp_free(&t);
	guest_send(&n->guest, buf, guest_icmp(&n->guest, buf, NET_HOST, 8, 0, 1, "x", 1));
	assert_false(guest_packet(&n->guest, &p));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_net_setup, fake_net_teardown)
#define OWN(f) cmocka_unit_test_teardown(f, fake_net_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_gateway_is_the_hosts_loopback),
		OWN(without_host_loopback_the_gateway_refuses),
		TEST(a_syn_waits_and_failures_are_told_as_they_are),
		TEST(a_megabyte_goes_both_ways),
		OWN(a_card_with_tso_gets_long_segments),
		TEST(a_gso_frame_is_taken_whole),
		TEST(the_families_do_not_meet),
		TEST(udp_errors_name_the_real_offender),
		TEST(udp_without_a_checksum_is_dropped),
		TEST(names_are_resolved_by_both_transports),
		OWN(a_guest_without_ipv4_is_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
