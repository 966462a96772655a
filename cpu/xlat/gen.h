/* SPDX-License-Identifier: MIT */
/* A block being generated; shared by the files that emit guest instructions (gen*.c). */
#ifndef CPU_XLAT_GEN_H
#define CPU_XLAT_GEN_H

#include "cpu/xlat/xlat.h"

enum { MAX_OUT = 8 * BLOCK_INSNS, MAX_WINDOWS = 16 };

/* Code that lies behind the block: taken rarely. */
struct out {
	enum out_kind { OUT_FILL_READ, OUT_FILL_WRITE, OUT_FPU, OUT_SLOW, OUT_LIGHT, OUT_WINDOW_READ, OUT_WINDOW_WRITE } kind;
	uint8_t *from, *back;           /* the branch's field; where it goes on (not OUT_SLOW) */
	uint32_t arg;
	uint16_t span;                  /* of a window */
	uint8_t link;                   /* OUT_WINDOW: where it goes if it does not fit into a page */
};

/* Accesses that share a check: window.c. */
struct window {
	uint16_t origin;                /* the value that their addresses are at known distances from */
	int32_t low, high;              /* distances that they cover */
	int32_t at;                     /* distance of what env.window[slot] points at, once made */
	uint8_t accesses, last;         /* how many; the last one's instruction */
	int8_t slot;                    /* -1: not worth it */
	bool write, made;
};
struct sharing {
	int8_t window;                  /* -1: none */
	int32_t distance;
};

struct gen {
	struct cpu *c;
	struct xlat *x;
	struct xblock *xb;
	struct buf b;
	uint8_t *start;                 /* host code of the block, as written */
	const uint8_t *raw;             /* guest bytes of the block */
	uint8_t page[4096];             /* and of what is looked at behind its exits */
	struct insn insn[BLOCK_INSNS];
	uint16_t at[BLOCK_INSNS + 1];   /* their places in raw[] */
	uint16_t need[BLOCK_INSNS + 1]; /* flags that are live before each */
	unsigned n, k;
	uint64_t rip;                   /* of the block */
	uint32_t key, number;
	int32_t tlb;                    /* offset of the TLB in struct cpu */
	bool wide;                      /* 64-bit code */
	uint8_t sp;                     /* bytes of the stack pointer */
	uint32_t cs, limit;             /* base, 0 if CS is flat; limit, of no meaning in 64-bit code */
	enum flags_at fl;
	unsigned fpu;                   /* env.fpu was found to be at least this */
	bool ended;                     /* nothing comes behind the last instruction */
	struct out out[MAX_OUT];
	unsigned outs;
	struct link link[BLOCK_INSNS + 2 + MAX_WINDOWS];
	uint8_t *link_field[BLOCK_INSNS + 2 + MAX_WINDOWS];
	unsigned links;
	struct site site[BLOCK_INSNS + 1];
	bool slow[BLOCK_INSNS];
	bool by_handler[BLOCK_INSNS];   /* it has code, but may go to its handler in place too */
	struct window window[MAX_WINDOWS];
	struct sharing sharing[BLOCK_INSNS][2];   /* an instruction's accesses */
	unsigned windows;
};

/* --- for templates ---------------------------------------------------------------------------------------------- */
static inline struct rm gpr_home(unsigned guest)
{
	return rm_gs((int32_t)(offsetof(struct cpu, s.gpr) + guest * 8));
}
/* Offset in struct cpu of the table that a load or store looks at. */
static inline int32_t gen_tlb(const struct gen *g, bool write)
{
	return g->tlb + (int32_t)(write ? offsetof(struct tlb, e[TLB_WRITE]) : offsetof(struct tlb, e[TLB_READ]));
}
#define ENV(field) rm_gs((int32_t)offsetof(struct cpu, xe.field))
#define CPU(field) rm_gs((int32_t)offsetof(struct cpu, field))

/* Host register of a guest's, -1: it lives in memory. */
static inline int host_of(unsigned guest)
{
	return guest == RSP ? HSPG : guest >= 9 && guest <= 11 ? -1 : (int)guest;
}

static inline const struct insn *cur(const struct gen *g) { return &g->insn[g->k]; }
static inline uint64_t rip_behind(const struct gen *g)
{
	uint64_t rip = g->rip + g->at[g->k + 1];

	return g->wide ? rip : (uint32_t)rip;
}

/* The host's flags are about to change for our own purposes.  Uses T1. */
void gen_clobber(struct gen *g);
/* The flags are needed in the host's. */
void gen_flags(struct gen *g);
/* Of flags that are saved: the instruction has no business with them, needs them, or sets all that is wanted behind it. */
enum flags_for { FLAGS_STAY, FLAGS_RESTORE, FLAGS_FORGET };
enum flags_for gen_flags_for(const struct gen *g);
/* That done, for an instruction without memory that cannot fault. */
void gen_flag_use(struct gen *g);
/* The next host instruction is the one that changes the guest's state: until there it may be begun again. */
void gen_commit(struct gen *g);
/* Offset of insn.mem in its segment to `to`, a scratch register; uses T0 and T1. */
void gen_offset(struct gen *g, unsigned to);
/* Whether accesses in the segment need no check (but FS and GS, a base). */
bool gen_flat(const struct gen *g, unsigned seg, bool write);
/* T0 is an offset in the segment, and becomes a linear address; uses T1.  Flags are FL_SAVED or dead. */
void gen_segment(struct gen *g, unsigned seg, unsigned size, bool write);
/* The same for insn.mem.  False: not possible in line. */
bool gen_linear(struct gen *g, unsigned size, bool write);
/* Linear address of what lies `off` from where a general register points on the stack; as gen_segment(). */
void gen_stack_linear(struct gen *g, unsigned host_reg, int32_t off, unsigned size, bool write);
/* T0 is a linear address: host address to T0 + T1 (fault or device: to the interpreter). */
struct rm gen_access(struct gen *g, unsigned size, bool write);
/* T0 is a linear address: T0 becomes the offset in its page, T1 its host page, if [T0, T0+span) lies in one page that is there. */
struct out *gen_check_page(struct gen *g, unsigned span, bool write);
/*
 * Where an access of the current instruction goes, its number `which` (0 or 1): insn.mem, a push, the top of the stack, or at rBP.
 * Uses T0 and T1, of which the address in *m may use both.  False: not possible in line.
 */
enum where { PLACE_MEM, PLACE_PUSH, PLACE_TOP, PLACE_FRAME };
bool gen_place(struct gen *g, unsigned which, enum where where, unsigned size, bool write, struct rm *m);
void gen_find_windows(struct gen *g);
bool gen_window_open(const struct gen *g);
void gen_close_windows(struct gen *g);
/* Vector or x87 state is going to be used (level 2: AVX). */
void gen_fpu(struct gen *g, unsigned level);
/* If the comparison just emitted says so: to the interpreter; to the instruction's handler in place.  Flags are FL_SAVED or dead. */
void gen_slow_if(struct gen *g, unsigned cc);
void gen_handler_if(struct gen *g, unsigned cc);
/* Leave for rip, directly; `insn` branches there.  Emits a jump, or with cc >= 0 a conditional one. */
void gen_exit(struct gen *g, int cc, uint64_t rip);
/* T0 has the RIP to go to; flags are FL_SAVED. */
void gen_indirect(struct gen *g);

/* What the register fields of an instruction's encoding name. */
enum field { F_NONE, F_EXT, F_GPR, F_OTHER };
/* Emit the current instruction as it is, with operands where they are now.  False: not possible in line. */
bool gen_copy(struct gen *g, enum field reg, enum field rm, enum field vvvv);

/* rSP, as wide as the stack is.  Changes T1. */
void gen_move_sp(struct gen *g, int32_t by);
struct rm gen_selector(unsigned seg);   /* where it lies */
/* MOV from and to a segment register. */
bool gen_mov_from_segment(struct gen *g);
bool gen_mov_to_segment(struct gen *g);
/*
 * Loads of a segment register in real and virtual-8086 mode: false: not in line.  The second sets it to T0, once that is
 * done; uses both scratch registers.
 */
bool gen_real_segment(struct gen *g, unsigned seg);
void gen_set_real_segment(struct gen *g, unsigned seg);

/* Where instruction k, a direct branch, goes. */
uint64_t gen_target(const struct gen *g, unsigned k);
/* Whether code at rip lies in the block's page. */
static inline bool gen_same_page(const struct gen *g, uint64_t rip)
{
	uint64_t diff = (rip + g->cs) ^ (g->rip + g->cs);

	return !((g->wide ? diff : (uint32_t)diff) >> 12);
}

/* The current instruction; false: it goes to the interpreter, nothing was emitted.  Each for its part of them. */
bool gen_integer(struct gen *g);
bool gen_stack(struct gen *g);
bool gen_branch(struct gen *g);
bool gen_vector(struct gen *g);
bool gen_system(struct gen *g);
bool gen_string(struct gen *g);

/* The block in the log, as -d asks for it. */
void xlat_show(const struct gen *g);

#endif
