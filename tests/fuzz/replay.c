/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz harness without a fuzzer: COUNT inputs from a fixed SEED.  Inputs are random bytes of varied length, inputs
 * seen before with a few bytes changed, and pieces of both, which gets further into a parser than noise alone.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) __attribute__((weak));

static uint64_t state;

static uint32_t next(void)              /* xorshift64* */
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)(state * 0x2545f4914f6cdd1dull >> 32);
}

enum { INPUT_MAX = 4096, KEPT = 64 };

int main(int argc, char **argv)
{
	static uint8_t kept[KEPT][INPUT_MAX];
	static size_t kept_len[KEPT];
	unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000;

	state = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
	state = state * 0x9e3779b97f4a7c15ull + 1;
	for (unsigned long n = 0; n < count; n++) {
		uint8_t buf[INPUT_MAX], *exact;
		size_t len = next() % (next() % 8 ? 256 : INPUT_MAX);
		unsigned slot = next() % KEPT;

		for (size_t i = 0; i < len; i++)
			buf[i] = (uint8_t)next();
		if (next() % 2 && kept_len[slot]) {
			len = kept_len[slot];
			memcpy(buf, kept[slot], len);
			for (unsigned k = next() % 8; k > 0; k--)
				buf[next() % len] = (uint8_t)(next() % 4 ? next() : (next() % 2 ? 0xff : 0));
			if (next() % 4 == 0)
				len = next() % (len + 1);
		}
		if (LLVMFuzzerCustomMutator && next() % 8) {    /* what knows the inputs' form gets further still */
			len = n % 16 && kept_len[slot] ? kept_len[slot] : 0;
			memcpy(buf, kept[slot], len);
			for (unsigned k = n % 16 ? 1 : 20; k > 0; k--)
				len = LLVMFuzzerCustomMutator(buf, len, INPUT_MAX, next());
		}
		exact = malloc(len ? len : 1);          /* so that a read past the end is seen */
		memcpy(exact, buf, len);
		LLVMFuzzerTestOneInput(exact, len);
		free(exact);
		memcpy(kept[slot], buf, len);
		kept_len[slot] = len;
	}
	printf("%lu inputs\n", count);
	return 0;
}
