#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# A Debian machine with kmodkit-dkms, through kernel upgrades to its removal. apt runs in
# a chroot of the machine's root directory, and what it made is booted. Each test goes on
# where the one before it ended.

# shellcheck disable=SC2016 # commands for the machine are in single quotes
bats_require_minimum_version 1.5.0
load common

setup_file() {
	export root=$BATS_FILE_TMPDIR/root deb=$top/build/deb version old new tar
	cd "$top" || exit
	version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
	make deb > "$BATS_FILE_TMPDIR/log" 2>&1 || { cat "$BATS_FILE_TMPDIR/log"; return 1; }
	# shellcheck source=rig/kernels/common
	read -r old new < <(. rig/kernels/common && use_suite bookworm amd64 &&
		apt-cache pkgnames linux-image-6.1.0- | grep -xE 'linux-image-[0-9.-]+-amd64' |
		sed 's/^linux-image-//' | sort -V | tail -n 2 | xargs)
	tar=$(tests/debian/root bookworm systemd-sysv udev initramfs-tools zstd kmod dkms openssl \
		"linux-image-$old" "linux-headers-$old")
	make_root "$root" "$tar"
	in_root "$root" apt-get -q update > "$BATS_FILE_TMPDIR/log" 2>&1 ||
		{ cat "$BATS_FILE_TMPDIR/log"; return 1; }
	echo "# from Linux $old to $new, and to 6.12" >&3
}

install() {
	run in_root "$root" apt-get -q -y -o Dpkg::Use-Pty=0 install "$@"
	echo "$output"
}

# The modules that DKMS has put where this kernel finds them.
installed() {
	find "$root/lib/modules/$1/updates" -name 'kmk_*.ko*' 2> /dev/null | wc -l
}

# Boot a kernel of the root directory, and run a command there.
boot() {
	local release=$1 dir=$BATS_TEST_TMPDIR/boot image=$BATS_TEST_TMPDIR/image
	shift
	mkdir -p "$dir"
	cp "$root/boot/vmlinuz-$release" "$dir/vmlinuz"
	cp "$root/boot/initrd.img-$release" "$dir/initrd.img"
	truncate -s 4G "$image"
	mke2fs -q -t ext4 -d "$root" "$image"
	run "$top/rig/vm/run" -k "$dir" -d "$image" -r 1024 -t 2400 "$@"
	rm "$image"
	echo "$output"
}

# A user's commands, with the samples of kmodkit-utils in place.
use='set -ex
systemctl is-active systemd-modules-load
uname -r
echo hello > /dev/echo
cat /dev/echo
cat /proc/rust_proc
modprobe -a kmk_irq kmk_syscall kmk_mempool kmk_minimal
mount -t cramfs none /mnt
echo "on cramfs" > /mnt/file
cat /mnt/file
kmk syscall add 40 2
kmk mempool exercise
echo "loaded: $(grep -c ^kmk_ /proc/modules)"
umount /mnt
modprobe -r -a kmk_irq kmk_syscall kmk_mempool kmk_minimal kmk_ramfs kmk_echo kmk_proc
echo "left: $(grep -c ^kmk_ /proc/modules)"'

used() {
	boot "$1" bash -c "$use"
	[ "$status" -eq 0 ]
	[[ $output == *"
$1"* && $output == *"
hello"* && $output == *"
on cramfs"* && $output == *"loaded: 7"* && $output == *"left: 0"* ]]
}

@test "apt installs the packages: DKMS builds for the kernel that is there" {
	cp "$deb/kmodkit-dkms_${version}_all.deb" "$root/dkms.deb"
	cp "$deb/kmodkit-utils_${version}_amd64.deb" "$root/utils.deb"
	install /dkms.deb /utils.deb
	[ "$status" -eq 0 ]
	consistent "$root"
	[ "$(installed "$old")" -eq 7 ]
	cp "$root"/usr/share/doc/kmodkit-utils/examples/modules-load.d-kmodkit.conf "$root/etc/modules-load.d/kmodkit.conf"
	sed 's/^#alias/alias/' "$root"/usr/share/doc/kmodkit-utils/examples/modprobe.d-kmodkit.conf \
		> "$root/etc/modprobe.d/kmodkit.conf"
	rm "$root"/{dkms,utils}.deb
}

@test "they load at boot and work on the old kernel" {
	used "$old"
}

@test "apt upgrades the kernel: DKMS builds by itself, and the old kernel keeps its modules" {
	install linux-image-amd64 linux-headers-amd64
	[ "$status" -eq 0 ]
	consistent "$root"
	[ "$(installed "$new")" -eq 7 ]
	[ "$(installed "$old")" -eq 7 ]
}

@test "they load at boot and work on the new kernel" {
	used "$new"
}

@test "module.sig_enforce=1: an unsigned module and one with an unknown key are refused, and the log says why" {
	boot "$new" -a module.sig_enforce=1 bash -c '
		modprobe dummy && echo "in-tree: loaded"
		cp "$(modinfo -n kmk_minimal)" /tmp/signed.ko
		modinfo -F signer /tmp/signed.ko
		insmod /tmp/signed.ko
		strip --strip-debug -o /tmp/unsigned.ko /tmp/signed.ko
		insmod /tmp/unsigned.ko
		dmesg | grep "Loading of .*rejected"
		! grep ^kmk_ /proc/modules'
	[ "$status" -eq 0 ]
	[[ $output == *"in-tree: loaded"* ]]
	[[ $output == *"DKMS module signing key"* ]]
	[ "$(grep -c 'Key was rejected by service' <<< "$output")" -eq 2 ]
	[[ $output == *"Loading of module with unavailable key is rejected"* ]]
	[[ $output == *"Loading of unsigned module is rejected"* ]]
}

# The command that the hook advises, from apt's output.
advice() {
	sed -n "s/^kmodkit-dkms: no modules for Linux .* run: //p" <<< "$1" | tail -n 1
}

@test "a kernel whose headers lack something: installed all the same, and said what to do" {
	sums=$(cd "$root/lib/modules" && sha256sum ./*/updates/dkms/kmk_*)
	lacking=$root/etc/dpkg/dpkg.cfg.d/lacking
	echo 'path-exclude=/usr/src/linux-headers-6.12.*-common/include/linux/hrtimer.h' > "$lacking"
	install linux-image-6.12-amd64 linux-headers-6.12-amd64
	[ "$status" -eq 0 ]
	consistent "$root"
	broken=$(basename "$root"/lib/modules/6.12.*)
	[[ $output == *"kmodkit-dkms: no modules for Linux $broken: boot another kernel"* ]]
	[ -s "$root/boot/initrd.img-$broken" ]
	log=$root/var/lib/dkms/kmodkit/$version/build/make.log
	grep 'kmodkit: include/kmk/probe: no .*/include/linux/hrtimer.h' "$log"
	[[ $(grep '^kmodkit:' "$log" | tail -n 1) == "kmodkit:   probes: "* ]]
	[ "$(installed "$broken")" -eq 0 ]
	(cd "$root/lib/modules" && sha256sum -c <<< "$sums")

	command=$(advice "$output")
	rm "$lacking"
	install --reinstall "$(basename "$root"/usr/src/linux-headers-6.12.*-common)"
	[ "$status" -eq 0 ]
	# shellcheck disable=SC2086 # words are wanted
	in_root "$root" $command
	[ "$(installed "$broken")" -eq 7 ]
}

@test "a kernel without headers: installed all the same, and the headers that it names bring the modules" {
	install linux-image-cloud-amd64
	[ "$status" -eq 0 ]
	consistent "$root"
	cloud=$(basename "$root"/lib/modules/6.1.*-cloud-amd64)
	[ "$(installed "$cloud")" -eq 0 ]
	[ "$(advice "$output")" = "apt install linux-headers-$cloud" ]
	install "linux-headers-$cloud"
	[ "$(installed "$cloud")" -eq 7 ]
}

@test "apt purges them: nothing stays, of no kernel, and the new one does not miss them" {
	rm "$root"/etc/{modules-load.d,modprobe.d}/kmodkit.conf
	in_root "$root" dpkg -L kmodkit-dkms kmodkit-utils > "$BATS_TEST_TMPDIR/files"
	run in_root "$root" apt-get -q -y -o Dpkg::Use-Pty=0 purge kmodkit-dkms kmodkit-utils
	echo "$output"
	[ "$status" -eq 0 ]
	consistent "$root"
	[ -z "$(in_root "$root" dkms status)" ]
	while read -r file; do
		[ -d "$root/$file" ] || [ ! -e "$root/$file" ]
	done < "$BATS_TEST_TMPDIR/files"
	left=$(in_root "$root" find / -xdev \( -name 'kmk_*' -o -name '*kmodkit*' \) -print
		find "$root/lib/modules" -type d -path '*/updates/*')
	echo "$left"
	[ -z "$left" ]
	[ "$(find "$root"/lib/modules/*/modules.dep | wc -l)" -eq 4 ]
	run ! grep -l kmk_ "$root"/lib/modules/*/modules.*
	boot "$new" bash -c 'modprobe -v kmk_echo; ls /dev/echo'
	[[ $output == *"Module kmk_echo not found"* && $output == *"cannot access '/dev/echo'"* ]]
}
