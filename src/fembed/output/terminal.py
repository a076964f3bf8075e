"""What a person sees while a command runs: progress, warnings, errors."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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
from fembed.progress import Bar

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
            # Warnings of libraries are meant for programmers, not for users of a command.
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


class TrainingBar(Bar):
    """A bar, or lines, of a training; call it with a `Progress`, which goes to the log too."""

    def __init__(self, quiet: bool = False, log: JsonLog | None = None) -> None:
        super().__init__(not quiet, lines=tell)
        self._log = log

    def __call__(self, progress: Progress) -> None:
        """Show one report of the training."""
        if self._log:
            self._log.write("progress", **vars(progress))
        self.training(progress)


class CaseBar(Bar):
    """A bar, or lines, of independent cases (folds, models); call it with their numbers."""

    def __init__(self, what: str, quiet: bool = False) -> None:
        super().__init__(not quiet, lines=tell)
        self._what = what

    def __call__(self, n_done: int, n_cases: int) -> None:
        """Show that ``n_done`` of ``n_cases`` have finished."""
        self.show(self._what, n_done, n_cases)
