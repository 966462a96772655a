/* SPDX-License-Identifier: MIT */
/* The High Precision Event Timer: a 100 MHz counter and three comparators. */
#ifndef HW_HPET_H
#define HW_HPET_H

#include "base/clock.h"
#include "hw/bus.h"
#include "hw/irq.h"
#include "hw/state.h"

enum { HPET_BASE = 0xfed00000, HPET_TIMERS = 3, HPET_PERIOD_FS = 10000000 };
#define HPET_ROUTES 0x00f00000u         /* I/O APIC inputs that a comparator may be routed to: nobody else has 20..23 */

struct hpet_config {
	struct bus *memory;             /* FED00000h is mapped */
	struct irq_line irq[32];        /* by I/O APIC input, those of HPET_ROUTES */
	struct irq_line legacy[2];      /* IRQ 0 and IRQ 8, while the legacy replacement route is on */
	void (*legacy_route)(void *owner, bool on);     /* the 8254 and the RTC lose their lines, or get them back; may be NULL */
	void *owner;
	struct clock *clock;
	struct state_list *states;
};

struct hpet;
struct hpet *hpet_new(const struct hpet_config *config);
void hpet_free(struct hpet *s);
uint32_t hpet_id(void);                 /* the low half of the capability register, for the ACPI table */

#endif
