"""``fembed project``: place new samples."""

from __future__ import annotations

from typing import Any

from fembed.commands import arguments as args
from fembed.output.terminal import errors_told


@errors_told()
def project(
    model: args.ModelFolder,
    output: args.TableOutput,
    data: args.NewData = None,
    with_: args.With = None,
    label: args.Label = None,
    backend: args.Backend = "local",
    scheduler: args.Scheduler = None,
    n_workers: args.WorkerCount = None,
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
    """Place the samples of DATA in the map of MODEL.

    The table has the coordinates of every sample, its loss, the number of genes used, and its
    outlier score; an .h5ad file also has the covariance of the coordinates. Without
    --n-workers or --backend, several threads of this process do the work, which is fast enough
    except for very many samples.
    """
    from fembed import store
    from fembed.commands import describe, layered, options
    from fembed.inference import projection
    from fembed.output import tables

    others = layered.files(with_)
    sources = layered.sources(data, others, gene_map)
    place = tables.check_output(output, overwrite, sources=sources, model=model)
    options.check_threads(n_threads)
    if transform is not None:
        options.check_choice("--transform", transform, ("match",))
    places = options.workers(backend, scheduler, n_workers, n_threads)
    here = backend == "local" and n_workers is None
    trained = store.load(model)
    layered.check(trained, model, data, others)
    tables.check_label_names(label or [], trained.n_components)
    how: Any = {
        "layer": layer,
        "use_raw": use_raw,
        "transpose": transpose,
        "tx2gene": tx2gene,
    }
    large = None if trained.preprocessing.layer_names else layered.large(data, others, **how)
    samples = large or layered.read_for(trained, data, others, **how)
    labels = {name: samples.labels(name) for name in label or []}
    placed = projection.project(
        trained,
        samples,
        transform=transform,  # type: ignore[arg-type]  # checked
        gene_map=gene_map,
        batch=batch,
        covariates=covariate,
        n_threads=n_threads,
        workers=None if here else places,
        verbose=not quiet,
    )
    tables.write(tables.EmbeddingTable.of_projection(placed, labels), place)
    taken = describe.taken_facts(samples)
    describe.show({**taken, **describe.projection_facts(placed), "table": output}, quiet)
