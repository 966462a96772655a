/* SPDX-License-Identifier: MIT */
#include "emu/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"

static void short_sleeps_make_patient(void **state)
{
	struct patience p = { .allowed = true };
	uint64_t now = S(1);

	(void)state;
	for (unsigned n = 0; n < 10; n++, now += MS(1))
		patience_learn(&p, now, now + US(60));
	assert_int_equal(p.ns, US(50));
	patience_begin(&p, now);
	assert_true(patience_lasts(&p, now + US(10), now + p.ns));
	assert_false(patience_lasts(&p, now + US(50), now + p.ns));
	assert_int_equal(p.ns, US(50));
}

static void long_sleeps_end_it(void **state)
{
	struct patience p = { .allowed = true, .ns = US(50) };
	uint64_t now = S(1);

	(void)state;
	for (unsigned n = 0; n < 4; n++, now += MS(20))
		patience_learn(&p, now, now + MS(10));
	assert_int_equal(p.ns, 0);
}

static void who_shares_a_core_does_not_look_for_a_while(void **state)
{
	struct patience p = { .allowed = true, .ns = US(50) };
	uint64_t now = S(1);

	(void)state;
	patience_begin(&p, now);
	assert_false(patience_lasts(&p, now + MS(3), now + S(1)));
	assert_int_equal(p.ns, 0);
	patience_learn(&p, now + MS(4), now + MS(4) + US(20));
	assert_int_equal(p.ns, 0);
	patience_learn(&p, now + MS(30), now + MS(30) + US(20));
	assert_true(p.ns > 0);
}

static void a_host_without_a_core_to_spare_never_looks(void **state)
{
	struct patience p = { .allowed = false };

	(void)state;
	for (unsigned n = 1; n < 10; n++)
		patience_learn(&p, S(n), S(n) + US(20));
	assert_int_equal(p.ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_sleeps_make_patient),
		cmocka_unit_test(long_sleeps_end_it),
		cmocka_unit_test(who_shares_a_core_does_not_look_for_a_while),
		cmocka_unit_test(a_host_without_a_core_to_spare_never_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
