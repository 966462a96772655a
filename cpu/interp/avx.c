/* SPDX-License-Identifier: MIT */
/*
 * AVX and AVX2 instructions that have no legacy twin: broadcasts, moves across the halves, variable shifts, masked
 * moves and gathers (SDM volume 2).  The others are beside their twins, in sse_*.c.
 */
#include "cpu/interp/simd.h"

union wide {
	struct v256 v;
	uint8_t b[32];
	uint16_t w[16];
	uint32_t d[8];
	uint64_t q[4];
};

static void put_wide(struct cpu *c, const struct insn *i, unsigned reg, union wide r)
{
	if (i->o[0].size == 32)
		put_ymm(c, reg, r.v);
	else
		put_xmm(c, i, reg, r.v.lo);
}

static union wide get_wide(struct cpu *c, const struct insn *i, unsigned n)
{
	union wide r = { .v = { V0, V0 } };

	if (i->o[n].size == 32)
		r.v = get_src256(c, i, n);
	else
		r.v.lo = get_src(c, i, n);
	return r;
}

static void op_vzeroupper(struct cpu *c, const struct insn *i)
{
	(void)i;
	avx_begin(c);
	for (unsigned n = 0; n < (i->mode == 64 ? 16 : 8); n++)
		*(v128 *)c->s.fpu.ymm_hi[n] = V0;
}

static void op_vzeroall(struct cpu *c, const struct insn *i)
{
	avx_begin(c);
	for (unsigned n = 0; n < (i->mode == 64 ? 16 : 8); n++)
		put_ymm(c, n, (struct v256){ V0, V0 });
}

/* --- broadcasts ---------------------------------------------------------------------------------------------- */

static void op_broadcast(struct cpu *c, const struct insn *i)
{
	unsigned size;
	union vec b, r;

	switch ((int)i->op) {
	case OP_VPBROADCASTB:
		size = 1;
		break;
	case OP_VPBROADCASTW:
		size = 2;
		break;
	case OP_VBROADCASTSS: case OP_VPBROADCASTD:
		size = 4;
		break;
	case OP_VBROADCASTSD: case OP_VPBROADCASTQ:
		size = 8;
		break;
	default:
		size = 16;
		break;
	}
	avx_begin(c);
	b.v = i->o[1].kind == OPD_XMM ? get_xmm(c, i->o[1].reg) : simd_load(c, i, size);
	for (unsigned n = 0; n < 16; n += size)
		memcpy(&r.b[n], &b, size);
	put_wide(c, i, i->o[0].reg, (union wide){ .v = { r.v, r.v } });
}

/* --- across the halves --------------------------------------------------------------------------------------- */

static void op_vextract128(struct cpu *c, const struct insn *i)
{
	v128 v;

	avx_begin(c);
	v = i->imm & 1 ? get_ymm_hi(c, i->o[1].reg) : get_xmm(c, i->o[1].reg);
	if (i->o[0].kind == OPD_MEM)
		simd_store(c, i, v, 16);
	else
		put_xmm(c, i, i->o[0].reg, v);
}

static void op_vinsert128(struct cpu *c, const struct insn *i)
{
	struct v256 r;
	v128 b;

	avx_begin(c);
	b = get_src(c, i, 2);
	r = get_ymm(c, i->o[1].reg);
	if (i->imm & 1)
		r.hi = b;
	else
		r.lo = b;
	put_ymm(c, i->o[0].reg, r);
}

static void op_vperm2x128(struct cpu *c, const struct insn *i)
{
	struct v256 a, b;
	v128 half[4];

	avx_begin(c);
	b = get_src256(c, i, 2);
	a = get_ymm(c, i->o[1].reg);
	memcpy(half, &a, 32);
	memcpy(half + 2, &b, 32);
	put_ymm(c, i->o[0].reg, (struct v256){
		i->imm & 0x08 ? V0 : half[i->imm & 3], i->imm & 0x80 ? V0 : half[i->imm >> 4 & 3]
	});
}

static void op_vpermd(struct cpu *c, const struct insn *i)
{
	union wide a, b, r;

	avx_begin(c);
	b.v = get_src256(c, i, 2);
	a.v = get_ymm(c, i->o[1].reg);
	for (unsigned n = 0; n < 8; n++)
		r.d[n] = b.d[a.d[n] & 7];
	put_ymm(c, i->o[0].reg, r.v);
}

static void op_vpermq(struct cpu *c, const struct insn *i)
{
	union wide b, r;

	avx_begin(c);
	b.v = get_src256(c, i, 1);
	for (unsigned n = 0; n < 4; n++)
		r.q[n] = b.q[i->imm >> 2 * n & 3];
	put_ymm(c, i->o[0].reg, r.v);
}

/* --- a shift count for each element -------------------------------------------------------------------------- */

static void op_shift_variable(struct cpu *c, const struct insn *i)
{
	union wide a, b, r = { .v = { V0, V0 } };

	avx_begin(c);
	b = get_wide(c, i, 2);
	a = get_wide(c, i, 1);
	for (unsigned n = 0; n < 8; n++) {
		switch ((int)i->op) {
		case OP_VPSLLVD:
			r.d[n] = b.d[n] < 32 ? a.d[n] << b.d[n] : 0;
			break;
		case OP_VPSRLVD:
			r.d[n] = b.d[n] < 32 ? a.d[n] >> b.d[n] : 0;
			break;
		case OP_VPSRAVD:
			r.d[n] = (uint32_t)((int32_t)a.d[n] >> MIN(b.d[n], 31u));
			break;
		case OP_VPSLLVQ:
			r.q[n & 3] = b.q[n & 3] < 64 ? a.q[n & 3] << b.q[n & 3] : 0;
			break;
		default:
			r.q[n & 3] = b.q[n & 3] < 64 ? a.q[n & 3] >> b.q[n & 3] : 0;
			break;
		}
	}
	put_wide(c, i, i->o[0].reg, r);
}

/* --- masked moves: elements whose mask bit (sign) is clear are not accessed ---------------------------------- */

static bool masked_in(const union wide *mask, unsigned size, unsigned n)
{
	return mask->b[n * size + size - 1] & 0x80;
}

/* Linear address of the element at this distance from the operand's start. */
static uint64_t element_address(struct cpu *c, const struct insn *i, uint64_t offset, unsigned size, bool write)
{
	if (i->addrsize == 4)
		offset = (uint32_t)offset;
	else if (i->addrsize == 2)
		offset = (uint16_t)offset;
	return linear_address(c, i->mem.seg, offset, size, write);
}

static void op_maskmov(struct cpu *c, const struct insn *i)
{
	unsigned size = i->op == OP_VMASKMOVPS || i->op == OP_VPMASKMOVD ? 4 : 8, total = i->vex_l ? 32 : 16;
	bool store = i->o[0].kind == OPD_MEM;
	union wide mask = { .v = { V0, V0 } }, r = { .v = { V0, V0 } };
	uint64_t start, address[8] = { 0 };

	avx_begin(c);
	mask.v = get_ymm(c, i->o[1].reg);
	start = effective_address(c, i);
	if (store)
		r.v = get_ymm(c, i->o[2].reg);
	for (unsigned n = 0; n < total / size; n++) {
		if (!masked_in(&mask, size, n))
			continue;
		address[n] = element_address(c, i, start + n * size, size, store);
		if (store)
			probe_write(c, address[n], size);
		else
			ld_bytes(c, address[n], &r.b[n * size], size);
	}
	if (!store) {
		put_wide(c, i, i->o[0].reg, r);
		return;
	}
	for (unsigned n = 0; n < total / size; n++)
		if (masked_in(&mask, size, n))
			st_bytes(c, address[n], &r.b[n * size], size);
}

/*
 * Elements arrive in order, and each clears its mask element: after a fault the instruction goes on where it stopped
 * (SDM volume 2, VGATHERDPS).
 */
static void op_gather(struct cpu *c, const struct insn *i)
{
	unsigned total = i->vex_l ? 32 : 16, dest = i->o[0].reg, mask_reg = i->o[2].reg, index_reg = i->mem.index;
	unsigned size, index_size, count;
	union wide index, mask, r;

	switch ((int)i->op) {
	case OP_VGATHERDPS: case OP_VPGATHERDD:
		size = index_size = 4;
		break;
	case OP_VGATHERDPD: case OP_VPGATHERDQ:
		size = 8;
		index_size = 4;
		break;
	case OP_VGATHERQPS: case OP_VPGATHERQD:
		size = 4;
		index_size = 8;
		break;
	default:
		size = index_size = 8;
		break;
	}
	count = total / MAX(size, index_size);
	avx_begin(c);
	if (dest == mask_reg || dest == index_reg || mask_reg == index_reg)
		fault_ud(c);
	index.v = get_ymm(c, index_reg);
	mask.v = get_ymm(c, mask_reg);
	for (unsigned n = 0; n < count; n++)            /* the sign is spread first, and seen by a fault handler */
		memset(&mask.b[n * size], masked_in(&mask, size, n) ? 0xff : 0, size);
	memset(&mask.b[count * size], 0, 32 - count * size);
	r.v = get_ymm(c, dest);
	memset(&r.b[count * size], 0, 32 - count * size);
	put_ymm(c, mask_reg, mask.v);
	for (unsigned n = 0; n < count; n++) {
		int64_t at = index_size == 4 ? (int32_t)index.d[n] : (int64_t)index.q[n];
		uint64_t base = i->mem.base == REG_NONE ? 0 : c->s.gpr[i->mem.base];

		if (masked_in(&mask, size, n)) {
			uint64_t offset = base + (uint64_t)at * i->mem.scale + (uint64_t)(int64_t)i->mem.disp;

			ld_bytes(c, element_address(c, i, offset, size, false), &r.b[n * size], size);
			put_ymm(c, dest, r.v);
		}
		memset(&mask.b[n * size], 0, size);
		put_ymm(c, mask_reg, mask.v);
	}
	put_ymm(c, dest, r.v);
}

const op_handler avx_ops[OP_COUNT] = {
	[OP_VZEROUPPER] = op_vzeroupper, [OP_VZEROALL] = op_vzeroall,
	[OP_VBROADCASTSS] = op_broadcast, [OP_VBROADCASTSD] = op_broadcast, [OP_VBROADCASTF128] = op_broadcast,
	[OP_VBROADCASTI128] = op_broadcast, [OP_VPBROADCASTB] = op_broadcast, [OP_VPBROADCASTW] = op_broadcast,
	[OP_VPBROADCASTD] = op_broadcast, [OP_VPBROADCASTQ] = op_broadcast,
	[OP_VEXTRACTF128] = op_vextract128, [OP_VEXTRACTI128] = op_vextract128,
	[OP_VINSERTF128] = op_vinsert128, [OP_VINSERTI128] = op_vinsert128,
	[OP_VPERM2F128] = op_vperm2x128, [OP_VPERM2I128] = op_vperm2x128,
	[OP_VPERMD] = op_vpermd, [OP_VPERMPS] = op_vpermd, [OP_VPERMQ] = op_vpermq, [OP_VPERMPD] = op_vpermq,
	[OP_VPSLLVD] = op_shift_variable, [OP_VPSRLVD] = op_shift_variable, [OP_VPSRAVD] = op_shift_variable,
	[OP_VPSLLVQ] = op_shift_variable, [OP_VPSRLVQ] = op_shift_variable,
	[OP_VMASKMOVPS] = op_maskmov, [OP_VMASKMOVPD] = op_maskmov, [OP_VPMASKMOVD] = op_maskmov,
	[OP_VPMASKMOVQ] = op_maskmov,
	[OP_VGATHERDPS] = op_gather, [OP_VGATHERDPD] = op_gather, [OP_VGATHERQPS] = op_gather,
	[OP_VGATHERQPD] = op_gather,
	[OP_VPGATHERDD] = op_gather, [OP_VPGATHERDQ] = op_gather, [OP_VPGATHERQD] = op_gather,
	[OP_VPGATHERQQ] = op_gather,
};
