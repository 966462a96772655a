/* SPDX-License-Identifier: MIT */
/* Bochs's port E9 hack, as QEMU's isa-debugcon: one byte wide, no state, no flow control (a full chardev loses bytes). */
#include "hw/debugcon.h"

#include <assert.h>
#include <stdlib.h>

struct debugcon {
	struct debugcon_config cfg;
};

static uint64_t read_port(void *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return 0xe9;
}

static void write_port(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct debugcon *s = dev;
	uint8_t byte = (uint8_t)value;

	(void)offset;
	(void)size;
	s->cfg.chardev->write(s->cfg.chardev, &byte, 1);
}

static const struct io_ops ops = { read_port, write_port, .max_size = 1 };

struct debugcon *debugcon_new(const struct debugcon_config *config, struct err *err)
{
	struct debugcon *s = calloc(1, sizeof(*s));

	assert(s && config->chardev);
	s->cfg = *config;
	if (!bus_map(config->ports, config->base, 1, &ops, s, "debugcon", err)) {
		free(s);
		return NULL;
	}
	return s;
}

void debugcon_free(struct debugcon *s)
{
	free(s);
}
