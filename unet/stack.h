/* SPDX-License-Identifier: MIT */
/*
 * The inside of one unet, shared by the files of this folder only.
 *
 * A frame comes in by netif.c, which copies the headers once (the guest may change them under us), goes to arp.c, ip.c
 * or ip6.c, and from there, as a struct packet, to tcp.c, udp.c, icmp.c, dns.c or svc.c.  What those answer goes back
 * through ip_send() into netif.c's queue, which leaves in batches when the work at hand is done.
 *
 * Every way in (port, socket, timer) stands between unet_enter() and unet_leave(); the latter finishes what callbacks
 * of lwIP only noted down (tcp_work) and flushes the queue.
 */
#ifndef UNET_STACK_H
#define UNET_STACK_H

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/log.h"
#include "dhcp/dhcp.h"
#include "dhcp/dhcp6.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "tftp/root.h"
#include "tftp/tftp.h"
#include "unet/addr.h"
#include "unet/flow.h"
#include "unet/sock.h"
#include "unet/unet.h"

enum {
	ETH_HLEN = 14, ETH_IPV4 = 0x0800, ETH_ARP = 0x0806, ETH_IPV6 = 0x86dd,
	PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_ICMPV6 = 58,
	IP4_HLEN = 20, IP4_HLEN_MAX = 60, IPV6_HLEN = 40, TCP_HLEN_MIN = 20, TCP_HLEN_MAX = 60, UDP_HLEN = 8,
	IP4_MF = 0x2000, IP4_DF = 0x4000, IP4_OFFSET = 0x1fff,
	TTL_DEFAULT = 64,
	ICMP_QUOTE_MAX = 548,           /* an ICMP error never exceeds 576 bytes (RFC 1812 4.3.2.3) */
	ICMP6_QUOTE_MAX = UNET_MTU_MIN6 - IPV6_HLEN - 8,  /* nor an ICMPv6 error the smallest MTU (RFC 4443 2.4 c) */

	NEIGHBORS = 512,                /* addresses; a guest has several by IPv6 */
	OUT_QUEUE = 256, OUT_DATA = 192,        /* frames; those that can wait stop at OUT_DATA */
	OUT_IOV = 12,                           /* pieces of one frame behind its Ethernet header */
	FORWARDS = 1024, UDP_FORWARDS = 64, PEERS = 32,
	DATAGRAM = 65536,
	RESOLVERS = 8, DNS_QUERIES = 512,
};

/* TCP flows that wait for something. */
enum {
	CHAIN_WORK,                     /* callbacks of lwIP noted something down: tcp_work() */
	CHAIN_BLOCKED,                  /* a segment was refused by the full queue */
	CHAIN_STARVED,                  /* want a ring, and none is left */
	CHAIN_ACKS,                     /* owe the guest an acknowledgement, which may wait until f->ack_due */
	CHAIN_ANSWERS,                  /* the same in a dialogue: the host's answer may carry it */
	CHAINS
};

/* A run of bytes within a scatter list. */
struct slice {
	const struct iovec *iov;
	uint32_t count, skip, len;      /* skip: bytes of the first piece that lie before the run */
};

static inline struct slice slice_of(const struct iovec *one)
{
	return (struct slice){ one, 1, 0, (uint32_t)one->iov_len };
}
struct slice slice_from(struct slice s, uint32_t offset);       /* without the first offset bytes */
static inline struct slice slice_cut(struct slice s, uint32_t len) { s.len = MIN(s.len, len); return s; }
uint32_t slice_copy(struct slice s, uint32_t offset, void *buf, uint32_t len);  /* returns how many there were */
int slice_iov(struct slice s, struct iovec *out, int max);      /* pieces, at most max; -1 if more are needed */
uint64_t slice_sum(struct slice s, uint64_t sum);               /* checksum_add over the run */

/* An IP packet from the guest whose header has been checked.  The family is that of its addresses. */
struct packet {
	struct addr src, dst;
	uint8_t mac[6];                 /* Ethernet source */
	uint8_t protocol, ttl, tos;
	bool csum_ok;                   /* the transport checksum needs no look */
	uint8_t gso;
	uint16_t gso_size;
	uint16_t ip_len;                /* header with options, or with extension headers */
	uint16_t next_header_at;        /* IPv6: where the number of the transport stands */
	uint8_t ip[IP4_HLEN_MAX];       /* private copy of the header; of IPv6, of the fixed part */
	struct slice whole;             /* header and payload, for quoting */
	struct slice body;              /* behind the IP header */
	bool copied;                    /* body is ours, not the guest's: only until the call returns, in any case */
};

/* Offload facts of a packet on its way out; offsets count from the IP header. */
struct facts {
	bool needs_csum;
	uint8_t gso;
	uint16_t csum_start, csum_offset, gso_size, hdr_len;
};

struct out_frame {
	struct pbuf *p;                 /* one reference, ours */
	uint8_t eth[ETH_HLEN];
	struct facts facts;
};

struct forward {
	bool udp;
	struct sockaddr_storage bound;  /* as asked for, the port as it came out */
	struct addr guest;
	uint16_t guest_port;
	int fd;
	struct loop_fd watch;
	struct unet *u;
	struct forward *next_udp;       /* in its bucket */
	bool loopback;                  /* bound to the host's loopback only */
	bool owns_path;                 /* bound to a unix socket, whose file goes with us */
	uint64_t used_ns, opened_ns, to_host, to_guest; /* UDP: and bytes */
	struct forward_peer {           /* UDP: who came lately, as the guest sees it and as it is */
		struct addr shown;
		uint16_t port;
		struct sockaddr_storage real, local;    /* and which address of the host's it spoke to */
	} peers[PEERS];
	unsigned next_peer;
};

struct neighbor;
struct tcp_flow;
struct mapping;
struct ring;
struct reassembly;
struct dns;
struct outside;
struct commands;
struct guest_forward;

struct unet {
	struct unet_config cfg;
	struct dhcp_config dhcp_cfg;    /* with copies of the config's texts */
	char *texts;
	const struct unet_sockets *sockets;
	void *sockets_owner;
	struct unet_counters counters;
	struct port port;
	uint64_t secret[2];
	struct addr host, dns_addr;
	struct addr host6, dns6;        /* in the prefix */
	struct addr link_host6, link_dns6;      /* the same on the link: fe80:: and their last 8 bytes */

	/* netif.c */
	struct out_frame out[OUT_QUEUE];
	uint32_t out_first, out_count;
	uint64_t out_done;              /* frames that have left the queue, ever */
	bool out_full;                  /* the far end is full: port_ready will call */
	unsigned depth;                 /* of unet_enter */
	bool flushing, missed_input;
	uint32_t ip_id;

	/* neighbor.c, ndp.c */
	struct flow_table neighbors;
	struct neighbor *last_neighbor; /* found last: mostly the next one, too */
	struct addr returned;           /* got a lease, and has not been heard of by ARP since; zero: nobody */
	struct timer advertise_timer;

	/* ip.c, reass.c */
	struct reassembly *reassembly;

	/* tcp.c, engine.c */
	struct netif netif;
	struct tcp_pcb *listener;
	struct unet *next_engine_user;
	struct flow_table tcp;
	struct tcp_flow *opening;       /* whose SYN is being injected */
	struct tcp_chain {
		struct tcp_flow *first, *last;
	} chains[CHAINS];
	struct timer ack_timer;
	uint32_t marks;                 /* flows with urgent data for the guest */
	struct ring *free_rings, *parked_rings, *last_parked;
	uint32_t rings, ring_limit, free_ring_count;
	struct rx_piece *pieces;
	uint32_t piece_count;

	/* udp.c, icmp.c */
	struct flow_table udp, icmp;
	struct timer flow_timer;
	uint64_t flow_timer_due;
	struct mapping *paused;         /* wait until the port has room */
	bool forwards_paused;           /* and so do UDP forwards */
	uint8_t *datagram;              /* DATAGRAM bytes to receive into, and for udp_io.c as many times limits.udp_batch */
	struct udp_out *udp_out;        /* datagrams on their way to the host */
	unsigned udp_out_count, udp_frames;     /* frames that a datagram took, lately */
	bool ping_warned;

	struct dns *dns;
	struct outside *outside;
	struct guest_forward *guestfwds;
	unsigned guestfwd_count;
	struct in_addr reserved[UNET_RULES];    /* their addresses: not for guests */
	struct commands *commands;
	struct dhcp *dhcp;
	struct dhcp6 *dhcp6;
	char boot_url[200];             /* of DHCPv6 */
	struct tftp *tftp;              /* NULL: not asked for */
	struct tftp_root *tftp_root;
	struct forward *forwards[FORWARDS];     /* forward_count of them, in order of their making */
	unsigned forward_count;
	struct forward *udp_forwards[UDP_FORWARDS];     /* by guest port: each datagram of the guest's asks */
	uint64_t accept_again_ns;       /* CLOCK_NEVER: no listener waits for descriptors */
};

/* --- unet.c --- */
void unet_enter(struct unet *u);
void unet_leave(struct unet *u);
uint64_t unet_now(const struct unet *u);
void unet_random(struct unet *u, void *buf, size_t len);
/* Arms flow_timer for the first expiry of any table. */
void unet_arm_expiry(struct unet *u);

/* --- netif.c --- */
void netif_init_port(struct unet *u);
void netif_free_queue(struct unet *u);
/*
 * Takes the reference to p (an IP or ARP packet).  Returns false, with p still the caller's, if `may_wait` and the
 * queue is full.
 */
bool netif_queue(struct unet *u, const uint8_t dst[6], const uint8_t src[6], uint16_t type, struct pbuf *p,
		 const struct facts *facts, bool may_wait);
void netif_flush(struct unet *u);
/* The packet in memory of its own, for one that must wait for long; NULL, with p still the caller's, if there is none. */
struct pbuf *netif_own(struct pbuf *p);
/* Whether there is room for data that can wait. */
static inline bool netif_room(const struct unet *u) { return !u->out_full && u->out_count < OUT_DATA; }

/* --- neighbor.c --- */
bool neighbor_init(struct unet *u);
void neighbor_free(struct unet *u);
/* The address is at this MAC: from ARP or NDP, or from a lease. */
void neighbor_learn(struct unet *u, const struct addr *ip, const uint8_t mac[6]);
/* Whether it has been asked for or learned. */
bool neighbor_known(struct unet *u, const struct addr *ip);
/* Sends an IP packet to a guest's address, asking for its MAC first if need be.  As netif_queue. */
bool neighbor_output(struct unet *u, const struct addr *dst, const struct addr *src, struct pbuf *p,
		     const struct facts *facts, bool may_wait);
void neighbor_expire(struct unet *u, uint64_t now);
/* The MAC that unet shows for an address of its own. */
void unet_mac(const struct unet *u, const struct addr *ip, uint8_t mac[6]);
/* The MAC that packets from src carry: that of the address itself if it is unet's, else the gateway's. */
void unet_source_mac(const struct unet *u, const struct addr *src, uint8_t mac[6]);

/* --- arp.c --- */
void arp_input(struct unet *u, const uint8_t eth[ETH_HLEN], struct slice body);
void arp_ask(struct unet *u, const struct addr *ip);

/* --- ndp.c --- */
void ndp_init(struct unet *u);
void ndp_free(struct unet *u);
bool ndp_is(uint8_t icmp_type);         /* one of those that ndp_input takes */
void ndp_input(struct unet *u, const struct packet *p);
void ndp_ask(struct unet *u, const struct addr *ip);

/* --- ip.c --- */
enum place {                    /* where a destination of the guest's leads */
	PLACE_HOST, PLACE_DNS,          /* unet's own addresses */
	PLACE_GUESTFWD,                 /* likewise: where guestfwd rules are */
	PLACE_BROADCAST,                /* in the guest net */
	PLACE_NOBODY,                   /* in the guest net, another guest's or no one's */
	PLACE_OUTSIDE,
	PLACE_FORBIDDEN,                /* loopback, multicast, reserved ... */
};
enum place ip_place(const struct unet *u, const struct addr *a);
bool ip_in_net(const struct unet *u, const struct addr *a);
/* The gateway as a guest with this address knows it. */
const struct addr *ip_gateway(const struct unet *u, const struct addr *guest);
/* The host's loopback address in the family of a. */
struct addr ip_loopback(const struct addr *a);
bool ip_is_loopback(const struct addr *a);
static inline bool ip_is_multicast(const struct addr *a) { return addr_is4(a) ? a->b[12] >= 224 : a->b[0] == 0xff; }
/* Length of an IP header without options between addresses of this family. */
static inline uint32_t ip_hlen(const struct addr *a) { return addr_is4(a) ? IP4_HLEN : IPV6_HLEN; }
/* Sum of the pseudo-header. */
static inline uint64_t ip_pseudo(const struct addr *src, const struct addr *dst, uint8_t protocol, uint32_t len)
{
	return checksum_pseudo(addr_wire(src), addr_wire(dst), addr_wire_len(dst), protocol, len);
}
/* Whether the checksum over a packet's body, of len bytes, is right. */
bool ip_body_sum_ok(const struct packet *p, uint32_t len);
void ip_frame(struct unet *u, const uint8_t eth[ETH_HLEN], struct slice s, const struct frame *f);
/* A packet that is whole: straight from ip_frame, or reassembled. */
void ip_deliver(struct unet *u, struct packet *p);
/* A buffer for an IP payload of len bytes, with room in front for the IP header. */
struct pbuf *ip_alloc(uint32_t len);
/*
 * Puts an IP header in front of p (whose reference it takes) and sends it to the guest, cut up if it exceeds the MTU.
 * The offsets of facts count from that header.
 */
void ip_send(struct unet *u, const struct addr *src, const struct addr *dst, uint8_t protocol, uint8_t ttl,
	     struct pbuf *p, const struct facts *facts);
/* The same straight to a MAC. */
void ip_send_to(struct unet *u, const uint8_t *mac, const struct addr *src, const struct addr *dst, uint8_t protocol,
		uint8_t ttl, struct pbuf *p, const struct facts *facts);
/* Writes a header of either family; returns its length. */
uint32_t ip_header(struct unet *u, uint8_t *h, const struct addr *src, const struct addr *dst, uint8_t protocol,
		   uint8_t ttl, uint16_t payload_len);

/* --- ip6.c --- */
enum {
	IP6_PAYLOAD_LENGTH = 4, IP6_NEXT_HEADER = 6, IP6_HOP_LIMIT = 7, IP6_SOURCE = 8, IP6_DESTINATION = 24,
	IP6_FRAGMENT = 44, IP6_FRAGMENT_LEN = 8,
};
void ip6_init(struct unet *u);
void ip6_frame(struct unet *u, const uint8_t eth[ETH_HLEN], struct slice s, const struct frame *f);
/* A packet put together from fragments: what stands behind its fixed header is of type p->protocol. */
void ip6_reassembled(struct unet *u, struct packet *p);
enum place ip6_place(const struct unet *u, const struct addr *a);
bool ip6_in_net(const struct unet *u, const struct addr *a);
bool ip6_source_ok(const struct unet *u, const struct packet *p);

/* --- outside.c --- */
bool outside_init(struct unet *u, struct err *err);
void outside_free(struct unet *u);
/* Whether guests may reach it: 0, or the errno that says why not.  Port 0: an echo request. */
int outside_check(struct unet *u, const struct addr *far, uint16_t port);
/* A socket towards `to`, bound as the options want. */
int outside_open(struct unet *u, const struct sockaddr_storage *to, int type, int protocol);
/* Whether they want anything: then a socket towards the outside can't lead to the host's loopback, too. */
bool outside_chosen(const struct unet *u);

/* --- reass.c --- */
struct reassembly *reass_new(struct unet *u, uint32_t datagrams);
void reass_free(struct reassembly *r);
/* A fragment, by its identification; delivers the datagram when it is whole. */
void reass_input(struct unet *u, const struct packet *p, uint32_t id, uint32_t offset, bool more);
uint32_t reass_held(const struct reassembly *r);

/* --- engine.c: lwIP --- */
bool engine_attach(struct unet *u);
void engine_detach(struct unet *u);

/* --- tcp.c --- */
struct tcp_pcb;
bool tcp_flows_init(struct unet *u);
void tcp_flows_free(struct unet *u);
bool tcp_busy(struct unet *u);          /* the host is slow to take what a guest said */
void tcp_work(struct unet *u);
void tcp_unblock(struct unet *u);       /* the queue has room again */
void tcp_mark_blocked(struct unet *u, const struct flow_key *k);
int tcp_passive_open(struct unet *u, struct tcp_pcb *pcb);
void tcp_established(void *flow);       /* the guest has completed the handshake */
void tcp_print(struct unet *u, void (*out)(void *to, const char *line), void *to);
void tcp_expire(struct unet *u, uint64_t now);
void tcp_ask(struct unet *u, const struct addr *guest);

/* --- tcp_open.c --- */
/* A connection that a forward accepted. */
void tcp_from_host(struct unet *u, int fd, const struct addr *src, uint16_t src_port, const struct addr *guest,
		   uint16_t guest_port);

/* --- tcp_input.c --- */
void tcp_guest_input(struct unet *u, struct packet *p);
/* The guest's ICMP error about the segment with this sequence number; mtu 0: none is told. */
void tcp_guest_complains(struct unet *u, const struct flow_key *k, unsigned what, uint32_t seq, uint32_t mtu);
uint16_t tcp_segment_size(struct unet *u, const struct flow_key *k);    /* of the guest's MSS, for GSO */
void tcp_show_mark(struct unet *u, const struct flow_key *k, uint8_t *tcp);     /* the urgent pointer, if one is due */

/* --- tcp_data.c --- */
/* what was received goes to the sockets: the frame's memory is about to go away */
void tcp_flush_pieces(struct unet *u);

/* --- mapping.c --- */
void mappings_resume(struct unet *u);
void mappings_expire(struct flow_table *t, uint64_t now);
void mappings_free(struct flow_table *t);
void mappings_print(struct unet *u, const struct flow_table *t, const char *protocol, bool ports,
		    void (*out)(void *to, const char *line), void *to);

/* --- udp.c --- */
bool udp_init(struct unet *u);
void udp_io_free(struct unet *u);
void udp_guest_input(struct unet *u, struct packet *p);
/* What the guest sent goes to the sockets: the frames' memory is about to go away, or a socket. */
void udp_flush(struct unet *u);
void udp_send(struct unet *u, const struct addr *src, uint16_t src_port, const struct addr *dst, uint16_t dst_port,
	      const void *data, uint32_t len);
void udp_resume(struct unet *u);                        /* the port has room again */
/* Reads what a forward's socket has; the guest sees it come from the host client. */
void udp_forward_readable(struct forward *f, unsigned events);
void udp_icmp_from_error(struct unet *u, const struct sock_error *e, const struct addr *guest, uint16_t guest_port);

/* --- icmp.c --- */
bool icmp_init(struct unet *u);
void icmp_guest_input(struct unet *u, struct packet *p);
enum { ICMP_UNREACH_NET = 0x300, ICMP_UNREACH_HOST = 0x301, ICMP_UNREACH_PROTOCOL = 0x302, ICMP_UNREACH_PORT = 0x303,
       ICMP_UNREACH_FRAG = 0x304, ICMP_UNREACH_PROHIBITED = 0x30d, ICMP_TTL_EXCEEDED = 0xb00,
       ICMP_REASS_EXCEEDED = 0xb01,
       /* ICMPv6's */
       ICMP6_NO_ROUTE = 0x100, ICMP6_PROHIBITED = 0x101, ICMP6_UNREACH_ADDRESS = 0x103, ICMP6_UNREACH_PORT = 0x104,
       ICMP6_TOO_BIG = 0x200, ICMP6_HOP_LIMIT = 0x300, ICMP6_REASS_EXCEEDED = 0x301, ICMP6_NEXT_HEADER = 0x401 };
/* Type and code, as above, in the family that the guest speaks; 0 stays 0. */
unsigned icmp_for(const struct addr *guest, unsigned what);
/* An error about p, from the gateway; what is one of the above, whatever the family. */
void icmp_error(struct unet *u, const struct packet *p, unsigned what);
/* The same about a packet whose first bytes are given, from anyone; what is of the guest's family (icmp_for). */
void icmp_error_bytes(struct unet *u, const struct addr *src, const struct addr *guest, unsigned what, uint32_t info,
		      const void *quote, uint32_t len);
/* The ICMP error that an errno of connect or send stands for; 0 if none. */
unsigned icmp_of_errno(int error);
/*
 * Completes a message whose type, code and body stand in p, and sends it, straight to mac if that is not NULL.
 */
void icmp_send(struct unet *u, const uint8_t *mac, const struct addr *src, const struct addr *dst, uint8_t ttl,
	       struct pbuf *p);
/* What an entry of an error queue tells the guest, of its family; 0: nothing. */
unsigned icmp_of_queue(const struct sock_error *e, const struct addr *guest);

/* --- dns.c --- */
struct dns *dns_new(struct unet *u);
void dns_free(struct dns *d);
void dns_query(struct unet *u, const struct addr *guest, uint16_t guest_port, const struct addr *via, const void *data,
	       uint32_t len);
/* The i-th resolver of the host; false if there are not so many. */
bool dns_resolver(struct unet *u, unsigned i, struct sockaddr_storage *a);
void dns_expire(struct unet *u, uint64_t now);
uint64_t dns_next_expiry(const struct dns *d);
void dns_forgive(struct dns *d, uint64_t pause_ns, uint64_t now);
uint32_t dns_pending(const struct dns *d);

/* --- svc.c: services on unet's own addresses --- */
bool svc_init(struct unet *u, struct err *err);
void svc_free(struct unet *u);
/* A datagram for a service; false if nothing listens there. */
bool svc_udp(struct unet *u, struct packet *p, uint16_t src_port, uint16_t dst_port, struct slice data);

/* --- fwd.c --- */
void fwd_free(struct unet *u);
/* The UDP rule whose socket carries what this guest endpoint sends there; NULL: none. */
struct forward *fwd_find_udp(struct unet *u, const struct addr *guest, uint16_t port, const struct addr *far,
			     uint16_t far_port);
/* A client of f has sent something: returns its address as the guest sees it. */
struct addr fwd_remember_peer(struct forward *f, const struct sockaddr_storage *peer,
			      const struct sockaddr_storage *local);
/* Where the client that the guest sees at this address really is; NULL if there is none. */
const struct forward_peer *fwd_peer(const struct forward *f, const struct addr *shown, uint16_t port);
void fwd_accept_again(struct unet *u, uint64_t now);
void fwd_print(struct unet *u, void (*out)(void *to, const char *line), void *to);
/* How a host peer looks to the guest: itself, or the gateway if it is loopback, inside the guest's net, or of the other
 * family. */
struct addr fwd_shown_source(const struct unet *u, const struct addr *peer, const struct addr *guest);

/* --- guestfwd.c --- */
bool guestfwd_init(struct unet *u, const struct unet_config *config, struct err *err);
void guestfwd_free(struct unet *u);
const struct addr *guestfwd_address(const struct unet *u, unsigned i);  /* of rule i of guestfwd_count */
bool guestfwd_has(const struct unet *u, const struct addr *a);
bool guestfwd_leads(const struct unet *u, const struct addr *a, uint16_t port);
/* Connects to where it leads: 0, -EINPROGRESS, or why not; *fd is -1 or the socket. */
int guestfwd_connect(struct unet *u, const struct addr *a, uint16_t port, int *fd);
void guestfwd_print(struct unet *u, void (*out)(void *to, const char *line), void *to);

/* --- print.c --- */
struct print_row {
	const char *label;
	int fd, src_port, dst_port;     /* ports: -1: none */
	struct addr src, dst;
	uint32_t recvq, sendq;
	bool flow;                      /* has the following, too */
	uint64_t opened_ns, to_host, to_guest;
	uint32_t rtt_us;                /* towards the far end; 0: unknown */
};
void print_row(struct unet *u, const struct print_row *r, void (*out)(void *to, const char *line), void *to);
void print_guestfwd_row(void (*out)(void *to, const char *line), void *to, const struct addr *a, int port, bool command,
			const char *target);
void print_path_row(void (*out)(void *to, const char *line), void *to, int fd, const char *path, const struct addr *dst,
		    int dst_port);

/* The host's socket calls, by short names. */
#define SOCK(u, call, ...) ((u)->sockets->call((u)->sockets_owner, ##__VA_ARGS__))

#endif
