/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "cpu/cpu.h"
#include "emu/expression.h"

static const struct cpu_regs regs = {
	.gpr = { 0x1122334455667788, 1, 2, 3, 0xffff888812345678, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xf },
	.rip = 0xfff0, .rflags = 0x202, .seg = { [1] = { .selector = 0xf000, .base = 0xffff0000 } },
	.cr0 = 0x80000011, .cr3 = 0x1000,
};

static void is(const char *text, uint64_t wanted)
{
	struct err err = { "" };
	uint64_t v;

	if (!expression(text, &regs, &v, &err))
		fail_msg("%s: %s", text, err.text);
	if (v != wanted)
		fail_msg("%s is 0x%llx", text, (unsigned long long)v);
}

static void fails(const char *text, const char *why)
{
	struct err err = { "" };
	uint64_t v;

	assert_false(expression(text, &regs, &v, &err));
	assert_string_equal(err.text, why);
}

static void numbers_are_c_s(void **state)
{
	(void)state;
	is("42", 42);
	is(" 0x7c00 ", 0x7c00);
	is("010", 8);
	is("0xffffffffffffffff", UINT64_MAX);
	is("'A'", 'A');
}

static void operators_bind_as_in_qemu(void **state)
{
	(void)state;
	is("1 + 2 * 3", 7);
	is("10 - 3 - 2", 5);
	is("1 + 2 | 4", 7);             /* 1 + (2 | 4) */
	is("7 & 3 * 2", 6);             /* 7 & (3 * 2) */
	is("6 ^ 5", 3);
	is("100 / 7 % 4", 2);
	is("-1", UINT64_MAX);
	is("~0 + 1", 0);
	is("-(2 + 3) * 2", (uint64_t)-10);
	is("((((1))))", 1);
}

static void registers_have_all_their_names(void **state)
{
	(void)state;
	is("$rax", 0x1122334455667788);
	is("$eax", 0x55667788);
	is("$ax", 0x7788);
	is("$rsp+8", 0xffff888812345680);
	is("$r8", 8);
	is("$r15", 0xf);
	is("$cs", 0xf000);
	is("$rip", 0xfff0);
	is("$pc", 0xfffffff0);          /* the linear address */
	is("$cs*16+$ip", 0xffff0);
	is("$eflags & 0x200", 0x200);
	is("$cr0", 0x80000011);
	is("$cr3", 0x1000);
}

static void what_is_none_is_refused(void **state)
{
	char deep[201];

	(void)state;
	fails("", "invalid number ''");
	fails("x", "invalid number 'x'");
	fails("1 2", "invalid number '1 2'");
	fails("1 +", "invalid number ''");
	fails("(1", "')' expected");
	fails("$foo", "unknown register 'foo'");
	fails("$", "unknown register ''");
	fails("1 / 0", "divide by zero");
	fails("1 % (2 - 2)", "divide by zero");
	fails("'A", "missing terminating ' character");
	fails("99999999999999999999", "invalid number '99999999999999999999'");
	memset(deep, '(', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	fails(deep, "too many parentheses or signs");
	memset(deep, '-', sizeof(deep) - 1);
	fails(deep, "too many parentheses or signs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_c_s),
		cmocka_unit_test(operators_bind_as_in_qemu),
		cmocka_unit_test(registers_have_all_their_names),
		cmocka_unit_test(what_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
