"""``fembed sweep``: a grid of options, with its table and figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from fembed.commands import arguments as args
from fembed.output.log import JsonLog, check_log
from fembed.output.streams import say
from fembed.output.terminal import CaseBar, errors_told

if TYPE_CHECKING:
    from fembed.sweeps.case import CaseResult


@errors_told()
def sweep(
    data: args.Data,
    label: Annotated[str, typer.Option(help="The column of obs with the classes to predict.")],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="A new folder, or that of the same sweep, which then resumes."
        ),
    ],
    weight_decay: Annotated[
        str | None, typer.Option(help="Values of the weight decay to try, such as 0,1e-8,1e-6.")
    ] = None,
    gene_components: Annotated[
        str | None, typer.Option(help="Dimensions of the gene embedding to try, such as 10,50,100.")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            help="Values of any option of fit to try, OPTION=V1,V2,...; may be repeated. Widths of "
            "layers are joined by dashes: hidden=100-50,50.",
        ),
    ] = None,
    groups: args.Groups = None,
    n_components: Annotated[int, typer.Option(help="Dimensions of the maps.")] = 2,
    hidden: args.Hidden = "100,50,50",
    recipe: args.Recipe = "fast",
    transform: args.Transform = None,
    epochs: args.Epochs = None,
    iterations: args.Iterations = None,
    learning_rate: args.LearningRate = None,
    seed: Annotated[int, typer.Option(help="Seed of every model.")] = 0,
    fold_seed: Annotated[int, typer.Option(help="Seed of the folds that give accuracies.")] = 0,
    held_out: Annotated[
        bool,
        typer.Option(
            help="Also train each model without a fifth of the samples, and test it on those."
        ),
    ] = True,
    classifier_steps: Annotated[
        int,
        typer.Option(help="Training steps of the published network classifier; 0 leaves it out."),
    ] = 2000,
    models: Annotated[bool, typer.Option(help="Also keep the models in the folder.")] = True,
    figures: Annotated[bool, typer.Option(help="Draw the figures; needs matplotlib.")] = True,
    limits: Annotated[
        str | None,
        typer.Option(
            help="LOW,HIGH of both axes of all maps, such as -5,5; by default 99 % of every "
            "model's samples lie within them."
        ),
    ] = None,
    backend: args.Backend = "local",
    scheduler: args.Scheduler = None,
    n_workers: args.WorkerCount = None,
    n_threads: args.CaseThreads = None,
    layer: args.Layer = None,
    use_raw: args.UseRaw = False,
    transpose: args.Transpose = None,
    tx2gene: args.TxToGene = None,
    quiet: args.Quiet = False,
    log_json: args.LogJson = None,
) -> None:
    """Train a model for every combination of options, and compare them in a table and figures.

    Each finished model is stored at once; if the command is killed, the same command resumes
    where it ended.
    """
    from fembed import sweeps
    from fembed.commands import describe, options
    from fembed.data import readers
    from fembed.data.preprocess import Preprocessing
    from fembed.sweeps.folder import check

    with JsonLog(log_json) as log, errors_told(log):
        chosen = options.grid(weight_decay, gene_components, grid or [])
        config = options.config(
            n_components=n_components,
            hidden=hidden,
            recipe=recipe,
            epochs=epochs,
            iterations=iterations,
            learning_rate=learning_rate,
            seed=seed,
        )
        chosen.cases(config)
        transform = transform or "log10"
        Preprocessing(transform)  # type: ignore[arg-type]  # refuses an unknown one
        places = options.workers(backend, scheduler, n_workers, n_threads)
        box = options.limits(limits)
        if figures:
            from fembed.pl.canvas import check_installed

            check_installed()
        check(output)
        check_log(log_json, sources=[data], outputs=[output])
        expression = readers.read(
            data, layer=layer, use_raw=use_raw, transpose=transpose, tx2gene=tx2gene
        )
        log.open()
        with CaseBar("models", quiet) as bar:
            found = sweeps.sweep(
                expression,
                chosen,
                label,
                groups=groups,
                config=config,
                transform=transform,  # type: ignore[arg-type]  # it checks
                held_out=held_out,
                classifier_steps=classifier_steps,
                fold_seed=fold_seed,
                folder=output,
                keep_models=models,
                workers=places,
                verbose=False,
                callback=_telling(bar, log),
            )
        if figures:
            from fembed.pl.swept import draw_sweep

            draw_sweep(found, output, limits=box)
        log.write("done", folder=output)
        if not (quiet or log.takes_stdout):
            say("\n".join(describe.sweep_lines(found)))


def _telling(bar: CaseBar, log: JsonLog) -> Callable[[int, int, CaseResult], None]:
    """A callback that reports each finished case in the bar and in the log."""
    from fembed.sweeps.folder import case_name

    def show(n_done: int, n_cases: int, case: CaseResult) -> None:
        bar(n_done, n_cases)
        log.write(
            "case",
            n_done=n_done,
            n_cases=n_cases,
            case=case_name(case.config),
            failure=case.failure,
            **case.measures,
        )

    return show
