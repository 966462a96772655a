/* SPDX-License-Identifier: MIT */
/* virtio-blk-pci: the paravirtual disk (VIRTIO 1.1, section 5.2), transitional, modern or legacy. */
#ifndef HW_VIRTIO_BLK_H
#define HW_VIRTIO_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct clock;
struct disk;
struct pci_bus;
struct pci_device;
struct state_list;
struct virtio_blk;

struct virtio_blk_config {
	struct pci_bus *pci;
	struct clock *clock;
	struct state_list *states;
	struct disk *disk;              /* lives longer than the card */
	unsigned instance;              /* of the state section; unique among virtio-blk cards */
	const char *name;               /* kept */
	const char *serial;             /* up to 20 characters; NULL: the disk's, or none */
	int devfn;                      /* -1: first free slot */
	unsigned queue_size;            /* 0: 256, a power of two */
	bool disable_legacy, disable_modern;
};

struct virtio_blk *virtio_blk_new(const struct virtio_blk_config *config, struct err *err);
/* No request may be under way at the disk any more. */
void virtio_blk_free(struct virtio_blk *s);
struct pci_device *virtio_blk_pci(struct virtio_blk *s);

#endif
