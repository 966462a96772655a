/* SPDX-License-Identifier: MIT */
/* Specialised forms of the frequent instructions (hot.c), and what they share with the engine (run.c). */
#ifndef CPU_INTERP_HOT_H
#define CPU_INTERP_HOT_H

#include "cpu/code.h"

extern void (*op_table[OP_COUNT])(struct cpu *c, const struct insn *i);

/*
 * Fill u (offset and len are set) with a specialised form of i, in a block of this key that starts at this offset of its
 * page; false: there is none.
 */
bool hot_choose(struct uop *u, const struct insn *i, uint32_t key, unsigned page_offset);
/* Let pairs of instructions of b that often stand together run as one. */
void hot_fuse(struct block *b);

/* The plain case does not hold: run u by its generic handler and go on.  _end: the last instruction of its block. */
struct block *hot_miss(struct cpu *c, const struct uop *u);
struct block *hot_miss_end(struct cpu *c, const struct uop *u);
/* Go to rip, way 0 or 1 out of the running block: find the block and remember it. */
struct block *hot_link(struct cpu *c, unsigned way, uint64_t rip);

static inline struct block *hot_goto(struct cpu *c, unsigned way, uint64_t rip)
{
	struct block *to = c->block->to[way];

	if (__builtin_expect(!to || !to->valid, 0))
		return hot_link(c, way, rip);
	c->s.gpr[17] = rip;
	c->block = to;
	return to;
}

static inline unsigned jump_slot(uint64_t linear)
{
	return (unsigned)(linear ^ linear >> 12) & (JUMPS - 1);
}

#endif
