"""``fembed genes``: what a model has learnt of its genes, and which of them are alike."""

from __future__ import annotations

from typing import Annotated

import typer

from fembed.commands import arguments as args
from fembed.output.terminal import errors_told


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
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="The table to write: a .csv, .tsv (also .gz), .parquet or .h5ad file. With --near "
            "that of the near genes, which is shown otherwise.",
        ),
    ] = None,
    n_threads: args.Threads = None,
    overwrite: args.Overwrite = False,
    quiet: args.Quiet = False,
) -> None:
    """Write what MODEL has learnt of each gene, or list the genes that are near some of them.

    The table has a row for each gene: mean and standard deviations of its expression over the map,
    its own noise and the share that the map explains (where the model knows these), its slopes
    along the map's axes, and its vector.
    """
    from fembed import inference, store
    from fembed.commands import describe, options
    from fembed.config import checked_whole
    from fembed.errors import InputError
    from fembed.output import tables
    from fembed.output.gene_tables import GenesTable, RowsTable
    from fembed.output.streams import say

    if output is None and not near:
        raise InputError("There is nothing to do; give -o FILE for the table, or --near GENE.")
    if output is None and quiet:
        raise InputError("--quiet without -o would show and keep nothing; leave out one.")
    checked_whole("--n", n, 1, 2**31)
    place = None if output is None else tables.check_output(output, overwrite, model=model)
    options.check_threads(n_threads)
    trained = store.load(model)
    names = options.different("--near", near or [])
    if names:
        trained.gene_rows(names)  # before the work
    found = inference.genes(trained, n_threads=n_threads)
    rows = found.near(names, n) if names else None
    if place is not None:
        tables.write(GenesTable(found) if rows is None else RowsTable(rows), place)
        told = {"genes": len(found.names)} if rows is None else {"near_genes": len(rows)}
        describe.show({**told, "table": output}, quiet)
    elif rows is not None:
        say("\n".join(describe.table_lines(rows)))
