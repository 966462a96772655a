/* SPDX-License-Identifier: MIT */
/* What AddressSanitizer shall do in the fuzz harnesses.  ASAN_OPTIONS in the environment overrides it. */

const char *__asan_default_options(void);

/*
 * One execution frees all that it allocated, so freed memory needs to stay out of use for a few executions only; more of
 * it, and pages given back to the kernel in between, make each one several times slower.
 */
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=8:allocator_release_to_os_interval_ms=-1:malloc_context_size=6";
}
