/* SPDX-License-Identifier: MIT */
/*
 * What operating systems execute all the time, in line: the interrupt flag, SWAPGS, the switch of AC around user
 * memory, FS and GS bases, PUSHF.  All of it at CPL 0 (or where no privilege is asked for); the rest is light.c's.
 */
#include "cpu/xlat/gen.h"

static bool kernel(const struct gen *g) { return !(g->key & (KEY_USER | KEY_INNER)); }

static void change_flags(struct gen *g, unsigned ext, uint32_t mask)
{
	emit_op(&g->b, 0x81, ext, CPU(s.flags));
	emit32(&g->b, mask);
}

static bool gen_cli(struct gen *g)
{
	gen_clobber(g);
	gen_commit(g);
	change_flags(g, 4, ~(uint32_t)FLAG_IF);
	return true;
}

/*
 * Interrupts that wait come after the next instruction: with one, this is the interpreter's.  One that comes now leads
 * out before the next instruction, and the dispatcher knows what stands before it (EXIT_ASYNC).
 */
static bool gen_sti(struct gen *g)
{
	if (g->k + 1 == g->n)
		return false;
	gen_clobber(g);
	emit_op(&g->b, 0x80, 7, CPU(irq_waits));
	emit8(&g->b, 0);
	gen_slow_if(g, 5);
	gen_commit(g);
	change_flags(g, 1, FLAG_IF);
	return true;
}

static bool gen_swapgs(struct gen *g)
{
	gen_clobber(g);
	emit_load(&g->b, true, T0, CPU(s.msr.kernel_gs_base));
	emit_load(&g->b, true, T1, CPU(s.seg[SEG_GS].base));
	gen_commit(g);
	emit_store(&g->b, true, CPU(s.msr.kernel_gs_base), T1);
	emit_store(&g->b, true, CPU(s.seg[SEG_GS].base), T0);
	emit_store(&g->b, true, CPU(flat_base[SEG_GS]), T0);
	return true;
}

/* STAC, CLAC: other rules for memory from here on, that is another key, another TLB, another block. */
static bool gen_ac(struct gen *g, bool set)
{
	uint32_t key = (set ? g->key & ~(uint32_t)KEY_SMAP : g->key | KEY_SMAP) & ~(uint32_t)KEY_PLAIN;
	struct tlb *tlb = &g->c->tlbs[set ? TLB_KERNEL : TLB_SMAP];

	if (!(g->c->s.cr4 & CR4_SMAP))
		return false;
	gen_clobber(g);
	emit_load(&g->b, true, T0, ENV(self));
	emit_lea(&g->b, true, T0, rm_base(T0, (int32_t)((uint8_t *)tlb - (uint8_t *)g->c)));
	gen_commit(g);
	change_flags(g, set ? 1 : 4, set ? FLAG_AC : ~(uint32_t)FLAG_AC);
	emit_op(&g->b, 0xc7, 0, CPU(key));
	emit32(&g->b, key);
	emit_store(&g->b, true, CPU(tlb), T0);
	gen_exit(g, -1, rip_behind(g));
	g->ended = true;
	return true;
}

/* RDFSBASE and RDGSBASE; the writing ones check that the address is canonical. */
static bool gen_base(struct gen *g, unsigned seg, bool write)
{
	const struct insn *i = cur(g);
	unsigned guest = i->o[0].reg;
	bool w = i->o[0].size == 8;
	int h = host_of(guest);

	gen_clobber(g);
	emit_op(&g->b, 0xf7, 0, CPU(s.cr4));                            /* TEST */
	emit32(&g->b, CR4_FSGSBASE);
	gen_slow_if(g, 4);
	if (!write) {
		emit_load(&g->b, w, T0, CPU(s.seg[seg].base));
		gen_commit(g);
		if (h < 0)
			emit_store(&g->b, true, gpr_home(guest), T0);
		else
			emit_mov_rr(&g->b, true, (unsigned)h, T0);
		return true;
	}
	if (h < 0)
		emit_load(&g->b, w, T0, gpr_home(guest));
	else
		emit_mov_rr(&g->b, w, T0, (unsigned)h);
	if (w) {
		emit_mov_rr(&g->b, true, T1, T0);
		emit_op(&g->b, 0xc1 | EO_W, 4, rm_reg(T1));             /* SHL, SAR by 16 */
		emit8(&g->b, 16);
		emit_op(&g->b, 0xc1 | EO_W, 7, rm_reg(T1));
		emit8(&g->b, 16);
		emit_op(&g->b, 0x3b | EO_W, T1, rm_reg(T0));
		gen_slow_if(g, 5);
	}
	gen_commit(g);
	emit_store(&g->b, true, CPU(s.seg[seg].base), T0);
	emit_store(&g->b, true, rm_gs((int32_t)(offsetof(struct cpu, flat_base) + 8 * seg)), T0);
	return true;
}

static bool gen_pushf(struct gen *g)
{
	const struct insn *i = cur(g);
	unsigned size = i->opsize;

	if ((g->key & (KEY_REAL | KEY_USER)) == (KEY_REAL | KEY_USER))  /* virtual-8086 mode: the IOPL counts */
		return false;
	gen_clobber(g);
	gen_stack_linear(g, HSPG, -(int32_t)size, size, true);
	emit_lea(&g->b, true, T0, gen_access(g, size, true));
	emit_store(&g->b, true, ENV(tmp), T0);
	/* The image is AX after LAHF, SETO: flags in the second byte, OF in the first. */
	emit_op(&g->b, 0x1b6, T0, ENV(image));                          /* MOVZX */
	emit_op(&g->b, 0xc1, 4, rm_reg(T0));                            /* SHL */
	emit8(&g->b, 11);
	emit_op(&g->b, 0x1b6, T1, rm_gs((int32_t)offsetof(struct cpu, xe.image) + 1));
	emit_alu_imm(&g->b, false, 4, rm_reg(T1), FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF);
	emit_op(&g->b, 0x0b, T1, rm_reg(T0));
	emit_load(&g->b, false, T0, CPU(s.flags));
	emit_alu_imm(&g->b, false, 4, rm_reg(T0), (int32_t)~(uint32_t)(FLAG_RF | FLAG_VM));
	emit_op(&g->b, 0x0b, T1, rm_reg(T0));
	emit_load(&g->b, true, T0, ENV(tmp));
	gen_commit(g);
	emit_op(&g->b, 0x89 | (size == 8 ? EO_W : size == 2 ? EO_16 : 0), T1, rm_base(T0, 0));
	gen_move_sp(g, -(int32_t)size);
	return true;
}

bool gen_system(struct gen *g)
{
	switch (cur(g)->op) {
	case OP_CLI: return kernel(g) && gen_cli(g);
	case OP_STI: return kernel(g) && gen_sti(g);
	case OP_SWAPGS: return kernel(g) && gen_swapgs(g);
	case OP_STAC: return kernel(g) && g->wide && gen_ac(g, true);
	case OP_CLAC: return kernel(g) && g->wide && gen_ac(g, false);
	case OP_RDFSBASE: return gen_base(g, SEG_FS, false);
	case OP_RDGSBASE: return gen_base(g, SEG_GS, false);
	case OP_WRFSBASE: return gen_base(g, SEG_FS, true);
	case OP_WRGSBASE: return gen_base(g, SEG_GS, true);
	case OP_PUSHF: return gen_pushf(g);
	default: return false;
	}
}
