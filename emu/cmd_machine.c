/* SPDX-License-Identifier: MIT */
/* Monitor commands about the machine as a whole and its buses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "emu/machine.h"
#include "emu/monitor.h"
#include "emu/version.h"
#include "hw/keyboard.h"
#include "hw/ps2.h"

static void quit(struct monitor *mon, struct machine *m)
{
	(void)mon;
	run_request_quit(m->run, 0);
}

static void stop(struct monitor *mon, struct machine *m)
{
	(void)mon;
	run_stop(m->run);
}

static void cont(struct monitor *mon, struct machine *m)
{
	(void)mon;
	run_cont(m->run);
}

static void system_reset(struct monitor *mon, struct machine *m)
{
	(void)mon;
	run_request_reset(m->run);
}

static void system_powerdown(struct monitor *mon, struct machine *m)
{
	(void)mon;
	run_lock(m->run);
	pc_power_button(m->pc);
	run_unlock(m->run);
}

static void nmi(struct monitor *mon, struct machine *m)
{
	(void)mon;
	run_lock(m->run);
	pc_nmi(m->pc);
	run_unlock(m->run);
}

static void info_status(struct monitor *mon, struct machine *m)
{
	monitor_printf(mon, "VM status: %s\n", run_running(m->run) ? "running" : "paused");
}

static void info_version(struct monitor *mon, struct machine *m)
{
	(void)m;
	monitor_printf(mon, "%s\n", TENBOX_VERSION);
}

static void info_name(struct monitor *mon, struct machine *m)
{
	if (m->o->name)
		monitor_printf(mon, "%s\n", m->o->name);
}

static void info_uuid(struct monitor *mon, struct machine *m)
{
	const uint8_t *u = m->o->uuid;

	for (int i = 0; i < 16; i++)
		monitor_printf(mon, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
	monitor_printf(mon, "\n");
}

static void info_chardev(struct monitor *mon, struct machine *m)
{
	for (unsigned i = 0; i < m->chr_count; i++)
		chr_print(m->chrs[i], monitor_line, mon);
}

static void log_items(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	const char *bad;
	unsigned mask = 0;

	(void)m, (void)argc, (void)slash;
	if (strcmp(argv[1], "none") && !log_parse(argv[1], &mask, &bad)) {
		monitor_printf(mon, "unknown log item '%.*s' (-d help lists them)\n", (int)strcspn(bad, ","), bad);
		return;
	}
	run_freeze(m->run);
	log_mask = mask;
	run_thaw(m->run);
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

enum { KEYS_MAX = 16 };

struct pressed {
	struct machine *machine;
	struct timer release;
	unsigned keys[KEYS_MAX], count;
};

static void release_keys(void *owner)
{
	struct pressed *p = owner;

	while (p->count)
		ps2_kbd_key(pc_keyboard(p->machine->pc), p->keys[--p->count], false);
}

static void sendkey(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	static struct pressed pressed;  /* of the only machine of the process */
	char *save = NULL, *word;
	unsigned keys[KEYS_MAX], n = 0;
	unsigned long hold_ms = argc > 2 ? strtoul(argv[2], NULL, 0) : 100;

	(void)slash;
	for (word = strtok_r(argv[1], "-", &save); word; word = strtok_r(NULL, "-", &save)) {
		unsigned key = !strncmp(word, "0x", 2) ? keyboard_key_by_code((unsigned)strtoul(word, NULL, 16)) :
			       keyboard_key_by_name(word);

		if (key == KEY_NONE || n == KEYS_MAX) {
			monitor_printf(mon, key == KEY_NONE ? "invalid parameter: %s\n" : "too many keys at %s\n", word);
			return;
		}
		keys[n++] = key;
	}
	run_lock(m->run);
	if (!pressed.machine)
		timer_init(&pressed.release, run_clock(m->run), release_keys, &pressed);
	pressed.machine = m;
	release_keys(&pressed);
	for (unsigned i = 0; i < n; i++)
		ps2_kbd_key(pc_keyboard(m->pc), keys[i], true);
	memcpy(pressed.keys, keys, sizeof(keys));
	pressed.count = n;
	timer_set(&pressed.release, run_now(m->run) + MS(MIN(hold_ms, 60000ul)));
	run_unlock(m->run);
}

const struct command cmd_machine[] = {
	{ "quit|q", NULL, "end the program", .act = quit },
	{ "stop|s", NULL, "stop the guest", .act = stop },
	{ "cont|c", NULL, "let it go on", .act = cont },
	{ "system_reset", NULL, "press the reset button", .act = system_reset },
	{ "system_powerdown", NULL, "press the power button (ACPI)", .act = system_powerdown },
	{ "nmi", NULL, "a non-maskable interrupt for the processors", .act = nmi },
	{ "sendkey", "KEYS [HOLD_MS]", "press keys together: ctrl-alt-delete, shift-a, ret", .run = sendkey },
	{ "log", "ITEMS", "what to log from now on, as -d; none", .run = log_items },
	{ "info status", NULL, "running or paused", .act = info_status },
	{ "info version", NULL, "the version of the program", .act = info_version },
	{ "info name", NULL, "the guest's name (-name)", .act = info_name },
	{ "info uuid", NULL, "the guest's UUID (-uuid)", .act = info_uuid },
	{ "info chardev", NULL, "the character streams", .act = info_chardev },
	{ "info mtree", NULL, "what answers at which address", .show = pc_print_mtree },
	{ "info pci", NULL, "the PCI devices", .show = pc_print_pci },
	{ "info irq", NULL, "how often each interrupt came", .show = pc_print_irq },
	{ "info pic", NULL, "the interrupt controllers", .show = pc_print_pic },
	{ .name = NULL },
};
