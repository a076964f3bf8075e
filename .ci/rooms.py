"""The table of rooms in CONTRIBUTING.md, made of the layers in pyproject.toml and of docstrings.

``python .ci/rooms.py`` writes it there; `check_docs` says when that was forgotten.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "fembed"
PAGE = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- rooms: written by .ci/rooms.py -->\n", "<!-- /rooms -->"


def table() -> str:
    """One row per layer, from the command line down; modules in a row do not import each other."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (it["layers"] for it in settings["contracts"] if it["type"] == "layers")
    rows = ["| module or package | what it is | its modules |", "|---|---|---|"]
    for layer in layers:
        for name in re.findall(r"\w+", layer):
            if name != "_core":  # compiled, with a table of its own
                rows.append(row(name))
    return "\n".join(rows) + "\n"


def row(name: str) -> str:
    """The row of a module or package."""
    folder = PACKAGE / name
    if not folder.is_dir():
        return f"| `{name}.py` | {summary(PACKAGE / f'{name}.py')} | |"
    inside = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    packages = sorted(path.parent.name + "/" for path in folder.glob("*/__init__.py"))
    names = ", ".join(f"`{name}`" for name in [*packages, *inside])
    return f"| `{name}/` | {summary(folder / '__init__.py')} | {names} |"


def summary(path: Path) -> str:
    """The first paragraph of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(text.split("\n\n")[0].split()).rstrip(".").replace("``", "`")


def written(page: str) -> str:
    """``page`` with the table as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
