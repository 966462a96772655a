/* SPDX-License-Identifier: MIT */
/* Multiplication and division.  SF, ZF, AF and PF are undefined after MUL and IMUL: they follow the low half, AF is 0. */
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"

static void set_half(struct cpu *c, unsigned reg, unsigned size, uint64_t v)
{
	struct operand o = { .kind = OPD_GPR, .reg = (uint8_t)reg, .size = (uint8_t)size };

	set_reg(c, &o, v);
}

/* AX, DX:AX, EDX:EAX or RDX:RAX. */
static void set_product(struct cpu *c, unsigned size, uint64_t low, uint64_t high)
{
	if (size == 1) {
		set_half(c, RAX, 2, (low & 0xff) | high << 8);
		return;
	}
	set_half(c, RAX, size, low);
	set_half(c, RDX, size, high);
}

static void op_mul(struct cpu *c, const struct insn *i)
{
	unsigned size = i->o[0].size;
	uint64_t b = get_operand(c, i, 0), a = zero_extend(c->s.gpr[RAX], size), low, high;
	unsigned __int128 r = (unsigned __int128)a * b;

	low = zero_extend((uint64_t)r, size);
	high = size == 8 ? (uint64_t)(r >> 64) : zero_extend((uint64_t)r >> (8 * size), size);
	set_product(c, size, low, high);
	flags_set(c, low, size, high != 0, high != 0, false);
}

static void op_imul(struct cpu *c, const struct insn *i)
{
	unsigned size = i->o[0].size;
	int64_t a, b;
	__int128 r;
	uint64_t low;
	bool over;

	if (i->operands == 1) {
		b = (int64_t)sign_extend(get_operand(c, i, 0), size);
		a = (int64_t)sign_extend(c->s.gpr[RAX], size);
	} else {
		unsigned n = i->operands == 3 ? 1 : 0;

		a = (int64_t)sign_extend(get_operand(c, i, n), size);
		b = (int64_t)sign_extend(get_operand(c, i, n + 1), size);
	}
	r = (__int128)a * b;
	low = zero_extend((uint64_t)r, size);
	over = (__int128)(int64_t)sign_extend(low, size) != r;
	if (i->operands == 1)
		set_product(c, size, low, size == 8 ? (uint64_t)(r >> 64) : zero_extend((uint64_t)r >> (8 * size), size));
	else
		set_reg(c, &i->o[0], low);
	flags_set(c, low, size, over, over, false);
}

static void op_div(struct cpu *c, const struct insn *i)
{
	unsigned size = i->o[0].size;
	uint64_t d = get_operand(c, i, 0);
	unsigned __int128 n, q;

	if (!d)
		fault(c, VEC_DE, 0);
	if (size == 1)
		n = (uint16_t)c->s.gpr[RAX];
	else
		n = zero_extend(c->s.gpr[RAX], size) | (unsigned __int128)zero_extend(c->s.gpr[RDX], size) << (8 * size);
	q = n >> 64 ? n / d : (uint64_t)n / d;
	if (q >> (8 * size))
		fault(c, VEC_DE, 0);
	set_product(c, size, (uint64_t)q, (uint64_t)(n - q * d));
}

static void op_idiv(struct cpu *c, const struct insn *i)
{
	unsigned size = i->o[0].size, bits = 8 * size;
	__int128 d = (int64_t)sign_extend(get_operand(c, i, 0), size), n, q;
	unsigned __int128 magnitude;
	bool negative;

	if (!d)
		fault(c, VEC_DE, 0);
	if (size == 1)
		n = (int16_t)c->s.gpr[RAX];
	else if (size == 8)
		n = (__int128)(c->s.gpr[RAX] | (unsigned __int128)c->s.gpr[RDX] << 64);
	else
		n = (int64_t)sign_extend(zero_extend(c->s.gpr[RAX], size) | zero_extend(c->s.gpr[RDX], size) << bits, 2 * size);
	/* By magnitudes: the most negative dividend has no positive twin. */
	negative = (n < 0) != (d < 0);
	magnitude = (n < 0 ? -(unsigned __int128)n : (unsigned __int128)n) / (d < 0 ? -(unsigned __int128)d : (unsigned __int128)d);
	if (magnitude > ((unsigned __int128)1 << (bits - 1)) - !negative)
		fault(c, VEC_DE, 0);
	q = negative ? -(__int128)magnitude : (__int128)magnitude;
	set_product(c, size, (uint64_t)q, (uint64_t)(n - q * d));
}

static void op_mulx(struct cpu *c, const struct insn *i)
{
	unsigned size = i->o[0].size;
	unsigned __int128 r = (unsigned __int128)zero_extend(c->s.gpr[RDX], size) * get_operand(c, i, 2);

	/* The same register twice gets the high half. */
	set_reg(c, &i->o[1], (uint64_t)r);
	set_reg(c, &i->o[0], size == 8 ? (uint64_t)(r >> 64) : (uint64_t)r >> 32);
}

const op_handler muldiv_ops[OP_COUNT] = {
	[OP_MUL] = op_mul, [OP_IMUL] = op_imul, [OP_DIV] = op_div, [OP_IDIV] = op_idiv, [OP_MULX] = op_mulx,
};
