/* SPDX-License-Identifier: MIT */
/* The part of engine.c that only tcp.c needs, because it speaks of lwIP's types. */
#ifndef UNET_ENGINE_H
#define UNET_ENGINE_H

#include "lwip/tcp.h"
#include "unet/stack.h"

/* Where a pcb's ext_args carry its flow. */
uint8_t engine_ext_id(void);
/* Opens a connection to the guest that seems to come from src; NULL if lwIP refuses. */
struct tcp_pcb *engine_connect(struct unet *u, const struct addr *src, uint16_t src_port, struct tcp_pcb *pcb,
			       const struct addr *guest, uint16_t guest_port, tcp_connected_fn connected);

#endif
