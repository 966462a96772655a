/* SPDX-License-Identifier: MIT */
/* Intel's gigabit PCI cards of the 8254x family (PCI/PCI-X Family of Gigabit Ethernet Controllers, Software Developer's Manual). */
#ifndef HW_NIC_E1000_H
#define HW_NIC_E1000_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/port.h"

struct clock;
struct e1000;
struct pci_bus;
struct pci_device;
struct state_list;

enum e1000_model { E1000_82540EM, E1000_82544GC, E1000_82545EM };

struct e1000_config {
	struct pci_bus *pci;
	struct clock *clock;
	struct state_list *states;
	const struct port_guard *guard; /* the machine lock; NULL: single-threaded */
	unsigned instance;              /* of the state section; unique among e1000 cards */
	enum e1000_model model;
	const char *name;               /* kept: of the port, "e1000.0" */
	uint8_t mac[6];
	int devfn;                      /* -1: first free slot */
	const void *rom;                /* option ROM image (copied); NULL: none */
	size_t rom_len;
	bool rom_patch_ids;             /* it is the default one: put the card's ids into it */
	bool no_mitigation;             /* mitigation=off: interrupts are never held back by ITR and the delay registers */
};

struct e1000 *e1000_new(const struct e1000_config *config, struct err *err);
void e1000_free(struct e1000 *s);       /* parts its port; the PCI device stays the bus's */
struct port *e1000_port(struct e1000 *s);
struct pci_device *e1000_pci(struct e1000 *s);
/* Registers and counters that matter, one line each. */
void e1000_print(struct e1000 *s, void (*out)(void *to, const char *line), void *to);

#endif
