"""A release has the repository's address: no link of the README's index page leads nowhere."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / ".ci" / "address.py"))
ADDRESS = "https://host.example/owner/fembed"


def test_every_link_of_the_readme_becomes_absolute_and_leads_to_a_file_of_the_tag() -> None:
    page = SCRIPT["absolute"]((ROOT / "README.md").read_text(), ADDRESS, "v1.2")
    targets = re.findall(r"\]\(([^)\s]+)\)", page)
    assert targets and all(target.startswith("https://") for target in targets)
    own = [target for target in targets if target.startswith(ADDRESS)]
    assert any("/raw/v1.2/docs/images/" in target for target in own)
    for target in own:
        path = re.sub(f"^{ADDRESS}/(raw|blob)/v1.2/", "", target).partition("#")[0]
        assert (ROOT / path).is_file(), target


def test_the_address_joins_the_projects_urls() -> None:
    text = SCRIPT["with_urls"]((ROOT / "pyproject.toml").read_text(), ADDRESS)
    urls = tomllib.loads(text)["project"]["urls"]
    assert urls["Repository"] == ADDRESS and urls["Method"].startswith("https://doi.org/")
