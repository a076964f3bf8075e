"""Give a release the repository's address: links in the README become absolute, and urls appear.

    python .ci/address.py [https://github.com/OWNER/NAME]   (or the variable ADDRESS)

An index shows the README without the files that it links to. In the repository its links stay
relative, so that they are right in every copy; this script changes the working tree of a build,
which is not committed.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def absolute(text: str, address: str, tag: str) -> str:
    """``text`` with its relative links, and pictures, leading to ``address`` at ``tag``."""

    def link(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        if "://" in target or target.startswith(("#", "mailto:")):
            return found.group()
        kind = "raw" if picture else "blob"
        return f"{picture}[{words}]({address}/{kind}/{tag}/{target})"

    return LINK.sub(link, text)


def with_urls(text: str, address: str) -> str:
    """The project's description with the addresses that an index page shows."""
    pages = {
        "Repository": address,
        "Issues": f"{address}/issues",
        "Changelog": f"{address}/blob/main/CHANGELOG.md",
    }
    lines = "".join(f'{name} = "{page}"\n' for name, page in pages.items())
    head = "[project.urls]\n"
    if head not in text or f'"{address}"' in text:
        raise SystemExit("pyproject.toml has no [project.urls] to add to, or has the address.")
    return text.replace(head, head + lines)


def main() -> None:
    """Change README.md and pyproject.toml of this working tree."""
    address = (sys.argv[1] if len(sys.argv) > 1 else os.environ.get("ADDRESS", "")).rstrip("/")
    if not re.fullmatch(r"https://[\w.-]+(/[\w.-]+)+", address):
        raise SystemExit(
            f"{address!r} is no address of a repository; give https://HOST/OWNER/NAME."
        )
    project, readme = ROOT / "pyproject.toml", ROOT / "README.md"
    text = project.read_text(encoding="utf-8")
    version = tomllib.loads(text)["project"]["version"]
    project.write_text(with_urls(text, address), encoding="utf-8")
    page = readme.read_text(encoding="utf-8")
    readme.write_text(absolute(page, address, f"v{version}"), encoding="utf-8")


if __name__ == "__main__":
    main()
