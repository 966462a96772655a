/* SPDX-License-Identifier: MIT */
/*
 * The ways in and out of translated code.  Inside, the host's RSP is a multiple of 16.  C is left and entered as its ABI
 * wants it: rbx, rbp, r12 to r15 kept, x87 empty and MXCSR at its default whenever env.fpu says that vector state is in memory.
 */
#include <assert.h>

#include "cpu/xlat/gen.h"

enum { STUB_BYTES = 4096 };

static const uint8_t kept[] = { HBP, HBX, H12, H13, H14, H15 };
/* Guest registers in host registers that C functions may change. */
static const uint8_t volatile_regs[] = { RAX, RCX, RDX, RSI, RDI, R8, RSP };

static void store_gpr(struct buf *b, unsigned guest) { emit_store(b, true, gpr_home(guest), (unsigned)host_of(guest)); }
static void load_gpr(struct buf *b, unsigned guest) { emit_load(b, true, (unsigned)host_of(guest), gpr_home(guest)); }

static void store_imm32(struct buf *b, struct rm m, uint32_t v)
{
	emit_op(b, 0xc7, 0, m);
	emit32(b, v);
}

static void compare8(struct buf *b, struct rm m, uint8_t v)
{
	emit_op(b, 0x80, 7, m);
	emit8(b, v);
}

/* Which components there are to save: x87 and SSE, AVX if the host has it. */
static uint32_t components(unsigned without)
{
	uint32_t eax, ebx, ecx, edx;

	__asm__("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(1), "c"(0));
	if (!(ecx & 1 << 27) || without & HOST_XSAVE)
		return 0;
	__asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	return eax & (without & HOST_AVX ? 3 : 7);
}

/* Vector state to memory; the pointers of the last x87 instruction are the host's own and nobody's business. */
static void save_vector(struct buf *b, uint32_t mask)
{
	static const uint8_t fninit[] = { 0xdb, 0xe3 };
	static const uint8_t vzeroupper[] = { 0xc5, 0xf8, 0x77 };

	emit_mov_imm(b, HAX, mask);
	emit_op(b, 0x33, HDX, rm_reg(HDX));
	if (mask)
		emit_op(b, 0x1ae | EO_W, 4, CPU(s.fpu));                /* XSAVE64 */
	else
		emit_op(b, 0x1ae | EO_W, 0, CPU(s.fpu));                /* FXSAVE64 */
	emit_op(b, 0x33, HAX, rm_reg(HAX));
	emit_op(b, 0x89 | EO_16, HAX, CPU(s.fpu.fop));
	emit_store(b, true, CPU(s.fpu.fip), HAX);
	emit_store(b, true, CPU(s.fpu.fdp), HAX);
	emit_op(b, 0x88, HAX, ENV(fpu));
	emit_bytes(b, fninit, sizeof(fninit));
	emit_op(b, 0x1ae, 2, ENV(mxcsr));                               /* LDMXCSR: the default */
	if (mask & 4)
		emit_bytes(b, vzeroupper, sizeof(vzeroupper));
}

/* Vector state to the host's units.  Changes rax, rdx. */
static void load_vector(struct buf *b, uint32_t mask)
{
	if (mask) {
		emit_mov_imm(b, HAX, 7);
		emit_store(b, true, CPU(s.fpu.xstate_bv), HAX);
		emit_mov_imm(b, HAX, mask);
		emit_op(b, 0x33, HDX, rm_reg(HDX));
		emit_op(b, 0x1ae | EO_W, 5, CPU(s.fpu));                /* XRSTOR64 */
	} else {
		emit_op(b, 0x1ae | EO_W, 1, CPU(s.fpu));
	}
}

static void call_c(struct buf *b, const void *function)
{
	emit_mov_imm(b, HAX, (uintptr_t)function);
	emit_op(b, 0xff, 2, rm_reg(HAX));
}

static void make_enter(struct buf *b, const uint8_t *abort, uint32_t mask)
{
	static const uint8_t flags[] = { 0x04, 0x7f, 0x9e };            /* ADD AL, 7F; SAHF */
	uint8_t *skip;
	unsigned k;

	for (k = 0; k < sizeof(kept); k++)
		emit_push(b, kept[k]);
	emit_alu_imm(b, true, 5, rm_reg(HSP), 8);
	emit_store(b, true, ENV(enter_at), HDI);
	/* A signal behind this comparison finds us inside and leads us out. */
	emit_alu_imm(b, false, 7, CPU(attention), 0);
	emit_jcc_to(b, 5, abort);
	compare8(b, ENV(load_fpu), 0);
	skip = emit_jcc(b, 4);
	load_vector(b, mask);
	emit_load(b, false, HAX, ENV(load_fpu));                        /* its three upper bytes are zeros */
	emit_op(b, 0x88, HAX, ENV(fpu));
	emit_op(b, 0xc6, 0, ENV(load_fpu));
	emit8(b, 0);
	emit_here(b, skip);
	emit_load(b, false, HAX, ENV(image));
	emit_bytes(b, flags, sizeof(flags));
	for (k = 0; k < 16; k++)
		if (host_of(k) >= 0)
			load_gpr(b, k);
	emit_op(b, 0xff, 4, ENV(enter_at));
}

/* All guest registers go to memory, then vector state, then back to C.  with_flags: they are in the host's. */
static uint8_t *make_leave(struct buf *b, bool with_flags, uint32_t mask, uint8_t **stored, uint8_t **abort)
{
	static const uint8_t lahf_seto[] = { 0x9f, 0x0f, 0x90, 0xc0 };
	uint8_t *at = b->p, *skip;
	unsigned k;

	for (k = 0; k < 16; k++)
		if (host_of(k) >= 0)
			store_gpr(b, k);
	if (with_flags) {
		emit_bytes(b, lahf_seto, sizeof(lahf_seto));
		emit_store(b, false, ENV(image), HAX);
	}
	*stored = b->p;
	compare8(b, ENV(fpu), 0);
	skip = emit_jcc(b, 4);
	save_vector(b, mask);
	emit_here(b, skip);
	*abort = b->p;
	emit_alu_imm(b, true, 0, rm_reg(HSP), 8);
	for (k = sizeof(kept); k-- > 0;)
		emit_pop(b, kept[k]);
	emit8(b, 0xc3);
	return at;
}

static uint32_t make_exit(struct xlat *x, struct buf *b, enum exit_kind kind, const uint8_t *leave)
{
	uint32_t at = (uint32_t)(b->p - x->rw);

	store_imm32(b, ENV(exit_kind), kind);
	if (kind == EXIT_MISS)
		emit_store(b, true, ENV(exit_rip), T0);
	else if (kind != EXIT_ABORT)
		emit_store(b, false, ENV(exit_arg), T1);
	emit_jmp_to(b, leave);
	return at;
}

/* All is in memory and RDI, RSI are set: an instruction by C, which says where to go on. */
static void make_light_call(struct buf *b, const void *function, const uint8_t *stored)
{
	static const uint8_t flags[] = { 0x04, 0x7f, 0x9e };            /* ADD AL, 7F; SAHF */
	uint8_t *out, *out2;
	unsigned k;

	call_c(b, function);
	emit_op(b, 0x85 | EO_W, HAX, rm_reg(HAX));                      /* TEST */
	out = emit_jcc(b, 4);
	emit_alu_imm(b, false, 7, CPU(attention), 0);
	out2 = emit_jcc(b, 5);
	emit_mov_rr(b, true, T1, HAX);
	/* What follows may want them in either place: behind an access that failed, the block goes on with the host's. */
	emit_load(b, false, HAX, ENV(image));
	emit_bytes(b, flags, sizeof(flags));
	for (k = 0; k < 16; k++)
		if (host_of(k) >= 0)
			load_gpr(b, k);
	emit_load(b, true, T0, CPU(s.rip));
	emit_op(b, 0xff, 4, rm_reg(T1));
	emit_here(b, out);
	emit_here(b, out2);
	emit_jmp_to(b, stored);                                         /* exit_kind was set by C */
}

static uint32_t make_light(struct xlat *x, struct buf *b, const uint8_t *stored)
{
	uint32_t at = (uint32_t)(b->p - x->rw);
	unsigned k;

	for (k = 0; k < 16; k++)
		if (host_of(k) >= 0)
			store_gpr(b, k);
	emit_load(b, true, HDI, ENV(self));
	emit_mov_rr(b, false, HSI, T1);
	make_light_call(b, (const void *)xlat_light, stored);
	return at;
}

/* Calls C with the processor, T0, T1 and `extra`; AL 0: the instruction is for the interpreter.  Called: RSP is off by 8. */
static uint32_t make_call(struct xlat *x, struct buf *b, const void *function, int extra, uint32_t mask, bool fpu, const uint8_t *stored)
{
	uint32_t at = (uint32_t)(b->p - x->rw);
	uint8_t *fail, *live, *out, *fail2;
	unsigned k;

	for (k = 0; k < sizeof(volatile_regs); k++)
		store_gpr(b, volatile_regs[k]);
	emit_store(b, false, ENV(exit_arg), T1);
	emit_store(b, true, ENV(fill_at), T0);
	emit_op(b, 0x1b6, HAX, ENV(fpu));                               /* MOVZX */
	emit_push(b, HAX);
	emit_load(b, true, HDI, ENV(self));
	emit_mov_rr(b, true, HSI, T0);
	emit_mov_rr(b, false, HDX, T1);
	emit_mov_imm(b, HCX, (uint64_t)extra);
	call_c(b, function);
	emit_pop(b, HCX);
	emit_op(b, 0x84, HAX, rm_reg(HAX));                             /* TEST AL, AL */
	fail = emit_jcc(b, 4);
	if (fpu) {
		emit_op(b, 0x88, HAX, ENV(fpu));
		load_vector(b, mask);
	} else {
		emit_op(b, 0x3a, HCX, ENV(fpu));                        /* CMP CL: vector state went to memory meanwhile */
		live = emit_jcc(b, 4);
		emit_op(b, 0x88, HCX, ENV(fpu));
		load_vector(b, mask);
		emit_here(b, live);
	}
	emit_alu_imm(b, false, 7, CPU(attention), 0);
	fail2 = emit_jcc(b, 5);
	for (k = 0; k < sizeof(volatile_regs); k++)
		load_gpr(b, volatile_regs[k]);
	emit_load(b, true, T0, ENV(fill_at));
	emit8(b, 0xc3);
	emit_here(b, fail);
	emit_here(b, fail2);
	if (!fpu) {
		for (k = 0; k < sizeof(kept); k++)
			store_gpr(b, kept[k]);                          /* of the same numbers: RSP is elsewhere */
		emit_alu_imm(b, true, 0, rm_reg(HSP), 8);
		emit_load(b, true, HDI, ENV(self));
		emit_load(b, false, HSI, ENV(exit_arg));
		make_light_call(b, (const void *)xlat_access, stored);
		return at;
	}
	for (k = 0; k < sizeof(volatile_regs); k++)
		load_gpr(b, volatile_regs[k]);
	emit_alu_imm(b, true, 0, rm_reg(HSP), 8);
	emit_load(b, false, T1, ENV(exit_arg));
	/* exit_arg has the size of the access below the instruction's number. */
	out = x->rw + x->stub.slow_saved;
	emit_jmp_to(b, out);
	return at;
}

/* void f(void): vector state to memory, callable from C. */
static uint32_t make_save(struct xlat *x, struct buf *b, uint32_t mask)
{
	uint32_t at = (uint32_t)(b->p - x->rw);

	save_vector(b, mask);
	emit8(b, 0xc3);
	return at;
}

void xlat_make_stubs(struct cpu *c, struct xlat *x)
{
	struct buf b = { .p = x->rw, .start = x->rw, .end = x->rw + STUB_BYTES };
	uint8_t *leave_host, *leave_saved, *stored, *abort;
	uint32_t mask = components(c->all->config.without);

	leave_host = make_leave(&b, true, mask, &stored, &abort);
	leave_saved = make_leave(&b, false, mask, &stored, &abort);
	x->stub.link_host = make_exit(x, &b, EXIT_LINK, leave_host);
	x->stub.link_saved = make_exit(x, &b, EXIT_LINK, leave_saved);
	x->stub.miss = make_exit(x, &b, EXIT_MISS, leave_saved);
	x->stub.slow_host = make_exit(x, &b, EXIT_SLOW, leave_host);
	x->stub.slow_saved = make_exit(x, &b, EXIT_SLOW, leave_saved);
	x->stub.async_host = make_exit(x, &b, EXIT_ASYNC, leave_host);
	x->stub.async_saved = make_exit(x, &b, EXIT_ASYNC, leave_saved);
	x->stub.abort = make_exit(x, &b, EXIT_ABORT, abort);
	x->stub.enter = (uint32_t)(b.p - x->rw);
	make_enter(&b, x->rw + x->stub.abort, mask);
	x->stub.fill_read = make_call(x, &b, (const void *)xlat_fill, false, mask, false, stored);
	x->stub.fill_write = make_call(x, &b, (const void *)xlat_fill, true, mask, false, stored);
	x->stub.fpu = make_call(x, &b, (const void *)xlat_fpu_ready, 0, mask, true, stored);
	x->stub.light = make_light(x, &b, stored);
	x->stub.save_fpu = make_save(x, &b, mask);
	x->first = STUB_BYTES;
	c->xe.mxcsr = 0x1f80;
	assert(!b.full);
}
