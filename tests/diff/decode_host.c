/* SPDX-License-Identifier: MIT */
/*
 * The decoder against the host processor: does it raise #UD where we say so, and are instructions as long as we say?
 * Random instructions run one at a time, in 64-bit or 32-bit code, with the trap flag set and every fault caught.
 *   decode_host MODE SEED COUNT        MODE 64 or 32
 * Prints what differs.  Accepted: #UD here for what the host has and no CPU model offers (AVX-512's opmasks, GFNI,
 * VAES, SSE4A, SVM, CLZERO ...), and lengths of what the host's kernel emulates (SGDT SIDT SLDT STR SMSW under UMIP).
 * Left out: what would leave the process or the code (system calls, far transfers, segment loads).
 */
#define REG_RIP INSN_REG_RIP            /* <ucontext.h> has one too */
#include "cpu/insn.h"
#undef REG_RIP

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "base/bytes.h"
#include "cpu/model.h"

enum { CASE_BYTES = 15, CODE = 0x10000000, DATA = 0x20000000, DATA_SIZE = 0x40000, USER32_CS = 0x23 };

static unsigned mode;
static uint64_t seed;
static gregset_t before;
static volatile int caught;
static volatile uint64_t rip_after;

static uint32_t random32(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed * 0x2545f4914f6cdd1dull) >> 32;
}

/* SIGUSR1: go to the code with every register pointing into the data. */
static void enter(int signal, siginfo_t *info, void *context)
{
	greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
	unsigned n;

	(void)signal;
	(void)info;
	memcpy(before, g, sizeof(before));
	for (n = REG_R8; n <= REG_RSP; n++)
		g[n] = DATA + DATA_SIZE / 2;
	g[REG_RCX] = 1;
	g[REG_RIP] = CODE;
	g[REG_EFL] |= 0x100;            /* TF */
	if (mode == 32)
		g[REG_CSGSFS] = (g[REG_CSGSFS] & ~0xffffll) | USER32_CS;
}

/* Whatever ends the instruction: back to where SIGUSR1 was raised. */
static void leave(int signal, siginfo_t *info, void *context)
{
	greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)info;
	caught = signal;
	rip_after = g[REG_RIP];
	memcpy(g, before, sizeof(before));
}

static void set_up(void)
{
	static const int ends[] = { SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGTRAP };
	stack_t stack = { .ss_sp = malloc(1 << 20), .ss_size = 1 << 20 };
	struct sigaction action = { .sa_sigaction = enter, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	unsigned n;

	if (!stack.ss_sp || sigaltstack(&stack, NULL) ||
	    mmap((void *)(uintptr_t)CODE, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS |
		 MAP_FIXED_NOREPLACE,
		 -1, 0) == MAP_FAILED ||
	    mmap((void *)(uintptr_t)DATA, DATA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		 MAP_FIXED_NOREPLACE,
		 -1, 0) == MAP_FAILED) {
		perror("decode_host");
		exit(1);
	}
	sigaction(SIGUSR1, &action, NULL);
	action.sa_sigaction = leave;
	for (n = 0; n < ARRAY_SIZE(ends); n++)
		sigaction(ends[n], &action, NULL);
}

static void make_case(uint8_t *b)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x3e };
	unsigned n, kind = random32() % 8;

	for (n = 0; n < CASE_BYTES; n++)
		b[n] = random32();
	n = 0;
	if (random32() % 2)
		b[n++] = prefixes[random32() % sizeof(prefixes)];
	if (random32() % 6 == 0)
		b[n++] = prefixes[random32() % sizeof(prefixes)];
	if (kind < 3) {
		b[n++] = kind < 2 ? 0xc4 : 0xc5;
		if (kind < 2) {
			b[n] = (b[n] & 0xe0) | (1 + random32() % 3);
			if (random32() % 2)
				b[n + 1] |= 0x78;
		} else if (random32() % 2) {
			b[n] |= 0x78;
		}
		if (mode == 32)
			b[n] |= 0xc0;
		return;
	}
	if (mode == 64 && random32() % 2)
		b[n++] = 0x40 | (random32() & 15);
	if (kind < 7)
		b[n++] = 0x0f;
	if (kind == 5 || kind == 6)
		b[n++] = random32() % 4 ? 0x38 : 0x3a;
	if (random32() % 3 == 0)
		b[n + 1] |= 0xc0;
}

static bool left_out(const struct insn *i)
{
	switch (i->op) {
	case OP_SYSCALL: case OP_SYSENTER: case OP_INT: case OP_INT1: case OP_INT3: case OP_INTO: case OP_IRET:
	case OP_POPF:
	case OP_CALLF: case OP_JMPF: case OP_RETF: case OP_CALL: case OP_JMP: case OP_RET: case OP_WRFSBASE:
	case OP_WRGSBASE:
	case OP_LDS: case OP_LES: case OP_LFS: case OP_LGS: case OP_LSS: case OP_UD0: case OP_UD1: case OP_UD2:
		return true;
	case OP_RSM: case OP_CLAC: case OP_STAC: case OP_MWAIT: case OP_MONITOR:        /* #UD outside SMM, at CPL 3 */
		return true;
	/* up to the host's hypervisor */
	case OP_VMCALL: case OP_VMMCALL:
		return true;
	/* the host's kernel emulates them */
	case OP_SGDT: case OP_SIDT: case OP_SLDT: case OP_STR: case OP_SMSW:
		return true;
	case OP_MOV: case OP_POP: return i->o[0].kind == OPD_SEG;
	}
	return i->rep && (i->traits & INSN_STRING);             /* traps after each round, at its own address */
}

static bool agrees(const uint8_t *bytes, struct insn *i)
{
	uint8_t *code = (uint8_t *)(uintptr_t)CODE;

	memset(code, 0x90, 64);
	memcpy(code, bytes, CASE_BYTES);
	caught = 0;
	raise(SIGUSR1);
	if (caught == SIGILL)
		return i->op == OP_INVALID;
	if (i->op == OP_INVALID)
		return false;
	return caught != SIGTRAP || (i->traits & INSN_ENDS_BLOCK) || rip_after == (uint64_t)CODE + i->len;
}

int main(int argc, char **argv)
{
	unsigned long count, n, differ = 0;
	struct cpu_model model;

	if (argc != 4 || (strcmp(argv[1], "64") && strcmp(argv[1], "32"))) {
		fprintf(stderr, "usage: %s 64|32 SEED COUNT\n", argv[0]);
		return 2;
	}
	mode = atoi(argv[1]);
	seed = strtoull(argv[2], NULL, 0) * 0x9e3779b97f4a7c15ull | 1;
	count = strtoul(argv[3], NULL, 0);
	if (!cpu_model_init(&model, "max", NULL, 1, 1000000000, NULL))
		return 1;
	set_up();
	for (n = 0; n < count; n++) {
		uint8_t bytes[CASE_BYTES];
		struct insn i;
		char text[96];
		unsigned k;

		make_case(bytes);
		if (insn_decode(&i, bytes, sizeof(bytes), mode) != DECODE_OK)
			continue;
		cpuid_gate(&model, &i);
		if (left_out(&i) || agrees(bytes, &i))
			continue;
		differ++;
		insn_text(&i, CODE, text, sizeof(text));
		for (k = 0; k < CASE_BYTES; k++)
			printf("%02x ", bytes[k]);
		printf(": signal %d, %d bytes; tenbox: %d, %s\n", caught, (int)(rip_after - CODE), i.len, text);
		fflush(stdout);
	}
	printf("%lu of %lu differ\n", differ, count);
	return 0;
}
