/* SPDX-License-Identifier: MIT */
/* What moves UDP's datagrams, for udp.c only. */
#ifndef UNET_UDP_IO_H
#define UNET_UDP_IO_H

#include "unet/stack.h"

bool udp_io_init(struct unet *u);
/* Sends the datagram (or the run of equal ones, GSO_UDP_L4) of a packet when the batch ends; local as in struct sock_out. */
void udp_to_host(struct unet *u, int fd, const struct packet *p, struct slice data, const struct sockaddr_storage *to,
		 const struct sockaddr_storage *local);
/* Reads a batch of what a socket has for one guest endpoint.  Returns how many came. */
int udp_from_host(struct unet *u, int fd, const struct addr *guest, uint16_t guest_port, struct forward *forward,
		  uint64_t *bytes);

#endif
