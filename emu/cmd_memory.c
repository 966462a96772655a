/* SPDX-License-Identifier: MIT */
/* Monitor commands about memory, ports and numbers. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cpu/insn.h"
#include "emu/expression.h"
#include "emu/machine.h"
#include "emu/monitor.h"

enum { COUNT_MAX = 65536, INSN_MAX = 15 };

/* The words from argv[first] on as one expression, with the registers of the processor that `cpu` chose. */
static bool number(struct monitor *mon, struct machine *m, int argc, char **argv, int first, uint64_t *value)
{
	struct cpu_regs r;
	struct err err;
	char text[256];
	size_t len = 0;

	for (int i = first; i < argc && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i > first ? " " : "", argv[i]);
	run_freeze(m->run);
	cpu_get_regs(cpus_get(m->cpus, monitor_cpu(mon)), &r);
	run_thaw(m->run);
	if (expression(text, &r, value, &err))
		return true;
	monitor_printf(mon, "%s\n", err.text);
	return false;
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

struct format {
	unsigned count, size;           /* size 0: none was given */
	char letter;
};

static bool parse_format(struct monitor *mon, const char *slash, struct format *f)
{
	static const char sizes[] = "bhwg";
	char *end;

	*f = (struct format){ 1, 0, 'x' };
	if (!slash)
		return true;
	if (isdigit((unsigned char)*slash)) {
		unsigned long n = strtoul(slash, &end, 10);

		f->count = n < COUNT_MAX ? (unsigned)n : COUNT_MAX;
		slash = end;
	}
	for (; *slash; slash++) {
		const char *size = strchr(sizes, *slash);

		if (size) {
			f->size = 1u << (size - sizes);
		} else if (strchr("xduoci", *slash)) {
			f->letter = *slash;
		} else {
			monitor_printf(mon, "invalid format '%c' (a count, one of x d u o c i, one of b h w g)\n",
				       *slash);
			return false;
		}
	}
	return true;
}

/* "'A'", with what does not print as C writes it. */
static void print_character(struct monitor *mon, uint8_t c)
{
	static const char escapes[] = "\n\r\t\\'", letters[] = "nrt\\'";
	const char *e = c ? strchr(escapes, c) : NULL;

	if (e)
		monitor_printf(mon, "'\\%c'", letters[e - escapes]);
	else if (isprint(c))
		monitor_printf(mon, "'%c'", c);
	else
		monitor_printf(mon, "'\\x%02x'", c);
}

static void print_value(struct monitor *mon, char letter, unsigned size, uint64_t v)
{
	switch (letter) {
	case 'x':
		monitor_printf(mon, "0x%0*" PRIx64, (int)size * 2, v);
		break;
	case 'd':
		monitor_printf(mon, "%" PRId64, (int64_t)(v << (64 - 8 * size)) >> (64 - 8 * size));
		break;
	case 'u':
		monitor_printf(mon, "%" PRIu64, v);
		break;
	case 'o':
		monitor_printf(mon, "%#" PRIo64, v);
		break;
	case 'c':
		print_character(mon, (uint8_t)v);
		break;
	}
}

/* With the machine lock held and the processors at rest; returns the bytes read. */
static size_t peek(struct monitor *mon, struct machine *m, bool physical, uint64_t at, uint8_t *buf, size_t len)
{
	if (!physical)
		return cpu_peek(cpus_get(m->cpus, monitor_cpu(mon)), at, buf, len);
	for (size_t i = 0; i < len; i++)
		if (!dma_read(pc_memory(m->pc), at + i, buf + i, 1))
			return i;
	return len;
}

static void dump_values(struct monitor *mon, struct machine *m, const struct format *f, unsigned size, uint64_t at,
			bool physical)
{
	unsigned per_line = f->letter == 'c' ? 8 : 16 / size;

	for (unsigned left = f->count; left; at += per_line * size) {
		uint8_t buf[16] = { 0 };
		unsigned n = MIN(left, per_line);
		size_t got = peek(mon, m, physical, at, buf, n * size);

		monitor_printf(mon, "%016" PRIx64 ":", at);
		for (unsigned i = 0; i < got / size; i++) {
			uint64_t v = 0;

			memcpy(&v, buf + i * size, size);
			monitor_printf(mon, " ");
			print_value(mon, f->letter, size, v);
		}
		monitor_printf(mon, "\n");
		if (got < n * size) {
			monitor_printf(mon, "Cannot access memory\n");
			return;
		}
		left -= n;
	}
}

/* x/i: `size` of h, w or g takes that mode instead of the processor's own. */
static void dump_code(struct monitor *mon, struct machine *m, const struct format *f, uint64_t at, bool physical)
{
	struct cpu_regs r;
	unsigned mode;

	cpu_get_regs(cpus_get(m->cpus, monitor_cpu(mon)), &r);
	mode = r.seg[1].attributes & 1 << 13 && r.efer & 1 << 10 ? 64 : r.seg[1].attributes & 1 << 14 ? 32 : 16;
	if (f->size >= 2)
		mode = 8 * f->size;
	for (unsigned i = 0; i < f->count; i++) {
		uint8_t buf[INSN_MAX];
		size_t got = peek(mon, m, physical, at, buf, sizeof(buf)), len = 1;
		char text[128] = "(bad)", bytes[3 * INSN_MAX + 1] = "";
		struct insn insn;
		enum decode_result result = insn_decode(&insn, buf, got, mode);

		if (result == DECODE_SHORT || !got) {
			monitor_printf(mon, "0x%08" PRIx64 ":\nCannot access memory\n", at);
			return;
		}
		if (result == DECODE_OK) {
			insn_text(&insn, at, text, sizeof(text));
			len = insn.len;
		}
		for (size_t k = 0; k < len; k++)
			sprintf(bytes + 3 * k, "%02x ", buf[k]);
		monitor_printf(mon, "0x%08" PRIx64 ":  %-24s %s\n", at, bytes, text);
		at += len;
	}
}

static void dump(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash, bool physical)
{
	uint64_t at;
	struct format f;

	if (!parse_format(mon, slash, &f) || !number(mon, m, argc, argv, 1, &at))
		return;
	run_freeze(m->run);
	run_lock(m->run);
	if (f.letter == 'i')
		dump_code(mon, m, &f, at, physical);
	else
		dump_values(mon, m, &f, f.letter == 'c' ? 1 : f.size ? f.size : 4, at, physical);
	run_unlock(m->run);
	run_thaw(m->run);
}

static void x(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	dump(mon, m, argc, argv, slash, false);
}

static void xp(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	dump(mon, m, argc, argv, slash, true);
}

static void print(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	uint64_t v;
	struct format f;

	if (!parse_format(mon, slash, &f) || !number(mon, m, argc, argv, 1, &v))
		return;
	if (f.letter == 'i') {
		monitor_printf(mon, "invalid format 'i' (x d u o c)\n");
		return;
	}
	if (f.letter == 'x')
		monitor_printf(mon, "%#" PRIx64, v);
	else
		print_value(mon, f.letter, 8, v);
	monitor_printf(mon, "\n");
}

/* --- ports -------------------------------------------------------------------------------------------------------- */

static bool port_size(struct monitor *mon, const char *slash, unsigned *size)
{
	*size = !slash || !strcmp(slash, "b") ? 1 : !strcmp(slash, "h") ? 2 : !strcmp(slash, "w") ? 4 : 0;
	if (!*size)
		monitor_printf(mon, "invalid size '%s' (b h w)\n", slash);
	return *size;
}

static void port_in(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	uint64_t port, value;
	unsigned size;

	if (!port_size(mon, slash, &size) || !number(mon, m, argc, argv, 1, &port))
		return;
	run_lock(m->run);
	value = bus_read(pc_ports(m->pc), port & 0xffff, size);
	run_unlock(m->run);
	monitor_printf(mon, "port%s[0x%04x] = 0x%0*" PRIx64 "\n", size == 1 ? "b" : size == 2 ? "w" : "l",
		       (unsigned)port & 0xffff, (int)size * 2, value);
}

static void port_out(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	uint64_t port, value;
	unsigned size;

	(void)argc;
	if (!port_size(mon, slash, &size) || !number(mon, m, 2, argv, 1, &port) || !number(mon, m, 3, argv, 2, &value))
		return;
	run_lock(m->run);
	bus_write(pc_ports(m->pc), port & 0xffff, value, size);
	run_unlock(m->run);
}

const struct command cmd_memory[] = {
	{ "x", "ADDRESS", "guest-virtual memory; x/16xb, x/4i $pc: a count, x d u o c i, b h w g", .run = x },
	{ "xp", "ADDRESS", "guest-physical memory, as x", .run = xp },
	{ "print|p", "EXPRESSION", "a number; p/x $cr3 + 8: x d u o c", .run = print },
	{ "i", "PORT", "read a port; i/w PORT: b h w", .run = port_in },
	{ "o", "PORT VALUE", "write to a port, as i", .run = port_out },
	{ .name = NULL },
};
