/* SPDX-License-Identifier: MIT */
/*
 * Who waits for whom: a processor's thread runs cpu_run until it is kicked, then looks at `park` (the loop thread
 * wants all of them to stand still) and `requests` (a reset or the end is near: do not run on).  A halted one sleeps
 * on its futex word `wake`, which every waker increments, until its own APIC deadline.  The loop thread sleeps in
 * loop_poll until the first of all deadlines; `until` says until when, and others wake it only if it is not 0. Order
 * of locks: the machine lock is never held while waiting for processors to park.
 *
 * The loop's work is done by who has the `turn`: the loop thread, unless it sleeps.  A processor that rings a bell while it
 * does answers the bell itself, if that is known to be quick (a card has a frame to send): a ping then comes back, and
 * iPXE has its next block, without that another thread runs at all.  An answer that takes long ends that for a while, so
 * that bulk is moved beside the processor and not by it.
 *
 * Before either sleeps it looks for a while whether it need not (emu/patience.h).
 */
#include "emu/run.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "emu/patience.h"
#include "emu/perfmap.h"

enum {
	REQUEST_RESET = 1, REQUEST_POWEROFF = 2, REQUEST_QUIT = 4,
	CPUS_MAX = 8,
	SLICE = 20000000,               /* instructions per cpu_run; kicks end it long before */
	ICOUNT_SLICE = 200000,          /* between looks at the host's descriptors */
	LOOKS = 32,                     /* between looks at the time */
	WAKE_ASLEEP = 1, WAKE_COUNT = 2,
};

#define QUICK US(25)                    /* an answer that takes longer belongs to the loop thread */
#define BULK_MIN MS(1)                  /* and so do the next ones, for so long: twice as long each time, up to */
#define BULK_MAX MS(64)

struct vcpu {
	struct run *run;
	struct cpu *cpu;
	pthread_t thread;
	_Atomic uint32_t wake;          /* futex; counts reasons to look again; bit 0: someone sleeps on it */
	struct patience patience;
	_Atomic uint64_t deadline;      /* of its APIC timer */
};

struct run {
	struct run_config cfg;
	struct run_machine machine;
	struct loop *loop;
	struct clock *clock, *loop_clock;
	struct port_guard guard;

	pthread_mutex_t turn;           /* to do the loop's work; taken before the machine lock */
	_Atomic uint64_t bulk_until;    /* answers belong to the loop thread */
	uint64_t bulk;                  /* for how long, the next time; under `turn` */
	pthread_mutex_t lock;           /* the machine lock */
	atomic_int loop_waits;          /* the loop thread stands in front of it: processors let it pass */

	struct vcpu vcpus[CPUS_MAX];
	unsigned count;
	pthread_mutex_t park_lock;
	pthread_cond_t parked_cond, go_cond;
	atomic_bool park, ending;
	unsigned parked, frozen;        /* frozen: depth of run_freeze; loop thread only */
	bool running, started;

	_Atomic uint64_t until;         /* when the loop wakes by itself; 0: it is awake */
	atomic_bool looking;            /* it sees `until` become 0 by itself */
	struct patience patience;
	_Atomic uint64_t stopped_at;    /* virtual time while it stands still, else CLOCK_NEVER */
	_Atomic uint64_t offset;        /* host monotonic minus virtual time */
	uint64_t skipped;               /* icount: idle time that was passed over */
	struct vcpu *current;           /* icount: who is in cpu_run */

	atomic_uint requests;
	atomic_int status;
	bool done;
};

static _Thread_local bool on_loop_thread;       /* or in its place */
static _Thread_local bool ringing;              /* in a doorbell, */
static _Thread_local uint64_t rung;             /* which set `until` to 0: what it was */

uint64_t run_now(void *run)
{
	struct run *r = run;
	uint64_t at;

	if (r->cfg.icount) {
		uint64_t n = 0;

		for (unsigned i = 0; i < r->count; i++)
			n += cpu_instructions(r->vcpus[i].cpu);
		return r->skipped + (n << r->cfg.icount_shift);
	}
	at = atomic_load_explicit(&r->stopped_at, memory_order_acquire);
	return at != CLOCK_NEVER ? at : clock_monotonic(NULL) - atomic_load_explicit(&r->offset, memory_order_relaxed);
}

/* Whoever sets `until` to 0 calls this. */
static void rouse(struct run *r)
{
	if (!atomic_load(&r->looking))
		loop_wake(r->loop);
}

/* A timer of the machine's clock moved forward, or a bell rang: any thread, the machine lock held or not. */
static void machine_earlier(void *owner)
{
	struct run *r = owner;
	uint64_t until;

	if (r->current)
		cpu_kick(r->current->cpu);      /* its budget reached to the old deadline */
	until = on_loop_thread ? 0 : atomic_exchange(&r->until, 0);
	if (until && ringing)
		rung = until;
	else if (until)
		rouse(r);
}

static void loop_earlier(void *owner)
{
	struct run *r = owner;

	if (r->current)
		cpu_kick(r->current->cpu);
}

void run_lock(struct run *r)
{
	if (on_loop_thread) {
		if (pthread_mutex_trylock(&r->lock) == 0)
			return;
		atomic_fetch_add(&r->loop_waits, 1);
		pthread_mutex_lock(&r->lock);
		atomic_fetch_sub(&r->loop_waits, 1);
		return;
	}
	/* A guest that hammers a register would otherwise take the lock again before the loop thread is awake. */
	while (atomic_load_explicit(&r->loop_waits, memory_order_relaxed))
		sched_yield();
	pthread_mutex_lock(&r->lock);
}

void run_unlock(struct run *r)
{
	pthread_mutex_unlock(&r->lock);
}

static void guard_enter(void *owner) { run_lock(owner); }
static void guard_leave(void *owner) { run_unlock(owner); }

struct run *run_new(const struct run_config *config, struct err *err)
{
	struct run *r = calloc(1, sizeof(*r));
	pthread_mutexattr_t attr;

	if (!r) {
		err_set(err, "out of memory");
		return NULL;
	}
	r->cfg = *config;
	r->loop = loop_new();
	if (!r->loop) {
		err_errno(err, errno, "cannot make the event loop");
		free(r);
		return NULL;
	}
	r->clock = clock_new(&(struct clock_config){ run_now, machine_earlier, r });
	r->loop_clock = clock_new(&(struct clock_config){ run_now, loop_earlier, r });
	r->bulk = BULK_MIN;
	r->guard = (struct port_guard){ guard_enter, guard_leave, r };
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(&r->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	pthread_mutex_init(&r->turn, NULL);
	pthread_mutex_init(&r->park_lock, NULL);
	pthread_cond_init(&r->parked_cond, NULL);
	pthread_cond_init(&r->go_cond, NULL);
	atomic_store(&r->stopped_at, 0);        /* virtual time begins with the first run */
	atomic_store(&r->park, true);
	on_loop_thread = true;
	return r;
}

void run_free(struct run *r)
{
	if (!r)
		return;
	clock_free(r->clock);
	clock_free(r->loop_clock);
	loop_free(r->loop);
	pthread_cond_destroy(&r->go_cond);
	pthread_cond_destroy(&r->parked_cond);
	pthread_mutex_destroy(&r->park_lock);
	pthread_mutex_destroy(&r->turn);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void run_attach(struct run *r, const struct run_machine *machine)
{
	r->machine = *machine;
	r->count = cpus_count(machine->cpus);
	assert(r->count >= 1 && r->count <= CPUS_MAX);
	for (unsigned i = 0; i < r->count; i++) {
		struct vcpu *v = &r->vcpus[i];

		v->run = r;
		v->cpu = cpus_get(machine->cpus, i);
		if (!atomic_load(&v->deadline))         /* the processor may have armed it while it was made */
			atomic_store(&v->deadline, CLOCK_NEVER);
	}
}

struct loop *run_loop(struct run *r) { return r->loop; }
struct clock *run_clock(struct run *r) { return r->clock; }
struct clock *run_loop_clock(struct run *r) { return r->loop_clock; }
const struct port_guard *run_guard(struct run *r) { return &r->guard; }
bool run_running(const struct run *r) { return r->running; }
void run_wake(struct run *r) { loop_wake(r->loop); }

/* --- the processors' side --------------------------------------------------------------------------------------- */

static struct vcpu *vcpu_of(struct run *r, struct cpu *c)
{
	for (unsigned i = 0; i < r->count; i++)
		if (r->vcpus[i].cpu == c)
			return &r->vcpus[i];
	return NULL;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When the first of the processors' timers is due. */
static uint64_t vcpu_deadline(struct run *r)
{
	uint64_t first = CLOCK_NEVER;

	for (unsigned i = 0; i < r->count; i++)
		first = earlier(first, atomic_load(&r->vcpus[i].deadline));
	return first;
}

/*
 * With the turn: answer the bells in the loop thread's place, which sleeps until `until`.  False: it has to wake, for it would
 * sleep too long.
 */
static bool answer_bells(struct run *r, uint64_t until)
{
	uint64_t began = clock_monotonic(NULL), next;
	bool enough;

	on_loop_thread = true;
	run_lock(r);
	clock_answer(r->clock);
	next = clock_deadline(r->clock);
	run_unlock(r);
	next = earlier(next, clock_deadline(r->loop_clock));
	if (clock_monotonic(NULL) - began <= QUICK) {
		r->bulk = MAX(r->bulk / 2, BULK_MIN);
	} else {
		atomic_store(&r->bulk_until, began + r->bulk);
		r->bulk = MIN(r->bulk * 2, BULK_MAX);
	}
	enough = next >= until;
	if (enough) {
		/* Publish, then look again: who came meanwhile saw 0 and woke nobody. */
		atomic_store(&r->until, until);
		run_lock(r);
		next = clock_deadline(r->clock);
		run_unlock(r);
		enough = earlier(next, vcpu_deadline(r)) >= until || !atomic_exchange(&r->until, 0);
	}
	on_loop_thread = false;
	return enough;
}

/* A doorbell has set `until` to 0. */
static void rang(struct run *r, uint64_t until)
{
	bool done = false;

	if (!atomic_load(&r->looking) && !atomic_load(&r->requests) &&
	    clock_monotonic(NULL) >= atomic_load_explicit(&r->bulk_until, memory_order_relaxed) && pthread_mutex_trylock(&r->turn) == 0) {
		done = clock_quick(r->clock) && answer_bells(r, until);
		pthread_mutex_unlock(&r->turn);
	}
	if (!done)
		rouse(r);
}

/* True: the store was to a doorbell, and is done. */
static bool doorbell(struct run *r, struct bus *bus, uint64_t at, uint64_t value, unsigned size)
{
	uint64_t until;
	bool is;

	ringing = true;
	is = bus_doorbell(bus, at, value, size);
	ringing = false;
	until = rung;
	rung = 0;
	if (until)
		rang(r, until);
	return is;
}

static uint64_t op_mem_read(void *owner, uint64_t gpa, unsigned size)
{
	struct run *r = owner;
	uint64_t v;

	run_lock(r);
	v = bus_read(r->machine.memory, gpa, size);
	run_unlock(r);
	return v;
}

static void op_mem_write(void *owner, uint64_t gpa, uint64_t value, unsigned size)
{
	struct run *r = owner;

	if (doorbell(r, r->machine.memory, gpa, value, size))
		return;
	run_lock(r);
	bus_write(r->machine.memory, gpa, value, size);
	run_unlock(r);
}

static uint32_t op_io_read(void *owner, uint16_t port, unsigned size)
{
	struct run *r = owner;
	uint64_t v;

	run_lock(r);
	v = bus_read(r->machine.ports, port, size);
	run_unlock(r);
	return (uint32_t)v;
}

static void op_io_write(void *owner, uint16_t port, uint32_t value, unsigned size)
{
	struct run *r = owner;

	if (doorbell(r, r->machine.ports, port, value, size))
		return;
	run_lock(r);
	bus_write(r->machine.ports, port, value, size);
	run_unlock(r);
}

static bool op_page(void *owner, uint64_t gpa, struct cpu_page *page)
{
	struct run *r = owner;
	struct bus_page p;

	if (!bus_page(r->machine.memory, gpa, &p))
		return false;
	*page = (struct cpu_page){ p.host, p.writable };
	return true;
}

static void op_mark_code(void *owner, uint64_t gpa, bool code)
{
	struct run *r = owner;

	bus_mark_code(r->machine.memory, gpa, code);
}

static int op_int_ack(void *owner)
{
	struct run *r = owner;
	int vector;

	run_lock(r);
	vector = r->machine.int_ack(r->machine.owner);
	run_unlock(r);
	return vector;
}

static void op_apic_eoi(void *owner, uint8_t vector)
{
	struct run *r = owner;

	run_lock(r);
	r->machine.apic_eoi(r->machine.owner, vector);
	run_unlock(r);
}

static void op_ferr(void *owner)
{
	struct run *r = owner;

	run_lock(r);
	r->machine.ferr(r->machine.owner);
	run_unlock(r);
}

static void op_deadline(void *owner, struct cpu *c, uint64_t ns)
{
	struct run *r = owner;
	struct vcpu *v = vcpu_of(r, c);

	if (!v)
		return;
	atomic_store(&v->deadline, ns);
	if (r->cfg.icount) {
		if (r->current)
			cpu_kick(r->current->cpu);
	} else if (ns < atomic_load(&r->until) && atomic_exchange(&r->until, 0)) {
		rouse(r);
	}
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, (uint32_t *)word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void wake_vcpu(struct vcpu *v)
{
	uint32_t old = atomic_load(&v->wake);

	while (!atomic_compare_exchange_weak(&v->wake, &old, (old & ~(uint32_t)WAKE_ASLEEP) + WAKE_COUNT))
		;
	if (old & WAKE_ASLEEP)
		futex_wake(&v->wake);
}

static void op_wake(void *owner, struct cpu *c)
{
	struct run *r = owner;
	struct vcpu *v = vcpu_of(r, c);

	if (v)
		wake_vcpu(v);
}

static uint64_t op_wall(void *owner)
{
	struct run *r = owner;

	return r->machine.wall_ns;
}

static void op_code_made(void *owner, const void *host, size_t size, uint64_t rip)
{
	struct run *r = owner;

	if (r->cfg.perfmap)
		perfmap_add(r->cfg.perfmap, host, size, rip);
}

/* The engines of -accel xlat,verify= do not agree: nothing behind this would mean anything. */
static void op_differs(void *owner, const char *line)
{
	if (line)
		fprintf(stderr, "tenbox: %s\n", line);
	else
		run_request_quit(owner, 1);
}

const struct cpu_ops *run_cpu_ops(void)
{
	static const struct cpu_ops ops = {
		.mem_read = op_mem_read, .mem_write = op_mem_write, .io_read = op_io_read, .io_write = op_io_write,
		.page = op_page, .mark_code = op_mark_code, .int_ack = op_int_ack, .now = run_now, .deadline = op_deadline,
		.wake = op_wake, .apic_eoi = op_apic_eoi, .wall = op_wall, .ferr = op_ferr,
		.code_made = op_code_made, .differs = op_differs,
	};
	return &ops;
}

/* A moment of looking. */
static void relax(void)
{
	__builtin_ia32_pause();
}

/* Whether v has a reason to go on; `seen`: its `wake` when it came. */
static bool halt_over(struct vcpu *v, uint32_t seen, bool dead)
{
	return atomic_load(&v->run->park) || atomic_load(&v->wake) != seen || (!dead && cpu_runnable(v->cpu));
}

/* True: no sleep is needed. */
static bool look_around(struct vcpu *v, uint32_t seen, uint64_t began)
{
	uint64_t end = began + v->patience.ns;

	patience_begin(&v->patience, began);
	do {
		for (unsigned i = 0; i < LOOKS; i++) {
			if (atomic_load_explicit(&v->wake, memory_order_acquire) != seen)
				return true;
			relax();
		}
	} while (patience_lasts(&v->patience, clock_monotonic(NULL), end) && atomic_load(&v->deadline) > run_now(v->run));
	return false;
}

/* Sleep until someone wakes v or its timer is due.  `dead`: after a triple fault nothing but the loop thread helps. */
static void halt(struct vcpu *v, bool dead)
{
	struct run *r = v->run;
	uint32_t seen = atomic_load(&v->wake);
	uint64_t began = clock_monotonic(NULL);

	if (halt_over(v, seen, dead))
		return;
	if (v->patience.ns && !dead && look_around(v, seen, began))
		return;
	if (atomic_compare_exchange_strong(&v->wake, &seen, seen | WAKE_ASLEEP)) {
		seen |= WAKE_ASLEEP;
		while (!halt_over(v, seen, dead)) {
			uint64_t deadline = atomic_load(&v->deadline), now = run_now(r);
			struct timespec ts;

			if (!dead && deadline <= now) {
				cpu_kick(v->cpu);
				break;
			}
			deadline = dead || deadline - now > S(3600) ? S(3600) : deadline - now;
			ts = (struct timespec){ (time_t)(deadline / 1000000000), (long)(deadline % 1000000000) };
			syscall(SYS_futex, (uint32_t *)&v->wake, FUTEX_WAIT_PRIVATE, seen, &ts, NULL, 0);
		}
		atomic_fetch_and(&v->wake, ~(uint32_t)WAKE_ASLEEP);
	}
	patience_learn(&v->patience, began, clock_monotonic(NULL));
}

static void park(struct run *r)
{
	pthread_mutex_lock(&r->park_lock);
	r->parked++;
	pthread_cond_signal(&r->parked_cond);
	while (atomic_load(&r->park) && !atomic_load(&r->ending))
		pthread_cond_wait(&r->go_cond, &r->park_lock);
	r->parked--;
	pthread_mutex_unlock(&r->park_lock);
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *v = arg;
	struct run *r = v->run;

	while (!atomic_load(&r->ending)) {
		enum cpu_exit e;

		if (atomic_load(&r->park)) {
			park(r);
			continue;
		}
		if (atomic_load(&r->requests)) {        /* the machine is about to be reset or to end */
			halt(v, true);
			continue;
		}
		e = cpu_run(v->cpu, SLICE);
		if (e == CPU_EXIT_SHUTDOWN)
			run_request_reset(r);
		else if (e == CPU_EXIT_HALT)
			halt(v, false);
	}
	return NULL;
}

/* --- the loop thread -------------------------------------------------------------------------------------------- */

static void request(struct run *r, unsigned what)
{
	atomic_fetch_or(&r->requests, what);
	if (r->started && r->machine.cpus)
		for (unsigned i = 0; i < r->count; i++)
			cpu_kick(r->vcpus[i].cpu);
	loop_wake(r->loop);
}

void run_request_reset(struct run *r) { request(r, REQUEST_RESET); }
void run_request_poweroff(struct run *r) { request(r, REQUEST_POWEROFF); }

void run_request_quit(struct run *r, int status)
{
	atomic_store(&r->status, status);
	request(r, REQUEST_QUIT);
}

bool run_ending(const struct run *r)
{
	return r->done || atomic_load(&r->requests) & REQUEST_QUIT;
}

void run_freeze(struct run *r)
{
	if (r->frozen++ || !r->running || r->cfg.icount || !r->started)
		return;
	atomic_store(&r->park, true);
	for (unsigned i = 0; i < r->count; i++) {
		cpu_kick(r->vcpus[i].cpu);
		wake_vcpu(&r->vcpus[i]);
	}
	pthread_mutex_lock(&r->park_lock);
	while (r->parked < r->count)
		pthread_cond_wait(&r->parked_cond, &r->park_lock);
	pthread_mutex_unlock(&r->park_lock);
}

void run_thaw(struct run *r)
{
	assert(r->frozen);
	if (--r->frozen || !r->running || r->cfg.icount || !r->started)
		return;
	pthread_mutex_lock(&r->park_lock);
	atomic_store(&r->park, false);
	pthread_cond_broadcast(&r->go_cond);
	pthread_mutex_unlock(&r->park_lock);
}

void run_stop(struct run *r)
{
	if (!r->running)
		return;
	run_freeze(r);
	r->running = false;
	r->frozen--;
	if (!r->cfg.icount)
		atomic_store(&r->stopped_at, clock_monotonic(NULL) - atomic_load(&r->offset));
}

void run_cont(struct run *r)
{
	if (r->running)
		return;
	if (!r->cfg.icount) {
		atomic_store(&r->offset, clock_monotonic(NULL) - atomic_load(&r->stopped_at));
		atomic_store(&r->stopped_at, CLOCK_NEVER);
	}
	r->running = true;
	r->frozen++;
	run_thaw(r);
}

static void reset(struct run *r)
{
	struct err err;
	bool ok;

	run_freeze(r);
	run_lock(r);
	ok = r->machine.reset(r->machine.owner, &err);
	run_unlock(r);
	run_thaw(r);
	if (!ok) {
		log_user("reset: %s", err.text);
		atomic_store(&r->status, 1);
		r->done = true;
	}
}

static void handle_requests(struct run *r)
{
	unsigned what = atomic_load(&r->requests);

	if (!what)
		return;
	if (what & REQUEST_QUIT || (what & REQUEST_POWEROFF && !r->cfg.no_shutdown) ||
	    (what & REQUEST_RESET && r->cfg.no_reboot && !r->cfg.no_shutdown)) {
		r->done = true;         /* `requests` stays: no processor runs on */
		return;
	}
	if (what & REQUEST_POWEROFF || r->cfg.no_reboot) {
		run_stop(r);
		atomic_fetch_and(&r->requests, ~what);
		return;
	}
	run_freeze(r);
	atomic_fetch_and(&r->requests, ~what);
	reset(r);
	run_thaw(r);
}

/* Kick the processors whose timers are due; returns the first deadline of the others. */
static uint64_t vcpu_deadlines(struct run *r, uint64_t now)
{
	for (unsigned i = 0; i < r->count; i++) {
		struct vcpu *v = &r->vcpus[i];
		uint64_t d = atomic_load(&v->deadline);

		if (d != CLOCK_NEVER && d <= now && atomic_compare_exchange_strong(&v->deadline, &d, CLOCK_NEVER)) {
			cpu_kick(v->cpu);
			wake_vcpu(v);
		}
	}
	return vcpu_deadline(r);
}

/*
 * The head of both loops: requests, then what is due on both clocks.  *next: when they want the next round, 0 for at
 * once; it is published in `until`, for whoever moves a deadline forward from now on.  False: the end.
 */
static bool round_begins(struct run *r, uint64_t *next)
{
	handle_requests(r);
	if (r->done)
		return false;
	run_lock(r);
	clock_run(r->clock);
	*next = clock_deadline(r->clock);
	atomic_store(&r->until, *next);
	/* Publish, then look again: whoever rang a bell before that saw 0 and did not wake us. */
	*next = earlier(*next, clock_deadline(r->clock));
	run_unlock(r);
	if (clock_run(r->loop_clock))
		*next = 0;              /* it may have left work for the machine's clock */
	*next = earlier(*next, clock_deadline(r->loop_clock));
	return true;
}

/* True: `until` has become 0, or a descriptor is ready; no sleep is needed. */
static bool loop_looks(struct run *r, uint64_t began, uint64_t end)
{
	bool over;

	patience_begin(&r->patience, began);
	atomic_store(&r->looking, true);
	do {
		over = loop_wait(r->loop, 0);
		for (unsigned i = 0; i < LOOKS && !over; i++) {
			over = atomic_load_explicit(&r->until, memory_order_acquire) == 0;
			relax();
		}
	} while (!over && patience_lasts(&r->patience, clock_monotonic(NULL), end));
	atomic_store(&r->looking, false);
	/* who made it 0 while we looked did not wake us */
	return over || atomic_load(&r->until) == 0;
}

/* Wait for descriptors, for `until` to become 0, or for some time; `until` is 0 then. */
static void wait_threaded(struct run *r, uint64_t ns)
{
	uint64_t began = clock_monotonic(NULL);

	if (!ns) {
		loop_wait(r->loop, 0);
	} else {
		if (!r->patience.ns || !loop_looks(r, began, began + earlier(ns, r->patience.ns))) {
			pthread_mutex_unlock(&r->turn);
			loop_sleep(r->loop, ns);
			pthread_mutex_lock(&r->turn);
			loop_wait(r->loop, 0);
		}
		patience_learn(&r->patience, began, clock_monotonic(NULL));
	}
	atomic_store(&r->until, 0);
	loop_dispatch(r->loop);
}

static void loop_threaded(struct run *r)
{
	uint64_t next;

	pthread_mutex_lock(&r->turn);
	while (round_begins(r, &next)) {
		uint64_t now;

		if (atomic_load(&r->requests))
			continue;
		now = run_now(r);
		if (r->running) {
			next = earlier(next, vcpu_deadlines(r, now));
			/* 0: something came up meanwhile, or there is work at once; look at the descriptors all the same. */
			if (atomic_load(&r->until) == 0)
				next = 0;
			atomic_store(&r->until, next);
			/* Again for a processor that armed its timer in between and saw the old `until`. */
			if (clock_deadline(r->clock) == 0)
				next = 0;
			next = earlier(next, vcpu_deadlines(r, now));
		} else if (next > now) {
			next = CLOCK_NEVER;     /* time stands still */
		}
		wait_threaded(r, next == CLOCK_NEVER ? UINT64_MAX : next > now ? next - now : 0);
	}
	pthread_mutex_unlock(&r->turn);
}

/* One slice of each processor in turn.  Returns whether any of them did something. */
static bool icount_slice(struct run *r)
{
	bool any = false;

	for (unsigned i = 0; i < r->count && !atomic_load(&r->requests); i++) {
		struct vcpu *v = &r->vcpus[i];
		uint64_t now = run_now(r), next = vcpu_deadlines(r, now), budget = ICOUNT_SLICE;
		enum cpu_exit e;

		next = earlier(next, earlier(clock_deadline(r->clock), clock_deadline(r->loop_clock)));
		if (next <= now)
			return true;
		if (!cpu_runnable(v->cpu))
			continue;
		if (next != CLOCK_NEVER && (next - now) >> r->cfg.icount_shift < budget)
			budget = ((next - now) >> r->cfg.icount_shift) + 1;
		r->current = v;
		e = cpu_run(v->cpu, budget);
		r->current = NULL;
		if (e == CPU_EXIT_SHUTDOWN)
			run_request_reset(r);
		any = true;
	}
	return any;
}

/* Nobody has anything to do before `next`: wait for it, or step over. */
static void icount_idle(struct run *r, uint64_t next)
{
	uint64_t now = run_now(r), began = clock_monotonic(NULL), passed;
	int events;

	if (next == CLOCK_NEVER) {
		loop_poll(r->loop, UINT64_MAX);
		return;
	}
	if (next <= now) {
		loop_poll(r->loop, 0);
		return;
	}
	events = loop_poll(r->loop, r->cfg.icount_sleep ? next - now : 0);
	passed = clock_monotonic(NULL) - began;
	r->skipped += events == 0 || passed > next - now ? next - now : passed;
}

static void loop_icount(struct run *r)
{
	uint64_t next;

	while (round_begins(r, &next)) {
		uint64_t now;

		if (atomic_load(&r->requests))
			continue;
		now = run_now(r);
		if (!r->running)
			loop_poll(r->loop, next <= now ? 0 : UINT64_MAX);
		else if (icount_slice(r))
			loop_poll(r->loop, 0);
		else
			icount_idle(r, earlier(next, vcpu_deadlines(r, now)));
		atomic_store(&r->until, 0);
	}
}

/* Looking instead of sleeping is for hosts that have a core for it. */
static void allow_patience(struct run *r)
{
	cpu_set_t set;
	bool allowed = !r->cfg.icount && sched_getaffinity(0, sizeof(set), &set) == 0 && (unsigned)CPU_COUNT(&set) > r->count;

	r->patience.allowed = allowed;
	for (unsigned i = 0; i < r->count; i++)
		r->vcpus[i].patience.allowed = allowed;
}

int run_main(struct run *r)
{
	unsigned made = 0;

	r->started = true;
	allow_patience(r);
	if (!r->cfg.icount) {
		for (; made < r->count; made++) {
			int e = pthread_create(&r->vcpus[made].thread, NULL, vcpu_thread, &r->vcpus[made]);

			if (e) {
				log_user("cannot make a thread for processor %u: %s", made, strerror(e));
				atomic_store(&r->status, 1);
				r->done = true;
				break;
			}
		}
	}
	if (!r->done && !r->cfg.stopped)
		run_cont(r);
	if (r->cfg.icount)
		loop_icount(r);
	else
		loop_threaded(r);
	atomic_store(&r->ending, true);
	atomic_store(&r->park, true);
	for (unsigned i = 0; i < made; i++) {
		cpu_kick(r->vcpus[i].cpu);
		wake_vcpu(&r->vcpus[i]);
	}
	pthread_mutex_lock(&r->park_lock);
	pthread_cond_broadcast(&r->go_cond);
	pthread_mutex_unlock(&r->park_lock);
	for (unsigned i = 0; i < made; i++)
		pthread_join(r->vcpus[i].thread, NULL);
	r->started = r->running = false;
	return atomic_load(&r->status);
}
