/* SPDX-License-Identifier: MIT */
/*
 * The x87 FPU (SDM volume 1, chapter 8): everything that computes, moves or compares.
 *
 * The host's FPU runs the very instruction on the guest's registers (hostop.h), with the guest's control word:
 * exceptions, masked or not, only set bits in FSW, because nothing that waits comes after.  So results, flags, C1,
 * stack faults and the choice of NaN are exact.  Here is what the host must not do: availability, delivery of
 * exceptions, memory operands with their faults, and the pointers to the last instruction and operand, which are the
 * guest's.  Instructions that load or store control state are in x87_env.c.
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

/* --- the frequent ones, without the whole state -------------------------------------------------------------- */

/* What such an instruction does besides computing. */
enum { USES_STI = 1, POPS = 2, PUSHES = 4, COMPARES = 8, HOST_POPS = 16 };

/*
 * The form of i that neither pushes nor pops, by opcode and ModRM (pops are done here; where there is no such form,
 * HOST_POPS).  False: i is not one of the frequent.  ST(i) becomes ST(1).
 */
static bool plain_form(const struct insn *i, uint8_t *opcode, uint8_t *modrm, unsigned *what)
{
	bool mem = i->modrm < 0xc0;
	unsigned sti = !mem && i->modrm & 7 ? USES_STI : 0;

	*opcode = i->opcode;
	*modrm = i->modrm;
	*what = 0;
	switch ((int)i->op) {
	case OP_FADD: case OP_FMUL: case OP_FSUB: case OP_FSUBR: case OP_FDIV: case OP_FDIVR:
		*what = sti;
		return true;
	case OP_FADDP: case OP_FMULP: case OP_FSUBP: case OP_FSUBRP: case OP_FDIVP: case OP_FDIVRP:
		*opcode = 0xdc;
		*what = sti | POPS;
		return sti;
	case OP_FIADD: case OP_FIMUL: case OP_FISUB: case OP_FISUBR: case OP_FIDIV: case OP_FIDIVR:
	case OP_FCHS: case OP_FABS: case OP_FSQRT: case OP_FRNDINT:
		return true;
	case OP_FCOM: case OP_FUCOM:
		*what = sti | COMPARES;
		return true;
	case OP_FCOMP:
		*modrm -= 8;
		*what = sti | COMPARES | POPS;
		return i->opcode == 0xd8 || mem;
	case OP_FUCOMP:
		*modrm -= 8;
		*what = sti | COMPARES | POPS;
		return true;
	case OP_FCOMI: case OP_FUCOMI:
		*what = sti;
		return true;
	case OP_FCOMIP: case OP_FUCOMIP:
		*opcode = 0xdb;
		*what = sti | POPS;
		return true;
	case OP_FLD: case OP_FILD:
		*what = PUSHES;
		return mem;
	case OP_FLD1: case OP_FLDZ: case OP_FLDPI: case OP_FLDL2E: case OP_FLDL2T: case OP_FLDLG2: case OP_FLDLN2:
		*what = PUSHES;
		return true;
	case OP_FST: case OP_FIST:
		return mem;
	case OP_FSTP: case OP_FISTP: case OP_FISTTP:
		*what = HOST_POPS;
		return mem;
	default:
		return false;
	}
}

static bool full(const struct fpu_area *f, unsigned n)
{
	return f->ftw >> ((n + (f->fsw >> 11)) & 7) & 1;
}

static void push(struct fpu_area *f, const uint8_t *value)
{
	memmove(f->st[1], f->st[0], sizeof(f->st) - sizeof(f->st[0]));
	memcpy(f->st[0], value, 16);
	f->fsw = (uint16_t)((f->fsw & ~FSW_TOP) | ((f->fsw - (1 << 11)) & FSW_TOP));
	f->ftw |= (uint8_t)(1 << (f->fsw >> 11 & 7));
}

static void pop(struct fpu_area *f)
{
	uint8_t old[16];

	f->ftw &= (uint8_t)~(1 << (f->fsw >> 11 & 7));
	f->fsw = (uint16_t)((f->fsw & ~FSW_TOP) | ((f->fsw + (1 << 11)) & FSW_TOP));
	memcpy(old, f->st[0], 16);
	memmove(f->st[0], f->st[1], sizeof(f->st) - sizeof(f->st[0]));
	memcpy(f->st[7], old, 16);
}

/* Moves between registers, which can raise nothing but stack faults: those are left to the host. */
static bool run_move(struct cpu *c, const struct insn *i)
{
	struct fpu_area *f = &c->s.fpu;
	unsigned n = i->modrm & 7;
	uint8_t v[16];

	if (!full(f, 0) && i->op != OP_FLD)
		return false;
	switch ((int)i->op) {
	case OP_FXCH:
		if (!full(f, n))
			return false;
		memcpy(v, f->st[0], 16);
		memcpy(f->st[0], f->st[n], 16);
		memcpy(f->st[n], v, 16);
		break;
	case OP_FLD:
		if (full(f, 7) || !full(f, n))
			return false;
		memcpy(v, f->st[n], 16);
		push(f, v);
		break;
	case OP_FST: case OP_FSTP:
		memmove(f->st[n], f->st[0], 16);
		f->ftw |= (uint8_t)(1 << ((n + (f->fsw >> 11)) & 7));
		if (i->op == OP_FSTP)
			pop(f);
		break;
	default:
		return false;
	}
	f->fsw &= (uint16_t)~FSW_C1;
	f->fip = pointer(c, SEG_CS, cpu_rip(c));
	f->fop = (uint16_t)((i->opcode & 7) << 8 | i->modrm);
	return true;
}

/* True: done, with what a store has to write in mem. */
static bool run_light(struct cpu *c, const struct insn *i, void *mem)
{
	struct fpu_area *f = &c->s.fpu;
	struct host_x87_light l = { .mem = mem, .fcw = f->fcw, .fsw = f->fsw, .how = X87_KEEPS };
	uint8_t pushed[16] __attribute__((aligned(16))) = { 0 };
	uint8_t opcode, modrm;
	uint16_t taken;
	unsigned what;

	if ((f->fcw & FCW_MASKS) != FCW_MASKS || !plain_form(i, &opcode, &modrm, &what))
		return false;
	l.st0 = f->st[0];
	if (what & PUSHES) {
		if (full(f, 7))
			return false;
		l.st0 = pushed;
		l.how = X87_PUSHES;
	} else if (!full(f, 0)) {
		return false;
	}
	if (what & USES_STI) {
		if (!full(f, i->modrm & 7))
			return false;
		modrm = (uint8_t)((modrm & 0xf8) | 1);
		l.sti = f->st[i->modrm & 7];
	}
	if (what & HOST_POPS)
		l.how = X87_POPS;
	host_x87_light(&l, opcode, modrm);
	/* The other condition bits are left as they are, as the host does; comparisons into EFLAGS leave C1 too. */
	taken = FSW_FLAGS | (i->flags.written ? 0 : FSW_C1) | (what & COMPARES ? 0x4500 : 0);
	f->fsw = (uint16_t)((f->fsw & ~(taken & ~FSW_FLAGS)) | (l.fsw & taken));
	if (i->flags.written)
		set_arith_flags(c, l.flags & (FLAG_CF | FLAG_PF | FLAG_ZF));
	if (what & PUSHES)
		push(f, pushed);
	if (what & (POPS | HOST_POPS))
		pop(f);
	f->fip = pointer(c, SEG_CS, cpu_rip(c));
	f->fop = (uint16_t)((i->opcode & 7) << 8 | i->modrm);
	if (mem)
		f->fdp = pointer(c, i->mem.seg, effective_address(c, i));
	return true;
}

static void op_x87(struct cpu *c, const struct insn *i)
{
	uint8_t buf[16] = { 0 };
	const struct operand *o;
	uint64_t linear;

	x87_available(c);
	x87_check_pending(c);
	if (i->modrm >= 0xc0) {
		if (run_move(c, i) || run_light(c, i, NULL))
			return;
		run(c, i, NULL);
		return;
	}
	o = &i->o[i->mem_op];
	linear = mem_address(c, i, o->size, o->written);
	if (o->written) {
		probe_write(c, linear, o->size);
		if (run_light(c, i, buf) || run(c, i, buf))
			st_bytes(c, linear, buf, o->size);
	} else {
		ld_bytes(c, linear, buf, o->size);
		if (!run_light(c, i, buf))
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
	X(FADD), X(FADDP), X(FIADD), X(FMUL), X(FMULP), X(FIMUL), X(FSUB), X(FSUBP), X(FISUB), X(FSUBR), X(FSUBRP),
	X(FISUBR),
	X(FDIV), X(FDIVP), X(FIDIV), X(FDIVR), X(FDIVRP), X(FIDIVR),
	X(FCOM), X(FCOMP), X(FCOMPP), X(FICOM), X(FICOMP), X(FUCOM), X(FUCOMP), X(FUCOMPP),
	X(FCOMI), X(FCOMIP), X(FUCOMI), X(FUCOMIP), X(FTST), X(FXAM),
	X(FLD), X(FST), X(FSTP), X(FILD), X(FIST), X(FISTP), X(FISTTP), X(FBLD), X(FBSTP), X(FXCH),
	X(FCMOVB), X(FCMOVE), X(FCMOVBE), X(FCMOVU), X(FCMOVNB), X(FCMOVNE), X(FCMOVNBE), X(FCMOVNU),
	X(FLD1), X(FLDL2T), X(FLDL2E), X(FLDPI), X(FLDLG2), X(FLDLN2), X(FLDZ),
	X(FCHS), X(FABS), X(FSQRT), X(FSCALE), X(FRNDINT), X(FXTRACT), X(FPREM), X(FPREM1),
	X(FSIN), X(FCOS), X(FSINCOS), X(FPTAN), X(FPATAN), X(F2XM1), X(FYL2X), X(FYL2XP1),
	[OP_FDECSTP] = op_x87_control, [OP_FINCSTP] = op_x87_control, [OP_FFREE] = op_x87_control,
	[OP_FFREEP] = op_x87_control,
	[OP_FNOP] = op_x87_control,
};
