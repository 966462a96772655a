/* SPDX-License-Identifier: MIT */
/* Near branches, software interrupts, BOUND. */
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"
#include "cpu/seg.h"

static void op_jmp(struct cpu *c, const struct insn *i)
{
	if (i->o[0].kind == OPD_REL)
		jump_to(c, i, next_rip(c, i) + i->imm);
	else
		jump_to(c, i, get_operand(c, i, 0));
}

static void op_jcc(struct cpu *c, const struct insn *i)
{
	if (condition(c, i->cc))
		jump_to(c, i, next_rip(c, i) + i->imm);
}

static void op_call(struct cpu *c, const struct insn *i)
{
	uint64_t next = next_rip(c, i), to = i->o[0].kind == OPD_REL ? next + i->imm : get_operand(c, i, 0);
	uint64_t sp = (c->s.gpr[RSP] - i->opsize) & stack_mask(c);

	/* The target is checked before anything is pushed. */
	probe_write(c, linear_address(c, SEG_SS, sp, i->opsize, true), i->opsize);
	jump_to(c, i, to);
	push(c, next, i->opsize);
}

static void op_ret(struct cpu *c, const struct insn *i)
{
	uint64_t to = stack_peek(c, 0, i->opsize);

	jump_to(c, i, to);
	add_sp(c, i->opsize + (i->operands ? (uint16_t)i->imm : 0));
}

static uint64_t counter(const struct cpu *c, const struct insn *i)
{
	return zero_extend(c->s.gpr[RCX], i->addrsize);
}

static void op_jcxz(struct cpu *c, const struct insn *i)
{
	if (counter(c, i) == 0)
		jump_to(c, i, next_rip(c, i) + i->imm);
}

static void loop_if(struct cpu *c, const struct insn *i, bool more)
{
	struct operand cx = { .kind = OPD_GPR, .reg = RCX, .size = i->addrsize };
	uint64_t n = counter(c, i) - 1;

	if (zero_extend(n, i->addrsize) && more)
		jump_to(c, i, next_rip(c, i) + i->imm);
	set_reg(c, &cx, n);
}

static void op_loop(struct cpu *c, const struct insn *i) { loop_if(c, i, true); }
static void op_loope(struct cpu *c, const struct insn *i) { loop_if(c, i, get_zf(c)); }
static void op_loopne(struct cpu *c, const struct insn *i) { loop_if(c, i, !get_zf(c)); }

static void op_int(struct cpu *c, const struct insn *i)
{
	software_interrupt(c, i, (uint8_t)i->imm, EVENT_INT_N);
}

static void op_int3(struct cpu *c, const struct insn *i) { software_interrupt(c, i, VEC_BP, EVENT_INT3); }
static void op_int1(struct cpu *c, const struct insn *i) { software_interrupt(c, i, VEC_DB, EVENT_INT1); }

static void op_into(struct cpu *c, const struct insn *i)
{
	if (get_of(c))
		software_interrupt(c, i, VEC_OF, EVENT_INT3);
}

static void op_bound(struct cpu *c, const struct insn *i)
{
	unsigned size = i->opsize;
	uint64_t linear = mem_address(c, i, 2 * size, false);
	int64_t low = (int64_t)sign_extend(ld_size(c, linear, size), size);
	int64_t high = (int64_t)sign_extend(ld_size(c, (linear + size) & c->linear_mask, size), size);
	int64_t v = (int64_t)sign_extend(get_reg(c, &i->o[0]), size);

	if (v < low || v > high)
		fault(c, VEC_BR, 0);
}

const op_handler branch_ops[OP_COUNT] = {
	[OP_JMP] = op_jmp, [OP_JCC] = op_jcc, [OP_CALL] = op_call, [OP_RET] = op_ret, [OP_JCXZ] = op_jcxz, [OP_LOOP] = op_loop,
	[OP_LOOPE] = op_loope, [OP_LOOPNE] = op_loopne, [OP_INT] = op_int, [OP_INT3] = op_int3, [OP_INT1] = op_int1,
	[OP_INTO] = op_into, [OP_BOUND] = op_bound,
};
