"""The result of an evaluation: a tidy table, its summary, differences, confusion, figure, files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.evaluation import folder
from fembed.evaluation.methods import OURS
from fembed.evaluation.tasks import Labels, Task
from fembed.facts import ShowsFacts
from fembed.files.atomic import Place
from fembed.files.manifest import plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_DIFFERENCE = (
    *("baseline", "dimension", "measure", "difference", "standard_error"),
    *("low", "high", "n_folds"),
)


@dataclass(frozen=True)
class CaseResult:
    """One fold of one method; `fembed.evaluate` describes the terms."""

    repeat: int
    fold: int
    method: str
    dimension: int | None
    n_training: int
    n_test: int
    measures: dict[str, float]
    seconds_fit: float
    seconds_score: float
    test: NDArray[np.intp]
    predicted: Labels
    chosen: dict[str, Any] | None
    held_out: str | None = None
    n_unseen: int = 0

    def facts(self) -> dict[str, Any]:
        """One row of the table of folds."""
        row = {
            "repeat": self.repeat,
            "fold": self.fold,
            **self.group(),
            "method": self.method,
            "dimension": self.dimension,
            "n_training": self.n_training,
            "n_test": self.n_test,
            **({} if self.held_out is None else {"n_unseen": self.n_unseen}),
            **self.measures,
            "seconds_fit": self.seconds_fit,
            "seconds_score": self.seconds_score,
        }
        if self.chosen is not None:
            row["chosen"] = json.dumps(plain(self.chosen), default=str)
        return row

    def group(self) -> dict[str, str]:
        """The column of the group that is held out, where the fold holds out one."""
        return {} if self.held_out is None else {"held_out": self.held_out}


@dataclass(frozen=True, repr=False)
class Evaluation(ShowsFacts):
    """What `fembed.evaluate` found.

    Attributes
    ----------
    task : str
    measures : tuple of str
        The columns of ``folds`` that hold measures; the first is the main one. Of all but
        ``log_loss``, more is better.
    folds : pandas.DataFrame
        One row per repeat, fold, method and dimension: ``n_training``, ``n_test``, the measures,
        ``seconds_fit`` and ``seconds_score``; after a search, ``chosen``: its settings as JSON.
        ``raw``, which has no embedding, has no dimension (NA). Where groups are held out,
        ``held_out`` is the fold's group, and ``n_unseen`` counts its samples that are not tested
        because no other group has their label.
    predictions : pandas.DataFrame
        One row per test sample of every row of ``folds``.
    """

    task: str
    measures: tuple[str, ...]
    folds: pd.DataFrame
    predictions: pd.DataFrame

    def _facts(self) -> tuple[str, dict[str, Any]]:
        main, facts = self.measures[0], {}
        for row in self.summary().to_dict("records"):
            raw = row["dimension"] is None or not row["dimension"] >= 1
            where = "" if raw else f" in {row['dimension']}-D"
            facts[f"{row['method']}{where}"] = f"{row[main]:.3f} ± {row[f'{main}_se']:.3f}"
        return f"{self.task}, {main} in {self.folds_told()}", facts

    @property
    def holds_out_groups(self) -> bool:
        """Whether every fold holds out a group, which the column ``held_out`` names."""
        return "held_out" in self.folds.columns

    def folds_told(self) -> str:
        """Which folds there are, such as "5 folds x 2 repeats" or "4 groups, each held out"."""
        folds, repeats = self.folds["fold"].max(), self.folds["repeat"].max()
        if self.holds_out_groups:
            return f"{folds} groups, each held out in turn"
        return f"{folds} folds" + (f" x {repeats} repeats" if repeats > 1 else "")

    @classmethod
    def of(
        cls, results: Sequence[CaseResult], task: Task, y: Labels, names: NDArray[np.object_]
    ) -> Evaluation:
        """The tables of ``results``, in their order."""
        import pandas as pd

        predictions = []
        for r in results:
            columns = {
                "sample": names[r.test],
                "repeat": r.repeat,
                "fold": r.fold,
                **r.group(),
                "method": r.method,
                "dimension": r.dimension,
                **task.predictions(y[r.test], r.predicted),
            }
            predictions.append(pd.DataFrame(columns).astype({"dimension": "Int64"}))
        folds = pd.DataFrame([r.facts() for r in results]).astype({"dimension": "Int64"})
        return cls(task.name, task.measures, folds, pd.concat(predictions, ignore_index=True))

    def summary(self) -> pd.DataFrame:
        """Mean and standard error of each measure, one row per method and dimension.

        The standard error is that of Nadeau and Bengio (2003, Machine Learning 52, 239), for
        folds that share their training samples: the variance of the J values times
        (1/J + n_test / n_training). The plain s / sqrt(J) is too small, and with repeats falls
        to zero though there are no more samples than before.
        """
        import pandas as pd

        rows = []
        for (method, dimension), part in self._by_method():
            row = {"method": method, "dimension": dimension, "n_folds": len(part)}
            for measure in self.measures:
                row[measure] = part[measure].mean()
                row[f"{measure}_se"] = corrected_standard_error(part[measure], _ratio(part))
            row["seconds_fit"] = part["seconds_fit"].mean()
            rows.append(row)
        return pd.DataFrame(rows).astype({"dimension": "Int64"})

    def differences(self) -> pd.DataFrame:
        """Ours minus each baseline's on the same folds: a row per baseline, dimension, measure.

        ``low`` and ``high`` bound the difference at 95 % by Student's t with J - 1 degrees of
        freedom and the standard error of `summary`. A baseline without dimensions of its own (raw)
        is compared with every dimension. Empty without baselines.
        """
        import pandas as pd
        from scipy.stats import t

        ours = {key[1]: part for key, part in self._by_method() if key[0] == OURS}
        rows = []
        for (baseline, dimension), theirs in self._by_method():
            if baseline == OURS:
                continue
            for d in ours if pd.isna(dimension) else [dimension]:
                for measure in self.measures:
                    each = _paired(ours[d], theirs, measure)
                    error = corrected_standard_error(each, _ratio(theirs))
                    reach = error * t.ppf(0.975, max(len(each) - 1, 1))
                    rows.append(
                        {
                            "baseline": baseline,
                            "dimension": d,
                            "measure": measure,
                            "difference": each.mean(),
                            "standard_error": error,
                            "low": each.mean() - reach,
                            "high": each.mean() + reach,
                            "n_folds": len(each),
                        }
                    )
        return pd.DataFrame(rows, columns=_DIFFERENCE).astype({"dimension": "Int64"})

    def confusion(self) -> pd.DataFrame:
        """Counts of (label, predicted), by method and dimension, over all repeats.

        Raises
        ------
        InputError
            For a task without classes.
        """
        if self.task != "classification":
            raise InputError(f"Only classes can be confused, and the task is {self.task}.")
        keys = ["method", "dimension", "label", "predicted"]
        counts = self.predictions.groupby(keys, sort=False, dropna=False).size()
        table: pd.DataFrame = counts.rename("n").reset_index()
        return table

    def figure(self, measure: str | None = None) -> Figure:
        """A measure (by default the main one) against dimension; see `figure.dimension_figure`."""
        from fembed.evaluation.figure import dimension_figure

        if measure is None:
            measure = self.measures[0]
        if measure not in self.measures:
            raise InputError(
                f"There is no measure '{measure}'; choose among {', '.join(self.measures)}."
            )
        return dimension_figure(self.summary(), measure, self.folds_told())

    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables by name."""
        found = {
            "folds": self.folds,
            "summary": self.summary(),
            "differences": self.differences(),
            "predictions": self.predictions,
        }
        if self.task == "classification":
            found["confusion"] = self.confusion()
        return found

    def save(
        self,
        path: str | os.PathLike[str] | Place,
        *,
        settings: dict[str, Any] | None = None,
        figure: bool = True,
        overwrite: bool = False,
    ) -> None:
        """Write a folder: each table as .csv, ``settings.json``, and the figure.

        Parameters
        ----------
        path : path
            A new folder. Or what `folder.check` returned before long work: if another process has
            written it since, this is kept beside it, and an error says where.
        settings : dict, optional
            Written to ``settings.json``.
        figure : bool
            Draw the main measure, as .png and .svg; needs matplotlib.
        overwrite : bool
            Replace an earlier folder of an evaluation.

        Raises
        ------
        InputError
            The folder exists or cannot be written, or matplotlib is missing.
        """
        place = path if isinstance(path, Place) else folder.check(path, overwrite)
        told = {"task": self.task, **(settings or {})}
        figures = {self.measures[0]: self.figure()} if figure else {}
        folder.write(place, self.tables(), told, figures)

    def _by_method(self) -> list[tuple[tuple[str, Any], pd.DataFrame]]:
        groups = self.folds.groupby(["method", "dimension"], sort=False, dropna=False)
        return [(key, part) for key, part in groups]


def corrected_standard_error(values: Any, test_ratio: float) -> float:
    """Standard error of a mean of folds that share training samples: see `Evaluation.summary`."""
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return float("nan")
    return float(np.sqrt((1.0 / len(values) + test_ratio) * values.var(ddof=1)))


def _ratio(part: pd.DataFrame) -> float:
    """n_test / n_training."""
    return float((part["n_test"] / part["n_training"]).mean())


def _paired(ours: pd.DataFrame, theirs: pd.DataFrame, measure: str) -> Any:
    keys = ["repeat", "fold"]
    return ours.set_index(keys)[measure] - theirs.set_index(keys)[measure]
