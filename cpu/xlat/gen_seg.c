/* SPDX-License-Identifier: MIT */
/*
 * Segments (SDM volume 3, 3.4 and 5.3).  A block is for one pattern of flat segments, which cost nothing.  In any other an
 * access is compared with the segment's bounds in struct cpu, which are such that one that is null, or may not be accessed
 * so, lets nothing pass; what does not pass is the interpreter's, who knows which fault it is.
 */
#include "cpu/xlat/gen.h"

bool gen_flat(const struct gen *g, unsigned seg, bool write)
{
	static const uint32_t flat[] = {
		[SEG_ES] = KEY_FLAT_ES, [SEG_CS] = KEY_FLAT_CS, [SEG_SS] = KEY_FLAT_SS, [SEG_DS] = KEY_FLAT_DS, [SEG_FS] = KEY_FS,
		[SEG_GS] = KEY_GS,
	};

	return g->wide || (g->key & flat[seg] && !(seg == SEG_CS && write));
}

void gen_segment(struct gen *g, unsigned seg, unsigned size, bool write)
{
	int32_t at = (int32_t)(offsetof(struct cpu, bounds) + seg * sizeof(struct bounds));

	if (gen_flat(g, seg, write)) {
		if (seg != SEG_FS && seg != SEG_GS)
			return;
		emit_load(&g->b, true, T1, rm_gs((int32_t)(offsetof(struct cpu, flat_base) + 8 * seg)));
		emit_lea(&g->b, g->wide, T0, rm_index(T0, T1, 0, 0));
		return;
	}
	if (size > 1)
		emit_lea(&g->b, true, T1, rm_base(T0, (int32_t)size - 1));
	emit_op(&g->b, 0x3b | EO_W, size > 1 ? T1 : T0, rm_gs(at + (int32_t)(write ? offsetof(struct bounds, last[TLB_WRITE]) :
									     offsetof(struct bounds, last[TLB_READ]))));
	gen_slow_if(g, 15);                                                 /* JG */
	if (g->key & KEY_DOWN) {
		emit_op(&g->b, 0x3b | EO_W, T0, rm_gs(at + (int32_t)offsetof(struct bounds, first)));
		gen_slow_if(g, 2);                                          /* JB */
	}
	emit_op(&g->b, 0x03, T0, rm_gs(at + (int32_t)offsetof(struct bounds, base)));
}

bool gen_linear(struct gen *g, unsigned size, bool write)
{
	if (cur(g)->mem.vsib)
		return false;
	gen_offset(g, T0);
	gen_segment(g, cur(g)->mem.seg, size, write);
	return true;
}

struct rm gen_selector(unsigned seg)
{
	return rm_gs((int32_t)(offsetof(struct cpu, s.seg) + seg * sizeof(struct segment) + offsetof(struct segment, selector)));
}

bool gen_mov_from_segment(struct gen *g)
{
	const struct insn *i = cur(g);
	struct rm m, selector = gen_selector(i->o[1].reg);
	int h;

	if (i->o[0].kind == OPD_GPR) {
		h = host_of(i->o[0].reg);
		emit_op(&g->b, 0x1b7, T0, selector);                    /* MOVZX */
		gen_commit(g);
		if (i->o[0].size == 2)
			emit_op(&g->b, 0x89 | EO_16, T0, h < 0 ? gpr_home(i->o[0].reg) : rm_reg(h));
		else if (h < 0)
			emit_store(&g->b, true, gpr_home(i->o[0].reg), T0);
		else
			emit_mov_rr(&g->b, false, (unsigned)h, T0);
		return true;
	}
	if (i->o[0].size != 2 || !gen_place(g, 0, PLACE_MEM, 2, true, &m))
		return false;
	if (m.index >= 0)
		emit_lea(&g->b, true, T0, m);
	m = m.index >= 0 ? rm_base(T0, 0) : m;
	emit_op(&g->b, 0x1b7, T1, selector);
	gen_commit(g);
	emit_op(&g->b, 0x89 | EO_16, T1, m);
	return true;
}

static struct rm segment_field(unsigned seg, size_t field)
{
	return rm_gs((int32_t)(offsetof(struct cpu, s.seg) + seg * sizeof(struct segment) + field));
}

bool gen_real_segment(struct gen *g, unsigned seg)
{
	uint16_t attr = SEG_P | SEG_S | SEG_RW | SEG_ACCESSED | (g->key & KEY_USER ? SEG_DPL : 0);

	/* SS holds interrupts off for an instruction.  In protected mode there is a descriptor. */
	if (!(g->key & KEY_REAL) || seg == SEG_SS || seg == SEG_CS || !xlat_is_light(g->c, cur(g)))
		return false;
	gen_clobber(g);
	/* What a load leaves as it is, if there is no more to it than the base. */
	emit_op(&g->b, 0x81, 7, segment_field(seg, offsetof(struct segment, limit)));
	emit32(&g->b, 0xffff);
	gen_handler_if(g, 5);
	emit_op(&g->b, 0x81 | EO_16, 7, segment_field(seg, offsetof(struct segment, attr)));
	emit_bytes(&g->b, &attr, 2);
	gen_handler_if(g, 5);
	g->by_handler[g->k] = true;
	return true;
}

void gen_set_real_segment(struct gen *g, unsigned seg)
{
	emit_op(&g->b, 0x1b7, T0, rm_reg(T0));                          /* MOVZX */
	emit_op(&g->b, 0x89 | EO_16, T0, segment_field(seg, offsetof(struct segment, selector)));
	emit_op(&g->b, 0xc1, 4, rm_reg(T0));                            /* SHL */
	emit8(&g->b, 4);
	emit_store(&g->b, true, segment_field(seg, offsetof(struct segment, base)), T0);
	emit_store(&g->b, true, rm_gs((int32_t)(offsetof(struct cpu, bounds) + seg * sizeof(struct bounds) + offsetof(struct bounds, base))), T0);
	if (seg == SEG_FS || seg == SEG_GS)
		emit_store(&g->b, true, rm_gs((int32_t)(offsetof(struct cpu, flat_base) + 8 * seg)), T0);
	g->fl = FL_SAVED;                                               /* as the handler leaves them */
}

bool gen_mov_to_segment(struct gen *g)
{
	const struct insn *i = cur(g);
	struct rm m = rm_reg(0);

	if (!gen_real_segment(g, i->o[0].reg))
		return false;
	if (i->o[1].kind == OPD_GPR)
		m = rm_reg(host_of(i->o[1].reg));
	else if (!gen_place(g, 0, PLACE_MEM, 2, false, &m))
		return false;
	emit_op(&g->b, 0x1b7, T0, m);
	gen_commit(g);
	gen_set_real_segment(g, i->o[0].reg);
	return true;
}

void gen_stack_linear(struct gen *g, unsigned host_reg, int32_t off, unsigned size, bool write)
{
	if (g->sp == 2 && !off) {
		emit_op(&g->b, 0x1b7, T0, rm_reg((int)host_reg));       /* MOVZX */
	} else {
		emit_lea(&g->b, g->wide, T0, rm_base((int)host_reg, off));
		if (g->sp == 2)
			emit_op(&g->b, 0x1b7, T0, rm_reg(T0));
	}
	gen_segment(g, SEG_SS, size, write);
}
