/* SPDX-License-Identifier: MIT */
/*
 * A simulated host for unet: sockets that live in a table and never touch a network.  A test decides how a connect ends,
 * plays the far peer of each socket, and looks at what unet sent.  Watching is level-triggered; events are delivered by
 * fake_sockets_poll, in order of descriptor, so a run is the same each time.
 */
#ifndef TESTS_FAKE_SOCKETS_H
#define TESTS_FAKE_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unet/sock.h"

enum { FAKE_SOCKETS = 6000, FAKE_DATAGRAMS = 64 };

struct fake_datagram {
	struct sockaddr_storage addr;   /* to, or from */
	struct sockaddr_storage local;  /* from, or to; AF_UNSPEC: not said */
	uint8_t *data;
	size_t len;
	uint16_t segment;               /* of one that comes in: several of this length */
	int ttl;                        /* of the socket, as it was sent */
};

struct fake_socket {
	bool open, listening, connected, connecting, shut, eof, reset_on_close;
	int family, type, protocol, ttl;
	unsigned born;                  /* the how manieth socket this is */
	int pending_error;              /* taken by error() and by the next read or write */
	struct sockaddr_storage local, peer;
	char device[16];
	struct loop_fd *watch;
	unsigned rewatches;             /* times that the events asked for were changed */
	/* what unet sent: a byte stream, or datagrams */
	uint8_t *sent;
	size_t sent_len, sent_room;
	size_t send_space;              /* bytes that the socket still takes; SIZE_MAX: all */
	unsigned send_calls, shutdowns;
	unsigned urgent_sent;           /* bytes sent as urgent data; the last one was at */
	size_t urgent_at;
	bool keepalive;
	unsigned out_count;             /* all datagrams ever; the last FAKE_DATAGRAMS are kept in out */
	unsigned many_calls, merged;    /* calls of send_many; messages with segments in them */
	bool tell_local;
	int send_error;                 /* the next datagram's */
	/* what unet can read */
	uint8_t *input;
	size_t input_len, input_at;
	size_t mark;                    /* in input: the urgent byte + 1; 0: none */
	unsigned in_first, in_count, in_high;   /* of in; those ever used lie below in_high */
	struct sock_error errors[8];
	unsigned error_count;
	struct sockaddr_storage clients[64];
	unsigned client_count;
	struct fake_datagram out[FAKE_DATAGRAMS], in[FAKE_DATAGRAMS];
};

struct fake_sockets {
	struct fake_socket *s;
	int high;                       /* descriptors ever used lie below */
	int open_count, open_limit;     /* EMFILE at the limit */
	int open_error;                 /* what open() returns instead, if negative */
	bool no_ipv6;                   /* the host has no such sockets */
	int connect_result;             /* of the next connects: 0, -EINPROGRESS, -ECONNREFUSED ... */
	int (*on_connect)(void *owner, const struct sockaddr_storage *to);      /* instead, if set */
	void *on_connect_owner;
	void (*on_open)(void);          /* before each new socket, if set */
	int last_open, last_closed;
	bool last_closed_reset;
	unsigned resets, opened;        /* closed with RST; opened in all */
	char file[1024];                /* of resolv.conf */
	uint64_t file_stamp;
	int file_error;
	unsigned file_reads;
	uint16_t next_port;
	char stale[108];                /* a unix socket's file that nobody listens at any more */
	unsigned removed;
	const char *own;                /* address of the host's, "1.2.3.4:"; "": none */
	char command[80];               /* the last one run */
	int run_error;                  /* what run() returns instead, if negative */
	bool stopped;
	int bind_error;                 /* errno of the next bind()s */
};

extern const struct unet_sockets fake_sockets_ops;      /* owner: struct fake_sockets */

void fake_sockets_init(struct fake_sockets *f);
void fake_sockets_free(struct fake_sockets *f);
/* Delivers what is ready, round after round, until nothing is (at most `rounds` rounds). */
void fake_sockets_poll(struct fake_sockets *f, int rounds);
void fake_sockets_resolv(struct fake_sockets *f, const char *text);

/* The far peer of socket fd. */
void fake_connect_done(struct fake_sockets *f, int fd, int error);      /* 0, or errno */
void fake_peer_sends(struct fake_sockets *f, int fd, const void *data, size_t len);
/* The same, and the last byte is urgent. */
void fake_peer_sends_urgent(struct fake_sockets *f, int fd, const void *data, size_t len);
void fake_peer_closes(struct fake_sockets *f, int fd);
void fake_peer_resets(struct fake_sockets *f, int fd);
void fake_peer_datagram(struct fake_sockets *f, int fd, const char *from, uint16_t port, const void *data, size_t len);
/* Several datagrams as one, as UDP GRO has them. */
void fake_peer_segments(struct fake_sockets *f, int fd, const char *from, uint16_t port, const void *data, size_t len,
			uint16_t segment);
void fake_peer_icmp(struct fake_sockets *f, int fd, const struct sock_error *e);
/* A client of a listening socket. */
void fake_client_connects(struct fake_sockets *f, int fd, const char *from, uint16_t port);
/* The last datagram that unet sent on fd; NULL if none. */
const struct fake_datagram *fake_last_sent(const struct fake_sockets *f, int fd);
void fake_address(struct sockaddr_storage *a, const char *ip, uint16_t port);
/* "a.b.c.d:port" or "[x::y]:port" in a static buffer. */
const char *fake_text(const struct sockaddr_storage *a);
/* The open socket that is connected to (or connecting to) this; -1 if none. */
int fake_find(const struct fake_sockets *f, const char *to);

#endif
