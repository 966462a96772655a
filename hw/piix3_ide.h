/* SPDX-License-Identifier: MIT */
/* The IDE function of the PIIX3 (8086:7010): two ATA channels at the PC's ports, and their bus master. */
#ifndef HW_PIIX3_IDE_H
#define HW_PIIX3_IDE_H

#include "base/clock.h"
#include "base/err.h"
#include "hw/bus.h"
#include "hw/disk.h"
#include "hw/irq.h"
#include "hw/pci.h"
#include "hw/state.h"

struct piix3_ide_config {
	struct pci_bus *pci;
	int devfn;                      /* 1 << 3 | 1 on a PC */
	struct bus *ports;              /* 0x1f0, 0x3f6 and 0x170, 0x376 are mapped here */
	struct irq_line irq[2];         /* ISA 14 and 15 */
	struct disk *disk[2][2];        /* [channel][0 master, 1 slave]; NULL: nothing on that cable end */
	struct clock *clock;
	struct state_list *states;
};

struct piix3_ide;
struct piix3_ide *piix3_ide_new(const struct piix3_ide_config *config, struct err *err);
void piix3_ide_free(struct piix3_ide *s);       /* after its disks were closed: none may call back any more */

#endif
