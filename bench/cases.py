"""What is measured. Each case returns a Result; the aims are the project's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench import disks, entering, history, images, prompts
from bench.measure import Result, fresh_filesystem, median, used_bytes
from bench.setting import Place, Setting

SMALL = ("python3",)
#: About 250 packages with their closure: a compiler, several languages, a database.
MIDDLE = (
    "build-essential",
    "git",
    "python3-numpy",
    "nodejs",
    "ruby",
    "postgresql",
    "r-base-core",
)
#: About 1000 packages with their closure.
LARGE = (
    "xfce4",
    "xfce4-goodies",
    "firefox-esr",
    "libreoffice",
    "gimp",
    "inkscape",
    "evince",
    "vlc",
    "thunderbird",
    "texlive-latex-recommended",
    "kate",
    "okular",
    "digikam",
)
#: Packages in every closure of python3: asking for one as well gives another lock, and so another
#: image, of the same .debs.
COMPANIONS = (
    "python3-minimal",
    "libpython3-stdlib",
    "python3.11",
    "python3.11-minimal",
    "libpython3.11-stdlib",
    "libpython3.11-minimal",
    "media-types",
    "libsqlite3-0",
    "libexpat1",
)
#: Small packages without dependencies beyond the Essential ones.
SINGLES = ("tree", "bc", "less", "file", "psmisc", "time", "dos2unix", "ed", "moreutils", "jq")


@contextmanager
def place(setting: Setting) -> Iterator[Place]:
    with fresh_filesystem(setting.filesystem) as root:
        yield Place(setting, root)


def cold(setting: Setting, packages: Sequence[str], title: str, aim: str) -> Result:
    """Empty store, no index yet; both sides in turn, each on a file system of its own."""
    result = Result(title, aim)
    for _ in range(setting.repeat):
        with place(setting) as here:
            project = here.project("project", packages)
            result.dolmen.append(here.run_dolmen(project, "install"))
        with place(setting) as here:
            result.peer.append(here.run_mmdebstrap(packages))
    return result


def warm(setting: Setting, packages: Sequence[str], title: str, aim: str) -> Result:
    """Index fetched, .debs imported, base known; the image itself is new every time."""
    result = Result(title, aim)
    with place(setting) as here:
        here.run_dolmen(here.project("project", packages), "install")
        for number in range(setting.repeat):
            project = here.project(f"warm{number}", [*packages, *COMPANIONS[: number + 1]])
            result.dolmen.append(here.run_dolmen(project, "install"))
    for _ in range(setting.repeat):
        with place(setting) as here:
            result.peer.append(here.run_mmdebstrap(packages))
    return result


def small_cold(setting: Setting) -> Result:
    return cold(setting, SMALL, "cold: Essential and python3", "2 times faster (3)")


def small_warm(setting: Setting) -> Result:
    return warm(setting, SMALL, "warm: the same, .debs imported, base known", "8 times (20)")


def middle_cold(setting: Setting) -> Result:
    return cold(setting, MIDDLE, "cold: 250 packages in several languages", "2 times (3)")


def middle_warm(setting: Setting) -> Result:
    packages = ("python3", *MIDDLE)
    return warm(setting, packages, "warm: 250 packages in several languages", "4 times (8)")


def large_cold(setting: Setting) -> Result:
    return cold(setting, LARGE, "cold: a desktop", "2 times (3)")


def large_warm(setting: Setting) -> Result:
    return warm(setting, ("python3", *LARGE), "warm: a desktop", "4 times (8)")


def added(setting: Setting) -> Result:
    """One package more, its .deb still to be fetched, in an environment that is there."""
    result = Result("one package added", "10 times faster than mmdebstrap's whole result (20)")
    with place(setting) as here:
        project = here.project("project", SMALL)
        here.run_dolmen(project, "install")
        for number in range(setting.repeat):
            directory = here.copy(project, f"added{number}")
            here.run_dolmen(directory, "sync")
            result.dolmen.append(here.run_dolmen(directory, "install", SINGLES[number]))
    for number in range(setting.repeat):
        with place(setting) as here:
            result.peer.append(here.run_mmdebstrap([*SMALL, SINGLES[number]]))
    return result


def second(setting: Setting) -> Result:
    result = Result("a second directory with the same lock", "under 0.3 s", peer_name="")
    with place(setting) as here:
        project = here.project("project", SMALL)
        here.run_dolmen(project, "install")
        for number in range(max(10, setting.repeat)):
            directory = here.copy(project, f"second{number}")
            result.dolmen.append(here.run_dolmen(directory, "sync"))
    return result


def launcher(setting: Setting) -> Result:
    """A launcher beside the same bubblewrap call by hand."""
    result = Result("a launcher", "within 1.3 times of bubblewrap by hand", peer_name="bwrap")
    with place(setting) as here:
        entering.measure(
            here, result, lambda project: [str(project / ".dolmen/current/launch"), "true"]
        )
    return result


def run_verb(setting: Setting) -> Result:
    result = Result("dolmen run -- true", "10 ms more than bubblewrap by hand", peer_name="bwrap")
    with place(setting) as here:
        command = [str(setting.dolmen), "run", "--", "true"]
        entering.measure(here, result, lambda _project: command)
    result.figures["milliseconds more"] = 1000 * (median(result.dolmen) - median(result.peer))
    return result


def prompt(setting: Setting) -> Result:
    """The prompt hook inside an environment; direnv's own is the peer."""
    result = Result("a prompt with the hook", "under 5 ms in every shell", peer_name="direnv")
    with place(setting) as here:
        project = here.project("project", SMALL)
        here.run_dolmen(project, "install")
        prompts.measure(result, project, here.environment, here.run_dolmen)
    return result


def disk(setting: Setting) -> Result:
    """What the tenth environment costs that differs from the first by one package."""
    result = Result("disk for the tenth environment", "under 5 % of the first", peer_name="")
    with place(setting) as here:
        project = here.project("project", SMALL)
        taken = [used_bytes(here.root)]
        here.run_dolmen(project, "install")
        taken.append(used_bytes(here.root))
        for number, package in enumerate(SINGLES[:9]):
            directory = here.project(f"other{number}", [*SMALL, package])
            result.dolmen.append(here.run_dolmen(directory, "install"))
            taken.append(used_bytes(here.root))
    first, tenth = taken[1] - taken[0], taken[-1] - taken[-2]
    result.figures["first, MB"] = first / 1e6
    result.figures["tenth, MB"] = tenth / 1e6
    result.figures["tenth, % of the first"] = 100 * tenth / first
    return result


CASES: dict[str, Callable[[Setting], Result]] = {
    "cold": small_cold,
    "warm": small_warm,
    "added": added,
    "second": second,
    "launcher": launcher,
    "run": run_verb,
    "prompt": prompt,
    "disk": disk,
    "disk-image": disks.disk_image,
    "system-cold": images.cold,
    "system-warm": images.warm,
    "system-added": images.added,
    "generations": history.generations,
    "middle-cold": middle_cold,
    "middle-warm": middle_warm,
    "desktop-cold": large_cold,
    "desktop-warm": large_warm,
}
#: Hours rather than minutes: only when asked for.
OPTIONAL = {"desktop-cold", "desktop-warm"}
