/* SPDX-License-Identifier: MIT */
/*
 * Floating point of SSE to SSE4.1 with the AVX twins, F16C and FMA: arithmetic, comparisons, conversions, under MXCSR
 * (SDM volume 1, 11.5).  The numbers are the host's own (hostop.h); this is the forms, and when results are stored.
 */
#include "cpu/interp/simd.h"

/* The register half that VEX.256 forms have; 1 for XMM. */
static unsigned halves(const struct insn *i, unsigned n) { return i->o[n].size == 32 ? 2 : 1; }

static void load_halves(struct cpu *c, const struct insn *i, unsigned n, v128 out[2])
{
	struct v256 v;

	if (halves(i, n) == 2) {
		v = get_src256(c, i, n);
		out[0] = v.lo;
		out[1] = v.hi;
	} else {
		out[0] = get_src(c, i, n);
	}
}

static void store_halves(struct cpu *c, const struct insn *i, const struct fp_call *call)
{
	if (halves(i, 0) == 2)
		put_ymm(c, i->o[0].reg, (struct v256){ call[0].r, call[1].r });
	else
		put_xmm(c, i, i->o[0].reg, call[0].r);
}

/* o[0] = f(o[1], o[2]) by halves. */
static void binary(struct cpu *c, const struct insn *i, host_op *f)
{
	struct fp_call call[2];
	v128 b[2];

	simd_begin(c, i);
	load_halves(c, i, 2, b);
	call[0] = (struct fp_call){ .a = get_xmm(c, i->o[1].reg), .b = b[0] };
	if (halves(i, 0) == 2)
		call[1] = (struct fp_call){ .a = get_ymm_hi(c, i->o[1].reg), .b = b[1] };
	simd_fp(c, f, call, halves(i, 0));
	store_halves(c, i, call);
}

static void unary(struct cpu *c, const struct insn *i, host_op *f)
{
	struct fp_call call[2];
	v128 b[2];

	simd_begin(c, i);
	load_halves(c, i, 1, b);
	call[0] = (struct fp_call){ .b = b[0] };
	if (halves(i, 0) == 2)
		call[1] = (struct fp_call){ .b = b[1] };
	simd_fp(c, f, call, halves(i, 0));
	store_halves(c, i, call);
}

/* Scalars: o[2] is 4 or 8 bytes, the rest of the result is o[1]'s; always one half. */
static void scalar(struct cpu *c, const struct insn *i, host_op *f)
{
	v128 b;

	simd_begin(c, i);
	b = get_src(c, i, 2);
	put_xmm(c, i, i->o[0].reg, simd_fp1(c, f, get_xmm(c, i->o[1].reg), b, V0));
}

static void op_binary(struct cpu *c, const struct insn *i) { binary(c, i, host_ops[i->op]); }
static void op_unary(struct cpu *c, const struct insn *i) { unary(c, i, host_ops[i->op]); }
static void op_scalar(struct cpu *c, const struct insn *i) { scalar(c, i, host_ops[i->op]); }

/* --- with an immediate --------------------------------------------------------------------------------------- */

static void op_cmp(struct cpu *c, const struct insn *i)
{
	enum host_imm table;

	switch ((int)i->op) {
	case OP_CMPPS:
		table = i->vex ? HOST_VCMPPS : HOST_CMPPS;
		break;
	case OP_CMPPD:
		table = i->vex ? HOST_VCMPPD : HOST_CMPPD;
		break;
	case OP_CMPSS:
		table = i->vex ? HOST_VCMPSS : HOST_CMPSS;
		break;
	default:
		table = i->vex ? HOST_VCMPSD : HOST_CMPSD;
		break;
	}
	if (i->op == OP_CMPPS || i->op == OP_CMPPD)
		binary(c, i, host_imm_op(table, (uint8_t)i->imm));
	else
		scalar(c, i, host_imm_op(table, (uint8_t)i->imm));
}

static void op_round(struct cpu *c, const struct insn *i)
{
	switch ((int)i->op) {
	case OP_ROUNDPS:
		unary(c, i, host_imm_op(HOST_ROUNDPS, (uint8_t)i->imm));
		break;
	case OP_ROUNDPD:
		unary(c, i, host_imm_op(HOST_ROUNDPD, (uint8_t)i->imm));
		break;
	case OP_ROUNDSS:
		scalar(c, i, host_imm_op(HOST_ROUNDSS, (uint8_t)i->imm));
		break;
	default:
		scalar(c, i, host_imm_op(HOST_ROUNDSD, (uint8_t)i->imm));
		break;
	}
}

static void op_dp(struct cpu *c, const struct insn *i)
{
	binary(c, i, host_imm_op(i->op == OP_DPPS ? HOST_DPPS : HOST_DPPD, (uint8_t)i->imm));
}

/* --- comparisons into EFLAGS --------------------------------------------------------------------------------- */

static void op_comi(struct cpu *c, const struct insn *i)
{
	host_op *f = i->op == OP_COMISS ? host_COMISS : i->op == OP_COMISD ? host_COMISD :
		     i->op == OP_UCOMISS ? host_UCOMISS : host_UCOMISD;
	v128 b;

	simd_begin(c, i);
	b = get_src(c, i, 1);
	set_arith_flags(c, (uint32_t)simd_fp1(c, f, get_xmm(c, i->o[0].reg), b, V0)[0] & FLAGS_ARITH);
}

/* --- conversions --------------------------------------------------------------------------------------------- */

static void op_cvt_from_int(struct cpu *c, const struct insn *i)
{
	bool q = i->o[2].size == 8, sd = i->op == OP_CVTSI2SD;
	host_op *f = sd ? q ? host_CVTSI2SDQ : host_CVTSI2SDL : q ? host_CVTSI2SSQ : host_CVTSI2SSL;
	v128 b;

	simd_begin(c, i);
	b = i->o[2].kind == OPD_MEM ? simd_load(c, i, i->o[2].size) : low64(c->s.gpr[i->o[2].reg]);
	put_xmm(c, i, i->o[0].reg, simd_fp1(c, f, get_xmm(c, i->o[1].reg), b, V0));
}

static void op_cvt_to_int(struct cpu *c, const struct insn *i)
{
	bool q = i->o[0].size == 8;
	host_op *f;
	v128 b;

	switch ((int)i->op) {
	case OP_CVTSS2SI:
		f = q ? host_CVTSS2SIQ : host_CVTSS2SIL;
		break;
	case OP_CVTSD2SI:
		f = q ? host_CVTSD2SIQ : host_CVTSD2SIL;
		break;
	case OP_CVTTSS2SI:
		f = q ? host_CVTTSS2SIQ : host_CVTTSS2SIL;
		break;
	default:
		f = q ? host_CVTTSD2SIQ : host_CVTTSD2SIL;
		break;
	}
	simd_begin(c, i);
	b = get_src(c, i, 1);
	c->s.gpr[i->o[0].reg] = (uint64_t)simd_fp1(c, f, V0, b, V0)[0];
}

/* The result has twice as many bytes as the source: CVTPS2PD, CVTDQ2PD, VCVTPH2PS. */
static void op_cvt_widen(struct cpu *c, const struct insn *i)
{
	host_op *f = host_ops[i->op];
	struct fp_call call[2];
	v128 b;

	simd_begin(c, i);
	b = get_src(c, i, 1);
	if (halves(i, 0) == 1)
		b[1] = 0;               /* a register's upper half is no source */
	call[0] = (struct fp_call){ .b = b };
	call[1] = (struct fp_call){ .b = low64((uint64_t)b[1]) };
	simd_fp(c, f, call, halves(i, 0));
	store_halves(c, i, call);
}

/* Half as many: CVTPD2PS, CVTPD2DQ, CVTTPD2DQ. */
static void op_cvt_narrow(struct cpu *c, const struct insn *i)
{
	host_op *f = host_ops[i->op];
	struct fp_call call[2] = { 0 };
	v128 b[2];

	simd_begin(c, i);
	load_halves(c, i, 1, b);
	call[0].b = b[0];
	if (halves(i, 1) == 2)
		call[1].b = b[1];
	simd_fp(c, f, call, halves(i, 1));
	put_xmm(c, i, i->o[0].reg, (v128){ call[0].r[0], call[1].r[0] });
}

/* To half precision, to a register or to memory. */
static void op_cvtps2ph(struct cpu *c, const struct insn *i)
{
	host_op *f = host_imm_op(HOST_VCVTPS2PH, (uint8_t)i->imm);
	struct fp_call call[2] = { 0 };
	v128 r;

	avx_begin(c);
	call[0].b = get_xmm(c, i->o[1].reg);
	call[1].b = get_ymm_hi(c, i->o[1].reg);
	if (i->o[0].kind == OPD_MEM)            /* its fault goes before the arithmetic's */
		probe_write(c, mem_address(c, i, i->o[0].size, true), i->o[0].size);
	simd_fp(c, f, call, halves(i, 1));
	r = (v128){ call[0].r[0], call[1].r[0] };
	if (i->o[0].kind == OPD_MEM)
		simd_store(c, i, r, i->o[0].size);
	else
		put_xmm(c, i, i->o[0].reg, r);
}

/* --- conversions with MMX registers -------------------------------------------------------------------------- */

/* Two integers to XMM.  With a memory operand the x87 is left alone (measured; SDM volume 2 says so of CVTPI2PD). */
static void op_cvt_from_mmx(struct cpu *c, const struct insn *i)
{
	unsigned n = i->operands - 1u;
	bool ps = i->op == OP_CVTPI2PS, mmx = i->o[n].kind == OPD_MMX;
	v128 b, r;

	sse_begin(c);
	if (mmx)
		mmx_begin(c);
	b = get_mm_src(c, i, n);
	if (mmx)
		mmx_enter(c);
	if (ps) {
		r = simd_fp1(c, host_CVTDQ2PS, V0, b, V0);
		r[1] = get_xmm(c, i->o[0].reg)[1];
	} else {
		r = simd_fp1(c, host_CVTDQ2PD, V0, b, V0);
	}
	put_xmm(c, i, i->o[0].reg, r);
}

static void op_cvt_to_mmx(struct cpu *c, const struct insn *i)
{
	bool pd = i->op == OP_CVTPD2PI || i->op == OP_CVTTPD2PI;
	host_op *f = i->op == OP_CVTPS2PI ? host_CVTPS2DQ : i->op == OP_CVTTPS2PI ? host_CVTTPS2DQ :
		     i->op == OP_CVTPD2PI ? host_CVTPD2DQ : host_CVTTPD2DQ;
	v128 b, r;

	sse_begin(c);
	mmx_begin(c);
	b = get_src(c, i, 1);
	if (!pd)
		b[1] = 0;
	mmx_enter(c);           /* even if the conversion raises #XM (measured) */
	r = simd_fp1(c, f, V0, b, V0);
	put_mm(c, i->o[0].reg, (uint64_t)r[0]);
}

/* --- fused multiply and add ---------------------------------------------------------------------------------- */

static void op_fma(struct cpu *c, const struct insn *i)
{
	struct fp_call call[2];
	v128 d[2];

	avx_begin(c);
	load_halves(c, i, 2, d);
	call[0] = (struct fp_call){ .a = get_xmm(c, i->o[0].reg), .b = get_xmm(c, i->o[1].reg), .c = d[0] };
	if (halves(i, 0) == 2)
		call[1] = (struct fp_call){
			.a = get_ymm_hi(c, i->o[0].reg), .b = get_ymm_hi(c, i->o[1].reg), .c = d[1]
		};
	simd_fp(c, host_ops[i->op], call, halves(i, 0));
	store_halves(c, i, call);
}

#define FMA(name) [OP_##name] = op_fma,
#define PACKED(name) [OP_##name##PS] = op_binary, [OP_##name##PD] = op_binary
#define SCALAR(name) [OP_##name##SS] = op_scalar, [OP_##name##SD] = op_scalar
const op_handler sse_fp_ops[OP_COUNT] = {
	PACKED(ADD), PACKED(SUB), PACKED(MUL), PACKED(DIV), PACKED(MIN), PACKED(MAX), PACKED(ADDSUB), PACKED(HADD),
	PACKED(HSUB),
	SCALAR(ADD), SCALAR(SUB), SCALAR(MUL), SCALAR(DIV), SCALAR(MIN), SCALAR(MAX), SCALAR(SQRT),
	[OP_RCPSS] = op_scalar, [OP_RSQRTSS] = op_scalar, [OP_CVTSS2SD] = op_scalar, [OP_CVTSD2SS] = op_scalar,
	[OP_SQRTPS] = op_unary, [OP_SQRTPD] = op_unary, [OP_RCPPS] = op_unary, [OP_RSQRTPS] = op_unary,
	[OP_CVTDQ2PS] = op_unary, [OP_CVTPS2DQ] = op_unary, [OP_CVTTPS2DQ] = op_unary,
	[OP_CMPPS] = op_cmp, [OP_CMPPD] = op_cmp, [OP_CMPSS] = op_cmp, [OP_CMPSD] = op_cmp,
	[OP_ROUNDPS] = op_round, [OP_ROUNDPD] = op_round, [OP_ROUNDSS] = op_round, [OP_ROUNDSD] = op_round,
	[OP_DPPS] = op_dp, [OP_DPPD] = op_dp,
	[OP_COMISS] = op_comi, [OP_COMISD] = op_comi, [OP_UCOMISS] = op_comi, [OP_UCOMISD] = op_comi,
	[OP_CVTSI2SS] = op_cvt_from_int, [OP_CVTSI2SD] = op_cvt_from_int,
	[OP_CVTSS2SI] = op_cvt_to_int, [OP_CVTSD2SI] = op_cvt_to_int,
	[OP_CVTTSS2SI] = op_cvt_to_int, [OP_CVTTSD2SI] = op_cvt_to_int,
	[OP_CVTPS2PD] = op_cvt_widen, [OP_CVTDQ2PD] = op_cvt_widen, [OP_VCVTPH2PS] = op_cvt_widen,
	[OP_CVTPD2PS] = op_cvt_narrow, [OP_CVTPD2DQ] = op_cvt_narrow, [OP_CVTTPD2DQ] = op_cvt_narrow,
	[OP_VCVTPS2PH] = op_cvtps2ph,
	[OP_CVTPI2PS] = op_cvt_from_mmx, [OP_CVTPI2PD] = op_cvt_from_mmx,
	[OP_CVTPS2PI] = op_cvt_to_mmx, [OP_CVTTPS2PI] = op_cvt_to_mmx,
	[OP_CVTPD2PI] = op_cvt_to_mmx, [OP_CVTTPD2PI] = op_cvt_to_mmx,
	HOST_OPS_FMA(FMA)
};
