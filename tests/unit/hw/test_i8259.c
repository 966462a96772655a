/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hw/i8259.h"
#include "tests/fake/fake_irq.h"

struct bench {
	struct bus *io;
	struct state_list *states;
	struct fake_irq intr;
	struct i8259 *pic;
};

static void out(struct bench *t, uint16_t port, uint8_t v)
{
	bus_write(t->io, port, v, 1);
}

static uint8_t in(struct bench *t, uint16_t port)
{
	return (uint8_t)bus_read(t->io, port, 1);
}

static void raise(struct bench *t, int irq, bool level)
{
	struct irq_line l = i8259_input(t->pic, irq);

	irq_set(&l, level);
}

/* As every PC firmware does: vectors 08h and 70h, nothing masked. */
static void init(struct bench *t, uint8_t icw4)
{
	out(t, 0x20, 0x11);
	out(t, 0x21, 0x08);
	out(t, 0x21, 0x04);
	out(t, 0x21, icw4);
	out(t, 0xa0, 0x11);
	out(t, 0xa1, 0x70);
	out(t, 0xa1, 0x02);
	out(t, 0xa1, icw4);
	out(t, 0x21, 0);
	out(t, 0xa1, 0);
}

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));

	t->io = bus_new(BUS_PORTS);
	t->states = state_list_new();
	t->pic = i8259_new(&(struct i8259_config){ t->io, fake_irq_line(&t->intr), t->states });
	init(t, 0x01);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	i8259_free(t->pic);
	bus_free(t->io);
	state_list_free(t->states);
	free(t);
	return 0;
}

static void an_edge_interrupts_once(void **state)
{
	struct bench *t = *state;

	raise(t, 4, true);
	assert_true(t->intr.level);
	assert_int_equal(i8259_acknowledge(t->pic), 0x0c);
	assert_false(t->intr.level);
	out(t, 0x20, 0x20);
	assert_false(t->intr.level);            /* the line is still up: no second edge */
	raise(t, 4, false);
	raise(t, 4, true);
	assert_true(t->intr.level);
}

static void the_slave_interrupts_through_input_2(void **state)
{
	struct bench *t = *state;

	raise(t, 14, true);
	raise(t, 10, true);
	assert_int_equal(i8259_acknowledge(t->pic), 0x72);
	assert_false(t->intr.level);
	out(t, 0xa0, 0x0b);
	assert_int_equal(in(t, 0xa0), 1 << 2);
	out(t, 0x20, 0x0b);
	assert_int_equal(in(t, 0x20), 1 << 2);
	out(t, 0xa0, 0x20);
	assert_false(t->intr.level);            /* the master still serves input 2 */
	out(t, 0x20, 0x20);
	assert_true(t->intr.level);
	assert_int_equal(i8259_acknowledge(t->pic), 0x76);
}

static void a_higher_priority_interrupts_the_one_in_service(void **state)
{
	struct bench *t = *state;

	raise(t, 7, true);
	assert_int_equal(i8259_acknowledge(t->pic), 0x0f);
	raise(t, 15, true);
	assert_true(t->intr.level);             /* by way of input 2, which is above 7 */
	assert_int_equal(i8259_acknowledge(t->pic), 0x77);
	raise(t, 1, true);
	assert_int_equal(i8259_acknowledge(t->pic), 0x09);
	raise(t, 3, true);
	assert_false(t->intr.level);
	out(t, 0x20, 0x20);                     /* ends 1, the highest in service */
	assert_false(t->intr.level);
	out(t, 0xa0, 0x20);
	out(t, 0x20, 0x20);
	assert_true(t->intr.level);
	assert_int_equal(i8259_acknowledge(t->pic), 0x0b);
}

static void masked_interrupt_waits_in_irr(void **state)
{
	struct bench *t = *state;

	out(t, 0x21, 0x10);
	assert_int_equal(in(t, 0x21), 0x10);
	raise(t, 4, true);
	assert_false(t->intr.level);
	out(t, 0x20, 0x0a);
	assert_int_equal(in(t, 0x20), 0x10);
	out(t, 0x21, 0x00);
	assert_true(t->intr.level);
}

static void a_level_asks_until_it_goes(void **state)
{
	struct bench *t = *state;

	out(t, 0x4d1, 0x0c);
	assert_int_equal(in(t, 0x4d1), 0x0c);
	raise(t, 11, true);
	assert_int_equal(i8259_acknowledge(t->pic), 0x73);
	out(t, 0xa0, 0x63);
	out(t, 0x20, 0x62);
	assert_true(t->intr.level);
	raise(t, 11, false);
	assert_false(t->intr.level);
}

static void timer_keyboard_and_clock_stay_edge_triggered(void **state)
{
	struct bench *t = *state;

	out(t, 0x4d0, 0xff);
	out(t, 0x4d1, 0xff);
	assert_int_equal(in(t, 0x4d0), 0xf8);
	assert_int_equal(in(t, 0x4d1), 0xde);
}

static void a_request_that_goes_away_is_withdrawn(void **state)
{
	struct bench *t = *state;

	raise(t, 5, true);
	raise(t, 5, false);
	assert_false(t->intr.level);
	assert_int_equal(i8259_acknowledge(t->pic), 0x0f);      /* the spurious vector, without a bit in service */
	out(t, 0x20, 0x0b);
	assert_int_equal(in(t, 0x20), 0);
}

static void automatic_eoi_leaves_nothing_in_service(void **state)
{
	struct bench *t = *state;

	init(t, 0x03);
	raise(t, 3, true);
	assert_int_equal(i8259_acknowledge(t->pic), 0x0b);
	out(t, 0x20, 0x0b);
	assert_int_equal(in(t, 0x20), 0);
	raise(t, 3, false);
	raise(t, 3, true);
	assert_true(t->intr.level);
}

static void poll_command_acknowledges(void **state)
{
	struct bench *t = *state;

	out(t, 0x20, 0x0c);
	assert_int_equal(in(t, 0x20) & 0x80, 0);
	raise(t, 6, true);
	out(t, 0x20, 0x0c);
	assert_int_equal(in(t, 0x20), 0x86);
	assert_false(t->intr.level);
	out(t, 0x20, 0x0b);
	assert_int_equal(in(t, 0x20), 0x40);
}

static void rotation_moves_the_lowest_priority(void **state)
{
	struct bench *t = *state;

	out(t, 0x20, 0xc3);                     /* set priority: 3 is the lowest, 4 the highest */
	raise(t, 1, true);
	raise(t, 5, true);
	assert_int_equal(i8259_acknowledge(t->pic), 0x0d);
	out(t, 0x20, 0xa0);                     /* rotate on non-specific EOI: 5 becomes the lowest */
	raise(t, 5, false);
	raise(t, 5, true);
	assert_int_equal(i8259_acknowledge(t->pic), 0x09);
}

static void special_mask_mode_lets_lower_ones_in(void **state)
{
	struct bench *t = *state;

	raise(t, 1, true);
	assert_int_equal(i8259_acknowledge(t->pic), 0x09);
	raise(t, 6, true);
	assert_false(t->intr.level);
	out(t, 0x21, 0x02);
	out(t, 0x20, 0x68);
	assert_true(t->intr.level);
	assert_int_equal(i8259_acknowledge(t->pic), 0x0e);
}

static void linux_probe_of_the_mask_register_works(void **state)
{
	struct bench *t = *state;

	out(t, 0xa1, 0xff);
	out(t, 0x21, 0xfb);
	assert_int_equal(in(t, 0x21), 0xfb);
}

static void initialisation_forgets_edges_and_takes_levels(void **state)
{
	struct bench *t = *state;

	raise(t, 4, true);
	init(t, 1);
	assert_false(t->intr.level);
	out(t, 0x4d1, 0x08);
	raise(t, 11, true);
	init(t, 1);
	assert_true(t->intr.level);
}

static void reset_is_quiet(void **state)
{
	struct bench *t = *state;

	out(t, 0x4d1, 0x08);
	raise(t, 11, true);
	raise(t, 4, true);
	state_reset_all(t->states);
	assert_false(t->intr.level);
	assert_int_equal(in(t, 0x4d1), 0);
	assert_false(i8259_pending(t->pic));
}

static void the_cascade_cannot_be_driven(void **state)
{
	struct bench *t = *state;

	raise(t, 2, true);
	assert_false(t->intr.level);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_edge_interrupts_once),
		TEST(the_slave_interrupts_through_input_2),
		TEST(a_higher_priority_interrupts_the_one_in_service),
		TEST(masked_interrupt_waits_in_irr),
		TEST(a_level_asks_until_it_goes),
		TEST(timer_keyboard_and_clock_stay_edge_triggered),
		TEST(a_request_that_goes_away_is_withdrawn),
		TEST(automatic_eoi_leaves_nothing_in_service),
		TEST(poll_command_acknowledges),
		TEST(rotation_moves_the_lowest_priority),
		TEST(special_mask_mode_lets_lower_ones_in),
		TEST(linux_probe_of_the_mask_register_works),
		TEST(initialisation_forgets_edges_and_takes_levels),
		TEST(reset_is_quiet),
		TEST(the_cascade_cannot_be_driven),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
