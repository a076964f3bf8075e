"""Names of what is being written, which say by whom; what a dead process left is cleared.

A process that is killed while it writes leaves a file or a folder under its temporary name. The
name holds the machine, the process and the moment the process began, so that the next run can
tell what nobody writes any more from what another process is writing now: no lock is needed, which
network file systems keep badly. Of another machine's processes nothing can be known: what they have
not touched for a day is taken to be left.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

#: Seconds after which what another machine has not touched is taken to be left.
ABANDONED = 86_400.0
_MAX_NAME_BYTES = (
    80  # bytes of a target's name in a temporary one, which must not be too long itself
)

_OWNED = re.compile(
    r"\.(?P<stem>.+)\."
    r"(?P<machine>[0-9a-f]{6})-(?P<process>\d+)-(?P<began>[0-9a-f]{8})-[0-9a-f]{4}"
    r"(?P<old>\.old)?\.tmp",
    re.DOTALL,
)
_OWNERLESS = re.compile(r"\.(?P<stem>.+)\.[0-9a-f]{8}\.tmp", re.DOTALL)  # of earlier versions


@contextmanager
def beside(target: Path, old: bool = False) -> Iterator[Path]:
    """A free name in the folder of ``target``; whatever is there at the end is removed.

    With ``old`` the name is for an earlier output that makes room for ``target``: after a kill that
    left nothing there, it is put back and not cleared. ``tempfile`` is not used, since only their
    owner can read its files, and a model is shared.
    """
    temporary = target.with_name(f".{_stem(target.name)}.{_owner()}{'.old' if old else ''}.tmp")
    try:
        yield temporary
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Remove a file or a folder, if there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def clear(folder: Path, name: str | None = None, alone: bool = False) -> None:
    """Remove what dead processes left in ``folder`` when they wrote ``name`` there.

    Parameters
    ----------
    folder
        It may be absent.
    name
        Of the file or the folder that was to be; by default all.
    alone
        Nobody else can be writing it, so what tells no owner goes too.
    """
    try:
        entries = [folder / entry for entry in os.listdir(folder)]
    except OSError:  # absent, or not ours to read: nothing of ours is there
        return
    for entry in entries:
        found = _OWNED.fullmatch(entry.name) or _OWNERLESS.fullmatch(entry.name)
        if found is None or (name is not None and found["stem"] != _stem(name)):
            continue
        # Another's file in a shared folder cannot be removed, and hinders nobody.
        with suppress(OSError):
            if _left(entry, found.groupdict(), alone):
                target = folder / (name or found["stem"])
                if found.groupdict().get("old") and not os.path.lexists(target):
                    os.rename(entry, target)
                else:
                    remove(entry)


def _left(entry: Path, owner: dict[str, str], alone: bool) -> bool:
    """Whether the process that wrote ``entry`` is dead."""
    if "process" not in owner:
        return alone or _untouched(entry)
    if owner["machine"] != _machine() or os.name == "nt":  # where os.kill would do as it says
        return _untouched(entry)
    try:
        os.kill(int(owner["process"]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass  # another user's
    now = _began(int(owner["process"]))
    return now is not None and now != owner["began"]


def _stem(name: str) -> str:
    """``name``, or so much of it that a temporary name fits wherever ``name`` does."""
    encoded = os.fsencode(name)
    if len(encoded) <= _MAX_NAME_BYTES:
        return name
    # Where a letter is cut, its first bytes are left out with it.
    start = encoded[: _MAX_NAME_BYTES - 9].decode("utf-8", "ignore")
    return f"{start}~{hashlib.sha256(encoded).hexdigest()[:8]}"


def _owner() -> str:
    process = os.getpid()
    return f"{_machine()}-{process}-{_began(process) or '0' * 8}-{secrets.token_hex(2)}"


def _untouched(entry: Path) -> bool:
    """Whether nobody wrote to it for a day, by the clock of its own file system."""
    try:
        times = [path.stat().st_mtime for path in (entry, *entry.glob("*"))]
        with beside(entry.with_name("clock")) as clock:
            clock.touch()
            return clock.stat().st_mtime - max(times) > ABANDONED
    except OSError:
        return False


@cache
def _machine() -> str:
    """Name of this machine and of its world of process numbers: a container has its own."""
    world = _text("/etc/machine-id")  # a host name alone may be "localhost"
    with suppress(OSError):
        world += os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{socket.gethostname()} {world}".encode()).hexdigest()[:6]


def _began(process: int) -> str | None:
    """What tells ``process`` from another of its number; None where the system does not say.

    A dead process that nobody has waited for counts as none.
    """
    facts = _text(f"/proc/{process}/stat").rpartition(")")[2].split()
    if len(facts) < 20:
        return None
    boot = _text("/proc/sys/kernel/random/boot_id")
    state, started = facts[0], facts[19]
    dead = "dead" if state in "ZX" else ""
    return hashlib.sha256(f"{boot} {started} {dead}".encode()).hexdigest()[:8]


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
