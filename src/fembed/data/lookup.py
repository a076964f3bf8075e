"""Which names of two lists mean the same sample or gene, even if they are spelled differently."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_READS = re.compile(
    r"(?:.*[/\\])?(.+?)(?:[._-](?:sorted(?:bycoord)?|markdup|dedup|rmdup|out|aligned)|Aligned)*"
    r"\.(?:bam|sam|cram)",
    re.IGNORECASE,
)
_VERSION = re.compile(r"(ENS[A-Z]*[GTP]\d{11})\.\d+")


def _without_blanks(name: str) -> str:
    """In one Unicode form (an accent may be a separate character), without blanks and quotes."""
    if not name.isascii():
        shown = (sign for sign in name if unicodedata.category(sign) != "Cf")
        name = unicodedata.normalize("NFKC", "".join(shown))
    return " ".join(name.strip("\"' \t").split())


def _as_number(name: str) -> str:
    """``0017`` and ``17.0`` are 17 to a program that took names for numbers."""
    name = _without_blanks(name)
    whole, point, rest = name.partition(".")
    if whole.isdecimal() and (not point or (rest and not rest.strip("0"))):
        return whole.lstrip("0") or "0"
    return name


def _without_version(name: str) -> str:
    return _VERSION.sub(r"\1", _without_blanks(name))


def _as_r_writes(name: str) -> str:
    """R's ``make.names`` turns dashes and blanks to points, and sets X before a digit."""
    name = re.sub(r"[^\w.|]|_", ".", _without_version(name))
    return name[1:] if re.match(r"X[\d.]", name) else name


_JOINS = frozenset("._- \u2010\u2011\u2012\u2013\u2014\u2212")


def _same_signs(one: str, other: str) -> bool:
    """Whether names that R writes alike are one name: CD4+ and CD4- are two."""
    one, other = (_without_version(name) for name in (one, other))
    longer, shorter = sorted((one, other), key=len, reverse=True)
    if len(longer) > len(shorter):
        longer = longer[1:]  # R's X
    return all(
        a == b or "." in (a, b) or {a, b} <= _JOINS for a, b in zip(longer, shorter, strict=False)
    )


def _of_reads(name: str) -> str:
    """``run/S1.sorted.bam`` is the sample S1 to programs that count reads."""
    found = _READS.fullmatch(_without_blanks(name))
    return name if found is None else found[1]


_AS_R, _IN_CASE = "with points, dashes and blanks taken as one", "in another case"
#: Other spellings of a name, tried in this order: how a message calls one, and a common form.
_SPELLINGS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("without blanks or quotes around them", _without_blanks),
    ("as whole numbers", _as_number),
    ("without Ensembl versions", _without_version),
    (_AS_R, _as_r_writes),
    ("as files of reads", _of_reads),
    (_IN_CASE, str.casefold),
)


@dataclass(frozen=True)
class Lookup:
    """Where names stand in another list.

    Attributes
    ----------
    position : intp array, a number for every name looked up
        Its place in the other list, -1 where it is not there.
    respelled : dict of str to list of (name, name)
        For every kind of spelling: the names that were found by it, and what they were found as.
    unclear : list of (name, name, name)
        Names that were not matched because several names share a spelling, with two of those.
    """

    position: NDArray[np.intp]
    respelled: dict[str, list[tuple[str, str]]]
    unclear: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which names are there."""
        there: NDArray[np.bool_] = self.position >= 0
        return there

    @property
    def n_found(self) -> int:
        return int(np.count_nonzero(self.position >= 0))

    def sentence(self, what: str, origin: str) -> str | None:
        """What to tell a user about names in another spelling; None if there are none."""
        left = ""
        if self.unclear:
            name, one, other = self.unclear[0]
            left = (
                f"{len(self.unclear)} {what} name(s) of {origin} are left unmatched, since several "
                f"names differ from them in spelling only ('{one}' and '{other}' from '{name}')."
            )
        if not self.respelled:
            return left or None
        parts = [
            f"{len(pairs)} {how} ({pairs[0][1]!r} is taken for {pairs[0][0]!r})"
            for how, pairs in self.respelled.items()
        ]
        return (
            f"Some {what} names of {origin} are spelled differently and were matched: "
            f"{'; '.join(parts)}.{' ' * bool(left)}{left}"
        )


def exact_positions(wanted: Iterable[Any], there: Iterable[str]) -> NDArray[np.intp]:
    """Where names stand in another list as they are spelled, -1 where they do not.

    One that stands twice in ``there`` is found at its first place.
    """
    place = _first_places(there)
    return np.array([place.get(name, -1) for name in wanted], np.intp)


def _first_places(names: Iterable[str]) -> dict[Any, int]:
    place: dict[Any, int] = {}
    for position, name in enumerate(names):
        place.setdefault(name, position)
    return place


def spelling_hint(name: Any, there: Iterable[str], most: int = 2) -> str:
    """What ends a sentence about a name that is not there: the one it may be, or the most like it.

    Examples
    --------
    >>> spelling_hint("Tp53", ["TP63", "EGFR", "TP53"])
    'the closest name is TP53.'
    """
    written: dict[str, str] = {}
    for known in there if isinstance(name, str) else ():
        written.setdefault(_as_r_writes(known).casefold(), known)
    form = _as_r_writes(str(name)).casefold()
    found = [form] if form in written else difflib.get_close_matches(form, written, most, 0.7)
    close = " and ".join(written[one] for one in found)
    if not close:
        return "check its spelling."
    return f"the closest name is {close}." if len(found) == 1 else f"close names are {close}."


def look_up(wanted: Iterable[str], there: Iterable[str]) -> Lookup:
    """Find names in another list as they are written, or else by a spelling that is unique there.

    Parameters
    ----------
    wanted, there : iterables of str
        No name stands twice in ``wanted``. One that stands twice in ``there`` is found at its
        first place (callers refuse that where it matters).

    Examples
    --------
    >>> found = look_up(["ENSG00000141510.16", "HLA-A"], ["HLA.A", "ENSG00000141510.4"])
    >>> found.position.tolist()
    [1, 0]
    """
    wanted, there = list(wanted), list(there)
    positions, place = exact_positions(wanted, there), _first_places(there)
    respelled: dict[str, list[tuple[str, str]]] = {}
    shared: dict[int, tuple[str, str]] = {}
    lacking = [k for k, position in enumerate(positions) if position < 0]
    known = set(wanted)
    free = [position for name, position in place.items() if name not in known]
    for how, form in _SPELLINGS:
        if not lacking or not free:
            break
        n_found = len(wanted) - len(lacking)
        if how == _IN_CASE and (
            2 * n_found < min(len(wanted), len(place))  # Tp53 is a gene of the mouse, TP53 of man
            or _case_matters(wanted)  # dl and Dl are two genes of the fly
            or _case_matters(place)
        ):
            break
        first = {k: form(wanted[k]) for k in lacking}
        second = {j: form(there[j]) for j in free}
        pairs = _only_shared(first, second)
        if how == _AS_R:
            pairs = {k: j for k, j in pairs.items() if _same_signs(wanted[k], there[j])}
        else:
            shared |= _shared_by_several(first, second, there)
        for k, j in pairs.items():
            positions[k] = j
            respelled.setdefault(how, []).append((wanted[k], there[j]))
        taken = set(pairs.values())
        lacking = [k for k in lacking if k not in pairs]
        free = [j for j in free if j not in taken]
    unclear = [(wanted[k], *shared[k]) for k in lacking if k in shared]
    return Lookup(positions, respelled, unclear)


def _case_matters(names: Collection[str]) -> bool:
    return len({name.casefold() for name in names}) < len(set(names))


def _only_shared(first: dict[int, str], second: dict[int, str]) -> dict[int, int]:
    """Pairs of keys with the same text, where no other key on either side has that text."""
    counts = Counter(first.values()), Counter(second.values())
    by_text = {text: number for number, text in second.items() if counts[1][text] == 1}
    return {
        number: by_text[text]
        for number, text in first.items()
        if counts[0][text] == 1 and text in by_text
    }


def _shared_by_several(
    first: dict[int, str], second: dict[int, str], there: list[str]
) -> dict[int, tuple[str, str]]:
    """For numbers of ``first`` whose text several of ``second`` have, the first two of those."""
    wanted = set(first.values())
    names: dict[str, list[str]] = {}
    for number, text in second.items():
        if text in wanted:
            names.setdefault(text, []).append(there[number])
    return {
        number: (names[text][0], names[text][1])
        for number, text in first.items()
        if len(names.get(text, ())) > 1
    }
