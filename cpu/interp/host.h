/* SPDX-License-Identifier: MIT */
/* Host instructions that C has no word for. */
#ifndef CPU_INTERP_HOST_H
#define CPU_INTERP_HOST_H

#include <stdbool.h>
#include <stdint.h>

/* 16 bytes at p (aligned) become `new` if they are *expected; otherwise *expected becomes what they are. */
static inline bool cpu_host_cmpxchg16(uint8_t *p, unsigned __int128 *expected, unsigned __int128 new)
{
	uint64_t low = (uint64_t)*expected, high = (uint64_t)(*expected >> 64);
	bool done;

	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(done), "+m"(*(unsigned __int128 *)(void *)p), "+a"(low), "+d"(high)
			 : "b"((uint64_t)new), "c"((uint64_t)(new >> 64))
			 : "memory");
	*expected = low | (unsigned __int128)high << 64;
	return done;
}

#endif
