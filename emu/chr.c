/* SPDX-License-Identifier: MIT */
/*
 * Streams: the ring and its flushing, the users' ends, and the small kinds (null, file, pipe, pty).  chr_mux.c has the
 * multiplexer's keys, stdio.c the terminal, chr_socket.c the sockets.
 */
#include "emu/chr_mux.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "emu/run.h"

/* --- from the user to the descriptor ----------------------------------------------------------------------------- */

static size_t ring_room(const struct chr *c)
{
	return CHR_RING - (c->tail - c->head);
}

static size_t ring_put(struct chr *c, const uint8_t *buf, size_t len)
{
	len = MIN(len, ring_room(c));
	for (size_t i = 0; i < len; i++)
		c->ring[c->tail++ % CHR_RING] = buf[i];
	return len;
}

/* Write what the descriptor takes now.  Returns false if it must be waited for. */
static bool flush_ring(struct chr *c)
{
	while (c->head != c->tail) {
		uint32_t at = c->head % CHR_RING, len = MIN(c->tail - c->head, CHR_RING - at);
		ssize_t n;

		if (!c->seekable_out) {
			struct pollfd p = { c->out, POLLOUT, 0 };

			/* The descriptor may be shared and blocking: ask first, and write no more than always fits. */
			if (poll(&p, 1, 0) <= 0 || !(p.revents & (POLLOUT | POLLERR | POLLHUP)))
				return false;
			len = MIN(len, 1024u);
		}
		n = write(c->out, c->ring + at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return false;
		if (n < 0) {                    /* nobody reads any more: like an unplugged cable */
			c->head = c->tail;
			return true;
		}
		c->head += (uint32_t)n;
	}
	return true;
}

static void tell_writable(struct chr *c)
{
	for (unsigned i = 0; i < c->count && ring_room(c) >= CHR_RING / 2; i++) {
		struct chr_end *e = &c->ends[i];

		if (!e->wants_room)
			continue;
		e->wants_room = false;
		if (e->dev.user && e->dev.user->writable)
			e->dev.user->writable(e->dev.owner);
	}
}

static void update_input(struct chr *c);

static void work(void *owner)
{
	struct chr *c = owner;

	if (c->head != c->tail && c->out >= 0)
		loop_change(&c->out_fd, flush_ring(c) ? 0 : LOOP_WRITE);
	if (c->out < 0)
		c->head = c->tail;
	tell_writable(c);
	update_input(c);
}

static size_t end_write(struct chardev *dev, const void *buf, size_t len)
{
	struct chr_end *e = CONTAINER_OF(dev, struct chr_end, dev);
	struct chr *c = e->chr;
	size_t taken;

	if (c->log)
		fwrite(buf, 1, len, c->log);
	if (!c->connected)
		return len;
	taken = c->stamps ? mux_stamped(c, e, buf, len) : ring_put(c, buf, len);
	if (taken < len)
		e->wants_room = true;
	if (!timer_armed(&c->work) && c->head != c->tail)
		timer_soon(&c->work);
	return taken;
}

void chr_say(struct chr *c, const char *text)
{
	if (c->connected && ring_put(c, (const uint8_t *)text, strlen(text)))
		timer_soon(&c->work);
}

void chr_drain(struct chr *c)
{
	for (int tries = 0; c && c->out >= 0 && c->head != c->tail && tries < 20; tries++) {
		struct pollfd p = { c->out, POLLOUT, 0 };

		if (!flush_ring(c) && poll(&p, 1, 25) < 0)
			break;
	}
	if (c && c->log)
		fflush(c->log);
}

/* --- from the descriptor to the user ------------------------------------------------------------------------------ */

static void accept_input(struct chardev *dev)
{
	struct chr_end *e = CONTAINER_OF(dev, struct chr_end, dev);

	timer_soon(&e->chr->work);
}

/* How many bytes may be read from the descriptor now. */
static size_t input_room(struct chr *c)
{
	struct chr_end *e = &c->ends[c->focus];

	if (c->count == 0)
		return 0;
	if (c->mux)
		return mux_room(c);
	return e->dev.user && e->dev.user->can_receive ? e->dev.user->can_receive(e->dev.owner) : 0;
}

static void input_ready(void *owner, unsigned events);
static void take_input(struct chr *c);

/* Watch the input only while someone would take it: a hang-up is reported even to who asks for nothing. */
static void update_input(struct chr *c)
{
	if (c->mux)
		mux_offer(c);
	if (c->in < 0)
		return;
	if (!input_room(c)) {
		loop_remove(&c->in_fd);
	} else if (!c->in_fd.loop && !c->pumping &&
		   loop_add(run_loop(c->run), &c->in_fd, c->in, LOOP_READ, input_ready, c) == -EPERM) {
		/* A regular file is always ready, and epoll does not know it: read as the user takes it. */
		c->pumping = true;
		while (c->in >= 0 && input_room(c))
			take_input(c);
		c->pumping = false;
	}
}

/* Read and hand on what the user takes; the end of the input ends a socket, but only the input of anything else. */
static void take_input(struct chr *c)
{

	uint8_t buf[256];
	size_t room = MIN(input_room(c), sizeof(buf));
	ssize_t n = read(c->in, buf, room);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (c->kind == &chr_socket) {
			chr_disconnect(c);
			if (c->kind->lost)
				c->kind->lost(c);
			return;
		}
		loop_remove(&c->in_fd);
		if (c->in > 2)
			close(c->in);
		c->in = -1;
		return;
	}
	room = (size_t)n;
	if (c->kind->filter)
		room = c->kind->filter(c, buf, room);
	if (c->mux)
		mux_input(c, buf, room);
	else if (room)
		c->ends[0].dev.user->receive(c->ends[0].dev.owner, buf, room);
}

static void input_ready(void *owner, unsigned events)
{
	struct chr *c = owner;

	(void)events;
	run_lock(c->run);
	if (c->in >= 0 && input_room(c))
		take_input(c);
	update_input(c);
	run_unlock(c->run);
}

static void output_ready(void *owner, unsigned events)
{
	struct chr *c = owner;

	run_lock(c->run);
	if (c->out >= 0) {
		loop_change(&c->out_fd, 0);
		if (events & LOOP_HUP)          /* would be reported for ever; flush_ring finds out by itself */
			loop_remove(&c->out_fd);
		work(c);
	}
	run_unlock(c->run);
}

bool chr_connect(struct chr *c, int in, int out, struct err *err)
{
	struct stat st;
	int r = 0;

	c->in = in;
	c->out = out;
	c->seekable_out = out >= 0 && fstat(out, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
	c->connected = true;
	/* One descriptor for both ways needs two entries in the loop, and epoll wants each only once: duplicate it. */
	if (in >= 0 && in == out) {
		c->out = fcntl(out, F_DUPFD_CLOEXEC, 3);
		if (c->out < 0)
			r = -errno;
	}
	if (r == 0 && c->out >= 0 && !c->seekable_out) {
		r = loop_add(run_loop(c->run), &c->out_fd, c->out, 0, output_ready, c);
		if (r == -EPERM || r == -EEXIST)        /* /dev/null and the like; stdin and stdout on one description */
			r = 0;
	}
	if (r < 0) {
		chr_disconnect(c);
		return err_errno(err, -r, "cannot watch '%s'", c->label);
	}
	for (unsigned i = 0; i < c->count; i++)
		if (c->ends[i].events.open)
			c->ends[i].events.open(c->ends[i].events.owner);
	timer_soon(&c->work);
	return true;
}

void chr_disconnect(struct chr *c)
{
	bool was = c->connected;

	loop_remove(&c->in_fd);
	loop_remove(&c->out_fd);
	if (c->in > 2)
		close(c->in);
	if (c->out > 2 && c->out != c->in)
		close(c->out);
	c->in = c->out = -1;
	c->connected = false;
	c->head = c->tail;
	for (unsigned i = 0; was && i < c->count; i++)
		if (c->ends[i].events.close)
			c->ends[i].events.close(c->ends[i].events.owner);
	if (was)
		timer_soon(&c->work);                   /* whoever waits for room gets it */
}

struct chardev *chr_attach(struct chr *c, const char *user, const struct chr_events *events, struct err *err)
{
	struct chr_end *e;

	if (c->count == (c->mux ? CHR_USERS : 1)) {
		err_set(err, "Chardev '%s' is in use%s", c->id, c->mux ? "" : " (mux=on lets it be shared)");
		return NULL;
	}
	e = &c->ends[c->count++];
	*e = (struct chr_end){ .dev = { .write = end_write, .accept_input = accept_input }, .chr = c, .name = user,
			       .line_start = true };
	if (events)
		e->events = *events;
	return &e->dev;
}

const char *chr_id(const struct chr *c) { return c->id; }
bool chr_is_mux(const struct chr *c) { return c->mux; }
bool chr_connected(const struct chr *c) { return c->connected; }

void chr_print(const struct chr *c, void (*out)(void *to, const char *line), void *to)
{
	char line[400];

	snprintf(line, sizeof(line), "%s: filename=%s%s", c->id, c->mux ? "mux:" : "", c->label);
	out(to, line);
}

/* --- the small kinds ---------------------------------------------------------------------------------------------- */

static bool open_null(struct chr *c, struct opts *o, struct err *err)
{
	(void)c, (void)o, (void)err;
	return true;
}

static const char *path_of(struct opts *o, struct err *err)
{
	const char *path = opts_get(o, "path");

	if (!path || !*path)
		err_set(err, "chardev: no filename given (path=FILE)");
	return path && *path ? path : NULL;
}

static bool open_file(struct chr *c, struct opts *o, struct err *err)
{
	const char *path = path_of(o, err), *input = opts_get(o, "input-path");
	bool append_to = false;
	int in = -1, out;

	if (!path || !opts_bool(o, "append", &append_to, err))
		return false;
	out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append_to ? O_APPEND : O_TRUNC), 0666);
	if (out < 0)
		return err_errno(err, errno, "cannot write to '%s'", path);
	if (input) {
		in = open(input, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (in < 0) {
			close(out);
			return err_errno(err, errno, "cannot read '%s'", input);
		}
	}
	return chr_connect(c, in, out, err);
}

/* A pair PATH.in, PATH.out of named pipes, or one pipe (or device) for both ways. */
static bool open_pipe(struct chr *c, struct opts *o, struct err *err)
{
	const char *path = path_of(o, err);
	char name[4096];
	int in, out;

	if (!path)
		return false;
	snprintf(name, sizeof(name), "%s.in", path);
	in = open(name, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	snprintf(name, sizeof(name), "%s.out", path);
	out = open(name, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (in < 0 || out < 0) {
		if (in >= 0)
			close(in);
		if (out >= 0)
			close(out);
		in = out = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (in < 0)
			return err_errno(err, errno, "cannot open '%s' (nor '%s.in' and '%s.out')", path, path, path);
	}
	return chr_connect(c, in, out, err);
}

/* A device such as /dev/ttyS0 or a pty's other end. */
static bool open_serial(struct chr *c, struct opts *o, struct err *err)
{
	const char *path = path_of(o, err);
	struct termios t;
	int fd;

	if (!path)
		return false;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_errno(err, errno, "cannot open '%s'", path);
	if (tcgetattr(fd, &t) == 0) {
		cfmakeraw(&t);
		tcsetattr(fd, TCSANOW, &t);
	}
	return chr_connect(c, fd, fd, err);
}

static bool open_pty(struct chr *c, struct opts *o, struct err *err)
{
	struct termios t;
	char name[128];
	int master, slave;

	(void)o;
	if (openpty(&master, &slave, name, NULL, NULL) < 0)
		return err_errno(err, errno, "cannot make a pseudo-terminal");
	if (tcgetattr(slave, &t) == 0) {
		cfmakeraw(&t);
		tcsetattr(slave, TCSANOW, &t);
	}
	/* `slave` stays open, so that the master does not hang up between two users. */
	c->private = (void *)(intptr_t)slave;
	fcntl(slave, F_SETFD, FD_CLOEXEC);
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(master, F_SETFL, fcntl(master, F_GETFL) | O_NONBLOCK);
	fprintf(stderr, "char device redirected to %s (label %s)\n", name, c->id);
	free(c->label);
	if (asprintf(&c->label, "pty:%s", name) < 0)
		c->label = strdup("pty");
	return chr_connect(c, master, master, err);
}

static void free_pty(struct chr *c)
{
	if (c->private)
		close((int)(intptr_t)c->private);
}

static const struct chr_kind kinds[] = {
	{ .name = "null", .open = open_null },
	{ .name = "file", .open = open_file },
	{ .name = "pipe", .open = open_pipe },
	{ .name = "serial", .open = open_serial },
	{ .name = "tty", .open = open_serial },
	{ .name = "pty", .open = open_pty, .free = free_pty },
};

static const struct chr_kind *find_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	if (!strcmp(name, "stdio"))
		return &chr_stdio;
	return !strcmp(name, "socket") ? &chr_socket : NULL;
}

struct chr *chr_new(struct run *r, struct opts *o, struct err *err)
{
	const char *backend = opts_get(o, "backend"), *id = opts_get(o, "id"), *path = opts_get(o, "path");
	const char *logfile = opts_get(o, "logfile");
	const struct chr_kind *kind;
	struct chr *c;
	bool mux = false;

	if (!backend) {
		err_set(err, "chardev: missing backend (null, file, pipe, pty, serial, socket, stdio)");
		return NULL;
	}
	kind = find_kind(backend);
	if (!kind) {
		err_set(err, "'%s' is not a valid char driver name (null, file, pipe, pty, serial, socket, stdio)", backend);
		return NULL;
	}
	if (!id || !opt_is_id(id)) {
		err_set(err, id ? "Parameter 'id' expects an identifier, not '%s'" : "chardev: no id specified%s", id ? id : "");
		return NULL;
	}
	if (!opts_bool(o, "mux", &mux, err))
		return NULL;
	c = calloc(1, sizeof(*c));
	assert(c);
	c->kind = kind;
	c->run = r;
	c->in = c->out = -1;
	c->mux = mux;
	c->id = strdup(id);
	if (!path || asprintf(&c->label, "%s:%s", backend, path) < 0)
		c->label = strdup(backend);
	timer_init(&c->work, run_clock(r), work, c);
	mux_init(c);
	if (logfile) {
		c->log = fopen(logfile, "we");
		if (!c->log) {
			err_errno(err, errno, "cannot write to logfile '%s'", logfile);
			chr_free(c);
			return NULL;
		}
		setvbuf(c->log, NULL, _IOLBF, 0);
	}
	if (!kind->open(c, o, err) || !opts_done(o, err)) {
		chr_free(c);
		return NULL;
	}
	return c;
}

void chr_free(struct chr *c)
{
	if (!c)
		return;
	c->count = 0;                                   /* the users are gone: nobody is told anything */
	chr_disconnect(c);
	timer_cancel(&c->work);
	timer_cancel(&c->menu_work);
	if (c->kind->free)
		c->kind->free(c);
	if (c->log)
		fclose(c->log);
	free(c->label);
	free(c->id);
	free(c);
}

/* --- -serial and -monitor words ----------------------------------------------------------------------------------- */

/* "host:port" with the host possibly empty or in brackets. */
static bool add_address(struct opts *o, const char *text, struct err *err)
{
	const char *colon = strrchr(text, ':');
	char host[256];
	size_t n;

	if (!colon || !colon[1] || (size_t)(colon - text) >= sizeof(host))
		return err_set(err, "'%s' is not HOST:PORT", text);
	n = (size_t)(colon - text);
	memcpy(host, text, n);
	host[n] = '\0';
	opts_add(o, "host", host);
	opts_add(o, "port", colon + 1);
	return true;
}

bool chr_legacy(const char *text, const char *id, struct opts *o, struct err *err)
{
	static const struct { const char *prefix, *backend, *key; } forms[] = {
		{ "file:", "file", "path" }, { "pipe:", "pipe", "path" }, { "unix:", "socket", "path" },
		{ "tcp:", "socket", NULL }, { "telnet:", "socket", NULL },
	};
	bool mux = !strncmp(text, "mon:", 4);

	*o = (struct opts){ 0 };
	if (mux)
		text += 4;
	if (!strcmp(text, "none"))
		text = "null";
	if (!strcmp(text, "vc") || !strncmp(text, "vc:", 3))
		text = "null";                          /* a console in a window that there is not */
	if (!strncmp(text, "/dev/", 5)) {
		opts_add(o, "backend", "serial");
		opts_add(o, "path", text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(forms) && !o->count; i++) {
		size_t n = strlen(forms[i].prefix);

		if (strncmp(text, forms[i].prefix, n))
			continue;
		if (!opts_parse(o, text + n, forms[i].key ? forms[i].key : "address", err))
			return false;
		opts_add(o, "backend", forms[i].backend);
		if (!forms[i].key) {
			const char *address = opts_get(o, "address");

			if (!address || !add_address(o, address, err)) {
				opts_free(o);
				return address ? false : err_set(err, "'%s' is not %sHOST:PORT", text, forms[i].prefix);
			}
		}
		if (!strcmp(forms[i].prefix, "telnet:"))
			opts_add(o, "telnet", "on");
	}
	if (!o->count) {
		char word[16];
		size_t n = strcspn(text, ",");

		if (n >= sizeof(word))
			n = 0;
		memcpy(word, text, n);
		word[n] = '\0';
		if (strcmp(word, "null") && strcmp(word, "stdio") && strcmp(word, "pty"))
			return err_set(err, "'%s' is not a valid character device (stdio, mon:stdio, pty, null, none, file:PATH, "
				       "pipe:PATH, unix:PATH, tcp:HOST:PORT, telnet:HOST:PORT, chardev:ID)", text);
		if (!opts_parse(o, text, "backend", err))
			return false;
	}
	opts_add(o, "id", id);
	if (mux)
		opts_add(o, "mux", "on");
	return true;
}
