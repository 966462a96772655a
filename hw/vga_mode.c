/* SPDX-License-Identifier: MIT */
/*
 * Text mode 3 without a BIOS, for a boot that runs none: 80 by 25 cells of 9 by 16 dots (IBM VGA technical reference,
 * mode 3+). The registers are set through the ports, as a BIOS does.  The font is the one in the VGA BIOS image, found
 * by the shape of its A; without it characters are there, but draw as nothing.
 */
#include "base/bytes.h"
#include "hw/vga_regs.h"

enum { GLYPH = 16, GLYPHS = 256, FONT = GLYPH * GLYPHS, SOLID = 0xdb };

static const uint8_t *find_font(const uint8_t *rom, size_t len)
{
	static const uint8_t letter_a[GLYPH] = {
		0, 0, 0x10, 0x38, 0x6c, 0xc6, 0xc6, 0xfe, 0xc6, 0xc6, 0xc6, 0xc6, 0, 0, 0, 0,
	};

	for (size_t at = 0; at + FONT <= len; at++) {
		const uint8_t *font = rom + at;
		bool solid = true;

		if (memcmp(font + 'A' * GLYPH, letter_a, GLYPH) != 0)
			continue;
		for (unsigned i = 0; i < GLYPH; i++)
			solid &= font[SOLID * GLYPH + i] == 0xff;
		if (solid)
			return font;
	}
	return NULL;
}

static void out(struct vga *s, uint16_t port, uint8_t value)
{
	bus_write(s->cfg.ports, port, value, 1);
}

static void set_all(struct vga *s, uint16_t port, const uint8_t *values, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		out(s, port, (uint8_t)i);
		out(s, port + 1, values[i]);
	}
}

/* The 64 colours that the attribute registers choose from: two bits for each of red, green and blue. */
static void set_palette(struct vga *s)
{
	out(s, 0x3c8, 0);
	for (unsigned i = 0; i < 64; i++)
		for (unsigned j = 0; j < 3; j++)
			out(s, 0x3c9, (i >> (2 - j) & 1 ? 0x2a : 0) + (i >> (5 - j) & 1 ? 0x15 : 0));
}

void vga_text_mode(struct vga *s, const void *rom, size_t len)
{
	static const uint8_t sr[SR_COUNT] = { 3, 0, 3, 0, 2 }, gr[GR_COUNT] = { 0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff };
	static const uint8_t cr[CR_COUNT] = {
		0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c,
		0x0e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
	};
	static const uint8_t ar[AR_COUNT] = {
		0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00,
	};
	const uint8_t *font = rom ? find_font(rom, len) : NULL;

	for (unsigned i = 0; font && i < FONT; i++)     /* plane 2, 32 bytes a glyph */
		s->vram[4 * (i / GLYPH * 32 + i % GLYPH) + 2] = font[i];
	out(s, 0x3c2, 0x67);
	set_all(s, 0x3c4, sr, SR_COUNT);
	out(s, 0x3d4, CR_RETRACE_END);          /* unprotect the first ones */
	out(s, 0x3d5, 0);
	set_all(s, 0x3d4, cr, CR_COUNT);
	set_all(s, 0x3ce, gr, GR_COUNT);
	bus_read(s->cfg.ports, 0x3da, 1);
	for (unsigned i = 0; i < AR_COUNT; i++) {
		out(s, 0x3c0, (uint8_t)i);
		out(s, 0x3c0, ar[i]);
	}
	out(s, 0x3c0, INDEX_PAS);
	set_palette(s);
	for (unsigned i = 0; i < VGA_TEXT_SIZE; i += 2)
		put_le16(s->text + i, 0x0720);
}
