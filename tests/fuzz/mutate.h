/* SPDX-License-Identifier: MIT */
/*
 * The custom mutator and cross-over of harnesses whose inputs are programs (program.h).  To be included by such a harness,
 * which gives
 *
 *   fuzz_example()  a chunk that makes sense, chosen by a random number; returns its length with the head
 *   fuzz_repair()   sets right what a chunk's bytes promise about each other, such as checksums
 */
#ifndef TESTS_FUZZ_MUTATE_H
#define TESTS_FUZZ_MUTATE_H

#include <string.h>

#include "tests/fuzz/program.h"

enum { MUTATE_CHUNKS = 400, MUTATE_BYTES = 1 << 16, EXAMPLE_MAX = 2048 };

static size_t fuzz_example(uint32_t random, uint8_t chunk[EXAMPLE_MAX]);
static void fuzz_repair(uint8_t op, uint8_t *data, size_t len);

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len, uint8_t *out, size_t max,
				 unsigned seed);

struct mutation {
	uint64_t random;
	uint8_t config;
	unsigned count;
	struct {
		const uint8_t *at;              /* with its head */
		uint32_t len;
	} chunks[MUTATE_CHUNKS];
	size_t used;
	uint8_t bytes[MUTATE_BYTES];    /* of new and changed chunks */
};

static uint32_t mutate_random(struct mutation *m, uint32_t n)
{
	m->random ^= m->random >> 12;
	m->random ^= m->random << 25;
	m->random ^= m->random >> 27;
	return (uint32_t)((m->random * 0x2545f4914f6cdd1dull) >> 33) % n;
}

static void mutate_parse(struct mutation *m, const uint8_t *data, size_t size)
{
	size_t at = 1;

	m->config = size ? data[0] : 0;
	m->count = 0;
	while (at + CHUNK_HEAD <= size && m->count < MUTATE_CHUNKS) {
		size_t len = CHUNK_HEAD + (size_t)be16(data + at + 1);

		len = MIN(len, size - at);

		m->chunks[m->count].at = data + at;
		m->chunks[m->count++].len = (uint32_t)len;
		at += len;
	}
}

static size_t mutate_write(const struct mutation *m, uint8_t *out, size_t max)
{
	size_t n = 0;

	if (!max)
		return 0;
	out[n++] = m->config;
	for (unsigned i = 0; i < m->count && n + m->chunks[i].len <= max && m->chunks[i].len >= CHUNK_HEAD; i++) {
		memcpy(out + n, m->chunks[i].at, m->chunks[i].len);
		put_be16(out + n + 1, (uint16_t)(m->chunks[i].len - CHUNK_HEAD));
		n += m->chunks[i].len;
	}
	return n;
}

/* Makes room for n chunks at a place; false if there is none. */
static bool mutate_open(struct mutation *m, unsigned at, unsigned n)
{
	if (m->count + n > MUTATE_CHUNKS)
		return false;
	memmove(&m->chunks[at + n], &m->chunks[at], (m->count - at) * sizeof(m->chunks[0]));
	m->count += n;
	return true;
}

static void mutate_bytes(struct mutation *m, uint8_t *p, size_t len)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff, 4, 8, 20, 40 };
	size_t at = mutate_random(m, (uint32_t)len);

	switch (mutate_random(m, 5)) {
	case 0:
		p[at] ^= (uint8_t)(1u << mutate_random(m, 8));
		break;
	case 1:
		p[at] = values[mutate_random(m, sizeof(values))];
		break;
	case 2:
		p[at] = (uint8_t)mutate_random(m, 256);
		break;
	case 3:
		if (at + 2 <= len)
			put_be16(p + at, (uint16_t)(be16(p + at) + mutate_random(m, 33) - 16));
		break;
	default:
		if (at + 4 <= len)
			put_be32(p + at, be32(p + at) + mutate_random(m, 4000) - 2000);
	}
}

static void mutate_chunk(struct mutation *m, unsigned i)
{
	uint8_t *p = m->bytes + m->used;
	size_t len = m->chunks[i].len, room;

	if (m->used + len + 64 > MUTATE_BYTES)
		return;
	memcpy(p, m->chunks[i].at, len);
	room = len + 64;
	if (mutate_random(m, 20) == 0)
		p[0] = (uint8_t)mutate_random(m, 32);
	if (mutate_random(m, 10) == 0) {                /* shorter, longer */
		size_t want = mutate_random(m, (uint32_t)(room - CHUNK_HEAD)) + CHUNK_HEAD;

		if (want > len)
			memset(p + len, 0, want - len);
		len = want;
	}
	if (len > CHUNK_HEAD) {
		if (LLVMFuzzerMutate && mutate_random(m, 3) == 0)
			len = CHUNK_HEAD + LLVMFuzzerMutate(p + CHUNK_HEAD, len - CHUNK_HEAD, room - CHUNK_HEAD);
		else
			for (unsigned k = mutate_random(m, 4) + 1; k > 0; k--)
				mutate_bytes(m, p + CHUNK_HEAD, len - CHUNK_HEAD);
	}
	if (mutate_random(m, 8))
		fuzz_repair(p[0], p + CHUNK_HEAD, len - CHUNK_HEAD);
	m->chunks[i].at = p;
	m->chunks[i].len = (uint32_t)len;
	m->used += len;
}

static void mutate_step(struct mutation *m)
{
	unsigned n = m->count, at = mutate_random(m, n + 1), from = n ? mutate_random(m, n) : 0, run = 1 + mutate_random(m, 4);

	if (n == 0 || mutate_random(m, 4) == 0) {       /* a chunk that makes sense */
		if (m->used + EXAMPLE_MAX > MUTATE_BYTES || !mutate_open(m, at, 1))
			return;
		m->chunks[at].at = m->bytes + m->used;
		m->chunks[at].len = (uint32_t)fuzz_example(mutate_random(m, 1u << 30), m->bytes + m->used);
		m->used += m->chunks[at].len;
		return;
	}
	run = MIN(run, n - from);
	switch (mutate_random(m, 8)) {
	case 0:
		memmove(&m->chunks[from], &m->chunks[from + run], (n - from - run) * sizeof(m->chunks[0]));
		m->count -= run;
		break;
	case 1:                         /* again, elsewhere */
		if (!mutate_open(m, at, run))
			break;
		for (unsigned i = 0; i < run; i++)
			m->chunks[at + i] = m->chunks[from + i + (from + i >= at ? run : 0)];
		break;
	case 2:
		if (at < n) {
			__typeof__(m->chunks[0]) was = m->chunks[at];

			m->chunks[at] = m->chunks[from];
			m->chunks[from] = was;
		}
		break;
	case 3:
		m->config = (uint8_t)mutate_random(m, 256);
		break;
	default:
		mutate_chunk(m, from);
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	static struct mutation m;
	static uint8_t out[1 << 20];
	size_t n;

	m.random = seed * 0x9e3779b97f4a7c15ull + 1;
	m.used = 0;
	mutate_parse(&m, data, size);
	for (unsigned k = mutate_random(&m, 5) + 1; k > 0; k--)
		mutate_step(&m);
	n = mutate_write(&m, out, MIN(max, sizeof(out)));
	memcpy(data, out, n);
	return n;
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len, uint8_t *out, size_t max,
				 unsigned seed)
{
	static struct mutation x, y;
	unsigned cut, from;

	x.random = seed * 0x9e3779b97f4a7c15ull + 1;
	mutate_parse(&x, a, a_len);
	mutate_parse(&y, b, b_len);
	cut = mutate_random(&x, x.count + 1);
	from = mutate_random(&x, y.count + 1);
	for (x.count = cut; from < y.count && x.count < MUTATE_CHUNKS; from++)
		x.chunks[x.count++] = y.chunks[from];
	return mutate_write(&x, out, max);
}

#endif
