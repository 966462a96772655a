/* SPDX-License-Identifier: MIT */
/* A virtio-pci driver in a test: negotiates, builds rings in the board's memory, and can be told to build them badly. */
#ifndef TESTS_FAKE_VIRTIO_H
#define TESTS_FAKE_VIRTIO_H

#include "tests/fake/fake_board.h"

enum { FAKE_VIRTIO_QUEUES = 17 };

struct fake_ring {
	uint64_t desc, avail, used;
	uint16_t size, added, taken;    /* avail->idx as written; used elements seen */
	uint16_t free[1024], frees;     /* descriptors */
	uint16_t chain[1024];           /* descriptors that a head holds */
};

struct fake_virtio {
	struct fake_board *board;
	struct pci_device *pci;
	bool modern, msix;
	uint64_t io, bar;               /* where the legacy and the modern registers are */
	uint64_t features;              /* negotiated */
	uint64_t next;                  /* unused memory from here on */
	unsigned queues;
	struct fake_ring ring[FAKE_VIRTIO_QUEUES];
};

struct fake_piece {
	uint64_t addr;
	uint32_t len;
	bool write;
};

/* Resets the device and brings it to DRIVER_OK with those of `features` that it offers.  MSI-X: vector and data n + 1 for queue n. */
void fake_virtio_start(struct fake_virtio *d, struct fake_board *b, struct pci_device *pci, bool modern, bool msix,
		       uint64_t features, unsigned queues);
uint64_t fake_virtio_offered(struct fake_virtio *d);
uint64_t fake_virtio_alloc(struct fake_virtio *d, size_t len);
uint8_t fake_virtio_status(struct fake_virtio *d);
void fake_virtio_set_status(struct fake_virtio *d, uint8_t status);
uint64_t fake_virtio_config(struct fake_virtio *d, unsigned offset, unsigned size);
/* One buffer; returns its head, or -1: no descriptors are free.  Publish moves avail->idx over all added so far. */
int fake_virtio_add(struct fake_virtio *d, unsigned queue, const struct fake_piece *piece, unsigned n, bool indirect);
void fake_virtio_publish(struct fake_virtio *d, unsigned queue);
/* Ring, if the device wants that; returns whether it did. */
bool fake_virtio_kick(struct fake_virtio *d, unsigned queue);
/* The next used buffer: its head, or -1. */
int fake_virtio_take(struct fake_virtio *d, unsigned queue, uint32_t *len);
/* Interrupt me when the next one is used. */
void fake_virtio_want_interrupt(struct fake_virtio *d, unsigned queue);

#endif
