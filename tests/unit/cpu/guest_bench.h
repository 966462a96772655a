/* SPDX-License-Identifier: MIT */
/*
 * What the tests of modes and exceptions share: a machine whose every vector leads to a HLT of its own at CPL 0, so that
 * after a run RIP tells which exception it was and the stack holds its frame.
 */
#ifndef GUEST_BENCH_H
#define GUEST_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/fake_machine.h"
#include "tests/fake/guest_code.h"
#include "tests/unit/cpu/engines.h"

enum { CODE_AT = 0x10000, STACK_AT = 0x20000, HANDLERS_AT = 0x30000, STACK0_AT = 0x28000, DATA_AT = 0x200000, NO_VECTOR = -1 };

static struct fake_machine *m;

static int setup(void **state)
{
	fake_engine = engine_of(state);
	m = fake_machine_new(1, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_machine_free(m);
	return 0;
}

/* The translator without counting: interpreter's handlers are called in place, with vector state on the host's units. */
static inline int setup_free(void **state)
{
	(void)state;
	fake_engine = CPU_XLAT;
	fake_icount = false;
	m = fake_machine_new(1, NULL);
	fake_icount = true;
	return 0;
}

#define TEST(name) ON_BOTH_ENGINES(name, setup, teardown)
#define TEST_AND_FREE(name) TEST(name), { #name " (xlat, not counted)", name, setup_free, teardown, NULL }

static struct cpu_regs regs(void)
{
	struct cpu_regs r;

	cpu_get_regs(m->cpu, &r);
	return r;
}

static inline void set_reg_value(unsigned n, uint64_t v)
{
	struct cpu_regs r = regs();

	r.gpr[n] = v;
	cpu_set_regs(m->cpu, &r);
}

static void handlers(uint16_t cs)
{
	unsigned v;

	for (v = 0; v < 256; v++) {
		m->ram[HANDLERS_AT + 16 * v] = 0xf4;
		if (v * 16 < 0x1000)
			fake_gate(m, v, cs, HANDLERS_AT + 16 * v, 14, 3);
	}
	memset(m->ram + FAKE_TSS_AT, 0, 0x1000);
	if (cs == FAKE_CS64) {
		put_le64(m->ram + FAKE_TSS_AT + 4, STACK0_AT);
		put_le64(m->ram + FAKE_TSS_AT + 0x24, STACK0_AT - 0x1000);     /* IST1 */
	} else {
		put_le32(m->ram + FAKE_TSS_AT + 4, STACK0_AT);
		put_le32(m->ram + FAKE_TSS_AT + 8, FAKE_DS32);
	}
}

static inline void start64(const uint8_t *code, const uint8_t *end)
{
	fake_machine_long(m, CODE_AT, STACK_AT);
	handlers(FAKE_CS64);
	fake_code(m, CODE_AT, code, (size_t)(end - code));
}

static inline void start32(const uint8_t *code, const uint8_t *end)
{
	fake_machine_protected(m, CODE_AT, STACK_AT);
	handlers(FAKE_CS32);
	fake_code(m, CODE_AT, code, (size_t)(end - code));
}

static inline void start16(const uint8_t *code, const uint8_t *end)
{
	unsigned v;

	fake_machine_real(m, CODE_AT >> 4, 0);
	for (v = 0; v < 256; v++) {
		m->ram[HANDLERS_AT + 16 * v] = 0xf4;
		put_le32(m->ram + 4 * v, (uint32_t)(HANDLERS_AT >> 4) << 16 | 16 * v);
	}
	fake_code(m, CODE_AT, code, (size_t)(end - code));
}

/* Go on at CPL 3 of the given code segment. */
static inline void to_user(uint16_t cs)
{
	struct cpu_regs r = regs();

	r.seg[1].selector = cs | 3;
	r.seg[1].attributes = cs == FAKE_UCS64 ? 0xa0fb : 0xc0fb;
	r.seg[2].selector = FAKE_UDS | 3;
	r.seg[2].attributes = 0xc0f3;
	cpu_set_regs(m->cpu, &r);
}

#define START64(code) start64(code, code##_end)
#define START32(code) start32(code, code##_end)
#define START16(code) start16(code, code##_end)

/* Run to a HLT: the vector whose handler it was, NO_VECTOR if the code's own. */
static int run(void)
{
	uint64_t at;

	assert_int_equal(cpu_run(m->cpu, 10000000), CPU_EXIT_HALT);
	at = regs().rip - 1 + (regs().seg[1].selector == HANDLERS_AT >> 4 ? HANDLERS_AT : 0);
	return at >= HANDLERS_AT && at < HANDLERS_AT + 0x1000 ? (int)(at - HANDLERS_AT) / 16 : NO_VECTOR;
}

/* Word n of the frame that the handler found: 0 is the error code if there is one. */
static inline uint64_t frame64(unsigned n) { return le64(m->ram + regs().gpr[4] + 8 * n); }
static inline uint32_t frame32(unsigned n) { return le32(m->ram + regs().gpr[4] + 4 * n); }

#endif
