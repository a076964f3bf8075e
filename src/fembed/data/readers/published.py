"""The HDF5 layout of the published scripts: ``data``, ``samples``, ``genes``, maybe ``labels``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.expression import Expression
from fembed.data.readers.damage import damage_reported
from fembed.errors import InputError


def read(path: Path, transpose: bool) -> Expression:
    """The labels become the column ``labels`` of ``obs``."""
    import h5py

    with (
        damage_reported(path, "an HDF5 file", OSError, KeyError, RuntimeError, ValueError),
        h5py.File(path, "r") as file,
    ):
        stored = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
        lacking = [name for name in ("data", "samples", "genes") if name not in stored]
        if lacking:
            raise InputError(
                f"{path} lacks the dataset(s) {', '.join(lacking)} (it holds "
                f"{', '.join(map(str, file)) or 'nothing'}); "
                "if it is an AnnData file, rename it to .h5ad."
            )
        samples, genes = (_text(stored[name], path) for name in ("samples", "genes"))
        return Expression.from_array(
            stored["data"],
            samples,
            genes,
            origin=str(path),
            transpose=transpose or _is_reversed(stored["data"], len(samples), len(genes)),
            obs=_obs(stored.get("labels"), samples, path),
        )


def _is_reversed(data: Any, n_samples: int, n_genes: int) -> bool:
    """Whether the names fit ``data`` only the other way round.

    Julia stores arrays by columns: the samples x genes matrix that its scripts wrote reads here
    as genes x samples.
    """
    return n_samples != n_genes and tuple(data.shape) == (n_genes, n_samples)


def _text(dataset: Any, path: Path) -> NDArray[np.object_]:
    if dataset.ndim != 1:
        raise InputError(
            f"{dataset.name.strip('/')} of {path} has {dataset.ndim} dimensions; "
            "it should be one list."
        )
    texts = (item.decode() if isinstance(item, bytes) else str(item) for item in dataset[:])
    return np.array(list(texts), dtype=object)


def _obs(labels: Any, samples: NDArray[np.object_], path: Path) -> Any:
    if labels is None:
        return None
    import pandas as pd

    column = _text(labels, path)
    if len(column) != len(samples):
        raise InputError(
            f"{path} has {len(column)} labels for {len(samples)} samples; give one each."
        )
    return pd.DataFrame({"labels": column}, index=pd.Index(samples))
