/* SPDX-License-Identifier: MIT */
/* What ide.c (the channel), ata.c and atapi.c (the two kinds of drive) share; nobody else includes it. */
#ifndef HW_IDE_DRIVE_H
#define HW_IDE_DRIVE_H

#include "hw/ide.h"

enum {                                  /* registers of the command block; reg[] and hob[] use the same numbers */
	IDE_DATA = 0, IDE_FEATURES = 1, IDE_COUNT = 2, IDE_LBA_LOW = 3, IDE_LBA_MID = 4, IDE_LBA_HIGH = 5,
	IDE_DEVICE = 6, IDE_COMMAND = 7,

	DEVICE_HEAD = 0x0f, DEVICE_DEV = 0x10, DEVICE_LBA = 0x40,

	STATUS_ERR = 0x01 /* CHK for packet commands */, STATUS_DRQ = 0x08, STATUS_DSC = 0x10, STATUS_DF = 0x20,
	STATUS_DRDY = 0x40, STATUS_BSY = 0x80,

	ERROR_ABRT = 0x04, ERROR_IDNF = 0x10, ERROR_UNC = 0x40,

	REASON_CD = 1, REASON_IO = 2,   /* interrupt reason, in the count register, of packet commands */
};

enum ide_phase {
	IDE_IDLE,
	IDE_IN,                         /* DRQ: the guest reads buf[pos..end) */
	IDE_OUT,                        /* DRQ: the guest fills buf[pos..end) */
	IDE_DMA,                        /* waits for the adapter's engine */
	IDE_DISK,                       /* a disk request is under way */
};

enum {
	IDE_SECTOR = 512,
	IDE_BUF = 64 * 1024,            /* of PIO data, and of DMA data that cannot be mapped */
	IDE_DMA_CHUNK = 1024 * 1024,    /* of one disk request */
	IDE_PIECES = 128,
	IDE_MULTIPLE_MAX = 16,
};

/* A drive's registers and modes.  Plain data. */
struct ide_drive {
	uint8_t reg[8], hob[8];         /* as written: current and previous content; results are put there too */
	uint8_t error, status;
	bool intrq;
	/* ATA */
	uint8_t heads, sectors;         /* of the current CHS translation */
	uint8_t multiple;
	bool write_cache, look_ahead, standby;
	uint8_t mdma, udma;             /* selected mode's bit: 1 << mode; 0: none */
	/* ATAPI */
	uint8_t sense_key, asc, ascq;
	uint8_t attention;              /* additional sense code of a pending unit attention; 0: none */
	uint8_t media_event;
	bool open, prevent;
	uint8_t cdb[12];
};

/* The transfer of the command that runs; a channel runs one at a time. */
struct ide_transfer {
	uint8_t phase, kind;            /* kind: the drive's own */
	uint8_t drive;
	bool dma, ext;                  /* ext: a 48-bit command */
	uint32_t pos, end;              /* the DRQ block in buf */
	uint32_t fill;                  /* valid bytes in buf (in), wanted bytes (out) */
	uint32_t block;                 /* bytes of a DRQ block at most */
	uint64_t lba;                   /* the next sector for the disk, in units of 512 bytes for CDs too */
	uint32_t left;                  /* sectors from there on */
	uint32_t chunk;                 /* sectors of the disk request under way, or in buf */
	bool bounce;                    /* the request uses buf, not mapped memory */
};

struct ide_drive_ops {
	void (*reset)(struct ide *s, struct ide_drive *d);      /* power-on modes (not the signature) */
	void (*command)(struct ide *s, struct ide_drive *d, uint8_t command);
	/* The guest has read, or filled, the whole DRQ block. */
	void (*block)(struct ide *s, struct ide_drive *d);
	/* The disk request is done. */
	void (*disk_done)(struct ide *s, struct ide_drive *d, int error);
	/* The engine runs. */
	void (*dma)(struct ide *s, struct ide_drive *d);
	/* The host changed the medium. */
	void (*changed)(struct ide *s, struct ide_drive *d);
	uint8_t signature_mid, signature_high;
};
extern const struct ide_drive_ops ata_ops, atapi_ops;

struct ide {
	struct ide_config cfg;
	struct ide_end {                /* handed to struct disk as the owner of its callback */
		struct ide *ide;
		unsigned n;
	} end[2];
	const struct ide_drive_ops *ops[2];     /* NULL: no drive */
	bool level;                     /* of INTRQ, as last driven */
	/* the disk request under way: */
	struct disk_request request;
	struct iovec iov[IDE_PIECES];
	bool in_flight;
	uint8_t discard;                /* drives that were reset meanwhile (bits): its end ends their reset */
	bool stopped;                   /* the engine was stopped meanwhile */
	/* what a reset restores: */
	struct ide_state {
		uint8_t control;        /* as written */
		bool slave;             /* which drive is selected */
		struct ide_drive drive[2];
		struct ide_transfer t;
		uint8_t buf[IDE_BUF];
	} r;
};

static inline struct disk *ide_disk(const struct ide *s, const struct ide_drive *d)
{
	return s->cfg.disk[d - s->r.drive];
}

/* Ends of a command.  Each clears BSY and DRQ and raises INTRQ. */
void ide_success(struct ide *s, struct ide_drive *d);
void ide_failure(struct ide *s, struct ide_drive *d, uint8_t error);
/* The end without INTRQ: the guest has just read the last data of a PIO command. */
void ide_quiet_end(struct ide *s, struct ide_drive *d);

/* Raise INTRQ. */
void ide_interrupt(struct ide *s, struct ide_drive *d);
/* Offer buf[pos..pos+len) to the guest, or ask it to fill that, as a DRQ block. */
void ide_data_in(struct ide *s, struct ide_drive *d, uint32_t pos, uint32_t len);
void ide_data_out(struct ide *s, struct ide_drive *d, uint32_t pos, uint32_t len);

/* Disk requests; disk_done follows.  The first moves buf[0..len), the second whatever s->iov says. */
void ide_disk_buffer(struct ide *s, struct ide_drive *d, enum disk_op op, uint64_t offset, uint32_t len);
void ide_disk_mapped(struct ide *s, struct ide_drive *d, enum disk_op op, uint64_t offset, uint64_t len, size_t pieces);
/* Wait for the adapter's engine; dma follows. */
void ide_dma_wait(struct ide *s, struct ide_drive *d);
/*
 * Move the next chunk (of t.left sectors from t.lba) of a DMA command between disk and memory; disk_done follows, where
 * ide_dma_chunk_done tells what came of it.
 */
void ide_dma_chunk(struct ide *s, struct ide_drive *d, bool to_memory);
/* true: the chunk has moved, t.lba and t.left are advanced.  false: the engine has stopped, the drive waits for it. */
bool ide_dma_chunk_done(struct ide *s, struct ide_drive *d, bool to_memory, int error);

/* Put the reset signature into the registers. */
void ide_signature(struct ide *s, struct ide_drive *d);
/* Store text the ATA way: blank-padded, bytes swapped in each word. */
void ide_string(uint8_t *words, const char *text, size_t bytes);

#endif
