"""The place of one sample in a model that stands still, by Levenberg-Marquardt."""

from __future__ import annotations

import numpy as np

from fembed._reference.network import Float, Index, add_linear, backward, pre_activations
from fembed.parameters import Parameters


def jacobian(parameters: Parameters, u: Float, genes: Index) -> tuple[Float, Float]:
    """x_hat (g) at one position ``u`` (d), and J (g x d) with J[j] = dx_hat[j] / du.

    x_hat[j] is a scalar of its own pair, so one backward pass from ones gives every row of J.
    """
    parameters = parameters.astype(np.float64)
    z = pre_activations(parameters, u[None, :], genes)
    x_hat = add_linear(parameters, u[None, :], genes, z[-1][..., 0])
    delta = backward(parameters, z, np.ones_like(x_hat))[0][0]
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
