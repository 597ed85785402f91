# SPDX-License-Identifier: GPL-2.0
#
# Each Kbuild includes this: where our headers are, and what the kernel's have. The
# Kbuild at the top exports the answers to the directories below it.
kmk-include := $(dir $(lastword $(MAKEFILE_LIST)))..
# Nothing is compiled by make clean, which works whatever the headers lack.
ifneq ($(filter %/Makefile.clean,$(MAKEFILE_LIST)),)
KMK_PROBES := -DKMK_PROBED
endif
ifndef KMK_PROBES
KMK_PROBES := $(shell sh $(kmk-include)/kmk/probe '$(srctree)' '$(objtree)')
endif
ifeq ($(filter -DKMK_PROBED,$(KMK_PROBES)),)
$(error kmodkit cannot tell what this kernel has; see above)
endif
ccflags-y += -I$(kmk-include) -I$(kmk-include)/uapi $(KMK_PROBES)
# __FILE__ goes into the modules; where they were built does not
ccflags-y += -fmacro-prefix-map=$(abspath $(kmk-include)/..)/=
