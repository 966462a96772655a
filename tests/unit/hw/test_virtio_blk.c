/* SPDX-License-Identifier: MIT */
/* The disk as its driver sees it, and what virtio.c does with rings that break the rules. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "hw/virtio_blk.h"
#include "tests/fake/fake_disk.h"
#include "tests/fake/fake_virtio.h"

enum { SIZE = 1 << 20, F_FLUSH = 9, F_CONFIG_WCE = 11, F_DISCARD = 13, F_WRITE_ZEROES = 14, F_INDIRECT = 28, F_EVENT_IDX = 29 };
#define BIT(n) ((uint64_t)1 << (n))
#define ALL (~(uint64_t)0)

struct bench {
	struct fake_board board;
	struct fake_disk disk;
	struct virtio_blk *blk;
	struct fake_virtio d;
	uint64_t pool, data;
};

static void start(struct bench *t, bool modern, uint64_t features)
{
	fake_virtio_start(&t->d, &t->board, virtio_blk_pci(t->blk), modern, modern, features, 1);
	t->pool = fake_virtio_alloc(&t->d, 128 * 32);
	t->data = fake_virtio_alloc(&t->d, 256 * 1024);
}

static struct bench *make(bool read_only)
{
	struct bench *t = calloc(1, sizeof(*t));
	struct virtio_blk_config c = { .name = "virtio-blk-pci", .serial = "S3R1AL", .devfn = -1 };
	struct err err;

	fake_board_init(&t->board);
	fake_disk_init(&t->disk, SIZE);
	t->disk.disk.read_only = read_only;
	c.pci = t->board.pci;
	c.clock = t->board.clock.clock;
	c.states = t->board.states;
	c.disk = &t->disk.disk;
	t->blk = virtio_blk_new(&c, &err);
	assert_non_null(t->blk);
	fake_board_start(&t->board);
	start(t, true, ALL);
	return t;
}

static int setup(void **state)
{
	*state = make(false);
	return 0;
}

static int setup_read_only(void **state)
{
	*state = make(true);
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	fake_disk_run(&t->disk);
	virtio_blk_free(t->blk);
	fake_board_free(&t->board);
	fake_disk_free(&t->disk);
	free(t);
	return 0;
}

static void run(struct bench *t)
{
	fake_board_run(&t->board);
	fake_disk_run(&t->disk);
	fake_board_run(&t->board);
}

/* Queues a request whose header and status stand in slot n; data is at `at`, in two pieces. */
static int request(struct bench *t, unsigned slot, uint32_t type, uint64_t sector, uint64_t at, uint32_t len, bool in)
{
	uint64_t header = t->pool + 32 * slot;
	struct fake_piece p[4] = { { header, 16, false }, { at, len / 2, in }, { at + len / 2, len - len / 2, in },
				   { header + 16, 1, true } };

	put_le32(t->board.ram + header, type);
	put_le64(t->board.ram + header + 8, sector);
	t->board.ram[header + 16] = 0xff;
	if (!len)
		p[1] = p[3];
	return fake_virtio_add(&t->d, 0, p, len ? 4 : 2, t->d.features & BIT(F_INDIRECT) && slot & 1);
}

/* One request, to its end; returns the status byte. */
static int do_request(struct bench *t, uint32_t type, uint64_t sector, uint32_t len, bool in, uint32_t *used)
{
	int head = request(t, 0, type, sector, t->data, len, in);

	assert_true(head >= 0);
	fake_virtio_kick(&t->d, 0);
	run(t);
	assert_int_equal(fake_virtio_take(&t->d, 0, used), head);
	return t->board.ram[t->pool + 16];
}

static void identity_is_qemus(void **state)
{
	struct bench *t = *state;
	const uint8_t *c = pci_config_bytes(virtio_blk_pci(t->blk));

	assert_int_equal(le32(c), 0x10011af4);
	assert_int_equal(le32(c + PCI_SUBSYS_VENDOR), 0x00021af4);
	assert_int_equal(le32(c + PCI_REVISION), 0x01000000);
}

static void capacity_and_geometry_are_shown(void **state)
{
	struct bench *t = *state;

	assert_int_equal(fake_virtio_config(&t->d, 0, 4), SIZE / 512);
	assert_int_equal(fake_virtio_config(&t->d, 4, 4), 0);
	assert_int_equal(fake_virtio_config(&t->d, 20, 4), 512);
	assert_int_equal(fake_virtio_config(&t->d, 18, 1), 16);
	assert_int_equal(fake_virtio_config(&t->d, 19, 1), 63);
	start(t, false, ALL);
	assert_int_equal(fake_virtio_config(&t->d, 0, 4), SIZE / 512);
}

static void a_read_fills_memory(void **state)
{
	struct bench *t = *state;
	uint32_t used;

	for (int modern = 0; modern < 2; modern++) {
		start(t, modern, ALL);
		assert_int_equal(do_request(t, 0, 3, 4096, true, &used), 0);
		assert_int_equal(used, 4097);
		for (unsigned i = 0; i < 4096; i++)
			assert_int_equal(t->board.ram[t->data + i], fake_disk_byte(3 * 512 + i));
	}
}

static void a_write_reaches_the_disk_with_its_cache_mode(void **state)
{
	struct bench *t = *state;
	uint32_t used;

	memset(t->board.ram + t->data, 0xc7, 1024);
	assert_int_equal(do_request(t, 1, 8, 1024, false, &used), 0);
	assert_int_equal(used, 1);
	assert_int_equal(t->disk.data[8 * 512], 0xc7);
	assert_int_equal(t->disk.data[8 * 512 + 1023], 0xc7);
	assert_int_equal(t->disk.flushes, 0);
	bus_write(t->board.memory, t->d.bar + 0x2000 + 32, 0, 1);       /* write-through */
	assert_int_equal(do_request(t, 1, 8, 512, false, NULL), 0);
	assert_int_equal(t->disk.flushes, 1);
	start(t, true, ALL & ~(BIT(F_FLUSH) | BIT(F_CONFIG_WCE)));
	assert_int_equal(do_request(t, 1, 8, 512, false, NULL), 0);
	assert_int_equal(t->disk.flushes, 2);
	start(t, true, ALL);
	assert_int_equal(do_request(t, 4, 0, 0, false, NULL), 0);
	assert_int_equal(t->disk.flushes, 3);
}

static void the_serial_is_the_id(void **state)
{
	struct bench *t = *state;
	uint32_t used;

	memset(t->board.ram + t->data, 0xee, 32);
	assert_int_equal(do_request(t, 8, 0, 20, true, &used), 0);
	assert_int_equal(used, 21);
	assert_memory_equal(t->board.ram + t->data, "S3R1AL\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	assert_int_equal(t->board.ram[t->data + 20], 0xee);
}

static void ranges_are_discarded_and_zeroed(void **state)
{
	struct bench *t = *state;
	uint8_t *range = t->board.ram + t->data;

	put_le64(range, 10);
	put_le32(range + 8, 2);
	put_le32(range + 12, 0);
	assert_int_equal(do_request(t, 13, 0, 16, false, NULL), 0);
	assert_int_equal(t->disk.data[10 * 512 + 5], 0);
	assert_int_equal(t->disk.data[12 * 512 + 5], fake_disk_byte(12 * 512 + 5));
	put_le32(range + 12, 1);
	assert_int_equal(do_request(t, 13, 0, 16, false, NULL), 0);
	assert_int_equal(do_request(t, 11, 0, 16, false, NULL), 2);     /* unmap means nothing in a discard */
	put_le32(range + 12, 0);
	assert_int_equal(do_request(t, 11, 0, 16, false, NULL), 0);
	put_le64(range, SIZE / 512 - 1);
	assert_int_equal(do_request(t, 11, 0, 16, false, NULL), 1);
	put_le64(range, UINT64_MAX);
	put_le32(range + 8, UINT32_MAX);
	assert_int_equal(do_request(t, 13, 0, 16, false, NULL), 1);
}

static void requests_out_of_range_or_of_odd_length_fail(void **state)
{
	struct bench *t = *state;

	assert_int_equal(do_request(t, 0, SIZE / 512, 512, true, NULL), 1);
	assert_int_equal(do_request(t, 0, SIZE / 512 - 1, 1024, true, NULL), 1);
	assert_int_equal(do_request(t, 0, UINT64_MAX, 512, true, NULL), 1);
	assert_int_equal(do_request(t, 0, UINT64_MAX / 512, 1024, true, NULL), 1);
	assert_int_equal(do_request(t, 0, 0, 511, true, NULL), 1);
	assert_int_equal(do_request(t, 99, 0, 512, true, NULL), 2);
	assert_int_equal(t->disk.requests, 0);
	t->disk.error = EIO;
	t->disk.error_offset = UINT64_MAX;
	assert_int_equal(do_request(t, 0, 0, 512, true, NULL), 1);
	t->disk.error = EOPNOTSUPP;
	assert_int_equal(do_request(t, 0, 0, 512, true, NULL), 2);
}

static void a_read_only_disk_refuses_writes(void **state)
{
	struct bench *t = *state;

	assert_true(fake_virtio_offered(&t->d) & BIT(5));
	assert_false(fake_virtio_offered(&t->d) & BIT(F_DISCARD));
	assert_int_equal(do_request(t, 1, 0, 512, false, NULL), 1);
	assert_int_equal(t->disk.data[0], fake_disk_byte(0));
	assert_int_equal(do_request(t, 0, 0, 512, true, NULL), 0);
}

static void memory_that_is_not_there_fails_the_request(void **state)
{
	struct bench *t = *state;
	struct fake_piece p[3] = { { t->pool, 16, false }, { 0x40000000, 512, true }, { t->pool + 16, 1, true } };

	put_le32(t->board.ram + t->pool, 0);
	put_le64(t->board.ram + t->pool + 8, 0);
	assert_true(fake_virtio_add(&t->d, 0, p, 3, false) >= 0);
	fake_virtio_kick(&t->d, 0);
	run(t);
	assert_true(fake_virtio_take(&t->d, 0, NULL) >= 0);
	assert_int_equal(t->board.ram[t->pool + 16], 1);
}

static void more_requests_than_it_holds_all_get_done(void **state)
{
	struct bench *t = *state;
	unsigned done = 0;

	start(t, true, ALL & ~BIT(F_INDIRECT));
	for (unsigned round = 0; round < 5; round++) {
		unsigned n = 0;

		while (n < 128 && request(t, n, 0, n, t->data + 512 * n, 512, true) >= 0)
			n++;
		assert_true(n == 64);
		fake_virtio_kick(&t->d, 0);
		run(t);
		run(t);
		while (fake_virtio_take(&t->d, 0, NULL) >= 0)
			done++;
		assert_int_equal(done, 64 * (round + 1));
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(t->board.ram[t->data + 512 * i + 7], fake_disk_byte(512 * i + 7));
	}
	start(t, true, ALL);
	done = 0;
	for (unsigned n = 0; n < 100; n++)
		assert_true(request(t, n | 1, 0, n, t->data + 512 * n, 512, true) >= 0);
	fake_virtio_kick(&t->d, 0);
	run(t);
	while (fake_virtio_take(&t->d, 0, NULL) >= 0)
		done++;
	assert_int_equal(done, 100);
}

static void a_modern_reset_waits_for_what_is_under_way(void **state)
{
	struct bench *t = *state;

	assert_true(request(t, 0, 0, 0, t->data, 512, true) >= 0);
	fake_virtio_kick(&t->d, 0);
	fake_board_run(&t->board);
	fake_virtio_set_status(&t->d, 0);
	assert_int_not_equal(fake_virtio_status(&t->d), 0);
	fake_disk_run(&t->disk);
	assert_int_equal(fake_virtio_status(&t->d), 0);
	assert_int_equal(fake_virtio_take(&t->d, 0, NULL), -1);
	start(t, true, ALL);
	assert_int_equal(do_request(t, 0, 0, 512, true, NULL), 0);
}

static void a_legacy_reset_drops_what_is_under_way(void **state)
{
	struct bench *t = *state;

	start(t, false, ALL);
	assert_true(request(t, 0, 0, 0, t->data, 512, true) >= 0);
	fake_virtio_kick(&t->d, 0);
	fake_board_run(&t->board);
	fake_virtio_set_status(&t->d, 0);
	assert_int_equal(fake_virtio_status(&t->d), 0);
	fake_disk_run(&t->disk);
	assert_int_equal(fake_virtio_take(&t->d, 0, NULL), -1);
	start(t, false, ALL);
	assert_int_equal(do_request(t, 0, 0, 512, true, NULL), 0);
}

static void a_new_capacity_interrupts(void **state)
{
	struct bench *t = *state;

	t->disk.disk.size = SIZE / 2;
	t->disk.disk.changed(t->disk.disk.owner);
	assert_int_equal(t->board.msi[0], 1);
	assert_int_equal(fake_virtio_config(&t->d, 0, 4), SIZE / 1024);
	assert_int_equal(do_request(t, 0, SIZE / 1024, 512, true, NULL), 1);
}

/* --- rings that break the rules: the device says NEEDS_RESET, stops, and works again after one ------------------ */

static void put_desc(struct bench *t, unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	uint8_t *desc = t->board.ram + t->d.ring[0].desc + 16 * i;

	put_le64(desc, addr);
	put_le32(desc + 8, len);
	put_le16(desc + 12, flags);
	put_le16(desc + 14, next);
}

static void offer(struct bench *t, uint16_t head, uint16_t idx)
{
	uint8_t *avail = t->board.ram + t->d.ring[0].avail;

	put_le16(avail + 4 + 2 * (t->d.ring[0].added % t->d.ring[0].size), head);
	put_le16(avail + 2, idx);
	bus_write(t->board.memory, t->d.bar + 0x3000, 0, 2);
	run(t);
}

static void expect_broken(struct bench *t)
{
	unsigned interrupts = t->board.msi[0];

	assert_int_equal(fake_virtio_status(&t->d) & 64, 64);
	assert_true(interrupts > 0);
	bus_write(t->board.memory, t->d.bar + 0x3000, 0, 2);
	run(t);
	assert_int_equal(t->board.msi[0], interrupts);
	assert_int_equal(fake_virtio_take(&t->d, 0, NULL), -1);
	start(t, true, ALL);
	assert_int_equal(fake_virtio_status(&t->d), 15);
	assert_int_equal(do_request(t, 0, 0, 512, true, NULL), 0);
}

static void a_loop_of_descriptors_breaks_it(void **state)
{
	struct bench *t = *state;

	put_desc(t, 0, t->pool, 16, 1, 1);
	put_desc(t, 1, t->pool, 16, 1, 0);
	offer(t, 0, 1);
	expect_broken(t);
}

static void a_head_or_next_beyond_the_table_breaks_it(void **state)
{
	struct bench *t = *state;

	offer(t, 256, 1);
	expect_broken(t);
	put_desc(t, 0, t->pool, 16, 1, 256);
	offer(t, 0, (uint16_t)(t->d.ring[0].added + 1));
	expect_broken(t);
}

static void an_index_ahead_of_the_ring_breaks_it(void **state)
{
	struct bench *t = *state;

	offer(t, 0, 257);
	expect_broken(t);
}

static void a_readable_piece_behind_a_writable_one_breaks_it(void **state)
{
	struct bench *t = *state;

	put_desc(t, 0, t->pool, 16, 1 | 2, 1);
	put_desc(t, 1, t->pool, 16, 0, 0);
	offer(t, 0, 1);
	expect_broken(t);
}

static void bad_indirect_tables_break_it(void **state)
{
	struct bench *t = *state;
	uint8_t *table = t->board.ram + t->data;

	put_desc(t, 0, t->data, 15, 4, 0);              /* not whole descriptors */
	offer(t, 0, 1);
	expect_broken(t);
	put_desc(t, 0, t->data, 0, 4, 0);
	offer(t, 0, (uint16_t)(t->d.ring[0].added + 1));
	expect_broken(t);
	put_desc(t, 0, t->data, 16, 4 | 1, 1);          /* chained on */
	offer(t, 0, (uint16_t)(t->d.ring[0].added + 1));
	expect_broken(t);
	put_le64(t->board.ram + t->data, t->data);      /* a table in a table */
	table = t->board.ram + t->data;
	put_le32(table + 8, 16);
	put_le16(table + 12, 4);
	put_desc(t, 0, t->data, 16, 4, 0);
	offer(t, 0, (uint16_t)(t->d.ring[0].added + 1));
	expect_broken(t);
	table = t->board.ram + t->data;
	put_le16(table + 12, 1);                        /* runs on past its end */
	put_le16(table + 14, 1);
	put_desc(t, 0, t->data, 16, 4, 0);
	offer(t, 0, (uint16_t)(t->d.ring[0].added + 1));
	expect_broken(t);
}

static void a_request_without_status_breaks_it(void **state)
{
	struct bench *t = *state;

	put_desc(t, 0, t->pool, 16, 0, 0);
	offer(t, 0, 1);
	expect_broken(t);
}

static void rings_where_no_memory_is_do_no_harm(void **state)
{
	struct bench *t = *state;
	uint64_t bar = t->d.bar;

	for (int which = 0; which < 3; which++) {
		fake_virtio_set_status(&t->d, 0);
		fake_virtio_set_status(&t->d, 11);
		bus_write(t->board.memory, bar + 0x16, 0, 2);
		for (int i = 0; i < 3; i++)
			bus_write(t->board.memory, bar + 0x20 + 8 * i, i == which ? 0x70000000 : 0x100000, 4);
		bus_write(t->board.memory, bar + 0x1c, 1, 2);
		fake_virtio_set_status(&t->d, 15);
		bus_write(t->board.memory, bar + 0x3000, 0, 2);
		run(t);
	}
	start(t, true, ALL);
	assert_int_equal(do_request(t, 0, 0, 512, true, NULL), 0);
}

static void impossible_queues_are_refused(void **state)
{
	struct bench *t = *state;
	uint64_t bar = t->d.bar;
	static const struct { uint16_t size; uint64_t desc, avail, used; } bad[] = {
		{ 3, 0x100000, 0x101000, 0x102000 }, { 512, 0x100000, 0x101000, 0x102000 }, { 0, 0x100000, 0x101000, 0x102000 },
		{ 8, 0x100008, 0x101000, 0x102000 }, { 8, 0x100000, 0x101001, 0x102000 }, { 8, 0x100000, 0x101000, 0x102002 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		fake_virtio_set_status(&t->d, 0);
		bus_write(t->board.memory, bar + 0x08, 1, 4);
		bus_write(t->board.memory, bar + 0x0c, 1, 4);   /* VERSION_1 */
		bus_write(t->board.memory, bar + 0x18, bad[i].size, 2);
		bus_write(t->board.memory, bar + 0x20, bad[i].desc, 4);
		bus_write(t->board.memory, bar + 0x28, bad[i].avail, 4);
		bus_write(t->board.memory, bar + 0x30, bad[i].used, 4);
		bus_write(t->board.memory, bar + 0x1c, 1, 2);
		assert_int_equal(bus_read(t->board.memory, bar + 0x1c, 2), 0);
		assert_int_equal(fake_virtio_status(&t->d) & 64, 64);
	}
	start(t, true, ALL);
	assert_int_equal(do_request(t, 0, 0, 512, true, NULL), 0);
}

static void features_that_were_not_offered_are_not_ok(void **state)
{
	struct bench *t = *state;

	fake_virtio_set_status(&t->d, 0);
	bus_write(t->board.memory, t->d.bar + 0x08, 0, 4);
	bus_write(t->board.memory, t->d.bar + 0x0c, 1 << 3, 4);
	fake_virtio_set_status(&t->d, 11);
	assert_int_equal(fake_virtio_status(&t->d), 3);
}

static void without_bus_mastering_nothing_moves(void **state)
{
	struct bench *t = *state;
	unsigned devfn = (unsigned)pci_devfn(virtio_blk_pci(t->blk));

	pci_config_write(t->board.pci, 0, devfn, PCI_COMMAND, 3, 2);
	assert_true(request(t, 0, 0, 0, t->data, 512, true) >= 0);
	fake_virtio_kick(&t->d, 0);
	run(t);
	assert_int_equal(t->disk.requests, 0);
	pci_config_write(t->board.pci, 0, devfn, PCI_COMMAND, 7, 2);
	fake_virtio_kick(&t->d, 0);
	bus_write(t->board.memory, t->d.bar + 0x3000, 0, 2);
	run(t);
	assert_int_equal(t->disk.requests, 1);
	assert_true(fake_virtio_take(&t->d, 0, NULL) >= 0);
}

static void interrupts_follow_the_event_index(void **state)
{
	struct bench *t = *state;

	start(t, true, ALL);
	for (unsigned i = 0; i < 4; i++)
		assert_true(request(t, i, 0, i, t->data, 512, true) >= 0);
	put_le16(t->board.ram + t->d.ring[0].avail + 4 + 2 * 256, 2);   /* used_event: the third */
	t->board.msi[1] = 0;
	fake_virtio_kick(&t->d, 0);
	run(t);
	assert_int_equal(t->board.msi[1], 1);
	start(t, true, ALL & ~BIT(F_EVENT_IDX));
	put_le16(t->board.ram + t->d.ring[0].avail, 1);                 /* NO_INTERRUPT */
	t->board.msi[1] = 0;
	assert_int_equal(do_request(t, 0, 0, 512, true, NULL), 0);
	assert_int_equal(t->board.msi[1], 0);
	put_le16(t->board.ram + t->d.ring[0].avail, 0);
	assert_int_equal(do_request(t, 0, 0, 512, true, NULL), 0);
	assert_int_equal(t->board.msi[1], 1);
}

static void indices_wrap(void **state)
{
	struct bench *t = *state;

	start(t, true, ALL & ~BIT(F_INDIRECT));
	for (unsigned i = 0; i < 70000; i++) {
		assert_true(request(t, 0, 0, i % 100, t->data, 512, true) >= 0);
		fake_virtio_kick(&t->d, 0);
		fake_clock_advance(&t->board.clock, 0);
		fake_disk_run(&t->disk);
		assert_true(fake_virtio_take(&t->d, 0, NULL) >= 0);
	}
	assert_int_equal(t->board.ram[t->data], fake_disk_byte(69999 % 100 * 512));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(identity_is_qemus),
		T(capacity_and_geometry_are_shown),
		T(a_read_fills_memory),
		T(a_write_reaches_the_disk_with_its_cache_mode),
		T(the_serial_is_the_id),
		T(ranges_are_discarded_and_zeroed),
		T(requests_out_of_range_or_of_odd_length_fail),
		cmocka_unit_test_setup_teardown(a_read_only_disk_refuses_writes, setup_read_only, teardown),
		T(memory_that_is_not_there_fails_the_request),
		T(more_requests_than_it_holds_all_get_done),
		T(a_modern_reset_waits_for_what_is_under_way),
		T(a_legacy_reset_drops_what_is_under_way),
		T(a_new_capacity_interrupts),
		T(a_loop_of_descriptors_breaks_it),
		T(a_head_or_next_beyond_the_table_breaks_it),
		T(an_index_ahead_of_the_ring_breaks_it),
		T(a_readable_piece_behind_a_writable_one_breaks_it),
		T(bad_indirect_tables_break_it),
		T(a_request_without_status_breaks_it),
		T(rings_where_no_memory_is_do_no_harm),
		T(impossible_queues_are_refused),
		T(features_that_were_not_offered_are_not_ok),
		T(without_bus_mastering_nothing_moves),
		T(interrupts_follow_the_event_index),
		T(indices_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
