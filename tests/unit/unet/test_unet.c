/* SPDX-License-Identifier: MIT */
/* Configuration, and several instances in one process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/fake_net.h"

static const char *text(struct in_addr a)
{
	return inet_ntoa(a);
}

static void defaults_are_qemus(void **state)
{
	struct unet_config c;

	(void)state;
	unet_config_defaults(&c);
	assert_string_equal(text(c.net), "10.0.2.0");
	assert_string_equal(text(c.mask), "255.255.255.0");
	assert_string_equal(text(c.host), "10.0.2.2");
	assert_string_equal(text(c.dns), "10.0.2.3");
	assert_string_equal(text(c.dhcpstart), "10.0.2.15");
	assert_int_equal(c.mtu, 1500);
	assert_true(c.ipv4 && c.host_loopback && !c.restricted);
}

static void addresses_follow_from_the_net(void **state)
{
	static const struct { const char *net, *mask, *base, *host, *dhcp; } cases[] = {
		{ "192.168.76.0/24", "255.255.255.0", "192.168.76.0", "192.168.76.2", "192.168.76.15" },
		{ "192.168.76.9/28", "255.255.255.240", "192.168.76.0", "192.168.76.2", "192.168.76.15" },
		{ "10.0.0.0", "255.0.0.0", "10.0.0.0", "10.0.2.2", "10.0.2.15" },
		{ "172.20.0.0", "255.240.0.0", "172.16.0.0", "172.16.2.2", "172.16.2.15" },
		{ "150.1.0.0", "255.255.0.0", "150.1.0.0", "150.1.2.2", "150.1.2.15" },
		{ "192.168.5.0", "255.255.0.0", "192.168.0.0", "192.168.2.2", "192.168.2.15" },
		{ "198.18.0.0", "255.254.0.0", "198.18.0.0", "198.18.2.2", "198.18.2.15" },
		{ "200.1.2.0", "255.255.255.0", "200.1.2.0", "200.1.2.2", "200.1.2.15" },
		{ "10.9.0.0/255.255.0.0", "255.255.0.0", "10.9.0.0", "10.9.2.2", "10.9.2.15" },
		{ "10.0.0.0/4", "240.0.0.0", "0.0.0.0", "0.0.2.2", "0.0.2.15" },
	};
	struct unet_config c;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unet_config_defaults(&c);
		assert_true(unet_config_addresses(&c, cases[i].net, NULL, NULL, NULL, &err));
		assert_string_equal(text(c.mask), cases[i].mask);
		assert_string_equal(text(c.net), cases[i].base);
		assert_string_equal(text(c.host), cases[i].host);
		assert_string_equal(text(c.dhcpstart), cases[i].dhcp);
	}
}

static void wrong_addresses_are_refused_with_qemus_words(void **state)
{
	static const struct { const char *net, *host, *dns, *dhcp, *message; } cases[] = {
		{ "10.0.2.0/3", NULL, NULL, NULL, "Invalid netmask provided (must be in range 4-32)" },
		{ "10.0.2.0/33", NULL, NULL, NULL, "Invalid netmask provided (must be in range 4-32)" },
		{ "10.0.2.0/24x", NULL, NULL, NULL, "Failed to parse netmask (trailing chars)" },
		{ "10.0.2.0/", NULL, NULL, NULL, "Failed to parse netmask (trailing chars)" },
		{ "10.0.2.0/255.0.255.0", NULL, NULL, NULL, "Invalid netmask provided (must be in range 4-32)" },
		{ "10.0.2.x/24", NULL, NULL, NULL, "Failed to parse network address" },
		{ "10.0.2.0/30", NULL, NULL, NULL, "DHCP must be different from host and DNS" },
		{ NULL, "10.0.3.2", NULL, NULL, "Host doesn't belong to network" },
		{ NULL, "x", NULL, NULL, "Failed to parse host" },
		{ NULL, NULL, "10.0.2.2", NULL, "DNS must be different from host" },
		{ NULL, NULL, "x", NULL, "Failed to parse DNS" },
		{ NULL, NULL, NULL, "10.0.3.15", "DHCP doesn't belong to network" },
		{ NULL, NULL, NULL, "10.0.2.3", "DHCP must be different from host and DNS" },
		{ NULL, NULL, NULL, "x", "Failed to parse DHCP start address" },
	};
	struct unet_config c;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unet_config_defaults(&c);
		assert_false(unet_config_addresses(&c, cases[i].net, cases[i].host, cases[i].dns, cases[i].dhcp, &err));
		assert_string_equal(err.text, cases[i].message);
	}
	unet_config_defaults(&c);
	assert_true(unet_config_addresses(&c, NULL, NULL, "8.8.8.8", NULL, &err));
	c.restricted = true;
	assert_false(unet_config_addresses(&c, NULL, NULL, "8.8.8.8", NULL, &err));
	assert_string_equal(err.text, "DNS doesn't belong to network");
}

static void overlong_texts_and_odd_sizes_are_refused(void **state)
{
	struct fake_net n;
	struct unet_config c, good;
	char longer[300];
	struct err err;

	(void)state;
	memset(longer, 'x', sizeof(longer));
	longer[256] = '\0';
	fake_net_config(&n, &good);
	c = good;
	c.hostname = longer;
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "'hostname' parameter cannot exceed 255 bytes");
	c = good;
	c.bootfile = longer + 100;
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "'bootfile' parameter cannot exceed 127 bytes");
	c = good;
	c.domainname = "";
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "'domainname' parameter cannot be empty");
	c = good;
	c.mtu = 575;
	assert_null(unet_new(&c, &err));
	c = good;
	c.ipv4 = c.ipv6 = false;
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "IPv4 and IPv6 disabled");
	c.ipv6 = true;
	c.mtu = 1279;
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "mtu must be from 1280 to 65520 for IPv6");
	c = good;
	c.dnssearch[0] = "fine.example";
	c.dnssearch[1] = "not..fine";
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "dnssearch 'not..fine' is not a domain name");
	fake_net_free(&n);
}

/* Two guests with the same addresses and ports, each on a unet of its own; one clock. */
static void instances_keep_to_themselves(void **state)
{
	struct fake_net a, b;
	struct unet_config c;
	struct guest_tcp ta, tb;
	struct fake_clock unused;
	int fa, fb;

	(void)state;
	fake_net_init(&a, 0);
	fake_net_config(&b, &c);
	unused = b.clock;
	c.clock = a.clock.clock;
	assert_true(fake_net_start(&b, &c, 0));
	guest_tcp_init(&ta, &a.guest, NET_HOST, 20000, 8790);
	guest_tcp_init(&tb, &b.guest, NET_HOST, 20000, 8790);
	assert_true(guest_tcp_open(&ta));
	assert_true(guest_tcp_open(&tb));
	fa = a.sockets.last_open;
	fb = b.sockets.last_open;
	guest_tcp_send(&ta, TCP_ACK_, "from a", 6);
	guest_tcp_send(&tb, TCP_ACK_, "from b", 6);
	assert_memory_equal(a.sockets.s[fa].sent, "from a", 6);
	assert_memory_equal(b.sockets.s[fb].sent, "from b", 6);
	fake_peer_sends(&a.sockets, fa, "to a", 4);
	fake_peer_sends(&b.sockets, fb, "to b", 4);
	fake_net_run(&a, MS(100));
	fake_sockets_poll(&b.sockets, 10);
	guest_tcp_run(&ta);
	guest_tcp_run(&tb);
	assert_memory_equal(ta.got, "to a", 4);
	assert_memory_equal(tb.got, "to b", 4);
	guest_tcp_send(&ta, TCP_RST_, NULL, 0);
	assert_int_equal(a.sockets.open_count, 0);
	assert_int_equal(b.sockets.open_count, 1);
	/* the first goes, the second's timers go on: what its guest does not acknowledge is sent again */
	guest_free(&a.guest);
	unet_free(a.u);
	a.u = NULL;
	fake_peer_sends(&b.sockets, fb, "more", 4);
	fake_sockets_poll(&b.sockets, 10);
	guest_forget(&b.guest);
	fake_clock_advance(&a.clock, S(5));
	guest_tcp_run(&tb);
	assert_int_equal(tb.got_len, 8);
	guest_free(&b.guest);
	unet_free(b.u);
	b.u = NULL;
	b.clock = unused;
	guest_tcp_free(&ta);
	guest_tcp_free(&tb);
	fake_net_free(&b);
	fake_net_free(&a);
}

/* The same inputs, on the same clock, give the same frames to the last byte. */
static uint64_t run_script(void)
{
	struct fake_net n;
	struct guest_tcp t;
	const struct guest_frame *f;
	uint64_t hash = 14695981039346656037u;
	uint8_t buf[200], data[50000];

	fake_net_init(&n, 0);
	memset(data, 'd', sizeof(data));
	guest_send(&n.guest, buf, guest_icmp(&n.guest, buf, NET_HOST, 8, 0, 1, "ping", 4));
	guest_tcp_init(&t, &n.guest, NET_OUTSIDE, 5000, 80);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	f = guest_next(&n.guest);
	for (int i = 0; i < 400; i++) {
		while ((f = guest_next(&n.guest))) {
			for (uint32_t k = 0; k < f->len; k++)
				hash = (hash ^ f->data[k]) * 1099511628211u;
			if (f->data[23] == 6 && (be16(f->data + 16) > 40 || (f->data[47] & TCP_SYN_))) {
				t.rcv_nxt = be32(f->data + 38) + (f->data[47] & TCP_SYN_ ? 1 : be16(f->data + 16) - 40u);
				guest_tcp_send(&t, TCP_ACK_, "x", 1);
			}
		}
		if (i == 5 && n.sockets.open_count)
			fake_peer_sends(&n.sockets, n.sockets.last_open, data, sizeof(data));
		fake_net_run(&n, MS(10));
	}
	guest_tcp_free(&t);
	fake_net_free(&n);
	return hash;
}

static void the_same_inputs_give_the_same_frames(void **state)
{
	uint64_t first = run_script();

	(void)state;
	assert_int_equal(run_script(), first);
	assert_int_equal(run_script(), first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_qemus),
		cmocka_unit_test(addresses_follow_from_the_net),
		cmocka_unit_test(wrong_addresses_are_refused_with_qemus_words),
		cmocka_unit_test(overlong_texts_and_odd_sizes_are_refused),
		cmocka_unit_test(instances_keep_to_themselves),
		cmocka_unit_test(the_same_inputs_give_the_same_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
