/* SPDX-License-Identifier: MIT */
/*
 * A decoded instruction: the common ground of the decoder, both engines and the disassembler.
 *
 * Names.  `op` is the mnemonic of the Intel manual (SDM volume 2), operands say the rest: one OP_MOV serves all widths.
 * Where a mnemonic is ambiguous or several differ by size only:
 *   - string operations are OP_MOVS CMPS STOS LODS SCAS INS OUTS, width in o[0].size (OP_MOVSD and OP_CMPSD are
 *     SSE2's);
 *   - condition families are OP_JCC, OP_SETCC, OP_CMOVCC with `cc`;  OP_JCXZ, LOOP, LOOPE, LOOPNE count by `addrsize`;
 *   - far forms are OP_CALLF, OP_JMPF, OP_RETF;  OP_INT1 is F1, OP_SALC is D6;
 *   - moves to and from control, debug and segment registers are OP_MOV with such an operand (OPD_CR, OPD_DR, OPD_SEG);
 *   - by `opsize`: OP_CBW (CBW CWDE CDQE), OP_CWD (CWD CDQ CQO), PUSHA, POPA, PUSHF, POPF, IRET, SYSRET, SYSEXIT;
 *     FXSAVE and the XSAVE family with REX.W (opsize 8) are the "64" forms;
 *   - wait forms of the x87 (FINIT) are two instructions, FWAIT and OP_FNINIT; its aliases (FCOM2, FXCH4, FSTP8 ...)
 *     carry the name of what they repeat.
 * A VEX form has the number of its legacy twin (VADDPS is OP_ADDPS) with `vex` set; what has no twin keeps its V
 * (OP_VPERMD).
 *
 * Operands are those of the manual's syntax in its order, with the implied registers that it writes out (AL in IN
 * AL,DX; CL or 1 of shifts; ST(0); XMM0 of BLENDVPS; not rDX:rAX of MUL nor rSI of MOVS).  Besides:
 *   - an MMX or SSE form whose destination is also the first source repeats it as operand 1, so that legacy and VEX
 *     forms read alike: o[0] = op(o[1], o[2]), immediate or XMM0 behind.  So PADDB, PSLLW with an immediate, PINSRW,
 *     SQRTSS, CVTSI2SS, MOVLPS from memory, MOVSS between registers and MOVHLPS have three or four; loads, stores, full
 *     moves, conversions of whole registers and SHUFFLEs with one source (PSHUFD) have two and the immediate, in both
 *     encodings;
 *   - string operations have one operand, OPD_MEM with the width; insn.mem is the rSI side (segment override applied)
 *     of MOVS CMPS LODS OUTS, and ES:rDI for STOS SCAS INS.  The other side of MOVS and CMPS is ES:rDI;
 *   - OP_XLAT has OPD_MEM of one byte based on rBX, without AL; MASKMOVQ and MASKMOVDQU have the rDI operand as o[2];
 *   - far pointers in memory have size opsize + 2 (LGDT and LIDT: 6, in 64-bit mode 10), BOUND 2 * opsize;
 *   - RET, RETF have no operand or the immediate; ENTER has OPD_IMM and OPD_IMM2;
 *   - BT BTS BTR BTC of memory by a register: size is opsize, the address still lacks the bit offset's contribution;
 *   - PEXTRB, PEXTRW, PEXTRD to, and PINSRB, PINSRW from a general register have a register operand of 4 bytes;
 *   - operands that are named but not accessed (NOP Ev, PREFETCHx, CLFLUSH, INVLPG, LEA) are neither read nor written.
 */
#ifndef CPU_INSN_H
#define CPU_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op {
	OP_INVALID = 0,                 /* #UD */
#define OP(name) OP_##name,
#include "cpu/ops.h"
#undef OP
	OP_COUNT
};

enum operand_kind {
	OPD_NONE,
	/* reg 0..15 by size; size 1 without REX: reg 4..7 with `high` are AH CH DH BH */
	OPD_GPR,
	OPD_MEM,                        /* insn.mem; size 0 if the operand has none (LEA, INVLPG) */
	OPD_IMM,                        /* insn.imm, sign- or zero-extended as the instruction says */
	OPD_IMM2,                       /* insn.imm2: ENTER, EXTRQ, far pointers' selector */
	OPD_REL,                        /* insn.imm is the displacement from the next instruction */
	OPD_FAR,                        /* ptr16:16/32: imm2:imm */
	OPD_SEG, OPD_CR, OPD_DR,
	OPD_ST, OPD_MMX,
	OPD_XMM,                        /* size 16, or 32 for YMM; less where less is accessed: 1, 2, 4, 8 */
};

struct operand {
	uint8_t kind;                   /* enum operand_kind */
	uint8_t reg;
	uint8_t size;                   /* bytes accessed, 0 if variable (FXSAVE, XSAVE) */
	uint8_t high : 1;               /* AH CH DH BH, with reg already reduced to 0..3 */
	/* a partly written XMM (MOVLPS, SQRTSS) has its old value as an operand of its own */
	uint8_t read : 1, written : 1;
};

enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_NONE };
enum { REG_NONE = 0xff, REG_RIP = 0xfe };

enum { REP_NONE, REP_F2, REP_F3 };

/*
 * EFLAGS that the instruction reads, sets, and leaves undefined, as bits CF=1 PF=4 AF=0x10 ZF=0x40 SF=0x80 OF=0x800 (DF
 * 0x400). What it may either set or leave alone (shift by CL, REP CMPS with a count of 0) is marked read as well as
 * written; what it does undefined is not in `written`.
 */
struct flag_use {
	uint16_t read, written, undefined;
};

enum insn_class {                       /* bits of insn.traits */
	/* may change RIP other than to the next, the mode, or what may be executed or accessed */
	INSN_ENDS_BLOCK = 1 << 0,
	/* #GP at CPL > 0 (before other checks; not those that depend on IOPL, CR4 or VM) */
	INSN_PRIVILEGED = 1 << 1,
	INSN_X87 = 1 << 2, INSN_MMX = 1 << 3, INSN_SSE = 1 << 4, INSN_AVX = 1 << 5,
	/* has a form with LOCK (`lock` is set only where it is legal: else OP_INVALID) */
	INSN_LOCKABLE = 1 << 6,
	INSN_NO64 = 1 << 7,             /* #UD in 64-bit mode (already OP_INVALID there) */
	INSN_IO = 1 << 8,
	INSN_STRING = 1 << 9,
	INSN_ALIGNED = 1 << 10,         /* a 16- or 32-byte memory operand must be aligned, else #GP */
	INSN_NOREAL = 1 << 11,          /* #UD in real and virtual-8086 mode */
};

struct insn {
	uint16_t op;                    /* enum op */
	uint8_t len;                    /* bytes, prefixes included */
	uint8_t mode;                   /* 16, 32 or 64 */
	uint8_t opsize, addrsize;       /* effective, bytes: 2, 4, 8; a 66 that is part of the opcode does not count */
	uint8_t rep;                    /* REP_F2, REP_F3: that prefix where it is not part of the opcode */
	uint8_t cc;                     /* condition, low nibble of the opcode, for JCC SETCC CMOVCC LOOPcc */
	bool lock, vex, vex_l, vex_w;
	uint8_t rex;                    /* the REX byte, 0 if none */
	uint8_t map;                    /* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A */
	uint8_t opcode, modrm;          /* last opcode byte; ModRM if the form has one */
	uint8_t mandatory;              /* 0, 0x66, 0xf2, 0xf3 as part of the opcode (VEX.pp too) */
	bool has_modrm;
	uint16_t traits;
	/* enum cpu_feature that it needs besides those of its traits; 0: none (cpu/model.h) */
	uint8_t feature;
	uint8_t mem_op;                 /* which operand is OPD_MEM; 0xff: none */
	struct {
		uint8_t seg;            /* effective: default or override; in 64-bit mode only FS and GS override */
		uint8_t base, index;    /* 0..15, REG_NONE, base also REG_RIP (disp is from the instruction's end) */
		uint8_t scale;          /* 1, 2, 4, 8 */
		uint8_t vsib;           /* 0, or 16/32: index is that vector register */
		int32_t disp;           /* sign-extended; the sum is cut to addrsize */
		bool moffs;             /* no base, no index: the address is imm (and, below 64 bits, disp) */
	} mem;
	uint64_t imm, imm2;
	uint8_t operands;               /* how many */
	struct operand o[5];
	struct flag_use flags;
};

enum decode_result {
	DECODE_OK,                      /* op may still be OP_INVALID: #UD with len set */
	DECODE_SHORT,                   /* needs more than `avail` bytes */
	DECODE_LONG,                    /* over 15 bytes: #GP(0) */
};
/* Decode one instruction at bytes; mode is 16, 32 or 64.  Pure: reads at most min(avail, 15) bytes. */
enum decode_result insn_decode(struct insn *i, const uint8_t *bytes, size_t avail, unsigned mode);

/* Intel syntax, as objdump -M intel prints it; rip is the instruction's address.  Returns the text's length. */
size_t insn_text(const struct insn *i, uint64_t rip, char *buf, size_t len);
const char *op_name(enum op op);        /* lower case */

#endif
