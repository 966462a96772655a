/* SPDX-License-Identifier: MIT */
/*
 * The faults of lwIP 2.1.3 that engine.c lists, replayed.  Each replay of 1 to 4 and of 7 was seen to end in the
 * assertion, the bad read or the loss that its comment names, with its fence taken out by hand (gcc 12, ASan).  5 and 6
 * have no single fence: no callback refuses data or aborts, so the replays look at what must come out.  And a storm of
 * random segments around a live connection.  All of it by IPv4 and by IPv6.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/fake_net.h"

struct bench {
	struct fake_net net;
	struct guest_tcp t;
	int fd;
	bool v6;
};

static void init(struct bench *b, struct guest_tcp *t, uint16_t port)
{
	if (b->v6)
		guest_tcp_init6(t, &b->net.guest, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x22", port, 80);
	else
		guest_tcp_init(t, &b->net.guest, NET_OUTSIDE, port, 80);
	t->mss = 1460;                          /* what the replays count with */
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct unet_config c;

	fake_net_config(&b->net, &c);
	c.mtu = 1520;                           /* room for it in IPv6, too */
	assert_true(fake_net_start(&b->net, &c, 0));
	init(b, &b->t, 40000);
	*state = b;
	return 0;
}

static int setup6(void **state)
{
	struct bench *b;

	setup(state);
	b = *state;
	b->v6 = true;
	init(b, &b->t, 40000);
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	guest_tcp_free(&b->t);
	fake_net_free(&b->net);
	free(b);
	return 0;
}

static void open_with_window(struct bench *b, uint32_t syn_window, uint32_t ack_window)
{
	b->t.scale = -1;
	b->t.window = syn_window;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	guest_tcp_run(&b->t);
	assert_true(b->t.syn_ack_seen);
	b->t.window = ack_window;
	b->t.no_ack = true;
	guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);
	b->fd = b->net.sockets.last_open;
	fake_net_run(&b->net, 0);
}

static void works_on(struct bench *b)
{
	struct guest_tcp t;

	guest_forget(&b->net.guest);
	init(b, &t, 50000);
	assert_true(guest_tcp_open(&t));
	guest_tcp_send(&t, TCP_ACK_, "ok", 2);
	assert_int_equal(b->net.sockets.s[b->net.sockets.last_open].sent_len, 2);
	guest_tcp_free(&t);
}

/* A read past header_copy without rewrite_options(), if the copy had no slack behind it. */
static void fault_1_truncated_options(void **state)
{
	struct bench *b = *state;
	static const uint8_t kinds[] = { 0, 1, 2, 3, 4, 5, 8, 30, 255 };
	uint8_t buf[200], opts[40];

	for (unsigned flags = 0; flags < 64; flags++) {
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
			for (unsigned at = 0; at < 8; at++) {
				for (int len = -1; len < 12; len++) {
					memset(opts, 1, sizeof(opts));
					opts[at] = kinds[k];
					if (len >= 0 && at < 7)
						opts[at + 1] = (uint8_t)len;
					b->t.port = (uint16_t)(1000 + k);
					guest_send(&b->net.guest, buf, guest_tcp_build(&b->t, buf, 1, (uint8_t)flags, opts, 8,
										       NULL, 0));
				}
			}
		}
		guest_forget(&b->net.guest);
	}
	works_on(b);
}

/*
 * With TCP_QUEUE_OOSEQ lwIP would keep these, and pbufs that point into our frames with them ("pbuf_free: p->ref > 0",
 * "ooseq tcplen > rcv_wnd").  So they are dropped, and the guest sends again.
 */
static void fault_2_overlapping_segments_out_of_order(void **state)
{
	struct bench *b = *state;
	static uint8_t data[600];
	static const uint16_t runs[][2] = { { 100, 50 }, { 120, 100 }, { 90, 60 }, { 150, 200 }, { 100, 50 }, { 300, 300 }, { 1, 599 } };

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 3);
	open_with_window(b, 65535, 65535);
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
		guest_tcp_send_at(&b->t, b->t.snd_nxt + runs[i][0], (uint8_t)(i % 2 ? TCP_ACK_ : TCP_ACK_ | TCP_FIN_),
				  data + runs[i][0], runs[i][1]);
	assert_int_equal(b->net.sockets.s[b->fd].sent_len, 0);
	guest_tcp_send(&b->t, TCP_ACK_, data, 200);
	guest_tcp_send_at(&b->t, b->t.snd_nxt - 100, TCP_ACK_, data + 100, 500);
	assert_int_equal(b->net.sockets.s[b->fd].sent_len, 600);
	assert_memory_equal(b->net.sockets.s[b->fd].sent, data, 600);
	works_on(b);
}

/*
 * A segment that is unsent, because the card's queue is full, when the guest does something that makes lwIP think of
 * shorter ones; then more data is due, and tcp_write() must not trip over the first one's length.  Someone else's
 * download fills the queue.
 */
static void fill_the_queue(struct bench *b, struct guest_tcp *other)
{
	static uint8_t data[400000];

	init(b, other, 45000);
	other->window = 1 << 20;
	other->no_ack = true;
	assert_true(guest_tcp_open(other));
	b->net.guest.room = 0;
	fake_peer_sends(&b->net.sockets, b->net.sockets.last_open, data, sizeof(data));
	fake_net_run(&b->net, 0);
}

static void all_arrives(struct bench *b, size_t len)
{
	b->net.guest.room = SIZE_MAX;
	port_ready(&b->net.guest.port);
	b->t.no_ack = false;
	b->t.window = 4000;
	for (int i = 0; i < 50 && b->t.got_len < len; i++) {
		guest_tcp_run(&b->t);
		guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);
		fake_net_run(&b->net, S(1));
	}
	assert_int_equal(b->t.got_len, len);
}

/* "mss_local is too small" without hook()'s snd_wnd_max: half of 1600 is less than 1460. */
static void fault_3_shrinking_window(void **state)
{
	struct bench *b = *state;
	static uint8_t data[1510];
	struct guest_tcp other;

	open_with_window(b, 0, 0);
	fake_peer_sends(&b->net.sockets, b->fd, data, 1510);    /* 1460 go to lwIP, for the persist timer */
	fake_net_run(&b->net, 0);
	fill_the_queue(b, &other);
	b->t.window = 1600;
	guest_tcp_send(&b->t, TCP_ACK_, "x", 1);        /* and now the other 50 */
	all_arrives(b, 1510);
	guest_tcp_free(&other);
	works_on(b);
}

/* The same assertion, if the option reached lwIP. */
static void fault_3_mss_option_on_a_later_segment(void **state)
{
	static const uint8_t opts[4] = { 2, 4, 0, 100 };
	struct bench *b = *state;
	static uint8_t data[20000];
	struct guest_tcp other;
	uint8_t buf[200];

	open_with_window(b, 4000, 4000);
	fill_the_queue(b, &other);
	fake_peer_sends(&b->net.sockets, b->fd, data, sizeof(data));
	fake_net_run(&b->net, 0);
	guest_send(&b->net.guest, buf, guest_tcp_build(&b->t, buf, b->t.snd_nxt, TCP_ACK_, opts, 4, "x", 1));
	b->t.snd_nxt++;
	all_arrives(b, 20000);
	guest_tcp_free(&other);
	works_on(b);
}

/* "persist ticking with empty send buffer" without before_tick(). */
static void fault_4_persist_timer_with_an_empty_queue(void **state)
{
	struct bench *b = *state;
	static uint8_t data[3000];
	uint32_t acked;

	open_with_window(b, 4000, 4000);
	fake_peer_sends(&b->net.sockets, b->fd, data, 2000);
	fake_net_run(&b->net, MS(1));
	guest_tcp_run(&b->t);
	acked = b->t.rcv_nxt;           /* all has arrived, and the guest says nothing of it */
	for (uint32_t window = 0; window < 1600; window += 500) {
		b->t.rcv_nxt = acked - 2000;
		guest_tcp_send(&b->t, TCP_ACK_, "x", 1);
		b->t.window = window;
		guest_tcp_send(&b->t, TCP_ACK_, "y", 1);        /* the window shrinks: new data, old acknowledgement */
		fake_net_run(&b->net, S(4));                    /* RTO: back to unsent; too big: persist */
		b->t.rcv_nxt = acked;
		guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);       /* the late ACK empties it */
		fake_net_run(&b->net, S(20));
		b->t.window = 4000;
		guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);
		guest_tcp_run(&b->t);
		fake_peer_sends(&b->net.sockets, b->fd, data, 2000);
		fake_net_run(&b->net, MS(1));
		guest_tcp_run(&b->t);
		acked += 2000;
		assert_int_equal(b->t.rcv_nxt, acked);
	}
	works_on(b);
}

static void fault_5_reset_while_data_waits_for_the_host(void **state)
{
	struct bench *b = *state;
	static uint8_t data[1000];

	open_with_window(b, 65535, 65535);
	b->net.sockets.s[b->fd].send_space = 0;
	for (int i = 0; i < 10; i++)
		guest_tcp_send(&b->t, TCP_ACK_, data, 1000);
	fake_peer_resets(&b->net.sockets, b->fd);
	guest_tcp_send(&b->t, TCP_ACK_, data, 1000);
	fake_net_run(&b->net, 0);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, data, 1000);
	fake_net_run(&b->net, S(1));
	assert_int_equal(b->net.sockets.open_count, 0);
	works_on(b);
}

static void fault_6_fins_while_data_waits_for_the_host(void **state)
{
	struct bench *b = *state;
	static uint8_t data[1000];

	open_with_window(b, 65535, 65535);
	b->t.no_ack = false;
	b->net.sockets.s[b->fd].send_space = 0;
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, data, 1000);
	fake_peer_closes(&b->net.sockets, b->fd);
	fake_net_run(&b->net, MS(1));
	guest_tcp_run(&b->t);
	fake_net_run(&b->net, S(60));
	b->net.sockets.s[b->fd].send_space = SIZE_MAX;
	fake_net_run(&b->net, S(1));
	assert_int_equal(b->net.sockets.s[b->fd].sent_len, 1000);
	assert_int_equal(b->net.sockets.open_count, 0);
}

/* The guest takes the FIN in the middle of the data for the end, and loses the rest. */
static void fault_7_a_segment_with_a_fin_is_split(void **state)
{
	struct bench *b = *state;
	static uint8_t data[1300];
	struct guest_packet p;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	open_with_window(b, 0, 0);
	fake_peer_sends(&b->net.sockets, b->fd, data, sizeof(data));
	fake_peer_closes(&b->net.sockets, b->fd);
	fake_net_run(&b->net, MS(1));
	b->t.window = 100;
	guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);
	for (int i = 0; i < 100 && b->t.got_len < sizeof(data); i++) {
		fake_net_run(&b->net, S(2));
		while (guest_packet(&b->net.guest, &p)) {
			if (p.protocol != 6 || p.seq != b->t.rcv_nxt)
				continue;
			assert_true(p.data_len <= sizeof(data) - b->t.got_len);
			assert_memory_equal(p.data, data + b->t.got_len, p.data_len);
			b->t.got_len += p.data_len;
			b->t.rcv_nxt += (uint32_t)p.data_len;
			assert_int_equal(p.flags & TCP_FIN_ ? b->t.got_len : sizeof(data), sizeof(data));
			b->t.fin_seen |= (p.flags & TCP_FIN_) != 0;
		}
		guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);
	}
	assert_int_equal(b->t.got_len, sizeof(data));
	assert_true(b->t.fin_seen);
}

/* lwIP's lists, which it walks for each segment and each tick. */
struct tcp_pcb;
extern struct tcp_pcb *tcp_active_pcbs, *tcp_tw_pcbs;
union tcp_listen_pcbs_t { struct tcp_pcb *any; };
extern union tcp_listen_pcbs_t tcp_listen_pcbs;

static void idle_connections_are_not_on_lwips_lists(void **state)
{
	struct bench *b = *state;
	struct guest_tcp t[50];

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		init(b, &t[i], (uint16_t)(2000 + i));
		assert_true(guest_tcp_open(&t[i]));
		assert_null(tcp_active_pcbs);
		assert_null(tcp_listen_pcbs.any);
	}
	fake_net_run(&b->net, S(1));
	/* nothing is in flight, so no timer of the stack's runs */
	assert_true(clock_deadline(b->net.clock.clock) - b->net.clock.now > S(1));
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		guest_tcp_send(&t[i], TCP_ACK_, "x", 1);
		assert_null(tcp_active_pcbs);
		fake_net_run(&b->net, MS(2));
		guest_tcp_run(&t[i]);
		assert_int_equal(t[i].snd_una, t[i].snd_nxt);
	}
	/* one has data in flight: the timers look after that one until it is acknowledged */
	b->fd = b->net.sockets.last_open;
	t[49].no_ack = true;
	fake_peer_sends(&b->net.sockets, b->fd, "y", 1);
	fake_net_run(&b->net, MS(100));
	assert_true(clock_deadline(b->net.clock.clock) - b->net.clock.now <= MS(50));
	assert_null(tcp_active_pcbs);
	guest_tcp_run(&t[49]);
	assert_int_equal(t[49].got_len, 1);
	guest_tcp_send(&t[49], TCP_ACK_, NULL, 0);
	fake_net_run(&b->net, MS(100));
	assert_true(clock_deadline(b->net.clock.clock) - b->net.clock.now > S(1));
	/* and those in TIME_WAIT */
	fake_peer_closes(&b->net.sockets, b->fd);
	fake_net_run(&b->net, MS(1));
	guest_tcp_run(&t[49]);
	guest_tcp_send(&t[49], TCP_ACK_ | TCP_FIN_, NULL, 0);
	fake_net_run(&b->net, MS(1));
	assert_null(tcp_tw_pcbs);
	fake_net_run(&b->net, S(70));
	assert_true(clock_deadline(b->net.clock.clock) - b->net.clock.now > S(1));
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
		guest_tcp_free(&t[i]);
}

static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 20) % n);
}

/* Segments near the window with random flags, lengths, options, windows; the host talks, closes and resets at random. */
static void storm(struct bench *b, int segments)
{
	static uint8_t buf[70000], data[66000];

	b->t.no_ack = true;
	for (int i = 0; i < segments; i++) {
		uint8_t opts[40], flags = TCP_ACK_;
		uint32_t seq, save = b->t.rcv_nxt;
		size_t opts_len = 0, len = 0, n;
		int fd;

		if (rnd(50) == 0)
			flags = (uint8_t)rnd(64);
		if (rnd(8) == 0) {
			opts_len = rnd(11) * 4;
			for (size_t k = 0; k < opts_len; k++)
				opts[k] = (uint8_t)(rnd(3) ? rnd(9) : rnd(256));
		}
		if (rnd(3))
			len = rnd(4) ? rnd(1500) : rnd(64000);
		seq = b->t.snd_una + (rnd(4) ? 0 : rnd(6000) - 3000u);
		if (rnd(3) == 0)
			b->t.rcv_nxt += rnd(9000) - 4500u;
		if (rnd(4) == 0)
			b->t.window = rnd(3) ? rnd(3000) : rnd(65536);
		n = guest_tcp_build(&b->t, buf, seq, flags, opts, opts_len, data, len);
		if (len > 1500)
			guest_send_facts(&b->net.guest, buf, n, &(struct frame){
				.needs_csum = true, .gso = b->v6 ? GSO_TCPV6 : GSO_TCPV4, .gso_size = 1460,
				.csum_start = b->v6 ? 54 : 34, .csum_offset = 16, .hdr_len = (uint16_t)(n - len) });
		else
			guest_send(&b->net.guest, buf, n);
		b->t.rcv_nxt = save;
		guest_tcp_run(&b->t);
		fd = fake_find(&b->net.sockets, b->v6 ? "[2001:db8::22]:80" : "93.184.216.34:80");
		if (fd >= 0) {
			switch (rnd(400)) {
			case 0:
				fake_peer_closes(&b->net.sockets, fd);
				break;
			case 1:
				fake_peer_resets(&b->net.sockets, fd);
				break;
			case 2:
				b->net.sockets.s[fd].send_space = rnd(2) ? SIZE_MAX : rnd(20000);
				break;
			default:
				if (rnd(3) == 0 && b->net.sockets.s[fd].input_len - b->net.sockets.s[fd].input_at < 100000)
					fake_peer_sends(&b->net.sockets, fd, data, rnd(10000));
			}
			b->net.sockets.s[fd].sent_len = 0;
		}
		fake_net_run(&b->net, rnd(20) ? 0 : MS(1 + rnd(300)));
		if (fd < 0 || rnd(500) == 0) {          /* start over */
			b->t.syn_ack_seen = b->t.reset = b->t.fin_seen = false;
			b->t.snd_nxt = b->t.snd_una = rnd(0xffffffff);
			b->t.scale = rnd(2) ? -1 : (int)rnd(15);
			b->t.mss = (uint16_t)(rnd(2) ? 1460 : rnd(65536));
			guest_tcp_open(&b->t);
		}
	}
	guest_tcp_send(&b->t, TCP_RST_, NULL, 0);
	fake_net_run(&b->net, S(300));
}

static void a_storm_of_random_segments_is_weathered(void **state)
{
	struct bench *b = *state;

	seed = 12345;
	storm(b, 60000);
	works_on(b);
}

static void a_storm_with_long_segments_is_weathered(void **state)
{
	struct bench *b = *state;

	port_accepts(&b->net.guest.port, PORT_CSUM | PORT_TSO4 | PORT_TSO6);
	seed = 54321;
	storm(b, 60000);
	works_on(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown), \
		{ #f "_by_ipv6", f, setup6, teardown, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fault_1_truncated_options),
		TEST(fault_2_overlapping_segments_out_of_order),
		TEST(fault_3_shrinking_window),
		TEST(fault_3_mss_option_on_a_later_segment),
		TEST(fault_4_persist_timer_with_an_empty_queue),
		TEST(fault_5_reset_while_data_waits_for_the_host),
		TEST(fault_6_fins_while_data_waits_for_the_host),
		TEST(fault_7_a_segment_with_a_fin_is_split),
		TEST(idle_connections_are_not_on_lwips_lists),
		TEST(a_storm_of_random_segments_is_weathered),
		TEST(a_storm_with_long_segments_is_weathered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
