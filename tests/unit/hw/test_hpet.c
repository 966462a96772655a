/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hw/hpet.h"
#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_irq.h"

enum { CONFIG = 0x10, STATUS = 0x20, COUNTER = 0xf0, T0 = 0x100, T1 = 0x120, T2 = 0x140, CMP = 8 };

struct bench {
	struct bus *mem;
	struct state_list *states;
	struct fake_clock clock;
	struct fake_irq irq[32], legacy[2];
	bool route;
	struct hpet *hpet;
};

static void legacy_route(void *owner, bool on)
{
	((struct bench *)owner)->route = on;
}

static uint64_t get(struct bench *t, unsigned reg)
{
	return bus_read(t->mem, HPET_BASE + reg, 8);
}

static void put(struct bench *t, unsigned reg, uint64_t v)
{
	bus_write(t->mem, HPET_BASE + reg, v, 4);
}

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));
	struct hpet_config c = { .legacy_route = legacy_route, .owner = t };

	fake_clock_init(&t->clock);
	t->clock.now = 987654321;
	t->mem = c.memory = bus_new(BUS_MEMORY);
	t->states = c.states = state_list_new();
	c.clock = t->clock.clock;
	for (int i = 0; i < 32; i++)
		c.irq[i] = fake_irq_line(&t->irq[i]);
	for (int i = 0; i < 2; i++)
		c.legacy[i] = fake_irq_line(&t->legacy[i]);
	t->hpet = hpet_new(&c);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	hpet_free(t->hpet);
	fake_clock_free(&t->clock);
	bus_free(t->mem);
	state_list_free(t->states);
	free(t);
	return 0;
}

static void capabilities_and_counter(void **state)
{
	struct bench *t = *state;

	assert_true(get(t, 0) == 0x009896808086a201);
	assert_int_equal(get(t, COUNTER), 0);
	fake_clock_advance(&t->clock, MS(1));
	assert_int_equal(get(t, COUNTER), 0);           /* not enabled yet */
	put(t, CONFIG, 1);
	fake_clock_advance(&t->clock, MS(1));
	assert_in_range(get(t, COUNTER), 99999, 100001);
	put(t, CONFIG, 0);
	fake_clock_advance(&t->clock, MS(1));
	assert_in_range(get(t, COUNTER), 99999, 100001);
	put(t, COUNTER, 5);
	put(t, COUNTER + 4, 7);
	assert_true(get(t, COUNTER) == 0x700000005);
	assert_int_equal(bus_read(t->mem, HPET_BASE + COUNTER + 4, 4), 7);
}

/* Linux: cfg = enable | periodic | set value | 32 bit; the comparator, then the period. */
static void linux_periodic_timer_ticks(void **state)
{
	struct bench *t = *state;

	put(t, CONFIG, 3);
	assert_true(t->route);
	put(t, T0, 0x14c);
	put(t, T0 + CMP, (uint32_t)get(t, COUNTER) + 400000);
	put(t, T0 + CMP, 400000);                       /* 4 ms */
	fake_clock_advance(&t->clock, S(1));
	assert_in_range(t->legacy[0].rises, 249, 250);
	put(t, CONFIG, 1);
	assert_false(t->route);
}

static void one_shot_fires_when_the_counter_meets_it(void **state)
{
	struct bench *t = *state;

	put(t, CONFIG, 1);
	put(t, T1, 0x104 | 20 << 9);
	put(t, T1 + CMP, (uint32_t)get(t, COUNTER) + 1000);
	fake_clock_advance(&t->clock, 9980);
	assert_int_equal(t->irq[20].rises, 0);
	fake_clock_advance(&t->clock, 40);
	assert_int_equal(t->irq[20].rises, 1);
	fake_clock_advance(&t->clock, S(40));
	assert_int_equal(t->irq[20].rises, 1);
	fake_clock_advance(&t->clock, S(4));            /* 32 bits of 10 ns are 42.9 s: again */
	assert_int_equal(t->irq[20].rises, 2);
}

static void level_interrupt_stays_until_its_status_is_cleared(void **state)
{
	struct bench *t = *state;

	put(t, CONFIG, 1);
	put(t, T2, 0x106 | 21 << 9);
	put(t, T2 + CMP, (uint32_t)get(t, COUNTER) + 1000);
	fake_clock_advance(&t->clock, MS(1));
	assert_true(t->irq[21].level);
	assert_int_equal(get(t, STATUS), 4);
	put(t, STATUS, 1);
	assert_true(t->irq[21].level);
	put(t, STATUS, 4);
	assert_false(t->irq[21].level);
	assert_int_equal(get(t, STATUS), 0);
}

static void routes_that_are_not_offered_do_not_stick(void **state)
{
	struct bench *t = *state;

	assert_int_equal(get(t, T0) >> 32, HPET_ROUTES);
	put(t, T0, 23 << 9);
	assert_int_equal(get(t, T0) >> 9 & 31, 23);
	put(t, T0, 5 << 9);
	assert_int_equal(get(t, T0) >> 9 & 31, 0);
}

static void the_shortest_period_does_not_flood_the_loop(void **state)
{
	struct bench *t = *state;
	int runs = 0;

	put(t, CONFIG, 1);
	put(t, T0, 0x14c | 20 << 9);
	put(t, T0 + CMP, (uint32_t)get(t, COUNTER) + 100);
	put(t, T0 + CMP, 1);
	for (uint64_t end = t->clock.now + MS(10); clock_deadline(t->clock.clock) < end; runs++) {
		t->clock.now = clock_deadline(t->clock.clock) > t->clock.now ? clock_deadline(t->clock.clock) : t->clock.now;
		clock_run(t->clock.clock);
	}
	assert_in_range(runs, 10, 1100);
}

static void reset_gives_the_legacy_lines_back(void **state)
{
	struct bench *t = *state;

	put(t, CONFIG, 3);
	put(t, T0, 0x14c);
	put(t, T0 + CMP, 1000);
	state_reset_all(t->states);
	assert_false(t->route);
	assert_int_equal(get(t, CONFIG), 0);
	assert_true(clock_deadline(t->clock.clock) == CLOCK_NEVER);
	assert_true(get(t, T0 + CMP) == UINT64_MAX);
}

static void random_programming_is_survived(void **state)
{
	struct bench *t = *state;
	uint32_t seed = 5;

	for (int i = 0; i < 100000; i++) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 28 == 0)
			fake_clock_advance(&t->clock, seed & 0x3fff);
		else if (seed >> 31)
			bus_write(t->mem, HPET_BASE + (seed >> 16 & 0x1ff), seed * (uint64_t)2654435761u, 1u << (seed >> 26 & 3));
		else
			bus_read(t->mem, HPET_BASE + (seed >> 16 & 0x3ff), 1u << (seed >> 26 & 3));
	}
	assert_int_equal(get(t, 0) & 0xffffffff, hpet_id());
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(capabilities_and_counter),
		TEST(linux_periodic_timer_ticks),
		TEST(one_shot_fires_when_the_counter_meets_it),
		TEST(level_interrupt_stays_until_its_status_is_cleared),
		TEST(routes_that_are_not_offered_do_not_stick),
		TEST(the_shortest_period_does_not_flood_the_loop),
		TEST(reset_gives_the_legacy_lines_back),
		TEST(random_programming_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
