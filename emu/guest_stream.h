/* SPDX-License-Identifier: MIT */
/* A character device at the end of a guest's TCP connections: guestfwd=tcp:ADDR:PORT-chardev. */
#ifndef EMU_GUEST_STREAM_H
#define EMU_GUEST_STREAM_H

#include "base/err.h"

struct chr;
struct guest_stream;
struct run;

/* Takes the stream for its own; NULL with err if another has it. */
struct guest_stream *guest_stream_new(struct run *run, struct chr *chr, struct err *err);
void guest_stream_free(struct guest_stream *s);         /* before the stream */
/*
 * A connection of the guest's: returns a non-blocking socket, or -errno (-EBUSY while there is another one).  On the loop
 * thread, without the machine lock.
 */
int guest_stream_connect(struct guest_stream *s);

#endif
