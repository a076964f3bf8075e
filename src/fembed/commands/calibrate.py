"""``fembed calibrate``: what a model learns after its training."""

from __future__ import annotations

from typing import Annotated

import typer

from fembed.commands import arguments as args
from fembed.output.terminal import errors_told


@errors_told()
def calibrate(
    model: args.ModelFolder,
    data: args.Data,
    output: Annotated[
        str, typer.Option("--output", "-o", help="A new folder for the calibrated model.")
    ],
    with_: args.With = None,
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
    """Measure on DATA how certain MODEL is, and learn factors that improve imputation.

    Samples that the model was not trained on (recognised by name) calibrate the confidence ellipses
    and the p-values; training samples give the residual factors that improve imputation. It is best
    to give both in one file.
    """
    from fembed import inference, store
    from fembed.commands import describe, finish, layered, options

    place = store.check_output(output, overwrite)
    options.check_threads(n_threads)
    others = layered.files(with_)
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
    found = inference.calibrate(
        trained, expression, batch=batch, covariates=covariate, n_threads=n_threads
    )
    finish.save(found, place)
    assert found.calibration is not None
    factors = found.residual_factors
    facts = {
        **describe.taken_facts(expression),
        "held_out_samples": found.calibration.reference_size,
        "ellipse_factor": found.calibration.ellipse_factor,
        "residual_factors": 0 if factors is None else factors.loading.shape[1],
        "model": output,
    }
    describe.show(facts, quiet)
