/* SPDX-License-Identifier: MIT */
/* Two processors on two threads. */
#include "tests/unit/cpu/guest_bench.h"

#include <pthread.h>
#include <stdatomic.h>

CODE(lock_inc, 64, "1: lock inc dword ptr [r8]\n dec ecx\n jnz 1b\n hlt");
CODE(lock_cmpxchg16b, 64, "1: mov rax, [r8]\n mov rdx, [r8 + 8]\n 2: mov rbx, rax\n inc rbx\n mov rcx, rdx\n inc rcx\n"
     "lock cmpxchg16b [r8]\n jnz 2b\n dec esi\n jnz 1b\n hlt");
/* The first waits for a number, runs the function, checks that it is the number, and says so; the second writes both. */
CODE(runner, 64, "xor edi, edi\n 1: inc edi\n 2: pause\n cmp [0x200000], edi\n jne 2b\n xor eax, eax\n cpuid\n call r8\n cmp eax, edi\n jne 3f\n"
     "mov [0x200040], edi\n cmp edi, 300\n jne 1b\n xor ebp, ebp\n hlt\n 3: mov ebp, 1\n hlt");
CODE(writer, 64, "xor edi, edi\n 1: inc edi\n mov [r8 + 1], edi\n mov [0x200000], edi\n 2: pause\n cmp [0x200040], edi\n jne 2b\n"
     "cmp edi, 300\n jne 1b\n hlt");
/* Fill and copy pages, over and over; rBP counts what RSI, RDI, RCX or the last byte copied were wrong about. */
CODE(strings, 64, "xor ebp, ebp\n cld\n 1: mov eax, edx\n mov rdi, 0x200000\n mov ecx, 4096\n rep stosb\n cmp rdi, 0x201000\n jne 2f\n"
     "mov rsi, 0x200000\n mov rdi, 0x202000\n mov ecx, 4096\n rep movsb\n cmp rsi, 0x201000\n jne 2f\n cmp rdi, 0x203000\n jne 2f\n"
     "test rcx, rcx\n jne 2f\n cmp [0x202fff], al\n je 3f\n 2: inc ebp\n 3: dec edx\n jnz 1b\n hlt");
CODE(function, 64, "mov eax, 0\n ret");

static int setup2(void **state)
{
	fake_engine = engine_of(state);
	m = fake_machine_new(2, NULL);
	return 0;
}

static atomic_int running;

static void *thread(void *arg)
{
	struct cpu *c = arg;
	unsigned tries;

	for (tries = 0; tries < 20000000; tries++)
		if (cpu_run(c, 1000000) == CPU_EXIT_HALT)
			break;
	atomic_fetch_sub(&running, 1);
	return NULL;
}

/* Both in long mode with a stack of their own, at the given addresses, until both halt. */
static void run_both(uint64_t first, uint64_t second, uint64_t r8, uint32_t count)
{
	struct cpu_regs r = regs();
	pthread_t t[2];
	unsigned k;

	r.gpr[8] = r8;
	r.gpr[1] = r.gpr[6] = count;
	r.rip = first;
	cpu_set_regs(m->cpu, &r);
	r.gpr[4] = STACK0_AT;
	r.rip = second;
	cpu_set_regs(cpus_get(m->cpus, 1), &r);
	atomic_store(&running, 2);
	for (k = 0; k < 2; k++)
		pthread_create(&t[k], NULL, thread, cpus_get(m->cpus, k));
	for (k = 0; k < 2; k++)
		pthread_join(t[k], NULL);
}

static void locked_increments_lose_nothing(void **state)
{
	(void)state;
	START64(lock_inc);
	put_le32(m->ram + DATA_AT, 0);
	run_both(CODE_AT, CODE_AT, DATA_AT, 200000);
	assert_int_equal(le32(m->ram + DATA_AT), 400000);
}

static void not_even_across_pages(void **state)
{
	(void)state;
	START64(lock_inc);
	put_le32(m->ram + DATA_AT + 4094, 0);
	run_both(CODE_AT, CODE_AT, DATA_AT + 4094, 50000);
	assert_int_equal(le32(m->ram + DATA_AT + 4094), 100000);
}

static void sixteen_bytes_are_exchanged_at_once(void **state)
{
	(void)state;
	START64(lock_cmpxchg16b);
	memset(m->ram + DATA_AT, 0, 16);
	run_both(CODE_AT, CODE_AT, DATA_AT, 50000);
	assert_int_equal(le64(m->ram + DATA_AT), 100000);
	assert_int_equal(le64(m->ram + DATA_AT + 8), 100000);
}

static void code_written_by_another_processor_is_seen_after_it_says_so(void **state)
{
	struct cpu_regs r;

	(void)state;
	START64(runner);
	PUT_CODE(m, 0x50000, writer);
	PUT_CODE(m, 0x60000, function);
	memset(m->ram + DATA_AT, 0, 128);
	run_both(CODE_AT, 0x50000, 0x60000, 0);
	r = regs();
	assert_int_equal(r.gpr[5], 0);
	assert_int_equal(le32(m->ram + DATA_AT + 0x40), 300);
}

static void kicks_in_the_middle_of_a_string_instruction_lose_nothing(void **state)
{
	struct cpu_regs r;
	pthread_t t;

	(void)state;
	START64(strings);
	r = regs();
	r.gpr[2] = 20000;
	cpu_set_regs(m->cpu, &r);
	atomic_store(&running, 1);
	pthread_create(&t, NULL, thread, m->cpu);
	while (atomic_load(&running))
		cpu_kick(m->cpu);
	pthread_join(t, NULL);
	r = regs();
	assert_int_equal(r.gpr[2], 0);
	assert_int_equal(r.gpr[5], 0);
}

#undef TEST
#define TEST(name) ON_BOTH_ENGINES(name, setup2, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(locked_increments_lose_nothing), TEST(not_even_across_pages), TEST(sixteen_bytes_are_exchanged_at_once),
		TEST(code_written_by_another_processor_is_seen_after_it_says_so),
		TEST(kicks_in_the_middle_of_a_string_instruction_lose_nothing),
	};

	(void)setup;
	(void)run;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
