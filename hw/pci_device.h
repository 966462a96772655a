/* SPDX-License-Identifier: MIT */
/* What pci.c and pci_msi.c share: the inside of a PCI function. */
#ifndef HW_PCI_DEVICE_H
#define HW_PCI_DEVICE_H

#include "hw/pci.h"

enum { PCI_BARS = 7, PCI_BAR_ROM = 6, MSIX_ENTRY = 16 };

struct pci_bar_slot {
	uint64_t size;                  /* 0: not there; bytes, a power of two */
	enum pci_bar_kind kind;
	const struct io_ops *ops;       /* a register window, or */
	void *dev;
	void *host;                     /* memory */
	uint64_t mapped;                /* where it is on the bus now; UINT64_MAX: nowhere */
};

struct pci_msix {
	unsigned cap, vectors;          /* cap 0: the function has no MSI-X */
	int bar;
	uint32_t table_offset, pba_offset;
	const struct io_ops *ops;       /* the device's own part of the BAR */
	void *dev;
	uint8_t *table;                 /* vectors * 16 bytes, and behind them the pending bits: one section of plain state */
	uint64_t *pending;
	struct io_ops wrapper;
};

struct pci_device {
	struct pci_bus *bus;
	struct pci_config cfg;
	unsigned devfn;
	struct pci_bar_slot bar[PCI_BARS];
	uint8_t writable[256], clearable[256];  /* bits a guest may write; bits it clears by writing 1 */
	bool used[256];                 /* by the header and capabilities */
	unsigned msi_cap;
	struct pci_msix msix;
	bool intx_driven;               /* this function's contribution to its PIRQ; follows pin and command */
	/* plain state: */
	struct pci_state {
		uint8_t config[256];
		bool pin;
	} state;
};

struct state_list *pci_states(struct pci_device *d);
const struct msi_sink *pci_msi_sink(struct pci_device *d);
/* After a configuration write to [offset, offset+size). */
void pci_msix_config_written(struct pci_device *d, unsigned offset, unsigned size);
void pci_msix_reset(struct pci_device *d);
void pci_msix_free(struct pci_device *d);

#endif
