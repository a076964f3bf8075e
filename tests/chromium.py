"""A page in headless Chromium, for tests of what a reader of the page sees and does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Software drawing: there is no graphics card where tests run.
_ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@contextmanager
def browser() -> Iterator[Any]:
    """A browser; skips where there is no Chromium or no playwright."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("no Chromium is installed, so the pages cannot be driven")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed, so no page can be driven"
    )
    with playwright.sync_playwright() as api:
        started = api.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield started
        finally:
            started.close()


class Opened:
    """An open page: its requests beyond the file, its errors, and how to act on its map."""

    def __init__(self, started: Any, path: Path, **options: Any) -> None:
        self.context = started.new_context(
            **{"viewport": {"width": 1366, "height": 800}, **options}
        )
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        self.refused: list[str] = []  # requests that the page's own policy stopped
        self.page.set_default_timeout(90_000)  # the machine may be busy
        address = path.absolute().as_uri()
        self.page.on("request", lambda r: r.url == address or self.requests.append(r.url))
        self.page.on("requestfailed", lambda r: r.failure == "csp" and self.refused.append(r.url))
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("console", lambda m: m.type == "error" and self.errors.append(m.text))
        self.page.on("dialog", lambda d: (self.dialogs.append(d.message), d.dismiss()))
        self.page.goto(address)
        self.page.wait_for_selector("#fembed-map[data-ready=yes]")

    def close(self) -> None:
        self.context.close()

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the map lies in the window."""
        self.page.locator("#fembed-map").scroll_into_view_if_needed()
        return tuple(
            self.page.evaluate(
                """([x, y]) => {
                    const box = document.querySelector(".plot").getBoundingClientRect();
                    const [left, top] = window.fembedMap.toPixel(x, y);
                    return [box.left + left, box.top + top];
                }""",
                [float(x), float(y)],
            )
        )

    def colours(self) -> list[tuple[int, int, int]]:
        """Of the samples, in their order."""
        flat = self.page.evaluate("Array.from(window.fembedMap.marks.colours)")
        return [(flat[k], flat[k + 1], flat[k + 2]) for k in range(0, len(flat), 4)]

    def drawn(self) -> list[int]:
        """The samples that are drawn, from below."""
        return list(self.page.evaluate("Array.from(window.fembedMap.marks.order)"))

    def shown(self) -> list[int]:
        """The samples that are drawn, by number."""
        return sorted(self.drawn())

    def names(self) -> list[str]:
        """The names in the map, once it stands still."""
        self.page.wait_for_timeout(200)
        return list(self.page.evaluate("window.fembedMap.names().map((name) => name.text)"))

    def drag(self, *places: tuple[float, float]) -> None:
        """Press at the first place of the map, move over the others, release."""
        pixels = [self.pixel(*place) for place in places]
        self.page.mouse.move(*pixels[0])
        self.page.mouse.down()
        for pixel in pixels[1:]:
            self.page.mouse.move(*pixel, steps=8)
        self.page.mouse.up()
