/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/fake_net.h"

struct bench {
	struct fake_net net;
	struct guest_tcp t;
	int fd;                         /* the host's end */
};

static int setup_with(void **state, unsigned accepts)
{
	struct bench *b = calloc(1, sizeof(*b));

	fake_net_init(&b->net, accepts);
	guest_tcp_init(&b->t, &b->net.guest, NET_OUTSIDE, 40000, 80);
	*state = b;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, 0);
}

static int setup_tso(void **state)
{
	return setup_with(state, PORT_CSUM | PORT_TSO4);
}

static int teardown(void **state)
{
	struct bench *b = *state;

	assert_int_equal(b->net.guest.bad_checksums, 0);
	guest_tcp_free(&b->t);
	fake_net_free(&b->net);
	free(b);
	return 0;
}

static void open_connection(struct bench *b)
{
	assert_true(guest_tcp_open(&b->t));
	b->fd = b->net.sockets.last_open;
	fake_net_run(&b->net, 0);
}

static struct fake_socket *host(struct bench *b)
{
	return &b->net.sockets.s[b->fd];
}

static uint8_t *pattern(size_t len)
{
	uint8_t *p = malloc(len);

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
	return p;
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static void syn_waits_for_the_hosts_connect(void **state)
{
	struct bench *b = *state;

	b->net.sockets.connect_result = -EINPROGRESS;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	fake_net_run(&b->net, S(1));
	assert_int_equal(guest_tcp_run(&b->t), 0);
	b->fd = b->net.sockets.last_open;
	assert_string_equal(fake_text(&host(b)->peer), "93.184.216.34:80");
	/* retransmitted SYNs start no second connect */
	guest_tcp_send_at(&b->t, b->t.snd_nxt - 1, TCP_SYN_, NULL, 0);
	fake_net_run(&b->net, S(1));
	assert_int_equal(b->net.sockets.opened, 1);
	assert_int_equal(guest_tcp_run(&b->t), 0);
	fake_connect_done(&b->net.sockets, b->fd, 0);
	fake_net_run(&b->net, 0);
	assert_int_equal(guest_tcp_run(&b->t), 1);
	assert_true(b->t.syn_ack_seen);
	assert_int_equal(b->t.snd_una, b->t.snd_nxt);
	assert_int_equal(b->t.far_mss, 1460);
	assert_true(b->t.far_scale >= 0);
}

static void refused_connect_resets_the_guest(void **state)
{
	struct bench *b = *state;
	struct guest_packet p;

	b->net.sockets.connect_result = -ECONNREFUSED;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	assert_true(guest_packet(&b->net.guest, &p));
	assert_int_equal(p.flags, TCP_RST_ | TCP_ACK_);
	assert_int_equal(p.seq, 0);
	assert_int_equal(p.ack, b->t.snd_nxt);
	assert_int_equal(p.src, NET_OUTSIDE);
	assert_int_equal(b->net.sockets.open_count, 0);
}

static void unreachable_host_gives_an_icmp_error_that_quotes_the_syn(void **state)
{
	static const struct { int error; int code; } cases[] = {
		{ EHOSTUNREACH, 1 }, { ENETUNREACH, 0 }, { EACCES, 13 }, { ETIMEDOUT, 1 }, { EPERM, 13 },
	};
	struct bench *b = *state;
	struct guest_packet p;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		b->net.sockets.connect_result = -EINPROGRESS;
		guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
		fake_connect_done(&b->net.sockets, b->net.sockets.last_open, cases[i].error);
		fake_net_run(&b->net, 0);
		assert_true(guest_packet(&b->net.guest, &p));
		assert_int_equal(p.protocol, 1);
		assert_int_equal(p.src, NET_HOST);
		assert_int_equal(p.icmp_type, 3);
		assert_int_equal(p.icmp_code, cases[i].code);
		assert_int_equal(be32(p.data + 12), NET_GUEST);
		assert_int_equal(be32(p.data + 16), NET_OUTSIDE);
		assert_int_equal(be16(p.data + 20), 40000);
		assert_int_equal(be16(p.data + 22), 80);
		assert_int_equal(be32(p.data + 24), b->t.snd_nxt - 1);
		assert_false(guest_packet(&b->net.guest, &p));
		assert_int_equal(b->net.sockets.open_count, 0);
	}
}

static void a_traced_connect_carries_the_ttl_and_names_the_router_that_dropped_it(void **state)
{
	struct bench *b = *state;
	struct sock_error e = { .error = EHOSTUNREACH, .icmp = 4, .type = 11, .code = 0 };
	struct guest_packet p;
	uint8_t buf[100];
	size_t n = guest_tcp_build(&b->t, buf, 1000, TCP_SYN_, NULL, 0, NULL, 0);

	b->net.sockets.connect_result = -EINPROGRESS;
	buf[22] = 5;
	guest_fix_ip(buf);
	guest_send(&b->net.guest, buf, n);
	b->fd = b->net.sockets.last_open;
	assert_int_equal(host(b)->ttl, 4);
	fake_address(&e.to, "93.184.216.34", 80);
	fake_address(&e.offender, "203.0.113.1", 0);
	fake_peer_icmp(&b->net.sockets, b->fd, &e);
	fake_connect_done(&b->net.sockets, b->fd, EHOSTUNREACH);
	fake_net_run(&b->net, 0);
	assert_true(guest_packet(&b->net.guest, &p));
	assert_int_equal(p.src, 0xcb007101);
	assert_int_equal(p.icmp_type, 11);
	assert_int_equal(be16(p.data + 20), 40000);
	/* one that gets through has the usual TTL from then on, and an ordinary one from the start */
	guest_send(&b->net.guest, buf, n);
	b->fd = b->net.sockets.last_open;
	assert_int_equal(host(b)->ttl, 4);
	fake_connect_done(&b->net.sockets, b->fd, 0);
	fake_net_run(&b->net, 0);
	assert_int_equal(host(b)->ttl, -1);
	b->t.port++;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	assert_int_equal(b->net.sockets.s[b->net.sockets.last_open].ttl, 0);
}

static size_t complaint(struct bench *b, uint8_t *buf, uint8_t code, uint16_t mtu, const uint8_t *about)
{
	return guest_icmp(&b->net.guest, buf, NET_OUTSIDE, 3, code, mtu, about, 28);
}

static void a_guest_that_finds_a_segment_too_big_gets_smaller_ones(void **state)
{
	struct bench *b = *state;
	struct guest_packet p;
	uint8_t *data = pattern(50000), buf[100], lie[28];
	size_t n;

	b->t.window = 1 << 20;
	open_connection(b);
	fake_peer_sends(&b->net.sockets, b->fd, data, 20000);
	fake_net_run(&b->net, 0);
	assert_true(guest_packet(&b->net.guest, &p));
	/* about a segment that is not in flight: ignored */
	memcpy(lie, p.ip, 28);
	put_be32(lie + 24, p.seq + 1000000);
	n = complaint(b, buf, 4, 700, lie);
	guest_send(&b->net.guest, buf, n);
	n = complaint(b, buf, 4, 1000, p.ip);
	guest_send(&b->net.guest, buf, n);
	guest_forget(&b->net.guest);            /* they were lost on the narrow link */
	fake_peer_sends(&b->net.sockets, b->fd, data + 20000, 30000);
	b->t.largest = 0;
	for (int i = 0; i < 100 && b->t.got_len < 50000; i++) {
		fake_net_run(&b->net, MS(100));
		guest_tcp_run(&b->t);
	}
	assert_int_equal(b->t.got_len, 50000);
	assert_memory_equal(b->t.got, data, 50000);
	if (b->net.guest.port.accepts) {
		fake_peer_sends(&b->net.sockets, b->fd, data, 3000);
		fake_net_run(&b->net, 0);
		assert_true(guest_packet(&b->net.guest, &p));
		assert_int_equal(p.frame->facts.gso_size, 960);
	} else {
		assert_int_equal(b->t.largest, 960);
	}
	free(data);
}

static void a_syn_in_the_last_step_of_the_handshake_is_no_byte_of_the_stream(void **state)
{
	struct bench *b = *state;

	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	guest_tcp_run(&b->t);
	b->fd = b->net.sockets.last_open;
	guest_tcp_send_at(&b->t, b->t.snd_nxt, TCP_SYN_ | TCP_ACK_, "hello", 5);
	guest_tcp_send(&b->t, TCP_ACK_, "hello", 5);
	assert_int_equal(host(b)->sent_len, 5);
	assert_memory_equal(host(b)->sent, "hello", 5);
}

static void guest_reset_cancels_the_connect(void **state)
{
	struct bench *b = *state;

	b->net.sockets.connect_result = -EINPROGRESS;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	assert_int_equal(b->net.sockets.open_count, 1);
	guest_tcp_send(&b->t, TCP_RST_, NULL, 0);
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_int_equal(guest_tcp_run(&b->t), 0);
}

static void new_sequence_number_replaces_the_waiting_syn(void **state)
{
	struct bench *b = *state;

	b->net.sockets.connect_result = -EINPROGRESS;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	b->t.snd_nxt = 5000;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	assert_int_equal(b->net.sockets.opened, 1);
	fake_connect_done(&b->net.sockets, b->net.sockets.last_open, 0);
	fake_net_run(&b->net, 0);
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.snd_una, 5001);
}

static void gateway_is_the_hosts_loopback(void **state)
{
	struct bench *b = *state;

	b->t.far = NET_HOST;
	open_connection(b);
	assert_string_equal(fake_text(&host(b)->peer), "127.0.0.1:80");
}

static void handshake_left_undone_closes_the_host_side(void **state)
{
	struct bench *b = *state;

	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	assert_int_equal(b->net.sockets.open_count, 1);
	fake_net_run(&b->net, S(40));
	assert_int_equal(b->net.sockets.open_count, 0);
}

/* --- data ------------------------------------------------------------------------------------------------------- */

static void bytes_go_both_ways(void **state)
{
	struct bench *b = *state;

	open_connection(b);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_PSH_, "GET /", 5);
	assert_int_equal(host(b)->sent_len, 5);
	assert_memory_equal(host(b)->sent, "GET /", 5);
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.snd_una, b->t.snd_nxt);   /* acknowledged at once */
	fake_peer_sends(&b->net.sockets, b->fd, "hello", 5);
	fake_net_run(&b->net, 0);
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.got_len, 5);
	assert_memory_equal(b->t.got, "hello", 5);
}

static void download(struct bench *b, size_t len)
{
	uint8_t *data = pattern(len);

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
	struct bench *b = *state;

	open_connection(b);
	download(b, 3000000);
	assert_int_equal(b->t.largest, 1460);
}

static void a_card_with_tso_gets_long_segments(void **state)
{
	struct bench *b = *state;

	b->t.window = 1 << 20;
	open_connection(b);
	download(b, 3000000);
	assert_true(b->t.largest > 60000);
	assert_int_equal(b->t.largest % 1460, 0);
}

/* An MSS beyond half of what a segment may be leaves no multiple of it. */
static void a_jumbo_mss_is_used_as_it_is(void **state)
{
	struct bench *b = *state;
	struct unet_config c;

	guest_tcp_free(&b->t);
	fake_net_free(&b->net);
	fake_net_config(&b->net, &c);
	c.mtu = 65520;
	assert_true(fake_net_start(&b->net, &c, PORT_CSUM | PORT_TSO4));
	guest_tcp_init(&b->t, &b->net.guest, NET_OUTSIDE, 40000, 80);
	b->t.mss = 65480;
	b->t.window = 1 << 20;
	open_connection(b);
	download(b, 3000000);
	assert_int_equal(b->t.largest, 65480);
}

static void a_small_window_is_never_overrun_and_never_stalls(void **state)
{
	static const uint32_t windows[] = { 100, 536, 1459, 1461, 5000, 65535 };
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(windows); i++) {
		uint64_t before;

		guest_tcp_free(&b->t);
		guest_tcp_init(&b->t, &b->net.guest, NET_OUTSIDE, (uint16_t)(41000 + i), 80);
		b->t.window = windows[i];
		b->t.scale = -1;
		open_connection(b);
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
	struct bench *b = *state;
	uint8_t *data = pattern(1000000);
	size_t sent = 0;

	open_connection(b);
	while (sent < 1000000) {
		size_t n = MIN(1460, 1000000 - sent);

		guest_tcp_send(&b->t, TCP_ACK_, data + sent, n);
		sent += n;
		guest_tcp_run(&b->t);
		assert_true(b->t.far_window > 60000);
	}
	assert_int_equal(host(b)->sent_len, 1000000);
	assert_memory_equal(host(b)->sent, data, 1000000);
	free(data);
}

static void a_gso_frame_is_taken_in_one_piece(void **state)
{
	struct bench *b = *state;
	uint8_t *data = pattern(60000), *buf = malloc(61000);
	size_t n;

	open_connection(b);
	n = guest_tcp_build(&b->t, buf, b->t.snd_nxt, TCP_ACK_ | TCP_PSH_, NULL, 0, data, 60000);
	guest_send_facts(&b->net.guest, buf, n, &(struct frame){ .needs_csum = true, .gso = GSO_TCPV4, .gso_size = 1460,
								 .csum_start = 34, .csum_offset = 16, .hdr_len = 54 });
	b->t.snd_nxt += 60000;
	assert_int_equal(host(b)->sent_len, 60000);
	assert_int_equal(host(b)->send_calls, 1);
	assert_memory_equal(host(b)->sent, data, 60000);
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.snd_una, b->t.snd_nxt);
	assert_int_equal(b->t.acks, 1);
	free(data);
	free(buf);
}

static void a_batch_of_segments_is_one_write_and_one_ack(void **state)
{
	struct bench *b = *state;
	uint8_t bufs[20][1600], *data = pattern(20 * 1460);
	struct frame frames[20];
	struct iovec iov[20];

	open_connection(b);
	for (int i = 0; i < 20; i++) {
		size_t n = guest_tcp_build(&b->t, bufs[i], b->t.snd_nxt, TCP_ACK_, NULL, 0, data + i * 1460, 1460);

		iov[i] = (struct iovec){ bufs[i], n };
		frames[i] = (struct frame){ .iov = &iov[i], .iov_count = 1, .len = (uint32_t)n };
		b->t.snd_nxt += 1460;
	}
	assert_int_equal(port_send(&b->net.guest.port, frames, 20), 20);
	assert_int_equal(host(b)->send_calls, 1);
	assert_int_equal(host(b)->sent_len, 20 * 1460);
	assert_memory_equal(host(b)->sent, data, 20 * 1460);
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.acks, 1);
	assert_int_equal(b->t.snd_una, b->t.snd_nxt);
	free(data);
}

static void a_stream_of_small_writes_gets_few_acks_and_a_dialogue_all(void **state)
{
	struct bench *b = *state;
	uint8_t *data = pattern(1000);

	open_connection(b);
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
	/* questions and answers */
	for (int i = 0; i < 200; i++) {
		fake_peer_sends(&b->net.sockets, b->fd, "?", 1);
		fake_net_run(&b->net, 0);
		guest_tcp_run(&b->t);
		guest_tcp_send(&b->t, TCP_ACK_ | TCP_PSH_, data, 700);
		guest_tcp_send(&b->t, TCP_ACK_ | TCP_PSH_, data, 300);
		guest_tcp_run(&b->t);
		assert_int_equal(b->t.snd_una, b->t.snd_nxt);
	}
	/* a write now and then is no stream */
	for (int i = 0; i < 200; i++) {
		fake_net_run(&b->net, MS(30));
		guest_tcp_send(&b->t, TCP_ACK_ | TCP_PSH_, data, 1000);
		guest_tcp_run(&b->t);
		assert_int_equal(b->t.snd_una, b->t.snd_nxt);
	}
	assert_int_equal(host(b)->sent_len, 661000);
	free(data);
}

static void a_host_that_does_not_read_closes_the_window_and_nothing_is_lost(void **state)
{
	struct bench *b = *state;
	uint8_t *data = pattern(600000);
	size_t sent = 0;

	open_connection(b);
	host(b)->send_space = 1000;
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
	/* a probe is answered */
	b->t.acks = 0;
	guest_tcp_send_at(&b->t, b->t.snd_nxt, TCP_ACK_, data + sent, 1);
	guest_tcp_run(&b->t);
	assert_true(b->t.acks > 0);
	host(b)->send_space = SIZE_MAX;
	fake_net_run(&b->net, MS(1));
	guest_tcp_run(&b->t);
	assert_true(b->t.far_window > 200000);
	while (sent < 600000) {
		size_t n = MIN(1460, 600000 - sent);

		guest_tcp_send(&b->t, TCP_ACK_, data + sent, n);
		sent += n;
		guest_tcp_run(&b->t);
	}
	assert_int_equal(host(b)->sent_len, 600000);
	assert_memory_equal(host(b)->sent, data, 600000);
	assert_false(unet_busy(b->net.u));
	free(data);
}

static void a_full_card_makes_the_data_wait(void **state)
{
	struct bench *b = *state;
	uint8_t *data = pattern(500000);

	open_connection(b);
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
	struct bench *b = *state;
	struct guest_tcp t[FLOWS];
	uint8_t *data = pattern(EACH);
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
	struct bench *b = *state;
	struct guest_tcp t;
	uint8_t *data = pattern(2000);

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
	open_connection(b);
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
	struct bench *b = *state;
	uint8_t *data = pattern(30000), zeros[1460] = { 0 };
	struct guest_tcp other;

	b->t.window = 60000;
	open_connection(b);
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
	struct bench *b = *state;
	uint8_t *data = pattern(100000);
	size_t segments = 0;

	open_connection(b);
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
	struct bench *b = *state;

	open_connection(b);
	fake_peer_sends(&b->net.sockets, b->fd, "abc", 3);
	fake_net_run(&b->net, 0);
	guest_forget(&b->net.guest);
	fake_net_run(&b->net, S(5));
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.got_len, 3);
	assert_memory_equal(b->t.got, "abc", 3);
}

/* --- urgent data, long silence ---------------------------------------------------------------------------------- */

static void urgent_data_of_the_guest_is_urgent_on_the_host(void **state)
{
	struct bench *b = *state;
	uint8_t *data = pattern(5000);

	open_connection(b);
	guest_tcp_send(&b->t, TCP_ACK_, data, 100);
	b->t.urgent = 50;
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_URG_, data + 100, 80);
	assert_int_equal(host(b)->urgent_sent, 1);
	assert_int_equal(host(b)->urgent_at, 149);
	/* said ahead of the data, repeated, and then no more */
	b->t.urgent = 1500;
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_URG_, data + 180, 1000);
	assert_int_equal(host(b)->urgent_sent, 1);
	b->t.urgent = 500;
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_URG_, data + 1180, 1000);
	assert_int_equal(host(b)->urgent_sent, 2);
	assert_int_equal(host(b)->urgent_at, 1679);
	guest_tcp_send_at(&b->t, b->t.snd_nxt - 1000, TCP_ACK_ | TCP_URG_, data + 1180, 1000);
	/* and when the host was slow to take what comes before */
	host(b)->send_space = 0;
	b->t.urgent = 1;
	guest_tcp_send(&b->t, TCP_ACK_, data + 2180, 1000);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_URG_, data + 3180, 1000);
	host(b)->send_space = 1000;
	fake_net_run(&b->net, MS(1));
	assert_int_equal(host(b)->urgent_sent, 2);
	host(b)->send_space = SIZE_MAX;
	fake_net_run(&b->net, MS(1));
	assert_int_equal(host(b)->urgent_sent, 3);
	assert_int_equal(host(b)->urgent_at, 3180);
	assert_int_equal(host(b)->sent_len, 4180);
	assert_memory_equal(host(b)->sent, data, 4180);
	free(data);
}

static void urgent_pointers_that_lie_are_ignored(void **state)
{
	struct bench *b = *state;
	uint8_t data[100] = { 1 };

	open_connection(b);
	b->t.urgent = 0xffff;
	for (int i = 0; i < 20; i++)
		guest_tcp_send_at(&b->t, b->t.snd_nxt + (uint32_t)i * 0x10000000u, TCP_ACK_ | TCP_URG_, NULL, 0);
	b->t.urgent = 1;
	guest_tcp_send_at(&b->t, b->t.snd_nxt - 5000, TCP_ACK_ | TCP_URG_, data, 100);
	guest_tcp_send(&b->t, TCP_ACK_, data, 100);
	assert_int_equal(host(b)->sent_len, 100);
	assert_int_equal(host(b)->urgent_sent, 0);
}

static void urgent_data_of_the_host_is_urgent_in_the_guest(void **state)
{
	struct bench *b = *state;
	uint8_t *data = pattern(70000);

	b->t.window = 1 << 20;
	open_connection(b);
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

static void an_idle_connection_lives_as_long_as_the_guest_answers(void **state)
{
	struct bench *b = *state;
	unsigned probes = 0;

	open_connection(b);
	assert_true(host(b)->keepalive);
	for (int i = 0; i < 4 * 60 * 9; i++) {          /* nine hours */
		fake_clock_advance(&b->net.clock, S(15));
		if (!guest_tcp_run(&b->t))
			continue;
		probes++;
		guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);
	}
	assert_int_equal(probes, 4);
	assert_false(b->t.reset);
	assert_int_equal(b->net.sockets.open_count, 1);
	guest_tcp_send(&b->t, TCP_ACK_, "still here", 10);
	assert_int_equal(host(b)->sent_len, 10);
	guest_tcp_run(&b->t);
	/* one that does not answer is forgotten, and the host told */
	probes = 0;
	for (int i = 0; i < 4 * 60 * 3; i++) {
		fake_clock_advance(&b->net.clock, S(15));
		probes += guest_tcp_run(&b->t);
	}
	assert_int_equal(probes, 9 + 1);        /* and a reset, should it come back */
	assert_true(b->t.reset);
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_true(b->net.sockets.last_closed_reset);
}

/* --- closing ---------------------------------------------------------------------------------------------------- */

static void guest_close_then_host_close(void **state)
{
	struct bench *b = *state;

	open_connection(b);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, "bye", 3);
	assert_int_equal(host(b)->sent_len, 3);
	assert_true(host(b)->shut);
	fake_peer_sends(&b->net.sockets, b->fd, "rest", 4);     /* half open */
	fake_net_run(&b->net, MS(10));
	guest_tcp_run(&b->t);
	assert_int_equal(b->t.got_len, 4);
	assert_false(b->t.fin_seen);
	fake_peer_closes(&b->net.sockets, b->fd);
	fake_net_run(&b->net, MS(10));
	guest_tcp_run(&b->t);
	assert_true(b->t.fin_seen);
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_int_equal(b->net.sockets.resets, 0);
	fake_net_run(&b->net, S(10));
	guest_tcp_run(&b->t);
	assert_false(b->t.reset);
}

static void host_close_then_guest_close(void **state)
{
	struct bench *b = *state;

	open_connection(b);
	fake_peer_sends(&b->net.sockets, b->fd, "rest", 4);
	fake_peer_closes(&b->net.sockets, b->fd);
	fake_net_run(&b->net, 0);
	guest_tcp_run(&b->t);
	assert_true(b->t.fin_seen);
	guest_tcp_send(&b->t, TCP_ACK_, "more", 4);
	assert_int_equal(host(b)->sent_len, 4);
	fake_net_run(&b->net, S(100));          /* half closed for long */
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, "end", 3);
	assert_int_equal(b->net.sockets.s[b->fd].sent_len, 7);
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_int_equal(b->net.sockets.resets, 0);
}

static void both_close_at_once(void **state)
{
	struct bench *b = *state;

	open_connection(b);
	b->t.no_ack = true;
	fake_peer_closes(&b->net.sockets, b->fd);
	fake_net_run(&b->net, 0);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, NULL, 0);    /* crosses unet's FIN */
	guest_tcp_run(&b->t);
	guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);
	fake_net_run(&b->net, S(1));
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_int_equal(b->net.sockets.resets, 0);
}

static void data_before_the_hosts_close_survives_a_slow_guest(void **state)
{
	struct bench *b = *state;
	uint8_t *data = pattern(200000);

	b->t.window = 3000;
	open_connection(b);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, NULL, 0);    /* the guest only listens from now on */
	fake_peer_sends(&b->net.sockets, b->fd, data, 200000);
	fake_peer_closes(&b->net.sockets, b->fd);
	for (int i = 0; i < 200 && !b->t.fin_seen; i++) {
		fake_net_run(&b->net, S(3));
		guest_tcp_run(&b->t);
	}
	assert_int_equal(b->t.got_len, 200000);
	assert_memory_equal(b->t.got, data, 200000);
	assert_true(b->t.fin_seen);
	assert_false(b->t.reset);
	free(data);
}

/* The network goes away, as at the end of tenbox-net's command. */
static void what_was_said_to_the_end_is_not_reset_when_the_network_ends(void **state)
{
	struct bench *b = *state;
	struct guest_tcp open;

	open_connection(b);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_PSH_, "bye", 3);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, NULL, 0);
	fake_net_run(&b->net, 0);
	guest_tcp_init(&open, &b->net.guest, NET_OUTSIDE, 40001, 80);
	assert_true(guest_tcp_open(&open));
	fake_net_run(&b->net, 0);
	assert_true(host(b)->shut);
	guest_tcp_free(&open);
	guest_free(&b->net.guest);
	unet_free(b->net.u);
	b->net.u = NULL;
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_int_equal(b->net.sockets.resets, 1);     /* of the one that was in the middle of it */
}

static void guest_reset_resets_the_host(void **state)
{
	struct bench *b = *state;

	open_connection(b);
	guest_tcp_send(&b->t, TCP_RST_, NULL, 0);
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_true(b->net.sockets.last_closed_reset);
}

static void host_reset_resets_the_guest(void **state)
{
	struct bench *b = *state;

	open_connection(b);
	fake_peer_resets(&b->net.sockets, b->fd);
	fake_net_run(&b->net, 0);
	guest_tcp_run(&b->t);
	assert_true(b->t.reset);
	assert_int_equal(b->net.sockets.open_count, 0);
}

static void a_reset_outside_of_the_window_is_ignored(void **state)
{
	struct bench *b = *state;

	open_connection(b);
	guest_tcp_send_at(&b->t, b->t.snd_nxt + 0x40000000, TCP_RST_, NULL, 0);
	assert_int_equal(b->net.sockets.open_count, 1);
	guest_tcp_send(&b->t, TCP_ACK_, "x", 1);
	assert_int_equal(host(b)->sent_len, 1);
}

static void what_the_guest_said_before_closing_reaches_a_slow_host(void **state)
{
	struct bench *b = *state;
	uint8_t *data = pattern(20000);

	open_connection(b);
	host(b)->send_space = 0;
	for (int i = 0; i < 20; i++)
		guest_tcp_send(&b->t, TCP_ACK_, data + i * 1000, 1000);
	guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, NULL, 0);
	fake_peer_closes(&b->net.sockets, b->fd);
	fake_net_run(&b->net, S(30));
	guest_tcp_run(&b->t);
	fake_net_run(&b->net, S(30));           /* the guest's side is over by now */
	assert_int_equal(b->net.sockets.open_count, 1);
	assert_false(host(b)->shut);
	host(b)->send_space = SIZE_MAX;
	fake_net_run(&b->net, S(1));
	assert_int_equal(b->net.sockets.s[b->fd].sent_len, 20000);
	assert_memory_equal(b->net.sockets.s[b->fd].sent, data, 20000);
	assert_int_equal(b->net.sockets.open_count, 0);
	assert_int_equal(b->net.sockets.resets, 0);
	free(data);
}

static void the_same_ports_serve_again_after_each_way_of_closing(void **state)
{
	struct bench *b = *state;

	for (int way = 0; way < 4; way++) {
		guest_tcp_free(&b->t);
		guest_tcp_init(&b->t, &b->net.guest, NET_OUTSIDE, 40000, 80);
		b->t.snd_nxt = (uint32_t)(1000000 * (way + 1));
		assert_true(guest_tcp_open(&b->t));
		b->fd = b->net.sockets.last_open;
		fake_net_run(&b->net, 0);
		switch (way) {
		case 0:                 /* the host first: TIME_WAIT is unet's */
			fake_peer_closes(&b->net.sockets, b->fd);
			fake_net_run(&b->net, 0);
			guest_tcp_run(&b->t);
			guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, NULL, 0);
			break;
		case 1:
			guest_tcp_send(&b->t, TCP_ACK_ | TCP_FIN_, NULL, 0);
			fake_peer_closes(&b->net.sockets, b->fd);
			fake_net_run(&b->net, 0);
			guest_tcp_run(&b->t);
			break;
		case 2:
			guest_tcp_send(&b->t, TCP_RST_, NULL, 0);
			break;
		case 3:
			fake_peer_resets(&b->net.sockets, b->fd);
			fake_net_run(&b->net, 0);
			break;
		}
		guest_forget(&b->net.guest);
		assert_int_equal(b->net.sockets.open_count, 0);
	}
}

/* --- hostile guests ---------------------------------------------------------------------------------------------- */

static void port_zero_and_bad_checksums_are_dropped(void **state)
{
	struct bench *b = *state;
	uint8_t buf[200];
	size_t n;

	b->t.far_port = 0;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	b->t.far_port = 80;
	b->t.port = 0;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	b->t.port = 1;
	n = guest_tcp_build(&b->t, buf, 1, TCP_SYN_, NULL, 0, NULL, 0);
	buf[50] ^= 1;
	guest_send(&b->net.guest, buf, n);
	assert_int_equal(b->net.sockets.opened, 0);
	assert_int_equal(fake_net_counters(&b->net).dropped_malformed, 3);
}

static void a_segment_of_no_connection_is_reset(void **state)
{
	struct bench *b = *state;
	struct guest_packet p;

	b->t.rcv_nxt = 77;
	guest_tcp_send(&b->t, TCP_ACK_, "x", 1);
	assert_true(guest_packet(&b->net.guest, &p));
	assert_int_equal(p.flags & TCP_RST_, TCP_RST_);
	assert_int_equal(p.seq, 77);
	guest_tcp_send(&b->t, TCP_RST_, NULL, 0);
	assert_false(guest_packet(&b->net.guest, &p));
}

static void a_flood_of_syns_stays_within_its_limits(void **state)
{
	struct bench *b = *state;
	struct guest_tcp t;
	int most = 0;

	b->net.sockets.connect_result = -EINPROGRESS;
	guest_tcp_init(&t, &b->net.guest, NET_OUTSIDE, 1, 1);
	for (uint32_t i = 0; i < 100000; i++) {
		t.port = (uint16_t)(1 + i % 60000);
		t.far_port = (uint16_t)(1000 + i / 60000);
		guest_tcp_send(&t, TCP_SYN_, NULL, 0);
		most = MAX(most, b->net.sockets.open_count);
	}
	assert_int_equal(most, 512);
	b->net.sockets.connect_result = 0;
	open_connection(b);                     /* and service goes on */
	guest_tcp_send(&b->t, TCP_ACK_, "x", 1);
	assert_int_equal(host(b)->sent_len, 1);
	fake_net_run(&b->net, S(200));
	assert_int_equal(b->net.sockets.open_count, 1);
	guest_tcp_free(&t);
}

static void a_full_table_evicts_the_connection_that_was_idle_longest(void **state)
{
	struct bench *b = *state;
	struct guest_tcp t;

	open_connection(b);
	guest_tcp_init(&t, &b->net.guest, NET_OUTSIDE, 1, 1);
	for (uint32_t i = 0; i < 5000; i++) {
		t.port = (uint16_t)(1 + i);
		t.syn_ack_seen = false;
		assert_true(guest_tcp_open(&t));
		if (i % 1000 == 0)
			fake_net_run(&b->net, MS(10));
		if (i < 4000)
			guest_tcp_send(&b->t, TCP_ACK_, "x", 1);        /* in use: it stays */
	}
	assert_int_equal(b->net.sockets.open_count, 4096);
	assert_true(fake_net_counters(&b->net).tcp_evicted >= 900);
	assert_true(host(b)->open);
	assert_int_equal(host(b)->sent_len, 4000);
	guest_tcp_free(&t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_TSO(f) cmocka_unit_test_setup_teardown(f, setup_tso, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(syn_waits_for_the_hosts_connect),
		TEST(refused_connect_resets_the_guest),
		TEST(unreachable_host_gives_an_icmp_error_that_quotes_the_syn),
		TEST(a_traced_connect_carries_the_ttl_and_names_the_router_that_dropped_it),
		TEST_TSO(a_guest_that_finds_a_segment_too_big_gets_smaller_ones),
		TEST(a_guest_that_finds_a_segment_too_big_gets_smaller_ones),
		TEST(a_syn_in_the_last_step_of_the_handshake_is_no_byte_of_the_stream),
		TEST(guest_reset_cancels_the_connect),
		TEST(new_sequence_number_replaces_the_waiting_syn),
		TEST(gateway_is_the_hosts_loopback),
		TEST(handshake_left_undone_closes_the_host_side),
		TEST(bytes_go_both_ways),
		TEST(a_download_arrives_whole_in_segments_of_the_guests_mss),
		TEST_TSO(a_card_with_tso_gets_long_segments),
		TEST_TSO(a_jumbo_mss_is_used_as_it_is),
		TEST_TSO(a_small_window_is_never_overrun_and_never_stalls),
		TEST(an_upload_arrives_whole),
		TEST(a_gso_frame_is_taken_in_one_piece),
		TEST(a_batch_of_segments_is_one_write_and_one_ack),
		TEST(a_stream_of_small_writes_gets_few_acks_and_a_dialogue_all),
		TEST(a_host_that_does_not_read_closes_the_window_and_nothing_is_lost),
		TEST(a_full_card_makes_the_data_wait),
		TEST(many_downloads_at_once_do_not_stall_on_the_queue),
		TEST(stalled_downloads_do_not_starve_the_next_one),
		TEST(what_is_queued_keeps_its_bytes_when_its_connection_ends),
		TEST(a_guest_that_answers_late_gets_nothing_twice),
		TEST(a_lost_segment_is_sent_again),
		TEST(urgent_data_of_the_guest_is_urgent_on_the_host),
		TEST(urgent_pointers_that_lie_are_ignored),
		TEST_TSO(urgent_data_of_the_host_is_urgent_in_the_guest),
		TEST(an_idle_connection_lives_as_long_as_the_guest_answers),
		TEST(guest_close_then_host_close),
		TEST(host_close_then_guest_close),
		TEST(both_close_at_once),
		TEST(data_before_the_hosts_close_survives_a_slow_guest),
		TEST(what_was_said_to_the_end_is_not_reset_when_the_network_ends),
		TEST(guest_reset_resets_the_host),
		TEST(host_reset_resets_the_guest),
		TEST(a_reset_outside_of_the_window_is_ignored),
		TEST(what_the_guest_said_before_closing_reaches_a_slow_host),
		TEST(the_same_ports_serve_again_after_each_way_of_closing),
		TEST(port_zero_and_bad_checksums_are_dropped),
		TEST(a_segment_of_no_connection_is_reset),
		TEST(a_flood_of_syns_stays_within_its_limits),
		TEST(a_full_table_evicts_the_connection_that_was_idle_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
