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
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
    assert not [link for link in links if "://" not in link and not (document.parent / link).exists()]


@pytest.mark.slow
def test_the_table_of_all_claims_is_what_its_script_prints():
    printed = subprocess.check_output([sys.executable, ROOT / "scripts" / "claims.py"], text=True)
    assert printed == (REFERENCE / "claims.md").read_text()


def test_every_number_of_the_readme_is_in_a_published_table():
    """Of its results: losses and shares as the tables print them, baselines as its first table's runs have them."""
    text = (ROOT / "README.md").read_text()
    results = text[text.index("## What comes out") : text.index("## Words")]
    names = ("main/table.md", "tasks/tasks.md", "map/map.md", "depth_use2025/report.md")
    tables = "".join((REFERENCE / name).read_text() for name in names)
    runs = pd.read_csv(REFERENCE / "main" / "runs.csv")
    levels = {f"{value:.2f}" for name in runs if name.startswith("baseline.") for value in runs[name]}
    numbers = re.findall(r"\d+\.\d+", results)
    assert len(numbers) > 30
    assert [number for number in numbers if number not in levels | set(re.findall(r"\d+\.\d+", tables))] == []
