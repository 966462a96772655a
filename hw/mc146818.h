/* SPDX-License-Identifier: MIT */
/* The real-time clock and the battery-backed CMOS memory beside it. */
#ifndef HW_MC146818_H
#define HW_MC146818_H

#include "base/clock.h"
#include "hw/bus.h"
#include "hw/irq.h"
#include "hw/state.h"

enum { CMOS_SIZE = 128 };

struct mc146818_config {
	struct bus *ports;              /* 70h is mapped */
	struct irq_line irq;            /* 8 */
	struct clock *clock;
	int64_t now_s;                  /* what it shows now: seconds since 1970 */
	struct state_list *states;
};

struct mc146818;
struct mc146818 *mc146818_new(const struct mc146818_config *config);
void mc146818_free(struct mc146818 *s);
/* CMOS memory from 0Eh on, for whoever builds the machine; the first bytes are the clock's. */
void mc146818_set_cmos(struct mc146818 *s, unsigned index, uint8_t value);
uint8_t mc146818_cmos(const struct mc146818 *s, unsigned index);

#endif
