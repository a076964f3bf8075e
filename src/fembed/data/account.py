"""How a matrix was interpreted: its axes, names and units, and what looks wrong.

A matrix does not say what its numbers are, so all this is judged from names and values. `facts` are
shown by ``fembed info`` and in summaries; `oriented` and `warn_of_doubts` warn where names or
values contradict the options.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import empty_matrix, even_choice, row_chunks
from fembed.data.expression import Expression
from fembed.data.lookup import Lookup
from fembed.data.names import are_numbers, gene_kind, reversed_axes, sample_kind
from fembed.data.preprocess import Preprocessing
from fembed.errors import DataWarning

Kind = Literal["counts", "linear", "log", "centred", "shares", "unknown"]

#: So many samples are looked at; the others have the same units.
MAX_SAMPLES = 512
#: Larger values are no logarithms: nobody counts 2^30 or e^30 of anything.
MAX_LOG = 30.0
#: The largest value over the mean positive one is small for logarithms (2 to 8 in data sets seen)
#: and large for linear values (40 and more).
MAX_LOG_SKEW = 10.0
MIN_LINEAR_SKEW = 20.0
#: From here on every 32-bit float is a whole number, so being whole does not mean being a count.
ALWAYS_WHOLE = 2.0**23
#: Units are not judged by fewer positive entries than this.
MIN_ENTRIES = 50
#: Where library sizes matter, their 90th percentile is at least this many times their 10th.
MIN_DEPTH_RATIO = 1.5


@dataclass(frozen=True)
class Units:
    """What the values of a matrix look like.

    Attributes
    ----------
    kind : {"counts", "linear", "log", "centred", "shares", "unknown"}
        Whole numbers; other values that are not on a log scale; log values from 0 up; values below
        zero too; values from 0 to 1; too little to tell.
    lowest, highest : float
        The smallest and the largest of the entries looked at.
    depth_ratio : float
        How far the totals of the samples are apart: their 90 % point over their 10 % point.
    declared : str or None
        What the file itself says.
    """

    kind: Kind
    lowest: float
    highest: float
    depth_ratio: float
    declared: str | None = None

    def __str__(self) -> str:
        looks = {
            "counts": "counts",
            "linear": "linear values",
            "log": "a log scale",
            "centred": "a log scale or scaled values",
            "shares": "values from 0 to 1",
            "unknown": "too few values to tell",
        }[self.kind]
        return looks if self.declared in (None, looks) else f"{looks} (stated: {self.declared})"

    @property
    def advice(self) -> str:
        """The transforms that fit, as options of the command line."""
        return {
            "counts": "--transform cpm (or --likelihood counts)",
            "linear": "--transform log10 (or cpm)",
            "log": "--transform none",
            "centred": "--transform none",
            "shares": "--transform none",
            "unknown": "",
        }[self.kind]


def units_of(values: NDArray[np.float32], declared: str | None = None) -> Units:
    """Judge the units of a matrix by its values and by what its file says.

    Parameters
    ----------
    values : float32 array, n_samples x n_genes
        As read, before any transform; NaN is a missing entry.
    declared : str, optional
        What the format says of its values; see `fembed.data.expression.Source`.
    """
    rows = even_choice(len(values), MAX_SAMPLES)
    lowest, highest, whole = np.inf, -np.inf, True
    n_positive, n_small, total, totals = 0, 0, 0.0, np.zeros(len(rows))
    for part in row_chunks(len(rows), values.shape[1]):
        block = values[rows[part]]
        observed = block[np.isfinite(block)]
        lowest = min(lowest, float(observed.min(initial=np.inf)))
        highest = max(highest, float(observed.max(initial=-np.inf)))
        whole = whole and bool((observed == np.round(observed)).all())
        positive = observed > 0
        n_small += int(np.count_nonzero(positive & (observed < ALWAYS_WHOLE)))
        n_positive += int(np.count_nonzero(positive))
        total += float(observed[positive].sum(dtype=np.float64))
        totals[part] = np.where(np.isfinite(block), block, 0).sum(axis=1, dtype=np.float64)
    skew = highest / (total / n_positive) if n_positive else 0.0
    low, high = np.quantile(totals, [0.1, 0.9]) if len(totals) >= 5 else (1.0, 1.0)
    ratio = float(high / low) if low > 0 else 1.0
    kind = _kind(lowest, highest, whole and n_small > 0, skew, n_positive, declared or "")
    return Units(kind, lowest, highest, ratio, declared)


def _kind(
    lowest: float, highest: float, whole: bool, skew: float, n_positive: int, declared: str
) -> Kind:
    if lowest < 0:
        return "centred"
    if declared.startswith("log"):
        return "log"
    if "counts" in declared:
        return "counts"
    if n_positive < MIN_ENTRIES:
        return "unknown"
    if whole:
        return "counts" if highest > 1 else "shares"
    if highest <= 1:
        return "shares"
    return "log" if highest <= MAX_LOG and skew <= MAX_LOG_SKEW else "linear"


def unit_doubt(
    values: NDArray[np.float32], transform: str, origin: str, declared: str | None = None
) -> str | None:
    """A warning about values that do not suit the transform; None where nothing is wrong.

    Parameters
    ----------
    values : float32 array, n_samples x n_genes
        Before the transform.
    transform : {"log10", "cpm", "none"}
    origin : str
        What to call the data.
    declared : str, optional
        What the file itself says of its units.
    """
    units = units_of(values, declared)
    if units.kind == "log" and transform != "none":
        again = "takes logarithms again" if transform == "log10" else "is for counts"
        return f"{_look(units, origin)}, and the transform {transform} {again}; use none."
    if units.kind == "counts" and transform == "log10" and units.depth_ratio > MIN_DEPTH_RATIO:
        return (
            f"{_look(units, origin)}, and the totals of its samples differ "
            f"({units.depth_ratio:.3g} times from their 10th to their 90th percentile), which the "
            "transform log10 leaves in the map as if it were expression; use cpm, or the "
            "likelihood counts for raw counts."
        )
    raw = units.kind == "counts" and units.highest > MAX_LOG
    if transform == "none" and (raw or _is_linear(units, values)):
        return (
            f"{_look(units, origin)}, and the transform none takes it as it is, so that a few "
            "large genes rule the map; use cpm for counts, log10 for other linear values."
        )
    return None


def model_unit_doubt(
    values: NDArray[np.float32], transform: str, origin: str, declared: str | None = None
) -> str | None:
    """As `unit_doubt`, for new samples and the transform of a trained model."""
    units = units_of(values, declared)
    if units.kind == "log" and transform != "none":
        return (
            f"{_look(units, origin)}, and the model's transform {transform} would take logarithms "
            "again; give the values before the logarithm, in the units of the training data."
        )
    return None


def _look(units: Units, origin: str) -> str:
    return f"{origin} ({units.lowest:.4g} to {units.highest:.4g}) looks like {units}"


def _is_linear(units: Units, values: NDArray[np.float32]) -> bool:
    if units.kind != "linear" or units.highest <= 100:
        return False
    some = values[even_choice(len(values), MAX_SAMPLES)]
    return bool(units.highest > MIN_LINEAR_SKEW * np.nanmean(some, dtype=np.float64))


def name_doubts(expression: Expression) -> Iterator[str]:
    """Warnings about names that do not look like those of samples and genes."""
    origin = expression.origin
    samples, genes = expression.sample_names, expression.gene_names
    if reversed_axes(samples, genes):
        yield (
            f"The samples of {origin} have names such as '{samples[0]}' and its genes such as "
            f"'{genes[0]}', as if it were genes x samples; if it is, give --transpose, or "
            "leave it out where it was given (in Python, transpose the data)."
        )
    elif gene_kind(genes) in ("Ensembl transcript IDs", "RefSeq transcript IDs"):
        yield (
            f"The genes of {origin} are transcripts, such as '{genes[0]}'; sum them to genes, or "
            "leave them so if every data set is to have the same transcripts."
        )
    for what, names in (("gene", genes), ("sample", samples)):
        if are_numbers(names) and any("." in name for name in names):
            yield (
                f"The {what} names of {origin} are numbers such as {names[0]}; perhaps values were "
                "taken for names because the table lacks them."
            )


def warn_of_doubts(
    expression: Expression, preprocessing: Preprocessing, stacklevel: int = 2
) -> None:
    """Issue a `DataWarning` for every doubt about names and units of training data."""
    doubts = list(name_doubts(expression))
    for layer, columns in preprocessing.pieces(expression.n_genes):
        origin, declared = origin_of(expression, layer.name)
        values = expression.values[:, columns]
        unit = unit_doubt(values, layer.transform, origin, declared)
        doubts += [] if unit is None else [unit]
    for doubt in doubts:
        warnings.warn(doubt, DataWarning, stacklevel=stacklevel + 1)


def origin_of(expression: Expression, layer: str) -> tuple[str, str | None]:
    """What to call a layer of the data, or the data that have none, and their declared units."""
    for part in expression.layers:
        if part.name == layer:
            return part.origin, part.source.units
    return expression.origin, expression.source.units


def warn_of_spelling(found: Lookup, what: str, origin: str, stacklevel: int = 2) -> None:
    """Issue a `DataWarning` that says which names were matched in another spelling, if any."""
    sentence = found.sentence(what, origin)
    if sentence is not None:
        warnings.warn(sentence, DataWarning, stacklevel=stacklevel + 1)


def oriented(expression: Expression) -> Expression:
    """The matrix with samples in rows: transposed, with a warning, if its names say that genes are.

    For files whose format does not say which axis is which (tables, arrays with names). Portals and
    counting programs write genes x samples, so the names of such a file are believed.

    Warns
    -----
    DataWarning
        If the axes are swapped.
    """
    samples, genes = expression.sample_names, expression.gene_names
    undecided = not expression.source.oriented and expression.obs is None
    if not undecided or not expression.values.size or not reversed_axes(samples, genes):
        return expression
    warnings.warn(
        f"{expression.origin} is taken for genes x samples, as its names say (rows such as "
        f"'{samples[0]}', columns such as '{genes[0]}'); --transpose says so without this "
        "warning, --no-transpose reads it as it stands.",
        DataWarning,
        stacklevel=3,
    )
    values = empty_matrix(expression.n_genes, expression.n_samples, origin=expression.origin)
    values[:] = expression.values.T
    return replace(
        expression,
        values=values,
        sample_names=genes,
        gene_names=samples,
        source=replace(expression.source, oriented=True),
    )


def facts(expression: Expression) -> dict[str, Any]:
    """How the matrix was interpreted, as far as it is known, for ``fembed info`` and summaries."""
    known = {
        "format": expression.source.format or None,
        "sample_names": sample_kind(expression.sample_names),
        "gene_names": gene_kind(expression.gene_names) or _called_numbers(expression),
        "notes": list(expression.source.notes) or None,
    }
    units = units_of(expression.values, expression.source.units)
    if units.kind != "unknown" and not expression.layers:
        known["looks_like"] = f"{units}: {units.advice}"
    return {name: value for name, value in known.items() if value is not None}


def _called_numbers(expression: Expression) -> str | None:
    return "numbers, as Entrez gene IDs are" if are_numbers(expression.gene_names) else None
