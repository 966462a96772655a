/* SPDX-License-Identifier: MIT */
/* DHCP messages, one after the other, against one server.  Each is preceded by two bytes of length and one of hours. */
#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "dhcp/dhcp.h"
#include "tests/fake/fake_digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIXED = 240, FIXED_USED = 48 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const search[] = { "a.example", "b.a.example", "other.test", NULL };
	struct dhcp_config c = { .mtu = 1400, .hostname = "guest", .bootfile = "http://boot/x", .dnssearch = search };
	struct cursor in = cursor_of(data, size);
	static struct dhcp_reply r;
	uint64_t now = 0;
	struct dhcp *d;

	inet_aton("10.0.2.2", &c.server);
	inet_aton("10.0.2.0", &c.net);
	inet_aton("255.255.255.240", &c.mask);
	inet_aton("10.0.2.5", &c.first);
	inet_aton("10.0.2.3", &c.dns);
	d = dhcp_new(&c);
	while (cursor_left(&in)) {
		size_t n = cursor_be16(&in) % 1200, fixed;
		uint8_t *msg, flags = cursor_u8(&in);
		const uint8_t *p;

		n = MIN(n, cursor_left(&in));
		p = cursor_take(&in, n);
		if (!p)
			break;
		/* mostly a well-formed beginning, so that the options are reached; memory of just the size for ASan */
		fixed = flags & 1 ? 0 : FIXED;
		msg = calloc(1, fixed + n + 1);
		if (!msg)
			break;
		if (fixed) {
			memcpy(msg, "\1\1\6", 3);
			put_be32(msg + 236, 0x63825363);
			if (n > FIXED_USED) {   /* the fields in front come from the input, too */
				memcpy(msg + 4, p, 20);
				memcpy(msg + 29, p + 20, 5);
				p += FIXED_USED;
				n -= FIXED_USED;
			}
		}
		memcpy(msg + fixed, p, n);
		msg = realloc(msg, fixed + n ? fixed + n : 1);
		if (!msg)
			break;
		now += S(3600ull * (flags >> 1));
		if (dhcp_input(d, now, msg, fixed + n, &r)) {
			assert(r.len >= 300 && r.len <= sizeof(r.data) && r.data[0] == 2);
			fake_digest('R', r.to.s_addr, r.data, r.len);
		}
		free(msg);
		assert(dhcp_leases(d, now) <= DHCP_LEASES_MAX);
	}
	dhcp_free(d);
	return 0;
}
