/* SPDX-License-Identifier: MIT */
/* ip6.c, reass.c and icmp.c, as the wire of IPv6 sees them. */
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

/* --- echo and ICMPv6 ---------------------------------------------------------------------------------------------- */

static void gateway_dns_and_groups_answer_echo(void **state)
{
	struct fake_net *n = *state;
	static const struct { const uint8_t *to, *from; } cases[] = {
		{ net6_host, net6_host }, { net6_dns, net6_dns }, { net6_link_host, net6_link_host },
		{ net6_all_nodes, net6_link_host }, { net6_all_routers, net6_link_host },
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

	guest_icmp6(&n->guest, buf, net6_outside, 128, 0, 0x12340007, "abcd", 4);
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
	assert_memory_equal(p.src6, net6_outside, 16);
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
	assert_memory_equal(p.data + 24, net6_outside, 16);
	assert_int_equal(be16(p.data + 44), 0x1234);
}

static void an_earlier_pings_error_does_not_stop_the_next(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200];
	int fd;

	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, net6_outside, 128, 0, 0x00010001, "abcd", 4));
	fd = n->sockets.last_open;
	n->sockets.s[fd].send_error = EHOSTUNREACH;             /* what the first one met on its way */
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, net6_outside, 128, 0, 0x00010002, "abcd", 4));
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
	guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, net6_outside, 128, 0, 1, "abcd", 4));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x100);
	guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, net6_outside, 1000, 443, "quic", 4));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x100);
	guest_tcp_init6(&t, &n->guest, net6_outside, 1000, 443);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x100);
	assert_memory_equal(p.src6, net6_host, 16);
	assert_int_equal(be16(p.data + 40), 1000);
	guest_tcp_free(&t);
}

static void hop_limit_one_dies_at_the_gateway(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	uint8_t buf[200];

	guest_udp6(&n->guest, buf, net6_outside, 1000, 33434, "trace", 5);
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

	put_be16(echo + 2, (uint16_t)~checksum_fold(checksum_add(checksum_pseudo(n->guest.ip6, net6_host, 16, 58, 12),
								 echo, 12)));
	memcpy(all, headers, len);
	memcpy(all + len, echo, 12);
	return guest_ip6(&n->guest, buf, net6_host, first, all, len + 12);
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
		guest_send(&n->guest, buf, guest_udp6(&n->guest, buf, net6_outside, 1000, 53, "x", 1));
		guest_send(&n->guest, buf, guest_icmp6(&n->guest, buf, net6_outside, 128, 0, 1, "x", 1));
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

	guest_tcp_init6(&t, &n->guest, net6_outside, 1000, 80);
	for (int kind = 0; kind < 6; kind++) {
		for (size_t cut = 0; cut < 120; cut++) {
			len = kind == 0 ? guest_udp6(&n->guest, buf, net6_host, 1000, 69, "0123456789", 10) :
			      kind == 1 ? guest_tcp_build(&t, buf, 1, TCP_SYN_, "\2\4\5\xa0\3\3\7\0", 8, NULL, 0) :
			      kind == 2 ? guest_solicit(&n->guest, buf, net6_host, false) :
			      kind == 3 ? behind(n, buf, 0, "\x3c\0\1\4\0\0\0\0\x3a\0\1\4\0\0\0\0", 16) :
			      kind == 4 ? behind(n, buf, 44, "\x3a\0\0\1\0\0\0\1", 8) :
					  guest_udp6(&n->guest, buf, net6_outside, 546, 547, "\1abc\0\1\0\2xx", 10);
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
	guest_udp6(&n->guest, frame, net6_outside, 1000, 5000, data, sizeof(data));
	send_fragment(n, net6_outside, 17, frame + HEADERS, 1440, 1440, true, 77);
	send_fragment(n, net6_outside, 17, frame + HEADERS, 2880, 4008 - 2880, false, 77);
	assert_int_equal(n->sockets.open_count, 0);
	send_fragment(n, net6_outside, 17, frame + HEADERS, 0, 1440, true, 77);
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
	assert_int_equal(checksum_fold(checksum_add(checksum_pseudo(net6_outside, n->guest.ip6, 16, 17, (uint32_t)got), back, got)),
			 0xffff);
}

static void overlapping_and_odd_fragments_are_dropped(void **state)
{
	struct fake_net *n = *state;
	static uint8_t frame[67000], data[2000];
	struct guest_packet p;

	guest_udp6(&n->guest, frame, net6_outside, 1000, 5000, data, sizeof(data));
	send_fragment(n, net6_outside, 17, frame + HEADERS, 0, 1000, true, 1);
	send_fragment(n, net6_outside, 17, frame + HEADERS, 992, 1016, false, 1);   /* eight bytes over (RFC 5722) */
	send_fragment(n, net6_outside, 17, frame + HEADERS, 1000, 1008, false, 1);
	assert_int_equal(n->sockets.open_count, 0);
	send_fragment(n, net6_outside, 17, frame + HEADERS, 0, 1001, true, 2);
	assert_true(guest_packet(&n->guest, &p));                       /* not a multiple of eight */
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x400);
	assert_int_equal(be32(p.l4 + 4), 4);
	send_fragment(n, net6_outside, 17, frame + HEADERS, 65000, 1000, false, 3);
	assert_true(guest_packet(&n->guest, &p));                       /* beyond the longest packet */
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x400);
	assert_int_equal(be32(p.l4 + 4), 42);
	/* what it is about stands in the second one only */
	memcpy(frame + HEADERS, "\x11\1\1\4\0\0\0\0\1\6\0\0\0\0\0\0\3\xe8\x13\x88", 20);
	send_fragment(n, net6_outside, 60, frame + HEADERS, 0, 16, true, 7);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x403);
	send_fragment(n, net6_outside, 17, frame + HEADERS + 16, 0, 0, true, 8);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x403);
	/* discovery never comes in fragments */
	guest_solicit(&n->guest, frame, net6_host, false);
	send_fragment(n, net6_link_host, 58, frame + HEADERS, 0, 16, true, 4);
	send_fragment(n, net6_link_host, 58, frame + HEADERS, 16, 16, false, 4);
	send_fragment(n, net6_link_host, 58, frame + HEADERS, 0, 32, false, 5);
	assert_false(guest_packet(&n->guest, &p));
	/* nor fragments in fragments */
	frame[HEADERS] = 17;
	send_fragment(n, net6_host, 44, frame + HEADERS, 0, 16, true, 6);
	send_fragment(n, net6_host, 44, frame + HEADERS, 16, 16, false, 6);
	assert_false(guest_packet(&n->guest, &p));
}

static void an_incomplete_packet_times_out_with_an_error(void **state)
{
	struct fake_net *n = *state;
	static uint8_t frame[3000], data[2000];
	struct guest_packet p;

	guest_udp6(&n->guest, frame, net6_outside, 1000, 5000, data, sizeof(data));
	send_fragment(n, net6_outside, 17, frame + HEADERS, 0, 1000, true, 1);
	for (uint32_t i = 0; i < 1000; i++)
		send_fragment(n, net6_outside, 17, frame + HEADERS, 1000, 8, true, 100 + i);
	send_fragment(n, net6_outside, 17, frame + HEADERS, 0, 1000, true, 2000);
	fake_net_run(n, S(31));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x301);
	assert_memory_equal(p.data + 24, net6_outside, 16);
	assert_false(guest_packet(&n->guest, &p));                      /* the others were made room of, or had no beginning */
}

/* --- restrict=on -------------------------------------------------------------------------------------------------- */

static int setup_restricted(void **state)
{
	struct unet_config c;
	struct fake_net *n = *state = fake_net_new(&c);

	c.restricted = true;
	return fake_net_start(n, &c, 0) ? 0 : -1;
}

static void a_restricted_guest_reaches_nothing(void **state)
{
	struct fake_net *n = *state;
	const uint8_t *places[] = { net6_host, net6_dns, net6_link_host, net6_outside };
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
	guest_send(&n->guest, buf, guest_ndp(&n->guest, buf, NULL, net6_all_routers, 133, 0, NULL, 0));
	assert_true(guest_packet(&n->guest, &p));
	assert_non_null(guest_ndp_option(&p, 16, 3));
	assert_null(guest_ndp_option(&p, 16, 25));                                /* nobody resolves names */
	assert_int_equal(n->sockets.opened, 0);
}

/* --- configuration ------------------------------------------------------------------------------------------------ */

static void addresses_follow_from_the_prefix(void **state)
{
	struct unet_config c;
	struct err err;

	(void)state;
	unet_config_defaults(&c);
	assert_memory_equal(&c.host6, net6_host, 16);
	assert_memory_equal(&c.dns6, net6_dns, 16);
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_net_setup, fake_net_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		cmocka_unit_test_setup_teardown(a_restricted_guest_reaches_nothing, setup_restricted, fake_net_teardown),
		cmocka_unit_test(addresses_follow_from_the_prefix),
		cmocka_unit_test(wrong_addresses_are_refused_with_qemus_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
