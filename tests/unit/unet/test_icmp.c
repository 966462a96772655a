/* SPDX-License-Identifier: MIT */
/*
 * Echo by the host's own ping sockets, in a network namespace of the test's own: its lo has 192.0.2.1, which is "outside"
 * for the guest, and nothing else can be reached.  Where the host lets nobody make a namespace these are skipped.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/real_net.h"

enum { OUTSIDE = 0xc0000201, NOWHERE = 0xc6336401 };

static bool own_namespace;

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* A new namespace permits nobody. */
static bool permit(void)
{
	return write_text("/proc/sys/net/ipv4/ping_group_range", "0 0");
}

static bool enter_namespace(void)
{
	struct ifreq up = { .ifr_name = "lo" }, address = { .ifr_name = "lo:1" };
	struct sockaddr_in *in = (struct sockaddr_in *)&address.ifr_addr;
	unsigned uid = getuid(), gid = getgid();
	char map[40];
	int s;

	if (unshare(CLONE_NEWNET) < 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
			return false;
		write_text("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		write_text("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		write_text("/proc/self/gid_map", map);
	}
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		return false;
	up.ifr_flags = IFF_UP | IFF_RUNNING;
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(OUTSIDE);
	own_namespace = ioctl(s, SIOCSIFFLAGS, &up) == 0 && ioctl(s, SIOCSIFADDR, &address) == 0;
	close(s);
	return own_namespace;
}

/* Sends an echo request, in fragments if it is long. */
static void ping(struct real_net *b, uint32_t dst, uint16_t id, uint16_t seq, const void *data, size_t len)
{
	static uint8_t whole[66000], buf[1600];
	size_t n = guest_icmp(&b->g, whole, dst, 8, 0, (uint32_t)id << 16 | seq, data, len) - 34;

	if (n <= 1480) {
		guest_send(&b->g, whole, 34 + n);
		return;
	}
	for (size_t at = 0; at < n; at += 1480) {
		size_t part = MIN(1480, n - at);

		memcpy(buf, whole, 34);
		memcpy(buf + 34, whole + 34 + at, part);
		put_be16(buf + 16, (uint16_t)(20 + part));
		put_be16(buf + 18, seq);
		put_be16(buf + 20, (uint16_t)(at / 8 | (at + part < n ? 0x2000 : 0)));
		guest_fix_ip(buf);
		guest_send(&b->g, buf, 34 + part);
	}
}

/* Receives an ICMP message, put together from its fragments, into `got`; returns its length. */
static size_t answer(struct real_net *b, uint32_t from, uint8_t *got)
{
	struct guest_packet p;
	size_t have = 0;

	for (int i = 0; i < 50; i++) {
		while (guest_packet(&b->g, &p)) {
			if (p.protocol != 1)
				continue;
			assert_int_equal(p.src, from);
			assert_int_equal((p.fragment & 0x1fff) * 8, have);
			memcpy(got + have, p.l4, (size_t)(p.data - p.l4) + p.data_len);
			have += (size_t)(p.data - p.l4) + p.data_len;
			if (!(p.fragment & 0x2000))
				return have;
		}
		real_net_run(b, 20);
	}
	return 0;
}

static void echo_reaches_the_outside_by_ping_sockets(void **state)
{
	static const size_t sizes[] = { 0, 1, 56, 1472, 1473, 8000, 65000 };
	static uint8_t data[65000], got[66000];
	struct real_net *b = *state;

	if (!own_namespace)
		skip();
	assert_true(permit());
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		ping(b, OUTSIDE, 0x1234, (uint16_t)i, data, sizes[i]);
		assert_int_equal(answer(b, OUTSIDE, got), 8 + sizes[i]);
		assert_int_equal(got[0], 0);
		assert_int_equal(be16(got + 4), 0x1234);
		assert_int_equal(be16(got + 6), i);
		assert_memory_equal(got + 8, data, sizes[i]);
	}
	/* two that share an identifier with someone else on the host, and many in a row */
	for (unsigned i = 0; i < 200; i++) {
		ping(b, OUTSIDE, (uint16_t)(i % 3), (uint16_t)(1000 + i), data, 56);
		assert_int_equal(answer(b, OUTSIDE, got), 64);
		assert_int_equal(be16(got + 4), i % 3);
		assert_int_equal(be16(got + 6), 1000 + i);
	}
}

static void echo_to_nowhere_is_unreachable(void **state)
{
	static uint8_t got[66000];
	struct real_net *b = *state;

	if (!own_namespace)
		skip();
	assert_true(permit());
	ping(b, NOWHERE, 1, 1, "abcd", 4);
	assert_true(answer(b, NET_HOST, got) >= 8 + 28);
	assert_int_equal(got[0], 3);
	assert_int_equal(got[1], 0);
	assert_int_equal(be32(got + 8 + 16), NOWHERE);
	assert_int_equal(be16(got + 8 + 24), 1);
}

static void gateway_and_dns_answer_whatever_the_host_permits(void **state)
{
	static uint8_t got[66000], data[60000];
	struct real_net *b = *state;

	ping(b, NET_HOST, 1, 1, "abcd", 4);
	assert_int_equal(answer(b, NET_HOST, got), 12);
	ping(b, NET_DNS, 1, 2, data, sizeof(data));
	assert_int_equal(answer(b, NET_DNS, got), 8 + sizeof(data));
}

static void without_permission_one_line_names_the_setting(void **state)
{
	struct real_net *b = *state;
	int keep = dup(2), pipes[2];
	char text[2000];
	ssize_t n;

	if (!own_namespace)
		skip();
	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	dup2(pipes[1], 2);
	for (uint16_t i = 0; i < 100; i++)
		ping(b, OUTSIDE, i, i, "abcd", 4);
	dup2(keep, 2);
	close(keep);
	n = read(pipes[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "net.ipv4.ping_group_range"));
	assert_ptr_equal(strchr(text, '\n'), text + n - 1);
	close(pipes[0]);
	close(pipes[1]);
	real_net_run(b, 0);
	assert_int_equal(b->g.count, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, real_net_setup, real_net_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gateway_and_dns_answer_whatever_the_host_permits),
		TEST(without_permission_one_line_names_the_setting),
		TEST(echo_reaches_the_outside_by_ping_sockets),
		TEST(echo_to_nowhere_is_unreachable),
	};

	enter_namespace();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
