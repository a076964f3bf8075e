"""A small expression with three groups of samples, for tests of the whole path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

N_SAMPLES, N_GENES = 36, 24
#: Options of a fit that takes a fraction of a second.
QUICK = ("--hidden", "8", "--gene-components", "4", "--epochs", "2", "--n-threads", "1")


def frame(seed: int = 0) -> pd.DataFrame:
    """Counts, samples x genes, with names."""
    rng = np.random.default_rng(seed)
    groups = np.arange(N_SAMPLES) % 3
    means = np.exp(rng.normal(3.0, 1.0, size=(3, N_GENES)))
    means *= 30.0 * N_GENES / means.sum(axis=1, keepdims=True)  # libraries of one depth
    counts = rng.poisson(means[groups])
    samples = [f"s{i}" for i in range(N_SAMPLES)]
    return pd.DataFrame(counts, samples, [f"G{j}" for j in range(N_GENES)])


def write_csv(path: Path, table: pd.DataFrame | None = None) -> Path:
    (frame() if table is None else table).to_csv(path)
    return path


def write_h5ad(path: Path, table: pd.DataFrame | None = None) -> Path:
    """The same with ``obs["group"]`` and ``obs["loss"]``, a layer, and raw."""
    from anndata import AnnData

    table = frame() if table is None else table
    groups = [f"group {i % 3}" for i in range(len(table))]
    obs = pd.DataFrame({"group": groups, "loss": 0.0}, index=table.index)
    values = table.to_numpy(np.float32)
    adata = AnnData(values, obs=obs, var=pd.DataFrame(index=table.columns))
    adata.raw = adata
    adata.layers["log"] = np.log10(values + 1)
    adata.write_h5ad(path)
    return path
