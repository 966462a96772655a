/* SPDX-License-Identifier: MIT */
/* Moves between registers, memory and segment registers; extensions, conditional moves, flags that are only set. */
#include "cpu/interp/flags.h"
#include "cpu/interp/interp.h"
#include "cpu/seg.h"

static void mov_to_segment(struct cpu *c, const struct insn *i)
{
	uint16_t selector = (uint16_t)get_operand(c, i, 1);

	if (i->o[0].reg == SEG_CS)
		fault_ud(c);
	segment_load(c, i->o[0].reg, selector);
	if (i->o[0].reg == SEG_SS) {
		c->s.shadow = 2;
		c->leave = true;
	}
}

static void op_mov(struct cpu *c, const struct insn *i)
{
	unsigned to = i->o[0].kind, from = i->o[1].kind;

	if (to == OPD_SEG) {
		mov_to_segment(c, i);
	} else if (from == OPD_SEG) {
		set_operand(c, i, 0, c->s.seg[i->o[1].reg].selector);
	} else if (to == OPD_CR || from == OPD_CR) {
		mov_cr(c, i);
	} else if (to == OPD_DR || from == OPD_DR) {
		mov_dr(c, i);
	} else {
		set_operand(c, i, 0, get_operand(c, i, 1));
	}
}

static void op_movzx(struct cpu *c, const struct insn *i)
{
	set_reg(c, &i->o[0], get_operand(c, i, 1));
}

static void op_movsx(struct cpu *c, const struct insn *i)
{
	set_reg(c, &i->o[0], sign_extend(get_operand(c, i, 1), i->o[1].size));
}

static void op_movbe(struct cpu *c, const struct insn *i)
{
	uint64_t v = get_operand(c, i, 1);

	set_operand(c, i, 0, __builtin_bswap64(v) >> (64 - 8 * i->o[0].size));
}

static void op_bswap(struct cpu *c, const struct insn *i)
{
	uint64_t v = get_reg(c, &i->o[0]);

	/* 16 bits: undefined; processors give 0. */
	set_reg(c, &i->o[0], i->o[0].size == 2 ? 0 : __builtin_bswap64(v) >> (64 - 8 * i->o[0].size));
}

static void op_lea(struct cpu *c, const struct insn *i)
{
	set_reg(c, &i->o[0], effective_address(c, i));
}

static void op_xlat(struct cpu *c, const struct insn *i)
{
	uint64_t at = c->s.gpr[RBX] + (uint8_t)c->s.gpr[RAX];

	at = i->addrsize == 8 ? at : i->addrsize == 4 ? (uint32_t)at : (uint16_t)at;
	*(uint8_t *)&c->s.gpr[RAX] = ld8(c, linear_address(c, i->mem.seg, at, 1, false));
}

static void op_cmovcc(struct cpu *c, const struct insn *i)
{
	uint64_t v = get_operand(c, i, 1);      /* loaded, and may fault, in any case */

	if (condition(c, i->cc))
		set_reg(c, &i->o[0], v);
	else if (i->o[0].size == 4)
		set_reg(c, &i->o[0], get_reg(c, &i->o[0]));     /* clears the upper half */
}

static void op_setcc(struct cpu *c, const struct insn *i)
{
	set_operand(c, i, 0, condition(c, i->cc));
}

static void op_cbw(struct cpu *c, const struct insn *i)
{
	struct operand ax = { .kind = OPD_GPR, .reg = RAX, .size = i->opsize };

	set_reg(c, &ax, sign_extend(c->s.gpr[RAX], i->opsize / 2u));
}

static void op_cwd(struct cpu *c, const struct insn *i)
{
	struct operand dx = { .kind = OPD_GPR, .reg = RDX, .size = i->opsize };

	set_reg(c, &dx, c->s.gpr[RAX] >> (8 * i->opsize - 1) & 1 ? UINT64_MAX : 0);
}

/* LDS LES LFS LGS LSS: offset and selector; the register changes after the segment did. */
static void load_far(struct cpu *c, const struct insn *i, unsigned seg)
{
	unsigned size = i->o[0].size;
	uint64_t linear = mem_address(c, i, size + 2, false), offset = ld_size(c, linear, size);
	uint16_t selector = ld16(c, (linear + size) & c->linear_mask);

	segment_load(c, seg, selector);
	set_reg(c, &i->o[0], offset);
}

static void op_lds(struct cpu *c, const struct insn *i) { load_far(c, i, SEG_DS); }
static void op_les(struct cpu *c, const struct insn *i) { load_far(c, i, SEG_ES); }
static void op_lfs(struct cpu *c, const struct insn *i) { load_far(c, i, SEG_FS); }
static void op_lgs(struct cpu *c, const struct insn *i) { load_far(c, i, SEG_GS); }

static void op_lss(struct cpu *c, const struct insn *i)
{
	load_far(c, i, SEG_SS);
}

static void op_lahf(struct cpu *c, const struct insn *i)
{
	(void)i;
	((uint8_t *)&c->s.gpr[RAX])[1] = (uint8_t)(get_arith_flags(c) & 0xd5) | 2;
}

static void op_sahf(struct cpu *c, const struct insn *i)
{
	(void)i;
	set_arith_flags(c, (((uint8_t *)&c->s.gpr[RAX])[1] & 0xd5) | (get_of(c) ? FLAG_OF : 0));
}

static void op_clc(struct cpu *c, const struct insn *i) { (void)i; set_cf(c, false); }
static void op_stc(struct cpu *c, const struct insn *i) { (void)i; set_cf(c, true); }
static void op_cmc(struct cpu *c, const struct insn *i) { (void)i; set_cf(c, !get_cf(c)); }
static void op_cld(struct cpu *c, const struct insn *i) { (void)i; c->s.flags &= ~(uint32_t)FLAG_DF; }
static void op_std(struct cpu *c, const struct insn *i) { (void)i; c->s.flags |= FLAG_DF; }
static void op_nop(struct cpu *c, const struct insn *i) { (void)c; (void)i; }

/* Where one thread runs all processors in turn, who spins must let the others run: firmware's locks open for an instant only. */
static void op_pause(struct cpu *c, const struct insn *i)
{
	(void)i;
	if (!c->all->config.icount || c->all->count < 2)
		return;
	c->kicked = true;
	atomic_store(&c->attention, 1);
	c->leave = true;
}

const op_handler mov_ops[OP_COUNT] = {
	[OP_MOV] = op_mov, [OP_MOVZX] = op_movzx, [OP_MOVSX] = op_movsx, [OP_MOVSXD] = op_movsx, [OP_MOVBE] = op_movbe,
	[OP_MOVNTI] = op_mov, [OP_BSWAP] = op_bswap, [OP_LEA] = op_lea, [OP_XLAT] = op_xlat, [OP_CMOVCC] = op_cmovcc,
	[OP_SETCC] = op_setcc, [OP_CBW] = op_cbw, [OP_CWD] = op_cwd, [OP_LDS] = op_lds, [OP_LES] = op_les, [OP_LFS] = op_lfs,
	[OP_LGS] = op_lgs, [OP_LSS] = op_lss, [OP_LAHF] = op_lahf, [OP_SAHF] = op_sahf, [OP_CLC] = op_clc, [OP_STC] = op_stc,
	[OP_CMC] = op_cmc, [OP_CLD] = op_cld, [OP_STD] = op_std, [OP_NOP] = op_nop, [OP_PAUSE] = op_pause,
	[OP_ENDBR32] = op_nop, [OP_ENDBR64] = op_nop, [OP_PREFETCH] = op_nop, [OP_PREFETCHW] = op_nop,
	[OP_PREFETCHWT1] = op_nop, [OP_PREFETCHNTA] = op_nop, [OP_PREFETCHT0] = op_nop, [OP_PREFETCHT1] = op_nop,
	[OP_PREFETCHT2] = op_nop,
};
