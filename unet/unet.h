/* SPDX-License-Identifier: MIT */
/*
 * unet: a user-mode network.  One instance is a NAT firewall with the address plan of QEMU's -netdev user: gateway and
 * services on 10.0.2.2, DNS relay on 10.0.2.3, guests from 10.0.2.15; by IPv6 fec0::2 and fec0::3.  Frames come and go
 * through a struct port.
 *
 * An instance is used by one thread.  Time, randomness and sockets are handed in; a test brings its own of each.
 * Nothing that a guest or a peer sends makes it block, exit, or grow past its configured limits.
 */
#ifndef UNET_UNET_H
#define UNET_UNET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "net/port.h"

struct unet;

/*
 * The host's sockets.  The default (unet_host_sockets) is non-blocking system calls watched by a loop; tests and
 * fuzzers simulate.  All calls return >= 0 or -errno, and none blocks.
 */
struct unet_sockets;
const struct unet_sockets *unet_host_sockets(void);

enum { UNET_DNS_HOSTS = 8, UNET_SEARCHES = 16, UNET_RULES = 256, UNET_FILTERS = 64,
       UNET_MTU_MIN6 = 1280 /* RFC 8200 section 5 */ };

/* A destination that guests may or may not reach. */
struct unet_filter {
	bool allow;
	sa_family_t family;             /* AF_UNSPEC: any address */
	uint8_t net[16], bits;          /* IPv4 as ::ffff:a.b.c.d */
	uint16_t first_port, last_port;
};

enum unet_switch { UNET_UNSET, UNET_OFF, UNET_ON };

struct unet_config {
	struct clock *clock;            /* virtual time; all timers of the stack */
	struct loop *loop;              /* for the default sockets; NULL with simulated ones */
	const struct unet_sockets *sockets;     /* NULL: unet_host_sockets() */
	void *sockets_owner;
	void (*random)(void *owner, void *buf, size_t len);     /* NULL: getrandom(2) */
	void *random_owner;

	bool ipv4, ipv6;
	struct in_addr net, mask, host, dns, dhcpstart;         /* network order */
	struct in6_addr prefix, host6, dns6;
	uint8_t prefixlen;
	bool restricted;                /* restrict=on */
	bool host_loopback;             /* host address reaches the host's loopback */
	uint16_t mtu;                   /* 576..65520; 1500.  Below 1280 there is no IPv6 (RFC 8200 section 5) */
	const char *hostname, *domainname, *tftp_server_name, *bootfile;        /* NULL: none; copied */
	const char *dnssearch[UNET_SEARCHES + 1];       /* copied */
	const char *resolv_conf;        /* NULL: /etc/resolv.conf */
	bool tftp_single_port;          /* TFTP answers from port 69 */
	const char *tftp;               /* folder that the gateway serves by TFTP; NULL: none */
	struct sockaddr_storage dns_host[UNET_DNS_HOSTS];       /* asked instead of those resolv.conf names, if any */
	unsigned dns_hosts;
	const char *hostfwd[UNET_RULES];        /* rules that unet_new() sets up, see unet_hostfwd_add() */
	unsigned hostfwds;
	const char *guestfwd[UNET_RULES];       /* "[tcp]:[ADDR]:PORT-TARGET" */
	unsigned guestfwds;
	/*
	 * A connection of the guest's to a TARGET that is not cmd:, tcp: or unix:.  Returns a connected, non-blocking stream
	 * socket, which the stack closes, or -errno.  NULL: such targets are refused.
	 */
	int (*guestfwd_open)(void *owner, const char *target);
	void *guestfwd_owner;
	struct unet_filter filter[UNET_FILTERS];        /* the first that matches decides (outside.c) */
	unsigned filters;
	struct in_addr outbound4;       /* source of what leaves the host; 0: the host chooses */
	struct in6_addr outbound6;
	const char *outbound_if;        /* interface; NULL: the host's routes choose */
	struct unet_limits {
		/* 0: the default, see docs/NETWORK.md */
		uint32_t tcp_flows, tcp_pending, udp_flows, icmp_flows, fragments;
		uint32_t dns_queries, neighbors;
		uint32_t udp_batch;     /* datagrams taken from a socket at once: 64 KB each, of which little is ever touched */
	} limits;

	/* what unet_config_finish() makes ipv4, ipv6 and all addresses of */
	enum unet_switch ipv4_switch, ipv6_switch;
	const char *net_text, *host_text, *dns_text, *dhcpstart_text;
	const char *ipv6_net_text, *ipv6_prefix_text, *ipv6_prefixlen_text, *ipv6_host_text, *ipv6_dns_text;
};
/* QEMU's defaults: 10.0.2.0/24, fec0::/64 and so on. */
void unet_config_defaults(struct unet_config *c);

/*
 * One option of -netdev user, `net=10.0.9.0/24` say; docs/NETWORK.md lists them.  The text must stay until unet_new().
 * After the last one unet_config_finish() checks what depends on several.  Errors name the option.
 */
bool unet_config_set(struct unet_config *c, const char *key, const char *value, struct err *err);
bool unet_config_finish(struct unet_config *c, struct err *err);
bool unet_config_knows(const char *key);
/* One line for each option. */
void unet_config_help(void (*out)(void *to, const char *line), void *to);

/*
 * `net=`, `host=`, `dns=`, `dhcpstart=` text into the config, with QEMU's rules and messages.  mask and derived addresses
 * are computed; NULL arguments mean "not given".
 */
bool unet_config_addresses(struct unet_config *c, const char *net, const char *host, const char *dns,
			   const char *dhcpstart, struct err *err);

/*
 * The same for IPv6: `ipv6-net=` (PREFIX[/LEN]) or `ipv6-prefix=` and `ipv6-prefixlen=`, `ipv6-host=`, `ipv6-dns=`.
 */
bool unet_config_addresses6(struct unet_config *c, const char *net, const char *prefix, const char *prefixlen,
			    const char *host, const char *dns, struct err *err);

/* Adds one resolver, "ADDR[:PORT]" with IPv6 addresses in brackets if a port follows: dns-host=, repeatable. */
bool unet_config_dns_host(struct unet_config *c, const char *text, struct err *err);

struct unet *unet_new(const struct unet_config *config, struct err *err);
/* Whether the host still has to take what guests have said by TCP. */
bool unet_busy(struct unet *u);
void unet_free(struct unet *u);         /* closes every flow; the port must be parted first */
struct port *unet_port(struct unet *u);

/*
 * "[tcp|udp]:[HADDR]:HPORT[-HPORT]-[GADDR]:GPORT[-GPORT]" or "unix:/PATH-[GADDR]:GPORT", IPv6 addresses in brackets.
 * All ports of a range or none.  On failure err holds QEMU's text: Invalid host forwarding rule 'R' (reason), or Could
 * not set up host forwarding rule 'R': errno text.  Port 0 asks for any free one; *bound (may be NULL) gets it.
 */
bool unet_hostfwd_add(struct unet *u, const char *rule, uint16_t *bound, struct err *err);
/* "[tcp|udp]:[HADDR]:HPORT[-HPORT]" or "unix:/PATH". */
bool unet_hostfwd_remove(struct unet *u, const char *rule, struct err *err);

/* The TARGET of a guestfwd rule that guestfwd_open would be asked for; NULL if it would not. */
const char *unet_guestfwd_stream(const char *rule);

/* The table of `info usernet`, QEMU's columns. */
void unet_print(struct unet *u, void (*out)(void *to, const char *line), void *to);
/* What has happened so far: name, and what it says in `info usernet-counters`. */
#define UNET_COUNTERS(X) \
	X(frames_in, "frames from guests") \
	X(bytes_in, "bytes in them") \
	X(frames_out, "frames to guests") \
	X(bytes_out, "bytes in them") \
	X(tcp_opened, "TCP connections that came about") \
	X(tcp_refused, "refused by the host or the far end") \
	X(tcp_evicted, "closed to make room for others (max-flows, max-pending)") \
	X(udp_opened, "UDP ports of guests that got a socket") \
	X(udp_evicted, "taken back to make room for others (max-udp)") \
	X(icmp_opened, "ping identifiers that got a socket") \
	X(icmp_evicted, "taken back to make room for others (max-ping)") \
	X(dropped_malformed, "packets with a wrong header, length or checksum") \
	X(dropped_source, "from an address that no guest has") \
	X(dropped_destination, "to an address that leads nowhere") \
	X(dropped_station, "frames for another station") \
	X(dropped_protocol, "of a protocol or kind that is not served") \
	X(dropped_restricted, "forbidden by restrict=on") \
	X(dropped_filtered, "forbidden by allow=, deny= or host-loopback=") \
	X(dropped_neighbor, "to a guest that does not answer ARP") \
	X(fragments_timed_out, "packets of which fragments were missing") \
	X(limit_frames, "frames to guests for which the queue was full") \
	X(limit_descriptors, "sockets that could not be opened") \
	X(limit_sockets, "datagrams for which the host's socket was full") \
	X(limit_buffers, "TCP connections for which no buffer was left") \
	X(limit_fragments, "incomplete packets given up for others (max-fragments)") \
	X(limit_dns, "DNS queries given up for others") \
	X(limit_commands, "guestfwd commands that could not be started")

struct unet_counters {
#define X(name, text) uint64_t name;
	UNET_COUNTERS(X)
#undef X
};
void unet_get_counters(const struct unet *u, struct unet_counters *out);
/* One line for each, "NAME VALUE  what it is". */
void unet_print_counters(const struct unet *u, void (*out)(void *to, const char *line), void *to);

#endif
