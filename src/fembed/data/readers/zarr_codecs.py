"""Codecs of a .zarr, judged by its metadata before zarr sees them.

The metadata of a zarr array name the codecs that its chunks go through, and a pickle runs any
program on reading (numcodecs before 0.16.6 has that codec ready). Only codecs that are known to
do no more than decode are let through, wherever in the metadata they are named.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fembed.data.readers.zarr_chunks import refuse_inflating
from fembed.errors import InputError

_METADATA = (".zarray", ".zgroup", ".zmetadata", "zarr.json")
#: Consolidated metadata of thousands of arrays are a few megabytes.
_MAX_BYTES = 64_000_000
_COMPRESSORS = {"blosc", "bz2", "gzip", "lz4", "lzma", "pcodec", "zfpy", "zlib", "zstd"}
_FILTERS = {"astype", "bitround", "delta", "fixedscaleoffset", "packbits", "quantize", "shuffle"}
_CHECKSUMS = {"adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3"}
_LAYOUTS = {"bytes", "default", "endian", "sharding_indexed", "transpose", "v2", "vlen-utf8"}
_KNOWN = _COMPRESSORS | _FILTERS | _CHECKSUMS | _LAYOUTS


def refuse_codecs(path: Path) -> None:
    """Raise `InputError` if an array of the .zarr at ``path`` names a codec that may run code."""
    for file in _metadata_files(path):
        if file.stat().st_size > _MAX_BYTES:
            raise InputError(f"{file} is too large for metadata of a .zarr; it is damaged.")
        # Python's own reader, as zarr uses it: for a key named twice both take the last.
        document = json.loads(file.read_text(encoding="utf-8"))
        for codec in _codecs(document):
            name = codec.removeprefix("numcodecs.").lower()
            if name not in _KNOWN:
                raise InputError(
                    f"{path} asks for the codec '{codec}' ({file.relative_to(path)}), which is not "
                    "used since it may run code from the file or is unknown; write the data again "
                    "with anndata, which needs none but blosc, gzip, zstd and vlen-utf8."
                )
        for folder, metadata in _arrays(document, file):
            refuse_inflating(folder, metadata, path)


def _arrays(document: Any, file: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Folder and metadata of each array that a document describes, consolidated or its own."""
    document = document if isinstance(document, dict) else {}
    if file.name == ".zarray" or document.get("node_type") == "array":
        yield file.parent, document
    listed = document.get("consolidated_metadata") or document
    listed = listed.get("metadata") if isinstance(listed, dict) else None
    for name, metadata in listed.items() if isinstance(listed, dict) else ():
        if not isinstance(metadata, dict) or ".." in Path(name).parts:
            continue
        if name.endswith("/.zarray"):
            yield file.parent / name.removesuffix("/.zarray"), metadata
        elif metadata.get("node_type") == "array":
            yield file.parent / name, metadata


def _metadata_files(root: Path) -> Iterator[Path]:
    """All of them; a folder reached twice, perhaps through links, is looked at once."""
    seen: set[tuple[int, int]] = set()
    waiting = [str(root)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            found = list(entries)
        metadata = [Path(entry.path) for entry in found if entry.name in _METADATA]
        yield from metadata
        if len(metadata) == 1 and _is_array(metadata[0]):
            continue  # below are chunks
        for entry in found:
            if entry.is_dir():
                stat = entry.stat()
                if (stat.st_dev, stat.st_ino) not in seen:
                    seen.add((stat.st_dev, stat.st_ino))
                    waiting.append(entry.path)


def _is_array(metadata: Path) -> bool:
    if metadata.name == "zarr.json":
        document = json.loads(metadata.read_text(encoding="utf-8"))
        return isinstance(document, dict) and document.get("node_type") == "array"
    return metadata.name == ".zarray"


def _codecs(document: Any) -> Iterator[str]:
    """Every name of a codec in a metadata document, of format 2 or 3, consolidated or not."""
    waiting = [document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            for key, value in item.items():
                if key in ("compressor", "filters", "codecs", "index_codecs", "object_codec"):
                    yield from _named(value)
                if isinstance(value, dict | list):
                    waiting.append(value)


def _named(value: Any) -> Iterator[str]:
    for codec in value if isinstance(value, list) else [value]:
        if isinstance(codec, dict):
            name = codec.get("id", codec.get("name"))
            if name is not None:
                yield str(name)
        elif isinstance(codec, str):
            yield codec
