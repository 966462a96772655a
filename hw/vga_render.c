/* SPDX-License-Identifier: MIT */
/*
 * The picture that a VGA's registers and memory make.  It is drawn on demand and whole, at the size that software asked
 * for: double-scanned modes are drawn once, text with its cells of 8 or 9 dots.  What blinks is shown lit.
 * Left out on purpose: overscan, panning by single dots, underlining in monochrome text.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "hw/vga_regs.h"

struct canvas {
	const struct vga *vga;
	struct image *image;
	uint8_t color[256][3];          /* DAC as bytes */
	uint8_t attribute[16];          /* attribute to DAC index */
};

static unsigned lines(const struct vga *s)
{
	const uint8_t *cr = s->r.cr;

	return (cr[CR_VERTICAL_END] | (cr[CR_OVERFLOW] & 0x02) << 7 | (cr[CR_OVERFLOW] & 0x40) << 3) + 1u;
}

static unsigned line_compare(const struct vga *s)
{
	const uint8_t *cr = s->r.cr;

	return cr[CR_LINE_COMPARE] | (cr[CR_OVERFLOW] & 0x10) << 4 | (cr[CR_MAX_SCAN] & 0x40) << 3;
}

static unsigned start_address(const struct vga *s)
{
	return s->r.cr[CR_START_HIGH] << 8 | s->r.cr[CR_START_LOW];
}

static bool blank(const struct vga *s)
{
	return !(s->r.ar_index & INDEX_PAS) || (s->r.sr[SR_CLOCKING] & CLOCKING_SCREEN_OFF);
}

static bool text_mode(const struct vga *s)
{
	return !vga_vbe_on(s) && !(s->r.gr[GR_MISC] & MISC_GRAPHICS);
}

static uint8_t plane_byte(const struct vga *s, uint32_t offset, unsigned plane)
{
	if (plane < 2 && s->r.window == WINDOW_TEXT && offset < VGA_TEXT_SIZE / 2)
		return s->text[2 * offset + plane];
	return offset < s->vram_size / 4 ? s->vram[4 * (size_t)offset + plane] : 0;
}

static bool new_image(struct image *image, unsigned width, unsigned height)
{
	image->width = width;
	image->height = height;
	image->rgb = calloc((size_t)width * height, 3);
	return image->rgb != NULL;
}

static uint8_t *pixel(const struct canvas *c, unsigned x, unsigned y)
{
	return c->image->rgb + 3 * ((size_t)y * c->image->width + x);
}

static void put(const struct canvas *c, unsigned x, unsigned y, uint8_t dac)
{
	memcpy(pixel(c, x, y), c->color[dac & c->vga->r.pel_mask], 3);
}

static void prepare(struct canvas *c)
{
	const struct vga *s = c->vga;
	bool wide = s->r.vbe[VBE_ENABLE] & VBE_8BIT_DAC;
	const uint8_t *ar = s->r.ar;

	for (unsigned i = 0; i < 256; i++)
		for (unsigned j = 0; j < 3; j++) {
			uint8_t v = s->r.palette[i][j];

			c->color[i][j] = wide ? v : (uint8_t)((v & 0x3f) << 2 | (v & 0x3f) >> 4);
		}
	for (unsigned i = 0; i < 16; i++)
		if (ar[AR_MODE] & ATTRIBUTE_P54S)
			c->attribute[i] = (uint8_t)((ar[i] & 0x0f) | (ar[AR_COLOR_SELECT] & 0x0f) << 4);
		else
			c->attribute[i] = (uint8_t)((ar[i] & 0x3f) | (ar[AR_COLOR_SELECT] & 0x0c) << 4);
}

/* --- text --------------------------------------------------------------------------------------------------------- */

struct grid {
	unsigned columns, rows, cell_width, cell_height, start, pitch;
};

static struct grid text_grid(const struct vga *s)
{
	struct grid g = {
		.columns = s->r.cr[CR_HORIZONTAL_END] + 1u,
		.cell_width = s->r.sr[SR_CLOCKING] & CLOCKING_8_DOTS ? 8 : 9,
		.cell_height = (s->r.cr[CR_MAX_SCAN] & 0x1f) + 1u,
		.start = start_address(s),
		.pitch = s->r.cr[CR_OFFSET] * 2u,
	};
	unsigned n = lines(s);

	if (s->r.cr[CR_MAX_SCAN] & MAX_SCAN_DOUBLE)
		n /= 2;
	g.rows = n / g.cell_height;
	return g;
}

/* The address of a cell; addresses wrap in the 32 K of characters and attributes that the CRT controller counts. */
static uint32_t cell(const struct grid *g, unsigned column, unsigned row)
{
	return (g->start + row * g->pitch + column) & 0xffff;
}

static uint32_t font_base(const struct vga *s, uint8_t attribute)
{
	static const uint16_t base[] = { 0x0000, 0x4000, 0x8000, 0xc000, 0x2000, 0x6000, 0xa000, 0xe000 };
	uint8_t map = s->r.sr[SR_CHARACTER_MAP];
	unsigned a = (map >> 2 & 3) | (map >> 3 & 4), b = (map & 3) | (map >> 2 & 4);

	return base[attribute & 8 ? a : b];
}

static void draw_cell(const struct canvas *c, const struct grid *g, unsigned column, unsigned row)
{
	const struct vga *s = c->vga;
	uint32_t at = cell(g, column, row);
	uint8_t ch = plane_byte(s, at, 0), attribute = plane_byte(s, at, 1);
	uint32_t glyph = font_base(s, attribute) + ch * 32u;
	uint8_t fore = c->attribute[attribute & 15];
	uint8_t back = c->attribute[attribute >> 4 & (s->r.ar[AR_MODE] & ATTRIBUTE_BLINK ? 7 : 15)];
	bool line_graphics = (s->r.ar[AR_MODE] & ATTRIBUTE_LINE_GRAPHICS) && ch >= 0xc0 && ch <= 0xdf;
	unsigned cursor = s->r.cr[CR_CURSOR_HIGH] << 8 | s->r.cr[CR_CURSOR_LOW];
	unsigned first = s->r.cr[CR_CURSOR_START] & 0x1f, last = s->r.cr[CR_CURSOR_END] & 0x1f;
	bool has_cursor = at == cursor && !(s->r.cr[CR_CURSOR_START] & CURSOR_OFF);

	for (unsigned y = 0; y < g->cell_height; y++) {
		unsigned bits = plane_byte(s, glyph + y, 2) << 1;

		if (line_graphics)
			bits |= bits >> 1 & 1;
		if (has_cursor && y >= first && y <= last)
			bits = 0x1ff;
		for (unsigned x = 0; x < g->cell_width; x++)
			put(c, column * g->cell_width + x, row * g->cell_height + y, bits & 0x100 >> x ? fore : back);
	}
}

static bool draw_text(struct canvas *c)
{
	struct grid g = text_grid(c->vga);

	if (!new_image(c->image, g.columns * g.cell_width, MAX(g.rows, 1u) * g.cell_height))
		return false;
	if (blank(c->vga))
		return true;
	prepare(c);
	for (unsigned row = 0; row < g.rows; row++)
		for (unsigned column = 0; column < g.columns; column++)
			draw_cell(c, &g, column, row);
	return true;
}

/* --- VGA graphics ------------------------------------------------------------------------------------------------- */

/* Four bits a pixel, one from each plane; with the CGA shift, two bits from each of two planes. */
static void draw_planar_line(const struct canvas *c, unsigned y, uint32_t at, bool cga)
{
	const struct vga *s = c->vga;
	uint8_t enable = s->r.ar[AR_PLANE_ENABLE] & 15;

	for (unsigned x = 0; x < c->image->width; x++) {
		uint32_t offset = at + x / 8;
		unsigned in = x % 8, value = 0;

		if (cga) {
			value = plane_byte(s, offset, in / 4) >> (6 - 2 * (in % 4)) & 3;
			value |= (plane_byte(s, offset, 2 + in / 4) >> (6 - 2 * (in % 4)) & 3) << 2;
		} else {
			for (unsigned p = 0; p < 4; p++)
				value |= (plane_byte(s, offset, p) >> (7 - in) & 1u) << p;
		}
		put(c, x, y, c->attribute[value & enable]);
	}
}

static void draw_packed_line(const struct canvas *c, unsigned y, uint32_t at)
{
	const struct vga *s = c->vga;

	for (unsigned x = 0; x < c->image->width; x++) {
		uint64_t i = (uint64_t)at * 4 + x;

		put(c, x, y, i < s->vram_size ? plane_byte(s, (uint32_t)(i / 4), i % 4) : 0);
	}
}

/* Plane offset of a scan line; CGA and Hercules modes put row scan bits into the address. */
static uint32_t line_offset(const struct vga *s, unsigned line, unsigned scans)
{
	unsigned pitch = s->r.cr[CR_OFFSET] * 2u, compare = line_compare(s), start = start_address(s);
	bool byte_mode = s->r.cr[CR_MODE] & CRT_MODE_BYTE;
	uint32_t at;

	if (line > compare) {                   /* the lower half of a split screen begins at 0 */
		line -= compare + 1;
		start = 0;
	}
	at = start + line / scans * pitch;
	if (!(s->r.cr[CR_MODE] & CRT_MODE_CMS) && (line % scans & 1))
		at |= byte_mode ? 0x2000 : 0x1000;      /* A13; in word mode memory here is counted in words */
	return at;
}

static bool draw_graphics(struct canvas *c)
{
	const struct vga *s = c->vga;
	bool packed = s->r.gr[GR_MODE] & MODE_SHIFT_256, cga = !packed && (s->r.gr[GR_MODE] & MODE_SHIFT_CGA);
	bool interleaved = !(s->r.cr[CR_MODE] & CRT_MODE_CMS);
	unsigned width = (s->r.cr[CR_HORIZONTAL_END] + 1u) * 8, scans = (s->r.cr[CR_MAX_SCAN] & 0x1f) + 1u;
	unsigned twice = s->r.cr[CR_MAX_SCAN] & MAX_SCAN_DOUBLE ? 2 : 1, step, height;

	if (packed)
		width /= 2;
	/* Repeated scan lines are drawn once, but those that the row scan tells apart. */
	step = twice * (interleaved ? 1 : scans);
	height = MAX(lines(s) / step, 1u);
	if (!new_image(c->image, width, height))
		return false;
	if (blank(s))
		return true;
	prepare(c);
	for (unsigned y = 0; y < height; y++) {
		uint32_t at = line_offset(s, y * step / twice, scans);

		if (packed)
			draw_packed_line(c, y, at);
		else
			draw_planar_line(c, y, at, cga);
	}
	return true;
}

/* --- dispi modes -------------------------------------------------------------------------------------------------- */

static void unpack(const struct canvas *c, const uint8_t *p, unsigned bpp, uint8_t *rgb)
{
	unsigned v;

	switch (bpp) {
	case 8:
		memcpy(rgb, c->color[*p & c->vga->r.pel_mask], 3);
		break;
	case 15:
		v = le16(p);
		rgb[0] = (uint8_t)((v >> 7 & 0xf8) | (v >> 12 & 7));
		rgb[1] = (uint8_t)((v >> 2 & 0xf8) | (v >> 7 & 7));
		rgb[2] = (uint8_t)((v << 3 & 0xf8) | (v >> 2 & 7));
		break;
	case 16:
		v = le16(p);
		rgb[0] = (uint8_t)((v >> 8 & 0xf8) | (v >> 13 & 7));
		rgb[1] = (uint8_t)((v >> 3 & 0xfc) | (v >> 9 & 3));
		rgb[2] = (uint8_t)((v << 3 & 0xf8) | (v >> 2 & 7));
		break;
	default:
		rgb[0] = p[2];
		rgb[1] = p[1];
		rgb[2] = p[0];
	}
}

static bool draw_linear(struct canvas *c)
{
	const struct vga *s = c->vga;
	const uint16_t *vbe = s->r.vbe;
	unsigned width = MAX(vbe[VBE_XRES], 1), height = MAX(vbe[VBE_YRES], 1);
	unsigned bpp = vbe[VBE_BPP], bytes = (bpp + 7) / 8;
	uint32_t pitch = vga_vbe_pitch(s);
	uint64_t start = (uint64_t)vbe[VBE_Y_OFFSET] * pitch + (uint64_t)vbe[VBE_X_OFFSET] * bytes;

	if (pitch)                              /* no taller than memory: bounds the picture */
		height = MAX(MIN(height, s->vram_size / pitch), 1u);
	if (!new_image(c->image, width, height))
		return false;
	prepare(c);
	for (unsigned y = 0; y < height; y++)
		for (unsigned x = 0; x < width; x++) {
			uint64_t i = start + (uint64_t)y * pitch + (uint64_t)x * bytes;

			if (i + bytes <= s->vram_size)
				unpack(c, s->vram + i, bpp, pixel(c, x, y));
		}
	return true;
}

static bool draw_planar_vbe(struct canvas *c)
{
	const struct vga *s = c->vga;
	uint32_t pitch = s->r.vbe[VBE_VIRT_WIDTH] / 8;
	unsigned height = MAX(s->r.vbe[VBE_YRES], 1);

	if (pitch)
		height = MAX(MIN(height, s->vram_size / 4 / pitch), 1u);
	if (!new_image(c->image, MAX(s->r.vbe[VBE_XRES], 1), height))
		return false;
	prepare(c);
	for (unsigned y = 0; y < height; y++)
		draw_planar_line(c, y, (s->r.vbe[VBE_Y_OFFSET] + y) * pitch + s->r.vbe[VBE_X_OFFSET] / 8, false);
	return true;
}

bool vga_render(struct vga *s, struct image *image)
{
	struct canvas c = { .vga = s, .image = image };

	if (vga_vbe_on(s))
		return s->r.vbe[VBE_BPP] == 4 ? draw_planar_vbe(&c) : draw_linear(&c);
	return text_mode(s) ? draw_text(&c) : draw_graphics(&c);
}

/* --- text as text ------------------------------------------------------------------------------------------------- */

/* Code page 437 above and below ASCII. */
static const uint16_t high[128] = {
	0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef, 0x00ee, 0x00ec,
	0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9, 0x00ff, 0x00d6, 0x00dc, 0x00a2,
	0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310,
	0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556,
	0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c,
	0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559,
	0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x03b1, 0x00df,
	0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e, 0x03c6, 0x03b5, 0x2229,
	0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248, 0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2,
	0x25a0, 0x00a0,
};
static const uint16_t low[32] = {
	0x0020, 0x263a, 0x263b, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022, 0x25d8, 0x25cb, 0x25d9, 0x2642, 0x2640, 0x266a,
	0x266b, 0x263c, 0x25ba, 0x25c4, 0x2195, 0x203c, 0x00b6, 0x00a7, 0x25ac, 0x21a8, 0x2191, 0x2193, 0x2192, 0x2190,
	0x221f, 0x2194, 0x25b2, 0x25bc,
};

static char *put_utf8(char *p, uint16_t u)
{
	if (u < 0x80) {
		*p++ = (char)u;
	} else if (u < 0x800) {
		*p++ = (char)(0xc0 | u >> 6);
		*p++ = (char)(0x80 | (u & 0x3f));
	} else {
		*p++ = (char)(0xe0 | u >> 12);
		*p++ = (char)(0x80 | (u >> 6 & 0x3f));
		*p++ = (char)(0x80 | (u & 0x3f));
	}
	return p;
}

bool vga_text(struct vga *s, void (*out)(void *to, const char *line), void *to)
{
	struct grid g = text_grid(s);
	char line[256 * 3 + 1];

	if (!text_mode(s))
		return false;
	for (unsigned row = 0; row < g.rows; row++) {
		char *p = line, *end = line;

		for (unsigned column = 0; column < g.columns; column++) {
			uint8_t ch = plane_byte(s, cell(&g, column, row), 0);

			p = put_utf8(p, ch < 32 ? low[ch] : ch < 127 ? ch : ch == 127 ? 0x2302 : high[ch - 128]);
			if (p[-1] != ' ')
				end = p;
		}
		*end = 0;
		out(to, line);
	}
	return true;
}
