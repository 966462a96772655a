/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "hw/bus.h"

/* A device that remembers its last access and answers with its offset in every byte. */
struct probe {
	uint64_t offset, value;
	unsigned size, reads, writes;
	char trace[256];
};

static uint64_t probe_read(void *dev, uint64_t offset, unsigned size)
{
	struct probe *p = dev;
	uint64_t v = 0;

	p->reads++;
	p->offset = offset;
	p->size = size;
	for (unsigned i = 0; i < size; i++)
		v |= (offset + i) << (8 * i);
	return v;
}

static void probe_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct probe *p = dev;

	snprintf(p->trace + strlen(p->trace), sizeof(p->trace) - strlen(p->trace), "%x:%x/%u ", (unsigned)offset,
		 (unsigned)value, size);
	p->writes++;
	p->offset = offset;
	p->value = value;
	p->size = size;
}

static bool probe_doorbell(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	if (offset >= 8)
		return false;
	probe_write(dev, offset, value, size);
	return true;
}

static const struct io_ops bytes = { probe_read, probe_write, .max_size = 1 };
static const struct io_ops words = { probe_read, probe_write, .min_size = 4, .max_size = 4 };
static const struct io_ops any = { probe_read, probe_write, .max_size = 8, .doorbell = probe_doorbell };
static const struct io_ops vga = { probe_read, probe_write, .max_size = 8, .dma = true };

struct bench {
	struct bus *mem, *io;
	struct probe a, b;
	uint8_t *ram;
	unsigned remaps;
	uint64_t code_addr[8];
	size_t code_len[8];
	unsigned codes;
};

static void remapped(void *owner)
{
	((struct bench *)owner)->remaps++;
}

static void code_written(void *owner, uint64_t addr, size_t len)
{
	struct bench *t = owner;

	t->code_addr[t->codes % 8] = addr;
	t->code_len[t->codes++ % 8] = len;
}

enum { RAM = 64 * 4096 };

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));

	t->mem = bus_new(BUS_MEMORY);
	t->io = bus_new(BUS_PORTS);
	t->ram = aligned_alloc(4096, RAM);
	for (size_t i = 0; i < RAM; i++)
		t->ram[i] = (uint8_t)(i * 7 + i / 4096);
	bus_listen(t->mem, &(struct bus_listener){ remapped, code_written, t });
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	bus_free(t->mem);
	bus_free(t->io);
	free(t->ram);
	free(t);
	return 0;
}

static void nothing_answers_with_all_ones(void **state)
{
	struct bench *t = *state;

	assert_int_equal(bus_read(t->io, 0x80, 1), 0xff);
	assert_int_equal(bus_read(t->io, 0xffff, 2), 0xffff);
	assert_int_equal(bus_read(t->mem, 0xfee00000, 4), 0xffffffff);
	assert_true(bus_read(t->mem, UINT64_MAX - 3, 8) == UINT64_MAX);
	bus_write(t->mem, 0x1234, 5, 8);
	bus_write(t->io, 0xffff, 5, 4);
}

static void wide_access_is_split_low_address_first(void **state)
{
	struct bench *t = *state;

	assert_true(bus_map(t->io, 0x300, 8, &bytes, &t->a, "a", NULL));
	bus_write(t->io, 0x302, 0x44332211, 4);
	assert_string_equal(t->a.trace, "2:11/1 3:22/1 4:33/1 5:44/1 ");
	assert_int_equal(bus_read(t->io, 0x304, 2), 0x0504);
}

static void narrow_access_is_widened(void **state)
{
	struct bench *t = *state;

	assert_true(bus_map(t->mem, 0xf0000000, 0x1000, &words, &t->a, "a", NULL));
	assert_int_equal(bus_read(t->mem, 0xf0000012, 1), 0x12);
	assert_int_equal(t->a.offset, 0x10);
	assert_int_equal(t->a.size, 4);
	assert_int_equal(bus_read(t->mem, 0xf0000013, 2), 0x1413);
	assert_true(bus_read(t->mem, 0xf0000010, 8) == 0x1716151413121110);
	bus_write(t->mem, 0xf0000021, 0x5a, 1);
	assert_string_equal(t->a.trace, "21:5a/4 ");
}

static void access_across_two_windows_reaches_both(void **state)
{
	struct bench *t = *state;

	assert_true(bus_map(t->io, 0x60, 1, &bytes, &t->a, "a", NULL));
	assert_true(bus_map(t->io, 0x61, 1, &bytes, &t->b, "b", NULL));
	bus_write(t->io, 0x60, 0xbbaa, 2);
	assert_string_equal(t->a.trace, "0:aa/1 ");
	assert_string_equal(t->b.trace, "0:bb/1 ");
	bus_unmap(t->io, 0x60);
	assert_int_equal(bus_read(t->io, 0x60, 2), 0x00ff);
}

static void the_first_of_two_overlapping_windows_stays(void **state)
{
	struct bench *t = *state;
	struct err e;

	assert_true(bus_map(t->mem, 0xf0000000, 0x1000, &any, &t->a, "first", NULL));
	assert_false(bus_map(t->mem, 0xf0000fff, 0x10, &any, &t->b, "second", &e));
	assert_non_null(strstr(e.text, "first"));
	assert_false(bus_map(t->mem, UINT64_MAX - 1, 0x10, &any, &t->b, "wraps", &e));
	assert_false(bus_map(t->io, 0xfff8, 0x10, &any, &t->b, "beyond", &e));
	bus_read(t->mem, 0xf0000fff, 1);
	assert_int_equal(t->a.reads, 1);
	bus_unmap(t->mem, 0xf0000800);          /* nothing begins there */
	bus_read(t->mem, 0xf0000fff, 1);
	assert_int_equal(t->a.reads, 2);
}

static void many_windows_are_all_found(void **state)
{
	struct bench *t = *state;

	for (unsigned i = 0; i < 100; i++)
		assert_true(bus_map(t->io, (i * 37 % 100) * 16, 8, &bytes, i % 2 ? &t->a : &t->b, "w", NULL));
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(bus_read(t->io, i * 16 + 7, 1), 7);
		assert_int_equal(bus_read(t->io, i * 16 + 8, 1), 0xff);
	}
	assert_int_equal(t->a.reads + t->b.reads, 100);
}

static void a_full_bus_refuses_politely(void **state)
{
	struct bench *t = *state;
	unsigned i;

	for (i = 0; i < 1000; i++)
		if (!bus_map(t->mem, 0xf0000000 + i * 0x1000, 0x1000, &any, &t->a, "w", NULL))
			break;
	assert_in_range(i, 200, 999);
	assert_int_equal(bus_read(t->mem, 0xf0000000 + 100 * 0x1000 + 5, 1), 5);
}

static void rom_reads_and_drops_stores(void **state)
{
	struct bench *t = *state;
	struct bus_page p;
	uint8_t was = t->ram[3];

	bus_map_ram(t->mem, 0xf0000, 0x4000, t->ram, BUS_ROM, "rom");
	assert_true(bus_page(t->mem, 0xf1000, &p));
	assert_ptr_equal(p.host, t->ram + 0x1000);
	assert_false(p.writable);
	bus_write(t->mem, 0xf0003, (uint8_t)~was, 1);
	assert_int_equal(bus_read(t->mem, 0xf0003, 1), was);
	assert_false(dma_write(t->mem, 0xf0000, "abcd", 4));
	assert_int_equal(t->ram[3], was);
}

static void a_later_map_replaces_the_pages_it_covers(void **state)
{
	struct bench *t = *state;
	struct bus_page p;

	bus_map_ram(t->mem, 0x10000, 16 * 4096, t->ram, BUS_RAM, "low");
	bus_map_ram(t->mem, 0x14000, 2 * 4096, t->ram + 32 * 4096, BUS_ROM, "shadow");
	assert_true(bus_page(t->mem, 0x13000, &p) && p.host == t->ram + 3 * 4096 && p.writable);
	assert_true(bus_page(t->mem, 0x15000, &p) && p.host == t->ram + 33 * 4096 && !p.writable);
	assert_true(bus_page(t->mem, 0x16000, &p) && p.host == t->ram + 6 * 4096 && p.writable);
	bus_map_ram(t->mem, 0x14000, 2 * 4096, t->ram + 4 * 4096, BUS_RAM, "low");
	assert_true(bus_page(t->mem, 0x15000, &p) && p.host == t->ram + 5 * 4096 && p.writable);
	bus_unmap_ram(t->mem, 0x12000, 4096);
	assert_false(bus_page(t->mem, 0x12000, &p));
	assert_int_equal(bus_read(t->mem, 0x12ffe, 4), 0xffff | (uint32_t)le16(t->ram + 3 * 4096) << 16);
	assert_true(t->remaps >= 4);
}

static void a_window_wins_over_memory(void **state)
{
	struct bench *t = *state;
	struct bus_page p;

	bus_map_ram(t->mem, 0, RAM, t->ram, BUS_RAM, "ram");
	assert_true(bus_map(t->mem, 0x5800, 0x10, &any, &t->a, "w", NULL));
	assert_true(bus_page(t->mem, 0x4000, &p));
	assert_false(bus_page(t->mem, 0x5000, &p));
	assert_true(bus_page(t->mem, 0x6000, &p));
	assert_int_equal(bus_read(t->mem, 0x5808, 1), 8);
	assert_int_equal(bus_read(t->mem, 0x57fe, 4), (uint64_t)le16(t->ram + 0x57fe) | 0x01000000);
	bus_unmap(t->mem, 0x5800);
	assert_true(bus_page(t->mem, 0x5000, &p) && p.host == t->ram + 0x5000);
}

static void dma_crosses_segments_and_reports_holes(void **state)
{
	struct bench *t = *state;
	uint8_t buf[0x3000], want[0x3000];

	bus_map_ram(t->mem, 0x1000, 0x1000, t->ram, BUS_RAM, "a");
	bus_map_ram(t->mem, 0x2000, 0x1000, t->ram + 0x8000, BUS_RAM, "b");
	assert_true(dma_read(t->mem, 0x1000, buf, 0x2000));
	assert_memory_equal(buf, t->ram, 0x1000);
	assert_memory_equal(buf + 0x1000, t->ram + 0x8000, 0x1000);
	assert_false(dma_read(t->mem, 0x800, buf, 0x3000));
	memset(want, 0xff, sizeof(want));
	memcpy(want + 0x800, t->ram, 0x1000);
	memcpy(want + 0x1800, t->ram + 0x8000, 0x1000);
	assert_memory_equal(buf, want, 0x3000);
	memset(buf, 0x5a, sizeof(buf));
	assert_false(dma_write(t->mem, 0x2800, buf, 0x3000));
	assert_int_equal(t->ram[0x8fff], 0x5a);
	assert_int_equal(t->ram[0x87ff], (uint8_t)(0x87ff * 7 + 8));
	assert_false(dma_read(t->mem, UINT64_MAX - 4, buf, 16));
	assert_false(dma_write(t->mem, UINT64_MAX - 4, buf, 16));
	assert_true(dma_write(t->mem, 0x1000, buf, 0));
}

static void dma_reaches_only_windows_that_take_it(void **state)
{
	struct bench *t = *state;
	uint8_t buf[16];

	assert_true(bus_map(t->mem, 0xa0000, 0x20000, &vga, &t->a, "vga", NULL));
	assert_true(bus_map(t->mem, 0xf0000000, 0x1000, &any, &t->b, "e1000", NULL));
	assert_true(dma_read(t->mem, 0xa0001, buf, 2));
	assert_int_equal(buf[0], 1);
	assert_true(dma_write(t->mem, 0xa0001, buf, 2));
	assert_int_equal(t->a.writes, 2);
	assert_false(dma_write(t->mem, 0xf0000000, buf, 4));
	assert_false(dma_read(t->mem, 0xf0000000, buf, 4));
	assert_int_equal(buf[3], 0xff);
	assert_int_equal(t->b.reads + t->b.writes, 0);
}

static void a_terabyte_of_dma_to_nowhere_takes_no_time(void **state)
{
	struct bench *t = *state;

	assert_false(dma_write(t->mem, 0x1000000, NULL, (size_t)1 << 40));
}

static void dma_map_gives_merged_pieces_of_ram_only(void **state)
{
	struct bench *t = *state;
	struct iovec v[4];

	bus_map_ram(t->mem, 0x1000, 0x1000, t->ram, BUS_RAM, "a");
	bus_map_ram(t->mem, 0x2000, 0x1000, t->ram + 0x1000, BUS_RAM, "other name, same memory");
	bus_map_ram(t->mem, 0x3000, 0x1000, t->ram + 0x8000, BUS_RAM, "c");
	bus_map_ram(t->mem, 0x4000, 0x1000, t->ram + 0x9000, BUS_ROM, "d");
	assert_int_equal(dma_map(t->mem, 0x1800, 0x2000, v, 4), 2);
	assert_ptr_equal(v[0].iov_base, t->ram + 0x800);
	assert_int_equal(v[0].iov_len, 0x1800);
	assert_ptr_equal(v[1].iov_base, t->ram + 0x8000);
	assert_int_equal(v[1].iov_len, 0x800);
	assert_int_equal(dma_map(t->mem, 0x1800, 0x2000, v, 1), 0);
	assert_int_equal(dma_map(t->mem, 0x3800, 0x1000, v, 4), 0);
	assert_int_equal(dma_map(t->mem, 0x800, 0x1000, v, 4), 0);
	assert_int_equal(dma_map(t->mem, UINT64_MAX, 0x1000, v, 4), 0);
}

static void stores_of_bus_masters_into_code_are_reported_by_page(void **state)
{
	struct bench *t = *state;
	uint8_t buf[0x3000] = { 0 };

	bus_map_ram(t->mem, 0, RAM, t->ram, BUS_RAM, "ram");
	bus_mark_code(t->mem, 0x5123, true);
	assert_true(dma_write(t->mem, 0x6000, buf, 0x1000));
	assert_int_equal(t->codes, 0);
	assert_true(dma_write(t->mem, 0x4800, buf, 0x3000));
	assert_int_equal(t->codes, 1);
	assert_int_equal(t->code_addr[0], 0x5000);
	assert_int_equal(t->code_len[0], 0x1000);
	dma_dirty(t->mem, 0x5ff0, 0x100);
	assert_int_equal(t->codes, 2);
	assert_int_equal(t->code_len[1], 0x10);
	bus_mark_code(t->mem, 0x5000, false);
	assert_true(dma_write(t->mem, 0x5000, buf, 4));
	assert_int_equal(t->codes, 2);
}

static void doorbells_are_taken_without_the_slow_path(void **state)
{
	struct bench *t = *state;

	assert_true(bus_map(t->mem, 0xf0000000, 0x1000, &any, &t->a, "a", NULL));
	assert_true(bus_doorbell(t->mem, 0xf0000004, 0x77, 4));
	assert_string_equal(t->a.trace, "4:77/4 ");
	assert_false(bus_doorbell(t->mem, 0xf0000008, 0x77, 4));
	assert_false(bus_doorbell(t->mem, 0xf0001000, 0x77, 4));
	assert_false(bus_doorbell(t->mem, 0xf0000ffe, 0x77, 4));
	assert_false(bus_doorbell(t->io, 0x60, 0x77, 1));
}

static void count_line(void *to, const char *line)
{
	assert_non_null(strstr(line, "-"));
	++*(int *)to;
}

static void mtree_lists_every_mapping(void **state)
{
	struct bench *t = *state;
	int lines = 0;

	bus_map_ram(t->mem, 0, RAM, t->ram, BUS_RAM, "ram");
	assert_true(bus_map(t->mem, 0xf0000000, 0x1000, &any, &t->a, "a", NULL));
	bus_print(t->mem, count_line, &lines);
	assert_int_equal(lines, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_answers_with_all_ones),
		TEST(wide_access_is_split_low_address_first),
		TEST(narrow_access_is_widened),
		TEST(access_across_two_windows_reaches_both),
		TEST(the_first_of_two_overlapping_windows_stays),
		TEST(many_windows_are_all_found),
		TEST(a_full_bus_refuses_politely),
		TEST(rom_reads_and_drops_stores),
		TEST(a_later_map_replaces_the_pages_it_covers),
		TEST(a_window_wins_over_memory),
		TEST(dma_crosses_segments_and_reports_holes),
		TEST(dma_reaches_only_windows_that_take_it),
		TEST(a_terabyte_of_dma_to_nowhere_takes_no_time),
		TEST(dma_map_gives_merged_pieces_of_ram_only),
		TEST(stores_of_bus_masters_into_code_are_reported_by_page),
		TEST(doorbells_are_taken_without_the_slow_path),
		TEST(mtree_lists_every_mapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
