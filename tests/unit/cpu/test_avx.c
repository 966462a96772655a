/* SPDX-License-Identifier: MIT */
/* AVX: availability, masked moves and gathers, and what they do about faults. */
#include "tests/unit/cpu/fpu_bench.h"

static bool have(enum op op)
{
	struct insn i = { .op = (uint16_t)op, .vex = true, .traits = INSN_AVX };

	return sim_has(&i);
}

static void avx_needs_osxsave_and_xcr0(void **state)
{
	(void)state;
	sim_cpu()->s.xcr0 = 3;
	assert_int_equal(RUN(64, "\xc5\xf8\x57\xc0"), VEC_UD);
	sim_cpu()->s.xcr0 = 7;
	sim_cpu()->s.cr4 &= ~(uint64_t)CR4_OSXSAVE;
	assert_int_equal(RUN(64, "\xc5\xf8\x57\xc0"), VEC_UD);
	sim_cpu()->s.cr4 |= CR4_OSXSAVE;
	sim_cpu()->s.cr0 |= CR0_TS;
	assert_int_equal(RUN(64, "\xc5\xf8\x57\xc0"), VEC_NM);
}

static void masked_out_elements_do_not_fault(void **state)
{
	(void)state;
	/* vmaskmovps ymm0, ymm1, [rsi] with the last two elements on a page that is not there */
	st.gpr[RSI] = DATA_BASE + DATA_SIZE - 24;
	put_le32(sim_data() + DATA_SIZE - 24, 0x1234);
	put_le32(st.fpu.xmm[1], 0x80000000);
	assert_int_equal(RUN(64, "\xc4\xe2\x75\x2c\x06"), VEC_BP);
	assert_int_equal(le32(st.fpu.xmm[0]), 0x1234);
	put_le32(st.fpu.ymm_hi[1] + 12, 0x80000000);
	assert_int_equal(RUN(64, "\xc4\xe2\x75\x2c\x06"), VEC_PF);
	assert_int_equal(st.cr2, DATA_BASE + DATA_SIZE + 4);
}

static void masked_store_that_faults_writes_nothing(void **state)
{
	(void)state;
	st.gpr[RSI] = DATA_BASE + DATA_WRITABLE - 4;
	memset(st.fpu.xmm[0], 0x55, 16);
	memset(st.fpu.xmm[1], 0xff, 16);
	assert_int_equal(RUN(64, "\xc4\xe2\x71\x2e\x06"), VEC_PF);      /* vmaskmovps [rsi], xmm1, xmm0 */
	assert_int_equal(le32(sim_data() + DATA_WRITABLE - 4), 0);
	put_le32(st.fpu.xmm[1] + 4, 0);
	put_le32(st.fpu.xmm[1] + 8, 0);
	put_le32(st.fpu.xmm[1] + 12, 0);
	assert_int_equal(RUN(64, "\xc4\xe2\x71\x2e\x06"), VEC_BP);
	assert_int_equal(le32(sim_data() + DATA_WRITABLE - 4), 0x55555555);
}

static void gather_goes_on_where_a_fault_stopped_it(void **state)
{
	(void)state;
	if (!have(OP_VPGATHERDD))
		return;
	/* vpgatherdd xmm0, [rsi+xmm1*4], xmm2: element 2 is not there */
	for (unsigned n = 0; n < 4; n++) {
		put_le32(sim_data() + 4 * n, 0x100 + n);
		put_le32(st.fpu.xmm[1] + 4 * n, n == 2 ? 0x10000 : n);
	}
	memset(st.fpu.xmm[2], 0xff, 16);
	assert_int_equal(RUN(64, "\xc4\xe2\x69\x90\x04\x8e"), VEC_PF);
	assert_int_equal(st.cr2, DATA_BASE + 0x40000);
	assert_int_equal(le32(st.fpu.xmm[0]), 0x100);
	assert_int_equal(le32(st.fpu.xmm[0] + 4), 0x101);
	assert_int_equal(le32(st.fpu.xmm[2] + 4), 0);
	assert_int_equal(le32(st.fpu.xmm[2] + 8), UINT32_MAX);
	put_le32(st.fpu.xmm[1] + 8, 2);
	put_le32(sim_data(), 0);                      /* done already, not loaded again */
	assert_int_equal(RUN(64, "\xc4\xe2\x69\x90\x04\x8e"), VEC_BP);
	assert_int_equal(le32(st.fpu.xmm[0]), 0x100);
	assert_int_equal(le32(st.fpu.xmm[0] + 8), 0x102);
	assert_true(le64(st.fpu.xmm[2] + 8) == 0);
}

static void gather_refuses_a_register_used_twice(void **state)
{
	(void)state;
	if (!have(OP_VPGATHERDD))
		return;
	assert_int_equal(RUN(64, "\xc4\xe2\x71\x90\x04\x8e"), VEC_UD);
}

static void vzeroupper_clears_only_the_upper_halves(void **state)
{
	(void)state;
	memset(st.fpu.xmm, 1, sizeof(st.fpu.xmm));
	memset(st.fpu.ymm_hi, 2, sizeof(st.fpu.ymm_hi));
	assert_int_equal(RUN(64, "\xc5\xf8\x77"), VEC_BP);
	assert_int_equal(st.fpu.xmm[15][15], 1);
	assert_int_equal(st.fpu.ymm_hi[15][15], 0);
	assert_int_equal(st.fpu.ymm_hi[0][0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(avx_needs_osxsave_and_xcr0),
		TEST(masked_out_elements_do_not_fault),
		TEST(masked_store_that_faults_writes_nothing),
		TEST(gather_goes_on_where_a_fault_stopped_it),
		TEST(gather_refuses_a_register_used_twice),
		TEST(vzeroupper_clears_only_the_upper_halves),
	};

	void *none = NULL;

	bench_setup(&none);
	if (!have(OP_VZEROUPPER)) {
		print_message("this host has no AVX, so the guest has none\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
