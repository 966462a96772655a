/* SPDX-License-Identifier: MIT */
/* The VGA's registers and state, shared by vga.c (the chip) and vga_render.c (the picture); nobody else includes it. */
#ifndef HW_VGA_REGS_H
#define HW_VGA_REGS_H

#include "hw/vga.h"

enum {                                  /* sequencer, 3C4h */
	SR_RESET, SR_CLOCKING, SR_MAP_MASK, SR_CHARACTER_MAP, SR_MEMORY_MODE, SR_COUNT,
	CLOCKING_8_DOTS = 0x01, CLOCKING_SCREEN_OFF = 0x20,
	MEMORY_NO_ODD_EVEN = 0x04, MEMORY_CHAIN_4 = 0x08,
};
enum {                                  /* graphics controller, 3CEh */
	GR_SET_RESET, GR_ENABLE_SET_RESET, GR_COLOR_COMPARE, GR_DATA_ROTATE, GR_READ_MAP, GR_MODE, GR_MISC,
	GR_COLOR_DONT_CARE, GR_BIT_MASK, GR_COUNT,
	MODE_WRITE = 0x03, MODE_READ_COMPARE = 0x08, MODE_ODD_EVEN = 0x10, MODE_SHIFT_CGA = 0x20, MODE_SHIFT_256 = 0x40,
	MISC_GRAPHICS = 0x01, MISC_MAP = 0x0c,
};
enum {                                  /* CRT controller, 3B4h or 3D4h */
	CR_HORIZONTAL_END = 0x01, CR_OVERFLOW = 0x07, CR_MAX_SCAN = 0x09, CR_CURSOR_START = 0x0a, CR_CURSOR_END = 0x0b,
	CR_START_HIGH = 0x0c, CR_START_LOW = 0x0d, CR_CURSOR_HIGH = 0x0e, CR_CURSOR_LOW = 0x0f, CR_RETRACE_END = 0x11,
	CR_VERTICAL_END = 0x12, CR_OFFSET = 0x13, CR_UNDERLINE = 0x14, CR_MODE = 0x17, CR_LINE_COMPARE = 0x18,
	CR_COUNT = 0x19,
	CRT_MODE_CMS = 0x01, CRT_MODE_BYTE = 0x40, MAX_SCAN_DOUBLE = 0x80, UNDERLINE_DWORD = 0x40, CURSOR_OFF = 0x20,
};
enum {                                  /* attribute controller, 3C0h */
	AR_MODE = 0x10, AR_OVERSCAN = 0x11, AR_PLANE_ENABLE = 0x12, AR_PAN = 0x13, AR_COLOR_SELECT = 0x14,
	AR_COUNT = 0x15, ATTRIBUTE_LINE_GRAPHICS = 0x04, ATTRIBUTE_BLINK = 0x08, ATTRIBUTE_P54S = 0x80,
	INDEX_PAS = 0x20,
};
enum {                                  /* Bochs dispi, 1CEh */
	VBE_ID, VBE_XRES, VBE_YRES, VBE_BPP, VBE_ENABLE, VBE_BANK, VBE_VIRT_WIDTH, VBE_VIRT_HEIGHT, VBE_X_OFFSET,
	VBE_Y_OFFSET, VBE_MEMORY_64K, VBE_COUNT,
	VBE_ENABLED = 0x01, VBE_GETCAPS = 0x02, VBE_8BIT_DAC = 0x20, VBE_LFB = 0x40, VBE_NOCLEAR = 0x80,
	VBE_ID_FIRST = 0xb0c0, VBE_ID_LAST = 0xb0c5,
	VBE_XRES_MAX = 8192, VBE_YRES_MAX = 8192,
};

enum { VGA_WINDOW = 0xa0000, VGA_WINDOW_SIZE = 0x20000, VGA_TEXT_SIZE = 0x8000 };

/* How the window at A0000 is mapped. */
enum vga_window {
	WINDOW_REGISTERS,               /* every access goes through the graphics controller */
	WINDOW_LINEAR,                  /* it is a piece of video memory */
	WINDOW_TEXT,                    /* it is `text`: planes 0 and 1 of the first 32 KB, side by side */
};

struct vga {
	struct vga_config cfg;
	struct pci_device *pci;
	void *allocation;
	/*
	 * Byte n of plane p is vram[4 * n + p]: chain-4 and packed-pixel modes then see it in order.  While the window
	 * is WINDOW_TEXT, planes 0 and 1 of the first 16 K bytes live in text[] instead: 2 * n + p.
	 */
	uint8_t *vram, *text;
	uint32_t vram_size;
	struct vga_piece {              /* parts of the window that go through registers */
		struct vga *vga;
		uint32_t base;
		bool mapped;
	} piece[2];
	uint32_t ram_base, ram_size;    /* the part that is memory; size 0: none */
	const uint8_t *ram_host;
	uint8_t edid[128];
	/* what reset() restores: */
	struct vga_state {
		uint8_t window;         /* enum vga_window */
		uint8_t misc, feature;
		uint8_t sr_index, gr_index, cr_index, ar_index;
		bool ar_data;           /* the next store to 3C0h is data */
		uint8_t sr[SR_COUNT], gr[GR_COUNT], cr[CR_COUNT], ar[AR_COUNT];
		uint8_t pel_mask, dac_read, dac_write, dac_sub, dac_state, dac_latch[3];
		uint8_t palette[256][3];
		uint8_t latch[4];
		uint16_t vbe_index, vbe[VBE_COUNT];
	} r;
};

static inline bool vga_vbe_on(const struct vga *s) { return s->r.vbe[VBE_ENABLE] & VBE_ENABLED; }
/* Bytes from one line to the next in a dispi mode (4 bpp: as a planar mode counts). */
static inline uint32_t vga_vbe_pitch(const struct vga *s)
{
	uint32_t bpp = s->r.vbe[VBE_BPP] == 15 ? 16 : s->r.vbe[VBE_BPP];

	return s->r.vbe[VBE_VIRT_WIDTH] * bpp / 8;
}

#endif
