/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"

static uint64_t time_ns;
static int earlier_calls;
static int order[64], fired;

static uint64_t now(void *owner)
{
	(void)owner;
	return time_ns;
}

static void earlier(void *owner)
{
	(void)owner;
	earlier_calls++;
}

struct probe {
	struct timer t;
	int id;
	bool rearm;
};

static void fire(void *owner)
{
	struct probe *p = owner;

	order[fired++] = p->id;
	if (p->rearm && fired < 60)
		timer_soon(&p->t);
}

static struct clock *new_clock(void)
{
	time_ns = 1000;
	earlier_calls = fired = 0;
	return clock_new(&(struct clock_config){ .now = now, .earlier = earlier });
}

static void timers_fire_in_order_of_deadline_then_of_arming(void **state)
{
	struct clock *c = new_clock();
	struct probe p[20];

	(void)state;
	for (int i = 0; i < 20; i++) {
		p[i] = (struct probe){ .id = i };
		timer_init(&p[i].t, c, fire, &p[i]);
	}
	for (int i = 0; i < 20; i++)
		timer_set(&p[i].t, 2000 + (uint64_t)(i * 7 % 5));
	time_ns = 5000;
	assert_true(clock_run(c));
	assert_int_equal(fired, 20);
	for (int i = 1; i < 20; i++) {
		int a = order[i - 1] * 7 % 5, b = order[i] * 7 % 5;

		assert_true(a < b || (a == b && order[i - 1] < order[i]));
	}
	assert_int_equal(clock_deadline(c), CLOCK_NEVER);
	clock_free(c);
}

static void cancelled_timer_stays_silent_wherever_it_sits(void **state)
{
	struct clock *c = new_clock();
	struct probe p[16];

	(void)state;
	for (int gone = 0; gone < 16; gone++) {
		fired = 0;
		for (int i = 0; i < 16; i++) {
			p[i] = (struct probe){ .id = i };
			timer_init(&p[i].t, c, fire, &p[i]);
			timer_set(&p[i].t, time_ns + (uint64_t)(i * 11 % 16));
		}
		timer_cancel(&p[gone].t);
		timer_cancel(&p[gone].t);
		time_ns += 100;
		clock_run(c);
		assert_int_equal(fired, 15);
		for (int i = 0; i < 15; i++)
			assert_int_not_equal(order[i], gone);
		for (int i = 1; i < 15; i++)
			assert_true(order[i - 1] * 11 % 16 < order[i] * 11 % 16);
	}
	clock_free(c);
}

static void a_timer_that_rearms_for_now_lets_the_caller_go(void **state)
{
	struct clock *c = new_clock();
	struct probe p = { .id = 1, .rearm = true };

	(void)state;
	timer_init(&p.t, c, fire, &p);
	timer_soon(&p.t);
	assert_true(clock_run(c));
	assert_int_equal(fired, 1);
	assert_true(timer_armed(&p.t));
	timer_cancel(&p.t);
	clock_free(c);
}

static void an_earlier_first_deadline_is_reported(void **state)
{
	struct clock *c = new_clock();
	struct probe a = { .id = 1 }, b = { .id = 2 };

	(void)state;
	timer_init(&a.t, c, fire, &a);
	timer_init(&b.t, c, fire, &b);
	timer_set(&a.t, 5000);
	assert_int_equal(earlier_calls, 1);
	timer_set(&b.t, 6000);
	assert_int_equal(earlier_calls, 1);
	timer_set(&b.t, 4000);
	assert_int_equal(earlier_calls, 2);
	assert_int_equal(clock_deadline(c), 4000);
	timer_cancel(&a.t);
	timer_cancel(&b.t);
	clock_free(c);
}

struct ringer {
	struct bell b;
	int id, answers;
	bool again;
	unsigned noted, seen;           /* what a ringing thread left, what the answer found */
};

static void answer(void *owner)
{
	struct ringer *r = owner;

	r->answers++;
	r->seen += __atomic_exchange_n(&r->noted, 0, __ATOMIC_RELAXED);
	if (fired < 60)
		order[fired++] = r->id;
	if (r->again)
		bell_ring(&r->b);
}

static void bells_are_answered_once_in_the_order_they_rang(void **state)
{
	struct clock *c = new_clock();
	struct ringer r[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		r[i] = (struct ringer){ .id = i };
		bell_init(&r[i].b, c, answer, &r[i]);
	}
	assert_true(clock_deadline(c) == CLOCK_NEVER);
	for (int i = 3; i >= 0; i--) {
		bell_ring(&r[i].b);
		bell_ring(&r[i].b);
	}
	assert_int_equal(earlier_calls, 4);
	assert_int_equal(clock_deadline(c), 0);
	bell_cancel(&r[2].b);
	assert_true(clock_run(c));
	assert_int_equal(fired, 3);
	assert_int_equal(order[0], 3);
	assert_int_equal(order[1], 1);
	assert_int_equal(order[2], 0);
	assert_false(clock_run(c));
	bell_ring(&r[2].b);
	assert_true(clock_run(c));
	assert_int_equal(order[3], 2);
	clock_free(c);
}

static void quick_bells_can_be_answered_without_firing_timers(void **state)
{
	struct clock *c = new_clock();
	struct probe p = { .id = 7 };
	struct ringer r[2] = { { .id = 1 }, { .id = 2 } };

	(void)state;
	timer_init(&p.t, c, fire, &p);
	for (int i = 0; i < 2; i++)
		bell_init(&r[i].b, c, answer, &r[i]);
	r[0].b.quick = true;
	timer_soon(&p.t);
	assert_true(clock_quick(c));
	bell_ring(&r[0].b);
	assert_true(clock_quick(c));
	bell_ring(&r[1].b);
	assert_false(clock_quick(c));
	clock_answer(c);
	assert_int_equal(fired, 2);
	assert_true(timer_armed(&p.t));
	assert_true(clock_quick(c));
	timer_cancel(&p.t);
	clock_free(c);
}

static void a_bell_rung_by_its_own_answer_waits_for_the_next_run(void **state)
{
	struct clock *c = new_clock();
	struct ringer r = { .id = 1, .again = true };

	(void)state;
	bell_init(&r.b, c, answer, &r);
	bell_ring(&r.b);
	clock_run(c);
	assert_int_equal(r.answers, 1);
	assert_int_equal(clock_deadline(c), 0);
	clock_run(c);
	assert_int_equal(r.answers, 2);
	bell_cancel(&r.b);
	assert_true(clock_deadline(c) == CLOCK_NEVER);
	clock_free(c);
}

enum { RINGS = 20000 };

static void *ring_often(void *arg)
{
	struct ringer *r = arg;

	for (int i = 0; i < RINGS; i++) {
		__atomic_fetch_add(&r[i % 2].noted, 1, __ATOMIC_RELAXED);
		bell_ring(&r[i % 2].b);
	}
	return NULL;
}

static void quiet_wake(void *owner)
{
	(void)owner;
}

static void no_ring_of_another_thread_is_lost(void **state)
{
	struct clock *c = clock_new(&(struct clock_config){ .now = now, .earlier = quiet_wake });
	struct ringer r[2] = { { .id = 0 }, { .id = 1 } };
	pthread_t thread[3];

	(void)state;
	for (int i = 0; i < 2; i++)
		bell_init(&r[i].b, c, answer, &r[i]);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, ring_often, r), 0);
	while (__atomic_load_n(&r[0].seen, __ATOMIC_RELAXED) + r[1].seen < 3 * RINGS / 2)
		clock_run(c);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	clock_run(c);
	assert_int_equal(r[0].seen, 3 * RINGS / 2);
	assert_int_equal(r[1].seen, 3 * RINGS / 2);
	clock_free(c);
}

static void a_timer_that_rearms_itself_starves_no_other(void **state)
{
	struct clock *c = clock_new(&(struct clock_config){ now, NULL, NULL });
	struct probe eager = { .id = 1, .rearm = true }, late = { .id = 2 };

	(void)state;
	time_ns = 100;
	fired = 0;
	timer_init(&eager.t, c, fire, &eager);
	timer_init(&late.t, c, fire, &late);
	timer_soon(&eager.t);
	timer_set(&late.t, 50);
	clock_run(c);
	assert_int_equal(fired, 2);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 2);
	timer_cancel(&eager.t);
	clock_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_timer_that_rearms_itself_starves_no_other),
		cmocka_unit_test(timers_fire_in_order_of_deadline_then_of_arming),
		cmocka_unit_test(cancelled_timer_stays_silent_wherever_it_sits),
		cmocka_unit_test(a_timer_that_rearms_for_now_lets_the_caller_go),
		cmocka_unit_test(an_earlier_first_deadline_is_reported),
		cmocka_unit_test(bells_are_answered_once_in_the_order_they_rang),
		cmocka_unit_test(quick_bells_can_be_answered_without_firing_timers),
		cmocka_unit_test(a_bell_rung_by_its_own_answer_waits_for_the_next_run),
		cmocka_unit_test(no_ring_of_another_thread_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
