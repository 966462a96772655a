/* SPDX-License-Identifier: MIT */
/*
 * hostfwd: sockets of the host whose clients reach a guest.  A TCP client is accepted at once (the host's kernel knows
 * no other way) but not read until the guest has accepted, too; if the guest refuses, the client gets RST.  A UDP
 * rule's socket also carries what the guest sends from that address and port.
 *
 * The guest sees a client's own address where it can; a client on the host itself, in the guest's own network, of the
 * other family or at a unix socket looks like the gateway.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include "unet/rules.h"
#include "unet/stack.h"

enum { ACCEPT_BURST = 32, BACKLOG = 128, RETRY_MS = 100 };

/* --- clients ---------------------------------------------------------------------------------------------------- */

struct addr fwd_shown_source(const struct unet *u, const struct addr *peer, const struct addr *guest)
{
	bool strange = addr_is4(peer) != addr_is4(guest) || addr_is_link_local(peer);

	return strange || ip_is_loopback(peer) || ip_in_net(u, peer) ? *ip_gateway(u, guest) : *peer;
}

static const struct forward_peer *find_peer(const struct forward *f, const struct addr *shown, uint16_t port)
{
	for (unsigned i = 0; i < PEERS; i++)
		if (f->peers[i].port == port && addr_equal(&f->peers[i].shown, shown))
			return &f->peers[i];
	return NULL;
}

struct addr fwd_remember_peer(struct forward *f, const struct sockaddr_storage *peer,
			      const struct sockaddr_storage *local)
{
	struct forward_peer *p;
	struct addr real = f->guest, shown;
	uint16_t port = 0;

	addr_from_sock(peer, &real, &port);
	shown = fwd_shown_source(f->u, &real, &f->guest);
	p = (struct forward_peer *)find_peer(f, &shown, port);
	if (!p) {
		p = &f->peers[f->next_peer];
		f->next_peer = (f->next_peer + 1) % PEERS;
	}
	p->shown = shown;
	p->port = port;
	p->real = *peer;
	p->local = *local;
	return shown;
}

const struct forward_peer *fwd_peer(const struct forward *f, const struct addr *shown, uint16_t port)
{
	return find_peer(f, shown, port);
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
		if (addr_from_sock(&peer, &src, &port)) {
			src = fwd_shown_source(u, &src, &f->guest);
		} else {                /* a unix socket's */
			src = *ip_gateway(u, &f->guest);
			unet_random(u, &port, sizeof(port));
			port |= 0x8000;
		}
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

struct forward *fwd_find_udp(struct unet *u, const struct addr *guest, uint16_t port, const struct addr *far,
			     uint16_t far_port)
{
	bool to_loopback = ip_place(u, far) == PLACE_HOST;
	struct forward *found = NULL;

	for (struct forward *f = u->udp_forwards[port % UDP_FORWARDS]; f; f = f->next_udp) {
		if (f->guest_port != port || !addr_equal(&f->guest, guest))
			continue;
		if (find_peer(f, far, far_port))
			return f;       /* an answer */
		if (!found && (to_loopback || !f->loopback) && (f->bound.ss_family == AF_INET) == addr_is4(far))
			found = f;
	}
	return found;
}

/* --- adding and removing ---------------------------------------------------------------------------------------- */

/* A unix socket whose file is left over from a process that is gone. */
static bool is_stale(struct unet *u, const struct sockaddr_storage *a)
{
	int fd = SOCK(u, open, AF_UNIX, SOCK_STREAM, 0), r;

	if (fd < 0)
		return false;
	r = SOCK(u, connect, fd, a);
	SOCK(u, close, fd);
	return r == -ECONNREFUSED;
}

static int bind_rule(struct unet *u, struct forward *f)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&f->bound;
	int r;

	if (f->bound.ss_family == AF_INET6)
		SOCK(u, set, f->fd, SOCK_V6ONLY, 1);
	if (f->bound.ss_family != AF_UNIX && !f->udp)
		SOCK(u, set, f->fd, SOCK_REUSE, 1);
	r = SOCK(u, bind, f->fd, &f->bound);
	if (r != -EADDRINUSE || f->bound.ss_family != AF_UNIX || !is_stale(u, &f->bound))
		return r;
	SOCK(u, remove, un->sun_path);
	return SOCK(u, bind, f->fd, &f->bound);
}

static void close_rule(struct unet *u, struct forward *f)
{
	SOCK(u, close, f->fd);
	if (f->owns_path)
		SOCK(u, remove, ((const struct sockaddr_un *)&f->bound)->sun_path);
}

static int open_rule(struct unet *u, struct forward *f)
{
	int r = SOCK(u, open, f->bound.ss_family, f->udp ? SOCK_DGRAM : SOCK_STREAM, 0);

	if (r < 0)
		return r;
	f->fd = r;
	r = bind_rule(u, f);
	f->owns_path = r >= 0 && f->bound.ss_family == AF_UNIX;
	if (f->udp)                     /* a client is answered from the address that it spoke to */
		SOCK(u, set, f->fd, SOCK_LOCAL, 1);
	if (r >= 0 && !f->udp)
		r = SOCK(u, listen, f->fd, BACKLOG);
	if (r >= 0 && !f->owns_path)
		r = SOCK(u, name, f->fd, &f->bound);
	if (r >= 0)
		r = SOCK(u, watch, f->fd, &f->watch, LOOP_READ, f->udp ? datagrams : clients, f);
	if (r < 0)
		close_rule(u, f);
	return r;
}

static uint16_t bound_port(const struct forward *f)
{
	struct addr a;
	uint16_t port = 0;

	addr_from_sock(&f->bound, &a, &port);
	return port;
}

/* Port number i of the rule's. */
static int add_forward(struct unet *u, const struct hostfwd_rule *rule, uint16_t i)
{
	struct forward *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->u = u;
	f->udp = rule->udp;
	f->opened_ns = unet_now(u);
	f->guest = rule->guest;
	f->guest_port = (uint16_t)(rule->guest_port + i);
	f->loopback = ip_is_loopback(&rule->host);
	if (*rule->path) {
		struct sockaddr_un *un = (struct sockaddr_un *)&f->bound;

		un->sun_family = AF_UNIX;
		strcpy(un->sun_path, rule->path);
	} else {
		addr_to_sock(&rule->host, (uint16_t)(rule->host_port + i), &f->bound);
	}
	r = open_rule(u, f);
	if (r < 0) {
		free(f);
		return r;
	}
	u->forwards[u->forward_count++] = f;
	if (f->udp) {                   /* behind those that were there first */
		struct forward **at = &u->udp_forwards[f->guest_port % UDP_FORWARDS];

		while (*at)
			at = &(*at)->next_udp;
		*at = f;
	}
	return 0;
}

static void remove_forward(struct unet *u, unsigned i)
{
	struct forward *f = u->forwards[i], **at = &u->udp_forwards[f->guest_port % UDP_FORWARDS];

	while (*at && *at != f)
		at = &(*at)->next_udp;
	if (*at)
		*at = f->next_udp;
	SOCK(u, unwatch, &f->watch);
	close_rule(u, f);
	free(f);
	u->forward_count--;
	memmove(&u->forwards[i], &u->forwards[i + 1], (u->forward_count - i) * sizeof(f));
}

/* Whom a rule without a guest's address means. */
static struct addr first_guest(const struct unet *u)
{
	struct addr six = addr_from6(&u->cfg.prefix);

	six.b[15] |= 0x15;              /* as DHCPv6 gives it out */
	return u->cfg.ipv4 ? addr_from4(&u->cfg.dhcpstart) : six;
}

bool unet_hostfwd_add(struct unet *u, const char *text, uint16_t *bound, struct err *err)
{
	struct hostfwd_rule rule;
	unsigned before = u->forward_count;

	if (!hostfwd_parse(text, &rule, err))
		return false;
	if (rule.any_guest)
		rule.guest = first_guest(u);
	if (!(addr_is4(&rule.guest) ? u->cfg.ipv4 : u->cfg.ipv6) || !ip_in_net(u, &rule.guest) ||
	    ip_place(u, &rule.guest) != PLACE_NOBODY)
		return err_set(err, "Invalid host forwarding rule '%s' (Bad guest address: no guest of this network can have "
			       "it)", text);
	if (u->forward_count + rule.ports > FORWARDS)
		return err_set(err, "Could not set up host forwarding rule '%s': more than %d ports", text, FORWARDS);
	for (uint16_t i = 0; i < rule.ports; i++) {
		int r = add_forward(u, &rule, i);

		if (r == 0)
			continue;
		while (u->forward_count > before)
			remove_forward(u, u->forward_count - 1);
		if (rule.ports > 1)
			return err_errno(err, -r, "Could not set up host forwarding rule '%s': port %d", text,
					 rule.host_port + i);
		return err_errno(err, -r, "Could not set up host forwarding rule '%s'", text);
	}
	if (bound)
		*bound = bound_port(u->forwards[before]);
	return true;
}

static bool is_of_rule(const struct forward *f, const struct hostfwd_rule *rule)
{
	struct addr host;
	uint16_t port;

	if (!addr_from_sock(&f->bound, &host, &port))
		return *rule->path && !strcmp(((const struct sockaddr_un *)&f->bound)->sun_path, rule->path);
	return !*rule->path && f->udp == rule->udp && addr_equal(&host, &rule->host) && port >= rule->host_port &&
	       port < rule->host_port + rule->ports;
}

bool unet_hostfwd_remove(struct unet *u, const char *text, struct err *err)
{
	struct hostfwd_rule rule;
	unsigned before = u->forward_count;

	if (!hostfwd_parse_host(text, &rule))
		return err_set(err, "invalid format");
	for (unsigned i = u->forward_count; i-- > 0;)
		if (is_of_rule(u->forwards[i], &rule))
			remove_forward(u, i);
	return u->forward_count < before || err_set(err, "host forwarding rule for %s not found", text);
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

		if (!addr_from_sock(&f->bound, &host, &port))
			print_path_row(out, to, f->fd, ((const struct sockaddr_un *)&f->bound)->sun_path, &f->guest,
				       f->guest_port);
		else
			print_row(u, &(struct print_row){
				.label = f->udp ? "  UDP[HOST_FORWARD]" : "  TCP[HOST_FORWARD]", .fd = f->fd, .src = host,
				.src_port = port, .dst = f->guest, .dst_port = f->guest_port, .flow = f->udp,
				.opened_ns = f->opened_ns, .to_host = f->to_host, .to_guest = f->to_guest }, out, to);
	}
}
