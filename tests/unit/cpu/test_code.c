/* SPDX-License-Identifier: MIT */
#include "tests/unit/cpu/guest_bench.h"

/* mov bl, imm is patched from 1 to 2 just before it runs. */
CODE(next_insn, 64, "mov byte ptr [rip + 1f + 1], 2\n 1: mov bl, 1\n hlt");
CODE(loop_patched, 64, "xor ebx, ebx\n mov ecx, 5\n 2: inc byte ptr [rip + 1f + 1]\n nop\n 1: mov al, 0\n movzx eax, al\n add ebx, eax\n"
     "dec ecx\n jnz 2b\n hlt");
CODE(called, 64, "call [r8]\n mov ecx, eax\n mov byte ptr [0x40001], 9\n call [r8]\n hlt");
CODE(alias, 64, "call r9\n mov ecx, eax\n mov byte ptr [0x40000001], 9\n call r9\n hlt");
CODE(by_strings, 64, "call r9\n mov ebx, eax\n mov edi, 0x40000\n mov esi, 0x50000\n mov ecx, 6\n rep movsb\n call r9\n hlt");
CODE(called_twice, 64, "call r9\n mov ecx, eax\n call r9\n hlt");
CODE(returns_1, 64, "mov eax, 1\n ret");
CODE(returns_7, 64, "mov eax, 7\n ret");
/* The data that the loop counts in lies 128 bytes behind the code, in the same page. */
CODE(mixed, 64, "mov ecx, 1000\n 1: inc dword ptr [0x10100]\n push rcx\n pop rcx\n dec ecx\n jnz 1b\n hlt");
CODE(real_patch, 16, "mov byte ptr cs:[1f + 1 - real_patch], 2\n 1: mov bl, 1\n hlt");
CODE(crosses, 64, "call r9\n mov ebx, eax\n mov byte ptr [0x41000], 9\n call r9\n hlt");

static void store_to_the_next_instruction_is_seen(void **state)
{
	(void)state;
	START64(next_insn);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[3] & 0xff, 2);
	START16(real_patch);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[3] & 0xff, 2);
}

static void loop_that_patches_itself_runs_each_version(void **state)
{
	(void)state;
	START64(loop_patched);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[3], 1 + 2 + 3 + 4 + 5);
}

static void store_to_another_page_of_code_is_seen(void **state)
{
	struct cpu_regs r;

	(void)state;
	START64(called);
	PUT_CODE(m, 0x40000, returns_1);
	put_le64(m->ram + 0x50000, 0x40000);
	r = regs();
	r.gpr[8] = 0x50000;
	cpu_set_regs(m->cpu, &r);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[1], 1);
	assert_int_equal(regs().gpr[0], 9);
}

static void store_through_another_linear_address_is_seen(void **state)
{
	(void)state;
	START64(alias);
	PUT_CODE(m, 0x40000, returns_1);
	put_le64(m->ram + 0x9008, 0xb007);
	memset(m->ram + 0xb000, 0, 4096);
	put_le64(m->ram + 0xb000, 0xc007);
	put_le64(m->ram + 0xc000, 0x40007);
	set_reg_value(9, 0x40000);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[1], 1);
	assert_int_equal(regs().gpr[0], 9);
}

static void string_store_to_code_is_seen(void **state)
{
	(void)state;
	START64(by_strings);
	PUT_CODE(m, 0x40000, returns_1);
	PUT_CODE(m, 0x50000, returns_7);
	set_reg_value(9, 0x40000);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[3], 1);
	assert_int_equal(regs().gpr[0], 7);
}

static void instruction_in_two_pages_is_dropped_by_a_store_to_the_second(void **state)
{
	(void)state;
	START64(crosses);
	PUT_CODE(m, 0x40ffd, returns_1);        /* B8 01 00 | 00 00 C3 */
	set_reg_value(9, 0x40ffd);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[3], 1);
	assert_int_equal(regs().gpr[0], 0x90001);
}

static void data_beside_code_does_not_drop_it(void **state)
{
	unsigned marks;

	(void)state;
	START64(mixed);
	set_reg_value(4, 0x10800);
	put_le32(m->ram + 0x10100, 0);
	marks = m->marks;
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(le32(m->ram + 0x10100), 1000);
	assert_true(m->marks - marks < 4);
}

static void bus_master_writes_to_code_are_seen(void **state)
{
	(void)state;
	START64(called_twice);
	PUT_CODE(m, 0x40000, returns_1);
	set_reg_value(9, 0x40000);
	assert_int_equal(cpu_run(m->cpu, 4), CPU_EXIT_BUDGET);  /* call, mov, ret, mov */
	PUT_CODE(m, 0x40000, returns_7);                        /* tells cpus_code_written() */
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[1], 1);
	assert_int_equal(regs().gpr[0], 7);
}

/* [R8] is called twice; its page is other memory the second time, the page with the calls is not. */
static void code_goes_with_its_page_when_the_memory_map_changes(void **state)
{
	(void)state;
	START64(called_twice);
	PUT_CODE(m, 0x40000, returns_1);
	PUT_CODE(m, 0x50000, returns_7);
	set_reg_value(9, 0x40000);
	assert_int_equal(cpu_run(m->cpu, 4), CPU_EXIT_BUDGET);
	m->moved = 0x40000;
	m->moved_to = 0x50000;
	cpus_remapped(m->cpus);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[1], 1);
	assert_int_equal(regs().gpr[0], 7);
}

static void code_of_a_device_runs(void **state)
{
	(void)state;
	START64(returns_1);
	put_le64(m->ram + 0xa010, FAKE_MMIO | 0x87);
	m->mmio_value = 0xf4;
	set_reg_value(0, 0);
	{
		struct cpu_regs r = regs();

		r.rip = 0x400000;
		cpu_set_regs(m->cpu, &r);
	}
	assert_int_equal(cpu_run(m->cpu, 100), CPU_EXIT_HALT);
	assert_int_equal(regs().rip, 0x400001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(store_to_the_next_instruction_is_seen), TEST(loop_that_patches_itself_runs_each_version),
		TEST(store_to_another_page_of_code_is_seen), TEST(store_through_another_linear_address_is_seen),
		TEST(string_store_to_code_is_seen), TEST(instruction_in_two_pages_is_dropped_by_a_store_to_the_second),
		TEST(data_beside_code_does_not_drop_it), TEST(bus_master_writes_to_code_are_seen),
		TEST(code_goes_with_its_page_when_the_memory_map_changes), TEST(code_of_a_device_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
