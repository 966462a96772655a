/* SPDX-License-Identifier: MIT */
/*
 * DHCPv6 messages, one after the other, against one server.  Each is preceded by two bytes of length and one that says
 * how much of a well-formed beginning it gets, and how many hours have passed.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "dhcp/dhcp6.h"
#include "tests/fake/fake_digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RAW = 1, WITH_SERVER = 2, UNICAST = 4 };

/* Replies consist of whole options. */
static void check(const struct dhcp6_reply *r)
{
	struct cursor c = cursor_of(r->data, r->len);

	assert(r->len <= sizeof(r->data) && (r->data[0] == 2 || r->data[0] == 7));
	cursor_take(&c, 4);
	while (cursor_left(&c)) {
		cursor_be16(&c);
		cursor_take(&c, cursor_be16(&c));
	}
	assert(!c.bad);
	fake_digest('R', 0, r->data, r->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const search[] = { "a.example", "b.a.example", "other.test", NULL };
	static const uint8_t client[] = "\0\1\0\x0a\0\3\0\1\x52\x54\0\x12\x34\x56", server[] = "\0\2\0\x0a\0\3\0\1\x52\x56\0\0\0\2";
	struct dhcp6_config c = { .mac = { 0x52, 0x56, 0, 0, 0, 2 }, .prefixlen = 123, .boot_url = "http://boot/x", .search = search };
	struct cursor in = cursor_of(data, size);
	static struct dhcp6_reply r;
	uint64_t now = 0;
	struct dhcp6 *d;

	c.prefix.s6_addr[0] = 0xfd;
	c.server = c.dns = c.prefix;
	c.server.s6_addr[15] = 2;
	c.dns.s6_addr[15] = 3;
	d = dhcp6_new(&c);
	while (cursor_left(&in)) {
		size_t n = cursor_be16(&in) % 1200, fixed = 0;
		uint8_t flags = cursor_u8(&in), *msg;
		const uint8_t *p;

		n = MIN(n, cursor_left(&in));
		p = cursor_take(&in, n);
		if (!p || !n)
			break;
		/* memory of just the size for ASan */
		msg = malloc(4 + 28 + n);
		if (!msg)
			break;
		if (!(flags & RAW)) {
			memcpy(msg, "\1xid", 4);
			msg[0] = *p++ % 14;
			n--;
			memcpy(msg + 4, client, 14);
			memcpy(msg + 18, server, 14);
			fixed = flags & WITH_SERVER ? 32 : 18;
		}
		memcpy(msg + fixed, p, n);
		msg = realloc(msg, fixed + n ? fixed + n : 1);
		if (!msg)
			break;
		now += S(3600ull * (flags >> 3));
		if (dhcp6_input(d, now, msg, fixed + n, flags & UNICAST, &r))
			check(&r);
		free(msg);
		assert(dhcp6_leases(d, now) <= 11);
	}
	dhcp6_free(d);
	return 0;
}
