/* SPDX-License-Identifier: MIT */
/* A 16550A UART whose line is a chardev. */
#ifndef HW_UART16550_H
#define HW_UART16550_H

#include "base/clock.h"
#include "hw/bus.h"
#include "hw/chardev.h"
#include "hw/irq.h"
#include "hw/state.h"

struct uart16550_config {
	struct bus *ports;
	uint16_t base;                  /* 0x3f8 */
	struct irq_line irq;
	struct chardev *chardev;        /* NULL: an unplugged port (bytes vanish, no modem signals) */
	struct clock *clock;
	struct state_list *states;
	unsigned instance;              /* 0 for COM1, and so on: names the state section */
};

struct uart16550;
struct uart16550 *uart16550_new(const struct uart16550_config *config);
void uart16550_free(struct uart16550 *s);

#endif
