/* SPDX-License-Identifier: MIT */
/* The devices of -device that are neither cards nor disks: debug console, debug exit, and the test devices. */
#include <string.h>

#include "emu/machine.h"
#include "hw/pc_testdev.h"
#include "hw/pci_testdev.h"

/* -debugcon makes an isa-debugcon whose port only -global can tell. */
static bool plan_debugcon(struct machine *m, struct err *err)
{
	struct opts o = { 0 };
	uint64_t base = 0xe9;
	bool ok = machine_globals(m, driver_find("isa-debugcon"), &o, err) &&
		  opts_number(&o, "iobase", 1, 0xfff0, &base, err);

	m->debugcon_port = (uint16_t)base;
	opts_free(&o);
	return ok;
}

static bool plan_isa(struct machine *m, const struct driver *d, struct opts *o, struct err *err)
{
	uint64_t base = d->kind == DRIVER_DEBUG_EXIT ? 0x501 : 0xe9, size = 2;

	if (!opts_number(o, "iobase", 1, 0xfff0, &base, err) || !opts_number(o, "iosize", 1, 8, &size, err))
		return false;
	if (d->kind == DRIVER_DEBUGCON) {
		m->debugcon_port = (uint16_t)base;
		return opts_get(o, "chardev") ||
		       err_set(err, "Can't create serial device, empty char device (chardev=ID)");
	}
	if (m->debug_exit_port)
		return err_set(err, "there can be one %s", d->name);
	m->debug_exit_port = (uint16_t)base;
	m->debug_exit_size = (uint8_t)size;
	return true;
}

static bool plan_test_function(struct machine *m, const struct option_item *item, struct opts *o, struct err *err)
{
	struct test_function *t = &m->test_functions[m->test_function_count];

	if (m->test_function_count == MACHINE_TESTDEVS)
		return err_set(err, "more than %d of pci-testdev", MACHINE_TESTDEVS);
	m->test_function_count++;
	t->item = item;
	return machine_pci_address(o, &t->devfn, err) && opts_size(o, "membar", 1, &t->membar, err);
}

static bool plan(struct machine *m, const struct option_item *item, const struct driver *d, struct err *err)
{
	struct opts *o = (struct opts *)&item->opts;

	if (!machine_globals(m, d, o, err))
		return false;
	for (size_t k = 0; k < o->count; k++)
		if (strcmp(o->list[k].key, "driver") && !driver_has_property(d, o->list[k].key))
			return err_set(err, "Property '%s.%s' not found", d->name, o->list[k].key);
	if (d->kind == DRIVER_PCI_TESTDEV)
		return plan_test_function(m, item, o, err);
	if (d->kind != DRIVER_PC_TESTDEV)
		return plan_isa(m, d, o, err);
	if (m->pc_testdev_item)
		return err_set(err, "there can be one %s", d->name);
	m->pc_testdev_item = item;
	return true;
}

bool misc_devices_plan(struct machine *m, struct err *err)
{
	if (!plan_debugcon(m, err))
		return false;
	for (size_t i = 0; i < m->o->count; i++) {
		const struct option_item *item = &m->o->items[i];
		const struct driver *d;

		if (item->class != OPTION_DEVICE)
			continue;
		d = driver_find(opts_get((struct opts *)&item->opts, "driver"));
		if (!d || d->kind < DRIVER_DEBUG_EXIT || d->kind > DRIVER_PCI_TESTDEV)
			continue;
		if (!plan(m, item, d, err)) {
			option_prefix(item, err);
			return false;
		}
	}
	return true;
}

static bool make_pc_testdev(struct machine *m, struct err *err)
{
	struct pc_testdev_config c = { .memory = pc_memory(m->pc), .ports = pc_ports(m->pc) };

	for (int i = 0; i < PC_TESTDEV_IRQS; i++)
		c.irq[i] = pc_test_irq(m->pc, i);
	m->pc_testdev = pc_testdev_new(&c, err);
	return m->pc_testdev;
}

bool misc_devices_make(struct machine *m, struct err *err)
{
	if (m->pc_testdev_item && !make_pc_testdev(m, err)) {
		option_prefix(m->pc_testdev_item, err);
		return false;
	}
	for (unsigned i = 0; i < m->test_function_count; i++) {
		struct test_function *t = &m->test_functions[i];

		t->card = pci_testdev_new(&(struct pci_testdev_config){ .pci = pc_pci(m->pc), .instance = i,
			.states = pc_states(m->pc), .devfn = t->devfn, .membar = t->membar }, err);
		if (!t->card) {
			option_prefix(t->item, err);
			return false;
		}
	}
	return true;
}

void misc_devices_free(struct machine *m)
{
	pc_testdev_free(m->pc_testdev);
	for (unsigned i = 0; i < m->test_function_count; i++)
		pci_testdev_free(m->test_functions[i].card);
}
