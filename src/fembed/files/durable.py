"""Files and folders that appear on disk complete, or not at all.

Everything is written under a temporary name beside its target (the same file system, so a rename
is enough), flushed to the disk, and renamed.

POSIX ``rename`` replaces a file atomically, so `replace_file` leaves no moment without a complete
file. It cannot replace a folder that has files in it: `replace_folder` needs two renames, and a
process killed between them leaves the complete old folder under its temporary name. What is
replaced unattended, again and again (a checkpoint), should therefore be a file.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def replace_file(target: Path, content: bytes) -> None:
    """Make ``content`` the file ``target``; an earlier one is there until the new one is."""
    with replacing(target) as temporary:
        _write(temporary, content)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write a file to; it becomes ``target`` at the end, unless an error is raised.

    For files that are written piece by piece, or by a library that wants a path.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(target) as temporary:
        yield temporary
        with temporary.open("r+b") as stream:  # Windows flushes only what is open for writing
            os.fsync(stream.fileno())
        os.replace(temporary, target)
        _flush_folder(target.parent)


def replace_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Make ``target`` a folder of exactly ``files``; an earlier one goes once it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(target) as temporary:
        temporary.mkdir()
        for name, content in files.items():
            _write(temporary / name, content)
        _flush_folder(temporary)
        _swap_in(temporary, target)


def discard(target: Path) -> None:
    """Remove the file ``target``, if there, and what processes killed while writing it left.

    For a file that nobody else writes now.
    """
    target.unlink(missing_ok=True)
    abandoned = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.tmp")
    for sibling in target.parent.iterdir():
        if abandoned.fullmatch(sibling.name) and sibling.is_file():
            sibling.unlink(missing_ok=True)


def check_writable(target: Path) -> None:
    """Raise OSError if nothing can be made at ``target``, by making and removing a folder there.

    Permission bits alone do not tell: the super-user, read-only mounts, quotas.
    """
    ancestor = next(parent for parent in target.parents if os.path.lexists(parent))
    with _temporary(ancestor / "probe") as probe:
        probe.mkdir()


def _swap_in(temporary: Path, target: Path) -> None:
    """Rename the complete new folder to ``target``; an old one steps aside first, then goes."""
    if not target.exists():
        os.rename(temporary, target)
    else:
        with _temporary(target) as aside:
            os.rename(target, aside)
            try:
                os.rename(temporary, target)
            except BaseException:  # an interrupt, too, must not cost the user the old folder
                os.rename(aside, target)
                raise
    _flush_folder(target.parent)


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A free name beside ``target``; whatever is left there at the end is removed.

    Not ``tempfile``: its files and folders are for their owner only, and a model is shared.
    """
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        elif temporary.exists():
            temporary.unlink()


def _write(path: Path, content: bytes) -> None:
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
