/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/fake_net.h"

enum { ETH = 14, IP6 = 40, HEADERS = ETH + IP6 };
static const uint8_t none[16];

static void a_solicitation_is_answered_with_all_that_a_host_needs(void **state)
{
	struct unet_config c;
	struct fake_net *n = *state = fake_net_new(&c);
	struct guest_packet p;
	const uint8_t *o;
	uint8_t buf[200];

	c.dnssearch[0] = "a.example";
	c.dnssearch[1] = "b.test";
	c.mtu = 1400;
	assert_true(fake_net_start(n, &c, 0));
	guest_send(&n->guest, buf, guest_ndp(&n->guest, buf, NULL, net6_all_routers, 133, 0, NULL, 0));
	assert_true(guest_packet(&n->guest, &p));
	assert_true(p.v6);
	assert_int_equal(p.icmp_type, 134);
	assert_int_equal(p.ttl, 255);
	assert_memory_equal(p.src6, net6_link_host, 16);
	assert_memory_equal(p.dst6, n->guest.link6, 16);
	assert_memory_equal(p.eth, n->guest.mac, 6);
	assert_memory_equal(p.eth + 6, "\x52\x56\0\0\0\2", 6);
	assert_int_equal(p.l4[4], 64);
	assert_int_equal(p.l4[5], 0x40);                        /* O: there is more by DHCPv6 */
	assert_int_equal(be16(p.l4 + 6), 1800);
	o = guest_ndp_option(&p, 16, 1);
	assert_memory_equal(o + 2, "\x52\x56\0\0\0\2", 6);
	o = guest_ndp_option(&p, 16, 5);
	assert_int_equal(be32(o + 4), 1400);
	o = guest_ndp_option(&p, 16, 3);
	assert_int_equal(o[2], 64);
	assert_int_equal(o[3], 0xc0);
	assert_int_equal(be32(o + 4), 86400);
	assert_int_equal(be32(o + 8), 14400);
	assert_memory_equal(o + 16, "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	o = guest_ndp_option(&p, 16, 25);
	assert_memory_equal(o + 8, net6_dns, 16);
	o = guest_ndp_option(&p, 16, 31);
	assert_int_equal(o[1], 4);
	assert_memory_equal(o + 8, "\1a\7example\0\1b\4test\0\0\0\0\0\0", 24);
	/* asked by one without an address: everyone hears it */
	guest_send(&n->guest, buf, guest_ndp(&n->guest, buf, none, net6_all_routers, 133, 0, NULL, 0));
	assert_true(guest_packet(&n->guest, &p));
	assert_memory_equal(p.dst6, net6_all_nodes, 16);
	assert_memory_equal(p.eth, "\x33\x33\0\0\0\1", 6);
}

static void the_router_is_heard_every_few_minutes(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	unsigned heard = 0;

	fake_clock_advance(&n->clock, S(3600));
	while (guest_packet(&n->guest, &p)) {
		assert_int_equal(p.icmp_type, 134);
		assert_memory_equal(p.dst6, net6_all_nodes, 16);
		heard++;
	}
	assert_in_range(heard, 6, 18);
}

static void a_prefix_of_odd_length_sends_hosts_to_dhcp(void **state)
{
	struct unet_config c;
	struct fake_net *n = *state = fake_net_new(&c);
	struct guest_packet p;
	uint8_t buf[200];

	assert_true(unet_config_addresses6(&c, "2001:db8:1:2:3::/80", NULL, NULL, NULL, NULL, NULL));
	assert_true(fake_net_start(n, &c, 0));
	guest_send(&n->guest, buf, guest_ndp(&n->guest, buf, NULL, net6_all_routers, 133, 0, NULL, 0));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.l4[5], 0xc0);
	assert_int_equal(guest_ndp_option(&p, 16, 3)[2], 80);
	assert_memory_equal(guest_ndp_option(&p, 16, 25) + 8, "\x20\1\x0d\xb8\0\1\0\2\0\3\0\0\0\0\0\3", 16);
	memcpy(n->guest.ip6, "\x20\1\x0d\xb8\0\1\0\2\0\3\0\0\0\0\0\x15", 16);
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, "\x20\1\x0d\xb8\0\1\0\2\0\3\0\0\0\0\0\2", 128, 0, 1, "x", 1));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type, 129);
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, net6_host, 128, 0, 1, "x", 1));      /* elsewhere now */
	assert_false(guest_packet(&n->guest, &p));
}

static void solicitations_are_answered_for_our_addresses_only(void **state)
{
	struct fake_net *n = *state;
	static const uint8_t other[16] = { 0xfe, 0xc0, [15] = 9 };
	const uint8_t *own[] = { net6_host, net6_dns, net6_link_host, net6_link_dns };
	struct guest_packet p;
	uint8_t buf[200];

	for (unsigned i = 0; i < 4; i++) {
		guest_send(&n->guest, buf, guest_solicit(&n->guest, buf, own[i], false));
		assert_true(guest_packet(&n->guest, &p));
		assert_int_equal(p.icmp_type, 136);
		assert_int_equal(p.ttl, 255);
		assert_int_equal(p.l4[4], 0xe0);                /* router, solicited, override */
		assert_memory_equal(p.l4 + 8, own[i], 16);
		assert_memory_equal(p.src6, own[i], 16);
		assert_memory_equal(p.dst6, n->guest.link6, 16);
		assert_memory_equal(guest_ndp_option(&p, 24, 2) + 2, p.eth + 6, 6);
		assert_int_equal(p.eth[11], own[i][15]);
		/* asked in person, as one does to see whether the other is still there */
		guest_ndp(&n->guest, buf, NULL, own[i], 135, 0, own[i], 16);
		guest_send(&n->guest, buf, HEADERS + 24);
		assert_true(guest_packet(&n->guest, &p));
		assert_int_equal(p.icmp_type, 136);
	}
	guest_send(&n->guest, buf, guest_solicit(&n->guest, buf, other, false));
	assert_false(guest_packet(&n->guest, &p));
	guest_send(&n->guest, buf, guest_solicit(&n->guest, buf, net6_outside, false));
	assert_false(guest_packet(&n->guest, &p));
}

static void a_test_for_a_free_address_hears_only_of_ours(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200];

	guest_send(&n->guest, buf, guest_solicit(&n->guest, buf, n->guest.ip6, true));
	assert_false(guest_packet(&n->guest, &p));
	guest_send(&n->guest, buf, guest_solicit(&n->guest, buf, net6_host, true));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type, 136);
	assert_memory_equal(p.dst6, net6_all_nodes, 16);
	assert_int_equal(p.l4[4], 0xa0);                                /* nobody solicited it */
}

static void broken_discovery_is_dropped(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200], good[200];
	size_t len = guest_solicit(&n->guest, good, net6_host, false);

	for (size_t cut = 0; cut < len; cut++)
		guest_send(&n->guest, good, cut);
	for (size_t at = ETH; at < len; at++) {
		memcpy(buf, good, len);
		buf[at] ^= 0x40;
		guest_send(&n->guest, buf, len);
		/* traffic class and flow label may be anything */
		assert_int_equal(guest_packet(&n->guest, &p), at >= 15 && at <= 17);
	}
	memcpy(buf, good, len);
	buf[ETH + 7] = 254;                                             /* from beyond a router */
	guest_send(&n->guest, buf, len);
	memcpy(buf, good, len);
	buf[HEADERS + 25] = 0;                                          /* an option of no length */
	guest_fix_l4(buf);
	guest_send(&n->guest, buf, len);
	buf[HEADERS + 25] = 2;                                          /* of too much */
	guest_fix_l4(buf);
	guest_send(&n->guest, buf, len);
	memcpy(buf, good, len);
	memcpy(buf + ETH + 8, none, 16);                                /* no sender, but at this address */
	guest_fix_l4(buf);
	guest_send(&n->guest, buf, len);
	memcpy(buf, good, len);
	memcpy(buf + ETH + 8, net6_host, 16);                               /* us */
	guest_fix_l4(buf);
	guest_send(&n->guest, buf, len);
	assert_false(guest_packet(&n->guest, &p));
}

static void a_guest_is_asked_for_and_packets_wait(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200];

	n->guest.no_arp = n->guest.keep_arp = true;
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, net6_host, 128, 0, 1, "x", 1));
	for (int i = 0; i < 3; i++) {
		uint8_t group[16] = { 0xff, 2, [11] = 1, 0xff, 0x12, 0x34, n->guest.ip6[15] };

		assert_true(guest_packet(&n->guest, &p));
		assert_int_equal(p.icmp_type, 135);
		assert_memory_equal(p.src6, net6_link_host, 16);
		assert_memory_equal(p.dst6, group, 16);
		assert_memory_equal(p.eth, "\x33\x33\xff\x12\x34", 5);
		assert_memory_equal(p.l4 + 8, n->guest.ip6, 16);
		assert_memory_equal(guest_ndp_option(&p, 24, 1) + 2, "\x52\x56\0\0\0\2", 6);
		assert_false(guest_packet(&n->guest, &p));
		fake_clock_advance(&n->clock, S(1));
	}
	assert_false(guest_packet(&n->guest, &p));                      /* given up */
	n->guest.no_arp = n->guest.keep_arp = false;
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, net6_host, 128, 0, 1, "y", 1));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type, 129);
	assert_memory_equal(p.data, "y", 1);
}

static void nobody_can_become_the_gateway(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200], body[24];

	memcpy(body, net6_host, 16);
	memcpy(body + 16, "\2\1", 2);
	memcpy(body + 18, n->guest.mac, 6);
	guest_send(&n->guest, buf, guest_ndp(&n->guest, buf, NULL, net6_all_nodes, 136, 0x20000000, body, 24));
	memset(body, 0, sizeof(body));
	/* another router */
	guest_send(&n->guest, buf, guest_ndp(&n->guest, buf, NULL, net6_all_nodes, 134, 0x40000708, body, 8));
	guest_send(&n->guest, buf, guest_ndp(&n->guest, buf, NULL, net6_all_nodes, 137, 0, body, 24));
	assert_false(guest_packet(&n->guest, &p));
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, net6_dns, 128, 0, 1, "y", 1));
	assert_true(guest_packet(&n->guest, &p));
	assert_memory_equal(p.src6, net6_dns, 16);
	assert_memory_equal(p.eth + 6, "\x52\x56\0\0\0\3", 6);
}

static void a_flood_of_neighbors_is_bounded(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200], mine[16];

	memcpy(mine, n->guest.ip6, 16);
	for (unsigned i = 0; i < 20000; i++) {
		put_be32(n->guest.ip6 + 8, i);
		guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, net6_host, 128, 0, 1, "x", 1));
		guest_forget(&n->guest);
	}
	memcpy(n->guest.ip6, mine, 16);
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, net6_host, 128, 0, 1, "z", 1));
	assert_true(guest_packet(&n->guest, &p));
	assert_memory_equal(p.data, "z", 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_net_setup, fake_net_teardown)
#define OWN(f) cmocka_unit_test_teardown(f, fake_net_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OWN(a_solicitation_is_answered_with_all_that_a_host_needs),
		TEST(the_router_is_heard_every_few_minutes),
		OWN(a_prefix_of_odd_length_sends_hosts_to_dhcp),
		TEST(solicitations_are_answered_for_our_addresses_only),
		TEST(a_test_for_a_free_address_hears_only_of_ours),
		TEST(broken_discovery_is_dropped),
		TEST(a_guest_is_asked_for_and_packets_wait),
		TEST(nobody_can_become_the_gateway),
		TEST(a_flood_of_neighbors_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
