/* SPDX-License-Identifier: MIT */
/*
 * One test for each class of faults that user-mode networks have had (CVEs in the comments), whatever else covers it.
 * Elsewhere are
 *  path traversal (CVE-2020-7211), names without a bound        nothing_outside_and_nothing_odd_is (tftp/test_root.c)
 *  exposure of the host's own services                          forbidden_destinations_never_reach_the_host (test_ip.c),
 *                                                               strange_addresses_go_nowhere (test_ip6.c),
 *                                                               without_host_loopback_nothing_of_the_host_is_reached
 *                                                               (test_outside.c)
 *  the faults of lwIP                                           fault_1_... to fault_7_... (test_engine.c)
 */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/floods.h"

/* CVE-2019-6778, -9824, CVE-2020-7039, -8608; NAT slipstreaming: payloads were rewritten, and listeners opened for them. */
static void payload_rewriting_is_not_done(void **state)
{
	static const uint16_t ports[] = { 21, 113, 194, 513, 514, 543, 554, 1720, 5060, 6667, 7070 };
	static const char *const texts[] = {
		"PORT 10,0,2,15,4,1\r\n", "227 Entering Passive Mode (10,0,2,15,4,1)\r\n", "1024 , 25\r\n", "6667\0",
		"PRIVMSG x :\001DCC CHAT chat 167772687 1025\001\r\n", "REGISTER sip:x SIP/2.0\r\nContact: <sip:x@10.0.2.15:1025>\r\n",
		"SETUP rtsp://x RTSP/1.0\r\nTransport: RTP/AVP;client_port=1025-1026\r\n",
	};
	struct fake_net *n = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		struct guest_tcp t;
		int fd, opened;
		size_t len = 0;

		guest_tcp_init(&t, &n->guest, NET_OUTSIDE, (uint16_t)(2000 + i), ports[i]);
		assert_true(guest_tcp_open(&t));
		fd = n->sockets.last_open;
		opened = (int)n->sockets.opened;
		for (size_t k = 0; k < ARRAY_SIZE(texts); k++) {
			guest_tcp_send(&t, TCP_ACK_ | TCP_PSH_, texts[k], strlen(texts[k]));
			assert_int_equal(n->sockets.s[fd].sent_len, len + strlen(texts[k]));
			assert_memory_equal(n->sockets.s[fd].sent + len, texts[k], strlen(texts[k]));
			len += strlen(texts[k]);
			fake_peer_sends(&n->sockets, fd, texts[k], strlen(texts[k]));
			fake_net_run(n, 0);
			guest_tcp_run(&t);
			assert_int_equal(t.got_len, len);
			assert_memory_equal(t.got, n->sockets.s[fd].sent, len);
		}
		assert_int_equal(n->sockets.opened, opened);
		for (int k = 3; k < n->sockets.high; k++)
			assert_false(n->sockets.s[k].open && n->sockets.s[k].listening);
		guest_tcp_free(&t);
	}
}

static void fragment(struct fake_net *n, uint16_t id, unsigned offset, bool more, size_t len, bool options)
{
	static uint8_t frame[70000];
	uint8_t data[1500];
	size_t n_bytes;

	memset(data, 0x5a, sizeof(data));
	n_bytes = guest_ip(&n->guest, frame, NET_OUTSIDE, 17, data, len);
	if (options) {
		memmove(frame + 14 + 60, frame + 14 + 20, len);
		memset(frame + 14 + 20, 1, 40);
		frame[14] = 0x4f;
		n_bytes += 40;
		put_be16(frame + 16, (uint16_t)(n_bytes - 14));
	}
	put_be16(frame + 18, id);
	put_be16(frame + 20, (uint16_t)(offset / 8 | (more ? 0x2000 : 0)));
	guest_fix_ip(frame);
	guest_send(&n->guest, frame, n_bytes);
}

/* CVE-2018-11806, CVE-2019-14378, -15890, CVE-2020-1983: growing, offsets, a first fragment that was freed. */
static void reassembly_overflow_and_use_after_free(void **state)
{
	struct fake_net *n = *state;
	uint16_t id = 1;

	/* a total beyond 65535, from either end */
	for (unsigned at = 0; at < 65528; at += 1480)
		fragment(n, id, at, true, 1480, at == 0);
	fragment(n, id++, 65528, false, 1000, false);
	fragment(n, id, 65528, false, 8, true);
	fragment(n, id++, 0, true, 1480, true);
	/* the last one first, growing while the clock runs out, a second first one, nothing at all, all options */
	fragment(n, id, 2960, false, 100, false);
	fragment(n, id, 1480, true, 1480, false);
	fake_net_run(n, S(31));
	fragment(n, id++, 0, true, 1480, false);
	for (int i = 0; i < 3; i++)
		fragment(n, id, 0, true, 1480, i & 1);
	fragment(n, id, 1480, true, 0, false);
	fragment(n, id++, 1472, false, 100, false);
	fragment(n, id, 0, true, 8, true);
	fragment(n, id++, 8, false, 1400, true);
	flood_fragments(n, 5000);
	for (int k = 3; k < n->sockets.high; k++)
		assert_int_equal(n->sockets.s[k].out_count, 0);
	fake_net_run(n, S(40));
	assert_true(flood_still_serves(n));
}

/* CVE-2020-10756, -29129, -29130, CVE-2021-3592 to -3595: headers read beyond a packet's end, and told to the guest. */
static void short_packets_tell_nothing_of_what_lies_behind(void **state)
{
	struct fake_net *n = *state;
	uint8_t frames[8][400] = { { 0 } }, dhcp[240] = { 1, 1, 6, 0 };
	size_t len[8];

	memcpy(dhcp + 236, "\x63\x82\x53\x63", 4);
	len[0] = guest_arp(&n->guest, frames[0], 1, NET_GUEST, NET_HOST);
	len[1] = guest_icmp(&n->guest, frames[1], NET_HOST, 8, 0, 1, "abcdefgh", 8);
	len[2] = guest_udp(&n->guest, frames[2], NET_HOST, 68, 67, dhcp, sizeof(dhcp));
	len[3] = guest_udp(&n->guest, frames[3], NET_DNS, 5000, 53, "\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19);
	len[4] = guest_udp(&n->guest, frames[4], NET_HOST, 2000, 69, "\0\1name\0octet\0", 13);
	len[5] = guest_udp(&n->guest, frames[5], NET_OUTSIDE, 5000, 7, "data", 4);
	len[6] = guest_icmp6(&n->guest, frames[6], "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 128, 0, 1, "abcdefgh", 8);
	len[7] = guest_udp6(&n->guest, frames[7], "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 2000, 69, "\0\1name\0octet\0", 13);
	for (unsigned i = 0; i < 8; i++) {
		for (size_t cut = 15; cut <= len[i]; cut++) {
			const struct guest_frame *f;
			uint8_t frame[400];

			/* what the headers promise is missing: Ethernet's padding is there instead */
			memset(frame, 0xa5, sizeof(frame));
			memcpy(frame, frames[i], cut);
			guest_send(&n->guest, frame, MAX(cut, 60));
			fake_net_run(n, 0);
			while ((f = guest_next(&n->guest)))
				for (size_t k = 14; cut < len[i] && k + 4 <= f->len; k++)
					assert_int_not_equal(be32(f->data + k), 0xa5a5a5a5);
			for (int s = 3; cut < len[i] && s < n->sockets.high; s++) {
				const struct fake_datagram *d = n->sockets.s[s].open ? fake_last_sent(&n->sockets, s) : NULL;

				for (size_t k = 0; d && k + 4 <= d->len; k++)
					assert_int_not_equal(be32(d->data + k), 0xa5a5a5a5);
			}
		}
	}
}

/* CVE-2017-13711: a socket freed while packets of its own were queued.  Every way to end, at every step of a flow. */
static void flows_end_at_any_step_with_packets_queued(void **state)
{
	struct fake_net *unused = *state;

	(void)unused;
	for (int step = 0; step < 7; step++) {
		for (int end = 0; end < 8; end++) {
			static uint8_t data[300000];
			struct fake_net *n = calloc(1, sizeof(*n));
			struct guest_tcp t;
			struct err err;
			uint8_t buf[100];
			uint16_t port;
			int fd = 0;

			fake_net_init(n, end & 1 ? PORT_CSUM | PORT_TSO4 : 0);
			assert_true(unet_hostfwd_add(n->u, "udp:127.0.0.1:5000-:5000", &port, &err));
			fd = n->sockets.last_open;
			fake_peer_datagram(&n->sockets, fd, "127.0.0.1", 9, "x", 1);
			guest_tcp_init(&t, &n->guest, NET_OUTSIDE, 40000, 80);
			guest_send(&n->guest, buf, guest_udp(&n->guest, buf, NET_OUTSIDE, 5000, 7, "x", 1));
			n->sockets.connect_result = step == 0 ? -EINPROGRESS : 0;
			guest_tcp_send(&t, TCP_SYN_, NULL, 0);
			if (step >= 2) {
				guest_tcp_run(&t);
				guest_tcp_send(&t, TCP_ACK_, NULL, 0);
			}
			fd = n->sockets.last_open;
			n->guest.room = step & 1 ? 0 : 5;
			if (step >= 3)
				fake_peer_sends(&n->sockets, fd, data, sizeof(data));
			fake_net_run(n, 0);
			if (step >= 4)
				n->sockets.s[fd].send_space = 10;
			if (step >= 5)
				guest_tcp_send(&t, TCP_ACK_ | TCP_FIN_, data, 1000);
			if (step >= 6)
				fake_peer_closes(&n->sockets, fd);
			if (end == 0)
				guest_tcp_send(&t, TCP_RST_, NULL, 0);
			else if (end == 1 && step > 0)
				fake_peer_resets(&n->sockets, fd);
			else if (end == 2)
				port_set_link(&n->guest.port, false);
			else if (end == 3)
				port_part(&n->guest.port);
			else if (end == 4)
				assert_true(unet_hostfwd_remove(n->u, "udp:127.0.0.1:5000", &err));
			else if (end == 5)
				fake_clock_advance(&n->clock, S(400));
			else if (end == 6)
				flood_flows(n, 20);
			fake_net_run(n, MS(100));
			guest_tcp_free(&t);
			fake_net_free(n);
			free(n);
		}
	}
}

/* CVE-2014-3640: ports of zero, and everything else that is zero. */
static void zeros_everywhere(void **state)
{
	struct fake_net *n = *state;
	static const uint8_t protocols[] = { 0, 1, 2, 6, 17, 41, 58, 255 };
	uint8_t frame[100], zeros[60] = { 0 };
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		for (unsigned mask = 0; mask < 64; mask++) {
			len = guest_udp(&n->guest, frame, NET_OUTSIDE, 5000, 7, zeros, 20);
			frame[23] = protocols[i];
			if (mask & 1)
				put_be32(frame + 26, 0);
			if (mask & 2)
				put_be32(frame + 30, 0);
			if (mask & 4)
				put_be16(frame + 34, 0);
			if (mask & 8)
				put_be16(frame + 36, 0);
			if (mask & 16)
				put_be16(frame + 38, 0);
			if (mask & 32)
				memset(frame + 34, 0, 28);
			guest_fix_ip(frame);
			guest_send(&n->guest, frame, len);
			guest_fix_l4(frame);
			guest_send(&n->guest, frame, len);
		}
	}
	for (len = 14; len <= 60; len++)
		guest_send(&n->guest, zeros, len);
	fake_net_run(n, S(1));
	for (int s = 3; s < n->sockets.high; s++)
		for (unsigned k = 0; k < MIN(n->sockets.s[s].out_count, FAKE_DATAGRAMS); k++)
			assert_string_not_equal(fake_text(&n->sockets.s[s].out[k].addr), "0.0.0.0:0");
	assert_true(flood_still_serves(n));
}

/* CVE-2020-22283, -22284, CVE-2020-8597, CVE-2014-4883: parts of lwIP that are not here at all. */
extern char udp_input, icmp_input, raw_input, igmp_input, etharp_input, dhcp_start, dns_init, ip4_reass, ip6_reass, snmp_init,
	httpd_init, sntp_init, mdns_resp_init, ppp_init, lowpan6_input, zepif_init, netconn_new_with_proto_and_callback;
#pragma weak udp_input
#pragma weak icmp_input
#pragma weak raw_input
#pragma weak igmp_input
#pragma weak etharp_input
#pragma weak dhcp_start
#pragma weak dns_init
#pragma weak ip4_reass
#pragma weak ip6_reass
#pragma weak snmp_init
#pragma weak httpd_init
#pragma weak sntp_init
#pragma weak mdns_resp_init
#pragma weak ppp_init
#pragma weak lowpan6_input
#pragma weak zepif_init
#pragma weak netconn_new_with_proto_and_callback

static void lwip_is_a_tcp_engine_and_nothing_else(void **state)
{
	const void *symbols[] = { &udp_input, &icmp_input, &raw_input, &igmp_input, &etharp_input, &dhcp_start, &dns_init, &ip4_reass,
				  &ip6_reass, &snmp_init, &httpd_init, &sntp_init, &mdns_resp_init, &ppp_init, &lowpan6_input,
				  &zepif_init, &netconn_new_with_proto_and_callback };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++)
		assert_null(symbols[i]);
}

/* CVE-2004-0230's class: who can guess numbers can reset or write into the connections of others. */
static void initial_sequence_numbers_cannot_be_guessed(void **state)
{
	enum { COUNT = 2000 };
	struct fake_net *n = *state;
	static uint32_t isn[COUNT];
	unsigned buckets[16] = { 0 }, near = 0;

	for (unsigned i = 0; i < COUNT; i++) {
		struct guest_tcp t;

		guest_tcp_init(&t, &n->guest, NET_OUTSIDE, (uint16_t)(2000 + i), 80);
		assert_true(guest_tcp_open(&t));
		isn[i] = t.rcv_nxt - 1;
		guest_tcp_send(&t, TCP_RST_, NULL, 0);
		guest_tcp_free(&t);
		buckets[isn[i] >> 28]++;
		near += i && isn[i] - isn[i - 1] + 0x100000 < 0x200000;
	}
	for (unsigned i = 0; i < 16; i++)
		assert_in_range(buckets[i], COUNT / 16 / 2, COUNT / 16 * 2);
	assert_in_range(near, 0, 8);            /* 1 of 2048 by chance */
	/* but of one tuple they go up with time (RFC 6528) */
	for (unsigned i = 0; i < 10; i++) {
		struct guest_tcp t;

		fake_net_run(n, MS(100));
		guest_tcp_init(&t, &n->guest, NET_OUTSIDE, 2000, 80);
		assert_true(guest_tcp_open(&t));
		assert_true((int32_t)(t.rcv_nxt - 1 - isn[0]) > 0);
		isn[0] = t.rcv_nxt - 1;
		guest_tcp_send(&t, TCP_RST_, NULL, 0);
		guest_tcp_free(&t);
	}
}

/*
 * CVE-2017-11434: an option's length was believed.  Each option of DHCP, DHCPv6 and TCP with lengths that lie, the message
 * ending right behind it and the frame not: what lies there must not be told.
 */
static void tells_canary(struct fake_net *n)
{
	const struct guest_frame *f;

	fake_net_run(n, 0);
	while ((f = guest_next(&n->guest)))
		for (size_t k = 14; k + 4 <= f->len; k++)
			assert_int_not_equal(be32(f->data + k), 0xa5a5a5a5);
}

static void option_lengths_are_not_believed(void **state)
{
	static const uint8_t lengths[] = { 0, 1, 2, 3, 4, 6, 8, 16, 40, 128, 255 };
	static const uint8_t group[16] = { 0xff, 2, [13] = 1, 0, 2 };
	struct fake_net *n = *state;
	uint8_t frame[800], m[600];

	for (unsigned kind = 0; kind < 256; kind++) {
		for (size_t i = 0; i < sizeof(lengths); i++) {
			struct guest_tcp t;
			size_t len = 0;

			memset(m, 0, sizeof(m));
			memcpy(m, "\1\1\6\0id12", 8);
			memcpy(m + 28, n->guest.mac, 6);
			memcpy(m + 236, "\x63\x82\x53\x63\x35\1\1", 7);
			m[243] = (uint8_t)kind;
			m[244] = lengths[i];
			memset(frame, 0xa5, sizeof(frame));
			len = guest_udp(&n->guest, frame, NET_HOST, 68, 67, m, 245 + i % 4);
			guest_send(&n->guest, frame, len + 300);
			memcpy(m, "\13xyz\0\1\0\12\0\3\0\1RT\0\0224V", 18);
			put_be16(m + 18, (uint16_t)kind);
			put_be16(m + 20, lengths[i]);
			memset(frame, 0xa5, sizeof(frame));
			len = guest_udp6(&n->guest, frame, group, 546, 547, m, 22 + i % 4);
			guest_send(&n->guest, frame, len + 300);
			memset(frame, 0xa5, sizeof(frame));
			guest_tcp_init(&t, &n->guest, NET_OUTSIDE, (uint16_t)(3000 + kind), 80);
			len = guest_tcp_build(&t, frame, 1, TCP_SYN_, (uint8_t[]){ 1, 1, (uint8_t)kind, lengths[i] }, 4, NULL, 0);
			guest_send(&n->guest, frame, len + 300);
			tells_canary(n);
			guest_tcp_send(&t, TCP_RST_, NULL, 0);
			guest_tcp_free(&t);
		}
	}
	assert_true(flood_still_serves(n));
}

/* CVE-2014-4883: who guesses identifier and port answers for the resolver. */
static void dns_identifiers_and_ports_cannot_be_guessed(void **state)
{
	enum { COUNT = 800 };
	static const uint8_t question[] = "\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0";
	struct fake_net *n = *state;
	unsigned buckets[8] = { 0 }, near = 0;
	uint16_t last = 0;
	uint8_t frame[100];

	fake_sockets_resolv(&n->sockets, "nameserver 192.0.2.1\n");
	for (unsigned i = 0; i < COUNT; i++) {
		const struct fake_datagram *d;
		unsigned opened = n->sockets.opened;
		uint16_t id;

		guest_send(&n->guest, frame, guest_udp(&n->guest, frame, NET_DNS, (uint16_t)(2000 + i), 53, question,
						       sizeof(question)));
		/* a socket of its own for each: the host's kernel picks its port at random */
		assert_int_equal(n->sockets.opened, opened + 1);
		d = fake_last_sent(&n->sockets, n->sockets.last_open);
		assert_non_null(d);
		id = be16(d->data);
		buckets[id >> 13]++;
		near += (uint16_t)(id - last + 16) < 32;
		last = id;
	}
	for (unsigned i = 0; i < 8; i++)
		assert_in_range(buckets[i], COUNT / 8 / 2, COUNT / 8 * 2);
	assert_in_range(near, 0, 5);            /* 1 of 2048 by chance */
}

/* Slots and sockets that leaked, tables without an end.  All of each flood: build/release/tests/bench/bench_floods. */
static void floods_leave_memory_and_descriptors_as_they_were(void **state)
{
	static void (*const floods[])(struct fake_net *n, unsigned count) = {
		flood_flows, flood_black_holes, flood_ports, flood_echoes, flood_fragments, flood_leases,
	};
	struct fake_net *n = *state;

	for (size_t i = 0; i < ARRAY_SIZE(floods); i++) {
		size_t before;

		floods[i](n, 5000);             /* tables are touched, the fakes have grown */
		flood_wait(n);
		before = mallinfo2().uordblks;
		floods[i](n, 5000);
		assert_true(n->sockets.open_count <= 4096 + 2048 + 256);
		assert_true(flood_still_serves(n));
		flood_wait(n);
		assert_int_equal(n->sockets.open_count, 0);
		assert_true(mallinfo2().uordblks <= before + (1 << 16));
	}
}

/* The guest's processors run on while we read: what was checked is what is used. */
static uint8_t *shared_frame;

static int flip(void *owner, const struct sockaddr_storage *to)
{
	(void)owner;
	(void)to;
	memset(shared_frame + 14, 0xff, 40);
	return 0;
}

static void flip_all(void)
{
	memset(shared_frame + 14, 0xff, 20 + 8);
}

/* A datagram, a query and a ping whose headers change when a socket is opened for them, in IPv4. */
static void headers_of_datagrams_are_fetched_once(void **state)
{
	struct fake_net *n = *state;
	uint8_t frame[3][100], echo[] = "ping";
	size_t len[3];
	struct iovec iov;

	fake_sockets_resolv(&n->sockets, "nameserver 192.0.2.1\n");
	len[0] = guest_udp(&n->guest, frame[0], NET_OUTSIDE, 5000, 7, "data", 4);
	len[1] = guest_udp(&n->guest, frame[1], NET_DNS, 5001, 53, "\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19);
	len[2] = guest_icmp(&n->guest, frame[2], NET_OUTSIDE, 8, 0, 0x10001, echo, sizeof(echo));
	n->sockets.on_open = flip_all;
	for (unsigned i = 0; i < 3; i++) {
		static const char *const to[] = { "93.184.216.34:7", "192.0.2.1:53", "93.184.216.34:0" };
		unsigned opened = n->sockets.opened;
		const struct fake_datagram *d;

		shared_frame = frame[i];
		iov = (struct iovec){ frame[i], len[i] };
		port_send(&n->guest.port, &(struct frame){ .iov = &iov, .iov_count = 1, .len = (uint32_t)len[i] }, 1);
		assert_true(n->sockets.opened > opened);
		d = fake_last_sent(&n->sockets, n->sockets.last_open);
		assert_non_null(d);
		assert_string_equal(fake_text(&d->addr), to[i]);
		assert_int_equal(d->len, i == 0 ? 4 : i == 1 ? 19 : 8 + sizeof(echo));
	}
	n->sockets.on_open = NULL;
}

static void headers_are_fetched_once(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t frame[100];
	struct iovec iov = { frame, 0 };

	guest_tcp_init(&t, &n->guest, NET_OUTSIDE, 40000, 80);
	iov.iov_len = guest_tcp_build(&t, frame, 1000, TCP_SYN_, NULL, 0, NULL, 0);
	shared_frame = frame;
	n->sockets.on_connect = flip;
	port_send(&n->guest.port, &(struct frame){ .iov = &iov, .iov_count = 1, .len = (uint32_t)iov.iov_len }, 1);
	n->sockets.on_connect = NULL;
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.flags, TCP_SYN_ | TCP_ACK_);
	assert_int_equal(p.src, NET_OUTSIDE);
	assert_int_equal(p.dport, 40000);
	assert_int_equal(p.ack, 1001);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_net_setup, fake_net_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(payload_rewriting_is_not_done),
		TEST(reassembly_overflow_and_use_after_free),
		TEST(short_packets_tell_nothing_of_what_lies_behind),
		TEST(flows_end_at_any_step_with_packets_queued),
		TEST(zeros_everywhere),
		TEST(lwip_is_a_tcp_engine_and_nothing_else),
		TEST(initial_sequence_numbers_cannot_be_guessed),
		TEST(option_lengths_are_not_believed),
		TEST(dns_identifiers_and_ports_cannot_be_guessed),
		TEST(floods_leave_memory_and_descriptors_as_they_were),
		TEST(headers_are_fetched_once),
		TEST(headers_of_datagrams_are_fetched_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
