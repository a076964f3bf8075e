"""Which samples of a large matrix a model is trained on; the others are placed in it afterwards.

Genes and network are learnt from far fewer samples than an atlas has. Half of those chosen are
drawn at random, so that they are as dense where the others are; the other half is drawn evenly over
the space that the samples fill, by geometric sketching (Hie et al. 2019), so that rare groups take
part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fembed.config import checked_whole
from fembed.data import readers
from fembed.data.backed import Backed
from fembed.data.chunks import even_choice
from fembed.data.expression import Expression
from fembed.data.preprocess import Preprocessing
from fembed.data.transforms import Transform
from fembed.engine import Float32
from fembed.errors import InputError, shown
from fembed.train.initialization import principal_components

TrainingSamples = int | Literal["all"] | None

#: A large matrix is represented by at most so many samples, and by fewer of very many genes: as
#: many as have `MAX_ENTRIES` values (0.8 GB as 32-bit floats), but at least `LEAST`.
MOST, LEAST, MAX_ENTRIES = 20_000, 5_000, 200_000_000
#: Samples and principal components by which all samples are compared.
BASIS_SAMPLES, BASIS_COMPONENTS = 4_000, 20
#: The width of a box is halved or doubled so often at most; float32 has no finer coordinates.
HALVINGS = 24
#: The share of samples that is drawn evenly over space.
EVEN_SHARE = 0.5


def number(n_samples: int, n_genes: int, asked: TrainingSamples) -> int:
    """How many samples of a large matrix a model is trained on.

    Raises
    ------
    InputError
        For what is neither a number of at least two nor ``"all"``.
    """
    if asked == "all":
        return n_samples
    if asked is None:
        return min(n_samples, MOST, max(LEAST, MAX_ENTRIES // max(1, n_genes)))
    return min(n_samples, checked_whole("training_samples", asked, 2, 2**31))


def trained_on(
    data: Any, transform: Transform | Mapping[str, Transform], asked: TrainingSamples, seed: int
) -> Expression:
    """The samples of ``data`` (as `fembed.fit` takes them) that a model is trained on.

    Raises
    ------
    InputError
        As `number`; fewer samples are asked for, and the data have layers.
    """
    if isinstance(transform, str):
        large = readers.backed(data)
        if large is not None:
            return choose_samples(large, transform, asked, seed)
    expression = Expression.of(data)
    if number(expression.n_samples, 0, "all" if asked is None else asked) == expression.n_samples:
        return expression
    if expression.layers or not isinstance(transform, str):
        raise InputError(
            f"training_samples is {shown(asked)}, but data of several layers are trained on whole; "
            "leave it out, or choose the samples before."
        )
    return choose_samples(Backed.of(expression), transform, asked, seed)


def choose_samples(
    data: Backed, transform: Transform, asked: TrainingSamples, seed: int
) -> Expression:
    """The samples that represent a large matrix, in its order, in the units of the input.

    Parameters
    ----------
    transform : {"log10", "cpm", "none", "counts"}
        As for the fit: samples are compared on this scale, those of ``counts`` by log10 of counts
        per million.
    asked : int or "all", optional
        By default as many as `number` says.
    seed : int
        Of the choice.

    Raises
    ------
    InputError
        As `number`; values that cannot be transformed.
    """
    count = number(data.n_samples, data.n_genes, asked)
    if count == data.n_samples:
        return data.take(np.arange(count))
    random = np.random.default_rng([seed, 0x736B6574])
    rows = sketch(_coordinates(data, transform), count, random)
    return data.take(rows)


def sketch(
    coordinates: Float32, count: int, random: np.random.Generator, even: float = EVEN_SHARE
) -> NDArray[np.intp]:
    """Numbers of ``count`` rows (of n x k coordinates), rising: a share of them evenly over space.

    Space is divided into boxes, as many of which hold rows as rows are drawn so, and one row of
    each is drawn. The others are drawn from all that are left.
    """
    n_even = round(even * count)
    one_each = _one_of_each_box(coordinates, n_even, random)
    left = np.setdiff1d(np.arange(len(coordinates)), one_each, assume_unique=True)
    others = random.choice(left, count - len(one_each), replace=False)
    return np.sort(np.concatenate([one_each, others]))


def _one_of_each_box(
    coordinates: Float32, most: int, random: np.random.Generator
) -> NDArray[np.intp]:
    """A row of each box; the boxes are the smallest of which at most ``most`` are occupied."""
    low = coordinates.min(axis=0)
    span = float((coordinates.max(axis=0) - low).max())
    if most < 1 or span <= 0.0:
        return np.empty(0, np.intp)
    # A box is known by a sum of its numbers with random factors, which is much faster to sort.
    factors = random.integers(1, 2**63, coordinates.shape[1], dtype=np.uint64) | np.uint64(1)
    order = random.permutation(len(coordinates))
    found = order[:1]
    fine, coarse = 0.0, span
    width = span
    for _ in range(HALVINGS):
        boxes = ((coordinates - low) / np.float32(width)).astype(np.uint64)
        keys = (boxes * factors).sum(axis=1, dtype=np.uint64)
        _, first = np.unique(keys[order], return_index=True)
        if len(first) <= most:
            found, coarse = order[first], width
            if len(first) > 0.98 * most:
                break
        else:
            fine = width
        width = 0.5 * (fine + coarse)
    return found


def _coordinates(data: Backed, transform: Transform) -> Float32:
    """Every sample's principal components, and how far it is from their plane (n x k + 1)."""
    preprocessing = Preprocessing("cpm" if transform == "counts" else transform)
    some = preprocessing.apply_to(data.take(even_choice(data.n_samples, BASIS_SAMPLES)))
    seen = np.maximum((~np.isnan(some)).sum(axis=0), 1)
    mean = np.asarray(np.nansum(some, axis=0, dtype=np.float64) / seen, np.float32)
    with threadpool_limits(1, user_api="blas"):
        _, directions = principal_components(_centred(some, mean), BASIS_COMPONENTS)
        found = np.empty((data.n_samples, len(directions) + 1), np.float32)
        for rows, values in data.parts(preprocessing.apply_to):
            left = _centred(values, mean)
            scores = left @ directions.T
            rest = np.einsum("ij,ij->i", left, left) - np.einsum("ij,ij->i", scores, scores)
            found[rows, :-1], found[rows, -1] = scores, np.sqrt(np.maximum(rest, 0.0))
    return found


def _centred(values: Float32, mean: Float32) -> Float32:
    values -= mean
    return np.nan_to_num(values, copy=False)
