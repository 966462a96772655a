/* SPDX-License-Identifier: MIT */
/*
 * The DNS relay of 10.0.2.3 (RFC 1035): the guest's query goes to the host's resolvers with an identifier and a source
 * port of our own, and only an answer from that resolver with that identifier and the same question comes back.  A
 * resolver that is silent for two seconds, unreachable, or says SERVFAIL or REFUSED gives way to the next; the one that
 * answered last is asked first.  Without a resolver, or when all fail, the guest gets SERVFAIL.
 * What is inside (EDNS, DNSSEC, TC) passes untouched.  TCP to port 53 is passed through by tcp.c.
 * resolv.conf is looked at again, at most every tenth of a second, when there is something to resolve.  Nothing else
 * of the host's is: names in its hosts file mean nothing here.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "unet/rules.h"
#include "unet/stack.h"

enum {
	DNS_PORT = 53, DNS_HLEN = 12, QUERY_MAX = 1500,
	FLAG_QR = 0x80, FLAG_RA = 0x80,         /* bytes 2 and 3 */
	RCODE = 0x0f, FORMERR = 1, SERVFAIL = 2, REFUSED = 5,
	ROUNDS = 2,                             /* times each resolver is asked */
	RESOLV_MAX = 16384,
	LIST_WAITING = 0,
};
#define TRY_FOR S(2)
#define LOOK_EVERY MS(100)

struct query {
	struct flow flow;                       /* far_port: the guest's identifier */
	struct unet *u;
	int fd;
	struct loop_fd watch;
	struct addr via;
	uint16_t id;                            /* ours */
	uint8_t first, tries;                   /* resolver to begin with; those asked so far */
	uint16_t len, question_end;
	uint8_t data[QUERY_MAX];
};

struct dns {
	struct unet *u;
	struct flow_table queries;
	struct sockaddr_storage resolvers[RESOLVERS];
	unsigned count, preferred;
	uint64_t stamp, looked_ns;
	bool looked;
};

/* --- resolv.conf ------------------------------------------------------------------------------------------------ */

static void parse_resolv_conf(struct dns *d, char *text)
{
	static const char word[] = "nameserver", blank[] = " \t";
	char *rest = text, *line;

	d->count = 0;
	while ((line = strsep(&rest, "\n")) && d->count < RESOLVERS) {
		line += strspn(line, blank);
		if (strncmp(line, word, sizeof(word) - 1) || !line[sizeof(word) - 1] ||
		    !strchr(blank, line[sizeof(word) - 1]))
			continue;
		line += sizeof(word) - 1;
		line += strspn(line, blank);
		line[strcspn(line, " \t\r#;")] = '\0';
		if (address_parse(line, DNS_PORT, &d->resolvers[d->count]))
			d->count++;
	}
}

static void look(struct dns *d)
{
	struct unet *u = d->u;
	const char *path = u->cfg.resolv_conf;
	uint64_t stamp = 0, now = unet_now(u);
	ssize_t n;
	char *text;

	if (u->cfg.dns_hosts) {
		d->count = MIN(u->cfg.dns_hosts, (unsigned)RESOLVERS);
		memcpy(d->resolvers, u->cfg.dns_host, d->count * sizeof(d->resolvers[0]));
		return;
	}
	if (d->looked && now - d->looked_ns < LOOK_EVERY)
		return;
	d->looked_ns = now;
	n = SOCK(u, file, path, NULL, 0, &stamp);
	if (n < 0) {
		d->count = 0;
		d->looked = true;
		d->stamp = 0;
		return;
	}
	if (d->looked && stamp == d->stamp)
		return;
	d->looked = true;
	text = malloc(RESOLV_MAX + 1);
	if (!text)
		return;
	n = SOCK(u, file, path, text, RESOLV_MAX, &stamp);
	text[n > 0 ? n : 0] = '\0';
	parse_resolv_conf(d, text);
	free(text);
	d->stamp = stamp;
	d->preferred = 0;
	if (!d->count)
		log_net("dns", "%s names no resolver", path);
}

bool dns_resolver(struct unet *u, unsigned i, struct sockaddr_storage *a)
{
	struct dns *d = u->dns;

	look(d);
	if (i >= d->count)
		return false;
	*a = d->resolvers[(d->preferred + i) % d->count];
	return true;
}

/* --- messages --------------------------------------------------------------------------------------------------- */

/* Where the only question ends; 0 if the message is not a plain query or answer with one question. */
static uint16_t question_end(const uint8_t *m, uint32_t len)
{
	struct cursor c = cursor_of(m, len);
	uint8_t label;

	cursor_take(&c, 4);
	if (cursor_be16(&c) != 1)
		return 0;
	cursor_take(&c, 6);
	while ((label = cursor_u8(&c)) != 0) {
		if (label > 63)
			return 0;
		cursor_take(&c, label);
	}
	cursor_take(&c, 4);
	return c.bad ? 0 : (uint16_t)(c.p - m);
}

static void fail(struct unet *u, const struct addr *via, const struct addr *guest, uint16_t port, const uint8_t *query,
		 uint16_t end, unsigned rcode)
{
	uint8_t m[QUERY_MAX];

	memcpy(m, query, DNS_HLEN);
	m[2] |= FLAG_QR;
	m[3] = (uint8_t)(FLAG_RA | rcode);
	memset(m + 4, 0, 8);
	if (end) {
		put_be16(m + 4, 1);
		memcpy(m + DNS_HLEN, query + DNS_HLEN, end - DNS_HLEN);
	}
	udp_send(u, via, DNS_PORT, guest, port, m, end ? end : DNS_HLEN);
}

/* --- queries ---------------------------------------------------------------------------------------------------- */

static void close_socket(struct query *q)
{
	struct unet *u = q->u;

	if (q->fd < 0)
		return;
	SOCK(u, unwatch, &q->watch);
	SOCK(u, close, q->fd);
	q->fd = -1;
}

static void forget(struct query *q)
{
	close_socket(q);
	flow_remove(&q->u->dns->queries, &q->flow);
}

static void give_up(struct query *q)
{
	fail(q->u, &q->via, &q->flow.key.guest, q->flow.key.guest_port, q->data, q->question_end, SERVFAIL);
	forget(q);
}

static void readable(void *owner, unsigned events);

/* Asks the next resolver, and the one after it if that fails at once. */
static void ask(struct query *q)
{
	struct unet *u = q->u;
	struct dns *d = u->dns;

	close_socket(q);
	while (d->count && q->tries < d->count * ROUNDS) {
		unsigned i = (q->first + q->tries++) % d->count;
		struct iovec iov = { q->data, q->len };
		uint8_t guest_id[2];
		ssize_t r;

		q->fd = outside_open(u, &d->resolvers[i], SOCK_DGRAM, 0);
		if (q->fd < 0) {
			q->fd = -1;
			continue;
		}
		memset(&q->watch, 0, sizeof(q->watch));
		unet_random(u, &q->id, 2);
		memcpy(guest_id, q->data, 2);
		put_be16(q->data, q->id);
		r = SOCK(u, connect, q->fd, &d->resolvers[i]);  /* answers from elsewhere never reach us */
		if (r == 0)
			r = SOCK(u, watch, q->fd, &q->watch, LOOP_READ, readable, q);
		if (r == 0)
			r = SOCK(u, send, q->fd, &iov, 1, NULL);
		memcpy(q->data, guest_id, 2);
		if (r >= 0) {
			flow_touch(&d->queries, &q->flow, LIST_WAITING, unet_now(u));
			unet_arm_expiry(u);
			return;
		}
		close_socket(q);
	}
	give_up(q);
}

static bool answers(const struct query *q, const uint8_t *m, ssize_t len)
{
	uint16_t end;

	if (len < DNS_HLEN || be16(m) != q->id || !(m[2] & FLAG_QR))
		return false;
	end = question_end(m, (uint32_t)len);
	if (!end)                       /* a server that understood nothing repeats nothing */
		return be16(m + 4) == 0 && (m[3] & RCODE) != 0;
	if (end != q->question_end || memcmp(m + end - 4, q->data + end - 4, 4))        /* type and class */
		return false;
	for (uint16_t i = DNS_HLEN; i < end - 4; i++)   /* some servers spell names their own way (RFC 4343) */
		if (tolower(m[i]) != tolower(q->data[i]))
			return false;
	return true;
}

static void readable(void *owner, unsigned events)
{
	struct query *q = owner;
	struct unet *u = q->u;
	struct dns *d = u->dns;

	(void)events;
	unet_enter(u);
	/* what is not an answer is passed over; a flood of it has to wait for its turn */
	for (int i = 0; i < 8; i++) {
		struct sockaddr_storage from;
		struct iovec iov = { u->datagram, 65536 };
		ssize_t n = SOCK(u, receive, q->fd, &iov, 1, &from);
		unsigned rcode;

		if (n == -EAGAIN)
			break;
		if (n < 0) {            /* refused or unreachable */
			ask(q);
			break;
		}
		if (n > 65535 || !answers(q, u->datagram, n))
			continue;
		rcode = u->datagram[3] & RCODE;
		if ((rcode == SERVFAIL || rcode == REFUSED) && q->tries < d->count) {
			ask(q);
			break;
		}
		if (rcode != SERVFAIL && rcode != REFUSED && d->count)
			d->preferred = (q->first + q->tries - 1u) % d->count;
		memcpy(u->datagram, q->data, 2);
		udp_send(u, &q->via, DNS_PORT, &q->flow.key.guest, q->flow.key.guest_port, u->datagram, (uint32_t)n);
		forget(q);
		break;
	}
	unet_leave(u);
}

void dns_query(struct unet *u, const struct addr *guest, uint16_t guest_port, const struct addr *via, const void *data,
	       uint32_t len)
{
	struct dns *d = u->dns;
	struct flow_key key = { .guest = *guest, .guest_port = guest_port };
	const uint8_t *m = data;
	struct query *q;
	uint16_t end;

	if (len < DNS_HLEN || len > QUERY_MAX || (m[2] & FLAG_QR)) {
		u->counters.dropped_malformed++;
		return;
	}
	end = question_end(m, len);
	if (!end) {
		fail(u, via, guest, guest_port, m, 0, FORMERR);
		return;
	}
	look(d);
	if (!d->count) {
		fail(u, via, guest, guest_port, m, end, SERVFAIL);
		return;
	}
	key.far_port = be16(m);
	q = (struct query *)flow_find(&d->queries, &key);
	if (q && q->len == len && !memcmp(q->data, m, len))
		return;                 /* asked again while we are at it */
	if (q)
		forget(q);
	if (d->queries.count == d->queries.limit) {
		give_up((struct query *)d->queries.lists[LIST_WAITING].oldest);
		u->counters.limit_dns++;
	}
	q = (struct query *)flow_add(&d->queries, &key, LIST_WAITING, unet_now(u));
	q->u = u;
	q->fd = -1;
	q->via = *via;
	q->first = (uint8_t)d->preferred;
	q->len = (uint16_t)len;
	q->question_end = end;
	memcpy(q->data, m, len);
	ask(q);
}

void dns_expire(struct unet *u, uint64_t now)
{
	struct flow *f;

	while ((f = flow_expired(&u->dns->queries, now)))
		ask((struct query *)f);
}

void dns_forgive(struct dns *d, uint64_t pause_ns, uint64_t now)
{
	flow_forgive(&d->queries, pause_ns, now);
}

uint64_t dns_next_expiry(const struct dns *d)
{
	return flow_next_expiry(&d->queries);
}

uint32_t dns_pending(const struct dns *d)
{
	return d->queries.count;
}

struct dns *dns_new(struct unet *u)
{
	struct dns *d = calloc(1, sizeof(*d));

	if (!d || !flow_table_init(&d->queries, u->cfg.limits.dns_queries, sizeof(struct query), (const uint8_t *)u->secret)) {
		free(d);
		return NULL;
	}
	d->u = u;
	d->queries.lists[LIST_WAITING].idle_ns = TRY_FOR;
	return d;
}

void dns_free(struct dns *d)
{
	struct flow *f = NULL;

	if (!d)
		return;
	while ((f = flow_next(&d->queries, f)))
		forget((struct query *)f);
	flow_table_free(&d->queries);
	free(d);
}
