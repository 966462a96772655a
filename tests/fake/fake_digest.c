/* SPDX-License-Identifier: MIT */
#include "tests/fake/fake_digest.h"

#include <string.h>

bool fake_digest_on;

static uint64_t digest;

void fake_digest_begin(void)
{
	fake_digest_on = true;
	digest = 0xcbf29ce484222325;
}

uint64_t fake_digest_end(void)
{
	fake_digest_on = false;
	return digest;
}

/* FNV-1a's steps, over words; the last one has what is left and the length. */
void fake_digest_bytes(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t word;
	size_t left = len;

	for (; left >= 8; left -= 8, p += 8) {
		memcpy(&word, p, 8);
		digest = (digest ^ word) * 0x100000001b3;
		digest ^= digest >> 29;
	}
	word = len << 56;
	if (left)
		memcpy(&word, p, left);
	digest = (digest ^ word) * 0x100000001b3;
	digest = (digest ^ len) * 0x100000001b3;
	digest ^= digest >> 29;
}
