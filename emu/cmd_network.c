/* SPDX-License-Identifier: MIT */
/* Monitor commands about the network. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "emu/machine.h"
#include "emu/monitor.h"
#include "net/eth.h"

static void nic_line(struct monitor *mon, const char *prefix, const struct nic *n)
{
	monitor_printf(mon, "%s%s: index=0,type=nic,model=%s,macaddr=%02x:%02x:%02x:%02x:%02x:%02x\n", prefix, n->name, n->driver->model,
		       n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5]);
}

static void netdev_line(struct monitor *mon, struct machine *m, const char *prefix, const struct netdev *n)
{
	char net[INET_ADDRSTRLEN] = "";
	bool any = false;

	inet_ntop(AF_INET, &n->net, net, sizeof(net));
	monitor_printf(mon, "%s%s: index=0,type=user,net=%s,restrict=%s\n", prefix, n->id, net, n->restricted ? "on" : "off");
	for (unsigned i = 0; i < m->dump_count; i++) {
		if (m->dumps[i].port != n->port)
			continue;
		if (!any)
			monitor_printf(mon, "filters:\n");
		any = true;
		monitor_printf(mon, "  - %s: type=filter-dump,file=%s,maxlen=%" PRIu64 ",position=tail,status=on,insert=behind,"
			       "netdev=%s,queue=all\n", m->dumps[i].id, m->dumps[i].file, m->dumps[i].maxlen, n->id);
	}
}

/* What is plugged into one port of a hub, newest port first. */
static void print_hub(struct monitor *mon, struct machine *m, int id)
{
	char prefix[80];
	bool any = false;

	for (unsigned port = m->net_clients; id == 0 && port-- > 0;) {
		snprintf(prefix, sizeof(prefix), " \\ hub0port%u: ", port);
		for (unsigned i = 0; i < m->netdev_count; i++) {
			if (m->netdevs[i].hub != 0 || m->netdevs[i].hub_port != port)
				continue;
			if (!any)
				monitor_printf(mon, "hub 0\n");
			any = true;
			netdev_line(mon, m, prefix, &m->netdevs[i]);
		}
		for (unsigned i = 0; i < m->nic_count; i++) {
			if (m->nics[i].hub != 0 || m->nics[i].hub_port != port)
				continue;
			if (!any)
				monitor_printf(mon, "hub 0\n");
			any = true;
			nic_line(mon, prefix, &m->nics[i]);
		}
	}
	for (unsigned i = m->netdev_count; i-- > 0;) {
		const struct netdev *n = &m->netdevs[i];

		if (!n->hubport || n->hubid != id)
			continue;
		if (!any)
			monitor_printf(mon, "hub %d\n", id);
		any = true;
		snprintf(prefix, sizeof(prefix), " \\ %.60s: ", n->id);
		if (n->plugged)
			netdev_line(mon, m, prefix, n->plugged);
		else if (n->nic)
			nic_line(mon, prefix, n->nic);
		else
			monitor_printf(mon, " \\ %s\n", n->id);
	}
}

/* The hubs first; then backends nobody uses, and cards with their backend below. */
static void info_network(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	(void)argc, (void)argv, (void)slash;
	print_hub(mon, m, 0);
	for (unsigned i = 0; i < m->hub_count; i++)
		if (hub_id(m->hubs[i]) != 0)
			print_hub(mon, m, hub_id(m->hubs[i]));
	for (unsigned i = 0; i < m->netdev_count; i++)
		if (m->netdevs[i].hub < 0 && !m->netdevs[i].hubport && !m->netdevs[i].nic && !m->netdevs[i].taken)
			netdev_line(mon, m, "", &m->netdevs[i]);
	for (unsigned i = 0; i < m->nic_count; i++) {
		const struct nic *n = &m->nics[i];

		if (n->hub >= 0 || (n->netdev && n->netdev->hubport))
			continue;
		nic_line(mon, "", n);
		if (n->netdev)
			netdev_line(mon, m, " \\ ", n->netdev);
	}
}

static void info_usernet(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	(void)argc, (void)argv, (void)slash;
	for (unsigned i = 0; i < m->netdev_count; i++) {
		if (!m->netdevs[i].unet)
			continue;
		monitor_printf(mon, "Hub %d (%s):\n", m->netdevs[i].hub, m->netdevs[i].id);
		unet_print(m->netdevs[i].unet, monitor_line, mon);
	}
}

static void info_usernet_counters(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	(void)argc, (void)argv, (void)slash;
	for (unsigned i = 0; i < m->netdev_count; i++) {
		if (!m->netdevs[i].unet)
			continue;
		monitor_printf(mon, "%s:\n", m->netdevs[i].id);
		unet_print_counters(m->netdevs[i].unet, monitor_line, mon);
	}
}

/* "[netdev_id] RULE": the stack meant, NULL with a message. */
static struct unet *find_stack(struct monitor *mon, struct machine *m, int argc, char **argv, char **rule)
{
	*rule = argv[argc > 2 ? 2 : 1];
	if (argc > 2) {
		struct netdev *n = network_netdev(m, argv[1]);

		if (!n || !n->unet)
			monitor_printf(mon, n ? "invalid device specified\n" : "unrecognized netdev id '%s'\n", argv[1]);
		return n ? n->unet : NULL;
	}
	for (unsigned i = 0; i < m->netdev_count; i++)
		if (m->netdevs[i].unet)
			return m->netdevs[i].unet;
	monitor_printf(mon, "user mode network stack not in use\n");
	return NULL;
}

static void hostfwd_add(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	char *rule;
	struct unet *u = find_stack(mon, m, argc, argv, &rule);
	struct err err;

	(void)slash;
	if (u && !unet_hostfwd_add(u, rule, NULL, &err))
		monitor_printf(mon, "%s\n", err.text);
}

static void hostfwd_remove(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	char *rule;
	struct unet *u = find_stack(mon, m, argc, argv, &rule);
	struct err err;

	(void)slash;
	if (u && !unet_hostfwd_remove(u, rule, &err))
		monitor_printf(mon, "%s\n", err.text);
	else if (u)
		monitor_printf(mon, "host forwarding rule for %s removed\n", rule);
}

static void set_link(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	struct port *p = network_port(m, argv[1]);
	bool up;

	(void)argc, (void)slash;
	if (strcmp(argv[2], "on") && strcmp(argv[2], "off")) {
		monitor_printf(mon, "Expected 'on' or 'off'\nTry \"help set_link\" for more information\n");
		return;
	}
	up = !strcmp(argv[2], "on");
	if (!p)
		monitor_printf(mon, "Error: Device '%s' not found\n", argv[1]);
	else
		port_set_link(p, up);
}

/* A reverse ARP request (RFC 903) from the card's own address: switches learn where it is, and nobody answers. */
static void send_rarp(struct nic *nic)
{
	uint8_t frame[FRAME_MIN] = { 0 };

	memset(frame, 0xff, ETH_ALEN);
	memcpy(frame + ETH_ALEN, nic->mac, ETH_ALEN);
	put_be16(frame + ETH_TYPE, ETHERTYPE_RARP);
	put_be16(frame + ETH_HLEN, 1);                  /* Ethernet, IPv4 */
	put_be16(frame + ETH_HLEN + 2, ETHERTYPE_IP4);
	frame[ETH_HLEN + 4] = ETH_ALEN;
	frame[ETH_HLEN + 5] = 4;
	put_be16(frame + ETH_HLEN + 6, 3);              /* request reverse */
	memcpy(frame + ETH_HLEN + 8, nic->mac, ETH_ALEN);
	memcpy(frame + ETH_HLEN + 18, nic->mac, ETH_ALEN);
	if (!nic->port->waiting && !nic->port->sending) /* not into the middle of the card's own sending */
		port_send_bytes(nic->port, frame, sizeof(frame));
}

static void announce_self(struct monitor *mon, struct machine *m, int argc, char **argv, const char *slash)
{
	bool found = argc == 1;

	(void)slash;
	run_lock(m->run);
	for (unsigned i = 0; i < m->nic_count; i++) {
		struct nic *nic = &m->nics[i];

		if (argc > 1 && strcmp(nic->name, argv[1]))
			continue;
		found = true;
		if (!nic->driver->announce || !nic->driver->announce(nic))
			send_rarp(nic);
	}
	run_unlock(m->run);
	if (!found)
		monitor_printf(mon, "Error: Device '%s' not found\n", argv[1]);
}

const struct command cmd_network[] = {
	{ "info network", NULL, "cards, backends and who is plugged to whom", .run = info_network },
	{ "info usernet", NULL, "connections of the user networks", .run = info_usernet },
	{ "info usernet-counters", NULL, "what the user networks passed on, dropped and why", .run = info_usernet_counters },
	{ "hostfwd_add", "[NETDEV] RULE", "forward a port of the host to the guest: [tcp|udp]:[HADDR]:HPORT-[GADDR]:GPORT", .run = hostfwd_add },
	{ "hostfwd_remove", "[NETDEV] RULE", "take a forward back: [tcp|udp]:[HADDR]:HPORT", .run = hostfwd_remove },
	{ "set_link", "NAME on|off", "plug or unplug a card's or a backend's cable", .run = set_link },
	{ "announce_self", "[CARD]", "have the guest (a virtio card's) or the card itself tell the network its addresses",
	  .run = announce_self },
	{ .name = NULL },
};
