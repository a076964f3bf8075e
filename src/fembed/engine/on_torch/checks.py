"""What the engine on PyTorch refuses, as the native engine's binding does (src/core/arguments.hpp).

A wrong type is a TypeError, a wrong shape or index a ValueError.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fembed.engine.interface import AdamOptions, AdamState, Blocks, Steps
from fembed.likelihood import Counts, Likelihood
from fembed.parameters import Parameters, network_size

MAX_LAYERS = 32
MAX_OFFSET, MAX_DISPERSION = 100.0, 1e12


def require(holds: Any, sentence: str) -> None:
    """Raise ValueError unless it holds."""
    if not holds:
        raise ValueError(sentence)


def array(
    name: str,
    given: Any,
    n_dimensions: int | None,
    dtype: DTypeLike = np.float32,
    writable: bool = False,
) -> None:
    """Raise TypeError unless ``given`` is a C-contiguous array of exactly this type."""
    right = (
        isinstance(given, np.ndarray)
        and given.dtype == dtype
        and n_dimensions in (None, given.ndim)
        and given.flags.c_contiguous
        and (given.flags.writeable or not writable)
    )
    if not right:
        raise TypeError(f"{name} has another type than the engine's")


def model(p: Parameters, writable: bool = False) -> None:
    """Parameters that fit together."""
    for name, given in p.arrays().items():
        array(name, given, None, np.float32, writable)
    u, v = p.sample_embedding, p.gene_embedding
    require(
        u.ndim == 2 and v.ndim == 2 and p.network.ndim == 1,
        "embeddings are matrices and the network is a vector",
    )
    require(1 <= len(p.hidden) <= MAX_LAYERS, "1 to 32 hidden layers")
    require(u.shape[1] and v.shape[1], "embeddings need at least one component")
    require(min(p.hidden) > 0, "hidden widths are positive")
    size = network_size(u.shape[1], v.shape[1], p.hidden)
    require(p.network.shape == (size,), "the network has another size")
    if p.gene_loading is not None:
        shape = (len(v), u.shape[1])
        require(p.gene_loading.shape == shape, "gene_loading is n_genes x n_components")
    if p.gene_bias is not None:
        require(p.gene_bias.shape == (len(v),), "gene_bias has one value a gene")


def twin(p: Parameters, other: Parameters, n_samples: int, n_genes: int, sentence: str) -> None:
    """``other`` is like ``p``, of so many samples and genes, and can be written to."""
    model(other, writable=True)
    require(other.n_samples == n_samples and other.n_genes == n_genes, sentence)
    require(other.hidden == p.hidden and set(other.arrays()) == set(p.arrays()), sentence)
    require(
        other.n_components == p.n_components and other.gene_components == p.gene_components,
        sentence,
    )


def state(p: Parameters, adam: AdamState, options: AdamOptions, n_steps: int) -> None:
    """Moments, counts and learning rates of a training."""
    for moments in (adam.first, adam.second):
        twin(p, moments, p.n_samples, p.n_genes, "moments have another shape")
    counts = ("sample_count", "gene_count", "network_count")
    for name, size in zip(counts, (p.n_samples, p.n_genes, 1), strict=True):
        array(name, getattr(adam, name), 1, np.int64, writable=True)
        require(getattr(adam, name).shape == (size,), "counts have another shape")
    array("learning_rates", options.learning_rates, 2)
    require(options.learning_rates.shape == (n_steps, 3), "one row of three learning rates a step")


def steps(p: Parameters, given: Steps) -> None:
    """Expression, what is known of counts, and blocks."""
    array("expression", given.expression, 2)
    shape = (p.n_samples, p.n_genes)
    require(given.expression.shape == shape, "expression is n_samples x n_genes")
    counts(given.counts, *shape)
    blocks(given.blocks, *shape)


def blocks(given: Blocks, n_samples: int, n_genes: int) -> None:
    """Blocks of samples and genes that are there, none of them twice in a block."""
    for name in ("samples", "genes"):
        array(name, getattr(given, name), 1, np.int32)
    for name in ("sample_offset", "gene_offset"):
        array(name, getattr(given, name), 1, np.int64)
    require(given.sample_offset.shape == given.gene_offset.shape, "bad offsets")
    _index(given.samples, given.sample_offset, n_samples)
    _index(given.genes, given.gene_offset, n_genes)


def _index(index: NDArray[np.int32], offset: NDArray[np.int64], limit: int) -> None:
    require(len(offset) >= 2 and offset[0] == 0, "bad offsets")
    require((np.diff(offset) > 0).all(), "a block is empty")
    require(offset[-1] == len(index), "bad offsets")
    require(index.min() >= 0 and index.max() < limit, "an index is out of range")
    block = np.repeat(np.arange(len(offset) - 1), np.diff(offset))
    pairs = np.sort(block * np.int64(limit) + index)
    require((np.diff(pairs) > 0).all(), "an index is twice in a block")


def counts(given: Counts | None, n_rows: int, n_columns: int) -> None:
    """Offsets and dispersions of a matrix of that shape."""
    if given is None:
        return
    for name, size in (("row", n_rows), ("column", n_columns)):
        offset, dispersion = getattr(given, f"{name}_offset"), getattr(given, f"{name}_dispersion")
        for values, low, high in (
            (offset, -MAX_OFFSET, MAX_OFFSET),
            (dispersion, 0.0, MAX_DISPERSION),
        ):
            if values is None:
                continue
            array(f"what counts have by {name}", values, 1)
            require(
                values.shape == (size,),
                "counts have an offset and a dispersion for each row, or for each column",
            )
            require(
                ((values >= low) & (values <= high)).all(),  # not so for NaN
                "offsets are between -100 and 100, dispersions between 0 and 1e12",
            )


def profiles(p: Parameters, given: Any, starts: Any) -> None:
    """Profiles and where their descents start."""
    array("profiles", given, 2)
    array("starts", starts, 3)
    require(
        given.shape[1] == p.n_genes
        and starts.shape[0] == len(given)
        and starts.shape[1] >= 1
        and starts.shape[2] == p.n_components,
        "profiles are k x n_genes, starts are k x n_starts x n_components",
    )


def likelihood(given: Likelihood, p: Parameters, n_profiles: int) -> None:
    """Parts of a likelihood that fit the model and together."""
    counts(given.counts, n_profiles, p.n_genes)
    one_a_gene = "weight has one value a gene, factors one row"
    for name, n_dimensions in (("weight", 1), ("factors", 2)):
        values = getattr(given, name)
        if values is not None:
            array(name, values, n_dimensions)
            require(len(values) == p.n_genes, one_a_gene)
    prior = "a prior has a mean and a precision of the unknowns"
    require((given.mean is None) == (given.precision is None), prior)
    if given.mean is not None and given.precision is not None:
        array("mean", given.mean, 1, np.float64)
        array("precision", given.precision, 2, np.float64)
        d = p.n_components
        require(given.mean.shape == (d,) and given.precision.shape == (d, d), prior)
    require(
        given.factors is None or given.counts is None,
        "counts have no factors: give the factors as loadings of further unknowns",
    )


def no_kernel(isa: str) -> None:
    """PyTorch chooses its kernels itself."""
    require(isa == "", "PyTorch has no kernels to choose from")


def same_columns(matrices: Iterable[Any]) -> None:
    """Matrices of float32 with as many columns."""
    given = list(matrices)
    for one in given:
        array("a matrix", one, 2)
    require(len({one.shape[1] for one in given}) == 1, "the matrices have other columns")
