/* SPDX-License-Identifier: MIT */
/* An interrupt line that remembers. */
#ifndef TESTS_FAKE_IRQ_H
#define TESTS_FAKE_IRQ_H

#include "hw/irq.h"

struct fake_irq {
	bool level;
	int rises, falls;
};

static inline void fake_irq_set(void *owner, int number, bool level)
{
	struct fake_irq *f = owner;

	(void)number;
	f->rises += level && !f->level;
	f->falls += !level && f->level;
	f->level = level;
}

static inline struct irq_line fake_irq_line(struct fake_irq *f)
{
	return (struct irq_line){ .set = fake_irq_set, .owner = f };
}

#endif
