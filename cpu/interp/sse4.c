/* SPDX-License-Identifier: MIT */
/* PTEST and VTESTPx, the string compares of SSE4.2, and CRC32. */
#include "cpu/interp/simd.h"

/* --- tests --------------------------------------------------------------------------------------------------- */

static void set_test_flags(struct cpu *c, bool zero, bool carry)
{
	set_arith_flags(c, (zero ? FLAG_ZF : 0) | (carry ? FLAG_CF : 0));
}

/* ZF: o[0] and o[1] have no bit in common; CF: o[1] has no bit that o[0] lacks.  VTESTPx look at sign bits only. */
static void op_test(struct cpu *c, const struct insn *i)
{
	long long mask = i->op == OP_VTESTPS ? (long long)0x8000000080000000 : i->op == OP_VTESTPD ? INT64_MIN : -1;
	v128 and, andn;
	struct v256 a, b;

	simd_begin(c, i);
	if (i->o[0].size == 32) {
		b = get_src256(c, i, 1);
		a = get_ymm(c, i->o[0].reg);
		and = (a.lo & b.lo) | (a.hi & b.hi);
		andn = (~a.lo & b.lo) | (~a.hi & b.hi);
	} else {
		b.lo = get_src(c, i, 1);
		a.lo = get_xmm(c, i->o[0].reg);
		and = a.lo & b.lo;
		andn = ~a.lo & b.lo;
	}
	set_test_flags(c, !((and[0] | and[1]) & mask), !((andn[0] | andn[1]) & mask));
}

/* --- strings ------------------------------------------------------------------------------------------------- */

static long long string_length(const struct cpu *c, const struct insn *i, unsigned reg)
{
	return i->rex & 8 || (i->vex && i->vex_w && i->mode == 64) ? (long long)c->s.gpr[reg] : (int32_t)c->s.gpr[reg];
}

static void op_string(struct cpu *c, const struct insn *i)
{
	enum host_string which = i->op == OP_PCMPESTRI ? HOST_PCMPESTRI : i->op == OP_PCMPESTRM ? HOST_PCMPESTRM :
				 i->op == OP_PCMPISTRI ? HOST_PCMPISTRI : HOST_PCMPISTRM;
	v128 b, r, lengths;
	uint64_t flags;

	simd_begin(c, i);
	b = get_src(c, i, 1);
	lengths = (v128){ string_length(c, i, RAX), string_length(c, i, RDX) };
	r = host_string_op_of(which, (uint8_t)i->imm)(get_xmm(c, i->o[0].reg), b, lengths, &flags);
	if (which == HOST_PCMPESTRI || which == HOST_PCMPISTRI)
		c->s.gpr[RCX] = (uint32_t)r[0];
	else
		put_xmm(c, i, 0, r);
	set_arith_flags(c, (uint32_t)flags & FLAGS_ARITH);
}

/* --- CRC32 (polynomial 11EDC6F41, bits reflected) ------------------------------------------------------------ */

static void op_crc32(struct cpu *c, const struct insn *i)
{
	uint64_t data = get_operand(c, i, 1);
	uint32_t crc = (uint32_t)c->s.gpr[i->o[0].reg];

	for (unsigned n = 0; n < i->o[1].size; n++) {
		crc ^= (uint8_t)(data >> 8 * n);
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	c->s.gpr[i->o[0].reg] = crc;
}

const op_handler sse4_ops[OP_COUNT] = {
	[OP_PTEST] = op_test, [OP_VTESTPS] = op_test, [OP_VTESTPD] = op_test,
	[OP_PCMPESTRI] = op_string, [OP_PCMPESTRM] = op_string, [OP_PCMPISTRI] = op_string, [OP_PCMPISTRM] = op_string,
	[OP_CRC32] = op_crc32,
};
