"""Colours and markers of categories: told apart by 33 at once, and by colour-blind readers.

Hue alone ends at about eight categories, and at fewer for the one man in twelve who confuses
hues. So a category has a colour *and* a marker:

* up to 7 categories: the colours of Okabe and Ito (2008), all circles;
* beyond: 33 colours in three families of 11, and every 11 categories another marker. Colours of
  one family, which share a marker, differ for normal sight and in simulated protanopia,
  deuteranopia and tritanopia (Machado et al. 2009) by at least 0.10 in OKLab; colours of two
  families, which also differ in the marker, by at least 0.08 for normal sight (a just visible
  difference is about 0.02). They were found by a search for the largest such distances among
  colours that stand out on white; `tests/unit/test_palette.py` measures them.

What colour and marker cannot do, direct labels do: see `fembed.pl.labels`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

#: Okabe and Ito's without yellow, which is faint on white.
FEW = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
FAMILY_SIZE = 11
# Within a family, each colour is as far as can be from those before it.
MANY = (
    *("#690f5a", "#c3c34b", "#b400ff", "#0f8769", "#2dd2f0", "#1ea5e1"),
    *("#962d1e", "#2d2d96", "#b45a00", "#ff0087", "#d28700"),
    *("#96a5ff", "#0f4b00", "#f0693c", "#870fff", "#a55a78", "#f096a5"),
    *("#1e87c3", "#5a0096", "#4b6900", "#3ce13c", "#783c5a"),
    *("#7887ff", "#78000f", "#0f00c3", "#e15a78", "#69d287", "#4b4bf0"),
    *("#c30000", "#962d87", "#f096e1", "#a5a500", "#b45ab4"),
)
#: A marker for matplotlib, and its name in pages.
MARKERS = (
    ("o", "circle"),
    ("^", "triangle-up"),
    ("s", "square"),
    ("D", "diamond"),
    ("v", "triangle-down"),
    ("P", "cross"),
    ("X", "x"),
)
#: So many categories look different.
N_STYLES = len(MANY) * len(MARKERS)
#: How a missing label reads; see `fembed.Expression.labels`.
MISSING_LABEL = "NA"
#: Continuous scales, all even in lightness: of one sign, and around a middle.
SEQUENTIAL, DIVERGING = "viridis", "PuOr_r"
#: Eight steps of the first of them, for intervals of numbers.
STEPS = (
    *("#440154", "#46327e", "#365c8d", "#277f8e"),
    *("#1fa187", "#4ac16d", "#a0da39", "#fde725"),
)


@dataclass(frozen=True)
class Style:
    """How one category is drawn.

    Attributes
    ----------
    colour : str
        ``#rrggbb``.
    marker, symbol : str
        The same shape by its names in matplotlib and in pages.
    """

    colour: str
    marker: str = "o"
    symbol: str = "circle"


MISSING = Style("#bdbdbd")


def palette(n: int) -> list[Style]:
    """``n`` styles; no two are alike up to `N_STYLES`."""
    if n <= len(FEW):
        return [Style(colour) for colour in FEW[:n]]
    return [Style(MANY[k % len(MANY)], *MARKERS[k // FAMILY_SIZE % len(MARKERS)]) for k in range(n)]


def colours(n: int) -> list[str]:
    """The colours of `palette`, for what has no markers; alike from the 34th on."""
    return [style.colour for style in palette(n)]


def styles(categories: Iterable[str], colours: Mapping[str, str] | None = None) -> dict[str, Style]:
    """A style for each category, in the order given; ``"NA"`` is grey and comes last.

    ``colours`` (``#rrggbb`` by category) take the place of the palette's where they are given.
    """
    distinct = list(dict.fromkeys(categories))
    named = [category for category in distinct if category != MISSING_LABEL]
    chosen = dict(zip(named, palette(len(named)), strict=True))
    for category in named:
        if colours and category in colours:
            chosen[category] = replace(chosen[category], colour=colours[category])
    return chosen | ({MISSING_LABEL: MISSING} if MISSING_LABEL in distinct else {})


def extended(known: Mapping[str, str], categories: Iterable[str]) -> dict[str, str]:
    """Colours (``#rrggbb``) of categories of which some have theirs: no known one changes.

    Each of the others has the colour of the palette that is farthest from those in use.
    """
    found = {name: colour for name, colour in known.items() if name != MISSING_LABEL}
    free = list(dict.fromkeys((*FEW, *MANY)))
    for name in categories:
        if name in found or name == MISSING_LABEL:
            continue
        free = free or list(MANY)
        used = [_rgb(colour) for colour in found.values()]
        found[name] = max(free, key=lambda colour: _nearest(_rgb(colour), used))
        free.remove(found[name])
    return found


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))


def _nearest(colour: tuple[int, ...], used: list[tuple[int, ...]]) -> float:
    return min((math.dist(colour, other) for other in used), default=0.0)
