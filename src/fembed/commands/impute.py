"""``fembed impute``: all genes from those at hand."""

from __future__ import annotations

from typing import Annotated

import typer

from fembed.commands import arguments as args
from fembed.output.terminal import errors_told


@errors_told()
def impute(
    model: args.ModelFolder,
    output: args.TableOutput,
    panel: Annotated[
        str | None,
        typer.Argument(
            metavar="[PANEL]",
            help="An expression matrix with some of the model's genes; not needed if --with gives "
            "another layer.",
            show_default=False,
        ),
    ] = None,
    with_: args.With = None,
    observed: Annotated[
        str, typer.Option(help="What becomes of measured values: keep, or replace by predictions.")
    ] = "keep",
    scale: args.Scale = "input",
    sd: Annotated[
        str | None,
        typer.Option(
            help="Also write the standard deviation of every imputed value, after the transform, "
            "to this file.",
        ),
    ] = None,
    transform: args.QueryTransform = None,
    gene_map: args.GeneMap = None,
    batch: args.Batch = None,
    covariate: args.Covariate = None,
    in_batch: args.InBatch = None,
    n_threads: args.Threads = None,
    layer: args.Layer = None,
    use_raw: args.UseRaw = False,
    transpose: args.Transpose = None,
    tx2gene: args.TxToGene = None,
    overwrite: args.Overwrite = False,
    quiet: args.Quiet = False,
) -> None:
    """Predict all genes of MODEL for samples of PANEL: one row per sample, one column per gene."""
    from fembed import inference, store
    from fembed.commands import describe, layered, options
    from fembed.errors import InputError
    from fembed.files import paths
    from fembed.output import tables

    options.check_choice("--observed", observed, ("keep", "replace"))
    options.check_choice("--scale", scale, ("input", "model"))
    others = layered.files(with_)
    sources = layered.sources(panel, others, gene_map)
    place = tables.check_output(output, overwrite, sources=sources, model=model)
    sd_place = sd and tables.check_output(sd, overwrite, sources=sources, model=model)
    if sd_place and paths.same(sd_place.target, place.target):
        raise InputError(f"--sd and --output are the same file, {output}; give two.")
    options.check_threads(n_threads)
    if transform is not None:
        options.check_choice("--transform", transform, ("match",))
    trained = store.load(model)
    layered.check(trained, model, panel, others)
    expression = layered.read_for(
        trained,
        panel,
        others,
        layer=layer,
        use_raw=use_raw,
        transpose=transpose,
        tx2gene=tx2gene,
    )
    found = inference.impute(
        trained,
        expression,
        keep_observed=observed == "keep",
        scale=scale,  # type: ignore[arg-type]  # it checks
        sd=sd is not None,
        transform=transform,  # type: ignore[arg-type]  # checked
        gene_map=gene_map,
        batch=batch,
        covariates=covariate,
        in_batch=in_batch,
        n_threads=n_threads,
    )
    table = tables.ExpressionTable(found.sample_names, found.gene_names, found.values)
    tables.write(table, place)
    if sd_place:
        assert found.sd is not None
        tables.write(
            tables.ExpressionTable(found.sample_names, found.gene_names, found.sd), sd_place
        )
    factors = trained.residual_factors
    facts = {
        **describe.taken_facts(expression),
        "samples": len(found.sample_names),
        "genes_at_hand": int(found.observed.any(axis=0).sum()),
        "genes": len(found.gene_names),
        "residual_factors": 0 if factors is None else factors.loading.shape[1],
        "table": output,
        **({"sd_table": sd} if sd else {}),
    }
    describe.show(facts, quiet)
