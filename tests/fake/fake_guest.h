/* SPDX-License-Identifier: MIT */
/*
 * A guest at the end of a cable: it keeps every frame that arrives, answers ARP, and can say anything.  With
 * fake_tcp it has a small TCP of its own that is driven step by step.
 */
#ifndef TESTS_FAKE_GUEST_H
#define TESTS_FAKE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/port.h"

enum {
	GUEST_FRAMES = 4096,
	TCP_FIN_ = 1, TCP_SYN_ = 2, TCP_RST_ = 4, TCP_PSH_ = 8, TCP_ACK_ = 16, TCP_URG_ = 32,
};

struct guest_frame {
	uint8_t *data;
	uint32_t len;
	struct frame facts;             /* iov is stale */
};

struct guest {
	struct port port;
	uint8_t mac[6];
	uint32_t ip;                    /* host order */
	uint8_t ip6[16], link6[16];     /* fec0:: and fe80::, both with 5054:ff:fe12:34xx */
	struct guest_frame *frames;     /* a ring of GUEST_FRAMES: those not looked at yet */
	unsigned high;                  /* those ever used lie below */
	unsigned first, count;
	bool refused;                   /* a frame found the ring full; told when the ring has been emptied */
	size_t room;                    /* frames that it still takes; SIZE_MAX: all */
	bool no_arp;                    /* do not answer requests, nor solicitations */
	bool keep_arp;                  /* leave both among the other frames */
	unsigned bad_checksums;         /* frames that came with a wrong one */
	uint64_t total_frames;
	uint16_t ip_id;
};

void guest_init(struct guest *g, uint32_t ip, unsigned accepts);
void guest_free(struct guest *g);
void guest_send(struct guest *g, const void *frame, size_t len);
void guest_send_facts(struct guest *g, const void *frame, size_t len, const struct frame *facts);
/* The oldest frame that has not been looked at, or NULL; valid until the next call.  ARP requests are answered on the way. */
const struct guest_frame *guest_next(struct guest *g);
void guest_forget(struct guest *g);     /* all that came so far */
/* This many bytes, nowhere like elsewhere; free() them. */
uint8_t *guest_pattern(size_t len);

/* Builders: each returns the length of the whole frame in buf.  Addresses are in host order. */
size_t guest_arp(struct guest *g, uint8_t *buf, uint16_t op, uint32_t sender, uint32_t target);
size_t guest_ip(struct guest *g, uint8_t *buf, uint32_t dst, uint8_t protocol, const void *payload, size_t len);
size_t guest_udp(struct guest *g, uint8_t *buf, uint32_t dst, uint16_t sport, uint16_t dport, const void *data, size_t len);
size_t guest_icmp(struct guest *g, uint8_t *buf, uint32_t dst, uint8_t type, uint8_t code, uint32_t rest, const void *data,
		  size_t len);
/* IPv6: from link6 to what stays on the link, else from ip6. */
size_t guest_ip6(struct guest *g, uint8_t *buf, const void *dst, uint8_t next, const void *payload, size_t len);
size_t guest_udp6(struct guest *g, uint8_t *buf, const void *dst, uint16_t sport, uint16_t dport, const void *data, size_t len);
size_t guest_icmp6(struct guest *g, uint8_t *buf, const void *dst, uint8_t type, uint8_t code, uint32_t rest, const void *data,
		   size_t len);
void guest_fix_ip(uint8_t *frame);      /* IP header checksum */
void guest_fix_l4(uint8_t *frame);      /* UDP, TCP or ICMPv6 checksum, by the IP header's lengths; no extension headers */

/* A received frame taken apart. */
struct guest_packet {
	const uint8_t *eth, *ip, *l4, *data;    /* data: behind the UDP, TCP or ICMP header */
	uint16_t type;
	uint8_t protocol, ttl;
	uint32_t src, dst;
	bool v6;                        /* then src6 and dst6 are meant */
	const uint8_t *src6, *dst6;
	uint16_t sport, dport, fragment;
	uint32_t seq, ack, window;
	uint8_t flags, icmp_type, icmp_code;
	uint16_t urgent;
	uint16_t mss;                   /* option, 0: none */
	int scale;                      /* option, -1: none */
	size_t data_len;
	const struct guest_frame *frame;
};
/* The next frame; false if there is none.  Checksums have been looked at. */
bool guest_packet(struct guest *g, struct guest_packet *p);

/* A message of neighbour or router discovery: hop limit 255, `src` instead of the guest's if not NULL. */
size_t guest_ndp(struct guest *g, uint8_t *buf, const uint8_t *src, const uint8_t *dst, uint8_t type, uint32_t flags,
		 const void *body, size_t len);
/* A neighbour solicitation for target, with the source address option unless `anonymous`. */
size_t guest_solicit(struct guest *g, uint8_t *buf, const uint8_t *target, bool anonymous);
/* The option of this type, behind `fixed` bytes of such a message; NULL if it has none, or one of no length before. */
const uint8_t *guest_ndp_option(const struct guest_packet *p, size_t fixed, uint8_t type);

/* One TCP connection of the guest's. */
struct guest_tcp {
	struct guest *g;
	uint32_t far;
	bool v6;                        /* then far6 is meant */
	uint8_t far6[16];
	uint16_t port, far_port;
	uint32_t snd_nxt, snd_una, rcv_nxt;
	uint32_t far_window;            /* in bytes, scaled */
	int far_scale, scale;           /* -1: none */
	uint32_t window;                /* ours, in bytes */
	uint16_t mss, far_mss;
	bool established, fin_seen, reset, syn_ack_seen;
	bool no_ack;                    /* stay silent: the test sends ACKs itself */
	uint8_t *got;
	size_t got_len, got_room;
	unsigned segments, acks;        /* seen */
	uint16_t urgent;                /* pointer to send with TCP_URG_ */
	unsigned urgent_seen;           /* segments with one; the last says that the urgent byte is got[urgent_at] */
	size_t urgent_at;
	uint32_t largest;               /* payload of a segment */
};

void guest_tcp_init(struct guest_tcp *t, struct guest *g, uint32_t far, uint16_t port, uint16_t far_port);
void guest_tcp_init6(struct guest_tcp *t, struct guest *g, const void *far, uint16_t port, uint16_t far_port);
void guest_tcp_free(struct guest_tcp *t);
/* A segment with these flags; SYN and FIN count.  ACK fields are filled in if flags has ACK. */
void guest_tcp_send(struct guest_tcp *t, uint8_t flags, const void *data, size_t len);
/* The same at any sequence number, nothing counted. */
void guest_tcp_send_at(struct guest_tcp *t, uint32_t seq, uint8_t flags, const void *data, size_t len);
size_t guest_tcp_build(struct guest_tcp *t, uint8_t *buf, uint32_t seq, uint8_t flags, const void *options, size_t options_len,
		       const void *data, size_t len);
/* Takes what has arrived for this connection (other frames are dropped), acknowledging data.  Returns frames taken. */
unsigned guest_tcp_run(struct guest_tcp *t);
/* SYN, SYN-ACK, ACK; false if the second does not come. */
bool guest_tcp_open(struct guest_tcp *t);

#endif
