/* SPDX-License-Identifier: MIT */
/*
 * An ATAPI CD/DVD-ROM drive: the PACKET feature set of ATA/ATAPI-6, and the part of MMC-3 and SPC-2 that a reader of
 * data discs has.  The disc is one session with one mode 1 track of 2048-byte blocks.
 *
 * Data in goes through the channel's buffer in DRQ blocks of at most the byte count limit that the guest set, or by
 * DMA.
 * Left out on purpose: audio, raw sectors, sub-channels, writing, DVD structures and keys: refused with sense data.
 */
#include "hw/ide_drive.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/log.h"

enum {                                  /* ATA commands */
	NOP = 0x00, DEVICE_RESET = 0x08, READ_SECTORS = 0x20, PACKET = 0xa0, IDENTIFY_PACKET = 0xa1,
	STANDBY_IMMEDIATE = 0xe0, IDLE_IMMEDIATE = 0xe1, STANDBY = 0xe2, IDLE = 0xe3, CHECK_POWER = 0xe5, SLEEP = 0xe6,
	FLUSH_CACHE = 0xe7, IDENTIFY_DEVICE = 0xec, SET_FEATURES = 0xef,
	FEATURES_DMA = 1, FEATURES_OVERLAP = 2,
};

enum {                                  /* packet commands */
	TEST_UNIT_READY = 0x00, REQUEST_SENSE = 0x03, INQUIRY = 0x12, START_STOP = 0x1b, PREVENT_ALLOW = 0x1e,
	READ_CAPACITY = 0x25, READ_10 = 0x28, SEEK_10 = 0x2b, READ_TOC = 0x43, GET_CONFIGURATION = 0x46,
	GET_EVENT_STATUS = 0x4a, READ_DISC_INFORMATION = 0x51, READ_TRACK_INFORMATION = 0x52, MODE_SELECT_10 = 0x55,
	MODE_SENSE_10 = 0x5a, READ_12 = 0xa8, READ_CD_MSF = 0xb9, SET_CD_SPEED = 0xbb, MECHANISM_STATUS = 0xbd,
	READ_CD = 0xbe,
};

enum {
	SENSE_NOT_READY = 2, SENSE_MEDIUM_ERROR = 3, SENSE_ILLEGAL_REQUEST = 5, SENSE_UNIT_ATTENTION = 6,
	SENSE_DATA_PROTECT = 7,
	ASC_UNRECOVERED_READ = 0x11, ASC_INVALID_OPCODE = 0x20, ASC_OUT_OF_RANGE = 0x21, ASC_INVALID_FIELD = 0x24,
	ASC_MEDIUM_CHANGED = 0x28, ASC_POWER_ON = 0x29, ASC_NO_MEDIUM = 0x3a, ASC_REMOVAL_PREVENTED = 0x53,
	ASC_MODE_FOR_TRACK = 0x64,

	EVENT_NONE = 0, EVENT_NEW_MEDIA = 2, EVENT_REMOVAL = 3,

	PROFILE_CD_ROM = 0x0008, PROFILE_DVD_ROM = 0x0010,

	BLOCK = 2048, PER_BLOCK = BLOCK / IDE_SECTOR,
	CD_BLOCKS_MAX = 80 * 60 * 75,   /* more than an 80-minute CD holds: a DVD */
	REPLY_MAX = 512,
};

enum { KIND_NONE, KIND_IDENTIFY, KIND_CDB, KIND_REPLY, KIND_READ };

static uint32_t blocks(const struct ide *s, const struct ide_drive *d)
{
	return (uint32_t)MIN(ide_disk(s, d)->size / BLOCK, (uint64_t)UINT32_MAX);
}

static bool ready(const struct ide *s, const struct ide_drive *d)
{
	return ide_disk(s, d)->present && !d->open;
}

/* --- ends of packet commands -------------------------------------------------------------------------------------- */

static void good(struct ide *s, struct ide_drive *d)
{
	d->reg[IDE_COUNT] = REASON_IO | REASON_CD;
	d->sense_key = d->asc = d->ascq = 0;
	ide_success(s, d);
}

static void check(struct ide *s, struct ide_drive *d, uint8_t key, uint8_t asc, uint8_t ascq)
{
	d->sense_key = key;
	d->asc = asc;
	d->ascq = ascq;
	d->reg[IDE_COUNT] = REASON_IO | REASON_CD;
	ide_failure(s, d, (uint8_t)(key << 4 | (key == SENSE_ILLEGAL_REQUEST ? ERROR_ABRT : 0)));
}

static void invalid_field(struct ide *s, struct ide_drive *d)
{
	check(s, d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
}

/* --- data to the guest -------------------------------------------------------------------------------------------- */

static uint32_t byte_count_limit(const struct ide_drive *d)
{
	uint32_t limit = d->reg[IDE_LBA_HIGH] << 8 | d->reg[IDE_LBA_MID];

	limit &= ~1u;                           /* an odd limit, FFFFh too, is one less */
	return limit ? limit : 0xfffe;
}

/* Shows the next DRQ block of the buffer, with its length in the byte count registers. */
static void show_block(struct ide *s, struct ide_drive *d)
{
	struct ide_transfer *t = &s->r.t;
	uint32_t len = MIN(t->block, t->fill - t->pos);

	d->reg[IDE_LBA_MID] = (uint8_t)len;
	d->reg[IDE_LBA_HIGH] = (uint8_t)(len >> 8);
	d->reg[IDE_COUNT] = REASON_IO;
	ide_data_in(s, d, t->pos, len);
	ide_interrupt(s, d);
}

/* A short answer lies in buf; the guest asked for at most `allocation` of it. */
static void reply(struct ide *s, struct ide_drive *d, uint32_t len, uint32_t allocation)
{
	struct ide_transfer *t = &s->r.t;

	t->kind = KIND_REPLY;
	t->fill = MIN(len, allocation);
	t->pos = 0;
	if (t->fill == 0)
		good(s, d);
	else if (t->dma)
		ide_dma_wait(s, d);
	else
		show_block(s, d);
}

static void next_read(struct ide *s, struct ide_drive *d)
{
	struct ide_transfer *t = &s->r.t;

	t->chunk = MIN(t->left, (uint32_t)(IDE_BUF / IDE_SECTOR));
	t->fill = t->chunk * IDE_SECTOR;
	ide_disk_buffer(s, d, DISK_READ, t->lba * IDE_SECTOR, t->fill);
}

static void read_blocks(struct ide *s, struct ide_drive *d, uint32_t lba, uint32_t count)
{
	struct ide_transfer *t = &s->r.t;

	if (lba > blocks(s, d) || count > blocks(s, d) - lba) {
		check(s, d, SENSE_ILLEGAL_REQUEST, ASC_OUT_OF_RANGE, 0);
		return;
	}
	if (count > UINT32_MAX / PER_BLOCK) {
		invalid_field(s, d);
		return;
	}
	if (count == 0) {
		good(s, d);
		return;
	}
	t->kind = KIND_READ;
	t->lba = (uint64_t)lba * PER_BLOCK;
	t->left = count * PER_BLOCK;
	if (t->dma)
		ide_dma_wait(s, d);
	else
		next_read(s, d);
}

static void atapi_dma(struct ide *s, struct ide_drive *d)
{
	struct ide_transfer *t = &s->r.t;

	if (t->kind == KIND_READ) {
		ide_dma_chunk(s, d, true);
		return;
	}
	t->pos += (uint32_t)s->cfg.dma.copy(s->cfg.dma.owner, s->r.buf + t->pos, t->fill - t->pos, true);
	if (t->pos < t->fill)
		return;                         /* the guest's list was too short; it may bring another */
	s->cfg.dma.end(s->cfg.dma.owner);
	good(s, d);
}

static void atapi_disk_done(struct ide *s, struct ide_drive *d, int error)
{
	struct ide_transfer *t = &s->r.t;

	if (t->dma && !ide_dma_chunk_done(s, d, true, error))
		return;
	if (error) {
		if (t->dma)
			s->cfg.dma.end(s->cfg.dma.owner);
		check(s, d, SENSE_MEDIUM_ERROR, ASC_UNRECOVERED_READ, 0);
	} else if (!t->dma) {
		t->lba += t->chunk;
		t->left -= t->chunk;
		t->pos = 0;
		show_block(s, d);
	} else if (t->left) {
		ide_dma_wait(s, d);
	} else {
		s->cfg.dma.end(s->cfg.dma.owner);
		good(s, d);
	}
}

/* --- packet commands: the drive ----------------------------------------------------------------------------------- */

static void request_sense(struct ide *s, struct ide_drive *d)
{
	uint8_t *b = s->r.buf;

	if (d->attention && !d->sense_key) {
		d->sense_key = SENSE_UNIT_ATTENTION;
		d->asc = d->attention;
		d->ascq = 0;
		d->attention = 0;
	}
	b[0] = 0x70;
	b[2] = d->sense_key;
	b[7] = 10;
	b[12] = d->asc;
	b[13] = d->ascq;
	reply(s, d, 18, d->cdb[4]);
}

static void inquiry(struct ide *s, struct ide_drive *d)
{
	uint8_t *b = s->r.buf;

	if ((d->cdb[1] & 3) || d->cdb[2]) {     /* no vital product data */
		invalid_field(s, d);
		return;
	}
	b[0] = 5;                               /* CD/DVD */
	b[1] = 0x80;                            /* removable */
	b[3] = 0x21;                            /* ATAPI, response format 1 (SFF-8020i) */
	b[4] = 36 - 5;
	memcpy(b + 8, "TENBOX  DVD-ROM         1.0 ", 28);
	reply(s, d, 36, be16(d->cdb + 3));
}

static void start_stop(struct ide *s, struct ide_drive *d)
{
	struct disk *disk = ide_disk(s, d);
	bool start = d->cdb[4] & 1, load_eject = d->cdb[4] & 2;

	if (load_eject && !(d->cdb[4] & 0xf0)) {
		if (!start && d->prevent && disk->present) {
			check(s, d, SENSE_ILLEGAL_REQUEST, ASC_REMOVAL_PREVENTED, 2);
			return;
		}
		if (d->open && start && disk->present) {
			d->attention = ASC_MEDIUM_CHANGED;
			d->media_event = EVENT_NEW_MEDIA;
		}
		d->open = !start;
		if (disk->tray)
			disk->tray(disk, d->open);
	}
	good(s, d);
}

static void get_event_status(struct ide *s, struct ide_drive *d)
{
	uint8_t *b = s->r.buf;

	if (!(d->cdb[1] & 1)) {                 /* only polled */
		invalid_field(s, d);
		return;
	}
	b[3] = 1 << 4;                          /* classes that exist: media */
	if (!(d->cdb[4] & 1 << 4)) {
		b[1] = 2;
		b[2] = 0x80;                    /* none of the classes asked for */
		reply(s, d, 4, be16(d->cdb + 7));
		return;
	}
	b[1] = 6;
	b[2] = 4;
	b[4] = d->media_event;
	b[5] = (d->open ? 1 : 0) | (ready(s, d) ? 2 : 0);
	d->media_event = EVENT_NONE;
	reply(s, d, 8, be16(d->cdb + 7));
}

static uint32_t mode_page(const struct ide_drive *d, uint8_t page, uint8_t *b)
{
	switch (page) {
	case 0x01:                              /* read error recovery */
		b[0] = page;
		b[1] = 6;
		b[3] = 5;                       /* retries */
		return 8;
	case 0x0e:                              /* CD audio control */
		b[0] = page;
		b[1] = 14;
		b[2] = 4;
		b[7] = 75;
		return 16;
	case 0x2a:                              /* CD/DVD capabilities and mechanical status (MMC-3, 5.5.10) */
		b[0] = page;
		b[1] = 20;
		b[2] = 0x3b;                    /* reads CD-R, CD-RW, method 2, DVD-ROM, DVD-R */
		b[4] = 0x70;                    /* mode 2 forms 1 and 2, multi-session */
		b[6] = 0x29 | (d->prevent ? 2 : 0);     /* tray, eject, lock */
		put_be16(b + 8, 706);           /* kB/s: 4x */
		put_be16(b + 10, 2);
		put_be16(b + 12, 512);          /* buffer, KB */
		put_be16(b + 14, 706);
		return 22;
	}
	return 0;
}

static void mode_sense(struct ide *s, struct ide_drive *d)
{
	static const uint8_t pages[] = { 0x01, 0x0e, 0x2a };
	uint8_t page = d->cdb[2] & 0x3f, *b = s->r.buf;
	uint32_t len = 8;

	if (d->cdb[2] >> 6 == 3) {              /* saved values */
		check(s, d, SENSE_ILLEGAL_REQUEST, 0x39, 0);
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		if (page == pages[i] || page == 0x3f) {
			uint32_t n = mode_page(d, pages[i], b + len);

			if (d->cdb[2] >> 6 == 1)        /* changeable values: none */
				memset(b + len + 2, 0, n - 2);
			len += n;
		}
	if (len == 8) {
		invalid_field(s, d);
		return;
	}
	put_be16(b, (uint16_t)(len - 2));
	b[2] = d->open ? 0x71 : ready(s, d) ? 0x01 : 0x70;      /* medium type: door open, 120 mm data, none */
	reply(s, d, len, be16(d->cdb + 7));
}

static uint32_t feature(uint8_t *b, uint16_t code, uint8_t flags, const void *data, uint8_t len)
{
	put_be16(b, code);
	b[2] = flags;                           /* version << 2 | persistent << 1 | current */
	b[3] = len;
	memcpy(b + 4, data, len);
	return 4u + len;
}

static void get_configuration(struct ide *s, struct ide_drive *d)
{
	uint16_t start = be16(d->cdb + 2), profile = 0;
	uint8_t rt = d->cdb[1] & 3, *b = s->r.buf, current = ready(s, d);
	const uint8_t profiles[] = { 0x00, 0x10, 0, 0, 0x00, 0x08, 0, 0 }, atapi[] = { 0, 0, 0, 2, 0, 0, 0, 0 };
	const uint8_t polled_events[] = { 0, 0, 0, 0 }, tray[] = { 0x29, 0, 0, 0 };
	const uint8_t random_read[] = { 0, 0, BLOCK >> 8, 0, 0, 1, 0, 0 }, cd_read[] = { 0, 0, 0, 0 };
	const struct { uint16_t code; uint8_t flags; const uint8_t *data; uint8_t len; } features[] = {
		{ 0x0000, 0x03, profiles, sizeof(profiles) }, { 0x0001, 0x07, atapi, sizeof(atapi) },
		{ 0x0002, 0x07, polled_events, sizeof(polled_events) }, { 0x0003, 0x03, tray, sizeof(tray) },
		{ 0x0010, current, random_read, sizeof(random_read) }, { 0x001e, current, cd_read, sizeof(cd_read) },
		{ 0x001f, current, cd_read, 0 }, { 0x0100, 0x03, cd_read, 0 },
	};
	uint32_t len = 8;

	if (rt == 3) {
		invalid_field(s, d);
		return;
	}
	if (current)
		profile = blocks(s, d) > CD_BLOCKS_MAX ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
	for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
		if (rt == 2 ? features[i].code != start : features[i].code < start)
			continue;
		if (rt == 1 && !(features[i].flags & 1))
			continue;
		len += feature(b + len, features[i].code, features[i].flags, features[i].data, features[i].len);
		if (features[i].code == 0) {    /* which of the profiles is current */
			b[len - 6] = profile == PROFILE_DVD_ROM;
			b[len - 2] = profile == PROFILE_CD_ROM;
		}
	}
	put_be32(b, len - 4);
	put_be16(b + 6, profile);
	reply(s, d, len, be16(d->cdb + 7));
}

static void mechanism_status(struct ide *s, struct ide_drive *d)
{
	uint8_t *b = s->r.buf;

	b[1] = d->open ? 0x10 : 0;
	b[5] = 1;                               /* one slot, no table */
	reply(s, d, 8, be16(d->cdb + 8));
}

/* --- packet commands: the disc ------------------------------------------------------------------------------------ */

static void put_position(uint8_t *b, uint32_t lba, bool msf)
{
	if (!msf) {
		put_be32(b, lba);
		return;
	}
	lba += 150;
	b[0] = 0;
	b[1] = (uint8_t)MIN(lba / 75 / 60, 255u);
	b[2] = (uint8_t)(lba / 75 % 60);
	b[3] = (uint8_t)(lba % 75);
}

static uint8_t *toc_track(uint8_t *p, uint8_t track, uint32_t lba, bool msf)
{
	p[1] = 0x14;                            /* ADR 1, data track */
	p[2] = track;
	put_position(p + 4, lba, msf);
	return p + 8;
}

static uint8_t *raw_toc(uint8_t *p, uint8_t point, uint8_t m, uint8_t sec, uint8_t f)
{
	p[0] = 1;
	p[1] = 0x14;
	p[3] = point;
	p[8] = m;
	p[9] = sec;
	p[10] = f;
	return p + 11;
}

static void read_toc(struct ide *s, struct ide_drive *d)
{
	bool msf = d->cdb[1] & 2;
	uint8_t format = d->cdb[2] & 15, *b = s->r.buf, *p = b + 4, end[4], start[4];

	format = format ? format : d->cdb[9] >> 6;      /* SFF-8020i had it there */
	b[2] = b[3] = 1;                        /* first and last track, or session */
	switch (format) {
	case 0:
		if (d->cdb[6] > 1 && d->cdb[6] != 0xaa) {
			invalid_field(s, d);
			return;
		}
		if (d->cdb[6] <= 1)
			p = toc_track(p, 1, 0, msf);
		p = toc_track(p, 0xaa, blocks(s, d), msf);
		break;
	case 1:
		p = toc_track(p, 1, 0, msf);
		break;
	case 2:
		put_position(end, blocks(s, d), true);
		put_position(start, 0, true);
		p = raw_toc(p, 0xa0, 1, 0, 0);
		p = raw_toc(p, 0xa1, 1, 0, 0);
		p = raw_toc(p, 0xa2, end[1], end[2], end[3]);
		p = raw_toc(p, 1, start[1], start[2], start[3]);
		break;
	default:
		invalid_field(s, d);
		return;
	}
	put_be16(b, (uint16_t)(p - b - 2));
	reply(s, d, (uint32_t)(p - b), be16(d->cdb + 7));
}

static void read_capacity(struct ide *s, struct ide_drive *d)
{
	put_be32(s->r.buf, blocks(s, d) ? blocks(s, d) - 1 : 0);
	put_be32(s->r.buf + 4, BLOCK);
	reply(s, d, 8, 8);
}

static void read_disc_information(struct ide *s, struct ide_drive *d)
{
	uint8_t *b = s->r.buf;

	if (d->cdb[1] & 7) {
		invalid_field(s, d);
		return;
	}
	b[1] = 32;
	b[2] = 0x0e;                            /* last session complete, disc finalized */
	b[3] = b[4] = b[5] = b[6] = 1;          /* first track; sessions; tracks of the last one */
	b[7] = 0x20;                            /* unrestricted use */
	memset(b + 16, 0xff, 8);                /* no further session can begin */
	reply(s, d, 34, be16(d->cdb + 7));
}

static void read_track_information(struct ide *s, struct ide_drive *d)
{
	uint8_t *b = s->r.buf;
	uint32_t address = be32(d->cdb + 2);
	uint8_t type = d->cdb[1] & 3;

	if (type == 3 || (type == 0 ? address >= blocks(s, d) : address != 1)) {
		invalid_field(s, d);
		return;
	}
	b[1] = 34;
	b[2] = b[3] = 1;
	b[5] = 4;                               /* data track */
	b[6] = 1;                               /* mode 1 */
	put_be32(b + 24, blocks(s, d));
	reply(s, d, 36, be16(d->cdb + 7));
}

static void read_cd(struct ide *s, struct ide_drive *d)
{
	uint32_t count = (uint32_t)d->cdb[6] << 16 | be16(d->cdb + 7);
	uint8_t type = d->cdb[1] >> 2 & 7, parts = d->cdb[9] & 0xf8;

	if (d->cdb[10] & 7) {
		invalid_field(s, d);            /* sub-channels */
	} else if (type != 0 && type != 2) {
		check(s, d, SENSE_ILLEGAL_REQUEST, ASC_MODE_FOR_TRACK, 0);
	} else if (count == 0 || parts == 0) {
		good(s, d);
	} else if (parts == 0x10) {
		read_blocks(s, d, be32(d->cdb + 2), count);
	} else {
		log_unimp("atapi", "READ CD of parts %02x", parts);
		invalid_field(s, d);
	}
}

/* Commands that need a disc. */
static void disc_command(struct ide *s, struct ide_drive *d)
{
	const uint8_t *cdb = d->cdb;

	if (!ready(s, d)) {
		check(s, d, SENSE_NOT_READY, ASC_NO_MEDIUM, d->open ? 2 : 1);
		return;
	}
	switch (cdb[0]) {
	case TEST_UNIT_READY:
		good(s, d);
		break;
	case READ_CAPACITY:
		read_capacity(s, d);
		break;
	case READ_10:
		read_blocks(s, d, be32(cdb + 2), be16(cdb + 7));
		break;
	case READ_12:
		read_blocks(s, d, be32(cdb + 2), be32(cdb + 6));
		break;
	case READ_CD:
		read_cd(s, d);
		break;
	case SEEK_10:
		if (be32(cdb + 2) >= blocks(s, d))
			check(s, d, SENSE_ILLEGAL_REQUEST, ASC_OUT_OF_RANGE, 0);
		else
			good(s, d);
		break;
	case READ_TOC:
		read_toc(s, d);
		break;
	case READ_DISC_INFORMATION:
		read_disc_information(s, d);
		break;
	case READ_TRACK_INFORMATION:
		read_track_information(s, d);
		break;
	}
}

static void packet(struct ide *s, struct ide_drive *d)
{
	uint8_t op = d->cdb[0];

	memset(s->r.buf, 0, REPLY_MAX);
	/* A pending unit attention is told to the first command but these (SPC-2, 5.9.4; MMC-3 for the last two). */
	if (d->attention && op != INQUIRY && op != REQUEST_SENSE && op != GET_CONFIGURATION && op != GET_EVENT_STATUS) {
		uint8_t asc = d->attention;

		d->attention = 0;
		check(s, d, SENSE_UNIT_ATTENTION, asc, 0);
		return;
	}
	switch (op) {
	case REQUEST_SENSE:
		request_sense(s, d);
		break;
	case INQUIRY:
		inquiry(s, d);
		break;
	case START_STOP:
		start_stop(s, d);
		break;
	case PREVENT_ALLOW:
		d->prevent = d->cdb[4] & 1;
		ide_disk(s, d)->locked = d->prevent;
		good(s, d);
		break;
	case GET_CONFIGURATION:
		get_configuration(s, d);
		break;
	case GET_EVENT_STATUS:
		get_event_status(s, d);
		break;
	case MODE_SENSE_10:
		mode_sense(s, d);
		break;
	case MECHANISM_STATUS:
		mechanism_status(s, d);
		break;
	case SET_CD_SPEED:
		good(s, d);
		break;
	case TEST_UNIT_READY: case READ_CAPACITY: case READ_10: case READ_12: case READ_CD: case SEEK_10: case READ_TOC:
	case READ_DISC_INFORMATION: case READ_TRACK_INFORMATION:
		disc_command(s, d);
		break;
	default:
		log_unimp("atapi", "packet command %02x", op);
		check(s, d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_OPCODE, 0);
	}
}

/* --- ATA commands ------------------------------------------------------------------------------------------------- */

static void identify_packet(struct ide *s, struct ide_drive *d)
{
	uint8_t *b = s->r.buf;
	const char *serial = ide_disk(s, d)->serial ? ide_disk(s, d)->serial : "TB00003";
	const struct { uint8_t word; uint16_t value; } words[] = {
		{ 0, 0x85c0 },                          /* CD, removable, DRQ within 50 us, 12-byte packets */
		{ 48, 1 }, { 49, 0x0f00 }, { 50, 0x4000 }, { 51, 0x0200 }, { 52, 0x0200 }, { 53, 7 },
		{ 63, (uint16_t)(7 | d->mdma << 8) }, { 64, 3 }, { 65, 120 }, { 66, 120 }, { 67, 120 }, { 68, 120 },
		{ 80, 0x0070 }, { 82, 0x4218 /* NOP, DEVICE RESET, PACKET, power management */ }, { 83, 0x4000 },
		{ 84, 0x4000 }, { 85, 0x4218 }, { 87, 0x4000 }, { 88, (uint16_t)(0x3f | d->udma << 8) },
		{ 93, 0x6001 },
	};

	memset(b, 0, IDE_SECTOR);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		put_le16(b + 2 * words[i].word, words[i].value);
	ide_string(b + 20, serial, 20);
	ide_string(b + 46, "1.0", 8);
	ide_string(b + 54, "TENBOX DVD-ROM", 40);
	s->r.t.kind = KIND_IDENTIFY;
	ide_data_in(s, d, 0, IDE_SECTOR);
	ide_interrupt(s, d);
}

static void set_features(struct ide *s, struct ide_drive *d)
{
	uint8_t mode = d->reg[IDE_COUNT];

	if (d->reg[IDE_FEATURES] == 0x66 || d->reg[IDE_FEATURES] == 0xcc) {
		ide_success(s, d);
		return;
	}
	if (d->reg[IDE_FEATURES] != 3) {
		ide_failure(s, d, ERROR_ABRT);
		return;
	}
	if (mode >= 0x20 && mode <= 0x22) {
		d->mdma = (uint8_t)(1 << (mode & 7));
		d->udma = 0;
	} else if (mode >= 0x40 && mode <= 0x45) {
		d->udma = (uint8_t)(1 << (mode & 7));
		d->mdma = 0;
	} else if (mode > 1 && (mode < 8 || mode > 12)) {
		ide_failure(s, d, ERROR_ABRT);
		return;
	}
	ide_success(s, d);
}

static void start_packet(struct ide *s, struct ide_drive *d)
{
	struct ide_transfer *t = &s->r.t;
	uint8_t features = d->reg[IDE_FEATURES];

	if ((features & FEATURES_OVERLAP) || ((features & FEATURES_DMA) && !s->cfg.dma.request)) {
		ide_failure(s, d, ERROR_ABRT);
		return;
	}
	t->kind = KIND_CDB;
	t->dma = features & FEATURES_DMA;
	t->block = byte_count_limit(d);
	d->reg[IDE_COUNT] = REASON_CD;
	ide_data_out(s, d, 0, sizeof(d->cdb));  /* without an interrupt, as word 0 of the identification says */
}

static void atapi_block(struct ide *s, struct ide_drive *d)
{
	struct ide_transfer *t = &s->r.t;

	switch (t->kind) {
	case KIND_IDENTIFY:
		ide_quiet_end(s, d);
		break;
	case KIND_CDB:
		memcpy(d->cdb, s->r.buf, sizeof(d->cdb));
		d->status = STATUS_BSY;
		packet(s, d);
		break;
	case KIND_REPLY:
	case KIND_READ:
		if (t->pos < t->fill)
			show_block(s, d);
		else if (t->kind == KIND_READ && t->left)
			next_read(s, d);
		else
			good(s, d);
		break;
	}
}

static void atapi_command(struct ide *s, struct ide_drive *d, uint8_t command)
{
	switch (command) {
	case PACKET:
		start_packet(s, d);
		break;
	case IDENTIFY_PACKET:
		identify_packet(s, d);
		break;
	case SET_FEATURES:
		set_features(s, d);
		break;
	case READ_SECTORS:                      /* the commands by which hosts tell the two kinds apart (8.16, 8.34) */
	case IDENTIFY_DEVICE:
		ide_signature(s, d);
		ide_failure(s, d, ERROR_ABRT);
		break;
	case CHECK_POWER:
		d->reg[IDE_COUNT] = d->standby ? 0 : 0xff;
		ide_success(s, d);
		break;
	case STANDBY_IMMEDIATE: case STANDBY: case SLEEP:
		d->standby = true;
		ide_success(s, d);
		break;
	case IDLE_IMMEDIATE: case IDLE:
		d->standby = false;
		ide_success(s, d);
		break;
	case FLUSH_CACHE:
		ide_success(s, d);
		break;
	case NOP:
		ide_failure(s, d, ERROR_ABRT);
		break;
	default:
		log_unimp("atapi", "command %02x", command);
		ide_failure(s, d, ERROR_ABRT);
	}
}

static void atapi_reset(struct ide *s, struct ide_drive *d)
{
	d->mdma = 1 << 2;
	d->attention = ASC_POWER_ON;
	ide_disk(s, d)->locked = false;
}

static void atapi_changed(struct ide *s, struct ide_drive *d)
{
	if (ide_disk(s, d)->present) {
		d->open = false;
		d->attention = ASC_MEDIUM_CHANGED;
		d->media_event = EVENT_NEW_MEDIA;
	} else {
		d->open = true;
		d->media_event = EVENT_REMOVAL;
	}
}

const struct ide_drive_ops atapi_ops = {
	.reset = atapi_reset, .command = atapi_command, .block = atapi_block, .disk_done = atapi_disk_done,
	.dma = atapi_dma, .changed = atapi_changed, .signature_mid = 0x14, .signature_high = 0xeb,
};
