/* SPDX-License-Identifier: MIT */
/*
 * A socket pair connects us with the child that goes inside:
 *
 *   child                                       we
 *   unshare or setns
 *   'n'  the new namespace is there    ->       write uid_map and gid_map (COMMAND only)
 *                                      <-  'm'  written
 *   make and set up the TAP
 *   't' with the descriptor and name   ->       (without COMMAND the child ends)
 *                                      <-  'g'  the network runs
 *   exec COMMAND
 *
 * 'e' from the child, with a text, ends it at any step; 'x' with errno says that exec failed.
 */
#include "netns/space.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/tap.h"

struct message {
	char kind;
	int number;                     /* 'x': errno */
	struct err err;                 /* 'e' */
	char ifname[16];                /* 't' */
};

static bool send_message(int fd, const struct message *m, int passed)
{
	union {
		struct cmsghdr h;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)m, sizeof(*m) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (passed >= 0) {
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.h), &passed, sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.bytes);
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof(*m);
}

/* false: the other side is gone. */
static bool receive_message(int fd, struct message *m, int *passed)
{
	union {
		struct cmsghdr h;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { m, sizeof(*m) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n;

	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*m))
		return false;
	if (passed && CMSG_FIRSTHDR(&msg) && CMSG_FIRSTHDR(&msg)->cmsg_type == SCM_RIGHTS)
		memcpy(passed, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	m->err.text[sizeof(m->err.text) - 1] = m->ifname[sizeof(m->ifname) - 1] = '\0';
	return true;
}

/* --- the child ---------------------------------------------------------------------------------------------------- */

static bool make_tap(int control, const struct setup *setup, struct err *err)
{
	struct setup s = *setup;
	struct message m = { .kind = 't' };
	int fd = tap_open(s.ifname, err);

	if (fd < 0 || !setup_interface(&s, err))
		return false;
	memcpy(m.ifname, s.ifname, sizeof(m.ifname));
	return send_message(control, &m, fd) ? close(fd) == 0 : err_errno(err, errno, "cannot hand over the TAP");
}

static _Noreturn void give_up(int control, const struct err *err)
{
	struct message m = { .kind = 'e', .err = *err };

	send_message(control, &m, -1);
	_exit(1);
}

static bool join(int net, int user, struct err *err)
{
	if (user >= 0 && setns(user, CLONE_NEWUSER) < 0)
		return err_errno(err, errno, "cannot enter the user namespace%s", errno == EPERM ?
				 " (only the user who made it, or root, may)" : "");
	if (setns(net, CLONE_NEWNET) < 0)
		return err_errno(err, errno, "cannot enter the network namespace%s", errno == EPERM ?
				 " (it takes CAP_SYS_ADMIN in the user namespace that owns it)" : errno == EINVAL ?
				 " (is it the file of a network namespace?)" : "");
	return true;
}

static const char *unshare_remedy(int e)
{
	switch (e) {
	case EPERM:
		return " (the kernel lets no ordinary user make user namespaces: see sysctl "
		       "kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns; in a "
		       "container, its seccomp profile)";
	case ENOSPC:
	case EUSERS:
		return " (too many namespaces: see sysctl user.max_user_namespaces and user.max_net_namespaces)";
	case EINVAL:
		return " (is this kernel built with CONFIG_USER_NS and CONFIG_NET_NS?)";
	default:
		return "";
	}
}

static bool become_inside(int control, const struct setup *setup, struct err *err)
{
	struct message m = { .kind = 'n' };

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET | (setup->configure ? CLONE_NEWNS : 0)) < 0)
		return err_errno(err, errno, "cannot make a user and network namespace%s", unshare_remedy(errno));
	if (!send_message(control, &m, -1) || !receive_message(control, &m, NULL))
		_exit(1);
	return setup_loopback(err) && (!setup->configure || setup_resolver(setup, err)) &&
	       make_tap(control, setup, err);
}

static _Noreturn void run_command(int control, char *const *command)
{
	struct message m;
	sigset_t none;

	if (!receive_message(control, &m, NULL))
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execvp(command[0], command);
	m = (struct message){ .kind = 'x', .number = errno };
	send_message(control, &m, -1);
	_exit(127);
}

static _Noreturn void child_main(int control, const struct space_config *c, int net, int user, pid_t parent)
{
	struct err err;

	prctl(PR_SET_PDEATHSIG, SIGTERM);       /* the command is not left behind without its network */
	if (getppid() != parent)
		_exit(1);
	if (!c->command) {
		if (!join(net, user, &err) || !make_tap(control, c->setup, &err))
			give_up(control, &err);
		_exit(0);
	}
	if (!become_inside(control, c->setup, &err))
		give_up(control, &err);
	prctl(PR_SET_PDEATHSIG, SIGTERM);       /* unshare has cleared it */
	run_command(control, c->command);
}

/* --- we ----------------------------------------------------------------------------------------------------------- */

static bool write_file(pid_t pid, const char *name, const char *text)
{
	char path[64];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (!ok) {
		int saved = errno;

		close(fd);
		errno = saved;
		return false;
	}
	return close(fd) == 0;
}

/* All ids of ours are the same inside: "FIRST FIRST COUNT" for each line of our own map. */
static bool identity_map(const char *own, char *text, size_t size)
{
	unsigned long inside, outside, count;
	FILE *f = fopen(own, "re");
	size_t at = 0;

	while (f && fscanf(f, "%lu %lu %lu", &inside, &outside, &count) == 3 && at < size)
		at += (size_t)snprintf(text + at, size - at, "%lu %lu %lu\n", inside, inside, count);
	if (f)
		fclose(f);
	return at && at < size;
}

/* Root keeps all ids as they are; anyone else becomes root inside, and only himself. */
static bool map_ids(pid_t child, struct err *err)
{
	char uids[1024], gids[1024];

	if (geteuid() == 0 && identity_map("/proc/self/uid_map", uids, sizeof(uids)) &&
	    identity_map("/proc/self/gid_map", gids, sizeof(gids)) && write_file(child, "gid_map", gids) &&
	    write_file(child, "uid_map", uids))
		return true;
	snprintf(uids, sizeof(uids), "0 %u 1\n", (unsigned)geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1\n", (unsigned)getegid());
	if (!write_file(child, "uid_map", uids))
		return err_errno(err, errno, "cannot write the new namespace's uid_map%s", errno != EPERM ? "" :
				 geteuid() == 0 ?
				 " (root without CAP_SETUID or CAP_SETFCAP: run it as an ordinary user)" :
				 " (user namespaces of ordinary users are restricted on this host)");
	if ((!write_file(child, "setgroups", "deny") && errno != ENOENT) || !write_file(child, "gid_map", gids))
		return err_errno(err, errno, "cannot write the new namespace's gid_map");
	return true;
}

static bool same_file(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Opens the namespace and the user namespace that owns it; *user is -1 if that is ours. */
static bool open_namespace(const struct space_config *c, int *net, int *user, struct err *err)
{
	char path[64], what[300];

	if (c->pid) {
		snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)c->pid);
		snprintf(what, sizeof(what), "process %d", (int)c->pid);
	} else {
		snprintf(what, sizeof(what), "%s", c->path);
	}
	*net = open(c->pid ? path : c->path, O_RDONLY | O_CLOEXEC);
	if (*net < 0) {
		if (c->pid && errno == ENOENT)
			return err_set(err, "%s: there is no such process", what);
		return err_errno(err, errno, "%s: cannot open its network namespace%s", what,
				 c->pid && errno == EACCES ? " (it belongs to another user)" : "");
	}
	if (same_file(*net, "/proc/self/ns/net"))
		return err_set(err, "%s is in the network namespace of tenbox-net itself: make a new one first "
			       "(unshare -n, or tenbox-net -- COMMAND)", what);
	*user = ioctl(*net, NS_GET_USERNS);
	if (*user < 0 && c->pid) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)c->pid);
		*user = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (*user < 0 && errno == ENOTTY)
		return err_set(err, "%s is not the file of a network namespace", what);
	if (*user >= 0 && same_file(*user, "/proc/self/ns/user")) {
		close(*user);
		*user = -1;
	}
	return true;
}

static bool fail(struct space *s)
{
	if (s->control >= 0)
		close(s->control);
	if (s->child > 0)
		waitpid(s->child, NULL, 0);
	if (s->tap >= 0)
		close(s->tap);
	*s = (struct space){ .tap = -1, .control = -1 };
	return false;
}

/* Follows the child until it has sent the TAP. */
static bool follow(struct space *s, const struct space_config *c, struct err *err)
{
	struct message m;

	for (;;) {
		if (!receive_message(s->control, &m, &s->tap))
			return err_set(err, "the process that makes the TAP ended without a word");
		switch (m.kind) {
		case 'e':
			*err = m.err;
			return false;
		case 'n':
			m.kind = 'm';
			if (!map_ids(s->child, err))
				return false;
			if (!send_message(s->control, &m, -1))
				return err_errno(err, errno, "the process that makes the TAP is gone");
			break;
		case 't':
			memcpy(s->ifname, m.ifname, sizeof(s->ifname));
			if (c->command)
				return true;
			waitpid(s->child, NULL, 0);
			s->child = 0;
			close(s->control);
			s->control = -1;
			return true;
		}
	}
}

bool space_open(struct space *s, const struct space_config *c, struct err *err)
{
	int pair[2], net = -1, user = -1;
	pid_t self = getpid();
	bool ok;

	*s = (struct space){ .tap = -1, .control = -1 };
	if (!c->command && !open_namespace(c, &net, &user, err))
		return false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(err, errno, "socketpair");
	s->child = fork();
	if (s->child < 0) {
		close(pair[0]);
		close(pair[1]);
		return err_errno(err, errno, "fork");
	}
	if (s->child == 0) {
		close(pair[0]);
		child_main(pair[1], c, net, user, self);
	}
	close(pair[1]);
	s->control = pair[0];
	ok = follow(s, c, err);
	if (net >= 0)
		close(net);
	if (user >= 0)
		close(user);
	return ok || fail(s);
}

bool space_go(struct space *s, int *status, struct err *err)
{
	struct message m = { .kind = 'g' };
	bool started = false;

	if (!s->child)
		return true;
	*status = 1;
	/* closed by exec, when all is well */
	if (!send_message(s->control, &m, -1) || !receive_message(s->control, &m, NULL)) {
		started = true;
	} else if (m.kind == 'e') {
		*err = m.err;
	} else {
		*status = m.number == ENOENT ? 127 : 126;
		err_errno(err, m.number, "cannot run the command");
	}
	close(s->control);
	s->control = -1;
	if (!started) {
		waitpid(s->child, NULL, 0);
		s->child = 0;
	}
	return started;
}
