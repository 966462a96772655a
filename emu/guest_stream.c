/* SPDX-License-Identifier: MIT */
/*
 * Character devices as targets of guestfwd: the user network gets one end of a socket pair, and bytes are carried between
 * the other end and the stream.  A stream has one connection at a time; a guest's second one is refused.  What the
 * stream says while there is none waits in it.
 */
#include "emu/guest_stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "emu/chr.h"
#include "emu/run.h"

enum { CARRY = 16384, TURNS = 16 };

struct guest_stream {
	struct run *run;
	struct chr *chr;
	struct chardev *dev;
	int fd;                         /* our end; -1: no connection */
	struct loop_fd watch;
	bool hung_up;                   /* the network has let go of its end; what it said before is still to be read */
	uint8_t in[CARRY], out[CARRY];  /* read from fd, not in the stream yet; the other way round */
	size_t in_at, in_len, out_at, out_len;
};

static void ready(void *owner, unsigned events);

static void hang_up(struct guest_stream *s)
{
	if (s->fd < 0)
		return;
	loop_remove(&s->watch);
	close(s->fd);
	s->fd = -1;
	s->hung_up = false;
	s->in_at = s->in_len = s->out_at = s->out_len = 0;
}

static void update_watch(struct guest_stream *s)
{
	unsigned events = (s->in_len ? 0 : LOOP_READ) | (s->out_len ? LOOP_WRITE : 0);

	if (s->fd >= 0 && !s->hung_up)
		loop_change(&s->watch, events);
}

/* From the guest, as far as the stream takes it.  With the machine lock held. */
static void pump(struct guest_stream *s)
{
	for (int i = 0; (i < TURNS || s->hung_up) && s->fd >= 0; i++) {
		if (s->in_len) {
			size_t n = s->dev->write(s->dev, s->in + s->in_at, s->in_len);

			s->in_at += n;
			s->in_len -= n;
			if (s->in_len)
				break;
		} else {
			ssize_t n = recv(s->fd, s->in, sizeof(s->in), MSG_DONTWAIT);

			if (n < 0 && (errno == EAGAIN || errno == EINTR))
				break;
			if (n <= 0) {           /* the guest has said all: a stream knows no half of a connection */
				hang_up(s);
				return;
			}
			s->in_at = 0;
			s->in_len = (size_t)n;
		}
	}
	/* nothing would tell us of the rest */
	if (s->hung_up && !s->in_len)
		hang_up(s);
	update_watch(s);
}

static void flush(struct guest_stream *s)
{
	while (s->out_len && s->fd >= 0) {
		ssize_t n = send(s->fd, s->out + s->out_at, s->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			hang_up(s);
			return;
		}
		s->out_at += (size_t)n;
		s->out_len -= (size_t)n;
	}
	update_watch(s);
}

static void ready(void *owner, unsigned events)
{
	struct guest_stream *s = owner;

	run_lock(s->run);
	if (events & LOOP_HUP) {        /* would be reported for ever */
		loop_remove(&s->watch);
		s->hung_up = true;
	}
	if (events & LOOP_WRITE) {
		flush(s);
		if (s->fd >= 0 && !s->out_len)
			s->dev->accept_input(s->dev);
	}
	pump(s);
	run_unlock(s->run);
}

/* --- the stream's side, with the machine lock held, on the loop thread ---------------------------------------------- */

static size_t can_receive(void *owner)
{
	struct guest_stream *s = owner;

	return s->fd >= 0 && !s->hung_up && !s->out_len ? sizeof(s->out) : 0;
}

static void receive(void *owner, const uint8_t *buf, size_t len)
{
	struct guest_stream *s = owner;

	memcpy(s->out, buf, len);
	s->out_at = 0;
	s->out_len = len;
	flush(s);
}

static void writable(void *owner)
{
	struct guest_stream *s = owner;

	if (s->fd >= 0)
		pump(s);
}

static void closed(void *owner)
{
	hang_up(owner);
}

struct guest_stream *guest_stream_new(struct run *run, struct chr *chr, struct err *err)
{
	static const struct chardev_user user = { .can_receive = can_receive, .receive = receive, .writable = writable };
	struct guest_stream *s = calloc(1, sizeof(*s));

	assert(s);
	s->run = run;
	s->chr = chr;
	s->fd = -1;
	s->dev = chr_attach(chr, "guestfwd", &(struct chr_events){ .close = closed, .owner = s }, err);
	if (!s->dev) {
		free(s);
		return NULL;
	}
	s->dev->user = &user;
	s->dev->owner = s;
	return s;
}

void guest_stream_free(struct guest_stream *s)
{
	if (!s)
		return;
	hang_up(s);
	s->dev->user = NULL;
	free(s);
}

int guest_stream_connect(struct guest_stream *s)
{
	int pair[2], r;

	if (s->fd >= 0)
		return -EBUSY;
	if (!chr_connected(s->chr))
		return -ECONNREFUSED;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	r = loop_add(run_loop(s->run), &s->watch, pair[0], LOOP_READ, ready, s);
	if (r < 0) {
		close(pair[0]);
		close(pair[1]);
		return r;
	}
	s->fd = pair[0];
	run_lock(s->run);
	s->dev->accept_input(s->dev);
	run_unlock(s->run);
	return pair[1];
}
