/* SPDX-License-Identifier: MIT */
/* QEMU's isa-debug-exit: a store of v ends the program with status (v << 1) | 1. */
#ifndef HW_ISA_DEBUG_EXIT_H
#define HW_ISA_DEBUG_EXIT_H

#include "hw/bus.h"

struct isa_debug_exit_config {
	struct bus *ports;
	uint16_t base;                  /* F4h */
	uint8_t size;                   /* ports */
	void (*exit)(void *owner, int status);
	void *owner;
};

struct isa_debug_exit;
struct isa_debug_exit *isa_debug_exit_new(const struct isa_debug_exit_config *config, struct err *err);
void isa_debug_exit_free(struct isa_debug_exit *s);

#endif
