/* SPDX-License-Identifier: MIT */
/* The PIIX4's power management function: ACPI registers and an SMBus host without devices. */
#ifndef HW_PIIX4_PM_H
#define HW_PIIX4_PM_H

#include "base/clock.h"
#include "hw/bus.h"
#include "hw/irq.h"
#include "hw/pci.h"
#include "hw/state.h"

enum {                                  /* where firmware and the ACPI tables put things */
	PM_BASE = 0x600, PM_TIMER_HZ = 3579545, PM_GPE_BASE = 0xafe0, PM_GPE_LEN = 4, PM_SMBUS_BASE = 0x700,
	PM_SCI_IRQ = 9, PM_ACPI_ENABLE = 0xf1, PM_ACPI_DISABLE = 0xf0 /* stores to port B2h */,
};

struct piix4_pm_config {
	struct bus *ports;
	struct pci_bus *pci;            /* at 1.3 */
	struct irq_line sci;
	struct clock *clock;
	void (*shutdown)(void *owner);  /* the guest entered S5 */
	void *owner;
	struct state_list *states;
};

struct piix4_pm;
struct piix4_pm *piix4_pm_new(const struct piix4_pm_config *config, struct err *err);
void piix4_pm_free(struct piix4_pm *s);
void piix4_pm_power_button(struct piix4_pm *s);
void piix4_pm_apm(struct piix4_pm *s, uint8_t command);
/* Place the registers, as firmware does. */
void piix4_pm_place(struct piix4_pm *s);

#endif
