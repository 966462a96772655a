/* SPDX-License-Identifier: MIT */
/*
 * A DHCP and BOOTP server (RFC 2131, 2132, 951, 1534, 3397, 6842) for one small network: request bytes in, reply bytes
 * out.  It knows nothing of sockets or frames; time is handed in with each request.
 */
#ifndef DHCP_DHCP_H
#define DHCP_DHCP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DHCP_SERVER_PORT = 67, DHCP_CLIENT_PORT = 68, DHCP_REPLY_MAX = 1472, DHCP_LEASES_MAX = 128 };

struct dhcp_config {
	struct in_addr server, net, mask, first;        /* network order; leases start at `first` */
	struct in_addr dns;
	const struct in_addr *reserved; /* addresses that are not given out */
	unsigned reserved_count;
	bool isolated;                  /* give no router and no DNS server (restrict=on) */
	uint16_t mtu;                   /* option 26 if it is not 1500 */
	/* texts that live as long as the server; NULL: none */
	const char *hostname, *domainname, *tftp_server_name, *bootfile;
	const char *const *dnssearch;   /* NULL-terminated, or NULL */
};

struct dhcp_reply {
	uint8_t data[DHCP_REPLY_MAX];
	size_t len;
	struct in_addr to;              /* 255.255.255.255, or the client's address */
	uint8_t mac[6];                 /* the client's: for a unicast reply (it may not answer ARP yet) */
	struct in_addr leased;          /* now belongs to mac; 0.0.0.0: nothing was leased */
};

struct dhcp;

struct dhcp *dhcp_new(const struct dhcp_config *config);        /* copied, but for the texts */
void dhcp_free(struct dhcp *d);
/* Handles the payload of one datagram to port 67.  Returns whether there is a reply. */
bool dhcp_input(struct dhcp *d, uint64_t now_ns, const void *request, size_t len, struct dhcp_reply *reply);
/* Addresses that are offered, leased or declined now. */
unsigned dhcp_leases(const struct dhcp *d, uint64_t now_ns);
/*
 * The search list does not fit DNS's rules (a label over 63 bytes, an empty one)?  Returns the first bad entry or
 * NULL.
 */
const char *dhcp_bad_search(const char *const *dnssearch);

#endif
