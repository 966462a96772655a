/* SPDX-License-Identifier: MIT */
/*
 * The host's processor as an oracle: one instruction, or a few, from one random state, on both; what differs is a bug
 * in ours.
 *
 * Both sides see the same user-mode address space below: code followed by breakpoints and an unmapped page, data
 * pages, one of them read-only, everything around unmapped.  A run ends with the first exception, at the latest a
 * breakpoint.
 */
#ifndef TESTS_DIFF_H
#define TESTS_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REG_RIP UCONTEXT_RIP    /* the decoder has one too, and <sys/wait.h> brings this one in */
#include <signal.h>
#include <ucontext.h>
#undef REG_RIP

#include "base/bytes.h"
#include "cpu/insn.h"
#include "cpu/state.h"

enum {
	CODE_BASE = 0x10000000, CODE_SIZE = 0x2000,
	DATA_BASE = 0x10010000, DATA_SIZE = 0x4000, DATA_WRITABLE = 0x3000,
	/* Segments of 64 KiB at CODE_BASE and DATA_BASE for 16-bit code: entries 0 and 1 of the LDT. */
	LDT_CODE16 = 0x07, LDT_DATA16 = 0x0f,
	GDT_CODE32 = 0x23, GDT_DATA = 0x2b, GDT_CODE64 = 0x33,
};

struct diff_state {
	uint64_t gpr[16], rip, rflags;
	struct fpu_area fpu;
	/* how it ended */
	int vector;
	uint32_t error;
	uint64_t cr2;
};

enum { DIFF_INSNS = 20, DIFF_CODE = DIFF_INSNS * 15 + 16 };

struct diff_case {
	unsigned mode;                  /* 16, 32, 64 */
	uint8_t code[DIFF_CODE];
	unsigned code_len, count;       /* instructions in it */
	struct insn insn[DIFF_INSNS];
	struct diff_state in;
	uint16_t undefined;             /* flags that need not agree */
	uint16_t written;               /* registers that the instructions so far change */
	uint16_t pinned;                /* and those that they need as they are, for an address */
	bool stack_lost;                /* RSP may point anywhere */
};

/* The host.  init: false with a reason on a host or sandbox that cannot. */
bool native_init(const char **why);
void native_arm(void);                  /* take the signals again, if someone else took them since */
uint8_t *native_code(void), *native_data(void);
void native_seal(const uint8_t *data);  /* first contents of the pages; once */
void native_run(unsigned mode, struct diff_state *s);

/* Ours. */
void sim_use(enum cpu_engine e);       /* before sim_init: which engine; the interpreter if not said */
/* Before sim_init: the translator takes flags for dead where it may, and what a fault shows of them does not count. */
void sim_use_dead_flags(void);
bool sim_flags_are_exact(void);
/* Before sim_init: whether instructions are counted, as they are if nothing is said.  Without that the translator calls handlers in
 * place, as it does in a machine without -icount, and nothing ends a loop but its own end. */
void sim_count(bool on);
bool sim_init(const char *model, const char **why);     /* again, after sim_use: the other engine on the same memory */
uint8_t *sim_code(void), *sim_data(void);
void sim_seal(const uint8_t *data);
void sim_run(unsigned mode, struct diff_state *s);
void sim_set_fast(bool fast);         /* whether specialised handlers may be used */
bool sim_has(const struct insn *i);
struct cpu *sim_cpu(void);            /* control registers may be changed between runs */
unsigned sim_ferr(void);              /* how often FERR# was reported */

/* Random cases. */
struct diff_rng { uint64_t s; };
uint64_t diff_random(struct diff_rng *r);
void gen_data(struct diff_rng *r, uint8_t *data);       /* DATA_SIZE bytes */
/* A case whose first instruction has operation `op` (OP_INVALID: any); false: not found soon. */
bool gen_case(struct diff_rng *r, struct diff_case *t, unsigned mode, enum op op, unsigned count);
/* With conditional branches around some instructions, and where that is safe in a loop. */
enum { DIFF_COUNT_MAX = DIFF_INSNS - 4, DIFF_BRANCHES = 5 /* instructions from which on gen_case() does so */ };

/* Linear address of the memory operand of t's first instruction. */
uint64_t gen_address(const struct diff_case *t);

/* Run one case on both; text describes the first difference.  True: they agree. */
bool diff_one(const struct diff_case *t, const uint8_t *data, char *text, size_t len);
void diff_print(const struct diff_case *t, char *text, size_t len);

#endif
