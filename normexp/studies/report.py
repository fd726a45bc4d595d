"""The files of a reproduced study: report.md, claims.csv, and its runs as CSV."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from normexp.records.provenance import origins
from normexp.studies import claims_table
from normexp.studies.claim import Claim
from normexp.studies.study import Part, Runs
from normexp.views import table as runs_table
from normexp.views.report.study_section import CAPTIONS, EXAMPLES
from normexp.views.report.sweep_section import answers_of


def write(
    folder: Path,
    title: str,
    size: str,
    parts: Mapping[str, Part],
    runs: Mapping[str, Runs],
    figures: Sequence[Path],
    claims: Sequence[Claim],
    notes: Mapping[str, str],
    captions: Mapping[str, str],
    about_seeds: str = "",
) -> Path:
    """Write report.md (commands, claims, figures), claims.csv and <part>.csv; return the report's path.

    A study without claims has no table of them.
    captions: of the figures, by name; they go to captions.json. What trained models wrote goes to examples.json.
    about_seeds: how many there are and why, where it is not the study's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"# {title}", ""]
    if claims:
        lines += [f"{claims_table.count(claims)}. {about_seeds}".strip(), "", claims_table.markdown(claims, notes)]
        (folder / "claims.csv").write_text(claims_table.csv(claims, notes, size), "utf-8")
    lines += ["## Figures", ""]
    for path in figures:
        if path.suffix == ".png":
            lines += [f"![{path.stem}]({path.relative_to(folder)})", ""]
    whole = f"normexp reproduce {folder.name.removesuffix(f'-{size}')}{' --quick' * (size == 'quick')}  # all of it"
    lines += ["## Commands", "", "```sh", whole, *(str(parts[name]) for name in runs), "```", ""]
    made = origins(Path(run) for part in runs.values() for run in part.frame["folder"])
    lines += ["## Origin", "", *_origin(made, runs), ""]
    (folder / "origin.json").write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    said = {name: _caption(text) for name, text in captions.items()}
    if said:
        (folder / CAPTIONS).write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n", "utf-8")
    trained = [part.frame for name, part in runs.items() if name != "control" and part.frame["steps"].any()]
    answers = next(filter(None, map(answers_of, trained)), [])
    if answers:
        text = json.dumps([asdict(each) for each in answers], ensure_ascii=False, indent=1)
        (folder / EXAMPLES).write_text(f"{text}\n", "utf-8")
    report = folder / "report.md"
    report.write_text("\n".join(lines), "utf-8")
    for name, part in runs.items():
        (folder / f"{name}.csv").write_text(runs_table.csv(part.frame), "utf-8")
    return report


def _caption(text: str) -> str:
    """What is drawn in the figure (title, settings, caption), and on a line of its own what was computed from it."""
    *drawn, computed = _sentences(text)
    return "\n".join(filter(None, (" ".join(drawn), computed)))


def _sentences(caption: str) -> Iterator[str]:
    """The lines of a figure's caption (title, settings, what it shows), each with a full stop."""
    yield from (line if line.endswith((".", "?")) else f"{line}." for line in caption.splitlines() if line)


def _origin(made: Sequence[Mapping[str, Any]], runs: Mapping[str, Runs]) -> Iterator[str]:
    """Runs and seeds of every part, then commits and machines (origin.json has versions and data, too)."""
    for name, part in runs.items():
        seeds = ", ".join(map(str, sorted(part.frame["seed"].unique())))
        yield f"- {name}: {len(part.frame)} runs, seeds {seeds}"
    for one in made:
        commit = (
            f"commit {one['git']['commit'][:7]}{'' if one['git']['clean'] else ' with changes'}"
            if one["git"]
            else "no commit"
        )
        machine = f"{one['processor']}, {one['cores']} cores" + (f", {one['gpu']}" if one["gpu"] else "")
        yield f"- {commit}, torch {one['packages']['torch']}, {machine}"


def publish(folder: Path, out: Path) -> None:
    """Copy what a reader needs, and none of the runs, to another folder."""
    out.mkdir(parents=True, exist_ok=True)
    for path in (*folder.glob("*.md"), *folder.glob("*.csv"), *folder.glob("*.json")):
        shutil.copy2(path, out)
    if (folder / "figures").is_dir():
        shutil.copytree(folder / "figures", out / "figures", dirs_exist_ok=True)
