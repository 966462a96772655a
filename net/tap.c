/* SPDX-License-Identifier: MIT */
/*
 * A TAP device (Documentation/networking/tuntap.rst, linux/if_tun.h, linux/virtio_net.h).
 *
 * Each read gives and each write takes one frame behind a struct virtio_net_hdr, in the host's byte order.  Frames are
 * read one behind the other into an arena until there are none, and cross in one port_send.  TUNSETOFFLOAD tells the
 * kernel what the far end takes; it keeps the rest from us by doing it itself.
 */
#include "net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"

#ifndef TUN_F_USO4                      /* since Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum {
	HEADER = sizeof(struct virtio_net_hdr),
	ROOM = HEADER + FRAME_MAX,      /* what one read may fill */
	BATCH = 64, ARENA = 256 * 1024 + ROOM,
	ALIGN = 64,                     /* frames begin on a cache line: with HEADER 10, IP headers on a word */
};

struct tap {
	struct tap_config cfg;
	struct port port;
	struct loop_fd watch;
	bool uso, gone;
	struct frame frames[BATCH];
	struct iovec iov[BATCH];
	size_t first, count;            /* of frames: those the far end has not taken yet */
	uint8_t *arena;
};

int tap_open(char *name, struct err *err)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int size = HEADER, fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		err_errno(err, errno, "cannot open /dev/net/tun%s",
			  errno == ENOENT || errno == ENODEV || errno == ENXIO ?
			  " (is the tun module there? modprobe tun; in a container: --device /dev/net/tun)" :
			  errno == EACCES || errno == EPERM ?
			  " (it must be readable and writable for you: mode 0666 is usual)" : "");
		return -1;
	}
	strncpy(r.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(fd, TUNSETIFF, &r) < 0) {
		err_errno(err, errno, "cannot make the TAP device '%s'%s", name, errno == EPERM ?
			  " (it takes CAP_NET_ADMIN in the network namespace)" : errno == EBUSY ?
			  " (there is one of this name in use)" : errno == EINVAL ?
			  " (is there another device of this name?)" : "");
		close(fd);
		return -1;
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0) {
		err_errno(err, errno, "the TAP device '%s' takes no vnet header of %d bytes", name, size);
		close(fd);
		return -1;
	}
	memcpy(name, r.ifr_name, IFNAMSIZ);
	return fd;
}

/* --- to the kernel ------------------------------------------------------------------------------------------------ */

static void to_header(struct virtio_net_hdr *h, const struct frame *f)
{
	memset(h, 0, sizeof(*h));
	if (f->needs_csum) {
		h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h->csum_start = f->csum_start;
		h->csum_offset = f->csum_offset;
	} else if (f->csum_valid) {
		h->flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if (f->gso != GSO_NONE) {
		h->gso_type = (uint8_t)(f->gso | (f->gso_ecn ? VIRTIO_NET_HDR_GSO_ECN : 0));
		h->gso_size = f->gso_size;
		h->hdr_len = f->hdr_len;
	}
}

static void update_watch(struct tap *t, bool wants_write)
{
	loop_change(&t->watch, (t->count ? 0 : LOOP_READ) | (wants_write ? LOOP_WRITE : 0));
}

static size_t receive(void *owner, const struct frame *frames, size_t n)
{
	struct tap *t = owner;
	struct iovec iov[FRAME_IOV_MAX + 1];
	struct virtio_net_hdr h;

	iov[0] = (struct iovec){ &h, HEADER };
	for (size_t i = 0; i < n; i++) {
		const struct frame *f = &frames[i];
		ssize_t r;

		to_header(&h, f);
		memcpy(iov + 1, f->iov, f->iov_count * sizeof(*iov));
		do
			r = t->gone ? -1 : writev(t->cfg.fd, iov, (int)f->iov_count + 1);
		while (r < 0 && errno == EINTR);
		if (r >= 0)
			continue;
		if (errno == EAGAIN && !t->gone) {
			update_watch(t, true);
			return i;
		}
		/* EIO: the interface is down; as on a card without a cable the frame is lost */
		t->port.stats.dropped++;
		if (!t->gone && errno != EIO)
			log_net("tap", "%s: a frame of %u bytes is refused: %s", t->cfg.name, f->len, strerror(errno));
	}
	return n;
}

/* --- from the kernel ---------------------------------------------------------------------------------------------- */

static bool from_header(struct frame *f, const struct virtio_net_hdr *h)
{
	f->needs_csum = h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f->csum_valid = h->flags & VIRTIO_NET_HDR_F_DATA_VALID;
	if (f->needs_csum) {
		f->csum_start = h->csum_start;
		f->csum_offset = h->csum_offset;
	}
	f->gso_ecn = h->gso_type & VIRTIO_NET_HDR_GSO_ECN;
	f->gso = h->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	if (f->gso != GSO_NONE) {
		f->gso_size = h->gso_size;
		f->hdr_len = h->hdr_len;
	}
	return f->gso == GSO_NONE || f->gso == GSO_TCPV4 || f->gso == GSO_TCPV6 || f->gso == GSO_UDP ||
	       f->gso == GSO_UDP_L4;
}

/* true if all is sent. */
static bool send_on(struct tap *t)
{
	size_t sent = port_send(&t->port, t->frames + t->first, t->count);

	t->first += sent;
	t->count -= sent;
	return t->count == 0;
}

static void read_batch(struct tap *t)
{
	size_t used = 0;

	t->first = t->count = 0;
	while (t->count < BATCH && used + ROOM <= ARENA) {
		uint8_t *at = t->arena + used;
		struct frame *f = &t->frames[t->count];
		struct virtio_net_hdr h;
		ssize_t r;

		do
			r = read(t->cfg.fd, at, ROOM);
		while (r < 0 && errno == EINTR);
		if (r < HEADER)                 /* EAGAIN: no more for now */
			break;
		memcpy(&h, at, HEADER);
		t->iov[t->count] = (struct iovec){ at + HEADER, (size_t)r - HEADER };
		*f = (struct frame){ .iov = &t->iov[t->count], .iov_count = 1, .len = (uint32_t)r - HEADER };
		if (!from_header(f, &h)) {
			t->port.stats.dropped++;
			continue;
		}
		t->count++;
		used += ((size_t)r + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	}
	if (t->count)
		send_on(t);
}

static void ready(void *owner)
{
	struct tap *t = owner;

	if (t->count && send_on(t))
		update_watch(t, t->watch.events & LOOP_WRITE);
}

static void fd_ready(void *owner, unsigned events)
{
	struct tap *t = owner;

	if (events & LOOP_HUP) {
		loop_remove(&t->watch);
		t->gone = true;
		if (t->cfg.gone)
			t->cfg.gone(t->cfg.owner);
		return;
	}
	if (events & LOOP_WRITE) {
		update_watch(t, false);
		port_ready(&t->port);
	}
	if ((events & LOOP_READ) && !t->count) {
		read_batch(t);
		update_watch(t, t->watch.events & LOOP_WRITE);
	}
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void changed(void *owner)
{
	struct tap *t = owner;
	unsigned far = port_far_accepts(&t->port);
	unsigned flags = 0;

	if (far & PORT_CSUM) {
		flags = TUN_F_CSUM | (far & PORT_TSO4 ? TUN_F_TSO4 : 0) | (far & PORT_TSO6 ? TUN_F_TSO6 : 0) |
			((far & PORT_ECN) && (far & (PORT_TSO4 | PORT_TSO6)) ? TUN_F_TSO_ECN : 0) |
			((far & PORT_USO) && t->uso ? TUN_F_USO4 | TUN_F_USO6 : 0);
	}
	if (ioctl(t->cfg.fd, TUNSETOFFLOAD, flags) < 0 && flags)
		log_net("tap", "%s: TUNSETOFFLOAD(%#x): %s", t->cfg.name, flags, strerror(errno));
}

struct tap *tap_new(const struct tap_config *config, struct err *err)
{
	static const struct port_ops ops = { .receive = receive, .ready = ready, .changed = changed };
	struct tap *t = calloc(1, sizeof(*t));
	int r;

	if (!t || !(t->arena = aligned_alloc(ALIGN, (ARENA + ALIGN - 1) / ALIGN * ALIGN))) {
		free(t);
		err_errno(err, ENOMEM, "%s", config->name);
		return NULL;
	}
	t->cfg = *config;
	t->uso = ioctl(t->cfg.fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6) == 0;
	r = loop_add(t->cfg.loop, &t->watch, t->cfg.fd, LOOP_READ, fd_ready, t);
	if (r < 0) {
		err_errno(err, -r, "cannot watch %s", config->name);
		free(t->arena);
		free(t);
		return NULL;
	}
	port_init(&t->port, &ops, t, t->cfg.name);
	port_accepts(&t->port, PORT_CSUM | PORT_TSO4 | PORT_TSO6 | PORT_ECN | (t->uso ? PORT_USO : 0));
	changed(t);
	return t;
}

void tap_free(struct tap *t)
{
	if (!t)
		return;
	port_part(&t->port);
	loop_remove(&t->watch);
	free(t->arena);
	free(t);
}

struct port *tap_port(struct tap *t)
{
	return &t->port;
}
