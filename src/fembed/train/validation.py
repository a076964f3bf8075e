"""What is held out of the first part of a training, and how well it is predicted meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fembed import engine
from fembed.config import FitConfig
from fembed.data.chunks import even_choice, row_chunks
from fembed.engine import Float32
from fembed.solvers.count_criterion import CountCriterion
from fembed.solvers.count_model import CountModel
from fembed.solvers.deviance import count_terms
from fembed.solvers.samples import best_starts, candidate_points
from fembed.train.schedule import Schedule
from fembed.train.trainer import Trainer

#: An evaluation uses so many held-out samples; more would take longer for the same decisions.
MAX_SAMPLES = 64
#: It places them by so many genes.
MAX_GENES = 768
#: It looks at the held-out entries of so many samples.
MAX_ENTRY_SAMPLES = 256
#: Of counts, so many genes place held-out samples, and as many others judge the places.
MAX_COUNTED_GENES = 1024


@dataclass
class HeldOut:
    """Whole samples, or single entries (set to NaN until they are released).

    Attributes
    ----------
    training_samples, samples : indices
        Samples that take part in the training, and those that do not.
    entries : indices, optional
        Into the flat matrix.
    entry_values : float32, optional
        The values that `release` puts back there.
    places : float32, optional
        Where held-out samples were at the last evaluation; the next one starts there as well.
    """

    training_samples: NDArray[np.intp]
    samples: NDArray[np.intp]
    entries: NDArray[np.intp] | None = None
    entry_values: Float32 | None = None
    places: Float32 | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Samples or entries held out."""
        return len(self.samples) if self.entries is None else len(self.entries)

    @property
    def evaluated_samples(self) -> NDArray[np.intp]:
        return self.samples[:MAX_SAMPLES]

    def evaluate(self, trainer: Trainer) -> float:
        """The mean loss of what is held out, in the units of the trainer's values.

        The squared error, or of counts the deviance.
        """
        if self.entries is None and trainer.count_model is not None:
            return self._loss_of_counts(trainer, trainer.count_model)
        if self.entries is None:
            return self._loss_of_samples(trainer)
        return self._loss_of_entries(trainer)

    def release(self, values: Float32) -> None:
        """Put held-out entries back."""
        if self.entries is not None:
            values.reshape(-1)[self.entries] = self.entry_values

    def _loss_of_samples(self, trainer: Trainer) -> float:
        rows = self.evaluated_samples
        genes = even_choice(trainer.parameters.n_genes, MAX_GENES)
        some = trainer.parameters.take_genes(genes)
        profiles = np.ascontiguousarray(trainer.values[np.ix_(rows, genes)])
        threads = trainer.config.n_threads
        positions = trainer.parameters.sample_embedding[self.training_samples]
        candidates = candidate_points(positions, 40 * MAX_GENES)
        decoded = engine.decode(some, candidates, n_threads=threads)
        starts = best_starts(decoded, candidates, profiles, 1, threads)
        if self.places is not None:  # where they were last is a start as well
            starts = np.concatenate([starts, self.places[:, None, :]], axis=1)
        solution = engine.solve(
            some,
            profiles,
            np.ascontiguousarray(starts),
            max_iterations=4,
            tolerance=1e-3,
            n_threads=threads,
        )
        self.places = solution.u
        return float(solution.cost.sum() / max(1, solution.n_observed.sum()))

    def _loss_of_counts(self, trainer: Trainer, known: CountModel) -> float:
        """Of samples that are placed by every other gene, the deviance of the others.

        That of the genes themselves would fall with any freedom of the places.
        """
        rows, threads = self.evaluated_samples, trainer.config.n_threads
        training = trainer.parameters.take_samples(self.training_samples)
        most = np.sort(np.argsort(-known.information, kind="stable")[: 2 * MAX_COUNTED_GENES])
        placing, judging = most[::2], most[1::2]
        criterion = trainer.criterion(self.training_samples)
        assert isinstance(criterion, CountCriterion)
        solution = criterion.take_genes(placing).place(
            training.take_genes(placing),
            np.ascontiguousarray(trainer.values[np.ix_(rows, placing)]),
            n_starts=1,
            max_iterations=6,
            n_threads=threads,
        )
        self.places = solution.u
        profiles = np.ascontiguousarray(trainer.values[np.ix_(rows, judging)])
        deviances = criterion.take_genes(judging).deviances(
            training.take_genes(judging), profiles, solution.u, threads
        )
        return float(np.average(deviances, weights=(~np.isnan(profiles)).sum(axis=1)))

    def _loss_of_entries(self, trainer: Trainer) -> float:
        assert self.entries is not None and self.entry_values is not None
        rows, columns = np.divmod(self.entries, trainer.values.shape[1])
        present = np.unique(rows)
        rows_seen = present[even_choice(len(present), MAX_ENTRY_SAMPLES)]
        total, count = 0.0, 0
        for row in rows_seen:
            mine = slice(*np.searchsorted(rows, (row, row + 1)))
            position = trainer.parameters.sample_embedding[row : row + 1]
            predicted = engine.decode(
                trainer.parameters,
                position,
                genes=columns[mine],
                n_threads=trainer.config.n_threads,
            )
            if trainer.counts is None:
                gap = predicted[0] - self.entry_values[mine]
                total += float(np.square(gap).sum(dtype=np.float64))
            else:
                total += _deviance(
                    predicted[0], self.entry_values[mine], trainer, row, columns[mine]
                )
            count += mine.stop - mine.start
        return total / count


def _deviance(
    predicted: Float32,
    counts: Float32,
    trainer: Trainer,
    row: np.intp,
    genes: NDArray[np.intp],
) -> float:
    """The sum of the unit deviances of some counts of a sample, given their predictions."""
    of = trainer.counts
    assert of is not None and of.row_offset is not None and of.column_dispersion is not None
    terms = count_terms(counts, predicted + of.row_offset[row], of.column_dispersion[genes])
    return float(terms.deviance.sum(dtype=np.float64))


def hold_out(values: Float32, schedule: Schedule, config: FitConfig) -> HeldOut:
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
