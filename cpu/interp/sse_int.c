/* SPDX-License-Identifier: MIT */
/*
 * Packed integers of MMX, SSE2 to SSE4.2 and AVX2, and the bitwise operations: instructions that work on lanes and
 * touch neither MXCSR nor flags.  What a lane does, the host's instruction of the same name says (hostop.h); this is
 * the forms.
 */
#include "cpu/interp/simd.h"

#include <emmintrin.h>

/* --- o[0] = op(o[1], o[2]) ----------------------------------------------------------------------------------- */

static v128 low_quads(v128 a, v128 b) { return (v128){ a[0], b[0] }; }

/* Eight bytes: what mixes lanes must not see the upper half of the host's register. */
static v128 mmx_lane(enum op op, v128 a, v128 b)
{
	v128 x;

	switch ((int)op) {
	case OP_PACKSSWB: case OP_PACKSSDW: case OP_PACKUSWB:
	case OP_PHADDW: case OP_PHADDD: case OP_PHADDSW: case OP_PHSUBW: case OP_PHSUBD: case OP_PHSUBSW:
		x = low_quads(a, b);
		return host_ops[op](x, x, V0);
	case OP_PUNPCKHBW:
		x = host_PUNPCKLBW(a, b, V0);
		return low64((uint64_t)x[1]);
	case OP_PUNPCKHWD:
		x = host_PUNPCKLWD(a, b, V0);
		return low64((uint64_t)x[1]);
	case OP_PUNPCKHDQ:
		x = host_PUNPCKLDQ(a, b, V0);
		return low64((uint64_t)x[1]);
	case OP_PSHUFB:
		return host_PSHUFB(a, low64((uint64_t)b[0] & 0x8787878787878787), V0);
	default:
		return host_ops[op](a, b, V0);
	}
}

static void mmx_lanes(struct cpu *c, const struct insn *i)
{
	v128 b;

	mmx_begin(c);
	b = get_mm_src(c, i, 2);
	mmx_enter(c);
	put_mm(c, i->o[0].reg, (uint64_t)mmx_lane(i->op, low64(get_mm(c, i->o[1].reg)), b)[0]);
}

static void op_lanes(struct cpu *c, const struct insn *i)
{
	host_op *f = host_ops[i->op];
	struct v256 a, b;

	if (i->o[0].kind == OPD_MMX) {
		mmx_lanes(c, i);
		return;
	}
	simd_begin(c, i);
	if (i->o[0].size == 32) {
		b = get_src256(c, i, 2);
		a = get_ymm(c, i->o[1].reg);
		put_ymm(c, i->o[0].reg, (struct v256){ f(a.lo, b.lo, V0), f(a.hi, b.hi, V0) });
		return;
	}
	b.lo = get_src(c, i, 2);
	put_xmm(c, i, i->o[0].reg, f(get_xmm(c, i->o[1].reg), b.lo, V0));
}

/* The most frequent of them without a call. */
#define DIRECT(name, type, expression)                                                          \
	static void op_##name(struct cpu *c, const struct insn *i)                              \
	{                                                                                       \
		typedef type lanes __attribute__((vector_size(16)));                            \
		lanes a, b;                                                                     \
												\
		if (i->o[0].kind == OPD_MMX || i->vex) {                                        \
			op_lanes(c, i);                                                         \
			return;                                                                 \
		}                                                                               \
		sse_begin(c);                                                                   \
		b = (lanes)get_src(c, i, 2);                                                    \
		a = (lanes)get_xmm(c, i->o[1].reg);                                             \
		*(v128 *)c->s.fpu.xmm[i->o[0].reg] = (v128)(expression);                        \
	}
DIRECT(pxor, long long, a ^ b)
DIRECT(por, long long, a | b)
DIRECT(pand, long long, a & b)
DIRECT(pandn, long long, ~a & b)
DIRECT(paddb, uint8_t, a + b)
DIRECT(paddw, uint16_t, a + b)
DIRECT(paddd, uint32_t, a + b)
DIRECT(paddq, uint64_t, a + b)
DIRECT(psubb, uint8_t, a - b)
DIRECT(psubd, uint32_t, a - b)
DIRECT(pcmpeqb, uint8_t, a == b)
DIRECT(pcmpeqd, uint32_t, a == b)

/* --- o[0] = op(o[1]) ----------------------------------------------------------------------------------------- */

static void op_unary(struct cpu *c, const struct insn *i)
{
	host_op *f = host_ops[i->op];
	struct v256 b;

	if (i->o[0].kind == OPD_MMX) {
		mmx_begin(c);
		b.lo = get_mm_src(c, i, 1);
		mmx_enter(c);
		put_mm(c, i->o[0].reg, (uint64_t)f(V0, b.lo, V0)[0]);
		return;
	}
	simd_begin(c, i);
	if (i->o[0].size == 32) {
		b = get_src256(c, i, 1);
		put_ymm(c, i->o[0].reg, (struct v256){ f(V0, b.lo, V0), f(V0, b.hi, V0) });
		return;
	}
	put_xmm(c, i, i->o[0].reg, f(V0, get_src(c, i, 1), V0));
}

/* Widening moves: the upper half of a YMM result comes from what follows in the source. */
static void op_widen(struct cpu *c, const struct insn *i)
{
	host_op *f = host_ops[i->op];
	unsigned used = i->o[1].size;   /* bytes of the source */
	union vec b, upper = { V0 };

	simd_begin(c, i);
	b.v = get_src(c, i, 1);
	if (i->o[0].size != 32) {
		put_xmm(c, i, i->o[0].reg, f(V0, b.v, V0));
		return;
	}
	for (unsigned n = 0; n < used / 2; n++)
		upper.b[n] = b.b[used / 2 + n];
	put_ymm(c, i->o[0].reg, (struct v256){ f(V0, b.v, V0), f(V0, upper.v, V0) });
}

/* --- shifts: one count for all lanes ------------------------------------------------------------------------- */

static void op_shift(struct cpu *c, const struct insn *i)
{
	host_op *f = host_ops[i->op];
	v128 count = low64(i->imm & 0xff);
	struct v256 a;

	if (i->o[0].kind == OPD_MMX) {
		mmx_begin(c);
		if (i->o[2].kind != OPD_IMM)
			count = get_mm_src(c, i, 2);
		mmx_enter(c);
		put_mm(c, i->o[0].reg, (uint64_t)f(low64(get_mm(c, i->o[1].reg)), count, V0)[0]);
		return;
	}
	simd_begin(c, i);
	if (i->o[2].kind != OPD_IMM)
		count = get_src(c, i, 2);       /* 16 bytes of which 8 count, for YMM too */
	a = get_ymm(c, i->o[1].reg);
	if (i->o[0].size == 32)
		put_ymm(c, i->o[0].reg, (struct v256){ f(a.lo, count, V0), f(a.hi, count, V0) });
	else
		put_xmm(c, i, i->o[0].reg, f(a.lo, count, V0));
}

static v128 shift_bytes(v128 v, int by)         /* towards higher bytes if positive */
{
	union vec a = { v }, r = { V0 };

	for (int n = 0; n < 16; n++)
		if (n - by >= 0 && n - by < 16)
			r.b[n] = a.b[n - by];
	return r.v;
}

static void op_shift_bytes(struct cpu *c, const struct insn *i)
{
	int by = (int)MIN(i->imm & 0xff, 16);
	struct v256 a;

	if (i->op == OP_PSRLDQ)
		by = -by;
	simd_begin(c, i);
	a = get_ymm(c, i->o[1].reg);
	if (i->o[0].size == 32)
		put_ymm(c, i->o[0].reg, (struct v256){ shift_bytes(a.lo, by), shift_bytes(a.hi, by) });
	else
		put_xmm(c, i, i->o[0].reg, shift_bytes(a.lo, by));
}

/* --- masks --------------------------------------------------------------------------------------------------- */

static unsigned sign_bits(v128 v, unsigned size)
{
	if (size == 1)
		return (unsigned)_mm_movemask_epi8((__m128i)v);
	return (unsigned)(size == 4 ? _mm_movemask_ps((__m128)v) : _mm_movemask_pd((__m128d)v));
}

static void op_movmsk(struct cpu *c, const struct insn *i)
{
	unsigned size = i->op == OP_PMOVMSKB ? 1 : i->op == OP_MOVMSKPS ? 4 : 8;
	unsigned mask;

	if (i->o[1].kind == OPD_MMX) {
		mmx_begin(c);
		mask = sign_bits(low64(get_mm(c, i->o[1].reg)), size);
		mmx_enter(c);
	} else {
		simd_begin(c, i);
		mask = sign_bits(get_xmm(c, i->o[1].reg), size);
		if (i->o[1].size == 32)
			mask |= sign_bits(get_ymm_hi(c, i->o[1].reg), size) << 16 / size;
	}
	c->s.gpr[i->o[0].reg] = mask;
}

const op_handler sse_int_ops[OP_COUNT] = {
	[OP_PUNPCKLBW] = op_lanes, [OP_PUNPCKLWD] = op_lanes, [OP_PUNPCKLDQ] = op_lanes, [OP_PUNPCKLQDQ] = op_lanes,
	[OP_PUNPCKHBW] = op_lanes, [OP_PUNPCKHWD] = op_lanes, [OP_PUNPCKHDQ] = op_lanes, [OP_PUNPCKHQDQ] = op_lanes,
	[OP_PACKSSWB] = op_lanes, [OP_PACKSSDW] = op_lanes, [OP_PACKUSWB] = op_lanes, [OP_PACKUSDW] = op_lanes,
	[OP_PADDB] = op_paddb, [OP_PADDW] = op_paddw, [OP_PADDD] = op_paddd, [OP_PADDQ] = op_paddq,
	[OP_PADDSB] = op_lanes, [OP_PADDSW] = op_lanes, [OP_PADDUSB] = op_lanes, [OP_PADDUSW] = op_lanes,
	[OP_PSUBB] = op_psubb, [OP_PSUBW] = op_lanes, [OP_PSUBD] = op_psubd, [OP_PSUBQ] = op_lanes,
	[OP_PSUBSB] = op_lanes, [OP_PSUBSW] = op_lanes, [OP_PSUBUSB] = op_lanes, [OP_PSUBUSW] = op_lanes,
	[OP_PMULHW] = op_lanes, [OP_PMULLW] = op_lanes, [OP_PMULHUW] = op_lanes, [OP_PMULUDQ] = op_lanes,
	[OP_PMULDQ] = op_lanes, [OP_PMULLD] = op_lanes, [OP_PMULHRSW] = op_lanes,
	[OP_PMADDWD] = op_lanes, [OP_PMADDUBSW] = op_lanes,
	[OP_PCMPEQB] = op_pcmpeqb, [OP_PCMPEQW] = op_lanes, [OP_PCMPEQD] = op_pcmpeqd, [OP_PCMPEQQ] = op_lanes,
	[OP_PCMPGTB] = op_lanes, [OP_PCMPGTW] = op_lanes, [OP_PCMPGTD] = op_lanes, [OP_PCMPGTQ] = op_lanes,
	[OP_PAND] = op_pand, [OP_PANDN] = op_pandn, [OP_POR] = op_por, [OP_PXOR] = op_pxor,
	[OP_ANDPS] = op_pand, [OP_ANDPD] = op_pand, [OP_ANDNPS] = op_pandn, [OP_ANDNPD] = op_pandn,
	[OP_ORPS] = op_por, [OP_ORPD] = op_por, [OP_XORPS] = op_pxor, [OP_XORPD] = op_pxor,
	[OP_PSLLW] = op_shift, [OP_PSLLD] = op_shift, [OP_PSLLQ] = op_shift, [OP_PSRLW] = op_shift,
	[OP_PSRLD] = op_shift,
	[OP_PSRLQ] = op_shift, [OP_PSRAW] = op_shift, [OP_PSRAD] = op_shift,
	[OP_PSLLDQ] = op_shift_bytes, [OP_PSRLDQ] = op_shift_bytes,
	[OP_PAVGB] = op_lanes, [OP_PAVGW] = op_lanes, [OP_PSADBW] = op_lanes,
	[OP_PMAXSW] = op_lanes, [OP_PMAXUB] = op_lanes, [OP_PMINSW] = op_lanes, [OP_PMINUB] = op_lanes,
	[OP_PMAXSB] = op_lanes, [OP_PMAXSD] = op_lanes, [OP_PMAXUD] = op_lanes, [OP_PMAXUW] = op_lanes,
	[OP_PMINSB] = op_lanes, [OP_PMINSD] = op_lanes, [OP_PMINUD] = op_lanes, [OP_PMINUW] = op_lanes,
	[OP_PHADDW] = op_lanes, [OP_PHADDD] = op_lanes, [OP_PHADDSW] = op_lanes,
	[OP_PHSUBW] = op_lanes, [OP_PHSUBD] = op_lanes, [OP_PHSUBSW] = op_lanes,
	[OP_PSHUFB] = op_lanes, [OP_PSIGNB] = op_lanes, [OP_PSIGNW] = op_lanes, [OP_PSIGND] = op_lanes,
	[OP_UNPCKLPS] = op_lanes, [OP_UNPCKLPD] = op_lanes, [OP_UNPCKHPS] = op_lanes, [OP_UNPCKHPD] = op_lanes,
	[OP_PABSB] = op_unary, [OP_PABSW] = op_unary, [OP_PABSD] = op_unary, [OP_PHMINPOSUW] = op_unary,
	[OP_MOVDDUP] = op_unary, [OP_MOVSHDUP] = op_unary, [OP_MOVSLDUP] = op_unary,
	[OP_PMOVSXBW] = op_widen, [OP_PMOVSXBD] = op_widen, [OP_PMOVSXBQ] = op_widen, [OP_PMOVSXWD] = op_widen,
	[OP_PMOVSXWQ] = op_widen, [OP_PMOVSXDQ] = op_widen,
	[OP_PMOVZXBW] = op_widen, [OP_PMOVZXBD] = op_widen, [OP_PMOVZXBQ] = op_widen, [OP_PMOVZXWD] = op_widen,
	[OP_PMOVZXWQ] = op_widen, [OP_PMOVZXDQ] = op_widen,
	[OP_PMOVMSKB] = op_movmsk, [OP_MOVMSKPS] = op_movmsk, [OP_MOVMSKPD] = op_movmsk,
};
