/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/log.h"
#include "emu/options.h"

enum { WORDS = 24 };

/* Cut a command line at blanks and parse it; the words stay in `words`. */
struct parsed {
	struct options o;
	struct err err;
	enum options_result result;
	char *text;
};

static void parse(struct parsed *p, const char *line)
{
	char *argv[WORDS] = { (char *)"tenbox" }, *save = NULL;
	int argc = 1;

	p->text = strdup(line);
	p->err.text[0] = '\0';
	for (char *w = strtok_r(p->text, " ", &save); w && argc < WORDS; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	p->result = options_parse(&p->o, argc, argv, &p->err);
}

static void done(struct parsed *p)
{
	options_free(&p->o);
	free(p->text);
}

static void bad_options_end_in_one_line_that_says_why(void **state)
{
	static const struct { const char *line, *text; } cases[] = {
		{ "-foo", "-foo: invalid option (tenbox -h lists them)" },
		{ "--foo", "--foo: invalid option (tenbox -h lists them)" },
		{ "-m", "-m: requires an argument (SIZE)" },
		{ "-m 0", "-m 0: ram size too small (the guest needs at least 1M)" },
		{ "-m -5", "-m -5: Parameter 'size' expects a non-negative number below 2^64 with an optional suffix k, M, G, T, P or E, "
		  "not '-5'" },
		{ "-m 512,bogus=1", "-m 512,bogus=1: Invalid parameter 'bogus'" },
		{ "-m 1G,maxmem=2G", "-m 1G,maxmem=2G: memory cannot be plugged in later: no slots= and maxmem=" },
		{ "-smp 9", "-smp 9: Invalid SMP CPUs 9. The max CPUs supported by machine 'pc' is 8" },
		{ "-smp 0", "-smp 0: Parameter 'cpus' expects a number from 1 to 4294967295, not '0'" },
		{ "-smp 2,maxcpus=4", "-smp 2,maxcpus=4: maxcpus (4) must be equal to cpus (2): processors cannot be plugged in later" },
		{ "-smp 4,sockets=1,cores=2,threads=1", "-smp 4,sockets=1,cores=2,threads=1: Invalid CPU topology: product of the hierarchy "
		  "must match maxcpus: sockets (1) * cores (2) * threads (1) != 4" },
		{ "-M q35", "-M q35: unsupported machine type 'q35' (there is 'pc')" },
		{ "-machine pc,vmport=on", "-machine pc,vmport=on: Property 'pc-machine.vmport' cannot be on" },
		{ "-machine pc,foo=1", "-machine pc,foo=1: Property 'pc-machine.foo' not found" },
		{ "-accel kvm", "-accel kvm: tenbox does not use KVM (there are xlat, tcg and interp)" },
		{ "-accel foo", "-accel foo: invalid accelerator foo (xlat, tcg, interp)" },
		{ "-enable-kvm", "-enable-kvm: tenbox does not use KVM (use -accel xlat or -accel interp)" },
		{ "-cpu host", "-cpu host: CPU model 'host' requires KVM (use 'max' for all that tenbox can do)" },
		{ "-boot z", "-boot z: Invalid boot device 'z' for PC (a: floppy, c: disk, d: CD, n: network)" },
		{ "-boot cc", "-boot cc: Boot device 'c' was given twice" },
		{ "-vga cirrus", "-vga cirrus: cirrus VGA not available (std, none)" },
		{ "-vga foo", "-vga foo: Unknown vga type: foo (std, none)" },
		{ "-rtc base=yesterday", "-rtc base=yesterday: invalid datetime format 'yesterday' (utc, localtime, 2006-06-17T16:01:21 or "
		  "2006-06-17)" },
		{ "-icount 99", "-icount 99: Parameter 'shift' expects a number from 0 to 10, not '99'" },
		{ "-accel xlat,tb-size=1025", "-accel xlat,tb-size=1025: Parameter 'tb-size' expects a number from 0 to 1024, not '1025'" },
		{ "-accel tcg,tb-size=x", "-accel tcg,tb-size=x: Parameter 'tb-size' expects a number, not 'x'" },
		{ "-accel interp,tb-size=8", "-accel interp,tb-size=8: Invalid parameter 'tb-size'" },
		{ "-accel interp,thread=multi", "-accel interp,thread=multi: Invalid parameter 'thread'" },
		{ "-accel tcg,thread=single", "-accel tcg,thread=single: Invalid 'thread' setting single (multi; -icount runs on one thread)" },
		{ "-accel tcg,exact-flags=maybe", "-accel tcg,exact-flags=maybe: Parameter 'exact-flags' expects 'on' or 'off', not 'maybe'" },
		{ "-accel tcg,without=avx+sse", "-accel tcg,without=avx+sse: Parameter 'without' expects names with '+' between them (avx, "
		  "bmi2, fsgsbase, xsave), not 'sse'" },
		{ "-accel tcg,split-wx=on", "-accel tcg,split-wx=on: Invalid parameter 'split-wx'" },
		{ "-perfmap -accel interp", "-perfmap: the interpreter makes no code: not with -accel interp" },
		{ "-M pc,accel=kvm", "-M pc,accel=kvm: tenbox does not use KVM (there are xlat, tcg and interp)" },
		{ "-uuid 123", "-uuid 123: failed to parse UUID '123' (like 12345678-1234-1234-1234-123456789abc)" },
		{ "-d int,foo,cpu", "-d int,foo,cpu: unknown log item 'foo' (-d help lists them)" },
		{ "-initrd x", "-initrd x: -initrd only allowed with -kernel option" },
		{ "-append x", "-append x: -append only allowed with -kernel option" },
		{ "-nographic -daemonize", "-nographic: cannot be used with -daemonize" },
		{ "-netdev {}", "-netdev {}: the JSON form is not available" },
		{ "-device foo", "-device foo: 'foo' is not a valid device model name (-device help lists them)" },
		{ "-device id=x", "-device id=x: Parameter 'driver' is missing" },
		{ "-object foo,id=x", "-object foo,id=x: Parameter 'qom-type' does not accept value 'foo' (filter-dump)" },
		{ "-qmp stdio", "-qmp stdio: QMP is not part of this build (-monitor has the text commands)" },
		{ "-vnc :0", "-vnc :0: not available in tenbox" },
		{ "-sandbox on", "-sandbox on: the seccomp filter is not part of this build (off)" },
		{ "-parallel stdio", "-parallel stdio: there is no parallel port (none)" },
		{ "-drive =x", "-drive =x: Expected a parameter name before '='" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct parsed p;

		parse(&p, cases[i].line);
		if (p.result != OPTIONS_BAD || strcmp(p.err.text, cases[i].text))
			fail_msg("'%s' gave %d \"%s\"", cases[i].line, p.result, p.err.text);
		done(&p);
	}
}

static void defaults_are_those_of_qemu(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "");
	assert_int_equal(p.result, OPTIONS_RUN);
	assert_int_equal(p.o.ram_size, 128 << 20);
	assert_int_equal(p.o.cpus, 1);
	assert_true(p.o.default_net);
	assert_false(p.o.icount || p.o.stopped || p.o.nographic || p.o.engine_given);
	assert_int_equal(p.o.count, 0);
	done(&p);
}

static void memory_is_in_mib_unless_it_says_otherwise(void **state)
{
	static const struct { const char *line; uint64_t mib; } cases[] = {
		{ "-m 512", 512 }, { "-m 1G", 1024 }, { "-m size=64M", 64 }, { "-m 1.5G", 1536 }, { "-m 65536k", 64 }, { "-m 1 -m 2", 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct parsed p;

		parse(&p, cases[i].line);
		assert_int_equal(p.result, OPTIONS_RUN);
		assert_int_equal(p.o.ram_size >> 20, cases[i].mib);
		done(&p);
	}
}

static void processors_come_from_any_part_of_smp(void **state)
{
	static const struct { const char *line; unsigned cpus; } cases[] = {
		{ "-smp 4", 4 }, { "-smp cpus=2", 2 }, { "-smp 8,sockets=1,cores=8,threads=1", 8 }, { "-smp cores=2,threads=2", 4 },
		{ "-smp maxcpus=3", 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct parsed p;

		parse(&p, cases[i].line);
		assert_int_equal(p.result, OPTIONS_RUN);
		assert_int_equal(p.o.cpus, cases[i].cpus);
		done(&p);
	}
}

static void network_options_switch_the_default_card_off_but_device_does_not(void **state)
{
	static const struct { const char *line; bool net; } cases[] = {
		{ "-nic none", false }, { "-net none", false }, { "-netdev user,id=n", false }, { "-nodefaults", false }, { "-device e1000", true },
		{ "-nographic", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct parsed p;

		parse(&p, cases[i].line);
		assert_int_equal(p.result, OPTIONS_RUN);
		assert_int_equal(p.o.default_net, cases[i].net);
		done(&p);
	}
}

static void disk_options_become_drives_with_their_place(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "-hda a,b -hdd d -cdrom c image -drive file=x,if=virtio");
	assert_int_equal(p.result, OPTIONS_RUN);
	assert_int_equal(p.o.count, 5);
	assert_string_equal(opts_get(&p.o.items[0].opts, "file"), "a,b");       /* a name, not a list */
	assert_string_equal(opts_get(&p.o.items[0].opts, "index"), "0");
	assert_string_equal(opts_get(&p.o.items[1].opts, "index"), "3");
	assert_string_equal(opts_get(&p.o.items[2].opts, "media"), "cdrom");
	assert_string_equal(opts_get(&p.o.items[3].opts, "file"), "image");     /* without an option: -hda */
	assert_string_equal(opts_get(&p.o.items[4].opts, "if"), "virtio");
	done(&p);
}

static void a_cpu_splits_into_model_and_features(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "-cpu max,+aes,-avx");
	assert_int_equal(p.result, OPTIONS_RUN);
	assert_string_equal(p.o.cpu_model, "max");
	assert_string_equal(p.o.cpu_features, "+aes,-avx");
	done(&p);
	parse(&p, "-cpu qemu64");
	assert_string_equal(p.o.cpu_model, "qemu64");
	assert_null(p.o.cpu_features);
	done(&p);
}

static void tcg_leaves_the_engine_open_and_other_names_choose_it(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "-accel tcg,thread=multi");
	assert_int_equal(p.result, OPTIONS_RUN);
	assert_false(p.o.engine_given);
	done(&p);
	parse(&p, "-accel interp");
	assert_true(p.o.engine_given);
	assert_int_equal(p.o.engine, CPU_INTERP);
	done(&p);
	parse(&p, "-machine pc,accel=interp,hpet=off,usb=off");
	assert_int_equal(p.result, OPTIONS_RUN);
	assert_int_equal(p.o.engine, CPU_INTERP);
	assert_true(p.o.no_hpet);
	done(&p);
}

static void the_translator_takes_its_own_options(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "-accel xlat,tb-size=8,one-insn-per-tb=on,exact-flags=on -icount 3");
	assert_int_equal(p.result, OPTIONS_RUN);
	assert_true(p.o.engine_given && p.o.engine == CPU_XLAT && p.o.icount);
	assert_int_equal(p.o.tb_size, 8);
	assert_true(p.o.one_insn && p.o.exact_flags);
	done(&p);
	parse(&p, "-accel xlat,without=avx+bmi2");
	assert_int_equal(p.o.without, HOST_AVX | HOST_BMI2);
	done(&p);
	parse(&p, "-singlestep");
	assert_true(p.o.one_insn && !p.o.exact_flags);
	assert_int_equal(p.o.tb_size, 0);
	done(&p);
}

static void globals_have_two_forms(void **state)
{
	static const char *const lines[] = { "-global e1000.mac=52:54:00:00:00:01", "-global driver=e1000,property=mac,value=52:54:00:00:00:01" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct parsed p;

		parse(&p, lines[i]);
		assert_int_equal(p.result, OPTIONS_RUN);
		assert_string_equal(opts_get(&p.o.items[0].opts, "driver"), "e1000");
		assert_string_equal(opts_get(&p.o.items[0].opts, "property"), "mac");
		assert_string_equal(opts_get(&p.o.items[0].opts, "value"), "52:54:00:00:00:01");
		done(&p);
	}
}

static void icount_takes_a_shift_and_sleep(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "-icount shift=7,sleep=off");
	assert_int_equal(p.result, OPTIONS_RUN);
	assert_true(p.o.icount);
	assert_int_equal(p.o.icount_shift, 7);
	assert_false(p.o.icount_sleep);
	done(&p);
	parse(&p, "-icount auto");
	assert_int_equal(p.result, OPTIONS_RUN);
	assert_true(p.o.icount_sleep);
	done(&p);
}

static void a_uuid_is_read_with_and_without_dashes(void **state)
{
	static const char *const lines[] = { "-uuid 00112233-4455-6677-8899-aabbccddeeff", "-uuid 00112233445566778899AABBCCDDEEFF" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct parsed p;

		parse(&p, lines[i]);
		assert_int_equal(p.result, OPTIONS_RUN);
		for (unsigned k = 0; k < 16; k++)
			assert_int_equal(p.o.uuid[k], k * 0x11);
		done(&p);
	}
}

static void a_date_sets_the_clock(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "-rtc base=2006-06-17T16:01:21,clock=vm");
	assert_int_equal(p.result, OPTIONS_RUN);
	assert_true(p.o.rtc_given);
	assert_int_equal(p.o.rtc_s, 1150560081);
	done(&p);
}

static void help_is_printed_and_ends_well(void **state)
{
	static const char *const lines[] = {
		"-h", "--help", "-version", "-device help", "-device e1000,help", "-nic model=help", "-netdev help", "-net nic,model=help",
		"-machine help", "-accel help", "-vga help", "-display help", "-d help", "-chardev help", "-object help",
	};
	int out = dup(1);

	(void)state;
	fflush(stdout);
	assert_non_null(freopen("/dev/null", "w", stdout));
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct parsed p;

		parse(&p, lines[i]);
		if (p.result != OPTIONS_DONE)
			fail_msg("'%s' did not end with help", lines[i]);
		done(&p);
	}
	fflush(stdout);
	dup2(out, 1);
	close(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_options_end_in_one_line_that_says_why),
		cmocka_unit_test(defaults_are_those_of_qemu),
		cmocka_unit_test(memory_is_in_mib_unless_it_says_otherwise),
		cmocka_unit_test(processors_come_from_any_part_of_smp),
		cmocka_unit_test(network_options_switch_the_default_card_off_but_device_does_not),
		cmocka_unit_test(disk_options_become_drives_with_their_place),
		cmocka_unit_test(a_cpu_splits_into_model_and_features),
		cmocka_unit_test(tcg_leaves_the_engine_open_and_other_names_choose_it),
		cmocka_unit_test(globals_have_two_forms),
		cmocka_unit_test(icount_takes_a_shift_and_sleep),
		cmocka_unit_test(the_translator_takes_its_own_options),
		cmocka_unit_test(a_uuid_is_read_with_and_without_dashes),
		cmocka_unit_test(a_date_sets_the_clock),
		cmocka_unit_test(help_is_printed_and_ends_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
