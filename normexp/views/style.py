"""The style of the figures: fonts and sizes on a screen or in a paper, and files that are the same byte for byte."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.figure import Figure

from normexp.errors import ConfigError, disk_error
from normexp.records.atomic import replacing

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so that figures agree between machines
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "figure.titlesize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.solid_capstyle": "round",
    "svg.hashsalt": "normexp",
    "pdf.fonttype": 42,  # TrueType, which journals ask for
}
# Printed at its own size: a serif face, and no text below 6 points.
PAPER_RC: dict[str, Any] = RC | {
    "font.family": ["STIXGeneral", "DejaVu Serif", "DejaVu Sans"],  # the later ones for signs that STIX lacks
    "mathtext.fontset": "stix",
    "axes.titlesize": 8.0,
    "legend.fontsize": 7.5,
    "lines.markersize": 3.0,
}


class Sheet(NamedTuple):
    """What a figure is drawn for: a screen, with titles, or a column of a paper, whose caption is text.

    column, page: its width in inches with one column of panels and with several; 0 where it grows with the panels.
    height: of a row of panels, as a factor.
    """

    rc: dict[str, Any]
    titles: bool
    column: float
    page: float
    height: float
    kinds: tuple[str, ...]


SHEETS = {
    "default": Sheet(RC, True, 4.6, 0.0, 1.0, ("png", "svg", "pdf")),
    "paper": Sheet(PAPER_RC, False, 3.3, 6.8, 0.85, ("pdf", "txt")),
}
_sheet: ContextVar[Sheet] = ContextVar("sheet", default=SHEETS["default"])


def sheet() -> Sheet:
    """What figures are drawn for at present, see `context`."""
    return _sheet.get()


def folder(figures: Path, look: str) -> Path:
    """Where figures of this style are: those for a paper next to the others.

    Raises ConfigError for a link, which in a stranger's results may lead anywhere.
    """
    if figures.is_symlink():
        raise ConfigError(f"{figures} must be a folder, not a link; remove it")
    return figures if look == "default" else figures / look


def text_colour(face: Sequence[float]) -> str:
    """Black or white, whichever is readable on this background (red, green, blue, …)."""
    red, green, blue = face[:3]
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else "black"


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write the figure as PNG (200 dpi), SVG and PDF; for a paper as PDF, with its caption as text.

    The same figure gives the same bytes. Raises ConfigError where a file cannot be written.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.parent / f"{stem.name}.{kind}" for kind in sheet().kinds]
    for path in paths:
        try:
            with replacing(path) as temporary:
                _write(figure, temporary, path.suffix[1:])
        except OSError as error:
            if disk_error(error):
                raise
            raise ConfigError(f"{path} must be a file that can be written ({error.strerror}); remove it") from error
    return paths


def _write(figure: Figure, path: Path, kind: str) -> None:
    match kind:
        case "png":
            figure.savefig(path, format=kind, dpi=200)
        case "svg":
            figure.savefig(path, format=kind, metadata={"Date": None})
        case "pdf":
            figure.savefig(path, format=kind, metadata={"CreationDate": None})
        case _:
            path.write_text(f"{figure.get_label()}\n", "utf-8")


@contextmanager
def context(look: str = "default") -> Iterator[None]:
    """The context in which figures are made and saved, for one of SHEETS; it ignores the user's matplotlibrc."""
    rc: dict[Any, Any] = {key: value for key, value in matplotlib.rcParamsDefault.items() if "backend" not in key}
    token = _sheet.set(SHEETS[look])
    try:
        with matplotlib.rc_context(rc | SHEETS[look].rc):
            yield
    finally:
        _sheet.reset(token)
