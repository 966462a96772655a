/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/fake/fake_net.h"

enum { ETH = 14, IP6 = 40, HEADERS = ETH + IP6 };

static const uint8_t host6[16] = { 0xfe, 0xc0, [15] = 2 }, dns6[16] = { 0xfe, 0xc0, [15] = 3 };
static const uint8_t link_host6[16] = { 0xfe, 0x80, [15] = 2 }, link_dns6[16] = { 0xfe, 0x80, [15] = 3 };
static const uint8_t outside6[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 0x22 };
static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 }, all_routers[16] = { 0xff, 2, [15] = 2 };
static const uint8_t none[16];

static struct fake_net *start(struct unet_config *c, unsigned accepts)
{
	struct fake_net *n = calloc(1, sizeof(*n));
	struct unet_config mine;

	if (!c) {
		fake_net_config(n, &mine);
		assert_true(fake_net_start(n, &mine, accepts));
		return n;
	}
	fake_net_config(n, &mine);
	mine.restricted = c->restricted;
	mine.host_loopback = c->host_loopback;
	memcpy(mine.dnssearch, c->dnssearch, sizeof(mine.dnssearch));
	mine.ipv4 = c->ipv4;
	mine.mtu = c->mtu;
	if (c->prefixlen) {
		mine.prefix = c->prefix;
		mine.prefixlen = c->prefixlen;
		mine.host6 = c->host6;
		mine.dns6 = c->dns6;
	}
	assert_true(fake_net_start(n, &mine, accepts));
	return n;
}

static int setup(void **state)
{
	*state = start(NULL, 0);
	return 0;
}

static int setup_restricted(void **state)
{
	struct unet_config c;

	unet_config_defaults(&c);
	c.restricted = true;
	*state = start(&c, 0);
	return 0;
}

static int teardown(void **state)
{
	struct fake_net *n = *state;

	assert_int_equal(n->guest.bad_checksums, 0);
	fake_net_free(n);
	free(n);
	return 0;
}

/* A neighbour or router discovery message. */
static size_t ndp(struct fake_net *n, uint8_t *buf, const uint8_t *src, const uint8_t *dst, uint8_t type, uint32_t flags,
		  const void *body, size_t len)
{
	guest_icmp6(&n->guest, buf, dst, type, 0, flags, body, len);
	if (src)
		memcpy(buf + ETH + 8, src, 16);
	buf[ETH + 7] = 255;
	guest_fix_l4(buf);
	return HEADERS + 8 + len;
}

/* A neighbour solicitation for target, with the source address option unless `anonymous`. */
static size_t solicit(struct fake_net *n, uint8_t *buf, const uint8_t *target, bool anonymous)
{
	uint8_t group[16] = { 0xff, 2, [11] = 1, 0xff, target[13], target[14], target[15] }, body[24];

	memcpy(body, target, 16);
	memcpy(body + 16, "\1\1", 2);
	memcpy(body + 18, n->guest.mac, 6);
	return ndp(n, buf, anonymous ? none : NULL, group, 135, 0, body, anonymous ? 16 : 24);
}

static const uint8_t *option(const struct guest_packet *p, size_t fixed, uint8_t type)
{
	for (const uint8_t *o = p->l4 + fixed; o < p->data + p->data_len; o += o[1] * 8) {
		assert_true(o[1] > 0);
		if (o[0] == type)
			return o;
	}
	return NULL;
}

/* --- discovery ---------------------------------------------------------------------------------------------------- */

static void a_solicitation_is_answered_with_all_that_a_host_needs(void **state)
{
	struct unet_config c;
	struct fake_net *n;
	struct guest_packet p;
	const uint8_t *o;
	uint8_t buf[200];

	unet_config_defaults(&c);
	c.dnssearch[0] = "a.example";
	c.dnssearch[1] = "b.test";
	c.mtu = 1400;
	*state = n = start(&c, 0);
	guest_send(&n->guest, buf, ndp(n, buf, NULL, all_routers, 133, 0, NULL, 0));
	assert_true(guest_packet(&n->guest, &p));
	assert_true(p.v6);
	assert_int_equal(p.icmp_type, 134);
	assert_int_equal(p.ttl, 255);
	assert_memory_equal(p.src6, link_host6, 16);
	assert_memory_equal(p.dst6, n->guest.link6, 16);
	assert_memory_equal(p.eth, n->guest.mac, 6);
	assert_memory_equal(p.eth + 6, "\x52\x56\0\0\0\2", 6);
	assert_int_equal(p.l4[4], 64);
	assert_int_equal(p.l4[5], 0x40);                        /* O: there is more by DHCPv6 */
	assert_int_equal(be16(p.l4 + 6), 1800);
	o = option(&p, 16, 1);
	assert_memory_equal(o + 2, "\x52\x56\0\0\0\2", 6);
	o = option(&p, 16, 5);
	assert_int_equal(be32(o + 4), 1400);
	o = option(&p, 16, 3);
	assert_int_equal(o[2], 64);
	assert_int_equal(o[3], 0xc0);
	assert_int_equal(be32(o + 4), 86400);
	assert_int_equal(be32(o + 8), 14400);
	assert_memory_equal(o + 16, "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	o = option(&p, 16, 25);
	assert_memory_equal(o + 8, dns6, 16);
	o = option(&p, 16, 31);
	assert_int_equal(o[1], 4);
	assert_memory_equal(o + 8, "\1a\7example\0\1b\4test\0\0\0\0\0\0", 24);
	/* asked by one without an address: everyone hears it */
	guest_send(&n->guest, buf, ndp(n, buf, none, all_routers, 133, 0, NULL, 0));
	assert_true(guest_packet(&n->guest, &p));
	assert_memory_equal(p.dst6, all_nodes, 16);
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
		assert_memory_equal(p.dst6, all_nodes, 16);
		heard++;
	}
	assert_in_range(heard, 6, 18);
}

static void a_prefix_of_odd_length_sends_hosts_to_dhcp(void **state)
{
	struct unet_config c;
	struct fake_net *n;
	struct guest_packet p;
	uint8_t buf[200];

	unet_config_defaults(&c);
	assert_true(unet_config_addresses6(&c, "2001:db8:1:2:3::/80", NULL, NULL, NULL, NULL, NULL));
	*state = n = start(&c, 0);
	guest_send(&n->guest, buf, ndp(n, buf, NULL, all_routers, 133, 0, NULL, 0));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.l4[5], 0xc0);
	assert_int_equal(option(&p, 16, 3)[2], 80);
	assert_memory_equal(option(&p, 16, 25) + 8, "\x20\1\x0d\xb8\0\1\0\2\0\3\0\0\0\0\0\3", 16);
	memcpy(n->guest.ip6, "\x20\1\x0d\xb8\0\1\0\2\0\3\0\0\0\0\0\x15", 16);
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, "\x20\1\x0d\xb8\0\1\0\2\0\3\0\0\0\0\0\2", 128, 0, 1, "x", 1));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type, 129);
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, host6, 128, 0, 1, "x", 1));      /* elsewhere now */
	assert_false(guest_packet(&n->guest, &p));
}

static void solicitations_are_answered_for_our_addresses_only(void **state)
{
	struct fake_net *n = *state;
	static const uint8_t other[16] = { 0xfe, 0xc0, [15] = 9 };
	const uint8_t *own[] = { host6, dns6, link_host6, link_dns6 };
	struct guest_packet p;
	uint8_t buf[200];

	for (unsigned i = 0; i < 4; i++) {
		guest_send(&n->guest, buf, solicit(n, buf, own[i], false));
		assert_true(guest_packet(&n->guest, &p));
		assert_int_equal(p.icmp_type, 136);
		assert_int_equal(p.ttl, 255);
		assert_int_equal(p.l4[4], 0xe0);                /* router, solicited, override */
		assert_memory_equal(p.l4 + 8, own[i], 16);
		assert_memory_equal(p.src6, own[i], 16);
		assert_memory_equal(p.dst6, n->guest.link6, 16);
		assert_memory_equal(option(&p, 24, 2) + 2, p.eth + 6, 6);
		assert_int_equal(p.eth[11], own[i][15]);
		/* asked in person, as one does to see whether the other is still there */
		ndp(n, buf, NULL, own[i], 135, 0, own[i], 16);
		guest_send(&n->guest, buf, HEADERS + 24);
		assert_true(guest_packet(&n->guest, &p));
		assert_int_equal(p.icmp_type, 136);
	}
	guest_send(&n->guest, buf, solicit(n, buf, other, false));
	assert_false(guest_packet(&n->guest, &p));
	guest_send(&n->guest, buf, solicit(n, buf, outside6, false));
	assert_false(guest_packet(&n->guest, &p));
}

static void a_test_for_a_free_address_hears_only_of_ours(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200];

	guest_send(&n->guest, buf, solicit(n, buf, n->guest.ip6, true));
	assert_false(guest_packet(&n->guest, &p));
	guest_send(&n->guest, buf, solicit(n, buf, host6, true));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type, 136);
	assert_memory_equal(p.dst6, all_nodes, 16);
	assert_int_equal(p.l4[4], 0xa0);                                /* nobody solicited it */
}

static void broken_discovery_is_dropped(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200], good[200];
	size_t len = solicit(n, good, host6, false);

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
	memcpy(buf + ETH + 8, host6, 16);                               /* us */
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
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, host6, 128, 0, 1, "x", 1));
	for (int i = 0; i < 3; i++) {
		uint8_t group[16] = { 0xff, 2, [11] = 1, 0xff, 0x12, 0x34, n->guest.ip6[15] };

		assert_true(guest_packet(&n->guest, &p));
		assert_int_equal(p.icmp_type, 135);
		assert_memory_equal(p.src6, link_host6, 16);
		assert_memory_equal(p.dst6, group, 16);
		assert_memory_equal(p.eth, "\x33\x33\xff\x12\x34", 5);
		assert_memory_equal(p.l4 + 8, n->guest.ip6, 16);
		assert_memory_equal(option(&p, 24, 1) + 2, "\x52\x56\0\0\0\2", 6);
		assert_false(guest_packet(&n->guest, &p));
		fake_clock_advance(&n->clock, S(1));
	}
	assert_false(guest_packet(&n->guest, &p));                      /* given up */
	n->guest.no_arp = n->guest.keep_arp = false;
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, host6, 128, 0, 1, "y", 1));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type, 129);
	assert_memory_equal(p.data, "y", 1);
}

static void nobody_can_become_the_gateway(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200], body[24];

	memcpy(body, host6, 16);
	memcpy(body + 16, "\2\1", 2);
	memcpy(body + 18, n->guest.mac, 6);
	guest_send(&n->guest, buf, ndp(n, buf, NULL, all_nodes, 136, 0x20000000, body, 24));
	memset(body, 0, sizeof(body));
	guest_send(&n->guest, buf, ndp(n, buf, NULL, all_nodes, 134, 0x40000708, body, 8));     /* another router */
	guest_send(&n->guest, buf, ndp(n, buf, NULL, all_nodes, 137, 0, body, 24));
	assert_false(guest_packet(&n->guest, &p));
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, dns6, 128, 0, 1, "y", 1));
	assert_true(guest_packet(&n->guest, &p));
	assert_memory_equal(p.src6, dns6, 16);
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
		guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, host6, 128, 0, 1, "x", 1));
		guest_forget(&n->guest);
	}
	memcpy(n->guest.ip6, mine, 16);
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, host6, 128, 0, 1, "z", 1));
	assert_true(guest_packet(&n->guest, &p));
	assert_memory_equal(p.data, "z", 1);
}

/* --- echo and ICMPv6 ---------------------------------------------------------------------------------------------- */

static void gateway_dns_and_groups_answer_echo(void **state)
{
	struct fake_net *n = *state;
	static const struct { const uint8_t *to, *from; } cases[] = {
		{ host6, host6 }, { dns6, dns6 }, { link_host6, link_host6 }, { all_nodes, link_host6 }, { all_routers, link_host6 },
	};
	static uint8_t buf[2000], data[1400];
	struct guest_packet p;

	for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
		data[i] = (uint8_t)i;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, cases[i].to, 128, 0, 0x12340007, data, i * 300));
		assert_true(guest_packet(&n->guest, &p));
		assert_int_equal(p.icmp_type, 129);
		assert_memory_equal(p.src6, cases[i].from, 16);
		assert_int_equal(be32(p.l4 + 4), 0x12340007);
		assert_int_equal(p.data_len, i * 300);
		assert_memory_equal(p.data, data, p.data_len);
	}
}

static void echo_elsewhere_goes_by_a_ping_socket(void **state)
{
	struct fake_net *n = *state;
	struct sock_error e = { .error = EHOSTUNREACH, .icmp = 6, .type = 3, .code = 0, .len = 12 };
	struct guest_packet p;
	uint8_t buf[200], reply[12] = { 129, 0, 0, 0, 0x99, 0x99, 0, 7, 'a', 'b', 'c', 'd' };
	int fd;

	guest_icmp6(&n->guest, buf, outside6, 128, 0, 0x12340007, "abcd", 4);
	buf[ETH + 7] = 9;
	guest_send(&n->guest, buf, HEADERS + 12);
	fd = n->sockets.last_open;
	assert_int_equal(n->sockets.s[fd].family, AF_INET6);
	assert_int_equal(n->sockets.s[fd].protocol, 58);
	assert_int_equal(n->sockets.s[fd].ttl, 8);
	assert_string_equal(fake_text(&fake_last_sent(&n->sockets, fd)->addr), "[2001:db8::22]:0");
	fake_peer_datagram(&n->sockets, fd, "2001:db8::22", 0, reply, sizeof(reply));
	fake_sockets_poll(&n->sockets, 10);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type, 129);
	assert_int_equal(be32(p.l4 + 4), 0x12340007);
	assert_memory_equal(p.src6, outside6, 16);
	assert_memory_equal(p.data, "abcd", 4);
	/* a router on the way */
	memcpy(e.data, buf + HEADERS, 12);
	put_be16(e.data + 4, 0x9999);
	fake_address(&e.to, "2001:db8::22", 0);
	fake_address(&e.offender, "2001:db8:7::1", 0);
	fake_peer_icmp(&n->sockets, fd, &e);
	fake_sockets_poll(&n->sockets, 10);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type, 3);
	assert_memory_equal(p.src6, "\x20\1\x0d\xb8\0\7\0\0\0\0\0\0\0\0\0\1", 16);
	assert_memory_equal(p.data + 8, n->guest.ip6, 16);              /* quotes the guest's own */
	assert_memory_equal(p.data + 24, outside6, 16);
	assert_int_equal(be16(p.data + 44), 0x1234);
}

static void an_earlier_pings_error_does_not_stop_the_next(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200];
	int fd;

	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, outside6, 128, 0, 0x00010001, "abcd", 4));
	fd = n->sockets.last_open;
	n->sockets.s[fd].send_error = EHOSTUNREACH;             /* what the first one met on its way */
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, outside6, 128, 0, 0x00010002, "abcd", 4));
	assert_int_equal(n->sockets.s[fd].out_count, 2);
	assert_false(guest_packet(&n->guest, &p));
}

static void a_host_without_ipv6_says_so_at_once(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t buf[200];

	n->sockets.no_ipv6 = true;
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, outside6, 128, 0, 1, "abcd", 4));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x100);
	guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, outside6, 1000, 443, "quic", 4));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x100);
	guest_tcp_init6(&t, &n->guest, outside6, 1000, 443);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x100);
	assert_memory_equal(p.src6, host6, 16);
	assert_int_equal(be16(p.data + 40), 1000);
	guest_tcp_free(&t);
}

static void hop_limit_one_dies_at_the_gateway(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200];

	guest_udp6(&n->guest, buf, outside6, 1000, 33434, "trace", 5);
	buf[ETH + 7] = 1;
	guest_send(&n->guest, buf, HEADERS + 13);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x300);
	assert_memory_equal(p.data, buf + ETH, IP6 + 13);
}

/* --- headers ------------------------------------------------------------------------------------------------------ */

/* An echo request to the gateway behind the given extension headers. */
static size_t behind(struct fake_net *n, uint8_t *buf, uint8_t first, const void *headers, size_t len)
{
	uint8_t echo[12] = { 128, 0, 0, 0, 0, 1, 0, 1, 'd', 'a', 't', 'a' }, all[1000];

	put_be16(echo + 2, (uint16_t)~checksum_fold(checksum_add(checksum_pseudo(n->guest.ip6, host6, 16, 58, 12), echo, 12)));
	memcpy(all, headers, len);
	memcpy(all + len, echo, 12);
	return guest_ip6(&n->guest, buf, host6, first, all, len + 12);
}

static void extension_headers_are_skipped_or_refused_as_the_rfc_says(void **state)
{
	static const struct {
		const char *what;
		uint8_t first;
		const char *bytes;
		uint8_t len;
		unsigned answer, pointer;       /* 0: an echo reply; 0xffff: silence */
	} cases[] = {
		{ "padding for each hop", 0, "\x3a\0\1\4\0\0\0\0", 8, 0, 0 },
		{ "options for the destination", 60, "\x3a\1\1\2\0\0\x1e\2\1\2\0\0\0\0\0\0", 16, 0, 0 },
		{ "two headers", 0, "\x3c\0\1\4\0\0\0\0\x3a\0\1\4\0\0\0\0", 16, 0, 0 },
		{ "a routing header at its end", 43, "\x3a\0\0\0\0\0\0\0", 8, 0, 0 },
		{ "a routing header with a way to go", 43, "\x3a\2\0\1\0\0\0\0\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\3", 24, 0x400, 42 },
		{ "an unknown option to skip", 60, "\x3a\0\x1e\4abcd", 8, 0, 0 },
		{ "to drop", 60, "\x3a\0\x5e\4abcd", 8, 0xffff, 0 },
		{ "to report", 60, "\x3a\0\0\x9e\3abc", 8, 0x402, 43 },
		{ "a jumbo payload", 0, "\x3a\0\xc2\4\0\1\0\0", 8, 0x402, 42 },
		{ "an option beyond its header", 60, "\x3a\0\x1e\5abcd", 8, 0xffff, 0 },
		{ "a header beyond the packet", 60, "\x3a\x9\1\4\0\0\0\0", 8, 0xffff, 0 },
		{ "hop by hop in second place", 60, "\0\0\1\4\0\0\0\0\x3a\0\1\4\0\0\0\0", 16, 0x401, 40 },
		{ "an atomic fragment", 44, "\x3a\0\0\0\1\2\3\4", 8, 0, 0 },
		{ "nothing at all", 59, "", 0, 0xffff, 0 },
		{ "an unknown protocol", 253, "", 0, 0x401, 6 },
		{ "an unknown protocol behind a header", 60, "\xfd\0\1\4\0\0\0\0", 8, 0x401, 40 },
		{ "IPv4's ICMP", 1, "", 0, 0x401, 6 },
	};
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[2000], chain[800];

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		guest_send(&n->guest, buf, behind(n, buf, cases[i].first, cases[i].bytes, cases[i].len));
		if (guest_packet(&n->guest, &p) != (cases[i].answer != 0xffff))
			fail_msg("%s: %s", cases[i].what, cases[i].answer == 0xffff ? "an answer" : "none");
		if (cases[i].answer == 0xffff)
			continue;
		if ((unsigned)(p.icmp_type << 8 | p.icmp_code) != (cases[i].answer ? cases[i].answer : 0x8100))
			fail_msg("%s: type %d code %d", cases[i].what, p.icmp_type, p.icmp_code);
		if (cases[i].answer)
			assert_int_equal(be32(p.l4 + 4), cases[i].pointer);
	}
	for (unsigned i = 0; i < 100; i++)                              /* a hundred headers deep */
		memcpy(chain + 8 * i, i < 99 ? "\x3c\0\1\4\0\0\0\0" : "\x3a\0\1\4\0\0\0\0", 8);
	guest_send(&n->guest, buf, behind(n, buf, 60, chain, sizeof(chain)));
	assert_false(guest_packet(&n->guest, &p));
}

static void strange_addresses_go_nowhere(void **state)
{
	static const char *const forbidden[] = {
		"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1",
		"\0\0\0\0\0\0\0\0\0\0\0\0\x7f\0\0\1", "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\2\2", "\xff\5\0\0\0\0\0\0\0\0\0\0\0\0\0\1",
		"\xff\x0e\0\0\0\0\0\0\0\0\0\0\0\0\1\1", "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\xfb",
		"\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x77", "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\x77",
	};
	static const char *const sources[] = {
		"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\2\x0f",
		"\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1", "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\2", "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\3",
		"\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\2", "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1",
		"\xfe\x80\0\0\0\0\0\0\x50\x54\0\xff\xfe\x12\x34\x0f",   /* a link-local one to the outside */
	};
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200];

	for (unsigned i = 0; i < ARRAY_SIZE(forbidden); i++) {
		struct guest_tcp t;

		guest_tcp_init6(&t, &n->guest, forbidden[i], 1000, 80);
		guest_tcp_send(&t, TCP_SYN_, NULL, 0);
		guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, forbidden[i], 1000, 53, "x", 1));
		guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, forbidden[i], 128, 0, 1, "x", 1));
		while (guest_packet(&n->guest, &p))
			assert_true(p.protocol == 58 && (p.icmp_type == 1 || (p.icmp_type == 129 && i == 7)));
		guest_tcp_free(&t);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(sources); i++) {
		memcpy(n->guest.ip6, sources[i], 16);
		guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, outside6, 1000, 53, "x", 1));
		guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, outside6, 128, 0, 1, "x", 1));
		assert_false(guest_packet(&n->guest, &p));
	}
	assert_int_equal(n->sockets.opened, 0);
}

static void every_frame_cut_at_every_length_is_survived(void **state)
{
	struct fake_net *n = *state;
	struct guest_tcp t;
	uint8_t buf[400];
	size_t len;

	guest_tcp_init6(&t, &n->guest, outside6, 1000, 80);
	for (int kind = 0; kind < 6; kind++) {
		for (size_t cut = 0; cut < 120; cut++) {
			len = kind == 0 ? guest_udp6(&n->guest, buf, host6, 1000, 69, "0123456789", 10) :
			      kind == 1 ? guest_tcp_build(&t, buf, 1, TCP_SYN_, "\2\4\5\xa0\3\3\7\0", 8, NULL, 0) :
			      kind == 2 ? solicit(n, buf, host6, false) :
			      kind == 3 ? behind(n, buf, 0, "\x3c\0\1\4\0\0\0\0\x3a\0\1\4\0\0\0\0", 16) :
			      kind == 4 ? behind(n, buf, 44, "\x3a\0\0\1\0\0\0\1", 8) :
					  guest_udp6(&n->guest, buf, outside6, 546, 547, "\1abc\0\1\0\2xx", 10);
			guest_send(&n->guest, buf, MIN(cut, len));
			if (cut >= HEADERS) {           /* and with a length to match */
				put_be16(buf + ETH + 4, (uint16_t)(MIN(cut, len) - HEADERS));
				guest_fix_l4(buf);
				guest_send(&n->guest, buf, MIN(cut, len));
			}
		}
	}
	guest_forget(&n->guest);
	guest_tcp_free(&t);
}

/* --- fragments ---------------------------------------------------------------------------------------------------- */

static void send_fragment(struct fake_net *n, const uint8_t *dst, uint8_t next, const uint8_t *payload, unsigned offset, size_t len,
			  bool more, uint32_t id)
{
	uint8_t buf[2000], body[1500];

	body[0] = next;
	body[1] = 0;
	put_be16(body + 2, (uint16_t)(offset | more));
	put_be32(body + 4, id);
	memcpy(body + 8, payload + offset, len);
	guest_send(&n->guest, buf, guest_ip6(&n->guest, buf, dst, 44, body, len + 8));
}

static void fragments_go_both_ways(void **state)
{
	struct fake_net *n = *state;
	static uint8_t frame[5000], data[4000], back[5000];
	const struct fake_datagram *d;
	struct guest_packet p;
	size_t got = 0;
	uint32_t id = 0;
	int fd;

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	guest_udp6(&n->guest, frame, outside6, 1000, 5000, data, sizeof(data));
	send_fragment(n, outside6, 17, frame + HEADERS, 1440, 1440, true, 77);
	send_fragment(n, outside6, 17, frame + HEADERS, 2880, 4008 - 2880, false, 77);
	assert_int_equal(n->sockets.open_count, 0);
	send_fragment(n, outside6, 17, frame + HEADERS, 0, 1440, true, 77);
	fd = n->sockets.last_open;
	d = fake_last_sent(&n->sockets, fd);
	assert_int_equal(d->len, sizeof(data));
	assert_memory_equal(d->data, data, sizeof(data));
	/* and the long answer */
	fake_peer_datagram(&n->sockets, fd, "2001:db8::22", 5000, data, sizeof(data));
	fake_sockets_poll(&n->sockets, 10);
	while (guest_packet(&n->guest, &p)) {
		unsigned at = be16(p.l4 + 2) & 0xfff8u;

		assert_int_equal(p.protocol, 44);
		assert_int_equal(p.l4[0], 17);
		assert_true(p.data_len + IP6 <= 1500);
		assert_true(id == 0 || id == be32(p.l4 + 4));
		id = be32(p.l4 + 4);
		memcpy(back + at, p.l4 + 8, p.data_len - 8);
		got += p.data_len - 8;
	}
	assert_int_equal(got, 8 + sizeof(data));
	assert_memory_equal(back + 8, data, sizeof(data));
	assert_int_equal(checksum_fold(checksum_add(checksum_pseudo(outside6, n->guest.ip6, 16, 17, (uint32_t)got), back, got)), 0xffff);
}

static void overlapping_and_odd_fragments_are_dropped(void **state)
{
	struct fake_net *n = *state;
	static uint8_t frame[67000], data[2000];
	struct guest_packet p;

	guest_udp6(&n->guest, frame, outside6, 1000, 5000, data, sizeof(data));
	send_fragment(n, outside6, 17, frame + HEADERS, 0, 1000, true, 1);
	send_fragment(n, outside6, 17, frame + HEADERS, 992, 1016, false, 1);   /* eight bytes over (RFC 5722) */
	send_fragment(n, outside6, 17, frame + HEADERS, 1000, 1008, false, 1);
	assert_int_equal(n->sockets.open_count, 0);
	send_fragment(n, outside6, 17, frame + HEADERS, 0, 1001, true, 2);
	assert_true(guest_packet(&n->guest, &p));                       /* not a multiple of eight */
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x400);
	assert_int_equal(be32(p.l4 + 4), 4);
	send_fragment(n, outside6, 17, frame + HEADERS, 65000, 1000, false, 3);
	assert_true(guest_packet(&n->guest, &p));                       /* beyond the longest packet */
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x400);
	assert_int_equal(be32(p.l4 + 4), 42);
	/* what it is about stands in the second one only */
	memcpy(frame + HEADERS, "\x11\1\1\4\0\0\0\0\1\6\0\0\0\0\0\0\3\xe8\x13\x88", 20);
	send_fragment(n, outside6, 60, frame + HEADERS, 0, 16, true, 7);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x403);
	send_fragment(n, outside6, 17, frame + HEADERS + 16, 0, 0, true, 8);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x403);
	/* discovery never comes in fragments */
	solicit(n, frame, host6, false);
	send_fragment(n, link_host6, 58, frame + HEADERS, 0, 16, true, 4);
	send_fragment(n, link_host6, 58, frame + HEADERS, 16, 16, false, 4);
	send_fragment(n, link_host6, 58, frame + HEADERS, 0, 32, false, 5);
	assert_false(guest_packet(&n->guest, &p));
	/* nor fragments in fragments */
	frame[HEADERS] = 17;
	send_fragment(n, host6, 44, frame + HEADERS, 0, 16, true, 6);
	send_fragment(n, host6, 44, frame + HEADERS, 16, 16, false, 6);
	assert_false(guest_packet(&n->guest, &p));
}

static void an_incomplete_packet_times_out_with_an_error(void **state)
{
	struct fake_net *n = *state;
	static uint8_t frame[3000], data[2000];
	struct guest_packet p;

	guest_udp6(&n->guest, frame, outside6, 1000, 5000, data, sizeof(data));
	send_fragment(n, outside6, 17, frame + HEADERS, 0, 1000, true, 1);
	for (uint32_t i = 0; i < 1000; i++)
		send_fragment(n, outside6, 17, frame + HEADERS, 1000, 8, true, 100 + i);
	send_fragment(n, outside6, 17, frame + HEADERS, 0, 1000, true, 2000);
	fake_net_run(n, S(31));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x301);
	assert_memory_equal(p.data + 24, outside6, 16);
	assert_false(guest_packet(&n->guest, &p));                      /* the others were made room of, or had no beginning */
}

/* --- TCP and UDP -------------------------------------------------------------------------------------------------- */

static void the_gateway_is_the_hosts_loopback(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t buf[200];
	int fd;

	guest_tcp_init6(&t, &n->guest, host6, 1000, 8000);
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
	guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, host6, 1000, 5000, "hello", 5));
	fd = n->sockets.last_open;
	assert_string_equal(fake_text(&fake_last_sent(&n->sockets, fd)->addr), "[::1]:5000");
	fake_peer_datagram(&n->sockets, fd, "::1", 5000, "hi", 2);
	fake_sockets_poll(&n->sockets, 10);
	guest_forget(&n->guest);
	fake_peer_datagram(&n->sockets, fd, "::1", 5000, "hi", 2);
	fake_sockets_poll(&n->sockets, 10);
	assert_true(guest_packet(&n->guest, &p));
	assert_memory_equal(p.src6, host6, 16);
	assert_int_equal(p.sport, 5000);
	assert_memory_equal(p.data, "hi", 2);
}

static void without_host_loopback_the_gateway_refuses(void **state)
{
	struct unet_config c;
	struct fake_net *n;
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t buf[200];

	unet_config_defaults(&c);
	c.host_loopback = false;
	*state = n = start(&c, 0);
	guest_tcp_init6(&t, &n->guest, host6, 1000, 8000);
	assert_false(guest_tcp_open(&t));
	assert_true(t.reset);
	guest_tcp_free(&t);
	guest_tcp_init6(&t, &n->guest, link_host6, 1000, 8000);
	memcpy(n->guest.ip6, n->guest.link6, 16);
	assert_false(guest_tcp_open(&t));
	guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, host6, 1000, 5000, "hello", 5));
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
		guest_tcp_init6(&t, &n->guest, outside6, (uint16_t)(1000 + i), 443);
		guest_tcp_send(&t, TCP_SYN_, NULL, 0);
		assert_false(guest_packet(&n->guest, &p));
		fake_connect_done(&n->sockets, n->sockets.last_open, cases[i].error);
		fake_sockets_poll(&n->sockets, 10);
		assert_true(guest_packet(&n->guest, &p));
		if (cases[i].answer) {
			assert_int_equal(p.icmp_type << 8 | p.icmp_code, cases[i].answer);
			assert_memory_equal(p.data + 24, outside6, 16);
			assert_int_equal(be32(p.data + 44), t.snd_nxt - 1);
		} else {
			assert_int_equal(p.protocol, 6);
			assert_int_equal(p.flags, TCP_RST_ | TCP_ACK_);
		}
		assert_int_equal(n->sockets.open_count, 0);
		guest_tcp_free(&t);
	}
	n->sockets.connect_result = -ENETUNREACH;                       /* no route: no waiting */
	guest_tcp_init6(&t, &n->guest, outside6, 2000, 443);
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
	guest_tcp_init6(&t, &n->guest, outside6, 1000, 80);
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
	struct fake_net *n = start(NULL, PORT_CSUM | PORT_TSO6);

	*state = n;
	bulk_goes_both_ways(n, true);
}

static void a_gso_frame_is_taken_whole(void **state)
{
	struct fake_net *n = *state;
	static uint8_t frame[40000], data[30000];
	struct guest_tcp t;
	size_t len;

	guest_tcp_init6(&t, &n->guest, outside6, 1000, 80);
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
	guest_tcp_init6(&six, &n->guest, host6, 1000, 80);
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

	guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, outside6, 1000, 5000, "data", 4));
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
	assert_memory_equal(p.src6, host6, 16);
}

static void udp_without_a_checksum_is_dropped(void **state)
{
	struct fake_net *n = *state;
	uint8_t buf[200];
	size_t len = guest_udp6(&n->guest, buf, outside6, 1000, 5000, "data", 4);

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
	guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, dns6, 1000, 53, query, sizeof(query) - 1));
	fd = n->sockets.last_open;
	d = fake_last_sent(&n->sockets, fd);
	assert_string_equal(fake_text(&d->addr), "[2001:db8::53]:53");
	memcpy(reply, d->data, d->len);
	reply[2] |= 0x80;
	fake_peer_datagram(&n->sockets, fd, "2001:db8::53", 53, reply, d->len);
	fake_sockets_poll(&n->sockets, 10);
	assert_true(guest_packet(&n->guest, &p));
	assert_memory_equal(p.src6, dns6, 16);
	assert_int_equal(p.sport, 53);
	assert_int_equal(be16(p.data), 0x1234);
	guest_tcp_init6(&t, &n->guest, dns6, 1000, 53);
	assert_true(guest_tcp_open(&t));
	assert_true(fake_find(&n->sockets, "[2001:db8::53]:53") > 0);
	guest_tcp_free(&t);
	guest_tcp_init6(&t, &n->guest, dns6, 1000, 54);
	assert_false(guest_tcp_open(&t));
	assert_true(t.reset);
	guest_tcp_free(&t);
}

static void a_restricted_guest_reaches_nothing(void **state)
{
	struct fake_net *n = *state;
	const uint8_t *places[] = { host6, dns6, link_host6, outside6 };
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t buf[200];

	fake_sockets_resolv(&n->sockets, "nameserver 2001:db8::53\n");
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		guest_tcp_init6(&t, &n->guest, places[i], 1000, 53);
		assert_false(guest_tcp_open(&t));
		guest_tcp_free(&t);
		guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, places[i], 1000, 53,
						      "\x12\x34\1\0\0\1\0\0\0\0\0\0\4test\0\0\x1c\0\1", 22));
		guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, places[i], 1000, 5000, "x", 1));
		guest_send(&n->guest, buf, behind(n, buf, 60, "\x3a\0\0\x9e\3abc", 8));
		assert_false(guest_packet(&n->guest, &p));
		guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, places[i], 128, 0, 1, "x", 1));
		assert_int_equal(guest_packet(&n->guest, &p), i < 3);
	}
	guest_send(&n->guest, buf, ndp(n, buf, NULL, all_routers, 133, 0, NULL, 0));
	assert_true(guest_packet(&n->guest, &p));
	assert_non_null(option(&p, 16, 3));
	assert_null(option(&p, 16, 25));                                /* nobody resolves names */
	assert_int_equal(n->sockets.opened, 0);
}

static void a_guest_without_ipv4_is_served(void **state)
{
	struct unet_config c;
	struct fake_net *n;
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t buf[100];

	unet_config_defaults(&c);
	c.ipv4 = false;
	*state = n = start(&c, 0);
	guest_tcp_init6(&t, &n->guest, host6, 1000, 80);
	assert_true(guest_tcp_open(&t));
	guest_tcp_free(&t);
	guest_send(&n->guest, buf, guest_icmp(&n->guest, buf, NET_HOST, 8, 0, 1, "x", 1));
	assert_false(guest_packet(&n->guest, &p));
}

/* --- configuration ------------------------------------------------------------------------------------------------ */

static void addresses_follow_from_the_prefix(void **state)
{
	struct unet_config c;
	struct err err;

	(void)state;
	unet_config_defaults(&c);
	assert_memory_equal(&c.host6, host6, 16);
	assert_memory_equal(&c.dns6, dns6, 16);
	assert_int_equal(c.prefixlen, 64);
	assert_true(unet_config_addresses6(&c, "2001:db8:ffff:ffff::1/47", NULL, NULL, NULL, NULL, &err));
	assert_memory_equal(&c.prefix, "\x20\1\x0d\xb8\xff\xfe\0\0\0\0\0\0\0\0\0\0", 16);
	assert_memory_equal(&c.host6, "\x20\1\x0d\xb8\xff\xfe\0\0\0\0\0\0\0\0\0\2", 16);
	assert_true(unet_config_addresses6(&c, NULL, "fd00::", "126", "fd00::1", NULL, &err));
	assert_memory_equal(&c.host6, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	assert_true(unet_config_addresses6(&c, "fd00::", NULL, NULL, NULL, "fd00::53", &err));
	assert_int_equal(c.prefixlen, 64);
}

static void wrong_addresses_are_refused_with_qemus_words(void **state)
{
	static const struct { const char *net, *prefix, *len, *host, *dns, *text; } cases[] = {
		{ "fec0::/127", NULL, NULL, NULL, NULL, "Invalid IPv6 prefix provided (IPv6 prefix length must be between 0 and 126)" },
		{ "fec0::/-1", NULL, NULL, NULL, NULL, "Invalid IPv6 prefix provided (IPv6 prefix length must be between 0 and 126)" },
		{ "fec0::/64x", NULL, NULL, NULL, NULL, "Invalid IPv6 prefix provided (IPv6 prefix length must be between 0 and 126)" },
		{ "fec0::/", NULL, NULL, NULL, NULL, "Invalid IPv6 prefix provided (IPv6 prefix length must be between 0 and 126)" },
		{ NULL, NULL, "127", NULL, NULL, "Invalid IPv6 prefix provided (IPv6 prefix length must be between 0 and 126)" },
		{ "10.0.2.0/24", NULL, NULL, NULL, NULL, "Failed to parse IPv6 prefix" },
		{ NULL, "what:", NULL, NULL, NULL, "Failed to parse IPv6 prefix" },
		{ NULL, NULL, NULL, "1.2.3.4", NULL, "Failed to parse IPv6 host" },
		{ NULL, NULL, NULL, NULL, ":", "Failed to parse IPv6 DNS" },
		{ NULL, NULL, NULL, "fec1::2", NULL, "IPv6 Host doesn't belong to network" },
		{ NULL, NULL, NULL, NULL, "fec0:0:0:1::3", "IPv6 DNS doesn't belong to network" },
		{ NULL, NULL, NULL, NULL, "fec0::2", "IPv6 DNS must be different from host" },
	};
	struct unet_config c;
	struct err err;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		unet_config_defaults(&c);
		assert_false(unet_config_addresses6(&c, cases[i].net, cases[i].prefix, cases[i].len, cases[i].host, cases[i].dns, &err));
		assert_string_equal(err.text, cases[i].text);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define OWN(f) cmocka_unit_test_teardown(f, teardown)

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
		TEST(gateway_dns_and_groups_answer_echo),
		TEST(echo_elsewhere_goes_by_a_ping_socket),
		TEST(an_earlier_pings_error_does_not_stop_the_next),
		TEST(a_host_without_ipv6_says_so_at_once),
		TEST(hop_limit_one_dies_at_the_gateway),
		TEST(extension_headers_are_skipped_or_refused_as_the_rfc_says),
		TEST(strange_addresses_go_nowhere),
		TEST(every_frame_cut_at_every_length_is_survived),
		TEST(fragments_go_both_ways),
		TEST(overlapping_and_odd_fragments_are_dropped),
		TEST(an_incomplete_packet_times_out_with_an_error),
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
		cmocka_unit_test_setup_teardown(a_restricted_guest_reaches_nothing, setup_restricted, teardown),
		OWN(a_guest_without_ipv4_is_served),
		cmocka_unit_test(addresses_follow_from_the_prefix),
		cmocka_unit_test(wrong_addresses_are_refused_with_qemus_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
