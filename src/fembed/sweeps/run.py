"""A sweep runs every case once, and stores it as soon as it has finished."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed import parallel
from fembed.config import MAX_FOLD_SEED, MAX_STEPS, FitConfig, checked_kind, checked_whole
from fembed.data import account
from fembed.data.annotations import Source, refuse_layers
from fembed.data.expression import Expression
from fembed.data.preprocess import Preprocessing, Transform
from fembed.errors import InputError
from fembed.evaluation.annotations import labelled
from fembed.evaluation.folds import checked_groups, make_folds
from fembed.evaluation.tasks import Classification
from fembed.files import atomic
from fembed.progress import Bar
from fembed.sweeps.case import CaseResult, Protocol, Shared, run_case
from fembed.sweeps.folder import SweepFolder, check, settings_of
from fembed.sweeps.options import Grid
from fembed.sweeps.result import Sweep

FOLDS = 5
TABLE = "table.csv"


def sweep(
    data: Any,
    grid: Grid | Mapping[str, Sequence[Any]],
    label: Any,
    *,
    groups: Any = None,
    config: FitConfig | None = None,
    transform: Transform = "log10",
    held_out: bool = True,
    classifier_steps: int = 2000,
    fold_seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
    keep_models: bool = True,
    workers: parallel.Workers | None = None,
    verbose: bool | None = None,
    callback: Callable[[int, int, CaseResult], None] | None = None,
) -> Sweep:
    """Train a model for every combination of options; measure how well its map predicts a label.

    Parameters
    ----------
    data : Expression, AnnData, DataFrame, array, sparse matrix or path, n_samples x n_genes
        In the units that ``transform`` takes. It is not changed.
    grid : mapping
        Options of a `fembed.FitConfig` and their values, such as
        ``{"weight_decay": [0, 1e-6], "gene_components": [10, 50]}``. In figures, the first option
        makes the columns and the second the rows.
    label : str or n_samples values
        The classes: a column of ``obs``, or one per sample.
    groups : str or n_samples values, optional
        Samples of one group (a patient) are never parted between training and test.
    config : FitConfig, optional
        All other options, and the seed.
    transform : {"log10", "cpm", "none"}
        As in `fembed.fit`.
    held_out : bool
        Also train every case without a fifth of the samples, project these, and measure there.
    classifier_steps : int
        Training steps of the published network classifier; 0 leaves it out.
    fold_seed : int
        Seed of the folds in which accuracies are measured, the same for all cases.
    folder : path, optional
        Where finished cases, models and the table are kept. An earlier sweep of the same data and
        settings in that folder is continued: cases that it has are not run again, so that a killed
        run can be resumed and a grid can grow.
    keep_models : bool
        Keep the models in ``folder``, too.
    workers : Workers, optional
        Where cases run; by default one process per core.
    verbose : bool, optional
        Show a bar: in a terminal or notebook with True, nowhere with False; by default in
        notebooks.
    callback : callable, optional
        Called as ``callback(n_done, n_cases, result)`` after each case, stored ones first.

    Returns
    -------
    Sweep
        ``table``, ``maps()``, ``measure(name)``.

    Raises
    ------
    InputError
        An unknown or impossible option, labels from which nothing can be learned, or a folder of
        other data or other things.
    WorkerError
        If workers are lost for good.

    Notes
    -----
    The same seed and data give the same results on one machine, whatever the number of workers
    and however often the run was interrupted; only ``seconds`` differ.

    Examples
    --------
    >>> import numpy as np
    >>> import fembed
    >>> rng = np.random.default_rng(0)
    >>> kind = np.repeat(["a", "b"], 20)
    >>> X = rng.poisson(np.where(kind == "a", 5.0, 20.0)[:, None], size=(40, 30))
    >>> small = fembed.FitConfig(hidden=(8,), gene_components=4, iterations=20)
    >>> found = fembed.sweep(
    ...     X, {"weight_decay": [0, 1e-3]}, kind, config=small, classifier_steps=20,
    ...     workers=fembed.Workers(n_workers=1),
    ... )
    >>> found.table["weight_decay"].tolist()
    [0.0, 0.001]
    """
    grid = grid if isinstance(grid, Grid) else Grid.of(grid)
    config = FitConfig.of(config)
    preprocessing = Preprocessing(transform)
    cases = grid.cases(config)
    if any(case.takes_counts for case in cases):
        raise InputError(
            "A sweep does not have the likelihood counts yet; fit such models one by one, or leave "
            "it out."
        )
    classifier_steps = checked_whole("classifier_steps", classifier_steps, 0, MAX_STEPS)
    fold_seed = checked_whole("fold_seed", fold_seed, 0, MAX_FOLD_SEED)
    checked_kind("held_out", held_out, bool, "True or False")
    checked_kind("keep_models", keep_models, bool, "True or False")
    if folder is not None:
        check(folder)
    expression, labels, group_values = _labelled(data, label, groups)
    expression.check()
    account.warn_of_doubts(expression, preprocessing)
    task = Classification()
    labels = task.checked(labels, expression.sample_names)
    group_values = checked_groups(group_values, expression.sample_names)
    shared = Shared(
        expression=replace(expression, obs=None, source=Source(), colours={}),
        labels=labels,
        folds=make_folds(task, labels, group_values, FOLDS, 1, fold_seed),
        preprocessing=preprocessing,
        protocol=Protocol(held_out, classifier_steps),
    )
    place = None if folder is None else SweepFolder(folder)
    if place is not None:
        names = [_called(given, what) for given, what in ((label, "labels"), (groups, "groups"))]
        place.open(settings_of(shared, names[0] or "", names[1], group_values, fold_seed))
    with Bar(verbose) as bar:
        told = bar.case_callback("models", callback)
        results = _run(shared, cases, place, keep_models, workers, told)
    column, colours = label, None
    if isinstance(label, str):
        column, colours = expression.column(label), expression.colours.get(label)
    path = None if place is None else place.path
    found = Sweep(grid, results, labels, path, column, colours)
    if place is not None:
        text = found.table.to_csv(index=False, lineterminator="\n")
        atomic.replace_file(place.path / TABLE, text.encode())
    return found


def _run(
    shared: Shared,
    cases: Sequence[FitConfig],
    place: SweepFolder | None,
    keep_models: bool,
    workers: parallel.Workers | None,
    callback: Callable[[int, int, CaseResult], None],
) -> list[CaseResult]:
    """The results of all cases in order; those that ``place`` has are read, not run."""
    results: dict[int, CaseResult] = {}

    def done(position: int, result: CaseResult) -> None:
        results[position] = result
        callback(len(results), len(cases), result)

    for position, case in enumerate(cases):
        stored = None if place is None else place.finished(case, len(shared.labels))
        if stored is not None:
            done(position, stored)
    waiting = [position for position in range(len(cases)) if position not in results]

    def keep(index: int, result: CaseResult) -> None:
        if place is not None:
            place.store(result, keep_models)
        else:
            result.model = None
        done(waiting[index], result)

    if waiting:
        parallel.run(run_case, shared, [cases[k] for k in waiting], workers, keep)
    return [results[position] for position in range(len(cases))]


def _labelled(
    data: Any, label: Any, groups: Any
) -> tuple[Expression, NDArray[Any], NDArray[Any] | None]:
    refuse_layers(data, "A sweep")
    expression = Expression.of(data)
    if isinstance(label, str):
        by_name = groups if isinstance(groups, str) else None
        if groups is not None and by_name is None:
            raise InputError("The label is the name of a column; give the groups by name, too.")
        samples = labelled(expression, [label], by_name)
        return samples.expression, samples.y, samples.groups
    labels = np.asarray(label)
    if labels.shape != (expression.n_samples,):
        raise InputError(
            f"The labels have shape {labels.shape} for {expression.n_samples} samples; give one a "
            "sample."
        )
    values = None
    if groups is not None:
        values = np.asarray(expression.labels(groups) if isinstance(groups, str) else groups)
    return expression, labels, values


def _called(given: Any, what: str) -> str | None:
    """A column's name, or a note that values were given, whose digest is stored too."""
    if given is None:
        return None
    return given if isinstance(given, str) else f"given {what}"
