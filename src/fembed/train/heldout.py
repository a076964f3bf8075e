"""What is held out of the first part of a training, to choose when it ends."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.config import FitConfig
from fembed.data.choice import even_choice
from fembed.data.chunks import row_chunks
from fembed.engine import Float32, take_genes
from fembed.solvers.samples import best_starts, candidate_points
from fembed.train.recipe import Plan

if TYPE_CHECKING:
    from fembed.train.loop import Loop

#: How many looks without a better one end the training, and how much better is better ...
PATIENCE, BETTER = 4, 1e-3
#: ... but not before so many steps: training may need 600 to leave the plateau of its start
#: (tcga_11_cohorts in two dimensions), and the best state so far is kept anyhow.
LEAST_STEPS = 1500
#: Held-out samples and genes that are looked at; more would cost time and decide nothing else.
SAMPLES, GENES, ENTRY_SAMPLES = 64, 768, 256


@dataclass
class HeldOut:
    """Whole samples, or single entries (set to NaN until they are released)."""

    training_samples: NDArray[np.intp]
    samples: NDArray[np.intp]
    entries: NDArray[np.intp] | None = None  # flat indices
    entry_values: Float32 | None = None
    best: float = np.inf
    best_state: Any = None
    watched: bool = False
    _places: Float32 | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Samples or entries held out."""
        return len(self.samples) if self.entries is None else len(self.entries)

    def watch(self, loop: Loop, better: float) -> bool:
        """Look once; True, and the state is kept, if this is the best look by ``better``."""
        loss = self._loss_of_samples(loop) if self.entries is None else self._loss_of_entries(loop)
        loop.record_held_out(loss)
        improved = not self.watched or loss < self.best * (1.0 - better)
        self.watched = True
        if improved:
            self.best, self.best_state = loss, copy.deepcopy(loop.state())
        return improved

    def contents(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Everything that `take_up` needs, as named arrays and JSON-able facts."""
        arrays: dict[str, NDArray[Any]] = {}
        facts: dict[str, Any] = {"watched": self.watched}
        if self.watched:
            parameters, adam, step = self.best_state
            arrays = parameters.arrays() | adam.arrays()
            facts |= {"best": self.best, "step": step}
        if self._places is not None:
            arrays["places"] = self._places
        return arrays, facts

    def take_up(self, arrays: dict[str, NDArray[Any]], facts: dict[str, Any], loop: Loop) -> None:
        """Go on where `contents` was taken; ``loop`` tells the shapes."""
        self._places = arrays.get("places")
        self.watched = facts["watched"]
        if self.watched:
            self.best = facts["best"]
            parameters, adam, _ = copy.deepcopy(loop.state())
            for name, array in (parameters.arrays() | adam.arrays()).items():
                array[...] = arrays[name]
            self.best_state = parameters, adam, facts["step"]

    def release(self, values: Float32) -> None:
        """Put held-out entries back."""
        if self.entries is not None:
            values.reshape(-1)[self.entries] = self.entry_values

    def _loss_of_samples(self, loop: Loop) -> float:
        rows = self.samples[:SAMPLES]
        genes = even_choice(loop.parameters.n_genes, GENES)
        some = take_genes(loop.parameters, genes)
        profiles = np.ascontiguousarray(loop.values[np.ix_(rows, genes)])
        threads = loop.config.n_threads
        positions = loop.parameters.sample_embedding[self.training_samples]
        candidates = candidate_points(positions, 40 * GENES)
        decoded = engine.decode(some, candidates, n_threads=threads)
        starts = best_starts(decoded, candidates, profiles, 1, threads)
        if self._places is not None:  # where they were at the last look is a start as well
            starts = np.concatenate([starts, self._places[:, None, :]], axis=1)
        solution = engine.solve(
            some,
            profiles,
            np.ascontiguousarray(starts),
            max_iterations=4,
            tolerance=1e-3,
            n_threads=threads,
        )
        self._places = solution.u
        return float(solution.loss @ solution.n_observed / max(1, solution.n_observed.sum()))

    def _loss_of_entries(self, loop: Loop) -> float:
        assert self.entries is not None and self.entry_values is not None
        rows, columns = np.divmod(self.entries, loop.values.shape[1])
        present = np.unique(rows)
        looked_at = present[even_choice(len(present), ENTRY_SAMPLES)]
        total, count = 0.0, 0
        for row in looked_at:
            mine = slice(*np.searchsorted(rows, (row, row + 1)))
            position = loop.parameters.sample_embedding[row : row + 1]
            predicted = engine.decode(
                loop.parameters, position, genes=columns[mine], n_threads=loop.config.n_threads
            )
            total += float(np.square(predicted[0] - self.entry_values[mine]).sum(dtype=np.float64))
            count += mine.stop - mine.start
        return total / count


def hold_out(values: Float32, schedule: Plan, config: FitConfig) -> HeldOut:
    """Choose what is held out, by the seed; held-out entries become NaN in ``values``."""
    n_samples = len(values)
    everyone = np.arange(n_samples)
    random = np.random.default_rng((config.seed, 0x686F6C64))
    none = HeldOut(everyone, everyone[:0])
    if schedule.validation == 0.0:
        return none
    if not schedule.by_entries:
        count = min(round(n_samples * schedule.validation), n_samples - config.n_components - 1)
        if count < 1:
            return none
        chosen = np.sort(random.choice(n_samples, count, replace=False))
        return HeldOut(np.setdiff1d(everyone, chosen), random.permutation(chosen))
    entries = _choose_entries(values, schedule.validation, random)
    if not entries.size:
        return none
    flat = values.reshape(-1)
    held = HeldOut(everyone, everyone[:0], entries, flat[entries].copy())
    flat[entries] = np.nan
    return held


def _choose_entries(values: Float32, share: float, random: np.random.Generator) -> NDArray[np.intp]:
    """A share of the observed entries; every sample and gene keeps half of its entries."""
    n_genes = values.shape[1]
    observed_by_gene = np.zeros(n_genes, np.int64)
    for rows in row_chunks(*values.shape):
        observed_by_gene += (~np.isnan(values[rows])).sum(axis=0)
    held_by_gene = np.zeros(n_genes, np.int64)
    parts = []
    for rows in row_chunks(*values.shape):
        observed = ~np.isnan(values[rows])
        chosen = observed & (random.random(observed.shape, np.float32) < share)
        chosen[:, (held_by_gene + chosen.sum(axis=0)) * 2 > observed_by_gene] = False
        chosen[chosen.sum(axis=1) * 2 > observed.sum(axis=1)] = False
        held_by_gene += chosen.sum(axis=0)
        i, j = np.nonzero(chosen)
        parts.append((rows.start + i) * n_genes + j)
    entries: NDArray[np.intp] = np.concatenate(parts)
    return entries
