"""The published claims keep the rules of results/reference/METHOD.md."""

from pathlib import Path

import pandas as pd
import pytest

from normexp.studies.runner import studies
from normexp.studies.verdict import MINIMUM, Verdict, in_family, q_values

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
DECIDED = (Verdict.HOLDS, Verdict.FAILS)


@pytest.fixture(scope="module")
def record() -> pd.DataFrame:
    tables = {path.parent.name: pd.read_csv(path) for path in REFERENCE.glob("*/claims.csv")}
    return pd.concat([table.assign(study=name) for name, table in tables.items()], ignore_index=True)


def test_every_study_is_in_it(record):
    assert set(record["study"]) == set(studies())


def test_no_verdict_rests_on_fewer_than_five_seeds(record):
    decided = record[record["verdict"].isin(DECIDED) & (record["kind"] != "identity")]
    assert len(decided) > 50
    assert decided["n"].min() >= MINIMUM


def test_a_claim_has_a_window_with_a_source(record):
    assert record["source"].notna().all()
    assert (record["low"].gt(float("-inf")) | record["high"].lt(float("inf"))).all()


def test_no_control_tells_a_variant_from_itself(record):
    controls = record[record["kind"] == "control"]
    verdicts = in_family(list(controls["verdict"]), q_values(list(controls["p"])))
    assert set(verdicts) == {Verdict.UNDECIDED}


def test_a_control_with_a_verdict_cannot_tell_when_repeated(record):
    for study in record.loc[(record["kind"] == "control") & record["verdict"].isin(DECIDED), "study"]:
        repeated = pd.read_csv(REFERENCE / study / "repeat.csv").iloc[0]
        assert repeated["verdict"] == Verdict.UNDECIDED
        assert repeated["n"] == 4 * MINIMUM


def test_a_number_that_no_seed_gave_has_no_p(record):
    assert record.loc[record["kind"] == "identity", "p"].isna().all()
    assert record.loc[record["values"].isna(), "p"].isna().all()
