#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# `make install-tools` puts each file in its place; kmk itself is tested in the machine.

cd "$BATS_TEST_DIRNAME/.." || exit

install_tools() {
	make -s install-tools "DESTDIR=$BATS_TEST_TMPDIR" prefix=/usr
}

@test "kmk, every header and every page are installed, and nothing else" {
	install_tools
	wanted=$(
		echo bin/kmk
		(cd include/uapi && printf 'include/%s\n' kmodkit/*.h)
		for page in man/*; do
			echo "share/man/man${page##*.}/${page#man/}"
		done
	)
	[ "$(cd "$BATS_TEST_TMPDIR/usr" && find . -type f -printf '%P\n' | sort)" = \
		"$(sort <<< "$wanted")" ]
	[ -z "$(find "$BATS_TEST_TMPDIR/usr" -type f ! -path '*/bin/*' -perm /111)" ]
}

@test "the installed kmk runs here, and is of this version" {
	install_tools
	run "$BATS_TEST_TMPDIR/usr/bin/kmk" --version
	[ "$status" -eq 0 ]
	[ "$output" = "kmk (kmodkit) $(sed -n 's/.*KMK_VERSION "\(.*\)"/\1/p' include/kmk/version.h)" ]
}

@test "each installed header stands alone, in C99 and in C++" {
	install_tools
	for header in "$BATS_TEST_TMPDIR"/usr/include/kmodkit/*.h; do
		echo "#include <kmodkit/${header##*/}>" | gcc -std=c99 -Wall -Wextra -Werror -pedantic \
			-Wno-long-long -I "$BATS_TEST_TMPDIR/usr/include" -fsyntax-only -x c -
		! command -v g++ > /dev/null ||
			echo "#include <kmodkit/${header##*/}>" | g++ -Wall -Wextra -Werror \
				-I "$BATS_TEST_TMPDIR/usr/include" -fsyntax-only -x c++ -
	done
}

@test "man finds each installed page by its name" {
	command -v man > /dev/null || skip 'man is not installed'
	install_tools
	for page in man/*; do
		name=${page#man/}
		[ "$(MANPATH=$BATS_TEST_TMPDIR/usr/share/man man -w "${name##*.}" "${name%.*}")" = \
			"$BATS_TEST_TMPDIR/usr/share/man/man${page##*.}/$name" ]
	done
}
