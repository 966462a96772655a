/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/fake_end.h"

struct bench {
	struct fake_end a, b;
};

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));

	fake_end_init(&t->a);
	fake_end_init(&t->b);
	port_join(&t->a.port, &t->b.port);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	fake_end_free(&t->a);
	fake_end_free(&t->b);
	free(t);
	return 0;
}

/* A TSO frame of `payload` bytes over IPv4. */
struct tso {
	uint8_t bytes[60000];
	struct iovec iov;
	struct frame frame;
};

static const struct frame *make_tso(struct tso *s, uint32_t payload, uint16_t size)
{
	memset(s->bytes, 0, sizeof(s->bytes));
	put_be16(s->bytes + 12, 0x0800);
	s->bytes[14] = 0x45;
	s->bytes[23] = 6;
	s->bytes[46] = 5 << 4;
	for (uint32_t i = 0; i < payload; i++)
		s->bytes[54 + i] = (uint8_t)(i / size);
	s->iov = (struct iovec){ s->bytes, 54 + payload };
	s->frame = (struct frame){ .iov = &s->iov, .iov_count = 1, .len = 54 + payload, .needs_csum = true,
		.gso = GSO_TCPV4, .gso_size = size, .csum_start = 34, .csum_offset = 16 };
	return &s->frame;
}

static void join_tells_both_ends(void **state)
{
	struct bench *t = *state;

	assert_int_equal(t->a.changes, 1);
	assert_int_equal(t->b.changes, 1);
	assert_true(port_up(&t->a.port));
	port_part(&t->b.port);
	assert_int_equal(t->a.changes, 2);
	assert_int_equal(t->b.changes, 2);
	assert_false(port_up(&t->a.port));
	port_part(&t->b.port);
	assert_int_equal(t->b.changes, 2);
}

static void accepts_are_seen_by_the_far_end(void **state)
{
	struct bench *t = *state;

	port_accepts(&t->a.port, PORT_CSUM);
	port_accepts(&t->a.port, PORT_CSUM);
	assert_int_equal(t->b.changes, 2);
	assert_int_equal(t->a.changes, 1);
	assert_int_equal(port_far_accepts(&t->b.port), PORT_CSUM);
	port_part(&t->a.port);
	assert_int_equal(port_far_accepts(&t->b.port), 0);
}

static void what_the_far_end_accepts_crosses_in_one_piece(void **state)
{
	struct bench *t = *state;
	static struct tso s;

	t->b.port.accepts = PORT_CSUM | PORT_TSO4;
	assert_int_equal(port_send(&t->a.port, make_tso(&s, 10000, 1460), 1), 1);
	assert_int_equal(t->b.frames, 1);
	assert_int_equal(t->a.port.stats.segmented, 0);
	assert_int_equal(t->a.port.stats.bytes, 10054);
	s.frame.gso_ecn = true;
	assert_int_equal(port_send(&t->a.port, &s.frame, 1), 1);
	assert_int_equal(t->b.frames, 8);
	assert_int_equal(t->a.port.stats.segmented, 1);
}

static void a_frame_taken_in_part_goes_on_where_it_stopped(void **state)
{
	struct bench *t = *state;
	static struct tso s;
	const struct frame *f = make_tso(&s, 40 * 1000, 1000);
	unsigned rounds = 0;

	t->b.room = 3;
	while (port_send(&t->a.port, f, 1) == 0) {
		assert_true(t->a.port.waiting);
		fake_end_open(&t->b, 1 + rounds % 20);
		assert_int_equal(t->a.readies, ++rounds);
	}
	assert_int_equal(t->b.frames, 40);
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(t->b.frame[i].facts.len, 1054);
		assert_int_equal(t->b.frame[i].data[54], i);
	}
	assert_int_equal(t->a.port.stats.segmented, 1);
}

static void a_forgotten_frame_does_not_shorten_the_next(void **state)
{
	struct bench *t = *state;
	static struct tso s;
	const struct frame *f = make_tso(&s, 10 * 1000, 1000);

	t->b.room = 4;
	assert_int_equal(port_send(&t->a.port, f, 1), 0);
	port_forget(&t->a.port);
	fake_end_open(&t->b, SIZE_MAX);
	assert_int_equal(t->a.readies, 0);
	fake_end_clear(&t->b);
	assert_int_equal(port_send(&t->a.port, f, 1), 1);
	assert_int_equal(t->b.frames, 10);
}

static void order_is_kept_among_plain_and_cut_frames(void **state)
{
	struct bench *t = *state;
	static struct tso s;
	uint8_t plain[2][100];
	struct iovec iov[2] = { { plain[0], 100 }, { plain[1], 100 } };
	struct frame f[3];

	fake_frame_fill(plain[0], 100, 1);
	fake_frame_fill(plain[1], 100, 2);
	f[0] = (struct frame){ .iov = &iov[0], .iov_count = 1, .len = 100 };
	f[1] = *make_tso(&s, 3000, 1000);
	f[2] = (struct frame){ .iov = &iov[1], .iov_count = 1, .len = 100 };
	t->b.room = 2;
	assert_int_equal(port_send(&t->a.port, f, 3), 1);
	fake_end_open(&t->b, SIZE_MAX);
	assert_int_equal(port_send(&t->a.port, f + 1, 2), 2);
	assert_int_equal(t->b.frames, 5);
	assert_memory_equal(t->b.frame[0].data, plain[0], 100);
	assert_int_equal(t->b.frame[3].data[54], 2);
	assert_memory_equal(t->b.frame[4].data, plain[1], 100);
}

static void malformed_frames_are_counted_and_stop_nothing(void **state)
{
	struct bench *t = *state;
	uint8_t bytes[100] = { 0 };
	struct iovec iov = { bytes, 100 };
	struct iovec many[FRAME_IOV_SEND + 1];
	struct frame f[6] = {
		{ .iov = &iov, .iov_count = 1, .len = 99 },
		{ .iov = &iov, .iov_count = 1, .len = 13 },
		{ .iov = many, .iov_count = FRAME_IOV_SEND + 1, .len = FRAME_IOV_SEND + 1 },
		{ .iov = &iov, .iov_count = 1, .len = 100, .needs_csum = true, .csum_start = 99 },
		{ .iov = &iov, .iov_count = 1, .len = 100, .gso = GSO_TCPV4, .gso_size = 10, .needs_csum = true, .csum_start = 34,
		  .csum_offset = 16 },
		{ .iov = &iov, .iov_count = 1, .len = 100 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct iovec){ bytes, 1 };
	assert_int_equal(port_send(&t->a.port, f, 6), 6);
	assert_int_equal(t->b.frames, 1);
	assert_int_equal(t->a.port.stats.dropped, 5);
	assert_int_equal(t->a.port.stats.frames, 1);
}

struct watcher {
	struct port_filter filter;
	unsigned out, in;
};

static void watch(void *owner, const struct frame *f, bool from_owner)
{
	struct watcher *w = owner;

	(void)f;
	w->out += from_owner;
	w->in += !from_owner;
}

static void filters_see_each_frame_once_even_if_it_waits(void **state)
{
	struct bench *t = *state;
	struct watcher wa = { { watch, &wa, NULL }, 0, 0 }, wb = { { watch, &wb, NULL }, 0, 0 };
	uint8_t bytes[100];
	struct iovec iov = { bytes, 100 };
	struct frame f[5];

	fake_frame_fill(bytes, 100, 1);
	for (unsigned i = 0; i < 5; i++)
		f[i] = (struct frame){ .iov = &iov, .iov_count = 1, .len = 100 };
	port_add_filter(&t->a.port, &wa.filter);
	port_add_filter(&t->b.port, &wb.filter);
	t->b.room = 2;
	assert_int_equal(port_send(&t->a.port, f, 4), 2);
	assert_int_equal(port_send(&t->a.port, f + 2, 3), 0);
	fake_end_open(&t->b, SIZE_MAX);
	assert_int_equal(port_send(&t->a.port, f + 2, 3), 3);
	assert_int_equal(wa.out, 5);
	assert_int_equal(wa.in, 0);
	assert_int_equal(wb.in, 5);
	port_remove_filter(&t->a.port, &wa.filter);
	port_remove_filter(&t->a.port, &wa.filter);
	assert_int_equal(port_send(&t->a.port, f, 1), 1);
	assert_int_equal(wa.out, 5);
	assert_int_equal(wb.in, 6);
}

static void link_down_drops_and_frees_who_waits(void **state)
{
	struct bench *t = *state;
	uint8_t bytes[100];

	fake_frame_fill(bytes, 100, 1);
	t->b.room = 0;
	assert_false(port_send_bytes(&t->a.port, bytes, 100));
	port_set_link(&t->b.port, false);
	assert_int_equal(t->a.readies, 1);
	assert_int_equal(t->a.changes, 2);
	assert_false(port_up(&t->a.port));
	assert_true(port_send_bytes(&t->a.port, bytes, 100));
	assert_int_equal(t->a.port.stats.dropped, 1);
	port_set_link(&t->b.port, false);
	assert_int_equal(t->a.changes, 2);
}

static int inside[2], worst;
static void enter(void *owner)
{
	int *depth = owner;

	++*depth;
	worst = MAX(worst, inside[0] + inside[1]);
	assert_int_equal(*depth, 1);
}

static void leave(void *owner)
{
	int *depth = owner;

	--*depth;
	assert_int_equal(*depth, 0);
}

static void only_one_guard_is_held_at_a_time(void **state)
{
	struct bench *t = *state;
	struct port_guard ga = { enter, leave, &inside[0] }, gb = { enter, leave, &inside[1] };
	uint8_t bytes[100];

	fake_frame_fill(bytes, 100, 1);
	t->a.port.guard = &ga;
	t->b.port.guard = &gb;
	inside[0] = 1;                          /* a's owner works */
	t->b.room = 1;
	assert_true(port_send_bytes(&t->a.port, bytes, 100));
	assert_false(port_send_bytes(&t->a.port, bytes, 100));
	assert_int_equal(inside[0], 1);
	port_accepts(&t->a.port, PORT_CSUM);
	leave(&inside[0]);
	enter(&inside[1]);                      /* b's does */
	port_ready(&t->b.port);
	assert_int_equal(t->a.readies, 1);
	leave(&inside[1]);
	port_set_link(&t->a.port, false);       /* the monitor, outside of both */
	assert_int_equal(inside[0] + inside[1], 0);
	assert_int_equal(worst, 1);
	t->a.port.guard = t->b.port.guard = NULL;
}

static void frame_copy_crosses_pieces_and_stops_at_the_end(void **state)
{
	uint8_t bytes[10] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 }, got[16];
	struct iovec iov[4] = { { bytes, 3 }, { bytes + 3, 0 }, { bytes + 3, 1 }, { bytes + 4, 6 } };
	struct frame f = { .iov = iov, .iov_count = 4, .len = 10 };

	(void)state;
	for (size_t at = 0; at <= 12; at++)
		for (size_t n = 0; n <= 12; n++) {
			size_t want = at >= 10 ? 0 : MIN(n, 10 - at);

			assert_int_equal(frame_copy(&f, at, got, n), want);
			if (want)
				assert_memory_equal(got, bytes + at, want);
		}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(join_tells_both_ends),
		T(accepts_are_seen_by_the_far_end),
		T(what_the_far_end_accepts_crosses_in_one_piece),
		T(a_frame_taken_in_part_goes_on_where_it_stopped),
		T(a_forgotten_frame_does_not_shorten_the_next),
		T(order_is_kept_among_plain_and_cut_frames),
		T(malformed_frames_are_counted_and_stop_nothing),
		T(filters_see_each_frame_once_even_if_it_waits),
		T(link_down_drops_and_frees_who_waits),
		T(only_one_guard_is_held_at_a_time),
		T(frame_copy_crosses_pieces_and_stops_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
