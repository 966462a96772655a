/* SPDX-License-Identifier: MIT */
/* The small languages of the options' values: forwards, destinations, addresses. */
#ifndef UNET_RULES_H
#define UNET_RULES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"
#include "unet/addr.h"
#include "unet/unet.h"

/* "1.2.3.4", "fe80::1%eth0". */
bool address_parse(const char *text, uint16_t port, struct sockaddr_storage *a);
/* An address as rules have it: "1.2.3.4" or "[fec0::1]". */
bool rule_address(const char *word, struct addr *a);
/* Cuts "1.2.3.4:" or "[fec0::1]:" off; false if there is no ':'. */
bool rule_take_address(const char **text, char *word, size_t room);
/* "PORT" or "PORT-PORT". */
bool rule_ports(const char *text, long min, uint16_t *first, uint16_t *last);

/* A destination, "NET[:PORTS]": `allow` stays as it is.  Returns NULL, or what is wrong. */
const char *filter_parse(const char *text, struct unet_filter *f);

/* A forward.  Several ports in a row are one rule. */
struct hostfwd_rule {
	bool udp;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* of a unix socket; "": none */
	struct addr host, guest;
	bool any_guest;                 /* no guest address given: the first DHCP address */
	uint16_t host_port, guest_port, ports;
};

/*
 * "[tcp|udp]:[HADDR]:HPORT[-HPORT]-[GADDR]:GPORT[-GPORT]" or "unix:/PATH-[GADDR]:GPORT"; IPv6 addresses stand in brackets.
 * err: Invalid host forwarding rule 'R' (REASON)
 */
bool hostfwd_parse(const char *text, struct hostfwd_rule *r, struct err *err);
/* "[tcp|udp]:[HADDR]:HPORT[-HPORT]" or "unix:/PATH": what hostfwd_remove takes. */
bool hostfwd_parse_host(const char *text, struct hostfwd_rule *r);

/* "[tcp]:[ADDR]:PORT-TARGET" */
struct guestfwd_rule {
	struct addr address;
	bool any_address;               /* none given: the network's number 4 */
	uint16_t port;
	enum { GUESTFWD_STREAM, GUESTFWD_COMMAND, GUESTFWD_SOCKET } kind;
	struct sockaddr_storage to;     /* GUESTFWD_SOCKET; AF_UNSPEC: the target is a name, to be looked up */
	const char *target;             /* what follows, without cmd: */
};
/* err: Invalid guest forwarding rule 'R' (REASON) */
bool guestfwd_parse(const char *text, struct guestfwd_rule *r, struct err *err);

/* Whether everything in the config is within its bounds: for embedders that fill in the fields themselves. */
bool unet_config_check(const struct unet_config *c, struct err *err);

#endif
