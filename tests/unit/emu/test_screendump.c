/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "emu/screendump.h"

enum { W = 37, H = 53 };

/* A second reading of RFC 1951 for fixed codes, bit by bit, so that the writer is not its own judge. */
struct reader {
	const uint8_t *p;
	size_t bit, bits;
};

static unsigned bit(struct reader *r)
{
	unsigned v;

	assert_true(r->bit < r->bits);
	v = r->p[r->bit / 8] >> r->bit % 8 & 1;
	r->bit++;
	return v;
}

static unsigned number(struct reader *r, unsigned n)
{
	unsigned v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= bit(r) << i;
	return v;
}

static unsigned symbol(struct reader *r)
{
	unsigned code = 0, n = 0;

	for (;;) {
		code = code << 1 | bit(r);
		n++;
		if (n == 7 && code <= 0x17)
			return 256 + code;
		if (n == 8 && code >= 0x30 && code <= 0xbf)
			return code - 0x30;
		if (n == 8 && code >= 0xc0 && code <= 0xc7)
			return 280 + code - 0xc0;
		if (n == 9) {
			assert_in_range(code, 0x190, 0x1ff);
			return 144 + code - 0x190;
		}
	}
}

static size_t inflate(const uint8_t *p, size_t len, uint8_t *to, size_t room)
{
	static const unsigned base[] = { 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163,
					 195, 227, 258 };
	static const unsigned extra[] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
	static const unsigned dist[] = { 1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
					 4097, 6145, 8193, 12289, 16385, 24577 };
	struct reader r = { p, 16, len * 8 };
	size_t n = 0;

	assert_int_equal((p[0] << 8 | p[1]) % 31, 0);
	assert_int_equal(number(&r, 1), 1);
	assert_int_equal(number(&r, 2), 1);
	for (;;) {
		unsigned s = symbol(&r), l, d, code = 0;

		if (s == 256)
			return n;
		if (s < 256) {
			assert_true(n < room);
			to[n++] = (uint8_t)s;
			continue;
		}
		l = base[s - 257] + number(&r, extra[s - 257]);
		for (int i = 0; i < 5; i++)
			code = code << 1 | bit(&r);
		d = dist[code] + number(&r, code < 4 ? 0 : code / 2 - 1);
		assert_true(d <= n && n + l <= room);
		for (; l; l--, n++)
			to[n] = to[n - d];
	}
}

static struct image picture(int kind)
{
	struct image i = { W, H, malloc(W * H * 3) };
	uint32_t seed = 1;

	for (size_t k = 0; k < W * H * 3; k++) {
		seed = seed * 1664525 + 1013904223;
		i.rgb[k] = kind == 0 ? 0 : kind == 1 ? (uint8_t)(seed >> 24) : (uint8_t)(k / (W * 3) / 8 * 40);
	}
	return i;
}

static void a_png_holds_the_picture(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct image i = picture(kind);
		uint8_t raw[H * (1 + W * 3)];
		size_t len;
		uint8_t *png = picture_encode(&i, PICTURE_PNG, &len);

		assert_non_null(png);
		assert_memory_equal(png, "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", 16);
		assert_int_equal(be32(png + 16), W);
		assert_int_equal(be32(png + 20), H);
		assert_memory_equal(png + 24, "\x08\x02\0\0\0", 5);
		assert_memory_equal(png + 37, "IDAT", 4);
		assert_int_equal(inflate(png + 41, be32(png + 33), raw, sizeof(raw)), sizeof(raw));
		for (unsigned y = 0; y < H; y++) {
			assert_int_equal(raw[y * (1 + W * 3)], 0);
			assert_memory_equal(raw + y * (1 + W * 3) + 1, i.rgb + y * W * 3, W * 3);
		}
		assert_memory_equal(png + len - 12, "\0\0\0\0IEND\xae\x42\x60\x82", 12);
		free(png);
		free(i.rgb);
	}
}

static void plain_areas_get_small(void **state)
{
	struct image i = picture(0);
	size_t len;
	uint8_t *png = picture_encode(&i, PICTURE_PNG, &len);

	(void)state;
	assert_true(len < 200);
	free(png);
	free(i.rgb);
}

static void a_ppm_is_a_header_and_the_bytes(void **state)
{
	struct image i = picture(1);
	size_t len;
	uint8_t *ppm = picture_encode(&i, PICTURE_PPM, &len);

	(void)state;
	assert_int_equal(len, 13 + W * H * 3);
	assert_memory_equal(ppm, "P6\n37 53\n255\n", 13);
	assert_memory_equal(ppm + 13, i.rgb, W * H * 3);
	free(ppm);
	free(i.rgb);
}

static void a_file_that_cannot_be_made_is_named(void **state)
{
	struct image i = picture(0);
	struct err err;

	(void)state;
	assert_false(screendump(&i, "no_such_folder/x.png", PICTURE_PNG, &err));
	assert_string_equal(err.text, "failed to open file 'no_such_folder/x.png': No such file or directory");
	free(i.rgb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_png_holds_the_picture),
		cmocka_unit_test(plain_areas_get_small),
		cmocka_unit_test(a_ppm_is_a_header_and_the_bytes),
		cmocka_unit_test(a_file_that_cannot_be_made_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
