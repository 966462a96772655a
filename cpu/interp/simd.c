/* SPDX-License-Identifier: MIT */
/* What the vector instructions have in common: see simd.h. */
#include "cpu/interp/simd.h"

#include <xmmintrin.h>

/* SDM volume 2, 2.4: #UD goes before #NM. */
void simd_refuse_sse(struct cpu *c)
{
	fault(c, c->s.cr0 & CR0_EM || !(c->s.cr4 & CR4_OSFXSR) ? VEC_UD : VEC_NM, 0);
}

void simd_refuse_avx(struct cpu *c)
{
	fault(c, !(c->s.cr4 & CR4_OSXSAVE) || (c->s.xcr0 & 6) != 6 || real_or_v86(c) ? VEC_UD : VEC_NM, 0);
}

/* --- memory -------------------------------------------------------------------------------------------------- */

static uint64_t vector_address(struct cpu *c, const struct insn *i, unsigned size, bool write)
{
	uint64_t offset = effective_address(c, i);
	unsigned seg = i->mem.seg;

	/* Before the segment's own checks, which may be #SS (measured). */
	if (i->traits & INSN_ALIGNED && size >= 16) {
		uint64_t base = code64(c) && seg != SEG_FS && seg != SEG_GS ? 0 : c->s.seg[seg].base;

		if ((offset + base) & (size - 1))
			fault_gp(c, 0);
	}
	return linear_address(c, seg, offset, size, write);
}

v128 simd_load_slow(struct cpu *c, const struct insn *i, unsigned size)
{
	uint64_t linear = vector_address(c, i, size, false);
	const uint8_t *host;
	v128 v;

	switch (size) {
	case 1:
		return low64(ld8(c, linear));
	case 2:
		return low64(ld16(c, linear));
	case 4:
		return low64(ld32(c, linear));
	case 8:
		return low64(ld64(c, linear));
	default:
		host = ld_host(c, linear, 16);
		if (host)
			memcpy(&v, host, 16);
		else
			ld_bytes(c, linear, &v, 16);
		return v;
	}
}

struct v256 simd_load256_slow(struct cpu *c, const struct insn *i)
{
	uint64_t linear = vector_address(c, i, 32, false);
	struct v256 v;

	ld_bytes(c, linear, &v, 32);
	return v;
}

void simd_store_slow(struct cpu *c, const struct insn *i, v128 v, unsigned size)
{
	uint64_t linear = vector_address(c, i, size, true);
	uint8_t *host;

	switch (size) {
	case 1:
		st8(c, linear, (uint8_t)v[0]);
		break;
	case 2:
		st16(c, linear, (uint16_t)v[0]);
		break;
	case 4:
		st32(c, linear, (uint32_t)v[0]);
		break;
	case 8:
		st64(c, linear, (uint64_t)v[0]);
		break;
	default:
		host = st_host(c, linear, 16);
		if (host)
			memcpy(host, &v, 16);
		else
			st_bytes(c, linear, &v, 16);
		break;
	}
}

void simd_store256_slow(struct cpu *c, const struct insn *i, struct v256 v)
{
	st_bytes(c, vector_address(c, i, 32, true), &v, 32);
}

/* --- MXCSR --------------------------------------------------------------------------------------------------- */

/*
 * An exception is unmasked, so it matters which ones this very instruction raises: the host computes with all masked
 * and no flag set.  An unmasked exception of the operands (invalid, denormal, zero divide) keeps those of the result
 * from being found (SDM volume 1, 11.5.3).  A tiny but exact result is an underflow only if that is unmasked: the
 * host tells by flushing it to zero.
 */
static void fp_unmasked(struct cpu *c, host_op *f, struct fp_call *call, unsigned n)
{
	enum { BEFORE = MXCSR_IE | MXCSR_DE | MXCSR_ZE };
	uint32_t guest = c->s.fpu.mxcsr, unmasked = ~guest >> 7 & MXCSR_FLAGS, raised;
	uint32_t control = (guest & ~(uint32_t)MXCSR_FLAGS) | MXCSR_MASKS;

	if (unmasked & MXCSR_UE)                /* then there is no flushing to zero */
		control &= ~(uint32_t)MXCSR_FTZ;
	_mm_setcsr(control);
	for (unsigned k = 0; k < n; k++)
		call[k].r = f(call[k].a, call[k].b, call[k].c);
	raised = _mm_getcsr() & MXCSR_FLAGS;
	if (unmasked & MXCSR_UE && !(raised & MXCSR_UE)) {
		_mm_setcsr(control | MXCSR_FTZ);
		for (unsigned k = 0; k < n; k++)
			f(call[k].a, call[k].b, call[k].c);
		raised |= _mm_getcsr() & MXCSR_UE;
	}
	_mm_setcsr(MXCSR_DEFAULT);
	if (raised & unmasked & BEFORE)
		raised &= BEFORE;
	c->s.fpu.mxcsr |= raised;
	if (raised & unmasked)
		fault(c, c->s.cr4 & CR4_OSXMMEXCPT ? VEC_XM : VEC_UD, 0);
}

/*
 * The host's MXCSR is left as the guest's as long as that asks for nothing but flags, which host code does not mind.
 * So it mostly is what the guest's is, after a computation that raised no new flag; if it is anything else, for
 * whatever reason, the computation is done again, from the guest's.
 */
void simd_fp(struct cpu *c, host_op *f, struct fp_call *call, unsigned n)
{
	uint32_t guest = c->s.fpu.mxcsr;

	call[0].r = f(call[0].a, call[0].b, call[0].c);
	if (n > 1)
		call[1].r = f(call[1].a, call[1].b, call[1].c);
	if (__builtin_expect(_mm_getcsr() == guest, 1))
		return;
	if ((guest & MXCSR_MASKS) != MXCSR_MASKS) {
		fp_unmasked(c, f, call, n);
		return;
	}
	_mm_setcsr(guest);
	call[0].r = f(call[0].a, call[0].b, call[0].c);
	if (n > 1)
		call[1].r = f(call[1].a, call[1].b, call[1].c);
	c->s.fpu.mxcsr = _mm_getcsr();
	if (guest & (MXCSR_RC | MXCSR_DAZ | MXCSR_FTZ))
		_mm_setcsr(MXCSR_DEFAULT);
}
