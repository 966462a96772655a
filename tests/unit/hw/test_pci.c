/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "hw/pci.h"
#include "hw/state.h"
#include "tests/fake/fake_irq.h"

struct bench {
	struct bus *mem, *io;
	struct state_list *states;
	struct pci_bus *pci;
	struct fake_irq pirq[4];
	uint8_t *ram, *vram;
	uint64_t msi_addr;
	uint32_t msi_data;
	unsigned msis, writes, lines;
	uint64_t last_offset;
};

static uint64_t reg_read(void *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)size;
	return 0xa0 + offset;
}

static void reg_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
	struct bench *t = dev;

	(void)value;
	(void)size;
	t->writes++;
	t->last_offset = offset;
}

static const struct io_ops regs = { reg_read, reg_write, .max_size = 4 };

static void msi(void *owner, uint64_t addr, uint32_t data)
{
	struct bench *t = owner;

	t->msi_addr = addr;
	t->msi_data = data;
	t->msis++;
}

enum { RAM = 4 << 20, VRAM = 1 << 20 };

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));
	struct pci_bus_config c = { .msi = { msi, t } };

	t->mem = c.memory = bus_new(BUS_MEMORY);
	t->io = c.ports = bus_new(BUS_PORTS);
	t->states = c.states = state_list_new();
	t->ram = aligned_alloc(4096, RAM);
	t->vram = aligned_alloc(4096, VRAM);
	memset(t->ram, 0, RAM);
	memset(t->vram, 0x77, VRAM);
	bus_map_ram(t->mem, 0, RAM, t->ram, BUS_RAM, "ram");
	for (int i = 0; i < 4; i++)
		c.pirq[i] = fake_irq_line(&t->pirq[i]);
	t->pci = pci_bus_new(&c);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	pci_bus_free(t->pci);
	state_list_free(t->states);
	bus_free(t->mem);
	bus_free(t->io);
	free(t->ram);
	free(t->vram);
	free(t);
	return 0;
}

static struct pci_device *add(struct bench *t, int slot)
{
	struct pci_device *d = pci_add(t->pci, &(struct pci_config){ .name = "card", .vendor = 0x8086, .device = 0x100e,
		.subsystem_vendor = 0x1af4, .subsystem = 0x1100, .revision = 3, .class_code = 2, .int_pin = 1,
		.devfn = slot < 0 ? -1 : slot << 3, .owner = t }, NULL);

	assert_non_null(d);
	return d;
}

static uint32_t get(struct bench *t, int slot, unsigned offset, unsigned size)
{
	return pci_config_read(t->pci, 0, (unsigned)slot << 3, offset, size);
}

static void put(struct bench *t, int slot, unsigned offset, uint32_t value, unsigned size)
{
	pci_config_write(t->pci, 0, (unsigned)slot << 3, offset, value, size);
}

static void absent_functions_read_all_ones(void **state)
{
	struct bench *t = *state;

	add(t, 3);
	assert_int_equal(get(t, 4, 0, 4), 0xffffffff);
	assert_int_equal(pci_config_read(t->pci, 1, 3 << 3, 0, 2), 0xffff);
	assert_int_equal(get(t, 3, 0xfe, 4), 0xffffffff);
	put(t, 4, 4, 7, 2);
	put(t, 3, 0xfe, 7, 4);
	assert_int_equal(get(t, 3, 0, 4), 0x100e8086);
	assert_int_equal(get(t, 3, 0x2c, 4), 0x11001af4);
	assert_int_equal(get(t, 3, 9, 1), 0);
	assert_int_equal(get(t, 3, 0x0b, 1), 2);
}

static void identity_is_read_only(void **state)
{
	struct bench *t = *state;

	add(t, 3);
	for (unsigned i = 0; i < 256; i += 4)
		if (i != PCI_COMMAND && i != PCI_CACHE_LINE && i != PCI_INT_LINE) {
			uint32_t was = get(t, 3, i, 4);

			put(t, 3, i, 0xffffffff, 4);
			assert_int_equal(get(t, 3, i, 4), was);
		}
}

static void slots_are_given_out_in_order_and_once(void **state)
{
	struct bench *t = *state;
	struct err e;

	assert_int_equal(pci_devfn(add(t, 0)), 0);
	assert_int_equal(pci_devfn(add(t, 2)), 0x10);
	assert_int_equal(pci_devfn(add(t, -1)), 0x08);
	assert_int_equal(pci_devfn(add(t, -1)), 0x18);
	assert_null(pci_add(t->pci, &(struct pci_config){ .name = "second", .devfn = 0x10 }, &e));
	assert_non_null(strstr(e.text, "taken by card"));
	for (int i = 4; i < 32; i++)
		add(t, -1);
	assert_null(pci_add(t->pci, &(struct pci_config){ .name = "one more", .devfn = -1 }, &e));
	assert_null(pci_add(t->pci, &(struct pci_config){ .name = "far", .devfn = 256 }, &e));
}

static void bar_sizes_and_moves(void **state)
{
	struct bench *t = *state;
	struct pci_device *d = add(t, 3);

	pci_bar(d, 0, 0x20000, PCI_BAR_MEM32, &regs, t);
	pci_bar(d, 1, 0x40, PCI_BAR_IO, &regs, t);
	pci_bar(d, 2, 0x4000, PCI_BAR_MEM64_PREFETCH, &regs, t);
	put(t, 3, PCI_BAR0, 0xffffffff, 4);
	assert_int_equal(get(t, 3, PCI_BAR0, 4), 0xfffe0000);
	put(t, 3, PCI_BAR0 + 4, 0xffffffff, 4);
	assert_int_equal(get(t, 3, PCI_BAR0 + 4, 4), 0xffffffc1);
	put(t, 3, PCI_BAR0 + 8, 0xffffffff, 4);
	put(t, 3, PCI_BAR0 + 12, 0xffffffff, 4);
	assert_int_equal(get(t, 3, PCI_BAR0 + 8, 4), 0xffffc00c);
	assert_int_equal(get(t, 3, PCI_BAR0 + 12, 4), 0xffffffff);
	put(t, 3, PCI_BAR0, 0xfebc0000, 4);
	put(t, 3, PCI_BAR0 + 4, 0xc001, 4);
	put(t, 3, PCI_BAR0 + 8, 0x0000000c, 4);
	put(t, 3, PCI_BAR0 + 12, 0x80, 4);
	assert_int_equal(bus_read(t->mem, 0xfebc0004, 4), 0xffffffff);          /* decoding is off */
	put(t, 3, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(bus_read(t->mem, 0xfebc0004, 4), 0xa4);
	assert_int_equal(bus_read(t->mem, 0x8000000008, 4), 0xa8);
	assert_int_equal(bus_read(t->io, 0xc002, 1), 0xff);
	put(t, 3, PCI_COMMAND, PCI_COMMAND_IO, 2);
	assert_int_equal(bus_read(t->mem, 0xfebc0004, 4), 0xffffffff);
	assert_int_equal(bus_read(t->io, 0xc002, 1), 0xa2);
	put(t, 3, PCI_BAR0 + 4, 0xd000, 4);
	assert_int_equal(bus_read(t->io, 0xc002, 1), 0xff);
	assert_int_equal(bus_read(t->io, 0xd002, 1), 0xa2);
	assert_true(pci_bar_address(d, 1) == 0xd000);
	assert_true(pci_bar_address(d, 0) == UINT64_MAX);
}

static void bars_in_bad_places_stay_off(void **state)
{
	struct bench *t = *state;
	struct pci_device *a = add(t, 3), *b = add(t, 4);
	static const uint32_t bad[] = { 0, 0xa0000, 0x100000, 0x3f0000, 0xffff0000 };

	pci_bar(a, 0, 0x10000, PCI_BAR_MEM32, &regs, t);
	pci_bar(a, 2, 0x10000, PCI_BAR_MEM64, &regs, t);
	pci_bar_ram(b, 0, VRAM, PCI_BAR_MEM32_PREFETCH, t->vram);
	put(t, 3, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	put(t, 4, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	for (size_t i = 0; i + 1 < ARRAY_SIZE(bad); i++) {
		put(t, 3, PCI_BAR0, bad[i], 4);
		assert_true(pci_bar_address(a, 0) == UINT64_MAX);
		put(t, 4, PCI_BAR0, bad[i], 4);
		assert_true(pci_bar_address(b, 0) == UINT64_MAX);
	}
	assert_int_equal(bus_read(t->mem, 0x100004, 1), 0);                     /* RAM is as it was */
	put(t, 3, PCI_BAR0 + 8, 0xffff0000, 4);
	put(t, 3, PCI_BAR0 + 12, 0xffffffff, 4);
	assert_true(pci_bar_address(a, 2) == UINT64_MAX);                       /* would end at 2^64 */
	/* the first one stays, the second appears when the place becomes free */
	put(t, 3, PCI_BAR0, 0xe0080000, 4);
	put(t, 4, PCI_BAR0, 0xe0000000, 4);
	assert_true(pci_bar_address(b, 0) == UINT64_MAX);
	put(t, 3, PCI_BAR0, 0xe0100000, 4);
	assert_true(pci_bar_address(b, 0) == 0xe0000000);
	assert_int_equal(bus_read(t->mem, 0xe0080000, 1), 0x77);
}

static void random_configuration_writes_do_no_harm(void **state)
{
	struct bench *t = *state;
	struct pci_device *d[3];
	uint32_t seed = 1;

	for (int i = 0; i < 3; i++) {
		d[i] = add(t, i);
		pci_bar(d[i], 0, 0x1000u << (4 * i), PCI_BAR_MEM32, &regs, t);
		pci_bar(d[i], 1, 0x100, PCI_BAR_IO, &regs, t);
		pci_bar(d[i], 2, 0x8000, PCI_BAR_MEM64, &regs, t);
		pci_bar_ram(d[i], 4, VRAM, PCI_BAR_MEM64_PREFETCH, t->vram);
		pci_rom(d[i], "rom", 3);
		pci_msi_init(d[i], 0);
		pci_msix_init(d[i], 0, 5, 2, 0, 0x4000);
	}
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t value;

		seed = seed * 1664525 + 1013904223;
		value = seed;
		seed = seed * 1664525 + 1013904223;
		if (value & 0x100)
			value &= 0xe01fffff;
		if (value & 0x200)
			value = 0xe0000000 | (value & 0x70000);
		put(t, (int)(seed >> 8) % 3, (seed >> 10) & (seed & 0x1000000 ? 0xff : 0x3f), value, 1u << (seed >> 30) % 3);
		bus_write(t->mem, 0xe0000000 + (seed & 0x7ffff), value, 4);
		bus_read(t->io, value & 0xffff, 4);
	}
	state_reset_all(t->states);
	for (int i = 0; i < 3; i++)
		for (int n = 0; n < 7; n++)
			assert_true(pci_bar_address(d[i], n) == UINT64_MAX);
	assert_int_equal(get(t, 1, PCI_COMMAND, 2), 0);
	assert_int_equal(bus_read(t->mem, 0xe0000000, 4), 0xffffffff);
	assert_memory_equal(t->ram, t->ram + 1, 1000);
}

static void rom_appears_when_both_enables_are_set(void **state)
{
	struct bench *t = *state;
	struct pci_device *d = add(t, 3);
	uint8_t image[5000];

	for (size_t i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)i;
	pci_rom(d, image, sizeof(image));
	put(t, 3, PCI_ROM, 0xfffffffe, 4);
	assert_int_equal(get(t, 3, PCI_ROM, 4), 0xffffe000);
	put(t, 3, PCI_ROM, 0xfeb80001, 4);
	assert_int_equal(bus_read(t->mem, 0xfeb80001, 1), 0xff);
	put(t, 3, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(bus_read(t->mem, 0xfeb80001, 1), 1);
	bus_write(t->mem, 0xfeb80001, 9, 1);
	assert_int_equal(bus_read(t->mem, 0xfeb80001, 1), 1);
	assert_int_equal(bus_read(t->mem, 0xfeb80000 + 5000, 1), 0xff);
	put(t, 3, PCI_ROM, 0xfeb80000, 4);
	assert_int_equal(bus_read(t->mem, 0xfeb80000, 4), 0xffffffff);
}

static void rom_images_are_checked_and_patched(void **state)
{
	struct bench *t = *state;
	uint8_t rom[1024] = { 0x55, 0xaa, 2 }, back[1024], sum = 0;
	struct err e;

	assert_false(pci_rom_image(add(t, 1), "short", 5, true, &e));
	assert_false(pci_rom_image(add(t, 2), t->vram, 4096, true, &e));
	assert_non_null(strstr(e.text, "55 AA"));
	put_le16(rom + 0x18, 0x3f0);
	assert_false(pci_rom_image(add(t, 4), rom, sizeof(rom), true, &e));
	put_le16(rom + 0x18, 0x40);
	memcpy(rom + 0x40, "PCIR\x86\x80\x0e\x10", 8);
	put_le16(rom + 0x50, 9);
	assert_false(pci_rom_image(add(t, 5), rom, sizeof(rom), true, &e));
	assert_non_null(strstr(e.text, "cut short"));
	put_le16(rom + 0x50, 2);
	put_le32(rom + 0x44, 0x12345678);
	for (size_t i = 0; i < sizeof(rom); i++)
		sum += rom[i];
	rom[6] = (uint8_t)-sum;
	assert_true(pci_rom_image(add(t, 3), rom, sizeof(rom), true, &e));
	put(t, 3, PCI_ROM, 0xfeb80001, 4);
	put(t, 3, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(dma_read(t->mem, 0xfeb80000, back, sizeof(back)));
	assert_int_equal(le32(back + 0x44), 0x100e8086);
	sum = 0;
	for (size_t i = 0; i < sizeof(back); i++)
		sum += back[i];
	assert_int_equal(sum, 0);
}

static void intx_lines_are_swizzled_and_ored(void **state)
{
	struct bench *t = *state;
	struct pci_device *a = add(t, 3), *b = add(t, 7), *c = add(t, 4);

	pci_intx(a, true);
	assert_true(t->pirq[2].level);          /* slot 3, INTA: PIRQC */
	pci_intx(b, true);
	pci_intx(a, false);
	assert_true(t->pirq[2].level);
	pci_intx(b, false);
	assert_false(t->pirq[2].level);
	assert_int_equal(t->pirq[2].rises, 1);
	pci_intx(c, true);
	assert_true(t->pirq[3].level);
	assert_int_equal(get(t, 4, PCI_STATUS, 2) & 8, 8);
	put(t, 4, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE, 2);
	assert_false(t->pirq[3].level);
	assert_int_equal(get(t, 4, PCI_STATUS, 2) & 8, 8);
	put(t, 4, PCI_COMMAND, 0, 2);
	assert_true(t->pirq[3].level);
	state_reset_all(t->states);
	assert_false(t->pirq[3].level);
}

static void msi_needs_enable_and_bus_mastering(void **state)
{
	struct bench *t = *state;
	struct pci_device *d = add(t, 3);
	unsigned cap;

	pci_msi_init(d, 0xd0);
	cap = get(t, 3, PCI_CAP_PTR, 1);
	assert_int_equal(cap, 0xd0);
	assert_int_equal(get(t, 3, cap, 1), 5);
	put(t, 3, cap + 4, 0xfee01000, 4);
	put(t, 3, cap + 12, 0x41, 2);
	pci_msi_send(d);
	put(t, 3, cap + 2, 1, 2);
	assert_true(pci_msi_enabled(d));
	pci_msi_send(d);
	assert_int_equal(t->msis, 0);
	put(t, 3, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
	pci_msi_send(d);
	assert_int_equal(t->msis, 1);
	assert_int_equal(t->msi_addr, 0xfee01000);
	assert_int_equal(t->msi_data, 0x41);
	put(t, 3, cap + 4, 0x2000, 4);          /* aimed at memory: a plain store */
	pci_msi_send(d);
	assert_int_equal(t->msis, 1);
	assert_int_equal(le32(t->ram + 0x2000), 0x41);
	state_reset_all(t->states);
	assert_false(pci_msi_enabled(d));
}

static void masked_msix_vectors_pend(void **state)
{
	struct bench *t = *state;
	struct pci_device *d = add(t, 3);
	uint64_t base = 0xfe000000;
	unsigned cap;

	pci_bar(d, 1, 0x1000, PCI_BAR_MEM32, &regs, t);
	pci_msix_init(d, 0, 3, 1, 0, 0x800);
	cap = get(t, 3, PCI_CAP_PTR, 1);
	assert_int_equal(get(t, 3, cap, 4), 0x00020011);
	assert_int_equal(get(t, 3, cap + 4, 4), 1);
	assert_int_equal(get(t, 3, cap + 8, 4), 0x801);
	put(t, 3, PCI_BAR0 + 4, (uint32_t)base, 4);
	put(t, 3, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	assert_int_equal(bus_read(t->mem, base + 16 + 12, 4), 1);               /* masked after reset */
	bus_write(t->mem, base + 16, 0xfee02000, 4);
	bus_write(t->mem, base + 16 + 8, 0x51, 4);
	put(t, 3, cap + 2, 0x8000, 2);
	pci_msix_send(d, 1);
	assert_int_equal(t->msis, 0);
	assert_int_equal(bus_read(t->mem, base + 0x800, 4), 2);
	bus_write(t->mem, base + 0x800, 0, 4);                                  /* the PBA is read-only */
	bus_write(t->mem, base + 16 + 12, 0, 4);
	assert_int_equal(t->msis, 1);
	assert_int_equal(t->msi_data, 0x51);
	assert_int_equal(bus_read(t->mem, base + 0x800, 4), 0);
	put(t, 3, cap + 2, 0xc000, 2);
	pci_msix_send(d, 1);
	pci_msix_send(d, 1);
	assert_int_equal(t->msis, 1);
	put(t, 3, cap + 2, 0x8000, 2);
	assert_int_equal(t->msis, 2);
	pci_msix_send(d, 3);                                                    /* there is no such vector */
	assert_int_equal(t->msis, 2);
	bus_write(t->mem, base + 0x900, 1, 4);
	assert_int_equal(t->last_offset, 0x900);
	assert_int_equal(bus_read(t->mem, base + 0x40, 1), 0xa0 + 0x40);
	bus_write(t->mem, base + 16 + 8, 0x99, 1);                              /* byte stores are not defined: ignored */
	assert_int_equal(bus_read(t->mem, base + 16 + 8, 4), 0x51);
}

static void dma_is_refused_without_bus_mastering(void **state)
{
	struct bench *t = *state;
	struct pci_device *d = add(t, 3);
	struct iovec v[2];
	uint8_t buf[4] = { 1, 2, 3, 4 };

	assert_false(pci_dma_write(d, 0x1000, buf, 4));
	assert_int_equal(pci_dma_map(d, 0x1000, 4, v, 2), 0);
	assert_false(pci_dma_read(d, 0x1000, buf, 4));
	assert_int_equal(buf[0], 0xff);
	assert_int_equal(t->ram[0x1001], 0);
	put(t, 3, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
	assert_true(pci_dma_write(d, 0x1000, "abcd", 4));
	assert_int_equal(pci_dma_map(d, 0x1000, 4, v, 2), 1);
	assert_memory_equal(v[0].iov_base, "abcd", 4);
}

static void assignment_places_everything_apart(void **state)
{
	struct bench *t = *state;
	struct pci_device *a = add(t, 2), *b = add(t, 3), *c = add(t, 4);

	pci_bar(a, 0, 0x1000, PCI_BAR_MEM32, &regs, t);
	pci_bar_ram(b, 0, VRAM, PCI_BAR_MEM32_PREFETCH, t->vram);
	pci_bar(b, 2, 0x40, PCI_BAR_IO, &regs, t);
	pci_bar(c, 0, 0x20000, PCI_BAR_MEM64, &regs, t);
	pci_bar(c, 4, 0x10, PCI_BAR_IO, &regs, t);
	pci_assign(t->pci, &(struct pci_resources){ 0xc000, 0x10000, 0xe0000000, 0xfec00000, { 10, 10, 11, 11 } });
	assert_true(pci_bar_address(b, 0) == 0xe0000000);
	assert_true(pci_bar_address(c, 0) == 0xe0100000);
	assert_true(pci_bar_address(a, 0) == 0xe0120000);
	assert_true(pci_bar_address(b, 2) == 0xc000);
	assert_true(pci_bar_address(c, 4) == 0xc040);
	assert_int_equal(get(t, 2, PCI_INT_LINE, 1), 10);
	assert_int_equal(get(t, 3, PCI_INT_LINE, 1), 11);
	assert_int_equal(get(t, 3, PCI_COMMAND, 2), 7);
}

static void count_line(void *to, const char *line)
{
	struct bench *t = to;

	assert_true(strlen(line) < 120);
	t->lines++;
}

static void print_names_the_device(void **state)
{
	struct bench *t = *state;

	pci_bar(add(t, 3), 1, 0x40, PCI_BAR_IO, &regs, t);
	pci_print(t->pci, count_line, t);
	assert_int_equal(t->lines, 5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(absent_functions_read_all_ones),
		TEST(identity_is_read_only),
		TEST(slots_are_given_out_in_order_and_once),
		TEST(bar_sizes_and_moves),
		TEST(bars_in_bad_places_stay_off),
		TEST(random_configuration_writes_do_no_harm),
		TEST(rom_appears_when_both_enables_are_set),
		TEST(rom_images_are_checked_and_patched),
		TEST(intx_lines_are_swizzled_and_ored),
		TEST(msi_needs_enable_and_bus_mastering),
		TEST(masked_msix_vectors_pend),
		TEST(dma_is_refused_without_bus_mastering),
		TEST(assignment_places_everything_apart),
		TEST(print_names_the_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
