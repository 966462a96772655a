/* SPDX-License-Identifier: MIT */
/*
 * The event loop (epoll): descriptors and a wake-up.  One thread runs it; only loop_wake may be called from
 * others (and from a signal handler).  Handlers may add, change and remove any descriptor, their own included.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HUP = 4 /* error or hang-up; always reported */, LOOP_PRI = 8 /* urgent data */ };

struct loop;

/* Embedded by value in its owner. */
struct loop_fd {
	struct loop *loop;
	int fd;
	unsigned events;                /* LOOP_READ | LOOP_WRITE | LOOP_PRI asked for */
	void (*ready)(void *owner, unsigned events);
	void *owner;
};

struct loop *loop_new(void);            /* NULL with errno if the host refuses */
void loop_free(struct loop *l);

/* Watch fd (not owned).  Returns 0 or -errno. */
int loop_add(struct loop *l, struct loop_fd *f, int fd, unsigned events,
	     void (*ready)(void *owner, unsigned events), void *owner);
/* Change what is asked for; costs nothing if unchanged. */
void loop_change(struct loop_fd *f, unsigned events);
/* Stop watching; `ready` is not called again.  Harmless on a loop_fd that is zeroed or already removed. */
void loop_remove(struct loop_fd *f);

/* Make the current or next loop_poll return early. */
void loop_wake(struct loop *l);

/*
 * Wait up to timeout_ns (0: only look; UINT64_MAX: for ever) and dispatch what is ready.  Returns the number of events
 * dispatched.
 */
int loop_poll(struct loop *l, uint64_t timeout_ns);
/* Wait as loop_poll does, but only wait: what is ready is seen by the next loop_wait.  Others may use the loop meanwhile. */
void loop_sleep(struct loop *l, uint64_t timeout_ns);
/* Its halves, for who has something to do between them: wait for events, dispatch what the last wait found. */
int loop_wait(struct loop *l, uint64_t timeout_ns);
void loop_dispatch(struct loop *l);

#endif
