"""Mutations of archives and folders: .npz, .zarr, 10x, models and what else is manifest."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from safetensors import SafetensorError

from fembed.files import manifest
from tests.hostile.fuzz import plain
from tests.hostile.fuzz.hdf5 import NUMBERS, REFUSE, TEXTS, _shapes, _whole

DTYPES = ("i1", "u8", "f2", "f8", ">f8", "S3", "U2", "?", "c8", "V4", "M8[s]", "O")


def edit_array(array: np.ndarray, rng: Random) -> tuple[np.ndarray, str]:
    """Another type, shape or values."""
    mode = rng.choice(("type", "shape", "values", "values"))
    if mode == "type":
        name = rng.choice(DTYPES)
        with np.errstate(all="ignore"):
            return _astype(array, name), f"as {name}"
    if mode == "shape":
        shape = rng.choice(
            [shape for shape in _shapes(array.shape) if np.prod(shape, dtype=object) < 10**5]
        )
        return np.resize(array, shape), f"of shape {shape}"
    flat = array.copy().reshape(-1)
    value: Any = rng.choice(TEXTS if flat.dtype.kind in "OSU" else NUMBERS)
    value = value.encode() if flat.dtype.kind == "S" else value
    if flat.size and flat.dtype.kind in "OSUiubf":
        some = [rng.randrange(flat.size)] if rng.random() < 0.7 else range(flat.size)
        with np.errstate(all="ignore"):
            for at in some:
                flat[at] = _whole(value, flat.dtype) if flat.dtype.kind in "iub" else value
    return flat.reshape(array.shape), f"holds {str(value)[:20]!r}"


def _astype(array: np.ndarray, name: str) -> np.ndarray:
    try:
        return array.astype(name)
    except (TypeError, ValueError):
        return np.zeros(array.shape, name)


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def npy_header(content: bytes, rng: Random) -> tuple[bytes, str]:
    """The dictionary in the header of a .npy says something else."""
    stop = content.index(b"\n") if b"\n" in content[:2000] else 128
    old, new = rng.choice(
        (
            (b"'<f4'", b"'|O'"),
            (b"'<f4'", b"'<M8[s]'"),
            (b"False", b"True"),
            (b"'shape': (", b"'shape': (-1, "),
            (b"'shape': (", b"'shape': (10000000000, "),
            (b"'shape': (", b"'shape': (1000000000000000000000, "),
            (b"'shape': (6", b"'shape': (True"),
            (b"'shape': (6", b"'shape': (6.0"),
            (b"}", b", 'a': 1}"),
            (b"{", b"{" + b"(" * 150),
            (b"'descr'", b"'descry'"),
        )
    )
    head = content[10:stop].replace(old, new)
    length = len(head) + 1
    return content[:8] + length.to_bytes(2, "little") + head + content[stop:], f"{old!r} is {new!r}"


def npy(path: Path, rng: Random) -> str:
    content = path.read_bytes()
    drawn = rng.random()
    if drawn < 0.4:
        content, words = plain.damage(content, rng)
    elif drawn < 0.6:
        content, words = npy_header(content, rng)
    else:
        array, words = edit_array(np.load(path), rng)
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=True)
        content = stream.getvalue()
    path.write_bytes(content)
    return words


def npz(path: Path, rng: Random) -> str:
    """Raw bytes, or members changed one by one."""
    if rng.random() < 0.35:
        return plain.raw(path, rng)
    members = _members(path)
    name = rng.choice(sorted(members))
    mode = rng.choice(
        ("array", "array", "array", "bytes", "header", "removed", "renamed", "doubled")
    )
    if mode == "array":
        array, words = edit_array(np.load(io.BytesIO(members[name])), rng)
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=True)
        members[name] = stream.getvalue()
    elif mode == "bytes":
        members[name], words = plain.damage(members[name], rng)
    elif mode == "header":
        members[name], words = npy_header(members[name], rng)
    elif mode == "removed":
        del members[name]
        words = mode
    elif mode == "renamed":
        members[rng.choice(("data.npy", "a", "../x.npy", "format.npy", ".npy"))] = members.pop(name)
        words = mode
    else:
        members["more.npy"] = members[name]
        words = mode
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return f"{name} {words}"


def sparse_npz(path: Path, rng: Random) -> str:
    """As `npz`, and often indices outside their bounds."""
    return broken_npz(path, rng) if rng.random() < 0.3 else npz(path, rng)


def broken_npz(path: Path, rng: Random) -> str:
    """Indices outside their bounds, which must be noticed before anything is written."""
    fields = {name: array.copy() for name, array in np.load(path).items()}
    words = break_sparse(fields, rng)
    np.savez(path, **fields)
    return REFUSE + words


def break_sparse(fields: dict[str, Any], rng: Random) -> str:
    """Change a compressed sparse matrix so that it points outside itself."""
    indices, indptr = fields["indices"], fields["indptr"]
    mode = rng.choice(("high", "low", "long", "short", "falling", "begin"))
    if mode == "high":
        indices[rng.randrange(len(indices))] = rng.choice((2**31 - 1, 10**6, 100))
    elif mode == "low":
        indices[rng.randrange(len(indices))] = rng.choice((-1, -(2**31)))
    elif mode == "long":
        indptr[-1] += rng.choice((1, 10**6))
    elif mode == "short":
        indptr[-1] -= 1
    elif mode == "falling":
        indptr[1] = indptr[-1] + 5
    else:
        indptr[0] = rng.choice((-1, 1))
    return f"sparse bounds ({mode})"


def files_of(path: Path) -> list[Path]:
    return sorted(entry for entry in path.rglob("*") if entry.is_file())


def tenx(path: Path, rng: Random) -> str:
    """One of the files of the folder."""
    chosen = rng.choice(files_of(path))
    if rng.random() < 0.05:
        chosen.unlink()
        return f"{chosen.name} removed"
    edit = plain.packed if chosen.suffix == ".gz" else plain.text
    return f"{chosen.name}: {edit(chosen, rng)}"


PICKLE = {"id": "pickle", "protocol": 5}


def zarr(path: Path, rng: Random) -> str:
    """A description or a chunk of the folder."""
    found = files_of(path)
    if rng.random() < 0.8:  # what is read of an AnnData: its matrix and its names
        found = [entry for entry in found if not {"layers", "raw"} & set(entry.parts)]
    described = [entry for entry in found if entry.name in (".zarray", ".zattrs", ".zmetadata")]
    if rng.random() < 0.05 and (array := path / "X" / ".zarray").is_file():
        field = rng.choice(("filters", "compressor"))
        text = json.loads(array.read_text())
        text[field] = [PICKLE] if field == "filters" else PICKLE
        array.write_text(json.dumps(text))
        (path / ".zmetadata").unlink(missing_ok=True)
        return f"{REFUSE}X is read by the codec pickle"
    chosen = rng.choice(described if rng.random() < 0.7 else found)
    name = chosen.relative_to(path)
    if rng.random() < 0.1:
        chosen.unlink()
        return f"{name} removed"
    if chosen in described and rng.random() < 0.9:
        return f"{name}: {plain.json_file(chosen, rng)}"
    return f"{name}: {plain.raw(chosen, rng)}"


# ---- what is sealed: models, checkpoints, cases of a sweep


def _split(payload: bytes) -> tuple[dict[str, Any], bytes]:
    stop = 8 + int.from_bytes(payload[:8], "little")
    with plain.deep_stack():
        return json.loads(payload[8:stop]), payload[stop:]


def _joined(header: Any, body: bytes) -> bytes:
    with plain.deep_stack():
        text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def _edit_numbers(body: bytes, rng: Random) -> tuple[bytes, str]:
    """Some float32 of the arrays become others, all of one size or signs of trouble."""
    values = np.frombuffer(body[: len(body) // 4 * 4], "<f4").copy()
    value = rng.choice((np.nan, np.inf, 3e38, -3e38, 1e20, 1e-40, 0.0))
    n = rng.choice((1, 5, len(values)))
    at = rng.randrange(len(values))
    values[at : at + n] = value
    return values.tobytes() + body[len(values) * 4 :], f"{n} numbers from {at} are {value}"


def _edit_payload(payload: bytes, rng: Random) -> tuple[bytes, str]:
    header, body = _split(payload)
    drawn = rng.random()
    if drawn < 0.4:
        header, words = plain.edit_json(header, rng)
        return _joined(header, body), f"header: {words}"
    if drawn < 0.8:
        body, words = _edit_numbers(body, rng)
        return _joined(header, body), words
    return plain.damage(payload, rng)


def sealed_text(document: dict[str, Any]) -> str:
    """The document with its own checksum, however odd its contents."""
    with plain.deep_stack():
        return json.dumps(manifest.signed(document))


def folder(kind: str) -> Callable[[Path, Random], str]:
    """The two files of a sealed folder: bytes, the document signed again, headers and arrays."""

    def mutate(path: Path, rng: Random) -> str:
        array_path, document_path = path / f"{kind}.safetensors", path / f"{kind}.json"
        drawn = rng.random()
        if drawn < 0.1:
            chosen = rng.choice((array_path, document_path))
            return f"{chosen.name}: {plain.raw(chosen, rng)}"
        document = json.loads(document_path.read_text())
        if drawn < 0.6:
            document, words = plain.edit_json(document, rng)
        else:
            payload, words = _edit_payload(array_path.read_bytes(), rng)
            array_path.write_bytes(payload)
            document["arrays_bytes"] = len(payload)
            document["arrays_sha256"] = hashlib.sha256(payload).hexdigest()
        document_path.write_text(sealed_text(document))
        return words

    return mutate


def single(path: Path, rng: Random) -> str:
    """The same for a sealed file, whose document is in the header of its arrays."""
    if rng.random() < 0.15:
        return plain.raw(path, rng)
    header, body = _split(path.read_bytes())
    document = json.loads(header["__metadata__"]["fembed"])
    if rng.random() < 0.7:
        document, words = plain.edit_json(document, rng)
    else:
        payload, words = _edit_payload(_joined({k: v for k, v in header.items()}, body), rng)
        try:
            header, body = _split(payload)
            arrays = _arrays(header, body)
            document["arrays_sha256"] = manifest.array_digest(arrays)
            document["arrays"] = manifest.heading(arrays, "x")["arrays"]
        except (ValueError, KeyError, TypeError, AttributeError, SafetensorError):
            path.write_bytes(payload)
            return words
    header["__metadata__"] = {"fembed": sealed_text(document)}
    path.write_bytes(_joined(header, body))
    return words


def _arrays(header: dict[str, Any], body: bytes) -> dict[str, Any]:
    from safetensors.numpy import load

    return load(_joined({k: v for k, v in header.items() if k != "__metadata__"}, body))


def parquet(path: Path, rng: Random) -> str:
    """Raw bytes, other columns, or another account of the index in the metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if rng.random() < 0.5:
        return plain.raw(path, rng)
    table = pq.read_table(path)
    mode = rng.choice(("type", "renamed", "removed", "metadata", "metadata", "nulls", "empty"))
    at = rng.randrange(table.num_columns)
    name = table.column_names[at]
    words = f"column {name} {mode}"
    if mode == "type":
        made = rng.choice((_as_text, _as_lists, _as_dictionary, _as_dates, _as_structs, _as_halves))
        table = table.set_column(at, name, made(table.num_rows))
        words = f"column {name} {made.__name__}"
    elif mode == "renamed":
        names = list(table.column_names)
        names[at] = rng.choice(("", names[0], "__index_level_0__", "x" * 70_000, "\x1b"))
        table = table.rename_columns(names)
    elif mode == "removed":
        table = table.remove_column(at)
    elif mode == "nulls":
        table = table.set_column(at, name, pa.nulls(table.num_rows))
    elif mode == "empty":
        table = table.slice(0, 0)
    else:
        metadata = dict(table.schema.metadata or {})
        document, words = plain.edit_json(json.loads(metadata.get(b"pandas", b'{"a": 1}')), rng)
        with plain.deep_stack():
            metadata[b"pandas"] = json.dumps(document).encode()
        table = table.replace_schema_metadata(metadata)
    pq.write_table(table, path)
    return words


def _as_text(n: int) -> Any:
    return [[f"a{i}" for i in range(n)]]


def _as_lists(n: int) -> Any:
    return [[[1.0]] * n]


def _as_dictionary(n: int) -> Any:
    import pyarrow as pa

    return pa.array(["a"] * n).dictionary_encode()


def _as_dates(n: int) -> Any:
    return [[date(2020, 1, 1)] * n]


def _as_structs(n: int) -> Any:
    return [[{"a": 1}] * n]


def _as_halves(n: int) -> Any:
    return [np.ones(n, np.float16)]
