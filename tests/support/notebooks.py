"""Notebooks, run by nbconvert: in a kernel of their own, in the notebook's folder."""

from pathlib import Path
from typing import Any

import nbformat
from nbconvert.preprocessors import ExecutePreprocessor


def executed(path: Path) -> Any:
    """The notebook with the outputs of its cells. Raises CellExecutionError if a cell fails."""
    book = nbformat.read(path, as_version=4)
    executed, _ = ExecutePreprocessor(timeout=600).preprocess(book, {"metadata": {"path": str(path.parent)}})
    return executed


def outputs_of(cell: Any) -> dict[str, str]:
    """What a cell shows, by kind: text/plain, image/png, …; what it prints as `printed`."""
    found: dict[str, str] = {}
    for output in cell.get("outputs", ()):
        found |= output.get("data", {})
        if output.output_type == "stream":
            found["printed"] = found.get("printed", "") + output.text
    return found
