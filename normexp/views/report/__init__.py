"""The report: one HTML page without network that a person understands who was not there."""

from normexp.views.report.write import write

__all__ = ["write"]
