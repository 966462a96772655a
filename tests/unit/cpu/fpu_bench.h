/* SPDX-License-Identifier: MIT */
/* Runs a few bytes of user-mode code on our processor: what the tests of floating point and vectors share. */
#ifndef TESTS_UNIT_CPU_FPU_BENCH_H
#define TESTS_UNIT_CPU_FPU_BENCH_H

#include "tests/diff/diff.h"
#include "tests/unit/cpu/engines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct diff_state st;

static inline int bench_setup(void **state)
{
	struct cpu_state *s;
	const char *why = "";

	sim_use(engine_of(state));
	if (!sim_init("max", &why))
		fail_msg("%s", why);
	s = &sim_cpu()->s;
	s->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
	s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	s->xcr0 = 7;
	memset(&st, 0, sizeof(st));
	memset(sim_data(), 0, DATA_SIZE);
	st.gpr[RSP] = DATA_BASE + 0x2000;
	st.gpr[RSI] = DATA_BASE;
	st.rflags = 0x202;
	st.fpu.fcw = 0x37f;
	st.fpu.mxcsr = 0x1f80;
	return 0;
}

/* RSI points to sim_data(); the code ends by INT3 (vector 3) if nothing happens. */
static inline int bench_run(unsigned mode, const char *code, size_t len)
{
	st.rip = mode == 16 ? 0x100 : CODE_BASE + 0x100;
	memset(sim_code(), 0xcc, CODE_SIZE);
	memcpy(sim_code() + 0x100, code, len);
	sim_run(mode, &st);
	return st.vector;
}
#define RUN(mode, code) bench_run(mode, code, sizeof(code) - 1)

static inline void put_st(unsigned n, uint16_t exponent, uint64_t mantissa)
{
	put_le64(st.fpu.st[n], mantissa);
	put_le16(st.fpu.st[n] + 8, exponent);
	st.fpu.ftw |= (uint8_t)(1 << ((n + (st.fpu.fsw >> 11)) & 7));
}

#define TEST(name) ON_BOTH_ENGINES(name, bench_setup, NULL)

#define ONE 0x3fff, 0x8000000000000000

#endif
