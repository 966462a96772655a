/* SPDX-License-Identifier: MIT */
#include "emu/options.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/log.h"
#include "emu/devices.h"
#include "emu/version.h"

enum { CPUS_MAX = 8, RAM_DEFAULT_MIB = 128, TB_SIZE_MAX = 1024 };

/* Why a function of the table returned false without an error: help was printed. */
static const char help_printed[] = "\n";

static bool done_with_help(struct err *err)
{
	return err_set(err, "%s", help_printed);
}

void option_prefix(const struct option_item *item, struct err *err)
{
	if (item->text && *item->text)
		err_prefix(err, "%s %s", item->name, item->text);
	else
		err_prefix(err, "%s", item->name);
}

static struct option_item *add_item(struct options *o, enum option_class class, const char *name, const char *text)
{
	struct option_item *item;

	o->items = realloc(o->items, (o->count + 1) * sizeof(*o->items));
	assert(o->items);
	item = &o->items[o->count++];
	*item = (struct option_item){ .class = class, .name = name, .text = text };
	return item;
}

static bool add_parsed(struct options *o, enum option_class class, const char *name, const char *text, const char *implied,
		       struct err *err)
{
	return opts_parse(&add_item(o, class, name, text)->opts, text, implied, err);
}

static void replace(char **to, const char *text)
{
	free(*to);
	*to = strdup(text);
}

/* --- one function for each option that is more than a string or a switch ------------------------------------------ */

/* tcg is for the best engine that there is, xlat for the translator or an error. */
static bool take_engine(struct options *o, const char *name, struct err *err)
{
	if (!strcmp(name, "kvm"))
		return err_set(err, "tenbox does not use KVM (there are xlat, tcg and interp)");
	if (strcmp(name, "tcg") && strcmp(name, "xlat") && strcmp(name, "interp"))
		return err_set(err, "invalid accelerator %s (xlat, tcg, interp)", name);
	o->engine_given = strcmp(name, "tcg");
	o->engine = strcmp(name, "interp") ? CPU_XLAT : CPU_INTERP;
	return true;
}

static bool take_machine(struct options *o, const char *arg, struct err *err)
{
	static const char *const types[] = { "pc", "pc-i440fx-7.2", "pc-i440fx" };
	/* What users switch off or on that is so anyway: the key and the only value that there is. */
	static const struct { const char *key; bool value; } fixed[] = {
		{ "usb", false }, { "vmport", false }, { "smm", false }, { "nvdimm", false }, { "sata", false }, { "graphics", true },
		{ "i8042", true }, { "pit", true }, { "pic", true },
	};
	struct opts list;
	const char *type, *accel;
	bool ok = false, found = false;
	bool hpet = !o->no_hpet, acpi = !o->no_acpi, fd_bootchk = true, harmless;

	if (!opts_parse(&list, arg, "type", err))
		return false;
	if (opts_help(&list, "type")) {
		puts("Supported machines are:\npc                   i440FX and PIIX3 PC (default; also: pc-i440fx)");
		opts_free(&list);
		return done_with_help(err);
	}
	type = opts_get(&list, "type");
	for (size_t i = 0; type && i < ARRAY_SIZE(types); i++)
		found |= !strcmp(type, types[i]) || !strncmp(type, "pc-i440fx-", 10);
	if (type && !found) {
		err_set(err, "unsupported machine type '%s' (there is 'pc')", type);
		goto out;
	}
	accel = opts_get(&list, "accel");
	if (accel && !take_engine(o, accel, err))
		goto out;
	if (!opts_bool(&list, "hpet", &hpet, err) || !opts_bool(&list, "acpi", &acpi, err) ||
	    !opts_bool(&list, "fd-bootchk", &fd_bootchk, err) || !opts_bool(&list, "mem-merge", &harmless, err) ||
	    !opts_bool(&list, "dump-guest-core", &harmless, err))
		goto out;
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		bool value = fixed[i].value;

		if (!opts_bool(&list, fixed[i].key, &value, err))
			goto out;
		if (value != fixed[i].value) {
			err_set(err, "Property 'pc-machine.%s' cannot be %s", fixed[i].key, value ? "on" : "off");
			goto out;
		}
	}
	o->no_hpet = !hpet;
	o->no_acpi = !acpi;
	o->no_fd_bootchk = !fd_bootchk;
	for (size_t i = 0; i < list.count; i++) {
		if (!list.list[i].used) {
			err_set(err, "Property 'pc-machine.%s' not found", list.list[i].key);
			goto out;
		}
	}
	ok = true;
out:
	opts_free(&list);
	return ok;
}

/* verify=on: every block, verify=N: one in N. */
static bool take_verify(struct options *o, struct opts *list, struct err *err)
{
	const char *verify = opts_get(list, "verify");
	uint64_t share = 1;

	if (!verify || !strcmp(verify, "off"))
		return true;
	if (strcmp(verify, "on") && !opts_number(list, "verify", 1, 1000000, &share, err))
		return false;
	o->verify = (unsigned)share;
	return true;
}

/* "avx+bmi2": features of the host that the translator shall do without. */
static bool take_without(struct options *o, const char *list, struct err *err)
{
	static const struct { const char *name; unsigned bit; } names[] = {
		{ "avx", HOST_AVX }, { "bmi2", HOST_BMI2 }, { "fsgsbase", HOST_FSGSBASE }, { "xsave", HOST_XSAVE },
	};

	o->without = 0;
	while (list && *list) {
		size_t n = strcspn(list, "+"), i;

		for (i = 0; i < ARRAY_SIZE(names); i++)
			if (strlen(names[i].name) == n && !memcmp(names[i].name, list, n))
				break;
		if (i == ARRAY_SIZE(names))
			return err_set(err, "Parameter 'without' expects names with '+' between them (avx, bmi2, fsgsbase, xsave), not '%.*s'",
				       (int)n, list);
		o->without |= names[i].bit;
		list += n;
		list += *list == '+';
	}
	return true;
}

static bool take_accel(struct options *o, const char *arg, struct err *err)
{
	struct opts list;
	const char *accel, *thread;
	uint64_t tb_size = 0;
	bool ok = false;

	if (!opts_parse(&list, arg, "accel", err))
		return false;
	accel = opts_get(&list, "accel");
	if (opts_help(&list, "accel")) {
		puts("Accelerators supported by tenbox:\n"
		     "xlat     binary translator (the default)\n"
		     "tcg      the same, or the interpreter where the host does not let code be made\n"
		     "interp   interpreter\n"
		     "Of xlat and tcg: tb-size=MIB, one-insn-per-tb=on, exact-flags=on, verify=N, thread=multi");
		done_with_help(err);
	} else if (!accel) {
		err_set(err, "accel=NAME is missing (xlat, tcg, interp)");
	} else if (take_engine(o, accel, err)) {
		thread = o->engine == CPU_XLAT ? opts_get(&list, "thread") : NULL;
		ok = o->engine == CPU_INTERP ||
		     (opts_number(&list, "tb-size", 0, TB_SIZE_MAX, &tb_size, err) &&
		      take_verify(o, &list, err) && opts_bool(&list, "one-insn-per-tb", &o->one_insn, err) &&
		      opts_bool(&list, "exact-flags", &o->exact_flags, err) && take_without(o, opts_get(&list, "without"), err));
		if (ok && thread && strcmp(thread, "multi"))
			ok = err_set(err, "Invalid 'thread' setting %s (multi; -icount runs on one thread)", thread);
		ok = ok && opts_done(&list, err);
		o->tb_size = (unsigned)tb_size;
	}
	opts_free(&list);
	return ok;
}

static void print_line(void *to, const char *line)
{
	(void)to;
	puts(line);
}

static bool take_cpu(struct options *o, const char *arg, struct err *err)
{
	const char *comma = strchr(arg, ',');

	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		cpus_print_models(print_line, NULL);
		return done_with_help(err);
	}
	free(o->cpu_model);
	o->cpu_model = comma ? strndup(arg, (size_t)(comma - arg)) : strdup(arg);
	free(o->cpu_features);
	o->cpu_features = comma && comma[1] ? strdup(comma + 1) : NULL;
	if (!strcmp(o->cpu_model, "host"))
		return err_set(err, "CPU model 'host' requires KVM (use 'max' for all that tenbox can do)");
	return true;
}

static bool take_memory(struct options *o, const char *arg, struct err *err)
{
	uint64_t size = o->ram_size;
	struct opts list;
	bool ok;

	if (!opts_parse(&list, arg, "size", err))
		return false;
	ok = opts_size(&list, "size", 1 << 20, &size, err);
	if (ok && (opts_get(&list, "slots") || opts_get(&list, "maxmem")))
		ok = err_set(err, "memory cannot be plugged in later: no slots= and maxmem=");
	ok = ok && opts_done(&list, err);
	opts_free(&list);
	if (ok && size < 1 << 20)
		return err_set(err, "ram size too small (the guest needs at least 1M)");
	o->ram_size = size & ~(((uint64_t)1 << 20) - 1);
	return ok;
}

static bool take_smp(struct options *o, const char *arg, struct err *err)
{
	uint64_t n = 0, max = 0, sockets = 0, dies = 1, cores = 0, threads = 0, clusters = 1, product;
	struct opts list;
	bool ok;

	if (!opts_parse(&list, arg, "cpus", err))
		return false;
	ok = opts_number(&list, "cpus", 1, UINT32_MAX, &n, err) && opts_number(&list, "maxcpus", 1, UINT32_MAX, &max, err) &&
	     opts_number(&list, "sockets", 1, 256, &sockets, err) && opts_number(&list, "dies", 1, 1, &dies, err) &&
	     opts_number(&list, "clusters", 1, 1, &clusters, err) && opts_number(&list, "cores", 1, 256, &cores, err) &&
	     opts_number(&list, "threads", 1, 256, &threads, err) && opts_done(&list, err);
	opts_free(&list);
	if (!ok)
		return false;
	product = (sockets ? sockets : 1) * (cores ? cores : 1) * (threads ? threads : 1);
	if (!n)
		n = max ? max : product;
	if (max && max != n)
		return err_set(err, "maxcpus (%" PRIu64 ") must be equal to cpus (%" PRIu64 "): processors cannot be plugged in later",
			       max, n);
	if (n > CPUS_MAX)
		return err_set(err, "Invalid SMP CPUs %" PRIu64 ". The max CPUs supported by machine 'pc' is %d", n, CPUS_MAX);
	if (product > 1 && sockets && cores && threads && product != n)
		return err_set(err, "Invalid CPU topology: product of the hierarchy must match maxcpus: sockets (%" PRIu64 ") * "
			       "cores (%" PRIu64 ") * threads (%" PRIu64 ") != %" PRIu64, sockets, cores, threads, n);
	o->cpus = (unsigned)n;
	return true;
}

static bool boot_letters(const char *text, struct err *err)
{
	for (const char *p = text; *p; p++) {
		if (!strchr("acdn", *p))
			return err_set(err, "Invalid boot device '%c' for PC (a: floppy, c: disk, d: CD, n: network)", *p);
		if (strchr(p + 1, *p))
			return err_set(err, "Boot device '%c' was given twice", *p);
	}
	return true;
}

static bool take_boot(struct options *o, const char *arg, struct err *err)
{
	const char *order, *once;
	struct opts list;
	bool ok = false, strict = false;

	if (!opts_parse(&list, arg, "order", err))
		return false;
	order = opts_get(&list, "order");
	once = opts_get(&list, "once");
	if ((!order || boot_letters(order, err)) && (!once || boot_letters(once, err)) &&
	    opts_bool(&list, "menu", &o->boot_menu, err) && opts_bool(&list, "strict", &strict, err) &&
	    opts_number(&list, "splash-time", 0, 65535, &o->boot_menu_wait_ms, err) && opts_done(&list, err)) {
		if (order)
			replace(&o->boot_order, order);
		if (once)
			replace(&o->boot_once, once);
		ok = !strict || err_set(err, "strict=on is not available");
	}
	opts_free(&list);
	return ok;
}

static bool take_display(struct options *o, const char *arg, struct err *err)
{
	(void)o;
	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		puts("Available display backend types:\nnone");
		return done_with_help(err);
	}
	if (strcmp(arg, "none"))
		return err_set(err, "Parameter 'type' does not accept value '%s' (there is 'none'; the monitor's screendump shows the "
			       "screen)", arg);
	return true;
}

static bool take_vga(struct options *o, const char *arg, struct err *err)
{
	static const char *const absent[] = { "cirrus", "vmware", "qxl", "virtio", "cg3", "tcx", "xenfb" };

	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		puts("none                 no graphic card\nstd                  standard VGA (default)");
		return done_with_help(err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		if (!strcmp(arg, absent[i]))
			return err_set(err, "%s VGA not available (std, none)", arg);
	if (strcmp(arg, "std") && strcmp(arg, "none"))
		return err_set(err, "Unknown vga type: %s (std, none)", arg);
	o->vga = strcmp(arg, "std") ? OPTION_VGA_NONE : OPTION_VGA_STD;
	return true;
}

static bool take_rtc(struct options *o, const char *arg, struct err *err)
{
	struct opts list;
	const char *base, *source, *drift, *rest;
	struct tm tm = { 0 };
	bool ok = false;

	if (!opts_parse(&list, arg, NULL, err))
		return false;
	base = opts_get(&list, "base");
	source = opts_get(&list, "clock");
	drift = opts_get(&list, "driftfix");
	if (source && strcmp(source, "host") && strcmp(source, "rt") && strcmp(source, "vm")) {
		err_set(err, "invalid option value '%s' for clock (host, rt, vm)", source);
	} else if (drift && strcmp(drift, "none")) {
		err_set(err, "driftfix=%s is not available (none)", drift);
	} else if (base && !strcmp(base, "localtime")) {
		o->rtc_localtime = true;
		ok = true;
	} else if (base && strcmp(base, "utc")) {
		rest = strptime(base, strchr(base, 'T') ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%d", &tm);
		ok = rest && !*rest;
		o->rtc_given = ok;
		o->rtc_s = timegm(&tm);
		if (!ok)
			err_set(err, "invalid datetime format '%s' (utc, localtime, 2006-06-17T16:01:21 or 2006-06-17)", base);
	} else {
		ok = true;
	}
	ok = ok && opts_done(&list, err);
	opts_free(&list);
	return ok;
}

static bool take_icount(struct options *o, const char *arg, struct err *err)
{
	struct opts list;
	const char *shift;
	uint64_t n = 4;                 /* 16 ns: near the interpreter's speed */
	bool ok, align = false;

	if (!opts_parse(&list, arg, "shift", err))
		return false;
	shift = opts_get(&list, "shift");
	ok = (shift && !strcmp(shift, "auto")) || opts_number(&list, "shift", 0, 10, &n, err);
	ok = ok && opts_bool(&list, "sleep", &o->icount_sleep, err) && opts_bool(&list, "align", &align, err) &&
	     opts_done(&list, err);
	if (ok && align)
		ok = err_set(err, "align=on is not available");
	opts_free(&list);
	o->icount = true;
	o->icount_shift = (unsigned)n;
	return ok;
}

static bool take_uuid(struct options *o, const char *arg, struct err *err)
{
	size_t n = 0;
	const char *p;

	for (p = arg; *p && n < 32; p++) {
		int v;

		if (*p == '-' && (n == 8 || n == 12 || n == 16 || n == 20) && p > arg && p[-1] != '-')
			continue;
		if (!isxdigit((unsigned char)*p))
			break;
		v = isdigit((unsigned char)*p) ? *p - '0' : (*p | 0x20) - 'a' + 10;
		o->uuid[n / 2] = (uint8_t)(o->uuid[n / 2] << 4 | v);
		n++;
	}
	if (*p || n != 32)
		return err_set(err, "failed to parse UUID '%s' (like 12345678-1234-1234-1234-123456789abc)", arg);
	return true;
}

static bool take_log(struct options *o, const char *arg, struct err *err)
{
	const char *bad;

	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		log_help();
		return done_with_help(err);
	}
	if (!log_parse(arg, &o->log_items, &bad))
		return err_set(err, "unknown log item '%.*s' (-d help lists them)", (int)strcspn(bad, ","), bad);
	return true;
}

static bool take_sandbox(struct options *o, const char *arg, struct err *err)
{
	(void)o;
	if (strcmp(arg, "off") && strncmp(arg, "off,", 4) && strcmp(arg, "enable=off"))
		return err_set(err, "the seccomp filter is not part of this build (off)");
	return true;
}

static bool take_name(struct options *o, const char *arg, struct err *err)
{
	struct opts list;
	const char *guest;
	bool harmless, ok;

	if (!opts_parse(&list, arg, "guest", err))
		return false;
	guest = opts_get(&list, "guest");
	opts_get(&list, "process");
	ok = opts_bool(&list, "debug-threads", &harmless, err) && opts_done(&list, err);
	if (ok && guest)
		o->name = arg;
	opts_free(&list);
	return ok;
}

static bool take_parallel(struct options *o, const char *arg, struct err *err)
{
	(void)o;
	return !strcmp(arg, "none") || err_set(err, "there is no parallel port (none)");
}

static bool take_drive(struct options *o, const char *arg, struct err *err)
{
	return add_parsed(o, OPTION_DRIVE, "-drive", arg, NULL, err);
}

/* -hda and its kin: the text is a file's name, commas and all. */
static bool add_disk(struct options *o, const char *name, const char *path, const char *index, bool cdrom)
{
	struct option_item *item = add_item(o, OPTION_DRIVE, name, path);

	opts_add(&item->opts, "file", path);
	opts_add(&item->opts, "if", "ide");
	opts_add(&item->opts, "index", index);
	opts_add(&item->opts, "media", cdrom ? "cdrom" : "disk");
	return true;
}

static bool take_hda(struct options *o, const char *arg, struct err *err)
{
	(void)err;
	return add_disk(o, "-hda", arg, "0", false);
}

static bool take_hdb(struct options *o, const char *arg, struct err *err)
{
	(void)err;
	return add_disk(o, "-hdb", arg, "1", false);
}

static bool take_hdc(struct options *o, const char *arg, struct err *err)
{
	(void)err;
	return add_disk(o, "-hdc", arg, "2", false);
}

static bool take_hdd(struct options *o, const char *arg, struct err *err)
{
	(void)err;
	return add_disk(o, "-hdd", arg, "3", false);
}

static bool take_cdrom(struct options *o, const char *arg, struct err *err)
{
	(void)err;
	return add_disk(o, "-cdrom", arg, "2", true);
}

static bool take_netdev(struct options *o, const char *arg, struct err *err)
{
	if (*arg == '{')
		return err_set(err, "the JSON form is not available");
	o->default_net = false;
	if (!add_parsed(o, OPTION_NETDEV, "-netdev", arg, "type", err))
		return false;
	if (opts_help(&o->items[o->count - 1].opts, "type")) {
		devices_netdev_help();
		return done_with_help(err);
	}
	return true;
}

/* -nic and -net: a backend and a card in one option, so help for either. */
static bool take_backend_and_card(struct options *o, enum option_class class, const char *name, const char *arg, struct err *err)
{
	struct opts *list;

	o->default_net = false;
	if (!add_parsed(o, class, name, arg, "type", err))
		return false;
	list = &o->items[o->count - 1].opts;
	if (opts_help(list, "model")) {
		devices_nic_help();
		return done_with_help(err);
	}
	if (opts_help(list, "type")) {
		devices_netdev_help();
		return done_with_help(err);
	}
	return true;
}

static bool take_nic(struct options *o, const char *arg, struct err *err)
{
	return take_backend_and_card(o, OPTION_NIC, "-nic", arg, err);
}

static bool take_net(struct options *o, const char *arg, struct err *err)
{
	return take_backend_and_card(o, OPTION_NET, "-net", arg, err);
}

static bool take_device(struct options *o, const char *arg, struct err *err)
{
	struct opts *list;
	const char *driver;

	if (*arg == '{')
		return err_set(err, "the JSON form is not available");
	if (!add_parsed(o, OPTION_DEVICE, "-device", arg, "driver", err))
		return false;
	list = &o->items[o->count - 1].opts;
	driver = opts_get(list, "driver");
	if (opts_help(list, "driver")) {
		if (driver && strcmp(driver, "help") && strcmp(driver, "?")) {
			if (!devices_property_help(driver, err))
				return false;
		} else {
			devices_help();
		}
		return done_with_help(err);
	}
	if (!driver)
		return err_set(err, "Parameter 'driver' is missing");
	return devices_known(driver, err);
}

static bool take_object(struct options *o, const char *arg, struct err *err)
{
	struct opts *list;
	const char *type;

	if (!add_parsed(o, OPTION_OBJECT, "-object", arg, "qom-type", err))
		return false;
	list = &o->items[o->count - 1].opts;
	type = opts_get(list, "qom-type");
	if (opts_help(list, "qom-type")) {
		puts("List of user creatable objects:\n  filter-dump");
		return done_with_help(err);
	}
	if (!type)
		return err_set(err, "Parameter 'qom-type' is missing");
	if (strcmp(type, "filter-dump"))
		return err_set(err, "Parameter 'qom-type' does not accept value '%s' (filter-dump)", type);
	return true;
}

static bool take_global(struct options *o, const char *arg, struct err *err)
{
	const char *dot = strchr(arg, '.'), *equals = strchr(arg, '=');
	struct option_item *item;
	char *text;

	if (!dot || !equals || dot > equals)
		return add_parsed(o, OPTION_GLOBAL, "-global", arg, NULL, err);
	item = add_item(o, OPTION_GLOBAL, "-global", arg);
	text = strdup(arg);
	text[dot - arg] = text[equals - arg] = '\0';
	opts_add(&item->opts, "driver", text);
	opts_add(&item->opts, "property", text + (dot - arg) + 1);
	opts_add(&item->opts, "value", text + (equals - arg) + 1);
	free(text);
	return true;
}

static bool take_chardev(struct options *o, const char *arg, struct err *err)
{
	if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
		puts("Available chardev backend types:\n  file\n  null\n  pipe\n  pty\n  serial\n  socket\n  stdio");
		return done_with_help(err);
	}
	return add_parsed(o, OPTION_CHARDEV, "-chardev", arg, "backend", err);
}

static bool take_mon(struct options *o, const char *arg, struct err *err)
{
	return add_parsed(o, OPTION_MON, "-mon", arg, "chardev", err);
}

static bool take_serial(struct options *o, const char *arg, struct err *err)
{
	(void)err;
	add_item(o, OPTION_SERIAL, "-serial", arg);
	return true;
}

static bool take_monitor(struct options *o, const char *arg, struct err *err)
{
	(void)err;
	add_item(o, OPTION_MONITOR, "-monitor", arg);
	return true;
}

static bool take_debugcon(struct options *o, const char *arg, struct err *err)
{
	(void)err;
	add_item(o, OPTION_DEBUGCON, "-debugcon", arg);
	return true;
}

static bool take_fw_cfg(struct options *o, const char *arg, struct err *err)
{
	return add_parsed(o, OPTION_FW_CFG, "-fw_cfg", arg, "name", err);
}

static bool take_option_rom(struct options *o, const char *arg, struct err *err)
{
	return add_parsed(o, OPTION_ROM, "-option-rom", arg, "romfile", err);
}

static bool take_kvm(struct options *o, const char *arg, struct err *err)
{
	(void)o, (void)arg;
	return err_set(err, "tenbox does not use KVM (use -accel xlat or -accel interp)");
}

static bool take_qmp(struct options *o, const char *arg, struct err *err)
{
	(void)o, (void)arg;
	return err_set(err, "QMP is not part of this build (-monitor has the text commands)");
}

static bool take_vnc(struct options *o, const char *arg, struct err *err)
{
	(void)o;
	return !strcmp(arg, "none") || err_set(err, "not available in tenbox");
}

static bool take_absent(struct options *o, const char *arg, struct err *err)
{
	(void)o, (void)arg;
	return err_set(err, "not available in tenbox");
}

static bool take_version(struct options *o, const char *arg, struct err *err)
{
	(void)o, (void)arg;
	puts("tenbox version " TENBOX_VERSION);
	return done_with_help(err);
}

static bool take_help(struct options *o, const char *arg, struct err *err);

#define STRING(field) .kind = STRING, .offset = offsetof(struct options, field)
#define SWITCH(field) .kind = SWITCH, .offset = offsetof(struct options, field)

static const struct option {
	const char *name, *arg, *help;          /* help NULL: another spelling, or known only to be refused */
	bool (*take)(struct options *o, const char *arg, struct err *err);
	enum { TAKE, STRING, SWITCH } kind;
	size_t offset;
} table[] = {
	{ "h", NULL, "this list", .take = take_help },
	{ "help", NULL, NULL, .take = take_help },
	{ "version", NULL, "the version", .take = take_version },
	{ "machine", "[type=]NAME[,accel=A,hpet=,acpi=]", "the machine: pc", .take = take_machine },
	{ "M", "NAME", "as -machine", .take = take_machine },
	{ "accel", "NAME[,tb-size=MIB,...]", "xlat (binary translator, the default), tcg (the same) or interp (interpreter)", .take = take_accel },
	{ "singlestep", NULL, "translate one instruction at a time (-accel xlat,one-insn-per-tb=on)", SWITCH(one_insn) },
	{ "cpu", "MODEL[,+F,-F]", "processor model and features (-cpu help)", .take = take_cpu },
	{ "smp", "N", "processors, 1 to 8", .take = take_smp },
	{ "m", "SIZE", "memory in MiB, or with a suffix k, M, G (128M)", .take = take_memory },
	{ "name", "TEXT", "a name for the guest", .take = take_name },
	{ "uuid", "UUID", "system UUID in the SMBIOS tables", .take = take_uuid },
	{ "rtc", "base=utc|localtime|DATE", "what the clock chip shows", .take = take_rtc },
	{ "icount", "[shift=]N|auto[,sleep=off]", "count time in instructions: deterministic runs", .take = take_icount },
	{ "kernel", "FILE", "boot this bzImage or multiboot image directly", STRING(kernel) },
	{ "initrd", "FILE", "initial RAM disk (multiboot: FILE ARGS,FILE ARGS modules)", STRING(initrd) },
	{ "append", "TEXT", "the kernel's command line", STRING(append) },
	{ "bios", "FILE", "firmware image (bios-256k.bin)", STRING(bios) },
	{ "L", "DIR", "look here first for firmware and ROM files", STRING(data_dir) },
	{ "option-rom", "FILE", "a further option ROM", .take = take_option_rom },
	{ "fw_cfg", "[name=]NAME,file=F|string=S", "an entry for fw_cfg", .take = take_fw_cfg },
	{ "boot", "[order=]cdn[,once=,menu=on]", "boot order: c disk, d CD, n network", .take = take_boot },
	{ "hda", "FILE", "IDE disk, primary master", .take = take_hda },
	{ "hdb", "FILE", "IDE disk, primary slave", .take = take_hdb },
	{ "hdc", "FILE", "IDE disk, secondary master", .take = take_hdc },
	{ "hdd", "FILE", "IDE disk, secondary slave", .take = take_hdd },
	{ "cdrom", "FILE", "CD in the secondary master", .take = take_cdrom },
	{ "drive", "file=F[,if=ide|virtio|none,...]", "a disk: index=, media=, readonly=, snapshot=, format=raw, id=", .take = take_drive },
	{ "snapshot", NULL, "writes to disks are kept aside and lost at the end", SWITCH(snapshot) },
	{ "nographic", NULL, "serial port and monitor on the terminal (Ctrl-A h for keys)", SWITCH(nographic) },
	{ "display", "none", "where the screen goes", .take = take_display },
	{ "vga", "std|none", "graphic card", .take = take_vga },
	{ "serial", "DEV", "COM1, COM2, ...: stdio, mon:stdio, pty, file:, unix:, tcp:, telnet:, none, chardev:ID", .take = take_serial },
	{ "monitor", "DEV", "the monitor: as -serial", .take = take_monitor },
	{ "parallel", "none", NULL, .take = take_parallel },
	{ "debugcon", "DEV", "debug console at port 0xe9: as -serial", .take = take_debugcon },
	{ "chardev", "BACKEND,id=ID[,...]", "a byte stream for others to use (-chardev help)", .take = take_chardev },
	{ "mon", "[chardev=]ID", "a monitor on a -chardev", .take = take_mon },
	{ "netdev", "user,id=ID[,...]", "a network backend (-netdev help)", .take = take_netdev },
	{ "nic", "[user][,model=M,mac=A,...]|none", "a card and its backend (-nic model=help)", .take = take_nic },
	{ "net", "nic|user|none[,...]", "cards and backends of old on hub 0", .take = take_net },
	{ "device", "DRIVER[,PROPERTY=VALUE...]", "add a device (-device help)", .take = take_device },
	{ "object", "filter-dump,id=,netdev=,file=", "write a network's frames to a pcap file", .take = take_object },
	{ "global", "DRIVER.PROPERTY=VALUE", "a default for a device's property", .take = take_global },
	{ "no-reboot", NULL, "a reset of the guest ends the program", SWITCH(no_reboot) },
	{ "no-shutdown", NULL, "a power-off of the guest only stops it", SWITCH(no_shutdown) },
	{ "S", NULL, "do not start before the monitor's cont", SWITCH(stopped) },
	{ "no-hpet", NULL, "no HPET", SWITCH(no_hpet) },
	{ "no-acpi", NULL, "no ACPI tables", SWITCH(no_acpi) },
	{ "no-fd-bootchk", NULL, "no check of the boot signature on floppies", SWITCH(no_fd_bootchk) },
	{ "nodefaults", NULL, "no default card, serial port, monitor, CD drive and screen", SWITCH(nodefaults) },
	{ "no-user-config", NULL, "accepted: there is no configuration file", .kind = TAKE },
	{ "d", "ITEM,...", "what to log (-d help)", .take = take_log },
	{ "D", "FILE", "log to this file", STRING(log_file) },
	{ "perfmap", NULL, "names of translated code for perf, in /tmp/perf-PID.map", SWITCH(perfmap) },
	{ "pidfile", "FILE", "write the process id here; removed at the end", STRING(pidfile) },
	{ "daemonize", NULL, "go to the background when everything is set up", SWITCH(daemonize) },
	{ "sandbox", "off", "system call filter", .take = take_sandbox },
	{ "qmp", "DEV", NULL, .take = take_qmp },
	{ "enable-kvm", NULL, NULL, .take = take_kvm },
	{ "vnc", "none", NULL, .take = take_vnc },
	{ "fda", "FILE", NULL, .take = take_absent },
	{ "fdb", "FILE", NULL, .take = take_absent },
	{ "usb", NULL, NULL, .take = take_absent },
	{ "usbdevice", "NAME", NULL, .take = take_absent },
	{ "loadvm", "NAME", NULL, .take = take_absent },
	{ "incoming", "URI", NULL, .take = take_absent },
	{ "gdb", "DEV", NULL, .take = take_absent },
	{ "s", NULL, NULL, .take = take_absent },
	{ "dtb", "FILE", NULL, .take = take_absent },
	{ "full-screen", NULL, NULL, .take = take_absent },
	{ "blockdev", "...", NULL, .take = take_absent },
};

static bool take_help(struct options *o, const char *arg, struct err *err)
{
	(void)o, (void)arg;
	puts("usage: tenbox [options] [disk image]\n\n"
	     "A PC with a network of its own.  Options are those of qemu-system-x86_64; Ctrl-A h shows the keys with -nographic.\n");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char left[64];

		if (!table[i].help)
			continue;
		snprintf(left, sizeof(left), "-%s%s%s", table[i].name, table[i].arg ? " " : "", table[i].arg ? table[i].arg : "");
		if (strlen(left) < 34)
			printf("%-34s %s\n", left, table[i].help);
		else
			printf("%s\n%-34s %s\n", left, "", table[i].help);
	}
	return done_with_help(err);
}

static const struct option *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

static bool take(struct options *o, const struct option *option, const char *arg, struct err *err)
{
	if (option->kind == STRING) {
		*(const char **)((char *)o + option->offset) = arg;
		return true;
	}
	if (option->kind == SWITCH) {
		*(bool *)((char *)o + option->offset) = true;
		return true;
	}
	return !option->take || option->take(o, arg, err);
}

/* What only the whole line can tell. */
static bool check(const struct options *o, struct err *err)
{
	if (o->initrd && !o->kernel)
		return err_set(err, "-initrd %s: -initrd only allowed with -kernel option", o->initrd);
	if (o->append && !o->kernel)
		return err_set(err, "-append %s: -append only allowed with -kernel option", o->append);
	if (o->perfmap && o->engine == CPU_INTERP)
		return err_set(err, "-perfmap: the interpreter makes no code: not with -accel interp");
	if (o->verify && o->cpus > 1)
		return err_set(err, "-accel verify=%u: only with one processor (-smp 1): others change what is compared", o->verify);
	if (o->nographic && o->daemonize)
		return err_set(err, "-nographic: cannot be used with -daemonize");
	return true;
}

enum options_result options_parse(struct options *o, int argc, char **argv, struct err *err)
{
	*o = (struct options){
		.ram_size = (uint64_t)RAM_DEFAULT_MIB << 20, .cpus = 1, .engine = CPU_XLAT, .default_net = true, .icount_sleep = true,
	};
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i], *arg = NULL;
		const struct option *option;

		if (word[0] != '-' || !word[1]) {
			take_hda(o, word, err);
			continue;
		}
		option = find(word + (word[1] == '-' ? 2 : 1));
		if (!option) {
			err_set(err, "%s: invalid option (tenbox -h lists them)", word);
			return OPTIONS_BAD;
		}
		if (option->arg) {
			if (++i >= argc) {
				err_set(err, "%s: requires an argument (%s)", word, option->arg);
				return OPTIONS_BAD;
			}
			arg = argv[i];
		}
		if (!take(o, option, arg, err)) {
			if (!strcmp(err->text, help_printed))
				return OPTIONS_DONE;
			err_prefix(err, arg ? "-%s %s" : "-%s", option->name, arg);
			return OPTIONS_BAD;
		}
	}
	if (o->nodefaults)
		o->default_net = false;
	return check(o, err) ? OPTIONS_RUN : OPTIONS_BAD;
}

void options_free(struct options *o)
{
	for (size_t i = 0; i < o->count; i++)
		opts_free(&o->items[i].opts);
	free(o->items);
	free(o->cpu_model);
	free(o->cpu_features);
	free(o->boot_order);
	free(o->boot_once);
}
