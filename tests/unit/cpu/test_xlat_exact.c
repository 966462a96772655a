/* SPDX-License-Identifier: MIT */
/*
 * The translator, exact: budgets, flags behind an access done by a handler, hosts that let no memory be executed, pages
 * that may not be, an interrupt at each instruction of a program, code written in every way.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu/xlat/xlat.h"
#include "tests/unit/cpu/compare_engines.h"

/* --- budgets ----------------------------------------------------------------------------------------------------- */

CODE(jumps_away, 64, "inc ebx\n jmp .+0x400000-0x10002");
CODE(branches_away, 64, "mov eax, 0x400000\n jmp rax");

static void a_used_up_budget_comes_before_the_next_fetchs_fault(void **state)
{
	static const struct { const uint8_t *code, *end; } programs[] = {
		{ jumps_away, jumps_away_end }, { branches_away, branches_away_end },
	};
	unsigned n, round;

	setup(state);
	for (n = 0; n < ARRAY_SIZE(programs); n++)
		for (round = 0; round < 2; round++) {
			start64(programs[n].code, programs[n].end);
			put_le64(m->ram + 0xa010, 0);           /* 400000 is not there */
			assert_int_equal(cpu_run(m->cpu, 2), CPU_EXIT_BUDGET);
			assert_int_equal(regs().rip, GONE);
			assert_int_equal(regs().cr2, 0);
			assert_int_equal(run_any(), 14);
			assert_int_equal(regs().cr2, GONE);
		}
	teardown(state);
}

/* --- flags behind an access -------------------------------------------------------------------------------------- */

/*
 * An access by a handler in the middle of a block (across pages, of a device, to a page with code), with a carry live
 * over it, in
 * a loop.  rdi is what is accessed.
 */
#define OVER(name, access) \
	CODE(over_##name, 64, "mov ecx, 50\n 1: mov rax, -2\n mov rsi, rcx\n and esi, 3\n add rax, rsi\n " access \
	     "\n adc r8, 0\n adc r9, 1\n cmp esi, 2\n " access "\n setc dl\n cmova r10, rcx\n add r11b, dl\n" \
	     "dec ecx\n jnz 1b\n hlt");
OVER(load, "mov rbx, [rdi]")
OVER(store, "mov [rdi], rbx")
OVER(push, "xchg rsp, rdi\n push rbx\n pop rbx\n xchg rsp, rdi")
OVER(add, "add rax, [rdi]")
OVER(sbb, "sbb [rdi], rsi")
OVER(cmp, "cmp rax, [rdi]")
OVER(both, "mov r12, [rdi]\n mov [rdi], r12\n movzx ebx, byte ptr [rdi + 7]")

static void flags_outlive_an_access_that_a_handler_does(void **state)
{
	static const struct { const char *name; const uint8_t *code, *end; } programs[] = {
		{ "load", over_load, over_load_end }, { "store", over_store, over_store_end }, { "push", over_push,
		over_push_end },
		{ "add", over_add, over_add_end }, { "sbb", over_sbb, over_sbb_end }, { "cmp", over_cmp,
		over_cmp_end }, { "both", over_both, over_both_end },
	};
	static const uint64_t at[] = { DATA_AT + 0xffc, DATA_AT + 0xff9, 0x3f000000, CODE_AT + 0x800, DATA_AT + 0x100 };
	unsigned n, a, e;

	(void)state;
	fake_icount = false;            /* with it, all of these go the long way */
	for (n = 0; n < ARRAY_SIZE(programs); n++)
		for (a = 0; a < ARRAY_SIZE(at); a++) {
			for (e = 0; e < 2; e++) {
				fake_engine = (enum cpu_engine)e;
				m = fake_machine_new(1, NULL);
				start64(programs[n].code, programs[n].end);
				put_le64(m->ram + 0xa000 + 8 * (0x3f000000 >> 21), FAKE_MMIO | 0x87);
				set_reg_value(7, at[a]);
				keep((enum cpu_engine)e, run_any());
				fake_machine_free(m);
			}
			if (first_difference())
				fail_msg("%s at %llx: %s", programs[n].name, (unsigned long long)at[a],
					first_difference());
			assert_int_equal(vector_of[0], NO_VECTOR);
		}
}

/* --- what may not be executed ------------------------------------------------------------------------------------ */

static bool refuse_exec;

/* As a seccomp filter, SELinux (execmem) or PR_SET_MDWE has it. */
int mprotect(void *at, size_t len, int prot)
{
	if (refuse_exec && prot & PROT_EXEC) {
		errno = EACCES;
		return -1;
	}
	return (int)syscall(SYS_mprotect, at, len, prot);
}

static void a_host_that_lets_nothing_be_executed_says_so_and_has_the_interpreter(void **state)
{
	struct cpus_config config = { .count = 2, .engine = CPU_XLAT, .tsc_hz = 1000000000 };
	struct err err = { "" };
	unsigned k;

	setup(state);
	config.ops = m->cpus->ops;
	config.owner = m;
	refuse_exec = true;
	for (k = 0; k < 3; k++)
		assert_null(cpus_new(&config, &err));
	assert_non_null(strstr(err.text, "mprotect"));
	assert_non_null(strstr(err.text, "Permission denied"));
	config.engine = CPU_INTERP;
	cpus_free(cpus_new(&config, &err));
	refuse_exec = false;
	config.engine = CPU_XLAT;
	cpus_free(cpus_new(&config, &err));
	teardown(state);
}

CODE(calls_data, 64, "mov ecx, 3\n 1: mov eax, 0x800000\n call rax\n add ebx, eax\n dec ecx\n jnz 1b\n"
     "mov rax, 0x8000000000050003\n mov [0x70000], rax\n invlpg [0x800000]\n"
     "mov eax, 0x800000\n call rax\n hlt");
CODE(falls_in, 64, "mov rax, 0x8000000000050003\n mov [0x70000], rax\n invlpg [0x800000]\n mov eax, 0x7ffffe\n"
     "jmp rax");
CODE(returns_1, 64, "mov eax, 1\n ret");

static void put_page_at_800000(uint64_t entry)
{
	put_le64(m->ram + 0xa020, 0x70000 | 7);
	memset(m->ram + 0x70000, 0, 4096);
	put_le64(m->ram + 0x70000, entry);
	PUT_CODE(m, 0x50000, returns_1);
}

static void a_page_that_becomes_nx_is_not_executed_again(void **state)
{
	unsigned e;

	(void)state;
	for (e = 0; e < 2; e++) {
		fake_engine = (enum cpu_engine)e;
		m = fake_machine_new(1, NULL);
		START64(calls_data);
		put_page_at_800000(0x50003);
		assert_int_equal(run_any(), 14);
		assert_int_equal(regs().cr2, 0x800000);
		assert_int_equal(frame64(0), 0x11);             /* present, fetch */
		assert_int_equal(regs().gpr[3], 3);
		/* in a straight line into it, an instruction across the edge, too */
		START64(falls_in);
		put_page_at_800000(0x50003);
		fake_code(m, 0x7ffffe, "\x90\xb8", 2);
		assert_int_equal(run_any(), 14);
		assert_int_equal(regs().cr2, 0x800000);
		assert_int_equal(frame64(1), 0x7fffff);
		fake_machine_free(m);
	}
}

/* --- an interrupt at each instruction ---------------------------------------------------------------------------- */

/* Windows (accesses that share a check), links within the page and out of it, calls, strings, a lock, vectors,
	live flags. */
CODE(busy, 64, "mov ecx, 40\n 1: mov eax, [rdi]\n add [rdi + 4], eax\n adc [rdi + 8], ecx\n mov [rdi + 12], esi\n"
     "inc rsi\n call 3f\n test cl, 1\n jz 2f\n"
     "lock xadd [rdi + 16], rax\n sti\n nop\n 2: movd xmm0, ecx\n paddd xmm1, xmm0\n movups [rdi + 0x20], xmm1\n"
     "push rsi\n pop r9\n mov r10d, 0x800000\n call r10\n"
     "add rbx, rax\n sbb r11, r9\n dec ecx\n jnz 1b\n cli\n hlt\n 3: lea rdx, [rdx + rcx*2 + 1]\n push rdi\n"
     "push rcx\n add rdi, 0x100\n mov ecx, 3\n rep stosb\n pop rcx\n pop rdi\n ret");
CODE(tick, 64, "push rax\n pushfq\n inc dword ptr [0x5100]\n mov rax, [rsp + 16]\n add [0x5108], rax\n"
     "mov rax, [rsp + 32]\n and eax, 0x8d5\n add [0x5110], rax\n xor eax, eax\n popfq\n pop rax\n iretq");

static unsigned run_ticking(unsigned every)
{
	struct cpu_regs r;
	unsigned ticks = 0;

	START64(busy);
	PUT_CODE(m, HANDLERS_AT + 0x1800, tick);
	fake_gate(m, 0x40, FAKE_CS64, HANDLERS_AT + 0x1800, 14, 0);
	put_page_at_800000(0x50003);
	memset(m->ram + 0x5100, 0, 0x100);
	memset(m->ram + DATA_AT, 0, 0x1000);
	r = regs();
	memset(r.gpr, 0, 4 * 8);
	r.gpr[7] = DATA_AT + 0x10;
	r.gpr[4] = STACK_AT;
	r.rflags = 0x202;
	cpu_set_regs(m->cpu, &r);
	for (;;) {
		enum cpu_exit why = cpu_run(m->cpu, every);

		if (why == CPU_EXIT_HALT)
			break;
		assert_int_equal(why, CPU_EXIT_BUDGET);
		if (!(regs().rflags & 0x200))
			continue;
		m->vector = 0x40;
		cpus_intr(m->cpus, true);
		/* To its end: else another would come before anything else could run. */
		do
			cpu_run(m->cpu, 1);
		while (m->vector >= 0 || regs().rip - (HANDLERS_AT + 0x1800) < 0x100);
		assert_true(ticks++ < 10000);
	}
	return ticks;
}

static void an_interrupt_at_any_instruction_of_a_block_is_the_same(void **state)
{
	struct fake_machine *machines[2];
	unsigned every, e, ticks = 0;

	(void)state;
	for (e = 0; e < 2; e++) {
		fake_engine = (enum cpu_engine)e;
		machines[e] = fake_machine_new(1, NULL);
	}
	/* Each distance shifts where in the program the next ones fall. */
	for (every = 1; every < 150; every++) {
		for (e = 0; e < 2; e++) {
			m = machines[e];
			fake_engine = (enum cpu_engine)e;
			ticks += run_ticking(every);
			keep((enum cpu_engine)e, NO_VECTOR);
		}
		if (first_difference())
			fail_msg("an interrupt every %u instructions: %s", every, first_difference());
	}
	print_message("%u interrupts\n", ticks);
	assert_true(machines[1]->cpu->x->count.blocks > 0);
	fake_machine_free(machines[0]);
	fake_machine_free(machines[1]);
}

/* --- code written in every way ------------------------------------------------------------------------------------ */

/*
 * The function at 40000 (r9; its alias 40000000 is r10) is MOV EAX, n; RET.  Each round calls it, changes it in one
 * way, and calls it again; rbx sums up.
 */
#define WRITES(name, way) \
	CODE(by_##name, 64, "mov r15d, 60\n 1: call r9\n add rbx, rax\n imul rbx, rbx, 5\n mov eax, r15d\n " way \
	     "\n call r9\n add rbx, rax\n imul rbx, rbx, 3\n dec r15d\n jnz 1b\n hlt");
#define WAYS(X) \
	X(byte, "mov [r9 + 1], al") X(word, "mov [r9 + 1], ax") X(dword, "mov [r9 + 1], eax") \
	X(unaligned, "mov [r9 + 2], ax") \
	X(qword, "shl rax, 8\n or rax, 0xb8\n mov rcx, 0xc30000000000\n or rax, rcx\n mov [r9], rax") \
	X(aliased, "mov [r10 + 1], al") \
	X(across, "mov [r9 - 2], eax\n mov byte ptr [r9], 0xb8\n mov byte ptr [r9 + 1], al") \
	X(sse, "shl rax, 8\n or rax, 0xb8\n mov rcx, 0xc30000000000\n or rax, rcx\n movq xmm0, rax\n" \
	  "movups [r9], xmm0") \
	X(sse8, "shl rax, 8\n or rax, 0xb8\n mov rcx, 0xc30000000000\n or rax, rcx\n movq xmm0, rax\n" \
	  "movq [r10], xmm0") \
	X(avx, "shl rax, 8\n or rax, 0xb8\n mov rcx, 0xc30000000000\n or rax, rcx\n vmovq xmm0, rax\n" \
	  "vmovups [r9], ymm0") \
	X(x87, "mov [rsp - 16], eax\n fild dword ptr [rsp - 16]\n fistp dword ptr [r9 + 1]") \
	X(locked_add, "lock add [r9 + 1], al") X(locked_xadd, "lock xadd [r10 + 1], al") \
	X(xchg, "xchg [r9 + 1], eax") X(cmpxchg, "mov ecx, eax\n mov eax, [r9 + 1]\n lock cmpxchg [r9 + 1], ecx") \
	X(inc, "inc byte ptr [r9 + 1]") X(bts, "and eax, 7\n bts dword ptr [r9 + 1], eax\n test eax, eax") \
	X(setcc, "cmp eax, 30\n seta [r9 + 1]") X(stosb, "lea rdi, [r9 + 1]\n stosb") \
	X(rep_stos, "lea rdi, [r10 + 1]\n mov ecx, 3\n rep stosb") \
	X(movsb, "mov [rsp - 16], eax\n lea rsi, [rsp - 16]\n lea rdi, [r9 + 1]\n movsb") \
	X(rep_movs, "mov [rsp - 16], eax\n lea rsi, [rsp - 16]\n lea rdi, [r9 + 1]\n mov ecx, 4\n rep movsb") \
	X(push, "mov rcx, rsp\n lea rsp, [r9 + 8]\n shl rax, 8\n or rax, 0xb8\n mov rdx, 0xc30000000000\n" \
	  "or rax, rdx\n push rax\n mov rsp, rcx") X(pop, "push rax\n pop word ptr [r9 + 1]\n add rsp, 6") \
	X(call_pushes, "mov rcx, rsp\n lea rsp, [r9 + 9]\n call 2f\n 2: mov rsp, rcx\n" \
	  "mov byte ptr [r9 + 5], 0xc3\n mov byte ptr [r9], 0xb8") X(movnti, "movnti [r9 + 1], eax") \
	X(dma, "mov [0x5200], eax\n cmp eax, 1\n hlt") \
	X(maskmov, "movd xmm0, eax\n pslldq xmm0, 1\n mov ecx, 0xff00\n movd xmm1, ecx\n mov rdi, r9\n" \
	  "maskmovdqu xmm0, xmm1")
WAYS(WRITES)
#define WAY(name, way) { #name, by_##name, by_##name##_end },
static const struct { const char *name; const uint8_t *code, *end; } ways[] = { WAYS(WAY) };

/* To its end; a HLT before it asks for a store by DMA. */
static int run_with_dma(const uint8_t *end, const uint8_t *code)
{
	for (;;) {
		int v = run_any();

		if (v != NO_VECTOR || regs().rip == CODE_AT + (uint64_t)(end - code))
			return v;
		m->ram[0x40001] = m->ram[0x5200];
		cpus_code_written(m->cpus, 0x40001, 1);
		cpus_nmi(m->cpus);
	}
}

CODE(returns, 64, "iretq");

static void code_written_in_any_way_is_what_runs_next(void **state)
{
	unsigned n, e, icount;

	(void)state;
	for (icount = 0; icount < 2; icount++)
		for (n = 0; n < ARRAY_SIZE(ways); n++) {
			fake_icount = icount;
			for (e = 0; e < 2; e++) {
				struct cpu_regs r;

				fake_engine = (enum cpu_engine)e;
				m = fake_machine_new(1, NULL);
				start64(ways[n].code, ways[n].end);
				PUT_CODE(m, 0x40000, returns_1);
				PUT_CODE(m, HANDLERS_AT + 0x1800, returns);
				fake_gate(m, 2, FAKE_CS64, HANDLERS_AT + 0x1800, 14, 0);
				put_le64(m->ram + 0x9008, 0xb007);
				memset(m->ram + 0xb000, 0, 0x2000);
				put_le64(m->ram + 0xb000, 0xc007);
				put_le64(m->ram + 0xc000, 0x40007);
				r = regs();
				r.gpr[9] = 0x40000;
				r.gpr[10] = 0x40000000;
				r.cr4 |= 0x40600;
				cpu_set_regs(m->cpu, &r);
				m->cpu->s.xcr0 = 7;
				m->cpu->s.fpu.fcw = 0x37f;
				cpu_mode_changed(m->cpu);
				keep((enum cpu_engine)e, run_with_dma(ways[n].end, ways[n].code));
				fake_machine_free(m);
			}
			if (first_difference())
				fail_msg("by %s: %s", ways[n].name, first_difference());
			if (vector_of[0] != NO_VECTOR)
				fail_msg("by %s: vector %d", ways[n].name, vector_of[0]);
			assert_true(regs_of[0].gpr[3] != 0);
		}
}

/* Data behind code in the same page. */
CODE(mixed, 64, "mov ecx, 20000\n 1: inc dword ptr [0x10300]\n mov [0x10400], ecx\n add [0x10440], rcx\n dec ecx\n"
     "jnz 1b\n hlt");

static void data_beside_code_costs_no_translation_each_time(void **state)
{
	const struct xlat_counts *count;

	(void)state;
	fake_icount = false;
	fake_engine = CPU_XLAT;
	m = fake_machine_new(1, NULL);
	START64(mixed);
	count = &m->cpu->x->count;
	memset(m->ram + CODE_AT + 0x300, 0, 0x200);
	assert_int_equal(cpu_run(m->cpu, INT64_MAX), CPU_EXIT_HALT);
	assert_int_equal(regs().rip, CODE_AT + (uint64_t)(mixed_end - mixed));
	assert_int_equal(le64(m->ram + 0x10440), 20000ull * 20001 / 2);
	assert_true(count->blocks < 50);
	assert_true(count->drops < 50);
	fake_machine_free(m);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_none, teardown_none)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_ENGINES(a_used_up_budget_comes_before_the_next_fetchs_fault, NULL, NULL),
		TEST(flags_outlive_an_access_that_a_handler_does),
		ON_BOTH_ENGINES(a_host_that_lets_nothing_be_executed_says_so_and_has_the_interpreter, NULL, NULL),
		TEST(a_page_that_becomes_nx_is_not_executed_again),
			TEST(an_interrupt_at_any_instruction_of_a_block_is_the_same),
		TEST(code_written_in_any_way_is_what_runs_next), TEST(data_beside_code_costs_no_translation_each_time),
	};

	(void)run;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
