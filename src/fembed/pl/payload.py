"""What an interactive map carries: samples, the decoder and measured expression, as plain JSON.

Arrays are base64 text of little-endian numbers. Per-gene arrays are 16-bit integers with one
scale a column: half the size of float32, and evenly exact (a 65,534th of the column's range).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import even_choice
from fembed.model import Model
from fembed.pl import names
from fembed.pl.categories import Categories
from fembed.pl.samples import MapSamples

#: Bytes of measured expression in a page, before base64: the page stays mailable.
MEASURED_BYTES = 2_000_000
#: Width in inches, and type size in points, of a name in the legend: about three lines.
_LEGEND_NAME = (4.6, 7.0)
#: The mean profile is that of at most so many training samples: 10 million pairs at 20,000 genes.
MEAN_SAMPLES = 512
_WHOLE = 32767  # the largest 16-bit integer
_MISSING = 65535  # of measured expression, in 16 bits


def packed(array: NDArray[Any], kind: str) -> str:
    """Base64 of ``array`` as little-endian numbers of ``kind``, such as ``"f4"``."""
    return base64.b64encode(np.ascontiguousarray(array, f"<{kind}").tobytes()).decode("ascii")


def scaled(matrix: NDArray[Any]) -> dict[str, str]:
    """A matrix as 16-bit integers and one scale per column."""
    scale = np.abs(matrix).max(axis=0).astype(np.float64) / _WHOLE
    whole = np.rint(matrix / np.where(scale > 0, scale, 1.0)).astype(np.int16)
    return {"data": packed(whole, "i2"), "scale": packed(scale, "f4")}


def decoder_payload(model: Model) -> dict[str, Any]:
    """The arrays that decode a point, for ``web/decoder.js``.

    Genes are given by their embedding, or by their part of the first layer where that is smaller.
    """
    p, d = model.parameters, model.n_components
    first, *rest = p.layers()
    by_gene = first.weight[:, d:]
    as_parts = p.gene_components > len(first.bias)
    genes = p.gene_embedding @ by_gene.T if as_parts else p.gene_embedding
    return {
        "n_components": d,
        "n_genes": model.n_genes,
        "first": {
            "sample": packed(first.weight[:, :d], "f4"),
            "gene": None if as_parts else packed(by_gene, "f4"),
            "bias": packed(first.bias, "f4"),
        },
        "layers": [
            {
                "n_out": layer.weight.shape[0],
                "n_in": layer.weight.shape[1],
                "weight": packed(layer.weight, "f4"),
                "bias": packed(layer.bias, "f4"),
            }
            for layer in rest
        ],
        "genes": scaled(genes),
        "loading": None if p.gene_loading is None else scaled(p.gene_loading),
        "gene_bias": None if p.gene_bias is None else packed(p.gene_bias, "f4"),
    }


def mean_profile(model: Model, n_threads: int | None = None) -> NDArray[np.float32]:
    """Mean decoded expression over the training samples (evenly `MEAN_SAMPLES` of them)."""
    rows = even_choice(model.n_samples, MEAN_SAMPLES)
    decoded = model.decode(model.sample_embedding[rows], n_threads=n_threads)
    mean: NDArray[np.float32] = decoded.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def most_variable(measured: NDArray[np.float32], most: int) -> NDArray[np.intp]:
    """Columns with the largest variance, at most ``most``, in their own order."""
    centred = np.nan_to_num(measured - _column_mean(measured))
    variance = np.einsum("ij,ij->j", centred, centred)
    chosen: NDArray[np.intp] = np.sort(np.argsort(-variance, kind="stable")[:most])
    return chosen


def _column_mean(measured: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of the observed entries; 0 for a gene without any."""
    count = np.maximum(1, (~np.isnan(measured)).sum(axis=0))
    mean: NDArray[np.float32] = (np.nansum(measured, axis=0, dtype=np.float64) / count).astype("f4")
    return mean


def measured_payload(
    measured: NDArray[np.float32] | None, most_genes: int | None = None
) -> dict[str, Any] | None:
    """Measured expression of the most variable genes, in 16 bits; None where there is none."""
    if measured is None:
        return None
    budget = max(1, MEASURED_BYTES // (2 * max(1, len(measured))))
    most = min(measured.shape[1], budget if most_genes is None else most_genes)
    if most == 0:
        return None
    genes = most_variable(measured, most)
    values = measured[:, genes].T  # one gene's samples lie together
    observed = np.isfinite(values)
    low = np.where(observed, values, np.inf).min(axis=1)
    high = np.where(observed, values, -np.inf).max(axis=1)
    low, high = (np.where(np.isfinite(edge), edge, 0.0).astype(np.float64) for edge in (low, high))
    step = np.maximum((high - low) / (_MISSING - 1), 1e-12)
    codes = np.full(values.shape, _MISSING, np.uint16)
    codes[observed] = np.rint((values - low[:, None]) / step[:, None])[observed]
    return {
        "genes": packed(genes, "i4"),
        "codes": packed(codes, "u2"),
        "low": packed(low, "f4"),
        "step": packed(step, "f4"),
    }


def label_payload(labels: Mapping[str, Categories]) -> list[dict[str, Any]]:
    """Columns as categories with their colours and symbols, and a code for every sample.

    Categories without a sample are left out; the others look as they do in every figure.
    """
    columns = []
    for name, column in labels.items():
        styles, present = column.styles(), column.present
        new_code = np.cumsum(column.counts > 0) - 1
        wide = len(present) >= 65536
        columns.append(
            {
                "name": str(name),
                "categories": [names.plain(category) for category in present],
                "shown": names.told_apart(present, *_LEGEND_NAME),
                "codes": packed(new_code[column.codes], "i4" if wide else "u2"),
                "wide": wide,
                "colours": [styles[category].colour for category in present],
                "symbols": [styles[category].symbol for category in present],
            }
        )
    return columns


def map_payload(
    model: Model,
    samples: MapSamples,
    *,
    title: str,
    measured_genes: int | None = None,
    n_threads: int | None = None,
) -> dict[str, Any]:
    """Everything that the scripts in ``web/`` shows."""
    return {
        "title": title,
        "names": [str(name) for name in samples.names],
        "genes": [str(name) for name in model.gene_names],
        "n_training": samples.n_training,
        "points": packed(samples.coordinates, "f4"),
        "loss": packed(_within_float32(samples.loss), "f4"),
        "outlier": packed(_within_float32(samples.outlier), "f4"),
        "labels": label_payload(samples.labels),
        "decoder": decoder_payload(model),
        "mean": packed(mean_profile(model, n_threads), "f4"),
        "measured": measured_payload(samples.measured, measured_genes),
        "scale": _scale_of(model),
    }


def _within_float32(values: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = float(np.finfo(np.float32).max)
    return np.clip(values, -largest, largest)


def _scale_of(model: Model) -> str:
    if model.preprocessing.layers:
        return "the model's scale"
    target = model.preprocessing.target_sum
    per = "million" if target == 1e6 else f"{target:,.0f}"
    return {
        "log10": "log10(x + 1)",
        "cpm": f"log10(counts per {per} + 1)",
        "none": "the data's own scale",
        "counts": "the logarithm of the rate",
    }[model.preprocessing.transform]
