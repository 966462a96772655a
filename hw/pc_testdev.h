/* SPDX-License-Identifier: MIT */
/* QEMU's pc-testdev: interrupt lines, ports and a piece of memory-like registers for test kernels. */
#ifndef HW_PC_TESTDEV_H
#define HW_PC_TESTDEV_H

#include "hw/bus.h"
#include "hw/irq.h"

enum { PC_TESTDEV_IRQS = 24 };

struct pc_testdev_config {
	struct bus *memory, *ports;
	struct irq_line irq[PC_TESTDEV_IRQS];   /* the I/O APIC's inputs by number, 0 to 15 the 8259s' too */
};

struct pc_testdev;
/* NULL with err if another device has one of its windows. */
struct pc_testdev *pc_testdev_new(const struct pc_testdev_config *config, struct err *err);
void pc_testdev_free(struct pc_testdev *s);

#endif
