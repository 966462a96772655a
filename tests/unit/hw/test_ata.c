/* SPDX-License-Identifier: MIT */
#include "tests/unit/hw/ide_bench.h"

#include <errno.h>

static void read_block(struct bench *b, uint8_t *buf, unsigned len, unsigned width)
{
	for (unsigned i = 0; i < len; i += width) {
		uint32_t v = (uint32_t)bus_read(b->ports, 0x1f0, width);

		memcpy(buf + i, &v, width);
	}
}

static void identify(struct bench *b, uint8_t *buf)
{
	out(b, 0x1f6, 0);
	out(b, 0x1f7, 0xec);
	assert_int_equal(status(b), 0x58);
	read_block(b, buf, 512, 2);
	assert_int_equal(status(b), 0x50);
}

static void reset_leaves_the_signature_of_a_disk(void **state)
{
	struct bench *b = *state;

	out(b, 0x1f4, 0x77);
	soft_reset(b);
	assert_int_equal(status(b), 0x50);
	assert_int_equal(in(b, 0x1f1), 1);
	assert_int_equal(in(b, 0x1f2), 1);
	assert_int_equal(in(b, 0x1f3), 1);
	assert_int_equal(in(b, 0x1f4), 0);
	assert_int_equal(in(b, 0x1f5), 0);
	assert_int_equal(in(b, 0x1f6) & 0x1f, 0);
	assert_false(b->irq[0].level);
	out(b, 0x1f2, 0x55);                    /* how SeaBIOS and Linux look for drives */
	out(b, 0x1f3, 0xaa);
	assert_int_equal(in(b, 0x1f2), 0x55);
	assert_int_equal(in(b, 0x1f3), 0xaa);
	out(b, 0x1f6, 0x10);
	assert_int_equal(in(b, 0x1f2), 0);
	assert_int_equal(status(b), 0);
}

static void diagnostic_passes_and_interrupts(void **state)
{
	struct bench *b = *state;

	out(b, 0x1f7, 0x90);
	assert_true(b->irq[0].level);
	assert_int_equal(status(b), 0x50);
	assert_int_equal(in(b, 0x1f1), 1);
	assert_false(b->irq[0].level);
}

static void identify_describes_the_disk(void **state)
{
	struct bench *b = *state;
	uint8_t id[512], sum = 0;

	out(b, 0x1f6, 0);
	out(b, 0x1f7, 0xec);
	assert_true(b->irq[0].level);
	assert_int_equal(in(b, 0x3f6), 0x58);
	assert_true(b->irq[0].level);           /* alternate status does not acknowledge */
	assert_int_equal(status(b), 0x58);
	assert_false(b->irq[0].level);
	read_block(b, id, 512, 4);
	assert_false(b->irq[0].level);
	assert_int_equal(le16(id), 0x0040);
	assert_int_equal(le16(id + 2), 20000 / 1008);
	assert_int_equal(le16(id + 6), 16);
	assert_int_equal(le16(id + 12), 63);
	assert_memory_equal(id + 54, "ETBNXOH RADDSI K", 16);
	assert_memory_equal(id + 20, "BT0000", 6);
	assert_int_equal(le32(id + 120), 20000);
	assert_int_equal(le64(id + 200), 20000);
	for (int i = 0; i < 512; i++)
		sum += id[i];
	assert_int_equal(sum, 0);
}

static void pio_read_gives_one_interrupt_a_sector(void **state)
{
	struct bench *b = *state;
	uint8_t buf[512];
	int before;

	command_lba28(b, 0x20, 300, 200);
	assert_int_equal(status(b), 0x80);
	before = b->irq[0].rises;
	for (unsigned n = 0; n < 200; n++) {
		fake_disk_run(&b->hd);
		assert_true(b->irq[0].level);
		assert_int_equal(status(b), 0x58);
		read_block(b, buf, 512, n % 2 ? 2 : 4);
		assert_memory_equal(buf, b->hd.data + (300 + n) * 512, 512);
	}
	assert_int_equal(b->irq[0].rises - before, 200);
	assert_int_equal(status(b), 0x50);
	assert_int_equal(b->hd.requests, 2);    /* 128 + 72 sectors */
	assert_int_equal(in(b, 0x1f3) | in(b, 0x1f4) << 8, 499);
}

static void read_multiple_moves_blocks(void **state)
{
	struct bench *b = *state;
	uint8_t buf[16 * 512];
	int before = 0;

	out(b, 0x1f2, 8);
	out(b, 0x1f7, 0xc6);
	assert_int_equal(status(b), 0x50);
	before = b->irq[0].rises;
	command_lba28(b, 0xc4, 0, 11);
	fake_disk_run(&b->hd);
	assert_int_equal(status(b), 0x58);
	read_block(b, buf, 8 * 512, 4);
	assert_memory_equal(buf, b->hd.data, 8 * 512);
	assert_int_equal(status(b), 0x58);
	read_block(b, buf, 3 * 512, 4);
	assert_int_equal(status(b), 0x50);
	assert_int_equal(b->irq[0].rises - before, 2);
	out(b, 0x1f2, 3);
	out(b, 0x1f7, 0xc6);                    /* no power of two */
	assert_int_equal(status(b), 0x51);
	out(b, 0x1f2, 0);
	out(b, 0x1f7, 0xc6);
	command_lba28(b, 0xc4, 0, 1);
	assert_int_equal(status(b), 0x51);
	assert_int_equal(in(b, 0x1f1), 4);
}

static void pio_write_interrupts_after_each_block_and_reaches_the_disk(void **state)
{
	struct bench *b = *state;
	uint8_t want[3 * 512];

	command_lba28(b, 0x30, 7, 3);
	assert_int_equal(in(b, 0x3f6), 0x58);
	assert_false(b->irq[0].level);          /* the first block is asked for without one */
	for (unsigned i = 0; i < sizeof(want); i++)
		want[i] = (uint8_t)(i * 5 + 1);
	for (unsigned n = 0; n < 3; n++) {
		assert_int_equal(status(b), 0x58);
		for (unsigned i = 0; i < 512; i += 2)
			bus_write(b->ports, 0x1f0, le16(want + n * 512 + i), 2);
		if (n < 2)
			assert_true(b->irq[0].level);
	}
	assert_int_equal(status(b), 0x80);
	fake_disk_run(&b->hd);
	assert_true(b->irq[0].level);
	assert_int_equal(status(b), 0x50);
	assert_memory_equal(b->hd.data + 7 * 512, want, sizeof(want));
}

static void the_48_bit_commands_use_both_contents_of_the_registers(void **state)
{
	struct bench *b = *state;
	uint8_t buf[512];

	command_lba48(b, 0x24, 19999, 1);
	fake_disk_run(&b->hd);
	read_block(b, buf, 512, 4);
	assert_memory_equal(buf, b->hd.data + 19999 * 512, 512);
	assert_int_equal(status(b), 0x50);
	command_lba48(b, 0x24, 0x0100000000ull, 1);
	assert_int_equal(status(b), 0x51);
	assert_int_equal(in(b, 0x1f1), 0x10);
	command_lba48(b, 0x25, 1000, 0x0200);
	prd(b, 0, 0x10000, 0, false);
	prd(b, 1, 0x20000, 0, false);
	prd(b, 2, 0x30000, 0, false);
	prd(b, 3, 0x40000, 0, true);
	start_dma(b, true);
	fake_disk_run(&b->hd);
	assert_int_equal(status(b), 0x50);
	assert_memory_equal(b->ram + 0x10000, b->hd.data + 1000 * 512, 0x40000);
	assert_int_equal(b->hd.last_len, 0x40000);
	out(b, 0x1f7, 0x27);                    /* READ NATIVE MAX ADDRESS EXT */
	assert_int_equal(in(b, 0x1f3) | in(b, 0x1f4) << 8, 19999);
	command_lba48(b, 0x24, 0, 0x1234);
	out(b, 0x3f6, 0x80);
	assert_int_equal(in(b, 0x1f2), 0x12);
	out(b, 0x3f6, 0);
	assert_int_equal(in(b, 0x1f2), 0x34);
}

static void chs_follows_the_translation_that_the_host_set(void **state)
{
	struct bench *b = *state;
	uint8_t buf[512], id[512];

	out(b, 0x1f6, 0xa0 | 3);                /* cylinder 2, head 3, sector 4 */
	out(b, 0x1f2, 1);
	out(b, 0x1f3, 4);
	out(b, 0x1f4, 2);
	out(b, 0x1f5, 0);
	out(b, 0x1f7, 0x20);
	fake_disk_run(&b->hd);
	read_block(b, buf, 512, 4);
	assert_memory_equal(buf, b->hd.data + ((2 * 16 + 3) * 63 + 3) * 512, 512);

	out(b, 0x1f6, 0xa0 | 7);                /* 8 heads, 17 sectors */
	out(b, 0x1f2, 17);
	out(b, 0x1f7, 0x91);
	assert_int_equal(status(b), 0x50);
	identify(b, id);
	assert_int_equal(le16(id + 108), 20000 / 136);
	assert_int_equal(le16(id + 110), 8);
	assert_int_equal(le16(id + 112), 17);
	out(b, 0x1f6, 0xa0 | 3);
	out(b, 0x1f2, 1);
	out(b, 0x1f3, 4);
	out(b, 0x1f4, 2);
	out(b, 0x1f5, 0);
	out(b, 0x1f7, 0x20);
	fake_disk_run(&b->hd);
	read_block(b, buf, 512, 4);
	assert_memory_equal(buf, b->hd.data + ((2 * 8 + 3) * 17 + 3) * 512, 512);
	out(b, 0x1f3, 18);
	out(b, 0x1f7, 0x20);
	assert_int_equal(status(b), 0x51);
	assert_int_equal(in(b, 0x1f1), 0x10);
}

static void ranges_beyond_the_end_are_refused(void **state)
{
	struct bench *b = *state;
	static const uint8_t commands[] = { 0x20, 0x30, 0xc4, 0xc5, 0xc8, 0xca, 0x40 };

	for (unsigned i = 0; i < sizeof(commands); i++) {
		command_lba28(b, commands[i], 19999, 2);
		assert_int_equal(status(b), 0x51);
		assert_int_equal(in(b, 0x1f1), 0x10);
		command_lba28(b, commands[i], 0x0fffffff, 0);
		assert_int_equal(status(b), 0x51);
	}
	assert_null(b->hd.first);
}

static void host_errors_are_reported_where_they_happened(void **state)
{
	struct bench *b = *state;

	b->hd.error = EIO;
	b->hd.error_offset = 12 * 512;
	command_lba28(b, 0x20, 12, 1);
	fake_disk_run(&b->hd);
	assert_true(b->irq[0].level);
	assert_int_equal(status(b), 0x51);
	assert_int_equal(in(b, 0x1f1), 0x40);
	assert_int_equal(in(b, 0x1f3), 12);
	prd(b, 0, 0x20000, 512, true);
	command_lba28(b, 0xca, 12, 1);
	start_dma(b, false);
	fake_disk_run(&b->hd);
	assert_true(b->irq[0].level);
	assert_int_equal(status(b), 0x51);
	assert_int_equal(in(b, 0x1f1), 0x04);
	assert_int_equal(in(b, BM + 2), 4);
	b->hd.error_offset = UINT64_MAX;
	out(b, 0x1f7, 0xe7);
	fake_disk_run(&b->hd);
	assert_int_equal(status(b), 0x51);
}

static void a_read_only_disk_refuses_writes(void **state)
{
	struct bench *b = *state;

	b->hd.disk.read_only = true;
	command_lba28(b, 0x30, 0, 1);
	assert_int_equal(status(b), 0x51);
	command_lba28(b, 0xca, 0, 1);
	assert_int_equal(status(b), 0x51);
	assert_int_equal(in(b, 0x1f1), 4);
}

static void flush_waits_for_the_disk(void **state)
{
	struct bench *b = *state;

	out(b, 0x1f7, 0xe7);
	assert_int_equal(status(b), 0x80);
	fake_disk_run(&b->hd);
	assert_true(b->irq[0].level);
	assert_int_equal(status(b), 0x50);
	out(b, 0x1f7, 0xea);
	fake_disk_run(&b->hd);
	assert_int_equal(b->hd.flushes, 2);
}

static void small_commands_answer_as_documented(void **state)
{
	struct bench *b = *state;
	uint8_t id[512];
	static const struct { uint8_t command, features, count, status; } table[] = {
		{ 0x10, 0, 0, 0x50 }, { 0x70, 0, 0, 0x50 }, { 0x40, 0, 1, 0x50 }, { 0x00, 0, 0, 0x51 },
		{ 0xe0, 0, 0, 0x50 }, { 0xe1, 0, 0, 0x50 }, { 0xef, 0x02, 0, 0x50 }, { 0xef, 0x82, 0, 0x50 },
		{ 0xef, 0xaa, 0, 0x50 }, { 0xef, 0x55, 0, 0x50 }, { 0xef, 0x03, 0x0c, 0x50 },
		{ 0xef, 0x03, 0x45, 0x50 }, { 0xef, 0x03, 0x46, 0x51 }, { 0xef, 0x03, 0x23, 0x51 },
		{ 0xef, 0x42, 0, 0x51 }, { 0xb0, 0xd8, 0, 0x51 }, { 0xa0, 0, 0, 0x51 }, { 0xa1, 0, 0, 0x51 },
		{ 0x08, 0, 0, 0x51 }, { 0xf5, 0, 0, 0x51 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		out(b, 0x1f6, 0x40);
		out(b, 0x1f1, table[i].features);
		out(b, 0x1f2, table[i].count);
		out(b, 0x1f3, 1);
		out(b, 0x1f4, 0);
		out(b, 0x1f5, 0);
		out(b, 0x1f7, table[i].command);
		assert_true(b->irq[0].level);
		assert_int_equal(status(b), table[i].status);
		if (table[i].status & ERR)
			assert_int_equal(in(b, 0x1f1), 4);
	}
	identify(b, id);
	assert_int_equal(le16(id + 176), 0x3f | 1 << 13);       /* UDMA 5 as set above */
	assert_int_equal(le16(id + 170) & 0x60, 0);             /* cache and look-ahead off */
	out(b, 0x1f7, 0xe0);
	out(b, 0x1f7, 0xe5);
	assert_int_equal(in(b, 0x1f2), 0);
	out(b, 0x1f7, 0xe1);
	out(b, 0x1f7, 0xe5);
	assert_int_equal(in(b, 0x1f2), 0xff);
}

static void nien_keeps_the_line_low_but_the_condition_pending(void **state)
{
	struct bench *b = *state;

	out(b, 0x3f6, 2);
	out(b, 0x1f7, 0xe1);
	assert_false(b->irq[0].level);
	out(b, 0x3f6, 0);
	assert_true(b->irq[0].level);
	out(b, 0x1f6, 0x10);                    /* the other drive's INTRQ is not ours */
	assert_false(b->irq[0].level);
	out(b, 0x1f6, 0);
	assert_true(b->irq[0].level);
	out(b, 0x1f7, 0xe1);
	assert_int_equal(status(b), 0x50);
	assert_false(b->irq[0].level);
}

static void a_command_in_mid_transfer_ends_the_transfer(void **state)
{
	struct bench *b = *state;

	command_lba28(b, 0x30, 0, 2);
	bus_write(b->ports, 0x1f0, 0x1234, 2);
	out(b, 0x1f7, 0xe1);
	assert_int_equal(status(b), 0x50);
	bus_write(b->ports, 0x1f0, 0x1234, 2);
	assert_int_equal(bus_read(b->ports, 0x1f0, 2), 0);
	assert_null(b->hd.first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reset_leaves_the_signature_of_a_disk),
		TEST(diagnostic_passes_and_interrupts),
		TEST(identify_describes_the_disk),
		TEST(pio_read_gives_one_interrupt_a_sector),
		TEST(read_multiple_moves_blocks),
		TEST(pio_write_interrupts_after_each_block_and_reaches_the_disk),
		TEST(the_48_bit_commands_use_both_contents_of_the_registers),
		TEST(chs_follows_the_translation_that_the_host_set),
		TEST(ranges_beyond_the_end_are_refused),
		TEST(host_errors_are_reported_where_they_happened),
		TEST(a_read_only_disk_refuses_writes),
		TEST(flush_waits_for_the_disk),
		TEST(small_commands_answer_as_documented),
		TEST(nien_keeps_the_line_low_but_the_condition_pending),
		TEST(a_command_in_mid_transfer_ends_the_transfer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
