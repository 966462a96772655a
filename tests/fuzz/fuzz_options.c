/* SPDX-License-Identifier: MIT */
/*
 * The options of a user network and the monitor's forwards as text: lists put together from words that mean something and
 * from noise.  What is accepted must make a network that works and lets go of everything.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/opts.h"
#include "tests/fake/fake_digest.h"
#include "tests/fake/fake_net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT = 2000 };

/* Words, and noise, up to a byte of 0xff. */
static void add_noise(struct cursor *in, char *text, size_t room)
{
	static const char *const words[] = {
		",", ":", "::", "-", "-:", "/", "[", "]", "[::1]", "[fec0::15]", "%", "tcp:", "udp:", "unix:/", "cmd:x", "chardev:x", "stdio",
		"10.0.2.0/24", "10.0.2.2", "10.0.2.3", "10.0.2.15", "10.0.2.100", "10.0.2.255", "127.0.0.1", "0.0.0.0", "255.255.255.255",
		"fec0::/64", "fec0::2", "::ffff:1.2.3.4", "::/0", "*", "on", "off", "0", "1", "22", "80", "8000-8010", "65535", "65536",
		"4294967296", "-1", "/8", "/30", "/32", "/33", "/64", "/128", "1500", "1280", "a.example", "a..b", "net=", "=",
	};
	size_t len = strlen(text);
	uint8_t b;

	while (cursor_left(in) && len + 40 < room && (b = cursor_u8(in)) != 0xff) {
		if (b < ARRAY_SIZE(words)) {
			strcpy(text + len, words[b]);
			len += strlen(words[b]);
		} else if (b >= 0xf0) {         /* long values */
			size_t n = MIN((size_t)(b - 0xef) * 20, room - len - 1);

			memset(text + len, 'x', n);
			len += n;
		} else {
			text[len] = (char)b;
			len += b != '\0';
		}
		text[len] = '\0';
	}
}

static const char *const forwards[] = {
	"tcp::1022-:22", "tcp:127.0.0.1:2222-:22", "udp::5353-:53", "tcp::8000-8010-:80", "tcp:[::1]:2222-[fec0::15]:22", "unix:/run/x-:22",
	"tcp:127.0.0.1:2222", "unix:/run/x", "tcp::8000-8010", "udp::5353", "tcp:[::1]:2222",
};

/* A list of options with values that are good, good with something behind, or nothing but noise. */
static void make_list(struct cursor *in, char *text, size_t room)
{
	static const struct { const char *key, *good[4]; } options[] = {
		{ "net", { "10.0.2.0/24", "10.0.0.0/8", "192.168.5.0", "10.0.2.0/28" } }, { "host", { "10.0.2.2", "10.0.2.1", "10.2.2.2", "x" } },
		{ "dns", { "10.0.2.3", "8.8.8.8", "10.0.2.2", "10.0.2.14" } }, { "dhcpstart", { "10.0.2.15", "10.0.2.100", "10.0.2.9", "10.0.2.255" } },
		{ "ipv4", { "on", "off", "on", "y" } }, { "ipv6", { "on", "off", "on", "n" } },
		{ "ipv6-net", { "fec0::/64", "fd00:7::/48", "2001:db8::1/126", "fe80::/10" } }, { "ipv6-prefix", { "fec0::", "fd00::", "::", "ff02::1" } },
		{ "ipv6-prefixlen", { "64", "0", "126", "127" } }, { "ipv6-host", { "fec0::2", "fec0::1", "fd00::2", "::1" } },
		{ "ipv6-dns", { "fec0::3", "fec0::53", "fec0::2", "::1" } }, { "restrict", { "on", "off", "on", "on" } },
		{ "host-loopback", { "on", "off", "off", "off" } }, { "mtu", { "1500", "576", "1280", "65520" } }, { "hostname", { "h", "", "x.y", "-" } },
		{ "domainname", { "d.test", "x", "a.b.c", "." } }, { "dnssearch", { "a.test", "b.a.test", "a..b", "x" } },
		{ "dns-host", { "192.0.2.1", "192.0.2.1:54", "[::1]:54", "fe80::1%1" } }, { "tftp-single-port", { "on", "off", "on", "off" } },
		{ "bootfile", { "x", "http://a/b", "tftp://[fec0::2]/x", "" } }, { "tftp-server-name", { "t", "", "10.0.2.2", "x" } },
		{ "guestfwd", { "tcp:10.0.2.100:80-cmd:x", "tcp::25-tcp:127.0.0.1:25", "tcp:[fec0::100]:80-unix:/x", "tcp:10.0.2.9:1-chardev:c" } },
		{ "allow", { "192.0.2.0/24:80-90", "*", "[2001:db8::]/32:1", "10.0.2.2" } }, { "deny", { "*:25", "0.0.0.0/0", "::/0", "93.184.216.34" } },
		{ "outbound-addr", { "192.0.2.9", "2001:db8::9", "0.0.0.0", "::" } }, { "outbound-if", { "wan0", "none", "lo", "x" } },
		{ "max-flows", { "16", "65536", "100", "15" } }, { "max-pending", { "1", "65536", "10", "0" } }, { "max-udp", { "16", "17", "65536", "1" } },
		{ "max-ping", { "1", "2", "65536", "0" } }, { "max-fragments", { "1", "4096", "2", "4097" } }, { "ip", { "10.0.2.0", "1.2.3.4", "x", "" } },
		{ "hostfwd", { NULL } },
	};
	unsigned n = cursor_u8(in) % 6;
	size_t len = 0;

	*text = '\0';
	for (unsigned i = 0; i <= n && cursor_left(in) && len + 100 < room; i++) {
		unsigned k = cursor_u8(in) % ARRAY_SIZE(options);
		uint8_t how = cursor_u8(in);
		const char *good = options[k].good[0] ? options[k].good[how & 3] : forwards[how % ARRAY_SIZE(forwards)];

		len += (size_t)snprintf(text + len, room - len, "%s%s=%s", i ? "," : "", options[k].key, how >= 0xf0 ? "" : good);
		if (how >= 0xe0)
			add_noise(in, text, room);
		len = strlen(text);
	}
}

static void check_error(const struct err *err)
{
	assert(strlen(err->text) > 3 && strlen(err->text) < sizeof(err->text));
	fake_digest('E', 0, err->text, strlen(err->text));
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
	fake_digest('R', 0, line, strlen(line));
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
		uint8_t how = cursor_u8(in);
		bool add = how & 1;

		strcpy(text, forwards[(how >> 1) % ARRAY_SIZE(forwards)]);
		if (how & 0x80)
			add_noise(in, text, sizeof(text));
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

	make_list(&in, text, sizeof(text));
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
		c.limits.dns_queries = c.limits.neighbors = 16;
		c.limits.udp_batch = 2;
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
