/* SPDX-License-Identifier: MIT */
/*
 * Moves, shuffles, inserts, extracts and blends of vectors: what moves bits around without computing.  MMX to AVX
 * twins; AVX instructions without a legacy twin are in avx.c.
 */
#include "cpu/interp/simd.h"

/* --- whole registers ----------------------------------------------------------------------------------------- */

static void op_move(struct cpu *c, const struct insn *i)
{
	const struct operand *to = &i->o[0];

	simd_begin(c, i);
	if (to->kind == OPD_XMM) {
		if (to->size == 32)
			put_ymm(c, to->reg, get_src256(c, i, 1));
		else
			put_xmm(c, i, to->reg, get_src(c, i, 1));
	} else if (to->size == 32) {
		simd_store256(c, i, get_ymm(c, i->o[1].reg));
	} else {
		simd_store(c, i, get_xmm(c, i->o[1].reg), 16);
	}
}

/* MOVD and MOVQ: the low 4 or 8 bytes between vector, MMX and general registers and memory. */
static void op_movd(struct cpu *c, const struct insn *i)
{
	const struct operand *to = &i->o[0], *from = &i->o[1];
	bool mmx = to->kind == OPD_MMX || from->kind == OPD_MMX;
	unsigned size = MIN(to->size, from->size);
	uint64_t v;

	if (mmx)
		mmx_begin(c);
	else
		simd_begin(c, i);
	switch (from->kind) {
	case OPD_MMX:
		v = get_mm(c, from->reg);
		break;
	case OPD_XMM:
		v = (uint64_t)get_xmm(c, from->reg)[0];
		break;
	case OPD_GPR:
		v = c->s.gpr[from->reg];
		break;
	default:
		v = (uint64_t)simd_load(c, i, from->size)[0];
		break;
	}
	if (size == 4)
		v = (uint32_t)v;
	if (to->kind == OPD_MEM)
		simd_store(c, i, low64(v), to->size);
	if (mmx)
		mmx_enter(c);
	if (to->kind == OPD_MMX)
		put_mm(c, to->reg, v);
	else if (to->kind == OPD_XMM)
		put_xmm(c, i, to->reg, low64(v));
	else if (to->kind == OPD_GPR)
		c->s.gpr[to->reg] = v;
}

/* --- scalars and halves -------------------------------------------------------------------------------------- */

/* MOVSS and MOVSD: loads clear the rest of the register, moves between registers keep that of o[1]. */
static void op_move_scalar(struct cpu *c, const struct insn *i)
{
	unsigned size = i->op == OP_MOVSS ? 4 : 8;
	union vec r, b;

	simd_begin(c, i);
	if (size == 8 && i->operands == 2) {    /* the most frequent, with a constant size */
		if (i->o[0].kind == OPD_MEM)
			simd_store(c, i, get_xmm(c, i->o[1].reg), 8);
		else
			put_xmm(c, i, i->o[0].reg, simd_load(c, i, 8));
		return;
	}
	if (i->o[0].kind == OPD_MEM) {
		simd_store(c, i, get_xmm(c, i->o[1].reg), size);
		return;
	}
	if (i->o[1].kind == OPD_MEM) {
		put_xmm(c, i, i->o[0].reg, simd_load(c, i, size));
		return;
	}
	r.v = get_xmm(c, i->o[1].reg);
	b.v = get_xmm(c, i->o[2].reg);
	memcpy(&r, &b, size);
	put_xmm(c, i, i->o[0].reg, r.v);
}

/* MOVLPS, MOVHPS and the PD forms; MOVHLPS and MOVLHPS between registers. */
static void op_move_half(struct cpu *c, const struct insn *i)
{
	bool high = i->op == OP_MOVHPS || i->op == OP_MOVHPD || i->op == OP_MOVLHPS;
	v128 a, b;

	simd_begin(c, i);
	if (i->o[0].kind == OPD_MEM) {
		a = get_xmm(c, i->o[1].reg);
		simd_store(c, i, low64((uint64_t)a[high]), 8);
		return;
	}
	if (i->o[2].kind == OPD_MEM)
		b = simd_load(c, i, 8);
	else
		b = get_xmm(c, i->o[2].reg);
	a = get_xmm(c, i->o[1].reg);
	a[high] = i->op == OP_MOVHLPS ? b[1] : b[0];
	put_xmm(c, i, i->o[0].reg, a);
}

/* --- shuffles, by a table of lane functions ------------------------------------------------------------------ */

typedef v128 imm_lane(v128 a, v128 b, unsigned imm);

static inline v128 make(uint32_t d0, uint32_t d1, uint32_t d2, uint32_t d3)
{
	return (v128){ (long long)(d0 | (uint64_t)d1 << 32), (long long)(d2 | (uint64_t)d3 << 32) };
}

static v128 lane_pshufd(v128 a, v128 b, unsigned imm)
{
	union vec s = { b };

	(void)a;
	return make(s.d[imm & 3], s.d[imm >> 2 & 3], s.d[imm >> 4 & 3], s.d[imm >> 6 & 3]);
}

static v128 lane_pshuflw(v128 a, v128 b, unsigned imm)
{
	union vec s = { b }, r = s;

	(void)a;
	for (unsigned n = 0; n < 4; n++)
		r.w[n] = s.w[imm >> 2 * n & 3];
	return r.v;
}

static v128 lane_pshufhw(v128 a, v128 b, unsigned imm)
{
	union vec s = { b }, r = s;

	(void)a;
	for (unsigned n = 0; n < 4; n++)
		r.w[4 + n] = s.w[4 + (imm >> 2 * n & 3)];
	return r.v;
}

static v128 lane_shufps(v128 a, v128 b, unsigned imm)
{
	union vec s = { a }, t = { b };

	return make(s.d[imm & 3], s.d[imm >> 2 & 3], t.d[imm >> 4 & 3], t.d[imm >> 6 & 3]);
}

static v128 lane_shufpd(v128 a, v128 b, unsigned imm)
{
	return (v128){ a[imm & 1], b[imm >> 1 & 1] };
}

static v128 lane_palignr(v128 a, v128 b, unsigned imm)
{
	uint8_t pair[64] = { 0 };
	v128 r;

	memcpy(pair, &b, 16);
	memcpy(pair + 16, &a, 16);
	memcpy(&r, pair + MIN(imm & 0xff, 32), 16);
	return r;
}

static v128 lane_blendps(v128 a, v128 b, unsigned imm)
{
	union vec s = { a }, t = { b };

	for (unsigned n = 0; n < 4; n++)
		if (imm >> n & 1)
			s.d[n] = t.d[n];
	return s.v;
}

static v128 lane_blendpd(v128 a, v128 b, unsigned imm)
{
	return (v128){ imm & 1 ? b[0] : a[0], imm & 2 ? b[1] : a[1] };
}

static v128 lane_pblendw(v128 a, v128 b, unsigned imm)
{
	union vec s = { a }, t = { b };

	for (unsigned n = 0; n < 8; n++)
		if (imm >> n & 1)
			s.w[n] = t.w[n];
	return s.v;
}

static v128 lane_mpsadbw(v128 a, v128 b, unsigned imm)
{
	return host_imm_op(HOST_MPSADBW, (uint8_t)imm)(a, b, V0);
}

static v128 lane_vpermilps(v128 a, v128 b, unsigned imm) { return lane_pshufd(a, b, imm); }
static v128 lane_vpermilpd(v128 a, v128 b, unsigned imm) { (void)a; return lane_shufpd(b, b, imm); }

/* `next`: how far the immediate is shifted for the upper half of a YMM register. */
static const struct { imm_lane *f; uint8_t next; } imm_lanes[OP_COUNT] = {
	[OP_PSHUFD] = { lane_pshufd, 0 }, [OP_PSHUFLW] = { lane_pshuflw, 0 }, [OP_PSHUFHW] = { lane_pshufhw, 0 },
	[OP_SHUFPS] = { lane_shufps, 0 }, [OP_SHUFPD] = { lane_shufpd, 2 }, [OP_PALIGNR] = { lane_palignr, 0 },
	[OP_BLENDPS] = { lane_blendps, 4 }, [OP_BLENDPD] = { lane_blendpd, 2 }, [OP_PBLENDW] = { lane_pblendw, 0 },
	[OP_VPBLENDD] = { lane_blendps, 4 }, [OP_MPSADBW] = { lane_mpsadbw, 3 },
	[OP_VPERMILPS] = { lane_vpermilps, 0 }, [OP_VPERMILPD] = { lane_vpermilpd, 2 },
};

static void op_imm_lanes(struct cpu *c, const struct insn *i)
{
	imm_lane *f = imm_lanes[i->op].f;
	unsigned src = i->operands - 2u, imm = (uint8_t)i->imm;    /* the last before the immediate */
	struct v256 a, b;

	if (i->o[0].kind == OPD_MMX) {          /* PALIGNR */
		mmx_begin(c);
		b.lo = get_mm_src(c, i, src);
		mmx_enter(c);
		a.lo = (v128){ b.lo[0], (long long)get_mm(c, i->o[1].reg) };
		put_mm(c, i->o[0].reg, (uint64_t)lane_palignr(V0, a.lo, imm)[0]);
		return;
	}
	simd_begin(c, i);
	if (i->o[0].size == 32) {
		b = get_src256(c, i, src);
		a = get_ymm(c, i->o[1].reg);
		a.lo = f(a.lo, b.lo, imm);
		a.hi = f(a.hi, b.hi, imm >> imm_lanes[i->op].next);
		put_ymm(c, i->o[0].reg, a);
		return;
	}
	b.lo = get_src(c, i, src);
	put_xmm(c, i, i->o[0].reg, f(get_xmm(c, i->o[1].reg), b.lo, imm));
}

/* VPERMILPx with a vector of selectors. */
static v128 permute_lane(v128 a, v128 select, bool pd)
{
	union vec s = { a }, t = { select }, r;

	if (pd)
		return (v128){ a[select[0] >> 1 & 1], a[select[1] >> 1 & 1] };
	for (unsigned n = 0; n < 4; n++)
		r.d[n] = s.d[t.d[n] & 3];
	return r.v;
}

static void op_vpermil(struct cpu *c, const struct insn *i)
{
	bool pd = i->op == OP_VPERMILPD;
	struct v256 a, b;

	if (i->o[2].kind == OPD_IMM) {
		op_imm_lanes(c, i);
		return;
	}
	avx_begin(c);
	if (i->o[0].size == 32) {
		b = get_src256(c, i, 2);
		a = get_ymm(c, i->o[1].reg);
		put_ymm(c, i->o[0].reg, (struct v256){ permute_lane(a.lo, b.lo, pd), permute_lane(a.hi, b.hi, pd) });
		return;
	}
	b.lo = get_src(c, i, 2);
	put_xmm(c, i, i->o[0].reg, permute_lane(get_xmm(c, i->o[1].reg), b.lo, pd));
}

/* --- one element --------------------------------------------------------------------------------------------- */

static unsigned element_size(enum op op)
{
	switch ((int)op) {
	case OP_PINSRB: case OP_PEXTRB:
		return 1;
	case OP_PINSRW: case OP_PEXTRW:
		return 2;
	case OP_PINSRQ: case OP_PEXTRQ:
		return 8;
	default:
		return 4;
	}
}

static uint64_t from_gpr_or_memory(struct cpu *c, const struct insn *i, unsigned n, unsigned size)
{
	return i->o[n].kind == OPD_MEM ? (uint64_t)simd_load(c, i, size)[0] : c->s.gpr[i->o[n].reg];
}

static void op_pinsr(struct cpu *c, const struct insn *i)
{
	unsigned size = element_size(i->op);
	bool mmx = i->o[0].kind == OPD_MMX;
	uint64_t v;
	union vec r;

	if (mmx) {
		mmx_begin(c);
		v = from_gpr_or_memory(c, i, 2, size);
		mmx_enter(c);
		r.v = low64(get_mm(c, i->o[1].reg));
		r.w[i->imm & 3] = (uint16_t)v;
		put_mm(c, i->o[0].reg, r.q[0]);
		return;
	}
	simd_begin(c, i);
	v = from_gpr_or_memory(c, i, 2, size);
	r.v = get_xmm(c, i->o[1].reg);
	memcpy(&r.b[size * (i->imm & (16 / size - 1))], &v, size);
	put_xmm(c, i, i->o[0].reg, r.v);
}

static void op_pextr(struct cpu *c, const struct insn *i)
{
	unsigned size = element_size(i->op);
	uint64_t v = 0;
	union vec s;

	if (i->o[1].kind == OPD_MMX) {
		mmx_begin(c);
		s.v = low64(get_mm(c, i->o[1].reg));
		v = s.w[i->imm & 3];
		mmx_enter(c);
	} else {
		simd_begin(c, i);
		s.v = get_xmm(c, i->o[1].reg);
		memcpy(&v, &s.b[size * (i->imm & (16 / size - 1))], size);
	}
	if (i->o[0].kind == OPD_MEM)
		simd_store(c, i, low64(v), size);
	else
		c->s.gpr[i->o[0].reg] = v;
}

static void op_insertps(struct cpu *c, const struct insn *i)
{
	union vec r, b;

	simd_begin(c, i);
	b.v = get_src(c, i, 2);
	r.v = get_xmm(c, i->o[1].reg);
	r.d[i->imm >> 4 & 3] = b.d[i->o[2].kind == OPD_MEM ? 0 : i->imm >> 6 & 3];
	for (unsigned n = 0; n < 4; n++)
		if (i->imm >> n & 1)
			r.d[n] = 0;
	put_xmm(c, i, i->o[0].reg, r.v);
}

/* --- blends by a register's sign bits: XMM0, or the fourth operand of the VEX forms -------------------------- */

static v128 blendv(v128 a, v128 b, v128 mask, unsigned size)
{
	union vec r = { a }, t = { b }, m = { mask };

	for (unsigned n = 0; n < 16; n++)
		if (m.sb[n | (size - 1)] < 0)
			r.b[n] = t.b[n];
	return r.v;
}

static void op_blendv(struct cpu *c, const struct insn *i)
{
	unsigned size = i->op == OP_PBLENDVB ? 1 : i->op == OP_BLENDVPS ? 4 : 8;
	struct v256 a, b, m;

	simd_begin(c, i);
	if (i->o[0].size == 32) {
		b = get_src256(c, i, 2);
		a = get_ymm(c, i->o[1].reg);
		m = get_ymm(c, i->o[3].reg);
		a.lo = blendv(a.lo, b.lo, m.lo, size);
		a.hi = blendv(a.hi, b.hi, m.hi, size);
		put_ymm(c, i->o[0].reg, a);
		return;
	}
	b.lo = get_src(c, i, 2);
	put_xmm(c, i, i->o[0].reg, blendv(get_xmm(c, i->o[1].reg), b.lo, get_xmm(c, i->o[3].reg), size));
}

const op_handler sse_move_ops[OP_COUNT] = {
	[OP_MOVAPS] = op_move, [OP_MOVUPS] = op_move, [OP_MOVAPD] = op_move, [OP_MOVUPD] = op_move,
	[OP_MOVDQA] = op_move, [OP_MOVDQU] = op_move, [OP_LDDQU] = op_move, [OP_MOVNTDQA] = op_move,
	[OP_MOVNTPS] = op_move, [OP_MOVNTPD] = op_move, [OP_MOVNTDQ] = op_move,
	[OP_MOVD] = op_movd, [OP_MOVQ] = op_movd,
	[OP_MOVSS] = op_move_scalar, [OP_MOVSD] = op_move_scalar,
	[OP_MOVLPS] = op_move_half, [OP_MOVHPS] = op_move_half, [OP_MOVLPD] = op_move_half, [OP_MOVHPD] = op_move_half,
	[OP_MOVHLPS] = op_move_half, [OP_MOVLHPS] = op_move_half,
	[OP_PSHUFD] = op_imm_lanes, [OP_PSHUFLW] = op_imm_lanes, [OP_PSHUFHW] = op_imm_lanes,
	[OP_SHUFPS] = op_imm_lanes, [OP_SHUFPD] = op_imm_lanes, [OP_PALIGNR] = op_imm_lanes,
	[OP_BLENDPS] = op_imm_lanes, [OP_BLENDPD] = op_imm_lanes, [OP_PBLENDW] = op_imm_lanes,
	[OP_VPBLENDD] = op_imm_lanes, [OP_MPSADBW] = op_imm_lanes,
	[OP_VPERMILPS] = op_vpermil, [OP_VPERMILPD] = op_vpermil,
	[OP_PINSRB] = op_pinsr, [OP_PINSRW] = op_pinsr, [OP_PINSRD] = op_pinsr, [OP_PINSRQ] = op_pinsr,
	[OP_PEXTRB] = op_pextr, [OP_PEXTRW] = op_pextr, [OP_PEXTRD] = op_pextr, [OP_PEXTRQ] = op_pextr,
	[OP_EXTRACTPS] = op_pextr, [OP_INSERTPS] = op_insertps,
	[OP_PBLENDVB] = op_blendv, [OP_BLENDVPS] = op_blendv, [OP_BLENDVPD] = op_blendv,
};
