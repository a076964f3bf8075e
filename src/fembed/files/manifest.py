"""Arrays and a JSON document that are checked against each other, by descriptions and checksums.

`arrayfile` writes them; a model inside an AnnData object has a manifest too, and others write it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError, readable
from fembed.files.schema import parsed, shown_json

#: 2: a model may hold what is learnt after its training. 3: options of a fit have their present
#: names (see `fembed.config.FORMER_NAMES`). 4: a model may have layers. 5: or be of counts.
#: Versions 1 to 4 are read as before.
SCHEMA_VERSION = 5

PathLike = str | os.PathLike[str]
Arrays = dict[str, NDArray[Any]]
Document = dict[str, Any]
Source = Path | str  # what a message calls the place that something was read from


def seal(arrays: Mapping[str, NDArray[Any]], document: Document, kind: str) -> tuple[Arrays, str]:
    """The arrays as they are to be stored, and a text with the document and their checksum."""
    # The document travels apart from the arrays, so the checksum is of their own bytes.
    named = {name: native(array) for name, array in arrays.items()}
    facts = heading(named, kind) | {"arrays_sha256": array_digest(named)}
    return named, json.dumps(signed({**facts, **plain(document)}), allow_nan=False)


def unseal(arrays: Arrays, text: str, source: Source, kind: str) -> Document:
    """The document of `seal`, once it and ``arrays`` have been checked.

    Raises
    ------
    InputError
        The text or an array is altered, or of a newer fembed; the message begins with ``source``.
    """
    # Half of a surrogate pair passes here, for the reader to name it.
    document = checked_document(text.encode(errors="surrogatepass"), source, kind)
    check_described(arrays, document, source)
    check_digest(arrays, document, source)
    return document


def heading(arrays: Arrays, kind: str) -> Document:
    """What a document says about itself and the arrays it comes with."""
    return {
        "format": f"fembed {kind}",  # first, so that the beginning of a file tells
        "schema_version": SCHEMA_VERSION,
        "package_version": _package_version(),
        "arrays": {
            name: {"shape": list(array.shape), "dtype": array.dtype.name}
            for name, array in arrays.items()
        },
    }


def native(array: NDArray[Any]) -> NDArray[Any]:
    """In rows and this machine's byte order: safetensors writes a buffer as it lies."""
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def array_digest(arrays: Arrays) -> str:
    """Checksum of names and bytes, in whatever order they come."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + b"\0")
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def _document_digest(document: Document) -> str:
    rest = {key: value for key, value in document.items() if key != "document_sha256"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def signed(document: Document) -> Document:
    """``document`` with its own checksum, so that an edited or mixed-up name is noticed too."""
    return {**document, "document_sha256": _document_digest(document)}


def checked_document(text: bytes, source: Source, kind: str) -> Document:
    """The parsed document after every check that does not need the arrays."""
    try:
        document = parsed(text)
    except ValueError as error:
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
        raise InputError(
            f"{source}: the field 'schema_version' is {shown_json(version)}, not a version."
        )
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


def check_described(arrays: Arrays, document: Document, source: Source) -> None:
    """Raise InputError unless these are the arrays that the document lists."""
    described = document.get("arrays")
    if not isinstance(described, dict) or set(described) != set(arrays):
        raise InputError(f"{source}: the field 'arrays' does not list the arrays in the file.")
    for name, array in arrays.items():
        if described[name] != {"shape": list(array.shape), "dtype": array.dtype.name}:
            raise InputError(
                f"{source}: the array {name!r} is {array.dtype.name} of shape {array.shape}, but "
                f"the field 'arrays' says {json.dumps(described[name])[:80]}."
            )


def check_digest(arrays: Arrays, document: Document, source: Source) -> None:
    """Raise InputError unless the arrays have the checksum that the document states."""
    if array_digest(arrays) != document.get("arrays_sha256"):
        raise InputError(f"{source} is altered (its checksum does not fit its arrays).")


def _package_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("fembed")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"


def json_text(value: Any) -> str:
    """``value`` as one line of JSON, all in ASCII and without a control character."""
    # JSON leaves DEL as it is, the one character of these.
    return json.dumps(plain(value), allow_nan=False).replace("\x7f", "\\u007f")


def plain(value: Any) -> Any:
    """``value`` as plain JSON, which every document is made of.

    NumPy numbers and arrays become Python's, non-finite ones null, and texts readable: what is
    written is to be read again, by us and by others, also where it names a file of any bytes.
    """
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, Mapping):
        return {readable(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
