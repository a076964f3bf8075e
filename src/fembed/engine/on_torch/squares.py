"""The cost of places and its derivatives, for many profiles at once.

The twin of src/core/least_squares.hpp and noise.hpp; `fembed.likelihood.Likelihood` says what a
cost is. For counts, a step of Fisher scoring is one of least squares: with the roots of the Fisher
weights times the derivatives of the predictions in place of these, and Pearson residuals.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fembed.engine.interface import Float32
from fembed.engine.on_torch.counts import KnownOfCounts
from fembed.engine.on_torch.devices import Place
from fembed.engine.on_torch.model import Model
from fembed.engine.on_torch.network import tiles
from fembed.likelihood import Likelihood
from fembed.parameters import Parameters

#: Genes whose products are summed in float32; the sums over such parts are float64.
GENES_AT_ONCE = 2048


class Expansion(NamedTuple):
    """Costs of places, and half of their gradients, downhill, and of their curvatures; float64.

    ``cost`` is k, ``gradient`` k x d, ``curvature`` k x d x d.
    """

    cost: Tensor
    gradient: Tensor
    curvature: Tensor

    def take(self, which: Tensor) -> Expansion:
        return Expansion(*(part[which] for part in self))

    def put(self, which: Tensor, other: Expansion) -> None:
        """Replace some rows."""
        for part, new in zip(self, other, strict=True):
            part[which] = new


class LeastSquares:
    """What profiles (k x n_genes, NaN where unobserved) cost at places in a frozen model."""

    def __init__(
        self, parameters: Parameters, profiles: Float32, likelihood: Likelihood, place: Place
    ) -> None:
        self.place, self._model = place, Model([parameters], place)
        self._genes = self._model.of_genes(self._model.genes[0])
        self._gene_part = self._model.network.gene_part(self._genes.embedding)
        self._profiles = place.numbers(profiles)
        self._likelihood = likelihood
        weight = torch.ones(parameters.n_genes, dtype=place.dtype, device=place.device)
        if likelihood.weight is not None:
            weight = place.numbers(likelihood.weight)
        self._root_weight = weight.sqrt()
        self._known = None
        if likelihood.counts is not None:
            self._known = KnownOfCounts(likelihood.counts, len(profiles), parameters.n_genes, place)
        self._factors = None
        if likelihood.factors is not None:
            self._factors = self._root_weight[:, None] * place.numbers(likelihood.factors)
        self._pattern = torch.zeros(len(profiles), dtype=torch.int64, device=place.device)
        self._shared = self._factor_of_shared()
        self._prior = None
        if likelihood.mean is not None and likelihood.precision is not None:
            self._prior = [
                torch.tensor(part, dtype=torch.float64, device=self._exact_device)
                for part in (likelihood.mean, likelihood.precision)
            ]

    @property
    def _exact_device(self) -> torch.device:
        return torch.device("cpu") if self.place.device.type == "mps" else self.place.device

    @property
    def n_observed(self) -> Tensor:
        return (~self._profiles.isnan()).sum(dim=1)

    def evaluate(self, which: Tensor, u: Tensor, derivatives: bool) -> Expansion:
        """At the places ``u`` (b x d) of the profiles ``which`` (b): b parts of an `Expansion`.

        Without ``derivatives`` only the costs are those of the places.
        """
        numbers = self._model.network.numbers_per_pair + 3 * u.shape[1] + 8
        n_genes = min(len(self._gene_part), GENES_AT_ONCE)
        most = self._model.work_bytes // (numbers * self._root_weight.element_size() * n_genes)
        at_once = max(1, most)
        parts = [
            self._of_some(which[begin : begin + at_once], u[begin : begin + at_once], derivatives)
            for begin in range(0, len(which), at_once)
        ]
        return Expansion(*(torch.cat(some) for some in zip(*parts, strict=True)))

    def _of_some(self, which: Tensor, u: Tensor, derivatives: bool) -> Expansion:
        exact, (k, d) = self.place.exact, u.shape
        here = u.to(self.place.device, self.place.dtype)
        there = which.to(self.place.device)
        sample_part = self._model.network.sample_part(here)
        # Residuals and derivatives side by side: all sums are products of these with themselves.
        n_columns = 1 + d if derivatives else 1
        products = torch.zeros(k, n_columns, n_columns, dtype=torch.float64)
        products = products.to(self._exact_device)
        n_factors = 0 if self._factors is None else self._factors.shape[1]
        of_factors = products.new_zeros(k, n_factors, n_columns)
        deviance = products.new_zeros(k)
        for _, genes in tiles(1, len(self._gene_part), GENES_AT_ONCE):
            sides, half = self._sides(there, here, sample_part, genes, derivatives)
            products += exact(sides.mT @ sides)
            if self._factors is not None:
                of_factors += exact(self._factors[genes].T @ sides)
            if half is not None:
                deviance += exact(2 * half)
        if self._shared is not None:
            pattern = self._pattern[there].to(self._exact_device)
            taken = torch.linalg.solve_triangular(self._shared[pattern], of_factors, upper=False)
            products -= taken.mT @ taken
        cost = products[:, 0, 0] if self._known is None else deviance
        found = Expansion(cost.clone(), u.new_zeros(k, d), u.new_zeros(k, d, d))
        if derivatives:
            found = found._replace(gradient=products[:, 0, 1:], curvature=products[:, 1:, 1:])
        return found if self._prior is None else self._with_prior(found, u)

    def _sides(
        self, which: Tensor, u: Tensor, sample_part: Tensor, genes: slice, derivatives: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Residuals and, if wanted, derivatives of some genes (b x g x 1 + d), and deviances.

        All are times the roots of the genes' weights, and zero where a gene is not observed. The
        deviances, halved and summed over the genes, are those of counts.
        """
        network, x = self._model.network, self._profiles[which, genes]
        some = self._genes.take(genes)
        activations, output = network.forward(sample_part, self._gene_part[genes])
        x_hat = some.added_to(output.view(x.shape), u)
        root, half = self._root_weight[genes].expand_as(x), None
        observed = ~x.isnan()
        if self._known is None:
            residual = (x - x_hat) * root
        else:
            terms = self._known.of(which, genes).terms(x_hat, x)
            halves = torch.where(observed, terms.half_deviance * root * root, 0.0)
            half = halves.sum(dim=1, dtype=self.place.wide)
            root_fisher = terms.weight.sqrt()
            residual = -terms.slope / root_fisher * root
            root = root_fisher * root
        residual = torch.where(observed, residual, 0.0)[..., None]
        if not derivatives:
            return residual, half
        seed = torch.where(observed, root, 0.0)
        *_, delta = network.backward(activations, seed.reshape(-1, 1))
        slope = (delta @ network.weight_u).view(*x.shape, -1)
        if some.loading is not None:
            slope = torch.addcmul(slope, seed[..., None], some.loading)
        return torch.cat([residual, slope], dim=-1), half

    def _factor_of_shared(self) -> Tensor | None:
        """The factor of I + F' W F over the observed genes, once for all profiles that share them.

        Numbered as ``self._pattern`` says. With W the weights and F the factors,
        (F F' + W^-1)^-1 is W - W F (I + F' W F)^-1 F' W (Woodbury). NaN where the factors are too
        large for floats.
        """
        if self._factors is None:
            return None
        patterns, self._pattern = (~self._profiles.isnan()).unique(dim=0, return_inverse=True)
        n_factors = self._factors.shape[1]
        system = torch.eye(n_factors, dtype=torch.float64, device=self._exact_device)
        system = system.repeat(len(patterns), 1, 1)
        for _, genes in tiles(1, len(self._factors), GENES_AT_ONCE):
            some = self._factors[genes]
            for number, seen in enumerate(patterns[:, genes]):
                system[number] += self.place.exact((some * seen[:, None]).T @ some)
        factor, info = torch.linalg.cholesky_ex(system)
        factor[info != 0] = torch.nan
        return factor

    def _with_prior(self, found: Expansion, u: Tensor) -> Expansion:
        assert self._prior is not None
        mean, precision = self._prior
        away = u - mean
        pull = away @ precision.T
        return Expansion(
            found.cost + (pull * away).sum(dim=1),
            found.gradient - pull,
            found.curvature + precision,
        )
