# SPDX-License-Identifier: MIT
# lwIP, unmodified, from its Debian source package (`make deps` puts it into $(LWIP)), compiled with unet/lwipopts.h.
lwip_src := $(wildcard $(LWIP)/src/core/*.c $(LWIP)/src/core/ipv4/*.c $(LWIP)/src/core/ipv6/*.c)
$(O)/liblwip.a: $(patsubst $(LWIP)/%.c,$(O)/lwip/%.o,$(lwip_src))
$(O)/lwip/%.o: $(LWIP)/%.c $(O)/flags unet/lwipopts.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -W%,$(CFLAGS)) -w -iquote unet -I unet -isystem $(LWIP)/src/include -MMD -MP -c -o $@ $<
cflags_unet := -I unet -isystem $(LWIP)/src/include
# -MMD leaves out what a system header includes
$(patsubst %.c,$(O)/%.o,$(wildcard unet/*.c)): unet/lwipopts.h
