/* SPDX-License-Identifier: MIT */
/* netif.c, arp.c, ip.c, reass.c and icmp.c, as the wire sees them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "tests/fake/fake_net.h"

static int setup_restricted(void **state)
{
	struct unet_config c;
	struct fake_net *n = *state = fake_net_new(&c);

	c.restricted = true;
	return fake_net_start(n, &c, 0) ? 0 : -1;
}

static int setup_ipv4_only(void **state)
{
	struct unet_config c;
	struct fake_net *n = *state = fake_net_new(&c);

	c.ipv6 = false;
	return fake_net_start(n, &c, 0) ? 0 : -1;
}

static size_t ping(struct fake_net *n, uint8_t *buf, uint32_t dst, const void *data, size_t len)
{
	return guest_icmp(&n->guest, buf, dst, 8, 0, 0x12340001, data, len);
}

/* --- ARP ---------------------------------------------------------------------------------------------------------- */

static void arp_answers_for_gateway_and_dns_only(void **state)
{
	struct fake_net *n = *state;
	const struct guest_frame *f;
	uint8_t buf[64];
	static const uint8_t expected[60] = {
		0x52, 0x54, 0, 0x12, 0x34, 0x0f, 0x52, 0x55, 10, 0, 2, 3, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2,
		0x52, 0x55, 10, 0, 2, 3, 10, 0, 2, 3, 0x52, 0x54, 0, 0x12, 0x34, 0x0f, 10, 0, 2, 15,
	};

	n->guest.keep_arp = true;
	guest_send(&n->guest, buf, guest_arp(&n->guest, buf, 1, NET_GUEST, NET_HOST));
	assert_non_null(guest_next(&n->guest));
	guest_send(&n->guest, buf, guest_arp(&n->guest, buf, 1, NET_GUEST, NET_DNS));
	f = guest_next(&n->guest);
	assert_non_null(f);
	assert_int_equal(f->len, 60);
	assert_memory_equal(f->data, expected, 60);
	for (uint32_t other = 0x0a000204; other < 0x0a000210; other++) {
		guest_send(&n->guest, buf, guest_arp(&n->guest, buf, 1, NET_GUEST, other));
		assert_null(guest_next(&n->guest));
	}
	guest_send(&n->guest, buf, guest_arp(&n->guest, buf, 1, 0, NET_GUEST));         /* a probe */
	assert_null(guest_next(&n->guest));
}

static void an_unknown_guest_is_asked_for_and_the_packet_waits(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200];

	n->guest.keep_arp = true;
	n->guest.ip = 0x0a000230;       /* a new address, with a static ARP entry for the gateway */
	guest_send(&n->guest, buf, ping(n, buf, NET_HOST, "abc", 3));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.type, 0x0806);
	assert_int_equal(be32(p.eth + 38), 0x0a000230);
	assert_int_equal(p.eth[0], 0xff);
	assert_false(guest_packet(&n->guest, &p));
	fake_net_run(n, MS(1100));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.type, 0x0806);
	guest_send(&n->guest, buf, guest_arp(&n->guest, buf, 2, 0x0a000230, NET_HOST));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.protocol, 1);
	assert_int_equal(p.dst, 0x0a000230);
	assert_memory_equal(p.eth, n->guest.mac, 6);
}

static void nobody_there_ends_the_asking(void **state)
{
	struct fake_net *n = *state;
	uint8_t buf[200];
	unsigned asked = 0;

	n->guest.keep_arp = true;
	n->guest.ip = 0x0a000230;
	for (int i = 0; i < 10; i++)
		guest_send(&n->guest, buf, ping(n, buf, NET_HOST, "abc", 3));
	fake_net_run(n, S(10));
	while (guest_next(&n->guest))
		asked++;
	assert_int_equal(asked, 3);
}

static void nobody_can_become_the_gateway(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200], mac[6];

	memcpy(mac, n->guest.mac, 6);
	n->guest.mac[5] = 0x99;
	guest_send(&n->guest, buf, guest_arp(&n->guest, buf, 2, NET_HOST, NET_HOST));
	guest_send(&n->guest, buf, guest_arp(&n->guest, buf, 1, 0x0a0002ff, NET_HOST));
	memcpy(n->guest.mac, mac, 6);
	guest_forget(&n->guest);
	guest_send(&n->guest, buf, ping(n, buf, NET_HOST, "abc", 3));
	assert_true(guest_packet(&n->guest, &p));
	assert_memory_equal(p.eth, mac, 6);
}

/* --- echo --------------------------------------------------------------------------------------------------------- */

static void gateway_and_dns_answer_echo(void **state)
{
	struct fake_net *n = *state;
	static const uint32_t who[] = { NET_HOST, NET_DNS };
	uint8_t buf[1600], data[1472];
	struct guest_packet p;

	memset(data, 0x5a, sizeof(data));
	for (size_t i = 0; i < ARRAY_SIZE(who); i++) {
		for (size_t len = 0; len <= sizeof(data); len += 56) {
			guest_send(&n->guest, buf, ping(n, buf, who[i], data, len));
			assert_true(guest_packet(&n->guest, &p));
			assert_int_equal(p.src, who[i]);
			assert_int_equal(p.icmp_type, 0);
			assert_int_equal(be32(p.l4 + 4), 0x12340001);
			assert_int_equal(p.data_len, len);
			assert_memory_equal(p.data, data, len);
		}
	}
	assert_int_equal(n->sockets.opened, 0);
}

static void echo_elsewhere_goes_by_a_ping_socket_and_keeps_its_identifier(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200], reply[11] = { 0, 0, 0, 0, 0x99, 0x99, 0, 1, 'a', 'b', 'c' };
	struct fake_socket *s;
	int fd;

	guest_send(&n->guest, buf, ping(n, buf, NET_OUTSIDE, "abc", 3));
	fd = n->sockets.last_open;
	s = &n->sockets.s[fd];
	assert_int_equal(s->type, SOCK_DGRAM);
	assert_int_equal(s->protocol, IPPROTO_ICMP);
	assert_int_equal(s->ttl, 63);
	assert_int_equal(fake_last_sent(&n->sockets, fd)->len, 11);
	assert_memory_equal(fake_last_sent(&n->sockets, fd)->data + 6, "\0\1abc", 5);
	fake_peer_datagram(&n->sockets, fd, "93.184.216.34", 0, reply, sizeof(reply));
	fake_net_run(n, 0);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.src, NET_OUTSIDE);
	assert_int_equal(be32(p.l4 + 4), 0x12340001);
	assert_memory_equal(p.data, "abc", 3);
	fake_net_run(n, S(61));
	assert_int_equal(n->sockets.open_count, 0);
}

static void an_error_that_an_earlier_ping_met_does_not_stop_the_next(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200];

	guest_send(&n->guest, buf, ping(n, buf, NET_OUTSIDE, "abc", 3));
	n->sockets.s[n->sockets.last_open].send_error = EHOSTUNREACH;
	guest_send(&n->guest, buf, ping(n, buf, NET_OUTSIDE, "def", 3));
	assert_int_equal(n->sockets.s[n->sockets.last_open].out_count, 2);
	assert_memory_equal(fake_last_sent(&n->sockets, n->sockets.last_open)->data + 8, "def", 3);
	assert_false(guest_packet(&n->guest, &p));
}

static void a_router_on_the_pings_way_is_heard(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	struct sock_error e = { .error = EHOSTUNREACH, .icmp = 4, .type = 11, .len = 11 };
	uint8_t buf[200];
	size_t len = ping(n, buf, NET_OUTSIDE, "abc", 3);

	guest_send(&n->guest, buf, len);
	fake_address(&e.to, "93.184.216.34", 0);
	fake_address(&e.offender, "203.0.113.7", 0);
	memcpy(e.data, buf + 34, 11);
	put_be16(e.data + 4, 0x7777);   /* the host's identifier */
	put_be16(e.data + 2, 0);
	put_be16(e.data + 2, checksum(e.data, 11));
	fake_peer_icmp(&n->sockets, n->sockets.last_open, &e);
	fake_net_run(n, 0);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.src, 0xcb007107);
	assert_int_equal(p.icmp_type, 11);
	assert_memory_equal(p.data + 20, buf + 34, 11); /* the request as the guest sent it, checksum and all */
}

static void a_host_without_ping_sockets_is_survived(void **state)
{
	struct fake_net *n = *state;
	uint8_t buf[200];

	n->sockets.open_error = -EACCES;
	for (int i = 0; i < 3; i++)
		guest_send(&n->guest, buf, ping(n, buf, NET_OUTSIDE, "abc", 3));
	assert_null(guest_next(&n->guest));
}

static void a_flood_of_echo_identifiers_is_bounded(void **state)
{
	struct fake_net *n = *state;
	uint8_t buf[200];

	for (uint32_t i = 0; i < 100000; i++)
		guest_send(&n->guest, buf, guest_icmp(&n->guest, buf, NET_OUTSIDE, 8, 0, i << 16, "x", 1));
	assert_int_equal(n->sockets.open_count, 256);
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

static void forbidden_destinations_never_reach_the_host(void **state)
{
	struct fake_net *n = *state;
	static const uint32_t bad[] = { 0x00000000, 0x00000001, 0x7f000001, 0x7f0000ff, 0xe0000001, 0xefffffff, 0xf0000001,
					0xffffffff, 0x0a0002ff, 0x0a000200, 0x0a000263 };
	struct guest_tcp t;
	uint8_t buf[200];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		guest_tcp_init(&t, &n->guest, bad[i], 5000, 80);
		guest_tcp_send(&t, TCP_SYN_, NULL, 0);
		guest_send(&n->guest, buf, guest_udp(&n->guest, buf, bad[i], 5000, 80, "x", 1));
		guest_send(&n->guest, buf, ping(n, buf, bad[i], "x", 1));
	}
	assert_int_equal(n->sockets.opened, 0);
}

static void forged_sources_are_dropped(void **state)
{
	struct fake_net *n = *state;
	static const uint32_t bad[] = { 0x00000000, NET_HOST, NET_DNS, 0x0a0002ff, 0x0a000200, 0x7f000001, 0xe0000001, 0xffffffff,
					NET_OUTSIDE };
	struct guest_tcp t;
	uint8_t buf[200];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		n->guest.ip = bad[i];
		guest_tcp_init(&t, &n->guest, NET_OUTSIDE, 5000, 80);
		guest_tcp_send(&t, TCP_SYN_, NULL, 0);
		guest_send(&n->guest, buf, guest_udp(&n->guest, buf, NET_OUTSIDE, 5000, 80, "x", 1));
		guest_send(&n->guest, buf, ping(n, buf, NET_HOST, "x", 1));
	}
	n->guest.ip = NET_GUEST;
	assert_int_equal(n->sockets.opened, 0);
	assert_int_equal(fake_net_counters(n).dropped_source, 3 * ARRAY_SIZE(bad));
	assert_null(guest_next(&n->guest));
}

static void broken_ip_headers_are_dropped(void **state)
{
	struct fake_net *n = *state;
	uint8_t good[200], buf[200];
	size_t len = ping(n, good, NET_HOST, "abcdefgh", 8);

	for (int ihl = 0; ihl < 16; ihl++) {
		memcpy(buf, good, len);
		buf[14] = (uint8_t)(0x40 | ihl);
		if (ihl >= 5)
			guest_fix_ip(buf);
		guest_send(&n->guest, buf, len);
	}
	guest_forget(&n->guest);
	for (int total = 0; total < 70; total++) {
		memcpy(buf, good, len);
		put_be16(buf + 16, (uint16_t)total);
		guest_fix_ip(buf);
		guest_send(&n->guest, buf, len);
		assert_int_equal(guest_next(&n->guest) != NULL, total == 36);
	}
	guest_forget(&n->guest);
	for (int version = 0; version < 16; version++) {
		memcpy(buf, good, len);
		buf[14] = (uint8_t)(version << 4 | 5);
		guest_fix_ip(buf);
		guest_send(&n->guest, buf, len);
		assert_int_equal(guest_next(&n->guest) != NULL, version == 4);
	}
	memcpy(buf, good, len);
	buf[24] ^= 1;                   /* the checksum */
	guest_send(&n->guest, buf, len);
	assert_null(guest_next(&n->guest));
}

static void ip_options_are_skipped(void **state)
{
	struct fake_net *n = *state;
	uint8_t good[200], buf[240];
	size_t len = ping(n, good, NET_HOST, "abc", 3);

	memcpy(buf, good, 34);
	memset(buf + 34, 1, 40);        /* forty no-operations */
	memcpy(buf + 74, good + 34, len - 34);
	buf[14] = 0x4f;
	put_be16(buf + 16, (uint16_t)(len - 14 + 40));
	guest_fix_ip(buf);
	guest_send(&n->guest, buf, len + 40);
	assert_non_null(guest_next(&n->guest));
}

static void every_frame_cut_at_every_length_is_survived(void **state)
{
	struct fake_net *n = *state;
	uint8_t frames[6][260];
	size_t lens[6];
	struct guest_tcp t;
	uint8_t dhcp[160] = { 1, 1, 6, 0 };

	lens[0] = guest_arp(&n->guest, frames[0], 1, NET_GUEST, NET_HOST);
	lens[1] = ping(n, frames[1], NET_HOST, "abcdefgh", 8);
	lens[2] = guest_udp(&n->guest, frames[2], NET_OUTSIDE, 5000, 7, "abcdefgh", 8);
	guest_tcp_init(&t, &n->guest, NET_OUTSIDE, 5000, 80);
	lens[3] = guest_tcp_build(&t, frames[3], 1, TCP_SYN_, "\2\4\5\xb4\4\2\1\3\3\7", 10, NULL, 0);
	lens[4] = guest_udp(&n->guest, frames[4], NET_DNS, 5000, 53, "\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19);
	lens[5] = guest_udp(&n->guest, frames[5], 0xffffffff, 68, 67, dhcp, sizeof(dhcp));
	for (int i = 0; i < 6; i++) {
		for (size_t len = 0; len <= lens[i]; len++) {
			uint8_t buf[260];

			memcpy(buf, frames[i], len);
			guest_send(&n->guest, buf, len);        /* cut on the wire */
			if (i == 0 || len < 34)
				continue;
			put_be16(buf + 16, (uint16_t)(len - 14));       /* and a packet that is short itself */
			guest_fix_ip(buf);
			guest_send(&n->guest, buf, len);
			if (len >= (i == 3 ? 54u : 42u) && i >= 2) {
				guest_fix_l4(buf);
				guest_send(&n->guest, buf, len);
			}
		}
	}
	guest_forget(&n->guest);
	guest_send(&n->guest, frames[1], lens[1]);
	assert_non_null(guest_next(&n->guest));
}

static void every_ethertype_is_survived(void **state)
{
	struct fake_net *n = *state;
	uint8_t buf[60] = { 0x52, 0x55, 10, 0, 2, 2, 0x52, 0x54, 0, 0x12, 0x34, 15 };

	for (unsigned type = 0; type < 0x10000; type++) {
		put_be16(buf + 12, (uint16_t)type);
		guest_send(&n->guest, buf, 60);
	}
	assert_null(guest_next(&n->guest));
}

static void frames_for_others_are_not_ours(void **state)
{
	struct fake_net *n = *state;
	uint8_t buf[200];
	size_t len = ping(n, buf, NET_HOST, "abc", 3);

	memcpy(buf, "\x52\x54\0\x12\x34\x77", 6);       /* another guest on the same hub */
	guest_send(&n->guest, buf, len);
	assert_null(guest_next(&n->guest));
	memcpy(buf, "\x52\x55\x0a\0\2\2", 6);
	buf[6] |= 1;                                    /* from a group */
	guest_send(&n->guest, buf, len);
	assert_null(guest_next(&n->guest));
}

static void an_unknown_protocol_is_unreachable(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200];

	guest_send(&n->guest, buf, guest_ip(&n->guest, buf, NET_OUTSIDE, 132, "sctp", 4));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type, 3);
	assert_int_equal(p.icmp_code, 2);
}

/* --- reassembly --------------------------------------------------------------------------------------------------- */

static void fragment(struct fake_net *n, uint16_t id, uint32_t offset, bool more, size_t len)
{
	uint8_t buf[2000], data[1800];

	memset(data, 0, sizeof(data));
	data[0] = 8;                    /* an echo request, checksum to fit */
	put_be16(data + 2, 0xf7ff);
	len = guest_ip(&n->guest, buf, NET_HOST, 1, offset ? data + 100 : data, len);
	put_be16(buf + 18, id);
	put_be16(buf + 20, (uint16_t)(offset / 8 | (more ? 0x2000 : 0)));
	guest_fix_ip(buf);
	guest_send(&n->guest, buf, len);
}

static void fragments_in_any_order_make_a_packet(void **state)
{
	struct fake_net *n = *state;
	static const int orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 0, 2 }, { 1, 2, 0 }, { 0, 2, 1 }, { 2, 0, 1 } };

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		for (int k = 0; k < 3; k++) {
			assert_null(guest_next(&n->guest));
			fragment(n, (uint16_t)i, (uint32_t)orders[i][k] * 800, orders[i][k] < 2, 800);
			fragment(n, (uint16_t)(i + 100), (uint32_t)orders[i][k] * 800, true, 800);      /* never whole */
		}
		for (int k = 0; k < 2; k++)     /* 2428 bytes come back in two pieces */
			assert_non_null(guest_next(&n->guest));
	}
}

static void copies_are_ignored_and_overlaps_condemn(void **state)
{
	struct fake_net *n = *state;

	fragment(n, 1, 0, true, 800);
	fragment(n, 1, 0, true, 800);
	fragment(n, 1, 800, false, 100);
	assert_non_null(guest_next(&n->guest));
	guest_forget(&n->guest);
	fragment(n, 2, 0, true, 800);
	fragment(n, 2, 792, false, 100);        /* over the end of the first */
	fragment(n, 2, 800, false, 100);
	assert_null(guest_next(&n->guest));
	fragment(n, 3, 800, false, 8);
	fragment(n, 3, 0, true, 1600);          /* more than there is */
	fragment(n, 3, 0, true, 800);
	assert_null(guest_next(&n->guest));
	fragment(n, 4, 800, false, 100);
	fragment(n, 4, 800, false, 50);         /* two ends */
	fragment(n, 4, 0, true, 800);
	assert_null(guest_next(&n->guest));
}

static void bad_fragments_are_dropped(void **state)
{
	struct fake_net *n = *state;

	fragment(n, 1, 0, true, 801);           /* not a multiple of 8 */
	fragment(n, 1, 65528, false, 800);      /* beyond 64 KB */
	fragment(n, 1, 8, true, 0);
	assert_int_equal(fake_net_counters(n).dropped_malformed, 3);
}

static void an_incomplete_packet_times_out_with_an_error(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;

	fragment(n, 9, 0, true, 800);
	fake_net_run(n, S(29));
	assert_false(guest_packet(&n->guest, &p));
	fake_net_run(n, S(2));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type, 11);
	assert_int_equal(p.icmp_code, 1);
	fragment(n, 10, 800, true, 800);        /* without the first: silence */
	fake_net_run(n, S(32));
	assert_false(guest_packet(&n->guest, &p));
}

static void a_flood_of_fragments_is_bounded(void **state)
{
	struct fake_net *n = *state;

	for (uint32_t i = 0; i < 100000; i++)
		fragment(n, (uint16_t)i, 8 * (i % 100), true, 800);
	for (uint32_t i = 0; i < 300; i++)      /* tiny ones of one packet */
		fragment(n, 7, 8 * i, true, 8);
	fragment(n, 60000, 0, true, 800);       /* service goes on */
	fragment(n, 60000, 800, false, 100);
	assert_non_null(guest_next(&n->guest));
}

/* --- restrict=on -------------------------------------------------------------------------------------------------- */

static void a_restricted_guest_reaches_nothing_outside(void **state)
{
	struct fake_net *n = *state;
	static const uint32_t where[] = { NET_HOST, NET_DNS, NET_OUTSIDE, 0x7f000001, 0x0a000263, 0xffffffff, 0x0a0002ff };
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t buf[200];

	for (size_t i = 0; i < ARRAY_SIZE(where); i++) {
		for (uint16_t port = 1; port < 200; port++) {
			guest_tcp_init(&t, &n->guest, where[i], 5000, port);
			guest_tcp_send(&t, TCP_SYN_, NULL, 0);
			guest_send(&n->guest, buf, guest_udp(&n->guest, buf, where[i], 5000, port, "x", 1));
		}
		guest_forget(&n->guest);
		guest_send(&n->guest, buf, ping(n, buf, where[i], "x", 1));
		assert_int_equal(guest_next(&n->guest) != NULL, i < 2);
	}
	assert_int_equal(n->sockets.opened, 0);
	guest_tcp_init(&t, &n->guest, NET_OUTSIDE, 5000, 80);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.flags & TCP_RST_, TCP_RST_);
}

/* --- DHCP over the wire ------------------------------------------------------------------------------------------- */

static void dhcp_serves_a_guest_without_an_address(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[600], m[300] = { 1, 1, 6, 0, 1, 2, 3, 4 };

	memcpy(m + 28, n->guest.mac, 6);
	memcpy(m + 236, "\x63\x82\x53\x63\x35\1\1\xff", 8);
	n->guest.ip = 0;
	guest_send(&n->guest, buf, guest_udp(&n->guest, buf, 0xffffffff, 68, 67, m, sizeof(m)));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.src, NET_HOST);
	assert_int_equal(p.dst, NET_GUEST);
	assert_int_equal(p.sport, 67);
	assert_int_equal(p.dport, 68);
	assert_memory_equal(p.eth, n->guest.mac, 6);
	assert_int_equal(be32(p.data + 16), NET_GUEST);
	m[10] = 0x80;
	guest_send(&n->guest, buf, guest_udp(&n->guest, buf, 0xffffffff, 68, 67, m, sizeof(m)));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.dst, 0xffffffff);
	assert_memory_equal(p.eth, "\xff\xff\xff\xff\xff\xff", 6);
	n->guest.ip = NET_GUEST;
}

/* --- IPv6 --------------------------------------------------------------------------------------------------------- */

static size_t solicitation(struct fake_net *n, uint8_t *buf, bool addressed)
{
	uint8_t *h = buf + 14, *m = buf + 54;
	uint16_t len = addressed ? 16 : 8;      /* who has no address does not tell a MAC either */

	memset(buf, 0, 70);
	memcpy(buf, "\x33\x33\0\0\0\2", 6);
	memcpy(buf + 6, n->guest.mac, 6);
	put_be16(buf + 12, 0x86dd);
	h[0] = 0x60;
	put_be16(h + 4, len);
	h[6] = 58;
	h[7] = 255;
	if (addressed)
		memcpy(h + 8, "\xfe\x80\0\0\0\0\0\0\x50\x54\0\xff\xfe\x12\x34\x0f", 16);
	memcpy(h + 24, "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
	m[0] = 133;
	if (addressed) {
		m[8] = m[9] = 1;
		memcpy(m + 10, n->guest.mac, 6);
	}
	put_be16(m + 2, (uint16_t)~checksum_fold(checksum_add(checksum_pseudo(h + 8, h + 24, 16, 58, len), m, len)));
	return 54u + len;
}

static void a_router_solicitation_is_told_that_there_is_no_router(void **state)
{
	struct fake_net *n = *state;
	const struct guest_frame *f;
	uint8_t buf[100];

	for (int addressed = 0; addressed < 2; addressed++) {
		guest_send(&n->guest, buf, solicitation(n, buf, addressed));
		f = guest_next(&n->guest);
		assert_non_null(f);
		assert_int_equal(be16(f->data + 12), 0x86dd);
		if (addressed)
			assert_memory_equal(f->data, n->guest.mac, 6);
		else
			assert_memory_equal(f->data, "\x33\x33\0\0\0\1", 6);
		assert_int_equal(f->data[21], 255);
		assert_memory_equal(f->data + 22, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 16);
		assert_int_equal(f->data[54], 134);
		assert_int_equal(f->data[59], 0);                       /* neither M nor O */
		assert_int_equal(be16(f->data + 60), 0);                /* lifetime */
		assert_int_equal(be16(f->data + 18), 24);               /* no prefix: one option only */
		assert_int_equal(checksum_fold(checksum_add(checksum_pseudo(f->data + 22, f->data + 38, 16, 58, 24),
							    f->data + 54, 24)), 0xffff);
	}
	for (size_t len = 0; len < 70; len++) {                         /* and nothing else is */
		solicitation(n, buf, true);
		guest_send(&n->guest, buf, len);
	}
	for (int at = 14; at < 58; at++) {
		solicitation(n, buf, true);
		buf[at] ^= at < 18 ? 0x10 : 0x40;
		guest_send(&n->guest, buf, 70);
		/* traffic class and flow label may be anything */
		assert_int_equal(guest_next(&n->guest) != NULL, at >= 15 && at <= 17);
	}
}

/* --- TFTP over the wire ------------------------------------------------------------------------------------------- */

static void the_gateway_serves_a_folder_by_tftp(void **state)
{
	struct fake_net n;
	struct unet_config c;
	struct guest_packet p;
	char dir[] = P_tmpdir "/tenbox-unet-XXXXXX", path[64];
	uint8_t buf[200];
	uint16_t port;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/hello", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("hello, world", f);
	fclose(f);
	fake_net_config(&n, &c);
	c.tftp = dir;
	c.restricted = true;            /* it is one of the services that remain */
	assert_true(fake_net_start(&n, &c, 0));
	guest_send(&n.guest, buf, guest_udp(&n.guest, buf, NET_HOST, 5000, 69, "\0\1hello\0octet", 14));
	assert_true(guest_packet(&n.guest, &p));
	assert_int_equal(p.src, NET_HOST);
	port = p.sport;
	assert_true(port != 69);
	assert_memory_equal(p.data, "\0\3\0\1hello, world", 16);
	fake_net_run(&n, S(2));
	assert_true(guest_packet(&n.guest, &p));        /* again: no answer yet */
	assert_int_equal(p.sport, port);
	guest_send(&n.guest, buf, guest_udp(&n.guest, buf, NET_HOST, 5000, port, "\0\4\0\1", 4));
	fake_net_run(&n, S(60));
	assert_false(guest_packet(&n.guest, &p));
	fake_net_free(&n);
	unlink(path);
	rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_net_setup, fake_net_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(arp_answers_for_gateway_and_dns_only),
		TEST(an_unknown_guest_is_asked_for_and_the_packet_waits),
		TEST(nobody_there_ends_the_asking),
		TEST(nobody_can_become_the_gateway),
		TEST(gateway_and_dns_answer_echo),
		TEST(echo_elsewhere_goes_by_a_ping_socket_and_keeps_its_identifier),
		TEST(an_error_that_an_earlier_ping_met_does_not_stop_the_next),
		TEST(a_router_on_the_pings_way_is_heard),
		TEST(a_host_without_ping_sockets_is_survived),
		TEST(a_flood_of_echo_identifiers_is_bounded),
		TEST(forbidden_destinations_never_reach_the_host),
		TEST(forged_sources_are_dropped),
		TEST(broken_ip_headers_are_dropped),
		TEST(ip_options_are_skipped),
		TEST(every_frame_cut_at_every_length_is_survived),
		TEST(every_ethertype_is_survived),
		TEST(frames_for_others_are_not_ours),
		TEST(an_unknown_protocol_is_unreachable),
		TEST(fragments_in_any_order_make_a_packet),
		TEST(copies_are_ignored_and_overlaps_condemn),
		TEST(bad_fragments_are_dropped),
		TEST(an_incomplete_packet_times_out_with_an_error),
		TEST(a_flood_of_fragments_is_bounded),
		cmocka_unit_test_setup_teardown(a_restricted_guest_reaches_nothing_outside, setup_restricted, fake_net_teardown),
		TEST(dhcp_serves_a_guest_without_an_address),
		cmocka_unit_test_setup_teardown(a_router_solicitation_is_told_that_there_is_no_router, setup_ipv4_only, fake_net_teardown),
		cmocka_unit_test(the_gateway_serves_a_folder_by_tftp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
