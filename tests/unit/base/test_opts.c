/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/opts.h"

static void a_list_is_cut_at_single_commas(void **state)
{
	struct opts o;

	(void)state;
	assert_true(opts_parse(&o, "user,id=n0,hostfwd=tcp::1-:2,hostfwd=udp::3-:4", "type", NULL));
	assert_int_equal(o.count, 4);
	assert_string_equal(opts_get(&o, "type"), "user");
	assert_string_equal(opts_get(&o, "id"), "n0");
	assert_null(opts_get(&o, "ip"));
	opts_free(&o);
}

static void a_double_comma_is_a_comma_of_the_value(void **state)
{
	struct opts o;

	(void)state;
	assert_true(opts_parse(&o, "file=a,,b,,,,c,if=ide", NULL, NULL));
	assert_int_equal(o.count, 2);
	assert_string_equal(opts_get(&o, "file"), "a,b,,c");
	opts_free(&o);
	assert_true(opts_parse(&o, "x,,y", "path", NULL));
	assert_string_equal(opts_get(&o, "path"), "x,y");
	opts_free(&o);
}

static void a_value_may_hold_an_equals_sign_and_be_empty(void **state)
{
	struct opts o;

	(void)state;
	assert_true(opts_parse(&o, "string=a=b,romfile=", NULL, NULL));
	assert_string_equal(opts_get(&o, "string"), "a=b");
	assert_string_equal(opts_get(&o, "romfile"), "");
	opts_free(&o);
}

static void a_word_without_a_value_is_a_switch(void **state)
{
	struct opts o;
	bool server = false, wait = true;

	(void)state;
	assert_true(opts_parse(&o, "path=/s,server,nowait", NULL, NULL));
	assert_true(opts_bool(&o, "server", &server, NULL));
	assert_true(opts_bool(&o, "wait", &wait, NULL));
	assert_true(server);
	assert_false(wait);
	opts_free(&o);
}

static void the_last_of_two_counts_and_both_can_be_walked(void **state)
{
	struct opts o;
	size_t at = 0;

	(void)state;
	assert_true(opts_parse(&o, "a=1,b=2,a=3", NULL, NULL));
	assert_string_equal(opts_get(&o, "a"), "3");
	assert_string_equal(opts_each(&o, "a", &at), "1");
	assert_string_equal(opts_each(&o, "a", &at), "3");
	assert_null(opts_each(&o, "a", &at));
	opts_free(&o);
}

static void a_key_that_nobody_asked_for_is_named(void **state)
{
	struct opts o;
	struct err err;

	(void)state;
	assert_true(opts_parse(&o, "id=x,bogus=1", NULL, NULL));
	opts_get(&o, "id");
	assert_false(opts_done(&o, &err));
	assert_string_equal(err.text, "Invalid parameter 'bogus'");
	opts_get(&o, "bogus");
	assert_true(opts_done(&o, &err));
	opts_free(&o);
}

static void a_missing_name_is_refused(void **state)
{
	struct opts o;
	struct err err;

	(void)state;
	assert_false(opts_parse(&o, "a=1,=2", NULL, &err));
	assert_string_equal(err.text, "Expected a parameter name before '='");
}

static void odd_commas_make_no_elements(void **state)
{
	static const struct { const char *text; size_t count; } cases[] = { { "", 0 }, { "a=1,", 1 }, { ",", 0 }, { ",a=1", 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct opts o;

		assert_true(opts_parse(&o, cases[i].text, NULL, NULL));
		assert_int_equal(o.count, cases[i].count);
		opts_free(&o);
	}
}

static void booleans_have_four_spellings(void **state)
{
	static const struct { const char *text; int value; } cases[] = {
		{ "on", 1 }, { "yes", 1 }, { "true", 1 }, { "y", 1 }, { "off", 0 }, { "no", 0 }, { "false", 0 }, { "n", 0 },
		{ "1", -1 }, { "", -1 }, { "ON", -1 }, { "onn", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool v = false, ok = opt_parse_bool(cases[i].text, &v);

		assert_int_equal(ok ? v : -1, cases[i].value);
	}
}

static void sizes_take_suffixes_and_fractions(void **state)
{
	static const struct { const char *text; uint64_t unit, value; } good[] = {
		{ "512", 1 << 20, 512ull << 20 }, { "512", 1, 512 }, { "1G", 1 << 20, 1ull << 30 }, { "64k", 1, 65536 }, { "100b", 1 << 20, 100 },
		{ "1.5M", 1, 3 << 19 }, { "0x10", 1, 16 }, { "0", 1, 0 }, { "15E", 1, 15ull << 60 }, { "2T", 1, 2ull << 40 },
	};
	static const char *const bad[] = { "", "abc", "-1", "1Q", "1GG", "16E", "1 G", "99999999999999999999", "M", ".5M" };
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(opt_parse_size(good[i].text, good[i].unit, &v));
		assert_int_equal(v, good[i].value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(opt_parse_size(bad[i], 1, &v));
}

static void numbers_are_whole_and_in_their_range(void **state)
{
	struct opts o;
	struct err err;
	uint64_t v = 7;

	(void)state;
	assert_true(opts_parse(&o, "a=12,b=12x,c=0x20,d=99", NULL, NULL));
	assert_true(opts_number(&o, "none", 0, 1, &v, &err));
	assert_int_equal(v, 7);
	assert_true(opts_number(&o, "a", 0, 20, &v, &err));
	assert_int_equal(v, 12);
	assert_true(opts_number(&o, "c", 0, 32, &v, &err));
	assert_int_equal(v, 32);
	assert_false(opts_number(&o, "b", 0, 20, &v, &err));
	assert_string_equal(err.text, "Parameter 'b' expects a number, not '12x'");
	assert_false(opts_number(&o, "d", 1, 20, &v, &err));
	assert_string_equal(err.text, "Parameter 'd' expects a number from 1 to 20, not '99'");
	assert_int_equal(v, 32);
	opts_free(&o);
}

static void bad_booleans_and_sizes_are_quoted(void **state)
{
	struct opts o;
	struct err err;
	uint64_t v = 0;
	bool b = false;

	(void)state;
	assert_true(opts_parse(&o, "ipv4=maybe,size=x", NULL, NULL));
	assert_false(opts_bool(&o, "ipv4", &b, &err));
	assert_string_equal(err.text, "Parameter 'ipv4' expects 'on' or 'off', not 'maybe'");
	assert_false(opts_size(&o, "size", 1, &v, &err));
	assert_string_equal(err.text, "Parameter 'size' expects a non-negative number below 2^64 with an optional suffix "
			    "k, M, G, T, P or E, not 'x'");
	opts_free(&o);
}

static void help_is_found_wherever_it_stands(void **state)
{
	static const struct { const char *text; bool help; } cases[] = {
		{ "help", true }, { "?", true }, { "e1000,help", true }, { "model=help", true }, { "e1000", false }, { "file=help", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct opts o;

		assert_true(opts_parse(&o, cases[i].text, "model", NULL));
		assert_int_equal(opts_help(&o, "model"), cases[i].help);
		opts_free(&o);
	}
}

static void an_id_begins_with_a_letter(void **state)
{
	(void)state;
	assert_true(opt_is_id("net0"));
	assert_true(opt_is_id("a-b_c.d"));
	assert_false(opt_is_id("0net"));
	assert_false(opt_is_id(""));
	assert_false(opt_is_id("a b"));
	assert_false(opt_is_id("#net1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_cut_at_single_commas),
		cmocka_unit_test(a_double_comma_is_a_comma_of_the_value),
		cmocka_unit_test(a_value_may_hold_an_equals_sign_and_be_empty),
		cmocka_unit_test(a_word_without_a_value_is_a_switch),
		cmocka_unit_test(the_last_of_two_counts_and_both_can_be_walked),
		cmocka_unit_test(a_key_that_nobody_asked_for_is_named),
		cmocka_unit_test(a_missing_name_is_refused),
		cmocka_unit_test(odd_commas_make_no_elements),
		cmocka_unit_test(booleans_have_four_spellings),
		cmocka_unit_test(sizes_take_suffixes_and_fractions),
		cmocka_unit_test(numbers_are_whole_and_in_their_range),
		cmocka_unit_test(bad_booleans_and_sizes_are_quoted),
		cmocka_unit_test(help_is_found_wherever_it_stands),
		cmocka_unit_test(an_id_begins_with_a_letter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
