/* SPDX-License-Identifier: MIT */
/* PUSH, POP and their kin, ENTER and LEAVE, the flags on the stack. */
#include "cpu/interp/interp.h"
#include "cpu/seg.h"

static void op_push(struct cpu *c, const struct insn *i)
{
	unsigned size = i->opsize;

	if (i->o[0].kind == OPD_SEG) {
		/* Four or eight bytes: processors write the selector's two bytes or a zero-extended word; we write the word. */
		push(c, c->s.seg[i->o[0].reg].selector, size);
		return;
	}
	push(c, i->o[0].kind == OPD_IMM ? i->imm : get_operand(c, i, 0), size);
}

static void op_pop(struct cpu *c, const struct insn *i)
{
	unsigned size = i->opsize;
	uint64_t v = stack_peek(c, 0, size), old = c->s.gpr[RSP], linear;

	if (i->o[0].kind == OPD_SEG) {
		segment_load(c, i->o[0].reg, (uint16_t)v);
		add_sp(c, size);
		if (i->o[0].reg == SEG_SS) {
			c->s.shadow = 2;
			c->leave = true;
		}
		return;
	}
	if (i->o[0].kind == OPD_GPR) {
		add_sp(c, size);
		set_reg(c, &i->o[0], v);
		return;
	}
	/* An address based on ESP is computed with the value after the pop (SDM, POP). */
	add_sp(c, size);
	linear = effective_address(c, i);
	c->s.gpr[RSP] = old;
	linear = linear_address(c, i->mem.seg, linear, size, true);
	st_size(c, linear, v, size);
	add_sp(c, size);
}

static void op_pusha(struct cpu *c, const struct insn *i)
{
	uint64_t sp = c->s.gpr[RSP], to;
	unsigned size = i->opsize, k;

	for (k = 1; k <= 8; k++) {      /* downwards, so that a fault names the address that the pushes would reach first */
		to = (sp - k * size) & stack_mask(c);
		probe_write(c, linear_address(c, SEG_SS, to, size, true), size);
	}
	for (k = 0; k < 8; k++)
		push(c, k == RSP ? sp : c->s.gpr[k], size);
}

static void op_popa(struct cpu *c, const struct insn *i)
{
	unsigned size = i->opsize, k;
	uint64_t v[8];

	for (k = 0; k < 8; k++)
		v[k] = stack_peek(c, k * size, size);
	for (k = 0; k < 8; k++) {
		struct operand o = { .kind = OPD_GPR, .reg = (uint8_t)(7 - k), .size = (uint8_t)size };

		if (o.reg != RSP)
			set_reg(c, &o, v[k]);
	}
	add_sp(c, 8 * size);
}

static void op_pushf(struct cpu *c, const struct insn *i)
{
	uint32_t f = get_flags(c) & ~(uint32_t)(FLAG_RF | FLAG_VM);

	if (c->s.flags & FLAG_VM && iopl(c) < 3) {
		/* VME: 16-bit PUSHF shows VIF as IF and IOPL 3. */
		if (!(c->s.cr4 & CR4_VME) || i->opsize != 2)
			fault_gp(c, 0);
		f = (f & ~(uint32_t)FLAG_IF) | FLAG_IOPL | (c->s.flags & FLAG_VIF ? FLAG_IF : 0);
	}
	push(c, f, i->opsize);
}

static void op_popf(struct cpu *c, const struct insn *i)
{
	uint32_t v = (uint32_t)stack_peek(c, 0, i->opsize);
	uint32_t mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT | (i->opsize == 2 ? 0 : FLAG_AC | FLAG_ID | FLAG_RF);

	if (c->s.flags & FLAG_VM && iopl(c) < 3) {
		if (!(c->s.cr4 & CR4_VME) || i->opsize != 2 || v & FLAG_TF || (v & FLAG_IF && c->s.flags & FLAG_VIP))
			fault_gp(c, 0);
		v = (v & ~(uint32_t)FLAG_VIF) | (v & FLAG_IF ? FLAG_VIF : 0);
		mask |= FLAG_VIF;
	} else {
		if (c->s.cpl == 0)
			mask |= FLAG_IOPL;
		if (c->s.cpl <= iopl(c))
			mask |= FLAG_IF;
		v &= ~(uint32_t)FLAG_RF;
	}
	add_sp(c, i->opsize);
	set_flags(c, v, mask);
}

static void op_enter(struct cpu *c, const struct insn *i)
{
	unsigned size = i->opsize, level = (unsigned)i->imm2 & 31, n;
	uint64_t mask = stack_mask(c), sp = c->s.gpr[RSP], bp = c->s.gpr[RBP], frame, end;

	frame = (sp - size) & mask;
	for (n = 1; n < level; n++)
		ld_size(c, linear_address(c, SEG_SS, (bp - n * size) & mask, size, false), size);
	end = (frame - level * size - (uint16_t)i->imm) & mask;
	/* The last byte of the new stack must be writable (SDM, ENTER). */
	for (n = 0; n <= level; n++)
		probe_write(c, linear_address(c, SEG_SS, (frame - n * size) & mask, size, true), size);
	probe_write(c, linear_address(c, SEG_SS, end, 1, true), 1);
	push(c, bp, size);
	/* The old frame may overlap the new one: each link is read when its turn comes. */
	for (n = 1; n < level; n++)
		push(c, ld_size(c, linear_address(c, SEG_SS, (bp - n * size) & mask, size, false), size), size);
	if (level)
		push(c, frame, size);
	set_sp(c, end);
	if (size == 8)
		c->s.gpr[RBP] = frame;
	else if (size == 4)
		c->s.gpr[RBP] = (uint32_t)frame;
	else
		put_le16(&c->s.gpr[RBP], (uint16_t)frame);
}

static void op_leave(struct cpu *c, const struct insn *i)
{
	struct operand bp = { .kind = OPD_GPR, .reg = RBP, .size = i->opsize };
	uint64_t mask = stack_mask(c), sp = c->s.gpr[RBP] & mask;
	uint64_t v = ld_size(c, linear_address(c, SEG_SS, sp, i->opsize, false), i->opsize);

	set_sp(c, sp + i->opsize);
	set_reg(c, &bp, v);
}

const op_handler stack_ops[OP_COUNT] = {
	[OP_PUSH] = op_push, [OP_POP] = op_pop, [OP_PUSHA] = op_pusha, [OP_POPA] = op_popa, [OP_PUSHF] = op_pushf,
	[OP_POPF] = op_popf, [OP_ENTER] = op_enter, [OP_LEAVE] = op_leave,
};
