"""RESULTS.md and its figures, from the result files alone: nothing here measures or rounds up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import report, summary
from benchmarks.options import RESULTS, option
from fembed.files import atomic

Document = dict[str, Any]

#: Sections in the order of the page: the benchmark, its heading, the command that measures it.
SECTIONS = (
    ("protocol", "Maps of new samples, against what people use", "protocol"),
    ("time_to_quality", "Time to quality", "time-to-quality"),
    ("scale", "Cost and scale", "scale"),
    ("kernel", "The engine", "kernel"),
    ("train", "A whole fit", "train"),
    ("project", "New samples a second", "project"),
    ("panels", "Few genes", "panels"),
    ("masked", "Missing entries in training", "masked"),
    ("confidence", "How sure places are", "confidence"),
    ("gpu", "On a GPU", "gpu"),
)
HEAD = """# Results

Written by `python -m benchmarks results` from the files in `benchmarks/results/`; never by hand.
How each number is measured is in [README.md](README.md). What was not measured is shown as not
measured.
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the page is written from, and where."""

    folder: Path = option(RESULTS, "where the result files are")
    output: Path = option(Path(__file__).parent / "RESULTS.md", "the page", short="-o")


def run(options: Options) -> int:
    """Write the page and its figures; the exit status is 0 whatever the bars say."""
    from benchmarks import figures  # matplotlib may be absent

    documents, page = read(options.folder), options.output
    drawn = figures.draw(documents, page.parent / "figures")
    atomic.replace_file(page, written(documents, drawn).encode())
    print(*(page.parent / "figures" / name for name in drawn), sep="\n")
    print(f"{page}: {', '.join(documents) or 'nothing measured yet'}")
    return 0


def read(folder: Path) -> dict[str, Document]:
    """Result files by benchmark; the parts of `scale` that were measured alone are one."""
    documents: dict[str, Document] = {}
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime):
        found = report.read(path)
        name = found["benchmark"].split("-")[0]
        documents[name] = joined(documents[name], found) if name in documents else found
    return documents


def joined(old: Document, new: Document) -> Document:
    """Two parts of one benchmark, which stay known; what both measured is the newer one's."""
    known = {check["what"] for check in new["checks"]}
    return {
        **new,
        "parts": [*old.get("parts", [old]), new],
        "checks": [check for check in old["checks"] if check["what"] not in known] + new["checks"],
        "measures": old["measures"] | new["measures"],
    }


def written(documents: dict[str, Document], drawn: dict[str, tuple[str, str]]) -> str:
    """The page."""
    parts = [HEAD]
    for name, heading, command in SECTIONS:
        parts.append(f"## {heading}\n\n`python -m benchmarks {command}`\n")
        if name not in documents:
            parts.append("Not measured yet.\n")
            continue
        document = documents[name]
        parts += [_ran_on(part) for part in document.get("parts", [document])]
        parts += [
            f"![{words}](figures/{file})\n\n*{words}*\n"
            for file, (benchmark, words) in drawn.items()
            if benchmark == name
        ]
        parts.append(protocol_tables(document) if name == "protocol" else _checks(document))
    return "\n".join(parts)


def _checks(document: Document) -> str:
    """Values and notes. The bars they are held to are the project's own: `Report.finish`."""
    rows = [(check["what"], _value(check), check["note"]) for check in document["checks"]]
    return _table(("what", "value", "note"), dict.fromkeys(rows))


def _value(check: dict[str, Any]) -> str:
    """JSON has no NaN and no infinity: such a value is null, and its bar is missed."""
    if check["value"] is None:
        return "-" if check["met"] is False else "not measured"
    made = report.Check(check["what"], check["value"], check["unit"], digits=check["digits"])
    return made.shown(made.value)


def _ran_on(document: Document) -> str:
    """Hardware, versions and options, and whether the machine was quiet."""
    machine, versions = document["hardware"], document["versions"]
    memory = machine.get("memory_bytes")
    _, _, part = document["benchmark"].partition("-")
    text = (
        (f"{part}: " if part else "")
        + f"{document['started'][:10]}, {machine['cpu']} ({machine['cores']} cores, "
        f"{machine['isa']}"
        + (f", {memory / 2**30:.0f} GiB" if memory else "")
        + f"), {machine['system']}; {document['threads']} threads; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + "."
    )
    others = document.get("cores_used_by_others")
    if others is not None and others > 0.1:
        text += f" Not a quiet machine: other processes used {others:.2f} processors on average."
    return text + "\n"


def protocol_tables(document: Document) -> str:
    """A table a measure and data set: rivals by dimensions; then paired differences."""
    found = document["measures"]
    rows = found["summary"]
    parts = [
        f"{found['folds']} folds, everything that learns learns on the training part. Means ± "
        "standard errors over folds x seeds (n in brackets where it differs); folds share training "
        "samples, so the errors are somewhat too small. Differences are paired fold by fold.\n"
    ]
    for data in sorted({row["data"] for row in rows}):
        of_set = [row for row in rows if row["data"] == data]
        parts.append(f"### {data}\n")
        for measure, (title, digits) in summary.MEASURES.items():
            table = _by_dimension(of_set, "measures", measure, digits)
            if table:
                parts.append(f"**{title}**\n\n{table}")
        for measure in ("knn", "logistic", "network"):
            title, digits = summary.MEASURES[measure]
            table = _by_dimension(of_set, "fembed less this", measure, digits)
            if table:
                parts.append(f"**{title}: fembed less the rival, paired**\n\n{table}")
    parts += [_rivals(found), _sessions(found)]
    if found["failed"]:
        parts.append(f"{len(found['failed'])} cases failed:\n")
        parts += [f"- {item['case']}: {item['error']}" for item in found["failed"][:20]]
    return "\n".join(parts)


def _by_dimension(rows: list[dict[str, Any]], part: str, measure: str, digits: int) -> str:
    with_it = [row for row in rows if measure in row[part]]
    if not with_it:
        return ""
    dims = sorted({row["n_components"] for row in with_it})
    most = max(row[part][measure]["n"] for row in with_it)
    scale = summary.SHOWN_SCALE.get(measure, 1.0)
    lines: list[tuple[str, ...]] = []
    for rival in dict.fromkeys(row["rival"] for row in with_it):
        cells = [rival]
        for d in dims:
            here = [r for r in with_it if r["rival"] == rival and r["n_components"] == d]
            cells.append(_estimate(here[0][part][measure], digits, scale, most) if here else "")
        lines.append(tuple(cells))
    return _table(("rival", *(f"{d}-D" for d in dims)), lines)


def _estimate(found: dict[str, Any], digits: int, scale: float, most: int) -> str:
    text = f"{found['mean'] * scale:,.{digits}f}"
    if found["error"] is not None:
        text += f" ± {found['error'] * scale:,.{digits}f}"
    return text if found["n"] == most else f"{text} [{found['n']}]"


def _rivals(found: dict[str, Any]) -> str:
    lines = ["### The rivals and their settings\n"]
    lines += [f"- **{row}**: {text}." for row, text in found["defaults"].items()]
    for what, why in found["not measured"].items():
        lines.append(f"- Not measured: {what}: {why}.")
    return "\n".join(lines) + "\n"


def _sessions(found: dict[str, Any]) -> str:
    """Which cases were measured by which commit, and with what threads."""
    counts: Counter[tuple[str, int, int]] = Counter()
    for run, n_cases in found["cases of runs"].items():
        about = found["runs"].get(run)
        if about is not None:
            commit = about["versions"].get("commit", "unknown")
            counts[commit, about["threads"], about["workers"]] += n_cases
    lines = [
        f"- commit {commit}: {n_cases} cases, {workers} at a time, with {threads} thread(s) each"
        for (commit, threads, workers), n_cases in counts.items()
    ]
    return "\n".join(["### When the cases were measured\n", *lines]) + "\n"


def _table(headings: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [tuple(headings), *rows]
    text = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    text.insert(1, "|" + "---|" * len(lines[0]))
    return "\n".join(text) + "\n"
