/* SPDX-License-Identifier: MIT */
/*
 * lwIP 2.1.3, unmodified, as the TCP engine that faces the guest.
 *
 * Its IP input would take only packets for the interface's own address, so segments go around it: ip.c checks the
 * packet, engine_input() fills the public ip_data as ip4_input() would and calls tcp_input().  One listening pcb per
 * instance takes any SYN, because its port is set to the SYN's for just that call; it is 0 otherwise, which no segment
 * has (tcp_input.c refuses port 0), so all unknown segments get lwIP's RST.
 *
 * lwIP's state is global: one engine, one thread, instances told apart by netif index.
 *
 * lwIP walks lists of all connections for each segment and for each tick of its timers.  So its lists are empty but
 * while it works, and then hold what it works on: the one connection that flow.c found for a segment, or, for a tick,
 * those that have something in flight (struct engine_timed).  Idle connections cost nothing.
 *
 * Faults of 2.1.3 that a guest could reach, and what keeps it away (each has a replay in test_engine.c):
 *  1. tcp_getoptbyte reads past a truncated option      tcp_input.c rewrites them: SYN: MSS and WS, others: none
 *  2. assertion in the out-of-order queue               TCP_QUEUE_OOSEQ 0
 *  3. assertion "mss_local is too small", by an MSS     options only on SYN; snd_wnd_max set high when a connection
 *     option on a later segment or a shrinking window   opens; pcb->mss only ever raised
 *  4. assertion "persist ticking ..." after a late ACK  before_tick()
 *  5. use after free when recv aborts                   callbacks never abort and never refuse data: tcp_work does
 *  6. refused data lost in TIME_WAIT                    same
 *  7. the persist timer splits a segment that has a     before_tick() splits it first, for tcp_split_unsent_seg()
 *     FIN, and both halves have it: the rest is lost    leaves the flag on
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/checksum.h"
#include "lwip/init.h"
#include "lwip/ip.h"
#include "lwip/sys.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"
#include "unet/engine.h"
#include "unet/hooks.h"

enum {                                  /* in lwIP's slow ticks */
	SECOND = 1000 / (2 * TCP_TMR_INTERVAL), RTO_MIN = SECOND, RTO_MAX = 30 * SECOND, SILENT_MAX = 900 * SECOND,
};

static struct unet *users;              /* the first one's clock drives the timers */
static struct unet *current;            /* on whose behalf lwIP is being called */
static struct timer tick_timer;
static struct engine_timed *timed;
static uint64_t last_tick;
static unsigned beat;
static uint8_t ext_id;
static bool initialized;

void unet_lwip_assert(const char *what, const char *file, int line)
{
	fprintf(stderr, "lwIP: assertion \"%s\" failed at %s:%d\n", what, file, line);
	abort();
}

/* lwIP draws one number at start, for ephemeral ports, and none is ever used. */
uint32_t unet_lwip_rand(void)
{
	return 4711;
}

u32_t sys_now(void)
{
	return users ? (u32_t)(unet_now(users) / 1000000) : 0;
}

struct netif *unet_hook_route(void)
{
	return ip_data.current_input_netif ? ip_data.current_input_netif : current ? &current->netif : NULL;
}

u32_t unet_hook_isn(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote, u16_t remote_port)
{
	struct {
		ip_addr_t local, remote;
		u16_t local_port, remote_port;
	} tuple;

	memset(&tuple, 0, sizeof(tuple));
	tuple.local = *local;
	tuple.remote = *remote;
	tuple.local_port = local_port;
	tuple.remote_port = remote_port;
	return (u32_t)siphash(current->secret, &tuple, sizeof(tuple)) + (u32_t)(unet_now(current) / 4000);
}

/* --- out ------------------------------------------------------------------------------------------------------- */

/* A segment of lwIP's, room for its IP header in front (lwIP has filled in one, ours goes over it). */
static err_t output(struct unet *u, struct pbuf *p, struct flow_key *key)
{
	uint32_t ip_len = ip_hlen(&key->guest), tcp_len = p->tot_len - ip_len;
	uint8_t *ip = p->payload, *tcp = ip + ip_len;
	struct facts facts = { .needs_csum = true, .csum_start = (uint16_t)ip_len, .csum_offset = 16 };
	unsigned header;

	LWIP_ASSERT("a TCP header is in one piece", p->len >= ip_len + TCP_HLEN_MIN);
	key->guest_port = be16(tcp + 2);
	key->far_port = be16(tcp);
	header = ip_len + (tcp[12] >> 4) * 4u;
	facts.hdr_len = (uint16_t)header;
	if (p->tot_len > header + 500) {
		facts.gso_size = tcp_segment_size(u, key);
		if (facts.gso_size && p->tot_len - header > facts.gso_size)
			facts.gso = addr_is4(&key->guest) ? GSO_TCPV4 : GSO_TCPV6;
		else
			facts.gso_size = 0;
	}
	if (u->marks && !facts.gso)
		tcp_show_mark(u, key, tcp);
	ip_header(u, ip, &key->far, &key->guest, PROTO_TCP, TTL_DEFAULT, (uint16_t)tcp_len);
	put_be16(tcp + 16, checksum_fold(ip_pseudo(&key->far, &key->guest, PROTO_TCP, tcp_len)));
	pbuf_ref(p);
	if (neighbor_output(u, &key->guest, &key->far, p, &facts, p->tot_len > header))
		return ERR_OK;
	pbuf_free(p);
	tcp_mark_blocked(u, key);
	return ERR_MEM;
}

static err_t output4(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
	const uint8_t *ip = p->payload;

	(void)to;
	return output(n->state, p, &(struct flow_key){ .guest = addr_from4(ip + 16), .far = addr_from4(ip + 12) });
}

static err_t output6(struct netif *n, struct pbuf *p, const ip6_addr_t *to)
{
	const uint8_t *ip = p->payload;

	(void)to;
	return output(n->state, p, &(struct flow_key){ .guest = addr_from6(ip + 24), .far = addr_from6(ip + 8) });
}

/* --- in -------------------------------------------------------------------------------------------------------- */

static void set_ip(ip_addr_t *to, const struct addr *a)
{
	if (addr_is4(a))
		IP_ADDR4(to, a->b[12], a->b[13], a->b[14], a->b[15]);
	else
		IP_ADDR6(to, le32(a->b), le32(a->b + 4), le32(a->b + 8), le32(a->b + 12));
}

static struct pbuf_custom pieces[FRAME_IOV_MAX + 1];
static uint8_t header_copy[TCP_HLEN_MAX + 8];

static void piece_freed(struct pbuf *p)
{
	(void)p;                        /* lives in pieces[], and lwIP keeps none beyond tcp_input: no refused data, no
					   out-of-order queue */
}

static struct pbuf *piece(int i, const void *data, size_t len)
{
	pieces[i].custom_free_function = piece_freed;
	return pbuf_alloced_custom(PBUF_RAW, (u16_t)len, PBUF_REF, &pieces[i], (void *)data, (u16_t)len);
}

/* lwIP's lists, empty otherwise: the connection goes on the one that its state says. */
static void show(struct tcp_pcb *pcb)
{
	struct tcp_pcb **list = pcb->state == TIME_WAIT ? &tcp_tw_pcbs : &tcp_active_pcbs;

	pcb->next = *list;
	*list = pcb;
}

static void hide(struct tcp_pcb **list)
{
	for (struct tcp_pcb *p = *list, *next; p; p = next) {
		next = p->next;
		p->next = NULL;
	}
	*list = NULL;
}

static void hide_all(void)
{
	hide(&tcp_active_pcbs);
	hide(&tcp_tw_pcbs);
}

void engine_input(struct unet *u, const struct packet *p, const uint8_t *hdr, unsigned hdr_len, struct slice payload,
		  struct tcp_pcb *pcb, bool listen)
{
	struct iovec iov[FRAME_IOV_MAX];
	struct tcp_pcb_listen *l = (struct tcp_pcb_listen *)u->listener;
	struct pbuf *q;
	int n = slice_iov(payload, iov, FRAME_IOV_MAX);

	if (n < 0 || payload.len + hdr_len > 65535)
		return;
	current = u;
	memcpy(header_copy, hdr, hdr_len);
	q = piece(0, header_copy, hdr_len);
	for (int i = n; i-- > 0;) {     /* from the last: pbuf_cat walks the chain it appends to */
		struct pbuf *r = piece(i + 1, iov[i].iov_base, iov[i].iov_len);

		if (i < n - 1)
			pbuf_cat(r, &pieces[i + 2].pbuf);
	}
	if (n)
		pbuf_cat(q, &pieces[1].pbuf);
	ip_data.current_netif = ip_data.current_input_netif = &u->netif;
	ip_data.current_ip4_header = addr_is4(&p->src) ? (const struct ip_hdr *)p->ip : NULL;
	ip_data.current_ip6_header = addr_is4(&p->src) ? NULL : (struct ip6_hdr *)(uintptr_t)p->ip;
	ip_data.current_ip_header_tot_len = p->ip_len;
	set_ip(&ip_data.current_iphdr_src, &p->src);
	set_ip(&ip_data.current_iphdr_dest, &p->dst);
	if (listen) {
		l->local_port = be16(hdr + 2);
		tcp_listen_pcbs.listen_pcbs = l;
	}
	if (pcb)
		show(pcb);
	tcp_input(q, &u->netif);
	hide_all();
	tcp_listen_pcbs.listen_pcbs = NULL;
	l->local_port = 0;
	memset(&ip_data, 0, sizeof(ip_data));
}

/* --- connections ----------------------------------------------------------------------------------------------- */

static err_t passive_open(u8_t id, struct tcp_pcb_listen *l, struct tcp_pcb *pcb)
{
	struct unet *u = l->callback_arg;

	(void)id;
	return tcp_passive_open(u, pcb) < 0 ? ERR_MEM : ERR_OK;
}

static err_t accepted(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)pcb;
	(void)err;
	tcp_established(arg);
	return ERR_OK;
}

uint8_t engine_ext_id(void)
{
	return ext_id;
}

struct tcp_pcb *engine_connect(struct unet *u, const struct addr *src, uint16_t src_port, struct tcp_pcb *pcb,
			       const struct addr *guest, uint16_t guest_port, tcp_connected_fn connected)
{
	ip_addr_t to;

	current = u;
	tcp_bind_netif(pcb, &u->netif);
	/* not tcp_bind: it looks for the address among all pcbs, and flow.c has seen to it that the tuple is free */
	set_ip(&pcb->local_ip, src);
	pcb->local_port = src_port;
	set_ip(&to, guest);
	if (tcp_connect(pcb, &to, guest_port, connected) != ERR_OK)
		return NULL;
	hide_all();
	return pcb;
}

/* --- timers ---------------------------------------------------------------------------------------------------- */

/* Fault 7: the persist timer is about to split p's first segment, which says that all is said. */
static void split_before_fin(struct tcp_pcb *p)
{
	struct tcp_seg *first = p->unsent;

	if (!first || !(TCPH_FLAGS(first->tcphdr) & TCP_FIN) || !p->snd_wnd || first->len <= p->snd_wnd)
		return;
	TCPH_UNSET_FLAG(first->tcphdr, TCP_FIN);
	if (tcp_split_unsent_seg(p, (u16_t)p->snd_wnd) == ERR_OK)
		first = first->next;
	TCPH_SET_FLAG(first->tcphdr, TCP_FIN);
}

/*
 * Fault 4: the persist timer must not tick without something unsent, or with something in flight.
 * And a guest whose CPU is an interpreter answers late now and then, but the wire loses nothing: a second, as RFC 6298
 * has it.
 */
static void before_tick(void)
{
	for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next) {
		if (p->persist_backoff && (!p->unsent || p->unacked))
			p->persist_backoff = 0;
		if (p->persist_backoff)
			split_before_fin(p);
		if (p->rto < RTO_MIN)
			p->rto = RTO_MIN;
		if (p->state < ESTABLISHED || p->nrtx == 0)
			continue;
		/* a guest that stands still (stopped, its link down) for minutes goes on soon after, and is not given up */
		if (p->rto > RTO_MAX)
			p->rto = RTO_MAX;
		if (p->nrtx >= TCP_MAXRTX - 1 && tcp_ticks - p->tmr < SILENT_MAX)
			p->nrtx = TCP_MAXRTX - 2;
	}
}

static void arm(void)
{
	if (timer_armed(&tick_timer) || !timed)
		return;
	last_tick = unet_now(users);
	timer_set(&tick_timer, last_tick + MS(TCP_TMR_INTERVAL));
}

static bool needs_timer(const struct tcp_pcb *p)
{
	return p->unsent || p->unacked || p->persist_backoff || p->refused_data ||
	       (p->flags & (TF_ACK_DELAY | TF_CLOSEPEND)) ||
	       (p->state != ESTABLISHED && p->state != CLOSE_WAIT && p->state != FIN_WAIT_2);
}

void engine_timed(struct engine_timed *t, struct tcp_pcb *pcb)
{
	bool wanted = pcb && needs_timer(pcb);

	t->pcb = pcb;
	if (wanted == (t->link != NULL))
		return;
	if (!wanted) {
		*t->link = t->next;
		if (t->next)
			t->next->link = t->link;
		t->link = NULL;
		return;
	}
	t->next = timed;
	t->link = &timed;
	if (timed)
		timed->link = &t->next;
	timed = t;
	arm();
}

static void tick(void *owner)
{
	uint64_t now = unet_now(users), steps = (now - last_tick) / MS(TCP_TMR_INTERVAL);

	(void)owner;
	last_tick = now;
	for (struct unet *u = users; u; u = u->next_engine_user)
		unet_enter(u);
	/* after a pause the missed ticks are dropped: they would be a storm of retransmissions */
	for (uint64_t i = 0; i < MAX(1, MIN(steps, 4)); i++) {
		for (struct engine_timed *t = timed; t; t = t->next)
			show(t->pcb);
		before_tick();
		/* tcp_tmr(), with a beat that begins anew with each first user: the same inputs, the same output */
		tcp_fasttmr();
		if (++beat & 1)
			tcp_slowtmr();  /* who is freed leaves `timed` by tcp.c's callback */
		hide_all();
	}
	for (struct engine_timed *t = timed, *next; t; t = next) {
		next = t->next;
		engine_timed(t, t->pcb);
	}
	for (struct unet *u = users; u; u = u->next_engine_user)
		unet_leave(u);
	arm();
}

/* --- life cycle ------------------------------------------------------------------------------------------------- */

static err_t init_netif(struct netif *n)
{
	struct unet *u = n->state;

	n->name[0] = 'u';
	n->name[1] = 'n';
	n->mtu = n->mtu6 = u->cfg.mtu;
	n->output = output4;
	n->output_ip6 = output6;
	return ERR_OK;
}

bool engine_attach(struct unet *u)
{
	static const struct tcp_ext_arg_callbacks listener_calls = { .passive_open = passive_open };
	struct tcp_pcb *pcb;
	unsigned n = 0;

	if (!initialized) {
		lwip_init();
		ext_id = tcp_ext_arg_alloc_id();
		initialized = true;
	}
	for (struct unet *other = users; other; other = other->next_engine_user)
		n++;
	if (n >= 200)                   /* lwIP numbers its interfaces with a byte */
		return false;
	if (!netif_add(&u->netif, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4, u, init_netif, netif_input))
		return false;
	netif_set_link_up(&u->netif);
	netif_set_up(&u->netif);
	pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
	if (!pcb) {
		netif_remove(&u->netif);
		return false;
	}
	tcp_bind_netif(pcb, &u->netif);
	u->listener = tcp_listen(pcb);  /* unbound: port 0 */
	if (!u->listener) {
		tcp_abort(pcb);
		netif_remove(&u->netif);
		return false;
	}
	tcp_listen_pcbs.listen_pcbs = NULL;
	tcp_arg(u->listener, u);
	tcp_accept(u->listener, accepted);
	tcp_ext_arg_set_callbacks(u->listener, ext_id, &listener_calls);
	if (!users) {
		timer_init(&tick_timer, u->cfg.clock, tick, NULL);
		users = u;
		beat = 0;
		tcp_ticks = 1;          /* 0 would mean that no round trip is being timed */
	} else {
		struct unet *last = users;

		while (last->next_engine_user)
			last = last->next_engine_user;
		last->next_engine_user = u;
	}
	u->next_engine_user = NULL;
	return true;
}

void engine_detach(struct unet *u)
{
	struct unet **at = &users;

	if (!u->listener)
		return;
	tcp_close(u->listener);
	u->listener = NULL;
	netif_remove(&u->netif);
	while (*at != u)
		at = &(*at)->next_engine_user;
	if (u == users) {
		timer_cancel(&tick_timer);
		if (u->next_engine_user)
			timer_init(&tick_timer, u->next_engine_user->cfg.clock, tick, NULL);
	}
	*at = u->next_engine_user;
	if (current == u)
		current = NULL;
	if (users)
		arm();
}
