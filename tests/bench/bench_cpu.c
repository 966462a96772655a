/* SPDX-License-Identifier: MIT */
/*
 * Guest instructions per second of the interpreter on a few loops in flat 64-bit code: registers only, memory, calls,
 * branches that are hard to foretell, string copies.  Prints one line each: "name MIPS".
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "tests/fake/fake_machine.h"
#include "tests/fake/guest_code.h"

CODE(bench_sum, 64, "mov rcx, r8\n 1: add rax, rcx\n xor rax, rdx\n lea rdx, [rdx + rax * 2 + 5]\n dec rcx\n jnz 1b\n hlt");
CODE(bench_memory, 64, "mov rcx, r8\n mov esi, 0x100000\n 1: mov eax, ecx\n and eax, 0xffff\n mov edx, [rsi + rax * 4]\n add edx, 1\n"
     "mov [rsi + rax * 4], edx\n dec rcx\n jnz 1b\n hlt");
CODE(bench_call, 64, "mov rcx, r8\n 1: push rcx\n call 2f\n pop rcx\n dec rcx\n jnz 1b\n hlt\n"
     "2: push rbp\n mov rbp, rsp\n add rax, [rbp + 16]\n leave\n ret");
CODE(bench_branch, 64, "mov rcx, r8\n mov rax, 12345\n 1: imul rax, rax, 1103515245\n add rax, 12345\n test eax, 0x10000\n jz 2f\n inc rbx\n"
     "2: cmp eax, 0x40000000\n ja 3f\n inc rdx\n 3: dec rcx\n jnz 1b\n hlt");
CODE(bench_sieve, 64, "mov r10, r8\n 5: mov edi, 0x100000\n mov ecx, 8192\n xor eax, eax\n rep stosb\n mov esi, 2\n"
     "1: cmp byte ptr [0x100000 + rsi], 0\n jne 3f\n lea edi, [rsi + rsi]\n 2: cmp edi, 8192\n jae 3f\n mov byte ptr [0x100000 + rdi], 1\n"
     "add edi, esi\n jmp 2b\n 3: inc esi\n cmp esi, 8192\n jb 1b\n dec r10\n jnz 5b\n hlt");
CODE(bench_generic, 64, "mov rcx, r8\n 1: bswap rax\n adc rax, rdx\n shld rax, rdx, 5\n bsf rbx, rcx\n dec rcx\n jnz 1b\n hlt");

static const struct {
	const char *name;
	const uint8_t *code, *end;
	uint64_t rounds;
} works[] = {
	{ "sum", bench_sum, bench_sum_end, 20000000 }, { "memory", bench_memory, bench_memory_end, 20000000 },
	{ "call", bench_call, bench_call_end, 10000000 }, { "branch", bench_branch, bench_branch_end, 10000000 },
	{ "sieve", bench_sieve, bench_sieve_end, 1000 }, { "generic", bench_generic, bench_generic_end, 5000000 },
};

int main(int argc, char **argv)
{
	struct fake_machine *m = fake_machine_new(1, NULL);
	size_t k;

	for (k = 0; k < ARRAY_SIZE(works); k++) {
		struct timespec a, b;
		struct cpu_regs r;
		uint64_t before;
		double s;

		if (argc > 1 && strcmp(argv[1], works[k].name))
			continue;
		fake_machine_long(m, 0x10000, 0x80000);
		fake_code(m, 0x10000, works[k].code, (size_t)(works[k].end - works[k].code));
		cpu_get_regs(m->cpu, &r);
		r.gpr[8] = works[k].rounds;
		cpu_set_regs(m->cpu, &r);
		before = cpu_instructions(m->cpu);
		clock_gettime(CLOCK_MONOTONIC, &a);
		cpu_run(m->cpu, UINT64_MAX);
		clock_gettime(CLOCK_MONOTONIC, &b);
		s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9;
		printf("%-10s %8.1f MIPS\n", works[k].name, (double)(cpu_instructions(m->cpu) - before) / s / 1e6);
	}
	fake_machine_free(m);
	return 0;
}
