/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hw/state.h"

static int order[100], count;

static void reset(void *owner)
{
	order[count++] = *(int *)owner;
}

static void reset_runs_in_order_of_registration(void **state)
{
	struct state_list *l = state_list_new();
	int id[100];

	(void)state;
	for (int i = 0; i < 100; i++) {
		id[i] = i;
		state_add(l, &(struct state_section){ .name = "chip", .instance = (unsigned)i, .version = 1, .data = &id[i],
			.size = sizeof(id[i]), .owner = &id[i], .reset = i == 50 ? NULL : reset });
	}
	state_reset_all(l);
	assert_int_equal(count, 99);
	for (int i = 0; i < 99; i++)
		assert_int_equal(order[i], i < 50 ? i : i + 1);
	assert_ptr_equal(state_get(l, 7)->data, &id[7]);
	assert_null(state_get(l, 100));
	state_list_free(l);
}

static void a_device_without_a_list_is_fine(void **state)
{
	(void)state;
	state_add(NULL, &(struct state_section){ .name = "chip" });
	state_list_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reset_runs_in_order_of_registration),
		cmocka_unit_test(a_device_without_a_list_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
