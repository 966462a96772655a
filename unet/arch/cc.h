/* SPDX-License-Identifier: MIT */
/* What lwIP wants to know about the compiler and the platform. */
#ifndef UNET_ARCH_CC_H
#define UNET_ARCH_CC_H

#include <stdint.h>
#include <stdlib.h>

#define LWIP_NO_STDINT_H 0
#define LWIP_TIMEVAL_PRIVATE 0
#include <sys/time.h>

#define LWIP_PLATFORM_DIAG(x) do { } while (0)
/* An assertion of lwIP's is ours: the fences keep guests away from all of them, and going on would corrupt memory. */
void unet_lwip_assert(const char *what, const char *file, int line) __attribute__((noreturn));
#define LWIP_PLATFORM_ASSERT(x) unet_lwip_assert(x, __FILE__, __LINE__)
#define LWIP_RAND() unet_lwip_rand()
uint32_t unet_lwip_rand(void);

#define LWIP_CHKSUM_ALGORITHM 3

#endif
