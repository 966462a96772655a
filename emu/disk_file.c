/* SPDX-License-Identifier: MIT */
/*
 * One worker thread for each image takes its requests in order, so that a slow host disk stops neither the guest's
 * processors nor the network.  With -icount the requests are done on the loop thread at a fixed point of virtual time.
 *
 * A snapshot keeps changed sectors at their own offset in a sparse temporary file, and one bit for each sector tells which
 * of the two files has it.  Nobody else has the temporary file: it has no name.
 */
#include "emu/disk_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/loop.h"
#include "emu/image_check.h"
#include "emu/run.h"

enum { SECTOR = 512, PIECES = 64 };

struct queue {
	struct disk_request *first, **last;
};

/* What is in the drive.  path NULL: nothing. */
struct medium {
	char *path;
	int fd, overlay;                /* overlay: -1 without a snapshot */
	uint64_t size;
	uint8_t *changed;               /* a bit for each sector that the overlay has */
	size_t changed_bytes;
};

static const struct medium no_medium = { .fd = -1, .overlay = -1 };

struct disk_file {
	struct disk disk;
	struct disk_file_config cfg;
	char *name, *serial;
	struct medium medium;
	bool tray_open;

	pthread_t thread;
	bool threaded, ending, working; /* working: the thread has a request in hand */
	pthread_mutex_t lock;
	pthread_cond_t more, idle;
	struct queue waiting, finished; /* under `lock` */
	int event;                      /* eventfd: `finished` is not empty */
	struct loop_fd event_fd;
	struct timer work;              /* sync */
};

static void queue_init(struct queue *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void queue_put(struct queue *q, struct disk_request *r)
{
	r->next = NULL;
	*q->last = r;
	q->last = &r->next;
}

static struct disk_request *queue_take(struct queue *q)
{
	struct disk_request *r = q->first;

	if (!r)
		return NULL;
	q->first = r->next;
	if (!q->first)
		q->last = &q->first;
	return r;
}

/* --- moving bytes ------------------------------------------------------------------------------------------------- */

/* All of len bytes between fd at `offset` and the guest's memory from byte `skip` of the request on.  0 or an errno. */
static int transfer(int fd, const struct disk_request *r, uint64_t skip, uint64_t len, uint64_t offset, bool write)
{
	struct iovec piece[PIECES];

	while (len) {
		uint64_t at = skip, room = len;
		int n = 0;
		ssize_t done;

		for (size_t i = 0; i < r->iov_count && n < PIECES && room; i++) {
			size_t k = r->iov[i].iov_len;

			if (at >= k) {
				at -= k;
				continue;
			}
			k = MIN(k - at, room);
			piece[n++] = (struct iovec){ (char *)r->iov[i].iov_base + at, k };
			room -= k;
			at = 0;
		}
		if (n == 0)
			return EINVAL;
		done = write ? pwritev(fd, piece, n, (off_t)offset) : preadv(fd, piece, n, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return errno;
		if (done == 0) {
			if (write)
				return ENOSPC;
			/* Behind the end of a file that somebody has cut since: zeros. */
			for (int i = 0; i < n; i++) {
				memset(piece[i].iov_base, 0, piece[i].iov_len);
				done += (ssize_t)piece[i].iov_len;
			}
		}
		skip += (uint64_t)done;
		offset += (uint64_t)done;
		len -= (uint64_t)done;
	}
	return 0;
}

static bool is_changed(const struct disk_file *d, uint64_t sector)
{
	return d->medium.changed[sector / 8] >> (sector % 8) & 1;
}

static int read_overlaid(struct disk_file *d, struct disk_request *r)
{
	uint64_t at = 0;

	while (at < r->len) {
		uint64_t sector = (r->offset + at) / SECTOR, n = 1, left = (r->len - at) / SECTOR;
		bool which = is_changed(d, sector);
		int e;

		while (n < left && is_changed(d, sector + n) == which)
			n++;
		e = transfer(which ? d->medium.overlay : d->medium.fd, r, at, n * SECTOR, r->offset + at, false);
		if (e)
			return e;
		at += n * SECTOR;
	}
	return 0;
}

static int write_zeroes(int fd, uint64_t offset, uint64_t len)
{
	static const uint8_t zeros[65536];

	if (fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len) == 0 ||
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len) == 0)
		return 0;
	while (len) {
		ssize_t n = pwrite(fd, zeros, MIN(len, sizeof(zeros)), (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? errno : ENOSPC;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int perform(struct disk_file *d, struct disk_request *r)
{
	bool stores = r->op == DISK_WRITE || r->op == DISK_WRITE_ZEROES || r->op == DISK_DISCARD;
	int fd = d->medium.overlay >= 0 ? d->medium.overlay : d->medium.fd, e;

	if (r->op == DISK_FLUSH)
		return d->disk.read_only || d->medium.overlay >= 0 ? 0 : fdatasync(d->medium.fd) < 0 ? errno : 0;
	/* Controllers check this too; the bitmap must hold whatever they do. */
	if (r->offset % SECTOR || r->len % SECTOR || r->offset > d->disk.size || r->len > d->disk.size - r->offset)
		return EINVAL;
	if (stores && d->disk.read_only)
		return EROFS;
	switch (r->op) {
	case DISK_READ:
		return d->medium.overlay >= 0 ? read_overlaid(d, r) : transfer(d->medium.fd, r, 0, r->len, r->offset, false);
	case DISK_WRITE:
		e = transfer(fd, r, 0, r->len, r->offset, true);
		break;
	case DISK_WRITE_ZEROES:
		e = write_zeroes(fd, r->offset, r->len);
		break;
	case DISK_DISCARD:
		if (d->medium.overlay < 0 && d->cfg.discard &&
		    fallocate(d->medium.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)r->offset, (off_t)r->len) < 0 &&
		    errno != EOPNOTSUPP && errno != ENODEV)
			return errno;
		return 0;
	default:
		return EINVAL;
	}
	if (e == 0 && d->medium.overlay >= 0)
		for (uint64_t s = r->offset / SECTOR; s < (r->offset + r->len) / SECTOR; s++)
			d->medium.changed[s / 8] |= (uint8_t)(1 << s % 8);
	return e;
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

static void *worker(void *arg)
{
	struct disk_file *d = arg;

	pthread_mutex_lock(&d->lock);
	for (;;) {
		struct disk_request *r = queue_take(&d->waiting);
		uint64_t one = 1;
		int error;

		if (!r) {
			d->working = false;
			pthread_cond_signal(&d->idle);
			if (d->ending)
				break;
			pthread_cond_wait(&d->more, &d->lock);
			continue;
		}
		d->working = true;
		pthread_mutex_unlock(&d->lock);
		error = perform(d, r);
		pthread_mutex_lock(&d->lock);
		r->len = (uint64_t)error;       /* the request's own bytes are done with: it carries its result */
		queue_put(&d->finished, r);
		if (write(d->event, &one, sizeof(one)) < 0)
			assert(errno == EAGAIN);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* The machine lock is held. */
static void finish(struct disk_file *d)
{
	struct disk_request *r;

	for (;;) {
		pthread_mutex_lock(&d->lock);
		r = queue_take(&d->finished);
		pthread_mutex_unlock(&d->lock);
		if (!r)
			return;
		r->done(r->owner, r, (int)r->len);
	}
}

void disk_file_settle(struct disk *disk)
{
	struct disk_file *d = CONTAINER_OF(disk, struct disk_file, disk);

	if (!d->threaded)
		return;
	pthread_mutex_lock(&d->lock);
	while (d->waiting.first || d->working)
		pthread_cond_wait(&d->idle, &d->lock);
	pthread_mutex_unlock(&d->lock);
}

static void event_ready(void *owner, unsigned events)
{
	struct disk_file *d = owner;
	uint64_t n;

	(void)events;
	if (read(d->event, &n, sizeof(n)) < 0)
		return;
	run_lock(d->cfg.run);
	finish(d);
	run_unlock(d->cfg.run);
}

static void work(void *owner)
{
	struct disk_file *d = owner;
	struct disk_request *r;

	while ((r = queue_take(&d->waiting)) != NULL)
		r->done(r->owner, r, perform(d, r));
}

static void submit(struct disk *disk, struct disk_request *r)
{
	struct disk_file *d = CONTAINER_OF(disk, struct disk_file, disk);

	pthread_mutex_lock(&d->lock);
	queue_put(&d->waiting, r);
	pthread_cond_signal(&d->more);
	pthread_mutex_unlock(&d->lock);
	if (!d->threaded)
		timer_soon(&d->work);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

/*
 * QEMU's locks on image files, so that the two programs see each other: a byte at 100 + n for each permission that a user
 * has, at 200 + n for each that it does not grant to others; n is 0 for consistent reads, 1 for writes, 3 for resizing.
 */
enum { PERM_BASE = 100, DENY_BASE = 200, PERM_READ = 0, PERM_WRITE = 1, PERM_RESIZE = 3 };

static int lock_byte(int fd, short type, off_t at)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &l);
}

static bool locked_by_other(int fd, off_t at)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

static bool take_locks(int fd, const char *path, bool writes, struct err *err)
{
	static const int perms[] = { PERM_READ, PERM_WRITE, PERM_RESIZE };
	const char *what = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(perms); i++) {
		bool has = perms[i] == PERM_READ || writes, denies = perms[i] != PERM_READ;

		if ((has && lock_byte(fd, F_RDLCK, PERM_BASE + perms[i]) < 0) ||
		    (denies && lock_byte(fd, F_RDLCK, DENY_BASE + perms[i]) < 0))
			return true;                    /* a file system without locks: as QEMU, go on without */
	}
	for (size_t i = 0; i < ARRAY_SIZE(perms) && !what; i++) {
		bool has = perms[i] == PERM_READ || writes, denies = perms[i] != PERM_READ;

		if (has && locked_by_other(fd, DENY_BASE + perms[i]))
			what = writes ? "write" : "consistent read";
		else if (denies && locked_by_other(fd, PERM_BASE + perms[i]))
			what = writes ? "write" : "shared \"write\"";
	}
	if (!what)
		return true;
	return err_set(err, "Failed to get %s%s%s lock on '%s': is another process using the image? (readonly=on or snapshot=on for "
		       "both lets them share it)", *what == 's' ? "" : "\"", what, *what == 's' ? "" : "\"", path);
}

static bool image_size(int fd, const char *path, uint64_t *size, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "Could not open '%s'", path);
	if (S_ISDIR(st.st_mode))
		return err_errno(err, EISDIR, "Could not open '%s'", path);
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, size) < 0)
			return err_errno(err, errno, "Could not read the size of '%s'", path);
	} else if (S_ISREG(st.st_mode)) {
		*size = (uint64_t)st.st_size;
	} else {
		return err_set(err, "Could not open '%s': neither a file nor a block device", path);
	}
	if (*size == 0)
		return err_set(err, "Could not open '%s': the image is empty (qemu-img create or truncate -s SIZE makes a disk)", path);
	if (*size < SECTOR)
		return err_set(err, "Could not open '%s': %" PRIu64 " bytes are less than one sector", path, *size);
	return true;
}

static bool make_overlay(struct medium *m, struct err *err)
{
	const char *dir = getenv("TMPDIR");

	if (!dir || !*dir)
		dir = "/var/tmp";
	m->overlay = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (m->overlay < 0) {
		char name[4096];

		snprintf(name, sizeof(name), "%s/tenbox-XXXXXX", dir);
		m->overlay = mkostemp(name, O_CLOEXEC);
		if (m->overlay < 0)
			return err_errno(err, errno, "Could not make a temporary file in '%s' for the snapshot (TMPDIR names another "
					 "place)", dir);
		unlink(name);
	}
	m->changed_bytes = (size_t)(m->size / SECTOR / 8 + 1);
	m->changed = mmap(NULL, m->changed_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
	if (m->changed == MAP_FAILED) {
		m->changed = NULL;
		return err_errno(err, errno, "Could not get memory for the snapshot of '%s'", m->path);
	}
	return true;
}

static void medium_close(struct medium *m)
{
	if (m->overlay >= 0)
		close(m->overlay);
	if (m->fd >= 0)
		close(m->fd);
	if (m->changed)
		munmap(m->changed, m->changed_bytes);
	free(m->path);
	*m = no_medium;
}

static bool medium_open(struct medium *m, const struct disk_file_config *config, const char *path, struct err *err)
{
	bool read_only = config->read_only || config->cdrom, writes = !read_only && !config->snapshot;

	*m = no_medium;
	m->fd = open(path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (m->fd < 0)
		return err_errno(err, errno, "Could not open '%s'%s", path,
				 writes && (errno == EACCES || errno == EROFS) && access(path, R_OK) == 0 ?
				 " for writing (readonly=on or -snapshot does without)" : "");
	m->path = strdup(path);
	if (image_size(m->fd, path, &m->size, err) &&
	    (config->as_is || image_check(m->fd, path, m->size, config->cdrom, err)) &&
	    take_locks(m->fd, path, writes, err)) {
		m->size &= ~(uint64_t)(SECTOR - 1);
		if (!config->snapshot || read_only || make_overlay(m, err))
			return true;
	}
	medium_close(m);
	return false;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

/* The guest opened or closed the tray; what lies in it stays. */
static void tray(struct disk *disk, bool open)
{
	CONTAINER_OF(disk, struct disk_file, disk)->tray_open = open;
}

static struct disk_file *make(const struct disk_file_config *config)
{
	struct disk_file *d = calloc(1, sizeof(*d));

	assert(d);
	d->cfg = *config;
	d->name = strdup(config->name);
	d->serial = config->serial ? strdup(config->serial) : NULL;
	d->cfg.path = d->cfg.name = d->cfg.serial = NULL;       /* the caller's */
	d->disk = (struct disk){ .submit = submit, .cdrom = config->cdrom,
				 .read_only = config->read_only || config->cdrom, .name = d->name, .serial = d->serial, .tray = tray };
	d->medium = no_medium;
	d->event = -1;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->more, NULL);
	pthread_cond_init(&d->idle, NULL);
	queue_init(&d->waiting);
	queue_init(&d->finished);
	timer_init(&d->work, run_clock(config->run), work, d);
	return d;
}

struct disk *disk_file_empty(const struct disk_file_config *config)
{
	return &make(config)->disk;
}

/* Put the medium in, and have somebody do its work. */
static bool fill(struct disk_file *d, const struct medium *m, struct err *err)
{
	int r;

	if (!d->cfg.sync && !d->threaded) {
		d->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r = d->event < 0 ? -errno :
		    loop_add(run_loop(d->cfg.run), &d->event_fd, d->event, LOOP_READ, event_ready, d);
		if (r == 0)
			r = -pthread_create(&d->thread, NULL, worker, d);
		if (r < 0) {
			loop_remove(&d->event_fd);
			if (d->event >= 0)
				close(d->event);
			d->event = -1;
			return err_errno(err, -r, "Could not start the disk thread for '%s'", m->path);
		}
		d->threaded = true;
	}
	d->medium = *m;
	d->disk.size = m->size;
	d->disk.present = true;
	d->tray_open = false;
	return true;
}

struct disk *disk_file_open(const struct disk_file_config *config, struct err *err)
{
	struct disk_file *d = make(config);
	struct medium m;

	if (medium_open(&m, config, config->path, err)) {
		if (fill(d, &m, err))
			return &d->disk;
		medium_close(&m);
	}
	disk_file_close(&d->disk);
	return NULL;
}

/* All requests are done, and their owners know: nothing reads the medium any more. */
static void take_out(struct disk_file *d)
{
	if (d->threaded) {
		disk_file_settle(&d->disk);
		finish(d);
	} else {
		work(d);
	}
	medium_close(&d->medium);
	d->disk.present = false;
	d->disk.size = 0;
}

static void tell(struct disk_file *d)
{
	if (d->disk.changed)
		d->disk.changed(d->disk.owner);
}

void disk_file_eject(struct disk *disk)
{
	struct disk_file *d = CONTAINER_OF(disk, struct disk_file, disk);

	take_out(d);
	d->tray_open = true;
	tell(d);
}

bool disk_file_change(struct disk *disk, const char *path, bool as_is, struct err *err)
{
	struct disk_file *d = CONTAINER_OF(disk, struct disk_file, disk);
	struct disk_file_config config = d->cfg;
	struct medium m;
	bool ok;

	config.as_is = as_is;
	if (!medium_open(&m, &config, path, err))
		return false;
	take_out(d);
	ok = fill(d, &m, err);
	if (!ok)
		medium_close(&m);
	tell(d);
	return ok;
}

void disk_file_stop(struct disk *disk)
{
	struct disk_file *d = CONTAINER_OF(disk, struct disk_file, disk);

	if (!d->threaded) {
		work(d);
		return;
	}
	pthread_mutex_lock(&d->lock);
	d->ending = true;
	pthread_cond_signal(&d->more);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
	d->threaded = false;
	finish(d);
}

void disk_file_close(struct disk *disk)
{
	struct disk_file *d;

	if (!disk)
		return;
	d = CONTAINER_OF(disk, struct disk_file, disk);
	disk_file_stop(disk);
	timer_cancel(&d->work);
	loop_remove(&d->event_fd);
	if (d->event >= 0)
		close(d->event);
	medium_close(&d->medium);
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->more);
	pthread_cond_destroy(&d->idle);
	free(d->name);
	free(d->serial);
	free(d);
}

int disk_file_sync(struct disk *disk)
{
	struct disk_file *d = CONTAINER_OF(disk, struct disk_file, disk);

	if (d->medium.fd < 0 || d->disk.read_only || d->medium.overlay >= 0)
		return 0;
	return fdatasync(d->medium.fd) == 0 ? 0 : errno;
}

const char *disk_file_path(const struct disk *disk)
{
	return CONTAINER_OF(disk, struct disk_file, disk)->medium.path;
}

void disk_file_print(struct disk *disk, void (*out)(void *to, const char *line), void *to)
{
	struct disk_file *d = CONTAINER_OF(disk, struct disk_file, disk);
	char line[512];

	if (!d->medium.path)
		snprintf(line, sizeof(line), "%s: [not inserted]", d->name);
	else
		snprintf(line, sizeof(line), "%s: %s (raw%s%s)", d->name, d->medium.path,
			 d->disk.read_only ? ", read-only" : "", d->medium.overlay >= 0 ? ", snapshot" : "");
	out(to, line);
	if (d->disk.cdrom) {
		snprintf(line, sizeof(line), "    Removable device: %slocked, tray %s", d->disk.locked ? "" : "not ",
			 d->tray_open ? "open" : "closed");
		out(to, line);
	}
}
