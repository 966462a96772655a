/* SPDX-License-Identifier: MIT */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct loop {
	int epoll, wake;
	struct loop_fd wake_fd;
	struct epoll_event batch[64];
	int at, count;                  /* the part of batch still to be dispatched */
};

static uint32_t to_epoll(unsigned events)
{
	return (events & LOOP_READ ? EPOLLIN : 0) | (events & LOOP_WRITE ? EPOLLOUT : 0) |
	       (events & LOOP_PRI ? EPOLLPRI : 0);
}

static unsigned from_epoll(uint32_t e)
{
	return (e & (EPOLLIN | EPOLLRDHUP) ? LOOP_READ : 0) | (e & EPOLLOUT ? LOOP_WRITE : 0) |
	       (e & (EPOLLERR | EPOLLHUP) ? LOOP_HUP : 0) | (e & EPOLLPRI ? LOOP_PRI : 0);
}

/* Being there is all.  Nothing is read: edge-triggered, each store to the counter is reported once. */
static void woken(void *owner, unsigned events)
{
	(void)owner;
	(void)events;
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };

	if (!l)
		return NULL;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->wake_fd = (struct loop_fd){ .loop = l, .fd = l->wake, .ready = woken };
	e.data.ptr = &l->wake_fd;
	if (l->epoll < 0 || l->wake < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &e) < 0) {
		int saved = errno;

		loop_free(l);
		errno = saved;
		return NULL;
	}
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	if (l->wake >= 0)
		close(l->wake);
	if (l->epoll >= 0)
		close(l->epoll);
	free(l);
}

int loop_add(struct loop *l, struct loop_fd *f, int fd, unsigned events,
	     void (*ready)(void *owner, unsigned events), void *owner)
{
	struct epoll_event e = { .events = to_epoll(events), .data.ptr = f };

	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		return -errno;
	*f = (struct loop_fd){ .loop = l, .fd = fd, .events = events, .ready = ready, .owner = owner };
	return 0;
}

void loop_change(struct loop_fd *f, unsigned events)
{
	struct epoll_event e = { .events = to_epoll(events), .data.ptr = f };
	int r;

	if (!f->loop || f->events == events)
		return;
	f->events = events;
	r = epoll_ctl(f->loop->epoll, EPOLL_CTL_MOD, f->fd, &e);
	assert(r == 0);
	(void)r;
}

void loop_remove(struct loop_fd *f)
{
	struct loop *l = f->loop;

	if (!l)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, f->fd, NULL);
	for (int i = l->at; i < l->count; i++)          /* an event of this batch that is still to come */
		if (l->batch[i].data.ptr == f)
			l->batch[i].data.ptr = NULL;
	f->loop = NULL;
}

void loop_wake(struct loop *l)
{
	uint64_t one = 1;
	ssize_t n = write(l->wake, &one, sizeof(one));

	(void)n;                        /* a full counter wakes as well */
}

int loop_wait(struct loop *l, uint64_t timeout_ns)
{
	struct timespec ts = { (time_t)(timeout_ns / 1000000000), (long)(timeout_ns % 1000000000) };
	int n;

	n = epoll_pwait2(l->epoll, l->batch, sizeof(l->batch) / sizeof(l->batch[0]),
			 timeout_ns == UINT64_MAX ? NULL : &ts, NULL);
	if (n < 0 && errno == ENOSYS)           /* kernels before 5.11 know milliseconds only */
		n = epoll_wait(l->epoll, l->batch, sizeof(l->batch) / sizeof(l->batch[0]),
			       timeout_ns == UINT64_MAX ? -1 : (int)((timeout_ns + 999999) / 1000000));
	l->at = 0;
	l->count = n > 0 ? n : 0;
	return l->count;
}

void loop_sleep(struct loop *l, uint64_t timeout_ns)
{
	struct timespec ts = { (time_t)(timeout_ns / 1000000000), (long)(timeout_ns % 1000000000) };
	struct pollfd p = { .fd = l->epoll, .events = POLLIN };

	ppoll(&p, 1, timeout_ns == UINT64_MAX ? NULL : &ts, NULL);
}

void loop_dispatch(struct loop *l)
{
	while (l->at < l->count) {
		struct epoll_event *e = &l->batch[l->at++];
		struct loop_fd *f = e->data.ptr;

		if (f)
			f->ready(f->owner, from_epoll(e->events));
	}
	l->at = l->count = 0;
}

int loop_poll(struct loop *l, uint64_t timeout_ns)
{
	int n = loop_wait(l, timeout_ns);

	loop_dispatch(l);
	return n;
}
