/* SPDX-License-Identifier: MIT */
/*
 * AddressSanitizer in the fuzz harnesses.  One execution frees all that it allocated, so freed memory needs to stay out
 * of use for a few executions only; more of it, pages given back to the kernel, and maps and unmaps of large blocks make
 * each execution several times slower.
 *
 * Large blocks therefore go to a small shelf when they are freed (poisoned, as ASan would) and come back from there if
 * just their size is asked for again, so that what lies around them is as it was.  The linker leads malloc, calloc and
 * free here (--wrap).  ASAN_OPTIONS in the environment overrides the options.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "quarantine_size_mb=8:allocator_release_to_os_interval_ms=-1:malloc_context_size=3";
}

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__            /* as gcc says it */
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
/* gcc comes without the headers that declare these */
void __asan_poison_memory_region(const volatile void *p, size_t size);
void __asan_unpoison_memory_region(const volatile void *p, size_t size);
size_t __sanitizer_get_allocated_size(const volatile void *p);

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void __wrap_free(void *p);

enum { LARGE = 60000, PLACES = 16 };

static struct {
	void *p;
	size_t size;
} shelf[PLACES];

static void *take(size_t size)
{
	for (unsigned i = 0; size >= LARGE && i < PLACES; i++) {
		void *p = shelf[i].p;

		if (!p || shelf[i].size != size)
			continue;
		shelf[i].p = NULL;
		__asan_unpoison_memory_region(p, size);
		return p;
	}
	return NULL;
}

void *__wrap_malloc(size_t size)
{
	void *p = take(size);

	return p ? p : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	void *p = n && size <= SIZE_MAX / n ? take(n * size) : NULL;

	return p ? memset(p, 0, n * size) : __real_calloc(n, size);
}

void __wrap_free(void *p)
{
	static unsigned next;
	size_t size = p ? __sanitizer_get_allocated_size(p) : 0;
	unsigned place = next;
	bool twice = false;

	for (unsigned i = 0; size >= LARGE && i < PLACES; i++) {
		if (!shelf[i].p)
			place = i;
		twice |= shelf[i].p == p;
	}
	if (size < LARGE || twice) {
		__real_free(p);
		if (twice)
			__real_free(p);         /* ASan has a word for it */
		return;
	}
	if (shelf[place].p) {
		__asan_unpoison_memory_region(shelf[place].p, shelf[place].size);
		__real_free(shelf[place].p);
		next = (next + 1) % PLACES;
	}
	shelf[place].p = p;
	shelf[place].size = size;
	__asan_poison_memory_region(p, size);
}
#endif
