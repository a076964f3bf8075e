"""The unknowns of single genes against frozen places: Levenberg-Marquardt, each gene on its own.

A gene's unknowns are its embedding v, its loading and its bias. The starts are the embeddings of
the existing genes that fit best once loading and bias are fitted by least squares in closed form;
a prior, the distribution of the existing genes' unknowns, holds what few samples do not.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fembed.data.choice import even_choice
from fembed.engine import Float32, thread_count
from fembed.parameters import Parameters
from fembed.placing.slopes import network

#: Existing genes whose embeddings are tried, the starts that are kept, and the iterations each.
MOST_TRIED, STARTS, ITERATIONS = 1024, 3, 30
#: A descent ends at steps that lower the objective by less than this share.
TOLERANCE = 1e-5
#: Entries of the widest array of one batch (80 MB).
BATCH_FLOATS = 20_000_000


@dataclass(frozen=True)
class _Prior:
    """A normal distribution of unknowns: that of the genes the model has.

    With few samples it holds what they do not; with many it counts for nothing.
    """

    mean: NDArray[np.float64]
    precision: NDArray[np.float64]  # times the noise variance, so that it adds to J'J

    @classmethod
    def of(cls, parameters: Parameters, noise: float) -> _Prior:
        unknowns = _unknowns(parameters).astype(np.float64)
        spread = np.cov(unknowns.T) + 1e-6 * np.eye(unknowns.shape[1])
        precision = np.asarray(noise * np.linalg.inv(spread), np.float64)
        return cls(unknowns.mean(axis=0), precision)


def solve_genes(
    parameters: Parameters,
    places: Float32,
    values: Float32,
    noise: float,
    n_threads: int | None = None,
) -> NDArray[np.float64]:
    """The unknowns of genes: v, then loading and bias where the model has them.

    Parameters
    ----------
    parameters : Parameters
        Its genes give starts and prior; its samples play no part.
    places : float32, n_samples x n_components
    values : float32, n_samples x n_new
        On the model's scale; NaN where missing.
    noise : float
        Variance of residuals, against which the prior is weighed.
    n_threads : int, optional
        Genes that are solved at a time.

    Returns
    -------
    array, n_new x (gene_components [+ n_components] [+ 1])
    """
    prior = _Prior.of(parameters, noise)
    problem = _Problem(parameters, places, prior)
    with threadpool_limits(1, user_api="blas"):
        starts = _Starts(parameters, places)

        def one(gene: int) -> NDArray[np.float64]:
            profile = values[:, gene]
            return problem.best(starts.of(profile), profile)

        # NumPy works on one gene at a time outside the interpreter's lock.
        with ThreadPoolExecutor(min(thread_count(n_threads), 32)) as pool:
            return np.stack(list(pool.map(one, range(values.shape[1]))))


class _Problem:
    """The sum of squares of a gene over all samples, as a function of its unknowns."""

    def __init__(self, parameters: Parameters, places: Float32, prior: _Prior) -> None:
        self._p, self._prior = parameters, prior
        weight, bias = parameters.layers()[0]
        d, e = parameters.n_components, parameters.gene_components
        self._of_gene = np.ascontiguousarray(weight[:, d:], np.float32)
        self._by_sample = places @ weight[:, :d].T + bias
        self._e = e
        ones = np.ones((len(places), 1), np.float32)
        linear = [places] if parameters.gene_loading is not None else []
        linear += [ones] if parameters.gene_bias is not None else []
        self._linear = np.concatenate(linear, axis=1) if linear else np.empty((len(places), 0))

    def best(self, starts: NDArray[np.float64], profile: Float32) -> NDArray[np.float64]:
        """Levenberg-Marquardt from every start (s x unknowns); the unknowns of the best end."""
        observed = ~np.isnan(profile)
        target = np.where(observed, profile, 0.0).astype(np.float64)
        ends = [self._descend(start, observed, target) for start in starts]
        return min(ends, key=lambda end: end[1])[0]

    def _descend(
        self, at: NDArray[np.float64], observed: NDArray[np.bool_], target: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], float]:
        normal, pull, value = self._linearised(at, observed, target)
        damping = 1e-3
        for _ in range(ITERATIONS):
            ridge = damping * np.diag(normal).mean() * np.eye(len(at))
            trial = at + np.linalg.solve(normal + ridge, pull)
            found = self._linearised(trial, observed, target)
            if found[2] < value:
                gain = (value - found[2]) / value
                at, (normal, pull, value) = trial, found
                damping = max(damping / 10.0, 1e-9)
                if gain < TOLERANCE:
                    break
            else:
                damping *= 8.0
                if damping > 1e6:
                    break
        return at, value

    def _linearised(
        self, at: NDArray[np.float64], observed: NDArray[np.bool_], target: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """J'J and J'r with the prior's share, and the objective."""
        v, linear = at[: self._e], at[self._e :]
        before = self._by_sample + self._of_gene @ v.astype(np.float32)
        output, slope = network(self._p, before)
        jacobian = np.concatenate([slope @ self._of_gene, self._linear], axis=1)[observed]
        decoded = output + self._linear @ linear
        residual = (target - decoded)[observed]
        away = self._prior.mean - at
        pull = self._prior.precision @ away
        # The product of all samples in float32 is what costs; its sums have a relative error of
        # 1e-6, as those of the engine.
        jacobian = jacobian.astype(np.float32)
        normal = (jacobian.T @ jacobian).astype(np.float64) + self._prior.precision
        objective = float(residual @ residual + away @ pull)
        return normal, jacobian.T.astype(np.float64) @ residual + pull, objective


class _Starts:
    """Embeddings of existing genes, ranked for a profile with loading and bias fitted freely."""

    def __init__(self, parameters: Parameters, places: Float32) -> None:
        genes = even_choice(parameters.n_genes, MOST_TRIED)
        self._unknowns = _unknowns(parameters)[genes].astype(np.float64)
        self._e = parameters.gene_components
        weight, bias = parameters.layers()[0]
        d = parameters.n_components
        by_sample = places @ weight[:, :d].T + bias
        by_gene = parameters.gene_embedding[genes] @ weight[:, d:].T
        self._outputs = np.empty((len(places), len(genes)), np.float32)
        step = max(1, BATCH_FLOATS // (len(places) * len(weight)))
        for begin in range(0, len(genes), step):
            part = slice(begin, begin + step)
            self._outputs[:, part] = network(parameters, by_sample[:, None] + by_gene[part])[0]
        linear: list[Any] = [places] if parameters.gene_loading is not None else []
        linear += [np.ones((len(places), 1))] if parameters.gene_bias is not None else []
        self._linear = np.concatenate(linear, axis=1) if linear else np.empty((len(places), 0))

    def of(self, profile: Float32) -> NDArray[np.float64]:
        """The best starts (s x unknowns), loading and bias by least squares."""
        observed = ~np.isnan(profile)
        linear = self._linear[observed].astype(np.float64)
        gaps = profile[observed, None].astype(np.float64) - self._outputs[observed]
        fitted = np.linalg.lstsq(linear, gaps, rcond=None)[0] if linear.size else None
        left = gaps if fitted is None else gaps - linear @ fitted
        best = np.argsort(np.square(left).sum(axis=0), kind="stable")[:STARTS]
        starts = self._unknowns[best].copy()
        if fitted is not None:
            starts[:, self._e :] = fitted[:, best].T
        return starts


def _unknowns(parameters: Parameters) -> NDArray[Any]:
    """What belongs to each gene, n_genes x unknowns."""
    parts = [parameters.gene_embedding]
    if parameters.gene_loading is not None:
        parts.append(parameters.gene_loading)
    if parameters.gene_bias is not None:
        parts.append(parameters.gene_bias[:, None])
    return np.concatenate(parts, axis=1)


def with_unknowns(parameters: Parameters, unknowns: NDArray[np.float64]) -> Parameters:
    """The same network with these genes."""
    p, found = parameters, np.ascontiguousarray(unknowns, np.float32)
    e, d = p.gene_components, p.n_components
    end = e + d if p.gene_loading is not None else e
    return Parameters(
        sample_embedding=p.sample_embedding,
        gene_embedding=np.ascontiguousarray(found[:, :e]),
        network=p.network,
        hidden=p.hidden,
        gene_loading=None if p.gene_loading is None else np.ascontiguousarray(found[:, e:end]),
        gene_bias=None if p.gene_bias is None else np.ascontiguousarray(found[:, end]),
    )
