/* SPDX-License-Identifier: MIT */
/* A thread that interrupts the machine m, by NMI or by a kick, at times that nobody knows. */
#ifndef STORM_H
#define STORM_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/cpu/guest_bench.h"

static atomic_bool storm_on;
static pthread_t storm_thread;

static void *storm(void *arg)
{
	uint64_t seed = 88172645463325252ull;
	volatile unsigned spin;

	(void)arg;
	while (atomic_load(&storm_on)) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		if (seed & 3)
			cpus_msi(m->cpus, 0xfee00000, 0x400);           /* NMI to APIC 0 */
		else
			cpu_kick(m->cpu);
		for (spin = (unsigned)(seed >> 32) % 6000; spin > 0; spin--)
			;
	}
	return NULL;
}

static void storm_begins(void)
{
	atomic_store(&storm_on, true);
	assert_int_equal(pthread_create(&storm_thread, NULL, storm, NULL), 0);
}

static void storm_ends(void)
{
	atomic_store(&storm_on, false);
	pthread_join(storm_thread, NULL);
}

#endif
