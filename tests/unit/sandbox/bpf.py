"""A tiny interpreter of classic BPF, as seccomp(2) uses it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

ALLOW = 0x7FFF0000
_ERRNO = 0x00050000


@dataclass(frozen=True, slots=True)
class Call:
    audit: int
    number: int
    arguments: tuple[int, ...] = ()
    big_endian: bool = False

    def data(self) -> bytes:
        """`struct seccomp_data` in the machine's byte order."""
        order = ">" if self.big_endian else "<"
        arguments = (*self.arguments, *(0,) * 6)[:6]
        return struct.pack(f"{order}IIQ6Q", self.number & 0xFFFFFFFF, self.audit, 0, *arguments)


def verdict(program: bytes, call: Call) -> int | None:
    """The errno that a call gets, None when it is allowed; every instruction is checked."""
    order = ">" if call.big_endian else "<"
    code: list[tuple[int, int, int, int]] = [
        struct.unpack_from(f"{order}HBBI", program, at) for at in range(0, len(program), 8)
    ]
    data = call.data()
    accumulator, at = 0, 0
    while True:
        operation, if_true, if_false, value = code[at]
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from(f"{order}I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x45:
                at += if_true if accumulator & value else if_false
            case 0x06:
                if value == ALLOW:
                    return None
                assert value & 0xFFFF0000 == _ERRNO
                return value & 0xFFFF
            case _:
                raise AssertionError(f"unknown instruction {operation:#x}")
