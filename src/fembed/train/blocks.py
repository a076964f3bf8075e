"""The order in which blocks visit the matrix: every entry once per pass, newly shuffled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fembed.engine import Blocks
from fembed.train.schedule import group_count


class BlockStream:
    """An endless stream of blocks.

    A pass cuts the genes into random groups, and for every group of genes the samples into
    random groups; the blocks of a pass come in random order. Pass k depends on the seed and k
    alone, so a position in the stream is one number.
    """

    def __init__(
        self,
        samples: NDArray[np.integer],
        n_genes: int,
        block_samples: int,
        block_genes: int,
        seed: int,
        position: int = 0,
    ) -> None:
        self._samples = np.asarray(samples, np.int32)
        self.n_samples = len(samples)
        self._n_genes = n_genes
        self._n_sample_groups = group_count(len(samples), block_samples)
        self._n_gene_groups = group_count(n_genes, block_genes)
        self._seed = seed
        self._pass = -1
        self.position = position

    @property
    def blocks_per_pass(self) -> int:
        return self._n_sample_groups * self._n_gene_groups

    def take(self, count: int) -> Blocks:
        """The next ``count`` blocks."""
        blocks = []
        for position in range(self.position, self.position + count):
            number, place = divmod(position, self.blocks_per_pass)
            if number != self._pass:
                self._shuffle(number)
            gene_group, sample_group = divmod(int(self._order[place]), self._n_sample_groups)
            blocks.append(
                (self._sample_groups[gene_group][sample_group], self._gene_groups[gene_group])
            )
        self.position += count
        return Blocks.of(blocks)

    def _shuffle(self, number: int) -> None:
        random = np.random.default_rng((self._seed, number))
        self._gene_groups = _groups(
            random.permutation(self._n_genes).astype(np.int32), self._n_gene_groups
        )
        self._sample_groups = [
            _groups(random.permutation(self._samples), self._n_sample_groups)
            for _ in range(self._n_gene_groups)
        ]
        self._order = random.permutation(self.blocks_per_pass)
        self._pass = number


def _groups(shuffled: NDArray[np.int32], count: int) -> list[NDArray[np.int32]]:
    # In rising order, so that a block reads memory forwards.
    return [np.sort(group) for group in np.array_split(shuffled, count)]
