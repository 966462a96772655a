/* SPDX-License-Identifier: MIT */
#include "tests/fake/port_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fake/fake_end.h"

enum { LEN_MAX = 1514, MANY = 300, LARGE = 70000 };

static const struct contract *contract;

struct suite {
	void *bench;
	struct port *port;
	struct fake_end far;
	uint8_t buf[LARGE], want[LARGE];
};

static int setup(void **state)
{
	struct suite *t = calloc(1, sizeof(*t));

	t->bench = contract->make();
	t->port = contract->port(t->bench);
	fake_end_init(&t->far);
	port_join(t->port, &t->far.port);
	contract->run(t->bench);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct suite *t = *state;

	if (t->bench)
		contract->free(t->bench);
	assert_null(t->far.port.peer);
	fake_end_free(&t->far);
	free(t);
	return 0;
}

static size_t length_of(unsigned i)
{
	return 60 + i * 37 % (LEN_MAX - 60 + 1);
}

/* The end sends frame i from behind. */
static bool send(struct suite *t, unsigned i)
{
	fake_frame_fill(t->buf, length_of(i), (uint8_t)i);
	return contract->send(t->bench, t->buf, length_of(i));
}

static void expect_far(struct suite *t, size_t at, unsigned i)
{
	const struct fake_frame *f = fake_end_frame(&t->far, at);

	fake_frame_fill(t->want, length_of(i), (uint8_t)i);
	assert_int_equal(f->facts.len, length_of(i));
	assert_memory_equal(f->data, t->want, length_of(i));
}

/* The far end sends frame i; false if it must wait. */
static bool arrive(struct suite *t, unsigned i)
{
	fake_frame_fill(t->buf, length_of(i), (uint8_t)i);
	return port_send_bytes(&t->far.port, t->buf, length_of(i));
}

static void expect_taken(struct suite *t, unsigned i)
{
	fake_frame_fill(t->want, length_of(i), (uint8_t)i);
	assert_int_equal(contract->take(t->bench, t->buf, sizeof(t->buf)), length_of(i));
	assert_memory_equal(t->buf, t->want, length_of(i));
}

static void frames_cross_unchanged_both_ways(void **state)
{
	struct suite *t = *state;

	for (unsigned i = 0; i < 40; i++) {
		assert_true(send(t, i));
		contract->run(t->bench);
		assert_int_equal(t->far.frames, i + 1);
		expect_far(t, i, i);
		assert_true(arrive(t, i));
		contract->run(t->bench);
		expect_taken(t, i);
		assert_int_equal(contract->take(t->bench, t->buf, sizeof(t->buf)), 0);
	}
	assert_int_equal(t->port->stats.frames, 40);
	assert_int_equal(t->far.port.stats.frames, 40);
	assert_int_equal(t->port->stats.dropped + t->far.port.stats.dropped, 0);
}

static void a_batch_arrives_in_order(void **state)
{
	struct suite *t = *state;
	struct iovec iov[16][2];
	struct frame frame[16];
	static uint8_t bytes[16][LEN_MAX];
	size_t sent = 0;

	for (unsigned i = 0; i < 16; i++) {
		size_t len = length_of(i), cut = 13 + i * 3;

		fake_frame_fill(bytes[i], len, (uint8_t)i);
		iov[i][0] = (struct iovec){ bytes[i], cut };
		iov[i][1] = (struct iovec){ bytes[i] + cut, len - cut };
		frame[i] = (struct frame){ .iov = iov[i], .iov_count = 2, .len = (uint32_t)len };
	}
	for (unsigned i = 0; i < 16;) {
		sent += port_send(&t->far.port, frame + sent, 16 - sent);
		contract->run(t->bench);
		assert_true(sent > i);
		for (; i < sent; i++)
			expect_taken(t, i);
	}
}

static void a_busy_far_end_makes_it_wait_and_nothing_is_lost(void **state)
{
	struct suite *t = *state;
	unsigned queued = 0;

	t->far.room = 3;
	while (queued < 10 && send(t, queued)) {
		queued++;
		contract->run(t->bench);
	}
	assert_true(queued >= 1);
	assert_int_equal(t->far.frames, queued < 3 ? queued : 3);
	for (unsigned room = 1; t->far.frames < queued; room++) {
		size_t before = t->far.frames;

		fake_end_open(&t->far, room);
		contract->run(t->bench);
		assert_true(t->far.frames > before && t->far.frames <= before + room);
	}
	fake_end_open(&t->far, SIZE_MAX);
	contract->run(t->bench);
	assert_int_equal(t->far.frames, queued);
	for (unsigned i = 0; i < queued; i++)
		expect_far(t, i, i);
	assert_true(send(t, queued));
	contract->run(t->bench);
	expect_far(t, queued, queued);
}

static void a_full_end_holds_the_sender_and_calls_it_back(void **state)
{
	struct suite *t = *state;
	unsigned sent = 0, taken = 0, readies;

	if (!contract->close)
		skip();
	contract->close(t->bench);
	contract->run(t->bench);
	while (sent < MANY * 4 && arrive(t, sent))
		sent++;
	assert_true(sent < MANY * 4);
	assert_true(t->far.port.waiting);
	contract->run(t->bench);
	readies = (unsigned)t->far.readies;
	assert_false(arrive(t, sent));
	contract->open(t->bench);
	contract->run(t->bench);
	/* what had been taken comes out first; room made by taking counts as room too */
	for (; taken < sent; taken++) {
		expect_taken(t, taken);
		contract->run(t->bench);
	}
	assert_true(t->far.readies > readies);
	assert_true(arrive(t, sent));
	contract->run(t->bench);
	expect_taken(t, sent);
}

static void a_runt_is_taken_and_arrives_whole_or_not_at_all(void **state)
{
	struct suite *t = *state;

	for (size_t len = 0; len < 60; len++) {
		size_t got;

		fake_frame_fill(t->want, 64, (uint8_t)len);
		memcpy(t->buf, t->want, len);
		assert_true(port_send_bytes(&t->far.port, t->buf, len));
		contract->run(t->bench);
		got = contract->take(t->bench, t->buf, sizeof(t->buf));
		if (!got)
			continue;
		assert_true(len >= 14);
		assert_int_equal(got, contract->pads ? 60 : len);
		assert_memory_equal(t->buf, t->want, len);
		for (size_t i = len; i < got; i++)
			assert_int_equal(t->buf[i], 0);
	}
	assert_true(arrive(t, 1));
	contract->run(t->bench);
	expect_taken(t, 1);
}

static void a_giant_is_refused_for_good_and_stalls_nothing(void **state)
{
	static const size_t lengths[] = { 1515, 1518, 1519, 1522, 2048, 4096, 9018, 16384, 65535, 65550, FRAME_MAX, FRAME_MAX + 1 };
	struct suite *t = *state;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t got;

		fake_frame_fill(t->buf, lengths[i], (uint8_t)i);
		assert_true(port_send_bytes(&t->far.port, t->buf, lengths[i]));
		contract->run(t->bench);
		got = contract->take(t->bench, t->want, sizeof(t->want));
		if (got) {
			assert_int_equal(got, lengths[i]);
			assert_true(got <= FRAME_MAX);
			assert_memory_equal(t->buf, t->want, got);
		}
	}
	assert_true(arrive(t, 2));
	contract->run(t->bench);
	expect_taken(t, 2);
}

static void without_a_cable_frames_vanish_and_nothing_stalls(void **state)
{
	struct suite *t = *state;

	port_part(t->port);
	for (unsigned i = 0; i < MANY; i++) {
		assert_true(send(t, i));
		contract->run(t->bench);
	}
	assert_int_equal(t->port->stats.dropped, MANY);
	assert_true(arrive(t, 0));
	assert_int_equal(t->far.port.stats.dropped, 1);
	port_join(&t->far.port, t->port);
	contract->run(t->bench);
	assert_int_equal(t->far.frames, 0);
	assert_true(send(t, 5));
	assert_true(arrive(t, 6));
	contract->run(t->bench);
	expect_far(t, 0, 5);
	expect_taken(t, 6);
}

static void parting_frees_an_end_that_waits(void **state)
{
	struct suite *t = *state;

	t->far.room = 0;
	(void)send(t, 0);                       /* an end without a ring of its own refuses it */
	contract->run(t->bench);
	assert_true(t->port->waiting);
	assert_int_equal(t->far.frames, 0);
	port_part(&t->far.port);
	contract->run(t->bench);
	t->far.room = SIZE_MAX;
	port_join(&t->far.port, t->port);
	contract->run(t->bench);
	for (unsigned i = 1; i < MANY; i++) {
		assert_true(send(t, i));
		contract->run(t->bench);
	}
	expect_far(t, t->far.frames - 1, MANY - 1);
	assert_true(t->far.frames >= MANY - 1 && t->far.frames <= MANY);
}

static void a_link_that_is_down_swallows_frames_both_ways(void **state)
{
	struct suite *t = *state;

	for (int end = 0; end < 2; end++) {
		struct port *down = end ? t->port : &t->far.port;

		port_set_link(down, false);
		contract->run(t->bench);
		assert_true(send(t, 1));
		assert_true(arrive(t, 2));
		contract->run(t->bench);
		assert_int_equal(t->far.frames, 0);
		assert_int_equal(contract->take(t->bench, t->buf, sizeof(t->buf)), 0);
		port_set_link(down, true);
		contract->run(t->bench);
		assert_true(send(t, 3));
		assert_true(arrive(t, 4));
		contract->run(t->bench);
		expect_far(t, 0, 3);
		expect_taken(t, 4);
		fake_end_clear(&t->far);
	}
}

static void it_can_be_freed_while_it_waits(void **state)
{
	struct suite *t = *state;

	t->far.room = 0;
	for (unsigned i = 0; i < 5; i++)
		(void)send(t, i);
	contract->run(t->bench);
	contract->free(t->bench);
	t->bench = NULL;
}

static void it_can_be_freed_while_the_far_end_waits(void **state)
{
	struct suite *t = *state;
	size_t readies;

	if (!contract->close)
		skip();
	contract->close(t->bench);
	contract->run(t->bench);
	for (unsigned i = 0; i < MANY * 4 && arrive(t, i); i++)
		;
	assert_true(t->far.port.waiting);
	readies = t->far.readies;
	contract->free(t->bench);
	t->bench = NULL;
	assert_true(t->far.readies > readies);
	assert_true(arrive(t, 0));
}

static void sums_and_segments_it_cannot_take_are_made_for_it(void **state)
{
	struct suite *t = *state;
	uint8_t frame[14 + 40 + 3000] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0, 0, 9, 0x08, 0x00, 0x45 };
	struct iovec iov = { frame, sizeof(frame) };
	struct frame f = { .iov = &iov, .iov_count = 1, .len = sizeof(frame), .needs_csum = true, .gso = GSO_TCPV4,
			   .gso_size = 1400, .csum_start = 34, .csum_offset = 16, .hdr_len = 54 };
	size_t payload = 0, got;
	unsigned n = 0;

	frame[16] = (3040 >> 8);
	frame[17] = (uint8_t)3040;
	frame[22] = 64;
	frame[23] = 6;
	frame[46] = 5 << 4;
	assert_int_equal(port_send(&t->far.port, &f, 1), 1);
	contract->run(t->bench);
	while ((got = contract->take(t->bench, t->buf, sizeof(t->buf)))) {
		assert_int_equal(t->buf[16] << 8 | t->buf[17], got - 14);
		payload += got - 54;
		n++;
	}
	assert_int_equal(payload, 3000);
	assert_int_equal(n, t->port->accepts & PORT_TSO4 ? 1 : 3);
}

int port_contract_run(const struct contract *c)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frames_cross_unchanged_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(a_batch_arrives_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_busy_far_end_makes_it_wait_and_nothing_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_end_holds_the_sender_and_calls_it_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_runt_is_taken_and_arrives_whole_or_not_at_all, setup, teardown),
		cmocka_unit_test_setup_teardown(a_giant_is_refused_for_good_and_stalls_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_cable_frames_vanish_and_nothing_stalls, setup, teardown),
		cmocka_unit_test_setup_teardown(parting_frees_an_end_that_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(a_link_that_is_down_swallows_frames_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(it_can_be_freed_while_it_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(it_can_be_freed_while_the_far_end_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(sums_and_segments_it_cannot_take_are_made_for_it, setup, teardown),
	};

	contract = c;
	return _cmocka_run_group_tests(c->name, tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
