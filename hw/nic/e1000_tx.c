/* SPDX-License-Identifier: MIT */
/*
 * Transmission (8254x SDM 3.3, 3.5): descriptors from TDH to TDT become frames, up to TX_BATCH at a time, scatter lists
 * straight into guest memory.
 *
 *      TDH ..... a frame's descriptors ..... EOP | next frame ..... TDT
 *
 * Descriptors are read once into a private copy.  A frame is handed over only when its last descriptor is there; until the far
 * end has taken it nothing is written back, so a full far end costs nothing but time.  Where the chip changes bytes (IP
 * checksum, VLAN tag, the header fields that TSO asks for) it works on a private copy of the first TX_HEAD_MAX bytes.
 * Transport checksums and segmentation go along as facts of the frame (net/port.h).
 */
#include "hw/nic/e1000_impl.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/log.h"
#include "net/eth.h"

struct descriptor {
	uint64_t address;
	uint32_t command, status;       /* the third and fourth dword */
};

/* A frame under construction, and what completing it means. */
struct sending {
	struct frame frame;
	uint32_t first, count;          /* descriptors in the ring, from index `first` */
	struct e1000_context context, tso_context;      /* in force after it */
	bool report;                    /* some descriptor asked for status (RS) */
	bool delay;                     /* and all that did may be reported later (IDE) */
	bool nothing;                   /* refused: nothing goes out, the descriptors complete */
	uint32_t wire_frames, wire_bytes;       /* for the counters, FCS included */
	bool multicast, broadcast, tso;
};

enum { BATCHES_MAX = 8 };               /* before others get their turn */

static uint32_t ring_size(const struct e1000 *s)
{
	return R(s, TDLEN) / 16;
}

static bool may_run(const struct e1000 *s)
{
	return (R(s, TCTL) & TCTL_EN) && ring_size(s) > 0 && pci_master(s->pci) && !s->tx_waits;
}

static uint64_t ring_address(const struct e1000 *s, uint32_t index)
{
	return ((uint64_t)R(s, TDBAH) << 32 | R(s, TDBAL)) + 16 * (uint64_t)index;
}

static struct descriptor fetch(struct e1000 *s, uint32_t index)
{
	uint8_t raw[16];

	pci_dma_read(s->pci, ring_address(s, index), raw, sizeof(raw));
	return (struct descriptor){ le64(raw), le32(raw + 8), le32(raw + 12) };
}

static struct e1000_context parse_context(const struct descriptor *d)
{
	return (struct e1000_context){
		.ipcss = (uint8_t)d->address, .ipcso = (uint8_t)(d->address >> 8), .ipcse = (uint16_t)(d->address >> 16),
		.tucss = (uint8_t)(d->address >> 32), .tucso = (uint8_t)(d->address >> 40), .tucse = (uint16_t)(d->address >> 48),
		.paylen = d->command & 0xfffff, .hdrlen = (uint8_t)(d->status >> 8), .mss = (uint16_t)(d->status >> 16),
		.tcp = d->command & TUCMD_TCP, .ip4 = d->command & TUCMD_IP,
	};
}

/* What the descriptors of one frame add up to. */
struct gathered {
	struct iovec *iov;
	size_t pieces, room;
	uint32_t len;
	bool bounced;                   /* the bounce buffer holds it all */
	bool too_long;
	bool is_data, tse, ic, vle;
	uint8_t popts, cso, css;
	uint16_t special;
};

/* Add one descriptor's buffer.  What is not plain memory, or in too many pieces, is copied to the bounce buffer. */
static void gather(struct e1000 *s, struct gathered *g, uint64_t address, uint32_t len)
{
	size_t n;

	if (len == 0 || g->too_long)
		return;
	if (g->len + len > TX_FRAME_MAX) {
		g->too_long = true;
		return;
	}
	if (!g->bounced) {
		n = g->pieces < g->room ? pci_dma_map(s->pci, address, len, g->iov + g->pieces, g->room - g->pieces) : 0;
		if (n > 0) {
			g->pieces += n;
			g->len += len;
			return;
		}
		g->bounced = true;
		frame_copy(&(struct frame){ .iov = g->iov, .iov_count = (uint32_t)g->pieces, .len = g->len }, 0, s->bounce, g->len);
	}
	pci_dma_read(s->pci, address, s->bounce + g->len, len);
	g->len += len;
	g->iov[0] = (struct iovec){ s->bounce, g->len };
	g->pieces = 1;
}

/* Replace the first n bytes of the list by `head`. */
static void put_head(struct gathered *g, uint8_t *head, uint32_t head_len, uint32_t n)
{
	size_t skip = 0;

	while (skip < g->pieces && g->iov[skip].iov_len <= n)
		n -= (uint32_t)g->iov[skip++].iov_len;
	if (n > 0) {
		g->iov[skip].iov_base = (uint8_t *)g->iov[skip].iov_base + n;
		g->iov[skip].iov_len -= n;
	}
	if (skip > 0) {
		memmove(g->iov + 1, g->iov + skip, (g->pieces - skip) * sizeof(*g->iov));
		g->pieces -= skip - 1;
	} else {                        /* room was kept for one more */
		memmove(g->iov + 1, g->iov, g->pieces * sizeof(*g->iov));
		g->pieces++;
	}
	g->iov[0] = (struct iovec){ head, head_len };
}

/* IP header checksum over [css, cse], inclusive, stored at cso (3.5.1); `cse` 0 means the end, which no IP header has. */
static bool ip_checksum(uint8_t *head, uint32_t head_len, const struct e1000_context *c)
{
	uint32_t end = (uint32_t)c->ipcse + 1;

	if (c->ipcse == 0 || c->ipcss >= end || end > head_len || c->ipcso + 2u > head_len)
		return false;
	put_be16(head + c->ipcso, 0);
	put_be16(head + c->ipcso, checksum(head + c->ipcss, end - c->ipcss));
	return true;
}

/*
 * TSO: the driver leaves length fields and the sum over them to the chip.  Make the headers those of the whole: total
 * length, IP checksum, and a pseudo-header sum with the length; whoever segments goes from there.
 */
static bool prepare_tso(struct sending *t, uint8_t *head, uint32_t head_len, uint32_t len, const struct e1000_context *c)
{
	uint32_t ip = c->ipcss, l4 = c->tucss, l4_len;
	uint64_t sum;

	if (!c->tcp || c->mss == 0 || c->hdrlen < l4 + TCP_HLEN || c->hdrlen > head_len || len <= c->hdrlen ||
	    l4 < ip + (c->ip4 ? IP4_HLEN : IP6_HLEN) || ip < ETH_HLEN || c->tucso != l4 + TCP_SUM)
		return false;
	l4_len = len - l4;
	if (c->ip4) {
		if (len - ip > 65535)
			return false;
		put_be16(head + ip + IP4_LEN, (uint16_t)(len - ip));
		put_be16(head + ip + IP4_SUM, 0);
		put_be16(head + ip + IP4_SUM, checksum(head + ip, l4 - ip));
		sum = checksum_pseudo(head + ip + IP4_SRC, head + ip + IP4_DST, 4, IPPROTO_ID_TCP, l4_len);
	} else {
		if (len - ip - IP6_HLEN > 65535)
			return false;
		put_be16(head + ip + IP6_LEN, (uint16_t)(len - ip - IP6_HLEN));
		sum = checksum_pseudo(head + ip + IP6_SRC, head + ip + IP6_DST, 16, IPPROTO_ID_TCP, l4_len);
	}
	put_be16(head + l4 + TCP_SUM, checksum_fold(sum));
	t->frame.gso = c->ip4 ? GSO_TCPV4 : GSO_TCPV6;
	t->frame.gso_size = c->mss;
	t->frame.hdr_len = c->hdrlen;
	t->frame.gso_ecn = head[l4 + TCP_FLAGS] & TCP_FLAG_CWR;
	t->frame.needs_csum = true;
	t->frame.csum_start = (uint16_t)l4;
	t->frame.csum_offset = TCP_SUM;
	t->tso = true;
	t->wire_frames = (len - c->hdrlen + c->mss - 1) / c->mss;
	t->wire_bytes = len - c->hdrlen + t->wire_frames * (c->hdrlen + 4u);
	return true;
}

/* A checksum from `start` to `end` (inclusive; 0: all), which lies at `at`; the field holds the seed. */
static bool transport_checksum(struct sending *t, struct gathered *g, uint8_t *head, uint32_t head_len, uint32_t start,
			       uint32_t at, uint32_t end)
{
	uint64_t sum = 0;
	uint8_t chunk[512];
	struct frame f = { .iov = g->iov, .iov_count = (uint32_t)g->pieces, .len = g->len };

	if (at < start || at + 2 > g->len || start >= g->len)
		return false;
	if (end == 0 || end + 1 >= g->len) {
		t->frame.needs_csum = true;
		t->frame.csum_start = (uint16_t)start;
		t->frame.csum_offset = (uint16_t)(at - start);
		return true;
	}
	/* Only part of the frame: no fact of a frame can say that. */
	if (at + 2 > head_len)
		return false;
	for (uint32_t from = start; from <= end; from += sizeof(chunk)) {
		size_t n = frame_copy(&f, from, chunk, MIN(sizeof(chunk), end + 1 - from));

		sum = checksum_add(sum, chunk, n);
	}
	put_be16(head + at, (uint16_t)~checksum_fold(sum));
	return true;
}

/* From gathered bytes and context to a frame.  false: the chip could not send that. */
static bool build(struct e1000 *s, struct sending *t, struct gathered *g, uint8_t *head)
{
	const struct e1000_context *c = g->tse ? &t->tso_context : &t->context;
	bool vlan = g->vle && (R(s, CTRL) & CTRL_VME), ixsm = g->is_data && (g->popts & 1), txsm = g->is_data && (g->popts & 2);
	uint32_t head_len = MIN(g->len, (uint32_t)TX_HEAD_MAX);
	struct frame plain = { .iov = g->iov, .iov_count = (uint32_t)g->pieces, .len = g->len };

	if (g->too_long || g->len < ETH_HLEN || g->pieces == 0)
		return false;
	if (!g->tse && g->len > RX_FRAME_MAX)
		return false;
	frame_copy(&plain, 0, head, MIN(head_len, (uint32_t)(g->tse || ixsm || txsm || g->ic || vlan ? TX_HEAD_MAX : ETH_HLEN)));
	t->multicast = eth_is_multicast(head);
	t->broadcast = eth_is_broadcast(head);
	t->wire_frames = 1;
	t->wire_bytes = MAX(g->len, (uint32_t)FRAME_MIN) + 4;
	if (g->tse || ixsm || txsm || g->ic || vlan) {
		if (g->tse && !prepare_tso(t, head, head_len, g->len, c))
			return false;
		if (!g->tse && ixsm && !ip_checksum(head, head_len, c))
			log_guest("e1000", "IP checksum of bytes %u to %u at %u of a frame of %u", c->ipcss, c->ipcse, c->ipcso, g->len);
		if (!g->tse && txsm && !transport_checksum(t, g, head, head_len, c->tucss, c->tucso, c->tucse))
			log_guest("e1000", "checksum from %u at %u of a frame of %u", c->tucss, c->tucso, g->len);
		if (g->ic && !transport_checksum(t, g, head, head_len, g->css, g->cso, 0))
			log_guest("e1000", "checksum from %u at %u of a frame of %u", g->css, g->cso, g->len);
		put_head(g, head, head_len, head_len);
		if (vlan) {             /* insert the tag after the addresses (9.2) */
			memmove(head + ETH_TYPE + ETH_VLAN_LEN, head + ETH_TYPE, head_len - ETH_TYPE);
			put_be16(head + ETH_TYPE, (uint16_t)R(s, VET));
			put_be16(head + ETH_TYPE + 2, g->special);
			g->iov[0].iov_len += ETH_VLAN_LEN;
			g->len += ETH_VLAN_LEN;
			t->frame.csum_start += t->frame.needs_csum ? ETH_VLAN_LEN : 0;
			t->frame.hdr_len += t->tso ? ETH_VLAN_LEN : 0;
			t->wire_bytes += t->wire_frames * ETH_VLAN_LEN;
		}
	}
	t->frame.iov = g->iov;
	t->frame.iov_count = (uint32_t)g->pieces;
	t->frame.len = g->len;
	return g->pieces <= FRAME_IOV_SEND;
}

/*
 * One frame from the ring at `index`; `left` descriptors are there.  Context descriptors in front of it belong to it.
 * Returns false if its end is not there yet.
 */
static bool next_frame(struct e1000 *s, struct sending *t, uint32_t index, uint32_t left, struct iovec *iov, size_t room,
		       uint8_t *head, bool *bounce_used)
{
	struct gathered g = { .iov = iov, .room = room - 1 };
	uint32_t size = ring_size(s);
	bool first = true, all_delay = true;

	t->first = index;
	while (left-- > 0) {
		struct descriptor d = fetch(s, index);
		bool extended = d.command & TXD_DEXT;

		t->count++;
		index = index + 1 == size ? 0 : index + 1;
		if (d.command & (TXD_RS | TXD_RPS)) {
			t->report = true;
			all_delay &= (d.command & TXD_IDE) != 0;
		}
		if (extended && (d.command & TXD_DTYP) != TXD_DTYP_DATA) {
			if (d.command & TXD_TSE)
				t->tso_context = parse_context(&d);
			else
				t->context = parse_context(&d);
			if (first && left == 0) {       /* nothing but contexts: they complete by themselves */
				t->nothing = true;
				break;
			}
			continue;
		}
		if (first) {
			g.is_data = extended;
			g.tse = extended && (d.command & TXD_TSE);
			g.popts = extended ? (uint8_t)(d.status >> 8) : 0;
			first = false;
		}
		if (!extended) {
			g.cso = (uint8_t)(d.command >> 16);
			g.css = (uint8_t)(d.status >> 8);
		}
		gather(s, &g, d.address, extended ? d.command & 0xfffff : d.command & 0xffff);
		if (!(d.command & TXD_EOP))
			continue;
		g.ic = !extended && (d.command & TXD_IC);
		g.vle = d.command & TXD_VLE;
		g.special = (uint16_t)(d.status >> 16);
		if (g.bounced)
			*bounce_used = true;
		if (!build(s, t, &g, head)) {
			log_guest("e1000", "a frame of %u bytes in %zu pieces cannot be sent", g.len, g.pieces);
			t->nothing = true;
		}
		break;
	}
	t->delay = all_delay;
	if (!t->nothing && t->frame.len == 0)
		return false;           /* no EOP yet */
	return true;
}

/* Write back, move TDH, count. */
static void complete(struct e1000 *s, const struct sending *t)
{
	uint32_t index = t->first, size = ring_size(s);

	for (uint32_t i = 0; i < t->count; i++) {
		struct descriptor d = fetch(s, index);
		uint8_t status[4];

		if (d.command & (TXD_RS | TXD_RPS)) {
			put_le32(status, d.status | TXD_STA_DD);
			pci_dma_write(s->pci, ring_address(s, index) + 12, status, sizeof(status));
		}
		index = index + 1 == size ? 0 : index + 1;
	}
	R(s, TDH) = index;
	s->st.context = t->context;
	s->st.tso_context = t->tso_context;
	if (t->nothing)
		return;
	e1000_count(s, REG_TPT, t->wire_frames);
	e1000_count(s, REG_GPTC, t->wire_frames);
	e1000_count64(s, REG_TOTL, t->wire_bytes);
	e1000_count64(s, REG_GOTCL, t->wire_bytes);
	if (t->broadcast)
		e1000_count(s, REG_BPTC, t->wire_frames);
	else if (t->multicast)
		e1000_count(s, REG_MPTC, t->wire_frames);
	if (t->tso)
		e1000_count(s, REG_TSCTC, 1);
	for (uint32_t i = 0; i < t->wire_frames; i++)
		e1000_count_size(s, REG_PTC64, t->wire_bytes / t->wire_frames);
}

/* One batch.  Returns whether there may be more to do at once. */
static bool send_batch(struct e1000 *s)
{
	struct sending t[TX_BATCH];
	struct frame frames[TX_BATCH];
	uint32_t size = ring_size(s), tail = __atomic_load_n(&R(s, TDT), __ATOMIC_ACQUIRE), index = R(s, TDH);
	size_t n = 0, sendable = 0, used = 0, sent, done = 0;
	uint32_t epoch = s->epoch, left, causes = 0;
	bool bounce_used = false, later = false;

	if (index >= size || tail >= size) {
		log_guest("e1000", "TDH %u and TDT %u in a ring of %u descriptors", index, tail, size);
		return false;
	}
	left = (tail + size - index) % size;
	while (n < TX_BATCH && left > 0 && TX_PIECES - used >= FRAME_IOV_SEND + 2 && !bounce_used) {
		struct sending *x = &t[n];

		*x = (struct sending){ .context = n ? x[-1].context : s->st.context,
				       .tso_context = n ? x[-1].tso_context : s->st.tso_context };
		if (!next_frame(s, x, index, left, s->pieces + used, FRAME_IOV_SEND, s->heads[n], &bounce_used))
			break;
		index = (index + x->count) % size;
		left -= x->count;
		used += x->frame.iov_count;
		n++;
		if (!x->nothing)
			frames[sendable++] = x->frame;
	}
	if (n == 0)
		return false;
	sent = sendable ? port_send(&s->port, frames, sendable) : 0;    /* lets go of the lock */
	if (s->epoch != epoch || !pci_master(s->pci) || ring_size(s) != size)
		return false;
	s->tx_waits = sent < sendable;
	for (size_t i = 0; i < n; i++) {
		if (!t[i].nothing && done++ >= sent)
			break;
		complete(s, &t[i]);
		if (t[i].report && t[i].delay)
			later = true;
		else if (t[i].report)
			causes |= INT_TXDW;
	}
	if (R(s, TDH) == __atomic_load_n(&R(s, TDT), __ATOMIC_ACQUIRE))
		causes |= INT_TXQE;
	if (later)
		e1000_tx_done_later(s);
	if (causes)
		e1000_raise(s, causes);
	return !s->tx_waits;
}

void e1000_transmit(void *owner)
{
	struct e1000 *s = owner;

	for (int i = 0; i < BATCHES_MAX; i++)
		if (!may_run(s) || R(s, TDH) == __atomic_load_n(&R(s, TDT), __ATOMIC_ACQUIRE) || !send_batch(s))
			return;
	bell_ring(&s->tx_bell);
}

void e1000_transmit_ready(void *owner)
{
	struct e1000 *s = owner;

	s->tx_waits = false;
	bell_ring(&s->tx_bell);
}
