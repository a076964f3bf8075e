"""One page about a trained model: what it is, how well it does, and what to look at twice."""

from fembed.report.assemble import report_page

__all__ = ["report_page"]
