"""The errors and warnings a user can meet; each message is one sentence that says what to do."""

from __future__ import annotations

from typing import Any

#: Characters of a wrong value that a message repeats.
SHOWN = 60


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


def shown(value: Any) -> str:
    """A wrong value as a message repeats it: on one line, short, in letters that can be written.

    Whatever the value is: Python itself refuses to write whole numbers of some thousand digits, and
    half of a surrogate pair.
    """
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return "a whole number of more than 60 digits"
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # such a number in a list
        return f"a {type(value).__name__} of numbers that are too long to show"
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
