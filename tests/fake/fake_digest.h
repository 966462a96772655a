/* SPDX-License-Identifier: MIT */
/*
 * A digest of all that a part under test says: frames to the fake guest, calls on the fake host, replies that a harness
 * adds.  Two runs of the same inputs have the same digest.  It is off until fake_digest_begin().
 */
#ifndef TESTS_FAKE_DIGEST_H
#define TESTS_FAKE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern bool fake_digest_on;

void fake_digest_begin(void);
uint64_t fake_digest_end(void);
void fake_digest_bytes(const void *data, size_t len);

/* What kind of thing is said, with a number, and its bytes. */
static inline void fake_digest(char what, uint64_t number, const void *data, size_t len)
{
	if (!fake_digest_on)
		return;
	fake_digest_bytes(&what, 1);
	fake_digest_bytes(&number, sizeof(number));
	fake_digest_bytes(data, len);
}

#endif
