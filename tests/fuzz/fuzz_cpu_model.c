/* SPDX-License-Identifier: MIT */
/* The user's -cpu words, and every CPUID leaf of the model that they make. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cpu/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const models[] = { "qemu64", "x86-64-v2", "max", "nothing" };
static const char *const words[] = {
	"+", "-", "=", "on", "off", ",", "aes", "sse4.1", "sse4-2", "xsave", "avx", "popcnt", "x2apic", "hypervisor", "pni", "lm",
	"vendor=", "GenuineIntel", "AuthenticAMD", "help",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	unsigned which = cursor_u8(&c), count = 1 + cursor_u8(&c) % 8;
	struct cpuid_state s = { .apic_id = count - 1, .xcr0 = cursor_u8(&c) };
	char list[512];
	size_t len = 0;
	struct cpu_model m;
	struct err e = { "" };
	uint32_t out[4], leaf;

	while (cursor_left(&c) && len + 24 < sizeof(list)) {
		uint8_t byte = cursor_u8(&c);

		if (byte < 0x80)
			list[len++] = byte ? byte : 'x';
		else
			len += strlen(strcpy(list + len, words[byte % ARRAY_SIZE(words)]));
	}
	list[len] = '\0';
	if (!cpu_model_init(&m, models[which % ARRAY_SIZE(models)], list, count, 2000000000, &e)) {
		assert(e.text[0]);
		return 0;
	}
	for (leaf = 0; leaf < 0x20; leaf++)
		cpuid_leaf(&m, &s, leaf, which, out);
	for (leaf = 0; leaf < 0x40; leaf++) {
		cpuid_leaf(&m, &s, 0x40000000 + leaf, which, out);
		cpuid_leaf(&m, &s, 0x80000000 + leaf, which, out);
	}
	return 0;
}
