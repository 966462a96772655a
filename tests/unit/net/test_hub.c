/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/hub.h"
#include "tests/fake/fake_end.h"
#include "tests/fake/port_contract.h"

struct bench {
	struct hub *hub;
	struct fake_end end[3];
	bool closed;
};

static void plug(struct bench *t, unsigned i)
{
	fake_end_init(&t->end[i]);
	port_join(&t->end[i].port, hub_add(t->hub, "hub0port"));
}

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));

	t->hub = hub_new(0);
	for (unsigned i = 0; i < 3; i++)
		plug(t, i);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	hub_free(t->hub);
	for (unsigned i = 0; i < 3; i++) {
		assert_null(t->end[i].port.peer);
		fake_end_free(&t->end[i]);
	}
	free(t);
	return 0;
}

static bool send(struct fake_end *e, uint8_t seed)
{
	uint8_t x[80];

	fake_frame_fill(x, sizeof(x), seed);
	return port_send_bytes(&e->port, x, sizeof(x));
}

static void a_frame_goes_to_all_others(void **state)
{
	struct bench *t = *state;

	assert_true(send(&t->end[1], 7));
	assert_int_equal(t->end[0].frames, 1);
	assert_int_equal(t->end[1].frames, 0);
	assert_int_equal(t->end[2].frames, 1);
	assert_int_equal(t->end[2].frame[0].data[11], 7);
}

static void one_that_takes_nothing_does_not_stop_the_others(void **state)
{
	struct bench *t = *state;

	t->end[2].room = 0;
	for (unsigned i = 0; i < 200; i++)
		assert_true(send(&t->end[0], (uint8_t)i));
	assert_int_equal(t->end[1].frames, 200);
	assert_int_equal(hub_port(t->hub, 2)->stats.dropped, 200 - 128);
	fake_end_open(&t->end[2], 50);
	assert_int_equal(t->end[2].frames, 50);
	assert_true(send(&t->end[0], 200));
	fake_end_open(&t->end[2], SIZE_MAX);
	assert_int_equal(t->end[2].frames, 129);
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(t->end[2].frame[i].data[11], i);
	assert_int_equal(t->end[2].frame[128].data[11], 200);
}

static void only_what_all_others_accept_is_accepted(void **state)
{
	struct bench *t = *state;

	port_accepts(&t->end[0].port, PORT_CSUM | PORT_TSO4);
	port_accepts(&t->end[1].port, PORT_CSUM);
	assert_int_equal(port_far_accepts(&t->end[2].port), PORT_CSUM);
	assert_int_equal(port_far_accepts(&t->end[0].port), 0);
	port_part(&t->end[2].port);
	assert_int_equal(port_far_accepts(&t->end[0].port), PORT_CSUM);
	assert_int_equal(port_far_accepts(&t->end[1].port), PORT_CSUM | PORT_TSO4);
}

static void a_waiting_sender_is_freed_when_the_other_leaves(void **state)
{
	struct bench *t = *state;

	hub_remove(t->hub, hub_port(t->hub, 2));
	t->end[1].room = 0;
	assert_false(send(&t->end[0], 1));
	hub_remove(t->hub, hub_port(t->hub, 1));
	assert_int_equal(t->end[0].readies, 1);
	assert_true(send(&t->end[0], 1));
}

static void ports_are_limited(void **state)
{
	struct bench *t = *state;

	while (hub_ports(t->hub) < HUB_PORTS_MAX)
		assert_non_null(hub_add(t->hub, "more"));
	assert_null(hub_add(t->hub, "one too many"));
}

/* The contract: a hub with one thing behind it is a backend like any other. */
static void *make(void)
{
	struct bench *t = calloc(1, sizeof(*t));

	t->hub = hub_new(1);
	hub_add(t->hub, "under test");
	plug(t, 0);
	return t;
}

static void destroy(void *bench)
{
	struct bench *t = bench;

	hub_free(t->hub);
	fake_end_free(&t->end[0]);
	free(t);
}

static struct port *port_of(void *bench)
{
	return hub_port(((struct bench *)bench)->hub, 0);
}

static bool behind_send(void *bench, const uint8_t *frame, size_t len)
{
	struct bench *t = bench;

	return port_send_bytes(&t->end[0].port, frame, len);
}

static void run(void *bench)
{
	(void)bench;
}

static size_t take(void *bench, uint8_t *frame, size_t max)
{
	struct fake_end *e = &((struct bench *)bench)->end[0];
	size_t len;

	if (!e->frames)
		return 0;
	len = e->frame[0].facts.len;
	assert_true(len <= max);
	memcpy(frame, e->frame[0].data, len);
	free(e->frame[0].data);
	memmove(&e->frame[0], &e->frame[1], --e->frames * sizeof(e->frame[0]));
	return len;
}

static void close_end(void *bench)
{
	((struct bench *)bench)->end[0].room = 5;
}

static void open_end(void *bench)
{
	fake_end_open(&((struct bench *)bench)->end[0], SIZE_MAX);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_frame_goes_to_all_others),
		T(one_that_takes_nothing_does_not_stop_the_others),
		T(only_what_all_others_accept_is_accepted),
		T(a_waiting_sender_is_freed_when_the_other_leaves),
		T(ports_are_limited),
	};
	const struct contract contract = {
		.name = "hub", .make = make, .free = destroy, .port = port_of, .send = behind_send, .run = run, .take = take,
		.close = close_end, .open = open_end,
	};

	return cmocka_run_group_tests(tests, NULL, NULL) + port_contract_run(&contract);
}
