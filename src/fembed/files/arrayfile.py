"""Named arrays and a JSON document on disk: checked when read, never half-written.

Three layouts share one set of checks:

* a *folder* (a model): ``<kind>.safetensors`` + ``<kind>.json``, readable by people and by other
  programs;
* a *single file* (a checkpoint): one ``.safetensors`` file with the document in its metadata,
  because a file can be replaced atomically and a folder cannot (see `fembed.files.durable`). A
  checkpoint is replaced many times in a run, unattended; a model once, on the user's word;
* arrays and a *text* (a model inside an AnnData object), which another library writes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.files import durable

#: 2: a model may hold what is learnt after its training; version 1 is read as before.
SCHEMA_VERSION = 2

Arrays = dict[str, NDArray[Any]]
Document = dict[str, Any]
PathLike = str | os.PathLike[str]
Source = Path | str  # what a message calls the place that something was read from


def plain(value: Any) -> Any:
    """``value`` as plain JSON: NumPy numbers and arrays become Python's, non-finite ones null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_folder(
    path: PathLike,
    arrays: Mapping[str, NDArray[Any]],
    document: Document,
    kind: str,
    overwrite: bool,
) -> None:
    """Write ``arrays`` and ``document`` as the folder ``path``: complete, or not at all.

    Parameters
    ----------
    path
        The folder; its parents are made if they are absent.
    arrays
        Named numeric arrays of any shape.
    document
        JSON-able apart from NumPy numbers and non-finite ones (see `plain`); without the keys
        that this module adds (``format``, ``schema_version``, ``package_version``, ``arrays``,
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
    check_output(path, kind, overwrite)
    payload, header = _payload(arrays, kind)
    text = json.dumps(_signed({**header, **plain(document)}), indent=1, allow_nan=False)
    files = {f"{kind}.safetensors": payload, f"{kind}.json": text.encode() + b"\n"}
    with _saying_why(path, kind):
        durable.replace_folder(Path(os.path.realpath(path)), files)


def read_folder(path: PathLike, kind: str) -> tuple[Arrays, Document]:
    """The arrays and the document of a folder that `write_folder` wrote.

    Raises
    ------
    InputError
        A file is absent, truncated, altered, of another folder, or of a newer fembed.
    """
    folder = Path(path)
    if not folder.exists():
        raise InputError(f"There is no {kind} at {folder}; check the path.")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file, but a fembed {kind} is a folder; give the folder.")
    array_path, document_path = folder / f"{kind}.safetensors", folder / f"{kind}.json"
    for needed in (document_path, array_path):
        if not needed.is_file():
            raise InputError(
                f"{folder} is not a complete fembed {kind}: the file {needed.name} is absent."
            )
    document = _checked_document(_read(document_path), document_path, kind)
    payload = _read(array_path)
    if len(payload) != document.get("arrays_bytes"):
        raise InputError(
            f"{array_path} has {len(payload)} bytes where {document_path.name} says "
            f"{document.get('arrays_bytes')}: it is truncated or of another {kind}; copy the "
            f"{kind} folder again."
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
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise InputError(f"{path} is a folder, but a fembed {kind} is a file; give another path.")
    named, text = sealed(arrays, document, kind)
    with _saying_why(path, kind):
        durable.replace_file(target, _serialised(named, {"fembed": text}))


def read_file(path: PathLike, kind: str) -> tuple[Arrays, Document]:
    """The arrays and the document of a file that `write_file` wrote.

    Raises
    ------
    InputError
        The file is absent, truncated, altered, of another kind, or of a newer fembed.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(f"There is no {kind} file at {source}; check the path.")
    payload = _read(source)
    document = _checked_document(_embedded_document(payload, source, kind), source, kind)
    arrays = _unpacked(payload, document, source)
    _check_digest(arrays, document, source)
    return arrays, document


def sealed(arrays: Mapping[str, NDArray[Any]], document: Document, kind: str) -> tuple[Arrays, str]:
    """The arrays as they are to be stored, and a text with the document and their checksum."""
    # The document travels apart from the arrays, so the checksum is of their own bytes.
    named = {name: _native(array) for name, array in arrays.items()}
    header = _header(named, kind) | {"arrays_sha256": _array_digest(named)}
    return named, json.dumps(_signed({**header, **plain(document)}), allow_nan=False)


def unsealed(arrays: Arrays, text: str, source: Source, kind: str) -> Document:
    """The document of `sealed`, once it and ``arrays`` have been checked.

    Raises
    ------
    InputError
        The text or an array is altered, or of a newer fembed; the message begins with ``source``.
    """
    document = _checked_document(text.encode(), source, kind)
    _check_described(arrays, document, source)
    _check_digest(arrays, document, source)
    return document


def check_output(path: PathLike, kind: str, overwrite: bool) -> None:
    """Raise InputError if `write_folder` could not write to ``path``; call it before long work."""
    target = Path(os.path.realpath(path))
    if os.path.lexists(target):
        _check_replaceable(path, target, kind, overwrite)
    with _saying_why(path, kind):
        durable.check_writable(target)


def check_file(path: PathLike, kind: str) -> None:
    """Raise InputError if `write_file` could not write to ``path``; call it before long work."""
    with _saying_why(path, kind):
        durable.check_writable(Path(os.path.realpath(path)))


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
    if entries and not _begins_like(target / f"{kind}.json", kind):
        raise InputError(
            f"{path} will not be overwritten because it does not look like a fembed {kind}; "
            "give another path."
        )


def _begins_like(document_path: Path, kind: str) -> bool:
    """Whether the file begins as ours do; a truncated one still does, and may be replaced."""
    if not document_path.is_file():
        return False
    with document_path.open("rb") as stream:
        return f'"fembed {kind}"'.encode() in stream.read(100)


def _package_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("fembed")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"


def _native(array: NDArray[Any]) -> NDArray[Any]:
    # safetensors writes an array's buffer as it lies, so strides and byte order are settled here.
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def _serialised(arrays: Arrays, metadata: dict[str, str]) -> bytes:
    from safetensors.numpy import save

    return save(arrays, metadata)


def _header(arrays: Arrays, kind: str) -> Document:
    return {
        "format": f"fembed {kind}",  # first, so that `_begins_like` finds it
        "schema_version": SCHEMA_VERSION,
        "package_version": _package_version(),
        "arrays": {
            name: {"shape": list(array.shape), "dtype": array.dtype.name}
            for name, array in arrays.items()
        },
    }


def _payload(arrays: Mapping[str, NDArray[Any]], kind: str) -> tuple[bytes, Document]:
    named = {name: _native(array) for name, array in arrays.items()}
    payload = _serialised(named, {"format": f"fembed {kind}"})
    digest = hashlib.sha256(payload).hexdigest()
    return payload, _header(named, kind) | {"arrays_bytes": len(payload), "arrays_sha256": digest}


def _array_digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + b"\0")
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def _document_digest(document: Document) -> str:
    rest = {key: value for key, value in document.items() if key != "document_sha256"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _signed(document: Document) -> Document:
    """``document`` with its own checksum, so that an edited or mixed-up name is noticed too."""
    return {**document, "document_sha256": _document_digest(document)}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _checked_document(text: bytes, source: Source, kind: str) -> Document:
    """The parsed document after every check that does not need the arrays."""
    try:
        document = json.loads(text.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{source} is not valid JSON ({error}): it is truncated or altered."
        ) from None
    if not isinstance(document, dict) or document.get("format") != f"fembed {kind}":
        raise InputError(
            f"{source} does not describe a fembed {kind} (its field 'format' is not "
            f"'fembed {kind}')."
        )
    version = document.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"{source}: the field 'schema_version' is {version!r}, not a version.")
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{source} was written by a newer fembed (schema version {version}, and this fembed "
            f"reads up to {SCHEMA_VERSION}); upgrade fembed."
        )
    if document.get("document_sha256") != _document_digest(document):
        raise InputError(
            f"{source} was altered after it was written (its field 'document_sha256' does not "
            "fit its contents); copy it again."
        )
    return document


def _embedded_document(payload: bytes, source: Path, kind: str) -> bytes:
    # A safetensors file begins with its header: 8 bytes of little-endian length, then JSON.
    stop = 8 + int.from_bytes(payload[:8], "little")
    try:
        return str(json.loads(payload[8:stop])["__metadata__"]["fembed"]).encode()
    except (ValueError, RecursionError, KeyError, TypeError):
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
    _check_described(arrays, document, source)
    return arrays


def _check_described(arrays: Arrays, document: Document, source: Source) -> None:
    described = document.get("arrays")
    if not isinstance(described, dict) or set(described) != set(arrays):
        raise InputError(f"{source}: the field 'arrays' does not list the arrays in the file.")
    for name, array in arrays.items():
        if described[name] != {"shape": list(array.shape), "dtype": array.dtype.name}:
            raise InputError(
                f"{source}: the array {name!r} is {array.dtype.name} of shape {array.shape}, but "
                f"the field 'arrays' says {described[name]}."
            )


def _check_digest(arrays: Arrays, document: Document, source: Source) -> None:
    if _array_digest(arrays) != document.get("arrays_sha256"):
        raise InputError(f"{source} is altered (its checksum does not fit its arrays).")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


@contextmanager
def _saying_why(path: PathLike, kind: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"The {kind} cannot be written to {path}: {reason}; choose a place you can write to."
        ) from error
