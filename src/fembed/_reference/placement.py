"""The place of one sample in a model that stands still, by Levenberg-Marquardt."""

from __future__ import annotations

import numpy as np

from fembed._reference.counts import count_terms
from fembed._reference.loss import offset_and_dispersion
from fembed._reference.network import Float, Index, add_linear, backward, pre_activations
from fembed.likelihood import LEAST_SQUARES, Likelihood
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


def cost(
    parameters: Parameters, profile: Float, u: Float, likelihood: Likelihood = LEAST_SQUARES
) -> tuple[float, Float, Float]:
    """What the place ``u`` costs, and half of its first two derivatives.

    With r the residuals of the observed genes, S = F F' + diag(1 / weight) their covariance and
    u ~ N(mean, P^-1), the cost is r' S^-1 r + (u - mean)' P (u - mean): minus twice the logarithm
    of the posterior density, up to a constant. S is inverted as it stands.

    If the profile holds counts, the sum of weight times unit deviance takes the place of r' S^-1 r,
    the Fisher weights that of S^-1, and minus the deviances' slopes that of S^-1 r;
    ``likelihood.counts`` then has one row.

    Returns
    -------
    cost : float
    gradient : array, n_components
        Downhill: J' S^-1 r - P (u - mean).
    curvature : array, n_components x n_components
        J' S^-1 J + P: where the prediction is linear, half the second derivative; of counts, its
        expectation.
    """
    genes = np.flatnonzero(~np.isnan(profile))
    x_hat, slope = jacobian(parameters, u, genes)
    seen = likelihood.take_genes(genes)
    y = profile[genes].astype(np.float64)
    value, pull, inverse = (
        _measured(y, x_hat, seen) if seen.counts is None else _counted(y, x_hat, seen)
    )
    gradient, curvature = slope.T @ pull, slope.T @ inverse @ slope
    if likelihood.mean is not None and likelihood.precision is not None:
        away = u - likelihood.mean
        value += float(away @ likelihood.precision @ away)
        gradient = gradient - likelihood.precision @ away
        curvature = curvature + likelihood.precision
    return value, gradient, curvature


def _measured(values: Float, x_hat: Float, likelihood: Likelihood) -> tuple[float, Float, Float]:
    """The quadratic form r' S^-1 r, and S^-1 r and S^-1."""
    residual = values - x_hat
    covariance = np.diag(1 / _weights(likelihood, residual.size))
    if likelihood.factors is not None:
        factors = likelihood.factors.astype(np.float64)
        covariance += factors @ factors.T
    inverse = np.linalg.inv(covariance)
    return float(residual @ inverse @ residual), inverse @ residual, inverse


def _counted(y: Float, x_hat: Float, likelihood: Likelihood) -> tuple[float, Float, Float]:
    """The weighted sum of deviances, minus their slopes, and Fisher's information."""
    assert likelihood.counts is not None
    everything = np.arange(y.size)
    offset, dispersion = offset_and_dispersion(likelihood.counts, np.array([0]), everything)
    terms = count_terms(y, x_hat + offset[0], dispersion[0])
    weight = _weights(likelihood, y.size)
    return float(weight @ terms.deviance), -weight * terms.slope, np.diag(weight * terms.weight)


def _weights(likelihood: Likelihood, n_genes: int) -> Float:
    return np.ones(n_genes) if likelihood.weight is None else likelihood.weight.astype(np.float64)


def solve_sample(
    parameters: Parameters,
    profile: Float,
    start: Float,
    likelihood: Likelihood = LEAST_SQUARES,
    max_iterations: int = 50,
    tolerance: float = 1e-8,
) -> tuple[Float, float, Float]:
    """Place one sample: the u of least `cost`, which is the most probable one.

    Levenberg-Marquardt: with C the curvature, solve (C + damping * s I) step = gradient, where s
    is the mean of C's diagonal; keep the step and lessen the damping if the cost falls, else drop
    it and raise the damping; stop when the step is below ``tolerance * (1 + |u|)``.

    Parameters
    ----------
    parameters : Parameters
        Genes and network are used and left alone; ``sample_embedding`` plays no part.
    profile : array, n_genes
        NaN where unobserved.
    start : array, n_components
    likelihood : Likelihood
        Least squares by default; of counts with one row.

    Returns
    -------
    u : array, n_components
    cost : float
        Never above the one at ``start``.
    curvature : array, n_components x n_components
        Under a likelihood its inverse is the covariance of u; directions that neither genes nor
        prior determine have none.
    """
    u, damping = start.astype(np.float64), 1e-3
    here, gradient, curvature = cost(parameters, profile, u, likelihood)
    for _ in range(max_iterations):
        scale = np.trace(curvature) / u.size
        if scale == 0:  # flat: nothing observed, or every path through the network is shut
            break
        step = np.linalg.solve(curvature + damping * scale * np.eye(u.size), gradient)
        if np.linalg.norm(step) <= tolerance * (1 + np.linalg.norm(u)):
            break
        there = cost(parameters, profile, u + step, likelihood)
        if there[0] < here:
            u, (here, gradient, curvature) = u + step, there
            damping = max(damping / 10, 1e-12)
        else:
            damping *= 4
    return u, here, curvature
