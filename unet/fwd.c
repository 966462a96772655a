/* SPDX-License-Identifier: MIT */
/*
 * hostfwd: sockets of the host whose clients reach a guest.  A TCP client is accepted at once (the host's kernel knows
 * no other way) but not read until the guest has accepted, too; if the guest refuses, the client gets RST.  A UDP
 * rule's socket also carries what the guest sends from that address and port.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "unet/stack.h"

enum { ACCEPT_BURST = 32, BACKLOG = 128, RETRY_MS = 100 };

struct rule {
	bool udp;
	struct in_addr host, guest;
	uint16_t host_port, guest_port;
};

/* --- rules as text ---------------------------------------------------------------------------------------------- */

/* Cuts the text up to sep into word; false if there is no sep (or no room: nothing valid is that long). */
static bool take_word(const char **text, char sep, char *word, size_t room)
{
	const char *end = strchr(*text, sep);
	size_t n;

	if (!end)
		return false;
	n = (size_t)(end - *text);
	if (n >= room)
		n = room - 1;
	memcpy(word, *text, n);
	word[n] = '\0';
	*text = end + 1;
	return true;
}

static bool parse_port(const char *text, long min, uint16_t *port)
{
	char *end;
	long v;

	if (*text < '0' || *text > '9')
		return false;
	v = strtol(text, &end, 10);
	if (*end || v < min || v > 65535)
		return false;
	*port = (uint16_t)v;
	return true;
}

/* "[tcp|udp]:[haddr]:" -- the beginning that both forms share.  NULL, or what is wrong. */
static const char *parse_host(const char **text, struct rule *r)
{
	char word[64];

	if (!take_word(text, ':', word, sizeof(word)))
		return "No : separators";
	if (!strcmp(word, "udp"))
		r->udp = true;
	else if (*word && strcmp(word, "tcp"))
		return "Bad protocol name";
	if (!take_word(text, ':', word, sizeof(word)))
		return "Missing : separator";
	if (*word && inet_pton(AF_INET, word, &r->host) != 1)
		return "Bad host address";
	return NULL;
}

static const char *parse_rule(const struct unet *u, const char *text, struct rule *r)
{
	const char *bad = parse_host(&text, r);
	char word[64];

	if (bad)
		return bad;
	if (!take_word(&text, '-', word, sizeof(word)))
		return "Bad host port separator";
	if (!parse_port(word, 0, &r->host_port))
		return "Bad host port";
	if (!take_word(&text, ':', word, sizeof(word)))
		return "Missing guest address";
	r->guest = u->cfg.dhcpstart;
	if (*word && inet_pton(AF_INET, word, &r->guest) != 1)
		return "Bad guest address";
	if (!parse_port(text, 1, &r->guest_port))
		return "Bad guest port";
	return NULL;
}

/* --- clients ---------------------------------------------------------------------------------------------------- */

struct addr fwd_shown_source(const struct unet *u, const struct addr *peer, const struct addr *guest)
{
	bool strange = addr_is4(peer) != addr_is4(guest) || addr_is_link_local(peer);

	return strange || ip_is_loopback(peer) || ip_in_net(u, peer) ? *ip_gateway(u, guest) : *peer;
}

void fwd_remember_peer(struct forward *f, const struct addr *shown, uint16_t port)
{
	if (fwd_knows_peer(f, shown, port))
		return;
	f->peers[f->next_peer].ip = *shown;
	f->peers[f->next_peer].port = port;
	f->next_peer = (f->next_peer + 1) % PEERS;
}

bool fwd_knows_peer(const struct forward *f, const struct addr *shown, uint16_t port)
{
	for (unsigned i = 0; i < PEERS; i++)
		if (f->peers[i].port == port && addr_equal(&f->peers[i].ip, shown))
			return true;
	return false;
}

static void clients(void *owner, unsigned events)
{
	struct forward *f = owner;
	struct unet *u = f->u;

	(void)events;
	unet_enter(u);
	for (int i = 0; i < ACCEPT_BURST; i++) {
		struct sockaddr_storage peer;
		struct addr src;
		uint16_t port;
		int fd = SOCK(u, accept, f->fd, &peer);

		if (fd == -EAGAIN)
			break;
		if (fd == -ECONNABORTED || fd == -EINTR)
			continue;
		if (fd < 0) {           /* out of descriptors: the client waits in the backlog, and so do we */
			SOCK(u, rewatch, &f->watch, 0);
			u->accept_again_ns = unet_now(u) + MS(RETRY_MS);
			unet_arm_expiry(u);
			break;
		}
		if (!addr_from_sock(&peer, &src, &port)) {
			SOCK(u, close, fd);
			continue;
		}
		src = fwd_shown_source(u, &src, &f->guest);
		tcp_from_host(u, fd, &src, port, &f->guest, f->guest_port);
	}
	unet_leave(u);
}

static void datagrams(void *owner, unsigned events)
{
	udp_forward_readable(owner, events);
}

void fwd_accept_again(struct unet *u, uint64_t now)
{
	if (now < u->accept_again_ns)
		return;
	u->accept_again_ns = CLOCK_NEVER;
	for (unsigned i = 0; i < u->forward_count; i++)
		if (!u->forwards[i]->udp)
			SOCK(u, rewatch, &u->forwards[i]->watch, LOOP_READ);
}

struct forward *fwd_find_udp(struct unet *u, const struct addr *guest, uint16_t port, bool to_loopback)
{
	for (unsigned i = 0; i < u->forward_count; i++) {
		struct forward *f = u->forwards[i];

		if (f->udp && f->guest_port == port && addr_equal(&f->guest, guest) &&
		    (to_loopback || !f->loopback))
			return f;
	}
	return NULL;
}

/* --- adding and removing ---------------------------------------------------------------------------------------- */

static int open_rule(struct unet *u, struct forward *f)
{
	int r = SOCK(u, open, AF_INET, f->udp ? SOCK_DGRAM : SOCK_STREAM, 0);

	if (r < 0)
		return r;
	f->fd = r;
	if (!f->udp)
		SOCK(u, set, f->fd, SOCK_REUSE, 1);
	r = SOCK(u, bind, f->fd, &f->bound);
	if (r >= 0 && !f->udp)
		r = SOCK(u, listen, f->fd, BACKLOG);
	if (r >= 0)
		r = SOCK(u, name, f->fd, &f->bound);
	if (r >= 0)
		r = SOCK(u, watch, f->fd, &f->watch, LOOP_READ, f->udp ? datagrams : clients, f);
	if (r < 0)
		SOCK(u, close, f->fd);
	return r;
}

bool unet_hostfwd_add(struct unet *u, const char *text, uint16_t *bound, struct err *err)
{
	struct rule rule = { .udp = false };
	const char *bad = parse_rule(u, text, &rule);
	struct forward *f;
	struct addr host;
	int r;

	if (bad)
		return err_set(err, "Invalid host forwarding rule '%s' (%s)", text, bad);
	if (u->forward_count == FORWARDS)
		return err_set(err, "Could not set up host forwarding rule '%s': more than %d rules", text, FORWARDS);
	f = calloc(1, sizeof(*f));
	if (!f)
		return err_errno(err, ENOMEM, "Could not set up host forwarding rule '%s'", text);
	f->u = u;
	f->udp = rule.udp;
	f->guest = addr_from4(&rule.guest);
	f->guest_port = rule.guest_port;
	host = addr_from4(&rule.host);
	f->loopback = ip_is_loopback(&host);
	addr_to_sock(&host, rule.host_port, &f->bound);
	r = open_rule(u, f);
	if (r < 0) {
		free(f);
		return err_errno(err, -r, "Could not set up host forwarding rule '%s'", text);
	}
	u->forwards[u->forward_count++] = f;
	if (bound)
		*bound = ntohs(((struct sockaddr_in *)&f->bound)->sin_port);
	return true;
}

static void remove_forward(struct unet *u, unsigned i)
{
	struct forward *f = u->forwards[i];

	SOCK(u, unwatch, &f->watch);
	SOCK(u, close, f->fd);
	free(f);
	u->forward_count--;
	memmove(&u->forwards[i], &u->forwards[i + 1], (u->forward_count - i) * sizeof(f));
}

bool unet_hostfwd_remove(struct unet *u, const char *text, struct err *err)
{
	struct rule rule = { .udp = false };
	const char *rest = text;

	if (parse_host(&rest, &rule) || !parse_port(rest, 0, &rule.host_port))
		return err_set(err, "invalid format");
	for (unsigned i = 0; i < u->forward_count; i++) {
		struct forward *f = u->forwards[i];
		const struct sockaddr_in *in = (const struct sockaddr_in *)&f->bound;

		if (f->udp == rule.udp && in->sin_addr.s_addr == rule.host.s_addr &&
		    ntohs(in->sin_port) == rule.host_port) {
			remove_forward(u, i);
			return true;
		}
	}
	return err_set(err, "host forwarding rule for %s not found", text);
}

void fwd_free(struct unet *u)
{
	while (u->forward_count)
		remove_forward(u, u->forward_count - 1);
}

void fwd_print(struct unet *u, void (*out)(void *to, const char *line), void *to)
{
	for (unsigned i = 0; i < u->forward_count; i++) {
		struct forward *f = u->forwards[i];
		struct addr host;
		uint16_t port;

		if (addr_from_sock(&f->bound, &host, &port))
			print_row(out, to, f->udp ? "  UDP[HOST_FORWARD]" : "  TCP[HOST_FORWARD]", f->fd, &host, port,
				  &f->guest, f->guest_port, 0, 0);
	}
}
