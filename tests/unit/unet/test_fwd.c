/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/fake_net.h"

struct bench {
	struct fake_net net;
	struct guest_packet p;
	char lines[40][160];
	int line_count;
};

static int setup_with(void **state, bool restricted)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct unet_config c;

	fake_net_config(&b->net, &c);
	c.restricted = restricted;
	assert_true(fake_net_start(&b->net, &c, 0));
	*state = b;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, false);
}

static int setup_restricted(void **state)
{
	return setup_with(state, true);
}

static int teardown(void **state)
{
	struct bench *b = *state;

	assert_int_equal(b->net.guest.bad_checksums, 0);
	fake_net_free(&b->net);
	free(b);
	return 0;
}

static int forward(struct bench *b, const char *rule)
{
	struct err err;

	if (!unet_hostfwd_add(b->net.u, rule, NULL, &err))
		fail_msg("%s", err.text);
	return b->net.sockets.last_open;
}

/* The guest's end of a connection that came in: a SYN has just arrived. */
static void answer_syn(struct bench *b, struct guest_tcp *t, uint16_t port)
{
	assert_true(guest_packet(&b->net.guest, &b->p));
	assert_int_equal(b->p.flags, TCP_SYN_);
	assert_int_equal(b->p.dst, NET_GUEST);
	assert_int_equal(b->p.dport, port);
	assert_int_equal(b->p.mss, 1460);
	guest_tcp_init(t, &b->net.guest, b->p.src, port, b->p.sport);
	t->rcv_nxt = b->p.seq + 1;
	t->far_scale = b->p.scale;
	guest_tcp_send(t, TCP_SYN_ | TCP_ACK_, NULL, 0);
	guest_tcp_run(t);
}

static void bad_rules_are_refused_with_qemus_words(void **state)
{
	static const struct { const char *rule, *reason; } cases[] = {
		{ "nonsense", "No : separators" }, { "sctp::1-:2", "Bad protocol name: 'sctp'" }, { "tcp:22", "Missing : separator" },
		{ "tcp:x:22-:22", "Bad host address: 'x'" }, { "tcp::22", "Bad host port separator" },
		{ "tcp::x-:22", "Bad host port: 'x'" }, { "tcp::65536-:22", "Bad host port: '65536'" }, { "tcp::-1-:22", "Bad host port: ''" },
		{ "tcp::22-22", "Missing guest address" }, { "tcp::22-1.2.3:22", "Bad guest address: '1.2.3'" },
		{ "tcp::22-:0", "Bad guest port: '0'" }, { "tcp::22-:65536", "Bad guest port: '65536'" }, { "tcp::22-:", "Bad guest port: ''" },
		{ "tcp::22-:22x", "Bad guest port: '22x'" }, { "", "No : separators" }, { "::", "Bad host port separator" },
		{ "tcp:::1:22-:22", "Bad host port: ':1:22'" }, { "tcp:[::1:22-:22", "Bad host address: '['" },
		{ "tcp:[1.2.3.4]:22-:22", "Bad host address: '[1.2.3.4]'" }, { "tcp:[::ffff:1.2.3.4]:22-:22", "Bad host address: '[::ffff:1.2.3.4]'" },
		{ "tcp::22-[::x]:22", "Bad guest address: '[::x]'" }, { "tcp::9-8-:22", "Bad host port: '9-8'" },
		{ "tcp::0-8-:22", "Bad host port: '0-8'" }, { "tcp::8000-8010-:65530", "Bad guest port: the range goes beyond 65535: '65530'" },
		{ "tcp::8000-8010-:80-81", "Bad guest port: as many as host ports are needed: '80-81'" },
		{ "tcp::80-:80-81", "Bad guest port: as many as host ports are needed: '80-81'" },
		{ "unix:/x", "Missing guest address" }, { "unix:x-:22", "Bad path" }, { "unix:/x-:0", "Bad guest port: '0'" },
		{ "tcp::22-9.9.9.9:22", "Bad guest address: no guest" }, { "tcp::22-10.0.2.2:22", "Bad guest address: no guest" },
	};
	struct bench *b = *state;
	struct err err;
	char expected[200];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_false(unet_hostfwd_add(b->net.u, cases[i].rule, NULL, &err));
		snprintf(expected, sizeof(expected), "Invalid host forwarding rule '%s' (%s", cases[i].rule, cases[i].reason);
		if (strncmp(err.text, expected, strlen(expected)))
			fail_msg("%s, not %s", err.text, expected);
	}
	assert_int_equal(b->net.sockets.opened, 0);
}

static void a_range_of_ports_is_one_rule(void **state)
{
	struct bench *b = *state;
	struct guest_tcp t;
	struct err err;
	int first;

	assert_true(unet_hostfwd_add(b->net.u, "tcp:127.0.0.1:8000-8009-:80", NULL, &err));
	assert_int_equal(b->net.sockets.open_count, 10);
	first = b->net.sockets.last_open - 9;
	fake_client_connects(&b->net.sockets, first + 3, "198.51.100.7", 3333);
	fake_net_run(&b->net, 0);
	answer_syn(b, &t, 83);
	guest_tcp_free(&t);
	assert_true(unet_hostfwd_add(b->net.u, "udp::9000-9001-10.0.2.20:7-8", NULL, &err));
	/* all or none: 8005 is taken */
	assert_false(unet_hostfwd_add(b->net.u, "tcp:127.0.0.1:7998-8005-:80", NULL, &err));
	assert_string_equal(err.text, "Could not set up host forwarding rule 'tcp:127.0.0.1:7998-8005-:80': port 8000: "
				      "Address already in use");
	assert_int_equal(b->net.sockets.open_count, 13);        /* and the connection */
	assert_true(unet_hostfwd_remove(b->net.u, "tcp:127.0.0.1:8000-8008", &err));
	assert_int_equal(b->net.sockets.open_count, 4);
	assert_true(unet_hostfwd_remove(b->net.u, "tcp:127.0.0.1:8009", &err));
	assert_false(unet_hostfwd_remove(b->net.u, "tcp:127.0.0.1:8000-8009", &err));
	assert_false(unet_hostfwd_add(b->net.u, "tcp::1-1024-:1", NULL, &err));
	assert_string_equal(err.text, "Could not set up host forwarding rule 'tcp::1-1024-:1': more than 1024 ports");
}

static void clients_of_ipv6_and_of_a_unix_socket_come_from_the_gateway(void **state)
{
	struct bench *b = *state;
	int six = forward(b, "tcp:[::1]:2222-:22"), local, fd;
	struct guest_tcp t;

	assert_string_equal(fake_text(&b->net.sockets.s[six].local), "[::1]:2222");
	local = forward(b, "unix:/run/a-b-:8022");
	fake_client_connects(&b->net.sockets, six, "2001:db8::7", 3333);
	fake_net_run(&b->net, 0);
	fd = b->net.sockets.last_open;
	answer_syn(b, &t, 22);
	assert_int_equal(b->p.src, NET_HOST);
	assert_int_equal(b->p.sport, 3333);
	guest_tcp_send(&t, TCP_ACK_, "hello", 5);
	assert_int_equal(b->net.sockets.s[fd].sent_len, 5);
	guest_tcp_free(&t);
	guest_forget(&b->net.guest);
	b->net.sockets.s[local].clients[0].ss_family = AF_UNIX;
	b->net.sockets.s[local].client_count = 1;
	fake_net_run(&b->net, 0);
	answer_syn(b, &t, 8022);
	assert_int_equal(b->p.src, NET_HOST);
	assert_true(b->p.sport >= 0x8000);
	guest_tcp_free(&t);
	assert_true(unet_hostfwd_remove(b->net.u, "unix:/run/a-b", NULL));
	assert_int_equal(b->net.sockets.removed, 1);
	assert_true(unet_hostfwd_remove(b->net.u, "tcp:[::1]:2222", NULL));
}

static void the_file_of_a_dead_unix_socket_is_taken_over_and_a_live_one_not(void **state)
{
	struct bench *b = *state;
	struct err err;

	strcpy(b->net.sockets.stale, "/run/s");
	b->net.sockets.connect_result = -ECONNREFUSED;
	forward(b, "unix:/run/s-:22");
	assert_int_equal(b->net.sockets.removed, 1);
	b->net.sockets.connect_result = 0;
	assert_false(unet_hostfwd_add(b->net.u, "unix:/run/s-:23", NULL, &err));
	assert_string_equal(err.text, "Could not set up host forwarding rule 'unix:/run/s-:23': Address already in use");
	assert_int_equal(b->net.sockets.removed, 1);
	assert_int_equal(b->net.sockets.open_count, 1);
}

static void a_taken_port_is_reported_with_errno(void **state)
{
	struct bench *b = *state;
	struct err err;

	forward(b, "tcp::2222-:22");
	assert_false(unet_hostfwd_add(b->net.u, "tcp::2222-:23", NULL, &err));
	assert_string_equal(err.text, "Could not set up host forwarding rule 'tcp::2222-:23': Address already in use");
	assert_int_equal(b->net.sockets.open_count, 1);
}

static void port_zero_tells_which_it_got(void **state)
{
	struct bench *b = *state;
	uint16_t bound = 0;

	assert_true(unet_hostfwd_add(b->net.u, ":127.0.0.1:0-:22", &bound, NULL));
	assert_int_equal(bound, 40000);
}

static void a_client_reaches_the_guest_under_its_own_address(void **state)
{
	struct bench *b = *state;
	struct guest_tcp t;
	int l = forward(b, "tcp::2222-:22"), fd;

	fake_client_connects(&b->net.sockets, l, "198.51.100.7", 3333);
	fake_net_run(&b->net, 0);
	fd = b->net.sockets.last_open;
	answer_syn(b, &t, 22);
	assert_int_equal(b->p.src, 0xc6336407);
	assert_int_equal(b->p.sport, 3333);
	fake_peer_sends(&b->net.sockets, fd, "SSH", 3);
	fake_net_run(&b->net, 0);
	guest_tcp_run(&t);
	assert_memory_equal(t.got, "SSH", 3);
	guest_tcp_send(&t, TCP_ACK_, "hello", 5);
	assert_int_equal(b->net.sockets.s[fd].sent_len, 5);
	guest_tcp_send(&t, TCP_ACK_ | TCP_FIN_, NULL, 0);
	fake_peer_closes(&b->net.sockets, fd);
	fake_net_run(&b->net, MS(10));
	guest_tcp_run(&t);
	assert_true(t.fin_seen);
	assert_int_equal(b->net.sockets.open_count, 1);
	assert_int_equal(b->net.sockets.resets, 0);
	guest_tcp_free(&t);
}

static void loopback_and_overlapping_clients_come_from_the_gateway(void **state)
{
	struct bench *b = *state;
	int l = forward(b, "tcp::2222-10.0.2.20:22");

	b->net.guest.ip = 0x0a000214;
	fake_client_connects(&b->net.sockets, l, "127.0.0.1", 3333);
	fake_client_connects(&b->net.sockets, l, "10.0.2.99", 3334);
	fake_client_connects(&b->net.sockets, l, "127.0.0.9", 3333);    /* the same port, from another loopback address */
	fake_net_run(&b->net, 0);
	for (int i = 0; i < 3; i++) {
		assert_true(guest_packet(&b->net.guest, &b->p));
		assert_int_equal(b->p.src, NET_HOST);
		assert_int_equal(b->p.dst, 0x0a000214);
		if (i < 2)
			assert_int_equal(b->p.sport, 3333 + i);
		else
			assert_true(b->p.sport != 3333 && b->p.sport >= 0x8000);
	}
}

static void a_refusing_guest_resets_the_client(void **state)
{
	struct bench *b = *state;
	int l = forward(b, "tcp::2222-:22");
	struct guest_tcp t;

	fake_client_connects(&b->net.sockets, l, "198.51.100.7", 3333);
	fake_net_run(&b->net, 0);
	assert_true(guest_packet(&b->net.guest, &b->p));
	guest_tcp_init(&t, &b->net.guest, b->p.src, 22, b->p.sport);
	t.rcv_nxt = b->p.seq + 1;
	guest_tcp_send_at(&t, 0, TCP_RST_ | TCP_ACK_, NULL, 0);
	assert_int_equal(b->net.sockets.open_count, 1);
	assert_true(b->net.sockets.last_closed_reset);
}

static void an_unreachable_guest_resets_the_client(void **state)
{
	struct bench *b = *state;
	int l = forward(b, "tcp::2222-10.0.2.20:22");
	uint8_t buf[100], quote[28];

	/* 10.0.2.20 lies behind the guest, which answers ARP for it and then finds nobody there */
	b->net.guest.ip = 0x0a000214;
	fake_client_connects(&b->net.sockets, l, "198.51.100.7", 3333);
	fake_net_run(&b->net, 0);
	assert_true(guest_packet(&b->net.guest, &b->p));
	memcpy(quote, b->p.ip, 28);
	b->net.guest.ip = NET_GUEST;
	guest_send(&b->net.guest, buf, guest_icmp(&b->net.guest, buf, 0xc6336407, 3, 1, 0, quote, 28));
	assert_int_equal(b->net.sockets.open_count, 1);
	assert_true(b->net.sockets.last_closed_reset);
}

static void a_silent_guest_resets_the_client_in_the_end(void **state)
{
	struct bench *b = *state;
	int l = forward(b, "tcp::2222-:22");

	fake_client_connects(&b->net.sockets, l, "198.51.100.7", 3333);
	fake_net_run(&b->net, S(60));
	assert_int_equal(b->net.sockets.open_count, 1);
	assert_true(b->net.sockets.last_closed_reset);
}

static void a_guest_that_boots_late_still_gets_the_connection(void **state)
{
	struct bench *b = *state;
	int l = forward(b, "tcp::2222-:22");
	struct guest_tcp t;

	b->net.guest.ip = 0;
	guest_forget(&b->net.guest);
	fake_client_connects(&b->net.sockets, l, "198.51.100.7", 3333);
	fake_net_run(&b->net, S(8));
	guest_forget(&b->net.guest);
	b->net.guest.ip = NET_GUEST;
	fake_net_run(&b->net, S(4));
	answer_syn(b, &t, 22);
	guest_tcp_free(&t);
}

static void out_of_descriptors_the_client_waits(void **state)
{
	struct bench *b = *state;
	int l = forward(b, "tcp::2222-:22");

	b->net.sockets.open_limit = b->net.sockets.open_count;
	fake_client_connects(&b->net.sockets, l, "198.51.100.7", 3333);
	fake_net_run(&b->net, MS(500));
	assert_int_equal(b->net.sockets.open_count, 1);
	b->net.sockets.open_limit++;
	fake_net_run(&b->net, MS(200));
	assert_int_equal(b->net.sockets.open_count, 2);
}

static void udp_clients_and_the_guests_answers_use_the_rules_socket(void **state)
{
	struct bench *b = *state;
	int s = forward(b, "udp::5353-:53");
	uint8_t buf[100];

	fake_peer_datagram(&b->net.sockets, s, "198.51.100.7", 4444, "query", 5);
	fake_peer_datagram(&b->net.sockets, s, "127.0.0.1", 4445, "local", 5);
	fake_net_run(&b->net, 0);
	assert_true(guest_packet(&b->net.guest, &b->p));
	assert_int_equal(b->p.src, 0xc6336407);
	assert_int_equal(b->p.sport, 4444);
	assert_int_equal(b->p.dport, 53);
	assert_memory_equal(b->p.data, "query", 5);
	assert_true(guest_packet(&b->net.guest, &b->p));
	assert_int_equal(b->p.src, NET_HOST);
	guest_send(&b->net.guest, buf, guest_udp(&b->net.guest, buf, 0xc6336407, 53, 4444, "answer", 6));
	assert_string_equal(fake_text(&fake_last_sent(&b->net.sockets, s)->addr), "198.51.100.7:4444");
	guest_send(&b->net.guest, buf, guest_udp(&b->net.guest, buf, NET_HOST, 53, 4445, "answer", 6));
	assert_string_equal(fake_text(&fake_last_sent(&b->net.sockets, s)->addr), "127.0.0.1:4445");
	assert_int_equal(b->net.sockets.opened, 1);
}

/* Those that the guest sees at the gateway's address are told apart by their ports, and answered where they are. */
static void udp_clients_behind_the_gateways_address_get_their_answers(void **state)
{
	static const char *const from[] = { "127.0.0.9", "10.0.2.99", "2001:db8::7" };
	struct bench *b = *state;
	int four = forward(b, "udp::5353-:53"), six = forward(b, "udp:[::]:5353-:53");
	uint8_t buf[100];

	for (unsigned i = 0; i < 3; i++)
		fake_peer_datagram(&b->net.sockets, i < 2 ? four : six, from[i], (uint16_t)(4000 + i), "query", 5);
	fake_net_run(&b->net, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(guest_packet(&b->net.guest, &b->p));
		assert_int_equal(b->p.src, NET_HOST);
		assert_int_equal(b->p.sport, 4000 + i);
	}
	for (unsigned i = 0; i < 3; i++) {
		int fd = i < 2 ? four : six;
		char expected[60];

		guest_send(&b->net.guest, buf, guest_udp(&b->net.guest, buf, NET_HOST, 53, (uint16_t)(4000 + i), "answer", 6));
		snprintf(expected, sizeof(expected), i < 2 ? "%s:%u" : "[%s]:%u", from[i], 4000 + i);
		assert_string_equal(fake_text(&fake_last_sent(&b->net.sockets, fd)->addr), expected);
	}
	assert_int_equal(b->net.sockets.opened, 2);
}

static void a_restricted_guest_answers_only_those_who_came(void **state)
{
	struct bench *b = *state;
	int s = forward(b, "udp::5353-:53"), l = forward(b, "tcp::2222-:22");
	struct guest_tcp t;
	uint8_t buf[100];

	guest_send(&b->net.guest, buf, guest_udp(&b->net.guest, buf, 0xc6336407, 53, 4444, "leak", 4));
	assert_int_equal(b->net.sockets.s[s].out_count, 0);
	fake_peer_datagram(&b->net.sockets, s, "198.51.100.7", 4444, "query", 5);
	fake_net_run(&b->net, 0);
	guest_forget(&b->net.guest);
	guest_send(&b->net.guest, buf, guest_udp(&b->net.guest, buf, 0xc6336407, 53, 4444, "answer", 6));
	assert_int_equal(b->net.sockets.s[s].out_count, 1);
	guest_send(&b->net.guest, buf, guest_udp(&b->net.guest, buf, 0xc6336407, 53, 4445, "leak", 4));
	guest_send(&b->net.guest, buf, guest_udp(&b->net.guest, buf, 0xc6336408, 53, 4444, "leak", 4));
	assert_int_equal(b->net.sockets.s[s].out_count, 1);
	fake_client_connects(&b->net.sockets, l, "198.51.100.7", 3333);
	fake_net_run(&b->net, 0);
	answer_syn(b, &t, 22);
	guest_tcp_send(&t, TCP_ACK_, "hello", 5);
	assert_int_equal(b->net.sockets.s[b->net.sockets.last_open].sent_len, 5);
	guest_tcp_free(&t);
}

static void removing_a_rule_leaves_its_connections_alone(void **state)
{
	struct bench *b = *state;
	int l = forward(b, "tcp:127.0.0.1:2222-:22");
	struct guest_tcp t;
	struct err err;

	fake_client_connects(&b->net.sockets, l, "127.0.0.1", 3333);
	fake_net_run(&b->net, 0);
	answer_syn(b, &t, 22);
	assert_false(unet_hostfwd_remove(b->net.u, "tcp::2222", &err));
	assert_string_equal(err.text, "host forwarding rule for tcp::2222 not found");
	assert_false(unet_hostfwd_remove(b->net.u, "tcp:127.0.0.1", &err));
	assert_string_equal(err.text, "invalid format");
	assert_true(unet_hostfwd_remove(b->net.u, "tcp:127.0.0.1:2222", &err));
	assert_int_equal(b->net.sockets.open_count, 1);
	guest_tcp_send(&t, TCP_ACK_, "x", 1);
	assert_int_equal(b->net.sockets.s[b->net.sockets.last_open].sent_len, 1);
	guest_tcp_free(&t);
	forward(b, "tcp:127.0.0.1:2222-:22");
}

static void keep_line(void *to, const char *line)
{
	struct bench *b = to;

	snprintf(b->lines[b->line_count++], sizeof(b->lines[0]), "%s", line);
}

static void info_usernet_shows_rules_and_flows_in_qemus_columns(void **state)
{
	struct bench *b = *state;
	struct guest_tcp t;
	uint8_t buf[100];

	forward(b, "tcp:127.0.0.1:0-:22");
	forward(b, "udp::35087-:53");
	guest_tcp_init(&t, &b->net.guest, NET_OUTSIDE, 5000, 80);
	guest_tcp_open(&t);
	guest_send(&b->net.guest, buf, guest_udp(&b->net.guest, buf, NET_OUTSIDE, 5001, 7, "x", 1));
	guest_tcp_send(&t, TCP_ACK_, "hello", 5);
	fake_peer_sends(&b->net.sockets, 5, "answer", 6);
	fake_net_run(&b->net, MS(10));
	guest_tcp_run(&t);
	fake_net_run(&b->net, MS(6990));
	unet_print(b->net.u, keep_line, b);
	assert_int_equal(b->line_count, 5);
	assert_string_equal(b->lines[0], "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ"
					  "     ToHost    ToGuest   Age  RTT ms");
	assert_string_equal(b->lines[1], "  TCP[HOST_FORWARD]   3       127.0.0.1 40000       10.0.2.15    22     0     0");
	assert_string_equal(b->lines[2], "  UDP[HOST_FORWARD]   4               * 35087       10.0.2.15    53     0     0"
					  "          0          0     7       -");
	assert_string_equal(b->lines[3], "  TCP[ESTABLISHED]    5       10.0.2.15  5000   93.184.216.34    80     0     0"
					  "          5          6     7    1.23");
	assert_string_equal(b->lines[4], "  UDP[23 sec]         6       10.0.2.15  5001   93.184.216.34     7     0     0"
					  "          1          0     7       -");
	guest_tcp_free(&t);
}

static void keep_if_not_zero(void *to, const char *line)
{
	unsigned long long value = 0;

	assert_int_equal(sscanf(line, "%*s %llu  %*s", &value), 1);
	if (value)
		keep_line(to, line);
}

static void counters_say_what_was_dropped_and_why(void **state)
{
	struct bench *b = *state;
	uint8_t buf[100];
	size_t n;

	unet_print_counters(b->net.u, keep_if_not_zero, b);
	assert_int_equal(b->line_count, 4);             /* the guest's ARP and its answer */
	b->line_count = 0;
	guest_send(&b->net.guest, buf, guest_udp(&b->net.guest, buf, 0xe0000001, 5000, 7, "x", 1));
	n = guest_udp(&b->net.guest, buf, NET_OUTSIDE, 5000, 7, "x", 1);
	buf[14] = 0x55;
	guest_send(&b->net.guest, buf, n);
	unet_print_counters(b->net.u, keep_if_not_zero, b);
	assert_int_equal(b->line_count, 6);
	assert_string_equal(b->lines[4], "dropped_malformed               1  packets with a wrong header, length or checksum");
	assert_string_equal(b->lines[5], "dropped_destination             1  to an address that leads nowhere");
}

static void rules_come_and_go_ten_thousand_times(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 10000; i++) {
		forward(b, i & 1 ? "udp::2222-:22" : "tcp::2222-:22");
		assert_true(unet_hostfwd_remove(b->net.u, i & 1 ? "udp::2222" : "tcp::2222", NULL));
	}
	assert_int_equal(b->net.sockets.open_count, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_rules_are_refused_with_qemus_words),
		TEST(a_range_of_ports_is_one_rule),
		TEST(clients_of_ipv6_and_of_a_unix_socket_come_from_the_gateway),
		TEST(the_file_of_a_dead_unix_socket_is_taken_over_and_a_live_one_not),
		TEST(udp_clients_behind_the_gateways_address_get_their_answers),
		TEST(a_taken_port_is_reported_with_errno),
		TEST(port_zero_tells_which_it_got),
		TEST(a_client_reaches_the_guest_under_its_own_address),
		TEST(loopback_and_overlapping_clients_come_from_the_gateway),
		TEST(a_refusing_guest_resets_the_client),
		TEST(an_unreachable_guest_resets_the_client),
		TEST(a_silent_guest_resets_the_client_in_the_end),
		TEST(a_guest_that_boots_late_still_gets_the_connection),
		TEST(out_of_descriptors_the_client_waits),
		TEST(udp_clients_and_the_guests_answers_use_the_rules_socket),
		cmocka_unit_test_setup_teardown(a_restricted_guest_answers_only_those_who_came, setup_restricted, teardown),
		TEST(removing_a_rule_leaves_its_connections_alone),
		TEST(info_usernet_shows_rules_and_flows_in_qemus_columns),
		TEST(counters_say_what_was_dropped_and_why),
		TEST(rules_come_and_go_ten_thousand_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
