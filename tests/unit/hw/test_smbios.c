/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "hw/smbios.h"

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total += *p++;
	return total;
}

/* Walk the structures as dmidecode does; returns how many there are of a type, and the last one. */
static unsigned walk(const struct smbios *s, int type, const uint8_t **found)
{
	const uint8_t *p = s->tables, *end = p + s->len;
	unsigned n = 0, all = 0;

	while (p < end) {
		const uint8_t *next = p + p[1];

		assert_true(p[1] >= 4);
		while (next[0] || next[1])
			assert_true(++next < end);
		if (p[0] == type) {
			*found = p;
			n++;
		}
		all++;
		p = next + 2;
	}
	assert_ptr_equal(p, end);
	assert_int_equal(all, le16(s->anchor + 0x1c));
	return n;
}

static void structures_describe_the_machine(void **state)
{
	struct smbios s;
	const uint8_t *p = NULL;

	(void)state;
	smbios_build(&s, &(struct smbios_config){ 3, (uint64_t)6 << 30, (uint64_t)3 << 30,
		{ 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8 } });
	assert_int_equal(walk(&s, 1, &p), 1);
	assert_int_equal(le32(p + 8), 0x12345678);
	assert_int_equal(le16(p + 12), 0x9abc);
	assert_int_equal(p[16], 1);
	assert_non_null(strstr((const char *)p + p[1] + 7, "i440FX"));
	assert_int_equal(walk(&s, 4, &p), 3);
	assert_int_equal(walk(&s, 17, &p), 1);
	assert_int_equal(le16(p + 12), 6144);
	assert_int_equal(walk(&s, 19, &p), 2);
	assert_int_equal(le32(p + 4), 4 << 20);
	assert_int_equal(le32(p + 8), (7 << 20) - 1);
	assert_int_equal(walk(&s, 127, &p), 1);
	smbios_free(&s);
}

static void the_anchor_leads_to_the_tables(void **state)
{
	struct smbios s;
	uint8_t *ram = calloc(1, 1 << 20);
	uint32_t end;

	(void)state;
	smbios_build(&s, &(struct smbios_config){ 1, 64 << 20, 64 << 20, { 0 } });
	end = smbios_install(&s, ram, 0xf5b00);
	assert_memory_equal(ram + 0xf5b00, "_SM_", 4);
	assert_int_equal(sum(ram + 0xf5b00, 31), 0);
	assert_int_equal(sum(ram + 0xf5b10, 15), 0);
	assert_memory_equal(ram + le32(ram + 0xf5b18), s.tables, s.len);
	assert_int_equal(le16(ram + 0xf5b16), s.len);
	assert_true(end <= 0x100000 && end == le32(ram + 0xf5b18) + s.len);
	smbios_free(&s);
	free(ram);
}

static void eight_processors_and_much_memory_fit(void **state)
{
	struct smbios s;
	const uint8_t *p = NULL;

	(void)state;
	smbios_build(&s, &(struct smbios_config){ 8, (uint64_t)512 << 30, (uint64_t)3 << 30, { 0 } });
	assert_int_equal(walk(&s, 17, &p), 1);
	assert_int_equal(le16(p + 12), 0x7fff);
	assert_int_equal(le32(p + 28), 512 << 10);
	smbios_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structures_describe_the_machine),
		cmocka_unit_test(the_anchor_leads_to_the_tables),
		cmocka_unit_test(eight_processors_and_much_memory_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
