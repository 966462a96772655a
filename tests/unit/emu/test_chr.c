/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "emu/chr.h"
#include "emu/run.h"

/* A device at the end of a stream: takes `room` bytes at most. */
struct user {
	struct chardev *dev;
	char got[512];
	size_t len, room;
	int breaks, writable;
};

struct bench {
	struct run *run;
	struct chr *chr;
	struct user users[2];
	int peer;
	int quits, saves;
	struct err err;
};

static size_t can_receive(void *owner)
{
	struct user *u = owner;

	return u->room - u->len;
}

static void receive(void *owner, const uint8_t *buf, size_t len)
{
	struct user *u = owner;

	assert_true(len <= u->room - u->len);
	memcpy(u->got + u->len, buf, len);
	u->len += len;
}

static void writable(void *owner) { ((struct user *)owner)->writable++; }
static void break_in(void *owner) { ((struct user *)owner)->breaks++; }

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->run = run_new(&(struct run_config){ .stopped = true }, NULL);
	b->peer = -1;
	*state = b;
	return b->run ? 0 : -1;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	chr_free(b->chr);
	run_free(b->run);
	if (b->peer >= 0)
		close(b->peer);
	free(b);
	return 0;
}

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

static void attach(struct bench *b, unsigned i)
{
	static const struct chardev_user ops = { can_receive, receive, writable, break_in };
	struct user *u = &b->users[i];

	u->dev = chr_attach(b->chr, "user", NULL, &b->err);
	assert_non_null(u->dev);
	u->dev->user = &ops;
	u->dev->owner = u;
	u->room = sizeof(u->got);
	u->dev->accept_input(u->dev);
}

/* A server on a Unix socket with us as its peer. */
static void open_socket(struct bench *b, const char *more)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "test_chr.sock" };
	char text[200];
	struct opts o;

	snprintf(text, sizeof(text), "socket,id=c,path=test_chr.sock,server=on,wait=off%s", more);
	assert_true(opts_parse(&o, text, "backend", &b->err));
	b->chr = chr_new(b->run, &o, &b->err);
	opts_free(&o);
	assert_non_null(b->chr);
	b->peer = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(b->peer, (struct sockaddr *)&a, sizeof(a)), 0);
	turn(b);
}

static void type(struct bench *b, const char *text, size_t len)
{
	assert_int_equal(send(b->peer, text, len, 0), len);
	turn(b);
}

static void expect(struct bench *b, const char *text)
{
	char buf[1024];
	ssize_t n;

	turn(b);
	n = recv(b->peer, buf, sizeof(buf) - 1, 0);
	buf[n > 0 ? n : 0] = '\0';
	assert_string_equal(buf, text);
}

static void legacy_words_become_option_lists(void **state)
{
	static const struct { const char *word, *key, *value; } cases[] = {
		{ "stdio", "backend", "stdio" }, { "mon:stdio", "mux", "on" }, { "null", "backend", "null" }, { "none", "backend", "null" },
		{ "vc", "backend", "null" }, { "pty", "backend", "pty" }, { "file:a,,b", "path", "a,b" }, { "/dev/ttyS9", "backend", "serial" },
		{ "pipe:p", "path", "p" }, { "unix:s,server,nowait", "wait", "off" }, { "tcp:1.2.3.4:55", "port", "55" },
		{ "tcp::55,server=on", "host", "" }, { "telnet:[::1]:55", "host", "[::1]" }, { "telnet:h:1", "telnet", "on" },
		{ "stdio,signal=off", "signal", "off" }, { "tcp:h:1", "id", "x" },
	};
	static const char *const bad[] = { "foo", "tcp:55", "tcp:", "stdiox", "" };
	struct err err;
	struct opts o;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *value;

		assert_true(chr_legacy(cases[i].word, "x", &o, &err));
		value = opts_get(&o, cases[i].key);
		if (!value || strcmp(value, cases[i].value))
			fail_msg("'%s': %s is '%s'", cases[i].word, cases[i].key, value ? value : "(none)");
		opts_free(&o);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(chr_legacy(bad[i], "x", &o, &err));
}

static void bytes_go_both_ways_over_a_socket(void **state)
{
	struct bench *b = *state;

	open_socket(b, "");
	attach(b, 0);
	assert_int_equal(b->users[0].dev->write(b->users[0].dev, "hello", 5), 5);
	expect(b, "hello");
	type(b, "there", 5);
	assert_int_equal(b->users[0].len, 5);
	assert_memory_equal(b->users[0].got, "there", 5);
}

static void input_waits_until_the_user_has_room(void **state)
{
	struct bench *b = *state;

	open_socket(b, "");
	attach(b, 0);
	b->users[0].room = 3;
	type(b, "abcdef", 6);
	assert_int_equal(b->users[0].len, 3);
	b->users[0].room = 6;
	b->users[0].dev->accept_input(b->users[0].dev);
	turn(b);
	assert_memory_equal(b->users[0].got, "abcdef", 6);
}

static void a_full_ring_makes_the_user_wait(void **state)
{
	struct bench *b = *state;
	char *big = calloc(1, 1 << 20), *in = malloc(1 << 20);
	size_t taken, got = 0;

	open_socket(b, "");
	attach(b, 0);
	taken = b->users[0].dev->write(b->users[0].dev, big, 1 << 20);
	assert_true(taken > 0 && taken < 1 << 20);
	assert_int_equal(b->users[0].writable, 0);
	for (int i = 0; i < 200 && got < taken; i++) {
		ssize_t n;

		turn(b);
		n = recv(b->peer, in, 1 << 20, 0);
		got += n > 0 ? (size_t)n : 0;
	}
	assert_int_equal(got, taken);
	turn(b);
	assert_int_equal(b->users[0].writable, 1);
	free(big);
	free(in);
}

static void without_a_peer_output_vanishes_and_the_next_peer_is_served(void **state)
{
	struct bench *b = *state;
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "test_chr.sock" };

	open_socket(b, "");
	attach(b, 0);
	close(b->peer);
	turn(b);
	assert_int_equal(b->users[0].dev->write(b->users[0].dev, "lost", 4), 4);
	b->peer = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(b->peer, (struct sockaddr *)&a, sizeof(a)), 0);
	turn(b);
	b->users[0].dev->write(b->users[0].dev, "seen", 4);
	expect(b, "seen");
}

static void telnet_commands_are_no_input(void **state)
{
	struct bench *b = *state;

	open_socket(b, ",telnet=on");
	attach(b, 0);
	expect(b, "\xff\xfb\x01\xff\xfb\x03");
	type(b, "a\xff\xfd\x01" "b\xff\xfa\x18\x00z\xff\xf0" "c\xff\xff" "d\xff\xf3", 18);
	assert_int_equal(b->users[0].len, 5);
	assert_memory_equal(b->users[0].got, "abc\xff" "d", 5);
	assert_int_equal(b->users[0].breaks, 1);
}

static void quit(void *owner) { ((struct bench *)owner)->quits++; }
static void save(void *owner) { ((struct bench *)owner)->saves++; }

static void the_multiplexer_obeys_ctrl_a(void **state)
{
	struct bench *b = *state;

	open_socket(b, ",mux=on");
	attach(b, 0);
	attach(b, 1);
	chr_set_menu(b->chr, &(struct chr_menu){ quit, save, b });
	type(b, "one\x01" "ctwo\x01" "cx\x01\x01", 13);
	assert_int_equal(b->users[0].len, 5);           /* the first has the keys at first */
	assert_memory_equal(b->users[0].got, "onex\x01", 5);
	assert_memory_equal(b->users[1].got, "two", 3);
	type(b, "\x01" "b\x01s", 4);
	assert_int_equal(b->users[0].breaks, 1);
	assert_int_equal(b->saves, 1);
	type(b, "\x01x", 2);
	assert_int_equal(b->quits, 1);
	expect(b, "tenbox: Terminated\r\n");
}

static void input_for_a_full_user_does_not_block_the_menu_keys(void **state)
{
	struct bench *b = *state;

	open_socket(b, ",mux=on");
	attach(b, 0);
	chr_set_menu(b->chr, &(struct chr_menu){ quit, save, b });
	b->users[0].room = 0;
	type(b, "stuck\x01x", 7);
	assert_int_equal(b->quits, 1);
}

static void time_stamps_begin_each_line(void **state)
{
	struct bench *b = *state;

	open_socket(b, ",mux=on");
	attach(b, 0);
	type(b, "\x01t", 2);
	b->users[0].dev->write(b->users[0].dev, "a\nb", 3);
	expect(b, "[00:00:00.000] a\n[00:00:00.000] b");
}

static void a_stream_without_mux_has_one_user(void **state)
{
	struct bench *b = *state;

	open_socket(b, "");
	attach(b, 0);
	assert_null(chr_attach(b->chr, "other", NULL, &b->err));
	assert_string_equal(b->err.text, "Chardev 'c' is in use (mux=on lets it be shared)");
}

static void bad_streams_are_refused(void **state)
{
	static const struct { const char *text, *why; } cases[] = {
		{ "foo,id=a", "'foo' is not a valid char driver name (null, file, pipe, pty, serial, socket, stdio)" },
		{ "null", "chardev: no id specified" },
		{ "null,id=0", "Parameter 'id' expects an identifier, not '0'" },
		{ "null,id=a,bogus=1", "Invalid parameter 'bogus'" },
		{ "file,id=a", "chardev: no filename given (path=FILE)" },
		{ "file,id=a,path=no_such_folder/x", "cannot write to 'no_such_folder/x': No such file or directory" },
		{ "socket,id=a", "chardev: socket needs path=FILE or host=HOST,port=PORT" },
		{ "socket,id=a,path=no_such_socket", "cannot connect to 'no_such_socket': No such file or directory" },
		{ "socket,id=a,host=127.0.0.1,port=none", "address '127.0.0.1:none': Servname not supported for ai_socktype" },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct opts o;

		assert_true(opts_parse(&o, cases[i].text, "backend", NULL));
		assert_null(chr_new(b->run, &o, &b->err));
		assert_string_equal(b->err.text, cases[i].why);
		opts_free(&o);
	}
}

static void a_socket_file_is_gone_afterwards(void **state)
{
	struct bench *b = *state;

	open_socket(b, "");
	chr_free(b->chr);
	b->chr = NULL;
	assert_int_equal(access("test_chr.sock", F_OK), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(legacy_words_become_option_lists),
		TEST(bytes_go_both_ways_over_a_socket),
		TEST(input_waits_until_the_user_has_room),
		TEST(a_full_ring_makes_the_user_wait),
		TEST(without_a_peer_output_vanishes_and_the_next_peer_is_served),
		TEST(telnet_commands_are_no_input),
		TEST(the_multiplexer_obeys_ctrl_a),
		TEST(input_for_a_full_user_does_not_block_the_menu_keys),
		TEST(time_stamps_begin_each_line),
		TEST(a_stream_without_mux_has_one_user),
		TEST(bad_streams_are_refused),
		TEST(a_socket_file_is_gone_afterwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
