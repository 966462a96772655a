/* SPDX-License-Identifier: MIT */
/* Disk images: raw files and block devices, read-only or not, with or without a snapshot that takes the writes. */
#ifndef EMU_DISK_FILE_H
#define EMU_DISK_FILE_H

#include <stdbool.h>

#include "base/err.h"
#include "hw/disk.h"

struct run;

struct disk_file_config {
	struct run *run;
	const char *path;
	const char *name;               /* "ide0-hd0": copied */
	const char *serial;             /* NULL: the controller's; copied */
	bool read_only, cdrom;
	bool snapshot;                  /* writes go to an unlinked temporary file */
	bool as_is;                     /* format=raw was given: do not look for other formats and cut images */
	bool discard;                   /* discard=unmap: pass discards on to the file */
	bool sync;                      /* requests are done by the loop thread itself (-icount): the order is always the same */
};

struct disk *disk_file_open(const struct disk_file_config *config, struct err *err);
/* An empty drive (a CD-ROM without a disc). */
struct disk *disk_file_empty(const struct disk_file_config *config);
/* Waits for requests that are under way; their done() runs.  Before its controller goes; no request may come after. */
void disk_file_stop(struct disk *d);
/* The same, and everything is freed. */
void disk_file_close(struct disk *d);
/* Waits until no request touches memory any more; their done() runs later.  Before a reset: a late read would hit the new system. */
void disk_file_settle(struct disk *d);
/*
 * On the loop thread with the machine lock held: take the medium out, and leave the tray open; put another one in and close it
 * (false with err if it cannot be opened: then nothing has changed).  The drive must be one for CD-ROMs.
 */
void disk_file_eject(struct disk *d);
bool disk_file_change(struct disk *d, const char *path, bool as_is, struct err *err);
/* Everything that was written is on the host's disk.  Returns 0 or an errno. */
int disk_file_sync(struct disk *d);
void disk_file_print(struct disk *d, void (*out)(void *to, const char *line), void *to);        /* info block */
const char *disk_file_path(const struct disk *d);

#endif
