/* SPDX-License-Identifier: MIT */
/*
 * What the translator asks the operating system for: code memory (one mapping that is written, another that is executed),
 * the GS base, and signals.
 *
 * Translated code asks nobody whether something is pending; who wants its attention sends a signal.  The handler leads
 * it out: at once if the guest instruction that it interrupted has not changed anything yet, otherwise by single steps of
 * the host to where the next one begins.  Faults of the host's own (#DE, and #GP by a misaligned operand) are the
 * guest's: the instruction goes to the interpreter, which raises them as they should be.
 */
#define REG_RIP UCONTEXT_RIP            /* the decoder has one too */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#undef REG_RIP

#include <asm/prctl.h>

#include "base/log.h"
#include "cpu/xlat/run.h"
#include "cpu/xlat/xlat.h"

enum { SIG_ATTENTION = SIGUSR2, EFLAGS_TF = 0x100 };

static _Thread_local struct cpu *running;       /* whose GS base and signals this thread has */

/* --- code memory ------------------------------------------------------------------------------------------------ */

/*
 * Anonymous shared memory, mapped a second time by mremap() from length 0: perf takes it for code made at run time (it shows as
 * /dev/zero), and no descriptor or memfd is needed.
 */
bool host_code_new(struct xlat *x, size_t size, struct err *err)
{
	void *rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *rx;

	if (rw == MAP_FAILED)
		return err_errno(err, errno, "no memory for translated code");
	rx = mremap(rw, 0, size, MREMAP_MAYMOVE);
	if (rx == MAP_FAILED) {
		err_errno(err, errno, "no memory for translated code: mremap");
		munmap(rw, size);
		return false;
	}
	if (mprotect(rx, size, PROT_READ | PROT_EXEC) < 0) {
		err_errno(err, errno, "this host does not let memory be executed: mprotect");
		munmap(rw, size);
		munmap(rx, size);
		return false;
	}
	x->rw = rw;
	x->rx = rx;
	x->size = (uint32_t)size;
	return true;
}

void host_code_free(struct xlat *x)
{
	if (x->rw)
		munmap(x->rw, x->size);
	if (x->rx)
		munmap(x->rx, x->size);
}

/* The pages stay in the other mapping: what is counted twice as ours need not be. */
void host_code_rest(struct xlat *x, uint32_t from, uint32_t to)
{
	madvise(x->rw + from, to - from, MADV_DONTNEED);
}

/* --- signals ---------------------------------------------------------------------------------------------------- */

/* The guest instruction whose code holds the offset; -1: none (before the first, or behind the block). */
static int insn_at(const struct xblock *b, uint32_t offset)
{
	unsigned low = 0, high = b->b.n;

	if (offset < b->host || offset - b->host >= b->site[b->b.n].host)
		return -1;
	offset -= b->host;
	while (high - low > 1) {
		unsigned mid = (low + high) / 2;

		if (b->site[mid].host <= offset)
			low = mid;
		else
			high = mid;
	}
	return (int)low;
}

static void lead_out(const struct xlat *x, greg_t *r, const struct xblock *b, unsigned k, uint32_t stub)
{
	r[REG_R10] = (greg_t)((uint64_t)b->number << (ARG_INSN_BITS + ARG_SIZE_BITS) | k << ARG_SIZE_BITS);
	r[UCONTEXT_RIP] = (greg_t)(uintptr_t)xlat_rx(x, stub);
}

static bool in_code(const struct xlat *x, greg_t rip)
{
	return (uint64_t)rip - (uintptr_t)x->rx < x->size;
}

/* In code memory and attention is wanted.  True: on the way out; false: step on. */
static bool try_out(const struct xlat *x, greg_t *r)
{
	uint32_t at = (uint32_t)((uint64_t)r[UCONTEXT_RIP] - (uintptr_t)x->rx), off;
	const struct xblock *b = at >= x->first ? cache_block_at(x, at) : NULL;
	const struct site *s;
	int k = b ? insn_at(b, at) : -1;

	if (k < 0)
		return false;
	s = &b->site[k];
	off = at - b->host;
	if (off == s->host) {
		lead_out(x, r, b, (unsigned)k, s->saved ? x->stub.async_saved : x->stub.async_host);
		return true;
	}
	/* In the middle of REP: what is done is done, and the guest's registers follow from the host's. */
	if (s->rep && off == s->commit + (s->rep_source ? 2u : 1u) * SITE_ADD) {
		r[REG_RDI] -= r[REG_R10];
		if (s->rep_source)
			r[REG_RSI] -= r[REG_R9];
		lead_out(x, r, b, (unsigned)k, x->stub.async_saved);
		return true;
	}
	if (off >= s->roll_from && off <= s->roll_to) {
		lead_out(x, r, b, (unsigned)k, s->roll_saved ? x->stub.async_saved : x->stub.async_host);
		return true;
	}
	return false;
}

static void on_attention(int sig, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	struct cpu *c = running;

	(void)sig;
	(void)info;
	if (!c || !in_code(c->x, r[UCONTEXT_RIP]) || !atomic_load_explicit(&c->attention, memory_order_relaxed))
		return;
	if (!try_out(c->x, r))
		r[REG_EFL] |= EFLAGS_TF;
}

static struct sigaction old_trap, old_segv, old_bus, old_fpe;

/* Not ours: to whoever had the signal before. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *old = sig == SIGTRAP ? &old_trap : sig == SIGSEGV ? &old_segv : sig == SIGBUS ? &old_bus : &old_fpe;

	if (old->sa_flags & SA_SIGINFO && old->sa_sigaction)
		old->sa_sigaction(sig, info, context);
	else if (old->sa_handler != SIG_IGN && old->sa_handler != SIG_DFL)
		old->sa_handler(sig);
	else
		signal(sig, SIG_DFL);           /* and again */
}

static void on_step(int sig, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	struct cpu *c = running;

	if (!c || !(r[REG_EFL] & EFLAGS_TF)) {
		pass_on(sig, info, context);
		return;
	}
	if (!in_code(c->x, r[UCONTEXT_RIP]) || try_out(c->x, r))
		r[REG_EFL] &= ~(greg_t)EFLAGS_TF;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	struct cpu *c = running;
	const struct xblock *b;
	const struct site *s;
	uint32_t at;
	int k;

	if (!c || !in_code(c->x, r[UCONTEXT_RIP])) {
		pass_on(sig, info, context);
		return;
	}
	at = (uint32_t)((uint64_t)r[UCONTEXT_RIP] - (uintptr_t)c->x->rx);
	b = cache_block_at(c->x, at);
	k = b ? insn_at(b, at) : -1;
	s = k >= 0 ? &b->site[k] : NULL;
	if (!s || at - b->host != s->commit) {
		pass_on(sig, info, context);
		return;
	}
	c->x->cause = SLOW_HOST;
	c->x->cause_write = false;
	lead_out(c->x, r, b, (unsigned)k, s->commit_saved ? c->x->stub.slow_saved : c->x->stub.slow_host);
	r[REG_EFL] &= ~(greg_t)EFLAGS_TF;
}

static void take(int sig, void (*handler)(int, siginfo_t *, void *), struct sigaction *old)
{
	struct sigaction now, action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK | SA_NODEFER };

	sigemptyset(&action.sa_mask);
	if (sigaction(sig, &action, &now) == 0 && old && now.sa_sigaction != handler)
		*old = now;
}

void xlat_take_signals(void)
{
	take(SIG_ATTENTION, on_attention, NULL);
	take(SIGTRAP, on_step, &old_trap);
	take(SIGSEGV, on_fault, &old_segv);
	take(SIGBUS, on_fault, &old_bus);
	take(SIGFPE, on_fault, &old_fpe);
}

static void unblock(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIG_ATTENTION);
	sigaddset(&set, SIGTRAP);
	sigaddset(&set, SIGSEGV);
	sigaddset(&set, SIGBUS);
	sigaddset(&set, SIGFPE);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* --- threads ---------------------------------------------------------------------------------------------------- */

static void set_gs(struct cpu *c)
{
	bool fsgsbase = getauxval(AT_HWCAP2) >> 1 & 1;  /* HWCAP2_FSGSBASE */

	if (fsgsbase && !(c->all->config.without & HOST_FSGSBASE))
		__asm__ volatile("wrgsbase %0" : : "r"(c));
	else
		syscall(SYS_arch_prctl, ARCH_SET_GS, c);
}

void host_enter_thread(struct cpu *c)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (running == c)
		return;
	pthread_once(&once, xlat_take_signals);
	if (!running)
		unblock();
	running = c;
	set_gs(c);
	atomic_store(&c->xe.thread, (int)syscall(SYS_gettid));
}

void host_forget(struct cpu *c)
{
	if (running == c)
		running = NULL;
}

void xlat_interrupt(struct cpu *c)
{
	int thread = atomic_load(&c->xe.thread);

	if (thread && running != c)
		syscall(SYS_tgkill, getpid(), thread, SIG_ATTENTION);
}
