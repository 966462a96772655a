/* SPDX-License-Identifier: MIT */
/*
 * The assembler against the decoder: what each function puts down is decoded and must be what was asked for, and
 * nothing more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "cpu/insn.h"
#include "cpu/xlat/emit.h"

enum { SP = 4 };

struct page {
	uint8_t bytes[64];
	struct buf b;
};

static void begin(struct page *p)
{
	memset(p->bytes, 0xcc, sizeof(p->bytes));
	p->b = (struct buf){ .p = p->bytes, .start = p->bytes, .end = p->bytes + sizeof(p->bytes) };
}

/* The one instruction that was emitted. */
static struct insn only(const struct page *p)
{
	struct insn i;
	size_t n = (size_t)(p->b.p - p->bytes);

	assert_false(p->b.full);
	assert_int_equal(insn_decode(&i, p->bytes, n, 64), DECODE_OK);
	assert_int_equal(i.len, n);
	return i;
}

static void check_gpr(const struct insn *i, unsigned k, unsigned reg, unsigned size)
{
	assert_true(k < i->operands);
	assert_int_equal(i->o[k].kind, OPD_GPR);
	assert_int_equal(i->o[k].reg, reg);
	assert_int_equal(i->o[k].size, size);
	assert_false(i->o[k].high);
}

static void check_mem(const struct insn *i, unsigned k, const struct rm *m)
{
	assert_true(k < i->operands);
	assert_int_equal(i->o[k].kind, OPD_MEM);
	assert_int_equal(i->mem.base, m->base < 0 ? REG_NONE : m->base);
	assert_int_equal(i->mem.index, m->index < 0 ? REG_NONE : m->index);
	if (m->index >= 0)
		assert_int_equal(i->mem.scale, 1 << m->scale);
	assert_int_equal(i->mem.disp, m->disp);
	assert_int_equal(i->addrsize, 8);
	if (m->gs)
		assert_int_equal(i->mem.seg, SEG_GS);
	else
		assert_true(i->mem.seg != SEG_GS && i->mem.seg != SEG_FS);
}

static const int32_t disps[] = { 0, 1, -1, 127, 128, -128, -129, 4096, INT32_MAX, INT32_MIN };

/* Every form of address, with GS and without, for `each`. */
static void all_addresses(void (*each)(struct rm m, unsigned n))
{
	unsigned n = 0;

	for (int base = -1; base < 16; base++)
		for (int index = -1; index < 16; index++) {
			if (index == SP)
				continue;       /* there is no such encoding */
			for (unsigned scale = 0; scale < (index < 0 ? 1 : 4); scale++)
				for (size_t d = 0; d < ARRAY_SIZE(disps); d++)
					for (int gs = 0; gs < 2; gs++)
						each((struct rm){ -1, (int8_t)base, (int8_t)index, (uint8_t)scale, gs,
								  disps[d] }, n++);
		}
}

static void load_store_lea(struct rm m, unsigned n)
{
	unsigned reg = n % 16;
	bool w = n / 16 % 2;
	struct page p;
	struct insn i;

	begin(&p);
	emit_load(&p.b, w, reg, m);
	i = only(&p);
	assert_int_equal(i.op, OP_MOV);
	check_gpr(&i, 0, reg, w ? 8 : 4);
	check_mem(&i, 1, &m);
	begin(&p);
	emit_store(&p.b, w, m, reg);
	i = only(&p);
	assert_int_equal(i.op, OP_MOV);
	check_mem(&i, 0, &m);
	check_gpr(&i, 1, reg, w ? 8 : 4);
	begin(&p);
	emit_lea(&p.b, w, reg, m);
	i = only(&p);
	assert_int_equal(i.op, OP_LEA);
	check_gpr(&i, 0, reg, w ? 8 : 4);
	if (!m.gs)
		check_mem(&i, 1, &m);
}

static void loads_stores_and_leas_have_every_address_that_there_is(void **state)
{
	(void)state;
	all_addresses(load_store_lea);
}

static void helpers_make_the_addresses_that_they_are_named_for(void **state)
{
	struct rm base = rm_base(H13, 8), index = rm_index(HBX, H12, 3, -4), gs = rm_gs(0x1234), reg = rm_reg(H9);

	(void)state;
	assert_true(base.reg < 0 && base.base == H13 && base.index < 0 && base.disp == 8 && !base.gs);
	assert_true(index.reg < 0 && index.base == HBX && index.index == H12);
	assert_true(index.scale == 3 && index.disp == -4 && !index.gs);
	assert_true(gs.reg < 0 && gs.base < 0 && gs.index < 0 && gs.gs && gs.disp == 0x1234);
	assert_int_equal(reg.reg, H9);
}

static void moves_between_registers_are_what_they_say(void **state)
{
	(void)state;
	for (unsigned to = 0; to < 16; to++)
		for (unsigned from = 0; from < 16; from++)
			for (int w = 0; w < 2; w++) {
				struct page p;
				struct insn i;

				begin(&p);
				emit_mov_rr(&p.b, w, to, from);
				i = only(&p);
				assert_int_equal(i.op, OP_MOV);
				check_gpr(&i, 0, to, w ? 8 : 4);
				check_gpr(&i, 1, from, w ? 8 : 4);
			}
}

static void constants_arrive_whole_in_their_shortest_form(void **state)
{
	static const struct { uint64_t v; unsigned len; } cases[] = {
		{ 0, 5 }, { 1, 5 }, { 0x7fffffff, 5 }, { 0x80000000, 5 }, { 0xffffffff, 5 }, { 0x100000000, 10 },
		{ UINT64_MAX, 7 },
		{ 0xffffffff80000000, 7 }, { 0xffffffff7fffffff, 10 }, { 0x123456789abcdef0, 10 },
	};

	(void)state;
	for (unsigned to = 0; to < 16; to++)
		for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
			struct page p;
			struct insn i;

			begin(&p);
			emit_mov_imm(&p.b, to, cases[k].v);
			i = only(&p);
			assert_int_equal(i.op, OP_MOV);
			assert_int_equal(i.o[0].kind, OPD_GPR);
			assert_int_equal(i.o[0].reg, to);
			assert_int_equal(i.o[1].kind, OPD_IMM);
			/* 32 bits are zero-extended by the processor. */
			assert_int_equal(i.o[0].size == 4 ? (uint32_t)i.imm : i.imm, cases[k].v);
			assert_int_equal(i.len, cases[k].len + (cases[k].len == 5 && to >= 8));
		}
}

static const struct { unsigned ext, op; } alu[] = {
	{ 0, OP_ADD }, { 1, OP_OR }, { 4, OP_AND }, { 5, OP_SUB }, { 7, OP_CMP },
};

static void immediate(struct rm m, unsigned n)
{
	static const int32_t values[] = { 0, 1, -1, 127, 128, -128, -129, INT32_MAX, INT32_MIN };
	int32_t v = values[n % ARRAY_SIZE(values)];
	unsigned k = n / 7 % ARRAY_SIZE(alu);
	bool w = n & 1;
	struct page p;
	struct insn i;

	begin(&p);
	emit_alu_imm(&p.b, w, alu[k].ext, m, v);
	i = only(&p);
	assert_int_equal(i.op, alu[k].op);
	if (m.reg >= 0)
		check_gpr(&i, 0, (unsigned)m.reg, w ? 8 : 4);
	else
		check_mem(&i, 0, &m);
	assert_int_equal(i.o[1].kind, OPD_IMM);
	assert_int_equal((int32_t)i.imm, v);
}

static void arithmetic_with_a_constant_keeps_its_value_and_operand(void **state)
{
	(void)state;
	all_addresses(immediate);
	for (unsigned reg = 0; reg < 16; reg++)
		for (unsigned n = 0; n < 200; n++)
			immediate(rm_reg((int)reg), n);
}

static void push_and_pop_take_every_register(void **state)
{
	(void)state;
	for (unsigned reg = 0; reg < 16; reg++) {
		struct page p;
		struct insn i;

		begin(&p);
		emit_push(&p.b, reg);
		i = only(&p);
		assert_int_equal(i.op, OP_PUSH);
		check_gpr(&i, 0, reg, 8);
		begin(&p);
		emit_pop(&p.b, reg);
		i = only(&p);
		assert_int_equal(i.op, OP_POP);
		check_gpr(&i, 0, reg, 8);
	}
}

static void opcodes_carry_maps_prefixes_and_sizes(void **state)
{
	static const struct { uint32_t op; unsigned what, size0, size1; } cases[] = {
		{ 0x03, OP_ADD, 4, 4 }, { 0x03 | EO_W, OP_ADD, 8, 8 }, { 0x03 | EO_16, OP_ADD, 2, 2 },
		{ 0x1af | EO_W, OP_IMUL, 8, 8 }, { 0x1b6, OP_MOVZX, 4, 1 }, { 0x1b7, OP_MOVZX, 4, 2 },
		{ 0x1bf | EO_W, OP_MOVSX, 8, 2 },
		{ 0x63 | EO_W, OP_MOVSXD, 8, 4 }, { 0x1b8 | 0xf3 << 16, OP_POPCNT, 4, 4 },
		{ 0x1bc | 0xf3 << 16 | EO_W, OP_TZCNT, 8, 8 },
		{ 0x2f0 | 0xf2 << 16, OP_CRC32, 4, 1 }, { 0x2f0, OP_MOVBE, 4, 4 },
		{ 0x2f6 | 0x66 << 16, OP_ADCX, 4, 4 },
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(cases); k++)
		for (unsigned reg = 0; reg < 16; reg++)
			for (unsigned other = 0; other < 16; other++) {
				struct rm m = other & 1 ? rm_base((int)other, 5) : rm_reg((int)other);
				uint32_t op = cases[k].op | (cases[k].size1 == 1 ? EO_B_RM : 0);
				struct page p;
				struct insn i;

				if (cases[k].what == OP_MOVBE && m.reg >= 0)
					continue;
				begin(&p);
				emit_op(&p.b, op, reg, m);
				i = only(&p);
				assert_int_equal(i.op, cases[k].what);
				check_gpr(&i, 0, reg, cases[k].size0);
				if (m.reg >= 0)
					check_gpr(&i, i.operands - 1u, other, cases[k].size1);
				else
					check_mem(&i, i.operands - 1u, &m);
				assert_true(!emit_needs_rex(op, reg, &m) || i.rex);
			}
}

static void byte_registers_are_the_low_ones_unless_high_ones_are_meant(void **state)
{
	(void)state;
	for (unsigned to = 0; to < 16; to++)
		for (unsigned from = 0; from < 16; from++) {
			struct rm m = rm_reg((int)to);
			struct page p;
			struct insn i;

			begin(&p);
			emit_op(&p.b, 0x88 | EO_B_REG | EO_B_RM, from, m);
			i = only(&p);
			assert_int_equal(i.op, OP_MOV);
			check_gpr(&i, 0, to, 1);
			check_gpr(&i, 1, from, 1);
			if (to >= 8 || from >= 8)
				continue;
			begin(&p);
			emit_op(&p.b, 0x88 | EO_HIGH, from, m);
			i = only(&p);
			assert_int_equal(i.rex, 0);
			assert_int_equal(i.o[0].high, to >= 4);
			assert_int_equal(i.o[0].reg, to & 3);
			assert_int_equal(i.o[1].high, from >= 4);
			assert_int_equal(i.o[1].reg, from & 3);
		}
}

static void locked(struct rm m, unsigned n)
{
	struct page p;
	struct insn i;

	begin(&p);
	emit_op(&p.b, 0x1b1 | EO_LOCK | (n & 1 ? EO_W : 0), n % 16, m);
	i = only(&p);
	assert_int_equal(i.op, OP_CMPXCHG);
	assert_true(i.lock);
	check_mem(&i, 0, &m);
	check_gpr(&i, 1, n % 16, n & 1 ? 8 : 4);
}

static void lock_comes_before_all_that_belongs_to_the_opcode(void **state)
{
	(void)state;
	all_addresses(locked);
}

static void vex(struct rm m, unsigned n)
{
	static const struct { uint32_t op; unsigned what; bool l, gpr; } cases[] = {
		{ 0x158, OP_ADDPS, false, false }, { 0x158, OP_ADDPS, true, false },
		{ 0x158 | 0x66 << 16, OP_ADDPD, true, false },
		{ 0x158 | 0xf2 << 16, OP_ADDSD, false, false }, { 0x158 | 0xf3 << 16, OP_ADDSS, false, false },
		{ 0x2dc | 0x66 << 16, OP_AESENC, false, false }, { 0x2f2, OP_ANDN, false, true },
		{ 0x2f2 | EO_W, OP_ANDN, false, true },
	};
	unsigned k = n % ARRAY_SIZE(cases), reg = n / 3 % 16, vvvv = n / 5 % 16;
	struct page p;
	struct insn i;

	begin(&p);
	emit_vex(&p.b, cases[k].op, cases[k].l, reg, vvvv, m);
	i = only(&p);
	assert_int_equal(i.op, cases[k].what);
	assert_true(i.vex);
	assert_int_equal(i.vex_l, cases[k].l);
	assert_int_equal(i.vex_w, !!(cases[k].op & EO_W));
	assert_int_equal(i.o[0].kind, cases[k].gpr ? OPD_GPR : OPD_XMM);
	assert_int_equal(i.o[0].reg, reg);
	assert_int_equal(i.o[1].reg, vvvv);
	if (m.reg >= 0)
		assert_int_equal(i.o[2].reg, m.reg);
	else
		check_mem(&i, 2, &m);
}

static void vex_prefixes_hold_three_operands(void **state)
{
	(void)state;
	all_addresses(vex);
	for (unsigned n = 0; n < 16 * 400; n++)
		vex(rm_reg((int)(n / 400)), n);
}

static void branches_go_where_they_are_set_to(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 18; kind++)
		for (int back = 0; back < 2; back++)
			for (int later = 0; later < 2; later++) {
				const uint8_t *to;
				uint8_t *field = NULL;
				struct insn i;
				struct page p;
				unsigned at;

				begin(&p);
				emit64(&p.b, 0x9090909090909090);
				at = 8;
				to = p.bytes + (back ? 0 : 40);
				if (later) {
					field = kind == 16 ? emit_jmp(&p.b) : kind == 17 ? emit_call(&p.b) :
						emit_jcc(&p.b, kind);
					emit_target(&p.b, field, to);
				} else if (kind == 16) {
					emit_jmp_to(&p.b, to);
				} else if (kind == 17) {
					emit_call_to(&p.b, to);
				} else {
					emit_jcc_to(&p.b, kind, to);
				}
				assert_int_equal(insn_decode(&i, p.bytes + at, (size_t)(p.b.p - p.bytes) - at, 64),
						 DECODE_OK);
				assert_int_equal(at + i.len, p.b.p - p.bytes);
				assert_int_equal(i.op, kind == 16 ? OP_JMP : kind == 17 ? OP_CALL : OP_JCC);
				if (kind < 16)
					assert_int_equal(i.cc, kind);
				assert_int_equal(i.o[0].kind, OPD_REL);
				assert_int_equal((int64_t)(at + i.len) + (int64_t)i.imm, to - p.bytes);
			}
}

static void emit_here_is_where_the_next_byte_goes(void **state)
{
	struct page p;
	struct insn i;
	uint8_t *field;

	(void)state;
	begin(&p);
	field = emit_jmp(&p.b);
	emit32(&p.b, 0x90909090);
	emit_here(&p.b, field);
	assert_int_equal(insn_decode(&i, p.bytes, 16, 64), DECODE_OK);
	assert_int_equal(i.len + i.imm, 9);
}

static void nothing_is_written_behind_the_end(void **state)
{
	struct page p;

	(void)state;
	for (size_t room = 0; room < 24; room++) {
		uint8_t *field;

		begin(&p);
		p.b.end = p.bytes + room;
		emit_mov_imm(&p.b, H9, 0x123456789abcdef0);
		field = emit_jmp(&p.b);
		emit_here(&p.b, field);
		emit_store(&p.b, true, rm_index(H9, H10, 2, 0x12345678), H11);
		assert_int_equal(p.b.full, room < 10 + 5 + 8);
		for (size_t k = room; k < sizeof(p.bytes); k++)
			assert_int_equal(p.bytes[k], 0xcc);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_stores_and_leas_have_every_address_that_there_is),
		cmocka_unit_test(helpers_make_the_addresses_that_they_are_named_for),
		cmocka_unit_test(moves_between_registers_are_what_they_say),
		cmocka_unit_test(constants_arrive_whole_in_their_shortest_form),
		cmocka_unit_test(arithmetic_with_a_constant_keeps_its_value_and_operand),
		cmocka_unit_test(push_and_pop_take_every_register),
		cmocka_unit_test(opcodes_carry_maps_prefixes_and_sizes),
		cmocka_unit_test(byte_registers_are_the_low_ones_unless_high_ones_are_meant),
		cmocka_unit_test(lock_comes_before_all_that_belongs_to_the_opcode),
		cmocka_unit_test(vex_prefixes_hold_three_operands),
		cmocka_unit_test(branches_go_where_they_are_set_to),
		cmocka_unit_test(emit_here_is_where_the_next_byte_goes),
		cmocka_unit_test(nothing_is_written_behind_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
