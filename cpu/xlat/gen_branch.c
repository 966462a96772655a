/* SPDX-License-Identifier: MIT */
/* The stack and near branches. */
#include "cpu/xlat/gen.h"

/* Whether stack, operand and code are of one width: 64 bits, or 32 on a flat stack of 32. */
static bool plain_stack(const struct gen *g, unsigned opsize)
{
	return opsize == (g->wide ? 8 : 4) && g->key & KEY_STACK32;
}

static unsigned width(const struct gen *g) { return g->wide ? 8 : 4; }

/* Where a push goes; it is the instruction's access number `which`. */
static struct rm push_place(struct gen *g, unsigned which)
{
	struct rm m;

	gen_place(g, which, PLACE_PUSH, width(g), true, &m);
	return m;
}

/* T0 = host address of m, and T1 is free. */
static struct rm together(struct gen *g, struct rm m)
{
	if (m.index < 0)
		return m;
	emit_lea(&g->b, true, T0, m);
	return rm_base(T0, 0);
}

static void move_sp(struct gen *g, int32_t by)
{
	emit_lea(&g->b, g->wide, HSPG, rm_base(HSPG, by));
}

static bool gen_push(struct gen *g)
{
	const struct insn *i = cur(g);
	const struct operand *o = &i->o[0];
	struct rm m;
	int h;

	if (!plain_stack(g, i->opsize))
		return false;
	switch (o->kind) {
	case OPD_IMM:
		m = push_place(g, 0);
		gen_commit(g);
		emit_op(&g->b, 0xc7 | (g->wide ? EO_W : 0), 0, m);
		emit32(&g->b, (uint32_t)i->imm);
		break;
	case OPD_GPR:
		h = host_of(o->reg);
		m = push_place(g, 0);
		if (h < 0) {
			m = together(g, m);
			emit_load(&g->b, true, T1, gpr_home(o->reg));
			h = T1;
		}
		gen_commit(g);
		emit_store(&g->b, g->wide, m, (unsigned)h);
		break;
	case OPD_MEM:
		if (!gen_place(g, 0, PLACE_MEM, width(g), false, &m))
			return false;
		emit_load(&g->b, g->wide, T0, m);
		emit_store(&g->b, true, ENV(tmp), T0);
		m = together(g, push_place(g, 1));
		emit_load(&g->b, true, T1, ENV(tmp));
		gen_commit(g);
		emit_store(&g->b, g->wide, m, T1);
		break;
	default:
		return false;
	}
	move_sp(g, -(int32_t)width(g));
	return true;
}

/* T0 = what lies at the top of the stack. */
static void load_top(struct gen *g, enum where where)
{
	struct rm m;

	gen_place(g, 0, where, width(g), false, &m);
	emit_load(&g->b, g->wide, T0, m);
}

static bool gen_pop(struct gen *g)
{
	const struct insn *i = cur(g);
	int h;

	if (!plain_stack(g, i->opsize) || i->o[0].kind != OPD_GPR)
		return false;
	load_top(g, PLACE_TOP);
	gen_commit(g);
	h = host_of(i->o[0].reg);
	if (h == HSPG) {
		emit_mov_rr(&g->b, true, HSPG, T0);
		return true;
	}
	move_sp(g, (int32_t)width(g));
	if (h < 0)
		emit_store(&g->b, true, gpr_home(i->o[0].reg), T0);
	else
		emit_mov_rr(&g->b, true, (unsigned)h, T0);
	return true;
}

static bool gen_leave(struct gen *g)
{
	if (!plain_stack(g, cur(g)->opsize))
		return false;
	load_top(g, PLACE_FRAME);
	gen_commit(g);
	emit_lea(&g->b, g->wide, HSPG, rm_base(HBP, (int32_t)width(g)));
	emit_mov_rr(&g->b, true, HBP, T0);
	return true;
}

bool gen_stack(struct gen *g)
{
	switch (cur(g)->op) {
	case OP_PUSH: return gen_push(g);
	case OP_POP: return gen_pop(g);
	case OP_LEAVE: return gen_leave(g);
	default: return false;
	}
}

/* --- branches --------------------------------------------------------------------------------------------------- */

static uint64_t target(const struct gen *g)
{
	uint64_t to = rip_behind(g) + cur(g)->imm;

	return g->wide ? to : (uint32_t)to;
}

static bool canonical48(uint64_t a) { return (uint64_t)((int64_t)(a << 16) >> 16) == a; }

/* The return address goes onto the stack. */
static void push_return(struct gen *g, unsigned which)
{
	uint64_t next = rip_behind(g);
	struct rm m = push_place(g, which);

	if (!g->wide || next == (uint64_t)(int32_t)next) {
		gen_commit(g);
		emit_op(&g->b, 0xc7 | (g->wide ? EO_W : 0), 0, m);
		emit32(&g->b, (uint32_t)next);
	} else {
		m = together(g, m);
		emit_mov_imm(&g->b, T1, next);
		gen_commit(g);
		emit_store(&g->b, true, m, T1);
	}
	move_sp(g, -(int32_t)width(g));
}

/* T0, where a call is going: not canonical, and nothing may have happened.  Leaves T0. */
static void check_target(struct gen *g)
{
	struct out *o;

	if (!g->wide)
		return;
	emit_mov_rr(&g->b, true, T1, T0);
	emit_op(&g->b, 0xc1 | EO_W, 7, rm_reg(T1));                     /* SAR T1, 47: 0 or -1 */
	emit8(&g->b, 47);
	emit_op(&g->b, 0xff | EO_W, 0, rm_reg(T1));                     /* INC */
	emit_alu_imm(&g->b, true, 7, rm_reg(T1), 1);
	o = &g->out[g->outs++];
	o->kind = OUT_SLOW;
	o->from = emit_jcc(&g->b, 7);
	o->arg = g->k << ARG_SIZE_BITS;
}

static bool gen_call(struct gen *g)
{
	const struct insn *i = cur(g);
	struct rm m;
	int h;

	if (!plain_stack(g, i->opsize))
		return false;
	switch (i->o[0].kind) {
	case OPD_REL:
		if (g->wide && !canonical48(target(g)))
			return false;
		push_return(g, 0);
		gen_exit(g, -1, target(g));
		g->ended = true;
		return true;
	case OPD_GPR:
		h = host_of(i->o[0].reg);
		if (h == HSPG)
			return false;
		gen_clobber(g);
		if (h < 0)
			emit_load(&g->b, true, T0, gpr_home(i->o[0].reg));
		else
			emit_mov_rr(&g->b, g->wide, T0, (unsigned)h);
		check_target(g);
		push_return(g, 0);
		if (h < 0)
			emit_load(&g->b, true, T0, gpr_home(i->o[0].reg));
		else
			emit_mov_rr(&g->b, g->wide, T0, (unsigned)h);
		gen_indirect(g);
		return true;
	case OPD_MEM:
		gen_clobber(g);
		if (!gen_place(g, 0, PLACE_MEM, width(g), false, &m))
			return false;
		emit_load(&g->b, g->wide, T0, m);
		check_target(g);
		emit_store(&g->b, true, ENV(tmp), T0);
		push_return(g, 1);
		emit_load(&g->b, true, T0, ENV(tmp));
		gen_indirect(g);
		return true;
	default:
		return false;
	}
}

static bool gen_jmp(struct gen *g)
{
	const struct insn *i = cur(g);
	struct rm m;
	int h;

	if (i->o[0].kind == OPD_REL) {
		if (!g->wide && i->opsize != 4)
			return false;
		if (g->wide && !canonical48(target(g)))
			return false;
		gen_exit(g, -1, target(g));
		g->ended = true;
		return true;
	}
	if (i->opsize != width(g))
		return false;
	gen_clobber(g);
	if (i->o[0].kind == OPD_GPR) {
		h = host_of(i->o[0].reg);
		if (h < 0)
			emit_load(&g->b, true, T0, gpr_home(i->o[0].reg));
		else
			emit_mov_rr(&g->b, g->wide, T0, (unsigned)h);
	} else if (i->o[0].kind == OPD_MEM) {
		if (!gen_place(g, 0, PLACE_MEM, width(g), false, &m))
			return false;
		emit_load(&g->b, g->wide, T0, m);
	} else {
		return false;
	}
	gen_indirect(g);
	return true;
}

static bool gen_ret(struct gen *g)
{
	const struct insn *i = cur(g);

	if (!plain_stack(g, i->opsize))
		return false;
	gen_clobber(g);
	load_top(g, PLACE_TOP);
	gen_commit(g);
	move_sp(g, (int32_t)width(g) + (i->operands ? (int32_t)(uint16_t)i->imm : 0));
	gen_indirect(g);
	return true;
}

static bool gen_jcc(struct gen *g)
{
	const struct insn *i = cur(g);

	if (!g->wide && i->opsize != 4)
		return false;
	if (g->wide && !canonical48(target(g)))
		return false;
	gen_flags(g);
	gen_exit(g, i->cc, target(g));
	return true;
}

/* JrCXZ and LOOP: the host's JrCXZ reaches 127 bytes, so it goes around a jump. */
static bool gen_count(struct gen *g)
{
	const struct insn *i = cur(g);
	bool loop = i->op == OP_LOOP;

	if ((!g->wide && i->opsize != 4) || i->addrsize == 2 || (g->wide && !canonical48(target(g))))
		return false;
	gen_commit(g);
	if (loop)
		emit_lea(&g->b, i->addrsize == 8, HCX, rm_base(HCX, -1));
	if (i->addrsize == 4)
		emit8(&g->b, 0x67);
	emit8(&g->b, 0xe3);
	emit8(&g->b, loop ? 5 : 2);
	if (!loop) {
		emit8(&g->b, 0xeb);             /* not zero: around the exit */
		emit8(&g->b, 5);
	}
	gen_exit(g, -1, target(g));
	return true;
}

bool gen_branch(struct gen *g)
{
	switch (cur(g)->op) {
	case OP_CALL: return gen_call(g);
	case OP_JMP: return gen_jmp(g);
	case OP_RET: return gen_ret(g);
	case OP_JCC: return gen_jcc(g);
	case OP_JCXZ: case OP_LOOP: return gen_count(g);
	default: return false;
	}
}
