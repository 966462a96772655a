/* SPDX-License-Identifier: MIT */
/* cpu/cpuid.c: models, the user's feature list, CPUID leaves, and what a model executes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "cpu/insn.h"
#include "cpu/model.h"

enum { EAX, EBX, ECX, EDX };

static struct cpu_model make(const char *name, const char *list, unsigned count)
{
	struct cpu_model m;
	struct err e = { "" };

	if (!cpu_model_init(&m, name, list, count, 2400000000, &e))
		fail_msg("%s", e.text);
	return m;
}

static void refused(const char *name, const char *list, const char *why)
{
	struct cpu_model m;
	struct err e = { "" };

	assert_false(cpu_model_init(&m, name, list, 1, 1000000000, &e));
	if (!strstr(e.text, why))
		fail_msg("'%s' does not say '%s'", e.text, why);
}

static uint32_t leaf(const struct cpu_model *m, uint32_t n, uint32_t sub, unsigned reg)
{
	const struct cpuid_state s = { .apic_on = true };
	uint32_t out[4];

	cpuid_leaf(m, &s, n, sub, out);
	return out[reg];
}

static void the_default_is_level_2(void **state)
{
	struct cpu_model m = make(NULL, NULL, 1);

	(void)state;
	assert_string_equal(m.name, "x86-64-v2");
	assert_true(leaf(&m, 1, 0, ECX) & 1 << 23);             /* POPCNT */
	assert_false(leaf(&m, 1, 0, ECX) & 1 << 28);            /* AVX */
	assert_true(leaf(&m, 1, 0, EDX) & 1 << 26);             /* SSE2 */
	assert_true(leaf(&m, 0x80000001, 0, EDX) & 1 << 29);    /* LM */
	assert_int_equal(m.xcr0, 3);
}

static void words_turn_features_on_and_off(void **state)
{
	struct cpu_model m = make("x86-64-v2", "-popcnt,smap=off,+clwb,pcid=on,sse4.2=off,-tsc-deadline", 1);

	(void)state;
	assert_false(cpu_has(&m, CPU_POPCNT));
	assert_false(cpu_has(&m, CPU_SMAP));
	assert_true(cpu_has(&m, CPU_CLWB));
	assert_true(cpu_has(&m, CPU_PCID));
	assert_false(cpu_has(&m, CPU_SSE4_2));
	assert_false(leaf(&m, 1, 0, ECX) & 1 << 24);
	m = make("qemu64", "+pni,lahf-lm=off,,", 1);
	assert_true(cpu_has(&m, CPU_SSE3));
	assert_false(cpu_has(&m, CPU_LAHF_LM));
}

static void what_loses_its_base_goes_with_it(void **state)
{
	struct cpu_model m = make("max", "-xsave", 1);

	(void)state;
	assert_false(cpu_has(&m, CPU_AVX));
	assert_false(cpu_has(&m, CPU_AVX2));
	assert_false(cpu_has(&m, CPU_XSAVEOPT));
	assert_int_equal(leaf(&m, 0xd, 0, EAX), 0);
	refused("qemu64", "+xsaveopt", "needs 'xsave'");
}

static void wrong_words_are_named(void **state)
{
	(void)state;
	refused("pentium9", NULL, "pentium9");
	refused(NULL, "+warp", "'warp'");
	refused(NULL, "aes=maybe", "maybe");
	refused(NULL, "+aes=on", "either");
	refused(NULL, "+", "''");
	refused(NULL, "=on", "''");
}

static void the_vendor_can_be_chosen(void **state)
{
	struct cpu_model m = make(NULL, "vendor=GenuineIntel", 4);
	uint32_t out[4];

	(void)state;
	cpuid_leaf(&m, &(struct cpuid_state){ 0 }, 0, 0, out);
	assert_int_equal(out[EAX], 0x16);
	assert_memory_equal(&out[EBX], "Genu", 4);
	assert_memory_equal(&out[EDX], "ineI", 4);
	assert_memory_equal(&out[ECX], "ntel", 4);
	assert_int_equal(leaf(&m, 4, 0, EAX) & 0x1f, 1);        /* a data cache, */
	assert_int_equal(leaf(&m, 4, 0, EAX) >> 26, 3);         /* four cores */
	assert_int_equal(leaf(&m, 0x15, 0, EBX), 2400000);
	assert_int_equal(leaf(&m, 7, 0, EAX), 2);
	assert_int_equal(leaf(&m, 7, 2, EDX), 1 << 4 | 1 << 5);
	assert_int_equal(leaf(&m, 0x17, 0, EAX), 2400);         /* past the end: as leaf 16h */
	m = make(NULL, "vendor=AuthenticAMD", 4);
	assert_int_equal(leaf(&m, 0x80000001, 0, EDX) & 0x0183f3ff, leaf(&m, 1, 0, EDX) & 0x0183f3ff);
	assert_int_equal(leaf(&m, 0x80000008, 0, ECX), 2 << 12 | 3);
	assert_int_equal(leaf(&m, 0x8000001d, 3, EAX) >> 14 & 0xfff, 3);
	assert_int_equal(leaf(&m, 0x17, 0, EAX), 0);
	refused(NULL, "vendor=Acme", "'Acme'");
	refused(NULL, "vendor=", "''");
}

static void leaf_1_follows_the_processor_state(void **state)
{
	struct cpu_model m = make(NULL, NULL, 4);
	struct cpuid_state s = { .apic_id = 3, .apic_on = false, .osxsave = true };
	uint32_t out[4];

	(void)state;
	cpuid_leaf(&m, &s, 1, 0, out);
	assert_int_equal(out[EBX] >> 24, 3);
	assert_int_equal(out[EBX] >> 16 & 0xff, 4);
	assert_int_equal(out[EBX] >> 8 & 0xff, 8);
	assert_true(out[ECX] & 1 << 27);
	assert_false(out[EDX] & 1 << 9);
	assert_true(out[EDX] & 1 << 28);        /* HTT: several processors in the package */
	assert_int_equal(out[EAX], m.signature);
}

static void topology_numbers_processors_without_gaps(void **state)
{
	struct cpu_model m = make(NULL, NULL, 3);
	struct cpuid_state s = { .apic_id = 2 };
	uint32_t out[4];

	(void)state;
	cpuid_leaf(&m, &s, 0xb, 0, out);
	assert_int_equal(out[EAX], 0);
	assert_int_equal(out[EBX], 1);
	assert_int_equal(out[ECX], 0x100);
	assert_int_equal(out[EDX], 2);
	cpuid_leaf(&m, &s, 0xb, 1, out);
	assert_int_equal(out[EAX], 2);          /* ids of 2 bits */
	assert_int_equal(out[EBX], 3);
	assert_int_equal(out[ECX], 0x201);
	cpuid_leaf(&m, &s, 0xb, 2, out);
	assert_int_equal(out[EBX], 0);
	assert_int_equal(out[ECX], 2);
}

static void the_save_area_is_as_long_as_its_parts(void **state)
{
	struct cpu_model m = make("max", NULL, 1);
	struct cpuid_state s = { .xcr0 = 1 };
	uint32_t out[4];

	(void)state;
	cpuid_leaf(&m, &s, 0xd, 0, out);
	assert_int_equal(out[EAX], m.xcr0);
	assert_int_equal(out[EBX], 576);
	assert_int_equal(out[ECX], m.xcr0 & 4 ? 832 : 576);
	if (m.xcr0 & 4) {
		s.xcr0 = 7;
		cpuid_leaf(&m, &s, 0xd, 0, out);
		assert_int_equal(out[EBX], 832);
		cpuid_leaf(&m, &s, 0xd, 1, out);
		assert_int_equal(out[EBX], 832);
		cpuid_leaf(&m, &s, 0xd, 2, out);
		assert_int_equal(out[EAX], 256);
		assert_int_equal(out[EBX], 576);
	}
}

static void hypervisor_leaves_come_with_the_bit(void **state)
{
	struct cpu_model m = make(NULL, NULL, 1);
	uint32_t out[4];

	(void)state;
	cpuid_leaf(&m, &(struct cpuid_state){ 0 }, 0x40000000, 0, out);
	assert_memory_equal(&out[EBX], "KVMKVMKVM\0\0\0", 12);
	assert_int_equal(leaf(&m, 0x40000010, 0, EAX), 2400000);
	assert_true(leaf(&m, 0x40000001, 0, EAX) & 1 << 3);
	m = make(NULL, "-hypervisor", 1);
	assert_int_not_equal(leaf(&m, 0x40000000, 0, EBX), 0x4b4d564b);
	assert_false(leaf(&m, 1, 0, ECX) & 1u << 31);
}

static void brand_and_sizes_are_told(void **state)
{
	struct cpu_model m = make(NULL, NULL, 1);
	char brand[49] = "";
	uint32_t out[4];
	unsigned n;

	(void)state;
	for (n = 0; n < 3; n++) {
		cpuid_leaf(&m, &(struct cpuid_state){ 0 }, 0x80000002 + n, 0, out);
		memcpy(brand + 16 * n, out, 16);
	}
	assert_string_equal(brand, "tenbox virtual processor x86-64-v2");
	assert_int_equal(leaf(&m, 0x80000008, 0, EAX) & 0xffff, 48 << 8 | 40);
	assert_int_equal(leaf(&m, 0x80000007, 0, EDX), 1 << 8);
	assert_true(leaf(&m, 0x80000000, 0, EAX) >= 0x80000008);
}

static void dangerous_features_are_never_offered(void **state)
{
	struct cpu_model m = make("max", NULL, 1);

	(void)state;
	assert_int_equal(leaf(&m, 1, 0, ECX) & (1 << 5 | 1 << 6 | 1 << 15), 0);         /* VMX, SMX, PDCM */
	assert_int_equal(leaf(&m, 7, 0, EBX) & (1 << 4 | 1 << 11 | 1 << 14 | 1 << 16), 0); /* HLE, RTM, MPX, AVX512F */
	assert_int_equal(leaf(&m, 7, 0, ECX) & (1 << 3 | 1 << 7 | 1 << 16), 0);         /* PKU, CET_SS, LA57 */
	assert_int_equal(leaf(&m, 7, 0, EDX) & (1 << 20 | 1 << 24), 0);                 /* CET_IBT, AMX */
	assert_int_equal(leaf(&m, 0x80000001, 0, ECX) & (1 << 2 | 1 << 6), 0);          /* SVM, SSE4A */
	assert_int_equal(leaf(&m, 0xa, 0, EAX), 0);
}

static enum op executes(const struct cpu_model *m, const char *bytes, size_t len)
{
	struct insn i;

	assert_int_equal(insn_decode(&i, (const uint8_t *)bytes, len, 64), DECODE_OK);
	cpuid_gate(m, &i);
	return i.op;
}

static void a_model_executes_what_it_announces(void **state)
{
	struct cpu_model small = make("qemu64", NULL, 1), big = make("max", NULL, 1);

	(void)state;
	assert_int_equal(executes(&small, "\xf3\x0f\xb8\xc1", 4), OP_INVALID);          /* popcnt */
	assert_int_equal(executes(&small, "\xf3\x0f\xbc\xc1", 4), OP_BSF);              /* tzcnt */
	assert_int_equal(executes(&small, "\xf3\x0f\xbd\xc1", 4), OP_BSR);              /* lzcnt */
	assert_int_equal(executes(&small, "\xc5\xf8\x58\xc1", 4), OP_INVALID);          /* vaddps */
	assert_int_equal(executes(&small, "\x0f\x0d\x08", 3), OP_NOP);                  /* prefetchw */
	assert_int_equal(executes(&small, "\x0f\x58\xc1", 3), OP_ADDPS);
	assert_int_equal(executes(&small, "\x0f\x01\xd9", 3), OP_VMMCALL);
	small = make("qemu64", "-hypervisor", 1);
	assert_int_equal(executes(&small, "\x0f\x01\xd9", 3), OP_INVALID);
	if (cpu_has(&big, CPU_AVX2) && cpu_has(&big, CPU_BMI1)) {
		struct cpu_model middle = make("max", "-avx2", 1);

		assert_int_equal(executes(&big, "\xf3\x0f\xbc\xc1", 4), OP_TZCNT);
		assert_int_equal(executes(&big, "\xc5\xf5\xfe\xc1", 4), OP_PADDD);      /* ymm */
		assert_int_equal(executes(&middle, "\xc5\xf5\xfe\xc1", 4), OP_INVALID);
		assert_int_equal(executes(&middle, "\xc5\xf1\xfe\xc1", 4), OP_PADDD);   /* xmm */
		assert_int_equal(executes(&middle, "\xc5\xf4\x58\xc1", 4), OP_ADDPS);   /* ymm */
	}
}

static void count_lines(void *to, const char *line)
{
	assert_true(strlen(line) < 128);
	++*(unsigned *)to;
}

static void models_can_be_listed(void **state)
{
	unsigned lines = 0;

	(void)state;
	cpu_model_print(count_lines, &lines);
	assert_true(lines > 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_is_level_2),
		cmocka_unit_test(words_turn_features_on_and_off),
		cmocka_unit_test(what_loses_its_base_goes_with_it),
		cmocka_unit_test(wrong_words_are_named),
		cmocka_unit_test(the_vendor_can_be_chosen),
		cmocka_unit_test(leaf_1_follows_the_processor_state),
		cmocka_unit_test(topology_numbers_processors_without_gaps),
		cmocka_unit_test(the_save_area_is_as_long_as_its_parts),
		cmocka_unit_test(hypervisor_leaves_come_with_the_bit),
		cmocka_unit_test(brand_and_sizes_are_told),
		cmocka_unit_test(dangerous_features_are_never_offered),
		cmocka_unit_test(a_model_executes_what_it_announces),
		cmocka_unit_test(models_can_be_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
