/* SPDX-License-Identifier: MIT */
/* Decimal arithmetic of the 8086 (SDM volume 2: AAA AAD AAM AAS DAA DAS). */
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"

static uint8_t al(const struct cpu *c) { return (uint8_t)c->s.gpr[RAX]; }

static void set_al(struct cpu *c, uint8_t v)
{
	*(uint8_t *)&c->s.gpr[RAX] = v;
}

static void op_daa(struct cpu *c, const struct insn *i)
{
	uint8_t old = al(c), r = old;
	bool cf = get_cf(c), af = get_af(c), low = (old & 15) > 9 || af, high = old > 0x99 || cf;

	(void)i;
	if (low)
		r = (uint8_t)(r + 6);
	if (high)
		r = (uint8_t)(r + 0x60);
	set_al(c, r);
	flags_set(c, r, 1, high, false, low);
}

static void op_das(struct cpu *c, const struct insn *i)
{
	uint8_t old = al(c), r = old;
	bool cf = get_cf(c), af = get_af(c), low = (old & 15) > 9 || af, high = old > 0x99 || cf;

	(void)i;
	if (low)
		r = (uint8_t)(r - 6);
	if (high)
		r = (uint8_t)(r - 0x60);
	set_al(c, r);
	flags_set(c, r, 1, high || (low && (cf || old < 6)), false, low);
}

static void op_aaa(struct cpu *c, const struct insn *i)
{
	bool adjust = (al(c) & 15) > 9 || get_af(c);
	uint16_t ax = (uint16_t)c->s.gpr[RAX];

	(void)i;
	if (adjust)
		ax = (uint16_t)(ax + 0x106);
	ax &= 0xff0f;
	put_le16(&c->s.gpr[RAX], ax);
	flags_set(c, ax & 0xff, 1, adjust, false, adjust);
}

static void op_aas(struct cpu *c, const struct insn *i)
{
	bool adjust = (al(c) & 15) > 9 || get_af(c);
	uint16_t ax = (uint16_t)c->s.gpr[RAX];

	(void)i;
	if (adjust)
		ax = (uint16_t)(ax - 0x106);
	ax &= 0xff0f;
	put_le16(&c->s.gpr[RAX], ax);
	flags_set(c, ax & 0xff, 1, adjust, false, adjust);
}

static void op_aam(struct cpu *c, const struct insn *i)
{
	uint8_t base = (uint8_t)i->imm, v = al(c);

	if (!base)
		fault(c, VEC_DE, 0);
	put_le16(&c->s.gpr[RAX], (uint16_t)(v / base << 8 | v % base));
	flags_set(c, v % base, 1, false, false, false);
}

static void op_aad(struct cpu *c, const struct insn *i)
{
	uint16_t ax = (uint16_t)c->s.gpr[RAX];
	uint8_t r = (uint8_t)((ax >> 8) * (uint8_t)i->imm + ax);

	put_le16(&c->s.gpr[RAX], r);
	flags_set(c, r, 1, false, false, false);
}

static void op_salc(struct cpu *c, const struct insn *i)
{
	(void)i;
	set_al(c, get_cf(c) ? 0xff : 0);
}

const op_handler bcd_ops[OP_COUNT] = {
	[OP_DAA] = op_daa, [OP_DAS] = op_das, [OP_AAA] = op_aaa, [OP_AAS] = op_aas, [OP_AAM] = op_aam, [OP_AAD] = op_aad,
	[OP_SALC] = op_salc,
};
