/* SPDX-License-Identifier: MIT */
/*
 * What exhausted the tables of others: floods of a guest's, as many as asked for.  Unit tests send a share of them,
 * tests/bench/bench_floods.c all.
 */
#ifndef TESTS_FLOODS_H
#define TESTS_FLOODS_H

#include "tests/fake/fake_net.h"

void flood_flows(struct fake_net *n, unsigned count);           /* connections opened, used and dropped in five ways */
void flood_black_holes(struct fake_net *n, unsigned count);     /* SYNs that the host never answers */
void flood_ports(struct fake_net *n, unsigned count);           /* a datagram from ever new ports */
void flood_echoes(struct fake_net *n, unsigned count);          /* a ping of ever new identifiers */
void flood_fragments(struct fake_net *n, unsigned count);       /* first halves of packets */
void flood_leases(struct fake_net *n, unsigned count);          /* DHCP with ever new MACs */
/* Four hours, in which everything must end. */
void flood_wait(struct fake_net *n);
/* One connection, one datagram and one ping, served at once. */
bool flood_still_serves(struct fake_net *n);

#endif
