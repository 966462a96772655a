/* SPDX-License-Identifier: MIT */
/*
 * Option lists as QEMU users write them: "user,id=n0,hostfwd=tcp::2222-:22".  A comma inside a value is doubled; the
 * first element may leave out its key; an element without '=' is a switch ("readonly" is readonly=on, "nowait" wait=off).
 * Each key that is looked up counts as known, and opts_done() names the first that nobody asked for.
 */
#ifndef BASE_OPTS_H
#define BASE_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct opt {
	char *key, *value;
	bool used;
};

struct opts {
	struct opt *list;
	size_t count;
};

/* Parse text into o (overwritten).  implied: the key of a first element without '='; NULL: none. */
bool opts_parse(struct opts *o, const char *text, const char *implied, struct err *err);
/* Append one pair. */
void opts_add(struct opts *o, const char *key, const char *value);
void opts_free(struct opts *o);

/* The value of the last element with this key, or NULL. */
const char *opts_get(struct opts *o, const char *key);
/* One after the other: *at starts at 0; NULL at the end. */
const char *opts_each(struct opts *o, const char *key, size_t *at);
/* Typed values; *value stays as it is when the key is absent. */
bool opts_bool(struct opts *o, const char *key, bool *value, struct err *err);
bool opts_number(struct opts *o, const char *key, uint64_t min, uint64_t max, uint64_t *value, struct err *err);
/* Bytes; `unit` is what a bare number counts (1, or 1 << 20 for -m). */
bool opts_size(struct opts *o, const char *key, uint64_t unit, uint64_t *value, struct err *err);
/* Whether the text asks for help ("help" or "?" as an element or as the implied value). */
bool opts_help(struct opts *o, const char *implied);
/* True if every key was looked up; else err: Invalid parameter 'key'. */
bool opts_done(struct opts *o, struct err *err);

/* on/yes/true/y, off/no/false/n. */
bool opt_parse_bool(const char *text, bool *value);
/* Decimal, 0x, or octal with a leading 0; the whole text. */
bool opt_parse_number(const char *text, uint64_t *value);
/* A number with an optional fraction and suffix B, k, M, G, T, P or E. */
bool opt_parse_size(const char *text, uint64_t unit, uint64_t *value);
/* QEMU's rule for ids: a letter, then letters, digits, '-', '.', '_'. */
bool opt_is_id(const char *text);

#endif
