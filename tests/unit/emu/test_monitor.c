/* SPDX-License-Identifier: MIT */
/* The monitor of a whole machine, from a thread at the other end of its socket. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "emu/machine.h"

enum { TEXT = 1 << 18, WORDS = 32 };

struct session {
	const char *const *lines;       /* to type, NULL-terminated; "quit" comes by itself */
	char *text;                     /* all that came back, without CR */
	size_t len;
};

/* Up to the next prompt, or the end. */
static bool to_prompt(struct session *s, int fd)
{
	size_t from = s->len;

	for (;;) {
		ssize_t n;

		s->text[s->len] = '\0';
		if (strstr(s->text + from, "(tenbox) "))
			return true;
		n = s->len + 1 < TEXT ? recv(fd, s->text + s->len, 1, 0) : 0;
		if (n <= 0)
			return false;
		if (s->text[s->len] != '\r')
			s->len++;
	}
}

static void *client(void *arg)
{
	struct session *s = arg;
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "test_monitor.sock" };
	struct timeval limit = { 20, 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && to_prompt(s, fd))
		for (size_t i = 0; s->lines[i]; i++)
			if (send(fd, s->lines[i], strlen(s->lines[i]), MSG_NOSIGNAL) < 0 || send(fd, "\n", 1, MSG_NOSIGNAL) < 0 ||
			    !to_prompt(s, fd))
				break;
	send(fd, "quit\n", 5, MSG_NOSIGNAL);
	while (recv(fd, &limit, 1, 0) > 0)
		;
	close(fd);
	return NULL;
}

/* Runs a machine with these options and types the lines; returns what was on the screen (to be freed). */
static char *type(const char *options, const char *const *lines)
{
	char *argv[WORDS] = { (char *)"tenbox" }, *text, *save = NULL;
	struct session s = { lines, calloc(1, TEXT), 0 };
	struct options o;
	struct machine *m;
	struct err err;
	pthread_t thread;
	int argc = 1;

	assert_true(asprintf(&text, "%s -display none -vga none -monitor unix:test_monitor.sock,server=on,wait=off -accel interp -S -kernel "
			     "test_monitor.kernel -m 16", options) > 0);
	for (char *w = strtok_r(text, " ", &save); w && argc < WORDS; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	assert_int_equal(options_parse(&o, argc, argv, &err), OPTIONS_RUN);
	m = machine_new(&o, &err);
	if (!m)
		fail_msg("%s", err.text);
	assert_int_equal(pthread_create(&thread, NULL, client, &s), 0);
	assert_int_equal(run_main(m->run), 0);
	machine_free(m);
	pthread_join(thread, NULL);
	options_free(&o);
	free(text);
	return s.text;
}

/* Each line gives this, in order; the machine is stopped at its start. */
static void expect(const char *options, const char *const *lines, const char *const *wanted)
{
	char *text = type(options, lines), *at = text;

	for (; *wanted; wanted++) {
		char *found = strstr(at, *wanted);

		if (!found)
			fail_msg("no \"%s\" in:\n%s", *wanted, at);
		at = found + strlen(*wanted);
	}
	free(text);
}

#define LIST(...) (const char *const[]){ __VA_ARGS__, NULL }

static void the_network_is_shown_as_qemu_shows_it(void **state)
{
	(void)state;
	expect("", LIST("info network", "info usernet"),
	       LIST("(tenbox) info network\nhub 0\n \\ hub0port1: #net000: index=0,type=user,net=10.0.2.0,restrict=off\n"
		    " \\ hub0port0: e1000.0: index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:56\n(tenbox) ",
		    "Hub 0 (#net000):\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ     ToHost    "
		    "ToGuest   Age  RTT ms\n"));
	expect("-netdev user,id=u,restrict=on,net=192.168.5.0/24 -device virtio-net-pci,netdev=u,id=card,mac=52:54:00:12:34:57 "
	       "-nic user,model=e1000", LIST("info network"),
	       LIST("e1000.0: index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:56\n \\ #net001: index=0,type=user,net=10.0.2.0,"
		    "restrict=off\n"
		    "card: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:57\n"
		    " \\ u: index=0,type=user,net=192.168.5.0,restrict=on\n"));
}

static void forwards_come_and_go(void **state)
{
	(void)state;
	expect("-nic user,id=n", LIST("hostfwd_add tcp:127.0.0.1:0-:22", "info usernet", "hostfwd_add n tcp:x", "hostfwd_add z tcp::0-:1",
				      "hostfwd_remove tcp:127.0.0.1:1"),
	       LIST("TCP[HOST_FORWARD]", "127.0.0.1", "Invalid host forwarding rule 'tcp:x' (", "unrecognized netdev id 'z'",
		    "host forwarding rule for tcp:127.0.0.1:1 not found"));
	expect("-nic user,id=n,guestfwd=tcp:10.0.2.9:25-cmd:true",
	       LIST("hostfwd_add tcp:127.0.0.1:0-[::1]:22", "hostfwd_add tcp:127.0.0.1:1-0-:2", "hostfwd_add unix:test_monitor_fwd.sock-:22",
		    "info usernet", "hostfwd_remove unix:/none", "info usernet-counters"),
	       LIST("Invalid host forwarding rule 'tcp:127.0.0.1:0-[::1]:22' (Bad guest address",
		    "Invalid host forwarding rule 'tcp:127.0.0.1:1-0-:2' (Bad host port: '1-0')",
		    "(Bad path: it must begin with /", "  TCP[GUESTFWD]       -               *     -        10.0.2.9    25     0     0  "
		    "cmd:true\n", "host forwarding rule for unix:/none not found", "n:\nframes_in                       0  frames from guests\n",
		    "limit_commands                  0  guestfwd"));
	expect("-nic none", LIST("hostfwd_add tcp::0-:22"), LIST("user mode network stack not in use"));
}

static void set_link_names_its_errors(void **state)
{
	(void)state;
	expect("", LIST("set_link e1000.0 off", "set_link foo on", "set_link e1000.0 maybe", "set_link"),
	       LIST("set_link e1000.0 off\n(tenbox) ", "Error: Device 'foo' not found", "Expected 'on' or 'off'",
		    "set_link: missing argument (NAME on|off)"));
}

/* The machine is at its start, without a driver: the cards speak for themselves, and the hub's other end has frames from them. */
static void announce_self_speaks_for_cards_without_a_driver(void **state)
{
	(void)state;
	expect("-nic user,model=virtio-net-pci,id=n -object filter-dump,id=f,netdev=n,file=test_monitor.pcap",
	       LIST("announce_self nosuch", "announce_self", "info network"), LIST("Error: Device 'nosuch' not found", "virtio-net-pci.0"));
	{
		static const uint8_t wanted[] = { 255, 255, 255, 255, 255, 255, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3 };
		uint8_t file[24 + 16 + 60] = { 0 };
		FILE *f = fopen("test_monitor.pcap", "rb");

		assert_non_null(f);
		assert_int_equal(fread(file, 1, sizeof(file), f), sizeof(file));
		fclose(f);
		unlink("test_monitor.pcap");
		assert_memory_equal(file + 40, wanted, sizeof(wanted));
	}
}

static void the_machine_stops_and_goes_on(void **state)
{
	(void)state;
	expect("-nic none -smp 2", LIST("info status", "cont", "info status", "stop", "info status", "info cpus", "c", "system_reset", "info status"),
	       LIST("VM status: paused", "VM status: running", "VM status: paused", "* CPU #0: pc=0x", "  CPU #1: pc=0x",
		    "VM status: running"));
}

static void memory_and_ports_are_shown_in_formats(void **state)
{
	(void)state;
	expect("-nic none", LIST("xp/2xb 0x100020", "xp/1xh 0x100020", "xp/1dh 0x100020", "xp/1c 0x10000", "xp/q 0", "xp", "o/b 0x70 0x60",
					       "o 0x71 0x5a", "i/b 0x71", "i/z 1"),
	       LIST("0000000000100020: 0xf4 0xeb\n", "0000000000100020: 0xebf4\n", "0000000000100020: -5132\n", "0000000000010000: 'E'\n", "invalid format 'q'", "xp: missing argument (ADDRESS)", "portb[0x0071] = 0x5a\n",
		    "invalid size 'z'"));
}

static void every_format_of_memory_is_there(void **state)
{
	(void)state;
	expect("-nic none", LIST("xp/4ob 0x100020", "xp/2uh 0x100020", "xp/1xg 0x100020", "xp/2ih 0x100020", "xp/2i 0x100020", "x/1i $pc",
				 "p $cs * 16 + 1", "p/d -2", "p/c 'A'", "p/i 1", "xp 1 +", "xp/2xg 0xfffffffff8"),
	       LIST("0000000000100020: 0364 0353", "0000000000100020: 60404 ", "0000000000100020: 0x", "0x00100020:  f4 ", "hlt\n",
		    "0x00100021:  eb ", "jmp ", "0x00100020:  f4", "hlt\n", "0x00100020:  f4", "0x101\n", "-2\n", "'A'\n", "invalid format 'i'",
		    "invalid number ''", "000000fffffffff8:\nCannot access memory\n"));
}

static void a_disc_is_changed_and_ejected(void **state)
{
	(void)state;
	expect("-nic none", LIST("eject nosuch", "change ide1-cd0", "change ide1-cd0 nosuchfile", "change ide1-cd0 test_monitor.kernel raw",
				 "info block", "eject ide1-cd0", "info block", "change -f ide1-cd0 test_monitor.kernel qcow2"),
	       LIST("Error: Device 'nosuch' not found", "change: missing argument", "Error: Could not open 'nosuchfile': No such file or directory",
		    "ide1-cd0: test_monitor.kernel (raw, read-only)\n    Removable device: not locked, tray closed",
		    "ide1-cd0: [not inserted]\n    Removable device: not locked, tray open", "Error: Unknown driver 'qcow2'"));
	expect("-nic none -drive file=test_monitor.kernel,if=virtio,format=raw,readonly=on", LIST("eject virtio0"),
	       LIST("Error: Device 'virtio0' is not removable"));
}

static void a_line_can_be_edited_and_recalled(void **state)
{
	(void)state;
	expect("-nic none -name box", LIST("info nameX\b", "garbage\x15info version", "\x10", "info  bad\x17" "uuid", "info st\t", "\x1b[A\x1b[A", "", "", "", "", ""),
	       LIST("\nbox\n", "\n0.1\n", "\n0.1\n", "\n00000000-0000-0000-0000-000000000000\n", "VM status: paused", "00000000-0000"));
}

static void unknown_commands_are_named(void **state)
{
	(void)state;
	expect("-nic none", LIST("frobnicate", "info frobs", "help info", "help quit", "sendkey nosuchkey", "log nosuchitem", "screendump x.png"),
	       LIST("unknown command: 'frobnicate'", "unknown command: 'info frobs'", "info network -- ", "quit|q -- end the program",
		    "invalid parameter: nosuchkey", "unknown log item 'nosuchitem'", "There is no console to take a screendump from"));
}

static void every_info_command_says_something(void **state)
{
	(void)state;
	expect("-nic user,model=virtio-net-pci", LIST("info registers", "info lapic", "info pci", "info irq", "info pic", "info mtree", "info block",
						      "info chardev"),
	       LIST("RIP=", "dumping local APIC state for CPU 0", "8086:1237", "ioapic", "pic0", "ram", "ide1-cd0: [not inserted]",
		    "filename=unix:test_monitor.sock,server=on"));
}

/* A multiboot image of one HLT in a loop. */
static int make_kernel(void **state)
{
	uint8_t image[1024] = { 0 };
	FILE *f = fopen("test_monitor.kernel", "wb");

	(void)state;
	put_le32(image, 0x1badb002);
	put_le32(image + 4, 1 << 16);
	put_le32(image + 8, -(0x1badb002u + (1 << 16)));
	put_le32(image + 12, 0x100000);
	put_le32(image + 16, 0x100000);
	put_le32(image + 28, 0x100020);
	memcpy(image + 32, "\xf4\xeb\xfd", 3);
	if (!f || fwrite(image, sizeof(image), 1, f) != 1)
		return -1;
	return fclose(f);
}

static int remove_kernel(void **state)
{
	(void)state;
	return unlink("test_monitor.kernel");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_network_is_shown_as_qemu_shows_it),
		cmocka_unit_test(forwards_come_and_go),
		cmocka_unit_test(set_link_names_its_errors),
		cmocka_unit_test(announce_self_speaks_for_cards_without_a_driver),
		cmocka_unit_test(the_machine_stops_and_goes_on),
		cmocka_unit_test(memory_and_ports_are_shown_in_formats),
		cmocka_unit_test(every_format_of_memory_is_there),
		cmocka_unit_test(a_disc_is_changed_and_ejected),
		cmocka_unit_test(a_line_can_be_edited_and_recalled),
		cmocka_unit_test(unknown_commands_are_named),
		cmocka_unit_test(every_info_command_says_something),
	};

	return cmocka_run_group_tests(tests, make_kernel, remove_kernel);
}
