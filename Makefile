# SPDX-License-Identifier: MIT
# One graph for everything.  `make help` lists the targets; parts and who may use whom stand in config lines below.
MODE    ?= release
O       ?= build/$(MODE)
LWIP    ?= build/deps/lwip
PREFIX  ?= /usr/local
CC      ?= gcc
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)

# The parts, lowest first, and the parts each may include (docs/ARCHITECTURE.md; checked by `make layers`).
PARTS          := base net cpu dhcp tftp smbshare unet hw emu
needs_base     :=
needs_net      := base
needs_cpu      := base
needs_dhcp     := base
needs_tftp     := base
needs_smbshare := base
needs_unet     := dhcp tftp smbshare net base
needs_hw       := cpu net base
needs_emu      := hw unet smbshare tftp dhcp cpu net base

CPPFLAGS += -iquote . -D_GNU_SOURCE
CFLAGS_release := -O2 -g
CFLAGS_debug   := -O0 -g3
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS_cov     := -O0 -g --coverage
CFLAGS  += -std=gnu11 -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wshadow -Wvla -fno-strict-aliasing \
           -fstack-protector-strong $(CFLAGS_$(MODE)) $(if $(CI),-Werror)
LDFLAGS += -pthread $(filter -fsanitize% --coverage,$(CFLAGS_$(MODE)))

all: $(O)/tenbox

include tests/tests.mk

# --- objects: one archive per part -----------------------------------------------------------------------------
define part
$(1)_src := $$(sort $$(wildcard $(1)/*.c $(1)/*/*.c))
$(O)/lib$(1).a: $$($(1)_src:%.c=$(O)/%.o)
endef
$(foreach p,$(PARTS),$(eval $(call part,$(p))))
# libs(parts): their archives and those they need, in link order
libs = $(foreach p,$(1) $(needs_$(firstword $(1))),$(O)/lib$(p).a) $(if $(filter unet emu,$(1)),$(O)/liblwip.a)

$(O)/lib%.a:
	@rm -f $@
	$(Q)ar rcs $@ $^

# A change of flags rebuilds.
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LWIP)' | cmp -s - $@ || echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LWIP)' > $@

$(O)/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	@$(if $(filter 1,$(V)),,echo '  CC      $<')
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(cflags_$(firstword $(subst /, ,$<))) -MMD -MP -c -o $@ $<

# The program's own translation units are few and cold but for cpu/; -O2 everywhere keeps one rule.
$(O)/tenbox: $(O)/emu/main.o $(call libs,emu)
	@$(if $(filter 1,$(V)),,echo '  LD      $@')
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(O)/emu/main.o -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

include unet/lwip.mk

# Everything that can be compiled, nothing run.
landcheck: $(PARTS:%=$(O)/lib%.a) $(unit_bin) $(if $(wildcard emu/main.c),$(O)/tenbox)

-include $(shell find $(O) -name '*.d' 2>/dev/null)

clean:
	rm -rf build/release build/debug build/asan build/cov build/fuzz

FORCE:
.PHONY: all clean landcheck FORCE
.DELETE_ON_ERROR:
