/* SPDX-License-Identifier: MIT */
/*
 * A virtio block device: VIRTIO 1.1, section 5.2, one queue, requests handed to the disk without copying and completed in any
 * order.  Left out on purpose: SCSI pass-through (a legacy idea, section 5.2.6.3), secure erase, lifetime.
 *
 *   request   le32 type, le32 reserved, le64 sector | data | u8 status, the last writable byte
 */
#include "hw/virtio_blk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"
#include "hw/disk.h"
#include "hw/pci.h"
#include "hw/virtio.h"

enum {
	F_SEG_MAX = 2, F_GEOMETRY = 4, F_RO = 5, F_BLK_SIZE = 6, F_FLUSH = 9, F_TOPOLOGY = 10, F_CONFIG_WCE = 11,
	F_DISCARD = 13, F_WRITE_ZEROES = 14,

	CONFIG_CAPACITY = 0, CONFIG_SEG_MAX = 12, CONFIG_CYLINDERS = 16, CONFIG_HEADS = 18, CONFIG_SECTORS = 19,
	CONFIG_BLK_SIZE = 20, CONFIG_PHYSICAL_EXP = 24, CONFIG_MIN_IO = 26, CONFIG_OPT_IO = 28, CONFIG_WRITEBACK = 32,
	CONFIG_NUM_QUEUES = 34, CONFIG_MAX_DISCARD = 36, CONFIG_MAX_DISCARD_SEG = 40, CONFIG_DISCARD_ALIGN = 44,
	CONFIG_MAX_ZEROES = 48, CONFIG_MAX_ZEROES_SEG = 52, CONFIG_ZEROES_UNMAP = 56, CONFIG_SIZE = 60,

	T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13,
	T_BARRIER = 0x80000000, /* legacy: an ordering hint from before FLUSH */
	HEADER = 16, RANGE_SIZE = 16,
	S_OK = 0, S_IOERR = 1, S_UNSUPP = 2,

	SECTOR = 512, ID_SIZE = 20,
	REQUESTS = 64,                  /* under way at once; the rest waits in the ring */
	PIECES = 256,                   /* of host memory in a request */
	SEG_MAX = PIECES - 2,
	RANGE_MAX = 1 << 22,            /* sectors of one discard: 2 GB, so that none takes for ever */
};

struct request {
	struct disk_request disk;
	struct virtio_blk *s;
	struct request *next;           /* free list */
	uint32_t generation;
	uint16_t head;
	bool in;                        /* iov is written by the disk */
	bool flush_after;
	uint32_t written;               /* bytes the driver is told of, status included, if it goes well */
	struct virtq_seg status;        /* where the status byte goes */
	size_t segs;
	struct virtq_seg seg[PIECES];   /* guest addresses behind iov, while `in` */
	struct iovec iov[PIECES];
};

struct virtio_blk {
	struct virtio_blk_config cfg;
	struct virtio v;
	struct disk *disk;
	struct request *free;
	unsigned under_way;
	struct request request[REQUESTS];
};

/* --- completion ------------------------------------------------------------------------------------------------ */

static void take_up(struct virtio_blk *s);

static uint8_t status_of(int error)
{
	return error == 0 ? S_OK : error == EOPNOTSUPP || error == ENOTSUP ? S_UNSUPP : S_IOERR;
}

/* Status byte and used element; `r` is not touched again. */
static void complete(struct virtio_blk *s, uint16_t head, const struct virtq_seg *where, uint8_t status, uint32_t written)
{
	struct virtq *q = &s->v.q[0];

	pci_dma_write(s->v.pci, where->addr, &status, 1);
	virtq_push(q, head, written);
	virtq_flush(q);
}

static void release(struct virtio_blk *s, struct request *r)
{
	r->next = s->free;
	s->free = r;
	s->under_way--;
}

static void done(void *owner, struct disk_request *d, int error)
{
	struct request *r = owner;
	struct virtio_blk *s = r->s;
	bool mine = r->generation == s->v.generation;

	if (r->in)
		virtq_dirty(&s->v.q[0], r->seg, r->segs);
	if (!error && r->flush_after && mine) {
		r->flush_after = false;
		d->op = DISK_FLUSH;
		d->offset = d->len = 0;
		d->iov = NULL;
		d->iov_count = 0;
		disk_submit(s->disk, d);
		return;
	}
	if (mine && virtq_live(&s->v.q[0]))
		complete(s, r->head, &r->status, status_of(error), error ? 1 : r->written);
	release(s, r);
	if (!s->under_way)
		virtio_idle(&s->v);
	if (virtq_live(&s->v.q[0]))
		take_up(s);
}

/* --- requests -------------------------------------------------------------------------------------------------- */

static bool writeback(const struct virtio_blk *s)
{
	/* section 5.2.6.2: a driver that cannot flush gets write-through */
	return virtio_has(&s->v, F_CONFIG_WCE) ? s->v.s.config[CONFIG_WRITEBACK] : virtio_has(&s->v, F_FLUSH);
}

static bool in_range(const struct virtio_blk *s, uint64_t sector, uint64_t len)
{
	uint64_t size = s->disk->present ? s->disk->size : 0;

	return len % SECTOR == 0 && sector <= size / SECTOR && len <= (size / SECTOR - sector) * SECTOR;
}

/* The following start a request and return -1, or the status that ends it at once. */
static int transfer(struct virtio_blk *s, struct request *r, const struct virtq_chain *c, uint64_t sector, bool in)
{
	uint64_t len = in ? c->in_len - 1 : c->out_len - HEADER;

	if (!in && s->disk->read_only)
		return S_IOERR;
	if (!len || !in_range(s, sector, len)) {
		log_guest("virtio-blk", "%s: %llu bytes at sector %llu refused", s->cfg.name, (unsigned long long)len,
			  (unsigned long long)sector);
		return len ? S_IOERR : S_OK;
	}
	r->disk.iov_count = virtq_map(&s->v.q[0], c, in, in ? 0 : HEADER, len, r->iov, PIECES);
	if (!r->disk.iov_count) {
		log_guest("virtio-blk", "%s: a buffer that is not RAM, or in too many pieces", s->cfg.name);
		return S_IOERR;
	}
	if (in)
		r->segs = virtq_segs(c, true, 0, len, r->seg, PIECES);
	r->in = in;
	r->written = in ? (uint32_t)len + 1 : 1;
	r->flush_after = !in && !writeback(s);
	r->disk.op = in ? DISK_READ : DISK_WRITE;
	r->disk.offset = sector * SECTOR;
	r->disk.len = len;
	r->disk.iov = r->iov;
	return -1;
}

static int range(struct virtio_blk *s, struct request *r, const struct virtq_chain *c, bool zeroes)
{
	uint8_t range[RANGE_SIZE];
	uint64_t sector, len;

	if (s->disk->read_only)
		return S_IOERR;
	if (!virtio_has(&s->v, zeroes ? F_WRITE_ZEROES : F_DISCARD) || c->out_len != HEADER + RANGE_SIZE)
		return S_UNSUPP;
	if (!virtq_read(&s->v.q[0], c, HEADER, range, sizeof(range)))
		return S_IOERR;
	sector = le64(range);
	len = le32(range + 8) * (uint64_t)SECTOR;
	if (le32(range + 12) & (zeroes ? ~1u : ~0u))    /* section 5.2.6.2: unknown flags, and unmap for a discard */
		return S_UNSUPP;
	if (len > (uint64_t)RANGE_MAX * SECTOR || !in_range(s, sector, len))
		return S_IOERR;
	if (!len)
		return S_OK;
	r->flush_after = !writeback(s);
	r->disk.op = zeroes ? DISK_WRITE_ZEROES : DISK_DISCARD;
	r->disk.offset = sector * SECTOR;
	r->disk.len = len;
	return -1;
}

static int get_id(struct virtio_blk *s, struct request *r, const struct virtq_chain *c)
{
	const char *serial = s->cfg.serial ? s->cfg.serial : s->disk->serial ? s->disk->serial : "";
	char id[ID_SIZE] = "";
	uint32_t n = (uint32_t)MIN(c->in_len - 1, sizeof(id));

	for (size_t i = 0; i < sizeof(id) && serial[i]; i++)
		id[i] = serial[i];
	if (!virtq_write(&s->v.q[0], c, 0, id, n))
		return S_IOERR;
	r->written = n + 1;
	return S_OK;
}

static int start(struct virtio_blk *s, struct request *r, const struct virtq_chain *c)
{
	uint8_t header[HEADER];
	uint64_t sector;

	if (!virtq_read(&s->v.q[0], c, 0, header, sizeof(header)))
		return S_IOERR;
	sector = le64(header + 8);
	switch (le32(header) & ~(uint32_t)T_BARRIER) {
	case T_IN:
		return transfer(s, r, c, sector, true);
	case T_OUT:
		return transfer(s, r, c, sector, false);
	case T_FLUSH:
		r->disk.op = DISK_FLUSH;
		return -1;
	case T_GET_ID:
		return get_id(s, r, c);
	case T_DISCARD:
		return range(s, r, c, false);
	case T_WRITE_ZEROES:
		return range(s, r, c, true);
	}
	return S_UNSUPP;
}

static void take_one(struct virtio_blk *s, const struct virtq_chain *c)
{
	struct request *r = s->free;
	struct virtq_seg status;
	int now;

	s->free = r->next;
	s->under_way++;
	r->disk = (struct disk_request){ .done = done, .owner = r };
	r->generation = s->v.generation;
	r->head = c->head;
	r->in = r->flush_after = false;
	r->written = 1;
	r->segs = 0;
	virtq_segs(c, true, c->in_len - 1, 1, &status, 1);
	r->status = status;
	now = start(s, r, c);
	if (now < 0) {
		disk_submit(s->disk, &r->disk);
		return;
	}
	complete(s, r->head, &status, (uint8_t)now, r->written);
	release(s, r);
}

static void take_up(struct virtio_blk *s)
{
	struct virtq *q = &s->v.q[0];
	struct virtq_chain c;

	do {
		virtq_no_kicks(q);
		/* bounded: a guest that refills as fast as we complete must not hold the loop */
		for (unsigned n = 0; s->free && virtq_pop(q, &c); n++) {
			if (c.out_len < HEADER || c.in_len < 1) {
				virtio_break(&s->v, "a block request without header or status");
				return;
			}
			take_one(s, &c);
			if (n == 2 * REQUESTS) {
				virtio_ring(&s->v, 0);
				return;
			}
		}
		if (!s->free)
			return;         /* done() comes back here */
	} while (virtq_want_kicks(q));
}

static void kick(void *owner, unsigned n)
{
	(void)n;
	take_up(owner);
}

/* --- configuration --------------------------------------------------------------------------------------------- */

static void show_capacity(struct virtio_blk *s)
{
	uint64_t sectors = s->disk->present ? s->disk->size / SECTOR : 0, cylinders = sectors / (16 * 63);
	uint8_t *c = s->v.s.config;

	put_le64(c + CONFIG_CAPACITY, sectors);
	put_le16(c + CONFIG_CYLINDERS, (uint16_t)MIN(MAX(cylinders, 2), 16383));
	c[CONFIG_HEADS] = 16;
	c[CONFIG_SECTORS] = 63;
}

static void reset(void *owner)
{
	struct virtio_blk *s = owner;
	uint8_t *c = s->v.s.config;

	show_capacity(s);
	put_le32(c + CONFIG_SEG_MAX, SEG_MAX);
	put_le32(c + CONFIG_BLK_SIZE, SECTOR);
	put_le16(c + CONFIG_MIN_IO, 1);
	c[CONFIG_WRITEBACK] = 1;
	put_le16(c + CONFIG_NUM_QUEUES, 1);
	put_le32(c + CONFIG_MAX_DISCARD, RANGE_MAX);
	put_le32(c + CONFIG_MAX_DISCARD_SEG, 1);
	put_le32(c + CONFIG_DISCARD_ALIGN, 1);
	put_le32(c + CONFIG_MAX_ZEROES, RANGE_MAX);
	put_le32(c + CONFIG_MAX_ZEROES_SEG, 1);
	c[CONFIG_ZEROES_UNMAP] = 1;
}

static void config_write(void *owner, unsigned offset, uint32_t value, unsigned size)
{
	struct virtio_blk *s = owner;

	if (offset == CONFIG_WRITEBACK && size == 1 && virtio_has(&s->v, F_CONFIG_WCE))
		s->v.s.config[CONFIG_WRITEBACK] = value & 1;
}

static void started(void *owner)
{
	struct virtio_blk *s = owner;

	/* section 5.2.5: cache mode of a driver that knows FLUSH but cannot switch is write-back */
	if (!virtio_has(&s->v, F_CONFIG_WCE))
		s->v.s.config[CONFIG_WRITEBACK] = virtio_has(&s->v, F_FLUSH);
}

static bool busy(void *owner)
{
	struct virtio_blk *s = owner;

	return s->under_way;
}

static void disk_changed(void *owner)
{
	struct virtio_blk *s = owner;

	show_capacity(s);
	virtio_config_changed(&s->v);
}

static const struct virtio_ops blk_ops = {
	.kick = kick, .reset = reset, .busy = busy, .started = started, .config_write = config_write,
};

struct virtio_blk *virtio_blk_new(const struct virtio_blk_config *config, struct err *err)
{
	struct virtio_blk *s = calloc(1, sizeof(*s));
	uint64_t features = VIRTIO_BIT(F_SEG_MAX) | VIRTIO_BIT(F_GEOMETRY) | VIRTIO_BIT(F_BLK_SIZE) |
		VIRTIO_BIT(F_FLUSH) | VIRTIO_BIT(F_TOPOLOGY) | VIRTIO_BIT(F_CONFIG_WCE) |
		VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) |
		VIRTIO_BIT(VIRTIO_F_NOTIFY_ON_EMPTY) | VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT);
	unsigned size = config->queue_size ? config->queue_size : 256;

	if (size & (size - 1) || size < 2 || size > VIRTQ_SIZE_MAX) {
		err_set(err, "%s: queue-size %u is not a power of two from 2 to %u", config->name, size, VIRTQ_SIZE_MAX);
		free(s);
		return NULL;
	}
	assert(s && config->disk);
	s->cfg = *config;
	s->disk = config->disk;
	for (unsigned i = 0; i < REQUESTS; i++) {
		s->request[i].s = s;
		s->request[i].next = s->free;
		s->free = &s->request[i];
	}
	features |= s->disk->read_only ? VIRTIO_BIT(F_RO) : VIRTIO_BIT(F_DISCARD) | VIRTIO_BIT(F_WRITE_ZEROES);
	if (!virtio_init(&s->v, &(struct virtio_config){
		.pci = config->pci, .clock = config->clock, .states = config->states, .name = config->name, .type = 2,
		.legacy_id = 0x1001, .class_code = 0x01, .subclass = 0x00, .devfn = config->devfn,
		.disable_legacy = config->disable_legacy, .disable_modern = config->disable_modern,
		.features = features, .queues = 1, .queue_size = { (uint16_t)size }, .config_len = CONFIG_SIZE,
		.vectors = 2, .ops = &blk_ops, .owner = s,
	}, err)) {
		free(s);
		return NULL;
	}
	s->disk->changed = disk_changed;
	s->disk->owner = s;
	return s;
}

void virtio_blk_free(struct virtio_blk *s)
{
	if (!s)
		return;
	s->disk->changed = NULL;
	virtio_exit(&s->v);
	free(s);
}

struct pci_device *virtio_blk_pci(struct virtio_blk *s)
{
	return s->v.pci;
}
