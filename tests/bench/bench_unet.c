/* SPDX-License-Identifier: MIT */
/*
 * unet alone: a guest made of frames on one side, a real loopback socket with a thread behind it on the other.  Prints
 * one line each, "name Gbit/s": to the host and to the guest, with frames of one MSS and with long ones, and the median
 * time of a one-byte ping-pong.  Argument: megabytes per run (default 512).
 */
#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/loop.h"
#include "tests/fake/fake_guest.h"
#include "unet/unet.h"

enum { GATEWAY = 0x0a000202, GUEST = 0x0a00020f, MSS = 1460, BATCH = 32, CHUNK = 1 << 18 };

struct bench {
	struct clock *clock;
	struct loop *loop;
	struct unet *u;
	struct guest g;
	struct guest_tcp t;
	uint64_t received;
	uint32_t ack_due;
	size_t total;                   /* for the thread */
	int listener;
};

static uint64_t now(void *owner)
{
	struct timespec ts;

	(void)owner;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The guest's card while it counts: payload is only copied, as a card would into guest memory. */
static size_t take(void *owner, const struct frame *frames, size_t n)
{
	struct bench *b = CONTAINER_OF(owner, struct bench, g);
	static uint8_t memory[FRAME_MAX];

	for (size_t i = 0; i < n; i++) {
		const uint8_t *f = memory;
		uint32_t data, seq;

		frame_copy(&frames[i], 0, memory, frames[i].len);
		if (be16(f + 12) != 0x0800 || f[23] != 6)
			continue;
		data = be16(f + 16) - 20u - (f[46] >> 4) * 4u;
		seq = be32(f + 38);
		b->t.snd_una = be32(f + 42);
		b->t.far_window = (uint32_t)be16(f + 48) << b->t.far_scale;
		if (data && seq == b->t.rcv_nxt) {
			b->t.rcv_nxt += data;
			b->received += data;
			b->ack_due += data;
		}
	}
	return n;
}

static const struct port_ops counting = { .receive = take };

static void run(struct bench *b, uint64_t ns)
{
	loop_poll(b->loop, ns);
	clock_run(b->clock);
}

static void start(struct bench *b, unsigned accepts)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	struct unet_config c;
	struct err err;
	uint8_t buf[64];

	memset(b, 0, sizeof(*b));
	b->clock = clock_new(&(struct clock_config){ .now = now });
	b->loop = loop_new();
	unet_config_defaults(&c);
	c.clock = b->clock;
	c.loop = b->loop;
	b->u = unet_new(&c, &err);
	b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!b->u || bind(b->listener, (struct sockaddr *)&a, len) < 0 || listen(b->listener, 1) < 0 ||
	    getsockname(b->listener, (struct sockaddr *)&a, &len) < 0)
		abort();
	guest_init(&b->g, GUEST, accepts);
	port_join(unet_port(b->u), &b->g.port);
	guest_send(&b->g, buf, guest_arp(&b->g, buf, 1, GUEST, GATEWAY));
	guest_forget(&b->g);
	guest_tcp_init(&b->t, &b->g, GATEWAY, 40000, ntohs(a.sin_port));
	b->t.window = 1 << 20;
	guest_tcp_send(&b->t, TCP_SYN_, NULL, 0);
	while (!b->t.syn_ack_seen) {
		run(b, MS(10));
		guest_tcp_run(&b->t);
	}
	guest_tcp_send(&b->t, TCP_ACK_, NULL, 0);
	b->g.port.ops = &counting;
}

static void finish(struct bench *b)
{
	guest_tcp_free(&b->t);
	guest_free(&b->g);
	unet_free(b->u);
	loop_free(b->loop);
	clock_free(b->clock);
	close(b->listener);
}

/* --- the host's end --------------------------------------------------------------------------------------------- */

static void *drain(void *owner)
{
	struct bench *b = owner;
	int fd = accept(b->listener, NULL, NULL);
	char *buf = malloc(CHUNK);
	ssize_t n;

	while ((n = recv(fd, buf, CHUNK, 0)) > 0)
		;
	free(buf);
	close(fd);
	return NULL;
}

static void *pour(void *owner)
{
	struct bench *b = owner;
	int fd = accept(b->listener, NULL, NULL);
	char *buf = calloc(1, CHUNK);

	for (size_t left = b->total; left;) {
		ssize_t n = send(fd, buf, MIN(left, CHUNK), MSG_NOSIGNAL);

		if (n <= 0)
			break;
		left -= (size_t)n;
	}
	free(buf);
	while (recv(fd, &fd, 1, 0) > 0)
		;
	return NULL;
}

static void *echo(void *owner)
{
	struct bench *b = owner;
	int fd = accept(b->listener, NULL, NULL);
	char c;

	while (recv(fd, &c, 1, 0) == 1 && send(fd, &c, 1, MSG_NOSIGNAL) == 1)
		;
	close(fd);
	return NULL;
}

/* --- runs ------------------------------------------------------------------------------------------------------- */

static void upload(size_t total, bool tso)
{
	static uint8_t frames_data[BATCH][66000];
	static uint8_t payload[66000];
	struct frame frames[BATCH];
	struct iovec iov[BATCH];
	size_t each = tso ? 44 * MSS : MSS, sent = 0;
	struct bench b;
	pthread_t thread;
	uint64_t begin;

	start(&b, 0);
	pthread_create(&thread, NULL, drain, &b);
	begin = now(NULL);
	for (int i = 0; i < BATCH; i++)
		guest_tcp_build(&b.t, frames_data[i], 0, TCP_ACK_, NULL, 0, payload, each);
	while (b.t.snd_una != b.t.snd_nxt || sent < total) {
		size_t n = 0;

		while (sent < total && n < BATCH && b.t.snd_nxt - b.t.snd_una + each <= b.t.far_window) {
			uint8_t *f = frames_data[n];

			put_be32(f + 38, b.t.snd_nxt);
			put_be32(f + 42, b.t.rcv_nxt);
			iov[n] = (struct iovec){ f, 54 + each };
			frames[n] = (struct frame){ .iov = &iov[n], .iov_count = 1, .len = (uint32_t)(54 + each), .needs_csum = true,
						    .csum_start = 34, .csum_offset = 16, .gso = tso ? GSO_TCPV4 : GSO_NONE,
						    .gso_size = tso ? MSS : 0, .hdr_len = 54 };
			b.t.snd_nxt += (uint32_t)each;
			sent += each;
			n++;
		}
		if (n && port_send(&b.g.port, frames, n) != n)
			abort();
		run(&b, n ? 0 : MS(1));
	}
	printf("to_host_%s %.2f\n", tso ? "64k" : "1460", (double)sent * 8 / (double)(now(NULL) - begin));
	finish(&b);
	pthread_join(thread, NULL);
}

static void download(size_t total, bool tso)
{
	struct bench b;
	pthread_t thread;
	uint64_t begin;

	start(&b, tso ? PORT_CSUM | PORT_TSO4 : PORT_CSUM);
	b.total = total;
	pthread_create(&thread, NULL, pour, &b);
	begin = now(NULL);
	while (b.received < total) {
		run(&b, MS(1));
		if (b.ack_due) {
			b.ack_due = 0;
			guest_tcp_send(&b.t, TCP_ACK_, NULL, 0);
		}
	}
	printf("to_guest_%s %.2f\n", tso ? "64k" : "1460", (double)total * 8 / (double)(now(NULL) - begin));
	finish(&b);
	pthread_join(thread, NULL);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void ping_pong(void)
{
	enum { ROUNDS = 2000 };
	static uint64_t times[ROUNDS];
	struct bench b;
	pthread_t thread;

	start(&b, PORT_CSUM);
	pthread_create(&thread, NULL, echo, &b);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begin = now(NULL), want = b.received + 1;

		guest_tcp_send(&b.t, TCP_ACK_ | TCP_PSH_, "x", 1);
		while (b.received < want)
			run(&b, MS(10));
		times[i] = now(NULL) - begin;
	}
	qsort(times, ROUNDS, sizeof(times[0]), by_size);
	printf("ping_pong_us %.1f\n", (double)times[ROUNDS / 2] / 1000);
	finish(&b);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	size_t total = (size_t)(argc > 1 ? strtoul(argv[1], NULL, 0) : 512) << 20;

	upload(total, false);
	upload(total, true);
	download(total, false);
	download(total, true);
	ping_pong();
	return 0;
}
