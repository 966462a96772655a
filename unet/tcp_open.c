/* SPDX-License-Identifier: MIT */
/* TCP flows that begin: a SYN of the guest's, kept until the host's connect() has ended, or a client at one of our ports. */
#include <errno.h>

#include "lwip/priv/tcp_priv.h"
#include "unet/tcp_flow.h"

enum { TRACE_TTL = 32 };

/* Room for one more flow: what is over goes first, then who has waited longest, then who was idle longest. */
static void make_room(struct unet *u, bool connecting)
{
	struct flow_table *t = &u->tcp;
	static const uint8_t order[] = { LIST_LINGERING, LIST_CONNECTING, LIST_RESOLVING, LIST_PROBED, LIST_OPEN };

	if (connecting && t->lists[LIST_CONNECTING].count >= u->cfg.limits.tcp_pending)
		tcp_evict((struct tcp_flow *)t->lists[LIST_CONNECTING].oldest);
	for (unsigned i = 0; i < ARRAY_SIZE(order) && t->count == t->limit; i++)
		if (t->lists[order[i]].oldest)
			tcp_evict((struct tcp_flow *)t->lists[order[i]].oldest);
}

/* --- opening towards the host ------------------------------------------------------------------------------------ */

static void saved_packet(const struct tcp_flow *f, struct packet *p)
{
	*p = (struct packet){ .src = f->flow.key.guest, .dst = f->flow.key.far, .protocol = PROTO_TCP,
			      .ip_len = (uint16_t)ip_hlen(&f->flow.key.guest) };
	memcpy(p->ip, f->ip, p->ip_len);
}

/* The SYN to lwIP: with `listen` it opens the flow, else it is refused with RST. */
static void inject_syn(struct tcp_flow *f, bool listen)
{
	struct packet p;
	struct slice nothing = { NULL, 0, 0, 0 };

	saved_packet(f, &p);
	f->u->opening = listen ? f : NULL;
	engine_input(f->u, &p, f->syn, (f->syn[12] >> 4) * 4u, nothing, NULL, listen);
	f->u->opening = NULL;
	engine_timed(&f->timed, f->pcb);
}

static uint8_t ttl_of(const struct tcp_flow *f)
{
	return f->ip[addr_is4(&f->flow.key.guest) ? 8 : IP6_HOP_LIMIT];
}

/* A SYN with a TTL so low that it wants to know who drops it: traceroute's. */
static bool traced(const struct tcp_flow *f)
{
	return ttl_of(f) <= TRACE_TTL;
}

void tcp_connected(struct tcp_flow *f)
{
	struct unet *u = f->u;

	SOCK(u, set, f->fd, SOCK_OOB_INLINE, 1);
	if (!f->near) {
		SOCK(u, set, f->fd, SOCK_KEEPALIVE, 1);
		SOCK(u, set, f->fd, SOCK_ERROR_QUEUE, 0);       /* or a passing failure of the network would end it */
	}
	if (traced(f))
		SOCK(u, set, f->fd, SOCK_TTL, -1);
	f->state = OPENING;
	if (f->watched)
		SOCK(u, unwatch, &f->watch);
	f->watched = false;
	flow_touch(&u->tcp, &f->flow, LIST_OPEN, unet_now(u));
	inject_syn(f, true);
	if (!f->pcb) {
		f->guest_reset = true;
		tcp_drop(f);
	}
}

static void start_connect(struct tcp_flow *f);

/* connect() said no: so do we, in the way that fits. */
void tcp_refused(struct tcp_flow *f, int error)
{
	struct unet *u = f->u;
	const struct addr *guest = &f->flow.key.guest;
	unsigned what = error == ECONNREFUSED ? 0 : icmp_for(guest, icmp_of_errno(error));
	struct addr from = *ip_gateway(u, guest);
	struct sockaddr_storage next;
	struct sock_error e;
	uint16_t ignored;

	/* who said no, and how, if it was by ICMP */
	if (f->fd >= 0 && what && SOCK(u, errors, f->fd, &e) == 0 && e.icmp && addr_from_sock(&e.offender, &from, &ignored)) {
		what = icmp_of_queue(&e, guest);
		from = fwd_shown_source(u, &from, guest);
	}
	tcp_close_socket(f, false);
	if (ip_place(u, &f->flow.key.far) == PLACE_DNS && dns_resolver(u, f->resolver + 1u, &next)) {
		f->resolver++;
		flow_touch(&u->tcp, &f->flow, LIST_RESOLVING, unet_now(u));
		unet_arm_expiry(u);
		start_connect(f);
		return;
	}
	u->counters.tcp_refused++;
	if (what) {
		uint8_t quote[IPV6_HLEN + TCP_HLEN_MIN];
		uint32_t ip_len = ip_hlen(guest);

		memcpy(quote, f->ip, ip_len);
		memcpy(quote + ip_len, f->syn, TCP_HLEN_MIN);
		icmp_error_bytes(u, &from, guest, what, 0, quote, ip_len + TCP_HLEN_MIN);
	} else {
		inject_syn(f, false);
	}
	tcp_drop(f);
}

/* Where a destination of the guest's is on the host; false: nowhere. */
static bool host_address(struct unet *u, const struct tcp_flow *f, struct sockaddr_storage *to)
{
	struct addr far = f->flow.key.far;

	switch (ip_place(u, &far)) {
	case PLACE_HOST:
		far = ip_loopback(&far);
		break;
	case PLACE_DNS:
		return f->flow.key.far_port == 53 && dns_resolver(u, f->resolver, to);
	case PLACE_OUTSIDE:
		break;
	default:
		return false;
	}
	addr_to_sock(&far, f->flow.key.far_port, to);
	return true;
}

/* Begins to connect; f->fd is the socket, if there is one.  0, -EINPROGRESS, or why not. */
static int reach(struct tcp_flow *f)
{
	struct unet *u = f->u;
	const struct addr *far = &f->flow.key.far;
	struct sockaddr_storage to;
	int r;

	if (ip_place(u, far) == PLACE_GUESTFWD)
		return guestfwd_connect(u, far, f->flow.key.far_port, &f->fd);
	r = outside_check(u, far, f->flow.key.far_port);
	if (r || !host_address(u, f, &to))
		return r ? -r : -ECONNREFUSED;
	r = outside_open(u, &to, SOCK_STREAM, 0);
	if (r < 0)
		return r;
	f->fd = r;
	f->near = ip_place(u, far) == PLACE_HOST;
	if (!f->near)
		SOCK(u, set, f->fd, SOCK_ERROR_QUEUE, 1);
	if (traced(f) && ttl_of(f) > 1)
		SOCK(u, set, f->fd, SOCK_TTL, ttl_of(f) - 1);
	return SOCK(u, connect, f->fd, &to);
}

static void start_connect(struct tcp_flow *f)
{
	struct unet *u = f->u;
	int r = reach(f);

	if (r == 0)
		tcp_connected(f);
	else if (r == -EINPROGRESS)
		tcp_watch(f, LOOP_WRITE);
	else if (r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM) {
		u->counters.limit_descriptors++;
		tcp_drop(f);                /* the guest will try again */
	} else
		tcp_refused(f, -r);
}

void tcp_open_from_guest(struct unet *u, const struct packet *p, const struct flow_key *key, const uint8_t *syn)
{
	struct tcp_flow *f;

	make_room(u, true);
	f = (struct tcp_flow *)flow_add(&u->tcp, key, ip_place(u, &key->far) == PLACE_DNS ? LIST_RESOLVING : LIST_CONNECTING,
					unet_now(u));
	f->u = u;
	f->fd = -1;
	f->opened_ns = unet_now(u);
	ip_header(u, f->ip, &p->src, &p->dst, PROTO_TCP, p->ttl, SYN_LEN);
	memcpy(f->syn, syn, SYN_LEN);
	unet_arm_expiry(u);
	start_connect(f);
}

/* --- opening towards the guest ------------------------------------------------------------------------------------ */

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct tcp_flow *f = arg;

	(void)err;
	f->guest_mss = pcb->mss;
	pcb->snd_wnd_max = MAX(pcb->snd_wnd_max, 0x40000);
	tcp_established(f);
	return ERR_OK;
}

void tcp_from_host(struct unet *u, int fd, const struct addr *src, uint16_t src_port, const struct addr *guest,
		   uint16_t guest_port)
{
	struct flow_key key = { .guest = *guest, .far = *src, .guest_port = guest_port, .far_port = src_port };
	struct tcp_flow *f;
	struct tcp_pcb *pcb;

	for (int i = 0; i < 32 && (f = (struct tcp_flow *)flow_find(&u->tcp, &key)); i++) {
		if (tcp_over(f)) {
			tcp_reuse(f);
			break;
		}
		unet_random(u, &key.far_port, 2);       /* one client port, two forwards to one place */
		key.far_port |= 0x8000;
	}
	make_room(u, false);
	pcb = flow_find(&u->tcp, &key) ? NULL : tcp_new_ip_type(addr_is4(guest) ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6);
	if (!pcb) {
		SOCK(u, set, fd, SOCK_RESET_ON_CLOSE, 1);
		SOCK(u, close, fd);
		return;
	}
	f = (struct tcp_flow *)flow_add(&u->tcp, &key, LIST_OPEN, unet_now(u));
	f->u = u;
	f->fd = fd;
	f->state = OPENING;
	f->forwarded = true;
	f->opened_ns = unet_now(u);
	SOCK(u, set, fd, SOCK_KEEPALIVE, 1);
	SOCK(u, set, fd, SOCK_OOB_INLINE, 1);
	tcp_hook(f, pcb);
	if (!engine_connect(u, &key.far, key.far_port, pcb, guest, guest_port, on_connected)) {
		f->guest_reset = true;
		tcp_drop(f);
		return;
	}
	engine_timed(&f->timed, f->pcb);
	unet_arm_expiry(u);
}
