"""One sentence about a file that a library could not read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fembed.errors import InputError


@contextmanager
def damage_reported(path: Path, kind: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn ``errors``, those a library raises for a broken file, into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except errors as error:
        lines = str(error).strip().splitlines()
        detail = lines[0].rstrip(".") if lines else type(error).__name__
        raise InputError(
            f"{path} cannot be read as {kind}, it may be truncated or damaged ({detail}); "
            "make or fetch it again."
        ) from error
