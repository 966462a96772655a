/* SPDX-License-Identifier: MIT */
/*
 * How lwIP 2.1.3 is compiled: a TCP engine and nothing else.  Frames, ARP, IP checks, UDP, ICMP and all services are
 * unet's own; unet/engine.c says how segments reach tcp_input() and which faults of lwIP are fenced there.
 */
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_TIMERS 0                   /* engine.c calls tcp_tmr() on virtual time */
#define LWIP_STATS 0
#define MEM_LIBC_MALLOC 1
/* fixed pools would make tcp_alloc() kill live connections; flow.c bounds them */
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 8

#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_IPV6_SCOPES 0              /* no zone checks for link-local peers */
#define LWIP_ND6_TCP_REACHABILITY_HINTS 0
#define LWIP_ARP 0
#define LWIP_ETHERNET 0
#define LWIP_DHCP 0
#define LWIP_AUTOIP 0
#define LWIP_DNS 0
#define LWIP_UDP 0
#define LWIP_RAW 0
#define LWIP_IGMP 0
#define LWIP_IPV6_MLD 0
#define LWIP_IPV6_AUTOCONFIG 0
#define LWIP_ICMP 0
#define LWIP_ICMP6 1                    /* ip6.c, which is never entered, does not link without */
#define IP_REASSEMBLY 0
#define IP_FRAG 0                       /* would cut segments that go out whole as GSO frames */
#define LWIP_IPV6_FRAG 0
#define LWIP_IPV6_REASS 0
#define IP_FORWARD 0
#define LWIP_SINGLE_NETIF 0
#define LWIP_NETIF_LOOPBACK 0
#define LWIP_HAVE_LOOPIF 0

#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define PBUF_POOL_SIZE 1
#define PBUF_POOL_BUFSIZE 1600          /* the default derives from TCP_MSS and overflows a u16 */
#define PBUF_LINK_HLEN 16

/* Checksums: unet checks what comes in, and hands out pseudo-header sums for net/offload.c to finish. */
#define CHECKSUM_GEN_IP 0
#define CHECKSUM_GEN_TCP 0
#define CHECKSUM_CHECK_IP 0
#define CHECKSUM_CHECK_TCP 0

#define LWIP_TCP 1
#define TCP_MSS 65480                   /* the advertised one is min(this, mtu - 40) */
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 3
#define TCP_WND (256 * 1024)            /* what a stalled host peer can make us hold */
#define TCP_SND_BUF (1024 * 1024)       /* = RING_SIZE of tcp_flow.h */
#define TCP_SND_QUEUELEN 65000
#define TCP_WND_UPDATE_THRESHOLD 0x7fffffff     /* tcp.c decides when a window update is due */
#define TCP_OVERSIZE 0
#define TCP_QUEUE_OOSEQ 0               /* fence 2: the virtual wire does not reorder */
#define LWIP_TCP_SACK_OUT 0
#define LWIP_TCP_TIMESTAMPS 0
#define TCP_LISTEN_BACKLOG 0
#define TCP_MSL 2000
#define TCP_TMR_INTERVAL 50
#define TCP_TTL 64
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1        /* they assume an MSS of one frame */

#define LWIP_HOOK_FILENAME "unet/hooks.h"
#define LWIP_HOOK_IP4_ROUTE_SRC(src, dest) unet_hook_route()
#define LWIP_HOOK_IP6_ROUTE(src, dest) unet_hook_route()
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) \
	unet_hook_isn(local_ip, local_port, remote_ip, remote_port)

#endif
