/* SPDX-License-Identifier: MIT */
/* The assembler: prefixes, ModRM and SIB (SDM volume 2, 2.1 to 2.3). */
#include "cpu/xlat/emit.h"

void emit_bytes(struct buf *b, const void *bytes, unsigned n)
{
	if (b->end - b->p < (long)n) {
		b->full = true;
		return;
	}
	memcpy(b->p, bytes, n);
	b->p += n;
}

static void emit_modrm(struct buf *b, unsigned reg, const struct rm *m)
{
	unsigned mod, scale = m->scale;

	reg = (reg & 7) << 3;
	if (m->reg >= 0) {
		emit8(b, (uint8_t)(0xc0 | reg | (m->reg & 7)));
		return;
	}
	if (m->base < 0) {              /* [disp32] and [index*scale + disp32] have a SIB without base */
		emit8(b, (uint8_t)(reg | 4));
		emit8(b, (uint8_t)(scale << 6 | (m->index < 0 ? 4 : m->index & 7) << 3 | 5));
		emit32(b, (uint32_t)m->disp);
		return;
	}
	mod = m->disp == 0 && (m->base & 7) != 5 ? 0 : m->disp == (int8_t)m->disp ? 1 : 2;
	if (m->index >= 0 || (m->base & 7) == 4) {
		emit8(b, (uint8_t)(mod << 6 | reg | 4));
		emit8(b, (uint8_t)(scale << 6 | (m->index < 0 ? 4 : m->index & 7) << 3 | (m->base & 7)));
	} else {
		emit8(b, (uint8_t)(mod << 6 | reg | (m->base & 7)));
	}
	if (mod == 1)
		emit8(b, (uint8_t)m->disp);
	else if (mod == 2)
		emit32(b, (uint32_t)m->disp);
}

static unsigned rex_bits(unsigned reg, const struct rm *m)
{
	unsigned rex = reg & 8 ? 4 : 0;

	if (m->reg >= 0)
		return rex | (m->reg & 8 ? 1 : 0);
	return rex | (m->index >= 8 ? 2 : 0) | (m->base >= 8 ? 1 : 0);
}

bool emit_needs_rex(uint32_t op, unsigned reg, const struct rm *m)
{
	return op & EO_W || rex_bits(reg, m);
}

static void emit_map(struct buf *b, unsigned map)
{
	if (map)
		emit8(b, 0x0f);
	if (map == 2)
		emit8(b, 0x38);
	if (map == 3)
		emit8(b, 0x3a);
}

void emit_op(struct buf *b, uint32_t op, unsigned reg, struct rm m)
{
	unsigned rex = rex_bits(reg, &m) | (op & EO_W ? 8 : 0), mandatory = op >> 16 & 0xff;
	bool need = rex || (op & EO_B_REG && reg >= 4 && reg < 8) || (op & EO_B_RM && m.reg >= 4 && m.reg < 8);

	if (m.gs)
		emit8(b, 0x65);
	if (op & EO_LOCK)
		emit8(b, 0xf0);
	if (op & EO_16)
		emit8(b, 0x66);
	if (mandatory)
		emit8(b, (uint8_t)mandatory);
	if (need && !(op & EO_HIGH))
		emit8(b, (uint8_t)(0x40 | rex));
	emit_map(b, op >> 8 & 3);
	emit8(b, (uint8_t)op);
	emit_modrm(b, reg, &m);
}

void emit_vex(struct buf *b, uint32_t op, bool l, unsigned reg, unsigned vvvv, struct rm m)
{
	unsigned mandatory = op >> 16 & 0xff, rex = rex_bits(reg, &m);
	unsigned p = mandatory == 0x66 ? 1 : mandatory == 0xf3 ? 2 : mandatory == 0xf2 ? 3 : 0;

	if (m.gs)
		emit8(b, 0x65);
	emit8(b, 0xc4);
	emit8(b, (uint8_t)((rex & 4 ? 0 : 0x80) | (rex & 2 ? 0 : 0x40) | (rex & 1 ? 0 : 0x20) | (op >> 8 & 3)));
	emit8(b, (uint8_t)((op & EO_W ? 0x80 : 0) | (~vvvv & 15) << 3 | (l ? 4 : 0) | p));
	emit8(b, (uint8_t)op);
	emit_modrm(b, reg, &m);
}

void emit_mov_rr(struct buf *b, bool w, unsigned to, unsigned from)
{
	emit_op(b, 0x8b | (w ? EO_W : 0), to, rm_reg((int)from));
}

void emit_load(struct buf *b, bool w, unsigned to, struct rm from)
{
	emit_op(b, 0x8b | (w ? EO_W : 0), to, from);
}

void emit_store(struct buf *b, bool w, struct rm to, unsigned from)
{
	emit_op(b, 0x89 | (w ? EO_W : 0), from, to);
}

void emit_lea(struct buf *b, bool w, unsigned to, struct rm from)
{
	emit_op(b, 0x8d | (w ? EO_W : 0), to, from);
}

void emit_mov_imm(struct buf *b, unsigned to, uint64_t v)
{
	if (v <= UINT32_MAX) {
		if (to & 8)
			emit8(b, 0x41);
		emit8(b, (uint8_t)(0xb8 | (to & 7)));
		emit32(b, (uint32_t)v);
	} else if (v == (uint64_t)(int32_t)v) {
		emit_op(b, 0xc7 | EO_W, 0, rm_reg((int)to));
		emit32(b, (uint32_t)v);
	} else {
		emit8(b, to & 8 ? 0x49 : 0x48);
		emit8(b, (uint8_t)(0xb8 | (to & 7)));
		emit64(b, v);
	}
}

void emit_alu_imm(struct buf *b, bool w, unsigned ext, struct rm m, int32_t v)
{
	bool small = v == (int8_t)v;

	emit_op(b, (small ? 0x83 : 0x81) | (w ? EO_W : 0), ext, m);
	if (small)
		emit8(b, (uint8_t)v);
	else
		emit32(b, (uint32_t)v);
}

void emit_push(struct buf *b, unsigned reg)
{
	if (reg & 8)
		emit8(b, 0x41);
	emit8(b, (uint8_t)(0x50 | (reg & 7)));
}

void emit_pop(struct buf *b, unsigned reg)
{
	if (reg & 8)
		emit8(b, 0x41);
	emit8(b, (uint8_t)(0x58 | (reg & 7)));
}

static uint8_t *field32(struct buf *b)
{
	uint8_t *field = b->p;

	emit32(b, 0);
	return field;
}

uint8_t *emit_jmp(struct buf *b)
{
	emit8(b, 0xe9);
	return field32(b);
}

uint8_t *emit_jcc(struct buf *b, unsigned cc)
{
	emit8(b, 0x0f);
	emit8(b, (uint8_t)(0x80 | cc));
	return field32(b);
}

uint8_t *emit_call(struct buf *b)
{
	emit8(b, 0xe8);
	return field32(b);
}

void emit_target(struct buf *b, uint8_t *field, const uint8_t *to)
{
	int32_t d = (int32_t)(to - (field + 4));

	if (!b->full)
		memcpy(field, &d, 4);
}

void emit_jmp_to(struct buf *b, const uint8_t *to)
{
	emit_target(b, emit_jmp(b), to);
}

void emit_jcc_to(struct buf *b, unsigned cc, const uint8_t *to)
{
	emit_target(b, emit_jcc(b, cc), to);
}

void emit_call_to(struct buf *b, const uint8_t *to)
{
	emit_target(b, emit_call(b), to);
}
