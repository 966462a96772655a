/* SPDX-License-Identifier: MIT */
/* What a disk controller needs of a disk image; emu/ implements it. */
#ifndef HW_DISK_H
#define HW_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD, DISK_WRITE_ZEROES };

/* Embedded by value in the controller's request; the controller fills the first part and keeps it until done() runs. */
struct disk_request {
	enum disk_op op;
	uint64_t offset, len;           /* bytes; multiples of 512 */
	const struct iovec *iov;        /* host memory of len bytes (READ, WRITE) */
	size_t iov_count;
	/* With the machine lock held, from the loop thread, never from inside disk_submit.  error: 0 or an errno. */
	void (*done)(void *owner, struct disk_request *r, int error);
	void *owner;
	struct disk_request *next;      /* the disk's, while it has the request */
};

struct disk {
	void (*submit)(struct disk *d, struct disk_request *r);
	uint64_t size;                  /* bytes; the last partial sector is not shown */
	bool read_only;
	bool cdrom;                     /* media=cdrom */
	bool present;                   /* a medium is in the drive */
	const char *name;               /* "ide0-hd0": id; not owned */
	const char *serial;             /* NULL: the controller's default */
	/* The guest opened or closed the tray; may be NULL.  `present` need not change: an open drive is not ready. */
	void (*tray)(struct disk *d, bool open);
	bool locked;                    /* the controller's: the guest asked to keep the medium in */
	/* Set by the controller, NULL if it does not care: the host side changed `present` or `size`. */
	void (*changed)(void *owner);
	void *owner;                    /* of changed */
};

static inline void disk_submit(struct disk *d, struct disk_request *r) { d->submit(d, r); }

#endif
