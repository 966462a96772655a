/* SPDX-License-Identifier: MIT */
/* AES-NI, PCLMULQDQ and SHA, by the host's instructions. */
#include "cpu/interp/simd.h"

static void op_round(struct cpu *c, const struct insn *i)
{
	host_op *f = host_ops[i->op];
	v128 b;

	simd_begin(c, i);
	b = get_src(c, i, 2);
	put_xmm(c, i, i->o[0].reg, f(get_xmm(c, i->o[1].reg), b, V0));
}

static void op_unary(struct cpu *c, const struct insn *i)
{
	host_op *f = i->op == OP_AESIMC ? host_AESIMC : host_imm_op(HOST_AESKEYGENASSIST, (uint8_t)i->imm);

	simd_begin(c, i);
	put_xmm(c, i, i->o[0].reg, f(V0, get_src(c, i, 1), V0));
}

static void op_pclmulqdq(struct cpu *c, const struct insn *i)
{
	host_op *f = host_imm_op(HOST_PCLMULQDQ, (uint8_t)((i->imm & 1) | (i->imm >> 3 & 2)));
	v128 b;

	simd_begin(c, i);
	b = get_src(c, i, 2);
	put_xmm(c, i, i->o[0].reg, f(get_xmm(c, i->o[1].reg), b, V0));
}

static void op_sha(struct cpu *c, const struct insn *i)
{
	host_op *f = i->op == OP_SHA1RNDS4 ? host_imm_op(HOST_SHA1RNDS4, (uint8_t)i->imm) :
		     i->op == OP_SHA256RNDS2 ? host_SHA256RNDS2 : host_ops[i->op];
	v128 b;

	sse_begin(c);
	b = get_src(c, i, 2);
	put_xmm(c, i, i->o[0].reg, f(get_xmm(c, i->o[1].reg), b, get_xmm(c, 0)));
}

const op_handler aes_ops[OP_COUNT] = {
	[OP_AESENC] = op_round, [OP_AESENCLAST] = op_round, [OP_AESDEC] = op_round, [OP_AESDECLAST] = op_round,
	[OP_AESIMC] = op_unary, [OP_AESKEYGENASSIST] = op_unary, [OP_PCLMULQDQ] = op_pclmulqdq,
	[OP_SHA1RNDS4] = op_sha, [OP_SHA1NEXTE] = op_sha, [OP_SHA1MSG1] = op_sha, [OP_SHA1MSG2] = op_sha,
	[OP_SHA256RNDS2] = op_sha, [OP_SHA256MSG1] = op_sha, [OP_SHA256MSG2] = op_sha,
};
