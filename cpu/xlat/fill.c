/* SPDX-License-Identifier: MIT */
/*
 * What translated code calls while the guest's vector state is on the host's units.  This file and mmu.c are compiled
 * without vector instructions; where they call out, outside_begin() or xlat_save_vector() puts that state into memory first.
 */
#include "cpu/mmu.h"
#include "cpu/xlat/xlat.h"

/*
 * Bring the page of an access into the TLB: true: the access will hit now.  False, nothing lost: it faults, is not plain
 * memory, crosses a page, or someone wants this processor's attention.
 */
bool xlat_fill(struct cpu *c, uint64_t linear, uint32_t arg, bool write)
{
	unsigned code = arg_code(arg), size = code == ARG_WINDOW ? 1 : 1u << code;
	const struct tlb_page *page;
	struct xlat *x = c->x;

	x->count.fills++;
	x->cause_write = write;
	x->cause = SLOW_ATTENTION;
	c->xe.fill_error = -1;
	if ((linear & 0xfff) + size > 4096) {
		x->cause = SLOW_CROSS;
		return false;
	}
	if (tlb_fill(c, linear, write))
		return true;
	page = &c->tlb->page[TLB_WRITE][linear >> 12 & (TLB_SIZE - 1)];
	x->cause = write && page->linear == (linear & ~0xfffull) && page->gpa & TLB_RAM ? SLOW_CODE : SLOW_OTHER;
	return false;
}

enum { MXCSR_MASKS = 0x1f80, FCW_MASKS = 0x3f };

/*
 * What of the vector state may be live: 0 nothing (unavailable to the guest now, or an exception is not masked: those are
 * the interpreter's), 1 x87 to SSE, 2 AVX too.  The host's faults for what is masked are the guest's.
 */
unsigned xlat_fpu_ready(struct cpu *c, uint64_t unused, uint32_t arg)
{
	unsigned need = arg_code(arg), have;

	(void)unused;
	c->x->count.fpu_loads++;
	c->x->cause = SLOW_VECTOR;
	c->x->cause_write = false;
	if (c->s.cr0 & (CR0_EM | CR0_TS) || !(c->s.cr4 & CR4_OSFXSR))
		return 0;
	if ((c->s.fpu.mxcsr & MXCSR_MASKS) != MXCSR_MASKS || (c->s.fpu.fcw & FCW_MASKS) != FCW_MASKS)
		return 0;
	have = c->s.cr4 & CR4_OSXSAVE && (c->s.xcr0 & 6) == 6 ? 2 : 1;
	if (have == 2 && c->all->config.without & (HOST_AVX | HOST_XSAVE))
		return 0;               /* the guest has what could not be live as a whole: only tests come here */
	return need <= have ? have : 0;
}
