#!/bin/sh
# In the initramfs, before ostree-prepare-root. libostree renames /boot/loader, then removes what
# only the old menu needed from the root. GRUB reads /boot without its journal: after a power cut in
# the moment before that is written home it takes an entry of the old menu, whose way to a tree is
# gone. Mounting /boot replays the journal; where the menu then leads somewhere, it is started anew.
set -eu

read -r line </proc/cmdline
entry= boot=
for argument in $line; do
	case $argument in
	ostree=*) entry=${argument#ostree=} ;;
	dolmen.boot=UUID=*) boot=/dev/disk/by-uuid/${argument#dolmen.boot=UUID=} ;;
	esac
done
[ -n "$entry" ] || exit 0
[ -n "$boot" ] || exit 0
[ ! -e "/sysroot$entry" ] || exit 0

for attempt in 1 2 3 4 5 6 7 8 9 10; do
	[ ! -e "$boot" ] || break
	sleep 1
done
place=/run/dolmen/boot
mkdir -p "$place"
mount "$boot" "$place"
found=
for file in "$place"/loader/entries/*.conf; do
	while read -r key rest; do
		[ "$key" = options ] || continue
		for argument in $rest; do
			case $argument in
			ostree=*) if [ -e "/sysroot${argument#ostree=}" ]; then found=1; fi ;;
			esac
		done
	done <"$file"
done
umount "$place"
[ -n "$found" ] || exit 0
echo "dolmen: the boot menu was read without its journal, which is written now: starting again" >&2
systemctl reboot --force
sleep 60
