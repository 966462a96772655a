/* SPDX-License-Identifier: MIT */
/* Options by name. */
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
#include "base/opts.h"
#include "tests/fake/fake_net.h"

/* The config that an option list makes; false with err. */
static bool configure(struct unet_config *c, const char *list, struct opts *o, struct err *err)
{
	assert_true(opts_parse(o, list, NULL, NULL));
	unet_config_defaults(c);
	for (size_t i = 0; i < o->count; i++)
		if (!unet_config_set(c, o->list[i].key, o->list[i].value, err))
			return false;
	return unet_config_finish(c, err);
}

static void every_option_sets_its_field(void **state)
{
	struct unet_config c;
	struct opts o;
	struct err err;

	(void)state;
	if (!configure(&c, "net=10.9.0.0/16,host=10.9.1.1,dns=10.9.1.2,dhcpstart=10.9.1.3,restrict=on,host-loopback=off,mtu=9000,"
		       "hostname=h,domainname=d,dnssearch=a.test,dnssearch=b.test,dns-host=192.0.2.1:54,tftp=/srv,tftp-server-name=t,"
		       "bootfile=/b,hostfwd=tcp::0-:22,hostfwd=udp::0-:53,max-flows=100,max-pending=10,max-udp=20,max-ping=30,"
		       "max-fragments=40", &o, &err))
		fail_msg("%s", err.text);
	assert_string_equal(inet_ntoa(c.net), "10.9.0.0");
	assert_string_equal(inet_ntoa(c.host), "10.9.1.1");
	assert_string_equal(inet_ntoa(c.dns), "10.9.1.2");
	assert_string_equal(inet_ntoa(c.dhcpstart), "10.9.1.3");
	assert_true(c.restricted && !c.host_loopback);
	assert_int_equal(c.mtu, 9000);
	assert_string_equal(c.hostname, "h");
	assert_string_equal(c.domainname, "d");
	assert_string_equal(c.dnssearch[1], "b.test");
	assert_null(c.dnssearch[2]);
	assert_int_equal(c.dns_hosts, 1);
	assert_string_equal(c.tftp, "/srv");
	assert_string_equal(c.tftp_server_name, "t");
	assert_string_equal(c.bootfile, "/b");
	assert_int_equal(c.hostfwds, 2);
	assert_string_equal(c.hostfwd[1], "udp::0-:53");
	assert_int_equal(c.limits.tcp_flows, 100);
	assert_int_equal(c.limits.tcp_pending, 10);
	assert_int_equal(c.limits.udp_flows, 20);
	assert_int_equal(c.limits.icmp_flows, 30);
	assert_int_equal(c.limits.fragments, 40);
	opts_free(&o);
}

/* The order of options does not matter where several belong together. */
static void what_belongs_together_is_checked_at_the_end(void **state)
{
	struct unet_config c;
	struct opts o;
	struct err err;

	(void)state;
	assert_true(configure(&c, "host=10.9.1.1,net=10.9.0.0/16", &o, &err));
	opts_free(&o);
	assert_false(configure(&c, "dns=8.8.8.8,restrict=on", &o, &err));
	assert_string_equal(err.text, "DNS doesn't belong to network");
	opts_free(&o);
	assert_false(configure(&c, "ipv6=off,ipv4=off", &o, &err));
	assert_string_equal(err.text, "IPv4 and IPv6 disabled");
	opts_free(&o);
	assert_false(configure(&c, "ipv6=off,ipv6-host=fec0::2", &o, &err));
	assert_string_equal(err.text, "IPv6 disabled but prefix/host6/dns6 provided");
	opts_free(&o);
	assert_true(configure(&c, "ipv6-dns=fd00::53,ipv6-prefixlen=48,ipv6-prefix=fd00::", &o, &err));
	assert_int_equal(c.prefixlen, 48);
	assert_memory_equal(&c.dns6, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x53", 16);
	opts_free(&o);
	assert_true(configure(&c, "ip=10.7.0.0/16", &o, &err));
	assert_string_equal(inet_ntoa(c.host), "10.7.2.2");
	opts_free(&o);
}

static void naming_one_family_turns_the_other_off(void **state)
{
	static const struct { const char *list; bool four, six; } cases[] = {
		{ "restrict=off", true, true }, { "ipv4=on", true, false }, { "ipv6=on", false, true }, { "ipv4=off", false, true },
		{ "ipv6=off", true, false }, { "ipv4=on,ipv6=on", true, true },
	};
	struct unet_config c;
	struct opts o;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(configure(&c, cases[i].list, &o, &err));
		assert_true(c.ipv4 == cases[i].four && c.ipv6 == cases[i].six);
		opts_free(&o);
	}
}

static void bad_values_are_refused_with_name_and_reason(void **state)
{
	static const struct { const char *list, *message; } cases[] = {
		{ "frob=1", "Invalid parameter 'frob'" },
		{ "restrict=maybe", "Parameter 'restrict' expects 'on' or 'off', not 'maybe'" },
		{ "host-loopback=1", "Parameter 'host-loopback' expects 'on' or 'off', not '1'" },
		{ "mtu=x", "Parameter 'mtu' expects a number, not 'x'" },
		{ "mtu=575", "Parameter 'mtu' expects a number from 576 to 65520, not '575'" },
		{ "mtu=65521", "Parameter 'mtu' expects a number from 576 to 65520, not '65521'" },
		{ "max-flows=0", "Parameter 'max-flows' expects a number from 16 to 65536, not '0'" },
		{ "max-flows=-1", "Parameter 'max-flows' expects a number, not '-1'" },
		{ "max-fragments=99999999999999999999", "Parameter 'max-fragments' expects a number, not '99999999999999999999'" },
		{ "domainname=", "'domainname' parameter cannot be empty" },
		{ "tftp=", "'tftp' parameter cannot be empty" },
		{ "dns-host=x", "dns-host 'x' is not an address: ADDR[:PORT] is" },
		{ "dns-host=1.2.3.4:-1", "dns-host port '-1' is not a number from 1 to 65535" },
		{ "hostfwd=tcp::x-:22", "Invalid host forwarding rule 'tcp::x-:22' (Bad host port: 'x')" },
		{ "net=10.0.2.0/99", "Invalid netmask provided (must be in range 4-32)" },
	};
	struct unet_config c;
	struct opts o;
	struct err err;
	char longer[400];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_false(configure(&c, cases[i].list, &o, &err));
		assert_string_equal(err.text, cases[i].message);
		opts_free(&o);
	}
	snprintf(longer, sizeof(longer), "bootfile=%0128d", 1);
	assert_false(configure(&c, longer, &o, &err));
	assert_string_equal(err.text, "'bootfile' parameter cannot exceed 127 bytes");
	opts_free(&o);
}

static void lists_have_an_end(void **state)
{
	struct unet_config c;
	struct err err;

	(void)state;
	unet_config_defaults(&c);
	for (int i = 0; i < UNET_SEARCHES; i++)
		assert_true(unet_config_set(&c, "dnssearch", "a.test", &err));
	assert_false(unet_config_set(&c, "dnssearch", "a.test", &err));
	assert_string_equal(err.text, "more than 16 dnssearch values");
	for (int i = 0; i < UNET_RULES; i++)
		assert_true(unet_config_set(&c, "hostfwd", "tcp::0-:22", &err));
	assert_false(unet_config_set(&c, "hostfwd", "tcp::0-:22", &err));
	assert_string_equal(err.text, "more than 256 hostfwd rules");
}

static void forwards_are_set_up_with_the_network_or_it_is_not(void **state)
{
	struct fake_net n;
	struct unet_config c;
	struct err err;

	(void)state;
	fake_net_config(&n, &c);
	assert_true(unet_config_set(&c, "hostfwd", "tcp::2222-:22", &err));
	assert_true(fake_net_start(&n, &c, 0));
	assert_int_equal(n.sockets.open_count, 1);
	assert_true(unet_config_set(&c, "hostfwd", "tcp::2223-:22", &err));
	assert_null(unet_new(&c, &err));
	assert_string_equal(err.text, "Could not set up host forwarding rule 'tcp::2222-:22': Address already in use");
	assert_int_equal(n.sockets.open_count, 1);
	fake_net_free(&n);
}

struct help {
	unsigned lines, unknown;
};

static void help_line(void *to, const char *line)
{
	struct help *h = to;
	char key[40];

	h->lines++;
	snprintf(key, sizeof(key), "%.*s", (int)strcspn(line, "="), line);
	h->unknown += !unet_config_knows(key) || strlen(line) > 100;
}

static void help_has_a_line_for_each_option(void **state)
{
	struct help h = { 0 };

	(void)state;
	unet_config_help(help_line, &h);
	assert_true(h.lines >= 20);
	assert_int_equal(h.unknown, 0);
	assert_false(unet_config_knows("mac"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_option_sets_its_field),
		cmocka_unit_test(what_belongs_together_is_checked_at_the_end),
		cmocka_unit_test(naming_one_family_turns_the_other_off),
		cmocka_unit_test(bad_values_are_refused_with_name_and_reason),
		cmocka_unit_test(lists_have_an_end),
		cmocka_unit_test(forwards_are_set_up_with_the_network_or_it_is_not),
		cmocka_unit_test(help_has_a_line_for_each_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
