/* SPDX-License-Identifier: MIT */
/*
 * The form of the decoder's tables: opcode maps whose entries are forms (a mnemonic and its operands) or choices among
 * forms. Private to decode*.c.  Operand names are those of the manual's opcode maps (SDM volume 2, appendix A.2):
 * a letter for where the operand stands, then letters for its size.
 */
#ifndef CPU_DECODE_TABLE_H
#define CPU_DECODE_TABLE_H

#include "cpu/insn.h"

/* Where an operand comes from. */
enum place {
	AT_NONE,
	AT_RM,                          /* E: general register or memory, by ModRM.rm */
	AT_MEM,                         /* M: memory only */
	AT_RM_REG,                      /* R: general register by ModRM.rm */
	AT_REG,                         /* G: general register by ModRM.reg */
	AT_OPCODE,                      /* Z: general register by the opcode's low bits */
	AT_VVVV,                        /* B: general register by VEX.vvvv */
	AT_AL, AT_CL, AT_DX,            /* rAX, rCX, rDX of the size */
	AT_IMM8, AT_IMM8S, AT_IMM16, AT_IMMZ, AT_IMMV, AT_IMM8_SECOND, AT_ONE,
	AT_REL8, AT_RELZ, AT_FAR,
	AT_MOFFS,                       /* O */
	AT_ES, AT_CS, AT_SS, AT_DS, AT_FS, AT_GS,
	AT_REG_SEG, AT_REG_CR, AT_REG_DR,
	AT_ST0, AT_STI,
	AT_REG_MMX, AT_RM_MMX, AT_RM_REG_MMX,   /* P, Q, N */
	AT_REPEAT,                      /* operand 0 again */
	AT_REG_XMM, AT_RM_XMM, AT_RM_REG_XMM,   /* V, W, U */
	AT_VVVV_XMM,                    /* H: by VEX.vvvv; operand 0 again in a legacy form */
	AT_IMM_XMM,                     /* L: by imm8[7:4] */
	AT_XMM0,
	AT_SI, AT_DI,                   /* memory at rSI with override, at ES:rDI */
	AT_DI_DS,                       /* memory at rDI with override: MASKMOVQ */
	AT_BX,                          /* memory at rBX: XLAT */
	/* memory by VSIB with an index register as wide as VEX.L says, or of 16 bytes */
	AT_VSIB_X, AT_VSIB_DQ,
};

/* How wide it is: a number of bytes, or by these rules. */
enum width {
	WIDTH_RULES = 128,
	WIDTH_V,                        /* operand size */
	WIDTH_Z,                        /* operand size, at most 4 */
	WIDTH_Y,                        /* 8 with W in 64-bit mode, else 4 */
	WIDTH_NATIVE,                   /* 8 in 64-bit mode, else 4 */
	WIDTH_X,                        /* 16, or 32 with VEX.L */
	WIDTH_X_HALF, WIDTH_X_QUARTER, WIDTH_X_EIGHTH,
	WIDTH_DDUP,                     /* 8, or 32 with VEX.L */
	WIDTH_P,                        /* far pointer: operand size + 2 */
	WIDTH_A,                        /* twice the operand size */
	WIDTH_S,                        /* pseudo-descriptor: 6, in 64-bit mode 10 */
	WIDTH_ENV, WIDTH_FSAVE,         /* x87 environment and state: by operand size */
	WIDTH_V_MEM2,                   /* operand size in a register, 2 in memory */
	WIDTH_D_MEM1, WIDTH_D_MEM2,     /* 4 in a register, 1 or 2 in memory */
};

#define SPECS(S) \
	S(Eb, AT_RM, 1) S(Ew, AT_RM, 2) S(Ed, AT_RM, 4) S(Eq, AT_RM, 8) S(Ev, AT_RM, WIDTH_V) S(Ez, AT_RM, WIDTH_Z) \
	S(Ey, AT_RM, WIDTH_Y) S(EvMw, AT_RM, WIDTH_V_MEM2) S(EdMb, AT_RM, WIDTH_D_MEM1) S(EdMw, AT_RM, WIDTH_D_MEM2) \
	S(En, AT_RM, WIDTH_NATIVE) \
	S(Gb, AT_REG, 1) S(Gw, AT_REG, 2) S(Gd, AT_REG, 4) S(Gv, AT_REG, WIDTH_V) S(Gz, AT_REG, WIDTH_Z) \
	S(Gy, AT_REG, WIDTH_Y) \
	S(Gn, AT_REG, WIDTH_NATIVE) \
	S(M, AT_MEM, 0) S(Mb, AT_MEM, 1) S(Mw, AT_MEM, 2) S(Md, AT_MEM, 4) S(Mq, AT_MEM, 8) S(Mt, AT_MEM, 10) \
	S(Mdq, AT_MEM, 16) \
	S(Mqq, AT_MEM, 32) S(Mv, AT_MEM, WIDTH_V) S(My, AT_MEM, WIDTH_Y) S(Mx, AT_MEM, WIDTH_X) S(Mp, AT_MEM, WIDTH_P) \
	S(Ma, AT_MEM, WIDTH_A) S(Ms, AT_MEM, WIDTH_S) S(Menv, AT_MEM, WIDTH_ENV) S(Mfsave, AT_MEM, WIDTH_FSAVE) \
	S(Rd, AT_RM_REG, 4) S(Rv, AT_RM_REG, WIDTH_V) S(Ry, AT_RM_REG, WIDTH_Y) S(Rn, AT_RM_REG, WIDTH_NATIVE) \
	S(Zb, AT_OPCODE, 1) S(Zv, AT_OPCODE, WIDTH_V) S(By, AT_VVVV, WIDTH_Y) \
	S(AL, AT_AL, 1) S(AX, AT_AL, 2) S(rAX, AT_AL, WIDTH_V) S(eAX, AT_AL, WIDTH_Z) S(CL, AT_CL, 1) S(DX, AT_DX, 2) \
	S(Ib, AT_IMM8, 1) S(Ibs, AT_IMM8S, WIDTH_V) S(Iw, AT_IMM16, 2) S(Iz, AT_IMMZ, WIDTH_V) S(Iv, AT_IMMV, WIDTH_V) \
	S(Ib2, AT_IMM8_SECOND, 1) S(One, AT_ONE, 1) S(Ibb, AT_IMM8S, 1) \
	S(Jb, AT_REL8, 1) S(Jz, AT_RELZ, WIDTH_Z) S(Ap, AT_FAR, WIDTH_P) S(Ob, AT_MOFFS, 1) S(Ov, AT_MOFFS, WIDTH_V) \
	S(ES, AT_ES, 2) S(CS, AT_CS, 2) S(SS, AT_SS, 2) S(DS, AT_DS, 2) S(FS, AT_FS, 2) S(GS, AT_GS, 2) \
	S(ESv, AT_ES, WIDTH_V) S(CSv, AT_CS, WIDTH_V) S(SSv, AT_SS, WIDTH_V) S(DSv, AT_DS, WIDTH_V) \
	S(FSv, AT_FS, WIDTH_V) \
	S(GSv, AT_GS, WIDTH_V) \
	S(Sw, AT_REG_SEG, 2) S(Cn, AT_REG_CR, WIDTH_NATIVE) S(Dn, AT_REG_DR, WIDTH_NATIVE) \
	S(ST0, AT_ST0, 10) S(STi, AT_STI, 10) \
	S(Pq, AT_REG_MMX, 8) S(Pd, AT_REG_MMX, 4) S(Qq, AT_RM_MMX, 8) S(Qd, AT_RM_MMX, 4) S(Nq, AT_RM_REG_MMX, 8) \
	S(Rep, AT_REPEAT, 0) \
	S(Vx, AT_REG_XMM, WIDTH_X) S(Vdq, AT_REG_XMM, 16) S(Vqq, AT_REG_XMM, 32) S(Vq, AT_REG_XMM, 8) \
	S(Vd, AT_REG_XMM, 4) \
	S(Vxh, AT_REG_XMM, WIDTH_X_HALF) \
	S(Wx, AT_RM_XMM, WIDTH_X) S(Wdq, AT_RM_XMM, 16) S(Wqq, AT_RM_XMM, 32) S(Wq, AT_RM_XMM, 8) S(Wd, AT_RM_XMM, 4) \
	S(Ww, AT_RM_XMM, 2) S(Wb, AT_RM_XMM, 1) S(Wxh, AT_RM_XMM, WIDTH_X_HALF) S(Wxq, AT_RM_XMM, WIDTH_X_QUARTER) \
	S(Wxe, AT_RM_XMM, WIDTH_X_EIGHTH) S(Wddup, AT_RM_XMM, WIDTH_DDUP) \
	S(Hx, AT_VVVV_XMM, WIDTH_X) S(Hdq, AT_VVVV_XMM, 16) S(Hqq, AT_VVVV_XMM, 32) \
	S(Ux, AT_RM_REG_XMM, WIDTH_X) S(Udq, AT_RM_REG_XMM, 16) S(Uq, AT_RM_REG_XMM, 8) S(Ud, AT_RM_REG_XMM, 4) \
	S(Lx, AT_IMM_XMM, WIDTH_X) S(XMM0, AT_XMM0, 16) \
	S(Xb, AT_SI, 1) S(Xv, AT_SI, WIDTH_V) S(Xz, AT_SI, WIDTH_Z) S(Yb, AT_DI, 1) S(Yv, AT_DI, WIDTH_V) \
	S(Yz, AT_DI, WIDTH_Z) \
	S(DIq, AT_DI_DS, 8) S(DIdq, AT_DI_DS, 16) S(BXb, AT_BX, 1) \
	S(VMxd, AT_VSIB_X, 4) S(VMxq, AT_VSIB_X, 8) S(VMdqq, AT_VSIB_DQ, 8)

enum spec {
	SPEC_NONE,
#define SPEC_NAME(name, place, width) name,
	SPECS(SPEC_NAME)
#undef SPEC_NAME
	SPEC_COUNT
};

enum form_kind {
	FORM,
	BY_REG,                         /* sub[8], by ModRM.reg */
	BY_MOD,                         /* sub[2]: memory, register */
	BY_RM,                          /* sub[8], by ModRM.rm */
	BY_PREFIX,                      /* sub[4]: none, 66, F3, F2 as part of the opcode; F2 and F3 go before 66 */
	BY_REP,                         /* sub[3]: none, F3, F2 as part of the opcode; 66 stays the operand size */
	BY_MODE,                        /* sub[2]: not 64-bit, 64-bit */
	BY_VEX,                         /* sub[2]: legacy, VEX */
	BY_L,                           /* sub[2], by VEX.L */
	BY_W,                           /* sub[2], by VEX.W */
	BY_W64,                         /* sub[2], by W, which is 0 outside 64-bit mode */
	NOP_90,                         /* NOP, PAUSE, or XCHG with r8 */
};

enum form_attr {
	NO64 = 1 << 0,                  /* #UD in 64-bit mode */
	ONLY64 = 1 << 1,                /* #UD elsewhere */
	D64 = 1 << 2,                   /* operand size is 8 in 64-bit mode unless 66 makes it 2 */
	F64 = 1 << 3,                   /* operand size is 8 in 64-bit mode whatever the prefixes */
	ANYMOD = 1 << 4,                /* ModRM.mod counts as 3 */
	V = 1 << 5,                     /* has a VEX form too */
	VONLY = 1 << 6,                 /* has a VEX form only */
	L0 = 1 << 7, L1 = 1 << 8,       /* VEX.L must be that */
	W0 = 1 << 9, W1 = 1 << 10,      /* VEX.W must be that */
	INT256 = 1 << 11,               /* VEX.L = 1 is AVX2 */
	NOPFX = 1 << 12,                /* 66, F2 and F3 are #UD ("NP" in the manual) */
	V2 = V | INT256,
};

struct form {
	uint16_t op;
	uint16_t attr;
	uint8_t kind;
	uint8_t opd[4];                 /* enum spec */
	const struct form *sub;
};

#define F(name, ...) { .op = OP_##name, .opd = { __VA_ARGS__ } }
#define FA(name, bits, ...) { .op = OP_##name, .attr = (bits), .opd = { __VA_ARGS__ } }
#define U { .op = OP_INVALID }
#define REG_(...) { .kind = BY_REG, .sub = (const struct form[8]){ __VA_ARGS__ } }
#define MOD_(...) { .kind = BY_MOD, .sub = (const struct form[2]){ __VA_ARGS__ } }
#define RM_(...) { .kind = BY_RM, .sub = (const struct form[8]){ __VA_ARGS__ } }
#define PFX_(...) { .kind = BY_PREFIX, .sub = (const struct form[4]){ __VA_ARGS__ } }
#define REP_(...) { .kind = BY_REP, .sub = (const struct form[3]){ __VA_ARGS__ } }
#define MODE_(...) { .kind = BY_MODE, .sub = (const struct form[2]){ __VA_ARGS__ } }
#define VEX_(...) { .kind = BY_VEX, .sub = (const struct form[2]){ __VA_ARGS__ } }
#define L_(...) { .kind = BY_L, .sub = (const struct form[2]){ __VA_ARGS__ } }
#define W_(...) { .kind = BY_W, .sub = (const struct form[2]){ __VA_ARGS__ } }
#define W64_(...) { .kind = BY_W64, .sub = (const struct form[2]){ __VA_ARGS__ } }

extern const struct form decode_map[256], decode_map_0f[256], decode_map_0f38[256], decode_map_0f3a[256];
extern const struct form decode_x87[8];         /* D8 to DF */

/* What holds for all forms of a mnemonic. */
enum access {
	ACCESS_WR,                      /* operand 0 written, the others read */
	ACCESS_RW,                      /* operand 0 read and written, the others read */
	ACCESS_R,                       /* all read */
	ACCESS_NONE,
	ACCESS_RW_RW,                   /* XCHG, XADD */
	ACCESS_W_W,                     /* MULX */
	ACCESS_LEA,
	ACCESS_MASKMOV,
	ACCESS_GATHER,                  /* destination and mask read and written */
	ACCESS_RW_OR_R,                 /* one operand: read; two: 0 is read and written (x87) */
	ACCESS_IMUL,
};

enum alignment {
	ALIGN_LEGACY,                   /* 16-byte operands of legacy SSE forms */
	ALIGN_ALWAYS, ALIGN_NEVER,
};

struct op_info {
	uint8_t access, alignment;
	uint8_t feature;                /* enum cpu_feature */
	uint16_t traits;
	struct flag_use flags;
};
extern const struct op_info decode_op[OP_COUNT];

void insn_invalidate(struct insn *i);           /* make it OP_INVALID, keeping its length */

#endif
