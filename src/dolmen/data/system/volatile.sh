#!/bin/sh
# In the initramfs, after ostree-prepare-root: /var becomes empty and /etc the image's own, both in
# memory; what the image lists in /usr/lib/dolmen/volatile stays on the disk (docs/boot.md).
set -eu

root=/sysroot
list=$root/usr/lib/dolmen/volatile
[ -f "$list" ] || exit 0

read -r line </proc/cmdline
osname=
for argument in $line; do
	case $argument in
	ostree=/ostree/boot.*)
		osname=${argument#ostree=/ostree/boot.*/}
		osname=${osname%%/*}
		;;
	esac
done
state=$root/sysroot/ostree/deploy/$osname/var
[ -n "$osname" ] || exit 1
[ -d "$state" ] || exit 1
kept=$state/lib/dolmen/kept

memory=/run/dolmen/volatile
mkdir -p -m 0755 /run/dolmen
mkdir -p -m 0700 "$memory"
mkdir -p "$memory/etc" "$memory/work"
mount -t overlay -o "lowerdir=$root/etc,upperdir=$memory/etc,workdir=$memory/work" dolmen-etc "$root/etc"
mount -t tmpfs -o mode=0755,nodev dolmen-var "$root/var"

keep_var() { # path below /var
	if [ -e "$state/$1" ] && [ ! -d "$state/$1" ]; then
		mkdir -p "$root/var/${1%/*}"
		: >>"$root/var/$1"
	else
		mkdir -p "$state/$1" "$root/var/$1"
	fi
	mount --bind "$state/$1" "$root/var/$1"
}

keep_etc() { # path below /etc: a directory keeps its changes, a file itself
	if [ -e "$root/etc/$1" ] && [ ! -d "$root/etc/$1" ]; then
		if [ ! -e "$kept/etc-files/$1" ]; then
			case $1 in */*) mkdir -p "$kept/etc-files/${1%/*}" ;; *) mkdir -p "$kept/etc-files" ;; esac
			cp -p "$root/etc/$1" "$kept/etc-files/$1"
		fi
		mount --bind "$kept/etc-files/$1" "$root/etc/$1"
	else
		mkdir -p "$kept/etc/$1" "$kept/etc-work/$1/dir" "$root/etc/$1"
		mount -t overlay -o "lowerdir=$root/etc/$1,upperdir=$kept/etc/$1,workdir=$kept/etc-work/$1/dir" \
			dolmen-kept "$root/etc/$1"
	fi
}

# What Dolmen itself must know of the machine: layers, the newest image it has seen.
keep_var lib/dolmen
while read -r path; do
	case $path in
	/etc/*) keep_etc "${path#/etc/}" ;;
	/var/lib/dolmen) ;;
	/var/*) keep_var "${path#/var/}" ;;
	/root | /root/*) keep_var "roothome${path#/root}" ;;
	/home | /home/* | /srv | /srv/*) keep_var "${path#/}" ;;
	esac
done <"$list"
