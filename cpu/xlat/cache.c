/* SPDX-License-Identifier: MIT */
/*
 * Code memory and what is kept beside it, in regions that are filled one after the other, round and round: when one is
 * full the oldest is emptied, so that all but a small part of what is in use stays.  Only between blocks, when nobody
 * stands in any.
 */
#include <stdlib.h>

#include "cpu/xlat/xlat.h"

enum { BLOCK_LEAST = 128 /* bytes of code, about, for one block's number */ };

bool cache_new(struct xlat *x, struct err *err)
{
	uint32_t size = (x->size - x->first) / REGIONS & ~4095u, k;

	x->region_blocks = size / BLOCK_LEAST;
	x->block = malloc(REGIONS * x->region_blocks * sizeof(*x->block));
	if (!x->block)
		return err_set(err, "out of memory for the translator's blocks");
	for (k = 0; k < REGIONS; k++) {
		struct region *r = &x->region[k];

		r->start = r->used = x->first + k * size;
		r->end = r->start + size;
		r->side_size = size + size / 4;
		r->side = malloc(r->side_size);         /* touched as it is used */
		if (!r->side)
			return err_set(err, "out of memory for the translator's blocks");
	}
	return true;
}

void cache_free(struct xlat *x)
{
	unsigned k;

	free(x->block);
	for (k = 0; k < REGIONS; k++)
		free(x->region[k].side);
}

static void empty(struct region *r)
{
	r->used = r->start;
	r->side_used = 0;
	r->blocks = 0;
}

void cache_reset(struct xlat *x)
{
	unsigned k;

	for (k = 0; k < REGIONS; k++)
		empty(&x->region[k]);
	x->now = 0;
}

/* Everything that leads to a block of this region is undone, and its memory is free. */
static void evict(struct cpu *c, unsigned n)
{
	struct xlat *x = c->x;
	struct region *r = &x->region[n];
	uint64_t drops = x->count.drops;
	unsigned k;

	if (!r->blocks)
		return;
	for (k = 0; k < r->blocks; k++) {
		struct xblock *b = x->block[n * x->region_blocks + k];

		if (b->b.valid)
			code_drop(c, &b->b);
	}
	xlat_forget_slots(x, r->side, r->side + r->side_size);
	empty(r);
	x->count.drops = drops;
	x->count.evictions++;
	x->count.flushes++;             /* who holds a block may no longer look at it */
}

void cache_make_room(struct cpu *c, uint32_t code, uint32_t side)
{
	struct xlat *x = c->x;
	struct region *r = &x->region[x->now];

	if (r->end - r->used >= code && r->side_size - r->side_used >= side && r->blocks < x->region_blocks)
		return;
	host_code_rest(x, r->start, r->end);
	x->now = (x->now + 1) % REGIONS;
	evict(c, x->now);
}

void *cache_alloc(struct xlat *x, uint32_t size)
{
	struct region *r = &x->region[x->now];
	uint8_t *p = r->side + r->side_used;

	size = (size + 15) & ~15u;
	if (size > r->side_size - r->side_used)
		return NULL;
	r->side_used += size;
	return memset(p, 0, size);
}

void cache_unalloc(struct xlat *x, void *mark)
{
	struct region *r = &x->region[x->now];

	r->side_used = (uint32_t)((uint8_t *)mark - r->side);
}

uint32_t cache_number(const struct xlat *x)
{
	return x->now * x->region_blocks + x->region[x->now].blocks;
}

void cache_keep(struct xlat *x, struct xblock *b)
{
	struct region *r = &x->region[x->now];

	r->used = (b->host_end + 15) & ~15u;
	x->block[b->number] = b;
	r->blocks++;
}

const struct xblock *cache_block_at(const struct xlat *x, uint32_t offset)
{
	struct xblock *const *block;
	uint32_t low = 0, high, n;

	if (offset < x->first)
		return NULL;
	n = (offset - x->first) / (x->region[0].end - x->region[0].start);
	if (n >= REGIONS)
		return NULL;
	block = x->block + n * x->region_blocks;
	high = x->region[n].blocks;
	while (low < high) {            /* the last one that begins at or before it */
		uint32_t mid = (low + high) / 2;

		if (block[mid]->indirect <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low && offset < block[low - 1]->host_end ? block[low - 1] : NULL;
}
