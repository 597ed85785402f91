#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The test machine itself: each way in which a run can end is told as what it is.

setup() {
	vm=$BATS_TEST_DIRNAME/../rig/vm/run
	kernels=$BATS_TEST_DIRNAME/../rig/kernels
	export XDG_CONFIG_HOME=$BATS_TEST_TMPDIR/config
}

@test "a command that succeeds: its output and nothing else" {
	run "$vm" sh -c 'echo hello; id -u'
	[ "$status" -eq 0 ]
	[ "$output" = "$(printf 'hello\n0')" ]
}

@test "two that find out at once whether KVM works are not in each other's way" {
	export XDG_CACHE_HOME=$BATS_TEST_TMPDIR
	mkdir "$XDG_CACHE_HOME/kmodkit"
	touch "$XDG_CACHE_HOME/kmodkit/kvm-of-another-boot"
	"$vm" echo hello > "$BATS_TEST_TMPDIR/first" 2>&1 &
	run "$vm" echo hello
	wait $!
	[ "$output" = hello ]
	[ "$(cat "$BATS_TEST_TMPDIR/first")" = hello ]
}

@test "a command that fails: exit status 1, and its own is told" {
	run "$vm" sh -c 'echo "not ok 1 - deliberate"; exit 7'
	[ "$status" -eq 1 ]
	[[ $output == *"not ok 1 - deliberate"* ]]
	[[ $output == *"# vm: the command ended with exit status 7"* ]]
}

@test "a kernel that warns: exit status 3, and the warning is shown" {
	run "$vm" sh -c 'insmod /lib/kmodkit/kmk_fault.ko fault=warn; echo "ok 1"'
	[ "$status" -eq 3 ]
	[[ $output == *"# vm: the kernel complained:"* ]]
	[[ $output == *"deliberate"* ]]
	[[ $output == *"fault_warn"* ]]
}

# The lines of a report of KCSAN about two accesses, the second in the module $2, if any,
# which has called the function $3; the first in the module $4, if any.
race() {
	local bar='=================================================================='
	local lines=("$bar" "BUG: KCSAN: data-race in $1" '' 'write to 0xdeadbeef of 4 bytes by task 7 on cpu 1:'
		     ' write_it+0x1/0x2' "${4:+ of_ours_too+0x1/0x2 [$4]}" ''
		     'read to 0xdeadbeef of 4 bytes by task 8 on cpu 0:'
		     " ${1%% *}+0x1/0x2" " ${3:-read_some}+0x1/0x2" "${2:+ of_ours+0x1/0x2 [$2]}" "$bar")

	printf "echo '<4>%s' > /dev/kmsg;" "${lines[@]}"
}

@test "a data race of the kernel's own is none of ours, nor one of an interrupt or a fault" {
	local torn said="echo '<6>kmk_irq: loaded' > /dev/kmsg;"

	torn=$(race 'read_it / write_it')
	run "$vm" sh -c "$(race 'read_it / write_it'; race '__synchronize_hardirq / handle_irq_event' kmk_irq
		race 'fasync_remove_entry / kill_fasync' kmk_irq kill_fasync
		race 'handle_simple_irq / irq_thread_fn' kmk_line generic_handle_irq
		race 'device_del / rcu_core' kmk_mempool misc_deregister
		race '___d_drop / __d_lookup' kmk_mempool debugfs_remove
		race 'get_nr_inodes+0x54/0xa0' kmk_ramfs kill_litter_super
		race 'atime_needs_update / path_mount' kmk_ramfs touch_atime
		race '__d_instantiate / step_into' kmk_ramfs d_instantiate
		race 'inode_permission / setattr_copy' kmk_ramfs setattr_copy
		race 'generic_fillattr / write_it' kmk_ramfs generic_fillattr
		race 'generic_fillattr / inode_set_ctime_current' kmk_ramfs inode_set_ctime_current
		race 'handle_mm_fault / write_it' kmk_syscall asm_exc_page_fault
		echo "${torn/;/;$said}"
		race 'read_it / write_it' kmk_mempool asm_sysvec_apic_timer_interrupt)"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "a data race below a module of ours: exit status 3, and it is shown" {
	run "$vm" sh -c "$(race 'read_it / write_it' kmk_irq; race 'foreign_it / write_it'
		race 'signal_it / write_it' kmk_irq kill_fasync kmk_irq)"
	[ "$status" -eq 3 ]
	[[ $output == *"KCSAN: data-race in signal_it / write_it"* ]]
	[[ $output == *"KCSAN: data-race in read_it / write_it"* ]]
	[[ $output != *foreign_it* ]]
}

@test "a kernel that panics: exit status 4, and the panic is shown" {
	run "$vm" sh -c 'echo c > /proc/sysrq-trigger'
	[ "$status" -eq 4 ]
	[[ $output == *"# vm: the kernel panicked:"* ]]
	[[ $output == *"sysrq triggered crash"* ]]
}

# A QEMU that counts its boots, and for the first $1 of them has no initramfs, so that
# the kernel panics before any init, or is given the option $2.
lame_qemu() {
	mkdir "$BATS_TEST_TMPDIR/bin"
	cat > "$BATS_TEST_TMPDIR/bin/qemu-system-x86_64" <<-END
	#!/bin/bash
	echo >> "$BATS_TEST_TMPDIR/boots"
	if [ "\$(wc -l < "$BATS_TEST_TMPDIR/boots")" -le $1 ]; then
		for word; do
			shift
			[[ \$word == */initramfs && -z "${2:-}" ]] && word=$BATS_TEST_TMPDIR/boots
			set -- "\$@" "\$word"
		done
		set -- "\$@" ${2:-}
	fi
	exec "$(command -v qemu-system-x86_64)" "\$@"
	END
	chmod 755 "$BATS_TEST_TMPDIR/bin/qemu-system-x86_64"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH
}

boots() {
	wc -l < "$BATS_TEST_TMPDIR/boots"
}

@test "a kernel that dies before any init boots again, and that is told" {
	lame_qemu 1
	run "$vm" echo hello
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(boots)" -eq 2 ]
	[[ $output == "# The kernel died before"*"boots again"*hello ]]
}

@test "a kernel that hangs before any init boots again, and that is told" {
	lame_qemu 1 -S
	run "$vm" -t 60 echo hello
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(boots)" -eq 2 ]
	[[ $output == "# The kernel died before"*"boots again"*hello ]]
}

@test "a kernel that dies before any init twice has panicked" {
	lame_qemu 2
	run "$vm" echo hello
	[ "$status" -eq 4 ]
	[ "$(boots)" -eq 2 ]
	[[ $output == *"# vm: the kernel panicked:"*"Unable to mount root fs"* ]]
	[[ $output != *hello* ]]
}

@test "a kernel that dies later does not boot again" {
	lame_qemu 0
	run "$vm" sh -c 'echo c > /proc/sysrq-trigger'
	[ "$status" -eq 4 ]
	[ "$(boots)" -eq 1 ]
}

@test "a machine that hangs: exit status 5 after the time given" {
	run "$vm" -t 60 sh -c 'echo before; sleep 10000'
	[ "$status" -eq 5 ]
	[[ $output == *"before"* ]]
	[[ $output == *"# vm: no result within 60 s"* ]]
	[[ $output == *"# vm: what it was at:"*"task:sleep"* ]]
}

@test "a machine in which events are traced on and off goes on" {
	# shellcheck disable=SC2016 # for the shell in the machine
	run "$vm" -t 600 sh -c 'while :; do echo | cat > /dev/null; done & n=0
		while [ $n -lt 200 ]; do
			for on in 1 0; do echo $on > /sys/kernel/tracing/events/module/enable; done
			n=$((n + 1))
		done; kill $!; echo $n times'
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$output" = "200 times" ]
}

@test "a module that will not unload: exit status 6, and its name" {
	run "$vm" sh -c 'insmod /lib/kmodkit/kmk_fault.ko fault=pin'
	[ "$status" -eq 6 ]
	[[ $output == *"# vm: would not unload: kmk_fault"* ]]
}

@test "a test program that runs no test fails" {
	cat > "$BATS_TEST_TMPDIR/empty.c" <<-END
	#include "kmktest.h"
	int main(void) { return run_suite(suite_create("empty")); }
	END
	cc -I"$BATS_TEST_DIRNAME" -static -o "$BATS_TEST_TMPDIR/empty" "$BATS_TEST_TMPDIR/empty.c" \
		"$BATS_TEST_DIRNAME/kmktest.c" -lcheck -lsubunit -lm -lrt -pthread
	run "$vm" "$BATS_TEST_TMPDIR/empty"
	[ "$status" -eq 1 ]
}

@test "a program that runs no test, or fewer than it planned, is not hidden by another" {
	local dir=$BATS_TEST_TMPDIR

	printf '#!/bin/sh\necho "ok 1 - a"; echo 1..1\n' > "$dir/good"
	printf '#!/bin/sh\n' > "$dir/none"
	printf '#!/bin/sh\necho 1..2; echo "ok 1 - b"\n' > "$dir/fewer"
	chmod 755 "$dir"/{good,none,fewer}
	run "$vm" -f "$dir/good" -f "$dir/none" -f "$dir/fewer" \
		"$BATS_TEST_DIRNAME/../rig/vm/in-turn" good none fewer good
	[ "$status" -eq 1 ]
	[[ $output == *"# in turn: none ran 0 of 0 tests"*"# in turn: fewer ran 1 of 2 tests"*"1..4"* ]]

	# 1..0 would make a skipped test of a program that died
	run "$vm" -f "$dir/none" "$BATS_TEST_DIRNAME/../rig/vm/in-turn" none
	[ "$status" -eq 1 ]
	[[ $output == *"# in turn: none ran 0 of 0 tests"* && $output != *1..0* ]]
}

@test "no kernel given, no command given: exit status 2" {
	run env KMK_KERNEL=/nowhere "$vm" true
	[ "$status" -eq 2 ]
	[[ $output == *"no kernel in '/nowhere'"* ]]
	run "$vm"
	[ "$status" -eq 2 ]
}

# The kernel rig-added, which is 6.1 under another name, builds a module and runs it.
is_as_good() {
	local kernel ko said

	ko=$("$kernels/build" rig-added minimal)
	kernel=$("$kernels/fetch" rig-added 2>&3)
	said=$("$vm" -k "$kernel" -m "$ko" sh -c 'uname -r; insmod /lib/kmodkit/kmk_minimal.ko && lsmod' || true)
	rm -rf "${kernel:?}" "${ko:?}"
	echo "$said"
	[ "$(head -n 1 <<< "$said")" = "$1" ]
	[[ $said == *kmk_minimal* && $said != *'# vm:'* ]]
}

# Debian's 6.1 as a stranger's package; what the cache has of it is read by the modules' build.
@test "a kernel that comes as a package, or as a directory and an image, is as good as one of the list" {
	from=$("$kernels/fetch" 6.1 2>&3)
	release=$(cat "$from/release")
	root=$BATS_TEST_TMPDIR/root

	mkdir -p "$root"/{DEBIAN,boot,lib/modules}
	cp -a "$from/usr" "$root/"
	cp -a "$from/image/lib/modules/$release" "$root/lib/modules/"
	cp "$from/vmlinuz" "$root/boot/vmlinuz-$release"
	printf '%s\n' 'Package: rig-added' 'Version: 1' 'Architecture: amd64' 'Maintainer: nobody' \
		'Description: a kernel' > "$root/DEBIAN/control"
	dpkg-deb -Znone -b "$root" "$BATS_TEST_TMPDIR/kernel.deb" > /dev/null

	run "$kernels/add" rig-added --deb "$BATS_TEST_TMPDIR/kernel.deb"
	[ "$status" -eq 0 ]
	[ "$(cat "$(dirname "$from")/rig-added/release")" = "$release" ]
	cp -a "$from/usr" "$BATS_TEST_TMPDIR/"	# no toolchain's root directory sees it there
	run "$kernels/add" rig-added --headers "$BATS_TEST_TMPDIR/usr/src/linux-headers-$release" \
		--image "$from/vmlinuz" --modules "$from/modules"
	[ "$status" -eq 0 ]
	is_as_good "$release"

	run "$kernels/add" rig-added --source /tmp
	[ "$status" -eq 2 ]
	run "$kernels/add" rig-added --headers "$from/build" --image "$from/vmlinuz" --modules /nowhere
	[ "$status" -ne 0 ]
	[[ $output == *"/nowhere"* ]]
	run "$kernels/add" 6.1 --source "$from/build"
	[ "$status" -eq 2 ]
}

@test "a name of a kernel is a name and no pattern" {
	from=$("$kernels/fetch" 6.1 2>&3)
	cache=$(dirname "$from")
	add() { "$kernels/add" "$1" --headers "$from/build" --image "$from/vmlinuz"; }

	add rig-added.foobar
	add rig-added
	[ "$("$kernels/fetch" rig-added.foobar)" = "$cache/rig-added.foobar" ]
	add rig-added+1
	[ "$("$kernels/fetch" rig-added+1)" = "$cache/rig-added+1" ]
	rm -rf "${cache:?}"/rig-added{,.foobar,+1}
}

@test "a host whose apt knows Debian as stable has a mirror" {
	# shellcheck source=/dev/null
	. "$kernels/common"
	apt-get() { printf "'https://mirror.example/debian/dists/%s/InRelease' list 0\n" stable stable-security; }
	[[ $(source_line trixie) == *" https://mirror.example/debian trixie main" ]]
	[[ $(source_line trixie -security) == *" https://mirror.example/debian trixie-security main" ]]
}

# The same as Fedora and its kin pack it: the image among the modules, the headers in one directory.
@test "a kernel that comes as RPMs is as good as one of the list" {
	from=$("$kernels/fetch" 6.1 2>&3)
	release=$(cat "$from/release")
	core=$BATS_TEST_TMPDIR/core/lib/modules/$release
	devel=$BATS_TEST_TMPDIR/devel/usr/src/kernels/$release

	mkdir -p "$core" "$devel"
	cp -a "$from/vmlinuz" "$from/modules"/modules.{order,builtin,builtin.modinfo} "$core"
	(cd "$from/modules" && cp -a --parents -t "$core" kernel/{lib,drivers/{block,char,virtio}})
	ln -s "/usr/src/kernels/$release" "$core/build"
	cp -a "$from"/usr/src/linux-headers-*-common/. "$devel"
	rm "$devel"/{scripts,tools}
	cp -aL "$from/build"/{.config,Module.symvers,arch,include,scripts,tools} "$devel"
	cat > "$BATS_TEST_TMPDIR/kernel.spec" <<-'END'
		Name: kernel-%{part}
		Version: 1
		Release: 1
		Summary: A kernel
		License: GPL-2.0
		AutoReqProv: no
		%define __os_install_post %{nil}
		%define debug_package %{nil}
		%define _binary_payload w.ufdio
		%description
		A kernel.
		%install
		cp -a %{from}/. %{buildroot}
		%files
		/*
	END
	for part in core devel; do
		rpmbuild -bb --quiet --define "part $part" --define "from $BATS_TEST_TMPDIR/$part" \
			--define "_topdir $BATS_TEST_TMPDIR/rpm" "$BATS_TEST_TMPDIR/kernel.spec"
	done

	run "$kernels/add" rig-added --rpm "$BATS_TEST_TMPDIR"/rpm/RPMS/*/*.rpm
	echo "$output"
	[ "$status" -eq 0 ]
	is_as_good "$release"
}

@test "it needs no privilege" {
	local options=(--no-new-privs --inh-caps=-all)

	[ "$(id -u)" -ne 0 ] || options+=(--bounding-set=-all)	# that of nobody else can be made smaller
	run setpriv "${options[@]}" "$vm" echo unprivileged
	[ "$status" -eq 0 ]
	[ "$output" = unprivileged ]
}

# The turns of CI in a year of days; make takes no time.
# shellcheck disable=SC2317 # the script calls them
ci_of_a_year() {
	make() { echo "$@"; }
	date() { echo $((day * 86400)); }
	export -f make date
	for day in {1..365}; do
		day=$day "$BATS_TEST_DIRNAME/../.ci/run"
	done
}

@test "CI comes to every kernel of the list, to each with checkers, to each exercise and to each host" {
	ci_of_a_year > "$BATS_TEST_TMPDIR/year"
	kernels() { sed -n "s/^$1 KERNELS=//p" "$BATS_TEST_TMPDIR/year" | xargs -n 1 | sort -u; }
	[ "$(kernels check-kernels)" = "$(awk '
		/^[^#]/ && $1 != "new" && $1 != "6.1" && $5 == "amd64" { print $1 }' \
		"$BATS_TEST_DIRNAME/../rig/kernels/list" | sort)" ]
	[ "$(kernels check-debug)" = "$(awk '
		/^[^#]/ && $1 ~ /-k[ac]san$/ { print $1 }' "$BATS_TEST_DIRNAME/../rig/kernels/instrumented" | sort)" ]
	[ "$(sed -n 's/^check-guide EXERCISES=//p' "$BATS_TEST_TMPDIR/year" | xargs -n 1 | sort -u)" = "$(
		ls "$BATS_TEST_DIRNAME/../docs/guide/exercises")" ]
	[ "$(sed -n 's/^check-rig FAULTS=//p' "$BATS_TEST_TMPDIR/year" | xargs -n 1 | sort -u)" = "$(
		"$BATS_TEST_DIRNAME/../rig/tests/faults/run" -l | sort)" ]
	[ "$(grep '^check-hosts' "$BATS_TEST_TMPDIR/year" | sort -u)" = "$(
		sed -n 's/^HOSTS := //p' "$BATS_TEST_DIRNAME/../Makefile" | xargs -n 1 |
			sed 's/.*/check-hosts HOSTS=& AS=root\ncheck-hosts HOSTS=& AS=user/' | sort)" ]
	[ "$(grep -c '^lint$' "$BATS_TEST_TMPDIR/year")" -eq 365 ]
	[ "$(grep -c '^check$' "$BATS_TEST_TMPDIR/year")" -eq 365 ]
}
