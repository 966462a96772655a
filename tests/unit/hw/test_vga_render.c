/* SPDX-License-Identifier: MIT */
#include "tests/unit/hw/vga_bench.h"

#include <stdio.h>

/* Put a glyph into plane 2: row y of character ch. */
static void glyph_row(struct bench *b, unsigned ch, unsigned y, unsigned bits)
{
	bus_write(b->memory, LFB + 4 * (ch * 32 + y) + 2, bits, 1);
}

static void text_is_drawn_with_its_font_and_colours(void **state)
{
	struct bench *b = *state;

	set_mode(b, &mode_03);
	glyph_row(b, 'A', 0, 0x81);
	glyph_row(b, 0xc4, 3, 0xff);
	glyph_row(b, 'B', 3, 0xff);
	bus_write(b->memory, 0xb8000 + 2 * 80, 0x1e41, 2);      /* second row: yellow on blue */
	bus_write(b->memory, 0xb8000 + 2 * 81, 0x07c4, 2);
	bus_write(b->memory, 0xb8000 + 2 * 82, 0x0742, 2);
	render(b);
	assert_int_equal(b->image.width, 720);
	assert_int_equal(b->image.height, 400);
	assert_int_equal(entry_at(b, 0, 16), 0x3e);
	assert_int_equal(entry_at(b, 1, 16), 1);
	assert_int_equal(entry_at(b, 7, 16), 0x3e);
	assert_int_equal(entry_at(b, 8, 16), 1);
	assert_int_equal(entry_at(b, 0, 17), 1);
	assert_int_equal(entry_at(b, 17, 19), 7);               /* line graphics reach the ninth dot */
	assert_int_equal(entry_at(b, 26, 19), 0);               /* letters do not */
	assert_int_equal(entry_at(b, 25, 19), 7);
}

static void the_cursor_is_drawn_where_the_crtc_has_it(void **state)
{
	struct bench *b = *state;

	set_mode(b, &mode_03);
	for (unsigned i = 0; i < 2000; i++)
		bus_write(b->memory, 0xb8000 + 2 * i, 0x0720, 2);
	out_index(b, 0x3d4, 0x0f, 81);
	render(b);
	assert_int_equal(entry_at(b, 9, 16 + 13), 7);
	assert_int_equal(entry_at(b, 9, 16 + 12), 0);
	assert_int_equal(entry_at(b, 18, 16 + 13), 0);
	out_index(b, 0x3d4, 0x0a, 0x2d);
	render(b);
	assert_int_equal(entry_at(b, 9, 16 + 13), 0);
}

static char lines[64][400];
static unsigned line_count;

static void take_line(void *to, const char *line)
{
	(void)to;
	snprintf(lines[line_count++ % 64], sizeof(lines[0]), "%s", line);
}

static void the_text_screen_is_readable_as_text(void **state)
{
	struct bench *b = *state;
	const char *text = "SeaBIOS (version 1.16)";

	set_mode(b, &mode_03);
	for (unsigned i = 0; i < 2000; i++)
		bus_write(b->memory, 0xb8000 + 2 * i, 0x0700, 2);
	for (unsigned i = 0; text[i]; i++)
		bus_write(b->memory, 0xb8000 + 2 * i, (uint8_t)text[i], 1);
	bus_write(b->memory, 0xb8000 + 2 * 160, 0xc9, 1);
	bus_write(b->memory, 0xb8000 + 2 * 162, 0x80, 1);
	line_count = 0;
	assert_true(vga_text(b->vga, take_line, NULL));
	assert_int_equal(line_count, 25);
	assert_string_equal(lines[0], text);
	assert_string_equal(lines[1], "");
	assert_string_equal(lines[2], "\xe2\x95\x94 \xc3\x87");
	out_index(b, 0x3d4, 0x0d, 80);          /* scrolled by a line */
	line_count = 0;
	vga_text(b->vga, take_line, NULL);
	assert_string_equal(lines[0], "");
	set_mode(b, &mode_13);
	assert_false(vga_text(b->vga, take_line, NULL));
}

static void a_blanked_screen_is_black(void **state)
{
	struct bench *b = *state;

	set_mode(b, &mode_13);
	bus_write(b->memory, 0xa0000, 0x33, 1);
	out_index(b, 0x3c4, 1, 0x21);
	render(b);
	for (unsigned i = 0; i < b->image.width * b->image.height * 3; i++)
		assert_int_equal(b->image.rgb[i], 0);
}

static void mode_13h_is_320_by_200_bytes(void **state)
{
	struct bench *b = *state;

	set_mode(b, &mode_13);
	bus_write(b->memory, 0xa0000 + 320 * 100 + 17, 0x2a, 1);
	bus_write(b->memory, 0xa0000 + 320 * 199 + 319, 0x15, 1);
	render(b);
	assert_int_equal(b->image.width, 320);
	assert_int_equal(b->image.height, 200);
	assert_int_equal(entry_at(b, 17, 100), 0x2a);
	assert_int_equal(entry_at(b, 319, 199), 0x15);
	assert_int_equal(b->image.rgb[1], 255);         /* entry 0: (0, 63, 21) */
	assert_int_equal(b->image.rgb[2], 21 << 2 | 21 >> 4);
	out(b, 0x3c6, 0x0f);
	render(b);
	assert_int_equal(entry_at(b, 17, 100), 0x0a);
}

static void mode_12h_is_640_by_480_in_four_planes(void **state)
{
	struct bench *b = *state;

	set_mode(b, &mode_12);
	out_index(b, 0x3c4, 2, 9);
	bus_write(b->memory, 0xa0000 + 80 * 479 + 79, 0x01, 1);
	render(b);
	assert_int_equal(b->image.width, 640);
	assert_int_equal(b->image.height, 480);
	assert_int_equal(entry_at(b, 639, 479), 0x39);
	assert_int_equal(entry_at(b, 638, 479), 0);
	out_index(b, 0x3d4, 0x0c, 0x95);                /* start one line before the last: 80 * 478 */
	out_index(b, 0x3d4, 0x0d, 0x60);
	render(b);
	assert_int_equal(entry_at(b, 639, 1), 0x39);
}

static void mode_4_interleaves_lines_as_the_cga_did(void **state)
{
	struct bench *b = *state;

	set_mode(b, &mode_04);
	bus_write(b->memory, 0xb8000, 0x1b, 1);         /* pixels 0 1 2 3 */
	bus_write(b->memory, 0xb8001, 0xe4, 1);         /* pixels 3 2 1 0 */
	bus_write(b->memory, 0xba000, 0xff, 1);
	bus_write(b->memory, 0xb8000 + 80, 0x55, 1);
	render(b);
	assert_int_equal(b->image.width, 320);
	assert_int_equal(b->image.height, 200);
	assert_int_equal(entry_at(b, 0, 0), 0);
	assert_int_equal(entry_at(b, 1, 0), 0x13);
	assert_int_equal(entry_at(b, 3, 0), 0x17);
	assert_int_equal(entry_at(b, 4, 0), 0x17);
	assert_int_equal(entry_at(b, 7, 0), 0);
	assert_int_equal(entry_at(b, 0, 1), 0x17);
	assert_int_equal(entry_at(b, 0, 2), 0x13);
}

static void linear_modes_unpack_their_pixels(void **state)
{
	struct bench *b = *state;
	static const struct { unsigned bpp; uint32_t pixel; uint8_t rgb[3]; } table[] = {
		{ 15, 0x7c1f, { 255, 0, 255 } }, { 16, 0x07e0, { 0, 255, 0 } }, { 24, 0x102030, { 0x10, 0x20, 0x30 } },
		{ 32, 0xff405060, { 0x40, 0x50, 0x60 } }, { 8, 0x01, { 1 << 2, 62 << 2 | 3, 20 << 2 | 1 } },
	};

	set_mode(b, &mode_03);
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		unsigned bytes = (table[i].bpp + 7) / 8, at = 10 * 640 * bytes + 20 * bytes;

		dispi(b, 4, 0);
		dispi(b, 1, 640);
		dispi(b, 2, 480);
		dispi(b, 3, table[i].bpp);
		dispi(b, 4, 0x41);
		for (unsigned j = 0; j < bytes; j++)
			bus_write(b->memory, LFB + at + j, table[i].pixel >> 8 * j & 0xff, 1);
		render(b);
		assert_int_equal(b->image.width, 640);
		assert_int_equal(b->image.height, 480);
		assert_memory_equal(b->image.rgb + 3 * (10 * 640 + 20), table[i].rgb, 3);
		dispi(b, 8, 20);
		dispi(b, 9, 10);
		render(b);
		assert_memory_equal(b->image.rgb, table[i].rgb, 3);
	}
}

static void a_picture_is_no_larger_than_memory(void **state)
{
	struct bench *b = *state;

	dispi(b, 1, 8192);
	dispi(b, 2, 8192);
	dispi(b, 3, 32);
	dispi(b, 4, 1);
	dispi(b, 9, 60000);
	render(b);
	assert_int_equal(b->image.width, 8192);
	assert_int_equal(b->image.height, 512);
	dispi(b, 4, 0);
	dispi(b, 1, 0);
	dispi(b, 2, 0);
	dispi(b, 4, 1);
	render(b);
	assert_int_equal(b->image.width, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(text_is_drawn_with_its_font_and_colours),
		TEST(the_cursor_is_drawn_where_the_crtc_has_it),
		TEST(the_text_screen_is_readable_as_text),
		TEST(a_blanked_screen_is_black),
		TEST(mode_13h_is_320_by_200_bytes),
		TEST(mode_12h_is_640_by_480_in_four_planes),
		TEST(mode_4_interleaves_lines_as_the_cga_did),
		TEST(linear_modes_unpack_their_pixels),
		TEST(a_picture_is_no_larger_than_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
