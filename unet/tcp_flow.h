/* SPDX-License-Identifier: MIT */
/* A TCP flow, shared by tcp.c (its life), tcp_open.c, tcp_input.c and tcp_data.c (its bytes) only. */
#ifndef UNET_TCP_FLOW_H
#define UNET_TCP_FLOW_H

#include "unet/engine.h"

enum {
	LIST_OPEN = 0, LIST_CONNECTING = 1, LIST_LINGERING = 2, LIST_PROBED = 3,
	LIST_RESOLVING = 4,             /* connecting to a resolver, which gives way to the next one soon */
	RING_SIZE = 4 * TCP_WND,        /* so much may be under way to the guest: fewer, longer turns of guest and loop */
	RINGS_MAX = 1024,
	RINGS_FULL = 128,               /* beyond so many rings each is used up to TCP_WND only */
	PIECES = 1024,
	SYN_LEN = TCP_HLEN_MIN + 8,
};

struct ring {
	struct ring *next;              /* while free, or parked until the queue's frames that point into it have left */
	uint64_t parked_until;          /* out_done */
	uint32_t start, len;
	uint8_t data[RING_SIZE];
};

struct rx_piece {
	const uint8_t *data;
	uint32_t len;
	uint32_t next;                  /* index + 1 of the flow's next piece */
};

enum tcp_flow_state { CONNECTING, OPENING, OPEN, LINGERING };

struct tcp_flow {
	struct flow flow;
	struct unet *u;
	struct tcp_pcb *pcb;
	int fd;
	struct loop_fd watch;
	uint8_t state;
	uint8_t resolver;               /* to 10.0.2.3: which of the host's */
	bool watched, hung_up;
	bool undelayed;                 /* Nagle's algorithm is off on the host's socket */
	bool near;                      /* the host's end is on the host itself: nothing can be lost on the way */
	bool forwarded;                 /* opened by a client of the host's */
	bool guest_fin, shut;           /* the guest closed its half; passed on to the host */
	bool host_eof, fin_sent;        /* the same the other way */
	bool more;                      /* the host's socket filled all the room it was given */
	bool guest_reset, host_reset;
	bool opened;                    /* work_on has seen it OPEN */
	bool ack_wanted, kick;          /* tcp_output is due */
	bool urgent, marked;            /* urgent data is on its way to the host; to the guest */
	uint8_t acks_at_once;           /* answers to see before an ACK waits for one again */
	uint8_t probes;                 /* sent since the guest last spoke (keep-alive) */
	struct {
		struct tcp_flow *next, *prev;
		bool on;
	} chain[CHAINS];
	struct engine_timed timed;
	uint16_t guest_mss;
	struct ring *tx, *backlog;
	uint32_t given;                 /* of tx: bytes that lwIP has */
	uint32_t first_piece, last_piece;       /* index + 1 */
	uint32_t unannounced;           /* window given back since the last ACK */
	uint32_t unacked;               /* bytes from the guest since the last ACK */
	uint32_t stream;                /* bytes from the guest since the host, or the guest for a while, said anything */
	uint64_t heard_ns;              /* when the guest last sent data */
	uint64_t ack_due;               /* while on CHAIN_ACKS or CHAIN_ANSWERS */
	uint64_t opened_ns, bytes_in, bytes_out;
	uint32_t passed;                /* of the guest's stream: bytes that the host has */
	uint32_t urgent_at;             /* of the guest's stream: the byte that is urgent */
	uint32_t first_seq;             /* of the guest's stream */
	uint32_t mark_seq;              /* of ours: behind the byte that is urgent */
	uint8_t ip[IPV6_HLEN], syn[SYN_LEN];     /* of the SYN that waits, options rewritten */
};

/* --- tcp.c --- */
/* Puts it at the end of u->chains[which], unless it is there. */
void tcp_chain(struct tcp_flow *f, unsigned which);
/* Takes the first one off; NULL if there is none. */
struct tcp_flow *tcp_unchain(struct unet *u, unsigned which);
/* Our stream has urgent data that the guest has not acknowledged, up to f->mark_seq. */
void tcp_set_mark(struct tcp_flow *f, bool on);
/* lwIP's callbacks for the flow's connection. */
void tcp_hook(struct tcp_flow *f, struct tcp_pcb *pcb);
/* The events of its socket that are to be told. */
void tcp_watch(struct tcp_flow *f, unsigned events);
void tcp_close_socket(struct tcp_flow *f, bool reset);
/* Forget it at once: the guest gets RST if lwIP still knows it, the host if f->guest_reset. */
void tcp_drop(struct tcp_flow *f);
/* The same, with a reset to both sides. */
void tcp_evict(struct tcp_flow *f);
/* Both sides have said all: only lwIP is still about it. */
bool tcp_over(const struct tcp_flow *f);
/* Such a flow's tuple is used anew (RFC 9293 3.10.7.4 lets TIME_WAIT end so). */
void tcp_reuse(struct tcp_flow *f);

/* --- tcp_open.c --- */
/* syn: a SYN of the guest's, with rewritten options (SYN_LEN bytes). */
void tcp_open_from_guest(struct unet *u, const struct packet *p, const struct flow_key *key, const uint8_t *syn);
/* The host's connect() has ended: well, or with errno `error`. */
void tcp_connected(struct tcp_flow *f);
void tcp_refused(struct tcp_flow *f, int error);

/* --- tcp_data.c --- */
void tcp_ring_consume(struct ring *r, uint32_t len);
void tcp_ring_put(struct unet *u, struct ring **at);    /* gives *at back, if there is one */
void tcp_rings_unpark(struct unet *u);
void tcp_rings_trim(struct unet *u);
void tcp_rings_free(struct unet *u);
/* What the guest said goes to the host, as far as its socket takes it. */
void tcp_flush_flow(struct tcp_flow *f);
void tcp_flush_backlog(struct tcp_flow *f);
/* Reads from the host's socket into the ring; urgent: some of what it has is. */
void tcp_read_host(struct tcp_flow *f, bool urgent);
/* Gives lwIP as much as the guest's window takes now; true if there is something for tcp_output(). */
bool tcp_push(struct tcp_flow *f);
/* Whether the host has ended, and lwIP has all that it said before; then it can be told, which sends what lwIP has. */
bool tcp_fin_due(const struct tcp_flow *f);
void tcp_push_fin(struct tcp_flow *f);
/* Whether the ring has room enough to read again. */
bool tcp_wants_read(const struct tcp_flow *f);

#endif
