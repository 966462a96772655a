/* SPDX-License-Identifier: MIT */
/*
 * An ATA hard disk: the general and the 48-bit feature set of ATA/ATAPI-6 (T13/1410D).
 *
 * PIO data goes through the channel's 64 KB buffer, which is filled and emptied by whole disk requests while the guest
 * sees its sectors or multiple blocks one by one.  So the error of a write may be reported some blocks late.
 * Left out on purpose: SMART, security, host protected area setting, APM, queued commands: aborted, and IDENTIFY says
 * so.
 */
#include "hw/ide_drive.h"

#include "base/bytes.h"
#include "base/log.h"

enum {
	NOP = 0x00, RECALIBRATE = 0x10 /* ... 1f */, READ_SECTORS = 0x20, READ_SECTORS_ONCE = 0x21,
	READ_SECTORS_EXT = 0x24, READ_DMA_EXT = 0x25, READ_NATIVE_MAX_EXT = 0x27, READ_MULTIPLE_EXT = 0x29,
	WRITE_SECTORS = 0x30, WRITE_SECTORS_ONCE = 0x31, WRITE_SECTORS_EXT = 0x34, WRITE_DMA_EXT = 0x35,
	WRITE_MULTIPLE_EXT = 0x39, READ_VERIFY = 0x40, READ_VERIFY_ONCE = 0x41, READ_VERIFY_EXT = 0x42,
	SEEK = 0x70 /* ... 7f */, INITIALIZE_PARAMETERS = 0x91, STANDBY_IMMEDIATE_OLD = 0x94, IDLE_IMMEDIATE_OLD = 0x95,
	STANDBY_OLD = 0x96, IDLE_OLD = 0x97, CHECK_POWER_OLD = 0x98, SLEEP_OLD = 0x99, READ_MULTIPLE = 0xc4,
	WRITE_MULTIPLE = 0xc5, SET_MULTIPLE = 0xc6, READ_DMA = 0xc8, READ_DMA_ONCE = 0xc9, WRITE_DMA = 0xca,
	WRITE_DMA_ONCE = 0xcb, STANDBY_IMMEDIATE = 0xe0, IDLE_IMMEDIATE = 0xe1, STANDBY = 0xe2, IDLE = 0xe3,
	CHECK_POWER = 0xe5, SLEEP = 0xe6, FLUSH_CACHE = 0xe7, FLUSH_CACHE_EXT = 0xea, IDENTIFY_DEVICE = 0xec,
	SET_FEATURES = 0xef, READ_NATIVE_MAX = 0xf8,

	FEATURE_WRITE_CACHE = 0x02, FEATURE_TRANSFER_MODE = 0x03, FEATURE_NO_LOOK_AHEAD = 0x55,
	FEATURE_KEEP_ON_RESET = 0x66, FEATURE_NO_WRITE_CACHE = 0x82, FEATURE_LOOK_AHEAD = 0xaa,
	FEATURE_DEFAULTS_ON_RESET = 0xcc,

	MODE_PIO = 0x00, MODE_PIO_FLOW = 0x08, MODE_MDMA = 0x20, MODE_UDMA = 0x40, /* ORed with the mode's number */

	POWER_STANDBY = 0x00, POWER_ACTIVE = 0xff,

	HEADS = 16, SECTORS = 63, CYLINDERS_MAX = 16383,
};

/* Kinds of transfer. */
enum { KIND_NONE, KIND_READ, KIND_WRITE, KIND_FLUSH, KIND_IDENTIFY };

#define LBA28_MAX 0x0fffffffull
#define LBA48_MAX 0xffffffffffffull

static uint64_t capacity(const struct ide *s, const struct ide_drive *d)
{
	return MIN(ide_disk(s, d)->size / IDE_SECTOR, LBA48_MAX);
}

static uint32_t cylinders(const struct ide *s, const struct ide_drive *d, unsigned heads, unsigned sectors)
{
	uint64_t n = heads && sectors ? capacity(s, d) / (heads * sectors) : 0;

	return (uint32_t)MAX(MIN(n, (uint64_t)CYLINDERS_MAX), (uint64_t)1);
}

/* --- IDENTIFY ----------------------------------------------------------------------------------------------------- */

static void identify(struct ide *s, struct ide_drive *d)
{
	uint8_t *b = s->r.buf, sum = 0;
	uint64_t sectors = capacity(s, d);
	uint32_t cur = cylinders(s, d, d->heads, d->sectors);
	uint32_t chs = cur * d->heads * d->sectors;
	uint16_t features = 0x4008 | 0x60;              /* NOP, power management, look-ahead, write cache */
	uint16_t enabled = 0x4008 | (d->look_ahead ? 0x40 : 0) | (d->write_cache ? 0x20 : 0);
	const char *serial = ide_disk(s, d)->serial ? ide_disk(s, d)->serial : "TB00001";
	const struct { uint8_t word; uint16_t value; } words[] = {
		{ 0, 0x0040 },                          /* fixed drive */
		{ 1, (uint16_t)cylinders(s, d, HEADS, SECTORS) }, { 3, HEADS }, { 6, SECTORS },
		{ 47, 0x8000 | IDE_MULTIPLE_MAX }, { 48, 1 /* 32-bit data port */ },
		{ 49, 0x0f00 },                         /* IORDY, LBA, DMA */
		{ 50, 0x4000 }, { 51, 0x0200 }, { 52, 0x0200 },
		{ 53, 7 },                              /* words 54-58, 64-70, 88 are valid */
		{ 54, (uint16_t)cur }, { 55, d->heads }, { 56, d->sectors },
		{ 57, (uint16_t)chs }, { 58, (uint16_t)(chs >> 16) },
		{ 59, d->multiple ? 0x100 | d->multiple : 0 },
		{ 63, (uint16_t)(7 | d->mdma << 8) }, { 64, 3 /* PIO 3, 4 */ },
		{ 65, 120 }, { 66, 120 }, { 67, 120 }, { 68, 120 },
		{ 80, 0x0070 },                         /* ATA-4, -5, -6 */
		{ 82, features }, { 83, 0x7400 /* FLUSH, FLUSH EXT, 48-bit */ }, { 84, 0x4000 },
		{ 85, enabled }, { 86, 0x3400 }, { 87, 0x4000 },
		{ 88, (uint16_t)(0x3f | d->udma << 8) },
		{ 93, 0x6001 },                         /* 80-conductor cable, device number by jumper */
	};

	memset(b, 0, IDE_SECTOR);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		put_le16(b + 2 * words[i].word, words[i].value);
	ide_string(b + 20, serial, 20);
	ide_string(b + 46, "1.0", 8);
	ide_string(b + 54, "TENBOX HARDDISK", 40);
	put_le32(b + 120, (uint32_t)MIN(sectors, LBA28_MAX));
	put_le64(b + 200, sectors);
	b[510] = 0xa5;                                  /* integrity word */
	for (unsigned i = 0; i < 511; i++)
		sum += b[i];
	b[511] = -sum;

	s->r.t.kind = KIND_IDENTIFY;
	ide_data_in(s, d, 0, IDE_SECTOR);
	ide_interrupt(s, d);
}

/* --- addresses ---------------------------------------------------------------------------------------------------- */

/* The registers' start and count; false (nothing is said to the guest yet) if CHS numbers are none. */
static bool address(struct ide *s, struct ide_drive *d, bool ext, uint64_t *lba, uint32_t *count)
{
	const uint8_t *r = d->reg, *h = d->hob;

	(void)s;
	if (ext) {
		*lba = (uint64_t)h[IDE_LBA_HIGH] << 40 | (uint64_t)h[IDE_LBA_MID] << 32 |
		       (uint64_t)h[IDE_LBA_LOW] << 24 | (uint32_t)r[IDE_LBA_HIGH] << 16 |
		       r[IDE_LBA_MID] << 8 | r[IDE_LBA_LOW];
		*count = (uint32_t)h[IDE_COUNT] << 8 | r[IDE_COUNT];
		*count = *count ? *count : 65536;
		return true;
	}
	*count = r[IDE_COUNT] ? r[IDE_COUNT] : 256;
	if (r[IDE_DEVICE] & DEVICE_LBA) {
		*lba = (uint32_t)(r[IDE_DEVICE] & DEVICE_HEAD) << 24 | (uint32_t)r[IDE_LBA_HIGH] << 16 |
		       r[IDE_LBA_MID] << 8 | r[IDE_LBA_LOW];
		return true;
	}
	if (r[IDE_LBA_LOW] == 0 || r[IDE_LBA_LOW] > d->sectors || (r[IDE_DEVICE] & DEVICE_HEAD) >= d->heads)
		return false;
	*lba = (uint64_t)(r[IDE_LBA_HIGH] << 8 | r[IDE_LBA_MID]) * d->heads + (r[IDE_DEVICE] & DEVICE_HEAD);
	*lba = *lba * d->sectors + r[IDE_LBA_LOW] - 1;
	return true;
}

/* Where it ended or failed, in the terms in which the guest asked. */
static void put_address(struct ide_drive *d, bool ext, uint64_t lba)
{
	uint8_t *r = d->reg;

	if (!ext && !(r[IDE_DEVICE] & DEVICE_LBA) && d->heads && d->sectors) {
		uint64_t track = lba / d->sectors;

		r[IDE_LBA_LOW] = (uint8_t)(lba % d->sectors + 1);
		r[IDE_DEVICE] = (uint8_t)((r[IDE_DEVICE] & ~DEVICE_HEAD) | track % d->heads);
		r[IDE_LBA_MID] = (uint8_t)(track / d->heads);
		r[IDE_LBA_HIGH] = (uint8_t)(track / d->heads >> 8);
		return;
	}
	r[IDE_LBA_LOW] = (uint8_t)lba;
	r[IDE_LBA_MID] = (uint8_t)(lba >> 8);
	r[IDE_LBA_HIGH] = (uint8_t)(lba >> 16);
	if (ext) {
		d->hob[IDE_LBA_LOW] = (uint8_t)(lba >> 24);
		d->hob[IDE_LBA_MID] = (uint8_t)(lba >> 32);
		d->hob[IDE_LBA_HIGH] = (uint8_t)(lba >> 40);
	} else {
		r[IDE_DEVICE] = (uint8_t)((r[IDE_DEVICE] & ~DEVICE_HEAD) | (lba >> 24 & DEVICE_HEAD));
	}
}

/* Fills t.lba and t.left; false: the command has failed. */
static bool range(struct ide *s, struct ide_drive *d, bool ext)
{
	struct ide_transfer *t = &s->r.t;

	if (!address(s, d, ext, &t->lba, &t->left) || t->lba >= capacity(s, d) || t->left > capacity(s, d) - t->lba) {
		log_guest("ata", "sectors beyond the end of %s",
			  ide_disk(s, d)->name ? ide_disk(s, d)->name : "the disk");
		ide_failure(s, d, ERROR_IDNF);
		return false;
	}
	t->ext = ext;
	return true;
}

/* --- reading and writing ------------------------------------------------------------------------------------------ */

static void next_read(struct ide *s, struct ide_drive *d)
{
	struct ide_transfer *t = &s->r.t;

	t->chunk = MIN(t->left, (uint32_t)(IDE_BUF / IDE_SECTOR));
	t->fill = t->chunk * IDE_SECTOR;
	ide_disk_buffer(s, d, DISK_READ, t->lba * IDE_SECTOR, t->fill);
}

/* The next DRQ block of what is in the buffer, or of what shall come into it. */
static uint32_t block_from(const struct ide_transfer *t, uint32_t pos)
{
	return MIN(t->block, t->fill - pos);
}

static void next_write(struct ide *s, struct ide_drive *d)
{
	struct ide_transfer *t = &s->r.t;

	t->chunk = MIN(t->left, (uint32_t)(IDE_BUF / IDE_SECTOR));
	t->fill = t->chunk * IDE_SECTOR;
	ide_data_out(s, d, 0, block_from(t, 0));
}

static void pio(struct ide *s, struct ide_drive *d, uint8_t kind, bool ext, unsigned block)
{
	if (block == 0) {                       /* READ MULTIPLE before SET MULTIPLE */
		ide_failure(s, d, ERROR_ABRT);
		return;
	}
	if (!range(s, d, ext))
		return;
	d->standby = false;
	s->r.t.kind = kind;
	s->r.t.block = block * IDE_SECTOR;
	if (kind == KIND_READ)
		next_read(s, d);
	else if (ide_disk(s, d)->read_only)
		ide_failure(s, d, ERROR_ABRT);
	else
		next_write(s, d);               /* no interrupt before the first block */
}

static void dma(struct ide *s, struct ide_drive *d, uint8_t kind, bool ext)
{
	if (!s->cfg.dma.request || (kind == KIND_WRITE && ide_disk(s, d)->read_only)) {
		ide_failure(s, d, ERROR_ABRT);
		return;
	}
	if (!range(s, d, ext))
		return;
	d->standby = false;
	s->r.t.kind = kind;
	s->r.t.dma = true;
	ide_dma_wait(s, d);
}

static void ata_dma(struct ide *s, struct ide_drive *d)
{
	ide_dma_chunk(s, d, s->r.t.kind == KIND_READ);
}

/* A data command is over: the registers tell the last sector, and a count of none left. */
static void finish(struct ide *s, struct ide_drive *d, bool quiet)
{
	put_address(d, s->r.t.ext, s->r.t.lba ? s->r.t.lba - 1 : 0);
	d->reg[IDE_COUNT] = 0;
	if (quiet)
		ide_quiet_end(s, d);
	else
		ide_success(s, d);
}

static void ata_block(struct ide *s, struct ide_drive *d)
{
	struct ide_transfer *t = &s->r.t;

	switch (t->kind) {
	case KIND_IDENTIFY:
		ide_quiet_end(s, d);
		break;
	case KIND_READ:
		if (t->pos < t->fill) {
			ide_data_in(s, d, t->pos, block_from(t, t->pos));
			ide_interrupt(s, d);
		} else if (t->left) {
			next_read(s, d);
		} else {
			finish(s, d, true);
		}
		break;
	case KIND_WRITE:
		if (t->pos < t->fill) {
			ide_data_out(s, d, t->pos, block_from(t, t->pos));
			ide_interrupt(s, d);
		} else {
			ide_disk_buffer(s, d, DISK_WRITE, t->lba * IDE_SECTOR, t->fill);
		}
		break;
	}
}

static void disk_error(struct ide *s, struct ide_drive *d)
{
	struct ide_transfer *t = &s->r.t;

	if (t->kind != KIND_FLUSH)
		put_address(d, t->ext, t->lba);
	if (t->dma)
		s->cfg.dma.end(s->cfg.dma.owner);
	ide_failure(s, d, t->kind == KIND_READ ? ERROR_UNC : ERROR_ABRT);
}

static void ata_disk_done(struct ide *s, struct ide_drive *d, int error)
{
	struct ide_transfer *t = &s->r.t;
	bool read = t->kind == KIND_READ;

	if (t->dma && !ide_dma_chunk_done(s, d, read, error))
		return;
	if (error) {
		disk_error(s, d);
		return;
	}
	if (t->kind == KIND_FLUSH) {
		ide_success(s, d);
	} else if (t->dma) {
		if (t->left) {
			ide_dma_wait(s, d);
			return;
		}
		s->cfg.dma.end(s->cfg.dma.owner);
		finish(s, d, false);
	} else {
		t->lba += t->chunk;
		t->left -= t->chunk;
		if (read) {
			ide_data_in(s, d, 0, block_from(t, 0));
			ide_interrupt(s, d);
		} else if (t->left) {
			next_write(s, d);
			ide_interrupt(s, d);
		} else {
			finish(s, d, false);
		}
	}
}

/* --- the other commands ------------------------------------------------------------------------------------------- */

static void set_features(struct ide *s, struct ide_drive *d)
{
	uint8_t mode = d->reg[IDE_COUNT];

	switch (d->reg[IDE_FEATURES]) {
	case FEATURE_WRITE_CACHE:
		d->write_cache = true;
		break;
	case FEATURE_NO_WRITE_CACHE:
		d->write_cache = false;
		break;
	case FEATURE_LOOK_AHEAD:
		d->look_ahead = true;
		break;
	case FEATURE_NO_LOOK_AHEAD:
		d->look_ahead = false;
		break;
	case FEATURE_KEEP_ON_RESET:
	case FEATURE_DEFAULTS_ON_RESET:
		break;
	case FEATURE_TRANSFER_MODE:
		if ((mode & ~7) == MODE_MDMA && (mode & 7) <= 2) {
			d->mdma = (uint8_t)(1 << (mode & 7));
			d->udma = 0;
		} else if ((mode & ~7) == MODE_UDMA && (mode & 7) <= 5) {
			d->udma = (uint8_t)(1 << (mode & 7));
			d->mdma = 0;
		} else if (!(mode <= 1 || ((mode & ~7) == MODE_PIO_FLOW && (mode & 7) <= 4))) {
			ide_failure(s, d, ERROR_ABRT);
			return;
		}
		break;
	default:
		ide_failure(s, d, ERROR_ABRT);
		return;
	}
	ide_success(s, d);
}

static void set_multiple(struct ide *s, struct ide_drive *d)
{
	uint8_t n = d->reg[IDE_COUNT];

	if (n > IDE_MULTIPLE_MAX || (n & (n - 1))) {
		ide_failure(s, d, ERROR_ABRT);
		return;
	}
	d->multiple = n;
	ide_success(s, d);
}

static void initialize_parameters(struct ide *s, struct ide_drive *d)
{
	if (d->reg[IDE_COUNT] == 0) {
		ide_failure(s, d, ERROR_ABRT);
		return;
	}
	d->sectors = d->reg[IDE_COUNT];
	d->heads = (d->reg[IDE_DEVICE] & DEVICE_HEAD) + 1;
	ide_success(s, d);
}

static void read_native_max(struct ide *s, struct ide_drive *d, bool ext)
{
	uint64_t last = capacity(s, d) - 1;

	d->reg[IDE_DEVICE] |= DEVICE_LBA;
	put_address(d, ext, ext ? last : MIN(last, LBA28_MAX));
	ide_success(s, d);
}

static void flush(struct ide *s, struct ide_drive *d)
{
	s->r.t.kind = KIND_FLUSH;
	ide_disk_buffer(s, d, DISK_FLUSH, 0, 0);
}

static void power(struct ide *s, struct ide_drive *d, bool standby)
{
	d->standby = standby;
	ide_success(s, d);
}

static void other_command(struct ide *s, struct ide_drive *d, uint8_t command)
{
	switch (command) {
	case RECALIBRATE ... RECALIBRATE + 15:
	case SEEK ... SEEK + 15:
		ide_success(s, d);
		return;
	case READ_VERIFY: case READ_VERIFY_ONCE: case READ_VERIFY_EXT:
		if (range(s, d, command == READ_VERIFY_EXT)) {
			s->r.t.lba += s->r.t.left;
			finish(s, d, false);
		}
		return;
	case STANDBY_IMMEDIATE: case STANDBY_IMMEDIATE_OLD: case STANDBY: case STANDBY_OLD: case SLEEP: case SLEEP_OLD:
		power(s, d, true);
		return;
	case IDLE_IMMEDIATE: case IDLE_IMMEDIATE_OLD: case IDLE: case IDLE_OLD:
		power(s, d, false);
		return;
	case CHECK_POWER: case CHECK_POWER_OLD:
		d->reg[IDE_COUNT] = d->standby ? POWER_STANDBY : POWER_ACTIVE;
		ide_success(s, d);
		return;
	case READ_NATIVE_MAX: case READ_NATIVE_MAX_EXT:
		read_native_max(s, d, command == READ_NATIVE_MAX_EXT);
		return;
	case NOP:                               /* always ends aborted (8.20) */
		break;
	default:
		log_unimp("ata", "command %02x (features %02x)", command, d->reg[IDE_FEATURES]);
	}
	ide_failure(s, d, ERROR_ABRT);
}

static void ata_command(struct ide *s, struct ide_drive *d, uint8_t command)
{
	switch (command) {
	case READ_SECTORS: case READ_SECTORS_ONCE: case READ_SECTORS_EXT:
		pio(s, d, KIND_READ, command == READ_SECTORS_EXT, 1);
		break;
	case WRITE_SECTORS: case WRITE_SECTORS_ONCE: case WRITE_SECTORS_EXT:
		pio(s, d, KIND_WRITE, command == WRITE_SECTORS_EXT, 1);
		break;
	case READ_MULTIPLE: case READ_MULTIPLE_EXT:
		pio(s, d, KIND_READ, command == READ_MULTIPLE_EXT, d->multiple);
		break;
	case WRITE_MULTIPLE: case WRITE_MULTIPLE_EXT:
		pio(s, d, KIND_WRITE, command == WRITE_MULTIPLE_EXT, d->multiple);
		break;
	case READ_DMA: case READ_DMA_ONCE: case READ_DMA_EXT:
		dma(s, d, KIND_READ, command == READ_DMA_EXT);
		break;
	case WRITE_DMA: case WRITE_DMA_ONCE: case WRITE_DMA_EXT:
		dma(s, d, KIND_WRITE, command == WRITE_DMA_EXT);
		break;
	case IDENTIFY_DEVICE:
		identify(s, d);
		break;
	case SET_FEATURES:
		set_features(s, d);
		break;
	case SET_MULTIPLE:
		set_multiple(s, d);
		break;
	case INITIALIZE_PARAMETERS:
		initialize_parameters(s, d);
		break;
	case FLUSH_CACHE: case FLUSH_CACHE_EXT:
		flush(s, d);
		break;
	default:
		other_command(s, d, command);
	}
}

static void ata_reset(struct ide *s, struct ide_drive *d)
{
	(void)s;
	d->multiple = IDE_MULTIPLE_MAX;
	d->write_cache = d->look_ahead = true;
	d->mdma = 1 << 2;
}

static void ata_changed(struct ide *s, struct ide_drive *d)
{
	(void)s;
	(void)d;                                /* the new size shows in the next IDENTIFY and range check */
}

const struct ide_drive_ops ata_ops = {
	.reset = ata_reset, .command = ata_command, .block = ata_block, .disk_done = ata_disk_done, .dma = ata_dma,
	.changed = ata_changed, .signature_mid = 0, .signature_high = 0,
};
