/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hw/mc146818.h"
#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_irq.h"

enum { BASE_S = 951782390 };            /* 28 February 2000, 23:59:50 UTC, a Monday */

struct bench {
	struct bus *io;
	struct state_list *states;
	struct fake_clock clock;
	struct fake_irq irq;
	struct mc146818 *rtc;
};

static void put(struct bench *t, uint8_t index, uint8_t v)
{
	bus_write(t->io, 0x70, index, 1);
	bus_write(t->io, 0x71, v, 1);
}

static uint8_t get(struct bench *t, uint8_t index)
{
	bus_write(t->io, 0x70, index, 1);
	return (uint8_t)bus_read(t->io, 0x71, 1);
}

static void expect_time(struct bench *t, uint8_t h, uint8_t m, uint8_t s)
{
	assert_int_equal(get(t, 4), h);
	assert_int_equal(get(t, 2), m);
	assert_int_equal(get(t, 0), s);
}

static void expect_date(struct bench *t, uint8_t century, uint8_t y, uint8_t m, uint8_t d)
{
	assert_int_equal(get(t, 0x32), century);
	assert_int_equal(get(t, 9), y);
	assert_int_equal(get(t, 8), m);
	assert_int_equal(get(t, 7), d);
}

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));

	fake_clock_init(&t->clock);
	t->clock.now = MS(12345);
	t->io = bus_new(BUS_PORTS);
	t->states = state_list_new();
	t->rtc = mc146818_new(&(struct mc146818_config){ t->io, fake_irq_line(&t->irq), t->clock.clock, BASE_S, t->states });
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	mc146818_free(t->rtc);
	fake_clock_free(&t->clock);
	bus_free(t->io);
	state_list_free(t->states);
	free(t);
	return 0;
}

static void time_passes_in_bcd_and_over_the_leap_day(void **state)
{
	struct bench *t = *state;

	expect_time(t, 0x23, 0x59, 0x50);
	expect_date(t, 0x20, 0x00, 0x02, 0x28);
	assert_int_equal(get(t, 6), 2);
	fake_clock_advance(&t->clock, S(10));
	expect_time(t, 0, 0, 0);
	expect_date(t, 0x20, 0x00, 0x02, 0x29);
	assert_int_equal(get(t, 6), 3);
	fake_clock_advance(&t->clock, S(86400));
	expect_date(t, 0x20, 0x00, 0x03, 0x01);
	fake_clock_advance(&t->clock, (uint64_t)S(86400) * 305);
	expect_date(t, 0x20, 0x00, 0x12, 0x31);
	fake_clock_advance(&t->clock, S(86400));
	expect_date(t, 0x20, 0x01, 0x01, 0x01);
}

static void binary_and_12_hour_modes(void **state)
{
	struct bench *t = *state;

	put(t, 11, 0x06);
	expect_time(t, 23, 59, 50);
	put(t, 11, 0x04);
	expect_time(t, 0x80 | 11, 59, 50);
	fake_clock_advance(&t->clock, S(10));
	expect_time(t, 12, 0, 0);
	put(t, 11, 0x00);
	expect_time(t, 0x12, 0, 0);
}

static void time_is_set_under_the_set_bit(void **state)
{
	struct bench *t = *state;

	put(t, 11, 0x82);
	put(t, 0, 0x56);
	put(t, 2, 0x34);
	put(t, 4, 0x12);
	put(t, 7, 0x31);
	put(t, 8, 0x12);
	put(t, 9, 0x99);
	put(t, 0x32, 0x19);
	fake_clock_advance(&t->clock, S(5));
	expect_time(t, 0x12, 0x34, 0x56);       /* held */
	assert_int_equal(get(t, 10) & 0x80, 0);
	put(t, 11, 0x02);
	expect_time(t, 0x12, 0x34, 0x56);
	fake_clock_advance(&t->clock, S(4));
	expect_time(t, 0x12, 0x35, 0x00);
	expect_date(t, 0x19, 0x99, 0x12, 0x31);
	fake_clock_advance(&t->clock, (uint64_t)S(3600) * 12);
	expect_date(t, 0x20, 0x00, 0x01, 0x01);
}

static void the_divider_reset_makes_the_next_second_half_as_long(void **state)
{
	struct bench *t = *state;

	put(t, 10, 0x76);
	put(t, 0, 0x10);
	fake_clock_advance(&t->clock, MS(1234));
	put(t, 10, 0x26);
	assert_int_equal(get(t, 0), 0x10);
	fake_clock_advance(&t->clock, MS(499));
	assert_int_equal(get(t, 0), 0x10);
	fake_clock_advance(&t->clock, MS(2));
	assert_int_equal(get(t, 0), 0x11);
}

static void uip_warns_before_the_update(void **state)
{
	struct bench *t = *state;
	int seen = 0, changes = 0;
	uint8_t last = get(t, 0);

	for (int i = 0; i < 20000; i++) {
		bool uip = get(t, 10) & 0x80;

		fake_clock_advance(&t->clock, 200000);
		seen += uip;
		if (get(t, 0) != last) {
			assert_true(uip);
			changes++;
			last = get(t, 0);
		}
	}
	assert_int_equal(changes, 4);
	assert_in_range(seen, 40, 50);          /* 2.2 ms of each second */
}

static void update_interrupt_comes_each_second(void **state)
{
	struct bench *t = *state;

	put(t, 11, 0x12);
	for (int i = 0; i < 5; i++) {
		fake_clock_advance(&t->clock, S(1));
		assert_true(t->irq.level);
		assert_int_equal(get(t, 12), 0x90 | 0x40);      /* PF is set as well */
		assert_false(t->irq.level);
	}
	assert_int_equal(t->irq.rises, 5);
	put(t, 11, 0x02);
	fake_clock_advance(&t->clock, S(3));
	assert_int_equal(t->irq.rises, 5);
}

static void periodic_interrupt_runs_at_the_chosen_rate(void **state)
{
	struct bench *t = *state;
	int n = 0;

	put(t, 10, 0x26);                       /* 1024 Hz */
	put(t, 11, 0x42);
	for (uint64_t end = t->clock.now + S(1); t->clock.now < end;) {
		fake_clock_advance(&t->clock, clock_deadline(t->clock.clock) == CLOCK_NEVER ? 1000 :
				   clock_deadline(t->clock.clock) - t->clock.now);
		if (t->irq.level) {
			assert_int_equal(get(t, 12) & 0xc0, 0xc0);
			n++;
		}
	}
	assert_in_range(n, 1023, 1026);
	put(t, 10, 0x20);                       /* no rate: no interrupt */
	get(t, 12);
	fake_clock_advance(&t->clock, S(1));
	assert_false(t->irq.level);
}

static void an_unread_interrupt_costs_no_more_timers(void **state)
{
	struct bench *t = *state;

	put(t, 10, 0x23);                       /* 8192 Hz */
	put(t, 11, 0x42);
	fake_clock_advance(&t->clock, MS(1));
	assert_true(t->irq.level);
	assert_true(clock_deadline(t->clock.clock) == CLOCK_NEVER);
	assert_int_equal(get(t, 12) & 0x40, 0x40);
	assert_true(clock_deadline(t->clock.clock) != CLOCK_NEVER);
}

static void alarm_rings_at_its_time(void **state)
{
	struct bench *t = *state;

	put(t, 5, 0x00);
	put(t, 3, 0x10);
	put(t, 1, 0x05);
	put(t, 11, 0x22);
	fake_clock_advance(&t->clock, S(10 + 600 + 4));
	assert_false(t->irq.level);
	fake_clock_advance(&t->clock, S(1));
	assert_true(t->irq.level);
	assert_int_equal(get(t, 12) & 0xb0, 0xb0);
	fake_clock_advance(&t->clock, S(86399));
	assert_false(t->irq.level);
	fake_clock_advance(&t->clock, S(1));
	assert_true(t->irq.level);
}

static void alarm_with_dont_cares_rings_every_minute(void **state)
{
	struct bench *t = *state;

	put(t, 5, 0xff);
	put(t, 3, 0xc0);
	put(t, 1, 0x30);
	put(t, 11, 0x22);
	for (int i = 0; i < 5; i++) {
		fake_clock_advance(&t->clock, S(60));
		assert_true(t->irq.level);
		get(t, 12);
	}
	put(t, 1, 0x99);                        /* never */
	fake_clock_advance(&t->clock, S(200000));
	assert_false(t->irq.level);
}

static void flags_are_set_without_enables(void **state)
{
	struct bench *t = *state;

	get(t, 12);
	fake_clock_advance(&t->clock, S(2));
	assert_false(t->irq.level);
	assert_int_equal(get(t, 12), 0x50);
	assert_int_equal(get(t, 12), 0x00);
	assert_true(clock_deadline(t->clock.clock) == CLOCK_NEVER);
}

static void cmos_memory_keeps_through_reset(void **state)
{
	struct bench *t = *state;

	mc146818_set_cmos(t->rtc, 0x34, 0x77);
	put(t, 0x0f, 0x05);
	put(t, 11, 0x72);
	state_reset_all(t->states);
	assert_int_equal(get(t, 0x34), 0x77);
	assert_int_equal(get(t, 0x0f), 0x05);
	assert_int_equal(get(t, 11), 0x02);
	assert_int_equal(get(t, 13), 0x80);
	assert_int_equal(mc146818_cmos(t->rtc, 0x34), 0x77);
	expect_time(t, 0x23, 0x59, 0x50);
	assert_int_equal(bus_read(t->io, 0x70, 1), 0xff);
}

static void garbage_in_the_clock_is_survived(void **state)
{
	struct bench *t = *state;
	uint32_t seed = 3;

	for (int i = 0; i < 50000; i++) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 28 == 0)
			fake_clock_advance(&t->clock, seed & 0xfffffff);
		else if (seed >> 31)
			put(t, seed >> 24 & 0x3f, (uint8_t)(seed >> 8));
		else
			get(t, seed >> 24 & 0x3f);
	}
	put(t, 10, 0x26);
	put(t, 11, 0x02);
	put(t, 0, 0x00);
	fake_clock_advance(&t->clock, S(3));
	assert_int_equal(get(t, 0), 0x03);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(time_passes_in_bcd_and_over_the_leap_day),
		TEST(binary_and_12_hour_modes),
		TEST(time_is_set_under_the_set_bit),
		TEST(the_divider_reset_makes_the_next_second_half_as_long),
		TEST(uip_warns_before_the_update),
		TEST(update_interrupt_comes_each_second),
		TEST(periodic_interrupt_runs_at_the_chosen_rate),
		TEST(an_unread_interrupt_costs_no_more_timers),
		TEST(alarm_rings_at_its_time),
		TEST(alarm_with_dont_cares_rings_every_minute),
		TEST(flags_are_set_without_enables),
		TEST(cmos_memory_keeps_through_reset),
		TEST(garbage_in_the_clock_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
