/* SPDX-License-Identifier: MIT */
/*
 * The interpreter's handlers, called from translated code with the guest's general registers in memory and its vector
 * state left where it is: on the host's units.  Handlers in the list below, and all that they call, are compiled without
 * vector instructions (cflags_ in the Makefile); where they call out of cpu/ that state goes into memory first
 * (outside_begin, fault, the APIC's calls).  Others are called with that state saved.  Afterwards translated code goes on
 * at wherever RIP is, by way of the table for indirect branches.
 */
#include "base/log.h"
#include "cpu/interp/run.h"
#include "cpu/mmu.h"
#include "cpu/seg.h"
#include "cpu/xlat/run.h"
#include "cpu/xlat/xlat.h"

static bool clean_mov(const struct insn *i)
{
	unsigned cr = i->o[0].kind == OPD_CR ? i->o[0].reg : 3;

	if (i->o[0].kind == OPD_DR || i->o[1].kind == OPD_DR)
		return false;
	return cr == 2 || cr == 3;      /* CR0 and CR4 say whether vector state may be used, CR8 is the APIC's */
}

/* Those that can do with the guest's vector state where it is. */
static bool is_clean(const struct insn *i)
{
	switch (i->op) {
	case OP_MOV: return clean_mov(i);
	case OP_SYSCALL: case OP_SYSRET: case OP_SYSENTER: case OP_SYSEXIT: case OP_IRET: case OP_SWAPGS: case OP_CLAC: case OP_STAC:
	case OP_RDFSBASE: case OP_RDGSBASE: case OP_WRFSBASE: case OP_WRGSBASE: case OP_INVLPG: case OP_INVPCID: case OP_XGETBV:
	case OP_PUSHF: case OP_POPF: case OP_PUSH: case OP_POP: case OP_PUSHA: case OP_POPA: case OP_ENTER: case OP_LEAVE:
	case OP_CLI: case OP_STI: case OP_HLT: case OP_RDPID: case OP_WBINVD: case OP_CLFLUSH: case OP_CLFLUSHOPT: case OP_CLWB:
	case OP_VERR: case OP_VERW: case OP_LAR: case OP_LSL: case OP_STR: case OP_SLDT: case OP_SGDT: case OP_SIDT: case OP_SMSW:
	case OP_MOVS: case OP_STOS: case OP_LODS: case OP_CMPS: case OP_SCAS:
	case OP_BT: case OP_BTS: case OP_BTR: case OP_BTC: case OP_RETF: case OP_XCHG: case OP_XADD: case OP_CMPXCHG:
	case OP_PAUSE: case OP_IN: case OP_OUT: case OP_RDTSC: case OP_RDTSCP:
	case OP_CALLF: case OP_JMPF: case OP_INT: case OP_INT3: case OP_INTO: case OP_BOUND: case OP_LOOPE: case OP_LOOPNE:
	case OP_LDS: case OP_LES: case OP_LFS: case OP_LGS: case OP_LSS: case OP_LGDT: case OP_LIDT: case OP_XLAT:
	case OP_AAA: case OP_AAD: case OP_AAM: case OP_AAS: case OP_DAA: case OP_DAS: case OP_SALC: case OP_ARPL:
		return true;
	default:
		return false;
	}
}

/* Those that are about vector state, or may be, or are not compiled for it: it goes into memory first. */
static bool is_with_state_saved(const struct insn *i)
{
	switch (i->op) {
	case OP_MOV: case OP_CLTS: case OP_LMSW: case OP_XSETBV: case OP_CPUID: case OP_RDMSR: case OP_WRMSR: case OP_LGDT: case OP_LIDT:
	case OP_LLDT: case OP_LTR: case OP_RDRAND: case OP_RDSEED: case OP_VMCALL: case OP_VMMCALL:
	case OP_XSAVE: case OP_XSAVEOPT: case OP_XSAVEC: case OP_XSAVES: case OP_XRSTOR: case OP_XRSTORS: case OP_FXSAVE:
	case OP_FXRSTOR: case OP_LDMXCSR:
		return true;
	default:
		return false;
	}
}

bool xlat_is_light(const struct cpu *c, const struct insn *i)
{
	return !c->all->config.icount && (is_clean(i) || is_with_state_saved(i));
}

/* Where translated code for RIP may be; NULL: it is for the dispatcher to look. */
static void *here(struct cpu *c)
{
	if (!xlat_usable(c) || c->x->verify /* the block was not run as a whole */ || (code64(c) && !canonical(c->s.rip)) || !xlat_segment(c))
		return NULL;
	return c->indirect[xlat_ind_table(c)][xlat_ind_slot(c, c->s.rip)];
}

/* As interp_one() does it, without what a block that is thrown away costs.  s.rip is the instruction's. */
static void by_handler(struct cpu *c, const struct generic *g, uint64_t next)
{
	struct xlat *x = c->x;

	x->one.b.key = c->key;
	x->one.b.bytes = x->one.uops[0].len = g->insn.len;
	c->s.gpr[17] = c->s.rip;
	c->block = &x->one.b;
	c->cur = x->one.uops;
	c->leave = false;
	c->left--;
	if (g->insn.traits & INSN_ENDS_BLOCK) {         /* it may set RIP */
		c->s.rip = next;
		g->handler(c, &g->insn);
	} else {
		g->handler(c, &g->insn);
		if (c->cur)                             /* else it is not done yet */
			c->s.rip = next;
	}
	c->cur = NULL;
	c->block = NULL;
}

/*
 * Instruction k of b, by its handler.  Where to go on, with T0 = RIP and flags in the image, or NULL: it is for the dispatcher
 * to look.
 */
static void *run(struct cpu *c, struct xblock *b, unsigned k)
{
	uint64_t next = xlat_rip_of(c, b, k + 1);

	flags_from_image(c);
	c->s.rip = xlat_rip_of(c, b, k);
	by_handler(c, b->slow[k], next);
	flags_to_image(c);
	c->xe.exit_kind = EXIT_DONE;
	if (c->s.rip == next && !c->leave && b->b.valid && !c->step && !c->s.shadow && !c->debug_hit && k + 1 < b->b.n && !b->site[k + 1].fpu &&
	    !b->site[k + 1].window)
		return xlat_rx(c->x, b->host + b->site[k + 1].host);
	return here(c);
}

/* The instruction of an exit_arg is one that xlat_is_light(). */
void *xlat_light(struct cpu *c, uint32_t arg)
{
	struct xblock *b = arg_block(c->x, arg);
	unsigned k = arg_insn(arg);

	c->x->count.light[b->slow[k]->insn.op]++;
	if (c->xe.fpu && !is_clean(&b->slow[k]->insn))
		xlat_save_vector(c);
	return run(c, b, k);
}

/* b->slow[k] of an instruction that has code of its own.  False: no room, or the bytes are changing. */
static bool decode(struct cpu *c, struct xblock *b, unsigned k)
{
	unsigned len = b->site[k + 1].guest - b->site[k].guest;
	struct generic *g;
	struct insn i;

	if (xlat_decoded(b, k))
		return true;
	xlat_save_vector(c);                    /* the decoder is compiled as the compiler likes it */
	if (b->b.page2 != NO_PAGE || insn_decode(&i, b->b.code + b->site[k].guest, len, xlat_code_size(b->b.key)) != DECODE_OK || i.len != len)
		return false;
	interp_gate(c, &i);
	/* In the region that is filled now: it lives longer than b. */
	if (!b->slow)
		b->slow = cache_alloc(c->x, b->b.n * sizeof(*b->slow));
	g = cache_alloc(c->x, sizeof(*g));
	if (!b->slow || !g)
		return false;
	interp_generic(g, &i);
	b->slow[k] = g;
	return true;
}

static void *page_fault(struct cpu *c, struct xblock *b, unsigned k)
{
	c->x->count.slow[SLOW_FAULT][c->x->cause_write]++;
	flags_from_image(c);
	c->s.rip = xlat_rip_of(c, b, k);
	c->s.cr2 = c->xe.fill_at;
	c->fault_vector = VEC_PF;
	c->fault_code = (uint32_t)c->xe.fill_error;
	exception(c);
	flags_to_image(c);
	c->xe.exit_kind = EXIT_DONE;
	return here(c);
}

/*
 * A load or store of the instruction of an exit_arg could not go into the TLB.  If it faults, the handler's first instruction is
 * next.  Otherwise (a device, a page with code, two pages) the instruction is done by the interpreter's handler.
 */
void *xlat_access(struct cpu *c, uint32_t arg)
{
	struct xlat *x = c->x;
	struct xblock *b = arg_block(x, arg);
	unsigned k = arg_insn(arg), size = arg_code(arg);
	bool canonic = !code64(c) || canonical(c->xe.fill_at);

	if (c->all->config.icount || size > 3)
		goto slow;
	/* Of vectors, alignment counts before pages. */
	if (c->xe.fill_error >= 0 && canonic)
		return page_fault(c, b, k);
	if (!decode(c, b, k) || b->slow[k]->insn.op >= OP_INS || b->slow[k]->insn.op == OP_CRC32 || b->slow[k]->insn.traits & (INSN_X87 | INSN_MMX | INSN_SSE | INSN_AVX))
		goto slow;
	if (canonic) {
		x->count.slow[x->cause][x->cause_write]++;
		return run(c, b, k);
	}
slow:
	c->xe.exit_kind = EXIT_SLOW;
	return NULL;
}
