/* SPDX-License-Identifier: MIT */
/* The engine's entry, for cpu.c. */
#ifndef CPU_INTERP_RUN_H
#define CPU_INTERP_RUN_H

#include "cpu/state.h"

/* Fill the handler table; once, before the first processor runs. */
void interp_init(void);
/* Run from s.rip until attention is set or the budget is used up.  Faults leave through c->on_fault. */
void interp_run(struct cpu *c);

#endif
