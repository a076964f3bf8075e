"""What a sweep gives: a tidy table, and the maps of all cases."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.facts import ShowsFacts, counted
from fembed.sweeps.case import MEASURES, CaseResult
from fembed.sweeps.folder import case_name
from fembed.sweeps.options import Grid, option_text

if TYPE_CHECKING:
    import pandas as pd

Key = tuple[str, str] | str


@dataclass(frozen=True, repr=False)
class Sweep(ShowsFacts):
    """The cases of a grid.

    `fembed.pl.density_grid`, `fembed.pl.scatter_grid` and `fembed.pl.accuracy_table` draw it.

    Attributes
    ----------
    grid : Grid
        ``grid.values``: the options and their values.
    cases : list of CaseResult
        One for each combination; the last option varies fastest.
    labels : array, n_samples
        The labels whose accuracies are measured.
    folder : Path or None
        Where it is kept.
    label_column : Series, array or None
        The labels as they were given: a categorical has an order, which figures keep.
    label_colours : list, mapping or None
        Those in ``uns["<column>_colors"]`` of an AnnData object.
    """

    grid: Grid
    cases: list[CaseResult]
    labels: NDArray[Any] = field(repr=False)
    folder: Path | None = None
    label_column: Any = field(default=None, repr=False)
    label_colours: Any = field(default=None, repr=False)

    def _facts(self) -> tuple[str, dict[str, Any]]:
        options = {
            name: ", ".join(map(option_text, values)) for name, values in self.grid.values.items()
        }
        failed = sum(bool(case.failure) for case in self.cases)
        return counted(len(self.cases), "case"), {
            **options,
            "labels": f"{len(np.unique(self.labels)):,} classes",
            "failed": counted(failed, "case") if failed else None,
            "folder": self.folder,
        }

    @property
    def table(self) -> pd.DataFrame:
        """One row per case.

        The options of the grid, ``recipe`` and ``seed``; then ``loss`` (mean squared error of the
        training samples), ``explained_variance``, ``map_size`` (root mean square coordinate),
        ``steps``, ``seconds`` of the fit, ``knn_accuracy`` (5 neighbours, mean of the folds, all
        samples in the embedding's training), ``held_out_knn_accuracy`` and ``held_out_loss`` (the
        first fold's test part, projected into a model that never saw it), ``network_accuracy``
        (the published classifier, folds and training as ``knn_accuracy``); ``warnings`` and
        ``failure``, texts that are mostly empty; and ``case``, the name of its files.
        """
        import pandas as pd

        names = [*self.grid.values, *(n for n in ("recipe", "seed") if n not in self.grid.values)]
        rows = []
        for case in self.cases:
            options = {name: getattr(case.config, name) for name in names}
            rows.append(
                {name: option_text(v) if isinstance(v, tuple) else v for name, v in options.items()}
                | {name: case.measures[name] for name in MEASURES}
                | {"warnings": " ".join(case.warnings), "failure": case.failure}
                | {"case": case_name(case.config)}
            )
        return pd.DataFrame(rows).astype({name: float for name in MEASURES if name != "steps"})

    @property
    def column_name(self) -> str:
        """The option that columns of a figure stand for: the first that varies."""
        return self._axes[0].replace("_", " ")

    @property
    def row_name(self) -> str:
        """The other options that vary."""
        return ", ".join(self._axes[1:]).replace("_", " ")

    def maps(self) -> dict[Key, NDArray[np.float32]]:
        """The coordinates of all cases with two components or more, by ``(row, column)``.

        With one option that varies, by its value.

        Raises
        ------
        InputError
            No case has a map.
        """
        found = {
            key: case.embedding
            for key, case in self._by_key().items()
            if case.embedding is not None and case.embedding.shape[1] >= 2
        }
        if not found:
            raise InputError("No case of the sweep has a map of two components or more.")
        return found

    def measure(self, name: str = "network_accuracy") -> dict[Key, float]:
        """One column of the table by the keys of `maps`; NaN where it was not measured."""
        if name not in MEASURES:
            raise InputError(f"A sweep does not measure '{name}'; choose {', '.join(MEASURES)}.")
        values = {key: case.measures[name] for key, case in self._by_key().items()}
        return {key: np.nan if value is None else float(value) for key, value in values.items()}

    @property
    def _axes(self) -> tuple[str, ...]:
        return self.grid.varying or tuple(self.grid.values)[:1]

    def _by_key(self) -> dict[Key, CaseResult]:
        column, *rows = self._axes
        found: dict[Key, CaseResult] = {}
        for case in self.cases:
            across = option_text(getattr(case.config, column))
            down = ", ".join(option_text(getattr(case.config, name)) for name in rows)
            found[(down, across) if rows else across] = case
        return found
