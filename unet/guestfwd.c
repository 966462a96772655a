/* SPDX-License-Identifier: MIT */
/*
 * guestfwd: addresses in the guests' network whose TCP ports lead somewhere on the host, with restrict=on, too:
 *
 *	tcp:HOST:PORT, unix:PATH        a connection of its own for each of the guest's; a name is looked up once, at start
 *	cmd:COMMAND                     a process for each (command.c)
 *	anything else                   a stream that the embedder has (a character device of the emulator's)
 *
 * Other ports of such an address are closed; it answers ARP and ping.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "unet/rules.h"
#include "unet/stack.h"

enum { HOST_MAX = 253 };                /* bytes of a name (RFC 1035 section 2.3.4) */

struct guest_forward {
	struct guestfwd_rule rule;
	char *target;
};

/* --- rules as text ------------------------------------------------------------------------------------------------ */

static bool bad(struct err *err, const char *rule, const char *reason)
{
	return err_set(err, "Invalid guest forwarding rule '%s' (%s)", rule, reason);
}

/* "ADDR:PORT" of a target, which the host knows. */
static bool parse_target_address(const char *text, struct sockaddr_storage *to)
{
	uint16_t port, last;
	struct addr a;
	char word[64];

	if (!rule_take_address(&text, word, sizeof(word)) || !rule_ports(text, 1, &port, &last) || port != last)
		return false;
	if (!rule_address(word, &a))
		return false;
	addr_to_sock(&a, port, to);
	return true;
}

/* "NAME:PORT": the name (RFC 1123 section 2.1) and where the port begins. */
static bool parse_target_name(const char *text, char name[HOST_MAX + 1], uint16_t *port)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	size_t n = strspn(text, letters);
	uint16_t last;

	if (!n || n > HOST_MAX || text[n] != ':' || !rule_ports(text + n + 1, 1, port, &last) || *port != last)
		return false;
	memcpy(name, text, n);
	name[n] = '\0';
	return true;
}

static bool parse_target(const char *rule, const char *text, struct guestfwd_rule *r, struct err *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&r->to;
	char name[HOST_MAX + 1];
	uint16_t port;

	r->target = text;
	r->kind = GUESTFWD_STREAM;
	if (!*text)
		return bad(err, rule, "Missing target: cmd:COMMAND, tcp:HOST:PORT, unix:PATH or a character device");
	if (!strncmp(text, "cmd:", 4)) {
		r->kind = GUESTFWD_COMMAND;
		r->target = text + 4;
		return *r->target || bad(err, rule, "Missing command");
	}
	if (strchr(text, ','))          /* options of a character device: server=on, say */
		return true;
	if (!strncmp(text, "tcp:", 4)) {
		r->kind = GUESTFWD_SOCKET;
		return parse_target_address(text + 4, &r->to) || parse_target_name(text + 4, name, &port) ||
		       bad(err, rule, "Bad target: tcp:HOST:PORT is expected, IPv6 addresses in brackets");
	}
	if (!strncmp(text, "unix:", 5)) {
		r->kind = GUESTFWD_SOCKET;
		if (!text[5] || strlen(text + 5) >= sizeof(un->sun_path))
			return bad(err, rule, "Bad target: the path is empty or too long");
		un->sun_family = AF_UNIX;
		strcpy(un->sun_path, text + 5);
	}
	return true;
}

bool guestfwd_parse(const char *rule, struct guestfwd_rule *r, struct err *err)
{
	const char *text = rule, *dash;
	char word[64];
	uint16_t last;

	memset(r, 0, sizeof(*r));
	if (strncmp(text, "tcp:", 4) && *text != ':')
		return bad(err, rule, "Bad protocol name: [tcp]:[ADDR]:PORT-TARGET is expected");
	text = strchr(text, ':') + 1;
	if (!rule_take_address(&text, word, sizeof(word)))
		return bad(err, rule, "Missing : separator");
	r->any_address = !*word;
	if (*word && !rule_address(word, &r->address))
		return bad(err, rule, "Bad address");
	dash = strchr(text, '-');
	if (!dash || (size_t)(dash - text) >= sizeof(word))
		return bad(err, rule, "Missing - separator");
	memcpy(word, text, (size_t)(dash - text));
	word[dash - text] = '\0';
	if (!rule_ports(word, 1, &r->port, &last))
		return bad(err, rule, "Bad port");
	return parse_target(rule, dash + 1, r, err);
}

const char *unet_guestfwd_stream(const char *rule)
{
	struct guestfwd_rule r;

	return guestfwd_parse(rule, &r, NULL) && r.kind == GUESTFWD_STREAM ? r.target : NULL;
}

/* --- where they are ----------------------------------------------------------------------------------------------- */

const struct addr *guestfwd_address(const struct unet *u, unsigned i)
{
	return &u->guestfwds[i].rule.address;
}

bool guestfwd_has(const struct unet *u, const struct addr *a)
{
	for (unsigned i = 0; i < u->guestfwd_count; i++)
		if (addr_equal(&u->guestfwds[i].rule.address, a))
			return true;
	return false;
}

static const struct guest_forward *find(const struct unet *u, const struct addr *a, uint16_t port)
{
	for (unsigned i = 0; i < u->guestfwd_count; i++)
		if (u->guestfwds[i].rule.port == port && addr_equal(&u->guestfwds[i].rule.address, a))
			return &u->guestfwds[i];
	return NULL;
}

bool guestfwd_leads(const struct unet *u, const struct addr *a, uint16_t port)
{
	return u->guestfwd_count && find(u, a, port);
}

int guestfwd_connect(struct unet *u, const struct addr *a, uint16_t port, int *fd)
{
	const struct guest_forward *g = find(u, a, port);
	int r;

	*fd = -1;
	if (!g)
		return -ECONNREFUSED;
	switch (g->rule.kind) {
	case GUESTFWD_COMMAND:
		*fd = SOCK(u, run, &u->commands, g->target);
		u->counters.limit_commands += *fd < 0;
		break;
	case GUESTFWD_STREAM:
		*fd = u->cfg.guestfwd_open(u->cfg.guestfwd_owner, g->target);
		break;
	case GUESTFWD_SOCKET:
		*fd = outside_open(u, &g->rule.to, SOCK_STREAM, 0);
		if (*fd < 0)
			break;
		r = SOCK(u, connect, *fd, &g->rule.to);
		if (r == -EAGAIN)       /* a unix socket's backlog is full: the guest's SYN comes again */
			r = -EMFILE;
		return r;
	}
	r = *fd;
	return r < 0 ? (*fd = -1, r) : 0;
}

/* The target's name becomes an address. */
static bool look_up(struct unet *u, const char *rule, struct guestfwd_rule *r, struct err *err)
{
	char name[HOST_MAX + 1];
	const char *why;
	uint16_t port;
	bool parsed;

	if (r->kind != GUESTFWD_SOCKET || r->to.ss_family != AF_UNSPEC)
		return true;
	parsed = parse_target_name(r->target + 4, name, &port);
	assert(parsed);                 /* by guestfwd_parse */
	why = SOCK(u, look_up, name, port, &r->to);
	return !why || err_set(err, "Invalid guest forwarding rule '%s' (%s: %s)", rule, name, why);
}

static bool add(struct unet *u, const char *rule, struct err *err)
{
	struct guest_forward *g = &u->guestfwds[u->guestfwd_count];
	uint32_t four = u->cfg.net.s_addr | (htonl(0x0204) & ~u->cfg.mask.s_addr);
	enum place place;

	if (!guestfwd_parse(rule, &g->rule, err))
		return false;
	if (g->rule.any_address)
		g->rule.address = addr_from4(&four);
	place = ip_place(u, &g->rule.address);
	if (!(addr_is4(&g->rule.address) ? u->cfg.ipv4 : u->cfg.ipv6) || !ip_in_net(u, &g->rule.address) ||
	    find(u, &g->rule.address, g->rule.port) || (place != PLACE_NOBODY && place != PLACE_GUESTFWD))
		return err_set(err, "Conflicting/invalid host:port in guest forwarding rule '%s'", rule);
	if (g->rule.kind == GUESTFWD_STREAM && !u->cfg.guestfwd_open)
		return bad(err, rule, "cmd:COMMAND, tcp:HOST:PORT and unix:PATH are possible here");
	if (!look_up(u, rule, &g->rule, err))
		return false;
	g->target = strdup(g->rule.target);
	if (!g->target)
		return err_errno(err, ENOMEM, "guest forwarding rule '%s'", rule);
	g->rule.target = NULL;
	u->guestfwd_count++;
	return true;
}

bool guestfwd_init(struct unet *u, const struct unet_config *config, struct err *err)
{
	if (!config->guestfwds)
		return true;
	u->guestfwds = calloc(config->guestfwds, sizeof(*u->guestfwds));
	if (!u->guestfwds)
		return err_errno(err, ENOMEM, "user network");
	for (unsigned i = 0; i < config->guestfwds; i++)
		if (!add(u, config->guestfwd[i], err))
			return false;
	/* nobody gets such an address by DHCP */
	for (unsigned i = 0; i < u->guestfwd_count; i++)
		if (addr_is4(&u->guestfwds[i].rule.address))
			u->reserved[u->dhcp_cfg.reserved_count++].s_addr = addr_v4(&u->guestfwds[i].rule.address);
	u->dhcp_cfg.reserved = u->reserved;
	return true;
}

void guestfwd_free(struct unet *u)
{
	if (u->commands)
		SOCK(u, stop, u->commands);
	for (unsigned i = 0; i < u->guestfwd_count; i++)
		free(u->guestfwds[i].target);
	free(u->guestfwds);
}

void guestfwd_print(struct unet *u, void (*out)(void *to, const char *line), void *to)
{
	for (unsigned i = 0; i < u->guestfwd_count; i++) {
		const struct guest_forward *g = &u->guestfwds[i];

		print_guestfwd_row(out, to, &g->rule.address, g->rule.port, g->rule.kind == GUESTFWD_COMMAND, g->target);
	}
}
