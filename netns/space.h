/* SPDX-License-Identifier: MIT */
/*
 * Network namespaces: a child process enters one that there is, or makes a new one for a command, makes the TAP inside,
 * sets it up, and hands its descriptor to us.  Works without privilege, as far as the kernel lets users make user
 * namespaces.
 */
#ifndef NETNS_SPACE_H
#define NETNS_SPACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "netns/setup.h"

struct space_config {
	/* one of these three */
	pid_t pid;                      /* whose network namespace; 0: none */
	const char *path;               /* of a network namespace's file */
	char *const *command;           /* NULL-terminated */
	const struct setup *setup;      /* how the inside is set up */
};

struct space {
	int tap;                        /* its descriptor */
	char ifname[16];                /* and name */
	pid_t child;                    /* the command, which waits for space_go(); 0 without one */
	int control;                    /* -1, or the socket on which it waits */
};

bool space_open(struct space *s, const struct space_config *config, struct err *err);
/* Lets the command run; false: it could not be started, and *status is what to exit with (126, 127). */
bool space_go(struct space *s, int *status, struct err *err);

#endif
