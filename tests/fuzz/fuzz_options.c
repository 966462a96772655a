/* SPDX-License-Identifier: MIT */
/*
 * The options of a user network and the monitor's forwards as text: lists put together from words that mean something and
 * from noise.  What is accepted must make a network that works and lets go of everything.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/opts.h"
#include "tests/fake/fake_net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT = 2000 };

/* A text from the input: each byte is a word of the table, or the beginning of a few bytes of noise. */
static size_t make_text(struct cursor *in, char *text, size_t room)
{
	static const char *const words[] = {
		"net=", "host=", "dns=", "dhcpstart=", "ipv4=", "ipv6=", "ipv6-net=", "ipv6-prefix=", "ipv6-prefixlen=", "ipv6-host=", "ipv6-dns=",
		"restrict=", "host-loopback=", "mtu=", "hostname=", "domainname=", "dnssearch=", "dns-host=", "tftp-single-port=", "bootfile=",
		"tftp-server-name=", "hostfwd=", "guestfwd=", "allow=", "deny=", "outbound-addr=", "outbound-if=", "max-flows=", "max-pending=",
		"max-udp=", "max-ping=", "max-fragments=", ",", ",", ",", ":", ":", "::", "-", "-:", "/", "[", "]", "[::1]", "[fec0::15]", "%",
		"tcp:", "udp:", "unix:/", "cmd:x", "chardev:x", "stdio", "10.0.2.0/24", "10.0.2.2", "10.0.2.3", "10.0.2.15", "10.0.2.100",
		"10.0.2.255", "127.0.0.1", "0.0.0.0", "255.255.255.255", "fec0::/64", "fec0::2", "::ffff:1.2.3.4", "::/0", "*", "on", "off",
		"0", "1", "22", "80", "8000-8010", "65535", "65536", "4294967296", "-1", "/8", "/30", "/32", "/33", "/64", "/128", "1500", "1280",
		"a.example", "a..b", "ip=",
	};
	size_t len = 0;

	while (cursor_left(in) && len + 40 < room) {
		uint8_t b = cursor_u8(in);

		if (b == 0xff)
			break;
		if (b < ARRAY_SIZE(words)) {
			strcpy(text + len, words[b]);
			len += strlen(words[b]);
		} else if (b >= 0xf0) {         /* long values */
			size_t n = MIN((size_t)(b - 0xef) * 20, room - len - 1);

			memset(text + len, 'x', n);
			len += n;
		} else {
			char c = (char)cursor_u8(in);

			text[len] = c;
			len += c != '\0';
		}
	}
	text[len] = '\0';
	return len;
}

static void check_error(const struct err *err)
{
	assert(strlen(err->text) > 3 && strlen(err->text) < sizeof(err->text));
}

static int open_stream(void *owner, const char *target)
{
	(void)owner;
	return *target ? -1 : -2;
}

static bool configure(struct unet_config *c, struct opts *o, struct err *err)
{
	for (size_t i = 0; i < o->count; i++)
		if (strcmp(o->list[i].key, "tftp") && !unet_config_set(c, o->list[i].key, o->list[i].value, err))
			return false;
	if (!unet_config_finish(c, err))
		return false;
	assert(c->ipv4 || c->ipv6);
	assert(!c->ipv4 || (c->host.s_addr & c->mask.s_addr) == c->net.s_addr);
	assert(!c->ipv4 || (c->host.s_addr != c->dns.s_addr && c->dhcpstart.s_addr != c->host.s_addr));
	assert(c->mtu >= 576 && c->filters <= UNET_FILTERS && c->hostfwds <= UNET_RULES);
	return true;
}

static void ignore_line(void *to, const char *line)
{
	*(size_t *)to += strlen(line);
}

/* It answers a ping to its gateway, if a guest of the default plan may ask. */
static void use(struct fake_net *n, struct cursor *in)
{
	char text[TEXT];
	uint8_t frame[200];
	struct err err;
	size_t lines = 0;

	guest_init(&n->guest, NET_GUEST, 0);
	port_join(unet_port(n->u), &n->guest.port);
	guest_send(&n->guest, frame, guest_icmp(&n->guest, frame, NET_HOST, 8, 0, 1, "ping", 4));
	guest_send(&n->guest, frame, guest_udp(&n->guest, frame, NET_OUTSIDE, 5000, 80, "x", 1));
	for (int i = 0; i < 8 && cursor_left(in); i++) {
		bool add = cursor_u8(in) & 1;

		make_text(in, text, sizeof(text));
		if (!(add ? unet_hostfwd_add(n->u, text, NULL, &err) : unet_hostfwd_remove(n->u, text, &err)))
			check_error(&err);
	}
	unet_print(n->u, ignore_line, &lines);
	unet_print_counters(n->u, ignore_line, &lines);
	assert(lines > 100);
	fake_net_run(n, MS(20));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_of(data, size);
	static struct fake_net n;
	struct unet_config c;
	char text[TEXT];
	struct opts o;
	struct err err = { "" };

	make_text(&in, text, sizeof(text));
	if (!opts_parse(&o, text, NULL, &err)) {
		check_error(&err);
		return 0;
	}
	fake_net_config(&n, &c);
	c.guestfwd_open = open_stream;
	if (!configure(&c, &o, &err)) {
		check_error(&err);
	} else {
		c.limits.tcp_flows = c.limits.tcp_pending = 64; /* as quick as it goes */
		c.limits.udp_flows = 64;
		c.limits.icmp_flows = 64;
		c.limits.fragments = 16;
		n.u = unet_new(&c, &err);
		if (n.u)
			use(&n, &in);
		else
			check_error(&err);
	}
	opts_free(&o);
	fake_net_free(&n);
	return 0;
}
