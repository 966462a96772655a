/* SPDX-License-Identifier: MIT */
/* The engine's entry, for cpu.c. */
#ifndef CPU_INTERP_RUN_H
#define CPU_INTERP_RUN_H

#include "cpu/state.h"

/* Fill the handler table; once, before the first processor runs. */
void interp_init(void);
/* Run from s.rip until attention is set, the budget is used up, or the mode is one that the translator runs.  Faults leave
 * through c->on_fault. */
void interp_run(struct cpu *c);

/* --- for the translator ----------------------------------------------------------------------------------------- */
/* What this processor in this mode makes of a decoded instruction. */
void interp_gate(const struct cpu *c, struct insn *i);
/* *g is filled with what runs i. */
void interp_generic(struct generic *g, const struct insn *i);
/* Run g, the instruction at s.rip; run whatever is there; run the block that begins there, up to its end. */
void interp_one(struct cpu *c, const struct generic *g);
void interp_step(struct cpu *c);
void interp_block(struct cpu *c);

#endif
