"""The figures of a sweep as files."""

from pathlib import Path

from normexp.errors import ConfigError
from normexp.views.figures import draw


def figure_files(sweep: Path, spare: Path, kind: str = "png") -> list[Path]:
    """The figures of a sweep or a run: those in its own folder if no run is newer, else newly drawn ones in `spare`."""
    found = sorted((sweep / "figures").glob(f"*.{kind}"))
    states = [*sweep.glob("status.json"), *sweep.glob("*/status.json")]
    newest = max((path.stat().st_mtime for path in states), default=0.0)
    if found and all(path.stat().st_mtime >= newest for path in found):
        return found
    drawn = sorted(spare.glob(f"*.{kind}"))
    if drawn:
        return drawn
    try:
        return sorted(path for path in draw(sweep, spare) if path.suffix == f".{kind}")
    except ConfigError:  # nothing is recorded yet
        return []
