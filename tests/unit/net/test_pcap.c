/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "net/pcap.h"
#include "tests/fake/fake_clock.h"
#include "tests/fake/fake_end.h"

struct bench {
	char path[64];
	struct fake_clock clock;
	struct fake_end a, b;
	struct pcap *pcap;
	uint8_t file[200000];
	size_t len;
};

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));
	int fd;

	strcpy(t->path, "/tmp/test_pcap.XXXXXX");
	fd = mkstemp(t->path);
	assert_true(fd >= 0);
	close(fd);
	fake_clock_init(&t->clock);
	fake_end_init(&t->a);
	fake_end_init(&t->b);
	port_join(&t->a.port, &t->b.port);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	pcap_free(t->pcap);
	fake_end_free(&t->a);
	fake_end_free(&t->b);
	fake_clock_free(&t->clock);
	unlink(t->path);
	free(t);
	return 0;
}

static struct pcap *capture_to(struct bench *t, const char *path, uint32_t maxlen, int direction, struct err *err)
{
	return pcap_new(&(struct pcap_config){ .path = path, .maxlen = maxlen, .clock = t->clock.clock,
		.base_ns = S(1700000000) + US(5), .direction = direction }, &t->a.port, err);
}

static void capture(struct bench *t, uint32_t maxlen, int direction)
{
	struct err err;

	t->pcap = capture_to(t, t->path, maxlen, direction, &err);
	assert_non_null(t->pcap);
}

static void finish(struct bench *t)
{
	FILE *f;

	pcap_free(t->pcap);
	t->pcap = NULL;
	f = fopen(t->path, "rb");
	assert_non_null(f);
	t->len = fread(t->file, 1, sizeof(t->file), f);
	fclose(f);
}

static void both_directions_are_written_with_their_time(void **state)
{
	struct bench *t = *state;
	uint8_t x[100], y[60];
	const uint8_t *r;

	capture(t, 0, PCAP_BOTH);
	fake_frame_fill(x, 100, 1);
	fake_frame_fill(y, 60, 2);
	t->clock.now = S(3) + MS(250);
	port_send_bytes(&t->a.port, x, 100);
	t->clock.now = S(4);
	port_send_bytes(&t->b.port, y, 60);
	finish(t);
	assert_int_equal(t->len, 24 + 16 + 100 + 16 + 60);
	r = t->file;
	assert_int_equal(le32(r), 0xa1b2c3d4);
	assert_int_equal(le16(r + 4), 2);
	assert_int_equal(le16(r + 6), 4);
	assert_int_equal(le32(r + 16), 65536);
	assert_int_equal(le32(r + 20), 1);
	r += 24;
	assert_int_equal(le32(r), 1700000003);
	assert_int_equal(le32(r + 4), 250005);
	assert_int_equal(le32(r + 8), 100);
	assert_int_equal(le32(r + 12), 100);
	assert_memory_equal(r + 16, x, 100);
	r += 116;
	assert_int_equal(le32(r), 1700000004);
	assert_memory_equal(r + 16, y, 60);
}

static void one_direction_can_be_asked_for(void **state)
{
	struct bench *t = *state;
	uint8_t x[60];

	capture(t, 0, PCAP_TO_OWNER);
	fake_frame_fill(x, 60, 1);
	port_send_bytes(&t->a.port, x, 60);
	assert_int_equal(t->b.frames, 1);
	port_send_bytes(&t->b.port, x, 60);
	port_send_bytes(&t->b.port, x, 60);
	finish(t);
	assert_int_equal(t->len, 24 + 2 * 76);
}

static void long_frames_are_cut_to_maxlen(void **state)
{
	struct bench *t = *state;
	uint8_t x[1000];

	capture(t, 64, PCAP_BOTH);
	fake_frame_fill(x, 1000, 1);
	port_send_bytes(&t->a.port, x, 1000);
	port_send_bytes(&t->a.port, x, 40);
	finish(t);
	assert_int_equal(t->len, 24 + 16 + 64 + 16 + 40);
	assert_int_equal(le32(t->file + 16), 64);
	assert_int_equal(le32(t->file + 24 + 8), 64);
	assert_int_equal(le32(t->file + 24 + 12), 1000);
	assert_memory_equal(t->file + 40, x, 64);
}

static void a_gso_frame_is_one_record(void **state)
{
	struct bench *t = *state;
	static uint8_t x[60000] = { [12] = 8, [14] = 0x45, [23] = 6, [46] = 0x50 };
	struct iovec iov[3] = { { x, 10 }, { x + 10, 1 }, { x + 11, sizeof(x) - 11 } };
	struct frame f = { .iov = iov, .iov_count = 3, .len = sizeof(x), .needs_csum = true, .gso = GSO_TCPV4, .gso_size = 1460,
			   .csum_start = 34, .csum_offset = 16 };

	capture(t, 0, PCAP_BOTH);
	port_send(&t->a.port, &f, 1);
	assert_true(t->b.frames > 1);
	finish(t);
	assert_int_equal(t->len, 24 + 16 + sizeof(x));
	assert_memory_equal(t->file + 40, x, sizeof(x));
}

static void a_file_that_cannot_be_made_is_an_error_with_its_reason(void **state)
{
	struct bench *t = *state;
	struct err err;

	assert_null(capture_to(t, "/nonexistent/x.pcap", 0, PCAP_BOTH, &err));
	assert_string_equal(err.text, "/nonexistent/x.pcap: No such file or directory");
	assert_null(capture_to(t, "/tmp", 0, PCAP_BOTH, &err));
	assert_string_equal(err.text, "/tmp: Is a directory");
}

static void a_full_disk_ends_the_capture_and_nothing_else(void **state)
{
	struct bench *t = *state;
	struct err err;
	uint8_t x[60];

	assert_null(capture_to(t, "/dev/full", 0, PCAP_BOTH, &err));
	assert_string_equal(err.text, "/dev/full: No space left on device");
	fake_frame_fill(x, 60, 1);
	assert_true(port_send_bytes(&t->a.port, x, 60));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(both_directions_are_written_with_their_time),
		T(one_direction_can_be_asked_for),
		T(long_frames_are_cut_to_maxlen),
		T(a_gso_frame_is_one_record),
		T(a_file_that_cannot_be_made_is_an_error_with_its_reason),
		T(a_full_disk_ends_the_capture_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
