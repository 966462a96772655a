/* SPDX-License-Identifier: MIT */
/* Bit tests, scans and counts, BMI1 and BMI2, CRC32. */
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"

/*
 * BT and its kin with a register as bit number reach memory beyond the operand: the number, signed and as wide as the
 * operand, moves the address by whole operands.
 */
static struct insn bit_operand(struct cpu *c, const struct insn *i, unsigned *bit)
{
	unsigned bits = 8u * i->opsize;
	struct insn moved = *i;
	uint64_t n;

	moved.o[0].size = i->opsize;
	if (i->o[1].kind != OPD_GPR) {
		*bit = (unsigned)i->imm & (bits - 1);
		return moved;
	}
	n = sign_extend(get_reg(c, &i->o[1]), i->opsize);
	*bit = (unsigned)n & (bits - 1);
	if (i->o[0].kind == OPD_MEM) {
		/* As a displacement from the address computed as is. */
		uint64_t at = effective_address(c, i) + (uint64_t)((int64_t)n >> (i->opsize == 8 ? 6 : i->opsize == 4 ? 5 : 4)) *
			      i->opsize;

		moved.mem.base = moved.mem.index = REG_NONE;
		moved.mem.disp = 0;
		moved.mem.moffs = true;
		moved.imm = at;
	}
	return moved;
}

static void op_bt(struct cpu *c, const struct insn *i)
{
	unsigned bit;
	struct insn moved = bit_operand(c, i, &bit);

	set_cf(c, get_operand(c, &moved, 0) >> bit & 1);
}

#define BIT_CHANGE(name, expression) \
static void name(struct cpu *c, const struct insn *i) \
{ \
	unsigned bit; \
	struct insn moved = bit_operand(c, i, &bit); \
	uint64_t mask = 1ull << bit, a; \
	struct rmw m; \
	\
	rmw_begin(c, &moved, 0, &m); \
	do \
		a = m.old; \
	while (!rmw_end(c, &m, expression)); \
	set_cf(c, a & mask); \
}
BIT_CHANGE(op_bts, a | mask)
BIT_CHANGE(op_btr, a & ~mask)
BIT_CHANGE(op_btc, a ^ mask)

/* A zero source leaves the destination alone, upper half included on 64-bit processors; ZF is the only defined flag. */
static void op_bsf(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_operand(c, i, 1);

	if (a)
		set_reg(c, &i->o[0], (uint64_t)__builtin_ctzll(a));
	c->s.cc_z = a != 0;
}

static void op_bsr(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_operand(c, i, 1);

	if (a)
		set_reg(c, &i->o[0], 63 - (uint64_t)__builtin_clzll(a));
	c->s.cc_z = a != 0;
}

static void op_tzcnt(struct cpu *c, const struct insn *i)
{
	unsigned size = i->o[0].size;
	uint64_t a = get_operand(c, i, 1), r = a ? (uint64_t)__builtin_ctzll(a) : 8 * size;

	set_reg(c, &i->o[0], r);
	flags_set(c, r, size, a == 0, false, false);
}

static void op_lzcnt(struct cpu *c, const struct insn *i)
{
	unsigned size = i->o[0].size;
	uint64_t a = get_operand(c, i, 1), r = a ? (uint64_t)__builtin_clzll(a) - (64 - 8 * size) : 8 * size;

	set_reg(c, &i->o[0], r);
	flags_set(c, r, size, a == 0, false, false);
}

static void op_popcnt(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_operand(c, i, 1), r = (uint64_t)__builtin_popcountll(a);

	set_reg(c, &i->o[0], r);
	set_arith_flags(c, a ? 0 : FLAG_ZF);
}

static void op_andn(struct cpu *c, const struct insn *i)
{
	uint64_t r = get_operand(c, i, 2) & ~get_reg(c, &i->o[1]);

	set_reg(c, &i->o[0], r);
	flags_logic(c, r, i->o[0].size);
}

static void op_bextr(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_operand(c, i, 1), control = get_reg(c, &i->o[2]), r;
	unsigned start = control & 0xff, len = control >> 8 & 0xff;

	r = start < 64 ? a >> start : 0;
	if (len < 64)
		r &= (1ull << len) - 1;
	set_reg(c, &i->o[0], r);
	flags_set(c, r, i->o[0].size, false, false, false);
}

static void op_bzhi(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_operand(c, i, 1);
	unsigned n = get_reg(c, &i->o[2]) & 0xff, bits = 8u * i->o[0].size;

	if (n < bits)
		a &= (1ull << n) - 1;
	set_reg(c, &i->o[0], a);
	flags_set(c, a, i->o[0].size, n >= bits, false, false);
}

static void op_blsi(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_operand(c, i, 1), r = a & -a;

	set_reg(c, &i->o[0], r);
	flags_set(c, r, i->o[0].size, a != 0, false, false);
}

static void op_blsr(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_operand(c, i, 1), r = a & (a - 1);

	set_reg(c, &i->o[0], r);
	flags_set(c, r, i->o[0].size, a == 0, false, false);
}

static void op_blsmsk(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_operand(c, i, 1), r = a ^ (a - 1);

	set_reg(c, &i->o[0], r);
	flags_set(c, r, i->o[0].size, a == 0, false, false);
}

static void op_pdep(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_reg(c, &i->o[1]), mask = get_operand(c, i, 2), r = 0;

	for (; mask; mask &= mask - 1, a >>= 1)
		if (a & 1)
			r |= mask & -mask;
	set_reg(c, &i->o[0], r);
}

static void op_pext(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_reg(c, &i->o[1]), mask = get_operand(c, i, 2), r = 0, bit = 1;

	for (; mask; mask &= mask - 1, bit <<= 1)
		if (a & mask & -mask)
			r |= bit;
	set_reg(c, &i->o[0], r);
}

/* CRC-32C, reflected: polynomial 11EDC6F41H (SDM volume 2, CRC32). */
static void op_crc32(struct cpu *c, const struct insn *i)
{
	uint64_t a = get_operand(c, i, 1);
	uint32_t crc = (uint32_t)c->s.gpr[i->o[0].reg];
	unsigned k;

	for (k = 0; k < 8u * i->o[1].size; k++, a >>= 1)
		crc = crc >> 1 ^ ((crc ^ (uint32_t)a) & 1 ? 0x82f63b78 : 0);
	c->s.gpr[i->o[0].reg] = crc;
}

const op_handler bit_ops[OP_COUNT] = {
	[OP_BT] = op_bt, [OP_BTS] = op_bts, [OP_BTR] = op_btr, [OP_BTC] = op_btc, [OP_BSF] = op_bsf, [OP_BSR] = op_bsr,
	[OP_TZCNT] = op_tzcnt, [OP_LZCNT] = op_lzcnt, [OP_POPCNT] = op_popcnt, [OP_ANDN] = op_andn, [OP_BEXTR] = op_bextr,
	[OP_BZHI] = op_bzhi, [OP_BLSI] = op_blsi, [OP_BLSR] = op_blsr, [OP_BLSMSK] = op_blsmsk, [OP_PDEP] = op_pdep,
	[OP_PEXT] = op_pext, [OP_CRC32] = op_crc32,
};
