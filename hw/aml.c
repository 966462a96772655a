/* SPDX-License-Identifier: MIT */
/*
 * ACPI machine language (ACPI 6.2, chapters 20 and 6.4).  A package's length stands in front of it in one to four bytes:
 * it is put in when the package is closed.
 */
#include "hw/aml.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum {
	OP_ZERO = 0x00, OP_ONE = 0x01, OP_NAME = 0x08, OP_BYTE = 0x0a, OP_WORD = 0x0b, OP_DWORD = 0x0c, OP_STRING = 0x0d,
	OP_QWORD = 0x0e, OP_SCOPE = 0x10, OP_BUFFER = 0x11, OP_PACKAGE = 0x12, OP_METHOD = 0x14,
	OP_DUAL_NAME = 0x2e, OP_MULTI_NAME = 0x2f, OP_EXT = 0x5b, OP_CREATE_DWORD = 0x8a, OP_IF = 0xa0,
	EXT_REGION = 0x80, EXT_FIELD = 0x81, EXT_DEVICE = 0x82,
	RES_IRQ = 0x22, RES_IO = 0x47, RES_END = 0x79, RES_MEMORY32 = 0x86, RES_DWORD = 0x87, RES_WORD = 0x88,
	RES_INTERRUPT = 0x89, RES_QWORD = 0x8a,
};

void aml_free(struct aml *a)
{
	free(a->bytes);
	*a = (struct aml){ 0 };
}

void aml_bytes(struct aml *a, const void *bytes, size_t len)
{
	if (a->len + len > a->room) {
		a->room = MAX(2 * a->room, a->len + len + 1024);
		a->bytes = realloc(a->bytes, a->room);
		assert(a->bytes);
	}
	memcpy(a->bytes + a->len, bytes, len);
	a->len += len;
}

void aml_op(struct aml *a, uint8_t op)
{
	aml_bytes(a, &op, 1);
}

static void put_le(struct aml *a, uint64_t value, unsigned size)
{
	aml_bytes(a, &value, size);
}

void aml_int(struct aml *a, uint64_t value)
{
	if (value <= 1) {
		aml_op(a, value ? OP_ONE : OP_ZERO);
	} else if (value <= 0xff) {
		aml_op(a, OP_BYTE);
		put_le(a, value, 1);
	} else if (value <= 0xffff) {
		aml_op(a, OP_WORD);
		put_le(a, value, 2);
	} else if (value <= 0xffffffff) {
		aml_op(a, OP_DWORD);
		put_le(a, value, 4);
	} else {
		aml_op(a, OP_QWORD);
		put_le(a, value, 8);
	}
}

void aml_string(struct aml *a, const char *s)
{
	aml_op(a, OP_STRING);
	aml_bytes(a, s, strlen(s) + 1);
}

void aml_path(struct aml *a, const char *path)
{
	unsigned segments = 1;

	for (; *path == '\\' || *path == '^'; path++)
		aml_op(a, (uint8_t)*path);
	for (const char *p = path; *p; p++)
		segments += *p == '.';
	if (segments == 2) {
		aml_op(a, OP_DUAL_NAME);
	} else if (segments > 2) {
		aml_op(a, OP_MULTI_NAME);
		aml_op(a, (uint8_t)segments);
	}
	while (segments--) {
		size_t n = strcspn(path, ".");

		assert(n >= 1 && n <= 4);
		aml_bytes(a, path, n);
		aml_bytes(a, "___", 4 - n);
		path += n + (path[n] == '.');
	}
}

static unsigned hex(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'A' + 10);
}

void aml_eisa_id(struct aml *a, const char *id)
{
	unsigned letters = (unsigned)(id[0] & 31) << 10 | (unsigned)(id[1] & 31) << 5 | (unsigned)(id[2] & 31);
	uint8_t bytes[4] = { (uint8_t)(letters >> 8), (uint8_t)letters, (uint8_t)(hex(id[3]) << 4 | hex(id[4])),
			     (uint8_t)(hex(id[5]) << 4 | hex(id[6])) };

	aml_op(a, OP_DWORD);
	aml_bytes(a, bytes, 4);
}

void aml_name(struct aml *a, const char *name)
{
	aml_op(a, OP_NAME);
	aml_path(a, name);
}

/* --- packages -------------------------------------------------------------------------------------------------- */

static void begin(struct aml *a)
{
	assert(a->depth < AML_DEPTH);
	a->open[a->depth++] = a->len;
}

void aml_end(struct aml *a)
{
	size_t at, body, len;
	uint8_t lead[4];
	unsigned n = 1;

	assert(a->depth);
	at = a->open[--a->depth];
	body = a->len - at;
	while (body + n >= (n == 1 ? (size_t)1 << 6 : (size_t)1 << (4 + 8 * (n - 1))))
		n++;
	assert(n <= 4);
	len = body + n;
	if (n == 1) {
		lead[0] = (uint8_t)len;
	} else {
		lead[0] = (uint8_t)((n - 1) << 6 | (len & 15));
		for (unsigned i = 1; i < n; i++)
			lead[i] = (uint8_t)(len >> (4 + 8 * (i - 1)));
	}
	aml_bytes(a, lead, n);          /* makes room */
	memmove(a->bytes + at + n, a->bytes + at, body);
	memcpy(a->bytes + at, lead, n);
}

void aml_scope(struct aml *a, const char *name)
{
	aml_op(a, OP_SCOPE);
	begin(a);
	aml_path(a, name);
}

void aml_device(struct aml *a, const char *name)
{
	aml_op(a, OP_EXT);
	aml_op(a, EXT_DEVICE);
	begin(a);
	aml_path(a, name);
}

void aml_method(struct aml *a, const char *name, unsigned args)
{
	aml_op(a, OP_METHOD);
	begin(a);
	aml_path(a, name);
	aml_op(a, (uint8_t)(args | 8));         /* serialized */
}

void aml_package(struct aml *a, uint8_t elements)
{
	aml_op(a, OP_PACKAGE);
	begin(a);
	aml_op(a, elements);
}

void aml_if(struct aml *a)
{
	aml_op(a, OP_IF);
	begin(a);
}

void aml_field(struct aml *a, const char *region)
{
	aml_op(a, OP_EXT);
	aml_op(a, EXT_FIELD);
	begin(a);
	aml_path(a, region);
	aml_op(a, 1);
}

void aml_field_unit(struct aml *a, const char *name, unsigned bits)
{
	assert(bits < 64);
	aml_path(a, name);
	aml_op(a, (uint8_t)bits);
}

void aml_region(struct aml *a, const char *name, uint8_t space, uint64_t offset, uint64_t len)
{
	aml_op(a, OP_EXT);
	aml_op(a, EXT_REGION);
	aml_path(a, name);
	aml_op(a, space);
	aml_int(a, offset);
	aml_int(a, len);
}

void aml_dword_field(struct aml *a, uint8_t buffer_op, uint64_t offset, const char *name)
{
	aml_op(a, OP_CREATE_DWORD);
	aml_op(a, buffer_op);
	aml_int(a, offset);
	aml_path(a, name);
}

/* --- resource templates ---------------------------------------------------------------------------------------- */

/* A buffer whose size, in front of its bytes, is known only at its end: always stored as a word. */
void aml_resources(struct aml *a)
{
	aml_op(a, OP_BUFFER);
	begin(a);
	aml_op(a, OP_WORD);
	put_le(a, 0, 2);
}

void aml_resources_end(struct aml *a)
{
	size_t at = a->open[a->depth - 1];

	aml_op(a, RES_END);
	aml_op(a, 0);
	put_le16(a->bytes + at + 1, (uint16_t)(a->len - at - 3));
	aml_end(a);
}

void aml_res_io(struct aml *a, uint16_t base, uint8_t len)
{
	aml_op(a, RES_IO);
	aml_op(a, 1);                   /* decodes 16 bits */
	put_le(a, base, 2);
	put_le(a, base, 2);
	aml_op(a, 1);
	aml_op(a, len);
}

void aml_res_irq(struct aml *a, unsigned irq)
{
	aml_op(a, RES_IRQ);
	put_le(a, 1u << irq, 2);
}

void aml_res_interrupts(struct aml *a, const uint32_t *irqs, uint8_t count)
{
	aml_op(a, RES_INTERRUPT);
	put_le(a, 2 + 4 * (unsigned)count, 2);
	aml_op(a, 1 | 1 << 3);          /* consumer, level, active high, shared */
	aml_op(a, count);
	for (unsigned i = 0; i < count; i++)
		put_le(a, irqs[i], 4);
}

void aml_res_memory(struct aml *a, uint32_t base, uint32_t len)
{
	aml_op(a, RES_MEMORY32);
	put_le(a, 9, 2);
	aml_op(a, 0);                   /* read-only */
	put_le(a, base, 4);
	put_le(a, len, 4);
}

void aml_res_window(struct aml *a, enum aml_window kind, unsigned width, uint64_t first, uint64_t last)
{
	aml_op(a, width == 2 ? RES_WORD : width == 4 ? RES_DWORD : RES_QWORD);
	put_le(a, 3 + 5 * width, 2);
	aml_op(a, (uint8_t)kind);
	aml_op(a, 0x0c);                /* producer, fixed at both ends, positive decode */
	aml_op(a, kind == AML_WINDOW_IO ? 3 : kind == AML_WINDOW_MEMORY ? 1 : 0);       /* entire range; read-write */
	put_le(a, 0, width);
	put_le(a, first, width);
	put_le(a, last, width);
	put_le(a, 0, width);
	put_le(a, last - first + 1, width);
}

