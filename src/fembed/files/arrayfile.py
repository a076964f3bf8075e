"""Named arrays and a JSON document on disk: checked when read, never half-written.

Two layouts share the checks of `manifest`:

* a *folder* (a model): ``<kind>.safetensors`` + ``<kind>.json``, readable by people and by other
  programs;
* a *single file* (a checkpoint): one ``.safetensors`` file with the document in its metadata,
  because a file can be replaced atomically and a folder cannot (see `fembed.files.atomic`). A
  checkpoint is replaced many times in a run, unattended; a model once, on the user's word.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.files import atomic, paths
from fembed.files.manifest import (
    Arrays,
    Document,
    PathLike,
    check_described,
    check_digest,
    checked_document,
    heading,
    native,
    plain,
    seal,
    signed,
)
from fembed.files.schema import parsed, shown_json


def write_folder(
    path: PathLike | atomic.Place,
    arrays: Mapping[str, NDArray[Any]],
    document: Document,
    kind: str,
    overwrite: bool,
) -> None:
    """Write ``arrays`` and ``document`` as the folder ``path``: complete, or not at all.

    Parameters
    ----------
    path
        The folder; its parents are made if they are absent. Or what `check_output` returned before
        long work: if another process has written there since, the result is kept beside it.
    arrays
        Named numeric arrays of any shape.
    document
        JSON-able apart from NumPy numbers and non-finite ones (see `plain`); without the keys
        that are added in writing (``format``, ``schema_version``, ``package_version``, ``arrays``,
        ``arrays_bytes``, ``arrays_sha256``, ``document_sha256``).
    kind
        What the folder holds and what its files are called, e.g. ``"model"``.
    overwrite
        Replace an earlier folder of this kind, once the new one is complete.

    Raises
    ------
    InputError
        ``path`` exists and may not be replaced, or cannot be written.
    """
    place = path if isinstance(path, atomic.Place) else check_output(path, kind, overwrite)
    payload, facts = _payload(arrays, kind)
    text = json.dumps(signed({**facts, **plain(document)}), indent=1, allow_nan=False)
    files = {f"{kind}.safetensors": payload, f"{kind}.json": text.encode() + b"\n"}
    atomic.replace_folder(place, files)


def read_folder(path: PathLike, kind: str) -> tuple[Arrays, Document]:
    """The arrays and the document of a folder that `write_folder` wrote.

    Raises
    ------
    InputError
        A file is absent, truncated, altered, of another folder, or of a newer fembed.
    """
    folder = paths.check_input(path, kind)
    if not folder.exists():
        raise InputError(f"There is no {kind} at {folder}; check the path.")
    if not folder.is_dir():
        raise InputError(
            f"{folder} is a file, but a fembed {kind} is a folder; give the folder"
            f"{', and the model before the data' if kind == 'model' else ''}."
        )
    array_path, document_path = folder / f"{kind}.safetensors", folder / f"{kind}.json"
    for needed in (document_path, array_path):
        if not paths.check_input(needed, kind).is_file():
            raise InputError(
                f"{folder} is not a complete fembed {kind}: the file {needed.name} is absent."
            )
    document = checked_document(_read(document_path), document_path, kind)
    payload = _read(array_path)
    if len(payload) != document.get("arrays_bytes"):
        raise InputError(
            f"{array_path} has {len(payload)} bytes where {document_path.name} says "
            f"{shown_json(document.get('arrays_bytes'))}: it is truncated or of another {kind}; "
            f"copy the {kind} folder again."
        )
    if hashlib.sha256(payload).hexdigest() != document.get("arrays_sha256"):
        raise InputError(
            f"{array_path} is altered or of another {kind} (its checksum is not the one in "
            f"{document_path.name}); copy the {kind} folder again."
        )
    return _unpacked(payload, document, array_path), document


def write_file(
    path: PathLike, arrays: Mapping[str, NDArray[Any]], document: Document, kind: str
) -> None:
    """Write ``arrays`` and ``document`` as one file, replacing an earlier one atomically.

    Whenever the process is killed, ``path`` is the complete earlier file or the complete new one.

    Raises
    ------
    InputError
        ``path`` is a folder or cannot be written.
    """
    target = paths.resolved(path, kind)
    if target.is_dir():
        raise InputError(f"{path} is a folder, but a fembed {kind} is a file; give another path.")
    named, text = seal(arrays, document, kind)
    atomic.replace_file(path, _serialised(named, {"fembed": text}))


def read_file(path: PathLike, kind: str) -> tuple[Arrays, Document]:
    """The arrays and the document of a file that `write_file` wrote.

    Raises
    ------
    InputError
        The file is absent, truncated, altered, of another kind, or of a newer fembed.
    """
    source = paths.check_input(path, kind)
    if not source.is_file():
        raise InputError(f"There is no {kind} file at {source}; check the path.")
    payload = _read(source)
    document = checked_document(_embedded_document(payload, source, kind), source, kind)
    arrays = _unpacked(payload, document, source)
    check_digest(arrays, document, source)
    return arrays, document


def check_output(path: PathLike, kind: str, overwrite: bool) -> atomic.Place:
    """Raise InputError if `write_folder` could not write to ``path``; call it before long work."""
    place = atomic.place(path, kind)
    if place.taken:
        _check_replaceable(path, place.target, kind, overwrite)
    return place


def check_file(path: PathLike, kind: str) -> None:
    """Raise InputError if `write_file` could not write to ``path``; call it before long work."""
    atomic.place(path, kind)


def _check_replaceable(path: PathLike, target: Path, kind: str, overwrite: bool) -> None:
    if not target.is_dir():
        raise InputError(f"{path} is a file, but a fembed {kind} is a folder; give another path.")
    if not overwrite:
        raise InputError(
            f"{path} exists; give another path, or --overwrite (overwrite=True) to replace it."
        )
    entries = {entry.name for entry in target.iterdir()}
    foreign = sorted(entries - {f"{kind}.json", f"{kind}.safetensors"})
    if foreign:
        raise InputError(
            f"{path} will not be overwritten because it holds other files than a fembed {kind} "
            f"(such as {foreign[0]!r}); give another path."
        )
    if entries and not paths.begins_like(target / f"{kind}.json", kind):
        raise InputError(
            f"{path} will not be overwritten because it does not look like a fembed {kind}; "
            "give another path."
        )


def _serialised(arrays: Arrays, metadata: dict[str, str]) -> bytes:
    from safetensors.numpy import save

    return save(arrays, metadata)


def _payload(arrays: Mapping[str, NDArray[Any]], kind: str) -> tuple[bytes, Document]:
    named = {name: native(array) for name, array in arrays.items()}
    payload = _serialised(named, {"format": f"fembed {kind}"})
    digest = hashlib.sha256(payload).hexdigest()
    return payload, heading(named, kind) | {"arrays_bytes": len(payload), "arrays_sha256": digest}


def _embedded_document(payload: bytes, source: Path, kind: str) -> bytes:
    # A safetensors file begins with its header: 8 bytes of little-endian length, then JSON.
    stop = 8 + int.from_bytes(payload[:8], "little")
    try:
        return str(parsed(payload[8:stop])["__metadata__"]["fembed"]).encode()
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{source} is not a fembed {kind}, or is truncated or altered.") from None


def _unpacked(payload: bytes, document: Document, source: Path) -> Arrays:
    """The arrays, writable, each as the document describes it."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = {name: np.array(array) for name, array in load(payload).items()}
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{source} cannot be read ({error}): it is truncated or altered."
        ) from None
    check_described(arrays, document, source)
    return arrays


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise paths.unreadable(path, error) from error
