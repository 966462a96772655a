/* SPDX-License-Identifier: MIT */
/*
 * A read-only TFTP server (RFC 1350) with the options of RFC 2347: blksize (2348), tsize and timeout (2349), windowsize
 * (7440).  Datagrams in, datagrams out by a callback; files come from a struct tftp_files (tftp/root.h has the host's),
 * time from a clock.
 */
#ifndef TFTP_TFTP_H
#define TFTP_TFTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"

enum { TFTP_PORT = 69, TFTP_SESSIONS = 64, TFTP_NAME_MAX = 512 };

/* Files by name.  A file is a number >= 0; errors are -errno. */
struct tftp_files {
	int (*open)(void *owner, const char *name, uint64_t *size);
	ssize_t (*read)(void *owner, int file, uint64_t offset, void *buf, size_t len);
	void (*close)(void *owner, int file);
};

/* A client: whatever the embedder needs to find it again, compared as bytes. */
struct tftp_peer {
	uint8_t address[16];
	uint16_t port;                  /* host order */
	uint16_t room;                  /* of a datagram to it that needs no fragments: 512 bytes of data fit always */
};

struct tftp_config {
	struct clock *clock;
	const struct tftp_files *files;
	void *files_owner;
	bool single_port;               /* answer from port 69, for loaders that know no better */
	/* A datagram to a client, from this port of ours. */
	void (*send)(void *owner, const struct tftp_peer *to, uint16_t from_port, const void *data, size_t len);
	void (*random)(void *owner, void *buf, size_t len);     /* for transfer identifiers */
	void *owner;
};

struct tftp;

struct tftp *tftp_new(const struct tftp_config *config);        /* copied; NULL without memory */
void tftp_free(struct tftp *t);
/* A datagram to one of our ports.  Returns false if that port is not ours (69, or a transfer's). */
bool tftp_input(struct tftp *t, const struct tftp_peer *from, uint16_t to_port, const void *data, size_t len);
unsigned tftp_sessions(const struct tftp *t);

#endif
