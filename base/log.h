/* SPDX-License-Identifier: MIT */
/*
 * The log that -d and -D steer.  Lines about the guest's or the network's misbehaviour are rate-limited
 * per call site, so that a guest in a loop cannot fill a disk; each line says how many were left out.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_item {
	LOG_IN_ASM = 1 << 0,            /* guest code as it is first decoded */
	LOG_INT = 1 << 1,               /* interrupts and exceptions */
	LOG_CPU = 1 << 2,               /* registers before each block */
	LOG_GUEST_ERRORS = 1 << 3,      /* the guest did what the data sheet forbids */
	LOG_UNIMP = 1 << 4,             /* the guest asked for what a model leaves out */
	LOG_EXEC = 1 << 5,              /* each block as it is entered */
	LOG_OP = 1 << 6,                /* decoded form of each block */
	LOG_OUT_ASM = 1 << 7,           /* host code of each block */
	LOG_MMU = 1 << 8,               /* page walks that fault */
	LOG_NET = 1 << 9,               /* flows and frames refused by the network */
	LOG_NOCHAIN = 1 << 10,          /* no lines: blocks are not chained */
};

/* Which items are on; read it directly to skip costly formatting.  Set once, before threads start. */
extern unsigned log_mask;

/* "int,cpu" -> mask.  Returns false with *bad pointing at the first unknown name. */
bool log_parse(const char *list, unsigned *mask, const char **bad);
/* Prints "name  what it is" lines for -d help. */
void log_help(void);
/* Send log lines to this file from now on (-D).  Returns 0 or -errno; the old target stays on failure. */
int log_open(const char *path);

/* One line to the log if any of `items` is on.  No newline at the end of format. */
void log_line(unsigned items, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct log_limit {
	uint64_t window_ns;             /* start of the current window, host monotonic */
	uint32_t lines, dropped;
};
void log_limited(struct log_limit *l, unsigned items, const char *part, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#define LOG_LIMITED_(items, part, ...) do { \
	static struct log_limit limit_; \
	if (log_mask & (items)) \
		log_limited(&limit_, (items), (part), __VA_ARGS__); \
} while (0)
/* The guest did something the data sheet forbids; `part` is the file's noun: log_guest("e1000", "..."). */
#define log_guest(part, ...) LOG_LIMITED_(LOG_GUEST_ERRORS, part, __VA_ARGS__)
/* The guest asked for something a model leaves out. */
#define log_unimp(part, ...) LOG_LIMITED_(LOG_UNIMP, part, __VA_ARGS__)
/* The network side refused or dropped something. */
#define log_net(part, ...) LOG_LIMITED_(LOG_NET, part, __VA_ARGS__)

/* A line for the user on stderr, always printed, "tenbox: " in front (log_name can change that). */
void log_user(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern const char *log_name;

#endif
