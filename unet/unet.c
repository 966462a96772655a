/* SPDX-License-Identifier: MIT */
/* Life cycle of a unet, its configuration, and the frame around every way in. */
#include "unet/unet.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "unet/rules.h"
#include "unet/stack.h"

#define STOPPED_MIN S(2)                /* a timer is never that late while the program runs */

/* --- configuration ---------------------------------------------------------------------------------------------- */

static uint32_t or_default(uint32_t given, uint32_t standard, uint32_t max)
{
	return given ? MIN(given, max) : standard;
}

/* Copies a text into the block at *at. */
static const char *keep(char **at, const char *text)
{
	char *copy = *at;

	if (!text)
		return NULL;
	strcpy(copy, text);
	*at += strlen(text) + 1;
	return copy;
}

static bool keep_texts(struct unet *u)
{
	struct unet_config *c = &u->cfg;
	const char *texts[] = { c->hostname, c->domainname, c->tftp_server_name, c->bootfile, c->resolv_conf, c->tftp,
				c->outbound_if };
	size_t room = 1;
	char *at;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		room += texts[i] ? strlen(texts[i]) + 1 : 0;
	for (size_t i = 0; c->dnssearch[i]; i++)
		room += strlen(c->dnssearch[i]) + 1;
	at = u->texts = malloc(room);
	if (!at)
		return false;
	c->hostname = keep(&at, c->hostname);
	c->domainname = keep(&at, c->domainname);
	c->tftp_server_name = keep(&at, c->tftp_server_name);
	c->bootfile = keep(&at, c->bootfile);
	c->resolv_conf = keep(&at, c->resolv_conf);
	c->tftp = keep(&at, c->tftp);
	c->outbound_if = keep(&at, c->outbound_if);
	for (size_t i = 0; c->dnssearch[i]; i++)
		c->dnssearch[i] = keep(&at, c->dnssearch[i]);
	c->hostfwds = c->guestfwds = 0;                /* the config's own are gone with it */
	c->net_text = c->host_text = c->dns_text = c->dhcpstart_text = NULL;
	u->dhcp_cfg = (struct dhcp_config){
		.server = c->host, .net = c->net, .mask = c->mask, .first = c->dhcpstart, .dns = c->dns,
		.isolated = c->restricted, .mtu = c->mtu, .hostname = c->hostname, .domainname = c->domainname,
		.tftp_server_name = c->tftp_server_name, .bootfile = c->bootfile, .dnssearch = c->dnssearch,
	};
	return true;
}

/* --- time and chance -------------------------------------------------------------------------------------------- */

uint64_t unet_now(const struct unet *u)
{
	return clock_now(u->cfg.clock);
}

static void host_random(void *owner, void *buf, size_t len)
{
	(void)owner;
	while (getrandom(buf, len, 0) != (ssize_t)len)
		;
}

void unet_random(struct unet *u, void *buf, size_t len)
{
	u->cfg.random(u->cfg.random_owner, buf, len);
}

void unet_arm_expiry(struct unet *u)
{
	uint64_t at = MIN(flow_next_expiry(&u->tcp), flow_next_expiry(&u->udp));

	at = MIN(at, flow_next_expiry(&u->icmp));
	at = MIN(at, flow_next_expiry(&u->neighbors));
	at = MIN(at, dns_next_expiry(u->dns));
	at = MIN(at, u->accept_again_ns);
	/* a flow in use moves its expiry with every packet: a later deadline is noticed when the timer fires */
	if (at < u->flow_timer.deadline) {
		u->flow_timer_due = at;
		timer_set(&u->flow_timer, at);
	}
}

/* The process was stopped, or the host asleep: the answers that came meanwhile are still to be read. */
static void forgive(struct unet *u, uint64_t now)
{
	uint64_t late = now - u->flow_timer_due;

	if (late < STOPPED_MIN)
		return;
	log_net("unet", "nothing was done for %u s", (unsigned)(late / S(1)));
	flow_forgive(&u->tcp, late, now);
	flow_forgive(&u->udp, late, now);
	flow_forgive(&u->icmp, late, now);
	flow_forgive(&u->neighbors, late, now);
	dns_forgive(u->dns, late, now);
}

static void expire(void *owner)
{
	struct unet *u = owner;
	uint64_t now = unet_now(u);

	unet_enter(u);
	forgive(u, now);
	tcp_expire(u, now);
	mappings_expire(&u->udp, now);
	mappings_expire(&u->icmp, now);
	dns_expire(u, now);
	neighbor_expire(u, now);
	fwd_accept_again(u, now);
	unet_arm_expiry(u);
	unet_leave(u);
}

/* --- in and out ------------------------------------------------------------------------------------------------- */

void unet_enter(struct unet *u)
{
	u->depth++;
}

void unet_leave(struct unet *u)
{
	if (u->depth > 1) {
		u->depth--;
		return;
	}
	do {
		if (u->udp_out_count)
			udp_flush(u);
		tcp_work(u);
		if (u->out_count)
			netif_flush(u);
		/* who met a full queue goes on; so does who met a full port, once ready() was called */
		if (netif_room(u)) {
			tcp_unblock(u);
			udp_resume(u);
		}
	} while (u->chains[CHAIN_WORK].first);
	u->depth--;
	if (u->missed_input) {
		u->missed_input = false;
		port_ready(&u->port);
	}
}

struct port *unet_port(struct unet *u)
{
	return &u->port;
}

static bool set_up_forward(struct unet *u, const char *text, struct err *err)
{
	struct hostfwd_rule rule;
	uint16_t bound;

	if (!unet_hostfwd_add(u, text, &bound, err))
		return false;
	if (hostfwd_parse(text, &rule, NULL) && !*rule.path && rule.host_port == 0)
		log_user("hostfwd '%s' is at port %u", text, bound);
	return true;
}

struct unet *unet_new(const struct unet_config *config, struct err *err)
{
	struct unet *u;
	bool ok;

	assert(config->clock);
	if (!unet_config_check(config, err))
		return NULL;
	u = calloc(1, sizeof(*u));
	if (!u) {
		err_errno(err, ENOMEM, "user network");
		return NULL;
	}
	u->cfg = *config;
	if (!u->cfg.random)
		u->cfg.random = host_random;
	if (!u->cfg.resolv_conf)
		u->cfg.resolv_conf = "/etc/resolv.conf";
	u->sockets = config->sockets ? config->sockets : unet_host_sockets();
	u->sockets_owner = config->sockets ? config->sockets_owner : config->loop;
	u->cfg.limits.tcp_flows = or_default(config->limits.tcp_flows, 4096, 1 << 16);
	u->cfg.limits.tcp_pending = or_default(config->limits.tcp_pending, 512, u->cfg.limits.tcp_flows);
	u->cfg.limits.udp_flows = or_default(config->limits.udp_flows, 2048, 1 << 16);
	u->cfg.limits.icmp_flows = or_default(config->limits.icmp_flows, 256, 1 << 16);
	u->cfg.limits.fragments = or_default(config->limits.fragments, 64, 1 << 12);
	u->cfg.limits.dns_queries = or_default(config->limits.dns_queries, DNS_QUERIES, DNS_QUERIES);
	u->cfg.limits.neighbors = or_default(config->limits.neighbors, NEIGHBORS, NEIGHBORS);
	u->cfg.limits.udp_batch = or_default(config->limits.udp_batch, SOCK_BATCH, SOCK_BATCH);
	u->host = addr_from4(&u->cfg.host);
	u->dns_addr = addr_from4(&u->cfg.dns);
	ip6_init(u);
	u->cfg.ipv6 = u->cfg.ipv6 && u->cfg.mtu >= UNET_MTU_MIN6;
	u->accept_again_ns = CLOCK_NEVER;
	unet_random(u, u->secret, sizeof(u->secret));
	unet_random(u, &u->ip_id, sizeof(u->ip_id));
	timer_init(&u->flow_timer, u->cfg.clock, expire, u);
	netif_init_port(u);
	ndp_init(u);
	u->datagram = malloc((size_t)DATAGRAM * u->cfg.limits.udp_batch);
	u->reassembly = reass_new(u, u->cfg.limits.fragments);
	if (!u->datagram || !u->reassembly || !keep_texts(u) || !tcp_flows_init(u) || !udp_init(u) || !icmp_init(u) ||
	    !neighbor_init(u) || !engine_attach(u)) {
		err_errno(err, ENOMEM, "user network");
		unet_free(u);
		return NULL;
	}
	ok = guestfwd_init(u, config, err) && svc_init(u, err) && outside_init(u, err);
	for (unsigned i = 0; ok && i < config->hostfwds; i++)
		ok = set_up_forward(u, config->hostfwd[i], err);
	if (!ok) {
		unet_free(u);
		return NULL;
	}
	return u;
}

bool unet_busy(struct unet *u)
{
	return tcp_busy(u);
}

void unet_free(struct unet *u)
{
	if (!u)
		return;
	assert(!u->port.peer && !u->depth);
	u->depth++;             /* nothing leaves any more */
	fwd_free(u);
	tcp_flows_free(u);
	mappings_free(&u->udp);
	udp_io_free(u);
	mappings_free(&u->icmp);
	svc_free(u);
	engine_detach(u);
	ndp_free(u);
	neighbor_free(u);
	reass_free(u->reassembly);
	netif_free_queue(u);
	timer_cancel(&u->flow_timer);
	guestfwd_free(u);
	outside_free(u);
	free(u->datagram);
	free(u->texts);
	free(u);
}
