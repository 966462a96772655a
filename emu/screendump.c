/* SPDX-License-Identifier: MIT */
/*
 * PNG (ISO/IEC 15948): one IDAT chunk, filter 0, and a zlib stream (RFC 1950) with one block of fixed Huffman codes (RFC 1951,
 * 3.2.6).  Matches are looked for at two distances only, a pixel back and a row back: screens are mostly that.
 */
#include "emu/screendump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"

struct out {
	uint8_t *data;
	size_t len, room;
	uint64_t bits;
	unsigned bit_count;
	bool failed;
};

static void put_bytes(struct out *o, const void *data, size_t len)
{
	if (o->len + len > o->room && !o->failed) {
		size_t room = MAX(2 * o->room, o->len + len + 4096);
		uint8_t *more = realloc(o->data, room);

		if (more) {
			o->data = more;
			o->room = room;
		}
		o->failed = !more;
	}
	if (o->failed)
		return;
	memcpy(o->data + o->len, data, len);
	o->len += len;
}

static void put_be(struct out *o, uint32_t v)
{
	uint8_t b[4];

	put_be32(b, v);
	put_bytes(o, b, 4);
}

static uint32_t crc(const uint8_t *p, size_t len)
{
	static uint32_t table[256];
	uint32_t c = 0xffffffff;

	for (uint32_t i = 0; !table[255] && i < 256; i++) {
		uint32_t v = i;

		for (int k = 0; k < 8; k++)
			v = v & 1 ? 0xedb88320 ^ v >> 1 : v >> 1;
		table[i] = v;
	}
	for (size_t i = 0; i < len; i++)
		c = table[(c ^ p[i]) & 0xff] ^ c >> 8;
	return ~c;
}

/* A chunk around what `begin` to the end of o holds: type and data are there, length and CRC are filled in. */
static size_t begin_chunk(struct out *o, const char *type)
{
	size_t begin = o->len;

	put_be(o, 0);
	put_bytes(o, type, 4);
	return begin;
}

static void end_chunk(struct out *o, size_t begin)
{
	if (o->failed)
		return;
	put_be32(o->data + begin, (uint32_t)(o->len - begin - 8));
	put_be(o, crc(o->data + begin + 4, o->len - begin - 4));
}

static void put_bits(struct out *o, uint32_t value, unsigned count)
{
	o->bits |= (uint64_t)value << o->bit_count;
	o->bit_count += count;
	while (o->bit_count >= 8) {
		uint8_t b = (uint8_t)o->bits;

		put_bytes(o, &b, 1);
		o->bits >>= 8;
		o->bit_count -= 8;
	}
}

/* Huffman codes go out with their first bit first. */
static void put_code(struct out *o, uint32_t code, unsigned count)
{
	uint32_t turned = 0;

	for (unsigned i = 0; i < count; i++)
		turned |= (code >> i & 1) << (count - 1 - i);
	put_bits(o, turned, count);
}

static void put_symbol(struct out *o, unsigned s)
{
	if (s < 144)
		put_code(o, 0x30 + s, 8);
	else if (s < 256)
		put_code(o, 0x190 + s - 144, 9);
	else if (s < 280)
		put_code(o, s - 256, 7);
	else
		put_code(o, 0xc0 + s - 280, 8);
}

/* A length of 3..258 and a distance of 1..32768, by the tables of RFC 1951, 3.2.5. */
static void put_match(struct out *o, unsigned length, unsigned distance)
{
	unsigned extra = 0, base;

	if (length == 258) {
		put_symbol(o, 285);
	} else {
		unsigned l = length - 3;

		while (l >> (extra + 3))
			extra++;
		if (l < 8)
			extra = 0;
		base = l < 8 ? 257 + l : 257 + 4 * extra + (l >> extra);
		put_symbol(o, base);
		put_bits(o, l & ((1u << extra) - 1), extra);
	}
	distance--;
	extra = 0;
	while (distance >> (extra + 2))
		extra++;
	if (distance < 4)
		extra = 0;
	put_code(o, distance < 4 ? distance : 2 * extra + (distance >> extra), 5);
	put_bits(o, distance & ((1u << extra) - 1), extra);
}

static unsigned match(const uint8_t *p, size_t at, size_t len, size_t distance)
{
	unsigned n = 0, max = (unsigned)MIN(len - at, (size_t)258);

	if (distance > at || distance > 32768)
		return 0;
	while (n < max && p[at + n] == p[at + n - distance])
		n++;
	return n;
}

static uint32_t adler(const uint8_t *p, size_t len)
{
	uint32_t a = 1, b = 0;

	for (size_t i = 0; i < len; i++) {
		a = (a + p[i]) % 65521;
		b = (b + a) % 65521;
	}
	return b << 16 | a;
}

static void deflate(struct out *o, const uint8_t *p, size_t len, size_t row)
{
	put_bytes(o, "\x78\x01", 2);
	put_bits(o, 1, 1);                      /* the last block */
	put_bits(o, 1, 2);                      /* fixed codes */
	for (size_t at = 0; at < len;) {
		unsigned a = match(p, at, len, 3), b = match(p, at, len, row), n = MAX(a, b);

		if (n < 3) {
			put_symbol(o, p[at++]);
			continue;
		}
		put_match(o, n, a >= b ? 3 : (unsigned)row);
		at += n;
	}
	put_symbol(o, 256);
	put_bits(o, 0, 7);                      /* up to the next byte */
	o->bits = o->bit_count = 0;
	put_be(o, adler(p, len));
}

static void encode_png(struct out *o, const struct image *image)
{
	size_t row = 1 + 3 * (size_t)image->width, len = row * image->height, chunk;
	uint8_t *raw = malloc(len ? len : 1);

	if (!raw) {
		o->failed = true;
		return;
	}
	for (size_t y = 0; y < image->height; y++) {
		raw[y * row] = 0;
		memcpy(raw + y * row + 1, image->rgb + y * (row - 1), row - 1);
	}
	put_bytes(o, "\x89PNG\r\n\x1a\n", 8);
	chunk = begin_chunk(o, "IHDR");
	put_be(o, image->width);
	put_be(o, image->height);
	put_bytes(o, "\x08\x02\0\0\0", 5);      /* 8 bits, RGB, deflate, filters, not interlaced */
	end_chunk(o, chunk);
	chunk = begin_chunk(o, "IDAT");
	deflate(o, raw, len, row);
	end_chunk(o, chunk);
	end_chunk(o, begin_chunk(o, "IEND"));
	free(raw);
}

uint8_t *picture_encode(const struct image *image, enum picture format, size_t *len)
{
	struct out o = { 0 };
	char head[64];

	if (format == PICTURE_PNG) {
		encode_png(&o, image);
	} else {
		put_bytes(&o, head, (size_t)snprintf(head, sizeof(head), "P6\n%u %u\n255\n", image->width, image->height));
		put_bytes(&o, image->rgb, (size_t)image->width * image->height * 3);
	}
	if (o.failed) {
		free(o.data);
		return NULL;
	}
	*len = o.len;
	return o.data;
}

bool screendump(const struct image *image, const char *path, enum picture format, struct err *err)
{
	size_t len, at = 0;
	uint8_t *data = picture_encode(image, format, &len);
	int fd;

	if (!data)
		return err_set(err, "out of memory for the picture");
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0) {
		err_errno(err, errno, "failed to open file '%s'", path);
		free(data);
		return false;
	}
	while (at < len) {
		ssize_t n = write(fd, data + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_errno(err, errno, "cannot write '%s'", path);
			unlink(path);
			break;
		}
		at += (size_t)n;
	}
	close(fd);
	free(data);
	return at == len;
}
