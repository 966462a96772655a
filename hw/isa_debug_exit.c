/* SPDX-License-Identifier: MIT */
/* A device for test kernels: one effect.  It only reports; whoever runs the machine ends the process. */
#include "hw/isa_debug_exit.h"

#include <assert.h>
#include <stdlib.h>

struct isa_debug_exit {
	struct isa_debug_exit_config cfg;
	bool done;                      /* the bytes of a store wider than the ports come one by one: the first one counts */
};

static uint64_t read_port(void *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return 0;
}

static void write_port(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct isa_debug_exit *s = dev;

	(void)offset;
	(void)size;
	if (s->cfg.exit && !s->done)
		s->cfg.exit(s->cfg.owner, (int)((value << 1 | 1) & 0xff));
	s->done = true;
}

static const struct io_ops ops = { read_port, write_port, .max_size = 4 };

struct isa_debug_exit *isa_debug_exit_new(const struct isa_debug_exit_config *config, struct err *err)
{
	struct isa_debug_exit *s = calloc(1, sizeof(*s));

	assert(s);
	s->cfg = *config;
	if (!bus_map(config->ports, config->base, config->size, &ops, s, "isa-debug-exit", err)) {
		free(s);
		return NULL;
	}
	return s;
}

void isa_debug_exit_free(struct isa_debug_exit *s)
{
	free(s);
}
