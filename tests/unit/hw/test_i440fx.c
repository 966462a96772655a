/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hw/i440fx.h"

enum { RAM = 8 << 20, LOW = 4 << 20, BIOS = 256 << 10 };
#define FOUR_GIB ((uint64_t)1 << 32)

struct bench {
	struct bus *mem, *io;
	struct state_list *states;
	struct pci_bus *pci;
	uint8_t *ram, *bios;
	struct i440fx *bridge;
	uint8_t cf9;
};

static uint8_t cf9_read(void *owner)
{
	return ((struct bench *)owner)->cf9;
}

static void cf9_write(void *owner, uint8_t v)
{
	((struct bench *)owner)->cf9 = v;
}

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));

	t->mem = bus_new(BUS_MEMORY);
	t->io = bus_new(BUS_PORTS);
	t->states = state_list_new();
	t->ram = aligned_alloc(4096, RAM);
	memset(t->ram, 0x11, RAM);
	memset(t->ram + LOW, 0x33, RAM - LOW);
	t->bios = malloc(BIOS);
	memset(t->bios, 0xb0, BIOS / 2);
	memset(t->bios + BIOS / 2, 0xb1, BIOS / 2);
	t->bios[BIOS - 16] = 0xea;
	t->pci = pci_bus_new(&(struct pci_bus_config){ .memory = t->mem, .ports = t->io, .states = t->states });
	t->bridge = i440fx_new(&(struct i440fx_config){ t->mem, t->io, t->pci, t->ram, RAM, LOW, t->bios, BIOS,
		cf9_read, cf9_write, t, t->states }, NULL);
	assert_non_null(t->bridge);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	i440fx_free(t->bridge);
	pci_bus_free(t->pci);
	bus_free(t->mem);
	bus_free(t->io);
	state_list_free(t->states);
	free(t->ram);
	free(t->bios);
	free(t);
	return 0;
}

static uint32_t config_in(struct bench *t, unsigned reg, unsigned size)
{
	bus_write(t->io, 0xcf8, 0x80000000 | (reg & 0xfc), 4);
	return (uint32_t)bus_read(t->io, 0xcfc + (reg & 3), size);
}

static void config_out(struct bench *t, unsigned reg, uint32_t v, unsigned size)
{
	bus_write(t->io, 0xcf8, 0x80000000 | (reg & 0xfc), 4);
	bus_write(t->io, 0xcfc + (reg & 3), v, size);
}

static uint8_t at(struct bench *t, uint64_t addr)
{
	return (uint8_t)bus_read(t->mem, addr, 1);
}

static void memory_lies_where_a_pc_has_it(void **state)
{
	struct bench *t = *state;

	assert_int_equal(at(t, 0x9ffff), 0x11);
	assert_int_equal(at(t, 0xa0000), 0xff);
	assert_int_equal(at(t, 0xc0000), 0xff);
	assert_int_equal(at(t, 0xdffff), 0xff);
	assert_int_equal(at(t, 0xe0000), 0xb1);
	assert_int_equal(at(t, 0xffff0), 0xea);
	assert_int_equal(at(t, 0x100000), 0x11);
	assert_int_equal(at(t, LOW - 1), 0x11);
	assert_int_equal(at(t, LOW), 0xff);
	assert_int_equal(at(t, 0xfffffff0), 0xea);
	assert_int_equal(at(t, FOUR_GIB - BIOS), 0xb0);
	assert_int_equal(at(t, FOUR_GIB - BIOS - 1), 0xff);
	assert_int_equal(at(t, FOUR_GIB), 0x33);
	assert_int_equal(at(t, FOUR_GIB + RAM - LOW - 1), 0x33);
	assert_int_equal(at(t, FOUR_GIB + RAM - LOW), 0xff);
	bus_write(t->mem, 0xfffffff0, 0, 4);
	bus_write(t->mem, 0xffff0, 0, 4);
	assert_int_equal(at(t, 0xfffffff0), 0xea);
	assert_int_equal(at(t, 0xffff0), 0xea);
}

/* What SeaBIOS does: all shadow RAM read-write, the ROM copied over itself from its high address, then read-only. */
static void firmware_shadows_itself(void **state)
{
	struct bench *t = *state;
	uint8_t copy[0x10000];

	for (unsigned reg = 0x5a; reg <= 0x5f; reg++)
		config_out(t, reg, 0x33, 1);
	config_out(t, 0x59, 0x30, 1);
	assert_int_equal(at(t, 0xf0000), 0x11);
	assert_true(dma_read(t->mem, 0xffff0000, copy, sizeof(copy)));
	assert_true(dma_write(t->mem, 0xf0000, copy, sizeof(copy)));
	assert_int_equal(at(t, 0xffff0), 0xea);
	assert_int_equal(t->ram[0xffff0], 0xea);
	config_out(t, 0x59, 0x10, 1);
	bus_write(t->mem, 0xffff0, 0, 1);
	assert_int_equal(at(t, 0xffff0), 0xea);
	bus_write(t->mem, 0xc0000, 0x55, 1);
	assert_int_equal(t->ram[0xc0000], 0x55);
}

static void each_pam_nibble_has_its_region(void **state)
{
	struct bench *t = *state;

	for (unsigned i = 0; i < 12; i++) {
		uint64_t base = 0xc0000 + i * 0x4000;

		config_out(t, 0x5a + i / 2, i & 1 ? 0x10 : 0x01, 1);
		assert_int_equal(at(t, base), 0x11);
		assert_int_equal(at(t, base + 0x3fff), 0x11);
		assert_int_not_equal(at(t, base + 0x4000), 0x11);
		if (base > 0xc0000)
			assert_int_not_equal(at(t, base - 1), 0x11);
		config_out(t, 0x5a + i / 2, 0, 1);
		assert_int_not_equal(at(t, base), 0x11);
	}
}

static void write_only_shadow_reads_the_rom(void **state)
{
	struct bench *t = *state;

	config_out(t, 0x59, 0x20, 1);
	assert_int_equal(at(t, 0xf0000), 0xb1);
	bus_write(t->mem, 0xf0000, 0x5a, 1);
	assert_int_equal(at(t, 0xf0000), 0xb1);
	assert_int_equal(t->ram[0xf0000], 0x5a);
	config_out(t, 0x5a, 0x02, 1);
	assert_int_equal(at(t, 0xc0000), 0xff);
	bus_write(t->mem, 0xc0000, 0x66, 1);
	config_out(t, 0x59, 0x10, 1);
	config_out(t, 0x5a, 0x01, 1);
	assert_int_equal(at(t, 0xf0000), 0x5a);
	assert_int_equal(at(t, 0xc0000), 0x66);
}

static void reset_brings_the_rom_back(void **state)
{
	struct bench *t = *state;

	i440fx_shadow_all(t->bridge);
	assert_int_equal(at(t, 0xffff0), 0x11);
	bus_write(t->io, 0xcf8, 0x80000100, 4);
	state_reset_all(t->states);
	assert_int_equal(at(t, 0xffff0), 0xea);
	assert_int_equal(at(t, 0xc0000), 0xff);
	assert_int_equal(bus_read(t->io, 0xcf8, 4), 0);
}

static void configuration_address_takes_whole_stores_only(void **state)
{
	struct bench *t = *state;

	assert_int_equal(config_in(t, 0, 4), 0x12378086);
	assert_int_equal(config_in(t, 2, 2), 0x1237);
	assert_int_equal(config_in(t, 0x0b, 1), 6);
	bus_write(t->io, 0xcfb, 1, 1);          /* as Linux's probe does */
	assert_int_equal(bus_read(t->io, 0xcf8, 4), 0x80000008);
	bus_write(t->io, 0xcf8, 0x80000000, 4);
	assert_int_equal(bus_read(t->io, 0xcf8, 4), 0x80000000);
	assert_int_equal(bus_read(t->io, 0xcf8, 1), 0xff);
	bus_write(t->io, 0xcf8, 0, 4);
	assert_int_equal(bus_read(t->io, 0xcfc, 4), 0xffffffff);        /* not enabled */
	bus_write(t->io, 0xcf8, 0x80010000, 4);
	assert_int_equal(bus_read(t->io, 0xcfc, 4), 0xffffffff);        /* bus 1 */
}

static void reset_control_shares_the_address_port(void **state)
{
	struct bench *t = *state;

	bus_write(t->io, 0xcf9, 6, 1);
	assert_int_equal(t->cf9, 6);
	assert_int_equal(bus_read(t->io, 0xcf9, 1), 6);
	bus_write(t->io, 0xcf8, 0x80000600, 4);
	assert_int_equal(t->cf9, 6);
}

static void smram_locks(void **state)
{
	struct bench *t = *state;

	assert_int_equal(config_in(t, 0x72, 1), 0x02);
	config_out(t, 0x72, 0x4a, 1);
	assert_int_equal(config_in(t, 0x72, 1), 0x4a);
	config_out(t, 0x72, 0x1a, 1);
	config_out(t, 0x72, 0x4a, 1);
	assert_int_equal(config_in(t, 0x72, 1), 0x1a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_lies_where_a_pc_has_it),
		TEST(firmware_shadows_itself),
		TEST(each_pam_nibble_has_its_region),
		TEST(write_only_shadow_reads_the_rom),
		TEST(reset_brings_the_rom_back),
		TEST(configuration_address_takes_whole_stores_only),
		TEST(reset_control_shares_the_address_port),
		TEST(smram_locks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
