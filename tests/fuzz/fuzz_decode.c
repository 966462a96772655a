/* SPDX-License-Identifier: MIT */
/* Any bytes as code of each mode: what is decoded, what a CPU model makes of it, and its text. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cpu/insn.h"
#include "cpu/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cpu_model small, big;

static void one(const uint8_t *bytes, size_t size, unsigned mode)
{
	struct insn i, gated;
	char text[64];
	size_t len;

	if (insn_decode(&i, bytes, size, mode) != DECODE_OK)
		return;
	assert(i.len >= 1 && i.len <= MIN(size, (size_t)15));
	assert(i.operands <= 4 && i.op < OP_COUNT);
	assert(i.mem_op == 0xff || i.o[i.mem_op].kind == OPD_MEM);
	len = insn_text(&i, 0xfffffffffffffff0, text, sizeof(text));
	assert(len >= 2 && strlen(text) == MIN(len, sizeof(text) - 1));
	gated = i;
	cpuid_gate(&small, &gated);
	assert(gated.len == i.len && !(gated.traits & INSN_AVX));
	cpuid_gate(&big, &i);
	insn_text(&gated, 0, text, sizeof(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact;

	if (!small.name && (!cpu_model_init(&small, "qemu64", NULL, 1, 1000000000, NULL) ||
			    !cpu_model_init(&big, "max", NULL, 8, 1000000000, NULL)))
		abort();
	exact = malloc(size ? size : 1);        /* for ASan to watch its end */
	assert(exact);
	memcpy(exact, data, size);
	one(exact, size, 16);
	one(exact, size, 32);
	one(exact, size, 64);
	free(exact);
	return 0;
}
