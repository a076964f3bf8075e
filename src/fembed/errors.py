"""The errors and warnings a user can meet; each message is one sentence that says what to do."""

from __future__ import annotations

import errno
import re
import warnings
from typing import Any

#: Characters of a wrong value that a message repeats.
SHOWN = 60
#: Characters of a message, and of a word in it: names, cells and library messages can be long.
MAX_LENGTH, MAX_WORD_LENGTH = 1500, 300


class _Sentence(Exception):
    """An exception whose message is one line of bounded length, whatever it repeats."""

    def __init__(self, message: object = "") -> None:
        super().__init__(sentence(str(message)))


class InputError(_Sentence, ValueError):
    """The input, an option or a file is wrong; the message says what, where and what to do.

    The command line prints the message and exits with status 2.
    """


class TrainingError(_Sentence, RuntimeError):
    """Training cannot go on (a non-finite loss, say); the message says what to change."""


class WorkerError(_Sentence, RuntimeError):
    """Parallel work cannot go on: its workers, or the scheduler, are lost for good."""


class DataWarning(_Sentence, UserWarning):
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
    text = readable(text)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def readable(text: str) -> str:
    """``text`` in letters that any file can hold: half of a surrogate pair is shown by its number.

    A byte of a file's name that is no UTF-8 is such a half in Python's text of the name.
    """
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def sentence(text: str) -> str:
    """``text`` on one line, its longest words and itself cut in the middle, without escapes."""
    text = re.sub(r"\s*[\r\n]+\s*", " ", text)
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", lambda it: repr(it[0])[1:-1], text)
    if len(text) > MAX_WORD_LENGTH:
        text = re.sub(rf"\S{{{MAX_WORD_LENGTH},}}", lambda it: _cut(it[0], MAX_WORD_LENGTH), text)
    return _cut(text, MAX_LENGTH)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most * 2 // 3]}...{text[-most // 3 + 3 :]}"


def imported(package: str, sentence: str) -> Any:
    """A package that an extra installs; InputError with ``sentence`` where it is absent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies, at import
        try:
            return __import__(package)
        except ImportError as error:
            raise InputError(sentence) from error


#: What a user is told when there is no room, whatever noticed it.
NO_MEMORY = "There is not enough memory; give fewer genes or samples, or a larger machine."
#: Bytes of address space (``ulimit -v``) below which libraries of numbers do not start: OpenBLAS
#: then ends the process, or waits for ever.
MIN_ADDRESS_SPACE = 600_000_000
_SAID = ("can't start new thread", "bad_alloc", "failed to map segment", "cannot allocate memory")


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that there was no room for something.

    Not only `MemoryError`: a thread that cannot start, a library that cannot be loaded, and what
    the system says.
    """
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    said = str(error).lower()
    return isinstance(error, OSError | RuntimeError | ImportError) and any(
        words in said for words in _SAID
    )


def address_space_short() -> bool:
    """Whether the limit on this process's address space is too low for a command."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return False
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return soft != resource.RLIM_INFINITY and soft < MIN_ADDRESS_SPACE
