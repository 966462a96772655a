# SPDX-License-Identifier: MIT
# Unit tests: tests/unit/<part>/test_<file>.c is one cmocka program, linked with its part's archive and those that part
# needs, nothing else: a hidden dependency is an undefined symbol.
unit_src := $(sort $(wildcard tests/unit/*/test_*.c))
unit_bin := $(unit_src:%.c=$(O)/%)
fake_src := $(sort $(wildcard tests/fake/*.c))
bench_src := $(sort $(wildcard tests/bench/*.c))
bench_bin := $(bench_src:%.c=$(O)/%)
fuzz_src := $(sort $(wildcard tests/fuzz/fuzz_*.c))
fuzz_bin := $(fuzz_src:%.c=$(O)/%)

$(O)/libfake.a: $(fake_src:%.c=$(O)/%.o)

part_of = $(word 3,$(subst /, ,$(1)))
.SECONDEXPANSION:
$(unit_bin): $(O)/%: $(O)/%.o $(O)/libfake.a $$(if $$(filter cpu,$$(call part_of,$$*)),$(O)/libdiff.a) $$(call libs,$$(call part_of,$$*))
	$(call say,LD      $@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -lcmocka $(LDLIBS)

$(bench_bin): $(O)/%: $(O)/%.o $(O)/libfake.a $$(call libs,emu)
	$(call say,LD      $@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

# What the benchmarks run in the guests and on the host: one static program.
guestmark := $(O)/tests/bench/guestmark
$(guestmark): tests/bench/guest/guestmark.c
	@mkdir -p $(@D)
	$(call say,CC      $<)
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu11 -O2 -Wall -Wextra -Wshadow -static -o $@ $<

# Large blocks that a harness frees, asan.c keeps.
comma := ,
asan_wrap := $(if $(filter asan fuzz afl,$(MODE)),-Wl$(comma)--wrap=malloc$(comma)--wrap=calloc$(comma)--wrap=free)
# A fuzz harness is LLVMFuzzerTestOneInput in one file; tests/fuzz/replay.c runs it over seeded inputs without any fuzzer.
$(fuzz_bin): $(O)/%: $(O)/%.o $(O)/tests/fuzz/replay.o $(O)/tests/fuzz/asan.o $(O)/libfake.a $$(call libs,emu)
	$(call say,LD      $@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(O)/tests/fuzz/replay.o $(O)/tests/fuzz/asan.o $(asan_wrap) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

# Our processor, and the decoder alone, against the host's: make $(O)/tests/diff/diff_cpu (decode_host), then run it for as
# long as you like.
diff_bin := $(O)/tests/diff/diff_cpu $(O)/tests/diff/decode_host
diff_src := $(sort $(wildcard tests/diff/*.c))
$(O)/libdiff.a: $(patsubst %.c,$(O)/%.o,$(filter-out $(diff_bin:$(O)/%=%.c),$(diff_src)))
$(diff_bin): %: %.o $(O)/libdiff.a $$(call libs,cpu)
	$(call say,LD      $@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

diff: $(O)/tests/diff/diff_cpu ## our processor against the host's on N random cases (S=seed, C=instructions in each, E=xlat or interp)
	$(O)/tests/diff/diff_cpu -n $(or $(N),1000000) -s $(or $(S),1) -c $(or $(C),1) $(if $(filter interp,$(E)),,-x)

unit: $(unit_bin) ## unit and contract tests of this MODE
	$(Q)tests/run_unit $(unit_bin)

fuzzreplay: $(fuzz_bin) ## each fuzz harness over a fixed number of seeded inputs
	$(Q)tests/run_fuzz $(fuzz_bin)

# make fuzz F=unet_frames T=60: libFuzzer (clang) on one harness for T seconds.
fuzz: ## F=name T=seconds: libFuzzer on tests/fuzz/fuzz_NAME.c
	$(Q)$(MAKE) --no-print-directory CC=clang MODE=fuzz build/fuzz/run_$(F)
	$(Q)mkdir -p build/fuzz/corpus_$(F)
	$(Q)build/fuzz/run_$(F) -max_total_time=$(or $(T),60) -max_len=$(or $(LEN),4096) -entropic=0 -artifact_prefix=build/fuzz/$(F)- \
		build/fuzz/corpus_$(F) $(wildcard tests/fuzz/seeds/$(F))
# of the network's harnesses only what they need: the rest takes long to compile
fuzz_needs = $(call libs,$(if $(filter unet_% dns dhcp dhcp6 tftp options offload,$(1)),unet,emu))
build/fuzz/run_%: build/fuzz/tests/fuzz/fuzz_%.o build/fuzz/tests/fuzz/asan.o build/fuzz/libfake.a $$(call fuzz_needs,$$*)
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer,address,undefined -pthread -o $@ $(filter %.o,$^) $(asan_wrap) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group

# make afl F=unet_tcp T=60: AFL++ on the same function; its findings are in build/afl/out_NAME.
afl: ## F=name T=seconds: AFL++ on tests/fuzz/fuzz_NAME.c
	$(Q)$(MAKE) --no-print-directory CC=afl-clang-fast MODE=afl build/afl/run_$(F)
	$(Q)mkdir -p build/afl/in_$(F)
	$(Q)cp $(wildcard tests/fuzz/seeds/$(F)/*) build/afl/in_$(F)/ 2>/dev/null || head -c 64 /dev/zero >build/afl/in_$(F)/zeros
	AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_SKIP_CPUFREQ=1 AFL_NO_UI=1 afl-fuzz -V $(or $(T),60) -i build/afl/in_$(F) \
		-o build/afl/out_$(F) build/afl/run_$(F)
build/afl/run_%: build/afl/tests/fuzz/fuzz_%.o build/afl/tests/fuzz/asan.o build/afl/libfake.a $$(call fuzz_needs,$$*)
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer,address,undefined -pthread -o $@ $(filter %.o,$^) $(asan_wrap) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group

seeds: $(O)/tenbox-net ## inputs of the network's fuzz harnesses anew, from captures that the tests of tests/netns make
	$(Q)mkdir -p build/captures && rm -f build/captures/*
	$(Q)cd tests/netns && CAPTURES=$(abspath build/captures) TENBOX_NET=$(abspath $(O)/tenbox-net) python3 run.py $(W)
	$(Q)python3 tests/fuzz/seeds.py build/captures tests/fuzz/seeds

layers: ## who may include whom
	$(Q)tests/check_layers $(foreach p,$(PARTS),$(p) "$(needs_$(p))")

pure: $(PURE:%=$(O)/lib%.a) ## cpu, hw and dhcp make no system call
	$(Q)tests/check_pure $^

# Every header compiles alone.
all_headers := $(foreach p,$(PARTS),$(wildcard $(p)/*.h $(p)/*/*.h))
# but for lists and templates, which are included for what their user defines.
part_headers := $(filter-out cpu/ops.h cpu/features.h cpu/interp/hot_width.h unet/lwipopts.h unet/arch/%,$(all_headers))
headers: $(part_headers:%=$(O)/headers/%.ok) ## each header is self-contained
	@echo "headers: $(words $(part_headers)) compile alone"
$(O)/headers/%.ok: % $(O)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(cflags_$(firstword $(subst /, ,$<))) -x c -fsyntax-only $< && touch $@

# make soak N=50 ACCEL=interp J=2: it is no part of make test, for its length.
soak: $(O)/tenbox ## N boots in a row of the Debian kernel, to traffic and power-off, with 1, 2 and 4 processors (ACCEL=engine)
	$(Q)tools/build-guest amd64
	$(Q)cd tests/guest && TENBOX=$(abspath $(O)/tenbox) TENBOX_ACCEL=$(ACCEL) TENBOX_JOBS=$(or $(J),1) python3 soak.py $(or $(N),50)

# Kernels of our own, multiboot and 32-bit: tests/guest/bare/NAME.c is build/guest/bare/NAME.elf.
bare_kernels := $(patsubst tests/guest/bare/%.c,build/guest/bare/%.elf,$(wildcard tests/guest/bare/*.c))
build/guest/bare/%.elf: tests/guest/bare/%.c tests/guest/bare/kernel.h
	@mkdir -p $(@D)
	$(call say,CC      $<)
	$(Q)$(CC) -std=gnu11 -m32 -march=i686 -O2 -Wall -Wextra -Wshadow -ffreestanding -fno-pic -fno-stack-protector \
		-fno-asynchronous-unwind-tables -nostdlib -static -Wl,-Ttext-segment=0x100000,--build-id=none \
		-Wl,-z,noexecstack,-z,noseparate-code -o $@ $<

guest: $(O)/tenbox $(bare_kernels) ## real guests on the real program (W="words of test names")
	$(Q)tools/build-guest amd64
	$(Q)tools/build-guest i386
	$(Q)tools/build-images
	$(Q)cd tests/guest && TENBOX=$(abspath $(O)/tenbox) python3 run.py $(W)

# make bench B=cpu/sieve ACCEL=interp BENCH="--peer cached --repeats 1"
netns: $(O)/tenbox-net ## black-box tests of the network with real clients, in namespaces of their own (W="words of test names")
	$(Q)cd tests/netns && TENBOX_NET=$(abspath $(O)/tenbox-net) python3 run.py $(W)

bench: $(O)/tenbox $(O)/tenbox-net $(bench_bin) $(guestmark) ## figures, side by side with a peer where it is installed (B="names", ACCEL=engine)
	$(Q)tools/build-guest amd64
	$(Q)python3 tests/bench/bench.py $(O) $(if $(ACCEL),--accel $(ACCEL)) $(BENCH) $(B)

.PHONY: netns unit diff fuzzreplay fuzz afl seeds layers pure headers guest soak bench
