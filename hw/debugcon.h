/* SPDX-License-Identifier: MIT */
/* The debug console: bytes written to a port go to a chardev; reading gives E9h, by which firmware finds it. */
#ifndef HW_DEBUGCON_H
#define HW_DEBUGCON_H

#include "hw/bus.h"
#include "hw/chardev.h"

struct debugcon_config {
	struct bus *ports;
	uint16_t base;                  /* 402h, E9h */
	struct chardev *chardev;
};

struct debugcon;
struct debugcon *debugcon_new(const struct debugcon_config *config, struct err *err);
void debugcon_free(struct debugcon *s);

#endif
