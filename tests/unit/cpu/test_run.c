/* SPDX-License-Identifier: MIT */
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

CODE(sum, 64, "xor eax, eax\n mov ecx, 1000\n 1: add rax, rcx\n dec ecx\n jnz 1b\n mov [0x5000], rax\n hlt");
CODE(sum32, 32, "xor eax, eax\n mov ecx, 1000\n 1: add eax, ecx\n dec ecx\n jnz 1b\n mov [0x5000], eax\n hlt");
CODE(sum16, 16, "xor eax, eax\n mov ecx, 1000\n 1: add eax, ecx\n dec ecx\n jnz 1b\n mov [0x5000], eax\n hlt");
CODE(calls, 64, "mov ecx, 10\n xor eax, eax\n 1: call 2f\n loop 1b\n hlt\n 2: push rcx\n add eax, 3\n pop rcx\n ret");
CODE(ports, 64, "mov dx, 0x80\n mov al, 7\n out dx, al\n in eax, dx\n mov ebx, eax\n hlt");

CODE(endless, 64, "mov edi, 0x100000\n mov rcx, -1\n 1: .byte 0x67\n rep lodsb\n jmp 1b");
CODE(long_fill, 64, "mov edi, 0x200000\n mov ecx, 0x200000\n mov al, 0x55\n rep stosb\n hlt");

static struct cpu_regs regs_of(struct fake_machine *m)
{
	struct cpu_regs r;

	cpu_get_regs(m->cpu, &r);
	return r;
}

static int setup(void **state)
{
	fake_engine = engine_of(state);
	*state = fake_machine_new(1, NULL);
	return 0;
}

static int teardown(void **state)
{
	fake_machine_free(*state);
	return 0;
}

static void loop_runs_in_long_mode(void **state)
{
	struct fake_machine *m = *state;

	fake_machine_long(m, 0x10000, 0x20000);
	PUT_CODE(m, 0x10000, sum);
	assert_int_equal(cpu_run(m->cpu, 1000000), CPU_EXIT_HALT);
	assert_int_equal(le64(m->ram + 0x5000), 500500);
	assert_int_equal(cpu_instructions(m->cpu), 2 + 3000 + 2);
}

static void loop_runs_in_protected_mode(void **state)
{
	struct fake_machine *m = *state;

	fake_machine_protected(m, 0x10000, 0x20000);
	PUT_CODE(m, 0x10000, sum32);
	assert_int_equal(cpu_run(m->cpu, 1000000), CPU_EXIT_HALT);
	assert_int_equal(le32(m->ram + 0x5000), 500500);
}

static void loop_runs_in_real_mode(void **state)
{
	struct fake_machine *m = *state;

	fake_machine_real(m, 0x1000, 0);
	PUT_CODE(m, 0x10000, sum16);
	assert_int_equal(cpu_run(m->cpu, 1000000), CPU_EXIT_HALT);
	assert_int_equal(le32(m->ram + 0x5000), 500500);
}

static void calls_return(void **state)
{
	struct fake_machine *m = *state;

	fake_machine_long(m, 0x10000, 0x20000);
	PUT_CODE(m, 0x10000, calls);
	assert_int_equal(cpu_run(m->cpu, 1000000), CPU_EXIT_HALT);
	assert_int_equal(regs_of(m).gpr[0], 30);
	assert_int_equal(regs_of(m).gpr[4], 0x20000);
}

static void budget_is_exact(void **state)
{
	struct fake_machine *m = *state;
	unsigned n;

	for (n = 1; n < 40; n++) {
		uint64_t before;

		fake_machine_long(m, 0x10000, 0x20000);
		PUT_CODE(m, 0x10000, sum);
		before = cpu_instructions(m->cpu);
		assert_int_equal(cpu_run(m->cpu, n), CPU_EXIT_BUDGET);
		assert_int_equal(cpu_instructions(m->cpu) - before, n);
	}
}

static void long_string_instruction_uses_up_the_budget(void **state)
{
	struct fake_machine *m = *state;

	fake_machine_long(m, 0x10000, 0x20000);
	PUT_CODE(m, 0x10000, endless);
	assert_int_equal(cpu_run(m->cpu, 100), CPU_EXIT_BUDGET);
	assert_int_equal(regs_of(m).rip, 0x10000 + 12);
	fake_machine_long(m, 0x10000, 0x20000);
	PUT_CODE(m, 0x10000, long_fill);
	assert_int_equal(cpu_run(m->cpu, 100), CPU_EXIT_HALT);
	assert_int_equal(m->ram[0x3fffff], 0x55);
	assert_int_equal(regs_of(m).gpr[7], 0x400000);
}

static void ports_reach_the_machine(void **state)
{
	struct fake_machine *m = *state;

	fake_machine_long(m, 0x10000, 0x20000);
	PUT_CODE(m, 0x10000, ports);
	m->port_value = 0x12345678;
	assert_int_equal(cpu_run(m->cpu, 1000000), CPU_EXIT_HALT);
	assert_int_equal(m->accesses, 2);
	assert_int_equal(m->log[0].value, 7);
	assert_int_equal(m->log[0].size, 1);
	assert_int_equal(m->log[1].size, 4);
	assert_int_equal(regs_of(m).gpr[3], 0x12345678);
}

/* SeaBIOS's lock is open for one PAUSE at a time: a slice that never ends there would never let the other processor in. */
static void pause_gives_way_when_one_thread_runs_several_processors(void **state)
{
	static const uint8_t spin[] = { 0xf3, 0x90, 0xeb, 0xfc };       /* 1: pause; jmp 1b */
	struct fake_machine *m = fake_machine_new(2, NULL);

	fake_machine_long(m, 0x10000, 0x20000);
	memcpy(m->ram + 0x10000, spin, sizeof(spin));
	assert_int_equal(cpu_run(m->cpu, 1000), CPU_EXIT_KICK);
	assert_int_equal(regs_of(m).rip, 0x10002);
	assert_int_equal(cpu_run(m->cpu, 1000), CPU_EXIT_KICK);
	assert_int_equal(cpu_instructions(m->cpu), 3);
	fake_machine_free(m);
	m = *state;
	fake_machine_long(m, 0x10000, 0x20000);
	memcpy(m->ram + 0x10000, spin, sizeof(spin));
	assert_int_equal(cpu_run(m->cpu, 1000), CPU_EXIT_BUDGET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_ENGINES(loop_runs_in_long_mode, setup, teardown),
		ON_BOTH_ENGINES(loop_runs_in_protected_mode, setup, teardown),
		ON_BOTH_ENGINES(loop_runs_in_real_mode, setup, teardown),
		ON_BOTH_ENGINES(calls_return, setup, teardown),
		ON_BOTH_ENGINES(budget_is_exact, setup, teardown),
		ON_BOTH_ENGINES(long_string_instruction_uses_up_the_budget, setup, teardown),
		ON_BOTH_ENGINES(ports_reach_the_machine, setup, teardown),
		ON_BOTH_ENGINES(pause_gives_way_when_one_thread_runs_several_processors, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
