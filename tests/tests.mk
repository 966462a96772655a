# SPDX-License-Identifier: MIT
# Unit tests: tests/unit/<part>/test_<file>.c is one cmocka program, linked with its part's archive and those that part
# needs, nothing else: a hidden dependency is an undefined symbol.
unit_src  := $(sort $(wildcard tests/unit/*/test_*.c))
unit_bin  := $(unit_src:%.c=$(O)/%)
fake_src  := $(sort $(wildcard tests/fake/*.c))

$(O)/libfake.a: $(fake_src:%.c=$(O)/%.o)

.SECONDEXPANSION:
part_of = $(word 3,$(subst /, ,$(1)))
$(unit_bin): $(O)/%: $(O)/%.o $(O)/libfake.a $$(call libs,$$(call part_of,$$*))
	@$(if $(filter 1,$(V)),,echo '  LD      $@')
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -lcmocka $(LDLIBS)

unit: $(unit_bin)
	$(Q)tests/run_unit $(unit_bin)

.PHONY: unit
