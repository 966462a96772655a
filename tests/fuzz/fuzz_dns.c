/* SPDX-License-Identifier: MIT */
/* The DNS relay: guests' queries, resolvers' answers and resolv.conf, all from the input. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "tests/fake/fake_net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_of(data, size);
	static struct fake_net net;
	static uint8_t frame[3000];
	struct unet_config c;

	fake_net_config(&net, &c);
	c.limits = (struct unet_limits){ 16, 8, 16, 8, 8, 8, 16, 2 };
	if (!fake_net_start(&net, &c, 0))
		abort();
	fake_sockets_resolv(&net.sockets, "nameserver 192.0.2.1\nnameserver ::1\n");
	while (cursor_left(&in)) {
		uint8_t op = cursor_u8(&in), how = cursor_u8(&in);
		size_t n = MIN((size_t)cursor_be16(&in) % 1600, cursor_left(&in));
		const uint8_t *p = cursor_take(&in, n);
		int fd = net.sockets.last_open;

		if (!p)
			break;
		switch (op % 5) {
		case 0:
			guest_send(&net.guest, frame, guest_udp(&net.guest, frame, NET_DNS, (uint16_t)(1000 + how), 53, p,
								MIN(n, 1472)));
			break;
		case 1:
			if (fd < 0 || !net.sockets.s[fd].open || net.sockets.s[fd].type != SOCK_DGRAM)
				break;
			memcpy(frame, p, n);
			if (!(how & 1) && fake_last_sent(&net.sockets, fd)) {   /* an answer to the question that was asked */
				const struct fake_datagram *q = fake_last_sent(&net.sockets, fd);

				if (how & 2) {
					memcpy(frame, q->data, MIN(q->len, sizeof(frame)));
					frame[2] |= 0x80;
					frame[3] = how >> 2;
					n = q->len;
				} else if (n >= 2) {
					memcpy(frame, q->data, 2);
				}
			}
			fake_peer_datagram(&net.sockets, fd, "192.0.2.1", 53, frame, n);
			break;
		case 2: {
			char text[1000];

			n = MIN(n, sizeof(text) - 1);
			memcpy(text, p, n);
			text[n] = '\0';
			fake_sockets_resolv(&net.sockets, text);
			fake_net_run(&net, S(1));
			break;
		}
		case 3:
			fake_net_run(&net, MS(10u * how));
			break;
		case 4:
			if (fd >= 0 && net.sockets.s[fd].open)
				net.sockets.s[fd].pending_error = how;
			break;
		}
		fake_sockets_poll(&net.sockets, 5);
		guest_forget(&net.guest);
	}
	fake_net_run(&net, MS(100));
	fake_net_free(&net);
	return 0;
}
