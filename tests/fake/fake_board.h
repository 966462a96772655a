/* SPDX-License-Identifier: MIT */
/* The least that a PCI card needs around it: memory, ports, a PCI bus, a clock, interrupts that remember. */
#ifndef TESTS_FAKE_BOARD_H
#define TESTS_FAKE_BOARD_H

#include "hw/pci.h"
#include "hw/state.h"
#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_irq.h"

enum { FAKE_BOARD_RAM = 8 << 20 };

struct fake_board {
	struct fake_clock clock;
	struct bus *memory, *ports;
	struct pci_bus *pci;
	struct state_list *states;
	uint8_t *ram;                   /* FAKE_BOARD_RAM bytes at 0 */
	struct fake_irq pirq[4];
	unsigned msi[256];              /* messages so far, by the low byte of their data */
};

void fake_board_init(struct fake_board *b);
/* When the cards are in: place their BARs and enable them, as firmware does. */
void fake_board_start(struct fake_board *b);
void fake_board_free(struct fake_board *b);
/* Let what is due happen. */
void fake_board_run(struct fake_board *b);

#endif
