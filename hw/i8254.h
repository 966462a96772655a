/* SPDX-License-Identifier: MIT */
/* The 8254 timer with the PC's port 61h: gate and output of counter 2, speaker enable, refresh toggle. */
#ifndef HW_I8254_H
#define HW_I8254_H

#include "base/clock.h"
#include "hw/bus.h"
#include "hw/irq.h"
#include "hw/state.h"

struct i8254_config {
	struct bus *ports;              /* 40h and 61h are mapped */
	struct irq_line irq;            /* counter 0's OUT */
	struct clock *clock;
	struct state_list *states;
};

struct i8254;
struct i8254 *i8254_new(const struct i8254_config *config);
void i8254_free(struct i8254 *s);
/* The HPET's legacy replacement route takes IRQ 0 away and gives it back. */
void i8254_disconnect(struct i8254 *s, bool disconnected);

#endif
