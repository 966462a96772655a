/* SPDX-License-Identifier: MIT */
/*
 * The board (interrupt controllers, timers, RTC, bridges, power management, fw_cfg) and a PCI function with MSI and MSI-X,
 * under any sequence of port and memory accesses, configuration cycles, interrupts and delays.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "hw/pc.h"
#include "hw/pci.h"
#include "hw/state.h"
#include "tests/fake/fake_clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RAM = 16 << 20, BIOS = 64 << 10 };

static struct {
	struct fake_clock clock;
	uint8_t *ram, *bios;
	struct pc *pc;
	struct pci_device *card;
} b;

static uint64_t card_read(void *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	assert(offset + size <= 0x4000);
	return offset;
}

static void card_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	(void)dev;
	(void)value;
	assert(offset + size <= 0x4000 + 3);
}

static const struct io_ops card_ops = { card_read, card_write, .min_size = 2, .max_size = 4 };

static void set_up(void)
{
	struct err e;

	fake_clock_init(&b.clock);
	b.ram = aligned_alloc(4096, RAM);
	b.bios = calloc(1, BIOS);
	assert(b.ram && b.bios);
	b.pc = pc_new(&(struct pc_config){ .clock = b.clock.clock, .cpu_count = 1, .ram_size = RAM, .ram = b.ram,
		.bios = b.bios, .bios_len = BIOS, .debug_exit_port = 0xf4 }, &e);
	assert(b.pc);
	b.card = pci_add(pc_pci(b.pc), &(struct pci_config){ .name = "card", .vendor = 0x1af4, .device = 1, .int_pin = 2,
		.devfn = -1 }, &e);
	pci_bar(b.card, 0, 0x20, PCI_BAR_IO, &card_ops, NULL);
	pci_bar(b.card, 1, 0x1000, PCI_BAR_MEM32, &card_ops, NULL);
	pci_bar(b.card, 4, 0x4000, PCI_BAR_MEM64_PREFETCH, &card_ops, NULL);
	pci_rom(b.card, "rom", 3);
	pci_msi_init(b.card, 0);
	pci_msix_init(b.card, 0, 70, 4, 0x1000, 0x2000);
}

/* Ports and addresses where something is, or nearly so, from one byte. */
static uint16_t port_near(uint8_t v)
{
	static const uint16_t bases[] = { 0x20, 0x40, 0x60, 0x70, 0x80, 0x92, 0xa0, 0xb2, 0x4d0, 0x510, 0x514, 0x600, 0x700,
					  0xcf8, 0xcfc, 0xafe0 };

	return (uint16_t)(bases[v & 15] + (v >> 4));
}

static uint64_t address_near(uint8_t v, uint16_t low)
{
	static const uint64_t bases[] = { 0xfec00000, 0xfed00000, 0xfed00100, 0xc0000, 0xf0000, 0xe0000000, 0xfffff000, 0x9ff00 };

	if (v & 8)
		return pci_bar_address(b.card, v & 16 ? 4 : 1) + (low & 0x3fff);
	return bases[v & 7] + (low & (v & 128 ? 0x1ff : 0x1f));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);

	if (!b.pc)
		set_up();
	pc_reset(b.pc);
	if (size & 1)
		pc_direct_boot(b.pc);
	while (cursor_left(&c)) {
		uint8_t op = cursor_u8(&c), where = cursor_u8(&c);
		uint32_t value = cursor_be32(&c);
		unsigned width = 1u << (op >> 3 & 3);

		switch (op & 7) {
		case 0: case 1:
			pc_io_write(b.pc, port_near(where), value, MIN(width, 4u));
			break;
		case 2:
			pc_io_read(b.pc, op & 0x80 ? (uint16_t)value : port_near(where), MIN(width, 4u));
			break;
		case 3:
			pc_mem_write(b.pc, address_near(where, (uint16_t)(value >> 16)), value, width);
			break;
		case 4:
			pc_mem_read(b.pc, address_near(where, (uint16_t)value), width);
			break;
		case 5:         /* a configuration cycle to one of the first five slots */
			pc_io_write(b.pc, 0xcf8, 0x80000000 | (where & 7) << 11 | (op >> 5 & 3) << 8 | (value >> 24 & 0xfc), 4);
			pc_io_write(b.pc, 0xcfc, value << (where >> 3), MIN(width, 4u));
			break;
		case 6:
			pci_intx(b.card, where & 1);
			if (where & 2)
				pci_msi_send(b.card);
			if (where & 4)
				pci_msix_send(b.card, value & 127);
			if (where & 8)
				pc_int_ack(b.pc);
			if (where & 16)
				pc_apic_eoi(b.pc, (uint8_t)value);
			if (where & 32)
				pc_power_button(b.pc);
			break;
		case 7:
			fake_clock_advance(&b.clock, value >> (op >> 3));
			break;
		}
	}
	return 0;
}
