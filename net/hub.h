/* SPDX-License-Identifier: MIT */
/* A hub (-netdev hubport, -net): what comes in at one port goes out at all others. */
#ifndef NET_HUB_H
#define NET_HUB_H

#include "net/port.h"

enum { HUB_PORTS_MAX = 16 };

struct hub;

struct hub *hub_new(int id);
void hub_free(struct hub *h);           /* parts all ports */
int hub_id(const struct hub *h);
/* A new port of the hub, to be joined with what is to be plugged in; `name` is kept.  NULL: all are taken. */
struct port *hub_add(struct hub *h, const char *name);
/* The port goes away. */
void hub_remove(struct hub *h, struct port *p);
unsigned hub_ports(const struct hub *h);
struct port *hub_port(struct hub *h, unsigned i);

#endif
