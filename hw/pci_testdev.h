/* SPDX-License-Identifier: MIT */
/* QEMU's pci-testdev: a PCI function whose BARs tell a guest which stores to try, and count those that arrive. */
#ifndef HW_PCI_TESTDEV_H
#define HW_PCI_TESTDEV_H

#include "hw/pci.h"

struct state_list;

struct pci_testdev_config {
	struct pci_bus *pci;
	struct state_list *states;
	unsigned instance;
	int devfn;                      /* -1: the first free slot */
	uint64_t membar;                /* bytes of BAR 2, a power of two of at least 4096; 0: none */
};

struct pci_testdev;
struct pci_testdev *pci_testdev_new(const struct pci_testdev_config *config, struct err *err);
void pci_testdev_free(struct pci_testdev *s);

#endif
