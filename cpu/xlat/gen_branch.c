/* SPDX-License-Identifier: MIT */
/* The stack and near branches. */
#include "cpu/xlat/gen.h"

static uint32_t width(unsigned size) { return size == 8 ? EO_W : size == 2 ? EO_16 : 0; }

/* A push's size is that of the operand, whatever the stack's; 64-bit code has no 32-bit ones. */
static struct rm push_place(struct gen *g, unsigned which)
{
	struct rm m;

	gen_place(g, which, PLACE_PUSH, cur(g)->opsize, true, &m);
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

/* rSP, as wide as the stack is, = `from` + by.  Changes T1, leaves T0. */
static void set_sp(struct gen *g, unsigned from, int32_t by)
{
	if (g->sp == 2) {
		emit_lea(&g->b, false, T1, rm_base((int)from, by));
		emit_op(&g->b, 0x8b | EO_16, HSPG, rm_reg(T1));
	} else {
		emit_lea(&g->b, g->wide, HSPG, rm_base((int)from, by));
	}
}

void gen_move_sp(struct gen *g, int32_t by) { set_sp(g, HSPG, by); }

static void store(struct gen *g, struct rm m, unsigned reg) { emit_op(&g->b, 0x89 | width(cur(g)->opsize), reg, m); }

/* Zero-extended. */
static void load(struct gen *g, unsigned to, struct rm m)
{
	unsigned size = cur(g)->opsize;

	emit_op(&g->b, size == 2 ? 0x1b7 : 0x8b | width(size), to, m);
}

static void push_immediate(struct gen *g, uint32_t v)
{
	unsigned size = cur(g)->opsize;
	struct rm m = push_place(g, 0);

	gen_commit(g);
	emit_op(&g->b, 0xc7 | width(size), 0, m);
	emit_bytes(&g->b, &v, size == 2 ? 2 : 4);
}

static bool gen_push(struct gen *g)
{
	const struct insn *i = cur(g);
	const struct operand *o = &i->o[0];
	struct rm m;
	int h;

	switch (o->kind) {
	case OPD_IMM:
		push_immediate(g, (uint32_t)i->imm);
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
		store(g, m, (unsigned)h);
		break;
	case OPD_SEG:
		m = together(g, push_place(g, 0));
		emit_op(&g->b, 0x1b7, T1, gen_selector(o->reg));
		gen_commit(g);
		store(g, m, T1);
		break;
	case OPD_MEM:
		if (!gen_place(g, 0, PLACE_MEM, i->opsize, false, &m))
			return false;
		load(g, T0, m);
		emit_store(&g->b, true, ENV(tmp), T0);
		m = together(g, push_place(g, 1));
		emit_load(&g->b, true, T1, ENV(tmp));
		gen_commit(g);
		store(g, m, T1);
		break;
	default:
		return false;
	}
	gen_move_sp(g, -(int32_t)i->opsize);
	return true;
}

/* T0 = what lies at the top of the stack. */
static void load_top(struct gen *g, enum where where)
{
	struct rm m;

	gen_place(g, 0, where, cur(g)->opsize, false, &m);
	load(g, T0, m);
}

/* A general register = T0, as wide as the operand. */
static void set_register(struct gen *g, unsigned guest)
{
	int h = host_of(guest);
	unsigned size = cur(g)->opsize;

	emit_op(&g->b, 0x89 | width(size == 4 ? 8 : size), T0, h < 0 ? gpr_home(guest) : rm_reg(h));
}

static bool gen_pop(struct gen *g)
{
	const struct insn *i = cur(g);

	if (i->o[0].kind == OPD_SEG && gen_real_segment(g, i->o[0].reg)) {
		load_top(g, PLACE_TOP);
		gen_commit(g);
		gen_move_sp(g, i->opsize);
		gen_set_real_segment(g, i->o[0].reg);
		return true;
	}
	if (i->o[0].kind != OPD_GPR)
		return false;
	load_top(g, PLACE_TOP);
	gen_commit(g);
	if (i->o[0].reg != RSP || i->opsize < g->sp)
		gen_move_sp(g, i->opsize);
	set_register(g, i->o[0].reg);
	return true;
}

static bool gen_leave(struct gen *g)
{
	load_top(g, PLACE_FRAME);
	gen_commit(g);
	set_sp(g, HBP, cur(g)->opsize);
	set_register(g, RBP);
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

static uint64_t target(const struct gen *g) { return gen_target(g, g->k); }

static bool canonical48(uint64_t a) { return (uint64_t)((int64_t)(a << 16) >> 16) == a; }

/* Whether code may lie there: else the branch faults. */
static bool target_ok(const struct gen *g)
{
	return g->wide ? canonical48(target(g)) : g->key & KEY_FLAT_CS || target(g) <= g->limit;
}

/* The return address goes onto the stack. */
static void push_return(struct gen *g, unsigned which)
{
	uint64_t next = rip_behind(g);
	struct rm m;

	if (!which && (!g->wide || next == (uint64_t)(int32_t)next)) {
		push_immediate(g, (uint32_t)next);
	} else {
		m = together(g, push_place(g, which));
		emit_mov_imm(&g->b, T1, next);
		gen_commit(g);
		store(g, m, T1);
	}
	gen_move_sp(g, -(int32_t)cur(g)->opsize);
}

/* T0, where an indirect branch is going: there can be no code, and nothing may have happened.  Leaves T0. */
static void check_target(struct gen *g)
{
	if (g->wide) {
		emit_mov_rr(&g->b, true, T1, T0);
		emit_op(&g->b, 0xc1 | EO_W, 7, rm_reg(T1));             /* SAR T1, 47: 0 or -1 */
		emit8(&g->b, 47);
		emit_op(&g->b, 0xff | EO_W, 0, rm_reg(T1));             /* INC */
		emit_alu_imm(&g->b, true, 7, rm_reg(T1), 1);
	} else if (g->key & KEY_FLAT_CS || (cur(g)->opsize == 2 && g->limit >= 0xffff)) {
		return;
	} else {
		emit_op(&g->b, 0x81, 7, rm_reg(T0));                    /* CMP */
		emit32(&g->b, g->limit);
	}
	gen_slow_if(g, 7);
}

/* T0 = the target that a register holds. */
static void load_register(struct gen *g, unsigned guest)
{
	int h = host_of(guest);

	load(g, T0, h < 0 ? gpr_home(guest) : rm_reg(h));
}

static bool gen_call(struct gen *g)
{
	const struct insn *i = cur(g);
	struct rm m;

	if (g->wide && i->opsize != 8)
		return false;
	switch (i->o[0].kind) {
	case OPD_REL:
		if (!target_ok(g))
			return false;
		push_return(g, 0);
		gen_exit(g, -1, target(g));
		g->ended = true;
		return true;
	case OPD_GPR:
		if (i->o[0].reg == RSP)
			return false;
		gen_clobber(g);
		load_register(g, i->o[0].reg);
		check_target(g);
		push_return(g, 0);
		load_register(g, i->o[0].reg);
		gen_indirect(g);
		return true;
	case OPD_MEM:
		gen_clobber(g);
		if (!gen_place(g, 0, PLACE_MEM, i->opsize, false, &m))
			return false;
		load(g, T0, m);
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

	if (g->wide && i->opsize != 8)
		return false;
	if (i->o[0].kind == OPD_REL) {
		if (!target_ok(g))
			return false;
		gen_exit(g, -1, target(g));
		g->ended = true;
		return true;
	}
	gen_clobber(g);
	if (i->o[0].kind == OPD_GPR) {
		load_register(g, i->o[0].reg);
	} else if (i->o[0].kind == OPD_MEM) {
		if (!gen_place(g, 0, PLACE_MEM, i->opsize, false, &m))
			return false;
		load(g, T0, m);
	} else {
		return false;
	}
	if (!g->wide)
		check_target(g);
	gen_indirect(g);
	return true;
}

static bool gen_ret(struct gen *g)
{
	const struct insn *i = cur(g);

	if (g->wide && i->opsize != 8)
		return false;
	gen_clobber(g);
	load_top(g, PLACE_TOP);
	if (!g->wide)
		check_target(g);
	gen_commit(g);
	gen_move_sp(g, (int32_t)i->opsize + (i->operands ? (int32_t)(uint16_t)i->imm : 0));
	gen_indirect(g);
	return true;
}

static bool gen_jcc(struct gen *g)
{
	if (!target_ok(g))
		return false;
	gen_flags(g);
	gen_exit(g, cur(g)->cc, target(g));
	return true;
}

/* The host has no count of 16 bits. */
static void gen_count16(struct gen *g, bool loop)
{
	unsigned at = HCX;

	gen_clobber(g);
	if (loop) {
		emit_lea(&g->b, false, T0, rm_base(HCX, -1));
		at = T0;
	}
	gen_commit(g);
	if (loop)
		emit_op(&g->b, 0x8b | EO_16, HCX, rm_reg(T0));
	emit_op(&g->b, 0x85 | EO_16, at, rm_reg((int)at));              /* TEST */
	gen_exit(g, loop ? 5 : 4, target(g));
}

/* JrCXZ and LOOP: the host's JrCXZ reaches 127 bytes, so it goes around a jump. */
static bool gen_count(struct gen *g)
{
	const struct insn *i = cur(g);
	bool loop = i->op == OP_LOOP;

	if (!target_ok(g))
		return false;
	if (i->addrsize == 2) {
		gen_count16(g, loop);
		return true;
	}
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
