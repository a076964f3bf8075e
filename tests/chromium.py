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

    def __init__(self, started: Any, path: Path) -> None:
        self.context = started.new_context(viewport={"width": 1366, "height": 800})
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
                    const plot = document.querySelector(".plot");
                    const box = plot.querySelector(".nsewdrag").getBoundingClientRect();
                    const [a, b] = plot.layout.xaxis.range, [c, d] = plot.layout.yaxis.range;
                    return [box.left + (x - a) / (b - a) * box.width,
                            box.top + (d - y) / (d - c) * box.height];
                }""",
                [float(x), float(y)],
            )
        )

    def colours(self) -> list[str]:
        """Of the training samples, in their order."""
        return list(
            self.page.evaluate(
                """() => {
                    const { marker, customdata } = document.querySelector(".plot").data
                        .find((trace) => trace.name === "training");
                    return marker.color.map((colour, k) => [customdata[k], colour])
                        .sort((a, b) => a[0] - b[0]).map(([, colour]) => colour);
                }"""
            )
        )

    def shown(self) -> list[int]:
        """The samples that are drawn."""
        numbers = self.page.evaluate(
            'document.querySelector(".plot").data.flatMap((t) => t.customdata ?? [])'
        )
        return sorted(numbers)

    def drag(self, *places: tuple[float, float]) -> None:
        """Press at the first place of the map, move over the others, release."""
        pixels = [self.pixel(*place) for place in places]
        self.page.mouse.move(*pixels[0])
        self.page.mouse.down()
        for pixel in pixels[1:]:
            self.page.mouse.move(*pixel, steps=8)
        self.page.mouse.up()
