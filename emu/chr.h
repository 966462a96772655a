/* SPDX-License-Identifier: MIT */
/*
 * The host's ends of byte streams (-chardev, -serial, -monitor): files, the terminal, pipes, pseudo-terminals, sockets, and
 * the multiplexer that lets a serial port and the monitor share one.
 *
 * What a user (a UART, the monitor) writes goes into a ring, and from there to the descriptor on the loop thread; a user
 * that finds it full waits for writable().  State is guarded by the machine lock; descriptors are the loop thread's.
 */
#ifndef EMU_CHR_H
#define EMU_CHR_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/opts.h"
#include "hw/chardev.h"

struct chr;
struct run;

/* Who uses a stream may want to know when its far end comes and goes.  With the machine lock held, on the loop thread. */
struct chr_events {
	void (*open)(void *owner);
	void (*close)(void *owner);
	void *owner;
};

/*
 * Make a stream from a -chardev option list ("stdio,id=x,mux=on").  Nothing else than `backend`'s keys may be left in o.
 * What it announces to the user (the name of a pty) goes to stderr.
 */
struct chr *chr_new(struct run *r, struct opts *o, struct err *err);
/* The same from a -serial/-monitor word: "stdio", "mon:stdio", "tcp:host:port,server=on", "chardev:id" is the caller's. */
bool chr_legacy(const char *text, const char *id, struct opts *o, struct err *err);
void chr_free(struct chr *c);

const char *chr_id(const struct chr *c);
bool chr_is_mux(const struct chr *c);
bool chr_connected(const struct chr *c);        /* someone is at the far end */
/* For info chardev: "chr0: filename=stdio". */
void chr_print(const struct chr *c, void (*out)(void *to, const char *line), void *to);

/*
 * A user's end: a stream without mux has one, one with mux up to 4, and only the focused one gets input.  NULL with err if
 * all are taken.  `events` may be NULL.
 */
struct chardev *chr_attach(struct chr *c, const char *user, const struct chr_events *events, struct err *err);
/* The hooks that the multiplexer's menu needs; owner is handed to them.  Called without the machine lock. */
struct chr_menu {
	void (*quit)(void *owner);      /* Ctrl-A x */
	void (*save)(void *owner);      /* Ctrl-A s */
	void *owner;
};
void chr_set_menu(struct chr *c, const struct chr_menu *menu);

/* Push out what is still in the ring, for at most a moment; at the end of the program. */
void chr_drain(struct chr *c);

#endif
