/* SPDX-License-Identifier: MIT */
/* Guest code written as assembly in a test: CODE(name, mode, "text") defines name[] and name_end[]. */
#ifndef GUEST_CODE_H
#define GUEST_CODE_H

#include <stdint.h>

#define CODE(name, mode, text) \
	extern const uint8_t name[], name##_end[]; \
	__asm__(".pushsection .rodata\n.intel_syntax noprefix\n.code" #mode "\n.globl " #name "\n" #name ":\n" text "\n.globl " #name \
		"_end\n" #name "_end:\n.byte 0\n.code64\n.att_syntax prefix\n.popsection\n")
#define PUT_CODE(m, at, name) fake_code((m), (at), (name), (size_t)(name##_end - (name)))

#endif
