"""Standard output and standard error: one line to tell, lines to say, and streams that fail.

Names come from files of anybody's making. A terminal obeys what they hold, so its control
characters are shown by their numbers; files that are written keep the names as they are.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from fembed.errors import InputError

#: Controls of ASCII and Latin-1, line separators, and marks that turn the direction of the text.
_CONTROLS = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def escaped(text: str) -> str:
    r"""``text`` with what would steer a terminal shown by its number: ``\x1b``, ``\n``."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def tell(message: str) -> None:
    """One line on standard error, in the name of the program."""
    try:
        print(f"fembed: {escaped(' '.join(message.split()))}", file=sys.stderr, flush=True)
    except OSError:
        leave(sys.stderr)  # there is nobody to tell; the exit status says that much


def say(text: str) -> None:
    """Lines on standard output, which is for what a command has found.

    Raises
    ------
    InputError
        It is full or closed. A reader that has seen enough is no failure.
    """
    if sys.stdout is None:
        raise InputError(_unsaid("it is closed"))
    with saying():
        print("\n".join(map(escaped, text.split("\n"))), flush=True)


def finish() -> None:
    """Write out what others have printed, such as the help; raises as `say`."""
    if sys.stdout is not None:
        with saying():
            sys.stdout.flush()


@contextmanager
def saying() -> Iterator[None]:
    """Turn a failure of standard output into a sentence; nothing more is written to it then."""
    try:
        yield
    except BrokenPipeError:
        leave(sys.stdout)
    except OSError as error:
        leave(sys.stdout)
        raise InputError(_unsaid(error.strerror or str(error))) from error


def _unsaid(reason: str) -> str:
    return (
        f"Standard output cannot be written: {reason}; files that the command has written are "
        "complete."
    )


def leave(stream: IO[str]) -> None:
    """Drop what is still buffered: Python would try to write it at its end, and fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def open_closed() -> None:
    """Put something in the place of a standard stream that was closed before the program began.

    Else the next file that is opened would get its number, and take what a library prints. What
    is said on a closed standard output fails, as it should; what is told goes nowhere.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        flags = os.O_WRONLY if name == "stderr" else os.O_RDONLY
        opened = os.open(os.devnull, flags)
        if opened == number:
            setattr(sys, name, open(opened, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: SIM115  # for the life of the process
        else:
            os.close(opened)  # something else has the number already
            if name == "stderr":
                sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
