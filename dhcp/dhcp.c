/* SPDX-License-Identifier: MIT */
/*
 * The server's answers (RFC 2131 section 4.3).
 *
 * Option 53 stands first, then 54, then what option 55 of the request lists, in its order, then the rest: some old
 * stacks look no further than the first options.  A reply is never shorter than 300 bytes (BOOTP's size), nor longer
 * than option 57 of the request allows; what does not fit is left out, whole.
 * Relays (giaddr) are not served: there is no network behind the guest's.
 */
#include "dhcp/dhcp.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "dhcp/lease.h"
#include "dhcp/option.h"

enum {
	DISCOVER = 1, OFFER = 2, REQUEST = 3, DECLINE = 4, ACK = 5, NAK = 6, RELEASE = 7, INFORM = 8,
	BOOTREQUEST = 1, BOOTREPLY = 2, HTYPE_ETHERNET = 1, FLAG_BROADCAST = 0x8000, COOKIE = 0x63825363,
	LEASE_S = 86400, OFFER_S = 60, DECLINE_S = 600,
	MESSAGE_MIN = 300, IP_UDP_HEADERS = 28, SIZE_DEFAULT = 576,
};

struct dhcp {
	struct dhcp_config cfg;
	struct lease_table table;
};

struct request {
	const uint8_t *msg;
	struct option_set options;
	struct client client;
	uint8_t type;                   /* 0: BOOTP */
	uint32_t ciaddr, requested, server;     /* host order; 0: none */
	size_t room;                    /* of the reply */
};

struct dhcp *dhcp_new(const struct dhcp_config *config)
{
	struct dhcp *d = calloc(1, sizeof(*d));

	assert(d);
	d->cfg = *config;
	lease_init(&d->table, config);
	return d;
}

void dhcp_free(struct dhcp *d)
{
	free(d);
}

const char *dhcp_bad_search(const char *const *dnssearch)
{
	uint8_t buf[512];

	for (; dnssearch && *dnssearch; dnssearch++) {
		const char *one[] = { *dnssearch, NULL };

		if (!option_encode_search(one, buf, sizeof(buf)))
			return *dnssearch;
	}
	return NULL;
}

unsigned dhcp_leases(const struct dhcp *d, uint64_t now_ns)
{
	return lease_count(&d->table, now_ns);
}

/* --- request ---------------------------------------------------------------------------------------------------- */

static uint32_t address_option(const struct option_set *o, uint8_t code)
{
	return o->value[code].len == 4 ? be32(o->value[code].data) : 0;
}

static void identify(struct request *q)
{
	const uint8_t *id = q->options.value[OPT_CLIENT_ID].data;
	uint8_t len = q->options.value[OPT_CLIENT_ID].len;

	uint8_t hardware[7] = { HTYPE_ETHERNET };

	memcpy(hardware + 1, q->msg + MSG_CHADDR, 6);
	if (id && len >= 2)
		client_set(&q->client, id, len);
	else
		client_set(&q->client, hardware, sizeof(hardware));
}

static bool parse(struct request *q, const uint8_t *msg, size_t len)
{
	const uint8_t *max;

	if (len < MSG_OPTIONS || msg[MSG_OP] != BOOTREQUEST || msg[MSG_HTYPE] != HTYPE_ETHERNET || msg[MSG_HLEN] != 6 ||
	    be32(msg + MSG_COOKIE) != COOKIE || (msg[MSG_CHADDR] & 1) || be32(msg + MSG_GIADDR) != 0)
		return false;
	q->msg = msg;
	option_parse(&q->options, msg, len);
	identify(q);
	if (q->options.value[OPT_TYPE].data && q->options.value[OPT_TYPE].len != 1)
		return false;
	q->type = q->options.value[OPT_TYPE].len == 1 ? q->options.value[OPT_TYPE].data[0] : 0;
	q->ciaddr = be32(msg + MSG_CIADDR);
	q->requested = address_option(&q->options, OPT_REQUESTED);
	q->server = address_option(&q->options, OPT_SERVER);
	max = q->options.value[OPT_MAX_SIZE].len == 2 ? q->options.value[OPT_MAX_SIZE].data : NULL;
	q->room = MAX(max ? be16(max) : SIZE_DEFAULT, SIZE_DEFAULT) - IP_UDP_HEADERS;
	q->room = MIN(q->room, (size_t)DHCP_REPLY_MAX);
	return true;
}

/* --- reply ------------------------------------------------------------------------------------------------------ */

static void put_text(struct option_writer *w, uint8_t code, const char *text)
{
	if (text && *text)
		option_put(w, code, text, strlen(text));
}

/* One option of the configuration, if there is something to say. */
static void put_configured(const struct dhcp *d, const struct request *q, struct option_writer *w, uint8_t code)
{
	const struct dhcp_config *c = &d->cfg;
	uint32_t mask = ntohl(c->mask.s_addr), server = ntohl(c->server.s_addr);
	bool leased = q->type == DISCOVER || q->type == REQUEST;
	uint8_t mtu[2];

	switch (code) {
	case OPT_MASK:
		option_put_u32(w, code, mask);
		break;
	case OPT_ROUTER:
		if (!c->isolated)
			option_put_u32(w, code, server);
		break;
	case OPT_DNS:
		if (!c->isolated)
			option_put_u32(w, code, ntohl(c->dns.s_addr));
		break;
	case OPT_HOSTNAME:
		put_text(w, code, c->hostname);
		break;
	case OPT_DOMAIN:
		put_text(w, code, c->domainname);
		break;
	case OPT_MTU:
		if (c->mtu && c->mtu != 1500) {
			put_be16(mtu, c->mtu);
			option_put(w, code, mtu, 2);
		}
		break;
	case OPT_BROADCAST:
		option_put_u32(w, code, ntohl(c->net.s_addr) | ~mask);
		break;
	case OPT_LEASE:
		if (leased)
			option_put_u32(w, code, LEASE_S);
		break;
	case OPT_T1:
		if (leased)
			option_put_u32(w, code, LEASE_S / 2);
		break;
	case OPT_T2:
		if (leased)
			option_put_u32(w, code, LEASE_S / 8 * 7);
		break;
	case OPT_CLASS:
		if (c->bootfile && (!strncmp(c->bootfile, "http://", 7) || !strncmp(c->bootfile, "https://", 8)))
			put_text(w, code, "HTTPClient");
		break;
	case OPT_TFTP_SERVER:
		put_text(w, code, c->tftp_server_name);
		break;
	case OPT_BOOTFILE:
		put_text(w, code, c->bootfile);
		break;
	case OPT_SEARCH:
		if (c->dnssearch && c->dnssearch[0])
			option_put_search(w, c->dnssearch);
		break;
	}
}

static void put_all(const struct dhcp *d, const struct request *q, struct option_writer *w)
{
	static const uint8_t rest[] = {
		OPT_MASK, OPT_ROUTER, OPT_DNS, OPT_LEASE, OPT_T1, OPT_T2, OPT_BROADCAST, OPT_MTU, OPT_HOSTNAME,
		OPT_DOMAIN, OPT_TFTP_SERVER, OPT_BOOTFILE, OPT_CLASS, OPT_SEARCH,
	};
	const uint8_t *wanted = q->options.value[OPT_PARAMETERS].data;
	uint8_t n = q->options.value[OPT_PARAMETERS].len;
	bool done[256] = { false };

	if (q->type == DISCOVER || q->type == REQUEST) {        /* without it there is no lease, whatever else fits */
		put_configured(d, q, w, OPT_LEASE);
		done[OPT_LEASE] = true;
	}
	for (unsigned i = 0; i < n + ARRAY_SIZE(rest); i++) {
		uint8_t code = i < n ? wanted[i] : rest[i - n];

		if (!done[code])
			put_configured(d, q, w, code);
		done[code] = true;
	}
}

static void reply(const struct dhcp *d, const struct request *q, uint8_t type, uint32_t yiaddr, struct dhcp_reply *r)
{
	struct option_writer w = { r->data + MSG_OPTIONS, r->data + q->room - 1, false };
	const char *file = d->cfg.bootfile;
	bool nak = type == NAK;
	size_t used;

	memset(r, 0, sizeof(*r));
	r->data[MSG_OP] = BOOTREPLY;
	r->data[MSG_HTYPE] = HTYPE_ETHERNET;
	r->data[MSG_HLEN] = 6;
	memcpy(r->data + MSG_XID, q->msg + MSG_XID, 4);
	memcpy(r->data + MSG_FLAGS, q->msg + MSG_FLAGS, 2);
	if (type == ACK)
		memcpy(r->data + MSG_CIADDR, q->msg + MSG_CIADDR, 4);
	memcpy(r->data + MSG_CHADDR, q->msg + MSG_CHADDR, 16);
	memcpy(r->mac, q->msg + MSG_CHADDR, 6);
	put_be32(r->data + MSG_COOKIE, COOKIE);
	if (!nak) {
		put_be32(r->data + MSG_YIADDR, yiaddr);
		memcpy(r->data + MSG_SIADDR, &d->cfg.server, 4);
		if (file)
			memcpy(r->data + MSG_FILE, file, MIN(strlen(file), FILE_LEN - 1));
	}
	if (type)
		option_put(&w, OPT_TYPE, &type, 1);
	option_put(&w, OPT_SERVER, &d->cfg.server, 4);
	if (nak)
		option_put(&w, OPT_MESSAGE, "requested address not available", 31);
	else
		put_all(d, q, &w);
	if (q->options.value[OPT_CLIENT_ID].data)       /* RFC 6842 */
		option_put(&w, OPT_CLIENT_ID, q->options.value[OPT_CLIENT_ID].data,
			   q->options.value[OPT_CLIENT_ID].len);
	*w.at++ = OPT_END;
	used = (size_t)(w.at - r->data);
	r->len = MAX(used, (size_t)MESSAGE_MIN);

	/* RFC 2131 section 4.1 */
	if (nak)
		r->to.s_addr = INADDR_BROADCAST;
	else if (q->ciaddr)
		r->to.s_addr = htonl(q->ciaddr);
	else if (be16(q->msg + MSG_FLAGS) & FLAG_BROADCAST)
		r->to.s_addr = INADDR_BROADCAST;
	else
		r->to.s_addr = htonl(yiaddr);
	if (!nak)
		r->leased.s_addr = htonl(yiaddr);
}

/* --- messages --------------------------------------------------------------------------------------------------- */

static bool discover(struct dhcp *d, const struct request *q, uint64_t now, struct dhcp_reply *r)
{
	struct lease *l = lease_of(&d->table, &q->client);

	if (l && !lease_available(l, &q->client, now))
		l = NULL;
	if (!l && q->requested)
		l = lease_at(&d->table, q->requested);
	if (!l || !lease_available(l, &q->client, now))
		l = lease_pick(&d->table, &q->client, now);
	if (!l) {
		log_net("dhcp", "there are no addresses to give out");
		return false;
	}
	if (!lease_available(l, &q->client, now))
		log_net("dhcp", "all addresses are taken: one is taken back");
	if (l->state != LEASE_BOUND || !lease_available(l, &q->client, now) || now >= l->until_ns)
		lease_set(&d->table, l, &q->client, LEASE_OFFERED, now, now + S(OFFER_S));
	reply(d, q, OFFER, lease_address(&d->table, l), r);
	r->leased.s_addr = 0;           /* not yet */
	return true;
}

static bool request(struct dhcp *d, const struct request *q, uint64_t now, struct dhcp_reply *r)
{
	uint32_t wanted = q->requested ? q->requested : q->ciaddr;
	struct lease *l;

	if (q->server && q->server != ntohl(d->cfg.server.s_addr)) {    /* took another server's offer */
		l = lease_of(&d->table, &q->client);
		if (l && l->state == LEASE_OFFERED)
			l->state = LEASE_FREE;
		return false;
	}
	l = lease_at(&d->table, wanted);
	if (!l || !lease_available(l, &q->client, now)) {
		reply(d, q, NAK, 0, r);
		return true;
	}
	lease_set(&d->table, l, &q->client, LEASE_BOUND, now, now + S(LEASE_S));
	reply(d, q, ACK, wanted, r);
	return true;
}

/* A client that knows no DHCP keeps its address for good (RFC 1534). */
static bool bootp(struct dhcp *d, const struct request *q, uint64_t now, struct dhcp_reply *r)
{
	struct lease *l = q->ciaddr ? lease_at(&d->table, q->ciaddr) : lease_of(&d->table, &q->client);

	if (!l || !lease_available(l, &q->client, now))
		l = lease_pick(&d->table, &q->client, now);
	if (!l)
		return false;
	lease_set(&d->table, l, &q->client, LEASE_BOUND, now, CLOCK_NEVER);
	reply(d, q, 0, lease_address(&d->table, l), r);
	return true;
}

static void decline(struct dhcp *d, const struct request *q, uint64_t now)
{
	struct lease *l = lease_at(&d->table, q->requested);
	static const struct client nobody = { .id = { 0 }, .len = 1 };

	if (!l || l != lease_of(&d->table, &q->client) || l->state == LEASE_FREE)
		return;
	log_net("dhcp", "a client declines its address: someone else uses it");
	l->client = nobody;
	l->state = LEASE_DECLINED;
	l->until_ns = now + S(DECLINE_S);
}

static void release(struct dhcp *d, const struct request *q, uint64_t now)
{
	struct lease *l = lease_at(&d->table, q->ciaddr);

	if (!l || l != lease_of(&d->table, &q->client) || l->state != LEASE_BOUND)
		return;
	l->state = LEASE_FREE;          /* the client is remembered: it may come back */
	l->until_ns = now;
}

bool dhcp_input(struct dhcp *d, uint64_t now_ns, const void *msg, size_t len, struct dhcp_reply *r)
{
	struct request q;

	if (!parse(&q, msg, len))
		return false;
	switch (q.type) {
	case 0:
		return bootp(d, &q, now_ns, r);
	case DISCOVER:
		return discover(d, &q, now_ns, r);
	case REQUEST:
		return request(d, &q, now_ns, r);
	case DECLINE:
		decline(d, &q, now_ns);
		return false;
	case RELEASE:
		release(d, &q, now_ns);
		return false;
	case INFORM:
		if (!q.ciaddr)
			return false;
		reply(d, &q, ACK, 0, r);
		r->leased.s_addr = 0;
		return true;
	}
	return false;
}
