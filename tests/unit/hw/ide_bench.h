/* SPDX-License-Identifier: MIT */
/* A PIIX3 IDE function with a disk (primary master) and a CD (secondary master), driven as a driver would. */
#ifndef TESTS_UNIT_HW_IDE_BENCH_H
#define TESTS_UNIT_HW_IDE_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "hw/piix3_ide.h"
#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_disk.h"
#include "tests/fake/fake_irq.h"

enum {
	RAM = 1 << 20, PRDS = 0x1000, BM = 0xc000, DEVFN = 1 << 3 | 1,
	BSY = 0x80, DRQ = 0x08, ERR = 0x01,
	HD_SIZE = 20000 * 512, CD_SIZE = 1000 * 2048,
};

struct bench {
	struct fake_clock clock;
	struct fake_irq irq[2];
	struct fake_disk hd, cd;
	struct bus *memory, *ports;
	struct pci_bus *pci;
	struct state_list *states;
	struct piix3_ide *ide;
	uint8_t *ram;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	fake_clock_init(&b->clock);
	fake_disk_init(&b->hd, HD_SIZE);
	fake_disk_init(&b->cd, CD_SIZE);
	b->cd.disk.cdrom = b->cd.disk.read_only = true;
	b->memory = bus_new(BUS_MEMORY);
	b->ports = bus_new(BUS_PORTS);
	b->ram = aligned_alloc(4096, RAM);
	memset(b->ram, 0, RAM);
	bus_map_ram(b->memory, 0, RAM, b->ram, BUS_RAM, "ram");
	b->states = state_list_new();
	b->pci = pci_bus_new(&(struct pci_bus_config){ .memory = b->memory, .ports = b->ports });
	b->ide = piix3_ide_new(&(struct piix3_ide_config){
		.pci = b->pci, .devfn = DEVFN, .ports = b->ports,
		.irq = { fake_irq_line(&b->irq[0]), fake_irq_line(&b->irq[1]) },
		.disk = { { &b->hd.disk, NULL }, { &b->cd.disk, NULL } },
		.clock = b->clock.clock, .states = b->states }, NULL);
	assert_non_null(b->ide);
	pci_config_write(b->pci, 0, DEVFN, PCI_BAR0 + 16, BM, 4);
	pci_config_write(b->pci, 0, DEVFN, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER, 2);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	fake_disk_run(&b->hd);
	fake_disk_run(&b->cd);
	piix3_ide_free(b->ide);
	pci_bus_free(b->pci);
	state_list_free(b->states);
	bus_free(b->memory);
	bus_free(b->ports);
	fake_disk_free(&b->hd);
	fake_disk_free(&b->cd);
	fake_clock_free(&b->clock);
	free(b->ram);
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

static inline unsigned status(struct bench *b)
{
	return in(b, 0x1f7);
}

static inline void soft_reset(struct bench *b)
{
	out(b, 0x3f6, 4);
	assert_true(in(b, 0x3f6) & BSY);
	out(b, 0x3f6, 0);
}

static inline void command_lba28(struct bench *b, unsigned command, uint32_t lba, unsigned count)
{
	out(b, 0x1f6, 0x40 | lba >> 24);
	out(b, 0x1f2, count);
	out(b, 0x1f3, lba);
	out(b, 0x1f4, lba >> 8);
	out(b, 0x1f5, lba >> 16);
	out(b, 0x1f7, command);
}

static inline void command_lba48(struct bench *b, unsigned command, uint64_t lba, unsigned count)
{
	out(b, 0x1f6, 0x40);
	out(b, 0x1f2, count >> 8);
	out(b, 0x1f3, lba >> 24 & 0xff);
	out(b, 0x1f4, lba >> 32 & 0xff);
	out(b, 0x1f5, lba >> 40 & 0xff);
	out(b, 0x1f2, count & 0xff);
	out(b, 0x1f3, lba & 0xff);
	out(b, 0x1f4, lba >> 8 & 0xff);
	out(b, 0x1f5, lba >> 16 & 0xff);
	out(b, 0x1f7, command);
}

static inline void prd(struct bench *b, unsigned i, uint32_t addr, unsigned count, bool last)
{
	put_le32(b->ram + PRDS + 8 * i, addr);
	put_le32(b->ram + PRDS + 8 * i + 4, count | (last ? 0x80000000u : 0));
}

static inline void start_dma(struct bench *b, bool to_memory)
{
	out(b, BM, 0);
	out(b, BM + 2, 6);
	bus_write(b->ports, BM + 4, PRDS, 4);
	out(b, BM, to_memory ? 9 : 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
