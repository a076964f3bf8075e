"""Check the Markdown pages: relative links lead to files, and names like `fembed.load` exist."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import rooms

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAME = re.compile(r"`(fembed(?:\.[A-Za-z_]\w*)+)")
CODE_BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def broken_links(page: Path, text: str) -> list[str]:
    """Relative links of ``page`` that lead nowhere."""
    faults = []
    for link in LINK.findall(CODE_BLOCK.sub("", text)):
        target = link.split("#")[0]
        if "://" in link or link.startswith("mailto:") or not target:
            continue
        if not (page.parent / target).exists():
            faults.append(f"{page.relative_to(ROOT)}: the link {link} leads nowhere")
    return faults


def exists(name: str) -> bool:
    """Whether ``name`` is a module, or an attribute (of an attribute ...) of one."""
    parts = name.split(".")
    for n_modules in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n_modules]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[n_modules:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False


def unknown_names(page: Path, text: str) -> list[str]:
    """Names of the package that ``page`` mentions and that are not there."""
    names = sorted(set(NAME.findall(text)))
    return [
        f"{page.relative_to(ROOT)}: the name {name} does not exist"
        for name in names
        if not exists(name)
    ]


def main() -> int:
    """Print every fault; the exit status says whether there is one."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]
    built = ROOT / "docs" / "_build"
    pages = sorted(page for page in pages if not page.is_relative_to(built))
    faults: list[str] = []
    if rooms.written(rooms.PAGE.read_text()) != rooms.PAGE.read_text():
        faults.append("CONTRIBUTING.md: the table of rooms is not as it is; run .ci/rooms.py")
    for page in pages:
        text = page.read_text(encoding="utf-8")
        faults += broken_links(page, text) + unknown_names(page, text)
    print("\n".join([*faults, f"{len(pages)} pages, {len(faults)} faults"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
