"""Simulated expression on a curved surface: every gene is a bump somewhere on a square.

Two coordinates make every profile, so a two-dimensional map can hold all of it, but no plane can:
principal components see a small part of the variance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fembed.config import FitConfig
from fembed.data.expression import Expression
from fembed.model import Model
from fembed.train import fit

#: A small network: enough for these data, and a fit takes about a second.
SMALL: dict[str, Any] = {"hidden": (32, 32), "gene_components": 8, "n_threads": 1}


def surface(places: NDArray[np.float64], n_genes: int, seed: int = 0) -> NDArray[np.float32]:
    """Profiles (k x n_genes) of ``places`` (k x 2) in the square from 0 to 1; no noise."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-0.1, 1.1, size=(n_genes, 2))
    heights = rng.uniform(1.0, 3.0, size=n_genes)
    squares = np.square(places[:, None, :] - centres).sum(axis=2)
    return (heights * np.exp(-squares / (2 * 0.25**2)) + rng.uniform(0, 3, n_genes)).astype(
        np.float32
    )


def curved(
    n_samples: int = 160, n_genes: int = 90, noise: float = 0.05, seed: int = 0
) -> NDArray[np.float32]:
    """Noisy profiles of samples spread evenly over the square; ``seed`` draws the samples."""
    rng = np.random.default_rng((seed, 1))
    values = surface(rng.uniform(size=(n_samples, 2)), n_genes)
    return values + np.float32(noise) * rng.standard_normal(values.shape, np.float32)


def frame(values: NDArray[Any], prefix: str = "new") -> pd.DataFrame:
    """A copy, with names of samples and genes."""
    names = [f"{prefix}{i}" for i in range(len(values))]
    return pd.DataFrame(values.copy(), names, [f"g{j}" for j in range(values.shape[1])])


def expression(values: NDArray[Any], prefix: str = "s") -> Expression:
    """The same as a copy, since a fit overwrites what it is given."""
    return Expression.from_array(frame(values, prefix))


def trained(values: NDArray[Any], **options: Any) -> Model:
    """A small model of these values, which are on a log scale already."""
    return fit(expression(values), FitConfig(**{**SMALL, **options}), transform="none")
