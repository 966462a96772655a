/* SPDX-License-Identifier: MIT */
/* The 440FX host bridge: configuration ports, where RAM and firmware appear, shadow RAM. */
#ifndef HW_I440FX_H
#define HW_I440FX_H

#include "hw/bus.h"
#include "hw/pci.h"
#include "hw/state.h"

struct i440fx_config {
	struct bus *memory, *ports;     /* CF8h and CFCh are mapped */
	struct pci_bus *pci;
	uint8_t *ram;                   /* the caller's */
	uint64_t ram_size, low_max;     /* RAM beyond low_max appears from 4 GiB on */
	const void *bios;               /* copied; its end is at 4 GiB, its last 128 KiB also below 1 MiB; NULL: none */
	size_t bios_len;                /* a multiple of 4 KiB, up to 16 MiB */
	/* Byte accesses to CF9h, which lies within the configuration address port; owned by the south bridge. */
	uint8_t (*cf9_read)(void *owner);
	void (*cf9_write)(void *owner, uint8_t value);
	void *cf9_owner;
	struct state_list *states;
};

struct i440fx;
struct i440fx *i440fx_new(const struct i440fx_config *config, struct err *err);
void i440fx_free(struct i440fx *s);
/* All of C0000-FFFFF is RAM, as firmware leaves most of it. */
void i440fx_shadow_all(struct i440fx *s);

#endif
