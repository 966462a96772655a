/* SPDX-License-Identifier: MIT */
/*
 * The translator's inside.  One processor's translator is its own: code memory, blocks, tables; nothing is shared.
 *
 * Where things are while translated code runs (facts behind it: docs/ARCHITECTURE.md):
 *   - a guest register lies in the host register of the same number, but for RSP, which is in R11, and R9 to R11, which
 *     stay in cpu_state.gpr.  Host R9 and R10 are scratch (T0, T1); host RSP is the host's stack; GS points at struct cpu;
 *   - the six arithmetic flags are in the host's flags (FL_HOST) or in env.image (FL_SAVED), which the translator knows
 *     for each instruction; or they are dead: every way on sets them before it reads them;
 *   - x87, SSE and AVX state is on the host's units if env.fpu says so, else in cpu_state.fpu.  Code that uses it checks
 *     once per block; whatever leaves to C puts it back into memory;
 *   - RIP is known to the translator: every block is for one value of it.
 *
 * Every guest instruction is emitted so that the state is exact where it begins; what may fail is checked before anything
 * changes, so that leaving in its middle means to begin it again in the interpreter.
 */
#ifndef CPU_XLAT_XLAT_H
#define CPU_XLAT_XLAT_H

#include "cpu/code.h"
#include "cpu/interp/interp.h"
#include "cpu/xlat/emit.h"

enum { T0 = H9, T1 = H10, HSPG = H11 };

/* Why translated code came back. */
enum exit_kind {
	EXIT_LINK,                      /* at an exit that is not linked: exit_arg has block and exit */
	EXIT_MISS,                      /* indirect branch to exit_rip, which its table does not know */
	EXIT_SLOW,                      /* the instruction of exit_arg is for the interpreter */
	EXIT_ASYNC,                     /* before the instruction of exit_arg: attention */
	EXIT_ABORT,                     /* at once: attention */
	EXIT_DONE,                      /* nothing left to do here: RIP says where to go on */
	EXIT_KINDS
};
/* Why a load or store that has its code went to the interpreter all the same. */
enum slow_cause {
	SLOW_OTHER,                     /* memory of a device, or read-only */
	SLOW_CROSS,                     /* reaches into the next page */
	SLOW_CODE,                      /* a store to a page with code */
	SLOW_FAULT,                     /* it faults */
	SLOW_ATTENTION,                 /* someone wants this processor's attention */
	SLOW_VECTOR,                    /* vector state that cannot be live: not enabled, or an exception is not masked */
	SLOW_HOST,                      /* the host's own fault: #DE, an operand that is not aligned */
	SLOW_CAUSES
};
/* exit_arg: block number, and which instruction or exit. */
enum { ARG_INSN_BITS = 6, ARG_SIZE_BITS = 4, ARG_WINDOW = 14, ARG_UNCOUNTED = 15 };

enum flags_at { FL_HOST, FL_SAVED };

struct link {                           /* a direct exit */
	uint64_t rip;                   /* where it goes */
	struct xblock *to;              /* linked to, NULL: not */
	struct link *next_in, **in_at;  /* of those that go to the same block; what points here among them */
	uint32_t field;                 /* offset of the rel32 that leaves, or of the 64-bit slot */
	uint32_t stub;                  /* offset of the code that leaves to the dispatcher */
	int8_t insn;                    /* which instruction of the block branches; those up to it are done */
	bool slot, saved, listed;       /* cross-page, by slot; flags FL_SAVED; on the list of slots in use */
	bool plain;                     /* to the variant without windows */
};

enum { SITE_ADD = 3 };
struct site {                           /* one guest instruction of a block */
	uint16_t guest;                 /* bytes from the block's start */
	uint16_t saved : 1, fpu : 1;    /* FL_SAVED here; the block relies on env.fpu here */
	uint16_t window : 1;            /* and on env.window: no way in */
	uint16_t roll_saved : 1, commit_saved : 1;
	uint16_t after_sti : 1;         /* no interrupt between the one before and this */
	/*
	 * The host's own string instruction with REP comes behind `commit` and the additions, of SITE_ADD bytes each, of T1 to
	 * RDI and, if rep_source, before that of T0 to RSI, which are undone behind it.
	 */
	uint16_t rep : 1, rep_source : 1;
	uint16_t host;                  /* bytes from the block's host code */
	uint16_t roll_from, roll_to;    /* host range in which it may be begun again, with the flags as roll_saved says */
	uint16_t commit;                /* the host instruction that may fault in its stead; flags then: commit_saved */
};

struct xblock {
	struct block b;                 /* in the cache of code.c; key has KEY_XLAT */
	uint64_t rip;                   /* == b.rip */
	uint32_t number;
	uint32_t host, host_end;        /* offsets into code memory */
	uint32_t direct, saved, indirect;       /* entries, by where the flags are; indirect: T0 is checked against rip */
	struct link *in;                /* links that come here */
	uint16_t links;
	uint8_t ind;                    /* which indirect table, and where in it */
	uint16_t ind_slot;
	struct link *link;
	struct site *site;              /* b.n + 1 */
	struct generic **slow;          /* b.n: decoded instructions of those that leave, or NULL; NULL: none yet */
};

enum { REGIONS = 8 };
enum { SEGMENTS = 2048 /* KEY_CS leaves 14 bits for them */, SEGMENT_HASH = 4 * SEGMENTS };

struct xlat {
	uint8_t *rw, *rx;               /* code memory, twice */
	uint32_t size, first;           /* bytes; stubs lie below `first` */
	struct region {                 /* of code memory: offsets; and of what is kept of its blocks beside it */
		uint32_t start, end, used, blocks;
		uint8_t *side;
		uint32_t side_size, side_used;
	} region[REGIONS];
	unsigned now;                   /* the one that is being filled */
	struct xblock **block;          /* by number; those of a region one after the other, by ascending host addresses */
	uint32_t region_blocks;         /* that many numbers for each */
	struct link *slots[2][1 << 15]; /* cross-page links in use, to either half of the addresses: as many as blocks, about */
	unsigned slots_used[2];
	uint16_t ind_used[IND_TABLES][4096];    /* entries that are set; more: all may be */
	unsigned ind_count[IND_TABLES];
	uint32_t ind_key[IND_TABLES];
	uint64_t exec_pages[512];       /* filters: hashes of linear pages that code was fetched from, */
	uint64_t exec_gigs[4];          /* and, where those are parts of large ones, of their gigabytes */
	bool kernel_local;              /* code of the upper half was fetched from a page that is not global, or supervisor code of the lower */
	struct { uint64_t linear, gpa; bool user; } low[64];    /* pages of the lower half that code was fetched from, */
	unsigned lows;                  /* while they fit */
	uint32_t low_generation;        /* how often there were new ones */
	/* Code segments that are not flat, in which mode: blocks are for one of them.  Numbers begin with 1. */
	struct { uint32_t base, limit, key; } segment[SEGMENTS + 1];
	unsigned segments;
	uint16_t segment_hash[SEGMENT_HASH];
	bool bmi2;                      /* the host has it */
	bool loose;                     /* blocks are not chained, for the log */
	bool exact;                     /* flags are never dead: every exception and interrupt shows the true ones */
	struct verify *verify;          /* NULL: nothing is compared */
	uint8_t cause;                  /* enum slow_cause of the next EXIT_SLOW */
	bool cause_write;
	struct {                        /* an instruction that runs by its handler, as if it were a block */
		struct block b;
		struct uop uops[2];
	} one;
	struct {                        /* offsets of stubs */
		uint32_t enter, link_host, link_saved, miss, slow_host, slow_saved, async_host, async_saved, abort;
		uint32_t fill_read, fill_write, fpu, save_fpu, light;
	} stub;
	struct xlat_counts {
		uint64_t blocks, insns, guest_bytes, host_bytes, flushes, evictions, drops, links, unlinks, enters;
		uint64_t slow_insn, fills, fpu_loads;
		uint64_t interpreted;                   /* blocks that the interpreter ran, because there could be no translation */
		uint64_t exits[EXIT_KINDS];
		uint64_t slow[SLOW_CAUSES][2];  /* accesses: loads, stores */
		uint64_t slow_op[OP_COUNT], light[OP_COUNT];     /* instructions that have no code of their own */
	} count;
};

static inline uint8_t *xlat_rx(const struct xlat *x, uint32_t offset) { return x->rx + offset; }

/* The parts of an exit_arg: the block, which of its instructions, and the size of the access or what stands for it (ARG_*). */
static inline struct xblock *arg_block(const struct xlat *x, uint32_t arg) { return x->block[arg >> (ARG_INSN_BITS + ARG_SIZE_BITS)]; }
static inline unsigned arg_insn(uint32_t arg) { return arg >> ARG_SIZE_BITS & ((1 << ARG_INSN_BITS) - 1); }
static inline unsigned arg_code(uint32_t arg) { return arg & ((1 << ARG_SIZE_BITS) - 1); }

static inline const struct generic *xlat_decoded(const struct xblock *b, unsigned k)
{
	return b->slow ? b->slow[k] : NULL;
}

static inline uint64_t xlat_rip_of(const struct cpu *c, const struct xblock *b, unsigned k)
{
	uint64_t rip = b->rip + b->site[k].guest;

	return code64(c) ? rip : (uint32_t)rip;
}

/* Linear address of code. */
static inline uint64_t xlat_linear(const struct cpu *c, uint64_t rip)
{
	return code64(c) ? rip : (uint32_t)(c->s.seg[SEG_CS].base + rip);
}
/* Where in its table of indirect branches the code for RIP is. */
static inline uint16_t xlat_ind_slot(const struct cpu *c, uint64_t rip)
{
	return (uint16_t)(c->key & KEY_FLAT_CS ? rip : c->s.seg[SEG_CS].base + rip);
}
static inline unsigned xlat_code_size(uint32_t key)
{
	static const uint8_t bits[] = { 16, 32, 64, 64 };

	return bits[key & KEY_CODE];
}

/* stub.c */
void xlat_make_stubs(struct cpu *c, struct xlat *x);

/* cache.c */
bool cache_new(struct xlat *x, struct err *err);
void cache_free(struct xlat *x);
void cache_reset(struct xlat *x);
/* Room for a block in the current region, or the next one is emptied for it: blocks that anyone holds may be gone then. */
void cache_make_room(struct cpu *c, uint32_t code, uint32_t side);
/* Zeroed memory beside the code, NULL: full; and back what was taken since mark. */
void *cache_alloc(struct xlat *x, uint32_t size);
void cache_unalloc(struct xlat *x, void *mark);
uint32_t cache_number(const struct xlat *x);            /* of the next block */
void cache_keep(struct xlat *x, struct xblock *b);
const struct xblock *cache_block_at(const struct xlat *x, uint32_t offset);

/* translate.c: a block at s.rip, whose first byte is at gpa; NULL: not possible here, let the interpreter go on. */
struct xblock *xlat_translate(struct cpu *c, uint32_t key, uint64_t linear, uint64_t gpa, const uint8_t *host);

/* link.c */
void xlat_link(struct cpu *c, struct link *l, struct xblock *to);
void xlat_remember(struct cpu *c, struct xblock *b);    /* in the table for indirect branches */
void xlat_forget_slots(struct xlat *x, const uint8_t *from, const uint8_t *to);     /* of links that lie there */
unsigned xlat_ind_table(struct cpu *c);                 /* which of the tables the current mode uses, made ready for it */
/* env.cs becomes the number of the code segment, if that is not flat.  False: there is none left. */
bool xlat_segment(struct cpu *c);
void xlat_forget_segments(struct xlat *x);              /* with all blocks gone */

/* light.c: instructions by the interpreter's handlers, without leaving. */
bool xlat_is_light(const struct cpu *c, const struct insn *i);
void *xlat_light(struct cpu *c, uint32_t arg);
void *xlat_access(struct cpu *c, uint32_t arg);

/* Flags between the engines: the image is AX after LAHF and SETO AL. */
static inline void flags_from_image(struct cpu *c)
{
	uint32_t v = c->xe.image;

	set_arith_flags(c, (v >> 8 & (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF)) | (v & 1 ? FLAG_OF : 0));
}

static inline void flags_to_image(struct cpu *c)
{
	uint32_t f = get_arith_flags(c);

	c->xe.image = (f & 0xff) << 8 | (f & FLAG_OF ? 1 : 0);
}

/* verify.c: the interpreter runs blocks too, and what comes out is compared. */
bool verify_new(struct xlat *x, unsigned share);        /* one block in `share` */
bool verify_begin(struct cpu *c, const struct xblock *b);
void verify_end(struct cpu *c, const struct xblock *b, bool whole);
void verify_print(const struct xlat *x, char *text, size_t len);
uint64_t verify_blocks(const struct xlat *x);

/* host.c: what the operating system is asked for. */
bool host_code_new(struct xlat *x, size_t size, struct err *err);
void host_code_free(struct xlat *x);
void host_code_rest(struct xlat *x, uint32_t from, uint32_t to);        /* that part will not be written for a while */
void host_enter_thread(struct cpu *c);                  /* this thread runs c now: GS, signals */
void host_forget(struct cpu *c);                        /* c is going away */

/* fill.c: called from translated code with vector state live; no vector instructions in there. */
bool xlat_fill(struct cpu *c, uint64_t linear, uint32_t arg, bool write);
unsigned xlat_fpu_ready(struct cpu *c, uint64_t unused, uint32_t arg);

#endif
