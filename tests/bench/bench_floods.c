/* SPDX-License-Identifier: MIT */
/*
 * Floods against the stack with a simulated host, each alone: a million connections opened and dropped, a hundred
 * thousand SYNs to black holes, and so on.  Prints time and memory; ends with 1 if memory grew, descriptors stayed open
 * or the next honest request was not served.  bench_floods [share of 100]
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/fake/floods.h"

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*flood)(struct fake_net *n, unsigned count);
		unsigned count;
	} floods[] = {
		{ "flows", flood_flows, 1000000 },      { "black_holes", flood_black_holes, 100000 },
		{ "ports", flood_ports, 1000000 },      { "echoes", flood_echoes, 1000000 },
		{ "fragments", flood_fragments, 1000000 }, { "leases", flood_leases, 1000000 },
	};
	unsigned share = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 100;
	int bad = 0;

	for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
		struct fake_net *n = calloc(1, sizeof(*n));
		unsigned count = floods[i].count / 100 * share;
		size_t before, after;
		double begin;
		bool serves;

		fake_net_init(n, 0);
		floods[i].flood(n, 10000);      /* tables are touched, the fakes have grown */
		flood_wait(n);
		before = mallinfo2().uordblks;
		begin = seconds();
		floods[i].flood(n, count);
		begin = seconds() - begin;
		serves = flood_still_serves(n);
		flood_wait(n);
		after = mallinfo2().uordblks;
		printf("%-12s %8u  %6.2f s  %5.2f us each  memory %+ld KB  open %d  %s\n", floods[i].name, count, begin,
		       begin * 1e6 / count, ((long)after - (long)before) / 1024, n->sockets.open_count,
		       serves ? "serves" : "DOES NOT SERVE");
		bad |= !serves || n->sockets.open_count || after > before + (1 << 18);
		fake_net_free(n);
		free(n);
	}
	return bad;
}
