/* SPDX-License-Identifier: MIT */
/*
 * Virtual time and timers.  Whoever makes a clock says where its nanoseconds come from (the host's
 * monotonic clock, a count of guest instructions, a test's own counter) and runs what is due; devices
 * and unet only read it and arm timers on it.  A clock takes no lock: all calls on one clock are made
 * under whatever keeps its users apart (the machine lock for devices, the loop thread for unet).
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define US(n) ((uint64_t)(n) * 1000)
#define MS(n) ((uint64_t)(n) * 1000000)
#define S(n) ((uint64_t)(n) * 1000000000)
#define CLOCK_NEVER UINT64_MAX

struct clock;

/* Embedded by value in its owner; plain state is `deadline` (CLOCK_NEVER: not armed). */
struct timer {
	struct clock *clock;
	void (*fire)(void *owner);
	void *owner;
	uint64_t deadline;              /* ns on its clock */
	uint32_t slot;                  /* place in the clock's heap, while armed */
};

struct clock_config {
	uint64_t (*now)(void *owner);   /* ns; never goes back */
	/*
	 * The first deadline moved forward: wake who sleeps on it; may be NULL.  bell_ring calls it from any thread and
	 * without the lock, so it must do no more than loop_wake or set an atomic flag.
	 */
	void (*earlier)(void *owner);
	void *owner;
};

/* A `now` that needs no owner: the host's monotonic clock. */
uint64_t clock_monotonic(void *owner);
struct clock *clock_new(const struct clock_config *config);
void clock_free(struct clock *c);       /* no timer may be armed any more */
uint64_t clock_now(const struct clock *c);

/* Prepare a timer; it is not armed.  `fire` is called from clock_run, with the timer already disarmed. */
void timer_init(struct timer *t, struct clock *c, void (*fire)(void *owner), void *owner);
/* (Re)arm for an absolute time.  A time that has passed fires at the next clock_run. */
void timer_set(struct timer *t, uint64_t deadline_ns);
void timer_cancel(struct timer *t);     /* harmless if not armed */
static inline bool timer_armed(const struct timer *t) { return t->deadline != CLOCK_NEVER; }
/* Call `fire` as soon as the loop gets to it: how a device defers work to the loop thread. */
static inline void timer_soon(struct timer *t) { timer_set(t, 0); }

/*
 * A bell is a timer_soon that any thread may call without the clock's lock: how a register that is a doorbell
 * (io_ops.doorbell) leaves work for the loop.  Rings before the answer has begun count as one.  A store before
 * bell_ring is seen by the answer.
 */
struct bell {
	struct clock *clock;
	void (*answer)(void *owner);    /* called from clock_run, as a timer's fire is */
	void *owner;
	bool quick;                     /* set by the owner: whoever rang may well call the answer itself */
	bool rung;                      /* these two by atomic operations only */
	struct bell *next;
};

void bell_init(struct bell *b, struct clock *c, void (*answer)(void *owner), void *owner);
void bell_ring(struct bell *b);
/* No answer will come; call it, under the clock's lock, before the bell's memory goes away and when nobody can ring any more. */
void bell_cancel(struct bell *b);

/* The first deadline, CLOCK_NEVER if nothing is armed; 0 while a bell waits for its answer. */
uint64_t clock_deadline(const struct clock *c);
/*
 * Answer the bells, in the order they rang, then fire what is due, in order of deadline (equal ones in the order they were armed), at most once per timer
 * armed before the call: a timer that keeps re-arming itself for now cannot hold the caller.
 * Returns whether anything fired.
 */
bool clock_run(struct clock *c);
/* Whether all bells that wait for their answer are quick; nobody else may run the clock meanwhile. */
bool clock_quick(const struct clock *c);
/* Of clock_run only the bells. */
void clock_answer(struct clock *c);

#endif
