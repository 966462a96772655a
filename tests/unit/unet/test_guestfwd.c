/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "tests/fake/fake_net.h"

enum { ADDRESS = 0x0a000264 /* 10.0.2.100 */, FOUR = 0x0a000204 };

static int stream_fd;
static char stream_target[40];

static int open_stream(void *owner, const char *target)
{
	snprintf(stream_target, sizeof(stream_target), "%s", target);
	if (stream_fd >= 0)
		stream_fd = fake_sockets_ops.open(owner, AF_UNIX, SOCK_STREAM, 0);
	if (stream_fd >= 0)
		((struct fake_sockets *)owner)->s[stream_fd].connected = true;
	return stream_fd;
}

static void start(struct fake_net *n, bool restricted, const char *const *rules)
{
	struct unet_config c;
	struct err err;

	fake_net_config(n, &c);
	c.restricted = restricted;
	c.guestfwd_open = open_stream;
	c.guestfwd_owner = &n->sockets;
	for (; *rules; rules++)
		if (!unet_config_set(&c, "guestfwd", *rules, &err))
			fail_msg("%s", err.text);
	assert_true(fake_net_start(n, &c, 0));
}

#define RULES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void bad_rules_are_refused_with_the_reason(void **state)
{
	static const struct { const char *rule, *reason; } cases[] = {
		{ "", "Bad protocol name" }, { "udp:10.0.2.100:80-cmd:x", "Bad protocol name" }, { "tcp:80-cmd:x", "Bad address" },
		{ "tcp:x:80-cmd:x", "Bad address" }, { "tcp:10.0.2.100:80", "Missing - separator" }, { "tcp:10.0.2.100:-cmd:x", "Bad port" },
		{ "tcp:10.0.2.100:0-cmd:x", "Bad port" }, { "tcp:10.0.2.100:65536-cmd:x", "Bad port" }, { "tcp:10.0.2.100:80-", "Missing target" },
		{ "tcp:10.0.2.100:80-cmd:", "Missing command" }, { "tcp:10.0.2.100:80-tcp:1.2.3.4", "Bad target" },
		{ "tcp:10.0.2.100:80-tcp:a b:80", "Bad target" }, { "tcp:10.0.2.100:80-tcp::80", "Bad target" },
		{ "tcp:10.0.2.100:80-tcp:1.2.3.4:0", "Bad target" },
		{ "tcp:10.0.2.100:80-tcp:1.2.3.4:8-9", "Bad target" }, { "tcp:10.0.2.100:80-unix:", "Bad target" },
		{ "tcp:10.0.2.100", "Missing : separator" }, { "tcp", "Bad protocol name" },
	};
	struct unet_config c;
	struct err err;
	char expected[100];

	(void)state;
	unet_config_defaults(&c);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_false(unet_config_set(&c, "guestfwd", cases[i].rule, &err));
		snprintf(expected, sizeof(expected), "Invalid guest forwarding rule '%s' (%s", cases[i].rule, cases[i].reason);
		if (strncmp(err.text, expected, strlen(expected)))
			fail_msg("%s, not %s", err.text, expected);
	}
}

static void addresses_that_are_taken_or_elsewhere_are_refused(void **state)
{
	static const char *const cases[][2] = {
		{ "tcp:10.0.3.1:80-cmd:x", NULL }, { "tcp:10.0.2.2:80-cmd:x", NULL }, { "tcp:10.0.2.3:80-cmd:x", NULL },
		{ "tcp:10.0.2.100:80-cmd:x", "tcp:10.0.2.100:80-cmd:y" }, { "tcp:10.0.2.255:80-cmd:x", NULL },
	};
	struct unet_config c;
	struct fake_net n;
	struct err err;
	char expected[120];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_net_config(&n, &c);
		for (int k = 0; k < 2 && cases[i][k]; k++)
			assert_true(unet_config_set(&c, "guestfwd", cases[i][k], &err));
		assert_null(unet_new(&c, &err));
		snprintf(expected, sizeof(expected), "Conflicting/invalid host:port in guest forwarding rule '%s'",
			 cases[i][1] ? cases[i][1] : cases[i][0]);
		assert_string_equal(err.text, expected);
		fake_net_free(&n);
	}
	fake_net_config(&n, &c);
	assert_true(unet_config_set(&c, "guestfwd", "tcp:10.0.2.100:80-stdio", &err));
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "Invalid guest forwarding rule 'tcp:10.0.2.100:80-stdio' (cmd:COMMAND, tcp:HOST:PORT and "
			    "unix:PATH are possible here)");
	fake_net_free(&n);
	fake_net_config(&n, &c);
	assert_true(unet_config_set(&c, "guestfwd", "tcp:10.0.2.100:80-tcp:unknown.example:80", &err));
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "Invalid guest forwarding rule 'tcp:10.0.2.100:80-tcp:unknown.example:80' "
			    "(unknown.example: Name or service not known)");
	fake_net_free(&n);
	assert_string_equal(unet_guestfwd_stream("tcp:10.0.2.100:80-stdio"), "stdio");
	assert_string_equal(unet_guestfwd_stream("tcp:10.0.2.100:80-unix:/x,server=on"), "unix:/x,server=on");
	assert_null(unet_guestfwd_stream("tcp:10.0.2.100:80-unix:/x"));
	assert_null(unet_guestfwd_stream("tcp:10.0.2.100:80-cmd:x"));
}

static void each_connection_leads_where_its_rule_says(void **state)
{
	static const struct { uint32_t address; uint16_t port; const char *to; } cases[] = {
		{ ADDRESS, 80, "127.0.0.1:8080" }, { ADDRESS, 81, "[::1]:8081" }, { FOUR, 82, NULL }, { FOUR, 84, "192.0.2.80:8084" },
	};
	struct fake_net n;
	struct guest_tcp t;
	int fd;

	(void)state;
	start(&n, false, RULES("tcp:10.0.2.100:80-tcp:127.0.0.1:8080", "tcp:10.0.2.100:81-tcp:[::1]:8081", "tcp::82-unix:/run/x",
		      "tcp::84-tcp:known.example:8084"));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		guest_tcp_init(&t, &n.guest, cases[i].address, (uint16_t)(5000 + i), cases[i].port);
		assert_true(guest_tcp_open(&t));
		fd = n.sockets.last_open;
		if (cases[i].to)
			assert_string_equal(fake_text(&n.sockets.s[fd].peer), cases[i].to);
		else
			assert_string_equal(((struct sockaddr_un *)&n.sockets.s[fd].peer)->sun_path, "/run/x");
		guest_tcp_send(&t, TCP_ACK_, "hello", 5);
		assert_int_equal(n.sockets.s[fd].sent_len, 5);
		fake_peer_sends(&n.sockets, fd, "answer", 6);
		fake_net_run(&n, MS(1));
		guest_tcp_run(&t);
		assert_memory_equal(t.got, "answer", 6);
		guest_tcp_free(&t);
	}
	/* another port of the same address is closed */
	guest_tcp_init(&t, &n.guest, ADDRESS, 6000, 83);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	guest_tcp_run(&t);
	assert_true(t.reset);
	guest_tcp_free(&t);
	fake_net_free(&n);
}

static void commands_run_once_for_each_connection(void **state)
{
	struct fake_net n;
	struct guest_tcp t[2];
	int fd[2];

	(void)state;
	start(&n, false, RULES("tcp:10.0.2.100:80-cmd:cat -n"));
	for (int i = 0; i < 2; i++) {
		guest_tcp_init(&t[i], &n.guest, ADDRESS, (uint16_t)(5000 + i), 80);
		assert_true(guest_tcp_open(&t[i]));
		fd[i] = n.sockets.last_open;
		assert_string_equal(n.sockets.command, "cat -n");
	}
	assert_true(fd[0] != fd[1]);
	/* its end closes the guest's connection, in order */
	fake_peer_sends(&n.sockets, fd[0], "last words", 10);
	fake_peer_closes(&n.sockets, fd[0]);
	fake_net_run(&n, MS(10));
	guest_tcp_run(&t[0]);
	assert_memory_equal(t[0].got, "last words", 10);
	assert_true(t[0].fin_seen);
	/* too many of them: refused */
	n.sockets.run_error = -EAGAIN;
	guest_tcp_free(&t[1]);
	guest_tcp_init(&t[1], &n.guest, ADDRESS, 5003, 80);
	guest_tcp_send(&t[1], TCP_SYN_, NULL, 0);
	guest_tcp_run(&t[1]);
	assert_true(t[1].reset);
	/* no descriptor left: the guest tries again */
	n.sockets.run_error = -EMFILE;
	guest_tcp_free(&t[1]);
	guest_tcp_init(&t[1], &n.guest, ADDRESS, 5004, 80);
	guest_tcp_send(&t[1], TCP_SYN_, NULL, 0);
	guest_tcp_run(&t[1]);
	assert_false(t[1].reset);
	guest_tcp_free(&t[0]);
	guest_tcp_free(&t[1]);
	fake_net_free(&n);
	assert_true(n.sockets.stopped);
}

static void a_stream_of_the_embedders_is_asked_for_by_name(void **state)
{
	struct fake_net n;
	struct guest_tcp t;

	(void)state;
	start(&n, false, RULES("tcp:10.0.2.100:80-chardev:x"));
	stream_fd = 0;
	guest_tcp_init(&t, &n.guest, ADDRESS, 5000, 80);
	assert_true(guest_tcp_open(&t));
	assert_string_equal(stream_target, "chardev:x");
	guest_tcp_send(&t, TCP_ACK_, "hello", 5);
	assert_int_equal(n.sockets.s[stream_fd].sent_len, 5);
	guest_tcp_free(&t);
	stream_fd = -EBUSY;             /* in use */
	guest_tcp_init(&t, &n.guest, ADDRESS, 5001, 80);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	guest_tcp_run(&t);
	assert_true(t.reset);
	guest_tcp_free(&t);
	fake_net_free(&n);
}

static void the_address_answers_arp_and_ping_and_nothing_else(void **state)
{
	struct fake_net n;
	struct guest_packet p;
	uint8_t buf[100];

	(void)state;
	start(&n, false, RULES("tcp:10.0.2.100:80-cmd:x"));
	n.guest.keep_arp = true;
	guest_send(&n.guest, buf, guest_arp(&n.guest, buf, 1, NET_GUEST, ADDRESS));
	assert_true(guest_packet(&n.guest, &p));
	assert_int_equal(p.type, 0x0806);
	assert_memory_equal(p.eth + 6, "\x52\x55\x0a\x00\x02\x64", 6);
	guest_send(&n.guest, buf, guest_icmp(&n.guest, buf, ADDRESS, 8, 0, 1, "ping", 4));
	assert_true(guest_packet(&n.guest, &p));
	assert_int_equal(p.icmp_type, 0);
	assert_int_equal(p.src, ADDRESS);
	guest_send(&n.guest, buf, guest_udp(&n.guest, buf, ADDRESS, 5000, 80, "x", 1));
	assert_true(guest_packet(&n.guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x303);
	assert_int_equal(n.sockets.opened, 0);
	fake_net_free(&n);
}

/* Nobody may have it, neither by DHCP nor by taking it. */
static void the_address_is_not_for_guests(void **state)
{
	struct fake_net n;
	struct guest_packet p;
	uint8_t buf[600], dhcp[300] = { 1, 1, 6 };

	(void)state;
	start(&n, false, RULES("tcp:10.0.2.15:80-cmd:x"));
	guest_forget(&n.guest);
	put_be32(dhcp + 236, 0x63825363);
	memcpy(dhcp + 28, n.guest.mac, 6);
	memcpy(dhcp + 240, "\x35\1\1\xff", 4);
	n.guest.ip = 0;
	guest_send(&n.guest, buf, guest_udp(&n.guest, buf, 0xffffffff, 68, 67, dhcp, sizeof(dhcp)));
	assert_true(guest_packet(&n.guest, &p));
	assert_int_equal(be32(p.data + 16), 0x0a000210);
	n.guest.ip = 0x0a00020f;
	guest_send(&n.guest, buf, guest_icmp(&n.guest, buf, NET_HOST, 8, 0, 1, "ping", 4));
	assert_false(guest_packet(&n.guest, &p));
	assert_int_equal(fake_net_counters(&n).dropped_source, 1);
	fake_net_free(&n);
}

/* Everything else that a restricted guest tries ends at unet: no socket is opened for it. */
static void a_restricted_guest_gets_nowhere_but_there(void **state)
{
	struct fake_net n;
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t buf[200], echo[8] = { 8 };
	static const uint32_t places[] = { NET_HOST, NET_DNS, NET_OUTSIDE, ADDRESS, 0x0a0002ff, 0xffffffff, 0x7f000001, 0xe00000fb, 0x0a000263 };
	static const uint16_t ports[] = { 1, 22, 53, 67, 68, 69, 80, 443, 547, 65535 };

	(void)state;
	start(&n, true, RULES("tcp:10.0.2.100:80-cmd:x"));
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(ports); k++) {
			if (places[i] == ADDRESS && ports[k] == 80)
				continue;
			guest_tcp_init(&t, &n.guest, places[i], (uint16_t)(5000 + k), ports[k]);
			guest_tcp_send(&t, TCP_SYN_, NULL, 0);
			guest_tcp_send_at(&t, 77, TCP_ACK_, "data", 4);
			guest_tcp_send_at(&t, 77, TCP_SYN_ | TCP_FIN_, NULL, 0);
			while (guest_packet(&n.guest, &p))
				assert_true(p.protocol != 6 || (p.flags & TCP_RST_));
			guest_tcp_free(&t);
			guest_send(&n.guest, buf, guest_udp(&n.guest, buf, places[i], (uint16_t)(5000 + k), ports[k], "question", 8));
			assert_false(guest_packet(&n.guest, &p));
		}
		for (unsigned protocol = 0; protocol < 256; protocol++) {
			if (protocol == 1 || protocol == 6 || protocol == 17)
				continue;
			guest_send(&n.guest, buf, guest_ip(&n.guest, buf, places[i], (uint8_t)protocol, echo, 8));
			assert_false(guest_packet(&n.guest, &p));
		}
	}
	guest_send(&n.guest, buf, guest_icmp(&n.guest, buf, NET_OUTSIDE, 8, 0, 1, "ping", 4));
	assert_false(guest_packet(&n.guest, &p));
	assert_int_equal(n.sockets.opened, 0);
	guest_tcp_init(&t, &n.guest, ADDRESS, 7000, 80);
	assert_true(guest_tcp_open(&t));
	guest_tcp_send(&t, TCP_ACK_, "hello", 5);
	assert_int_equal(n.sockets.s[n.sockets.last_open].sent_len, 5);
	assert_int_equal(n.sockets.opened, 1);
	guest_tcp_free(&t);
	fake_net_free(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_rules_are_refused_with_the_reason),
		cmocka_unit_test(addresses_that_are_taken_or_elsewhere_are_refused),
		cmocka_unit_test(each_connection_leads_where_its_rule_says),
		cmocka_unit_test(commands_run_once_for_each_connection),
		cmocka_unit_test(a_stream_of_the_embedders_is_asked_for_by_name),
		cmocka_unit_test(the_address_answers_arp_and_ping_and_nothing_else),
		cmocka_unit_test(the_address_is_not_for_guests),
		cmocka_unit_test(a_restricted_guest_gets_nowhere_but_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
