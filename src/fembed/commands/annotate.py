"""``fembed annotate``: labels of the training samples for new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fembed.commands import arguments as args
from fembed.output.terminal import errors_told

if TYPE_CHECKING:
    from fembed.data.expression import Expression
    from fembed.data.names import Names


@errors_told()
def annotate(
    model: args.ModelFolder,
    output: args.TableOutput,
    data: args.NewData = None,
    with_: args.With = None,
    label: Annotated[
        str | None,
        typer.Option(
            help="The column with the labels of the training samples; by default the only one that "
            "the model keeps."
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="The training data, or a table of annotations (.csv, .tsv, .parquet) of its "
            "samples, with that column; else the model keeps it (fembed fit --label).",
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(help="Samples with at most this p-value are unknown; 0 for none."),
    ] = 0.05,
    truth: Annotated[
        str | None,
        typer.Option(
            help="The column of DATA with the true labels, to compare with; by default that of "
            "--label, if DATA has it."
        ),
    ] = None,
    probabilities: Annotated[
        str | None,
        typer.Option(help="Also write the probability of every label to this table."),
    ] = None,
    reliability: Annotated[
        str | None,
        typer.Option(
            help="Also draw how often labels are right against their probability: a .png, .pdf or "
            ".svg; needs true labels."
        ),
    ] = None,
    confusion: Annotated[
        str | None,
        typer.Option(
            help="Also draw true labels against those found: a .png, .pdf or .svg; needs true "
            "labels."
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
    """Give the samples of DATA the labels of the training samples beside which they lie in MODEL.

    The table has the label of every sample, or "unknown" for one that is of no kind that the model
    knows; the most probable label, its probability, and the margin to the second; and what project
    writes.
    """
    from fembed import inference, pl, store
    from fembed.commands import describe, layered, options
    from fembed.errors import InputError
    from fembed.output import tables

    if not 0.0 <= threshold <= 1.0:
        raise InputError(f"--threshold is {threshold:g}; choose a number from 0 to 1.")
    if reference is not None and label is None:
        raise InputError("--reference needs --label COLUMN, the column with the labels.")
    others = layered.files(with_)
    sources = layered.sources(data, others, reference, gene_map)
    place = tables.check_output(output, overwrite, sources=sources, model=model)
    wanted = {"--output": place}
    if probabilities is not None:
        wanted["--probabilities"] = tables.check_output(
            probabilities, overwrite, sources=sources, model=model
        )
        options.refuse_same(wanted, "--probabilities")
    figures = options.figure_places(
        {"--reliability": reliability, "--confusion": confusion},
        outputs=wanted,
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
    true = _true_labels(expression, truth, label or next(iter(trained.labels), None), figures)
    found = inference.annotate(
        trained,
        expression,
        label,
        reference=_annotations(reference),
        threshold=threshold,
        transform=transform,  # type: ignore[arg-type]  # checked
        gene_map=gene_map,
        batch=batch,
        covariates=covariate,
        n_threads=n_threads,
    )
    tables.write(tables.EmbeddingTable.of_annotation(found), place)
    if probabilities is not None:
        every = tables.ExpressionTable(
            found.sample_names, found.names, found.probabilities.astype("float32")
        )
        tables.write(every, wanted["--probabilities"])
    if "--reliability" in figures:
        pl.reliability(found, true, save=figures["--reliability"])
    if "--confusion" in figures:
        pl.confusion(found, true, save=figures["--confusion"])
    facts = {
        **describe.taken_facts(expression),
        **describe.annotation_facts(found, true),
        "table": output,
        **({"probabilities": probabilities} if probabilities else {}),
        **{option.removeprefix("--"): where.path for option, where in figures.items()},
    }
    describe.show(facts, quiet)


def _true_labels(
    expression: Expression, truth: str | None, label: str | None, figures: dict[str, Any]
) -> Names | None:
    """The true labels of the new samples, if they are asked for or there."""
    from fembed.errors import InputError

    if truth is not None:
        return expression.labels(truth)
    if label is not None and expression.obs is not None and label in expression.obs:
        return expression.labels(label)
    if figures:
        option = next(iter(figures))
        raise InputError(f"{option} needs the true labels of {expression.origin}; give --truth.")
    return None


def _annotations(reference: str | None) -> Any:
    """The reference's annotations, from a table of them or with its expression."""
    from fembed.data import readers
    from fembed.evaluation import label_tables

    if reference is None:
        return None
    if reference.lower().endswith(label_tables.ENDINGS):
        return label_tables.read_table(reference)
    return readers.read(reference)
