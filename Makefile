# SPDX-License-Identifier: MIT
# One graph for everything.  `make help` lists the targets.
MODE    ?= release
O       ?= build/$(MODE)
LWIP    ?= build/deps/lwip
PREFIX  ?= /usr/local
CC      ?= gcc
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)
say      = @$(if $(filter 1,$(V)),true,echo '  $(1)')

# The parts, lowest first, and the parts each may include: the architecture (docs/ARCHITECTURE.md), checked by `make layers`.
PARTS          := base net cpu dhcp tftp smbshare unet hw emu netns
needs_base     :=
needs_net      := base
needs_cpu      := base
needs_dhcp     := base
needs_tftp     := base
needs_smbshare := base
needs_unet     := dhcp tftp smbshare net base
needs_hw       := cpu net base
needs_emu      := hw unet smbshare tftp dhcp cpu net base
needs_netns    := unet smbshare tftp dhcp net base
PURE           := cpu hw dhcp

# What the build, a run and the tests take from Debian, with the reason in README.md.
DEPS_BUILD := gcc make binutils libc6-dev dpkg-dev xz-utils ca-certificates python3-minimal python3
DEPS_RUN   := seabios ipxe-qemu
DEPS_TEST  := libcmocka-dev pkgconf grub-common grub-pc-bin isolinux syslinux-common xorriso mtools dosfstools ipxe \
              iproute2 procps busybox isc-dhcp-client dhcpcd-base bind9-dnsutils tftp-hpa atftp curl iperf3 iputils-ping \
              traceroute mtr-tiny socat nmap tcpdump ndisc6 ethtool openssh-client rsync git openssl ngtcp2-client ngtcp2-server

CPPFLAGS += -iquote . -D_GNU_SOURCE
CFLAGS_release := -O2 -g
CFLAGS_debug   := -O0 -g3
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS_cov     := -O0 -g --coverage
CFLAGS_fuzz    := -O2 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined \
                  -fsanitize-coverage=inline-8bit-counters,pc-table
CFLAGS_afl     := -O2 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
CFLAGS  += -std=gnu11 -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -fno-strict-aliasing \
           -fstack-protector-strong $(CFLAGS_$(MODE)) $(if $(CI),-Werror)
LDFLAGS += -pthread $(filter -fsanitize% --coverage,$(CFLAGS_$(MODE)))

all: $(O)/tenbox $(O)/tenbox-net $(O)/libunet-all.a
# What translated code calls while the guest's vector registers are live.
vector_free := cpu/mmu cpu/walk cpu/tlb cpu/cpu cpu/code cpu/sys cpu/msr cpu/fault cpu/task cpu/seg cpu/lapic cpu/xlat/fill cpu/xlat/light cpu/xlat/link \
               $(addprefix cpu/interp/,run port far stack string mov bit alu operand misc shift muldiv branch bcd)
vector_free += emu/run base/clock        # their clock: cpu_ops.now
$(foreach f,$(vector_free),$(eval cflags_$(f).c := -mgeneral-regs-only))


# --- objects: one archive per part, sources found by folder -----------------------------------------------------------
define part
$(1)_src := $$(sort $$(wildcard $(1)/*.c $(1)/*/*.c))
$(O)/lib$(1).a: $$(patsubst %.c,$(O)/%.o,$$(filter-out emu/main.c netns/main.c,$$($(1)_src)))
endef
$(foreach p,$(PARTS),$(eval $(call part,$(p))))
# libs(part): its archive and those it needs
libs = $(foreach p,$(1) $(needs_$(1)),$(O)/lib$(p).a) $(if $(filter unet emu netns,$(1)),$(O)/liblwip.a)

$(O)/lib%.a:
	@mkdir -p $(@D); rm -f $@
	$(Q)ar rcs $@ $^

# A change of compiler or flags rebuilds.
flags_now := $(CC) $(CPPFLAGS) $(CFLAGS) $(LWIP)
$(O)/flags: FORCE
	@mkdir -p $(@D); echo '$(flags_now)' | cmp -s - $@ || echo '$(flags_now)' >$@

$(O)/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC      $<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(cflags_$(firstword $(subst /, ,$<))) $(cflags_$<) -MMD -MP -c -o $@ $<

$(O)/tenbox: $(O)/emu/main.o $(call libs,emu)
$(O)/tenbox-net: $(O)/netns/main.o $(call libs,netns)
$(O)/tenbox $(O)/tenbox-net:
	$(call say,LD      $@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

# The stack for other programs, all that it needs inside, and only the names of its headers outside.
public_headers := unet/unet.h unet/sock.h net/port.h net/pcap.h net/tap.h base/clock.h base/loop.h base/err.h base/log.h
public_names   := unet_ port_ frame_ pcap_ tap_ clock_ timer_ bell_ loop_ err_ log_
$(O)/libunet-all.a: $(call libs,unet)
	$(call say,AR      $@)
	$(Q)rm -f $@; ld -r -o $(O)/libunet-all.o --whole-archive $^ --no-whole-archive
	$(Q)objcopy -w $(public_names:%=--keep-global-symbol='%*') $(O)/libunet-all.o && ar rcs $@ $(O)/libunet-all.o

include unet/lwip.mk
include tests/tests.mk

-include $(shell find $(O) -name '*.d' 2>/dev/null)

# --- what people call ----------------------------------------------------------------------------------------------
deps:           ## install the Debian packages that building, running and testing take; fetch lwIP's source package
	$(Q)tools/deps $(DEPS_BUILD) $(DEPS_RUN) $(DEPS_TEST)
	$(Q)$(if $(filter build/deps/lwip,$(LWIP)),tools/fetch-lwip $(LWIP))

deps-run:
	$(Q)tools/deps $(DEPS_BUILD) $(DEPS_RUN)
	$(Q)$(if $(filter build/deps/lwip,$(LWIP)),tools/fetch-lwip $(LWIP))

# A second make, because what `deps` fetches is looked for when make starts.
run: deps-run   ## boot a small guest on the network: a shell on the terminal, or a short demonstration without one
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tools/build-guest amd64
	$(Q)tools/run-guest $(O)/tenbox

test: deps      ## everything that can fail: unit tests (plain and sanitized), checks, fuzz replays, guests
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/run_all

install: all    ## DESTDIR= PREFIX=/usr/local: both programs, the library, manual pages
	install -D -m 755 $(O)/tenbox $(DESTDIR)$(PREFIX)/bin/tenbox
	install -D -m 755 $(O)/tenbox-net $(DESTDIR)$(PREFIX)/bin/tenbox-net
	install -D -m 644 docs/tenbox.1 $(DESTDIR)$(PREFIX)/share/man/man1/tenbox.1
	install -D -m 644 docs/tenbox-net.1 $(DESTDIR)$(PREFIX)/share/man/man1/tenbox-net.1
	install -D -m 644 $(O)/libunet-all.a $(DESTDIR)$(PREFIX)/lib/libunet.a
	for h in $(public_headers); do install -D -m 644 $$h $(DESTDIR)$(PREFIX)/include/tenbox/$$h || exit; done
	mkdir -p $(DESTDIR)$(PREFIX)/lib/pkgconfig
	sed 's|@PREFIX@|$(PREFIX)|' unet/unet.pc.in >$(DESTDIR)$(PREFIX)/lib/pkgconfig/unet.pc
	chmod 644 $(DESTDIR)$(PREFIX)/lib/pkgconfig/unet.pc

help:           ## this list
	@echo "make [MODE=release|debug|asan|cov] [V=1] [LWIP=dir] TARGET; without a target: build/MODE/tenbox"
	@sed -nE 's/^([a-z]+): .*## (.*)/  \1\t\2/p' Makefile tests/tests.mk | expand -t 14

clean:          ## remove what was built (downloads stay; build/ holds everything)
	rm -rf build/release build/debug build/asan build/cov build/fuzz

# Everything that can be compiled, nothing run.
landcheck: $(PARTS:%=$(O)/lib%.a) $(unit_bin) $(O)/tenbox $(O)/tenbox-net

FORCE:
.PHONY: all deps deps-run run test install help clean landcheck FORCE
.DELETE_ON_ERROR:
