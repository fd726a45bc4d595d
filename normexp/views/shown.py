"""Figures as values that a notebook shows by itself."""

import io
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from normexp.errors import ConfigError
from normexp.views import style
from normexp.views.figures import drawn


@dataclass(frozen=True, eq=False)
class Shown:
    """A figure with its caption; as the last value of a notebook's cell, it is shown.

    look: the style that it was made in, see normexp.views.style.
    """

    figure: Figure
    look: str

    @property
    def caption(self) -> str:
        """Title, settings and what was drawn."""
        return str(self.figure.get_label())

    def save(self, stem: Path | str) -> list[Path]:
        """Write the files of the style, `stem` plus their endings; return them."""
        with style.context(self.look):
            return style.save(self.figure, Path(stem))

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        with style.context(self.look):
            self.figure.savefig(content, format="png", dpi=130)
        return content.getvalue()


def shown(folder: Path | str, look: str = "default") -> dict[str, Shown]:
    """The figures of the runs in a folder by name; of several sweeps by sweep/name. Nothing is written.

    Raises ConfigError for a style that there is not, and where nothing is recorded yet.
    """
    if look not in style.SHEETS:
        raise ConfigError(f"the style must be one of {', '.join(style.SHEETS)}; got {look}")
    found: dict[str, Shown] = {}
    with style.context(look):
        made = list(drawn(Path(folder)))
    several = len({sweep for sweep, _, _ in made}) > 1
    for sweep, name, figure in made:
        found[(sweep.relative_to(folder) / name).as_posix() if several else name] = Shown(figure, look)
    if not found:
        raise ConfigError(f"nothing to draw in {folder}: no run has recorded a loss or a probe yet")
    return found
