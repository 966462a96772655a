/* SPDX-License-Identifier: MIT */
/* Interface, addresses and routes by rtnetlink(7), one request at a time; the resolver by a bind mount. */
#include "netns/setup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	IPV6_MTU_MIN = 1280,
	QUEUE_MAX = 10000,              /* frames that wait for us: the kernel drops what comes above it, 1000 by default */
};

struct request {
	union {
		struct nlmsghdr h;
		uint8_t bytes[256];
	};
};

/* Begins a request with its fixed part. */
static void begin(struct request *q, int type, unsigned flags, const void *fixed, size_t len)
{
	memset(q, 0, sizeof(*q));
	q->h.nlmsg_type = (uint16_t)type;
	q->h.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	q->h.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
	memcpy(NLMSG_DATA(&q->h), fixed, len);
}

static void attribute(struct request *q, int type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)(q->bytes + NLMSG_ALIGN(q->h.nlmsg_len));

	a->rta_type = (uint16_t)type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	q->h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(q->h.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

/* 0 or errno. */
static int ask(const struct request *q)
{
	union {
		struct nlmsghdr h;
		uint8_t bytes[4096];
	} answer;
	const struct nlmsgerr *e = NLMSG_DATA(&answer.h);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), result = 0;

	if (fd < 0)
		return errno;
	if (send(fd, q, q->h.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
		result = errno;
	else if (answer.h.nlmsg_type == NLMSG_ERROR)
		result = -e->error;
	close(fd);
	return result;
}

static int link_up(unsigned index, uint32_t mtu, bool up)
{
	uint32_t flags = up ? IFF_UP : 0, queue = QUEUE_MAX;
	struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index, .ifi_flags = flags,
			       .ifi_change = flags };
	struct request q;

	begin(&q, RTM_NEWLINK, 0, &m, sizeof(m));
	if (mtu) {                      /* the TAP, not loopback */
		attribute(&q, IFLA_MTU, &mtu, sizeof(mtu));
		attribute(&q, IFLA_TXQLEN, &queue, sizeof(queue));
	}
	return ask(&q);
}

static int add_address(unsigned index, int family, const void *address, unsigned prefix_len)
{
	struct ifaddrmsg m = { .ifa_family = (uint8_t)family, .ifa_prefixlen = (uint8_t)prefix_len, .ifa_index = index,
			       .ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0 };
	size_t len = family == AF_INET6 ? 16 : 4;
	struct request q;

	begin(&q, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &m, sizeof(m));
	attribute(&q, IFA_LOCAL, address, len);
	attribute(&q, IFA_ADDRESS, address, len);
	return ask(&q);
}

static int add_default_route(unsigned index, int family, const void *gateway)
{
	struct rtmsg m = { .rtm_family = (uint8_t)family, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
			   .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST };
	struct request q;

	begin(&q, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &m, sizeof(m));
	attribute(&q, RTA_GATEWAY, gateway, family == AF_INET6 ? 16 : 4);
	attribute(&q, RTA_OIF, &index, sizeof(index));
	return ask(&q);
}

bool setup_loopback(struct err *err)
{
	int e = link_up(1, 0, true);    /* lo is the first interface of every namespace */

	return e == 0 || err_errno(err, e, "cannot set 'lo' up");
}

static bool configure4(const struct setup *s, unsigned index, struct err *err)
{
	int e = add_address(index, AF_INET, &s->address, s->prefix_len);

	if (e)
		return err_errno(err, e, "cannot give '%s' its IPv4 address", s->ifname);
	e = add_default_route(index, AF_INET, &s->gateway);
	return e == 0 || err_errno(err, e, "cannot set the IPv4 default route");
}

static bool configure6(const struct setup *s, unsigned index, struct err *err)
{
	int e;

	if (s->mtu < IPV6_MTU_MIN)      /* the kernel does without IPv6 then */
		return true;
	e = add_address(index, AF_INET6, &s->address6, s->prefix_len6);
	if (e == EAFNOSUPPORT || e == EOPNOTSUPP || e == EACCES)        /* a kernel without IPv6, or disable_ipv6 */
		return true;
	if (e)
		return err_errno(err, e, "cannot give '%s' its IPv6 address", s->ifname);
	e = add_default_route(index, AF_INET6, &s->gateway6);
	return e == 0 || err_errno(err, e, "cannot set the IPv6 default route");
}

bool setup_interface(const struct setup *s, struct err *err)
{
	unsigned index = if_nametoindex(s->ifname);
	int e = link_up(index, s->mtu, s->configure);

	if (e)
		return err_errno(err, e, "cannot set '%s' %s", s->ifname, s->configure ? "up" : "to its MTU");
	if (!s->configure)
		return true;
	return setup_loopback(err) && (!s->ipv4 || configure4(s, index, err)) &&
	       (!s->ipv6 || configure6(s, index, err));
}

/* --- the resolver ------------------------------------------------------------------------------------------------- */

static bool write_resolv_conf(const struct setup *s, const char *path)
{
	FILE *f = fopen(path, "we");
	char text[INET6_ADDRSTRLEN];

	if (!f)
		return false;
	fchmod(fileno(f), 0644);
	if (s->ipv4)
		fprintf(f, "nameserver %s\n", inet_ntop(AF_INET, &s->dns, text, sizeof(text)));
	if (s->ipv6 && s->mtu >= IPV6_MTU_MIN)
		fprintf(f, "nameserver %s\n", inet_ntop(AF_INET6, &s->dns6, text, sizeof(text)));
	if (*s->search)
		fprintf(f, "search %s\n", s->search);
	return fclose(f) == 0;
}

/*
 * The file lives in a tmpfs that is seen in this mount namespace only, over a folder that every system has, and is
 * taken away again: the bind mount keeps it.
 */
bool setup_resolver(const struct setup *s, struct err *err)
{
	char target[32];
	int fd = open("/etc/resolv.conf", O_PATH | O_CLOEXEC);  /* it may be a link to a file in /tmp */
	bool ok;

	if (fd < 0)
		return err_errno(err, errno, "/etc/resolv.conf (--configure gives COMMAND another one in its place)");
	snprintf(target, sizeof(target), "/proc/self/fd/%d", fd);
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return err_errno(err, errno, "cannot keep the mounts apart");
	if (mount("tenbox-net", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=755") < 0)
		return err_errno(err, errno, "cannot mount a tmpfs over /tmp for resolv.conf");
	ok = write_resolv_conf(s, "/tmp/resolv.conf") && mount("/tmp/resolv.conf", target, NULL, MS_BIND, NULL) == 0;
	if (!ok)
		err_errno(err, errno, "cannot bind-mount a resolver file on /etc/resolv.conf");
	umount2("/tmp", MNT_DETACH);
	close(fd);
	return ok;
}
