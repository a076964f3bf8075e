"""The errors and warnings a user can meet; each message is one sentence that says what to do."""

from __future__ import annotations


class InputError(ValueError):
    """The input, an option or a file is wrong; the message says what, where and what to do.

    The command line prints the message and exits with status 2.
    """


class TrainingError(RuntimeError):
    """Training cannot go on (a non-finite loss, say); the message says what to change."""


class WorkerError(RuntimeError):
    """Parallel work cannot go on: its workers, or the scheduler, are lost for good."""


class DataWarning(UserWarning):
    """The input is usable, but the user would want to know something about it."""
