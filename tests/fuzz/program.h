/* SPDX-License-Identifier: MIT */
/*
 * Inputs that are programs: a byte of configuration, then chunks of { operation, length (16 bits, big-endian), bytes }.
 * A mutator that knows chunks (mutate.h) inserts, moves and changes whole steps, so inputs stay meaningful.
 */
#ifndef TESTS_FUZZ_PROGRAM_H
#define TESTS_FUZZ_PROGRAM_H

#include "base/bytes.h"

enum { CHUNK_HEAD = 3 };

/* The next chunk, cut to what is left; false at the end. */
static inline bool next_chunk(struct cursor *c, uint8_t *op, struct cursor *body)
{
	const uint8_t *at;
	size_t len;

	if (!cursor_left(c))
		return false;
	*op = cursor_u8(c);
	len = cursor_be16(c);
	len = MIN(len, cursor_left(c));
	at = cursor_take(c, len);
	*body = cursor_of(at ? at : (const uint8_t *)"", at ? len : 0);
	return true;
}

#endif
