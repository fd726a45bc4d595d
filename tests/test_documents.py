"""Documents agree with the files they mention: links lead somewhere, counts are those of the tables."""

import re
import subprocess
import sys
from pathlib import Path

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
