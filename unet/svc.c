/* SPDX-License-Identifier: MIT */
/* The services on unet's own addresses: which datagram goes to which. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checksum.h"
#include "lwip/pbuf.h"
#include "unet/stack.h"

enum { DNS_PORT = 53, DATAGRAM_MAX = 2048 };

static void serve_dhcp(struct unet *u, const struct packet *p, struct slice data)
{
	static const uint8_t everyone[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t request[DATAGRAM_MAX];
	struct dhcp_reply r;
	struct addr to, leased;
	struct facts facts = { .needs_csum = true, .csum_start = IP4_HLEN, .csum_offset = 6,
			       .hdr_len = IP4_HLEN + UDP_HLEN };
	uint32_t len = slice_copy(data, 0, request, sizeof(request));
	struct pbuf *q;
	uint8_t *h;

	(void)p;
	if (!dhcp_input(u->dhcp, unet_now(u), request, len, &r))
		return;
	if (r.leased.s_addr) {
		leased = addr_from4(&r.leased);
		neighbor_learn(u, &leased, r.mac);
		u->returned = leased;
	}
	q = ip_alloc((uint32_t)(UDP_HLEN + r.len));
	if (!q)
		return;
	to = addr_from4(&r.to);
	h = q->payload;
	put_be16(h, DHCP_SERVER_PORT);
	put_be16(h + 2, DHCP_CLIENT_PORT);
	put_be16(h + 4, q->tot_len);
	put_be16(h + 6, checksum_fold(checksum_pseudo(u->host.b + 12, to.b + 12, 4, PROTO_UDP, q->tot_len)));
	memcpy(h + UDP_HLEN, r.data, r.len);
	ip_send_to(u, r.to.s_addr == INADDR_BROADCAST ? everyone : r.mac, &u->host, &to, PROTO_UDP, TTL_DEFAULT, q,
		   &facts);
}

static void serve_dhcp6(struct unet *u, const struct packet *p, struct slice data, bool unicast)
{
	uint8_t request[DATAGRAM_MAX];
	struct dhcp6_reply r;
	uint32_t len = slice_copy(data, 0, request, sizeof(request));

	if (dhcp6_input(u->dhcp6, unet_now(u), request, len, unicast, &r))
		udp_send(u, ip_gateway(u, &p->src), DHCP6_SERVER_PORT, &p->src, DHCP6_CLIENT_PORT, r.data, (uint32_t)r.len);
}

static void open_dhcp6(struct unet *u)
{
	struct dhcp6_config c = { .prefix = u->cfg.prefix, .prefixlen = u->cfg.prefixlen, .server = u->cfg.host6, .dns = u->cfg.dns6,
				  .isolated = u->cfg.restricted, .search = u->cfg.dnssearch };
	char host[INET6_ADDRSTRLEN];
	const char *file = u->cfg.bootfile;

	if (file && strstr(file, "://")) {
		c.boot_url = file;
	} else if (file) {
		inet_ntop(AF_INET6, &u->cfg.host6, host, sizeof(host));
		snprintf(u->boot_url, sizeof(u->boot_url), "tftp://[%s]/%s", host, file + (*file == '/'));
		c.boot_url = u->boot_url;
	}
	unet_mac(u, &u->link_host6, c.mac);
	u->dhcp6 = dhcp6_new(&c);
	for (unsigned i = 0; i < u->guestfwd_count; i++)
		if (!addr_is4(guestfwd_address(u, i)))
			dhcp6_reserve(u->dhcp6, (const struct in6_addr *)guestfwd_address(u, i)->b);
}

static void send_tftp(void *owner, const struct tftp_peer *to, uint16_t from_port, const void *data, size_t len)
{
	struct unet *u = owner;
	struct addr dst = addr_from6(to->address);

	unet_enter(u);                  /* a timer of the server's, perhaps */
	udp_send(u, ip_gateway(u, &dst), from_port, &dst, to->port, data, (uint32_t)len);
	unet_leave(u);
}

static void random_tftp(void *owner, void *buf, size_t len)
{
	unet_random(owner, buf, len);
}

static bool serve_tftp(struct unet *u, const struct packet *p, uint16_t src_port, uint16_t dst_port, struct slice data)
{
	struct tftp_peer from = { .port = src_port, .room = (uint16_t)(u->cfg.mtu - ip_hlen(&p->src) - UDP_HLEN) };
	uint8_t request[DATAGRAM_MAX];

	memcpy(from.address, p->src.b, sizeof(from.address));
	return tftp_input(u->tftp, &from, dst_port, request, slice_copy(data, 0, request, sizeof(request)));
}

static bool open_tftp(struct unet *u, struct err *err)
{
	u->tftp_root = tftp_root_open(u->cfg.tftp, err);
	if (!u->tftp_root)
		return false;
	u->tftp = tftp_new(&(struct tftp_config){
		.clock = u->cfg.clock, .files = &tftp_root_files, .files_owner = u->tftp_root,
		.single_port = u->cfg.tftp_single_port,
		.send = send_tftp, .random = random_tftp, .owner = u });
	return u->tftp ? true : err_set(err, "out of memory");
}

bool svc_udp(struct unet *u, struct packet *p, uint16_t src_port, uint16_t dst_port, struct slice data)
{
	enum place place = ip_place(u, &p->dst);

	if (dst_port == DHCP_SERVER_PORT && addr_is4(&p->dst) && (place == PLACE_HOST || place == PLACE_BROADCAST)) {
		serve_dhcp(u, p, data);
		return true;
	}
	if (dst_port == DHCP6_SERVER_PORT && !addr_is4(&p->dst) && (place == PLACE_HOST || place == PLACE_BROADCAST)) {
		serve_dhcp6(u, p, data, place == PLACE_HOST);
		return true;
	}
	if (dst_port == DNS_PORT && place == PLACE_DNS && !u->cfg.restricted && !addr_is_any4(&p->src)) {
		uint8_t query[DATAGRAM_MAX];

		dns_query(u, &p->src, src_port, &p->dst, query, slice_copy(data, 0, query, sizeof(query)));
		return true;
	}
	return u->tftp && place == PLACE_HOST && !addr_is_any4(&p->src) && serve_tftp(u, p, src_port, dst_port, data);
}

bool svc_init(struct unet *u, struct err *err)
{
	const char *bad = dhcp_bad_search(u->dhcp_cfg.dnssearch);

	if (bad)
		return err_set(err, "dnssearch '%s' is not a domain name", bad);
	u->dhcp = dhcp_new(&u->dhcp_cfg);
	open_dhcp6(u);
	u->dns = dns_new(u);
	if (!u->dns)
		return err_set(err, "out of memory");
	return !u->cfg.tftp || open_tftp(u, err);
}

void svc_free(struct unet *u)
{
	dhcp_free(u->dhcp);
	dhcp6_free(u->dhcp6);
	dns_free(u->dns);
	tftp_free(u->tftp);
	tftp_root_close(u->tftp_root);
}
