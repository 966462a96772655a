/* SPDX-License-Identifier: MIT */
/* Shared by the kinds of host streams; nobody else includes it. */
#ifndef EMU_CHR_INTERNAL_H
#define EMU_CHR_INTERNAL_H

#include <stdint.h>
#include <stdio.h>

#include "base/loop.h"
#include "emu/chr.h"

enum { CHR_RING = 65536, CHR_USERS = 4 };

struct chr_kind {
	const char *name;
	/* Opens it: sets in/out (chr_connect) or starts to listen. */
	bool (*open)(struct chr *c, struct opts *o, struct err *err);
	/* The descriptor reached its end; NULL: it stays closed. */
	void (*lost)(struct chr *c);
	/* Look at input before the user does, in place; returns what is left of it.  NULL: nothing to look for. */
	size_t (*filter)(struct chr *c, uint8_t *buf, size_t len);
	void (*free)(struct chr *c);
};

struct chr_end {
	struct chardev dev;             /* what the user holds */
	struct chr *chr;
	struct chr_events events;
	const char *name;
	bool wants_room;                /* had a short write */
	bool line_start;                /* for the time stamps of Ctrl-A t */
};

struct chr {
	const struct chr_kind *kind;
	struct run *run;
	char *id, *label;               /* label: what info chardev shows */
	void *private;
	int in, out;                    /* -1: none; may be equal */
	bool seekable_out;              /* a regular file: no polling, writes do not wait */
	bool pumping;                   /* reading a regular file: update_input is on the stack */
	bool connected;                 /* someone is at the far end: bytes go there, else they vanish */
	struct loop_fd in_fd, out_fd;
	struct timer work;              /* on the machine's clock: flush, offer input again */
	uint8_t ring[CHR_RING];
	uint32_t head, tail;            /* tail - head bytes wait, at ring[head % CHR_RING] */

	bool mux, escape, stamps;
	struct chr_end ends[CHR_USERS];
	unsigned count, focus;
	struct chr_menu menu;
	struct timer menu_work;         /* on the loop clock */
	char menu_key;
	uint64_t stamps_from;
	uint8_t held[256];              /* input behind an escape that the focused user had no room for */
	uint32_t held_at, held_len;
	FILE *log;                      /* logfile= */
};

/* Begin to use these descriptors (owned from now on); the user is told that it is open. */
bool chr_connect(struct chr *c, int in, int out, struct err *err);
void chr_disconnect(struct chr *c);
/* Bytes straight to the far end, in front of nothing: the multiplexer's own text. */
void chr_say(struct chr *c, const char *text);

extern const struct chr_kind chr_stdio, chr_socket;

#endif
