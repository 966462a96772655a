/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "hw/fw_cfg.h"

enum { RAM = 1 << 20, REQUEST = 0x1000, BUFFER = 0x2000 };

struct bench {
	struct bus *io, *mem;
	struct state_list *states;
	uint8_t *ram;
	struct fw_cfg *f;
	int lines;
};

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));

	t->io = bus_new(BUS_PORTS);
	t->mem = bus_new(BUS_MEMORY);
	t->states = state_list_new();
	t->ram = aligned_alloc(4096, RAM);
	memset(t->ram, 0xcc, RAM);
	bus_map_ram(t->mem, 0, RAM, t->ram, BUS_RAM, "ram");
	t->f = fw_cfg_new(&(struct fw_cfg_config){ t->io, t->mem, t->states });
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	fw_cfg_free(t->f);
	bus_free(t->io);
	bus_free(t->mem);
	state_list_free(t->states);
	free(t->ram);
	free(t);
	return 0;
}

static void select_key(struct bench *t, uint16_t key)
{
	bus_write(t->io, 0x510, key, 2);
}

static uint8_t byte(struct bench *t)
{
	return (uint8_t)bus_read(t->io, 0x511, 1);
}

/* Returns the control word after the transfer. */
static uint32_t dma(struct bench *t, uint32_t control, uint32_t len, uint64_t address)
{
	put_be32(t->ram + REQUEST, control);
	put_be32(t->ram + REQUEST + 4, len);
	put_be64(t->ram + REQUEST + 8, address);
	bus_write(t->io, 0x514, 0, 4);
	bus_write(t->io, 0x518, __builtin_bswap32(REQUEST), 4);
	return be32(t->ram + REQUEST);
}

static void firmware_finds_the_signature(void **state)
{
	struct bench *t = *state;

	select_key(t, FW_CFG_SIGNATURE);
	assert_int_equal(byte(t), 'Q');
	assert_int_equal(byte(t), 'E');
	assert_int_equal(byte(t), 'M');
	assert_int_equal(byte(t), 'U');
	assert_int_equal(byte(t), 0);
	select_key(t, FW_CFG_ID);
	assert_int_equal(byte(t), 3);
	assert_int_equal(bus_read(t->io, 0x514, 4), be32("UMEQ"));
	assert_int_equal(bus_read(t->io, 0x518, 4), be32("GFC "));
	select_key(t, 0x7777);
	assert_int_equal(byte(t), 0);
}

static void files_are_found_by_the_directory(void **state)
{
	struct bench *t = *state;
	uint8_t dir[4 + 2 * 64];
	size_t len;

	assert_true(fw_cfg_file(t->f, "etc/a", "hello", 5, NULL));
	assert_true(fw_cfg_file(t->f, "opt/b", "x", 1, NULL));
	select_key(t, FW_CFG_FILE_DIR);
	for (size_t i = 0; i < sizeof(dir); i++)
		dir[i] = byte(t);
	assert_int_equal(be32(dir), 2);
	assert_int_equal(be32(dir + 4), 5);
	assert_int_equal(be16(dir + 8), 0x20);
	assert_string_equal((char *)dir + 12, "etc/a");
	assert_int_equal(be16(dir + 64 + 8), 0x21);
	assert_string_equal((char *)dir + 64 + 12, "opt/b");
	select_key(t, 0x20);
	assert_int_equal(byte(t), 'h');
	assert_memory_equal(fw_cfg_find(t->f, "opt/b", &len), "x", 1);
	assert_int_equal(len, 1);
	assert_null(fw_cfg_find(t->f, "opt/c", &len));
}

static void bad_names_and_too_many_files_are_refused(void **state)
{
	struct bench *t = *state;
	char name[80];
	struct err e;

	memset(name, 'x', sizeof(name));
	name[56] = 0;
	assert_false(fw_cfg_file(t->f, name, "", 0, &e));
	assert_false(fw_cfg_file(t->f, "", "", 0, &e));
	name[55] = 0;
	assert_true(fw_cfg_file(t->f, name, "", 0, &e));
	assert_false(fw_cfg_file(t->f, name, "", 0, &e));
	for (int i = 1; i < FW_CFG_FILES; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		assert_true(fw_cfg_file(t->f, name, "", 0, &e));
	}
	assert_false(fw_cfg_file(t->f, "one more", "", 0, &e));
}

static void dma_selects_reads_and_skips(void **state)
{
	struct bench *t = *state;

	assert_true(fw_cfg_file(t->f, "etc/a", "0123456789", 10, NULL));
	assert_int_equal(dma(t, 0x20 << 16 | 8 | 2, 4, BUFFER), 0);
	assert_memory_equal(t->ram + BUFFER, "0123\xcc", 5);
	assert_int_equal(dma(t, 4, 2, 0), 0);
	assert_int_equal(dma(t, 2, 4, BUFFER), 0);
	assert_memory_equal(t->ram + BUFFER, "6789\xcc", 5);
	assert_int_equal(dma(t, 2, 4, BUFFER), 0);
	assert_memory_equal(t->ram + BUFFER, "\0\0\0\0\xcc", 5);
	assert_int_equal(dma(t, 0x20 << 16 | 8 | 16, 4, BUFFER), 1);    /* nothing can be written */
}

static void bad_dma_is_an_error_and_no_more(void **state)
{
	struct bench *t = *state;

	assert_int_equal(dma(t, 8 | 2, 4, 0x10000000), 1);
	assert_int_equal(dma(t, 8 | 2, UINT32_MAX, BUFFER), 1);
	assert_int_equal(dma(t, 8 | 2, 4, UINT64_MAX - 1), 1);
	assert_int_equal(dma(t, 4, UINT32_MAX, 0), 0);
	assert_int_equal(dma(t, 4, UINT32_MAX, 0), 0);
	assert_int_equal(dma(t, 2, 4, BUFFER), 0);
	bus_write(t->io, 0x514, UINT32_MAX, 4);
	bus_write(t->io, 0x518, UINT32_MAX, 4);
	select_key(t, 0);
	assert_int_equal(byte(t), 'Q');
}

static void numbers_are_little_endian(void **state)
{
	struct bench *t = *state;

	fw_cfg_number(t->f, FW_CFG_RAM_SIZE, 0x123456789a, 8);
	fw_cfg_number(t->f, FW_CFG_HPET, 0xaabb, 4);
	select_key(t, FW_CFG_RAM_SIZE);
	assert_int_equal(byte(t), 0x9a);
	assert_int_equal(byte(t), 0x78);
	select_key(t, FW_CFG_HPET);
	assert_int_equal(byte(t), 0xbb);
	state_reset_all(t->states);
	assert_int_equal(byte(t), 'Q');
}

static void count_line(void *to, const char *line)
{
	(void)line;
	((struct bench *)to)->lines++;
}

static void print_lists_items(void **state)
{
	struct bench *t = *state;

	assert_true(fw_cfg_file(t->f, "etc/a", "hello", 5, NULL));
	fw_cfg_print(t->f, count_line, t);
	assert_int_equal(t->lines, 4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(firmware_finds_the_signature),
		TEST(files_are_found_by_the_directory),
		TEST(bad_names_and_too_many_files_are_refused),
		TEST(dma_selects_reads_and_skips),
		TEST(bad_dma_is_an_error_and_no_more),
		TEST(numbers_are_little_endian),
		TEST(print_lists_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
