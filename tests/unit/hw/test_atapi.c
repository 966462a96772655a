/* SPDX-License-Identifier: MIT */
#include "tests/unit/hw/ide_bench.h"

#include <errno.h>

static unsigned cd_status(struct bench *b)
{
	return in(b, 0x177);
}

/* Send a packet command; leaves the drive wherever that leads. */
static void packet(struct bench *b, const uint8_t cdb[12], bool dma, unsigned limit)
{
	out(b, 0x176, 0);
	out(b, 0x171, dma);
	out(b, 0x174, limit & 0xff);
	out(b, 0x175, limit >> 8);
	out(b, 0x177, 0xa0);
	assert_int_equal(in(b, 0x376), 0x58);
	assert_false(b->irq[1].level);
	assert_int_equal(in(b, 0x172), 1);
	for (unsigned i = 0; i < 12; i += 2)
		bus_write(b->ports, 0x170, le16(cdb + i), 2);
	fake_disk_run(&b->cd);
}

/* Take all data in, in the blocks the drive makes; returns the length. */
static unsigned take(struct bench *b, uint8_t *buf, unsigned room)
{
	unsigned len = 0;

	while (cd_status(b) & DRQ) {
		unsigned n = in(b, 0x174) | in(b, 0x175) << 8;

		assert_int_equal(in(b, 0x172), 2);
		assert_true(n > 0 && len + n <= room);
		for (unsigned i = 0; i < n; i += 2) {
			unsigned v = (unsigned)bus_read(b->ports, 0x170, 2);

			buf[len + i] = (uint8_t)v;
			if (i + 1 < n)
				buf[len + i + 1] = (uint8_t)(v >> 8);
		}
		len += n;
		fake_disk_run(&b->cd);
	}
	return len;
}

static unsigned run(struct bench *b, const uint8_t cdb[12], uint8_t *buf, unsigned room)
{
	packet(b, cdb, false, 0xfffe);
	return take(b, buf, room);
}

static void expect_sense(struct bench *b, unsigned key, unsigned asc)
{
	uint8_t sense[18];

	assert_int_equal(cd_status(b), 0x51);
	assert_int_equal(in(b, 0x171) >> 4, key);
	assert_int_equal(in(b, 0x172), 3);
	assert_int_equal(run(b, (uint8_t[12]){ 3, 0, 0, 0, 18 }, sense, sizeof(sense)), 18);
	assert_int_equal(cd_status(b), 0x50);
	assert_int_equal(sense[0], 0x70);
	assert_int_equal(sense[2], key);
	assert_int_equal(sense[12], asc);
}

/* Take the power-on unit attention away. */
static void become_ready(struct bench *b)
{
	packet(b, (uint8_t[12]){ 0 }, false, 0);
	expect_sense(b, 6, 0x29);
	packet(b, (uint8_t[12]){ 0 }, false, 0);
	assert_int_equal(cd_status(b), 0x50);
}

static void a_cd_drive_identifies_itself(void **state)
{
	struct bench *b = *state;
	uint8_t id[512];

	assert_int_equal(cd_status(b), 0);      /* no DRDY before the first command */
	out(b, 0x177, 0xec);
	assert_int_equal(cd_status(b), 0x51);
	assert_int_equal(in(b, 0x174), 0x14);
	assert_int_equal(in(b, 0x175), 0xeb);
	out(b, 0x177, 0xa1);
	assert_int_equal(cd_status(b), 0x58);
	for (unsigned i = 0; i < 512; i += 2)
		put_le16(id + i, (uint16_t)bus_read(b->ports, 0x170, 2));
	assert_int_equal(cd_status(b), 0x50);
	assert_int_equal(le16(id), 0x85c0);
	assert_memory_equal(id + 54, "ETBNXOD DVR-MO", 14);
	out(b, 0x177, 0x08);                    /* DEVICE RESET */
	assert_int_equal(cd_status(b), 0);
	assert_int_equal(in(b, 0x175), 0xeb);
}

static void power_on_is_told_once_and_inquiry_does_not_care(void **state)
{
	struct bench *b = *state;
	uint8_t buf[64];

	assert_int_equal(run(b, (uint8_t[12]){ 0x12, 0, 0, 0, 36 }, buf, sizeof(buf)), 36);
	assert_int_equal(buf[0], 5);
	assert_int_equal(buf[1], 0x80);
	assert_memory_equal(buf + 8, "TENBOX  DVD-ROM ", 16);
	become_ready(b);
}

static void read_10_gives_the_blocks_in_pieces_of_the_byte_count(void **state)
{
	struct bench *b = *state;
	static uint8_t buf[50 * 2048];
	int before;

	become_ready(b);
	before = b->irq[1].rises;
	packet(b, (uint8_t[12]){ 0x28, 0, 0, 0, 0, 16, 0, 0, 2 }, false, 2048);
	assert_int_equal(take(b, buf, sizeof(buf)), 4096);
	assert_int_equal(b->irq[1].rises - before, 3);  /* two blocks and the end */
	assert_memory_equal(buf, b->cd.data + 16 * 2048, 4096);
	packet(b, (uint8_t[12]){ 0xa8, 0, 0, 0, 0, 100, 0, 0, 0, 50 }, false, 0xffff);
	assert_int_equal(take(b, buf, sizeof(buf)), 50 * 2048);
	assert_memory_equal(buf, b->cd.data + 100 * 2048, 50 * 2048);
	packet(b, (uint8_t[12]){ 0xbe, 0, 0, 0, 0, 7, 0, 0, 1, 0x10 }, false, 1500);
	assert_int_equal(take(b, buf, sizeof(buf)), 2048);
	assert_memory_equal(buf, b->cd.data + 7 * 2048, 2048);
	packet(b, (uint8_t[12]){ 0x28 }, false, 2048);  /* no blocks */
	assert_int_equal(cd_status(b), 0x50);
}

static void reads_by_dma_go_to_memory(void **state)
{
	struct bench *b = *state;

	become_ready(b);
	prd(b, 0, 0x20000, 0x8000, false);
	prd(b, 1, 0x40000, 0x3000, true);
	packet(b, (uint8_t[12]){ 0x28, 0, 0, 0, 1, 0, 0, 0, 22 }, true, 0);
	out(b, BM + 8, 0);
	bus_write(b->ports, BM + 12, PRDS, 4);
	out(b, BM + 8, 9);
	fake_disk_run(&b->cd);
	assert_true(b->irq[1].level);
	assert_int_equal(in(b, BM + 10), 4);
	assert_int_equal(cd_status(b), 0x50);
	assert_int_equal(in(b, 0x172), 3);
	assert_memory_equal(b->ram + 0x20000, b->cd.data + 256 * 2048, 0x8000);
	assert_memory_equal(b->ram + 0x40000, b->cd.data + 256 * 2048 + 0x8000, 0x3000);
}

static void replies_go_by_dma_too(void **state)
{
	struct bench *b = *state;

	become_ready(b);
	prd(b, 0, 0x20000, 8, true);
	packet(b, (uint8_t[12]){ 0x25 }, true, 0);
	out(b, BM + 8, 0);
	out(b, BM + 10, 6);
	bus_write(b->ports, BM + 12, PRDS, 4);
	out(b, BM + 8, 9);
	assert_int_equal(in(b, BM + 10), 4);
	assert_int_equal(be32(b->ram + 0x20000), 999);
	assert_int_equal(be32(b->ram + 0x20004), 2048);
}

static void the_toc_is_one_data_track(void **state)
{
	struct bench *b = *state;
	uint8_t buf[64];

	become_ready(b);
	assert_int_equal(run(b, (uint8_t[12]){ 0x43, 0, 0, 0, 0, 0, 0, 0, 64 }, buf, sizeof(buf)), 20);
	assert_int_equal(be16(buf), 18);
	assert_int_equal(buf[5], 0x14);
	assert_int_equal(buf[14], 0xaa);
	assert_int_equal(be32(buf + 16), 1000);
	run(b, (uint8_t[12]){ 0x43, 2, 0, 0, 0, 0, 0xaa, 0, 64 }, buf, sizeof(buf));
	assert_int_equal(buf[9], 0);            /* 1150 frames: 0:15:25 */
	assert_int_equal(buf[10], 15);
	assert_int_equal(buf[11], 25);
	assert_int_equal(run(b, (uint8_t[12]){ 0x43, 0, 1, 0, 0, 0, 0, 0, 12 }, buf, sizeof(buf)), 12);
	assert_int_equal(be32(buf + 8), 0);
	assert_int_equal(run(b, (uint8_t[12]){ 0x43, 2, 2, 0, 0, 0, 0, 0, 64 }, buf, sizeof(buf)), 48);
	packet(b, (uint8_t[12]){ 0x43, 0, 5, 0, 0, 0, 0, 0, 64 }, false, 64);
	expect_sense(b, 5, 0x24);
}

static void errors_leave_the_right_sense(void **state)
{
	struct bench *b = *state;

	become_ready(b);
	packet(b, (uint8_t[12]){ 0x28, 0, 0, 0, 3, 0xe8, 0, 0, 1 }, false, 2048);
	expect_sense(b, 5, 0x21);
	packet(b, (uint8_t[12]){ 0xa8, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff }, false, 2048);
	expect_sense(b, 5, 0x21);
	packet(b, (uint8_t[12]){ 0x2a }, false, 2048);
	expect_sense(b, 5, 0x20);
	packet(b, (uint8_t[12]){ 0xbe, 0, 0, 0, 0, 0, 0, 0, 1, 0xf8 }, false, 2048);
	expect_sense(b, 5, 0x24);
	b->cd.error = EIO;
	b->cd.error_offset = UINT64_MAX;
	packet(b, (uint8_t[12]){ 0x28, 0, 0, 0, 0, 0, 0, 0, 1 }, false, 2048);
	expect_sense(b, 3, 0x11);
}

static void a_medium_change_is_told(void **state)
{
	struct bench *b = *state;
	uint8_t buf[8];

	become_ready(b);
	b->cd.disk.present = false;
	b->cd.disk.changed(b->cd.disk.owner);
	packet(b, (uint8_t[12]){ 0 }, false, 0);
	expect_sense(b, 2, 0x3a);
	run(b, (uint8_t[12]){ 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 }, buf, 8);
	assert_int_equal(buf[4], 3);
	assert_int_equal(buf[5], 1);            /* the tray is open */
	b->cd.disk.present = true;
	b->cd.disk.changed(b->cd.disk.owner);
	run(b, (uint8_t[12]){ 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 }, buf, 8);
	assert_int_equal(buf[2], 4);
	assert_int_equal(buf[4], 2);
	assert_int_equal(buf[5], 2);
	packet(b, (uint8_t[12]){ 0 }, false, 0);
	expect_sense(b, 6, 0x28);
	packet(b, (uint8_t[12]){ 0 }, false, 0);
	assert_int_equal(cd_status(b), 0x50);
	run(b, (uint8_t[12]){ 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 }, buf, 8);
	assert_int_equal(buf[4], 0);
}

static void the_tray_opens_unless_it_is_locked(void **state)
{
	struct bench *b = *state;

	become_ready(b);
	packet(b, (uint8_t[12]){ 0x1e, 0, 0, 0, 1 }, false, 0);
	assert_true(b->cd.disk.locked);
	packet(b, (uint8_t[12]){ 0x1b, 0, 0, 0, 2 }, false, 0);
	expect_sense(b, 5, 0x53);
	packet(b, (uint8_t[12]){ 0x1e }, false, 0);
	assert_false(b->cd.disk.locked);
	packet(b, (uint8_t[12]){ 0x1b, 0, 0, 0, 2 }, false, 0);
	assert_int_equal(cd_status(b), 0x50);
	assert_int_equal(b->cd.trays, 1);
	packet(b, (uint8_t[12]){ 0x25 }, false, 8);
	expect_sense(b, 2, 0x3a);
	packet(b, (uint8_t[12]){ 0x1b, 0, 0, 0, 3 }, false, 0);
	packet(b, (uint8_t[12]){ 0 }, false, 0);
	expect_sense(b, 6, 0x28);
	packet(b, (uint8_t[12]){ 0 }, false, 0);
	assert_int_equal(cd_status(b), 0x50);
}

static void the_drive_describes_what_it_can(void **state)
{
	struct bench *b = *state;
	uint8_t buf[512];
	unsigned len;

	become_ready(b);
	len = run(b, (uint8_t[12]){ 0x46, 0, 0, 0, 0, 0, 0, 2, 0 }, buf, sizeof(buf));
	assert_int_equal(be32(buf), len - 4);
	assert_int_equal(be16(buf + 6), 8);     /* a CD */
	assert_int_equal(be16(buf + 12), 0x10);
	assert_int_equal(buf[14], 0);
	assert_int_equal(be16(buf + 16), 8);
	assert_int_equal(buf[18], 1);
	assert_int_equal(run(b, (uint8_t[12]){ 0x46, 2, 0, 3, 0, 0, 0, 0, 255 }, buf, sizeof(buf)), 16);
	len = run(b, (uint8_t[12]){ 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255 }, buf, sizeof(buf));
	assert_int_equal(len, 30);
	assert_int_equal(be16(buf), 28);
	assert_int_equal(buf[8], 0x2a);
	assert_int_equal(run(b, (uint8_t[12]){ 0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255 }, buf, sizeof(buf)), 54);
	packet(b, (uint8_t[12]){ 0x5a, 0, 0x05, 0, 0, 0, 0, 0, 255 }, false, 255);
	expect_sense(b, 5, 0x24);
	assert_int_equal(run(b, (uint8_t[12]){ 0x51, 0, 0, 0, 0, 0, 0, 0, 34 }, buf, sizeof(buf)), 34);
	assert_int_equal(buf[2], 0x0e);
	assert_int_equal(run(b, (uint8_t[12]){ 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8 }, buf, sizeof(buf)), 8);
	assert_int_equal(run(b, (uint8_t[12]){ 0x52, 1, 0, 0, 0, 1, 0, 0, 36 }, buf, sizeof(buf)), 36);
	assert_int_equal(be32(buf + 24), 1000);
}

static void an_odd_allocation_length_is_honoured(void **state)
{
	struct bench *b = *state;
	uint8_t buf[64];

	assert_int_equal(run(b, (uint8_t[12]){ 0x12, 0, 0, 0, 5 }, buf, sizeof(buf)), 5);
	assert_int_equal(cd_status(b), 0x50);
	packet(b, (uint8_t[12]){ 0x12, 0, 0, 0, 0 }, false, 64);
	assert_int_equal(cd_status(b), 0x50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_cd_drive_identifies_itself),
		TEST(power_on_is_told_once_and_inquiry_does_not_care),
		TEST(read_10_gives_the_blocks_in_pieces_of_the_byte_count),
		TEST(reads_by_dma_go_to_memory),
		TEST(replies_go_by_dma_too),
		TEST(the_toc_is_one_data_track),
		TEST(errors_leave_the_right_sense),
		TEST(a_medium_change_is_told),
		TEST(the_tray_opens_unless_it_is_locked),
		TEST(the_drive_describes_what_it_can),
		TEST(an_odd_allocation_length_is_honoured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
