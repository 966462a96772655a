/* SPDX-License-Identifier: MIT */
/* One line of text about what the user's set-up lacks, carried up to whoever can print it. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

struct err {
	char text[400];
};

/* Fill e (which may be NULL: the text is then dropped).  Both return false, so that an opener can `return err_set(...)`. */
bool err_set(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same with ": " and the text of errno value `number` behind it. */
bool err_errno(struct err *e, int number, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Put "prefix: " in front of what e says. */
void err_prefix(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
