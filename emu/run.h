/* SPDX-License-Identifier: MIT */
/*
 * Runs a machine: the loop thread (the caller of run_main), one thread per processor, the machine lock between them, and
 * the two clocks.  With -icount everything runs on the one thread and time is a count of guest instructions.
 *
 *	machine clock   devices' timers; its users hold the machine lock
 *	loop clock      unet's timers and emu's deferred work; loop thread only, fires without the machine lock
 *
 * Both show the same virtual time, which stands still while the machine is stopped.
 */
#ifndef EMU_RUN_H
#define EMU_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "cpu/cpu.h"
#include "hw/bus.h"
#include "net/port.h"

struct run;

struct perfmap;

struct run_config {
	struct perfmap *perfmap;        /* NULL: none */
	bool icount;
	unsigned icount_shift;          /* an instruction takes 1 << shift ns */
	bool icount_sleep;              /* idle time passes as on the host; else it is skipped */
	bool stopped;                   /* -S: wait for cont */
	bool no_reboot, no_shutdown;
};

/* What there is to run; run_attach copies it.  The callbacks come with the machine lock held. */
struct run_machine {
	struct cpus *cpus;
	struct bus *memory, *ports;
	int (*int_ack)(void *owner);
	void (*apic_eoi)(void *owner, uint8_t vector);
	void (*ferr)(void *owner);
	uint64_t wall_ns;               /* since 1970 when virtual time was 0 */
	bool (*reset)(void *owner, struct err *err);    /* all processors are parked; false ends the process */
	void *owner;
};

struct run *run_new(const struct run_config *config, struct err *err);
void run_free(struct run *r);
void run_attach(struct run *r, const struct run_machine *machine);
struct loop *run_loop(struct run *r);
struct clock *run_clock(struct run *r);
struct clock *run_loop_clock(struct run *r);
const struct port_guard *run_guard(struct run *r);
const struct cpu_ops *run_cpu_ops(void);        /* their owner is the struct run */
/* Wake the loop thread from any thread. */
void run_wake(struct run *r);

void run_lock(struct run *r);
void run_unlock(struct run *r);

/* Until something ends it; returns the exit status. */
int run_main(struct run *r);

/* From any thread, the machine lock held or not: done soon by the loop thread. */
void run_request_reset(struct run *r);
void run_request_poweroff(struct run *r);
void run_request_quit(struct run *r, int status);

bool run_ending(const struct run *r);   /* run_main is about to return */

/* On the loop thread without the machine lock: stop and cont; freeze and thaw nest inside (to look at registers). */
void run_stop(struct run *r);
void run_cont(struct run *r);
bool run_running(const struct run *r);
void run_freeze(struct run *r);
void run_thaw(struct run *r);
uint64_t run_now(void *run);    /* virtual ns; any thread */

#endif
