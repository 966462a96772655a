/* SPDX-License-Identifier: MIT */
/*
 * The host's sockets as unet sees them: a table of calls, so that a test or a fuzzer can bring its own world
 * (tests/fake/fake_sockets.c).  No call blocks; each returns >= 0 or -errno.  A socket is a small number, as
 * a descriptor is.
 */
#ifndef UNET_SOCK_H
#define UNET_SOCK_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/loop.h"

struct commands;

enum sock_option {
	SOCK_RESET_ON_CLOSE,            /* close sends RST and drops what is queued (SO_LINGER 0) */
	SOCK_NODELAY,
	SOCK_TTL,                       /* TTL or hop limit of what is sent from now on */
	SOCK_ERROR_QUEUE,               /* keep ICMP errors for errors() (IP_RECVERR) */
	SOCK_REUSE,                     /* SO_REUSEADDR */
	SOCK_KEEPALIVE,
	SOCK_OOB_INLINE,                /* urgent data stays in the stream, where at_mark() finds it */
	SOCK_V6ONLY,
	SOCK_LOCAL,                     /* tell datagrams' destination: struct sock_in.local */
	SOCK_MERGE,                     /* datagrams may come several in one: struct sock_in.segment */
	SOCK_PORT_LATER,                /* bind() to port 0 takes none yet: connect() does (IP_BIND_ADDRESS_NO_PORT) */
};

enum { SOCK_BATCH = 32, SOCK_SEGMENTS = 64 };   /* datagrams of one call; segments of one datagram */

/* A datagram received: `room` bytes at `data` were offered. */
struct sock_in {
	void *data;
	uint32_t room;
	uint32_t len;                   /* its whole length, even if there was less room */
	uint16_t segment;               /* several datagrams in one, all but the last of this length (UDP GRO); 0: one */
	struct sockaddr_storage from;
	struct sockaddr_storage local;  /* which of the host's addresses it was sent to, if SOCK_LOCAL is set; or AF_UNSPEC */
};

/* A datagram to send. */
struct sock_out {
	const struct iovec *iov;
	int n;
	uint16_t segment;               /* as above (UDP GSO), at most SOCK_SEGMENTS of them */
	const struct sockaddr_storage *to;
	const struct sockaddr_storage *local;   /* the source; NULL or AF_UNSPEC: the host chooses */
};

/* One entry of a datagram socket's error queue. */
struct sock_error {
	int error;                      /* errno, positive */
	uint8_t icmp;                   /* 4: type and code are ICMP's, 6: ICMPv6's, 0: the host itself */
	uint8_t type, code;
	uint32_t info;                  /* MTU with EMSGSIZE */
	struct sockaddr_storage to;     /* where the datagram went */
	struct sockaddr_storage offender;       /* who complained, if icmp */
	uint8_t data[576];              /* the beginning of the datagram's payload */
	uint32_t len;
};

struct unet_sockets {
	int (*open)(void *owner, int family, int type, int protocol);
	void (*close)(void *owner, int fd);
	int (*bind)(void *owner, int fd, const struct sockaddr_storage *a);
	int (*connect)(void *owner, int fd, const struct sockaddr_storage *a);  /* 0, -EINPROGRESS, or why not */
	int (*listen)(void *owner, int fd, int backlog);
	int (*accept)(void *owner, int fd, struct sockaddr_storage *peer);
	int (*name)(void *owner, int fd, struct sockaddr_storage *a);   /* the local address */
	int (*error)(void *owner, int fd);      /* the pending error, taken: 0 or -errno */
	int (*set)(void *owner, int fd, enum sock_option option, int value);
	/* `to` and `from` are NULL on streams.  A datagram longer than the buffer returns its whole length. */
	ssize_t (*send)(void *owner, int fd, const struct iovec *iov, int n, const struct sockaddr_storage *to);
	ssize_t (*receive)(void *owner, int fd, const struct iovec *iov, int n, struct sockaddr_storage *from);
	/* Up to SOCK_BATCH datagrams; returns how many, or -errno if the first one fails. */
	int (*receive_many)(void *owner, int fd, struct sock_in *d, int n);
	int (*send_many)(void *owner, int fd, const struct sock_out *d, int n);
	ssize_t (*send_urgent)(void *owner, int fd, uint8_t byte);      /* one byte as TCP's urgent data (MSG_OOB) */
	int (*at_mark)(void *owner, int fd);    /* 1: the next byte to receive is urgent data (sockatmark) */
	int (*errors)(void *owner, int fd, struct sock_error *e);       /* -EAGAIN: none left */
	uint32_t (*round_trip)(void *owner, int fd);    /* of a TCP connection, in microseconds; 0: unknown */
	int (*shutdown)(void *owner, int fd);   /* the sending side */
	/* Watching is level-triggered, as base/loop.h says. */
	int (*watch)(void *owner, int fd, struct loop_fd *w, unsigned events,
		     void (*ready)(void *owner, unsigned events), void *ready_owner);
	void (*rewatch)(void *owner, struct loop_fd *w, unsigned events);
	void (*unwatch)(void *owner, struct loop_fd *w);
	/*
	 * A small text file (resolv.conf) with a stamp that changes when it does.  With buf NULL only the stamp is
	 * taken.  Returns the length read, at most size.
	 */
	ssize_t (*file)(void *owner, const char *path, char *buf, size_t size, uint64_t *stamp);
	/* A command of the host's and a stream to it (command.h); stop() ends all of *all. */
	int (*run)(void *owner, struct commands **all, const char *command);
	void (*stop)(void *owner, struct commands *all);
	int (*device)(void *owner, int fd, const char *name);   /* send by this interface only */
	int (*remove)(void *owner, const char *path);   /* the file of a unix socket, and nothing else */
	/* The address of a host by name.  NULL, or why there is none.  At set-up only: it is the one call that may take its time. */
	const char *(*look_up)(void *owner, const char *name, uint16_t port, struct sockaddr_storage *a);
};

#endif
