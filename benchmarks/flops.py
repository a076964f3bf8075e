"""How many floating-point operations a block step is counted as."""

from __future__ import annotations

import itertools
from collections.abc import Sequence


def pair_flops(hidden: Sequence[int]) -> int:
    """Operations for one (sample, gene) pair: a multiply and an add, forward and twice backward.

    The first layer is not in it: the engine computes it once a gene and once a sample (see
    `gene_part_flops`). Neither are activations, Adam and the linear skip. 100-50-50 gives
    6 x (100*50 + 50*50 + 50) = 45,300.
    """
    between = sum(n_in * n_out for n_in, n_out in itertools.pairwise(hidden))
    return 6 * (between + hidden[-1])


def gene_part_flops(
    n_samples: int, n_genes: int, n_components: int, gene_components: int, hidden: Sequence[int]
) -> int:
    """Operations of the first layer for a whole block: once a gene and once a sample."""
    return 6 * hidden[0] * (n_genes * gene_components + n_samples * n_components)


def product_flops(size: int) -> int:
    """Operations of a product of two ``size`` x ``size`` matrices."""
    return 2 * size**3
