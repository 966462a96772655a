/* SPDX-License-Identifier: MIT */
/*
 * QEMU's device of this name (docs/specs/pci-testdev of its manual; numbers observed of QEMU 7.2).  BAR 0 (memory,
 * 4 KB) and BAR 1 (ports, 256) each begin with this header, little endian:
 *
 *   0   test        a store of N starts test N of this BAR; reads as the device's number for it
 *   1   width       1, 2, 4: how wide the test's stores are; 0: there is no such test
 *   4   offset      where in this BAR they go
 *   8   data        what to store
 *   12  count       how many such stores have arrived
 *   16  name        ends with 0
 *
 * The three tests of each BAR differ in QEMU by what KVM does with the store: nothing special, an eventfd for any
 * value, one for one value only.  There are no eventfds here; the stores are counted in all three.  BAR 2, if asked
 * for, is 64-bit memory with nothing behind it: reads give 0.
 */
#include "hw/pci_testdev.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "hw/state.h"

enum {
	VENDOR = 0x1b36, DEVICE = 0x0005, SUBSYSTEM_VENDOR = 0x1af4, SUBSYSTEM = 0x1100,
	CLASS_NONE = 0x00, SUBCLASS_OTHER = 0xff,
	MEMORY_SIZE = 4096, PORTS_SIZE = 256, MEMORY_TESTS_AT = 0x800, PORT_TESTS_AT = 0x80,
	HDR_TEST = 0, HDR_WIDTH = 1, HDR_OFFSET = 4, HDR_DATA = 8, HDR_COUNT = 12, HDR_NAME = 16, HDR_SIZE = 64,
	TESTS = 3, NO_TEST = 0xff,
	DATA = 0xfa, DATA_ANY = 0xce,
};

static const char *const kinds[TESTS] = { "no-eventfd", "wildcard-eventfd", "datamatch-eventfd" };

struct pci_testdev;

/* What a BAR's callbacks are handed. */
struct bar {
	struct pci_testdev *device;
	const char *prefix;
	uint8_t first;                  /* the device's number for this BAR's test 0 */
	uint16_t tests_at;
};

struct pci_testdev {
	struct bar memory, ports;
	/* plain state: */
	struct state {
		uint8_t test;           /* the device's number; NO_TEST: none was started */
		uint32_t count;
	} s;
};

static bool ours(const struct bar *b)
{
	return b->device->s.test >= b->first && b->device->s.test < b->first + TESTS;
}

static uint8_t data_of(const struct pci_testdev *s)
{
	return s->s.test % TESTS == 1 ? DATA_ANY : DATA;
}

/* QEMU shows the test that runs in the BAR it runs in; the other one is all zeros. */
static void header(const struct bar *b, uint8_t h[HDR_SIZE])
{
	struct pci_testdev *s = b->device;

	memset(h, 0, HDR_SIZE);
	if (!ours(b))
		return;
	h[HDR_TEST] = s->s.test;
	h[HDR_WIDTH] = 1;
	put_le32(h + HDR_OFFSET, b->tests_at + s->s.test);
	put_le32(h + HDR_DATA, data_of(s));
	put_le32(h + HDR_COUNT, s->s.count);
	snprintf((char *)h + HDR_NAME, HDR_SIZE - HDR_NAME, "%s-%s", b->prefix, kinds[s->s.test - b->first]);
}

static uint64_t read_bar(void *dev, uint64_t offset, unsigned size)
{
	uint8_t h[HDR_SIZE];

	(void)size;
	header(dev, h);
	return offset < HDR_SIZE ? h[offset] : 0;
}

static void write_bar(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct bar *b = dev;
	struct pci_testdev *s = b->device;

	(void)size;
	if (offset == HDR_TEST) {
		s->s.test = value < TESTS ? (uint8_t)(b->first + value) : NO_TEST;
		s->s.count = 0;
	} else if (ours(b) && offset == b->tests_at + s->s.test && (s->s.test % TESTS == 1 || value == data_of(s))) {
		s->s.count++;
	}
}

static uint64_t read_nothing(void *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return 0;
}

static void write_nothing(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)value;
	(void)size;
}

/* Bytes only: wider accesses come in pieces, as in QEMU. */
static const struct io_ops bar_ops = { read_bar, write_bar, .max_size = 1 };
static const struct io_ops nothing_ops = { read_nothing, write_nothing, .max_size = 8 };

static void reset(void *owner)
{
	struct pci_testdev *s = owner;

	s->s = (struct state){ .test = NO_TEST };
}

struct pci_testdev *pci_testdev_new(const struct pci_testdev_config *config, struct err *err)
{
	struct pci_testdev *s = calloc(1, sizeof(*s));
	struct pci_device *d;

	assert(s);
	if (config->membar && (config->membar < 4096 || config->membar & (config->membar - 1))) {
		err_set(err, "membar is a power of two of at least 4096");
		goto fail;
	}
	d = pci_add(config->pci, &(struct pci_config){ .name = "pci-testdev", .vendor = VENDOR, .device = DEVICE,
		.subsystem_vendor = SUBSYSTEM_VENDOR, .subsystem = SUBSYSTEM, .class_code = CLASS_NONE,
		.subclass = SUBCLASS_OTHER, .devfn = config->devfn, .owner = s }, err);
	if (!d)
		goto fail;
	s->memory = (struct bar){ s, "mmio", 0, MEMORY_TESTS_AT };
	s->ports = (struct bar){ s, "portio", TESTS, PORT_TESTS_AT };
	pci_bar(d, 0, MEMORY_SIZE, PCI_BAR_MEM32, &bar_ops, &s->memory);
	pci_bar(d, 1, PORTS_SIZE, PCI_BAR_IO, &bar_ops, &s->ports);
	if (config->membar)
		pci_bar(d, 2, config->membar, PCI_BAR_MEM64_PREFETCH, &nothing_ops, s);
	state_add(config->states, &(struct state_section){ .name = "pci-testdev", .instance = config->instance,
		.version = 1, .data = &s->s, .size = sizeof(s->s), .owner = s, .reset = reset });
	reset(s);
	return s;
fail:
	free(s);
	return NULL;
}

void pci_testdev_free(struct pci_testdev *s)
{
	free(s);
}
