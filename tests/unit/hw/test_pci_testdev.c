/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "hw/pci_testdev.h"
#include "tests/fake/fake_board.h"

enum { SLOT = 5, DEVFN = SLOT << 3 };

struct bench {
	struct fake_board board;
	struct pci_testdev *dev;
	uint64_t memory, ports;         /* its BARs */
};

static uint32_t config_read(struct bench *b, unsigned offset)
{
	return pci_config_read(b->board.pci, 0, DEVFN, offset, 4);
}

static int setup(void **state)
{
	static struct bench b;

	memset(&b, 0, sizeof(b));
	fake_board_init(&b.board);
	b.dev = pci_testdev_new(&(struct pci_testdev_config){ .pci = b.board.pci, .states = b.board.states,
							      .devfn = DEVFN, .membar = 1 << 16 }, NULL);
	if (!b.dev)
		return -1;
	fake_board_start(&b.board);
	b.memory = config_read(&b, 0x10) & ~15u;
	b.ports = config_read(&b, 0x14) & ~3u;
	*state = &b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	fake_board_free(&b->board);
	pci_testdev_free(b->dev);
	return 0;
}

static void it_is_qemus_function(void **state)
{
	struct bench *b = *state;

	assert_int_equal(config_read(b, 0), 0x00051b36);
	assert_int_equal(config_read(b, 8), 0x00ff0000);
	assert_int_equal(config_read(b, 0x2c), 0x11001af4);
	pci_config_write(b->board.pci, 0, DEVFN, 0x10, UINT32_MAX, 4);
	assert_int_equal(config_read(b, 0x10), 0xfffff000);
	pci_config_write(b->board.pci, 0, DEVFN, 0x14, UINT32_MAX, 4);
	assert_int_equal(config_read(b, 0x14), 0xffffff01);
	pci_config_write(b->board.pci, 0, DEVFN, 0x18, UINT32_MAX, 4);
	assert_int_equal(config_read(b, 0x18), 0xffff000c);
}

static void name_is(struct bus *bus, uint64_t base, const char *name)
{
	for (size_t i = 0; i <= strlen(name); i++)
		assert_int_equal(bus_read(bus, base + 16 + i, 1), name[i]);
}

static void try_test(struct bus *bus, uint64_t base, unsigned test, unsigned number, uint64_t at, uint8_t data,
		     const char *name)
{
	bus_write(bus, base, test, 1);
	assert_int_equal(bus_read(bus, base, 1), number);
	assert_int_equal(bus_read(bus, base + 1, 1), 1);
	assert_int_equal(bus_read(bus, base + 4, 4), at);
	assert_int_equal(bus_read(bus, base + 8, 4), data);
	assert_int_equal(bus_read(bus, base + 12, 4), 0);
	name_is(bus, base, name);
	for (int i = 0; i < 300; i++)
		bus_write(bus, base + at, data, 1);
	bus_write(bus, base + at + 1, data, 1);
	bus_write(bus, base + at - 1, data, 1);
	assert_int_equal(bus_read(bus, base + 12, 4), 300);
	bus_write(bus, base + 8, 0x55, 1);              /* the rest of the header is read only */
	assert_int_equal(bus_read(bus, base + 8, 4), data);
}

static void each_bar_has_three_tests_and_counts_their_stores(void **state)
{
	struct bench *b = *state;

	try_test(b->board.memory, b->memory, 0, 0, 0x800, 0xfa, "mmio-no-eventfd");
	try_test(b->board.memory, b->memory, 1, 1, 0x801, 0xce, "mmio-wildcard-eventfd");
	try_test(b->board.memory, b->memory, 2, 2, 0x802, 0xfa, "mmio-datamatch-eventfd");
	try_test(b->board.ports, b->ports, 0, 3, 0x83, 0xfa, "portio-no-eventfd");
	try_test(b->board.ports, b->ports, 1, 4, 0x84, 0xce, "portio-wildcard-eventfd");
	try_test(b->board.ports, b->ports, 2, 5, 0x85, 0xfa, "portio-datamatch-eventfd");
}

static void only_the_wildcard_test_counts_any_value(void **state)
{
	struct bench *b = *state;

	for (unsigned test = 0; test < 3; test++) {
		bus_write(b->board.memory, b->memory, test, 1);
		bus_write(b->board.memory, b->memory + 0x800 + test, 1, 1);
		assert_int_equal(bus_read(b->board.memory, b->memory + 12, 4), test == 1);
	}
}

static void an_unknown_test_has_no_width_and_a_new_start_no_count(void **state)
{
	struct bench *b = *state;

	bus_write(b->board.memory, b->memory, 0, 1);
	bus_write(b->board.memory, b->memory + 0x800, 0xfa, 1);
	bus_write(b->board.memory, b->memory, 3, 1);
	for (unsigned i = 0; i < 64; i += 4)
		assert_int_equal(bus_read(b->board.memory, b->memory + i, 4), 0);
	bus_write(b->board.memory, b->memory, 0, 1);
	assert_int_equal(bus_read(b->board.memory, b->memory + 12, 4), 0);
	assert_int_equal(bus_read(b->board.ports, b->ports + 1, 1), 0);         /* it runs in the other BAR */
}

static void reset_stops_the_test(void **state)
{
	struct bench *b = *state;

	bus_write(b->board.memory, b->memory, 0, 1);
	state_reset_all(b->board.states);
	fake_board_start(&b->board);
	assert_int_equal(bus_read(b->board.memory, b->memory + 1, 1), 0);
}

static void bar_2_is_memory_with_nothing_behind_it(void **state)
{
	struct bench *b = *state;
	uint64_t at = (config_read(b, 0x18) & ~15u) | (uint64_t)config_read(b, 0x1c) << 32;

	bus_write(b->board.memory, at + 0xfff8, UINT64_MAX, 8);
	assert_int_equal(bus_read(b->board.memory, at + 0xfff8, 8), 0);
	assert_int_equal(bus_read(b->board.memory, at, 1), 0);
}

static void a_size_that_cannot_be_is_refused(void **state)
{
	struct bench *b = *state;
	struct pci_testdev_config c = { .pci = b->board.pci, .devfn = -1, .membar = 2048 };
	struct err err;

	assert_null(pci_testdev_new(&c, &err));
	assert_string_equal(err.text, "membar is a power of two of at least 4096");
	c.membar = 12288;
	assert_null(pci_testdev_new(&c, &err));
	c = (struct pci_testdev_config){ .pci = b->board.pci, .devfn = DEVFN };
	assert_null(pci_testdev_new(&c, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_qemus_function, setup, teardown),
		cmocka_unit_test_setup_teardown(each_bar_has_three_tests_and_counts_their_stores, setup, teardown),
		cmocka_unit_test_setup_teardown(only_the_wildcard_test_counts_any_value, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unknown_test_has_no_width_and_a_new_start_no_count, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_stops_the_test, setup, teardown),
		cmocka_unit_test_setup_teardown(bar_2_is_memory_with_nothing_behind_it, setup, teardown),
		cmocka_unit_test_setup_teardown(a_size_that_cannot_be_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
