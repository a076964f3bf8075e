"""Many files of one sample each, in a list or a folder, as one matrix."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fembed.data.chunks import empty_matrix
from fembed.data.expression import Expression
from fembed.data.lookup import exact_positions
from fembed.data.readers import binary, refused
from fembed.data.readers.layout import Layout
from fembed.data.readers.table_names import sample_name
from fembed.data.readers.tables import recognise
from fembed.data.readers.text import TextFile
from fembed.errors import DataWarning, InputError

Reader = Callable[[Path], Expression]
#: Files whose genes differ by more than this share were counted with other annotations.
_MAX_DIFFERENT = 0.1
_MAX_FILES = 100_000


def in_folder(folder: Path, transcripts_wanted: bool) -> tuple[list[Path], tuple[str, ...]]:
    """The files of one sample each in a folder or its sub-folders, and what was left aside.

    Raises
    ------
    InputError
        If there are none, or of two kinds.
    """
    files = _files(folder)
    layouts = {path: layout for path in files if (layout := _layout_of(path)) is not None}
    kinds = Counter((layout.transcripts, layout.format) for layout in layouts.values())
    if not kinds:
        raise InputError(
            f"{folder} holds no files of counts that are a sample each (STAR, htseq-count, RSEM, "
            "GDC, salmon, kallisto), nor matrix.mtx, features.tsv and barcodes.tsv (plain or .gz), "
            "so it is not a 10x folder, nor does its name end in .zarr; give a file, such a "
            "folder, or a pattern of files to be read together ('FOLDER/*.tsv')."
        )
    # Salmon and RSEM write transcripts and genes side by side.
    levels = {transcripts for transcripts, _ in kinds}
    level = transcripts_wanted if transcripts_wanted in levels else not transcripts_wanted
    chosen = [kind for kind in kinds if kind[0] == level]
    if len(chosen) > 1:
        counted = " and ".join(f"{kinds[kind]} of {kind[1]}" for kind in chosen)
        raise InputError(
            f"{folder} holds files of several formats ({counted}); give a folder of one format, or "
            "a list of files."
        )
    found = [path for path in files if path in layouts and _kind(layouts[path]) == chosen[0]]
    stray = [str(path.relative_to(folder)) for path in files if path not in set(found)]
    if stray:
        listed = ", ".join(stray[:3]) + (", ..." if stray[3:] else "")
        warnings.warn(
            f"{len(found)} files of {chosen[0][1]} in {folder} are read, a sample each, and "
            f"{len(stray)} other file(s) left out: {listed}.",
            DataWarning,
            stacklevel=4,
        )
    return found, (f"{len(found)} files of {chosen[0][1]}, a sample each.",)


def _kind(layout: Layout) -> tuple[bool, str]:
    return layout.transcripts, layout.format


def _files(folder: Path) -> list[Path]:
    """The files in a folder and in the folders in it, hidden ones aside."""
    found: list[Path] = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        inside = sorted(entry.iterdir()) if entry.is_dir() else [entry]
        found += [path for path in inside if path.is_file() and not path.name.startswith(".")]
        if len(found) > _MAX_FILES:
            raise InputError(f"{folder} holds more than {_MAX_FILES:,} files; give a smaller one.")
    return found


def _layout_of(path: Path) -> Layout | None:
    """The layout of a file of one sample; None for any other file."""
    try:
        if path.stat().st_size == 0:
            return None
        text = TextFile(path)
        binary.refuse_binary(text.start, path)
        head = text.head()
        refused.refuse_text(head)
        layout = recognise(head, text)
    except InputError:  # a log, a picture, a sheet: named among those left out
        return None
    is_sample = layout is not None and layout.values is not None and len(layout.values) in (1, 3)
    return layout if is_sample and layout is not None and layout.announced is None else None


def together(paths: Sequence[Path], read: Reader, origin: str) -> Expression:
    """One matrix of the samples in many files, genes matched by their names.

    Parameters
    ----------
    paths : sequence of Path
    read : callable
        The reader of a single file.
    origin : str
        What to call all of them in a message.

    Raises
    ------
    InputError
        If more than a tenth of the genes are not in all files, or files of other units meet.

    Warns
    -----
    DataWarning
        If some genes are not in all files; they are missing (NaN) there.
    """
    parts: list[Expression] = []
    told: dict[str, list[tuple[str, type[Warning]]]] = {}
    for path in paths:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            parts.append(read(path))
        for warning in caught:
            sentence = str(warning.message)
            kind = re.sub(r"\d+", "", sentence.replace(str(path), ""))
            told.setdefault(kind, []).append((sentence, warning.category))
    for (sentence, category), *others in told.values():  # every file of a kind says the same
        more = f" (So do {len(others)} more of the {len(paths)} files.)" if others else ""
        warnings.warn(sentence + more, category, stacklevel=3)
    names = [name for part in parts for name in part.sample_names]
    if len(set(names)) < len(names) and all(part.n_samples == 1 for part in parts):
        by_file = [sample_name(path) for path in paths]
        by_folder = [path.absolute().parent.name for path in paths]
        unique = (found for found in (by_file, by_folder) if len(set(found)) == len(found))
        names = next(unique, names)
    _refuse_other_units(parts, origin)
    genes, n_shared = _genes(parts)
    if n_shared < len(genes):
        _tell_different(parts, genes, n_shared, origin)
    values = empty_matrix(len(names), len(genes), origin=origin)
    start = 0
    for part in parts:
        rows = slice(start, start + part.n_samples)
        if len(part.gene_names) == len(genes) and (part.gene_names == genes).all():
            values[rows] = part.values
        else:
            values[rows] = np.nan
            values[rows, exact_positions(part.gene_names, genes)] = part.values
        start = rows.stop
    source = parts[0].source
    notes = (f"{len(parts)} files are read as one matrix.", *source.notes)
    together = Expression.adopt(values, names, genes, origin=origin)
    return replace(together, source=replace(source, oriented=True, notes=notes))


def _genes(parts: list[Expression]) -> tuple[np.ndarray, int]:
    """All genes, in the order in which they are met, and how many are in every part."""
    first = parts[0].gene_names
    if all(
        len(part.gene_names) == len(first) and (part.gene_names == first).all() for part in parts
    ):
        return first, len(first)
    counts: Counter[str] = Counter()
    for part in parts:
        repeated = [name for name, count in Counter(part.gene_names).items() if count > 1]
        if repeated:
            raise InputError(
                f"{part.origin} holds the gene name '{repeated[0]}' more than once; merge, remove "
                "or rename the repeated ones."
            )
        counts.update(part.gene_names)
    n_shared = sum(count == len(parts) for count in counts.values())
    return np.array(list(counts), dtype=object), n_shared


def _tell_different(parts: list[Expression], genes: np.ndarray, n_shared: int, origin: str) -> None:
    sizes = [part.n_genes for part in parts]
    smallest = parts[int(np.argmin(sizes))]
    lacking = next(gene for gene in genes if gene not in set(smallest.gene_names))
    n_lacking = len(genes) - n_shared
    said = (
        f"{n_lacking} of the {len(genes)} genes of {origin} are not in all of its files "
        f"('{lacking}' is not in {smallest.origin})"
    )
    if n_lacking > _MAX_DIFFERENT * len(genes):
        raise InputError(f"{said}; give files that were counted with one annotation.")
    warnings.warn(f"{said} and are missing values (NaN) there.", DataWarning, stacklevel=4)


def _refuse_other_units(parts: list[Expression], origin: str) -> None:
    kinds = {(part.source.format, part.source.units) for part in parts}
    units = {part.source.units for part in parts}
    if len(units) > 1:
        listed = " and ".join(
            f"{kind} ({unit or 'unknown units'})" for kind, unit in sorted(kinds, key=str)
        )
        raise InputError(f"{origin} mixes {listed}; give files of one format.")
