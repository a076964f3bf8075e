"""Pages that are made of something else: the commands' help, and the repository's own pages.

They are written to ``_build/generated`` before Sphinx reads, and the pages of the documentation
include them. Links between pages of the repository are turned into links between pages here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent.parent
ROOT = DOCS.parent
GENERATED = DOCS / "_build" / "generated"

#: Where a file of the repository is found in the documentation.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
    "benchmarks/README.md": "measuring.md",
    "benchmarks/RESULTS.md": "results.md",
}
SOURCES = {page: source for source, page in PAGES.items() if source != "README.md"}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def write_all(app: Sphinx) -> None:
    """Write every page that changed."""
    GENERATED.mkdir(parents=True, exist_ok=True)
    _write("commands.md", _commands())
    for page, source in SOURCES.items():
        _write(
            page, relinked((ROOT / source).read_text(encoding="utf-8"), ROOT / source, GENERATED)
        )


def relink_source(app: Sphinx, name: str, source: list[str]) -> None:
    """The same for a page of the documentation that links to a file outside it."""
    page = DOCS / f"{name}.md"
    if page.is_file():
        source[0] = relinked(source[0], page, page.parent)


def relinked(text: str, written_in: Path, read_from: Path) -> str:
    """``text`` with links that lead from ``read_from`` to pages here; others become plain text."""

    def link(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        path, hash_mark, anchor = target.partition("#")
        if "://" in target or not path:
            return found.group()
        file = (written_in.parent / path).resolve()
        if not file.is_relative_to(ROOT):
            return found.group()
        name = file.relative_to(ROOT).as_posix()
        if name in PAGES:
            file = DOCS / PAGES[name]
        elif not file.is_relative_to(DOCS) and not picture:
            return words
        # An included text is read as if it stood in the page that includes it.
        base = DOCS if read_from == GENERATED else read_from
        return (
            f"{picture}[{words}]({Path(os.path.relpath(file, base)).as_posix()}{hash_mark}{anchor})"
        )

    return LINK.sub(link, text)


def _commands() -> str:
    """What ``--help`` says of every command, as Typer itself writes it down."""
    command = ["-m", "typer", "fembed.commands.app", "utils", "docs", "--name", "fembed"]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    # Its own title and first lines are left out, and so is its list of commands, whose sentences
    # are cut short: the one here has them whole.
    begin = done.stdout.index("## `fembed ")
    commands = re.findall(r"^## `(fembed [\w-]+)`\n\n(.+)$", done.stdout, re.MULTILINE)
    rows = [f"| [`{name}`](#{name.replace(' ', '-')}) | {summary} |" for name, summary in commands]
    return "\n".join(["| command | |", "|---|---|", *rows, "", done.stdout[begin:]])


def _write(name: str, text: str) -> None:
    path = GENERATED / name
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx reads any."""
    app.connect("builder-inited", write_all)
    app.connect("source-read", relink_source)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
