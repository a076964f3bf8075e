"""Two result files of one benchmark: what became worse, by more than noise.

A value is worse only if it is beyond a relative *and* an absolute limit: a relative one alone
fails over a tenth of a second that became two, an absolute one alone over a minute that became a
minute and a second.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.report import Better
from fembed.errors import InputError

RELATIVE = 0.10
#: The smallest difference that is looked at, by unit; another unit, or none, takes that of "".
ABSOLUTE = {
    "s": 1.0,
    "MB": 25.0,
    "%": 1.0,
    "it/s": 0.5,
    "samples/s": 5.0,
    "M pairs/s": 0.1,
    "GFLOP/s": 5.0,
    "": 0.01,
}
#: Which way is better for the measures of the protocol, and their unit.
SUMMARY: dict[str, tuple[Better, str, float]] = {
    **{name: ("higher", "", 1.0) for name in ("knn", "logistic", "network")},
    **{name: ("higher", "", 1.0) for name in ("pearson", "spearman")},
    **{name: ("higher", "", 1.0) for name in ("trustworthiness", "continuity")},
    **{name: ("lower", "", 1.0) for name in ("training_mse", "held_out_mse")},
    "gap": ("lower", "%", 100.0),
    "fit_seconds": ("lower", "s", 1.0),
    "peak_bytes": ("lower", "MB", 1e-6),
}


@dataclass(frozen=True)
class Value:
    """A measured value and which way is better."""

    value: float
    better: Better
    unit: str = ""


@dataclass(frozen=True)
class Change:
    """From A to B; ``worse`` is how much B is worse, below zero if it is better."""

    what: str
    a: Value
    b: Value

    @property
    def worse(self) -> float:
        change = self.b.value - self.a.value
        return change if self.a.better == "lower" else -change

    def failed(self, relative: float, absolute: float | None = None) -> bool:
        """Whether both limits are passed."""
        least = ABSOLUTE.get(self.a.unit, ABSOLUTE[""]) if absolute is None else absolute
        return self.worse > relative * abs(self.a.value) and self.worse > least


def values_of(document: dict[str, Any]) -> dict[str, Value]:
    """Everything in a result file that can become better or worse."""
    found = {
        check["what"]: Value(check["value"], check["better"], check["unit"])
        for check in document["checks"]
        if check["value"] is not None and check.get("better")
    }
    for row in document["measures"].get("summary", []):
        if row["rival"].split(" ")[0] != "fembed":
            continue
        for name, estimate in row["measures"].items():
            if name in SUMMARY and estimate["mean"] is not None:
                better, unit, scale = SUMMARY[name]
                what = f"{row['data']}, {row['n_components']}-D, {row['rival']}: {name}"
                found[what] = Value(estimate["mean"] * scale, better, unit)
    return found


def changes(a: dict[str, Any], b: dict[str, Any]) -> list[Change]:
    """Of what both files have, in the order of the first."""
    mine, other = values_of(a), values_of(b)
    return [Change(what, mine[what], other[what]) for what in mine if what in other]


def run(a: Path, b: Path, relative: float = RELATIVE, absolute: float | None = None) -> int:
    """Print what changed; the exit status is 1 if something is worse by more than both limits."""
    documents = [_read(a), _read(b)]
    names = [document["benchmark"] for document in documents]
    if names[0] != names[1]:
        raise InputError(f"{a} is of the benchmark {names[0]!r} and {b} of {names[1]!r}.")
    found = changes(*documents)
    table = Table(title=f"{a} -> {b}", title_justify="left")
    for heading in ("what", "A", "B", "change", ""):
        table.add_column(heading, justify="left" if heading in ("what", "") else "right")
    failed = 0
    for change in found:
        worse = change.failed(relative, absolute)
        failed += worse
        ratio = f"{change.b.value / change.a.value - 1:+.1%}" if change.a.value else "-"
        cells = (f"{change.a.value:,.4g}", f"{change.b.value:,.4g}", ratio)
        table.add_row(
            f"{change.what} {change.a.unit}".strip(),
            *cells,
            "WORSE" if worse else "",
            style="bold red" if worse else None,
        )
    console = Console(width=160, highlight=False)
    console.print(table)
    _tell_absent(console, *(values_of(document) for document in documents))
    console.print(f"{len(found)} values compared, {failed} worse")
    return 1 if failed else 0


def _tell_absent(console: Console, mine: dict[str, Value], other: dict[str, Value]) -> None:
    for what in mine.keys() - other.keys():
        console.print(f"only in A: {what}", style="yellow")
    for what in other.keys() - mine.keys():
        console.print(f"only in B: {what}", style="yellow")


def _read(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        document["benchmark"], document["checks"], document["measures"]
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a result file of the benchmarks ({error}).") from None
    return document
