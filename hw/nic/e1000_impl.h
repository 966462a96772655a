/* SPDX-License-Identifier: MIT */
/* What the e1000 files share: e1000.c (registers, interrupts, EEPROM, PHY), e1000_tx.c and e1000_rx.c. */
#ifndef HW_NIC_E1000_IMPL_H
#define HW_NIC_E1000_IMPL_H

#include "base/clock.h"
#include "hw/nic/e1000.h"
#include "hw/nic/e1000_reg.h"
#include "hw/nic/eeprom93.h"
#include "hw/pci.h"

enum {
	REG_PLAIN = 0xa000,             /* bytes of registers before the packet buffer memory */
	TX_BATCH = 32,                  /* frames handed over at once */
	TX_PIECES = 512,                /* scatter pieces of one batch */
	TX_HEAD_MAX = 256,              /* bytes of a frame that the card itself may change: the headers */
	TX_FRAME_MAX = 65535 + 18,      /* bytes of a frame with TSO: an IP datagram, Ethernet header, tag */
	RX_FRAME_MAX = 16384,           /* longest frame the chip takes, without FCS (8254x: 16384 with it) */
};

/* The context that data descriptors refer to (3.3.6): one for TSO, one for the rest. */
struct e1000_context {
	uint8_t ipcss, ipcso, tucss, tucso;
	uint16_t ipcse, tucse;
	uint32_t paylen;
	uint16_t mss;
	uint8_t hdrlen;
	bool tcp, ip4;
};

struct e1000 {
	struct e1000_config cfg;
	struct pci_device *pci;
	struct port port;
	struct timer timer;             /* the earliest of the deadlines below */
	struct bell tx_bell;            /* TDT was written */
	struct bell rx_bell;            /* RDT was written */
	uint32_t epoch;                 /* counts resets: what was in flight across a call out is void if it moved */
	bool tx_waits;                  /* the far end is full */
	bool rx_waits;                  /* the far end holds frames for us */
	bool intx;                      /* level of the pin */

	struct e1000_state {            /* what reset restores: plain data */
		uint32_t reg[REG_PLAIN / 4];    /* by offset / 4 */
		uint32_t pbm[(REG_END - REG_PBM) / 4];
		uint16_t phy[PHY_COUNT];
		struct eeprom93 eeprom;
		struct e1000_context context, tso_context;
		uint32_t io_address;            /* IOADDR of the I/O BAR */
		uint64_t irq_due, rx_due, rx_abs, tx_due, tx_abs, link_due;     /* CLOCK_NEVER: none */
		uint64_t irq_next;              /* ITR: no interrupt before this */
		bool link;                      /* the PHY sees a partner */
	} st;

	/* work space of one batch; means nothing between calls */
	struct iovec pieces[TX_PIECES];
	uint8_t heads[TX_BATCH][TX_HEAD_MAX + 4];
	uint8_t bounce[TX_FRAME_MAX + 1];
};

#define R(s, name) ((s)->st.reg[REG_##name / 4])

/* e1000.c */
void e1000_raise(struct e1000 *s, uint32_t causes);     /* set bits in ICR, decide the pin */
void e1000_tx_done_later(struct e1000 *s);              /* TXDW by TIDV and TADV */
void e1000_rx_done(struct e1000 *s);                    /* RXT0 by RDTR and RADV */
/* Add to a counter that sticks at all ones, and to a 64-bit pair of them. */
void e1000_count(struct e1000 *s, unsigned reg, uint32_t n);
void e1000_count64(struct e1000 *s, unsigned reg_low, uint64_t n);
void e1000_count_size(struct e1000 *s, unsigned reg_64, uint32_t len_with_fcs);
bool e1000_link_up(const struct e1000 *s);

/* e1000_tx.c */
void e1000_transmit(void *owner);                       /* answer of tx_bell */
void e1000_transmit_ready(void *owner);                 /* port_ops.ready */
/* e1000_rx.c */
size_t e1000_receive(void *owner, const struct frame *frames, size_t n);        /* port_ops.receive */
void e1000_receive_again(void *owner);                  /* answer of rx_bell */

#endif
