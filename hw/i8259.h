/* SPDX-License-Identifier: MIT */
/* The PC's two cascaded 8259A interrupt controllers, with the PIIX's edge/level registers. */
#ifndef HW_I8259_H
#define HW_I8259_H

#include "hw/bus.h"
#include "hw/irq.h"
#include "hw/state.h"

struct i8259_config {
	struct bus *ports;              /* 20h, A0h, 4D0h are mapped */
	struct irq_line intr;           /* the processor's INTR pin */
	struct state_list *states;
};

struct i8259;
struct i8259 *i8259_new(const struct i8259_config *config);
void i8259_free(struct i8259 *s);

/* Input 0..15 (2 is the cascade and cannot be driven). */
struct irq_line i8259_input(struct i8259 *s, int irq);
/* The INTA cycle: the vector; a request that went away gives the spurious vector, as on the chip. */
int i8259_acknowledge(struct i8259 *s);
bool i8259_pending(const struct i8259 *s);      /* INTR is up */
void i8259_print(const struct i8259 *s, void (*out)(void *to, const char *line), void *to);     /* info pic */

#endif
