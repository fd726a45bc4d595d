"""How Transformers train with depth, depending on where the norm and the residual connection sit.

In Python: `normexp.load(run)` returns a run with its trained model, `normexp.build("variant=pre_ln depth=6")` an
untrained model, `normexp.runs(folder)` one row per run, `normexp.table(folder, "layers")` all tidy rows of the runs,
`normexp.results(folder)` the table of the sweep, `normexp.latex(folder)` the same for a paper, and
`normexp.figures(folder)` the figures by name.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "build", "figures", "latex", "load", "results", "runs", "table"]


def __getattr__(name: str) -> Any:
    """Import the library functions on first use, so that `normexp --help` stays fast."""
    if name in __all__:
        from normexp import library

        return getattr(library, name)
    raise AttributeError(f"module 'normexp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
