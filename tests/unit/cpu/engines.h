/* SPDX-License-Identifier: MIT */
/* Each test of guest code runs on both engines: cmocka's initial state says on which, and the setup function takes it. */
#ifndef TESTS_UNIT_CPU_ENGINES_H
#define TESTS_UNIT_CPU_ENGINES_H

#include <stdint.h>

#include "cpu/cpu.h"

#define ON_BOTH_ENGINES(name, setup, teardown) \
	{ #name " (interp)", name, setup, teardown, (void *)(uintptr_t)CPU_INTERP }, \
	{ #name " (xlat)", name, setup, teardown, (void *)(uintptr_t)CPU_XLAT }

static inline enum cpu_engine engine_of(void **state) { return (enum cpu_engine)(uintptr_t)*state; }

#endif
