/* SPDX-License-Identifier: MIT */
/*
 * An ATA channel: the task file registers, two drives on one cable, PIO data and DMA commands.  The adapter around
 * it (hw/piix3_ide.c) maps the registers and says where in guest memory DMA data goes.
 */
#ifndef HW_IDE_H
#define HW_IDE_H

#include "base/clock.h"
#include "hw/bus.h"
#include "hw/disk.h"
#include "hw/irq.h"
#include "hw/state.h"

struct ide;

/* What a drive needs of the adapter's DMA engine. */
struct ide_dma {
	/* The drive is ready to move data: call ide_dma_go, now or as soon as the guest starts the engine. */
	void (*request)(void *owner);
	/*
	 * Host memory for up to len bytes (a multiple of 512), put into iov and consumed from the guest's list.
	 * Returns the bytes found, a multiple of 512; 0: the next sector is not all in memory that can be mapped: use
	 * copy.
	 */
	size_t (*map)(void *owner, size_t len, struct iovec *iov, size_t max, size_t *count);
	/* What map returned is no longer used; `stored`: the drive wrote there. */
	void (*unmap)(void *owner, bool stored);
	/* Move bytes by copy.  Fewer than len: the guest's list is at its end; the engine has stopped. */
	size_t (*copy)(void *owner, void *buf, size_t len, bool to_memory);
	/* The command's last byte has moved; comes before its interrupt. */
	void (*end)(void *owner);
	/* The channel's INTRQ, as it changes. */
	void (*interrupt)(void *owner, bool level);
	void *owner;
};

struct ide_config {
	struct irq_line irq;
	struct disk *disk[2];           /* master, slave; NULL: none */
	struct ide_dma dma;             /* all NULL: no DMA on this adapter */
	struct clock *clock;
	struct state_list *states;
	unsigned instance;              /* 0 primary, 1 secondary */
};

struct ide *ide_new(const struct ide_config *config);
void ide_free(struct ide *s);           /* after its disks were closed: none may call back any more */

/* The command block (8 registers; the data port takes 1, 2 and 4 bytes) and the control block (1 register). */
extern const struct io_ops ide_command_ops, ide_control_ops;

/* The guest's engine runs: move the data of the command that waits, if one does. */
void ide_dma_go(struct ide *s);
/* The guest stopped the engine in mid-command. */
void ide_dma_stop(struct ide *s);

#endif
