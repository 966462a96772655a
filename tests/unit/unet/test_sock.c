/* SPDX-License-Identifier: MIT */
/* The host's own sockets: a guest of frames against real loopback peers, on the real clock and loop. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/real_net.h"
#include "unet/sock.h"

static int listener(uint16_t *port, int type)
{
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 10), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static void open_to(struct real_net *b, struct guest_tcp *t, uint16_t port)
{
	guest_tcp_init(t, &b->g, NET_HOST, 40000, port);
	t->window = 1 << 19;
	guest_tcp_send(t, TCP_SYN_, NULL, 0);
	for (int i = 0; i < 100 && !t->syn_ack_seen; i++) {
		guest_tcp_run(t);
		real_net_run(b, 10);
	}
	assert_true(t->syn_ack_seen);
	guest_tcp_send(t, TCP_ACK_, NULL, 0);
}

static int accept_soon(struct real_net *b, int l)
{
	for (int i = 0; i < 200; i++) {
		int fd = accept4(l, NULL, NULL, SOCK_NONBLOCK);

		if (fd >= 0)
			return fd;
		real_net_run(b, 5);
	}
	fail();
	return -1;
}

enum { TEN_MB = 10 << 20 };

static void ten_megabytes_to_the_host_and_back(void **state)
{
	struct real_net *b = *state;
	struct guest_tcp t;
	uint16_t port;
	int l = listener(&port, SOCK_STREAM), fd;
	uint8_t *data = guest_pattern(TEN_MB), *echo = malloc(TEN_MB);
	size_t sent = 0, got = 0, echoed = 0;
	bool shut = false;

	open_to(b, &t, port);
	fd = accept_soon(b, l);
	for (int i = 0; i < 200000 && !(t.fin_seen && t.got_len == TEN_MB); i++) {
		ssize_t n;

		while (sent < TEN_MB && t.snd_nxt - t.snd_una + 1460 <= t.far_window) {
			size_t step = MIN(1460, TEN_MB - sent);

			guest_tcp_send(&t, TCP_ACK_, data + sent, step);
			sent += step;
			if (sent == TEN_MB)
				guest_tcp_send(&t, TCP_ACK_ | TCP_FIN_, NULL, 0);
		}
		while ((n = recv(fd, echo + got, MIN(100000, TEN_MB - got), 0)) > 0)
			got += (size_t)n;
		if (echoed < got && (n = send(fd, echo + echoed, got - echoed, MSG_NOSIGNAL)) > 0)
			echoed += (size_t)n;
		if (echoed == TEN_MB && !shut) {
			shutdown(fd, SHUT_WR);
			shut = true;
		}
		if (!guest_tcp_run(&t))
			real_net_run(b, 1);
		else
			real_net_run(b, 0);
	}
	assert_int_equal(got, TEN_MB);
	assert_memory_equal(echo, data, TEN_MB);
	assert_int_equal(t.got_len, TEN_MB);
	assert_memory_equal(t.got, data, TEN_MB);
	assert_true(t.fin_seen);
	assert_false(t.reset);
	close(fd);
	close(l);
	free(data);
	free(echo);
	guest_tcp_free(&t);
}

static void a_closed_port_of_the_host_refuses_at_once(void **state)
{
	struct real_net *b = *state;
	struct guest_tcp t;
	uint16_t port;
	int l = listener(&port, SOCK_STREAM);

	close(l);
	guest_tcp_init(&t, &b->g, NET_HOST, 40000, port);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	for (int i = 0; i < 10 && !t.reset; i++) {
		guest_tcp_run(&t);
		real_net_run(b, 5);
	}
	assert_true(t.reset);
	guest_tcp_free(&t);
}

static void loopback_connects_without_waiting(void **state)
{
	const struct unet_sockets *k = unet_host_sockets();
	struct sockaddr_storage a = { .ss_family = AF_INET };
	struct sockaddr_in *in = (struct sockaddr_in *)&a;
	socklen_t len = sizeof(*in);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, r = -1;

	(void)state;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	for (int i = 0; i < 5 && r; i++) {      /* the kernel may be busy with something else once */
		fd = k->open(NULL, AF_INET, SOCK_STREAM, 0);
		r = k->connect(NULL, fd, &a);
		assert_true(r == 0 || r == -EINPROGRESS);
		k->close(NULL, fd);
	}
	assert_int_equal(r, 0);
	close(listener);
	fd = k->open(NULL, AF_INET, SOCK_STREAM, 0);
	assert_int_equal(k->connect(NULL, fd, &a), -ECONNREFUSED);
	k->close(NULL, fd);
}

static void a_guests_reset_is_a_reset_on_the_host(void **state)
{
	struct real_net *b = *state;
	struct guest_tcp t;
	uint16_t port;
	char c;
	int l = listener(&port, SOCK_STREAM), fd;

	open_to(b, &t, port);
	fd = accept_soon(b, l);
	guest_tcp_send(&t, TCP_RST_, NULL, 0);
	real_net_run(b, 10);
	assert_int_equal(recv(fd, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(fd);
	close(l);
	guest_tcp_free(&t);
}

static void a_hosts_reset_is_a_reset_on_the_guest(void **state)
{
	struct real_net *b = *state;
	struct guest_tcp t;
	uint16_t port;
	struct linger linger = { 1, 0 };
	int l = listener(&port, SOCK_STREAM), fd;

	open_to(b, &t, port);
	fd = accept_soon(b, l);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
	for (int i = 0; i < 20 && !t.reset; i++) {
		real_net_run(b, 10);
		guest_tcp_run(&t);
	}
	assert_true(t.reset);
	close(l);
	guest_tcp_free(&t);
}

static void an_idle_half_closed_connection_does_not_spin(void **state)
{
	struct real_net *b = *state;
	struct guest_tcp t;
	uint16_t port;
	int l = listener(&port, SOCK_STREAM), fd, events = 0;

	open_to(b, &t, port);
	fd = accept_soon(b, l);
	t.no_ack = true;                        /* the guest takes nothing any more */
	guest_tcp_send(&t, TCP_ACK_ | TCP_FIN_, NULL, 0);
	assert_int_equal(send(fd, "some data", 9, 0), 9);
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 20; i++)
		events += loop_poll(b->loop, MS(5));
	assert_true(events < 10);
	close(fd);
	close(l);
	guest_tcp_send(&t, TCP_RST_, NULL, 0);
	guest_tcp_free(&t);
}

static void datagrams_go_to_the_host_and_back(void **state)
{
	struct real_net *b = *state;
	struct guest_packet p;
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	uint16_t port;
	uint8_t buf[200];
	char text[10];
	int s = listener(&port, SOCK_DGRAM);

	guest_send(&b->g, buf, guest_udp(&b->g, buf, NET_HOST, 5000, port, "hello", 5));
	real_net_run(b, 10);
	assert_int_equal(recvfrom(s, text, sizeof(text), 0, (struct sockaddr *)&from, &len), 5);
	assert_int_equal(sendto(s, "answer", 6, 0, (struct sockaddr *)&from, len), 6);
	real_net_run(b, 100);
	assert_true(guest_packet(&b->g, &p));
	assert_int_equal(p.src, NET_HOST);
	assert_int_equal(p.sport, port);
	assert_int_equal(p.dport, 5000);
	assert_memory_equal(p.data, "answer", 6);
	/* and a closed port says so */
	close(s);
	guest_send(&b->g, buf, guest_udp(&b->g, buf, NET_HOST, 5000, port, "hello", 5));
	real_net_run(b, 100);
	assert_true(guest_packet(&b->g, &p));
	assert_int_equal(p.protocol, 1);
	assert_int_equal(p.icmp_type, 3);
	assert_int_equal(p.icmp_code, 3);
	assert_int_equal(p.src, NET_HOST);
	assert_int_equal(be16(p.data + 22), port);
}

static void batches_of_datagrams_go_to_the_host_and_back(void **state)
{
	enum { COUNT = 20, SIZE = 1000 };
	struct real_net *b = *state;
	struct guest_packet p;
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	uint16_t port, segment = SIZE;
	static uint8_t bufs[COUNT][SIZE + 100], data[COUNT * SIZE], got[SIZE + 1];
	struct frame frames[COUNT];
	struct iovec iov[COUNT];
	int s = listener(&port, SOCK_DGRAM), n = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + i / 256);
	for (size_t i = 0; i < COUNT; i++) {
		iov[i] = (struct iovec){ bufs[i], guest_udp(&b->g, bufs[i], NET_HOST, 5000, port, data + i * SIZE,
							    i == COUNT - 1 ? SIZE / 2 : SIZE) };
		frames[i] = (struct frame){ .iov = &iov[i], .iov_count = 1, .len = (uint32_t)iov[i].iov_len };
	}
	assert_int_equal(port_send(&b->g.port, frames, COUNT), COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		ssize_t want = i == COUNT - 1 ? SIZE / 2 : SIZE;

		assert_int_equal(recvfrom(s, got, sizeof(got), 0, (struct sockaddr *)&from, &len), want);
		assert_memory_equal(got, data + i * SIZE, (size_t)want);
	}
	/* back as one message that the host's kernel cuts up, or leaves whole for us */
	assert_int_equal(setsockopt(s, IPPROTO_UDP, 103 /* UDP_SEGMENT */, &(int){ segment }, sizeof(int)), 0);
	assert_int_equal(sendto(s, data, sizeof(data) - SIZE / 2, 0, (struct sockaddr *)&from, len), sizeof(data) - SIZE / 2);
	for (int i = 0; i < 20 && n < COUNT; i++) {
		real_net_run(b, 20);
		while (guest_packet(&b->g, &p)) {
			assert_int_equal(p.sport, port);
			assert_int_equal(p.data_len, n == COUNT - 1 ? SIZE / 2 : SIZE);
			assert_memory_equal(p.data, data + n * SIZE, p.data_len);
			n++;
		}
	}
	assert_int_equal(n, COUNT);
	close(s);
}

static void a_forward_answers_from_the_address_that_was_asked(void **state)
{
	struct real_net *b = *state;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002) };
	struct guest_packet p;
	struct err err;
	uint16_t port;
	uint8_t buf[100];
	char text[10];
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!unet_hostfwd_add(b->u, "udp::0-:53", &port, &err))
		fail_msg("%s", err.text);
	a.sin_port = htons(port);
	/* connected: what comes from another address is not for this socket */
	assert_int_equal(connect(s, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(send(s, "ask", 3, 0), 3);
	real_net_run(b, 100);
	assert_true(guest_packet(&b->g, &p));
	guest_send(&b->g, buf, guest_udp(&b->g, buf, p.src, 53, p.sport, "reply", 5));
	assert_int_equal(recv(s, text, sizeof(text), MSG_DONTWAIT), 5);
	close(s);
}

static void urgent_data_crosses_both_ways(void **state)
{
	struct real_net *b = *state;
	struct guest_tcp t;
	uint16_t port;
	char text[16];
	int s = listener(&port, SOCK_STREAM), c;

	open_to(b, &t, port);
	c = accept(s, NULL, NULL);
	assert_true(c >= 0);
	t.urgent = 3;
	guest_tcp_send(&t, TCP_ACK_ | TCP_URG_, "ab!cd", 5);
	assert_int_equal(recv(c, text, 1, MSG_OOB), 1);
	assert_int_equal(text[0], '!');
	assert_int_equal(recv(c, text, sizeof(text), MSG_DONTWAIT), 2);
	assert_int_equal(recv(c, text, sizeof(text), MSG_DONTWAIT), 2);
	assert_memory_equal(text, "cd", 2);
	assert_int_equal(send(c, "xy!", 3, MSG_OOB), 3);
	assert_int_equal(send(c, "z", 1, 0), 1);
	for (int i = 0; i < 10 && t.got_len < 4; i++) {
		real_net_run(b, 20);
		guest_tcp_run(&t);
	}
	assert_int_equal(t.got_len, 4);
	assert_memory_equal(t.got, "xy!z", 4);
	assert_true(t.urgent_seen > 0);
	assert_int_equal(t.urgent_at, 2);
	close(c);
	close(s);
	real_net_run(b, 20);
	guest_tcp_free(&t);
}

static void a_forward_brings_a_client_to_the_guest(void **state)
{
	struct real_net *b = *state;
	struct guest_packet p;
	struct guest_tcp t;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct err err;
	uint16_t port;
	char text[16];
	int c[2];

	if (!unet_hostfwd_add(b->u, "tcp:127.0.0.1:0-:22", &port, &err))
		fail_msg("%s", err.text);
	a.sin_port = htons(port);
	for (int i = 0; i < 2; i++) {
		c[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		guest_forget(&b->g);
		assert_int_equal(connect(c[i], (struct sockaddr *)&a, sizeof(a)), 0);
		real_net_run(b, 100);
		assert_true(guest_packet(&b->g, &p));
		assert_int_equal(p.flags, TCP_SYN_);
		assert_int_equal(p.src, NET_HOST);
		guest_tcp_init(&t, &b->g, p.src, 22, p.sport);
		t.rcv_nxt = p.seq + 1;
		t.far_scale = p.scale;
		if (i == 0)
			guest_tcp_send(&t, TCP_SYN_ | TCP_ACK_, NULL, 0);
		else
			guest_tcp_send_at(&t, 0, TCP_RST_ | TCP_ACK_, NULL, 0);
		real_net_run(b, 10);
		guest_tcp_run(&t);
		if (i == 0) {
			assert_int_equal(send(c[i], "hello", 5, 0), 5);
			real_net_run(b, 100);
			guest_tcp_run(&t);
			assert_int_equal(t.got_len, 5);
			guest_tcp_send(&t, TCP_ACK_, "world", 5);
			assert_int_equal(recv(c[i], text, sizeof(text), 0), 5);
		} else {
			assert_int_equal(recv(c[i], text, sizeof(text), 0), -1);
			assert_int_equal(errno, ECONNRESET);
		}
		guest_tcp_free(&t);
	}
	close(c[0]);
	close(c[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, real_net_setup, real_net_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ten_megabytes_to_the_host_and_back),
		cmocka_unit_test_setup_teardown(ten_megabytes_to_the_host_and_back, real_net_setup_tso, real_net_teardown),
		TEST(a_closed_port_of_the_host_refuses_at_once),
		TEST(loopback_connects_without_waiting),
		TEST(a_guests_reset_is_a_reset_on_the_host),
		TEST(a_hosts_reset_is_a_reset_on_the_guest),
		TEST(an_idle_half_closed_connection_does_not_spin),
		TEST(datagrams_go_to_the_host_and_back),
		TEST(batches_of_datagrams_go_to_the_host_and_back),
		TEST(a_forward_answers_from_the_address_that_was_asked),
		TEST(urgent_data_crosses_both_ways),
		TEST(a_forward_brings_a_client_to_the_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
