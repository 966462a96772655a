/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "dhcp/dhcp.h"

enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };

struct bench {
	struct dhcp *d;
	uint64_t now;
	uint8_t msg[1500];
	size_t len;
	struct dhcp_reply r;
};

static struct in_addr ip(const char *text)
{
	struct in_addr a;

	inet_aton(text, &a);
	return a;
}

static struct dhcp_config config(void)
{
	return (struct dhcp_config){ .server = ip("10.0.2.2"), .net = ip("10.0.2.0"), .mask = ip("255.255.255.0"),
				     .first = ip("10.0.2.15"), .dns = ip("10.0.2.3"), .mtu = 1500 };
}

static struct bench *start(const struct dhcp_config *c)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->d = dhcp_new(c);
	b->now = S(1);
	return b;
}

static void finish(struct bench *b)
{
	dhcp_free(b->d);
	free(b);
}

/* A message of a client with this last byte in its MAC; type 0: BOOTP. */
static void begin(struct bench *b, uint8_t type, uint8_t client)
{
	memset(b->msg, 0, sizeof(b->msg));
	memcpy(b->msg, "\1\1\6\0\xde\xad\xbe\xef", 8);
	memcpy(b->msg + 28, "\x52\x54\0\x12\x34", 5);
	b->msg[33] = client;
	put_be32(b->msg + 236, 0x63825363);
	b->len = 240;
	if (type) {
		memcpy(b->msg + 240, "\x35\1", 2);
		b->msg[242] = type;
		b->len = 243;
	}
}

static void add(struct bench *b, uint8_t code, const void *data, size_t len)
{
	b->msg[b->len] = code;
	b->msg[b->len + 1] = (uint8_t)len;
	memcpy(b->msg + b->len + 2, data, len);
	b->len += len + 2;
}

static void add_ip(struct bench *b, uint8_t code, const char *a)
{
	struct in_addr in = ip(a);

	add(b, code, &in, 4);
}

/* Sends it, in memory of just its size. */
static bool ask(struct bench *b)
{
	uint8_t *copy;
	bool any;

	b->msg[b->len++] = 255;
	copy = malloc(b->len);
	memcpy(copy, b->msg, b->len);
	any = dhcp_input(b->d, b->now, copy, b->len, &b->r);
	free(copy);
	return any;
}

static const uint8_t *option(const struct bench *b, uint8_t code, uint8_t *len)
{
	const uint8_t *p = b->r.data + 240, *end = b->r.data + b->r.len;

	while (p < end && *p != 255) {
		if (*p == 0) {
			p++;
			continue;
		}
		assert_true(p + 2 + p[1] <= end);
		if (*p == code) {
			if (len)
				*len = p[1];
			return p + 2;
		}
		p += 2 + p[1];
	}
	return NULL;
}

static int type(const struct bench *b)
{
	const uint8_t *p = option(b, 53, NULL);

	return p ? *p : 0;
}

static const char *yiaddr(const struct bench *b)
{
	struct in_addr a;

	memcpy(&a, b->r.data + 16, 4);
	return inet_ntoa(a);
}

static const char *to(const struct bench *b)
{
	return inet_ntoa(b->r.to);
}

/* DISCOVER, REQUEST: the address. */
static const char *lease(struct bench *b, uint8_t client)
{
	begin(b, DISCOVER, client);
	if (!ask(b))
		return "none";
	begin(b, REQUEST, client);
	add_ip(b, 54, "10.0.2.2");
	add(b, 50, b->r.data + 16, 4);
	assert_true(ask(b));
	assert_int_equal(type(b), ACK);
	return yiaddr(b);
}

static void assert_option(struct bench *b, uint8_t code, const void *data, size_t len)
{
	uint8_t n;
	const uint8_t *p = option(b, code, &n);

	assert_non_null(p);
	assert_int_equal(n, len);
	assert_memory_equal(p, data, len);
}

static void discover_is_offered_the_first_address_with_all_options(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);

	(void)state;
	begin(b, DISCOVER, 1);
	assert_true(ask(b));
	assert_int_equal(b->r.data[0], 2);
	assert_memory_equal(b->r.data + 4, "\xde\xad\xbe\xef", 4);
	assert_string_equal(yiaddr(b), "10.0.2.15");
	assert_memory_equal(b->r.data + 20, "\x0a\0\2\2", 4);           /* siaddr */
	assert_memory_equal(b->r.data + 240, "\x35\1\2\x36\4\x0a\0\2\2", 9);    /* 53, then 54 */
	assert_option(b, 1, "\xff\xff\xff\0", 4);
	assert_option(b, 3, "\x0a\0\2\2", 4);
	assert_option(b, 6, "\x0a\0\2\3", 4);
	assert_option(b, 28, "\x0a\0\2\xff", 4);
	assert_option(b, 51, "\0\1\x51\x80", 4);
	assert_option(b, 58, "\0\0\xa8\xc0", 4);
	assert_option(b, 59, "\0\1\x27\x50", 4);
	assert_null(option(b, 26, NULL));
	assert_null(option(b, 12, NULL));
	assert_null(option(b, 66, NULL));
	assert_true(b->r.len >= 300 && b->r.len <= 548);
	assert_string_equal(to(b), "10.0.2.15");
	assert_int_equal(b->r.mac[5], 1);
	assert_int_equal(b->r.leased.s_addr, 0);
	finish(b);
}

static void configured_texts_become_options(void **state)
{
	struct dhcp_config c = config();
	struct bench *b;
	const char *search[] = { "a.example", "b.a.example", NULL };

	(void)state;
	c.hostname = "guest";
	c.domainname = "lan.example";
	c.tftp_server_name = "boot";
	c.bootfile = "http://x/y.efi";
	c.dnssearch = search;
	c.mtu = 9000;
	b = start(&c);
	begin(b, DISCOVER, 1);
	assert_true(ask(b));
	assert_option(b, 12, "guest", 5);
	assert_option(b, 15, "lan.example", 11);
	assert_option(b, 66, "boot", 4);
	assert_option(b, 67, "http://x/y.efi", 14);
	assert_option(b, 60, "HTTPClient", 10);
	assert_option(b, 26, "\x23\x28", 2);
	assert_option(b, 119, "\1a\7example\0\1b\xc0\0", 15);
	assert_string_equal((char *)b->r.data + 108, "http://x/y.efi");
	finish(b);
	c.bootfile = "https://x/y.efi";
	b = start(&c);
	begin(b, DISCOVER, 1);
	assert_true(ask(b));
	assert_option(b, 60, "HTTPClient", 10);
	finish(b);
}

static void a_search_list_is_compressed_and_split(void **state)
{
	struct dhcp_config c = config();
	struct bench *b;
	char names[30][48];
	const char *search[31] = { NULL };
	size_t total = 0;
	const uint8_t *p, *end;

	(void)state;
	for (int i = 0; i < 30; i++) {
		snprintf(names[i], sizeof(names[i]), "part%02d.of%02d.example", i, i);
		search[i] = names[i];
	}
	c.dnssearch = search;
	b = start(&c);
	begin(b, DISCOVER, 1);
	add(b, 57, "\x05\xdc", 2);
	assert_true(ask(b));
	end = b->r.data + b->r.len;
	for (p = b->r.data + 240; p < end && *p != 255; p += 2 + p[1])
		if (*p == 119) {
			assert_true(total % 255 == 0);
			total += p[1];
		}
	assert_int_equal(total, 7 + 5 + 9 + 29 * (7 + 5 + 2));
	finish(b);
	assert_string_equal(dhcp_bad_search((const char *[]){ "ok", "a..b", NULL }), "a..b");
	assert_non_null(dhcp_bad_search((const char *[]){ "", NULL }));
	assert_null(dhcp_bad_search((const char *[]){ "a.b.", NULL }));
}

static void isolated_guests_get_no_router_and_no_dns(void **state)
{
	struct dhcp_config c = config();
	struct bench *b;

	(void)state;
	c.isolated = true;
	b = start(&c);
	begin(b, DISCOVER, 1);
	assert_true(ask(b));
	assert_null(option(b, 3, NULL));
	assert_null(option(b, 6, NULL));
	assert_non_null(option(b, 1, NULL));
	finish(b);
}

static void request_of_the_offer_is_acknowledged_and_leased(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);

	(void)state;
	assert_string_equal(lease(b, 1), "10.0.2.15");
	assert_string_equal(inet_ntoa(b->r.leased), "10.0.2.15");
	assert_string_equal(lease(b, 2), "10.0.2.16");
	assert_string_equal(lease(b, 1), "10.0.2.15");  /* the same again */
	assert_int_equal(dhcp_leases(b->d, b->now), 2);
	finish(b);
}

static void request_to_another_server_frees_the_offer(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);

	(void)state;
	begin(b, DISCOVER, 1);
	assert_true(ask(b));
	assert_int_equal(dhcp_leases(b->d, b->now), 1);
	begin(b, REQUEST, 1);
	add_ip(b, 54, "10.0.2.99");
	add_ip(b, 50, "10.0.2.15");
	assert_false(ask(b));
	assert_int_equal(dhcp_leases(b->d, b->now), 0);
	finish(b);
}

static void init_reboot_is_honoured_in_the_pool_and_refused_elsewhere(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);

	(void)state;
	begin(b, REQUEST, 1);
	add_ip(b, 50, "10.0.2.20");
	assert_true(ask(b));
	assert_int_equal(type(b), ACK);
	assert_string_equal(yiaddr(b), "10.0.2.20");
	begin(b, REQUEST, 2);
	add_ip(b, 50, "192.168.1.5");
	assert_true(ask(b));
	assert_int_equal(type(b), NAK);
	assert_string_equal(to(b), "255.255.255.255");
	assert_string_equal(yiaddr(b), "0.0.0.0");
	assert_non_null(option(b, 56, NULL));
	assert_null(option(b, 51, NULL));
	begin(b, REQUEST, 2);           /* someone else's */
	add_ip(b, 50, "10.0.2.20");
	assert_true(ask(b));
	assert_int_equal(type(b), NAK);
	begin(b, REQUEST, 2);           /* the gateway's */
	add_ip(b, 50, "10.0.2.2");
	assert_true(ask(b));
	assert_int_equal(type(b), NAK);
	finish(b);
}

static void renewal_goes_to_the_clients_address(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);

	(void)state;
	lease(b, 1);
	b->now += S(43200);
	begin(b, REQUEST, 1);
	memcpy(b->msg + 12, "\x0a\0\2\x0f", 4);
	assert_true(ask(b));
	assert_int_equal(type(b), ACK);
	assert_string_equal(to(b), "10.0.2.15");
	assert_memory_equal(b->r.data + 12, "\x0a\0\2\x0f", 4);
	b->now += S(86399);
	assert_int_equal(dhcp_leases(b->d, b->now), 1);
	b->now += S(1);
	assert_int_equal(dhcp_leases(b->d, b->now), 0);
	finish(b);
}

static void broadcast_flag_makes_the_reply_a_broadcast(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);

	(void)state;
	begin(b, DISCOVER, 1);
	b->msg[10] = 0x80;
	assert_true(ask(b));
	assert_string_equal(to(b), "255.255.255.255");
	assert_int_equal(b->r.data[10], 0x80);
	finish(b);
}

static void requested_address_is_offered_if_free(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);

	(void)state;
	begin(b, DISCOVER, 1);
	add_ip(b, 50, "10.0.2.77");
	assert_true(ask(b));
	assert_string_equal(yiaddr(b), "10.0.2.77");
	begin(b, DISCOVER, 2);
	add_ip(b, 50, "10.0.2.77");
	assert_true(ask(b));
	assert_string_equal(yiaddr(b), "10.0.2.15");
	finish(b);
}

static void release_frees_and_decline_bars_an_address(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);

	(void)state;
	lease(b, 1);
	begin(b, RELEASE, 1);
	memcpy(b->msg + 12, "\x0a\0\2\x0f", 4);
	assert_false(ask(b));
	assert_int_equal(dhcp_leases(b->d, b->now), 0);
	assert_string_equal(lease(b, 1), "10.0.2.15");
	begin(b, DECLINE, 2);           /* not its own */
	add_ip(b, 50, "10.0.2.15");
	assert_false(ask(b));
	assert_string_equal(lease(b, 1), "10.0.2.15");
	begin(b, DECLINE, 1);
	add_ip(b, 50, "10.0.2.15");
	assert_false(ask(b));
	assert_string_equal(lease(b, 1), "10.0.2.16");
	finish(b);
}

static void inform_gets_options_but_no_lease(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);

	(void)state;
	begin(b, INFORM, 1);
	memcpy(b->msg + 12, "\x0a\0\2\x63", 4);
	assert_true(ask(b));
	assert_int_equal(type(b), ACK);
	assert_string_equal(yiaddr(b), "0.0.0.0");
	assert_string_equal(to(b), "10.0.2.99");
	assert_null(option(b, 51, NULL));
	assert_null(option(b, 58, NULL));
	assert_non_null(option(b, 6, NULL));
	assert_int_equal(dhcp_leases(b->d, b->now), 0);
	finish(b);
}

static void bootp_client_gets_an_address_for_good_and_300_bytes(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);

	(void)state;
	begin(b, 0, 1);
	assert_true(ask(b));
	assert_int_equal(type(b), 0);
	assert_string_equal(yiaddr(b), "10.0.2.15");
	assert_null(option(b, 51, NULL));
	assert_true(b->r.len >= 300);
	b->now += S(1000000);
	assert_int_equal(dhcp_leases(b->d, b->now), 1);
	finish(b);
}

static void client_identifier_is_the_key_and_is_echoed(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);
	uint8_t id[200];

	(void)state;
	memset(id, 7, sizeof(id));
	for (int i = 0; i < 3; i++) {   /* three machines of one MAC, told apart by byte 0, or a late one */
		id[0] = i == 1;
		id[150] = i == 2;
		begin(b, DISCOVER, 1);
		add(b, 61, id, sizeof(id));
		assert_true(ask(b));
		assert_int_equal(b->r.data[19], 15 + i);
		assert_option(b, 61, id, sizeof(id));
	}
	finish(b);
}

static void parameter_list_orders_the_options(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);

	(void)state;
	begin(b, DISCOVER, 1);
	add(b, 55, "\x06\xff\x06\x03\x00\x99", 6);
	assert_true(ask(b));
	assert_memory_equal(b->r.data + 249, "\x33\4", 2);              /* the lease time stays in front */
	assert_memory_equal(b->r.data + 255, "\6\4\x0a\0\2\3\3\4\x0a\0\2\2", 12);
	finish(b);
}

static void what_does_not_fit_is_left_out_whole(void **state)
{
	struct dhcp_config c = config();
	struct bench *b;
	char a[256], d[256];

	(void)state;
	memset(a, 'a', 255);
	memset(d, 'd', 255);
	a[255] = d[255] = 0;
	c.hostname = a;
	c.domainname = d;
	b = start(&c);
	begin(b, DISCOVER, 1);
	add(b, 57, "\x02\x40", 2);      /* 576 */
	assert_true(ask(b));
	assert_true(b->r.len <= 548);
	assert_null(option(b, 12, NULL));
	begin(b, DISCOVER, 1);
	add(b, 57, "\x05\xdc", 2);      /* 1500 */
	assert_true(ask(b));
	assert_true(b->r.len <= 1472);
	assert_option(b, 12, a, 255);
	assert_option(b, 15, d, 255);
	begin(b, DISCOVER, 1);
	add(b, 57, "\0\1", 2);          /* nonsense */
	assert_true(ask(b));
	assert_true(b->r.len >= 300);
	finish(b);
}

static void overloaded_fields_are_read(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);

	(void)state;
	begin(b, REQUEST, 1);
	add(b, 52, "\3", 1);
	memcpy(b->msg + 44, "\x32\4\x0a\0\2\x30\xff", 7);       /* sname: option 50 */
	memcpy(b->msg + 108, "\x36\4\x0a\0\2\2\xff", 7);        /* file: option 54 */
	assert_true(ask(b));
	assert_int_equal(type(b), ACK);
	assert_string_equal(yiaddr(b), "10.0.2.48");
	finish(b);
}

static void a_full_pool_takes_back_what_expired_longest_ago(void **state)
{
	struct dhcp_config c = config();
	struct bench *b;

	(void)state;
	c.mask = ip("255.255.255.240");
	c.first = ip("10.0.2.4");
	b = start(&c);
	for (int i = 0; i < 11; i++) {
		b->now += S(1);
		assert_int_equal(ntohl(inet_addr(lease(b, (uint8_t)i))) & 255, 4 + i);
	}
	b->now += S(86400 - 8);         /* the first few have expired */
	assert_string_equal(lease(b, 100), "10.0.2.4");
	finish(b);
}

static void a_flood_of_clients_does_not_keep_the_next_one_out(void **state)
{
	struct dhcp_config c = config();
	struct bench *b;

	(void)state;
	b = start(&c);
	/* one that keeps its lease up while thousands come by */
	assert_string_equal(lease(b, 0), "10.0.2.15");
	for (unsigned i = 0; i < 5000; i++) {
		b->now += MS(1);
		begin(b, i & 1 ? DISCOVER : 0, 0);
		put_be32(b->msg + 30, i + 1);
		assert_true(ask(b));
		if (i % 64 == 0)
			assert_string_equal(lease(b, 0), "10.0.2.15");
		assert_true(dhcp_leases(b->d, b->now) <= DHCP_LEASES_MAX);
	}
	assert_string_not_equal(lease(b, 1), "none");
	/* what was only offered goes first */
	b->now += S(3600);
	for (unsigned i = 0; i < 200; i++) {
		begin(b, DISCOVER, 0);
		put_be32(b->msg + 30, 100000 + i);
		assert_true(ask(b));
	}
	assert_string_equal(lease(b, 0), "10.0.2.15");
	finish(b);
}

static void reserved_addresses_are_not_given_out(void **state)
{
	const struct in_addr reserved[] = { ip("10.0.2.16"), ip("10.0.2.15"), ip("10.0.2.1"), ip("192.0.2.1") };
	struct dhcp_config c = config();
	struct bench *b;

	(void)state;
	c.reserved = reserved;
	c.reserved_count = ARRAY_SIZE(reserved);
	b = start(&c);
	assert_string_equal(lease(b, 1), "10.0.2.17");
	begin(b, REQUEST, 2);
	add_ip(b, 50, "10.0.2.16");
	assert_true(ask(b));
	assert_option(b, 53, "\6", 1);
	finish(b);
}

static void foreign_and_broken_messages_are_ignored(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);
	static const struct { int at; uint8_t value; } breaks[] = { { 0, 2 }, { 0, 0 }, { 1, 6 }, { 2, 16 }, { 2, 0 },
								    { 236, 0 }, { 239, 0 }, { 28, 1 }, { 24, 10 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(breaks); i++) {
		begin(b, DISCOVER, 1);
		b->msg[breaks[i].at] = breaks[i].value;
		assert_false(ask(b));
	}
	for (int t = 9; t < 256; t++) {
		begin(b, (uint8_t)t, 1);
		assert_false(ask(b));
	}
	assert_int_equal(dhcp_leases(b->d, b->now), 0);
	finish(b);
}

static void every_length_and_every_option_length_is_survived(void **state)
{
	struct dhcp_config c = config();
	struct bench *b = start(&c);
	static const uint8_t codes[] = { 0, 50, 51, 52, 53, 54, 55, 57, 61, 119, 254 };

	(void)state;
	begin(b, DISCOVER, 1);
	add(b, 55, "\1\3\6", 3);
	add(b, 61, "\1\2\3\4\5\6\7", 7);
	for (size_t n = 0; n <= b->len; n++) {
		uint8_t *copy = malloc(n ? n : 1);

		memcpy(copy, b->msg, n);
		dhcp_input(b->d, b->now, copy, n, &b->r);
		free(copy);
	}
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		for (int len = 0; len < 256; len++) {
			for (int have = 0; have < 3; have++) {
				size_t n = 243 + 2 + (size_t)(have == 0 ? 0 : have == 1 ? len / 2 : len);
				uint8_t *copy = calloc(1, n);

				begin(b, DISCOVER, 1);
				memcpy(copy, b->msg, 243);
				copy[243] = codes[i];
				copy[244] = (uint8_t)len;
				dhcp_input(b->d, b->now, copy, n, &b->r);
				free(copy);
			}
		}
	}
	assert_true(dhcp_leases(b->d, b->now) <= 128);
	finish(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(discover_is_offered_the_first_address_with_all_options),
		cmocka_unit_test(configured_texts_become_options),
		cmocka_unit_test(a_search_list_is_compressed_and_split),
		cmocka_unit_test(isolated_guests_get_no_router_and_no_dns),
		cmocka_unit_test(request_of_the_offer_is_acknowledged_and_leased),
		cmocka_unit_test(request_to_another_server_frees_the_offer),
		cmocka_unit_test(init_reboot_is_honoured_in_the_pool_and_refused_elsewhere),
		cmocka_unit_test(renewal_goes_to_the_clients_address),
		cmocka_unit_test(broadcast_flag_makes_the_reply_a_broadcast),
		cmocka_unit_test(requested_address_is_offered_if_free),
		cmocka_unit_test(release_frees_and_decline_bars_an_address),
		cmocka_unit_test(inform_gets_options_but_no_lease),
		cmocka_unit_test(bootp_client_gets_an_address_for_good_and_300_bytes),
		cmocka_unit_test(client_identifier_is_the_key_and_is_echoed),
		cmocka_unit_test(parameter_list_orders_the_options),
		cmocka_unit_test(what_does_not_fit_is_left_out_whole),
		cmocka_unit_test(overloaded_fields_are_read),
		cmocka_unit_test(a_full_pool_takes_back_what_expired_longest_ago),
		cmocka_unit_test(a_flood_of_clients_does_not_keep_the_next_one_out),
		cmocka_unit_test(reserved_addresses_are_not_given_out),
		cmocka_unit_test(foreign_and_broken_messages_are_ignored),
		cmocka_unit_test(every_length_and_every_option_length_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
