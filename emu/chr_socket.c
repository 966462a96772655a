/* SPDX-License-Identifier: MIT */
/*
 * Streams over TCP and Unix sockets: a server for one peer at a time, or a client; telnet's option bytes are taken out of the
 * input on request (RFC 854: IAC, then two bytes or a subnegotiation up to IAC SE).
 */
#include "emu/chr_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "emu/run.h"

enum {
	IAC = 255, TELNET_WILL = 251, TELNET_WONT = 252, TELNET_DO = 253, TELNET_DONT = 254, TELNET_SB = 250, TELNET_SE = 240,
	TELNET_BREAK = 243,
	OPT_BINARY = 0, OPT_ECHO = 1, OPT_SGA = 3,
};

struct sock {
	int listener;
	struct loop_fd listen_fd;
	char *unlink_path;              /* a Unix server's socket file */
	bool telnet;
	unsigned state;                 /* of the telnet parser: bytes of the command seen */
	uint8_t command;
};

static bool set_path(struct sockaddr_un *a, const char *path, struct err *err)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(a->sun_path))
		return err_set(err, "the socket path '%s' is longer than %zu bytes", path, sizeof(a->sun_path) - 1);
	strcpy(a->sun_path, path);
	return true;
}

static void accept_peer(void *owner, unsigned events)
{
	struct chr *c = owner;
	struct sock *s = c->private;
	struct err err;
	int fd, one = 1;

	(void)events;
	fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	run_lock(c->run);
	loop_change(&s->listen_fd, 0);                  /* one at a time: the next waits in the backlog */
	s->state = 0;
	if (!chr_connect(c, fd, fd, &err)) {
		log_user("chardev '%s': %s", c->id, err.text);
		loop_change(&s->listen_fd, LOOP_READ);
	} else if (s->telnet) {
		static const char hello[] = { (char)IAC, (char)TELNET_WILL, OPT_ECHO, (char)IAC, (char)TELNET_WILL, OPT_SGA, 0 };

		chr_say(c, hello);
	}
	run_unlock(c->run);
}

static void lost(struct chr *c)
{
	struct sock *s = c->private;

	if (s->listener >= 0)
		loop_change(&s->listen_fd, LOOP_READ);
}

static size_t filter(struct chr *c, uint8_t *buf, size_t len)
{
	struct sock *s = c->private;
	size_t to = 0;

	if (!s->telnet)
		return len;
	for (size_t i = 0; i < len; i++) {
		uint8_t b = buf[i];

		switch (s->state) {
		case 0:
			if (b == IAC)
				s->state = 1;
			else if (b != 0)                /* the NUL behind a CR */
				buf[to++] = b;
			break;
		case 1:
			s->command = b;
			s->state = b == TELNET_SB ? 3 : b >= TELNET_WILL && b <= TELNET_DONT ? 2 : 0;
			if (b == IAC)
				buf[to++] = b;
			if (b == TELNET_BREAK && c->ends[c->focus].dev.user && c->ends[c->focus].dev.user->brk)
				c->ends[c->focus].dev.user->brk(c->ends[c->focus].dev.owner);
			break;
		case 2:
			s->state = 0;
			break;
		case 3:
			s->state = b == IAC ? 4 : 3;
			break;
		case 4:
			s->state = b == TELNET_SE ? 0 : 3;
			break;
		}
	}
	return to;
}

/* One socket for the address in o; `listening`: bound and listening, else connected. */
static int open_unix(const char *path, bool listening, struct err *err)
{
	struct sockaddr_un a;
	int fd;

	if (!set_path(&a, path, err))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err_errno(err, errno, "cannot make a Unix socket");
		return -1;
	}
	if (listening) {
		/* A file that a dead server left behind refuses connections; one that accepts is in use. */
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0) {
			err_errno(err, EADDRINUSE, "cannot listen on '%s'", path);
			close(fd);
			return -1;
		}
		if (errno == ECONNREFUSED)
			unlink(path);
		close(fd);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	}
	if (fd < 0 || (listening ? bind(fd, (struct sockaddr *)&a, sizeof(a)) : connect(fd, (struct sockaddr *)&a, sizeof(a))) < 0 ||
	    (listening && listen(fd, 1) < 0)) {
		err_errno(err, errno, listening ? "cannot listen on '%s'" : "cannot connect to '%s'", path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static int open_inet(const char *host, const char *port, bool listening, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = listening ? AI_PASSIVE : 0 }, *list, *a;
	char name[256];
	int fd = -1, one = 1, saved = 0, r;
	size_t n = host ? strlen(host) : 0;

	if (n >= 2 && n < sizeof(name) && host[0] == '[' && host[n - 1] == ']') {
		memcpy(name, host + 1, n - 2);
		name[n - 2] = '\0';
		host = name;
	}
	r = getaddrinfo(host && *host ? host : NULL, port, &hints, &list);
	if (r) {
		err_set(err, "address '%s:%s': %s", host ? host : "", port, gai_strerror(r));
		return -1;
	}
	for (a = list; a; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0) {
			saved = errno;
			continue;
		}
		setsockopt(fd, listening ? SOL_SOCKET : IPPROTO_TCP, listening ? SO_REUSEADDR : TCP_NODELAY, &one, sizeof(one));
		if (listening ? bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, 1) == 0 :
				connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			break;
		saved = errno;
		close(fd);
		fd = -1;
	}
	freeaddrinfo(list);
	if (fd < 0)
		err_errno(err, saved, listening ? "cannot listen on '%s:%s'" : "cannot connect to '%s:%s'", host ? host : "", port);
	return fd;
}

/* wait=on: the machine starts when the peer has come. */
static bool wait_for_peer(struct chr *c)
{
	struct sock *s = c->private;

	fprintf(stderr, "tenbox: info: waiting for a connection on: %s\n", c->label);
	while (!c->connected) {
		int fd = accept(s->listener, NULL, NULL);

		if (fd < 0 && errno != EINTR)
			return false;
		if (fd < 0)
			continue;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		fcntl(fd, F_SETFL, O_NONBLOCK);
		loop_change(&s->listen_fd, 0);
		if (!chr_connect(c, fd, fd, NULL))
			return false;
	}
	return true;
}

static bool open_socket(struct chr *c, struct opts *o, struct err *err)
{
	const char *path = opts_get(o, "path"), *host = opts_get(o, "host"), *port = opts_get(o, "port");
	bool server = false, wait = true, telnet = false, nodelay = false;
	struct sock *s;
	int fd;

	if (!opts_bool(o, "server", &server, err) || !opts_bool(o, "wait", &wait, err) ||
	    !opts_bool(o, "telnet", &telnet, err) || !opts_bool(o, "nodelay", &nodelay, err) ||
	    !opts_bool(o, "delay", &nodelay, err))
		return false;
	opts_get(o, "address");
	if (!path && !port)
		return err_set(err, "chardev: socket needs path=FILE or host=HOST,port=PORT");
	fd = path ? open_unix(path, server, err) : open_inet(host, port, server, err);
	if (fd < 0)
		return false;
	free(c->label);
	if (asprintf(&c->label, path ? "%s:%s%s%s" : "%s:%s:%s%s", path ? "unix" : telnet ? "telnet" : "tcp",
		     path ? path : host ? host : "", path ? "" : port, server ? ",server=on" : "") < 0)
		c->label = strdup("socket");
	s = calloc(1, sizeof(*s));
	if (!s) {
		close(fd);
		return err_set(err, "out of memory");
	}
	c->private = s;
	s->listener = -1;
	s->telnet = telnet;
	if (!server) {
		fcntl(fd, F_SETFL, O_NONBLOCK);
		return chr_connect(c, fd, fd, err);
	}
	s->listener = fd;
	if (path)
		s->unlink_path = strdup(path);
	if (loop_add(run_loop(c->run), &s->listen_fd, fd, LOOP_READ, accept_peer, c) < 0)
		return err_errno(err, errno, "cannot watch '%s'", c->label);
	if (wait && !wait_for_peer(c))
		return err_errno(err, errno, "'%s'", c->label);
	if (!wait)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	return true;
}

static void free_socket(struct chr *c)
{
	struct sock *s = c->private;

	if (!s)
		return;
	loop_remove(&s->listen_fd);
	if (s->listener >= 0)
		close(s->listener);
	if (s->unlink_path)
		unlink(s->unlink_path);
	free(s->unlink_path);
	free(s);
}

const struct chr_kind chr_socket = {
	.name = "socket", .open = open_socket, .lost = lost, .filter = filter, .free = free_socket,
};
