#!/bin/sh
# Runs inside an image while it is built, by the image's own shell and dpkg.
#
# Packages are merged and recorded as "unpacked"; this runs what dpkg would run from there, in one
# fixed order. A single `dpkg --configure -a` would be wrong: nothing declares a dependency on
# Essential packages, so dpkg cannot know that base-files comes first.
#
# /run/dolmen holds the plan: preinst and configure, first, early and then (one package a
# line: NAME ARCHITECTURE INFO-NAME). Lines that begin with "@dolmen" are for the caller.
# dpkg closes its status descriptor for the scripts, so it is never 1 itself.
set -u
umask 022
cd /
plan=/run/dolmen
admin=/var/lib/dpkg

preinsts() {
    [ -s "$1" ] || return 0
    while read -r package architecture info; do
        echo "@dolmen preinst $package"
        # dpkg sets these for a maintainer script (dpkg(1), ENVIRONMENT); DEBCONF_PACKAGE because
        # debconf would otherwise read the name from dpkg's unpack area, which we never have.
        DPKG_MAINTSCRIPT_PACKAGE=$package DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 \
            DPKG_MAINTSCRIPT_ARCH=$architecture DPKG_MAINTSCRIPT_NAME=preinst \
            DPKG_MAINTSCRIPT_DEBUG=0 DPKG_RUNNING_VERSION=$DOLMEN_DPKG_VERSION \
            DPKG_ROOT='' DPKG_ADMINDIR=$admin DEBCONF_PACKAGE=$package \
            "$admin/info/$info.preinst" install </dev/null || {
            echo "@dolmen failed preinst $package $?"
            exit 1
        }
    done <"$1"
}

configure() {
    force=$1
    list=$2
    [ -s "$list" ] || return 0
    set --
    while read -r package architecture info; do
        set -- "$@" "$info"
    done <"$list"
    dpkg $force --abort-after=1 --status-fd 3 --configure "$@" </dev/null 3>&1 || exit 1
}

if [ ! -e /usr/sbin/policy-rc.d ]; then
    # No service starts here (policy-rc.d(8), invoke-rc.d(8)); taken out again by the caller.
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
fi

if [ -s "$plan/preinst-first" ]; then
    preinsts "$plan/preinst-first"
    ldconfig
    # mawk's own postinst registers the alternative, but scripts before it need an awk.
    [ -e /usr/bin/awk ] || { [ -e /usr/bin/mawk ] && ln -s mawk /usr/bin/awk; }
    configure --force-depends "$plan/configure-first"
fi
preinsts "$plan/preinst-early"
configure "$DOLMEN_FORCE" "$plan/configure-early"
preinsts "$plan/preinst"
configure "$DOLMEN_FORCE" "$plan/configure"
echo "@dolmen triggers"
dpkg --abort-after=1 --status-fd 3 --configure --pending </dev/null 3>&1 || exit 1
echo "@dolmen finish"
if [ -s "$plan/finish" ]; then
    . "$plan/finish"
fi
ldconfig
exit 0
