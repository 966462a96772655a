/* SPDX-License-Identifier: MIT */
#include "tests/unit/hw/vga_bench.h"

static uint8_t *page(struct bench *b, uint64_t addr)
{
	struct bus_page p;

	return bus_page(b->memory, addr, &p) ? p.host : NULL;
}

static void the_card_is_the_one_that_drivers_know(void **state)
{
	struct bench *b = *state;

	assert_int_equal(pci_config_read(b->pci, 0, DEVFN, 0, 4), 0x11111234);
	assert_int_equal(pci_config_read(b->pci, 0, DEVFN, 8, 4), 0x03000002);
	pci_config_write(b->pci, 0, DEVFN, PCI_BAR0, 0xffffffff, 4);
	assert_int_equal(pci_config_read(b->pci, 0, DEVFN, PCI_BAR0, 4), 0xff000008);
	pci_config_write(b->pci, 0, DEVFN, PCI_BAR0 + 8, 0xffffffff, 4);
	assert_int_equal(pci_config_read(b->pci, 0, DEVFN, PCI_BAR0 + 8, 4), 0xfffff000);
}

static void indexed_registers_hold_what_they_can(void **state)
{
	struct bench *b = *state;

	out(b, 0x3c2, 0x67);
	assert_int_equal(in(b, 0x3cc), 0x67);
	out_index(b, 0x3c4, 2, 0xff);
	assert_int_equal(in(b, 0x3c5), 0x0f);
	out_index(b, 0x3ce, 8, 0xa5);
	assert_int_equal(in(b, 0x3cf), 0xa5);
	out_index(b, 0x3d4, 0x13, 0x50);
	assert_int_equal(in(b, 0x3d5), 0x50);
	assert_int_equal(in(b, 0x3b4), 0xff);   /* the monochrome address is not decoded */
	out_index(b, 0x3d4, 0x11, 0x80);        /* protect */
	out_index(b, 0x3d4, 0x00, 0x5f);
	assert_int_equal(in(b, 0x3d5), 0);
	out_index(b, 0x3d4, 0x07, 0xff);
	assert_int_equal(in(b, 0x3d5), 0x10);
	out(b, 0x3d4, 0xff);
	assert_int_equal(in(b, 0x3d5), 0);
	out(b, 0x3d5, 1);
	in(b, 0x3da);
	out(b, 0x3c0, 0x31);
	out(b, 0x3c0, 0x12);
	assert_int_equal(in(b, 0x3c0), 0x31);
	assert_int_equal(in(b, 0x3c1), 0x12);
	out(b, 0x3c2, 0x66);
	assert_int_equal(in(b, 0x3d4), 0xff);
	assert_int_equal(in(b, 0x3b5), 0);
}

static void the_dac_counts_by_itself(void **state)
{
	struct bench *b = *state;

	out(b, 0x3c8, 254);
	for (unsigned i = 0; i < 9; i++)
		out(b, 0x3c9, 10 + i);
	assert_int_equal(in(b, 0x3c7), 0);
	out(b, 0x3c7, 254);
	assert_int_equal(in(b, 0x3c7), 3);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(in(b, 0x3c9), 10 + i);
	out(b, 0x3c8, 0);
	out(b, 0x3c9, 0xff);
	out(b, 0x3c9, 0xff);
	out(b, 0x3c9, 0xff);
	out(b, 0x3c7, 0);
	assert_int_equal(in(b, 0x3c9), 0x3f);
	dispi(b, 4, 0x20);
	out(b, 0x3c8, 0);
	out(b, 0x3c9, 0xab);
	out(b, 0x3c9, 0xff);
	out(b, 0x3c9, 0xff);
	out(b, 0x3c7, 0);
	assert_int_equal(in(b, 0x3c9), 0xab);
}

static void retrace_comes_sixty_times_a_second(void **state)
{
	struct bench *b = *state;
	int rises = 0, blanks = 0;
	unsigned before = 0;

	out(b, 0x3c2, 0x67);
	for (int i = 0; i < 100000; i++) {      /* one second */
		unsigned now;

		fake_clock_advance(&b->clock, US(10));
		now = in(b, 0x3da);
		rises += (now & ~before & 8) != 0;
		blanks += now & 1;
		before = now;
	}
	assert_in_range(rises, 59, 61);
	assert_in_range(blanks, 10000, 50000);
}

static void text_memory_is_plain_memory_and_comes_back_from_the_planes(void **state)
{
	struct bench *b = *state;

	assert_null(page(b, 0xb8000));
	set_mode(b, &mode_03);
	assert_non_null(page(b, 0xb8000));
	assert_null(page(b, 0xa0000));
	assert_null(page(b, 0xb0000));
	bus_write(b->memory, 0xb8000, 0x1f41, 2);
	bus_write(b->memory, 0xbfffe, 0x2e5a, 2);
	/* a font load: planes one after the other, plane 2, at A0000 */
	out_index(b, 0x3c4, 2, 4);
	out_index(b, 0x3c4, 4, 7);
	out_index(b, 0x3ce, 4, 2);
	out_index(b, 0x3ce, 5, 0);
	out_index(b, 0x3ce, 6, 4);
	assert_null(page(b, 0xb8000));
	bus_write(b->memory, 0xa0000 + 'A' * 32, 0x1122334455667788, 8);
	assert_int_equal(bus_read(b->memory, 0xa0000 + 'A' * 32, 8), 0x1122334455667788);
	out_index(b, 0x3ce, 4, 0);
	assert_int_equal(bus_read(b->memory, 0xa0000, 1), 0x41);
	out_index(b, 0x3ce, 4, 1);
	assert_int_equal(bus_read(b->memory, 0xa0000, 1), 0x1f);
	assert_int_equal(bus_read(b->memory, 0xa3fff, 1), 0x2e);
	assert_int_equal(bus_read(b->memory, 0xb8000, 1), 0xff);
	set_mode(b, &mode_03);
	assert_int_equal(bus_read(b->memory, 0xb8000, 2), 0x1f41);
	assert_int_equal(bus_read(b->memory, 0xbfffe, 2), 0x2e5a);
	assert_int_equal(bus_read(b->memory, 0xa0000, 1), 0xff);
}

static void text_through_the_register_window_is_the_same_text(void **state)
{
	struct bench *b = *state;

	set_mode(b, &mode_03);
	bus_write(b->memory, 0xb8000, 0x3132333435363738, 8);
	out_index(b, 0x3ce, 8, 0xfe);           /* not plain any more */
	assert_null(page(b, 0xb8000));
	assert_int_equal(bus_read(b->memory, 0xb8000, 8), 0x3132333435363738);
	bus_write(b->memory, 0xb8001, 0xff, 1);
	assert_int_equal(bus_read(b->memory, 0xb8001, 1), 0xff);
	out_index(b, 0x3ce, 8, 0xff);
	assert_non_null(page(b, 0xb8000));
	assert_int_equal(bus_read(b->memory, 0xb8000, 8), 0x313233343536ff38);
}

static void chain_4_is_plain_memory(void **state)
{
	struct bench *b = *state;

	set_mode(b, &mode_13);
	assert_non_null(page(b, 0xa0000));
	assert_non_null(page(b, 0xaf000));
	assert_null(page(b, 0xb0000));
	bus_write(b->memory, 0xa0000, 0x04030201, 4);
	assert_int_equal(bus_read(b->memory, LFB, 4), 0x04030201);
	out_index(b, 0x3c4, 4, 6);              /* unchained: the same bytes, one from each plane */
	for (unsigned p = 0; p < 4; p++) {
		out_index(b, 0x3ce, 4, p);
		assert_int_equal(bus_read(b->memory, 0xa0000, 1), p + 1);
	}
}

static void planar_stores_follow_the_write_modes(void **state)
{
	struct bench *b = *state;

	set_mode(b, &mode_12);
	assert_null(page(b, 0xa0000));
	out_index(b, 0x3c4, 2, 5);
	bus_write(b->memory, 0xa0000, 0xff, 1);
	assert_int_equal(bus_read(b->memory, LFB, 4), 0x00ff00ff);
	out_index(b, 0x3c4, 2, 15);
	bus_read(b->memory, 0xa0000, 1);        /* latches */
	out_index(b, 0x3ce, 8, 0x0f);
	out_index(b, 0x3ce, 5, 2);
	bus_write(b->memory, 0xa0000, 0x0a, 1); /* write mode 2: colour 10 in the low nibble */
	assert_int_equal(bus_read(b->memory, LFB, 4), 0x0ff00ff0);
	bus_read(b->memory, 0xa0000, 1);
	out_index(b, 0x3ce, 5, 1);              /* write mode 1: the latches */
	bus_write(b->memory, 0xa0001, 0, 1);
	assert_int_equal(bus_read(b->memory, LFB + 4, 4), 0x0ff00ff0);
	out_index(b, 0x3ce, 5, 3);              /* write mode 3: set/reset where rotated data is one */
	out_index(b, 0x3ce, 0, 3);
	out_index(b, 0x3ce, 3, 4);
	out_index(b, 0x3ce, 8, 0xff);
	bus_write(b->memory, 0xa0001, 0x0c, 1); /* rotated: c0 */
	assert_int_equal(bus_read(b->memory, LFB + 4, 4), 0x0f30cff0);
	out_index(b, 0x3ce, 5, 0);
	out_index(b, 0x3ce, 3, 0x18);           /* exclusive or */
	bus_read(b->memory, 0xa0001, 1);
	bus_write(b->memory, 0xa0001, 0xff, 1);
	assert_int_equal(bus_read(b->memory, LFB + 4, 4), 0xf0cf300f);
	out_index(b, 0x3ce, 3, 0);
	out_index(b, 0x3ce, 1, 15);             /* enable set/reset, value 3 */
	bus_write(b->memory, 0xa0002, 0x55, 1);
	assert_int_equal(bus_read(b->memory, LFB + 8, 4), 0x0000ffff);
	out_index(b, 0x3ce, 5, 8);              /* read mode 1: where is colour 3 */
	out_index(b, 0x3ce, 2, 3);
	assert_int_equal(bus_read(b->memory, 0xa0002, 1), 0xff);
	out_index(b, 0x3ce, 2, 2);
	assert_int_equal(bus_read(b->memory, 0xa0002, 1), 0x00);
	out_index(b, 0x3ce, 7, 14);
	assert_int_equal(bus_read(b->memory, 0xa0002, 1), 0xff);
}

static void dispi_tells_its_version_limits_and_memory(void **state)
{
	struct bench *b = *state;

	assert_int_equal(dispi_in(b, 0), 0xb0c5);
	dispi(b, 0, 0xb0c0);
	assert_int_equal(dispi_in(b, 0), 0xb0c0);
	dispi(b, 0, 0x1234);
	assert_int_equal(dispi_in(b, 0), 0xb0c0);
	assert_int_equal(dispi_in(b, 10), 256);
	dispi(b, 1, 640);
	dispi(b, 4, 2);
	assert_true(dispi_in(b, 1) >= 2560);
	assert_int_equal(dispi_in(b, 3), 32);
	dispi(b, 4, 0);
	assert_int_equal(dispi_in(b, 1), 640);
	dispi(b, 3, 17);
	assert_int_equal(dispi_in(b, 3), 8);
}

static void a_dispi_mode_clears_memory_and_banks_the_window(void **state)
{
	struct bench *b = *state;

	set_mode(b, &mode_03);
	bus_write(b->memory, 0xb8000, 0x0741, 2);
	bus_write(b->memory, LFB + 1000, 0x55, 1);
	dispi(b, 1, 1024);
	dispi(b, 2, 768);
	dispi(b, 3, 32);
	dispi(b, 4, 0x41);
	assert_int_equal(bus_read(b->memory, LFB + 1000, 1), 0);
	assert_int_equal(bus_read(b->memory, LFB, 4), 0);       /* nor did the text come back over it */
	assert_int_equal(dispi_in(b, 6), 1024);
	assert_int_equal(dispi_in(b, 7), 4096);
	dispi(b, 5, 3);
	bus_write(b->memory, 0xa0010, 0xdeadbeef, 4);
	assert_int_equal(bus_read(b->memory, LFB + 0x30010, 4), 0xdeadbeef);
	dispi(b, 5, 0x100);                     /* beyond the memory */
	bus_write(b->memory, 0xa0010, 1, 4);
	dispi(b, 4, 0);
	dispi(b, 4, 0xc1);                      /* keep memory */
	assert_int_equal(bus_read(b->memory, LFB + 0x30010, 4), 0xdeadbeef);
}

static void the_memory_bar_has_the_same_registers(void **state)
{
	struct bench *b = *state;
	uint8_t sum = 0;

	assert_int_equal(bus_read(b->memory, MMIO + 0x500, 2), 0xb0c5);
	bus_write(b->memory, MMIO + 0x502, 800, 2);
	assert_int_equal(dispi_in(b, 1), 800);
	assert_int_equal(bus_read(b->memory, MMIO + 0x514, 2), 256);
	bus_write(b->memory, MMIO + 0x402, 0x67, 1);
	assert_int_equal(in(b, 0x3cc), 0x67);
	assert_int_equal(bus_read(b->memory, MMIO + 0x40c, 1), 0x67);
	bus_write(b->memory, MMIO + 0x404, 0x0f02, 2);
	assert_int_equal(in(b, 0x3c5), 0x0f);
	assert_int_equal(bus_read(b->memory, MMIO + 0x600, 4), 8);
	assert_int_equal(bus_read(b->memory, MMIO + 0x604, 4), 0x1e1e1e1e);
	assert_int_equal(bus_read(b->memory, MMIO, 8), 0x00ffffffffffff00);
	for (unsigned i = 0; i < 128; i++)
		sum += (uint8_t)bus_read(b->memory, MMIO + i, 1);
	assert_int_equal(sum, 0);
	assert_int_equal(bus_read(b->memory, MMIO + 0xffc, 4), 0);
}

static void a_reset_brings_registers_back_and_keeps_memory(void **state)
{
	struct bench *b = *state;

	set_mode(b, &mode_03);
	bus_write(b->memory, 0xb8000, 0x0741, 2);
	state_reset_all(b->states);
	assert_int_equal(in(b, 0x3cc), 0);
	assert_null(page(b, 0xb8000));
	set_mode(b, &mode_03);
	assert_int_equal(bus_read(b->memory, 0xb8000, 2), 0x0741);
}

static void random_stores_keep_it_alive(void **state)
{
	struct bench *b = *state;
	uint32_t x = 99;

	for (int i = 0; i < 300000; i++) {
		unsigned value, port;

		x = x * 1664525 + 1013904223;
		value = x >> 16 & 0xff;
		port = 0x3b0 + (x >> 9) % 0x30;
		if (x % 8 == 0)
			bus_write(b->memory, 0xa0000 + (x >> 8) % 0x1fff8, x, 1u << (x >> 30));
		else if (x % 8 == 1)
			bus_read(b->memory, 0xa0000 + (x >> 8) % 0x1fff8, 1u << (x >> 30));
		else if (x % 64 == 2)
			dispi(b, value % 12, x >> 12 & 0x7ff);
		else if (x % 64 == 3)
			bus_write(b->memory, MMIO + (x >> 8) % 0xffc, x, 4);
		else if (x & 0x80000000)
			out(b, port, value);
		else
			in(b, port);
		if (x % 65536 == 4) {
			render(b);
			assert_true(b->image.width > 0 && b->image.height > 0);
		}
		if (x % 32768 == 5)
			state_reset_all(b->states);
	}
	dispi(b, 4, 0);
	set_mode(b, &mode_03);
	bus_write(b->memory, 0xb8000, 0x0741, 2);
	assert_int_equal(bus_read(b->memory, 0xb8000, 2), 0x0741);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_card_is_the_one_that_drivers_know),
		TEST(indexed_registers_hold_what_they_can),
		TEST(the_dac_counts_by_itself),
		TEST(retrace_comes_sixty_times_a_second),
		TEST(text_memory_is_plain_memory_and_comes_back_from_the_planes),
		TEST(text_through_the_register_window_is_the_same_text),
		TEST(chain_4_is_plain_memory),
		TEST(planar_stores_follow_the_write_modes),
		TEST(dispi_tells_its_version_limits_and_memory),
		TEST(a_dispi_mode_clears_memory_and_banks_the_window),
		TEST(the_memory_bar_has_the_same_registers),
		TEST(a_reset_brings_registers_back_and_keeps_memory),
		TEST(random_stores_keep_it_alive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
