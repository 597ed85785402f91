#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# kmodkit new: the projects that it makes. In a machine they are checked by made.bats.

# shellcheck disable=SC2154 # common.bash sets rig, tree and work
bats_require_minimum_version 1.5.0
# shellcheck source=rig/tests/common.bash
load common

setup() {
	common_setup
	rmdir "$tree"
	mapfile -t templates < <(find "$rig/templates" -name about -printf '%h\n' | sed 's,.*/,,' | sort)
	[ ${#templates[@]} -gt 0 ]
	mapfile -t kernels < <(awk '/^[^#]/ && $1 != "new" && $5 == "amd64" { print $1 }' "$rig/kernels/list")
}

new() {
	rm -rf "$tree"
	"$rig/kmodkit" new "$@" --dir "$tree" --author 'Ada Example' --email ada@example.org > /dev/null
}

@test "a name that no module can have: exit status 2, and nothing is written" {
	for name in '' x Upper 1st with-dash 'a b' ../up int while a_name_that_is_much_too_long_for_it; do
		run -2 "$rig/kmodkit" new "$name" --dir "$tree"
		[ ! -e "$tree" ]
	done
	"$rig/kernels/fetch" 6.1
	run -2 "$rig/kmodkit" new virtio_blk --dir "$tree"
	[[ $output == *"Linux has a module virtio_blk already"* ]]
	run -2 "$rig/kmodkit" new thing --template none --dir "$tree"
}

@test "a directory that is not empty stays as it is" {
	mkdir "$tree"
	echo mine > "$tree/Kbuild"
	run -2 "$rig/kmodkit" new thing --dir "$tree"
	[[ $output == *"not empty"* ]]
	[ "$(ls -A "$tree")" = Kbuild ]
	[ "$(cat "$tree/Kbuild")" = mine ]
}

@test "author and mail come from git" {
	cd "$BATS_TEST_TMPDIR"
	printf '[user]\n\tname = Grace Example\n\temail = grace@example.org\n' > gitconfig
	GIT_CONFIG_GLOBAL=$PWD/gitconfig "$rig/kmodkit" new thing
	grep 'MODULE_AUTHOR("Grace Example <grace@example.org>")' thing/thing.c
}

@test "it tells the next three commands, and where kmodkit is if the shell would not find it" {
	cd "$BATS_TEST_TMPDIR"
	mkdir bin
	PATH=/usr/bin:/bin run -0 "$rig/kmodkit" new thing
	[ "$(printed "$output" | sed -n 2p)" = "make check KMODKIT=$(realpath "$rig")/kmodkit" ]
	ln -s "$rig/kmodkit" bin
	PATH=$PWD/bin:/usr/bin:/bin run -0 "$rig/kmodkit" new thing --dir a\ thing
	[ "$(printed "$output" | wc -l)" -eq 3 ]
	[ "$(printed "$output" | sed -n 2p)" = 'make check' ]
	printf '#!/bin/sh\npwd; echo "$@"\n' > bin/editor
	chmod +x bin/editor
	run -0 env EDITOR="$PWD/bin/editor" sh -ec "$(printed "$output" | head -n 1)"
	[ "$output" = "$PWD/a thing
thing.c" ]
}

@test "each template: at most 200 lines of C, and no other name than the new one" {
	for template in "${templates[@]}"; do
		new other_thing --template "$template"
		[ "$(wc -l < "$tree/other_thing.c")" -le 200 ]
		grep TODO "$tree/other_thing.c"
		run ! grep -riE 'skeleton|kmk|\{\{[a-z]+\}\}' "$tree"
		[ -z "$(find "$tree" -iname '*skeleton*' -o -name '*SECTION*' -o -name '*PACKAGE*')" ]
		[ -e "$tree/.github/workflows/kmodkit.yml" ]
		grep 'GNU GENERAL PUBLIC LICENSE' "$tree/COPYING"
		mandoc -T lint -W warning "$tree"/man/other_thing.?
		bash -n "$tree/PKGBUILD"
	done
}

@test "each template builds without a warning, W=1, for the oldest kernel, 6.1 and the newest" {
	for template in "${templates[@]}"; do
		new other_thing --template "$template"
		for kernel in "${kernels[0]}" 6.1 "${kernels[-1]}"; do
			echo "$template on $kernel"
			run build "$kernel"
			echo "$output"
			[ "${lines[-1]}" = ok ]
			run ! grep 'warning:' "$work/out/log"
			[ -e "$work/out/tests/works" ]
		done
	done
}

@test "--from: a whole module under the new name, with what it includes, builds as a template does" {
	mapfile -t directories < <(sed -n 's,^obj-m += \(.*\)/$,\1,p' "$rig/../Kbuild")
	[ ${#directories[@]} -gt 0 ]
	for directory in "${directories[@]}"; do
		new other_thing --from "$directory"
		find "$tree" -name '*.[ch]' -exec cat {} + > "$BATS_TEST_TMPDIR/sources"
		[ "$(wc -l < "$BATS_TEST_TMPDIR/sources")" -ge "$(cat "$rig/../$directory"/*.[ch] | wc -l)" ]
		grep 'MODULE_AUTHOR("Ada Example <ada@example.org>")' "$BATS_TEST_TMPDIR/sources"
		called=$(sed -n "s/^called $directory //p" "$rig/../kmodkit.conf")
		run ! grep -riE 'skeleton|kmk|kmodkit/|kmodkit_|\{\{[a-z]+\}\}' "$tree"
		run ! grep -rE "(/dev/|/proc/|type )${called:-kmk}\b" "$tree"
		run ! grep -i kmodkit "$BATS_TEST_TMPDIR/sources"
		grep 'The kmodkit developers' "$tree/debian/copyright"
		mandoc -T lint -W warning "$tree"/man/other_thing.?
		for kernel in "${kernels[0]}" "${kernels[-1]}"; do
			echo "$directory on $kernel"
			run build "$kernel"
			echo "$output"
			[ "${lines[-1]}" = ok ]
			run ! grep 'warning:' "$work/out/log"
		done
	done
	(cd "$tree" && umask 077 && make deb)
	dpkg-deb -c "$BATS_TEST_TMPDIR"/other-thing-dkms_0.1.0_all.deb |
		grep -- '^-rw-r--r--.*usr/src/other_thing-0.1.0/include/support/probe'
}

@test "--from: what is no module's directory, or has a part of the new name, is refused" {
	mkdir "$BATS_TEST_TMPDIR/ramfs" "$BATS_TEST_TMPDIR/a(b"
	cd "$BATS_TEST_TMPDIR"
	for directory in tests '' /no/such/one 'a(b'; do
		run -2 "$rig/kmodkit" new thing --from "$directory" --dir "$tree"
		[[ $output == *"is a module's directory"* ]]
	done
	for name in trace super; do
		run -2 "$rig/kmodkit" new $name --from ramfs --dir "$tree"
		[[ $output == *"has the name $name"* ]]
	done
	[ ! -e "$tree" ]
}

@test "packages: Debian's, of which lintian has nothing to say, an RPM, and what makepkg would pack" {
	for template in "${templates[@]}"; do
		new other_thing --template "$template"
		(cd "$tree" && make deb)
		lintian --allow-root --fail-on error,warning --suppress-tags out-of-date-standards-version \
			"$BATS_TEST_TMPDIR"/*.changes
		dpkg-deb -c "$BATS_TEST_TMPDIR"/other-thing-dkms_0.1.0_all.deb | grep usr/src/other_thing-0.1.0/other_thing.c
		rm "$BATS_TEST_TMPDIR"/other-thing*
		mkdir -p "$BATS_TEST_TMPDIR/rpm/SOURCES"
		tar -C "$BATS_TEST_TMPDIR" --transform 's,^tree,other_thing-0.1.0,' \
			-czf "$BATS_TEST_TMPDIR/rpm/SOURCES/other_thing-0.1.0.tar.gz" tree
		rpmbuild -bb --quiet --nodeps --define "_topdir $BATS_TEST_TMPDIR/rpm" "$tree/rpm/other_thing.spec"
		rpm -qpl "$BATS_TEST_TMPDIR"/rpm/RPMS/noarch/*.rpm | grep -x /usr/src/other_thing-0.1.0/dkms.conf
		# shellcheck disable=SC2016 # for the inner shell
		(cd "$BATS_TEST_TMPDIR" && ln -sfn tree other_thing-0.1.0 &&
			bash -euc '. tree/PKGBUILD; pkgdir=$PWD/arch; package; [ -e arch/usr/src/other_thing-0.1.0/Kbuild ]')
	done
}
