"""Sizes of a .zarr's chunks once unpacked, judged before zarr unpacks them.

zarr unpacks a chunk to its end before it compares its size with the declared one, and a few
kilobytes may become many gigabytes. What a chunk says of its own size at its beginning is read
where the codec writes it; where it does not, a chunk is unpacked here for a trial, in pieces, if it
might need much of the memory there is. Chunks within shards are not looked at.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from fembed.data.memory import available_bytes, refuse_bytes
from fembed.errors import InputError

#: What a chunk may unpack to, whatever was declared: texts have no declared size.
_ALWAYS = 1 << 26
#: Bytes that a trial unpacks at a time, and the share of the memory below which there is none.
_PIECE, _SHARE = 1 << 22, 4
#: How much longer a chunk can become at most (by bz2 and lzma, any length), and what reads it.
_TRIED: dict[str, tuple[int, Callable[[Path], IO[bytes]]]] = {
    "gzip": (1032, cast(Any, gzip.open)),
    "zlib": (1032, lambda chunk: cast(IO[bytes], _ZlibFile(chunk))),
    "bz2": (1 << 26, cast(Any, bz2.open)),
    "lzma": (1 << 26, cast(Any, lzma.open)),
}


class _ZlibFile(io.BytesIO):
    """What a zlib stream holds, unpacked as it is read."""

    def __init__(self, chunk: Path) -> None:
        super().__init__()
        self._waiting, self._unpacker = chunk.read_bytes(), zlib.decompressobj()

    def read(self, size: int | None = -1, /) -> bytes:
        piece = self._unpacker.decompress(self._waiting, size or 0)
        self._waiting = self._unpacker.unconsumed_tail
        return piece


def refuse_inflating(folder: Path, metadata: dict[str, Any], path: Path) -> None:
    """Raise `InputError` for an array with a chunk that unpacks to far more than it declares.

    Parameters
    ----------
    folder : Path
        Of the array, with its chunks.
    metadata : dict
        Of the array, in format 2 or 3.
    path : Path
        The .zarr.
    """
    declared = _declared(metadata)
    refuse_bytes(declared, f"A chunk of {folder.name}", str(path))
    names = [name for name in _names(metadata) if name in {*_SAID, *_TRIED}]
    if not names:
        return
    most = max(2 * declared, _ALWAYS)
    memory = available_bytes() or 1 << 33
    for chunk in _chunks(folder):
        if len(names) > 1 or _longer(chunk, names[0], most, memory):
            raise InputError(
                f"{path} is damaged: its chunk {chunk.relative_to(path)} unpacks to far more than "
                f"the {declared} bytes that are declared; make or fetch it again."
            )


def _declared(metadata: dict[str, Any]) -> int:
    """Bytes of a chunk; a text counts as a pointer."""
    grid = metadata.get("chunk_grid", {}).get("configuration", {})
    shape = metadata.get("chunks", grid.get("chunk_shape")) or []
    kind = metadata.get("dtype", metadata.get("data_type"))
    try:
        size = np.dtype(kind).itemsize
    except TypeError:
        size = 8
    return size * math.prod(int(n) for n in shape)


def _names(metadata: dict[str, Any]) -> Iterator[str]:
    """The codecs that bytes go through, by their names without a prefix."""
    codecs = [metadata.get("compressor"), *(metadata.get("filters") or ())]
    for codec in [*codecs, *metadata.get("codecs", ())]:
        if isinstance(codec, dict):
            name = str(codec.get("id", codec.get("name")))
            yield name.removeprefix("numcodecs.").lower()


def _chunks(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            if not name.startswith(".") and name != "zarr.json":
                yield Path(parent, name)


def _longer(chunk: Path, codec: str, most: int, memory: int) -> bool:
    """Whether a chunk becomes longer than ``most`` bytes."""
    if codec not in _TRIED:
        with chunk.open("rb") as stream:
            return _SAID[codec](stream.read(18)) > most
    ratio, opened = _TRIED[codec]
    if ratio * chunk.stat().st_size <= max(most, memory // _SHARE):
        return False
    n_bytes = 0
    try:
        with opened(chunk) as stream:
            while n_bytes <= most and (piece := stream.read(_PIECE)):
                n_bytes += len(piece)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return False  # zarr will say so
    return n_bytes > most


def _of_blosc(start: bytes) -> int:
    return int.from_bytes(start[4:8], "little")


def _of_lz4(start: bytes) -> int:
    return int.from_bytes(start[:4], "little")


def _of_zstd(start: bytes) -> int:
    """The size in the header of a frame (RFC 8878, 3.1.1.1); 0 where it does not say."""
    if len(start) < 6:
        return 0
    about = start[4]
    single = bool(about & 0x20)
    at = 5 + (not single) + (0, 1, 2, 4)[about & 3]
    n_bytes = (int(single), 2, 4, 8)[about >> 6]
    return int.from_bytes(start[at : at + n_bytes], "little") + (256 if n_bytes == 2 else 0)


#: Codecs of which a chunk's beginning says what it unpacks to.
_SAID = {"blosc": _of_blosc, "lz4": _of_lz4, "zstd": _of_zstd}
