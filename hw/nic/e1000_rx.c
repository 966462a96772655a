/* SPDX-License-Identifier: MIT */
/*
 * Reception (8254x SDM 3.2, 10): filters, then the ring from RDH to RDT.  A frame may take several descriptors; it waits with the
 * sender until there are enough.  A batch of frames ends in one interrupt decision.
 */
#include "hw/nic/e1000_impl.h"

#include "base/bytes.h"
#include "base/log.h"
#include "net/eth.h"

static uint32_t ring_size(const struct e1000 *s)
{
	return R(s, RDLEN) / 16;
}

static uint64_t ring_address(const struct e1000 *s, uint32_t index)
{
	return ((uint64_t)R(s, RDBAH) << 32 | R(s, RDBAL)) + 16 * (uint64_t)index;
}

static uint32_t buffer_size(const struct e1000 *s)
{
	uint32_t size = 2048u >> (R(s, RCTL) >> 16 & 3);

	return R(s, RCTL) & RCTL_BSEX ? size * 16 : size;
}

static uint32_t free_descriptors(const struct e1000 *s)
{
	uint32_t size = ring_size(s), head = R(s, RDH), tail = __atomic_load_n(&R(s, RDT), __ATOMIC_ACQUIRE);

	if (head >= size || tail >= size)
		return 0;
	return (tail + size - head) % size;
}

/* 12 bits of the address, chosen by RCTL.MO, index the multicast table (13.5.1). */
static bool in_multicast_table(const struct e1000 *s, const uint8_t *mac)
{
	static const uint8_t shift[4] = { 4, 3, 2, 0 };
	uint32_t bits = ((uint32_t)mac[5] << 8 | mac[4]) >> shift[R(s, RCTL) >> 12 & 3] & 0xfff;

	return s->st.reg[REG_MTA / 4 + (bits >> 5)] >> (bits & 31) & 1;
}

static bool is_own_address(const struct e1000 *s, const uint8_t *mac)
{
	for (int i = 0; i < RA_COUNT; i++) {
		uint32_t low = s->st.reg[REG_RA / 4 + 2 * i], high = s->st.reg[REG_RA / 4 + 2 * i + 1];

		if ((high & RAH_AV) && le32(mac) == low && le16(mac + 4) == (uint16_t)high)
			return true;
	}
	return false;
}

/* `exact`: the address matched a receive address or the frame came in promiscuously (PIF off). */
static bool wanted(const struct e1000 *s, const uint8_t *head, bool *inexact)
{
	uint32_t rctl = R(s, RCTL), tag;

	*inexact = false;
	if ((rctl & RCTL_VFE) && be16(head + ETH_TYPE) == (uint16_t)R(s, VET)) {
		tag = be16(head + ETH_TYPE + 2);
		if (!(s->st.reg[REG_VFTA / 4 + (tag >> 5 & 0x7f)] >> (tag & 31) & 1))
			return false;
	}
	if (is_own_address(s, head))
		return true;
	if (eth_is_broadcast(head))
		return rctl & (RCTL_BAM | RCTL_MPE | RCTL_UPE);
	if (eth_is_multicast(head)) {
		if (rctl & RCTL_MPE)
			return true;
		*inexact = true;
		return in_multicast_table(s, head);
	}
	return rctl & RCTL_UPE;
}

/* Checksum status for a frame whose sums are known to be right; else IXSM: not looked at. */
static uint8_t checksum_status(const struct e1000 *s, const struct frame *f, const uint8_t *head, uint32_t len)
{
	uint32_t ip = ETH_HLEN;
	uint8_t status = 0;

	if (!f->csum_valid || len < ETH_HLEN + IP4_HLEN || be16(head + ETH_TYPE) != ETHERTYPE_IP4)
		return RXD_IXSM;
	if (be16(head + ip + IP4_FRAG) & (IP4_MF | IP4_OFFSET))
		return RXD_IXSM;
	if (R(s, RXCSUM) & RXCSUM_IPOFL)
		status |= RXD_IPCS;
	if ((R(s, RXCSUM) & RXCSUM_TUOFL) &&
	    (head[ip + IP4_PROTO] == IPPROTO_ID_TCP || head[ip + IP4_PROTO] == IPPROTO_ID_UDP))
		status |= RXD_TCPCS;
	return status ? status : RXD_IXSM;
}

/* Put `len` bytes of the frame, from `offset` on, into the buffer at gpa; past its end the FCS and padding are zero. */
static void store(struct e1000 *s, const struct frame *f, uint32_t offset, uint64_t gpa, uint32_t len)
{
	static const uint8_t zeros[FRAME_MIN + 4];

	for (uint32_t i = 0; i < f->iov_count && len > 0; i++) {
		uint32_t n = (uint32_t)f->iov[i].iov_len;

		if (offset >= n) {
			offset -= n;
			continue;
		}
		n = MIN(n - offset, len);
		pci_dma_write(s->pci, gpa, (const uint8_t *)f->iov[i].iov_base + offset, n);
		gpa += n;
		len -= n;
		offset = 0;
	}
	if (len > 0)
		pci_dma_write(s->pci, gpa, zeros, MIN(len, (uint32_t)sizeof(zeros)));
}

static void count(struct e1000 *s, const uint8_t *head, uint32_t len_with_fcs)
{
	e1000_count(s, REG_TPR, 1);
	e1000_count(s, REG_GPRC, 1);
	e1000_count64(s, REG_TORL, len_with_fcs);
	e1000_count64(s, REG_GORCL, len_with_fcs);
	e1000_count_size(s, REG_PRC64, len_with_fcs);
	if (eth_is_broadcast(head))
		e1000_count(s, REG_BPRC, 1);
	else if (eth_is_multicast(head))
		e1000_count(s, REG_MPRC, 1);
}

enum outcome { TAKEN, REFUSED, NO_ROOM };

static enum outcome receive_one(struct e1000 *s, const struct frame *f)
{
	uint8_t head[ETH_HLEN + ETH_VLAN_LEN + IP4_HLEN] = { 0 }, untagged[12];
	uint32_t rctl = R(s, RCTL), len = MAX(f->len, (uint32_t)FRAME_MIN), fcs = rctl & RCTL_SECRC ? 0 : 4;
	uint32_t size = ring_size(s), buffer = buffer_size(s), total, offset = 0, needed;
	uint16_t special = 0;
	bool inexact, strip = false;
	uint8_t status;
	struct iovec iov[FRAME_IOV_MAX + 1];
	struct frame stripped = *f;

	frame_copy(f, 0, head, sizeof(head));
	if (!wanted(s, head, &inexact))
		return REFUSED;
	if (f->len > RX_FRAME_MAX - 4 || (f->len > 1518 + ETH_VLAN_LEN - 4 && !(rctl & RCTL_LPE))) {
		e1000_count(s, REG_ROC, 1);
		return REFUSED;
	}
	if ((R(s, CTRL) & CTRL_VME) && be16(head + ETH_TYPE) == (uint16_t)R(s, VET) && f->len >= ETH_HLEN + ETH_VLAN_LEN) {
		/* strip: the addresses from a copy, the rest from behind the tag (9.1) */
		size_t skip = ETH_TYPE + ETH_VLAN_LEN, k = 0;
		uint32_t i;

		strip = true;
		special = be16(head + ETH_TYPE + 2);
		memcpy(untagged, head, sizeof(untagged));
		iov[k++] = (struct iovec){ untagged, sizeof(untagged) };
		for (i = 0; i < f->iov_count; i++) {
			size_t n = f->iov[i].iov_len;

			if (skip >= n) {
				skip -= n;
				continue;
			}
			iov[k++] = (struct iovec){ (uint8_t *)f->iov[i].iov_base + skip, n - skip };
			skip = 0;
		}
		stripped.iov = iov;
		stripped.iov_count = (uint32_t)k;
		stripped.len = f->len - ETH_VLAN_LEN;
		frame_copy(&stripped, 0, head, sizeof(head));
		len = MAX(stripped.len, (uint32_t)FRAME_MIN);
	}
	total = len + fcs;
	needed = (total + buffer - 1) / buffer;
	if (needed > free_descriptors(s))
		return NO_ROOM;
	status = RXD_DD | (strip ? RXD_VP : 0) | (inexact ? RXD_PIF : 0) | checksum_status(s, f, head, stripped.len);
	for (uint32_t i = 0; i < needed; i++) {
		uint32_t n = MIN(total - offset, buffer);
		uint8_t d[16];

		pci_dma_read(s->pci, ring_address(s, R(s, RDH)), d, sizeof(d));
		if (le64(d))                    /* a null address: the descriptor is used, the bytes go nowhere (3.2.3) */
			store(s, &stripped, offset, le64(d), n);
		offset += n;
		put_le16(d + 8, (uint16_t)n);
		put_le16(d + 10, 0);
		d[12] = status | (offset == total ? RXD_EOP : 0);
		d[13] = 0;
		put_le16(d + 14, special);
		pci_dma_write(s->pci, ring_address(s, R(s, RDH)) + 8, d + 8, 8);
		R(s, RDH) = R(s, RDH) + 1 == size ? 0 : R(s, RDH) + 1;
	}
	count(s, head, MAX(f->len, (uint32_t)FRAME_MIN) + 4);
	return TAKEN;
}

size_t e1000_receive(void *owner, const struct frame *frames, size_t n)
{
	struct e1000 *s = owner;
	size_t i, taken = 0;
	uint32_t threshold;

	if (!(R(s, RCTL) & RCTL_EN) || !e1000_link_up(s))
		return n;                       /* a deaf receiver: the wire does not wait */
	if (!pci_master(s->pci)) {
		s->rx_waits = true;
		return 0;
	}
	for (i = 0; i < n; i++) {
		enum outcome o = receive_one(s, &frames[i]);

		if (o == NO_ROOM) {
			/* Say that the doorbell of RDT is wanted, then look again: it may have come before that. */
			__atomic_store_n(&s->rx_waits, true, __ATOMIC_SEQ_CST);
			o = receive_one(s, &frames[i]);
			if (o == NO_ROOM)
				break;
			__atomic_store_n(&s->rx_waits, false, __ATOMIC_RELAXED);
		}
		taken += o == TAKEN;
	}
	if (taken) {
		threshold = ring_size(s) >> (1 + (R(s, RCTL) >> 8 & 3));        /* RDMTS: half, a quarter, an eighth */
		if (free_descriptors(s) <= threshold)
			e1000_raise(s, INT_RXDMT0);
		e1000_rx_done(s);
	}
	return i;
}

void e1000_receive_again(void *owner)
{
	struct e1000 *s = owner;

	if (!s->rx_waits)
		return;
	if ((R(s, RCTL) & RCTL_EN) && free_descriptors(s) == 0)
		return;
	__atomic_store_n(&s->rx_waits, false, __ATOMIC_RELAXED);
	port_ready(&s->port);
}
