"""How a system starts: the boot loader's files, the menu, and whether the newest entry works."""

from dolmen.system.boot.assets import BootAssets, assets
from dolmen.system.boot.booted import booted_deployment
from dolmen.system.boot.embedding import MBR_CODE, embed
from dolmen.system.boot.generating import settle
from dolmen.system.boot.menu import BootEntry, arguments, menu, read_entries
from dolmen.system.boot.placing import MachineFile, machine_files
from dolmen.system.boot.state import BootState, mark_good, read_state, start_once

__all__ = [
    "MBR_CODE",
    "BootAssets",
    "BootEntry",
    "BootState",
    "MachineFile",
    "arguments",
    "assets",
    "booted_deployment",
    "embed",
    "machine_files",
    "mark_good",
    "menu",
    "read_entries",
    "read_state",
    "settle",
    "start_once",
]
