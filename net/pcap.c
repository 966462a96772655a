/* SPDX-License-Identifier: MIT */
/*
 * The classic libpcap file format (draft-ietf-opsawg-pcap): a header, then records of { seconds, microseconds, bytes kept,
 * bytes there were }, in this host's byte order.  A record goes out in one writev, so that a reader who follows the file
 * sees whole records.
 */
#include "net/pcap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"

enum { MAGIC = 0xa1b2c3d4, LINKTYPE_ETHERNET = 1, HEADER = 24, RECORD = 16, MAXLEN = 65536 };

struct pcap {
	struct pcap_config cfg;
	struct port *port;              /* NULL: not hung in yet */
	struct port_filter filter;
	int fd;                         /* -1: a write has failed */
	char *path;
};

static void fail(struct pcap *s, int error)
{
	struct err e;

	err_errno(&e, error, "filter-dump: %s: writing failed, the capture ends here", s->path);
	log_user("%s", e.text);
	close(s->fd);
	s->fd = -1;
}

static void write_all(struct pcap *s, struct iovec *iov, int count)
{
	while (count) {
		ssize_t n = writev(s->fd, iov, count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			fail(s, errno);
			return;
		}
		while (count && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (count) {
			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
}

static void frame(void *owner, const struct frame *f, bool from_owner)
{
	struct pcap *s = owner;
	struct iovec iov[FRAME_IOV_MAX + 1];
	uint64_t now = s->cfg.base_ns + clock_now(s->cfg.clock);
	uint32_t keep = MIN(f->len, s->cfg.maxlen), left = keep;
	uint8_t record[RECORD];
	int count = 1;

	if (s->fd < 0 || s->cfg.direction == (from_owner ? PCAP_TO_OWNER : PCAP_FROM_OWNER))
		return;
	put_le32(record, (uint32_t)(now / S(1)));
	put_le32(record + 4, (uint32_t)(now % S(1) / US(1)));
	iov[0] = (struct iovec){ record, sizeof(record) };
	for (uint32_t i = 0; i < f->iov_count && i < FRAME_IOV_MAX && left; i++) {
		size_t n = MIN(f->iov[i].iov_len, left);

		if (n)
			iov[count++] = (struct iovec){ f->iov[i].iov_base, n };
		left -= (uint32_t)n;
	}
	/* a frame that port.c will drop may have fewer bytes than it says */
	put_le32(record + 8, keep - left);
	put_le32(record + 12, f->len);
	write_all(s, iov, count);
}

/* A file that this call made and could not finish does not stay. */
static bool begin(struct pcap *s, struct err *err)
{
	uint8_t header[HEADER] = { 0 };
	struct stat st;

	/* O_NONBLOCK keeps open() from waiting for a FIFO's reader; writing may wait as for a file */
	if (fstat(s->fd, &st) < 0 || (!S_ISREG(st.st_mode) && fcntl(s->fd, F_SETFL, 0) < 0))
		return err_errno(err, errno, "%s", s->path);
	put_le32(header, MAGIC);
	put_le16(header + 4, 2);
	put_le16(header + 6, 4);
	put_le32(header + 16, s->cfg.maxlen);
	put_le32(header + 20, LINKTYPE_ETHERNET);
	if (write(s->fd, header, sizeof(header)) == sizeof(header))
		return true;
	err_errno(err, errno, "%s", s->path);
	if (S_ISREG(st.st_mode))
		unlink(s->path);
	return false;
}

struct pcap *pcap_new(const struct pcap_config *config, struct port *p, struct err *err)
{
	struct pcap *s = calloc(1, sizeof(*s));

	assert(s && config->clock);
	s->cfg = *config;
	s->cfg.maxlen = config->maxlen ? config->maxlen : MAXLEN;
	s->path = strdup(config->path);
	assert(s->path);
	s->fd = open(s->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
	if (s->fd < 0)
		err_errno(err, errno, "%s", s->path);
	if (s->fd < 0 || !begin(s, err)) {
		pcap_free(s);
		return NULL;
	}
	s->port = p;
	s->filter = (struct port_filter){ .frame = frame, .owner = s };
	port_add_filter(p, &s->filter);
	return s;
}

void pcap_free(struct pcap *s)
{
	if (!s)
		return;
	if (s->port)
		port_remove_filter(s->port, &s->filter);
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	free(s);
}
