/* SPDX-License-Identifier: MIT */
/*
 * cpu/decode.c and cpu/disasm.c against an independent disassembler: GNU objdump, over random bytes in all three modes.
 *
 * tests/data/objdump.txt holds what objdump said about a seeded sample; where that version is installed, a fresh sample is
 * compared as well.  By hand:
 *   test_decode live SEED COUNT     compare COUNT cases a mode, print the first of each difference
 *   test_decode corpus SEED COUNT   write a corpus file to standard output
 */
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
#include "cpu/insn.h"

enum { CASE_BYTES = 15, SLOT = 32, TEXT = 160, BATCH = 65536 / SLOT /* so that 16-bit branches stay in one segment */ };

struct test_case {
	uint8_t bytes[CASE_BYTES];
	unsigned len;                   /* objdump's */
	char text[TEXT];                /* objdump's */
};

/* --- random instructions ------------------------------------------------------------------------------------------ */

static uint64_t seed;

static uint32_t random32(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed * 0x2545f4914f6cdd1dull) >> 32;
}

static void random_bytes(uint8_t *p, unsigned n)
{
	while (n--)
		*p++ = random32();
}

/* Mostly one instruction with some prefixes, every map as likely as another; sometimes anything at all. */
static void make_case(uint8_t *b, unsigned mode)
{
	static const uint8_t prefixes[] = { 0x66, 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	unsigned n = 0;

	random_bytes(b, CASE_BYTES);
	if (random32() % 8 == 0)
		return;
	if (random32() % 2)
		b[n++] = prefixes[random32() % sizeof(prefixes)];
	if (random32() % 8 == 0)
		b[n++] = prefixes[random32() % sizeof(prefixes)];
	switch (random32() % 6) {
	case 0:                                 /* VEX with a known map and often with vvvv = 1111 */
		b[n++] = 0xc4;
		b[n] = (b[n] & 0xe0) | (1 + random32() % 3);
		if (mode != 64)
			b[n] |= 0xc0;
		if (random32() % 2)
			b[n + 1] |= 0x78;
		return;
	case 1:
		b[n++] = 0xc5;
		if (mode != 64)
			b[n] |= 0xc0;
		if (random32() % 2)
			b[n] |= 0x78;
		return;
	}
	if (mode == 64 && random32() % 2)
		b[n++] = 0x40 | (random32() & 15);
	switch (random32() % 5) {
	case 0: case 1: b[n++] = 0x0f; break;
	case 2:
		b[n++] = 0x0f;
		b[n++] = random32() % 4 ? 0x38 : 0x3a;
		break;
	}
}

/* --- objdump ------------------------------------------------------------------------------------------------------ */

/* The version whose spelling the disassembler follows; others differ in names and in what they know. */
static bool objdump_installed(void)
{
	return system("objdump --version 2>/dev/null | head -n 1 | grep -q ' 2\\.40'") == 0;
}

/* What objdump says of the first instruction in each of count cases. */
static void ask_objdump(struct test_case *cases, unsigned count, unsigned mode)
{
	static const char *const machine[] = { "i8086", "i386", "i386:x86-64" };
	const char *dir = getenv("TMPDIR");
	char path[256], command[512], line[512];
	FILE *f;
	unsigned n;
	int fd;

	snprintf(path, sizeof(path), "%s/tenbox-decode-XXXXXX", dir ? dir : "/tmp");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	f = fdopen(fd, "wb");
	assert_non_null(f);
	for (n = 0; n < count; n++) {
		uint8_t slot[SLOT];

		memset(slot, 0x90, sizeof(slot));
		memcpy(slot, cases[n].bytes, CASE_BYTES);
		assert_int_equal(fwrite(slot, SLOT, 1, f), 1);
	}
	fclose(f);
	snprintf(command, sizeof(command), "objdump -D -z -w -b binary -m %s -M intel,intel64 %s", machine[mode / 32],
		 path);
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *end, *bytes, *text;
		unsigned long offset = strtoul(line, &end, 16);
		struct test_case *c = &cases[offset / SLOT];

		if (end == line || end[0] != ':' || end[1] != '\t' || offset % SLOT || offset / SLOT >= count)
			continue;
		bytes = end + 2;
		text = strchr(bytes, '\t');
		if (!text)
			continue;
		*text++ = '\0';
		text[strcspn(text, "\n")] = '\0';
		for (c->len = 0; strtoul(bytes, &end, 16), end != bytes; bytes = end)
			c->len++;
		snprintf(c->text, sizeof(c->text), "%.150s", text);
	}
	pclose(f);
	unlink(path);
}

/* --- comparison --------------------------------------------------------------------------------------------------- */

static const char *skip_prefixes(const char *s)
{
	static const char *const words[] = {
		"lock ", "rep ", "repz ", "repnz ", "data16 ", "data32 ", "addr16 ", "addr32 ", "cs ", "ds ", "es ",
		"ss ", "fs ", "gs ", "bnd ", "notrack ",
		"xacquire ", "xrelease ", "{vex} ", "{vex3} ",
	};
	unsigned n;

	for (n = 0; n < ARRAY_SIZE(words); n++) {
		if (!strncmp(s, words[n], strlen(words[n]))) {
			s += strlen(words[n]);
			n = -1;
		} else if (!strncmp(s, "rex", 3)) {
			s += strcspn(s, " ");
			n = -1;
		}
		while (*s == ' ')
			s++;
	}
	return s;
}

static void cut_out(char *s, const char *what)
{
	char *at = strstr(s, what);

	if (at)
		memmove(at, at + strlen(what), strlen(at + strlen(what)) + 1);
}

/* An override that names the default segment says nothing. */
static void drop_default_segment(char *s)
{
	char *at = strstr(s, "s:[");
	const char *base;

	if (!at || at == s || (at[-1] != 'd' && at[-1] != 's'))
		return;
	base = at + 3;
	if (*base == 'e' || *base == 'r')
		base++;
	if ((at[-1] == 's') == (!strncmp(base, "bp", 2) || !strncmp(base, "sp", 2)) && strchr("+-]", base[2]))
		memmove(at - 1, at + 2, strlen(at + 2) + 1);
	else if (at[-1] == 'd' && strncmp(base, "bp", 2) && strncmp(base, "sp", 2))
		memmove(at - 1, at + 2, strlen(at + 2) + 1);
}

/* The text without prefixes, comments, runs of blanks, and index registers that are none. */
static void normalise(const char *from, char *to)
{
	static const char *const none[] = { "+riz*1", "+riz*2", "+riz*4", "+riz*8", "+eiz*1", "+eiz*2", "+eiz*4",
		"+eiz*8" };
	char *out = to;
	unsigned n;

	for (from = skip_prefixes(from); *from && *from != '#' && *from != '<'; from++)
		if (*from != ' ' || (out > to && out[-1] != ' '))
			*out++ = *from;
	while (out > to && (out[-1] == ' ' || out[-1] == ','))
		out--;
	*out = '\0';
	for (n = 0; n < ARRAY_SIZE(none); n++)
		cut_out(to, none[n]);
}

static bool says_bad(const char *text)
{
	return strstr(text, "(bad)") || strchr(text, '?');
}

/* The first byte that is not a prefix. */
static uint8_t first_opcode(const uint8_t *b, unsigned mode)
{
	unsigned n;

	for (n = 0; n + 1 < CASE_BYTES; n++) {
		bool rex = mode == 64 && (b[n] & 0xf0) == 0x40;

		if (!rex && (!b[n] || !strchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", b[n])))
			break;
	}
	return b[n];
}

/* Whether a word is one of a list of patterns, in which * at the end stands for anything. */
static bool in_list(const char *word, const char *const *list)
{
	size_t len = strcspn(word, " ");

	for (; *list; list++) {
		size_t n = strlen(*list);

		if ((*list)[n - 1] == '*' ? !strncmp(word, *list, n - 1) : n == len && !strncmp(word, *list, n))
			return true;
	}
	return false;
}

/* Differences that are right, each with its reason; mine and theirs are normalised. */
static bool accepted(const struct insn *i, const struct test_case *c, const char *mine, const char *theirs)
{
	/* #UD here: no CPU model offers them. */
	static const char *const never[] = {
		"femms", "pf*", "pi2f*", "pavgusb", "pmulhrw", "pswapd",                                /* 3DNow! */
		"getsec", "vmread", "vmwrite", "vmxon", "vmxoff", "vmptr*", "vmclear", "vmlaunch", "vmresume", "vmfunc",
		"invept", "invvpid",
		"vmrun", "vmload", "vmsave", "clgi", "stgi", "skinit", "invlpga", "invlpgb", "tlbsync", "psmash",
		"pvalidate", "rmp*",
		"clzero", "monitorx", "mwaitx", "rdpru", "mcommit", "extrq", "insertq", "movnts*", "encl*", "pconfig",
		"hreset",
		/* TSX, PKU */
		"xend", "xtest", "xabort", "xbegin", "xsusldtrk", "xresldtrk", "rdpkru", "wrpkru", "serialize",
		/* CET */
		"wrss*", "wruss*", "rstorssp", "clrssbsy", "setssbsy", "saveprevssp", "incssp*",
		"ptwrite", "tpause", "umonitor", "umwait", "movdir*", "enqcmd*", "aadd", "aand", "aor", "axor",
		"aesenc1*", "aesenc2*", "aesencwide*", "aesdec1*", "aesdec2*", "aesdecwide*", "loadiwkey", "encodekey*",
		"gf2p8*", "vgf2p8*", "sha512*", "wrmsrns", "wrmsrlist", "rdmsrlist",
		"vpdp*", "vcvtne*", "vbcstne*", "vpmadd52*", "xstore-rng", "xcrypt*", "xsha*", "montmul", "vfmadd*",
		"vfmsub*", "vfnm*",
		"vpermil2*", "tile*", "sttilecfg", "ldtilecfg", "tdp*", "clui", "stui", "testui", "uiret", "senduipi",
		"prefetchit*",
		"kadd*", "kand*", "kmov*", "knot*", "kor*", "kshift*", "ktest*", "kunpck*", "kxor*", "kxnor*",
		"frstpm(287", "fbld?",
		"rdfsbase", "rdgsbase", "wrfsbase", "wrgsbase", "swapgs", "seamcall", "seamret", "seamops", "tdcall",
		"vmgexit", "lwpins", "llwpcb",
		NULL
	};
	/* Wider than they are here: VAES, VPCLMULQDQ. */
	static const char *const wide[] = { "vaesenc*", "vaesdec*", "vpclmul*", NULL };
	/* A prefix of 66, F2 or F3 that the manual rules out ("NP") and Zen 4 refuses, which objdump passes over. */
	static const char *const strict[] = {
		"fxsave*", "fxrstor*", "ldmxcsr", "vldmxcsr", "stmxcsr", "vstmxcsr", "xsave*", "xrstor*", "vzeroall",
		"vzeroupper", "vmcall",
		"vmmcall", "pmovmskb", "movnti", "xgetbv", "xsetbv", "monitor", "mwait", "clac", "stac", "emms",
		"sha1*", "sha256*", "clflush",
		"clwb", "clflushopt", "xsaveopt*", "movq2dq", "pextrw", "cvt*", "maskmovq", "rdrand", "rdseed",
		"endbr*", NULL
	};
	/* NOPs where MPX, CET and CLDEMOTE are not offered. */
	static const char *const nops[] = { "bnd*", "cldemote", "rdssp*", "endbr*", "prefetchit*", NULL };
	/* What objdump calls bad and processors execute: aliases (Zen 4 does), and prefixes without a meaning. */
	static const char *const executed[] = {
		"fcom", "fcomp", "fstp", "fxch", "fwait", "mfence", "sfence", "lfence", "salc", "wbinvd", "bsf", "bsr",
		"rdpid", NULL
	};
	static const char *const x87_waits[] = { "f*", NULL };
	const char *operand = strchr(theirs, ' ');

	if (i->op == OP_INVALID) {
		if (in_list(theirs, never) || in_list(theirs, wide) || in_list(theirs, strict))
			return true;
		if (!strncmp(c->text, "{vex}", 5) || strstr(c->text, " {vex}"))
			return true;                    /* AVX-VNNI, AVX-IFMA */
		if (!strncmp(theirs, "cmp", 3) && strstr(theirs, "xadd "))
			return true;                    /* CMPCCXADD */
		if (!strncmp(theirs, "mov ", 4) &&
		    (strstr(theirs, "tr") || strstr(theirs, "cr") || strstr(theirs, "dr") ||
						   !strncmp(theirs, "mov cs,", 7)))
			/* test registers of 80386 and 80486; CR1, CR5 to CR7, CR9 and up; DR8 and up; CS */
			return true;
		if (first_opcode(c->bytes, i->mode) == 0x62 || (first_opcode(c->bytes, i->mode) == 0x8f && c->len > 3))
			return true;                    /* EVEX; XOP */
		return false;
	}
	if (says_bad(c->text) && !in_list(theirs, nops))
		return in_list(mine, executed);
	if (i->op == OP_NOP && strncmp(theirs, "nop", 3))
		return in_list(theirs, nops) || !strcmp(theirs, "xchg rax,rax");        /* 66 and REX.W */
	if (i->op == OP_FWAIT)
		return in_list(theirs, x87_waits);      /* objdump takes FWAIT and what follows as one */
	if (i->op == OP_WBINVD && !strncmp(theirs, "wbnoinvd", 8))
		return true;                            /* WBNOINVD where it is not offered */
	if (i->len != c->len)
		return false;
	if (strstr(c->text, "notrack "))
		return i->mem.seg == SEG_DS;            /* 3E is shown as that, and works as DS too */
	if (i->mem_op != 0xff && i->o[i->mem_op].size == 10 && i->mode == 64 && !(i->traits & INSN_X87))
		return strstr(theirs, "WORD PTR") != NULL;      /* REX.W: Intel's m16:64, objdump's m16:32 */
	if (i->mode == 16 && i->o[0].kind == OPD_REL)
		return operand && strstr(operand, "0x");        /* 16 bits of IP, which objdump does not cut */
	if (i->op == OP_FNENI || i->op == OP_FNDISI || i->op == OP_FNSETPM)
		return !strncmp(theirs, mine, strlen(mine));    /* (8087 only) */
	if (i->op == OP_MWAIT || i->op == OP_MONITOR)
		/* objdump leaves out the registers if there is a prefix */
		return !strcmp(theirs, op_name(i->op));
	if ((i->op == OP_FRSTOR || i->op == OP_FNSAVE || i->op == OP_FLDENV || i->op == OP_FNSTENV) && i->opsize == 8)
		return !strncmp(theirs, op_name(i->op), 6);     /* 66 and REX.W */
	if (i->op == OP_XCHG && i->opcode == 0x90)
		return !strcmp(theirs, "pause");                /* F3 and REX.B: Zen 4 exchanges */
	if (i->op == OP_MOVSXD && i->opsize == 8)
		return !strncmp(theirs, "movsxd", 6);   /* 66 with REX.W: objdump narrows the source */
	if (i->op == OP_MOVMSKPS || i->op == OP_MOVMSKPD || i->op == OP_PMOVMSKB)
		return i->rex & 8 || i->vex_w;          /* the same, zero-extended, whichever register is named */
	if ((i->op == OP_MOVSS || i->op == OP_MOVSD) && i->vex_l)
		return strstr(theirs, "ymm") != NULL;   /* VEX.L is ignored */
	if (strstr(theirs, "[riz*") || strstr(theirs, "[eiz*"))
		return strstr(mine, "s:0x") != NULL;    /* an index that is none, and no base */
	if (i->mem_op != 0xff && i->mem.base == REG_NONE && i->mem.index == 5 && i->mode == 32)
		return strstr(theirs, "ds:[ebp*") != NULL;      /* an index does not make SS the default */
	return false;
}

/* 66, F2, F3, LOCK and REX in front of VEX are #UD (SDM volume 2, 2.3), which objdump does not say. */
static bool vex_after_prefix(const uint8_t *b, unsigned mode)
{
	bool found = false;
	unsigned n;

	for (n = 0; n + 1 < CASE_BYTES; n++) {
		if (b[n] == 0xc4 || b[n] == 0xc5)
			return found && (mode == 64 || b[n + 1] >= 0xc0);
		if (b[n] == 0x66 || b[n] == 0xf0 || b[n] == 0xf2 || b[n] == 0xf3 ||
		    (mode == 64 && (b[n] & 0xf0) == 0x40))
			found = true;
		else if (!strchr("\x26\x2e\x36\x3e\x64\x65\x67", b[n]) || !b[n])
			return false;
	}
	return false;
}

static bool has_lock(const struct test_case *c)
{
	return strstr(c->text, "lock ") != NULL;
}

static bool agrees(const struct test_case *c, unsigned mode, unsigned slot, char *ours);

/* objdump shows any LOCK: its legality is told from the text (SDM, LOCK), the rest from the instruction without it. */
static bool locks_agree(const struct test_case *c, unsigned mode, unsigned slot, const struct insn *i,
			const char *theirs)
{
	static const char *const lockable[] = {
		"add ", "adc ", "and ", "btc ", "btr ", "bts ", "cmpxchg ", "cmpxchg8b ", "cmpxchg16b ", "dec ", "inc ",
		"neg ", "not ", "or ",
		"sbb ", "sub ", "xadd ", "xor ", "xchg ",
	};
	bool legal = false;
	unsigned n;

	for (n = 0; n < ARRAY_SIZE(lockable); n++) {
		const char *operand = theirs + strlen(lockable[n]);

		if (!strncmp(theirs, lockable[n], strlen(lockable[n])) &&
		    (strstr(operand, "PTR") == operand + strcspn(operand, " ,[") + 1))
			legal = true;
	}
	(void)c, (void)mode, (void)slot;
	if ((i->op != OP_INVALID) != legal || i->lock != legal)
		return false;
	return true;
}

/* Returns whether our decoder agrees; ours gets our text. */
static bool agrees(const struct test_case *c, unsigned mode, unsigned slot, char *ours)
{
	struct insn i;
	enum decode_result result = insn_decode(&i, c->bytes, CASE_BYTES, mode);
	char raw[TEXT - 16], mine[TEXT], theirs[TEXT];
	bool bad = says_bad(c->text);

	strcpy(ours, result == DECODE_LONG ? "(long)" : "(short)");
	if (result != DECODE_OK)
		return bad || c->len > CASE_BYTES;
	insn_text(&i, slot * SLOT, raw, sizeof(raw));
	snprintf(ours, TEXT, "%u %s", i.len, raw);
	normalise(raw, mine);
	normalise(c->text, theirs);
	if (!(i.traits & INSN_STRING) && i.op != OP_XLAT) {
		drop_default_segment(mine);
		drop_default_segment(theirs);
	}
	if (!theirs[0])
		return true;    /* prefixes alone: objdump shows a REX that another prefix annuls as an instruction */
	if (vex_after_prefix(c->bytes, mode))
		return i.op == OP_INVALID;
	if (!bad && has_lock(c))
		return locks_agree(c, mode, slot, &i, theirs);
	if (bad != (i.op == OP_INVALID))
		return accepted(&i, c, mine, theirs);
	if (bad)
		return true;
	if (i.len == c->len && !strcmp(mine, theirs))
		return true;
	return accepted(&i, c, mine, theirs);
}

static void print_case(const struct test_case *c, unsigned mode, const char *ours)
{
	unsigned n;

	printf("mode %u:", mode);
	for (n = 0; n < CASE_BYTES; n++)
		printf("%s%02x", n == c->len ? " | " : " ", c->bytes[n]);
	printf("\n    objdump: %u %s\n    tenbox:  %s\n", c->len, c->text, ours);
}

static const unsigned modes[] = { 16, 32, 64 };
static struct test_case cases[BATCH];

static void make_batch(unsigned count, unsigned mode)
{
	unsigned n;

	memset(cases, 0, sizeof(cases));
	for (n = 0; n < count; n++)
		make_case(cases[n].bytes, mode);
	ask_objdump(cases, count, mode);
}

/* Count cases of each mode; returns how many differ. */
static unsigned compare_live(unsigned count, unsigned shown)
{
	unsigned differ = 0, done, m, n;
	char ours[TEXT];

	for (m = 0; m < ARRAY_SIZE(modes); m++) {
		for (done = 0; done < count; done += BATCH) {
			make_batch(MIN(count - done, (unsigned)BATCH), modes[m]);
			for (n = 0; n < MIN(count - done, (unsigned)BATCH); n++) {
				if (agrees(&cases[n], modes[m], n, ours))
					continue;
				if (differ++ < shown)
					print_case(&cases[n], modes[m], ours);
			}
		}
	}
	return differ;
}

static void write_corpus(unsigned count)
{
	unsigned m, n, k;

	for (m = 0; m < ARRAY_SIZE(modes); m++) {
		make_batch(MIN(count, (unsigned)BATCH), modes[m]);
		for (n = 0; n < MIN(count, (unsigned)BATCH); n++) {
			printf("%u %u %u ", modes[m], n, cases[n].len);
			for (k = 0; k < CASE_BYTES; k++)
				printf("%02x", cases[n].bytes[k]);
			printf(" %s\n", cases[n].text);
		}
	}
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void the_corpus_decodes_as_objdump_says(void **state)
{
	FILE *f = fopen("tests/data/objdump.txt", "r");
	char line[512], hex[64], ours[TEXT];
	unsigned lines = 0, differ = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		struct test_case c;
		unsigned mode, slot, k;
		int text;

		if (line[0] == '#')
			continue;
		line[strcspn(line, "\n")] = '\0';
		assert_int_equal(sscanf(line, "%u %u %u %60s %n", &mode, &slot, &c.len, hex, &text), 4);
		assert_int_equal(strlen(hex), 2 * CASE_BYTES);
		for (k = 0; k < CASE_BYTES; k++) {
			unsigned byte;

			sscanf(hex + 2 * k, "%2x", &byte);
			c.bytes[k] = byte;
		}
		snprintf(c.text, sizeof(c.text), "%.150s", line + text);
		lines++;
		if (!agrees(&c, mode, slot, ours)) {
			print_case(&c, mode, ours);
			differ++;
		}
	}
	fclose(f);
	assert_true(lines > 1000);
	assert_int_equal(differ, 0);
}

static void a_fresh_sample_decodes_as_objdump_says(void **state)
{
	(void)state;
	if (!objdump_installed())
		return;         /* the corpus above is the bounded form of this */
	seed = 0x5eed0001;
	assert_int_equal(compare_live(6000, 20), 0);
}

static struct insn decode(unsigned mode, const char *hex)
{
	uint8_t bytes[16], n = 0;
	struct insn i;
	int used;
	unsigned byte;

	while (sscanf(hex, "%2x%n", &byte, &used) == 1) {
		bytes[n++] = byte;
		hex += used;
	}
	assert_int_equal(insn_decode(&i, bytes, n, mode), DECODE_OK);
	if (i.op != OP_INVALID)
		assert_int_equal(i.len, n);
	return i;
}

static enum op op_of(unsigned mode, const char *hex) { return decode(mode, hex).op; }

static bool in_range(const struct operand *o)
{
	switch (o->kind) {
	case OPD_NONE: case OPD_GPR: case OPD_MEM: case OPD_IMM: case OPD_IMM2: case OPD_REL: case OPD_FAR:
	case OPD_XMM:
		return o->reg < 16 && !(o->high && (o->size != 1 || o->reg > 3));
	case OPD_SEG: return o->reg <= SEG_GS;
	case OPD_CR: return o->reg == 0 || (o->reg >= 2 && o->reg <= 4) || o->reg == 8;
	default: return o->reg < 8;
	}
}

static void anything_decodes_to_something_consistent(void **state)
{
	unsigned round, n;

	(void)state;
	seed = 0x5eed0002;
	for (round = 0; round < 300000; round++) {
		unsigned mode = modes[round % 3];
		uint8_t bytes[CASE_BYTES];
		struct insn i, again;

		make_case(bytes, mode);
		if (insn_decode(&i, bytes, sizeof(bytes), mode) != DECODE_OK)
			continue;
		assert_in_range(i.len, 1, CASE_BYTES);
		assert_in_range(i.op, 0, OP_COUNT - 1);
		assert_in_range(i.operands, 0, 4);
		assert_true(i.mem.base < 16 || i.mem.base == REG_NONE || i.mem.base == REG_RIP);
		assert_true(i.mem.index < 16 || i.mem.index == REG_NONE);
		assert_in_range(i.mem.seg, 0, SEG_NONE);
		for (n = 0; n < ARRAY_SIZE(i.o); n++) {
			assert_true(in_range(&i.o[n]));
			assert_true((n < i.operands) == (i.o[n].kind != OPD_NONE));
			assert_true((i.o[n].kind == OPD_MEM) == (i.mem_op == n));
		}
		assert_true(i.lock ? i.mem_op == 0 && i.o[0].written : true);
		/* Exactly its bytes are enough; they lie at the end of their own allocation, for ASan to watch. */
		uint8_t *exact = malloc(i.len);

		memcpy(exact, bytes, i.len);
		assert_int_equal(insn_decode(&again, exact, i.len, mode), DECODE_OK);
		assert_memory_equal(&i, &again, sizeof(i));
		free(exact);
	}
}

static void fewer_bytes_than_needed_are_too_short(void **state)
{
	unsigned round, n;

	(void)state;
	seed = 0x5eed0003;
	for (round = 0; round < 30000; round++) {
		unsigned mode = modes[round % 3];
		uint8_t bytes[CASE_BYTES];
		struct insn i;

		make_case(bytes, mode);
		if (insn_decode(&i, bytes, sizeof(bytes), mode) != DECODE_OK || i.op == OP_INVALID)
			continue;
		for (n = 0; n < i.len; n++) {
			struct insn cut;

			assert_int_equal(insn_decode(&cut, bytes, n, mode), DECODE_SHORT);
		}
	}
}

static void more_than_15_bytes_are_too_long(void **state)
{
	uint8_t bytes[16];
	struct insn i;

	(void)state;
	memset(bytes, 0x66, sizeof(bytes));
	bytes[14] = 0x90;
	assert_int_equal(insn_decode(&i, bytes, 16, 32), DECODE_OK);
	assert_int_equal(i.len, 15);
	bytes[14] = 0x66;
	bytes[15] = 0x90;
	assert_int_equal(insn_decode(&i, bytes, 16, 32), DECODE_LONG);
	assert_int_equal(insn_decode(&i, bytes, 14, 32), DECODE_SHORT);
	bytes[12] = 0x81;                               /* ADD AX, imm16 that ends behind byte 15 */
	bytes[13] = 0xc0;
	assert_int_equal(insn_decode(&i, bytes, 16, 16), DECODE_LONG);
}

static void rex_counts_right_before_the_opcode_only(void **state)
{
	struct insn i = decode(64, "48 66 01 c8");

	(void)state;
	assert_int_equal(i.rex, 0);
	assert_int_equal(i.opsize, 2);
	i = decode(64, "66 48 01 c8");
	assert_int_equal(i.opsize, 8);
	i = decode(64, "45 48 89 c8");
	assert_int_equal(i.rex, 0x48);
	assert_int_equal(i.o[0].reg, 0);
	assert_int_equal(op_of(64, "48 c5 f8 58 c1"), OP_INVALID);
}

static void the_last_of_f2_and_f3_is_part_of_the_opcode(void **state)
{
	(void)state;
	assert_int_equal(op_of(64, "f2 f3 0f 58 c1"), OP_ADDSS);
	assert_int_equal(op_of(64, "f3 f2 0f 58 c1"), OP_ADDSD);
	assert_int_equal(op_of(64, "66 f3 0f 58 c1"), OP_ADDSS);
	assert_int_equal(op_of(64, "66 0f 58 c1"), OP_ADDPD);
	assert_int_equal(decode(64, "66 f2 0f 38 f1 c1").o[1].size, 2);         /* CRC32 r32, r/m16 */
	assert_int_equal(decode(64, "66 f3 0f b8 c1").opsize, 2);               /* POPCNT */
	assert_int_equal(decode(64, "f3 a4").rep, REP_F3);
	assert_int_equal(decode(64, "f3 0f 58 c1").rep, REP_NONE);
}

static void lock_is_legal_on_written_memory_only(void **state)
{
	(void)state;
	assert_true(decode(32, "f0 01 08").lock);
	assert_int_equal(op_of(32, "f0 01 c8"), OP_INVALID);            /* register */
	assert_int_equal(op_of(32, "f0 03 08"), OP_INVALID);            /* memory is the source */
	assert_int_equal(op_of(32, "f0 39 08"), OP_INVALID);            /* CMP */
	assert_int_equal(op_of(32, "f0 0f a3 08"), OP_INVALID);         /* BT */
	assert_true(decode(32, "f0 87 08").lock);
	assert_true(decode(64, "f0 48 0f c7 08").lock);
	assert_int_equal(op_of(64, "f0 90"), OP_INVALID);
	assert_int_equal(op_of(64, "f0 a4"), OP_INVALID);
}

static void some_opcodes_are_gone_in_64_bit_mode(void **state)
{
	static const char *const gone[] = {
		"06", "07", "0e", "16", "17", "1e", "1f", "27", "2f", "37", "3f", "60", "61", "ce", "d6", "62", "82",
		"d4", "d5", "9a", "ea",
	};
	unsigned n;

	(void)state;
	for (n = 0; n < ARRAY_SIZE(gone); n++) {
		uint8_t bytes[15] = { strtoul(gone[n], NULL, 16) };
		struct insn i;

		assert_int_equal(insn_decode(&i, bytes, 15, 64), DECODE_OK);
		assert_int_equal(i.op, OP_INVALID);
		assert_int_equal(insn_decode(&i, bytes, 15, 32), DECODE_OK);
		assert_int_not_equal(i.op, OP_INVALID);
		assert_true(n == 16 /* 82 */ || (i.traits & INSN_NO64));
	}
}

static void stack_and_near_branches_are_64_bits_wide(void **state)
{
	(void)state;
	assert_int_equal(decode(64, "50").opsize, 8);
	assert_int_equal(decode(64, "66 50").opsize, 2);
	assert_int_equal(decode(64, "66 e8 01 02 03 04").opsize, 8);    /* Intel ignores 66 here */
	assert_int_equal(decode(64, "66 ff d0").opsize, 8);
	assert_int_equal(decode(64, "c3").opsize, 8);
	assert_int_equal(decode(64, "cb").opsize, 4);
	assert_int_equal(decode(64, "48 cb").opsize, 8);
	assert_int_equal(decode(64, "cf").opsize, 4);
	assert_int_equal(decode(32, "66 e8 01 02").opsize, 2);
}

static void memory_operands_are_resolved(void **state)
{
	struct insn i = decode(64, "48 8b 05 f0 ff ff ff");

	(void)state;
	assert_int_equal(i.mem.base, REG_RIP);
	assert_int_equal(i.mem.disp, -16);
	i = decode(64, "8b 04 25 78 56 34 92");                         /* SIB without base or index */
	assert_int_equal(i.mem.base, REG_NONE);
	assert_int_equal(i.mem.index, REG_NONE);
	assert_int_equal(i.mem.disp, (int32_t)0x92345678);
	i = decode(64, "42 8b 44 a5 08");                               /* R12 may index */
	assert_int_equal(i.mem.index, 12);
	assert_int_equal(i.mem.scale, 4);
	assert_int_equal(i.mem.seg, SEG_SS);
	i = decode(64, "41 8b 45 08");                                  /* R13 is not RBP */
	assert_int_equal(i.mem.seg, SEG_DS);
	i = decode(64, "2e 65 36 8b 45 00");                            /* only FS and GS count */
	assert_int_equal(i.mem.seg, SEG_GS);
	i = decode(16, "8b 42 fe");
	assert_int_equal(i.mem.base, 5);
	assert_int_equal(i.mem.index, 6);
	assert_int_equal(i.mem.seg, SEG_SS);
	assert_int_equal(i.mem.disp, -2);
	i = decode(16, "8b 06 34 92");
	assert_int_equal(i.mem.seg, SEG_DS);
	i = decode(64, "48 a1 88 77 66 55 44 33 22 11");
	assert_true(i.mem.moffs);
	assert_true(i.imm == 0x1122334455667788);
	i = decode(64, "67 a1 44 33 22 91");
	assert_true(i.imm == 0x91223344);
	i = decode(64, "c4 e2 e9 90 04 8d 00 00 00 00");                /* VPGATHERDQ xmm0, [xmm1*4], xmm2 */
	assert_int_equal(i.mem.vsib, 16);
	assert_int_equal(i.mem.index, 1);
	assert_int_equal(op_of(64, "c4 e2 e9 90 04 85 00 00 00 00"), OP_INVALID);       /* index is the destination */
}

static void operands_say_what_is_read_and_written(void **state)
{
	struct insn i = decode(64, "01 08");

	(void)state;
	assert_true(i.o[0].kind == OPD_MEM && i.o[0].read && i.o[0].written && i.mem_op == 0);
	assert_true(i.o[1].read && !i.o[1].written);
	i = decode(64, "39 08");
	assert_true(i.o[0].read && !i.o[0].written);
	i = decode(64, "89 08");
	assert_true(!i.o[0].read && i.o[0].written);
	i = decode(64, "8d 08");
	assert_true(!i.o[1].read && !i.o[1].written);
	i = decode(64, "0f c1 08");
	assert_true(i.o[1].read && i.o[1].written);
	i = decode(64, "f7 e1");
	assert_true(i.operands == 1 && i.o[0].read && !i.o[0].written);
	i = decode(64, "d8 00");
	assert_true(i.operands == 1 && i.o[0].read && !i.o[0].written);
	i = decode(64, "0f 58 c1");                                     /* the destination once more */
	assert_true(i.operands == 3 && !i.o[0].read && i.o[0].written && i.o[1].read && !i.o[1].written);
	assert_true(i.o[1].kind == OPD_XMM && i.o[1].reg == 0);
	i = decode(64, "88 e1");
	assert_true(i.o[1].high && i.o[1].reg == 0);
	i = decode(64, "40 88 e1");
	assert_true(!i.o[1].high && i.o[1].reg == 4);
	i = decode(64, "c5 f1 71 d2 03");                               /* VPSRLW xmm1, xmm2, 3 */
	assert_true(i.o[0].reg == 1 && i.o[1].reg == 2 && i.imm == 3);
	i = decode(64, "a4");
	assert_true(i.mem.base == 6 && i.mem.seg == SEG_DS && i.o[0].size == 1);
}

static void flags_follow_the_count_of_shifts(void **state)
{
	(void)state;
	assert_int_equal(decode(64, "d1 e0").flags.written, 0x8c5);
	assert_int_equal(decode(64, "c1 e0 05").flags.written, 0x0c5);
	assert_int_equal(decode(64, "c1 e0 05").flags.undefined, 0x810);
	assert_int_equal(decode(64, "c1 e0 20").flags.written, 0);
	assert_int_equal(decode(64, "d3 e0").flags.read, 0x8d5);
	assert_int_equal(decode(64, "74 00").flags.read, 0x40);
	assert_int_equal(decode(64, "7f 00").flags.read, 0x8c0);
	assert_int_equal(decode(64, "f3 a6").flags.read, 0xcd5);
	assert_int_equal(decode(64, "ff c0").flags.written, 0x8d4);
}

static void traits_say_what_engines_must_check(void **state)
{
	(void)state;
	assert_true(decode(64, "0f 28 00").traits & INSN_ALIGNED);
	assert_false(decode(64, "0f 10 00").traits & INSN_ALIGNED);
	assert_true(decode(64, "0f 58 00").traits & INSN_ALIGNED);
	assert_false(decode(64, "c5 f8 58 00").traits & INSN_ALIGNED);
	assert_true(decode(64, "c5 fc 28 00").traits & INSN_ALIGNED);
	assert_false(decode(64, "f3 0f 58 00").traits & INSN_ALIGNED);
	assert_true(decode(64, "f2 0f 2d 00").traits & INSN_SSE);       /* CVTSD2SI eax, [rax]: no register says so */
	assert_true(decode(64, "c5 fb 2d 00").traits & INSN_AVX);
	assert_true(decode(64, "0f ae 10").traits & INSN_SSE);          /* LDMXCSR */
	assert_int_equal(decode(64, "0f 2a c1").traits & (INSN_MMX | INSN_SSE), INSN_MMX | INSN_SSE);
	assert_true(decode(64, "0f 20 c0").traits & INSN_PRIVILEGED);
	assert_true(decode(64, "0f 22 d8").traits & INSN_ENDS_BLOCK);
	assert_true(decode(32, "8e d0").traits & INSN_ENDS_BLOCK);
	assert_false(decode(64, "89 c8").traits & INSN_ENDS_BLOCK);
	assert_true(decode(32, "63 c8").traits & INSN_NOREAL);
	assert_true(decode(32, "c5 f8 58 c1").traits & INSN_NOREAL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_corpus_decodes_as_objdump_says),
		cmocka_unit_test(a_fresh_sample_decodes_as_objdump_says),
		cmocka_unit_test(anything_decodes_to_something_consistent),
		cmocka_unit_test(fewer_bytes_than_needed_are_too_short),
		cmocka_unit_test(more_than_15_bytes_are_too_long),
		cmocka_unit_test(rex_counts_right_before_the_opcode_only),
		cmocka_unit_test(the_last_of_f2_and_f3_is_part_of_the_opcode),
		cmocka_unit_test(lock_is_legal_on_written_memory_only),
		cmocka_unit_test(some_opcodes_are_gone_in_64_bit_mode),
		cmocka_unit_test(stack_and_near_branches_are_64_bits_wide),
		cmocka_unit_test(memory_operands_are_resolved),
		cmocka_unit_test(operands_say_what_is_read_and_written),
		cmocka_unit_test(flags_follow_the_count_of_shifts),
		cmocka_unit_test(traits_say_what_engines_must_check),
	};

	if (argc == 4) {
		unsigned count = strtoul(argv[3], NULL, 0);

		seed = strtoull(argv[2], NULL, 0) | 1;
		if (!strcmp(argv[1], "corpus")) {
			write_corpus(count);
			return 0;
		}
		printf("%u differences\n", compare_live(count, 200));
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
