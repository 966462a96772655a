/* SPDX-License-Identifier: MIT */
/*
 * diff_cpu: our processor against the host's on random cases.
 *
 *	diff_cpu [-n cases] [-s seed] [-m 16|32|64] [-o operation] [-c instructions] [-f class] [-k first] [-g] [-v] [-x] [-d] [-i]
 *
 * -k: the first case to run (as a report names it).  class: x87, mmx, sse, avx, other.  -g: generic handlers only.
 * -v: every difference, not one per operation.  -x: the translator.  -d: with dead flags.  -i: without counting
 * instructions, which is another translation.  -c: from five on with branches and loops.
 * The cases run in a child, which a wild case may kill: the next one goes on behind that case.  Exit status 1 if something differs.
 */
#include "tests/diff/diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS_EACH = 20 };

static struct options {
	uint64_t cases, seed, first;
	unsigned mode, count;
	enum op op;
	unsigned with, without;         /* traits */
	bool generic, verbose;
} options = { .cases = 200000, .seed = 1, .count = 1 };

static struct shared {
	uint64_t done, differ, generated;
	uint32_t tried[OP_COUNT], failed[OP_COUNT];
	struct diff_case running;
} *shared;
static char text[8192];

static uint8_t data[DATA_SIZE];

static void work(void)
{
	static char what[1024];
	struct diff_rng r = { 0x9e3779b97f4a7c15 }, data_rng;
	struct diff_case c;
	const char *why;

	gen_data(&r, data);
	if (!native_init(&why) || !sim_init(NULL, &why)) {
		fprintf(stderr, "diff_cpu: %s\n", why);
		_exit(2);
	}
	native_seal(data);
	sim_seal(data);
	sim_set_fast(!options.generic);
	while (shared->done < options.cases) {
		uint64_t n = shared->done++;
		unsigned mode = options.mode ? options.mode : (unsigned[]){ 64, 64, 32, 16 }[n & 3];
		enum op op = options.op ? options.op : (enum op)(1 + n / 4 % (OP_COUNT - 1));

		r.s = (options.seed << 40) + n * 2 + 1;
		for (unsigned k = 0; k < 4; k++)
			diff_random(&r);
		data_rng.s = (options.seed << 40) + (n & ~63ull) + 7;   /* new data every 64 cases */
		if (n % 64 == 0 || n == options.first)
			gen_data(&data_rng, data);
		if (!gen_case(&r, &c, mode, op, options.count))
			continue;
		if ((options.with && !(c.insn[0].traits & options.with)) || c.insn[0].traits & options.without)
			continue;
		if (!sim_has(&c.insn[0]))
			continue;
		shared->generated++;
		shared->tried[op]++;
		shared->running = c;
		alarm(SECONDS_EACH);            /* a loop that we made endless */
		if (diff_one(&c, data, what, sizeof(what)))
			continue;
		shared->differ++;
		if (shared->failed[op]++ && !options.verbose)
			continue;
		diff_print(&c, text, sizeof(text));
		printf("-- case %llu\n%s%s\n", (unsigned long long)n, text, what);
		fflush(stdout);
	}
	_exit(0);
}

static enum op find_op(const char *name)
{
	for (unsigned n = 1; n < OP_COUNT; n++)
		if (!strcmp(op_name((enum op)n), name))
			return (enum op)n;
	fprintf(stderr, "diff_cpu: no operation '%s'\n", name);
	exit(2);
}

static void class(const char *name)
{
	static const struct { const char *name; unsigned with, without; } classes[] = {
		{ "x87", INSN_X87, 0 }, { "mmx", INSN_MMX, 0 }, { "sse", INSN_SSE, INSN_AVX }, { "avx", INSN_AVX, 0 },
		{ "simd", INSN_X87 | INSN_MMX | INSN_SSE | INSN_AVX, 0 },
		{ "other", 0, INSN_X87 | INSN_MMX | INSN_SSE | INSN_AVX },
	};

	for (size_t n = 0; n < ARRAY_SIZE(classes); n++) {
		if (!strcmp(classes[n].name, name)) {
			options.with = classes[n].with;
			options.without = classes[n].without;
			return;
		}
	}
	fprintf(stderr, "diff_cpu: no class '%s'\n", name);
	exit(2);
}

static void parse(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "n:s:m:o:c:f:k:dgivx")) != -1) {
		switch (o) {
		case 'n':
			options.cases = strtoull(optarg, NULL, 0);
			break;
		case 's':
			options.seed = strtoull(optarg, NULL, 0);
			break;
		case 'm':
			options.mode = (unsigned)atoi(optarg);
			break;
		case 'o':
			options.op = find_op(optarg);
			break;
		case 'c':
			options.count = MIN((unsigned)atoi(optarg), (unsigned)DIFF_COUNT_MAX);
			break;
		case 'f':
			class(optarg);
			break;
		case 'k':
			options.first = strtoull(optarg, NULL, 0);
			break;
		case 'g':
			options.generic = true;
			break;
		case 'd':
			sim_use_dead_flags();
			break;
		case 'i':
			sim_count(false);
			break;
		case 'x':
			sim_use(CPU_XLAT);
			break;
		case 'v':
			options.verbose = true;
			break;
		default:
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	unsigned deaths = 0;
	int status;

	parse(argc, argv);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 2;
	shared->done = options.first;
	options.cases += options.first;
	for (;;) {
		pid_t pid = fork();

		if (!pid)
			work();
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			return 2;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
			return 2;
		if (WIFEXITED(status) && !WEXITSTATUS(status))
			break;
		diff_print(&shared->running, text, sizeof(text));
		printf("-- case %llu killed the child (status %x)\n%s\n", (unsigned long long)shared->done - 1, status, text);
		if (++deaths > 50)
			break;
	}
	unsigned tried = 0, wrong = 0;
	for (unsigned n = 0; n < OP_COUNT; n++) {
		tried += shared->tried[n] != 0;
		wrong += shared->failed[n] != 0;
		if (shared->failed[n])
			printf("%-20s %u of %u\n", op_name((enum op)n), shared->failed[n], shared->tried[n]);
	}
	printf("%llu cases of %u operations, %llu differ in %u operations, %u deaths\n",
	       (unsigned long long)shared->generated,
	       tried, (unsigned long long)shared->differ, wrong, deaths);
	return shared->differ || deaths;
}
