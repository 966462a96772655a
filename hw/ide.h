/* SPDX-License-Identifier: MIT */
/*
 * An ATA channel: the task file registers, two drives on one cable, PIO data and DMA requests.  The adapter around
 * it (hw/piix3_ide.c) maps the registers and moves the bytes of DMA commands.
 */
#ifndef HW_IDE_H
#define HW_IDE_H

#include "base/clock.h"
#include "hw/bus.h"
#include "hw/disk.h"
#include "hw/irq.h"
#include "hw/state.h"

struct ide;

/* The DMA engine of the adapter; the channel asks, the adapter calls back. */
struct ide_dma {
	/* A drive raises DMARQ: call ide_dma_go as soon as the guest has started the engine. */
	void (*request)(void *owner);
	/*
	 * The next pieces of guest memory, at most `len` bytes in all and `max` pieces, appended to iov and consumed.
	 * Returns the bytes mapped; 0 if the list is at its end or names no memory.
	 */
	size_t (*map)(void *owner, size_t len, struct iovec *iov, size_t max, size_t *count);
	/* The same for memory that cannot be mapped, by copy.  Returns bytes moved. */
	size_t (*copy)(void *owner, void *buf, size_t len, bool to_memory);
	/* The command is over.  `stored`: mapped memory was written; `failed`: it ended for an error of the transfer. */
	void (*end)(void *owner, bool stored, bool failed);
	/* The drive's interrupt line moved (the bus master latches it). */
	void (*interrupt)(void *owner, bool level);
	void *owner;
};

struct ide_config {
	struct irq_line irq;
	struct disk *disk[2];           /* master, slave; NULL: none */
	struct ide_dma dma;             /* request NULL: no DMA */
	struct clock *clock;
	struct state_list *states;
	unsigned instance;              /* 0 primary, 1 secondary */
};

struct ide *ide_new(const struct ide_config *config);
void ide_free(struct ide *s);

/* The command block (8 registers, data port 2 or 4 wide) and the control block (1 register: 0x3f6). */
extern const struct io_ops ide_command_ops, ide_control_ops;

/* The adapter's engine runs: move the data of the DMA command that waits. */
void ide_dma_go(struct ide *s);
/* The guest stopped the engine in mid-command. */
void ide_dma_abort(struct ide *s);

#endif
