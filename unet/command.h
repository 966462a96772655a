/* SPDX-License-Identifier: MIT */
/* Commands of the host, one for each connection of a guest's (guestfwd=...-cmd:COMMAND). */
#ifndef UNET_COMMAND_H
#define UNET_COMMAND_H

#include "base/loop.h"

enum { COMMANDS = 128 };                /* that run at a time */

struct commands;

/*
 * Starts "/bin/sh -c command" with a stream socket as its standard input and output, whose other end is returned:
 * non-blocking, and at its end when the command is.  -EAGAIN if too many run, or another -errno.  *all is made by the
 * first call.
 */
int commands_run(struct commands **all, struct loop *loop, const char *command);
unsigned commands_running(const struct commands *all);
/* Ends them all, by force if they don't go within a moment. */
void commands_free(struct commands *all);

#endif
