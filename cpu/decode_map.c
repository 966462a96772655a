/* SPDX-License-Identifier: MIT */
/*
 * The one-byte opcode map and the x87 escapes (SDM volume 2, appendix A, tables ).
 * Slots that are not named are #UD.
 */
#include "cpu/decode_table.h"

#define ALU(base, name) \
	[(base) + 0] = F(name, Eb, Gb), [(base) + 1] = F(name, Ev, Gv), [(base) + 2] = F(name, Gb, Eb), \
	[(base) + 3] = F(name, Gv, Ev), [(base) + 4] = F(name, AL, Ib), [(base) + 5] = F(name, rAX, Iz)
#define EIGHT(base, form) \
	[(base) + 0] = form, [(base) + 1] = form, [(base) + 2] = form, [(base) + 3] = form, \
	[(base) + 4] = form, [(base) + 5] = form, [(base) + 6] = form, [(base) + 7] = form
#define GROUP1(e, i) REG_(F(ADD, e, i), F(OR, e, i), F(ADC, e, i), F(SBB, e, i), F(AND, e, i), F(SUB, e, i), \
			  F(XOR, e, i), F(CMP, e, i))
/* /6 is an alias of SHL that all processors execute. */
#define GROUP2(e, n) REG_(F(ROL, e, n), F(ROR, e, n), F(RCL, e, n), F(RCR, e, n), F(SHL, e, n), F(SHR, e, n), \
			  F(SHL, e, n), F(SAR, e, n))
/* In 64-bit mode these are REX, taken as a prefix. */
#define INC_REX { .kind = BY_MODE, .sub = (const struct form[2]){ F(INC, Zv), U } }
#define DEC_REX { .kind = BY_MODE, .sub = (const struct form[2]){ F(DEC, Zv), U } }

const struct form decode_map[256] = {
	ALU(0x00, ADD), ALU(0x08, OR), ALU(0x10, ADC), ALU(0x18, SBB),
	ALU(0x20, AND), ALU(0x28, SUB), ALU(0x30, XOR), ALU(0x38, CMP),
	[0x06] = FA(PUSH, NO64, ESv), [0x07] = FA(POP, NO64, ESv), [0x0e] = FA(PUSH, NO64, CSv),
	[0x16] = FA(PUSH, NO64, SSv), [0x17] = FA(POP, NO64, SSv), [0x1e] = FA(PUSH, NO64, DSv),
	[0x1f] = FA(POP, NO64, DSv),
	[0x27] = FA(DAA, NO64, 0), [0x2f] = FA(DAS, NO64, 0), [0x37] = FA(AAA, NO64, 0), [0x3f] = FA(AAS, NO64, 0),
	EIGHT(0x40, INC_REX), EIGHT(0x48, DEC_REX),
	EIGHT(0x50, FA(PUSH, D64, Zv)), EIGHT(0x58, FA(POP, D64, Zv)),
	[0x60] = FA(PUSHA, NO64, 0), [0x61] = FA(POPA, NO64, 0),
	[0x62] = FA(BOUND, NO64, Gv, Ma),       /* in 64-bit mode, or with mod 3: EVEX, which no model here has */
	[0x63] = MODE_(F(ARPL, Ew, Gw), F(MOVSXD, Gv, Ez)),
	[0x68] = FA(PUSH, D64, Iz), [0x69] = F(IMUL, Gv, Ev, Iz), [0x6a] = FA(PUSH, D64, Ibs),
	[0x6b] = F(IMUL, Gv, Ev, Ibs),
	[0x6c] = F(INS, Yb), [0x6d] = F(INS, Yz), [0x6e] = F(OUTS, Xb), [0x6f] = F(OUTS, Xz),
	EIGHT(0x70, FA(JCC, F64, Jb)), EIGHT(0x78, FA(JCC, F64, Jb)),
	[0x80] = GROUP1(Eb, Ib), [0x81] = GROUP1(Ev, Iz),
	[0x82] = MODE_(GROUP1(Eb, Ib), U), [0x83] = GROUP1(Ev, Ibs),
	[0x84] = F(TEST, Eb, Gb), [0x85] = F(TEST, Ev, Gv), [0x86] = F(XCHG, Eb, Gb), [0x87] = F(XCHG, Ev, Gv),
	[0x88] = F(MOV, Eb, Gb), [0x89] = F(MOV, Ev, Gv), [0x8a] = F(MOV, Gb, Eb), [0x8b] = F(MOV, Gv, Ev),
	[0x8c] = F(MOV, EvMw, Sw), [0x8d] = F(LEA, Gv, M), [0x8e] = F(MOV, Sw, EvMw),
	[0x8f] = REG_(FA(POP, D64, Ev)),        /* the other slots are AMD's XOP */
	[0x90] = { .kind = NOP_90, .op = OP_XCHG, .opd = { Zv, rAX } },
	[0x91] = F(XCHG, Zv, rAX), [0x92] = F(XCHG, Zv, rAX), [0x93] = F(XCHG, Zv, rAX), [0x94] = F(XCHG, Zv, rAX),
	[0x95] = F(XCHG, Zv, rAX), [0x96] = F(XCHG, Zv, rAX), [0x97] = F(XCHG, Zv, rAX),
	[0x98] = F(CBW), [0x99] = F(CWD), [0x9a] = FA(CALLF, NO64, Ap), [0x9b] = F(FWAIT),
	[0x9c] = FA(PUSHF, D64, 0), [0x9d] = FA(POPF, D64, 0), [0x9e] = F(SAHF), [0x9f] = F(LAHF),
	[0xa0] = F(MOV, AL, Ob), [0xa1] = F(MOV, rAX, Ov), [0xa2] = F(MOV, Ob, AL), [0xa3] = F(MOV, Ov, rAX),
	[0xa4] = F(MOVS, Xb), [0xa5] = F(MOVS, Xv), [0xa6] = F(CMPS, Xb), [0xa7] = F(CMPS, Xv),
	[0xa8] = F(TEST, AL, Ib), [0xa9] = F(TEST, rAX, Iz),
	[0xaa] = F(STOS, Yb), [0xab] = F(STOS, Yv), [0xac] = F(LODS, Xb), [0xad] = F(LODS, Xv),
	[0xae] = F(SCAS, Yb), [0xaf] = F(SCAS, Yv),
	EIGHT(0xb0, F(MOV, Zb, Ib)), EIGHT(0xb8, F(MOV, Zv, Iv)),
	[0xc0] = GROUP2(Eb, Ib), [0xc1] = GROUP2(Ev, Ib),
	[0xc2] = FA(RET, F64, Iw), [0xc3] = FA(RET, F64, 0),
	[0xc4] = FA(LES, NO64, Gz, Mp), [0xc5] = FA(LDS, NO64, Gz, Mp), /* in 64-bit mode, or with mod 3: VEX */
	[0xc6] = REG_(F(MOV, Eb, Ib)), [0xc7] = REG_(F(MOV, Ev, Iz)),   /* /7 with rm 0 is TSX */
	[0xc8] = FA(ENTER, D64, Iw, Ib2), [0xc9] = FA(LEAVE, D64, 0), [0xca] = F(RETF, Iw), [0xcb] = F(RETF),
	[0xcc] = F(INT3), [0xcd] = F(INT, Ib), [0xce] = FA(INTO, NO64, 0), [0xcf] = F(IRET),
	[0xd0] = GROUP2(Eb, One), [0xd1] = GROUP2(Ev, One), [0xd2] = GROUP2(Eb, CL), [0xd3] = GROUP2(Ev, CL),
	[0xd4] = FA(AAM, NO64, Ib), [0xd5] = FA(AAD, NO64, Ib), [0xd6] = FA(SALC, NO64, 0), [0xd7] = F(XLAT, BXb),
	/* A single form to choose: no VEX in this map. */
	[0xd8] = { .kind = BY_VEX, .sub = &decode_x87[0] }, [0xd9] = { .kind = BY_VEX, .sub = &decode_x87[1] },
	[0xda] = { .kind = BY_VEX, .sub = &decode_x87[2] }, [0xdb] = { .kind = BY_VEX, .sub = &decode_x87[3] },
	[0xdc] = { .kind = BY_VEX, .sub = &decode_x87[4] }, [0xdd] = { .kind = BY_VEX, .sub = &decode_x87[5] },
	[0xde] = { .kind = BY_VEX, .sub = &decode_x87[6] }, [0xdf] = { .kind = BY_VEX, .sub = &decode_x87[7] },
	[0xe0] = FA(LOOPNE, F64, Jb), [0xe1] = FA(LOOPE, F64, Jb), [0xe2] = FA(LOOP, F64, Jb),
	[0xe3] = FA(JCXZ, F64, Jb),
	[0xe4] = F(IN, AL, Ib), [0xe5] = F(IN, eAX, Ib), [0xe6] = F(OUT, Ib, AL), [0xe7] = F(OUT, Ib, eAX),
	[0xe8] = FA(CALL, F64, Jz), [0xe9] = FA(JMP, F64, Jz), [0xea] = FA(JMPF, NO64, Ap), [0xeb] = FA(JMP, F64, Jb),
	[0xec] = F(IN, AL, DX), [0xed] = F(IN, eAX, DX), [0xee] = F(OUT, DX, AL), [0xef] = F(OUT, DX, eAX),
	[0xf1] = F(INT1), [0xf4] = F(HLT), [0xf5] = F(CMC),
	/* /1 is an alias of TEST. */
	[0xf6] = REG_(F(TEST, Eb, Ib), F(TEST, Eb, Ib), F(NOT, Eb), F(NEG, Eb), F(MUL, Eb), F(IMUL, Eb), F(DIV, Eb),
		      F(IDIV, Eb)),
	[0xf7] = REG_(F(TEST, Ev, Iz), F(TEST, Ev, Iz), F(NOT, Ev), F(NEG, Ev), F(MUL, Ev), F(IMUL, Ev), F(DIV, Ev),
		      F(IDIV, Ev)),
	[0xf8] = F(CLC), [0xf9] = F(STC), [0xfa] = F(CLI), [0xfb] = F(STI), [0xfc] = F(CLD), [0xfd] = F(STD),
	[0xfe] = REG_(F(INC, Eb), F(DEC, Eb)),
	[0xff] = REG_(F(INC, Ev), F(DEC, Ev), FA(CALL, F64, Ev), F(CALLF, Mp), FA(JMP, F64, Ev), F(JMPF, Mp),
		      FA(PUSH, D64, Ev)),
};

/* FADD to FDIVR with ST(0) and a memory operand, an ST(i), or an integer. */
#define ARITH_MEM(m) F(FADD, m), F(FMUL, m), F(FCOM, m), F(FCOMP, m), F(FSUB, m), F(FSUBR, m), F(FDIV, m), F(FDIVR, m)
#define ARITH_INT(m) \
	F(FIADD, m), F(FIMUL, m), F(FICOM, m), F(FICOMP, m), F(FISUB, m), F(FISUBR, m), F(FIDIV, m), F(FIDIVR, m)

const struct form decode_x87[8] = {
	/* D8 */
	MOD_(REG_(ARITH_MEM(Md)),
	     REG_(F(FADD, ST0, STi), F(FMUL, ST0, STi), F(FCOM, STi), F(FCOMP, STi),
		  F(FSUB, ST0, STi), F(FSUBR, ST0, STi), F(FDIV, ST0, STi), F(FDIVR, ST0, STi))),
	/* D9 */
	MOD_(REG_(F(FLD, Md), U, F(FST, Md), F(FSTP, Md), F(FLDENV, Menv), F(FLDCW, Mw), F(FNSTENV, Menv),
		  F(FNSTCW, Mw)),
	     REG_(F(FLD, STi), F(FXCH, STi), RM_(F(FNOP)), F(FSTP, STi),        /* D9 D8+i: FSTPNCE */
		  RM_(F(FCHS), F(FABS), U, U, F(FTST), F(FXAM)),
		  RM_(F(FLD1), F(FLDL2T), F(FLDL2E), F(FLDPI), F(FLDLG2), F(FLDLN2), F(FLDZ)),
		  RM_(F(F2XM1), F(FYL2X), F(FPTAN), F(FPATAN), F(FXTRACT), F(FPREM1), F(FDECSTP), F(FINCSTP)),
		  RM_(F(FPREM), F(FYL2XP1), F(FSQRT), F(FSINCOS), F(FRNDINT), F(FSCALE), F(FSIN), F(FCOS)))),
	/* DA */
	MOD_(REG_(ARITH_INT(Md)),
	     REG_(F(FCMOVB, ST0, STi), F(FCMOVE, ST0, STi), F(FCMOVBE, ST0, STi), F(FCMOVU, ST0, STi),
		  U, RM_(U, F(FUCOMPP)))),
	/* DB */
	MOD_(REG_(F(FILD, Md), F(FISTTP, Md), F(FIST, Md), F(FISTP, Md), U, F(FLD, Mt), U, F(FSTP, Mt)),
	     REG_(F(FCMOVNB, ST0, STi), F(FCMOVNE, ST0, STi), F(FCMOVNBE, ST0, STi), F(FCMOVNU, ST0, STi),
		  RM_(F(FNENI), F(FNDISI), F(FNCLEX), F(FNINIT), F(FNSETPM)), F(FUCOMI, ST0, STi), F(FCOMI, ST0, STi))),
	/* DC; the reversed subtractions and divisions are swapped against D8 (SDM table A-16) */
	MOD_(REG_(ARITH_MEM(Mq)),
	     REG_(F(FADD, STi, ST0), F(FMUL, STi, ST0), F(FCOM, STi), F(FCOMP, STi),   /* FCOM2, FCOMP3 */
		  F(FSUBR, STi, ST0), F(FSUB, STi, ST0), F(FDIVR, STi, ST0), F(FDIV, STi, ST0))),
	/* DD; C8 is FXCH4 */
	MOD_(REG_(F(FLD, Mq), F(FISTTP, Mq), F(FST, Mq), F(FSTP, Mq), F(FRSTOR, Mfsave), U, F(FNSAVE, Mfsave),
		  F(FNSTSW, Mw)),
	     REG_(F(FFREE, STi), F(FXCH, STi), F(FST, STi), F(FSTP, STi), F(FUCOM, STi), F(FUCOMP, STi))),
	/* DE */
	MOD_(REG_(ARITH_INT(Mw)),
	     REG_(F(FADDP, STi, ST0), F(FMULP, STi, ST0), F(FCOMP, STi), RM_(U, F(FCOMPP)),     /* FCOMP5 */
		  F(FSUBRP, STi, ST0), F(FSUBP, STi, ST0), F(FDIVRP, STi, ST0), F(FDIVP, STi, ST0))),
	/* DF */
	MOD_(REG_(F(FILD, Mw), F(FISTTP, Mw), F(FIST, Mw), F(FISTP, Mw), F(FBLD, Mt), F(FILD, Mq), F(FBSTP, Mt),
		  F(FISTP, Mq)),
	     REG_(F(FFREEP, STi), F(FXCH, STi), F(FSTP, STi), F(FSTP, STi),     /* FXCH7, FSTP8, FSTP9 */
		  RM_(F(FNSTSW, AX)), F(FUCOMIP, ST0, STi), F(FCOMIP, ST0, STi))),
};
