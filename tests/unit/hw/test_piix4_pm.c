/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hw/piix4_pm.h"
#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_irq.h"

enum { STS = PM_BASE, EN = PM_BASE + 2, CNT = PM_BASE + 4, TMR = PM_BASE + 8, DEVFN = 1 << 3 | 3 };

struct bench {
	struct bus *mem, *io;
	struct state_list *states;
	struct pci_bus *pci;
	struct fake_clock clock;
	struct fake_irq sci;
	struct piix4_pm *pm;
	int shutdowns;
};

static void shutdown_asked(void *owner)
{
	((struct bench *)owner)->shutdowns++;
}

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));

	fake_clock_init(&t->clock);
	t->mem = bus_new(BUS_MEMORY);
	t->io = bus_new(BUS_PORTS);
	t->states = state_list_new();
	t->pci = pci_bus_new(&(struct pci_bus_config){ .memory = t->mem, .ports = t->io, .states = t->states });
	t->pm = piix4_pm_new(&(struct piix4_pm_config){ t->io, t->pci, fake_irq_line(&t->sci), t->clock.clock,
		shutdown_asked, t, t->states }, NULL);
	assert_non_null(t->pm);
	piix4_pm_place(t->pm);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	piix4_pm_free(t->pm);
	pci_bus_free(t->pci);
	fake_clock_free(&t->clock);
	bus_free(t->mem);
	bus_free(t->io);
	state_list_free(t->states);
	free(t);
	return 0;
}

static uint32_t in(struct bench *t, uint16_t port, unsigned size)
{
	return (uint32_t)bus_read(t->io, port, size);
}

static void out(struct bench *t, uint16_t port, uint32_t v, unsigned size)
{
	bus_write(t->io, port, v, size);
}

static void the_timer_runs_at_3_58_mhz_in_24_bits(void **state)
{
	struct bench *t = *state;
	uint32_t a = in(t, TMR, 4);

	fake_clock_advance(&t->clock, S(1));
	assert_in_range(in(t, TMR, 4) - a, 3579544, 3579546);
	fake_clock_advance(&t->clock, S(10));
	assert_int_equal(in(t, TMR, 4) >> 24, 0);
	assert_int_equal(in(t, TMR, 4), (uint64_t)11 * 3579545 & 0xffffff);
	out(t, TMR, 0, 4);
	assert_int_equal(in(t, TMR, 4), (uint64_t)11 * 3579545 & 0xffffff);
}

static void acpi_is_switched_on_by_the_apm_command(void **state)
{
	struct bench *t = *state;

	assert_int_equal(in(t, CNT, 2) & 1, 0);
	piix4_pm_apm(t->pm, PM_ACPI_ENABLE);
	assert_int_equal(in(t, CNT, 2) & 1, 1);
	piix4_pm_apm(t->pm, 0x77);
	assert_int_equal(in(t, CNT, 2) & 1, 1);
	piix4_pm_apm(t->pm, PM_ACPI_DISABLE);
	assert_int_equal(in(t, CNT, 2) & 1, 0);
}

static void power_button_raises_the_sci_until_its_status_is_cleared(void **state)
{
	struct bench *t = *state;

	piix4_pm_apm(t->pm, PM_ACPI_ENABLE);
	piix4_pm_power_button(t->pm);
	assert_false(t->sci.level);             /* not enabled */
	out(t, EN, 0x100, 2);
	assert_true(t->sci.level);
	assert_int_equal(in(t, STS, 2) & 0x100, 0x100);
	out(t, STS, 0x0001, 2);
	assert_true(t->sci.level);
	out(t, STS, 0x100, 2);
	assert_false(t->sci.level);
	assert_int_equal(in(t, STS, 2) & 0x100, 0);
	assert_int_equal(in(t, EN, 2), 0x100);
}

static void timer_overflow_interrupts_each_half_turn(void **state)
{
	struct bench *t = *state;

	piix4_pm_apm(t->pm, PM_ACPI_ENABLE);
	out(t, EN, 1, 2);
	fake_clock_advance(&t->clock, MS(2340));
	assert_false(t->sci.level);
	fake_clock_advance(&t->clock, MS(10));
	assert_true(t->sci.level);
	assert_true(clock_deadline(t->clock.clock) == CLOCK_NEVER);
	out(t, STS, 1, 2);
	assert_false(t->sci.level);
	fake_clock_advance(&t->clock, MS(2344));
	assert_true(t->sci.level);
	out(t, EN, 0, 2);
	assert_false(t->sci.level);
}

static void soft_off_is_suspend_type_0(void **state)
{
	struct bench *t = *state;

	out(t, CNT, 0x0001, 2);
	out(t, CNT, 1 << 10 | 1 << 13, 2);      /* another type */
	assert_int_equal(t->shutdowns, 0);
	out(t, CNT, 1 << 13, 2);
	assert_int_equal(t->shutdowns, 1);
	assert_int_equal(in(t, CNT, 2) & 1 << 13, 0);
	out(t, CNT + 1, 1 << 5, 1);             /* the high byte alone */
	assert_int_equal(t->shutdowns, 2);
}

static void wide_stores_reach_both_registers(void **state)
{
	struct bench *t = *state;

	piix4_pm_power_button(t->pm);
	out(t, STS, 0x01000100, 4);
	assert_int_equal(in(t, STS, 4), 0x01000000);
}

static void gpe_block_clears_status_and_keeps_enables(void **state)
{
	struct bench *t = *state;

	out(t, PM_GPE_BASE, 0xffff, 2);
	assert_int_equal(in(t, PM_GPE_BASE, 2), 0);
	out(t, PM_GPE_BASE + 2, 0x1234, 2);
	assert_int_equal(in(t, PM_GPE_BASE, 4), 0x12340000);
}

static void registers_move_with_their_base(void **state)
{
	struct bench *t = *state;

	pci_config_write(t->pci, 0, DEVFN, 0x40, 0xb001, 4);
	assert_int_equal(in(t, TMR, 4), 0xffffffff);
	fake_clock_advance(&t->clock, S(1));
	assert_int_equal(in(t, 0xb008, 4), 3579545);
	pci_config_write(t->pci, 0, DEVFN, 0x80, 0, 1);
	assert_int_equal(in(t, 0xb008, 4), 0xffffffff);
	pci_config_write(t->pci, 0, DEVFN, 0x40, PM_GPE_BASE, 4);       /* onto the GPE block: refused */
	pci_config_write(t->pci, 0, DEVFN, 0x80, 1, 1);
	assert_int_equal(in(t, PM_GPE_BASE, 4), 0);
	assert_int_equal(in(t, 0xafc8, 4), 0xffffffff);
	assert_int_equal(pci_config_read(t->pci, 0, DEVFN, 0x40, 4), 0xafc1);
}

static void firmware_is_told_that_smm_needs_no_set_up(void **state)
{
	struct bench *t = *state;

	assert_int_equal(pci_config_read(t->pci, 0, DEVFN, 0x58, 4) & 1 << 25, 1 << 25);
	pci_config_write(t->pci, 0, DEVFN, 0x58, 0, 4);
	state_reset_all(t->states);
	assert_int_equal(pci_config_read(t->pci, 0, DEVFN, 0x58, 4) & 1 << 25, 1 << 25);
	assert_int_equal(pci_config_read(t->pci, 0, DEVFN, 0, 4), 0x71138086);
}

static void smbus_transfers_end_without_a_device(void **state)
{
	struct bench *t = *state;

	out(t, PM_SMBUS_BASE + 4, 0xa1, 1);
	out(t, PM_SMBUS_BASE + 2, 0x48, 1);
	assert_int_equal(in(t, PM_SMBUS_BASE, 1), 4);
	assert_int_equal(in(t, PM_SMBUS_BASE + 2, 1), 0x08);
	out(t, PM_SMBUS_BASE, 0xff, 1);
	assert_int_equal(in(t, PM_SMBUS_BASE, 1), 0);
}

static void reset_takes_the_registers_off_the_bus(void **state)
{
	struct bench *t = *state;

	piix4_pm_apm(t->pm, PM_ACPI_ENABLE);
	out(t, EN, 0x101, 2);
	piix4_pm_power_button(t->pm);
	state_reset_all(t->states);
	assert_false(t->sci.level);
	assert_int_equal(in(t, TMR, 4), 0xffffffff);
	assert_true(clock_deadline(t->clock.clock) == CLOCK_NEVER);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_timer_runs_at_3_58_mhz_in_24_bits),
		TEST(acpi_is_switched_on_by_the_apm_command),
		TEST(power_button_raises_the_sci_until_its_status_is_cleared),
		TEST(timer_overflow_interrupts_each_half_turn),
		TEST(soft_off_is_suspend_type_0),
		TEST(wide_stores_reach_both_registers),
		TEST(gpe_block_clears_status_and_keeps_enables),
		TEST(registers_move_with_their_base),
		TEST(firmware_is_told_that_smm_needs_no_set_up),
		TEST(smbus_transfers_end_without_a_device),
		TEST(reset_takes_the_registers_off_the_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
