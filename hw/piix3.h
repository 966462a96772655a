/* SPDX-License-Identifier: MIT */
/* The PIIX3 south bridge's ISA side: PCI interrupt routing, reset and A20 ports, APM ports. */
#ifndef HW_PIIX3_H
#define HW_PIIX3_H

#include "hw/bus.h"
#include "hw/irq.h"
#include "hw/pci.h"
#include "hw/state.h"

struct piix3_config {
	struct bus *ports;              /* 80h, 92h and B2h are mapped; CF9h comes by piix3_cf9_ */
	struct pci_bus *pci;            /* at 1.0; the PIRQ lines of the bus lead to piix3_pirq */
	struct irq_line irq[16];        /* where PIRQs may go */
	struct irq_line a20;
	void (*reset)(void *owner);     /* the guest asked for a reset */
	void (*apm)(void *owner, uint8_t command);      /* store to B2h (it would raise an SMI) */
	void *owner;
	struct state_list *states;
};

struct piix3;
struct piix3 *piix3_new(const struct piix3_config *config, struct err *err);
void piix3_free(struct piix3 *s);
/* Level of PIRQA..D (0..3). */
void piix3_pirq(struct piix3 *s, int pirq, bool level);
uint8_t piix3_cf9_read(void *piix3);
void piix3_cf9_write(void *piix3, uint8_t value);
/* Route PIRQA..D, as firmware does. */
void piix3_route(struct piix3 *s, const uint8_t irq[4]);

#endif
