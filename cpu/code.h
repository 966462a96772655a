/* SPDX-License-Identifier: MIT */
/*
 * Decoded code: each processor's cache of blocks, keyed by guest-physical address and mode, and what keeps it true when
 * memory changes.  All processors share three tables by page of RAM (struct cpus): who has code from it, who may have a
 * write tag for it, and which 64-byte granules hold code.  A page with code has no write tag in any TLB, so that every
 * store to it passes through code_stored().
 */
#ifndef CPU_CODE_H
#define CPU_CODE_H

#include "cpu/state.h"
#include "cpu/xlat/run.h"

/*
 * An instruction as the interpreter runs it.  A handler does its work and goes on to the next (a tail call), the last one
 * of a block returns the block to go on with, or NULL: the run loop looks it up at s.rip.
 */
struct uop {
	struct block *(*run)(struct cpu *c, const struct uop *u);
	uint8_t r, r2;                  /* registers; of 8 bits: offset into gpr[] in bytes */
	uint8_t base, index, shift;     /* effective address: into gpr[], [16] for none, [17] for RIP */
	uint8_t seg;                    /* into flat_base[] */
	uint8_t len;
	uint8_t cc;
	int32_t disp;                   /* of the address, or from the block's start to a branch's target */
	uint16_t offset;                /* of this instruction in its block */
	uint16_t unused;
	uint64_t imm;                   /* or the struct generic of a generic instruction */
};

struct generic {
	void (*handler)(struct cpu *c, const struct insn *i);
	struct insn insn;
};

enum { BLOCK_INSNS = 64, BLOCK_BYTES = 256 };
#define NO_PAGE UINT64_MAX

struct block {
	uint64_t gpa;                   /* of the first byte */
	uint64_t rip;                   /* translated blocks: they are for this RIP */
	uint64_t looked;                /* granules of its page that the block depends on, beside its own bytes */
	uint64_t page2;                 /* the other page of a one-instruction block that crosses, or NO_PAGE */
	const uint8_t *code;            /* the bytes, NULL for memory that is not RAM */
	uint32_t key;
	uint16_t n, bytes;              /* instructions, bytes */
	bool valid;                     /* false: memory changed; stays allocated until all blocks go */
	struct block *hash_next, *page_next[2], **page_at[2];   /* what points here in the lists of its pages */
	struct block *to[2];            /* where it went last: next or branch not taken, branch taken; on the same page only */
	struct uop uops[];
};

struct code_cache;
struct code_cache *code_new(bool translator);
void code_free(struct code_cache *k);
/* The tables in s; false: no memory. */
bool code_share_init(struct cpus *s);
void code_share_free(struct cpus *s);

/* Room for a block or a struct generic; NULL: full, code_flush() and start again. */
void *code_alloc(struct cpu *c, size_t size);
/* Give back what was allocated since `mark` (a code_alloc result). */
void code_unalloc(struct cpu *c, void *mark);
/* Drop all blocks and reuse their memory.  Not while one runs. */
void code_flush(struct cpu *c);
/* Whether a block can be decoded and added without code_flush() first. */
bool code_room(struct cpu *c);
struct block *code_find(struct cpu *c, uint64_t gpa, uint32_t key);
struct block *code_find_at(struct cpu *c, uint64_t gpa, uint32_t key, uint64_t rip);    /* a translated one */
void code_add(struct cpu *c, struct block *b);
/* This block goes, for want of room. */
void code_drop(struct cpu *c, struct block *b);

/* This processor is about to decode from the page: from now on stores there are seen. */
void code_mark(struct cpu *c, uint64_t page);
/* Note which bytes code comes from; then compare them with what was decoded. */
void code_note(struct cpu *c, uint64_t gpa, unsigned len);
void code_note_granules(struct cpu *c, uint64_t page, uint64_t granules);

/* Translations changed: linear addresses may mean other code now (keep_global: but for those of global pages). */
void code_map_changed(struct cpu *c, bool keep_global);
/* Do what others posted. */
void code_do_work(struct cpu *c);
/* The machine's memory map changed: c shall forget everything.  Any thread. */
void code_post_remapped(struct cpu *c);

/* --- for stores ------------------------------------------------------------------------------------------------- */
static inline size_t code_index(uint64_t gpa)
{
	return gpa >> 12 & (CODE_PAGES - 1);
}

void code_stored_slow(struct cpu *c, uint64_t gpa, unsigned len);
/* c has stored to [gpa, gpa+len), within one page of RAM. */
static inline void code_stored(struct cpu *c, uint64_t gpa, unsigned len)
{
	if (__builtin_expect(atomic_load_explicit(&c->all->code_by[code_index(gpa)], memory_order_relaxed) != 0, 0)) {
		if (c->xe.fpu)
			xlat_save_vector(c);
		code_stored_slow(c, gpa, len);
	}
}

static inline bool code_page_is_clean(const struct cpu *c, uint64_t gpa)
{
	return atomic_load_explicit(&c->all->code_by[code_index(gpa)], memory_order_relaxed) == 0;
}

/* Whether c's TLB may have a write tag for the page; if so it is on record. */
static inline bool code_may_write_tag(struct cpu *c, uint64_t gpa)
{
	_Atomic uint8_t *by = &c->all->write_tag_by[code_index(gpa)];
	uint8_t me = (uint8_t)(1u << c->index);

	if (!(atomic_load_explicit(by, memory_order_relaxed) & me))
		atomic_fetch_or(by, me);
	return code_page_is_clean(c, gpa);
}

#endif
