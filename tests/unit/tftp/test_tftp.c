/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/fake_clock.h"
#include "tftp/tftp.h"

enum { RRQ = 1, WRQ, DATA, ACK, ERROR, OACK, KEPT = 200 };

struct sent {
	struct tftp_peer to;
	uint16_t port, op, block;
	size_t len;                     /* of the data */
	uint8_t data[70000];
};

struct bench {
	struct fake_clock clock;
	struct tftp *t;
	struct tftp_peer peer;
	struct sent last;
	unsigned count;                 /* datagrams sent */
	uint16_t blocks[KEPT];          /* of the DATA among them */
	unsigned data_count;
	uint8_t *file;
	uint64_t size;
	int open_files;
	uint16_t seed;
};

static int file_open(void *owner, const char *name, uint64_t *size)
{
	struct bench *b = owner;

	if (strcmp(name, "f"))
		return strcmp(name, "secret") ? -ENOENT : -EACCES;
	*size = b->size;
	b->open_files++;
	return 7;
}

static ssize_t file_read(void *owner, int file, uint64_t offset, void *buf, size_t len)
{
	struct bench *b = owner;
	size_t n = offset < b->size ? MIN(len, b->size - offset) : 0;

	assert_int_equal(file, 7);
	if (!b->file)
		for (size_t i = 0; i < n; i++)
			((uint8_t *)buf)[i] = (uint8_t)((offset + i) * 7 + ((offset + i) >> 9));
	else
		memcpy(buf, b->file + offset, n);
	return (ssize_t)n;
}

static void file_close(void *owner, int file)
{
	(void)file;
	((struct bench *)owner)->open_files--;
}

static const struct tftp_files files = { file_open, file_read, file_close };

static void send_(void *owner, const struct tftp_peer *to, uint16_t from_port, const void *data, size_t len)
{
	struct bench *b = owner;
	const uint8_t *p = data;

	b->count++;
	b->last.to = *to;
	b->last.port = from_port;
	b->last.op = be16(p);
	b->last.block = b->last.op == OACK ? 0 : be16(p + 2);
	b->last.len = len - (b->last.op == OACK ? 2 : 4);
	memcpy(b->last.data, p + (b->last.op == OACK ? 2 : 4), b->last.len);
	if (b->last.op == DATA)
		b->blocks[b->data_count++ % KEPT] = b->last.block;
}

static void random_(void *owner, void *buf, size_t len)
{
	struct bench *b = owner;

	b->seed = (uint16_t)(b->seed * 25173 + 13849);
	memcpy(buf, &b->seed, len);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	fake_clock_init(&b->clock);
	b->t = tftp_new(&(struct tftp_config){ .clock = b->clock.clock, .files = &files, .files_owner = b, .send = send_,
					       .random = random_, .owner = b });
	b->peer = (struct tftp_peer){ { 10, 0, 2, 15 }, 2000, 1472 };
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	tftp_free(b->t);
	assert_int_equal(b->open_files, 0);
	fake_clock_free(&b->clock);
	free(b->file);
	free(b);
	return 0;
}

/* A request; options as "name\0value\0...". */
static void ask(struct bench *b, uint16_t op, const char *name, const char *mode, const char *options, size_t options_len)
{
	uint8_t m[1000];
	size_t n = 2;

	put_be16(m, op);
	n += (size_t)sprintf((char *)m + n, "%s%c%s", name, 0, mode) + 1;
	memcpy(m + n, options, options_len);
	tftp_input(b->t, &b->peer, TFTP_PORT, m, n + options_len);
}

static void ack(struct bench *b, uint16_t block)
{
	uint8_t m[4];

	put_be16(m, ACK);
	put_be16(m + 2, block);
	tftp_input(b->t, &b->peer, b->last.port, m, 4);
}

/* The whole file in `got` bytes, checked against the pattern. */
static uint64_t fetch(struct bench *b, size_t block_size)
{
	uint64_t got = 0;

	if (b->last.op == OACK)
		ack(b, 0);
	for (uint16_t block = 1;; block++) {
		size_t len = b->last.len;

		assert_int_equal(b->last.op, DATA);
		assert_int_equal(b->last.block, block);
		for (size_t i = 0; i < len && !b->file; i += 97)
			assert_int_equal(b->last.data[i], (uint8_t)((got + i) * 7 + ((got + i) >> 9)));
		got += len;
		ack(b, block);
		if (len < block_size)
			break;
	}
	return got;
}

static void files_of_every_awkward_size_arrive(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 511, 512, 513, 1023, 1024, 1428, 1 << 20, 33554432, 33554432 + 700 };
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {        /* the last two wrap the block number */
		b->size = sizes[i];
		ask(b, RRQ, "f", "octet", "", 0);
		assert_int_equal(fetch(b, 512), sizes[i]);
		assert_int_equal(tftp_sessions(b->t), 0);
		assert_int_equal(b->open_files, 0);
	}
}

static void blocks_fit_the_way_to_the_client(void **state)
{
	static const struct { uint16_t room; const char *size; } cases[] = { { 1472, "1468" }, { 1452, "1448" }, { 65492, "65464" }, { 548, "544" } };
	struct bench *b = *state;

	b->size = 100;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		b->peer.room = cases[i].room;
		ask(b, RRQ, "f", "octet", "blksize\0" "65464", 14);
		assert_int_equal(b->last.op, OACK);
		assert_string_equal((char *)b->last.data + 8, cases[i].size);
	}
}

/* Loaders that take no other port for an answer. */
static void a_single_port_serves_several_clients(void **state)
{
	struct bench *b = *state;
	struct tftp_peer other = { { 10, 0, 2, 16 }, 2000, 1472 }, first = b->peer;

	tftp_free(b->t);
	b->t = tftp_new(&(struct tftp_config){ .clock = b->clock.clock, .files = &files, .files_owner = b, .send = send_,
					       .random = random_, .owner = b, .single_port = true });
	b->size = 1100;
	ask(b, RRQ, "f", "octet", "", 0);
	assert_int_equal(b->last.port, TFTP_PORT);
	b->peer = other;
	ask(b, RRQ, "f", "octet", "", 0);
	ack(b, 1);
	assert_int_equal(b->last.block, 2);
	assert_int_equal(b->last.to.address[3], 16);
	b->peer = first;
	ack(b, 1);
	assert_int_equal(b->last.block, 2);
	assert_int_equal(b->last.to.address[3], 15);
	ack(b, 2);
	assert_int_equal(b->last.len, 1100 - 1024);
	ack(b, 3);
	assert_int_equal(tftp_sessions(b->t), 1);
	/* one who has no transfer is not heard */
	b->peer.port = 2001;
	b->count = 0;
	ack(b, 1);
	assert_int_equal(b->count, 0);
	b->peer = other;
	ack(b, 2);
	ack(b, 3);
	assert_int_equal(tftp_sessions(b->t), 0);
}

static void transfers_have_ports_of_their_own(void **state)
{
	struct bench *b = *state;
	uint16_t first;

	b->size = 5000;
	ask(b, RRQ, "f", "OCTET", "", 0);
	first = b->last.port;
	assert_true(first >= 49152);
	b->peer.port++;
	ask(b, RRQ, "f", "octet", "", 0);
	assert_int_not_equal(b->last.port, first);
	assert_int_equal(tftp_sessions(b->t), 2);
}

static void options_are_negotiated(void **state)
{
	static const char options[] = "blksize\0" "1428\0TSIZE\0" "0\0timeout\0" "3\0windowsize\0" "4\0nonsense\0" "9";
	static const char answer[] = "blksize\0" "1428\0tsize\0" "9000\0timeout\0" "3\0windowsize\0" "4";
	struct bench *b = *state;

	b->size = 9000;
	ask(b, RRQ, "f", "octet", options, sizeof(options));
	assert_int_equal(b->last.op, OACK);
	assert_int_equal(b->last.len, sizeof(answer));
	assert_memory_equal(b->last.data, answer, sizeof(answer));
	ack(b, 0);
	assert_int_equal(b->data_count, 4);             /* a window */
	assert_int_equal(b->last.block, 4);
	assert_int_equal(b->last.len, 1428);
	ack(b, 2);                                      /* 3 was lost */
	assert_int_equal(b->data_count, 8);
	assert_int_equal(b->blocks[4], 3);
	assert_int_equal(b->last.block, 6);
	ack(b, 6);
	assert_int_equal(b->last.block, 7);
	assert_int_equal(b->last.len, 9000 - 6 * 1428);
	ack(b, 7);
	assert_int_equal(tftp_sessions(b->t), 0);
}

static void odd_option_values_are_clamped_or_not_answered(void **state)
{
	static const struct { const char *text; size_t len; const char *answer; size_t answer_len; } cases[] = {
#define S_(x) x, sizeof(x)
		{ S_("blksize\0" "65464"), S_("blksize\0" "1468") }, { S_("blksize\0" "8"), S_("blksize\0" "8") },
		{ S_("blksize\0" "7"), "", 0 }, { S_("blksize\0" "x"), "", 0 }, { S_("blksize\0" "-1"), "", 0 },
		{ S_("timeout\0" "0"), "", 0 }, { S_("timeout\0" "256"), "", 0 }, { S_("windowsize\0" "0"), "", 0 },
		{ S_("windowsize\0" "65535"), S_("windowsize\0" "64") },
		{ S_("blksize\0" "99999999999999999999999999"), "", 0 }, { "blksize\0" "512", 11, "", 0 }, { "blksize", 8, "", 0 },
		{ S_("blksize\0" "600\0blksize\0" "700"), S_("blksize\0" "600") },
#undef S_
	};
	struct bench *b = *state;

	b->size = 10;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ask(b, RRQ, "f", "octet", cases[i].text, cases[i].len);
		if (cases[i].answer_len) {
			assert_int_equal(b->last.op, OACK);
			assert_int_equal(b->last.len, cases[i].answer_len);
			assert_memory_equal(b->last.data, cases[i].answer, cases[i].answer_len);
		} else {
			assert_int_equal(b->last.op, DATA);
		}
	}
}

static void netascii_ends_lines_with_cr_lf_and_has_no_tsize(void **state)
{
	static const char options[] = "tsize\0" "0\0blksize\0" "8";
	static const char expected[] = "one\r\ntwo\r\0three\r\n\r\n";
	struct bench *b = *state;
	uint8_t got[100];
	size_t n = 0;

	b->file = (uint8_t *)strdup("one\ntwo\rthree\n\n");
	b->size = strlen((char *)b->file);
	ask(b, RRQ, "f", "netascii", options, sizeof(options));
	assert_int_equal(b->last.op, OACK);
	assert_int_equal(b->last.len, 10);
	ack(b, 0);
	for (uint16_t block = 1;; block++) {
		assert_int_equal(b->last.block, block);
		memcpy(got + n, b->last.data, b->last.len);
		n += b->last.len;
		if (b->last.len < 8)
			break;
		fake_clock_advance(&b->clock, S(2));    /* made again, a block is the same */
		assert_memory_equal(b->last.data, got + n - 8, 8);
		ack(b, block);
	}
	assert_int_equal(n, sizeof(expected) - 1);
	assert_memory_equal(got, expected, n);
}

static void a_lost_packet_is_sent_again_five_times(void **state)
{
	struct bench *b = *state;

	b->size = 2000;
	ask(b, RRQ, "f", "octet", "", 0);
	assert_int_equal(b->count, 1);
	fake_clock_advance(&b->clock, MS(1100));
	assert_int_equal(b->count, 2);
	assert_int_equal(b->last.block, 1);
	fake_clock_advance(&b->clock, S(100));
	assert_int_equal(b->count, 6);
	assert_int_equal(tftp_sessions(b->t), 0);
}

static void a_duplicate_ack_sends_nothing_twice(void **state)
{
	struct bench *b = *state;

	b->size = 5000;
	ask(b, RRQ, "f", "octet", "", 0);
	ack(b, 1);
	assert_int_equal(b->count, 2);
	ack(b, 1);
	ack(b, 0);
	ack(b, 77);
	ack(b, 65535);
	assert_int_equal(b->count, 2);
	assert_int_equal(b->last.block, 2);
}

static void a_stranger_is_told_so_and_the_transfer_goes_on(void **state)
{
	struct bench *b = *state;
	uint16_t port;

	b->size = 5000;
	ask(b, RRQ, "f", "octet", "", 0);
	port = b->last.port;
	b->peer.address[3]++;
	ack(b, 1);
	assert_int_equal(b->last.op, ERROR);
	assert_int_equal(b->last.block, 5);
	b->peer.address[3]--;
	ack(b, 1);
	assert_int_equal(b->last.op, DATA);
	assert_int_equal(b->last.block, 2);
	assert_int_equal(b->last.port, port);
	tftp_input(b->t, &b->peer, port, "\0\5\0\0\0", 5);
	assert_int_equal(tftp_sessions(b->t), 0);
	assert_false(tftp_input(b->t, &b->peer, port, "\0\4\0\1", 4));
}

static void bad_requests_get_the_errors_of_the_rfc(void **state)
{
	struct bench *b = *state;
	char longer[600];

	memset(longer, 'x', sizeof(longer));
	longer[599] = '\0';
	ask(b, RRQ, "missing", "octet", "", 0);
	assert_int_equal(b->last.block, 1);
	ask(b, RRQ, "secret", "octet", "", 0);
	assert_int_equal(b->last.block, 2);
	ask(b, RRQ, "f", "mail", "", 0);
	assert_int_equal(b->last.block, 4);
	ask(b, WRQ, "f", "octet", "", 0);
	assert_int_equal(b->last.op, ERROR);
	assert_int_equal(b->last.block, 2);
	ask(b, RRQ, "", "octet", "", 0);
	assert_int_equal(b->last.block, 2);
	ask(b, RRQ, longer, "octet", "", 0);
	assert_int_equal(b->last.block, 2);
	b->count = 0;
	for (size_t n = 0; n < 9; n++) {                /* no NUL within the packet */
		uint8_t *m = malloc(9);

		memcpy(m, "\0\1f\0octet", 9);
		tftp_input(b->t, &b->peer, TFTP_PORT, m, n);
		free(m);
	}
	assert_int_equal(tftp_sessions(b->t), 0);
}

static void sixty_four_transfers_and_then_the_idlest_goes(void **state)
{
	struct bench *b = *state;

	b->size = 5000;
	for (int i = 0; i < 10000; i++) {
		b->peer.port = (uint16_t)(1000 + i);
		ask(b, RRQ, "f", "octet", "", 0);
		assert_int_equal(b->last.op, DATA);
	}
	assert_int_equal(tftp_sessions(b->t), 64);
	assert_int_equal(b->open_files, 64);
	for (int i = 0; i < 10; i++)                    /* the same client, again and again: one transfer */
		ask(b, RRQ, "f", "octet", "", 0);
	assert_int_equal(tftp_sessions(b->t), 64);
	assert_int_equal(fetch(b, 512), 5000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_of_every_awkward_size_arrive),
		TEST(blocks_fit_the_way_to_the_client),
		TEST(a_single_port_serves_several_clients),
		TEST(transfers_have_ports_of_their_own),
		TEST(options_are_negotiated),
		TEST(odd_option_values_are_clamped_or_not_answered),
		TEST(netascii_ends_lines_with_cr_lf_and_has_no_tsize),
		TEST(a_lost_packet_is_sent_again_five_times),
		TEST(a_duplicate_ack_sends_nothing_twice),
		TEST(a_stranger_is_told_so_and_the_transfer_goes_on),
		TEST(bad_requests_get_the_errors_of_the_rfc),
		TEST(sixty_four_transfers_and_then_the_idlest_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
