/* SPDX-License-Identifier: MIT */
/* The devices of -device, -nic model= and -net nic,model=: their names and properties, and how the cards are made. */
#ifndef EMU_DEVICES_H
#define EMU_DEVICES_H

#include <stdbool.h>

#include "base/err.h"

struct machine;
struct nic;

enum driver_kind { DRIVER_NIC, DRIVER_VIRTIO_BLK, DRIVER_IDE, DRIVER_DEBUG_EXIT, DRIVER_DEBUGCON, DRIVER_PC_TESTDEV, DRIVER_PCI_TESTDEV };

struct driver {
	const char *name, *alias;       /* alias: another name, or NULL */
	enum driver_kind kind;
	const char *bus, *what;         /* "PCI", "Intel Gigabit Ethernet" */
	const char *model;              /* NICs: what info network shows, and what ids are numbered by */
	int variant;                    /* the maker's own: which chip of a family */
	const char *romfile;            /* NICs: the default option ROM's file name */
	/* The card for n on m's PCI bus; fills card, port, pci.  It takes what properties it knows from n->opts. */
	bool (*make)(struct machine *m, struct nic *n, int devfn, struct err *err);
	void (*free)(struct nic *n);
	/* Have the guest announce its addresses; false: it can't be asked.  NULL: no such card can be asked. */
	bool (*announce)(struct nic *n);
	const char *const *properties;  /* beside those of its bus; NULL-terminated; may be NULL */
	/* Whether `name` is an on/off property that make() passes on; NULL: none are. */
	const char *const *switches;
};

const struct driver *driver_find(const char *name);
const struct driver *driver_default_nic(void);
/* Whether the driver has this property. */
bool driver_has_property(const struct driver *d, const char *name);

void devices_help(void);
void devices_nic_help(void);
void devices_netdev_help(void);
bool devices_property_help(const char *driver, struct err *err);
bool devices_known(const char *driver, struct err *err);

#endif
