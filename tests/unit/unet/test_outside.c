/* SPDX-License-Identifier: MIT */
/* allow=, deny=, host-loopback=, outbound-addr=, outbound-if=. */
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

#include "base/bytes.h"
#include "base/opts.h"
#include "tests/fake/fake_net.h"

/* A network with these options. */
static void start(struct fake_net *n, const char *list)
{
	struct unet_config c;
	struct opts o;
	struct err err;

	assert_true(opts_parse(&o, list, NULL, NULL));
	fake_net_config(n, &c);
	for (size_t i = 0; i < o.count; i++)
		if (!unet_config_set(&c, o.list[i].key, o.list[i].value, &err))
			fail_msg("%s", err.text);
	assert_true(unet_config_finish(&c, &err));
	assert_true(fake_net_start(n, &c, 0));
	opts_free(&o);
}

static uint32_t address(const char *text)
{
	return ntohl(inet_addr(text));
}

/* Whether the guest's datagram leaves; if not, it must be told that this is prohibited. */
static bool reaches(const char *options, const char *to, uint16_t port)
{
	struct fake_net n;
	struct guest_packet p;
	uint8_t buf[100];
	bool left;

	start(&n, options);
	guest_send(&n.guest, buf, guest_udp(&n.guest, buf, address(to), 5000, port, "x", 1));
	left = n.sockets.opened > 0;
	if (!left) {
		assert_true(guest_packet(&n.guest, &p));
		assert_int_equal(p.icmp_type, 3);
		assert_int_equal(p.icmp_code, 13);
		assert_int_equal(p.src, NET_HOST);
		assert_int_equal(fake_net_counters(&n).dropped_filtered, 1);
	}
	fake_net_free(&n);
	return left;
}

static void the_first_rule_that_fits_decides(void **state)
{
	(void)state;
	assert_true(reaches("", "192.0.2.1", 80));
	assert_false(reaches("deny=192.0.2.0/24", "192.0.2.1", 80));
	assert_true(reaches("deny=192.0.2.0/24", "192.0.3.1", 80));
	assert_true(reaches("allow=192.0.2.1,deny=192.0.2.0/24", "192.0.2.1", 80));
	assert_false(reaches("deny=192.0.2.0/24,allow=192.0.2.1", "192.0.2.1", 80));
	assert_false(reaches("deny=192.0.2.7/24", "192.0.2.1", 80));            /* the host part does not count */
	assert_false(reaches("deny=0.0.0.0/0", "192.0.2.1", 80));
	assert_false(reaches("deny=*", "192.0.2.1", 80));
	assert_true(reaches("deny=::/0", "192.0.2.1", 80));
	assert_false(reaches("deny=10.0.2.2", "10.0.2.2", 80));
}

static void what_no_rule_names_gets_the_opposite_of_the_last_one(void **state)
{
	(void)state;
	assert_false(reaches("allow=192.0.2.0/24", "198.51.100.1", 80));
	assert_false(reaches("allow=192.0.2.0/24", "10.0.2.2", 80));
	assert_true(reaches("allow=192.0.2.0/24,deny=192.0.0.0/16", "198.51.100.1", 80));
	assert_false(reaches("deny=192.0.2.1,allow=192.0.2.0/24", "198.51.100.1", 80));
}

static void ports_narrow_a_rule(void **state)
{
	(void)state;
	assert_false(reaches("deny=192.0.2.0/24:80", "192.0.2.1", 80));
	assert_true(reaches("deny=192.0.2.0/24:80", "192.0.2.1", 81));
	assert_false(reaches("deny=*:20-25", "192.0.2.1", 25));
	assert_true(reaches("deny=*:20-25", "192.0.2.1", 26));
	assert_true(reaches("allow=192.0.2.1:443-444", "192.0.2.1", 444));
	assert_false(reaches("allow=192.0.2.1:443-444", "192.0.2.1", 80));
}

static void a_forbidden_connection_and_ping_are_told_so(void **state)
{
	struct fake_net n;
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t buf[100];

	(void)state;
	start(&n, "deny=93.184.0.0/16");
	guest_tcp_init(&t, &n.guest, NET_OUTSIDE, 5000, 80);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	assert_true(guest_packet(&n.guest, &p));
	assert_int_equal(p.protocol, 1);
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x30d);
	guest_send(&n.guest, buf, guest_icmp(&n.guest, buf, NET_OUTSIDE, 8, 0, 1, "ping", 4));
	assert_true(guest_packet(&n.guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x30d);
	assert_int_equal(n.sockets.opened, 0);
	/* unet's own services are no destinations */
	guest_send(&n.guest, buf, guest_icmp(&n.guest, buf, NET_HOST, 8, 0, 1, "ping", 4));
	assert_true(guest_packet(&n.guest, &p));
	assert_int_equal(p.icmp_type, 0);
	guest_tcp_free(&t);
	fake_net_free(&n);
}

static void bad_rules_are_refused_with_the_reason(void **state)
{
	static const struct { const char *value, *reason; } cases[] = {
		{ "", "the address is none" }, { "1.2.3", "the address is none" }, { "x", "the address is none" },
		{ "1.2.3.4/33", "the mask is a number from 0 to 32" }, { "1.2.3.4/", "the mask is a number from 0 to 32" },
		{ "1.2.3.4/-1", "the mask is a number from 0 to 32" }, { "2001:db8::/129", "the mask is a number from 0 to 128" },
		{ "1.2.3.4:0", "PORTS is PORT or FIRST-LAST, from 1 to 65535" }, { "1.2.3.4:", "PORTS is PORT or FIRST-LAST, from 1 to 65535" },
		{ "1.2.3.4:9-8", "PORTS is PORT or FIRST-LAST, from 1 to 65535" }, { "*:65536", "PORTS is PORT or FIRST-LAST, from 1 to 65535" },
		{ "[::1", "NET[:PORTS] is expected, IPv6 addresses with ports in brackets" },
		{ "[::1]x", "NET[:PORTS] is expected, IPv6 addresses with ports in brackets" }, { "fe80::1%lo", "the address is none" },
		{ "::ffff:1.2.3.4", "the address is none" }, { "*/8", "the address is none" },
	};
	struct unet_config c;
	struct err err;
	char expected[200];

	(void)state;
	unet_config_defaults(&c);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_false(unet_config_set(&c, "deny", cases[i].value, &err));
		snprintf(expected, sizeof(expected), "Parameter 'deny' does not accept '%s': %s", cases[i].value, cases[i].reason);
		assert_string_equal(err.text, expected);
	}
	assert_int_equal(c.filters, 0);
	assert_true(unet_config_set(&c, "deny", "[2001:db8::]/32:443", &err));
	assert_int_equal(c.filter[0].bits, 32);
	assert_int_equal(c.filter[0].first_port, 443);
	assert_true(unet_config_set(&c, "allow", "2001:db8::/33", &err));
	assert_int_equal(c.filter[1].bits, 33);
	assert_int_equal(c.filter[1].last_port, 65535);
	assert_true(unet_config_set(&c, "allow", "10.0.0.0/8", &err));
	assert_int_equal(c.filter[2].bits, 104);
	for (int i = 3; i < UNET_FILTERS; i++)
		assert_true(unet_config_set(&c, "allow", "*", &err));
	assert_false(unet_config_set(&c, "allow", "*", &err));
	assert_string_equal(err.text, "more than 64 allow and deny rules");
	assert_false(unet_config_set(&c, "outbound-addr", "eth0", &err));
	assert_string_equal(err.text, "Parameter 'outbound-addr' expects an address, not 'eth0'");
}

static void without_host_loopback_nothing_of_the_host_is_reached(void **state)
{
	struct fake_net n;
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t buf[100];
	unsigned opened;

	(void)state;
	start(&n, "host-loopback=off");
	n.sockets.own = "192.0.2.9:";
	guest_tcp_init(&t, &n.guest, NET_HOST, 5000, 80);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	assert_true(guest_packet(&n.guest, &p));
	assert_int_equal(p.flags, TCP_RST_ | TCP_ACK_);
	guest_send(&n.guest, buf, guest_udp(&n.guest, buf, NET_HOST, 5000, 7, "x", 1));
	assert_true(guest_packet(&n.guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x303);
	assert_int_equal(n.sockets.opened, 0);
	/* the host's own address on its network is the host, too */
	guest_tcp_free(&t);
	guest_tcp_init(&t, &n.guest, address("192.0.2.9"), 5000, 80);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	assert_true(guest_packet(&n.guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x30d);
	guest_send(&n.guest, buf, guest_udp(&n.guest, buf, address("192.0.2.9"), 5000, 7, "x", 1));
	guest_send(&n.guest, buf, guest_icmp(&n.guest, buf, address("192.0.2.9"), 8, 0, 1, "ping", 4));
	assert_int_equal(n.sockets.open_count, 0);
	assert_int_equal(n.sockets.opened, 1);          /* asked once */
	guest_send(&n.guest, buf, guest_udp(&n.guest, buf, address("192.0.2.10"), 5000, 7, "x", 1));
	assert_int_equal(n.sockets.open_count, 1);
	/* an address may come and go */
	opened = n.sockets.opened;
	n.sockets.own = "";
	fake_net_run(&n, S(2));
	guest_send(&n.guest, buf, guest_udp(&n.guest, buf, address("192.0.2.9"), 5000, 7, "x", 1));
	assert_int_equal(n.sockets.opened, opened + 1);
	assert_int_equal(n.sockets.s[n.sockets.last_open].out_count, 0);
	assert_int_equal(fake_net_counters(&n).dropped_filtered, 3);
	guest_tcp_free(&t);
	fake_net_free(&n);
}

static int socket_to(struct fake_net *n, uint32_t to, uint16_t port)
{
	uint8_t buf[100];

	guest_send(&n->guest, buf, guest_udp(&n->guest, buf, to, 5000, port, "x", 1));
	for (int fd = 3; fd < n->sockets.high; fd++) {
		const struct fake_datagram *d = n->sockets.s[fd].open ? fake_last_sent(&n->sockets, fd) : NULL;

		if (d && ntohs(((const struct sockaddr_in *)&d->addr)->sin_port) == port)
			return fd;
	}
	fail_msg("no datagram to port %d", port);
	return -1;
}

static void what_leaves_has_the_address_and_interface_asked_for(void **state)
{
	struct fake_net n;
	struct guest_tcp t;
	uint8_t buf[100];
	int fd;

	(void)state;
	start(&n, "outbound-addr=192.0.2.9,outbound-if=wan0,dns-host=192.0.2.53,dns-host=127.0.0.1:54");
	assert_int_equal(n.sockets.open_count, 0);
	guest_tcp_init(&t, &n.guest, NET_OUTSIDE, 5000, 80);
	guest_tcp_open(&t);
	fd = n.sockets.last_open;
	assert_int_equal(strncmp(fake_text(&n.sockets.s[fd].local), "192.0.2.9:", 10), 0);
	assert_string_equal(n.sockets.s[fd].device, "wan0");
	guest_tcp_free(&t);
	/* but not towards the host itself */
	guest_tcp_init(&t, &n.guest, NET_HOST, 5001, 80);
	guest_tcp_open(&t);
	fd = n.sockets.last_open;
	assert_string_equal(fake_text(&n.sockets.s[fd].local), "0.0.0.0:0");
	assert_string_equal(n.sockets.s[fd].device, "");
	/* one port of the guest's towards both */
	fd = socket_to(&n, NET_OUTSIDE, 7);
	assert_string_equal(n.sockets.s[fd].device, "wan0");
	assert_int_equal(socket_to(&n, address("192.0.2.77"), 8), fd);
	assert_string_equal(n.sockets.s[socket_to(&n, NET_HOST, 9)].device, "");
	guest_send(&n.guest, buf, guest_icmp(&n.guest, buf, NET_OUTSIDE, 8, 0, 1, "ping", 4));
	assert_string_equal(n.sockets.s[n.sockets.last_open].device, "wan0");
	guest_tcp_free(&t);
	fake_net_free(&n);
}

static void what_the_host_does_not_have_is_refused_at_once(void **state)
{
	struct fake_net n;
	struct unet_config c;
	struct err err;

	(void)state;
	fake_net_config(&n, &c);
	assert_true(unet_config_set(&c, "outbound-if", "none", &err));
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "outbound-if 'none': No such device");
	c.outbound_if = NULL;
	assert_true(unet_config_set(&c, "outbound-addr", "192.0.2.9", &err));
	n.sockets.bind_error = EADDRNOTAVAIL;
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "outbound-addr '192.0.2.9': Cannot assign requested address");
	assert_int_equal(n.sockets.open_count, 0);
	fake_net_free(&n);
}

static void an_address_that_went_away_makes_the_outside_unreachable(void **state)
{
	struct fake_net n;
	struct guest_packet p;
	struct guest_tcp t;

	(void)state;
	start(&n, "outbound-addr=192.0.2.9");
	n.sockets.bind_error = EADDRNOTAVAIL;
	guest_tcp_init(&t, &n.guest, NET_OUTSIDE, 5000, 80);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	assert_true(guest_packet(&n.guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x300);
	assert_int_equal(n.sockets.open_count, 0);
	guest_tcp_free(&t);
	fake_net_free(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_rule_that_fits_decides),
		cmocka_unit_test(what_no_rule_names_gets_the_opposite_of_the_last_one),
		cmocka_unit_test(ports_narrow_a_rule),
		cmocka_unit_test(a_forbidden_connection_and_ping_are_told_so),
		cmocka_unit_test(bad_rules_are_refused_with_the_reason),
		cmocka_unit_test(without_host_loopback_nothing_of_the_host_is_reached),
		cmocka_unit_test(what_leaves_has_the_address_and_interface_asked_for),
		cmocka_unit_test(what_the_host_does_not_have_is_refused_at_once),
		cmocka_unit_test(an_address_that_went_away_makes_the_outside_unreachable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
