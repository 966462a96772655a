/* SPDX-License-Identifier: MIT */
/* Real commands of the host. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "unet/command.h"

struct bench {
	struct loop *loop;
	struct commands *all;
	int descriptors;
};

static int count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->descriptors = count_descriptors();
	b->loop = loop_new();
	assert_non_null(b->loop);
	*state = b;
	return 0;
}

/* Whatever a test did: no process and no descriptor is left. */
static int teardown(void **state)
{
	struct bench *b = *state;

	commands_free(b->all);
	loop_free(b->loop);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(count_descriptors(), b->descriptors);
	free(b);
	return 0;
}

static int run(struct bench *b, const char *command)
{
	int fd = commands_run(&b->all, b->loop, command);

	if (fd < 0)
		fail_msg("%s: %s", command, strerror(-fd));
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	return fd;
}

/* What comes until its end, or until `enough` bytes are there. */
static size_t take(struct bench *b, int fd, char *buf, size_t room, size_t enough)
{
	time_t begin = time(NULL);
	size_t got = 0;

	while (got < enough && time(NULL) < begin + 20) {
		ssize_t n = recv(fd, buf + got, room - 1 - got, 0);

		if (n == 0)
			break;
		if (n < 0)
			assert_int_equal(errno, EAGAIN);
		else
			got += (size_t)n;
		loop_poll(b->loop, n < 0 ? MS(10) : 0);
	}
	buf[got] = '\0';
	return got;
}

static void wait_until_all_ended(struct bench *b)
{
	time_t begin = time(NULL);

	while (commands_running(b->all) && time(NULL) < begin + 20)
		loop_poll(b->loop, MS(10));
	assert_int_equal(commands_running(b->all), 0);
}

static void its_input_and_output_are_the_stream(void **state)
{
	struct bench *b = *state;
	int fd = run(b, "tr a-z A-Z");
	char buf[100];

	assert_int_equal(send(fd, "hello\n", 6, 0), 6);
	shutdown(fd, SHUT_WR);
	take(b, fd, buf, sizeof(buf), sizeof(buf));
	assert_string_equal(buf, "HELLO\n");
	wait_until_all_ended(b);
	close(fd);
}

/* Ends without having read all: what it wrote arrives, and then an end, not a reset. */
static void last_words_arrive_though_input_was_left_unread(void **state)
{
	struct bench *b = *state;
	int fd = run(b, "dd bs=1 count=3 2>/dev/null; echo done");
	char buf[100], data[20000];
	ssize_t n;

	memset(data, 'x', sizeof(data));
	assert_int_equal(send(fd, data, sizeof(data), 0), sizeof(data));
	wait_until_all_ended(b);
	take(b, fd, buf, sizeof(buf), 8);
	assert_string_equal(buf, "xxxdone\n");
	n = recv(fd, buf, sizeof(buf), 0);
	assert_int_equal(n, 0);
	close(fd);
}

static void only_three_descriptors_are_open_in_it(void **state)
{
	struct bench *b = *state;
	int leak = dup(0), fd;
	char buf[200];

	fd = run(b, "for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do [ -e /proc/$$/fd/$i ] && echo -n $i,; done");
	take(b, fd, buf, sizeof(buf), sizeof(buf));
	/* a shell may keep its own copies beyond 9 */
	assert_int_equal(strncmp(buf, "0,1,2,", 6), 0);
	assert_null(strstr(buf, ",3,"));
	assert_null(strstr(buf, ",4,"));
	close(leak);
	close(fd);
}

static void its_signals_are_as_a_fresh_process_has_them(void **state)
{
	struct bench *b = *state;
	sigset_t set, old;
	char buf[100];
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	fd = run(b, "grep -E 'SigBlk|SigIgn' /proc/self/status | tr -d '\\n\\t'");
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, SIG_DFL);
	take(b, fd, buf, sizeof(buf), sizeof(buf));
	/* the C library keeps two real-time signals for itself */
	assert_int_equal(strncmp(buf, "SigBlk:0000000000000000SigIgn:", 30), 0);
	assert_int_equal(strtoull(buf + 30, NULL, 16) & 0x7fffffff, 0);
	close(fd);
}

/* Our standard error for a while. */
static int old_errors;

static int catch_errors(void)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	fflush(stderr);
	old_errors = dup(2);
	dup2(ends[1], 2);
	close(ends[1]);
	return ends[0];
}

static size_t caught_errors(int fd, char *buf, size_t room)
{
	size_t got = 0;
	ssize_t n;

	fflush(stderr);
	dup2(old_errors, 2);
	close(old_errors);
	while (got < room - 1 && (n = read(fd, buf + got, room - 1 - got)) > 0)
		got += (size_t)n;
	buf[got] = '\0';
	close(fd);
	return got;
}

static void lines_of_its_standard_error_go_to_the_user(void **state)
{
	struct bench *b = *state;
	int errors = catch_errors(), fd = run(b, "printf 'one\\n\\033[31mtwo\\nno end' >&2");
	char buf[1000];

	wait_until_all_ended(b);
	caught_errors(errors, buf, sizeof(buf));
	assert_non_null(strstr(buf, "' >&2': one\n"));
	assert_non_null(strstr(buf, ": ?[31mtwo\n"));
	assert_non_null(strstr(buf, ": no end\n"));
	close(fd);
}

static void a_flood_of_lines_is_cut_off(void **state)
{
	struct bench *b = *state;
	int errors = catch_errors(), fd = run(b, "i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done");
	static char buf[400000];
	unsigned lines = 0;

	wait_until_all_ended(b);
	caught_errors(errors, buf, sizeof(buf));
	for (char *p = buf; (p = strchr(p, '\n')); p++)
		lines++;
	assert_true(lines >= 20 && lines <= 200);
	close(fd);
}

static void no_more_than_so_many_run_at_a_time(void **state)
{
	struct bench *b = *state;
	int fds[COMMANDS];

	for (int i = 0; i < COMMANDS; i++)
		fds[i] = run(b, "exec cat");
	assert_int_equal(commands_run(&b->all, b->loop, "true"), -EAGAIN);
	for (int i = 0; i < COMMANDS; i++)
		close(fds[i]);
	/* a closed stream is the end of its input: they go */
	wait_until_all_ended(b);
	close(run(b, "true"));
}

static void a_stream_that_is_closed_hangs_up(void **state)
{
	struct bench *b = *state;
	int fds[2] = { run(b, "sleep 1000; true"), run(b, "trap '' HUP; while read line; do :; done; sleep 0.1") };

	close(fds[0]);
	close(fds[1]);
	wait_until_all_ended(b);
	/* but the end of what we say is no hang-up: it may have an answer yet */
	fds[0] = run(b, "while read line; do :; done; sleep 0.2; echo answer");
	shutdown(fds[0], SHUT_WR);
	wait_until_all_ended(b);
	assert_int_equal(recv(fds[0], (char[10]){ 0 }, 10, 0), 7);
	close(fds[0]);
}

static void all_go_with_the_network_even_those_that_do_not_want_to(void **state)
{
	struct bench *b = *state;
	int plain = run(b, "sleep 1000; true"), stubborn = run(b, "trap '' TERM; echo ready; sleep 1000 & while :; do sleep 1; done");
	struct timespec before, after;
	char buf[20];

	take(b, stubborn, buf, sizeof(buf), 6);
	clock_gettime(CLOCK_MONOTONIC, &before);
	commands_free(b->all);
	b->all = NULL;
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 5);
	close(plain);
	close(stubborn);
}

/* A process left in the background keeps the pipe open: the command is over all the same. */
static void what_it_leaves_behind_does_not_hold_us_up(void **state)
{
	struct bench *b = *state;
	int fd = run(b, "(exec </dev/null >/dev/null; sleep 2) & echo x");
	char buf[20];

	wait_until_all_ended(b);
	take(b, fd, buf, sizeof(buf), sizeof(buf));
	assert_string_equal(buf, "x\n");
	close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(its_input_and_output_are_the_stream),
		TEST(last_words_arrive_though_input_was_left_unread),
		TEST(only_three_descriptors_are_open_in_it),
		TEST(its_signals_are_as_a_fresh_process_has_them),
		TEST(lines_of_its_standard_error_go_to_the_user),
		TEST(a_flood_of_lines_is_cut_off),
		TEST(no_more_than_so_many_run_at_a_time),
		TEST(a_stream_that_is_closed_hangs_up),
		TEST(all_go_with_the_network_even_those_that_do_not_want_to),
		TEST(what_it_leaves_behind_does_not_hold_us_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
