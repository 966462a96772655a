/* SPDX-License-Identifier: MIT */
/*
 * A Linux TAP device as one end of a cable.  Offload facts cross in the vnet header of its descriptor, so a TSO frame
 * of the kernel's is one frame here, and the other way round.  Frames are read and written in batches.
 */
#ifndef NET_TAP_H
#define NET_TAP_H

#include "base/err.h"
#include "base/loop.h"
#include "net/port.h"

struct tap_config {
	int fd;                         /* as tap_open makes it: IFF_TAP, IFF_NO_PI, IFF_VNET_HDR; not owned */
	struct loop *loop;
	const char *name;               /* of the port; not owned */
	void (*gone)(void *owner);      /* the device was removed; may be NULL */
	void *owner;
};

struct tap;

/*
 * Makes a TAP in the caller's network namespace.  name: IFNAMSIZ bytes, "tap%d" for any, holds its name afterwards.
 * Returns the descriptor; -1 with err.
 */
int tap_open(char *name, struct err *err);
struct tap *tap_new(const struct tap_config *config, struct err *err);
void tap_free(struct tap *t);           /* parts the port */
struct port *tap_port(struct tap *t);

#endif
