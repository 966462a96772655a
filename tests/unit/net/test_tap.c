/* SPDX-License-Identifier: MIT */
/* A socket pair that keeps record boundaries stands for the device: what one side writes the other reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/virtio_net.h>

#include "base/bytes.h"
#include "net/tap.h"
#include "tests/fake/fake_end.h"
#include "tests/fake/port_contract.h"

enum { HEADER = sizeof(struct virtio_net_hdr), QUEUE = 512 };

struct bench {
	int fd[2];                      /* the device, and the kernel behind it */
	struct loop *loop;
	struct tap *tap;
	struct fake_end far;
	unsigned gone;
	bool closed;                    /* the kernel takes nothing */
	uint8_t *queue[QUEUE];          /* what it took */
	size_t len[QUEUE], first, count;
};

static void on_gone(void *owner)
{
	((struct bench *)owner)->gone++;
}

static void *make(void)
{
	struct bench *b = calloc(1, sizeof(*b));
	int size = 128 * 1024;
	struct err err;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, b->fd), 0);
	for (int i = 0; i < 2; i++)
		setsockopt(b->fd[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	b->loop = loop_new();
	b->tap = tap_new(&(struct tap_config){ .fd = b->fd[0], .loop = b->loop, .name = "tap0", .gone = on_gone,
					       .owner = b }, &err);
	assert_non_null(b->tap);
	return b;
}

static void destroy(void *bench)
{
	struct bench *b = bench;

	tap_free(b->tap);
	loop_free(b->loop);
	close(b->fd[0]);
	if (b->fd[1] >= 0)
		close(b->fd[1]);
	while (b->count--)
		free(b->queue[b->first++]);
	free(b);
}

static struct port *port_of(void *bench)
{
	return tap_port(((struct bench *)bench)->tap);
}

static void drain(struct bench *b)
{
	static uint8_t buf[HEADER + FRAME_MAX];
	ssize_t n;

	while (!b->closed && b->first + b->count < QUEUE && (n = read(b->fd[1], buf, sizeof(buf))) > 0) {
		uint8_t *copy = malloc((size_t)n);

		memcpy(copy, buf, (size_t)n);
		b->queue[b->first + b->count] = copy;
		b->len[b->first + b->count++] = (size_t)n;
	}
}

static void run(void *bench)
{
	struct bench *b = bench;

	do
		drain(b);
	while (loop_poll(b->loop, 0) > 0 && !b->closed);
	drain(b);
}

static bool kernel_sends(struct bench *b, const struct virtio_net_hdr *h, const uint8_t *frame, size_t len)
{
	struct iovec iov[] = { { (void *)h, HEADER }, { (void *)frame, len } };

	return writev(b->fd[1], iov, 2) == (ssize_t)(HEADER + len);
}

static bool behind_send(void *bench, const uint8_t *frame, size_t len)
{
	struct virtio_net_hdr h = { .flags = 0 };

	return kernel_sends(bench, &h, frame, len);
}

/* The next frame with its header; 0: none. */
static size_t take_whole(struct bench *b, struct virtio_net_hdr *h, uint8_t *frame, size_t max)
{
	size_t len;

	drain(b);
	if (!b->count)
		return 0;
	len = b->len[b->first] - HEADER;
	assert_true(len <= max);
	memcpy(h, b->queue[b->first], HEADER);
	memcpy(frame, b->queue[b->first] + HEADER, len);
	free(b->queue[b->first++]);
	if (--b->count == 0)
		b->first = 0;
	return len;
}

static size_t take(void *bench, uint8_t *frame, size_t max)
{
	struct virtio_net_hdr h;

	return take_whole(bench, &h, frame, max);
}

static void close_end(void *bench)
{
	((struct bench *)bench)->closed = true;
}

static void open_end(void *bench)
{
	((struct bench *)bench)->closed = false;
}

/* --- the vnet header ---------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
	struct bench *b = make();

	fake_end_init(&b->far);
	b->far.port.accepts = PORT_CSUM | PORT_TSO4 | PORT_TSO6 | PORT_ECN | PORT_USO;
	port_join(tap_port(b->tap), &b->far.port);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	fake_end_free(&b->far);
	destroy(b);
	return 0;
}

/* A TCP segment of `payload` bytes over IPv4, checksums left to others. */
static size_t segment(uint8_t *f, size_t payload)
{
	memset(f, 0, 54 + payload);
	put_be16(f + 12, 0x0800);
	f[14] = 0x45;
	put_be16(f + 16, (uint16_t)(40 + payload));
	f[23] = 6;
	f[46] = 5 << 4;
	return 54 + payload;
}

static void offload_facts_come_in(void **state)
{
	struct bench *b = *state;
	struct virtio_net_hdr h = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .hdr_len = 54, .gso_size = 1460,
				    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, .csum_start = 34,
				    .csum_offset = 16 };
	static uint8_t buf[60054];
	const struct frame *f;

	assert_true(kernel_sends(b, &h, buf, segment(buf, 60000)));
	h = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_DATA_VALID };
	assert_true(kernel_sends(b, &h, buf, segment(buf, 100)));
	run(b);
	assert_int_equal(b->far.frames, 2);
	assert_int_equal(b->far.calls, 1);
	f = &fake_end_frame(&b->far, 0)->facts;
	assert_int_equal(f->len, 60054);
	assert_true(f->needs_csum && !f->csum_valid && f->gso_ecn);
	assert_int_equal(f->gso, GSO_TCPV4);
	assert_int_equal(f->gso_size, 1460);
	assert_int_equal(f->csum_start, 34);
	assert_int_equal(f->csum_offset, 16);
	assert_int_equal(f->hdr_len, 54);
	f = &fake_end_frame(&b->far, 1)->facts;
	assert_true(f->csum_valid && !f->needs_csum);
	assert_int_equal(f->gso, GSO_NONE);
}

static void offload_facts_go_out(void **state)
{
	struct bench *b = *state;
	static uint8_t buf[30054], got[30054];
	struct iovec iov[] = { { buf, 54 }, { buf + 54, 10000 }, { buf + 10054, 20000 } };
	struct frame f = { .iov = iov, .iov_count = 3, .len = 30054, .needs_csum = true, .csum_start = 34,
			   .csum_offset = 16, .gso = GSO_TCPV4, .gso_size = 1448, .hdr_len = 54 };
	struct virtio_net_hdr h;

	segment(buf, 30000);
	for (size_t i = 54; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 7);
	assert_int_equal(port_send(&b->far.port, &f, 1), 1);
	assert_int_equal(take_whole(b, &h, got, sizeof(got)), 30054);
	assert_memory_equal(got, buf, sizeof(buf));
	assert_int_equal(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(h.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(h.gso_size, 1448);
	assert_int_equal(h.hdr_len, 54);
	assert_int_equal(h.csum_start, 34);
	assert_int_equal(h.csum_offset, 16);
	f = (struct frame){ .iov = iov, .iov_count = 1, .len = 54, .csum_valid = true };
	assert_int_equal(port_send(&b->far.port, &f, 1), 1);
	assert_int_equal(take_whole(b, &h, got, sizeof(got)), 54);
	assert_int_equal(h.flags, VIRTIO_NET_HDR_F_DATA_VALID);
	assert_int_equal(h.gso_type, VIRTIO_NET_HDR_GSO_NONE);
}

static void an_unknown_kind_of_segmentation_is_dropped_and_counted(void **state)
{
	struct bench *b = *state;
	struct virtio_net_hdr h = { .gso_type = 77 };
	uint8_t buf[200];

	assert_true(kernel_sends(b, &h, buf, segment(buf, 100)));
	assert_true(behind_send(b, buf, segment(buf, 50)));
	assert_true(kernel_sends(b, &h, buf, 0));
	run(b);
	assert_int_equal(b->far.frames, 1);
	assert_int_equal(fake_end_frame(&b->far, 0)->facts.len, 104);
	assert_true(tap_port(b->tap)->stats.dropped >= 1);
}

static void a_device_that_goes_away_is_told_once(void **state)
{
	struct bench *b = *state;
	uint8_t buf[100];

	close(b->fd[1]);
	b->fd[1] = -1;
	for (int i = 0; i < 3; i++)
		loop_poll(b->loop, 0);
	assert_int_equal(b->gone, 1);
	assert_true(port_send_bytes(&b->far.port, buf, segment(buf, 40)));      /* vanishes */
	assert_int_equal(tap_port(b->tap)->stats.dropped, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(offload_facts_come_in),
		T(offload_facts_go_out),
		T(an_unknown_kind_of_segmentation_is_dropped_and_counted),
		T(a_device_that_goes_away_is_told_once),
	};
	const struct contract contract = {
		.name = "tap", .make = make, .free = destroy, .port = port_of, .send = behind_send, .run = run,
		.take = take, .close = close_end, .open = open_end,
	};

	return cmocka_run_group_tests(tests, NULL, NULL) + port_contract_run(&contract);
}
