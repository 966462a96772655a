/* SPDX-License-Identifier: MIT */
/* What virtio_net.c and virtio_net_ctrl.c share: the inside of the card. */
#ifndef HW_NIC_VIRTIO_NET_IMPL_H
#define HW_NIC_VIRTIO_NET_IMPL_H

#include "base/clock.h"
#include "hw/nic/filter.h"
#include "hw/nic/virtio_net.h"
#include "hw/virtio.h"
#include "net/port.h"

enum {
	F_CSUM = 0, F_GUEST_CSUM = 1, F_CTRL_GUEST_OFFLOADS = 2, F_MTU = 3, F_MAC = 5, F_GSO = 6 /* legacy */,
	F_GUEST_TSO4 = 7, F_GUEST_TSO6 = 8, F_GUEST_ECN = 9, F_GUEST_UFO = 10, F_HOST_TSO4 = 11, F_HOST_TSO6 = 12,
	F_HOST_ECN = 13, F_HOST_UFO = 14, F_MRG_RXBUF = 15, F_STATUS = 16, F_CTRL_VQ = 17, F_CTRL_RX = 18,
	F_CTRL_VLAN = 19, F_CTRL_RX_EXTRA = 20, F_GUEST_ANNOUNCE = 21, F_MQ = 22, F_CTRL_MAC_ADDR = 23,
	F_GUEST_USO4 = 54, F_GUEST_USO6 = 55, F_HOST_USO = 56, F_SPEED_DUPLEX = 63,

	CONFIG_MAC = 0, CONFIG_STATUS = 6, CONFIG_PAIRS = 8, CONFIG_MTU = 10, CONFIG_SPEED = 12, CONFIG_DUPLEX = 16,
	STATUS_LINK_UP = 1, STATUS_ANNOUNCE = 2,

	BATCH = 64,                     /* frames handed to the port at once */
};

#define GUEST_OFFLOADS (VIRTIO_BIT(F_GUEST_CSUM) | VIRTIO_BIT(F_GUEST_TSO4) | VIRTIO_BIT(F_GUEST_TSO6) | \
	VIRTIO_BIT(F_GUEST_ECN) | VIRTIO_BIT(F_GUEST_UFO) | VIRTIO_BIT(F_GUEST_USO4) | VIRTIO_BIT(F_GUEST_USO6))

struct virtio_net {
	struct virtio_net_config cfg;
	struct virtio v;
	struct port port;
	struct bell bell;               /* brings the port in line with what the driver chose */
	bool forget;                    /* frames kept by a short send will not come again */
	int tx_first;                   /* queue whose send was short: it goes on first; -1: none */
	uint32_t tx_later;              /* queues that wait for it */
	struct timer tx_timer;          /* interrupts that wait, a bit per queue */
	uint32_t tx_unsignalled;
	uint64_t rx_dropped, rx_filtered, tx_dropped;
	/* the batch being sent */
	struct frame frame[BATCH];
	uint16_t head[BATCH];
	struct iovec iov[BATCH][FRAME_IOV_SEND];
	uint8_t bounce[FRAME_MAX];
	/* what reset restores: */
	struct virtio_net_state {
		bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
		bool unicast_overflow, multicast_overflow;
		struct filter_table unicast, multicast;
		uint8_t vlan[4096 / 8];
		uint16_t pairs;         /* in use */
		uint64_t offloads;      /* GUEST_ features in force */
	} s;
};

static inline bool has(const struct virtio_net *s, unsigned feature)
{
	return virtio_has(&s->v, feature);
}

/* The driver has put commands into the control queue. */
void virtio_net_control(struct virtio_net *s, struct virtq *q);

#endif
