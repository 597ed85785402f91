#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The rig, with trees that are made here. What needs a machine is in machine.bats and faults.bats.

# shellcheck disable=SC2154 # common.bash sets rig, tree and work
bats_require_minimum_version 1.5.0

# shellcheck source=rig/tests/common.bash
load common

setup() {
	common_setup
}

# A module that does nothing.
empty_module() {
	printf '#include <linux/module.h>\nMODULE_LICENSE("GPL");\n%s\n' "${2:-}" > "$tree/$1.c"
}

dkms_conf() {
	cat > "$tree/dkms.conf" <<-END
	PACKAGE_NAME=thing
	PACKAGE_VERSION=1.0
	BUILT_MODULE_NAME[0]=thing
	DEST_MODULE_LOCATION[0]=/updates
	MAKE[0]="make -C \${kernel_source_dir} M=\${dkms_tree}/thing/1.0/build modules"
	$1
	END
	echo 'obj-m := thing.o' > "$tree/Makefile"
	empty_module thing "${2:-}"
}

@test "usage errors: exit status 2, and what was wrong" {
	for arguments in '' foo '-k' 'kernels foo' 'kernels fetch' 'shell --foo' 'check --foo' 'check /no/such/tree' \
			 'check . -k 0.1' 'check . -k 6.12-arm64' 'check . -k 6.1-uml' 'check . -k 6.1-clang' 'check . --shard 3/2' 'check . --shard x' \
			 'fuzz --foo' 'fuzz /no/such/tree' 'fuzz . -k 0.1' 'fuzz . -k 6.1-uml' 'fuzz . --seed x' 'report' 'report /no/such/file'; do
		# shellcheck disable=SC2086 # words are wanted
		run -2 "$rig/kmodkit" $arguments
		[ -n "$output" ]
	done
}

@test "what the rig itself cannot do is no failure of the modules: exit status 3" {
	echo '{"results": [{"tree": "t", "kernel": "6.1", "stages": {"build": "PASS"}}]}' > "$tree/json"
	run -2 "$rig/kmodkit" report "$tree/json"	# no findings
	echo '{"results": [{"tree": "t\u00e9\ufffd", "kernel": "6.1", "findings": [], "stages": {"build": "PASS"}}]}' > "$tree/json"
	run -3 "$rig/kmodkit" report --junit /no/such/dir/file "$tree/json"
	run -2 "$rig/kmodkit" report /bin/true
	# shellcheck disable=SC2016 # for the inner shell
	run -3 bash -c '"$1" report "$2" > /dev/full' bash "$rig/kmodkit" "$tree/json"
	for locale in C en_US.ISO-8859-1; do
		run -0 env LC_ALL=$locale PYTHONCOERCECLOCALE=0 PYTHONUTF8=0 PYTHONIOENCODING=ascii "$rig/kmodkit" report "$tree/json"
	done
}

@test "help promises what is there: exit status 0" {
	for arguments in help --help 'check --help' 'fuzz --help' 'report --help' 'kernels --help' 'shell --help'; do
		# shellcheck disable=SC2086 # words are wanted
		run -0 "$rig/kmodkit" $arguments
		[[ $output == *[Uu]sage:* ]]
	done
	run -0 "$rig/kmodkit" kernels
	[[ $output == *6.1* ]]
}

@test "a directory without anything to build is named, with what was looked for" {
	run -2 "$rig/kmodkit" check "$tree"
	[[ $output == *"no dkms.conf, and no Kbuild or Makefile with obj-m"* ]]
}

@test "what judges and reports, without a machine" {
	/usr/bin/python3 "$BATS_TEST_DIRNAME/unit.py"
}

@test "a number that the exerciser hands to a call is not taken for an address that the kernel gave away" {
	cd "$BATS_TEST_TMPDIR"
	make -s -C "$rig/exercise" OUT="$PWD"
	mkfifo file	# where no disk can be filled
	printf '#0x541b\n%.0s' {1..500} > hints	# FIONREAD
	for seed in 1 2 3; do
		run -0 ./exercise -s "$seed" -t 3 -i hints file file
		[[ $output == *@did* ]]
		[[ $output != *@found* ]]
	done
}

@test "what the exerciser itself wrote is not taken for an address, where a file keeps it" {
	local options=(--mount)

	[ "$(id -u)" -eq 0 ] || options+=(--map-root-user)
	cd "$BATS_TEST_TMPDIR"
	make -s -C "$rig/exercise" OUT="$PWD"
	mkdir disk
	for seed in {1..4}; do
		# On a disk of its own: it reserves all that there is.
		run -0 unshare "${options[@]}" sh -c "trap '' XFSZ; mount -t tmpfs -o size=64k disk disk && touch disk/file &&
			ulimit -f 32 && ./exercise -s $seed -t 2 file $PWD/disk/file"
		[[ $output == *@did* ]]
		[[ $output != *@found* ]]
	done
}

@test "random numbers are not taken for addresses or poison" {
	cd "$BATS_TEST_TMPDIR"
	make -s -C "$rig/exercise" OUT="$PWD"
	: > hints
	for seed in 1 2 3; do
		run -0 ./exercise -s "$seed" -t 3 -u "$([ "$(id -u)" -ne 0 ] && echo 0 || echo 65534)" -i hints file /dev/urandom
		[[ $output == *@did* ]]
		[[ $output != *@found* ]]
	done
}

@test "foreign code is an ordinary user without a capability" {
	run -0 caged sh -c 'id -u; grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status'
	[[ ${lines[0]} != 0 || $(id -u) -ne 0 ]]
	[[ $output == *CapEff:*0000000000000000* ]]
	[[ $output == *NoNewPrivs:*1* ]]
}

@test "foreign code has no network, no file of the host's, and no process of the host's" {
	run -0 caged sh -c 'tail -n +3 /proc/net/dev; ls -A /root /home 2>/dev/null; ls -d /proc/[0-9]* | wc -l'
	[[ $output != *eth* && $output != *ens* ]]
	[ "${lines[-1]}" -lt 10 ]
	run ! caged ls "$BATS_TEST_DIRNAME/../../../../etc/shadow"
	run ! caged cat /etc/shadow
}

@test "foreign code can write to its own directory only" {
	# shellcheck disable=SC2016 # for the inner shell
	run -0 caged sh -c 'for dir in / /usr /usr/bin /etc /lib/modules /dev "$1"; do
		! touch "$dir/x" 2>/dev/null || echo "wrote to $dir"
	done; touch /kmodkit/x' sh "$rig"
	[ -z "$output" ]
	[ -e "$work/x" ]
	[ ! -e "$rig/x" ]
}

@test "foreign code ends with the sandbox, also when that is killed" {
	caged sleep 4711.25 &
	pid=$!
	for ((i = 0; i < 100; i++)); do
		! pgrep -f '^sleep 4711.25' || break
		sleep 0.1
	done
	kill -9 $(pgrep -f '^unshare .*sleep 4711.25')
	wait $pid || true
	for ((i = 0; i < 50; i++)); do
		pgrep -f '^sleep 4711.25' || return 0
		sleep 0.1
	done
	false
}

@test "a directory below /usr is shown, as an installed rig lies there" {
	run -0 "$rig/sandbox" -r "$("$rig/kernels/toolchain" trixie dkms)" -w "$work" -o /usr/share/zoneinfo ls /usr/share/zoneinfo
	[[ $output == *UTC* ]]
}

@test "a tree with a Makefile is built, in a copy" {
	empty_module thing
	echo 'obj-m := thing.o' > "$tree/Makefile"
	run -0 build
	[ "$output" = ok ]
	[ -s "$work/out/ko/thing.ko" ]
	[ ! -e "$tree/thing.ko" ]
}

@test "all modules are built of a tree that has them in several directories" {
	for name in one two; do
		mkdir "$tree/$name"
		empty_module "$name/$name"
		echo "obj-m := $name.o" > "$tree/$name/Makefile"
	done
	run -0 build
	[ "$output" = ok ]
	[ -s "$work/out/ko/one.ko" ]
	[ -s "$work/out/ko/two.ko" ]
}

@test "a build error is told by its first line" {
	empty_module thing 'int f(void) { return no_such_name; }'
	echo 'obj-m := thing.o' > "$tree/Makefile"
	run -0 build
	[[ $output == fail*thing.c:3*no_such_name* ]]
}

@test "dkms.conf: PRE_BUILD, PATCH and BUILT_MODULE_LOCATION are honoured" {
	dkms_conf $'PRE_BUILD="prepare"\nPATCH[0]=fix.diff\nBUILT_MODULE_LOCATION[0]=src' 'BROKEN'
	printf '#!/bin/sh\nmkdir -p src && mv thing.c Makefile src/\n' > "$tree/prepare"
	chmod 755 "$tree/prepare"
	sed -i 's,M=\(.*\)/build modules,M=\1/build/src modules,' "$tree/dkms.conf"
	mkdir "$tree/patches"
	printf -- '--- a/thing.c\n+++ b/thing.c\n@@ -1,3 +1,2 @@\n #include <linux/module.h>\n MODULE_LICENSE("GPL");\n-BROKEN\n' \
		> "$tree/patches/fix.diff"
	run -0 build
	[ "$output" = ok ]
	[ "$(cat "$work/out/kind" "$work/out/name" | xargs)" = 'dkms thing/1.0' ]
}

@test "dkms.conf: a kernel that BUILD_EXCLUSIVE leaves out is skipped" {
	dkms_conf 'BUILD_EXCLUSIVE_KERNEL="^4\."'
	run -0 build
	[[ $output == 'skip BUILD_EXCLUSIVE'* ]]
}

@test "dkms.conf: what is a template only says so" {
	dkms_conf 'PACKAGE_VERSION=@VERSION@'
	run -0 build
	[[ $output == 'fail dkms.conf is a template'* ]]
}

@test "a .deb is unpacked in the sandbox, and its tree in /usr/src found" {
	dkms_conf ''
	mkdir -p "$BATS_TEST_TMPDIR"/deb/{DEBIAN,usr/src}
	cp -r "$tree" "$BATS_TEST_TMPDIR/deb/usr/src/thing-1.0"
	printf 'Package: thing-dkms\nVersion: 1.0\nArchitecture: all\nMaintainer: n\nDescription: d\n' \
		> "$BATS_TEST_TMPDIR/deb/DEBIAN/control"
	dpkg-deb -b "$BATS_TEST_TMPDIR/deb" "$BATS_TEST_TMPDIR/thing-dkms.deb"
	run -0 env PYTHONPATH="$rig" /usr/bin/python3 -c 'import sys; from checker.tree import Tree
print(sorted(path.name for path in Tree(sys.argv[1]).source.iterdir()))' "$BATS_TEST_TMPDIR/thing-dkms.deb"
	[ "$output" = "['Makefile', 'dkms.conf', 'thing.c']" ]
}

@test "no link that foreign code left is followed" {
	echo secret > "$BATS_TEST_TMPDIR/secret"
	ln -s "$BATS_TEST_TMPDIR/secret" "$BATS_TEST_TMPDIR/link"
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	run -0 env PYTHONPATH="$rig" /usr/bin/python3 -c 'import sys; from checker.tree import read_result
print([read_result(path) for path in sys.argv[1:]])' "$BATS_TEST_TMPDIR"/{link,fifo,secret}
	[ "$output" = "['', '', 'secret\\n']" ]
}

tree_with_table() {
	empty_module mine
	use_table
}

@test "fuzz: a tree without a table is told what is missing, and where that is described" {
	empty_module mine
	echo 'obj-m := mine.o' > "$tree/Makefile"
	run -2 "$rig/kmodkit" fuzz "$tree"
	[[ $output == *"no line \`fuzz DIR\`"*docs/rig.md*"kmodkit check"* ]]
	for line in 'fuzz nowhere' 'fuzz ..' "fuzz $BATS_TEST_TMPDIR"; do
		touch "$BATS_TEST_TMPDIR/calls.h"
		echo "$line" > "$tree/kmodkit.conf"
		run -2 "$rig/kmodkit" fuzz "$tree"
		[[ $output == *"no file calls.h in ${line#* }"* ]]
	done
}

@test "fuzz: programs are kept in the tree alone" {
	tree_with_table
	ln -s "$BATS_TEST_TMPDIR" "$tree/table/corpus"
	run -2 "$rig/kmodkit" fuzz "$tree" -k 6.1 --keep
	[[ $output == *"is a link"* ]]
}

@test "fuzz: a group that is not in the table" {
	tree_with_table
	run -2 "$rig/kmodkit" fuzz "$tree" -k 6.1 --group nobody
	[[ $output == *"no group 'nobody' in table/calls.h; there are: mine"* ]]
}

@test "fuzz: a table that does not compile, and a program that is not of its calls, fail as the modules do" {
	tree_with_table
	mkdir "$tree/table/corpus"
	echo 'no_such_call 0' > "$tree/table/corpus/mine.txt"
	run -1 "$rig/kmodkit" fuzz "$tree" -k 6.1
	[[ $output == *'does not build: fuzz: no call of calls.h'*no_such_call* ]]
	echo '#include <no_such_header.h>' >> "$tree/table/calls.h"
	run -1 "$rig/kmodkit" fuzz "$tree" -k 6.1
	[[ $output == *'does not build: '*calls.h:*no_such_header.h* ]]
}

@test "planted faults have other names each time, and differ from their twins" {
	"$BATS_TEST_DIRNAME/faults/plant" -s 1 "$tree/1" fault leak_open > "$BATS_TEST_TMPDIR/1"
	"$BATS_TEST_DIRNAME/faults/plant" -s 2 "$tree/2" fault leak_open > "$BATS_TEST_TMPDIR/2"
	run ! cmp "$BATS_TEST_TMPDIR/1" "$BATS_TEST_TMPDIR/2"
	run ! grep -riE 'planted|leak' "$tree/1" "$tree/2"
	for file in "$BATS_TEST_DIRNAME"/faults/*.c; do
		grep -q FAULT "$file"
		"$BATS_TEST_DIRNAME/faults/run" -l | grep -qx "$(basename "$file" .c)"
	done
}
