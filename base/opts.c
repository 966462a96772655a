/* SPDX-License-Identifier: MIT */
#include "base/opts.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void append(struct opts *o, char *key, char *value)
{
	o->list = realloc(o->list, (o->count + 1) * sizeof(*o->list));
	assert(o->list && key && value);
	o->list[o->count++] = (struct opt){ key, value, false };
}

void opts_add(struct opts *o, const char *key, const char *value)
{
	append(o, strdup(key), strdup(value));
}

/* Copies up to the next single comma, halving double ones; *text is left behind the comma or at the end. */
static char *take_value(const char **text)
{
	const char *p = *text;
	char *value = malloc(strlen(p) + 1), *to = value;

	assert(value);
	while (*p) {
		if (*p == ',') {
			p++;
			if (*p != ',')
				break;
		}
		*to++ = *p++;
	}
	*to = '\0';
	*text = p;
	return value;
}

bool opts_parse(struct opts *o, const char *text, const char *implied, struct err *err)
{
	const char *p = text;

	*o = (struct opts){ 0 };
	while (*p) {
		size_t n = strcspn(p, "=,");

		if (p[n] == '=') {
			char *key = strndup(p, n);

			if (n == 0) {
				free(key);
				opts_free(o);
				return err_set(err, "Expected a parameter name before '='");
			}
			p += n + 1;
			append(o, key, take_value(&p));
		} else if (p == text && implied) {
			append(o, strdup(implied), take_value(&p));
		} else {
			char *flag = take_value(&p);
			bool off = !strncmp(flag, "no", 2) && flag[2] && strcmp(flag, "node-name");

			if (*flag)
				append(o, strdup(off ? flag + 2 : flag), strdup(off ? "off" : "on"));
			free(flag);
		}
	}
	return true;
}

void opts_free(struct opts *o)
{
	for (size_t i = 0; i < o->count; i++) {
		free(o->list[i].key);
		free(o->list[i].value);
	}
	free(o->list);
	*o = (struct opts){ 0 };
}

const char *opts_get(struct opts *o, const char *key)
{
	const char *value = NULL;

	for (size_t i = 0; i < o->count; i++) {
		if (!strcmp(o->list[i].key, key)) {
			o->list[i].used = true;
			value = o->list[i].value;
		}
	}
	return value;
}

const char *opts_each(struct opts *o, const char *key, size_t *at)
{
	while (*at < o->count) {
		struct opt *e = &o->list[(*at)++];

		if (!strcmp(e->key, key)) {
			e->used = true;
			return e->value;
		}
	}
	return NULL;
}

bool opt_parse_bool(const char *text, bool *value)
{
	static const char *const words[] = { "off", "on", "no", "yes", "false", "true", "n", "y" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(text, words[i])) {
			*value = i & 1;
			return true;
		}
	}
	return false;
}

bool opt_parse_number(const char *text, uint64_t *value)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*value = strtoull(text, &end, 0);
	return errno == 0 && *end == '\0';
}

bool opt_parse_size(const char *text, uint64_t unit, uint64_t *value)
{
	static const char suffixes[] = "bkmgtpe";
	const char *at;
	char *end;
	unsigned __int128 bytes;
	uint64_t whole;
	double fraction = 0;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	whole = strtoull(text, &end, text[0] == '0' && (text[1] | 0x20) == 'x' ? 16 : 10);
	if (errno)
		return false;
	if (*end == '.') {
		double place = 0.1;

		for (end++; isdigit((unsigned char)*end); end++, place /= 10)
			fraction += (*end - '0') * place;
	}
	if (*end) {
		at = strchr(suffixes, tolower((unsigned char)*end));
		if (!at || end[1])
			return false;
		unit = (uint64_t)1 << (10 * (at - suffixes));
	}
	bytes = (unsigned __int128)whole * unit + (uint64_t)(fraction * (double)unit);
	*value = (uint64_t)bytes;
	return bytes <= UINT64_MAX;
}

bool opt_is_id(const char *text)
{
	if (!isalpha((unsigned char)*text))
		return false;
	while (*++text)
		if (!isalnum((unsigned char)*text) && !strchr("-._", *text))
			return false;
	return true;
}

bool opts_bool(struct opts *o, const char *key, bool *value, struct err *err)
{
	const char *text = opts_get(o, key);

	if (text && !opt_parse_bool(text, value))
		return err_set(err, "Parameter '%s' expects 'on' or 'off', not '%s'", key, text);
	return true;
}

bool opts_number(struct opts *o, const char *key, uint64_t min, uint64_t max, uint64_t *value, struct err *err)
{
	const char *text = opts_get(o, key);
	uint64_t n;

	if (!text)
		return true;
	if (!opt_parse_number(text, &n))
		return err_set(err, "Parameter '%s' expects a number, not '%s'", key, text);
	if (n < min || n > max)
		return err_set(err, "Parameter '%s' expects a number from %" PRIu64 " to %" PRIu64 ", not '%s'", key, min, max,
			       text);
	*value = n;
	return true;
}

bool opts_size(struct opts *o, const char *key, uint64_t unit, uint64_t *value, struct err *err)
{
	const char *text = opts_get(o, key);
	uint64_t n;

	if (!text)
		return true;
	if (!opt_parse_size(text, unit, &n))
		return err_set(err, "Parameter '%s' expects a non-negative number below 2^64 with an optional suffix "
			       "k, M, G, T, P or E, not '%s'", key, text);
	*value = n;
	return true;
}

bool opts_help(struct opts *o, const char *implied)
{
	for (size_t i = 0; i < o->count; i++) {
		const struct opt *e = &o->list[i];

		if (!strcmp(e->key, "help") || !strcmp(e->key, "?"))
			return true;
		if (implied && !strcmp(e->key, implied) && (!strcmp(e->value, "help") || !strcmp(e->value, "?")))
			return true;
	}
	return false;
}

bool opts_done(struct opts *o, struct err *err)
{
	for (size_t i = 0; i < o->count; i++)
		if (!o->list[i].used)
			return err_set(err, "Invalid parameter '%s'", o->list[i].key);
	return true;
}
