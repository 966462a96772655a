/* SPDX-License-Identifier: MIT */
/* Forwards as text.  The reasons begin with QEMU's words. */
#include "unet/rules.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define HOSTFWD_FORM "[tcp|udp]:[HADDR]:HPORT-[GADDR]:GPORT or unix:/PATH-[GADDR]:GPORT"

enum { WORD_MAX = 64 };

/* --- words -------------------------------------------------------------------------------------------------------- */

/* Cuts the text up to sep into word; false if there is no sep (or no room: nothing valid is that long). */
static bool take_word(const char **text, char sep, char *word, size_t room)
{
	const char *end = strchr(*text, sep);
	size_t n;

	if (!end)
		return false;
	n = (size_t)(end - *text);
	if (n >= room)
		n = room - 1;
	memcpy(word, *text, n);
	word[n] = '\0';
	*text = end + 1;
	return true;
}

/* "[addr]:" with IPv6 addresses in brackets, which stay in word. */
bool rule_take_address(const char **text, char *word, size_t room)
{
	const char *end = **text == '[' ? strchr(*text, ']') : NULL;
	size_t n;

	if (!end || end[1] != ':')
		return take_word(text, ':', word, room);
	n = (size_t)(end + 1 - *text);
	if (n >= room)
		n = room - 1;
	memcpy(word, *text, n);
	word[n] = '\0';
	*text = end + 2;
	return true;
}

bool rule_address(const char *word, struct addr *a)
{
	char inner[INET6_ADDRSTRLEN];
	struct in6_addr six;
	struct in_addr four;
	size_t n = strlen(word);

	if (word[0] != '[') {
		if (inet_pton(AF_INET, word, &four) != 1)
			return false;
		*a = addr_from4(&four);
		return true;
	}
	if (n < 2 || word[n - 1] != ']' || n - 2 >= sizeof(inner))
		return false;
	memcpy(inner, word + 1, n - 2);
	inner[n - 2] = '\0';
	if (inet_pton(AF_INET6, inner, &six) != 1)
		return false;
	*a = addr_from6(&six);
	return !addr_is4(a);            /* ::ffff:1.2.3.4 is no address of either network */
}

static bool parse_port(const char *text, long min, uint16_t *port)
{
	char *end;
	long v;

	if (!isdigit((unsigned char)*text))
		return false;
	v = strtol(text, &end, 10);
	if (*end || v < min || v > 65535)
		return false;
	*port = (uint16_t)v;
	return true;
}

bool rule_ports(const char *text, long min, uint16_t *first, uint16_t *last)
{
	const char *dash = strchr(text, '-');
	char word[WORD_MAX];

	if (!dash) {
		if (!parse_port(text, min, first))
			return false;
		*last = *first;
		return true;
	}
	take_word(&text, '-', word, sizeof(word));
	return parse_port(word, min, first) && parse_port(text, min, last) && *first <= *last && *first != 0;
}

/* The host ports end at a '-'; but "8000-8010-" is a range and its end. */
static bool take_ports(const char **text, char *word, size_t room)
{
	const char *end = *text + strspn(*text, "0123456789");
	size_t more;
	bool range;

	if (end != *text && *end == '-') {
		more = strspn(end + 1, "0123456789");
		range = more && end[1 + more] == '-';
		if (range) {
			size_t n = (size_t)(end + 1 + more - *text);

			if (n >= room)
				n = room - 1;
			memcpy(word, *text, n);
			word[n] = '\0';
			*text = end + 1 + more + 1;
			return true;
		}
	}
	return take_word(text, '-', word, room);
}

/* --- hostfwd ------------------------------------------------------------------------------------------------------ */

static bool bad(struct err *err, const char *rule, const char *reason)
{
	return err_set(err, "Invalid host forwarding rule '%s' (%s: " HOSTFWD_FORM " is expected)", rule, reason);
}

static bool bad_word(struct err *err, const char *rule, const char *reason, const char *word)
{
	return err_set(err, "Invalid host forwarding rule '%s' (%s: '%s')", rule, reason, word);
}

/* "[tcp|udp]:[haddr]:" -- the beginning that both forms share. */
static bool parse_host(const char *rule, const char **text, struct hostfwd_rule *r, struct err *err)
{
	char word[WORD_MAX];

	if (!take_word(text, ':', word, sizeof(word)))
		return bad(err, rule, "No : separators");
	if (!strcmp(word, "udp"))
		r->udp = true;
	else if (*word && strcmp(word, "tcp"))
		return bad_word(err, rule, "Bad protocol name", word);
	if (!rule_take_address(text, word, sizeof(word)))
		return bad(err, rule, "Missing : separator");
	r->host = addr_from4((const uint8_t[4]){ 0 });
	if (*word && !rule_address(word, &r->host))
		return bad_word(err, rule, "Bad host address", word);
	return true;
}

static bool is_unix(const char *text)
{
	return !strncmp(text, "unix:", 5);
}

static bool take_path(const char *path, size_t len, struct hostfwd_rule *r)
{
	if (*path != '/' || len >= sizeof(r->path))
		return false;
	memcpy(r->path, path, len);
	r->path[len] = '\0';
	return true;
}

/* The path ends at the last '-' that an address and port can follow; leaves *text there. */
static bool parse_unix(const char *rule, const char **text, struct hostfwd_rule *r, struct err *err)
{
	const char *path = rule + 5, *dash = strrchr(path, '-'), *earlier;

	/* the dash of a range of guest ports is not it */
	for (earlier = dash; earlier && !strchr(earlier, ':'); ) {
		do
			earlier--;
		while (earlier > path && *earlier != '-');
		earlier = earlier > path ? earlier : NULL;
	}
	if (!earlier)
		return bad(err, rule, "Missing guest address");
	if (!take_path(path, (size_t)(earlier - path), r))
		return err_set(err, "Invalid host forwarding rule '%s' (Bad path: it must begin with / and be at most %zu "
			       "bytes long)", rule, sizeof(r->path) - 1);
	*text = earlier + 1;
	return true;
}

/* "[gaddr]:gport[-gport]" */
static bool parse_guest(const char *rule, const char *text, struct hostfwd_rule *r, struct err *err)
{
	char word[WORD_MAX];
	uint16_t last;

	if (!rule_take_address(&text, word, sizeof(word)))
		return bad(err, rule, "Missing guest address");
	r->any_guest = !*word;
	if (*word && !rule_address(word, &r->guest))
		return bad_word(err, rule, "Bad guest address", word);
	if (!rule_ports(text, 1, &r->guest_port, &last))
		return bad_word(err, rule, "Bad guest port", text);
	if (last != r->guest_port && last - r->guest_port + 1 != r->ports)
		return bad_word(err, rule, "Bad guest port: as many as host ports are needed", text);
	if (r->guest_port + r->ports - 1 > 65535)
		return bad_word(err, rule, "Bad guest port: the range goes beyond 65535", text);
	return true;
}

bool hostfwd_parse(const char *rule, struct hostfwd_rule *r, struct err *err)
{
	const char *text = rule;
	char word[WORD_MAX];
	uint16_t last;

	memset(r, 0, sizeof(*r));
	r->ports = 1;
	if (is_unix(rule))
		return parse_unix(rule, &text, r, err) && parse_guest(rule, text, r, err);
	if (!parse_host(rule, &text, r, err))
		return false;
	if (!take_ports(&text, word, sizeof(word)))
		return bad(err, rule, "Bad host port separator");
	if (!rule_ports(word, 0, &r->host_port, &last))
		return bad_word(err, rule, "Bad host port", word);
	r->ports = (uint16_t)(last - r->host_port + 1);
	return parse_guest(rule, text, r, err);
}

bool hostfwd_parse_host(const char *text, struct hostfwd_rule *r)
{
	uint16_t last;

	memset(r, 0, sizeof(*r));
	r->ports = 1;
	if (is_unix(text))
		return take_path(text + 5, strlen(text + 5), r);
	if (!parse_host(text, &text, r, NULL) || !rule_ports(text, 0, &r->host_port, &last))
		return false;
	r->ports = (uint16_t)(last - r->host_port + 1);
	return true;
}
