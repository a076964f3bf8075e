"""Files and folders that appear on disk complete, or not at all.

Everything is written under a temporary name beside its target (the same file system, so a rename
is enough), flushed to the disk, and renamed. Two names are exchanged in one step where the system
can; where it cannot, a folder's replacement needs two renames, and what a kill between them leaves
is put back by the next run (see `temporary`).

A command that works for hours looks at its outputs first (`place`) and writes them in the end. If
another process was there meanwhile, nothing is replaced: the result is kept under a name beside,
and `KeptElsewhere` says which.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fembed.errors import InputError
from fembed.files import paths, temporary
from fembed.files.manifest import PathLike
from fembed.files.renaming import exchange, rename_new

Content = bytes | memoryview
Identity = tuple[int, int, int]


@dataclass(frozen=True)
class Place:
    """Where an output is to go, and what was there when the place was looked at.

    Attributes
    ----------
    path
        As the user gave it.
    target : Path
        With its links followed.
    found
        Identity of the file or folder that was there; None for nothing.
    """

    path: PathLike
    target: Path
    found: Identity | None

    @property
    def taken(self) -> bool:
        """Whether something is there."""
        return self.found is not None


class KeptElsewhere(InputError):
    """Another process wrote the output meanwhile; ``kept`` is where this one's result is now."""

    def __init__(self, path: PathLike, kept: Path) -> None:
        self.path, self.kept = path, kept
        super().__init__(
            f"Another process wrote {paths.shown_path(path)} while this one worked, and it was not "
            f"replaced; the result of this one is kept as {kept}: rename it, or remove it."
        )


def place(path: PathLike, what: str = "output") -> Place:
    """Look at an output's place before long work, and clear what dead processes left there.

    Raises
    ------
    InputError
        Nothing could be written there: an impossible name, no permission, a device, the inside of
        a model.
    """
    target = paths.resolved(path, what)
    with _saying_why(path):
        ancestor = next(parent for parent in target.parents if os.path.lexists(parent))
        temporary.clear(ancestor, target.name)
        found = _identity(target)
        # Permission bits alone do not tell: the super-user, read-only mounts, quotas. The names
        # are tried too: the temporary one is longer, and folders that are not there yet count.
        with temporary.beside(ancestor / target.name) as probe:
            probe.mkdir()
            for part in target.relative_to(ancestor).parts:
                _check_length(probe / part)
        _check_length(target.parent / probe.name)
    return Place(path, target, found)


def replace_file(path: PathLike | Place, content: Content) -> None:
    """Make ``content`` the file ``path``; an earlier one is there until the new one is.

    Parameters
    ----------
    path
        A path: an earlier file is replaced in any case. Or a `Place`: a file is replaced only if it
        is the one that was there when the place was looked at.

    Raises
    ------
    InputError
        It cannot be written, and nothing has changed; or it is kept elsewhere.
    """
    with replacing(path) as temporary_path:
        _write(temporary_path, content)


@contextmanager
def replacing(path: PathLike | Place) -> Iterator[Path]:
    """A path to write a file to; it becomes ``path`` at the end, unless an error is raised.

    For files that are written piece by piece. A library that wants a path may crash where the disk
    is full: give it memory to write to, and the bytes to `replace_file`.
    """
    with _staged(path) as (temporary_path, publish):
        yield temporary_path
        with temporary_path.open("r+b") as stream:  # Windows flushes only what is open for writing
            os.fsync(stream.fileno())
        publish()


def replace_folder(path: PathLike | Place, files: Mapping[str, Content]) -> None:
    """Make ``path`` a folder of exactly ``files``; as `replace_file`."""
    with filling(path) as folder:
        for name, content in files.items():
            _write(folder / name, content)


@contextmanager
def filling(path: PathLike | Place) -> Iterator[Path]:
    """A folder to put files into, by the functions here; at the end it becomes ``path``.

    As `replacing`. What the system refuses within it is told of ``path``.
    """
    with _staged(path) as (temporary_path, publish):
        temporary_path.mkdir()
        try:
            yield temporary_path
        except InputError as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise
        _flush_folder(temporary_path)
        publish()


def discard(target: Path) -> None:
    """Remove the file ``target``, if there, and what processes killed while writing it left.

    For a file that nobody else writes now.
    """
    target.unlink(missing_ok=True)
    temporary.clear(target.parent, target.name, alone=True)


@contextmanager
def _staged(path: PathLike | Place) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A temporary name beside the target, and a function that gives the finished output its name.

    The errors of the system become sentences.
    """
    place = path if isinstance(path, Place) else None
    shown = path.path if isinstance(path, Place) else path
    target = path.target if isinstance(path, Place) else paths.resolved(path)
    with _saying_why(shown):
        temporary.clear(target.parent, target.name)
        with _parents_of(target), temporary.beside(target) as temporary_path:
            yield temporary_path, lambda: _publish(temporary_path, target, place)


def _publish(temporary_path: Path, target: Path, place: Place | None) -> None:
    if place is None:
        done = _swap_in(temporary_path, target)
    elif place.found is None:
        done = _renamed_new(temporary_path, target)
    else:
        done = _swap_in(temporary_path, target, place.found)
    kept = target if done else _keep_beside(temporary_path, target)
    _flush_folder(target.parent)
    if place is not None and not done:
        raise KeptElsewhere(place.path, kept)


def _swap_in(temporary_path: Path, target: Path, found: Identity | None = None) -> bool:
    """Put the new in the place of the old; False if the old is not ``found``, where that is given.

    What was there is under the temporary name afterwards, or gone.
    """
    if not os.path.lexists(target) and _renamed_new(temporary_path, target):
        return True
    if found is not None and _identity(target) != found:
        return False
    if exchange(temporary_path, target):
        if found is None or _identity(temporary_path) == found:
            return True
        exchange(temporary_path, target)  # another process came in between
        return False
    if not temporary_path.is_dir():
        os.replace(temporary_path, target)
        return True
    with temporary.beside(target, old=True) as aside:
        os.rename(target, aside)
        try:
            os.rename(temporary_path, target)
        except BaseException:  # an interrupt, too, must not cost the user the old folder
            os.rename(aside, target)
            raise
    return True


def _keep_beside(temporary_path: Path, target: Path) -> Path:
    """Rename to a free name that says what it is; a file keeps its ending."""
    has_ending = target.suffix and not temporary_path.is_dir()
    stem, dot, ending = target.name.partition(".") if has_ending else (target.name, "", "")
    stem = os.fsencode(stem)[:200].decode("utf-8", "ignore")
    number = 2
    while not _renamed_new(
        temporary_path, kept := target.with_name(f"{stem}.{number}{dot}{ending}")
    ):
        number += 1
    return kept


def _renamed_new(temporary_path: Path, target: Path) -> bool:
    try:
        rename_new(temporary_path, target)
    except FileExistsError:
        return False
    return True


@contextmanager
def _parents_of(target: Path) -> Iterator[None]:
    """Make the folders above ``target``; after an error, remove those that were made."""
    absent = []
    for parent in target.parents:  # not mkdir(parents=True), which calls itself for each
        if os.path.lexists(parent):
            break
        absent.append(parent)
    for folder in reversed(absent):
        with suppress(FileExistsError):
            folder.mkdir()
    try:
        yield
    except BaseException:
        for folder in absent:
            with suppress(OSError):  # not empty: somebody uses it
                folder.rmdir()
        raise


def _identity(path: Path) -> Identity | None:
    try:
        facts = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return facts.st_dev, facts.st_ino, facts.st_mtime_ns


def _check_length(path: Path) -> None:
    """OSError if the system takes no such name or path."""
    with suppress(FileNotFoundError, NotADirectoryError):
        os.lstat(path)


def _write(path: Path, content: Content) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())  # the rename must not reach the disk before the content


def _flush_folder(path: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _saying_why(path: PathLike) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise paths.unwritable(path, error) from error
