"""The command line: every command checks its outputs, calls the library and prints facts.

The library is imported inside the commands, so that ``fembed --help`` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from fembed.terminal import Failed, JsonLog, TrainingBar, errors_told, tell

app = typer.Typer(
    name="fembed",
    help="Factorized embeddings of expression matrices: maps, and new samples placed in them.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

# Typer has no public name for the mistakes in a command line: its own or click's UsageError.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help=".h5ad, .zarr, .csv or .tsv (also .gz), .parquet, .npy, .npz, .h5 or a 10x folder; "
        "samples x genes.",
    ),
]
ModelFolder = Annotated[str, typer.Argument(metavar="MODEL", help="A folder that fit wrote.")]
Layer = Annotated[str | None, typer.Option(help="Of an .h5ad or .zarr: this layer, not X.")]
Raw = Annotated[bool, typer.Option("--raw", help="Of an .h5ad or .zarr: raw, not X.")]
Transpose = Annotated[bool, typer.Option("--transpose", help="The file is genes x samples.")]
Threads = Annotated[
    int | None, typer.Option(help="Threads; OMP_NUM_THREADS or all processors by default.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]
Label = Annotated[
    list[str] | None, typer.Option(help="A column of obs to carry into the table; repeatable.")
]
TableOutput = Annotated[
    str, typer.Option("--output", "-o", help="A .csv, .tsv (also .gz), .parquet or .h5ad file.")
]


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from fembed import __version__

        print(f"fembed {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
@errors_told()
def fit(
    data: Data,
    output: Annotated[str, typer.Option("--output", "-o", help="The model: a new folder.")],
    components: Annotated[int, typer.Option(help="Dimensions of the map.")] = 2,
    gene_components: Annotated[int, typer.Option(help="Dimensions of the gene embedding.")] = 50,
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers.")] = "100,50,50",
    recipe: Annotated[str, typer.Option(help="fast or published.")] = "fast",
    transform: Annotated[
        str, typer.Option(help="log10 (of x + 1), cpm (then log10), or none: a log scale already.")
    ] = "log10",
    epochs: Annotated[
        float | None, typer.Option(help="Passes over the matrix; by default chosen by the data.")
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Steps, instead of epochs.")] = None,
    block_samples: Annotated[int | None, typer.Option(help="Samples of a step.")] = None,
    block_genes: Annotated[int | None, typer.Option(help="Genes of a step.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of the network and the genes (0.005).")
    ] = None,
    weight_decay: Annotated[float, typer.Option(help="Coupled L2 penalty.")] = 0.0,
    validation: Annotated[
        float | None, typer.Option(help="Share held out to choose when to stop; 0 for none.")
    ] = None,
    validation_entries: Annotated[
        bool, typer.Option("--validation-entries", help="Hold out entries, not samples.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bits.")] = 0,
    threads: Threads = None,
    layer: Layer = None,
    raw: Raw = False,
    transpose: Transpose = False,
    embedding: Annotated[
        str | None, typer.Option(help="Also write the training samples' table to this file.")
    ] = None,
    label: Label = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    log_json: Annotated[
        str | None, typer.Option(help="One JSON object a line to this file; - is stdout.")
    ] = None,
) -> None:
    """Train a map of the samples in DATA and save the model."""
    from fembed import describe, options, readers, store, tables, train
    from fembed.preprocess import Preprocessing

    with JsonLog(log_json) as log, errors_told(log):
        config = options.config(
            n_components=components,
            gene_components=gene_components,
            hidden=hidden,
            recipe=recipe,
            epochs=epochs,
            iterations=iterations,
            block_samples=block_samples,
            block_genes=block_genes,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            validation=validation,
            validation_entries=validation_entries,
            seed=seed,
            n_threads=threads,
        )
        preprocessing = Preprocessing(transform)  # type: ignore[arg-type]  # it checks
        options.check_fit_outputs(
            output,
            embedding,
            log_json,
            labels=label or [],
            n_components=components,
            data=data,
            overwrite=overwrite,
        )
        expression = readers.read(data, layer=layer, raw=raw, transpose=transpose)
        labels = {name: expression.labels(name) for name in label or []}
        log.open()
        with TrainingBar(quiet, log) as bar:
            model = train.fit(
                expression,
                config,
                preprocessing=preprocessing,
                progress=bar,
                overwrite_values=True,
            )
        store.save(model, output, overwrite)
        if embedding is not None:
            tables.write(tables.EmbeddingTable.of_training(model, labels), embedding, overwrite)
        facts = describe.training_facts(model)
        log.write("done", model=output, **facts)
        _print({**facts, "model": output}, quiet or log.takes_stdout)


@app.command()
@errors_told()
def project(
    model: ModelFolder,
    data: Data,
    output: TableOutput,
    label: Label = None,
    threads: Threads = None,
    layer: Layer = None,
    raw: Raw = False,
    transpose: Transpose = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Place the samples of DATA in the map of MODEL: coordinates, loss, genes used, outlier score.

    An .h5ad output also holds the covariance of every point.
    """
    from fembed import describe, options, projection, readers, store, tables

    tables.check_output(output, overwrite, sources=[data])
    options.check_threads(threads)
    trained = store.load(model)
    tables.check_label_names(label or [], trained.n_components)
    expression = readers.read(data, layer=layer, raw=raw, transpose=transpose)
    labels = {name: expression.labels(name) for name in label or []}
    placed = projection.project(trained, expression, n_threads=threads)
    tables.write(tables.EmbeddingTable.of_projection(placed, labels), output, overwrite)
    _print({**describe.projection_facts(placed), "table": output}, quiet)


@app.command()
@errors_told()
def decode(
    model: ModelFolder,
    points: Annotated[
        str, typer.Argument(metavar="POINTS", help="A table with fembed_1 ... (csv, h5ad, ...).")
    ],
    output: TableOutput,
    genes: Annotated[
        str | None, typer.Option(help="Only these genes: NAME,NAME,...; all by default.")
    ] = None,
    scale: Annotated[
        str, typer.Option(help="input: the units of the training data; model: the model's scale.")
    ] = "input",
    threads: Threads = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Expression at POINTS of the map of MODEL: one row a point, one column a gene."""
    from fembed import options, store, tables
    from fembed import points as points_table

    options.check_choice("--scale", scale, ("input", "model"))
    tables.check_output(output, overwrite, sources=[points])
    options.check_threads(threads)
    trained = store.load(model)
    names, coordinates = points_table.read(points, trained.n_components)
    rows = trained.gene_rows(genes.split(",")) if genes is not None else None
    values = trained.decode(coordinates, rows, threads)
    if scale == "input":
        values = trained.preprocessing.invert(values)
    gene_names = trained.gene_names if rows is None else trained.gene_names[rows]
    tables.write(tables.ExpressionTable(names, gene_names, values), output, overwrite)
    _print({"points": len(names), "genes": len(gene_names), "table": output}, quiet)


@app.command()
@errors_told()
def info(
    path: Annotated[str, typer.Argument(metavar="MODEL|DATA", help="A model or a data file.")],
    layer: Layer = None,
    raw: Raw = False,
    transpose: Transpose = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """What a model or a data file holds."""
    from fembed import describe, readers, store

    if describe.is_model(path):
        facts = describe.model_facts(store.load(path))
    else:
        facts = describe.data_facts(readers.read(path, layer=layer, raw=raw, transpose=transpose))
    print(describe.as_json(facts) if json else "\n".join(describe.lines(facts)))


@app.command()
@errors_told()
def demo(
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Keep model and tables in this new folder.")
    ] = None,
    components: Annotated[int, typer.Option(help="Dimensions of the map.")] = 2,
    epochs: Annotated[
        float | None, typer.Option(help="Passes over the matrix; by default chosen by the data.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split and of the training.")] = 0,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """The whole job on 700 blood cells that scanpy ships: train, place a held-out fifth."""
    from fembed import demo as tour
    from fembed import options

    config = options.config(n_components=components, epochs=epochs, seed=seed, n_threads=threads)
    tour.check_output(output)
    cells = tour.read_cells()
    with TrainingBar(quiet) as bar:
        result = tour.tour(cells, config, progress=bar)
    if output is not None:
        tour.save(result, output)
    _print(result.facts, quiet)


def _print(facts: Mapping[str, Any], quiet: bool) -> None:
    from fembed import describe

    if not quiet:
        print("\n".join(describe.lines(facts)))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: that of the process) and return its exit status."""
    try:
        status = app(arguments, prog_name="fembed", standalone_mode=False)
    except Failed as failure:
        return failure.status
    except typer.Abort:
        tell("Interrupted; no output is half-written.")
        return 130
    except _UsageError as error:
        message = error.format_message()  # type: ignore[attr-defined]
        tell(f"{message.rstrip('.')}; see fembed --help.")
        return 2
    return status if isinstance(status, int) else 0


def main() -> None:
    """Entry point of the command ``fembed``."""
    sys.exit(run())
