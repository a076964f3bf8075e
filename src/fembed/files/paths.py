"""Paths that a user gives: what no file system can take, and where no output belongs."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from fembed.errors import InputError
from fembed.files.manifest import PathLike

_SHOWN = 160  # characters of a path in a sentence

_ADVICE = {
    errno.ENOSPC: "make room there, or choose another place",
    errno.EDQUOT: "make room there, or choose another place",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or choose another place",
    errno.ENAMETOOLONG: "give a shorter one",
    errno.ELOOP: "mend the symbolic link, or give another path",
}


def shown_path(path: PathLike) -> str:
    """``path`` for a sentence: the middle of a very long one is left out."""
    text = os.fspath(path)
    if len(text) <= _SHOWN:
        return text
    return f"{text[: _SHOWN // 2]}...{text[-_SHOWN // 2 :]} ({len(text)} characters)"


def unwritable(path: PathLike, error: OSError) -> InputError:
    """The sentence about an output that the system refuses."""
    advice = _ADVICE.get(error.errno or 0, "choose a place you can write to")
    reason = error.strerror or error
    return InputError(f"{shown_path(path)} cannot be written ({reason}); {advice}.")


def check_name(path: PathLike, what: str = "output") -> str:
    """``path`` as text; InputError for what cannot be the name of anything."""
    text = os.fspath(path)
    if not text:
        raise InputError(f"The path of the {what} is empty; say where it is.")
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError as error:
        raise InputError(
            f"The path of the {what} holds {text[error.start]!a}, which no name of a file can "
            "hold; give another path."
        ) from None
    if b"\0" in encoded:
        raise InputError(
            f"The path of the {what} holds a NUL character, which no name of a file can hold; "
            "give another path."
        )
    return text


def unreadable(path: PathLike, error: OSError) -> InputError:
    """The sentence about an input that the system refuses."""
    advice = _ADVICE.get(error.errno or 0, "check the path")
    return InputError(f"{shown_path(path)} cannot be read ({error.strerror or error}); {advice}.")


def check_input(path: PathLike, what: str = "data") -> Path:
    """``path``; InputError if the system will not say what is there, for its length, say.

    After it, `pathlib.Path.is_file` and its like raise nothing.
    """
    text = check_name(path, what)
    try:
        os.stat(text)
    except (FileNotFoundError, NotADirectoryError):
        pass  # whoever reads it says so in better words
    except OSError as error:
        raise unreadable(path, error) from error
    return Path(text)


def resolved(path: PathLike, what: str = "output") -> Path:
    """Where an output at ``path`` would lie, with links and ``..`` followed.

    Raises
    ------
    InputError
        The path cannot be, is a device or a pipe, or leads into the folder of a model.
    """
    text = check_name(path, what)
    target = Path(os.path.realpath(text))
    if not target.name:
        raise InputError(f"{path} is the root of all folders; give a path in one.")
    try:
        mode = os.lstat(target).st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = None
    except OSError as error:
        raise unwritable(path, error) from error
    if mode is not None and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(
            f"{shown_path(path)} is neither a file nor a folder (a device, a pipe or a link that "
            "leads nowhere); give another path."
        )
    inside = next((parent for parent in target.parents if is_model(parent)), None)
    if inside is not None:
        raise InputError(
            f"{shown_path(path)} lies in the model {shown_path(inside)}, which holds the model "
            "alone; give a path outside."
        )
    return target


def is_model(folder: Path) -> bool:
    """Whether ``folder`` is a model of ours, and not of a program with a like name for a file."""
    return begins_like(folder / "model.json", "model")


def begins_like(document_path: Path, kind: str) -> bool:
    """Whether the file begins as our documents do; a truncated one still does."""
    try:
        with document_path.open("rb") as stream:
            return f'"fembed {kind}"'.encode() in stream.read(100)
    except OSError:
        return False


def same(first: PathLike, second: PathLike) -> bool:
    """Whether two paths lead to one place, through whatever links; it need not exist."""
    try:
        return os.path.samefile(first, second)
    except (OSError, ValueError):
        return os.path.realpath(first) == os.path.realpath(second)


def within(path: PathLike, folder: PathLike) -> bool:
    """Whether ``path`` is ``folder`` or leads into it."""
    target, there = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    return target == there or there in target.parents
