/* SPDX-License-Identifier: MIT */
/*
 * The options of a user network, by the names that -netdev user has: one table, for the emulator and tenbox-net alike.
 * Each value is checked when it is set; what depends on several is checked by unet_config_finish().  The words and
 * checks that QEMU has are QEMU's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/opts.h"
#include "unet/addr.h"
#include "unet/rules.h"
#include "unet/unet.h"

enum { DNS_PORT = 53, TEXT_MAX = 255, BOOTFILE_MAX = 127, MTU_MIN = 576, MTU_MAX = 65520 };

struct option {
	const char *name;
	bool (*set)(struct unet_config *c, const struct option *o, const char *value, struct err *err);
	size_t offset;                  /* of the field */
	uint32_t min, max;              /* of a number; of a text's length */
	const char *form, *help;
};

/* --- kinds of values --------------------------------------------------------------------------------------------- */

static void *field(struct unet_config *c, const struct option *o)
{
	return (char *)c + o->offset;
}

static bool set_text(struct unet_config *c, const struct option *o, const char *value, struct err *err)
{
	if (o->max && strlen(value) > o->max)
		return err_set(err, "'%s' parameter cannot exceed %" PRIu32 " bytes", o->name, o->max);
	if (strlen(value) < o->min)
		return err_set(err, "'%s' parameter cannot be empty", o->name);
	*(const char **)field(c, o) = value;
	return true;
}

static bool parse_switch(const struct option *o, const char *value, bool *on, struct err *err)
{
	if (!opt_parse_bool(value, on))
		return err_set(err, "Parameter '%s' expects 'on' or 'off', not '%s'", o->name, value);
	return true;
}

static bool set_switch(struct unet_config *c, const struct option *o, const char *value, struct err *err)
{
	return parse_switch(o, value, field(c, o), err);
}

/* A family that is on or off, or not mentioned. */
static bool set_family(struct unet_config *c, const struct option *o, const char *value, struct err *err)
{
	bool on = false;

	if (!parse_switch(o, value, &on, err))
		return false;
	*(enum unet_switch *)field(c, o) = on ? UNET_ON : UNET_OFF;
	return true;
}

static bool parse_number(const struct option *o, const char *value, uint32_t *number, struct err *err)
{
	uint64_t n;

	if (!opt_parse_number(value, &n))
		return err_set(err, "Parameter '%s' expects a number, not '%s'", o->name, value);
	if (n < o->min || n > o->max)
		return err_set(err, "Parameter '%s' expects a number from %" PRIu32 " to %" PRIu32 ", not '%s'", o->name,
			       o->min, o->max, value);
	*number = (uint32_t)n;
	return true;
}

static bool set_number(struct unet_config *c, const struct option *o, const char *value, struct err *err)
{
	return parse_number(o, value, field(c, o), err);
}

static bool set_mtu(struct unet_config *c, const struct option *o, const char *value, struct err *err)
{
	uint32_t n = 0;

	if (!parse_number(o, value, &n, err))
		return false;
	c->mtu = (uint16_t)n;
	return true;
}

static bool add_search(struct unet_config *c, const struct option *o, const char *value, struct err *err)
{
	unsigned n = 0;

	while (c->dnssearch[n])
		n++;
	if (n == UNET_SEARCHES)
		return err_set(err, "more than %d %s values", UNET_SEARCHES, o->name);
	c->dnssearch[n] = value;
	return true;
}

static bool add_dns_host(struct unet_config *c, const struct option *o, const char *value, struct err *err)
{
	(void)o;
	return unet_config_dns_host(c, value, err);
}

static bool add_hostfwd(struct unet_config *c, const struct option *o, const char *value, struct err *err)
{
	struct hostfwd_rule rule;

	if (c->hostfwds == UNET_RULES)
		return err_set(err, "more than %d %s rules", UNET_RULES, o->name);
	if (!hostfwd_parse(value, &rule, err))
		return false;
	c->hostfwd[c->hostfwds++] = value;
	return true;
}

static bool add_guestfwd(struct unet_config *c, const struct option *o, const char *value, struct err *err)
{
	struct guestfwd_rule rule;

	if (c->guestfwds == UNET_RULES)
		return err_set(err, "more than %d %s rules", UNET_RULES, o->name);
	if (!guestfwd_parse(value, &rule, err))
		return false;
	c->guestfwd[c->guestfwds++] = value;
	return true;
}

static bool add_filter(struct unet_config *c, const struct option *o, const char *value, struct err *err)
{
	struct unet_filter *f = &c->filter[c->filters];
	const char *wrong;

	if (c->filters == UNET_FILTERS)
		return err_set(err, "more than %d allow and deny rules", UNET_FILTERS);
	f->allow = !strcmp(o->name, "allow");
	wrong = filter_parse(value, f);
	if (wrong)
		return err_set(err, "Parameter '%s' does not accept '%s': %s", o->name, value, wrong);
	c->filters++;
	return true;
}

static bool set_outbound_addr(struct unet_config *c, const struct option *o, const char *value, struct err *err)
{
	if (inet_pton(AF_INET, value, &c->outbound4) != 1 && inet_pton(AF_INET6, value, &c->outbound6) != 1)
		return err_set(err, "Parameter '%s' expects an address, not '%s'", o->name, value);
	return true;
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

#define FIELD(f) offsetof(struct unet_config, f)

static const struct option options[] = {
	{ "ipv4", set_family, FIELD(ipv4_switch), 0, 0, "on|off", "IPv4; naming only one family turns the other off" },
	{ "ipv6", set_family, FIELD(ipv6_switch), 0, 0, "on|off", "IPv6" },
	{ "net", set_text, FIELD(net_text), 1, 0, "ADDR[/MASK]", "the network" },
	{ "ip", set_text, FIELD(net_text), 1, 0, NULL, NULL },          /* its old name */
	{ "host", set_text, FIELD(host_text), 1, 0, "ADDR", "the gateway's address" },
	{ "dns", set_text, FIELD(dns_text), 1, 0, "ADDR", "the DNS relay's address" },
	{ "dhcpstart", set_text, FIELD(dhcpstart_text), 1, 0, "ADDR", "the first address that DHCP gives out" },
	{ "ipv6-net", set_text, FIELD(ipv6_net_text), 1, 0, "PREFIX[/LEN]", "the network of IPv6" },
	{ "ipv6-prefix", set_text, FIELD(ipv6_prefix_text), 1, 0, "PREFIX", "the same," },
	{ "ipv6-prefixlen", set_text, FIELD(ipv6_prefixlen_text), 1, 0, "LEN", "in two options" },
	{ "ipv6-host", set_text, FIELD(ipv6_host_text), 1, 0, "ADDR", "the gateway's IPv6 address" },
	{ "ipv6-dns", set_text, FIELD(ipv6_dns_text), 1, 0, "ADDR", "the DNS relay's IPv6 address" },
	{ "restrict", set_switch, FIELD(restricted), 0, 0, "on|off", "isolate the guest" },
	{ "host-loopback", set_switch, FIELD(host_loopback), 0, 0, "on|off", "the gateway's address reaches the host" },
	{ "mtu", set_mtu, 0, MTU_MIN, MTU_MAX, "N", "largest packet" },
	{ "hostname", set_text, FIELD(hostname), 0, TEXT_MAX, "NAME", "the guest's name, by DHCP" },
	{ "domainname", set_text, FIELD(domainname), 1, TEXT_MAX, "NAME", "the guest's domain, by DHCP" },
	{ "dnssearch", add_search, 0, 0, 0, "DOMAIN", "where names are looked for; repeatable" },
	{ "dns-host", add_dns_host, 0, 0, 0, "ADDR[:PORT]", "ask this resolver instead of resolv.conf's; repeatable" },
	{ "tftp", set_text, FIELD(tftp), 1, 0, "FOLDER", "served by TFTP, read-only" },
	{ "tftp-single-port", set_switch, FIELD(tftp_single_port), 0, 0, "on|off", "TFTP answers from port 69 only" },
	{ "tftp-server-name", set_text, FIELD(tftp_server_name), 0, TEXT_MAX, "NAME", "DHCP option 66" },
	{ "bootfile", set_text, FIELD(bootfile), 0, BOOTFILE_MAX, "NAME", "what a guest boots, by DHCP" },
	{ "hostfwd", add_hostfwd, 0, 0, 0, "[tcp|udp]:[HADDR]:HPORT-[GADDR]:GPORT", "a port of the host leads to the guest" },
	{ "guestfwd", add_guestfwd, 0, 0, 0, "[tcp]:[ADDR]:PORT-TARGET", "an address of the network leads to the host" },
	{ "allow", add_filter, 0, 0, 0, "NET[:PORTS]", "the guest may reach it; the first rule that fits decides" },
	{ "deny", add_filter, 0, 0, 0, "NET[:PORTS]", "it may not" },
	{ "outbound-addr", set_outbound_addr, 0, 0, 0, "ADDR", "source address of what leaves; one of each family" },
	{ "outbound-if", set_text, FIELD(outbound_if), 1, IFNAMSIZ - 1, "NAME", "interface by which it leaves" },
	{ "max-flows", set_number, FIELD(limits.tcp_flows), 16, 65536, "N", "TCP connections" },
	{ "max-pending", set_number, FIELD(limits.tcp_pending), 1, 65536, "N", "of these, waiting for the far end" },
	{ "max-udp", set_number, FIELD(limits.udp_flows), 16, 65536, "N", "UDP ports of guests" },
	{ "max-ping", set_number, FIELD(limits.icmp_flows), 1, 65536, "N", "ping identifiers" },
	{ "max-fragments", set_number, FIELD(limits.fragments), 1, 4096, "N", "packets being put together" },
};

static const struct option *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (!strcmp(options[i].name, name))
			return &options[i];
	return NULL;
}

bool unet_config_knows(const char *key)
{
	return find(key) != NULL;
}

bool unet_config_set(struct unet_config *c, const char *key, const char *value, struct err *err)
{
	const struct option *o = find(key);

	return o ? o->set(c, o, value, err) : err_set(err, "Invalid parameter '%s'", key);
}

void unet_config_help(void (*out)(void *to, const char *line), void *to)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		char line[200];

		if (!options[i].help)
			continue;
		snprintf(line, sizeof(line), "%s=%s", options[i].name, options[i].form);
		snprintf(line + strlen(line), sizeof(line) - strlen(line), "%*s%s", MAX(30 - (int)strlen(line), 1), "",
			 options[i].help);
		out(to, line);
	}
}

/* --- addresses ---------------------------------------------------------------------------------------------------- */

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
	c->dhcpstart.s_addr = htonl(n | ((~m == 15 || ~m == 7 ? 5 : 0x020f) & ~m));     /* there .15 is the broadcast address */
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

static bool parse6(const char *text, struct in6_addr *a, const char *what, struct err *err)
{
	if (text && inet_pton(AF_INET6, text, a) != 1)
		return err_set(err, "Failed to parse IPv6 %s", what);
	return true;
}

bool unet_config_addresses6(struct unet_config *c, const char *net, const char *prefix, const char *prefixlen,
			    const char *host, const char *dns, struct err *err)
{
	char text[INET6_ADDRSTRLEN + 1];
	long bits = 64;
	char *end;

	if (net) {                      /* PREFIX[/LEN], which stands for the two */
		size_t n = strcspn(net, "/");

		if (n >= sizeof(text))
			return err_set(err, "Failed to parse IPv6 prefix");
		memcpy(text, net, n);
		text[n] = '\0';
		prefix = text;
		prefixlen = net[n] ? net + n + 1 : NULL;
	}
	if (prefixlen) {
		bits = *prefixlen >= '0' && *prefixlen <= '9' ? strtol(prefixlen, &end, 10) : -1;
		if (bits < 0 || bits > 126 || *end)
			return err_set(err, "Invalid IPv6 prefix provided (IPv6 prefix length must be between 0 and 126)");
	}
	if (!parse6(prefix ? prefix : "fec0::", &c->prefix, "prefix", err))
		return false;
	c->prefixlen = (uint8_t)bits;
	for (unsigned i = 0; i < 16; i++)
		c->prefix.s6_addr[i] &= bits >= 8 * (i + 1) ? 0xff : bits > 8 * i ? (uint8_t)(0xff00 >> (bits - 8 * i)) : 0;
	c->host6 = c->dns6 = c->prefix;
	c->host6.s6_addr[15] |= 2;
	c->dns6.s6_addr[15] |= 3;
	if (!parse6(host, &c->host6, "host", err) || !parse6(dns, &c->dns6, "DNS", err))
		return false;
	if (!addr6_same_net(&c->host6, &c->prefix, c->prefixlen))
		return err_set(err, "IPv6 Host doesn't belong to network");
	if (!addr6_same_net(&c->dns6, &c->prefix, c->prefixlen))
		return err_set(err, "IPv6 DNS doesn't belong to network");
	if (!memcmp(&c->host6, &c->dns6, 16))
		return err_set(err, "IPv6 DNS must be different from host");
	return true;
}

bool unet_config_dns_host(struct unet_config *c, const char *text, struct err *err)
{
	struct sockaddr_storage a;
	char address[64], *end;
	const char *port = NULL, *stop = text + strlen(text);
	unsigned long n = DNS_PORT;

	if (c->dns_hosts == UNET_DNS_HOSTS)
		return err_set(err, "more than %d dns-host addresses", UNET_DNS_HOSTS);
	if (*text == '[') {
		text++;
		stop = strchr(text, ']');
		if (!stop || (stop[1] && stop[1] != ':'))
			return err_set(err, "dns-host '[%s' is not [ADDR]:PORT", text);
		port = stop[1] ? stop + 2 : NULL;
	} else if (strchr(text, ':') && strchr(text, ':') == strrchr(text, ':')) {
		stop = strchr(text, ':');
		port = stop + 1;
	}
	if (port) {
		n = strtoul(port, &end, 10);
		if (*port < '0' || *port > '9' || *end || n < 1 || n > 65535)
			return err_set(err, "dns-host port '%s' is not a number from 1 to 65535", port);
	}
	snprintf(address, sizeof(address), "%.*s", (int)(stop - text), text);
	if (!address_parse(address, (uint16_t)n, &a))
		return err_set(err, "dns-host '%s' is not an address: ADDR[:PORT] is", address);
	c->dns_host[c->dns_hosts++] = a;
	return true;
}

bool address_parse(const char *text, uint16_t port, struct sockaddr_storage *a)
{
	struct sockaddr_in *in = (struct sockaddr_in *)a;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)a;
	const char *scope = strchr(text, '%');
	size_t n = strcspn(text, "%");
	char address[INET6_ADDRSTRLEN];

	memset(a, 0, sizeof(*a));
	if (!scope && inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return true;
	}
	if (n >= sizeof(address))
		return false;
	memcpy(address, text, n);
	address[n] = '\0';
	if (inet_pton(AF_INET6, address, &in6->sin6_addr) != 1)
		return false;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	if (scope) {
		in6->sin6_scope_id = if_nametoindex(scope + 1);
		if (!in6->sin6_scope_id)
			in6->sin6_scope_id = (uint32_t)strtoul(scope + 1, NULL, 10);
	}
	return true;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

void unet_config_defaults(struct unet_config *c)
{
	memset(c, 0, sizeof(*c));
	c->ipv4 = c->ipv6 = true;
	c->host_loopback = true;
	c->mtu = 1500;
	unet_config_addresses(c, NULL, NULL, NULL, NULL, NULL);
	unet_config_addresses6(c, NULL, NULL, NULL, NULL, NULL, NULL);
}

bool unet_config_finish(struct unet_config *c, struct err *err)
{
	/* asking for one of them only leaves the other out */
	c->ipv4 = c->ipv4_switch ? c->ipv4_switch == UNET_ON : c->ipv6_switch != UNET_ON;
	c->ipv6 = c->ipv6_switch ? c->ipv6_switch == UNET_ON : c->ipv4_switch != UNET_ON;
	if (!c->ipv4 && !c->ipv6)
		return err_set(err, "IPv4 and IPv6 disabled");
	if (!c->ipv6 && (c->ipv6_net_text || c->ipv6_prefix_text || c->ipv6_prefixlen_text || c->ipv6_host_text ||
			 c->ipv6_dns_text))
		return err_set(err, "IPv6 disabled but prefix/host6/dns6 provided");
	if (!c->ipv4 && (c->net_text || c->host_text || c->dns_text))
		return err_set(err, "IPv4 disabled but netmask/host/dns provided");
	return unet_config_addresses(c, c->net_text, c->host_text, c->dns_text, c->dhcpstart_text, err) &&
	       unet_config_addresses6(c, c->ipv6_net_text, c->ipv6_prefix_text, c->ipv6_prefixlen_text, c->ipv6_host_text,
				      c->ipv6_dns_text, err);
}

static bool check_text(const char *name, const char *text, size_t max, struct err *err)
{
	if (text && strlen(text) > max)
		return err_set(err, "'%s' parameter cannot exceed %zu bytes", name, max);
	return true;
}

bool unet_config_check(const struct unet_config *c, struct err *err)
{
	if (!c->ipv4 && !c->ipv6)
		return err_set(err, "IPv4 and IPv6 disabled");
	if (c->mtu < MTU_MIN || c->mtu > MTU_MAX)
		return err_set(err, "mtu must be from %d to %d", MTU_MIN, MTU_MAX);
	if (!c->ipv4 && c->mtu < UNET_MTU_MIN6)
		return err_set(err, "mtu must be from %d to %d for IPv6", UNET_MTU_MIN6, MTU_MAX);
	if (c->domainname && !*c->domainname)
		return err_set(err, "'domainname' parameter cannot be empty");
	return check_text("hostname", c->hostname, TEXT_MAX, err) && check_text("domainname", c->domainname, TEXT_MAX, err) &&
	       check_text("tftp-server-name", c->tftp_server_name, TEXT_MAX, err) &&
	       check_text("bootfile", c->bootfile, BOOTFILE_MAX, err);
}
