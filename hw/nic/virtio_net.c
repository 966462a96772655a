/* SPDX-License-Identifier: MIT */
/*
 * A virtio network device: VIRTIO 1.1, section 5.1 (USO: 1.2), with the legacy header.  Queues are rx0, tx0, rx1, tx1 ...
 * and the control queue: last of all with VIRTIO_NET_F_MQ, else number 2.
 * Left out on purpose: receive-side scaling, hash reports, RSC (optional features).
 *
 *   header   u8 flags, u8 gso_type, le16 hdr_len, gso_size, csum_start, csum_offset [, num_buffers]
 *
 * Transmit: frames go to the port as pieces of guest memory, in batches; the machine lock is let go of meanwhile, so
 * the generation is looked at afterwards.  A frame that the far end has no room for goes back to the ring.
 * That buffers are used is published at once, but interrupted for a little later: a driver that goes on sending sees it by
 * itself, and then wants no interrupt any more (section 2.6.7.2).
 * Receive: frames are copied into the driver's buffers; when those run out the port keeps the rest until the driver
 * has made some available.
 */
#include "hw/nic/virtio_net_impl.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/log.h"
#include "hw/pci.h"
#include "hw/state.h"
#include "net/eth.h"
#include "net/offload.h"

enum {
	HDR_FLAGS = 0, HDR_GSO_TYPE = 1, HDR_HDR_LEN = 2, HDR_GSO_SIZE = 4, HDR_CSUM_START = 6, HDR_CSUM_OFFSET = 8,
	HDR_NUM_BUFFERS = 10, HDR_SIZE = 12, HDR_SIZE_LEGACY = 10,
	HDR_F_NEEDS_CSUM = 1, HDR_F_DATA_VALID = 2, HDR_GSO_ECN = 0x80,

	QUEUES_MAX = 2 * VIRTIO_NET_PAIRS_MAX + 1,
	ROUNDS = 4,                     /* batches before other work of the loop gets its turn */
	RX_CHAINS_MAX = 128,            /* merged buffers of one frame: 64 KB in buffers of half a page */
	TX_SIGNAL_US = 250, TX_SIGNAL_MAX = 64, /* how long, and how many buffers, an interrupt for sent ones may wait */
};

static const struct property {
	const char *name;
	uint8_t bit;
	bool on;
} properties[] = {
	{ "csum", F_CSUM, true }, { "gso", F_GSO, true }, { "guest_csum", F_GUEST_CSUM, true },
	{ "guest_tso4", F_GUEST_TSO4, true }, { "guest_tso6", F_GUEST_TSO6, true },
	{ "guest_ecn", F_GUEST_ECN, true }, { "guest_ufo", F_GUEST_UFO, true },
	{ "guest_uso4", F_GUEST_USO4, true }, { "guest_uso6", F_GUEST_USO6, true },
	{ "guest_announce", F_GUEST_ANNOUNCE, true },
	{ "host_tso4", F_HOST_TSO4, true }, { "host_tso6", F_HOST_TSO6, true }, { "host_ecn", F_HOST_ECN, true },
	{ "host_ufo", F_HOST_UFO, true }, { "host_uso", F_HOST_USO, true },
	{ "mrg_rxbuf", F_MRG_RXBUF, true }, { "status", F_STATUS, true }, { "ctrl_vq", F_CTRL_VQ, true },
	{ "ctrl_rx", F_CTRL_RX, true }, { "ctrl_vlan", F_CTRL_VLAN, true },
	{ "ctrl_rx_extra", F_CTRL_RX_EXTRA, true }, { "ctrl_mac_addr", F_CTRL_MAC_ADDR, true },
	{ "ctrl_guest_offloads", F_CTRL_GUEST_OFFLOADS, true }, { "mq", F_MQ, false },
	{ "indirect_desc", VIRTIO_F_INDIRECT_DESC, true }, { "event_idx", VIRTIO_F_EVENT_IDX, true },
	{ "any_layout", VIRTIO_F_ANY_LAYOUT, true }, { "notify_on_empty", VIRTIO_F_NOTIFY_ON_EMPTY, true },
	{ "queue_reset", VIRTIO_F_RING_RESET, true },
};

const char *const virtio_net_property_names[] = {
	"csum", "gso", "guest_csum", "guest_tso4", "guest_tso6", "guest_ecn", "guest_ufo", "guest_uso4", "guest_uso6",
	"guest_announce", "host_tso4", "host_tso6", "host_ecn", "host_ufo", "host_uso", "mrg_rxbuf", "status", "ctrl_vq",
	"ctrl_rx", "ctrl_vlan", "ctrl_rx_extra", "ctrl_mac_addr", "ctrl_guest_offloads", "mq", "indirect_desc",
	"event_idx", "any_layout", "notify_on_empty", "queue_reset", NULL,
};

static unsigned header_size(const struct virtio_net *s)
{
	return virtio_modern(&s->v) || has(s, F_MRG_RXBUF) ? HDR_SIZE : HDR_SIZE_LEGACY;
}

static unsigned control_queue(const struct virtio_net *s)
{
	return has(s, F_MQ) ? 2 * s->cfg.queues : 2;
}

/* --- link and offloads ----------------------------------------------------------------------------------------- */

static unsigned accepts(const struct virtio_net *s)
{
	uint64_t on = s->s.offloads, uso = VIRTIO_BIT(F_GUEST_USO4) | VIRTIO_BIT(F_GUEST_USO6);

	if (!(on & VIRTIO_BIT(F_GUEST_CSUM)))
		return 0;
	return PORT_CSUM | (on & VIRTIO_BIT(F_GUEST_TSO4) ? PORT_TSO4 : 0) |
		(on & VIRTIO_BIT(F_GUEST_TSO6) ? PORT_TSO6 : 0) | (on & VIRTIO_BIT(F_GUEST_UFO) ? PORT_UFO : 0) |
		(on & VIRTIO_BIT(F_GUEST_ECN) ? PORT_ECN : 0) | ((on & uso) == uso ? PORT_USO : 0);
}

static void update_port(void *owner)
{
	struct virtio_net *s = owner;

	if (s->forget) {
		s->forget = false;
		port_forget(&s->port);
	}
	port_accepts(&s->port, accepts(s));
	/* whoever waits for buffers of a driver that is gone finds its frames dropped */
	if (!virtio_live(&s->v))
		port_ready(&s->port);
}

static bool link_up(const struct virtio_net *s)
{
	return !s->port.link_down && !(s->port.peer && s->port.peer->link_down);
}

static void port_changed(void *owner)
{
	struct virtio_net *s = owner;
	uint16_t old = le16(s->v.s.config + CONFIG_STATUS);
	uint16_t status = (uint16_t)((old & ~STATUS_LINK_UP) | (link_up(s) ? STATUS_LINK_UP : 0));

	if (status == old)
		return;
	put_le16(s->v.s.config + CONFIG_STATUS, status);
	virtio_config_changed(&s->v);
}

/* --- transmit -------------------------------------------------------------------------------------------------- */

static void frame_facts(struct frame *f, const uint8_t *hdr)
{
	f->needs_csum = hdr[HDR_FLAGS] & HDR_F_NEEDS_CSUM;
	f->gso = hdr[HDR_GSO_TYPE] & (uint8_t)~HDR_GSO_ECN;
	f->gso_ecn = hdr[HDR_GSO_TYPE] & HDR_GSO_ECN;
	f->hdr_len = le16(hdr + HDR_HDR_LEN);
	f->gso_size = le16(hdr + HDR_GSO_SIZE);
	f->csum_start = le16(hdr + HDR_CSUM_START);
	f->csum_offset = le16(hdr + HDR_CSUM_OFFSET);
}

enum gathered { GATHERED, GATHER_LATER, GATHER_BAD };

/* Makes frame i of the batch from a buffer.  The bounce buffer serves one frame of a batch. */
static enum gathered gather(struct virtio_net *s, struct virtq *q, const struct virtq_chain *c, unsigned i, bool *bounced)
{
	struct frame *f = &s->frame[i];
	uint8_t hdr[HDR_SIZE] = { 0 };
	unsigned size = header_size(s);
	uint64_t len = c->out_len - size;

	if (c->out_len < size + ETH_HLEN || len > FRAME_MAX || !virtq_read(q, c, 0, hdr, size))
		return GATHER_BAD;
	*f = (struct frame){ .iov = s->iov[i], .len = (uint32_t)len };
	frame_facts(f, hdr);
	if (!offload_facts_ok(f))
		return GATHER_BAD;
	f->iov_count = (uint32_t)virtq_map(q, c, false, size, len, s->iov[i], FRAME_IOV_SEND);
	if (!f->iov_count) {            /* more pieces than a frame may have, or memory that is not RAM */
		if (*bounced)
			return GATHER_LATER;
		*bounced = true;
		if (!virtq_read(q, c, size, s->bounce, len))
			return GATHER_BAD;
		s->iov[i][0] = (struct iovec){ s->bounce, len };
		f->iov_count = 1;
	}
	s->head[i] = c->head;
	return GATHERED;
}

/* Fills a batch; a bad frame is only thrown away when it is the first, so that those before it keep their place. */
static unsigned gather_batch(struct virtio_net *s, struct virtq *q)
{
	bool bounced = false;
	struct virtq_chain c;
	unsigned n = 0, bad = 0;

	while (n < BATCH && bad < BATCH && virtq_pop(q, &c)) {
		enum gathered what = gather(s, q, &c, n, &bounced);

		if (what == GATHERED) {
			n++;
		} else if (n) {
			virtq_unpop(q, 1);
			break;
		} else {
			log_guest("virtio-net", "%s: a transmit buffer of %" PRIu64 " bytes is no frame", s->cfg.name, c.out_len);
			s->tx_dropped++;
			bad++;
			bounced = false;
			virtq_push(q, c.head, 0);
		}
	}
	if (bad)
		virtq_flush(q);
	return n;
}

static void signal_sent(void *owner)
{
	struct virtio_net *s = owner;

	for (; s->tx_unsignalled; s->tx_unsignalled &= s->tx_unsignalled - 1) {
		struct virtq *q = &s->v.q[__builtin_ctz(s->tx_unsignalled)];

		if (virtq_live(q))
			virtq_signal(q);
	}
}

/* Buffers of q are used: the driver is to know soon. */
static void sent_soon(struct virtio_net *s, struct virtq *q)
{
	virtq_publish(q);
	if (virtq_unsignalled(q) >= TX_SIGNAL_MAX) {
		virtq_signal(q);
		return;
	}
	s->tx_unsignalled |= 1u << q->index;
	if (!timer_armed(&s->tx_timer))
		timer_set(&s->tx_timer, clock_now(s->cfg.clock) + US(TX_SIGNAL_US));
}

/* false: the queue has to wait, or is no more. */
static bool send_batch(struct virtio_net *s, struct virtq *q, unsigned n)
{
	uint32_t generation = s->v.generation;
	size_t sent = port_send(&s->port, s->frame, n);

	if (generation != s->v.generation || !virtq_live(q))
		return false;
	for (size_t i = 0; i < sent; i++)
		virtq_push(q, s->head[i], 0);
	sent_soon(s, q);
	if (sent == n)
		return true;
	virtq_unpop(q, n - (unsigned)sent);
	s->tx_first = (int)q->index;
	return false;
}

static void transmit(struct virtio_net *s, struct virtq *q)
{
	unsigned n;

	if (s->forget)
		update_port(s);
	if (!virtq_live(q))
		return;
	if (s->tx_first >= 0 && s->tx_first != (int)q->index) {
		s->tx_later |= 1u << q->index;
		return;
	}
	if (s->port.waiting)
		return;
	s->tx_first = -1;
	for (unsigned round = 0; round < ROUNDS; round++) {
		virtq_no_kicks(q);
		n = gather_batch(s, q);
		if (n && !send_batch(s, q, n))
			return;
		if (!n && virtq_empty(q) && !virtq_want_kicks(q))
			break;
		if (round == ROUNDS - 1)
			virtio_ring(&s->v, q->index);
	}
	for (; s->tx_later; s->tx_later &= s->tx_later - 1)
		virtio_ring(&s->v, (unsigned)__builtin_ctz(s->tx_later));
}

static void port_is_ready(void *owner)
{
	struct virtio_net *s = owner;

	if (s->tx_first >= 0)
		virtio_ring(&s->v, (unsigned)s->tx_first);
	else
		for (unsigned i = 1; i < 2 * s->cfg.queues; i += 2)
			virtio_ring(&s->v, i);
}

/* --- receive --------------------------------------------------------------------------------------------------- */

static bool wanted(const struct virtio_net *s, const uint8_t *head, size_t len)
{
	if (s->s.promisc)
		return true;
	if (len >= ETH_HLEN + 2 && be16(head + ETH_TYPE) == ETHERTYPE_VLAN) {
		unsigned vid = be16(head + ETH_HLEN) & 4095;

		if (!(s->s.vlan[vid / 8] & 1 << vid % 8))
			return false;
	}
	if (eth_is_broadcast(head))
		return !s->s.nobcast;
	if (eth_is_multicast(head))
		return !s->s.nomulti && (s->s.allmulti || s->s.multicast_overflow || filter_has(&s->s.multicast, head));
	return !s->s.nouni && (s->s.alluni || s->s.unicast_overflow || !memcmp(s->v.s.config + CONFIG_MAC, head, ETH_ALEN) ||
			       filter_has(&s->s.unicast, head));
}

/* One queue per flow, the same for both directions of it (automatic receive steering, section 5.1.6.5.5). */
static struct virtq *steer(struct virtio_net *s, const uint8_t *head, size_t len)
{
	uint32_t hash = 0;

	if (s->s.pairs < 2)
		return &s->v.q[0];
	if (len >= ETH_HLEN + IP4_HLEN + 4 && be16(head + ETH_TYPE) == ETHERTYPE_IP4) {
		const uint8_t *ip = head + ETH_HLEN;
		unsigned ihl = (ip[0] & 15) * 4;

		hash = le32(ip + IP4_SRC) ^ le32(ip + IP4_DST);
		if ((ip[IP4_PROTO] == IPPROTO_ID_TCP || ip[IP4_PROTO] == IPPROTO_ID_UDP) && ETH_HLEN + ihl + 4 <= len)
			hash ^= le16(ip + ihl) ^ le16(ip + ihl + 2);
	} else if (len >= ETH_HLEN + IP6_HLEN + 4 && be16(head + ETH_TYPE) == ETHERTYPE_IP6) {
		const uint8_t *ip = head + ETH_HLEN;

		for (unsigned i = 0; i < 16; i += 4)
			hash ^= le32(ip + IP6_SRC + i) ^ le32(ip + IP6_DST + i);
		if (ip[IP6_NEXT] == IPPROTO_ID_TCP || ip[IP6_NEXT] == IPPROTO_ID_UDP)
			hash ^= le16(ip + IP6_HLEN) ^ le16(ip + IP6_HLEN + 2);
	}
	hash *= 0x9e3779b1;
	return &s->v.q[2 * ((uint64_t)hash * s->s.pairs >> 32)];
}

static void make_header(const struct virtio_net *s, const struct frame *f, uint8_t *hdr)
{
	memset(hdr, 0, HDR_SIZE);
	put_le16(hdr + HDR_NUM_BUFFERS, 1);
	if (f->needs_csum) {
		hdr[HDR_FLAGS] = HDR_F_NEEDS_CSUM;
		put_le16(hdr + HDR_CSUM_START, f->csum_start);
		put_le16(hdr + HDR_CSUM_OFFSET, f->csum_offset);
	} else if (f->csum_valid && s->s.offloads & VIRTIO_BIT(F_GUEST_CSUM)) {
		hdr[HDR_FLAGS] = HDR_F_DATA_VALID;
	}
	if (f->gso == GSO_NONE)
		return;
	hdr[HDR_GSO_TYPE] = f->gso | (f->gso_ecn ? HDR_GSO_ECN : 0);
	put_le16(hdr + HDR_GSO_SIZE, f->gso_size);
	put_le16(hdr + HDR_HDR_LEN, f->hdr_len);
}

/* Where the copy of a frame has got to. */
struct source {
	const struct frame *frame;
	uint32_t piece;
	size_t offset;                  /* in that piece */
};

/* Copies the frame's next len bytes into a buffer at an offset. */
static bool fill(struct virtq *q, const struct virtq_chain *c, uint64_t at, struct source *from, size_t len)
{
	while (len) {
		const struct iovec *iov = &from->frame->iov[from->piece];
		size_t n = MIN(len, iov->iov_len - from->offset);

		if (!virtq_write(q, c, at, (const uint8_t *)iov->iov_base + from->offset, n))
			return false;
		at += n;
		len -= n;
		from->offset += n;
		if (from->offset == iov->iov_len) {
			from->piece++;
			from->offset = 0;
		}
	}
	return true;
}

enum stored { STORED, NO_BUFFERS, REFUSED };

/* One frame into one buffer, or with MRG_RXBUF into as many as it takes. */
static enum stored store(struct virtio_net *s, struct virtq *q, const struct frame *f)
{
	unsigned size = header_size(s), n = 0;
	struct source from = { .frame = f };
	struct virtq_seg count_at[2];
	size_t count_segs = 0, left = f->len;
	struct virtq_chain c;
	uint8_t hdr[HDR_SIZE];
	uint16_t heads[RX_CHAINS_MAX];
	uint32_t lens[RX_CHAINS_MAX];

	make_header(s, f, hdr);
	do {
		unsigned skip = n ? 0 : size;
		size_t part;
		bool ok;

		if (n == RX_CHAINS_MAX)
			goto refuse;
		if (!virtq_pop(q, &c)) {
			virtq_unpop(q, n);
			return s->v.s.broken ? REFUSED : NO_BUFFERS;
		}
		heads[n++] = c.head;
		if (c.in_len < skip || (!has(s, F_MRG_RXBUF) && c.in_len - skip < left))
			goto refuse;
		part = MIN(left, c.in_len - skip);
		ok = !skip || virtq_write(q, &c, 0, hdr, size);
		if (!ok || !fill(q, &c, skip, &from, part))
			goto refuse;
		if (skip == HDR_SIZE)
			count_segs = virtq_segs(&c, true, HDR_NUM_BUFFERS, 2, count_at, 2);
		lens[n - 1] = skip + (uint32_t)part;
		left -= part;
	} while (left);

	if (n > 1) {
		uint8_t count[2];

		put_le16(count, (uint16_t)n);
		for (size_t i = 0, at = 0; i < count_segs; at += count_at[i++].len)
			pci_dma_write(s->v.pci, count_at[i].addr, count + at, count_at[i].len);
	}
	for (unsigned i = 0; i < n; i++)
		virtq_push(q, heads[i], lens[i]);
	return STORED;
refuse:
	log_guest("virtio-net", "%s: a frame of %u bytes does not fit the receive buffers", s->cfg.name, f->len);
	virtq_unpop(q, n);
	return REFUSED;
}

/* Old DHCP clients look at raw packets and refuse a sum that is still to be made. */
static bool from_dhcp_server(const struct frame *f, const uint8_t *head, size_t len)
{
	size_t l4 = f->csum_start;

	return f->needs_csum && f->gso == GSO_NONE && f->csum_offset == UDP_SUM && l4 + 4 <= len &&
		be16(head + ETH_TYPE) == ETHERTYPE_IP4 && be16(head + l4) == 67 && be16(head + l4 + 2) == 68;
}

static enum stored store_summed(struct virtio_net *s, struct virtq *q, const struct frame *f)
{
	struct segment segment;
	struct offload o;

	if (!offload_begin(&o, f, 0) || !offload_make(&o, 0, &segment))
		return REFUSED;
	return store(s, q, &segment.frame);
}

static enum stored receive_one(struct virtio_net *s, const struct frame *f, uint32_t *touched)
{
	uint8_t head[ETH_HLEN + IP6_HLEN + 4];
	size_t len = frame_copy(f, 0, head, sizeof(head));
	struct virtq *q = steer(s, head, len);
	enum stored what;

	if (!wanted(s, head, len)) {
		s->rx_filtered++;
		return REFUSED;
	}
	if (!virtq_live(q) || !offload_fits(f, accepts(s))) {
		s->rx_dropped++;
		return REFUSED;
	}
	do {
		what = from_dhcp_server(f, head, len) ? store_summed(s, q, f) : store(s, q, f);
	} while (what == NO_BUFFERS && virtq_want_kicks(q));
	if (what == STORED) {
		virtq_no_kicks(q);
		*touched |= 1u << q->index;
	}
	s->rx_dropped += what == REFUSED;
	return what;
}

static size_t receive(void *owner, const struct frame *frames, size_t n)
{
	struct virtio_net *s = owner;
	uint32_t touched = 0;
	size_t i;

	for (i = 0; i < n; i++)
		if (receive_one(s, &frames[i], &touched) == NO_BUFFERS)
			break;
	for (; touched; touched &= touched - 1)
		virtq_flush(&s->v.q[__builtin_ctz(touched)]);
	return i;
}

/* --- device ---------------------------------------------------------------------------------------------------- */

static void kick(void *owner, unsigned n)
{
	struct virtio_net *s = owner;
	struct virtq *q = &s->v.q[n];

	if (n == control_queue(s)) {
		if (has(s, F_CTRL_VQ))
			virtio_net_control(s, q);
	} else if (n & 1) {
		transmit(s, q);
	} else {
		port_ready(&s->port);
	}
}

static void started(void *owner)
{
	struct virtio_net *s = owner;

	s->s.offloads = s->v.s.driver_features & GUEST_OFFLOADS;
	memset(s->s.vlan, has(s, F_CTRL_VLAN) ? 0 : 0xff, sizeof(s->s.vlan));
	bell_ring(&s->bell);
}

static void forget(struct virtio_net *s)
{
	s->forget = true;
	s->tx_first = -1;
	s->tx_later = s->tx_unsignalled = 0;
	timer_cancel(&s->tx_timer);
	bell_ring(&s->bell);
}

static void reset(void *owner)
{
	struct virtio_net *s = owner;
	uint8_t *c = s->v.s.config;

	memset(&s->s, 0, sizeof(s->s));
	s->s.promisc = true;
	s->s.pairs = 1;
	memcpy(c + CONFIG_MAC, s->cfg.mac, ETH_ALEN);
	put_le16(c + CONFIG_STATUS, link_up(s) ? STATUS_LINK_UP : 0);
	put_le16(c + CONFIG_PAIRS, (uint16_t)s->cfg.queues);
	put_le16(c + CONFIG_MTU, s->cfg.host_mtu);
	put_le32(c + CONFIG_SPEED, (uint32_t)s->cfg.speed);
	c[CONFIG_DUPLEX] = s->cfg.duplex;
	forget(s);
}

static void queue_reset(void *owner, unsigned n)
{
	struct virtio_net *s = owner;

	if (n & 1 && s->tx_first == (int)n)
		forget(s);
}

/* A legacy driver without the control command sets its address here (section 5.1.4.2). */
static void config_write(void *owner, unsigned offset, uint32_t value, unsigned size)
{
	struct virtio_net *s = owner;

	if (offset + size > ETH_ALEN || virtio_modern(&s->v) || has(s, F_CTRL_MAC_ADDR)) {
		log_guest("virtio-net", "%s: store to read-only configuration byte %u", s->cfg.name, offset);
		return;
	}
	memcpy(s->v.s.config + CONFIG_MAC + offset, &value, size);
}

static void loaded(void *owner)
{
	struct virtio_net *s = owner;

	forget(s);
}

static const struct virtio_ops net_ops = {
	.kick = kick, .reset = reset, .started = started, .queue_reset = queue_reset, .config_write = config_write,
};

static const struct port_ops net_port_ops = { .receive = receive, .ready = port_is_ready, .changed = port_changed };

void virtio_net_defaults(struct virtio_net_config *c)
{
	*c = (struct virtio_net_config){
		.devfn = -1, .name = "virtio-net-pci", .queues = 1, .rx_queue_size = 256, .tx_queue_size = 256,
		.vectors = VIRTIO_NET_VECTORS_AUTO,
		.speed = VIRTIO_NET_SPEED_UNKNOWN, .duplex = VIRTIO_NET_DUPLEX_UNKNOWN,
	};
	for (size_t i = 0; i < ARRAY_SIZE(properties); i++)
		c->features |= properties[i].on ? VIRTIO_BIT(properties[i].bit) : 0;
}

bool virtio_net_property(struct virtio_net_config *c, const char *name, bool on)
{
	for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
		if (strcmp(properties[i].name, name) != 0)
			continue;
		c->features &= ~VIRTIO_BIT(properties[i].bit);
		c->features |= on ? VIRTIO_BIT(properties[i].bit) : 0;
		return true;
	}
	return false;
}

/* What the properties leave, less what needs something that they took away (section 5.1.3.1). */
static uint64_t offered(const struct virtio_net_config *c)
{
	uint64_t f = c->features | VIRTIO_BIT(F_MAC);

	if (!(f & VIRTIO_BIT(F_CSUM)))
		f &= ~(VIRTIO_BIT(F_HOST_TSO4) | VIRTIO_BIT(F_HOST_TSO6) | VIRTIO_BIT(F_HOST_UFO) |
		       VIRTIO_BIT(F_HOST_USO) | VIRTIO_BIT(F_GSO));
	if (!(f & (VIRTIO_BIT(F_HOST_TSO4) | VIRTIO_BIT(F_HOST_TSO6))))
		f &= ~VIRTIO_BIT(F_HOST_ECN);
	if (!(f & VIRTIO_BIT(F_GUEST_CSUM)))
		f &= ~GUEST_OFFLOADS;
	if (!(f & (VIRTIO_BIT(F_GUEST_TSO4) | VIRTIO_BIT(F_GUEST_TSO6))))
		f &= ~VIRTIO_BIT(F_GUEST_ECN);
	if (!(f & VIRTIO_BIT(F_CTRL_VQ)))
		f &= ~(VIRTIO_BIT(F_CTRL_RX) | VIRTIO_BIT(F_CTRL_VLAN) | VIRTIO_BIT(F_CTRL_RX_EXTRA) | VIRTIO_BIT(F_MQ) |
		       VIRTIO_BIT(F_GUEST_ANNOUNCE) | VIRTIO_BIT(F_CTRL_MAC_ADDR) | VIRTIO_BIT(F_CTRL_GUEST_OFFLOADS));
	if (c->queues < 2)
		f &= ~VIRTIO_BIT(F_MQ);
	if (c->host_mtu)
		f |= VIRTIO_BIT(F_MTU);
	if (c->speed != VIRTIO_NET_SPEED_UNKNOWN || c->duplex != VIRTIO_NET_DUPLEX_UNKNOWN)
		f |= VIRTIO_BIT(F_SPEED_DUPLEX);
	return f;
}

/* Configuration space ends behind the last field that is offered; the legacy BAR's size follows from it. */
static unsigned config_length(uint64_t features)
{
	if (features & VIRTIO_BIT(F_SPEED_DUPLEX))
		return CONFIG_DUPLEX + 1;
	if (features & VIRTIO_BIT(F_MTU))
		return CONFIG_SPEED;
	return features & VIRTIO_BIT(F_MQ) ? CONFIG_MTU : CONFIG_PAIRS;
}

static bool good_size(unsigned size)
{
	return size >= 64 && size <= VIRTQ_SIZE_MAX && !(size & (size - 1));
}

static bool check(const struct virtio_net_config *c, struct err *err)
{
	if (!c->queues || c->queues > VIRTIO_NET_PAIRS_MAX)
		return err_set(err, "%s: %u queues; 1 to %u are possible", c->name, c->queues, VIRTIO_NET_PAIRS_MAX);
	if (!good_size(c->rx_queue_size))
		return err_set(err, "%s: rx_queue_size %u is not a power of two from 64 to %u", c->name, c->rx_queue_size,
			       VIRTQ_SIZE_MAX);
	if (!good_size(c->tx_queue_size))
		return err_set(err, "%s: tx_queue_size %u is not a power of two from 64 to %u", c->name, c->tx_queue_size,
			       VIRTQ_SIZE_MAX);
	if (c->host_mtu && c->host_mtu < 68)
		return err_set(err, "%s: host_mtu %u is less than 68, the least of IPv4", c->name, c->host_mtu);
	return true;
}

struct virtio_net *virtio_net_new(const struct virtio_net_config *config, struct err *err)
{
	struct virtio_net *s;
	struct virtio_config v = {
		.pci = config->pci, .clock = config->clock, .states = config->states, .name = config->name, .type = 1,
		.legacy_id = 0x1000, .class_code = 0x02, .subclass = 0x00, .devfn = config->devfn,
		.disable_legacy = config->disable_legacy, .disable_modern = config->disable_modern,
		.quick = true, .features = offered(config), .queues = 2 * config->queues + 1, .ops = &net_ops,
		.vectors = config->vectors == VIRTIO_NET_VECTORS_AUTO ? 2 * config->queues + 2 : config->vectors,
	};

	if (!check(config, err))
		return NULL;
	s = calloc(1, sizeof(*s));
	assert(s);
	s->cfg = *config;
	s->cfg.rom = NULL;
	v.owner = s;
	v.config_len = config_length(v.features);
	for (unsigned i = 0; i < v.queues; i++)
		v.queue_size[i] = i & 1 ? (uint16_t)config->tx_queue_size : (uint16_t)config->rx_queue_size;
	v.queue_size[v.queues - 1] = 64;
	port_init(&s->port, &net_port_ops, s, config->name);
	s->port.guard = config->guard;
	bell_init(&s->bell, config->clock, update_port, s);
	timer_init(&s->tx_timer, config->clock, signal_sent, s);
	if (!virtio_init(&s->v, &v, err)) {
		bell_cancel(&s->bell);
		free(s);
		return NULL;
	}
	if (config->rom && !pci_rom_image(s->v.pci, config->rom, config->rom_len, config->rom_patch_ids, err)) {
		virtio_net_free(s);
		return NULL;
	}
	state_add(config->states, &(struct state_section){ .name = "virtio-net", .instance = config->instance,
		.version = 1, .data = &s->s, .size = sizeof(s->s), .owner = s, .loaded = loaded });
	return s;
}

void virtio_net_free(struct virtio_net *s)
{
	if (!s)
		return;
	port_part(&s->port);
	bell_cancel(&s->bell);
	timer_cancel(&s->tx_timer);
	virtio_exit(&s->v);
	free(s);
}

struct port *virtio_net_port(struct virtio_net *s)
{
	return &s->port;
}

struct pci_device *virtio_net_pci(struct virtio_net *s)
{
	return s->v.pci;
}

bool virtio_net_announce(struct virtio_net *s)
{
	if (!has(s, F_GUEST_ANNOUNCE) || !has(s, F_CTRL_VQ) || !has(s, F_STATUS) || !link_up(s))
		return false;
	s->v.s.config[CONFIG_STATUS] |= STATUS_ANNOUNCE;
	virtio_config_changed(&s->v);
	return true;
}

static void print_table(const char *what, const struct filter_table *t, bool overflow,
			void (*out)(void *to, const char *line), void *to)
{
	char line[80];

	if (overflow) {
		snprintf(line, sizeof(line), "  %s: all (more than %u)", what, FILTER_TABLE_MAX);
		out(to, line);
	}
	for (unsigned i = 0; i < t->count; i++) {
		const uint8_t *m = t->mac[i];

		snprintf(line, sizeof(line), "  %s: %02x:%02x:%02x:%02x:%02x:%02x", what, m[0], m[1], m[2], m[3], m[4], m[5]);
		out(to, line);
	}
}

void virtio_net_print(struct virtio_net *s, void (*out)(void *to, const char *line), void *to)
{
	const uint8_t *m = s->v.s.config + CONFIG_MAC;
	char line[160];

	snprintf(line, sizeof(line), "  macaddr=%02x:%02x:%02x:%02x:%02x:%02x link=%s status=0x%02x features=0x%" PRIx64,
		 m[0], m[1], m[2], m[3], m[4], m[5], link_up(s) ? "up" : "down", s->v.s.status, s->v.s.driver_features);
	out(to, line);
	snprintf(line, sizeof(line), "  rx: promiscuous=%s queues=%u filtered=%" PRIu64 " dropped=%" PRIu64
		 "; tx: bad=%" PRIu64, s->s.promisc ? "on" : "off", s->s.pairs, s->rx_filtered, s->rx_dropped, s->tx_dropped);
	out(to, line);
	print_table("unicast", &s->s.unicast, s->s.unicast_overflow, out, to);
	print_table("multicast", &s->s.multicast, s->s.multicast_overflow, out, to);
}
