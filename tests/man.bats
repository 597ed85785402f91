#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The manual pages: well-formed, complete, and true as far as the sources can tell.

cd "$BATS_TEST_DIRNAME/.." || exit

# Which test programs assert what which pages document.
tested() {
	cat <<-END
	echo,echo_fifo man/echo.4 man/echo_fifo.4
	irq man/irq_events.4
	mempool man/mempool.4
	proc man/rust_proc.5
	ramfs,ramfs_data,ramfs_labels,ramfs_names,ramfs_overlay,ramfs_pages,ramfs_race,ramfs_random,ramfs_xattr man/cramfs.5
	syscall man/syscall_ext.4
	END
}

# Test programs of what has no page with errnos.
pageless='failures kmk kunit lifetime minimal modules old_programs security suspend'

# Errors of loading and unloading, which are alike for all modules.
common=man/kmodkit.7

# The errnos in text: EWOULDBLOCK is another name of EAGAIN.
errnos() {
	grep -oE '\bE[A-Z0-9]+\b' | sed 's/EWOULDBLOCK/EAGAIN/' | sort -u | grep -xFf <(
		sed -n 's/^#define[[:space:]]*\(E[A-Z0-9]*\)[[:space:]].*/\1/p' \
			/usr/include/asm-generic/errno-base.h /usr/include/asm-generic/errno.h)
}

documented() {
	sed -n 's/^\.It Bq Er //p' "$@" | errnos
}

# Lines of a test about loading and unloading: a call, its message, a table's parameter.
loading='module_(un)?load\(|"unload: |\{ "[a-z_]+='

# The errnos that a test program names, but in comments, on the lines that grep picks.
asserted() {
	local name

	for name in ${1//,/ }; do
		gcc -fpreprocessed -dD -E -P "tests/test_$name.c"
	done | grep -E "${@:2}" | errnos | grep -vx ENOSYS	# a kernel built without a call says that
}

# Tell each line of the first list that is not in the second; 0 if there is one.
lacks() {
	comm -23 <(sort -u <<< "$1") <(sort -u <<< "$2") | sed "/^$/d; s|.*|# &: $3|" | grep .
}

@test "mandoc has nothing to say" {
	# It knows other pages only on a machine with a fresh index of them.
	run bash -c "mandoc -T lint -W all man/* 2>/dev/null | grep -v 'referenced manual not found'"
	[ -z "$output" ]
}

@test "each page of ours that another refers to is there" {
	references=$(sed -nE 's/^\.Xr ([a-z_]+) ([457]) ?.*/\1.\2/p' man/*)
	others='exports.5 proc.5 tmpfs.5 cgroups.7 epoll.7 fanotify.7 fifo.7 io_uring.7 user_namespaces.7 xattr.7'
	if lacks "$references" "$(ls man; tr ' ' '\n' <<< "$others")" 'no such page'; then
		false
	fi
}

@test "each page of a device or file is compared with a test program, and each of these" {
	failed=0
	lacks "$(printf '%s\n' man/*.[45])" "$(tested | tr ' ' '\n')" 'not compared' && failed=1
	lacks "$(for file in tests/test_*.c; do basename "${file#tests/test_}" .c; done)" \
		"$(tested | tr ', ' '\n'; tr ' ' '\n' <<< "$pageless")" \
		'no page is compared with this test program' && failed=1
	[ $failed -eq 0 ]
}

@test "each errno of a page is asserted by a test" {
	failed=0
	while read -r name pages; do
		for page in $pages; do
			lacks "$(documented "$page")" "$(asserted "$name" .)" \
				"in $page, but no test of $name" && failed=1
		done
	done < <(tested)
	[ $failed -eq 0 ]
}

@test "each errno that a test asserts is in the page" {
	failed=0
	while read -r name pages; do
		# shellcheck disable=SC2086 # words are wanted
		lacks "$(asserted "$name" -v "$loading")" "$(documented $pages)" \
			"in a test of $name, but not in $pages" && failed=1
		# shellcheck disable=SC2086 # words are wanted
		lacks "$(asserted "$name" "$loading")" "$(documented $pages $common)" \
			"of loading in a test of $name, but not in $pages or $common" && failed=1
	done < <(tested)
	[ $failed -eq 0 ]
}

# The literal blocks of a page that hold C, as compilers read them.
code() {
	awk '/^\.Bd -literal/ { block = "" } !/^\./ { block = block $0 "\n" }
	     /^\.Ed/ { if (block ~ /;\n/) print block }' "$1" | sed 's/\\e/\\/g'
}

# C without comments and with single spaces.
plain() {
	gcc -fpreprocessed -dD -E -P - | tr -s ' \t\n' ' '
}

@test "each structure in a page is that of the header" {
	headers=$(cat include/uapi/kmodkit/*.h | plain)
	seen=0
	for page in man/*.4; do
		while read -r structure; do
			[[ $headers == *"$structure"* ]] || { echo "# $page: $structure"; false; }
			seen=$((seen + 1))
		done < <(code "$page" | plain | grep -oE 'struct \w+ \{ [^}=]*;[^}=]*\};')
	done
	[ "$seen" -ge 8 ]
}

@test "each example in C compiles" {
	seen=0
	for page in man/*.4; do
		example=$(code "$page" | sed '/^struct [a-z_]* {$/,/^};$/d')
		grep -q '[^[:space:]]' <<< "$example" || continue
		{
			printf '#include <%s.h>\n' err fcntl stdio sys/ioctl unistd
			grep -h '^\.In kmodkit/' "$page" | sed 's/^\.In \(.*\)/#include <\1>/'
			printf 'void example(int fd) { (void)fd; { %s } }\n' "$example"
		} > "$BATS_TEST_TMPDIR/example.c"
		gcc -std=c99 -D_GNU_SOURCE -Wall -Wextra -Werror -Iinclude/uapi -fsyntax-only \
			"$BATS_TEST_TMPDIR/example.c"
		seen=$((seen + 1))
	done
	[ "$seen" -ge 3 ]
}

@test "kmodkit(7) lists each parameter of each module, and no other" {
	listed=$(sed -nE 's/^\.It (kmk_[a-z]+ )?Ta ([a-z_]+) Ta.*|^\.It (kmk_[a-z]+) Ta ([a-z_]+) Ta.*/\3\1 \2\4/p' \
		man/kmodkit.7 | awk 'NF == 2 { module = $1 } { print module, $NF }')
	defined=$(sed -n 's/^obj-m += //p' Kbuild | while read -r dir; do
		module=$(sed -n 's/^obj-m := \(.*\)\.o/\1/p' "$dir/Kbuild")
		find "$dir" -name '*.c' ! -name '*.mod.c' -exec \
			sed -nE "s/^module_param(_named)?\(([a-z_]+),.*/$module \2/p" {} +
	done)
	failed=0
	lacks "$listed" "$defined" 'in kmodkit(7), but no parameter' && failed=1
	lacks "$defined" "$listed" 'a parameter, but not in kmodkit(7)' && failed=1
	[ $failed -eq 0 ]
}

@test "kmk(1) tells of each command and option of kmk" {
	page=$(mandoc -T ascii -O width=200 man/kmk.1 | sed 's/.\x08//g')
	failed=0
	while read -r command; do
		grep -qF -- "$command" <<< "$page" || { echo "# not in kmk(1): $command"; failed=1; }
	done < <(build/tools/kmk help | sed -nE 's/^  kmk (([a-z]+ ?)+)( .*)?/\1/p')
	for option in json events blocks size data; do
		grep -qF -- "--$option" <<< "$page" || { echo "# not in kmk(1): --$option"; failed=1; }
	done
	[ $failed -eq 0 ]
}
