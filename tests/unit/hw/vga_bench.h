/* SPDX-License-Identifier: MIT */
/* A VGA on a PCI bus, and the register sets of the standard modes (IBM VGA technical reference). */
#ifndef TESTS_UNIT_HW_VGA_BENCH_H
#define TESTS_UNIT_HW_VGA_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "hw/vga.h"
#include "tests/fake/fake_clock.h"

enum { DEVFN = 2 << 3, LFB = 0xe0000000u, MMIO = 0xe1000000u };

struct bench {
	struct fake_clock clock;
	struct bus *memory, *ports;
	struct pci_bus *pci;
	struct state_list *states;
	struct vga *vga;
	struct image image;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	fake_clock_init(&b->clock);
	b->memory = bus_new(BUS_MEMORY);
	b->ports = bus_new(BUS_PORTS);
	b->states = state_list_new();
	b->pci = pci_bus_new(&(struct pci_bus_config){ .memory = b->memory, .ports = b->ports });
	b->vga = vga_new(&(struct vga_config){
		.memory = b->memory, .ports = b->ports, .pci = b->pci, .devfn = DEVFN, .clock = b->clock.clock,
		.states = b->states }, NULL);
	assert_non_null(b->vga);
	pci_config_write(b->pci, 0, DEVFN, PCI_BAR0, LFB, 4);
	pci_config_write(b->pci, 0, DEVFN, PCI_BAR0 + 8, MMIO, 4);
	pci_config_write(b->pci, 0, DEVFN, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO, 2);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	free(b->image.rgb);
	vga_free(b->vga);
	pci_bus_free(b->pci);
	state_list_free(b->states);
	bus_free(b->memory);
	bus_free(b->ports);
	fake_clock_free(&b->clock);
	free(b);
	return 0;
}

static inline unsigned in(struct bench *b, unsigned port)
{
	return (unsigned)bus_read(b->ports, port, 1);
}

static inline void out(struct bench *b, unsigned port, unsigned value)
{
	bus_write(b->ports, port, value, 1);
}

static inline void out_index(struct bench *b, unsigned port, unsigned index, unsigned value)
{
	bus_write(b->ports, port, index | value << 8, 2);
}

static inline void dispi(struct bench *b, unsigned index, unsigned value)
{
	bus_write(b->ports, 0x1ce, index, 2);
	bus_write(b->ports, 0x1cf, value, 2);
}

static inline unsigned dispi_in(struct bench *b, unsigned index)
{
	bus_write(b->ports, 0x1ce, index, 2);
	return (unsigned)bus_read(b->ports, 0x1cf, 2);
}

struct mode {
	uint8_t misc, sr[4], cr[25], ar[20], gr[9];
};

static const struct mode mode_03 = {
	0x67, { 0x00, 0x03, 0x00, 0x02 },
	{ 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
	  0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff },
	{ 0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08 },
	{ 0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff },
};
static const struct mode mode_04 = {
	0x63, { 0x09, 0x03, 0x00, 0x02 },
	{ 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
	  0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff },
	{ 0, 0x13, 0x15, 0x17, 2, 4, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x01, 0x00, 0x03, 0x00 },
	{ 0, 0, 0, 0, 0, 0x30, 0x0f, 0x0f, 0xff },
};
static const struct mode mode_12 = {
	0xe3, { 0x01, 0x0f, 0x00, 0x06 },
	{ 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xea, 0x8c,
	  0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff },
	{ 0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x01, 0x00, 0x0f, 0x00 },
	{ 0, 0, 0, 0, 0, 0x00, 0x05, 0x0f, 0xff },
};
static const struct mode mode_13 = {
	0x63, { 0x01, 0x0f, 0x00, 0x0e },
	{ 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
	  0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff },
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x41, 0x00, 0x0f, 0x00 },
	{ 0, 0, 0, 0, 0, 0x40, 0x05, 0x0f, 0xff },
};

/* As a BIOS sets it, with a palette whose entry i is (i, 63 - i, i ^ 21). */
static inline void set_mode(struct bench *b, const struct mode *m)
{
	out(b, 0x3c2, m->misc);
	for (unsigned i = 0; i < 4; i++)
		out_index(b, 0x3c4, i + 1, m->sr[i]);
	out_index(b, 0x3d4, 0x11, 0);
	for (unsigned i = 0; i < 25; i++)
		out_index(b, 0x3d4, i, m->cr[i]);
	for (unsigned i = 0; i < 9; i++)
		out_index(b, 0x3ce, i, m->gr[i]);
	in(b, 0x3da);
	for (unsigned i = 0; i < 20; i++) {
		out(b, 0x3c0, i);
		out(b, 0x3c0, m->ar[i]);
	}
	out(b, 0x3c0, 0x34);
	out(b, 0x3c0, 0);
	out(b, 0x3c0, 0x20);
	out(b, 0x3c8, 0);
	for (unsigned i = 0; i < 256; i++) {
		out(b, 0x3c9, i & 63);
		out(b, 0x3c9, 63 - (i & 63));
		out(b, 0x3c9, (i ^ 21) & 63);
	}
}

static inline void render(struct bench *b)
{
	free(b->image.rgb);
	b->image.rgb = NULL;
	assert_true(vga_render(b->vga, &b->image));
}

/* The red byte of a pixel tells the palette entry. */
static inline unsigned entry_at(struct bench *b, unsigned x, unsigned y)
{
	assert_true(x < b->image.width && y < b->image.height);
	return b->image.rgb[3 * (y * b->image.width + x)] >> 2;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
