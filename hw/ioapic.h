/* SPDX-License-Identifier: MIT */
/* The I/O APIC: 24 inputs that become interrupt messages. */
#ifndef HW_IOAPIC_H
#define HW_IOAPIC_H

#include "hw/bus.h"
#include "hw/irq.h"
#include "hw/state.h"

enum { IOAPIC_PINS = 24, IOAPIC_BASE = 0xfec00000 };

struct ioapic_config {
	struct bus *memory;             /* FEC00000h is mapped */
	struct msi_sink msi;
	struct state_list *states;
};

struct ioapic;
struct ioapic *ioapic_new(const struct ioapic_config *config);
void ioapic_free(struct ioapic *s);
struct irq_line ioapic_input(struct ioapic *s, int pin);
/* A local APIC ended a level-triggered interrupt with this vector. */
void ioapic_eoi(struct ioapic *s, uint8_t vector);
void ioapic_print(const struct ioapic *s, void (*out)(void *to, const char *line), void *to);

#endif
