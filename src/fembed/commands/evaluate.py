"""``fembed evaluate``: auxiliary tasks, cross-validated without leakage."""

from __future__ import annotations

import warnings
from typing import Annotated

import typer

from fembed.commands.arguments import (
    Backend,
    CaseThreads,
    Data,
    Layer,
    Overwrite,
    Quiet,
    Scheduler,
    Transpose,
    TxToGene,
    UseRaw,
    WorkerCount,
)
from fembed.output.log import JsonLog, check_log
from fembed.output.streams import say
from fembed.output.terminal import CaseBar, errors_told


@errors_told()
def evaluate(
    data: Data,
    label: Annotated[
        str | None, typer.Option(help="The column to predict; for survival, --time and --event.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Survival: the column of times.")] = None,
    event: Annotated[
        str | None, typer.Option(help="Survival: 1 where the event came, 0 where not.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="classification, regression or survival; by default told from LABEL."),
    ] = None,
    groups: Annotated[
        str | None, typer.Option(help="Samples that share this (a patient) are tested together.")
    ] = None,
    annotations: Annotated[
        str | None,
        typer.Option(help="A .csv, .tsv or .parquet with these columns, sample names first."),
    ] = None,
    dims: Annotated[str, typer.Option(help="Dimensions of the embedding.")] = "2,8,32",
    baselines: Annotated[
        str, typer.Option(help="Baselines among pca, umap, raw (all genes); '' for none.")
    ] = "pca",
    model: Annotated[
        str | None,
        typer.Option(help="On the coordinates: logistic (default) or knn; ridge or knn; cox."),
    ] = None,
    folds: Annotated[int, typer.Option(help="Parts that are tested in turn.")] = 5,
    repeats: Annotated[int, typer.Option(help="Times that the samples are shuffled anew.")] = 1,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="A new folder for the tables and the figure."),
    ] = None,
    figure: Annotated[bool, typer.Option(help="With -o: draw it; needs matplotlib.")] = True,
    transform: Annotated[
        str,
        typer.Option(
            help="log10 (of x + 1), cpm (then log10), or none: log, centred or 0..1 values."
        ),
    ] = "log10",
    gene_components: Annotated[int, typer.Option(help="Dimensions of the gene embedding.")] = 50,
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers.")] = "100,50,50",
    recipe: Annotated[str, typer.Option(help="fast or published.")] = "fast",
    epochs: Annotated[
        float | None, typer.Option(help="Passes over the matrix; by default chosen by the data.")
    ] = None,
    weight_decay: Annotated[float, typer.Option(help="Coupled L2 penalty.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the folds, the embeddings and the baselines.")] = 0,
    backend: Backend = "local",
    scheduler: Scheduler = None,
    n_workers: WorkerCount = None,
    n_threads: CaseThreads = None,
    layer: Layer = None,
    use_raw: UseRaw = False,
    transpose: Transpose = None,
    tx2gene: TxToGene = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    log_json: Annotated[
        str | None, typer.Option(help="One JSON object a line to this file; - is stdout.")
    ] = None,
) -> None:
    """Predict LABEL from embeddings of DATA that never saw the test samples.

    In every fold the embedding is trained on the training samples, the rest are projected, a model
    of the label is fitted on the training coordinates and scored on the projected ones.
    """
    from fembed import evaluation
    from fembed.commands import describe, options
    from fembed.data import account, readers
    from fembed.data.preprocess import Preprocessing
    from fembed.errors import DataWarning, InputError
    from fembed.estimator import FactorizedEmbedding
    from fembed.evaluation import folder
    from fembed.evaluation.annotations import labelled
    from fembed.evaluation.figure import check_drawing
    from fembed.evaluation.result import CaseResult

    with JsonLog(log_json, overwrite) as log, errors_told(log):
        if quiet and output is None and log_json is None:
            raise InputError(
                "--quiet without a folder (-o) or --log-json would show and keep nothing; give one."
            )
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
        preprocessing = Preprocessing(transform)  # type: ignore[arg-type]  # it checks
        outputs = [] if output is None else [output]
        sources = [path for path in (data, annotations) if path is not None]
        check_log(log_json, overwrite=overwrite, sources=sources, outputs=outputs)
        if output is not None:
            place = folder.check(output, overwrite)
            if figure:
                check_drawing()
        expression = readers.read(
            data, layer=layer, use_raw=use_raw, transpose=transpose, tx2gene=tx2gene
        )
        expression.check()
        samples = labelled(expression, columns, groups, annotations)
        expression = samples.expression
        account.warn_of_doubts(expression, transform)
        # Each sample by itself, so it may come before the folds.
        preprocessing.apply(
            expression.values,
            expression.origin,
            sample_names=expression.sample_names,
            gene_names=expression.gene_names,
        )
        embedding = FactorizedEmbedding(
            gene_components=config.gene_components,
            hidden=config.hidden,
            recipe=config.recipe,
            preprocessing="none",
            epochs=config.epochs,
            weight_decay=config.weight_decay,
            random_state=config.seed,
        )
        log.open()
        # The units were judged above, under the name of the file; `evaluate` would judge "X" again.
        warnings.filterwarnings("ignore", r"X \(", DataWarning)
        with CaseBar("folds", quiet) as bar:

            def show(n_done: int, n_cases: int, case: CaseResult) -> None:
                bar(n_done, n_cases)
                log.write("case", n_done=n_done, n_cases=n_cases, **case.facts())

            found = evaluation.evaluate(
                expression,
                samples.y,
                task="survival" if time else task,
                estimator=model,
                embedding=embedding,
                dims=sizes,
                baselines=[name.strip() for name in baselines.split(",") if name.strip()],
                cv=folds,
                repeats=repeats,
                groups=samples.groups,
                seed=seed,
                workers=places,
                verbose=False,
                callback=show,
            )
        if output is not None:
            settings = {
                "data": data,
                "columns": columns,
                "groups": groups,
                "folds": folds,
                "repeats": repeats,
                "model": model,
                "transform": transform,
                "fit": config.to_dict(),
            }
            try:
                found.save(place, settings=settings, figure=figure)
            except InputError:  # what was found is worth more than the folder
                say("\n".join(describe.evaluation_lines(found)))
                raise
            log.write("done", folder=output)
        if not (quiet or log.takes_stdout):
            say("\n".join(describe.evaluation_lines(found)))
