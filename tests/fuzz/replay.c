/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz harness without a fuzzer: COUNT inputs from a fixed SEED.  Inputs are random bytes of varied length,
 * inputs seen before with a few bytes changed, and pieces of both, which gets further into a parser than noise alone.
 * The files of a folder, if one is given, are run first, twice, and changed now and then.
 *
 * The same input gives the same output, whatever ran in between: each seed's digest (tests/fake/fake_digest.h) is
 * compared with that of its second run, after all the others, and so is that of one new input of eight, with a run right
 * after it.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/fake_digest.h"

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

enum { INPUT_MAX = 4096, KEPT = 64, SEEDS = 256 };

static uint8_t *seeds[SEEDS];
static size_t seed_len[SEEDS];
static uint64_t seed_digest[SEEDS];

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);      /* the same order on every machine */
}

static unsigned read_seeds(const char *folder)
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, by_name);
	unsigned count = 0;

	for (int i = 0; i < n; i++) {
		char path[1000];
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		free(names[i]);
		f = path[strlen(path) - 1] != '.' && count < SEEDS ? fopen(path, "rb") : NULL;
		if (!f)
			continue;
		seeds[count] = malloc(INPUT_MAX);
		seed_len[count] = fread(seeds[count], 1, INPUT_MAX, f);
		fclose(f);
		count++;
	}
	if (n >= 0)
		free(names);
	return count;
}

static uint64_t run(const uint8_t *data, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);         /* so that a read past the end is seen */

	memcpy(exact, data, len);
	if (getenv("FUZZ_KEEP")) {                      /* the input that ends the program is in this file */
		FILE *f = fopen(getenv("FUZZ_KEEP"), "wb");

		if (f) {
			fwrite(data, 1, len, f);
			fclose(f);
		}
	}
	fake_digest_begin();
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	return fake_digest_end();
}

static void run_again(const uint8_t *data, size_t len, uint64_t digest)
{
	if (run(data, len) == digest)
		return;
	fprintf(stderr, "not the same output again, for this input:\n");
	for (size_t i = 0; i < len; i++)
		fprintf(stderr, "%02x%s", data[i], i % 32 == 31 || i == len - 1 ? "\n" : "");
	abort();
}

int main(int argc, char **argv)
{
	static uint8_t kept[KEPT][INPUT_MAX];
	static size_t kept_len[KEPT];
	unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000;
	unsigned seed_count = argc > 3 ? read_seeds(argv[3]) : 0;

	state = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;
	state = state * 0x9e3779b97f4a7c15ull + 1;
	for (unsigned i = 0; i < seed_count; i++)
		seed_digest[i] = run(seeds[i], seed_len[i]);
	for (unsigned i = 0; i < seed_count; i++)
		run_again(seeds[i], seed_len[i], seed_digest[i]);
	for (unsigned long n = 0; n < count; n++) {
		uint8_t buf[INPUT_MAX];
		size_t len = next() % (next() % 8 ? 256 : INPUT_MAX);
		unsigned slot = next() % KEPT;
		uint64_t digest;

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
			unsigned from = seed_count ? next() % seed_count : 0;

			len = n % 16 && kept_len[slot] ? kept_len[slot] : 0;
			memcpy(buf, kept[slot], len);
			if (seed_count && next() % 4 == 0) {
				len = seed_len[from];
				memcpy(buf, seeds[from], len);
			}
			for (unsigned k = n % 16 ? 1 : 20; k > 0; k--)
				len = LLVMFuzzerCustomMutator(buf, len, INPUT_MAX, next());
		}
		digest = run(buf, len);
		if (n % 8 == 0)
			run_again(buf, len, digest);
		memcpy(kept[slot], buf, len);
		kept_len[slot] = len;
	}
	for (unsigned i = 0; i < seed_count; i++)
		free(seeds[i]);
	printf("%lu inputs, %u seeds\n", count, seed_count);
	return 0;
}
