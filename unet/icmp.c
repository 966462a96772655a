/* SPDX-License-Identifier: MIT */
/*
 * ICMP (RFC 792) and ICMPv6 (RFC 4443): echo for unet's own addresses answered here, echo to anywhere else by
 * unprivileged ping sockets, and the errors that the guest is told.  A ping socket serves one identifier of the
 * guest's; the host gives it its own on the wire, so two guests may use the same.
 */
#include <errno.h>

#include "base/checksum.h"
#include "lwip/pbuf.h"
#include "unet/mapping.h"

enum {
	ICMP_HLEN = 8,
	UNREACHABLE = 3, PARAMETER6 = 4,
	ECHO_REPLY = 0, ECHO_REQUEST = 8, ECHO6_REQUEST = 128, ECHO6_REPLY = 129,
	LIST_ECHO = 0,
	BURST = 16,                     /* replies read per wake-up of one socket */
};

static uint8_t echo_request(const struct addr *a)
{
	return addr_is4(a) ? ECHO_REQUEST : ECHO6_REQUEST;
}

static uint8_t echo_reply(const struct addr *a)
{
	return addr_is4(a) ? ECHO_REPLY : ECHO6_REPLY;
}

/* --- errors ----------------------------------------------------------------------------------------------------- */

unsigned icmp_of_errno(int error)
{
	switch (error) {
	case ENETUNREACH:
	case ENETDOWN:
	case EAFNOSUPPORT:
	case EADDRNOTAVAIL:
		return ICMP_UNREACH_NET;
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ETIMEDOUT:
		return ICMP_UNREACH_HOST;
	case ENOPROTOOPT:
		return ICMP_UNREACH_PROTOCOL;
	case ECONNREFUSED:
		return ICMP_UNREACH_PORT;
	case EMSGSIZE:
		return ICMP_UNREACH_FRAG;
	case EACCES:
	case EPERM:
		return ICMP_UNREACH_PROHIBITED;
	}
	return 0;
}

unsigned icmp_for(const struct addr *guest, unsigned what)
{
	static const struct {
		uint16_t four, six;
	} pairs[] = {
		{ ICMP_UNREACH_NET, ICMP6_NO_ROUTE }, { ICMP_UNREACH_HOST, ICMP6_UNREACH_ADDRESS },
		{ ICMP_UNREACH_PROTOCOL, ICMP6_NEXT_HEADER }, { ICMP_UNREACH_PORT, ICMP6_UNREACH_PORT },
		{ ICMP_UNREACH_FRAG, ICMP6_TOO_BIG }, { ICMP_UNREACH_PROHIBITED, ICMP6_PROHIBITED },
		{ ICMP_TTL_EXCEEDED, ICMP6_HOP_LIMIT }, { ICMP_REASS_EXCEEDED, ICMP6_REASS_EXCEEDED },
	};

	if (addr_is4(guest))
		return what;
	for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++)
		if (pairs[i].four == what)
			return pairs[i].six;
	return 0;
}

unsigned icmp_of_queue(const struct sock_error *e, const struct addr *guest)
{
	if (e->icmp == (addr_is4(guest) ? 4 : 6))
		return (unsigned)(e->type << 8 | e->code);
	return icmp_for(guest, icmp_of_errno(e->error));
}

void icmp_send(struct unet *u, const uint8_t *mac, const struct addr *src, const struct addr *dst, uint8_t ttl,
	       struct pbuf *p)
{
	bool four = addr_is4(dst);
	uint64_t seed = four ? 0 : ip_pseudo(src, dst, PROTO_ICMPV6, p->tot_len);
	uint8_t *b = p->payload;

	put_be16(b + 2, 0);
	put_be16(b + 2, (uint16_t)~checksum_fold(checksum_add(seed, b, p->tot_len)));
	ip_send_to(u, mac, src, dst, four ? PROTO_ICMP : PROTO_ICMPV6, ttl, p, NULL);
}

void icmp_error_bytes(struct unet *u, const struct addr *src, const struct addr *guest, unsigned what, uint32_t info,
		      const void *quote, uint32_t len)
{
	struct pbuf *p;
	uint8_t *b;

	len = MIN(len, addr_is4(guest) ? (uint32_t)ICMP_QUOTE_MAX : (uint32_t)ICMP6_QUOTE_MAX);
	p = what ? ip_alloc(ICMP_HLEN + len) : NULL;
	if (!p)
		return;
	b = p->payload;
	b[0] = (uint8_t)(what >> 8);
	b[1] = (uint8_t)what;
	if (addr_is4(guest))
		put_be32(b + 4, what == ICMP_UNREACH_FRAG ? info & 0xffff : 0);
	else
		put_be32(b + 4, what == ICMP6_TOO_BIG || what >> 8 == ICMP6_NEXT_HEADER >> 8 ? info : 0);
	memcpy(b + ICMP_HLEN, quote, len);
	icmp_send(u, NULL, src, guest, 255, p);
}

void icmp_error(struct unet *u, const struct packet *p, unsigned what)
{
	uint8_t quote[ICMP6_QUOTE_MAX], type;
	bool four = addr_is4(&p->src);
	uint32_t n = slice_copy(p->whole, 0, quote, sizeof(quote));

	/* never about an error, a fragment or something without a sender (RFC 1122 3.2.2, RFC 4443 2.4 e) */
	if (addr_is_any4(&p->src) || (four && (be16(p->ip + 6) & IP4_OFFSET)) || ip_is_multicast(&p->dst))
		return;
	if (p->protocol == (four ? PROTO_ICMP : PROTO_ICMPV6) &&
	    (slice_copy(p->body, 0, &type, 1) == 0 || (type != echo_request(&p->src) && type != echo_reply(&p->src))))
		return;
	memcpy(quote, p->ip, MIN(n, four ? p->ip_len : (uint32_t)IPV6_HLEN));
	icmp_error_bytes(u, ip_gateway(u, &p->src), &p->src, icmp_for(&p->src, what),
			 what == ICMP_UNREACH_PROTOCOL ? p->next_header_at : u->cfg.mtu, quote, n);
}

/* --- echo ------------------------------------------------------------------------------------------------------- */

static void answer(struct unet *u, const struct packet *p)
{
	struct pbuf *q = ip_alloc(p->body.len);
	uint8_t *b;

	if (!q)
		return;
	b = q->payload;
	slice_copy(p->body, 0, b, p->body.len);
	b[0] = echo_reply(&p->src);
	/* asked as one of a group we answer as ourselves */
	icmp_send(u, NULL, ip_is_multicast(&p->dst) ? ip_gateway(u, &p->src) : &p->dst, &p->src, 255, q);
}

/* What a router on the way had to say, told as if the guest's own request had met it. */
static void relay_errors(struct mapping *f)
{
	struct unet *u = f->u;
	struct sock_error e;

	for (int i = 0; i < BURST && SOCK(u, errors, f->fd, &e) == 0; i++) {
		const struct addr *guest = &f->flow.key.guest;
		unsigned what = icmp_of_queue(&e, guest);
		struct addr to = f->last_to, from = *ip_gateway(u, guest);
		uint8_t quote[IPV6_HLEN + sizeof(e.data)];
		uint32_t ip_len = ip_hlen(guest);
		uint16_t port, old;

		if (!what || e.len < ICMP_HLEN)
			continue;
		addr_from_sock(&e.to, &to, &port);
		if (e.icmp)
			addr_from_sock(&e.offender, &from, &port);
		from = fwd_shown_source(u, &from, guest);
		ip_header(u, quote, guest, &to, addr_is4(guest) ? PROTO_ICMP : PROTO_ICMPV6, 1, (uint16_t)e.len);
		/* the identifier as the guest knows it, the checksum to fit (RFC 1624) */
		old = be16(e.data + 4);
		put_be16(e.data + 4, f->flow.key.guest_port);
		put_be16(e.data + 2, (uint16_t)~checksum_fold((uint16_t)~be16(e.data + 2) + (uint32_t)(uint16_t)~old +
							     f->flow.key.guest_port));
		memcpy(quote + ip_len, e.data, e.len);
		icmp_error_bytes(u, &from, guest, what, e.info, quote, ip_len + e.len);
	}
}

static void readable(void *owner, unsigned events)
{
	struct mapping *f = owner;
	struct unet *u = f->u;

	unet_enter(u);
	if (events & LOOP_HUP)
		relay_errors(f);
	for (int i = 0; i < BURST && netif_room(u); i++) {
		struct sockaddr_storage from;
		struct iovec iov = { u->datagram, 65536 };
		ssize_t n = SOCK(u, receive, f->fd, &iov, 1, &from);
		struct addr src;
		uint16_t port;
		struct pbuf *p;
		uint8_t *b;

		if (n < 0)
			break;
		if (n < ICMP_HLEN || n > 65535 - IP4_HLEN || !addr_from_sock(&from, &src, &port) ||
		    addr_is4(&src) != addr_is4(&f->flow.key.guest) || u->datagram[0] != echo_reply(&src))
			continue;
		p = ip_alloc((uint32_t)n);
		if (!p)
			break;
		b = p->payload;
		memcpy(b, u->datagram, (size_t)n);
		put_be16(b + 4, f->flow.key.guest_port);
		flow_touch(&u->icmp, &f->flow, LIST_ECHO, unet_now(u));
		f->to_guest += (uint64_t)n;
		icmp_send(u, NULL, &src, &f->flow.key.guest, TTL_DEFAULT, p);
	}
	if (!netif_room(u))
		mapping_pause(f);
	unet_leave(u);
}

static int open_socket(struct unet *u, const struct addr *to)
{
	struct sockaddr_storage a;

	addr_to_sock(to, 0, &a);
	return outside_open(u, &a, SOCK_DGRAM, addr_is4(to) ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static struct mapping *open_flow(struct unet *u, const struct flow_key *key, const struct addr *to, int *error)
{
	struct mapping *f;
	int fd = open_socket(u, to);

	if (fd < 0 && (fd == -EMFILE || fd == -ENFILE) && u->icmp.lists[LIST_ECHO].oldest) {
		mapping_close((struct mapping *)u->icmp.lists[LIST_ECHO].oldest);
		fd = open_socket(u, to);
	}
	if (fd < 0) {
		if (fd == -EACCES || fd == -EPERM) {
			if (!u->ping_warned)
				log_user("the guest's ping to the outside goes unanswered: the host allows no ping "
					 "sockets (sysctl net.ipv4.ping_group_range)");
			u->ping_warned = true;
		}
		u->counters.limit_descriptors++;
		*error = -fd;
		return NULL;
	}
	if (u->icmp.count == u->icmp.limit) {
		mapping_close((struct mapping *)u->icmp.lists[LIST_ECHO].oldest);
		u->counters.icmp_evicted++;
	}
	f = mapping_new(u, &u->icmp, key, LIST_ECHO, fd, readable);
	if (f)
		u->counters.icmp_opened++;
	return f;
}

static void ask_outside(struct unet *u, const struct packet *p)
{
	struct flow_key key = { .guest = p->src };
	struct sockaddr_storage to;
	struct iovec iov[FRAME_IOV_MAX];
	struct mapping *f;
	uint8_t h[ICMP_HLEN];
	int error = 0, n = slice_iov(p->body, iov, FRAME_IOV_MAX);
	ssize_t r;

	if (n < 0)
		return;
	error = outside_check(u, &p->dst, 0);
	if (error) {
		icmp_error(u, p, icmp_of_errno(error));
		return;
	}
	slice_copy(p->body, 0, h, ICMP_HLEN);
	key.guest_port = be16(h + 4);
	f = (struct mapping *)flow_find(&u->icmp, &key);
	if (!f)
		f = open_flow(u, &key, &p->dst, &error);
	if (error != EACCES && error != EPERM && icmp_of_errno(error))  /* a host without IPv6, an address that is gone */
		icmp_error(u, p, icmp_of_errno(error));
	if (!f)
		return;
	flow_touch(&u->icmp, &f->flow, LIST_ECHO, unet_now(u));
	f->last_to = p->dst;
	f->to_host += p->body.len;
	mapping_pass_ttl(f, p->ttl);
	addr_to_sock(&p->dst, 0, &to);
	r = SOCK(u, send, f->fd, iov, n, &to);
	if (r < 0 && icmp_of_errno((int)-r))
		r = SOCK(u, send, f->fd, iov, n, &to);          /* that may have been what an earlier one met */
	if (r < 0 && icmp_of_errno((int)-r))
		icmp_error(u, p, icmp_of_errno((int)-r));
}

/* --- what the guest complains of ------------------------------------------------------------------------------------ */

/*
 * An error about a packet that unet sent, or passed on: TCP wants to hear of it.  For UDP there is nobody to tell: the
 * host's client would need a raw socket of ours.  False if it makes no sense.
 */
static bool guest_complains(struct unet *u, const struct packet *p, const uint8_t *h)
{
	bool four = addr_is4(&p->src);
	uint32_t ip_len = four ? IP4_HLEN : IPV6_HLEN;
	unsigned what = (unsigned)(h[0] << 8 | h[1]);
	uint8_t q[IP4_HLEN_MAX + ICMP_HLEN + IPV6_HLEN];
	uint32_t n = slice_copy(p->body, ICMP_HLEN, q, sizeof(q));
	struct flow_key key = { .zero = 0 };

	if (four ? h[0] != UNREACHABLE : h[0] == 0 || h[0] > PARAMETER6)
		return false;
	if (n < ip_len || q[0] >> 4 != (four ? 4 : 6))
		return false;
	if (four)
		ip_len = (q[0] & 15) * 4u;
	if (ip_len < IP4_HLEN || n < ip_len + ICMP_HLEN)
		return false;
	key.far = four ? addr_from4(q + 12) : addr_from6(q + IP6_SOURCE);
	key.guest = four ? addr_from4(q + 16) : addr_from6(q + IP6_DESTINATION);
	key.far_port = be16(q + ip_len);
	key.guest_port = be16(q + ip_len + 2);
	if (q[four ? 9 : IP6_NEXT_HEADER] == PROTO_TCP)
		tcp_guest_complains(u, &key, what, be32(q + ip_len + 4),
				    what == ICMP_UNREACH_FRAG ? be16(h + 6) : what == ICMP6_TOO_BIG ? be32(h + 4) : 0);
	return true;
}

void icmp_guest_input(struct unet *u, struct packet *p)
{
	enum place place = ip_place(u, &p->dst);
	uint8_t h[ICMP_HLEN];

	if (slice_copy(p->body, 0, h, ICMP_HLEN) < ICMP_HLEN ||
	    (!p->csum_ok && !(addr_is4(&p->src) ? checksum_fold(slice_sum(p->body, 0)) == 0xffff :
						  ip_body_sum_ok(p, p->body.len)))) {
		u->counters.dropped_malformed++;
		return;
	}
	if (h[0] != echo_request(&p->src) || h[1] != 0) {
		if (!guest_complains(u, p, h))
			u->counters.dropped_protocol++;
		return;
	}
	if (place == PLACE_HOST || place == PLACE_DNS || place == PLACE_GUESTFWD || place == PLACE_BROADCAST)
		answer(u, p);
	else if (u->cfg.restricted)
		u->counters.dropped_restricted++;
	else
		ask_outside(u, p);
}

bool icmp_init(struct unet *u)
{
	if (!mappings_init(u, &u->icmp, u->cfg.limits.icmp_flows))
		return false;
	u->icmp.lists[LIST_ECHO].idle_ns = S(60);
	return true;
}
