/* SPDX-License-Identifier: MIT */
/*
 * One end of an Ethernet cable.  A card and a backend (or two ends of a hub) each own a struct port; port_join
 * plugs them together.  Neither knows what is at the other end.
 *
 * Frames cross in batches, each a scatter list with offload facts beside it (what struct virtio_net_hdr of
 * VIRTIO 1.1 section 5.1.6 can say).  Each end declares what it accepts; port_send segments and fills in
 * checksums (net/offload.c) only where the far end cannot.
 *
 * Threads: everything here runs on the loop thread.  A device sends from a timer or bell of the machine's clock, never
 * straight from a register write.  A device's port carries a `guard`, the machine lock.  A call made by the owner of a
 * guarded port on its own port (port_send, port_ready, port_accepts, port_forget) comes with the guard held, and lets go
 * of it while the far end works; all other calls (a backend's on its port; set-up's and the monitor's port_join, port_part,
 * port_set_link) come without it.  Callbacks into the owner of a guarded port run with its guard held.  So a device must
 * have its state in order before it calls out, and look again after.
 *
 * From inside receive and changed the owner must not join, part, or call port_send or port_ready of the same port on its
 * own stack again; answering a frame by port_send inside receive is fine.
 */
#ifndef NET_PORT_H
#define NET_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
	FRAME_MIN = 60,                 /* Ethernet without FCS */
	FRAME_MAX = 65536 + 4096,       /* bytes of the largest frame that may cross, a GSO frame with its headers */
	FRAME_IOV_SEND = 68,            /* pieces of a frame as it is sent */
	FRAME_IOV_MAX = 72,             /* and as it is received: offload.c may have added some */
};

/* Kinds of segmentation asked of the receiver (virtio_net_hdr.gso_type). */
enum gso { GSO_NONE = 0, GSO_TCPV4 = 1, GSO_UDP = 3, GSO_TCPV6 = 4, GSO_UDP_L4 = 5 };

/* port.c has checked what a receiver gets: len is the pieces' sum, 14 to FRAME_MAX; csum and gso facts lie within the frame. */
struct frame {
	const struct iovec *iov;        /* Ethernet header first; the bytes stay valid only during the call */
	uint32_t iov_count;
	uint32_t len;                   /* sum of the pieces */
	bool needs_csum;                /* a 16-bit checksum is still to be added at csum_start + csum_offset; that field */
					/* holds the pseudo-header's sum, the sum runs from csum_start to the end */
	bool csum_valid;                /* the transport checksum is known to be right: do not verify */
	uint8_t gso;                    /* enum gso; anything but GSO_NONE implies needs_csum */
	bool gso_ecn;                   /* TCP CWR handling (VIRTIO_NET_HDR_GSO_ECN) */
	uint16_t csum_start, csum_offset;
	uint16_t gso_size;              /* payload bytes of each segment */
	uint16_t hdr_len;               /* Ethernet to transport header, inclusive: a hint, checked by offload.c */
};

/* What an end accepts without help; FRAME_MAX and scatter lists always. */
enum { PORT_CSUM = 1, PORT_TSO4 = 2, PORT_TSO6 = 4, PORT_UFO = 8, PORT_USO = 16, PORT_ECN = 32 /* gso_ecn frames */ };

struct port_ops {
	/*
	 * Take up to n frames, in order; returns how many were taken.  Less than n means "full": the rest stays with the
	 * sender until port_ready is called on this port.  A frame that the owner refuses for good (too long, filtered,
	 * link down) counts as taken; the owner counts the drop.
	 */
	size_t (*receive)(void *owner, const struct frame *frames, size_t n);
	/* The far end has room again after a short port_send.  May be NULL for an end that never waits. */
	void (*ready)(void *owner);
	/* The far end's accepted offloads or the link changed (also on join and part): take note.  May be NULL. */
	void (*changed)(void *owner);
};

struct port_guard {
	void (*enter)(void *owner), (*leave)(void *owner);
	void *owner;
};

struct port_stats {
	uint64_t frames, bytes;         /* sent from this end and taken by the far end */
	uint64_t waits;                 /* times the far end was full */
	uint64_t dropped;               /* no far end, link down, or malformed: length, pieces, offload facts */
	uint64_t segmented;             /* frames that offload.c cut up or summed for the far end */
};

/* A filter sees every frame that leaves (from_owner) or enters the port, before offload work.  filter-dump is one. */
struct port_filter {
	void (*frame)(void *owner, const struct frame *f, bool from_owner);
	void *owner;
	struct port_filter *next;
};

struct port {
	const struct port_ops *ops;
	void *owner;
	struct port *peer;              /* NULL: no cable */
	const struct port_guard *guard; /* NULL: none (backends, tests, single-threaded machines) */
	struct port_filter *filters;
	unsigned accepts;               /* PORT_ bits of this end */
	bool link_down;                 /* by set_link: frames vanish in both directions, counted */
	bool waiting;                   /* this end had a short send: wants ready() */
	bool sending;
	uint32_t shown;                 /* frames of a short send that the filters have seen */
	uint32_t partial;               /* segments of the first of them that the far end has taken */
	struct port_stats stats;
	const char *name;               /* "e1000.0", "net0": for info network; not owned */
};

void port_init(struct port *p, const struct port_ops *ops, void *owner, const char *name);
void port_join(struct port *a, struct port *b);         /* both must be free */
void port_part(struct port *p);                         /* harmless without a peer */
/*
 * Send n frames.  Returns how many are done with (taken, or dropped and counted).  Less than n: stop, keep the
 * rest, and go on in ready(), beginning with the first that is left.
 */
size_t port_send(struct port *p, const struct frame *frames, size_t n);
/* The frames kept after a short send will not come again (the owner was reset). */
void port_forget(struct port *p);
/* Send one plain frame without offloads; returns false if it must wait. */
bool port_send_bytes(struct port *p, const void *data, size_t len);
/* This end, which returned less than n from receive, can take frames again. */
void port_ready(struct port *p);
/* This end now accepts these PORT_ bits. */
void port_accepts(struct port *p, unsigned bits);
/* What the far end accepts; 0 without one. */
unsigned port_far_accepts(const struct port *p);
void port_set_link(struct port *p, bool up);
/* Whether frames sent now could arrive: a peer, and both links up. */
bool port_up(const struct port *p);
void port_add_filter(struct port *p, struct port_filter *f);
void port_remove_filter(struct port *p, struct port_filter *f);
/* Copies a frame's bytes into buf; returns min(len, frame length). */
size_t frame_copy(const struct frame *f, size_t offset, void *buf, size_t len);

#endif
