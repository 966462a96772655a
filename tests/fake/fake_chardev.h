/* SPDX-License-Identifier: MIT */
/* A host that remembers what a device sent, takes as much as the test lets it, and types when told. */
#ifndef TESTS_FAKE_CHARDEV_H
#define TESTS_FAKE_CHARDEV_H

#include <stdbool.h>

#include "hw/chardev.h"

struct fake_chardev {
	struct chardev chardev;
	size_t room;                    /* bytes that write still takes */
	size_t writes;                  /* calls */
	size_t len;
	uint8_t sent[65536];
	int accepts;                    /* calls of accept_input */
};

void fake_chardev_init(struct fake_chardev *f);
/* Offer bytes; returns how many the device took. */
size_t fake_chardev_type(struct fake_chardev *f, const void *buf, size_t len);

#endif
