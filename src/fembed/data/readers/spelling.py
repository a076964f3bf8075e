"""Names as other programs spoil them: blanks around them."""

from __future__ import annotations

import warnings

from fembed.data.readers.layout import BLANKS
from fembed.errors import DataWarning


def without_blanks(
    rows: list[str], columns: list[str], origin: str, stacklevel: int = 4
) -> tuple[list[str], list[str]]:
    """The names without blanks around them, and a `DataWarning` that counts what was changed."""
    both = [[name.strip(BLANKS) for name in names] for names in (rows, columns)]
    changed = [
        name
        for names, clean in zip((rows, columns), both, strict=True)
        for name, stripped in zip(names, clean, strict=True)
        if name != stripped
    ]
    if changed:
        warnings.warn(
            f"{len(changed)} name(s) in {origin} have blanks around them, such as "
            f"{changed[0]!r}; they are read without.",
            DataWarning,
            stacklevel=stacklevel,
        )
    return both[0], both[1]
