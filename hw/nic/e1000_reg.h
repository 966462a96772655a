/* SPDX-License-Identifier: MIT */
/*
 * Registers of the 8254x, offsets and bits as in the Software Developer's Manual, chapter 13.  Private to the e1000 files.
 */
#ifndef HW_NIC_E1000_REG_H
#define HW_NIC_E1000_REG_H

enum {
	REG_CTRL = 0x0000, REG_STATUS = 0x0008, REG_EECD = 0x0010, REG_EERD = 0x0014, REG_CTRL_EXT = 0x0018, REG_MDIC = 0x0020,
	REG_FCAL = 0x0028, REG_FCAH = 0x002c, REG_FCT = 0x0030, REG_VET = 0x0038,
	REG_ICR = 0x00c0 /* RC */, REG_ITR = 0x00c4, REG_ICS = 0x00c8 /* WO */, REG_IMS = 0x00d0, REG_IMC = 0x00d8 /* WO */,
	REG_RCTL = 0x0100, REG_FCTTV = 0x0170, REG_TXCW = 0x0178, REG_RXCW = 0x0180, REG_TCTL = 0x0400, REG_TIPG = 0x0410,
	REG_AIT = 0x0458, REG_LEDCTL = 0x0e00, REG_PBA = 0x1000, REG_FCRTL = 0x2160, REG_FCRTH = 0x2168,
	REG_RDBAL = 0x2800, REG_RDBAH = 0x2804, REG_RDLEN = 0x2808, REG_RDH = 0x2810, REG_RDT = 0x2818, REG_RDTR = 0x2820,
	REG_RXDCTL = 0x2828, REG_RADV = 0x282c, REG_RSRPD = 0x2c00,
	REG_TDBAL = 0x3800, REG_TDBAH = 0x3804, REG_TDLEN = 0x3808, REG_TDH = 0x3810, REG_TDT = 0x3818, REG_TIDV = 0x3820,
	REG_TXDCTL = 0x3828, REG_TADV = 0x382c, REG_TSPMT = 0x3830,
	/* statistics, all RC */
	REG_CRCERRS = 0x4000, REG_MPC = 0x4010, REG_PRC64 = 0x405c, REG_GPRC = 0x4074, REG_BPRC = 0x4078, REG_MPRC = 0x407c,
	REG_GPTC = 0x4080, REG_GORCL = 0x4088, REG_GORCH = 0x408c, REG_GOTCL = 0x4090, REG_GOTCH = 0x4094, REG_RNBC = 0x40a0,
	REG_RUC = 0x40a4, REG_ROC = 0x40ac, REG_TORL = 0x40c0, REG_TORH = 0x40c4, REG_TOTL = 0x40c8, REG_TOTH = 0x40cc,
	REG_TPR = 0x40d0, REG_TPT = 0x40d4, REG_PTC64 = 0x40d8, REG_MPTC = 0x40f0, REG_BPTC = 0x40f4, REG_TSCTC = 0x40f8,
	REG_TSCTFC = 0x40fc, REG_STATS_END = 0x4100,
	REG_RXCSUM = 0x5000, REG_MTA = 0x5200, REG_RA = 0x5400, REG_VFTA = 0x5600, REG_WUC = 0x5800, REG_WUFC = 0x5808,
	REG_WUS = 0x5810, REG_MANC = 0x5820, REG_IPAV = 0x5838, REG_IP4AT = 0x5840, REG_IP6AT = 0x5880, REG_WUPL = 0x5900,
	REG_FFLT = 0x5f00, REG_FFMT = 0x9000, REG_FFVT = 0x9800,
	REG_PBM = 0x10000 /* packet buffer memory, 64 KB */, REG_END = 0x20000,

	MTA_COUNT = 128, RA_COUNT = 16, VFTA_COUNT = 128,
};

enum {
	CTRL_FD = 1 << 0, CTRL_LRST = 1 << 3, CTRL_ASDE = 1 << 5, CTRL_SLU = 1 << 6, CTRL_SPEED_1000 = 2 << 8,
	CTRL_RST = 1 << 26, CTRL_VME = 1 << 30,
	STATUS_FD = 1 << 0, STATUS_LU = 1 << 1, STATUS_SPEED_1000 = 2 << 6, STATUS_ASDV_1000 = 2 << 8,
	EECD_SK = 1 << 0, EECD_CS = 1 << 1, EECD_DI = 1 << 2, EECD_DO = 1 << 3, EECD_REQ = 1 << 6, EECD_GNT = 1 << 7,
	EECD_PRES = 1 << 8,
	EERD_START = 1 << 0, EERD_DONE = 1 << 4,
	CTRL_EXT_ASDCHK = 1 << 12, CTRL_EXT_EE_RST = 1 << 13,
	MDIC_OP_WRITE = 1 << 26, MDIC_OP_READ = 2 << 26, MDIC_R = 1 << 28, MDIC_I = 1 << 29, MDIC_E = 1 << 30,
};

enum {                                  /* ICR, ICS, IMS, IMC */
	INT_TXDW = 1 << 0, INT_TXQE = 1 << 1, INT_LSC = 1 << 2, INT_RXSEQ = 1 << 3, INT_RXDMT0 = 1 << 4, INT_RXO = 1 << 6,
	INT_RXT0 = 1 << 7, INT_MDAC = 1 << 9, INT_TXD_LOW = 1 << 15, INT_SRPD = 1 << 16,
	INT_ALL = 0x1ffff,
};

enum {
	RCTL_EN = 1 << 1, RCTL_SBP = 1 << 2, RCTL_UPE = 1 << 3, RCTL_MPE = 1 << 4, RCTL_LPE = 1 << 5, RCTL_LBM = 3 << 6,
	RCTL_RDMTS = 3 << 8, RCTL_MO = 3 << 12, RCTL_BAM = 1 << 15, RCTL_BSIZE = 3 << 16, RCTL_VFE = 1 << 18, RCTL_CFIEN = 1 << 19,
	RCTL_CFI = 1 << 20, RCTL_BSEX = 1 << 25, RCTL_SECRC = 1 << 26,
	TCTL_EN = 1 << 1, TCTL_PSP = 1 << 3,
	RXCSUM_IPOFL = 1 << 8, RXCSUM_TUOFL = 1 << 9,
	MANC_ARP_EN = 1 << 13,
};
#define RAH_AV (1u << 31)

enum {                                  /* receive descriptors, 3.2.3 */
	RXD_DD = 1 << 0, RXD_EOP = 1 << 1, RXD_IXSM = 1 << 2, RXD_VP = 1 << 3, RXD_TCPCS = 1 << 5, RXD_IPCS = 1 << 6,
	RXD_PIF = 1 << 7,
};

enum {                                  /* transmit descriptors, 3.3: DCMD (bits 31:24 of the second dword), STA */
	TXD_EOP = 1 << 24, TXD_IFCS = 1 << 25, TXD_IC = 1 << 26, TXD_TSE = 1 << 26, TXD_RS = 1 << 27, TXD_RPS = 1 << 28,
	TXD_DEXT = 1 << 29, TXD_VLE = 1 << 30,
	TXD_DTYP = 15 << 20, TXD_DTYP_DATA = 1 << 20,
	TXD_STA_DD = 1 << 0,
	TXD_POPTS_IXSM = 1 << 8, TXD_POPTS_TXSM = 1 << 9,       /* of the fourth dword */
	TUCMD_TCP = 1 << 24, TUCMD_IP = 1 << 25, TUCMD_TSE = 1 << 26,   /* context descriptor, third dword */
};
#define TXD_IDE (1u << 31)

enum {                                  /* PHY, M88E1000 */
	PHY_CTRL = 0, PHY_STATUS = 1, PHY_ID1 = 2, PHY_ID2 = 3, PHY_AN_ADV = 4, PHY_LP_ABILITY = 5, PHY_AN_EXP = 6, PHY_GCON = 9,
	PHY_GSTATUS = 10, PHY_EXT_STATUS = 15, PHY_PSCON = 16, PHY_PSSTAT = 17, PHY_INTE = 18, PHY_INTS = 19, PHY_EPSCON = 20,
	PHY_RXERR = 21, PHY_COUNT = 32,
	PHY_CTRL_RESET = 0x8000, PHY_CTRL_LOOPBACK = 0x4000, PHY_CTRL_AN = 0x1000, PHY_CTRL_RESTART_AN = 0x0200,
	PHY_STATUS_AN_DONE = 0x0020, PHY_STATUS_LINK = 0x0004,
	PHY_PSSTAT_SPEED_1000 = 0x8000, PHY_PSSTAT_DUPLEX = 0x2000, PHY_PSSTAT_RESOLVED = 0x0800, PHY_PSSTAT_LINK = 0x0400,
};

#endif
