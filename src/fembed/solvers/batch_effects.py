"""Effects of batches and covariates on the genes: taken from profiles, and put back.

With x a sample's profile on the model's scale and y what it would be at the common level,

    x = centre + scale * (y - centre + shift),

gene by gene; ``shift`` is the sum, and ``scale`` the product, of those of the sample's batches, and
every covariate adds its slope times its standardised value to ``shift``. Map, genes and network
belong to y. `fembed.train.batch_shifts` estimates the effects of a training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import row_chunks
from fembed.engine import Float32
from fembed.errors import InputError
from fembed.parameters import MAX_VALUE, check_array

#: The code of a sample in no batch: at the common level.
NO_BATCH = -1
#: How the common level is called where a batch is asked for.
COMMON = "none"
#: Smaller or larger scales than these are no batch effect.
SCALE_LIMITS = (1e-3, 1e3)


@dataclass(frozen=True)
class BatchColumn:
    """One way in which the training samples fall into batches.

    Attributes
    ----------
    name : str
        The column that said so.
    levels : tuple of str
        The batches.
    codes : int64, n_samples
        The batch of each training sample, by its number.
    left : tuple of str
        Batches without an effect: they could not be told from the kinds of their samples.
    """

    name: str
    levels: tuple[str, ...]
    codes: NDArray[np.int64]
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class Covariate:
    """A number of every training sample, such as the age, and how it was standardised."""

    name: str
    mean: float
    sd: float
    values: NDArray[np.float64]


@dataclass(frozen=True)
class BatchEffects:
    """The effects of a model's batches and covariates.

    Attributes
    ----------
    columns : tuple of BatchColumn
    covariates : tuple of Covariate
    shift : float32, n_effects x n_genes
        The shift of every batch, column by column, then the slope of every covariate for one
        standard deviation of it.
    scale : float32, n_batches x n_genes
    centre : float32, n_genes
        Where scales leave a gene as it is.
    explained : tuple of float
        The share of the variance between the training samples that each column and each covariate
        explained.
    sizes : tuple of float
        Of every effect, the root mean square over the genes in their standard deviations.
    """

    columns: tuple[BatchColumn, ...]
    covariates: tuple[Covariate, ...]
    shift: Float32
    scale: Float32
    centre: Float32
    explained: tuple[float, ...]
    sizes: tuple[float, ...]

    @property
    def n_batches(self) -> int:
        """The number of batches, of all columns together."""
        return sum(len(column.levels) for column in self.columns)

    def of_training(self) -> SampleEffects:
        """Those of the training samples."""
        return self.of_samples(
            [column.codes for column in self.columns],
            [(cov.values - cov.mean) / cov.sd for cov in self.covariates],
            self.columns[0].codes.size if self.columns else self.covariates[0].values.size,
        )

    def of_samples(
        self,
        codes: Sequence[NDArray[np.int64]],
        values: Sequence[NDArray[np.float64]],
        n_samples: int,
    ) -> SampleEffects:
        """Those of samples with a batch of each column (or `NO_BATCH`) and standardised values."""
        weights = np.zeros((n_samples, len(self.shift)), np.float32)
        first = 0
        for column, of_column in zip(self.columns, codes, strict=True):
            rows = np.flatnonzero(of_column >= 0)
            weights[rows, first + of_column[rows]] = 1.0
            first += len(column.levels)
        for number, of_covariate in enumerate(values):
            weights[:, first + number] = of_covariate
        return SampleEffects(weights, self.shift, self.scale, self.centre)

    def nowhere(self, n_samples: int) -> tuple[list[NDArray[np.int64]], list[NDArray[np.float64]]]:
        """Codes and standardised values of samples at the common level."""
        codes = [np.full(n_samples, NO_BATCH) for _ in self.columns]
        return codes, [np.zeros(n_samples) for _ in self.covariates]

    def in_batch(self, batch: str | Sequence[str], n_samples: int) -> SampleEffects:
        """Those of samples that are all in one batch, by its name or by ``COLUMN=NAME``.

        Parameters
        ----------
        batch : str or sequence of str
            A batch, or one of several columns; ``"none"`` is the common level.

        Raises
        ------
        InputError
            No batch, or batches of two columns, are called so; two batches of one column.
        """
        names = [batch] if isinstance(batch, str) else list(batch)
        codes, numbers = self.nowhere(n_samples)
        for name in names:
            if name == COMMON:
                continue
            number, level = self._find(name)
            if n_samples and codes[number][0] not in (NO_BATCH, level):
                other = self.columns[number].levels[codes[number][0]]
                raise InputError(
                    f"A sample is in one batch of '{self.columns[number].name}', not in '{other}' "
                    f"and '{name}'; give one of them."
                )
            codes[number][:] = level
        return self.of_samples(codes, numbers, n_samples)

    def _find(self, name: str) -> tuple[int, int]:
        """The column and the number of a batch."""
        found = [
            (number, column.levels.index(level))
            for number, column in enumerate(self.columns)
            for level in column.levels
            if name in (level, f"{column.name}={level}")
        ]
        if len(found) > 1:
            raise InputError(
                f"Several columns have a batch '{name}'; give its column too, as "
                f"{self.columns[found[0][0]].name}={name}."
            )
        if not found:
            raise InputError(
                f"The model has no batch '{name}'; it has {self.names_told()}, and '{COMMON}' is "
                "the common level."
            )
        return found[0]

    def names_told(self, limit: int = 8) -> str:
        """The first few names of batches, for a message."""
        names = [level for column in self.columns for level in column.levels]
        more = f" and {len(names) - limit} more" if len(names) > limit else ""
        return ", ".join(names[:limit]) + more if names else "no batches"

    def told(self) -> list[str]:
        """A few words on each column and covariate."""
        lines, first = [], 0
        for column, share in zip(self.columns, self.explained, strict=False):
            sizes = self.sizes[first : first + len(column.levels)]
            each = ", ".join(
                f"{level} {size:.2g}" if level not in column.left else f"{level} left as it is"
                for level, size in zip(column.levels, sizes, strict=True)
            )
            lines.append(
                f"{column.name} ({len(column.levels)} batches, "
                f"{share:.1%} of the variance; shifts in standard deviations: {each})"
            )
            first += len(column.levels)
        for number, covariate in enumerate(self.covariates):
            share = self.explained[len(self.columns) + number]
            lines.append(f"{covariate.name} (covariate, {share:.1%} of the variance)")
        return lines

    def with_samples(
        self,
        codes: Sequence[NDArray[np.int64]],
        values: Sequence[NDArray[np.float64]],
    ) -> BatchEffects:
        """The same effects of a model with further samples; arguments as of `of_samples`."""
        columns = tuple(
            replace(column, codes=np.concatenate([column.codes, more]))
            for column, more in zip(self.columns, codes, strict=True)
        )
        covariates = tuple(
            replace(c, values=np.concatenate([c.values, c.mean + c.sd * more]))
            for c, more in zip(self.covariates, values, strict=True)
        )
        return replace(self, columns=columns, covariates=covariates)

    def to_dict(self) -> dict[str, Any]:
        """All but the arrays, as JSON-able values."""
        return {
            "columns": [
                {
                    "name": column.name,
                    "levels": list(column.levels),
                    "codes": column.codes.tolist(),
                    "left": list(column.left),
                }
                for column in self.columns
            ],
            "covariates": [
                {"name": c.name, "mean": c.mean, "sd": c.sd, "values": c.values.tolist()}
                for c in self.covariates
            ],
            "explained": list(self.explained),
            "sizes": list(self.sizes),
        }

    @classmethod
    def from_dict(
        cls, fields: Mapping[str, Any], shift: Float32, scale: Float32, centre: Float32
    ) -> BatchEffects:
        """The inverse of `to_dict`, of fields whose kinds have been checked."""
        columns = tuple(
            BatchColumn(
                column["name"],
                tuple(column["levels"]),
                np.array(column["codes"], np.int64),
                tuple(column["left"]),
            )
            for column in fields["columns"]
        )
        covariates = tuple(
            Covariate(c["name"], float(c["mean"]), float(c["sd"]), np.array(c["values"], float))
            for c in fields["covariates"]
        )
        explained = tuple(map(float, fields["explained"]))
        sizes = tuple(map(float, fields["sizes"]))
        return cls(columns, covariates, shift, scale, centre, explained, sizes)

    def check(self, n_samples: int, n_genes: int) -> None:
        """Raise InputError, naming the field, unless all fits a model of this size."""
        n_effects = self.n_batches + len(self.covariates)
        if not n_effects:
            raise InputError("The field 'batches' has neither a batch nor a covariate.")
        check_array("batch_shift", self.shift, (n_effects, n_genes), np.float32)
        check_array("batch_scale", self.scale, (self.n_batches, n_genes), np.float32)
        check_array("batch_centre", self.centre, (n_genes,), np.float32)
        if self.scale.size:
            low, high = float(self.scale.min()), float(self.scale.max())
            if not SCALE_LIMITS[0] <= low <= high <= SCALE_LIMITS[1]:
                raise InputError("The array 'batch_scale' holds a value that no scale has.")
        for column in self.columns:
            codes = column.codes
            if codes.shape != (n_samples,) or codes.size == 0:
                raise InputError(f"The batches of '{column.name}' are not one per sample.")
            if codes.min() < NO_BATCH or codes.max() >= len(column.levels):
                raise InputError(f"The batches of '{column.name}' hold a number of no batch.")
            if len(set(column.levels)) < len(column.levels):
                raise InputError(f"The batches of '{column.name}' hold a name twice.")
            if not set(column.left) <= set(column.levels):
                raise InputError(f"The batches of '{column.name}' leave one that is not there.")
        for covariate in self.covariates:
            values = covariate.values
            if values.shape != (n_samples,) or not np.isfinite(values).all():
                raise InputError(f"The covariate '{covariate.name}' is not one number per sample.")
            if not 0 < covariate.sd <= MAX_VALUE or not abs(covariate.mean) <= MAX_VALUE:
                raise InputError(f"The covariate '{covariate.name}' has an impossible unit.")
        if len(self.explained) != len(self.columns) + len(self.covariates):
            raise InputError("The field 'batches' has not one 'explained' for each column.")
        if len(self.sizes) != n_effects:
            raise InputError("The field 'batches' has not one 'size' for each effect.")


@dataclass(frozen=True)
class SampleEffects:
    """The effects on some samples: weights (n_samples x n_effects) of the model's effects."""

    weights: Float32
    shift: Float32
    scale: Float32
    centre: Float32

    def take_genes(self, genes: NDArray[np.intp]) -> SampleEffects:
        """Those of some genes, by their numbers."""
        return replace(
            self,
            shift=self.shift[:, genes],
            scale=self.scale[:, genes],
            centre=self.centre[genes],
        )

    def take_samples(self, rows: NDArray[np.intp] | slice) -> SampleEffects:
        """Those of some of the samples."""
        return replace(self, weights=self.weights[rows])

    def remove(self, profiles: Float32) -> None:
        """Bring profiles (n_samples x n_genes) to the common level, in place; NaN stays NaN."""
        for rows in row_chunks(*profiles.shape):
            block = (profiles[rows] - self.centre) / self.scales(rows)
            profiles[rows] = block + self.centre - self.weights[rows] @ self.shift

    def add(self, profiles: Float32) -> None:
        """The inverse of `remove`, in place."""
        for rows in row_chunks(*profiles.shape):
            block = profiles[rows] - self.centre + self.weights[rows] @ self.shift
            profiles[rows] = block * self.scales(rows) + self.centre

    def deviation(self, deviations: Float32) -> Float32:
        """Standard deviations at the common level (n_samples x n_genes) as they are in a batch."""
        return np.asarray(deviations * self.scales(), np.float32)

    def scales(self, rows: slice = slice(None)) -> Float32:
        """The product of the scales of each sample's batches (n_samples x n_genes)."""
        n_batches = len(self.scale)
        logs = self.weights[rows, :n_batches] @ np.log(self.scale)
        return np.asarray(np.exp(logs), np.float32)


def effects_in(
    effects: BatchEffects | None, batch: str | Sequence[str] | None, n_samples: int
) -> SampleEffects | None:
    """Those of samples in a batch of a model that may have none; None at the common level.

    Raises
    ------
    InputError
        The model does not have that batch.
    """
    if batch is None or batch == COMMON or not len(batch):
        return None
    if effects is None:
        raise InputError(
            f"The model has no batches, so not '{batch if isinstance(batch, str) else batch[0]}' "
            "either; fit it with batches (fembed fit --batch COLUMN)."
        )
    return effects.in_batch(batch, n_samples)
