"""Colours of categories that a caller chooses, and where an object keeps them.

``uns["<column>_colors"]`` of AnnData is scanpy's place: what fembed draws first, scanpy draws alike
afterwards, and the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fembed.data.annotations import one_column
from fembed.errors import InputError
from fembed.pl import canvas
from fembed.pl.categories import Categories, hexadecimal
from fembed.pl.columns import as_text, category_texts, column_of, numbers_of, own_categories
from fembed.pl.palette import MISSING, MISSING_LABEL, extended

#: A palette: a colour map's name, colours in the order of the categories, or by category.
Palette = str | Sequence[Any] | Mapping[Any, Any]


def with_palette(found: Categories, palette: Palette | None) -> Categories:
    """The same categories in the colours of ``palette``; as they are without one.

    Raises
    ------
    InputError
        No such colour map, no colour, fewer colours than categories, or names of other categories.
    """
    if palette is None:
        return found
    named = [name for name in found.names if name != MISSING_LABEL]
    if isinstance(palette, str):
        asked: dict[str, Any] = dict(zip(named, _of_colour_map(palette, len(named)), strict=True))
    elif isinstance(palette, Mapping):
        asked = {as_text(name): colour for name, colour in palette.items()}
        if named and not asked.keys() & set(named):
            raise InputError(
                f"The palette names none of the categories ({_some(named)}); give a colour for one."
            )
    else:
        listed = list(palette)
        # As many as are there are enough; a list for all holds for unused categories, too.
        names = named if len(listed) >= len(named) else [n for n in found.present if n in named]
        if len(listed) < len(names):
            raise InputError(
                f"The palette has {len(listed)} colours for {len(names)} categories "
                f"({_some(names)}); give one for each, or the name of a colour map."
            )
        asked = dict(zip(names, listed, strict=False))
    colours = {name: _colour(asked[name]) for name in named if name in asked}
    # A dict may name some only: the others keep theirs, unless it is taken now.
    kept = {
        name: style.colour
        for name, style in found.styles().items()
        if name in named and name not in colours and style.colour not in colours.values()
    }
    return replace(found, colours=extended(colours | kept, named))


def remember(data: Any, column: Any, found: Any, palette: Palette | None = None) -> None:
    """Keep the colours of a column of ``data.obs`` where scanpy keeps them.

    Colours that are there stay, unless a palette was asked for. A view is left as it is, since
    writing to it would make a copy of its data.
    """
    is_column = isinstance(column, str) and isinstance(found, Categories)
    if not is_column or not hasattr(data, "uns") or getattr(data, "is_view", False):
        return
    key = f"{column}_colors"
    if column not in map(str, data.obs.columns) or (key in data.uns and palette is None):
        return
    values = column_of(one_column(data.obs, column, "obs"))
    own, _, are_truths = own_categories(values)
    if numbers_of(values) is not None or are_truths:
        return  # scanpy has no colours of numbers, and of truth values only those that are there
    styles = found.styles()
    data.uns[key] = [styles.get(text, MISSING).colour for text in category_texts(own)]


def colour_map(name: str) -> Any:
    """A colour map of matplotlib; InputError if it has none of that name."""
    canvas.check_installed()
    import matplotlib as mpl

    if name not in mpl.colormaps:
        raise InputError(
            f"There is no colour map '{name}'; give one of matplotlib's, such as tab20, a list of "
            "colours, or a colour by category."
        )
    return mpl.colormaps[name]


def _of_colour_map(name: str, n: int) -> list[Any]:
    """``n`` colours: the first ones of a map that is a list of colours, else evenly many of it."""
    import numpy as np
    from matplotlib.colors import ListedColormap

    found = colour_map(name)
    if isinstance(found, ListedColormap) and n <= found.N < 256:
        return [found(k) for k in range(n)]
    return [found(share) for share in np.linspace(0.0, 1.0, n)]


def _colour(value: Any) -> str:
    found = hexadecimal(value)
    if found is None:
        raise InputError(f"The palette has {value!r}, which is no colour; give #rrggbb or a name.")
    return found


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
