/* SPDX-License-Identifier: MIT */
#include "tests/fake/fake_board.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void msi(void *owner, uint64_t addr, uint32_t data)
{
	struct fake_board *b = owner;

	(void)addr;
	b->msi[data & 0xff]++;
}

void fake_board_init(struct fake_board *b)
{
	struct pci_bus_config c = { .msi = { msi, b } };

	memset(b, 0, sizeof(*b));
	fake_clock_init(&b->clock);
	b->memory = c.memory = bus_new(BUS_MEMORY);
	b->ports = c.ports = bus_new(BUS_PORTS);
	b->states = c.states = state_list_new();
	b->ram = aligned_alloc(4096, FAKE_BOARD_RAM);
	assert(b->ram);
	memset(b->ram, 0, FAKE_BOARD_RAM);
	bus_map_ram(b->memory, 0, FAKE_BOARD_RAM, b->ram, BUS_RAM, "ram");
	for (int i = 0; i < 4; i++)
		c.pirq[i] = fake_irq_line(&b->pirq[i]);
	b->pci = pci_bus_new(&c);
}

void fake_board_start(struct fake_board *b)
{
	state_reset_all(b->states);
	pci_assign(b->pci, &(struct pci_resources){ .io = 0xc000, .io_end = 0x10000, .memory = 0xfe000000, .memory_end = 0xfec00000 });
}

void fake_board_free(struct fake_board *b)
{
	pci_bus_free(b->pci);
	state_list_free(b->states);
	bus_free(b->memory);
	bus_free(b->ports);
	fake_clock_free(&b->clock);
	free(b->ram);
}

void fake_board_run(struct fake_board *b)
{
	/* a piece of work may leave another one behind for "now" */
	for (int i = 0; i < 200; i++)
		fake_clock_advance(&b->clock, 0);
}
