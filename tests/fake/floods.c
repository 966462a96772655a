/* SPDX-License-Identifier: MIT */
#include "tests/fake/floods.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"

static uint8_t buf[2000];

/* Takes what came, and lets time pass now and then. */
static void breathe(struct fake_net *n, unsigned i)
{
	while (guest_next(&n->guest))
		;                       /* and answers who asks for its address */
	if (i % 64 == 0)
		fake_net_run(n, MS(1));
}

void flood_flows(struct fake_net *n, unsigned count)
{
	static unsigned each;           /* ports go on where the last flood ended */

	for (unsigned i = 0; i < count; i++, each++) {
		unsigned opened = n->sockets.opened;
		struct guest_tcp t;
		int fd;

		guest_tcp_init(&t, &n->guest, NET_OUTSIDE, (uint16_t)(1024 + each % 60000), (uint16_t)(80 + each / 60000 % 1000));
		t.snd_nxt += each * 70000;
		if (guest_tcp_open(&t) && n->sockets.opened != opened) {
			fd = n->sockets.last_open;
			guest_tcp_send(&t, TCP_ACK_, "x", 1);
			switch (i % 5) {
			case 0:                 /* the guest resets */
				guest_tcp_send(&t, TCP_RST_, NULL, 0);
				break;
			case 1:                 /* the host does */
				fake_peer_resets(&n->sockets, fd);
				break;
			case 2:                 /* both close */
				guest_tcp_send(&t, TCP_ACK_ | TCP_FIN_, NULL, 0);
				fake_peer_closes(&n->sockets, fd);
				break;
			case 3:
				fake_peer_closes(&n->sockets, fd);
				fake_sockets_poll(&n->sockets, 2);
				guest_tcp_run(&t);
				guest_tcp_send(&t, TCP_ACK_ | TCP_FIN_, NULL, 0);
				break;
			default:                /* nobody ever says anything again */
				break;
			}
		}
		guest_tcp_free(&t);
		breathe(n, i);
	}
}

void flood_black_holes(struct fake_net *n, unsigned count)
{
	n->sockets.connect_result = -EINPROGRESS;
	for (unsigned i = 0; i < count; i++) {
		struct guest_tcp t;

		guest_tcp_init(&t, &n->guest, 0xc6336400 + i % 200, (uint16_t)(1024 + i % 60000), (uint16_t)(1 + i / 60000));
		guest_tcp_send(&t, TCP_SYN_, NULL, 0);
		breathe(n, i);
	}
	n->sockets.connect_result = 0;
}

void flood_ports(struct fake_net *n, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		guest_send(&n->guest, buf, guest_udp(&n->guest, buf, NET_OUTSIDE, (uint16_t)(1 + i % 65535), 7, "x", 1));
		breathe(n, i);
	}
}

void flood_echoes(struct fake_net *n, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		guest_send(&n->guest, buf, guest_icmp(&n->guest, buf, NET_OUTSIDE, 8, 0, i << 16, "x", 1));
		breathe(n, i);
	}
}

void flood_fragments(struct fake_net *n, unsigned count)
{
	static const uint8_t data[1400];

	for (unsigned i = 0; i < count; i++) {
		size_t len = guest_udp(&n->guest, buf, NET_OUTSIDE, 5000, 7, data, sizeof(data));

		put_be16(buf + 18, (uint16_t)i);
		put_be16(buf + 20, 0x2000 | (i & 1 ? 176 : 0));
		guest_fix_ip(buf);
		guest_send(&n->guest, buf, len);
		breathe(n, i);
	}
}

void flood_leases(struct fake_net *n, unsigned count)
{
	uint8_t dhcp[300] = { 1, 1, 6, 0 };

	memcpy(dhcp + 236, "\x63\x82\x53\x63\x35\x01\x01\xff", 8);
	for (unsigned i = 0; i < count; i++) {
		size_t len;

		dhcp[242] = i & 1 ? 3 : 1;
		put_be32(dhcp + 4, i);
		dhcp[28] = 2;
		put_be32(dhcp + 30, i / 2);
		len = guest_udp(&n->guest, buf, 0xffffffff, 68, 67, dhcp, sizeof(dhcp));
		memcpy(buf + 6, dhcp + 28, 6);
		put_be32(buf + 26, 0);
		guest_fix_ip(buf);
		guest_fix_l4(buf);
		guest_send(&n->guest, buf, len);
		breathe(n, i);
	}
}

void flood_wait(struct fake_net *n)
{
	for (int i = 0; i < 4 * 3600; i++) {
		fake_clock_advance(&n->clock, S(1));
		guest_forget(&n->guest);        /* nobody is there any more */
	}
	fake_sockets_poll(&n->sockets, 1000);
}

bool flood_still_serves(struct fake_net *n)
{
	struct guest_packet p;
	struct guest_tcp t;
	bool ok;

	while (guest_next(&n->guest))
		;                       /* and answers who asks for its address */
	guest_tcp_init(&t, &n->guest, NET_OUTSIDE, 999, 8080);
	ok = guest_tcp_open(&t);
	guest_tcp_send(&t, TCP_ACK_, "hello", 5);
	ok = ok && n->sockets.s[n->sockets.last_open].sent_len == 5;
	guest_tcp_send(&t, TCP_RST_, NULL, 0);
	guest_tcp_free(&t);
	while (guest_next(&n->guest))
		;                       /* and answers who asks for its address */
	guest_send(&n->guest, buf, guest_udp(&n->guest, buf, NET_OUTSIDE, 999, 7, "ask", 3));
	fake_peer_datagram(&n->sockets, n->sockets.last_open, "93.184.216.34", 7, "answer", 6);
	fake_net_run(n, 0);
	ok = ok && guest_packet(&n->guest, &p) && p.dport == 999 && p.data_len == 6;
	guest_send(&n->guest, buf, guest_icmp(&n->guest, buf, NET_HOST, 8, 0, 1, "ping", 4));
	return ok && guest_packet(&n->guest, &p) && p.protocol == 1 && p.icmp_type == 0;
}
