/* SPDX-License-Identifier: MIT */
/* The translator, for the rest of cpu/. */
#ifndef CPU_XLAT_RUN_H
#define CPU_XLAT_RUN_H

#include "cpu/state.h"

/* Code memory of `size` bytes for c; false with err. */
bool xlat_new(struct cpu *c, size_t size, struct err *err);
void xlat_free(struct cpu *c);

/* Whether c's present mode is one that translated code runs in. */
bool xlat_usable(const struct cpu *c);
/* Run from s.rip until attention is set, the budget is used up or the mode is not ours.  Faults leave through c->on_fault. */
void xlat_run(struct cpu *c);
/* The calling thread runs c from now on. */
void xlat_enter_thread(struct cpu *c);
/* The signals that translated code needs, taken again if someone else took them since (once is done by itself). */
void xlat_take_signals(void);
/* attention was set by another thread while c may be in translated code. */
void xlat_interrupt(struct cpu *c);
/* C code that may use vector instructions is going to run in the middle of translated code. */
void xlat_save_vector(struct cpu *c);

/* Flags are never taken for dead: what exceptions and interrupts push is exact, at the price of speed.  While no code is made. */
void xlat_set_exact(struct cpu *c, bool on);

/* A translated block's code is no longer true; all of them are gone. */
void xlat_drop(struct cpu *c, struct block *b);
void xlat_reset(struct cpu *c);
/* Linear addresses may mean other code now: all (keep_global: but those of global pages). */
void xlat_map_changed(struct cpu *c, bool keep_global);
/* Code was fetched from linear, which is part of the page at gpa. */
void xlat_fetched(struct cpu *c, uint64_t linear, uint64_t gpa, bool global, bool large);
/* The page may be mapped elsewhere now; false: no code was ever fetched from it, or it is where it was. */
bool xlat_page_changed(struct cpu *c, uint64_t linear);

/* info jit. */
void xlat_print(const struct cpu *c, void (*out)(void *to, const char *line), void *to);

#endif
