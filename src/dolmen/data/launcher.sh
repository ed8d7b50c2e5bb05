#!/bin/sh
# Enters one image; written by Dolmen (src/dolmen/data/launcher.sh), not to be edited.
#
# Variables are dolmen_*: sh would hand a caller's variable of the same name to the command changed.
# Options for bubblewrap are put in front of "$@" one after the other, so the last one put stands
# first. Builtins only; every external command would cost as much as half of entering.

dolmen_here=${0%/*}
[ "$dolmen_here" != "$0" ] || dolmen_here=.
dolmen_name=${0##*/}
dolmen_pure='' dolmen_network='' dolmen_print='' dolmen_host=''
case $dolmen_name:$dolmen_here in
launch:*/bin | launch:bin) dolmen_direct='' ;;
launch:*) dolmen_direct=yes ;;
*) dolmen_direct='' ;;
esac
if [ "$dolmen_direct" ]; then
    while [ $# -gt 0 ]; do
        case $1 in
        --pure) dolmen_pure=--pure ;;
        --network) dolmen_network=--network ;;
        --print) dolmen_print=yes ;;
        --host-files)
            [ $# -gt 1 ] || { echo 'launch: --host-files needs a directory' >&2; exit 2; }
            dolmen_host=$2
            shift
            ;;
        --) shift; break ;;
        -*) echo "launch: unknown option $1" >&2; exit 2 ;;
        *) break ;;
        esac
        shift
    done
else
    set -- "$dolmen_name" "$@"
    dolmen_here=$dolmen_here/..
fi
[ "$dolmen_host" ] || dolmen_host=@HOST@

# Inside this very image already (a launcher called from its own shell): no second sandbox.
if [ -d /run/dolmen/@MARK@ ] && [ -z "$dolmen_pure$dolmen_print" ]; then
    PATH=@PATH@:$PATH
    export PATH
    [ $# -gt 0 ] || set -- "${SHELL:-@SHELL@}"
    exec "$@"
fi

if [ ! -d @TREE@/usr ] || [ ! -x @BWRAP@ ] || [ ! -r "$dolmen_host/@FILTER@" ]@PERSIST_MISSING@; then
    if [ @HAS_FALLBACK@ ] && [ -z "${DOLMEN_FALLBACK-}" ]; then
        DOLMEN_FALLBACK=1
        export DOLMEN_FALLBACK
        [ $# -eq 0 ] || set -- -- "$@"
        exec @FALLBACK@ $dolmen_pure $dolmen_network "$@"
    fi
    if [ ! -x @BWRAP@ ]; then
        echo 'dolmen: bubblewrap is not installed; type: apt install bubblewrap' >&2
    else
        echo 'dolmen: the image' @MARK@ 'is not there any more; type: dolmen sync' >&2
    fi
    exit 125
fi
unset DOLMEN_FALLBACK

# The working directory, with and without symbolic links.
dolmen_logical=$PWD dolmen_old=${OLDPWD--}
if ! cd -P . 2>/dev/null || ! [ . -ef "$PWD" ]; then
    echo 'dolmen: the working directory does not exist any more' >&2
    exit 125
fi
dolmen_cwd=$PWD
if [ "$dolmen_old" = - ]; then unset OLDPWD; else OLDPWD=$dolmen_old; fi

# $HOME: none for system accounts whose home is / or part of the system.
case ${HOME-} in
/?*) dolmen_home=${HOME%/} ;;
*) dolmen_home=/nonexistent ;;
esac
case $dolmen_home/ in
/usr/* | /etc/* | /bin/* | /sbin/* | /lib*/* | /dev/* | /proc/* | /sys/* | /run/ | /var/ | /tmp/ | /opt/ | *//* | */../* | */./*)
    dolmen_home=/nonexistent
    ;;
esac

# What to run. The two helpers are the image's own:
# - setpriv: bubblewrap forks, and passes no signal on (its issue 369). When it dies of SIGTERM, the
#   command gets SIGTERM too (a shell, which ignores that one, SIGHUP). It also answers 126 and 127.
# - env: Ctrl-C goes to all of the terminal's foreground group, and must not end bubblewrap while
#   the command (a Python prompt, a debugger) handles it: ignored here, default again inside.
dolmen_last=TERM
if [ $# -eq 0 ]; then
    dolmen_last=HUP
    dolmen_shell=@SHELL@
    if [ -z "$dolmen_pure" ]; then
        case ${SHELL-} in
        /*) if [ -x @TREE@"$SHELL" ] || [ -L @TREE@"$SHELL" ]; then dolmen_shell=$SHELL; fi ;;
        esac
    fi
    set -- "$dolmen_shell"
fi
dolmen_command=$1

# Files of the image share their inodes with the store and have the time 0: another one means that
# somebody wrote there from outside. Looked at is what starts now; `dolmen fsck` looks at all.
if [ @WATCHING@ ]; then
    for dolmen_file in @TREE@"$dolmen_command" @TREE@/usr/bin/"$dolmen_command" \
        @TREE@/usr/sbin/"$dolmen_command" @TREE@/usr/games/"$dolmen_command" @WATCHED@; do
        if [ "$dolmen_file" -nt "$dolmen_host/@STAMP@" ] && [ ! -L "$dolmen_file" ]; then
            echo "dolmen: somebody wrote to $dolmen_file; type: dolmen repair" >&2
            exit 125
        fi
    done
fi
if [ -t 0 ]; then
    trap '' INT QUIT
    case $1 in
    *=*) set -- /bin/sh -c 'exec "$@"' sh "$@" ;;
    esac
    set -- /usr/bin/env --default-signal=INT,QUIT -- "$@"
fi
set -- --remount-ro / -- /usr/bin/setpriv --pdeathsig "$dolmen_last" -- "$@"

# Which part of the host shows the working directory at its own path. Beside what is in $HOME and
# /tmp, a development shell shows the tree around it (a repository's top, a sibling project):
# /data for /data/a/b, /srv/a for /srv/a/b. Nothing of the host may hide what the image itself has.
dolmen_share=$dolmen_cwd dolmen_cover='' dolmen_image=''
case $dolmen_cwd in
/) dolmen_share='' ;;
"$dolmen_home" | "$dolmen_home"/*) [ "$dolmen_pure" ] || dolmen_share='' ;;
/tmp | /tmp/*) [ "$dolmen_pure" ] || dolmen_share='' ;;
/dev/shm/*) [ "$dolmen_pure" ] || dolmen_share='' ;;
/dev | /dev/* | /proc | /proc/* | /sys | /sys/*) dolmen_share='' dolmen_image=kernel ;;
/usr/local/?* | /usr/src/?*)
    dolmen_rest=${dolmen_cwd#/*/*/}
    dolmen_cover=${dolmen_cwd%"/$dolmen_rest"}
    dolmen_share=$dolmen_cover/${dolmen_rest%%/*}
    if [ -e @TREE@"$dolmen_share" ] || [ ! -d @TREE@"$dolmen_cover" ]; then dolmen_image=yes; fi
    ;;
/usr | /usr/* | /etc | /etc/* | /bin/* | /sbin/* | /lib*/*) dolmen_image=yes ;;
/opt | /run | /var | /var/cache | /var/lib | /var/log | /var/spool | /var/opt) dolmen_image=yes ;;
/var/lib/* | /var/cache/* | /var/log/* | /var/spool/* | /var/opt/*)
    dolmen_rest=${dolmen_cwd#/*/*/}
    dolmen_share=${dolmen_cwd%"/$dolmen_rest"}/${dolmen_rest%%/*}
    if [ -e @TREE@"$dolmen_share" ]; then dolmen_image=yes; fi
    ;;
/opt/* | /srv/* | /mnt/* | /media/* | /home/* | /run/* | /var/*)
    dolmen_rest=${dolmen_cwd#/*/}
    dolmen_share=${dolmen_cwd%"/$dolmen_rest"}/${dolmen_rest%%/*}
    case $dolmen_cwd in
    /opt/*) if [ -e @TREE@"$dolmen_share" ]; then dolmen_image=yes; fi ;;
    esac
    ;;
/srv | /mnt | /media | /home | /root | /root/*) ;;
*)
    dolmen_share=${dolmen_cwd#/}
    dolmen_share=/${dolmen_share%%/*}
    if [ -e @TREE@"$dolmen_share" ]; then dolmen_share=$dolmen_cwd; fi
    ;;
esac
case $dolmen_image in
yes)
    dolmen_share='' dolmen_cover=''
    if [ ! -d @TREE@"$dolmen_cwd" ]; then
        echo "dolmen: the working directory $dolmen_cwd cannot be shown: the image has its own ${dolmen_cwd%/*} there" >&2
        exit 125
    fi
    echo "dolmen: $dolmen_cwd is the image's own here, not the host's" >&2
    ;;
kernel)
    [ -z "$dolmen_pure" ] || dolmen_cwd=/
    ;;
esac
dolmen_chdir=$dolmen_cwd
case $dolmen_logical in
"$dolmen_home"/* | /tmp/*) [ "$dolmen_pure" ] || dolmen_chdir=$dolmen_logical ;;
esac
set -- --chdir "$dolmen_chdir" "$@"

# The store lies in the home of an ordinary user: its objects are shared by all images, and are
# not for commands of one of them to change.
case @STORE@/ in
"$dolmen_home"/* | /tmp/* | "${dolmen_share:-/nonexistent}"/*)
    [ "$dolmen_pure" ] || set -- --ro-bind-try @STORE@ @STORE@ "$@"
    ;;
esac
if [ "$dolmen_share" ]; then
    [ -z "$dolmen_pure" ] || [ "$dolmen_image" ] || dolmen_share=$dolmen_cwd
    dolmen_bind=--bind
    # What a confined command may write must not be run outside of its sandbox later: launchers
    # and store are read-only where the working directory would show them. The directories between
    # are mount points too, since those cannot be renamed to put others in their place.
    if [ "$dolmen_pure" ]; then
        for dolmen_guarded in @GUARDED@; do
            case $dolmen_share/ in "$dolmen_guarded"/*) dolmen_bind=--ro-bind ;; esac
            case $dolmen_guarded/ in "$dolmen_share"/*) ;; *) continue ;; esac
            [ "$dolmen_guarded" != "$dolmen_share" ] || continue
            set -- --ro-bind-try "$dolmen_guarded" "$dolmen_guarded" "$@"
            dolmen_guarded=${dolmen_guarded%/*}
            while [ "$dolmen_guarded" != "$dolmen_share" ]; do
                set -- --bind-try "$dolmen_guarded" "$dolmen_guarded" "$@"
                dolmen_guarded=${dolmen_guarded%/*}
            done
        done
    fi
    set -- "$dolmen_bind" "$dolmen_share" "$dolmen_share" "$@"
    [ -z "$dolmen_cover" ] || set -- --tmpfs "$dolmen_cover" "$@"
fi

# Locales that the image lacks make every perl and bash warn.
if [ -z @LOCALES@ ] && [ -z "$dolmen_pure" ]; then
    unset LC_ALL LC_CTYPE LC_NUMERIC LC_TIME LC_COLLATE LC_MONETARY LC_MESSAGES LC_PAPER LC_NAME \
        LC_ADDRESS LC_TELEPHONE LC_MEASUREMENT LC_IDENTIFICATION LANGUAGE
    LANG=C.UTF-8
    export LANG
fi

# A terminal that the image knows nothing of: the host's description, at a place of its own.
case ${TERM-} in
'' | */* | .*) ;;
*)
    dolmen_rest=${TERM#?}
    dolmen_rest=${TERM%"$dolmen_rest"}/$TERM
    if [ ! -e @TREE@/usr/lib/terminfo/"$dolmen_rest" ] &&
        [ ! -e @TREE@/usr/share/terminfo/"$dolmen_rest" ]; then
        for dolmen_directory in "${TERMINFO:-/etc/terminfo}" "$dolmen_home/.terminfo" \
            /etc/terminfo /usr/lib/terminfo /usr/share/terminfo; do
            [ -f "$dolmen_directory/$dolmen_rest" ] || continue
            set -- --ro-bind "$dolmen_directory/$dolmen_rest" "/run/dolmen/terminfo/$dolmen_rest" \
                --setenv TERMINFO_DIRS /run/dolmen/terminfo: "$@"
            break
        done
    fi
    ;;
esac

# The caller's own lines in passwd and group; somebody else's launcher has none for us.
if [ -O "$dolmen_host/passwd" ]; then set -- @IDENTITY@ "$@"; fi

# The host's root (who owns / of it) must not be able to change the image: no capabilities, a user
# namespace of its own, and no file of the kernel that root may write without any.
dolmen_root='' dolmen_path=@PATH@
if [ -O / ]; then dolmen_root=yes; fi

if [ "$dolmen_pure" ]; then
    # Working directory and, if asked, network. Nothing else of the host: no variables, processes,
    # sockets, devices, host name. Descriptors above 2 are closed; sh can name only one digit, so
    # bash does it when there are others (10 is sh's own, the script).
    for dolmen_fd in /proc/self/fd/??*; do
        case ${dolmen_fd##*/} in
        10 | '??*') ;;
        *) if [ -e "$dolmen_fd" ]; then dolmen_fd=close; break; fi ;;
        esac
    done
    if [ "$dolmen_network" ]; then
        set -- @FROM_HOST_NETWORK@ "$@"
    else
        set -- --unshare-net "$@"
    fi
    set -- --clearenv --setenv PATH @PATH@ --setenv HOME "$dolmen_home" \
        --setenv LANG C.UTF-8 --setenv SHELL @SHELL@ \
        --setenv DOLMEN_ENVIRONMENT @NAME@ --setenv debian_chroot @NAME@ \
        ${USER+--setenv USER "$USER"} ${LOGNAME+--setenv LOGNAME "$LOGNAME"} \
        ${TERM+--setenv TERM "$TERM"} ${COLORTERM+--setenv COLORTERM "$COLORTERM"} \
        ${NO_COLOR+--setenv NO_COLOR "$NO_COLOR"} @VARIABLES@ \
        --perms 0700 --tmpfs "$dolmen_home" "$@"
    set -- --unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try \
        --hostname dolmen --die-with-parent @FROM_HOST_CONFINED@ \
        @KERNEL_FILES@ --perms 1777 --tmpfs /tmp --perms 1777 --tmpfs /dev/shm \
        --tmpfs /run --perms 1777 --dir /run/lock --dir /run/dolmen/@MARK@ @ALIASES@ "$@"
    if [ "$dolmen_root" ]; then set -- --uid 0 --gid 0 "$@"; fi
    dolmen_filter=$dolmen_host/@CONFINED_FILTER@
else
    # The caller's variables, but for those that would make the image's programs load the host's
    # parts. PATH is the image's, then what the caller has below $HOME; never launchers.
    unset LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT GCONV_PATH LOCPATH PYTHONHOME GIO_MODULE_DIR \
        GTK_PATH GDK_PIXBUF_MODULE_FILE GI_TYPELIB_PATH QT_PLUGIN_PATH XDG_DATA_DIRS XDG_CONFIG_DIRS
    # A file of certificates that the image lacks (or a host path) is worse than its own default.
    for dolmen_name in SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE REQUESTS_CA_BUNDLE GIT_SSL_CAINFO \
        NODE_EXTRA_CA_CERTS; do
        eval "dolmen_value=\${$dolmen_name-}"
        case $dolmen_value in
        '' | /tmp/* | "$dolmen_home"/*) ;;
        /*) [ -e @TREE@"$dolmen_value" ] || unset "$dolmen_name" ;;
        esac
    done
    case ${TMPDIR-} in
    '' | /tmp | /tmp/* | "$dolmen_home"/*) ;;
    *) unset TMPDIR ;;
    esac
    IFS=:
    set -f
    for dolmen_directory in ${PATH-}; do
        case $dolmen_directory in
        */.dolmen/*) ;;
        "$dolmen_home"/*) dolmen_path=$dolmen_path:$dolmen_directory ;;
        esac
    done
    set +f
    unset IFS
    PATH=$dolmen_path
    DOLMEN_ENVIRONMENT=@NAME@
    # Debian's bash.bashrc shows this in the prompt; no rc file of the user's is replaced.
    debian_chroot=@NAME@
    case ${SHELL-} in
    /*) if [ ! -x @TREE@"$SHELL" ] && [ ! -L @TREE@"$SHELL" ]; then SHELL=@SHELL@; fi ;;
    *) SHELL=@SHELL@ ;;
    esac
    export PATH DOLMEN_ENVIRONMENT debian_chroot SHELL

    if [ -d "$dolmen_home" ]; then
        set -- --bind "$dolmen_home" "$dolmen_home" "$@"
    fi
    case ${SSH_AUTH_SOCK-} in
    '' | /tmp/* | /run/user/* | "$dolmen_home"/*) ;;
    /*) set -- --bind-try "$SSH_AUTH_SOCK" "$SSH_AUTH_SOCK" "$@" ;;
    esac
    if [ "$dolmen_root" ]; then
        for dolmen_node in /dev/nvidia*; do
            [ ! -e "$dolmen_node" ] || set -- --dev-bind "$dolmen_node" "$dolmen_node" "$@"
        done
        set -- --ro-bind /proc /proc --dev /dev --dev-bind-try /dev/shm /dev/shm \
            --dev-bind-try /dev/dri /dev/dri --dev-bind-try /dev/kfd /dev/kfd \
            --dev-bind-try /dev/snd /dev/snd --dev-bind-try /dev/fuse /dev/fuse \
            --dev-bind-try /dev/kvm /dev/kvm "$@"
        set -- --uid 0 --gid 0 "$@"
    else
        set -- --bind /proc /proc --dev-bind /dev /dev "$@"
    fi
    set -- @FROM_HOST@ @VARIABLES@ \
        --ro-bind /sys /sys --bind /tmp /tmp --tmpfs /run --perms 1777 --dir /run/lock \
        --dir /run/dolmen/@MARK@ @ALIASES@ \
        --bind-try /run/user /run/user --bind-try /run/dbus /run/dbus --ro-bind-try /run/udev /run/udev \
        --bind-try /run/docker.sock /run/docker.sock --bind-try /run/podman /run/podman \
        --bind-try /run/pcscd /run/pcscd --bind-try /run/cups /run/cups \
        --bind-try /run/avahi-daemon /run/avahi-daemon --bind-try /run/media /run/media "$@"
    dolmen_filter=$dolmen_host/@FILTER@
fi

# 127 with a message of ours; setpriv would give the code, with its own name before it. A link may
# lead to where only the image has something.
dolmen_found=@OWN_PATH@
case $dolmen_command in */*) dolmen_found=yes ;; esac
if [ -z "$dolmen_found" ]; then
    IFS=:
    set -f
    for dolmen_directory in $dolmen_path; do
        case $dolmen_directory in
        "$dolmen_home"/*) dolmen_value=$dolmen_directory/$dolmen_command ;;
        /run/dolmen/aliases) dolmen_value=$dolmen_here/aliases/$dolmen_command ;;
        *) dolmen_value=@TREE@$dolmen_directory/$dolmen_command ;;
        esac
        if [ -e "$dolmen_value" ] || [ -L "$dolmen_value" ]; then
            dolmen_found=yes
            break
        fi
    done
    set +f
    unset IFS
    if [ -z "$dolmen_found" ]; then
        echo "dolmen: there is no command $dolmen_command in this environment" >&2
        exit 127
    fi
fi

set -- @BWRAP@ --seccomp 9 --unshare-user --cap-drop ALL @TREE_OPTIONS@ @PERSIST@ "$@"
if [ "$dolmen_print" ]; then
    printf '%s\n' "$@"
    exit
fi
if [ "$dolmen_pure" ]; then
    if [ "${dolmen_fd-}" = close ]; then
        set -- /bin/bash -p -c 'f=$1; shift
            for d in /proc/self/fd/*; do d=${d##*/}; [ "$d" -le 2 ] || eval "exec $d<&-"; done
            exec "$@" 9<"$f"' bash "$dolmen_filter" "$@"
    else
        exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&-
    fi
    if [ "$dolmen_root" ]; then
        set -- /usr/bin/unshare --mount --propagation private -- \
            /bin/sh -c '@FIX_DEVICES@ && exec "$@"' sh "$@"
    fi
fi
exec "$@" 9<"$dolmen_filter"
