/* SPDX-License-Identifier: MIT */
/*
 * Far transfers: JMP, CALL, RET and IRET between segments, through call gates and task gates, and between rings (SDM
 * volume 2, CALL JMP RET IRET; volume 3, 5.8).
 */
#include "cpu/interp/interp.h"
#include "cpu/seg.h"

static void check_limit(struct cpu *c, const struct desc *d, uint64_t rip, bool to64)
{
	if (to64 ? !canonical(rip) : rip > desc_limit(d))
		fault_gp(c, 0);
}

static bool to_64bit(const struct cpu *c, const struct desc *d)
{
	return long_mode(c) && desc_long(d);
}

/* A code segment that is the direct target of a far JMP or CALL. */
static void check_direct(struct cpu *c, uint16_t selector, const struct desc *d)
{
	bool ok = desc_is_conforming(d) ? desc_dpl(d) <= c->s.cpl : (selector & 3u) <= c->s.cpl && desc_dpl(d) == c->s.cpl;

	if (!ok || (long_mode(c) && desc_long(d) && desc_big(d)))
		fault_gp(c, selector & ~3u);
	if (!desc_present(d))
		fault(c, VEC_NP, selector & ~3u);
}

struct far {
	uint16_t selector;
	uint64_t offset;
};

static struct far far_target(struct cpu *c, const struct insn *i)
{
	struct far t;
	uint64_t linear;

	if (i->o[0].kind == OPD_FAR) {
		t.selector = (uint16_t)i->imm2;
		t.offset = i->opsize == 2 ? (uint16_t)i->imm : (uint32_t)i->imm;
		return t;
	}
	linear = mem_address(c, i, i->opsize + 2u, false);
	t.offset = ld_size(c, linear, i->opsize);
	t.selector = ld16(c, (linear + i->opsize) & c->linear_mask);
	return t;
}

/* What a call gate leads to; faults unless cpl may use the gate.  Returns the gate's type. */
static unsigned through_gate(struct cpu *c, uint16_t selector, const struct desc *gate, struct far *to, struct desc *code)
{
	unsigned type = desc_type(gate);

	if (desc_dpl(gate) < c->s.cpl || desc_dpl(gate) < (selector & 3u))
		fault_gp(c, selector & ~3u);
	if (!desc_present(gate))
		fault(c, VEC_NP, selector & ~3u);
	to->selector = (uint16_t)(gate->raw >> 16);
	to->offset = gate->raw & 0xffff;
	if (type == SYS_CALL32)
		to->offset |= gate->raw >> 32 & 0xffff0000;
	to->offset |= gate->high << 32;
	if (selector_null(to->selector))
		fault_gp(c, 0);
	if (!desc_read(c, to->selector, code) || desc_is_system(code) || !desc_is_code(code) || desc_dpl(code) > c->s.cpl)
		fault_gp(c, to->selector & ~3u);
	if (long_mode(c) && (!desc_long(code) || desc_big(code)))
		fault_gp(c, to->selector & ~3u);
	if (!desc_present(code))
		fault(c, VEC_NP, to->selector & ~3u);
	return type;
}

/* Reads the descriptor of a far target in protected mode. */
static void read_target(struct cpu *c, uint16_t selector, struct desc *d)
{
	if (selector_null(selector))
		fault_gp(c, 0);
	if (!desc_read_system(c, selector, d))
		fault_gp(c, selector & ~3u);
}

static void check_task(struct cpu *c, uint16_t selector, const struct desc *d)
{
	if (long_mode(c) || desc_dpl(d) < c->s.cpl || desc_dpl(d) < (selector & 3u))
		fault_gp(c, selector & ~3u);
	if (!desc_present(d))
		fault(c, VEC_NP, selector & ~3u);
}

static void jump_real(struct cpu *c, struct far t)
{
	if (t.offset > c->s.seg[SEG_CS].limit)
		fault_gp(c, 0);
	segment_load_real(c, SEG_CS, t.selector);
	c->s.rip = t.offset;
}

static void op_jmpf(struct cpu *c, const struct insn *i)
{
	struct far t = far_target(c, i);
	struct desc d, code;

	if (real_or_v86(c)) {
		jump_real(c, t);
		return;
	}
	read_target(c, t.selector, &d);
	if (!desc_is_system(&d)) {
		if (!desc_is_code(&d))
			fault_gp(c, t.selector & ~3u);
		check_direct(c, t.selector, &d);
		check_limit(c, &d, t.offset, to_64bit(c, &d));
		segment_load_cs(c, t.selector, &d, c->s.cpl);
		c->s.rip = t.offset;
		return;
	}
	switch (desc_type(&d)) {
	case SYS_CALL16:
	case SYS_CALL32:
		if (long_mode(c) && desc_type(&d) == SYS_CALL16)
			fault_gp(c, t.selector & ~3u);
		through_gate(c, t.selector, &d, &t, &code);
		if (!desc_is_conforming(&code) && desc_dpl(&code) != c->s.cpl)
			fault_gp(c, t.selector & ~3u);
		check_limit(c, &code, t.offset, long_mode(c));
		segment_load_cs(c, t.selector, &code, c->s.cpl);
		c->s.rip = t.offset;
		return;
	case SYS_TASK_GATE:
		check_task(c, t.selector, &d);
		task_switch(c, (uint16_t)(d.raw >> 16), TASK_JMP, next_rip(c, i), false, 0);
		return;
	case SYS_TSS16:
	case SYS_TSS32:
		check_task(c, t.selector, &d);
		task_switch(c, t.selector, TASK_JMP, next_rip(c, i), false, 0);
		return;
	default:
		fault_gp(c, t.selector & ~3u);
	}
}

/* Linear address in the inner stack that a call gate fills; sp is within mask. */
static uint64_t inner_address(struct cpu *c, const struct segment *ss, uint64_t sp, unsigned size)
{
	if (long_mode(c))
		return sp;
	if ((ss->attr & SEG_DOWN) ? sp <= ss->limit : sp + size - 1 > ss->limit && ss->limit != 0xffffffff)
		fault(c, VEC_SS, ss->selector & ~3u);
	return (uint32_t)(ss->base + sp);
}

/* A call gate to an inner ring: new stack, old SS:SP, parameters, return address. */
static void call_inner(struct cpu *c, const struct insn *i, unsigned type, unsigned params, struct far t, struct desc *code)
{
	unsigned ring = desc_dpl(code), size = long_mode(c) ? 8 : type == SYS_CALL32 ? 4 : 2, k;
	uint64_t sp, mask, values[36];
	unsigned n = 0;
	struct segment ss;

	if (long_mode(c)) {
		ss = (struct segment){ .selector = (uint16_t)ring, .attr = (uint16_t)(ring << 5) };
		sp = tss_stack64(c, ring);
		mask = UINT64_MAX;
		params = 0;
		if (!canonical(sp) || !canonical(sp - 32))
			fault(c, VEC_SS, 0);
	} else {
		uint32_t esp;

		inner_stack(c, ring, 0, &ss, &esp);
		sp = esp;
		mask = ss.attr & SEG_DB ? 0xffffffff : 0xffff;
	}
	check_limit(c, code, t.offset, long_mode(c));
	values[n++] = c->s.seg[SEG_SS].selector;
	values[n++] = c->s.gpr[RSP];
	for (k = params; k-- > 0;)
		values[n++] = stack_peek(c, k * size, size);
	values[n++] = c->s.seg[SEG_CS].selector;
	values[n++] = next_rip(c, i);
	for (k = 0; k < n; k++) {
		sp = (sp - size) & mask;
		st_system(c, inner_address(c, &ss, sp, size), values[k], size);
	}
	c->s.seg[SEG_SS] = ss;
	c->s.gpr[RSP] = mask == 0xffff ? (c->s.gpr[RSP] & 0xffff0000) | sp : sp;
	segment_load_cs(c, t.selector, code, ring);
	c->s.rip = t.offset;
}

/* CS and RIP pushed by a call that stays in its ring; `room` was checked. */
static void push_return(struct cpu *c, uint64_t next, unsigned size)
{
	uint64_t mask = stack_mask(c), sp = c->s.gpr[RSP];

	probe_write(c, linear_address(c, SEG_SS, (sp - size) & mask, size, true), size);
	probe_write(c, linear_address(c, SEG_SS, (sp - 2 * size) & mask, size, true), size);
	push(c, c->s.seg[SEG_CS].selector, size);
	push(c, next, size);
}

static void op_callf(struct cpu *c, const struct insn *i)
{
	struct far t = far_target(c, i);
	uint16_t selector = t.selector;
	struct desc d, code;
	unsigned type;

	if (real_or_v86(c)) {
		if (t.offset > c->s.seg[SEG_CS].limit)
			fault_gp(c, 0);
		push_return(c, next_rip(c, i), i->opsize);
		jump_real(c, t);
		return;
	}
	read_target(c, t.selector, &d);
	if (!desc_is_system(&d)) {
		if (!desc_is_code(&d))
			fault_gp(c, t.selector & ~3u);
		check_direct(c, t.selector, &d);
		check_limit(c, &d, t.offset, to_64bit(c, &d));
		push_return(c, next_rip(c, i), i->opsize);
		segment_load_cs(c, t.selector, &d, c->s.cpl);
		c->s.rip = t.offset;
		return;
	}
	switch (desc_type(&d)) {
	case SYS_CALL16:
	case SYS_CALL32:
		if (long_mode(c) && desc_type(&d) == SYS_CALL16)
			fault_gp(c, t.selector & ~3u);
		type = through_gate(c, t.selector, &d, &t, &code);
		if (!desc_is_conforming(&code) && desc_dpl(&code) < c->s.cpl) {
			call_inner(c, i, type, d.raw >> 32 & 31, t, &code);
			return;
		}
		check_limit(c, &code, t.offset, long_mode(c));
		push_return(c, next_rip(c, i), long_mode(c) ? 8 : type == SYS_CALL32 ? 4 : 2);
		segment_load_cs(c, t.selector, &code, c->s.cpl);
		c->s.rip = t.offset;
		return;
	case SYS_TASK_GATE:
		check_task(c, selector, &d);
		task_switch(c, (uint16_t)(d.raw >> 16), TASK_CALL, next_rip(c, i), false, 0);
		return;
	case SYS_TSS16:
	case SYS_TSS32:
		check_task(c, selector, &d);
		task_switch(c, selector, TASK_CALL, next_rip(c, i), false, 0);
		return;
	default:
		fault_gp(c, selector & ~3u);
	}
}

/* The stack segment that RETF or IRET returns to in an outer ring (or the same, for IRETQ); may be null in 64-bit code. */
static void check_outer_ss(struct cpu *c, uint16_t selector, unsigned cpl, bool to64, struct desc *d)
{
	if (selector_null(selector)) {
		if (!to64 || cpl == 3)
			fault_gp(c, 0);
		return;
	}
	if (!desc_read(c, selector, d) || (selector & 3u) != cpl || desc_is_system(d) || desc_is_code(d) ||
	    !(desc_type(d) & SEG_RW) || desc_dpl(d) != cpl)
		fault_gp(c, selector & ~3u);
	if (!desc_present(d))
		fault(c, VEC_SS, selector & ~3u);
}

static void check_return_cs(struct cpu *c, uint16_t selector, struct desc *d)
{
	unsigned rpl = selector & 3u;

	if (selector_null(selector))
		fault_gp(c, 0);
	if (!desc_read(c, selector, d) || desc_is_system(d) || !desc_is_code(d) || rpl < c->s.cpl ||
	    (desc_is_conforming(d) ? desc_dpl(d) > rpl : desc_dpl(d) != rpl) || (long_mode(c) && desc_long(d) && desc_big(d)))
		fault_gp(c, selector & ~3u);
	if (!desc_present(d))
		fault(c, VEC_NP, selector & ~3u);
}

static void load_outer_ss(struct cpu *c, uint16_t selector, unsigned cpl, struct desc *d)
{
	if (selector_null(selector)) {
		c->s.seg[SEG_SS] = (struct segment){ .selector = selector, .attr = (uint16_t)(cpl << 5) };
		return;
	}
	desc_set_accessed(c, d);
	segment_set(&c->s.seg[SEG_SS], selector, d);
}

/* The stack pointer that was popped, as wide as the new stack is. */
static void set_outer_sp(struct cpu *c, uint64_t sp, unsigned size)
{
	if (size == 8 || code64(c))
		c->s.gpr[RSP] = sp;
	else if (c->s.seg[SEG_SS].attr & SEG_DB)
		c->s.gpr[RSP] = (uint32_t)sp;
	else if (size == 4)
		c->s.gpr[RSP] = (c->s.gpr[RSP] & 0xffff0000) | (sp & 0xffff);
	else
		put_le16(&c->s.gpr[RSP], (uint16_t)sp);
}

static void op_retf(struct cpu *c, const struct insn *i)
{
	unsigned size = i->opsize, extra = i->operands ? (uint16_t)i->imm : 0, rpl;
	uint64_t rip = stack_peek(c, 0, size), sp;
	uint16_t selector = (uint16_t)stack_peek(c, size, size), ss;
	struct desc d, stack = { 0, 0, 0 };

	if (real_or_v86(c)) {
		if (rip > c->s.seg[SEG_CS].limit)
			fault_gp(c, 0);
		segment_load_real(c, SEG_CS, selector);
		add_sp(c, 2 * size + extra);
		c->s.rip = rip;
		return;
	}
	check_return_cs(c, selector, &d);
	rpl = selector & 3u;
	check_limit(c, &d, rip, to_64bit(c, &d));
	if (rpl == c->s.cpl) {
		add_sp(c, 2 * size + extra);
		segment_load_cs(c, selector, &d, rpl);
		c->s.rip = rip;
		return;
	}
	sp = stack_peek(c, 2 * size + extra, size);
	ss = (uint16_t)stack_peek(c, 3 * size + extra, size);
	check_outer_ss(c, ss, rpl, to_64bit(c, &d), &stack);
	segment_load_cs(c, selector, &d, rpl);
	load_outer_ss(c, ss, rpl, &stack);
	set_outer_sp(c, sp, size);
	cpu_mode_changed(c);
	add_sp(c, extra);
	segments_drop_inner(c, rpl);
	cpu_mode_changed(c);
	c->s.rip = rip;
}

/* --- IRET ------------------------------------------------------------------------------------------------------- */

static uint32_t iret_mask(const struct cpu *c, unsigned size)
{
	uint32_t mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT | (size == 2 ? 0 : FLAG_RF | FLAG_AC | FLAG_ID);

	if (c->s.cpl <= iopl(c))
		mask |= FLAG_IF;
	if (c->s.cpl == 0)
		mask |= FLAG_IOPL | (size == 2 ? 0 : FLAG_VIF | FLAG_VIP);
	return mask;
}

static void iret_real(struct cpu *c, unsigned size)
{
	uint64_t rip = stack_peek(c, 0, size);
	uint16_t cs = (uint16_t)stack_peek(c, size, size);
	uint32_t flags = (uint32_t)stack_peek(c, 2 * size, size);
	uint32_t mask = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT | (size == 2 ? 0 : FLAG_RF | FLAG_AC | FLAG_ID);

	if (rip > c->s.seg[SEG_CS].limit)
		fault_gp(c, 0);
	if (c->s.flags & FLAG_VM) {
		if (iopl(c) < 3) {
			/* VME: 16-bit IRET works on VIF. */
			if (!(c->s.cr4 & CR4_VME) || size != 2 || flags & FLAG_TF || (flags & FLAG_IF && c->s.flags & FLAG_VIP))
				fault_gp(c, 0);
			flags = (flags & ~(uint32_t)FLAG_VIF) | (flags & FLAG_IF ? FLAG_VIF : 0);
			mask |= FLAG_VIF;
		} else {
			mask |= FLAG_IF;
		}
	} else {
		mask |= FLAG_IF | FLAG_IOPL;
	}
	add_sp(c, 3 * size);
	segment_load_real(c, SEG_CS, cs);
	c->s.rip = rip;
	set_flags(c, flags, mask);
}

static void iret_to_v86(struct cpu *c, uint32_t flags, uint64_t rip, uint16_t cs)
{
	static const uint8_t order[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	uint32_t esp = (uint32_t)stack_peek(c, 12, 4);
	uint16_t ss = (uint16_t)stack_peek(c, 16, 4), data[4];
	unsigned k;

	for (k = 0; k < 4; k++)
		data[k] = (uint16_t)stack_peek(c, 20 + 4 * k, 4);
	set_flags(c, flags, FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC |
			    FLAG_VIF | FLAG_VIP | FLAG_ID);
	c->s.cpl = 3;
	segment_load_real(c, SEG_CS, cs);
	segment_load_real(c, SEG_SS, ss);
	for (k = 0; k < 4; k++)
		segment_load_real(c, order[k], data[k]);
	c->s.gpr[RSP] = esp;
	c->s.rip = rip & 0xffff;
	cpu_mode_changed(c);
}

static void op_iret(struct cpu *c, const struct insn *i)
{
	unsigned size = i->opsize, rpl;
	uint64_t rip, sp = 0;
	struct desc d, stack = { 0, 0, 0 };
	uint16_t cs, ss = 0;
	uint32_t flags, mask;
	bool to64, pops_ss;

	if (real_or_v86(c)) {
		iret_real(c, size);
		c->s.nmi_blocked = false;
		return;
	}
	if (c->s.flags & FLAG_NT) {
		if (long_mode(c))
			fault_gp(c, 0);
		task_switch(c, (uint16_t)ld_system(c, c->s.tr.base, 2), TASK_IRET, next_rip(c, i), false, 0);
		c->s.nmi_blocked = false;
		return;
	}
	rip = stack_peek(c, 0, size);
	cs = (uint16_t)stack_peek(c, size, size);
	flags = (uint32_t)stack_peek(c, 2 * size, size);
	if (flags & FLAG_VM && size == 4 && c->s.cpl == 0 && !long_mode(c)) {
		iret_to_v86(c, flags, rip, cs);
		c->s.nmi_blocked = false;
		return;
	}
	check_return_cs(c, cs, &d);
	rpl = cs & 3u;
	to64 = to_64bit(c, &d);
	pops_ss = code64(c) || rpl != c->s.cpl;
	if (pops_ss) {
		sp = stack_peek(c, 3 * size, size);
		ss = (uint16_t)stack_peek(c, 4 * size, size);
		check_outer_ss(c, ss, rpl, to64, &stack);
	}
	check_limit(c, &d, rip, to64);
	mask = iret_mask(c, size);
	if (pops_ss) {
		bool outer = rpl != c->s.cpl;

		desc_set_accessed(c, &d);
		if (!selector_null(ss))
			desc_set_accessed(c, &stack);
		segment_load_cs(c, cs, &d, rpl);
		load_outer_ss(c, ss, rpl, &stack);
		set_outer_sp(c, sp, size);
		if (outer)
			segments_drop_inner(c, rpl);
	} else {
		add_sp(c, 3 * size);
		segment_load_cs(c, cs, &d, rpl);
	}
	c->s.rip = rip;
	c->s.nmi_blocked = false;
	set_flags(c, flags, mask);
	cpu_mode_changed(c);
}

const op_handler far_ops[OP_COUNT] = {
	[OP_JMPF] = op_jmpf, [OP_CALLF] = op_callf, [OP_RETF] = op_retf, [OP_IRET] = op_iret,
};
