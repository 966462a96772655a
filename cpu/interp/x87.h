/* SPDX-License-Identifier: MIT */
/* The x87's status, as its users need it: MMX, and the instructions that save and restore it. */
#ifndef CPU_INTERP_X87_H
#define CPU_INTERP_X87_H

#include "cpu/interp/interp.h"

enum {
	FSW_FLAGS = 0x3f, FSW_SF = 1 << 6, FSW_ES = 1 << 7, FSW_C1 = 1 << 9, FSW_TOP = 7 << 11, FSW_B = 1 << 15,
	FCW_MASKS = 0x3f, FCW_RESERVED = 0xe080, FCW_ONE = 1 << 6, FCW_INIT = 0x37f,
};

/* #NM if CR0 says so. */
void x87_available(struct cpu *c);
/* An unmasked exception waits: #MF, or FERR# if CR0.NE is 0 (then it returns, as with IGNNE# asserted). */
void x87_check_pending(struct cpu *c);
/* What FNINIT does. */
void x87_init(struct fpu_area *f);
/* FCW or FSW were loaded: bits that are fixed or follow from others. */
void x87_normalise(struct fpu_area *f);

#endif
