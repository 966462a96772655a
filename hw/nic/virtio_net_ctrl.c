/* SPDX-License-Identifier: MIT */
/* The control queue of virtio_net.c (VIRTIO 1.1, 5.1.6.5): receive modes and tables, VLANs, queue pairs, offloads. */
#include "hw/nic/virtio_net_impl.h"

#include "base/bytes.h"
#include "base/log.h"
#include "net/eth.h"

enum {
	CTRL_RX = 0, CTRL_RX_PROMISC = 0, CTRL_RX_ALLMULTI = 1, CTRL_RX_ALLUNI = 2, CTRL_RX_NOMULTI = 3,
	CTRL_RX_NOUNI = 4, CTRL_RX_NOBCAST = 5,
	CTRL_MAC = 1, CTRL_MAC_TABLE_SET = 0, CTRL_MAC_ADDR_SET = 1,
	CTRL_VLAN = 2, CTRL_VLAN_ADD = 0, CTRL_VLAN_DEL = 1,
	CTRL_ANNOUNCE = 3, CTRL_ANNOUNCE_ACK = 0,
	CTRL_MQ = 4, CTRL_MQ_PAIRS_SET = 0,
	CTRL_GUEST_OFFLOADS = 5, CTRL_GUEST_OFFLOADS_SET = 0,
	ACK_OK = 0, ACK_ERR = 1,

	CTRL_BATCH = 64,                /* commands before other work of the loop gets its turn */
};

/* A command's data, behind class and command. */
struct command {
	struct virtq *q;
	const struct virtq_chain *c;
	uint64_t len;
};

static bool data(const struct command *k, uint64_t offset, void *buf, size_t len)
{
	return offset + len <= k->len && virtq_read(k->q, k->c, 2 + offset, buf, len);
}

static bool rx_mode(struct virtio_net *s, unsigned command, const struct command *k)
{
	bool *mode[] = {
		[CTRL_RX_PROMISC] = &s->s.promisc, [CTRL_RX_ALLMULTI] = &s->s.allmulti, [CTRL_RX_ALLUNI] = &s->s.alluni,
		[CTRL_RX_NOMULTI] = &s->s.nomulti, [CTRL_RX_NOUNI] = &s->s.nouni, [CTRL_RX_NOBCAST] = &s->s.nobcast,
	};
	uint8_t on;

	if (command >= ARRAY_SIZE(mode) || !has(s, command >= CTRL_RX_ALLUNI ? F_CTRL_RX_EXTRA : F_CTRL_RX) ||
	    !data(k, 0, &on, 1))
		return false;
	*mode[command] = on;
	return true;
}

static bool read_table(const struct command *k, uint64_t *offset, struct filter_table *t, bool *overflow)
{
	uint8_t count[4];
	uint64_t bytes;

	if (!data(k, *offset, count, sizeof(count)))
		return false;
	bytes = le32(count) * (uint64_t)ETH_ALEN;
	if (bytes > k->len - *offset - sizeof(count))
		return false;
	*overflow = le32(count) > FILTER_TABLE_MAX;
	t->count = *overflow ? 0 : (uint8_t)le32(count);
	if (!data(k, *offset + sizeof(count), t->mac, t->count * (size_t)ETH_ALEN))
		return false;
	*offset += sizeof(count) + bytes;
	return true;
}

static bool mac_command(struct virtio_net *s, unsigned command, const struct command *k)
{
	struct virtio_net_state new = s->s;
	uint8_t mac[ETH_ALEN];
	uint64_t offset = 0;

	if (command == CTRL_MAC_ADDR_SET && has(s, F_CTRL_MAC_ADDR) && k->len == ETH_ALEN &&
	    data(k, 0, mac, ETH_ALEN)) {
		memcpy(s->v.s.config + CONFIG_MAC, mac, ETH_ALEN);
		return true;
	}
	if (command != CTRL_MAC_TABLE_SET || !has(s, F_CTRL_RX) ||
	    !read_table(k, &offset, &new.unicast, &new.unicast_overflow) ||
	    !read_table(k, &offset, &new.multicast, &new.multicast_overflow) || offset != k->len)
		return false;
	s->s = new;
	return true;
}

static bool vlan_command(struct virtio_net *s, unsigned command, const struct command *k)
{
	uint8_t vid[2];
	unsigned v;

	if (command > CTRL_VLAN_DEL || !has(s, F_CTRL_VLAN) || !data(k, 0, vid, sizeof(vid)) || le16(vid) > 4095)
		return false;
	v = le16(vid);
	if (command == CTRL_VLAN_ADD)
		s->s.vlan[v / 8] |= (uint8_t)(1 << v % 8);
	else
		s->s.vlan[v / 8] &= (uint8_t)~(1 << v % 8);
	return true;
}

static bool pairs_command(struct virtio_net *s, unsigned command, const struct command *k)
{
	uint8_t pairs[2];

	if (command != CTRL_MQ_PAIRS_SET || !has(s, F_MQ) || !data(k, 0, pairs, sizeof(pairs)) || !le16(pairs) ||
	    le16(pairs) > s->cfg.queues)
		return false;
	s->s.pairs = le16(pairs);
	return true;
}

static bool offloads_command(struct virtio_net *s, unsigned command, const struct command *k)
{
	uint8_t bits[8];

	if (command != CTRL_GUEST_OFFLOADS_SET || !has(s, F_CTRL_GUEST_OFFLOADS) || !data(k, 0, bits, sizeof(bits)) ||
	    le64(bits) & ~(s->v.s.driver_features & GUEST_OFFLOADS))
		return false;
	s->s.offloads = le64(bits);
	bell_ring(&s->bell);
	return true;
}

static bool obey(struct virtio_net *s, const struct command *k)
{
	uint8_t what[2];

	if (!virtq_read(k->q, k->c, 0, what, sizeof(what)))
		return false;
	switch (what[0]) {
	case CTRL_RX:
		return rx_mode(s, what[1], k);
	case CTRL_MAC:
		return mac_command(s, what[1], k);
	case CTRL_VLAN:
		return vlan_command(s, what[1], k);
	case CTRL_ANNOUNCE:
		if (what[1] != CTRL_ANNOUNCE_ACK || !has(s, F_GUEST_ANNOUNCE))
			return false;
		s->v.s.config[CONFIG_STATUS] &= (uint8_t)~STATUS_ANNOUNCE;
		return true;
	case CTRL_MQ:
		return pairs_command(s, what[1], k);
	case CTRL_GUEST_OFFLOADS:
		return offloads_command(s, what[1], k);
	}
	log_guest("virtio-net", "%s: control command %u of class %u refused", s->cfg.name, what[1], what[0]);
	return false;
}

void virtio_net_control(struct virtio_net *s, struct virtq *q)
{
	struct virtq_chain c;
	unsigned n = 0;

	do {
		for (; n < CTRL_BATCH && virtq_pop(q, &c); n++) {
			struct command k = { q, &c, c.out_len - 2 };
			uint8_t ack;

			if (c.out_len < 2 || !c.in_len) {
				virtio_break(&s->v, "a control command without command or room for the answer");
				return;
			}
			ack = obey(s, &k) ? ACK_OK : ACK_ERR;
			virtq_write(q, &c, 0, &ack, 1);
			virtq_push(q, c.head, 1);
		}
		virtq_flush(q);
		if (n == CTRL_BATCH) {
			virtio_ring(&s->v, q->index);
			return;
		}
	} while (virtq_want_kicks(q));
}
