/* SPDX-License-Identifier: MIT */
/* An interrupt line: a function that a device calls, so that no device knows what it is wired to. */
#ifndef HW_IRQ_H
#define HW_IRQ_H

#include <stdbool.h>
#include <stdint.h>

struct irq_line {
	void (*set)(void *owner, int number, bool level);
	void *owner;
	int number;
};

/* Drive the line.  Devices call it on every change of their interrupt decision; the same level twice is harmless. */
static inline void irq_set(const struct irq_line *l, bool level)
{
	if (l->set)
		l->set(l->owner, l->number, level);
}

/* Where message-signalled interrupts go: a 32-bit write of data to addr (the LAPICs decode it). */
struct msi_sink {
	void (*send)(void *owner, uint64_t addr, uint32_t data);
	void *owner;
};

#endif
