/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "emu/chr.h"
#include "emu/guest_stream.h"
#include "emu/run.h"

enum { MUCH = 1 << 20 };

struct bench {
	struct run *run;
	struct chr *chr;
	struct guest_stream *stream;
	int peer;
	struct err err;
};

static void turn(struct bench *b)
{
	for (int i = 0; i < 20; i++) {
		run_lock(b->run);
		clock_run(run_clock(b->run));
		run_unlock(b->run);
		clock_run(run_loop_clock(b->run));
		loop_poll(run_loop(b->run), 0);
	}
}

static void connect_peer(struct bench *b)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "test_guest_stream.sock" };

	b->peer = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(b->peer, (struct sockaddr *)&a, sizeof(a)), 0);
	turn(b);
}

static struct chr *make(struct bench *b, const char *text)
{
	struct opts o;
	struct chr *c;

	assert_true(opts_parse(&o, text, "backend", &b->err));
	c = chr_new(b->run, &o, &b->err);
	opts_free(&o);
	assert_non_null(c);
	return c;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->run = run_new(&(struct run_config){ .stopped = true }, NULL);
	b->chr = make(b, "socket,id=c,path=test_guest_stream.sock,server=on,wait=off");
	b->stream = guest_stream_new(b->run, b->chr, &b->err);
	assert_non_null(b->stream);
	connect_peer(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	guest_stream_free(b->stream);
	chr_free(b->chr);
	run_free(b->run);
	close(b->peer);
	unlink("test_guest_stream.sock");
	free(b);
	return 0;
}

static void expect(int fd, const char *text)
{
	char buf[100];
	ssize_t n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

	buf[n > 0 ? n : 0] = '\0';
	assert_string_equal(buf, text);
}

static void bytes_go_both_ways(void **state)
{
	struct bench *b = *state;
	int fd = guest_stream_connect(b->stream);

	assert_true(fd >= 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK));
	send(fd, "from the guest", 14, 0);
	turn(b);
	expect(b->peer, "from the guest");
	send(b->peer, "to the guest", 12, 0);
	turn(b);
	expect(fd, "to the guest");
	close(fd);
}

static void one_connection_at_a_time(void **state)
{
	struct bench *b = *state;
	int fd = guest_stream_connect(b->stream);

	assert_int_equal(guest_stream_connect(b->stream), -EBUSY);
	send(fd, "bye", 3, 0);
	close(fd);
	turn(b);
	expect(b->peer, "bye");
	/* what comes meanwhile waits for the next one */
	send(b->peer, "hello", 5, 0);
	turn(b);
	fd = guest_stream_connect(b->stream);
	assert_true(fd >= 0);
	turn(b);
	expect(fd, "hello");
	close(fd);
}

static void without_a_far_end_it_is_refused(void **state)
{
	struct bench *b = *state;
	int fd = guest_stream_connect(b->stream);
	char buf[10];

	close(b->peer);
	turn(b);
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), 0);
	close(fd);
	assert_int_equal(guest_stream_connect(b->stream), -ECONNREFUSED);
	connect_peer(b);
	fd = guest_stream_connect(b->stream);
	assert_true(fd >= 0);
	close(fd);
}

/* Neither side reads for a while; nothing is lost, and nothing spins. */
static void each_side_waits_for_the_other(void **state)
{
	struct bench *b = *state;
	int fd = guest_stream_connect(b->stream), from[2] = { fd, b->peer }, to[2] = { b->peer, fd };
	static uint8_t data[MUCH], got[MUCH];

	for (size_t i = 0; i < MUCH; i++)
		data[i] = (uint8_t)(i * 31 >> 7);
	for (int way = 0; way < 2; way++) {
		size_t sent = 0, received = 0;

		for (int idle = 0; received < MUCH && idle < 1000; idle++) {
			ssize_t n = sent < MUCH ? send(from[way], data + sent, MUCH - sent, MSG_DONTWAIT) : 0;

			sent += n > 0 ? (size_t)n : 0;
			turn(b);
			if (idle < 5)
				continue;
			n = recv(to[way], got + received, MIN(MUCH - received, 50000), MSG_DONTWAIT);
			received += n > 0 ? (size_t)n : 0;
		}
		assert_int_equal(received, MUCH);
		assert_memory_equal(got, data, MUCH);
		assert_int_equal(loop_poll(run_loop(b->run), 0), 0);
	}
	close(fd);
}

/* The guest goes while the far end is slow: all that it said still arrives. */
static void what_was_said_before_the_end_arrives(void **state)
{
	struct bench *b = *state;
	int fd = guest_stream_connect(b->stream);
	static uint8_t data[150000], got[150000];
	size_t received = 0;

	memset(data, 'x', sizeof(data));
	assert_int_equal(send(fd, data, sizeof(data), MSG_DONTWAIT), sizeof(data));
	close(fd);
	for (int i = 0; i < 1000 && received < sizeof(data); i++) {
		ssize_t n;

		turn(b);
		n = recv(b->peer, got + received, MIN(sizeof(got) - received, 5000), MSG_DONTWAIT);
		received += n > 0 ? (size_t)n : 0;
	}
	assert_int_equal(received, sizeof(data));
	turn(b);
	fd = guest_stream_connect(b->stream);
	assert_true(fd >= 0);
	close(fd);
}

static void a_stream_that_is_in_use_is_not_taken(void **state)
{
	struct bench *b = *state;

	assert_null(guest_stream_new(b->run, b->chr, &b->err));
	assert_string_equal(b->err.text, "Chardev 'c' is in use (mux=on lets it be shared)");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_go_both_ways),
		TEST(one_connection_at_a_time),
		TEST(without_a_far_end_it_is_refused),
		TEST(each_side_waits_for_the_other),
		TEST(what_was_said_before_the_end_arrives),
		TEST(a_stream_that_is_in_use_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
