"""Simulated samples with two layers: counts of genes, and proteins in units of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd

N_GENES, N_PROTEINS = 120, 25
#: Options of a fit that takes a second or two.
QUICK = {"hidden": (12,), "gene_components": 6, "epochs": 20, "n_threads": 1, "verbose": False}


def rna_and_protein(n_samples: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both follow two hidden numbers of a sample; ``seed`` draws the samples, not the features."""
    of_features, rng = np.random.default_rng(99), np.random.default_rng(seed)
    hidden = rng.uniform(-1, 1, (n_samples, 2))
    slopes, mean = of_features.normal(size=(2, N_GENES)), of_features.normal(3, 0.7, N_GENES)
    depth = rng.uniform(0.7, 1.4, (n_samples, 1))
    counts = rng.poisson(depth * np.exp(mean + 0.8 * hidden @ slopes))
    proteins = np.tanh(hidden @ of_features.normal(size=(2, N_PROTEINS)))
    proteins = 1000.0 * (proteins + 0.1 * rng.normal(size=proteins.shape))
    samples = [f"s{seed}_{i}" for i in range(n_samples)]
    genes = [f"G{j}" for j in range(N_GENES)]
    return (
        pd.DataFrame(counts, samples, genes),
        pd.DataFrame(proteins, samples, [f"P{j}" for j in range(N_PROTEINS)]),
    )


class MuDataLike:
    """What fembed knows a MuData object by: its ``mod``, beside what AnnData objects have."""

    def __init__(self, mod: dict[str, object]) -> None:
        self.mod = mod
        self.obs_names = pd.Index(["neither", "used"])
        self.obs = pd.DataFrame(index=self.obs_names)
