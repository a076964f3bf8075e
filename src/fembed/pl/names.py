"""Names as figures can show them: in one line of plain characters, as long as there is room for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

#: The rest of a name longer than this is never seen.
_LONGEST = 1000
_CUT = "…"
# What a terminal takes as a command: colours, titles, and what else begins with an escape.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -~]?")
# Marks that turn the direction of what comes after them, beyond the name's own end.
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\ufeff]")
#: How much of a shortened name is its beginning. The other shares are for names that would read
#: the same otherwise.
_SHARES = (0.55, 0.3, 0.8, 0.1, 0.93, 0.45, 0.65)


def plain(name: str) -> str:
    """A name in one line, without control characters."""
    text = _TURNS.sub("", _ESCAPES.sub("", str(name)))
    if len(text) > _LONGEST:
        text = text[: _LONGEST // 2] + _CUT + text[-_LONGEST // 2 :]
    kinds = {"Cc": " ", "Zl": " ", "Zp": " ", "Cs": "\ufffd"}
    text = "".join(kinds.get(unicodedata.category(letter), letter) for letter in text)
    return " ".join(text.split())


def width(text: str, size: float) -> float:
    """Inches across ``text`` in type of ``size`` points."""
    return sum(map(_advance, text)) * size / 72.0


def shortened(name: str, inches: float, size: float, share: float = _SHARES[0]) -> str:
    """A name with as much of its middle left out as the width asks for."""
    text = plain(name)
    if width(text, size) <= inches:
        return text
    room = inches - width(_CUT, size)
    head = _fitting(text, share * room, size)
    tail = _fitting(text[::-1], room - width(head, size), size)[::-1]
    return f"{head.rstrip()}{_CUT}{tail.lstrip()}"


def told_apart(names: Sequence[str], inches: float, size: float) -> list[str]:
    """Every name, shortened where it must be, in such a way that no two read the same."""
    taken: dict[str, str] = {}
    found = []
    for name in names:
        tried = (shortened(name, inches, size, share) for share in _SHARES)
        short = next((text for text in tried if text not in taken), None)
        number = 1
        while short is None:
            number += 1
            ending = f" ({number})"
            text = shortened(name, inches - width(ending, size), size) + ending
            short = None if text in taken else text
        taken[short] = name
        found.append(short)
    return found


def wrapped(name: str, inches: float, size: float, lines: int = 2) -> str:
    """A name in at most so many lines, shortened in the middle if they do not hold it."""
    text = plain(name)
    room = lines * inches
    while True:
        broken = _broken(text, inches, size)
        if len(broken) <= lines or room < 0.2 * inches:
            return "\n".join(broken[:lines])
        room -= 0.1 * inches
        text = shortened(name, room, size)


def _broken(text: str, inches: float, size: float) -> list[str]:
    """Lines no wider than asked for, broken between words where that can be."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if width(longer, size) <= inches:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while width(line, size) > inches and len(line) > 1:
            head = _fitting(line, inches, size) or line[0]
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line]


def _fitting(text: str, inches: float, size: float) -> str:
    """The longest beginning of ``text`` that is no wider."""
    points, room = 0.0, inches * 72.0 / size
    for count, letter in enumerate(text):
        points += _advance(letter)
        if points > room:
            return text[:count]
    return text


@lru_cache(maxsize=4096)
def _advance(letter: str) -> float:
    """The width of a letter in the type of figures, of which the size is one point."""
    import warnings

    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    size = 72.0  # hinted at the size of one point, letters are all alike
    bars, both = ("||", f"|{letter}|")  # a blank alone has no width
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        inner, outer = (
            text_to_path.get_text_width_height_descent(text, FontProperties(size=size), False)[0]
            for text in (bars, both)
        )
    return max(0.0, float(outer - inner)) / size
