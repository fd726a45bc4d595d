"""Documents agree with the files they mention: links lead somewhere, counts are those of the tables."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results" / "reference"
DOCUMENTS = [
    *(
        ROOT / "README.md",
        ROOT / ".github" / "CONTRIBUTING.md",
        ROOT / "configs" / "TUTORIAL.md",
        *sorted(REFERENCE.rglob("*.md")),
    ),
    *sorted(path for folder in ("normexp", "configs", "tests") for path in (ROOT / folder).rglob("README.md")),
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#]*)#?([^)]*)\)", document.read_text())
    for path, anchor in ((path, anchor) for path, anchor in links if "://" not in path):
        target = document.parent / path if path else document
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def anchors(document: Path) -> set[str]:
    """The names of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.slow
def test_the_table_of_all_claims_is_what_its_script_prints():
    printed = subprocess.check_output([sys.executable, ROOT / "scripts" / "claims.py"], text=True)
    assert printed == (REFERENCE / "claims.md").read_text()


FOUND = {
    ROOT / "README.md": ("## What comes out", "## Words"),
    REFERENCE / "README.md": ("## What was found", "## Figures of the papers"),
}


@pytest.mark.parametrize("document", FOUND, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_number_that_was_found_is_in_a_published_table(document):
    """Losses and shares as the tables print them; baselines as the runs of the first table have them."""
    text, (start, end) = document.read_text(), FOUND[document]
    results = text[text.index(start) : text.index(end)]
    linked = {(document.parent / link).resolve() for link in re.findall(r"\]\(([^)#]+\.md)", results)}
    tables = "".join(path.read_text() for path in linked - {REFERENCE / "README.md"})
    runs = pd.read_csv(REFERENCE / "main" / "runs.csv")
    levels = {f"{value:.2f}" for name in runs if name.startswith("baseline.") for value in runs[name]}
    numbers = re.findall(r"\d+\.\d+", results)
    assert len(numbers) > 20
    assert [number for number in numbers if number not in levels | set(re.findall(r"\d+\.\d+", tables))] == []
