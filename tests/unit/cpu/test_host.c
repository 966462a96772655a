/* SPDX-License-Identifier: MIT */
/*
 * The bounded share of tests/diff that every test run does: the same seeded cases each time, for all operations and
 * code sizes, on both engines, with generic and with specialised handlers of the interpreter.
 *
 * What processors do differently where the architecture leaves it open is known of AMD's (diff.c, gen.c); on another
 * maker's a few cases in a thousand may differ.
 */
#include "tests/diff/diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "cpu/model.h"
#include "tests/unit/cpu/engines.h"

static uint8_t data[DATA_SIZE];

static void use_engine(void **state)
{
	const char *why = "";

	sim_use(engine_of(state));
	if (!sim_init("max", &why))
		fail_msg("%s", why);
}

static void agree(void **state, unsigned mode, unsigned instructions, bool fast, unsigned per_op)
{
	static char text[8192], what[1024];
	static struct diff_case c;
	struct diff_rng r = { 0x5eed0000 + mode * 16 + instructions * 2 + fast };
	unsigned cases = 0, wrong = 0;

	use_engine(state);
	native_arm();           /* cmocka takes the signals for each test */
	sim_set_fast(fast);
	for (unsigned op = 1; op < OP_COUNT; op++) {
		gen_data(&r, data);
		for (unsigned n = 0; n < per_op; n++) {
			if (!gen_case(&r, &c, mode, (enum op)op, instructions) || !sim_has(&c.insn[0]))
				continue;
			cases++;
			if (diff_one(&c, data, what, sizeof(what)))
				continue;
			if (wrong++ < 5) {
				diff_print(&c, text, sizeof(text));
				print_error("%s", text);
				print_error("%s\n", what);
			}
		}
	}
	print_message("%u cases of %u-bit code, %u differ\n", cases, mode, wrong);
	assert_true(cases > OP_COUNT / 2);
	if (sim_cpu()->model->intel)
		assert_true(wrong <= cases / 200);
	else
		assert_int_equal(wrong, 0);
}

static void single_instructions_of_64_bit_code_agree(void **state)
{
	agree(state, 64, 1, true, 30);
}

static void single_instructions_of_32_bit_code_agree(void **state)
{
	agree(state, 32, 1, true, 20);
}

static void single_instructions_of_16_bit_code_agree(void **state)
{
	agree(state, 16, 1, true, 20);
}

static void generic_handlers_agree(void **state)
{
	agree(state, 64, 1, false, 15);
}

static void short_sequences_agree(void **state)
{
	agree(state, 64, 4, true, 25);
}

static void short_sequences_of_32_bit_code_agree(void **state)
{
	agree(state, 32, 4, true, 10);
}

static void sequences_with_branches_and_loops_agree(void **state)
{
	agree(state, 64, 12, true, 15);
}

static void sequences_of_32_bit_code_with_branches_and_loops_agree(void **state)
{
	agree(state, 32, 12, true, 10);
}

static void sequences_of_16_bit_code_with_branches_agree(void **state)
{
	agree(state, 16, 8, true, 8);
}

/* Handlers that are called in place work on vector state that is live in the host's units. */
static void handlers_in_place_agree(void **state)
{
	sim_count(false);
	agree(state, 64, 1, true, 30);
	agree(state, 32, 4, true, 10);
	agree(state, 64, 12, true, 10);
	sim_count(true);
}

static int setup(void **state)
{
	struct diff_rng r = { 1 };
	const char *why = "";

	(void)state;
	if (!sim_init("max", &why)) {
		print_error("%s\n", why);
		return -1;
	}
	gen_data(&r, data);
	native_seal(data);
	sim_seal(data);
	return 0;
}

#define TEST(name) ON_BOTH_ENGINES(name, NULL, NULL)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(single_instructions_of_64_bit_code_agree), TEST(single_instructions_of_32_bit_code_agree),
		TEST(single_instructions_of_16_bit_code_agree), TEST(short_sequences_agree),
		TEST(short_sequences_of_32_bit_code_agree), TEST(sequences_with_branches_and_loops_agree),
		TEST(sequences_of_32_bit_code_with_branches_and_loops_agree), TEST(sequences_of_16_bit_code_with_branches_agree),
		TEST(handlers_in_place_agree), cmocka_unit_test(generic_handlers_agree),
	};
	const char *why;

	if (!native_init(&why)) {
		print_message("nothing compared: this sandbox cannot run code natively (%s)\n", why);
		return 0;
	}
	return cmocka_run_group_tests(tests, setup, NULL);
}
