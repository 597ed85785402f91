# SPDX-License-Identifier: GPL-2.0
#
# The people's face of kmodkit; `make help` lists it. The modules themselves are
# described by Kbuild, which the kernel's own build system reads.

# KDIR alone says which kernel it is; KVER alone says where Debian puts its headers.
ifdef KDIR
KVER ?= $(or $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' '$(KDIR)/include/generated/utsrelease.h' 2>/dev/null),$(shell uname -r))
endif
KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build

# Kbuild and make itself split every path at its spaces.
ifneq ($(words $(CURDIR)),1)
$(error The path '$(CURDIR)' has a space, which the kernel's build system cannot handle; move kmodkit to a path without one)
endif

# A kernel built with clang wants its modules built with clang.
USES_CLANG = $(shell grep -sqx CONFIG_CC_IS_CLANG=y '$(KDIR)/include/config/auto.conf' '$(KDIR)/.config' && echo 1)
KBUILD = $(MAKE) -C '$(KDIR)' M='$(CURDIR)' $(if $(USES_CLANG),LLVM=1)

# The newest kernel of tests/kernels/list; newer ones most likely work.
NEWEST_TESTED := 7.3

VERSION := $(shell sed -n 's/.*KMK_VERSION "\(.*\)"/\1/p' include/kmk/version.h)
MODULE_DIRS := $(patsubst %/,%,$(shell sed -n 's/^obj-m += //p' Kbuild))
# What DKMS and the packages need to build the modules.
SOURCES := Makefile Kbuild dkms.conf $(foreach dir,$(MODULE_DIRS) include,\
	$(shell find $(dir) -name '*.[ch]' ! -name '*.mod.c' -o -name Kbuild))
KERNEL ?= 6.1
# Where programs are built; those for another architecture have a directory of their own.
BUILD := build
# The command-line tool; static unless told otherwise, as the test machine has no libraries.
TOOL := $(BUILD)/tools/kmk
TOOL_LDFLAGS ?= -static
prefix ?= /usr/local
BENCH_PROGRAMS := $(patsubst bench/%.c,build/bench/%,$(wildcard bench/bench_*.c))
TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))
# The same, by the machine that they run in.
MACHINES = $(addprefix $(BUILD)/tests/,$(shell tests/programs))
UAPI := $(wildcard include/uapi/kmodkit/*.h)
FUZZ := $(BUILD)/tests/fuzz
# None where there is no compiler for such.
PROGRAM32 := $(BUILD)/tests/program32
BATS := $(wildcard tests/*.bats)
# What a test run may keep in flight: more VMs than processors only wait for each other.
JOBS ?= $(shell nproc)

.PHONY: all modules help install uninstall clean setup-demo setup-check setup-check-arches \
	setup-bench setup-deb tools install-tools tests demo shell check check-kernels check-arches \
	check-debug check-fast check-fs check-upgrade coverage fuzz record modules-for lint bench bench-programs \
	dkms dkms-source deb

all: modules

help:
	@echo 'Build and use, against the kernel that runs (or KVER=release, KDIR=path):'
	@echo '  make               build the seven modules; W=1 and C=2 as in the kernel'
	@echo '  make install       install them for that kernel (root); uninstall removes them'
	@echo '  make dkms          hand them to DKMS, which rebuilds them at each kernel upgrade (root)'
	@echo '  make tools         build the command-line tool kmk'
	@echo '  make install-tools install kmk, its headers and the manual pages (prefix, DESTDIR)'
	@echo '  make deb           build the Debian packages kmodkit-dkms and kmodkit-utils, into build/deb'
	@echo '  make modules-for   build them for machines without a compiler, into build/fleet (KERNELS="name ...")'
	@echo '  make clean         remove what was built'
	@echo 'See and test, in a virtual machine; installs what it needs, never touches the kernel that runs:'
	@echo '  make demo          all seven modules at work'
	@echo '  make shell         a prompt in the machine, with the modules loaded'
	@echo '  make check         every test, on Linux $(KERNEL) (KERNEL=name for another)'
	@echo '  make check-kernels every test on every kernel of tests/kernels/list (KERNELS="name ..." picks)'
	@echo '  make check-arches  the same on other architectures, emulated'
	@echo '  make check-debug   every test on kernels with KASAN, lockdep, kmemleak, KCSAN, ...; builds them first (KERNELS=name)'
	@echo '  make check-fast    most tests in user-mode Linux with KASAN: a minute after an edit'
	@echo '  make coverage      which lines and branches of the modules every test together runs, into build/coverage'
	@echo '  make fuzz          random programs of system calls, guided by what they reach (SECONDS=$(SECONDS))'
	@echo '  make check-fs      stress-ng, fio, dbench and random operations on a cramfs, some 10 minutes'
	@echo '  make check-upgrade the Debian packages through kernel upgrades to their removal (root)'
	@echo '  make lint          checkpatch, coccinelle, sparse and shellcheck'
	@echo '  make bench         what each thing costs beside its in-kernel peer, in instructions'
	@echo '                     (KERNEL=name; BENCH="echo proc irq syscall mempool mempool-smp ramfs ramfs-smp" picks)'

modules: headers-or-explain
	@printf '%s\n' '$(KVER)' $(NEWEST_TESTED) | sed 's/^\([0-9]*\.[0-9]*\).*/\1/' | sort -V | \
		tail -n 1 | grep -qxF $(NEWEST_TESTED) || \
		echo 'kmodkit: Linux $(KVER) is newer than $(NEWEST_TESTED), the newest that these modules were tested on'
	$(if $(USES_CLANG),@echo 'kmodkit: this kernel was built with clang: building with LLVM=1')
	+$(KBUILD) modules

.PHONY: headers-or-explain
headers-or-explain:
	@test -e '$(KDIR)/Makefile' || { \
		echo "kmodkit: no kernel headers in $(KDIR)" >&2; \
		echo "kmodkit: install them: apt install linux-headers-$(KVER)" >&2; \
		echo "kmodkit: or name another kernel: make KVER=release, make KDIR=path" >&2; \
		exit 1; }

# INSTALL_MOD_PATH is the kernel's own name for a root other than /.
install: modules
	+$(KBUILD) INSTALL_MOD_DIR=updates/kmodkit modules_install
	depmod -b '$(INSTALL_MOD_PATH)/' $(KVER)

uninstall:
	rm -rf '$(INSTALL_MOD_PATH)/lib/modules/$(KVER)/updates/kmodkit'
	depmod -b '$(INSTALL_MOD_PATH)/' $(KVER)

tools: $(TOOL)

$(TOOL): $(wildcard tools/*.[ch]) $(UAPI) include/kmk/version.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -g -Wall -Wextra $(CPPFLAGS) $(CFLAGS) -D_GNU_SOURCE -Iinclude -Iinclude/uapi \
		$(LDFLAGS) $(TOOL_LDFLAGS) -o $@ $(filter %.c,$^)

install-tools: tools
	install -D -t '$(DESTDIR)$(prefix)/bin' $(TOOL)
	install -D -m 644 -t '$(DESTDIR)$(prefix)/include/kmodkit' include/uapi/kmodkit/*.h
	for section in 1 4 5 7; do \
		install -D -m 644 -t "$(DESTDIR)$(prefix)/share/man/man$$section" man/*.$$section || exit; \
	done

# Nothing to clean with where there are no headers, and nothing was built there.
clean:
	rm -rf build
	$(if $(wildcard $(KDIR)/Makefile),+$(KBUILD) clean)

# Copy what DKMS builds from; DESTDIR as everywhere.
dkms-source:
	mkdir -p '$(DESTDIR)/usr/src/kmodkit-$(VERSION)'
	cp --parents -t '$(DESTDIR)/usr/src/kmodkit-$(VERSION)' $(SOURCES)

dkms: dkms-source
	dkms add kmodkit/$(VERSION)
	dkms install kmodkit/$(VERSION) -k $(KVER)

# dpkg-buildpackage leaves the packages beside the directory it builds in.
deb: setup-deb
	rm -rf build/deb
	mkdir -p build/deb/kmodkit
	git ls-files -z | xargs -0 cp --parents -P -t build/deb/kmodkit
	cd build/deb/kmodkit && dpkg-buildpackage -us -uc
	cd build/deb && ls -1 *.deb

# --- the virtual machine ---------------------------------------------------

setup-demo:
	@tests/setup demo

setup-deb:
	@tests/setup deb

setup-check:
	@tests/setup check

setup-check-arches: setup-check
	@tests/setup check-arches

tests: tools $(TESTS) $(FUZZ) $(PROGRAM32) $(BUILD)/tests/selinux.policy

$(BUILD)/tests/%: tests/%.c tests/kmktest.c tests/kmktest.h $(UAPI)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -g -Wall -Wextra -D_FILE_OFFSET_BITS=64 -Iinclude -Iinclude/uapi -Itests -static -o $@ \
		$< tests/kmktest.c -lcheck -lsubunit -luring -lm -lrt -pthread

# Of a version that every kernel reads.
$(BUILD)/tests/selinux.policy: tests/selinux.conf
	@mkdir -p $(@D)
	checkpolicy -U allow -c 30 -o $@ $<

$(FUZZ): tests/fuzz/fuzz.c tests/fuzz/calls.h tests/fuzz/helpers.h tests/vm/complaints $(UAPI)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -g -Wall -Wextra -Wno-missing-field-initializers -Iinclude/uapi -static \
		-o $@ $< -pthread

$(BUILD)/tests/program32: tests/program32.c $(UAPI)
	@mkdir -p $(@D)
	$(CC) -m32 -std=gnu11 -O2 -g -Wall -Wextra -D_FILE_OFFSET_BITS=64 -Iinclude/uapi -static -o $@ $<

demo: setup-demo
	+@$(MAKE) --no-print-directory tools
	@tests/in-vm $(KERNEL) -f build/tools/kmk tests/vm/demo

shell: setup-demo
	+@$(MAKE) --no-print-directory tools
	@tests/in-vm $(KERNEL) -f build/tools/kmk --shell

check: setup-check
	+@$(MAKE) --no-print-directory tests
	@tests/in-vm $(KERNEL) --prove -j $(JOBS) $(MACHINES) $(BATS)

check-kernels: setup-check
	@tests/kernels/check

check-arches: setup-check-arches
	@tests/kernels/check -a

modules-for: setup-check
	@SIGN_KEY='$(SIGN_KEY)' SIGN_CERT='$(SIGN_CERT)' tests/kernels/export build/fleet $(KERNELS)

# The results of the two into README.md.
record:
	@tests/kernels/check -r

# A data race is found only when it happens: what has threads runs once more on that kernel.
CONCURRENT := test_echo+test_echo_fifo+test_proc+test_security+test_syscall \
	test_irq+test_mempool+test_lifetime \
	test_ramfs+test_ramfs_data+test_ramfs_names+test_ramfs_xattr

# What user-mode Linux can run: it has no lines for kmk_irq, and panics when its own
# allocations are made to fail. The longest first.
FAST := syscall mempool modules ramfs ramfs_names proc echo ramfs_data ramfs_random echo_fifo \
	ramfs_xattr ramfs_overlay minimal

check-fast:
	@tests/setup check-debug
	+@$(MAKE) --no-print-directory $(TOOL) $(FAST:%=$(BUILD)/tests/test_%)
	@tests/in-vm 6.1-uml --prove -j $(JOBS) $(FAST:%=$(BUILD)/tests/test_%)

check-debug: KERNELS ?= 6.1-kasan 6.1-kcsan
check-debug:
	@tests/setup check-debug
	+@$(MAKE) --no-print-directory tests
	@status=0; for kernel in $(KERNELS); do \
		again=; case $$kernel in *-kcsan) again='$(CONCURRENT:%=$(BUILD)/tests/%)' ;; esac; \
		tests/in-vm $$kernel --prove -j $(JOBS) tests/fuzz.bats tests/checkers.bats $(MACHINES) $$again || \
			status=1; \
	done; exit $$status

# How long to fuzz.
SECONDS := 300

fuzz: KERNEL := 6.1-kasan
fuzz:
	@tests/setup check-debug
	+@$(MAKE) --no-print-directory $(FUZZ)
	@tests/fuzz/run $(KERNEL) $(SECONDS)

coverage:
	@tests/setup coverage
	+@$(MAKE) --no-print-directory tests
	@tests/coverage

check-fs:
	@tests/setup check-fs
	+@$(MAKE) --no-print-directory $(BUILD)/tests/test_ramfs_random
	@tests/in-vm $(KERNEL) -r 2048 -t 3600 -p stress-ng -p fio -p dbench \
		-f /usr/share/dbench/client.txt -f $(BUILD)/tests/test_ramfs_random tests/vm/check-fs

# The root directories have files of many users, which only root can make.
check-upgrade:
	@test "$$(id -u)" -eq 0 || { echo 'kmodkit: check-upgrade wants root: sudo make check-upgrade' >&2; exit 1; }
	@tests/setup check-upgrade
	@prove --timer --failures --comments --exec 'bats --tap' tests/debian/*.bats

lint: setup-check
	@tests/lint

setup-bench:
	@tests/setup bench

bench-programs: $(BENCH_PROGRAMS)

build/bench/%: bench/%.c bench/bench.c bench/bench.h $(UAPI)
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=gnu11 -O2 -g -Wall -Wextra -Iinclude/uapi -Ibench -static -o $@ \
		$< bench/bench.c -pthread

bench: setup-bench
	+@$(MAKE) --no-print-directory bench-programs
	@bench/run $(KERNEL) $(BENCH)
