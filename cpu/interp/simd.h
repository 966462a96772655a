/* SPDX-License-Identifier: MIT */
/*
 * What the vector instructions have in common: availability checks, registers and memory operands as vectors, MXCSR.
 *
 * AVX instructions work on two independent halves but for few: a YMM register is a pair of v128 here, and every lane
 * function knows 16 bytes only.  MMX registers are the low half of a v128 likewise.
 */
#ifndef CPU_INTERP_SIMD_H
#define CPU_INTERP_SIMD_H

#include "cpu/interp/hostop.h"
#include "cpu/interp/interp.h"

union vec {
	v128 v;
	uint8_t b[16];
	uint16_t w[8];
	uint32_t d[4];
	uint64_t q[2];
	int8_t sb[16];
	int16_t sw[8];
	int32_t sd[4];
	int64_t sq[2];
};
struct v256 { v128 lo, hi; };

static const v128 V0;           /* zero */

/* --- may it run? (simd.c) ------------------------------------------------------------------------------------ */
_Noreturn void simd_refuse_sse(struct cpu *c);
_Noreturn void simd_refuse_avx(struct cpu *c);

static inline void sse_begin(struct cpu *c)
{
	if (__builtin_expect((c->s.cr0 & (CR0_EM | CR0_TS)) | (~c->s.cr4 & CR4_OSFXSR), 0))
		simd_refuse_sse(c);
}

static inline void avx_begin(struct cpu *c)
{
	if (__builtin_expect((c->s.cr0 & CR0_TS) || !(c->s.cr4 & CR4_OSXSAVE) || (c->s.xcr0 & 6) != 6 ||
			     real_or_v86(c), 0))
		simd_refuse_avx(c);
}

static inline void simd_begin(struct cpu *c, const struct insn *i)
{
	if (i->vex)
		avx_begin(c);
	else
		sse_begin(c);
}

/* --- registers ----------------------------------------------------------------------------------------------- */
static inline v128 get_xmm(const struct cpu *c, unsigned n) { return *(const v128 *)c->s.fpu.xmm[n]; }
static inline v128 get_ymm_hi(const struct cpu *c, unsigned n) { return *(const v128 *)c->s.fpu.ymm_hi[n]; }

static inline struct v256 get_ymm(const struct cpu *c, unsigned n)
{
	return (struct v256){ get_xmm(c, n), get_ymm_hi(c, n) };
}

static inline void put_ymm(struct cpu *c, unsigned n, struct v256 v)
{
	*(v128 *)c->s.fpu.xmm[n] = v.lo;
	*(v128 *)c->s.fpu.ymm_hi[n] = v.hi;
}

/* 16 bytes: the legacy forms keep the upper half of the YMM register, VEX forms clear it. */
static inline void put_xmm(struct cpu *c, const struct insn *i, unsigned n, v128 v)
{
	*(v128 *)c->s.fpu.xmm[n] = v;
	if (i->vex)
		*(v128 *)c->s.fpu.ymm_hi[n] = V0;
}

static inline v128 low64(uint64_t q) { return (v128){ (long long)q, 0 }; }

/* --- memory (simd.c) ----------------------------------------------------------------------------------------- */
/*
 * Of insn.mem; forms of 16 and 32 bytes check alignment if the instruction asks for it.  The _slow ones do all cases.
 */
v128 simd_load_slow(struct cpu *c, const struct insn *i, unsigned size);
struct v256 simd_load256_slow(struct cpu *c, const struct insn *i);
void simd_store_slow(struct cpu *c, const struct insn *i, v128 v, unsigned size);
void simd_store256_slow(struct cpu *c, const struct insn *i, struct v256 v);

/*
 * Host address of the operand in the plain case: flat segment, TLB hit, within a page, aligned if need be.  Else
 * NULL.
 */
static inline uint8_t *simd_host(struct cpu *c, const struct insn *i, unsigned size, bool write)
{
	const struct tlb_entry *entry;
	uint64_t a, offset;

	if (!(c->key & KEY_FLAT) || i->mem.seg >= SEG_FS || i->mem.seg == SEG_CS || i->addrsize * 8 != i->mode ||
	    i->addrsize == 2)
		return NULL;
	a = (uint64_t)(int64_t)i->mem.disp;
	if (i->mem.base == REG_RIP)
		a += cpu_rip(c) + i->len;
	else if (i->mem.base != REG_NONE)
		a += c->s.gpr[i->mem.base];
	if (i->mem.index != REG_NONE)
		a += c->s.gpr[i->mem.index] * i->mem.scale;
	a &= c->addr_mask;
	entry = &c->tlb->e[write ? TLB_WRITE : TLB_READ][a >> 12 & (TLB_SIZE - 1)];
	offset = a - entry->tag;
	if (offset > 4096 - size || (size >= 16 && i->traits & INSN_ALIGNED && a & (size - 1)))
		return NULL;
	return entry->host + offset;
}

/* size 1, 2, 4, 8, 16; zero-extended */
static inline v128 simd_load(struct cpu *c, const struct insn *i, unsigned size)
{
	const uint8_t *host = simd_host(c, i, size, false);
	v128 v;

	if (__builtin_expect(!host, 0))
		return simd_load_slow(c, i, size);
	switch (size) {
	case 16:
		memcpy(&v, host, 16);
		return v;
	case 8:
		return low64(le64(host));
	case 4:
		return low64(le32(host));
	case 2:
		return low64(le16(host));
	default:
		return low64(*host);
	}
}

static inline struct v256 simd_load256(struct cpu *c, const struct insn *i)
{
	const uint8_t *host = simd_host(c, i, 32, false);
	struct v256 v;

	if (__builtin_expect(!host, 0))
		return simd_load256_slow(c, i);
	memcpy(&v.lo, host, 16);
	memcpy(&v.hi, host + 16, 16);
	return v;
}

static inline void simd_store(struct cpu *c, const struct insn *i, v128 v, unsigned size)
{
	uint8_t *host = simd_host(c, i, size, true);

	if (__builtin_expect(!host, 0)) {
		simd_store_slow(c, i, v, size);
		return;
	}
	switch (size) {
	case 16:
		memcpy(host, &v, 16);
		break;
	case 8:
		put_le64(host, (uint64_t)v[0]);
		break;
	case 4:
		put_le32(host, (uint32_t)v[0]);
		break;
	case 2:
		put_le16(host, (uint16_t)v[0]);
		break;
	default:
		*host = (uint8_t)v[0];
		break;
	}
}

static inline void simd_store256(struct cpu *c, const struct insn *i, struct v256 v)
{
	uint8_t *host = simd_host(c, i, 32, true);

	if (__builtin_expect(!host, 0)) {
		simd_store256_slow(c, i, v);
		return;
	}
	memcpy(host, &v.lo, 16);
	memcpy(host + 16, &v.hi, 16);
}

/* Operand n, a whole register or memory of the operand's size. */
static inline v128 get_src(struct cpu *c, const struct insn *i, unsigned n)
{
	return i->o[n].kind == OPD_XMM ? get_xmm(c, i->o[n].reg) : simd_load(c, i, i->o[n].size);
}

static inline struct v256 get_src256(struct cpu *c, const struct insn *i, unsigned n)
{
	return i->o[n].kind == OPD_XMM ? get_ymm(c, i->o[n].reg) : simd_load256(c, i);
}

/* --- MMX (mmx.c) --------------------------------------------------------------------------------------------- */
/*
 * mmx_begin: #UD, #NM, #MF.  Registers lie in the x87 registers by their physical number, st[] is relative to TOP:
 * get_mm works at any TOP; mmx_enter, after the last possible fault, makes TOP 0 and all registers valid, as every MMX
 * instruction does; put_mm after that.
 */
void mmx_begin(struct cpu *c);
void mmx_enter(struct cpu *c);

static inline uint64_t get_mm(const struct cpu *c, unsigned n)
{
	return le64(c->s.fpu.st[(n - (c->s.fpu.fsw >> 11)) & 7]);
}

static inline void put_mm(struct cpu *c, unsigned n, uint64_t v)
{
	put_le64(c->s.fpu.st[n], v);
	put_le16(c->s.fpu.st[n] + 8, 0xffff);
}

/* Operand n, MMX register or memory of the operand's size, zero-extended. */
static inline v128 get_mm_src(struct cpu *c, const struct insn *i, unsigned n)
{
	return i->o[n].kind == OPD_MMX ? low64(get_mm(c, i->o[n].reg)) : simd_load(c, i, i->o[n].size);
}

/* --- arithmetic under MXCSR (simd.c) ------------------------------------------------------------------------- */
enum {
	MXCSR_IE = 1, MXCSR_DE = 2, MXCSR_ZE = 4, MXCSR_OE = 8, MXCSR_UE = 16, MXCSR_PE = 32, MXCSR_FLAGS = 63,
	MXCSR_DAZ = 1 << 6, MXCSR_MASKS = 63 << 7, MXCSR_RC = 3 << 13, MXCSR_FTZ = 1 << 15,
	MXCSR_DEFAULT = 0x1f80, MXCSR_VALID = 0xffff,
};

/* One half of a computation, at most two to an instruction. */
struct fp_call {
	v128 a, b, c, r;
};
/*
 * r = f(a, b, c) for n calls under the guest's MXCSR, whose flags are then set; an unmasked exception leaves by #XM
 * (or #UD), so results are stored after this returned.
 */
void simd_fp(struct cpu *c, host_op *f, struct fp_call *call, unsigned n);

static inline v128 simd_fp1(struct cpu *c, host_op *f, v128 a, v128 b, v128 d)
{
	struct fp_call call = { a, b, d, V0 };

	simd_fp(c, f, &call, 1);
	return call.r;
}

#endif
