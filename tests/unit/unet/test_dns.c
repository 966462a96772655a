/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/fake_net.h"

/* A query for "a.example", type A, with an identifier to be filled in. */
static const uint8_t question[] = { 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1 };

static int setup(void **state)
{
	struct fake_net *n;

	if (fake_net_setup(state) < 0)
		return -1;
	n = *state;
	fake_sockets_resolv(&n->sockets, "# hosts\nnameserver 192.0.2.1\nsearch x\nnameserver\t192.0.2.2 \n  nameserver ::1\n");
	return 0;
}

static void ask(struct fake_net *n, uint16_t port, uint16_t id)
{
	uint8_t buf[200], q[sizeof(question)];

	memcpy(q, question, sizeof(q));
	put_be16(q, id);
	guest_send(&n->guest, buf, guest_udp(&n->guest, buf, NET_DNS, port, 53, q, sizeof(q)));
}

/* What the resolver behind fd was asked, with its own identifier in *id. */
static const uint8_t *asked(struct fake_net *n, int fd, uint16_t *id)
{
	const struct fake_datagram *d = fake_last_sent(&n->sockets, fd);

	assert_non_null(d);
	assert_int_equal(d->len, sizeof(question));
	assert_memory_equal(d->data + 2, question + 2, sizeof(question) - 2);
	*id = be16(d->data);
	return d->data;
}

static void answer(struct fake_net *n, int fd, uint16_t id, uint8_t rcode, const char *from)
{
	uint8_t m[sizeof(question) + 4];

	memcpy(m, question, sizeof(question));
	memcpy(m + sizeof(question), "data", 4);
	put_be16(m, id);
	m[2] = 0x81;
	m[3] = 0x80 | rcode;
	fake_peer_datagram(&n->sockets, fd, from, 53, m, sizeof(m));
	fake_net_run(n, 0);
}

static bool guest_hears(struct fake_net *n, uint16_t port, uint16_t id, uint8_t rcode, size_t len)
{
	struct guest_packet p;

	if (!guest_packet(&n->guest, &p))
		return false;
	assert_int_equal(p.src, NET_DNS);
	assert_int_equal(p.sport, 53);
	assert_int_equal(p.dport, port);
	assert_int_equal(be16(p.data), id);
	assert_int_equal(p.data[2] & 0x80, 0x80);
	assert_int_equal(p.data[3] & 15, rcode);
	assert_int_equal(p.data_len, len);
	return true;
}

static void query_goes_out_with_an_identifier_of_our_own_and_comes_back_with_the_guests(void **state)
{
	struct fake_net *n = *state;
	uint16_t id;
	int fd;

	ask(n, 5000, 0x1234);
	fd = fake_find(&n->sockets, "192.0.2.1:53");
	assert_true(fd >= 0);
	asked(n, fd, &id);
	assert_int_not_equal(id, 0x1234);
	answer(n, fd, id, 0, "192.0.2.1");
	assert_true(guest_hears(n, 5000, 0x1234, 0, sizeof(question) + 4));
	assert_int_equal(n->sockets.open_count, 0);
}

static void identifiers_do_not_repeat_themselves(void **state)
{
	struct fake_net *n = *state;
	uint16_t ids[50], id;

	for (int i = 0; i < 50; i++) {
		ask(n, (uint16_t)(5000 + i), 7);
		asked(n, n->sockets.last_open, &id);
		for (int k = 0; k < i; k++)
			assert_int_not_equal(ids[k], id);
		ids[i] = id;
	}
}

static void silence_moves_on_to_the_next_resolver(void **state)
{
	struct fake_net *n = *state;
	uint16_t id;
	int fd;

	ask(n, 5000, 1);
	fake_net_run(n, MS(2100));
	assert_int_equal(fake_find(&n->sockets, "192.0.2.1:53"), -1);
	fd = fake_find(&n->sockets, "192.0.2.2:53");
	assert_true(fd >= 0);
	asked(n, fd, &id);
	answer(n, fd, id, 0, "192.0.2.2");
	assert_true(guest_hears(n, 5000, 1, 0, sizeof(question) + 4));
	ask(n, 5001, 2);                /* the one that answered is asked first from now on */
	assert_true(fake_find(&n->sockets, "192.0.2.2:53") >= 0);
}

static void servfail_and_unreachable_resolvers_are_passed_over_at_once(void **state)
{
	struct fake_net *n = *state;
	uint16_t id;
	int fd;

	ask(n, 5000, 1);
	fd = fake_find(&n->sockets, "192.0.2.1:53");
	asked(n, fd, &id);
	answer(n, fd, id, 2, "192.0.2.1");
	fd = fake_find(&n->sockets, "192.0.2.2:53");
	assert_true(fd >= 0);
	n->sockets.s[fd].pending_error = ECONNREFUSED;
	fake_net_run(n, 0);
	fd = fake_find(&n->sockets, "[::1]:53");
	assert_true(fd >= 0);
	asked(n, fd, &id);
	answer(n, fd, id, 3, "127.0.0.1");      /* NXDOMAIN is an answer */
	assert_true(guest_hears(n, 5000, 1, 3, sizeof(question) + 4));
}

static void all_silent_ends_in_servfail(void **state)
{
	struct fake_net *n = *state;

	ask(n, 5000, 9);
	fake_net_run(n, S(13));
	assert_true(guest_hears(n, 5000, 9, 2, sizeof(question)));
	assert_int_equal(n->sockets.open_count, 0);
	assert_int_equal(n->sockets.opened, 6);
}

static void no_resolver_is_servfail_and_a_new_file_is_seen(void **state)
{
	struct fake_net *n = *state;

	n->sockets.file_error = ENOENT;
	ask(n, 5000, 9);
	assert_true(guest_hears(n, 5000, 9, 2, sizeof(question)));
	n->sockets.file_error = 0;
	fake_sockets_resolv(&n->sockets, "nameserver 127.0.0.53\n");
	fake_net_run(n, S(1));
	ask(n, 5000, 10);
	assert_true(fake_find(&n->sockets, "127.0.0.53:53") >= 0);
	fake_sockets_resolv(&n->sockets, "nameserver 198.51.100.1\n");
	fake_net_run(n, MS(50));
	ask(n, 5001, 11);               /* not looked at for each of many queries */
	assert_int_equal(fake_find(&n->sockets, "198.51.100.1:53"), -1);
	fake_net_run(n, MS(60));
	ask(n, 5002, 12);
	assert_true(fake_find(&n->sockets, "198.51.100.1:53") >= 0);
	assert_int_equal(n->sockets.file_reads, 2);
}

static void forged_answers_are_ignored(void **state)
{
	struct fake_net *n = *state;
	uint8_t m[sizeof(question)];
	uint16_t id;
	int fd;

	ask(n, 5000, 1);
	fd = fake_find(&n->sockets, "192.0.2.1:53");
	asked(n, fd, &id);
	answer(n, fd, (uint16_t)(id + 1), 0, "192.0.2.1");      /* another identifier */
	memcpy(m, question, sizeof(m));
	put_be16(m, id);
	fake_peer_datagram(&n->sockets, fd, "192.0.2.1", 53, m, sizeof(m));     /* not an answer */
	m[2] = 0x80;
	m[14] = 'x';
	fake_peer_datagram(&n->sockets, fd, "192.0.2.1", 53, m, sizeof(m));
	m[13] = 'b';
	fake_peer_datagram(&n->sockets, fd, "192.0.2.1", 53, m, sizeof(m));     /* another question */
	for (size_t len = 0; len < 20; len++)
		fake_peer_datagram(&n->sockets, fd, "192.0.2.1", 53, m, len);
	fake_net_run(n, 0);
	assert_false(guest_hears(n, 5000, 1, 0, 0));
	answer(n, fd, id, 0, "192.0.2.1");
	assert_true(guest_hears(n, 5000, 1, 0, sizeof(question) + 4));
}

static void a_repeated_query_is_asked_once(void **state)
{
	struct fake_net *n = *state;

	for (int i = 0; i < 5; i++)
		ask(n, 5000, 1);
	assert_int_equal(n->sockets.opened, 1);
	ask(n, 5000, 2);
	ask(n, 5001, 1);
	assert_int_equal(n->sockets.opened, 3);
}

static void broken_queries_are_refused_or_dropped(void **state)
{
	struct fake_net *n = *state;
	uint8_t buf[200];

	for (size_t len = 0; len < sizeof(question); len++) {
		guest_send(&n->guest, buf, guest_udp(&n->guest, buf, NET_DNS, 5000, 53, question, len));
		if (len >= 12)
			assert_true(guest_hears(n, 5000, 0, 1, 12));    /* FORMERR */
		else
			assert_false(guest_hears(n, 5000, 0, 1, 12));
	}
	assert_int_equal(n->sockets.opened, 0);
}

static void a_flood_of_queries_is_bounded(void **state)
{
	struct fake_net *n = *state;

	for (int i = 0; i < 5000; i++) {
		ask(n, (uint16_t)(1024 + i), 1);
		guest_forget(&n->guest);
	}
	assert_int_equal(n->sockets.open_count, 512);
	fake_net_run(n, S(20));
	assert_int_equal(n->sockets.open_count, 0);
}

static void other_ports_of_the_resolver_are_closed(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	struct guest_tcp t;
	uint8_t buf[100];

	guest_send(&n->guest, buf, guest_udp(&n->guest, buf, NET_DNS, 5000, 54, "x", 1));
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.icmp_type, 3);
	assert_int_equal(p.icmp_code, 3);
	guest_tcp_init(&t, &n->guest, NET_DNS, 5000, 54);
	assert_false(guest_tcp_open(&t));
	assert_true(t.reset);
	guest_tcp_free(&t);
	assert_int_equal(n->sockets.opened, 0);
}

static int refuse_first(void *owner, const struct sockaddr_storage *to)
{
	(void)owner;
	return strcmp(fake_text(to), "192.0.2.1:53") ? 0 : -ECONNREFUSED;
}

static void tcp_queries_go_to_a_resolver_that_takes_them(void **state)
{
	struct fake_net *n = *state;
	struct guest_tcp t;

	n->sockets.on_connect = refuse_first;
	guest_tcp_init(&t, &n->guest, NET_DNS, 5000, 53);
	assert_true(guest_tcp_open(&t));
	assert_true(fake_find(&n->sockets, "192.0.2.2:53") >= 0);
	assert_int_equal(n->sockets.open_count, 1);
	guest_tcp_free(&t);
}

static void a_silent_resolver_gives_way_for_tcp_too(void **state)
{
	struct fake_net *n = *state;
	struct guest_packet p;
	struct guest_tcp t;

	n->sockets.connect_result = -EINPROGRESS;
	guest_tcp_init(&t, &n->guest, NET_DNS, 5000, 53);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	assert_true(fake_find(&n->sockets, "192.0.2.1:53") >= 0);
	fake_net_run(n, MS(3100));
	assert_int_equal(fake_find(&n->sockets, "192.0.2.1:53"), -1);
	fake_connect_done(&n->sockets, fake_find(&n->sockets, "192.0.2.2:53"), 0);
	fake_net_run(n, 0);
	guest_tcp_run(&t);
	assert_true(t.syn_ack_seen);
	guest_tcp_free(&t);
	/* none takes it: the guest hears of it */
	guest_forget(&n->guest);
	guest_tcp_init(&t, &n->guest, NET_DNS, 5001, 53);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	fake_net_run(n, S(10));
	assert_int_equal(n->sockets.open_count, 1);
	do
		assert_true(guest_packet(&n->guest, &p));
	while (p.protocol != 1);
	assert_int_equal(p.icmp_type << 8 | p.icmp_code, 0x301);
	guest_tcp_free(&t);
}

/* The resolver that answered a query is asked first for the next, by TCP as by UDP. */
static void tcp_begins_with_the_resolver_that_answered_last(void **state)
{
	struct fake_net *n = *state;
	struct guest_tcp t;
	uint16_t id;
	int fd;

	ask(n, 5000, 1);
	fake_net_run(n, MS(2100));
	fd = fake_find(&n->sockets, "192.0.2.2:53");
	asked(n, fd, &id);
	answer(n, fd, id, 0, "192.0.2.2");
	guest_forget(&n->guest);
	guest_tcp_init(&t, &n->guest, NET_DNS, 5000, 53);
	assert_true(guest_tcp_open(&t));
	assert_true(fake_find(&n->sockets, "192.0.2.2:53") >= 0);
	guest_tcp_free(&t);
}

/* The host's own hosts file knows it: the guest's network does not. */
static void names_of_the_host_are_asked_like_any_other(void **state)
{
	static const uint8_t localhost[] = { 0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9, 'l', 'o', 'c', 'a', 'l', 'h', 'o', 's', 't', 0, 0, 1, 0, 1 };
	struct fake_net *n = *state;
	uint8_t buf[200];
	int fd;

	guest_send(&n->guest, buf, guest_udp(&n->guest, buf, NET_DNS, 5000, 53, localhost, sizeof(localhost)));
	assert_null(guest_next(&n->guest));
	fd = fake_find(&n->sockets, "192.0.2.1:53");
	assert_memory_equal(fake_last_sent(&n->sockets, fd)->data + 2, localhost + 2, sizeof(localhost) - 2);
}

static void a_server_may_spell_the_name_its_own_way_but_not_the_type(void **state)
{
	struct fake_net *n = *state;
	uint8_t m[sizeof(question)];
	uint16_t id;
	int fd;

	ask(n, 5000, 7);
	fd = fake_find(&n->sockets, "192.0.2.1:53");
	asked(n, fd, &id);
	memcpy(m, question, sizeof(m));
	put_be16(m, id);
	m[2] = 0x81;
	m[sizeof(m) - 3] = 28;
	fake_peer_datagram(&n->sockets, fd, "192.0.2.1", 53, m, sizeof(m));
	fake_net_run(n, 0);
	assert_null(guest_next(&n->guest));
	m[sizeof(m) - 3] = 1;
	m[15] = 'E';
	fake_peer_datagram(&n->sockets, fd, "192.0.2.1", 53, m, sizeof(m));
	fake_net_run(n, 0);
	assert_true(guest_hears(n, 5000, 7, 0, sizeof(question)));
}

/* Large answers, EDNS and the bits of DNSSEC pass as they are; so does "truncated". */
static void answers_pass_untouched(void **state)
{
	struct fake_net *n = *state;
	static uint8_t m[4000];
	struct guest_packet p;
	uint16_t id;
	int fd;

	ask(n, 5000, 7);
	fd = fake_find(&n->sockets, "192.0.2.1:53");
	asked(n, fd, &id);
	for (size_t i = 0; i < sizeof(m); i++)
		m[i] = (uint8_t)(i * 7);
	memcpy(m, question, sizeof(question));
	put_be16(m, id);
	m[2] = 0x83;                    /* TC */
	m[3] = 0xb0;                    /* RA, AD, CD */
	put_be16(m + 10, 1);
	fake_peer_datagram(&n->sockets, fd, "192.0.2.1", 53, m, 1000);
	fake_net_run(n, 0);
	assert_true(guest_packet(&n->guest, &p));
	assert_int_equal(p.data_len, 1000);
	assert_memory_equal(p.data + 2, m + 2, 998);
	ask(n, 5001, 8);
	fd = fake_find(&n->sockets, "192.0.2.1:53");
	asked(n, fd, &id);
	put_be16(m, id);
	fake_peer_datagram(&n->sockets, fd, "192.0.2.1", 53, m, sizeof(m));
	fake_net_run(n, 0);
	for (int i = 0; i < 3; i++)             /* 4008 bytes in fragments */
		assert_true(guest_packet(&n->guest, &p));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, fake_net_teardown)

static void dns_host_is_an_address_with_an_optional_port(void **state)
{
	struct unet_config c;
	struct err err;
	static const char *const bad[] = { "", "x", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:5x", "[::1", "[::1]5", "1.2.3" };

	(void)state;
	unet_config_defaults(&c);
	assert_true(unet_config_dns_host(&c, "127.0.0.1", &err));
	assert_true(unet_config_dns_host(&c, "192.0.2.1:5353", &err));
	assert_true(unet_config_dns_host(&c, "::1", &err));
	assert_true(unet_config_dns_host(&c, "[2001:db8::1]:54", &err));
	assert_int_equal(c.dns_hosts, 4);
	assert_int_equal(((struct sockaddr_in *)&c.dns_host[0])->sin_port, htons(53));
	assert_int_equal(((struct sockaddr_in *)&c.dns_host[1])->sin_port, htons(5353));
	assert_int_equal(((struct sockaddr_in *)&c.dns_host[1])->sin_addr.s_addr, htonl(0xc0000201));
	assert_int_equal(((struct sockaddr_in6 *)&c.dns_host[2])->sin6_port, htons(53));
	assert_int_equal(((struct sockaddr_in6 *)&c.dns_host[3])->sin6_port, htons(54));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(unet_config_dns_host(&c, bad[i], &err));
		assert_non_null(strstr(err.text, "dns-host"));
	}
	assert_int_equal(c.dns_hosts, 4);
	for (int i = 0; i < 4; i++)
		assert_true(unet_config_dns_host(&c, "127.0.0.1", &err));
	assert_false(unet_config_dns_host(&c, "127.0.0.1", &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(query_goes_out_with_an_identifier_of_our_own_and_comes_back_with_the_guests),
		TEST(identifiers_do_not_repeat_themselves),
		TEST(silence_moves_on_to_the_next_resolver),
		TEST(servfail_and_unreachable_resolvers_are_passed_over_at_once),
		TEST(all_silent_ends_in_servfail),
		TEST(no_resolver_is_servfail_and_a_new_file_is_seen),
		TEST(forged_answers_are_ignored),
		TEST(a_repeated_query_is_asked_once),
		TEST(broken_queries_are_refused_or_dropped),
		TEST(a_flood_of_queries_is_bounded),
		TEST(other_ports_of_the_resolver_are_closed),
		TEST(tcp_queries_go_to_a_resolver_that_takes_them),
		TEST(a_silent_resolver_gives_way_for_tcp_too),
		TEST(tcp_begins_with_the_resolver_that_answered_last),
		TEST(names_of_the_host_are_asked_like_any_other),
		TEST(a_server_may_spell_the_name_its_own_way_but_not_the_type),
		TEST(answers_pass_untouched),
		cmocka_unit_test(dns_host_is_an_address_with_an_optional_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
