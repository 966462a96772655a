/* SPDX-License-Identifier: MIT */
/* The far end of a cable: it remembers every frame, and takes as many as a test allows. */
#ifndef TESTS_FAKE_END_H
#define TESTS_FAKE_END_H

#include "net/port.h"

struct fake_frame {
	uint8_t *data;                  /* a copy of all its bytes */
	struct frame facts;             /* as it came; iov is NULL */
};

struct fake_end {
	struct port port;
	struct fake_frame *frame;       /* in order of arrival */
	size_t frames;
	size_t room;                    /* frames it still takes; SIZE_MAX: any number */
	size_t calls, readies, changes; /* of receive, ready, changed */
};

void fake_end_init(struct fake_end *e);
void fake_end_free(struct fake_end *e);         /* parts */
/* Forget the frames. */
void fake_end_clear(struct fake_end *e);
/* Take this many more, and say so. */
void fake_end_open(struct fake_end *e, size_t room);
/* Frame i; fails the test if there is none. */
const struct fake_frame *fake_end_frame(const struct fake_end *e, size_t i);

/*
 * A frame of len bytes for tests: broadcast from 52:54:00:00:00:seed, ethertype 88b5h (for experiments, IEEE 802), then bytes
 * that follow from seed.  len is at least 14.
 */
void fake_frame_fill(uint8_t *buf, size_t len, uint8_t seed);

#endif
