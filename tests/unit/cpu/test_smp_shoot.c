/* SPDX-License-Identifier: MIT */
/*
 * One processor changes page tables or code and interrupts the others, which go on reading, writing and running what it is
 * about.  Once they have acknowledged, nothing of the old may be seen or done (SDM volume 3, 4.10.5 and 8.1.3).
 */
#include "tests/unit/cpu/guest_bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
	PAGE_A = 0x600000, PAGE_B = 0x800000,   /* one of them is mapped at 0x400000 */
	TABLE_AT = 0x48000, IPI = 0x40, IPI_AT = 0x38000, READER_AT = 0x50000, FUNCTION_AT = 0x60003,
};

/* x2APIC mode, enabled. */
#define APIC_ON "mov ecx, 0x1b\n rdmsr\n or eax, 0xc00\n wrmsr\n mov ecx, 0x80f\n mov eax, 0x1ff\n xor edx, edx\n wrmsr\n"
#define IPI_TO_OTHERS "mov dword ptr [0x200014], 0\n mov ecx, 0x830\n mov eax, 0xc0040\n xor edx, edx\n wrmsr\n" \
	"3: pause\n cmp [0x200014], r12d\n jne 3b\n"
#define WAIT_FOR_OTHERS "1: pause\n cmp [0x200010], r12d\n jne 1b\n"

/*
 * R12: how many others; R13: rounds; R9: where the entry is, R10: its other value, R11: its value now.  What was mapped is spoilt
 * by its own address when all have acknowledged: its first word, what its code returns; and the words that others
 * write must not change any more.
 */
CODE(changer, 64, APIC_ON WAIT_FOR_OTHERS "xor ebp, ebp\n mov esi, 0x600000\n mov edi, 0x800000\n"
     "2: mov dword ptr [rdi], 1\n mov dword ptr [rdi + 0x101], 1\n mov [r9], r10\n invlpg [0x400000]\n xchg r10, r11\n" IPI_TO_OTHERS
     "mov dword ptr [rsi], 0xdead\n mov dword ptr [rsi + 0x101], 0xdead\n mov rbx, [rsi + 0x48]\n add rbx, [rsi + 0x50]\n"
     "add rbx, [rsi + 0x58]\n mov ecx, 200\n 4: pause\n dec ecx\n jnz 4b\n sub rbx, [rsi + 0x48]\n sub rbx, [rsi + 0x50]\n"
     "sub rbx, [rsi + 0x58]\n jz 5f\n inc ebp\n 5: xchg rsi, rdi\n dec r13d\n jnz 2b\n mov dword ptr [0x200018], 1\n hlt");
/* R14: the word that it writes. */
CODE(reader, 64, APIC_ON "sti\n lock inc dword ptr [0x200010]\n xor ebx, ebx\n xor ebp, ebp\n mov r15d, 0x400100\n"
     "1: mov eax, [0x400000]\n cmp eax, 0xdead\n je 8f\n inc rbx\n mov [r14], rbx\n call r15\n cmp eax, 0xdead\n je 8f\n"
     "cmp dword ptr [0x200018], 0\n je 1b\n cli\n hlt\n 8: mov ebp, 1\n 9: pause\n cmp dword ptr [0x200018], 0\n je 9b\n cli\n hlt");
CODE(flush_and_say_so, 64, "push rax\n push rcx\n push rdx\n invlpg [0x400000]\n mov ecx, 0x80b\n xor eax, eax\n xor edx, edx\n wrmsr\n"
     "lock inc dword ptr [0x200014]\n pop rdx\n pop rcx\n pop rax\n iretq");
CODE(function, 64, "mov eax, 1\n ret");

/* The number that the function returns grows; the others see at least what was acknowledged before they called it. */
CODE(patcher, 64, APIC_ON WAIT_FOR_OTHERS "xor edi, edi\n 2: inc edi\n mov [0x60004], edi\n" IPI_TO_OTHERS
     "mov [0x200000], edi\n dec r13d\n jnz 2b\n mov dword ptr [0x200018], 1\n hlt");
CODE(caller, 64, APIC_ON "sti\n lock inc dword ptr [0x200010]\n xor ebx, ebx\n xor ebp, ebp\n mov r15d, 0x60003\n"
     "1: mov esi, [0x200000]\n call r15\n cmp eax, esi\n jb 8f\n inc rbx\n cmp dword ptr [0x200018], 0\n je 1b\n cli\n hlt\n"
     "8: mov ebp, 1\n 9: pause\n cmp dword ptr [0x200018], 0\n je 9b\n cli\n hlt");

static unsigned count;

static int setup_count(void **state, unsigned cpus)
{
	fake_engine = engine_of(state);
	fake_icount = false;
	m = fake_machine_new(cpus, NULL);
	fake_icount = true;
	count = cpus;
	return 0;
}
static int setup2(void **state) { return setup_count(state, 2); }
static int setup4(void **state) { return setup_count(state, 4); }

static void *thread(void *arg)
{
	while (cpu_run(arg, 1000000) != CPU_EXIT_HALT)
		;
	return NULL;
}

static void run_all(uint64_t others_at, struct cpu_regs *r)
{
	struct cpu_regs first = *r;
	pthread_t t[4];
	unsigned k;

	fake_gate(m, IPI, FAKE_CS64, IPI_AT, 14, 0);
	PUT_CODE(m, IPI_AT, flush_and_say_so);
	first.gpr[12] = count - 1;
	cpu_set_regs(m->cpu, &first);
	for (k = 1; k < count; k++) {
		r->rip = others_at;
		r->gpr[4] = STACK0_AT + 0x1000 * k;
		r->gpr[14] = 0x400040 + 8 * k;
		cpu_set_regs(cpus_get(m->cpus, k), r);
	}
	alarm(300);
	for (k = 0; k < count; k++)
		pthread_create(&t[k], NULL, thread, cpus_get(m->cpus, k));
	for (k = 0; k < count; k++)
		pthread_join(t[k], NULL);
	alarm(0);
}

static void none_went_wrong(void)
{
	struct cpu_regs r;
	unsigned k;

	for (k = 0; k < count; k++) {
		cpu_get_regs(cpus_get(m->cpus, k), &r);
		assert_int_equal(r.gpr[5], 0);
		if (k)
			assert_true(r.gpr[3] > 0);
	}
}

static void shoot_down(uint64_t entry_at, uint64_t flags)
{
	struct cpu_regs r;

	START64(changer);
	memset(m->ram + DATA_AT, 0, 64);
	memset(m->ram + PAGE_A, 0, 4096);
	memset(m->ram + PAGE_B, 0, 4096);
	PUT_CODE(m, READER_AT, reader);
	PUT_CODE(m, PAGE_A + 0x100, function);
	PUT_CODE(m, PAGE_B + 0x100, function);
	if (entry_at == TABLE_AT)
		put_le64(m->ram + 0xa010, TABLE_AT | 7);
	put_le64(m->ram + entry_at, PAGE_A | flags);
	r = regs();
	r.gpr[9] = entry_at;
	r.gpr[10] = PAGE_B | flags;
	r.gpr[11] = PAGE_A | flags;
	r.gpr[13] = 60;
	run_all(READER_AT, &r);
	none_went_wrong();
}

static void nothing_stale_after_a_shoot_down_of_a_small_page(void **state)
{
	(void)state;
	shoot_down(TABLE_AT, 7);
}

static void nothing_stale_after_a_shoot_down_of_a_large_page(void **state)
{
	(void)state;
	shoot_down(0xa010, 0x87);
}

static void code_is_new_for_all_who_acknowledged(void **state)
{
	struct cpu_regs r;

	(void)state;
	START64(patcher);
	memset(m->ram + DATA_AT, 0, 64);
	PUT_CODE(m, READER_AT, caller);
	PUT_CODE(m, FUNCTION_AT, function);
	r = regs();
	r.gpr[13] = 100;
	run_all(READER_AT, &r);
	none_went_wrong();
	assert_int_equal(le32(m->ram + DATA_AT), 100);
}

#undef TEST
#define TEST(name) ON_BOTH_ENGINES(name, setup2, teardown), \
	{ #name " (interp, 4)", name, setup4, teardown, (void *)(uintptr_t)CPU_INTERP }, \
	{ #name " (xlat, 4)", name, setup4, teardown, (void *)(uintptr_t)CPU_XLAT }

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_stale_after_a_shoot_down_of_a_small_page), TEST(nothing_stale_after_a_shoot_down_of_a_large_page),
		TEST(code_is_new_for_all_who_acknowledged),
	};

	(void)setup;
	(void)run;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
