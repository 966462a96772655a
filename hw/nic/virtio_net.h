/* SPDX-License-Identifier: MIT */
/* virtio-net-pci: the paravirtual network card (VIRTIO 1.1, section 5.1), transitional, modern or legacy. */
#ifndef HW_NIC_VIRTIO_NET_H
#define HW_NIC_VIRTIO_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/port.h"

struct clock;
struct pci_bus;
struct pci_device;
struct state_list;
struct virtio_net;

enum {
	VIRTIO_NET_PAIRS_MAX = 8,       /* queue pairs (netdev queues=) */
	VIRTIO_NET_VECTORS_AUTO = 0xffff, VIRTIO_NET_SPEED_UNKNOWN = -1, VIRTIO_NET_DUPLEX_UNKNOWN = 0xff,
};

/* virtio_net_defaults fills in what QEMU's card has; then set what differs. */
struct virtio_net_config {
	struct pci_bus *pci;
	struct clock *clock;
	struct state_list *states;
	const struct port_guard *guard; /* the machine lock; NULL: single-threaded */
	unsigned instance;              /* of the state section; unique among virtio-net cards */
	const char *name;               /* kept: of the port, "virtio-net-pci.0" */
	uint8_t mac[6];
	int devfn;                      /* -1: first free slot */
	const void *rom;                /* option ROM image (copied); NULL: none */
	size_t rom_len;
	bool rom_patch_ids;             /* it is the default one: put the card's ids into it */

	/* properties, by QEMU's names where they are not feature bits */
	unsigned queues;                /* pairs, 1..8; offered as VIRTIO_NET_F_MQ if the feature is on and more than one */
	unsigned rx_queue_size, tx_queue_size;  /* powers of two, 64..1024 */
	unsigned vectors;               /* MSI-X; 0: none, only the line; VIRTIO_NET_VECTORS_AUTO: two per pair and two more */
	uint16_t host_mtu;              /* 0: not offered */
	int32_t speed;                  /* Mb/s */
	uint8_t duplex;                 /* 0 half, 1 full */
	bool disable_legacy, disable_modern;
	uint64_t features;              /* what may be offered: virtio_net_property changes it */
};

void virtio_net_defaults(struct virtio_net_config *c);
/* The on/off properties (csum, gso, mrg_rxbuf, event_idx...) by name.  false: no such property. */
bool virtio_net_property(struct virtio_net_config *c, const char *name, bool on);
/* The names, in order, NULL-terminated: for -device virtio-net-pci,help. */
extern const char *const virtio_net_property_names[];

struct virtio_net *virtio_net_new(const struct virtio_net_config *config, struct err *err);
void virtio_net_free(struct virtio_net *s);     /* parts its port; the PCI device stays the bus's */
struct port *virtio_net_port(struct virtio_net *s);
struct pci_device *virtio_net_pci(struct virtio_net *s);
/* Asks the guest to announce its addresses (VIRTIO_NET_S_ANNOUNCE, section 5.1.6.5.4); false: its driver does not. */
bool virtio_net_announce(struct virtio_net *s);
/* MAC address as the guest has set it, filters, counters: one line each. */
void virtio_net_print(struct virtio_net *s, void (*out)(void *to, const char *line), void *to);

#endif
