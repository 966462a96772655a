/* SPDX-License-Identifier: MIT */
/*
 * UDP's datagrams between frames and sockets, in batches.
 *
 * To the host: what a batch of frames held goes out by one sendmmsg() per socket, straight from the frames (no copy in
 * unet); runs of equal datagrams to one place are one message each that the host cuts up (UDP GSO).
 *
 * To the guest: recvmmsg() into u->datagram (the kernel's copy), and from there into the frame (ours).  What the host
 * has merged (UDP GRO) stays one frame that the port or the far end cuts up.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/checksum.h"
#include "unet/udp_io.h"

enum {
	PIECES = 256,                   /* of all datagrams of one call */
	MERGE_MAX = 1472,               /* longer ones would not fit the path, most likely */
	MERGED_MAX = 60000,
};

struct udp_out {
	struct packet p;                /* to complain about, if need be */
	struct slice data;
	struct sockaddr_storage to;
	const struct sockaddr_storage *local;
	uint16_t segment;
	int fd;
	bool done;
};

/* --- to the host --------------------------------------------------------------------------------------------------- */

static void queue(struct unet *u, int fd, const struct packet *p, struct slice data, uint16_t segment,
		  const struct sockaddr_storage *to, const struct sockaddr_storage *local)
{
	if (u->udp_out_count == SOCK_BATCH)
		udp_flush(u);
	u->udp_out[u->udp_out_count++] = (struct udp_out){ .p = *p, .data = data, .to = *to, .local = local,
							   .segment = data.len > segment ? segment : 0, .fd = fd };
}

void udp_to_host(struct unet *u, int fd, const struct packet *p, struct slice data, const struct sockaddr_storage *to,
		 const struct sockaddr_storage *local)
{
	uint16_t segment = p->gso == GSO_UDP_L4 ? p->gso_size : 0;

	while (segment && data.len > (uint32_t)segment * SOCK_SEGMENTS) {
		queue(u, fd, p, slice_cut(data, (uint32_t)segment * SOCK_SEGMENTS), segment, to, local);
		data = slice_from(data, (uint32_t)segment * SOCK_SEGMENTS);
	}
	queue(u, fd, p, data, segment, to, local);
}

/* The messages of one socket. */
struct batch {
	struct sock_out d[SOCK_BATCH];
	const struct udp_out *first[SOCK_BATCH];        /* of each message */
	struct iovec iov[PIECES];
	int count, pieces;
	uint32_t len;                   /* of the last message */
	uint32_t segments;              /* that it is made of; 0: nothing joins it any more */
};

/* Whether a datagram can be one more segment of the last message. */
static bool joins(const struct batch *b, const struct udp_out *o)
{
	const struct udp_out *first = b->count ? b->first[b->count - 1] : NULL;

	return first && b->segments && b->segments < SOCK_SEGMENTS && !o->segment && o->data.len &&
	       o->data.len <= first->data.len && first->data.len <= MERGE_MAX && b->len + o->data.len <= MERGED_MAX &&
	       o->local == first->local && !memcmp(&o->to, &first->to, sizeof(struct sockaddr_in6));
}

/* False if there is no room. */
static bool add(struct batch *b, struct udp_out *o)
{
	bool join = joins(b, o);
	int n;

	if (!join && b->count == SOCK_BATCH)
		return false;
	n = slice_iov(o->data, b->iov + b->pieces, PIECES - b->pieces);
	if (n < 0)
		return false;
	if (join) {
		struct sock_out *d = &b->d[b->count - 1];

		d->n += n;
		d->segment = (uint16_t)b->first[b->count - 1]->data.len;
		b->len += o->data.len;
		b->segments = o->data.len == d->segment ? b->segments + 1 : 0;
	} else {
		b->first[b->count] = o;
		b->d[b->count++] = (struct sock_out){ .iov = b->iov + b->pieces, .n = n, .segment = o->segment, .to = &o->to,
						      .local = o->local };
		b->len = o->data.len;
		b->segments = !o->segment && o->data.len;
	}
	b->pieces += n;
	return true;
}

static bool earlier(int error)
{
	return error == -ECONNREFUSED || error == -EHOSTUNREACH || error == -ENETUNREACH;
}

static void send_batch(struct unet *u, int fd, const struct batch *b)
{
	bool again = true;

	for (int at = 0; at < b->count;) {
		int r = SOCK(u, send_many, fd, b->d + at, b->count - at);

		if (r > 0) {
			at += r;
			again = true;
		} else if (earlier(r) && again) {       /* an error that an earlier datagram met */
			again = false;
		} else if (r == 0 || r == -EAGAIN) {    /* the socket is full: datagrams may get lost */
			u->counters.limit_sockets += (uint64_t)(b->count - at);
			break;
		} else {
			if (icmp_of_errno(-r))
				icmp_error(u, &b->first[at]->p, icmp_of_errno(-r));
			at++;
			again = true;
		}
	}
}

void udp_flush(struct unet *u)
{
	for (unsigned i = 0; i < u->udp_out_count; i++) {
		struct batch b;

		if (u->udp_out[i].done)
			continue;
		b.count = b.pieces = 0;
		for (unsigned k = i; k < u->udp_out_count; k++) {
			struct udp_out *o = &u->udp_out[k];

			if (o->done || o->fd != u->udp_out[i].fd)
				continue;
			if (!add(&b, o) && k > i)
				break;          /* the next round's */
			o->done = true;
		}
		send_batch(u, u->udp_out[i].fd, &b);
	}
	u->udp_out_count = 0;
}

/* --- to the guest -------------------------------------------------------------------------------------------------- */

/* A header in front of the payload, which p has behind UDP_HLEN bytes of room. */
static void send_pbuf(struct unet *u, const struct addr *src, uint16_t src_port, const struct addr *dst,
		      uint16_t dst_port, struct pbuf *p, uint16_t segment)
{
	uint16_t ip_len = (uint16_t)ip_hlen(dst);
	struct facts facts = { .needs_csum = true, .csum_start = ip_len, .csum_offset = 6, .hdr_len = ip_len + UDP_HLEN,
			       .gso = segment ? GSO_UDP_L4 : GSO_NONE, .gso_size = segment };
	uint8_t *h = p->payload;

	put_be16(h, src_port);
	put_be16(h + 2, dst_port);
	put_be16(h + 4, p->tot_len);
	put_be16(h + 6, checksum_fold(ip_pseudo(src, dst, PROTO_UDP, p->tot_len)));
	ip_send(u, src, dst, PROTO_UDP, TTL_DEFAULT, p, &facts);
}

static void send_run(struct unet *u, const struct addr *src, uint16_t src_port, const struct addr *dst,
		     uint16_t dst_port, const uint8_t *data, uint32_t len, uint16_t segment)
{
	struct pbuf *p = ip_alloc(UDP_HLEN + len);

	if (!p)
		return;
	memcpy((uint8_t *)p->payload + UDP_HLEN, data, len);
	send_pbuf(u, src, src_port, dst, dst_port, p, segment);
}

void udp_send(struct unet *u, const struct addr *src, uint16_t src_port, const struct addr *dst, uint16_t dst_port,
	      const void *data, uint32_t len)
{
	send_run(u, src, src_port, dst, dst_port, data, len, 0);
}

/* A message that may be several datagrams.  Returns how many frames each takes. */
static unsigned deliver(struct unet *u, const struct sock_in *in, const struct addr *src, uint16_t src_port,
			const struct addr *dst, uint16_t dst_port)
{
	uint32_t header = ip_hlen(dst) + UDP_HLEN, each = in->segment ? in->segment : in->len;
	const uint8_t *data = in->data;

	if (in->segment && each + header <= u->cfg.mtu) {
		send_run(u, src, src_port, dst, dst_port, data, in->len, in->segment);
		return 1;
	}
	for (uint32_t at = 0; at < in->len || at == 0; at += MAX(each, 1))
		udp_send(u, src, src_port, dst, dst_port, data + at, MIN(each, in->len - at));
	return (in->len + header) / (u->cfg.mtu - IPV6_HLEN - IP6_FRAGMENT_LEN) + 1;
}

int udp_from_host(struct unet *u, int fd, const struct addr *guest, uint16_t guest_port, struct forward *forward,
		  uint64_t *bytes)
{
	struct sock_in in[SOCK_BATCH];
	unsigned room = u->out_count < OUT_DATA ? OUT_DATA - u->out_count : 0;
	int want = (int)MIN(MAX(1, room / u->udp_frames), u->cfg.limits.udp_batch), n = -EAGAIN, got = 0;
	unsigned frames = 1;

	for (int i = 0; i < want; i++)
		in[i] = (struct sock_in){ .data = u->datagram + (size_t)i * DATAGRAM, .room = DATAGRAM };
	/* an error of an earlier send comes first, and the error queue has told it */
	for (int tries = 0; n < 0 && tries < 3 && netif_room(u); tries++) {
		n = SOCK(u, receive_many, fd, in, want);
		if (n == -EAGAIN)
			break;
	}
	for (int i = 0; i < n; i++) {
		struct addr src;
		uint16_t port;
		unsigned took;

		if (in[i].len > 65535 - IP4_HLEN - UDP_HLEN || !addr_from_sock(&in[i].from, &src, &port) || port == 0)
			continue;
		src = forward ? fwd_remember_peer(forward, &in[i].from, &in[i].local) : fwd_shown_source(u, &src, guest);
		took = deliver(u, &in[i], &src, port, guest, guest_port);
		frames = MAX(frames, took);
		*bytes += in[i].len;
		got++;
	}
	if (n > 0)
		u->udp_frames = frames;
	return got;
}

bool udp_io_init(struct unet *u)
{
	u->udp_out = calloc(SOCK_BATCH, sizeof(*u->udp_out));
	u->udp_frames = 1;
	return u->udp_out != NULL;
}

void udp_io_free(struct unet *u)
{
	free(u->udp_out);
}
