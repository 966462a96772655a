/* SPDX-License-Identifier: MIT */
/*
 * Runs code on the host's processor from a given state and catches the exception that ends it.
 *
 * Both ways through a signal frame: the handler of UD2 exchanges the frame's registers for the case's and returns
 * into the code; the exception's handler takes the registers out of its frame and puts the saved ones back.  The
 * kernel loads every register, CS and SS included, so 32-bit code and 16-bit code (segments by modify_ldt) run the
 * same way.  DS and ES are ours to load; FS and GS stay the host's.
 */
#include "tests/diff/diff.h"

#include <asm/ldt.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int greg_of[16] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};
enum { XSTATE_MAX = 16384, SW_RESERVED = 464 };

static struct {
	bool inside;
	unsigned mode;
	struct diff_state *s;
	gregset_t gregs;
	uint8_t fp[XSTATE_MAX] __attribute__((aligned(64)));
	size_t fp_size;
} run;

static size_t frame_size(const uint8_t *fp)
{
	uint32_t magic, size;

	memcpy(&magic, fp + SW_RESERVED, 4);
	memcpy(&size, fp + SW_RESERVED + 16, 4);        /* xstate_size */
	return magic == 0x46505853 && size <= XSTATE_MAX ? size : 512;
}

static void enter(ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;
	uint8_t *fp = (uint8_t *)uc->uc_mcontext.fpregs;
	struct fpu_area *area = (struct fpu_area *)fp;
	const struct diff_state *s = run.s;
	uint64_t cs = run.mode == 64 ? GDT_CODE64 : run.mode == 32 ? GDT_CODE32 : LDT_CODE16;
	uint64_t ss = run.mode == 16 ? LDT_DATA16 : GDT_DATA;

	g[UCONTEXT_RIP] += 2;
	memcpy(run.gregs, g, sizeof(run.gregs));
	run.fp_size = frame_size(fp);
	memcpy(run.fp, fp, run.fp_size);
	for (unsigned n = 0; n < 16; n++)
		g[greg_of[n]] = (greg_t)s->gpr[n];
	g[UCONTEXT_RIP] = (greg_t)s->rip;
	g[REG_EFL] = (greg_t)s->rflags;
	g[REG_CSGSFS] = (greg_t)(cs | ss << 48);
	memcpy(fp, &s->fpu, 416);
	if (run.fp_size >= sizeof(struct fpu_area)) {
		memcpy(area->ymm_hi, s->fpu.ymm_hi, sizeof(area->ymm_hi));
		area->xstate_bv |= 7;
	}
	run.inside = true;
}

static void handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *g = uc->uc_mcontext.gregs;
	uint8_t *fp = (uint8_t *)uc->uc_mcontext.fpregs;
	struct diff_state *s = run.s;

	(void)info;
	if (!run.inside) {
		if (sig != SIGILL || !s)
			_exit(97);
		enter(uc);
		return;
	}
	run.inside = false;
	for (unsigned n = 0; n < 16; n++)
		s->gpr[n] = (uint64_t)g[greg_of[n]];
	s->rip = (uint64_t)g[UCONTEXT_RIP];
	s->rflags = (uint64_t)g[REG_EFL];
	s->vector = sig == SIGALRM ? 255 : (int)g[REG_TRAPNO];
	s->error = (uint32_t)g[REG_ERR];
	s->cr2 = (uint64_t)g[REG_CR2];
	memcpy(&s->fpu, fp, 416);
	if (run.fp_size >= sizeof(struct fpu_area))
		memcpy(s->fpu.ymm_hi, ((struct fpu_area *)fp)->ymm_hi, sizeof(s->fpu.ymm_hi));
	memcpy(g, run.gregs, sizeof(run.gregs));
	memcpy(fp, run.fp, run.fp_size);
}

static uint8_t *map(uintptr_t at, size_t len, int prot)
{
	void *p = mmap((void *)at, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);

	return p == (void *)at ? p : NULL;
}

static bool segment16(unsigned entry, unsigned base, bool code)
{
	struct user_desc d = {
		.entry_number = entry, .base_addr = base, .limit = 0xffff,
		.contents = code ? MODIFY_LDT_CONTENTS_CODE : MODIFY_LDT_CONTENTS_DATA,
	};

	return syscall(SYS_modify_ldt, 0x11, &d, sizeof(d)) == 0;
}

void native_arm(void)
{
	static const int signals[] = { SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGTRAP, SIGALRM };
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	for (size_t n = 0; n < ARRAY_SIZE(signals); n++)
		sigaction(signals[n], &sa, NULL);
}

bool native_init(const char **why)
{
	static uint8_t stack_memory[1 << 16];
	stack_t stack = { .ss_size = sizeof(stack_memory), .ss_sp = stack_memory };

	if (!map(CODE_BASE, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC) ||
	    !map(DATA_BASE, DATA_SIZE, PROT_READ | PROT_WRITE)) {
		*why = "the addresses of the test pages are taken, or executable pages refused";
		return false;
	}
	if (!segment16(0, CODE_BASE, true) || !segment16(1, DATA_BASE, false)) {
		*why = "modify_ldt refused";
		return false;
	}
	if (sigaltstack(&stack, NULL)) {
		*why = "no signal stack";
		return false;
	}
	native_arm();
	return true;
}

void native_seal(const uint8_t *data)
{
	memset(native_code(), 0xcc, CODE_SIZE);
	memcpy(native_data(), data, DATA_SIZE);
	mprotect(native_data() + DATA_WRITABLE, DATA_SIZE - DATA_WRITABLE, PROT_READ);
}

uint8_t *native_code(void) { return (uint8_t *)(uintptr_t)CODE_BASE; }
uint8_t *native_data(void) { return (uint8_t *)(uintptr_t)DATA_BASE; }

void native_run(unsigned mode, struct diff_state *s)
{
	uint16_t ds = mode == 16 ? LDT_DATA16 : GDT_DATA;

	run.mode = mode;
	run.s = s;
	asm volatile("mov %0, %%ds\n\tmov %0, %%es\n\tud2" : : "r"((uint32_t)ds) : "memory", "cc");
	run.s = NULL;
}
