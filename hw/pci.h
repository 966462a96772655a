/* SPDX-License-Identifier: MIT */
/*
 * PCI: configuration space, BARs, INTx routing, MSI and MSI-X (PCI Local Bus Specification 3.0).
 * A device embeds nothing: it gets a struct pci_device from pci_add and fills its identity and BARs.
 */
#ifndef HW_PCI_H
#define HW_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "hw/bus.h"
#include "hw/irq.h"

enum {                                  /* configuration header, section 6.1 */
	PCI_VENDOR_ID = 0x00, PCI_DEVICE_ID = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06, PCI_REVISION = 0x08,
	PCI_PROG_IF = 0x09, PCI_SUBCLASS = 0x0a, PCI_CLASS = 0x0b, PCI_CACHE_LINE = 0x0c, PCI_LATENCY = 0x0d,
	PCI_HEADER_TYPE = 0x0e, PCI_BAR0 = 0x10, PCI_SUBSYS_VENDOR = 0x2c, PCI_SUBSYS_ID = 0x2e, PCI_ROM = 0x30,
	PCI_CAP_PTR = 0x34, PCI_INT_LINE = 0x3c, PCI_INT_PIN = 0x3d, PCI_MIN_GNT = 0x3e, PCI_MAX_LAT = 0x3f,
	PCI_COMMAND_IO = 1, PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4, PCI_COMMAND_INTX_DISABLE = 0x400,
};

struct pci_bus;
struct pci_device;
struct state_list;

struct pci_bus_config {
	struct bus *memory, *ports;
	struct irq_line pirq[4];        /* PIRQA..D, already routed by the south bridge; levels are ORed here */
	struct msi_sink msi;
	struct state_list *states;      /* may be NULL: then call pci_bus_reset yourself */
};
struct pci_bus *pci_bus_new(const struct pci_bus_config *config);
void pci_bus_free(struct pci_bus *b);
/*
 * Writable bits of all devices become 0: command, BARs, interrupt line, MSI enables and what a device made writable beyond; not
 * the devices' own reset, which runs later (the bus registers with `states` first) and sets defaults other than 0.
 */
void pci_bus_reset(struct pci_bus *b);

struct pci_config {
	const char *name;               /* kept: "e1000" */
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision, class_code, subclass, prog_if;
	uint8_t int_pin;                /* 1 = INTA; 0 none */
	int devfn;                      /* slot << 3 | function; -1: first free slot */
	bool multifunction;
	void *owner;                    /* handed to the callbacks; each may be NULL */
	/* before a configuration read: the device may bring its bytes up to date (virtio's window into its BARs) */
	void (*config_reading)(void *owner, unsigned offset, unsigned size);
	/* after a configuration write has been applied to the bytes; the device looks at what it cares for */
	void (*config_written)(void *owner, unsigned offset, unsigned size);
};
/* Returns NULL with err if the slot is taken or none is free.  Owned by the bus. */
struct pci_device *pci_add(struct pci_bus *b, const struct pci_config *config, struct err *err);

enum pci_bar_kind { PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64, PCI_BAR_MEM32_PREFETCH, PCI_BAR_MEM64_PREFETCH };
/* A register BAR; size is a power of two.  Mapped on the bus whenever the guest enables and places it. */
void pci_bar(struct pci_device *d, int n, uint64_t size, enum pci_bar_kind kind, const struct io_ops *ops, void *dev);
/* A BAR that is plain memory (VRAM): host memory of `size` bytes, the caller's. */
void pci_bar_ram(struct pci_device *d, int n, uint64_t size, enum pci_bar_kind kind, void *host);
/* The expansion ROM (copied; size is rounded up to a power of two). */
void pci_rom(struct pci_device *d, const void *image, size_t len);
/*
 * The same for an option ROM image that the user or a package brought: false with err if it is none.  `patch_ids` (QEMU's
 * default ROMs): put the device's own ids into the first PCIR structure and mend the checksum.
 */
bool pci_rom_image(struct pci_device *d, const void *image, size_t len, bool patch_ids, struct err *err);

/* The 256 bytes of configuration space, and beside them which bits a guest may write. */
uint8_t *pci_config_bytes(struct pci_device *d);
uint8_t *pci_config_writable(struct pci_device *d);
int pci_devfn(const struct pci_device *d);
const char *pci_name(const struct pci_device *d);
uint64_t pci_bar_address(const struct pci_device *d, int n);    /* as the guest placed it, UINT64_MAX if not mapped */

/* Reserve len bytes of configuration space for a capability and link it; offset 0: anywhere.  Returns its offset. */
unsigned pci_capability(struct pci_device *d, uint8_t id, unsigned offset, unsigned len);

/* Which of PIRQA..D (0..3) a pin (1..4) is wired to on this board. */
unsigned pci_pirq(unsigned devfn, unsigned pin);
/* INTx: level of this device's pin, honouring the Interrupt Disable bit. */
void pci_intx(struct pci_device *d, bool level);
/* MSI (one vector, 64-bit address). */
void pci_msi_init(struct pci_device *d, unsigned offset);
bool pci_msi_enabled(const struct pci_device *d);
void pci_msi_send(struct pci_device *d);
/*
 * MSI-X: `vectors` entries (up to 2048), table and PBA in BAR n at these offsets; the BAR must have been made with pci_bar
 * and hold both: the table's and the PBA's part of it are answered here, the device's ops the rest.
 */
void pci_msix_init(struct pci_device *d, unsigned cap_offset, unsigned vectors, int bar, uint32_t table, uint32_t pba);
bool pci_msix_enabled(const struct pci_device *d);
void pci_msix_send(struct pci_device *d, unsigned vector);      /* pended while masked */

/* Bus mastering: the dma_ calls of bus.h, refused (false / 0) while Bus Master Enable is off. */
bool pci_dma_read(struct pci_device *d, uint64_t addr, void *buf, size_t len);
bool pci_dma_write(struct pci_device *d, uint64_t addr, const void *buf, size_t len);
size_t pci_dma_map(struct pci_device *d, uint64_t addr, size_t len, struct iovec *iov, size_t max);
void pci_dma_dirty(struct pci_device *d, uint64_t addr, size_t len);
bool pci_master(const struct pci_device *d);

/* The host bridge's side: configuration cycles (type 0 on bus 0; others read all ones). */
uint32_t pci_config_read(struct pci_bus *b, unsigned bus, unsigned devfn, unsigned offset, unsigned size);
void pci_config_write(struct pci_bus *b, unsigned bus, unsigned devfn, unsigned offset, uint32_t value, unsigned size);
/*
 * What firmware does, for a boot without one: place every BAR (not ROMs) in [io, io_end) and [memory, memory_end), write
 * the interrupt line registers from irq[pirq], enable decoding and bus mastering.
 */
struct pci_resources {
	uint32_t io, io_end, memory, memory_end;
	uint8_t irq[4];
};
void pci_assign(struct pci_bus *b, const struct pci_resources *r);
void pci_print(struct pci_bus *b, void (*out)(void *to, const char *line), void *to);   /* info pci */

#endif
