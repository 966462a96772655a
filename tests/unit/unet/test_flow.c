/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "unet/flow.h"

struct thing {
	struct flow flow;
	int payload[10];
};

static struct flow_key key(uint16_t port)
{
	struct flow_key k = { .guest = addr_from4("\x0a\0\2\x0f"), .guest_port = port };

	return k;
}

static void the_hash_is_siphash(void **state)
{
	uint8_t secret_bytes[16], input[15];
	uint64_t secret[2];

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		secret_bytes[i] = (uint8_t)i;
	for (unsigned i = 0; i < 15; i++)
		input[i] = (uint8_t)i;
	memcpy(secret, secret_bytes, 16);
	assert_int_equal(siphash(secret, input, 15), 0xa129ca6149be45e5);       /* the vector of the paper's appendix */
}

static void flows_are_found_by_key_until_they_are_removed(void **state)
{
	struct flow_table t;
	struct flow *f[1000];

	(void)state;
	assert_true(flow_table_init(&t, 1000, sizeof(struct thing), (const uint8_t *)"0123456789abcdef"));
	for (uint16_t i = 0; i < 1000; i++) {
		struct flow_key k = key(i);

		assert_null(flow_find(&t, &k));
		f[i] = flow_add(&t, &k, 0, i);
		((struct thing *)f[i])->payload[9] = i;
	}
	for (uint16_t i = 0; i < 1000; i++) {
		struct flow_key k = key(i);

		assert_ptr_equal(flow_find(&t, &k), f[i]);
	}
	for (uint16_t i = 0; i < 1000; i += 2)
		flow_remove(&t, f[i]);
	for (uint16_t i = 0; i < 1000; i++) {
		struct flow_key k = key(i);

		assert_ptr_equal(flow_find(&t, &k), i % 2 ? f[i] : NULL);
	}
	assert_int_equal(t.count, 500);
	flow_table_free(&t);
}

static void a_full_table_says_so_and_gives_back_clean_objects(void **state)
{
	struct flow_table t;
	struct flow_key k = key(1), other = key(3);
	struct flow *a;

	(void)state;
	assert_true(flow_table_init(&t, 2, sizeof(struct thing), (const uint8_t *)"0123456789abcdef"));
	a = flow_add(&t, &k, 0, 0);
	((struct thing *)a)->payload[0] = 7;
	k = key(2);
	assert_non_null(flow_add(&t, &k, 0, 0));
	assert_null(flow_add(&t, &other, 0, 0));
	flow_remove(&t, a);
	a = flow_add(&t, &other, 0, 0);
	assert_non_null(a);
	assert_int_equal(((struct thing *)a)->payload[0], 0);
	flow_table_free(&t);
}

static void each_list_expires_by_its_own_time_and_use_defers_it(void **state)
{
	struct flow_table t;
	struct flow *f[4];

	(void)state;
	assert_true(flow_table_init(&t, 10, sizeof(struct thing), (const uint8_t *)"0123456789abcdef"));
	t.lists[0].idle_ns = S(10);
	t.lists[1].idle_ns = S(100);
	for (uint16_t i = 0; i < 4; i++) {
		struct flow_key k = key(i);

		f[i] = flow_add(&t, &k, i / 2, S(i));
	}
	assert_int_equal(flow_next_expiry(&t), S(10));
	assert_null(flow_expired(&t, S(10) - 1));
	assert_ptr_equal(flow_expired(&t, S(10)), f[0]);
	flow_touch(&t, f[0], 0, S(10));
	assert_int_equal(flow_next_expiry(&t), S(11));
	assert_ptr_equal(flow_expired(&t, S(11)), f[1]);
	flow_touch(&t, f[1], 2, S(11));         /* a list without an end */
	assert_ptr_equal(flow_expired(&t, S(20)), f[0]);
	flow_remove(&t, f[0]);
	assert_int_equal(flow_next_expiry(&t), S(102));
	assert_ptr_equal(t.lists[1].oldest, f[2]);
	flow_touch(&t, f[2], 1, S(50));
	assert_ptr_equal(t.lists[1].oldest, f[3]);
	assert_int_equal(t.lists[1].count, 2);
	flow_remove(&t, f[3]);
	flow_remove(&t, f[2]);
	assert_int_equal(flow_next_expiry(&t), UINT64_MAX);
	flow_table_free(&t);
}

static void all_flows_can_be_visited_and_removed_on_the_way(void **state)
{
	struct flow_table t;
	unsigned n = 0;

	(void)state;
	assert_true(flow_table_init(&t, 50, sizeof(struct thing), (const uint8_t *)"0123456789abcdef"));
	for (uint16_t i = 0; i < 30; i++) {
		struct flow_key k = key(i);

		flow_add(&t, &k, 0, 0);
	}
	for (struct flow *f = flow_next(&t, NULL), *next; f; f = next, n++) {
		next = flow_next(&t, f);
		flow_remove(&t, f);
	}
	assert_int_equal(n, 30);
	assert_int_equal(t.count, 0);
	flow_table_free(&t);
}

static void addresses_of_both_families_survive_the_way_through_a_sockaddr(void **state)
{
	struct addr four = addr_from4("\xc0\0\2\1"), six = addr_from6("\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1"), a;
	struct sockaddr_storage s;
	uint16_t port;

	(void)state;
	assert_true(addr_is4(&four));
	assert_false(addr_is4(&six));
	addr_to_sock(&four, 80, &s);
	assert_int_equal(s.ss_family, AF_INET);
	assert_true(addr_from_sock(&s, &a, &port));
	assert_true(addr_equal(&a, &four) && port == 80);
	addr_to_sock(&six, 81, &s);
	assert_int_equal(s.ss_family, AF_INET6);
	assert_true(addr_from_sock(&s, &a, &port));
	assert_true(addr_equal(&a, &six) && port == 81);
	s.ss_family = AF_UNIX;
	assert_false(addr_from_sock(&s, &a, &port));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hash_is_siphash),
		cmocka_unit_test(flows_are_found_by_key_until_they_are_removed),
		cmocka_unit_test(a_full_table_says_so_and_gives_back_clean_objects),
		cmocka_unit_test(each_list_expires_by_its_own_time_and_use_defers_it),
		cmocka_unit_test(all_flows_can_be_visited_and_removed_on_the_way),
		cmocka_unit_test(addresses_of_both_families_survive_the_way_through_a_sockaddr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
