"""``fembed genes``: what a model has learnt of its genes, which are alike, and what they tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fembed.commands import arguments as args
from fembed.output.terminal import errors_told

if TYPE_CHECKING:
    from fembed.commands.describe import Facts
    from fembed.output.tables import Table

#: A table to write, what to show beside its path, and the lines to print where none is written.
Found = tuple["Table", "Facts", list[str]]


@errors_told()
def genes(
    model: args.ModelFolder,
    near: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GENE",
            help="List the genes that are most like this one, by gene vector and by decoded "
            "profile; may be repeated.",
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", help="With --near: how many genes are listed.")] = 20,
    sets: Annotated[
        str | None,
        typer.Option(
            metavar="SETS.gmt",
            help="Predict the members of these gene sets from the gene vectors, across folds of "
            "genes.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="With --sets: the training data, to compare with loadings of PCA and with genes "
            "that are expressed alike."
        ),
    ] = None,
    with_: args.With = None,
    folds: Annotated[int, typer.Option(help="With --sets: number of folds of the genes.")] = 5,
    seed: Annotated[int, typer.Option(help="With --sets: of folds and shuffled sets.")] = 0,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="The table to write: a .csv, .tsv (also .gz), .parquet or .h5ad file. Of all "
            "genes; or with --near of the near genes, with --sets of the sets.",
        ),
    ] = None,
    n_threads: args.Threads = None,
    layer: args.Layer = None,
    use_raw: args.UseRaw = False,
    transpose: args.Transpose = None,
    tx2gene: args.TxToGene = None,
    overwrite: args.Overwrite = False,
    quiet: args.Quiet = False,
) -> None:
    """Write what MODEL has learnt of each gene, list genes that are alike, or judge gene vectors.

    The table has a row for each gene: mean and standard deviations of its expression over the map,
    its own noise and the share that the map explains (where the model knows these), its slopes
    along the map's axes, and its vector.
    """
    from fembed import inference, store
    from fembed.commands import describe, layered, options
    from fembed.config import checked_whole
    from fembed.output import tables
    from fembed.output.gene_tables import GenesTable
    from fembed.output.streams import say

    _check_task(near, sets, [*([data] if data else []), *(with_ or [])], output, quiet)
    checked_whole("--n", n, 1, 2**31)
    checked_whole("--folds", folds, 2, 1000)
    checked_whole("--seed", seed, 0, 2**63 - 1)
    others = layered.files(with_)
    sources = layered.sources(data, sets, others)
    place = None
    if output is not None:
        place = tables.check_output(output, overwrite, sources=sources, model=model)
    options.check_threads(n_threads)
    trained = store.load(model)
    found: Found
    if sets is not None:
        expression = None
        if data is not None or others:
            layered.check(trained, model, data, others)
            how = {"layer": layer, "use_raw": use_raw, "transpose": transpose, "tx2gene": tx2gene}
            expression = layered.read_for(trained, data, others, **how)
        found = _judged(trained, sets, expression, folds=folds, seed=seed, n_threads=n_threads)
    elif near:
        names = options.different("--near", near)
        trained.gene_rows(names)  # before the work
        found = _near(inference.genes(trained, n_threads=n_threads).near(names, n))
    else:
        learnt = inference.genes(trained, n_threads=n_threads)
        found = GenesTable(learnt), {"genes": len(learnt.names)}, []
    table, facts, lines = found
    if place is not None:
        tables.write(table, place)
        describe.show({**facts, "table": output}, quiet)
    if lines and not quiet and (place is None or sets is not None):
        say("\n".join(lines))


def _check_task(
    near: list[str] | None, sets: str | None, data: list[str], output: str | None, quiet: bool
) -> None:
    """Raise InputError for options that ask for nothing, for two things, or for no use."""
    from fembed.errors import InputError

    if near and sets is not None:
        raise InputError("--near and --sets are two tasks; give one of them.")
    if data and sets is None:
        raise InputError("--data and --with are for --sets; give --sets FILE.gmt too.")
    if output is None and not near and sets is None:
        raise InputError(
            "There is nothing to do; give -o FILE for the table, --near GENE or --sets FILE.gmt."
        )
    if output is None and quiet:
        raise InputError("--quiet without -o would show and keep nothing; leave out one.")


def _near(rows: Any) -> Found:
    from fembed.commands import describe
    from fembed.output.gene_tables import RowsTable

    return RowsTable(rows), {"near_genes": len(rows)}, describe.table_lines(rows)


def _judged(trained: Any, sets: str, expression: Any, **how: Any) -> Found:
    """The scores of each set; a line for each method and for the differences."""
    from fembed import evaluation
    from fembed.commands import describe
    from fembed.output.gene_tables import RowsTable

    scores = evaluation.evaluate_genes(trained, sets, expression, **how)
    return (
        RowsTable(scores.table),
        {"sets": int(scores.summary()["n_sets"].iloc[0])},
        describe.gene_set_lines(scores),
    )
