/* SPDX-License-Identifier: MIT */
/*
 * UDP (RFC 768) as a NAT does it (RFC 4787): one host socket per address and port of the guest, whatever the
 * destination (endpoint-independent mapping), open to answers from anyone.  The sender of each datagram decides the
 * source that the guest sees, so two destinations never get mixed up.
 *
 * Idle times: 300 s once answered, 30 s before that, 10 s towards port 53.  A full table, or a process out of
 * descriptors, costs the mapping that was idle longest.
 */
#include <errno.h>

#include "base/checksum.h"
#include "lwip/pbuf.h"
#include "unet/mapping.h"
#include "unet/udp_io.h"

enum {
	LIST_ANSWERED = 0, LIST_ASKED = 1, LIST_DNS = 2,
	BURST = 32,                     /* errors read per wake-up of one socket */
	DNS_PORT = 53,
};

/* --- to the guest ----------------------------------------------------------------------------------------------- */

/*
 * Tells the guest of an ICMP error that a datagram of its own met; the quote is put together again from what is
 * known.
 */
void udp_icmp_from_error(struct unet *u, const struct sock_error *e, const struct addr *guest, uint16_t guest_port)
{
	unsigned what = icmp_of_queue(e, guest);
	uint8_t quote[IPV6_HLEN + UDP_HLEN + sizeof(e->data)], *h = quote + ip_hlen(guest);
	struct addr to, from = *ip_gateway(u, guest);
	uint16_t port, ignored;
	uint32_t n = MIN(e->len, sizeof(e->data));

	if (!what || !addr_from_sock(&e->to, &to, &port) || (e->icmp && !addr_from_sock(&e->offender, &from, &ignored)))
		return;
	to = fwd_shown_source(u, &to, guest);
	from = fwd_shown_source(u, &from, guest);
	ip_header(u, quote, guest, &to, PROTO_UDP, 1, (uint16_t)(UDP_HLEN + n));
	put_be16(h, guest_port);
	put_be16(h + 2, port);
	put_be16(h + 4, (uint16_t)(UDP_HLEN + n));
	put_be16(h + 6, 0);
	memcpy(h + UDP_HLEN, e->data, n);
	icmp_error_bytes(u, &from, guest, what, e->info, quote, ip_hlen(guest) + UDP_HLEN + n);
}

/* Reads what a socket has for one guest endpoint.  Returns how many datagrams came. */
static int relay(struct unet *u, int fd, const struct addr *guest, uint16_t guest_port, unsigned events,
		 struct forward *forward, uint64_t *bytes)
{
	if (events & LOOP_HUP) {
		struct sock_error e;

		for (int i = 0; i < BURST && SOCK(u, errors, fd, &e) == 0; i++)
			udp_icmp_from_error(u, &e, guest, guest_port);
	}
	return udp_from_host(u, fd, guest, guest_port, forward, bytes);
}

/* --- mappings --------------------------------------------------------------------------------------------------- */

static struct mapping *longest_idle(const struct unet *u)
{
	static const uint8_t order[] = { LIST_DNS, LIST_ASKED, LIST_ANSWERED };

	for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
		if (u->udp.lists[order[i]].oldest)
			return (struct mapping *)u->udp.lists[order[i]].oldest;
	return NULL;
}

static void evict(struct unet *u)
{
	struct mapping *f = longest_idle(u);

	if (f) {
		mapping_close(f);
		u->counters.udp_evicted++;
	}
}

static void readable(void *owner, unsigned events)
{
	struct mapping *f = owner;
	struct unet *u = f->u;

	unet_enter(u);
	if (relay(u, f->fd, &f->flow.key.guest, f->flow.key.guest_port, events, NULL, &f->to_guest) > 0)
		flow_touch(&u->udp, &f->flow, f->flow.list == LIST_DNS ? LIST_DNS : LIST_ANSWERED, unet_now(u));
	if (!netif_room(u))
		mapping_pause(f);
	unet_leave(u);
}

/* NULL, with the errno if socket() said no. */
static struct mapping *open_flow(struct unet *u, const struct flow_key *key, unsigned list,
				  const struct sockaddr_storage *to, int *error)
{
	int fd = outside_open(u, to, SOCK_DGRAM, 0);
	struct mapping *f;

	*error = 0;
	if (fd == -EMFILE || fd == -ENFILE) {
		evict(u);
		fd = outside_open(u, to, SOCK_DGRAM, 0);
	}
	if (fd < 0) {
		*error = -fd;
		u->counters.limit_descriptors++;
		return NULL;
	}
	if (u->udp.count == u->udp.limit)
		evict(u);
	SOCK(u, set, fd, SOCK_MERGE, 1);
	f = mapping_new(u, &u->udp, key, list, fd, readable);
	if (f)
		u->counters.udp_opened++;
	return f;
}

/* --- from the guest --------------------------------------------------------------------------------------------- */

static void to_outside(struct unet *u, struct packet *p, uint16_t src_port, uint16_t dst_port, struct slice data)
{
	struct flow_key key = { .guest = p->src, .guest_port = src_port };
	struct addr dst = p->dst;
	struct sockaddr_storage to;
	struct mapping *f;
	struct forward *fwd = fwd_find_udp(u, &p->src, src_port, &p->dst, dst_port);
	const struct forward_peer *client = fwd ? fwd_peer(fwd, &p->dst, dst_port) : NULL;
	int fd, error = 0;

	if (!client)
		error = outside_check(u, &dst, dst_port);
	if (error) {
		icmp_error(u, p, icmp_of_errno(error));
		return;
	}
	if (!client && ip_place(u, &dst) == PLACE_HOST) {
		dst = ip_loopback(&dst);
		key.far_port = outside_chosen(u);       /* needs another socket then */
	}
	addr_to_sock(&dst, dst_port, &to);
	if (client)
		to = client->real;
	if (fwd) {
		fd = fwd->fd;
		fwd->to_host += data.len;
	} else {
		unsigned list = dst_port == DNS_PORT ? LIST_DNS : LIST_ASKED;

		f = (struct mapping *)flow_find(&u->udp, &key);
		if (!f)
			f = open_flow(u, &key, list, &to, &error);
		if (icmp_of_errno(error))       /* a host without IPv6, an address that is gone */
			icmp_error(u, p, icmp_of_errno(error));
		if (!f)
			return;
		flow_touch(&u->udp, &f->flow, f->flow.list == LIST_ANSWERED ? LIST_ANSWERED : list, unet_now(u));
		f->last_to = p->dst;
		f->last_port = dst_port;
		f->to_host += data.len;
		mapping_pass_ttl(f, p->ttl);
		fd = f->fd;
	}
	udp_to_host(u, fd, p, data, &to, client ? &client->local : NULL);
}

void udp_guest_input(struct unet *u, struct packet *p)
{
	enum place place = ip_place(u, &p->dst);
	uint16_t src_port, dst_port, len;
	uint8_t h[UDP_HLEN];
	struct slice data;

	if (slice_copy(p->body, 0, h, UDP_HLEN) < UDP_HLEN)
		goto malformed;
	src_port = be16(h);
	dst_port = be16(h + 2);
	len = be16(h + 4);
	if (p->gso == GSO_UDP || p->gso == GSO_UDP_L4)
		len = (uint16_t)MIN(p->body.len, 65535);        /* the length of the whole, whatever the field says */
	if (len < UDP_HLEN || len > p->body.len || src_port == 0 || dst_port == 0 ||
	    (p->gso != GSO_NONE && p->gso != GSO_UDP && p->gso != GSO_UDP_L4))
		goto malformed;
	/* without a checksum: fine in IPv4 only (RFC 8200 8.1) */
	if (!p->csum_ok && !(addr_is4(&p->src) && be16(h + 6) == 0) && (be16(h + 6) == 0 || !ip_body_sum_ok(p, len)))
		goto malformed;
	data = slice_from(slice_cut(p->body, len), UDP_HLEN);
	if (svc_udp(u, p, src_port, dst_port, data))
		return;
	if (place == PLACE_BROADCAST || addr_is_any4(&p->src)) {        /* never leaks to the host's network */
		u->counters.dropped_destination++;
		return;
	}
	if (u->cfg.restricted) {
		/* but answers to those who came by a forward pass */
		struct forward *f = fwd_find_udp(u, &p->src, src_port, &p->dst, dst_port);

		if (place == PLACE_DNS || !f || !fwd_peer(f, &p->dst, dst_port)) {
			u->counters.dropped_restricted++;
			return;
		}
	} else if (place == PLACE_DNS || place == PLACE_GUESTFWD) {
		icmp_error(u, p, ICMP_UNREACH_PORT);
		return;
	}
	to_outside(u, p, src_port, dst_port, data);
	return;
malformed:
	u->counters.dropped_malformed++;
}

/* --- forwards, pauses ------------------------------------------------------------------------------------------- */

void udp_forward_readable(struct forward *f, unsigned events)
{
	struct unet *u = f->u;

	unet_enter(u);
	if (relay(u, f->fd, &f->guest, f->guest_port, events, f, &f->to_guest) > 0)
		f->used_ns = unet_now(u);
	if (!netif_room(u)) {
		SOCK(u, rewatch, &f->watch, 0);
		u->forwards_paused = true;
	}
	unet_leave(u);
}

void udp_resume(struct unet *u)
{
	mappings_resume(u);
	for (unsigned i = 0; u->forwards_paused && i < u->forward_count; i++)
		if (u->forwards[i]->udp)
			SOCK(u, rewatch, &u->forwards[i]->watch, LOOP_READ);
	u->forwards_paused = false;
}

bool udp_init(struct unet *u)
{
	if (!mappings_init(u, &u->udp, u->cfg.limits.udp_flows) || !udp_io_init(u))
		return false;
	u->udp.lists[LIST_ANSWERED].idle_ns = S(300);
	u->udp.lists[LIST_ASKED].idle_ns = S(30);
	u->udp.lists[LIST_DNS].idle_ns = S(10);
	return true;
}
