"""Mutations of bytes, of text tables and of JSON documents, each with words that describe it."""

from __future__ import annotations

import bz2
import copy
import gzip
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

CELLS = (
    *(
        "",
        " ",
        "NA",
        "nan",
        "inf",
        "-inf",
        "1e39",
        "1e309",
        "-1",
        "0x10",
        "1_000",
        "1,5",
        "1e",
        "'",
    ),
    *(" 3 ", "٣", "−1", "TRUE", '"', '"a', "\0", "\ufeff", "x" * 100_000, "1" * 400, "#", "=1+1"),
    *("2020-01-01", "__no_feature", "ENSG00000000001.1", "g1", "s1", "\x1b[31m", "%", "\\", "é"),
    *("0001", "1001.0", "a;b", "a\tb", "a,b", "a b", "\r", "9" * 30, "-0", ".", "1e-400", "\x85"),
)
LINES = (
    b"",
    b"#comment",
    b'"',
    b"\0",
    b",,,,,,,,",
    b"\t\t\t\t\t\t",
    b"!series_matrix_table_end",
    b"\xff\xfe",
)

Edit = Callable[[bytes, Random], tuple[bytes, str]]


def flip(content: bytes, rng: Random) -> tuple[bytes, str]:
    """Up to twenty bytes become others, often ones that numbers do not like."""
    array = bytearray(content or b"\0")
    places = [rng.randrange(len(array)) for _ in range(rng.choice((1, 1, 2, 5, 20)))]
    for place in places:
        array[place] = rng.choice((0, 0xFF, 0x7F, 0x80, rng.randrange(256)))
    return bytes(array), f"bytes {places[:3]} changed"


def cut(content: bytes, rng: Random) -> tuple[bytes, str]:
    n = rng.randrange(max(1, len(content)))
    return content[:n], f"cut to {n} bytes"


def splice(content: bytes, rng: Random) -> tuple[bytes, str]:
    """A stretch is removed, repeated, or put elsewhere."""
    a, b, c = (rng.randrange(len(content) + 1) for _ in range(3))
    a, b = min(a, b), min(max(a, b), min(a, b) + 4096)
    kind = rng.choice(("removed", "repeated", "overwritten"))
    piece = content[a:b]
    if kind == "removed":
        return content[:a] + content[b:], f"bytes {a} to {b} removed"
    if kind == "repeated":
        return content[:c] + piece * rng.choice((1, 2, 50)) + content[c:], f"bytes {a} to {b} again"
    return content[:c] + piece + content[c + len(piece) :], f"bytes {a} to {b} over {c}"


RAW: tuple[Edit, ...] = (flip, flip, flip, cut, splice)


def damage(content: bytes, rng: Random) -> tuple[bytes, str]:
    """One of the edits that know nothing of the format."""
    return rng.choice(RAW)(content, rng)


# ---- text tables


def _separator(lines: list[bytes]) -> bytes:
    head = lines[min(1, len(lines) - 1)]
    return max((b"\t", b",", b" "), key=head.count)


def edit_text(content: bytes, rng: Random) -> tuple[bytes, str]:
    """One change that a person, an editor or a program makes to a table."""
    lines = content.split(b"\n")
    separator = _separator(lines)
    place = rng.choice((0, 1, rng.randrange(len(lines)), rng.randrange(len(lines))))
    place = min(place, len(lines) - 1)
    edit = rng.choice(_TEXT_EDITS)
    return edit(content, lines, separator, place, rng)


def _cell(content: bytes, lines: list[bytes], separator: bytes, place: int, rng: Random) -> Any:
    cells = lines[place].split(separator)
    at = rng.choice((0, rng.randrange(len(cells))))
    text = rng.choice(CELLS)
    cells[at] = text.encode()
    if rng.random() < 0.1:
        cells[at] = b'"' + cells[at] + b'"'
    lines[place] = separator.join(cells)
    return b"\n".join(lines), f"line {place + 1}, cell {at + 1} is {text[:20]!r}"


def _cells(content: bytes, lines: list[bytes], separator: bytes, place: int, rng: Random) -> Any:
    """A whole column, or a line, gains or loses a cell."""
    everywhere = rng.random() < 0.5
    at, mode = rng.choice((0, 1, -1)), rng.choice(("removed", "doubled", "emptied", "appended"))
    for row in range(len(lines)) if everywhere else (place,):
        cells = lines[row].split(separator)
        if len(cells) < 2:
            continue
        if mode == "removed":
            del cells[at]
        elif mode == "doubled":
            cells.insert(at, cells[at])
        elif mode == "emptied":
            cells[at] = b""
        else:
            cells.append(b"")
        lines[row] = separator.join(cells)
    where = "every line" if everywhere else f"line {place + 1}"
    return b"\n".join(lines), f"cell {at} of {where} {mode}"


def _line(content: bytes, lines: list[bytes], separator: bytes, place: int, rng: Random) -> Any:
    mode = rng.choice(("removed", "doubled", "moved first", "inserted", "joined", "doubled often"))
    if mode == "removed":
        del lines[place]
    elif mode == "doubled":
        lines.insert(place, lines[place])
    elif mode == "moved first":
        lines.insert(0, lines.pop(place))
    elif mode == "inserted":
        lines.insert(place, rng.choice(LINES))
    elif mode == "joined":
        lines[place : place + 2] = [separator.join(lines[place : place + 2])]
    else:
        lines[place:place] = [lines[place]] * 300
    return b"\n".join(lines), f"line {place + 1} {mode}"


def _layout(content: bytes, lines: list[bytes], separator: bytes, place: int, rng: Random) -> Any:
    """The whole text: other separators, line ends, encodings, its own transposition."""
    mode = rng.choice(("separator", "ends", "encoding", "transposed", "quotes", "blanks"))
    if mode == "separator":
        other = rng.choice((b";", b"|", b"\t", b",", b" ", b"  ", separator * 2))
        return content.replace(separator, other), f"separated by {other!r}"
    if mode == "ends":
        end = rng.choice((b"\r\n", b"\r", b"\n\n", b"\n\r", separator + b"\n", b"\x85", b""))
        return content.replace(b"\n", end), f"lines end in {end!r}"
    if mode == "encoding":
        code = rng.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7", "cp037"))
        return content.decode("latin-1").encode(code), f"encoded as {code}"
    if mode == "transposed":
        rows = [line.split(separator) for line in lines if line]
        columns = zip(*rows, strict=False)
        return b"\n".join(separator.join(row) for row in columns) + b"\n", "transposed"
    if mode == "quotes":
        rows = [[b'"' + cell + b'"' for cell in line.split(separator)] for line in lines]
        return b"\n".join(separator.join(row) for row in rows), "every cell quoted"
    return b"\n".join(b" " + line + b" " for line in lines), "blanks around every line"


_TEXT_EDITS = (_cell, _cell, _cell, _cells, _cells, _line, _layout)


def text(path: Path, rng: Random) -> str:
    """One to three edits of a text file, or damage to its bytes."""
    content, told = path.read_bytes(), []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        edit = damage if rng.random() < 0.15 else edit_text
        content, words = edit(content, rng)
        told.append(words)
    path.write_bytes(content)
    return ", ".join(told)


def packed(path: Path, rng: Random) -> str:
    """The same for what a .gz, .bz2 or .zip file holds; or damage to the packing."""
    if rng.random() < 0.3:
        edit = _edit_gzip if path.suffix == ".gz" else damage
        content, words = edit(path.read_bytes(), rng)
        path.write_bytes(content)
        return words
    inside = path.with_name("inside")
    inside.write_bytes(_unpacked(path))
    words = text(inside, rng)
    content = inside.read_bytes()
    inside.unlink()
    if path.suffix != ".zip":
        path.write_bytes((gzip if path.suffix == ".gz" else bz2).compress(content, 1))
        return words
    names = rng.choice(
        (["table.csv"], ["table.csv"], ["a.csv", "b.csv"], ["../../a"], ["é", "é"], [])
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return f"{words}, packed as {names}"


def _unpacked(path: Path) -> bytes:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return archive.read(archive.namelist()[0])
    return (gzip if path.suffix == ".gz" else bz2).decompress(path.read_bytes())


def _edit_gzip(content: bytes, rng: Random) -> tuple[bytes, str]:
    mode = rng.choice(("damaged", "damaged", "tail", "two members", "plain", "endless"))
    if mode == "damaged":
        return damage(content, rng)
    if mode == "tail":
        return content + bytes(rng.choice((1, 8, 5000))), "something behind the gzip stream"
    if mode == "two members":
        return content * 2, "the gzip stream twice"
    if mode == "plain" or rng.random() < 0.8:
        return gzip.decompress(content), "not compressed"
    # Members follow each other in a .gz: a line of 1.3 GB from one of 16 MB, in a file of 1.3 MB.
    return content[:0] + gzip.compress(b"0," * 8_000_000, 9) * 80, "an endless line"


def raw(path: Path, rng: Random) -> str:
    content, words = damage(path.read_bytes(), rng)
    path.write_bytes(content)
    return words


# ---- JSON

DEEP = 991


def _deep(n: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(n):
        found = [found]
    return found


def json_value(rng: Random) -> Any:
    """A value that is JSON and that nobody expects."""
    values: tuple[Any, ...] = (
        *(None, True, False, "", "a", "\ud800", "x" * 100_000, "\x1b[2J", "\0", "1", "NaN", "none"),
        *(0, 1, -1, 2, 7, 2**31, 2**63, 2**64, 10**20, 10**400, 0.5, -0.0, 1e-320, 1e39, 1e300),
        *([], {}, [[]], [None], [1], {"a": 1}, [0] * 1000, {"step": "x"}, [{"step": None}]),
    )
    return _deep(rng.choice((50, DEEP))) if rng.random() < 0.02 else rng.choice(values)


def _nodes(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    if isinstance(value, dict):
        for key in value:
            found += _nodes(value[key], (*at, key))
    elif isinstance(value, list):
        for i in range(min(len(value), 4)):
            found += _nodes(value[i], (*at, i))
    return found


def edit_json(document: Any, rng: Random) -> tuple[Any, str]:
    """One node is replaced, removed, doubled, or gains a neighbour."""
    if not _nodes(document):
        return {"a": json_value(rng)}, "no longer empty"
    at = rng.choice(_nodes(document))
    holder = document
    for key in at[:-1]:
        holder = holder[key]
    where = "/".join(map(str, at))
    mode = rng.choice(("set", "set", "set", "scaled", "removed", "added", "taken"))
    value = json_value(rng)
    if mode == "scaled" and isinstance(holder[at[-1]], int | float):
        value = holder[at[-1]] * rng.choice((-1, 2, 0.5, 10**6, 10**15))
        mode = "set"
    if mode == "removed":
        del holder[at[-1]]
        return document, f"{where} removed"
    if mode == "added":
        if isinstance(holder, dict):
            holder[rng.choice(("extra", "", "\ud800", "n_threads"))] = value
        else:
            holder.append(holder[-1])
        return document, f"a neighbour of {where} added"
    if mode == "taken":
        other: Any = document
        for key in rng.choice(_nodes(document)):
            other = other[key]
        with deep_stack():
            value = copy.deepcopy(other)
    holder[at[-1]] = value
    return document, f"{where} set to {_short(value)}"


def _short(value: Any) -> str:
    with deep_stack():
        return json.dumps(value)[:40]


def json_file(path: Path, rng: Random) -> str:
    document, words = edit_json(json.loads(path.read_text()), rng)
    with deep_stack():
        path.write_text(json.dumps(document))
    return words


@contextmanager
def deep_stack() -> Iterator[None]:
    """Room to write what only just can be read."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10 * limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
