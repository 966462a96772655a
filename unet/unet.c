/* SPDX-License-Identifier: MIT */
/* Life cycle of a unet, its configuration, and the frame around every way in. */
#include "unet/unet.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "unet/stack.h"

/* --- configuration ---------------------------------------------------------------------------------------------- */

void unet_config_defaults(struct unet_config *c)
{
	memset(c, 0, sizeof(*c));
	c->ipv4 = true;
	c->host_loopback = true;
	c->mtu = 1500;
	unet_config_addresses(c, NULL, NULL, NULL, NULL, NULL);
}

/* The mask that an address without one implies. */
static uint32_t guess_mask(uint32_t a)
{
	if (!(a & 0x80000000))
		return 0xff000000;
	if ((a & 0xfff00000) == 0xac100000)     /* 172.16/12 */
		return 0xfff00000;
	if ((a & 0xc0000000) == 0x80000000)
		return 0xffff0000;
	if ((a & 0xffff0000) == 0xc0a80000)     /* 192.168/16 */
		return 0xffff0000;
	if ((a & 0xffff0000) == 0xc6120000)     /* 198.18/15 */
		return 0xfffe0000;
	return 0xffffff00;
}

static bool parse_net(const char *text, uint32_t *net, uint32_t *mask, struct err *err)
{
	const char *slash = strchr(text, '/');
	char address[32];
	struct in_addr a;
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char *end;
	long bits;

	if (n >= sizeof(address))
		return err_set(err, "Failed to parse network address");
	memcpy(address, text, n);
	address[n] = '\0';
	if (!inet_aton(address, &a))
		return err_set(err, "Failed to parse network address");
	*net = ntohl(a.s_addr);
	if (!slash) {
		*mask = guess_mask(*net);
		return true;
	}
	bits = strtol(slash + 1, &end, 10);
	if (*end || end == slash + 1) {
		if (inet_pton(AF_INET, slash + 1, &a) != 1)
			return err_set(err, "Failed to parse netmask (trailing chars)");
		*mask = ntohl(a.s_addr);
		if (*mask < 0xf0000000 || (~*mask & (~*mask + 1)))
			return err_set(err, "Invalid netmask provided (must be in range 4-32)");
		return true;
	}
	if (bits < 4 || bits > 32)
		return err_set(err, "Invalid netmask provided (must be in range 4-32)");
	*mask = 0xffffffff << (32 - bits);
	return true;
}

static bool parse_address(const char *text, struct in_addr *a, const char *what, struct err *err)
{
	if (text && inet_pton(AF_INET, text, a) != 1)
		return err_set(err, "Failed to parse %s", what);
	return true;
}

bool unet_config_addresses(struct unet_config *c, const char *net, const char *host, const char *dns,
			   const char *dhcpstart, struct err *err)
{
	uint32_t n = 0x0a000200, m = 0xffffff00;

	if (net && !parse_net(net, &n, &m, err))
		return false;
	n &= m;
	c->net.s_addr = htonl(n);
	c->mask.s_addr = htonl(m);
	c->host.s_addr = htonl(n | (0x0202 & ~m));
	c->dns.s_addr = htonl(n | (0x0203 & ~m));
	c->dhcpstart.s_addr = htonl(n | (0x020f & ~m));
	if (!parse_address(host, &c->host, "host", err))
		return false;
	if ((c->host.s_addr & c->mask.s_addr) != c->net.s_addr)
		return err_set(err, "Host doesn't belong to network");
	if (!parse_address(dns, &c->dns, "DNS", err))
		return false;
	if (c->restricted && (c->dns.s_addr & c->mask.s_addr) != c->net.s_addr)
		return err_set(err, "DNS doesn't belong to network");
	if (c->dns.s_addr == c->host.s_addr)
		return err_set(err, "DNS must be different from host");
	if (!parse_address(dhcpstart, &c->dhcpstart, "DHCP start address", err))
		return false;
	if ((c->dhcpstart.s_addr & c->mask.s_addr) != c->net.s_addr)
		return err_set(err, "DHCP doesn't belong to network");
	if (c->dhcpstart.s_addr == c->host.s_addr || c->dhcpstart.s_addr == c->dns.s_addr)
		return err_set(err, "DHCP must be different from host and DNS");
	return true;
}

static bool check_text(const char *name, const char *text, size_t max, struct err *err)
{
	if (text && strlen(text) > max)
		return err_set(err, "'%s' parameter cannot exceed %zu bytes", name, max);
	return true;
}

static bool check(const struct unet_config *c, struct err *err)
{
	if (!c->ipv4 && !c->ipv6)
		return err_set(err, "IPv4 and IPv6 disabled");
	if (c->mtu < 576 || c->mtu > 65520)
		return err_set(err, "mtu must be from 576 to 65520");
	if (c->domainname && !*c->domainname)
		return err_set(err, "'domainname' parameter cannot be empty");
	return check_text("hostname", c->hostname, 255, err) && check_text("domainname", c->domainname, 255, err) &&
	       check_text("tftp-server-name", c->tftp_server_name, 255, err) &&
	       check_text("bootfile", c->bootfile, 127, err);
}

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
	const char *texts[] = { c->hostname, c->domainname, c->tftp_server_name, c->bootfile, c->resolv_conf, c->tftp };
	size_t room = 0, names = 0;
	const char **list;
	char *at;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		room += texts[i] ? strlen(texts[i]) + 1 : 0;
	for (; c->dnssearch && c->dnssearch[names]; names++)
		room += strlen(c->dnssearch[names]) + 1;
	u->texts = malloc((names + 1) * sizeof(char *) + room + 1);
	if (!u->texts)
		return false;
	list = (const char **)u->texts;
	at = u->texts + (names + 1) * sizeof(char *);
	c->hostname = keep(&at, c->hostname);
	c->domainname = keep(&at, c->domainname);
	c->tftp_server_name = keep(&at, c->tftp_server_name);
	c->bootfile = keep(&at, c->bootfile);
	c->resolv_conf = keep(&at, c->resolv_conf);
	c->tftp = keep(&at, c->tftp);
	for (size_t i = 0; i < names; i++)
		list[i] = keep(&at, c->dnssearch[i]);
	list[names] = NULL;
	c->dnssearch = list;
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
	at = MIN(at, dns_next_expiry(u->dns));
	at = MIN(at, u->accept_again_ns);
	/* a flow in use moves its expiry with every packet: a later deadline is noticed when the timer fires */
	if (at < u->flow_timer.deadline)
		timer_set(&u->flow_timer, at);
}

static void expire(void *owner)
{
	struct unet *u = owner;
	uint64_t now = unet_now(u);

	unet_enter(u);
	tcp_expire(u, now);
	udp_expire(u, now);
	icmp_expire(u, now);
	dns_expire(u, now);
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
		tcp_work(u);
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

struct unet *unet_new(const struct unet_config *config, struct err *err)
{
	struct unet *u;

	assert(config->clock);
	if (!check(config, err))
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
	u->host = addr_from4(&u->cfg.host);
	u->dns_addr = addr_from4(&u->cfg.dns);
	u->accept_again_ns = CLOCK_NEVER;
	unet_random(u, u->secret, sizeof(u->secret));
	unet_random(u, &u->ip_id, sizeof(u->ip_id));
	timer_init(&u->flow_timer, u->cfg.clock, expire, u);
	arp_init(u);
	netif_init_port(u);
	u->datagram = malloc(65536);
	u->reassembly = reass_new(u, u->cfg.limits.fragments);
	if (!u->datagram || !u->reassembly || !keep_texts(u) || !tcp_flows_init(u) || !udp_init(u) || !icmp_init(u) ||
	    !engine_attach(u)) {
		err_errno(err, ENOMEM, "user network");
		unet_free(u);
		return NULL;
	}
	if (!svc_init(u, err)) {
		unet_free(u);
		return NULL;
	}
	return u;
}

void unet_free(struct unet *u)
{
	if (!u)
		return;
	assert(!u->port.peer && !u->depth);
	u->depth++;             /* nothing leaves any more */
	fwd_free(u);
	tcp_flows_free(u);
	udp_free(u);
	icmp_free(u);
	svc_free(u);
	engine_detach(u);
	arp_free(u);
	reass_free(u->reassembly);
	netif_free_queue(u);
	timer_cancel(&u->flow_timer);
	free(u->datagram);
	free(u->texts);
	free(u);
}
