"""Commands that no package ships because update-alternatives(1) makes their link when configuring.

No index of the archive holds these names, so the usual ones are listed here with the packages
that offer them, the one to take first. What a suite does not have is passed over by the reader.
"""

from __future__ import annotations

from functools import cache

_VIM = "vim vim-tiny vim-nox vim-gtk3 vim-motif neovim nvi elvis-tiny"
_JRE = (
    "default-jre-headless openjdk-25-jre-headless openjdk-21-jre-headless openjdk-17-jre-headless"
)
_JDK = (
    "default-jdk-headless openjdk-25-jdk-headless openjdk-21-jdk-headless openjdk-17-jdk-headless"
)
_IMAGES = "imagemagick graphicsmagick-imagemagick-compat"
_AWK = "mawk gawk original-awk"
_MAIL = "bsd-mailx mailutils s-nail"
_EMACS = "emacs-nox emacs-gtk emacs-lucid emacs-pgtk emacs"

_NAMES: tuple[tuple[str, str], ...] = (
    ("vi ex view", _VIM),
    ("vim vimdiff rvim rview", "vim vim-nox vim-gtk3 vim-motif neovim"),
    ("gvim gview gvimdiff evim", "vim-gtk3 vim-motif"),
    ("editor", f"nano {_VIM} {_EMACS}"),
    ("pico", "nano"),
    ("awk nawk", _AWK),
    ("pager", "less most util-linux"),
    ("java keytool jexec rmiregistry jpackage", _JRE),
    ("javac jar javadoc javap jarsigner jshell jdb jcmd jps jstack jmap jlink jmod jdeps", _JDK),
    ("cc", "gcc clang tcc"),
    ("c++", "g++ clang"),
    ("c89 c99", "gcc"),
    ("f77 f95", "gfortran"),
    ("convert identify mogrify composite montage display animate import compare", _IMAGES),
    ("conjure stream magick", "imagemagick"),
    ("nc netcat", "netcat-openbsd netcat-traditional ncat"),
    ("telnet", "telnet inetutils-telnet telnet-ssl"),
    ("ftp", "ftp tnftp inetutils-ftp"),
    ("tftp", "tftp-hpa"),
    ("rsh rlogin rcp", "openssh-client rsh-client"),
    ("x-terminal-emulator", "xterm gnome-terminal konsole xfce4-terminal kitty alacritty"),
    ("x-www-browser gnome-www-browser", "firefox-esr chromium epiphany-browser"),
    ("www-browser", "w3m lynx links elinks firefox-esr"),
    ("x-window-manager", "openbox icewm fluxbox i3-wm"),
    ("infobrowser", "info pinfo"),
    ("lzma unlzma lzcat lzless lzmore lzgrep lzcmp lzdiff", "xz-utils lzma"),
    ("pinentry", "pinentry-curses pinentry-gnome3 pinentry-qt pinentry-tty"),
    ("pinentry-x11", "pinentry-gnome3 pinentry-qt"),
    ("mt", "mt-st cpio"),
    ("js", "nodejs"),
    ("php phar phar.phar", "php-cli"),
    ("phpize php-config", "php-dev"),
    ("gnuplot", "gnuplot-nox gnuplot-qt gnuplot-x11"),
    ("rename prename", "rename"),
    ("mail mailx Mail", _MAIL),
    ("traceroute traceroute6 tracert", "traceroute inetutils-traceroute"),
    ("w", "procps"),
    ("write", "bsdextrautils"),
    ("which", "debianutils gnu-which"),
    ("fakeroot faked", "fakeroot"),
    ("automake aclocal", "automake"),
    ("emacs emacsclient ebrowse etags", _EMACS),
    ("ctags", f"universal-ctags exuberant-ctags {_EMACS}"),
    ("lua lua-interpreter", "lua5.4 lua5.3 lua5.2 lua5.1"),
    ("luac lua-compiler", "lua5.4 lua5.3 lua5.2 lua5.1"),
    ("mpirun mpiexec", "openmpi-bin mpich"),
    ("mpicc mpic++ mpicxx mpiCC mpif77 mpif90 mpifort", "libopenmpi-dev libmpich-dev"),
    ("iptables iptables-save iptables-restore ip6tables ip6tables-save", "iptables"),
    ("ip6tables-restore arptables ebtables", "iptables arptables ebtables"),
    ("yacc", "bison byacc"),
    ("ksh", "ksh93u+m mksh"),
    ("csh", "csh tcsh"),
    ("mpg123", "mpg123"),
    ("mp3-decoder", "mpg123 mpg321"),
    ("figlet", "figlet toilet"),
    ("wine wineserver", "wine"),
    ("cdrecord", "wodim"),
    ("locate updatedb", "plocate locate mlocate"),
    ("csc cli", "mono-mcs mono-runtime"),
    ("ssh-askpass", "ssh-askpass ssh-askpass-gnome ksshaskpass"),
    ("aptitude", "aptitude"),
    ("wish", "tk"),
    ("tclsh", "tcl"),
    ("jsonlint-php", "jsonlint"),
)


@cache
def _table() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for names, packages in _NAMES:
        for name in names.split():
            found[name] = tuple(dict.fromkeys((*found.get(name, ()), *packages.split())))
    return found


def alternatives(command: str) -> tuple[str, ...]:
    """The packages that offer a command through alternatives, the one to take first."""
    return _table().get(command, ())
