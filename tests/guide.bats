#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The guide: it builds, what it quotes is in the sources, and its commands print what it says.

bats_require_minimum_version 1.5.0

setup() {
	top=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	guide=$top/docs/guide
	chapters=("$guide"/*.md)
	cd "$BATS_TEST_TMPDIR" || exit
}

# A copy of all that git has of the tree, to change it or to work there.
copy_tree() {
	mkdir tree
	git -C "$top" ls-files -z | (cd "$top" && xargs -0 cp --parents -P -t "$BATS_TEST_TMPDIR/tree")
	cd tree || exit
}

# The commands of that prompt, as a script.
commands() {
	"$guide/console.py" --prompt "$1" "${chapters[@]}" > commands
	chmod +x commands
}

# Whether they printed what the text says.
compare() {
	"$guide/console.py" --prompt "$1" --compare transcript "${@:2}"
}

@test "make docs builds each chapter, with its code and its drawing, without a warning" {
	run make -s -C "$top" docs
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output != *WARNING* ]]
	for chapter in "${chapters[@]}"; do
		[ -s "$top/build/docs/$(basename "$chapter" .md).html" ]
	done
	grep 'copy_from_iter' "$top/build/docs/device.html"
	compgen -G "$top/build/docs/_images/graphviz-*.svg"
}

@test "each manual page is in the guide, with links to the others" {
	pages=("$top"/{man,rig}/*.[1-9])
	diff <(printf '%s.md\n' "${pages[@]##*/}" | sort) <(ls "$guide/manual")
	for page in "${pages[@]##*/}"; do
		[ -s "$top/build/docs/manual/$page.html" ]
	done
	grep 'href="echo_fifo.4.html"' "$top/build/docs/manual/echo.4.html"
}

@test "each function of the API, and whatever has a kernel-doc comment in its headers, is in the guide" {
	headers=("$top"/include/{kmk/mempool,uapi/kmodkit/*}.h)
	mapfile -t names < <(sed -nE 's/^ \* ((struct|union|enum|typedef) )?(\w+)(\(\))? - .*/\3/p' "${headers[@]}"
		sed -nE 's/^EXPORT_SYMBOL_GPL\((\w+)\);/\1/p' "$top"/mempool/*.c)
	[ ${#names[@]} -gt 20 ]
	for name in "${names[@]}"; do
		echo "$name"
		grep -q "id=\"c.$name\"" "$top/build/docs/api.html"
	done
}

@test "each link in the guide, and in the other Markdown of the tree, has a target" {
	mapfile -t html < <(find "$top/build/docs" -name '*.html')
	mapfile -t markdown < <(git -C "$top" ls-files '*.md' ':!docs/guide')
	"$guide/links.py" "${html[@]}" "${markdown[@]/#/$top/}"
	# shellcheck disable=SC2016 # Markdown
	printf '%s\n' '# One two' '[a](#one-two)' '[b](#three)' '[c](p.html#x)' '[d](p.html#y)' '`[e](f)`' > page.md
	echo '<p id=x><img src=gone.svg><a href=page.md#one-two></a><a href=gone.html></a>' > p.html
	run -1 "$guide/links.py" page.md p.html
	echo "$output"
	diff <(printf '%s\n' "$PWD/page.md: #three" "$PWD/page.md: p.html#y" "$PWD/p.html: gone.svg" \
		"$PWD/p.html: gone.html") - <<< "$output"
}

@test "a function, a structure or a row of docs/safety.md that is gone fails the build, and what kernel-doc warns of" {
	copy_tree
	sed -i 's/echo_publish(/echo_show(/; s/^struct echo_text {/struct echo_bytes {/' chardev/kmk_echo.c
	sed -i 's/^| Cleanup on every path |/| Tidiness |/' docs/safety.md
	sed -i '/^ \* @bytes_read:/d' include/uapi/kmodkit/echo.h
	run ! sphinx-build -q -E -W --keep-going docs/guide out
	echo "$output"
	[[ $output == *'chardev/kmk_echo.c does not define echo_publish'* ]]
	[[ $output == *"docs/safety.md has no row 'Cleanup on every path'"* ]]
	[[ $output == *"'bytes_read' not described"* ]]
	[[ $output == *'kernel-doc complains of include/uapi/kmodkit/echo.h'* ]]
	sed -i 's/echo_show(/echo_publish(/' chardev/kmk_echo.c
	run ! sphinx-build -q -E -W --keep-going docs/guide out
	[[ $output == *'chardev/kmk_echo.c does not define echo_text'* ]]
}

@test "each function of ours that the text names is in the sources" {
	# shellcheck disable=SC2016 # the marks of code in Markdown
	mapfile -t names < <(grep -ohE '`(echo|minimal|mempool_dev|cramfs|bench|kmk_[a-z]+)_[a-z_]+\(\)`' "${chapters[@]}" | tr -d '`()' | sort -u)
	[ ${#names[@]} -gt 5 ]
	for name in "${names[@]}"; do
		echo "$name"
		grep -rqw "$name" "$top"/{include,minimal,chardev,procfs,irq,syscall_ext,mempool,ramfs,bench}
	done
}

@test "output that is not as in the text is shown, with its place" {
	# shellcheck disable=SC2016 # a fence of Markdown
	printf '%s\n' '```console' '# one' 'a ... c' '# two' 'first' '...' 'last' '# three' '```' > chapter.md
	printf '%s\n' '== chapter.md' '# one' 'a b c' '# two' 'first' 'last' '# three' > transcript
	compare '#' chapter.md
	printf '%s\n' '== chapter.md' '# one' 'a b c' '# two' 'first' 'x' 'y' 'last' '# three' > transcript
	compare '#' chapter.md
	printf '%s\n' '== chapter.md' '# one' 'a b d' '# two' 'first' 'last' '# three' > transcript
	run -1 compare '#' chapter.md
	[[ ${lines[0]} == 'chapter.md:2: # one' ]]
	[[ $output == *'+a b d'* && $output != *two* ]]
	printf '%s\n' '== chapter.md' '# one' 'a b c' '# two' 'first' 'last' > transcript
	run -1 compare '#' chapter.md
	[[ ${lines[0]} == 'chapter.md:8: # three' ]]
	: > transcript
	run -1 compare '#' chapter.md
}

@test "the commands of a section that takes minutes are run apart" {
	# shellcheck disable=SC2016 # a fence of Markdown
	printf '%s\n' '```console' '$ one' '```' '## Exercise' '```console' '$ two' 'said' '```' \
		'## More' '```console' '$ three' '```' > chapter.md
	run "$guide/console.py" --prompt '$' chapter.md
	[[ $output == *one* && $output != *two* && $output == *three* ]]
	run "$guide/console.py" --prompt '$' --section Exercise chapter.md
	[[ $output != *one* && $output == *two* && $output != *three* ]]
	printf '%s\n' '== chapter.md' '$ two' 'said' > transcript
	compare '$' --section Exercise chapter.md
	run -1 compare '$' chapter.md
}

# tests/guide/exercises.bats compares the output of the commands.
@test "each exercise has a chapter that checks it, and a solution that applies" {
	for exercise in "$guide"/exercises/*/; do
		name=$(basename "$exercise")
		"$guide/console.py" --prompt '$' --section Exercise "$guide/$name.md" |
			grep "rig/kmodkit check docs/guide/exercises/$name "
		grep "docs/guide/solutions/$name.patch" "$guide/$name.md"
		patch --dry-run -p1 -d "$top" < "$guide/solutions/$name.patch"
	done
	[ "$(cd "$guide/exercises" && printf '%s\n' *)" = "$(cd "$guide/solutions" && printf '%s\n' * | sed 's/\.patch$//')" ]
}

@test "the reader's own commands print what the guide says" {
	commands '$'
	copy_tree
	PATH=$top/rig:$PATH sh ../commands > ../transcript
	cd ..
	compare '$' "${chapters[@]}"
}

@test "the commands in the machine print what the guide says" {
	commands '#'
	"$top/rig/vm/run" -f "$top/build/tools/kmk" commands > transcript
	compare '#' "${chapters[@]}"
}

@test "and so they do on the newest kernel" {
	newest=$(awk -v arch="$(dpkg --print-architecture)" \
		'/^[^#]/ && $1 != "new" && $5 == arch { name = $1 } END { print name }' "$top/rig/kernels/list")
	commands '#'
	"$top/rig/in-vm" "$newest" -f "$top/build/tools/kmk" "$PWD/commands" > transcript
	compare '#' "${chapters[@]}"
}
