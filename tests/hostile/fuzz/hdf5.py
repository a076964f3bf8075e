"""Mutations of HDF5 files by their structure: what h5py can write, programs do write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

from tests.hostile.fuzz import plain

#: What a mutation says first if nothing may be read from such a file.
REFUSE = "must be refused: "
NUMBERS = (-1, 0, 1, 2**31 - 1, 2**31, 2**62, -(2**31), float("nan"), float("inf"), 1e39, 1e300)
TEXTS = ("", "a", "x" * 70_000, "é", "\x1b[31m", "g1", "0001", "__index__", "nan", " g1 ")
TYPES = (
    *("i1", "u1", "i4", "u8", "i8", "f2", "f4", "f8", ">i4", ">f8", "S1", "S5", "?", "c8", "V4"),
    *("text", "compound", "enum", "reference", "array", "vlen"),
)
ATTRIBUTES = (
    *("", "array", "dict", "csr_matrix", "csc_matrix", "dataframe", "categorical", "awkward-array"),
    *("string-array", "nullable-integer", "null", "0.1.0", "9.9.9", 0, -1, 2**40, 1.5, True),
)


def _dtype(name: str) -> Any:
    match name:
        case "text":
            return h5py.string_dtype()
        case "compound":
            return np.dtype([("a", "i4"), ("b", "f8")])
        case "enum":
            return h5py.enum_dtype({"A": 0, "B": 1}, "i4")
        case "reference":
            return h5py.ref_dtype
        case "array":
            return np.dtype(("f4", (2,)))
        case "vlen":
            return h5py.vlen_dtype(np.dtype("i4"))
    return np.dtype(name)


def _shapes(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    n = shape[0] if shape else 1
    rest = shape[1:]
    return (
        *((), (0,), (n - 1, *rest), (n + 1, *rest), (n + 1000, *rest), (*shape, 1), (1, *shape)),
        *(
            (10**9,),
            (12, 2**31),
            (10**6, 10**6),
            (2**40, 2),
            (0, 5),
            (5, 0),
            shape[::-1],
            (3, 4, 5),
        ),
    )


def _replace(file: h5py.File, name: str, **made: Any) -> None:
    attributes = dict(file[name].attrs)
    del file[name]
    new = file.create_dataset(name, **made)
    for key, value in attributes.items():
        new.attrs[key] = value


def _retype(file: h5py.File, name: str, rng: Random) -> str:
    old, kind = file[name], rng.choice(TYPES)
    dtype = _dtype(kind)
    try:
        if old.size > 100_000:
            raise ValueError("too large to be changed here")
        values = np.asarray(old[()]).astype(dtype)
    except (TypeError, ValueError):
        values = None
    if values is None:
        _replace(file, name, shape=old.shape, dtype=dtype)
    else:
        _replace(file, name, data=values, dtype=dtype)
    return f"{name} as {kind}"


def _reshape(file: h5py.File, name: str, rng: Random) -> str:
    old = file[name]
    shape = rng.choice(_shapes(old.shape))
    if old.size < 100_000 and int(np.prod(shape, dtype=object)) < 10_000:
        values = np.resize(old[()], shape) if old.size else np.zeros(shape, old.dtype)
        _replace(file, name, data=values, dtype=old.dtype)
    else:
        chunks = tuple(min(side, 1000) for side in shape)
        _replace(
            file,
            name,
            shape=shape,
            dtype=old.dtype,
            chunks=chunks,
            compression=rng.choice((None, "gzip")),
        )
    return f"{name} of shape {shape}"


def _revalue(file: h5py.File, name: str, rng: Random) -> str:
    old = file[name]
    if not 0 < old.size < 100_000:
        return f"{name} left"
    values = old[()] if old.shape else np.array([old[()]], old.dtype)
    flat = values.reshape(-1)
    value: Any = rng.choice(TEXTS if values.dtype.kind in "OSU" else NUMBERS)
    some = [rng.randrange(flat.size)] if rng.random() < 0.7 else range(flat.size)
    for at in some:
        with np.errstate(all="ignore"):
            flat[at] = value if values.dtype.kind not in "iub" else _whole(value, values.dtype)
    old[()] = flat.reshape(old.shape) if old.shape else flat[0]
    return f"{name} holds {str(value)[:20]!r} ({len(some)} entries)"


def _whole(value: Any, dtype: Any) -> Any:
    if value != value or abs(value) == float("inf"):
        value = 0
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return int(min(max(value, low), high))


def _delete(file: h5py.File, name: str, rng: Random) -> str:
    del file[name]
    return f"{name} deleted"


def _attribute(file: h5py.File, name: str, rng: Random) -> str:
    holder = file[name]
    keys = sorted(holder.attrs) or ["encoding-type"]
    key = rng.choice(keys)
    if rng.random() < 0.25 and key in holder.attrs:
        del holder.attrs[key]
        return f"attribute {key} of {name} deleted"
    value: Any = rng.choice(ATTRIBUTES)
    form = rng.choice(("plain", "plain", "list", "bytes", "empty", "many"))
    if form == "list":
        value = [value, value]
    elif form == "bytes":
        value = np.bytes_(str(value))
    elif form == "empty":
        value = h5py.Empty("f4")
    elif form == "many":
        value = np.arange(rng.choice((0, 3, 4000)))
    if key in holder.attrs:
        del holder.attrs[key]
    holder.attrs[key] = value
    return f"attribute {key} of {name} is {str(value)[:40]!r}"


def _link(file: h5py.File, name: str, rng: Random) -> str:
    """A link to nowhere, to itself, to what lies above it, or to a neighbour."""
    others = _names(file)
    mode = rng.choice(("nowhere", "itself", "root", "other", "loop"))
    if mode == "loop" and isinstance(file[name], h5py.Group):
        file[name]["again"] = file[name]
        return f"{name} holds itself"
    other = rng.choice(others)
    del file[name]
    if mode == "other" and other in file:
        file[name] = file[other]
    elif mode == "root":
        file[name] = file["/"]
    else:
        file[name] = h5py.SoftLink(f"/{name}" if mode == "itself" else "/nowhere")
    return f"{name} links to {mode} ({other})"


def _swap(file: h5py.File, name: str, rng: Random) -> str:
    """Another kind of object under this name, or another name for it."""
    mode = rng.choice(("group", "dataset", "renamed"))
    if mode == "renamed":
        file.move(name, name + rng.choice(("2", "é", " ", "\x1b")))
        return f"{name} renamed"
    attributes = dict(file[name].attrs)
    del file[name]
    new = file.create_group(name) if mode == "group" else file.create_dataset(name, data=[1, 2])
    for key, value in attributes.items():
        new.attrs[key] = value
    return f"{name} is an empty {mode}"


_EDITS: tuple[Callable[[h5py.File, str, Random], str], ...] = (
    *(_retype, _retype, _reshape, _reshape, _revalue, _revalue, _revalue, _delete),
    *(_attribute, _attribute, _attribute, _link, _swap),
)
_OF_GROUPS = {_delete, _attribute, _link, _swap}


def _names(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return sorted(names)


def structure(path: Path, rng: Random) -> str:
    """One to three edits by h5py."""
    told = []
    with h5py.File(path, "r+") as file:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            names = _names(file)
            if not names:
                break
            told.append(edit(file, rng.choice(names), rng))
    return ", ".join(told)


def edit(file: h5py.File, name: str, rng: Random) -> str:
    """One edit of the object ``name``; what h5py refuses midway stays as far as it came."""
    chosen = rng.choice(_EDITS)
    try:
        if isinstance(file[name], h5py.Group) and chosen not in _OF_GROUPS:
            chosen = _attribute
        return chosen(file, name, rng)
    except (
        TypeError,
        ValueError,
        OSError,
        RuntimeError,
        KeyError,
        OverflowError,
        AttributeError,
        MemoryError,
    ) as error:
        return f"{chosen.__name__} of {name} half done ({error})"[:80]


def outside(path: Path, rng: Random, names: tuple[str, ...]) -> str:
    """Something of the file lies in another file, which is not to be followed."""
    other = path.with_name("other.bin")
    with h5py.File(path, "r+") as file:
        name = rng.choice([name for name in names if name in file])
        if rng.random() < 0.5 or not isinstance(file[name], h5py.Dataset):
            with h5py.File(other, "w") as target:
                file.copy(name, target, name="it")
            del file[name]
            file[name] = h5py.ExternalLink(other.name if rng.random() < 0.5 else str(other), "/it")
            return f"{REFUSE}{name} is an external link"
        old = file[name]
        values = old[()]
        if values.dtype.kind == "O":
            values = values.astype("S")
        other.write_bytes(values.tobytes())
        _replace(
            file,
            name,
            shape=values.shape,
            dtype=values.dtype,
            external=[(str(other), 0, h5py.h5f.UNLIMITED)],
        )
        return f"{REFUSE}{name} is stored in another file"


def mutator(*parts: str) -> Callable[[Path, Random], str]:
    """Edits by structure, bytes, and storage elsewhere of ``parts``."""

    def mutate(path: Path, rng: Random) -> str:
        drawn = rng.random()
        if drawn < 0.05:
            return outside(path, rng, parts)
        return plain.raw(path, rng) if drawn < 0.3 else structure(path, rng)

    return mutate
