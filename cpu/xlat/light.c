/* SPDX-License-Identifier: MIT */
/*
 * The interpreter's handlers, called from translated code with the guest's general registers in memory and its vector
 * state left where it is: on the host's units.  Handlers in the list below, and all that they call, are compiled without
 * vector instructions (cflags_ in the Makefile); where they call out of cpu/ that state goes into memory first
 * (outside_begin, fault, the APIC's calls).  Afterwards translated code goes on at wherever RIP is, by way of the table for
 * indirect branches.
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

bool xlat_is_light(const struct cpu *c, const struct insn *i)
{
	if (c->all->config.icount)
		return false;
	switch (i->op) {
	case OP_MOV: return clean_mov(i);
	case OP_SYSCALL: case OP_SYSRET: case OP_SYSENTER: case OP_SYSEXIT: case OP_IRET: case OP_SWAPGS: case OP_CLAC: case OP_STAC:
	case OP_RDFSBASE: case OP_RDGSBASE: case OP_WRFSBASE: case OP_WRGSBASE: case OP_INVLPG: case OP_INVPCID: case OP_XGETBV:
	case OP_PUSHF: case OP_POPF: case OP_PUSH: case OP_POP: case OP_PUSHA: case OP_POPA: case OP_ENTER: case OP_LEAVE:
	case OP_CLI: case OP_STI: case OP_HLT: case OP_RDPID: case OP_WBINVD: case OP_CLFLUSH: case OP_CLFLUSHOPT: case OP_CLWB:
	case OP_VERR: case OP_VERW: case OP_LAR: case OP_LSL: case OP_STR: case OP_SLDT: case OP_SGDT: case OP_SIDT: case OP_SMSW:
	case OP_MOVS: case OP_STOS: case OP_LODS: case OP_CMPS: case OP_SCAS:
	case OP_BT: case OP_BTS: case OP_BTR: case OP_BTC: case OP_RETF: case OP_XCHG: case OP_XADD: case OP_CMPXCHG:
	case OP_PAUSE: case OP_IN: case OP_OUT:
		return true;
	default:
		return false;
	}
}

/* Where translated code for RIP may be; NULL: it is for the dispatcher to look. */
static void *here(struct cpu *c)
{
	if (!xlat_usable(c) || (code64(c) && !canonical(c->s.rip)))
		return NULL;
	return c->indirect[xlat_ind_table(c)][(uint16_t)c->s.rip];
}

/*
 * Instruction of an exit_arg: done when this returns.  Where to go on, with T0 = RIP and flags in the image, or NULL: to the
 * dispatcher.
 */
void *xlat_light(struct cpu *c, uint32_t arg)
{
	struct xlat *x = c->x;
	struct xblock *b = x->block[arg >> (ARG_INSN_BITS + ARG_SIZE_BITS)];
	unsigned k = arg >> ARG_SIZE_BITS & ((1 << ARG_INSN_BITS) - 1);
	uint64_t rip = b->rip + b->site[k].guest, next = b->rip + b->site[k + 1].guest;

	if (!code64(c)) {
		rip = (uint32_t)rip;
		next = (uint32_t)next;
	}
	x->count.light[b->slow[k]->insn.op]++;
	flags_from_image(c);
	c->s.rip = rip;
	interp_one(c, b->slow[k]);
	flags_to_image(c);
	if (c->s.rip == next && !c->leave && b->b.valid && !c->step && !c->s.shadow && !c->debug_hit && k + 1 < b->b.n)
		return xlat_rx(x, b->host + b->site[k + 1].host);
	return here(c);
}
