"""The application of all commands: what they share with the shell, and how it ends.

The library is imported inside the commands, so that ``fembed --help`` is quick.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from fembed.commands import (
    aberrant,
    annotate,
    calibrate,
    decode,
    demo,
    evaluate,
    extend,
    fit,
    genes,
    impute,
    info,
    plot,
    project,
    report,
    sweep,
)
from fembed.commands.engines import with_engine
from fembed.errors import InputError
from fembed.output.streams import finish, open_closed, saying, tell
from fembed.output.terminal import USER_ERROR, Failed
from fembed.stopping import STOPPED, status_of

#: Options as they were called before, which scripts may still use.
FORMER_OPTIONS = {
    "against": "baselines",
    "components": "n-components",
    "group": "groups",
    "raw": "use-raw",
    "threads": "n-threads",
    "validation": "validation-fraction",
    "workers": "n-workers",
}

#: Where an option stands in the help of its command; the others stand under "Options".
PANELS = {
    "Model": "n_components gene_components hidden recipe init likelihood transform dims model",
    "Training": "epochs iterations block_samples block_genes learning_rate weight_decay "
    "validation_fraction validation_entries training_samples seed fold_seed",
    "Input": "with_ with_transform training_with layer use_raw transpose tx2gene annotations "
    "reference truth batch covariate",
    "Output": "output in_batch embedding label overwrite quiet log_json figure figures models "
    "limits json browser title volcano sample probabilities reliability confusion",
    "Machine": "n_threads n_workers backend scheduler engine device",
}


class GroupedCommand(TyperCommand):
    """A command whose help shows its options in groups, and no type beside a flag."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        panel_of = {name: panel for panel, names in PANELS.items() for name in names.split()}
        for option in self.params:
            if isinstance(option, TyperOption):
                option.rich_help_panel = panel_of.get(str(option.name))
                if option.is_flag:
                    option.metavar = ""

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)
        if isinstance(option, TyperOption):
            option.rich_help_panel, option.metavar = "Output", ""
        return option


app = typer.Typer(
    name="fembed",
    help="Factorized embeddings of expression matrices: train a map, place new samples in it.",
    context_settings={"token_normalize_func": lambda word: FORMER_OPTIONS.get(word, word)},
    add_completion=False,
    pretty_exceptions_enable=False,
)

# Typer has no public name for the mistakes in a command line: its own or click's UsageError.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from fembed import __version__

        print(f"fembed {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


for command in (
    fit.fit,
    project.project,
    annotate.annotate,
    impute.impute,
    aberrant.aberrant,
    calibrate.calibrate,
    extend.extend,
    decode.decode,
    genes.genes,
    evaluate.evaluate,
    sweep.sweep,
    plot.plot,
    report.report,
):
    app.command(cls=GroupedCommand)(with_engine(command))
for without_engine in (info.info, demo.demo):
    app.command(cls=GroupedCommand)(without_engine)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: that of the process) and return its exit status."""
    try:
        with saying():  # of help and version; a command says its own errors
            status = app(arguments, prog_name="fembed", standalone_mode=False)
        finish()
    except Failed as failure:
        return failure.status
    except InputError as error:
        tell(str(error))
        return USER_ERROR
    except SystemExit as end:  # typer and rich, when the reader of their help has seen enough
        return 0 if isinstance(end.__context__, BrokenPipeError) else USER_ERROR
    except typer.Abort as error:
        tell(STOPPED)
        return status_of(error.__cause__)
    except _UsageError as error:
        message = error.format_message()  # type: ignore[attr-defined]
        context = getattr(error, "ctx", None)
        where = f"{context.command_path if context else 'fembed'} --help."
        asks = message.endswith("?")  # "Did you mean ...?"
        tell(f"{message} See {where}" if asks else f"{message.rstrip('.')}; see {where}")
        return 2
    return status if isinstance(status, int) else 0


def main() -> None:
    """Entry point of the command ``fembed``."""
    open_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Where a name has letters that the terminal lacks, it gets their numbers.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run())
