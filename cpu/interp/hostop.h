/* SPDX-License-Identifier: MIT */
/*
 * The host's own floating-point and vector instructions as C functions.
 *
 * The interpreter runs on x86-64 hosts only, and the guest is an x86: the cheapest exact model of ADDPS (NaN choice,
 * denormals, exception flags, approximations such as RCPPS) is ADDPS.  The house rule "no assembler outside cpu/xlat"
 * is relaxed for hostop.c and nothing else, because a compiler may not be asked to do this in C: it commutes the
 * operands of a + b, which changes the NaN that comes out, and moves arithmetic across writes to MXCSR.
 *
 * A host_op takes its operands as the instruction does: a is the destination's old value or the first source.  None
 * of them keeps state, touches memory or can fault; exceptions are masked by the caller's MXCSR (simd.h).  An
 * instruction the host lacks must not be called: the CPUID model offers the guest no such feature.
 */
#ifndef CPU_INTERP_HOSTOP_H
#define CPU_INTERP_HOSTOP_H

#include <stdint.h>

#include "cpu/insn.h"
#include "cpu/state.h"

typedef long long v128 __attribute__((vector_size(16)));
typedef v128 host_op(v128 a, v128 b, v128 c);

/* a = NAME(a, b), lane by lane or unary on b: the table host_ops[] by enum op. */
#define HOST_OPS_INT(X) \
	X(PUNPCKLBW) X(PUNPCKLWD) X(PUNPCKLDQ) X(PUNPCKLQDQ) X(PUNPCKHBW) X(PUNPCKHWD) X(PUNPCKHDQ) X(PUNPCKHQDQ) \
	X(PACKSSWB) X(PACKSSDW) X(PACKUSWB) X(PACKUSDW) \
	X(PADDB) X(PADDW) X(PADDD) X(PADDQ) X(PADDSB) X(PADDSW) X(PADDUSB) X(PADDUSW) \
	X(PSUBB) X(PSUBW) X(PSUBD) X(PSUBQ) X(PSUBSB) X(PSUBSW) X(PSUBUSB) X(PSUBUSW) \
	X(PMULHW) X(PMULLW) X(PMULHUW) X(PMULUDQ) X(PMULDQ) X(PMULLD) X(PMULHRSW) X(PMADDWD) X(PMADDUBSW) \
	X(PCMPEQB) X(PCMPEQW) X(PCMPEQD) X(PCMPEQQ) X(PCMPGTB) X(PCMPGTW) X(PCMPGTD) X(PCMPGTQ) \
	X(PAND) X(PANDN) X(POR) X(PXOR) X(ANDPS) X(ANDPD) X(ANDNPS) X(ANDNPD) X(ORPS) X(ORPD) X(XORPS) X(XORPD) \
	X(PSLLW) X(PSLLD) X(PSLLQ) X(PSRLW) X(PSRLD) X(PSRLQ) X(PSRAW) X(PSRAD) \
	X(PAVGB) X(PAVGW) X(PMAXSW) X(PMAXUB) X(PMINSW) X(PMINUB) X(PSADBW) \
	X(PMAXSB) X(PMAXSD) X(PMAXUD) X(PMAXUW) X(PMINSB) X(PMINSD) X(PMINUD) X(PMINUW) \
	X(PABSB) X(PABSW) X(PABSD) X(PHADDW) X(PHADDD) X(PHADDSW) X(PHSUBW) X(PHSUBD) X(PHSUBSW) \
	X(PSHUFB) X(PSIGNB) X(PSIGNW) X(PSIGND) X(PHMINPOSUW) \
	X(UNPCKLPS) X(UNPCKLPD) X(UNPCKHPS) X(UNPCKHPD) X(MOVDDUP) X(MOVSHDUP) X(MOVSLDUP) \
	X(PMOVSXBW) X(PMOVSXBD) X(PMOVSXBQ) X(PMOVSXWD) X(PMOVSXWQ) X(PMOVSXDQ) \
	X(PMOVZXBW) X(PMOVZXBD) X(PMOVZXBQ) X(PMOVZXWD) X(PMOVZXWQ) X(PMOVZXDQ) \
	X(AESENC) X(AESENCLAST) X(AESDEC) X(AESDECLAST) X(AESIMC) \
	X(SHA1NEXTE) X(SHA1MSG1) X(SHA1MSG2) X(SHA256MSG1) X(SHA256MSG2)
/* The same, under MXCSR. */
#define HOST_OPS_FP(X) \
	X(ADDPS) X(ADDPD) X(ADDSS) X(ADDSD) X(SUBPS) X(SUBPD) X(SUBSS) X(SUBSD) \
	X(MULPS) X(MULPD) X(MULSS) X(MULSD) X(DIVPS) X(DIVPD) X(DIVSS) X(DIVSD) \
	X(MINPS) X(MINPD) X(MINSS) X(MINSD) X(MAXPS) X(MAXPD) X(MAXSS) X(MAXSD) \
	X(SQRTPS) X(SQRTPD) X(SQRTSS) X(SQRTSD) X(RCPPS) X(RCPSS) X(RSQRTPS) X(RSQRTSS) \
	X(ADDSUBPS) X(ADDSUBPD) X(HADDPS) X(HADDPD) X(HSUBPS) X(HSUBPD) \
	X(CVTPS2PD) X(CVTPD2PS) X(CVTSS2SD) X(CVTSD2SS) X(CVTDQ2PS) X(CVTPS2DQ) X(CVTTPS2DQ) \
	X(CVTDQ2PD) X(CVTPD2DQ) X(CVTTPD2DQ) X(VCVTPH2PS)
#define HOST_FMA3(X, name) \
	X(name##132PS) X(name##132PD) X(name##132SS) X(name##132SD) \
	X(name##213PS) X(name##213PD) X(name##213SS) X(name##213SD) \
	X(name##231PS) X(name##231PD) X(name##231SS) X(name##231SD)
#define HOST_FMA3_PACKED(X, name) \
	X(name##132PS) X(name##132PD) X(name##213PS) X(name##213PD) X(name##231PS) X(name##231PD)
/* a = NAME(a, b, c), under MXCSR. */
#define HOST_OPS_FMA(X) \
	HOST_FMA3(X, VFMADD) HOST_FMA3(X, VFMSUB) HOST_FMA3(X, VFNMADD) HOST_FMA3(X, VFNMSUB) \
	HOST_FMA3_PACKED(X, VFMADDSUB) HOST_FMA3_PACKED(X, VFMSUBADD)
/*
 * Integers travel in the low quadword of b (CVTSI2xx) or of the result (CVTxx2SI: 32-bit results zero-extended;
 * COMIxx: EFLAGS; PTEST: EFLAGS); L and Q are the 32- and 64-bit forms.
 */
#define HOST_OPS_OTHER(X) \
	X(CVTSI2SSL) X(CVTSI2SSQ) X(CVTSI2SDL) X(CVTSI2SDQ) \
	X(CVTSS2SIL) X(CVTSS2SIQ) X(CVTSD2SIL) X(CVTSD2SIQ) X(CVTTSS2SIL) X(CVTTSS2SIQ) X(CVTTSD2SIL) X(CVTTSD2SIQ) \
	X(COMISS) X(COMISD) X(UCOMISS) X(UCOMISD) X(PTEST) X(SHA256RNDS2)

#define HOST_DECLARE(name) extern host_op host_##name;
HOST_OPS_INT(HOST_DECLARE)
HOST_OPS_FP(HOST_DECLARE)
HOST_OPS_FMA(HOST_DECLARE)
HOST_OPS_OTHER(HOST_DECLARE)
#undef HOST_DECLARE

extern host_op *const host_ops[OP_COUNT];       /* NULL: not one of INT, FP, FMA */

/*
 * Instructions with an immediate: one function per value.  What the immediate may be: CMPxx 0..7, VCMPxx 0..31,
 * ROUNDxx 0..15, MPSADBW 0..7, VCVTPS2PH 0..7, SHA1RNDS4 0..3, PCLMULQDQ bit 0 and bit 1 (the instruction's bits 0
 * and 4), the others any byte.
 */
enum host_imm {
	HOST_CMPPS, HOST_CMPPD, HOST_CMPSS, HOST_CMPSD, HOST_VCMPPS, HOST_VCMPPD, HOST_VCMPSS, HOST_VCMPSD,
	HOST_ROUNDPS, HOST_ROUNDPD, HOST_ROUNDSS, HOST_ROUNDSD, HOST_DPPS, HOST_DPPD, HOST_MPSADBW, HOST_PCLMULQDQ,
	HOST_AESKEYGENASSIST, HOST_SHA1RNDS4, HOST_VCVTPS2PH,
};
host_op *host_imm_op(enum host_imm table, uint8_t imm);

/*
 * SSE4.2 string compares; lens: the two explicit lengths (RAX, RDX), ignored by the implicit forms.  I forms return
 * ECX in the low lane, M forms the mask; *flags: EFLAGS.
 */
typedef v128 host_string_op(v128 a, v128 b, v128 lens, uint64_t *flags);
enum host_string { HOST_PCMPESTRI, HOST_PCMPESTRM, HOST_PCMPISTRI, HOST_PCMPISTRM };
host_string_op *host_string_op_of(enum host_string which, uint8_t imm);

/*
 * Run one x87 instruction on the state in area (legacy region of 512 bytes, 16-aligned): opcode D8..DF with a ModRM
 * byte that names a register form (C0..FF), or a memory form, of which only the reg field counts and whose operand is
 * mem.  flags is EFLAGS' low byte before (FCMOVcc); returns it after (FCOMI).  The caller has seen to it that FSW
 * holds no unmasked exception, which the host would deliver.  FIP, FDP and FOP come out as garbage.
 */
uint8_t host_x87(void *area, void *mem, uint8_t opcode, uint8_t modrm, uint8_t flags);

/*
 * The same without the whole state, several times faster, for instructions that use ST(0) and perhaps one other
 * register and leave TOP alone (a push or pop of ST(0) excepted).  All exceptions are masked in fcw and the registers
 * that are read are not empty.
 */
struct host_x87_light {
	uint8_t *st0;                   /* 10 bytes each; NULL: not there before (X87_PUSHES) */
	uint8_t *sti;                   /* what the code names ST(1); NULL: none */
	void *mem;
	uint16_t fcw;
	uint16_t fsw;                   /* exception flags that are set already; after: FSW, with TOP meaningless */
	uint8_t flags;                  /* EFLAGS' low byte after */
	enum { X87_KEEPS = 3, X87_PUSHES = 2, X87_POPS = 1 } how;
};
void host_x87_light(struct host_x87_light *l, uint8_t opcode, uint8_t modrm);

#endif
