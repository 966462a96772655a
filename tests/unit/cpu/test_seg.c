/* SPDX-License-Identifier: MIT */
#include "tests/unit/cpu/guest_bench.h"

enum { GATE = 0x58, INNER_DATA = 0x60, SMALL = 0x68, DOWN = 0x70, ABSENT = 0x78, TASK2 = 0x80, READ_ONLY = 0x88, TASK_GATE = 0x90 };

CODE(over_limit, 32, "mov eax, 0x68\n mov ds, ax\n mov ebx, [0xffd]\n hlt");
CODE(at_limit, 32, "mov eax, 0x68\n mov ds, ax\n mov ebx, [0xffc]\n hlt");
CODE(down, 32, "mov eax, 0x70\n mov ds, ax\n mov ebx, [0x1000]\n mov ebx, [0xfff]\n hlt");
CODE(stack_limit, 32, "mov eax, 0x68\n mov ss, ax\n mov esp, 2\n push eax\n hlt");
CODE(absent, 32, "mov eax, 0x78\n mov es, ax\n hlt");
CODE(absent_ss, 32, "mov eax, 0x78\n mov ss, ax\n hlt");
CODE(null_data, 32, "xor eax, eax\n mov ds, ax\n mov ebx, [0]\n hlt");
CODE(read_only, 32, "mov eax, 0x88\n mov ds, ax\n mov ebx, [0]\n mov [0], ebx\n hlt");
CODE(beyond_gdt, 32, "mov eax, 0x1000\n mov ds, ax\n hlt");
CODE(call_gate, 32, "push 0x11111111\n push 0x22222222\n .byte 0x9a\n .long 0\n .word 0x5b\n mov ebx, 77\n int 0x80");
CODE(gate_target, 32, "mov edx, [esp + 8]\n mov ecx, [esp + 12]\n mov esi, cs\n retf 8");
CODE(to_v86, 32, "iretd");
CODE(v86_code, 16, "mov ax, ds\n mov bx, cs\n int 0x21\n hlt");
CODE(task_jump, 32, "mov ebx, 1\n .byte 0xea\n .long 0\n .word 0x80\n inc ebx\n hlt");
CODE(task_two, 32, "inc ebx\n .byte 0xea\n .long 0\n .word 0x38\n hlt");
CODE(task_call, 32, "mov ebx, 1\n .byte 0x9a\n .long 0\n .word 0x80\n inc ebx\n hlt");
CODE(task_iret, 32, "inc ebx\n pushfd\n pop ecx\n iretd\n hlt");
CODE(bad_opcode, 32, "ud2");
CODE(io_user, 32, "in al, 0x60\n in al, 0x61\n hlt");
CODE(unreal, 16, "mov ebx, 0x200000\n mov eax, [ebx]\n hlt");
CODE(to_protected, 16, "lgdt cs:[1f - to_protected]\n mov eax, cr0\n or al, 1\n mov cr0, eax\n .byte 0x66, 0xea\n .long 0x10000 + 2f - to_protected\n"
     ".word 8\n 1: .word 0xff\n .long 0x1000\n .code32\n 2: mov eax, 0x10\n mov ds, ax\n mov es, ax\n mov ss, ax\n mov ebx, [0x200000]\n hlt");
CODE(to_long, 32, "mov eax, 0x20\n mov cr4, eax\n mov eax, 0x8000\n mov cr3, eax\n mov ecx, 0xc0000080\n rdmsr\n or eax, 0x100\n wrmsr\n"
     "mov eax, cr0\n or eax, 0x80000000\n mov cr0, eax\n .byte 0xea\n .long 0x10000 + 1f - to_long\n .word 0x18\n .code64\n"
     "1: mov rax, 0x123456789abcdef0\n mov [0x200000], rax\n hlt");
CODE(lar_lsl, 32, "mov ecx, 0x68\n lar eax, ecx\n lsl ebx, ecx\n setz dl\n verw cx\n setz dh\n hlt");
CODE(far_same, 32, "push cs\n call 1f\n hlt\n 1: retf");
CODE(to_outer, 32, "push 0x2b\n push 0x21000\n push 0x23\n push 0x10000 + 1f - to_outer\n retf\n 1: mov eax, cs\n int 0x80");

static void descriptors(void)
{
	fake_descriptor(m, SMALL, DATA_AT, 0xfff, 0x4093);
	fake_descriptor(m, DOWN, 0, 0xfff, 0x4097);
	fake_descriptor(m, ABSENT, 0, 0xfff, 0x4013);
	fake_descriptor(m, READ_ONLY, DATA_AT, 0xfff, 0x4091);
	fake_descriptor(m, TASK2, 0x4000, 0x67, 0x0089);
	put_le64(m->ram + FAKE_GDT + GATE, 0x3000 | (uint64_t)FAKE_CS32 << 16 | 0xec02ull << 32 | (uint64_t)(0x30000 + 0x1000) >> 16 << 48);
}

static void protected_fault(int vector, uint32_t code)
{
	assert_int_equal(run(), vector);
	assert_int_equal(frame32(0), code);
}

static void limits_and_types_of_segments_are_checked(void **state)
{
	(void)state;
	START32(over_limit);
	descriptors();
	protected_fault(13, 0);
	START32(at_limit);
	descriptors();
	put_le32(m->ram + DATA_AT + 0xffc, 42);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[3], 42);
	START32(down);
	descriptors();
	protected_fault(13, 0);
	assert_int_equal(frame32(1), CODE_AT + 13);
	START32(null_data);
	protected_fault(13, 0);
	START32(read_only);
	descriptors();
	protected_fault(13, 0);
	assert_int_equal(frame32(1), CODE_AT + 13);
	START32(beyond_gdt);
	protected_fault(13, 0x1000);
}

static void stack_faults_have_their_own_vector(void **state)
{
	(void)state;
	START32(stack_limit);
	descriptors();
	fake_gate(m, 12, TASK_GATE, 0, 5, 0);           /* its stack is no good: a task takes over */
	put_le64(m->ram + FAKE_IDT + 8 * 12, (uint64_t)TASK2 << 16 | 0x85ull << 40);
	put_le32(m->ram + 0x4000 + 0x20, HANDLERS_AT + 16 * 12);
	put_le32(m->ram + 0x4000 + 0x24, 2);
	put_le32(m->ram + 0x4000 + 0x38, STACK0_AT);
	put_le32(m->ram + 0x4000 + 0x4c, FAKE_CS32);
	put_le32(m->ram + 0x4000 + 0x50, FAKE_DS32);
	assert_int_equal(run(), 12);
	assert_int_equal(frame32(0), 0);
	assert_int_equal(regs().tr.selector, TASK2);
	assert_int_equal(le32(m->ram + FAKE_TSS_AT + 0x20), CODE_AT + 12);      /* EIP of the task that faulted */
	assert_int_equal(le16(m->ram + 0x4000), FAKE_TSS);
}

static void absent_segments_are_np_or_ss(void **state)
{
	(void)state;
	START32(absent);
	descriptors();
	protected_fault(11, ABSENT);
	START32(absent_ss);
	descriptors();
	protected_fault(12, ABSENT);
}

static void call_gate_switches_stack_and_copies_parameters(void **state)
{
	(void)state;
	START32(call_gate);
	descriptors();
	put_le64(m->ram + FAKE_GDT + GATE, 0x1000 | (uint64_t)FAKE_CS32 << 16 | 0xec02ull << 32 | 0x0004ull << 48);
	PUT_CODE(m, 0x41000, gate_target);
	to_user(FAKE_UCS32);
	assert_int_equal(run(), 0x80);
	assert_int_equal(regs().gpr[3], 77);
	assert_int_equal(regs().gpr[2], 0x22222222);
	assert_int_equal(regs().gpr[1], 0x11111111);
	assert_int_equal(regs().gpr[6], FAKE_CS32);
	assert_int_equal(frame32(3), STACK_AT);         /* RETF 8 dropped the parameters from both stacks */
	assert_int_equal(frame32(1), FAKE_UCS32 | 3);
}

static void iret_enters_v86_and_an_interrupt_leaves_it(void **state)
{
	(void)state;
	START32(to_v86);
	descriptors();
	PUT_CODE(m, 0x11010, v86_code);
	{
		struct cpu_regs r = regs();
		uint32_t frame[] = { 0x10, 0x1100, 0x23002, 0x800, 0x2000, 0x3000, 0x4000, 0, 0 };
		unsigned k;

		for (k = 0; k < 9; k++)
			put_le32(m->ram + STACK_AT - 36 + 4 * k, frame[k]);
		r.gpr[4] = STACK_AT - 36;
		r.rip = CODE_AT + (uint64_t)(to_v86_end - to_v86) - 1;
		cpu_set_regs(m->cpu, &r);
	}
	assert_int_equal(run(), 0x21);                  /* IOPL 3: INT n goes through the gate */
	assert_int_equal(regs().gpr[0] & 0xffff, 0x4000);
	assert_int_equal(regs().gpr[3] & 0xffff, 0x1100);
	assert_int_equal(frame32(1), 0x1100);
	assert_int_equal(frame32(2) & 0x20000, 0x20000);
	assert_int_equal(frame32(3), 0x800);
	assert_int_equal(frame32(4), 0x2000);
	assert_int_equal(frame32(5), 0x3000);
	assert_int_equal(frame32(6), 0x4000);
	assert_int_equal(regs().rflags & 0x20000, 0);
	assert_int_equal(regs().seg[3].selector, 0);
}

static void second_task(uint32_t eip)
{
	put_le32(m->ram + 0x4000 + 0x20, eip);
	put_le32(m->ram + 0x4000 + 0x24, 2);
	put_le32(m->ram + 0x4000 + 0x34, 40);           /* EBX */
	put_le32(m->ram + 0x4000 + 0x38, STACK0_AT);
	put_le32(m->ram + 0x4000 + 0x48, FAKE_DS32);
	put_le32(m->ram + 0x4000 + 0x4c, FAKE_CS32);
	put_le32(m->ram + 0x4000 + 0x50, FAKE_DS32);
	put_le32(m->ram + 0x4000 + 0x54, FAKE_DS32);
}

static void far_jump_to_a_tss_switches_tasks(void **state)
{
	(void)state;
	START32(task_jump);
	descriptors();
	PUT_CODE(m, 0x41000, task_two);
	second_task(0x41000);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[3], 2);             /* the first task's again, incremented once */
	assert_int_equal(le32(m->ram + 0x4000 + 0x34), 41);
	assert_int_equal(regs().tr.selector, FAKE_TSS);
	assert_int_equal(m->ram[FAKE_GDT + TASK2 + 5] & 0xf, 9);        /* no longer busy */
	assert_int_equal(regs().cr0 & 8, 8);
}

static void far_call_to_a_tss_links_back_and_iret_returns(void **state)
{
	(void)state;
	START32(task_call);
	descriptors();
	PUT_CODE(m, 0x41000, task_iret);
	second_task(0x41000);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[3], 2);
	assert_int_equal(le32(m->ram + 0x4000 + 0x2c) & 0x4000, 0x4000);        /* ECX: NT was set */
	assert_int_equal(le16(m->ram + 0x4000), FAKE_TSS);
	assert_int_equal(regs().rflags & 0x4000, 0);
}

static void io_bitmap_decides_at_ring_3(void **state)
{
	(void)state;
	START32(io_user);
	put_le16(m->ram + FAKE_TSS_AT + 0x66, 0x80);
	memset(m->ram + FAKE_TSS_AT + 0x80, 0xff, 0x100);
	m->ram[FAKE_TSS_AT + 0x80 + 0x60 / 8] = 0xfe;
	to_user(FAKE_UCS32);
	protected_fault(13, 0);
	assert_int_equal(frame32(1), CODE_AT + 2);
	assert_int_equal(m->accesses, 1);
}

static void segment_limits_outlive_protected_mode(void **state)
{
	struct cpu_regs r;

	(void)state;
	START16(unreal);
	assert_int_equal(run(), 13);
	START16(unreal);
	put_le32(m->ram + DATA_AT, 123);
	r = regs();
	r.seg[3].limit = 0xffffffff;
	cpu_set_regs(m->cpu, &r);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[0], 123);
}

static void real_mode_goes_to_protected_mode(void **state)
{
	(void)state;
	START32(bad_opcode);                            /* makes the GDT */
	START16(to_protected);
	put_le32(m->ram + DATA_AT, 321);
	assert_int_equal(cpu_run(m->cpu, 1000), CPU_EXIT_HALT);
	assert_int_equal(regs().gpr[3], 321);
	assert_int_equal(regs().seg[1].selector, FAKE_CS32);
}

static void protected_mode_goes_to_long_mode(void **state)
{
	(void)state;
	START64(bad_opcode);                            /* makes the page tables */
	START32(to_long);
	assert_int_equal(cpu_run(m->cpu, 1000), CPU_EXIT_HALT);
	assert_int_equal(le64(m->ram + DATA_AT), 0x123456789abcdef0);
	assert_int_equal(regs().efer & 0x500, 0x500);
}

static void lar_lsl_and_verw_look_at_descriptors(void **state)
{
	(void)state;
	START32(lar_lsl);
	descriptors();
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[0], 0x409300);
	assert_int_equal(regs().gpr[3], 0xfff);
	assert_int_equal(regs().gpr[2] & 0xffff, 0x101);
}

static void far_returns_stay_or_go_outward(void **state)
{
	(void)state;
	START32(far_same);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[4], STACK_AT);
	START32(to_outer);
	assert_int_equal(run(), 0x80);
	assert_int_equal(regs().gpr[0], FAKE_UCS32 | 3);
	assert_int_equal(frame32(3), 0x21000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_AND_FREE(limits_and_types_of_segments_are_checked), TEST_AND_FREE(stack_faults_have_their_own_vector),
		TEST_AND_FREE(absent_segments_are_np_or_ss), TEST_AND_FREE(call_gate_switches_stack_and_copies_parameters),
		TEST_AND_FREE(iret_enters_v86_and_an_interrupt_leaves_it), TEST_AND_FREE(far_jump_to_a_tss_switches_tasks),
		TEST_AND_FREE(far_call_to_a_tss_links_back_and_iret_returns), TEST_AND_FREE(io_bitmap_decides_at_ring_3),
		TEST_AND_FREE(segment_limits_outlive_protected_mode), TEST_AND_FREE(real_mode_goes_to_protected_mode),
		TEST_AND_FREE(protected_mode_goes_to_long_mode), TEST_AND_FREE(lar_lsl_and_verw_look_at_descriptors),
		TEST_AND_FREE(far_returns_stay_or_go_outward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
