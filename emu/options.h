/* SPDX-License-Identifier: MIT */
/*
 * The command line, as users of qemu-system-x86_64 write it.  options_parse only reads: it opens nothing and makes nothing,
 * and what it can check by looking at the text it checks.
 */
#ifndef EMU_OPTIONS_H
#define EMU_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/opts.h"
#include "cpu/cpu.h"

/* Options that may come several times, in their order. */
enum option_class {
	OPTION_DRIVE, OPTION_NETDEV, OPTION_NIC, OPTION_NET, OPTION_DEVICE, OPTION_OBJECT, OPTION_GLOBAL, OPTION_CHARDEV,
	OPTION_MON, OPTION_SERIAL, OPTION_MONITOR, OPTION_DEBUGCON, OPTION_FW_CFG, OPTION_ROM,
};

struct option_item {
	enum option_class class;
	const char *name, *text;        /* "-netdev", "user,id=n0": for messages; text is argv's */
	struct opts opts;               /* empty for SERIAL, MONITOR, DEBUGCON */
};

enum option_vga { OPTION_VGA_DEFAULT, OPTION_VGA_NONE, OPTION_VGA_STD };

struct options {
	struct option_item *items;
	size_t count;

	uint64_t ram_size;
	unsigned cpus;
	bool engine_given;
	enum cpu_engine engine;
	unsigned tb_size;               /* MiB; 0: the default */
	unsigned without;               /* HOST_* */
	bool exact_flags, one_insn, perfmap;
	unsigned verify;                        /* compare the engines: one block in so many; 0: none */
	char *cpu_model, *cpu_features; /* NULL: the default */
	const char *kernel, *initrd, *append, *bios, *data_dir, *name, *pidfile, *log_file, *machine;
	unsigned log_items;
	char *boot_order, *boot_once;
	bool boot_menu;
	uint64_t boot_menu_wait_ms;
	enum option_vga vga;
	bool nographic, snapshot, nodefaults, default_net;
	bool no_reboot, no_shutdown, stopped, daemonize, no_hpet, no_acpi, no_fd_bootchk, rtc_localtime;
	bool rtc_given;
	int64_t rtc_s;
	bool icount, icount_sleep;
	unsigned icount_shift;
	uint8_t uuid[16];
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE /* help was printed */, OPTIONS_BAD /* err says why */ };
enum options_result options_parse(struct options *o, int argc, char **argv, struct err *err);
void options_free(struct options *o);

/* Puts "-name text: " in front of what err says. */
void option_prefix(const struct option_item *item, struct err *err);

#endif
