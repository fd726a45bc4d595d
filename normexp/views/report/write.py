"""From a folder to its report: gather the sections, fill the template, write one file."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import jinja2

from normexp import __version__
from normexp.errors import ConfigError
from normexp.records.atomic import replacing
from normexp.views.report.interactive import HINT, library
from normexp.views.report.notebook import write_notebook
from normexp.views.report.parts import Section
from normexp.views.report.study_section import is_study, study_section
from normexp.views.report.sweep_section import sweep_section
from normexp.views.runs import load_runs, split_sweeps

TEMPLATE = "page.html"
FROM_RUNS = "from the tables in the run folders. Every number is computed from them"


def write(folder: Path | str, out: Path | str | None = None, *, notebook: bool = False) -> Path:
    """Write the report of the sweeps and studies in a folder, by default to report.html in it; return its path.

    notebook: as a notebook, by default report.ipynb. Everything is read from files. Raises ConfigError if the folder
    has neither runs nor a study, or if `out` cannot be written.
    """
    folder = Path(folder)
    path = Path(out) if out else folder / ("report.ipynb" if notebook else "report.html")
    with tempfile.TemporaryDirectory(prefix="normexp-report-") as spare:
        about = sections(folder, Path(spare), interactive=not notebook)
    found = [section for _, section in about]
    title = found[0].question if len(found) == 1 else f"Sweeps and studies in {folder.resolve().name}"
    if notebook:
        return write_notebook(about, title, path)
    page = render(title, found)
    try:
        with replacing(path) as temporary:
            temporary.write_text(page, "utf-8")
    except OSError as error:
        raise ConfigError(f"--out must be a file that can be written; got {path} ({error.strerror})") from error
    return path


def render(title: str, found: Sequence[Section], origin: str = FROM_RUNS) -> str:
    """The page of these sections. origin: where its numbers come from, as the end of "Written by normexp …"."""
    scripts = library() if any(section.plots for section in found) else ""
    template = _environment().get_template(TEMPLATE)
    return template.render(title=title, sections=found, version=__version__, origin=origin, scripts=scripts, hint=HINT)


def sections(folder: Path, spare: Path, *, interactive: bool) -> list[tuple[Path, Section]]:
    """The sections of a folder, each with its own: the folder itself if it is a study, else its studies and sweeps."""
    if is_study(folder):
        return [(folder, study_section(folder))]
    studies = [each for each in sorted(folder.iterdir()) if each.is_dir() and is_study(each)]
    try:
        sweeps = split_sweeps(load_runs(folder))
    except ConfigError:
        if not studies:
            raise
        sweeps = {}
    # The report of one run, whose sweep is above it, is about the run, with the figures in its own folder.
    about = {folder if sweep in folder.parents else sweep: runs for sweep, runs in sweeps.items()}
    return [
        *((study, study_section(study)) for study in studies),
        *(
            (each, sweep_section(each, runs, spare / str(at), interactive=interactive))
            for at, (each, runs) in enumerate(about.items())
        ),
    ]


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    # Bokeh names a model where it is first needed, so what comes first has to stay first.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "separators": (",", ":")}
    return environment
