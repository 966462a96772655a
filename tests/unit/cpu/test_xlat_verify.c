/* SPDX-License-Identifier: MIT */
/* -accel xlat,verify=on: right translations pass, a wrong one is told of, with its code. */
#include <stdio.h>

#include "cpu/xlat/xlat.h"
#include "tests/unit/cpu/guest_bench.h"

CODE(work, 64, "mov ecx, 200\n mov edi, 0x200000\n 1: add rax, 0x12345678\n mov [rdi], rax\n push rax\n pop r9\n adc [rdi + 8], r9\n movq xmm0, rax\n paddq xmm1, xmm0\n"
     "call 2f\n dec ecx\n jnz 1b\n hlt\n 2: lock xadd [rdi + 16], r9\n ret");

static char report[8192];
static unsigned reports;

static int setup_verify(void **state)
{
	(void)state;
	report[0] = 0;
	reports = 0;
	fake_engine = CPU_XLAT;
	fake_verify = 1;
	m = fake_machine_new(1, NULL);
	fake_verify = 0;
	return 0;
}

void fake_differs(void *owner, const char *line)
{
	size_t at = strlen(report);

	(void)owner;
	if (line)
		snprintf(report + at, sizeof(report) - at, "%s\n", line);
	else
		reports++;
}

static void start_work(void)
{
	struct cpu_regs r;

	START64(work);
	memset(m->ram + DATA_AT, 0, 64);
	r = regs();
	r.cr4 |= 0x600;
	cpu_set_regs(m->cpu, &r);
	m->cpu->s.fpu.fcw = 0x37f;
}

static void blocks_of_both_engines_agree(void **state)
{
	(void)state;
	start_work();
	assert_int_equal(run(), NO_VECTOR);
	if (reports)
		print_error("%s", report);
	assert_int_equal(reports, 0);
	assert_int_equal(regs().gpr[0], 200 * 0x12345678ull);
	assert_true(verify_blocks(m->cpu->x) > 300);
}

/* The constant of an ADD is changed in the translation. */
static void a_wrong_translation_is_told_of_with_its_code(void **state)
{
	static const uint8_t constant[] = { 0x78, 0x56, 0x34, 0x12 };
	struct xlat *x = m->cpu->x;
	unsigned changed = 0;
	uint32_t at;

	(void)state;
	start_work();
	assert_int_equal(cpu_run(m->cpu, 500), CPU_EXIT_BUDGET);
	assert_int_equal(reports, 0);
	for (at = x->first; at + 4 < x->region[x->now].used; at++)
		if (!memcmp(x->rw + at, constant, 4)) {
			x->rw[at] = 0x79;
			changed++;
		}
	assert_true(changed > 0);
	cpu_run(m->cpu, 500);
	assert_true(reports > 0);
	assert_non_null(strstr(report, "differ in general registers"));
	assert_non_null(strstr(report, "add    rax,0x12345678"));
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_verify, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(blocks_of_both_engines_agree), TEST(a_wrong_translation_is_told_of_with_its_code) };

	(void)setup;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
