/* SPDX-License-Identifier: MIT */
/* Monitor commands about processors. */
#include <inttypes.h>
#include <string.h>

#include "emu/machine.h"
#include "emu/monitor.h"

static void each_cpu(struct monitor *mon, struct machine *m, bool all,
		     void (*print)(const struct cpu *c, void (*out)(void *to, const char *line), void *to), const char *title)
{
	unsigned count = cpus_count(m->cpus);

	run_freeze(m->run);
	for (unsigned i = 0; i < count; i++) {
		if (!all && i != monitor_cpu(mon))
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

static void info_jit(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	(void)argc, (void)argv, (void)slash;
	run_freeze(m->run);
	for (unsigned i = 0; i < cpus_count(m->cpus); i++)
		cpu_print_jit(cpus_get(m->cpus, i), monitor_line, mon);
	run_thaw(m->run);
}

static void info_cpus(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	(void)argc, (void)argv, (void)slash;
	run_freeze(m->run);
	for (unsigned i = 0; i < cpus_count(m->cpus); i++) {
		struct cpu *c = cpus_get(m->cpus, i);
		struct cpu_regs r;

		cpu_get_regs(c, &r);
		monitor_printf(mon, "%c CPU #%u: pc=0x%016" PRIx64 " instructions=%" PRIu64 "%s\n",
			       i == monitor_cpu(mon) ? '*' : ' ', i, r.rip, cpu_instructions(c), cpu_runnable(c) ? "" : " (halted)");
	}
	run_thaw(m->run);
}

static void cpu(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	uint64_t n;

	(void)argc, (void)slash;
	if (!opt_parse_number(argv[1], &n))
		monitor_printf(mon, "invalid number '%s'\n", argv[1]);
	else if (n >= cpus_count(m->cpus))
		monitor_printf(mon, "invalid CPU index\n");
	else
		monitor_set_cpu(mon, (unsigned)n);
}

const struct command cmd_cpu[] = {
	{ "cpu", "INDEX", "the processor that x, $registers and info registers show", .run = cpu },
	{ "info registers", "[-a]", "the processor's registers; -a: of all", .run = info_registers },
	{ "info cpus", NULL, "the processors", .run = info_cpus },
	{ "info lapic", "[-a]", "the local interrupt controller; -a: of all", .run = info_lapic },
	{ "info jit", NULL, "what the translator made, and why it left it", .run = info_jit },
	{ .name = NULL },
};
