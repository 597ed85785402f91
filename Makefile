# SPDX-License-Identifier: GPL-2.0
#
# The people's face of kmodkit; `make help` lists it. The modules themselves are
# described by Kbuild, which the kernel's own build system reads.

# KDIR alone says which kernel it is; KVER alone says where Debian puts its headers. Yocto calls
# the first KERNEL_SRC, others KERNELDIR or KSRC; O is where that kernel was built, if elsewhere.
ifneq ($(KERNEL_SRC)$(KERNELDIR)$(KSRC),)
KDIR ?= $(firstword $(KERNEL_SRC) $(KERNELDIR) $(KSRC))
endif
ifdef KDIR
KVER ?= $(or $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' '$(or $(O),$(KDIR))/include/generated/utsrelease.h' 2>/dev/null),$(shell uname -r))
endif
KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build

# make splits paths at spaces; shells, make and Kbuild's own rules take these for theirs.
hostile := ' " $$ \# ( ) , : ; & | < > * ? [ ] { } ` \ ~ ! % =
ifneq ($(words $(CURDIR))$(strip $(foreach char,$(hostile),$(findstring $(char),$(CURDIR)))),1)
$(error The path "$(CURDIR)" has a space or another character that the kernel's build system cannot handle; move kmodkit to a path without one)
endif

# A kernel built with clang wants its modules built with clang.
USES_CLANG = $(shell grep -sqx CONFIG_CC_IS_CLANG=y '$(or $(O),$(KDIR))/include/config/auto.conf' '$(KDIR)/.config' && echo 1)
# The compiler that Kbuild takes, for the report: not CC of the environment, which DKMS sets.
COMPILER = $(if $(USES_CLANG)$(LLVM),clang,$(if $(filter command,$(origin CC)),$(CC),$(CROSS_COMPILE)gcc))
KBUILD = $(MAKE) -C '$(KDIR)' M='$(CURDIR)' $(if $(USES_CLANG),LLVM=1)

# The newest kernel of rig/kernels/list; newer ones most likely work.
NEWEST_TESTED := 7.3

VERSION := $(shell sed -n 's/.*KMK_VERSION "\(.*\)"/\1/p' include/kmk/version.h)
MODULE_DIRS := $(patsubst %/,%,$(shell sed -n 's/^obj-m += //p' Kbuild))
# The files that DKMS and the packages need to build the modules.
SOURCES := Makefile Kbuild dkms.conf $(foreach dir,$(MODULE_DIRS) include,\
	$(shell find $(dir) -name '*.[ch]' ! -name '*.mod.c' -o -name Kbuild -o -type f -path 'include/kmk/*'))
KERNEL ?= 6.1
# Where programs are built; those for another architecture have a directory of their own.
BUILD := build
# The command-line tool; static where that can be, as the test machine has no libraries.
TOOL := $(BUILD)/tools/kmk
TOOL_LDFLAGS ?= $(shell echo 'int main(void) { return 0; }' | $(CC) -static -o /dev/null -x c - 2>/dev/null && echo -static)
prefix ?= /usr/local
# Below DESTDIR, all that is installed; INSTALL_MOD_PATH, the kernel's own name for that of
# modules, may say another root for these.
INSTALL_MOD_PATH ?= $(DESTDIR)
MOD_ROOT := $(if $(INSTALL_MOD_PATH),$(abspath $(INSTALL_MOD_PATH)))
DEPMOD ?= depmod
BENCH_PROGRAMS := $(patsubst bench/%.c,build/bench/%,$(wildcard bench/bench_*.c))
TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))
# The same, by the machine that they run in.
MACHINES = $(addprefix $(BUILD)/tests/,$(shell rig/programs))
UAPI := $(wildcard include/uapi/kmodkit/*.h)
FUZZ := $(BUILD)/tests/fuzz
# None where there is no compiler for such.
PROGRAM32 := $(BUILD)/tests/program32
BATS := $(wildcard tests/*.bats)
# How many tests run at once: more VMs than processors only wait for each other.
JOBS ?= $(shell nproc)

.PHONY: all modules help install modules_install uninstall clean setup-demo setup-check setup-check-arches \
	setup-bench setup-deb setup-rpm tools install-tools uninstall-tools install-rig uninstall-rig tests demo shell check check-kernels \
	check-arches check-debug check-fast check-docs check-fs check-upgrade check-hosts check-rig check-guide field field-one coverage fuzz record modules-for lint \
	bench bench-programs plots recording dkms dkms-source dkms-uninstall deb rpm docs

all: modules

help:
	@echo 'Build and use, against the kernel that runs (or KVER=release, KDIR=path):'
	@echo '  make               build the seven modules; W=1 and C=2 as in the kernel'
	@echo '  make install       install them for that kernel (root; DESTDIR); uninstall removes them'
	@echo '  make dkms          hand them to DKMS, which rebuilds them at each kernel upgrade (root);'
	@echo '                     dkms-uninstall takes them away'
	@echo '  make tools         build the command-line tool kmk'
	@echo '  make install-tools install kmk, its headers and the manual pages (prefix, DESTDIR); uninstall-tools'
	@echo '  make install-rig   install kmodkit, which tests any module (prefix, DESTDIR); uninstall-rig'
	@echo '  make deb           build the Debian packages kmodkit-dkms, kmodkit-utils and kmodkit-rig, into build/deb'
	@echo '  make rpm           build the first two for RHEL and its kin, into build/rpm'
	@echo '  make modules-for   build them for machines without a compiler, into build/fleet (KERNELS="name ...")'
	@echo '  make docs          build the guide, from a C program to a kernel module, into build/docs'
	@echo '  make clean         remove what was built'
	@echo 'See and test, in a virtual machine; installs what it needs, never touches the kernel that runs:'
	@echo '  make demo          all seven modules at work'
	@echo '  make shell         a prompt in the machine, with the modules loaded'
	@echo '  make check         the tests of the modules, on Linux $(KERNEL) (KERNEL=name for another)'
	@echo '  make check-kernels every test on every kernel of rig/kernels/list (KERNELS="name ..." picks)'
	@echo '  make check-arches  the same on other architectures, emulated'
	@echo '  make check-debug   every test on kernels with KASAN, lockdep, kmemleak, KCSAN, ...; builds them first (KERNELS=name)'
	@echo '  make check-fast    most tests in user-mode Linux with KASAN: a minute after an edit'
	@echo '  make coverage      which lines and branches of the modules every test together runs, into build/coverage'
	@echo '  make fuzz          random programs of system calls, guided by what they reach (SECONDS=$(SECONDS))'
	@echo '  make check-fs      stress-ng, fio, dbench and random operations on a cramfs, some 10 minutes'
	@echo '  make check-docs    the guide in a browser, and its links to other sites'
	@echo '  make check-upgrade the Debian packages through kernel upgrades to their removal (root)'
	@echo '  make check-hosts   make demo and make check on fresh Debian 12, 13 and forky (root; HOSTS="$(HOSTS)" picks)'
	@echo '  make check-rig     the rig for any module tree, rig/kmodkit (FAULTS="name ..." plants faults)'
	@echo '  make check-guide   the exercises of the guide, and the ways of a newcomer (EXERCISES="name ..." picks)'
	@echo '  make field         the same rig on every -dkms package of Debian, into docs/field.md'
	@echo '  make lint          checkpatch, coccinelle, sparse and shellcheck'
	@echo '  make bench         what each thing costs beside its in-kernel peer, in instructions'
	@echo '                     (KERNEL=name; BENCH="echo proc irq syscall mempool mempool-smp ramfs ramfs-smp" picks)'
	@echo '  make plots         draw the tables of docs/performance.md, into docs/pictures'
	@echo '  make recording     record make demo, into docs/pictures'

modules: headers-or-explain
	@printf '%s\n' '$(KVER)' $(NEWEST_TESTED) | sed 's/^\([0-9]*\.[0-9]*\).*/\1/' | sort -V | \
		tail -n 1 | grep -qxF $(NEWEST_TESTED) || \
		echo 'kmodkit: Linux $(KVER) is newer than $(NEWEST_TESTED), the newest that these modules were tested on'
	$(if $(USES_CLANG),@echo 'kmodkit: this kernel was built with clang: building with LLVM=1')
	@rm -f .probes
	+@$(KBUILD) modules || { sh include/kmk/report $(VERSION) '$(KVER)' '$(KDIR)' '$(or $(O),$(KDIR))' '$(COMPILER)'; exit 1; }

.PHONY: headers-or-explain
headers-or-explain:
	@test -e '$(KDIR)/Makefile' || { \
		echo "kmodkit: no kernel headers in $(KDIR)" >&2; \
		echo "kmodkit: install them: apt install linux-headers-$(KVER) (Debian, Ubuntu)," >&2; \
		echo "kmodkit:   dnf install kernel-devel-$(KVER) (Fedora, RHEL), linux-headers elsewhere" >&2; \
		echo "kmodkit: or name another kernel: make KVER=release, make KDIR=path" >&2; \
		exit 1; }

# modprobe takes one of several copies; says so if its path is not like $(1).
name_winner = @found=$$(modinfo $(if $(MOD_ROOT),-b '$(MOD_ROOT)') -k '$(KVER)' -F filename kmk_echo 2>/dev/null); \
	case $$found in \
	$(1)|'') ;; \
	*) echo "kmodkit: modprobe takes another copy, $$found, and not the one that was installed now" >&2 ;; \
	esac

install: modules
	+$(KBUILD) INSTALL_MOD_PATH='$(MOD_ROOT)' INSTALL_MOD_DIR=updates/kmodkit modules_install
	$(DEPMOD) -b '$(MOD_ROOT)/' $(KVER)
	$(call name_winner,'$(MOD_ROOT)/lib/modules/$(KVER)/updates/kmodkit'/*)

modules_install: install

uninstall:
	rm -rf '$(MOD_ROOT)/lib/modules/$(KVER)/updates/kmodkit'
	$(DEPMOD) -b '$(MOD_ROOT)/' $(KVER)

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

# The rig, for any tree; what it wants of Debian's packages it installs when it first runs.
RIG_DIR = $(DESTDIR)$(prefix)/share/kmodkit

install-rig:
	rm -rf '$(RIG_DIR)'
	mkdir -p '$(RIG_DIR)' '$(DESTDIR)$(prefix)/bin'
	cp -rL -t '$(RIG_DIR)' $(addprefix rig/,build-tree check checker exercise fuzz kernels kmodkit new sandbox setup templates vm)
	find '$(RIG_DIR)' -name __pycache__ -exec rm -r {} +
	chmod -R a+rX '$(RIG_DIR)'
	ln -sf ../share/kmodkit/kmodkit '$(DESTDIR)$(prefix)/bin/kmodkit'
	install -D -m 644 -t '$(DESTDIR)$(prefix)/share/man/man1' rig/kmodkit.1
	install -D -m 644 rig/completion '$(DESTDIR)$(prefix)/share/bash-completion/completions/kmodkit'

uninstall-rig:
	rm -rf '$(RIG_DIR)' '$(DESTDIR)$(prefix)/bin/kmodkit' '$(DESTDIR)$(prefix)/share/man/man1/kmodkit.1' \
		'$(DESTDIR)$(prefix)/share/bash-completion/completions/kmodkit'

uninstall-tools:
	rm -rf '$(DESTDIR)$(prefix)/bin/$(notdir $(TOOL))' '$(DESTDIR)$(prefix)/include/kmodkit'
	for page in $(notdir $(wildcard man/*.[1-8])); do \
		rm -f "$(DESTDIR)$(prefix)/share/man/man$${page##*.}/$$page" || exit; \
	done

# Nothing to clean with where there are no headers, and nothing was built there.
clean:
	rm -rf build
	$(if $(wildcard $(KDIR)/Makefile),+$(KBUILD) clean)

# Copy what DKMS builds from; DESTDIR as everywhere.
dkms-source:
	rm -rf '$(DESTDIR)/usr/src/kmodkit-$(VERSION)'
	mkdir -p '$(DESTDIR)/usr/src/kmodkit-$(VERSION)'
	cp --parents -t '$(DESTDIR)/usr/src/kmodkit-$(VERSION)' $(SOURCES)

dkms: for-dkms dkms-source
	dkms status -m kmodkit -v $(VERSION) | grep -q . || dkms add kmodkit/$(VERSION)
	dkms build --force kmodkit/$(VERSION) -k $(KVER)
	dkms install --force kmodkit/$(VERSION) -k $(KVER)
	$(call name_winner,*/updates/dkms/*|*/extra/kmk_echo.ko*|*/updates/kmk_echo.ko*)

dkms-uninstall: for-dkms
	dkms remove kmodkit/$(VERSION) --all
	rm -rf '/usr/src/kmodkit-$(VERSION)'

# DKMS acts on this system alone; and the files of a package are the package manager's.
.PHONY: for-dkms
for-dkms:
	@[ -z '$(DESTDIR)' ] || { echo 'kmodkit: DKMS acts on this system: DESTDIR is for dkms-source' >&2; exit 1; }
	@if dpkg-query -W -f '$${db:Status-Status}\n' kmodkit-dkms 2>/dev/null | grep -qx installed || \
	   rpm -q kmodkit-dkms > /dev/null 2>&1; then \
		echo 'kmodkit: the package kmodkit-dkms is installed, and looks after DKMS: remove it first' >&2; \
		exit 1; \
	fi

only_a_clone = @git rev-parse --git-dir > /dev/null 2>&1 || { \
	echo 'kmodkit: make $@ packs the files that git knows: it wants a git clone' >&2; exit 1; }

# dpkg-buildpackage leaves the packages beside the directory it builds in.
deb: setup-deb
	$(only_a_clone)
	rm -rf build/deb
	mkdir -p build/deb/kmodkit
	git ls-files -z | xargs -0 cp --parents -P -t build/deb/kmodkit
	cd build/deb/kmodkit && dpkg-buildpackage -us -uc
	cd build/deb && ls -1 *.deb

# Debian's rpmbuild knows no RPMs that could be build dependencies, and its brp-compress wants
# another shell than it names. Debug packages are for those who build on RHEL.
rpm: setup-rpm
	$(only_a_clone)
	rm -rf build/rpm
	mkdir -p build/rpm/SOURCES
	git ls-files -z | tar --null -T - --transform 's,^,kmodkit-$(VERSION)/,' \
		-czf build/rpm/SOURCES/kmodkit-$(VERSION).tar.gz
	rpmbuild -ba --quiet --nodeps --define '_topdir $(CURDIR)/build/rpm' \
		--define 'debug_package %{nil}' --define '__brp_compress bash /usr/lib/rpm/brp-compress' rpm/kmodkit.spec
	rpmlint --strict --config rpm/rpmlint.toml build/rpm
	cd build/rpm && find . -name '*.rpm'

docs:
	@tests/setup docs
	@sphinx-build -q -E -W --keep-going -d build/doctrees docs/guide build/docs
	@echo 'kmodkit: the guide is build/docs/index.html'

# --- the virtual machine ---------------------------------------------------

setup-demo:
	@tests/setup demo

setup-deb:
	@tests/setup deb

setup-rpm:
	@tests/setup rpm

setup-check:
	@tests/setup check

setup-check-arches: setup-check
	@rig/setup arches:

tests: tools $(TESTS) $(FUZZ) $(PROGRAM32) $(BUILD)/tests/selinux.policy

$(BUILD)/tests/%: tests/%.c tests/kmktest.c tests/kmktest.h $(UAPI)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -g -Wall -Wextra -D_FILE_OFFSET_BITS=64 -Iinclude -Iinclude/uapi -Itests -static -o $@ \
		$(filter %.c,$^) -lcheck -lsubunit -luring -lm -lrt -pthread

$(BUILD)/tests/test_ramfs_random $(BUILD)/tests/test_ramfs_race $(BUILD)/tests/test_ramfs_data: \
	tests/adversary.c tests/adversary.h

# Of a version that every kernel reads.
$(BUILD)/tests/selinux.policy: tests/selinux.conf
	@mkdir -p $(@D)
	checkpolicy -U allow -c 30 -o $@ $<

$(FUZZ): rig/fuzz/build rig/fuzz/fuzz.c tests/fuzz/calls.h rig/fuzz/call.h rig/fuzz/helpers.h rig/vm/complaints $(UAPI)
	@mkdir -p $(@D)
	rig/fuzz/build . tests/fuzz $@

$(BUILD)/tests/program32: tests/program32.c $(UAPI)
	@mkdir -p $(@D)
	$(CC) -m32 -std=gnu11 -O2 -g -Wall -Wextra -D_FILE_OFFSET_BITS=64 -Iinclude/uapi -static -o $@ $<

demo: setup-demo
	+@$(MAKE) -s tools
	@rig/in-vm $(KERNEL) -f build/tools/kmk tests/vm/demo

shell: setup-demo
	+@$(MAKE) -s tools
	@rig/in-vm $(KERNEL) -f build/tools/kmk --shell tests/vm/shell

check: setup-check
	+@$(MAKE) --no-print-directory tests
	@rig/in-vm $(KERNEL) --prove -j $(JOBS) $(MACHINES) $(BATS)

check-kernels: setup-check
	@tests/check-kernels

check-arches: setup-check-arches
	@tests/check-kernels -a

modules-for: setup-check
	@SIGN_KEY='$(SIGN_KEY)' SIGN_CERT='$(SIGN_CERT)' tests/export build/fleet $(KERNELS)

# The results of the two into docs/kernels.md.
record:
	@tests/check-kernels -r

# A data race is found only when it happens: what has threads runs once more on that kernel.
CONCURRENT := test_echo+test_echo_fifo+test_proc+test_security+test_syscall \
	test_irq+test_mempool+test_lifetime \
	test_ramfs+test_ramfs_data+test_ramfs_names+test_ramfs_xattr+test_ramfs_race

# The tests that user-mode Linux can run: it has no lines for kmk_irq, and panics when its own
# allocations are made to fail. The longest first.
FAST := syscall mempool modules ramfs ramfs_names proc echo ramfs_data ramfs_random echo_fifo \
	ramfs_xattr ramfs_overlay minimal

check-fast: setup-check
	+@$(MAKE) --no-print-directory $(TOOL) $(PROGRAM32) $(FAST:%=$(BUILD)/tests/test_%)
	@rig/in-vm 6.1-uml --prove -j $(JOBS) $(FAST:%=$(BUILD)/tests/test_%)

check-debug: KERNELS ?= 6.1-kasan 6.1-kcsan
check-debug: setup-check
	+@$(MAKE) --no-print-directory tests
	@status=0; for kernel in $(KERNELS); do \
		again=; case $$kernel in *-kcsan) again='$(CONCURRENT:%=$(BUILD)/tests/%)' ;; esac; \
		rig/in-vm $$kernel --prove -j $(JOBS) tests/fuzz.bats tests/checkers.bats $(MACHINES) $$again || \
			status=1; \
	done; exit $$status

# How long to fuzz.
SECONDS := 300

fuzz: KERNEL := 6.1-kasan
fuzz:
	@rig/kmodkit fuzz --keep -k $(KERNEL) --seconds $(SECONDS) $(addprefix --seed ,$(KMK_SEED)) \
		$(addprefix --group ,$(KMK_FUZZ_GROUP))

coverage:
	@tests/setup coverage
	+@$(MAKE) --no-print-directory tests
	@rig/coverage

check-fs:
	@tests/setup check-fs
	+@$(MAKE) --no-print-directory $(BUILD)/tests/test_ramfs_random
	@rig/in-vm $(KERNEL) -r 2048 -t 3600 -p stress-ng -p fio -p dbench \
		-f /usr/share/dbench/client.txt -f $(BUILD)/tests/test_ramfs_random tests/vm/check-fs

# A browser is large: only this wants one.
check-docs: docs
	@tests/setup check-docs
	@prove --timer --failures --comments --exec 'bats --tap' tests/docs/*.bats

# The root directories have files of many users, which only root can make.
check-upgrade:
	@test "$$(id -u)" -eq 0 || { echo 'kmodkit: check-upgrade wants root: sudo make check-upgrade' >&2; exit 1; }
	@tests/setup check-upgrade
	@prove --timer --failures --comments --exec 'bats --tap' tests/debian/*.bats

# The Debian releases that README promises to work on.
HOSTS := bookworm trixie forky

check-hosts:
	@tests/setup check-hosts
	@tests/hosts $(HOSTS)

# The rig itself, and what it finds in our own tree; FAULTS="name ..." plants these and their twins, too.
check-rig: setup-check
	@rig/setup machine: check: dh-dkms
	@prove --timer --failures --comments --exec 'bats --tap' $(filter-out %/made.bats,$(wildcard rig/tests/*.bats)) tests/rig/*.bats
	@KERNEL=$(NEWEST_TESTED) bats tests/rig/ours.bats
	$(if $(FAULTS),@rig/tests/faults/run $(FAULTS))

# The exercises of the guide (EXERCISES="name ...": these alone), its way to a device of one's own, and
# each template's; as root, the first newcomer goes in a fresh root directory.
check-guide: setup-check
	@rig/setup machine: check: dh-dkms mmdebstrap
	@prove --timer --failures --comments --exec 'bats --tap' tests/guide/*.bats rig/tests/made.bats

# Strangers' modules, hours of them; interrupted, it goes on.
field:
	@rig/setup machine: check:
	@mkdir -p build
	@{ sed '/^| package/,$$d' docs/field.md; rig/field; } > build/field.md
	@mv build/field.md docs/field.md

# One of them, by turns: on one kernel, and only printed.
field-one:
	@rig/setup machine: check:
	@rig/field -k 6.1 --turn $(TURN)

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

plots:
	@tests/setup plots
	@bench/report --plots

recording:
	@tests/setup recording
	@docs/pictures/recording
