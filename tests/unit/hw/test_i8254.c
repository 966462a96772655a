/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "hw/i8254.h"
#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_irq.h"

#define TICKS_NS(n) ((uint64_t)(n) * 1000000000 / 1193182 + 1)

struct bench {
	struct bus *io;
	struct state_list *states;
	struct fake_clock clock;
	struct fake_irq irq;
	struct i8254 *pit;
};

static void out(struct bench *t, uint16_t port, uint8_t v)
{
	bus_write(t->io, port, v, 1);
}

static uint8_t in(struct bench *t, uint16_t port)
{
	return (uint8_t)bus_read(t->io, port, 1);
}

static void program(struct bench *t, unsigned counter, unsigned mode, uint16_t count)
{
	out(t, 0x43, (uint8_t)(counter << 6 | 0x30 | mode << 1));
	out(t, (uint16_t)(0x40 + counter), (uint8_t)count);
	out(t, (uint16_t)(0x40 + counter), (uint8_t)(count >> 8));
}

static unsigned latch(struct bench *t, unsigned counter)
{
	unsigned low;

	out(t, 0x43, (uint8_t)(counter << 6));
	low = in(t, (uint16_t)(0x40 + counter));
	return low | (unsigned)in(t, (uint16_t)(0x40 + counter)) << 8;
}

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));

	fake_clock_init(&t->clock);
	t->clock.now = 123456789;
	t->io = bus_new(BUS_PORTS);
	t->states = state_list_new();
	t->pit = i8254_new(&(struct i8254_config){ t->io, fake_irq_line(&t->irq), t->clock.clock, t->states });
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	i8254_free(t->pit);
	fake_clock_free(&t->clock);
	bus_free(t->io);
	state_list_free(t->states);
	free(t);
	return 0;
}

static void rate_generator_ticks_at_its_rate(void **state)
{
	struct bench *t = *state;

	program(t, 0, 2, 11932);                /* 100 Hz */
	t->irq.rises = 0;
	fake_clock_advance(&t->clock, S(10));
	assert_in_range(t->irq.rises, 999, 1000);
}

static void the_bios_tick_is_18_2_hz(void **state)
{
	struct bench *t = *state;

	program(t, 0, 3, 0);
	t->irq.rises = 0;
	fake_clock_advance(&t->clock, S(3600));
	assert_in_range(t->irq.rises, 65542, 65544);
}

static void one_shot_fires_once_and_on_time(void **state)
{
	struct bench *t = *state;

	program(t, 0, 0, 1000);
	assert_false(t->irq.level);
	fake_clock_advance(&t->clock, TICKS_NS(998));
	assert_false(t->irq.level);
	fake_clock_advance(&t->clock, TICKS_NS(3));
	assert_true(t->irq.level);
	assert_int_equal(t->irq.rises, 2);      /* the other one: OUT is high before mode 0 is set */
	fake_clock_advance(&t->clock, S(1));
	assert_int_equal(t->irq.rises, 2);
	program(t, 0, 4, 1000);                 /* as Linux's one-shot mode does */
	t->irq.rises = 0;
	fake_clock_advance(&t->clock, S(1));
	assert_int_equal(t->irq.rises, 1);      /* the end of the strobe; OUT was high before */
}

static void counter_counts_down_with_the_clock(void **state)
{
	struct bench *t = *state;
	unsigned a;

	program(t, 0, 2, 0);
	a = latch(t, 0);
	assert_in_range(a, 0, 0);               /* 65536 reads as 0 */
	fake_clock_advance(&t->clock, TICKS_NS(100));
	assert_in_range(latch(t, 0), 65536 - 102, 65536 - 99);
	fake_clock_advance(&t->clock, TICKS_NS(65536));
	assert_in_range(latch(t, 0), 65536 - 103, 65536 - 99);
}

static void square_wave_counts_by_two(void **state)
{
	struct bench *t = *state;

	program(t, 0, 3, 10000);
	fake_clock_advance(&t->clock, TICKS_NS(1000));
	assert_in_range(latch(t, 0), 7994, 8000);
	fake_clock_advance(&t->clock, TICKS_NS(5000));
	assert_in_range(latch(t, 0), 7990, 8000);
}

static void latched_count_stays_until_both_bytes_are_read(void **state)
{
	struct bench *t = *state;
	unsigned low, high;

	program(t, 0, 2, 0);
	fake_clock_advance(&t->clock, TICKS_NS(1000));
	out(t, 0x43, 0x00);
	fake_clock_advance(&t->clock, TICKS_NS(5000));
	out(t, 0x43, 0x00);                     /* a second latch command is ignored */
	low = in(t, 0x40);
	fake_clock_advance(&t->clock, TICKS_NS(5000));
	high = in(t, 0x40);
	assert_in_range(low | high << 8, 65536 - 1002, 65536 - 999);
	low = in(t, 0x40);
	high = in(t, 0x40);
	assert_in_range(low | high << 8, 65536 - 11010, 65536 - 10990);
}

static void read_back_gives_status_then_count(void **state)
{
	struct bench *t = *state;

	program(t, 0, 2, 0x1234);
	out(t, 0x43, 0xc2);                     /* read-back: count and status of counter 0 */
	assert_int_equal(in(t, 0x40), 0x80 | 0x30 | 2 << 1);
	assert_in_range(in(t, 0x40), 0x30, 0x34);
	assert_int_equal(in(t, 0x40), 0x12);
	out(t, 0x43, 0x30);
	out(t, 0x43, 0xe2);
	assert_int_equal(in(t, 0x40), 0x40 | 0x30);     /* null count: nothing was loaded; OUT low */
}

/* Linux's quick TSC calibration: counter 2 in mode 0 through port 61h, the high byte polled. */
static void speaker_counter_times_a_calibration_loop(void **state)
{
	struct bench *t = *state;
	uint64_t begin, end;

	out(t, 0x61, (in(t, 0x61) & ~2) | 1);
	out(t, 0x43, 0xb0);
	out(t, 0x42, 0xff);
	out(t, 0x42, 0xff);
	begin = t->clock.now;
	in(t, 0x42);
	assert_int_equal(in(t, 0x42), 0xff);
	do {
		fake_clock_advance(&t->clock, 500);
		in(t, 0x42);
	} while (in(t, 0x42) > 0xf0);
	end = t->clock.now;
	/* FFFFh down to F0FFh: 3840 ticks */
	assert_in_range(end - begin, TICKS_NS(3840) - 1000, TICKS_NS(3840) + 1500);
}

static void out2_shows_in_port_61(void **state)
{
	struct bench *t = *state;

	out(t, 0x61, 1);
	program(t, 2, 0, 59659);                /* 50 ms, as Linux's pit_calibrate_tsc does */
	assert_int_equal(in(t, 0x61) & 0x20, 0);
	fake_clock_advance(&t->clock, MS(49));
	assert_int_equal(in(t, 0x61) & 0x20, 0);
	fake_clock_advance(&t->clock, MS(2));
	assert_int_equal(in(t, 0x61) & 0x20, 0x20);
	assert_int_equal(in(t, 0x61) & 0x0f, 1);
}

static void the_gate_stops_and_restarts_counter_2(void **state)
{
	struct bench *t = *state;
	unsigned stopped;

	out(t, 0x61, 1);
	program(t, 2, 0, 50000);
	fake_clock_advance(&t->clock, TICKS_NS(1000));
	out(t, 0x61, 0);
	stopped = latch(t, 2);
	assert_in_range(stopped, 48998, 49001);
	fake_clock_advance(&t->clock, S(1));
	assert_int_equal(latch(t, 2), stopped);
	assert_int_equal(in(t, 0x61) & 0x20, 0);
	out(t, 0x61, 1);
	fake_clock_advance(&t->clock, TICKS_NS(49002));
	assert_int_equal(in(t, 0x61) & 0x20, 0x20);
}

static void hardware_one_shot_starts_with_the_gate(void **state)
{
	struct bench *t = *state;

	out(t, 0x61, 0);
	program(t, 2, 1, 1000);
	fake_clock_advance(&t->clock, MS(5));
	assert_int_equal(in(t, 0x61) & 0x20, 0x20);
	out(t, 0x61, 1);
	assert_int_equal(in(t, 0x61) & 0x20, 0);
	fake_clock_advance(&t->clock, TICKS_NS(1001));
	assert_int_equal(in(t, 0x61) & 0x20, 0x20);
}

static void refresh_toggles_every_15_us(void **state)
{
	struct bench *t = *state;
	int toggles = 0;
	uint8_t last = in(t, 0x61) & 0x10;

	for (int i = 0; i < 15085; i++) {
		fake_clock_advance(&t->clock, 100);
		toggles += (in(t, 0x61) & 0x10) != last;
		last = in(t, 0x61) & 0x10;
	}
	assert_in_range(toggles, 99, 101);
}

static void bcd_counts_in_decimal(void **state)
{
	struct bench *t = *state;

	out(t, 0x43, 0x35);
	out(t, 0x40, 0x00);
	out(t, 0x40, 0x10);                     /* 1000 */
	fake_clock_advance(&t->clock, TICKS_NS(10));
	assert_in_range(latch(t, 0), 0x0988, 0x0990);
}

static void one_byte_modes_load_and_read_one_byte(void **state)
{
	struct bench *t = *state;

	out(t, 0x43, 0x14);                     /* low byte only, mode 2 */
	out(t, 0x40, 200);
	assert_in_range(in(t, 0x40), 198, 200);
	assert_in_range(in(t, 0x40), 198, 200);
	out(t, 0x43, 0x24);                     /* high byte only */
	out(t, 0x40, 0x40);
	fake_clock_advance(&t->clock, TICKS_NS(300));
	assert_int_equal(in(t, 0x40), 0x3e);
}

static void a_late_loop_makes_up_for_some_ticks_and_forgets_the_rest(void **state)
{
	struct bench *t = *state;

	program(t, 0, 2, 1193);                 /* 1 kHz */
	t->irq.rises = 0;
	t->clock.now += S(10);                  /* nobody looked for ten seconds */
	for (int i = 0; i < 1000; i++) {
		t->clock.now += 11000;
		clock_run(t->clock.clock);
	}
	assert_in_range(t->irq.rises, 5, 100);
}

static void the_shortest_period_does_not_flood_the_loop(void **state)
{
	struct bench *t = *state;
	int runs = 0;

	program(t, 0, 2, 2);
	for (uint64_t end = t->clock.now + MS(10); clock_deadline(t->clock.clock) < end; runs++) {
		t->clock.now = MAX(t->clock.now, clock_deadline(t->clock.clock));
		clock_run(t->clock.clock);
	}
	assert_in_range(runs, 1, 1100);
}

static void disconnected_timer_is_silent_until_it_comes_back(void **state)
{
	struct bench *t = *state;

	program(t, 0, 2, 11932);
	i8254_disconnect(t->pit, true);
	t->irq.rises = 0;
	fake_clock_advance(&t->clock, S(1));
	assert_int_equal(t->irq.rises, 0);
	i8254_disconnect(t->pit, false);
	fake_clock_advance(&t->clock, S(1));
	assert_in_range(t->irq.rises, 99, 102);
}

static void reset_stops_everything(void **state)
{
	struct bench *t = *state;

	program(t, 0, 2, 11932);
	state_reset_all(t->states);
	assert_true(clock_deadline(t->clock.clock) == CLOCK_NEVER);
}

static void random_programming_is_survived(void **state)
{
	struct bench *t = *state;
	uint32_t seed = 7;

	for (int i = 0; i < 100000; i++) {
		seed = seed * 1664525 + 1013904223;
		if (seed >> 28 == 0)
			fake_clock_advance(&t->clock, seed >> 14 & 0x3fff);
		else if (seed >> 30 == 1)
			in(t, (uint16_t)(0x40 + (seed >> 16 & 3)));
		else
			out(t, seed >> 29 == 7 ? 0x61 : (uint16_t)(0x40 + (seed >> 16 & 3)), (uint8_t)(seed >> 8));
	}
	program(t, 0, 2, 11932);
	t->irq.rises = 0;
	fake_clock_advance(&t->clock, S(1));
	assert_in_range(t->irq.rises, 99, 101);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rate_generator_ticks_at_its_rate),
		TEST(the_bios_tick_is_18_2_hz),
		TEST(one_shot_fires_once_and_on_time),
		TEST(counter_counts_down_with_the_clock),
		TEST(square_wave_counts_by_two),
		TEST(latched_count_stays_until_both_bytes_are_read),
		TEST(read_back_gives_status_then_count),
		TEST(speaker_counter_times_a_calibration_loop),
		TEST(out2_shows_in_port_61),
		TEST(the_gate_stops_and_restarts_counter_2),
		TEST(hardware_one_shot_starts_with_the_gate),
		TEST(refresh_toggles_every_15_us),
		TEST(bcd_counts_in_decimal),
		TEST(one_byte_modes_load_and_read_one_byte),
		TEST(a_late_loop_makes_up_for_some_ticks_and_forgets_the_rest),
		TEST(the_shortest_period_does_not_flood_the_loop),
		TEST(disconnected_timer_is_silent_until_it_comes_back),
		TEST(reset_stops_everything),
		TEST(random_programming_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
