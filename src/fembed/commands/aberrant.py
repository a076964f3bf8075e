"""``fembed aberrant``: genes that are far from what a sample's other genes say."""

from __future__ import annotations

from typing import Annotated

import typer

from fembed.commands import arguments as args
from fembed.output.terminal import errors_told


@errors_told()
def aberrant(
    model: args.ModelFolder,
    output: args.TableOutput,
    data: args.NewData = None,
    with_: args.With = None,
    fdr: Annotated[
        float, typer.Option(help="False discovery rate among the genes of a sample.")
    ] = 0.05,
    figure: Annotated[
        str | None,
        typer.Option(
            help="Also draw the number of aberrant genes of every sample: a .png, .pdf or .svg."
        ),
    ] = None,
    volcano: Annotated[
        str | None,
        typer.Option(
            help="Also draw the genes of one sample, change against p-value: a .png, .pdf or .svg."
        ),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(
            help="The sample of --volcano; by default the one with the most aberrant genes."
        ),
    ] = None,
    transform: args.QueryTransform = None,
    gene_map: args.GeneMap = None,
    batch: args.Batch = None,
    covariate: args.Covariate = None,
    n_threads: args.Threads = None,
    layer: args.Layer = None,
    use_raw: args.UseRaw = False,
    transpose: args.Transpose = None,
    tx2gene: args.TxToGene = None,
    overwrite: args.Overwrite = False,
    quiet: args.Quiet = False,
) -> None:
    """Find the genes of each sample in DATA that are far from what MODEL expects of them.

    A text or Parquet table has a row for each such gene: its measured and expected value after the
    model's transform, its standardised residual, p-value and false discovery rate. An .h5ad file
    has all genes: standardised residuals in X, and the rest in layers.
    """
    from fembed import inference, pl, store
    from fembed.commands import describe, layered, options
    from fembed.errors import InputError, shown
    from fembed.output import tables

    if not 0.0 < fdr <= 1.0:
        raise InputError(f"--fdr is {fdr:g}; choose a number above 0 and up to 1.")
    if sample is not None and volcano is None:
        raise InputError("--sample is for the figure of --volcano; give --volcano FILE too.")
    others = layered.files(with_)
    sources = layered.sources(data, others, gene_map)
    place = tables.check_output(output, overwrite, sources=sources, model=model)
    figures = options.figure_places(
        {"--figure": figure, "--volcano": volcano},
        outputs={"--output": place},
        model=model,
        sources=sources,
        overwrite=overwrite,
    )
    options.check_threads(n_threads)
    if transform is not None:
        options.check_choice("--transform", transform, ("match",))
    trained = store.load(model)
    layered.check(trained, model, data, others)
    expression = layered.read_for(
        trained,
        data,
        others,
        layer=layer,
        use_raw=use_raw,
        transpose=transpose,
        tx2gene=tx2gene,
    )
    if sample is not None and sample not in set(expression.sample_names):
        raise InputError(
            f"--sample is {shown(sample)}, which is not a sample of {expression.origin}."
        )
    found = inference.aberrant_genes(
        trained,
        expression,
        transform=transform,  # type: ignore[arg-type]  # checked
        gene_map=gene_map,
        batch=batch,
        covariates=covariate,
        n_threads=n_threads,
    )
    tables.write(tables.AberrantTable(found, fdr), place)
    if "--figure" in figures:
        pl.aberrant(found, rate=fdr, save=figures["--figure"])
    if "--volcano" in figures:
        pl.volcano(found, sample, rate=fdr, save=figures["--volcano"])
    called = found.n_aberrant(fdr)
    facts = {
        **describe.taken_facts(expression),
        "samples": len(found.sample_names),
        "genes": len(found.gene_names),
        "aberrant_genes": int(called.sum()),
        "samples_with_any": int((called > 0).sum()),
        "table": output,
        **{option.removeprefix("--"): where.path for option, where in figures.items()},
    }
    describe.show(facts, quiet)
