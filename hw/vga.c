/* SPDX-License-Identifier: MIT */
/*
 * The IBM VGA (PS/2 Model 50 and 60 Technical Reference, "Video Subsystem", 1987) and the Bochs dispi extension
 * (VBE_DISPI interface, version B0C5h).
 *
 * The window at A0000 is a register window only where it must be, for planar and unusual accesses: in text modes and
 * in packed-pixel modes it is mapped as memory, and remap() decides anew after each store to a register that matters.
 * Left out on purpose: light pen, interrupts at retrace, the mouse cursor, timing other than 60 Hz.
 */
#include "hw/vga_regs.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"

enum {
	PORTS = 0x3b0, PORTS_SIZE = 0x30, DISPI_PORTS = 0x1ce,
	MISC_COLOR = 0x01, MISC_RAM = 0x02,
	STATUS_BLANK = 0x01, STATUS_RETRACE = 0x08,
	DAC_READING = 3,
	CR_PROTECT = 0x80,

	MMIO_SIZE = 0x1000, MMIO_EDID = 0, MMIO_VGA = 0x400, MMIO_DISPI = 0x500, MMIO_QEXT = 0x600,
	QEXT_LITTLE = 0x1e1e1e1e,

	PAGE = 4096,
};

/* --- the window at A0000 ------------------------------------------------------------------------------------------ */

static void copy_text(struct vga *s, bool in)
{
	for (unsigned n = 0; n < VGA_TEXT_SIZE / 2; n++)
		for (unsigned p = 0; p < 2; p++)
			if (in)
				s->text[2 * n + p] = s->vram[4 * n + p];
			else
				s->vram[4 * n + p] = s->text[2 * n + p];
}

/* Where the graphics controller places the 64 KB or 32 KB that the processor sees. */
static uint32_t window_base(const struct vga *s, uint32_t *size)
{
	static const uint32_t base[] = { 0xa0000, 0xa0000, 0xb0000, 0xb8000 };
	static const uint32_t sizes[] = { 0x20000, 0x10000, 0x8000, 0x8000 };
	unsigned map = (s->r.gr[GR_MISC] & MISC_MAP) >> 2;

	*size = sizes[map];
	return base[map];
}

/* Stores go straight into the planes that the map mask names, loads come straight from them. */
static bool plain_access(const struct vga *s, uint8_t map_mask)
{
	return s->r.sr[SR_MAP_MASK] == map_mask && (s->r.gr[GR_MODE] & (MODE_WRITE | MODE_READ_COMPARE)) == 0 &&
	       s->r.gr[GR_ENABLE_SET_RESET] == 0 && s->r.gr[GR_DATA_ROTATE] == 0 && s->r.gr[GR_BIT_MASK] == 0xff;
}

static enum vga_window wanted_window(const struct vga *s, uint32_t *base, uint32_t *size, uint32_t *offset)
{
	uint8_t memory = s->r.sr[SR_MEMORY_MODE];

	*base = window_base(s, size);
	*offset = 0;
	if (vga_vbe_on(s) && s->r.vbe[VBE_BPP] > 4) {
		*base = 0xa0000;
		*size = 0x10000;
		*offset = s->r.vbe[VBE_BANK] * 0x10000u;
		return *offset < s->vram_size ? WINDOW_LINEAR : WINDOW_REGISTERS;
	}
	if (!(s->r.misc & MISC_RAM))
		return WINDOW_REGISTERS;
	if ((memory & MEMORY_CHAIN_4) && plain_access(s, 0x0f))
		return WINDOW_LINEAR;
	if (!(memory & (MEMORY_CHAIN_4 | MEMORY_NO_ODD_EVEN)) && (s->r.gr[GR_MODE] & MODE_ODD_EVEN) &&
	    !(s->r.gr[GR_READ_MAP] & 2) && *size == VGA_TEXT_SIZE && plain_access(s, 0x03))
		return WINDOW_TEXT;
	return WINDOW_REGISTERS;
}

static const struct io_ops window_ops;

static void map_piece(struct vga *s, unsigned i, uint32_t from, uint32_t to)
{
	struct vga_piece *p = &s->piece[i];

	if (from == to)
		return;
	p->base = from - VGA_WINDOW;
	p->mapped = bus_map(s->cfg.memory, from, to - from, &window_ops, p, "vga-window", NULL);
}

/* Make the mapping what the registers ask for. */
static void remap(struct vga *s)
{
	uint32_t base, size, offset;
	enum vga_window want = wanted_window(s, &base, &size, &offset);
	const uint8_t *host = want == WINDOW_LINEAR ? s->vram + offset : want == WINDOW_TEXT ? s->text : NULL;

	if (!host)
		base = VGA_WINDOW + VGA_WINDOW_SIZE, size = 0;
	if ((want == WINDOW_TEXT) != (s->r.window == WINDOW_TEXT))
		copy_text(s, want == WINDOW_TEXT);
	s->r.window = (uint8_t)want;
	if (host == s->ram_host && base == s->ram_base && size == s->ram_size)
		return;
	if (s->ram_size)
		bus_unmap_ram(s->cfg.memory, s->ram_base, s->ram_size);
	for (unsigned i = 0; i < 2; i++)
		if (s->piece[i].mapped) {
			bus_unmap(s->cfg.memory, VGA_WINDOW + s->piece[i].base);
			s->piece[i].mapped = false;
		}
	s->ram_base = base;
	s->ram_size = size;
	s->ram_host = host;
	map_piece(s, 0, VGA_WINDOW, base);
	map_piece(s, 1, base + size, VGA_WINDOW + VGA_WINDOW_SIZE);
	if (size)
		bus_map_ram(s->cfg.memory, base, size, (void *)(uintptr_t)host, BUS_RAM, "vga-memory");
}

/* --- the graphics controller's memory paths ----------------------------------------------------------------------- */

/* The processor's offset in the window as an offset in the planes, and the planes that it reaches. */
static bool translate(const struct vga *s, uint32_t address, uint32_t *offset, uint8_t *planes, uint8_t *read_plane)
{
	uint32_t size, base = window_base(s, &size) - VGA_WINDOW;
	uint8_t memory = s->r.sr[SR_MEMORY_MODE];

	if (!(s->r.misc & MISC_RAM) || address < base || address - base >= size)
		return false;
	address -= base;
	*read_plane = s->r.gr[GR_READ_MAP] & 3;
	*planes = s->r.sr[SR_MAP_MASK];
	*offset = address;
	if (memory & MEMORY_CHAIN_4) {
		*read_plane = address & 3;
		*planes &= (uint8_t)(1 << (address & 3));
		*offset = address >> 2;
	} else if (s->r.gr[GR_MODE] & MODE_ODD_EVEN) {
		*read_plane = (uint8_t)((*read_plane & 2) | (address & 1));
		*offset = address >> 1;
	}
	if (!(memory & (MEMORY_NO_ODD_EVEN | MEMORY_CHAIN_4))) {
		*planes &= address & 1 ? 0x0a : 0x05;
		*offset = address >> 1;
	}
	return *offset < s->vram_size / 4;
}

static uint8_t window_load(struct vga *s, uint32_t address)
{
	uint32_t offset;
	uint8_t planes, plane, differs = 0;

	if (!translate(s, address, &offset, &planes, &plane))
		return 0xff;
	memcpy(s->r.latch, s->vram + 4 * offset, 4);
	if (!(s->r.gr[GR_MODE] & MODE_READ_COMPARE))
		return s->r.latch[plane];
	for (unsigned p = 0; p < 4; p++)
		if (s->r.gr[GR_COLOR_DONT_CARE] & 1 << p)
			differs |= s->r.latch[p] ^ (s->r.gr[GR_COLOR_COMPARE] & 1 << p ? 0xff : 0);
	return (uint8_t)~differs;
}

static uint8_t logical(unsigned function, uint8_t data, uint8_t latch)
{
	switch (function) {
	case 1:
		return data & latch;
	case 2:
		return data | latch;
	case 3:
		return data ^ latch;
	}
	return data;
}

static void window_store(struct vga *s, uint32_t address, uint8_t value)
{
	const uint8_t *gr = s->r.gr;
	unsigned rotate = gr[GR_DATA_ROTATE] & 7, mode = gr[GR_MODE] & MODE_WRITE;
	uint8_t rotated = (uint8_t)(value >> rotate | value << (8 - rotate)), mask = gr[GR_BIT_MASK], planes, plane;
	uint32_t offset;

	if (!translate(s, address, &offset, &planes, &plane))
		return;
	for (unsigned p = 0; p < 4; p++) {
		uint8_t latch = s->r.latch[p], data = rotated, bits = mask;
		bool set = gr[GR_SET_RESET] & 1 << p;

		if (!(planes & 1 << p))
			continue;
		switch (mode) {
		case 0:
			if (gr[GR_ENABLE_SET_RESET] & 1 << p)
				data = set ? 0xff : 0;
			break;
		case 1:
			s->vram[4 * offset + p] = latch;
			continue;
		case 2:
			data = value & 1 << p ? 0xff : 0;
			break;
		case 3:
			bits &= rotated;
			data = set ? 0xff : 0;
			break;
		}
		if (mode != 3)
			data = logical(gr[GR_DATA_ROTATE] >> 3 & 3, data, latch);
		s->vram[4 * offset + p] = (uint8_t)((data & bits) | (latch & ~bits));
	}
}

static uint64_t window_read(void *dev, uint64_t offset, unsigned size)
{
	struct vga_piece *p = dev;
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)window_load(p->vga, p->base + (uint32_t)offset + i) << 8 * i;
	return value;
}

static void window_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct vga_piece *p = dev;

	for (unsigned i = 0; i < size; i++)
		window_store(p->vga, p->base + (uint32_t)offset + i, (uint8_t)(value >> 8 * i));
}

static const struct io_ops window_ops = { .read = window_read, .write = window_write, .max_size = 8 };

/* --- the legacy registers ----------------------------------------------------------------------------------------- */

/* 60 frames a second of 525 lines: where the beam is. */
static uint8_t beam_status(const struct vga *s)
{
	uint64_t frame = clock_now(s->cfg.clock) % (S(1) / 60), line = frame / 31746, in_line = frame % 31746;

	if (line >= 490)
		return STATUS_BLANK | (line < 500 ? STATUS_RETRACE : 0);
	return line >= 480 || in_line > 25400 ? STATUS_BLANK : 0;
}

static uint8_t read_dac(struct vga *s)
{
	uint8_t value = s->r.palette[s->r.dac_read][s->r.dac_sub];

	if (++s->r.dac_sub == 3) {
		s->r.dac_sub = 0;
		s->r.dac_read++;
	}
	return value;
}

static void write_dac(struct vga *s, uint8_t value)
{
	s->r.dac_latch[s->r.dac_sub] = s->r.vbe[VBE_ENABLE] & VBE_8BIT_DAC ? value : value & 0x3f;
	if (++s->r.dac_sub == 3) {
		s->r.dac_sub = 0;
		memcpy(s->r.palette[s->r.dac_write++], s->r.dac_latch, 3);
	}
}

static uint8_t read_port(struct vga *s, unsigned port)
{
	bool color = s->r.misc & MISC_COLOR;

	switch (port) {
	case 0x3c0:
		return s->r.ar_index;
	case 0x3c1:
		return (s->r.ar_index & 0x1f) < AR_COUNT ? s->r.ar[s->r.ar_index & 0x1f] : 0;
	case 0x3c2:
		return 0x10;                    /* a monitor is there */
	case 0x3c3:
		return 1;
	case 0x3c4:
		return s->r.sr_index;
	case 0x3c5:
		return s->r.sr_index < SR_COUNT ? s->r.sr[s->r.sr_index] : 0;
	case 0x3c6:
		return s->r.pel_mask;
	case 0x3c7:
		return s->r.dac_state;
	case 0x3c8:
		return s->r.dac_write;
	case 0x3c9:
		return read_dac(s);
	case 0x3ca:
		return s->r.feature;
	case 0x3cc:
		return s->r.misc;
	case 0x3ce:
		return s->r.gr_index;
	case 0x3cf:
		return s->r.gr_index < GR_COUNT ? s->r.gr[s->r.gr_index] : 0;
	case 0x3b4: case 0x3d4:
		if (color == (port == 0x3d4))
			return s->r.cr_index;
		break;
	case 0x3b5: case 0x3d5:
		if (color == (port == 0x3d5))
			return s->r.cr_index < CR_COUNT ? s->r.cr[s->r.cr_index] : 0;
		break;
	case 0x3ba: case 0x3da:
		if (color == (port == 0x3da)) {
			s->r.ar_data = false;
			return beam_status(s);
		}
		break;
	}
	return 0xff;
}

static void write_attribute(struct vga *s, uint8_t value)
{
	static const uint8_t writable[] = { [AR_MODE] = 0xef, 0xff, 0x3f, 0x0f, 0x0f };
	unsigned i = s->r.ar_index & 0x1f;

	s->r.ar_data = !s->r.ar_data;
	if (s->r.ar_data)
		s->r.ar_index = value & 0x3f;
	else if (i < AR_MODE)
		s->r.ar[i] = value & 0x3f;
	else if (i < AR_COUNT)
		s->r.ar[i] = value & writable[i];
}

static void write_crtc(struct vga *s, uint8_t value)
{
	unsigned i = s->r.cr_index;

	if (i >= CR_COUNT)
		return;
	if (i <= CR_OVERFLOW && (s->r.cr[CR_RETRACE_END] & CR_PROTECT)) {
		if (i == CR_OVERFLOW)           /* line compare's bit stays writable */
			s->r.cr[i] = (uint8_t)((s->r.cr[i] & ~0x10) | (value & 0x10));
		return;
	}
	s->r.cr[i] = value;
}

static void write_port(struct vga *s, unsigned port, uint8_t value)
{
	static const uint8_t sr_writable[] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e };
	static const uint8_t gr_writable[] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };
	bool color = s->r.misc & MISC_COLOR;

	switch (port) {
	case 0x3c0:
		write_attribute(s, value);
		break;
	case 0x3c2:
		s->r.misc = value & 0xef;
		remap(s);
		break;
	case 0x3c4:
		s->r.sr_index = value & 7;
		break;
	case 0x3c5:
		if (s->r.sr_index < SR_COUNT) {
			s->r.sr[s->r.sr_index] = value & sr_writable[s->r.sr_index];
			remap(s);
		}
		break;
	case 0x3c6:
		s->r.pel_mask = value;
		break;
	case 0x3c7:
		s->r.dac_read = value;
		s->r.dac_sub = 0;
		s->r.dac_state = DAC_READING;
		break;
	case 0x3c8:
		s->r.dac_write = value;
		s->r.dac_sub = 0;
		s->r.dac_state = 0;
		break;
	case 0x3c9:
		write_dac(s, value);
		break;
	case 0x3ce:
		s->r.gr_index = value & 15;
		break;
	case 0x3cf:
		if (s->r.gr_index < GR_COUNT) {
			s->r.gr[s->r.gr_index] = value & gr_writable[s->r.gr_index];
			remap(s);
		}
		break;
	case 0x3b4: case 0x3d4:
		if (color == (port == 0x3d4))
			s->r.cr_index = value;
		break;
	case 0x3b5: case 0x3d5:
		if (color == (port == 0x3d5))
			write_crtc(s, value);
		break;
	case 0x3ba: case 0x3da:
		if (color == (port == 0x3da))
			s->r.feature = value & 3;
		break;
	}
}

static uint64_t ports_read(void *dev, uint64_t offset, unsigned size)
{
	(void)size;
	return read_port(dev, PORTS + (unsigned)offset);
}

static void ports_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	(void)size;
	write_port(dev, PORTS + (unsigned)offset, (uint8_t)value);
}

static const struct io_ops ports_ops = { .read = ports_read, .write = ports_write, .max_size = 1 };

/* --- dispi -------------------------------------------------------------------------------------------------------- */

static uint16_t read_dispi(const struct vga *s, unsigned i)
{
	if (s->r.vbe[VBE_ENABLE] & VBE_GETCAPS) {
		switch (i) {
		case VBE_XRES:
			return VBE_XRES_MAX;
		case VBE_YRES:
			return VBE_YRES_MAX;
		case VBE_BPP:
			return 32;
		}
	}
	switch (i) {
	case VBE_VIRT_HEIGHT:
		return vga_vbe_on(s) && vga_vbe_pitch(s) ? (uint16_t)MIN(s->vram_size / vga_vbe_pitch(s), 0xffffu) : 0;
	case VBE_MEMORY_64K:
		return (uint16_t)(s->vram_size >> 16);
	}
	return i < VBE_COUNT ? s->r.vbe[i] : 0;
}

static void write_enable(struct vga *s, uint16_t value)
{
	uint16_t *vbe = s->r.vbe, before = vbe[VBE_ENABLE];

	vbe[VBE_ENABLE] = value & (VBE_ENABLED | VBE_GETCAPS | VBE_8BIT_DAC | VBE_LFB | VBE_NOCLEAR);
	if (value & ~before & VBE_ENABLED) {
		vbe[VBE_VIRT_WIDTH] = vbe[VBE_XRES];
		vbe[VBE_X_OFFSET] = vbe[VBE_Y_OFFSET] = vbe[VBE_BANK] = 0;
		remap(s);                       /* first, lest text come back over what is cleared */
		if (!(value & VBE_NOCLEAR))
			memset(s->vram, 0, MIN((size_t)vga_vbe_pitch(s) * vbe[VBE_YRES], (size_t)s->vram_size));
	}
	remap(s);
}

static bool valid_bpp(uint16_t bpp)
{
	return bpp == 4 || bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32;
}

static void write_dispi(struct vga *s, unsigned i, uint16_t value)
{
	uint16_t *vbe = s->r.vbe;

	switch (i) {
	case VBE_ID:
		if (value >= VBE_ID_FIRST && value <= VBE_ID_LAST)
			vbe[i] = value;
		break;
	case VBE_XRES:
	case VBE_YRES:
	case VBE_BPP:
		/* Resolution stands while it is shown, as with Bochs. */
		if (vga_vbe_on(s) || (i == VBE_BPP && !valid_bpp(value)) || (i == VBE_XRES && value > VBE_XRES_MAX) ||
		    (i == VBE_YRES && value > VBE_YRES_MAX))
			log_guest("vga", "dispi register %u refuses %u", i, value);
		else
			vbe[i] = value;
		break;
	case VBE_ENABLE:
		write_enable(s, value);
		break;
	case VBE_BANK:
		vbe[i] = value & 0x1fff;
		remap(s);
		break;
	case VBE_VIRT_WIDTH:
		if (value >= vbe[VBE_XRES] && value <= 2 * VBE_XRES_MAX)
			vbe[i] = value;
		break;
	case VBE_X_OFFSET:
	case VBE_Y_OFFSET:
		vbe[i] = value;
		break;
	}
}

static uint64_t dispi_read(void *dev, uint64_t offset, unsigned size)
{
	struct vga *s = dev;
	uint16_t value = offset == 0 ? s->r.vbe_index : read_dispi(s, s->r.vbe_index);

	return size == 1 ? value & 0xff : value;
}

static void dispi_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct vga *s = dev;

	(void)size;
	if (offset == 0)
		s->r.vbe_index = (uint16_t)value;
	else
		write_dispi(s, s->r.vbe_index, (uint16_t)value);
}

static const struct io_ops dispi_ops = { .read = dispi_read, .write = dispi_write, .min_size = 1, .max_size = 2 };

/* --- BAR 2 -------------------------------------------------------------------------------------------------------- */

static uint64_t mmio_read(void *dev, uint64_t offset, unsigned size)
{
	struct vga *s = dev;

	if (offset < MMIO_EDID + sizeof(s->edid))
		return size == 2 ? le16(s->edid + (offset & ~1ull)) : s->edid[offset];
	if (offset >= MMIO_VGA && offset < MMIO_VGA + 0x20) {
		unsigned port = 0x3c0 + (unsigned)(offset - MMIO_VGA);

		return size == 2 ? (uint64_t)(read_port(s, port) | read_port(s, port + 1) << 8) : read_port(s, port);
	}
	if (offset >= MMIO_DISPI && offset < MMIO_DISPI + 2 * VBE_COUNT) {
		uint16_t value = read_dispi(s, (unsigned)(offset - MMIO_DISPI) / 2);

		return size == 2 ? value : offset & 1 ? value >> 8 : value & 0xff;
	}
	if (offset >= MMIO_QEXT && offset < MMIO_QEXT + 8) {
		static const uint8_t qext[8] = { 8, 0, 0, 0, 0x1e, 0x1e, 0x1e, 0x1e };

		return size == 2 ? le16(qext + (offset & 6)) : qext[offset & 7];
	}
	return 0;
}

static void mmio_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct vga *s = dev;

	if (offset >= MMIO_VGA && offset < MMIO_VGA + 0x20) {
		write_port(s, 0x3c0 + (unsigned)(offset - MMIO_VGA), (uint8_t)value);
		if (size == 2)
			write_port(s, 0x3c1 + (unsigned)(offset - MMIO_VGA), (uint8_t)(value >> 8));
	} else if (offset >= MMIO_DISPI && offset < MMIO_DISPI + 2 * VBE_COUNT && size == 2) {
		write_dispi(s, (unsigned)(offset - MMIO_DISPI) / 2, (uint16_t)value);
	} else if (offset == MMIO_QEXT + 4 && value != (QEXT_LITTLE & 0xffff)) {
		log_unimp("vga", "big-endian frame buffer");
	}
}

static const struct io_ops mmio_ops = { .read = mmio_read, .write = mmio_write, .min_size = 1, .max_size = 2 };

/* --- life --------------------------------------------------------------------------------------------------------- */

/* VESA E-EDID 1.4: one monitor that prefers 1280x800 and takes the usual smaller modes. */
static void make_edid(uint8_t *e)
{
	static const uint8_t header[] = { 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0 };
	static const uint8_t timing[] = {       /* 71 MHz, 1280+160, 800+23: CVT reduced blanking */
		0xbc, 0x1b, 0x00, 0xa0, 0x50, 0x20, 0x17, 0x30, 0x30, 0x20, 0x36, 0x00, 0x40, 0xf0, 0x00, 0, 0, 0x1a,
	};
	static const uint8_t range[] = { 0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 45, 0, 10, ' ', ' ', ' ', ' ', ' ', ' ' };
	static const uint8_t name[] = "\0\0\0\xfc\0tenbox\n      ";
	static const uint8_t chroma[] = { 0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54 };     /* sRGB */
	uint8_t sum = 0;

	memset(e, 0, 128);
	memcpy(e, header, sizeof(header));
	put_be16(e + 8, ('T' - 64) << 10 | ('B' - 64) << 5 | ('X' - 64));
	e[10] = 1;
	e[16] = 1;
	e[17] = 2024 - 1990;
	e[18] = 1;
	e[19] = 4;
	e[20] = 0xa5;                           /* digital, 8 bits a colour, DisplayPort */
	e[21] = 32;
	e[22] = 20;
	e[23] = 120;
	e[24] = 0x06;                           /* sRGB, preferred timing is native */
	memcpy(e + 25, chroma, sizeof(chroma));
	e[35] = 0x21;                           /* 640x480, 800x600, 1024x768 at 60 Hz */
	e[36] = 0x08;
	memset(e + 38, 1, 16);
	memcpy(e + 54, timing, 18);
	memcpy(e + 72, range, 18);
	memcpy(e + 90, name, 18);
	e[111] = 0x10;
	for (unsigned i = 0; i < 127; i++)
		sum += e[i];
	e[127] = -sum;
}

static void reset(void *owner)
{
	struct vga *s = owner;
	uint8_t window = s->r.window;

	memset(&s->r, 0, sizeof(s->r));
	s->r.window = window;                   /* remap puts the text back into its planes */
	s->r.vbe[VBE_ID] = VBE_ID_LAST;
	s->r.vbe[VBE_BPP] = 8;
	s->r.pel_mask = 0xff;
	remap(s);
}

static void loaded(void *owner)
{
	remap(owner);
}

static void keep(void *owner)
{
	(void)owner;                            /* video memory survives a reset */
}

struct vga *vga_new(const struct vga_config *config, struct err *err)
{
	struct vga *s = calloc(1, sizeof(*s));
	uint32_t size = config->vram_size ? config->vram_size : 16u << 20;

	assert(s);
	s->cfg = *config;
	if ((size & (size - 1)) || size < 1u << 20 || size > 256u << 20) {
		err_set(err, "video memory of %u bytes: must be a power of two from 1 MiB to 256 MiB", size);
		free(s);
		return NULL;
	}
	/* calloc, not aligned_alloc and memset: pages that nobody draws on stay the host's zero page */
	s->allocation = calloc(1, (size_t)size + VGA_TEXT_SIZE + PAGE);
	if (!s->allocation) {
		err_set(err, "video memory of %u bytes: out of memory", size);
		free(s);
		return NULL;
	}
	s->vram = (uint8_t *)(((uintptr_t)s->allocation + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
	s->text = s->vram + size;
	s->vram_size = size;
	s->pci = pci_add(s->cfg.pci, &(struct pci_config){
		.name = "VGA", .vendor = 0x1234, .device = 0x1111, .subsystem_vendor = 0x1af4, .subsystem = 0x1100,
		.revision = 2, .class_code = 3, .devfn = s->cfg.devfn, .owner = s }, err);
	if (!s->pci) {
		free(s->allocation);
		free(s);
		return NULL;
	}
	for (unsigned i = 0; i < 2; i++)
		s->piece[i].vga = s;
	make_edid(s->edid);
	pci_bar_ram(s->pci, 0, size, PCI_BAR_MEM32_PREFETCH, s->vram);
	pci_bar(s->pci, 2, MMIO_SIZE, PCI_BAR_MEM32, &mmio_ops, s);
	if (!bus_map(s->cfg.ports, PORTS, PORTS_SIZE, &ports_ops, s, "vga", err) ||
	    !bus_map(s->cfg.ports, DISPI_PORTS, 3, &dispi_ops, s, "dispi", err)) {
		vga_free(s);
		return NULL;
	}
	reset(s);                               /* ram_base 0 is what no mapping has: makes the first one */
	state_add(s->cfg.states, &(struct state_section){
		.name = "vga", .version = 1, .data = &s->r, .size = sizeof(s->r), .owner = s, .reset = reset,
		.loaded = loaded });
	state_add(s->cfg.states, &(struct state_section){
		.name = "vga-memory", .version = 1, .data = s->vram, .size = (size_t)size + VGA_TEXT_SIZE, .owner = s,
		.reset = keep });
	return s;
}

void vga_free(struct vga *s)
{
	if (!s)
		return;
	bus_unmap(s->cfg.ports, PORTS);
	bus_unmap(s->cfg.ports, DISPI_PORTS);
	for (unsigned i = 0; i < 2; i++)
		if (s->piece[i].mapped)
			bus_unmap(s->cfg.memory, VGA_WINDOW + s->piece[i].base);
	if (s->ram_size)
		bus_unmap_ram(s->cfg.memory, s->ram_base, s->ram_size);
	free(s->allocation);
	free(s);
}

struct pci_device *vga_pci(struct vga *s)
{
	return s->pci;
}
