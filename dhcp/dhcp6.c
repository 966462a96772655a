/* SPDX-License-Identifier: MIT */
/*
 * The server's answers (RFC 8415 section 18.3), to clients on the link only: relays and prefix delegation are refused.
 *
 * An identity association for addresses gets one address.  Which client has which is kept in the table that DHCPv4 uses
 * (lease.c), by the association's identifier and the client's DUID; its numbers are the last 32 bits of the address.
 */
#include "dhcp/dhcp6.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "dhcp/lease.h"
#include "dhcp/option.h"

enum {
	/* section 7.3 */
	SOLICIT = 1, ADVERTISE = 2, REQUEST = 3, CONFIRM = 4, RENEW = 5, REBIND = 6, REPLY = 7, RELEASE = 8, DECLINE = 9,
	INFORMATION_REQUEST = 11,
	/* section 21, RFC 3646, RFC 5970 */
	OPTION_CLIENTID = 1, OPTION_SERVERID = 2, OPTION_IA_NA = 3, OPTION_IA_TA = 4, OPTION_IAADDR = 5, OPTION_ORO = 6,
	OPTION_STATUS_CODE = 13, OPTION_RAPID_COMMIT = 14, OPTION_VENDOR_CLASS = 16, OPTION_DNS_SERVERS = 23,
	OPTION_DOMAIN_LIST = 24, OPTION_IA_PD = 25, OPTION_INFORMATION_REFRESH_TIME = 32, OPT_BOOTFILE_URL = 59,
	/* section 21.13 */
	SUCCESS = 0, NO_ADDRS_AVAIL = 2, NO_BINDING = 3, NOT_ON_LINK = 4, USE_MULTICAST = 5, NO_PREFIX_AVAIL = 6,

	HEADER = 4,                     /* type and transaction id */
	DUID_LL = 3, HTYPE_ETHERNET = 1, DUID_LEN = 10, DUID_MIN = 3, DUID_MAX = 130,
	IA_NA_LEN = 12, IA_TA_LEN = 4, IAADDR_LEN = 24,
	IAS_MAX = 8, ADDRESSES_MAX = 4, /* more in one message are passed over */
	HTTP_ENTERPRISE = 343,          /* of vendor class "HTTPClient" (UEFI 24.7) */

	FIRST = 0x15, PREFERRED_S = 43200, VALID_S = 86400, T1_S = PREFERRED_S / 2, T2_S = PREFERRED_S / 5 * 4,
	OFFER_S = 60, DECLINE_S = 600,
};

struct dhcp6 {
	struct dhcp6_config cfg;
	struct lease_table table;
	uint8_t duid[DUID_LEN];
};

struct ia {
	uint16_t code;                  /* OPTION_IA_NA, OPTION_IA_TA or OPTION_IA_PD */
	uint32_t iaid;
	unsigned count;
	struct in6_addr address[ADDRESSES_MAX];
};

struct request {
	const uint8_t *msg;
	uint8_t type;
	const uint8_t *client, *server, *oro;   /* NULL: absent */
	uint16_t client_len, server_len, oro_len;
	bool rapid_commit, http;
	struct ia ia[IAS_MAX];
	unsigned ias;
};

/* --- addresses ---------------------------------------------------------------------------------------------------- */

static bool on_link(const struct dhcp6_config *c, const struct in6_addr *a)
{
	unsigned n = c->prefixlen;
	const uint8_t *p = c->prefix.s6_addr, *q = a->s6_addr;

	return !memcmp(p, q, n / 8) && (n % 8 == 0 || (p[n / 8] ^ q[n / 8]) >> (8 - n % 8) == 0);
}

static uint32_t number_of(const struct in6_addr *a)
{
	return be32(a->s6_addr + 12);
}

static struct lease *lease_of_address(struct dhcp6 *d, const struct in6_addr *a)
{
	return memcmp(a, &d->cfg.prefix, 12) ? NULL : lease_at(&d->table, number_of(a));
}

static struct in6_addr address_of(const struct dhcp6 *d, const struct lease *l)
{
	struct in6_addr a = d->cfg.prefix;

	put_be32(a.s6_addr + 12, lease_address(&d->table, l));
	return a;
}

void dhcp6_reserve(struct dhcp6 *d, const struct in6_addr *a)
{
	if (!memcmp(a, &d->cfg.prefix, 12))
		lease_reserve(&d->table, number_of(a));
}

/* The addresses behind FIRST that the prefix has, but for those that are taken. */
static void init_table(struct dhcp6 *d)
{
	const struct dhcp6_config *c = &d->cfg;
	uint32_t hosts = c->prefixlen <= 96 ? 0xffffffff : (1u << (128 - c->prefixlen)) - 1, base = number_of(&c->prefix);

	lease_init_range(&d->table, base + (FIRST & hosts), hosts - (FIRST & hosts) + 1);
	dhcp6_reserve(d, &c->server);
	dhcp6_reserve(d, &c->dns);
}

/* The client as lease.c knows it: by the association and the DUID. */
static void identify(const struct request *q, const struct ia *ia, struct client *c)
{
	uint8_t id[4 + DUID_MAX];

	put_be32(id, ia->iaid);
	memcpy(id + 4, q->client, q->client_len);
	client_set(c, id, 4u + q->client_len);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

/* The addresses in an association; what is malformed ends the list. */
static void parse_addresses(struct ia *ia, struct cursor c)
{
	while (cursor_left(&c) && ia->count < ADDRESSES_MAX) {
		uint16_t code = cursor_be16(&c), len = cursor_be16(&c);
		const uint8_t *v = cursor_take(&c, len);

		if (v && code == OPTION_IAADDR && len >= IAADDR_LEN)
			memcpy(&ia->address[ia->count++], v, 16);
	}
}

static bool parse_ia(struct request *q, uint16_t code, const uint8_t *v, size_t len)
{
	size_t fixed = code == OPTION_IA_TA ? IA_TA_LEN : IA_NA_LEN;
	struct ia *ia = &q->ia[q->ias];

	if (len < fixed)
		return false;
	if (q->ias == IAS_MAX)
		return true;
	*ia = (struct ia){ .code = code, .iaid = be32(v) };
	if (code == OPTION_IA_NA)
		parse_addresses(ia, cursor_of(v + fixed, len - fixed));
	q->ias++;
	return true;
}

/* One option; false: the message is broken.  Of options that may stand once the first counts. */
static bool parse_option(struct request *q, uint16_t code, const uint8_t *v, uint16_t len)
{
	static const char http[] = "HTTPClient";

	switch (code) {
	case OPTION_CLIENTID:
	case OPTION_SERVERID: {
		const uint8_t **id = code == OPTION_CLIENTID ? &q->client : &q->server;

		if (len < DUID_MIN || len > DUID_MAX)
			return false;
		if (!*id) {
			*id = v;
			*(code == OPTION_CLIENTID ? &q->client_len : &q->server_len) = len;
		}
		return true;
	}
	case OPTION_IA_NA:
	case OPTION_IA_TA:
	case OPTION_IA_PD:
		return parse_ia(q, code, v, len);
	case OPTION_ORO:
		if (!q->oro) {
			q->oro = v;
			q->oro_len = len & ~1u;
		}
		return true;
	case OPTION_RAPID_COMMIT:
		q->rapid_commit = true;
		return true;
	case OPTION_VENDOR_CLASS:
		q->http = len >= 6 + sizeof(http) - 1 && !memcmp(v + 6, http, sizeof(http) - 1);
		return true;
	}
	return true;
}

static bool parse(struct request *q, const uint8_t *msg, size_t len)
{
	struct cursor c = cursor_of(msg, len);

	if (!cursor_take(&c, HEADER))
		return false;
	q->msg = msg;
	q->type = msg[0];
	while (cursor_left(&c)) {
		uint16_t code = cursor_be16(&c), n = cursor_be16(&c);
		const uint8_t *v = cursor_take(&c, n);

		if (!v || !parse_option(q, code, v, n))
			return false;
	}
	return true;
}

/* Which messages are for us, and are as they must be (section 16). */
static bool valid(const struct dhcp6 *d, const struct request *q)
{
	bool ours = q->server && q->server_len == DUID_LEN && !memcmp(q->server, d->duid, DUID_LEN);

	switch (q->type) {
	case SOLICIT:
	case CONFIRM:
	case REBIND:
		return q->client && !q->server;
	case REQUEST:
	case RENEW:
	case RELEASE:
	case DECLINE:
		return q->client && ours;
	case INFORMATION_REQUEST:
		return (!q->server || ours) && !q->ias;
	}
	return false;
}

/* --- replies ------------------------------------------------------------------------------------------------------ */

struct writer {
	uint8_t *at, *end;
};

/* Begins an option with room for len bytes at least; NULL if there is none: then it is left out. */
static uint8_t *begin(struct writer *w, uint16_t code, size_t len)
{
	uint8_t *o = w->at;

	if ((size_t)(w->end - o) < 4 + len)
		return NULL;
	put_be16(o, code);
	put_be16(o + 2, (uint16_t)len);
	w->at += 4 + len;
	return o + 4;
}

static void put(struct writer *w, uint16_t code, const void *data, size_t len)
{
	uint8_t *v = begin(w, code, len);

	if (v && len)
		memcpy(v, data, len);
}

/* The option that begins at v reaches to where the writer is now. */
static void end(struct writer *w, uint8_t *v)
{
	put_be16(v - 2, (uint16_t)(w->at - v));
}

static void put_status(struct writer *w, uint16_t status, const char *text)
{
	uint8_t *v = begin(w, OPTION_STATUS_CODE, 2 + strlen(text));

	if (!v)
		return;
	put_be16(v, status);
	memcpy(v + 2, text, strlen(text));
}

static void put_address(struct writer *w, const struct in6_addr *a, bool good)
{
	uint8_t *v = begin(w, OPTION_IAADDR, IAADDR_LEN);

	if (!v)
		return;
	memcpy(v, a, 16);
	put_be32(v + 16, good ? PREFERRED_S : 0);
	put_be32(v + 20, good ? VALID_S : 0);
}

static bool wants(const struct request *q, uint16_t code)
{
	for (unsigned i = 0; i + 1 < q->oro_len; i += 2)
		if (be16(q->oro + i) == code)
			return true;
	return !q->oro;                 /* who does not say gets what there is */
}

static void put_search(const struct dhcp6 *d, struct writer *w)
{
	uint8_t *v = w->at + 4;
	size_t len;

	if (!d->cfg.search || !d->cfg.search[0] || w->end - w->at < 4)
		return;
	len = option_encode_names(d->cfg.search, v, (size_t)(w->end - v));
	if (len)
		begin(w, OPTION_DOMAIN_LIST, len);
}

static void put_settings(const struct dhcp6 *d, const struct request *q, struct writer *w)
{
	static const char http[] = "HTTPClient";
	uint8_t *v;

	if (!d->cfg.isolated && wants(q, OPTION_DNS_SERVERS))
		put(w, OPTION_DNS_SERVERS, &d->cfg.dns, 16);
	if (wants(q, OPTION_DOMAIN_LIST))
		put_search(d, w);
	if (d->cfg.boot_url && wants(q, OPT_BOOTFILE_URL))
		put(w, OPT_BOOTFILE_URL, d->cfg.boot_url, strlen(d->cfg.boot_url));
	if (d->cfg.boot_url && q->http && !strncmp(d->cfg.boot_url, "http", 4) &&
	    (v = begin(w, OPTION_VENDOR_CLASS, 6 + sizeof(http) - 1))) {
		put_be32(v, HTTP_ENTERPRISE);
		put_be16(v + 4, sizeof(http) - 1);
		memcpy(v + 6, http, sizeof(http) - 1);
	}
	if (q->type == INFORMATION_REQUEST && q->oro && wants(q, OPTION_INFORMATION_REFRESH_TIME) &&
	    (v = begin(w, OPTION_INFORMATION_REFRESH_TIME, 4)))
		put_be32(v, VALID_S);
}

/* --- associations ------------------------------------------------------------------------------------------------- */

/* What the client has or had, what it would like, or what is best to give. */
static struct lease *choose(struct dhcp6 *d, const struct ia *ia, const struct client *c, uint64_t now)
{
	struct lease *l = lease_of(&d->table, c);

	if (l && lease_available(l, c, now))
		return l;
	for (unsigned i = 0; i < ia->count; i++) {
		l = lease_of_address(d, &ia->address[i]);
		if (l && lease_available(l, c, now))
			return l;
	}
	return lease_pick(&d->table, c, now);
}

/* The lease that a renewal is about; a rebinding client may have got its address from us before we were started anew. */
static struct lease *lookup(struct dhcp6 *d, const struct request *q, const struct ia *ia, const struct client *c,
			    uint64_t now)
{
	struct lease *l = lease_of(&d->table, c);

	if (l && l->state == LEASE_BOUND && now < l->until_ns)
		return l;
	for (unsigned i = 0; q->type == REBIND && i < ia->count; i++) {
		l = lease_of_address(d, &ia->address[i]);
		if (l && lease_available(l, c, now))
			return l;
	}
	return NULL;
}

static void grant(struct dhcp6 *d, const struct request *q, const struct ia *ia, bool bind, uint64_t now, struct writer *w)
{
	bool renewal = q->type == RENEW || q->type == REBIND, told = false;
	uint8_t *v = begin(w, OPTION_IA_NA, IA_NA_LEN);
	struct in6_addr a;
	struct client c;
	struct lease *l;

	if (!v)
		return;
	identify(q, ia, &c);
	l = renewal ? lookup(d, q, ia, &c, now) : choose(d, ia, &c, now);
	put_be32(v, ia->iaid);
	put_be32(v + 4, l ? T1_S : 0);
	put_be32(v + 8, l ? T2_S : 0);
	if (l) {
		lease_set(&d->table, l, &c, bind ? LEASE_BOUND : LEASE_OFFERED, now, now + (bind ? S(VALID_S) : S(OFFER_S)));
		a = address_of(d, l);
		put_address(w, &a, true);
	}
	/* what it holds beside, or believes to hold, it must give up */
	for (unsigned i = 0; renewal && i < ia->count; i++) {
		if (l && !memcmp(&ia->address[i], &a, 16))
			continue;
		if (!l && q->type == RENEW)
			continue;
		put_address(w, &ia->address[i], false);
		told = true;
	}
	if (!l && !told)
		put_status(w, renewal ? NO_BINDING : NO_ADDRS_AVAIL, renewal ? "not known here" : "none is left");
	end(w, v);
}

/* Temporary addresses and prefixes are not to be had. */
static void deny(const struct ia *ia, struct writer *w)
{
	bool prefix = ia->code == OPTION_IA_PD;
	uint8_t *v = begin(w, ia->code, prefix ? IA_NA_LEN : IA_TA_LEN);

	if (!v)
		return;
	memset(v, 0, prefix ? IA_NA_LEN : IA_TA_LEN);
	put_be32(v, ia->iaid);
	put_status(w, prefix ? NO_PREFIX_AVAIL : NO_ADDRS_AVAIL, "");
	end(w, v);
}

static void put_associations(struct dhcp6 *d, const struct request *q, bool bind, uint64_t now, struct writer *w)
{
	for (unsigned i = 0; i < q->ias; i++) {
		if (q->ia[i].code == OPTION_IA_NA)
			grant(d, q, &q->ia[i], bind, now, w);
		else
			deny(&q->ia[i], w);
	}
}

static void give_back(struct dhcp6 *d, const struct request *q, uint64_t now, struct writer *w)
{
	static const struct client nobody;

	put_status(w, SUCCESS, "");
	for (unsigned i = 0; i < q->ias; i++) {
		const struct ia *ia = &q->ia[i];
		struct client c;
		struct lease *l;
		bool found = false;

		if (ia->code != OPTION_IA_NA)
			continue;
		identify(q, ia, &c);
		l = lease_of(&d->table, &c);
		for (unsigned k = 0; l && k < ia->count; k++) {
			if (l != lease_of_address(d, &ia->address[k]) || l->state != LEASE_BOUND)
				continue;
			if (q->type == DECLINE)         /* someone else uses it: it has no client any more */
				lease_set(&d->table, l, &nobody, LEASE_DECLINED, now, now + S(DECLINE_S));
			else
				lease_set(&d->table, l, &c, LEASE_FREE, now, now);
			found = true;
		}
		if (!found) {
			uint8_t *v = begin(w, OPTION_IA_NA, IA_NA_LEN);

			if (!v)
				return;
			memset(v, 0, IA_NA_LEN);
			put_be32(v, ia->iaid);
			put_status(w, NO_BINDING, "not known here");
			end(w, v);
		}
	}
}

/* Whether all addresses that the client asks about belong here; nothing to say about none at all (18.3.3). */
static bool confirm(const struct dhcp6 *d, const struct request *q, struct writer *w)
{
	unsigned n = 0;
	bool good = true;

	for (unsigned i = 0; i < q->ias; i++) {
		for (unsigned k = 0; k < q->ia[i].count; k++, n++)
			good &= on_link(&d->cfg, &q->ia[i].address[k]);
	}
	if (n)
		put_status(w, good ? SUCCESS : NOT_ON_LINK, "");
	return n > 0;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static bool answer(struct dhcp6 *d, const struct request *q, uint64_t now, struct writer *w)
{
	switch (q->type) {
	case SOLICIT:
		if (q->rapid_commit)
			put(w, OPTION_RAPID_COMMIT, NULL, 0);
		put_associations(d, q, q->rapid_commit, now, w);
		break;
	case REQUEST:
	case RENEW:
	case REBIND:
		put_associations(d, q, true, now, w);
		break;
	case RELEASE:
	case DECLINE:
		give_back(d, q, now, w);
		return true;
	case CONFIRM:
		return confirm(d, q, w);
	}
	put_settings(d, q, w);
	return true;
}

bool dhcp6_input(struct dhcp6 *d, uint64_t now, const void *message, size_t len, bool unicast, struct dhcp6_reply *reply)
{
	struct writer w = { reply->data + HEADER, reply->data + sizeof(reply->data) };
	struct request q = { .type = 0 };

	if (!parse(&q, message, len) || !valid(d, &q)) {
		log_guest("dhcp6", "a message of type %d is not for this server, or broken", len ? *(const uint8_t *)message : 0);
		return false;
	}
	reply->data[0] = q.type == SOLICIT && !q.rapid_commit ? ADVERTISE : REPLY;
	memcpy(reply->data + 1, q.msg + 1, 3);
	put(&w, OPTION_SERVERID, d->duid, DUID_LEN);
	if (q.client)
		put(&w, OPTION_CLIENTID, q.client, q.client_len);
	if (unicast) {                  /* nobody was told to do that (section 18.4) */
		if (!q.server || q.type == INFORMATION_REQUEST)
			return false;
		put_status(&w, USE_MULTICAST, "");
	} else if (!answer(d, &q, now, &w)) {
		return false;
	}
	reply->len = (size_t)(w.at - reply->data);
	return true;
}

struct dhcp6 *dhcp6_new(const struct dhcp6_config *config)
{
	struct dhcp6 *d = calloc(1, sizeof(*d));

	assert(d);
	d->cfg = *config;
	put_be16(d->duid, DUID_LL);
	put_be16(d->duid + 2, HTYPE_ETHERNET);
	memcpy(d->duid + 4, config->mac, 6);
	init_table(d);
	return d;
}

void dhcp6_free(struct dhcp6 *d)
{
	free(d);
}

unsigned dhcp6_leases(const struct dhcp6 *d, uint64_t now)
{
	return lease_count(&d->table, now);
}
