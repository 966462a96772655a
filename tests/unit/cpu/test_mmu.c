/* SPDX-License-Identifier: MIT */
#include "tests/unit/cpu/guest_bench.h"

CODE(load, 64, "mov eax, [0x400000]\n hlt");
CODE(store, 64, "mov dword ptr [0x400000], 0x12345678\n hlt");
CODE(clflush, 64, "clflush [0x400000]\n hlt");
CODE(clflushopt, 64, "clflushopt [0x400000]\n hlt");
CODE(clwb, 64, "clwb [0x400000]\n hlt");
CODE(jump, 64, "mov eax, 0x400000\n jmp rax");
CODE(cross, 64, "mov rax, 0x1122334455667788\n mov edi, 0x3ffffc\n mov [rdi], rax\n hlt");
CODE(wp_off, 64, "mov rax, cr0\n and eax, 0xfffeffff\n mov cr0, rax\n mov dword ptr [0x400000], 1\n hlt");
CODE(with_ac, 64, "stac\n mov eax, [0x400000]\n clac\n mov ebx, [0x400000]\n hlt");
CODE(global_page, 64, "mov eax, [0x400000]\n mov qword ptr [0xa010], 0\n mov rcx, cr3\n mov cr3, rcx\n mov ebx, [0x400000]\n"
     "invlpg [0x400000]\n mov edx, [0x400000]\n hlt");
CODE(stale, 64, "mov eax, [0x400000]\n mov qword ptr [0xa010], 0\n mov ebx, [0x400000]\n mov rcx, cr3\n mov cr3, rcx\n"
     "mov edx, [0x400000]\n hlt");
CODE(load32, 32, "mov eax, [0x400000]\n mov dword ptr [0x400004], 7\n hlt");
CODE(noncanonical, 64, "mov rax, 0x800000000000\n mov rbx, [rax]\n hlt");
/* The bits that a walk looks at name a page that is there. */
CODE(noncanonical_alias, 64, "mov rax, 0x8000000000200000\n mov rbx, [rax]\n hlt");
CODE(noncanonical_store, 64, "mov rax, 0x0001000000200000\n mov [rax], rbx\n hlt");
CODE(noncanonical_stack, 64, "mov rsp, 0x800000001000\n push rax\n hlt");
CODE(noncanonical_jump, 64, "mov rax, 0x800000000000\n jmp rax\n hlt");

/*
 * The page at 0x400000 is looked at with PCID 0, its entry is changed with PCID 1, and with PCID 0 again it is looked at once
 * more: what is kept shows the old page.  INVPCID by R8 and [R9] comes last, or with PCID 1.
 */
CODE(there_and_back, 64, "mov eax, [0x400000]\n mov rcx, cr3\n lea rdx, [rcx + 1]\n mov cr3, rdx\n mov qword ptr [0xa010], 0x600087\n"
     "mov ebx, [0x400000]\n bts rcx, 63\n mov cr3, rcx\n mov esi, [0x400000]\n invpcid r8, [r9]\n mov edi, [0x400000]\n hlt");
CODE(from_outside, 64, "mov eax, [0x400000]\n mov rcx, cr3\n lea rdx, [rcx + 1]\n mov cr3, rdx\n mov qword ptr [0xa010], 0x600087\n"
     "invpcid r8, [r9]\n bts rcx, 63\n mov cr3, rcx\n mov esi, [0x400000]\n hlt");
CODE(back_with_flush, 64, "mov eax, [0x400000]\n mov rcx, cr3\n lea rdx, [rcx + 1]\n mov cr3, rdx\n mov qword ptr [0xa010], 0x600087\n"
     "mov cr3, rcx\n mov esi, [0x400000]\n hlt");
CODE(invlpg_elsewhere, 64, "mov eax, [0x400000]\n mov rcx, cr3\n lea rdx, [rcx + 1]\n mov cr3, rdx\n mov qword ptr [0xa010], 0x600087\n"
     "mov ebx, [0x400000]\n mov qword ptr [0xa010], 0x800087\n invlpg [0x400000]\n mov edi, [0x400000]\n bts rcx, 63\n mov cr3, rcx\n"
     "mov esi, [0x400000]\n hlt");
/* R8: the bits of CR4 that change, and change back. */
CODE(toggled, 64, "mov eax, [0x400000]\n mov rcx, cr3\n lea rdx, [rcx + 1]\n mov cr3, rdx\n mov qword ptr [0xa010], 0x600087\n"
     "bts rcx, 63\n mov cr3, rcx\n mov rbx, cr4\n xor rbx, r8\n mov cr4, rbx\n xor rbx, r8\n mov cr4, rbx\n mov esi, [0x400000]\n hlt");
CODE(noflush_without_pcide, 64, "mov rcx, cr3\n bts rcx, 63\n mov cr3, rcx\n hlt");
CODE(returns, 64, "mov eax, 1\n ret");
CODE(written_and_run, 64, "mov ebp, 0x400000\n mov byte ptr [0x400010], 7\n mov rcx, cr3\n lea rdx, [rcx + 1]\n mov cr3, rdx\n call rbp\n"
     "mov esi, eax\n bts rcx, 63\n mov cr3, rcx\n mov dword ptr [0x400001], 2\n call rbp\n hlt");
/* PCIDs 0 to 11, the odd ones with tables of their own: each must see its own data and code, which are 1 and 2. */
CODE(many_spaces, 64, "mov ebp, 0x400000\n xor ebx, ebx\n mov edi, 600\n 1: mov eax, edi\n xor edx, edx\n mov ecx, 12\n div ecx\n"
     "mov r8d, edx\n and r8d, 1\n mov ecx, r8d\n shl ecx, 12\n lea rcx, [rcx * 4 + rdx + 0x8000]\n bts rcx, 63\n mov cr3, rcx\n"
     "call rbp\n inc r8d\n cmp eax, r8d\n jne 2f\n cmp [0x600000], eax\n jne 2f\n mov [0x600008], eax\n dec edi\n jnz 1b\n inc ebx\n 2: hlt");

/* The 2 MB page at 0x400000 of the identity map. */
static void set_page(uint64_t entry)
{
	put_le64(m->ram + 0xa000 + 8 * 2, entry);
}

static void set_cr4(uint64_t set)
{
	struct cpu_regs r = regs();

	r.cr4 |= set;
	cpu_set_regs(m->cpu, &r);
}

static void set_cr0(uint64_t set)
{
	struct cpu_regs r = regs();

	r.cr0 |= set;
	cpu_set_regs(m->cpu, &r);
}

static void fault_is(uint32_t code)
{
	assert_int_equal(run(), 14);
	assert_int_equal(frame64(0), code);
	assert_int_equal(regs().cr2, 0x400000);
}

static void absent_page_faults_with_the_access_in_the_code(void **state)
{
	(void)state;
	START64(load);
	set_page(0);
	fault_is(0);
	assert_int_equal(frame64(1), CODE_AT);
	START64(store);
	set_page(0);
	fault_is(2);
	START64(load);
	set_page(0);
	to_user(FAKE_UCS64);
	fault_is(4);
	START64(store);
	set_page(0);
	to_user(FAKE_UCS64);
	fault_is(6);
	START64(jump);
	set_page(0);
	fault_is(0x10);
	assert_int_equal(frame64(1), 0x400000);
}

static void a_line_to_flush_must_be_mapped(void **state)
{
	(void)state;
	START64(clflush);
	set_page(0);
	fault_is(0);
	START64(clflushopt);
	set_page(0);
	fault_is(0);
	START64(clwb);
	set_page(0);
	fault_is(0);
	START64(clflushopt);
	set_page(0x400083);
	to_user(FAKE_UCS64);
	fault_is(5);
	START64(clflushopt);
	set_page(0x400081);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(le64(m->ram + 0xa010) & 0x60, 0x20);
}

static void protection_faults_have_bit_0(void **state)
{
	(void)state;
	START64(load);
	set_page(0x400083);
	to_user(FAKE_UCS64);
	fault_is(5);
	START64(store);
	set_page(0x400085);
	to_user(FAKE_UCS64);
	fault_is(7);
	START64(store);
	set_page(0x400085);
	set_cr0(1 << 16);
	fault_is(3);
	START64(jump);
	set_page(0x400087 | 1ull << 63);
	fault_is(0x11);
}

static void write_protect_off_lets_the_supervisor_store(void **state)
{
	(void)state;
	START64(wp_off);
	set_cr0(1 << 16);
	set_page(0x400085);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(le32(m->ram + 0x400000), 1);
}

static void reserved_bits_fault(void **state)
{
	(void)state;
	START64(load);
	set_page(0x402087);             /* bit 13 of a 2 MB page */
	fault_is(9);
	START64(load);
	set_page(0x400087 | 1ull << 51);
	fault_is(9);
}

static void smep_and_smap_keep_the_supervisor_off_user_pages(void **state)
{
	(void)state;
	START64(jump);
	put_le64(m->ram + 0x8000, 0x9007);
	set_page(0x400087);
	put_le64(m->ram + 0xa000, 0x83);        /* code and tables are the supervisor's */
	set_cr4(1 << 20);
	fault_is(0x11);
	START64(load);
	put_le64(m->ram + 0xa000, 0x83);
	set_page(0x400087);
	set_cr4(1 << 21);
	fault_is(1);
	START64(with_ac);
	put_le64(m->ram + 0xa000, 0x83);
	set_page(0x400087);
	put_le32(m->ram + 0x400000, 77);
	set_cr4(1 << 21);
	fault_is(1);
	assert_int_equal(regs().gpr[0], 77);
	assert_int_equal(regs().gpr[3], 0);
}

static void accessed_and_dirty_are_set(void **state)
{
	(void)state;
	START64(load);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(le64(m->ram + 0xa010) & 0x60, 0x20);
	assert_int_equal(le64(m->ram + 0x9000) & 0x20, 0x20);
	assert_int_equal(le64(m->ram + 0x8000) & 0x20, 0x20);
	START64(store);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(le64(m->ram + 0xa010) & 0x60, 0x60);
}

static void store_across_a_missing_page_writes_nothing(void **state)
{
	(void)state;
	START64(cross);
	set_page(0);
	memset(m->ram + 0x3ffff0, 0xaa, 16);
	fault_is(2);
	assert_int_equal(le32(m->ram + 0x3ffffc), 0xaaaaaaaa);
	START64(cross);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(le64(m->ram + 0x3ffffc), 0x1122334455667788);
}

static void global_pages_survive_cr3_but_not_invlpg(void **state)
{
	(void)state;
	START64(global_page);
	set_page(0x400187);
	put_le32(m->ram + 0x400000, 5);
	set_cr4(1 << 7);
	fault_is(0);
	assert_int_equal(regs().gpr[0], 5);
	assert_int_equal(regs().gpr[3], 5);
}

static void a_load_of_cr3_forgets_other_pages(void **state)
{
	(void)state;
	START64(stale);
	put_le32(m->ram + 0x400000, 5);
	fault_is(0);
	assert_int_equal(regs().gpr[0], 5);
}

/* Pages of 0x400000 that hold 5 (mapped at first), 6 and 8; PCIDs on. */
static void start_pcid(const uint8_t *code, const uint8_t *end, unsigned type, unsigned pcid, uint64_t linear)
{
	start64(code, end);
	put_le32(m->ram + 0x400000, 5);
	put_le32(m->ram + 0x600000, 6);
	put_le32(m->ram + 0x800000, 8);
	put_le64(m->ram + 0x40000, pcid);
	put_le64(m->ram + 0x40008, linear);
	set_reg_value(8, type);
	set_reg_value(9, 0x40000);
	set_cr4(1 << 17 | 1 << 7);
}
#define START_PCID(code, type, pcid, linear) start_pcid(code, code##_end, type, pcid, linear)

static void what_a_pcid_had_is_kept_while_others_run(void **state)
{
	(void)state;
	START_PCID(there_and_back, 1, 0, 0);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[0], 5);
	assert_int_equal(regs().gpr[3], 6);
	assert_int_equal(regs().gpr[6], 5);
	assert_int_equal(regs().gpr[7], 6);
	START_PCID(back_with_flush, 0, 0, 0);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[6], 6);
	START_PCID(invlpg_elsewhere, 0, 0, 0);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[3], 6);
	assert_int_equal(regs().gpr[7], 8);
	assert_int_equal(regs().gpr[6], 5);
}

/* What PCID 0 sees after INVPCID: 5 if it is as before. */
static uint64_t invpcid_leaves(unsigned type, unsigned pcid, uint64_t linear, bool outside, bool global)
{
	if (outside)
		START_PCID(from_outside, type, pcid, linear);
	else
		START_PCID(there_and_back, type, pcid, linear);
	if (global)
		set_page(0x400187);
	assert_int_equal(run(), NO_VECTOR);
	return regs().gpr[outside ? 6 : 7];
}

static void invpcid_forgets_what_its_type_says(void **state)
{
	unsigned outside;

	(void)state;
	for (outside = 0; outside < 2; outside++) {
		assert_int_equal(invpcid_leaves(0, 0, 0x400000, outside, false), 6);
		assert_int_equal(invpcid_leaves(0, 0, 1 << 30, outside, false), 5);
		assert_int_equal(invpcid_leaves(0, 2, 0x400000, outside, false), 5);
		assert_int_equal(invpcid_leaves(1, 0, 0, outside, false), 6);
		assert_int_equal(invpcid_leaves(1, 3, 0, outside, false), 5);
		assert_int_equal(invpcid_leaves(2, 0, 0, outside, false), 6);
		assert_int_equal(invpcid_leaves(3, 0, 0, outside, false), 6);
		assert_int_equal(invpcid_leaves(1, 0, 0, outside, true), 5);
		assert_int_equal(invpcid_leaves(3, 0, 0, outside, true), 5);
		assert_int_equal(invpcid_leaves(2, 0, 0, outside, true), 6);
	}
}

static void invpcid_refuses_what_is_reserved(void **state)
{
	(void)state;
	START_PCID(there_and_back, 4, 0, 0);
	assert_int_equal(run(), 13);
	START_PCID(there_and_back, 1, 0x1000, 0);
	assert_int_equal(run(), 13);
	START_PCID(there_and_back, 0, 0, 1ull << 50);
	assert_int_equal(run(), 13);
}

static void changes_of_pge_and_pcide_forget_all(void **state)
{
	(void)state;
	START_PCID(toggled, 0, 0, 0);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[6], 5);
	START_PCID(toggled, 1 << 7, 0, 0);
	set_page(0x400187);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[6], 6);
	START_PCID(toggled, 1 << 17, 0, 0);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[6], 6);
	START64(noflush_without_pcide);
	assert_int_equal(run(), 13);
}

static void a_page_that_was_run_meanwhile_is_still_watched(void **state)
{
	(void)state;
	START_PCID(written_and_run, 0, 0, 0);
	PUT_CODE(m, 0x400000, returns);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[6], 1);
	assert_int_equal(regs().gpr[0], 2);
}

static void more_spaces_than_are_kept_see_their_own_pages(void **state)
{
	(void)state;
	START_PCID(many_spaces, 0, 0, 0);
	memcpy(m->ram + 0xc000, m->ram + 0x8000, 0x3000);
	put_le64(m->ram + 0xc000, 0xd007);
	put_le64(m->ram + 0xd000, 0xe007);
	put_le64(m->ram + 0xe000 + 8 * 2, 0x800087);
	put_le64(m->ram + 0xe000 + 8 * 3, 0xa00087);
	PUT_CODE(m, 0x400000, returns);
	PUT_CODE(m, 0x800000, returns);
	m->ram[0x800001] = 2;
	put_le32(m->ram + 0x600000, 1);
	put_le32(m->ram + 0xa00000, 2);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[3], 1);
	assert_int_equal(le32(m->ram + 0x600008), 1);
	assert_int_equal(le32(m->ram + 0xa00008), 2);
}

static void noncanonical_addresses_are_refused(void **state)
{
	(void)state;
	START64(noncanonical_alias);
	assert_int_equal(run(), 13);
	START64(noncanonical_store);
	assert_int_equal(run(), 13);
	START64(noncanonical);
	assert_int_equal(run(), 13);
	assert_int_equal(frame64(0), 0);
	START64(noncanonical_stack);
	assert_int_equal(cpu_run(m->cpu, 1000), CPU_EXIT_SHUTDOWN);     /* no stack for #SS, nor for #DF */
	START64(noncanonical_stack);
	m->ram[FAKE_IDT + 16 * 12 + 4] = 1;     /* IST 1 */
	assert_int_equal(run(), 12);
	assert_int_equal(frame64(0), 0);
}

static void jump_to_a_noncanonical_address_faults_at_the_jump(void **state)
{
	(void)state;
	START64(noncanonical_jump);
	assert_int_equal(run(), 13);
	assert_int_equal(frame64(1), CODE_AT + 10);
}

static void start_paging32(uint32_t cr4)
{
	struct cpu_regs r;

	START32(load32);
	r = regs();
	r.cr3 = 0x8000;
	r.cr0 |= 0x80000000;
	r.cr4 |= cr4;
	cpu_set_regs(m->cpu, &r);
}

static void two_levels_and_4mb_pages(void **state)
{
	unsigned k;

	(void)state;
	memset(m->ram + 0x8000, 0, 0x3000);
	put_le32(m->ram + 0x8000, 0x9007);
	put_le32(m->ram + 0x8004, 0xa007);
	for (k = 0; k < 1024; k++)
		put_le32(m->ram + 0x9000 + 4 * k, k << 12 | 7);
	put_le32(m->ram + 0xa000, 0x800007);
	start_paging32(0);
	put_le32(m->ram + 0x800000, 99);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[0], 99);
	assert_int_equal(le32(m->ram + 0x800004), 7);
	assert_int_equal(le32(m->ram + 0xa000) & 0x60, 0x60);
	put_le32(m->ram + 0x8004, 0xc00087);
	start_paging32(1 << 4);
	put_le32(m->ram + 0xc00000, 98);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[0], 98);
	assert_int_equal(le32(m->ram + 0xc00004), 7);
}

static void pae_has_three_levels_and_refuses_high_bits(void **state)
{
	unsigned k;

	(void)state;
	memset(m->ram + 0x8000, 0, 0x3000);
	put_le64(m->ram + 0x8000, 0x9001);
	for (k = 0; k < 8; k++)
		put_le64(m->ram + 0x9000 + 8 * k, (uint64_t)k << 21 | 0x87);
	put_le64(m->ram + 0x9000 + 16, 0x800087);
	start_paging32(1 << 5);
	put_le32(m->ram + 0x800000, 97);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[0], 97);
	put_le64(m->ram + 0x9000 + 16, 0x800087 | 1ull << 60);
	start_paging32(1 << 5);
	assert_int_equal(run(), 14);
	assert_int_equal(frame32(0), 9);
}

static void devices_are_read_and_written_at_their_width(void **state)
{
	struct cpu_regs r;

	(void)state;
	START64(load);
	put_le64(m->ram + 0xa010, FAKE_MMIO | 0x87);
	m->mmio_value = 0x55667788;
	assert_int_equal(run(), NO_VECTOR);
	r = regs();
	assert_int_equal(r.gpr[0], 0x55667788);
	assert_int_equal(m->accesses, 1);
	assert_int_equal(m->log[0].size, 4);
	assert_int_equal(m->log[0].at, FAKE_MMIO);
}

static void a20_masks_bit_20(void **state)
{
	(void)state;
	START64(load);
	put_le64(m->ram + 0xa010, 0x600087);
	put_le32(m->ram + 0x600000, 1);
	cpus_a20(m->cpus, false);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[0], 1);
	START32(load32);
	cpus_a20(m->cpus, false);
	put_le32(m->ram + 0x400000, 3);
	assert_int_equal(run(), NO_VECTOR);
	assert_int_equal(regs().gpr[0], 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_AND_FREE(absent_page_faults_with_the_access_in_the_code), TEST_AND_FREE(a_line_to_flush_must_be_mapped),
		TEST_AND_FREE(protection_faults_have_bit_0),
		TEST_AND_FREE(write_protect_off_lets_the_supervisor_store), TEST_AND_FREE(reserved_bits_fault),
		TEST_AND_FREE(smep_and_smap_keep_the_supervisor_off_user_pages), TEST_AND_FREE(accessed_and_dirty_are_set),
		TEST_AND_FREE(store_across_a_missing_page_writes_nothing), TEST_AND_FREE(global_pages_survive_cr3_but_not_invlpg),
		TEST_AND_FREE(a_load_of_cr3_forgets_other_pages), TEST_AND_FREE(what_a_pcid_had_is_kept_while_others_run),
		TEST_AND_FREE(invpcid_forgets_what_its_type_says), TEST_AND_FREE(invpcid_refuses_what_is_reserved),
		TEST_AND_FREE(changes_of_pge_and_pcide_forget_all), TEST_AND_FREE(a_page_that_was_run_meanwhile_is_still_watched),
		TEST_AND_FREE(more_spaces_than_are_kept_see_their_own_pages), TEST_AND_FREE(noncanonical_addresses_are_refused),
		TEST_AND_FREE(jump_to_a_noncanonical_address_faults_at_the_jump), TEST_AND_FREE(two_levels_and_4mb_pages),
		TEST_AND_FREE(pae_has_three_levels_and_refuses_high_bits), TEST_AND_FREE(devices_are_read_and_written_at_their_width),
		TEST_AND_FREE(a20_masks_bit_20),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
