"""``fembed evaluate``: auxiliary tasks, cross-validated without leakage."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fembed.commands import arguments as args
from fembed.output.log import JsonLog, check_log
from fembed.output.streams import say
from fembed.output.terminal import CaseBar, errors_told

if TYPE_CHECKING:
    from fembed.config import FitConfig
    from fembed.data.expression import Expression
    from fembed.data.preprocess import Preprocessing
    from fembed.estimator import FactorizedEmbedding
    from fembed.evaluation import Evaluation
    from fembed.evaluation.annotations import LabelledSamples
    from fembed.evaluation.result import CaseResult
    from fembed.files.atomic import Place


@errors_told()
def evaluate(
    data: args.Data,
    label: Annotated[
        str | None,
        typer.Option(help="The column to predict; for survival give --time and --event."),
    ] = None,
    time: Annotated[str | None, typer.Option(help="For survival: the column of times.")] = None,
    event: Annotated[
        str | None, typer.Option(help="For survival: the column with 1 for an event, 0 for none.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="classification, regression or survival; by default LABEL's values decide."
        ),
    ] = None,
    groups: args.Groups = None,
    hold_out_groups: Annotated[
        str | None,
        typer.Option(
            help="A column, such as the study: instead of random folds, train on all its groups "
            "but one and test on that one, for each in turn."
        ),
    ] = None,
    annotations: Annotated[
        str | None,
        typer.Option(
            help="A .csv, .tsv or .parquet table that has these columns, with sample names in its "
            "first column."
        ),
    ] = None,
    dims: Annotated[str, typer.Option(help="Dimensions of the embeddings to compare.")] = "2,8,32",
    baselines: Annotated[
        str,
        typer.Option(help="Methods to compare with: pca, umap, raw (all genes); '' for none."),
    ] = "pca",
    model: Annotated[
        str | None,
        typer.Option(
            help="What predicts the label: logistic or knn for classes, ridge or knn for numbers, "
            "cox for survival; by default the first of these."
        ),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Number of folds of the cross-validation; by default 5.")
    ] = None,
    repeats: Annotated[
        int, typer.Option(help="Number of cross-validations, each with other random folds.")
    ] = 1,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="A new folder for the tables and the figure."),
    ] = None,
    figure: Annotated[
        bool, typer.Option(help="With -o: draw the figure; needs matplotlib.")
    ] = True,
    transform: args.Transform = None,
    gene_components: Annotated[int, typer.Option(help="Dimensions of the gene embedding.")] = 50,
    hidden: args.Hidden = "100,50,50",
    recipe: args.Recipe = "fast",
    epochs: args.Epochs = None,
    weight_decay: Annotated[float, typer.Option(help="L2 penalty, added to the gradient.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of folds, embeddings and baselines.")] = 0,
    backend: args.Backend = "local",
    scheduler: args.Scheduler = None,
    n_workers: args.WorkerCount = None,
    n_threads: args.CaseThreads = None,
    layer: args.Layer = None,
    use_raw: args.UseRaw = False,
    transpose: args.Transpose = None,
    tx2gene: args.TxToGene = None,
    overwrite: args.Overwrite = False,
    quiet: args.Quiet = False,
    log_json: args.LogJson = None,
) -> None:
    """Predict LABEL from embeddings of DATA that never saw the test samples.

    In every fold the embedding is trained on the training samples, and the test samples are
    projected into it. A model of the label is then fitted on the coordinates of the training
    samples and scored on those of the test samples.
    """
    from fembed.commands import describe, options
    from fembed.data import readers
    from fembed.data.preprocess import Preprocessing

    with JsonLog(log_json, overwrite) as log, errors_told(log):
        _refuse_silence(quiet, output, log_json)
        columns = options.label_columns(label, time, event, task)
        config = options.config(
            gene_components=gene_components,
            hidden=hidden,
            recipe=recipe,
            epochs=epochs,
            weight_decay=weight_decay,
            seed=seed,
        )
        sizes = options.whole_numbers("--dims", dims)
        places = options.workers(backend, scheduler, n_workers, n_threads)
        transform = transform or "log10"
        preprocessing = Preprocessing(transform)  # type: ignore[arg-type]  # it checks
        outputs = [] if output is None else [output]
        sources = [path for path in (data, annotations) if path is not None]
        check_log(log_json, overwrite=overwrite, sources=sources, outputs=outputs)
        place = None if output is None else _checked_folder(output, overwrite, figure)
        expression = readers.read(
            data, layer=layer, use_raw=use_raw, transpose=transpose, tx2gene=tx2gene
        )
        samples = _prepared(
            expression, columns, groups, annotations, hold_out_groups, preprocessing
        )
        log.open()
        found = _cross_validated(
            samples,
            log,
            quiet,
            task="survival" if time else task,
            estimator=model,
            embedding=_embedding(config),
            dims=sizes,
            baselines=[name.strip() for name in baselines.split(",") if name.strip()],
            cv=folds,
            repeats=repeats,
            seed=seed,
            workers=places,
        )
        if place is not None:
            settings = {
                "data": data,
                "columns": columns,
                "groups": groups,
                "hold_out_groups": hold_out_groups,
                "folds": int(found.folds["fold"].max()),
                "repeats": repeats,
                "model": model,
                "transform": transform,
                "fit": config.to_dict(),
            }
            _save(found, place, settings, figure)
            log.write("done", folder=output)
        if not (quiet or log.takes_stdout):
            say("\n".join(describe.evaluation_lines(found)))


def _refuse_silence(quiet: bool, output: str | None, log_json: str | None) -> None:
    from fembed.errors import InputError

    if quiet and output is None and log_json is None:
        raise InputError(
            "--quiet without a folder (-o) or --log-json would show and keep nothing; give one."
        )


def _checked_folder(output: str, overwrite: bool, figure: bool) -> Place:
    """The place of the output folder; InputError if it, or the figure, could not be made."""
    from fembed.evaluation import folder
    from fembed.evaluation.figure import check_drawing

    place = folder.check(output, overwrite)
    if figure:
        check_drawing()
    return place


def _prepared(
    expression: Expression,
    columns: list[str],
    groups: str | None,
    annotations: str | None,
    hold_out_groups: str | None,
    preprocessing: Preprocessing,
) -> LabelledSamples:
    """The samples that have what the task needs, transformed."""
    from fembed.data import account
    from fembed.evaluation.annotations import labelled

    expression.check()
    samples = labelled(expression, columns, groups, annotations, hold_out_groups)
    expression = samples.expression
    account.warn_of_doubts(expression, preprocessing)
    # Each sample is transformed by itself, so nothing leaks if this comes before the folds.
    preprocessing.apply_to(expression)
    return samples


def _embedding(config: FitConfig) -> FactorizedEmbedding:
    """The embedding of samples that are transformed already."""
    from fembed.estimator import FactorizedEmbedding

    return FactorizedEmbedding(
        gene_components=config.gene_components,
        hidden=config.hidden,
        recipe=config.recipe,
        preprocessing="none",
        epochs=config.epochs,
        weight_decay=config.weight_decay,
        random_state=config.seed,
    )


def _cross_validated(
    samples: LabelledSamples, log: JsonLog, quiet: bool, **options: Any
) -> Evaluation:
    """Evaluate, while a bar and the log tell of each fold."""
    from fembed import evaluation
    from fembed.errors import DataWarning

    # The units were judged before, under the name of the file; `evaluate` would judge "X" again.
    warnings.filterwarnings("ignore", r"X \(", DataWarning)
    with CaseBar("folds", quiet) as bar:

        def show(n_done: int, n_cases: int, case: CaseResult) -> None:
            bar(n_done, n_cases)
            log.write("case", n_done=n_done, n_cases=n_cases, **case.facts())

        return evaluation.evaluate(
            samples.expression,
            samples.y,
            groups=samples.groups,
            hold_out_groups=samples.hold_out_groups,
            verbose=False,
            callback=show,
            **options,
        )


def _save(found: Evaluation, place: Place, settings: dict[str, Any], figure: bool) -> None:
    """Write the folder; if that fails, print the results."""
    from fembed.commands import describe
    from fembed.errors import InputError

    try:
        found.save(place, settings=settings, figure=figure)
    except InputError:  # the results must not be lost with the folder
        say("\n".join(describe.evaluation_lines(found)))
        raise
