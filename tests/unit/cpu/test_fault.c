/* SPDX-License-Identifier: MIT */
#include "tests/unit/cpu/guest_bench.h"

CODE(undefined, 64, "nop\n ud2");
CODE(divide, 64, "xor ecx, ecx\n div ecx\n hlt");
CODE(breakpoint, 64, "int3\n hlt");
CODE(soft_int, 64, "int 0x80\n hlt");
CODE(user_int32, 32, "mov eax, 5\n int 0x80\n hlt");
CODE(user_hlt, 64, "hlt");
CODE(real_int, 16, "sti\n int 0x21\n hlt");
CODE(trap_flag, 64, "pushfq\n or qword ptr [rsp], 0x100\n popfq\n inc eax\n inc eax\n hlt");
CODE(shadow_ss, 32, "pushfd\n or dword ptr [esp], 0x100\n mov ecx, 0x10\n popfd\n mov ss, ecx\n inc eax\n inc eax\n hlt");
CODE(sti_hlt, 64, "sti\n hlt\n inc ebx\n hlt");
CODE(sti_cli, 64, "1: sti\n cli\n dec ecx\n jnz 1b\n hlt");
CODE(sti_nop, 64, "sti\n inc ebx\n inc ebx\n hlt");
CODE(exec_break, 64, "mov rax, r8\n mov dr0, rax\n mov eax, 1\n mov dr7, rax\n nop\n 1: inc ebx\n hlt");
CODE(data_break, 64, "mov eax, 0x200000\n mov dr0, rax\n mov eax, 0xd0001\n mov dr7, rax\n mov edx, [0x200000]\n mov [0x200000], ecx\n inc ebx\n hlt");
CODE(rep_fault, 64, "mov edi, 0x3ffff0\n mov ecx, 32\n mov al, 0x5a\n rep stosb\n hlt");
CODE(iret64, 64, "push 0x2b\n push 0x20000\n push 0x202\n push 0x33\n lea rax, [rip + 1f]\n push rax\n iretq\n 1: inc ebx\n int 0x80");
CODE(syscall64, 64, "syscall\n hlt");
CODE(alignment, 64, "mov eax, [0x200001]\n hlt");
CODE(flags_in_frame, 64, "stc\n int 0x80");

static void faults_push_their_own_address(void **state)
{
	(void)state;
	START64(undefined);
	assert_int_equal(run(), 6);
	assert_int_equal(frame64(0), CODE_AT + 1);
	assert_int_equal(frame64(1), FAKE_CS64);
	assert_int_equal(frame64(2) & 1 << 16, 1 << 16);        /* RF */
	assert_int_equal(frame64(3), STACK_AT);
	START64(divide);
	assert_int_equal(run(), 0);
	assert_int_equal(frame64(0), CODE_AT + 2);
}

static void traps_push_the_next_address(void **state)
{
	(void)state;
	START64(breakpoint);
	assert_int_equal(run(), 3);
	assert_int_equal(frame64(0), CODE_AT + 1);
	START64(soft_int);
	assert_int_equal(run(), 0x80);
	assert_int_equal(frame64(0), CODE_AT + 2);
	START64(flags_in_frame);
	assert_int_equal(run(), 0x80);
	assert_int_equal(frame64(2) & 0x10001, 1);
}

static void frame_is_aligned_and_ist_switches_the_stack(void **state)
{
	(void)state;
	START64(undefined);
	set_reg_value(4, 0x1fff9);
	assert_int_equal(run(), 6);
	assert_int_equal(regs().gpr[4], 0x1fff0 - 40);
	START64(undefined);
	m->ram[FAKE_IDT + 16 * 6 + 4] = 1;
	assert_int_equal(run(), 6);
	assert_int_equal(regs().gpr[4], STACK0_AT - 0x1000 - 40);
}

static void interrupt_from_ring_3_takes_the_stack_of_the_tss(void **state)
{
	(void)state;
	START32(user_int32);
	to_user(FAKE_UCS32);
	assert_int_equal(run(), 0x80);
	assert_int_equal(regs().gpr[4], STACK0_AT - 20);
	assert_int_equal(frame32(0), CODE_AT + 7);
	assert_int_equal(frame32(1), FAKE_UCS32 | 3);
	assert_int_equal(frame32(3), STACK_AT);
	assert_int_equal(frame32(4), FAKE_UDS | 3);
	assert_int_equal(regs().seg[2].selector, FAKE_DS32);
}

static void gate_privilege_is_checked_for_int_n_only(void **state)
{
	(void)state;
	START32(user_int32);
	fake_gate(m, 0x80, FAKE_CS32, HANDLERS_AT + 0x800, 14, 0);
	to_user(FAKE_UCS32);
	assert_int_equal(run(), 13);
	assert_int_equal(frame32(0), 0x80 * 8 + 2);
	assert_int_equal(frame32(1), CODE_AT + 5);
	START64(user_hlt);
	fake_gate(m, 13, FAKE_CS64, HANDLERS_AT + 16 * 13, 14, 0);
	to_user(FAKE_UCS64);
	assert_int_equal(run(), 13);
	assert_int_equal(frame64(0), 0);
}

static void absent_gate_and_absent_handler_escalate(void **state)
{
	(void)state;
	START64(soft_int);
	m->ram[FAKE_IDT + 16 * 0x80 + 5] &= 0x7f;
	assert_int_equal(run(), 11);
	assert_int_equal(frame64(0), 0x80 * 8 + 2);
	START64(divide);
	m->ram[FAKE_IDT + 5] &= 0x7f;           /* #DE cannot be delivered: #NP, which makes #DF of it */
	assert_int_equal(run(), 8);
	assert_int_equal(frame64(0), 0);
	assert_int_equal(frame64(1), CODE_AT + 2);
	START64(divide);
	m->ram[FAKE_IDT + 5] &= 0x7f;
	m->ram[FAKE_IDT + 16 * 8 + 5] &= 0x7f;
	assert_int_equal(cpu_run(m->cpu, 1000), CPU_EXIT_SHUTDOWN);
	assert_int_equal(cpu_run(m->cpu, 1000), CPU_EXIT_SHUTDOWN);
}

static void real_mode_uses_the_vector_table(void **state)
{
	(void)state;
	START16(real_int);
	assert_int_equal(run(), 0x21);
	assert_int_equal(regs().gpr[4] & 0xffff, 0xfff0 - 6);
	assert_int_equal(le16(m->ram + 0xfff0 - 6), 3);
	assert_int_equal(le16(m->ram + 0xfff0 - 4), CODE_AT >> 4);
	assert_int_equal(le16(m->ram + 0xfff0 - 2) & 0x200, 0x200);
	assert_int_equal(regs().rflags & 0x200, 0);
}

static void trap_flag_stops_after_the_next_instruction(void **state)
{
	(void)state;
	START64(trap_flag);
	set_reg_value(0, 0);
	assert_int_equal(run(), 1);
	assert_int_equal(regs().gpr[0], 1);
	assert_int_equal(frame64(2) & 0x100, 0x100);
	assert_int_equal(regs().rflags & 0x100, 0);
}

static void mov_ss_delays_the_trap(void **state)
{
	(void)state;
	START32(shadow_ss);
	set_reg_value(0, 0);
	assert_int_equal(run(), 1);
	assert_int_equal(regs().gpr[0], 1);
}

static void raise(int vector)
{
	m->vector = vector;
	cpus_intr(m->cpus, true);
}

static void sti_holds_interrupts_for_one_instruction(void **state)
{
	(void)state;
	START64(sti_nop);
	set_reg_value(3, 0);
	raise(0x40);
	assert_int_equal(run(), 0x40);
	assert_int_equal(regs().gpr[3], 1);
	START64(sti_cli);
	set_reg_value(1, 50);
	raise(0x40);
	assert_int_equal(run(), NO_VECTOR);     /* never a moment for it */
	assert_int_equal(regs().gpr[1], 0);
}

static void interrupt_wakes_from_hlt(void **state)
{
	(void)state;
	START64(sti_hlt);
	set_reg_value(3, 0);
	assert_int_equal(cpu_run(m->cpu, 1000), CPU_EXIT_HALT);
	assert_false(cpu_runnable(m->cpu));
	assert_int_equal(cpu_run(m->cpu, 1000), CPU_EXIT_HALT);
	raise(0x40);
	assert_true(cpu_runnable(m->cpu));
	assert_int_equal(run(), 0x40);
	assert_int_equal(frame64(0), CODE_AT + 2);
	START64(sti_hlt);
	set_reg_value(3, 0);
	raise(0x41);                            /* waiting already: HLT must not lose it */
	assert_int_equal(run(), 0x41);
	assert_int_equal(frame64(0), CODE_AT + 2);
	assert_int_equal(regs().gpr[3], 0);
}

static void instruction_breakpoint_is_a_fault(void **state)
{
	(void)state;
	START64(exec_break);
	{
		struct cpu_regs r = regs();

		r.gpr[8] = CODE_AT + (uint64_t)(exec_break_end - exec_break) - 3;
		r.gpr[3] = 0;
		cpu_set_regs(m->cpu, &r);
	}
	assert_int_equal(run(), 1);
	assert_int_equal(regs().gpr[3], 0);
	assert_int_equal(frame64(0), regs().gpr[8]);
	assert_int_equal(frame64(2) & 1 << 16, 1 << 16);
}

static void data_breakpoint_is_a_trap(void **state)
{
	(void)state;
	START64(data_break);
	set_reg_value(3, 0);
	assert_int_equal(run(), 1);
	assert_int_equal(regs().gpr[3], 0);
	assert_int_equal(frame64(0), CODE_AT + (uint64_t)(data_break_end - data_break) - 3);
}

static void string_instruction_faults_where_it_got_to(void **state)
{
	(void)state;
	START64(rep_fault);
	put_le64(m->ram + 0xa010, 0);
	assert_int_equal(run(), 14);
	assert_int_equal(regs().gpr[1], 16);
	assert_int_equal(regs().gpr[7], 0x400000);
	assert_int_equal(m->ram[0x3fffff], 0x5a);
	assert_int_equal(frame64(1), CODE_AT + 12);
}

static void iretq_goes_to_ring_3(void **state)
{
	(void)state;
	START64(iret64);
	set_reg_value(3, 0);
	assert_int_equal(run(), 0x80);
	assert_int_equal(regs().gpr[3], 1);
	assert_int_equal(frame64(1), FAKE_UCS64 | 3);
	assert_int_equal(frame64(4), FAKE_UDS | 3);
	assert_int_equal(frame64(3), 0x20000);
	assert_int_equal(frame64(2) & 0x200, 0x200);
}

static void alignment_check_at_ring_3(void **state)
{
	struct cpu_regs r;

	(void)state;
	START64(alignment);
	to_user(FAKE_UCS64);
	r = regs();
	r.cr0 |= 1 << 18;
	r.rflags |= 1 << 18;
	cpu_set_regs(m->cpu, &r);
	assert_int_equal(run(), 17);
	assert_int_equal(frame64(0), 0);
}

static void handlers_that_fault_for_ever_use_up_the_budget(void **state)
{
	(void)state;
	START16(undefined);
	put_le32(m->ram + 4 * 6, CODE_AT >> 4 << 16 | 1);       /* #UD's handler is the UD2 itself */
	assert_int_equal(cpu_run(m->cpu, 1000), CPU_EXIT_BUDGET);
	START64(undefined);
	fake_gate(m, 6, FAKE_CS64, 0x40000000, 14, 0);
	fake_gate(m, 14, FAKE_CS64, 0x40000000, 14, 0);
	m->ram[FAKE_IDT + 16 * 14 + 4] = 1;                     /* #PF for #PF, on one stack */
	assert_int_equal(cpu_run(m->cpu, 1000), CPU_EXIT_BUDGET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_AND_FREE(faults_push_their_own_address), TEST_AND_FREE(traps_push_the_next_address),
		TEST_AND_FREE(frame_is_aligned_and_ist_switches_the_stack), TEST_AND_FREE(interrupt_from_ring_3_takes_the_stack_of_the_tss),
		TEST_AND_FREE(gate_privilege_is_checked_for_int_n_only), TEST_AND_FREE(absent_gate_and_absent_handler_escalate),
		TEST_AND_FREE(real_mode_uses_the_vector_table), TEST_AND_FREE(trap_flag_stops_after_the_next_instruction), TEST_AND_FREE(mov_ss_delays_the_trap),
		TEST_AND_FREE(sti_holds_interrupts_for_one_instruction), TEST_AND_FREE(interrupt_wakes_from_hlt),
		TEST_AND_FREE(instruction_breakpoint_is_a_fault), TEST_AND_FREE(data_breakpoint_is_a_trap),
		TEST_AND_FREE(string_instruction_faults_where_it_got_to), TEST_AND_FREE(iretq_goes_to_ring_3),
		TEST_AND_FREE(handlers_that_fault_for_ever_use_up_the_budget), TEST_AND_FREE(alignment_check_at_ring_3),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
