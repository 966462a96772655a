/* SPDX-License-Identifier: MIT */
/*
 * Function 1 of the 82371SB (PIIX3 data sheet, April 1997, and "Programming Interface for Bus Master IDE Controller"
 * revision 1.0): two channels in compatibility mode, and a bus master that walks Physical Region Descriptors:
 *
 *	dword 0: address of the region (bit 0 is zero)
 *	dword 1: bytes in bits 15:0 (0: 64 KB), bit 31: end of table
 *
 * The legacy ports are always decoded, and IDETIM's decode bits read as a BIOS leaves them, so that a kernel booted
 * without one finds the channels.  Timings mean nothing here.
 */
#include "hw/piix3_ide.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"
#include "hw/ide.h"

enum {
	IDETIM = 0x40, SIDETIM = 0x44, IDETIM_DECODE = 0x8000,

	BMIC = 0, BMIS = 2, BMIDTP = 4, CHANNEL_STRIDE = 8, BM_SIZE = 16,
	BMIC_START = 1, BMIC_TO_MEMORY = 8,
	BMIS_ACTIVE = 1, BMIS_ERROR = 2, BMIS_INTERRUPT = 4, BMIS_CAPABLE = 0x60,

	PRD_SIZE = 8,
	SEGMENTS = 128,
};

#define PRD_EOT 0x80000000u

struct channel {
	struct piix3_ide *adapter;
	struct ide *ide;
	struct segment {                /* what is mapped for the disk request under way */
		uint32_t addr, len;
	} segments[SEGMENTS];
	size_t segment_count;
};

struct piix3_ide {
	struct piix3_ide_config cfg;
	struct pci_device *pci;
	struct channel channel[2];
	/* what reset() restores: */
	struct piix3_ide_state {
		struct bus_master {
			uint8_t bmic, bmis;
			uint32_t dtp;
			struct walk {
				uint32_t prd;           /* address of the next descriptor */
				uint32_t addr, left;    /* what remains of the current region */
				bool last;              /* it was the table's last one */
			} walk;
		} bm[2];
	} r;
};

static struct bus_master *master_of(struct channel *c)
{
	return &c->adapter->r.bm[c - c->adapter->channel];
}

static bool running(struct channel *c)
{
	return (master_of(c)->bmis & BMIS_ACTIVE) && pci_master(c->adapter->pci);
}

/* --- the walk over the descriptors -------------------------------------------------------------------------------- */

/* Makes sure that something is left of the current region; false: the table is at its end, or cannot be read. */
static bool fetch(struct channel *c)
{
	struct walk *w = &master_of(c)->walk;
	uint8_t prd[PRD_SIZE];
	uint32_t flags;

	if (w->left)
		return true;
	if (w->last || !running(c))
		return false;
	if (!pci_dma_read(c->adapter->pci, w->prd, prd, sizeof(prd))) {
		log_guest("piix3_ide", "descriptor at %08x is not in memory", w->prd);
		master_of(c)->bmis |= BMIS_ERROR;
		w->last = true;
		return false;
	}
	flags = le32(prd + 4);
	w->addr = le32(prd) & ~1u;
	w->left = (flags & 0xfffe) ? flags & 0xfffe : 0x10000;
	w->last = flags & PRD_EOT;
	w->prd += PRD_SIZE;
	return true;
}

static uint32_t step(struct walk *w, size_t len)
{
	uint32_t n = (uint32_t)MIN(len, (size_t)w->left);

	w->addr += n;
	w->left -= n;
	return n;
}

/* Cut what was mapped down to len bytes. */
static void cut(struct channel *c, size_t len, struct iovec *iov, size_t *count)
{
	size_t left = len, i;

	for (i = 0; left; i++) {
		iov[i].iov_len = MIN(iov[i].iov_len, left);
		left -= iov[i].iov_len;
	}
	*count = i;
	left = len;
	for (i = 0; left; i++) {
		c->segments[i].len = (uint32_t)MIN((size_t)c->segments[i].len, left);
		left -= c->segments[i].len;
	}
	c->segment_count = i;
}

static size_t map(void *owner, size_t len, struct iovec *iov, size_t max, size_t *count)
{
	struct channel *c = owner;
	struct walk *w = &master_of(c)->walk, start = *w;
	size_t total = 0, pieces = 0, whole;

	c->segment_count = 0;
	while (total < len && pieces < max && c->segment_count < SEGMENTS && fetch(c)) {
		uint32_t addr = w->addr;
		size_t n = MIN((size_t)w->left, len - total);
		size_t got = pci_dma_map(c->adapter->pci, addr, n, iov + pieces, max - pieces);

		if (!got)
			break;
		pieces += got;
		c->segments[c->segment_count++] = (struct segment){ addr, (uint32_t)n };
		total += step(w, n);
	}
	whole = total & ~(size_t)511;
	if (whole < total) {                    /* give the part of a sector back */
		*w = start;
		for (size_t left = whole; left && fetch(c); )
			left -= step(w, left);
		cut(c, whole, iov, &pieces);
	}
	*count = pieces;
	return whole;
}

static void unmap(void *owner, bool stored)
{
	struct channel *c = owner;

	for (size_t i = 0; stored && i < c->segment_count; i++)
		pci_dma_dirty(c->adapter->pci, c->segments[i].addr, c->segments[i].len);
	c->segment_count = 0;
}

static size_t copy(void *owner, void *buf, size_t len, bool to_memory)
{
	struct channel *c = owner;
	struct walk *w = &master_of(c)->walk;
	size_t done = 0;

	while (done < len && fetch(c)) {
		size_t n = MIN((size_t)w->left, len - done);

		/* Regions that are not memory swallow stores and read as ones, as the bus does. */
		if (to_memory)
			pci_dma_write(c->adapter->pci, w->addr, (uint8_t *)buf + done, n);
		else
			pci_dma_read(c->adapter->pci, w->addr, (uint8_t *)buf + done, n);
		done += step(w, n);
	}
	if (done < len)                         /* "the PRDs specified a smaller size than the IDE transfer size" */
		master_of(c)->bmis &= ~BMIS_ACTIVE;
	return done;
}

static void request(void *owner)
{
	struct channel *c = owner;

	if (running(c))
		ide_dma_go(c->ide);
}

/* Active stays set if the table had room for more: that is how the driver learns of a short transfer. */
static void end(void *owner)
{
	struct channel *c = owner;
	struct bus_master *bm = master_of(c);

	if (bm->walk.last && bm->walk.left == 0)
		bm->bmis &= ~BMIS_ACTIVE;
}

static void interrupt(void *owner, bool level)
{
	struct channel *c = owner;

	if (level)
		master_of(c)->bmis |= BMIS_INTERRUPT;
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

static void write_bmic(struct channel *c, uint8_t value)
{
	struct bus_master *bm = master_of(c);
	uint8_t before = bm->bmic;

	bm->bmic = value & (BMIC_START | BMIC_TO_MEMORY);
	if (value & ~before & BMIC_START) {
		bm->walk = (struct walk){ .prd = bm->dtp };
		bm->bmis |= BMIS_ACTIVE;
		request(c);
	} else if (before & ~value & BMIC_START) {
		bm->bmis &= ~BMIS_ACTIVE;
		ide_dma_stop(c->ide);
	}
}

static uint64_t bm_read(void *dev, uint64_t offset, unsigned size)
{
	struct piix3_ide *s = dev;
	struct bus_master *bm = &s->r.bm[offset / CHANNEL_STRIDE];

	(void)size;
	switch (offset % CHANNEL_STRIDE) {
	case BMIC:
		return bm->bmic;
	case BMIS:
		return bm->bmis;
	case BMIDTP: case BMIDTP + 1: case BMIDTP + 2: case BMIDTP + 3:
		return bm->dtp >> 8 * (offset % 4) & 0xff;
	}
	return 0;
}

static void bm_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct piix3_ide *s = dev;
	struct channel *c = &s->channel[offset / CHANNEL_STRIDE];
	struct bus_master *bm = master_of(c);
	unsigned shift = 8 * (unsigned)(offset % 4);

	(void)size;
	switch (offset % CHANNEL_STRIDE) {
	case BMIC:
		write_bmic(c, (uint8_t)value);
		break;
	case BMIS:
		bm->bmis = (uint8_t)((bm->bmis & ~BMIS_CAPABLE & ~(value & (BMIS_ERROR | BMIS_INTERRUPT))) |
				     (value & BMIS_CAPABLE));
		break;
	case BMIDTP: case BMIDTP + 1: case BMIDTP + 2: case BMIDTP + 3:
		bm->dtp = (uint32_t)((bm->dtp & ~(0xffu << shift)) | (value & 0xff) << shift) & ~3u;
		break;
	}
}

static const struct io_ops bm_ops = { .read = bm_read, .write = bm_write, .max_size = 1 };

static void config_written(void *owner, unsigned offset, unsigned size)
{
	struct piix3_ide *s = owner;

	(void)size;
	if (offset / 4 == PCI_COMMAND / 4)      /* an engine that waited for Bus Master Enable goes on */
		for (unsigned i = 0; i < 2; i++)
			request(&s->channel[i]);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void reset(void *owner)
{
	struct piix3_ide *s = owner;
	uint8_t *config = pci_config_bytes(s->pci);

	s->r = (struct piix3_ide_state){ 0 };
	put_le16(config + IDETIM, IDETIM_DECODE);
	put_le16(config + IDETIM + 2, IDETIM_DECODE);
	config[SIDETIM] = 0;
}

struct piix3_ide *piix3_ide_new(const struct piix3_ide_config *config, struct err *err)
{
	static const uint16_t command_port[] = { 0x1f0, 0x170 }, control_port[] = { 0x3f6, 0x376 };
	struct piix3_ide *s = calloc(1, sizeof(*s));

	assert(s);
	s->cfg = *config;
	s->pci = pci_add(s->cfg.pci, &(struct pci_config){
		.name = "piix3-ide", .vendor = 0x8086, .device = 0x7010, .class_code = 1, .subclass = 1,
		.prog_if = 0x80, .devfn = s->cfg.devfn, .owner = s, .config_written = config_written }, err);
	if (!s->pci) {
		free(s);
		return NULL;
	}
	memset(pci_config_writable(s->pci) + IDETIM, 0xff, 5);
	for (unsigned i = 0; i < 2; i++) {
		struct channel *c = &s->channel[i];

		c->adapter = s;
		c->ide = ide_new(&(struct ide_config){
			.irq = s->cfg.irq[i], .disk = { s->cfg.disk[i][0], s->cfg.disk[i][1] },
			.dma = { .request = request, .map = map, .unmap = unmap, .copy = copy, .end = end,
				 .interrupt = interrupt, .owner = c },
			.clock = s->cfg.clock, .states = s->cfg.states, .instance = i });
		if (!bus_map(s->cfg.ports, command_port[i], 8, &ide_command_ops, c->ide, "ide", err) ||
		    !bus_map(s->cfg.ports, control_port[i], 1, &ide_control_ops, c->ide, "ide-control", err)) {
			piix3_ide_free(s);
			return NULL;
		}
	}
	pci_bar(s->pci, 4, BM_SIZE, PCI_BAR_IO, &bm_ops, s);
	reset(s);
	state_add(s->cfg.states, &(struct state_section){
		.name = "piix3-ide", .version = 1, .data = &s->r, .size = sizeof(s->r), .owner = s, .reset = reset });
	return s;
}

void piix3_ide_free(struct piix3_ide *s)
{
	if (!s)
		return;
	bus_unmap(s->cfg.ports, 0x1f0);
	bus_unmap(s->cfg.ports, 0x3f6);
	bus_unmap(s->cfg.ports, 0x170);
	bus_unmap(s->cfg.ports, 0x376);
	ide_free(s->channel[0].ide);
	ide_free(s->channel[1].ide);
	free(s);
}
