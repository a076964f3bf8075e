"""The HDF5 layout of the published scripts: ``data``, ``samples``, ``genes``, maybe ``labels``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from fembed.data.annotations import Source
from fembed.data.expression import Expression
from fembed.data.memory import refuse_beyond_memory
from fembed.data.readers.stored_names import is_list, names
from fembed.errors import InputError

MEMBERS = ("data", "samples", "genes")


def is_layout(file: Any) -> bool:
    """Whether the datasets are there."""
    return all(hasattr(file.get(name), "dtype") for name in MEMBERS)


def read_open(file: Any, path: Path, transpose: bool) -> Expression:
    """The labels become the column ``labels`` of ``obs``."""
    data = file["data"]
    if len(data.shape) != 2:
        raise InputError(
            f"data of {path} has {len(data.shape)} dimension(s); give a matrix, samples x genes."
        )
    for name in ("samples", "genes"):
        if not is_list(file[name]):
            raise InputError(
                f"{name} of {path} has {len(file[name].shape)} dimensions; it should be one list."
            )
    n_samples, n_genes = file["samples"].shape[0], file["genes"].shape[0]
    transpose = transpose or _is_reversed(data, n_samples, n_genes)
    shape = data.shape[::-1] if transpose else data.shape
    refuse_beyond_memory(shape[0], shape[1], str(path))
    samples = names(file["samples"], shape[0], "sample", path)
    genes = names(file["genes"], shape[1], "gene", path)
    obs = _obs(file.get("labels"), samples, path)
    expression = Expression.from_array(
        data, samples, genes, origin=str(path), transpose=transpose, obs=obs
    )
    return replace(expression, source=Source("HDF5 of the published scripts", oriented=True))


def _is_reversed(data: Any, n_samples: int, n_genes: int) -> bool:
    """Whether the names fit ``data`` only the other way round.

    Julia stores arrays by columns: the samples x genes matrix that its scripts wrote reads here
    as genes x samples.
    """
    return n_samples != n_genes and tuple(data.shape) == (n_genes, n_samples)


def _obs(labels: Any, samples: Any, path: Path) -> Any:
    if labels is None:
        return None
    import pandas as pd

    if not is_list(labels, len(samples)):
        raise InputError(
            f"{path} has {labels.shape[0] if labels.shape else 0} labels for {len(samples)} "
            "samples; give one each."
        )
    column = names(labels, len(samples), "sample", path)
    return pd.DataFrame({"labels": column}, index=pd.Index(samples))
