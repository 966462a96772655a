/* SPDX-License-Identifier: MIT */
/* Configuration, and several instances in one process. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "tests/fake/fake_net.h"

static const char *text(struct in_addr a)
{
	return inet_ntoa(a);
}

static void defaults_are_qemus(void **state)
{
	struct unet_config c;

	(void)state;
	unet_config_defaults(&c);
	assert_string_equal(text(c.net), "10.0.2.0");
	assert_string_equal(text(c.mask), "255.255.255.0");
	assert_string_equal(text(c.host), "10.0.2.2");
	assert_string_equal(text(c.dns), "10.0.2.3");
	assert_string_equal(text(c.dhcpstart), "10.0.2.15");
	assert_int_equal(c.mtu, 1500);
	assert_true(c.ipv4 && c.host_loopback && !c.restricted);
}

static void addresses_follow_from_the_net(void **state)
{
	static const struct { const char *net, *mask, *base, *host, *dhcp; } cases[] = {
		{ "192.168.76.0/24", "255.255.255.0", "192.168.76.0", "192.168.76.2", "192.168.76.15" },
		{ "192.168.76.9/28", "255.255.255.240", "192.168.76.0", "192.168.76.2", "192.168.76.5" },
		{ "192.168.76.9/29", "255.255.255.248", "192.168.76.8", "192.168.76.10", "192.168.76.13" },
		{ "10.0.0.0", "255.0.0.0", "10.0.0.0", "10.0.2.2", "10.0.2.15" },
		{ "172.20.0.0", "255.240.0.0", "172.16.0.0", "172.16.2.2", "172.16.2.15" },
		{ "150.1.0.0", "255.255.0.0", "150.1.0.0", "150.1.2.2", "150.1.2.15" },
		{ "192.168.5.0", "255.255.0.0", "192.168.0.0", "192.168.2.2", "192.168.2.15" },
		{ "198.18.0.0", "255.254.0.0", "198.18.0.0", "198.18.2.2", "198.18.2.15" },
		{ "200.1.2.0", "255.255.255.0", "200.1.2.0", "200.1.2.2", "200.1.2.15" },
		{ "10.9.0.0/255.255.0.0", "255.255.0.0", "10.9.0.0", "10.9.2.2", "10.9.2.15" },
		{ "10.0.0.0/4", "240.0.0.0", "0.0.0.0", "0.0.2.2", "0.0.2.15" },
	};
	struct unet_config c;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unet_config_defaults(&c);
		assert_true(unet_config_addresses(&c, cases[i].net, NULL, NULL, NULL, &err));
		assert_string_equal(text(c.mask), cases[i].mask);
		assert_string_equal(text(c.net), cases[i].base);
		assert_string_equal(text(c.host), cases[i].host);
		assert_string_equal(text(c.dhcpstart), cases[i].dhcp);
	}
}

static void wrong_addresses_are_refused_with_qemus_words(void **state)
{
	static const struct { const char *net, *host, *dns, *dhcp, *message; } cases[] = {
		{ "10.0.2.0/3", NULL, NULL, NULL, "Invalid netmask provided (must be in range 4-32)" },
		{ "10.0.2.0/33", NULL, NULL, NULL, "Invalid netmask provided (must be in range 4-32)" },
		{ "10.0.2.0/24x", NULL, NULL, NULL, "Failed to parse netmask (trailing chars)" },
		{ "10.0.2.0/", NULL, NULL, NULL, "Failed to parse netmask (trailing chars)" },
		{ "10.0.2.0/255.0.255.0", NULL, NULL, NULL, "Invalid netmask provided (must be in range 4-32)" },
		{ "10.0.2.x/24", NULL, NULL, NULL, "Failed to parse network address" },
		{ "10.0.2.0/30", NULL, NULL, NULL, "DHCP must be different from host and DNS" },
		{ NULL, "10.0.3.2", NULL, NULL, "Host doesn't belong to network" },
		{ NULL, "x", NULL, NULL, "Failed to parse host" },
		{ NULL, NULL, "10.0.2.2", NULL, "DNS must be different from host" },
		{ NULL, NULL, "x", NULL, "Failed to parse DNS" },
		{ NULL, NULL, NULL, "10.0.3.15", "DHCP doesn't belong to network" },
		{ NULL, NULL, NULL, "10.0.2.3", "DHCP must be different from host and DNS" },
		{ NULL, NULL, NULL, "x", "Failed to parse DHCP start address" },
	};
	struct unet_config c;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unet_config_defaults(&c);
		assert_false(unet_config_addresses(&c, cases[i].net, cases[i].host, cases[i].dns, cases[i].dhcp, &err));
		assert_string_equal(err.text, cases[i].message);
	}
	unet_config_defaults(&c);
	assert_true(unet_config_addresses(&c, NULL, NULL, "8.8.8.8", NULL, &err));
	c.restricted = true;
	assert_false(unet_config_addresses(&c, NULL, NULL, "8.8.8.8", NULL, &err));
	assert_string_equal(err.text, "DNS doesn't belong to network");
}

static void overlong_texts_and_odd_sizes_are_refused(void **state)
{
	struct fake_net n;
	struct unet_config c, good;
	char longer[300];
	struct err err;

	(void)state;
	memset(longer, 'x', sizeof(longer));
	longer[256] = '\0';
	fake_net_config(&n, &good);
	c = good;
	c.hostname = longer;
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "'hostname' parameter cannot exceed 255 bytes");
	c = good;
	c.bootfile = longer + 100;
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "'bootfile' parameter cannot exceed 127 bytes");
	c = good;
	c.domainname = "";
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "'domainname' parameter cannot be empty");
	c = good;
	c.mtu = 575;
	assert_null(unet_new(&c, &err));
	c = good;
	c.ipv4 = c.ipv6 = false;
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "IPv4 and IPv6 disabled");
	c.ipv6 = true;
	c.mtu = 1279;
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "mtu must be from 1280 to 65520 for IPv6");
	c = good;
	c.dnssearch[0] = "fine.example";
	c.dnssearch[1] = "not..fine";
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "dnssearch 'not..fine' is not a domain name");
	fake_net_free(&n);
}

/* Two guests with the same addresses and ports, each on a unet of its own; one clock. */
static void instances_keep_to_themselves(void **state)
{
	struct fake_net a, b;
	struct unet_config c;
	struct guest_tcp ta, tb;
	struct fake_clock unused;
	int fa, fb;

	(void)state;
	fake_net_init(&a, 0);
	fake_net_config(&b, &c);
	unused = b.clock;
	c.clock = a.clock.clock;
	assert_true(fake_net_start(&b, &c, 0));
	guest_tcp_init(&ta, &a.guest, NET_HOST, 20000, 8790);
	guest_tcp_init(&tb, &b.guest, NET_HOST, 20000, 8790);
	assert_true(guest_tcp_open(&ta));
	assert_true(guest_tcp_open(&tb));
	fa = a.sockets.last_open;
	fb = b.sockets.last_open;
	guest_tcp_send(&ta, TCP_ACK_, "from a", 6);
	guest_tcp_send(&tb, TCP_ACK_, "from b", 6);
	assert_memory_equal(a.sockets.s[fa].sent, "from a", 6);
	assert_memory_equal(b.sockets.s[fb].sent, "from b", 6);
	fake_peer_sends(&a.sockets, fa, "to a", 4);
	fake_peer_sends(&b.sockets, fb, "to b", 4);
	fake_net_run(&a, MS(100));
	fake_sockets_poll(&b.sockets, 10);
	guest_tcp_run(&ta);
	guest_tcp_run(&tb);
	assert_memory_equal(ta.got, "to a", 4);
	assert_memory_equal(tb.got, "to b", 4);
	guest_tcp_send(&ta, TCP_RST_, NULL, 0);
	assert_int_equal(a.sockets.open_count, 0);
	assert_int_equal(b.sockets.open_count, 1);
	/* the first goes, the second's timers go on: what its guest does not acknowledge is sent again */
	guest_free(&a.guest);
	unet_free(a.u);
	a.u = NULL;
	fake_peer_sends(&b.sockets, fb, "more", 4);
	fake_sockets_poll(&b.sockets, 10);
	guest_forget(&b.guest);
	fake_clock_advance(&a.clock, S(5));
	guest_tcp_run(&tb);
	assert_int_equal(tb.got_len, 8);
	guest_free(&b.guest);
	unet_free(b.u);
	b.u = NULL;
	b.clock = unused;
	guest_tcp_free(&ta);
	guest_tcp_free(&tb);
	fake_net_free(&b);
	fake_net_free(&a);
}

/* The process is stopped: time goes by, and on its return all timers are overdue at once, before any socket is looked at. */
static void pause_for(struct fake_net *n, uint64_t ns)
{
	n->clock.now += ns;
	clock_run(n->clock.clock);
	fake_net_run(n, 0);
}

static void a_pause_of_minutes_loses_nothing(void **state)
{
	static uint8_t data[100000];
	struct fake_net n;
	struct guest_packet p;
	struct guest_tcp t, pending;
	uint8_t buf[200];
	uint64_t frames;
	int fd, udp, waiting;

	(void)state;
	fake_net_init(&n, 0);
	fake_sockets_resolv(&n.sockets, "nameserver 192.0.2.1\n");
	guest_tcp_init(&t, &n.guest, NET_OUTSIDE, 5000, 80);
	assert_true(guest_tcp_open(&t));
	fd = n.sockets.last_open;
	guest_send(&n.guest, buf, guest_udp(&n.guest, buf, NET_OUTSIDE, 5000, 7, "x", 1));
	udp = n.sockets.last_open;
	n.sockets.connect_result = -EINPROGRESS;
	guest_tcp_init(&pending, &n.guest, NET_OUTSIDE, 5001, 81);
	guest_tcp_send(&pending, TCP_SYN_, NULL, 0);
	waiting = n.sockets.last_open;
	fake_net_run(&n, S(1));
	/* data is under way to the guest when all stands still, and answers come meanwhile */
	memset(data, 'd', sizeof(data));
	fake_peer_sends(&n.sockets, fd, data, sizeof(data));
	fake_net_run(&n, MS(1));
	fake_peer_datagram(&n.sockets, udp, "93.184.216.34", 7, "late", 4);
	fake_connect_done(&n.sockets, waiting, 0);
	frames = n.guest.total_frames;
	pause_for(&n, S(600));
	assert_true(n.guest.total_frames - frames < 20);        /* no storm of retransmissions */
	assert_int_equal(n.sockets.open_count, 3);
	for (int i = 0; i < 200 && t.got_len < sizeof(data); i++) {
		while (guest_packet(&n.guest, &p)) {
			if (p.protocol == 17)
				assert_memory_equal(p.data, "late", 4);
			if (p.protocol != 6 || p.dport == 5001)
				continue;
			if (p.seq == t.rcv_nxt && p.data_len) {
				t.got_len += p.data_len;
				t.rcv_nxt += (uint32_t)p.data_len;
			}
			guest_tcp_send(&t, TCP_ACK_, NULL, 0);
		}
		fake_net_run(&n, MS(200));
	}
	assert_int_equal(t.got_len, sizeof(data));
	assert_false(t.reset);
	guest_tcp_send(&t, TCP_ACK_, "still here", 10);
	assert_memory_equal(n.sockets.s[fd].sent, "still here", 10);
	assert_true(n.sockets.s[waiting].open);
	/* and once more, while nothing moves: a mapping is not older for it */
	pause_for(&n, S(3600));
	fake_peer_sends(&n.sockets, fd, "good morning", 12);
	fake_net_run(&n, MS(10));
	guest_tcp_run(&t);
	assert_false(t.reset);
	guest_tcp_free(&pending);
	guest_tcp_free(&t);
	fake_net_free(&n);
}

/* The monitor's stop: the card takes nothing and the guest says nothing for ten minutes, while time goes on. */
static void a_guest_that_stood_still_for_minutes_goes_on(void **state)
{
	static uint8_t data[100000];
	struct fake_net n;
	struct guest_tcp t;
	size_t room;
	int fd;

	(void)state;
	for (room = 0; room < 2; room++) {              /* a card that is full, and one whose frames nobody looks at */
		fake_net_init(&n, 0);
		guest_tcp_init(&t, &n.guest, NET_OUTSIDE, 5000, 80);
		assert_true(guest_tcp_open(&t));
		fd = n.sockets.last_open;
		fake_peer_sends(&n.sockets, fd, data, sizeof(data));
		if (!room)
			n.guest.room = 0;
		fake_net_run(&n, S(600));
		assert_true(n.sockets.s[fd].open);
		guest_forget(&n.guest);
		n.guest.room = SIZE_MAX;
		port_ready(&n.guest.port);
		guest_tcp_send(&t, TCP_ACK_, "back", 4);
		for (int i = 0; i < 320 && t.got_len < sizeof(data); i++) {
			fake_net_run(&n, MS(100));
			guest_tcp_run(&t);
		}
		assert_false(t.reset);
		assert_int_equal(t.got_len, sizeof(data));
		assert_memory_equal(n.sockets.s[fd].sent, "back", 4);
		/* but one that never comes back is given up in the end, and the host hears of it */
		fake_peer_sends(&n.sockets, fd, data, sizeof(data));
		fake_net_run(&n, S(1000));
		assert_int_equal(n.sockets.open_count, 0);
		assert_true(n.sockets.last_closed_reset);
		guest_tcp_free(&t);
		fake_net_free(&n);
	}
}

/* The same inputs, on the same clock, give the same frames to the last byte. */
static uint64_t run_script(void)
{
	struct fake_net n;
	struct guest_tcp t;
	const struct guest_frame *f;
	uint64_t hash = 14695981039346656037u;
	uint8_t buf[200], data[50000];

	fake_net_init(&n, 0);
	memset(data, 'd', sizeof(data));
	guest_send(&n.guest, buf, guest_icmp(&n.guest, buf, NET_HOST, 8, 0, 1, "ping", 4));
	guest_tcp_init(&t, &n.guest, NET_OUTSIDE, 5000, 80);
	guest_tcp_send(&t, TCP_SYN_, NULL, 0);
	f = guest_next(&n.guest);
	for (int i = 0; i < 400; i++) {
		while ((f = guest_next(&n.guest))) {
			for (uint32_t k = 0; k < f->len; k++)
				hash = (hash ^ f->data[k]) * 1099511628211u;
			if (f->data[23] == 6 && (be16(f->data + 16) > 40 || (f->data[47] & TCP_SYN_))) {
				t.rcv_nxt = be32(f->data + 38) + (f->data[47] & TCP_SYN_ ? 1 : be16(f->data + 16) - 40u);
				guest_tcp_send(&t, TCP_ACK_, "x", 1);
			}
		}
		if (i == 5 && n.sockets.open_count)
			fake_peer_sends(&n.sockets, n.sockets.last_open, data, sizeof(data));
		fake_net_run(&n, MS(10));
	}
	guest_tcp_free(&t);
	fake_net_free(&n);
	return hash;
}

static void the_same_inputs_give_the_same_frames(void **state)
{
	uint64_t first = run_script();

	(void)state;
	assert_int_equal(run_script(), first);
	assert_int_equal(run_script(), first);
}

/* A long life, drawn from a seed: guests' frames good and bad, what the far ends do, and time.  Hashes all that comes out. */
struct life {
	struct fake_net n;
	struct guest_tcp t[12];
	uint64_t dice, hash;
	uint16_t next_port;
};

static uint32_t roll(struct life *l, uint32_t sides)
{
	l->dice = l->dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(l->dice >> 33) % sides;
}

static void mix(struct life *l, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		l->hash = (l->hash ^ ((const uint8_t *)data)[i]) * 1099511628211u;
}

static int any_socket(struct life *l)
{
	int fd = 3 + (int)roll(l, (uint32_t)l->n.sockets.high);

	return fd < l->n.sockets.high && l->n.sockets.s[fd].open ? fd : -1;
}

static void the_host_does_something(struct life *l)
{
	static const uint8_t data[3000] = { 1, 2, 3 };
	int fd = any_socket(l);
	struct fake_socket *s = fd < 0 ? NULL : &l->n.sockets.s[fd];

	if (!s)
		return;
	if (s->listening) {
		if (s->client_count < 10)
			fake_client_connects(&l->n.sockets, fd, roll(l, 2) ? "127.0.0.1" : "198.51.100.7", (uint16_t)(1024 + roll(l, 60000)));
	} else if (s->type == SOCK_DGRAM) {
		if (s->in_count < 10)
			fake_peer_datagram(&l->n.sockets, fd, "192.0.2.1", (uint16_t)(1 + roll(l, 100)), data, roll(l, 3000));
	} else if (s->connecting) {
		fake_connect_done(&l->n.sockets, fd, roll(l, 4) ? 0 : ECONNREFUSED);
	} else if (roll(l, 20) == 0) {
		fake_peer_resets(&l->n.sockets, fd);
	} else if (roll(l, 20) == 0) {
		fake_peer_closes(&l->n.sockets, fd);
	} else if (!s->eof) {
		fake_peer_sends(&l->n.sockets, fd, data, 1 + roll(l, sizeof(data) - 1));
	}
}

static void the_guest_does_something(struct life *l)
{
	static const uint32_t places[] = { NET_HOST, NET_DNS, NET_OUTSIDE, 0x0a0002ff, 0x7f000001, 0xc0000201 };
	static const uint8_t places6[][16] = { { 0xfe, 0xc0, [15] = 2 }, { 0xfe, 0xc0, [15] = 3 }, { 0xfe, 0x80, [15] = 2 },
					       { 0xff, 2, [15] = 2 }, { 0x20, 1, 0x0d, 0xb8, [15] = 1 }, { [15] = 1 } };
	struct guest_tcp *t = &l->t[roll(l, ARRAY_SIZE(l->t))];
	uint32_t place = places[roll(l, ARRAY_SIZE(places))];
	uint8_t buf[2000], data[1400] = { 0 };
	size_t n;

	for (size_t i = 0; i < 40; i++)
		data[i] = (uint8_t)roll(l, 256);
	switch (roll(l, 11)) {
	case 8:
		n = guest_udp6(&l->n.guest, buf, places6[roll(l, ARRAY_SIZE(places6))], (uint16_t)(5000 + roll(l, 20)),
			       (uint16_t)(roll(l, 2) ? 53 : 547), data, roll(l, 1400));
		break;
	case 9:         /* echo, and solicitations of routers and neighbors */
		n = guest_icmp6(&l->n.guest, buf, places6[roll(l, ARRAY_SIZE(places6))], (uint8_t)(roll(l, 2) ? 128 : 133 + roll(l, 4)), 0,
				roll(l, 100), data, roll(l, 1000));
		break;
	case 10:
		n = guest_ip6(&l->n.guest, buf, places6[roll(l, ARRAY_SIZE(places6))], (uint8_t)(roll(l, 2) ? 6 : roll(l, 256)), data,
			      roll(l, 1400));
		break;
	case 0:
		guest_tcp_free(t);
		guest_tcp_init(t, &l->n.guest, place, l->next_port++, (uint16_t)(roll(l, 2) ? 53 : 80));
		guest_tcp_send(t, TCP_SYN_, NULL, 0);
		return;
	case 1:
	case 2:
		if (t->established)
			guest_tcp_send(t, TCP_ACK_ | (roll(l, 10) ? 0 : TCP_FIN_), data, roll(l, 1400));
		return;
	case 3:
		n = guest_udp(&l->n.guest, buf, place, (uint16_t)(5000 + roll(l, 20)), (uint16_t)(roll(l, 2) ? 53 : roll(l, 100)), data, roll(l, 1400));
		break;
	case 4:
		n = guest_icmp(&l->n.guest, buf, place, 8, 0, roll(l, 100), data, roll(l, 1000));
		break;
	case 5:
		memcpy(data, "\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19);
		data[0] = (uint8_t)roll(l, 256);
		n = guest_udp(&l->n.guest, buf, NET_DNS, (uint16_t)(6000 + roll(l, 20)), 53, data, 19);
		break;
	case 6:
		memset(data, 0, sizeof(data));
		memcpy(data, "\1\1\6", 3);
		data[33] = (uint8_t)roll(l, 200);
		memcpy(data + 236, "\x63\x82\x53\x63\x35\1\1\xff", 8);
		n = guest_udp(&l->n.guest, buf, 0xffffffff, 68, 67, data, 300);
		break;
	default:
		n = guest_ip(&l->n.guest, buf, place, (uint8_t)roll(l, 256), data, roll(l, 1400));
		for (uint32_t i = roll(l, 4); i; i--)
			buf[12 + roll(l, 30)] = (uint8_t)roll(l, 256);
	}
	guest_send(&l->n.guest, buf, n);
}

static void what_came_is_noted(struct life *l)
{
	struct guest_packet p;

	while (guest_packet(&l->n.guest, &p)) {
		mix(l, p.eth, p.frame->len);
		for (size_t i = 0; i < ARRAY_SIZE(l->t) && p.protocol == 6; i++) {
			struct guest_tcp *t = &l->t[i];

			if (t->g && t->port == p.dport && t->far_port == p.sport && t->far == p.src) {
				t->reset |= p.flags & TCP_RST_;
				if (p.flags & TCP_SYN_) {
					t->rcv_nxt = p.seq + 1;
					t->established = true;
				}
				if (p.data_len && p.seq == t->rcv_nxt)
					t->rcv_nxt += (uint32_t)p.data_len;
				if (roll(l, 3))
					guest_tcp_send(t, TCP_ACK_, NULL, 0);
			}
		}
	}
}

static uint64_t live(uint64_t seed)
{
	struct life *l = calloc(1, sizeof(*l));
	struct unet_counters c;
	uint64_t hash;

	l->dice = seed;
	l->hash = 14695981039346656037u;
	l->next_port = 10000;
	fake_net_init(&l->n, roll(l, 2) ? PORT_CSUM | PORT_TSO4 : 0);
	fake_sockets_resolv(&l->n.sockets, "nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
	assert_true(unet_hostfwd_add(l->n.u, "tcp::2222-:22", NULL, NULL));
	assert_true(unet_hostfwd_add(l->n.u, "udp::2222-:22", NULL, NULL));
	for (int i = 0; i < 20000; i++) {
		l->n.sockets.connect_result = roll(l, 4) == 0 ? -ECONNREFUSED : roll(l, 2) ? 0 : -EINPROGRESS;
		if (roll(l, 2))
			the_guest_does_something(l);
		else
			the_host_does_something(l);
		fake_sockets_poll(&l->n.sockets, 50);
		if (roll(l, 3) == 0)
			fake_clock_advance(&l->n.clock, MS(1) << roll(l, 14));
		what_came_is_noted(l);
		mix(l, &l->n.sockets.opened, sizeof(l->n.sockets.opened));
	}
	for (int fd = 3; fd < l->n.sockets.high; fd++)
		if (l->n.sockets.s[fd].open && l->n.sockets.s[fd].sent_len)
			mix(l, l->n.sockets.s[fd].sent, l->n.sockets.s[fd].sent_len);
	unet_get_counters(l->n.u, &c);
	mix(l, &c, sizeof(c));
	assert_true(c.tcp_opened > 50 && c.udp_opened > 5 && c.frames_out > 1000);
	for (size_t i = 0; i < ARRAY_SIZE(l->t); i++)
		guest_tcp_free(&l->t[i]);
	fake_net_free(&l->n);
	hash = l->hash;
	free(l);
	return hash;
}

static void a_long_life_is_the_same_to_the_last_byte_twice(void **state)
{
	uint64_t first[3];

	(void)state;
	for (uint64_t seed = 0; seed < 3; seed++)
		first[seed] = live(seed);
	for (uint64_t seed = 0; seed < 3; seed++)
		assert_int_equal(live(seed), first[seed]);
	assert_int_not_equal(first[0], first[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_qemus),
		cmocka_unit_test(addresses_follow_from_the_net),
		cmocka_unit_test(wrong_addresses_are_refused_with_qemus_words),
		cmocka_unit_test(overlong_texts_and_odd_sizes_are_refused),
		cmocka_unit_test(instances_keep_to_themselves),
		cmocka_unit_test(a_pause_of_minutes_loses_nothing),
		cmocka_unit_test(a_guest_that_stood_still_for_minutes_goes_on),
		cmocka_unit_test(the_same_inputs_give_the_same_frames),
		cmocka_unit_test(a_long_life_is_the_same_to_the_last_byte_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
