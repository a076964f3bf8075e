"""``fembed extend``: add samples to a model."""

from __future__ import annotations

from typing import Annotated

import typer

from fembed.commands import arguments as args
from fembed.output.terminal import TrainingBar, errors_told


@errors_told()
def extend(
    model: args.ModelFolder,
    data: args.Data,
    training: Annotated[
        str,
        typer.Option(help="The data that the model was trained on; read with the options of DATA."),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="A new folder for the larger model.")
    ],
    epochs: Annotated[float, typer.Option(help="Passes over old and new samples.")] = 3.0,
    with_: args.With = None,
    training_with: Annotated[
        list[str] | None,
        typer.Option(
            "--training-with",
            metavar="[NAME=]FILE",
            help="Another layer of the data of --training. May be repeated.",
        ),
    ] = None,
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
    """Add the samples of DATA to MODEL; the old samples stay near where they were.

    The reported drift is the root mean square distance that the old samples move, divided by the
    size of the map.
    """
    from fembed import store
    from fembed.commands import describe, finish, layered, options
    from fembed.inference import extension

    place = store.check_output(output, overwrite)
    options.check_threads(n_threads)
    others, beside = layered.files(with_), layered.files(training_with)
    trained = store.load(model)
    how = {"layer": layer, "use_raw": use_raw, "transpose": transpose, "tx2gene": tx2gene}
    layered.check(trained, model, data, others)
    layered.check(trained, model, training, beside)
    new = layered.read_for(trained, data, others, **how)
    old = layered.read_for(trained, training, beside, **how)
    with TrainingBar(quiet) as bar:
        grown = extension.extend(
            trained,
            new,
            old,
            epochs=epochs,
            batch=batch,
            covariates=covariate,
            n_threads=n_threads,
            verbose=False,
            callback=bar,
        )
    finish.save(grown, place)
    names = ("old_mse_before", "old_mse", "new_mse_before", "new_mse", "drift", "drift_95")
    report = grown.training["extension"]
    facts = {
        **describe.taken_facts(new),
        "samples": grown.n_samples,
        "new_samples": report["n_new"],
    }
    describe.show({**facts, **{name: report[name] for name in names}, "model": output}, quiet)
