/* SPDX-License-Identifier: MIT */
/* Writes ACPI machine language: enough of ACPI 6.2 chapter 20 for a DSDT. */
#ifndef HW_AML_H
#define HW_AML_H

#include <stddef.h>
#include <stdint.h>

enum { AML_DEPTH = 8 };

enum {                                  /* opcodes that stand alone */
	AML_LOCAL0 = 0x60, AML_ARG0 = 0x68, AML_STORE = 0x70, AML_AND = 0x7b, AML_OR = 0x7d, AML_EQUAL = 0x93, AML_RETURN = 0xa4,
	AML_NULL_TARGET = 0x00,
};

/* A growing buffer; the functions below append. */
struct aml {
	uint8_t *bytes;
	size_t len, room;
	size_t open[AML_DEPTH];         /* where the length of each open package goes */
	unsigned depth;
};

void aml_free(struct aml *a);
void aml_bytes(struct aml *a, const void *bytes, size_t len);
void aml_op(struct aml *a, uint8_t op);
void aml_int(struct aml *a, uint64_t value);
void aml_string(struct aml *a, const char *s);
/* "\\_SB.PCI0", "_HID": segments are padded with '_'. */
void aml_path(struct aml *a, const char *path);
void aml_eisa_id(struct aml *a, const char *id);                /* "PNP0A03" */
void aml_name(struct aml *a, const char *name);                 /* Name (name, <what follows>) */

/* These open something that aml_end closes. */
void aml_scope(struct aml *a, const char *name);
void aml_device(struct aml *a, const char *name);
void aml_method(struct aml *a, const char *name, unsigned args);
void aml_package(struct aml *a, uint8_t elements);
void aml_if(struct aml *a);                                     /* the predicate follows */
void aml_field(struct aml *a, const char *region);              /* byte access, preserve; aml_field_unit follows */
void aml_end(struct aml *a);

void aml_region(struct aml *a, const char *name, uint8_t space, uint64_t offset, uint64_t len);
void aml_field_unit(struct aml *a, const char *name, unsigned bits);
void aml_dword_field(struct aml *a, uint8_t buffer_op, uint64_t offset, const char *name);      /* CreateDWordField */

/* Resource templates (chapter 6.4): open with aml_resources, close with aml_resources_end. */
void aml_resources(struct aml *a);
void aml_resources_end(struct aml *a);
void aml_res_io(struct aml *a, uint16_t base, uint8_t len);
void aml_res_irq(struct aml *a, unsigned irq);                                  /* ISA: edge, active high, exclusive */
void aml_res_interrupts(struct aml *a, const uint32_t *irqs, uint8_t count);    /* PCI: level, active high, shared */
void aml_res_memory(struct aml *a, uint32_t base, uint32_t len);
enum aml_window { AML_WINDOW_MEMORY = 0, AML_WINDOW_IO = 1, AML_WINDOW_BUS = 2 };
void aml_res_window(struct aml *a, enum aml_window kind, unsigned width, uint64_t first, uint64_t last);

#endif
