"""The model's mathematics in float64 NumPy: read this first, and test the engine against it.

For sample i with embedding u[i] (d numbers) and gene j with embedding v[j] (e numbers)

    x_hat[i, j] = c[j] + u[i] . L[j] + MLP([u[i]; v[j]])

where the MLP has ReLU hidden layers and a linear output of width 1. Its first layer is linear
in ``[u; v]``, so ``W [u; v] + b = W_u u + (W_v v + b)`` is computed once per sample and once per
gene, and only added per pair. Nothing here is fast; everything here is meant to be checkable.

A block is m samples (``rows``) x g genes (``genes``), given by two index arrays without repeats.
NaN marks an unobserved entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.parameters import Parameters

Float = NDArray[np.floating[Any]]
Index = NDArray[np.integer[Any]]


@dataclass
class Counts:
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
    def zeros(cls, parameters: Parameters) -> Counts:
        """No update yet."""
        sizes = (parameters.n_samples, parameters.n_genes, 1)
        return cls(*(np.zeros(size, dtype=np.int64) for size in sizes))


def pre_activations(parameters: Parameters, samples: Float, genes: Index) -> list[Float]:
    """z_l of every layer, each m x g x width, at sample positions ``samples`` (m x d).

    z_1 = W_u u + (W_v v + b_1);  z_l = W_l relu(z_(l-1)) + b_l;  the last one is the MLP's output.
    """
    (weight, bias), *deeper = parameters.layers()
    weight_u, weight_v = np.split(weight, [parameters.n_components], axis=1)
    per_sample = samples @ weight_u.T
    per_gene = parameters.gene_embedding[genes] @ weight_v.T + bias
    z: list[Float] = [per_sample[:, None, :] + per_gene[None, :, :]]
    for layer in deeper:
        z.append(np.maximum(z[-1], 0) @ layer.weight.T + layer.bias)
    return z


def _add_linear(parameters: Parameters, samples: Float, genes: Index, output: Float) -> Float:
    """x_hat (m x g) = output + u . L[j] + c[j], where L and c are present."""
    if parameters.gene_loading is not None:
        output = output + samples @ parameters.gene_loading[genes].T
    if parameters.gene_bias is not None:
        output = output + parameters.gene_bias[genes]
    return output


def forward(parameters: Parameters, rows: Index, genes: Index) -> Float:
    """x_hat (m x g) of the samples ``rows`` and the genes ``genes``."""
    parameters = parameters.astype(np.float64)
    samples = parameters.sample_embedding[rows]
    z = pre_activations(parameters, samples, genes)
    return _add_linear(parameters, samples, genes, z[-1][..., 0])


def _residuals(x_hat: Float, expression: Float) -> tuple[Float, int]:
    """x_hat - x where x is observed and 0 elsewhere; and the number of observed entries."""
    observed = ~np.isnan(expression)
    return np.where(observed, x_hat - expression, 0.0), int(observed.sum())


def block_loss(
    parameters: Parameters, expression_block: Float, rows: Index, genes: Index
) -> tuple[float, int]:
    """Mean of (x_hat - x)^2 over the observed entries (0.0 if there are none), and their number."""
    residuals, n_observed = _residuals(forward(parameters, rows, genes), expression_block)
    return float(np.sum(residuals**2)) / max(n_observed, 1), n_observed


def _backward(parameters: Parameters, z: list[Float], output: Float) -> list[Float]:
    """D_l = dF/dz_l (m x g x width) of every layer, where ``output`` (m x g) is dF/dx_hat.

    D_last = output;  D_(l-1) = (D_l W_l) * [z_(l-1) > 0]: ReLU's derivative is 0 at 0.
    """
    deltas = [output[..., None]]
    for layer, below in zip(parameters.layers()[:0:-1], z[-2::-1], strict=True):
        deltas.append((deltas[-1] @ layer.weight) * (below > 0))
    return deltas[::-1]


def block_gradients(
    parameters: Parameters, expression_block: Float, rows: Index, genes: Index
) -> tuple[float, int, Parameters]:
    """Loss, number of observed entries, and the loss's gradient, of one block.

    The gradient holds the block's own rows: ``sample_embedding`` is m x d, ``gene_embedding``
    g x e, ``gene_loading`` g x d, ``gene_bias`` g. Weight decay is not in it: see `adam_update`.
    """
    parameters = parameters.astype(np.float64)
    u, v = parameters.sample_embedding[rows], parameters.gene_embedding[genes]
    z = pre_activations(parameters, u, genes)
    x_hat = _add_linear(parameters, u, genes, z[-1][..., 0])
    residuals, n_observed = _residuals(x_hat, expression_block)
    n = max(n_observed, 1)
    output = 2 / n * residuals  # dF/dx_hat
    deltas = _backward(parameters, z, output)

    # A pair's first-layer delta reaches u through W_u and v through W_v: sum, then multiply.
    per_sample, per_gene = deltas[0].sum(axis=1), deltas[0].sum(axis=0)
    weight_u, weight_v = np.split(parameters.layers()[0].weight, [parameters.n_components], axis=1)
    gradients = replace(
        parameters,
        sample_embedding=per_sample @ weight_u,
        gene_embedding=per_gene @ weight_v,
        network=np.zeros_like(parameters.network),
    )
    first, *deeper = gradients.layers()  # views into gradients.network
    first.weight[:] = np.hstack([per_sample.T @ u, per_gene.T @ v])
    first.bias[:] = per_sample.sum(axis=0)
    for layer, delta, below in zip(deeper, deltas[1:], z[:-1], strict=True):
        layer.weight[:] = np.einsum("ijo,ijk->ok", delta, np.maximum(below, 0))
        layer.bias[:] = delta.sum(axis=(0, 1))
    if parameters.gene_loading is not None:
        gradients.sample_embedding += output @ parameters.gene_loading[genes]
        gradients.gene_loading = output.T @ u
    if parameters.gene_bias is not None:
        gradients.gene_bias = output.sum(axis=0)
    return float(np.sum(residuals**2)) / n, n_observed, gradients


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
    counts: Counts,
    expression: Float,
    blocks: Sequence[tuple[Index, Index]],
    learning_rates: Float,
    weight_decay: float,
    lazy: bool,
) -> Float:
    """One Adam step for each block, in place; returns each block's loss before its step.

    Parameters
    ----------
    parameters : Parameters of float64 arrays
    moments : the first and second moments, zeros at the start
    counts : the updates made so far, zeros at the start
    expression : array, n_samples x n_genes
    blocks : (rows, genes) of each block, indices without repeats
    learning_rates : array, n_blocks x 3
        Of the network, of the genes (V, L and c) and of the samples (U).
    weight_decay : float
    lazy : bool
        True: only the block's own rows of U, V, L and c, and their moments and counts, change
        (a row in the block whose entries are all unobserved is still one of them).
        False (the published recipe): all rows change, the others with a data gradient of zero.

    A block without any observed entry changes nothing; its loss is 0.0.
    """
    losses = np.zeros(len(blocks))
    for step, (rows, genes) in enumerate(blocks):
        block = expression[np.ix_(rows, genes)]
        losses[step], n_observed, gradients = block_gradients(parameters, block, rows, genes)
        if n_observed == 0:
            continue
        every_weight = np.arange(parameters.network.size)
        moved_samples = rows if lazy else np.arange(parameters.n_samples)
        moved_genes = genes if lazy else np.arange(parameters.n_genes)
        counts.samples[moved_samples] += 1
        counts.genes[moved_genes] += 1
        counts.network += 1
        network_rate, gene_rate, sample_rate = learning_rates[step]
        of_genes = (genes, moved_genes, counts.genes[moved_genes], gene_rate)
        plan = {
            "sample_embedding": (rows, moved_samples, counts.samples[moved_samples], sample_rate),
            "gene_embedding": of_genes,
            "network": (every_weight, every_weight, counts.network, network_rate),
            "gene_loading": of_genes,
            "gene_bias": of_genes,
        }
        for name, gradient in gradients.arrays().items():
            state = [p.arrays()[name] for p in (parameters, *moments)]
            in_block, moved, count, rate = plan[name]
            _update_rows(state, gradient, in_block, moved, count, rate, weight_decay)
    return losses


def jacobian(parameters: Parameters, u: Float, genes: Index) -> tuple[Float, Float]:
    """x_hat (g) at one position ``u`` (d), and J (g x d) with J[j] = dx_hat[j] / du.

    x_hat[j] is a scalar of its own pair, so one backward pass from ones gives every row of J.
    """
    parameters = parameters.astype(np.float64)
    z = pre_activations(parameters, u[None, :], genes)
    x_hat = _add_linear(parameters, u[None, :], genes, z[-1][..., 0])
    delta = _backward(parameters, z, np.ones_like(x_hat))[0][0]
    slope = delta @ parameters.layers()[0].weight[:, : parameters.n_components]
    if parameters.gene_loading is not None:
        slope = slope + parameters.gene_loading[genes]
    return x_hat[0], slope


def solve_sample(
    parameters: Parameters,
    profile: Float,
    start: Float,
    max_iterations: int = 50,
    tolerance: float = 1e-8,
) -> tuple[Float, float, Float, int]:
    """Place one sample: the u that minimises the squared error over its observed genes.

    Levenberg-Marquardt: with r = x - x_hat, solve (J^T J + damping * s I) step = J^T r, where s
    is the mean of J^T J's diagonal; keep the step and lessen the damping if the error falls,
    else drop it and raise the damping; stop when the step is below ``tolerance * (1 + |u|)``.

    Parameters
    ----------
    parameters : Parameters
        Genes and network are used and left alone; ``sample_embedding`` plays no part.
    profile : array, n_genes
        NaN where unobserved.
    start : array, n_components

    Returns
    -------
    u : array, n_components
    loss : float
        Mean squared error over the observed genes, never above the one at ``start``.
    covariance : array, n_components x n_components
        SSE / max(n_observed - n_components, 1) * pinv(J^T J). Directions that the observed genes
        do not determine get variance 0 from the pseudo-inverse: they are unknown, not exact.
    n_observed : int
    """
    genes = np.flatnonzero(~np.isnan(profile))
    target = profile[genes].astype(np.float64)
    u = start.astype(np.float64)
    x_hat, slope = jacobian(parameters, u, genes)
    sse, damping = float(np.sum((target - x_hat) ** 2)), 1e-3
    for _ in range(max_iterations):
        normal = slope.T @ slope
        scale = np.trace(normal) / u.size
        if scale == 0:  # flat: nothing observed, or every path through the network is shut
            break
        step = np.linalg.solve(
            normal + damping * scale * np.eye(u.size), slope.T @ (target - x_hat)
        )
        if np.linalg.norm(step) <= tolerance * (1 + np.linalg.norm(u)):
            break
        trial_x_hat, trial_slope = jacobian(parameters, u + step, genes)
        trial_sse = float(np.sum((target - trial_x_hat) ** 2))
        if trial_sse < sse:
            u, x_hat, slope, sse = u + step, trial_x_hat, trial_slope, trial_sse
            damping = max(damping / 10, 1e-12)
        else:
            damping *= 4
    variance = sse / max(genes.size - u.size, 1)
    covariance = variance * np.linalg.pinv(slope.T @ slope, hermitian=True)
    return u, sse / max(genes.size, 1), covariance, int(genes.size)
