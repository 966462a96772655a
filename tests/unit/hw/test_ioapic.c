/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hw/ioapic.h"

struct bench {
	struct bus *mem;
	struct state_list *states;
	struct ioapic *apic;
	uint64_t addr;
	uint32_t data;
	int sent;
};

static void msi(void *owner, uint64_t addr, uint32_t data)
{
	struct bench *t = owner;

	t->addr = addr;
	t->data = data;
	t->sent++;
}

static uint32_t get(struct bench *t, uint8_t reg)
{
	bus_write(t->mem, IOAPIC_BASE, reg, 4);
	return (uint32_t)bus_read(t->mem, IOAPIC_BASE + 0x10, 4);
}

static void put(struct bench *t, uint8_t reg, uint32_t value)
{
	bus_write(t->mem, IOAPIC_BASE, reg, 4);
	bus_write(t->mem, IOAPIC_BASE + 0x10, value, 4);
}

static void raise(struct bench *t, int pin, bool level)
{
	struct irq_line l = ioapic_input(t->apic, pin);

	irq_set(&l, level);
}

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));

	t->mem = bus_new(BUS_MEMORY);
	t->states = state_list_new();
	t->apic = ioapic_new(&(struct ioapic_config){ t->mem, { msi, t }, t->states });
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	ioapic_free(t->apic);
	bus_free(t->mem);
	state_list_free(t->states);
	free(t);
	return 0;
}

static void it_says_what_it_is(void **state)
{
	struct bench *t = *state;

	assert_int_equal(get(t, 1), 0x00170020);
	put(t, 0, 0xff000000);
	assert_int_equal(get(t, 0), 0x0f000000);
	for (uint8_t pin = 0; pin < IOAPIC_PINS; pin++)
		assert_int_equal(get(t, (uint8_t)(0x10 + 2 * pin)), 0x10000);
	assert_int_equal(get(t, 0x40), 0);
	put(t, 0x40, 0xffffffff);
	put(t, 0x0f, 0xffffffff);
	put(t, 0xff, 0xffffffff);
	assert_int_equal(t->sent, 0);
}

static void an_edge_is_one_message(void **state)
{
	struct bench *t = *state;

	put(t, 0x11 + 2 * 4, 0x03000000);
	put(t, 0x10 + 2 * 4, 0x00000834);       /* vector 34h, logical, to 3 */
	raise(t, 4, true);
	raise(t, 4, true);
	assert_int_equal(t->sent, 1);
	assert_int_equal(t->addr, 0xfee03004);
	assert_int_equal(t->data & 0xff, 0x34);
	assert_int_equal(t->data & 0x8000, 0);
	raise(t, 4, false);
	raise(t, 4, true);
	assert_int_equal(t->sent, 2);
}

static void an_edge_at_a_masked_input_is_lost(void **state)
{
	struct bench *t = *state;

	raise(t, 4, true);
	put(t, 0x10 + 2 * 4, 0x34);
	assert_int_equal(t->sent, 0);
}

static void a_level_waits_for_the_eoi(void **state)
{
	struct bench *t = *state;

	put(t, 0x10 + 2 * 11, 0x8051);
	raise(t, 11, true);
	assert_int_equal(t->sent, 1);
	assert_int_equal(t->data & 0x8000, 0x8000);
	assert_int_equal(get(t, 0x10 + 2 * 11), 0xc051);
	raise(t, 11, false);
	raise(t, 11, true);
	assert_int_equal(t->sent, 1);
	ioapic_eoi(t->apic, 0x52);
	assert_int_equal(t->sent, 1);
	ioapic_eoi(t->apic, 0x51);              /* still up: again */
	assert_int_equal(t->sent, 2);
	raise(t, 11, false);
	ioapic_eoi(t->apic, 0x51);
	assert_int_equal(t->sent, 2);
	assert_int_equal(get(t, 0x10 + 2 * 11), 0x8051);
}

static void a_masked_level_comes_when_it_is_unmasked(void **state)
{
	struct bench *t = *state;

	put(t, 0x10 + 2 * 11, 0x18051);
	raise(t, 11, true);
	assert_int_equal(t->sent, 0);
	put(t, 0x10 + 2 * 11, 0x8051);
	assert_int_equal(t->sent, 1);
	bus_write(t->mem, IOAPIC_BASE + 0x40, 0x51, 4);         /* the EOI register */
	assert_int_equal(t->sent, 2);
}

static void switching_to_edge_clears_remote_irr(void **state)
{
	struct bench *t = *state;

	put(t, 0x10 + 2 * 11, 0x8051);
	raise(t, 11, true);
	put(t, 0x10 + 2 * 11, 0x10051);
	put(t, 0x10 + 2 * 11, 0x8051);
	assert_int_equal(t->sent, 2);
}

static void delivery_status_and_remote_irr_are_read_only(void **state)
{
	struct bench *t = *state;

	put(t, 0x10, 0xffffffff);
	assert_int_equal(get(t, 0x10), 0x1afff);
	put(t, 0x11, 0xffffffff);
	assert_int_equal(get(t, 0x11), 0xff000000);
}

static void reset_masks_all(void **state)
{
	struct bench *t = *state;

	put(t, 0x10 + 2 * 11, 0x8051);
	raise(t, 11, true);
	state_reset_all(t->states);
	assert_int_equal(get(t, 0x10 + 2 * 11), 0x10000);
	put(t, 0x10 + 2 * 11, 0x8051);
	assert_int_equal(t->sent, 1);
}

static void odd_accesses_do_no_harm(void **state)
{
	struct bench *t = *state;

	for (unsigned i = 0; i < 0x1000; i++) {
		bus_read(t->mem, IOAPIC_BASE + i, 1);
		bus_write(t->mem, IOAPIC_BASE + i, i, 8);
	}
	assert_int_equal(get(t, 1), 0x00170020);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_says_what_it_is),
		TEST(an_edge_is_one_message),
		TEST(an_edge_at_a_masked_input_is_lost),
		TEST(a_level_waits_for_the_eoi),
		TEST(a_masked_level_comes_when_it_is_unmasked),
		TEST(switching_to_edge_clears_remote_irr),
		TEST(delivery_status_and_remote_irr_are_read_only),
		TEST(reset_masks_all),
		TEST(odd_accesses_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
