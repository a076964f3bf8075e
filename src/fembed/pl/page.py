"""Pages that are complete in one file: templates, scripts and data, and no request to anywhere.

A content security policy in the page allows exactly the scripts that were put there, by their
hashes, and no connection, so even a slip in escaping could neither run nor send anything.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
from functools import cache
from html import escape
from importlib import resources
from typing import Any

from fembed.errors import InputError

_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)


#: Halves of characters, which a damaged name may hold and no file can.
_LONE = re.compile("[\ud800-\udfff]")


class Page(str):
    """A page that a notebook shows in a frame, and a prompt by its size."""

    __slots__ = ()
    #: Pixels; the width is that of the notebook.
    HEIGHT = 720

    def __repr__(self) -> str:
        return f"<Page of {len(self) / 1e6:.1f} MB; save='map.html' keeps it, a notebook shows it>"

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{escape(self)}" sandbox="allow-scripts allow-downloads" '
            f'style="width:100%;height:{self.HEIGHT}px;border:0"></iframe>'
        )


def json_for_script(value: Any) -> str:
    """JSON that can stand in a ``<script>`` element: no ``<``, ``>`` or ``&`` is left in it."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@cache
def web_text(name: str) -> str:
    """The text of a file in ``fembed/pl/web``."""
    return (resources.files("fembed.pl") / "web" / name).read_text(encoding="utf-8")


def check_installed() -> None:
    """Raise InputError unless the package that pages need is installed."""
    if importlib.util.find_spec("jinja2") is None:
        raise InputError(
            'Pages need Jinja2, which is not installed; run: pip install "fembed[plot]".'
        )


def render(template: str, *, scripts: dict[str, str] | None = None, **context: Any) -> str:
    """A page of ``fembed/pl/web``; everything in ``context`` is escaped.

    Parameters
    ----------
    template : str
        The file's name.
    scripts : texts by name
        JavaScript that the template puts in as ``{{ scripts.NAME }}``, alone between the tags.

    Raises
    ------
    InputError
        If a package of the extra `plot` is not installed.
    """
    check_installed()
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    safe = {name: Markup(_checked(name, text)) for name, text in (scripts or {}).items()}
    environment = Environment(
        loader=FunctionLoader(web_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(template).render(
        policy=_policy(scripts or {}), scripts=safe, style=Markup(web_text("style.css")), **context
    )
    return _LONE.sub("\ufffd", text)


def _policy(scripts: dict[str, str]) -> str:
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in scripts.values()
    ]
    listed = " ".join(f"'sha256-{text}'" for text in hashes) or "'none'"
    return _POLICY.format(scripts=listed)


def _checked(name: str, text: str) -> str:
    if "</script" in text.lower() or "<!--" in text:
        raise ValueError(f"The script {name} would end its own element.")
    return text
