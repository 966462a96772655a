/* SPDX-License-Identifier: MIT */
/* Register and memory accesses in any order on a VGA; what they leave is drawn. */
#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "hw/vga.h"
#include "tests/fake/fake_clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEVFN = 2 << 3, LFB = 0xe0000000u, MMIO = 0xe1000000u };

static struct {
	struct fake_clock clock;
	struct bus *memory, *ports;
	struct pci_bus *pci;
	struct state_list *states;
	struct vga *vga;
} b;

static void set_up(void)
{
	fake_clock_init(&b.clock);
	b.memory = bus_new(BUS_MEMORY);
	b.ports = bus_new(BUS_PORTS);
	b.states = state_list_new();
	b.pci = pci_bus_new(&(struct pci_bus_config){ .memory = b.memory, .ports = b.ports });
	b.vga = vga_new(&(struct vga_config){
		.memory = b.memory, .ports = b.ports, .pci = b.pci, .devfn = DEVFN, .vram_size = 1 << 20,
		.clock = b.clock.clock, .states = b.states }, NULL);
	pci_config_write(b.pci, 0, DEVFN, PCI_BAR0, LFB, 4);
	pci_config_write(b.pci, 0, DEVFN, PCI_BAR0 + 8, MMIO, 4);
	pci_config_write(b.pci, 0, DEVFN, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO, 2);
}

static void drop_line(void *to, const char *line)
{
	(void)line;
	++*(unsigned *)to;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	struct image image = { 0 };
	unsigned lines = 0;

	if (!b.vga)
		set_up();
	state_reset_all(b.states);
	while (cursor_left(&c)) {
		uint8_t op = cursor_u8(&c);
		uint16_t where = cursor_be16(&c);
		uint32_t value = cursor_be32(&c);

		switch (op & 7) {
		case 0: case 1:
			bus_write(b.ports, 0x3b0 + where % 0x30, value, op & 8 ? 2 : 1);
			break;
		case 2:
			bus_read(b.ports, 0x3b0 + where % 0x30, 1);
			break;
		case 3:
			bus_write(b.ports, 0x1ce, where % 12, 2);
			bus_write(b.ports, 0x1cf, value & 0xffff, 2);
			break;
		case 4:
			bus_write(b.memory, 0xa0000 + where * 2u, value, 1u << (op >> 3 & 3));
			break;
		case 5:
			bus_read(b.memory, 0xa0000 + where * 2u, 1u << (op >> 3 & 3));
			break;
		case 6:
			bus_write(b.memory, MMIO + where % 4096, value, 1u << (op >> 3 & 3));
			break;
		case 7:
			bus_write(b.memory, LFB + (value & 0xfffff), where, 1);
			break;
		}
	}
	assert(vga_render(b.vga, &image));
	assert(image.width && image.height);
	free(image.rgb);
	vga_text(b.vga, drop_line, &lines);
	return 0;
}
