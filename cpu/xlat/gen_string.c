/* SPDX-License-Identifier: MIT */
/*
 * MOVS, STOS and LODS of 64-bit code, with and without REP, upwards and within one page on either side: the host's own, on
 * host addresses.  Whatever else comes up (downwards, into the next page, nothing to do) is for the handler in place,
 * which goes page by page.
 */
#include "cpu/xlat/gen.h"

static void to_handler(struct gen *g, unsigned cc)
{
	struct out *o = &g->out[g->outs++];

	*o = (struct out){ .kind = OUT_LIGHT, .from = emit_jcc(&g->b, cc), .arg = g->k << ARG_SIZE_BITS };
}

static uint32_t width(unsigned size) { return size == 8 ? EO_W : size == 2 ? EO_16 : 0; }

static void host_string(struct gen *g, uint8_t opcode, unsigned size, bool rep)
{
	if (rep)
		emit8(&g->b, 0xf3);
	if (size == 2)
		emit8(&g->b, 0x66);
	if (size == 8)
		emit8(&g->b, 0x48);
	emit8(&g->b, (uint8_t)(opcode | (size > 1)));
}

static void add(struct gen *g, bool subtract, unsigned to, unsigned from)
{
	emit_op(&g->b, (subtract ? 0x2b : 0x03) | EO_W, to, rm_reg((int)from));
}

/* T1 = host address - guest address of what `reg` points at, RCX elements of which must lie in its page. */
static void distance(struct gen *g, unsigned reg, unsigned size, bool write)
{
	emit_mov_rr(&g->b, true, T0, reg);
	gen_access(g, size, write);
	emit_lea(&g->b, true, T1, rm_index(T1, T0, 0, 0));
	add(g, true, T1, reg);
	emit_lea(&g->b, true, T0, rm_index(T0, HCX, (unsigned)__builtin_ctz(size), 0));
	emit_alu_imm(&g->b, true, 7, rm_reg(T0), 4096);
	to_handler(g, 7);
}

static void gen_rep(struct gen *g, unsigned size, bool movs)
{
	/* RCX - 1 < 4096 / size: something, and no more than could fit */
	emit_lea(&g->b, true, T0, rm_base(HCX, -1));
	emit_alu_imm(&g->b, true, 7, rm_reg(T0), 4096 / (int32_t)size);
	to_handler(g, 3);
	if (movs) {
		distance(g, HSI, size, false);
		emit_store(&g->b, true, ENV(tmp), T1);
	}
	distance(g, HDI, size, true);
	if (movs)
		emit_load(&g->b, true, T0, ENV(tmp));
	gen_commit(g);
	if (movs)
		add(g, false, HSI, T0);
	add(g, false, HDI, T1);
	g->site[g->k].rep = 1;
	g->site[g->k].rep_source = movs;
	host_string(g, movs ? 0xa4 : 0xaa, size, true);
	add(g, true, HDI, T1);
	if (movs)
		add(g, true, HSI, T0);
}

static void gen_one(struct gen *g, enum op op, unsigned size)
{
	uint32_t w = width(size);
	struct rm m;

	if (op != OP_STOS) {
		emit_mov_rr(&g->b, true, T0, HSI);
		m = gen_access(g, size, false);
		if (op == OP_LODS) {
			gen_commit(g);
			emit_op(&g->b, (size == 1 ? 0x8a : 0x8b) | w, HAX, m);
			emit_lea(&g->b, true, HSI, rm_base(HSI, (int32_t)size));
			return;
		}
		emit_op(&g->b, (size == 1 ? 0x8a | EO_B_REG : 0x8b) | w, T0, m);
		emit_store(&g->b, true, ENV(tmp), T0);
	}
	emit_mov_rr(&g->b, true, T0, HDI);
	m = gen_access(g, size, true);
	if (op == OP_MOVS) {
		emit_lea(&g->b, true, T0, m);
		m = rm_base(T0, 0);
		emit_load(&g->b, true, T1, ENV(tmp));
	}
	gen_commit(g);
	emit_op(&g->b, (size == 1 ? 0x88 | EO_B_REG : 0x89) | w, op == OP_MOVS ? T1 : HAX, m);
	emit_lea(&g->b, true, HDI, rm_base(HDI, (int32_t)size));
	if (op == OP_MOVS)
		emit_lea(&g->b, true, HSI, rm_base(HSI, (int32_t)size));
}

bool gen_string(struct gen *g)
{
	const struct insn *i = cur(g);
	unsigned size = i->opcode & 1 ? i->opsize : 1;

	if (i->op != OP_MOVS && i->op != OP_STOS && i->op != OP_LODS)
		return false;
	if (!g->wide || i->addrsize != 8 || i->mem.seg == SEG_FS || i->mem.seg == SEG_GS || !xlat_is_light(g->c, i) ||
	    (i->rep && i->op == OP_LODS))
		return false;
	gen_clobber(g);
	emit_op(&g->b, 0xf6, 0, rm_gs((int32_t)offsetof(struct cpu, s.flags) + 1));     /* TEST */
	emit8(&g->b, FLAG_DF >> 8);
	to_handler(g, 5);
	if (i->rep)
		gen_rep(g, size, i->op == OP_MOVS);
	else
		gen_one(g, i->op, size);
	g->fl = FL_SAVED;               /* as the handler leaves them */
	g->by_handler[g->k] = true;
	return true;
}
