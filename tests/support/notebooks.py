"""Notebooks, run as Jupyter runs them: in a kernel of their own, in the notebook's folder."""

from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient


def executed(path: Path) -> Any:
    """The notebook with the outputs of its cells. Raises CellExecutionError if a cell fails."""
    book = nbformat.read(path, as_version=4)
    NotebookClient(book, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
    return book


def outputs_of(cell: Any) -> dict[str, str]:
    """What a cell shows, by kind: text/plain, image/png, …; what it prints as `printed`."""
    found: dict[str, str] = {}
    for output in cell.get("outputs", ()):
        found |= output.get("data", {})
        if output.output_type == "stream":
            found["printed"] = found.get("printed", "") + output.text
    return found
