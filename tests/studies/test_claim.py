"""What a claim says of its values."""

import math

import pytest

from normexp.studies import claims_table
from normexp.studies.claim import Claim
from normexp.studies.declare import DeclaredClaim
from normexp.studies.runner import read, studies


def claim(*values, **changes):
    options = {"low": 0.5, "high": 2.0} | changes
    return Claim("name", "A grows with B.", "someone 2020, figure 1", "slope", values, **options)


def test_a_claim_whose_precondition_fails_cannot_be_tested():
    one = claim(*[1.0] * 5, precondition="WMT is here.", met=False)
    assert one.verdict == "cannot be tested"
    assert "| WMT is here. |" in claims_table.markdown([one], {})
    assert claim(*[1.0] * 5, precondition="WMT is here.").verdict == "holds"
    assert claim(met=False).measured == "–"


def test_estimate_interval_and_window_are_printed():
    one = claim(1.0, 2.0, 3.0, 2.0, 2.0)
    assert one.measured == "2 [1.122, 2.878] (n = 5)"
    assert one.agreeing == 4
    assert claim(1.0, high=math.inf).window == "≥ 0.5"
    assert claim(1.0, low=-math.inf).window == "≤ 2"
    assert claim(1.0, low=-0.25).window == "[-0.25, 2]"
    assert claim(1.0).measured == "1 (n = 1)"
    assert claim(1.0, math.nan).measured == "– (n = 2)"


def test_what_does_not_hold_comes_first_and_notes_have_a_column():
    claims = [claim(*[1.0] * 5), claim(*[9.0] * 5), claim(1.0, kind="control")]
    text = claims_table.markdown(claims, {"name": "More seeds were tried."})
    assert text.index("does not hold") < text.index("| holds |")
    assert text.count("| More seeds were tried. |") == 3
    assert "A grows with B. |" in text
    assert "A grows with B. (control) |" in text
    assert claims_table.count(claims) == "2 claims (holds: 1, does not hold: 1, cannot tell: 0, cannot be tested: 0)"
    assert "More seeds" in claims_table.csv(claims, {"name": "More seeds."}, "quick")


STUDIES = sorted(studies())
LEANS = ("So ", "It ", "That ", "Nor ", "Those ", "These ", "They ", "This ", "The deeper", "The larger", "By then")
SUBJECTS = (
    *("Post-LN", "Pre-LN", "Admin", "B2T", "DeepNorm", "DLCL", "attention", "Attention", "Adam", "layers"),
    *("CompleteP", "depth-µP", "standard parametrisation", "LayerNorm scaling", "Peri-LN", "Keel", "yper-connections"),
    *("Norms", "norms", "Feed-forward", "lower layers", "Warm-up", "decoder", "encoder"),
)


@pytest.mark.parametrize("study", STUDIES)
def test_every_text_can_be_read_alone(study):
    """One sentence that names its subject: tables sort claims, so none may lean on its neighbour."""
    make, _, _ = read(study, studies()[study])
    for name, declared in make._declared(DeclaredClaim):
        text = " ".join(declared.values.__doc__.split())
        assert text.endswith("."), name
        assert ". " not in text, name
        assert not text.startswith(LEANS), name
        assert any(subject in text for subject in SUBJECTS), name


def test_the_hash_of_the_windows_changes_with_any_of_them():
    about = {"statistic": "slope", "kind": "exponent", "low": 0.5, "high": 2, "source": "pilot", "exploratory": False}
    one = claims_table.windows({"study": {"name": about}})
    assert "study name: slope | exponent | 0.5 to 2 | pilot" in one
    assert one.splitlines()[-1] != claims_table.windows({"study": {"name": about | {"high": 2.1}}}).splitlines()[-1]
