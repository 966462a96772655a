/* SPDX-License-Identifier: MIT */
/* A disk in memory that keeps requests until the test lets it work, and fails when told. */
#ifndef TESTS_FAKE_DISK_H
#define TESTS_FAKE_DISK_H

#include "hw/disk.h"

struct fake_disk {
	struct disk disk;
	uint8_t *data;
	struct disk_request *first, **last;
	int requests, flushes;          /* done so far */
	uint64_t last_len;
	int error;                      /* given to requests that touch error_offset, or to all if that is UINT64_MAX */
	uint64_t error_offset;
	int trays;
};

/* size bytes; byte i of each 512-byte sector n is (n * 7 + i) & 0xff. */
void fake_disk_init(struct fake_disk *f, uint64_t size);
void fake_disk_free(struct fake_disk *f);
/* Do what is queued, and what comes of it.  Returns the number of requests done. */
int fake_disk_run(struct fake_disk *f);
static inline uint8_t fake_disk_byte(uint64_t offset) { return (uint8_t)(offset / 512 * 7 + offset % 512); }

#endif
