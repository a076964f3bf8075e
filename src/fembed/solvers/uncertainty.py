"""How sure a place is: its covariance, and the calibration of its ellipse.

What an ellipse is to cover: the place that the sample would take by very many other genes of the
same kind. The genes at hand are a draw of them, so two disjoint halves of the genes are two draws,
and the difference of the two places has the sum of the two covariances. That is how
`ellipse_factor` measures coverage. What all genes share (a technical effect, a residual factor)
moves both halves alike and is in no ellipse.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri
from threadpoolctl import threadpool_limits

from fembed.data.chunks import even_choice
from fembed.engine import Float32, Solution
from fembed.parameters import Parameters
from fembed.solvers.criterion import Criterion
from fembed.solvers.jacobian import Jacobian
from fembed.solvers.prior import Prior
from fembed.solvers.residual_factors import ResidualFactors
from fembed.threads import thread_count

Float64 = NDArray[np.float64]

#: Of the largest eigenvalue of J'J, which is summed from float32 products; less is no knowledge.
MIN_CURVATURE = 1e-6
#: A curvature below it has no inverse in floats.
MIN_INVERTIBLE = 1e-200
#: Genes whose own residuals are looked at.
N_GENES = 1024
#: But at least so many: the sum over them is a covariance, which needs many more terms than
#: dimensions.
GENES_PER_DIMENSION = 64
#: The level at which ellipses are calibrated.
LEVEL = 0.9
#: Samples that it takes: fewer say nothing about how often something happens in ten.
MIN_SAMPLES = 20
#: And more cost time.
MAX_SAMPLES = 256
#: Genes that are split in halves: more cost time, and decide nothing else.
MAX_SPLIT_GENES = 8192


def covariance(
    criterion: Criterion,
    parameters: Parameters,
    profiles: Float32,
    solution: Solution,
    n_threads: int | None = None,
) -> Float64:
    """Covariance of every place (k x d x d), of a solution by this criterion.

    Under a likelihood it is the inverse information. For least squares it is estimated from the
    spread of a sample's own genes' pulls, and infinite where the observed genes are fewer than the
    coordinates or do not determine them.
    """
    if criterion.is_likelihood:
        return inverse(solution.curvature)
    return _sandwich(parameters, profiles, solution, n_threads)


def inverse(information: Float64) -> Float64:
    """Inverses of k matrices (k x d x d); infinite where there is none."""
    found = np.full(information.shape, np.inf)
    finite = np.flatnonzero(np.isfinite(information).all(axis=(1, 2)))
    eigenvalues = np.linalg.eigvalsh(information[finite])
    sound = eigenvalues[:, 0] > np.maximum(
        np.finfo(np.float64).eps * eigenvalues[:, -1], MIN_INVERTIBLE
    )
    found[finite[sound]] = np.linalg.inv(information[finite[sound]])
    return found


def _sandwich(
    parameters: Parameters, profiles: Float32, solution: Solution, n_threads: int | None
) -> Float64:
    """Covariance of every place by least squares.

    With r_j a gene's residual and J_j its derivative: H (sum of r_j^2 J_j J_j') H, H the inverse of
    J'J (the sandwich of Huber 1967 and White 1980; r_j over one less its leverage, as HC3 of
    MacKinnon & White 1985). Unlike residual variance x H, it holds where genes that move a place
    more are also those that fit worse, which is the rule: that one was too small by 3 to 5 times.
    """
    jacobian = Jacobian(parameters)

    def one(row: int) -> Float64:
        return _covariance(jacobian, profiles[row], solution.u[row], solution.curvature[row])

    # NumPy works on one sample at a time outside the interpreter's lock.
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(min(thread_count(n_threads), 32)) as pool,
    ):
        return np.stack(list(pool.map(one, range(len(profiles)))))


def _covariance(
    jacobian: Jacobian, profile: Float32, place: Float32, curvature: Float64
) -> Float64:
    d = len(place)
    observed = np.flatnonzero(~np.isnan(profile))
    unknown = np.full((d, d), np.inf)
    if len(observed) <= d or not np.isfinite(curvature).all():
        return unknown
    eigenvalues = np.linalg.eigvalsh(curvature)
    if not eigenvalues[0] > max(MIN_CURVATURE * eigenvalues[-1], MIN_INVERTIBLE):
        return unknown
    inverse = np.linalg.inv(curvature)
    most = max(N_GENES, GENES_PER_DIMENSION * d)
    genes = observed[even_choice(len(observed), most)]
    decoded, rows = jacobian.at(place, genes)
    rows = rows.astype(np.float64)
    leverage = np.einsum("ja,ab,jb->j", rows, inverse, rows)
    residual = (profile[genes] - decoded) / np.maximum(1.0 - leverage, 1e-3)
    pull = rows * residual[:, None]
    pulls = pull.T @ pull * (len(observed) / len(genes))
    found: Float64 = inverse @ pulls @ inverse
    # A profile without any residual (decoded, say) still has a covariance that can be inverted.
    rounding = float(np.finfo(np.float32).eps * np.square(profile[genes]).mean())
    found += inverse * rounding
    return found if np.isfinite(found).all() else unknown


def ellipse_factor(
    criterion: Criterion,
    parameters: Parameters,
    profiles: Float32,
    n_threads: int | None = None,
) -> float:
    """What covariances are multiplied by so that `LEVEL` ellipses cover as often as they say.

    Profiles (k x n_genes) are placed by random halves of their genes. Beside noise, the factor
    holds what the linear theory leaves out: kinks of the network, and samples whose halves lie in
    two minima.
    """
    rows = even_choice(len(profiles), MAX_SAMPLES)
    d = parameters.n_components
    order = np.random.default_rng(0x68616C76).permutation(parameters.n_genes)[:MAX_SPLIT_GENES]
    middle = len(order) // 2
    if middle == 0:
        return 1.0
    halves = np.sort(order[:middle]), np.sort(order[middle:])
    (u, one), (v, other) = (
        _placed(criterion, parameters, profiles, rows, genes, n_threads) for genes in halves
    )
    distances = squared_distance(u - v, one + other)
    found = distances[np.isfinite(distances)]
    if not found.size:
        return 1.0
    # The order statistic that covers one more sample at least as often as LEVEL, on average.
    rank = min(math.ceil((len(found) + 1) * LEVEL), len(found))
    factor = float(np.partition(found, rank - 1)[rank - 1] / chdtri(d, 1.0 - LEVEL))
    return factor if 0.0 < factor < np.inf else 1.0


def predictive_deviation(
    parameters: Parameters,
    factors: ResidualFactors,
    prior: Prior,
    places: Float32,
    observed: NDArray[np.bool_],
    n_threads: int | None = None,
) -> Float32:
    """Standard deviations of new measurements of all genes (k x n_genes), given those observed.

    With J the derivatives of all genes at a sample's place, u and the factors' scores s are jointly
    normal; their covariance is the inverse of ``D' W D + diag(P, I)``, with D = [J, loading] and
    the weights W of the observed genes, and with P the precision of the prior. A gene's variance is
    its noise plus the variance that its row of D makes of that covariance. This is linear in u:
    exact where the prediction is.
    """
    jacobian, everything = Jacobian(parameters), np.arange(parameters.n_genes)
    noise, d = factors.noise.astype(np.float64), parameters.n_components
    known = np.eye(d + factors.loading.shape[1])
    known[:d, :d] = np.linalg.inv(prior.covariance)

    def one(row: int) -> Float32:
        rows = jacobian.at(places[row], everything)[1]
        design = np.concatenate([rows, factors.loading], axis=1, dtype=np.float64)
        seen = observed[row]
        weight = 1.0 / (noise[seen] * factors.counted(float(seen.sum())))
        precision = (design[seen].T * weight) @ design[seen] + known
        root = np.linalg.cholesky(np.linalg.inv(precision))
        variance = noise + np.square(design @ root).sum(axis=1)
        return np.asarray(np.sqrt(variance), np.float32)

    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(min(thread_count(n_threads), 32)) as pool,
    ):
        return np.stack(list(pool.map(one, range(len(places)))))


def squared_distance(gap: Float64, covariance: Float64) -> Float64:
    """Mahalanobis distances, squared, of k gaps (k x d); NaN where there is no inverse."""
    found = np.full(len(gap), np.nan)
    known = np.flatnonzero(np.isfinite(covariance).all(axis=(1, 2)))
    eigenvalues = np.linalg.eigvalsh(covariance[known])
    known = known[eigenvalues[:, 0] > np.finfo(np.float64).eps * eigenvalues[:, -1]]
    solved = np.linalg.solve(covariance[known], gap[known][..., None])[..., 0]
    found[known] = np.einsum("ka,ka->k", gap[known], solved)
    return found


def _placed(
    criterion: Criterion,
    parameters: Parameters,
    profiles: Float32,
    rows: NDArray[np.intp],
    genes: NDArray[np.intp],
    n_threads: int | None,
) -> tuple[Float64, Float64]:
    criterion, some = criterion.take_genes(genes), parameters.take_genes(genes)
    part = np.ascontiguousarray(profiles[np.ix_(rows, genes)])
    solution = criterion.place(some, part, n_threads=n_threads)
    sure = covariance(criterion, some, part, solution, n_threads)
    return solution.u.astype(np.float64), sure
