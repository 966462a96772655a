/* SPDX-License-Identifier: MIT */
#include "tests/unit/cpu/guest_bench.h"

#define WRITE_MSR(msr, low, high) "mov ecx, " #msr "\n mov eax, " #low "\n mov edx, " #high "\n wrmsr\n"

CODE(syscall_sysret, 64, WRITE_MSR(0xc0000081, 0, 0x00200008) WRITE_MSR(0xc0000082, 0x40000, 0) WRITE_MSR(0xc0000084, 0x200, 0)
     "push 0x2b\n push 0x20000\n push 0x202\n push 0x33\n lea rax, [rip + 1f]\n push rax\n iretq\n 1: syscall\n inc ebx\n int 0x80");
CODE(kernel_entry, 64, "mov rsi, r11\n mov ebp, cs\n pushfq\n pop r9\n sysretq");
CODE(bad_cr4, 64, "mov rax, cr4\n bts rax, 31\n mov cr4, rax\n hlt");
CODE(bad_cr0, 64, "mov eax, 1\n bts rax, 63\n mov cr0, rax\n hlt");
CODE(paging_off, 64, "mov rax, cr0\n btr rax, 31\n mov cr0, rax\n hlt");
CODE(no_such_msr, 64, "mov ecx, 0x12345\n rdmsr\n hlt");
CODE(user_rdmsr, 64, "mov ecx, 0x10\n rdmsr\n hlt");
CODE(bad_efer, 64, "mov ecx, 0xc0000080\n rdmsr\n bts eax, 14\n wrmsr\n hlt");
CODE(lme_off, 64, "mov ecx, 0xc0000080\n rdmsr\n btr eax, 8\n wrmsr\n hlt");
CODE(noncanonical_base, 64, "mov ecx, 0xc0000100\n xor eax, eax\n mov edx, 0x8000\n wrmsr\n hlt");
CODE(swap_gs, 64, WRITE_MSR(0xc0000101, 0x1000, 0) WRITE_MSR(0xc0000102, 0x200000, 0) "swapgs\n mov ebx, gs:[8]\n"
     "mov ecx, 0xc0000102\n rdmsr\n hlt");
CODE(fs_base, 64, "mov rax, cr4\n bts rax, 16\n mov cr4, rax\n mov eax, 0x200000\n wrfsbase rax\n rdfsbase rbx\n mov ecx, fs:[rip + 1f]\n hlt\n 1:");
CODE(fs_base_off, 64, "rdfsbase rax\n hlt");
CODE(xcr0, 64, "mov rax, cr4\n bts rax, 18\n mov cr4, rax\n xor ecx, ecx\n xgetbv\n mov ebx, eax\n mov eax, 3\n xsetbv\n mov eax, 2\n xsetbv\n hlt");
CODE(user_rdtsc, 64, "rdtsc\n hlt");
CODE(hypercall, 64, "mov eax, 1234\n vmmcall\n hlt");
CODE(kvm_clock, 64, WRITE_MSR(0x4b564d01, 0x200001, 0) WRITE_MSR(0x4b564d00, 0x200080, 0) "hlt");
CODE(move_tsc, 64, WRITE_MSR(0x10, 5000, 0) "rdtsc\n mov ebx, eax\n mov ecx, 0x3b\n rdmsr\n hlt");
CODE(general_detect, 64, "mov eax, 0x2000\n mov dr7, rax\n mov rbx, dr0\n hlt");
CODE(bad_invpcid, 64, "sub rsp, 16\n mov eax, 4\n invpcid rax, [rsp]\n hlt");
CODE(umip, 64, "sgdt [0x200000]\n hlt");
CODE(lmsw_keeps_pe, 32, "xor eax, eax\n lmsw ax\n mov ebx, cr0\n hlt");
CODE(mwait, 64, "lea rax, [0x200000]\n xor ecx, ecx\n xor edx, edx\n monitor\n xor eax, eax\n mwait\n mov ebx, 7\n hlt");
CODE(monitor_extension, 64, "xor eax, eax\n mov ecx, 2\n xor edx, edx\n monitor\n hlt");
CODE(monitor_unmapped, 64, "mov eax, 0x40000000\n xor ecx, ecx\n monitor\n hlt");
CODE(mwait_extension, 64, "xor eax, eax\n xor edx, edx\n xor ecx, ecx\n monitor\n inc ecx\n mwait\n hlt");
/* Vector state is live before and after each of them. */
CODE(state_in_place, 64, "mov rax, cr4\n or eax, 0x40600\n mov cr4, rax\n xor ecx, ecx\n xor edx, edx\n mov eax, 3\n xsetbv\n fninit\n"
     "mov eax, 0x5555\n movd xmm0, eax\n fld1\n mov eax, 7\n xsave [0x200000]\n pcmpeqd xmm0, xmm0\n fninit\n fldz\n mov eax, 7\n"
     "xrstor [0x200000]\n movd r8d, xmm0\n fst dword ptr [0x201000]\n movd xmm1, r8d\n xor eax, eax\n cpuid\n movd esi, xmm1\n"
     "fxsave [0x202000]\n psubd xmm1, xmm1\n fxrstor [0x202000]\n movd edi, xmm1\n mov rax, cr0\n bts rax, 3\n mov cr0, rax\n"
     "movd ebp, xmm1\n hlt");
CODE(cr8, 64, "mov eax, 5\n mov cr8, rax\n mov rbx, cr8\n mov eax, 16\n mov cr8, rax\n hlt");
CODE(user_cli, 64, "cli\n hlt");
CODE(real_lldt, 16, "xor ax, ax\n .byte 0x0f, 0x00, 0xd0\n hlt");

static void syscall_and_sysret_change_rings(void **state)
{
	(void)state;
	START64(syscall_sysret);
	PUT_CODE(m, 0x40000, kernel_entry);
	set_reg_value(3, 0);
	assert_int_equal(run(), 0x80);
	assert_int_equal(regs().gpr[3], 1);
	assert_int_equal(regs().gpr[5], 8);
	assert_int_equal(regs().gpr[6] & 0x202, 0x202);
	assert_int_equal(regs().gpr[9] & 0x200, 0);             /* FMASK */
	assert_int_equal(frame64(1), 0x33);
	assert_int_equal(frame64(4), 0x2b);
	assert_int_equal(frame64(2) & 0x200, 0x200);
}

static void gp(const uint8_t *code, const uint8_t *end, uint64_t at)
{
	start64(code, end);
	assert_int_equal(run(), 13);
	assert_int_equal(frame64(0), 0);
	assert_int_equal(frame64(1), CODE_AT + at);
}

static void reserved_bits_of_control_registers_are_refused(void **state)
{
	(void)state;
	gp(bad_cr4, bad_cr4_end, 8);
	gp(bad_cr0, bad_cr0_end, 10);
	gp(paging_off, paging_off_end, 8);
	gp(bad_efer, bad_efer_end, 11);
	gp(lme_off, lme_off_end, 11);
}

static void unknown_msrs_and_wrong_values_are_refused(void **state)
{
	(void)state;
	gp(no_such_msr, no_such_msr_end, 5);
	gp(noncanonical_base, noncanonical_base_end, 12);
	START64(user_rdmsr);
	to_user(FAKE_UCS64);
	assert_int_equal(run(), 13);
}

static void swapgs_exchanges_the_bases(void **state)
{
	(void)state;
	START64(swap_gs);
	put_le32(m->ram + DATA_AT + 8, 31);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().seg[5].base, 0x200000);
	assert_int_equal(regs().gpr[0], 0x1000);
}

static void bases_can_be_written_if_cr4_says_so(void **state)
{
	(void)state;
	START64(fs_base_off);
	assert_int_equal(run(), 6);
	START64(fs_base);
	put_le32(m->ram + DATA_AT + CODE_AT + (fs_base_end - fs_base), 77);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[3], 0x200000);
	assert_int_equal(regs().gpr[1], 77);
}

static void xcr0_needs_x87(void **state)
{
	(void)state;
	START64(xcr0);
	assert_int_equal(run(), 13);
	assert_int_equal(regs().gpr[3], 1);
	assert_int_equal(regs().gpr[0], 2);
}

static void tsd_keeps_rdtsc_from_users(void **state)
{
	struct cpu_regs r;

	(void)state;
	START64(user_rdtsc);
	r = regs();
	r.cr4 |= 4;
	cpu_set_regs(m->cpu, &r);
	to_user(FAKE_UCS64);
	assert_int_equal(run(), 13);
}

static void unknown_hypercalls_say_so(void **state)
{
	(void)state;
	START64(hypercall);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[0], (uint64_t)-1000);
}

static void kvm_clock_page_tells_the_time(void **state)
{
	uint64_t tsc, ns;
	int shift;

	(void)state;
	START64(kvm_clock);
	m->now = 123456789;
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(le32(m->ram + DATA_AT) & 1, 0);
	assert_int_equal(le64(m->ram + DATA_AT + 16), 123456789);
	assert_int_equal(m->ram[DATA_AT + 29] & 1, 1);          /* stable */
	/* A second later, as the guest computes it. */
	tsc = 1123456789 - le64(m->ram + DATA_AT + 8);          /* the fake's TSC runs at 1 GHz */
	shift = (int8_t)m->ram[DATA_AT + 28];
	tsc = shift < 0 ? tsc >> -shift : tsc << shift;
	ns = (uint64_t)((unsigned __int128)tsc * le32(m->ram + DATA_AT + 24) >> 32);
	assert_in_range(ns, 999999998, 1000000002);
	assert_int_equal(le32(m->ram + DATA_AT + 0x80), 2);
}

static void writes_of_the_tsc_show_in_tsc_adjust(void **state)
{
	(void)state;
	START64(move_tsc);
	m->now = 1000;
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[3], 5000);
	assert_int_equal(regs().gpr[0], 4000);
}

static void general_detect_guards_debug_registers(void **state)
{
	(void)state;
	START64(general_detect);
	assert_int_equal(run(), 1);
	assert_int_equal(frame64(0), CODE_AT + 8);
}

static void privileges_are_checked(void **state)
{
	struct cpu_regs r;

	(void)state;
	gp(bad_invpcid, bad_invpcid_end, 9);
	START64(umip);
	to_user(FAKE_UCS64);
	r = regs();
	r.cr4 |= 1 << 11;
	cpu_set_regs(m->cpu, &r);
	assert_int_equal(run(), 13);
	START64(umip);
	to_user(FAKE_UCS64);
	assert_int_equal(run(), 13);                            /* the HLT behind it */
	assert_int_equal(le16(m->ram + DATA_AT), 0xff);
	START64(user_cli);
	to_user(FAKE_UCS64);
	assert_int_equal(run(), 13);
	assert_int_equal(frame64(1), CODE_AT);
	START16(real_lldt);
	assert_int_equal(run(), 6);
}

static void lmsw_cannot_leave_protected_mode(void **state)
{
	(void)state;
	START32(lmsw_keeps_pe);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[3] & 1, 1);
}

static void cr8_is_the_task_priority(void **state)
{
	(void)state;
	START64(cr8);
	assert_int_equal(run(), 13);
	assert_int_equal(regs().gpr[3], 5);
	assert_int_equal(regs().cr8, 5);
}

/* A wake-up without a reason is allowed (SDM volume 2, MWAIT), so it may return at once; it must not hang, nor be there for users. */
static void mwait_returns_and_is_the_kernels(void **state)
{
	(void)state;
	START64(mwait);
	assert_int_equal(run(), 6);                     /* no model has it by default */
	fake_machine_free(m);
	m = fake_machine_new(1, "max,+monitor");
	START64(mwait);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[3], 7);
	START64(mwait);
	to_user(FAKE_UCS64);
	assert_int_equal(run(), 6);
}

static void vector_state_is_where_its_instructions_look_for_it(void **state)
{
	(void)state;
	START64(state_in_place);
	set_reg_value(5, 0);
	assert_int_equal(run(), 7);             /* CR0.TS */
	assert_int_equal(regs().gpr[8], 0x5555);
	assert_int_equal(regs().gpr[6], 0x5555);
	assert_int_equal(regs().gpr[7], 0x5555);
	assert_int_equal(regs().gpr[5], 0);
	assert_int_equal(le32(m->ram + 0x201000), 0x3f800000);
	assert_int_equal(le32(m->ram + 0x2000a0), 0x5555);
}

static void monitor_and_mwait_know_no_extensions(void **state)
{
	(void)state;
	fake_machine_free(m);
	m = fake_machine_new(1, "max,+monitor");
	gp(monitor_extension, monitor_extension_end, 9);
	gp(mwait_extension, mwait_extension_end, 11);
	START64(monitor_unmapped);
	assert_int_equal(run(), 14);
	assert_int_equal(frame64(0), 0);
	assert_int_equal(regs().cr2, 0x40000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_AND_FREE(syscall_and_sysret_change_rings), TEST_AND_FREE(reserved_bits_of_control_registers_are_refused),
		TEST_AND_FREE(unknown_msrs_and_wrong_values_are_refused), TEST_AND_FREE(swapgs_exchanges_the_bases),
		TEST_AND_FREE(bases_can_be_written_if_cr4_says_so), TEST_AND_FREE(xcr0_needs_x87), TEST_AND_FREE(tsd_keeps_rdtsc_from_users),
		TEST_AND_FREE(unknown_hypercalls_say_so), TEST_AND_FREE(kvm_clock_page_tells_the_time), TEST_AND_FREE(writes_of_the_tsc_show_in_tsc_adjust),
		TEST_AND_FREE(general_detect_guards_debug_registers), TEST_AND_FREE(privileges_are_checked), TEST_AND_FREE(lmsw_cannot_leave_protected_mode),
		TEST_AND_FREE(cr8_is_the_task_priority), TEST_AND_FREE(mwait_returns_and_is_the_kernels),
		TEST_AND_FREE(monitor_and_mwait_know_no_extensions),
		TEST_AND_FREE(vector_state_is_where_its_instructions_look_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
