/* SPDX-License-Identifier: MIT */
/*
 * MOVS, STOS and LODS upwards; with REP, in flat code and within one page on either side, the host's own, on host
 * addresses.  Whatever else comes up (downwards, into the next page, nothing to do) is for the handler in place, which
 * goes page by page.
 */
#include "cpu/xlat/gen.h"

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
	gen_handler_if(g, 7);
}

static void gen_rep(struct gen *g, unsigned size, bool movs)
{
	/* RCX - 1 < 4096 / size: something, and no more than could fit */
	emit_lea(&g->b, true, T0, rm_base(HCX, -1));
	emit_alu_imm(&g->b, true, 7, rm_reg(T0), 4096 / (int32_t)size);
	gen_handler_if(g, 3);
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

/* T0 = linear address of what an index register points at. */
static void index_linear(struct gen *g, unsigned reg, unsigned seg, unsigned size, bool write)
{
	unsigned addrsize = cur(g)->addrsize;

	if (addrsize == 2)
		emit_op(&g->b, 0x1b7, T0, rm_reg((int)reg));            /* MOVZX */
	else
		emit_mov_rr(&g->b, addrsize == 8, T0, reg);
	gen_segment(g, seg, size, write);
}

/* Uses T1. */
static void advance(struct gen *g, unsigned reg, unsigned size)
{
	unsigned addrsize = cur(g)->addrsize;

	if (addrsize == 2) {
		emit_lea(&g->b, false, T1, rm_base((int)reg, (int32_t)size));
		emit_op(&g->b, 0x8b | EO_16, reg, rm_reg(T1));
	} else {
		emit_lea(&g->b, addrsize == 8, reg, rm_base((int)reg, (int32_t)size));
	}
}

static void gen_one(struct gen *g, enum op op, unsigned size)
{
	unsigned seg = cur(g)->mem.seg;
	uint32_t w = width(size);
	struct rm m;

	if (op != OP_STOS) {
		index_linear(g, HSI, seg, size, false);
		m = gen_access(g, size, false);
		if (op == OP_LODS) {
			gen_commit(g);
			emit_op(&g->b, (size == 1 ? 0x8a : 0x8b) | w, HAX, m);
			advance(g, HSI, size);
			return;
		}
		emit_op(&g->b, (size == 1 ? 0x8a | EO_B_REG : 0x8b) | w, T0, m);
		emit_store(&g->b, true, ENV(tmp), T0);
	}
	index_linear(g, HDI, SEG_ES, size, true);
	m = gen_access(g, size, true);
	if (op == OP_MOVS) {
		emit_lea(&g->b, true, T0, m);
		m = rm_base(T0, 0);
		emit_load(&g->b, true, T1, ENV(tmp));
	}
	gen_commit(g);
	emit_op(&g->b, (size == 1 ? 0x88 | EO_B_REG : 0x89) | w, op == OP_MOVS ? T1 : HAX, m);
	advance(g, HDI, size);
	if (op == OP_MOVS)
		advance(g, HSI, size);
}

/* Whether REP can be the host's: on flat memory, with index registers that have nothing above the address. */
static bool rep_in_line(const struct gen *g, const struct insn *i)
{
	if (i->op == OP_LODS || i->addrsize == 2 || i->addrsize != (g->wide ? 8 : 4) || i->mem.seg == SEG_FS || i->mem.seg == SEG_GS)
		return false;
	return gen_flat(g, SEG_ES, true) && (i->op == OP_STOS || gen_flat(g, i->mem.seg, false));
}

bool gen_string(struct gen *g)
{
	const struct insn *i = cur(g);
	unsigned size = i->opcode & 1 ? i->opsize : 1;

	if (i->op != OP_MOVS && i->op != OP_STOS && i->op != OP_LODS)
		return false;
	if (!xlat_is_light(g->c, i) || (i->rep && !rep_in_line(g, i)))
		return false;
	gen_clobber(g);
	emit_op(&g->b, 0xf6, 0, rm_gs((int32_t)offsetof(struct cpu, s.flags) + 1));     /* TEST */
	emit8(&g->b, FLAG_DF >> 8);
	gen_handler_if(g, 5);
	if (i->rep && !g->wide) {               /* what a switch from 64-bit mode left is nobody's */
		emit_mov_rr(&g->b, false, HCX, HCX);
		emit_mov_rr(&g->b, false, HDI, HDI);
		emit_mov_rr(&g->b, false, HSI, HSI);
	}
	if (i->rep)
		gen_rep(g, size, i->op == OP_MOVS);
	else
		gen_one(g, i->op, size);
	g->fl = FL_SAVED;               /* as the handler leaves them */
	g->by_handler[g->k] = true;
	return true;
}
