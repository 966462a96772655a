/* SPDX-License-Identifier: MIT */
/* Calls that lwIP makes back into engine.c; included by lwIP's own files through LWIP_HOOK_FILENAME. */
#ifndef UNET_HOOKS_H
#define UNET_HOOKS_H

#include "lwip/ip_addr.h"
#include "lwip/netif.h"

/* The interface that answers to a packet without a connection leave by. */
struct netif *unet_hook_route(void);
/* An initial sequence number that outsiders cannot guess (RFC 6528). */
u32_t unet_hook_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote, u16_t remote_port);

#endif
