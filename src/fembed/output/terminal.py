"""What a person sees while a command runs: progress, warnings, errors."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fembed import stopping
from fembed.errors import (
    NO_MEMORY,
    DataWarning,
    InputError,
    TrainingError,
    WorkerError,
    lacks_memory,
)
from fembed.files import paths
from fembed.output.log import JsonLog
from fembed.output.streams import tell

if TYPE_CHECKING:
    from fembed.train import Progress

USER_ERROR, OUT_OF_MEMORY = 2, 1


class Failed(Exception):
    """A command has failed and the user has been told why; ``status`` is the exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@contextmanager
def errors_told(log: JsonLog | None = None) -> Iterator[None]:
    """Turn the errors a user can meet into one line each, then `Failed`; warnings into lines."""

    def show(message: Warning | str, *_: Any) -> None:
        tell(f"warning: {message}")
        if log:
            log.write("warning", message=str(message))

    try:
        with warnings.catch_warnings():
            # What libraries warn their callers of is not for the user of a command.
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            warnings.simplefilter("always", DataWarning)
            warnings.showwarning = show  # type: ignore[assignment]  # it takes any arguments
            yield
    except (InputError, TrainingError, WorkerError) as error:
        raise _failed(str(error), USER_ERROR, log) from error
    except KeyboardInterrupt as error:
        raise _failed(stopping.STOPPED, stopping.status_of(error), log) from error
    except (MemoryError, OSError, RuntimeError, ImportError) as error:
        if lacks_memory(error):
            raise _failed(NO_MEMORY, OUT_OF_MEMORY, log) from error
        if not isinstance(error, OSError) or error.errno is None:
            raise
        # Whoever met it could not say more of it.
        where = f" at {paths.shown_path(error.filename)}" if isinstance(error.filename, str) else ""
        sentence = f"The system refused the work{where}: {error.strerror or error}."
        raise _failed(sentence, USER_ERROR, log) from error


def _failed(sentence: str, status: int, log: JsonLog | None) -> Failed:
    number = stopping.asked()
    if number is not None:
        sentence, status = stopping.STOPPED, 128 + number
    tell(sentence)
    if log:
        log.write("error", message=sentence, status=status)
    return Failed(status)


class TrainingBar:
    """A progress bar on standard error with speed, losses and time left; call it with a Progress.

    Where there is no terminal, or ``quiet`` is set, nothing is shown.
    """

    def __init__(self, quiet: bool = False, log: JsonLog | None = None) -> None:
        self._log = log
        self._shown = not quiet and sys.stderr.isatty()

    def __enter__(self) -> Self:
        if not self._shown:
            return self
        # Rich is imported only where there is a bar: it takes a third of a second.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} steps"),
            TextColumn("{task.fields[losses]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
            refresh_per_second=4,  # drawing takes processor time from the training
        )
        self._bar.start()
        self._task = self._bar.add_task("start", total=1, losses="")
        return self

    def __call__(self, progress: Progress) -> None:
        """Show one report of the training."""
        if self._log:
            self._log.write("progress", **vars(progress))
        if self._shown:
            self._bar.update(
                self._task,
                description=progress.stage,
                completed=progress.step,
                total=progress.n_steps,
                losses=_losses(progress),
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown:
            self._bar.stop()


class CaseBar:
    """A progress bar of independent cases (folds, settings) on standard error.

    Where there is no terminal, or ``quiet`` is set, nothing is shown.
    """

    def __init__(self, what: str, quiet: bool = False) -> None:
        self._what = what
        self._shown = not quiet and sys.stderr.isatty()

    def __enter__(self) -> Self:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

            self._bar = Progress(
                "{task.description}",
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TimeRemainingColumn(compact=True),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=None)
        return self

    def __call__(self, n_done: int, n_cases: int) -> None:
        """Show that ``n_done`` of ``n_cases`` have finished."""
        if self._shown:
            self._bar.update(self._task, completed=n_done, total=n_cases)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown:
            self._bar.stop()


def _losses(progress: Progress) -> str:
    parts = [f"loss {progress.loss:.4g}"]
    if progress.held_out_loss is not None:
        parts.append(f"held out {progress.held_out_loss:.4g}")
    parts.append(f"{progress.pairs_per_second / 1e6:.2f} M pairs/s")
    return "  ".join(parts)
