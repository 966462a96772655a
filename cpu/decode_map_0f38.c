/* SPDX-License-Identifier: MIT */
/*
 * The three-byte opcode maps, 0F 38 xx and 0F 3A xx, and their VEX forms (SDM volume 2, appendix A, tables A-4 and
 * Slots that are not named are #UD: among them VMX, GFNI, AVX-512, AVX-VNNI.
 */
#include "cpu/decode_table.h"

#define MMX_SSE(name) PFX_(F(name, Pq, Rep, Qq), FA(name, V2, Vx, Hx, Wx))
#define MMX_SSE_1(name) PFX_(F(name, Pq, Qq), FA(name, V2, Vx, Wx))
#define SSE(name) PFX_(U, FA(name, V2, Vx, Hx, Wx))
#define SSE128(name) PFX_(U, FA(name, V | L0, Vdq, Hdq, Wdq))
#define ONLY66(form) PFX_(U, form)
/* A fused multiply-add: packed, scalar; W chooses single or double. */
#define FMA_P(name) ONLY66(W_(FA(name##PS, VONLY, Vx, Hx, Wx), FA(name##PD, VONLY, Vx, Hx, Wx)))
#define FMA_S(name) ONLY66(W_(FA(name##SS, VONLY, Vdq, Hdq, Wd), FA(name##SD, VONLY, Vdq, Hdq, Wq)))
#define FMA(base, order) \
	[(base) + 0x6] = FMA_P(VFMADDSUB##order), [(base) + 0x7] = FMA_P(VFMSUBADD##order), \
	[(base) + 0x8] = FMA_P(VFMADD##order), [(base) + 0x9] = FMA_S(VFMADD##order), \
	[(base) + 0xa] = FMA_P(VFMSUB##order), [(base) + 0xb] = FMA_S(VFMSUB##order), \
	[(base) + 0xc] = FMA_P(VFNMADD##order), [(base) + 0xd] = FMA_S(VFNMADD##order), \
	[(base) + 0xe] = FMA_P(VFNMSUB##order), [(base) + 0xf] = FMA_S(VFNMSUB##order)

const struct form decode_map_0f38[256] = {
	[0x00] = MMX_SSE(PSHUFB), [0x01] = MMX_SSE(PHADDW), [0x02] = MMX_SSE(PHADDD), [0x03] = MMX_SSE(PHADDSW),
	[0x04] = MMX_SSE(PMADDUBSW), [0x05] = MMX_SSE(PHSUBW), [0x06] = MMX_SSE(PHSUBD), [0x07] = MMX_SSE(PHSUBSW),
	[0x08] = MMX_SSE(PSIGNB), [0x09] = MMX_SSE(PSIGNW), [0x0a] = MMX_SSE(PSIGND), [0x0b] = MMX_SSE(PMULHRSW),
	[0x0c] = ONLY66(FA(VPERMILPS, VONLY | W0, Vx, Hx, Wx)), [0x0d] = ONLY66(FA(VPERMILPD, VONLY | W0, Vx, Hx, Wx)),
	[0x0e] = ONLY66(FA(VTESTPS, VONLY | W0, Vx, Wx)), [0x0f] = ONLY66(FA(VTESTPD, VONLY | W0, Vx, Wx)),
	[0x10] = ONLY66(F(PBLENDVB, Vdq, Rep, Wdq, XMM0)), [0x13] = ONLY66(FA(VCVTPH2PS, VONLY | W0, Vx, Wxh)),
	[0x14] = ONLY66(F(BLENDVPS, Vdq, Rep, Wdq, XMM0)), [0x15] = ONLY66(F(BLENDVPD, Vdq, Rep, Wdq, XMM0)),
	[0x16] = ONLY66(FA(VPERMPS, VONLY | W0 | L1, Vqq, Hqq, Wqq)), [0x17] = ONLY66(FA(PTEST, V, Vx, Wx)),
	[0x18] = ONLY66(FA(VBROADCASTSS, VONLY | W0, Vx, Wd)),
	[0x19] = ONLY66(FA(VBROADCASTSD, VONLY | W0 | L1, Vqq, Wq)),
	[0x1a] = ONLY66(FA(VBROADCASTF128, VONLY | W0 | L1, Vqq, Mdq)),
	[0x1c] = MMX_SSE_1(PABSB), [0x1d] = MMX_SSE_1(PABSW), [0x1e] = MMX_SSE_1(PABSD),
	[0x20] = ONLY66(FA(PMOVSXBW, V2, Vx, Wxh)), [0x21] = ONLY66(FA(PMOVSXBD, V2, Vx, Wxq)),
	[0x22] = ONLY66(FA(PMOVSXBQ, V2, Vx, Wxe)), [0x23] = ONLY66(FA(PMOVSXWD, V2, Vx, Wxh)),
	[0x24] = ONLY66(FA(PMOVSXWQ, V2, Vx, Wxq)), [0x25] = ONLY66(FA(PMOVSXDQ, V2, Vx, Wxh)),
	[0x28] = SSE(PMULDQ), [0x29] = SSE(PCMPEQQ), [0x2a] = ONLY66(FA(MOVNTDQA, V2, Vx, Mx)), [0x2b] = SSE(PACKUSDW),
	[0x2c] = ONLY66(FA(VMASKMOVPS, VONLY | W0, Vx, Hx, Mx)),
	[0x2d] = ONLY66(FA(VMASKMOVPD, VONLY | W0, Vx, Hx, Mx)),
	[0x2e] = ONLY66(FA(VMASKMOVPS, VONLY | W0, Mx, Hx, Vx)),
	[0x2f] = ONLY66(FA(VMASKMOVPD, VONLY | W0, Mx, Hx, Vx)),
	[0x30] = ONLY66(FA(PMOVZXBW, V2, Vx, Wxh)), [0x31] = ONLY66(FA(PMOVZXBD, V2, Vx, Wxq)),
	[0x32] = ONLY66(FA(PMOVZXBQ, V2, Vx, Wxe)), [0x33] = ONLY66(FA(PMOVZXWD, V2, Vx, Wxh)),
	[0x34] = ONLY66(FA(PMOVZXWQ, V2, Vx, Wxq)), [0x35] = ONLY66(FA(PMOVZXDQ, V2, Vx, Wxh)),
	[0x36] = ONLY66(FA(VPERMD, VONLY | W0 | L1, Vqq, Hqq, Wqq)), [0x37] = SSE(PCMPGTQ),
	[0x38] = SSE(PMINSB), [0x39] = SSE(PMINSD), [0x3a] = SSE(PMINUW), [0x3b] = SSE(PMINUD),
	[0x3c] = SSE(PMAXSB), [0x3d] = SSE(PMAXSD), [0x3e] = SSE(PMAXUW), [0x3f] = SSE(PMAXUD),
	[0x40] = SSE(PMULLD), [0x41] = ONLY66(FA(PHMINPOSUW, V | L0, Vdq, Wdq)),
	[0x45] = ONLY66(W_(FA(VPSRLVD, VONLY, Vx, Hx, Wx), FA(VPSRLVQ, VONLY, Vx, Hx, Wx))),
	[0x46] = ONLY66(FA(VPSRAVD, VONLY | W0, Vx, Hx, Wx)),
	[0x47] = ONLY66(W_(FA(VPSLLVD, VONLY, Vx, Hx, Wx), FA(VPSLLVQ, VONLY, Vx, Hx, Wx))),
	[0x58] = ONLY66(FA(VPBROADCASTD, VONLY | W0, Vx, Wd)), [0x59] = ONLY66(FA(VPBROADCASTQ, VONLY | W0, Vx, Wq)),
	[0x5a] = ONLY66(FA(VBROADCASTI128, VONLY | W0 | L1, Vqq, Mdq)),
	[0x78] = ONLY66(FA(VPBROADCASTB, VONLY | W0, Vx, Wb)), [0x79] = ONLY66(FA(VPBROADCASTW, VONLY | W0, Vx, Ww)),
	[0x82] = ONLY66(F(INVPCID, Gn, Mdq)),
	[0x8c] = ONLY66(W_(FA(VPMASKMOVD, VONLY, Vx, Hx, Mx), FA(VPMASKMOVQ, VONLY, Vx, Hx, Mx))),
	[0x8e] = ONLY66(W_(FA(VPMASKMOVD, VONLY, Mx, Hx, Vx), FA(VPMASKMOVQ, VONLY, Mx, Hx, Vx))),
	[0x90] = ONLY66(W_(FA(VPGATHERDD, VONLY, Vx, VMxd, Hx), FA(VPGATHERDQ, VONLY, Vx, VMdqq, Hx))),
	[0x91] = ONLY66(W_(FA(VPGATHERQD, VONLY, Vdq, VMxd, Hdq), FA(VPGATHERQQ, VONLY, Vx, VMxq, Hx))),
	[0x92] = ONLY66(W_(FA(VGATHERDPS, VONLY, Vx, VMxd, Hx), FA(VGATHERDPD, VONLY, Vx, VMdqq, Hx))),
	[0x93] = ONLY66(W_(FA(VGATHERQPS, VONLY, Vdq, VMxd, Hdq), FA(VGATHERQPD, VONLY, Vx, VMxq, Hx))),
	FMA(0x90, 132), FMA(0xa0, 213), FMA(0xb0, 231),
	[0xc8] = FA(SHA1NEXTE, NOPFX, Vdq, Rep, Wdq), [0xc9] = FA(SHA1MSG1, NOPFX, Vdq, Rep, Wdq),
	[0xca] = FA(SHA1MSG2, NOPFX, Vdq, Rep, Wdq), [0xcb] = FA(SHA256RNDS2, NOPFX, Vdq, Rep, Wdq, XMM0),
	[0xcc] = FA(SHA256MSG1, NOPFX, Vdq, Rep, Wdq), [0xcd] = FA(SHA256MSG2, NOPFX, Vdq, Rep, Wdq),
	[0xdb] = ONLY66(FA(AESIMC, V | L0, Vdq, Wdq)), [0xdc] = SSE128(AESENC), [0xdd] = SSE128(AESENCLAST),
	[0xde] = SSE128(AESDEC), [0xdf] = SSE128(AESDECLAST),
	[0xf0] = REP_(F(MOVBE, Gv, Mv), U, F(CRC32, Gy, Eb)), [0xf1] = REP_(F(MOVBE, Mv, Gv), U, F(CRC32, Gy, Ev)),
	[0xf2] = PFX_(FA(ANDN, VONLY | L0, Gy, By, Ey)),
	[0xf3] = REG_(U, PFX_(FA(BLSR, VONLY | L0, By, Ey)), PFX_(FA(BLSMSK, VONLY | L0, By, Ey)),
		      PFX_(FA(BLSI, VONLY | L0, By, Ey))),
	[0xf5] = PFX_(FA(BZHI, VONLY | L0, Gy, Ey, By), U, FA(PEXT, VONLY | L0, Gy, By, Ey),
		      FA(PDEP, VONLY | L0, Gy, By, Ey)),
	[0xf6] = PFX_(U, F(ADCX, Gy, Ey), F(ADOX, Gy, Ey), FA(MULX, VONLY | L0, Gy, By, Ey)),
	[0xf7] = PFX_(FA(BEXTR, VONLY | L0, Gy, Ey, By), FA(SHLX, VONLY | L0, Gy, Ey, By),
		      FA(SARX, VONLY | L0, Gy, Ey, By), FA(SHRX, VONLY | L0, Gy, Ey, By)),
};

const struct form decode_map_0f3a[256] = {
	[0x00] = ONLY66(FA(VPERMQ, VONLY | W1 | L1, Vqq, Wqq, Ib)),
	[0x01] = ONLY66(FA(VPERMPD, VONLY | W1 | L1, Vqq, Wqq, Ib)),
	[0x02] = ONLY66(FA(VPBLENDD, VONLY | W0, Vx, Hx, Wx, Ib)),
	[0x04] = ONLY66(FA(VPERMILPS, VONLY | W0, Vx, Wx, Ib)), [0x05] = ONLY66(FA(VPERMILPD, VONLY | W0, Vx, Wx, Ib)),
	[0x06] = ONLY66(FA(VPERM2F128, VONLY | W0 | L1, Vqq, Hqq, Wqq, Ib)),
	[0x08] = ONLY66(FA(ROUNDPS, V, Vx, Wx, Ib)), [0x09] = ONLY66(FA(ROUNDPD, V, Vx, Wx, Ib)),
	[0x0a] = ONLY66(FA(ROUNDSS, V, Vdq, Hdq, Wd, Ib)), [0x0b] = ONLY66(FA(ROUNDSD, V, Vdq, Hdq, Wq, Ib)),
	[0x0c] = ONLY66(FA(BLENDPS, V, Vx, Hx, Wx, Ib)), [0x0d] = ONLY66(FA(BLENDPD, V, Vx, Hx, Wx, Ib)),
	[0x0e] = ONLY66(FA(PBLENDW, V2, Vx, Hx, Wx, Ib)),
	[0x0f] = PFX_(F(PALIGNR, Pq, Rep, Qq, Ib), FA(PALIGNR, V2, Vx, Hx, Wx, Ib)),
	[0x14] = ONLY66(FA(PEXTRB, V | L0, EdMb, Vdq, Ib)), [0x15] = ONLY66(FA(PEXTRW, V | L0, EdMw, Vdq, Ib)),
	[0x16] = ONLY66(W64_(FA(PEXTRD, V | L0, Ed, Vdq, Ib), FA(PEXTRQ, V | L0, Eq, Vdq, Ib))),
	[0x17] = ONLY66(FA(EXTRACTPS, V | L0, Ed, Vdq, Ib)),
	[0x18] = ONLY66(FA(VINSERTF128, VONLY | W0 | L1, Vqq, Hqq, Wdq, Ib)),
	[0x19] = ONLY66(FA(VEXTRACTF128, VONLY | W0 | L1, Wdq, Vqq, Ib)),
	[0x1d] = ONLY66(FA(VCVTPS2PH, VONLY | W0, Wxh, Vx, Ib)),
	[0x20] = ONLY66(FA(PINSRB, V | L0, Vdq, Hdq, EdMb, Ib)),
	[0x21] = ONLY66(FA(INSERTPS, V | L0, Vdq, Hdq, Wd, Ib)),
	[0x22] = ONLY66(W64_(FA(PINSRD, V | L0, Vdq, Hdq, Ed, Ib), FA(PINSRQ, V | L0, Vdq, Hdq, Eq, Ib))),
	[0x38] = ONLY66(FA(VINSERTI128, VONLY | W0 | L1, Vqq, Hqq, Wdq, Ib)),
	[0x39] = ONLY66(FA(VEXTRACTI128, VONLY | W0 | L1, Wdq, Vqq, Ib)),
	[0x40] = ONLY66(FA(DPPS, V, Vx, Hx, Wx, Ib)), [0x41] = ONLY66(FA(DPPD, V | L0, Vdq, Hdq, Wdq, Ib)),
	[0x42] = ONLY66(FA(MPSADBW, V2, Vx, Hx, Wx, Ib)), [0x44] = ONLY66(FA(PCLMULQDQ, V | L0, Vdq, Hdq, Wdq, Ib)),
	[0x46] = ONLY66(FA(VPERM2I128, VONLY | W0 | L1, Vqq, Hqq, Wqq, Ib)),
	[0x4a] = ONLY66(FA(BLENDVPS, VONLY | W0, Vx, Hx, Wx, Lx)),
	[0x4b] = ONLY66(FA(BLENDVPD, VONLY | W0, Vx, Hx, Wx, Lx)),
	[0x4c] = ONLY66(FA(PBLENDVB, VONLY | W0 | INT256, Vx, Hx, Wx, Lx)),
	[0x60] = ONLY66(FA(PCMPESTRM, V | L0, Vdq, Wdq, Ib)), [0x61] = ONLY66(FA(PCMPESTRI, V | L0, Vdq, Wdq, Ib)),
	[0x62] = ONLY66(FA(PCMPISTRM, V | L0, Vdq, Wdq, Ib)), [0x63] = ONLY66(FA(PCMPISTRI, V | L0, Vdq, Wdq, Ib)),
	[0xcc] = FA(SHA1RNDS4, NOPFX, Vdq, Rep, Wdq, Ib),
	[0xdf] = ONLY66(FA(AESKEYGENASSIST, V | L0, Vdq, Wdq, Ib)),
	[0xf0] = PFX_(U, U, U, FA(RORX, VONLY | L0, Gy, Ey, Ib)),
};
