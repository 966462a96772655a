/* SPDX-License-Identifier: MIT */
/*
 * QEMU's device of this name, as observed from outside (QEMU 7.2, its windows by `info mtree`, its answers over qtest):
 *
 *   E0h..E3h        a register of four bytes that keeps what is stored, at every width
 *   E4h..E7h        a page's address: QEMU makes the host forget how it is mapped, which no guest sees; reads give 0
 *   E8h..EBh        the same four bytes as E0h, through a window that takes bytes only: wider accesses arrive in pieces
 *   2000h..2017h    interrupt line n: a byte of 0 lowers it, any other raises it; wider stores do nothing, reads give 0
 *   FF000000h       64 KB that keep what is stored and are no RAM: every access is the device's
 *
 * Reset touches none of it, as in QEMU, but the lines go down with the rest of the board's.
 */
#include "hw/pc_testdev.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { PORT_DATA = 0xe0, PORT_FLUSH = 0xe4, PORT_BYTES = 0xe8, PORT_IRQ = 0x2000, MEMORY_SIZE = 0x10000 };
#define MEMORY_AT 0xff000000u

struct pc_testdev {
	struct pc_testdev_config cfg;
	uint8_t data[4];
	uint8_t memory[MEMORY_SIZE];
};

/* Little endian; what lies past the end of `from` is 0. */
static uint64_t take(const uint8_t *from, size_t len, uint64_t offset, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < size && offset + i < len; i++)
		v |= (uint64_t)from[offset + i] << 8 * i;
	return v;
}

static void put(uint8_t *to, size_t len, uint64_t offset, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size && offset + i < len; i++)
		to[offset + i] = (uint8_t)(value >> 8 * i);
}

static uint64_t read_data(void *dev, uint64_t offset, unsigned size)
{
	struct pc_testdev *s = dev;

	return take(s->data, sizeof(s->data), offset, size);
}

static void write_data(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct pc_testdev *s = dev;

	put(s->data, sizeof(s->data), offset, value, size);
}

static uint64_t read_memory(void *dev, uint64_t offset, unsigned size)
{
	struct pc_testdev *s = dev;

	return take(s->memory, sizeof(s->memory), offset, size);
}

static void write_memory(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct pc_testdev *s = dev;

	put(s->memory, sizeof(s->memory), offset, value, size);
}

static uint64_t read_zero(void *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return 0;
}

static void write_flush(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)value;
	(void)size;
}

static void write_irq(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct pc_testdev *s = dev;

	if (size == 1)
		irq_set(&s->cfg.irq[offset], value != 0);
}

static const struct {
	uint64_t base, len;
	const char *name;
	struct io_ops ops;
} port_windows[] = {
	{ PORT_DATA, 4, "pc-testdev-ioport", { read_data, write_data, .max_size = 4 } },
	{ PORT_FLUSH, 4, "pc-testdev-flush-page", { read_zero, write_flush, .max_size = 4 } },
	{ PORT_BYTES, 4, "pc-testdev-ioport-byte", { read_data, write_data, .max_size = 1 } },
	{ PORT_IRQ, PC_TESTDEV_IRQS, "pc-testdev-irq-line", { read_zero, write_irq, .max_size = 4 } },
};
static const struct io_ops memory_ops = { read_memory, write_memory, .max_size = 8 };

struct pc_testdev *pc_testdev_new(const struct pc_testdev_config *config, struct err *err)
{
	struct pc_testdev *s = calloc(1, sizeof(*s));
	size_t n;

	assert(s);
	s->cfg = *config;
	for (n = 0; n < ARRAY_SIZE(port_windows); n++)
		if (!bus_map(config->ports, port_windows[n].base, port_windows[n].len, &port_windows[n].ops, s,
			     port_windows[n].name, err))
			goto fail;
	if (!bus_map(config->memory, MEMORY_AT, MEMORY_SIZE, &memory_ops, s, "pc-testdev-iomem", err))
		goto fail;
	return s;
fail:
	while (n--)
		bus_unmap(config->ports, port_windows[n].base);
	free(s);
	return NULL;
}

void pc_testdev_free(struct pc_testdev *s)
{
	free(s);
}
