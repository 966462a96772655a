/* SPDX-License-Identifier: MIT */
/*
 * The translator where it is hard: the same guest on the interpreter and on it, from the same state, must end the same:
 * registers, flags, RIP, CR2, memory.  Then storms of interrupts, a code cache that is always full, two processors.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu/xlat/xlat.h"
#include "tests/unit/cpu/compare_engines.h"
#include "tests/unit/cpu/storm.h"

/* --- faults in the middle of instructions ------------------------------------------------------------------------ */

#define INSTRUCTIONS(X) \
	X(push_mem, "push [rdi]") X(pop_mem, "pop [rdi]") X(call_mem, "call [rdi]") X(call_rel, "call 1f\n 1: nop") X(ret_, "ret") \
	X(movsq_, "movsq") X(movsb_, "movsb") X(cmpsq_, "cmpsq") X(rep_movsb, "mov ecx, 24\n rep movsb") X(rep_stosq, "mov ecx, 5\n rep stosq") \
	X(cx16, "cmpxchg16b [rdi]") X(lock_cx16, "lock cmpxchg16b [rdi]") X(cx8, "cmpxchg8b [rdi]") X(xchg_, "xchg [rdi], r10") \
	X(xadd_, "xadd [rdi], r11") X(lock_xadd, "lock xadd [rdi], rax") X(add_, "add [rdi], r9") X(adc_, "adc [rdi], rbx") X(neg_, "neg qword ptr [rdi]") \
	X(push_, "push rax") X(push_r9, "push r9") X(push_imm, "push 77") X(pop_, "pop rax") X(pop_r10, "pop r10") X(pop_rsp, "pop rsp") \
	X(pushf_, "pushfq") X(leave_, "mov rbp, rsi\n leave") X(enter_, "enter 16, 1") X(bts_, "mov ecx, 70\n bts [rdi], rcx") \
	X(movups_, "movups [rdi], xmm0") X(movaps_, "movaps [rdi], xmm0") X(movups_load, "movups xmm1, [rdi]\n movq rax, xmm1") \
	X(fstp_, "fld1\n fstp tbyte ptr [rdi]") X(fld_, "fld tbyte ptr [rdi]\n fstp st(0)") X(fistp_, "fld1\n fistp qword ptr [rdi]") \
	X(mov_load, "mov r8, [rdi]") X(mov_byte, "mov ah, [rdi]") X(movbe_, "movbe [rdi], rax") X(setc_, "setc [rdi]") X(cmov_, "cmovc rax, [rdi]") \
	X(shl_, "shl word ptr [rdi], 3") X(div_, "xor edx, edx\n div qword ptr [rdi]\n test eax, eax") X(mul_, "mul qword ptr [rdi]") \
	X(sqrt_, "sqrtps xmm2, [rdi]") X(jmp_mem, "jmp [rdi]") X(ret_n, "ret 16") X(xlat_insn, "mov rbx, rdi\n xlatb") X(popf_, "popfq") \
	X(two, "mov rax, [rsi]\n mov [rdi], rax\n mov rbx, [rsi + 8]\n mov [rdi + 8], rbx") X(carry, "mov rax, -1\n add rax, [rdi]\n adc rbx, rbx") \
	X(windows, "mov eax, [rdi]\n mov ebx, [rdi + 4]\n add [rdi + 8], eax\n mov [rdi + 12], ebx")
/* Flags are live before and behind; rcx and rdx differ by the round. */
#define AS_CODE(name, text) CODE(in_##name, 64, "cmp rcx, rdx\n " text "\n setc dl\n adc r12, 0\n ud2");
INSTRUCTIONS(AS_CODE)
#define AS_ENTRY(name, text) { #name, in_##name, in_##name##_end },
static const struct { const char *name; const uint8_t *code, *end; } instructions[] = { INSTRUCTIONS(AS_ENTRY) };

static const uint64_t places[] = {
	DATA_AT + 0x100, DATA_AT + 0x103, DATA_AT + 0xffc /* across pages that are there */, GONE - 4, GONE - 12, GONE + 8, READ_ONLY + 0x40,
	READ_ONLY - 6, 0x0000800000000000ull - 4, 0x8000000000200000ull,
};

static void put_places(unsigned n, unsigned rdi, unsigned rsi, unsigned rsp)
{
	struct cpu_regs r;
	unsigned k;

	start64(instructions[n].code, instructions[n].end);
	put_le64(m->ram + 0xa010, 0);                           /* GONE */
	put_le64(m->ram + 0xa018, READ_ONLY | 0x85);
	for (k = 0; k < 0x4000; k++)
		m->ram[DATA_AT + k] = (uint8_t)(k * 7);
	for (k = 0; k < 0x2000; k++)
		m->ram[GONE - 0x1000 + k] = m->ram[READ_ONLY - 0x1000 + k] = (uint8_t)(k * 5);
	put_le64(m->ram + DATA_AT + 0x100, CODE_AT);            /* something to jump to */
	to_user(FAKE_UCS64);
	r = regs();
	for (k = 0; k < 16; k++)
		if (k != 4)
			r.gpr[k] = 0x1111111111111111ull * k;
	r.gpr[7] = places[rdi];
	r.gpr[6] = places[rsi];
	r.gpr[4] = places[rsp];
	r.gpr[1] = n & 1 ? 5 : 50;
	r.gpr[2] = 20;
	r.cr0 |= 1 << 16;
	cpu_set_regs(m->cpu, &r);
	m->cpu->s.fpu.fcw = 0x37f;
}

static void faults_in_the_middle_leave_what_the_interpreter_leaves(void **state)
{
	struct fake_machine *machines[2];
	unsigned n, a, b, e, wrong = 0, faults = 0;

	(void)state;
	for (e = 0; e < 2; e++) {
		fake_engine = (enum cpu_engine)e;
		machines[e] = fake_machine_new(1, NULL);
	}
	for (n = 0; n < ARRAY_SIZE(instructions); n++)
		for (a = 0; a < ARRAY_SIZE(places); a++)
			for (b = 0; b < ARRAY_SIZE(places); b++) {
				for (e = 0; e < 2; e++) {
					m = machines[e];
					fake_engine = (enum cpu_engine)e;
					put_places(n, a, b, (a + b) % ARRAY_SIZE(places));
					keep((enum cpu_engine)e, run_any());
				}
				faults += vector_of[0] != 6;
				if (first_difference() && wrong++ < 10)
					print_error("%s, rdi %llx, rsi %llx: %s\n", instructions[n].name, (unsigned long long)places[a],
						    (unsigned long long)places[b], first_difference());
			}
	assert_int_equal(wrong, 0);
	assert_true(faults > 1000);
	fake_machine_free(machines[0]);
	fake_machine_free(machines[1]);
}

/* --- programs that must end the same ----------------------------------------------------------------------------- */

/* Calls what lies at 2:, with bytes that only the flags' analysis looked at changed between: ADD, then SETC. */
CODE(peeked, 64, "mov r15d, 40\n 1: add al, 0x90\n jmp 2f\n nop\n nop\n 2: add dl, 1\n nop\n adc r14, 0\n mov ecx, [0x5000]\n mov [0x10000 + 2b - peeked], ecx\n"
     "xor ecx, 0x00c0f980\n mov [0x5000], ecx\n dec r15d\n jnz 1b\n hlt");
/* Writes its own next instruction, the same instruction, and code ahead in the block, over and over. */
CODE(writes_itself, 64, "mov r15d, 300\n 1: inc byte ptr [rip + 2f + 1]\n 2: mov bl, 0\n add r14, rbx\n lea rax, [rip + 3f + 3]\n add dword ptr [rax], 3\n"
     "nop\n 3: add r13, 0x1000\n lea rdi, [rip + 4f]\n mov eax, 0xd8ff49\n test r15b, 1\n jz 5f\n mov eax, 0xd0ff49\n 5: stosd\n dec rdi\n"
     ".skip 3, 0x90\n 4: dec r8\n nop\n dec r15d\n jnz 1b\n hlt");
/* A page of code at 0x800000 that is now one physical page, now another: INVLPG, CR3, and calls from elsewhere, direct and not. */
CODE(remapped, 64, "mov r15d, 200\n 1: xor qword ptr [0x70000], 0x3000\n test r15b, 1\n jz 2f\n invlpg [0x800000]\n jmp 3f\n 2: mov rax, cr3\n mov cr3, rax\n"
     "3: mov eax, 0x800000\n call rax\n add r14, rax\n .byte 0xe8\n .long 0x800000 - 0x10000 - (4f - remapped)\n 4: add r13, rax\n dec r15d\n jnz 1b\n hlt");
CODE(one, 64, "mov eax, 1\n ret");
CODE(hundred, 64, "mov eax, 100\n ret");
/* TF over a loop with a call, a string instruction and flags; the handler counts. */
CODE(stepped, 64, "mov r15d, 20\n pushfq\n or dword ptr [rsp], 0x100\n popfq\n 1: add rbx, r15\n call 2f\n mov ecx, 3\n mov edi, 0x200000\n rep stosb\n"
     "push rax\n pop rdx\n dec r15d\n jnz 1b\n pushfq\n and dword ptr [rsp], 0xfffffeff\n popfq\n hlt\n 2: inc eax\n ret");
CODE(watched_data, 64, "mov eax, 0x200010\n mov dr0, rax\n lea rax, [rip + 2f]\n mov dr1, rax\n mov eax, 0xd0409\n or eax, 4\n mov dr7, rax\n mov r15d, 20\n"
     "mov edi, 0x200000\n 1: mov [rdi + 0x10], r15d\n mov eax, [rdi + 0x10]\n add [rdi + 0x11], al\n 2: inc rbx\n dec r15d\n jnz 1b\n hlt");
CODE(counts, 64, "push rax\n mov rax, dr6\n add [0x5010], rax\n inc qword ptr [0x5008]\n mov rax, [rsp + 8]\n add [0x5018], rax\n or dword ptr [rsp + 24], 0x10000\n"
     "pop rax\n iretq");
CODE(alias_writes, 64, "mov r15d, 100\n 1: call r9\n add r14, rax\n mov byte ptr [0x40000001], r15b\n call r9\n add r13, rax\n dec r15d\n jnz 1b\n hlt");

static void prepare(const uint8_t *code, const uint8_t *end)
{
	start64(code, end);
	PUT_CODE(m, HANDLERS_AT + 0x1800, counts);
	fake_gate(m, 1, FAKE_CS64, HANDLERS_AT + 0x1800, 14, 3);
	memset(m->ram + 0x5000, 0, 0x100);
	put_le32(m->ram + 0x5000, 0x9001c280 ^ 0x00c0f980);
	/* 0x800000: one page at 0x50000; 0x40000000: an alias of 0x40000. */
	put_le64(m->ram + 0xa020, 0x70000 | 7);
	memset(m->ram + 0x70000, 0, 4096);
	put_le64(m->ram + 0x70000, 0x50007);
	put_le64(m->ram + 0x9008, 0xb007);
	memset(m->ram + 0xb000, 0, 4096);
	put_le64(m->ram + 0xb000, 0xc007);
	put_le64(m->ram + 0xc000, 0x40007);
	PUT_CODE(m, 0x50000, one);
	PUT_CODE(m, 0x53000, hundred);
	PUT_CODE(m, 0x40000, one);
	set_reg_value(9, 0x40000);
}

static void ends_the_same(const char *name, const uint8_t *code, const uint8_t *end)
{
	struct fake_machine *machines[2];
	unsigned budget, e;

	for (e = 0; e < 2; e++) {
		fake_engine = (enum cpu_engine)e;
		machines[e] = fake_machine_new(1, NULL);
	}
	/* To its end, and cut off after some instructions. */
	for (budget = 0; budget < 40; budget++) {
		for (e = 0; e < 2; e++) {
			enum cpu_exit why;

			m = machines[e];
			fake_engine = (enum cpu_engine)e;
			prepare(code, end);
			why = cpu_run(m->cpu, budget ? budget * 7 : 1000000);
			if (!budget && why != CPU_EXIT_HALT)
				fail_msg("%s on engine %u: exit %d at %llx", name, e, why, (unsigned long long)regs().rip);
			keep((enum cpu_engine)e, (int)why);
		}
		if (first_difference())
			fail_msg("%s, budget %u: %s", name, budget, first_difference());
	}
	fake_machine_free(machines[0]);
	fake_machine_free(machines[1]);
}
#define ENDS_THE_SAME(code) ends_the_same(#code, code, code##_end)

static void bytes_that_were_only_looked_at_count_as_code(void **state)
{
	(void)state;
	ENDS_THE_SAME(peeked);
}

static void code_that_writes_itself_runs_as_written(void **state)
{
	(void)state;
	ENDS_THE_SAME(writes_itself);
	ENDS_THE_SAME(alias_writes);
}

static void code_pages_that_move_are_found_where_they_are(void **state)
{
	(void)state;
	ENDS_THE_SAME(remapped);
	assert_int_equal(regs_of[1].gpr[14] != 0, 1);
}

static void single_steps_and_breakpoints_hit_in_translated_code(void **state)
{
	(void)state;
	ENDS_THE_SAME(stepped);
	ENDS_THE_SAME(watched_data);
}

/* --- storms ------------------------------------------------------------------------------------------------------ */

/* Everything that an instruction done twice, or not at all, would show in; flags are live over memory. */
CODE(sums, 64, "movq xmm1, rcx\n pxor xmm0, xmm0\n fldz\n 1: inc rbx\n add [r8], rbx\n mov rax, [r8]\n adc r9, rax\n push r9\n pop r10\n xor r11, r10\n rol r11, 3\n"
     "lock xadd [r8 + 8], r11\n paddq xmm0, xmm1\n movq [r8 + 16], xmm0\n call 2f\n cmp rbx, 7\n mov [r8 + 24], r12\n setc al\n add r12b, al\n"
     "push [r8 + 8]\n pop [r8 + 32]\n cmpxchg [r8 + 40], rbx\n fld1\n faddp\n mov rsi, r8\n lea rdi, [r8 + 48]\n movsq\n pushfq\n pop rdx\n and edx, 0x8d5\n add r13, rdx\n"
     "imul r14, rbx, 77\n bswap r14\n dec rcx\n jnz 1b\n fistp qword ptr [r8 + 64]\n 3: hlt\n jmp 3b\n 2: lea r12, [r12 + rbx*2 + 1]\n ret");
CODE(nmi, 64, "push rax\n lock inc qword ptr [0x5100]\n xor eax, eax\n pop rax\n iretq");

static void run_sums(unsigned rounds)
{
	struct cpu_regs r;

	START64(sums);
	PUT_CODE(m, HANDLERS_AT + 0x1800, nmi);
	fake_gate(m, 2, FAKE_CS64, HANDLERS_AT + 0x1800, 14, 0);
	memset(m->ram + DATA_AT, 0, 0x100);
	memset(m->ram + 0x5100, 0, 8);
	r = regs();
	r.gpr[1] = rounds;
	r.gpr[8] = DATA_AT + 0xfd8;             /* [r8 + 40] lies in the next page */
	memset(m->ram + DATA_AT + 0xf00, 0, 0x200);
	r.cr4 |= 0x600;
	cpu_set_regs(m->cpu, &r);
	m->cpu->s.fpu.fcw = 0x37f;
}

static void run_to_halt(void)
{
	unsigned k;

	for (k = 0; k < 100000000; k++)
		if (cpu_run(m->cpu, INT64_MAX) == CPU_EXIT_HALT && regs().rip < CODE_AT + 0x1000)
			return;
	fail();
}

static void storms_of_interrupts_lose_and_repeat_nothing(void **state)
{
	enum { ROUNDS = 300000, ENOUGH = 1000 };
	struct cpu_regs calm, wild;
	uint64_t interrupts = 0;
	uint8_t data[0x200];
	unsigned k;

	(void)state;
	fake_icount = false;
	fake_engine = CPU_INTERP;
	m = fake_machine_new(1, NULL);
	run_sums(ROUNDS);
	run_to_halt();
	calm = regs();
	memcpy(data, m->ram + DATA_AT + 0xf00, sizeof(data));
	fake_machine_free(m);
	fake_engine = CPU_XLAT;
	m = fake_machine_new(1, NULL);
	storm_begins();
	for (k = 0; k < 40 && interrupts < ENOUGH; k++) {
		run_sums(ROUNDS);
		run_to_halt();
		interrupts += le64(m->ram + 0x5100);
		wild = regs();
		assert_memory_equal(calm.gpr, wild.gpr, sizeof(calm.gpr));
		assert_memory_equal(data, m->ram + DATA_AT + 0xf00, sizeof(data));
	}
	storm_ends();
	print_message("%llu interrupts in %u runs, %llu times out of the middle of translated code\n", (unsigned long long)interrupts, k,
		      (unsigned long long)m->cpu->x->count.exits[EXIT_ASYNC]);
	assert_true(interrupts > 20);
	fake_machine_free(m);
}

/*
 * Vectors are on the host's units while an access goes to the interpreter's handler: each such instruction for the first time, when
 * it is decoded, and again.  All registers go to memory in the end.
 */
CODE(vectors_stay, 64, "mov esi, 2\n 1: pcmpeqd xmm0, xmm0\n movdqa xmm1, xmm0\n movdqa xmm2, xmm0\n movdqa xmm3, xmm0\n movdqa xmm4, xmm0\n"
     "movdqa xmm5, xmm0\n movdqa xmm6, xmm0\n movdqa xmm7, xmm0\n mov [0x200ffc], rax\n movups [rdi], xmm0\n mov rbx, [0x200ffd]\n"
     "movups [rdi + 0x10], xmm0\n add [0x200ffe], bx\n add [0x200fff], bx\n movups [rdi + 0x20], xmm0\n movups [rdi + 0x30], xmm1\n movups [rdi + 0x40], xmm2\n"
     "movups [rdi + 0x50], xmm3\n movups [rdi + 0x60], xmm4\n movups [rdi + 0x70], xmm5\n movups [rdi + 0x80], xmm6\n movups [rdi + 0x90], xmm7\n"
     "add rdi, 0xa0\n dec esi\n jnz 1b\n hlt");

static void accesses_that_the_interpreter_does_leave_vectors_alone(void **state)
{
	struct cpu_regs r;
	unsigned k;

	(void)state;
	fake_icount = false;
	fake_engine = CPU_XLAT;
	m = fake_machine_new(1, NULL);
	START64(vectors_stay);
	memset(m->ram + DATA_AT, 0, 0x2000);
	r = regs();
	r.gpr[7] = DATA_AT;
	r.cr4 |= 0x600;
	cpu_set_regs(m->cpu, &r);
	m->cpu->s.fpu.fcw = 0x37f;
	run_to_halt();
	for (k = 0; k < 2 * 0xa0; k++)
		assert_int_equal(m->ram[DATA_AT + k], 0xff);
	assert_true(m->cpu->x->count.slow[SLOW_CROSS][0] && m->cpu->x->count.slow[SLOW_CROSS][1]);
	fake_machine_free(m);
}

/* --- a full cache ------------------------------------------------------------------------------------------------ */

/* Calls 16384 functions at r8, 64 bytes apart, of which each adds its number; again and again. */
CODE(calls_all, 64, "1: mov rdi, r8\n mov esi, 16384\n 2: call rdi\n add rdi, 64\n dec esi\n jnz 2b\n dec ecx\n jnz 1b\n hlt");
enum { FUNCTIONS = 16384, FUNCTIONS_AT = 0x1000000, TIMES = 4 };

static void put_functions(void)
{
	static const uint8_t code[] = { 0x48, 0x05, 0, 0, 0, 0, 0x48, 0x31, 0xd8, 0x48, 0x31, 0xd8, 0xc3 };    /* add rax, n; xor rax, rbx twice; ret */
	unsigned k;

	for (k = 0; k < FUNCTIONS; k++) {
		fake_code(m, FUNCTIONS_AT + 64 * k, code, sizeof(code));
		put_le32(m->ram + FUNCTIONS_AT + 64 * k + 2, k);
	}
}

static void *run_thread(void *arg)
{
	while (cpu_run(arg, INT64_MAX) != CPU_EXIT_HALT)
		;
	return NULL;
}

static void evicting(unsigned count)
{
	struct cpu_regs r;
	pthread_t t[2];
	unsigned k;

	fake_icount = false;
	fake_engine = CPU_XLAT;
	fake_tb_size = count;           /* MiB: less than all functions take */
	m = fake_machine_new(count, NULL);
	fake_tb_size = 0;
	START64(calls_all);
	put_functions();
	r = regs();
	r.gpr[0] = 0;
	r.gpr[1] = TIMES;
	r.gpr[8] = FUNCTIONS_AT;
	for (k = 0; k < count; k++) {
		cpu_set_regs(cpus_get(m->cpus, k), &r);
		r.gpr[4] -= 0x4000;
	}
	for (k = 0; k < count; k++)
		pthread_create(&t[k], NULL, run_thread, cpus_get(m->cpus, k));
	for (k = 0; k < count; k++)
		pthread_join(t[k], NULL);
	for (k = 0; k < count; k++) {
		cpu_get_regs(cpus_get(m->cpus, k), &r);
		assert_int_equal(r.gpr[0], (uint64_t)TIMES * FUNCTIONS * (FUNCTIONS - 1) / 2);
		assert_true(cpus_get(m->cpus, k)->x->count.evictions > 4);
	}
	fake_machine_free(m);
}

static void a_full_cache_starts_anew_and_goes_on(void **state)
{
	(void)state;
	evicting(1);
}

static void so_does_that_of_two_processors(void **state)
{
	(void)state;
	evicting(2);
}

/* --- many links -------------------------------------------------------------------------------------------------- */

CODE(goes_round, 64, "dec ecx\n jz 1f\n jmp r8\n 1: hlt");

/* Each jumps into the next page, the last one back: large programs have as many such ways as blocks. */
static void links_between_pages_stay_however_many_there_are(void **state)
{
	enum { WAYS = 6144, ROUNDS = 4 };
	struct cpu_regs r;
	unsigned k;

	(void)state;
	fake_icount = false;
	fake_engine = CPU_XLAT;
	m = fake_machine_new(1, NULL);
	START64(goes_round);
	for (k = 0; k < WAYS; k++) {
		uint32_t at = FUNCTIONS_AT + k % 256 * 4096 + k / 256 * 64, next = k + 1;
		uint32_t to = next == WAYS ? CODE_AT : FUNCTIONS_AT + next % 256 * 4096 + next / 256 * 64;
		uint8_t code[] = { 0x48, 0xff, 0xc0, 0xe9, 0, 0, 0, 0 };        /* inc rax; jmp */

		put_le32(code + 4, to - (at + sizeof(code)));
		fake_code(m, at, code, sizeof(code));
	}
	r = regs();
	r.gpr[0] = 0;
	r.gpr[1] = ROUNDS;
	r.gpr[8] = FUNCTIONS_AT;
	cpu_set_regs(m->cpu, &r);
	run_to_halt();
	assert_int_equal(regs().gpr[0], WAYS * (ROUNDS - 1));
	assert_true(m->cpu->x->count.links >= WAYS);
	assert_int_equal(m->cpu->x->count.unlinks, 0);
	assert_true(m->cpu->x->count.enters < 2 * WAYS);
	fake_machine_free(m);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_none, teardown_none)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(faults_in_the_middle_leave_what_the_interpreter_leaves), TEST(bytes_that_were_only_looked_at_count_as_code),
		TEST(code_that_writes_itself_runs_as_written), TEST(code_pages_that_move_are_found_where_they_are),
		TEST(single_steps_and_breakpoints_hit_in_translated_code), TEST(storms_of_interrupts_lose_and_repeat_nothing),
		TEST(accesses_that_the_interpreter_does_leave_vectors_alone),
		TEST(links_between_pages_stay_however_many_there_are),
		TEST(a_full_cache_starts_anew_and_goes_on), TEST(so_does_that_of_two_processors),
	};

	(void)setup;
	(void)teardown;
	(void)run;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
