/* SPDX-License-Identifier: MIT */
/* The part of engine.c that only tcp*.c needs, because it speaks of lwIP's types. */
#ifndef UNET_ENGINE_H
#define UNET_ENGINE_H

#include "lwip/tcp.h"
#include "unet/stack.h"

/*
 * A connection with something for lwIP's timers to look after: segments in flight or waiting, a handshake, a close.  An
 * idle one has nothing.
 */
struct engine_timed {
	struct tcp_pcb *pcb;
	struct engine_timed *next, **link;      /* link NULL: the timers leave it alone */
};
/* After anything that lwIP did with a pcb (NULL: there is none any more). */
void engine_timed(struct engine_timed *t, struct tcp_pcb *pcb);
/*
 * Hands lwIP one segment: hdr is the checked TCP header with the options that lwIP may see, payload may be empty.
 * It is for pcb (NULL: for nobody, to be refused); with listen the SYN opens u->opening.
 */
void engine_input(struct unet *u, const struct packet *p, const uint8_t *hdr, unsigned hdr_len, struct slice payload,
		  struct tcp_pcb *pcb, bool listen);
/* Where a pcb's ext_args carry its flow. */
uint8_t engine_ext_id(void);
/* Opens a connection to the guest that seems to come from src; NULL if lwIP refuses. */
struct tcp_pcb *engine_connect(struct unet *u, const struct addr *src, uint16_t src_port, struct tcp_pcb *pcb,
			       const struct addr *guest, uint16_t guest_port, tcp_connected_fn connected);

#endif
