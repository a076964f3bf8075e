"""``fembed fit``: train a model."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fembed.commands import arguments as args
from fembed.output.log import JsonLog
from fembed.output.streams import tell
from fembed.output.terminal import TrainingBar, errors_told


@errors_told()
def fit(
    data: args.Data,
    output: Annotated[str, typer.Option("--output", "-o", help="A new folder for the model.")],
    n_components: Annotated[int, typer.Option(help="Dimensions of the map.")] = 2,
    gene_components: Annotated[int, typer.Option(help="Dimensions of the gene embedding.")] = 50,
    hidden: args.Hidden = "100,50,50",
    recipe: args.Recipe = "fast",
    init: Annotated[
        str | None,
        typer.Option(help="Where training starts: tsne (default for up to 3 dimensions) or pca."),
    ] = None,
    likelihood: Annotated[
        str | None,
        typer.Option(
            help="What samples are placed by: least-squares (default) or normal; or counts, for a "
            "training on raw counts by their own likelihood."
        ),
    ] = None,
    transform: args.Transform = None,
    target_sum: Annotated[
        str | None,
        typer.Option(
            help="With the transform cpm: what the counts of a sample are made to add up to, a "
            "million by default; a number such as 1e4, or median, that of the samples' totals."
        ),
    ] = None,
    with_: args.With = None,
    with_transform: args.WithTransform = None,
    batch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="A column of obs with the samples' batches (studies, plates), whose shifts and "
            "scales are removed from every gene. May be repeated.",
        ),
    ] = None,
    covariate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="A column of obs with numbers (age, purity), whose slope is removed from every "
            "gene. May be repeated.",
        ),
    ] = None,
    epochs: args.Epochs = None,
    iterations: args.Iterations = None,
    block_samples: Annotated[int | None, typer.Option(help="Samples per step.")] = None,
    block_genes: Annotated[int | None, typer.Option(help="Genes per step.")] = None,
    learning_rate: args.LearningRate = None,
    weight_decay: Annotated[float, typer.Option(help="L2 penalty, added to the gradient.")] = 0.0,
    validation_fraction: Annotated[
        float | None,
        typer.Option(help="Share of the samples held out to choose when to stop; 0 for none."),
    ] = None,
    validation_entries: Annotated[
        bool,
        typer.Option(
            "--validation-entries",
            help="Hold out that share of the single values, not of the samples.",
        ),
    ] = False,
    seed: Annotated[
        int, typer.Option(help="Seed of all random choices; the same seed gives the same bits.")
    ] = 0,
    training_samples: Annotated[
        str | None,
        typer.Option(
            help="Train on so many samples, which represent the others, or on all; by default all, "
            "of large data up to 20000. --embedding then places all."
        ),
    ] = None,
    n_threads: args.Threads = None,
    layer: args.Layer = None,
    use_raw: args.UseRaw = False,
    transpose: args.Transpose = None,
    tx2gene: args.TxToGene = None,
    embedding: Annotated[
        str | None,
        typer.Option(help="Also write a table of the training samples' coordinates to this file."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="A column of obs to keep with the model, for annotate, and to copy into the table "
            "of --embedding; may be repeated."
        ),
    ] = None,
    overwrite: args.Overwrite = False,
    quiet: args.Quiet = False,
    log_json: args.LogJson = None,
) -> None:
    """Train a map of the samples in DATA and save the model.

    With --with, the samples are those of DATA and of the other files together; a sample that is not
    in one of them lacks its features, which are called NAME:FEATURE in the model.

    A training of more than a minute keeps its state in OUTPUT.checkpoint; if it is killed, the same
    command resumes from there.
    """
    from fembed import train
    from fembed.commands import describe, finish, layered, options
    from fembed.data import layer_scales, layers
    from fembed.inference.projection import project
    from fembed.output import tables
    from fembed.train import batch_columns

    with JsonLog(log_json, overwrite) as log, errors_told(log):
        config = options.config(
            n_components=n_components,
            gene_components=gene_components,
            hidden=hidden,
            recipe=recipe,
            init=init,
            likelihood=likelihood,
            epochs=epochs,
            iterations=iterations,
            block_samples=block_samples,
            block_genes=block_genes,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            validation_fraction=validation_fraction,
            validation_entries=validation_entries,
            seed=seed,
            n_threads=n_threads,
        )
        total = options.target_sum(target_sum)
        taken_as = train.agreed_transform(transform, config)  # type: ignore[arg-type]  # it checks
        others = layered.files(with_)
        first = layered.first_name(data, others)
        given = layered.transforms(with_transform, others)
        outputs = finish.check(
            output,
            embedding,
            log_json,
            labels=label or [],
            n_components=n_components,
            sources=layered.sources(data, others),
            overwrite=overwrite,
        )
        how: Any = {
            "layer": layer,
            "use_raw": use_raw,
            "transpose": transpose,
            "tx2gene": tx2gene,
        }
        asked = options.training_samples(training_samples)
        samples = layered.large(data, others, **how) or layered.read(first, data, others, **how)
        wanted: Any = {first: taken_as, **given} if others else taken_as
        expression = train.trained_on(samples, wanted, asked, config.seed)
        if expression.n_samples < samples.n_samples and not quiet:
            tell(
                f"The training takes {expression.n_samples:,} of the {samples.n_samples:,} samples "
                f"of {data}, which represent the others; fembed project places those."
            )
        preprocessing = layer_scales.prepared_for(expression, wanted, total)
        layers.check_shared(expression)
        for sentence in [] if quiet else layered.chosen(expression, preprocessing, given):
            tell(sentence)
        labels = {name: samples.labels(name) for name in label or []}
        design = batch_columns.design_of(expression, batch, covariate)
        taken = describe.taken_facts(expression)  # before training overwrites the values
        log.open()
        model = outputs.finished(expression, preprocessing, config, label or [], design)
        if model is not None:
            tell(f"{output} is complete and of this fit; finishing what a killed run left.")
        else:
            if outputs.checkpoint.exists():
                tell(f"Found {outputs.checkpoint}; going on from it if it is of this fit.")
            with TrainingBar(quiet, log) as bar:
                model = train.fit(
                    expression,
                    config,
                    transform=wanted,
                    target_sum=total,
                    labels=label,
                    batch=batch,
                    covariates=covariate,
                    verbose=False,
                    callback=bar,
                    overwrite_values=True,
                    checkpoint=outputs.checkpoint,
                )
        trained = model

        def table() -> tables.EmbeddingTable:
            if samples.n_samples == trained.n_samples:
                return tables.EmbeddingTable.of_training(trained, labels)
            placed = project(
                trained,
                samples,
                batch=batch,
                covariates=covariate,
                n_threads=n_threads,
                verbose=not quiet,
            )
            return tables.EmbeddingTable.of_projection(placed, labels)

        outputs.write(model, table)
        facts = describe.training_facts(model)
        log.write("done", model=output, **taken, **facts)
        describe.show({**taken, **facts, "model": output}, quiet or log.takes_stdout)
