/* SPDX-License-Identifier: MIT */
/* Whole machines from a command line: a few instructions as a kernel, and what they tell through isa-debug-exit. */
#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "emu/machine.h"

enum { WORDS = 40, SETUP = 1024, CODE_MAX = 256 };

static char dir[] = "test_machine_XXXXXX";

static void write_file(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(name, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	fclose(f);
}

/* A bzImage whose protected-mode part is `code` at its entry, 64-bit (offset 200h) or 32-bit (offset 0). */
static void write_linux(const char *name, const uint8_t *code, size_t len, bool long_mode, size_t cut)
{
	uint8_t image[SETUP + 512 + CODE_MAX] = { 0 };

	image[0x1f1] = 1;                                       /* setup_sects */
	put_le32(image + 0x1f4, (512 + CODE_MAX) / 16);
	put_le16(image + 0x1fe, 0xaa55);
	image[0x201] = 0x66;
	memcpy(image + 0x202, "HdrS", 4);
	put_le16(image + 0x206, 0x20f);
	image[0x211] = 1;
	put_le32(image + 0x22c, 0x7fffffff);
	put_le32(image + 0x230, 0x200000);
	image[0x234] = 1;
	put_le16(image + 0x236, long_mode);
	put_le32(image + 0x238, 255);
	put_le64(image + 0x258, 0x1000000);
	put_le32(image + 0x260, 0x10000);
	memcpy(image + SETUP + (long_mode ? 512 : 0), code, len);
	write_file(name, image, sizeof(image) - cut);
}

/* A multiboot image with the address fields, loaded and entered at 1 MiB. */
static void write_multiboot(const char *name, const uint8_t *code, size_t len)
{
	uint8_t image[32 + CODE_MAX] = { 0 };

	put_le32(image, 0x1badb002);
	put_le32(image + 4, 1 << 16);
	put_le32(image + 8, -(0x1badb002u + (1 << 16)));
	put_le32(image + 12, 0x100000);
	put_le32(image + 16, 0x100000);
	put_le32(image + 28, 0x100020);
	memcpy(image + 32, code, len);
	write_file(name, image, sizeof(image));
}

/* Runs a command line; returns the exit status, or -1 with err if there is no such machine. */
static int run(const char *line, struct err *err)
{
	char *argv[WORDS] = { (char *)"tenbox" }, *text = strdup(line), *save = NULL;
	struct options o;
	struct machine *m = NULL;
	int argc = 1, status = -1;

	for (char *w = strtok_r(text, " ", &save); w && argc < WORDS; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	if (options_parse(&o, argc, argv, err) == OPTIONS_RUN)
		m = machine_new(&o, err);
	if (m) {
		status = run_main(m->run);
		machine_free(m);
	}
	options_free(&o);
	free(text);
	return status;
}

#define COMMON " -display none -nic none -vga none -accel interp -device isa-debug-exit,iobase=0x501 "
#define OUT_AL 0x66, 0xba, 0x01, 0x05, 0xee, 0xf4, 0xeb, 0xfd   /* mov dx, 501h; out dx, al; hlt; jmp back to it */
#define STATUS(byte) (((byte) << 1 | 1) & 0xff)
/* An archive that is only its trailer; its name is still to come. */
#define CPIO_HEADER "070701" "00000000" "00000000" "00000000" "00000000" "00000001" "00000000" "00000000" "00000000" "00000000" \
		    "00000000" "00000000" "0000000B" "00000000"

/* The first letter of the command line, by boot_params: the same bytes in both modes. */
static const uint8_t tell_command_line[] = { 0x8b, 0x86, 0x28, 0x02, 0, 0, 0x8a, 0x00, OUT_AL };
static const uint8_t tell_initrd[] = { 0x8b, 0x86, 0x18, 0x02, 0, 0, 0x8a, 0x00, OUT_AL };
static const uint8_t tell_module[] = { 0x8b, 0x43, 0x18, 0x8b, 0x00, 0x8a, 0x00, OUT_AL };
static const uint8_t tell_magic[] = { 0xc1, 0xe8, 0x08, OUT_AL };       /* EAX is 2BADB002h */
static const uint8_t reset_by_cf9[] = { 0x66, 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xf4, 0xeb, 0xfd };

static void a_64_bit_kernel_starts_with_its_command_line(void **state)
{
	struct err err;

	(void)state;
	write_linux("k64", tell_command_line, sizeof(tell_command_line), true, 0);
	assert_int_equal(run("-m 64 -kernel k64 -append Q" COMMON, &err), STATUS('Q'));
	assert_int_equal(run("-m 64 -kernel k64 -append R -smp 4" COMMON, &err), STATUS('R'));
}

static void a_32_bit_kernel_starts_too(void **state)
{
	struct err err;

	(void)state;
	write_linux("k32", tell_command_line, sizeof(tell_command_line), false, 0);
	assert_int_equal(run("-m 64 -kernel k32 -append q" COMMON, &err), STATUS('q'));
}

static void instruction_count_mode_runs_the_same(void **state)
{
	struct err err;

	(void)state;
	write_linux("k64", tell_command_line, sizeof(tell_command_line), true, 0);
	assert_int_equal(run("-m 64 -kernel k64 -append S -icount 4" COMMON, &err), STATUS('S'));
	assert_int_equal(run("-m 64 -kernel k64 -append S -icount 4,sleep=off -smp 2" COMMON, &err), STATUS('S'));
}

static void an_initial_ram_disk_lies_where_the_kernel_is_told(void **state)
{
	static const char cpio[] = CPIO_HEADER "TRAILER!!!";
	struct err err;

	(void)state;
	write_linux("ki", tell_initrd, sizeof(tell_initrd), true, 0);
	write_file("cpio", cpio, sizeof(cpio));
	assert_int_equal(run("-m 64 -kernel ki -initrd cpio" COMMON, &err), STATUS('0'));
}

static void multiboot_gets_its_magic_and_modules(void **state)
{
	struct err err;

	(void)state;
	write_multiboot("mb", tell_magic, sizeof(tell_magic));
	assert_int_equal(run("-m 64 -kernel mb" COMMON, &err), STATUS(0xb0));
	write_multiboot("mb", tell_module, sizeof(tell_module));
	write_file("module", "zebra", 5);
	assert_int_equal(run("-m 64 -kernel mb -initrd module,,x,module" COMMON, &err), -1);
	assert_string_equal(err.text, "-initrd module,,x,module: could not open 'module,x': No such file or directory");
	assert_int_equal(run("-m 64 -kernel mb -initrd module,module" COMMON, &err), STATUS('z'));
}

static void a_multiboot_elf_is_loaded_by_its_segments(void **state)
{
	struct { Elf32_Ehdr e; Elf32_Phdr p; uint32_t header[3]; uint8_t code[64]; } image = {
		.e = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1 }, .e_type = ET_EXEC, .e_machine = EM_386,
		       .e_version = 1, .e_entry = 0x200000, .e_phoff = sizeof(Elf32_Ehdr), .e_ehsize = sizeof(Elf32_Ehdr),
		       .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 1 },
		.p = { .p_type = PT_LOAD, .p_paddr = 0x200000, .p_vaddr = 0x200000, .p_filesz = 64, .p_memsz = 0x1000 },
		.header = { 0x1badb002, 0, -0x1badb002u },
	};
	struct err err;

	(void)state;
	image.p.p_offset = (uint32_t)((uint8_t *)image.code - (uint8_t *)&image);
	memcpy(image.code, tell_magic, sizeof(tell_magic));
	write_file("elf", &image, sizeof(image));
	assert_int_equal(run("-m 64 -kernel elf" COMMON, &err), STATUS(0xb0));
	write_file("elf", &image, sizeof(image) - 8);
	assert_int_equal(run("-m 64 -kernel elf" COMMON, &err), -1);
	assert_non_null(strstr(err.text, "'elf' is cut short"));
}

static void no_reboot_ends_with_status_0(void **state)
{
	struct err err;

	(void)state;
	write_linux("kr", reset_by_cf9, sizeof(reset_by_cf9), true, 0);
	assert_int_equal(run("-m 64 -kernel kr -no-reboot" COMMON, &err), 0);
	assert_int_equal(run("-m 64 -kernel kr -no-reboot -icount 3" COMMON, &err), 0);
}

/* A byte of CMOS survives the reset and tells the second start from the first. */
static void a_reset_loads_the_kernel_again(void **state)
{
	static const uint8_t code[] = {
		0xb0, 0x60, 0xe6, 0x70, 0xe4, 0x71,             /* in al from CMOS 60h */
		0x3c, 0x5a, 0x74, 0x0e,                         /* is it 5Ah: then tell */
		0xb0, 0x5a, 0xe6, 0x71,                         /* else store it, */
		0x66, 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee,       /* reset, */
		0xf4, 0xeb, 0xfd,                               /* and wait */
		OUT_AL,
	};
	struct err err;

	(void)state;
	write_linux("kr", code, sizeof(code), true, 0);
	assert_int_equal(run("-m 64 -kernel kr" COMMON, &err), STATUS(0x5a));
	assert_int_equal(run("-m 64 -kernel kr -smp 2" COMMON, &err), STATUS(0x5a));
}

static void a_triple_fault_resets(void **state)
{
	static const uint8_t code[] = { 0x0f, 0x0b };           /* UD2 without an IDT */
	struct err err;

	(void)state;
	write_linux("kt", code, sizeof(code), true, 0);
	assert_int_equal(run("-m 64 -kernel kt -no-reboot" COMMON, &err), 0);
	assert_int_equal(run("-m 64 -kernel kt -no-reboot -icount 3" COMMON, &err), 0);
}

static void bad_set_ups_leave_nothing_behind(void **state)
{
	static const struct { const char *line, *text; } cases[] = {
		{ "-kernel nope", "-kernel nope: could not open 'nope': No such file or directory" },
		{ "-kernel .", "-kernel .: could not open '.': Is a directory" },
		{ "-kernel text", "-kernel text: 'text' is neither a Linux bzImage nor a multiboot image (it is cut short or something else)" },
		{ "-kernel empty", "-kernel empty: 'empty' is empty" },
		{ "-m 64 -kernel kcut", "-kernel kcut: 'kcut' is cut short: it has 1772 bytes of 1792" },
		{ "-m 64 -kernel kgood -initrd nope", "-initrd nope: could not open 'nope': No such file or directory" },
		{ "-m 64 -kernel kgood -initrd text", "-initrd text: 'text' is no initial RAM disk (a cpio archive, maybe compressed, or a file "
		  "system image)" },
		{ "-m 64 -kernel kgood -initrd cpiocut", "-initrd cpiocut: 'cpiocut' is cut short: its archive goes on behind its 100 bytes" },
		{ "-m 8 -kernel kgood", "-m 8M: -kernel needs at least 16M" },
		{ "-bios nope", "-bios nope: could not find the file: No such file or directory" },
		{ "-bios .", "-bios .: could not open '.': Is a directory" },
		{ "-bios text", "-bios text: could not load PC BIOS 'text': 5 bytes, not a multiple of 65536 (cut short, or no BIOS)" },
		{ "-m 64 -kernel kgood -hda nope", "-hda nope: Could not open 'nope': No such file or directory" },
		{ "-m 64 -kernel kgood -drive file=text,if=virtio,format=raw", "-drive file=text,if=virtio,format=raw: Could not open 'text': "
		  "5 bytes are less than one sector" },
		{ "-m 64 -kernel kgood -hda text -hda text", "-hda text: drive with bus=0, unit=0 (index=0) exists" },
		{ "-netdev user", "-netdev user: Parameter 'id' is missing" },
		{ "-netdev tap,id=t", "-netdev tap,id=t: network backend 'tap' is not compiled into this binary (user, hubport)" },
		{ "-netdev hubport,id=h", "-netdev hubport,id=h: Parameter 'hubid' is missing" },
		{ "-netdev hubport,id=h,hubid=1,netdev=x", "-netdev hubport,id=h,hubid=1,netdev=x: netdev 'x' not found" },
		{ "-netdev user,id=u -netdev hubport,id=h,hubid=1,netdev=u -device e1000,netdev=u",
		  "-device e1000,netdev=u: Property 'e1000.netdev' can't take value 'u', it's in use" },
		{ "-net hubport", "-net hubport: network backend 'hubport' is only supported with -netdev/-nic" },
		{ "-netdev user,id=n,ipv6-net=fec0::/127", "-netdev user,id=n,ipv6-net=fec0::/127: Invalid IPv6 prefix provided (IPv6 prefix "
		  "length must be between 0 and 126)" },
		{ "-netdev user,id=n,bogus=1", "-netdev user,id=n,bogus=1: Invalid parameter 'bogus'" },
		{ "-netdev user,id=n -netdev user,id=n", "-netdev user,id=n: Duplicate ID 'n' for netdev" },
		{ "-netdev user,id=n,ipv4=off,ipv6=off", "-netdev user,id=n,ipv4=off,ipv6=off: IPv4 and IPv6 disabled" },
		{ "-nic user,model=foo", "-nic user,model=foo: Unsupported NIC model: foo (-nic model=help lists them)" },
		{ "-nic user,mac=1:2", "-nic user,mac=1:2: invalid syntax for ethernet address '1:2' (like 52:54:00:12:34:56)" },
		{ "-nic user,mac=01:00:00:00:00:00", "-nic user,mac=01:00:00:00:00:00: NIC cannot have multicast MAC address '01:00:00:00:00:00'" },
		{ "-device e1000,netdev=x", "-device e1000,netdev=x: Property 'e1000.netdev' can't find value 'x'" },
		{ "-netdev user,id=n -device e1000,netdev=n -device e1000,netdev=n",
		  "-device e1000,netdev=n: Property 'e1000.netdev' can't take value 'n', it's in use" },
		{ "-device e1000,foo=1", "-device e1000,foo=1: Property 'e1000.foo' not found (-device e1000,help lists them)" },
		{ "-device e1000,addr=20", "-device e1000,addr=20: Invalid PCI device address '20' (slot or slot.function in hexadecimal, "
		  "0 to 1f)" },
		{ "-device e1000,bus=pcie.0", "-device e1000,bus=pcie.0: Bus 'pcie.0' not found (pci.0)" },
		{ "-m 64 -kernel kgood -device e1000,romfile=text", "-device e1000,romfile=text: romfile \"text\" is no option ROM, or cut short" },
		{ "-m 64 -kernel kgood -device e1000,romfile=nope", "-device e1000,romfile=nope: failed to find romfile \"nope\" (package ipxe-qemu "
		  "has it; romfile= does without)" },
		{ "-net nic,vlan=1", "-net nic,vlan=1: Invalid parameter 'vlan' (all of -net is on hub 0; -netdev and -device make other "
		  "networks)" },
		{ "-net nic,netdev=x", "-net nic,netdev=x: netdev 'x' not found" },
		{ "-global e1000.foo=1", "-global e1000.foo=1: Property 'e1000.foo' not found (-device e1000,help lists them)" },
		{ "-object filter-dump,id=f,netdev=x,file=created", "-object filter-dump,id=f,netdev=x,file=created: Parameter 'netdev' expects a "
		  "network backend id, not 'x'" },
		{ "-m 64 -kernel kgood -nic user,hostfwd=tcp::22 -serial file:created",
		  "-nic user,hostfwd=tcp::22: Invalid host forwarding rule 'tcp::22' (Bad host port separator: "
		  "[tcp|udp]:[HADDR]:HPORT-[GADDR]:GPORT or unix:/PATH-[GADDR]:GPORT is expected)" },
		{ "-m 64 -kernel kgood -nic user,guestfwd=tcp:10.0.2.9:1-foo", "-nic user,guestfwd=tcp:10.0.2.9:1-foo: guest forwarding rule "
		  "'tcp:10.0.2.9:1-foo': 'foo' is not a valid character device (stdio, mon:stdio, pty, null, none, file:PATH, pipe:PATH, "
		  "unix:PATH, tcp:HOST:PORT, telnet:HOST:PORT, chardev:ID)" },
		{ "-m 64 -kernel kgood -nic user,guestfwd=tcp:10.0.2.9:1-chardev:x", "-nic user,guestfwd=tcp:10.0.2.9:1-chardev:x: guest "
		  "forwarding rule 'tcp:10.0.2.9:1-chardev:x': chardev 'x' not found" },
		{ "-m 64 -kernel kgood -nic user,guestfwd=tcp:10.0.2.2:1-cmd:x", "-nic user,guestfwd=tcp:10.0.2.2:1-cmd:x: Conflicting/invalid "
		  "host:port in guest forwarding rule 'tcp:10.0.2.2:1-cmd:x'" },
		{ "-m 64 -kernel kgood -serial foo", "-serial foo: 'foo' is not a valid character device (stdio, mon:stdio, pty, null, none, "
		  "file:PATH, pipe:PATH, unix:PATH, tcp:HOST:PORT, telnet:HOST:PORT, chardev:ID)" },
		{ "-m 64 -kernel kgood -serial chardev:x", "-serial chardev:x: chardev 'x' not found" },
		{ "-m 64 -kernel kgood -monitor tcp:5", "-monitor tcp:5: '5' is not HOST:PORT" },
		{ "-m 64 -kernel kgood -chardev null,id=a -chardev null,id=a", "-chardev null,id=a: Duplicate ID 'a' for chardev" },
		{ "-m 64 -kernel kgood -fw_cfg name=x", "-fw_cfg name=x: one of file= and string= is needed" },
		{ "-m 64 -kernel kgood -option-rom text", "-option-rom text: 'text' is no option ROM, or cut short" },
		{ "-device virtio-blk-pci,drive=x", "-device virtio-blk-pci,drive=x: Property 'virtio-blk-pci.drive' can't find value 'x'" },
		{ "-device isa-debug-exit,iobase=x", "-device isa-debug-exit,iobase=x: Parameter 'iobase' expects a number, not 'x'" },
		{ "-m 64 -kernel kgood -cpu foo", NULL },
	};
	static const char cpio[] = CPIO_HEADER;
	int fd = open("/dev/null", O_RDONLY), after;

	(void)state;
	close(fd);
	write_linux("kgood", tell_magic, sizeof(tell_magic), true, 0);
	write_linux("kcut", tell_magic, sizeof(tell_magic), true, 20);
	write_file("text", "hello", 5);
	write_file("empty", "", 0);
	write_file("cpiocut", cpio, 100);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = { "" };

		if (run(cases[i].line, &err) != -1 || (cases[i].text ? strcmp(err.text, cases[i].text) :
						       strncmp(err.text, "-cpu foo: ", 10)))
			fail_msg("'%s' gave \"%s\"", cases[i].line, err.text);
		assert_int_equal(access("created", F_OK), -1);
	}
	after = open("/dev/null", O_RDONLY);            /* the same number: no descriptor was left open */
	assert_int_equal(after, fd);
	close(after);
}

static void more_memory_than_the_host_has_is_refused(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(run("-m 1000000G -display none -vga none -nic none", &err), -1);
	assert_non_null(strstr(err.text, "-m 1024000000M: the host has only "));
}

static int in_a_folder_of_our_own(void **state)
{
	(void)state;
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int remove_the_folder(void **state)
{
	(void)state;
	return chdir("..") == 0 && system("rm -rf test_machine_??????") == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_64_bit_kernel_starts_with_its_command_line),
		cmocka_unit_test(a_32_bit_kernel_starts_too),
		cmocka_unit_test(instruction_count_mode_runs_the_same),
		cmocka_unit_test(an_initial_ram_disk_lies_where_the_kernel_is_told),
		cmocka_unit_test(multiboot_gets_its_magic_and_modules),
		cmocka_unit_test(a_multiboot_elf_is_loaded_by_its_segments),
		cmocka_unit_test(no_reboot_ends_with_status_0),
		cmocka_unit_test(a_reset_loads_the_kernel_again),
		cmocka_unit_test(a_triple_fault_resets),
		cmocka_unit_test(bad_set_ups_leave_nothing_behind),
		cmocka_unit_test(more_memory_than_the_host_has_is_refused),
	};

	return cmocka_run_group_tests(tests, in_a_folder_of_our_own, remove_the_folder);
}
