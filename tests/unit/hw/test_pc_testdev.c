/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/pc_testdev.h"
#include "tests/fake/fake_irq.h"

struct bench {
	struct bus *memory, *ports;
	struct fake_irq irq[PC_TESTDEV_IRQS];
	struct pc_testdev *dev;
};

static int setup(void **state)
{
	static struct bench b;
	struct pc_testdev_config c;

	memset(&b, 0, sizeof(b));
	b.memory = bus_new(BUS_MEMORY);
	b.ports = bus_new(BUS_PORTS);
	c = (struct pc_testdev_config){ .memory = b.memory, .ports = b.ports };
	for (int i = 0; i < PC_TESTDEV_IRQS; i++)
		c.irq[i] = fake_irq_line(&b.irq[i]);
	b.dev = pc_testdev_new(&c, NULL);
	*state = &b;
	return b.dev ? 0 : -1;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	pc_testdev_free(b->dev);
	bus_free(b->memory);
	bus_free(b->ports);
	return 0;
}

/* The values are those that QEMU 7.2 gave over qtest to the same accesses. */
static void the_register_keeps_what_is_stored_at_every_width(void **state)
{
	struct bench *b = *state;

	bus_write(b->ports, 0xe0, 0x11, 1);
	bus_write(b->ports, 0xe1, 0x22, 1);
	bus_write(b->ports, 0xe2, 0x4433, 2);
	assert_int_equal(bus_read(b->ports, 0xe0, 4), 0x44332211);
	assert_int_equal(bus_read(b->ports, 0xe3, 1), 0x44);
	bus_write(b->ports, 0xe0, 0xdeadbeef, 4);
	assert_int_equal(bus_read(b->ports, 0xe2, 1), 0xad);
	assert_int_equal(bus_read(b->ports, 0xe2, 2), 0xdead);
}

static void the_byte_window_is_the_same_register(void **state)
{
	struct bench *b = *state;

	bus_write(b->ports, 0xe8, 0x04030201, 4);
	assert_int_equal(bus_read(b->ports, 0xe9, 2), 0x0302);
	bus_write(b->ports, 0xe9, 0x77, 1);
	assert_int_equal(bus_read(b->ports, 0xe8, 4), 0x04037701);
	assert_int_equal(bus_read(b->ports, 0xe0, 4), 0x04037701);
}

static void flush_takes_any_address_and_reads_zero(void **state)
{
	struct bench *b = *state;

	bus_write(b->ports, 0xe4, 0xffffffff, 4);
	bus_write(b->ports, 0xe4, 0x1000, 4);
	assert_int_equal(bus_read(b->ports, 0xe4, 4), 0);
}

static void a_byte_drives_its_line(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < PC_TESTDEV_IRQS; i++) {
		bus_write(b->ports, 0x2000 + i, 1, 1);
		assert_true(b->irq[i].level);
		bus_write(b->ports, 0x2000 + i, 0, 1);
		assert_false(b->irq[i].level);
		assert_int_equal(b->irq[i].rises, 1);
	}
	bus_write(b->ports, 0x2005, 0x101, 2);          /* bytes only */
	bus_write(b->ports, 0x2017, 0x01010101, 4);     /* but one that crosses the end arrives in bytes */
	assert_false(b->irq[5].level);
	assert_false(b->irq[6].level);
	assert_int_equal(bus_read(b->ports, 0x2000, 4), 0);
}

static void its_memory_is_registers_of_every_width(void **state)
{
	struct bench *b = *state;
	struct bus_page page;

	bus_write(b->memory, 0xff000000, 0x12345678, 4);
	assert_int_equal(bus_read(b->memory, 0xff000001, 1), 0x56);
	assert_int_equal(bus_read(b->memory, 0xff000000, 8), 0x12345678);
	bus_write(b->memory, 0xff000008, 0x1122334455667788, 8);
	assert_true(bus_read(b->memory, 0xff000008, 8) == 0x1122334455667788);
	bus_write(b->memory, 0xff00fffe, 0x42, 1);
	assert_int_equal(bus_read(b->memory, 0xff00fffc, 4), 0x420000);
	bus_write(b->memory, 0xff00fffe, 0x04030201, 4);        /* its last bytes, and nothing behind them */
	assert_int_equal(bus_read(b->memory, 0xff00fffe, 2), 0x0201);
	assert_false(bus_page(b->memory, 0xff000000, &page) && page.host);
}

static void a_taken_port_is_refused_and_leaves_nothing(void **state)
{
	static const struct io_ops none;
	struct bus *memory = bus_new(BUS_MEMORY), *ports = bus_new(BUS_PORTS);
	struct err err;

	(void)state;
	assert_true(bus_map(ports, 0xe9, 1, &none, NULL, "debugcon", NULL));
	assert_null(pc_testdev_new(&(struct pc_testdev_config){ .memory = memory, .ports = ports }, &err));
	assert_false(bus_has_window(ports, 0xe0, 8));
	assert_false(bus_has_window(memory, 0xff000000, 0x10000));
	bus_free(memory);
	bus_free(ports);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_register_keeps_what_is_stored_at_every_width, setup, teardown),
		cmocka_unit_test_setup_teardown(the_byte_window_is_the_same_register, setup, teardown),
		cmocka_unit_test_setup_teardown(flush_takes_any_address_and_reads_zero, setup, teardown),
		cmocka_unit_test_setup_teardown(a_byte_drives_its_line, setup, teardown),
		cmocka_unit_test_setup_teardown(its_memory_is_registers_of_every_width, setup, teardown),
		cmocka_unit_test(a_taken_port_is_refused_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
