/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "dhcp/dhcp6.h"

enum {
	SOLICIT = 1, ADVERTISE = 2, REQUEST = 3, CONFIRM = 4, RENEW = 5, REBIND = 6, REPLY = 7, RELEASE = 8, DECLINE = 9,
	INFORMATION_REQUEST = 11,
	CLIENTID = 1, SERVERID = 2, IA_NA = 3, IA_TA = 4, IAADDR = 5, ORO = 6, STATUS = 13, RAPID_COMMIT = 14, VENDOR_CLASS = 16,
	DNS_SERVERS = 23, DOMAIN_LIST = 24, IA_PD = 25, REFRESH_TIME = 32, BOOTFILE_URL = 59,
};

static const uint8_t server_duid[10] = { 0, 3, 0, 1, 0x52, 0x56, 0, 0, 0, 2 };
static const uint8_t prefix[16] = { 0xfe, 0xc0 };

struct net {
	struct dhcp6_config c;
	struct dhcp6 *d;
	uint64_t now;
	struct dhcp6_reply r;
	uint8_t msg[1500];
	size_t len;
};

static void start(struct net *n)
{
	memcpy(n->c.mac, server_duid + 4, 6);
	if (!n->c.prefixlen) {
		n->c.prefixlen = 64;
		memcpy(&n->c.prefix, prefix, 16);
	}
	n->c.server = n->c.dns = n->c.prefix;
	n->c.server.s6_addr[15] |= 2;
	n->c.dns.s6_addr[15] |= 3;
	n->now = S(1000);
	n->d = dhcp6_new(&n->c);
}

static int setup(void **state)
{
	struct net *n = calloc(1, sizeof(*n));

	start(n);
	*state = n;
	return 0;
}

static int teardown(void **state)
{
	struct net *n = *state;

	dhcp6_free(n->d);
	free(n);
	return 0;
}

static void begin(struct net *n, uint8_t type)
{
	n->msg[0] = type;
	memcpy(n->msg + 1, "xid", 3);
	n->len = 4;
}

static uint8_t *put(struct net *n, uint16_t code, const void *data, size_t len)
{
	put_be16(n->msg + n->len, code);
	put_be16(n->msg + n->len + 2, (uint16_t)len);
	if (len)
		memcpy(n->msg + n->len + 4, data, len);
	n->len += 4 + len;
	return n->msg + n->len - len;
}

/* A message from client `who`, with the server's DUID if it is for us. */
static void from(struct net *n, uint8_t type, uint8_t who, bool to_us)
{
	uint8_t duid[10] = { 0, 3, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, who };

	begin(n, type);
	put(n, CLIENTID, duid, 10);
	if (to_us)
		put(n, SERVERID, server_duid, 10);
}

/* An association, with an address (its last byte) unless 0. */
static void put_ia(struct net *n, uint32_t iaid, const uint8_t *address)
{
	uint8_t v[12 + 28] = { 0 };

	put_be32(v, iaid);
	if (address) {
		put_be16(v + 12, IAADDR);
		put_be16(v + 14, 24);
		memcpy(v + 16, address, 16);
	}
	put(n, IA_NA, v, address ? sizeof(v) : 12);
}

/* In memory of just its size, so that ASan sees a read beyond it. */
static bool ask(struct net *n, bool unicast)
{
	uint8_t *copy = malloc(n->len ? n->len : 1);
	bool got;

	memcpy(copy, n->msg, n->len);
	memset(&n->r, 0, sizeof(n->r));
	got = dhcp6_input(n->d, n->now, copy, n->len, unicast, &n->r);
	free(copy);
	return got;
}

/* The first option of this code in a run of them. */
static const uint8_t *find(const uint8_t *p, size_t len, uint16_t code, uint16_t *n)
{
	struct cursor c = cursor_of(p, len);

	while (cursor_left(&c)) {
		uint16_t k = cursor_be16(&c), size = cursor_be16(&c);
		const uint8_t *v = cursor_take(&c, size);

		assert_non_null(v);
		if (k == code) {
			*n = size;
			return v;
		}
	}
	return NULL;
}

static const uint8_t *option(const struct net *n, uint16_t code, uint16_t *len)
{
	return find(n->r.data + 4, n->r.len - 4, code, len);
}

/* The status in an option's body, or at the top level (body NULL); 0xffff: none. */
static unsigned status(const struct net *n, const uint8_t *body, uint16_t len)
{
	uint16_t k;
	const uint8_t *v = body ? find(body, len, STATUS, &k) : option(n, STATUS, &k);

	return v ? be16(v) : 0xffff;
}

/* The address granted in the reply; NULL: none. */
static const uint8_t *granted(const struct net *n)
{
	uint16_t len, k;
	const uint8_t *ia = option(n, IA_NA, &len), *a;

	assert_non_null(ia);
	a = find(ia + 12, len - 12u, IAADDR, &k);
	return a && be32(a + 20) ? a : NULL;
}

static void obtain(struct net *n, uint8_t who, uint8_t address[16])
{
	from(n, SOLICIT, who, false);
	put_ia(n, 7, NULL);
	assert_true(ask(n, false));
	assert_int_equal(n->r.data[0], ADVERTISE);
	memcpy(address, granted(n), 16);
	from(n, REQUEST, who, true);
	put_ia(n, 7, address);
	assert_true(ask(n, false));
	assert_int_equal(n->r.data[0], REPLY);
	assert_memory_equal(granted(n), address, 16);
}

static void information_is_told_without_an_address(void **state)
{
	static const char *const search[] = { "a.example", "b.test", NULL };
	struct net *n = calloc(1, sizeof(*n));
	const uint8_t *v;
	uint16_t len;

	n->c.search = search;
	n->c.boot_url = "tftp://[fec0::2]/boot.efi";
	start(n);
	*state = n;
	begin(n, INFORMATION_REQUEST);                  /* a client may stay anonymous */
	put(n, ORO, "\0\x17\0\x18\0\x3b\0\x20", 8);
	assert_true(ask(n, false));
	assert_int_equal(n->r.data[0], REPLY);
	assert_memory_equal(n->r.data + 1, "xid", 3);
	assert_memory_equal(option(n, SERVERID, &len), server_duid, 10);
	assert_null(option(n, CLIENTID, &len));
	v = option(n, DNS_SERVERS, &len);
	assert_int_equal(len, 16);
	assert_memory_equal(v, n->c.dns.s6_addr, 16);
	v = option(n, DOMAIN_LIST, &len);
	assert_int_equal(len, 19);
	assert_memory_equal(v, "\1a\7example\0\1b\4test\0", 19);
	v = option(n, BOOTFILE_URL, &len);
	assert_int_equal(len, 25);
	assert_memory_equal(v, "tftp://[fec0::2]/boot.efi", 25);
	assert_int_equal(be32(option(n, REFRESH_TIME, &len)), 86400);
	/* only what is asked for */
	from(n, INFORMATION_REQUEST, 1, false);
	put(n, ORO, "\0\x17", 2);
	assert_true(ask(n, false));
	assert_memory_equal(option(n, CLIENTID, &len), n->msg + 8, 10);
	assert_non_null(option(n, DNS_SERVERS, &len));
	assert_null(option(n, DOMAIN_LIST, &len));
	assert_null(option(n, BOOTFILE_URL, &len));
	/* all of it to who does not say */
	from(n, INFORMATION_REQUEST, 1, true);
	assert_true(ask(n, false));
	assert_non_null(option(n, BOOTFILE_URL, &len));
}

static void an_isolated_guest_hears_of_no_dns_server(void **state)
{
	struct net *n = calloc(1, sizeof(*n));
	uint16_t len;

	n->c.isolated = true;
	start(n);
	*state = n;
	from(n, INFORMATION_REQUEST, 1, false);
	assert_true(ask(n, false));
	assert_null(option(n, DNS_SERVERS, &len));
}

static void http_boot_is_offered_to_who_speaks_it(void **state)
{
	struct net *n = calloc(1, sizeof(*n));
	const uint8_t *v;
	uint16_t len;

	n->c.boot_url = "http://boot.example/x.efi";
	start(n);
	*state = n;
	from(n, SOLICIT, 1, false);
	put_ia(n, 1, NULL);
	put(n, VENDOR_CLASS, "\0\0\1\x57\0\x1aHTTPClient:Arch:00016:UNDI", 32);
	assert_true(ask(n, false));
	v = option(n, VENDOR_CLASS, &len);
	assert_int_equal(len, 16);
	assert_memory_equal(v, "\0\0\1\x57\0\x0aHTTPClient", 16);
	from(n, SOLICIT, 1, false);
	put_ia(n, 1, NULL);
	assert_true(ask(n, false));
	assert_null(option(n, VENDOR_CLASS, &len));
}

static void an_address_is_offered_leased_renewed_and_given_back(void **state)
{
	struct net *n = *state;
	uint8_t a[16], b[16];
	const uint8_t *ia, *v;
	uint16_t len, k;

	obtain(n, 1, a);
	assert_memory_equal(a, "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\x15", 16);
	ia = option(n, IA_NA, &len);
	assert_int_equal(be32(ia), 7);
	assert_int_equal(be32(ia + 4), 21600);
	assert_int_equal(be32(ia + 8), 34560);
	v = find(ia + 12, len - 12u, IAADDR, &k);
	assert_int_equal(be32(v + 16), 43200);
	assert_int_equal(be32(v + 20), 86400);
	obtain(n, 2, b);
	assert_int_equal(b[15], 0x16);
	assert_int_equal(dhcp6_leases(n->d, n->now), 2);
	n->now += S(80000);
	from(n, RENEW, 1, true);
	put_ia(n, 7, a);
	assert_true(ask(n, false));
	assert_memory_equal(granted(n), a, 16);
	n->now += S(80000);                             /* the other's has run out */
	assert_int_equal(dhcp6_leases(n->d, n->now), 1);
	from(n, RELEASE, 1, true);
	put_ia(n, 7, a);
	assert_true(ask(n, false));
	assert_int_equal(status(n, NULL, 0), 0);
	assert_null(option(n, IA_NA, &len));
	assert_int_equal(dhcp6_leases(n->d, n->now), 0);
	obtain(n, 2, b);                                /* each gets its own again */
	assert_int_equal(b[15], 0x16);
	obtain(n, 1, a);
	assert_int_equal(a[15], 0x15);
}

static void rapid_commit_leases_at_once(void **state)
{
	struct net *n = *state;
	uint16_t len;

	from(n, SOLICIT, 1, false);
	put(n, RAPID_COMMIT, NULL, 0);
	put_ia(n, 1, NULL);
	assert_true(ask(n, false));
	assert_int_equal(n->r.data[0], REPLY);
	assert_non_null(option(n, RAPID_COMMIT, &len));
	assert_non_null(granted(n));
	n->now += S(3600);
	assert_int_equal(dhcp6_leases(n->d, n->now), 1);
}

static void a_wish_is_granted_if_it_is_free(void **state)
{
	struct net *n = *state;
	uint8_t wish[16] = { 0xfe, 0xc0, [15] = 0x40 }, elsewhere[16] = { 0x20, 1, [15] = 0x40 }, a[16];

	from(n, SOLICIT, 1, false);
	put_ia(n, 1, wish);
	assert_true(ask(n, false));
	assert_memory_equal(granted(n), wish, 16);
	from(n, REQUEST, 1, true);
	put_ia(n, 1, wish);
	assert_true(ask(n, false));
	from(n, SOLICIT, 2, false);
	put_ia(n, 1, wish);
	assert_true(ask(n, false));
	assert_int_equal(granted(n)[15], 0x15);
	from(n, SOLICIT, 3, false);
	put_ia(n, 1, elsewhere);
	assert_true(ask(n, false));
	assert_int_equal(granted(n)[15], 0x16);
	memcpy(a, wish, 16);
	a[15] = 2;                                      /* the gateway's own */
	from(n, SOLICIT, 4, false);
	put_ia(n, 1, a);
	assert_true(ask(n, false));
	assert_int_equal(granted(n)[15], 0x17);
}

static void a_stranger_has_nothing_to_renew(void **state)
{
	struct net *n = *state;
	uint8_t a[16] = { 0xfe, 0xc0, [15] = 0x20 }, old[16] = { 0x20, 1, [15] = 0x20 };
	const uint8_t *ia, *v;
	uint16_t len, k;

	from(n, RENEW, 1, true);
	put_ia(n, 7, a);
	assert_true(ask(n, false));
	assert_null(granted(n));
	ia = option(n, IA_NA, &len);
	assert_int_equal(status(n, ia + 12, len - 12u), 3);
	from(n, REBIND, 1, false);                      /* but after a restart of ours it keeps what it has */
	put_ia(n, 7, a);
	assert_true(ask(n, false));
	assert_memory_equal(granted(n), a, 16);
	from(n, REBIND, 2, false);                      /* unless that belongs elsewhere */
	put_ia(n, 7, old);
	assert_true(ask(n, false));
	assert_null(granted(n));
	ia = option(n, IA_NA, &len);
	v = find(ia + 12, len - 12u, IAADDR, &k);
	assert_memory_equal(v, old, 16);
	assert_int_equal(be32(v + 20), 0);
	from(n, RELEASE, 3, true);
	put_ia(n, 7, a);                                /* another's */
	assert_true(ask(n, false));
	ia = option(n, IA_NA, &len);
	assert_int_equal(status(n, ia + 12, len - 12u), 3);
	assert_int_equal(dhcp6_leases(n->d, n->now), 1);
}

static void a_declined_address_rests(void **state)
{
	struct net *n = *state;
	uint8_t a[16], b[16];

	obtain(n, 1, a);
	from(n, DECLINE, 1, true);
	put_ia(n, 7, a);
	assert_true(ask(n, false));
	assert_int_equal(status(n, NULL, 0), 0);
	obtain(n, 1, b);
	assert_int_equal(b[15], 0x16);
	obtain(n, 2, b);
	assert_int_equal(b[15], 0x17);
	n->now += S(601);
	obtain(n, 3, b);
	assert_int_equal(b[15], 0x15);
}

static void addresses_are_confirmed_by_their_prefix(void **state)
{
	struct net *n = *state;
	uint8_t good[16] = { 0xfe, 0xc0, [8] = 9, [15] = 0x20 }, bad[16] = { 0x20, 1, [15] = 0x20 };

	from(n, CONFIRM, 1, false);
	put_ia(n, 7, good);
	assert_true(ask(n, false));
	assert_int_equal(status(n, NULL, 0), 0);
	put_ia(n, 8, bad);
	assert_true(ask(n, false));
	assert_int_equal(status(n, NULL, 0), 4);
	from(n, CONFIRM, 1, false);
	put_ia(n, 7, NULL);
	assert_false(ask(n, false));                    /* nothing to say about nothing */
}

static void prefixes_and_temporary_addresses_are_not_to_be_had(void **state)
{
	struct net *n = *state;
	const uint8_t *v;
	uint16_t len;

	from(n, SOLICIT, 1, false);
	put(n, IA_TA, "\0\0\0\5", 4);
	put(n, IA_PD, "\0\0\0\6\0\0\0\0\0\0\0\0", 12);
	assert_true(ask(n, false));
	v = option(n, IA_TA, &len);
	assert_int_equal(be32(v), 5);
	assert_int_equal(status(n, v + 4, len - 4u), 2);
	v = option(n, IA_PD, &len);
	assert_int_equal(be32(v), 6);
	assert_int_equal(status(n, v + 12, len - 12u), 6);
}

static void a_full_pool_takes_from_who_was_silent_longest(void **state)
{
	struct net *n = *state;
	uint8_t a[16];

	for (unsigned i = 0; i < 128; i++) {
		obtain(n, (uint8_t)i, a);
		n->now += S(1);
	}
	assert_int_equal(dhcp6_leases(n->d, n->now), 128);
	obtain(n, 200, a);
	assert_int_equal(a[15], 0x15);
	assert_int_equal(dhcp6_leases(n->d, n->now), 128);
}

static void a_pool_without_addresses_says_so(void **state)
{
	struct net *n = calloc(1, sizeof(*n));
	struct in6_addr a = { .s6_addr = { 0xfe, 0xc0, [15] = 1 } };
	const uint8_t *ia;
	uint16_t len;

	memcpy(&n->c.prefix, prefix, 16);
	n->c.prefixlen = 126;
	start(n);
	*state = n;
	dhcp6_reserve(n->d, &a);
	from(n, SOLICIT, 200, false);
	put_ia(n, 1, NULL);
	assert_true(ask(n, false));
	assert_null(granted(n));
	ia = option(n, IA_NA, &len);
	assert_int_equal(status(n, ia + 12, len - 12u), 2);
}

static void small_prefixes_give_what_they_have(void **state)
{
	static const struct { uint8_t len, first; unsigned count; } cases[] = {
		{ 126, 1, 1 }, { 125, 5, 3 }, { 124, 5, 11 }, { 123, 0x15, 11 }, { 96, 0x15, 128 }, { 0, 0x15, 128 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct net *n = calloc(1, sizeof(*n));
		bool seen[256] = { false };
		unsigned got = 0;

		n->c.prefixlen = cases[i].len;
		if (cases[i].len)
			memcpy(&n->c.prefix, prefix, 16);
		start(n);
		for (unsigned who = 0; who < 200; who++) {
			const uint8_t *a;

			from(n, SOLICIT, (uint8_t)who, false);
			put_ia(n, 1, NULL);
			assert_true(ask(n, false));
			a = granted(n);
			assert_non_null(a);
			if (who == 0)
				assert_int_equal(a[15], cases[i].first);
			assert_true(a[15] != 2 && a[15] != 3 && a[15] != 0);
			got += !seen[a[15]];
			seen[a[15]] = true;
		}
		assert_int_equal(got, cases[i].count);
		dhcp6_free(n->d);
		free(n);
	}
	*state = NULL;
}

static void a_reserved_address_is_kept_back(void **state)
{
	struct net *n = *state;
	struct in6_addr a = { .s6_addr = { 0xfe, 0xc0, [15] = 0x15 } };
	uint8_t got[16];

	dhcp6_reserve(n->d, &a);
	obtain(n, 1, got);
	assert_int_equal(got[15], 0x16);
}

static void messages_that_are_not_as_they_must_be_are_dropped(void **state)
{
	static const uint8_t needs_server[] = { REQUEST, RENEW, RELEASE, DECLINE }, no_server[] = { SOLICIT, CONFIRM, REBIND };
	struct net *n = *state;
	uint8_t a[16] = { 0xfe, 0xc0, [15] = 0x20 }, other[10] = { 0, 3, 0, 1, 1, 2, 3, 4, 5, 6 };

	for (unsigned i = 0; i < ARRAY_SIZE(needs_server); i++) {
		from(n, needs_server[i], 1, false);
		put_ia(n, 7, a);
		assert_false(ask(n, false));
		from(n, needs_server[i], 1, false);
		put(n, SERVERID, other, 10);
		put_ia(n, 7, a);
		assert_false(ask(n, false));
		begin(n, needs_server[i]);
		put(n, SERVERID, server_duid, 10);
		put_ia(n, 7, a);
		assert_false(ask(n, false));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(no_server); i++) {
		from(n, no_server[i], 1, true);
		put_ia(n, 7, a);
		assert_false(ask(n, false));
		begin(n, no_server[i]);
		put_ia(n, 7, a);
		assert_false(ask(n, false));
	}
	from(n, INFORMATION_REQUEST, 1, false);
	put_ia(n, 7, NULL);
	assert_false(ask(n, false));
	from(n, INFORMATION_REQUEST, 1, false);
	put(n, SERVERID, other, 10);
	assert_false(ask(n, false));
	for (unsigned type = 0; type < 256; type++) {   /* replies, relays' and what nobody knows */
		if ((type >= 1 && type <= 11 && type != ADVERTISE && type != REPLY && type != 10))
			continue;
		from(n, (uint8_t)type, 1, true);
		assert_false(ask(n, false));
	}
	assert_int_equal(dhcp6_leases(n->d, n->now), 0);
}

static void what_was_not_sent_to_the_group_is_told_to_be(void **state)
{
	struct net *n = *state;
	uint8_t a[16];
	uint16_t len;

	obtain(n, 1, a);
	from(n, RENEW, 1, true);
	put_ia(n, 7, a);
	assert_true(ask(n, true));
	assert_int_equal(status(n, NULL, 0), 5);
	assert_null(option(n, IA_NA, &len));
	from(n, SOLICIT, 1, false);
	assert_false(ask(n, true));
	from(n, INFORMATION_REQUEST, 1, true);
	assert_false(ask(n, true));
}

static void messages_cut_at_every_length_are_survived(void **state)
{
	struct net *n = *state;
	uint8_t a[16] = { 0xfe, 0xc0, [15] = 0x20 };
	size_t whole;

	from(n, SOLICIT, 1, false);
	put(n, ORO, "\0\x17\0\x18\0", 5);               /* and half an option code */
	put_ia(n, 7, a);
	whole = n->len;
	for (n->len = 0; n->len < whole; n->len++)
		ask(n, false);
	assert_true(ask(n, false));
	for (unsigned at = 4; at < whole; at++) {
		uint8_t keep = n->msg[at];

		n->msg[at] = 0xff;
		ask(n, false);
		n->msg[at] = keep;
	}
	assert_true(ask(n, false));
}

static void a_crowded_message_gets_what_fits(void **state)
{
	struct net *n = *state;
	uint8_t duid[131];
	uint16_t len;

	memset(duid, 'd', sizeof(duid));
	begin(n, SOLICIT);
	put(n, CLIENTID, duid, 130);
	for (uint32_t i = 0; i < 40; i++)
		put_ia(n, i, NULL);
	assert_true(ask(n, false));
	assert_true(n->r.len <= sizeof(n->r.data));
	assert_int_equal(dhcp6_leases(n->d, n->now), 8);        /* each association has its own */
	assert_non_null(option(n, DNS_SERVERS, &len));
	begin(n, SOLICIT);
	put(n, CLIENTID, duid, 131);
	assert_false(ask(n, false));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define OWN(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OWN(information_is_told_without_an_address),
		OWN(an_isolated_guest_hears_of_no_dns_server),
		OWN(http_boot_is_offered_to_who_speaks_it),
		TEST(an_address_is_offered_leased_renewed_and_given_back),
		TEST(rapid_commit_leases_at_once),
		TEST(a_wish_is_granted_if_it_is_free),
		TEST(a_stranger_has_nothing_to_renew),
		TEST(a_declined_address_rests),
		TEST(addresses_are_confirmed_by_their_prefix),
		TEST(prefixes_and_temporary_addresses_are_not_to_be_had),
		TEST(a_full_pool_takes_from_who_was_silent_longest),
		OWN(a_pool_without_addresses_says_so),
		cmocka_unit_test(small_prefixes_give_what_they_have),
		TEST(a_reserved_address_is_kept_back),
		TEST(messages_that_are_not_as_they_must_be_are_dropped),
		TEST(what_was_not_sent_to_the_group_is_told_to_be),
		TEST(messages_cut_at_every_length_are_survived),
		TEST(a_crowded_message_gets_what_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
