"""Text files as they lie on disks: plain or compressed, in several encodings, line by line.

A file of a few kilobytes can hold a line of gigabytes, so nothing here reads without a bound.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from fembed.data.readers.binary import refuse_archive
from fembed.data.readers.damage import damage_reported
from fembed.errors import InputError

_BLOCK = 1 << 20
#: The longest line that is read, in bytes: ten million cells of ten characters would fit.
MAX_LINE = 100_000_000
#: So much of a file decides its format: a hundred lines, or fewer if they are long.
MAX_HEAD_LINES, MAX_HEAD_BYTES, MIN_HEAD_LINES = 100, 100_000, 6

_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"PK\x03\x04": "zip"}
_ENDINGS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zip": "zip"}
_CALLED = {"gzip": "gzipped text", "bzip2": "text compressed by bzip2", "xz": "an .xz archive"}
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
#: More columns than this are not parsed: each takes microseconds and kilobytes.
MAX_COLUMNS = 5_000_000
#: More blank lines in a row than a spreadsheet has rows.
MAX_BLANK = 2_000_000
Line = tuple[int, bytes]


@dataclass(frozen=True)
class Head:
    """The first lines of a text file, by which its format is known.

    Attributes
    ----------
    path : Path
    lines : list of (int, str)
        Lines that are not blank, with their numbers, without their ends.
    whole : bool
        These are all lines of the file.
    """

    path: Path
    lines: list[tuple[int, str]]
    whole: bool

    @property
    def first(self) -> str:
        return self.lines[0][1] if self.lines else ""


class TextFile:
    """A text file, read from its beginning as often as needed.

    Parameters
    ----------
    path : Path
        Compression and encoding are found from the content.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._reported(), path.open("rb") as stream:
            start = stream.read(8)
        found = (kind for magic, kind in _MAGIC.items() if start.startswith(magic))
        self.compression = next(found, _ENDINGS.get(path.suffix.lower(), ""))

    @cached_property
    def start(self) -> bytes:
        """The first bytes of the content, decompressed."""
        with self._opened() as stream:
            return stream.read(4096)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        import lzma
        import zipfile

        errors = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
        kind = _CALLED.get(getattr(self, "compression", ""), "text")
        # An encrypted archive is a RuntimeError, an unknown method a NotImplementedError.
        with damage_reported(self.path, kind, *errors, RuntimeError, NotImplementedError):
            yield

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        with self._reported():
            if self.compression == "zip":
                with _only_member(self.path) as stream:
                    yield stream
                return
            with _opener(self.compression)(self.path, "rb") as stream:
                yield stream

    def blocks(self) -> Iterator[list[bytes]]:
        """Whole lines in UTF-8 without their ends (of Unix, Windows or old Macs), many at a time.

        Raises
        ------
        InputError
            If the file is damaged or binary, or one of its lines is too long.
        """
        with self._opened() as stream:
            rest: list[bytes] = []
            n_rest = 0
            for block in _unix_ends(self._utf8(stream)):
                cut = block.rfind(b"\n")
                if cut < 0:
                    rest.append(block)
                    n_rest += len(block)
                    if n_rest > MAX_LINE:
                        raise InputError(
                            f"{self.path} has a line of more than {MAX_LINE:,} bytes, which no "
                            "table of expression has; make or fetch it again."
                        )
                    continue
                yield b"".join([*rest, block[:cut]]).split(b"\n")
                rest = [block[cut + 1 :]]
                n_rest = len(rest[0])
            last = b"".join(rest)
            if last:
                yield [last]

    def _utf8(self, stream: IO[bytes]) -> Iterator[bytes]:
        """Blocks of bytes without a byte order mark; UTF-16 is decoded."""
        block = stream.read(_BLOCK)
        encoding = _UTF16.get(block[:2])
        if encoding is None:
            block = block.removeprefix(codecs.BOM_UTF8)
            while block:
                if b"\0" in block:
                    raise InputError(
                        f"{self.path} holds zero bytes, so it is not a text table (or it is UTF-16 "
                        "without its mark); save the table as UTF-8 text."
                    )
                yield block
                block = stream.read(_BLOCK)
            return
        decoder = codecs.getincrementaldecoder(encoding)()
        block = block[2:]
        try:
            while block:
                yield decoder.decode(block).encode()
                block = stream.read(_BLOCK)
            decoder.decode(b"", final=True)
        except UnicodeError as error:
            raise InputError(
                f"{self.path} begins as UTF-16 text does, but cannot be read as such ({error}); "
                "save the table as UTF-8."
            ) from error

    def lines(self, first: int = 1) -> Iterator[Line]:
        """(number, line) of every line from number ``first`` on that is not blank."""
        number = n_blank = 0
        for block in self.blocks():
            if number + len(block) < first:
                number += len(block)
                continue
            n_blank = n_blank + len(block) if not any(block) else 0
            if n_blank > MAX_BLANK:
                raise InputError(
                    f"{self.path} has more than {MAX_BLANK:,} blank lines in a row; make or fetch "
                    "it again."
                )
            for line in block:
                number += 1
                if number >= first and line.strip(b' \t,;"'):
                    yield number, line

    def _refuse_wide(self, line: bytes) -> None:
        if len(line) > MAX_COLUMNS and max(map(line.count, (b"\t", b",", b";"))) > MAX_COLUMNS:
            raise InputError(
                f"{self.path} has more than {MAX_COLUMNS:,} columns, too many for a text table; "
                "save it as .h5ad or .npz."
            )

    def head(self) -> Head:
        """The first lines; raises an `InputError` for text that is not UTF-8."""
        lines: list[tuple[int, str]] = []
        n_bytes = 0
        for number, line in self.lines():
            self._refuse_wide(line)
            lines.append((number, decoded(line, self.path, number)))
            n_bytes += len(line)
            enough = n_bytes > MAX_HEAD_BYTES and len(lines) >= MIN_HEAD_LINES
            if len(lines) == MAX_HEAD_LINES or enough or n_bytes > MAX_LINE:
                return Head(self.path, lines, whole=False)
        return Head(self.path, lines, whole=True)


def decoded(line: bytes, path: Path, number: int) -> str:
    """A line as text."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"Line {number} of {path} cannot be read as UTF-8 text ({error}); "
            "save the table as UTF-8."
        ) from error


def _unix_ends(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same text with a line feed at the end of every line."""
    held = b""  # a carriage return whose line feed may come in the next block
    for block in blocks:
        block = held + block
        held = b""
        if b"\r" in block:
            if block.endswith(b"\r"):
                block, held = block[:-1], b"\r"
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield block
    if held:
        yield b"\n"


def _opener(compression: str) -> Any:
    """The function that opens such a file; the modules are imported only where they are needed."""
    if compression == "gzip":
        import gzip

        return gzip.open
    if compression == "bzip2":
        import bz2

        return bz2.open
    if compression == "xz":
        import lzma

        return lzma.open
    return open


@contextmanager
def _only_member(path: Path) -> Iterator[IO[bytes]]:
    """The one file in a .zip archive."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        refuse_archive(archive.namelist(), path)
        names = [
            name
            for name in archive.namelist()
            if not name.endswith(("/", ".DS_Store")) and not name.startswith("__MACOSX/")
        ]
        if len(names) != 1:
            raise InputError(
                f"{path} is an archive of {len(names)} files ({', '.join(names[:3])}"
                f"{', ...' if names[3:] else ''}); unpack it and give the one with the matrix, or "
                "the folder if they are a sample each."
            )
        with archive.open(names[0]) as stream:
            yield stream
