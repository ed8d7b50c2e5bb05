"""GVariant's serialisation, read by type string, and its text form.

Numbers are read in little-endian order, as libostree's own files are on every machine that Debian
12 and 13 support; where libostree stores big-endian numbers, `swapped` turns them. What the format
is: "GVariant Specification" (Alexander Larsson, Allison Lortie); its defaults for what is not in
normal form hold as far as they matter for reading (a wrong offset raises ValueError).

Values: int, bool, float, str; `ay` is bytes; arrays are lists, tuples and dictionary entries are
tuples, `v` is a `Variant`, a maybe is None or a one-tuple.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Basic type -> (size, struct's letter, prefix of the text form where it is no plain int32).
_NUMBERS = {
    "y": (1, "B", "byte "),
    "n": (2, "h", "int16 "),
    "q": (2, "H", "uint16 "),
    "i": (4, "i", ""),
    "u": (4, "I", "uint32 "),
    "x": (8, "q", "int64 "),
    "t": (8, "Q", "uint64 "),
    "h": (4, "i", "handle "),
    "d": (8, "d", ""),
}
_STRINGS = {"s": "", "o": "objectpath ", "g": "signature "}
#: Deeper is no file of libostree's, but an attack on the stack.
_DEPTH = 64


class Variant:
    """A value with its type, as `v` holds it."""

    __slots__ = ("type", "value")

    def __init__(self, type_: str, value: Any) -> None:
        self.type = type_
        self.value = value


class _Type:
    """A type string taken apart: `size` is 0 where values differ in size."""

    __slots__ = ("align", "kind", "parts", "size", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.kind = kind = text[0]
        self.parts: tuple[_Type, ...] = ()
        self.size, self.align = 0, 1
        if kind in _NUMBERS:
            self.size = self.align = _NUMBERS[kind][0]
        elif kind == "b":
            self.size = 1
        elif kind == "v":
            self.align = 8
        elif kind in "am":
            self.parts = (_type(text[1:]),)
            self.align = self.parts[0].align
        elif kind in "({":
            self.parts = tuple(_split(text[1:-1]))
            self.align = max((part.align for part in self.parts), default=1)
            self.size = self._fixed()
        elif kind not in _STRINGS:
            raise ValueError(f"no type: {text}")

    def _fixed(self) -> int:
        position = 0
        for part in self.parts:
            if not part.size:
                return 0
            position += -position % part.align + part.size
        return position + -position % self.align if self.parts else 1


_types: dict[str, _Type] = {}


def _type(text: str) -> _Type:
    found = _types.get(text)
    if found is None:
        if not text or len(text) > 255 or _end(text, 0) != len(text):
            raise ValueError(f"no type: {text[:40]}")
        found = _types[text] = _Type(text)
    return found


def _end(text: str, start: int, depth: int = 0) -> int:
    """Where the type that begins at `start` ends."""
    if depth > _DEPTH:
        raise ValueError("too deep")
    letter = text[start : start + 1]
    if letter and letter in "am":
        return _end(text, start + 1, depth + 1)
    if letter and letter in "({":
        close = ")" if letter == "(" else "}"
        start += 1
        while text[start : start + 1] != close:
            start = _end(text, start, depth + 1)
        return start + 1
    if not letter or not (letter in _NUMBERS or letter in _STRINGS or letter in "bv"):
        raise ValueError(f"no type: {text[:40]}")
    return start + 1


def _split(text: str) -> list[_Type]:
    found = []
    start = 0
    while start < len(text):
        end = _end(text, start)
        found.append(_type(text[start:end]))
        start = end
    return found


def width(size: int) -> int:
    """How many bytes a framing offset has in a container of this size."""
    return 1 if size < 256 else 2 if size < 65536 else 4 if size < 1 << 32 else 8


def read(type_: str, data: bytes) -> Any:
    """The value of a serialised variant; raises ValueError when it is not one."""
    return _read(_type(type_), data, 0)


def _read(kind: _Type, data: bytes, depth: int) -> Any:
    if depth > _DEPTH:
        raise ValueError("too deep")
    letter = kind.kind
    if letter in _NUMBERS:
        size, code, _ = _NUMBERS[letter]
        if len(data) != size:
            raise ValueError("wrong size")
        return struct.unpack("<" + code, data)[0]
    if letter == "b":
        if len(data) != 1:
            raise ValueError("wrong size")
        return data[0] != 0
    if letter in _STRINGS:
        if data[-1:] != b"\0":
            raise ValueError("no string")
        return data[:-1].decode()
    if letter == "v":
        body, mark, text = data.rpartition(b"\0")
        if not mark:
            raise ValueError("no variant")
        inner = text.decode("ascii")
        return Variant(inner, _read(_type(inner), body, depth + 1))
    if letter == "m":
        part = kind.parts[0]
        if not data:
            return None
        return (_read(part, data if part.size else data[:-1], depth + 1),)
    if letter == "a":
        if kind.text == "ay":
            return data
        return [_read(kind.parts[0], item, depth + 1) for item in _items(kind.parts[0], data)]
    return tuple(
        _read(part, item, depth + 1)
        for part, item in zip(kind.parts, members(kind, data), strict=True)
    )


def _items(part: _Type, data: bytes) -> list[bytes]:
    """The elements of an array."""
    if not data:
        return []
    if part.size:
        if len(data) % part.size:
            raise ValueError("wrong size")
        return [data[i : i + part.size] for i in range(0, len(data), part.size)]
    size = width(len(data))
    body = int.from_bytes(data[-size:], "little")
    count, rest = divmod(len(data) - body, size)
    if rest or body > len(data):
        raise ValueError("bad framing offset")
    found = []
    start = 0
    for place in range(body, body + count * size, size):
        end = int.from_bytes(data[place : place + size], "little")
        if not start <= end <= body:
            raise ValueError("bad framing offset")
        found.append(data[start:end])
        start = end + -end % part.align
    return found


def members(kind: _Type | str, data: bytes) -> list[bytes]:
    """The members of a tuple, still serialised; raises ValueError."""
    if isinstance(kind, str):
        kind = _type(kind)
    size = width(len(data))
    place = len(data)
    last = len(kind.parts) - 1
    limit = len(data) - size * sum(not part.size for part in kind.parts[:-1])
    found = []
    start = 0
    for number, part in enumerate(kind.parts):
        start += -start % part.align
        if part.size:
            end = start + part.size
        elif number == last:
            end = limit
        else:
            place -= size
            end = int.from_bytes(data[place : place + size], "little")
        if not start <= end <= limit:
            raise ValueError("bad framing offset")
        found.append(data[start:end])
        start = end
    return found


def swapped(type_: str, value: Any) -> Any:
    """A value with the bytes of its numbers turned round, as g_variant_byteswap does."""
    return _swapped(_type(type_), value)


def _swapped(kind: _Type, value: Any) -> Any:
    letter = kind.kind
    if letter in _NUMBERS and letter != "y":
        code = _NUMBERS[letter][1]
        return struct.unpack("<" + code, struct.pack(">" + code, value))[0]
    if letter == "v":
        return Variant(value.type, _swapped(_type(value.type), value.value))
    if letter == "a" and kind.text != "ay":
        return [_swapped(kind.parts[0], item) for item in value]
    if letter in "({":
        return tuple(_swapped(part, item) for part, item in zip(kind.parts, value, strict=True))
    if letter == "m" and value is not None:
        return (_swapped(kind.parts[0], value[0]),)
    return value


def text(type_: str, value: Any, *, annotated: bool = True) -> str:
    """A value as g_variant_print writes it; `annotated`: with its types where they do not show."""
    return _text(_type(type_), value, annotated)


def _text(kind: _Type, value: Any, typed: bool) -> str:
    letter = kind.kind
    if letter == "b":
        return "true" if value else "false"
    if letter == "y":
        return f"{'byte ' if typed else ''}0x{value:02x}"
    if letter == "d":
        shown = f"{value:.17g}"
        return shown if any(c in shown for c in ".en") else f"{shown}.0"
    if letter in _NUMBERS:
        return f"{_NUMBERS[letter][2] if typed else ''}{value}"
    if letter in _STRINGS:
        return f"{_STRINGS[letter] if typed else ''}{_quoted(value)}"
    if letter == "v":
        return f"<{_text(_type(value.type), value.value, True)}>"
    if letter == "m":
        return _maybe(kind, value, typed)
    if letter == "a":
        return _array(kind, value, typed)
    if letter == "{":
        key, item = (_text(part, one, typed) for part, one in zip(kind.parts, value, strict=True))
        return f"{{{key}: {item}}}"
    inner = ", ".join(_text(part, one, typed) for part, one in zip(kind.parts, value, strict=True))
    return f"({inner},)" if len(kind.parts) == 1 else f"({inner})"


def _maybe(kind: _Type, value: Any, typed: bool) -> str:
    mark = f"@{kind.text} " if typed else ""
    if value is None:
        return f"{mark}nothing"
    if kind.parts[0].kind == "m":
        return f"{mark}just {_text(kind.parts[0], value[0], False)}"
    return mark + _text(kind.parts[0], value[0], False)


def _array(kind: _Type, value: Any, typed: bool) -> str:
    part = kind.parts[0]
    if kind.text == "ay" and value[-1:] == b"\0" and b"\0" not in value[:-1]:
        return f"b{_bytestring(value[:-1])}"
    if not value:
        empty = "{}" if part.kind == "{" else "[]"
        return f"@{kind.text} {empty}" if typed else empty
    if part.kind == "{":
        pairs = []
        for number, (key, item) in enumerate(value):
            first = typed and not number
            pairs.append(f"{_text(part.parts[0], key, first)}: {_text(part.parts[1], item, first)}")
        return "{" + ", ".join(pairs) + "}"
    shown = [_text(part, item, typed and not number) for number, item in enumerate(value)]
    return "[" + ", ".join(shown) + "]"


def _quoted(value: str) -> str:
    mark = '"' if "'" in value else "'"
    out = []
    for letter in value:
        if letter in (mark, "\\"):
            out.append(f"\\{letter}")
        elif letter.isprintable():
            out.append(letter)
        elif letter in "\a\b\f\n\r\t\v":
            out.append("\\" + "abfnrtv"["\a\b\f\n\r\t\v".index(letter)])
        elif ord(letter) < 0x10000:
            out.append(f"\\u{ord(letter):04x}")
        else:
            out.append(f"\\U{ord(letter):08x}")
    return mark + "".join(out) + mark


def _bytestring(value: bytes) -> str:
    mark = '"' if b"'" in value else "'"
    out = []
    for byte in value:
        letter = chr(byte)
        if letter in ('"', "\\"):  # g_strescape knows only this quotation mark
            out.append(f"\\{letter}")
        elif letter in "\b\f\n\r\t\v":
            out.append("\\" + "bfnrtv"["\b\f\n\r\t\v".index(letter)])
        elif 0x20 <= byte < 0x7F:
            out.append(letter)
        else:
            out.append(f"\\{byte:03o}")
    return mark + "".join(out) + mark
