/* SPDX-License-Identifier: MIT */
/* One channel with two drives and no DMA: what both share.  Commands are in test_ata.c and test_atapi.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "hw/ide.h"
#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_disk.h"
#include "tests/fake/fake_irq.h"

enum { CMD = 0x1f0, STATUS = 0x1f7, CONTROL = 0x3f6 };

struct bench {
	struct fake_clock clock;
	struct fake_irq irq;
	struct fake_disk hd, cd;
	struct bus *ports;
	struct state_list *states;
	struct ide *ide;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	fake_clock_init(&b->clock);
	fake_disk_init(&b->hd, 1000 * 512);
	fake_disk_init(&b->cd, 100 * 2048);
	b->cd.disk.cdrom = true;
	b->ports = bus_new(BUS_PORTS);
	b->states = state_list_new();
	b->ide = ide_new(&(struct ide_config){
		.irq = fake_irq_line(&b->irq), .disk = { &b->hd.disk, &b->cd.disk }, .clock = b->clock.clock,
		.states = b->states });
	assert_true(bus_map(b->ports, CMD, 8, &ide_command_ops, b->ide, "ide", NULL));
	assert_true(bus_map(b->ports, CONTROL, 1, &ide_control_ops, b->ide, "ide-control", NULL));
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	fake_disk_run(&b->hd);
	fake_disk_run(&b->cd);
	ide_free(b->ide);
	state_list_free(b->states);
	bus_free(b->ports);
	fake_disk_free(&b->hd);
	fake_disk_free(&b->cd);
	fake_clock_free(&b->clock);
	free(b);
	return 0;
}

static unsigned in(struct bench *b, unsigned port)
{
	return (unsigned)bus_read(b->ports, port, 1);
}

static void out(struct bench *b, unsigned port, unsigned value)
{
	bus_write(b->ports, port, value, 1);
}

static void both_drives_take_the_registers_and_the_selected_one_answers(void **state)
{
	struct bench *b = *state;

	assert_int_equal(in(b, CMD + 4), 0);
	out(b, CMD + 6, 0x10);
	assert_int_equal(in(b, CMD + 6), 0xb0);
	assert_int_equal(in(b, CMD + 4), 0x14);
	assert_int_equal(in(b, CMD + 5), 0xeb);
	assert_int_equal(in(b, STATUS), 0);
	out(b, CMD + 3, 0x5a);
	assert_int_equal(in(b, CMD + 3), 0x5a);
	out(b, CMD + 6, 0);
	assert_int_equal(in(b, CMD + 3), 0x5a);
	assert_int_equal(in(b, STATUS), 0x50);
}

static void the_slave_keeps_its_interrupt_to_itself(void **state)
{
	struct bench *b = *state;

	out(b, CMD + 6, 0x10);
	out(b, STATUS, 0xa1);
	assert_true(b->irq.level);
	out(b, CMD + 6, 0);
	assert_false(b->irq.level);
	assert_int_equal(in(b, STATUS), 0x50);
	out(b, CMD + 6, 0x10);
	assert_true(b->irq.level);
	assert_int_equal(in(b, STATUS), 0x58);
	assert_false(b->irq.level);
}

static void data_belongs_to_the_drive_that_transfers(void **state)
{
	struct bench *b = *state;

	out(b, STATUS, 0xec);
	assert_int_equal(bus_read(b->ports, CMD, 2), 0x0040);
	out(b, CMD + 6, 0x10);
	assert_int_equal(bus_read(b->ports, CMD, 2), 0);
	out(b, CMD + 6, 0);
	assert_int_equal(bus_read(b->ports, CMD, 2), 1);        /* word 1: cylinders, at least one */
}

static void a_software_reset_is_for_both(void **state)
{
	struct bench *b = *state;

	out(b, CMD + 6, 0x10);
	out(b, STATUS, 0xa1);
	out(b, CONTROL, 4);
	assert_int_equal(in(b, STATUS), 0x80);
	assert_int_equal(in(b, CONTROL), 0x80);
	assert_false(b->irq.level);
	out(b, STATUS, 0xec);                   /* nobody listens */
	out(b, CONTROL, 0);
	assert_int_equal(in(b, STATUS), 0x50);  /* the master is selected */
	assert_int_equal(in(b, CMD + 1), 1);
	out(b, CMD + 6, 0x10);
	assert_int_equal(in(b, STATUS), 0);
	assert_int_equal(in(b, CMD + 5), 0xeb);
	assert_false(b->irq.level);
}

static void device_reset_is_for_one(void **state)
{
	struct bench *b = *state;

	out(b, CMD + 3, 0x77);
	out(b, CMD + 6, 0x10);
	out(b, STATUS, 0xa1);
	out(b, STATUS, 0x08);
	assert_int_equal(in(b, STATUS), 0);
	assert_int_equal(in(b, CMD + 3), 1);
	out(b, CMD + 6, 0);
	assert_int_equal(in(b, CMD + 3), 0x77);
}

static void while_one_drive_is_busy_the_registers_are_closed(void **state)
{
	struct bench *b = *state;

	out(b, CMD + 6, 0x40);
	out(b, CMD + 2, 1);
	out(b, CMD + 3, 3);
	out(b, STATUS, 0x20);
	assert_int_equal(in(b, CONTROL), 0x80);
	out(b, CMD + 3, 0x99);
	out(b, CMD + 6, 0x10);
	out(b, STATUS, 0xa1);
	fake_disk_run(&b->hd);
	assert_int_equal(in(b, STATUS), 0x58);
	assert_int_equal(in(b, CMD + 3), 3);
	assert_int_equal(bus_read(b->ports, CMD, 1), fake_disk_byte(3 * 512));
}

static void without_a_dma_engine_dma_commands_are_aborted(void **state)
{
	struct bench *b = *state;

	out(b, CMD + 6, 0x40);
	out(b, STATUS, 0xc8);
	assert_int_equal(in(b, STATUS), 0x51);
	assert_int_equal(in(b, CMD + 1), 4);
	out(b, CMD + 6, 0x10);
	out(b, CMD + 1, 1);
	out(b, STATUS, 0xa0);
	assert_int_equal(in(b, STATUS), 0x51);
}

static void the_data_port_takes_every_width(void **state)
{
	struct bench *b = *state;

	out(b, CMD + 6, 0x40);
	out(b, CMD + 2, 1);
	out(b, CMD + 3, 0);
	out(b, STATUS, 0x30);
	bus_write(b->ports, CMD, 0x11, 1);
	bus_write(b->ports, CMD, 0x3322, 2);
	for (unsigned i = 0; i < 127; i++)
		bus_write(b->ports, CMD, 0x77665544, 4);        /* the last one hangs over the end by three bytes */
	assert_int_equal(in(b, CONTROL), 0x58);
	bus_write(b->ports, CMD, 0x77665544, 4);
	assert_int_equal(in(b, CONTROL), 0x80);
	fake_disk_run(&b->hd);
	assert_int_equal(in(b, STATUS), 0x50);
	assert_int_equal(le32(b->hd.data), 0x44332211);
	assert_int_equal(b->hd.data[511], 0x44);
	assert_int_equal(b->hd.data[512], fake_disk_byte(512));
}

static void a_channel_outlives_its_disks(void **state)
{
	struct bench *b = *state;
	struct fake_disk *disk = malloc(sizeof(*disk));
	struct ide *ide;

	(void)state;
	fake_disk_init(disk, 4096);
	ide = ide_new(&(struct ide_config){
		.irq = fake_irq_line(&b->irq), .disk = { &disk->disk }, .clock = b->clock.clock, .instance = 1,
		.states = b->states });
	assert_true(bus_map(b->ports, 0x170, 8, &ide_command_ops, ide, "ide", NULL));
	out(b, 0x177, 0xe7);                    /* a request that nobody will do any more */
	assert_int_equal(in(b, 0x177), 0x80);
	fake_disk_free(disk);
	free(disk);
	bus_unmap(b->ports, 0x170);
	ide_free(ide);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_drives_take_the_registers_and_the_selected_one_answers),
		TEST(the_slave_keeps_its_interrupt_to_itself),
		TEST(data_belongs_to_the_drive_that_transfers),
		TEST(a_software_reset_is_for_both),
		TEST(device_reset_is_for_one),
		TEST(while_one_drive_is_busy_the_registers_are_closed),
		TEST(without_a_dma_engine_dma_commands_are_aborted),
		TEST(the_data_port_takes_every_width),
		TEST(a_channel_outlives_its_disks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
