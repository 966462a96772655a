/* SPDX-License-Identifier: MIT */
/* The bus master and what the channels look like through it; the drives' commands: test_ata.c, test_atapi.c. */
#include "tests/unit/hw/ide_bench.h"

static void the_function_is_a_piix3s(void **state)
{
	struct bench *b = *state;

	assert_int_equal(pci_config_read(b->pci, 0, DEVFN, 0, 4), 0x70108086);
	assert_int_equal(pci_config_read(b->pci, 0, DEVFN, 8, 4), 0x01018000);
	assert_int_equal(pci_config_read(b->pci, 0, DEVFN, 0x20, 4), BM | 1);
	assert_int_equal(pci_config_read(b->pci, 0, DEVFN, 0x40, 4), 0x80008000);
	pci_config_write(b->pci, 0, DEVFN, 0x40, 0x1234, 2);
	assert_int_equal(pci_config_read(b->pci, 0, DEVFN, 0x40, 2), 0x1234);
	state_reset_all(b->states);
	assert_int_equal(pci_config_read(b->pci, 0, DEVFN, 0x40, 2), 0x8000);
}

static void dma_read_lands_in_memory_without_a_copy(void **state)
{
	struct bench *b = *state;

	prd(b, 0, 0x20000, 1024, false);
	prd(b, 1, 0x31000, 3072, true);
	command_lba28(b, 0xc8, 5, 8);
	assert_true(status(b) & BSY);
	start_dma(b, true);
	assert_int_equal(in(b, BM + 2), 1);
	fake_disk_run(&b->hd);
	assert_int_equal(b->hd.requests, 1);
	assert_true(b->irq[0].level);
	assert_int_equal(in(b, BM + 2), 4);     /* interrupt, no longer active */
	assert_int_equal(status(b), 0x50);
	assert_false(b->irq[0].level);
	for (unsigned i = 0; i < 1024; i++)
		assert_int_equal(b->ram[0x20000 + i], fake_disk_byte(5 * 512 + i));
	for (unsigned i = 0; i < 3072; i++)
		assert_int_equal(b->ram[0x31000 + i], fake_disk_byte(5 * 512 + 1024 + i));
	assert_int_equal(b->ram[0x31000 + 3072], 0);
	out(b, BM, 0);
	out(b, BM + 2, 4);
	assert_int_equal(in(b, BM + 2), 0);
}

static void dma_started_before_the_command_waits_for_it(void **state)
{
	struct bench *b = *state;

	prd(b, 0, 0x20000, 512, true);
	start_dma(b, true);
	assert_int_equal(in(b, BM + 2), 1);
	command_lba28(b, 0xc8, 1, 1);
	fake_disk_run(&b->hd);
	assert_int_equal(in(b, BM + 2), 4);
	assert_int_equal(b->ram[0x20000], fake_disk_byte(512));
}

static void dma_write_reaches_the_disk(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 0x10000; i++)
		b->ram[0x40000 + i] = (uint8_t)(i * 3 + i / 256);
	prd(b, 0, 0x40000, 0 /* 64 KB */, true);
	command_lba28(b, 0xca, 16, 128);
	start_dma(b, false);
	fake_disk_run(&b->hd);
	assert_int_equal(status(b), 0x50);
	assert_memory_equal(b->hd.data + 16 * 512, b->ram + 0x40000, 0x10000);
}

static void regions_that_split_sectors_are_put_together(void **state)
{
	struct bench *b = *state;

	prd(b, 0, 0x20000, 100, false);
	prd(b, 1, 0x21000, 700, false);
	prd(b, 2, 0x22002, 224, false);
	prd(b, 3, 0x23000, 2, false);
	prd(b, 4, 0x24000, 510, true);
	command_lba28(b, 0xc8, 2, 3);
	start_dma(b, true);
	fake_disk_run(&b->hd);
	assert_int_equal(in(b, BM + 2), 4);
	assert_int_equal(b->ram[0x20000 + 99], fake_disk_byte(1024 + 99));
	assert_int_equal(b->ram[0x21000 + 699], fake_disk_byte(1024 + 799));
	assert_int_equal(b->ram[0x22002 + 223], fake_disk_byte(1024 + 1023));
	assert_int_equal(b->ram[0x23000 + 1], fake_disk_byte(1024 + 1025));
	assert_int_equal(b->ram[0x24000 + 509], fake_disk_byte(1024 + 1535));
}

static void many_small_regions_need_several_requests(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 300; i++)      /* 2400 bytes in words: more pieces than one request has */
		prd(b, i, 0x20000 + i * 16, 8, false);
	prd(b, 300, 0x30000, 160, true);
	command_lba28(b, 0xc8, 0, 5);
	start_dma(b, true);
	fake_disk_run(&b->hd);
	assert_int_equal(in(b, BM + 2), 4);
	for (unsigned i = 0; i < 2400; i++)
		assert_int_equal(b->ram[0x20000 + i / 8 * 16 + i % 8], fake_disk_byte(i));
	assert_int_equal(b->ram[0x30000 + 159], fake_disk_byte(2559));
	assert_true(b->hd.requests > 1);
}

static void a_table_longer_than_the_transfer_stays_active(void **state)
{
	struct bench *b = *state;

	prd(b, 0, 0x20000, 4096, true);
	command_lba28(b, 0xc8, 0, 1);
	start_dma(b, true);
	fake_disk_run(&b->hd);
	assert_int_equal(in(b, BM + 2), 5);
}

static void a_table_too_short_leaves_the_drive_waiting_until_reset(void **state)
{
	struct bench *b = *state;

	prd(b, 0, 0x20000, 512, true);
	command_lba28(b, 0xc8, 0, 4);
	start_dma(b, true);
	fake_disk_run(&b->hd);
	assert_int_equal(in(b, BM + 2), 0);
	assert_true(status(b) & BSY);
	assert_false(b->irq[0].level);
	out(b, BM, 0);
	prd(b, 0, 0x21000, 1536, true);         /* another table: it goes on */
	start_dma(b, true);
	fake_disk_run(&b->hd);
	assert_int_equal(in(b, BM + 2), 4);
	assert_int_equal(b->ram[0x21000], fake_disk_byte(512));

	command_lba28(b, 0xc8, 0, 4);
	soft_reset(b);
	assert_int_equal(status(b), 0x50);
	command_lba28(b, 0x40, 0, 1);
	assert_int_equal(status(b), 0x50);
}

static void a_write_with_a_table_too_short_writes_whole_sectors_only(void **state)
{
	struct bench *b = *state;

	memset(b->ram + 0x20000, 0xee, 4096);
	prd(b, 0, 0x20000, 700, true);
	command_lba28(b, 0xca, 0, 2);
	start_dma(b, false);
	fake_disk_run(&b->hd);
	assert_true(status(b) & BSY);
	assert_int_equal(b->hd.data[0], 0xee);
	assert_int_equal(b->hd.data[512], fake_disk_byte(512));
}

static void descriptors_and_regions_outside_memory_hurt_nobody(void **state)
{
	struct bench *b = *state;

	prd(b, 0, 0xf0000000, 4096, true);
	command_lba28(b, 0xc8, 0, 8);
	start_dma(b, true);
	fake_disk_run(&b->hd);
	assert_int_equal(status(b), 0x50);
	out(b, BM, 0);
	prd(b, 0, RAM - 512, 4096, true);       /* runs off the end */
	command_lba28(b, 0xc8, 0, 8);
	start_dma(b, true);
	fake_disk_run(&b->hd);
	assert_int_equal(b->ram[RAM - 512], fake_disk_byte(0));
	out(b, BM, 0);
	bus_write(b->ports, BM + 4, 0xfffffffc, 4);
	command_lba28(b, 0xc8, 0, 8);
	out(b, BM, 9);
	fake_disk_run(&b->hd);
	assert_int_equal(in(b, BM + 2) & 3, 2);
	soft_reset(b);
	assert_int_equal(status(b), 0x50);
}

static void without_bus_mastering_the_engine_waits(void **state)
{
	struct bench *b = *state;

	pci_config_write(b->pci, 0, DEVFN, PCI_COMMAND, PCI_COMMAND_IO, 2);
	prd(b, 0, 0x20000, 512, true);
	command_lba28(b, 0xc8, 1, 1);
	start_dma(b, true);
	assert_int_equal(fake_disk_run(&b->hd), 0);
	assert_int_equal(in(b, BM + 2), 1);
	pci_config_write(b->pci, 0, DEVFN, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER, 2);
	fake_disk_run(&b->hd);
	assert_int_equal(in(b, BM + 2), 4);
	assert_int_equal(b->ram[0x20000], fake_disk_byte(512));
}

static void a_stopped_engine_can_be_started_again(void **state)
{
	struct bench *b = *state;

	prd(b, 0, 0x20000, 1024, true);
	command_lba28(b, 0xc8, 1, 2);
	start_dma(b, true);
	out(b, BM, 8);                          /* while the disk works */
	fake_disk_run(&b->hd);
	assert_int_equal(in(b, BM + 2), 0);
	assert_true(status(b) & BSY);
	prd(b, 0, 0x28000, 1024, true);
	start_dma(b, true);
	fake_disk_run(&b->hd);
	assert_int_equal(in(b, BM + 2), 4);
	assert_int_equal(b->ram[0x28000], fake_disk_byte(512));
	assert_int_equal(b->ram[0x28000 + 1023], fake_disk_byte(1024 + 511));
}

static void a_reset_while_the_disk_works_ends_when_the_disk_does(void **state)
{
	struct bench *b = *state;

	prd(b, 0, 0x20000, 512, true);
	command_lba28(b, 0xc8, 1, 1);
	start_dma(b, true);
	soft_reset(b);
	assert_int_equal(status(b), BSY);
	out(b, 0x1f7, 0xec);                    /* refused */
	fake_disk_run(&b->hd);
	assert_int_equal(status(b), 0x50);
	assert_false(b->irq[0].level);
	assert_int_equal(in(b, 0x1f2), 1);

	command_lba28(b, 0x20, 1, 1);
	state_reset_all(b->states);
	assert_int_equal(status(b), BSY);
	fake_disk_run(&b->hd);
	assert_int_equal(status(b), 0x50);
	assert_false(b->irq[0].level);
}

static void the_second_channel_is_its_own(void **state)
{
	struct bench *b = *state;

	assert_int_equal(in(b, 0x177), 0);      /* a CD, after reset */
	assert_int_equal(in(b, 0x174), 0x14);
	assert_int_equal(in(b, 0x175), 0xeb);
	out(b, 0x176, 0x10);
	assert_int_equal(in(b, 0x177), 0);      /* no slave */
	out(b, 0x172, 0x55);
	assert_int_equal(in(b, 0x172), 0);
	assert_int_equal(in(b, 0x376), 0);
	out(b, 0x176, 0);
	out(b, 0x177, 0xa1);
	assert_true(b->irq[1].level);
	assert_int_equal(in(b, BM + 10), 4);
	assert_int_equal(in(b, BM + 2), 0);
	assert_false(b->irq[0].level);
}

static void random_stores_keep_it_alive(void **state)
{
	struct bench *b = *state;
	uint32_t x = 4711;
	static const uint8_t likely[] = {
		0x20, 0x30, 0xc8, 0xca, 0xa0, 0x25, 0x35, 0xc4, 0xc5, 0xc6, 0x90, 0x08, 0xec, 0xa1,
	};

	for (unsigned i = 0; i < 64; i++)
		prd(b, i, 0x20000 + i * 0x1000, i * 77 & 0xffff, i % 8 == 7);
	for (int i = 0; i < 400000; i++) {
		unsigned port, value;

		x = x * 1664525 + 1013904223;
		value = x >> 16 & 0xff;
		port = (x & 0x100 ? 0x170 : 0x1f0) + (x >> 9) % 8;
		if (x % 16 == 1)
			port = BM + (x >> 9) % 16;
		else if (x % 64 == 2)
			port = x & 0x100 ? 0x376 : 0x3f6;
		else if (port % 8 == 7)
			value = likely[(x >> 16) % ARRAY_SIZE(likely)];
		else if (port % 8 == 6 || port % 8 == 3)
			value &= 0x5f;
		else if (port % 8 == 4 || port % 8 == 5)
			value = x % 32 == 0 ? value : 0;
		if (x & 0x80000000)
			bus_write(b->ports, port, port % 8 ? value : x >> 3, x & 0x200000 && port % 8 == 0 ? 4 : 1);
		else
			bus_read(b->ports, port, x & 0x400000 ? 2 : 1);
		if (x % 512 == 3) {
			fake_disk_run(&b->hd);
			fake_disk_run(&b->cd);
		}
		if (x % 8192 == 4)
			state_reset_all(b->states);
		if (x % 32768 == 5)
			pci_config_write(b->pci, 0, DEVFN, PCI_COMMAND, x >> 16 & 7, 2);
	}
	fake_disk_run(&b->hd);
	fake_disk_run(&b->cd);
	out(b, 0x3f6, 4);
	out(b, 0x3f6, 0);
	fake_disk_run(&b->hd);
	assert_int_equal(status(b), 0x50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_function_is_a_piix3s),
		TEST(dma_read_lands_in_memory_without_a_copy),
		TEST(dma_started_before_the_command_waits_for_it),
		TEST(dma_write_reaches_the_disk),
		TEST(regions_that_split_sectors_are_put_together),
		TEST(many_small_regions_need_several_requests),
		TEST(a_table_longer_than_the_transfer_stays_active),
		TEST(a_table_too_short_leaves_the_drive_waiting_until_reset),
		TEST(a_write_with_a_table_too_short_writes_whole_sectors_only),
		TEST(descriptors_and_regions_outside_memory_hurt_nobody),
		TEST(without_bus_mastering_the_engine_waits),
		TEST(a_stopped_engine_can_be_started_again),
		TEST(a_reset_while_the_disk_works_ends_when_the_disk_does),
		TEST(the_second_channel_is_its_own),
		TEST(random_stores_keep_it_alive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
