#!/bin/bash
# dracut module: a root that forgets, in images that declare one.

check() {
	[ -e "${dracutsysrootdir-}/usr/lib/dolmen/volatile" ] || return 255
	return 0
}

depends() {
	echo ostree
}

installkernel() {
	instmods overlay
}

install() {
	inst_multiple mount mkdir cp cat
	inst_simple "$moddir/volatile.sh" /usr/lib/dolmen/volatile.sh
	inst_simple "$moddir/dolmen-volatile.service" "$systemdsystemunitdir/dolmen-volatile.service"
	mkdir -p "$initdir$systemdsystemunitdir/initrd-root-fs.target.wants"
	ln -sf ../dolmen-volatile.service "$initdir$systemdsystemunitdir/initrd-root-fs.target.wants/"
}
