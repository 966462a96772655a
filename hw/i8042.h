/* SPDX-License-Identifier: MIT */
/* The PC's keyboard controller (ports 60h, 64h) with a keyboard and a mouse on its two lines. */
#ifndef HW_I8042_H
#define HW_I8042_H

#include "base/clock.h"
#include "hw/bus.h"
#include "hw/irq.h"
#include "hw/ps2.h"
#include "hw/state.h"

struct i8042_config {
	struct bus *ports;
	struct irq_line irq_kbd, irq_mouse;     /* 1 and 12 */
	struct irq_line a20;            /* set by the guest, and at reset (on); port 92h may too: the last one wins */
	struct irq_line reset;          /* pulsed high and low again when the guest asks for a reset of the machine */
	struct clock *clock;
	struct state_list *states;
};

struct i8042;
struct i8042 *i8042_new(const struct i8042_config *config);
void i8042_free(struct i8042 *s);
struct ps2_kbd *i8042_keyboard(struct i8042 *s);
struct ps2_mouse *i8042_mouse(struct i8042 *s);

#endif
