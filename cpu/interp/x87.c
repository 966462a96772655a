/* SPDX-License-Identifier: MIT */
/*
 * The x87 FPU (SDM volume 1, chapter 8): everything that computes, moves or compares.
 *
 * The host's FPU runs the very instruction on the guest's registers (hostop.h), with the guest's control word: exceptions,
 * masked or not, only set bits in FSW, because nothing that waits comes after.  So results, flags, C1, stack faults and
 * the choice of NaN are exact.  Here is what the host must not do: availability, delivery of exceptions, memory operands with
 * their faults, and the pointers to the last instruction and operand, which are the guest's.
 * Instructions that load or store control state are in x87_env.c.
 */
#include "cpu/interp/x87.h"

#include "cpu/interp/hostop.h"

void x87_available(struct cpu *c)
{
	if (c->s.cr0 & (CR0_EM | CR0_TS))
		fault(c, VEC_NM, 0);
}

static bool pending(const struct fpu_area *f)
{
	return f->fsw & ~f->fcw & FSW_FLAGS;
}

/*
 * Without CR0.NE the error reaches the 8259 as IRQ 13, through FERR#.  The processor then stops before the next
 * waiting instruction until that interrupt arrives; here it goes on, and the interrupt comes as soon as it may.
 */
static void report(struct cpu *c)
{
	if (!(c->s.cr0 & CR0_NE) && c->all->ops->ferr)
		c->all->ops->ferr(c->all->owner);
}

void x87_check_pending(struct cpu *c)
{
	if (__builtin_expect(!pending(&c->s.fpu), 1))
		return;
	if (c->s.cr0 & CR0_NE)
		fault(c, VEC_MF, 0);
	report(c);
}

/* Instruction and operand pointers: offset and selector outside 64-bit mode, 64 bits of offset in it. */
static uint64_t pointer(const struct cpu *c, unsigned seg, uint64_t offset)
{
	return code64(c) ? offset : (uint32_t)offset | (uint64_t)c->s.seg[seg].selector << 32;
}

/* mem: NULL, or the operand, loaded or to be stored.  Returns whether a store took place. */
static bool run(struct cpu *c, const struct insn *i, void *mem)
{
	struct fpu_area *f = &c->s.fpu;
	uint64_t fdp = f->fdp;
	uint16_t fcw = f->fcw, old;
	bool waits = pending(f), flags_used = i->flags.read | i->flags.written;
	uint8_t flags = 0;

	if (waits) {            /* CR0.NE is 0: the host must not see it */
		f->fcw |= FCW_MASKS;
		f->fsw &= (uint16_t)~(FSW_ES | FSW_B);
	}
	if (flags_used)
		flags = (uint8_t)get_arith_flags(c);
	old = f->fsw;
	flags = host_x87(f, mem, i->opcode, i->modrm, flags);
	if (i->flags.written)
		set_arith_flags(c, flags & (FLAG_CF | FLAG_PF | FLAG_ZF));
	f->fcw = fcw;
	if (waits)
		f->fsw |= FSW_ES | FSW_B;
	f->mxcsr_mask = 0xffff;
	f->fip = pointer(c, SEG_CS, cpu_rip(c));
	f->fdp = fdp;
	f->fop = (uint16_t)((i->opcode & 7) << 8 | i->modrm);
	if (mem)
		f->fdp = pointer(c, i->mem.seg, effective_address(c, i));
	if (pending(f))
		report(c);
	/* Unmasked invalid operations, overflows and underflows keep a store from happening. */
	return waits || !(f->fsw & ~old & ~fcw & (0x01 | 0x08 | 0x10));
}

static void op_x87(struct cpu *c, const struct insn *i)
{
	uint8_t buf[16] = { 0 };
	const struct operand *o;
	uint64_t linear;

	x87_available(c);
	x87_check_pending(c);
	if (i->modrm >= 0xc0) {
		run(c, i, NULL);
		return;
	}
	o = &i->o[i->mem_op];
	linear = mem_address(c, i, o->size, o->written);
	if (o->written) {
		probe_write(c, linear, o->size);
		if (run(c, i, buf))
			st_bytes(c, linear, buf, o->size);
	} else {
		ld_bytes(c, linear, buf, o->size);
		run(c, i, buf);
	}
}

/* Control instructions do not move the pointers (SDM volume 1, 8.1.8). */
static void op_x87_control(struct cpu *c, const struct insn *i)
{
	struct fpu_area *f = &c->s.fpu;
	uint64_t fip, fdp;
	uint16_t fop;

	x87_available(c);
	x87_check_pending(c);
	fip = f->fip;
	fdp = f->fdp;
	fop = f->fop;
	run(c, i, NULL);
	f->fip = fip;
	f->fdp = fdp;
	f->fop = fop;
}

#define X(name) [OP_##name] = op_x87
const op_handler x87_ops[OP_COUNT] = {
	X(FADD), X(FADDP), X(FIADD), X(FMUL), X(FMULP), X(FIMUL), X(FSUB), X(FSUBP), X(FISUB), X(FSUBR), X(FSUBRP), X(FISUBR),
	X(FDIV), X(FDIVP), X(FIDIV), X(FDIVR), X(FDIVRP), X(FIDIVR),
	X(FCOM), X(FCOMP), X(FCOMPP), X(FICOM), X(FICOMP), X(FUCOM), X(FUCOMP), X(FUCOMPP),
	X(FCOMI), X(FCOMIP), X(FUCOMI), X(FUCOMIP), X(FTST), X(FXAM),
	X(FLD), X(FST), X(FSTP), X(FILD), X(FIST), X(FISTP), X(FISTTP), X(FBLD), X(FBSTP), X(FXCH),
	X(FCMOVB), X(FCMOVE), X(FCMOVBE), X(FCMOVU), X(FCMOVNB), X(FCMOVNE), X(FCMOVNBE), X(FCMOVNU),
	X(FLD1), X(FLDL2T), X(FLDL2E), X(FLDPI), X(FLDLG2), X(FLDLN2), X(FLDZ),
	X(FCHS), X(FABS), X(FSQRT), X(FSCALE), X(FRNDINT), X(FXTRACT), X(FPREM), X(FPREM1),
	X(FSIN), X(FCOS), X(FSINCOS), X(FPTAN), X(FPATAN), X(F2XM1), X(FYL2X), X(FYL2XP1),
	[OP_FDECSTP] = op_x87_control, [OP_FINCSTP] = op_x87_control, [OP_FFREE] = op_x87_control, [OP_FFREEP] = op_x87_control,
	[OP_FNOP] = op_x87_control,
};
