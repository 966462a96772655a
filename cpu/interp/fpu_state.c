/* SPDX-License-Identifier: MIT */
/*
 * Saving and restoring floating-point and vector state: FXSAVE, FXRSTOR, the XSAVE family, MXCSR (SDM volume 1, 10.5
 * and chapter 13).  Components: x87 (bit 0), SSE (bit 1), AVX (bit 2); struct fpu_area has their standard layout,
 * which the compacted one equals, AVX being the first extended component.  "In use" is found by looking at the
 * registers.  The modified optimisation of XSAVEOPT is not done: it never shows.
 */
#include "cpu/interp/simd.h"
#include "cpu/interp/x87.h"
#include "cpu/model.h"

enum {
	X87 = 1, SSE = 2, AVX = 4,
	LEGACY = 512, HEADER = 64, AVX_AT = 576,
};
#define COMPACTED (1ull << 63)

static unsigned vector_count(const struct cpu *c) { return code64(c) ? 16 : 8; }

/* --- the legacy region --------------------------------------------------------------------------------------- */

/* FIP and FDP as an image has them: 64-bit offsets with REX.W, else 32 bits and a selector. */
static uint64_t image_pointer(const struct cpu *c, const struct insn *i, uint64_t p)
{
	if (i->opsize == 8)
		return p;
	return code64(c) ? (uint32_t)p : p & 0xffffffffffff;
}

/* AMD's FXSAVE and XSAVE show the pointers only while an exception is pending (APM volume 2, 11.4.4), else zeros. */
static void x87_to_image(const struct cpu *c, const struct insn *i, struct fpu_area *image)
{
	const struct fpu_area *f = &c->s.fpu;
	bool show = c->model->intel || f->fsw & FSW_ES;

	image->fcw = f->fcw;
	image->fsw = f->fsw;
	image->ftw = f->ftw;
	image->reserved0 = 0;
	image->fop = show ? f->fop & 0x7ff : 0;
	image->fip = show ? image_pointer(c, i, f->fip) : 0;
	image->fdp = show ? image_pointer(c, i, f->fdp) : 0;
	for (unsigned n = 0; n < 8; n++) {
		memcpy(image->st[n], f->st[n], 10);
		memset(image->st[n] + 10, 0, 6);
	}
}

/* The host makes 64-bit pointers canonical, and so do we. */
static uint64_t loaded_pointer(const struct cpu *c, const struct insn *i, uint64_t p)
{
	if (i->opsize == 8)
		return (uint64_t)((int64_t)(p << 16) >> 16);
	return code64(c) ? (uint32_t)p : p & 0xffffffffffff;
}

static void x87_from_image(struct cpu *c, const struct insn *i, const struct fpu_area *image)
{
	struct fpu_area *f = &c->s.fpu;

	f->fcw = image->fcw;
	f->fsw = image->fsw;
	f->ftw = image->ftw;
	f->fop = image->fop & 0x7ff;
	f->fip = loaded_pointer(c, i, image->fip);
	f->fdp = loaded_pointer(c, i, image->fdp);
	for (unsigned n = 0; n < 8; n++) {
		memcpy(f->st[n], image->st[n], 10);
		memset(f->st[n] + 10, 0, 6);
	}
	x87_normalise(f);
}

static void need_alignment(struct cpu *c, uint64_t linear, unsigned to)
{
	if (linear & (to - 1))
		fault_gp(c, 0);
}

static void op_fxsave(struct cpu *c, const struct insn *i)
{
	unsigned len = 160 + 16 * vector_count(c);
	struct fpu_area image;
	uint64_t linear;

	x87_available(c);
	linear = mem_address(c, i, LEGACY, true);
	need_alignment(c, linear, 16);
	x87_to_image(c, i, &image);
	image.mxcsr = c->s.fpu.mxcsr;
	image.mxcsr_mask = MXCSR_VALID;
	memcpy(image.xmm, c->s.fpu.xmm, sizeof(image.xmm));
	probe_write(c, linear, LEGACY);
	st_bytes(c, linear, &image, len);
}

static void op_fxrstor(struct cpu *c, const struct insn *i)
{
	struct fpu_area image;
	uint64_t linear;

	x87_available(c);
	linear = mem_address(c, i, LEGACY, false);
	need_alignment(c, linear, 16);
	ld_bytes(c, linear, &image, LEGACY);
	if (image.mxcsr & ~(uint32_t)MXCSR_VALID)
		fault_gp(c, 0);
	x87_from_image(c, i, &image);
	c->s.fpu.mxcsr = image.mxcsr;
	memcpy(c->s.fpu.xmm, image.xmm, 16 * vector_count(c));
}

static void op_ldmxcsr(struct cpu *c, const struct insn *i)
{
	uint32_t v;

	simd_begin(c, i);
	v = (uint32_t)simd_load(c, i, 4)[0];
	if (v & ~(uint32_t)MXCSR_VALID)
		fault_gp(c, 0);
	c->s.fpu.mxcsr = v;
}

static void op_stmxcsr(struct cpu *c, const struct insn *i)
{
	simd_begin(c, i);
	simd_store(c, i, low64(c->s.fpu.mxcsr), 4);
}

/* --- XSAVE --------------------------------------------------------------------------------------------------- */

static bool all_zero(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint8_t any = 0;

	for (size_t n = 0; n < len; n++)
		any |= b[n];
	return !any;
}

static uint64_t in_use(const struct cpu *c)
{
	const struct fpu_area *f = &c->s.fpu;
	uint64_t used = 0;

	if (f->fcw != FCW_INIT || f->fsw || f->ftw || f->fop || f->fip || f->fdp || !all_zero(f->st, sizeof(f->st)))
		used |= X87;
	if (!all_zero(f->xmm, 16 * vector_count(c)))
		used |= SSE;
	if (!all_zero(f->ymm_hi, 16 * vector_count(c)))
		used |= AVX;
	return used;
}

static uint64_t xsave_begin(struct cpu *c)
{
	if (!(c->s.cr4 & CR4_OSXSAVE))
		fault_ud(c);
	if (c->s.cr0 & CR0_TS)
		fault(c, VEC_NM, 0);
	return (c->s.gpr[RDX] << 32 | (uint32_t)c->s.gpr[RAX]) & c->s.xcr0;
}

static unsigned xsave_size(uint64_t components)
{
	return components & AVX ? AVX_AT + 256 : LEGACY + HEADER;
}

static void op_xsave(struct cpu *c, const struct insn *i)
{
	bool compact = i->op == OP_XSAVEC || i->op == OP_XSAVES;
	uint64_t asked = xsave_begin(c), used = in_use(c), bv, write = asked, linear;
	const struct fpu_area *f = &c->s.fpu;
	struct fpu_area image;

	if (i->op == OP_XSAVES)
		need_cpl0(c);
	linear = mem_address(c, i, xsave_size(asked), true);
	need_alignment(c, linear, 64);
	probe_write(c, linear, xsave_size(asked));
	if (compact) {
		if (f->mxcsr != MXCSR_DEFAULT)
			used |= SSE;            /* SDM volume 1, 13.10 */
		bv = asked & used;
	} else {
		bv = (ld64(c, linear + LEGACY) & ~asked) | (asked & used);
	}
	if (i->op != OP_XSAVE)
		write &= used;                  /* the init optimisation */
	if (write & X87) {
		x87_to_image(c, i, &image);
		st_bytes(c, linear, &image, 24);
		st_bytes(c, linear + 32, image.st, sizeof(image.st));
	}
	if (compact ? write & SSE : asked & (SSE | AVX)) {
		st32(c, linear + 24, f->mxcsr);
		st32(c, linear + 28, MXCSR_VALID);
	}
	if (write & SSE)
		st_bytes(c, linear + 160, f->xmm, 16 * vector_count(c));
	if (write & AVX)
		st_bytes(c, linear + AVX_AT, f->ymm_hi, 16 * vector_count(c));
	st64(c, linear + LEGACY, bv);
	if (compact)
		st64(c, linear + LEGACY + 8, asked | COMPACTED);
}

static void op_xrstor(struct cpu *c, const struct insn *i)
{
	uint64_t asked = xsave_begin(c), linear, bv, comp, load;
	struct fpu_area image, *f = &c->s.fpu;
	bool compact, mxcsr;

	if (i->op == OP_XRSTORS)
		need_cpl0(c);
	linear = mem_address(c, i, LEGACY + HEADER, false);
	need_alignment(c, linear, 64);
	ld_bytes(c, linear, &image, LEGACY + HEADER);
	bv = image.xstate_bv;
	comp = image.xcomp_bv;
	compact = comp & COMPACTED;
	/* SDM volume 1, 13.8: what the header may say. */
	if (compact ? !c->model->has[CPU_XSAVEC] || comp & ~COMPACTED & ~c->s.xcr0 || bv & ~comp ||
		      !all_zero(image.reserved2, sizeof(image.reserved2)) :
		      i->op == OP_XRSTORS || comp || image.reserved2[0] || bv & ~c->s.xcr0)
		fault_gp(c, 0);
	load = asked & bv;
	mxcsr = compact ? load & SSE : asked & (SSE | AVX);
	if (mxcsr && image.mxcsr & ~(uint32_t)MXCSR_VALID)
		fault_gp(c, 0);
	if (load & AVX)
		ld_bytes(c, mem_address(c, i, AVX_AT + 256, false) + AVX_AT, image.ymm_hi, 16 * vector_count(c));
	if (load & X87) {
		x87_from_image(c, i, &image);
	} else if (asked & X87) {
		x87_init(f);
		memset(f->st, 0, sizeof(f->st));
	}
	if (mxcsr)
		f->mxcsr = image.mxcsr;
	else if (asked & SSE)
		f->mxcsr = MXCSR_DEFAULT;
	if (load & SSE)
		memcpy(f->xmm, image.xmm, 16 * vector_count(c));
	else if (asked & SSE)
		memset(f->xmm, 0, 16 * vector_count(c));
	if (load & AVX)
		memcpy(f->ymm_hi, image.ymm_hi, 16 * vector_count(c));
	else if (asked & AVX)
		memset(f->ymm_hi, 0, 16 * vector_count(c));
}

const op_handler fpu_state_ops[OP_COUNT] = {
	[OP_FXSAVE] = op_fxsave, [OP_FXRSTOR] = op_fxrstor, [OP_LDMXCSR] = op_ldmxcsr, [OP_STMXCSR] = op_stmxcsr,
	[OP_XSAVE] = op_xsave, [OP_XSAVEOPT] = op_xsave, [OP_XSAVEC] = op_xsave, [OP_XSAVES] = op_xsave,
	[OP_XRSTOR] = op_xrstor, [OP_XRSTORS] = op_xrstor,
};
