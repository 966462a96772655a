/* SPDX-License-Identifier: MIT */
/*
 * The channel of an ATA/ATAPI-6 adapter (T13/1410D): task file, device selection, resets, interrupts, PIO data, and the
 * course of a transfer.  What a command means is the drives' affair (ata.c, atapi.c).
 *
 * Both drives see every store to the command block; the selected one answers reads.  One command runs at a time:
 *
 *	IDLE --command--> IN or OUT (data port) or DMA (engine) or DISK (request) --...--> IDLE
 *
 * A disk request cannot be called back.  A reset during one leaves BSY set until the request is done, and its result
 * is thrown away.  An absent drive reads as zero.
 * Left out on purpose: overlapped and queued commands, CompactFlash's 8-bit transfers, host protected area setting.
 */
#include "hw/ide_drive.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"

enum {
	CONTROL_NIEN = 0x02, CONTROL_SRST = 0x04, CONTROL_HOB = 0x80,
	DEVICE_OBSOLETE = 0xa0,         /* bits that read as ones since ATA-1 */

	COMMAND_DEVICE_RESET = 0x08, COMMAND_DIAGNOSTIC = 0x90,
	DIAGNOSTIC_PASSED = 0x01,
};

static unsigned selected(const struct ide *s)
{
	return s->r.slave;
}

static bool busy(const struct ide *s)
{
	return s->in_flight || s->r.t.phase == IDE_DMA || (s->r.control & CONTROL_SRST);
}

/* INTRQ is the selected drive's, and three-stated by nIEN. */
static void update_irq(struct ide *s)
{
	bool level = s->r.drive[selected(s)].intrq && !(s->r.control & CONTROL_NIEN);

	if (level == s->level)
		return;
	s->level = level;
	if (s->cfg.dma.interrupt)
		s->cfg.dma.interrupt(s->cfg.dma.owner, level);
	irq_set(&s->cfg.irq, level);
}

void ide_interrupt(struct ide *s, struct ide_drive *d)
{
	d->intrq = true;
	update_irq(s);
}

/* --- ends of commands --------------------------------------------------------------------------------------------- */

void ide_quiet_end(struct ide *s, struct ide_drive *d)
{
	s->r.t = (struct ide_transfer){ .phase = IDE_IDLE };
	d->status = STATUS_DRDY | STATUS_DSC;
	d->error = 0;
}

void ide_success(struct ide *s, struct ide_drive *d)
{
	ide_quiet_end(s, d);
	ide_interrupt(s, d);
}

void ide_failure(struct ide *s, struct ide_drive *d, uint8_t error)
{
	ide_quiet_end(s, d);
	d->status |= STATUS_ERR;
	d->error = error;
	ide_interrupt(s, d);
}

/* --- PIO data ----------------------------------------------------------------------------------------------------- */

static void data_block(struct ide *s, struct ide_drive *d, enum ide_phase phase, uint32_t pos, uint32_t len)
{
	assert(len > 0 && pos <= IDE_BUF && len <= IDE_BUF - pos);
	s->r.t.phase = (uint8_t)phase;
	s->r.t.drive = (uint8_t)(d - s->r.drive);
	s->r.t.pos = pos;
	s->r.t.end = pos + len;
	d->status = STATUS_DRDY | STATUS_DSC | STATUS_DRQ;
}

void ide_data_in(struct ide *s, struct ide_drive *d, uint32_t pos, uint32_t len)
{
	data_block(s, d, IDE_IN, pos, len);
}

void ide_data_out(struct ide *s, struct ide_drive *d, uint32_t pos, uint32_t len)
{
	data_block(s, d, IDE_OUT, pos, len);
}

static bool at_data(const struct ide *s, enum ide_phase phase)
{
	return s->r.t.phase == phase && s->r.t.drive == selected(s);
}

static uint32_t read_data(struct ide *s, unsigned size)
{
	struct ide_transfer *t = &s->r.t;
	uint32_t value = 0;

	if (!at_data(s, IDE_IN))
		return 0;
	memcpy(&value, s->r.buf + t->pos, MIN(size, t->end - t->pos));
	t->pos += size;
	if (t->pos >= t->end) {
		t->pos = t->end;
		s->ops[t->drive]->block(s, &s->r.drive[t->drive]);
	}
	return value;
}

static void write_data(struct ide *s, uint32_t value, unsigned size)
{
	struct ide_transfer *t = &s->r.t;

	if (!at_data(s, IDE_OUT))
		return;
	memcpy(s->r.buf + t->pos, &value, MIN(size, t->end - t->pos));
	t->pos += size;
	if (t->pos >= t->end) {
		t->pos = t->end;
		s->ops[t->drive]->block(s, &s->r.drive[t->drive]);
	}
}

/* --- disk requests ------------------------------------------------------------------------------------------------ */

static void end_reset(struct ide *s);

static void request_done(void *owner, struct disk_request *r, int error)
{
	struct ide *s = owner;
	unsigned n = s->r.t.drive;

	(void)r;
	s->in_flight = false;
	if (s->discard) {
		if (s->cfg.dma.unmap)
			s->cfg.dma.unmap(s->cfg.dma.owner, s->request.op == DISK_READ);
		end_reset(s);
		return;
	}
	s->ops[n]->disk_done(s, &s->r.drive[n], error);
}

static void submit(struct ide *s, struct ide_drive *d, enum disk_op op, uint64_t offset, uint64_t len, size_t pieces)
{
	assert(!s->in_flight);
	s->request = (struct disk_request){
		.op = op, .offset = offset, .len = len, .iov = s->iov, .iov_count = pieces,
		.done = request_done, .owner = s };
	s->in_flight = true;
	s->stopped = false;
	s->r.t.phase = IDE_DISK;
	s->r.t.drive = (uint8_t)(d - s->r.drive);
	d->status = STATUS_BSY;
	disk_submit(ide_disk(s, d), &s->request);
}

void ide_disk_buffer(struct ide *s, struct ide_drive *d, enum disk_op op, uint64_t offset, uint32_t len)
{
	assert(len <= IDE_BUF);
	s->iov[0] = (struct iovec){ s->r.buf, len };
	submit(s, d, op, offset, len, len ? 1 : 0);
}

/* --- DMA commands ------------------------------------------------------------------------------------------------- */

void ide_dma_wait(struct ide *s, struct ide_drive *d)
{
	s->r.t.phase = IDE_DMA;
	s->r.t.drive = (uint8_t)(d - s->r.drive);
	d->status = STATUS_BSY | STATUS_DRDY | STATUS_DSC | STATUS_DRQ;
	s->cfg.dma.request(s->cfg.dma.owner);
}

void ide_dma_go(struct ide *s)
{
	unsigned n = s->r.t.drive;

	if (s->r.t.phase == IDE_DMA)
		s->ops[n]->dma(s, &s->r.drive[n]);
}

void ide_dma_stop(struct ide *s)
{
	if (s->r.t.phase == IDE_DISK && s->r.t.dma)
		s->stopped = true;
}

/* The engine is gone in mid-command; the drive keeps asking. */
static void dma_starve(struct ide *s, struct ide_drive *d)
{
	s->r.t.phase = IDE_DMA;
	d->status = STATUS_BSY | STATUS_DRDY | STATUS_DSC | STATUS_DRQ;
}

void ide_dma_chunk(struct ide *s, struct ide_drive *d, bool to_memory)
{
	struct ide_transfer *t = &s->r.t;
	uint64_t want = MIN((uint64_t)t->left * IDE_SECTOR, (uint64_t)IDE_DMA_CHUNK);
	size_t pieces = 0, len = s->cfg.dma.map(s->cfg.dma.owner, (size_t)want, s->iov, IDE_PIECES, &pieces);

	t->bounce = len == 0;
	if (t->bounce) {
		len = (size_t)MIN(want, (uint64_t)IDE_BUF);
		if (!to_memory && s->cfg.dma.copy(s->cfg.dma.owner, s->r.buf, len, false) < len) {
			dma_starve(s, d);
			return;
		}
		s->iov[0] = (struct iovec){ s->r.buf, len };
		pieces = 1;
	}
	t->chunk = (uint32_t)(len / IDE_SECTOR);
	submit(s, d, to_memory ? DISK_READ : DISK_WRITE, t->lba * IDE_SECTOR, len, pieces);
}

bool ide_dma_chunk_done(struct ide *s, struct ide_drive *d, bool to_memory, int error)
{
	struct ide_transfer *t = &s->r.t;
	size_t len = (size_t)t->chunk * IDE_SECTOR;

	if (!t->bounce)
		s->cfg.dma.unmap(s->cfg.dma.owner, to_memory);
	if (error)
		return true;                    /* the drive ends the command */
	if (s->stopped || (t->bounce && to_memory && s->cfg.dma.copy(s->cfg.dma.owner, s->r.buf, len, true) < len)) {
		s->stopped = false;
		ide_dma_wait(s, d);             /* the engine may have been started anew meanwhile */
		return false;
	}
	t->lba += t->chunk;
	t->left -= t->chunk;
	return true;
}

/* --- resets ------------------------------------------------------------------------------------------------------- */

void ide_signature(struct ide *s, struct ide_drive *d)
{
	const struct ide_drive_ops *ops = s->ops[d - s->r.drive];

	d->reg[IDE_COUNT] = d->reg[IDE_LBA_LOW] = 1;
	d->reg[IDE_LBA_MID] = ops ? ops->signature_mid : 0;
	d->reg[IDE_LBA_HIGH] = ops ? ops->signature_high : 0;
	memset(d->hob, 0, sizeof(d->hob));
}

/* A packet device shows DRDY only after its first command (9.1 of ATA/ATAPI-6). */
static void reset_done(struct ide *s, struct ide_drive *d)
{
	const struct ide_drive_ops *ops = s->ops[d - s->r.drive];

	ide_signature(s, d);
	d->reg[IDE_DEVICE] &= (uint8_t)~(DEVICE_HEAD | DEVICE_LBA | DEVICE_DEV);
	d->intrq = false;
	d->error = DIAGNOSTIC_PASSED;
	d->status = ops == &ata_ops ? STATUS_DRDY | STATUS_DSC : 0;
}

static void end_reset(struct ide *s)
{
	uint8_t drives = s->discard;

	s->discard = 0;
	s->r.t = (struct ide_transfer){ .phase = IDE_IDLE };
	for (unsigned i = 0; i < 2; i++)
		if (drives & 1 << i)
			reset_done(s, &s->r.drive[i]);
	update_irq(s);
}

/* Reset these drives (bits): at once, or when the disk has given back its request. */
static void begin_reset(struct ide *s, uint8_t drives)
{
	for (unsigned i = 0; i < 2; i++)
		if (drives & 1 << i) {
			s->r.drive[i].status = STATUS_BSY;
			s->r.drive[i].intrq = false;
		}
	if (drives == 3)
		s->r.slave = false;
	s->discard |= drives;
	if (!s->in_flight)
		end_reset(s);
	update_irq(s);
}

static void write_control(struct ide *s, uint8_t value)
{
	uint8_t before = s->r.control;

	s->r.control = value & (CONTROL_NIEN | CONTROL_SRST | CONTROL_HOB);
	if (value & ~before & CONTROL_SRST) {
		for (unsigned i = 0; i < 2; i++) {
			s->r.drive[i].status = STATUS_BSY;
			s->r.drive[i].intrq = false;
		}
		if (s->in_flight)
			s->discard |= 3;
		else
			s->r.t = (struct ide_transfer){ .phase = IDE_IDLE };
	}
	if (before & ~value & CONTROL_SRST)
		begin_reset(s, 3);
	update_irq(s);
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

static uint8_t read_status(struct ide *s, bool acknowledge)
{
	struct ide_drive *d = &s->r.drive[selected(s)];

	if (!s->ops[selected(s)])
		return 0;
	if (acknowledge && d->intrq) {
		d->intrq = false;
		update_irq(s);
	}
	return s->r.control & CONTROL_SRST ? STATUS_BSY : d->status;
}

static uint8_t read_register(struct ide *s, unsigned reg)
{
	struct ide_drive *d = &s->r.drive[selected(s)];

	if (!s->ops[selected(s)])
		return 0;
	switch (reg) {
	case IDE_FEATURES:
		return s->r.control & CONTROL_HOB ? d->hob[IDE_FEATURES] : d->error;
	case IDE_DEVICE:
		return d->reg[IDE_DEVICE] | DEVICE_OBSOLETE;
	case IDE_COMMAND:
		return read_status(s, true);
	default:
		return s->r.control & CONTROL_HOB ? d->hob[reg] : d->reg[reg];
	}
}

static void write_command(struct ide *s, uint8_t command)
{
	struct ide_drive *d = &s->r.drive[selected(s)];
	const struct ide_drive_ops *ops = s->ops[selected(s)];

	if (s->r.control & CONTROL_SRST)
		return;
	if (command == COMMAND_DIAGNOSTIC && !busy(s)) {
		begin_reset(s, 3);              /* both drives run it, master answers */
		if (s->ops[0])
			ide_interrupt(s, &s->r.drive[0]);
		return;
	}
	if (!ops)
		return;
	if (command == COMMAND_DEVICE_RESET && ops == &atapi_ops) {
		if (s->r.t.drive == selected(s) || s->r.t.phase == IDE_IDLE)
			begin_reset(s, (uint8_t)(1 << selected(s)));
		return;
	}
	if (busy(s)) {
		log_guest("ide", "command %02x while a command runs", command);
		return;
	}
	if (s->r.t.phase != IDE_IDLE) {
		log_guest("ide", "command %02x in the middle of a data transfer", command);
		s->r.drive[s->r.t.drive].status = STATUS_DRDY | STATUS_DSC;
	}
	s->r.t = (struct ide_transfer){ .phase = IDE_IDLE, .drive = (uint8_t)selected(s) };
	d->intrq = false;
	d->error = 0;
	update_irq(s);
	ops->command(s, d, command);
}

static void write_register(struct ide *s, unsigned reg, uint8_t value)
{
	s->r.control &= ~CONTROL_HOB;           /* any store to the command block clears it */
	if (reg == IDE_COMMAND) {
		write_command(s, value);
		return;
	}
	if (busy(s) || s->r.drive[selected(s)].status & STATUS_BSY)
		return;
	for (unsigned i = 0; i < 2; i++) {
		struct ide_drive *d = &s->r.drive[i];

		d->hob[reg] = d->reg[reg];
		d->reg[reg] = value;
	}
	if (reg == IDE_DEVICE) {
		s->r.slave = value & DEVICE_DEV;
		update_irq(s);
	}
}

static uint64_t command_read(void *dev, uint64_t offset, unsigned size)
{
	struct ide *s = dev;
	uint64_t value = 0;

	if (offset == IDE_DATA)
		return read_data(s, size);
	for (unsigned i = 0; i < size && offset + i < 8; i++)
		value |= (uint64_t)read_register(s, (unsigned)offset + i) << 8 * i;
	return value;
}

static void command_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct ide *s = dev;

	if (offset == IDE_DATA) {
		write_data(s, (uint32_t)value, size);
		return;
	}
	for (unsigned i = 0; i < size && offset + i < 8; i++)
		write_register(s, (unsigned)offset + i, (uint8_t)(value >> 8 * i));
}

static uint64_t control_read(void *dev, uint64_t offset, unsigned size)
{
	(void)offset;
	(void)size;
	return read_status(dev, false);
}

static void control_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	(void)offset;
	(void)size;
	write_control(dev, (uint8_t)value);
}

const struct io_ops ide_command_ops = { .read = command_read, .write = command_write, .max_size = 4 };
const struct io_ops ide_control_ops = { .read = control_read, .write = control_write, .max_size = 1 };

/* --- life --------------------------------------------------------------------------------------------------------- */

static void reset(void *owner)
{
	struct ide *s = owner;

	s->r.control = 0;
	for (unsigned i = 0; i < 2; i++) {
		s->r.drive[i] = (struct ide_drive){ .heads = 16, .sectors = 63 };
		if (s->ops[i])
			s->ops[i]->reset(s, &s->r.drive[i]);
	}
	if (!s->in_flight)
		s->r.t = (struct ide_transfer){ .phase = IDE_IDLE };
	begin_reset(s, 3);
}

static void loaded(void *owner)
{
	struct ide *s = owner;

	s->level = s->r.drive[selected(s)].intrq && !(s->r.control & CONTROL_NIEN);
	irq_set(&s->cfg.irq, s->level);
}

static void changed(void *owner)
{
	struct ide_end *e = owner;

	e->ide->ops[e->n]->changed(e->ide, &e->ide->r.drive[e->n]);
}

struct ide *ide_new(const struct ide_config *config)
{
	struct ide *s = calloc(1, sizeof(*s));

	assert(s);
	s->cfg = *config;
	for (unsigned i = 0; i < 2; i++) {
		struct disk *disk = s->cfg.disk[i];

		s->end[i] = (struct ide_end){ s, i };
		if (!disk)
			continue;
		s->ops[i] = disk->cdrom ? &atapi_ops : &ata_ops;
		disk->changed = changed;
		disk->owner = &s->end[i];
	}
	reset(s);
	state_add(s->cfg.states, &(struct state_section){
		.name = "ide", .instance = s->cfg.instance, .version = 1, .data = &s->r, .size = sizeof(s->r),
		.owner = s, .reset = reset, .loaded = loaded });
	return s;
}

void ide_free(struct ide *s)
{
	free(s);                                /* the disks are gone already, and what they had not done with them */
}

void ide_string(uint8_t *words, const char *text, size_t bytes)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < bytes; i++)
		words[i ^ 1] = i < len ? (uint8_t)text[i] : ' ';
}
