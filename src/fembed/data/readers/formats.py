"""Which known format a text file is, by its first lines."""

from __future__ import annotations

from fembed.data.readers import counters, plain, portals
from fembed.data.readers.layout import Layout
from fembed.data.readers.text import Head, TextFile


def recognise(head: Head, text: TextFile) -> Layout | None:
    """The layout of a format that counters or portals write; None for any other table."""
    if not head.lines:
        return None
    for by_first_line in (portals.gct, portals.series_matrix):
        layout = by_first_line(head, text)
        if layout is not None:
            return layout
    table = counters.FirstRows.of(plain.after_comments(head), head.path)
    for by_columns in (*counters.RECOGNISERS, *portals.RECOGNISERS):
        layout = by_columns(table)
        if layout is not None:
            return layout
    return None
