"""What a reproduced study leaves for a reader: report.md, claims.csv, and the runs behind them as CSV."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from normexp.studies import table
from normexp.studies.claim import Claim
from normexp.studies.study import Part, Runs
from normexp.views import table as runs_table


def write(
    folder: Path,
    title: str,
    parts: Mapping[str, Part],
    runs: Mapping[str, Runs],
    figures: Sequence[Path],
    claims: Sequence[Claim],
    notes: Mapping[str, str],
) -> Path:
    """Write report.md (commands, claims, figures), claims.csv and <part>.csv; return the report's path.

    A study that only looks has no claims, and no table of them.
    """
    lines = [f"# {title}", ""]
    if claims:
        lines += [f"{table.count(claims)}.", "", table.markdown(claims, notes)]
        (folder / "claims.csv").write_text(table.csv(claims))
    lines += ["## Figures", ""]
    for path in figures:
        if path.suffix == ".png":
            lines += [f"![{path.stem}]({path.relative_to(folder)})", ""]
    lines += ["## Commands", "", "```sh", *(str(parts[name]) for name in runs), "```", ""]
    report = folder / "report.md"
    report.write_text("\n".join(lines))
    for name, part in runs.items():
        (folder / f"{name}.csv").write_text(runs_table.csv(part.frame))
    return report


def publish(folder: Path, out: Path) -> None:
    """Copy what a reader needs, and none of the runs, to another folder."""
    out.mkdir(parents=True, exist_ok=True)
    for path in (*folder.glob("*.md"), *folder.glob("*.csv")):
        shutil.copy2(path, out)
    shutil.copytree(folder / "figures", out / "figures", dirs_exist_ok=True)
