"""Names as figures can show them: in one line of plain characters, as long as there is room for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

#: The rest of a name longer than this is never seen.
_MAX_LENGTH = 1000
_CUT = "…"
# What a terminal takes as a command: colours, titles, and what else begins with an escape.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -~]?")
# Marks that turn the direction of what comes after them, beyond the name's own end.
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\ufeff]")


def plain(name: str) -> str:
    """A name in one line, without control characters."""
    text = _TURNS.sub("", _ESCAPES.sub("", str(name)))
    if len(text) > _MAX_LENGTH:
        text = text[: _MAX_LENGTH // 2] + _CUT + text[-_MAX_LENGTH // 2 :]
    kinds = {"Cc": " ", "Zl": " ", "Zp": " ", "Cs": "\ufffd"}
    text = "".join(kinds.get(unicodedata.category(letter), letter) for letter in text)
    return " ".join(text.split())


def width(text: str, size: float) -> float:
    """Inches across ``text`` in type of ``size`` points."""
    return sum(map(_advance, text)) * size / 72.0


def shortened(name: str, inches: float, size: float) -> str:
    """A name with as much of its middle left out as the width asks for."""
    return _cut(plain(name), inches, size)


def told_apart(names: Sequence[str], inches: float, size: float) -> list[str]:
    """Every name, shortened where it must be, in such a way that no two read the same.

    Names that would are shortened elsewhere: what they differ in is kept.
    """
    texts = [plain(name) for name in names]
    found = [_cut(text, inches, size) for text in texts]
    alike: dict[str, list[int]] = {}
    for k, short in enumerate(found):
        alike.setdefault(short, []).append(k)
    for group in alike.values():
        if len(group) > 1:
            begin, end = _common_ends([texts[k] for k in group])
            for k in group:
                found[k] = _cut_around(texts[k], begin, len(texts[k]) - end, inches, size)
    taken: set[str] = set()
    for k, short in enumerate(found):
        number = 1
        while found[k] in taken:
            number += 1
            ending = f" ({number})"
            found[k] = _cut(short, inches - width(ending, size), size) + ending
        taken.add(found[k])
    return found


def _cut(text: str, inches: float, size: float, share: float = 0.55) -> str:
    """``text`` with its middle left out; ``share`` of what stays is its beginning."""
    if width(text, size) <= inches:
        return text
    room = inches - width(_CUT, size)
    head = _fitting(text, share * room, size)
    tail = _fitting(text[::-1], room - width(head, size), size)[::-1]
    return head.rstrip() + _CUT + tail.lstrip()


def _cut_around(text: str, begin: int, end: int, inches: float, size: float) -> str:
    """``text`` with its part from ``begin`` to ``end`` as whole as can be, cut on both sides."""
    core = _cut(text[begin:end], 0.7 * inches, size)
    rest = inches - width(core, size) - width(_CUT, size)
    after = _fitting(text[end:], 0.4 * rest, size)
    before = _cut(text[:begin], rest - width(after, size), size)
    return before + core + after + (_CUT if end + len(after) < len(text) else "")


def _common_ends(texts: Sequence[str]) -> tuple[int, int]:
    """How many letters all texts have in common at the beginning, and how many at the end."""
    begin = _common_beginning(texts)
    end = _common_beginning([text[::-1] for text in texts])
    return begin, min(end, min(map(len, texts)) - begin)


def _common_beginning(texts: Sequence[str]) -> int:
    columns = zip(*texts, strict=False)
    return next((k for k, some in enumerate(columns) if len(set(some)) > 1), min(map(len, texts)))


def wrapped(name: str, inches: float, size: float, lines: int = 2) -> str:
    """A name in at most so many lines, shortened in the middle if they do not hold it."""
    return all_wrapped([name], inches, size, lines)[0]


def all_wrapped(names: Sequence[str], inches: float, size: float, lines: int = 2) -> list[str]:
    """As `wrapped`, of names that must not read the same."""
    room = lines * inches
    texts = [plain(name) for name in names]
    while True:
        broken = [_broken(text, inches, size) for text in texts]
        if max(map(len, broken), default=0) <= lines or room < 0.2 * inches:
            return ["\n".join(some[:lines]) for some in broken]
        room -= 0.1 * inches
        texts = told_apart(names, room, size)


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

    try:
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import text_to_path
    except ImportError:  # a page needs no figure library
        return 0.6

    size = 72.0  # hinted at the size of one point, letters are all alike
    bars, both = ("||", f"|{letter}|")  # a blank alone has no width
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        inner, outer = (
            text_to_path.get_text_width_height_descent(text, FontProperties(size=size), False)[0]
            for text in (bars, both)
        )
    return max(0.0, float(outer - inner)) / size
