"""The log of a run for programs: one JSON object per line."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from fembed.errors import InputError
from fembed.files import atomic, paths
from fembed.files.manifest import PathLike, json_text
from fembed.output.streams import leave, tell

_FIRST = b'{"event": '  # how every line of ours begins


def check_log(
    path: str | None,
    *,
    overwrite: bool | None = None,
    sources: Sequence[PathLike] = (),
    outputs: Sequence[PathLike] = (),
) -> None:
    """Raise InputError if no log can be kept at ``path``; for a check before long work.

    The log of an earlier run is continued, as the run is. ``sources`` are files that the work
    reads, ``outputs`` files and folders that it writes; the log cannot be one of them or lie in
    one. Where ``overwrite`` is None, the command has no such option.
    """
    if path is None or path == "-":
        return
    paths.check_name(path, "log")
    if _is_stream(path):
        return
    for output in outputs:
        if paths.within(path, output):
            raise InputError(f"The log {path} lies in the output {output}; give a path outside.")
    place = atomic.place(path, "log")
    if place.target.is_dir():
        raise InputError(f"{path} is a folder, but the log is a file; give another path.")
    for source in sources:
        if paths.same(place.target, source):
            raise InputError(f"The log {path} is also the input; give another path.")
    if place.taken and not overwrite and not _is_log(place.target):
        other = "" if overwrite is None else ", or use --overwrite to replace it"
        raise InputError(
            f"{path} exists already, and it is no log of fembed's; give another path{other}."
        )


class JsonLog(AbstractContextManager["JsonLog"]):
    """One JSON object per line: ``{"event": "progress", ...}``, to a file or, with ``-``, stdout.

    The file is opened by the first event, so that a run refused for its input leaves none. An error
    in writing is reported once, and the work goes on without its log.
    """

    def __init__(self, path: str | None, overwrite: bool = False) -> None:
        self._path = path
        self._overwrite = overwrite
        self._stream: IO[bytes] | None = None
        self._ended = False

    @property
    def takes_stdout(self) -> bool:
        """Whether standard output is for the log alone."""
        return self._path == "-"

    def open(self) -> None:
        """Begin; before it, events are dropped."""
        if self._path is None or self.takes_stdout or self._stream is not None:
            return
        try:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            if not _is_stream(self._path):
                if self._overwrite:
                    Path(self._path).write_bytes(b"")
                _cut_torn_line(Path(self._path))
            self._stream = _opened(self._path)
        except OSError as error:
            raise paths.unwritable(self._path, error) from error

    def write(self, event: str, **fields: Any) -> None:
        """Add one line; numbers that JSON does not have become null."""
        line = json_text({"event": event, **fields}) + "\n"
        try:
            if self.takes_stdout and not self._ended:
                if sys.stdout is None:
                    raise OSError("it is closed")
                print(line, end="", flush=True)
            elif self._stream is not None:
                rest = memoryview(line.encode())
                while rest:
                    rest = rest[self._stream.write(rest) :]
        except OSError as error:
            self._end(error)

    def _end(self, error: OSError) -> None:
        self._ended = True
        if self.takes_stdout:
            if sys.stdout is not None:
                leave(sys.stdout)
        elif self._stream is not None:
            self._stream.close()
            self._stream = None
        if not isinstance(error, BrokenPipeError):  # a reader that has seen enough
            called = "on standard output" if self.takes_stdout else str(self._path)
            reason = error.strerror or str(error)
            tell(f"warning: The log {called} cannot be written ({reason}); the work goes on.")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._stream.close()


def _opened(path: str) -> IO[bytes]:
    """Open to append, unbuffered; a pipe that nobody reads is an error, not a wait for ever."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags, 0o666)
    os.set_blocking(descriptor, True)
    return open(descriptor, "ab", buffering=0)


def _is_stream(path: str) -> bool:
    """Whether it is there and neither file nor folder: a device or a pipe, which loses nothing."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _is_log(path: Path) -> bool:
    """Whether a file begins as a log does, or is empty."""
    try:
        with path.open("rb") as stream:
            beginning = stream.read(len(_FIRST))
    except OSError:
        return False
    return beginning in (b"", _FIRST)


def _cut_torn_line(path: Path) -> None:
    """Remove the incomplete last line that a killed run left."""
    if not path.exists():
        return
    with path.open("r+b") as stream:
        end = begin = stream.seek(0, os.SEEK_END)
        while begin > 0:
            start = max(begin - 65_536, 0)
            stream.seek(start)
            newline = stream.read(begin - start).rfind(b"\n")
            if newline >= 0:
                begin = start + newline + 1
                break
            begin = start
        if begin < end:
            stream.truncate(begin)
