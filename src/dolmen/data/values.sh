#!/bin/sh
# What completions offer: `dolmen __values KIND PREFIX [DIR]` prints one value a line. Text from
# packages and manifests is printed only where it is a name.
set -f
LC_ALL=C
export LC_ALL
kind=$1 prefix=$2 directory=${3-}

nearest() {
    [ -z "$directory" ] || return 0
    directory=$PWD
    until [ -f "$directory/dolmen.toml" ]; do
        [ -n "$directory" ] || exit 0
        directory=${directory%/*}
    done
}

store() {
    store=${DOLMEN_STORE-}
    [ -z "$store" ] || return 0
    store=/var/lib/dolmen
    [ ! -O / ] || return 0
    case ${XDG_DATA_HOME-} in
    /*) store=$XDG_DATA_HOME/dolmen ;;
    *) store=${HOME:-/nonexistent}/.local/share/dolmen ;;
    esac
}

case $kind in
generation)
    nearest
    cd -- "$directory/.dolmen/generations" 2>/dev/null || exit 0
    set +f
    for name in *; do
        case $name in '' | *[!0-9]*) ;; *) printf '%s\n' "$name" ;; esac
    done
    ;;
trial)
    nearest
    cd -- "$directory/.dolmen/trials" 2>/dev/null || exit 0
    set +f
    for name in *; do
        case $name in '*' | *[!A-Za-z0-9._+-]*) ;; *) printf '%s\n' "$name" ;; esac
    done
    ;;
command)
    nearest
    set +f
    for part in bin scripts; do
        cd -- "$directory/.dolmen/current/$part" 2>/dev/null || continue
        for name in *; do
            case $name in
            '*' | *[!A-Za-z0-9_.+@:,=~^[-]*) ;;
            "$prefix"*) printf '%s\n' "$name" ;;
            esac
        done
    done
    ;;
installed)
    nearest
    [ -f "$directory/dolmen.lock" ] || exit 0
    exec sed -n 's/^Package: \([a-z0-9][a-z0-9+.-]*\)$/\1/p' <"$directory/dolmen.lock"
    ;;
requested)
    nearest
    [ -f "$directory/dolmen.lock" ] || exit 0
    exec sed -n '/^Package: /{s///;h;}; /^Requested: /{g;/^[a-z0-9][a-z0-9+.-]*$/p;}' \
        <"$directory/dolmen.lock"
    ;;
package)
    case $prefix in '' | *[!a-z0-9+.-]*) exit 0 ;; esac
    store
    # What `search` reads, else the indexes that apt keeps for our solves, else the host's own.
    set +f
    set -- "$store"/archive/*/catalogue
    [ ! -f "$1" ] || exec sed -n "s/^\\($prefix[a-z0-9+.-]*\\)	.*/\\1/p" "$@"
    set -- "$store"/archive/*/lists/*_Packages
    [ -f "$1" ] || set -- /var/lib/apt/lists/*_Packages
    [ -f "$1" ] || exec apt-cache --no-generate pkgnames "$prefix" 2>/dev/null
    grep -h "^Package: $prefix" "$@" | cut -c 10- | sort -u
    ;;
group)
    nearest
    [ -f "$directory/dolmen.toml" ] || exit 0
    exec sed -n 's/^\[groups\.\([a-z0-9][a-z0-9._-]*\)\].*/\1/p' <"$directory/dolmen.toml"
    ;;
suite)
    printf '%s\n' bookworm bookworm-backports trixie trixie-backports forky sid stable testing
    ;;
esac
