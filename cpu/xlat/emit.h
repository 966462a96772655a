/* SPDX-License-Identifier: MIT */
/*
 * An assembler for x86-64: bytes into a buffer that is written at one address and will run at another.  Encodings as in
 * the SDM, volume 2, chapter 2.  Nothing here knows of guests.
 */
#ifndef CPU_XLAT_EMIT_H
#define CPU_XLAT_EMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { HAX, HCX, HDX, HBX, HSP, HBP, HSI, HDI, H8, H9, H10, H11, H12, H13, H14, H15 };

struct buf {
	uint8_t *p, *start, *end;       /* next byte, first byte, room ends: writes beyond set `full` and are lost */
	bool full;
};

/* The r/m side of an instruction: a register, or memory [base + (index << scale) + disp], perhaps in GS. */
struct rm {
	int8_t reg;                     /* >= 0: this register, and nothing else counts */
	int8_t base, index;             /* -1: none */
	uint8_t scale;                  /* 0..3 */
	bool gs;
	int32_t disp;
};
static inline struct rm rm_reg(int reg) { return (struct rm){ .reg = (int8_t)reg, .base = -1, .index = -1 }; }
static inline struct rm rm_base(int base, int32_t disp) { return (struct rm){ -1, (int8_t)base, -1, 0, false, disp }; }
static inline struct rm rm_index(int base, int index, unsigned scale, int32_t disp)
{
	return (struct rm){ -1, (int8_t)base, (int8_t)index, (uint8_t)scale, false, disp };
}
/* A field of the processor's struct: GS points at it. */
static inline struct rm rm_gs(int32_t offset) { return (struct rm){ -1, -1, -1, 0, true, offset }; }

/* Opcodes: byte, map << 8 (0; 1: 0F; 2: 0F38; 3: 0F3A), mandatory prefix << 16, and these. */
enum {
	EO_16 = 1 << 24,                /* operand size prefix */
	EO_LOCK = 1 << 25,
	EO_W = 1 << 26,                 /* REX.W */
	EO_B_REG = 1 << 27, EO_B_RM = 1 << 28,  /* that side is a byte register: 4 to 7 are SPL BPL SIL DIL */
	EO_HIGH = 1 << 29,              /* 4 to 7 are AH CH DH BH: there must be no REX */
};

void emit_bytes(struct buf *b, const void *bytes, unsigned n);
static inline void emit8(struct buf *b, uint8_t v)
{
	if (b->p < b->end)
		*b->p++ = v;
	else
		b->full = true;
}
static inline void emit32(struct buf *b, uint32_t v) { emit_bytes(b, &v, 4); }
static inline void emit64(struct buf *b, uint64_t v) { emit_bytes(b, &v, 8); }

/* op reg, rm (or op rm, reg): the opcode says which; reg may be an opcode extension.  Immediates follow by emit8/32. */
void emit_op(struct buf *b, uint32_t op, unsigned reg, struct rm rm);
bool emit_needs_rex(uint32_t op, unsigned reg, const struct rm *rm);
/* The same with a VEX prefix; op has map and mandatory prefix as above and EO_W for VEX.W. */
void emit_vex(struct buf *b, uint32_t op, bool l, unsigned reg, unsigned vvvv, struct rm rm);

/* Frequent ones.  w: 64 bits, else 32. */
void emit_mov_rr(struct buf *b, bool w, unsigned to, unsigned from);
void emit_load(struct buf *b, bool w, unsigned to, struct rm from);
void emit_store(struct buf *b, bool w, struct rm to, unsigned from);
void emit_lea(struct buf *b, bool w, unsigned to, struct rm from);
void emit_mov_imm(struct buf *b, unsigned to, uint64_t v);      /* shortest form */
void emit_alu_imm(struct buf *b, bool w, unsigned ext, struct rm rm, int32_t v);   /* 0 ADD 1 OR 4 AND 5 SUB 7 CMP */
void emit_push(struct buf *b, unsigned reg);
void emit_pop(struct buf *b, unsigned reg);

/* Branches.  The displacement is 32 bits; these return where it lies, to be set by emit_here or emit_target. */
uint8_t *emit_jmp(struct buf *b);
uint8_t *emit_jcc(struct buf *b, unsigned cc);
uint8_t *emit_call(struct buf *b);
void emit_target(struct buf *b, uint8_t *field, const uint8_t *to);     /* `to` as written */
static inline void emit_here(struct buf *b, uint8_t *field) { emit_target(b, field, b->p); }
void emit_jmp_to(struct buf *b, const uint8_t *to);
void emit_jcc_to(struct buf *b, unsigned cc, const uint8_t *to);
void emit_call_to(struct buf *b, const uint8_t *to);

#endif
