/* SPDX-License-Identifier: MIT */
/* FXSAVE, FXRSTOR and the XSAVE family (SDM volume 1, 10.5 and chapter 13). */
#include "tests/unit/cpu/fpu_bench.h"

static void fill(void)
{
	st.fpu.fcw = 0x27f;
	st.fpu.fsw = 2 << 11;
	put_st(0, ONE);
	put_st(1, 0x4000, 0xc000000000000000);
	st.fpu.mxcsr = 0x1fa0;
	for (unsigned n = 0; n < 16; n++) {
		memset(st.fpu.xmm[n], 0x10 + (int)n, 16);
		memset(st.fpu.ymm_hi[n], 0x30 + (int)n, 16);
	}
}

static void clear(void)
{
	memset(st.fpu.xmm, 0, sizeof(st.fpu.xmm));
	memset(st.fpu.ymm_hi, 0, sizeof(st.fpu.ymm_hi));
	memset(st.fpu.st, 0, sizeof(st.fpu.st));
	st.fpu.fcw = 0x37f;
	st.fpu.fsw = 0;
	st.fpu.ftw = 0;
	st.fpu.mxcsr = 0x1f80;
}

static void components(uint32_t mask)
{
	st.gpr[RAX] = mask;
	st.gpr[RDX] = 0;
}

static void fxsave_has_the_layout_of_the_manual(void **state)
{
	const uint8_t *p = sim_data();

	(void)state;
	memset(sim_data(), 0xee, 512);
	fill();
	assert_int_equal(RUN(64, "\x48\x0f\xae\x06"), VEC_BP);
	assert_int_equal(le16(p), 0x27f);
	assert_int_equal(le16(p + 2), 2 << 11);
	assert_int_equal(p[4], 0x0c);
	assert_int_equal(le32(p + 24), 0x1fa0);
	assert_int_equal(le32(p + 28), 0xffff);
	assert_int_equal(le16(p + 32 + 8), 0x3fff);
	assert_int_equal(p[160 + 16 * 15], 0x1f);
	assert_int_equal(p[416], 0xee);
}

static void fxsave_outside_64_bit_mode_has_eight_xmm_registers(void **state)
{
	(void)state;
	memset(sim_data(), 0xee, 512);
	fill();
	assert_int_equal(RUN(32, "\x0f\xae\x06"), VEC_BP);
	assert_int_equal(sim_data()[160 + 16 * 7], 0x17);
	assert_int_equal(sim_data()[160 + 16 * 8], 0xee);
}

static void fxsave_needs_alignment(void **state)
{
	(void)state;
	st.gpr[RSI] += 8;
	assert_int_equal(RUN(64, "\x0f\xae\x06"), VEC_GP);
	assert_int_equal(RUN(64, "\x0f\xae\x0e"), VEC_GP);
}

static void fxrstor_brings_back_what_fxsave_saved(void **state)
{
	struct fpu_area before;

	(void)state;
	fill();
	before = st.fpu;
	assert_int_equal(RUN(64, "\x48\x0f\xae\x06"), VEC_BP);
	clear();
	assert_int_equal(RUN(64, "\x48\x0f\xae\x0e"), VEC_BP);
	assert_int_equal(st.fpu.fcw, before.fcw);
	assert_int_equal(st.fpu.fsw, before.fsw);
	assert_int_equal(st.fpu.ftw, before.ftw);
	assert_int_equal(st.fpu.mxcsr, before.mxcsr);
	assert_memory_equal(st.fpu.st, before.st, sizeof(before.st));
	assert_memory_equal(st.fpu.xmm, before.xmm, sizeof(before.xmm));
	put_le32(sim_data() + 24, 0x10000);
	assert_int_equal(RUN(64, "\x48\x0f\xae\x0e"), VEC_GP);
}

static void xsave_needs_osxsave_and_64_byte_alignment(void **state)
{
	(void)state;
	components(7);
	sim_cpu()->s.cr4 &= ~(uint64_t)CR4_OSXSAVE;
	assert_int_equal(RUN(64, "\x0f\xae\x26"), VEC_UD);
	sim_cpu()->s.cr4 |= CR4_OSXSAVE;
	st.gpr[RSI] += 16;
	assert_int_equal(RUN(64, "\x0f\xae\x26"), VEC_GP);
	assert_int_equal(RUN(64, "\x0f\xae\x2e"), VEC_GP);
}

static void xsave_writes_only_what_is_asked_for(void **state)
{
	(void)state;
	memset(sim_data(), 0xee, 1024);
	put_le64(sim_data() + 512, 1);        /* of an earlier save */
	fill();
	components(6);
	assert_int_equal(RUN(64, "\x0f\xae\x26"), VEC_BP);
	assert_int_equal(sim_data()[0], 0xee);
	assert_int_equal(sim_data()[160], 0x10);
	assert_int_equal(sim_data()[576 + 15 * 16], 0x3f);
	assert_int_equal(sim_data()[832], 0xee);
	assert_int_equal(le64(sim_data() + 512), 7);
	assert_int_equal(le32(sim_data() + 24), 0x1fa0);
}

static void xrstor_initialises_components_that_were_not_saved(void **state)
{
	(void)state;
	fill();
	components(7);
	put_le32(sim_data() + 24, 0x1f80);
	put_le64(sim_data() + 512, 2);        /* SSE only, all zero */
	assert_int_equal(RUN(64, "\x0f\xae\x2e"), VEC_BP);
	assert_int_equal(st.fpu.fcw, 0x37f);
	assert_int_equal(st.fpu.ftw, 0);
	assert_int_equal(st.fpu.xmm[3][0], 0);
	assert_int_equal(st.fpu.ymm_hi[3][0], 0);
}

static void xrstor_leaves_what_is_not_asked_for(void **state)
{
	(void)state;
	fill();
	components(1);
	assert_int_equal(RUN(64, "\x0f\xae\x2e"), VEC_BP);
	assert_int_equal(st.fpu.fcw, 0x37f);
	assert_int_equal(st.fpu.xmm[3][0], 0x13);
	assert_int_equal(st.fpu.mxcsr, 0x1fa0);
}

static void xrstor_refuses_a_bad_header(void **state)
{
	(void)state;
	components(7);
	put_le64(sim_data() + 512, 8);                /* a component that XCR0 lacks */
	assert_int_equal(RUN(64, "\x0f\xae\x2e"), VEC_GP);
	put_le64(sim_data() + 512, 0);
	put_le64(sim_data() + 520, 1);                /* XCOMP_BV in the standard form */
	assert_int_equal(RUN(64, "\x0f\xae\x2e"), VEC_GP);
	put_le64(sim_data() + 520, 0);
	put_le64(sim_data() + 528, 1);                /* reserved */
	assert_int_equal(RUN(64, "\x0f\xae\x2e"), VEC_GP);
	put_le64(sim_data() + 528, 0);
	put_le32(sim_data() + 24, 0xffff0000);        /* MXCSR */
	assert_int_equal(RUN(64, "\x0f\xae\x2e"), VEC_GP);
	components(1);
	assert_int_equal(RUN(64, "\x0f\xae\x2e"), VEC_BP);
}

static void compacted_image_is_restored(void **state)
{
	struct fpu_area before;
	struct insn i = { .op = OP_XSAVEC };

	(void)state;
	insn_decode(&i, (const uint8_t *)"\x0f\xc7\x26", 3, 64);
	if (!sim_has(&i))
		return;
	fill();
	before = st.fpu;
	components(7);
	assert_int_equal(RUN(64, "\x0f\xc7\x26"), VEC_BP);
	assert_true(le64(sim_data() + 512) == 7);
	assert_true(le64(sim_data() + 520) == (1ull << 63 | 7));
	clear();
	assert_int_equal(RUN(64, "\x0f\xae\x2e"), VEC_BP);
	assert_memory_equal(st.fpu.xmm, before.xmm, sizeof(before.xmm));
	assert_memory_equal(st.fpu.ymm_hi, before.ymm_hi, sizeof(before.ymm_hi));
	assert_int_equal(st.fpu.mxcsr, 0x1fa0);
}

static void xsaveopt_does_not_write_initial_components(void **state)
{
	struct insn i;

	(void)state;
	insn_decode(&i, (const uint8_t *)"\x0f\xae\x36", 3, 64);
	if (!sim_has(&i))
		return;
	memset(sim_data(), 0xee, 1024);
	put_le64(sim_data() + 512, 7);
	fill();
	memset(st.fpu.ymm_hi, 0, sizeof(st.fpu.ymm_hi));
	components(7);
	assert_int_equal(RUN(64, "\x0f\xae\x36"), VEC_BP);
	assert_int_equal(le64(sim_data() + 512), 3);
	assert_int_equal(sim_data()[576], 0xee);
	assert_int_equal(sim_data()[160], 0x10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fxsave_has_the_layout_of_the_manual),
		TEST(fxsave_outside_64_bit_mode_has_eight_xmm_registers),
		TEST(fxsave_needs_alignment),
		TEST(fxrstor_brings_back_what_fxsave_saved),
		TEST(xsave_needs_osxsave_and_64_byte_alignment),
		TEST(xsave_writes_only_what_is_asked_for),
		TEST(xrstor_initialises_components_that_were_not_saved),
		TEST(xrstor_leaves_what_is_not_asked_for),
		TEST(xrstor_refuses_a_bad_header),
		TEST(compacted_image_is_restored),
		TEST(xsaveopt_does_not_write_initial_components),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
