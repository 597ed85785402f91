#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Modules for machines that have no compiler: what `make modules-for` puts where.

bats_require_minimum_version 1.5.0

setup_file() {
	export name tree release
	name=$(basename "${KMK_KERNEL:?}")
	release=$(cat "$KMK_KERNEL/release")
	tree=$BATS_FILE_TMPDIR/tree
	cd "$BATS_FILE_TMPDIR" || exit
	openssl req -new -x509 -newkey rsa:2048 -nodes -subj '/CN=kmodkit test' -days 2 \
		-keyout key.pem -out cert.pem 2> /dev/null
	SIGN_KEY=$PWD/key.pem SIGN_CERT=$PWD/cert.pem \
		"$BATS_TEST_DIRNAME/export" "$tree" "$name" > log 2>&1 || { cat log; return 1; }
}

@test "seven modules for that kernel, signed and without debug information" {
	modules=("$tree/lib/modules/$release/updates/kmodkit"/kmk_*.ko)
	[ "${#modules[@]}" -eq 7 ]
	for ko in "${modules[@]}"; do
		[ "$(modinfo -F vermagic "$ko" | cut -d' ' -f1)" = "$release" ]
		[ "$(modinfo -F signer "$ko")" = 'kmodkit test' ]
		run ! grep -q debug_info < <(readelf -SW "$ko" 2> /dev/null)
	done
}

@test "modprobe finds each in the tree" {
	for module in kmk_minimal kmk_echo kmk_proc kmk_irq kmk_syscall kmk_mempool kmk_ramfs; do
		run modprobe -d "$tree" -S "$release" --show-depends "$module"
		[ "$status" -eq 0 ]
		[[ $output == *"updates/kmodkit/$module.ko"* ]]
	done
}

@test "a machine without a compiler loads one from the tree" {
	run "$BATS_TEST_DIRNAME/../rig/vm/run" -p modprobe -f "$tree" sh -c '
		/tests/modprobe -d /tests/tree kmk_echo && echo "from the tree" > /dev/echo && cat /dev/echo'
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"from the tree" ]]
}

@test "a kernel that enforces signatures refuses a key that it does not know, and says so" {
	ko=$tree/lib/modules/$release/updates/kmodkit/kmk_minimal.ko
	run "$BATS_TEST_DIRNAME/../rig/vm/run" -a module.sig_enforce=1 -f "$ko" insmod /tests/kmk_minimal.ko
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"ey was rejected by service"* ]]
	run "$BATS_TEST_DIRNAME/../rig/vm/run" -f "$ko" insmod /tests/kmk_minimal.ko
	[ "$status" -eq 0 ]
}

# For Secure Boot: firmware with keys of its own, for which the distribution's
# stand in, a kernel that it starts, as those who sign Debian's are not among them, and the means
# of writing our key to the list of those that it trusts.
secure_boot() {
	local owner=$BATS_FILE_TMPDIR/owner.pem trusted=/usr/share/ovmf/PkKek-1-snakeoil

	cd "$BATS_FILE_TMPDIR" || return
	cp /usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd firmware
	machine="-machine q35,smm=on -global driver=cfi.pflash01,property=secure,value=on"
	machine+=" -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
	machine+=" -drive if=pflash,format=raw,file=$PWD/firmware"
	openssl rsa -in $trusted.key -passin pass:snakeoil -out "$owner"
	mkdir kernel
	ln -s -t kernel "$KMK_KERNEL"/*
	rm kernel/vmlinuz
	sbsign --key "$owner" --cert $trusted.pem --output kernel/vmlinuz "$KMK_KERNEL/vmlinuz"
	cert-to-efi-sig-list cert.pem list
	sign-efi-sig-list -a -k "$owner" -c $trusted.pem db list signed
	{ printf '\x67\0\0\0'; cat signed; } > db	# after its attributes: added to what is trusted
	xz -dcf "$KMK_KERNEL"/modules/kernel/fs/efivarfs/efivarfs.ko* > efivarfs.ko
}

@test "Secure Boot: a key that is not enrolled is refused, and accepted once it is" {
	secure_boot
	ko=$tree/lib/modules/$release/updates/kmodkit/kmk_minimal.ko
	# shellcheck disable=SC2016 # for the machine's shell
	run "$BATS_TEST_DIRNAME/../rig/vm/run" -k "$PWD/kernel" -u -q "$machine" -p chattr -f "$ko" -f db -f efivarfs.ko sh -c '
		insmod /tests/kmk_minimal.ko
		insmod /tests/efivarfs.ko
		mount -t efivarfs efivarfs /mnt
		list=/mnt/db-d719b2cb-3d3a-4596-a3bc-dad00e67656f
		/tests/chattr -i $list && cat /tests/db > $list'
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"ey was rejected by service"* ]]
	run "$BATS_TEST_DIRNAME/../rig/vm/run" -k "$PWD/kernel" -u -q "$machine" -f "$ko" sh -c '
		insmod /tests/kmk_minimal.ko && dmesg | grep -E "locked down|X.509 cert .kmodkit"'
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"locked down from EFI Secure Boot"* ]]
	[[ $output == *"kmodkit test"* ]]
}

# The operator drops what its schema does not know without a word: so this one, of the
# fields that the manifest has, knows no others.
@test "the Kubernetes manifest: fields that the operator has, and a kernel and a tree as they are" {
	run python3 - "$BATS_TEST_DIRNAME/../docs/kmm-module.yaml" "$release" <<-'END'
	import re, sys, jsonschema, yaml

	def fields(required, **properties):
	    return {"type": "object", "properties": properties,
	            "required": required, "additionalProperties": False}

	text = {"type": "string"}
	mapping = fields(["containerImage"], containerImage=text, regexp=text, literal=text)
	modprobe = fields(["moduleName"], moduleName=text, dirName=text)
	container = fields(["kernelMappings", "modprobe"], modprobe=modprobe,
	                   kernelMappings={"type": "array", "minItems": 1, "items": mapping})
	spec = fields(["selector"], moduleLoader=fields(["container"], container=container),
	              selector={"type": "object", "additionalProperties": text})
	manifest = yaml.safe_load(open(sys.argv[1]))
	jsonschema.validate(manifest, fields(
	    ["apiVersion", "kind", "metadata", "spec"], spec=spec,
	    apiVersion={"const": "kmm.sigs.x-k8s.io/v1beta1"}, kind={"const": "Module"},
	    metadata=fields(["name", "namespace"], name=text, namespace=text)))
	loader = manifest["spec"]["moduleLoader"]["container"]
	print(loader["modprobe"]["moduleName"], loader["modprobe"]["dirName"])
	assert any(re.search(m["regexp"], sys.argv[2]) for m in loader["kernelMappings"])
	END
	echo "$output"
	[ "$status" -eq 0 ]
	[ -e "$tree/lib/modules/$release/updates/kmodkit/${output% *}.ko" ]
	grep -qx "COPY build/fleet/lib ${output#* }/lib" "$BATS_TEST_DIRNAME/../docs/Containerfile"
}
