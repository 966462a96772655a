/* SPDX-License-Identifier: MIT */
#include "tests/unit/hw/vga_bench.h"

#include <stdio.h>

static char first[400];

static void take_line(void *to, const char *line)
{
	unsigned *n = to;

	if ((*n)++ == 0)
		snprintf(first, sizeof(first), "%s", line);
}

/* An image with a font somewhere: A and the solid block are what it is known by. */
static void make_rom(uint8_t *rom, size_t len, size_t at)
{
	static const uint8_t letter_a[16] = {
		0, 0, 0x10, 0x38, 0x6c, 0xc6, 0xc6, 0xfe, 0xc6, 0xc6, 0xc6, 0xc6, 0, 0, 0, 0,
	};

	memset(rom, 0, len);
	memcpy(rom + at + 'A' * 16, letter_a, 16);
	memset(rom + at + 0xdb * 16, 0xff, 16);
}

static void a_boot_without_bios_finds_text_mode(void **state)
{
	struct bench *b = *state;
	static uint8_t rom[32768];
	unsigned n = 0;

	make_rom(rom, sizeof(rom), 12345);
	vga_text_mode(b->vga, rom, sizeof(rom));
	assert_true(vga_text(b->vga, take_line, &n));
	assert_int_equal(n, 25);
	assert_string_equal(first, "");
	bus_write(b->memory, 0xb8000, 0x1741, 2);
	render(b);
	assert_int_equal(b->image.width, 720);
	assert_int_equal(b->image.height, 400);
	assert_memory_equal(b->image.rgb + 3 * (2 * 720 + 3), "\xaa\xaa\xaa", 3);       /* the tip of the A, grey */
	assert_memory_equal(b->image.rgb + 3 * (2 * 720 + 2), "\x00\x00\xaa", 3);       /* on blue */
	n = 0;
	vga_text(b->vga, take_line, &n);
	assert_string_equal(first, "A");
	vga_text_mode(b->vga, rom, sizeof(rom));
	n = 0;
	vga_text(b->vga, take_line, &n);
	assert_string_equal(first, "");                 /* the next boot starts clean */
}

static void an_image_without_a_font_is_no_harm(void **state)
{
	struct bench *b = *state;
	uint8_t *rom = malloc(4096 + 100);

	memset(rom, 0x55, 4196);
	vga_text_mode(b->vga, rom, 4196);
	make_rom(rom, 4096, 0);
	vga_text_mode(b->vga, rom, 4095);
	vga_text_mode(b->vga, rom, 0);
	vga_text_mode(b->vga, NULL, 0);
	render(b);
	assert_int_equal(b->image.width, 720);
	free(rom);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_boot_without_bios_finds_text_mode),
		TEST(an_image_without_a_font_is_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
