/* SPDX-License-Identifier: MIT */
/* Register accesses, descriptors and disk completions in any order, on a PIIX3 IDE function with a disk and a CD. */
#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "hw/piix3_ide.h"
#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_disk.h"
#include "tests/fake/fake_irq.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RAM = 256 * 1024, BM = 0xc000, DEVFN = 1 << 3 | 1 };

static struct {
	struct fake_clock clock;
	struct fake_irq irq[2];
	struct fake_disk hd, cd;
	struct bus *memory, *ports;
	struct pci_bus *pci;
	struct state_list *states;
	struct piix3_ide *ide;
	uint8_t *ram;
} b;

static void set_up(void)
{
	fake_clock_init(&b.clock);
	fake_disk_init(&b.hd, 2000 * 512);
	fake_disk_init(&b.cd, 300 * 2048);
	b.cd.disk.cdrom = b.cd.disk.read_only = true;
	b.memory = bus_new(BUS_MEMORY);
	b.ports = bus_new(BUS_PORTS);
	b.ram = aligned_alloc(4096, RAM);
	assert(b.ram);
	bus_map_ram(b.memory, 0, RAM, b.ram, BUS_RAM, "ram");
	b.states = state_list_new();
	b.pci = pci_bus_new(&(struct pci_bus_config){ .memory = b.memory, .ports = b.ports });
	b.ide = piix3_ide_new(&(struct piix3_ide_config){
		.pci = b.pci, .devfn = DEVFN, .ports = b.ports,
		.irq = { fake_irq_line(&b.irq[0]), fake_irq_line(&b.irq[1]) },
		.disk = { { &b.hd.disk, NULL }, { &b.cd.disk, NULL } },
		.clock = b.clock.clock, .states = b.states }, NULL);
	pci_config_write(b.pci, 0, DEVFN, PCI_BAR0 + 16, BM, 4);
}

/* Each step is an opcode byte and what it needs. */
static void step(struct cursor *c)
{
	static const uint8_t commands[] = {
		0x20, 0x30, 0xc8, 0xca, 0xa0, 0x24, 0x25, 0x34, 0x35, 0xc4, 0xc5, 0xc6, 0x90, 0x08, 0xec, 0xa1, 0xe7,
		0xef, 0x91,
	};
	uint8_t op = cursor_u8(c), value = cursor_u8(c);
	uint16_t base = op & 0x40 ? 0x170 : 0x1f0;

	switch (op & 15) {
	case 0: case 1: case 2: case 3:
		bus_write(b.ports, base + (op >> 4 & 3) + 2, value, 1);
		break;
	case 4:
		bus_write(b.ports, base + 6, value & 0x50, 1);
		break;
	case 5: case 6:
		bus_write(b.ports, base + 7, op & 0x10 ? value : commands[value % sizeof(commands)], 1);
		break;
	case 7:
		bus_write(b.ports, base + 1, value, 1);
		break;
	case 8:                                 /* a stretch of data */
		for (unsigned i = 0; i < value; i++)
			bus_write(b.ports, base, cursor_u8(c) * 0x01010101u, 4);
		break;
	case 9:
		for (unsigned i = 0; i < 64u * value; i++)
			bus_read(b.ports, base, op & 0x10 ? 4 : 2);
		break;
	case 10:
		bus_write(b.ports, BM + (op >> 4 & 15), value, 1);
		break;
	case 11:
		fake_disk_run(&b.hd);
		fake_disk_run(&b.cd);
		break;
	case 12:
		put_le32(b.ram + 8 * (value % 64), cursor_be32(c) & (op & 0x10 ? 0xffffffff : 0x3ffff));
		put_le32(b.ram + 8 * (value % 64) + 4, cursor_be16(c) | (op & 0x20 ? 0x80000000u : 0));
		break;
	case 13:
		bus_write(b.ports, base + 0x206, value, 1);
		break;
	case 14:
		pci_config_write(b.pci, 0, DEVFN, PCI_COMMAND, value & 7, 2);
		break;
	case 15:
		b.hd.error = b.cd.error = value & 1 ? 5 : 0;
		b.hd.error_offset = b.cd.error_offset = UINT64_MAX;
		b.cd.disk.present = value & 2;
		if (value & 4)
			b.cd.disk.changed(b.cd.disk.owner);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);

	if (!b.ide)
		set_up();
	state_reset_all(b.states);
	pci_config_write(b.pci, 0, DEVFN, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER, 2);
	while (cursor_left(&c))
		step(&c);
	fake_disk_run(&b.hd);
	fake_disk_run(&b.cd);
	/* Whatever came before, a reset makes both drives usable. */
	for (unsigned i = 0; i < 2; i++) {
		bus_write(b.ports, i ? 0x376 : 0x3f6, 4, 1);
		bus_write(b.ports, i ? 0x376 : 0x3f6, 0, 1);
	}
	fake_disk_run(&b.hd);
	fake_disk_run(&b.cd);
	assert(bus_read(b.ports, 0x1f7, 1) == 0x50 && bus_read(b.ports, 0x177, 1) == 0);
	return 0;
}
