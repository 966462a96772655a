/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "hw/acpi.h"

enum { RAM = 2 << 20, TABLES = 0x100000, RSDP = 0xf5a00 };

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total += *p++;
	return total;
}

struct bench {
	struct acpi acpi;
	uint8_t *ram;
};

static int setup(void **state)
{
	struct bench *t = calloc(1, sizeof(*t));

	acpi_build(&t->acpi, &(struct acpi_config){ 4, 512u << 20, 0, true, true, 5 });
	t->ram = calloc(1, RAM);
	acpi_install(&t->acpi, t->ram, TABLES, RSDP);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;

	acpi_free(&t->acpi);
	free(t->ram);
	free(t);
	return 0;
}

/* A table by its signature, reached as an operating system does: through the XSDT, or the RSDT. */
static const uint8_t *find(struct bench *t, const char *signature, bool x)
{
	const uint8_t *rsdp = t->ram + RSDP, *root = t->ram + (x ? le64(rsdp + 24) : le32(rsdp + 16));
	unsigned size = x ? 8 : 4;

	assert_memory_equal(root, x ? "XSDT" : "RSDT", 4);
	assert_int_equal(sum(root, le32(root + 4)), 0);
	for (uint32_t i = 36; i < le32(root + 4); i += size) {
		uint64_t at = x ? le64(root + i) : le32(root + i);

		assert_in_range(at, TABLES, TABLES + t->acpi.tables_len - 1);
		if (memcmp(t->ram + at, signature, 4) == 0)
			return t->ram + at;
	}
	return NULL;
}

static void every_table_is_found_and_sums_to_zero(void **state)
{
	struct bench *t = *state;
	static const char *names[] = { "FACP", "APIC", "HPET", "WAET" };

	assert_memory_equal(t->ram + RSDP, "RSD PTR ", 8);
	assert_int_equal(sum(t->ram + RSDP, 20), 0);
	assert_int_equal(sum(t->ram + RSDP, 36), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		const uint8_t *table = find(t, names[i], true);

		assert_non_null(table);
		assert_ptr_equal(table, find(t, names[i], false));
		assert_int_equal(sum(table, le32(table + 4)), 0);
	}
}

static void fadt_points_at_dsdt_and_facs(void **state)
{
	struct bench *t = *state;
	const uint8_t *fadt = find(t, "FACP", true), *dsdt = t->ram + le32(fadt + 40), *facs = t->ram + le32(fadt + 36);

	assert_int_equal(le32(fadt + 4), 244);
	assert_memory_equal(dsdt, "DSDT", 4);
	assert_true(le64(fadt + 140) == le32(fadt + 40));
	assert_int_equal(sum(dsdt, le32(dsdt + 4)), 0);
	assert_memory_equal(facs, "FACS", 4);
	assert_int_equal((facs - t->ram) % 64, 0);
	assert_int_equal(le16(fadt + 46), 9);
	assert_int_equal(le32(fadt + 56), 0x600);
	assert_int_equal(le32(fadt + 76), 0x608);
}

static void madt_lists_processors_and_overrides(void **state)
{
	struct bench *t = *state;
	const uint8_t *madt = find(t, "APIC", true);
	unsigned count[5] = { 0 };

	for (uint32_t i = 44; i < le32(madt + 4); i += madt[i + 1]) {
		assert_true(madt[i] < 5 && madt[i + 1] >= 6);
		if (madt[i] == 0)
			assert_int_equal(madt[i + 3], count[0]);
		if (madt[i] == 2 && madt[i + 3] == 0)
			assert_int_equal(le32(madt + i + 4), 2);
		count[madt[i]]++;
	}
	assert_int_equal(count[0], 4);
	assert_int_equal(count[1], 1);
	assert_int_equal(count[2], 5);
	assert_int_equal(count[4], 1);
}

static bool contains(const uint8_t *table, const void *bytes, size_t len)
{
	return memmem(table, le32(table + 4), bytes, len) != NULL;
}

static void dsdt_has_what_was_asked_for(void **state)
{
	struct bench *t = *state;
	const uint8_t *dsdt = t->ram + le32(find(t, "FACP", true) + 40);
	struct acpi bare;

	assert_true(contains(dsdt, "COM1", 4));
	assert_false(contains(dsdt, "COM2", 4));
	assert_true(contains(dsdt, "COM3", 4));
	assert_true(contains(dsdt, "C003", 4));
	assert_false(contains(dsdt, "C004", 4));
	assert_true(contains(dsdt, "HPET", 4));
	assert_true(contains(dsdt, "\x08\\_S5_\x12", 7));
	acpi_build(&bare, &(struct acpi_config){ 1, 16u << 20, 0, false, false, 0 });
	assert_null(memmem(bare.tables, bare.tables_len, "HPET", 4));
	acpi_free(&bare);
}

/* The scopes' lengths nest: walking them by their package lengths ends exactly at the table's end. */
static size_t package_length(const uint8_t *p, unsigned *bytes)
{
	*bytes = (p[0] >> 6) + 1u;
	if (*bytes == 1)
		return p[0];
	return (p[0] & 15u) | (size_t)p[1] << 4 | (*bytes > 2 ? (size_t)p[2] << 12 : 0);
}

static void dsdt_is_one_scope_and_the_soft_off_package(void **state)
{
	struct bench *t = *state;
	const uint8_t *dsdt = t->ram + le32(find(t, "FACP", true) + 40), *p = dsdt + 36, *end = dsdt + le32(dsdt + 4);
	unsigned bytes;

	assert_int_equal(*p, 0x10);
	p += 1 + package_length(p + 1, &bytes);
	assert_memory_equal(p, "\x08\\_S5_\x12", 7);
	p += 7;
	p += package_length(p, &bytes);
	assert_ptr_equal(p, end);
}

static void the_loader_script_stays_within_its_files(void **state)
{
	struct bench *t = *state;
	unsigned allocations = 0;

	assert_int_equal(t->acpi.loader_len % 128, 0);
	for (size_t i = 0; i < t->acpi.loader_len; i += 128) {
		const uint8_t *c = t->acpi.loader + i;
		size_t len = strcmp((const char *)c + 4, ACPI_FILE_RSDP) == 0 ? t->acpi.rsdp_len : t->acpi.tables_len;

		allocations += le32(c) == 1;
		if (le32(c) == 2)
			assert_true(le32(c + 116) + c[120] <= len);
		if (le32(c) == 3)
			assert_true(le32(c + 60) < len && le32(c + 64) + le32(c + 68) <= len);
	}
	assert_int_equal(allocations, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_table_is_found_and_sums_to_zero),
		TEST(fadt_points_at_dsdt_and_facs),
		TEST(madt_lists_processors_and_overrides),
		TEST(dsdt_has_what_was_asked_for),
		TEST(dsdt_is_one_scope_and_the_soft_off_package),
		TEST(the_loader_script_stays_within_its_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
