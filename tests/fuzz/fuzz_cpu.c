/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as guest code in any mode, with page tables, descriptor tables and task states made of the same bytes: the
 * processor may fault, halt or shut down, never harm its host.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "tests/fake/fake_machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_machine *m;
	struct cpu_regs r;
	uint8_t mode;
	size_t at;
	unsigned k;

	if (size < 16)
		return 0;
	if (!m)
		m = fake_machine_new(2, NULL);
	mode = data[0];
	/* Low memory is made of the input over and over; then what the mode cannot do without. */
	for (at = 0; at < 0x20000; at += MIN(size, 0x20000 - at))
		memcpy(m->ram + at, data, MIN(size, 0x20000 - at));
	m->port_value = le32(data + 4);
	m->mmio_value = le64(data + 8);
	m->rom_from = mode & 0x40 ? 0x12000 : 0;
	m->rom_to = mode & 0x40 ? 0x14000 : 0;
	switch (mode & 3) {
	case 0:
		fake_machine_real(m, 0x1000, 0);
		break;
	case 1:
		fake_machine_protected(m, 0x10000, 0x1f000);
		break;
	default:
		fake_machine_long(m, 0x10000, 0x1f000);
		break;
	}
	if (mode & 4)                           /* the input as tables, too */
		for (k = 0; k < 3; k++)
			memcpy(m->ram + 0x1040 + k * 0x1000, data, MIN(size, 0xf00));
	if (mode & 8)
		memcpy(m->ram + 0xa008, data, MIN(size, 0xf00));
	cpu_get_regs(m->cpu, &r);
	for (k = 0; k < 8; k++)
		if (k != 4)
			r.gpr[k] = le32(data + 4) * (k + 1) & 0x3ffff;
	if (mode & 16) {
		r.rflags |= data[1] << 8 & 0x7700;
		r.cr0 |= 1 << 16 | (data[2] & 1 ? 1 << 18 : 0);
		r.cr4 |= data[2] & 2 ? 1 << 21 : 0;
	}
	if (mode & 32 && (mode & 3) != 0) {
		r.seg[1].selector = mode & 2 ? FAKE_UCS64 | 3 : FAKE_UCS32 | 3;
		r.seg[1].attributes = mode & 2 ? 0xa0fb : 0xc0fb;
		r.seg[2].selector = FAKE_UDS | 3;
		r.seg[2].attributes = 0xc0f3;
	}
	cpu_set_regs(m->cpu, &r);
	cpus_code_written(m->cpus, 0, 0x20000);
	for (k = 0; k < 8; k++) {
		enum cpu_exit why = cpu_run(m->cpu, 500);

		if (why == CPU_EXIT_SHUTDOWN)
			break;
		m->now += 1000000;
		m->vector = data[3];
		cpus_intr(m->cpus, true);
	}
	return 0;
}
