#!/bin/bash
# dracut module: a boot loader that has read past /boot's journal is given another try.

check() {
	return 0
}

depends() {
	echo ostree
}

installkernel() {
	instmods ext4
}

install() {
	inst_multiple mount umount mkdir sleep systemctl
	inst_simple "$moddir/replay.sh" /usr/lib/dolmen/replay.sh
	inst_simple "$moddir/dolmen-replay.service" "$systemdsystemunitdir/dolmen-replay.service"
	mkdir -p "$initdir$systemdsystemunitdir/initrd-root-fs.target.wants"
	ln -sf ../dolmen-replay.service "$initdir$systemdsystemunitdir/initrd-root-fs.target.wants/"
}
