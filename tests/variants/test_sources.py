"""Every variant states its equation and its source, and every citation of the project is in normexp.papers."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.norms import Norm
from normexp.papers import PAPERS, Paper, citations, papers_of
from normexp.variants import Variant
from normexp.variants.post_ln import PostLN
from tests.support.models import node

ROOT = Path(__file__).parents[2]
VARIANTS = sorted(Composer("train").options("variant"))
NORMS = sorted(Composer("train").options("norm"))
INITS = sorted(Composer("train").options("init"))
CITED = ["normexp/**/*.py", "configs/**/*.yaml", "README.md", "results/reference/README.md", "tests/support/**/*.py"]
CITATION = re.compile(r"([A-Z]\w+(?: et al\.| & [A-Z]\w+)),? (\d{4})\b")


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_states_its_equation(name):
    own = vars(Choice.of("variant", node(name)).cls)
    assert own["equation"]
    assert own["verified"] or not own["paper"]


@pytest.mark.parametrize(
    ("group", "name"), [(g, n) for g, names in (("norm", NORMS), ("init", INITS), ("variant", VARIANTS)) for n in names]
)
def test_the_papers_of_a_choice_are_known(group, name):
    papers_of(Choice.of(group, node(name, group)).cls.paper)


def test_a_subclass_inherits_no_equation():
    """What computes something else must not be shown with the equation, paper and checks of its base class."""

    class Other(PostLN):
        def join(self, x, site):
            return x

    assert (Other.equation, Other.paper, Other.verified) == ("", "", "")
    assert PostLN.equation == "x ← LN(x + F(x))"
    assert (Variant.equation, Norm.paper) == ("", "")


def test_every_citation_is_in_papers():
    known = {(paper.authors, str(paper.year)) for paper in PAPERS.values()}
    texts = {path: path.read_text() for pattern in CITED for path in ROOT.glob(pattern)}
    found = {(match, path.name) for path, text in texts.items() for match in CITATION.findall(text)}
    assert sorted((match, path) for match, path in found if match not in known) == []
    assert len(found) > 50


def test_keys_and_citations_are_unique():
    assert len({paper.citation for paper in PAPERS.values()}) == len(PAPERS)
    assert len({paper.title for paper in PAPERS.values()}) == len(PAPERS)
    assert all(key.partition("_")[0].endswith(str(paper.year)) for key, paper in PAPERS.items())
    assert all(paper.link.startswith("https://") for paper in PAPERS.values())


def test_citations():
    assert Paper("k", "A & B", 2001, "T", "").citation == "A & B 2001"
    assert citations("wang2022_deepnet") == "Wang et al. 2022 (DeepNet)"
    assert citations(("wang2019", "xiong2020")) == "Wang et al. 2019, Xiong et al. 2020"
    assert citations("") == ""
    with pytest.raises(KeyError):
        papers_of("nobody1999")


def test_papers_imports_nothing_heavy():
    code = "import sys, normexp.papers; print('torch' in sys.modules, 'hydra' in sys.modules, 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == ["False"] * 3
