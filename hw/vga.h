/* SPDX-License-Identifier: MIT */
/*
 * A standard VGA with the Bochs dispi extension, as QEMU's "stdvga" is (PCI 1234:1111): legacy ports and the window at
 * A0000, BAR 0 video memory, BAR 2 the same registers in memory.
 */
#ifndef HW_VGA_H
#define HW_VGA_H

#include "base/clock.h"
#include "base/err.h"
#include "hw/bus.h"
#include "hw/display.h"
#include "hw/pci.h"
#include "hw/state.h"

struct vga_config {
	struct bus *memory, *ports;
	struct pci_bus *pci;
	int devfn;                      /* -1: first free slot */
	uint32_t vram_size;             /* power of two, 1 to 256 MiB; 0: 16 MiB */
	struct clock *clock;            /* retrace bits, blinking */
	struct state_list *states;
};

struct vga;
struct vga *vga_new(const struct vga_config *config, struct err *err);
void vga_free(struct vga *s);
struct pci_device *vga_pci(struct vga *s);      /* for pci_rom_file */

/*
 * Set 80x25 text, as a BIOS leaves it, for a boot that runs none.  rom: the VGA BIOS image, for its font; may be NULL.
 */
void vga_text_mode(struct vga *s, const void *rom, size_t len);

/* What the screen shows now.  false: out of memory.  image->rgb is the caller's to free. */
bool vga_render(struct vga *s, struct image *image);
/* The text screen, line by line, UTF-8 without trailing blanks; false (and no line) in a graphics mode. */
bool vga_text(struct vga *s, void (*out)(void *to, const char *line), void *to);

#endif
