"""Training: Adam on one block after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fembed._reference.loss import block_gradients
from fembed._reference.network import Float, Index
from fembed.likelihood import Counts
from fembed.parameters import Parameters


@dataclass
class Updates:
    """How many Adam updates each row of the parameters has had.

    Attributes
    ----------
    samples : int64 array, n_samples
    genes : int64 array, n_genes
    network : int64 array, 1
    """

    samples: NDArray[np.int64]
    genes: NDArray[np.int64]
    network: NDArray[np.int64]

    @classmethod
    def zeros(cls, parameters: Parameters) -> Updates:
        """No update yet."""
        sizes = (parameters.n_samples, parameters.n_genes, 1)
        return cls(*(np.zeros(size, dtype=np.int64) for size in sizes))


def adam_update(
    values: Float,
    gradient: Float,
    first_moment: Float,
    second_moment: Float,
    count: NDArray[np.int64],
    learning_rate: float,
    weight_decay: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> None:
    """One step of Adam with coupled L2, in place (Kingma & Ba 2015, as in ``torch.optim.Adam``).

        g = gradient + weight_decay * values
        m = beta1 m + (1 - beta1) g;   s = beta2 s + (1 - beta2) g^2
        values -= learning_rate * (m / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + epsilon)

    ``count`` is t, the number of updates a row has had *after* this one: one integer for every
    row of ``values``, or one for all.
    """
    t = count.reshape(count.shape + (1,) * (values.ndim - count.ndim))
    g = gradient + weight_decay * values
    first_moment[...] = beta1 * first_moment + (1 - beta1) * g
    second_moment[...] = beta2 * second_moment + (1 - beta2) * g**2
    m_hat = first_moment / (1 - beta1**t)
    s_hat = second_moment / (1 - beta2**t)
    values -= learning_rate * m_hat / (np.sqrt(s_hat) + epsilon)


def _update_rows(
    state: list[Float],
    gradient: Float,
    in_block: Index,
    moved: Index,
    count: NDArray[np.int64],
    learning_rate: float,
    weight_decay: float,
) -> None:
    """Adam on the rows ``moved`` of an array and its two moments, all in ``state``.

    ``gradient`` is that of the rows ``in_block``; it is zero in every other row.
    """
    spread = np.zeros_like(state[0])
    spread[in_block] = gradient
    values, first, second = (array[moved] for array in state)  # copies
    adam_update(values, spread[moved], first, second, count, learning_rate, weight_decay)
    for array, updated in zip(state, (values, first, second), strict=True):
        array[moved] = updated


def train_blocks(
    parameters: Parameters,
    moments: tuple[Parameters, Parameters],
    updates: Updates,
    expression: Float,
    blocks: Sequence[tuple[Index, Index]],
    learning_rates: Float,
    weight_decay: float,
    lazy: bool,
    counts: Counts | None = None,
) -> Float:
    """One Adam step for each block, in place; returns each block's loss before its step.

    Parameters
    ----------
    parameters : Parameters of float64 arrays
    moments : the first and second moments, zeros at the start
    updates : those made so far, zeros at the start
    expression : array, n_samples x n_genes
    blocks : (rows, genes) of each block, indices without repeats
    learning_rates : array, n_blocks x 3
        Of the network, of the genes (V, L and c) and of the samples (U).
    weight_decay : float
    lazy : bool
        True: only the block's own rows of U, V, L and c, and their moments and counts, change
        (a row in the block whose entries are all unobserved is still one of them).
        False (the published recipe): all rows change, the others with a data gradient of zero.

    counts : Counts, optional
        That the expression holds counts.

    A block without any observed entry changes nothing; its loss is 0.0.
    """
    losses = np.zeros(len(blocks))
    for step, (rows, genes) in enumerate(blocks):
        block = expression[np.ix_(rows, genes)]
        losses[step], n_observed, gradients = block_gradients(
            parameters, block, rows, genes, counts
        )
        if n_observed == 0:
            continue
        every_weight = np.arange(parameters.network.size)
        moved_samples = rows if lazy else np.arange(parameters.n_samples)
        moved_genes = genes if lazy else np.arange(parameters.n_genes)
        updates.samples[moved_samples] += 1
        updates.genes[moved_genes] += 1
        updates.network += 1
        network_rate, gene_rate, sample_rate = learning_rates[step]
        of_genes = (genes, moved_genes, updates.genes[moved_genes], gene_rate)
        plan = {
            "sample_embedding": (rows, moved_samples, updates.samples[moved_samples], sample_rate),
            "gene_embedding": of_genes,
            "network": (every_weight, every_weight, updates.network, network_rate),
            "gene_loading": of_genes,
            "gene_bias": of_genes,
        }
        for name, gradient in gradients.arrays().items():
            state = [p.arrays()[name] for p in (parameters, *moments)]
            in_block, moved, count, rate = plan[name]
            _update_rows(state, gradient, in_block, moved, count, rate, weight_decay)
    return losses
