/* SPDX-License-Identifier: MIT */
#include "emu/machine.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "emu/monitor.h"
#include "emu/paths.h"
#include "emu/perfmap.h"
#include "hw/fw_cfg.h"
#include "hw/vga.h"

enum { BIOS_MAX = 8 << 20, FILE_MAX = 64 << 20 };

bool machine_globals(struct machine *m, const struct driver *driver, struct opts *opts, struct err *err)
{
	for (size_t i = 0; i < m->o->count; i++) {
		const struct option_item *item = &m->o->items[i];
		struct opts *g = (struct opts *)&item->opts;
		const char *name, *property, *value;

		if (item->class != OPTION_GLOBAL)
			continue;
		name = opts_get(g, "driver");
		property = opts_get(g, "property");
		value = opts_get(g, "value");
		if (!name || driver_find(name) != driver)
			continue;
		if (!driver_has_property(driver, property)) {
			err_set(err, "can't apply global %s: Property '%s.%s' not found", item->text, driver->name, property);
			return false;
		}
		if (!opts_get(opts, property))
			opts_add(opts, property, value);
	}
	return true;
}

/* Every -global names a driver and a property that there are. */
static bool check_globals(struct machine *m, struct err *err)
{
	for (size_t i = 0; i < m->o->count; i++) {
		const struct option_item *item = &m->o->items[i];
		struct opts *g = (struct opts *)&item->opts;
		const char *name, *property;
		const struct driver *driver;

		if (item->class != OPTION_GLOBAL)
			continue;
		name = opts_get(g, "driver");
		property = opts_get(g, "property");
		if (!name || !property || !opts_get(g, "value"))
			err_set(err, "driver, property and value are needed (DRIVER.PROPERTY=VALUE)");
		else if (!(driver = driver_find(name)))
			devices_known(name, err);
		else if (!driver_has_property(driver, property))
			err_set(err, "Property '%s.%s' not found (-device %s,help lists them)", name, property, name);
		else
			continue;
		option_prefix(item, err);
		return false;
	}
	return true;
}

bool machine_pci_address(struct opts *opts, int *devfn, struct err *err)
{
	const char *addr = opts_get(opts, "addr"), *bus = opts_get(opts, "bus");
	unsigned slot, function = 0;
	bool multifunction = false;
	int used = 0;

	*devfn = -1;
	if (bus && strcmp(bus, "pci.0") && strcmp(bus, "pci"))
		return err_set(err, "Bus '%s' not found (pci.0)", bus);
	if (!opts_bool(opts, "multifunction", &multifunction, err))
		return false;
	if (!addr)
		return true;
	if ((sscanf(addr, "%2x.%1x%n", &slot, &function, &used) == 2 && !addr[used]) ||
	    (sscanf(addr, "%2x%n", &slot, &used) == 1 && !addr[used])) {
		if (slot < 32 && function < 8) {
			*devfn = (int)(slot << 3 | function);
			return true;
		}
	}
	return err_set(err, "Invalid PCI device address '%s' (slot or slot.function in hexadecimal, 0 to 1f)", addr);
}

/* --- files ---------------------------------------------------------------------------------------------------------- */

static bool load_bios(struct machine *m, struct err *err)
{
	const char *name = m->o->bios ? m->o->bios : "bios-256k.bin";
	char path[4096];

	if (!m->o->bios && m->kernel)
		return true;                    /* a direct boot runs none */
	if (!paths_find(m->o->data_dir, name, path, sizeof(path)))
		return m->o->bios ? err_set(err, "-bios %s: could not find the file: %s", name, strerror(ENOENT)) :
		       err_set(err, "could not find the firmware '%s' (install the package seabios, or -L DIR, or boot with -kernel)", name);
	if (!paths_read(path, BIOS_MAX, &m->bios.data, &m->bios.len, err)) {
		err_prefix(err, "-bios %s", name);
		return false;
	}
	if (m->bios.len % 65536) {
		free(m->bios.data);
		m->bios.data = NULL;
		return err_set(err, "-bios %s: could not load PC BIOS '%s': %zu bytes, not a multiple of 65536 (cut short, or no BIOS)",
			       name, path, m->bios.len);
	}
	/* The processor's first instruction is 16 bytes below the end. */
	for (size_t i = m->bios.len - 16, bytes = 0; i < m->bios.len; i++) {
		uint8_t b = ((uint8_t *)m->bios.data)[i];

		bytes |= b != 0 && b != 0xff;
		if (i == m->bios.len - 1 && !bytes) {
			free(m->bios.data);
			m->bios.data = NULL;
			return err_set(err, "-bios %s: could not load PC BIOS '%s': nothing at the reset vector, it is no BIOS", name, path);
		}
	}
	return true;
}

static bool load_vga_rom(struct machine *m, struct err *err)
{
	char path[4096];

	if (m->o->vga == OPTION_VGA_NONE || (m->o->vga == OPTION_VGA_DEFAULT && m->o->nodefaults))
		return true;
	if (!paths_find(m->o->data_dir, "vgabios-stdvga.bin", path, sizeof(path)))
		return m->kernel ? true : err_set(err, "could not find the VGA BIOS 'vgabios-stdvga.bin' (install the package seabios, or "
						  "-vga none)");
	return paths_read(path, 1 << 20, &m->vga_rom.data, &m->vga_rom.len, err);
}

static bool add_file(struct machine *m, const char *name, struct blob blob, struct err *err)
{
	if (m->file_count == MACHINE_FILES) {
		free(blob.data);
		return err_set(err, "more than %d files for fw_cfg", MACHINE_FILES);
	}
	m->files[m->file_count] = blob;
	m->fw_files[m->file_count++] = (struct pc_fw_file){ name, blob.data, blob.len };
	return true;
}

/* SeaBIOS's own serial console, for who has no other screen (its src/sercon.c reads the port from this file). */
static bool add_serial_console(struct machine *m, struct err *err)
{
	static const uint8_t com1[2] = { 0xf8, 0x03 };
	struct blob b = { memcpy(malloc(sizeof(com1)), com1, sizeof(com1)), sizeof(com1) };

	return add_file(m, "etc/sercon-port", b, err);
}

static bool load_fw_cfg(struct machine *m, const struct option_item *item, struct err *err)
{
	struct opts *o = (struct opts *)&item->opts;
	const char *name = opts_get(o, "name"), *file = opts_get(o, "file"), *string = opts_get(o, "string");
	struct blob b;

	if (!opts_done(o, err))
		return false;
	if (!name || !*name || strlen(name) > 55)
		return err_set(err, "name invalid (1 to 55 characters)");
	if (!file == !string)
		return err_set(err, "one of file= and string= is needed");
	if (file && !paths_read(file, FILE_MAX, &b.data, &b.len, err))
		return false;
	if (string) {
		b.data = strdup(string);
		b.len = strlen(string);
	}
	return add_file(m, name, b, err);
}

/* A device's place in the boot order, by the OpenFirmware path that SeaBIOS knows it under.  index -1: it has none. */
static bool __attribute__((format(printf, 4, 5))) add_boot(struct machine *m, int index, struct err *err, const char *format, ...)
{
	unsigned at = m->boot_count;
	va_list ap;

	if (index < 0)
		return true;
	if (m->boot_count == MACHINE_BOOT)
		return err_set(err, "more than %d boot indices", MACHINE_BOOT);
	for (unsigned i = 0; i < m->boot_count; i++) {
		if (m->boot[i].index == index)
			return err_set(err, "The bootindex %d has already been used", index);
		if (m->boot[i].index > index && at == m->boot_count)
			at = i;
	}
	memmove(&m->boot[at + 1], &m->boot[at], (m->boot_count - at) * sizeof(m->boot[0]));
	m->boot_count++;
	m->boot[at].index = index;
	va_start(ap, format);
	vsnprintf(m->boot[at].path, sizeof(m->boot[at].path), format, ap);
	va_end(ap);
	return true;
}

/* SLOT or SLOT,FUNCTION of a PCI device, as those paths have it. */
static const char *unit_address(const struct pci_device *d, char *text, size_t size)
{
	int devfn = pci_devfn(d);

	snprintf(text, size, devfn & 7 ? "%x,%x" : "%x", devfn >> 3, devfn & 7);
	return text;
}

static bool boot_order(struct machine *m, struct err *err)
{
	char unit[16];
	size_t len = 0;

	for (unsigned i = 0; i < m->nic_count; i++)
		if (!add_boot(m, m->nics[i].bootindex, err, "/pci@i0cf8/ethernet@%s/ethernet-phy@0",
			      unit_address(m->nics[i].pci, unit, sizeof(unit))))
			return false;
	for (unsigned i = 0; i < m->blk_count; i++)
		if (!add_boot(m, m->blks[i].bootindex, err, "/pci@i0cf8/scsi@%s/disk@0,0",
			      unit_address(m->blks[i].pci, unit, sizeof(unit))))
			return false;
	for (unsigned i = 0; i < m->drive_count; i++)
		if (m->drives[i].kind == DRIVE_IDE && !add_boot(m, m->drives[i].bootindex, err, "/pci@i0cf8/ide@1,1/drive@%u/disk@%u",
								m->drives[i].index / 2, m->drives[i].index % 2))
			return false;
	for (unsigned i = 0; i < m->boot_count; i++)
		len += (size_t)snprintf(m->bootorder + len, sizeof(m->bootorder) - len, "%s%s", i ? "\n" : "", m->boot[i].path);
	return !len || fw_cfg_file(pc_fw_cfg(m->pc), "bootorder", m->bootorder, len + 1, err);
}

static bool load_rom(struct machine *m, const struct option_item *item, struct err *err)
{
	struct opts *o = (struct opts *)&item->opts;
	const char *name = opts_get(o, "romfile"), *base;
	uint64_t index = UINT64_MAX;
	struct blob b;
	char path[4096], *entry;

	if (!opts_number(o, "bootindex", 0, INT32_MAX, &index, err))
		return false;
	if (!name || !opts_done(o, err))
		return name ? false : err_set(err, "romfile=FILE is missing");
	if (!paths_find(m->o->data_dir, name, path, sizeof(path)))
		return err_set(err, "failed to find romfile \"%s\"", name);
	if (!paths_read(path, 1 << 20, &b.data, &b.len, err))
		return false;
	if (b.len < 512 || le16(b.data) != 0xaa55 || ((uint8_t *)b.data)[2] * 512u > b.len) {
		free(b.data);
		return err_set(err, "'%s' is no option ROM, or cut short", path);
	}
	base = strrchr(name, '/');
	if (asprintf(&entry, "genroms/%s", base ? base + 1 : name) < 0)
		return err_set(err, "out of memory");
	if (index != UINT64_MAX && !add_boot(m, (int)index, err, "/rom@%s", entry)) {
		free(b.data);
		return false;
	}
	return add_file(m, entry, b, err);      /* the name lives as long as the process */
}

static bool load_files(struct machine *m, struct err *err)
{
	const struct options *o = m->o;

	if (o->kernel) {
		struct kernel_config k = { o->kernel, o->initrd, o->append, MIN(o->ram_size, (uint64_t)PC_LOW_MAX_MIB << 20) };

		m->kernel = kernel_open(&k, err);
		if (!m->kernel)
			return false;
	}
	for (size_t i = 0; i < o->count; i++) {
		const struct option_item *item = &o->items[i];

		if ((item->class == OPTION_FW_CFG && !load_fw_cfg(m, item, err)) || (item->class == OPTION_ROM && !load_rom(m, item, err))) {
			option_prefix(item, err);
			return false;
		}
	}
	if (o->nographic && !add_serial_console(m, err))
		return false;
	return load_bios(m, err) && load_vga_rom(m, err);
}

/* --- memory and processors ------------------------------------------------------------------------------------------ */

enum { RAM_ALIGN = 2 << 20 };

static bool make_ram(struct machine *m, struct err *err)
{
	uint64_t size = m->o->ram_size;
	struct sysinfo host;

	if (sysinfo(&host) == 0 && size / host.mem_unit > host.totalram)
		return err_set(err, "-m %" PRIu64 "M: the host has only %" PRIu64 "M of memory", size >> 20,
			       (uint64_t)host.totalram * host.mem_unit >> 20);
	if (m->kernel && size < 16 << 20)
		return err_set(err, "-m %" PRIu64 "M: -kernel needs at least 16M", size >> 20);
	/*
	 * On a boundary of the host's large pages, so that it can use them: a guest that walks through its memory would
	 * otherwise wait for the host's TLB.  (Shared memory is rarely given large pages.)
	 */
	m->ram_mapping_size = size + RAM_ALIGN;
	m->ram_mapping = mmap(NULL, m->ram_mapping_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->ram_mapping == MAP_FAILED) {
		m->ram_mapping = NULL;
		return err_errno(err, errno, "-m %" PRIu64 "M: cannot set up guest RAM", size >> 20);
	}
	m->ram = (uint8_t *)(((uintptr_t)m->ram_mapping + RAM_ALIGN - 1) & ~(uintptr_t)(RAM_ALIGN - 1));
	madvise(m->ram, size, MADV_HUGEPAGE);
	return true;
}

static bool make_cpus(struct machine *m, struct err *err)
{
	const struct options *o = m->o;
	struct cpus_config c = {
		.ops = run_cpu_ops(), .owner = m->run, .count = o->cpus, .engine = o->engine, .model = o->cpu_model,
		.features = o->cpu_features, .tsc_hz = 1000000000, .icount = o->icount, .tb_size = o->tb_size,
		.exact_flags = o->exact_flags, .one_insn = o->one_insn, .verify = o->verify,
		.without = o->without,
	};

	m->cpus = cpus_new(&c, err);
	if (!m->cpus && c.engine == CPU_XLAT) {
		struct err second;

		c.engine = CPU_INTERP;
		m->cpus = cpus_new(&c, &second);
		if (m->cpus && o->engine_given) {       /* it was the engine that there is not */
			err_prefix(err, "-accel xlat");
			return false;
		}
		if (m->cpus)                            /* tcg, and the default: the best that there is */
			log_user("warning: no binary translator: %s; the interpreter is slower", err->text);
		else
			*err = second;
	}
	if (!m->cpus)
		err_prefix(err, "-cpu %s%s%s", o->cpu_model ? o->cpu_model : "x86-64-v2", o->cpu_features ? "," : "",
			   o->cpu_features ? o->cpu_features : "");
	return m->cpus;
}

/* --- the PC --------------------------------------------------------------------------------------------------------- */

static void on_reset(void *owner) { run_request_reset(((struct machine *)owner)->run); }
static void on_shutdown(void *owner) { run_request_poweroff(((struct machine *)owner)->run); }
static void on_debug_exit(void *owner, int status) { run_request_quit(((struct machine *)owner)->run, status); }

static int int_ack(void *owner) { return pc_int_ack(((struct machine *)owner)->pc); }
static void apic_eoi(void *owner, uint8_t vector) { pc_apic_eoi(((struct machine *)owner)->pc, vector); }
static void ferr(void *owner) { pc_ferr(((struct machine *)owner)->pc); }

static bool start_kernel(struct machine *m, struct err *err)
{
	if (!m->kernel)
		return true;
	pc_direct_boot(m->pc);
	return kernel_load(m->kernel, m->pc, m->ram, cpus_get(m->cpus, 0), err);
}

static bool reset(void *owner, struct err *err)
{
	struct machine *m = owner;
	const struct options *o = m->o;

	if (o->boot_once && m->booted)          /* -boot once= was for the first time */
		pc_set_boot_order(m->pc, o->boot_order);
	m->booted = true;
	for (unsigned i = 0; i < m->drive_count; i++)
		if (m->drives[i].disk)
			disk_file_settle(m->drives[i].disk);
	pc_reset(m->pc);
	return start_kernel(m, err);
}

static bool make_pc(struct machine *m, struct err *err)
{
	const struct options *o = m->o;
	struct pc_config c = {
		.clock = run_clock(m->run), .cpus = m->cpus, .cpu_count = o->cpus, .ram_size = o->ram_size, .ram = m->ram,
		.bios = m->bios.data, .bios_len = m->bios.len, .vga_rom = m->vga_rom.data, .vga_rom_len = m->vga_rom.len,
		.debugcon_port = m->debugcon_port, .debug_exit_port = m->debug_exit_port, .debug_exit_size = m->debug_exit_size,
		.no_hpet = o->no_hpet, .no_acpi = o->no_acpi, .boot_order = o->boot_once ? o->boot_once : o->boot_order,
		.boot_menu = o->boot_menu, .boot_menu_wait_ms = (uint32_t)o->boot_menu_wait_ms, .no_fd_bootchk = o->no_fd_bootchk,
		.files = m->fw_files, .file_count = m->file_count, .events = { on_reset, on_shutdown, on_debug_exit }, .owner = m,
	};
	time_t now = o->rtc_given ? (time_t)o->rtc_s : o->icount ? 0 : time(NULL);

	if (o->vga != OPTION_VGA_NONE && !(o->vga == OPTION_VGA_DEFAULT && o->nodefaults))
		c.vga = PC_VGA_STD;
	m->wall_ns = (uint64_t)now * 1000000000 - run_now(m->run);
	if (o->rtc_localtime && !o->rtc_given) {
		struct tm tm;

		localtime_r(&now, &tm);
		now += tm.tm_gmtoff;
	}
	c.rtc_s = (int64_t)now;
	memcpy(c.uuid, o->uuid, sizeof(c.uuid));
	for (unsigned i = 0; i < m->drive_count; i++)
		if (m->drives[i].kind == DRIVE_IDE)
			c.ide[m->drives[i].index / 2][m->drives[i].index % 2] = m->drives[i].disk;
	if (!streams_open(m, &c, err))
		return false;
	m->pc = pc_new(&c, err);
	return m->pc;
}

struct machine *machine_new(const struct options *o, struct err *err)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct run_config rc = {
		.icount = o->icount, .icount_shift = o->icount_shift, .icount_sleep = o->icount_sleep, .stopped = o->stopped,
		.no_reboot = o->no_reboot, .no_shutdown = o->no_shutdown,
	};

	assert(m);
	m->o = o;
	/* First what makes nothing ... */
	if (!check_globals(m, err) || !drives_plan(m, err) || !network_plan(m, err) || !misc_devices_plan(m, err) || !load_files(m, err))
		goto fail;
	if (o->perfmap) {
		rc.perfmap = m->perfmap = perfmap_new(err);
		if (!m->perfmap) {
			err_prefix(err, "-perfmap");
			goto fail;
		}
	}
	m->run = run_new(&rc, err);
	if (!m->run || !make_ram(m, err) || !make_cpus(m, err))
		goto fail;
	/* ... then what others could see. */
	if (!drives_open(m, err) || !network_backends(m, err) || !make_pc(m, err))
		goto fail;
	run_attach(m->run, &(struct run_machine){ .cpus = m->cpus, .memory = pc_memory(m->pc), .ports = pc_ports(m->pc),
						  .int_ack = int_ack, .apic_eoi = apic_eoi, .ferr = ferr, .wall_ns = m->wall_ns, .reset = reset,
						  .owner = m });
	if (!network_streams(m, err) || !network_cards(m, err) || !drives_cards(m, err) || !misc_devices_make(m, err) ||
	    !boot_order(m, err) || !network_dumps(m, err))
		goto fail;
	/* The cards came after pc_new's own reset. */
	if (!reset(m, err))
		goto fail;
	network_warn(m);
	return m;
fail:
	machine_free(m);
	return NULL;
}

void machine_free(struct machine *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < m->drive_count; i++)
		if (m->drives[i].disk)
			disk_file_stop(m->drives[i].disk);      /* its controller is still there to be told */
	network_free(m);
	drives_free(m);
	pc_free(m->pc);
	misc_devices_free(m);
	for (unsigned i = 0; i < m->drive_count; i++)
		disk_file_close(m->drives[i].disk);
	streams_free(m);
	cpus_free(m->cpus);
	kernel_free(m->kernel);
	run_free(m->run);
	perfmap_free(m->perfmap);
	if (m->ram)
		munmap(m->ram_mapping, m->ram_mapping_size);
	for (unsigned i = 0; i < m->file_count; i++)
		free(m->files[i].data);
	free(m->bios.data);
	free(m->vga_rom.data);
	free(m);
}
