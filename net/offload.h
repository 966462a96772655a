/* SPDX-License-Identifier: MIT */
/*
 * What a far end cannot do, done in software: filling in a transport checksum, and cutting a GSO frame into the
 * frames it stands for.  Payload is never copied: a segment is new headers and slices of the frame's pieces.
 */
#ifndef NET_OFFLOAD_H
#define NET_OFFLOAD_H

#include "net/port.h"

enum {
	OFFLOAD_HEAD_MAX = 320,         /* bytes of headers that a GSO frame may have */
	OFFLOAD_SEGMENTS_MAX = 1500,    /* 64 KB in pieces of a small MSS; more is an attack on our time */
};

/* A frame being cut; segment k can be made at any time while the frame's bytes stand. */
struct offload {
	const struct frame *frame;
	uint32_t segments;
	bool fill;                      /* sums are to be filled in, too */
	uint16_t l3, l4, head;          /* offsets of IP header, transport header, payload */
	bool ip6;
	uint32_t step;                  /* payload bytes of a segment */
	uint16_t ufo_sum;               /* the whole datagram's checksum */
	uint32_t cursor_at;             /* piece and offset where payload byte cursor_pos lies: the last place looked up */
	size_t cursor_off, cursor_pos;
	uint8_t bytes[OFFLOAD_HEAD_MAX];
};

struct segment {
	struct frame frame;
	struct iovec iov[FRAME_IOV_MAX];
	uint8_t head[OFFLOAD_HEAD_MAX + 8];
};

/* Whether a frame's facts lie within it and fit each other; what port.c lets through at all. */
bool offload_facts_ok(const struct frame *f);
/* Whether an end that accepts these PORT_ bits can take f as it is. */
bool offload_fits(const struct frame *f, unsigned accepts);
/* Prepare to cut f for such an end.  false: its headers are not what its facts say (drop it). */
bool offload_begin(struct offload *o, const struct frame *f, unsigned accepts);
/* Make segment k < segments.  false: it would need too many pieces. */
bool offload_make(struct offload *o, uint32_t k, struct segment *out);

#endif
