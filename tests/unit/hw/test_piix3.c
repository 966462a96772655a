/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hw/piix3.h"
#include "tests/fake/fake_irq.h"

struct bench {
	struct bus *mem, *io;
	struct state_list *states;
	struct pci_bus *pci;
	struct fake_irq irq[16], a20;
	struct piix3 *piix3;
	int resets, apms;
	uint8_t apm;
};

static void reset(void *owner)
{
	((struct bench *)owner)->resets++;
}

static void apm(void *owner, uint8_t command)
{
	struct bench *t = owner;

	t->apm = command;
	t->apms++;
}

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));
	struct piix3_config c = { .reset = reset, .apm = apm, .owner = t };

	t->mem = bus_new(BUS_MEMORY);
	t->io = c.ports = bus_new(BUS_PORTS);
	t->states = c.states = state_list_new();
	t->pci = c.pci = pci_bus_new(&(struct pci_bus_config){ .memory = t->mem, .ports = t->io, .states = t->states });
	for (int i = 0; i < 16; i++)
		c.irq[i] = fake_irq_line(&t->irq[i]);
	c.a20 = fake_irq_line(&t->a20);
	t->piix3 = piix3_new(&c, NULL);
	assert_non_null(t->piix3);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	piix3_free(t->piix3);
	pci_bus_free(t->pci);
	bus_free(t->mem);
	bus_free(t->io);
	state_list_free(t->states);
	free(t);
	return 0;
}

static void route(struct bench *t, unsigned pirq, uint8_t value)
{
	pci_config_write(t->pci, 0, 8, 0x60 + pirq, value, 1);
}

static void pirqs_go_where_they_are_routed(void **state)
{
	struct bench *t = *state;

	piix3_pirq(t->piix3, 2, true);
	for (int i = 0; i < 16; i++)
		assert_false(t->irq[i].level);          /* routed nowhere after reset */
	route(t, 2, 11);
	assert_true(t->irq[11].level);
	route(t, 3, 11);
	piix3_pirq(t->piix3, 3, true);
	piix3_pirq(t->piix3, 2, false);
	assert_true(t->irq[11].level);
	assert_int_equal(t->irq[11].rises, 1);
	route(t, 3, 10);
	assert_false(t->irq[11].level);
	assert_true(t->irq[10].level);
	route(t, 3, 0x80 | 10);
	assert_false(t->irq[10].level);
}

static void reserved_interrupts_are_not_driven(void **state)
{
	struct bench *t = *state;
	static const uint8_t reserved[] = { 0, 1, 2, 8, 13 };

	piix3_pirq(t->piix3, 0, true);
	for (unsigned i = 0; i < sizeof(reserved); i++) {
		route(t, 0, reserved[i]);
		assert_false(t->irq[reserved[i]].level);
	}
	piix3_route(t->piix3, (const uint8_t[]){ 10, 10, 11, 11 });
	assert_true(t->irq[10].level);
	assert_int_equal(pci_config_read(t->pci, 0, 8, 0x60, 4), 0x0b0b0a0a);
}

static void port_92_moves_a20_and_resets(void **state)
{
	struct bench *t = *state;

	assert_true(t->a20.level);
	assert_int_equal(bus_read(t->io, 0x92, 1), 2);
	bus_write(t->io, 0x92, 0, 1);
	assert_false(t->a20.level);
	bus_write(t->io, 0x92, 2, 1);
	assert_true(t->a20.level);
	bus_write(t->io, 0x92, 3, 1);
	bus_write(t->io, 0x92, 3, 1);
	assert_int_equal(t->resets, 1);
}

static void cf9_resets_on_the_rising_bit(void **state)
{
	struct bench *t = *state;

	piix3_cf9_write(t->piix3, 2);
	assert_int_equal(piix3_cf9_read(t->piix3), 2);
	assert_int_equal(t->resets, 0);
	piix3_cf9_write(t->piix3, 6);
	assert_int_equal(t->resets, 1);
	state_reset_all(t->states);
	assert_int_equal(piix3_cf9_read(t->piix3), 0);
	piix3_cf9_write(t->piix3, 6);
	assert_int_equal(t->resets, 2);
}

static void apm_command_is_passed_on(void **state)
{
	struct bench *t = *state;

	bus_write(t->io, 0xb3, 0x5a, 1);
	assert_int_equal(t->apms, 0);
	bus_write(t->io, 0xb2, 0xf1, 1);
	assert_int_equal(t->apm, 0xf1);
	assert_int_equal(bus_read(t->io, 0xb2, 2), 0x5af1);
}

static void page_registers_hold_bytes(void **state)
{
	struct bench *t = *state;

	bus_write(t->io, 0x80, 0xaa, 1);
	bus_write(t->io, 0x87, 0x12, 1);
	assert_int_equal(bus_read(t->io, 0x80, 1), 0xaa);
	assert_int_equal(bus_read(t->io, 0x87, 1), 0x12);
}

static void it_is_an_isa_bridge_that_reset_restores(void **state)
{
	struct bench *t = *state;

	assert_int_equal(pci_config_read(t->pci, 0, 8, 0, 4), 0x70008086);
	assert_int_equal(pci_config_read(t->pci, 0, 8, 8, 4) >> 8, 0x060100);
	assert_int_equal(pci_config_read(t->pci, 0, 8, 0x0e, 1), 0x80);
	route(t, 1, 5);
	bus_write(t->io, 0x92, 0, 1);
	state_reset_all(t->states);
	assert_int_equal(pci_config_read(t->pci, 0, 8, 0x60, 4), 0x80808080);
	assert_true(t->a20.level);
	assert_int_equal(pci_config_read(t->pci, 0, 8, 4, 2), 7);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pirqs_go_where_they_are_routed),
		TEST(reserved_interrupts_are_not_driven),
		TEST(port_92_moves_a20_and_resets),
		TEST(cf9_resets_on_the_rising_bit),
		TEST(apm_command_is_passed_on),
		TEST(page_registers_hold_bytes),
		TEST(it_is_an_isa_bridge_that_reset_restores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
