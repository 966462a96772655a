/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/loop.h"

struct end {
	struct loop_fd watch;
	int fd[2];
	unsigned events;
	int calls;
	struct end *kills;              /* removes this one from inside its call */
};

static void ready(void *owner, unsigned events)
{
	struct end *e = owner;

	e->events = events;
	e->calls++;
	if (e->kills)
		loop_remove(&e->kills->watch);
}

static void open_end(struct end *e)
{
	*e = (struct end){ 0 };
	assert_int_equal(pipe2(e->fd, O_NONBLOCK | O_CLOEXEC), 0);
}

static void close_end(struct end *e)
{
	loop_remove(&e->watch);
	close(e->fd[0]);
	if (e->fd[1] >= 0)
		close(e->fd[1]);
}

static void readable_and_hang_up_are_reported(void **state)
{
	struct loop *l = loop_new();
	struct end e;
	char c;

	(void)state;
	open_end(&e);
	assert_int_equal(loop_add(l, &e.watch, e.fd[0], LOOP_READ, ready, &e), 0);
	assert_int_equal(loop_poll(l, 0), 0);
	assert_int_equal(write(e.fd[1], "x", 1), 1);
	assert_int_equal(loop_poll(l, 0), 1);
	assert_int_equal(e.events, LOOP_READ);
	assert_int_equal(read(e.fd[0], &c, 1), 1);
	close(e.fd[1]);
	e.fd[1] = -1;
	assert_int_equal(loop_poll(l, 0), 1);
	assert_true(e.events & LOOP_HUP);
	close_end(&e);
	loop_free(l);
}

static void a_change_of_interest_takes_effect(void **state)
{
	struct loop *l = loop_new();
	struct end e;

	(void)state;
	open_end(&e);
	assert_int_equal(loop_add(l, &e.watch, e.fd[1], 0, ready, &e), 0);
	assert_int_equal(loop_poll(l, 0), 0);
	loop_change(&e.watch, LOOP_WRITE);
	assert_int_equal(loop_poll(l, 0), 1);
	assert_int_equal(e.events, LOOP_WRITE);
	loop_change(&e.watch, 0);
	assert_int_equal(loop_poll(l, 0), 0);
	close_end(&e);
	loop_free(l);
}

static void one_removed_by_another_of_the_same_batch_is_not_called(void **state)
{
	struct loop *l = loop_new();
	struct end a, b;

	(void)state;
	open_end(&a);
	open_end(&b);
	loop_add(l, &a.watch, a.fd[0], LOOP_READ, ready, &a);
	loop_add(l, &b.watch, b.fd[0], LOOP_READ, ready, &b);
	a.kills = &b;
	b.kills = &a;
	assert_int_equal(write(a.fd[1], "x", 1), 1);
	assert_int_equal(write(b.fd[1], "x", 1), 1);
	loop_poll(l, 0);
	assert_int_equal(a.calls + b.calls, 1);
	loop_remove(&a.watch);
	loop_remove(&a.watch);                  /* harmless twice */
	close_end(&a);
	close_end(&b);
	loop_free(l);
}

static void *wake(void *l)
{
	usleep(20000);
	loop_wake(l);
	return NULL;
}

static void a_wake_from_another_thread_ends_the_wait(void **state)
{
	struct loop *l = loop_new();
	pthread_t t;

	(void)state;
	loop_wake(l);
	assert_int_equal(loop_poll(l, UINT64_MAX), 1);  /* one that came before the wait counts */
	assert_int_equal(loop_poll(l, 0), 0);
	assert_int_equal(pthread_create(&t, NULL, wake, l), 0);
	assert_int_equal(loop_poll(l, UINT64_MAX), 1);
	pthread_join(t, NULL);
	loop_free(l);
}

static void what_a_wait_found_is_dispatched_later_and_once(void **state)
{
	struct loop *l = loop_new();
	struct end a;

	(void)state;
	open_end(&a);
	loop_add(l, &a.watch, a.fd[0], LOOP_READ, ready, &a);
	assert_int_equal(write(a.fd[1], "x", 1), 1);
	assert_int_equal(loop_wait(l, UINT64_MAX), 1);
	assert_int_equal(a.calls, 0);
	loop_dispatch(l);
	assert_int_equal(a.calls, 1);
	loop_dispatch(l);
	assert_int_equal(a.calls, 1);
	loop_remove(&a.watch);
	close_end(&a);
	loop_free(l);
}

static void each_wake_ends_one_wait(void **state)
{
	struct loop *l = loop_new();

	(void)state;
	for (int i = 0; i < 3; i++) {
		loop_wake(l);
		loop_wake(l);
		assert_int_equal(loop_poll(l, 0), 1);
		assert_int_equal(loop_poll(l, 0), 0);
	}
	loop_free(l);
}

static void what_cannot_be_watched_is_an_error(void **state)
{
	struct loop *l = loop_new();
	struct loop_fd f = { 0 };

	(void)state;
	assert_true(loop_add(l, &f, -1, LOOP_READ, ready, NULL) < 0);
	loop_remove(&f);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readable_and_hang_up_are_reported),
		cmocka_unit_test(a_change_of_interest_takes_effect),
		cmocka_unit_test(one_removed_by_another_of_the_same_batch_is_not_called),
		cmocka_unit_test(a_wake_from_another_thread_ends_the_wait),
		cmocka_unit_test(what_a_wait_found_is_dispatched_later_and_once),
		cmocka_unit_test(each_wake_ends_one_wait),
		cmocka_unit_test(what_cannot_be_watched_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
