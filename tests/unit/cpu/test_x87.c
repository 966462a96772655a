/* SPDX-License-Identifier: MIT */
/*
 * The x87 around its arithmetic, which test_host compares with the host's: delivery of exceptions, images, MMX
 * aliasing.
 */
#include "tests/unit/cpu/fpu_bench.h"

static void unmasked_error_waits_for_the_next_waiting_instruction(void **state)
{
	(void)state;
	st.fpu.fcw = 0x37b;     /* zero divide unmasked */
	put_st(0, 0, 0);
	put_st(1, ONE);
	/* fdivp; fnstsw ax; nop */
	assert_int_equal(RUN(64, "\xde\xf9\xdf\xe0\x90"), VEC_BP);
	assert_int_equal(st.fpu.fsw & 0x8084, 0x8084);
	assert_int_equal(st.gpr[RAX] & 0x80, 0x80);
	assert_int_equal(st.rip, CODE_BASE + 0x106);
	/* fld1 waits */
	assert_int_equal(RUN(64, "\xd9\xe8"), VEC_MF);
	assert_int_equal(st.rip, CODE_BASE + 0x100);
	/* so does fwait */
	assert_int_equal(RUN(64, "\x9b"), VEC_MF);
	/* fnclex; fld1 */
	assert_int_equal(RUN(64, "\xdb\xe2\xd9\xe8"), VEC_BP);
	assert_int_equal(st.fpu.fsw & 0x80ff, 0);
}

static void zero_divide_that_is_unmasked_leaves_the_operands(void **state)
{
	(void)state;
	st.fpu.fcw = 0x37b;
	put_st(0, 0, 0);
	put_st(1, ONE);
	RUN(64, "\xde\xf9");
	assert_int_equal(st.fpu.fsw >> 11 & 7, 0);      /* nothing popped */
	assert_int_equal(le16(st.fpu.st[1] + 8), 0x3fff);
}

static void without_numeric_error_bit_the_error_goes_to_ferr(void **state)
{
	unsigned before = sim_ferr();

	(void)state;
	sim_cpu()->s.cr0 &= ~(uint64_t)CR0_NE;
	st.fpu.fcw = 0x37b;
	put_st(0, 0, 0);
	put_st(1, ONE);
	assert_int_equal(RUN(64, "\xde\xf9"), VEC_BP);
	assert_true(sim_ferr() > before);
}

static void task_switched_and_emulation_give_nm(void **state)
{
	(void)state;
	sim_cpu()->s.cr0 |= CR0_TS;
	assert_int_equal(RUN(64, "\xd9\xe8"), VEC_NM);
	assert_int_equal(RUN(64, "\xdb\xe3"), VEC_NM);          /* fninit */
	assert_int_equal(RUN(64, "\x9b"), VEC_NM);              /* MP is set */
	sim_cpu()->s.cr0 &= ~(uint64_t)CR0_MP;
	assert_int_equal(RUN(64, "\x9b"), VEC_BP);
	sim_cpu()->s.cr0 = (sim_cpu()->s.cr0 & ~(uint64_t)CR0_TS) | CR0_EM;
	assert_int_equal(RUN(64, "\xd9\xe8"), VEC_NM);
}

static void probe_of_a_coprocessor_finds_one(void **state)
{
	(void)state;
	put_le16(sim_data(), 0x5a5a);
	put_le16(sim_data() + 2, 0x5a5a);
	/* fninit; fnstsw [rsi]; fnstcw [rsi+2] */
	assert_int_equal(RUN(64, "\xdb\xe3\xdd\x3e\xd9\x7e\x02"), VEC_BP);
	assert_int_equal(le16(sim_data()), 0);
	assert_int_equal(le16(sim_data() + 2), 0x37f);
}

static void push_on_a_full_stack_is_a_stack_fault(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 8; n++)
		put_st(n, ONE);
	assert_int_equal(RUN(64, "\xd9\xee"), VEC_BP);          /* fldz */
	assert_int_equal(st.fpu.fsw & 0x243, 0x241);            /* IE, SF, C1 */
	assert_int_equal(le16(st.fpu.st[0] + 8), 0xffff);       /* the indefinite */
	assert_true(le64(st.fpu.st[0]) == 0xc000000000000000);
}

static void a_store_that_faults_does_not_pop(void **state)
{
	(void)state;
	put_st(0, ONE);
	st.gpr[RSI] = DATA_BASE + DATA_WRITABLE;
	assert_int_equal(RUN(64, "\xdd\x1e"), VEC_PF);          /* fstp qword [rsi] */
	assert_int_equal(st.cr2, DATA_BASE + DATA_WRITABLE);
	assert_int_equal(st.error, 7);
	assert_int_equal(st.fpu.fsw, 0);
	assert_int_equal(st.fpu.ftw, 1);
}

static void pointers_name_the_last_instruction_and_operand(void **state)
{
	(void)state;
	/* nop; fld dword [esi+4]; fnstenv [esi+0x20] */
	assert_int_equal(RUN(32, "\x90\xd9\x46\x04\xd9\x76\x20"), VEC_BP);
	assert_int_equal(le32(sim_data() + 0x20 + 12), CODE_BASE + 0x101);
	assert_int_equal(le16(sim_data() + 0x20 + 16), GDT_CODE32);
	assert_int_equal(le16(sim_data() + 0x20 + 18), 0x146);
	assert_int_equal(le32(sim_data() + 0x20 + 20), DATA_BASE + 4);
	assert_int_equal(le16(sim_data() + 0x20 + 24), GDT_DATA);
}

static void environment_has_full_tags_and_masks_exceptions(void **state)
{
	(void)state;
	st.fpu.fcw = 0x340;
	st.fpu.fsw = 6 << 11;
	put_st(0, ONE);                         /* register 6: valid */
	put_st(1, 0, 0);                        /* register 7: zero */
	put_st(2, 0x7fff, 0x8000000000000000);  /* register 0: special */
	assert_int_equal(RUN(32, "\xd9\x36"), VEC_BP);
	assert_int_equal(le32(sim_data()), 0xffff0340);
	assert_int_equal(le32(sim_data() + 4), 0xffff3000);
	assert_int_equal(le32(sim_data() + 8), 0xffff4ffe);
	assert_int_equal(st.fpu.fcw, 0x37f);
}

static void sixteen_bit_environment_has_fourteen_bytes(void **state)
{
	(void)state;
	memset(sim_data(), 0xee, 32);
	st.gpr[RSI] = 0;
	assert_int_equal(RUN(16, "\xd9\x34"), VEC_BP);
	assert_int_equal(le16(sim_data()), 0x37f);
	assert_int_equal(le16(sim_data() + 4), 0xffff);
	assert_int_equal(sim_data()[14], 0xee);
}

static void state_survives_fnsave_and_frstor(void **state)
{
	struct fpu_area before;

	(void)state;
	st.fpu.fcw = 0x27f;
	st.fpu.fsw = 3 << 11 | 0x4100;
	for (unsigned n = 0; n < 5; n++)
		put_st(n, (uint16_t)(0x4000 + n), 0x8000000000000000 + n);
	before = st.fpu;
	assert_int_equal(RUN(64, "\xdd\x36"), VEC_BP);
	assert_int_equal(st.fpu.fcw, 0x37f);
	assert_int_equal(st.fpu.fsw, 0);
	assert_int_equal(st.fpu.ftw, 0);
	assert_int_equal(RUN(64, "\xdd\x26"), VEC_BP);
	assert_int_equal(st.fpu.fcw, before.fcw);
	assert_int_equal(st.fpu.fsw, before.fsw);
	assert_int_equal(st.fpu.ftw, before.ftw);
	assert_memory_equal(st.fpu.st, before.st, sizeof(before.st));
}

static void mmx_registers_are_the_physical_x87_registers(void **state)
{
	(void)state;
	st.fpu.fsw = 5 << 11;
	put_st(0, ONE);                                         /* physical register 5 */
	assert_int_equal(RUN(64, "\x48\x0f\x7e\xe8"), VEC_BP);  /* movq rax, mm5 */
	assert_true(st.gpr[RAX] == 0x8000000000000000);
	assert_int_equal(st.fpu.fsw >> 11 & 7, 0);
	assert_int_equal(st.fpu.ftw, 0xff);
	st.gpr[RCX] = 0x1122334455667788;
	assert_int_equal(RUN(64, "\x48\x0f\x6e\xd1"), VEC_BP);  /* movq mm2, rcx */
	assert_true(le64(st.fpu.st[2]) == 0x1122334455667788);
	assert_int_equal(le16(st.fpu.st[2] + 8), 0xffff);
	assert_int_equal(RUN(64, "\x0f\x77"), VEC_BP);          /* emms */
	assert_int_equal(st.fpu.ftw, 0);
}

static void fcomi_sets_flags_and_fcmov_reads_them(void **state)
{
	(void)state;
	put_st(0, ONE);
	put_st(1, 0x4000, 0x8000000000000000);
	/* fcomi st1; fcmovb st0, st1 */
	st.rflags = 0x202 | FLAG_OF | FLAG_SF | FLAG_AF | FLAG_ZF;
	assert_int_equal(RUN(64, "\xdb\xf1\xda\xc1"), VEC_BP);
	assert_int_equal(st.rflags & FLAGS_ARITH, FLAG_CF);
	assert_int_equal(le16(st.fpu.st[0] + 8), 0x4000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unmasked_error_waits_for_the_next_waiting_instruction),
		TEST(zero_divide_that_is_unmasked_leaves_the_operands),
		TEST(without_numeric_error_bit_the_error_goes_to_ferr),
		TEST(task_switched_and_emulation_give_nm),
		TEST(probe_of_a_coprocessor_finds_one),
		TEST(push_on_a_full_stack_is_a_stack_fault),
		TEST(a_store_that_faults_does_not_pop),
		/* Translated code keeps pointers only of errors that are not masked, as AMD's FXSAVE does. */
		cmocka_unit_test_setup(pointers_name_the_last_instruction_and_operand, bench_setup),
		TEST(environment_has_full_tags_and_masks_exceptions),
		TEST(sixteen_bit_environment_has_fourteen_bytes),
		TEST(state_survives_fnsave_and_frstor),
		TEST(mmx_registers_are_the_physical_x87_registers),
		TEST(fcomi_sets_flags_and_fcmov_reads_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
