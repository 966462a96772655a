/* SPDX-License-Identifier: MIT */
/*
 * -netdev, -nic, -net and the cards of -device: who is plugged to whom.  First the whole plan is checked, with no backend
 * made (network_plan); then backends come up (they bind the forwarded ports), then the cards on the PCI bus.
 * The order is QEMU's, because MAC addresses and PCI slots follow it: -netdev, -nic, -net, -device.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/log.h"
#include "emu/machine.h"

enum { BOARD_NICS = 8, NO_HUB = -1 };

struct netdev *network_netdev(struct machine *m, const char *id)
{
	for (unsigned i = 0; i < m->netdev_count; i++)
		if (!strcmp(m->netdevs[i].id, id))
			return &m->netdevs[i];
	return NULL;
}

struct port *network_port(struct machine *m, const char *name)
{
	struct netdev *n = network_netdev(m, name);

	if (n)
		return n->port;
	for (unsigned i = 0; i < m->nic_count; i++)
		if (!strcmp(m->nics[i].name, name))
			return m->nics[i].port;
	return NULL;
}

/* --- backends ----------------------------------------------------------------------------------------------------- */

static bool check_type(const char *type, struct err *err)
{
	static const char *const absent[] = {
		"tap", "bridge", "socket", "stream", "dgram", "l2tpv3", "vde", "netmap", "vhost-user", "vhost-vdpa", "af-xdp", "passt",
	};

	if (!strcmp(type, "user") || !strcmp(type, "hubport"))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		if (!strcmp(type, absent[i]))
			return err_set(err, "network backend '%s' is not compiled into this binary (user, hubport)", type);
	return err_set(err, "Parameter 'type' does not accept value '%s' (user, hubport)", type);
}

/* The stack's settings from the options of a user netdev. */
static bool user_config(struct opts *o, struct unet_config *c, struct err *err)
{
	unet_config_defaults(c);
	for (size_t i = 0; i < o->count; i++) {
		struct opt *e = &o->list[i];

		if (!strcmp(e->key, "smb") || !strcmp(e->key, "smbserver"))
			return err_set(err, "'%s' is not part of this build", e->key);
		if (!unet_config_knows(e->key))
			continue;
		e->used = true;
		if (!unet_config_set(c, e->key, e->value, err))
			return false;
	}
	return unet_config_finish(c, err);
}

static bool plan_user(struct netdev *n, struct err *err)
{
	struct unet_config config;

	if (!user_config(n->opts, &config, err))
		return false;
	n->net = config.net;
	n->net.s_addr &= config.mask.s_addr;
	n->restricted = config.restricted;
	return true;
}

static bool plan_hubport(struct machine *m, struct netdev *n, struct err *err)
{
	const char *netdev = opts_get(n->opts, "netdev");
	uint64_t id = 0;

	if (!opts_get(n->opts, "hubid"))
		return err_set(err, "Parameter 'hubid' is missing");
	if (!opts_number(n->opts, "hubid", 0, INT32_MAX, &id, err))
		return false;
	n->hubport = true;
	n->hubid = (int)id;
	n->plugged = netdev ? network_netdev(m, netdev) : NULL;
	if (netdev && !n->plugged)
		return err_set(err, "netdev '%s' not found", netdev);
	if (n->plugged && (n->plugged->taken || n->plugged->hubport || n->plugged->nic))
		return err_set(err, "netdev '%s' is already in use", netdev);
	if (n->plugged)
		n->plugged->taken = true;
	return true;
}

static struct netdev *add_netdev(struct machine *m, const struct option_item *item, struct opts *opts, const char *id, int hub,
				 struct err *err)
{
	const char *type = opts_get(opts, "type");
	struct netdev n = { .item = item, .opts = opts, .hub = hub };
	char made_up[16];

	if (m->netdev_count == MACHINE_NETDEVS) {
		err_set(err, "more than %d network backends", MACHINE_NETDEVS);
		return NULL;
	}
	if (!id) {
		snprintf(made_up, sizeof(made_up), "#net%03u", m->netdev_count);
		id = made_up;
	} else if (network_netdev(m, id)) {
		err_set(err, "Duplicate ID '%s' for netdev", id);
		return NULL;
	}
	if (!check_type(type ? type : "user", err) ||
	    !(type && !strcmp(type, "hubport") ? plan_hubport(m, &n, err) : plan_user(&n, err)) || !opts_done(opts, err))
		return NULL;
	if (hub >= 0)
		n.hub_port = m->net_clients++;
	n.id = strdup(id);
	m->netdevs[m->netdev_count] = n;
	return &m->netdevs[m->netdev_count++];
}

/* --- hubs --------------------------------------------------------------------------------------------------------- */

static struct port *add_hub_port(struct machine *m, int id, const char *name, struct err *err)
{
	struct hub *h = NULL;
	struct port *p;

	for (unsigned i = 0; i < m->hub_count && !h; i++)
		if (hub_id(m->hubs[i]) == id)
			h = m->hubs[i];
	if (!h && m->hub_count < MACHINE_HUBS)
		h = m->hubs[m->hub_count++] = hub_new(id);
	p = h ? hub_add(h, name) : NULL;
	if (!p)
		err_set(err, h ? "hub %d has no more than %d ports" : "hub %d: no more than %d hubs", id, h ? HUB_PORTS_MAX : MACHINE_HUBS);
	return p;
}

/* The port of hub 0 for a client of -net. */
static struct port *add_client_port(struct machine *m, unsigned number, struct err *err)
{
	char **name = &m->hub_port_names[number];

	if (asprintf(name, "hub0port%u", number) < 0)
		*name = NULL;
	return add_hub_port(m, 0, *name, err);
}

/* Hub 0 with one backend and one card is a cable: nothing has to be copied. */
static void plug_hub(struct machine *m)
{
	struct netdev *netdev = NULL;
	struct nic *nic = NULL;
	unsigned clients = 0;

	for (unsigned i = 0; i < m->netdev_count; i++) {
		m->hub0_shared |= m->netdevs[i].hubport && m->netdevs[i].hubid == 0;
		if (m->netdevs[i].hub != 0)
			continue;
		netdev = &m->netdevs[i];
		clients++;
	}
	for (unsigned i = 0; i < m->nic_count; i++) {
		if (m->nics[i].hub != 0)
			continue;
		nic = &m->nics[i];
		clients++;
	}
	m->hub0_shared |= clients > 2 || (clients == 2 && (!netdev || !nic));
	if (!m->hub0_shared && netdev && nic) {
		netdev->nic = nic;
		nic->netdev = netdev;
	}
}

static bool join_backend(struct machine *m, struct netdev *n, struct err *err)
{
	struct port *p;

	if (n->hubport) {
		n->port = add_hub_port(m, n->hubid, n->id, err);
		if (n->port && n->plugged)
			port_join(n->port, n->plugged->port);
		return n->port;
	}
	if (n->hub != 0 || !m->hub0_shared)
		return true;
	p = add_client_port(m, n->hub_port, err);
	if (p)
		port_join(n->port, p);
	return p;
}

static int guest_connects(void *owner, const char *target)
{
	struct machine *m = owner;

	for (unsigned i = 0; i < m->guest_stream_count; i++)
		if (!strcmp(m->guest_streams[i].target, target))
			return guest_stream_connect(m->guest_streams[i].stream);
	return -ECONNREFUSED;
}

/* A character device that a guestfwd rule names; two rules may name the same. */
static bool add_guest_stream(struct machine *m, const char *target, struct err *err)
{
	struct guest_stream *stream;
	struct chr *chr;
	char id[32];
	bool none;

	for (unsigned i = 0; i < m->guest_stream_count; i++)
		if (!strcmp(m->guest_streams[i].target, target))
			return true;
	if (m->guest_stream_count == ARRAY_SIZE(m->guest_streams))
		return err_set(err, "more than %zu character devices", ARRAY_SIZE(m->guest_streams));
	snprintf(id, sizeof(id), "guestfwd%u", m->guest_stream_count);
	chr = streams_from_word(m, target, id, &none, err);
	if (!chr)
		return none ? err_set(err, "'none' is no target of guestfwd") : false;
	stream = guest_stream_new(m->run, chr, err);
	if (!stream)
		return false;
	m->guest_streams[m->guest_stream_count].target = strdup(target);
	m->guest_streams[m->guest_stream_count++].stream = stream;
	return true;
}

bool network_streams(struct machine *m, struct err *err)
{
	for (unsigned i = 0; i < m->netdev_count; i++) {
		struct netdev *n = &m->netdevs[i];
		const char *rule, *target;
		size_t at = 0;

		while (n->unet && (rule = opts_each(n->opts, "guestfwd", &at)) != NULL) {
			target = unet_guestfwd_stream(rule);
			if (!target || add_guest_stream(m, target, err))
				continue;
			err_prefix(err, "guest forwarding rule '%s'", rule);
			if (n->item)
				option_prefix(n->item, err);
			return false;
		}
	}
	return true;
}

bool network_backends(struct machine *m, struct err *err)
{
	for (unsigned i = 0; i < m->netdev_count; i++) {
		struct netdev *n = &m->netdevs[i];
		struct unet_config config;

		if (n->hubport) {
			if (!join_backend(m, n, err))
				goto fail;
			continue;
		}
		if (!user_config(n->opts, &config, err))
			goto fail;
		config.clock = run_loop_clock(m->run);
		config.loop = run_loop(m->run);
		config.guestfwd_open = guest_connects;
		config.guestfwd_owner = m;
		n->unet = unet_new(&config, err);
		if (!n->unet)
			goto fail;
		n->port = unet_port(n->unet);
		n->port->name = n->id;
		if (join_backend(m, n, err))
			continue;
fail:
		if (n->item)
			option_prefix(n->item, err);
		return false;
	}
	return true;
}

/* --- cards -------------------------------------------------------------------------------------------------------- */

/* Six octets; -nic and -net take ':' only, devices '-' too. */
static bool parse_mac(const char *text, uint8_t *mac, bool dashes)
{
	for (int i = 0; i < 6; i++) {
		unsigned v = 0, digits = 0;

		for (; isxdigit((unsigned char)*text) && digits < 2; text++, digits++)
			v = v << 4 | (unsigned)(isdigit((unsigned char)*text) ? *text - '0' : (*text | 0x20) - 'a' + 10);
		if (!digits)
			return false;
		mac[i] = (uint8_t)v;
		if (i < 5 && *text != ':' && !(dashes && *text == '-'))
			return false;
		text += i < 5;
	}
	return *text == '\0';
}

struct nic *network_add_nic(struct machine *m, const struct driver *driver, const struct option_item *item, struct err *err)
{
	struct nic *n;

	if (m->nic_count == MACHINE_NICS) {
		err_set(err, "more than %d network cards", MACHINE_NICS);
		return NULL;
	}
	n = &m->nics[m->nic_count++];
	*n = (struct nic){ .driver = driver, .item = item, .hub = NO_HUB, .bootindex = -1 };
	return n;
}

static unsigned same_model(const struct machine *m, const struct nic *nic)
{
	unsigned n = 0;

	for (const struct nic *other = m->nics; other < nic; other++)
		n += !strcmp(other->driver->model, nic->driver->model);
	return n;
}

/* What is in nic->opts and common to all cards.  The rest is checked by name here, and by value when the card is made. */
bool network_bind_nic(struct machine *m, struct nic *nic, struct err *err)
{
	const char *id = opts_get(&nic->opts, "id"), *mac, *netdev;
	uint64_t bootindex;
	int devfn;

	if (!machine_globals(m, nic->driver, &nic->opts, err))
		return false;
	for (size_t i = 0; i < nic->opts.count; i++)
		if (strcmp(nic->opts.list[i].key, "driver") && !driver_has_property(nic->driver, nic->opts.list[i].key))
			return err_set(err, "Property '%s.%s' not found (-device %s,help lists them)", nic->driver->name,
				       nic->opts.list[i].key, nic->driver->name);
	opts_get(&nic->opts, "driver");
	if (id && !opt_is_id(id))
		return err_set(err, "Parameter 'id' expects an identifier, not '%s'", id);
	for (struct nic *other = m->nics; id && other < nic; other++)
		if (!strcmp(other->name, id))
			return err_set(err, "Duplicate ID '%s' for device", id);
	if (id)
		nic->name = strdup(id);
	else if (asprintf(&nic->name, "%s.%u", nic->driver->model, same_model(m, nic)) < 0)
		return err_set(err, "out of memory");
	mac = opts_get(&nic->opts, "mac");
	if (mac && !parse_mac(mac, nic->mac, true))
		return err_set(err, "Property '%s.mac' doesn't take value '%s'", nic->driver->name, mac);
	if (mac && nic->mac[0] & 1)
		return err_set(err, "NIC cannot have multicast MAC address: '%s'", mac);
	nic->has_mac = mac;
	netdev = opts_get(&nic->opts, "netdev");
	if (netdev) {
		nic->netdev = network_netdev(m, netdev);
		if (!nic->netdev)
			return err_set(err, "Property '%s.netdev' can't find value '%s'", nic->driver->name, netdev);
	}
	if (nic->netdev && (nic->netdev->nic || nic->netdev->taken || nic->netdev->plugged))
		return err_set(err, "Property '%s.netdev' can't take value '%s', it's in use", nic->driver->name, nic->netdev->id);
	if (nic->netdev)
		nic->netdev->nic = nic;
	if (opts_get(&nic->opts, "bootindex")) {
		if (!opts_number(&nic->opts, "bootindex", 0, INT32_MAX, &bootindex, err))
			return false;
		nic->bootindex = (int)bootindex;
	}
	return machine_pci_address(&nic->opts, &devfn, err);
}

/* A card of the board, for -nic and -net nic. */
static struct nic *add_board_nic(struct machine *m, const struct option_item *item, const char *model, const char *mac,
				 struct err *err)
{
	const struct driver *driver = driver_default_nic();
	uint8_t octets[6];
	struct nic *n;

	if (model && !strcmp(model, "virtio"))
		model = "virtio-net-pci";
	if (model)
		driver = driver_find(model);
	if (!driver || driver->kind != DRIVER_NIC) {
		err_set(err, "Unsupported NIC model: %s (-nic model=help lists them)", model);
		return NULL;
	}
	if (mac && !parse_mac(mac, octets, false)) {
		err_set(err, "invalid syntax for ethernet address '%s' (like 52:54:00:12:34:56)", mac);
		return NULL;
	}
	if (mac && octets[0] & 1) {
		err_set(err, "NIC cannot have multicast MAC address '%s'", mac);
		return NULL;
	}
	n = network_add_nic(m, driver, item, err);
	if (n && mac)
		opts_add(&n->opts, "mac", mac);
	return n;
}

static bool plan_nic(struct machine *m, const struct option_item *item, unsigned *board, struct err *err)
{
	struct opts *o = (struct opts *)&item->opts;
	const char *type = opts_get(o, "type"), *model = opts_get(o, "model"), *mac = opts_get(o, "mac");
	const char *id = opts_get(o, "id");
	struct netdev *netdev;
	struct nic *nic;

	if (type && !strcmp(type, "none"))
		return opts_done(o, err);
	if (++*board > BOARD_NICS)
		return err_set(err, "no more on-board/default NIC slots available (%d)", BOARD_NICS);
	if (id && !opt_is_id(id))
		return err_set(err, "Parameter 'id' expects an identifier, not '%s'", id);
	netdev = add_netdev(m, item, o, id, NO_HUB, err);
	nic = netdev ? add_board_nic(m, item, model, mac, err) : NULL;
	if (!nic)
		return false;
	nic->netdev = netdev;
	return network_bind_nic(m, nic, err);
}

static bool plan_net_nic(struct machine *m, const struct option_item *item, unsigned *board, struct err *err)
{
	struct opts *o = (struct opts *)&item->opts;
	const char *netdev = opts_get(o, "netdev"), *mac = opts_get(o, "macaddr"), *model = opts_get(o, "model");
	const char *addr = opts_get(o, "addr"), *vectors = opts_get(o, "vectors"), *name = opts_get(o, "name");
	struct nic *nic;

	if (++*board > BOARD_NICS)
		return err_set(err, "too many NICs (%d)", BOARD_NICS);
	if (opts_get(o, "vlan"))
		return err_set(err, "Invalid parameter 'vlan' (all of -net is on hub 0; -netdev and -device make other networks)");
	nic = add_board_nic(m, item, model, mac, err);
	if (!nic || !opts_done(o, err))
		return false;
	if (addr)
		opts_add(&nic->opts, "addr", addr);
	if (name)
		opts_add(&nic->opts, "id", name);
	if (vectors && driver_has_property(nic->driver, "vectors"))
		opts_add(&nic->opts, "vectors", vectors);
	nic->hub = 0;
	if (!netdev)
		nic->hub_port = m->net_clients++;
	if (netdev) {
		nic->hub = NO_HUB;
		nic->netdev = network_netdev(m, netdev);
		if (!nic->netdev)
			return err_set(err, "netdev '%s' not found", netdev);
	}
	return network_bind_nic(m, nic, err);
}

static bool plan_net(struct machine *m, const struct option_item *item, unsigned *board, struct err *err)
{
	struct opts *o = (struct opts *)&item->opts;
	const char *type = opts_get(o, "type");

	if (!type)
		return err_set(err, "Parameter 'type' is missing (nic, user, none)");
	if (!strcmp(type, "none"))
		return opts_done(o, err);
	if (!strcmp(type, "nic"))
		return plan_net_nic(m, item, board, err);
	if (!strcmp(type, "hubport"))
		return err_set(err, "network backend 'hubport' is only supported with -netdev/-nic");
	if (opts_get(o, "vlan"))
		return err_set(err, "Invalid parameter 'vlan' (all of -net is on hub 0; -netdev and -device make other networks)");
	return add_netdev(m, item, o, opts_get(o, "id"), 0, err);
}

static bool plan_device(struct machine *m, const struct option_item *item, struct err *err)
{
	struct opts *o = (struct opts *)&item->opts;
	const struct driver *driver = driver_find(opts_get(o, "driver"));
	struct nic *nic;

	if (!driver || driver->kind != DRIVER_NIC)
		return true;
	nic = network_add_nic(m, driver, item, err);
	if (!nic)
		return false;
	for (size_t i = 0; i < o->count; i++)
		opts_add(&nic->opts, o->list[i].key, o->list[i].value);
	return network_bind_nic(m, nic, err);
}

/* 52:54:00:12:34:56 and up for the cards without an address of their own; those given are not handed out again. */
static void assign_macs(struct machine *m)
{
	static const uint8_t base[5] = { 0x52, 0x54, 0x00, 0x12, 0x34 };
	bool used[256] = { false };
	unsigned next = 0x56;

	for (unsigned i = 0; i < m->nic_count; i++)
		if (m->nics[i].has_mac && !memcmp(m->nics[i].mac, base, 5))
			used[m->nics[i].mac[5]] = true;
	for (unsigned i = 0; i < m->nic_count; i++) {
		if (m->nics[i].has_mac)
			continue;
		while (next < 0xff && used[next])
			next++;
		memcpy(m->nics[i].mac, base, 5);
		m->nics[i].mac[5] = (uint8_t)next;
		used[next] = true;
	}
}

/* --- filter-dump -------------------------------------------------------------------------------------------------- */

struct dump_options {
	const char *id, *file;
	struct netdev *netdev;
	uint64_t maxlen;
	int direction;                  /* PCAP_ */
};

static bool dump_options(struct machine *m, const struct option_item *item, struct dump_options *d, struct err *err)
{
	struct opts *o = (struct opts *)&item->opts;
	const char *netdev = opts_get(o, "netdev"), *queue = opts_get(o, "queue"), *status = opts_get(o, "status");

	*d = (struct dump_options){ opts_get(o, "id"), opts_get(o, "file"), netdev ? network_netdev(m, netdev) : NULL, 65536, PCAP_BOTH };
	opts_get(o, "qom-type");
	if (!d->id || !netdev || !d->file)
		return err_set(err, "Parameter '%s' is missing", !d->id ? "id" : !netdev ? "netdev" : "file");
	if (!opt_is_id(d->id))
		return err_set(err, "Parameter 'id' expects an identifier, not '%s'", d->id);
	if (!d->netdev)
		return err_set(err, "Parameter 'netdev' expects a network backend id, not '%s'", netdev);
	if (queue && strcmp(queue, "all") && strcmp(queue, "rx") && strcmp(queue, "tx"))
		return err_set(err, "Parameter 'queue' does not accept value '%s' (all, rx, tx)", queue);
	if (queue && strcmp(queue, "all"))
		d->direction = strcmp(queue, "tx") ? PCAP_TO_OWNER : PCAP_FROM_OWNER;
	if (status && strcmp(status, "on"))
		return err_set(err, "Parameter 'status' does not accept value '%s' (on)", status);
	return opts_number(o, "maxlen", 1, 1 << 20, &d->maxlen, err) && opts_done(o, err);
}

static bool plan_dumps(struct machine *m, struct err *err)
{
	unsigned n = 0;

	for (size_t i = 0; i < m->o->count; i++) {
		struct dump_options d;

		if (m->o->items[i].class != OPTION_OBJECT)
			continue;
		if (!(++n > MACHINE_DUMPS ? err_set(err, "more than %d filters", MACHINE_DUMPS) :
		      dump_options(m, &m->o->items[i], &d, err))) {
			option_prefix(&m->o->items[i], err);
			return false;
		}
	}
	return true;
}

bool network_plan(struct machine *m, struct err *err)
{
	const struct options *o = m->o;
	static const enum option_class order[] = { OPTION_NETDEV, OPTION_NIC, OPTION_NET, OPTION_DEVICE };
	static struct opts none;
	unsigned board = 0;

	for (size_t k = 0; k < ARRAY_SIZE(order); k++) {
		for (size_t i = 0; i < o->count; i++) {
			const struct option_item *item = &o->items[i];
			struct opts *opts = (struct opts *)&item->opts;
			const char *id;
			bool ok = true;

			if (item->class != order[k])
				continue;
			switch (item->class) {
			case OPTION_NETDEV:
				id = opts_get(opts, "id");
				if (!id)
					ok = err_set(err, "Parameter 'id' is missing");
				else if (!opt_is_id(id))
					ok = err_set(err, "Parameter 'id' expects an identifier, not '%s'", id);
				else
					ok = add_netdev(m, item, opts, id, NO_HUB, err);
				break;
			case OPTION_NIC:
				ok = plan_nic(m, item, &board, err);
				break;
			case OPTION_NET:
				ok = plan_net(m, item, &board, err);
				break;
			default:
				ok = plan_device(m, item, err);
				break;
			}
			if (!ok) {
				option_prefix(item, err);
				return false;
			}
		}
		if (order[k] == OPTION_NET && o->default_net) {
			struct nic *nic = add_board_nic(m, NULL, NULL, NULL, err);

			m->net_clients++;
			if (!nic || !add_netdev(m, NULL, &none, NULL, 0, err))
				return false;
			nic->hub = 0;
			if (!network_bind_nic(m, nic, err))
				return false;
		}
	}
	assign_macs(m);
	plug_hub(m);
	return plan_dumps(m, err);
}

bool network_cards(struct machine *m, struct err *err)
{
	for (unsigned i = 0; i < m->nic_count; i++) {
		struct nic *n = &m->nics[i];
		int devfn;
		bool ok = machine_pci_address(&n->opts, &devfn, err) && n->driver->make(m, n, devfn, err);

		if (!ok) {
			if (n->item)
				option_prefix(n->item, err);
			else
				err_prefix(err, "default network card %s", n->driver->name);
			return false;
		}
		if (n->netdev && n->netdev->port)
			port_join(n->port, n->netdev->port);
		if (n->hub == 0 && m->hub0_shared) {
			struct port *p = add_client_port(m, n->hub_port, err);

			if (!p)
				return false;
			port_join(n->port, p);
		}
	}
	return true;
}

/* Whether hub `id` has a card (nics) or a backend (!nics) at one of its ports. */
static bool hub_has(const struct machine *m, int id, bool nics)
{
	for (unsigned i = 0; i < m->netdev_count; i++) {
		const struct netdev *n = &m->netdevs[i];

		if (nics ? n->hubport && n->hubid == id && n->nic : (n->hubport && n->hubid == id && n->plugged) || n->hub == id)
			return true;
	}
	for (unsigned i = 0; i < m->nic_count; i++)
		if (nics && m->nics[i].hub == id)
			return true;
	return false;
}

static void warn_netdev(const struct machine *m, const struct netdev *n)
{
	if (n->hubport && !n->plugged && !n->nic)
		log_user("warning: hub port %s has no peer", n->id);
	else if (n->hub >= 0 || n->hubport) {
		if (!hub_has(m, n->hubport ? n->hubid : n->hub, true))
			log_user("warning: hub %d with no nics", n->hubport ? n->hubid : n->hub);
	} else if (!n->nic && !n->taken) {
		log_user("warning: netdev %s has no peer", n->id);
	}
}

void network_warn(const struct machine *m)
{
	if (m->o->default_net)
		return;
	for (unsigned i = 0; i < m->netdev_count; i++)
		warn_netdev(m, &m->netdevs[i]);
	for (unsigned i = 0; i < m->nic_count; i++) {
		const struct nic *n = &m->nics[i];

		if (n->hub >= 0 && !hub_has(m, n->hub, false))
			log_user("warning: hub %d is not connected to host network", n->hub);
		else if (n->netdev && n->netdev->hubport && !hub_has(m, n->netdev->hubid, false))
			log_user("warning: hub %d is not connected to host network", n->netdev->hubid);
		else if (n->hub < 0 && !n->netdev)
			log_user("warning: nic %s has no peer", n->name);
		for (const struct nic *other = m->nics; other < n; other++)
			if (!memcmp(n->mac, other->mac, 6))
				log_user("warning: nics %s and %s have the same MAC address", other->name, n->name);
	}
}

static uint64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

bool network_dumps(struct machine *m, struct err *err)
{
	for (size_t i = 0; i < m->o->count; i++) {
		const struct option_item *item = &m->o->items[i];
		struct dump_options d;
		struct pcap *p;

		if (item->class != OPTION_OBJECT || !dump_options(m, item, &d, err))
			continue;
		/* From the backend's port: "tx" of a netdev is what it sends to the guest. */
		p = pcap_new(&(struct pcap_config){
			.path = d.file, .maxlen = (uint32_t)d.maxlen, .clock = run_loop_clock(m->run), .base_ns = wall_ns() - run_now(m->run),
			.direction = d.direction }, d.netdev->port, err);
		if (!p) {
			option_prefix(item, err);
			return false;
		}
		m->dumps[m->dump_count++] = (struct dump){ strdup(d.id), strdup(d.file), d.maxlen, d.netdev->port, p };
	}
	return true;
}

void network_free(struct machine *m)
{
	for (unsigned i = 0; i < m->dump_count; i++) {
		pcap_free(m->dumps[i].pcap);
		free(m->dumps[i].id);
		free(m->dumps[i].file);
	}
	for (unsigned i = 0; i < m->nic_count; i++) {
		struct nic *n = &m->nics[i];

		if (n->card) {
			port_part(n->port);
			n->driver->free(n);
		}
		opts_free(&n->opts);
		free(n->name);
	}
	for (unsigned i = 0; i < m->hub_count; i++)
		hub_free(m->hubs[i]);
	for (size_t i = 0; i < ARRAY_SIZE(m->hub_port_names); i++)
		free(m->hub_port_names[i]);
	for (unsigned i = 0; i < m->netdev_count; i++) {
		unet_free(m->netdevs[i].unet);
		free(m->netdevs[i].id);
	}
	for (unsigned i = 0; i < m->guest_stream_count; i++) {
		guest_stream_free(m->guest_streams[i].stream);
		free(m->guest_streams[i].target);
	}
}
