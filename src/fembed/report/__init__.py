"""One page about a trained model: what it is, how good it is, and what needs a closer look."""

from fembed.report.assemble import report_page

__all__ = ["report_page"]
