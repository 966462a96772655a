/* SPDX-License-Identifier: MIT */
/*
 * SSE and AVX around their arithmetic, which test_host compares with the host's: availability, alignment, exceptions,
 * halves.
 */
#include "tests/unit/cpu/fpu_bench.h"

static void put_xmm0(uint64_t low, uint64_t high)
{
	put_le64(st.fpu.xmm[0], low);
	put_le64(st.fpu.xmm[0] + 8, high);
}

static void sse_needs_osfxsr_and_no_emulation(void **state)
{
	(void)state;
	sim_cpu()->s.cr4 &= ~(uint64_t)CR4_OSFXSR;
	assert_int_equal(RUN(64, "\x0f\x58\xc1"), VEC_UD);
	sim_cpu()->s.cr4 |= CR4_OSFXSR;
	sim_cpu()->s.cr0 |= CR0_EM;
	assert_int_equal(RUN(64, "\x0f\x58\xc1"), VEC_UD);
	sim_cpu()->s.cr0 ^= CR0_EM | CR0_TS;
	assert_int_equal(RUN(64, "\x0f\x58\xc1"), VEC_NM);
}

static void legacy_memory_operands_must_be_aligned(void **state)
{
	(void)state;
	st.gpr[RSI] = DATA_BASE + 8;
	assert_int_equal(RUN(64, "\x0f\x58\x06"), VEC_GP);              /* addps xmm0, [rsi] */
	assert_int_equal(RUN(64, "\x0f\x28\x06"), VEC_GP);              /* movaps */
	assert_int_equal(RUN(64, "\x0f\x29\x06"), VEC_GP);
	assert_int_equal(RUN(64, "\x0f\x10\x06"), VEC_BP);              /* movups */
	assert_int_equal(RUN(64, "\xf2\x0f\x58\x06"), VEC_BP);          /* addsd */
	assert_int_equal(RUN(64, "\x66\x0f\x3a\x63\x06\x00"), VEC_BP);  /* pcmpistri */
}

static void store_across_a_page_that_faults_writes_nothing(void **state)
{
	(void)state;
	put_xmm0(UINT64_MAX, UINT64_MAX);
	st.gpr[RSI] = DATA_BASE + DATA_WRITABLE - 8;
	assert_int_equal(RUN(64, "\x0f\x11\x06"), VEC_PF);
	assert_int_equal(st.cr2, DATA_BASE + DATA_WRITABLE);
	assert_true(le64(sim_data() + DATA_WRITABLE - 8) == 0);
}

static void unmasked_exception_keeps_the_result_and_sets_its_flag(void **state)
{
	(void)state;
	put_xmm0(0x3ff0000000000000, 0);                /* 1.0 / 0.0 */
	st.fpu.mxcsr = 0x1d80;                          /* zero divide unmasked */
	assert_int_equal(RUN(64, "\xf2\x0f\x5e\xc1"), VEC_XM);
	assert_int_equal(st.fpu.mxcsr, 0x1d84);
	assert_true(le64(st.fpu.xmm[0]) == 0x3ff0000000000000);
	sim_cpu()->s.cr4 &= ~(uint64_t)CR4_OSXMMEXCPT;
	assert_int_equal(RUN(64, "\xf2\x0f\x5e\xc1"), VEC_UD);
}

static void a_flag_that_is_set_already_raises_nothing(void **state)
{
	(void)state;
	put_xmm0(0x3ff0000000000000, 0);
	st.fpu.mxcsr = 0x1d84;
	assert_int_equal(RUN(64, "\xf2\x0f\x58\xc1"), VEC_BP);          /* addsd xmm0, xmm1: exact */
	assert_true(le64(st.fpu.xmm[0]) == 0x3ff0000000000000);
}

static void rounding_mode_of_the_guest_is_not_that_of_the_host(void **state)
{
	volatile double one = 1, three = 3;
	double here = one / three;
	uint64_t bits;

	(void)state;
	put_xmm0(0x3ff0000000000000, 0);
	put_le64(st.fpu.xmm[1], 0x4008000000000000);
	st.fpu.mxcsr = 0x5f80;                          /* up */
	assert_int_equal(RUN(64, "\xf2\x0f\x5e\xc1"), VEC_BP);
	memcpy(&bits, &here, 8);
	assert_true(le64(st.fpu.xmm[0]) == bits + 1);
	assert_int_equal(st.fpu.mxcsr, 0x5fa0);
	here = one / three;
	assert_memory_equal(&here, &bits, 8);
}

static void legacy_forms_keep_the_upper_half_and_vex_forms_clear_it(void **state)
{
	(void)state;
	put_le64(st.fpu.ymm_hi[0], 77);
	assert_int_equal(RUN(64, "\x0f\x57\xc0"), VEC_BP);              /* xorps xmm0, xmm0 */
	assert_int_equal(le64(st.fpu.ymm_hi[0]), 77);
	assert_int_equal(RUN(64, "\xc5\xf8\x57\xc0"), VEC_BP);          /* vxorps xmm0, xmm0, xmm0 */
	assert_int_equal(le64(st.fpu.ymm_hi[0]), 0);
}

static void ldmxcsr_refuses_reserved_bits(void **state)
{
	(void)state;
	put_le32(sim_data(), 0x11f80);
	assert_int_equal(RUN(64, "\x0f\xae\x16"), VEC_GP);
	assert_int_equal(st.fpu.mxcsr, 0x1f80);
	put_le32(sim_data(), 0x9fc0);
	assert_int_equal(RUN(64, "\x0f\xae\x16"), VEC_BP);
	assert_int_equal(st.fpu.mxcsr, 0x9fc0);
}

static void crc32_agrees_with_the_check_value(void **state)
{
	(void)state;
	/* CRC-32C of "123456789" is E3069283: crc32 eax, qword [rsi]; crc32 eax, byte [rsi+8]; not eax */
	memcpy(sim_data(), "123456789", 9);
	st.gpr[RAX] = UINT32_MAX;
	assert_int_equal(RUN(64, "\xf2\x48\x0f\x38\xf1\x06\xf2\x0f\x38\xf0\x46\x08\xf7\xd0"), VEC_BP);
	assert_int_equal(st.gpr[RAX], 0xe3069283);
}

static void string_compare_finds_the_end(void **state)
{
	(void)state;
	memcpy(st.fpu.xmm[1], "hello\0world", 12);
	/* pcmpistri xmm0, xmm1, equal each: xmm0 is empty, so they first agree where both have ended */
	assert_int_equal(RUN(64, "\x66\x0f\x3a\x63\xc1\x08"), VEC_BP);
	assert_int_equal(st.gpr[RCX], 5);
	assert_int_equal(st.rflags & (FLAG_ZF | FLAG_SF), FLAG_ZF | FLAG_SF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sse_needs_osfxsr_and_no_emulation),
		TEST(legacy_memory_operands_must_be_aligned),
		TEST(store_across_a_page_that_faults_writes_nothing),
		TEST(unmasked_exception_keeps_the_result_and_sets_its_flag),
		TEST(a_flag_that_is_set_already_raises_nothing),
		TEST(rounding_mode_of_the_guest_is_not_that_of_the_host),
		TEST(legacy_forms_keep_the_upper_half_and_vex_forms_clear_it),
		TEST(ldmxcsr_refuses_reserved_bits),
		TEST(crc32_agrees_with_the_check_value),
		TEST(string_compare_finds_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
