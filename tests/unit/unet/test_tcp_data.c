/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/tcp_bench.h"

static void bytes_go_both_ways(void **state)
{
	struct tcp_bench *b = *state;

	tcp_bench_open(b);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_PSH_, "GET /", 5);
	assert_int_equal(tcp_bench_host(b)->sent_len, 5);
	assert_memory_equal(tcp_bench_host(b)->sent, "GET /", 5);
	fake_peer_sends(&b->net.sockets, b->fd, "hello", 5);
	fake_net_run(&b->net, 0);
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.got_len, 5);
	assert_memory_equal(b->t.got, "hello", 5);
	assert_int_equal(b->t.snd_una, b->t.snd_nxt);
}

static void download(struct tcp_bench *b, size_t len)
{
	uint8_t *data = guest_pattern(len);

	fake_peer_sends(&b->net.sockets, b->fd, data, len);
	for (int i = 0; i < 100000 && b->t.got_len < len; i++) {
		fake_net_run(&b->net, 0);
		if (!guest_tcp_run(&b->t))
			fake_net_run(&b->net, MS(10));
	}
	assert_int_equal(b->t.got_len, len);
	assert_memory_equal(b->t.got, data, len);
	free(data);
}

static void a_download_arrives_whole_in_segments_of_the_guests_mss(void **state)
{
	struct tcp_bench *b = *state;

	tcp_bench_open(b);
	download(b, 3000000);
	assert_int_equal(b->t.largest, 1460);
}

static void a_card_with_tso_gets_long_segments(void **state)
{
	struct tcp_bench *b = *state;

	b->t.window = 1 << 20;
	tcp_bench_open(b);
	download(b, 3000000);
	assert_true(b->t.largest > 60000);
	assert_int_equal(b->t.largest % 1460, 0);
}

static void a_stream_of_the_hosts_is_read_without_asking_for_events_each_time(void **state)
{
	struct tcp_bench *b = *state;

	b->t.window = 1 << 18;
	tcp_bench_open(b);
	download(b, 8 << 20);
	assert_true(tcp_bench_host(b)->rewatches < 12);
}

/* An MSS beyond half of what a segment may be leaves no multiple of it. */
static void a_jumbo_mss_is_used_as_it_is(void **state)
{
	struct tcp_bench *b = *state;
	struct unet_config c;

	guest_tcp_free(&b->t);
	fake_net_free(&b->net);
	fake_net_config(&b->net, &c);
	c.mtu = 65520;
	assert_true(fake_net_start(&b->net, &c, PORT_CSUM | PORT_TSO4));
	guest_tcp_init(&b->t, &b->net.guest, NET_OUTSIDE, 40000, 80);
	b->t.mss = 65480;
	b->t.window = 1 << 20;
	tcp_bench_open(b);
	download(b, 3000000);
	assert_int_equal(b->t.largest, 65480);
}

static void a_small_window_is_never_overrun_and_never_stalls(void **state)
{
	static const uint32_t windows[] = { 100, 536, 1459, 1461, 5000, 65535 };
	struct tcp_bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(windows); i++) {
		uint64_t before;

		guest_tcp_free(&b->t);
		guest_tcp_init(&b->t, &b->net.guest, NET_OUTSIDE, (uint16_t)(41000 + i), 80);
		b->t.window = windows[i];
		b->t.scale = -1;
		tcp_bench_open(b);
		before = b->net.clock.now;
		download(b, windows[i] * 20);
		assert_true(b->t.largest <= windows[i]);
		if (windows[i] >= 1461)         /* no persist timer was needed */
			assert_true(b->net.clock.now - before < MS(50));
		guest_tcp_send(&b->t, TCP_RST_, NULL, 0);
	}
}

static void an_upload_arrives_whole(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t *data = guest_pattern(1000000);
	size_t sent = 0;

	tcp_bench_open(b);
	while (sent < 1000000) {
		size_t n = MIN(1460, 1000000 - sent);

		guest_tcp_send(&b->t, TCP_ACK_, data + sent, n);
		sent += n;
		guest_tcp_run(&b->t);
		assert_true(b->t.far_window > 60000);
	}
	assert_int_equal(tcp_bench_host(b)->sent_len, 1000000);
	assert_memory_equal(tcp_bench_host(b)->sent, data, 1000000);
	free(data);
}

static void a_gso_frame_is_taken_in_one_piece(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t *data = guest_pattern(60000), *buf = malloc(61000);
	size_t n;

	tcp_bench_open(b);
	n = guest_tcp_build(&b->t, buf, b->t.snd_nxt, TCP_ACK_ | TCP_PSH_, NULL, 0, data, 60000);
	guest_send_facts(&b->net.guest, buf, n, &(struct frame){ .needs_csum = true, .gso = GSO_TCPV4, .gso_size = 1460,
								 .csum_start = 34, .csum_offset = 16, .hdr_len = 54 });
	b->t.snd_nxt += 60000;
	assert_int_equal(tcp_bench_host(b)->sent_len, 60000);
	assert_int_equal(tcp_bench_host(b)->send_calls, 1);
	assert_memory_equal(tcp_bench_host(b)->sent, data, 60000);
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.snd_una, b->t.snd_nxt);
	assert_int_equal(b->t.acks, 1);
	free(data);
	free(buf);
}

static void a_batch_of_segments_is_one_write_and_one_ack(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t bufs[20][1600], *data = guest_pattern(20 * 1460);
	struct frame frames[20];
	struct iovec iov[20];

	tcp_bench_open(b);
	for (int i = 0; i < 20; i++) {
		size_t n = guest_tcp_build(&b->t, bufs[i], b->t.snd_nxt, TCP_ACK_, NULL, 0, data + i * 1460, 1460);

		iov[i] = (struct iovec){ bufs[i], n };
		frames[i] = (struct frame){ .iov = &iov[i], .iov_count = 1, .len = (uint32_t)n };
		b->t.snd_nxt += 1460;
	}
	assert_int_equal(port_send(&b->net.guest.port, frames, 20), 20);
	assert_int_equal(tcp_bench_host(b)->send_calls, 1);
	assert_int_equal(tcp_bench_host(b)->sent_len, 20 * 1460);
	assert_memory_equal(tcp_bench_host(b)->sent, data, 20 * 1460);
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.acks, 1);
	assert_int_equal(b->t.snd_una, b->t.snd_nxt);
	free(data);
}

static void a_stream_of_small_writes_gets_few_acks(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t *data = guest_pattern(1000);

	tcp_bench_open(b);
	for (int i = 0; i < 200; i++)
		guest_tcp_send(&b->t, TCP_ACK_ | TCP_PSH_, data, 1000);
	guest_tcp_run(&b->t);
	b->t.acks = 0;
	for (int i = 0; i < 60; i++)
		guest_tcp_send(&b->t, TCP_ACK_ | TCP_PSH_, data, 1000);
	guest_tcp_run(&b->t);
	assert_in_range(b->t.acks, 9, 11);      /* one for 6 KB: four segments of 1460 */
	/* the last one comes soon, even if the guest says no more */
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_PSH_, data, 1000);
	fake_clock_advance(&b->net.clock, US(500));
	fake_net_run(&b->net, 0);
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.snd_una, b->t.snd_nxt);
	free(data);
}

/* A question, and after `host_ns` the answer; returns frames to the guest. */
static unsigned question(struct tcp_bench *b, uint64_t host_ns)
{
	uint64_t before = b->net.guest.total_frames;

	guest_tcp_send(&b->t, TCP_ACK_ | TCP_PSH_, "question", 8);
	fake_clock_advance(&b->net.clock, host_ns);
	guest_tcp_run(&b->t);
	fake_peer_sends(&b->net.sockets, b->fd, "answer", 6);
	fake_net_run(&b->net, 0);
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.snd_una, b->t.snd_nxt);
	return (unsigned)(b->net.guest.total_frames - before);
}

static void an_answer_that_comes_soon_carries_the_ack(void **state)
{
	struct tcp_bench *b = *state;

	tcp_bench_open(b);
	for (int i = 0; i < 100; i++)
		assert_int_equal(question(b, US(100)), 1);
	assert_int_equal(question(b, MS(5)), 2);
	/* and now the guest waits for no ACK, until answers come soon again */
	for (int i = 0; i < 16; i++)
		assert_int_equal(question(b, US(100)), 2);
	for (int i = 0; i < 10; i++)
		assert_int_equal(question(b, US(100)), 1);
	/* a whole segment is more than a question */
	guest_tcp_send(&b->t, TCP_ACK_, (const uint8_t[1460]){ 0 }, 1460);
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.snd_una, b->t.snd_nxt);
}

static void each_flow_waits_its_own_time_for_the_answer(void **state)
{
	struct tcp_bench *b = *state;
	struct guest_tcp other;

	tcp_bench_open(b);
	guest_tcp_init(&other, &b->net.guest, NET_OUTSIDE, 40001, 80);
	assert_true(guest_tcp_open(&other));
	fake_net_run(&b->net, 0);
	guest_tcp_send(&other, TCP_ACK_, "early", 5);
	fake_clock_advance(&b->net.clock, MS(1));
	guest_tcp_send(&b->t, TCP_ACK_, "late", 4);
	fake_clock_advance(&b->net.clock, MS(1));
	assert_int_equal(b->net.guest.count, 1);
	guest_tcp_run(&other);
	assert_int_equal(other.snd_una, other.snd_nxt);
	fake_clock_advance(&b->net.clock, MS(1));
	assert_int_equal(b->net.guest.count, 1);
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.snd_una, b->t.snd_nxt);
	guest_tcp_free(&other);
}

static void a_guest_that_waits_for_each_ack_waits_once(void **state)
{
	struct tcp_bench *b = *state;

	tcp_bench_open(b);
	guest_tcp_send(&b->t, TCP_ACK_, "first", 5);
	guest_tcp_run(&b->t);
	assert_int_not_equal(b->t.snd_una, b->t.snd_nxt);
	fake_clock_advance(&b->net.clock, MS(2));
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.snd_una, b->t.snd_nxt);
	for (int i = 0; i < 200; i++) {
		fake_net_run(&b->net, i & 1 ? MS(30) : 0);      /* a write now and then is no stream */
		guest_tcp_send(&b->t, TCP_ACK_ | TCP_PSH_, "next", 4);
		guest_tcp_run(&b->t);
		assert_int_equal(b->t.snd_una, b->t.snd_nxt);
	}
}

static void a_host_that_does_not_read_closes_the_window_and_nothing_is_lost(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t *data = guest_pattern(600000);
	size_t sent = 0;

	tcp_bench_open(b);
	tcp_bench_host(b)->send_space = 1000;
	b->t.far_window = 65535;
	while (sent < 600000) {
		uint32_t room = b->t.far_window - (b->t.snd_nxt - b->t.snd_una);
		size_t n = MIN(MIN(1460, 600000 - sent), room);

		if (!n)
			break;
		guest_tcp_send(&b->t, TCP_ACK_, data + sent, n);
		sent += n;
		guest_tcp_run(&b->t);
	}
	assert_true(sent >= 200000 && sent <= 270000);
	assert_int_equal(b->t.far_window, 0);
	assert_true(unet_busy(b->net.u));
	/* probes are answered, for a minute */
	for (int i = 0; i < 60; i++) {
		fake_net_run(&b->net, S(1));
		b->t.acks = 0;
		guest_tcp_send_at(&b->t, b->t.snd_nxt, TCP_ACK_, data + sent, 1);
		guest_tcp_run(&b->t);
		assert_true(b->t.acks > 0);
		assert_int_equal(b->t.far_window, 0);
	}
	tcp_bench_host(b)->send_space = SIZE_MAX;
	fake_net_run(&b->net, MS(1));
	guest_tcp_run(&b->t);
	assert_true(b->t.far_window > 200000);
	while (sent < 600000) {
		size_t n = MIN(1460, 600000 - sent);

		guest_tcp_send(&b->t, TCP_ACK_, data + sent, n);
		sent += n;
		guest_tcp_run(&b->t);
	}
	assert_int_equal(tcp_bench_host(b)->sent_len, 600000);
	assert_memory_equal(tcp_bench_host(b)->sent, data, 600000);
	assert_false(unet_busy(b->net.u));
	free(data);
}

static void a_guest_that_does_not_read_for_a_minute_is_probed_and_gets_the_rest(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t *data = guest_pattern(100000);
	unsigned probes = 0;

	b->t.window = 20000;
	tcp_bench_open(b);
	fake_peer_sends(&b->net.sockets, b->fd, data, 100000);
	fake_net_run(&b->net, MS(1));
	b->t.window = 0;                /* and that is said with the acknowledgement */
	guest_tcp_run(&b->t);
	for (int i = 0; i < 600; i++) {
		fake_net_run(&b->net, MS(100));
		probes += guest_tcp_run(&b->t);
	}
	assert_true(probes >= 3 && probes <= 60);       /* further and further apart */
	assert_true(b->t.got_len <= 20000 + probes);
	assert_int_equal(b->net.sockets.open_count, 1);
	b->t.window = 60000;
	guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);
	for (int i = 0; i < 100 && b->t.got_len < 100000; i++) {
		fake_net_run(&b->net, MS(1));
		guest_tcp_run(&b->t);
	}
	assert_int_equal(b->t.got_len, 100000);
	assert_memory_equal(b->t.got, data, 100000);
	free(data);
}

static void a_full_card_makes_the_data_wait(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t *data = guest_pattern(500000);

	tcp_bench_open(b);
	b->t.window = 1 << 20;
	guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);
	b->net.guest.room = 3;
	fake_peer_sends(&b->net.sockets, b->fd, data, 500000);
	for (int i = 0; i < 100000 && b->t.got_len < 500000; i++) {
		fake_net_run(&b->net, MS(1));
		guest_tcp_run(&b->t);
		b->net.guest.room = 3;
		port_ready(&b->net.guest.port);
	}
	assert_int_equal(b->t.got_len, 500000);
	assert_memory_equal(b->t.got, data, 500000);
	assert_int_equal(fake_net_counters(&b->net).limit_buffers, 0);
	free(data);
}

static void many_downloads_at_once_do_not_stall_on_the_queue(void **state)
{
	enum { FLOWS = 8, EACH = 400000 };
	struct tcp_bench *b = *state;
	struct guest_tcp t[FLOWS];
	uint8_t *data = guest_pattern(EACH);
	uint64_t before;
	int fds[FLOWS];
	size_t done = 0;

	for (int i = 0; i < FLOWS; i++) {
		guest_tcp_init(&t[i], &b->net.guest, NET_OUTSIDE, (uint16_t)(50000 + i), 80);
		t[i].window = 1 << 20;
		assert_true(guest_tcp_open(&t[i]));
		fds[i] = b->net.sockets.last_open;
		t[i].no_ack = true;
	}
	before = b->net.clock.now;
	for (int i = 0; i < FLOWS; i++)
		fake_peer_sends(&b->net.sockets, fds[i], data, EACH);
	while (done < FLOWS && b->net.clock.now - before < S(1)) {
		struct guest_packet p;

		fake_net_run(&b->net, 0);
		while (guest_packet(&b->net.guest, &p)) {       /* all of them see their data in order */
			struct guest_tcp *f = &t[(p.dport - 50000) % FLOWS];

			if (p.data_len && p.seq == f->rcv_nxt) {
				assert_memory_equal(p.data, data + f->got_len, p.data_len);
				f->rcv_nxt += (uint32_t)p.data_len;
				f->got_len += p.data_len;
				done += f->got_len == EACH;
			}
		}
		for (int i = 0; i < FLOWS; i++)
			guest_tcp_send(&t[i], TCP_ACK_, NULL, 0);
		fake_net_run(&b->net, MS(1));
	}
	assert_int_equal(done, FLOWS);
	assert_true(b->net.clock.now - before < MS(200));       /* no retransmission timer was needed */
	free(data);
}

static void stalled_downloads_do_not_starve_the_next_one(void **state)
{
	enum { STALLED = 1100 };
	struct tcp_bench *b = *state;
	struct guest_tcp t;
	uint8_t *data = guest_pattern(2000);

	guest_tcp_init(&t, &b->net.guest, NET_OUTSIDE, 1, 80);
	for (int i = 0; i < STALLED; i++) {
		t.port = (uint16_t)(1 + i);
		t.window = 0;
		t.syn_ack_seen = false;
		assert_true(guest_tcp_open(&t));
		fake_peer_sends(&b->net.sockets, b->net.sockets.last_open, data, 2000);
		fake_sockets_poll(&b->net.sockets, 2);
		guest_forget(&b->net.guest);
	}
	for (int i = 0; i < 120; i++) {         /* window probes fill the card's memory now and then */
		fake_net_run(&b->net, MS(100));
		guest_forget(&b->net.guest);
		port_ready(&b->net.guest.port);
	}
	tcp_bench_open(b);
	fake_peer_sends(&b->net.sockets, b->fd, data, 2000);
	for (int i = 0; i < 20 && b->t.got_len < 2000; i++) {
		fake_net_run(&b->net, MS(1));
		guest_tcp_run(&b->t);
	}
	assert_int_equal(b->t.got_len, 2000);
	guest_tcp_free(&t);
	free(data);
}

/* Found by fuzz_unet_tcp: the ring of a connection that was reset was used anew while frames still pointed into it. */
static void what_is_queued_keeps_its_bytes_when_its_connection_ends(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t *data = guest_pattern(30000), zeros[1460] = { 0 };
	struct guest_tcp other;

	b->t.window = 60000;
	tcp_bench_open(b);
	guest_tcp_init(&other, &b->net.guest, NET_OUTSIDE, 50000, 80);
	assert_true(guest_tcp_open(&other));
	b->net.sockets.s[b->net.sockets.last_open].send_space = 0;
	b->net.guest.room = 0;
	fake_peer_sends(&b->net.sockets, b->fd, data, 30000);
	fake_net_run(&b->net, 0);
	fake_peer_resets(&b->net.sockets, b->fd);
	fake_net_run(&b->net, 0);
	for (int i = 0; i < 20; i++)            /* someone else's words wait for the host in a ring */
		guest_tcp_send(&other, TCP_ACK_, zeros, sizeof(zeros));
	b->net.guest.room = SIZE_MAX;
	port_ready(&b->net.guest.port);
	b->t.no_ack = true;
	guest_tcp_run(&b->t);
	assert_true(b->t.got_len >= 20000);
	assert_memory_equal(b->t.got, data, b->t.got_len);
	guest_tcp_free(&other);
	free(data);
}

static void a_guest_that_answers_late_gets_nothing_twice(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t *data = guest_pattern(100000);
	size_t segments = 0;

	tcp_bench_open(b);
	b->t.no_ack = true;
	for (int i = 0; i < 20; i++) {
		fake_peer_sends(&b->net.sockets, b->fd, data, 4380);
		fake_net_run(&b->net, i % 4 == 3 ? MS(900) : MS(1));
		segments += guest_tcp_run(&b->t);
		guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);
	}
	assert_int_equal(b->t.got_len, 20 * 4380);
	assert_int_equal(segments, 20 * 3);
	free(data);
}

static void a_lost_segment_is_sent_again(void **state)
{
	struct tcp_bench *b = *state;

	tcp_bench_open(b);
	fake_peer_sends(&b->net.sockets, b->fd, "abc", 3);
	fake_net_run(&b->net, 0);
	guest_forget(&b->net.guest);
	fake_net_run(&b->net, S(5));
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.got_len, 3);
	assert_memory_equal(b->t.got, "abc", 3);
}

/* --- urgent data -------------------------------------------------------------------------------------------------- */

static void urgent_data_of_the_guest_is_urgent_on_the_host(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t *data = guest_pattern(5000);

	tcp_bench_open(b);
	guest_tcp_send(&b->t, TCP_ACK_, data, 100);
	b->t.urgent = 50;
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_URG_, data + 100, 80);
	assert_int_equal(tcp_bench_host(b)->urgent_sent, 1);
	assert_int_equal(tcp_bench_host(b)->urgent_at, 149);
	/* said ahead of the data, repeated, and then no more */
	b->t.urgent = 1500;
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_URG_, data + 180, 1000);
	assert_int_equal(tcp_bench_host(b)->urgent_sent, 1);
	b->t.urgent = 500;
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_URG_, data + 1180, 1000);
	assert_int_equal(tcp_bench_host(b)->urgent_sent, 2);
	assert_int_equal(tcp_bench_host(b)->urgent_at, 1679);
	guest_tcp_send_at(&b->t, b->t.snd_nxt - 1000, TCP_ACK_ | TCP_URG_, data + 1180, 1000);
	/* and when the host was slow to take what comes before */
	tcp_bench_host(b)->send_space = 0;
	b->t.urgent = 1;
	guest_tcp_send(&b->t, TCP_ACK_, data + 2180, 1000);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_URG_, data + 3180, 1000);
	tcp_bench_host(b)->send_space = 1000;
	fake_net_run(&b->net, MS(1));
	assert_int_equal(tcp_bench_host(b)->urgent_sent, 2);
	tcp_bench_host(b)->send_space = SIZE_MAX;
	fake_net_run(&b->net, MS(1));
	assert_int_equal(tcp_bench_host(b)->urgent_sent, 3);
	assert_int_equal(tcp_bench_host(b)->urgent_at, 3180);
	assert_int_equal(tcp_bench_host(b)->sent_len, 4180);
	assert_memory_equal(tcp_bench_host(b)->sent, data, 4180);
	free(data);
}

static void urgent_data_of_the_host_is_urgent_in_the_guest(void **state)
{
	struct tcp_bench *b = *state;
	uint8_t *data = guest_pattern(70000);

	b->t.window = 1 << 20;
	tcp_bench_open(b);
	fake_peer_sends(&b->net.sockets, b->fd, data, 30000);
	fake_peer_sends_urgent(&b->net.sockets, b->fd, data + 30000, 501);
	fake_peer_sends(&b->net.sockets, b->fd, data + 30501, 39499);
	for (int i = 0; i < 50 && b->t.got_len < 70000; i++) {
		fake_net_run(&b->net, MS(1));
		guest_tcp_run(&b->t);
	}
	assert_int_equal(b->t.got_len, 70000);
	assert_memory_equal(b->t.got, data, 70000);
	assert_true(b->t.urgent_seen > 0);
	assert_int_equal(b->t.urgent_at, 30500);
	/* the mark is passed: no more of it */
	b->t.urgent_seen = 0;
	fake_peer_sends(&b->net.sockets, b->fd, data, 3000);
	fake_net_run(&b->net, MS(1));
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.urgent_seen, 0);
	free(data);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tcp_bench_setup, tcp_bench_teardown)
#define TEST_TSO(f) cmocka_unit_test_setup_teardown(f, tcp_bench_setup_tso, tcp_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_go_both_ways),
		TEST(a_download_arrives_whole_in_segments_of_the_guests_mss),
		TEST_TSO(a_card_with_tso_gets_long_segments),
		TEST_TSO(a_stream_of_the_hosts_is_read_without_asking_for_events_each_time),
		TEST_TSO(a_jumbo_mss_is_used_as_it_is),
		TEST_TSO(a_small_window_is_never_overrun_and_never_stalls),
		TEST(an_upload_arrives_whole),
		TEST(a_gso_frame_is_taken_in_one_piece),
		TEST(a_batch_of_segments_is_one_write_and_one_ack),
		TEST(a_stream_of_small_writes_gets_few_acks),
		TEST(an_answer_that_comes_soon_carries_the_ack),
		TEST(each_flow_waits_its_own_time_for_the_answer),
		TEST(a_guest_that_waits_for_each_ack_waits_once),
		TEST(a_host_that_does_not_read_closes_the_window_and_nothing_is_lost),
		TEST(a_guest_that_does_not_read_for_a_minute_is_probed_and_gets_the_rest),
		TEST(a_full_card_makes_the_data_wait),
		TEST(many_downloads_at_once_do_not_stall_on_the_queue),
		TEST(stalled_downloads_do_not_starve_the_next_one),
		TEST(what_is_queued_keeps_its_bytes_when_its_connection_ends),
		TEST(a_guest_that_answers_late_gets_nothing_twice),
		TEST(a_lost_segment_is_sent_again),
		TEST(urgent_data_of_the_guest_is_urgent_on_the_host),
		TEST_TSO(urgent_data_of_the_host_is_urgent_in_the_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
