"""``fembed info``: what a model or a data file holds."""

from __future__ import annotations

from typing import Annotated

import typer

from fembed.commands import arguments as args
from fembed.output.streams import say
from fembed.output.terminal import errors_told


@errors_told()
def info(
    path: Annotated[str, typer.Argument(metavar="MODEL|DATA", help="A model or a data file.")],
    layer: args.Layer = None,
    use_raw: args.UseRaw = False,
    transpose: args.Transpose = None,
    tx2gene: args.TxToGene = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for other programs.")
    ] = False,
) -> None:
    """Show what a model or a data file holds."""
    from fembed import store
    from fembed.commands import describe
    from fembed.data import readers
    from fembed.files.manifest import json_text

    if describe.is_model(path):
        facts = describe.model_facts(store.load(path))
    else:
        facts = describe.data_facts(
            readers.read(path, layer=layer, use_raw=use_raw, transpose=transpose, tx2gene=tx2gene)
        )
    say(json_text(facts) if json else "\n".join(describe.lines(facts)))
