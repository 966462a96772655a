/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "hw/fw_cfg.h"
#include "hw/pc.h"
#include "hw/pci.h"
#include "tests/fake/fake_clock.h"

enum { RAM = 64 << 20, BIOS = 128 << 10 };

struct bench {
	struct fake_clock clock;
	uint8_t *ram, *bios;
	struct pc_config config;
	struct pc *pc;
	int resets, shutdowns, status, lines;
};

static void on_reset(void *owner)
{
	((struct bench *)owner)->resets++;
}

static void on_shutdown(void *owner)
{
	((struct bench *)owner)->shutdowns++;
}

static void on_exit_asked(void *owner, int status)
{
	((struct bench *)owner)->status = status;
}

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));
	struct err e = { "" };

	fake_clock_init(&t->clock);
	t->ram = aligned_alloc(4096, RAM);
	memset(t->ram, 0, RAM);
	t->bios = calloc(1, BIOS);
	t->bios[BIOS - 16] = 0xea;
	t->config = (struct pc_config){ .clock = t->clock.clock, .cpu_count = 2, .ram_size = RAM, .ram = t->ram, .bios = t->bios,
		.bios_len = BIOS, .vga = PC_VGA_STD, .debug_exit_port = 0xf4, .rtc_s = 951782390,
		.events = { on_reset, on_shutdown, on_exit_asked }, .owner = t };
	t->pc = pc_new(&t->config, &e);
	if (!t->pc)
		fail_msg("%s", e.text);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	pc_free(t->pc);
	fake_clock_free(&t->clock);
	free(t->ram);
	free(t->bios);
	free(t);
	return 0;
}

static uint32_t in(struct bench *t, uint16_t port, unsigned size)
{
	return pc_io_read(t->pc, port, size);
}

static void out(struct bench *t, uint16_t port, uint32_t v, unsigned size)
{
	pc_io_write(t->pc, port, v, size);
}

static uint8_t cmos(struct bench *t, uint8_t index)
{
	out(t, 0x70, index, 1);
	return (uint8_t)in(t, 0x71, 1);
}

static uint32_t config(struct bench *t, unsigned devfn, unsigned reg)
{
	out(t, 0xcf8, 0x80000000 | devfn << 8 | reg, 4);
	return in(t, 0xcfc, 4);
}

static void init_pics(struct bench *t)
{
	static const uint8_t master[] = { 0x08, 4, 1, 0 }, slave[] = { 0x70, 2, 1, 0 };

	out(t, 0x20, 0x11, 1);
	out(t, 0xa0, 0x11, 1);
	for (int i = 0; i < 4; i++) {
		out(t, 0x21, master[i], 1);
		out(t, 0xa1, slave[i], 1);
	}
}

static void firmware_finds_its_board(void **state)
{
	struct bench *t = *state;

	assert_int_equal(pc_mem_read(t->pc, 0xfffffff0, 1), 0xea);
	assert_int_equal(config(t, 0, 0), 0x12378086);
	assert_int_equal(config(t, 1 << 3, 0), 0x70008086);
	assert_int_equal(config(t, 1 << 3 | 1, 0), 0x70108086);
	assert_int_equal(config(t, 1 << 3 | 3, 0), 0x71138086);
	assert_int_equal(config(t, 2 << 3, 0), 0x11111234);
	assert_int_equal(config(t, 3 << 3, 0), 0xffffffff);
	assert_int_equal(cmos(t, 0x34) | cmos(t, 0x35) << 8, (RAM - (16 << 20)) >> 16);
	assert_int_equal(cmos(t, 0x15) | cmos(t, 0x16) << 8, 640);
	assert_int_equal(cmos(t, 0x5f), 1);
	assert_int_equal(cmos(t, 0x3d), 0x12);          /* hard disk after floppy: "cad" begins with c */
	assert_int_equal(cmos(t, 0x38) >> 4, 3);
	assert_non_null(fw_cfg_find(pc_fw_cfg(t->pc), "etc/acpi/tables", NULL));
	assert_non_null(fw_cfg_find(pc_fw_cfg(t->pc), "etc/smbios/smbios-anchor", NULL));
}

static void the_timer_interrupts_through_the_8259(void **state)
{
	struct bench *t = *state;

	init_pics(t);
	assert_int_equal(pc_int_ack(t->pc), -1);
	out(t, 0x43, 0x34, 1);
	out(t, 0x40, 0x00, 1);
	out(t, 0x40, 0x10, 1);
	fake_clock_advance(&t->clock, MS(4));
	assert_int_equal(pc_int_ack(t->pc), 0x08);
	assert_int_equal(pc_int_ack(t->pc), -1);
}

static void pci_interrupts_arrive_where_they_are_routed(void **state)
{
	struct bench *t = *state;
	struct pci_device *d = pci_add(pc_pci(t->pc), &(struct pci_config){ .name = "card", .vendor = 1, .device = 1,
		.int_pin = 1, .devfn = -1 }, NULL);

	assert_int_equal(pci_devfn(d), 3 << 3);
	pc_direct_boot(t->pc);
	init_pics(t);
	assert_int_equal(config(t, 3 << 3, 0x3c) & 0xff, 11);
	pci_intx(d, true);
	assert_int_equal(pc_int_ack(t->pc), 0x73);
	out(t, 0xa0, 0x20, 1);
	out(t, 0x20, 0x20, 1);
	assert_int_equal(pc_int_ack(t->pc), 0x73);      /* level-triggered: it still asks */
	pci_intx(d, false);
	out(t, 0xa0, 0x20, 1);
	out(t, 0x20, 0x20, 1);
	assert_int_equal(pc_int_ack(t->pc), -1);
}

static void the_hpet_takes_irq_8_from_the_rtc(void **state)
{
	struct bench *t = *state;

	init_pics(t);
	out(t, 0x21, 1, 1);                     /* not the timer */
	pc_mem_write(t->pc, 0xfed00010, 3, 4);
	out(t, 0x70, 11, 1);
	out(t, 0x71, 0x12, 1);
	fake_clock_advance(&t->clock, S(2));
	assert_int_equal(pc_int_ack(t->pc), -1);
	pc_mem_write(t->pc, 0xfed00010, 1, 4);
	assert_int_equal(pc_int_ack(t->pc), 0x70);
}

static void a_coprocessor_error_is_irq_13_until_port_f0(void **state)
{
	struct bench *t = *state;

	init_pics(t);
	assert_int_equal(in(t, 0xf0, 1), 0xff);
	pc_ferr(t->pc);
	assert_int_equal(pc_int_ack(t->pc), 0x75);
	out(t, 0xa0, 0x20, 1);
	out(t, 0x20, 0x20, 1);
	pc_ferr(t->pc);                                 /* the latch is still set: no second edge */
	assert_int_equal(pc_int_ack(t->pc), -1);
	out(t, 0xf0, 0, 1);
	pc_ferr(t->pc);
	assert_int_equal(pc_int_ack(t->pc), 0x75);
}

/* Line 2 is no 8259 input, and lines from 16 on are the I/O APIC's alone. */
static void a_test_device_drives_any_line(void **state)
{
	struct bench *t = *state;

	init_pics(t);
	for (int n = 1; n < 24; n++) {          /* the timer holds line 0 up */
		struct irq_line line = pc_test_irq(t->pc, n);

		irq_set(&line, true);
		if (n == 2 || n > 15)
			assert_int_equal(pc_int_ack(t->pc), -1);
		else
			assert_int_equal(pc_int_ack(t->pc), n < 8 ? 0x08 + n : 0x70 + n - 8);
		irq_set(&line, false);
		out(t, 0xa0, 0x20, 1);
		out(t, 0x20, 0x20, 1);
	}
}

static void all_ways_to_reset_are_reported(void **state)
{
	struct bench *t = *state;

	out(t, 0xcf9, 6, 1);
	assert_int_equal(t->resets, 1);
	out(t, 0x92, 3, 1);
	assert_int_equal(t->resets, 2);
	out(t, 0x64, 0xfe, 1);
	assert_int_equal(t->resets, 3);
}

static void acpi_powers_off(void **state)
{
	struct bench *t = *state;

	pc_direct_boot(t->pc);
	out(t, 0xb2, 0xf1, 1);
	assert_int_equal(in(t, 0x604, 2) & 1, 1);
	pc_power_button(t->pc);
	assert_int_equal(in(t, 0x600, 2) & 0x100, 0x100);
	out(t, 0x604, 1 << 13, 2);
	assert_int_equal(t->shutdowns, 1);
	out(t, 0xf4, 3, 1);
	assert_int_equal(t->status, 7);
}

static void direct_boot_stands_in_for_firmware(void **state)
{
	struct bench *t = *state;
	struct pc_e820 map[16];
	size_t n;
	uint64_t end = 0;

	assert_int_equal(pc_rsdp(t->pc), 0);
	pc_direct_boot(t->pc);
	assert_in_range(pc_rsdp(t->pc), 0xe0000, 0xfffff);
	assert_memory_equal(t->ram + pc_rsdp(t->pc), "RSD PTR ", 8);
	assert_non_null(memmem(t->ram + 0xf0000, 0x10000, "_SM_", 4));
	pc_mem_write(t->pc, 0xc0000, 0x5a, 1);
	assert_int_equal(t->ram[0xc0000], 0x5a);
	n = pc_e820(t->pc, map, 16);
	assert_in_range(n, 5, 8);
	for (size_t i = 0; i < n; i++) {
		assert_true(map[i].base >= end && map[i].len);
		end = map[i].base + map[i].len;
	}
	assert_true(map[3].base == 0x100000 && map[3].type == 1);
	assert_true(map[4].type == 3 && map[4].base + map[4].len == RAM);
	assert_int_equal(le32(t->ram + pc_rsdp(t->pc) + 16) >= map[4].base, 1);
	assert_int_equal(config(t, 2 << 3, 0x10) & ~15u, 0xe0000000);
	/* and all of it again after a reset */
	pc_reset(t->pc);
	assert_int_equal(pc_mem_read(t->pc, 0xffff0, 1), 0xea);
	assert_int_equal(config(t, 2 << 3, 0x10) & ~15u, 0);
	pc_direct_boot(t->pc);
	assert_int_equal(config(t, 2 << 3, 0x10) & ~15u, 0xe0000000);
}

static void the_smallest_machine_boots_directly_without_acpi(void **state)
{
	struct bench *t = *state;
	struct pc_config c = t->config;
	struct pc_e820 map[16];
	struct pc *pc;

	c.ram_size = 1 << 20;
	pc = pc_new(&c, NULL);
	assert_non_null(pc);
	pc_direct_boot(pc);
	assert_int_equal(pc_rsdp(pc), 0);
	assert_int_equal(pc_e820(pc, map, 16), 4);
	pc_free(pc);
	c.ram_size = 2 << 20;
	pc = pc_new(&c, NULL);
	assert_non_null(pc);
	pc_direct_boot(pc);
	assert_in_range(pc_rsdp(pc), 0xe0000, 0xfffff);
	pc_free(pc);
}

static void bad_configurations_are_refused_with_a_reason(void **state)
{
	struct bench *t = *state;
	struct pc_config c = t->config;
	struct err e;

	c.cpu_count = 9;
	assert_null(pc_new(&c, &e));
	assert_non_null(strstr(e.text, "9 processors"));
	c.cpu_count = 1;
	c.ram_size = 12345;
	assert_null(pc_new(&c, &e));
	c.ram_size = RAM;
	c.bios_len = 100;
	assert_null(pc_new(&c, &e));
	c.bios_len = BIOS;
	c.debug_exit_port = 0x60;
	assert_null(pc_new(&c, &e));
	assert_non_null(strstr(e.text, "overlap"));
	c.debug_exit_port = 0;
	c.vga_rom = t->bios;
	c.vga_rom_len = BIOS;
	assert_null(pc_new(&c, &e));
	assert_non_null(strstr(e.text, "option ROM"));
}

static void a_guest_that_pokes_every_port_does_no_harm(void **state)
{
	struct bench *t = *state;
	uint32_t seed = 11;

	for (int i = 0; i < 300000; i++) {
		uint16_t port;
		unsigned size;

		seed = seed * 1664525 + 1013904223;
		size = 1u << (seed >> 29) % 3;
		port = (uint16_t)(seed >> 13);
		if (seed & 1)
			port &= 0x7ff;
		else if (seed & 2)
			port = 0xcf8 + (port & 7);
		seed = seed * 1664525 + 1013904223;
		if (seed & 0x10000)
			out(t, port, seed & 0x20000 ? 0x80000000 | (seed >> 8 & 0x3fff) : seed, size);
		else
			in(t, port, size);
		if (i % 64 == 0)
			fake_clock_advance(&t->clock, US(50));
	}
	for (int i = 0; i < 100000; i++) {
		uint64_t addr;

		seed = seed * 1664525 + 1013904223;
		addr = seed & 1 ? 0xa0000 + (seed >> 8 & 0x1ffff) : 0xfec00000 + (seed >> 8 & 0x3fffff);
		if (seed & 2)
			pc_mem_write(t->pc, addr, seed * (uint64_t)2654435761u, 1u << (seed >> 30));
		else
			pc_mem_read(t->pc, addr, 1u << (seed >> 30));
	}
	pc_reset(t->pc);
	firmware_finds_its_board(state);
}

static void count_line(void *to, const char *line)
{
	(void)line;
	((struct bench *)to)->lines++;
}

static void prints_say_something(void **state)
{
	struct bench *t = *state;

	pc_print_mtree(t->pc, count_line, t);
	assert_in_range(t->lines, 30, 80);
	pc_print_pci(t->pc, count_line, t);
	pc_print_irq(t->pc, count_line, t);
	pc_print_pic(t->pc, count_line, t);
	assert_in_range(t->lines, 70, 160);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(firmware_finds_its_board),
		TEST(the_timer_interrupts_through_the_8259),
		TEST(pci_interrupts_arrive_where_they_are_routed),
		TEST(the_hpet_takes_irq_8_from_the_rtc),
		TEST(a_coprocessor_error_is_irq_13_until_port_f0),
		TEST(a_test_device_drives_any_line),
		TEST(all_ways_to_reset_are_reported),
		TEST(acpi_powers_off),
		TEST(direct_boot_stands_in_for_firmware),
		TEST(the_smallest_machine_boots_directly_without_acpi),
		TEST(bad_configurations_are_refused_with_a_reason),
		TEST(a_guest_that_pokes_every_port_does_no_harm),
		TEST(prints_say_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
