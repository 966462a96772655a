/* SPDX-License-Identifier: MIT */
/*
 * The way out: which destinations a guest may reach (allow=, deny=, host-loopback=), and sockets that leave the host by
 * the address and interface asked for (outbound-addr=, outbound-if=).
 *
 * The first rule that matches a destination decides; what none matches gets the opposite of the last rule, so a list
 * that ends with deny= forbids what it names and a list that ends with allow= permits nothing else.  unet's own
 * services (DHCP, DNS, TFTP) and forwards are not destinations in this sense.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "unet/rules.h"
#include "unet/stack.h"

/* --- rules as text ------------------------------------------------------------------------------------------------ */

/* The first n bits are equal. */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned n)
{
	return !memcmp(a, b, n / 8) && (n % 8 == 0 || (a[n / 8] ^ b[n / 8]) >> (8 - n % 8) == 0);
}

/* Splits "NET[:PORTS]": the address without brackets, the mask's digits, the ports; NULL where there is none. */
static bool split(char *text, char **addr, char **bits, char **ports)
{
	char *rest = text;

	*bits = *ports = NULL;
	*addr = text;
	if (*text == '[') {
		*addr = text + 1;
		rest = strchr(text, ']');
		if (!rest)
			return false;
		*rest++ = '\0';
		if (*rest && *rest != '/' && *rest != ':')
			return false;
	}
	/* without brackets, an IPv6 address has no ports behind it */
	if (*text == '[' || strchr(text, ':') == strrchr(text, ':')) {
		*ports = strchr(rest, ':');
		if (*ports)
			*(*ports)++ = '\0';
	}
	*bits = strchr(rest, '/');
	if (*bits)
		*(*bits)++ = '\0';
	return true;
}

const char *filter_parse(const char *text, struct unet_filter *f)
{
	char copy[100], *addr, *bits, *ports, *end;
	struct sockaddr_storage a;
	unsigned long max, n;
	struct addr net;
	uint16_t port;

	if (strlen(text) >= sizeof(copy))
		return "it is too long";
	strcpy(copy, text);
	if (!split(copy, &addr, &bits, &ports))
		return "NET[:PORTS] is expected, IPv6 addresses with ports in brackets";
	memset(f->net, 0, sizeof(f->net));
	f->family = AF_UNSPEC;
	f->bits = 0;
	f->first_port = 0;
	f->last_port = 65535;
	if (strcmp(addr, "*") || bits) {
		if (strchr(addr, '%') || !address_parse(addr, 0, &a) || !addr_from_sock(&a, &net, &port) ||
		    (a.ss_family == AF_INET6 && addr_is4(&net)))
			return "the address is none";
		memcpy(f->net, net.b, sizeof(f->net));
		f->family = a.ss_family;
		max = a.ss_family == AF_INET ? 32 : 128;
		n = bits ? strtoul(bits, &end, 10) : max;
		if (bits && (*bits < '0' || *bits > '9' || *end || n > max))
			return max == 32 ? "the mask is a number from 0 to 32" : "the mask is a number from 0 to 128";
		f->bits = (uint8_t)(n + (128 - max));
	}
	if (ports && (!rule_ports(ports, 1, &f->first_port, &f->last_port)))
		return "PORTS is PORT or FIRST-LAST, from 1 to 65535";
	return NULL;
}

/* A rule for the gateway's address means the host, by whichever of its names. */
static bool names_host(struct unet *u, const struct unet_filter *f)
{
	struct addr a = addr_from6(f->net);

	return f->family != AF_UNSPEC && f->bits == 128 && ip_place(u, &a) == PLACE_HOST;
}

static bool matches(struct unet *u, const struct unet_filter *f, const struct addr *far, uint16_t port)
{
	if (port < f->first_port || port > f->last_port)
		return false;
	if (f->family == AF_UNSPEC || ((f->family == AF_INET) == addr_is4(far) && same_bits(f->net, far->b, f->bits)))
		return true;
	return ip_place(u, far) == PLACE_HOST && names_host(u, f);
}

static bool permitted(struct unet *u, const struct addr *far, uint16_t port)
{
	const struct unet_config *c = &u->cfg;

	for (unsigned i = 0; i < c->filters; i++)
		if (matches(u, &c->filter[i], far, port))
			return c->filter[i].allow;
	return !c->filters || !c->filter[c->filters - 1].allow;
}

/* --- the host itself ---------------------------------------------------------------------------------------------- */

enum { SELF_KNOWN = 32 };
#define SELF_FOR S(1)

struct outside {
	struct {
		struct addr a;
		uint64_t until_ns;
		bool self;
	} known[SELF_KNOWN];
	unsigned next;
};

/* One of the host's own addresses is where packets to it come from: the kernel says so without sending any. */
static bool ask_whether_self(struct unet *u, const struct addr *a)
{
	struct sockaddr_storage to, from;
	struct addr mine;
	uint16_t port;
	bool self;
	int fd;

	addr_to_sock(a, 9, &to);
	fd = SOCK(u, open, to.ss_family, SOCK_DGRAM, 0);
	if (fd < 0)
		return true;            /* the safe answer */
	self = SOCK(u, connect, fd, &to) == 0 && SOCK(u, name, fd, &from) == 0 && addr_from_sock(&from, &mine, &port) &&
	       addr_equal(&mine, a);
	SOCK(u, close, fd);
	return self;
}

static bool is_self(struct unet *u, const struct addr *a)
{
	struct outside *o = u->outside;
	uint64_t now = unet_now(u);
	unsigned i;

	for (i = 0; i < SELF_KNOWN; i++)
		if (now < o->known[i].until_ns && addr_equal(&o->known[i].a, a))
			return o->known[i].self;
	i = o->next++ % SELF_KNOWN;
	o->known[i].a = *a;
	o->known[i].until_ns = now + SELF_FOR;
	o->known[i].self = ask_whether_self(u, a);
	return o->known[i].self;
}

int outside_check(struct unet *u, const struct addr *far, uint16_t port)
{
	enum place place = ip_place(u, far);

	if (place != PLACE_HOST && place != PLACE_OUTSIDE)
		return 0;
	if (!permitted(u, far, port) || (place == PLACE_OUTSIDE && !u->cfg.host_loopback && is_self(u, far))) {
		char text[INET6_ADDRSTRLEN];

		u->counters.dropped_filtered++;
		inet_ntop(addr_is4(far) ? AF_INET : AF_INET6, addr_wire(far), text, sizeof(text));
		log_net("unet", "allow=, deny= or host-loopback= forbids %s port %d", text, port);
		return EACCES;
	}
	return place == PLACE_HOST && !u->cfg.host_loopback ? ECONNREFUSED : 0;
}

/* --- sockets ------------------------------------------------------------------------------------------------------ */

bool outside_chosen(const struct unet *u)
{
	return u->cfg.outbound_if || u->cfg.outbound4.s_addr || !IN6_IS_ADDR_UNSPECIFIED(&u->cfg.outbound6);
}

/* Has what fd sends leave as the options want.  Returns 0 or -errno. */
static int steer(struct unet *u, int fd, int family)
{
	struct sockaddr_storage from;
	struct addr a = family == AF_INET ? addr_from4(&u->cfg.outbound4) : addr_from6(&u->cfg.outbound6);
	bool bound = family == AF_INET ? u->cfg.outbound4.s_addr != 0 : !IN6_IS_ADDR_UNSPECIFIED(&u->cfg.outbound6);
	int r = u->cfg.outbound_if ? SOCK(u, device, fd, u->cfg.outbound_if) : 0;

	if (r < 0 || !bound)
		return r;
	SOCK(u, set, fd, SOCK_PORT_LATER, 1);
	addr_to_sock(&a, 0, &from);
	return SOCK(u, bind, fd, &from);
}

int outside_open(struct unet *u, const struct sockaddr_storage *to, int type, int protocol)
{
	int fd = SOCK(u, open, to->ss_family, type, protocol), r;
	struct addr far;
	uint16_t port;

	if (fd < 0 || !outside_chosen(u) || !addr_from_sock(to, &far, &port) || ip_is_loopback(&far))
		return fd;
	r = steer(u, fd, to->ss_family);
	if (r < 0) {
		SOCK(u, close, fd);
		return r == -ENODEV ? -ENETDOWN : r;
	}
	return fd;
}

/* Whether the host lets us. */
static bool try(struct unet *u, int family, struct err *err)
{
	int fd = SOCK(u, open, family, SOCK_DGRAM, 0), r = fd;
	char text[INET6_ADDRSTRLEN];

	if (fd >= 0) {
		r = u->cfg.outbound_if ? SOCK(u, device, fd, u->cfg.outbound_if) : 0;
		if (r < 0) {
			SOCK(u, close, fd);
			return err_errno(err, -r, "outbound-if '%s'", u->cfg.outbound_if);
		}
		r = steer(u, fd, family);
		SOCK(u, close, fd);
	}
	if (r >= 0)
		return true;
	inet_ntop(family, family == AF_INET ? (const void *)&u->cfg.outbound4 : &u->cfg.outbound6, text, sizeof(text));
	return err_errno(err, -r, "outbound-addr '%s'", text);
}

bool outside_init(struct unet *u, struct err *err)
{
	u->outside = calloc(1, sizeof(*u->outside));
	if (!u->outside)
		return err_errno(err, ENOMEM, "user network");
	if ((u->cfg.outbound4.s_addr || u->cfg.outbound_if) && !try(u, AF_INET, err))
		return false;
	return IN6_IS_ADDR_UNSPECIFIED(&u->cfg.outbound6) || try(u, AF_INET6, err);
}

void outside_free(struct unet *u)
{
	free(u->outside);
}
