/* SPDX-License-Identifier: MIT */
/* Monitor commands about processors, memory and ports. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "emu/machine.h"
#include "emu/monitor.h"

static unsigned current;        /* which processor `x` looks through */

static bool number(struct monitor *mon, const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	if (end != text && !*end && !errno)
		return true;
	monitor_printf(mon, "invalid number '%s'\n", text);
	return false;
}

static void each_cpu(struct monitor *mon, struct machine *m, bool all,
		     void (*print)(const struct cpu *c, void (*out)(void *to, const char *line), void *to), const char *title)
{
	unsigned count = cpus_count(m->cpus);

	run_freeze(m->run);
	for (unsigned i = 0; i < count; i++) {
		if (!all && i != current)
			continue;
		if (all || !strncmp(title, "dump", 4))
			monitor_printf(mon, title, i);
		print(cpus_get(m->cpus, i), monitor_line, mon);
	}
	run_thaw(m->run);
}

static void info_registers(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	(void)slash;
	each_cpu(mon, m, argc > 1 && !strcmp(argv[1], "-a"), cpu_print, "\nCPU#%u\n");
}

static void info_lapic(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	(void)slash;
	each_cpu(mon, m, argc > 1 && !strcmp(argv[1], "-a"), cpu_print_apic, "dumping local APIC state for CPU %-2u\n\n");
}

static void info_cpus(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	(void)argc, (void)argv, (void)slash;
	run_freeze(m->run);
	for (unsigned i = 0; i < cpus_count(m->cpus); i++) {
		struct cpu *c = cpus_get(m->cpus, i);
		struct cpu_regs r;

		cpu_get_regs(c, &r);
		monitor_printf(mon, "%c CPU #%u: pc=0x%016" PRIx64 " instructions=%" PRIu64 "%s\n", i == current ? '*' : ' ', i, r.rip,
			       cpu_instructions(c), cpu_runnable(c) ? "" : " (halted)");
	}
	run_thaw(m->run);
}

static void cpu(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	uint64_t n;

	(void)argc, (void)slash;
	if (!number(mon, argv[1], &n))
		return;
	if (n >= cpus_count(m->cpus))
		monitor_printf(mon, "invalid CPU index\n");
	else
		current = (unsigned)n;
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

struct format {
	unsigned count, size;
	char letter;
};

static bool parse_format(struct monitor *mon, const char *slash, struct format *f)
{
	static const char sizes[] = "bhwg";
	char *end;

	*f = (struct format){ 1, 4, 'x' };
	if (!slash)
		return true;
	if (isdigit((unsigned char)*slash)) {
		unsigned long n = strtoul(slash, &end, 10);

		f->count = n < 65536 ? (unsigned)n : 65536;
		slash = end;
	}
	for (; *slash; slash++) {
		const char *size = strchr(sizes, *slash);

		if (size) {
			f->size = 1u << (size - sizes);
		} else if (strchr("xduoc", *slash)) {
			f->letter = *slash;
		} else {
			monitor_printf(mon, "invalid format '%c' (a count, one of x d u o c, one of b h w g)\n", *slash);
			return false;
		}
	}
	if (f->letter == 'c')
		f->size = 1;
	return true;
}

static void print_value(struct monitor *mon, const struct format *f, const uint8_t *p)
{
	uint64_t v = 0;
	int64_t s;

	memcpy(&v, p, f->size);
	s = (int64_t)(v << (64 - 8 * f->size)) >> (64 - 8 * f->size);
	switch (f->letter) {
	case 'x':
		monitor_printf(mon, " 0x%0*" PRIx64, (int)f->size * 2, v);
		break;
	case 'd':
		monitor_printf(mon, " %" PRId64, s);
		break;
	case 'u':
		monitor_printf(mon, " %" PRIu64, v);
		break;
	case 'o':
		monitor_printf(mon, " %#" PRIo64, v);
		break;
	case 'c':
		if (isprint((int)v))
			monitor_printf(mon, " '%c'", (char)v);
		else
			monitor_printf(mon, " '\\x%02x'", (unsigned)v);
		break;
	}
}

static void dump(struct monitor *mon, struct machine *m, const char *where, const char *slash, bool physical)
{
	uint64_t at;
	struct format f;
	unsigned left, per_line;

	if (!parse_format(mon, slash, &f) || !number(mon, where, &at))
		return;
	per_line = 16 / f.size;
	run_freeze(m->run);
	run_lock(m->run);
	for (left = f.count; left; at += (uint64_t)per_line * f.size) {
		unsigned n = MIN(left, per_line), got;
		uint8_t buf[16] = { 0 };

		if (physical)
			got = dma_read(pc_memory(m->pc), at, buf, n * f.size) ? n * f.size : 0;
		else
			got = (unsigned)cpu_peek(cpus_get(m->cpus, current), at, buf, n * f.size);
		monitor_printf(mon, "%016" PRIx64 ":", at);
		for (unsigned i = 0; i < got / f.size; i++)
			print_value(mon, &f, buf + i * f.size);
		monitor_printf(mon, "\n");
		if (got < n * f.size) {
			monitor_printf(mon, "Cannot access memory\n");
			break;
		}
		left -= n;
	}
	run_unlock(m->run);
	run_thaw(m->run);
}

static void x(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	(void)argc;
	dump(mon, m, argv[1], slash, false);
}

static void xp(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	(void)argc;
	dump(mon, m, argv[1], slash, true);
}

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

	(void)argc;
	if (!port_size(mon, slash, &size) || !number(mon, argv[1], &port))
		return;
	run_lock(m->run);
	value = bus_read(pc_ports(m->pc), port & 0xffff, size);
	run_unlock(m->run);
	monitor_printf(mon, "port%s[0x%04x] = 0x%0*" PRIx64 "\n", size == 1 ? "b" : size == 2 ? "w" : "l", (unsigned)port & 0xffff,
		       (int)size * 2, value);
}

static void port_out(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	uint64_t port, value;
	unsigned size;

	(void)argc;
	if (!port_size(mon, slash, &size) || !number(mon, argv[1], &port) || !number(mon, argv[2], &value))
		return;
	run_lock(m->run);
	bus_write(pc_ports(m->pc), port & 0xffff, value, size);
	run_unlock(m->run);
}

const struct command cmd_cpu[] = {
	{ "cpu", "INDEX", "the processor that x and info registers show", cpu },
	{ "x", "ADDRESS", "guest-virtual memory; x/16xb ADDRESS: count, x d u o c, b h w g", x },
	{ "xp", "ADDRESS", "guest-physical memory, as x", xp },
	{ "i", "PORT", "read a port; i/w PORT: b h w", port_in },
	{ "o", "PORT VALUE", "write to a port, as i", port_out },
	{ "info registers", "[-a]", "the processor's registers; -a: of all", info_registers },
	{ "info cpus", NULL, "the processors", info_cpus },
	{ "info lapic", "[-a]", "the local interrupt controller; -a: of all", info_lapic },
	{ NULL, NULL, NULL, NULL },
};
