/* SPDX-License-Identifier: MIT */
/*
 * The two-byte opcode map, 0F xx, and its VEX forms (SDM volume 2, appendix A, tables ).
 * Slots that are not named are #UD: among them VMX, SVM, 3DNow!, AVX-512's opmasks and what no CPU model here offers.
 */
#include "cpu/decode_table.h"

#define EIGHT(base, form) \
	[(base) + 0] = form, [(base) + 1] = form, [(base) + 2] = form, [(base) + 3] = form, \
	[(base) + 4] = form, [(base) + 5] = form, [(base) + 6] = form, [(base) + 7] = form
/* MMX without prefix, SSE2 with 66, AVX, AVX2. */
#define MMX_SSE(name) PFX_(F(name, Pq, Rep, Qq), FA(name, V2, Vx, Hx, Wx))
#define MMX_SSE_SHIFT(name) PFX_(F(name, Pq, Rep, Qq), FA(name, V2, Vx, Hx, Wdq))
#define SSE(name) PFX_(U, FA(name, V2, Vx, Hx, Wx))
/* PS PD SS SD */
#define PS_PD(name) PFX_(FA(name##PS, V, Vx, Hx, Wx), FA(name##PD, V, Vx, Hx, Wx))
#define PS_PD_SS_SD(name) PFX_(FA(name##PS, V, Vx, Hx, Wx), FA(name##PD, V, Vx, Hx, Wx), \
			       FA(name##SS, V, Vdq, Hdq, Wd), FA(name##SD, V, Vdq, Hdq, Wq))
/* Shifts by an immediate: the register is ModRM.rm, the VEX destination is vvvv. */
#define SHIFT_MMX(name) F(name, Nq, Rep, Ib)
#define SHIFT_IMM(name) PFX_(SHIFT_MMX(name), VEX_(FA(name, 0, Udq, Rep, Ib), FA(name, V2, Hx, Ux, Ib)))
#define SHIFT_IMM_SSE(name) PFX_(U, VEX_(FA(name, 0, Udq, Rep, Ib), FA(name, V2, Hx, Ux, Ib)))

const struct form decode_map_0f[256] = {
	[0x00] = REG_(F(SLDT, EvMw), F(STR, EvMw), F(LLDT, Ew), F(LTR, Ew), F(VERR, Ew), F(VERW, Ew)),
	[0x01] = MOD_(REG_(F(SGDT, Ms), F(SIDT, Ms), F(LGDT, Ms), F(LIDT, Ms), F(SMSW, Mw), U, F(LMSW, Mw),
			   F(INVLPG, M)),
		      REG_(RM_(U, FA(VMCALL, NOPFX, 0)),
			   RM_(FA(MONITOR, NOPFX, 0), FA(MWAIT, NOPFX, 0), FA(CLAC, NOPFX, 0), FA(STAC, NOPFX, 0)),
			   RM_(FA(XGETBV, NOPFX, 0), FA(XSETBV, NOPFX, 0)),
			   RM_(U, FA(VMMCALL, NOPFX, 0)),
			   F(SMSW, Rv), U, F(LMSW, Ew),
			   RM_(FA(SWAPGS, ONLY64, 0), F(RDTSCP)))),
	[0x02] = F(LAR, Gv, EvMw), [0x03] = F(LSL, Gv, EvMw),
	[0x05] = F(SYSCALL), [0x06] = F(CLTS), [0x07] = F(SYSRET), [0x08] = F(INVD), [0x09] = F(WBINVD),
	[0x0b] = F(UD2),
	/* AMD's prefetch group; the slots without a name prefetch as /0 does. */
	[0x0d] = MOD_(REG_(F(PREFETCH, Mb), F(PREFETCHW, Mb), F(PREFETCHWT1, Mb), F(PREFETCH, Mb), F(PREFETCH, Mb),
			   F(PREFETCH, Mb), F(PREFETCH, Mb), F(PREFETCH, Mb)), U),

	[0x10] = PFX_(FA(MOVUPS, V, Vx, Wx), FA(MOVUPD, V, Vx, Wx),
		      MOD_(FA(MOVSS, V, Vdq, Md), FA(MOVSS, V, Vdq, Hdq, Ud)),
		      MOD_(FA(MOVSD, V, Vdq, Mq), FA(MOVSD, V, Vdq, Hdq, Uq))),
	[0x11] = PFX_(FA(MOVUPS, V, Wx, Vx), FA(MOVUPD, V, Wx, Vx),
		      MOD_(FA(MOVSS, V, Md, Vd), FA(MOVSS, V, Udq, Hdq, Vd)),
		      MOD_(FA(MOVSD, V, Mq, Vq), FA(MOVSD, V, Udq, Hdq, Vq))),
	[0x12] = PFX_(MOD_(FA(MOVLPS, V | L0, Vdq, Hdq, Mq), FA(MOVHLPS, V | L0, Vdq, Hdq, Udq)),
		      FA(MOVLPD, V | L0, Vdq, Hdq, Mq), FA(MOVSLDUP, V, Vx, Wx), FA(MOVDDUP, V, Vx, Wddup)),
	[0x13] = PFX_(FA(MOVLPS, V | L0, Mq, Vq), FA(MOVLPD, V | L0, Mq, Vq)),
	[0x14] = PS_PD(UNPCKL), [0x15] = PS_PD(UNPCKH),
	[0x16] = PFX_(MOD_(FA(MOVHPS, V | L0, Vdq, Hdq, Mq), FA(MOVLHPS, V | L0, Vdq, Hdq, Uq)),
		      FA(MOVHPD, V | L0, Vdq, Hdq, Mq), FA(MOVSHDUP, V, Vx, Wx)),
	[0x17] = PFX_(FA(MOVHPS, V | L0, Mq, Vdq), FA(MOVHPD, V | L0, Mq, Vdq)),
	[0x18] = MOD_(REG_(F(PREFETCHNTA, Mb), F(PREFETCHT0, Mb), F(PREFETCHT1, Mb), F(PREFETCHT2, Mb),
			   F(NOP, Ev), F(NOP, Ev), F(NOP, Ev), F(NOP, Ev)), F(NOP, Ev)),
	/* Reserved NOPs: MPX and CET live here on processors that have them. */
	[0x19] = F(NOP, Ev), [0x1a] = F(NOP, Ev), [0x1b] = F(NOP, Ev), [0x1c] = F(NOP, Ev), [0x1d] = F(NOP, Ev),
	[0x1e] = REP_(F(NOP, Ev),
		      MOD_(F(NOP, Ev),
			   REG_(F(NOP, Ev), F(NOP, Ev), F(NOP, Ev), F(NOP, Ev), F(NOP, Ev), F(NOP, Ev), F(NOP, Ev),
				RM_(F(NOP, Ev), F(NOP, Ev), F(ENDBR64), F(ENDBR32), F(NOP, Ev), F(NOP, Ev), F(NOP, Ev),
				    F(NOP, Ev)))),
		      F(NOP, Ev)),
	[0x1f] = F(NOP, Ev),

	[0x20] = FA(MOV, ANYMOD, Rn, Cn), [0x21] = FA(MOV, ANYMOD, Rn, Dn),
	[0x22] = FA(MOV, ANYMOD, Cn, Rn), [0x23] = FA(MOV, ANYMOD, Dn, Rn),
	[0x28] = PFX_(FA(MOVAPS, V, Vx, Wx), FA(MOVAPD, V, Vx, Wx)),
	[0x29] = PFX_(FA(MOVAPS, V, Wx, Vx), FA(MOVAPD, V, Wx, Vx)),
	[0x2a] = PFX_(F(CVTPI2PS, Vdq, Rep, Qq), F(CVTPI2PD, Vdq, Qq),
		      FA(CVTSI2SS, V, Vdq, Hdq, Ey), FA(CVTSI2SD, V, Vdq, Hdq, Ey)),
	[0x2b] = PFX_(FA(MOVNTPS, V, Mx, Vx), FA(MOVNTPD, V, Mx, Vx)),
	[0x2c] = PFX_(F(CVTTPS2PI, Pq, Wq), F(CVTTPD2PI, Pq, Wdq), FA(CVTTSS2SI, V, Gy, Wd), FA(CVTTSD2SI, V, Gy, Wq)),
	[0x2d] = PFX_(F(CVTPS2PI, Pq, Wq), F(CVTPD2PI, Pq, Wdq), FA(CVTSS2SI, V, Gy, Wd), FA(CVTSD2SI, V, Gy, Wq)),
	[0x2e] = PFX_(FA(UCOMISS, V, Vd, Wd), FA(UCOMISD, V, Vq, Wq)),
	[0x2f] = PFX_(FA(COMISS, V, Vd, Wd), FA(COMISD, V, Vq, Wq)),

	[0x30] = F(WRMSR), [0x31] = F(RDTSC), [0x32] = F(RDMSR), [0x33] = F(RDPMC), [0x34] = F(SYSENTER),
	[0x35] = F(SYSEXIT),
	EIGHT(0x40, F(CMOVCC, Gv, Ev)), EIGHT(0x48, F(CMOVCC, Gv, Ev)),

	[0x50] = PFX_(FA(MOVMSKPS, V, Gd, Ux), FA(MOVMSKPD, V, Gd, Ux)),
	[0x51] = PFX_(FA(SQRTPS, V, Vx, Wx), FA(SQRTPD, V, Vx, Wx), FA(SQRTSS, V, Vdq, Hdq, Wd),
		      FA(SQRTSD, V, Vdq, Hdq, Wq)),
	[0x52] = PFX_(FA(RSQRTPS, V, Vx, Wx), U, FA(RSQRTSS, V, Vdq, Hdq, Wd)),
	[0x53] = PFX_(FA(RCPPS, V, Vx, Wx), U, FA(RCPSS, V, Vdq, Hdq, Wd)),
	[0x54] = PS_PD(AND), [0x55] = PS_PD(ANDN), [0x56] = PS_PD(OR), [0x57] = PS_PD(XOR),
	[0x58] = PS_PD_SS_SD(ADD), [0x59] = PS_PD_SS_SD(MUL),
	[0x5a] = PFX_(FA(CVTPS2PD, V, Vx, Wxh), FA(CVTPD2PS, V, Vdq, Wx),
		      FA(CVTSS2SD, V, Vdq, Hdq, Wd), FA(CVTSD2SS, V, Vdq, Hdq, Wq)),
	[0x5b] = PFX_(FA(CVTDQ2PS, V, Vx, Wx), FA(CVTPS2DQ, V, Vx, Wx), FA(CVTTPS2DQ, V, Vx, Wx)),
	[0x5c] = PS_PD_SS_SD(SUB), [0x5d] = PS_PD_SS_SD(MIN), [0x5e] = PS_PD_SS_SD(DIV), [0x5f] = PS_PD_SS_SD(MAX),

	[0x60] = PFX_(F(PUNPCKLBW, Pq, Rep, Qd), FA(PUNPCKLBW, V2, Vx, Hx, Wx)),
	[0x61] = PFX_(F(PUNPCKLWD, Pq, Rep, Qd), FA(PUNPCKLWD, V2, Vx, Hx, Wx)),
	[0x62] = PFX_(F(PUNPCKLDQ, Pq, Rep, Qd), FA(PUNPCKLDQ, V2, Vx, Hx, Wx)),
	[0x63] = MMX_SSE(PACKSSWB), [0x64] = MMX_SSE(PCMPGTB), [0x65] = MMX_SSE(PCMPGTW), [0x66] = MMX_SSE(PCMPGTD),
	[0x67] = MMX_SSE(PACKUSWB), [0x68] = MMX_SSE(PUNPCKHBW), [0x69] = MMX_SSE(PUNPCKHWD),
	[0x6a] = MMX_SSE(PUNPCKHDQ),
	[0x6b] = MMX_SSE(PACKSSDW), [0x6c] = SSE(PUNPCKLQDQ), [0x6d] = SSE(PUNPCKHQDQ),
	[0x6e] = PFX_(W64_(F(MOVD, Pq, Ed), F(MOVQ, Pq, Eq)),
		      W64_(FA(MOVD, V | L0, Vdq, Ed), FA(MOVQ, V | L0, Vdq, Eq))),
	[0x6f] = PFX_(F(MOVQ, Pq, Qq), FA(MOVDQA, V, Vx, Wx), FA(MOVDQU, V, Vx, Wx)),
	[0x70] = PFX_(F(PSHUFW, Pq, Qq, Ib), FA(PSHUFD, V2, Vx, Wx, Ib), FA(PSHUFHW, V2, Vx, Wx, Ib),
		      FA(PSHUFLW, V2, Vx, Wx, Ib)),
	[0x71] = REG_(U, U, SHIFT_IMM(PSRLW), U, SHIFT_IMM(PSRAW), U, SHIFT_IMM(PSLLW)),
	[0x72] = REG_(U, U, SHIFT_IMM(PSRLD), U, SHIFT_IMM(PSRAD), U, SHIFT_IMM(PSLLD)),
	[0x73] = REG_(U, U, SHIFT_IMM(PSRLQ), SHIFT_IMM_SSE(PSRLDQ), U, U, SHIFT_IMM(PSLLQ), SHIFT_IMM_SSE(PSLLDQ)),
	[0x74] = MMX_SSE(PCMPEQB), [0x75] = MMX_SSE(PCMPEQW), [0x76] = MMX_SSE(PCMPEQD),
	[0x77] = VEX_(FA(EMMS, NOPFX, 0), PFX_(L_(FA(VZEROUPPER, VONLY, 0), FA(VZEROALL, VONLY, 0)))),
	[0x7c] = PFX_(U, FA(HADDPD, V, Vx, Hx, Wx), U, FA(HADDPS, V, Vx, Hx, Wx)),
	[0x7d] = PFX_(U, FA(HSUBPD, V, Vx, Hx, Wx), U, FA(HSUBPS, V, Vx, Hx, Wx)),
	[0x7e] = PFX_(W64_(F(MOVD, Ed, Pd), F(MOVQ, Eq, Pq)), W64_(FA(MOVD, V | L0, Ed, Vd), FA(MOVQ, V | L0, Eq, Vq)),
		      FA(MOVQ, V | L0, Vdq, Wq)),
	[0x7f] = PFX_(F(MOVQ, Qq, Pq), FA(MOVDQA, V, Wx, Vx), FA(MOVDQU, V, Wx, Vx)),

	EIGHT(0x80, FA(JCC, F64, Jz)), EIGHT(0x88, FA(JCC, F64, Jz)),
	EIGHT(0x90, F(SETCC, Eb)), EIGHT(0x98, F(SETCC, Eb)),
	[0xa0] = FA(PUSH, D64, FSv), [0xa1] = FA(POP, D64, FSv), [0xa2] = F(CPUID), [0xa3] = F(BT, Ev, Gv),
	[0xa4] = F(SHLD, Ev, Gv, Ib), [0xa5] = F(SHLD, Ev, Gv, CL),
	[0xa8] = FA(PUSH, D64, GSv), [0xa9] = FA(POP, D64, GSv), [0xaa] = F(RSM), [0xab] = F(BTS, Ev, Gv),
	[0xac] = F(SHRD, Ev, Gv, Ib), [0xad] = F(SHRD, Ev, Gv, CL),
	[0xae] = MOD_(REG_(FA(FXSAVE, NOPFX, M), FA(FXRSTOR, NOPFX, M), FA(LDMXCSR, NOPFX | V | L0, Md),
			   FA(STMXCSR, NOPFX | V | L0, Md),
			   FA(XSAVE, NOPFX, M), FA(XRSTOR, NOPFX, M),
			   PFX_(F(XSAVEOPT, M), F(CLWB, Mb)), PFX_(F(CLFLUSH, Mb), F(CLFLUSHOPT, Mb))),
		      REG_(PFX_(U, U, FA(RDFSBASE, ONLY64, Ry)), PFX_(U, U, FA(RDGSBASE, ONLY64, Ry)),
			   PFX_(U, U, FA(WRFSBASE, ONLY64, Ry)), PFX_(U, U, FA(WRGSBASE, ONLY64, Ry)),
			   U, FA(LFENCE, NOPFX, 0), FA(MFENCE, NOPFX, 0), FA(SFENCE, NOPFX, 0))),
	[0xaf] = F(IMUL, Gv, Ev),
	[0xb0] = F(CMPXCHG, Eb, Gb), [0xb1] = F(CMPXCHG, Ev, Gv), [0xb2] = F(LSS, Gv, Mp), [0xb3] = F(BTR, Ev, Gv),
	[0xb4] = F(LFS, Gv, Mp), [0xb5] = F(LGS, Gv, Mp), [0xb6] = F(MOVZX, Gv, Eb), [0xb7] = F(MOVZX, Gv, Ew),
	[0xb8] = REP_(U, F(POPCNT, Gv, Ev)), [0xb9] = F(UD1, Gv, Ev),
	[0xba] = REG_(U, U, U, U, F(BT, Ev, Ib), F(BTS, Ev, Ib), F(BTR, Ev, Ib), F(BTC, Ev, Ib)),
	[0xbb] = F(BTC, Ev, Gv), [0xbc] = REP_(F(BSF, Gv, Ev), F(TZCNT, Gv, Ev), F(BSF, Gv, Ev)),
	[0xbd] = REP_(F(BSR, Gv, Ev), F(LZCNT, Gv, Ev), F(BSR, Gv, Ev)),
	[0xbe] = F(MOVSX, Gv, Eb), [0xbf] = F(MOVSX, Gv, Ew),
	[0xc0] = F(XADD, Eb, Gb), [0xc1] = F(XADD, Ev, Gv),
	[0xc2] = PFX_(FA(CMPPS, V, Vx, Hx, Wx, Ib), FA(CMPPD, V, Vx, Hx, Wx, Ib),
		      FA(CMPSS, V, Vdq, Hdq, Wd, Ib), FA(CMPSD, V, Vdq, Hdq, Wq, Ib)),
	[0xc3] = FA(MOVNTI, NOPFX, My, Gy),
	[0xc4] = PFX_(F(PINSRW, Pq, Rep, EdMw, Ib), FA(PINSRW, V | L0, Vdq, Hdq, EdMw, Ib)),
	[0xc5] = PFX_(F(PEXTRW, Gd, Nq, Ib), FA(PEXTRW, V | L0, Gd, Udq, Ib)),
	[0xc6] = PFX_(FA(SHUFPS, V, Vx, Hx, Wx, Ib), FA(SHUFPD, V, Vx, Hx, Wx, Ib)),
	[0xc7] = MOD_(REG_(U, W64_(F(CMPXCHG8B, Mq), F(CMPXCHG16B, Mdq)), U, FA(XRSTORS, NOPFX, M),
			   FA(XSAVEC, NOPFX, M),
			   FA(XSAVES, NOPFX, M)),
		      REG_(U, U, U, U, U, U, REP_(F(RDRAND, Rv)), REP_(F(RDSEED, Rv), F(RDPID, Rn)))),
	EIGHT(0xc8, F(BSWAP, Zv)),

	[0xd0] = PFX_(U, FA(ADDSUBPD, V, Vx, Hx, Wx), U, FA(ADDSUBPS, V, Vx, Hx, Wx)),
	[0xd1] = MMX_SSE_SHIFT(PSRLW), [0xd2] = MMX_SSE_SHIFT(PSRLD), [0xd3] = MMX_SSE_SHIFT(PSRLQ),
	[0xd4] = MMX_SSE(PADDQ), [0xd5] = MMX_SSE(PMULLW),
	[0xd6] = PFX_(U, FA(MOVQ, V | L0, Wq, Vq), F(MOVQ2DQ, Vdq, Nq), F(MOVDQ2Q, Pq, Uq)),
	[0xd7] = PFX_(F(PMOVMSKB, Gd, Nq), FA(PMOVMSKB, V2, Gd, Ux)),
	[0xd8] = MMX_SSE(PSUBUSB), [0xd9] = MMX_SSE(PSUBUSW), [0xda] = MMX_SSE(PMINUB), [0xdb] = MMX_SSE(PAND),
	[0xdc] = MMX_SSE(PADDUSB), [0xdd] = MMX_SSE(PADDUSW), [0xde] = MMX_SSE(PMAXUB), [0xdf] = MMX_SSE(PANDN),
	[0xe0] = MMX_SSE(PAVGB), [0xe1] = MMX_SSE_SHIFT(PSRAW), [0xe2] = MMX_SSE_SHIFT(PSRAD), [0xe3] = MMX_SSE(PAVGW),
	[0xe4] = MMX_SSE(PMULHUW), [0xe5] = MMX_SSE(PMULHW),
	[0xe6] = PFX_(U, FA(CVTTPD2DQ, V, Vdq, Wx), FA(CVTDQ2PD, V, Vx, Wxh), FA(CVTPD2DQ, V, Vdq, Wx)),
	[0xe7] = PFX_(F(MOVNTQ, Mq, Pq), FA(MOVNTDQ, V, Mx, Vx)),
	[0xe8] = MMX_SSE(PSUBSB), [0xe9] = MMX_SSE(PSUBSW), [0xea] = MMX_SSE(PMINSW), [0xeb] = MMX_SSE(POR),
	[0xec] = MMX_SSE(PADDSB), [0xed] = MMX_SSE(PADDSW), [0xee] = MMX_SSE(PMAXSW), [0xef] = MMX_SSE(PXOR),
	[0xf0] = PFX_(U, U, U, FA(LDDQU, V, Vx, Mx)),
	[0xf1] = MMX_SSE_SHIFT(PSLLW), [0xf2] = MMX_SSE_SHIFT(PSLLD), [0xf3] = MMX_SSE_SHIFT(PSLLQ),
	[0xf4] = MMX_SSE(PMULUDQ), [0xf5] = MMX_SSE(PMADDWD), [0xf6] = MMX_SSE(PSADBW),
	[0xf7] = PFX_(F(MASKMOVQ, Pq, Nq, DIq), FA(MASKMOVDQU, V | L0, Vdq, Udq, DIdq)),
	[0xf8] = MMX_SSE(PSUBB), [0xf9] = MMX_SSE(PSUBW), [0xfa] = MMX_SSE(PSUBD), [0xfb] = MMX_SSE(PSUBQ),
	[0xfc] = MMX_SSE(PADDB), [0xfd] = MMX_SSE(PADDW), [0xfe] = MMX_SSE(PADDD), [0xff] = F(UD0, Gv, Ev),
};
