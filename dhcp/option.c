/* SPDX-License-Identifier: MIT */
#include "dhcp/option.h"

#include <string.h>
#include <strings.h>

#include "base/bytes.h"

enum { LABEL_MAX = 63, NAME_MAX_LEN = 253, SEARCH_MAX = 1024, POINTER = 0xc0 };

static void parse_area(struct option_set *set, const uint8_t *p, size_t len)
{
	struct cursor c = cursor_of(p, len);

	while (cursor_left(&c)) {
		uint8_t code = cursor_u8(&c), n;
		const uint8_t *v;

		if (code == OPT_PAD)
			continue;
		if (code == OPT_END)
			return;
		n = cursor_u8(&c);
		v = cursor_take(&c, n);
		if (c.bad)
			return;
		if (!set->value[code].data) {
			set->value[code].data = v;
			set->value[code].len = n;
		}
	}
}

void option_parse(struct option_set *set, const uint8_t *message, size_t len)
{
	uint8_t overload = 0;

	memset(set, 0, sizeof(*set));
	parse_area(set, message + MSG_OPTIONS, len - MSG_OPTIONS);
	if (set->value[OPT_OVERLOAD].len == 1)
		overload = set->value[OPT_OVERLOAD].data[0];
	if (overload & 1)
		parse_area(set, message + MSG_FILE, FILE_LEN);
	if (overload & 2)
		parse_area(set, message + MSG_SNAME, SNAME_LEN);
}

void option_put(struct option_writer *w, uint8_t code, const void *data, size_t len)
{
	if (len > 255 || (size_t)(w->end - w->at) < len + 2) {
		w->full = true;
		return;
	}
	w->at[0] = code;
	w->at[1] = (uint8_t)len;
	memcpy(w->at + 2, data, len);
	w->at += len + 2;
}

void option_put_u32(struct option_writer *w, uint8_t code, uint32_t host_order)
{
	uint8_t b[4];

	put_be32(b, host_order);
	option_put(w, code, b, 4);
}

/* The place in what is encoded so far where the rest of a name already stands; -1: nowhere. */
static int find_suffix(const uint8_t *out, size_t used, const char *const *names, const size_t *starts, size_t n,
		       const char *suffix)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = starts[i];

		for (const char *p = names[i]; *p && at < used && out[at] && out[at] < POINTER; ) {
			size_t label = strcspn(p, ".");

			if (!strcasecmp(p, suffix) && at < 0x4000)
				return (int)at;
			at += label + 1;
			p += label;
			if (*p)
				p++;
		}
	}
	return -1;
}

static size_t encode(const char *const *names, uint8_t *out, size_t room, bool compress)
{
	enum { NAMES_MAX = 64 };
	size_t starts[NAMES_MAX], used = 0, n;

	for (n = 0; names[n]; n++) {
		const char *p = names[n];
		int at = -1;

		if (n == NAMES_MAX || !*p || strlen(p) > NAME_MAX_LEN)
			return 0;
		starts[n] = used;
		while (*p && (at = compress ? find_suffix(out, used, names, starts, n, p) : -1) < 0) {
			size_t label = strcspn(p, ".");

			if (!label || label > LABEL_MAX || used + label + 3 > room)
				return 0;
			out[used++] = (uint8_t)label;
			memcpy(out + used, p, label);
			used += label;
			p += label;
			if (*p)
				p++;
		}
		if (used + 2 > room)
			return 0;
		if (at >= 0)
			out[used++] = (uint8_t)(POINTER | at >> 8);
		out[used++] = at >= 0 ? (uint8_t)at : 0;
	}
	return used;
}

size_t option_encode_search(const char *const *names, uint8_t *out, size_t room)
{
	return encode(names, out, room, true);
}

size_t option_encode_names(const char *const *names, uint8_t *out, size_t room)
{
	return encode(names, out, room, false);
}

void option_put_search(struct option_writer *w, const char *const *names)
{
	uint8_t list[SEARCH_MAX];
	size_t len = option_encode_search(names, list, sizeof(list));

	/* all or nothing: half a list is a broken one */
	if (!len || (size_t)(w->end - w->at) < len + 2 * ((len + 254) / 255)) {
		w->full = true;
		return;
	}
	for (size_t at = 0; at < len; at += 255)
		option_put(w, OPT_SEARCH, list + at, MIN(len - at, 255));
}
