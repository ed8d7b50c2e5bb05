"""Programs that only work once their packages' scripts have run, many languages in one environment.

One environment of several hundred packages from the real archive, made by an ordinary user without
subordinate ids in a store of that user's own; every command runs through `dolmen run`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dolmen.support.files import remove_tree
from tests.lib.command import Dolmen
from tests.lib.users import OrdinaryUser

pytestmark = [pytest.mark.network, pytest.mark.root]

PACKAGES = (
    *("python3-numpy", "python3-requests", "gcc", "g++", "make", "cmake", "git", "curl"),
    *("openjdk-17-jre-headless", "r-base-core", "nodejs", "ruby", "php-cli", "tcl", "lua5.4"),
    *("guile-3.0", "libjson-xs-perl", "postgresql", "texlive-latex-base", "ghostscript"),
    *("imagemagick", "graphviz", "gnuplot-nox", "fontconfig", "fonts-dejavu-core", "vim"),
    *("locales-all", "man-db", "ca-certificates", "sqlite3", "openssh-client", "gawk", "apt"),
)

C = """
#include <stdio.h>
int main(void) { puts("made of C"); return 0; }
"""

LATEX = r"""
\documentclass{article}
\begin{document}Hello $x^2$\end{document}
"""

#: What is typed (by sh, in the environment, in a scratch directory) and what must come out.
COMMANDS: dict[str, tuple[str, str]] = {
    "python": ("python3 -c 'print(\"hello\")'", "hello"),
    "numpy, BLAS by alternatives": ("python3 -c 'import numpy; print(numpy.eye(2).sum())'", "2.0"),
    "requests, CA bundle": (
        "python3 -c 'import requests.certs as c, ssl; "
        "print(len(ssl.create_default_context(cafile=c.where()).get_ca_certs()) > 100)'",
        "True",
    ),
    "a C compiler": ("gcc -o made made.c && ./made", "made of C"),
    "a C++ compiler": (
        "echo 'int main(){return 0;}' >x.cc && g++ -o x x.cc && ./x && echo ok",
        "ok",
    ),
    "cc by alternatives": ("cc --version | head -1 | cut -d' ' -f1", "cc"),
    "make": ("printf 'all:\\n\\t@echo made\\n' | make -f -", "made"),
    "cmake": ("cmake --system-information | grep -c CMAKE_VERSION >/dev/null && echo ok", "ok"),
    "java by alternatives": ("java -version 2>&1 | grep -c 'OpenJDK Runtime'", "1"),
    "java's key store": (
        "keytool -list -cacerts -storepass changeit 2>/dev/null | grep -c trustedCertEntry "
        "| awk '{print ($1 > 100)}'",
        "1",
    ),
    "R": ("Rscript -e 'cat(sum(solve(diag(2))))'", "2"),
    "node": ("node -p '[1,2,3].map(x => x * 2).join()'", "2,4,6"),
    "ruby": ("ruby -rjson -e 'puts JSON.generate([1])'", "[1]"),
    "php": ("php -r 'echo json_encode([1]);'", "[1]"),
    "tcl": ("echo 'puts [expr 6*7]' | tclsh", "42"),
    "lua by alternatives": ("lua -e 'print(6*7)'", "42"),
    "guile": ("guile -c '(display (* 6 7))'", "42"),
    "perl, a compiled module": ("perl -MJSON::XS -e 'print encode_json([1])'", "[1]"),
    "awk by alternatives": ("awk -W version 2>&1 | head -1 | cut -d' ' -f1,2", "GNU Awk"),
    "a database's initdb": ("/usr/lib/postgresql/15/bin/initdb -D db >/dev/null && echo ok", "ok"),
    "pdflatex": ("pdflatex -interaction=batchmode t.tex >/dev/null; head -c 5 t.pdf", "%PDF-"),
    "latex and dvips": (
        "latex -interaction=batchmode t.tex >/dev/null; dvips -q t.dvi -o t.ps; head -c 4 t.ps",
        "%!PS",
    ),
    "ghostscript, its fonts": (
        "echo '%!\\n/Helvetica findfont pop (ok) =' | gs -q -dNODISPLAY -dBATCH -dNOPAUSE -",
        "ok",
    ),
    "convert by alternatives": ("convert -size 8x8 xc:red png:- | head -c 4 | tail -c 3", "PNG"),
    "dot, its plugin list": ("echo 'graph{a--b}' | dot -Tsvg | grep -c '<ellipse'", "2"),
    "gnuplot by alternatives": ("gnuplot -e 'print 6*7' 2>&1", "42"),
    "fontconfig": ("fc-match -f '%{family}' 'DejaVu Sans'", "DejaVu Sans"),
    "vi by alternatives": ("vi --version | head -1 | cut -d' ' -f1", "VIM"),
    "locales": ("LC_ALL=de_DE.UTF-8 locale -k thousands_sep", 'thousands_sep="."'),
    "manual pages by name": ("whatis curl | cut -d' ' -f1", "curl"),
    "git": (
        "git init -q r && git -C r -c user.name=a -c user.email=a@example.org "
        "commit -q --allow-empty -m x && echo ok",
        "ok",
    ),
    "sqlite": ("sqlite3 :memory: 'select 6*7'", "42"),
    "dpkg's own account": ("dpkg -V && dpkg --audit && echo ok", "ok"),
    "dpkg -S": ("dpkg -S /usr/bin/curl", "curl: /usr/bin/curl"),
    "apt-mark": ("apt-mark showmanual | grep -cx -e curl -e gcc", "2"),
    "apt-cache policy": ("apt-cache policy curl | grep -c 'Installed: 7'", "1"),
}


@pytest.fixture(scope="module")
def environment(installed_source: Path, ordinary_user: OrdinaryUser) -> Iterator[Dolmen]:
    dolmen = Dolmen(installed_source, Path("/"), None).as_user(ordinary_user)
    dolmen.ok("init", "--suite", "bookworm")
    dolmen.ok("install", *PACKAGES, timeout=900)
    (dolmen.directory / "made.c").write_text(C)
    (dolmen.directory / "t.tex").write_text(LATEX)
    yield dolmen
    remove_tree(ordinary_user.home / ".local/share/dolmen")


def test_several_hundred_packages(environment: Dolmen) -> None:
    lock = (environment.directory / "dolmen.lock").read_text()
    assert lock.count("\nPackage: ") > 350


@pytest.mark.parametrize("what", COMMANDS)
def test_command(environment: Dolmen, what: str) -> None:
    command, expected = COMMANDS[what]
    done = environment("run", "--", "sh", "-c", command, timeout=120)
    assert done.stdout.decode().strip() == expected, done.stderr.decode()[-2000:]
